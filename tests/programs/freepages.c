/* Count the pages of memory that nobody uses, from the kernel's own array. */
#include <inc/lib.h>

void
umain(int argc, char **argv)
{
	size_t i, n = 0;

	USED(argc);
	USED(argv);
	for (i = 0; i < 65536 && (uvpd[VPD(UPAGES)] & PTE_P)
	     && (uvpt[VPN(&pages[i])] & PTE_P); i++)
		if (pages[i].pp_ref == 0)
			n++;
	cprintf("freepages: %u\n", (unsigned) n);
}
