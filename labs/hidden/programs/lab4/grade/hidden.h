/* More of gradeipc.c, for those who teach. */

static const struct Send hidden_whoms[] = {
	{ (uint64_t) 1 << 32 | VMX_HOST_FS_ENV, REQ, RW },
	{ (uint64_t) 1 << 63 | VMX_HOST_FS_ENV, NOPAGE, 0 },
	{ 1 << 16 | VMX_HOST_FS_ENV, REQ, RW },
	{ (uint64_t) -VMX_HOST_FS_ENV, REQ, RW },
};
static const struct Send hidden_places[] = {
	{ VMX_HOST_FS_ENV, MEM - 1, RW },
	{ VMX_HOST_FS_ENV, MEM + 0x5000, PTE_P | PTE_U },
	{ VMX_HOST_FS_ENV, 0x80000000, RW },
	{ VMX_HOST_FS_ENV, REQ + 2048, PTE_P | PTE_U },
	{ VMX_HOST_FS_ENV, REQ, -1 },
	{ VMX_HOST_FS_ENV, REQ, PTE_P },
	{ VMX_HOST_FS_ENV, REQ, RW | (uint64_t) 1 << 63 },
	{ VMX_HOST_FS_ENV, REQ, RW | (uint64_t) 1 << 40 },
	{ VMX_HOST_FS_ENV, REQ, RW | PTE_PCD },
};

/* A page that the guest has never touched; no page, but permissions. */
static void
untouched(void)
{
	envid_t guest = new_guest();
	uint64_t *in = inbox;
	int s = SEND(G4_RANDOM0, UNTOUCHED, RW), t, i, sum = 0;
	bool came;

	t = SEND(G4_RANDOM1, NOPAGE, -1);
	SEND(G4_RANDOM2, UTOP + 8, 0);
	END();
	start(guest);
	came = receive(guest, 300) && message.value == G4_RANDOM0;
	say("untouched");
	VALUE(came);
	VALUE(uvpt_entry(inbox) & (PTE_P | PTE_W | PTE_U));
	for (i = 0; i < 512 && uvpt_entry(inbox); i++)
		sum += in[i] != 0;
	VALUE(sum);
	VALUE(receive(guest, 300) && message.value == G4_RANDOM1);
	VALUE(uvpt_entry(inbox) != 0);
	VALUE(until_last(guest, 300));
	VALUE(R(s));
	VALUE(R(t));
	end(guest);
}

#define MANY	0x60000000UL

/* A page with as many references as can be. */
static void
count_limit(void)
{
	envid_t guest = new_guest();
	int n = 0, recv, r, without;
	uint64_t *x = answer(3);

	SEND(G4_RANDOM0, REQ, RW);
	recv = recv_at(FDAT);
	END();
	start(guest);
	receive(guest, 300);
	while (n < 65534 && sys_page_map(0, x, 0,
	    (void *) (MANY + (uint64_t) n * PGSIZE), RO) == 0)
		n++;
	r = sys_ipc_try_send(guest, G4_RANDOM1, x, RW);
	say("limit");
	VALUE(n);
	VALUE(pageref(x));
	VALUE(r);
	without = sys_ipc_try_send(guest, G4_RANDOM2, (void *) UTOP, 0);
	VALUE(without);
	until_last(guest, 300);
	VALUE(R(recv));
	VALUE(V(recv) == G4_RANDOM2);
	while (n-- > 0)
		sys_page_unmap(0, (void *) (MANY + (uint64_t) n * PGSIZE));
	VALUE(pageref(x));
	end(guest);
}

/* Guests that end at bad moments: asleep, and with an answer that waits. */
static void
ended(void)
{
	envid_t guest = new_guest();
	int asleep, left, after;

	SEND(G4_RANDOM0, REQ, RW);
	recv_at(FDAT);
	start(guest);
	receive(guest, 300);
	pass(30);
	sys_env_destroy(guest);
	asleep = sys_ipc_try_send(guest, 1, answer(0), RW);
	left = pageref(answer(0));
	guest = new_guest();
	SEND(G4_RANDOM0, REQ, RW);
	other(SPIN, -1, 0);
	start(guest);
	receive(guest, 300);
	sys_ipc_try_send(guest, 1, answer(0), RW);
	sys_env_destroy(guest);
	pass(40);
	after = pageref(answer(0));
	say("ended");
	VALUE(asleep);
	VALUE(left);
	VALUE(after);
}

/* A guest asks again before it has the answer: who gets which? */
static void
asked_twice(void)
{
	envid_t guest = new_guest();
	int recv, again, late, r;

	SEND(1, REQ, RW);
	SEND(2, REQ, RW);
	recv = recv_at(NOPAGE);
	again = recv_at(NOPAGE);
	END();
	start(guest);
	receive(guest, 300);
	late = receive(guest, 300) && message.value == 2;
	r = sys_ipc_try_send(guest, G4_RANDOM3, (void *) UTOP, 0);
	until_last(guest, 300);
	say("twice");
	VALUE(late);
	VALUE(r);
	VALUE(R(recv));
	VALUE(V(recv) == G4_RANDOM3);
	VALUE(R(again));
	end(guest);
}

/* Addresses for an answer's page that can't be. */
static void
bad_receives(void)
{
	static const uint64_t places[] = { FDAT + 8, UTOP - PGSIZE, MEM - 1,
	    0x7000000000 };
	envid_t guest = new_guest();
	int r[ARRAY_SIZE(places)], refs[ARRAY_SIZE(places)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		SEND(i, REQ, RW);
		r[i] = recv_at(places[i]);
	}
	END();
	other(SPIN, -1, 0);
	start(guest);
	for (i = 0; i < ARRAY_SIZE(places) && receive(guest, 300); i++)
		sys_ipc_try_send(guest, 0, answer(i), RW);
	until_last(guest, 300);
	for (i = 0; i < ARRAY_SIZE(places); i++)
		refs[i] = pageref(answer(i));
	say("badrecv");
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		VALUE(R(r[i]));
		VALUE(refs[i]);
	}
	end(guest);
}

static void
hidden(void)
{
	try_sends("hwhoms", hidden_whoms, ARRAY_SIZE(hidden_whoms));
	try_sends("hplaces", hidden_places, ARRAY_SIZE(hidden_places));
	untouched();
	count_limit();
	ended();
	asked_twice();
	bad_receives();
}
