/*
 * One guest after the other, each of which tries one thing: an instruction
 * in real mode.  The guest prints EAX, or a letter for the exception that it
 * got instead, and powers itself off.
 */
#include <inc/lib.h>
#include <inc/vmx.h>

#define CASES(X)\
	X(1, "cpuid1.ecx",\
		"movl $1, %eax; cpuid; movl %ecx, %eax")\
	X(2, "cpuid1.edx",\
		"movl $1, %eax; cpuid; movl %edx, %eax")\
	X(3, "cpuid40000000",\
		"movl $0x40000000, %eax; cpuid")\
	X(4, "cpuid40000010",\
		"movl $0x40000010, %eax; cpuid")\
	X(5, "cpuid80000001.edx",\
		"movl $0x80000001, %eax; cpuid; movl %edx, %eax")\
	X(6, "cpuid7.ebx",\
		"movl $7, %eax; xorl %ecx, %ecx; cpuid; "\
		"movl %ebx, %eax")\
	X(7, "cpuid0.ebx",\
		"xorl %eax, %eax; cpuid; movl %ebx, %eax")\
	X(8, "rdmsr3a",\
		"movl $0x3a, %ecx; rdmsr")\
	X(9, "rdmsr1b",\
		"movl $0x1b, %ecx; rdmsr")\
	X(10, "rdmsr-none",\
		"movl $0x12345678, %ecx; rdmsr")\
	X(11, "rdmsr-efer",\
		"movl $0xc0000080, %ecx; rdmsr")\
	X(12, "wrmsr-efer-nxe",\
		"movl $0xc0000080, %ecx; movl $0x900, %eax; "\
		"xorl %edx, %edx; wrmsr; xorl %eax, %eax; rdmsr")\
	X(13, "wrmsr-efer-sce",\
		"movl $0xc0000080, %ecx; movl $1, %eax; "\
		"xorl %edx, %edx; wrmsr")\
	X(14, "wrmsr-efer-hi",\
		"movl $0xc0000080, %ecx; movl $0, %eax; "\
		"movl $1, %edx; wrmsr")\
	X(15, "wrmsr-lstar",\
		"movl $0xc0000082, %ecx; movl $0, %eax; "\
		"movl $0, %edx; wrmsr")\
	X(16, "wrmsr-tsc",\
		"movl $0x10, %ecx; movl $0, %eax; movl $0, %edx; "\
		"wrmsr")\
	X(17, "fsbase",\
		"movl $0xc0000100, %ecx; movl $0x1234, %eax; "\
		"xorl %edx, %edx; wrmsr; xorl %eax, %eax; rdmsr")\
	X(18, "kgsbase",\
		"movl $0xc0000102, %ecx; movl $0x5678, %eax; "\
		"xorl %edx, %edx; wrmsr; xorl %eax, %eax; cpuid; "\
		"movl $0xc0000102, %ecx; rdmsr")\
	X(19, "sysenter",\
		"movl $0x174, %ecx; movl $0x8, %eax; "\
		"xorl %edx, %edx; wrmsr; xorl %eax, %eax; rdmsr")\
	X(20, "cr0-first",\
		"movl %cr0, %eax")\
	X(21, "cr0-write",\
		"movl $0x6000002e, %eax; movl %eax, %cr0; "\
		"movl %cr0, %eax")\
	X(22, "cr0-bad",\
		"movl $0x80000000, %eax; movl %eax, %cr0")\
	X(23, "clts",\
		"movl $0x8, %eax; movl %eax, %cr0; clts; "\
		"movl %cr0, %eax")\
	X(24, "lmsw",\
		"movw $0xe, %ax; lmsw %ax; movl %cr0, %eax")\
	X(25, "cr4-vmxe",\
		"movl $0x2000, %eax; movl %eax, %cr4")\
	X(26, "cr4-pae",\
		"movl $0x20, %eax; movl %eax, %cr4; movl %cr4, %eax")\
	X(27, "cr4-osfxsr",\
		"movl $0x200, %eax; movl %eax, %cr4")\
	X(28, "cr3",\
		"movl $0x5000, %eax; movl %eax, %cr3; "\
		"xorl %eax, %eax; movl %cr3, %eax")\
	X(29, "dr7",\
		"movl %dr7, %eax")\
	X(30, "dr6",\
		"movl %dr6, %eax")\
	X(31, "dr0",\
		"movl $0x1234, %eax; movl %eax, %dr0; "\
		"movl %dr0, %eax")\
	X(32, "step",\
		"pushfl; popl %eax; orl $0x100, %eax; pushl %eax; "\
		"popfl; nop; nop")\
	X(33, "vmxon",\
		"movl $0x7000, %eax; vmxon (%bx)")\
	X(34, "vmxoff",\
		"vmxoff")\
	X(35, "vmlaunch",\
		"vmlaunch")\
	X(36, "invd",\
		"invd; movl $1, %eax")\
	X(37, "wbinvd",\
		"wbinvd; movl $1, %eax")\
	X(38, "monitor",\
		"movl $0x7000, %eax; xorl %ecx, %ecx; "\
		"xorl %edx, %edx; monitor")\
	X(39, "mwait",\
		"xorl %eax, %eax; xorl %ecx, %ecx; mwait")\
	X(40, "rdpmc",\
		"xorl %ecx, %ecx; rdpmc")\
	X(41, "rdtscp",\
		"rdtscp")\
	X(42, "xsetbv",\
		"xorl %ecx, %ecx; xsetbv")\
	X(43, "getsec",\
		"getsec")\
	X(44, "rdtsc",\
		"rdtsc; movl $1, %eax")\
	X(45, "in60",\
		"movl $0x12345678, %eax; inb $0x60, %al")\
	X(46, "inw",\
		"movl $0x12345678, %eax; movw $0x1f0, %dx; "\
		"inw %dx, %ax")\
	X(47, "inl",\
		"movl $0x12345678, %eax; movw $0xcfc, %dx; "\
		"inl %dx, %eax")\
	X(48, "insb",\
		"movw $0x3f8, %dx; insb")\
	X(49, "outsb",\
		"movw $0x3f8, %dx; rep outsb")\
	X(50, "cmos",\
		"movb $0x15, %al; outb %al, $0x70; xorl %eax, %eax; "\
		"inb $0x71, %al")\
	X(51, "cmos-rtc",\
		"movb $0, %al; outb %al, $0x70; xorl %eax, %eax; "\
		"inb $0x71, %al")\
	X(52, "lsr",\
		"xorl %eax, %eax; movw $0x3fd, %dx; inb %dx, %al")\
	X(53, "iir",\
		"xorl %eax, %eax; movb $7, %al; movw $0x3fa, %dx; "\
		"outb %al, %dx; inb %dx, %al")\
	X(54, "divisor",\
		"movb $0x80, %al; movw $0x3fb, %dx; outb %al, %dx; "\
		"movw $0x3f8, %dx; movb $0x5a, %al; outb %al, %dx; "\
		"xorl %eax, %eax; inb %dx, %al; movl %eax, %ebp; "\
		"movb $3, %al; movw $0x3fb, %dx; outb %al, %dx; "\
		"movl %ebp, %eax")\
	X(55, "data-empty",\
		"movl $-1, %eax; movw $0x3f8, %dx; inb %dx, %al")\
	X(56, "shutdown",\
		"movw $0x8900, %dx; movb $'S', %al; outb %al, %dx")\
	X(57, "beyond",\
		"movw $0x2000, %ax; movw %ax, %ds; movb 0, %al")\
	X(58, "within",\
		"movw $0x1000, %ax; movw %ax, %ds; movl 0, %eax")\
	X(59, "own-stub",\
		"movb $1, %cs:0x7fff")\
	X(60, "triple",\
		"movl $0, %eax; lidtl %cs:0x6000; int3")\
	X(61, "hlt",\
		"cli; hlt")\
	X(62, "icebp",\
		".byte 0xf1")\
	X(63, "backtohost",\
		"movl $5, %eax; vmcall")\
	X(64, "vmcall-none",\
		"movl $1000, %eax; vmcall")\
	X(65, "port-ffff",\
		"movw $0xffff, %dx; inl %dx, %eax")\
	X(66, "lmsw-mem",\
		"movw $0xa, 0x5000; lmsw 0x5000; movl %cr0, %eax")\
	X(67, "movss-icebp",\
		"movw %ss, %dx; pushfl; popl %eax; orl $0x100, %eax; "\
		"pushl %eax; popfl; movw %dx, %ss; .byte 0xf1")\
	X(68, "movss-cpuid",\
		"movw %ss, %dx; pushfl; popl %eax; orl $0x100, %eax; "\
		"pushl %eax; popfl; movw %dx, %ss; cpuid; nop")\
	X(69, "movss-vmxoff",\
		"movw %ss, %dx; pushfl; popl %eax; orl $0x100, %eax; "\
		"pushl %eax; popfl; movw %dx, %ss; vmxoff; nop")

asm(".pushsection .data; .balign 4096; .code16\n"
    "page:\n"
    "	movw $0x7000 + handler_db - page, 4\n"
    "	movw $0x7000 + handler_ud - page, 0x18\n"
    "	movw $0x7000 + handler_gp - page, 0x34\n"
    "	movw $0x7000 + handler_ac - page, 0x44\n"
    "	jmp slot\n"
    "handler_db: movb $'D', %al; movw $0x3f8, %dx; outb %al, %dx\n"
    "	movl %dr6, %eax; jmp hex\n"
    "handler_ud: movb $'U', %al; jmp put\n"
    "handler_gp: movb $'G', %al; jmp put\n"
    "handler_ac: movb $'A', %al\n"
    "put:	movw $0x3f8, %dx; outb %al, %dx; jmp off\n"
    "hex:	movl %eax, %ebx; movw $8, %cx; movw $0x3f8, %dx\n"
    "1:	roll $4, %ebx; movb %bl, %al; andb $15, %al; addb $'0', %al\n"
    "	cmpb $'9', %al; jbe 2f; addb $39, %al\n"
    "2:	outb %al, %dx; loop 1b\n"
    "off:	movw $0x3f8, %dx; movb $'\\n', %al; outb %al, %dx\n"
    "	movw $0x604, %dx; movw $0x2000, %ax; outw %ax, %dx\n"
    "	.balign 256\n"
    "slot:	.fill 256, 1, 0x90\n"
    "	jmp hex\n"
    "	.balign 4096; .popsection; .code64\n");
extern uint8_t page[], slot[];

struct Case {
	const char *name;
	const uint8_t *code, *end;
};

#define CODE(n, name, text)						\
	asm(".pushsection .rodata; .code16\n"				\
	    "c" #n ":" text "\n e" #n ": .code64; .popsection");	\
	extern const uint8_t c##n[], e##n[];
CASES(CODE)
#define ROW(n, name, text)	{ name, c##n, e##n },
static const struct Case cases[] = { CASES(ROW) };

static void
run(const struct Case *c)
{
	envid_t guest = sys_env_mkguest(PGSIZE * 32, GUEST_ENTRY);
	int r;

	if (guest < 0)
		panic("no guest: %e", guest);
	memset(slot, 0x90, 256);
	memcpy(slot, c->code, c->end - c->code);
	r = sys_ept_map(0, page, guest, (void *) GUEST_ENTRY,
	    __EPTE_READ | __EPTE_EXEC);
	if (r < 0)
		panic("no page for the guest: %e", r);
	cprintf("CASE %s: ", c->name);
	r = sys_guest_attach(guest);
	cprintf("RESULT %d\n", r);
	wait(guest);
}

void
umain(int argc, char **argv)
{
	(void) argc, (void) argv;
	close(open("/motd", O_RDONLY));		/* the file server is up */
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		run(&cases[i]);
	cprintf("ALL CASES DONE\n");
}
