/* gradefile NAME SEED SIZE: make a file of SIZE pseudo-random bytes. */
#include <inc/lib.h>

static uint32_t x;
static char buf[3000];

static void
fill(int n)
{
	int i;

	for (i = 0; i < n; i++) {
		x = x * 1103515245 + 12345;
		buf[i] = x >> 16;
	}
}

static void
check(const char *what, int r)
{
	if (r < 0) {
		printf("gradefile: %s: %e\n", what, r);
		exit();
	}
}

void
umain(int argc, char **argv)
{
	int fd, left, n;

	if (argc != 4)
		exit();
	x = strtol(argv[2], 0, 10);
	left = strtol(argv[3], 0, 10);
	check("open", fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC));
	for (; left > 0; left -= n) {
		n = MIN(left, (int) sizeof buf);
		fill(n);
		check("write", write(fd, buf, n));
	}
	/* And once more in the middle. */
	check("seek", seek(fd, 5000));
	fill(sizeof buf);
	check("write", write(fd, buf, sizeof buf));
	check("close", close(fd));
}
