/*
 * Destroy children that are running on another processor, then ask that
 * processor to flush its translations for the next: it must still listen.
 */
#include <inc/lib.h>

void
umain(int argc, char **argv)
{
	const volatile struct Env *e;
	envid_t child;
	unsigned start;
	int round;

	USED(argc);
	USED(argv);
	for (round = 0; round < 10; round++) {
		child = fork();
		if (child == 0)
			for (;;)
				;
		e = &envs[ENVX(child)];
		start = sys_time_msec();
		while (e->env_status != ENV_RUNNING
		       && sys_time_msec() - start < 200)
			sys_yield();
		sys_page_alloc(child, (void *) UTEMP, PTE_P | PTE_U | PTE_W);
		sys_env_destroy(child);
		wait(child);
	}
	cprintf("killspin: done\n");
}
