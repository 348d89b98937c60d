/*
 * The checker of VM entries on the host: fields, capability MSRs and memory
 * are what standard input says, and what it reports goes to standard output.
 *
 *	f ENCODING VALUE	a field; - for VALUE: there's no such field
 *	m INDEX VALUE		an MSR
 *	w ADDRESS VALUE		eight bytes of physical memory
 *	o WIDTHS LONG_MODE	address widths as CPUID has them; EFER.LMA
 *	k			keep all that has been said so far
 *	c			check; then go back to what was kept
 *
 * Numbers are hexadecimal.  A check ends with a line "= BROKEN".
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define off_t jos_off_t
#define ssize_t jos_ssize_t
#include <vmm/entrycheck.h>

enum { MAXTHINGS = 1024 };

static struct {
	char kind;
	uint64_t key, value;
	bool there;
} things[MAXTHINGS];
static int nthings, nkept;
static unsigned widths;

/* The last word on a thing; NULL if there is none. */
static const uint64_t *
find(char kind, uint64_t key)
{
	for (int i = nthings - 1; i >= 0; i--)
		if (things[i].kind == kind && things[i].key == key)
			return things[i].there ? &things[i].value : NULL;
	return NULL;
}

static uint64_t
must_find(char kind, uint64_t key)
{
	const uint64_t *value = find(kind, key);

	if (value == NULL) {
		printf("no %c %lx\n", kind, key);
		exit(1);
	}
	return *value;
}

static uint64_t
field(uint32_t encoding)
{
	return must_find('f', encoding);
}

static uint64_t
msr(uint32_t index)
{
	return must_find('m', index);
}

/* Memory is there if its first word is; its end is watched. */
static const void *
memory(physaddr_t pa, size_t size)
{
	static uint64_t *copy;

	free(copy);
	copy = NULL;
	if (find('w', pa) == NULL)
		return NULL;
	copy = calloc(1, size);
	for (size_t i = 0; i < size / 8; i++)
		if (find('w', pa + 8 * i) != NULL)
			copy[i] = *find('w', pa + 8 * i);
	return copy;
}

static void
report(uint32_t encoding, uint64_t value, const char *rule, const char *section)
{
	printf("%x\t%lx\t%s\t%s\n", encoding, value, rule, section);
}

int
main(void)
{
	struct EntryCheck check = {
		.field = field, .msr = msr, .memory = memory, .report = report,
	};
	char line[128], kind, value[32];
	uint64_t key;

	while (fgets(line, sizeof(line), stdin) != NULL) {
		int n = sscanf(line, "%c %lx %31s", &kind, &key, value);

		if (kind == 'k')
			nkept = nthings;
		else if (kind == 'c') {
			check.phys_bits = widths & 0xff;
			check.linear_bits = widths >> 8;
			printf("= %d\n", entry_check(&check));
			nthings = nkept;
		} else if (n != 3 || nthings == MAXTHINGS) {
			printf("what? %s", line);
			return 1;
		} else if (kind == 'o') {
			widths = key;
			check.long_mode = value[0] == '1';
		} else {
			things[nthings].kind = kind;
			things[nthings].key = key;
			things[nthings].there = value[0] != '-';
			things[nthings++].value = strtoul(value, NULL, 16);
		}
	}
	memory(-1, 0);
	return 0;
}
