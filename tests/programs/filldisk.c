/*
 * Fill the disk with files until there is no room, check that what was
 * written before is whole, remove it all, and do it again: as much must fit.
 */
#include <inc/lib.h>

static char block[PGSIZE];

static int
fill(void)
{
	char name[32];
	int file, fd, n, blocks = 0;

	for (file = 0; ; file++) {
		snprintf(name, sizeof name, "/fill%d", file);
		fd = open(name, O_CREAT | O_RDWR);
		if (fd < 0) {
			cprintf("filldisk: open: %e\n", fd);
			return blocks;
		}
		for (n = 0; n < 200; n++) {
			memset(block, file + n, sizeof block);
			int r = write(fd, block, sizeof block);
			if (r != sizeof block) {
				cprintf("filldisk: write: %e\n", r);
				close(fd);
				return blocks;
			}
			blocks++;
		}
		close(fd);
	}
}

static void
check(int blocks)
{
	char name[32];
	int file, fd, n, i;

	for (file = 0; blocks > 0; file++) {
		snprintf(name, sizeof name, "/fill%d", file);
		fd = open(name, O_RDONLY);
		if (fd < 0)
			panic("%s: %e", name, fd);
		for (n = 0; n < 200 && blocks > 0; n++, blocks--) {
			if (readn(fd, block, sizeof block) != sizeof block)
				panic("%s block %d is missing", name, n);
			for (i = 0; i < PGSIZE; i++)
				if (block[i] != (char) (file + n))
					panic("%s block %d is wrong", name, n);
		}
		close(fd);
	}
}

static void
remove_all(void)
{
	char name[32];
	int file;

	for (file = 0; ; file++) {
		snprintf(name, sizeof name, "/fill%d", file);
		if (remove(name) < 0)
			return;
	}
}

void
umain(int argc, char **argv)
{
	int first, second;

	USED(argc);
	USED(argv);
	first = fill();
	check(first);
	remove_all();
	second = fill();
	check(second);
	remove_all();
	sync();
	cprintf("filldisk: %d blocks, then %d\n", first, second);
	cprintf(first > 100 && first == second ? "filldisk: good\n"
						: "filldisk: lost blocks\n");
}
