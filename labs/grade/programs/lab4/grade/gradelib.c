/*
 * The grader of lib/ipc.c: what a guest's library does with VMCALL.  There
 * is no host; the grader's kernel notes the registers and answers.
 */
#ifndef VMM_GUEST
#define VMM_GUEST
#endif
#include <inc/lib.h>
#include <inc/grade4.h>
#include <inc/grade4_inputs.h>

static struct Grade4Area area;

static void
counted_yield(void)
{
	area.yields[area.test]++;
	sys_yield();
}
#define sys_yield	counted_yield
#include <lib/ipc.c>
#undef sys_yield

static uint64_t
vmcall(uint64_t rax, void *rbx)
{
	asm volatile("vmcall" : "+a" (rax), "+b" (rbx) : : "rcx", "rdx", "rsi",
	    "rdi", "memory");
	return rax;
}

static char pages_[4][PGSIZE] __attribute__((aligned(PGSIZE)));
static struct Grade4Answer *const a = area.answers;

static void
begin(int test)
{
	int i;

	area.test = test;
	area.first = area.ncalls;
	for (i = 0; i < 32; i++)
		a[i] = (struct Grade4Answer) { -E_UNSPECIFIED, 0, 0 };
}
#define DONE(result)	area.results[area.test] = (result)
#define RW		(PTE_P | PTE_U | PTE_W)

static void
sends(void)
{
	static const int errors[] = { -E_INVAL, -E_NO_MEM, -E_BAD_ENV };
	int i;

	begin(0);
	a[0].rax = 0;
	DONE(ipc_host_send(VMX_HOST_FS_ENV, G4_RANDOM0, pages_[0], RW));
	begin(1);
	a[0].rax = 0;
	DONE(ipc_host_send(VMX_HOST_FS_ENV, G4_RANDOM1, NULL, 0));
	begin(2);
	a[0].rax = 0;
	DONE(ipc_host_send(G4_RANDOM2 & 0xffff, G4_RANDOM3, pages_[1],
	    PTE_P | PTE_U));
	for (i = 0; i < 3; i++) {
		begin(3 + i);
		a[0].rax = errors[i];
		DONE(ipc_host_send(VMX_HOST_FS_ENV, i, pages_[2], RW));
	}
	begin(6);
	for (i = 0; i < G4_BUSY; i++)
		a[i].rax = -E_IPC_NOT_RECV;
	a[i].rax = 0;
	DONE(ipc_host_send(VMX_HOST_FS_ENV, G4_RANDOM2, pages_[1], RW));
	begin(7);
	a[0].rax = -E_IPC_NOT_RECV;
	a[1].rax = -E_NO_MEM;
	DONE(ipc_host_send(VMX_HOST_FS_ENV, G4_RANDOM3, pages_[1], RW));
}

static void
receives(void)
{
	begin(8);
	a[0].rax = 0;
	a[0].value_in = G4_VALUE_REGISTER;
	a[0].value = G4_RANDOM0 & 0x7fffffff;
	DONE(ipc_host_recv(pages_[3]));
	begin(9);
	a[0].rax = 0;
	a[0].value_in = G4_VALUE_REGISTER;
	a[0].value = (int64_t) -E_NOT_FOUND;
	DONE(ipc_host_recv(NULL));
	begin(10);
	a[0].rax = -E_INVAL;
	a[0].value_in = G4_VALUE_REGISTER;
	a[0].value = 7;
	DONE(ipc_host_recv(pages_[2]));
	begin(11);
	a[0].rax = -E_NO_MEM;
	a[0].value_in = G4_VALUE_REGISTER;
	a[0].value = G4_RANDOM1 & 0xffff;
	DONE(ipc_host_recv(NULL));
	begin(12);
	a[0].rax = 0;
	a[0].value_in = G4_VALUE_REGISTER;
	a[0].value = (uint32_t) -E_NO_DISK;
	DONE(ipc_host_recv(pages_[0]));
}

void
umain(int argc, char **argv)
{
	int i;

	USED(argc);
	USED(argv);
	for (i = 0; i < 4; i++)
		*(uint64_t *) pages_[i] = G4_PAGE_WORD + i;
	for (i = 0; i < G4_TESTS; i++)
		area.results[i] = G4_NOTHING;
	area.constants[0] = VMX_VMCALL_IPCSEND;
	area.constants[1] = VMX_VMCALL_IPCRECV;
	area.constants[2] = VMX_HOST_FS_ENV;
	area.constants[3] = E_NOT_FOUND;
	vmcall(G4_BEGIN, &area);
	sends();
	receives();
	vmcall(G4_END, NULL);
}
