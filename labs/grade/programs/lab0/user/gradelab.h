/* What the programs of lab 0's grader share. The grader writes GRADE_NONCE. */
#include <inc/lib.h>
#include <user/gradenonce.h>

/* Tell a result by its name. */
static void
tell(const char *name, int value)
{
	cprintf("\n" GRADE_NONCE " %s %d\n", name, value);
}

static void
wait_for_ever(void)
{
	for (;;)
		sys_ipc_recv((void *) UTOP);
}

/* That is all; the grader may look at us now. */
static void
done(void)
{
	cprintf("\n" GRADE_NONCE " done\n");
	wait_for_ever();
}
