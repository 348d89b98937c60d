/*
 * The checks' steps, in place of the book's own test of the extended page
 * tables.  Runs at boot in kernel-epttest; after a kernel panic the monitor's
 * command `epttest' goes on with the next step.
 */
#include <inc/env.h>
#include <inc/error.h>
#include <inc/stdio.h>
#include <inc/string.h>
#include <inc/syscall.h>
#include <inc/x86.h>
#include <kern/cpu.h>
#include <kern/env.h>
#include <kern/monitor.h>
#include <kern/pmap.h>
#include <kern/syscall.h>
#include <vmm/ept.h>
#include <vmm/grade.h>

physaddr_t grade_roots[GRADE_ROOTS];
struct PageInfo *grade_pages[GRADE_PAGES];
physaddr_t grade_page_pa[GRADE_PAGES];
uint64_t grade_page_refs[GRADE_PAGES];
struct Env *grade_envs[GRADE_ENVS];
envid_t grade_ids[GRADE_ENVS];
uint64_t grade_next;
static bool hidden;
static epte_t poison;

static epte_t *
root(uint64_t n)
{
	return n == GRADE_NULL ? NULL : KADDR(grade_roots[n]);
}

static envid_t
id(uint64_t n)
{
	return n & GRADE_RAW ? (envid_t) n : grade_ids[n];
}

/* Our own walk, which the student's functions have no part in. */
static void
put(epte_t *table, uint64_t gpa, epte_t value, int last)
{
	for (int level = 3; level > last; level--) {
		epte_t *e = &table[gpa >> (12 + 9 * level) & 511];

		if (*e == 0)
			*e = PADDR(kpage_alloc()) | 7;
		table = KADDR(*e & ~0xfffUL);
	}
	table[gpa >> (12 + 9 * last) & 511] = value;
}

/* Turn bits over in the entry of this level. */
static void
turn(epte_t *table, uint64_t gpa, int last, uint64_t bits)
{
	for (int level = 3; level > last; level--)
		table = KADDR(table[gpa >> (12 + 9 * level) & 511]
		    & 0xffffffffff000);
	table[gpa >> (12 + 9 * last) & 511] ^= bits;
}

static void
make_env(uint64_t n, uint64_t parent, uint64_t memory)
{
	struct Env *e;

	if (env_alloc(&e, parent == GRADE_NULL ? 0 : grade_ids[parent]) < 0)
		panic("grade: no environment");
	env_set_status(e, ENV_NOT_RUNNABLE);
	grade_envs[n] = e;
	grade_ids[n] = e->env_id;
	if (memory == 0)
		return;
	e->env_type = ENV_TYPE_GUEST;
	e->env_vmxinfo.phys_sz = memory;
	e->env_vmxinfo.ept = kpage_alloc();
	grade_roots[GRADE_ROOTS / 2 + n] = PADDR(e->env_vmxinfo.ept);
}

static void
end_env(struct Env *e)
{
	ept_free(e->env_vmxinfo.ept);
	e->env_vmxinfo.ept = NULL;
	env_free(e);
}

static void
make_dirty(int n)
{
	struct PageInfo *list = NULL, *pp;

	while (n-- > 0 && (pp = page_alloc(0)) != NULL) {
		memset(page2kva(pp), 0xd7, PGSIZE);
		*(struct PageInfo **) page2kva(pp) = list;
		list = pp;
	}
	while ((pp = list) != NULL) {
		list = *(struct PageInfo **) page2kva(pp);
		*(uint64_t *) page2kva(pp) = 0xd7d7d7d7d7d7d7d7;
		page_free(pp);
	}
}

/* Leave n free pages. */
static void
hide_all_but(int n)
{
	struct PageInfo *left[8];

	for (int i = 0; i < n; i++)
		left[i] = page_alloc(0);
	page_hide_free_list();
	hidden = true;
	for (int i = 0; i < n; i++)
		page_free(left[i]);
}

static void
show(void)
{
	if (hidden)
		page_show_free_list();
	hidden = false;
}

static void
do_step(const struct GradeStep *s, struct GradeResult *result)
{
	const uint64_t *a = s->a;
	struct PageInfo *pp = NULL;
	struct Env *old = curenv;
	epte_t *e = &poison;
	size_t before;
	int refs = 0;

	if (s->pages >= 0)
		hide_all_but(s->pages);
	before = page_nfree();
	switch (s->op) {
	case GRADE_ROOT:
		grade_roots[a[0]] = PADDR(kpage_alloc());
		break;
	case GRADE_PUT:
		put(root(a[0]), a[1], a[3] == 0 ? 0
		    : grade_page_pa[a[2]] | 0x70 | a[3], a[4]);
		break;
	case GRADE_BITS:
		turn(root(a[0]), a[1], a[2], a[3]);
		break;
	case GRADE_LOOKUP:
		result->r = ept_lookup_gpa(root(a[0]), (void *) a[1], a[2],
		    a[3] ? &e : NULL);
		result->out = e == &poison ? 0 : (uintptr_t) e - KERNBASE;
		break;
	case GRADE_MAP:
		pp = grade_pages[a[1]];
		refs = pp->pp_ref;
		result->r = ept_map_hva2gpa(root(a[0]),
		    (char *) page2kva(pp) + a[2], (void *) a[3], a[4], a[5]);
		break;
	case GRADE_FREE:
		ept_free(root(a[0]));
		break;
	case GRADE_REFS:
		grade_pages[a[0]]->pp_ref = a[1];
		break;
	case GRADE_DIRTY:
		make_dirty(a[0]);
		break;
	case GRADE_ENV:
		make_env(a[0], a[1], a[2]);
		break;
	case GRADE_INSERT:
		page_insert(grade_envs[a[0]]->env_pml4e, grade_pages[a[1]],
		    (void *) a[2], a[3]);
		break;
	case GRADE_CALL:
		pp = a[5] == GRADE_NULL ? NULL : grade_pages[a[5]];
		refs = pp == NULL ? 0 : pp->pp_ref;
		thiscpu->cpu_env = grade_envs[0];
		result->r = syscall(SYS_ept_map, id(a[0]), a[1], id(a[2]), a[3],
		    a[4]);
		thiscpu->cpu_env = old;
		break;
	case GRADE_END:
		end_env(grade_envs[a[0]]);
		break;
	default:
		grade_vm_step(s, result);
		break;
	}
	result->took = before - page_nfree();
	result->refs = pp == NULL ? 0 : pp->pp_ref - refs;
	show();
}

static bool
has_vmx(void)
{
	uint32_t ecx;

	cpuid(1, NULL, NULL, &ecx, NULL);
	return ecx & 1 << 5;
}

/* Without VMX the steps about tables, with VMX those about entering. */
static bool
is_for_us(const struct GradeStep *s)
{
	return (s->op >= GRADE_GUEST) == has_vmx();
}

static void __attribute__((used, noreturn))
grade_go(void)
{
	show();
	thiscpu->cpu_env = NULL;
	for (int i = 0; i < GRADE_PAGES && grade_page_pa[i] == 0; i++) {
		grade_pages[i] = page_alloc(ALLOC_ZERO);
		grade_page_pa[i] = page2pa(grade_pages[i]);
	}
	while (grade_next < grade_count) {
		const struct GradeStep *s = &grade_steps[grade_next];
		struct GradeResult *result = &grade_results[grade_next++];

		if (!is_for_us(s))
			continue;
		result->state = 1;
		do_step(s, result);
		result->state = 2;
	}
	for (int i = 0; i < GRADE_PAGES; i++)
		grade_page_refs[i] = grade_pages[i]->pp_ref;
	cprintf("grade: %s ends\n", grade_nonce);
	for (;;)
		monitor(NULL);
}

/* Each time from the top of the same stack: panics don't use it up. */
int
mon_epttest(int argc, char **argv, struct Trapframe *tf)
{
	static char stack[8 * PGSIZE] __attribute__((aligned(16)));

	(void) argc, (void) argv, (void) tf;
	asm volatile("movq %0, %%rsp\n\t"
	    "xorl %%ebp, %%ebp\n\t"
	    "call grade_go"
	    : : "r" (stack + sizeof(stack)) : "memory");
	__builtin_unreachable();
}
