/* Guests that ask for their memory map, from pages that they may write and
 * one that they mayn't. */
#include <inc/lib.h>
#include <inc/multiboot.h>
#include <inc/vmx.h>

/* Leaves the results of MBMAP at 0x500 and 0x504. */
asm(".pushsection .rodata; .code16\n"
    "asks: movl $1, %eax; movl $0x1234, %ebx\n"
    "	.byte 0x0f, 0x01, 0xc1\n"
    "	movl %eax, 0x500; movl %ebx, 0x504; hlt\n"
    "asks_end: .code64; .popsection");
extern const char asks[], asks_end[];

#define LOW	((uint8_t *) UTEMP)
#define INFO	(LOW + PGSIZE)
#define CODE	(LOW + 2 * PGSIZE)

static void
print_info(void)
{
	struct multiboot_info *mb = (struct multiboot_info *) INFO;
	struct memory_map *e = (void *) (INFO + PGOFF(mb->mmap_addr));
	int i, n = mb->mmap_length / sizeof(*e);

	for (i = 0; i < n; i++)
		cprintf("mbmap:   %u %lx %lx %u\n", e[i].size, e[i].base,
			e[i].length, e[i].type);
}

/* Start a guest of memsz bytes whose page 0x6000 has these rights. */
static void
try(size_t memsz, int perm)
{
	envid_t id;
	int i;

	for (i = 0; i < 3; i++)
		if (sys_page_alloc(0, LOW + i * PGSIZE,
				   PTE_P | PTE_U | PTE_W) < 0)
			panic("no memory");
	memcpy(CODE, asks, asks_end - asks);
	if ((id = sys_env_mkguest(memsz, GUEST_ENTRY)) < 0)
		panic("no guest: %e", id);
	if (!(perm & __EPTE_WRITE))
		sys_page_map(0, INFO, 0, INFO, PTE_P | PTE_U);
	if (sys_ept_map(0, LOW, id, NULL, __EPTE_FULL) < 0
	    || sys_ept_map(0, INFO, id, (void *) 0x6000, perm) < 0
	    || sys_ept_map(0, CODE, id, (void *) GUEST_ENTRY, __EPTE_FULL) < 0)
		panic("can't load the guest");
	sys_env_set_status(id, ENV_RUNNABLE);
	wait(id);
	cprintf("mbmap: %lu KiB, rights %d: %d, ebx %x, flags %x\n",
		memsz / 1024, perm, *(int *) (LOW + 0x500),
		*(int *) (LOW + 0x504), *(int *) INFO);
	print_info();
}

void
umain(int argc, char **argv)
{
	try(16 << 20, __EPTE_FULL);
	try(32 << 10, __EPTE_FULL);
	try(1 << 20, __EPTE_FULL);
	try(16 << 20, __EPTE_READ);
	cprintf("mbmap: done\n");
}
