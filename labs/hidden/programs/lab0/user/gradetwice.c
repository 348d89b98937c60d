/* One who runs on another processor is destroyed, and destroyed again. */
#include <user/gradelab.h>

#define ROUNDS	20

static envid_t
spinner(void)
{
	envid_t id = fork();

	if (id == 0)
		for (;;)
			asm volatile("pause");
	return id;
}

void
umain(int argc, char **argv)
{
	int i, first = 0, again = 0, message = 0;

	(void) argc, (void) argv;
	for (i = 0; i < ROUNDS; i++) {
		envid_t id = spinner();
		const volatile struct Env *e = &envs[ENVX(id)];
		unsigned start = sys_time_msec();

		while (e->env_status != ENV_RUNNING
		    && sys_time_msec() - start < 2000)
			asm volatile("pause");
		first += sys_env_destroy(id) == 0;
		again += sys_env_destroy(id) == -E_BAD_ENV;
		message += sys_ipc_try_send(id, 0, (void *) UTOP, 0) == -E_BAD_ENV;
		wait(id);
	}
	tell("destroyed", first == ROUNDS);
	tell("destroyed-again", again == ROUNDS);
	tell("message", message == ROUNDS);
	tell("id-self", sys_getenvid());
	done();
}
