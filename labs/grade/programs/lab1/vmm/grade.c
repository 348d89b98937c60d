/*
 * For the checks of lab 1: what a processor is like when a guest lands on it,
 * and processors that are made up.  Checks read the arrays from outside.
 */
#include <inc/error.h>
#include <inc/grade.h>
#include <inc/mmu.h>
#include <inc/msr.h>
#include <inc/x86.h>
#include <kern/cpu.h>
#include <kern/env.h>
#include <kern/pmap.h>
#include <vmm/mon_vmx.h>
#include <vmm/vmx.h>

struct GradeNote {
	int number;		/* of a probe; of a landing its guest's id */
	int cpu;
	uint64_t cr0, cr4;
	int root;		/* cpus[].is_vmx_root */
	uint32_t vmxons;
	uint64_t region;	/* physical */
	uint32_t revision;	/* in the region */
	uint32_t wanted;	/* in IA32_VMX_BASIC */
	uint64_t feature_control;
	int stored;		/* VMPTRST has worked */
};

struct GradeNote grade_landings[64], grade_probes[64];
int grade_nlandings, grade_nprobes;
struct GradeModel *grade_model;

int grade_landed(struct Env *e);
bool grade_asked(int *r, uint64_t order, uint64_t argument);
bool grade_cpuid(uint32_t leaf, uint32_t *a, uint32_t *b, uint32_t *c,
    uint32_t *d);
bool grade_rdmsr(uint32_t msr, uint64_t *v);
bool grade_wrmsr(uint32_t msr, uint64_t v);

static void
note(struct GradeNote *notes, int *n, int number, bool landing)
{
	struct GradeNote *x;
	uint64_t pointer = 0;

	if (*n == 64)
		return;
	x = &notes[*n];
	x->number = number;
	x->cpu = cpunum();
	x->cr0 = rcr0();
	x->cr4 = rcr4();
	x->root = thiscpu->is_vmx_root;
	x->vmxons = thiscpu->vmxon_count;
	if (thiscpu->vmxon_region != NULL) {
		x->region = PADDR(thiscpu->vmxon_region);
		x->revision = thiscpu->vmxon_region[0];
	}
	if (landing) {
		x->wanted = VMX_BASIC_REVISION(rdmsr(MSR_IA32_VMX_BASIC));
		x->feature_control = rdmsr(MSR_IA32_FEATURE_CONTROL);
		if (x->cr4 & CR4_VMXE) {
			/* An undefined instruction, unless VMX is on. */
			asm volatile("vmptrst %0" : "+m" (pointer) : : "memory",
			    "cc");
			x->stored = 1;
		}
	}
	(*n)++;
}

/* The guest e is about to be loaded.  It goes no further. */
int
grade_landed(struct Env *e)
{
	note(grade_landings, &grade_nlandings, e->env_id, true);
	return -E_VMCS_INIT;
}

static void
try_model(struct GradeModel *m)
{
	grade_model = m;
	m->support = vmx_check_support();
	if (m->support == 0)
		m->ept = vmx_check_ept();
	if (m->monitor)
		mon_vmx(0, NULL, NULL);
	grade_model = NULL;
	m->feature_after = m->feature_control;
}

/* Is this system call an order?  Then it has been done, and fails. */
bool
grade_asked(int *r, uint64_t order, uint64_t argument)
{
	*r = -E_UNSPECIFIED;
	if (order == GRADE_PROBE)
		note(grade_probes, &grade_nprobes, argument, false);
	else if (order == GRADE_MODEL)
		try_model((struct GradeModel *) argument);
	else
		return false;
	return true;
}

bool
grade_cpuid(uint32_t leaf, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
	struct GradeModel *m = grade_model;

	if (m == NULL)
		return false;
	m->cpuids++;
	*a = leaf == 0 ? 13 : leaf == CPUID_EXT_LEAVES ? m->last_ext : 0x306c3;
	*b = *d = 0;
	*c = leaf == 1 ? m->leaf_1_ecx
	    : leaf == CPUID_EXT_FEATURES && leaf <= m->last_ext ? m->ext_ecx : 0;
	return true;
}

static uint64_t *
register_of(struct GradeModel *m, uint32_t msr)
{
	static uint64_t plain = 0xffffffff00000000;
	bool vmx = m->leaf_1_ecx & CPUID_1_ECX_VMX;
	bool secondary = vmx && m->procbased >> 63;

	if (msr == MSR_IA32_FEATURE_CONTROL)
		return vmx ? &m->feature_control : NULL;
	if (msr == MSR_IA32_VMX_BASIC)
		return vmx ? &m->basic : NULL;
	if (msr == MSR_IA32_VMX_PROCBASED_CTLS)
		return vmx ? &m->procbased : NULL;
	if (msr == MSR_IA32_VMX_PROCBASED_CTLS2)
		return secondary ? &m->procbased2 : NULL;
	if (msr == MSR_IA32_VMX_EPT_VPID_CAP)
		return secondary && (m->procbased2 >> 32 & (PROCBASED2_EPT
		    | PROCBASED2_VPID)) ? &m->ept_cap : NULL;
	if (msr == MSR_IA32_VMX_TRUE_PROCBASED_CTLS)
		return vmx && (m->basic & VMX_BASIC_TRUE_CTLS) ? &m->procbased
		    : NULL;
	if (msr > MSR_IA32_VMX_EPT_VPID_CAP && msr < MSR_IA32_VMX_VMFUNC)
		return vmx && (m->basic & VMX_BASIC_TRUE_CTLS) ? &plain : NULL;
	if (msr > MSR_IA32_VMX_BASIC && msr < MSR_IA32_VMX_PROCBASED_CTLS2)
		return vmx ? &plain : NULL;
	return NULL;
}

bool
grade_rdmsr(uint32_t msr, uint64_t *v)
{
	struct GradeModel *m = grade_model;
	uint64_t *place;

	if (m == NULL)
		return false;
	m->reads++;
	m->reads_48b += msr == MSR_IA32_VMX_PROCBASED_CTLS2;
	m->reads_48c += msr == MSR_IA32_VMX_EPT_VPID_CAP;
	place = register_of(m, msr);
	if (place == NULL && m->bad_reads++ == 0)
		m->bad_read = msr;
	*v = place == NULL ? 0 : *place;
	return true;
}

bool
grade_wrmsr(uint32_t msr, uint64_t v)
{
	struct GradeModel *m = grade_model;

	if (m == NULL)
		return false;
	if (msr != MSR_IA32_FEATURE_CONTROL || register_of(m, msr) == NULL
	    || (m->feature_control & FEATURE_CONTROL_LOCK)) {
		if (m->bad_writes++ == 0)
			m->bad_write = msr;
	} else
		m->feature_control = ((m->feature_control & ~m->taken)
		    | (v & m->taken)) | m->set;
	return true;
}
