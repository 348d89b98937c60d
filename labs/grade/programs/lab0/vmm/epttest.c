/*
 * Lab 0's grader: in place of the test of the EPT, questions to envid2env in
 * a world of environments that are made up. The questions come from outside,
 * and the answers are read there.
 */
#include <inc/stdio.h>
#include <kern/env.h>
#include <vmm/ept.h>
#include <vmm/gradeworld.h>

enum { NOBODY = -1, ELSEWHERE = -2 };

struct Answer {
	int32_t result;
	int32_t slot;			/* of the environment, or as above */
} grade_answers[ARRAY_SIZE(grade_questions)];

uint64_t grade_done;

static void
make_world(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(grade_world); i++) {
		struct Env *e = &envs[grade_world[i].slot];

		e->env_id = grade_world[i].id;
		e->env_parent_id = grade_world[i].parent;
		e->env_status = grade_world[i].status;
		e->env_type = grade_world[i].type;
	}
}

static struct Answer
ask(const struct Question *q)
{
	struct Env nobody, *e = &nobody;
	int r;

	thiscpu->cpu_env = &envs[q->caller];
	r = envid2env(q->id, &e, q->checkperm);
	return (struct Answer) { r, e == NULL ? NOBODY
	    : e >= envs && e < envs + NENV ? e - envs : ELSEWHERE };
}

int
mon_epttest(int argc, char **argv, struct Trapframe *tf)
{
	(void) argc, (void) argv, (void) tf;
	make_world();
	for (size_t i = 0; i < ARRAY_SIZE(grade_questions); i++)
		grade_answers[i] = ask(&grade_questions[i]);
	thiscpu->cpu_env = NULL;
	grade_done = GRADE_NONCE;
	cprintf("\nlab0: %016lx\n", grade_done);
	for (;;)
		asm volatile("cli; hlt");
}
