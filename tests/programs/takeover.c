/*
 * A guest has the console and reads nothing.  takeover: the ring of the host
 * is full before; takeover b: another program enters the kernel's monitor
 * meanwhile.
 */
#include <inc/lib.h>
#include <inc/vmx.h>

static uint8_t page[PGSIZE] __attribute__((aligned(PGSIZE))) = {
	0xeb, 0xfe		/* jmp to itself */
};

static void
pass(unsigned ms)
{
	unsigned begin = sys_time_msec();

	while (sys_time_msec() - begin < ms)
		sys_yield();
}

void
umain(int argc, char **argv)
{
	envid_t guest = sys_env_mkguest(PGSIZE * 16, GUEST_ENTRY);

	(void) argv;
	if (guest < 0 || sys_ept_map(0, page, guest, (void *) GUEST_ENTRY,
	    __EPTE_FULL) < 0)
		panic("no guest");
	if (argc > 1 && fork() == 0) {
		pass(200);
		asm volatile("int3");
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
