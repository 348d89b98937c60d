"""The file system's host side: fsformat and fsck on images good and bad, and
fs/fs.c itself on a disk in memory whose power fails at any moment."""
import os
import platform
import shutil
import struct
import subprocess

import pytest

from emulator import Machine
from trees import ROOT, run, tree

HOST = ROOT / "tests" / "host"
CC = os.environ.get("HOSTCC", "cc")
WARN = ["-std=c17", "-O1", "-g", "-Wall", "-Wextra", "-Werror",
        "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
BLOCK = 4096
ENTRY = 256
ROOT_ENTRY = BLOCK + 8          # of the root directory, in the superblock
SIZE, TYPE, DIRECT, INDIRECT = 128, 132, 136, 176


@pytest.fixture(scope="session")
def tools(tmp_path_factory):
    """Both tools, compiled with checkers of memory and behaviour."""
    out = tmp_path_factory.mktemp("tools")
    source = tree("upto-13")
    for name in ("fsformat", "fsck"):
        run([CC, *WARN, "-D_GNU_SOURCE", "-I", source,
             source / "fs" / f"{name}.c", "-o", out / name])
    return out


def call(*args, cwd=None):
    return subprocess.run([str(a) for a in args], cwd=cwd, text=True, errors="replace",
                          capture_output=True, timeout=60,
                          env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})


class Image:
    """An image whose numbers can be read and changed."""

    def __init__(self, path):
        self.path = path
        self.data = bytearray(path.read_bytes())

    def get(self, at):
        return struct.unpack_from("<I", self.data, at)[0]

    def put(self, at, number):
        struct.pack_into("<I", self.data, at, number)
        self.path.write_bytes(self.data)

    def entries(self, directory=ROOT_ENTRY):
        """{name: offset of its struct File}"""
        found = {}
        for n in range(self.get(directory + SIZE) // BLOCK):
            base = self.get(directory + DIRECT + 4 * n) * BLOCK
            for at in range(base, base + BLOCK, ENTRY):
                name = self.data[at:at + 128].split(b"\0")[0].decode()
                if name:
                    found[name] = at
        return found

    def content(self, at):
        size, out = self.get(at + SIZE), b""
        for n in range(-(-size // BLOCK)):
            where = (at + DIRECT + 4 * n if n < 10 else
                     self.get(at + INDIRECT) * BLOCK + 4 * (n - 10))
            b = self.get(where)
            out += self.data[b * BLOCK:(b + 1) * BLOCK] if b else bytes(BLOCK)
        return out[:size]

    def bit(self, block, free):
        at = 2 * BLOCK + block // 32 * 4
        mask = 1 << block % 32
        self.put(at, self.get(at) | mask if free else self.get(at) & ~mask)


@pytest.fixture
def image(tools, tmp_path):
    """A sound image with a few files: small, large, in a folder."""
    (tmp_path / "small").write_bytes(b"hello\n")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "large").write_bytes(bytes(range(256)) * 16 * 30)
    done = call(tools / "fsformat", "fs.img", 100, "small", "empty", "large",
                "folder/sub/inner=small", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    return Image(tmp_path / "fs.img")


def fsck(tools, image):
    done = call(tools / "fsck", image.path)
    assert done.stderr == ""
    return done.returncode, done.stdout


# --- fsformat

def test_image_holds_the_files(tools, image):
    status, text = fsck(tools, image)
    assert status == 0 and "problem" not in text
    files = image.entries()
    assert set(files) == {"small", "empty", "large", "folder"}
    assert image.content(files["small"]) == b"hello\n"
    assert image.content(files["empty"]) == b""
    assert image.content(files["large"]) == bytes(range(256)) * 16 * 30
    sub = image.entries(files["folder"])["sub"]
    inner = image.entries(sub)["inner"]
    assert image.content(inner) == b"hello\n"
    assert image.path.stat().st_size == 100 * BLOCK


def test_more_files_than_a_block_of_entries(tools, tmp_path):
    names = [f"f{n}" for n in range(40)]
    for name in names:
        (tmp_path / name).write_text(name)
    done = call(tools / "fsformat", "fs.img", 100, *names, cwd=tmp_path)
    assert done.returncode == 0
    image = Image(tmp_path / "fs.img")
    assert fsck(tools, image)[0] == 0
    assert {n: image.content(at).decode()
            for n, at in image.entries().items()} == {n: n for n in names}


@pytest.mark.parametrize("args, said", [
    (["10", "large"], "large: the image is full: it has 10 blocks"),
    (["2000", "huge"], "huge: too large"),
    (["2000", "full", "one-more"], None),
    (["100", "missing"], "missing: No such file"),
    (["100", "small", "dir/small"], "small: there are two files of that name"),
    (["100", "n" * 128 + "=small"], "a name can have 127 bytes"),
    (["100", "small/x=small", "small"], "two files of that name"),
    (["100", "small", "small/x=small"], "small: is a file, not a directory"),
    (["100", "=small"], "an empty name"),
    (["100", "dir"], "dir: "),
    (["3", "small"], "3: not a number of blocks"),
    (["many", "small"], "many: not a number of blocks"),
    (["99999999", "small"], "not a number of blocks"),
])
def test_format_errors(tools, tmp_path, args, said):
    (tmp_path / "dir").mkdir()
    (tmp_path / "small").write_text("x")
    (tmp_path / "dir/small").write_text("y")
    (tmp_path / "large").write_bytes(bytes(9 * BLOCK))
    (tmp_path / "full").write_bytes(bytes(1034 * BLOCK))
    (tmp_path / "huge").write_bytes(bytes(1034 * BLOCK + 1))
    (tmp_path / "one-more").write_bytes(bytes(900 * BLOCK))
    (tmp_path / "fs.img").write_text("what was there before")
    done = call(tools / "fsformat", "fs.img", *args, cwd=tmp_path)
    if said is None:                    # the largest file that is possible
        assert done.returncode == 0
        assert fsck(tools, Image(tmp_path / "fs.img"))[0] == 0
        return
    assert done.returncode == 1
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert (tmp_path / "fs.img").read_text() == "what was there before"
    assert not list(tmp_path.glob("*.tmp"))


def test_format_usage_and_unwritable(tools, tmp_path):
    assert call(tools / "fsformat").returncode == 2
    assert call(tools / "fsformat", "fs.img").returncode == 2
    (tmp_path / "x").write_text("x")
    done = call(tools / "fsformat", "no/such/fs.img", 100, "x", cwd=tmp_path)
    assert done.returncode == 1 and "No such file" in done.stderr


# --- fsck

@pytest.mark.parametrize("spoil, said", [
    (lambda i, f: i.put(BLOCK, 1), "the magic number is 00000001"),
    (lambda i, f: i.put(BLOCK + 4, 101), "101 blocks in an image with room"),
    (lambda i, f: i.put(BLOCK + 4, 0), "0 blocks in an image"),
    (lambda i, f: i.put(ROOT_ENTRY + TYPE, 0), "the root isn't a directory"),
    (lambda i, f: i.put(ROOT_ENTRY + SIZE, 100), "isn't whole blocks"),
    (lambda i, f: i.bit(0, True), "block 0 is the system's"),
    (lambda i, f: i.bit(2, True), "block 2 is the system's"),
    (lambda i, f: i.bit(99, False), "block 99 is used, but nobody has it"),
    (lambda i, f: i.bit(i.get(f["small"] + DIRECT), True),
     "/small: block 4 is in use and marked free"),
    (lambda i, f: i.put(f["small"] + DIRECT, 100), "/small: block number 100"),
    (lambda i, f: i.put(f["small"] + DIRECT, 2), "block number 2 is out of"),
    (lambda i, f: i.put(f["small"] + DIRECT, 0xffffffff), "4294967295"),
    (lambda i, f: i.put(f["empty"] + DIRECT, i.get(f["small"] + DIRECT)),
     "block 4 belongs to something else, too"),
    (lambda i, f: i.put(f["empty"] + DIRECT, i.get(f["small"] + DIRECT)),
     "/empty: block 4 lies past the end"),
    (lambda i, f: i.put(f["large"] + INDIRECT, i.get(f["small"] + DIRECT)),
     "belongs to something else"),
    (lambda i, f: i.put(f["large"] + INDIRECT, 7777), "/large: block number"),
    (lambda i, f: i.put(f["small"] + SIZE, 0x80000000), "impossible size"),
    (lambda i, f: i.put(f["small"] + SIZE, 1035 * BLOCK), "impossible size"),
    (lambda i, f: i.put(f["large"] + SIZE, 5), "lies past the end"),
    (lambda i, f: i.put(f["small"] + TYPE, 7), "/small: unknown type 7"),
    (lambda i, f: rename(i, f["small"], b"empty"), "two files are named empty"),
    (lambda i, f: rename(i, f["small"], b"a/b"), "has a slash"),
    (lambda i, f: rename(i, f["small"], b"z" * 128), "does not end"),
    (lambda i, f: i.put(f["folder"] + DIRECT, i.get(ROOT_ENTRY + DIRECT)),
     "/folder: block 3 belongs to something else, too"),
])
def test_fsck_sees(tools, image, spoil, said):
    spoil(image, image.entries())
    status, text = fsck(tools, image)
    assert status == 1
    assert said in text
    assert " problem" in text.splitlines()[-1]


def rename(image, at, name):
    image.data[at:at + 128] = name.ljust(128, b"\0")
    image.path.write_bytes(image.data)


def test_fsck_usage_and_short_images(tools, tmp_path):
    assert call(tools / "fsck").returncode == 2
    done = call(tools / "fsck", tmp_path / "missing")
    assert done.returncode == 2 and "No such file" in done.stderr
    for size in (0, 100, BLOCK + 1):
        (tmp_path / "short").write_bytes(bytes(size))
        done = call(tools / "fsck", tmp_path / "short")
        assert done.returncode == 1 and "too small" in done.stdout


def test_fsck_accepts_a_longer_image(tools, image):
    with open(image.path, "ab") as f:
        f.write(bytes(12345))
    assert fsck(tools, image)[0] == 0


# --- fs/fs.c on the host

FLAGS = ["-std=gnu17", "-g", "-O1", "-Wall", "-Wextra", "-Werror",
         "-fno-builtin", "-fsanitize=address,undefined",
         "-fno-sanitize-recover=all"]
needs_x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"),
                               reason="the tree has x86 instructions")


def build(folder, out):
    """Compile the tests with the file system of the tree FOLDER."""
    objects = []
    for name in ("fs/fs", "fs/test", "lib/string", "lib/printfmt"):
        objects.append(out / (name.replace("/", "-") + ".o"))
        run([CC, *FLAGS, "-include", HOST / "rename.h", "-I", folder,
             "-c", folder / f"{name}.c", "-o", objects[-1]])
    for name, more in (("test_fs", ["-I", folder, "-I", HOST]), ("fs_host", [])):
        objects.append(out / f"{name}.o")
        run([CC, *FLAGS, *more, "-c", HOST / f"{name}.c", "-o", objects[-1]])
    run([CC, *FLAGS, *objects, "-o", out / "test_fs"])
    return out / "test_fs"


@pytest.fixture(scope="session")
def fsck_tool(tmp_path_factory):
    out = tmp_path_factory.mktemp("fsck") / "fsck"
    source = tree("upto-13")
    run([CC, "-std=gnu17", "-O2", "-I", source, source / "fs/fsck.c", "-o", out])
    return out


@needs_x86
@pytest.mark.parametrize("name", ["upto-13", "jos"])
def test_file_system_on_the_host(tmp_path, fsck_tool, name):
    program = build(tree(name), tmp_path)
    done = call(program, fsck_tool, tmp_path / "fs.img")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 failures" in done.stdout


@needs_x86
@pytest.mark.slow
@pytest.mark.parametrize("right, wrong", [
    ("(r = bitmap_flush()) < 0 || (r = flush_block(blk)) < 0", "0"),
    ("return r;\n\treturn file_flush_meta(f);", "return r;\n\treturn 0;"),
    ("n >= (uint32_t) f->f_size / BLKSIZE", "n > (uint32_t) f->f_size / BLKSIZE"),
    ("if ((r = bitmap_flush()) < 0)", "if ((r = 0) < 0)"),
    ("if (bc_flush(r, 1) < 0)", "if (0)"),
    ("r < 0 || (r = flush_block(blk)) < 0", "r < 0"),
    ("memset(blk + common % BLKSIZE, 0, BLKSIZE - common % BLKSIZE);", ";"),
    ("if (ndoomed > 0 && (r = file_flush_meta(f)) < 0)", "if (0)"),
    ("b >= super->s_nblocks)\n\t\t\tcontinue", "0)\n\t\t\tcontinue"),
    ("len >= MAXNAMELEN", "len > MAXNAMELEN"),
])
def test_host_tests_can_fail(tmp_path, fsck_tool, right, wrong):
    """A file system with a planted mistake doesn't pass."""
    good, folder = tree("jos"), tmp_path / "tree"
    (folder / "fs").mkdir(parents=True)
    for name in ("inc", "lib"):
        (folder / name).symlink_to(good / name)
    for name in ("fs.h", "test.c", "fs.c"):
        shutil.copy(good / "fs" / name, folder / "fs" / name)
    text = (folder / "fs/fs.c").read_text()
    assert right in text
    (folder / "fs/fs.c").write_text(text.replace(right, wrong))
    done = call(build(folder, tmp_path), fsck_tool, tmp_path / "fs.img")
    assert done.returncode != 0


# --- the server on disks that are wrong

def start(image, seen, **variables):
    with Machine(tree("upto-13"), "run-testfs-nox", FS_IMG=image, timeout=30,
                 **variables) as machine:
        machine.expect(seen)


@pytest.mark.slow
def test_no_disk():
    start("", r"user panic in fs at ../fs/bc.c:\d+: there is no disk 1")


@pytest.mark.slow
def test_not_a_file_system(tmp_path):
    (tmp_path / "fs.img").write_bytes(bytes(100 * BLOCK))
    start(tmp_path / "fs.img", "bad file system magic number 00000000")


@pytest.mark.slow
def test_image_cut_short(tmp_path):
    good = tree("upto-13") / "obj/fs/clean-fs.img"
    (tmp_path / "fs.img").write_bytes(good.read_bytes()[:90 * BLOCK])
    start(tmp_path / "fs.img", r"a file system of \d+ blocks on a disk of 90")


@pytest.mark.slow
def test_disk_with_a_bad_sector(tmp_path):
    """The client gets an error, and the server goes on."""
    path = tmp_path / "fs.img"
    shutil.copy(tree("upto-13") / "obj/fs/clean-fs.img", path)
    image = Image(path)
    block = image.get(image.entries()["welcome"] + DIRECT)
    (tmp_path / "errors").write_text(
        '[inject-error]\nevent = "read_aio"\nerrno = "5"\n'
        f'sector = "{block * 8 + 3}"\n')
    start("", "user panic in .* read: unspecified error", QEMUEXTRA=
          f"-drive file=blkdebug:{tmp_path}/errors:{path},index=1,"
          "media=disk,format=raw,rerror=report")
