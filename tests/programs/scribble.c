/*
 * Write nonsense into every page that is shared with the shell, the
 * descriptors of its console too.
 */
#include <inc/lib.h>

#define FIRST	0xd0000000UL		/* where descriptors are */
#define SIZE	(64 * PGSIZE)
#define SHARED	(PTE_P | PTE_W | PTE_SHARE)

void
umain(int argc, char **argv)
{
	uintptr_t va;
	int n = 0;

	USED(argc);
	USED(argv);
	for (va = FIRST; va < FIRST + SIZE; va += PGSIZE)
		if ((uvpd[VPD(va)] & PTE_P)
		    && (uvpt[VPN(va)] & SHARED) == SHARED) {
			memset((void *) va, 0x41, PGSIZE);
			n++;
		}
	cprintf("scribble: %d pages\n", n);
}
