/* CPUID and hypercalls, as a guest in 64-bit mode sees them. */
#include "gradeguest.h"

#define UPPER	0x5a5a5a5a00000000UL	/* a leaf is in EAX, not in RAX */
#define CPUID(X, n, leaf, sub) \
	X(n, "cpuid-" #leaf, LONG, UPPER | leaf, UPPER | sub, 0, 0, "cpuid")

#define CASES(X)							\
	CPUID(X, 1, 0x0, 0)						\
	CPUID(X, 2, 0x1, 0)						\
	CPUID(X, 3, 0x80000000, 0)					\
	CPUID(X, 4, 0x80000001, 0)					\
	CPUID(X, 5, 0x80000002, 0)					\
	CPUID(X, 6, 0x80000004, 0)					\
	CPUID(X, 7, 0x80000008, 0)					\
	CPUID(X, 8, 0x2, 0)						\
	CPUID(X, 9, 0x4, 1)						\
	CPUID(X, 10, 0x7, 0)						\
	CPUID(X, 11, 0xb, 1)						\
	CPUID(X, 12, 0xd, 0)						\
	CPUID(X, 13, 0x80000007, 0)					\
	CPUID(X, 14, 0x12345678, 0)					\
	CPUID(X, 15, 0x40000000, 0)					\
	CPUID(X, 16, 0x40000010, 0)					\
	CPUID(X, 17, 0x40000001, 0)					\
	X(18, "cpuid-prefix", LONG, 0, 0, 0, 0,				\
	    ".byte 0x66, 0xf2; cpuid")					\
	X(19, "cpuid-real", REAL, 1, 0, 0, 0, "cpuid")			\
	X(20, "cpuid-twice", LONG, 1, 0, 0, 0,				\
	    "cpuid; movl %ecx, %r8d; movl $1, %eax; cpuid")		\
	X(21, "vmcall-none", LONG, 1000, 7, 0, 0, "vmcall")		\
	X(22, "vmcall-real", REAL, 1000, 7, 0, 0, "vmcall")		\
	X(23, "mbmap", LONG, VMX_VMCALL_MBMAP, 7, MAP_FULL, 0, "vmcall")	\
	X(24, "mbmap-real", REAL, VMX_VMCALL_MBMAP, 7, MAP_FULL, 64, "vmcall") \
	X(25, "mbmap-16M", REAL, VMX_VMCALL_MBMAP, 7, MAP_FULL, 4096, "vmcall") \
	X(26, "mbmap-640K", REAL, VMX_VMCALL_MBMAP, 7, MAP_FULL, 160, "vmcall") \
	X(27, "mbmap-800K", REAL, VMX_VMCALL_MBMAP, 7, MAP_FULL, 200, "vmcall") \
	X(28, "mbmap-1M", REAL, VMX_VMCALL_MBMAP, 7, MAP_FULL, 256, "vmcall") \
	X(29, "mbmap-1028K", REAL, VMX_VMCALL_MBMAP, 7, MAP_FULL, 257, "vmcall") \
	X(30, "mbmap-read-only", LONG, VMX_VMCALL_MBMAP, 7, MAP_READ, 0, "vmcall") \
	X(31, "mbmap-not-there", LONG, VMX_VMCALL_MBMAP, 7, MAP_NONE, 0,	\
	    "vmcall; movq " TEXT(MBI) ", %r8; movl " TEXT(MBI) " + 44, %r9d")

CASES(CODE)
static const struct Case cases[] = { CASES(ROW) };

void
umain(int argc, char **argv)
{
	(void) argc, (void) argv;
	run_all(cases, ARRAY_SIZE(cases));
}
