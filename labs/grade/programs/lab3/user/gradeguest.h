/*
 * Guests of the checks of lab 3: each executes a few instructions, in real
 * mode or in 64-bit mode, with registers that we know, and leaves its
 * registers in its memory.  Its parent prints them, with the exits that the
 * kernel has noted, and the nonce.
 */
#include <inc/lib.h>
#include <inc/exits.h>
#include <inc/gradenonce.h>
#include <inc/trap.h>
#include <inc/vmcall.h>
#include <inc/vmx.h>
#include <inc/x86.h>

#define TEXT_OF(x)	#x
#define TEXT(x)		TEXT_OF(x)

/*
 * Guest-physical: 0 is the page of results, 500 how it ended (1: it came to
 * its end; 2: an exception), 504 the vector, 508 and 510 the top of the stack
 * then, 520 mode, 530 interrupts; 600 and 700 the registers before and after.
 */
asm(".pushsection .data; .balign 4096; .code16\n"
    "guest_code:\n"
    "	cli; xorw %ax, %ax; movw %ax, %ds; movw %ax, %es; movw %ax, %ss\n"
    "	movw $0xff0, %sp\n"
    "	cmpl $0, 0x520; jne to_64\n"
    "	movl 0x600, %eax; movl 0x608, %ecx; movl 0x610, %edx\n"
    "	movl 0x618, %ebx; movl 0x628, %ebp; movl 0x630, %esi\n"
    "	movl 0x638, %edi\n"
    "	jmp slot_16\n"
    "to_64:	movl $0x20, %eax; movl %eax, %cr4\n"
    "	movl $0x8000, %eax; movl %eax, %cr3\n"
    "	lgdtl 0xb800\n"
    "	movl $0x80000011, %eax; movl %eax, %cr0\n"
    "	ljmpl $8, $0x7000 + in_64 - guest_code\n"
    "	.balign 16\n"
    "ticker: incl %cs:0x530; pushal; movl $" TEXT(VMX_VMCALL_LAPICEOI) ", %eax; vmcall\n"
    "	popal; iretw\n"
    "	.balign 16\n"
    "stubs_16:\n"
    ".set n, 0; .rept 32; .balign 16\n"
    "	movl $n, %cs:0x504; jmp fault_16\n"
    ".set n, n + 1; .endr\n"
    "fault_16: movl %eax, %cs:0x700; movl %ecx, %cs:0x708\n"
    "	movl %edx, %cs:0x710; movl %ebx, %cs:0x718\n"
    "	popw %ax; movw %ax, %cs:0x508; movw $2, %cs:0x500\n"
    "1:	jmp 1b\n"
    "	.balign 256\n"
    "slot_16: .fill 256, 1, 0x90\n"
    "	cli\n"
    "	movl %eax, %cs:0x700; movl %ecx, %cs:0x708; movl %edx, %cs:0x710\n"
    "	movl %ebx, %cs:0x718; movl %ebp, %cs:0x728; movl %esi, %cs:0x730\n"
    "	movl %edi, %cs:0x738; movw $1, %cs:0x500\n"
    "1:	jmp 1b\n"
    ".code64\n"
    "in_64:	movl $0x10, %eax; movl %eax, %ds; movl %eax, %es; movl %eax, %ss\n"
    "	movl $0xff0, %esp; lidt 0xb808\n"
    "	movq 0x600, %rax; movq 0x608, %rcx; movq 0x610, %rdx\n"
    "	movq 0x618, %rbx; movq 0x628, %rbp; movq 0x630, %rsi\n"
    "	movq 0x638, %rdi; movq 0x640, %r8; movq 0x648, %r9\n"
    "	movq 0x650, %r10; movq 0x658, %r11; movq 0x660, %r12\n"
    "	movq 0x668, %r13; movq 0x670, %r14; movq 0x678, %r15\n"
    "	jmp slot_64\n"
    "	.balign 16\n"
    "stubs_64:\n"
    ".set n, 0; .rept 32; .balign 16\n"
    "	movl $n, 0x504; jmp fault_64\n"
    ".set n, n + 1; .endr\n"
    "fault_64: call save_64; popq 0x508; popq 0x510; movl $2, 0x500\n"
    "1:	jmp 1b\n"
    "save_64: movq %rax, 0x700; movq %rcx, 0x708; movq %rdx, 0x710\n"
    "	movq %rbx, 0x718; movq %rsp, 0x720; movq %rbp, 0x728\n"
    "	movq %rsi, 0x730; movq %rdi, 0x738; movq %r8, 0x740\n"
    "	movq %r9, 0x748; movq %r10, 0x750; movq %r11, 0x758\n"
    "	movq %r12, 0x760; movq %r13, 0x768; movq %r14, 0x770\n"
    "	movq %r15, 0x778; ret\n"
    "	.balign 256\n"
    "slot_64: .fill 256, 1, 0x90\n"
    "	call save_64; movl $1, 0x500\n"
    "1:	jmp 1b\n"
    "	.balign 4096; guest_code_end: .popsection");
extern uint8_t guest_code[], ticker[], stubs_16[], slot_16[], stubs_64[];
extern uint8_t slot_64[];

/* Pages 8000 to C000 of the guest, and 0. */
static uint8_t tables[5][PGSIZE] __attribute__((aligned(PGSIZE)));
static uint8_t results[PGSIZE] __attribute__((aligned(PGSIZE)));
static uint8_t map_page[PGSIZE] __attribute__((aligned(PGSIZE)));

enum { REAL, LONG };
enum { MAP_FULL, MAP_READ, MAP_NONE };	/* the page of the memory map */

struct Case {
	const char *name;
	int mode;
	const uint8_t *code, *end;
	uint64_t rax, rcx;		/* what they hold at the start */
	int map;
	uint64_t pages;			/* the guest's memory */
};

#define WORD(page, at)	(*(volatile uint32_t *) ((page) + (at)))
#define LONG_AT(page, at)	(*(volatile uint64_t *) ((page) + (at)))

static uint16_t
offset(const uint8_t *label)
{
	return GUEST_ENTRY + (label - guest_code);
}

/* What register i of case n holds at the start: a number of this run's. */
static uint64_t
filling(int n, int i)
{
	uint64_t v = (SEED + n * 16 + i + 1) * 0x9e3779b97f4a7c15UL;

	return v ^ v >> 29;
}

static void
prepare(const struct Case *c, int n)
{
	int i;

	memset(results, 0, PGSIZE);
	memset(tables, 0, sizeof(tables));
	memset(map_page, 0xff, PGSIZE);
	for (i = 0; i < 32; i++)
		WORD(results, i * 4) = offset(stubs_16) + i * 16;
	WORD(results, (IRQ_OFFSET + IRQ_TIMER) * 4) = offset(ticker);
	WORD(results, 0x520) = c->mode;
	for (i = 0; i < 16; i++)
		LONG_AT(results, 0x600 + i * 8) = filling(n, i);
	LONG_AT(results, 0x600) = c->rax;
	LONG_AT(results, 0x608) = c->rcx;
	LONG_AT(tables[0], 0) = 0x9003;		/* the first 2 MiB */
	LONG_AT(tables[1], 0) = 0xa003;
	LONG_AT(tables[2], 0) = 0x83;
	for (i = 0; i < 32; i++) {		/* IDT at B000 */
		LONG_AT(tables[3], i * 16) = 0x8e0000080000UL
		    | (offset(stubs_64) + i * 16);
		LONG_AT(tables[3], i * 16 + 8) = 0;
	}
	LONG_AT(tables[3], 0x400 + 8) = 0x00af9a000000ffffUL;	/* GDT */
	LONG_AT(tables[3], 0x400 + 16) = 0x00cf92000000ffffUL;
	LONG_AT(tables[3], 0x400 + 24) = 0x00cf9a000000ffffUL;	/* 32 bits */
	LONG_AT(tables[3], 0x400 + 32) = 0x00008900c8000067UL;	/* a TSS */
	LONG_AT(tables[3], 0x400 + 40) = 0x00008900ca000067UL;	/* another */
	LONG_AT(tables[3], 0x800) = 0xb4000000UL | 0x3f;	/* GDTR */
	LONG_AT(tables[3], 0x808) = 0xb0000000UL | 0x1ff;	/* IDTR */
	memset(slot_16, 0x90, 256);
	memset(slot_64, 0x90, 256);
	memcpy(c->mode == LONG ? slot_64 : slot_16, c->code, c->end - c->code);
}

static void
give(envid_t guest, void *page, uintptr_t gpa, int perm)
{
	int r = sys_ept_map(0, page, guest, (void *) gpa, perm);

	if (r < 0)
		cprintf("GRADE %s trouble: page %lx: %d\n", NONCE, gpa, r);
}

/* The exits of a guest, without those that come by the clock. */
static void
show_exits(envid_t guest)
{
	static struct ExitTrace exits[NEXITTRACE];
	int i, n = sys_guest_trace(guest, exits, NEXITTRACE);

	for (i = 0; i < n; i++)
		if (exits[i].reason != EXIT_REASON_INTERRUPT
		    && exits[i].reason != EXIT_REASON_PREEMPTION_TIMER
		    && exits[i].reason != EXIT_REASON_INTERRUPT_WINDOW)
			cprintf(" %u:%u:%lx", exits[i].reason,
			    exits[i].result, exits[i].rip);
}

static bool
gone(envid_t guest)
{
	return envs[ENVX(guest)].env_id != guest
	    || envs[ENVX(guest)].env_status == ENV_FREE;
}

static void
run(const struct Case *c, int n)
{
	uint64_t pages = c->pages ? c->pages : 32;
	envid_t guest = sys_env_mkguest(PGSIZE * pages, GUEST_ENTRY);
	unsigned begin;
	bool ended;
	int i;

	if (guest < 0) {
		cprintf("GRADE %s trouble: no guest: %d\n", NONCE, guest);
		return;
	}
	prepare(c, n);
	give(guest, results, 0, __EPTE_FULL);
	give(guest, guest_code, GUEST_ENTRY, __EPTE_READ | __EPTE_EXEC);
	if (pages > 12)
		for (i = 0; i < 5; i++)
			give(guest, tables[i], 0x8000 + i * PGSIZE, __EPTE_FULL);
	if (c->map != MAP_NONE)
		give(guest, map_page, MBI, c->map == MAP_FULL ? __EPTE_FULL
		    : __EPTE_READ);
	sys_env_set_status(guest, ENV_RUNNABLE);
	begin = sys_time_msec();
	while (!gone(guest) && WORD(results, 0x500) == 0
	    && sys_time_msec() - begin < 250)
		sys_yield();
	ended = gone(guest);
	if (!ended)		/* it says nothing more between our words */
		sys_env_destroy(guest);
	cprintf("\nGRADE %s case %s: %s %u %u %lx %lx %u |", NONCE, c->name,
	    WORD(results, 0x500) ? "said" : ended ? "gone" : "hangs",
	    WORD(results, 0x500), WORD(results, 0x504),
	    LONG_AT(results, 0x508), LONG_AT(results, 0x510),
	    WORD(results, 0x530));
	for (i = 0; i < 16; i++)
		cprintf(" %lx", LONG_AT(results, 0x700 + i * 8));
	cprintf(" |");
	show_exits(guest);
	cprintf(" |");
	if (c->map == MAP_FULL && WORD(map_page, 0) != 0xffffffff)
		for (i = 0; i < 192; i++)
			cprintf("%02x", map_page[i]);
	cprintf("\n");
}

/* Run all cases. What CPUID says here, to be compared with what a guest gets,
   is told before. */
static void
run_all(const struct Case *cases, int n)
{
	uint32_t a, b, c, d;
	int i;

	for (i = 0; i < n; i++)
		if (strncmp(cases[i].name, "cpuid-0x", 8) == 0) {
			cpuid(cases[i].rax, &a, &b, &c, &d);
			cprintf("GRADE %s native %x: %x %x %x %x\n", NONCE,
			    (uint32_t) cases[i].rax, a, b, c, d);
		}
	close(open("/motd", O_RDONLY));		/* the file server is up */
	cprintf("GRADE %s page %x code %x\n", NONCE, offset(slot_16),
	    offset(slot_64));
	for (i = 0; i < n; i++)
		run(&cases[i], i);
	cprintf("GRADE %s done %d\n", NONCE, n);
}

#define CODE(n, name, mode, rax, rcx, map, pages, text)			\
	asm(".pushsection .rodata;" MODE_##mode				\
	    "c" #n ":" text "\n e" #n ": .code64; .popsection");	\
	extern const uint8_t c##n[], e##n[];
#define MODE_REAL	" .code16\n"
#define MODE_LONG	" .code64\n"
#define ROW(n, name, mode, rax, rcx, map, pages, text)			\
	{ name, mode, c##n, e##n, rax, rcx, map, pages },
