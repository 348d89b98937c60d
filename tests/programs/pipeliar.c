/*
 * A child writes nonsense into the positions of a pipe.  Its parent reads
 * nonsense, but goes on.
 */
#include <inc/lib.h>

void
umain(int argc, char **argv)
{
	static char buf[4 * PGSIZE];
	volatile uint64_t *position;
	struct Fd *fd;
	envid_t child;
	int p[2], n;

	USED(argc);
	USED(argv);
	if (pipe(p) < 0)
		panic("pipe");
	child = fork();
	if (child == 0) {
		fd_lookup(p[0], &fd);
		position = (volatile uint64_t *) fd2data(fd);
		position[0] = 5;
		position[1] = 1UL << 40;
		exit();
	}
	close(p[1]);
	wait(child);
	n = read(p[0], buf, sizeof buf);
	cprintf("pipeliar: read %s\n", n <= PGSIZE ? "no more than a ring" :
		"too much");
}
