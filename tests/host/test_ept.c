/*
 * The walk of the extended page tables against a list of what was asked for.
 *
 * vmm/ept.c is compiled into this program as it stands.  Physical memory is
 * the host's (ept_host.c); a page that is free is poisoned, so that the
 * address sanitizer sees whoever touches it.
 */
#include <inc/assert.h>
#include <inc/memlayout.h>
#include "host.h"
extern uintptr_t host_ram;		/* physical memory begins here */
#undef KERNBASE
#define KERNBASE	host_ram
#include <kern/cpu.h>
#undef thiscpu
#define thiscpu		(&host_cpu)

static struct CpuInfo host_cpu;		/* not in VMX root operation */

#include "vmm/ept.c"

enum { NPAGES = 4096, NDATA = 64, NPLACES = 256 };

void __asan_poison_memory_region(void const volatile *addr, size_t size);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);

static struct PageInfo page_array[NPAGES];
struct PageInfo *pages = page_array;
size_t npages = NPAGES;
physaddr_t direct_end = NPAGES * PGSIZE;

static struct PageInfo *free_list;
static size_t nfree;
static size_t budget;			/* pages that may still be had */

static void
check(bool good, const char *what)
{
	if (!good)
		host_fail("%s", what);
}

void
page_free(struct PageInfo *pp)
{
	check(pp->pp_state == PAGE_USED && pp->pp_ref == 0, "a bad free");
	__asan_poison_memory_region(page2kva(pp), PGSIZE);
	pp->pp_state = PAGE_FREE;
	pp->pp_link = free_list;
	free_list = pp;
	nfree++;
}

struct PageInfo *
page_alloc(int alloc_flags)
{
	struct PageInfo *pp = free_list;

	if (pp == NULL || budget == 0)
		return NULL;
	budget--;
	nfree--;
	free_list = pp->pp_link;
	pp->pp_state = PAGE_USED;
	__asan_unpoison_memory_region(page2kva(pp), PGSIZE);
	__builtin_memset(page2kva(pp), alloc_flags & ALLOC_ZERO ? 0 : 0xa5,
			 PGSIZE);
	return pp;
}

void
page_decref(struct PageInfo *pp)
{
	check(pp->pp_ref > 0, "a reference too few");
	if (--pp->pp_ref == 0)
		page_free(pp);
}

void *
kpage_alloc(void)
{
	struct PageInfo *pp = page_alloc(ALLOC_ZERO);

	if (pp == NULL)
		return NULL;
	pp->pp_ref = 1;
	return page2kva(pp);
}

void
kpage_free(void *page)
{
	if (page != NULL)
		page_decref(pa2page(PADDR(page)));
}

/* What should be at a place. */
struct Place {
	uint64_t gpa;
	struct PageInfo *pp;		/* NULL: nothing */
	int perm;
};

static struct Place places[NPLACES];
static struct PageInfo *data[NDATA];
static struct Env guest;
#define ROOT	(guest.env_vmxinfo.ept)
#define MEMORY	(64UL << 20)		/* the guest's */

/* Addresses of all kinds, below the guest's memory size and far above. */
static void
choose_places(void)
{
	for (int i = 0; i < NPLACES; i++) {
		uint64_t gpa = host_random(1UL << (22 + host_random(27)));

		places[i] = (struct Place) { .gpa = gpa & 0xfffffffff000 };
		for (int k = 0; k < i; k++)
			if (places[k].gpa == places[i].gpa)
				i--, k = NPLACES;
	}
}

/* How often page pp is mapped. */
static int
mappings(const struct PageInfo *pp)
{
	int n = 0;

	for (int i = 0; i < NPLACES; i++)
		n += places[i].pp == pp;
	return n;
}

/* Is at the place what should be there? */
static void
check_place(const struct Place *p)
{
	epte_t *epte = NULL;
	struct PageInfo *pp = ept_page_lookup(ROOT, (void *) p->gpa, &epte);

	check(pp == p->pp, "another page");
	if (pp != NULL) {
		check((int) (*epte & 7) == p->perm, "other rights");
		check((*epte >> 3 & 0xf) == 0xe, "another memory type");
		check(*epte >> 52 == 0, "an address too high");
	}
}

static void
check_all(void)
{
	for (int i = 0; i < NPLACES; i++)
		check_place(&places[i]);
	for (int i = 0; i < NDATA; i++)
		check(data[i]->pp_ref == 1 + mappings(data[i]), "references");
}

static bool
good(int perm)
{
	return perm == 1 || perm == 3 || perm == 5 || perm == 7;
}

/* sys_ept_map's share: map and count. */
static void
try_map(struct Place *p, struct PageInfo *pp, int perm)
{
	int r = ept_map_hva2gpa(ROOT, page2kva(pp), (void *) p->gpa, perm, 0);

	if (!good(perm) || p->pp != NULL)
		check(r == -E_INVAL || r == -E_NO_MEM, "a map that can't be");
	else
		check(r == 0 || (r == -E_NO_MEM && budget == 0), "no map");
	if (r == 0) {
		pp->pp_ref++;
		p->pp = pp;
		p->perm = perm;
	}
}

static void
try_insert(struct Place *p, struct PageInfo *pp, int perm)
{
	uint64_t flushes = ept_flushes;
	int r = ept_page_insert(ROOT, pp, (void *) p->gpa, perm);

	if (!good(perm))
		check(r == -E_INVAL, "an insert with bad rights");
	else
		check(r == 0 || (r == -E_NO_MEM && budget == 0), "no insert");
	if (r == 0) {
		check(p->pp == NULL || ept_flushes > flushes, "no flush");
		p->pp = pp;
		p->perm = perm;
	}
}

/* A page of the guest's own; the place keeps its only reference. */
static void
try_demand(struct Place *p)
{
	struct PageInfo *pp;
	epte_t *epte = NULL;
	size_t before = nfree;
	int r = guest_page(&guest, p->gpa + host_random(PGSIZE), &epte);

	if (p->gpa >= MEMORY) {
		check(r == -E_INVAL && nfree == before, "beyond its memory");
	} else if (r == 0) {
		pp = pa2page(EPTE_ADDR(*epte));
		check(p->pp == NULL || p->pp == pp, "another page, twice");
		if (p->pp == NULL) {
			p->perm = 7;
			for (int i = 0; i < PGSIZE; i++)
				check(((char *) page2kva(pp))[i] == 0,
				      "a new page with something in it");
		}
		p->pp = pp;
		check(pp->pp_ref >= 1, "a page without a reference");
	} else {
		check(r == -E_NO_MEM && budget == 0, "no page");
	}
}

static void
one_round(void)
{
	size_t before = nfree;

	choose_places();
	guest.env_vmxinfo.phys_sz = MEMORY;
	budget = NPAGES;
	check(ept_new(&ROOT) == 0, "no root");
	for (int i = 0; i < 2000; i++) {
		struct Place *p = &places[host_random(NPLACES)];
		struct PageInfo *pp = data[host_random(NDATA)];
		int perm = host_random(9);

		budget = host_random(4) ? NPAGES : host_random(4);
		if (host_random(3) == 0)
			try_demand(p);
		else if (host_random(2))
			try_map(p, pp, perm);
		else
			try_insert(p, pp, perm);
	}
	check_all();
	ept_free(ROOT);
	for (int i = 0; i < NDATA; i++)
		check(data[i]->pp_ref == 1, "references after ept_free");
	check(nfree == before, "pages after ept_free");
}

/* Do the entries above the last give all rights, and say nothing else? */
static void
check_way(const epte_t *table, uint64_t gpa)
{
	for (int shift = 39; shift > 12; shift -= 9) {
		epte_t e = table[gpa >> shift & 0x1ff];

		check(PGOFF(e) == 7, "an entry that leads to a table");
		table = KADDR(EPTE_ADDR(e));
	}
}

/* Addresses that aren't 48 bits, and no tables at all. */
static void
check_edges(void)
{
	epte_t *epte;

	budget = NPAGES;
	ept_free(NULL);
	check(ept_new(&ROOT) == 0, "no root");
	check(ept_lookup_gpa(NULL, NULL, 1, &epte) == -E_INVAL, "NULL");
	for (int bit = 48; bit < 64; bit++)
		check(ept_lookup_gpa(ROOT, (void *) (1UL << bit), 1, &epte)
		      == -E_INVAL, "an address of more than 48 bits");
	for (int bit = 12; bit < 48; bit++) {
		size_t before = nfree;

		if (bit == 12 || bit > 20)	/* a table is missing */
			check(ept_lookup_gpa(ROOT, (void *) (1UL << bit), 0,
					     &epte) == -E_NO_ENT
			      && nfree == before, "create 0");
		check(ept_lookup_gpa(ROOT, (void *) (1UL << bit), 1, &epte)
		      == 0, "an address of 48 bits");
		check(PGOFF(epte) / 8 == (1UL << bit >> 12 & 0x1ff), "index");
		check_way(ROOT, 1UL << bit);
	}
	check(ept_pointer(ROOT) == (PADDR(ROOT) | 0x1e), "EPT pointer");
	ept_free(ROOT);
	check(nfree == NPAGES - NDATA, "pages after the edges");
}

/* A guest of five pages: whoever touches one gets them all, and no more. */
static void
check_neighbours(void)
{
	epte_t *epte;
	size_t before = nfree;

	budget = NPAGES;
	guest.env_vmxinfo.phys_sz = 5 * PGSIZE;
	check(ept_new(&ROOT) == 0, "no root");
	guest_page_neighbours(&guest, 0);
	check(nfree == before - 1, "neighbours of nobody");
	check(ept_map_hva2gpa(ROOT, page2kva(data[0]), (void *) PGSIZE, 1, 0)
	      == 0, "no map");
	data[0]->pp_ref++;
	check(guest_page(&guest, 3 * PGSIZE, &epte) == 0, "no page");
	check(nfree == before - 5, "a page of its own");
	budget = 1;
	guest_page_neighbours(&guest, 3 * PGSIZE + 8);
	check(nfree == before - 6, "no memory for neighbours");
	budget = NPAGES;
	guest_page_neighbours(&guest, 3 * PGSIZE + 8);
	check(nfree == before - 8, "neighbours");
	check(ept_page_lookup(ROOT, (void *) PGSIZE, NULL) == data[0]
	      && data[0]->pp_ref == 2, "a neighbour was replaced");
	ept_free(ROOT);
	check(nfree == before, "pages after the neighbours");
}

void
check_ept(int rounds)
{
	for (int i = 0; i < NPAGES; i++) {
		pages[i].pp_state = PAGE_USED;
		page_free(&pages[i]);
	}
	budget = NPAGES;
	for (int i = 0; i < NDATA; i++) {
		data[i] = page_alloc(0);
		data[i]->pp_ref = 1;
	}
	check_edges();
	check_neighbours();
	while (rounds-- > 0)
		one_round();
}
