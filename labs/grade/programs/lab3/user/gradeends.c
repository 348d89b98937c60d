/* Exits that end a guest, and nothing else. */
#include "gradeguest.h"

#define CASES(X)							\
	X(1, "ends-hlt", LONG, 0, 0, 0, 0, "hlt")			\
	X(2, "ends-beyond", LONG, 0, 0, 0, 0, "movq 0x20008, %rax")	\
	X(3, "ends-no-right", LONG, 0, 0, 0, 0, "movq %rax, 0x7ff0")	\
	X(4, "ends-triple", LONG, 0, 0, 0, 0, "lidt 0xc000; int3")	\
	X(5, "ends-off", LONG, 0x2000, 0, 0, 0, "movl $0x604, %edx; outw %ax, %dx") \
	X(6, "ends-task", REAL, 0, 0, 0, 0, "lgdtl 0xb800; movl %cr0, %eax; " \
	    "orl $1, %eax; movl %eax, %cr0; movw $0x20, %ax; ltr %ax; "	\
	    "ljmpl $0x28, $0")						\
	X(7, "after", LONG, 1000, 0, 0, 0, "vmcall; movl $77, %ecx")

CASES(CODE)
static const struct Case cases[] = { CASES(ROW) };

void
umain(int argc, char **argv)
{
	(void) argc, (void) argv;
	run_all(cases, ARRAY_SIZE(cases));
}
