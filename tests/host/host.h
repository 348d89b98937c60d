/* What a test has from host.c: no libc header goes with JOS's. */
#include <inc/types.h>

uint64_t host_random(uint64_t limit);	/* from 0 to limit - 1 */
void host_fail(const char *fmt, ...) __attribute__((noreturn));
