/*
 * Where things are in an address space.
 *
 *                     0x100_0000_0000  +---------------------------+
 *                                      | the tables themselves     | UVPT
 *                                      +---------------------------+
 *                                      :                           :
 *  KERNBASE 0x80_0400_0000 and up      | all physical memory       | kernel
 *  KSTACKTOP = KERNBASE                | kernel stacks, downwards  | kernel
 *                                      :                           :
 *  ULIM, MMIOBASE 0x80_03c0_0000       | device registers          | kernel
 *                                      +---------------------------+
 *  UPAGES   0x80_00a0_0000             | struct PageInfo []        | user r
 *  UENVS    0x80_0080_0000             | struct Env []             | user r
 *  UTOP = UENVS                        +---------------------------+
 *                                      :                           :
 *  UXSTACKTOP 0xef80_0000              | user exception stack      | user rw
 *                                      | one page left unmapped    |
 *  USTACKTOP  0xef7f_e000              | user stack                | user rw
 *                                      :                           :
 *  UTEXT    0x80_0000                  | program text, data        | user
 *  UTEMP    0x40_0000                  | temporary mappings        | user rw
 *                                  0   +---------------------------+
 */
#ifndef JOS_INC_MEMLAYOUT_H
#define JOS_INC_MEMLAYOUT_H

#include <inc/mmu.h>

/* Segment selectors. */
#define GD_KT		0x08	/* kernel text */
#define GD_KD		0x10	/* kernel data */
#define GD_UT		0x18	/* user text */
#define GD_UD		0x20	/* user data */
#define GD_TSS0		0x28	/* TSS of CPU 0; 16 bytes for each CPU */

#define NCPU		8	/* most processors that we use */

/* Physical memory below 1 MiB and above it. */
#define IOPHYSMEM	0x0a0000
#define EXTPHYSMEM	0x100000
#define MPENTRY_PADDR	0x7000	/* where other processors start */

#define KERNBASE	0x8004000000
#define KSTACKTOP	KERNBASE
#define KSTKSIZE	(16 * PGSIZE)	/* a kernel stack */
#define KSTKGAP		(8 * PGSIZE)	/* unmapped, between two of them */
#define KSTACKTOP_CPU(i) (KSTACKTOP - (uintptr_t) (i) * (KSTKSIZE + KSTKGAP))

#define ULIM		0x8003c00000
#define MMIOBASE	ULIM
#define MMIOLIM		(MMIOBASE + PTSIZE)

#define UVPT		0x10000000000
#define UPAGES		0x8000a00000
#define UENVS		0x8000800000
#define UTOP		UENVS

#define UXSTACKTOP	0xef800000
#define USTACKTOP	0xef7fe000
#define UTEXT		0x800000
#define UTEMP		0x400000
#define PFTEMP		(UTEMP + PTSIZE - PGSIZE)	/* 0x5ff000 */

#ifndef __ASSEMBLER__

/*
 * What the kernel knows of one physical page.  The page with number n is
 * described by pages[n]; programs may read the array at UPAGES.
 */
struct PageInfo {
	struct PageInfo *pp_link;	/* next free page; NULL at the end */
	uint16_t pp_ref;		/* mappings of this page */
	uint16_t pp_state;		/* PAGE_RESERVED, PAGE_FREE, PAGE_USED */
};

#define PAGE_RESERVED	0	/* not RAM, or never handed out */
#define PAGE_FREE	1
#define PAGE_USED	2

#endif
#endif
