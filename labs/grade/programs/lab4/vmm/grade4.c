/* Lab 4's grader: runs a list of operations, and plays a host to programs. */
#include <inc/assert.h>
#include <inc/error.h>
#include <inc/grade4.h>
#include <inc/mmu.h>
#include <inc/stdio.h>
#include <inc/string.h>
#include <inc/trap.h>
#include <inc/vmcall.h>
#include <inc/x86.h>
#include <kern/cpu.h>
#include <kern/env.h>
#include <kern/pmap.h>
#include <vmm/ept.h>
#include <vmm/grade4.h>

enum { MAXOPS = 512 };

struct Grade4Result grade4_results[2][MAXOPS];
int grade4_done[2];			/* how many of each list */
epte_t *grade4_roots[2][GRADE4_ROOTS];
int64_t grade4_nfree0[2];
struct Grade4Area grade4_area;		/* of a program */
const struct {
	int bad_env, inval, no_mem, no_sys, ipc_not_recv, no_disk;
} grade4_errors = { E_BAD_ENV, E_INVAL, E_NO_MEM, E_NO_SYS, E_IPC_NOT_RECV,
	E_NO_DISK };

/* --- instructions that this processor doesn't have */

struct Registers {
	uint64_t r[16];			/* as the processor numbers them */
	uint64_t rip, cs, rflags, rsp, ss;
};
uint64_t grade4_old_ud;			/* the kernel's own handler */

static struct Grade4Result *current;	/* of the operation under way */
static const struct Grade4Op *current_op;
static epte_t *current_root;
static struct Grade4Area *area;

asm(".pushsection .text\n"
    "grade4_ud:\n"
    "	pushq %r15\n	pushq %r14\n	pushq %r13\n	pushq %r12\n"
    "	pushq %r11\n	pushq %r10\n	pushq %r9\n	pushq %r8\n"
    "	pushq %rdi\n	pushq %rsi\n	pushq %rbp\n	pushq %rsp\n"
    "	pushq %rbx\n	pushq %rdx\n	pushq %rcx\n	pushq %rax\n"
    "	movq %rsp, %rdi\n"
    "	cld\n"
    "	subq $8, %rsp\n"
    "	call grade4_undefined\n"
    "	addq $8, %rsp\n"
    "	testb %al, %al\n"
    "	popq %rax\n	popq %rcx\n	popq %rdx\n	popq %rbx\n"
    "	leaq 8(%rsp), %rsp\n	popq %rbp\n	popq %rsi\n	popq %rdi\n"
    "	popq %r8\n	popq %r9\n	popq %r10\n	popq %r11\n"
    "	popq %r12\n	popq %r13\n	popq %r14\n	popq %r15\n"
    "	jz 1f\n"
    "	iretq\n"
    "1:	jmpq *grade4_old_ud(%rip)\n"
    ".popsection\n");
extern char grade4_ud[];

/* The entry of the last level for gpa, or 0. */
static epte_t
leaf(epte_t *table, uint64_t gpa)
{
	if (table == NULL || gpa >> 48 != 0)
		return 0;
	for (int level = EPT_LEVELS - 1; level > 0; level--) {
		epte_t e = table[EPT_INDEX(gpa, level)];

		if (!epte_present(e) || PPN(e) >= npages)
			return 0;
		table = KADDR(EPTE_ADDR(e));
	}
	return table[EPT_INDEX(gpa, 0)];
}

/* The operand in memory of the ModRM byte at p; *end is set to what follows. */
static uint64_t
operand(struct Registers *f, const uint8_t *p, uint8_t rex, const uint8_t **end)
{
	uint8_t mod = p[0] >> 6, rm = p[0] & 7;
	uint64_t at = 0;

	p++;
	if (rm == 4) {
		uint8_t index = (p[0] >> 3 & 7) | (rex & 2) << 2;
		uint8_t base = (p[0] & 7) | (rex & 1) << 3;

		if (index != 4)
			at = (index == 4 ? f->rsp : f->r[index]) << (p[0] >> 6);
		if ((base & 7) == 5 && mod == 0)
			at += *(const int32_t *) (p + 1), p += 4;
		else
			at += base == 4 ? f->rsp : f->r[base];
		p++;
	} else if (rm == 5 && mod == 0) {
		at = (uint64_t) (p + 4) + *(const int32_t *) p;
		p += 4;
	} else
		at = f->r[rm | (rex & 1) << 3];
	if (mod == 1)
		at += *(const int8_t *) p, p++;
	if (mod == 2)
		at += *(const int32_t *) p, p += 4;
	*end = p;
	return at;
}

/* INVEPT of the kernel: note it, and go on as if it had been executed. */
static bool
is_invept(struct Registers *f)
{
	const uint8_t *p = (const uint8_t *) f->rip, *end;
	uint8_t rex = 0;
	const uint64_t *desc;
	int reg;

	if (*p++ != 0x66)
		return false;
	if ((*p & 0xf0) == 0x40)
		rex = *p++;
	if (p[0] != 0x0f || p[1] != 0x38 || p[2] != 0x80)
		return false;
	p += 3;
	reg = (*p >> 3 & 7) | (rex & 4) << 1;
	desc = (const uint64_t *) operand(f, p, rex, &end);
	if (current != NULL) {
		current->invepts++;
		current->type = reg == 4 ? f->rsp : f->r[reg];
		current->eptp = desc[0];
		current->leaf_then = leaf(current_root, current_op->gpa);
	}
	f->rip = (uint64_t) end;
	f->rflags &= ~(uint64_t) (FL_CF | FL_ZF);
	return true;
}

static void
ready(const char *what)
{
	cprintf("\ngrade4 %s %s\n", grade4_nonce, what);
}

static uint64_t
first_word(uint64_t pa)
{
	return PGOFF(pa) == 0 && PPN(pa) < npages ? *(uint64_t *) KADDR(pa) : 0;
}

/* VMCALL of a program: note it, and answer as its script says. */
static bool
is_vmcall(struct Registers *f)
{
	static const int order[6] = { 0, 3, 1, 2, 6, 7 };
	const uint8_t *p = (const uint8_t *) f->rip;
	struct Grade4Answer *a;
	int i;

	if (!(f->cs & 3) || p[0] != 0x0f || p[1] != 0x01 || p[2] != 0xc1)
		return false;
	if (f->r[0] == G4_BEGIN)
		area = (struct Grade4Area *) f->r[3];
	else if (f->r[0] == G4_END || area == NULL
	    || area->ncalls >= G4_CALLS) {
		if (area != NULL)
			grade4_area = *area;
		ready(f->r[0] == G4_END ? "done" : "calls");
		for (;;)
			asm volatile("cli; hlt");
	} else {
		uint64_t *log = &area->calls[area->ncalls].rax;

		for (i = 0; i < 6; i++) {
			log[i] = f->r[order[i]];
			area->calls[area->ncalls].word[i] = first_word(log[i]);
		}
		area->tests[area->ncalls] = area->test;
		a = &area->answers[area->ncalls++ - area->first];
		f->r[0] = a->rax;
		if (a->value_in != 0)
			f->r[a->value_in] = a->value;
		grade4_area = *area;
	}
	f->rip += 3;
	return true;
}

bool __attribute__((used))
grade4_undefined(struct Registers *f)
{
	return f->cs & 3 ? is_vmcall(f) : is_invept(f);
}

static void
take_undefined(void)
{
	struct Pseudodesc pd;
	struct Gatedesc *gate;
	uint64_t at = (uint64_t) grade4_ud;
	uint8_t *raw;

	asm volatile("sidt %0" : "=m" (pd));
	gate = (struct Gatedesc *) pd.pd_base + T_ILLOP;
	raw = (uint8_t *) gate;
	grade4_old_ud = *(uint16_t *) raw
	    | (uint64_t) *(uint16_t *) (raw + 6) << 16
	    | (uint64_t) *(uint32_t *) (raw + 8) << 32;
	*(uint16_t *) raw = at;
	*(uint16_t *) (raw + 6) = at >> 16;
	*(uint32_t *) (raw + 8) = at >> 32;
}

/* --- the list of operations */

static void
run_list(int list, const struct Grade4Op *ops, int n)
{
	struct PageInfo *pages[GRADE4_PAGES];
	int i, j;

	for (i = 0; i < GRADE4_PAGES; i++) {
		pages[i] = page_alloc(0);
		pages[i]->pp_ref = 1;
	}
	for (i = 0; i < GRADE4_ROOTS; i++)
		if (ept_new(&grade4_roots[list][i]) < 0)
			panic("grade4: no memory");
	grade4_nfree0[list] = page_nfree();
	for (i = 0; i < n; i++) {
		const struct Grade4Op *op = &ops[i];
		struct PageInfo *pp = pages[op->page];

		current_op = op;
		current_root = op->root < 0 ? NULL
		    : grade4_roots[list][op->root];
		current = &grade4_results[list][i];
		switch (op->kind) {
		case G4_INSERT:
			if (op->arg)
				page_hide_free_list();
			current->r = ept_page_insert(current_root, pp,
			    (void *) op->gpa, op->perm);
			if (op->arg)
				page_show_free_list();
			break;
		case G4_REFS:
			pp->pp_ref = op->arg;
			break;
		case G4_DECREF:
			page_decref(pp);
			break;
		case G4_ALLOC:
			pages[op->page] = page_alloc(0);
			break;
		}
		current->leaf = leaf(current_root, op->gpa);
		current->nfree = page_nfree();
		for (j = 0; j < GRADE4_PAGES; j++) {
			current->refs[j] = pages[j]->pp_ref;
			current->states[j] = pages[j]->pp_state;
			current->pages[j] = page2pa(pages[j]);
		}
		current = NULL;
		grade4_done[list] = i + 1;
	}
}

/* Called at boot.  With programs to run it returns. */
void
grade4_at_boot(void)
{
	extern const struct BootEnv boot_envs[];

	take_undefined();
	if (boot_envs[0].name != NULL)
		return;
	thiscpu->is_vmx_root = true;
	run_list(0, grade4_ops, grade4_nops);
	ready("public");
	if (grade4_more != NULL)
		run_list(1, grade4_more, grade4_nmore);
	ready("done");
	for (;;)
		asm volatile("cli; hlt");
}
