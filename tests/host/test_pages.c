/*
 * The page allocator against memory maps that no sane firmware has.
 *
 * kern/page.c is compiled into this program as it stands.  Physical memory is
 * an anonymous mapping at KERNBASE (pages_host.c), so KADDR works.  For each
 * random map the free list must hold exactly the pages that a slow and simple
 * rule finds, each of them once.
 */
#include "kern/page.c"
#include "host.h"

enum { MAXENTRIES = 12, MAP_AT = 0x9000 };
#define REGULAR_TOP	(64UL << 20)

static struct memory_map map[MAXENTRIES];
static int nmap;

static void
entry(uint64_t base, uint64_t length, uint32_t type)
{
	map[nmap++] = (struct memory_map) { 20, base, length, type };
}

/* A few entries in any order, with any alignment, over each other. */
static void
random_map(bool high)
{
	nmap = 0;
	while (nmap < 1 + (int) host_random(MAXENTRIES - 4)) {
		uint64_t base = host_random(REGULAR_TOP);
		uint64_t length = host_random(1UL << host_random(26));
		uint32_t type = host_random(7);

		if (type != MB_TYPE_USABLE && base + length > (2UL << 20)
		    && base < (8UL << 20))
			type = MB_TYPE_USABLE;
		if (host_random(3) == 0)
			base &= -PGSIZE;
		entry(base, length, type);
	}
	if (high) {
		entry(128UL << 20, 64UL << 20, MB_TYPE_USABLE);
		entry((4UL << 30) + host_random(1UL << 30),
		      host_random(12UL << 30), MB_TYPE_USABLE);
		entry((8UL << 30) + host_random(1UL << 30), -1UL,
		      MB_TYPE_RESERVED);
		entry(1UL << 60, 1UL << 63, MB_TYPE_USABLE + host_random(2));
	}
	entry(2UL << 20, 6UL << 20, MB_TYPE_USABLE);
}

static bool
touches(uint64_t pa, uint64_t start, uint64_t end)
{
	return pa < end && start < pa + PGSIZE;
}

/* The end of the bytes that entry e covers. */
static uint64_t
end_of(const struct memory_map *e)
{
	return e->length > -1UL - e->base ? -1UL : e->base + e->length;
}

/* Must page pa be free? */
static bool
wanted(uint64_t pa)
{
	bool usable = false;
	uint64_t array = PADDR(pages);

	for (int i = 0; i < nmap; i++)
		if (map[i].type == MB_TYPE_USABLE)
			usable |= map[i].base <= pa
				&& end_of(&map[i]) >= pa + PGSIZE;
		else if (map[i].length
			 && touches(pa, map[i].base, end_of(&map[i])))
			return false;
	return usable && pa != 0 && pa != MPENTRY_PADDR
		&& !touches(pa, IOPHYSMEM, EXTPHYSMEM)
		&& !touches(pa, PADDR(kern_start), PADDR(kern_end))
		&& !touches(pa, array, array + npages * sizeof(*pages));
}

/* Tell page.c of the map, and have it start as after power-on. */
static void
start(void)
{
	struct multiboot_info *mb = KADDR(MAP_AT);
	char *copy = KADDR(MAP_AT + sizeof(*mb));

	memset(mb, 0, sizeof(*mb));
	mb->flags = MB_FLAG_MMAP;
	mb->mmap_addr = MAP_AT + sizeof(*mb);
	mb->mmap_length = nmap * sizeof(map[0]);
	memcpy(copy, map, mb->mmap_length);
	page_free_list = NULL;
	npages = nfree = nmem_regions = 0;
	page_init(MAP_AT);
}

/* Compare the free list with the rule. */
static size_t
compare(void)
{
	size_t free = 0, listed = 0;

	for (size_t i = 0; i < npages; i++) {
		bool is_free = pages[i].pp_state == PAGE_FREE;

		if (is_free != wanted(i * PGSIZE))
			host_fail("page %lx is %sfree", i * PGSIZE,
				  is_free ? "" : "not ");
		free += is_free;
	}
	for (struct PageInfo *pp = page_free_list; pp; pp = pp->pp_link) {
		if (pp->pp_state != PAGE_FREE || pp->pp_ref || ++listed > free)
			host_fail("the list is broken at %lx", page2pa(pp));
	}
	if (listed != free || listed != page_nfree())
		host_fail("%lu pages free, %lu listed", free, listed);
	return free;
}

/* Run on n random maps; return the number of free pages seen. */
size_t
check_maps(int n)
{
	size_t sum = 0;

	for (int i = 0; i < n; i++) {
		random_map(i % 50 == 0);
		start();
		sum += compare();
	}
	return sum;
}
