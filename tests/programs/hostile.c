/*
 * A program that asks for everything it must not have.  It tries every
 * system call with every bad pointer, every bad environment and lengths that
 * wrap, and prints a line for each answer that isn't an error.  A call that
 * kills the caller is made by a child.
 */
#include <inc/lib.h>

#define BAD_ENV_COUNT	5
#define LAST_CALL	40

static const uintptr_t bad[] = {
	0,				/* null */
	1,				/* misaligned, unmapped */
	0x12345000,			/* unmapped */
	UTOP - 8,			/* straddles the end of user space */
	UTOP - PGSIZE + 1,		/* misaligned, straddling */
	UTOP,				/* read-only to programs */
	UPAGES,
	UVPT,				/* the page tables */
	ULIM,
	KERNBASE,
	KERNBASE + 0x100000,		/* the kernel's code */
	0x0000800000000000,		/* not canonical */
	0xffff800000000000,		/* canonical, not ours */
	0xfffffffffffff000,		/* an end that wraps */
	0xffffffffffffffff,
};

static const int64_t bad_envs[BAD_ENV_COUNT] = {
	-1, 1, 0x1000, 0x7fffffff, -0x80000000LL
};

static int cases, children;

static int64_t
call(uint64_t num, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
     uint64_t a5)
{
	int64_t ret;

	asm volatile("int $0x30" : "=a" (ret)
		     : "a" (num), "d" (a1), "c" (a2), "b" (a3), "D" (a4),
		       "S" (a5) : "memory", "cc");
	return ret;
}

/* Make the call in a child, which may die of it. */
static void
in_child(uint64_t num, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
	 uint64_t a5)
{
	envid_t child = fork();

	if (child < 0)
		panic("fork: %e", child);
	if (child == 0) {
		call(num, a1, a2, a3, a4, a5);
		exit();
	}
	wait(child);
	cases++;
	children++;
}

static void
must_fail(const char *what, int64_t ret)
{
	cases++;
	if (ret >= 0)
		cprintf("hostile: %s succeeded: %ld\n", what, (long) ret);
}

static void
try_pointers(uintptr_t p)
{
	envid_t me = sys_getenvid();
	int rw = PTE_P | PTE_U | PTE_W;

	in_child(SYS_cputs, p, 16, 0, 0, 0);
	in_child(SYS_cputs, p, ~0UL, 0, 0, 0);
	in_child(SYS_env_set_trapframe, me, p, 0, 0, 0);
	in_child(SYS_env_set_pgfault_upcall, 0, p, 0, 0, 0);
	if (p >= UTOP || p % PGSIZE) {
		must_fail("page_alloc", call(SYS_page_alloc, 0, p, rw, 0, 0));
		must_fail("page_map to", call(SYS_page_map, 0, UTEXT, 0, p,
					      PTE_P | PTE_U));
		must_fail("page_unmap", call(SYS_page_unmap, 0, p, 0, 0, 0));
	}
	must_fail("page_map from", call(SYS_page_map, 0, p, 0, UTEMP,
					PTE_P | PTE_U));
	if (p < UTOP && p % PGSIZE)
		must_fail("ipc_recv", call(SYS_ipc_recv, p, 0, 0, 0, 0));
}

static void
try_permissions(void)
{
	static const int perms[] = { 0, PTE_P, PTE_U, PTE_P | PTE_U | PTE_PS,
		PTE_P | PTE_U | PTE_PCD, PTE_P | PTE_U | PTE_G, -1 };
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(perms); i++)
		must_fail("page_alloc's permission",
			  call(SYS_page_alloc, 0, UTEMP, perms[i], 0, 0));
	must_fail("a writable map of read-only text",
		  call(SYS_page_map, 0, UTEXT, 0, UTEMP,
		       PTE_P | PTE_U | PTE_W));
	must_fail("a map of the envs array",
		  call(SYS_page_map, 0, UENVS, 0, UTEMP, PTE_P | PTE_U));
}

static void
try_environments(int64_t env)
{
	int rw = PTE_P | PTE_U | PTE_W;

	must_fail("env_destroy", call(SYS_env_destroy, env, 0, 0, 0, 0));
	must_fail("env_set_status",
		  call(SYS_env_set_status, env, ENV_RUNNABLE, 0, 0, 0));
	must_fail("page_alloc in another",
		  call(SYS_page_alloc, env, UTEMP, rw, 0, 0));
	must_fail("page_map into another",
		  call(SYS_page_map, 0, UTEXT, env, UTEMP, PTE_P | PTE_U));
	must_fail("page_map from another",
		  call(SYS_page_map, env, UTEXT, 0, UTEMP, PTE_P | PTE_U));
	must_fail("page_unmap in another",
		  call(SYS_page_unmap, env, UTEXT, 0, 0, 0));
	must_fail("env_set_pgfault_upcall",
		  call(SYS_env_set_pgfault_upcall, env, UTEXT, 0, 0, 0));
}

static void
try_jumps(uintptr_t p)
{
	envid_t child = fork();

	if (child == 0) {
		((void (*)(void)) p)();
		exit();
	}
	wait(child);
	child = fork();
	if (child == 0) {
		asm volatile("movq %0, %%rsp; pushq $0; ret" : : "r" (p));
		exit();
	}
	wait(child);
	cases += 2;
}

static void
try_privileged(int which)
{
	envid_t child = fork();

	if (child == 0) {
		switch (which) {
		case 0: asm volatile("cli"); break;
		case 1: asm volatile("hlt"); break;
		case 2: asm volatile("mov %%cr3, %%rax; mov %%rax, %%cr3"
				     : : : "rax"); break;
		case 3: asm volatile("inb $0x64, %%al" : : : "rax"); break;
		case 4: asm volatile("rdmsr" : : "c" (0xc0000080)
				     : "rax", "rdx"); break;
		case 5: asm volatile("lidt (%0)" : : "r" (UTEXT)); break;
		case 6: asm volatile("int $0x20"); break;
		case 7: asm volatile("int $0x31"); break;
		case 8: asm volatile("int $8"); break;
		case 9: asm volatile("syscall" : : : "rcx", "r11"); break;
		case 10: asm volatile("sysenter"); break;
		case 11: asm volatile("ud2"); break;
		case 12: asm volatile("pushq $0x8; pushq $0; lretq"); break;
		case 13: asm volatile("fninit"); break;
		case 14: asm volatile(".byte 0x0f, 0x28, 0xc0"); break;
		case 15: asm volatile("pushfq; orq $0x100, (%rsp); popfq;"
				      "nop"); break;
		case 16: asm volatile("pushfq; orq $0x44000, (%%rsp); popfq;"
				      "int $0x30" : : "a" (SYS_getenvid));
			break;
		case 17: asm volatile("movq $0x900000000000000, %rsp; pushq $0");
			break;
		case 18: asm volatile("mov %0, %%ds" : : "r" (0x10)); break;
		default: asm volatile("wbinvd"); break;
		}
		exit();
	}
	wait(child);
	cases++;
}

void
umain(int argc, char **argv)
{
	unsigned i;
	int64_t n;

	USED(argc);
	USED(argv);
	binaryname = "hostile";
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		try_pointers(bad[i]);
		try_jumps(bad[i]);
	}
	try_permissions();
	for (i = 0; i < BAD_ENV_COUNT; i++)
		if (bad_envs[i] != 0)
			try_environments(bad_envs[i]);
	for (i = 0; i < 20; i++)
		try_privileged(i);
	for (n = SYS_cwait + 1; n < LAST_CALL; n++)
		must_fail("an unknown call", call(n, 0, 0, 0, 0, 0));
	must_fail("call -1", call(-1, 0, 0, 0, 0, 0));
	must_fail("call 2^32", call(1UL << 32, 0, 0, 0, 0, 0));
	must_fail("env_set_status's status",
		  call(SYS_env_set_status, 0, 77, 0, 0, 0));
	must_fail("env_set_status FREE",
		  call(SYS_env_set_status, 0, ENV_FREE, 0, 0, 0));
	cprintf("hostile: %d cases, %d in children, done\n", cases, children);
}
