/* Guests that spin and guests that call, together, stopped and ended. */
#include <inc/lib.h>
#include <inc/vmx.h>

#define NGUESTS	4

static uint8_t guest_code[2][PGSIZE] __attribute__((aligned(PGSIZE))) = {
	{ 0xfb, 0xeb, 0xfe },			/* sti; jmp . */
	{
		0xfb,				/* sti */
		0x66, 0xbb, 1, 2, 3, 4,		/* mov $0x04030201, %ebx */
		0x66, 0xb9, 2, 2, 3, 4,		/* ecx, edx, esi, edi, ebp */
		0x66, 0xba, 3, 2, 3, 4,
		0x66, 0xbe, 4, 2, 3, 4,
		0x66, 0xbf, 5, 2, 3, 4,
		0x66, 0xbd, 6, 2, 3, 4,
		0x0f, 0x01, 0xc1,		/* vmcall */
		0xeb, 0xfb			/* jmp to it */
	},
};

static volatile const struct Env *guests[NGUESTS];
static envid_t ids[NGUESTS];

static int
free_pages(void)
{
	int n = 0;

	for (int i = 0; i < (256 << 20) / PGSIZE; i++)
		n += pages[i].pp_ref == 0;
	return n;
}

static int
gdt_limit(void)
{
	struct Pseudodesc pd;

	asm volatile("sgdt %0" : "=m" (pd));
	return pd.pd_lim;
}

static void
start(int i)
{
	ids[i] = sys_env_mkguest(PGSIZE * 16, GUEST_ENTRY);
	if (ids[i] < 0)
		panic("no guest: %e", ids[i]);
	guests[i] = &envs[ENVX(ids[i])];
	if (sys_ept_map(0, guest_code[i % 2], ids[i], (void *) GUEST_ENTRY,
	    __EPTE_READ | __EPTE_EXEC) < 0)
		panic("no page for the guest");
	sys_env_set_status(ids[i], ENV_RUNNABLE);
}

/* Which processors guest i has run on, as bits; *runs: how often. */
static unsigned
watch(int i, unsigned msec, unsigned *runs)
{
	unsigned first = guests[i]->env_runs, cpus = 0;
	unsigned end = sys_time_msec() + msec;

	while (sys_time_msec() < end) {
		cpus |= 1 << guests[i]->env_cpunum;
		sys_yield();
	}
	*runs = guests[i]->env_runs - first;
	return cpus;
}

static void
check_registers(int i)
{
	const volatile struct PushRegs *r = &guests[i]->env_tf.tf_regs;

	if (r->reg_rbx != 0x04030201 || r->reg_rcx != 0x04030202
	    || r->reg_rdx != 0x04030203 || r->reg_rsi != 0x04030204
	    || r->reg_rdi != 0x04030205 || r->reg_rbp != 0x04030206
	    || r->reg_rax != (uint64_t) -E_NO_SYS || r->reg_r8 != 0
	    || r->reg_r9 != 0 || r->reg_r10 != 0 || r->reg_r11 != 0
	    || r->reg_r12 != 0 || r->reg_r13 != 0 || r->reg_r14 != 0
	    || r->reg_r15 != 0)
		panic("a register of guest %d is wrong", i);
}

static void
run_all(void)
{
	unsigned runs, cpus = 0;
	int i;

	for (i = 0; i < NGUESTS; i++)
		start(i);
	for (i = 0; i < NGUESTS; i++) {
		cpus |= watch(i, 200, &runs);
		cprintf("GUEST %d runs %u\n", i, runs);
	}
	cprintf("CPUS %x\n", cpus);
	sys_env_set_status(ids[0], ENV_NOT_RUNNABLE);
	watch(0, 50, &runs);
	watch(0, 200, &runs);
	cprintf("STOPPED runs %u\n", runs);
	sys_env_set_status(ids[0], ENV_RUNNABLE);
	watch(0, 200, &runs);
	cprintf("AGAIN runs %u\n", runs);
	for (i = 0; i < NGUESTS; i++) {
		if (i % 2 == 1)
			check_registers(i);
		sys_env_destroy(ids[i]);
	}
	watch(0, 50, &runs);
}

void
umain(int argc, char **argv)
{
	int limit = gdt_limit(), before;

	(void) argc, (void) argv;
	run_all();
	before = free_pages();
	run_all();
	cprintf("LOST %d pages\n", before - free_pages());
	for (int i = 0; i < 1000 && gdt_limit() == limit; i++)
		sys_yield();
	cprintf("GDT limit %d, was %d\n", gdt_limit(), limit);
	cprintf("GUESTS DONE\n");
}
