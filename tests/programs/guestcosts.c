/*
 * What a guest's memory and its ways out cost, in ticks of the TSC.
 * tests/bench.py runs it as the only program beside the file server.
 */
#include <inc/lib.h>
#include <inc/vmcall.h>
#include <inc/vmx.h>
#include <inc/x86.h>
#include "pass.h"

enum { NPAGES = 4096 };

static uint8_t page[PGSIZE] __attribute__((aligned(PGSIZE)));

static void
say(const char *name, uint64_t ticks)
{
	cprintf("bench: %s %lu\n", name, ticks);
}

static void
memory_of_a_guest(void)
{
	envid_t guest = sys_env_mkguest(NPAGES * PGSIZE, GUEST_ENTRY);
	uint64_t begin = read_tsc(), all = begin;
	uintptr_t at;

	if (guest < 0)
		panic("no guest: %e", guest);
	for (at = 0; at < NPAGES * PGSIZE; at += PGSIZE) {
		sys_ept_map(0, page, guest, (void *) at, __EPTE_READ);
		if (at == 0 || at == PGSIZE) {
			say(at ? "a guest's second page" : "a guest's first page",
			    read_tsc() - begin);
			begin = read_tsc();
			all = at ? all : begin;
		}
	}
	say("a guest's 4096 pages", read_tsc() - all);
	begin = read_tsc();
	sys_env_destroy(guest);
	say("the end of a guest with 4096 pages", read_tsc() - begin);
}

/*
 * In real mode at 7000H: the ticks of each way out are put down at 7800H.
 * FS is 1000H, where 16 pages come at once; GS is 2000H, where memory has
 * one page more and then its end.
 */
#define TICKS(at, count, what)						\
	"	movw $" #count ", %si; rdtsc; movl %eax, %edi\n"		\
	"1:	" what "; decw %si; jnz 1b\n"				\
	"	rdtsc; subl %edi, %eax; movl %eax, " #at "\n"
asm(".data; .balign 4096; way_out: .code16\n"
    "	movw $0x1000, %ax; movw %ax, %fs\n"
    "	movw $0x2000, %ax; movw %ax, %gs\n"
    TICKS(0x7800, 1, "movb %fs:0, %al")
    TICKS(0x7804, 1, "movb %gs:0, %al")
    TICKS(0x7808, 1000, "outb %al, $0x60")
    TICKS(0x780c, 1000, "movl $0xc0000080, %ecx; rdmsr")
    TICKS(0x7810, 32, "movw $0x3f8, %dx; movb $'x', %al; outb %al, %dx")
    "	movl $0x7400, %ebx; movl $32, %ecx\n"
    TICKS(0x7814, 1, "movl $7, %eax; vmcall")
    "	movw $0x3f8, %dx; movb $10, %al; outb %al, %dx\n"
    "	cli; hlt\n"
    ".org way_out + 0x400; .fill 32, 1, 'x'\n"
    "	.balign 4096; .code64; .text");
extern uint8_t way_out[];

static void
ways_out_of_a_guest(void)
{
	envid_t guest = sys_env_mkguest(33 * PGSIZE, GUEST_ENTRY);
	volatile uint32_t *ticks = (uint32_t *) (way_out + 0x800);

	if (guest < 0 || sys_ept_map(0, way_out, guest, (void *) GUEST_ENTRY,
	    __EPTE_FULL) < 0)
		panic("no guest");
	sys_guest_attach(guest);
	say("a guest gets sixteen pages", ticks[0]);
	say("a guest gets one page", ticks[1]);
	say("a guest's OUT to no device", ticks[2] / 1000);
	say("a guest reads EFER", ticks[3] / 1000);
	say("a guest's OUT of a character", ticks[4] / 32);
	say("a guest's 32 characters by OUT", ticks[4]);
	say("a guest's 32 characters by PUTS", ticks[5]);
}

void
umain(int argc, char **argv)
{
	(void) argc, (void) argv;
	pass(300);			/* the file server begins */
	memory_of_a_guest();
	ways_out_of_a_guest();
	cprintf("bench: done\n");
}
