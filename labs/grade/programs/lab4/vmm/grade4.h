/* Lab 4's grader in the kernel.  What it finds is read from a core. */
#ifndef JOS_VMM_GRADE4_H
#define JOS_VMM_GRADE4_H

#include <stdint.h>

#define GRADE4_PAGES	8
#define GRADE4_ROOTS	2

/* Something to do with extended page tables. */
struct Grade4Op {
	enum {
		G4_INSERT,		/* ept_page_insert */
		G4_REFS,		/* set the page's references to arg */
		G4_DECREF,		/* drop one */
		G4_ALLOC		/* the page is a new one, without any */
	} kind;
	int root;			/* -1: NULL */
	int page;
	int perm;
	uint64_t gpa;
	int arg;			/* INSERT: 1: while there's no memory */
};

/* What came of it. */
struct Grade4Result {
	int r;
	int invepts;			/* how many were executed */
	int type;			/* of the last one, and its descriptor */
	uint64_t eptp;
	uint64_t leaf_then;		/* the entry as that one saw it */
	uint64_t leaf;			/* and after the call */
	int64_t nfree;			/* free pages */
	uint16_t refs[GRADE4_PAGES];
	uint16_t states[GRADE4_PAGES];
	uint64_t pages[GRADE4_PAGES];	/* their physical addresses */
};

extern const char grade4_nonce[];
extern const struct Grade4Op grade4_ops[];
extern const int grade4_nops;
/* The hidden checks' own, if they are there. */
extern const struct Grade4Op grade4_more[] __attribute__((weak));
extern const int grade4_nmore __attribute__((weak));

/* What a program does with VMCALL in place of a host: inc/grade4.h */

void grade4_at_boot(void);

#endif
