/* Steps that the checks write, and what became of them. */
#ifndef JOS_VMM_GRADE_H
#define JOS_VMM_GRADE_H

#include <inc/types.h>

enum {
	GRADE_ROOT,		/* make empty tables: root */
	GRADE_PUT,		/* our own entry: root, gpa, page, perm, level */
	GRADE_BITS,		/* turn bits over: root, gpa, level, bits */
	GRADE_LOOKUP,		/* root, gpa, create, is the entry wanted? */
	GRADE_MAP,		/* root, page, offset, gpa, perm, overwrite */
	GRADE_FREE,		/* free the tables: root */
	GRADE_REFS,		/* page, references */
	GRADE_DIRTY,		/* the next n free pages hold rubbish: n */
	GRADE_ENV,		/* env, parent, memory of a guest or 0 */
	GRADE_INSERT,		/* env, page, va, perm */
	GRADE_CALL,		/* src, va, guest, gpa, perm, page */
	GRADE_END,		/* env */
	GRADE_GUEST,		/* a guest for asm_vmrun: number */
	GRADE_RUN,		/* guest, bytes of stack, what to spoil */
	GRADE_CLEAR		/* guest: its VMCS goes back to memory */
};

enum { SPOIL_NOTHING, SPOIL_CURRENT, SPOIL_LAUNCHED, SPOIL_STATE };

enum {
	GRADE_ROOTS = 64,	/* the second half: those of guests */
	GRADE_PAGES = 32,
	GRADE_ENVS = 32,
	GRADE_GUESTS = 4,
	GRADE_RUNS = 96,
	GRADE_REGS = 16		/* 15 in the order of PushRegs, and CR2 */
};

#define GRADE_NULL	255		/* a root that is NULL */
#define GRADE_RAW	(1UL << 32)	/* this number itself as an id */

struct GradeStep {
	int32_t op;
	int32_t pages;		/* free pages that are left, -1: all */
	uint64_t a[6];
};

struct GradeResult {
	int32_t state;		/* 0: not begun, 1: not ended, 2: done */
	int32_t r;		/* what the function returned */
	int64_t took;		/* free pages that it took */
	uint64_t out;		/* physical address of the entry, or a run */
	int64_t refs;		/* references that its page has got */
};

struct GradeRun {
	uint64_t sent[GRADE_REGS];	/* by the host */
	uint64_t seen[GRADE_REGS];	/* by the guest */
	uint64_t answer[GRADE_REGS];	/* the guest's registers at the exit */
	uint64_t got[GRADE_REGS];	/* by the host */
	uint64_t before[6], after[6];	/* RBX RBP R12 R13 R14 R15 */
	uint64_t rsp;			/* at the call */
	uint64_t host_rsp, host_rip;	/* of the VMCS */
	uint64_t reason, error;
	uint64_t vmcs;			/* its physical address */
};

extern const struct GradeStep grade_steps[];
extern const uint64_t grade_count;
extern struct GradeResult grade_results[];
extern const uint64_t grade_seed;
extern const char grade_nonce[];

void grade_vm_step(const struct GradeStep *s, struct GradeResult *result);
struct Trapframe;
struct Guest;
int grade_vmrun(struct Trapframe *tf, struct Guest *g);

#endif
