/* More exits, with prefixes and in other forms. */
#include "gradeguest.h"

#define CASES(X)							\
	X(1, "rdmsr-7fffffff", LONG, 0, 0x7fffffff, 0, 0, "rdmsr")	\
	X(2, "rdpmc-1", LONG, 0, 1, 0, 0, "rdpmc")			\
	X(3, "wrmsr-upper", LONG, 0x500, 0xc0000080, 0, 0,		\
	    "movl $1, %edx; wrmsr")					\
	X(4, "wrmsr-lstar", LONG, 0, 0xc0000082, 0, 0,			\
	    "xorl %edx, %edx; wrmsr")					\
	X(5, "clts-long", LONG, 0x80000019, 0, 0, 0,			\
	    "movq %rax, %cr0; clts; movq %cr0, %rcx")			\
	X(6, "cr4-smep", LONG, 0x100020, 0, 0, 0, "movq %rax, %cr4")	\
	X(7, "cr8-1", LONG, 1, 0, 0, 0, "movq %rax, %cr8")		\
	X(8, "dr3", LONG, 7, 0, 0, 0, "movq %rax, %dr3; movq %dr3, %rax") \
	X(9, "wbinvd-prefix", LONG, 0, 0, 0, 0,				\
	    ".byte 0x66; wbinvd; movl $77, %ecx")			\
	X(10, "undefined-vmread", LONG, 0, 0, 0, 0, "vmread %rax, 0xc000") \
	X(11, "undefined-vmptrst", LONG, 0, 0, 0, 0, "vmptrst 0x600")	\
	X(12, "undefined-invvpid", LONG, 2, 0, 0, 0, "invvpid 0xc000, %rax") \
	X(13, "undefined-invept", LONG, 2, 0, 0, 0, "invept 0xc000, %rax") \
	X(14, "undefined-vmwrite", LONG, 2, 0, 0, 0, "vmwrite 0xc000, %rax") \
	X(15, "inl-none", LONG, 0x1122334455667788UL, 0, 0, 0,		\
	    "movl $0x9000, %edx; inl %dx, %eax")			\
	X(16, "out-none", LONG, 5, 0, 0, 0, "outb %al, $0x80; movl $77, %ecx") \
	X(17, "ins", LONG, 0, 0, 0, 0,					\
	    "movl $0x80, %edx; movl $0x600, %edi; insb")		\
	X(18, "memory-far", REAL, 0, 0, 0, 0,				\
	    "movw $0x1800, %ax; movw %ax, %ds; movl $0x77, 0xff0; "	\
	    "movl 0xff0, %ecx; xorw %ax, %ax; movw %ax, %ds")		\
	X(19, "hlt-thrice", REAL, 0, 0, 0, 0,				\
	    "sti; hlt; hlt; hlt; cli; movl $77, %ecx")			\
	X(20, "ends-read-beyond", LONG, 0, 0, 0, 0, "movq 0x1ff000, %rax") \
	X(21, "ends-beyond-1M", LONG, 0, 0, 0, 256, "movb $1, 0x100000") \
	X(22, "ends-8900", LONG, 0, 0, 0, 0, "movl $0x8900, %edx; outb %al, %dx") \
	X(23, "ends-task-2", REAL, 0, 0, 0, 0, "lgdtl 0xb800; movl %cr0, %eax; " \
	    "orl $1, %eax; movl %eax, %cr0; movw $0x20, %ax; ltr %ax; "	\
	    "ljmpl $0x28, $0")						\
	X(24, "after", LONG, 1, 0, 0, 0, "cpuid; movl $77, %r8d")

CASES(CODE)
static const struct Case cases[] = { CASES(ROW) };

void
umain(int argc, char **argv)
{
	(void) argc, (void) argv;
	run_all(cases, ARRAY_SIZE(cases));
}
