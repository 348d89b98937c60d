/* The host's side of test_ept.c: physical memory. */
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#define RAM	(16UL << 20)

uintptr_t host_ram;
void check_ept(int rounds);

int
main(void)
{
	void *ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (ram == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	host_ram = (uintptr_t) ram;
	check_ept(50);
	printf("50 guests\n");
	return 0;
}
