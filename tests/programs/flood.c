/*
 * Map one page at many addresses, and let a child print all of it in one
 * call.  The parent must still get its turn, and can end the child.
 */
#include <inc/lib.h>

#define PAGES	30000
#define PLACE	0xa0000000UL
#define RW	(PTE_P | PTE_U | PTE_W)

void
umain(int argc, char **argv)
{
	envid_t child;
	int i;

	USED(argc);
	USED(argv);
	sys_page_alloc(0, (void *) PLACE, RW);
	memset((void *) PLACE, '.', PGSIZE);
	for (i = 1; i < PAGES; i++)
		sys_page_map(0, (void *) PLACE, 0,
			     (void *) (PLACE + i * PGSIZE), RW);
	child = fork();
	if (child < 0)
		panic("fork: %e", child);
	if (child == 0) {
		sys_cputs((char *) PLACE, (size_t) PAGES * PGSIZE);
		exit();
	}
	for (i = 0; i < 10; i++)
		sys_yield();
	sys_env_destroy(child);
	cprintf("\nflood: over\n");
}
