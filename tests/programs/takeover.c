/*
 * A guest has the console and reads nothing.  takeover: the ring of the host
 * is full before; takeover b: another program enters the kernel's monitor
 * meanwhile; takeover p: it says that the guest has the console.  takeover w: a
 * guest whose parent is gone isn't our child.
 */
#include <inc/lib.h>
#include <inc/vmx.h>
#include "pass.h"

static uint8_t page[PGSIZE] __attribute__((aligned(PGSIZE))) = {
	0xeb, 0xfe		/* jmp to itself */
};

/* Nobody would wake one who waits for somebody else's child. */
static void
wait_for_an_orphan(envid_t guest)
{
	envid_t child = fork();

	if (child == 0) {
		envid_t orphan = sys_env_mkguest(PGSIZE * 16, GUEST_ENTRY);

		sys_ept_map(0, page, orphan, (void *) GUEST_ENTRY,
		    __EPTE_READ | __EPTE_EXEC);
		sys_env_set_status(orphan, ENV_RUNNABLE);
		exit();
	}
	wait(child);
	for (int i = 0; i < NENV; i++)
		if (envs[i].env_type == ENV_TYPE_GUEST
		    && envs[i].env_status != ENV_FREE
		    && envs[i].env_id != guest) {
			int r = sys_env_wait(envs[i].env_id);

			cprintf("ORPHAN wait %d, end %d\n", r,
			    sys_env_destroy(envs[i].env_id));
		}
	sys_env_destroy(guest);
	exit();
}

void
umain(int argc, char **argv)
{
	envid_t guest = sys_env_mkguest(PGSIZE * 16, GUEST_ENTRY);

	if (guest < 0 || sys_ept_map(0, page, guest, (void *) GUEST_ENTRY,
	    __EPTE_FULL) < 0)
		panic("no guest");
	if (argc > 1 && argv[1][0] == 'w')
		wait_for_an_orphan(guest);
	if (argc > 1 && fork() == 0) {
		pass(200);
		if (argv[1][0] == 'b')
			asm volatile("int3");
		else
			cprintf("TAKEOVER is attached\n");
		exit();
	}
	if (argc == 1) {
		cprintf("TAKEOVER type now\n");
		pass(1000);
	}
	cprintf("TAKEOVER attach\n");
	cprintf("TAKEOVER done %d\n", sys_guest_attach(guest));
	sys_env_destroy(guest);
}
