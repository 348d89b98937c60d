/* Exits of all other kinds. */
#include "gradeguest.h"

#define UNDEFINED(X, n, text) \
	X(n, "undefined-" text, LONG, 0, 0, 0, 0, text " ")
#define GPF(X, n, name, mode, rax, rcx, text)	\
	X(n, name, mode, rax, rcx, 0, 0, text)

#define CASES(X)							\
	X(1, "hlt-wakes", REAL, 0, 0, 0, 0, "sti; hlt; cli; movl $77, %ecx") \
	X(2, "rdmsr-3a", LONG, 0, 0x3a, 0, 0, "rdmsr")			\
	X(3, "rdmsr-none", LONG, 0, 0x12345678, 0, 0, "rdmsr")		\
	X(4, "rdpmc", LONG, 0, 0, 0, 0, "rdpmc")			\
	X(5, "wrmsr-efer-nxe", LONG, 0xd00, 0xc0000080, 0, 0,		\
	    "xorl %edx, %edx; wrmsr; xorl %eax, %eax; rdmsr")		\
	X(6, "wrmsr-efer-sce", LONG, 0xd01, 0xc0000080, 0, 0,		\
	    "xorl %edx, %edx; wrmsr")					\
	X(7, "wrmsr-3a", LONG, 5, 0x3a, 0, 0, "xorl %edx, %edx; wrmsr")	\
	X(8, "cr0-write", REAL, 0x6000002e, 0, 0, 0,			\
	    "movl %eax, %cr0; movl %cr0, %ecx")				\
	X(9, "clts", REAL, 8, 0, 0, 0, "movl %eax, %cr0; clts; movl %cr0, %ecx") \
	X(10, "lmsw", REAL, 0xe, 0, 0, 0, "lmsw %ax; movl %cr0, %ecx")	\
	X(11, "cr4-vmxe", LONG, 0x2020, 0, 0, 0, "movq %rax, %cr4")	\
	X(12, "cr8", LONG, 0, 99, 0, 0, "movq %rax, %cr8; movq %cr8, %rcx") \
	X(13, "dr6", LONG, 0, 0, 0, 0, "movq %dr6, %rax; movq %dr7, %rcx") \
	X(14, "dr0", LONG, 0x1234, 0, 0, 0, "movq %rax, %dr0; movq %dr0, %rax") \
	X(15, "step", LONG, 0, 0, 0, 0,					\
	    "pushfq; orl $0x100, (%rsp); popfq; nop; nop")		\
	X(16, "icebp", LONG, 0, 0, 0, 0, ".byte 0xf1")			\
	X(17, "invd", LONG, 0, 0, 0, 0, "invd; movl $77, %ecx")		\
	X(18, "wbinvd", LONG, 0, 0, 0, 0, "wbinvd; movl $77, %ecx")	\
	X(19, "undefined-vmxoff", LONG, 0, 0, 0, 0, "vmxoff")		\
	X(20, "undefined-vmxon", LONG, 0, 0, 0, 0, "vmxon 0xc000")	\
	X(21, "undefined-vmlaunch", LONG, 0, 0, 0, 0, "vmlaunch")	\
	X(22, "undefined-vmresume", LONG, 0, 0, 0, 0, "vmresume")	\
	X(23, "undefined-vmclear", LONG, 0, 0, 0, 0, "vmclear 0xc000")	\
	X(24, "undefined-vmptrld", LONG, 0, 0, 0, 0, "vmptrld 0xc000")	\
	X(25, "undefined-vmptrst", LONG, 0, 0, 0, 0, "vmptrst 0xc000")	\
	X(26, "undefined-vmread", LONG, 0, 0, 0, 0, "vmread %rax, %rcx")	\
	X(27, "undefined-vmwrite", LONG, 0, 0, 0, 0, "vmwrite %rax, %rcx") \
	X(28, "undefined-invept", LONG, 0, 0, 0, 0, "invept 0xc000, %rax") \
	X(29, "undefined-invvpid", LONG, 0, 0, 0, 0, "invvpid 0xc000, %rax") \
	X(30, "undefined-getsec", LONG, 0, 0, 0, 0, "getsec")		\
	X(31, "undefined-monitor", LONG, 0x7000, 0, 0, 0,		\
	    "xorl %edx, %edx; monitor")					\
	X(32, "undefined-mwait", LONG, 0, 0, 0, 0, "mwait")		\
	X(33, "undefined-rdtscp", LONG, 0, 0, 0, 0, "rdtscp")		\
	X(34, "undefined-xsetbv", LONG, 0, 0, 0, 0, "xsetbv")		\
	X(35, "in-none", LONG, 0x1122334455667788UL, 0, 0, 0, "inb $0x60, %al") \
	X(36, "inw-none", LONG, 0x1122334455667788UL, 0, 0, 0, "inw $0x60, %ax") \
	X(37, "in-lsr", LONG, 0, 0, 0, 0,				\
	    "movl $0x3fd, %edx; inb %dx, %al")				\
	X(38, "cmos", LONG, 0x15, 0, 0, 0,				\
	    "outb %al, $0x70; xorl %eax, %eax; inb $0x71, %al")		\
	X(39, "outs", LONG, 0, 0, 0, 0,					\
	    "movl $0x80, %edx; movl $0x600, %esi; outsb")		\
	X(40, "memory-there", LONG, 0, 0, 0, 0,				\
	    "movq 0x11008, %rax; movq $0x77, 0x11008; movq 0x11008, %rcx") \
	X(41, "timer", REAL, 0, 0, 0, 0,				\
	    "movl $3000000, %ecx; xorl %esi, %esi; "			\
	    "1: incl %esi; decl %ecx; jnz 1b; movl $77, %edx")		\
	X(42, "window", REAL, 0, 0, 0, 0, "movl $3000000, %ecx; "	\
	    "1: decl %ecx; jnz 1b; sti; nop; nop; nop; cli")		\
	X(43, "cr0-both", LONG, 0x80010019, 0, 0, 0,			\
	    "movq %rax, %cr0; movq %cr0, %rcx")

CASES(CODE)
static const struct Case cases[] = { CASES(ROW) };

void
umain(int argc, char **argv)
{
	(void) argc, (void) argv;
	run_all(cases, ARRAY_SIZE(cases));
}
