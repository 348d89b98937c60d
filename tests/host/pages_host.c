/* The host's side of test_pages.c: memory at KERNBASE, messages, numbers. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define KERNBASE	0x8004000000UL

size_t check_maps(int n);

/* xorshift: the same numbers in every run. */
uint64_t
host_random(uint64_t limit)
{
	static uint64_t x = 88172645463325252UL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return limit ? (x >> 11) % limit : 0;
}

void
host_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	printf("\n");
	exit(1);
}

void
_panic(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("panic at %s:%d: ", file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	printf("\n");
	exit(1);
}

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
