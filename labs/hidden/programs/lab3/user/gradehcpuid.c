/* More of CPUID and of hypercalls. */
#include "gradeguest.h"

#define UPPER	0xa5a5a5a500000000UL
#define CPUID(X, n, leaf, sub) \
	X(n, "cpuid-" #leaf, LONG, UPPER | leaf, UPPER | sub, 0, 0, "cpuid")

#define CASES(X)							\
	CPUID(X, 1, 0x80000003, 0)					\
	CPUID(X, 2, 0x80000006, 0)					\
	CPUID(X, 3, 0x3, 0)						\
	CPUID(X, 4, 0x6, 0)						\
	CPUID(X, 5, 0xa, 0)						\
	CPUID(X, 6, 0xffffffff, 0)					\
	CPUID(X, 7, 0x40000002, 0)					\
	CPUID(X, 8, 0x40000011, 0)					\
	CPUID(X, 9, 0x1, 9)						\
	X(10, "cpuid-compared", LONG, 0, 0, 0, 0,			\
	    "movq $-1, %rax; cpuid; addq %rbx, %rax; addq %rcx, %rax; "	\
	    "addq %rdx, %rax; movq %rax, %r8; movl $1, %eax; cpuid; "	\
	    "movq %rcx, %r9")						\
	X(11, "mbmap-upper", LONG, 0x100000000UL | VMX_VMCALL_MBMAP, 7,	\
	    MAP_FULL, 0, "vmcall")					\
	X(12, "mbmap-minus", LONG, ~0UL, 7, MAP_FULL, 0, "vmcall")	\
	X(13, "mbmap-640K", REAL, VMX_VMCALL_MBMAP, 7, MAP_FULL, 160, "vmcall") \
	X(14, "mbmap-636K", REAL, VMX_VMCALL_MBMAP, 7, MAP_FULL, 159, "vmcall") \
	X(15, "mbmap-800K", REAL, VMX_VMCALL_MBMAP, 7, MAP_FULL, 200, "vmcall") \
	X(16, "mbmap-1M", REAL, VMX_VMCALL_MBMAP, 7, MAP_FULL, 256, "vmcall") \
	X(17, "mbmap-1028K", REAL, VMX_VMCALL_MBMAP, 7, MAP_FULL, 257, "vmcall") \
	X(18, "mbmap-3G", REAL, VMX_VMCALL_MBMAP, 7, MAP_FULL, 786432, "vmcall") \
	X(19, "mbmap-32K", REAL, VMX_VMCALL_MBMAP, 7, MAP_FULL, 8, "vmcall") \
	X(20, "mbmap-twice", LONG, VMX_VMCALL_MBMAP, 7, MAP_FULL, 64,	\
	    "vmcall; movl " TEXT(MBI) " + 44, %r8d; movl $0x1234, "	\
	    TEXT(MBI) " + 44; movl $" TEXT(VMX_VMCALL_MBMAP) ", %eax; "	\
	    "vmcall; movl " TEXT(MBI) " + 44, %r9d")			\
	X(21, "mbmap-prefix", LONG, VMX_VMCALL_MBMAP, 7, MAP_FULL, 0,	\
	    ".byte 0x2e; vmcall; movl $77, %r10d")

CASES(CODE)
static const struct Case cases[] = { CASES(ROW) };

void
umain(int argc, char **argv)
{
	(void) argc, (void) argv;
	run_all(cases, ARRAY_SIZE(cases));
}
