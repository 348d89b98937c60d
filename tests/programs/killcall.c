/*
 * Kill clients of the file server in the middle of a call, at many moments,
 * and see that the server still serves.
 */
#include <inc/lib.h>

static void
client(void)
{
	char buf[512];
	int fd, i;

	for (;;) {
		fd = open("/killcall.tmp", O_CREAT | O_RDWR);
		if (fd < 0)
			panic("open: %e", fd);
		for (i = 0; i < 20; i++)
			write(fd, buf, sizeof buf);
		seek(fd, 0);
		while (read(fd, buf, sizeof buf) > 0)
			;
		ftruncate(fd, 0);
		close(fd);
	}
}

void
umain(int argc, char **argv)
{
	char buf[64];
	envid_t child;
	int round, i, fd, n;

	USED(argc);
	USED(argv);
	for (round = 0; round < 40; round++) {
		child = fork();
		if (child == 0)
			client();
		for (i = 0; i < round * 3; i++)
			sys_yield();
		sys_env_destroy(child);
	}
	fd = open("/motd", O_RDONLY);
	if (fd < 0)
		panic("open /motd: %e", fd);
	n = read(fd, buf, sizeof buf);
	cprintf("killcall: the server still reads %d bytes\n", n > 0);
	remove("/killcall.tmp");
	sync();
	cprintf("killcall: done\n");
}
