/* What a boot loader tells the kernel: multiboot, version 1, in part. */
#ifndef JOS_INC_MULTIBOOT_H
#define JOS_INC_MULTIBOOT_H

#define MULTIBOOT_BOOTLOADER_MAGIC	0x2badb002	/* in EAX at entry */
#define MB_FLAG_MMAP			(1 << 6)	/* mmap_* are valid */
#define MB_TYPE_USABLE			1
#define MB_TYPE_RESERVED		2
#define MB_TYPE_ACPI_RECLM		3
#define MB_TYPE_ACPI_NVS		4
#define MB_TYPE_BAD			5

#ifndef __ASSEMBLER__

#include <inc/types.h>

struct multiboot_info {
	uint32_t flags;
	uint32_t mem_lower;		/* KiB below 640 KiB */
	uint32_t mem_upper;		/* KiB from 1 MiB up to the first hole */
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t mods_count;
	uint32_t mods_addr;
	uint32_t syms[4];
	uint32_t mmap_length;		/* bytes of the memory map */
	uint32_t mmap_addr;		/* its physical address */
} __attribute__((packed));

/* An entry of the memory map.  size does not count itself. */
struct memory_map {
	uint32_t size;
	uint64_t base;
	uint64_t length;
	uint32_t type;
} __attribute__((packed));

#endif
#endif
