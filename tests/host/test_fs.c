/*
 * Tests of fs/fs.c on the host, on a disk in memory.  The power can fail at
 * any write of a block, also in the middle of it.
 */
#include "rename.h"
#include <fs/fs.h>

void host_vsay(const char *fmt, va_list ap);
void host_fail(void);
void host_reserve(void *va, size_t size);
void host_access(void *va, size_t size, int allowed);
int host_fsck(const char *fsck, const char *image, const void *data,
    size_t size, char *buf, size_t room);

static void
say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	host_vsay(fmt, ap);
	va_end(ap);
}

static int checks;
static unsigned seed;
static int op;

#define CHECK(x) do {							\
	checks++;							\
	if (!(x)) {							\
		say("%s:%d: seed %u, step %d: %s\n", __FILE__, __LINE__, \
		    seed, op, #x);					\
		host_fail();						\
	}								\
} while (0)

/* --- what fs.c needs of JOS */

void
_panic(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	say("panic at %s:%d: ", file, line);
	va_start(ap, fmt);
	host_vsay(fmt, ap);
	va_end(ap);
	say(" (seed %u)\n", seed);
	host_fail();
	for (;;)
		;
}

void
cputchar(int c)
{
	(void) c;
}

int
vcprintf(const char *fmt, va_list ap)
{
	(void) fmt, (void) ap;
	return 0;
}

int
cprintf(const char *fmt, ...)
{
	(void) fmt;
	return 0;
}

/* --- the disk and its cache */

#define MAXB 512

struct Disk disk;
static char media[MAXB * BLKSIZE];	/* what is on the disk */
static bool present[MAXB];
static int power;			/* writes until it fails; < 0: never */
static unsigned torn;			/* sectors of the last write done */
static int memory;			/* pages left; < 0: enough */
static bool broken;			/* the disk gives errors */
static void *crash[5];			/* for __builtin_longjmp */
static long writes;

void *
diskaddr(uint32_t b)
{
	CHECK(b < disk.nblocks);
	return (void *) (DISKMAP + (uintptr_t) b * BLKSIZE);
}

static uint32_t
block_of(const void *va)
{
	return ((uintptr_t) va - DISKMAP) / BLKSIZE;
}

bool
va_is_mapped(const void *va)
{
	return present[block_of(va)];
}

static bool
differs(uint32_t b)
{
	return present[b] && memcmp(diskaddr(b), media + b * BLKSIZE, BLKSIZE);
}

bool
va_is_dirty(const void *va)
{
	return differs(block_of(va));
}

static int
page(uint32_t b)
{
	if (present[b])
		return 0;
	if (memory == 0)
		return -E_NO_MEM;
	if (memory > 0)
		memory--;
	host_access(diskaddr(b), BLKSIZE, 1);
	present[b] = true;
	return 0;
}

void
bc_drop(uint32_t b)
{
	present[b] = false;
	host_access(diskaddr(b), BLKSIZE, 0);
}

int
bc_read(uint32_t b)
{
	int r;

	if (present[b])
		return 0;
	if (broken)
		return -E_UNSPECIFIED;
	if ((r = page(b)) == 0)
		memcpy(diskaddr(b), media + b * BLKSIZE, BLKSIZE);
	return r;
}

int
bc_fresh(uint32_t b)
{
	int r = page(b);

	if (r == 0)
		memset(diskaddr(b), 0, BLKSIZE);
	return r;
}

int
bc_flush(uint32_t b, uint32_t n)
{
	for (; n > 0; b++, n--) {
		CHECK(b < disk.nblocks);
		if (!differs(b))
			continue;
		if (broken)
			return -E_UNSPECIFIED;
		if (power == 0) {
			memcpy(media + b * BLKSIZE, diskaddr(b),
			       torn * SECTSIZE);
			__builtin_longjmp(crash, 1);
		}
		power--;
		writes++;
		memcpy(media + b * BLKSIZE, diskaddr(b), BLKSIZE);
	}
	return 0;
}

int
flush_block(void *addr)
{
	return bc_flush(block_of(addr), 1);
}

static void
mount(void)
{
	uint32_t b;

	for (b = 0; b < disk.nblocks; b++)
		bc_drop(b);
	power = memory = -1;
	broken = false;
	fs_init();
}

static void
format(uint32_t nblocks)
{
	struct Super *s = (struct Super *) (media + BLKSIZE);
	uint32_t *bits = (uint32_t *) (media + 2 * BLKSIZE);

	memset(media, 0, sizeof(media));
	disk.nblocks = nblocks;
	s->s_magic = FS_MAGIC;
	s->s_nblocks = nblocks;
	s->s_root.f_type = FTYPE_DIR;
	strcpy(s->s_root.f_name, "/");
	memset(bits, 0xff, BLKSIZE);
	bits[0] &= ~7U;
	memset(media + 3 * BLKSIZE, 0xa5, (nblocks - 3) * BLKSIZE);
	mount();
}

/* --- fsck from outside */

static const char *fsck_path, *image_path;
static char report[65536];
static int leaks;

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

/* Check the disk; if leaks_too is false it must be clean. */
static void
fsck(bool leaks_too)
{
	char *p = report, *end;
	int r = host_fsck(fsck_path, image_path, media,
			  (size_t) disk.nblocks * BLKSIZE, report,
			  sizeof(report));

	CHECK(r == 0 || r == 1);
	for (; r == 1 && (end = strchr(p, '\n')); p = end + 1) {
		*end = '\0';
		if (strncmp(p, "fsck: ", 6) != 0)
			continue;
		leaks++;
		if (leaks_too && (ends_with(p, "is used, but nobody has it") ||
				  ends_with(p, "past the end of the file")))
			continue;
		say("after the crash: %s\n", p);
		CHECK(!"the file system is inconsistent");
	}
}

/* --- a model of the files, to compare with */

#define NFILES	12
#define ROOM	(16 * BLKSIZE)

static const char *const names[NFILES] = {
	"/a", "/b", "//c", "/d/", "/dir/e", "/dir/f", "/dir/sub/g",
	"/dir/sub//h", "/i", "/j", "/k", "/dir2/l"
};

static struct Model {
	bool exists;
	int size;
	char data[ROOM];
	bool safe;			/* flushed, and unchanged since */
} model[NFILES];

static unsigned
rnd(unsigned n)
{
	static uint64_t x;

	x = (x ^ seed) * 6364136223846793005ULL + 1442695040888963407ULL;
	return (x >> 33) % n;
}

static void
check_file_is(int i)
{
	static char buf[ROOM + 1];
	struct Model *m = &model[i];
	struct File *f;
	int r = file_open(names[i], &f);

	if (!m->exists) {
		CHECK(r == -E_NOT_FOUND);
		return;
	}
	CHECK(r == 0);
	CHECK(f->f_size == m->size);
	CHECK(file_read(f, buf, sizeof(buf), 0) == m->size);
	CHECK(memcmp(buf, m->data, m->size) == 0);
}

static void
do_write(struct Model *m, struct File *f)
{
	static char data[3 * BLKSIZE];
	int i, r, offset = rnd(ROOM - sizeof(data));
	int n = rnd(2) ? (int) rnd(300) : (int) rnd(sizeof(data));

	if (rnd(2))
		offset = MIN(m->size, (int) (ROOM - sizeof(data)));
	for (i = 0; i < n; i++)
		data[i] = rnd(256);
	r = file_write(f, data, n, offset);
	CHECK(r == -E_NO_DISK || (r >= 0 && r <= n));
	m->safe = false;
	if (r < 0 || (r == 0 && f->f_size == m->size)) {
		/* only the gap before the offset may have come into being */
		r = 0;
		if (f->f_size == m->size)
			return;
		CHECK(f->f_size == offset);
	}
	if (offset > m->size)
		memset(m->data + m->size, 0, offset - m->size);
	memcpy(m->data + offset, data, r);
	m->size = MAX(m->size, offset + r);
}

#ifdef FSREQ_BLOCK
/* Write a whole block; afterwards it is on the disk, with all about it. */
static void
do_write_block(struct Model *m, struct File *f)
{
	static char data[BLKSIZE];
	uint32_t n = rnd(m->size / BLKSIZE + 1);
	char *blk;
	int i, r;

	for (i = 0; i < BLKSIZE; i++)
		data[i] = rnd(256);
	m->safe = false;
	r = file_write_block(f, n, data);
	if (n == (uint32_t) m->size / BLKSIZE) {
		CHECK(r == -E_INVAL);
		return;
	}
	CHECK(r == 0 || r == -E_NO_DISK);
	if (r < 0)
		return;
	memcpy(m->data + n * BLKSIZE, data, BLKSIZE);
	CHECK(file_get_block(f, n, false, &blk) == 0);
	CHECK(!va_is_dirty(blk) && !va_is_dirty(f) && !differs(2));
	CHECK(f->f_indirect == 0 || !differs(f->f_indirect));
}
#endif

static void
step(void)
{
	int i = rnd(NFILES), r;
	struct Model *m = &model[i];
	struct File *f = NULL;
	int size;

	if (!m->exists) {
		r = file_create(names[i], FTYPE_REG, &f);
		CHECK(r == 0 || r == -E_NO_DISK);
		if (r == 0) {
			m->exists = true;
			m->size = 0;
			m->safe = false;
		}
		return;
	}
	CHECK(file_open(names[i], &f) == 0);
	CHECK(file_create(names[i], FTYPE_REG, &f) == -E_FILE_EXISTS);
	switch (rnd(10)) {
	case 0:
		m->safe = false;
		CHECK(file_remove(f) == 0);
		m->exists = false;
		break;
	case 1:
	case 2:
		size = rnd(ROOM);
		m->safe = false;
		CHECK(file_set_size(f, size) == 0);
		if (size > m->size)
			memset(m->data + m->size, 0, size - m->size);
		m->size = size;
		break;
	case 3:
	case 4:
		CHECK(file_flush(f) == 0);
		m->safe = true;
		break;
	case 5:
		check_file_is(i);
		break;
#ifdef FSREQ_BLOCK
	case 6:
		do_write_block(m, f);
		break;
#endif
	default:
		do_write(m, f);
	}
}

static void
make_dirs(void)
{
	struct File *f;

	CHECK(file_create("/dir", FTYPE_DIR, &f) == 0);
	CHECK(file_create("/dir/sub", FTYPE_DIR, &f) == 0);
	CHECK(file_create("/dir2", FTYPE_DIR, &f) == 0);
	CHECK(fs_sync() == 0);
	memset(model, 0, sizeof(model));
}

/* Many random steps; all files are right and the disk is sound at the end. */
static void
test_random(uint32_t nblocks)
{
	int i;

	format(nblocks);
	make_dirs();
	for (op = 0; op < 1500; op++)
		step();
	for (i = 0; i < NFILES; i++)
		check_file_is(i);
	CHECK(fs_sync() == 0);
	fsck(false);
	mount();
	for (i = 0; i < NFILES; i++)
		check_file_is(i);
}

/* The same, but the power fails after some writes. */
static void
test_crash(uint32_t nblocks)
{
	int i;

	format(nblocks);
	make_dirs();
	torn = rnd(BLKSECTS);
	power = rnd(200);
	if (__builtin_setjmp(crash) == 0) {
		for (op = 0; op < 3000; op++) {
			step();
			if (rnd(50) == 0)
				CHECK(fs_sync() == 0);
		}
	}
	fsck(true);
	mount();
	for (i = 0; i < NFILES; i++)
		if (model[i].safe)
			check_file_is(i);
}

/* --- the corners */

static void
fill(struct File *f, int *size)
{
	static char data[BLKSIZE];
	int r;

	while ((r = file_write(f, data, BLKSIZE, *size)) == BLKSIZE)
		*size += BLKSIZE;
	CHECK(r == -E_NO_DISK);
}

static void
test_full(void)
{
	struct File *f, *g;
	uint32_t before;
	int size = 0, i;
	char name[20] = "/x";

	format(40);
	CHECK(file_create("/keep", FTYPE_REG, &g) == 0);
	CHECK(file_write(g, "precious", 8, 0) == 8);
	before = blocks_free();
	CHECK(file_create("/f", FTYPE_REG, &f) == 0);
	fill(f, &size);
	CHECK(f->f_size == size && blocks_free() == 0);
	CHECK(file_set_size(f, MAXFILESIZE) == 0);
	CHECK(file_write(f, "x", 1, MAXFILESIZE - 1) == -E_NO_DISK);
	CHECK(fs_sync() == 0);
	fsck(false);
	for (i = 0; i < 14; i++) {
		name[2] = 'a' + i;
		CHECK(file_create(name, FTYPE_REG, &f) == 0);
	}
	CHECK(file_create("/one-too-many", FTYPE_REG, &f) == -E_NO_DISK);
	CHECK(file_open("/f", &f) == 0);
	CHECK(file_remove(f) == 0);
	CHECK(blocks_free() == before);
	CHECK(file_create("/again", FTYPE_REG, &f) == 0);
	CHECK(fs_sync() == 0);
	fsck(false);
	mount();
	CHECK(file_open("/keep", &g) == 0);
	CHECK(file_read(g, name, sizeof(name), 0) == 8);
	CHECK(memcmp(name, "precious", 8) == 0);
}

static void
test_sizes(void)
{
	struct File *f;
	char buf[16];

	format(60);
	CHECK(file_create("/f", FTYPE_REG, &f) == 0);
	CHECK(file_set_size(f, -1) == -E_INVAL);
	CHECK(file_set_size(f, MAXFILESIZE + 1) == -E_INVAL);
	CHECK(file_set_size(f, MAXFILESIZE) == 0);
	CHECK(file_read(f, buf, 16, MAXFILESIZE - 3) == 3);
	CHECK(file_read(f, buf, 16, MAXFILESIZE) == 0);
	CHECK(file_read(f, buf, 16, -1) == -E_INVAL);
	CHECK(file_read(f, buf, 16, 0x7fffffff) == 0);
	CHECK(file_write(f, buf, 16, -1) == -E_INVAL);
	CHECK(file_write(f, buf, 16, 0x7fffffff) == -E_INVAL);
	CHECK(file_write(f, buf, (size_t) -1, 1) == -E_INVAL);
	CHECK(file_write(f, buf, 4, MAXFILESIZE - 3) == -E_INVAL);
	CHECK(file_write(f, "end", 3, MAXFILESIZE - 3) == 3);
	CHECK(file_read(f, buf, 16, MAXFILESIZE - 4) == 4);
	CHECK(memcmp(buf, "\0end", 4) == 0);
	CHECK(file_set_size(f, 5) == 0);
	CHECK(f->f_indirect == 0);
	CHECK(fs_sync() == 0);
	fsck(false);
}

static void
test_paths(void)
{
	static char longname[MAXNAMELEN + 2] = "/";
	struct File *f, *g;

	format(60);
	CHECK(file_open("/", &f) == 0 && f == &super->s_root);
	CHECK(file_open("", &f) == 0 && f == &super->s_root);
	CHECK(file_remove(f) == -E_INVAL);
	CHECK(file_create("/", FTYPE_REG, &f) == -E_FILE_EXISTS);
	memset(longname + 1, 'n', MAXNAMELEN);
	CHECK(file_create(longname, FTYPE_REG, &f) == -E_BAD_PATH);
	CHECK(file_open(longname, &f) == -E_BAD_PATH);
	longname[MAXNAMELEN] = '\0';
	CHECK(file_create(longname, FTYPE_REG, &f) == 0);
	CHECK(file_open(longname, &g) == 0 && f == g);
	CHECK(file_create("/no/such/dir", FTYPE_REG, &f) == -E_NOT_FOUND);
	CHECK(file_create("d", FTYPE_DIR, &f) == 0);
	CHECK(file_create("d//x", FTYPE_REG, &g) == 0);
	CHECK(file_create("d/x/y", FTYPE_REG, &g) == -E_NOT_FOUND);
	CHECK(file_open("///d///x///", &g) == 0);
	CHECK(file_remove(f) == -E_INVAL);
	CHECK(file_remove(g) == 0);
	CHECK(file_remove(f) == 0);
	CHECK(file_open("/d", &f) == -E_NOT_FOUND);
	CHECK(fs_sync() == 0);
	fsck(false);
}

/* No memory, a failing disk: errors, and no harm. */
static void
test_failures(void)
{
	static char data[BLKSIZE];
	struct File *f;
	int i, r, size;

	format(100);
	make_dirs();
	CHECK(file_create("/f", FTYPE_REG, &f) == 0);
	for (i = 0; i < 30; i++) {
		size = f->f_size;
		memory = i % 3;
		r = file_write(f, data, BLKSIZE, size);
		CHECK(r == BLKSIZE || (r == -E_NO_MEM && f->f_size == size));
		broken = true;
		CHECK(file_set_size(f, size / 2) == 0 ||
		      f->f_size <= size + BLKSIZE);
		broken = false;
		memory = -1;
	}
	CHECK(fs_sync() == 0);
	fsck(true);
	mount();
	broken = true;
	CHECK(file_open("/dir/x", &f) == -E_UNSPECIFIED);
	broken = false;
	CHECK(file_open("/dir/x", &f) == -E_NOT_FOUND);
}

/* A disk with any nonsense in a file's description: errors, no accident. */
static void
test_nonsense(void)
{
	static char data[3 * BLKSIZE];
	struct File *f, saved;
	unsigned i, j;

	format(100);
	make_dirs();
	CHECK(file_create("/f", FTYPE_REG, &f) == 0);
	CHECK(file_write(f, data, sizeof(data), 9 * BLKSIZE) ==
	      sizeof(data));
	CHECK(fs_sync() == 0);
	saved = *f;
	for (i = 0; i < 2000; i++) {
		op = i;
		CHECK(file_open("/f", &f) == 0);
		for (j = 0; j < 3; j++) {
			uint32_t bad = rnd(2) ? rnd(120) : rnd(0x7fffffff) * 2;

			if (rnd(4) == 0)
				f->f_indirect = bad;
			else if (rnd(4) == 0)
				f->f_size = bad;
			else
				f->f_direct[rnd(NDIRECT)] = bad;
		}
		if (file_open("/f", &f) == 0) {
			file_read(f, data, sizeof(data), rnd(14) * BLKSIZE);
			file_write(f, data, rnd(sizeof(data)),
				   rnd(14) * BLKSIZE);
			file_flush(f);
			if (rnd(2))
				file_set_size(f, rnd(14 * BLKSIZE));
			else
				file_remove(f);
		}
		format(100);
		make_dirs();
		CHECK(file_create("/f", FTYPE_REG, &f) == 0);
		*f = saved;
		for (j = 0; j < 30; j++)
			CHECK(alloc_block() >= 0);
	}
}

int
test_main(const char *fsck_arg, const char *image_arg)
{
	int i;

	fsck_path = fsck_arg;
	image_path = image_arg;
	host_reserve((void *) DISKMAP, MAXB * BLKSIZE);
	test_sizes();
	test_paths();
	test_full();
	test_failures();
	test_nonsense();
	for (i = 0; i < 12; i++) {
		seed++;
		test_random(i % 2 ? 60 : 300);
	}
	for (i = 0; i < 150; i++) {
		seed++;
		test_crash(i % 3 ? 80 : 300);
	}
	format(300);
	fs_test();
	say("%d checks, %ld writes, %d leaked blocks, 0 failures\n", checks,
	    writes, leaks);
	return 0;
}
