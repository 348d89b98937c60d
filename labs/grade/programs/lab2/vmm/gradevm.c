/*
 * A guest in 64-bit mode that exchanges all its registers with the host:
 * steps for asm_vmrun.  Its memory is made here, without the student's
 * functions.
 */
#include <inc/assert.h>
#include <inc/env.h>
#include <inc/stdio.h>
#include <inc/string.h>
#include <inc/x86.h>
#include <kern/cpu.h>
#include <kern/env.h>
#include <kern/pmap.h>
#include <vmm/grade.h>
#include <vmm/guest.h>
#include <vmm/vmcs.h>
#include <vmm/vmx.h>

#define CODE		0x5000		/* guest-physical */
#define DATA		0x4000
#define NPAGES		8

extern const char grade_guest_code[], grade_guest_end[];

/* Store the 15 registers and CR2 at DATA, load them from DATA + 0x100. */
asm(".pushsection .rodata\n"
    "grade_guest_code:\n\t"
    "movq %r15, 0x4000; movq %r14, 0x4008; movq %r13, 0x4010\n\t"
    "movq %r12, 0x4018; movq %r11, 0x4020; movq %r10, 0x4028\n\t"
    "movq %r9, 0x4030; movq %r8, 0x4038; movq %rsi, 0x4040\n\t"
    "movq %rdi, 0x4048; movq %rbp, 0x4050; movq %rdx, 0x4058\n\t"
    "movq %rcx, 0x4060; movq %rbx, 0x4068; movq %rax, 0x4070\n\t"
    "movq %cr2, %rax; movq %rax, 0x4078\n\t"
    "movq 0x4178, %rax; movq %rax, %cr2\n\t"
    "movq 0x4100, %r15; movq 0x4108, %r14; movq 0x4110, %r13\n\t"
    "movq 0x4118, %r12; movq 0x4120, %r11; movq 0x4128, %r10\n\t"
    "movq 0x4130, %r9; movq 0x4138, %r8; movq 0x4140, %rsi\n\t"
    "movq 0x4148, %rdi; movq 0x4150, %rbp; movq 0x4158, %rdx\n\t"
    "movq 0x4160, %rcx; movq 0x4168, %rbx; movq 0x4170, %rax\n\t"
    "vmcall\n"
    "grade_guest_end:\n"
    ".popsection");

/* Call asm_vmrun (RDI, RSI) with the registers that it must keep from RDX,
 * and store them to RCX and the stack pointer to R8. */
int grade_keep(struct Trapframe *tf, struct Guest *g, const uint64_t *before,
    uint64_t *after, uint64_t *rsp);
asm(".pushsection .text\n"
    "grade_keep:\n\t"
    "pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14\n\t"
    "pushq %r15; pushq %rcx\n\t"
    "movq %rsp, (%r8)\n\t"
    "movq (%rdx), %rbx; movq 8(%rdx), %rbp; movq 16(%rdx), %r12\n\t"
    "movq 24(%rdx), %r13; movq 32(%rdx), %r14; movq 40(%rdx), %r15\n\t"
    "movabsq $grade_vmrun, %rax\n\t"
    "call *%rax\n\t"
    "popq %rcx\n\t"
    "movq %rbx, (%rcx); movq %rbp, 8(%rcx); movq %r12, 16(%rcx)\n\t"
    "movq %r13, 24(%rcx); movq %r14, 32(%rcx); movq %r15, 40(%rcx)\n\t"
    "popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n\t"
    "ret\n"
    ".popsection");

struct GradeRun grade_runs[GRADE_RUNS];
uint64_t grade_nruns;

static struct {
	struct Env *env;
	uint64_t *data;
	bool set;
} guests[GRADE_GUESTS];

static uint64_t
nonce(void)
{
	static uint64_t x;

	if (x == 0)
		x = grade_seed | 1;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static void
make_guest(int n)
{
	uint64_t *epts[4], *page;
	struct Env *e;

	if (!thiscpu->is_vmx_root && vmx_init_vmxon() < 0)
		panic("grade: no VMX");
	if (guest_create(&e, 0, GUEST_MEM_SZ, CODE) < 0)
		panic("grade: no guest");
	epts[0] = e->env_vmxinfo.ept;
	for (int i = 1; i < 4; i++) {
		epts[i] = kpage_alloc();
		epts[i - 1][0] = PADDR(epts[i]) | 7;
	}
	for (int i = 0; i < NPAGES; i++) {
		page = kpage_alloc();
		epts[3][i] = PADDR(page) | 0x77;
		if (i == 1)
			page[0] = 0x2003;
		else if (i == 2)
			page[0] = 0x3003;
		else if (i == 3)
			page[0] = 0x83;
		else if (i == DATA / PGSIZE)
			guests[n].data = page;
		else if (i == CODE / PGSIZE)
			memcpy(page, grade_guest_code,
			    grade_guest_end - grade_guest_code);
	}
	guests[n].env = e;
}

/* 64-bit mode, with a page of 2 MiB for all there is. */
static void
set_long_mode(void)
{
	const uint32_t flat = RIGHTS_DATA16 | RIGHTS_G | RIGHTS_DB;

	vmcs_write(VMCS_ENTRY_CONTROLS, vmcs_read(VMCS_ENTRY_CONTROLS) | 1 << 9);
	vmcs_write(VMCS_GUEST_CR0, vmcs_read(VMCS_GUEST_CR0) | CR0_PE | CR0_PG);
	vmcs_write(VMCS_GUEST_CR4, vmcs_read(VMCS_GUEST_CR4) | CR4_PAE);
	vmcs_write(VMCS_GUEST_CR3, 0x1000);
	vmcs_write(VMCS_GUEST_EFER, 0x500);
	for (int s = 0; s < 6; s++) {
		vmcs_write(VMCS_GUEST_LIMIT(s), 0xffffffff);
		vmcs_write(VMCS_GUEST_RIGHTS(s), s == 1
		    ? RIGHTS_CODE16 | RIGHTS_G | RIGHTS_L : flat);
	}
}

static void
spoil(struct Env *e, int what)
{
	struct Guest *g = e->env_vmxinfo.guest;

	if (what == SPOIL_CURRENT)
		vmcs_clear(e);
	else if (what == SPOIL_LAUNCHED)
		g->launched = !g->launched;
	else if (what == SPOIL_STATE)
		vmcs_write(VMCS_GUEST_RFLAGS, 0);
}

static int __attribute__((noinline))
run_deeper(size_t bytes, struct Env *e, struct GradeRun *run)
{
	volatile char space[bytes + 16];
	int r;

	space[0] = space[bytes] = 1;
	r = grade_keep(&e->env_tf, e->env_vmxinfo.guest, run->before, run->after,
	    &run->rsp);
	return space[0] == 1 ? r : -1;
}

static int
run(int n, size_t bytes, int what, struct GradeRun *run)
{
	struct Env *e = guests[n].env;
	struct Guest *g = e->env_vmxinfo.guest;
	uint64_t *regs = &e->env_tf.tf_regs.reg_r15, *data = guests[n].data;
	int r, tries = 0;

	if (vmcs_load(e) < 0)
		panic("grade: no VMCS");
	if (!guests[n].set)
		set_long_mode();
	guests[n].set = true;
	vmcs_write(VMCS_GUEST_RIP, CODE);
	vmcs_write(VMCS_GUEST_RFLAGS, 2);
	for (int i = 0; i < GRADE_REGS; i++) {
		run->sent[i] = nonce();
		run->answer[i] = data[32 + i] = nonce();
		data[i] = 0;
	}
	memcpy(regs, run->sent, 15 * sizeof(*regs));
	g->cr2 = run->sent[15];
	for (int i = 0; i < 6; i++)
		run->before[i] = nonce();
	run->vmcs = PADDR(e->env_vmxinfo.vmcs);
	spoil(e, what);
	do {
		r = run_deeper(bytes, e, run);
		run->reason = what == SPOIL_CURRENT ? 0
		    : vmcs_read(VMCS_EXIT_REASON);
		if (r == VMX_SUCCEED && !(run->reason >> 31))
			g->launched = true;
	} while (what == SPOIL_NOTHING && r == VMX_SUCCEED && run->reason == 1
	    && tries++ < 3);
	memcpy(run->got, regs, 15 * sizeof(*regs));
	run->got[15] = g->cr2;
	memcpy(run->seen, data, sizeof(run->seen));
	if (what != SPOIL_CURRENT) {
		run->error = vmcs_read(VMCS_INSTRUCTION_ERROR);
		run->host_rsp = vmcs_read(VMCS_HOST_RSP);
		run->host_rip = vmcs_read(VMCS_HOST_RIP);
	}
	if (what != SPOIL_NOTHING) {
		if (what == SPOIL_LAUNCHED)
			g->launched = !g->launched;
		g->host_rsp = 0;
	}
	return r;
}

void
grade_vm_step(const struct GradeStep *s, struct GradeResult *result)
{
	const uint64_t *a = s->a;

	switch (s->op) {
	case GRADE_GUEST:
		make_guest(a[0]);
		break;
	case GRADE_RUN:
		result->out = grade_nruns++;
		result->r = run(a[0], a[1], a[2], &grade_runs[result->out]);
		break;
	case GRADE_CLEAR:
		vmcs_clear(guests[a[0]].env);
		break;
	}
}
