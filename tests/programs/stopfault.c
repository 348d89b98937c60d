/*
 * Stop a child on another processor, again and again, while it does nothing
 * but fault.  It must stay stopped, also if a fault was just under way.
 * With one processor each round takes a few ticks, so there's a time limit.
 */
#include <inc/lib.h>

#define PLACE	0xa0000000

static void
handler(struct UTrapframe *utf)
{
	sys_page_alloc(0, ROUNDDOWN((void *) utf->utf_fault_va, PGSIZE),
		       PTE_P | PTE_U | PTE_W);
}

void
umain(int argc, char **argv)
{
	const volatile struct Env *e;
	envid_t child;
	int round, bad = 0, r;
	uint32_t runs, start = sys_time_msec();

	USED(argc);
	USED(argv);
	child = fork();
	if (child == 0) {
		set_pgfault_handler(handler);
		for (;;) {
			*(volatile char *) PLACE = 1;
			sys_page_unmap(0, (void *) PLACE);
		}
	}
	e = &envs[ENVX(child)];
	for (round = 0; round < 3000 && sys_time_msec() - start < 5000;
	     round++) {
		for (r = 0; r < round % 7; r++)
			sys_yield();
		sys_env_set_status(child, ENV_NOT_RUNNABLE);
		for (r = 0; r < 50 && e->env_on_cpu; r++)
			sys_yield();
		runs = e->env_runs;
		sys_yield();
		sys_yield();
		if (e->env_status != ENV_NOT_RUNNABLE || e->env_runs != runs)
			bad++;
		sys_env_set_status(child, ENV_RUNNABLE);
	}
	sys_env_destroy(child);
	cprintf("stopfault: %d of %d stops were lost\n", bad, round);
}
