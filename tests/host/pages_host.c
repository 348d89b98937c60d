/* The host's side of test_pages.c: memory at KERNBASE, and no console. */
#include <stdio.h>
#include <sys/mman.h>

#define KERNBASE	0x8004000000UL

size_t check_maps(int n);

int
cprintf(const char *fmt, ...)
{
	(void) fmt;
	return 0;
}

int
main(void)
{
	void *ram = mmap((void *) KERNBASE, 1UL << 30, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
			 | MAP_FIXED_NOREPLACE, -1, 0);

	if (ram != (void *) KERNBASE) {
		perror("mmap");
		return 1;
	}
	printf("1000 maps, %zu pages compared\n", check_maps(1000));
	return 0;
}
