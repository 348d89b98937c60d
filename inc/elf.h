/* The ELF format, 64-bit little-endian: what a loader needs of it. */
#ifndef JOS_INC_ELF_H
#define JOS_INC_ELF_H

#include <inc/types.h>

#define ELF_MAGIC	0x464c457fU	/* "\x7fELF" as a number */
#define ELF_CLASS64	2
#define ELF_DATA_LSB	1
#define ELF_TYPE_EXEC	2
#define ELF_MACHINE_X86_64 62

struct Elf {
	uint32_t e_magic;
	uint8_t e_elf[12];		/* e_elf[0] class, e_elf[1] data */
	uint16_t e_type;
	uint16_t e_machine;
	uint32_t e_version;
	uint64_t e_entry;
	uint64_t e_phoff;		/* offset of the program headers */
	uint64_t e_shoff;
	uint32_t e_flags;
	uint16_t e_ehsize;
	uint16_t e_phentsize;
	uint16_t e_phnum;
	uint16_t e_shentsize;
	uint16_t e_shnum;
	uint16_t e_shstrndx;
};

struct Proghdr {
	uint32_t p_type;
	uint32_t p_flags;
	uint64_t p_offset;		/* in the file */
	uint64_t p_va;
	uint64_t p_pa;
	uint64_t p_filesz;		/* bytes in the file */
	uint64_t p_memsz;		/* bytes in memory; the rest is zero */
	uint64_t p_align;
};

#define ELF_PROG_LOAD		1
#define ELF_PROG_FLAG_EXEC	1
#define ELF_PROG_FLAG_WRITE	2
#define ELF_PROG_FLAG_READ	4

#endif
