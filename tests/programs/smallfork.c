/*
 * What a fork costs in a small program, and its parts, in ticks of the TSC.
 * tests/bench.py runs it as the only program beside the file server, also
 * with a kernel that prints no lines about environments.
 */
#include <inc/lib.h>
#include <inc/x86.h>
#include "pass.h"

/* The fewest ticks that something takes, of seven times: the clock comes. */
#define LEAST(something)						\
({									\
	uint64_t least_ = ~0UL, begin_;					\
	for (int i_ = 0; i_ < 7; i_++) {				\
		begin_ = read_tsc();					\
		something;						\
		least_ = MIN(least_, read_tsc() - begin_);		\
	}								\
	least_;								\
})

static uint8_t page[PGSIZE] __attribute__((aligned(PGSIZE)));

static int
nothing(envid_t env, uintptr_t va, pte_t pte)
{
	(void) env, (void) va, (void) pte;
	return 0;
}

void
umain(int argc, char **argv)
{
	uint64_t whole, look, map;
	uint64_t make = ~0UL, end = ~0UL, copy = ~0UL, begin;
	envid_t child;

	(void) argc, (void) argv;
	pass(300);			/* the file server begins */
	whole = LEAST(
		if ((child = fork()) == 0)
			exit();
		wait(child);
	);
	for (int i = 0; i < 7; i++) {
		begin = read_tsc();
		if ((child = sys_exofork()) == 0)
			exit();
		make = MIN(make, read_tsc() - begin);
		sys_env_destroy(child);
		if ((child = fork()) == 0)
			exit();
		begin = read_tsc();
		page[0]++;
		copy = MIN(copy, read_tsc() - begin);
		begin = read_tsc();
		if (sys_env_destroy(child) == 0)
			end = MIN(end, read_tsc() - begin);
	}
	look = LEAST(uvpt_walk(nothing, 0));
	map = LEAST(sys_page_map(0, page, 0, (void *) UTEMP, PTE_P | PTE_U));
	cprintf("bench: small fork, exit, wait %lu\n", whole);
	cprintf("bench: small fork: look for pages %lu\n", look);
	cprintf("bench: small fork: take the child apart %lu\n", end);
	cprintf("bench: small fork: copy a page %lu\n", copy);
	cprintf("bench: small fork: make an empty child %lu\n", make);
	cprintf("bench: small fork: map a page %lu\n", map);
	cprintf("bench: done\n");
}
