/*
 * The grader of fs/vdisk.c: which requests its driver makes.  Messages to the
 * host go to functions of our own, which tell the grader's kernel.
 */
#ifndef VMM_GUEST
#define VMM_GUEST
#endif
#include <fs/fs.h>
#include <inc/grade4.h>
#include <inc/grade4_inputs.h>
#include <inc/vmcall.h>

static struct Grade4Area area;

enum { SENT = 0x5e4d, RECEIVED = 0x4ecf };

static int64_t
tell(uint64_t what, uint64_t rbx, uint64_t rcx, void *pg, uint64_t rsi)
{
	uint64_t at = pg ? PTE_ADDR(uvpt_entry(pg)) : UTOP;

	asm volatile("vmcall" : "+a" (what), "+b" (rbx), "+c" (rcx),
	    "+d" (at), "+S" (rsi) : : "rdi", "memory");
	return what;
}

static int
told_send(envid_t to, uint64_t val, void *pg, int perm)
{
	return tell(SENT, to, val, pg, perm);
}

static int32_t
told_recv(void *pg)
{
	return tell(RECEIVED, 0, 0, pg, 0);
}

#define ipc_host_send	told_send
#define ipc_host_recv	told_recv
#include <fs/vdisk.c>

static char data[40][BLKSIZE] __attribute__((aligned(PGSIZE)));

static void
begin(int test)
{
	area.test = test;
	area.first = area.ncalls;
	memset(area.answers, 0, sizeof area.answers);
}
#define DONE(result)	area.results[area.test] = (result)

void
umain(int argc, char **argv)
{
	int i;

	USED(argc);
	USED(argv);
	(void) vdisk_find;
	for (i = 0; i < 40; i++)
		*(uint64_t *) data[i] = G4_PAGE_WORD + i;
	for (i = 0; i < G4_TESTS; i++)
		area.results[i] = G4_NOTHING;
	area.constants[0] = FSREQ_READ_BLOCK;
	area.constants[1] = FSREQ_WRITE_BLOCK;
	area.constants[2] = VMX_HOST_FS_ENV;
	area.constants[3] = E_NO_DISK;
	area.constants[4] = E_NOT_FOUND;
	tell(G4_BEGIN, (uint64_t) &area, 0, NULL, 0);
	image_id = G4_RANDOM0 & 0x7fffffff;
	begin(0);
	DONE(vdisk_read(G4_BLOCK0 * BLKSECTS, data[3], BLKSECTS));
	begin(1);
	DONE(vdisk_write(G4_BLOCK1 * BLKSECTS, data[5], BLKSECTS));
	begin(2);
	DONE(vdisk_read(G4_BLOCK0 * BLKSECTS, data[1], 5 * BLKSECTS));
	begin(3);
	DONE(vdisk_write(G4_BLOCK1 * BLKSECTS, data[2], 3 * BLKSECTS));
	begin(4);
	DONE(vdisk_read(G4_BLOCK0 * BLKSECTS, data[1], MAXSECTS));
	begin(5);
	DONE(vdisk_read(G4_BLOCK0 * BLKSECTS + 1 + G4_RANDOM1 % 7, data[1],
	    BLKSECTS));
	begin(6);
	DONE(vdisk_write(G4_BLOCK1 * BLKSECTS, data[1],
	    BLKSECTS + 1 + G4_RANDOM2 % 7));
	begin(7);
	DONE(vdisk_read(G4_BLOCK0 * BLKSECTS + 4, data[1], BLKSECTS - 4));
	begin(8);			/* the answer to the third block */
	area.answers[5].rax = -E_NO_DISK;
	DONE(vdisk_write(G4_BLOCK1 * BLKSECTS, data[4], 6 * BLKSECTS));
	begin(9);			/* the second message isn't sent */
	area.answers[2].rax = -E_NO_MEM;
	DONE(vdisk_read(G4_BLOCK1 * BLKSECTS, data[4], 4 * BLKSECTS));
	begin(10);
	DONE(vdisk_read(G4_BLOCK0 * BLKSECTS, data[0], 0));
	begin(11);
	image_id = 0x80000000 | (G4_RANDOM3 & 0x7fffffff);
	DONE(vdisk_write(G4_BLOCK2 * BLKSECTS, data[7], 2 * BLKSECTS));
	begin(12);
	area.answers[1].rax = -E_NOT_FOUND;
	DONE(vdisk_read(G4_BLOCK2 * BLKSECTS, data[8], BLKSECTS));
	tell(G4_END, 0, 0, NULL, 0);
}
