/* Ask the two checks of made-up processors. */
#include <inc/lib.h>
#include <inc/grade.h>
#include <inc/gradenonce.h>

#ifndef MODELS
#define MODELS <inc/grademodels.h>
#endif

static struct GradeModel models[] = {
#include MODELS
};

void
umain(int argc, char **argv)
{
	int i, n = sizeof(models) / sizeof(models[0]);

	(void) argc, (void) argv;
	for (i = 0; i < n; i++) {
		struct GradeModel *m = &models[i];

		cprintf("GRADE %s model %d\n", NONCE, i);
		sys_env_mkguest(GRADE_MODEL, (uintptr_t) m);
		cprintf("\nGRADE %s result %d: %d %d %lx %u %x %u %x %u %u %u %u\n",
		    NONCE, i, m->support, m->ept, m->feature_after,
		    m->bad_reads, m->bad_read, m->bad_writes, m->bad_write,
		    m->reads_48b, m->reads_48c, m->reads, m->cpuids);
	}
	cprintf("GRADE %s done %d\n", NONCE, n);
}
