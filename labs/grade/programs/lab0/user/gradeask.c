/* Who may do what to whom? With children, a stranger, and those who are gone. */
#include <user/gradelab.h>

#define PAGE	((void *) UTEMP)
#define PERM	(PTE_P | PTE_U | PTE_W)

/* A child asks, and its parent is told. */
static void
tell_parent(envid_t parent, int r)
{
	ipc_send(parent, r, NULL, 0);
}

/* What the child tries; brother is its parent's other child. */
static void
child(envid_t parent, envid_t brother)
{
	tell_parent(parent, sys_page_alloc(0, PAGE, PERM));
	tell_parent(parent, sys_page_alloc(sys_getenvid(), PAGE, PERM));
	tell_parent(parent, sys_page_alloc(parent, PAGE, PERM));
	tell_parent(parent, sys_env_set_status(brother, ENV_RUNNABLE));
	tell_parent(parent, sys_env_destroy(parent));
	wait_for_ever();
}

static void
ask_child(envid_t brother)
{
	static const char *const questions[] = {
		"child-itself", "child-itself-by-id", "child-its-parent", "child-its-brother", "child-destroys-parent"
	};
	envid_t parent = sys_getenvid(), id = fork();

	if (id == 0)
		child(parent, brother);
	tell("fork", id > 0);
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++)
		tell(questions[i], ipc_recv_only(id, NULL, NULL, NULL));
	tell("id-child", id);
}

void
umain(int argc, char **argv)
{
	envid_t first, second, server = ipc_find_env(ENV_TYPE_FS);

	(void) argc, (void) argv;
	tell("itself", sys_page_alloc(0, PAGE, PERM));
	tell("itself-by-id", sys_page_alloc(sys_getenvid(), PAGE, PERM));
	first = sys_exofork();
	tell("stopped-child", sys_page_map(0, PAGE, first, PAGE, PERM));
	tell("from-child", sys_page_map(first, PAGE, 0, PAGE, PERM));
	tell("destroy", sys_env_destroy(first));
	tell("destroy-again", sys_env_destroy(first));
	second = sys_exofork();
	tell("same-slot", ENVX(first) == ENVX(second));
	tell("old-id", sys_page_alloc(first, PAGE, PERM));
	tell("old-id-destroy", sys_env_destroy(first));
	tell("old-id-message", sys_ipc_try_send(first, 1, (void *) UTOP, 0));
	tell("high-bit", sys_env_destroy(second | 1 << 30));
	tell("low-bit", sys_env_destroy(second ^ 1 << 10));
	tell("negative", sys_env_destroy(-1));
	tell("id-second", second);
	ask_child(second);
	tell("stranger", sys_page_alloc(server, PAGE, PERM));
	tell("stranger-stop", sys_env_set_status(server, ENV_NOT_RUNNABLE));
	tell("stranger-destroy", sys_env_destroy(server));
	tell("id-server", server);
	tell("id-self", sys_getenvid());
	done();
}
