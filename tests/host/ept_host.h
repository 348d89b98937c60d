/* What test_ept.c has from the host: no libc header goes with JOS's. */
#include <inc/types.h>

extern uintptr_t host_ram;		/* physical memory begins here */
uint64_t host_random(uint64_t limit);	/* from 0 to limit - 1 */
void host_fail(const char *fmt, ...) __attribute__((noreturn));
void check_ept(int rounds);
