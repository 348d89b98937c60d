/*
 * A program without a host: the grader's kernel answers its VMCALLs from a
 * script and notes with what they came.
 */
#ifndef JOS_INC_GRADE4_H
#define JOS_INC_GRADE4_H

#include <stdint.h>

#define G4_BEGIN	0x47344247	/* RAX; RBX is a struct Grade4Area */
#define G4_END		0x47344245
#define G4_CALLS	256
#define G4_TESTS	48

struct Grade4Answer {			/* what the kernel says */
	int64_t rax;
	uint64_t value;
	int value_in;			/* number of a register, or 0 */
};

struct Grade4Call {			/* registers at one, what RDX leads to */
	uint64_t rax, rbx, rcx, rdx, rsi, rdi;
	uint64_t word[6];		/* first word of the page at each */
};

struct Grade4Area {
	uint64_t test;			/* the program's: what it's at */
	uint64_t ncalls;
	uint64_t first;			/* the first call of the test */
	uint64_t constants[8];		/* the tree's own numbers */
	struct Grade4Answer answers[G4_CALLS];	/* by call of the test */
	struct Grade4Call calls[G4_CALLS];
	uint64_t tests[G4_CALLS];	/* by call: the test */
	int64_t results[G4_TESTS];	/* by test: what came of it */
	uint64_t yields[G4_TESTS];
};

#endif
