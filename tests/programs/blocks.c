/* Blocks of files as requests: right ones, wrong ones, and what they cost. */
#include <inc/lib.h>
#include <inc/x86.h>

#ifdef FSREQ_BLOCK

#define FILEBLOCKS 64

static char page[PGSIZE] __attribute__((aligned(PGSIZE)));
static char other[PGSIZE] __attribute__((aligned(PGSIZE)));
static int cases, bad;

#define IS(x, want) do {						\
	int64_t is_ = (x);						\
	cases++;							\
	if (is_ != (want)) {						\
		bad++;							\
		cprintf("blocks: line %d: %ld, not %ld\n", __LINE__,	\
		    is_, (int64_t) (want));				\
	}								\
} while (0)

static int
request(uint64_t msg, void *pg, int perm)
{
	static envid_t fs;
	int r;

	if (!fs)
		fs = ipc_find_env(ENV_TYPE_FS);
	while ((r = sys_ipc_try_send(fs, msg, pg, perm)) == -E_IPC_NOT_RECV)
		sys_yield();
	return r < 0 ? r : ipc_recv_only(fs, NULL, NULL, NULL);
}

static int
block(int type, int fd, uint32_t n)
{
	struct Fd *f;

	if (fd_lookup(fd, &f) < 0)
		return -E_INVAL;
	return request(FSREQ_BLOCK(type, f->fd_file.id, n), page,
	    PTE_P | PTE_U | PTE_W);
}

static void
fill(uint32_t n)
{
	uint32_t i;

	for (i = 0; i < PGSIZE / 4; i++)
		((uint32_t *) page)[i] = n * 1000003 + i;
}

static bool
is_filled(const void *p, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < PGSIZE / 4; i++)
		if (((const uint32_t *) p)[i] != n * 1000003 + i)
			return false;
	return true;
}

static void
good_ones(int fd)
{
	uint64_t start, writing, reading;
	uint32_t n;

	for (n = 0; n < FILEBLOCKS; n++)
		page[n] = 0;
	start = read_tsc();
	for (n = 0; n < FILEBLOCKS; n++) {
		fill(n);
		IS(block(FSREQ_WRITE_BLOCK, fd, n), 0);
	}
	writing = read_tsc() - start;
	start = read_tsc();
	for (n = 0; n < FILEBLOCKS; n++) {
		IS(block(FSREQ_READ_BLOCK, fd, n), 0);
		IS(is_filled(page, n), true);
	}
	reading = read_tsc() - start;
	IS(seek(fd, 5 * PGSIZE), 0);
	IS(readn(fd, other, PGSIZE), PGSIZE);
	IS(is_filled(other, 5), true);
	cprintf("blocks: a write %lu ticks, a read from the cache %lu\n",
	    writing / FILEBLOCKS, reading / FILEBLOCKS);
}

static void
wrong_ones(int fd)
{
	static const uint64_t types[] = { 0, 11, 12, 0xff, 1 << 8 | 1,
		(uint64_t) 1 << 63, FSREQ_SYNC | 1 << 20 };
	struct Fd *f;
	uint32_t id;
	size_t i;
	int ro;

	IS(block(FSREQ_READ_BLOCK, fd, FILEBLOCKS), -E_INVAL);
	IS(block(FSREQ_WRITE_BLOCK, fd, FILEBLOCKS), -E_INVAL);
	IS(block(FSREQ_READ_BLOCK, fd, MAXFILESIZE / BLKSIZE), -E_INVAL);
	IS(block(FSREQ_READ_BLOCK, fd, 0xffffff), -E_INVAL);
	IS(block(FSREQ_WRITE_BLOCK, fd, 0xffffff), -E_INVAL);
	IS(block(FSREQ_WRITE_BLOCK, fd, 0x100000), -E_INVAL);
	IS(fd_lookup(fd, &f), 0);
	id = f->fd_file.id;
	IS(request(FSREQ_BLOCK(FSREQ_READ_BLOCK, id + 1, 0), page,
	    PTE_P | PTE_U | PTE_W), -E_INVAL);
	IS(request(FSREQ_BLOCK(FSREQ_WRITE_BLOCK, 0, 0), page,
	    PTE_P | PTE_U | PTE_W), -E_INVAL);
	IS(request(FSREQ_BLOCK(FSREQ_WRITE_BLOCK, id, 0), page,
	    PTE_P | PTE_U), -E_INVAL);
	IS(request(FSREQ_BLOCK(FSREQ_READ_BLOCK, id, 0), (void *) UTOP,
	    PTE_P | PTE_U | PTE_W), -E_INVAL);
	for (i = 0; i < ARRAY_SIZE(types); i++)
		IS(request(types[i], page, PTE_P | PTE_U | PTE_W), -E_INVAL);
	IS((ro = open("/blockfile", O_RDONLY)) >= 0, true);
	IS(block(FSREQ_WRITE_BLOCK, ro, 0), -E_INVAL);
	IS(block(FSREQ_READ_BLOCK, ro, 0), 0);
	close(ro);
	IS((ro = open("/", O_RDONLY)) >= 0, true);
	IS(block(FSREQ_WRITE_BLOCK, ro, 0), -E_INVAL);
	close(ro);
}

/* A disk that is full: an error for the hole, and nothing else. */
static void
full_disk(int fd)
{
	int big = open("/blocks.big", O_RDWR | O_CREAT | O_TRUNC), r;
	int more = open("/blocks.more", O_RDWR | O_CREAT | O_TRUNC);
	off_t size = 40 * PGSIZE;
	char name[] = "/blocks.x00";
	int i, fill_fd, filled = 0;

	IS(ftruncate(big, size), 0);
	for (i = 0; i < 40 && filled == 0; i++) {
		name[9] = '0' + i / 10;
		name[10] = '0' + i % 10;
		fill_fd = open(name, O_RDWR | O_CREAT | O_TRUNC);
		while (fill_fd >= 0
		    && (r = write(fill_fd, other, PGSIZE)) == PGSIZE)
			continue;
		if (fill_fd < 0 || r == -E_NO_DISK)
			filled = i + 1;
		if (fill_fd >= 0)
			close(fill_fd);
	}
	IS(filled > 0, true);
	IS(block(FSREQ_WRITE_BLOCK, big, 30), -E_NO_DISK);
	IS(block(FSREQ_READ_BLOCK, big, 30), 0);
	IS(page[77], 0);
	fill(3);
	IS(block(FSREQ_WRITE_BLOCK, fd, 3), 0);
	close(big);
	close(more);
	for (i = 0; i < filled; i++) {
		name[9] = '0' + i / 10;
		name[10] = '0' + i % 10;
		remove(name);
	}
	IS(remove("/blocks.big"), 0);
	IS(remove("/blocks.more"), 0);
}

void
umain(int argc, char **argv)
{
	int fd = open("/blockfile", O_RDWR | O_CREAT | O_TRUNC);
	struct Fd *f;

	USED(argv);
	IS(fd >= 0, true);
	IS(ftruncate(fd, FILEBLOCKS * PGSIZE), 0);
	IS(block(FSREQ_READ_BLOCK, fd, 7), 0);
	IS(page[1] | page[PGSIZE - 1], 0);
	good_ones(fd);
	wrong_ones(fd);
	if (argc < 2)
		full_disk(fd);
	IS(fd_lookup(fd, &f), 0);
	IS(remove("/blockfile"), 0);
	IS(block(FSREQ_READ_BLOCK, fd, 0), -E_NOT_FOUND);
	IS(sync(), 0);
	cprintf("blocks: %d cases, %d wrong\n", cases, bad);
}

#else

void
umain(int argc, char **argv)
{
	USED(argc);
	USED(argv);
	cprintf("blocks: 0 cases, 0 wrong\n");
}

#endif
