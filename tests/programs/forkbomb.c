/* Fork until it fails; every child waits to be killed.  Twice. */
#include <inc/lib.h>

static envid_t children[NENV];

static int
bomb(void)
{
	envid_t child;
	int n;

	for (n = 0; n < NENV; n++) {
		child = fork();
		if (child == 0)
			for (;;)
				ipc_recv(NULL, NULL, NULL);
		if (child < 0) {
			cprintf("forkbomb: %d children, then: %e\n", n, child);
			break;
		}
		children[n] = child;
	}
	return n;
}

void
umain(int argc, char **argv)
{
	int round, i, n;

	USED(argc);
	USED(argv);
	for (round = 0; round < 2; round++) {
		n = bomb();
		for (i = 0; i < n; i++)
			sys_env_destroy(children[i]);
	}
	cprintf("forkbomb: done\n");
}
