/* As many children as there are slots for, and then fewer. */
#include <user/gradelab.h>

#define PAGE	((void *) UTEMP)
#define PERM	(PTE_P | PTE_U | PTE_W)

static envid_t children[NENV];

/* How many of n children can be acted on by their numbers xor bits? */
static int
reached(int n, int bits)
{
	int i, count = 0;

	for (i = 0; i < n; i++)
		count += sys_page_unmap(children[i] ^ bits, PAGE) == 0;
	return count;
}

void
umain(int argc, char **argv)
{
	int i, n = 0, ended = 0;

	(void) argc, (void) argv;
	while (n < 900 && (children[n] = sys_exofork()) > 0)
		n++;
	tell("children", n);
	tell("reached", reached(n, 0));
	tell("next-generation", reached(n, 1 << ENVGENSHIFT));
	tell("high-bit", reached(n, 1 << 25));
	for (i = 0; i < n; i += 2)
		ended += sys_env_destroy(children[i]) == 0;
	tell("ended", ended == (n + 1) / 2);
	tell("reached-then", reached(n, 0) == n / 2);
	for (i = 0; i < n; i++)
		sys_env_destroy(children[i]);
	tell("reached-last", reached(n, 0));
	tell("id-self", sys_getenvid());
	done();
}
