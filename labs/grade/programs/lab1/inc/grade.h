/* What the checks of lab 1 ask of the kernel, by way of sys_env_mkguest(). */
#ifndef JOS_INC_GRADE_H
#define JOS_INC_GRADE_H

#include <inc/types.h>

/* Memory sizes that no guest can have are orders. */
#define GRADE_PROBE	0x7261646531ULL	/* note this processor; rip: a number */
#define GRADE_MODEL	0x7261646533ULL	/* rip: a struct GradeModel */

/* A processor as rdmsr(), wrmsr() and cpuid() of the kernel show it. */
struct GradeModel {
	uint32_t leaf_1_ecx, last_ext, ext_ecx;
	uint64_t feature_control;
	uint64_t taken;		/* bits that a write to it can change */
	uint64_t set;		/* bits that a write sets, wanted or not */
	uint64_t basic, procbased, procbased2, ept_cap;
	int monitor;		/* the monitor's command vmx, too */
	/* what came of it */
	int support, ept;
	uint64_t feature_after;
	uint32_t bad_read, bad_write;	/* the first MSR that isn't there */
	uint32_t bad_reads, bad_writes;
	uint32_t reads_48b, reads_48c, reads, cpuids;
};

#endif
