/* What tests of kernel files on the host have in common: messages, numbers. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

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
