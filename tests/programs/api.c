/*
 * The library's published interface: each name with its published type.  The
 * compiler does the checking; running it only says that it was built.
 */
#include <inc/lib.h>
#include <inc/x86.h>

struct Interface {
	void (*exit)(void);
	void (*set_pgfault_handler)(void (*)(struct UTrapframe *));
	char *(*readline)(const char *);
	void (*sys_cputs)(const char *, size_t);
	int (*sys_cgetc)(void);
	envid_t (*sys_getenvid)(void);
	int (*sys_env_destroy)(envid_t);
	void (*sys_yield)(void);
	envid_t (*sys_exofork)(void);
	int (*sys_env_set_status)(envid_t, int);
	int (*sys_env_set_trapframe)(envid_t, struct Trapframe *);
	int (*sys_env_set_pgfault_upcall)(envid_t, void *);
	int (*sys_page_alloc)(envid_t, void *, int);
	int (*sys_page_map)(envid_t, void *, envid_t, void *, int);
	int (*sys_page_unmap)(envid_t, void *);
	int (*sys_ipc_try_send)(envid_t, uint64_t, void *, int);
	int (*sys_ipc_recv)(void *);
	unsigned int (*sys_time_msec)(void);
	void (*ipc_send)(envid_t, uint32_t, void *, int);
	int32_t (*ipc_recv)(envid_t *, void *, int *);
	envid_t (*ipc_find_env)(enum EnvType);
	envid_t (*fork)(void);
	envid_t (*sfork)(void);
	int (*close)(int);
	ssize_t (*read)(int, void *, size_t);
	ssize_t (*write)(int, const void *, size_t);
	int (*seek)(int, off_t);
	void (*close_all)(void);
	ssize_t (*readn)(int, void *, size_t);
	int (*dup)(int, int);
	int (*fstat)(int, struct Stat *);
	int (*stat)(const char *, struct Stat *);
	int (*open)(const char *, int);
	int (*ftruncate)(int, off_t);
	int (*remove)(const char *);
	int (*sync)(void);
	int (*pageref)(void *);
	envid_t (*spawn)(const char *, const char **);
	envid_t (*spawnl)(const char *, const char *, ...);
	void (*cputchar)(int);
	int (*getchar)(void);
	int (*iscons)(int);
	int (*opencons)(void);
	int (*pipe)(int [2]);
	int (*pipeisclosed)(int);
	void (*wait)(envid_t);
	int (*cprintf)(const char *, ...);
	int (*printf)(const char *, ...);
	int (*fprintf)(int, const char *, ...);
	int (*snprintf)(char *, int, const char *, ...);
	void *(*malloc)(size_t);
	void (*free)(void *);
	int (*strlen)(const char *);
	int (*strcmp)(const char *, const char *);
	char *(*strcpy)(char *, const char *);
	char *(*strchr)(const char *, char);
	void *(*memset)(void *, int, size_t);
	void *(*memmove)(void *, const void *, size_t);
	int (*memcmp)(const void *, const void *, size_t);
	long (*strtol)(const char *, char **, int);
	void (*argstart)(int *, char **, struct Argstate *);
	int (*argnext)(struct Argstate *);
	char *(*argnextvalue)(struct Argstate *);
	char *(*argvalue)(struct Argstate *);
};

static const struct Interface interface = {
	exit, set_pgfault_handler, readline, sys_cputs, sys_cgetc,
	sys_getenvid, sys_env_destroy, sys_yield, sys_exofork,
	sys_env_set_status, sys_env_set_trapframe, sys_env_set_pgfault_upcall,
	sys_page_alloc, sys_page_map, sys_page_unmap, sys_ipc_try_send,
	sys_ipc_recv, sys_time_msec, ipc_send, ipc_recv, ipc_find_env, fork,
	sfork, close, read, write, seek, close_all, readn, dup, fstat, stat,
	open, ftruncate, remove, sync, pageref, spawn, spawnl, cputchar,
	getchar, iscons, opencons, pipe, pipeisclosed, wait, cprintf, printf,
	fprintf, snprintf, malloc, free, strlen, strcmp, strcpy, strchr,
	memset, memmove, memcmp, strtol, argstart, argnext, argnextvalue,
	argvalue,
};

static_assert(O_RDONLY == 0 && O_WRONLY == 1 && O_RDWR == 2);
static_assert(O_ACCMODE == 3 && O_CREAT == 0x100 && O_TRUNC == 0x200);
static_assert(O_EXCL == 0x400 && O_MKDIR == 0x800 && PTE_SHARE == 0x400);
static_assert(NENV == 1024 && LOG2NENV == 10 && ENVX(0x1003) == 3);
static_assert(sizeof(struct File) == 256 && sizeof(struct Trapframe) == 192);
static_assert(ENV_TYPE_USER == 0 && ENV_TYPE_FS == 1 && ENV_TYPE_NS == 2);
static_assert(ENV_FREE == 0 && ENV_DYING == 1 && ENV_RUNNABLE == 2);
static_assert(ENV_RUNNING == 3 && ENV_NOT_RUNNABLE == 4);
static_assert(T_SYSCALL == 48 && IRQ_OFFSET == 32 && T_PGFLT == 14);

void
umain(int argc, char **argv)
{
	const volatile struct Env *me = &envs[ENVX(thisenv->env_id)];
	bool mapped;

	USED(argv);
	mapped = (uvpml4e[VPML4E(umain)] & PTE_P)
		&& (uvpde[VPDPE(umain)] & PTE_P) && (uvpd[VPD(umain)] & PTE_P)
		&& (uvpt[VPN(umain)] & PTE_P);
	assert(interface.exit == exit && me->env_status == ENV_RUNNING);
	cprintf("api: built, argc %d, %s, text %s, page refs %d\n", argc,
		binaryname, mapped ? "mapped" : "missing",
		pages[PPN(uvpt[VPN(umain)])].pp_ref);
}
