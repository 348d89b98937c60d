/* The host's side of test_fs.c: what needs the host's own headers. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int test_main(const char *fsck, const char *image);

void
host_vsay(const char *fmt, va_list ap)
{
	vprintf(fmt, ap);
	fflush(stdout);
}

void
host_fail(void)
{
	abort();
}

/* Addresses that a stray access is caught at, until they are opened. */
void
host_reserve(void *va, size_t size)
{
	if (mmap(va, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		 MAP_FIXED_NOREPLACE, -1, 0) != va) {
		perror("mmap");
		exit(2);
	}
}

void
host_access(void *va, size_t size, int allowed)
{
	mprotect(va, size, allowed ? PROT_READ | PROT_WRITE : PROT_NONE);
}

/* Run fsck on the image; its output goes to buf.  Returns its status. */
int
host_fsck(const char *fsck, const char *image, const void *data, size_t size,
	  char *buf, size_t room)
{
	char command[1024];
	size_t n;
	FILE *f = fopen(image, "wb");

	if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
		abort();
	snprintf(command, sizeof(command), "'%s' '%s'", fsck, image);
	if ((f = popen(command, "r")) == NULL)
		abort();
	n = fread(buf, 1, room - 1, f);
	buf[n] = '\0';
	while (fgetc(f) != EOF)
		;
	return pclose(f) >> 8;
}

int
main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	return test_main(argv[1], argv[2]);
}
