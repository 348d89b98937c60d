/* Wake, stop and end guests that sleep in HLT. */
#include <inc/lib.h>
#include <inc/trap.h>
#include <inc/vmx.h>
#include "pass.h"

/* Sleeps, and counts how often it goes on.  One handler says LAPICEOI. */
asm(".pushsection .rodata; .code16\n"
    "sleeper: movw $0x1000, %sp\n"
    "1:	sti; hlt\n"
    "	incl 0x504\n"
    "	jmp 1b\n"
    "handler: incl 0x500; iret\n"
    "ticker: incl 0x500; movl $4, %eax; vmcall; iret\n"
    "asker:	movl $2, %eax; movl $1, %ebx; xorl %ecx, %ecx\n"
    "	xorl %edx, %edx; movl $7, %esi; vmcall\n"
    "	movl $3, %eax; xorl %ebx, %ebx; vmcall\n"
    "	incl 0x504; jmp asker\n"
    "sleeper_end: .code64; .popsection");
extern const char sleeper[], handler[], ticker[], asker[], sleeper_end[];

#define LOW	((uint8_t *) UTEMP)
#define CODE	(LOW + PGSIZE)
#define INTERRUPTS	(*(volatile uint32_t *) (LOW + 0x500))
#define ROUNDS		(*(volatile uint32_t *) (LOW + 0x504))

static envid_t
start_at(const char *begin, const char *on_timer)
{
	uint16_t offset = GUEST_ENTRY + (on_timer - sleeper);
	envid_t id;

	if (sys_page_alloc(0, LOW, PTE_P | PTE_U | PTE_W) < 0
	    || sys_page_alloc(0, CODE, PTE_P | PTE_U | PTE_W) < 0)
		panic("no memory");
	memcpy(CODE, sleeper, sleeper_end - sleeper);
	memcpy(LOW + (IRQ_OFFSET + IRQ_TIMER) * 4, &offset, sizeof offset);
	id = sys_env_mkguest(PGSIZE * 16, GUEST_ENTRY + (begin - sleeper));
	if (id < 0)
		panic("no guest: %e", id);
	if (sys_ept_map(0, LOW, id, NULL, __EPTE_FULL) < 0
	    || sys_ept_map(0, CODE, id, (void *) GUEST_ENTRY, __EPTE_FULL) < 0)
		panic("no memory for the guest");
	sys_env_set_status(id, ENV_RUNNABLE);
	return id;
}

static envid_t
start(const char *on_timer)
{
	return start_at(sleeper, on_timer);
}

/* Until the guest sleeps with its only interrupt in service. */
static void
until_asleep(envid_t id)
{
	while (ROUNDS == 0 || envs[ENVX(id)].env_status != ENV_NOT_RUNNABLE)
		sys_yield();
}

static void
poke(void)
{
	envid_t id = start(handler);
	int i;

	until_asleep(id);
	for (i = 0; i < 1000; i++) {
		sys_env_set_status(id, ENV_RUNNABLE);
		if (i % 3 == 0)
			sys_env_set_status(id, ENV_NOT_RUNNABLE);
		sys_yield();
	}
	sys_env_set_status(id, ENV_RUNNABLE);
	until_asleep(id);
	cprintf("guestpoke: poked, %u interrupts, %u rounds\n", INTERRUPTS,
	    ROUNDS);
	sys_env_destroy(id);
}

/* A guest that ticks is stopped asleep, and started again. */
static void
stop(void)
{
	envid_t id = start(ticker);
	uint32_t before, after;

	pass(50);
	until_asleep(id);
	sys_env_set_status(id, ENV_NOT_RUNNABLE);
	before = ROUNDS;
	pass(100);
	after = ROUNDS;
	sys_env_set_status(id, ENV_RUNNABLE);
	pass(100);
	cprintf("guestpoke: stopped, %u rounds, then %s\n", after - before,
	    ROUNDS > after + 5 ? "many" : "few");
	sys_env_destroy(id);
}

/* A guest that always asks the file server is stopped wherever it is. */
static void
stop_asking(void)
{
	envid_t id = start_at(asker, handler);
	uint32_t before, moved = 0;
	int i;

	while (ROUNDS == 0)
		sys_yield();
	for (i = 0; i < 200; i++) {
		sys_env_set_status(id, ENV_NOT_RUNNABLE);
		while (envs[ENVX(id)].env_on_cpu)
			sys_yield();
		before = ROUNDS;
		pass(2);
		moved += ROUNDS - before;
		sys_env_set_status(id, ENV_RUNNABLE);
		pass(1 + i % 3);
	}
	before = ROUNDS;
	pass(50);
	cprintf("guestpoke: stopped asking, %u rounds, then %s\n", moved,
	    ROUNDS > before + 2 ? "many" : "few");
	sys_env_destroy(id);
}

void
umain(int argc, char **argv)
{
	int i;

	poke();
	stop();
	stop_asking();
	for (i = 0; i < 50; i++) {	/* ended asleep, awake, at once */
		envid_t id = start(handler);

		if (i % 3 == 0)
			until_asleep(id);
		if (i % 3 == 1)
			sys_yield();
		if (i % 5 == 0)
			sys_env_set_status(id, ENV_NOT_RUNNABLE);
		sys_env_destroy(id);
	}
	cprintf("guestpoke: done\n");
}
