/* Guests that land on processors, and what sys_env_mkguest() says of them. */
#include <inc/lib.h>
#include <inc/grade.h>
#include <inc/gradenonce.h>
#include <inc/vmx.h>

#ifndef GUESTS
#define GUESTS 4
#define TRIES 1		/* to make each of them */
#endif

static void
probe(int number)
{
	sys_env_mkguest(GRADE_PROBE, number);
}

/* A child that does nothing, on another processor if there is one. */
static envid_t
start_spinner(void)
{
	envid_t child = fork();
	int i;

	while (child == 0)
		continue;
	for (i = 0; child > 0 && i < 3
	    && envs[ENVX(child)].env_status != ENV_RUNNING; i++)
		sys_yield();
	return child;
}

/* Make a guest, if not on this processor then on another. */
static envid_t
make_guest(void)
{
	envid_t guest, others[2] = { 0, 0 };
	unsigned begin;
	int i;

	for (i = 0; i < TRIES; i++) {
		guest = sys_env_mkguest(PGSIZE * 16, GUEST_ENTRY);
		if (guest > 0)
			break;
		/* With more of us than processors we come round to all. */
		if (i + 1 < TRIES && others[i % 2] == 0)
			others[i % 2] = start_spinner();
		for (begin = sys_time_msec(); i + 1 < TRIES
		    && sys_time_msec() - begin < 25; )
			continue;
	}
	for (i = 0; i < 2; i++)
		if (others[i] > 0)
			sys_env_destroy(others[i]);
	return guest;
}

static bool
gone(envid_t guest)
{
	return envs[ENVX(guest)].env_id != guest
	    || envs[ENVX(guest)].env_status == ENV_FREE;
}

/* Start a guest; spin or yield until it is gone. */
static bool
try_guest(int i)
{
	bool spin = i % 2 == 0;
	envid_t guest = make_guest();
	envid_t spinner = spin ? 0 : start_spinner();
	unsigned begin = sys_time_msec();

	cprintf("GRADE %s guest %d %d\n", NONCE, i, guest);
	if (i == 0)
		probe(1);
	if (guest > 0)
		sys_env_set_status(guest, ENV_RUNNABLE);
	while (guest > 0 && !gone(guest) && sys_time_msec() - begin < 300)
		if (!spin)
			sys_yield();
	if (guest > 0 && !gone(guest)) {
		cprintf("GRADE %s stays %d\n", NONCE, i);
		sys_env_destroy(guest);
	}
	if (spinner > 0)
		sys_env_destroy(spinner);
	return guest > 0;
}

void
umain(int argc, char **argv)
{
	int i;

	(void) argc, (void) argv;
	probe(0);
	for (i = 0; i < GUESTS && try_guest(i); i++)
		continue;
	probe(2);
	cprintf("GRADE %s done %d\n", NONCE, i);
}
