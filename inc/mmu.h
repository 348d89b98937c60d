/* What the x86-64 MMU and segmentation hardware define. */
#ifndef JOS_INC_MMU_H
#define JOS_INC_MMU_H

/*
 * A 48-bit virtual address:
 *
 *  47     39 38     30 29     21 20     12 11          0
 * +---------+---------+---------+---------+-------------+
 * |  PML4   |  PDPE   |   PDE   |   PTE   |   offset    |
 * +---------+---------+---------+---------+-------------+
 */
#define PGSIZE		4096
#define PGSHIFT		12
#define PTSIZE		0x200000	/* bytes mapped by one page table */
#define PTSHIFT		21
#define NPTENTRIES	512
#define NPDENTRIES	512
#define NPDPENTRIES	512
#define NPMLENTRIES	512

#define PTXSHIFT	12
#define PDXSHIFT	21
#define PDPESHIFT	30
#define PML4SHIFT	39

#define PTX(la)		(((uintptr_t) (la) >> PTXSHIFT) & 0x1ff)
#define PDX(la)		(((uintptr_t) (la) >> PDXSHIFT) & 0x1ff)
#define PDPE(la)	(((uintptr_t) (la) >> PDPESHIFT) & 0x1ff)
#define PML4(la)	(((uintptr_t) (la) >> PML4SHIFT) & 0x1ff)
#define PGOFF(la)	((uintptr_t) (la) & 0xfff)
#define PGADDR(m, p, d, t, o)						\
	((void *) ((uintptr_t) (m) << PML4SHIFT |			\
		   (uintptr_t) (p) << PDPESHIFT |			\
		   (uintptr_t) (d) << PDXSHIFT |			\
		   (uintptr_t) (t) << PTXSHIFT | (uintptr_t) (o)))

/*
 * Page numbers, and indices into the user-readable tables uvpt, uvpd, uvpde
 * and uvpml4e.  PPN may be given a whole entry, with PTE_NX in bit 63.
 */
#define PPN(pa)		(((uintptr_t) (pa) & 0x000fffffffffffff) >> PTXSHIFT)
#define VPN(la)		PPN(la)
#define VPD(la)		((uintptr_t) (la) >> PDXSHIFT)
#define VPDPE(la)	((uintptr_t) (la) >> PDPESHIFT)
#define VPML4E(la)	((uintptr_t) (la) >> PML4SHIFT)

/* Bits of an entry, at every level. */
#define PTE_P		0x001	/* present */
#define PTE_W		0x002	/* writable */
#define PTE_U		0x004	/* user may use it */
#define PTE_PWT		0x008	/* write-through */
#define PTE_PCD		0x010	/* cache disabled */
#define PTE_A		0x020	/* accessed */
#define PTE_D		0x040	/* dirty */
#define PTE_PS		0x080	/* a PDE that maps 2 MiB */
#define PTE_MBZ		0x180	/* must be zero in a PML4 entry */
#define PTE_G		0x100	/* global: survives a CR3 load */
#define PTE_AVAIL	0xe00	/* for software */
#define PTE_COW		0x800	/* one of them: copy on write, by lib/fork.c */
#define PTE_NX		0x8000000000000000ULL	/* no instruction fetch */

/* The permission bits that a system call accepts. */
#define PTE_SYSCALL	(PTE_AVAIL | PTE_P | PTE_W | PTE_U)
#define PTE_USER	PTE_SYSCALL

#define PTE_ADDR(pte)	((physaddr_t) (pte) & 0x000ffffffffff000ULL)

/* Control registers. */
#define CR0_PE		0x00000001
#define CR0_MP		0x00000002
#define CR0_EM		0x00000004
#define CR0_TS		0x00000008
#define CR0_ET		0x00000010
#define CR0_NE		0x00000020
#define CR0_WP		0x00010000
#define CR0_AM		0x00040000
#define CR0_NW		0x20000000
#define CR0_CD		0x40000000
#define CR0_PG		0x80000000
#define CR0_CACHE	(CR0_NW | CR0_CD)

#define CR4_PSE		0x00000010
#define CR4_PAE		0x00000020
#define CR4_PGE		0x00000080
#define CR4_VMXE	0x00002000
#define CR4_PCIDE	0x00020000

#define MSR_EFER	0xc0000080
#define EFER_SCE	0x00000001
#define EFER_LME	0x00000100
#define EFER_LMA	0x00000400
#define EFER_NXE	0x00000800
#define EFER_ALL	(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)

/* RFLAGS. */
#define FL_CF		0x00000001
#define FL_PF		0x00000004
#define FL_AF		0x00000010
#define FL_ZF		0x00000040
#define FL_SF		0x00000080
#define FL_TF		0x00000100
#define FL_IF		0x00000200
#define FL_DF		0x00000400
#define FL_OF		0x00000800
#define FL_IOPL_MASK	0x00003000
#define FL_IOPL_0	0x00000000
#define FL_IOPL_3	0x00003000
#define FL_NT		0x00004000
#define FL_RF		0x00010000
#define FL_VM		0x00020000
#define FL_AC		0x00040000
#define FL_RESERVED	(~0x3fffffULL | 0x8028)	/* must be 0 */

/* Error code of a page fault. */
#define FEC_PR		0x01	/* the page was present: a protection fault */
#define FEC_WR		0x02	/* a write */
#define FEC_U		0x04	/* from user mode */
#define FEC_RSVD	0x08	/* a reserved bit was set in an entry */
#define FEC_I		0x10	/* an instruction fetch */

/* Segment types. */
#define STA_X		0x8	/* code */
#define STA_W		0x2	/* writable (data) */
#define STA_R		0x2	/* readable (code) */
#define STS_T64A	0x9	/* 64-bit TSS, available */
#define STS_IG64	0xe	/* 64-bit interrupt gate */
#define STS_TG64	0xf	/* 64-bit trap gate */

#ifdef __ASSEMBLER__

/* A segment descriptor for assembly: type, base, limit; the flat ones. */
#define SEG_NULL							\
	.quad 0
#define SEG(type, base, lim)						\
	.word (((lim) >> 12) & 0xffff), ((base) & 0xffff);		\
	.byte (((base) >> 16) & 0xff), (0x90 | (type)),			\
	      (0xc0 | (((lim) >> 28) & 0xf)), (((base) >> 24) & 0xff)
#define SEG64(type)							\
	.word 0xffff, 0;						\
	.byte 0, (0x90 | (type)), 0xaf, 0

#else

#include <inc/types.h>

typedef uint64_t pte_t;
typedef uint64_t pde_t;
typedef uint64_t pdpe_t;
typedef uint64_t pml4e_t;
typedef uint64_t epte_t;		/* of a guest's extended page tables */

/* A code or data descriptor, 8 bytes. */
struct Segdesc {
	unsigned sd_lim_15_0 : 16;
	unsigned sd_base_15_0 : 16;
	unsigned sd_base_23_16 : 8;
	unsigned sd_type : 4;
	unsigned sd_s : 1;		/* 0 system, 1 code or data */
	unsigned sd_dpl : 2;
	unsigned sd_p : 1;
	unsigned sd_lim_19_16 : 4;
	unsigned sd_avl : 1;
	unsigned sd_l : 1;		/* 64-bit code */
	unsigned sd_db : 1;
	unsigned sd_g : 1;		/* limit counts pages */
	unsigned sd_base_31_24 : 8;
};

#define SEGDESC_CODE64(dpl)						\
	((struct Segdesc) { .sd_lim_15_0 = 0xffff, .sd_lim_19_16 = 0xf,	\
		.sd_type = STA_X | STA_R, .sd_s = 1, .sd_dpl = (dpl),	\
		.sd_p = 1, .sd_l = 1, .sd_g = 1 })
#define SEGDESC_DATA(dpl)						\
	((struct Segdesc) { .sd_lim_15_0 = 0xffff, .sd_lim_19_16 = 0xf,	\
		.sd_type = STA_W, .sd_s = 1, .sd_dpl = (dpl),		\
		.sd_p = 1, .sd_db = 1, .sd_g = 1 })

/* The 16-byte descriptor of a 64-bit TSS takes two slots of the GDT. */
struct TssDesc {
	uint16_t td_lim_15_0;
	uint16_t td_base_15_0;
	uint8_t td_base_23_16;
	uint8_t td_type_p;		/* type, DPL, present */
	uint8_t td_lim_19_16;
	uint8_t td_base_31_24;
	uint32_t td_base_63_32;
	uint32_t td_reserved;
} __attribute__((packed));

/* The 64-bit task state segment: stacks to switch to. */
struct Taskstate {
	uint32_t ts_reserved0;
	uint64_t ts_rsp0;		/* stack for entries from user mode */
	uint64_t ts_rsp1;
	uint64_t ts_rsp2;
	uint64_t ts_reserved1;
	uint64_t ts_ist[7];		/* ts_ist[0] is IST1 */
	uint64_t ts_reserved2;
	uint16_t ts_reserved3;
	uint16_t ts_iomb;		/* offset of the I/O permission map */
} __attribute__((packed));

/* A gate of the 64-bit interrupt descriptor table, 16 bytes. */
struct Gatedesc {
	uint16_t gd_off_15_0;
	uint16_t gd_sel;
	uint8_t gd_ist;
	uint8_t gd_type_dpl_p;
	uint16_t gd_off_31_16;
	uint32_t gd_off_63_32;
	uint32_t gd_reserved;
};

#define GATE(istrap, sel, off, dpl)					\
	((struct Gatedesc) {						\
		.gd_off_15_0 = (uint64_t) (off) & 0xffff,		\
		.gd_sel = (sel),					\
		.gd_type_dpl_p = ((istrap) ? STS_TG64 : STS_IG64)	\
			| (dpl) << 5 | 0x80,				\
		.gd_off_31_16 = ((uint64_t) (off) >> 16) & 0xffff,	\
		.gd_off_63_32 = (uint64_t) (off) >> 32 })

/* Operand of LGDT and LIDT. */
struct Pseudodesc {
	uint16_t pd_lim;
	uint64_t pd_base;
} __attribute__((packed));

#endif /* !__ASSEMBLER__ */
#endif
