/* Two guests that load their registers and halt. */
#include <inc/lib.h>
#include <inc/vmx.h>
#include "gradehalt.h"

static envid_t
make(int n)
{
	envid_t guest = sys_env_mkguest(PGSIZE * 16, GUEST_ENTRY);
	int r;

	if (guest < 0)
		panic("gradehalt: no guest: %e", guest);
	r = sys_ept_map(0, halt_code[n], guest, (void *) GUEST_ENTRY,
	    __EPTE_READ | __EPTE_EXEC);
	if (r < 0)
		panic("gradehalt: no page: %e", r);
	return guest;
}

void
umain(int argc, char **argv)
{
	envid_t ids[2];
	int n;

	(void) argc, (void) argv;
	for (n = 0; n < 2; n++)
		ids[n] = make(n);
	for (n = 0; n < 2; n++)
		sys_env_set_status(ids[n], ENV_RUNNABLE);
	for (n = 0; n < 2; n++)
		wait(ids[n]);
	cprintf("grade: %s %08x %08x\n", grade_nonce, ids[0], ids[1]);
	for (;;)
		sys_yield();
}
