/*
 * One guest after the other, each of which tries to do harm.  Beside them an
 * innocent guest counts all the time, and looks after its registers and its
 * memory; after each of them a new guest looks for what is left of it.
 *
 * evilguest [NAME...]: these cases, or all.
 * evilguest -a NAME...: give the console to each until somebody types Ctrl-].
 */
#include <inc/lib.h>
#include <inc/exits.h>
#include <inc/vmx.h>

/*
 * The memory of each guest.  What is named there is a page of ours, too.
 *  2000 PML4     3000 PDPT (1-GiB pages: linear is guest-physical)
 *  4000 IDT      5000 GDT, TSS at 5800    6000 where MBMAP writes
 *  7000 stub     8000 report              9000 the case's code
 *  a000 handlers of exceptions            b000 stack, up to c000
 * Code jumps from its faults to R15, and counts them.
 */
enum { PML4, PDPT, IDT, GDT, MBI, STUB, REPORT, CODE, HANDLERS, NPAGES };
#define FIRST_PAGE	0x2000
#define MEM		(1UL << 20)

struct Report {
	uint64_t entered, faults, value, rounds;
	uint64_t by_vector[32];
	uint64_t pad[28];
	uint32_t first[4];		/* EAX, ECX, EDX when it began */
};
static_assert(offsetof(struct Report, first) == 0x200, "the stub's 8200H");

struct Pages {
	uint8_t page[NPAGES][PGSIZE];
} __attribute__((aligned(PGSIZE)));

static struct Pages innocent, evil, more_evil[2];
#define REPORT_OF(p)	((volatile struct Report *) (p)->page[REPORT])

asm(".pushsection .rodata; .code16\n"
    "stub:	cli\n"
    "	movl %eax, 0x8200; movl %ecx, 0x8204; movl %edx, 0x8208\n"
    "	movl $0xc000, %esp\n"
    "	cmpl $0, 0x7ff8; je 1f\n"
    "	lgdtl 0x7000 + stub_gdtr - stub\n"
    "	cmpl $1, 0x7ff8; je 2f\n"
    "	movl $0x20, %eax; movl %eax, %cr4\n"
    "	movl $0x2000, %eax; movl %eax, %cr3\n"
    "	movl $0xc0000080, %ecx; rdmsr; orl $0x100, %eax; wrmsr\n"
    "	movl %cr0, %eax; orl $0x80000001, %eax; movl %eax, %cr0\n"
    "	ljmpl $8, $0x7000 + stub_long - stub\n"
    "1:	ljmp $0, $0x9000\n"
    "2:	movl %cr0, %eax; orl $1, %eax; movl %eax, %cr0\n"
    "	ljmpl $0x28, $0x7000 + stub_prot - stub\n"
    "stub_gdtr: .word 0x57; .long 0x5000\n"
    "stub_idtr: .word 0xfff; .quad 0x4000\n"
    "	.code32\n"
    "stub_prot: movl $0x10, %eax; movl %eax, %ds; movl %eax, %es\n"
    "	movl %eax, %ss; movl $0x9000, %eax; jmp *%eax\n"
    "	.code64\n"
    "stub_long: movl $0x10, %eax; movl %eax, %ds; movl %eax, %es\n"
    "	movl %eax, %ss; lidt 0x7000 + stub_idtr - stub\n"
    "	movl $0x38, %eax; ltr %ax; movl $0xc000, %esp\n"
    "	incq 0x8000; movl $0x9000, %eax; jmp *%rax\n"
    "stub_end:\n"
    "	.balign 16\n"
    "	.set vector, 0\n"
    "handlers:\n"
    "	.rept 48; .balign 16\n"
    "	.if ((1 << vector) & 0x27d00) == 0 || vector > 31\n"
    "	pushq $0\n"
    "	.endif\n"
    "	pushq $vector; jmp 1f; .set vector, vector + 1; .endr\n"
    "1:	cmpq $32, (%rsp); jae 3f\n"
    "	incq 0x8008; pushq %rax; movq 8(%rsp), %rax\n"
    "	incq 0x8020(,%rax,8); cmpl $1, %eax; popq %rax; je 2f\n"
    "	addq $16, %rsp; movq %r15, (%rsp); iretq\n"
    "2:	addq $16, %rsp; andq $~0x100, 16(%rsp); iretq\n"
    "3:	addq $16, %rsp; incq 0x8018\n"
    "	pushq %rax; movl $4, %eax; vmcall; popq %rax; iretq\n"
    "turn_off: movw $0x604, %dx; outw %ax, %dx\n"
    "handlers_end: .popsection\n"
    /* An instruction that may fault; the next follows. */
    ".macro TRY insn:vararg\n"
    "	leaq 771f(%rip), %r15\n"
    "	\\insn\n"
    "771:\n"
    ".endm\n"
    /* RAX is to be this; R14 counts what isn't so. */
    ".macro WANT value\n"
    "	cmpq $\\value, %rax\n"
    "	je 772f\n"
    "	incq %r14\n"
    "772:\n"
    ".endm\n"
    /* Go on in ring 3, with this IOPL. */
    ".macro RING3 iopl\n"
    "	pushq $0x23; pushq $0xc000; pushq $2 | (\\iopl << 12)\n"
    "	pushq $0x1b; leaq 773f(%rip), %rax; pushq %rax; iretq\n"
    "773:\n"
    ".endm\n"
    /* Report R14, and power off; in any ring. */
    ".macro DONE\n"
    "	movq %r14, 0x8010\n"
    "	int $47\n"
    ".endm\n"
    ".macro OFF\n"
    "	movw $0x604, %dx; outw %ax, %dx\n"
    ".endm\n"
    /* Send RCX with the page at 20000H, fetch the answer, to RAX. */
    ".macro ASK at=-1\n"
    "	movl $2, %eax; movl $1, %ebx; movl $0x20000, %edx\n"
    "	movl $7, %esi; vmcall; WANT 0\n"
    "	movl $3, %eax; movq $\\at, %rbx; vmcall; WANT 0\n"
    "	movslq %esi, %rax\n"
    ".endm\n");
extern const uint8_t stub[], stub_end[], handlers[], handlers_end[];
extern const uint8_t turn_off[];

/* Guest-physical addresses that nobody has, or that aren't a page's. */
#define BAD_GPAS							\
	"8: .quad 1, 0xfff, 0x1001, 0xfffff, 0x100000, 0x100001, "	\
	"0xc0000000, 0xfec00000, 0xfee00000, 0xfffff000, 0x100000000, "	\
	"0x100007000, 0x4000000000, 0x7ffffff000, 0"
#define PATH(p)		".asciz \"" p "\"; .balign 64; "
#define OWN_IMAGE	"/vmm/fs2.img"
#define OTHER_IMAGE	"/vmm/fs1.img"

enum Mode { REAL, PROT, LONG };
enum {
	LIVES = 1,		/* doesn't end: we end it */
	STUB_RW = 2,		/* it may write to its boot stub */
	MBI_RO = 4,		/* it mayn't write where MBMAP would */
	TINY = 8,		/* memory up to its boot stub */
	MANY = 16,		/* several, with more memory than there is */
};

#define CASES(X)							\
/* Hypercalls. */							\
X(calls_unknown, LONG, 0,						\
  "movl $8, %r12d; 1: movq %r12, %rax; movq $-1, %rbx; "		\
  "movq %rbx, %rcx; movq %rbx, %rdx; movq %rbx, %rsi; vmcall; "		\
  "WANT -7; incl %r12d; cmpl $1000, %r12d; jne 1b; "			\
  "movl $8, %r12d; 2: movq %r12, %rax; vmcall; WANT -7; "		\
  "shlq %r12; jnz 2b; "							\
  "movl $7, %r12d; 3: movabsq $0x100000000, %rax; orq %r12, %rax; "	\
  "vmcall; WANT -7; decl %r12d; jns 3b; DONE")				\
X(calls_ring3, LONG, 0,							\
  "RING3 0; movl $64, %r12d; 1: movq %r12, %rax; movl $1, %ebx; "	\
  "vmcall; WANT -7; decl %r12d; jns 1b; DONE")				\
X(calls_iopl3, LONG, 0,							\
  "RING3 3; movl $4, %eax; vmcall; WANT 0; "				\
  "movl $5, %eax; vmcall; WANT 0; movl $6, %eax; vmcall; WANT 2; "	\
  "movl $3, %eax; movq $-1, %rbx; vmcall; WANT -3; "			\
  "movl $2, %eax; xorl %ebx, %ebx; vmcall; WANT -2; DONE")		\
X(calls_real_mode, REAL, 0,						\
  "movl $3000, %ebp; 1: movl %ebp, %eax; movl $-1, %ebx; "		\
  "movl %ebx, %ecx; movl %ebx, %edx; movl %ebx, %esi; vmcall; "		\
  "decl %ebp; jns 1b; OFF")						\
X(calls_big_registers, LONG, 0,						\
  "movl $6, %r12d; 1: movq %r12, %rax; movq $-1, %rbx; "		\
  "movq %rbx, %rcx; movq %rbx, %rdx; movq %rbx, %rsi; "			\
  "movq %rbx, %rdi; movq %rbx, %rbp; movq %rbx, %r8; vmcall; "		\
  "decl %r12d; jnz 1b; DONE")						\
X(puts_bad, LONG, 0,							\
  "leaq 8f(%rip), %r13; 1: movq (%r13), %rbx; testq %rbx, %rbx; "	\
  "jz 2f; movq 8(%r13), %rcx; movl $7, %eax; vmcall; WANT -3; "		\
  "addq $16, %r13; jmp 1b; 2: DONE; 8: .quad 0x20000, 1025, "		\
  "0x20000, -1, 0x20fff, 2, 0x20fff, -0xfff, 0xfffff, 2, 0x100000, 1, "	\
  "0xfee00000, 4, 0x100000000, 1, 1 << 47, 1, -1, 1, -1, 2, "		\
  "-4096, 1 << 63, 0")							\
X(puts_flood, LONG, LIVES,						\
  "1: movl $7, %eax; movl $0x20c00, %ebx; movl $1024, %ecx; vmcall; "	\
  "incq 0x8018; jmp 1b")						\
X(mbmap_read_only, LONG, MBI_RO,					\
  "movl $1, %eax; movq $-1, %rbx; vmcall; WANT -3; DONE")		\
X(mbmap_flood, LONG, 0,							\
  "movl $5000, %r12d; 1: movl $1, %eax; vmcall; WANT 0; "		\
  "decl %r12d; jnz 1b; DONE")						\
X(send_bad_gpas, LONG, 0,						\
  "leaq 8f(%rip), %r13; 1: movq (%r13), %rdx; testq %rdx, %rdx; "	\
  "jz 2f; movl $2, %eax; movl $1, %ebx; movl $8, %ecx; "		\
  "movl $7, %esi; vmcall; WANT -3; addq $8, %r13; jmp 1b; "		\
  "2: DONE; " BAD_GPAS)							\
X(send_huge_gpas, LONG, 0,						\
  "leaq 8f(%rip), %r13; 1: movq (%r13), %rdx; testq %rdx, %rdx; "	\
  "jz 2f; movl $2, %eax; movl $1, %ebx; movl $8, %ecx; "		\
  "movl $7, %esi; vmcall; WANT 0; movl $3, %eax; movq $-1, %rbx; "	\
  "vmcall; WANT 0; movslq %esi, %rax; WANT -3; "			\
  "addq $8, %r13; jmp 1b; 2: DONE; "					\
  "8: .quad 1 << 46, 1 << 47, 1 << 63, -1, -4096, -1 << 47, 0")		\
X(recv_bad_gpas, LONG, 0,						\
  "leaq 8f(%rip), %r13; 1: cmpq $0, (%r13); jz 2f; "			\
  "movl $2, %eax; movl $1, %ebx; movl $8, %ecx; movq $-1, %rdx; "	\
  "vmcall; WANT 0; movl $3, %eax; movq (%r13), %rbx; vmcall; "		\
  "WANT -3; addq $8, %r13; jmp 1b; 2: DONE; " BAD_GPAS)			\
X(send_permissions, LONG, 0,						\
  "movl $1, %r12d; 1: movl $2, %eax; movl $1, %ebx; movl $8, %ecx; "	\
  "movl $0x20000, %edx; movq %r12, %rsi; orq $7, %rsi; vmcall; "	\
  "testq %rax, %rax; jz 2f; incq %r14; jmp 3f; "			\
  "2: movl $3, %eax; movq $-1, %rbx; vmcall; "				\
  "3: shlq %r12; jnz 1b; "						\
  "movl $2, %eax; movl $1, %ebx; movq $-1, %rsi; vmcall; WANT 0; "	\
  "movl $2, %eax; movl $1, %ebx; movl $2, %esi; vmcall; WANT 0; DONE")	\
X(send_to_others, LONG, 0,						\
  "movl $0x1800, %r12d; 1: cmpl $1, %r12d; je 2f; movl $2, %eax; "	\
  "movq %r12, %rbx; movl $8, %ecx; movl $0x20000, %edx; "		\
  "movl $7, %esi; vmcall; WANT -2; 2: decl %r12d; jns 1b; "		\
  "movl $2, %eax; movq $-1, %rbx; vmcall; WANT -2; "			\
  "movl $2, %eax; movabsq $0x100000001, %rbx; vmcall; WANT -2; DONE")	\
X(send_flood, LONG, LIVES,						\
  "1: movl $2, %eax; movl $1, %ebx; movl $8, %ecx; "			\
  "movl $0x20000, %edx; movl $7, %esi; vmcall; jmp 1b")			\
X(ask_until_killed, LONG, LIVES, "1: movl $8, %ecx; ASK; jmp 1b")	\
X(recv_flood, LONG, 0,							\
  "movl $5000, %r12d; 1: movl $3, %eax; movl $0x30000, %ebx; "		\
  "vmcall; WANT -3; decl %r12d; jnz 1b; DONE")				\
X(backtohost_flood, LONG, 0,						\
  "movl $5000, %r12d; 1: movl $5, %eax; vmcall; WANT 0; "		\
  "decl %r12d; jnz 1b; DONE")						\
X(eoi_flood, LONG, 0,							\
  "sti; movl $10000, %r12d; 1: movl $4, %eax; vmcall; WANT 0; "		\
  "decl %r12d; jnz 1b; DONE")						\
/* The disk. */								\
X(open_foreign, LONG, 0,						\
  "leaq 8f(%rip), %r13; 1: movq %r13, %rsi; movl $0x20000, %edi; "	\
  "movl $64, %ecx; rep movsb; movl $2, 0x20400; movl $1, %ecx; ASK; "	\
  "cmpl $-10000, %eax; jg 4f; 4: testl %eax, %eax; js 2f; incq %r14; "	\
  "2: addq $64, %r13; cmpb $33, (%r13); jne 1b; "			\
  "movl $0x20000, %edi; movl $4096, %ecx; movb $120, %al; rep stosb; "	\
  "movl $1, %ecx; ASK; testl %eax, %eax; js 3f; incq %r14; 3: DONE; "	\
  ".balign 64; 8: " PATH("/motd") PATH("/") PATH(OTHER_IMAGE)		\
  PATH("/vmm/kernel") PATH("/vmm/../motd") PATH("/vmm//fs2.img")	\
  PATH("vmm/fs2.img") PATH("/vmm/fs2.img/") PATH("/vmm/fs02.img")	\
  PATH("/vmm/fs-1.img") PATH("") ".byte 33")				\
X(open_modes, LONG, 0,							\
  "leaq 8f(%rip), %rsi; movl $0x20000, %edi; movl $64, %ecx; "		\
  "rep movsb; movl $1, %r12d; 1: movl %r12d, 0x20400; "			\
  "movl $1, %ecx; ASK; testl %eax, %eax; jns 2f; incq %r14; "		\
  "2: shll %r12d; jnz 1b; DONE; 8: " PATH(OWN_IMAGE))			\
X(blocks_beyond, LONG, 0,						\
  "leaq 8f(%rip), %rsi; movl $0x20000, %edi; movl $64, %ecx; "		\
  "rep movsb; movl $2, 0x20400; movl $1, %ecx; ASK 0x30000; WANT 0; "	\
  "movl 0x3000c, %r12d; shlq $32, %r12; movl $3, %r13d; "		\
  "1: movl %r13d, %ecx; shll $8, %ecx; orl $10, %ecx; orq %r12, %rcx; "	\
  "ASK; WANT 0; movl %r13d, %ecx; shll $8, %ecx; orl $9, %ecx; "	\
  "orq %r12, %rcx; ASK; WANT 0; decl %r13d; jns 1b; "			\
  "leaq 7f(%rip), %r13; 2: cmpl $0, (%r13); je 3f; "			\
  "movl (%r13), %ecx; shll $8, %ecx; orl $9, %ecx; orq %r12, %rcx; "	\
  "ASK; WANT -3; "							\
  "movl (%r13), %ecx; shll $8, %ecx; orl $10, %ecx; orq %r12, %rcx; "	\
  "ASK; WANT -3; addq $4, %r13; jmp 2b; 3: DONE; "			\
  "7: .long 4, 5, 10, 0x3ff, 0x400, 0x409, 0x40a, 0xffff, 0x100000, "	\
  "0xffffff, 0; 8: " PATH(OWN_IMAGE))					\
X(blocks_of_others, LONG, 0,						\
  "xorl %r12d, %r12d; 1: movq %r12, %rcx; shlq $32, %rcx; "		\
  "orq $10, %rcx; ASK; WANT -3; incl %r12d; cmpl $1100, %r12d; "	\
  "jne 1b; DONE")							\
X(requests_unknown, LONG, 0,						\
  "movl $0xff, %r12d; 1: movl %r12d, %ecx; ASK; testl %eax, %eax; "	\
  "js 2f; incq %r14; 2: decl %r12d; jns 1b; DONE")			\
X(request_rewritten, LONG, 0,						\
  "movl $150, %r12d; 1: leaq 8f(%rip), %rsi; movl $0x20000, %edi; "	\
  "movl $64, %ecx; rep movsb; movl $2, 0x20400; "			\
  "movl $2, %eax; movl $1, %ebx; movl $1, %ecx; movl $0x20000, %edx; "	\
  "movl $7, %esi; vmcall; WANT 0; movl $2000, %ecx; "			\
  "2: xorb $3, 0x20007; xorl $0x102, 0x20400; decl %ecx; jnz 2b; "	\
  "movl $3, %eax; movl $0x30000, %ebx; vmcall; WANT 0; "		\
  "testl %esi, %esi; jnz 3f; incq 0x8018; movl 0x3000c, %ecx; "		\
  "shlq $32, %rcx; orq $9, %rcx; ASK; WANT 0; "				\
  "movabsq $0x444e414c53494e45, %rax; cmpq %rax, 0x20000; jne 3f; "	\
  "incq %r14; 3: decl %r12d; jnz 1b; DONE; 8: " PATH(OWN_IMAGE))	\
X(descriptor_everywhere, LONG, 0,					\
  "leaq 8f(%rip), %rsi; movl $0x20000, %edi; movl $64, %ecx; "		\
  "rep movsb; movl $2, 0x20400; movl $0x30000, %r12d; "			\
  "1: movl $2, %eax; movl $1, %ebx; movl $1, %ecx; "			\
  "movl $0x20000, %edx; movl $7, %esi; vmcall; WANT 0; "		\
  "movl $3, %eax; movq %r12, %rbx; vmcall; WANT 0; "			\
  "movq %r12, %rdi; movl $1024, %ecx; movl $-1, %eax; rep stosl; "	\
  "addl $0x1000, %r12d; cmpl $0x50000, %r12d; jne 1b; DONE; 8: "	\
  PATH(OWN_IMAGE))							\
/* Memory. */								\
X(read_beyond, LONG, 0, "movb 0x100000, %al; DONE")			\
X(write_beyond, LONG, 0, "movb $1, 0x100000; DONE")			\
X(fetch_beyond, LONG, 0, "movl $0x100000, %eax; jmp *%rax")		\
X(straddle_end, LONG, 0, "movq %rax, 0xffffc; DONE")			\
X(run_over_end, LONG, 0,						\
  "movl $0x90909090, 0xffffc; movl $0xffffc, %eax; jmp *%rax")		\
X(fill_over_end, LONG, 0,						\
  "movl $0xff000, %edi; movq $-1, %rcx; rep stosb; DONE")		\
X(lapic_read, LONG, 0, "movl $0xfee00020, %edi; movl (%rdi), %eax; DONE")\
X(lapic_write, LONG, 0,							\
  "movl $0xfee00300, %edi; movl $0xc4500, (%rdi); DONE")		\
X(ioapic_write, LONG, 0,						\
  "movl $0xfec00000, %edi; movl $0x10, (%rdi); DONE")			\
X(memory_3_gib, LONG, 0, "movl $0xc0000000, %edi; incl (%rdi); DONE")	\
X(memory_4_gib, LONG, 0,						\
  "movabsq $0x100009000, %rdi; incl (%rdi); DONE")			\
X(memory_far, LONG, 0, "movabsq $0x4000000000, %rdi; incl (%rdi); DONE")\
X(not_canonical, LONG, 0,						\
  "movabsq $0x800000000000, %rdi; TRY incl (%rdi); DONE")		\
X(cr3_beyond, LONG, 0, "movl $0x40000000, %eax; movq %rax, %cr3; DONE")	\
X(cr3_lapic, LONG, 0, "movl $0xfee00000, %eax; movq %rax, %cr3; DONE")	\
X(cr3_pae_beyond, PROT, 0,						\
  "movl $0x20, %eax; movl %eax, %cr4; movl $0x40000000, %eax; "		\
  "movl %eax, %cr3; movl $0x80000011, %eax; movl %eax, %cr0; OFF")	\
X(table_reserved_bits, LONG, 0,						\
  "movabsq $0xff00040000087, %rax; movq %rax, 0x3008; "			\
  "movl $0x40000000, %edi; TRY incl (%rdi); DONE")			\
X(table_far, LONG, 0,							\
  "movabsq $0x4000000087, %rax; movq %rax, 0x3008; "			\
  "movl $0x40000000, %edi; incl (%rdi); DONE")				\
X(table_of_itself, LONG, 0,						\
  "movq $0x2003, 0x2ff8; movabsq $0xfffffffffffff010, %rdi; "		\
  "movq $0x3007, (%rdi); movabsq $0x10000008018, %rsi; "		\
  "movq $77, (%rsi); movabsq $0xffffffffffe00000, %rdi; "		\
  "movq $0x40000083, (%rdi); movq %cr3, %rax; movq %rax, %cr3; DONE")	\
X(tables_changing, LONG, 0,						\
  "movq $0x10003, 0x2008; movq $0x11003, 0x10000; "			\
  "movq $0x12003, 0x11000; movq $0x14, 0x14000; movq $0x15, 0x15000; "	\
  "movabsq $0x8000000000, %rdi; movl $5000, %r12d; "			\
  "1: movq $0x14003, 0x12000; invlpg (%rdi); movq (%rdi), %rax; "	\
  "WANT 0x14; movq $0x15003, 0x12000; invlpg (%rdi); "			\
  "movq (%rdi), %rax; WANT 0x15; movq $0, 0x12000; invlpg (%rdi); "	\
  "TRY movq (%rdi), %rax; decl %r12d; jnz 1b; DONE")			\
X(tables_without_invlpg, LONG, 0,					\
  "movq $0x10003, 0x2008; movq $0x11003, 0x10000; "			\
  "movq $0x12003, 0x11000; movabsq $0x8000000000, %rdi; "		\
  "movl $20000, %r12d; 1: movl %r12d, %eax; andl $7, %eax; "		\
  "shll $12, %eax; addl $0x14003, %eax; movq %rax, 0x12000; "		\
  "movq %r12, (%rdi); decl %r12d; jnz 1b; DONE")			\
X(stub_read_only, LONG, 0, "movb $1, 0x7000; DONE")			\
X(stub_while_running, LONG, STUB_RW,					\
  "leaq 7f(%rip), %rsi; movl $0x7000, %edi; movl $32, %ecx; "		\
  "rep movsb; movl $0x7000, %eax; jmp *%rax; 7: movl $1, %r14d; "	\
  "movq %r14, 0x8010; movw $0x2fcd, 1f(%rip); 1: ud2; .skip 32")	\
X(code_changing, LONG, 0,						\
  "xorl %r12d, %r12d; 1: cmpl $47, %r12d; je 3f; cmpl $17, %r12d; "	\
  "je 3f; cmpl $8, %r12d; je 3f; leal -10(%r12), %eax; "		\
  "cmpl $4, %eax; jbe 3f; "						\
  "leaq 3f(%rip), %r15; movb %r12b, 2f+1(%rip); jmp 2f; "		\
  "2: int $0; 3: incl %r12d; cmpl $256, %r12d; jne 1b; DONE")		\
X(tiny, REAL, TINY, "OFF")						\
X(out_of_memory, LONG, MANY,						\
  "movl $0x100000, %edi; 1: movb $1, (%rdi); addq $0x1000, %rdi; "	\
  "jmp 1b")								\
/* Ports. */								\
X(ports_in, LONG, 0,							\
  "xorl %r12d, %r12d; 1: movl %r12d, %edx; inb %dx, %al; "		\
  "cmpb $-1, %al; je 2f; incq %r14; 2: incl %r12d; "			\
  "cmpl $0x10000, %r12d; jne 1b; DONE")					\
X(ports_out, LONG, 0,							\
  "xorl %r12d, %r12d; 1: movl %r12d, %edx; cmpl $0x604, %edx; je 2f; "	\
  "cmpl $0x8900, %edx; je 2f; movb %dl, %al; outb %al, %dx; "		\
  "incq %r14; 2: incl %r12d; cmpl $0x10000, %r12d; jne 1b; DONE")	\
X(ports_wide, LONG, 0,							\
  "xorl %r12d, %r12d; 1: movl %r12d, %edx; inw %dx, %ax; "		\
  "cmpw $-1, %ax; je 2f; incq %r14; 2: inl %dx, %eax; "			\
  "cmpl $-1, %eax; je 3f; incq %r14; 3: cmpl $0x604, %edx; je 4f; "	\
  "cmpl $0x8900, %edx; je 4f; outl %eax, %dx; outw %ax, %dx; "		\
  "4: incl %r12d; cmpl $0x1000, %r12d; jb 1b; addl $61, %r12d; "	\
  "cmpl $0x10000, %r12d; jb 1b; movl $0xffff, %edx; inl %dx, %eax; "	\
  "outl %eax, %dx; DONE")						\
X(ports_strings, LONG, 0,						\
  "movl $0x1f0, %edx; movl $0x20000, %edi; movl %edi, %esi; "		\
  "TRY insb; TRY insw; TRY insl; TRY outsb; TRY outsw; TRY outsl; "	\
  "movl $1000, %ecx; TRY rep insb; movl $1000, %ecx; TRY rep outsb; "	\
  "movl $0x3f8, %edx; movl $0xff800, %edi; movq $-1, %rcx; "		\
  "TRY rep insl; movl $0xff800, %esi; movq $-1, %rcx; "			\
  "TRY rep outsl; movabsq $0x800000000000, %rdi; movq %rdi, %rsi; "	\
  "movl $9, %ecx; TRY rep insw; movl $9, %ecx; TRY rep outsw; DONE")	\
X(power_off_0604, LONG, 0, "movl $0x604, %edx; outl %eax, %dx; 1: jmp 1b")\
X(power_off_8900, LONG, 0,						\
  "movl $0x8900, %edx; outb %al, %dx; 1: jmp 1b")			\
X(uart_flood, LONG, 0,							\
  "movl $10000, %r12d; movl $0x3f8, %edx; 1: movb %r12b, %al; "		\
  "outb %al, %dx; decl %r12d; jnz 1b; DONE")				\
X(uart_for_ever, LONG, LIVES,						\
  "movl $0x3f8, %edx; movb $120, %al; 1: outb %al, %dx; jmp 1b")	\
X(uart_registers, LONG, 0,						\
  "sti; movabsq $6364136223846793005, %r13; movl $8000, %ebp; "	\
  "1: imulq %r13, %r12; incq %r12; movq %r12, %rax; shrq $33, %rax; "	\
  "movl %eax, %edx; andl $7, %edx; addl $0x3f8, %edx; shrl $3, %eax; "	\
  "testb $1, %ah; jz 2f; inb %dx, %al; jmp 3f; 2: outb %al, %dx; "	\
  "3: decl %ebp; jnz 1b; DONE")						\
/* Registers. */							\
X(msrs_read, LONG, 0,							\
  "1: movl %r12d, %ecx; leaq 2f(%rip), %r15; rdmsr; incq %r14; "	\
  "2: incl %r12d; testl $0x1fff, %r12d; jnz 1b; "			\
  "addl $0xbfffe000, %r12d; cmpl $0xc0000000, %r12d; je 1b; DONE")	\
X(msrs_write, LONG, 0,							\
  "1: movl %r12d, %ecx; xorl %eax, %eax; xorl %edx, %edx; "		\
  "leaq 2f(%rip), %r15; wrmsr; incq %r14; 2: movl $-1, %eax; "		\
  "movl %eax, %edx; leaq 3f(%rip), %r15; wrmsr; incq %r14; "		\
  "3: incl %r12d; testl $0x1fff, %r12d; jnz 1b; "			\
  "addl $0xbfffe000, %r12d; cmpl $0xc0000000, %r12d; je 1b; DONE")	\
X(msrs_elsewhere, LONG, 0,						\
  "leaq 8f(%rip), %r13; 1: movl (%r13), %ecx; TRY rdmsr; TRY wrmsr; "	\
  "addq $4, %r13; cmpl $0, (%r13); jne 1b; DONE; "			\
  "8: .long 0x2000, 0x40000000, 0x4b564d00, 0x80000000, 0xbfffffff, "	\
  "0xc0002000, 0xc0010015, 0xc0010114, 0xffffffff, 0")			\
X(msr_efer, LONG, 0,							\
  "movl $0xc0000080, %ecx; rdmsr; movl %eax, %ebp; "			\
  "movl $1, %r12d; 1: movq %r12, %rax; movq %r12, %rdx; "		\
  "shrq $32, %rdx; xorl %ebp, %eax; TRY wrmsr; shlq %r12; jnz 1b; "	\
  "rdmsr; movl %eax, %r14d; DONE")					\
X(msr_bases, LONG, 0,							\
  "movl $1000, %r12d; movl $0xc0000102, %ecx; movl $0xbadbad, %eax; "	\
  "movl $0xffff8000, %edx; wrmsr; 1: swapgs; xorl %eax, %eax; cpuid; "	\
  "swapgs; movl $0xc0000102, %ecx; rdmsr; movl %eax, %eax; "		\
  "WANT 0xbadbad; decl %r12d; jnz 1b; movl $0x8000, %edx; "		\
  "TRY wrmsr; decl %ecx; TRY wrmsr; decl %ecx; TRY wrmsr; "		\
  "movl $0x175, %ecx; TRY wrmsr; movl $0x176, %ecx; TRY wrmsr; DONE")	\
X(cr0_bits, LONG, 0,							\
  "movq %cr0, %rbp; movl $1, %r12d; 1: movq %rbp, %rax; "		\
  "xorq %r12, %rax; TRY movq %rax, %cr0; TRY movq %rbp, %cr0; "		\
  "shlq %r12; jnz 1b; TRY lmsw %bp; TRY clts; DONE")			\
X(cr4_bits, LONG, 0,							\
  "movq %cr4, %rbp; movl $1, %r12d; 1: movq %rbp, %rax; "		\
  "xorq %r12, %rax; TRY movq %rax, %cr4; TRY movq %rbp, %cr4; "		\
  "shlq %r12; jnz 1b; DONE")						\
X(cr3_bits, LONG, 0,							\
  "movq %cr3, %rbp; movabsq $0x10000000000, %r12; 1: movq %rbp, %rax; "	\
  "xorq %r12, %rax; TRY movq %rax, %cr3; shlq %r12; jnz 1b; DONE")	\
X(cr8_values, LONG, 0,							\
  "movl $1, %r12d; 1: TRY movq %r12, %cr8; shlq %r12; jnz 1b; "		\
  "movq %cr8, %r14; movq %cr8, %rsp; movl $0xc000, %esp; DONE")	\
X(cr0_real_mode, REAL, 0,						\
  "movl $1, %ebp; 1: movl $0x10, %eax; movl %eax, %cr0; "		\
  "movl %ebp, %eax; andl $~1, %eax; andl $0x7fffffff, %eax; "		\
  "andl $~0x20000000, %eax; movl %eax, %cr0; shll %ebp; jnz 1b; OFF")	\
X(debug_registers, LONG, 0,						\
  "movl $0x8000, %eax; movq %rax, %dr0; movq %rax, %dr1; "		\
  "movq %rax, %dr2; movq %rax, %dr3; movl $0xffff27ff, %eax; "		\
  "TRY movq %rax, %dr7; movq $-1, %rax; TRY movq %rax, %dr6; "		\
  "TRY movq %rax, %dr7; incl 0x8000; movq %dr0, %r14; "			\
  "movq %dr3, %rax; orq %rax, %r14; movq %dr7, %rax; WANT 0x400; DONE")	\
X(fpu, LONG, 0,								\
  "clts; movq %cr0, %rax; andl $~0xe, %eax; movq %rax, %cr0; "		\
  "movq %cr4, %rbx; orl $0x40600, %ebx; TRY movq %rbx, %cr4; "		\
  "TRY fninit; TRY fldpi; TRY emms; TRY movaps %xmm0, 0x20000; "	\
  "TRY fxsave 0x20000; TRY xsave 0x20000; TRY vzeroall; TRY fwait; DONE")\
X(vmx_instructions, LONG, 0,						\
  "movl $1, %eax; TRY vmxon 0x20000; TRY vmxoff; TRY vmclear 0x20000; "	\
  "TRY vmptrld 0x20000; TRY vmptrst 0x20000; TRY vmread %rax, %rbx; "	\
  "TRY vmwrite %rax, %rbx; TRY vmlaunch; TRY vmresume; "		\
  "TRY invept 0x20000, %rax; TRY invvpid 0x20000, %rax; "		\
  "TRY .byte 0x0f, 0x01, 0xd4; TRY getsec; movq 0x8050, %r14; DONE")	\
X(other_instructions, LONG, 0,						\
  "xorl %eax, %eax; xorl %ecx, %ecx; xorl %edx, %edx; TRY monitor; "	\
  "TRY mwait; TRY rdpmc; TRY rdtscp; TRY invpcid 0x20000, %rax; "	\
  "TRY xsetbv; TRY xgetbv; TRY ud2; TRY syscall; TRY sysretq; "		\
  "TRY rsm; movq %r15, %r15; TRY .byte 0x0f, 0x01, 0xdf; "		\
  "TRY wbinvd; TRY invd; TRY clflush 0x20000; TRY vmcall; "		\
  "movq 0x8050, %r14; DONE")						\
X(ring3_instructions, LONG, 0,						\
  "RING3 0; TRY hlt; TRY cli; TRY sti; TRY inb $0x60, %al; "		\
  "TRY outb %al, $0x60; TRY insb; movl $0xc0000080, %ecx; TRY rdmsr; "	\
  "TRY wrmsr; TRY movq %cr0, %rax; TRY movq %rax, %cr0; "		\
  "TRY movq %rax, %cr3; TRY movq %rax, %cr4; TRY movq %rax, %cr8; "	\
  "TRY movq %cr8, %rax; TRY movq %dr7, %rax; TRY movq %rax, %dr0; "	\
  "TRY lgdt 0x20000; TRY lidt 0x20000; TRY lldt %ax; TRY ltr %ax; "	\
  "TRY lmsw %ax; TRY clts; TRY invlpg 0x20000; TRY wbinvd; TRY invd; "	\
  "TRY swapgs; TRY int $40; TRY sysexitl; DONE")				\
/* Exceptions, interrupts, the end. */					\
X(triple_fault, LONG, 0,						\
  "movq $0, 0x20000; movq $0, 0x20008; lidt 0x20000; int3")		\
X(double_fault_loop, LONG, 0,						\
  "movw $0x7f, 0x20000; movq $0x4000, 0x20002; lidt 0x20000; "		\
  "movabsq $0x10000000000, %rdi; incl (%rdi)")				\
X(spin_if_0, LONG, LIVES, "1: incq 0x8018; jmp 1b")			\
X(spin_if_1, LONG, LIVES, "sti; 1: incq 0x8018; jmp 1b")		\
X(spin_real_mode, REAL, LIVES, "1: incl 0x8018; jmp 1b")		\
X(spin_exits, LONG, LIVES, "1: cpuid; jmp 1b")				\
X(hlt_if_0, LONG, 0, "hlt; DONE")					\
X(sti_hlt, LONG, LIVES, "1: sti; hlt; jmp 1b")				\
X(sti_cli, LONG, LIVES, "1: sti; cli; pushfq; popfq; jmp 1b")		\
X(db_loop, LONG, LIVES,							\
  "leaq 1f(%rip), %rax; movw %ax, 0x4010; movb $1, 0x4014; "		\
  "1: incq 0x8018; .byte 0xf1; jmp 1b")					\
X(gp_loop, LONG, LIVES,							\
  "leaq 1f(%rip), %rax; movw %ax, 0x40d0; movb $1, 0x40d4; "		\
  "1: incq 0x8018; movl $0x3a, %ecx; rdmsr; jmp 1b")			\
X(ud_loop, LONG, LIVES,							\
  "leaq 1f(%rip), %rax; movw %ax, 0x4060; movb $1, 0x4064; "		\
  "1: incq 0x8018; ud2")						\
X(ac_loop, PROT, LIVES,							\
  "movl %cr0, %eax; orl $0x40000, %eax; movl %eax, %cr0; "		\
  "call 1f; 1: popl %ebx; leal 5f-1b(%ebx), %eax; "			\
  "movw %ax, 0x6088; movw $0x33, 0x608a; movl $0xee00, 0x608c; "	\
  "movw $0xff, 0x20000; movl $0x6000, 0x20002; lidt 0x20000; "		\
  "pushl $0x23; pushl $0xbf81; pushl $0x40002; pushl $0x33; "		\
  "pushl %eax; movl $0x23, %ecx; movl %ecx, %ds; iretl; "		\
  "5: incl 0x8018; movl $0xbf81, %esp; pushl %eax; jmp 5b")		\
X(single_steps, LONG, 0,						\
  "movl $300, %r12d; 1: pushfq; orq $0x100, (%rsp); popfq; "		\
  "movl $0x10, %eax; pushfq; orq $0x100, (%rsp); popfq; "		\
  "movl %eax, %ss; cpuid; pushfq; orq $0x100, (%rsp); popfq; "		\
  "inb $0x60, %al; pushfq; orq $0x100, (%rsp); popfq; vmcall; "		\
  "decl %r12d; jnz 1b; DONE")						\
X(task_gate, PROT, 0, "ljmp $0x50, $0")					\
X(task_gate_interrupt, PROT, 0,						\
  "movl $0x480000, 0x6180; movl $0xe500, 0x6184; "			\
  "movw $0x1ff, 0x20000; movl $0x6000, 0x20002; lidt 0x20000; "		\
  "int $0x30")								\
X(unreal_mode, PROT, 0,							\
  "movl $0x10, %eax; movl %eax, %fs; movl %eax, %gs; movl %cr0, %eax; "	\
  "andl $~1, %eax; movl %eax, %cr0; xorl %eax, %eax; cpuid; "		\
  "movl $1, 0x8010; OFF")						\
X(virtual_8086, PROT, 0,						\
  "call 1f; 1: popl %ebx; leal 5f-1b-0x9000(%ebx), %eax; pushl $0; "	\
  "pushl $0; pushl $0; pushl $0; pushl $0; pushl $0xbff0; "		\
  "pushl $0x23002; pushl $0x900; pushl %eax; iretl; .code16; "		\
  "5: movl $6, %eax; vmcall; movl %eax, 0x8010; xorl %eax, %eax; "	\
  "cpuid; inb $0x60, %al; OFF")						\
X(compatibility_mode, LONG, 0,						\
  "pushq $0x28; leaq 1f(%rip), %rax; pushq %rax; lretq; .code32; "	\
  "1: movl $6, %eax; vmcall; movl %eax, 0x8010; xorl %eax, %eax; "	\
  "cpuid; OFF")								\
X(odd_segments, LONG, 0,						\
  "xorl %eax, %eax; movl %eax, %ds; movl %eax, %es; movl %eax, %fs; "	\
  "movl %eax, %ss; cpuid; movabsq $0xffc0f7ffffff0000, %rax; "		\
  "movq %rax, 0x5050; movl $0x53, %eax; movl %eax, %fs; "		\
  "movl %eax, %gs; movl %eax, %ds; cpuid; "				\
  "movabsq $0x82000000ffff, %rax; movq %rax, 0x5048; "			\
  "movq $0, 0x5050; movl $0x48, %eax; lldt %ax; cpuid; DONE")		\
X(stacks_not_there, LONG, 0,						\
  "movl $0x31000, %r12d; movl $0x3a, %ecx; 1: movq %r12, %rsp; "	\
  "TRY rdmsr; addl $0x1000, %r12d; movq %r12, %rsp; TRY int $5; "	\
  "addl $0x1000, %r12d; movq %r12, %rsp; TRY .byte 0xf1; "		\
  "addl $0x1000, %r12d; cmpl $0x91000, %r12d; jne 1b; DONE")		\
X(stack_beyond, LONG, 0, "movl $0x200000, %esp; ud2")			\
X(idt_beyond, LONG, 0,							\
  "movw $0xfff, 0x20000; movq $0x40000000, 0x20002; lidt 0x20000; ud2")	\
X(gdt_beyond, LONG, 0,							\
  "movw $0xfff, 0x20000; movq $0x40000000, 0x20002; lgdt 0x20000; "	\
  "movl $0x20, %eax; movl %eax, %fs; DONE")				\
X(mov_ss_hlt, LONG, LIVES,						\
  "movl $0x10, %ecx; 1: pushfq; orq $0x200, (%rsp); popfq; "		\
  "movl %ecx, %ss; hlt; jmp 1b")					\
X(rip_wraps_16, REAL, 0,						\
  "4: movw $0x9000 + 5f - 4b, 0x34; movw $0, 0x36; "			\
  "movw $0xa20f, 0xfffe; ljmp $0, $0xfffe; 5: OFF")			\
X(rip_wraps_32, PROT, 0,						\
  "movl $0x83, 0x10000; movl $0x11003, 0x10ffc; "			\
  "movl $0x12003, 0x11ffc; movw $0xa20f, 0x12ffe; "			\
  "movl $0x10, %eax; movl %eax, %cr4; movl $0x10000, %eax; "		\
  "movl %eax, %cr3; movl $0x80000011, %eax; movl %eax, %cr0; "		\
  "movl $0xfffffffe, %eax; jmp *%eax")					\
X(rip_leaves_canonical, LONG, 0,					\
  "movq $0x10003, 0x27f8; movq $0x11003, 0x10ff8; "			\
  "movq $0x12003, 0x11ff8; movq $0x13003, 0x12ff8; "			\
  "movw $0xa20f, 0x13ffe; movabsq $0x7ffffffffffe, %rax; "		\
  "leaq 1f(%rip), %r15; jmp *%rax; 1: DONE")				\
X(sysenter, LONG, 0,							\
  "xorl %edx, %edx; movl $0x174, %ecx; movl $8, %eax; wrmsr; "		\
  "movl $0x175, %ecx; movl $0xc000, %eax; wrmsr; movl $0x176, %ecx; "	\
  "leaq 1f(%rip), %rax; wrmsr; sysenter; 1: movl $1, %r14d; DONE")

#define BITS_REAL	".code16\n"
#define BITS_PROT	".code32\n"
#define BITS_LONG	".code64\n"
#define CODE(name, mode, flags, text)					\
	asm(".pushsection .rodata\n" BITS_##mode			\
	    "code_" #name ": " text "\n"				\
	    "end_" #name ": .code64; .popsection");			\
	extern const uint8_t code_##name[], end_##name[];
CASES(CODE)

struct Case {
	const char *name;
	enum Mode mode;
	int flags;
	const uint8_t *code, *end;
};
#define ROW(name, mode, flags, text)					\
	{ #name, mode, flags, code_##name, end_##name },
static const struct Case cases[] = { CASES(ROW) };

/* The innocent guest.  0 if all is well goes to its report's faults. */
#define REGISTERS(X)							\
	X(rax, 0x1a) X(rcx, 0x1c) X(rdx, 0x1d) X(rbx, 0x1b)		\
	X(rbp, 0x1bb) X(rsi, 0x151) X(rdi, 0x1d1) X(r8, 0x18)		\
	X(r9, 0x19) X(r10, -0x10) X(r11, -0x11) X(r12, -0x12)		\
	X(r13, -0x13) X(r14, -0x14) X(r15, -0x15)
#define FILL(reg, value)	"movq $" #value ", %" #reg "\n"
#define CHECK(reg, value)	"cmpq $" #value ", %" #reg "; jne 9f\n"

asm(".pushsection .rodata; .code64\n"
    "innocent_code:\n"
    "	movq $0x600d, 0x21000\n"
    "	movl $0xc0000102, %ecx; movl $0x21000, %eax; xorl %edx, %edx\n"
    "	wrmsr; movl $0x12345678, %eax; movq %rax, %cr2\n"
    "	movl $0x40000, %edi\n"
    "1:	movq %rdi, (%rdi); addq $8, %rdi; cmpl $0x44000, %edi; jne 1b\n"
    "	sti\n"
    "2:\n" REGISTERS(FILL)
    "	movl $200, 0x22000; testl $31, 0x8010; jz 3f; hlt\n"
    "3:\n" REGISTERS(CHECK)
    "	decl 0x22000; jnz 3b\n"
    "	testl $31, 0x8010; jnz 5f; incl 0x22004; testl $63, 0x22004; jnz 2b\n"
    "5:\n"
    "	swapgs; cmpq $0x600d, %gs:0; swapgs; jne 9f\n"
    "	movq %cr2, %rax; cmpq $0x12345678, %rax; jne 9f\n"
    "	movq %dr7, %rax; cmpq $0x400, %rax; jne 9f\n"
    "	movq %dr0, %rax; testq %rax, %rax; jnz 9f\n"
    "	movl $0x40000, %edi\n"
    "4:	cmpq %rdi, (%rdi); jne 9f; addq $8, %rdi\n"
    "	cmpl $0x44000, %edi; jne 4b\n"
    "	incq 0x8010; jmp 2b\n"
    "9:	incq 0x8008; jmp 2b\n"
    "innocent_end:\n"
    /* What a new guest finds: R14 stays 0. */
    "probe_code:\n"
    "	orq %rbx, %r14; orq %rbp, %r14; orq %rsi, %r14; orq %rdi, %r14\n"
    "	orq %r8, %r14; orq %r9, %r14; orq %r10, %r14; orq %r11, %r14\n"
    "	orq %r12, %r14; orq %r13, %r14; orq %r15, %r14\n"
    "	movq %cr2, %rax; orq %rax, %r14\n"
    "	movl $0xc0000100, %ebx\n"
    "1:	movl %ebx, %ecx; rdmsr; orl %edx, %eax; orq %rax, %r14\n"
    "	incl %ebx; cmpl $0xc0000103, %ebx; jne 1b\n"
    "	movl $0x174, %ebx\n"
    "2:	movl %ebx, %ecx; rdmsr; orl %edx, %eax; orq %rax, %r14\n"
    "	incl %ebx; cmpl $0x177, %ebx; jne 2b\n"
    "	movq %dr0, %rax; orq %rax, %r14\n"
    "	movq %dr6, %rax; movl $0xffff0ff0, %ecx; xorq %rcx, %rax\n"
    "	orq %rax, %r14\n"
    "	movl $0x20000, %edi\n"
    "3:	orq (%rdi), %r14; addq $8, %rdi; cmpl $0x30000, %edi; jne 3b\n"
    "	DONE\n"
    "probe_end: .popsection\n");
extern const uint8_t innocent_code[], innocent_end[];
extern const uint8_t probe_code[], probe_end[];

/* A gate of the IDT to the handler at address, for vector v. */
static void
set_gate(struct Pages *p, int v, uint64_t address, int dpl)
{
	uint64_t *gate = (uint64_t *) p->page[IDT] + 2 * v;

	gate[0] = (address & 0xffff) | 0x8 << 16 | 0x8e00UL << 32
	    | (uint64_t) dpl << 45 | (address >> 16) << 48;
	gate[1] = 0;
}

static void
set_descriptors(struct Pages *p)
{
	static const uint64_t gdt[] = {
		0, 0x00209b0000000000, 0x00cf93000000ffff,
		0x0020fb0000000000, 0x00cff3000000ffff,
		0x00cf9b000000ffff, 0x00cffb000000ffff,
		0x0000890058000067, 0,		/* 38: TSS, 64 bits */
		0x000089005a000067,		/* 48: TSS, 32 bits */
		0x0000850000480000,		/* 50: task gate to it */
	};
	uint8_t *tss = p->page[GDT] + 0x800;
	const uint64_t ring0 = 0xb800, ist1 = 0xb400;

	memcpy(p->page[GDT], gdt, sizeof gdt);
	memcpy(tss + 4, &ring0, 8);
	memcpy(tss + 36, &ist1, 8);
	tss[102] = 0x68;
	for (int v = 0; v < 47; v++)
		set_gate(p, v, 0xa000 + 16 * v, 0);
	set_gate(p, 47, 0xa000 + (turn_off - handlers), 3);
}

/* Fill the pages for a guest that is to run this code. */
static void
load(struct Pages *p, enum Mode mode, const uint8_t *code, const uint8_t *end)
{
	uint64_t *pdpt = (uint64_t *) p->page[PDPT];

	if (end - code > PGSIZE || handlers_end - handlers > PGSIZE)
		panic("too much code");
	memset(p, 0, sizeof *p);
	*(uint64_t *) p->page[PML4] = 0x3007;
	for (uint64_t i = 0; i < PGSIZE / sizeof *pdpt; i++)
		pdpt[i] = i << 30 | 0x87;
	set_descriptors(p);
	memcpy(p->page[STUB], stub, stub_end - stub);
	p->page[STUB][0xff8] = mode == REAL ? 0 : mode == PROT ? 1 : 2;
	memcpy(p->page[CODE], code, end - code);
	memcpy(p->page[HANDLERS], handlers, handlers_end - handlers);
}

/* A guest with these pages, that may run. */
static envid_t
start(struct Pages *p, int flags)
{
	int64_t size = flags & TINY ? 0x8000
	    : flags & MANY ? (int64_t) GUEST_MEM_MAX : (int64_t) MEM;
	envid_t guest = sys_env_mkguest(size, GUEST_ENTRY);
	int i, r, perm;

	if (guest < 0)
		panic("no guest: %e", guest);
	for (i = 0; i < NPAGES && FIRST_PAGE + i * PGSIZE < size; i++) {
		perm = __EPTE_FULL;
		if ((i == STUB && !(flags & STUB_RW)) || i == HANDLERS)
			perm = __EPTE_READ | __EPTE_EXEC;
		if (i == MBI && !(flags & MBI_RO))
			continue;
		if (i == MBI)
			perm = __EPTE_READ;
		r = sys_ept_map(0, p->page[i], guest,
		    (void *) (uintptr_t) (FIRST_PAGE + i * PGSIZE), perm);
		if (r < 0)
			panic("no page for the guest: %e", r);
	}
	sys_env_set_status(guest, ENV_RUNNABLE);
	return guest;
}

static bool
lives(envid_t guest)
{
	const volatile struct Env *e = &envs[ENVX(guest)];

	return e->env_id == guest && e->env_status != ENV_FREE;
}

/* Wait until the guest has ended, msec at most.  Has it? */
static bool
ended(envid_t guest, unsigned msec)
{
	unsigned begin = sys_time_msec();

	while (lives(guest))
		if (sys_time_msec() - begin > msec)
			return false;
		else
			sys_yield();
	return true;
}

/* Use memory while guests do: there may be none.  That's an error, no more. */
static void
want_memory(envid_t guest)
{
	static char buf[PGSIZE];
	int i, fd = open("/vmm/kernel", O_RDONLY);
	envid_t other;

	for (i = 0; lives(guest); i++) {
		read(fd, buf, sizeof buf);
		if (i % 64 == 0
		    && (other = sys_env_mkguest(MEM, GUEST_ENTRY)) > 0)
			sys_env_destroy(other);
		sys_page_alloc(0, (void *) UTEMP, PTE_P | PTE_U | PTE_W);
		sys_page_unmap(0, (void *) UTEMP);
		sys_yield();
	}
	close(fd);
}

/* Does what a parent may do to a guest, while it runs. */
static void
disturb(envid_t guest)
{
	static struct ExitTrace trace[NEXITTRACE];

	if (sys_page_alloc(guest, (void *) UTEMP, PTE_P | PTE_U | PTE_W) < 0
	    || sys_page_unmap(guest, (void *) UTEMP) < 0
	    || sys_guest_trace(guest, trace, NEXITTRACE) < 0
	    || sys_ept_map(0, evil.page[MBI], guest, (void *) 0xf0000,
		__EPTE_FULL) < 0)
		cprintf("evilguest: can't disturb it\n");
}

/* How does the innocent guest do? */
static const char *
innocent_state(envid_t guest)
{
	volatile struct Report *r = REPORT_OF(&innocent);
	uint64_t value = r->value, rounds = r->rounds;
	unsigned begin = sys_time_msec();

	while (r->value - value < 2 || r->rounds == rounds)
		if (!lives(guest))
			return "dead";
		else if (sys_time_msec() - begin > 10000)
			return "stopped";
		else
			sys_yield();
	return r->faults ? "harmed" : "counts";
}

/* What does a new guest find? */
static const char *
probe(void)
{
	volatile struct Report *r = REPORT_OF(&evil);
	envid_t guest;

	load(&evil, LONG, probe_code, probe_end);
	guest = start(&evil, 0);
	if (!ended(guest, 20000))
		return "hangs";
	if (r->entered != 1 || r->faults)
		return "fails";
	return r->value | r->first[0] | r->first[1] | r->first[2]
	    ? "dirty" : "clean";
}

/* The file server still serves. */
static const char *
server_state(void)
{
	char c;
	int fd = open("/motd", O_RDONLY), n = -1;

	if (fd >= 0) {
		n = readn(fd, &c, 1);
		close(fd);
	}
	return n == 1 ? "serves" : "fails";
}

static int
untouched(const uint8_t *page)
{
	for (int i = 0; i < PGSIZE; i++)
		if (page[i])
			return false;
	return true;
}

static void
run(const struct Case *c, envid_t good)
{
	volatile struct Report *r = REPORT_OF(&evil);
	envid_t guest[3] = { 0 };
	int i, n = c->flags & MANY ? 3 : 1;
	const char *state, *found, *server;
	uint64_t faults, value, rounds;
	bool over = true;

	cprintf("CASE %s\n", c->name);
	for (i = 0; i < n; i++) {
		struct Pages *p = i == 0 ? &evil : &more_evil[i - 1];

		load(p, c->mode, c->code, c->end);
		guest[i] = start(p, c->flags);
	}
	for (i = 0; i < n; i++) {
		if (c->flags & MANY)
			want_memory(guest[i]);
		if (!ended(guest[i], c->flags & LIVES ? 40 : 40000)) {
			over = false;
			disturb(guest[i]);
			ended(guest[i], 20);
			sys_env_destroy(guest[i]);
			wait(guest[i]);
		}
	}
	if (!untouched(evil.page[MBI]))
		cprintf("evilguest: it wrote to a page that it may only read\n");
	faults = r->faults;
	value = r->value;
	rounds = r->rounds;
	state = innocent_state(good);
	found = probe();
	server = server_state();
	cprintf("RESULT %s %s faults %lu value %lu rounds %lu innocent %s "
	    "probe %s server %s\n", c->name, over ? "ended" : "lives", faults,
	    value, rounds, state, found, server);
}

static unsigned
free_pages(void)
{
	unsigned i, n = 0;

	for (i = 0; i < 65536 && (uvpd[VPD(UPAGES)] & PTE_P)
	     && (uvpt[VPN(&pages[i])] & PTE_P); i++)
		if (pages[i].pp_ref == 0)
			n++;
	return n;
}

/* Give the console to a guest with this code. */
static void
attach(const struct Case *c)
{
	envid_t guest;
	int r;

	cprintf("ATTACH %s\n", c->name);
	load(&evil, c->mode, c->code, c->end);
	guest = start(&evil, c->flags);
	r = sys_guest_attach(guest);
	cprintf("\nDETACHED %s: %d, it %s\n", c->name, r,
	    lives(guest) ? "lives" : "has ended");
	sys_env_destroy(guest);
	wait(guest);
}

static void
make_image(const char *path, const char *content)
{
	static char block[PGSIZE];
	int i, fd = open(path, O_RDWR | O_CREAT | O_TRUNC);

	strlcpy(block, content, sizeof block);
	for (i = 0; i < 4; i++)
		if (write(fd, block, PGSIZE) != PGSIZE)
			panic("can't make %s", path);
	close(fd);
}

static void
check_image(const char *path, const char *content)
{
	static char block[PGSIZE];
	int fd = open(path, O_RDONLY);
	struct Stat st;

	if (fstat(fd, &st) < 0 || st.st_size != 4 * PGSIZE
	    || readn(fd, block, PGSIZE) != PGSIZE
	    || (content && strcmp(block, content) != 0))
		cprintf("evilguest: %s isn't what it was\n", path);
	close(fd);
}

static void
read_all(const char *path)
{
	static char buf[PGSIZE];
	int fd = open(path, O_RDONLY);

	while (read(fd, buf, sizeof buf) > 0)
		;
	close(fd);
}

static bool
chosen(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc < 2;
}

/* The chosen cases; how many. */
static int
run_all(int argc, char **argv)
{
	envid_t good;
	int n = 0;

	load(&innocent, LONG, innocent_code, innocent_end);
	good = start(&innocent, 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (chosen(cases[i].name, argc, argv)) {
			run(&cases[i], good);
			n++;
		}
	sys_env_destroy(good);
	wait(good);
	return n;
}

void
umain(int argc, char **argv)
{
	static char *first[] = { "", "descriptor_everywhere", "spin_if_0",
		"blocks_beyond", "out_of_memory" };
	unsigned before;
	int n;

	binaryname = "evilguest";
	if (argc > 1 && strcmp(argv[1], "-a") == 0) {
		for (n = 0; n < (int) ARRAY_SIZE(cases); n++)
			if (chosen(cases[n].name, argc, argv))
				attach(&cases[n]);
		return;
	}
	make_image(OTHER_IMAGE, "ENISLAND");
	make_image(OWN_IMAGE, "its own");
	run_all(ARRAY_SIZE(first), first);
	read_all("/vmm/kernel");	/* the server keeps all of it now */
	server_state();
	before = free_pages();
	n = run_all(argc, argv);
	server_state();
	cprintf("evilguest: %u pages free, %u before\n", free_pages(), before);
	check_image(OTHER_IMAGE, "ENISLAND");
	check_image(OWN_IMAGE, NULL);
	remove(OTHER_IMAGE);
	remove(OWN_IMAGE);
	cprintf("evilguest: %d cases done\n", n);
}
