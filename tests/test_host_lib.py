"""lib/string.c, lib/printfmt.c and lib/readline.c, compiled for this machine
under the compiler's checkers of memory and of undefined behaviour."""
import os
import platform
import subprocess

import pytest

from trees import ROOT, run, tree

HOST = ROOT / "tests" / "host"
CC = os.environ.get("HOSTCC", "cc")
FLAGS = ["-std=gnu17", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-builtin",
         "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SOURCES = ["string", "printfmt", "readline"]

pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"),
                                reason="lib/string.c has x86 instructions")


def build(folder, out):
    """Compile the tests with the library of the tree FOLDER."""
    objects = []
    for name in SOURCES:
        objects.append(out / f"{name}.o")
        run([CC, *FLAGS, "-include", HOST / "rename.h", "-I", folder,
             "-c", folder / "lib" / f"{name}.c", "-o", objects[-1]])
    run([CC, *FLAGS, "-Wno-format-security", "-I", folder, "-I", HOST, HOST / "test_lib.c",
         *objects, "-o", out / "test_lib"])
    return out / "test_lib"


def test_library_on_the_host(tmp_path):
    done = run([build(tree("upto-04"), tmp_path)], timeout=60)
    assert " checks, 0 failures" in done.stdout


@pytest.mark.parametrize("source, right, wrong", [
    ("printfmt", "s->next < s->last", "s->next <= s->last"),       # one byte too many
    ("printfmt", "0 - (uint64_t) v", "(uint64_t) -v"),             # overflow of the least number
    ("string", "src >= len", "src >= len / 2"),                    # overlap forgotten
    ("readline", "length + growth >= LINE_SIZE", "length + growth > LINE_SIZE"),
    ("readline", "i < 0; i++)\n\t\tcputchar(' ')", "i < 0; i++)\n\t\t;"),   # old text left over
])
def test_tests_can_fail(tmp_path, source, right, wrong):
    """A library with a planted mistake doesn't pass."""
    folder = tmp_path / "tree"
    (folder / "lib").mkdir(parents=True)
    good = tree("upto-04")
    (folder / "inc").symlink_to(good / "inc")
    for name in SOURCES:
        text = (good / "lib" / f"{name}.c").read_text()
        if name == source:
            assert right in text
            text = text.replace(right, wrong)
        (folder / "lib" / f"{name}.c").write_text(text)
    done = subprocess.run([build(folder, tmp_path)], capture_output=True, timeout=60)
    assert done.returncode != 0
