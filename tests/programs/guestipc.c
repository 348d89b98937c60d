/*
 * A guest that makes the hypercalls which stand in a table, in 64-bit mode,
 * and writes the results beside them.  The table is a page that it shares
 * with us.  With it we ask for all that a guest must not get.
 */
#include <inc/lib.h>
#include <inc/vmx.h>

#ifdef FSREQ_BLOCK
#include <inc/vmcall.h>

#define TABLE	0x10000		/* guest-physical addresses */
#define AT_PML4	0x2000
#define AT_PDPT	0x3000
#define AT_PD	0x4000
#define REQ	0x20000		/* the request page */
#define REQ2	0x21000
#define FDAT	0x30000		/* where descriptors go */
#define MANY	0x100000	/* and many descriptors */
#define MEM	(8UL << 20)
#define RW	(PTE_P | PTE_U | PTE_W)
#define NOPAGE	UTOP
#define SPIN	0x1000		/* no hypercall: wait rbx rounds */
#define SENDID	0x1001		/* IPCSEND, with the id of FDAT's file */
#define GOTO	0x1002		/* no hypercall: rcx times to address rbx */
#define ADD	0x1003		/* no hypercall: add rcx to the word at rbx */

struct Call {
	uint64_t rax, rbx, rcx, rdx, rsi;
	uint64_t result, rbx_after, rsi_after;
};
#define NCALLS	(PGSIZE / sizeof(struct Call))

asm(".pushsection .text\n"
    ".code16\n"
    "guest_code:\n"
    "	cli\n"
    "	movl %cr4, %eax\n"
    "	orl $0x20, %eax\n"
    "	movl %eax, %cr4\n"
    "	movl $0x2000, %eax\n"
    "	movl %eax, %cr3\n"
    "	movl $0xc0000080, %ecx\n"
    "	rdmsr\n"
    "	orl $0x100, %eax\n"
    "	wrmsr\n"
    "	lgdtl %cs:0x7000 + guest_gdtr - guest_code\n"
    "	movl %cr0, %eax\n"
    "	orl $0x80000001, %eax\n"
    "	movl %eax, %cr0\n"
    "	ljmpl $8, $0x7000 + guest_long - guest_code\n"
    ".align 8\n"
    "guest_gdt:\n"
    "	.quad 0, 0x00209b0000000000, 0x0000930000000000\n"
    "guest_gdtr:\n"
    "	.word 23\n"
    "	.long 0x7000 + guest_gdt - guest_code\n"
    ".code64\n"
    "guest_long:\n"
    "	movl $16, %eax\n"
    "	movl %eax, %ds\n"
    "	movl %eax, %es\n"
    "	movl %eax, %ss\n"
    "	movl $0x10000, %r15d\n"
    "1:	movq (%r15), %rax\n"
    "	testq %rax, %rax\n"
    "	jz 9f\n"
    "	movq 8(%r15), %rbx\n"
    "	movq 16(%r15), %rcx\n"
    "	movq 24(%r15), %rdx\n"
    "	movq 32(%r15), %rsi\n"
    "	cmpq $0x1000, %rax\n"
    "	je 4f\n"
    "	cmpq $0x1001, %rax\n"
    "	jne 6f\n"
    "	movl 0x3000c, %eax\n"
    "	shlq $32, %rax\n"
    "	orq %rax, %rcx\n"
    "	movl $2, %eax\n"
    "	jmp 5f\n"
    "6:	cmpq $0x1002, %rax\n"
    "	jne 7f\n"
    "	decq 16(%r15)\n"
    "	jz 2f\n"
    "	movq %rbx, %r15\n"
    "	jmp 1b\n"
    "7:	cmpq $0x1003, %rax\n"
    "	jne 5f\n"
    "	addq %rcx, (%rbx)\n"
    "	jmp 2f\n"
    "5:	vmcall\n"
    "2:	movq %rax, 40(%r15)\n"
    "	movq %rbx, 48(%r15)\n"
    "	movq %rsi, 56(%r15)\n"
    "	addq $64, %r15\n"
    "	jmp 1b\n"
    "4:	pause\n"
    "	decq %rbx\n"
    "	jnz 4b\n"
    "	jmp 2b\n"
    "9:	cli\n"
    "	hlt\n"
    "	jmp 9b\n"
    "guest_code_end:\n"
    ".popsection\n");
extern char guest_code[], guest_code_end[];

#define PAGE(name) static char name[PGSIZE] __attribute__((aligned(PGSIZE)))
PAGE(code);
PAGE(pml4);
PAGE(pdpt);
PAGE(pd);
PAGE(table);
PAGE(req);
PAGE(req2);

static struct Call *const calls = (struct Call *) table;
static int ncalls;
static int *const count = (int *) 0x50000000;	/* shared with children */
#define cases	count[0]
#define bad	count[1]

static void
is(int line, const char *what, int64_t got, int64_t want)
{
	cases++;
	if (got != want) {
		bad++;
		cprintf("guestipc: line %d: %s: %ld, not %ld\n", line, what, got,
		    want);
	}
}
#define IS(x, want)	is(__LINE__, #x, x, want)

static void
map(envid_t guest, void *page, uint64_t gpa, int perm)
{
	int r = sys_ept_map(0, page, guest, (void *) gpa, perm);

	if (r < 0)
		panic("mapping %lx: %e", gpa, r);
}

static envid_t
new_guest(void)
{
	envid_t guest = sys_env_mkguest(MEM, GUEST_ENTRY);

	if (guest < 0)
		panic("no guest: %e", guest);
	memmove(code, guest_code, guest_code_end - guest_code);
	*(uint64_t *) pml4 = AT_PDPT | 7;
	*(uint64_t *) pdpt = AT_PD | 7;
	*(uint64_t *) pd = 0x87;
	memset(table, 0, PGSIZE);
	memset(req, 0, PGSIZE);		/* ours alone, after a fork */
	ncalls = 0;
	map(guest, code, GUEST_ENTRY, __EPTE_READ | __EPTE_EXEC);
	map(guest, pml4, AT_PML4, __EPTE_FULL);
	map(guest, pdpt, AT_PDPT, __EPTE_FULL);
	map(guest, pd, AT_PD, __EPTE_FULL);
	map(guest, table, TABLE, __EPTE_FULL);
	map(guest, req, REQ, __EPTE_FULL);
	map(guest, req2, REQ2, __EPTE_READ);
	return guest;
}

/* Add a call; its number. */
static int
call(uint64_t rax, uint64_t rbx, uint64_t rcx, uint64_t rdx, uint64_t rsi)
{
	assert(ncalls < (int) NCALLS - 1);
	calls[ncalls] = (struct Call) { rax, rbx, rcx, rdx, rsi, 0x77, 0, 0 };
	return ncalls++;
}

static int
call_send(uint64_t msg, uint64_t gpa, uint64_t perm)
{
	return call(VMX_VMCALL_IPCSEND, VMX_HOST_FS_ENV, msg, gpa, perm);
}

static int
call_recv(uint64_t gpa)
{
	return call(VMX_VMCALL_IPCRECV, gpa, 0, 0, 0);
}

/* Send msg with the request page; the number of the call that receives. */
static int
call_request(uint64_t msg)
{
	call_send(msg, REQ, RW);
	return call_recv(NOPAGE);
}

static void
run(envid_t guest)
{
	sys_env_set_status(guest, ENV_RUNNABLE);
	wait(guest);
}

#define RESULT(i)	((int64_t) calls[i].result)
/* The answer of a request; 999 if there was none. */
#define ANSWER(i)	(calls[i].result == 0 ? (int32_t) calls[i].rsi_after : 999)

/* Messages that aren't delivered. */
static void
bad_messages(void)
{
	static const struct {
		uint64_t whom, gpa, perm;
		int want;
	} sends[] = {
		{ 0, REQ, RW, -E_BAD_ENV },
		{ 2, REQ, RW, -E_BAD_ENV },
		{ 0x1000, REQ, RW, -E_BAD_ENV },
		{ (uint64_t) 1 << 32 | 1, REQ, RW, -E_BAD_ENV },
		{ -1, REQ, RW, -E_BAD_ENV },
		{ 1, MEM, RW, -E_INVAL },
		{ 1, MEM - 1, RW, -E_INVAL },
		{ 1, REQ + 8, RW, -E_INVAL },
		{ 1, 0x80000000, RW, -E_INVAL },
		{ 1, UTOP - PGSIZE, RW, -E_INVAL },
		{ 1, REQ, 0, -E_INVAL },
		{ 1, REQ, PTE_W, -E_INVAL },
		{ 1, REQ, -1, -E_INVAL },
		{ 1, REQ, RW | PTE_PS, -E_INVAL },
		{ 1, REQ, RW | (uint64_t) 1 << 63, -E_INVAL },
		{ 1, REQ, RW | PTE_PCD, -E_INVAL },
		{ 1, REQ, RW | 0xffffff000, -E_INVAL },
		{ 1, REQ2, RW, -E_INVAL },
		{ 1, GUEST_ENTRY, RW, -E_INVAL },
	};
	envid_t guest = new_guest();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sends); i++)
		call(VMX_VMCALL_IPCSEND, sends[i].whom, FSREQ_SYNC,
		    sends[i].gpa, sends[i].perm);
	call_recv(FDAT);		/* nothing was asked */
	call_recv(NOPAGE);
	call(0x4711, 1, 2, 3, 4);
	call(-1, 1, 2, 3, 4);
	run(guest);
	for (i = 0; i < ARRAY_SIZE(sends); i++)
		is(i, "bad send", RESULT(i), sends[i].want);
	IS(RESULT(i), -E_INVAL);
	IS(RESULT(i + 1), -E_INVAL);
	IS(RESULT(i + 2), -E_NO_SYS);
	IS(RESULT(i + 3), -E_NO_SYS);
}

static void
set_open(const char *path, int mode)
{
	strlcpy(((union Fsipc *) req)->open.req_path, path, MAXPATHLEN);
	((union Fsipc *) req)->open.req_omode = mode;
}

/* Requests that the server must refuse. */
static void
bad_requests(void)
{
	static const uint64_t msgs[] = { 0, FSREQ_SET_SIZE, FSREQ_READ,
		FSREQ_WRITE, FSREQ_REMOVE, FSREQ_SYNC, FSREQ_SYNC | 1 << 9,
		11, 0xff, (uint64_t) -1, FSREQ_OPEN | 1 << 8 };
	envid_t guest = new_guest();
	size_t i;
	int n[ARRAY_SIZE(msgs)], a, b, c;

	set_open("/motd", O_RDWR);
	for (i = 0; i < ARRAY_SIZE(msgs); i++)
		n[i] = call_request(msgs[i]);
	call_send(FSREQ_SYNC, NOPAGE, 0);
	a = call_recv(NOPAGE);
	call_send(FSREQ_OPEN, REQ2, PTE_P | PTE_U);
	b = call_recv(NOPAGE);
	c = call_recv(NOPAGE);
	run(guest);
	for (i = 0; i < ARRAY_SIZE(msgs); i++) {
		int r = ANSWER(n[i]);

		is(i, "refused", r == -E_INVAL || r == -E_NOT_SUPP, true);
	}
	IS(ANSWER(a), -E_INVAL);
	IS(ANSWER(b), -E_INVAL);
	IS(RESULT(c), -E_INVAL);
	IS(open("/motd", O_RDONLY) >= 0, true);
}

/* Open path; its answer, and where the guest got a page. */
static int
try_open(const char *path, int mode)
{
	envid_t guest = new_guest();
	int a;

	set_open(path, mode);
	call_send(FSREQ_OPEN, REQ, RW);
	a = call_recv(FDAT);
	run(guest);
	return ANSWER(a);
}

static void
paths(const char *own)
{
	static const char *const others[] = { "/motd", "/", "/vmm", "/init",
		"/vmm/clean-fs.img", "/vmm/kernel", "/vmm/fs0.img",
		"/vmm/fs7.img", "/vmm/../motd", "", "vmm/fs1.img",
		"/vmm//fs1.img", "/vmm/fs1.imgx" };
	static const int modes[] = { O_RDONLY, O_WRONLY, 3, O_RDWR | O_CREAT,
		O_RDWR | O_TRUNC, O_RDWR | O_MKDIR, -1, O_RDWR | 0x10000 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(others); i++)
		if (strcmp(own, others[i]) != 0)
			is(i, "other path", try_open(others[i], O_RDWR),
			    -E_BAD_PATH);
	for (i = 0; i < ARRAY_SIZE(modes); i++)
		is(i, "mode", try_open(own, modes[i]), -E_INVAL);
	memset(req, 'x', PGSIZE);
	IS(try_open(own, O_RDWR), 0);
}

/* Ask for block n of the open file; the number of the call that receives. */
static int
call_block(int type, uint32_t n)
{
	call(SENDID, VMX_HOST_FS_ENV, FSREQ_BLOCK(type, 0, n), REQ, RW);
	return call_recv(NOPAGE);
}

static int
call_open(uint64_t gpa)
{
	call_send(FSREQ_OPEN, REQ, RW);
	return call_recv(gpa);
}

/* The disk itself: blocks inside and outside, and somebody else's file. */
static void
blocks(const char *own, uint32_t nblocks, int other_id)
{
	static const uint32_t outside[] = { 0, 1, 0x400, 0x40a, 0x40b, 0x100000,
		0xffffff };
	static const uint64_t places[] = { MEM, FDAT + 1, UTOP - PGSIZE };
	envid_t guest = new_guest();
	int opened, again, first, last, back, wrong, foreign, nowhere, twice;
	size_t i;

	static_assert(offsetof(struct Fd, fd_file.id) == 12, "see SENDID");
	opened = call_open(FDAT);
	again = call_open(FDAT + PGSIZE);
	first = call_block(FSREQ_WRITE_BLOCK, 0);
	last = call_block(FSREQ_WRITE_BLOCK, nblocks - 1);
	back = call_block(FSREQ_READ_BLOCK, 0);
	wrong = ncalls + 1;
	for (i = 0; i < ARRAY_SIZE(outside); i++) {
		uint32_t n = MIN(nblocks + outside[i], 0xffffffU);

		call_block(i % 2 ? FSREQ_READ_BLOCK : FSREQ_WRITE_BLOCK, n);
	}
	foreign = call_request(FSREQ_BLOCK(FSREQ_READ_BLOCK, other_id, 0));
	call_request(FSREQ_BLOCK(FSREQ_WRITE_BLOCK, other_id, 0));
	nowhere = ncalls + 1;
	for (i = 0; i < ARRAY_SIZE(places); i++)
		call_open(places[i]);
	call_block(FSREQ_READ_BLOCK, 0);
	ncalls--;
	call_block(FSREQ_READ_BLOCK, 1);
	twice = call_recv(NOPAGE);
	memset(req, 0x5a, PGSIZE);
	set_open(own, O_RDWR);
	run(guest);
	IS(ANSWER(opened), 0);
	IS(ANSWER(again), 0);
	IS(ANSWER(first), 0);
	IS(ANSWER(last), 0);
	IS(ANSWER(back), 0);
	for (i = 0; i < ARRAY_SIZE(outside); i++)
		is(i, "outside", ANSWER(wrong + 2 * i), -E_INVAL);
	IS(ANSWER(foreign), -E_INVAL);
	IS(ANSWER(foreign + 2), -E_INVAL);
	for (i = 0; i < ARRAY_SIZE(places); i++)
		is(i, "no such place", RESULT(nowhere + 2 * i),
		    -E_INVAL);
	IS(RESULT(twice - 1), 0);
	IS(RESULT(twice), -E_INVAL);
}

/* A guest that opens its disk as often as the server has entries. */
static void
many_opens(const char *own)
{
	envid_t guest = new_guest();
	int fds[8], last;
	size_t i;

	set_open(own, O_RDWR);
	call_send(FSREQ_OPEN, REQ, RW);
	last = call_recv(MANY);
	call(ADD, TABLE + sizeof(struct Call) + 8, PGSIZE, 0, 0);
	call(GOTO, TABLE, 1100, 0, 0);
	call(SPIN, -1, 0, 0, 0);
	sys_env_set_status(guest, ENV_RUNNABLE);
	while (((volatile struct Call *) calls)[3].rcx != 0)
		sys_yield();
	IS(ANSWER(last), 0);
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		IS((fds[i] = open("/motd", O_RDONLY)) >= 0, true);
	while (i-- > 0)
		close(fds[i]);
	IS(sys_env_destroy(guest), 0);
}

/* Guests that die at bad moments, and one that never fetches. */
static void
deaths(const char *own)
{
	envid_t guest;
	int i;

	for (i = 0; i < 20; i++) {
		guest = new_guest();
		set_open(own, O_RDWR);
		call_send(FSREQ_OPEN, REQ, RW);
		if (i % 4 == 1)
			call_recv(FDAT);
		if (i % 4 == 2)
			call(SPIN, 1000000, 0, 0, 0);
		run(guest);
	}
	for (i = 0; i < 10; i++) {
		guest = new_guest();
		set_open(own, O_RDWR);
		call_send(FSREQ_OPEN, REQ, RW);
		call_recv(FDAT);
		call(SPIN, -1, 0, 0, 0);
		sys_env_set_status(guest, ENV_RUNNABLE);
		sys_yield();
		IS(sys_env_destroy(guest), 0);
	}
	/* Nobody but the file server answers a guest. */
	guest = new_guest();
	IS(sys_ipc_try_send(guest, 1, req, RW), -E_BAD_ENV);
	IS(sys_env_destroy(guest), 0);
}

static void
make_image(const char *own, uint32_t nblocks)
{
	int image = open(own, O_RDWR | O_CREAT | O_TRUNC);

	IS(image >= 0, true);
	IS(ftruncate(image, nblocks * PGSIZE), 0);
	IS(close(image), 0);
}

/* Use the disk of a new guest; it reads what it has written. */
static void
own_disk(char mark)
{
	envid_t guest = new_guest();
	char own[32];
	int i, w[12], fd;

	snprintf(own, sizeof own, "/vmm/fs%d.img",
	    envs[ENVX(guest)].env_vmxinfo.disk);
	make_image(own, 12);
	memset(req, mark, PGSIZE);
	set_open(own, O_RDWR);
	call_open(FDAT);
	for (i = 0; i < 12; i++)
		w[i] = call_block(FSREQ_WRITE_BLOCK, i);
	for (i = 0; i < 12; i++)
		call_block(FSREQ_READ_BLOCK, i);
	run(guest);
	for (i = 0; i < 12; i++) {
		IS(ANSWER(w[i]), 0);
		IS(ANSWER(w[i] + 24), 0);
	}
	IS(req[PGSIZE - 1], mark);
	IS((fd = open(own, O_RDONLY)) >= 0, true);
	for (i = 0; i < 12; i++) {
		IS(readn(fd, req, PGSIZE), PGSIZE);
		IS(req[PGSIZE - 1], mark);
	}
	IS(close(fd), 0);
	IS(remove(own), 0);
}

/* Several guests at once, each with its own disk. */
static void
at_once(void)
{
	envid_t child[3];
	int i;

	for (i = 0; i < 3; i++) {
		child[i] = fork();
		if (child[i] < 0)
			panic("fork: %e", child[i]);
		if (child[i] == 0) {
			own_disk('a' + i);
			exit();
		}
	}
	for (i = 0; i < 3; i++)
		wait(child[i]);
}

static bool
still_serves(void)
{
	char c;
	int fd = open("/motd", O_RDONLY), r;

	if (fd < 0)
		return false;
	r = readn(fd, &c, 1);
	close(fd);
	return r == 1;
}

/* A file with another name is untouched; the image has our two blocks. */
static void
check_files(const char *own, int other, uint32_t nblocks)
{
	static char buf[PGSIZE];
	int fd = open(own, O_RDONLY);

	IS(seek(other, 0), 0);
	IS(readn(other, buf, 6), 6);
	IS(memcmp(buf, "secret", 6), 0);
	IS(readn(fd, buf, PGSIZE), PGSIZE);
	IS(memcmp(buf, own, strlen(own) + 1), 0);
	IS(buf[PGSIZE - 1], 0x5a);
	IS(seek(fd, (nblocks - 1) * PGSIZE), 0);
	IS(readn(fd, buf, PGSIZE), PGSIZE);
	IS(buf[PGSIZE - 1], 0x5a);
	IS(readn(fd, buf, PGSIZE), 0);
	close(fd);
}

void
umain(int argc, char **argv)
{
	static const uint32_t nblocks = 20;
	envid_t guest;
	char own[32];
	struct Fd *fd;
	int number, other;

	USED(argc);
	USED(argv);
	sys_page_alloc(0, count, PTE_P | PTE_U | PTE_W | PTE_SHARE);
	guest = new_guest();
	number = envs[ENVX(guest)].env_vmxinfo.disk;
	snprintf(own, sizeof own, "/vmm/fs%d.img", number);
	call(VMX_VMCALL_GETDISKIMGNUM, 0, 0, 0, 0);
	run(guest);
	IS(RESULT(0), number);
	make_image(own, nblocks);
	IS((other = open("/secret", O_RDWR | O_CREAT | O_TRUNC)) >= 0, true);
	IS(write(other, "secret", 6), 6);
	IS(ftruncate(other, PGSIZE), 0);
	fd_lookup(other, &fd);
	bad_messages();
	bad_requests();
	paths(own);
	blocks(own, nblocks, fd->fd_file.id);
	check_files(own, other, nblocks);
	many_opens(own);
	deaths(own);
	IS(remove(own), 0);
	at_once();
	IS(still_serves(), true);
	IS(remove("/secret"), 0);
	IS(sync(), 0);
	cprintf("guestipc: %d cases, %d wrong\n", cases, bad);
}

#else

void
umain(int argc, char **argv)
{
	USED(argc);
	USED(argv);
	cprintf("guestipc: 0 cases, 0 wrong\n");
}

#endif
