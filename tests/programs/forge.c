/*
 * Send messages to everybody who waits for one, in the hope that somebody
 * takes them for the answer of the file server.
 */
#include <inc/lib.h>

static char page[PGSIZE] __attribute__((aligned(PGSIZE)));

static void
forge(envid_t victim)
{
	memset(page, 0x5a, sizeof page);
	for (;;) {
		if (sys_ipc_try_send(victim, 7, page, PTE_P | PTE_U | PTE_W)
		    == -E_BAD_ENV)
			exit();
		sys_yield();
	}
}

void
umain(int argc, char **argv)
{
	static char buf[8000];
	envid_t me = sys_getenvid(), child;
	int i, fd, n, bad = 0;

	USED(argc);
	USED(argv);
	child = fork();
	if (child == 0)
		forge(me);
	for (i = 0; i < 200; i++) {
		if ((fd = open("/lorem", O_RDONLY)) < 0) {
			bad++;
			continue;
		}
		n = readn(fd, buf, sizeof buf);
		if (n < 500 || memcmp(buf, "Lorem", 5) != 0)
			bad++;
		close(fd);
	}
	sys_env_destroy(child);
	cprintf("forge: %d of %d files were read wrong\n", bad, i);
}
