/* What test_pages.c has from the host: no libc header goes with JOS's. */
#include <inc/types.h>

uint64_t host_random(uint64_t limit);	/* from 0 to limit - 1 */
void host_fail(const char *fmt, ...) __attribute__((noreturn));
size_t check_maps(int n);
