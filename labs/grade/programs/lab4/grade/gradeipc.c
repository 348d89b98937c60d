/*
 * The grader of messages between a guest and the file server.  This program
 * is the file server, and it makes the guests: each executes a table of
 * hypercalls in 64-bit mode and writes the results beside them.  A child
 * watches, so that a guest that says nothing doesn't stop the server.
 */
#include <inc/lib.h>
#include <inc/vmx.h>
#include <inc/vmcall.h>
#include <inc/grade4_inputs.h>

#define TABLE	0x10000		/* guest-physical addresses */
#define AT_PML4	0x2000
#define AT_PDPT	0x3000
#define AT_PD	0x4000
#define REQ	0x20000		/* a page with data */
#define REQ2	0x21000		/* one that the guest may only read */
#define UNTOUCHED 0x22000	/* one that nobody has touched */
#define FDAT	0x30000		/* where answers' pages go */
#define MEM	(8UL << 20)
#define RW	(PTE_P | PTE_U | PTE_W)
#define RO	(PTE_P | PTE_U)
#define NOPAGE	UTOP
#define SPIN	0x1000		/* no hypercall: wait rbx rounds */
#define LOAD	0x1001		/* the word at rbx */
#define STORE	0x1002		/* the word at rbx becomes rcx */
#define LAST	0xe0d		/* a message that says: that's all */

struct Call {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi;
	struct {
		uint64_t rax, rbx, rcx, rdx, rsi, rdi;
	} after;
	uint64_t pad[4];
};
#define NCALLS	(4 * PGSIZE / sizeof(struct Call))
static_assert(sizeof(struct Call) == 128, "see the guest's code");

asm(".pushsection .text\n"
    ".code16\n"
    "guest_code:\n"
    "	cli\n"
    "	movl %cr4, %eax\n"
    "	orl $0x20, %eax\n"
    "	movl %eax, %cr4\n"
    "	movl $0x2000, %eax\n"
    "	movl %eax, %cr3\n"
    "	movl $0xc0000080, %ecx\n"
    "	rdmsr\n"
    "	orl $0x100, %eax\n"
    "	wrmsr\n"
    "	lgdtl %cs:0x7000 + guest_gdtr - guest_code\n"
    "	movl %cr0, %eax\n"
    "	orl $0x80000001, %eax\n"
    "	movl %eax, %cr0\n"
    "	ljmpl $8, $0x7000 + guest_long - guest_code\n"
    ".align 8\n"
    "guest_gdt:\n"
    "	.quad 0, 0x00209b0000000000, 0x0000930000000000\n"
    "guest_gdtr:\n"
    "	.word 23\n"
    "	.long 0x7000 + guest_gdt - guest_code\n"
    ".code64\n"
    "guest_long:\n"
    "	movl $16, %eax\n"
    "	movl %eax, %ds\n"
    "	movl %eax, %es\n"
    "	movl %eax, %ss\n"
    "	movl $0x10000, %r15d\n"
    "1:	movq (%r15), %rax\n"
    "	testq %rax, %rax\n"
    "	jz 9f\n"
    "	movq 8(%r15), %rbx\n"
    "	movq 16(%r15), %rcx\n"
    "	movq 24(%r15), %rdx\n"
    "	movq 32(%r15), %rsi\n"
    "	movq 40(%r15), %rdi\n"
    "	cmpq $0x1000, %rax\n"
    "	je 4f\n"
    "	cmpq $0x1001, %rax\n"
    "	je 5f\n"
    "	cmpq $0x1002, %rax\n"
    "	je 6f\n"
    "	vmcall\n"
    "2:	movq %rax, 48(%r15)\n"
    "	movq %rbx, 56(%r15)\n"
    "	movq %rcx, 64(%r15)\n"
    "	movq %rdx, 72(%r15)\n"
    "	movq %rsi, 80(%r15)\n"
    "	movq %rdi, 88(%r15)\n"
    "	addq $128, %r15\n"
    "	jmp 1b\n"
    "4:	pause\n"
    "	decq %rbx\n"
    "	jnz 4b\n"
    "	jmp 2b\n"
    "5:	movq (%rbx), %rax\n"
    "	jmp 2b\n"
    "6:	movq %rcx, (%rbx)\n"
    "	jmp 2b\n"
    "9:	cli\n"
    "	hlt\n"
    "	jmp 9b\n"
    "guest_code_end:\n"
    ".popsection\n");
extern char guest_code[], guest_code_end[];

/* Pages of ours, at fixed places. */
#define AT(n)	((void *) (0x50000000UL + (n) * PGSIZE))
struct Control {
	volatile uint64_t armed;	/* 0, or the number of a wait */
	volatile envid_t guest;
	volatile unsigned limit;	/* ms of the machine's time */
	volatile uint64_t intrude;	/* 1: answer the guest */
	volatile int64_t intruded;	/* what came of it */
};
#define control	((struct Control *) AT(0))
#define code	((char *) AT(1))
#define pml4	((uint64_t *) AT(2))
#define pdpt	((uint64_t *) AT(3))
#define pd	((uint64_t *) AT(4))
#define calls	((struct Call *) AT(8))		/* four pages */
#define req	((uint64_t *) AT(12))
#define req2	((uint64_t *) AT(13))
#define inbox	AT(14)
#define answer(n) ((uint64_t *) AT(16 + (n)))	/* pages of answers */

static int ncalls;
static envid_t server, watcher;
static uint64_t waits;

#define TICK	0x71c0000000000000UL

/* The child: end waits of the server that would last for ever. */
static void
watch(void)
{
	uint64_t n;
	unsigned end;
	const volatile struct Env *g;

	for (;;) {
		if (control->intrude == 1) {
			control->intruded = sys_ipc_try_send(control->guest,
			    0xbad, (void *) UTOP, 0);
			control->intrude = 2;
		}
		if ((n = control->armed) == 0) {
			sys_yield();
			continue;
		}
		g = &envs[ENVX(control->guest)];
		end = sys_time_msec() + control->limit;
		while (control->armed == n && sys_time_msec() < end
		    && g->env_id == control->guest
		    && g->env_status != ENV_FREE)
			sys_yield();
		/* Its last message may be on the way. */
		sys_yield();
		while (control->armed == n && sys_ipc_try_send(server,
		    TICK | n, (void *) UTOP, 0) == -E_IPC_NOT_RECV)
			sys_yield();
		while (control->armed == n)
			sys_yield();
	}
}

static struct {
	uint64_t value;
	envid_t from;
	int perm, disk;
} message;

/* Wait for a message of the guest; false if none comes. */
static bool
receive(envid_t guest, unsigned ms)
{
	int r;

	control->guest = guest;
	control->limit = ms;
	sys_page_unmap(0, inbox);
	for (;;) {
		control->armed = ++waits;
		r = sys_ipc_recv(inbox);
		control->armed = 0;
		message.value = thisenv->env_ipc_value;
		message.from = thisenv->env_ipc_from;
		message.perm = thisenv->env_ipc_perm;
		message.disk = thisenv->env_ipc_guest;
		if (r < 0 || message.from != watcher)
			return r == 0;
		if (message.value == (TICK | waits))
			return false;
	}
}

/* A line of what was seen, printed as a whole when the next one begins. */
static char line[1024];
static int used;

static void
value(int64_t v)
{
	used += snprintf(line + used, sizeof line - used, " %ld", v);
}
#define VALUE(v)	value(v)

static void
say(const char *key)
{
	if (used > 0)
		cprintf("\n%s\n", line);
	used = snprintf(line, sizeof line, "G4 %s %s", G4_NONCE, key);
}

static void
own_page(void *at)
{
	int r = sys_page_alloc(0, at, RW);

	if (r < 0)
		panic("no memory: %e", r);
}

static void
map(envid_t guest, void *page, uint64_t gpa, int perm)
{
	int r = sys_ept_map(0, page, guest, (void *) gpa, perm);

	if (r < 0)
		panic("mapping %lx: %e", gpa, r);
}

static envid_t
new_guest(void)
{
	envid_t guest = sys_env_mkguest(MEM, GUEST_ENTRY);
	int i;

	if (guest < 0)
		panic("no guest: %e", guest);
	for (i = 1; i < 14; i++)
		own_page(AT(i));
	memmove(code, guest_code, guest_code_end - guest_code);
	pml4[0] = AT_PDPT | 7;
	pdpt[0] = AT_PD | 7;
	pd[0] = 0x87;
	ncalls = 0;
	map(guest, code, GUEST_ENTRY, __EPTE_READ | __EPTE_EXEC);
	map(guest, pml4, AT_PML4, __EPTE_FULL);
	map(guest, pdpt, AT_PDPT, __EPTE_FULL);
	map(guest, pd, AT_PD, __EPTE_FULL);
	for (i = 0; i < 4; i++)
		map(guest, AT(8 + i), TABLE + i * PGSIZE, __EPTE_FULL);
	map(guest, req, REQ, __EPTE_FULL);
	map(guest, req2, REQ2, __EPTE_READ);
	req[0] = G4_PAGE_WORD;
	req[511] = ~G4_PAGE_WORD;
	for (i = 0; i < 6; i++) {
		own_page(answer(i));
		answer(i)[0] = G4_PAGE_WORD + 1 + i;
	}
	return guest;
}

/* Add a call; its number. */
static int
call(struct Call c)
{
	assert(ncalls < (int) NCALLS - 1);
	calls[ncalls] = c;
	calls[ncalls].after.rax = G4_NOTHING;
	return ncalls++;
}

static int
send_to(uint64_t to, uint64_t value, uint64_t gpa, uint64_t perm)
{
	return call((struct Call) { .rax = VMX_VMCALL_IPCSEND, .G4_SEND_TO = to,
	    .G4_SEND_VALUE = value, .G4_SEND_PAGE = gpa,
	    .G4_SEND_PERM = perm });
}
#define SEND(value, gpa, perm)	send_to(VMX_HOST_FS_ENV, value, gpa, perm)
#define END()			SEND(LAST, NOPAGE, 0)

static int
recv_at(uint64_t gpa)
{
	return call((struct Call) { .rax = VMX_VMCALL_IPCRECV,
	    .G4_RECV_PAGE = gpa });
}

static int
other(uint64_t what, uint64_t rbx, uint64_t rcx)
{
	return call((struct Call) { .rax = what, .rbx = rbx, .rcx = rcx });
}

#define R(i)		calls[i].after.rax	/* the result of a call */
#define V(i)		calls[i].after.G4_RECV_VALUE
#define STATUS(g)	(envs[ENVX(g)].env_id == (g) ? \
	(int) envs[ENVX(g)].env_status : -1)
#define start(g)	sys_env_set_status(g, ENV_RUNNABLE)

/* Receive until the guest's last message, or silence; how many came. */
static int
until_last(envid_t guest, unsigned ms)
{
	int n = 0;

	while (receive(guest, ms)) {
		n++;
		if (message.value == LAST)
			break;
	}
	return n;
}

/* Let others run for so many ms of the machine's time. */
static void
pass(unsigned ms)
{
	unsigned end = sys_time_msec() + ms;

	while (sys_time_msec() < end)
		sys_yield();
}

static void
end(envid_t guest)
{
	if (STATUS(guest) > 0)
		sys_env_destroy(guest);
	pass(20);
}

struct Send {
	uint64_t to, gpa, perm;
};

/* Messages of a table; their results, and how many were delivered. */
static void
try_sends(const char *key, const struct Send *sends, int n)
{
	envid_t guest = new_guest();
	int i, got;

	for (i = 0; i < n; i++)
		send_to(sends[i].to, 0x5000 + i, sends[i].gpa, sends[i].perm);
	END();
	start(guest);
	got = until_last(guest, 300);
	say(key);
	VALUE(got);
	for (i = 0; i <= n; i++)
		VALUE(R(i));
	end(guest);
}

static const struct Send whoms[] = {
	{ 0, NOPAGE, 0 },
	{ VMX_HOST_FS_ENV + 1, REQ, RW },
	{ 0x1000, REQ, RW },
	{ (uint64_t) -1, NOPAGE, 0 },
};
static const struct Send places[] = {
	{ VMX_HOST_FS_ENV, MEM, RW },
	{ VMX_HOST_FS_ENV, REQ + 8, RW },
	{ VMX_HOST_FS_ENV, UTOP - PGSIZE, RW },
	{ VMX_HOST_FS_ENV, REQ, 0 },
	{ VMX_HOST_FS_ENV, REQ, PTE_W },
	{ VMX_HOST_FS_ENV, REQ, RW | PTE_PS },
};
static const struct Send rights[] = {
	{ VMX_HOST_FS_ENV, REQ2, RW },
	{ VMX_HOST_FS_ENV, GUEST_ENTRY, RW },
};

/* A message with a page, and what the server sees of it. */
static void
delivery(const char *key, uint64_t gpa, uint64_t perm)
{
	envid_t guest = new_guest();
	uint64_t *page = gpa == REQ ? req : req2, *in = inbox;
	int s = SEND(G4_RANDOM0, gpa, perm), before;
	bool came;

	END();
	before = pageref(page);
	start(guest);
	came = receive(guest, 300) && message.value != LAST;
	say(key);
	VALUE(came);
	VALUE(came && message.value == G4_RANDOM0);
	VALUE(came && message.from == guest);
	VALUE(message.perm);
	VALUE(uvpt_entry(inbox) & (PTE_P | PTE_W | PTE_U));
	VALUE(PTE_ADDR(uvpt_entry(inbox)) == PTE_ADDR(uvpt_entry(page)));
	VALUE(pageref(page) - before);
	VALUE(uvpt_entry(inbox) && gpa == REQ ? in[0] == G4_PAGE_WORD : 1);
	if (came && until_last(guest, 300) == 0)
		VALUE(-99);
	VALUE(R(s));
	end(guest);
}

/* An answer with a page, fetched once. */
static void
answers(const char *key, int perm)
{
	envid_t guest = new_guest();
	int recv, again, load, r, held, refused;
	uint64_t *x = answer(0);

	SEND(G4_RANDOM0, REQ, RW);
	other(SPIN, 20000, 0);
	recv = recv_at(FDAT);
	again = recv_at(FDAT);
	load = other(LOAD, FDAT, 0);
	END();
	other(STORE, FDAT, G4_RANDOM1);
	SEND(LAST, NOPAGE, 0);
	start(guest);
	receive(guest, 300);
	r = sys_ipc_try_send(guest, G4_RANDOM2, x, perm);
	held = pageref(x);
	refused = sys_ipc_try_send(guest, 0xbad, answer(1), RW);
	until_last(guest, 300);
	say(key);
	VALUE(r);
	VALUE(held);
	VALUE(refused);
	VALUE(R(recv));
	VALUE(V(recv) == G4_RANDOM2);
	VALUE(R(again));
	VALUE(R(load) == G4_PAGE_WORD + 1);
	VALUE(pageref(x));
	until_last(guest, 300);
	VALUE(x[0] == G4_RANDOM1);
	end(guest);
	VALUE(pageref(x));
	VALUE(pageref(answer(1)));
}

/* The answer is late: the guest sleeps, and is woken. */
static void
sleeps(void)
{
	envid_t guest = new_guest();
	const volatile struct Env *e = &envs[ENVX(guest)];
	int recv, runs, r;

	SEND(G4_RANDOM0, REQ, RW);
	recv = recv_at(NOPAGE);
	END();
	start(guest);
	receive(guest, 300);
	pass(40);
	say("sleeps");
	VALUE(STATUS(guest));
	VALUE(e->env_ipc_recving);
	runs = e->env_runs;
	pass(40);
	VALUE(e->env_runs - runs);
	r = sys_ipc_try_send(guest, (uint64_t) (int64_t) -E_NO_DISK,
	    (void *) UTOP, 0);
	VALUE(r);
	VALUE(STATUS(guest));
	VALUE(until_last(guest, 300));
	VALUE(R(recv));
	VALUE(V(recv));
	end(guest);
}

/* Its parent stops a guest that sleeps; the answer comes; it goes on later. */
static void
stopped(void)
{
	envid_t guest = new_guest();
	int recv, r;

	SEND(G4_RANDOM0, REQ, RW);
	recv = recv_at(NOPAGE);
	END();
	start(guest);
	receive(guest, 300);
	pass(40);
	sys_env_set_status(guest, ENV_NOT_RUNNABLE);
	r = sys_ipc_try_send(guest, G4_RANDOM3, (void *) UTOP, 0);
	say("stopped");
	VALUE(r);
	VALUE(STATUS(guest));
	pass(40);
	VALUE(STATUS(guest));
	start(guest);
	VALUE(until_last(guest, 300));
	VALUE(R(recv));
	VALUE(V(recv) == G4_RANDOM3);
	end(guest);
}

/* Who may answer, and with what. */
static void
who_answers(void)
{
	envid_t guest = new_guest();
	int recv, idle, again, nothing, denied;

	SEND(G4_RANDOM0, REQ, RW);
	recv = recv_at(NOPAGE);
	END();
	idle = sys_ipc_try_send(guest, 1, (void *) UTOP, 0);
	start(guest);
	receive(guest, 300);
	pass(30);
	control->guest = guest;
	control->intrude = 1;
	pass(60);
	nothing = sys_ipc_try_send(guest, 2, AT(40), RW);
	sys_page_map(0, answer(1), 0, AT(41), RO);
	denied = sys_ipc_try_send(guest, 3, AT(41), RW);
	sys_page_unmap(0, AT(41));
	again = sys_ipc_try_send(guest, G4_RANDOM3, (void *) UTOP, 0);
	until_last(guest, 300);
	say("who");
	VALUE(idle);
	VALUE(control->intrude == 2 ? control->intruded : -99);
	VALUE(nothing);
	VALUE(denied);
	VALUE(again);
	VALUE(R(recv));
	VALUE(V(recv) == G4_RANDOM3);
	VALUE(pageref(answer(1)));
	end(guest);
}

/* Answers that aren't fetched, or not to a place, give their pages back. */
static void
unfetched(void)
{
	envid_t guest = new_guest();
	int bad, after, nopage, old, none, i;
	int held[6], given[6];

	none = recv_at(FDAT);			/* nothing was asked */
	SEND(0, REQ, RW);
	other(SPIN, 20000, 0);
	SEND(1, REQ, RW);			/* the answer is forgotten */
	other(SPIN, 20000, 0);
	bad = recv_at(MEM);
	after = recv_at(FDAT);
	SEND(2, REQ, RW);
	other(SPIN, 20000, 0);
	nopage = recv_at(NOPAGE);
	SEND(3, REQ, RW);
	other(SPIN, 20000, 0);
	recv_at(FDAT);
	SEND(4, REQ, RW);
	other(SPIN, 20000, 0);
	old = recv_at(FDAT);			/* in place of the last */
	END();
	other(SPIN, -1, 0);
	start(guest);
	for (i = 0; i < 5; i++) {
		held[i] = given[i] = -1;
		if (!receive(guest, 300) || message.value != (uint64_t) i)
			break;
		if (i > 0)
			given[i - 1] = pageref(answer(i - 1));
		sys_ipc_try_send(guest, 0x40 + i, answer(i), RW);
		held[i] = pageref(answer(i));
	}
	until_last(guest, 300);
	say("unfetched");
	VALUE(i);
	VALUE(R(none));
	VALUE(R(bad));
	VALUE(R(after));
	VALUE(R(nopage));
	VALUE(V(nopage));
	VALUE(R(old));
	for (i = 0; i < 5; i++) {
		VALUE(held[i]);
		VALUE(pageref(answer(i)));
	}
	end(guest);
}

/* The server is busy; the message waits, and comes once. */
static void
busy(void)
{
	envid_t guest = new_guest();
	const volatile struct Env *e = &envs[ENVX(guest)];
	int s = SEND(G4_RANDOM1, REQ, RW), runs, early;
	bool came;

	END();
	start(guest);
	runs = e->env_runs;
	pass(60);
	early = R(s) != (uint64_t) G4_NOTHING;
	say("busy");
	VALUE(early);
	VALUE(e->env_runs - runs > 1);
	came = receive(guest, 300);
	VALUE(came && message.value == G4_RANDOM1);
	VALUE(until_last(guest, 300));
	VALUE(R(s));
	end(guest);
}

#if __has_include(<grade/hidden.h>)
#include <grade/hidden.h>
#else
#define hidden()	(void) 0
#endif

/* One guest sleeps, another has an answer that it hasn't fetched. */
static void
leave_two(void)
{
	envid_t guest = new_guest(), another;

	SEND(G4_RANDOM2, REQ, RW);
	recv_at(FDAT);
	start(guest);
	receive(guest, 300);
	pass(30);
	another = new_guest();
	SEND(G4_RANDOM3, REQ, RW);
	other(SPIN, -1, 0);
	start(another);
	receive(another, 300);
	sys_ipc_try_send(another, G4_RANDOM1, answer(0), RW);
	say("left");
	VALUE(guest);
	VALUE(another);
}

void
umain(int argc, char **argv)
{
	USED(argc);
	USED(argv);
	server = sys_getenvid();
	sys_page_alloc(0, control, RW | PTE_SHARE);
	watcher = fork();
	if (watcher < 0)
		panic("fork: %e", watcher);
	if (watcher == 0)
		watch();
	say("numbers");
	VALUE(server);
	VALUE(ENV_RUNNABLE);
	VALUE(ENV_NOT_RUNNABLE);
	VALUE(PTE_P | PTE_U);
	VALUE(PTE_W);
	try_sends("whoms", whoms, ARRAY_SIZE(whoms));
	try_sends("places", places, ARRAY_SIZE(places));
	try_sends("rights", rights, ARRAY_SIZE(rights));
	delivery("delivery", REQ, RW);
	delivery("readonly", REQ2, RO);
	answers("answers", RW);
	answers("answersro", RO);
	sleeps();
	stopped();
	who_answers();
	unfetched();
	busy();
	hidden();
	leave_two();
	say("done");
	say("");
	for (;;)
		sys_yield();
}
