"""Programs that mean harm can harm only themselves.

Each program of tests/programs is put into a copy of the tree and booted, as
somebody's unknown program would be.  Afterwards another program still runs,
no page is lost, and the file system checks clean from outside.
"""
import re
import shutil

import pytest

from emulator import Machine
from trees import run, with_programs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def jos():
    return with_programs()


def fsck(jos, image):
    checked = run([jos / "obj/fs/fsck", image], check=False)
    assert checked.returncode == 0, checked.stdout


def boot_shell(jos, tmp_path, **options):
    image = tmp_path / "fs.img"
    shutil.copy(jos / "obj/fs/clean-fs.img", image)
    return image, Machine(jos, fs_img=image, timeout=120, **options)


@pytest.mark.parametrize("cpus", [1, 2])
@pytest.mark.parametrize("program, good", [
    ("hostile", r"hostile: \d+ cases, \d+ in children, done"),
    ("forkbomb", r"forkbomb: done"),
    ("killcall", r"killcall: the server still reads 1 bytes"),
    ("filldisk", r"filldisk: good"),
    ("blocks", r"blocks: \d+ cases, 0 wrong"),
    ("killspin", r"killspin: done"),
    ("stopfault", r"stopfault: 0 of \d+ stops were lost"),
    ("forge", r"forge: 0 of \d+ files were read wrong"),
    ("scribble", r"scribble: 2 pages[^$]*\$ [^$]*init: starting sh"),
    ("flood", r"flood: over"),
    ("pipeliar", r"pipeliar: read no more than a ring"),
])
def test_program_harms_only_itself(jos, program, good, cpus, tmp_path):
    image, machine = boot_shell(jos, tmp_path, cpus=cpus)
    with machine:
        machine.expect(r"\n\$ ")
        machine.command("hello")
        machine.send(program + "\r")
        machine.expect(good)
        machine.expect(r"\$ ")
        assert "hello, world" in machine.command("hello")
        assert "motd" in machine.command("ls")
        output = machine.output()
    assert "hostile: " not in re.sub(good, "", output), output
    assert "kernel panic" not in output
    fsck(jos, image)


def test_pages_are_given_back(jos, tmp_path):
    """The number of free pages after a program has run twice is the number
    after it has run once."""
    image, machine = boot_shell(jos, tmp_path)
    free = []
    with machine:
        machine.expect(r"\n\$ ")
        for _ in range(2):
            machine.command("forkbomb")
            machine.command("hostile")
            text = machine.command("freepages")
            free.append(int(re.search(r"freepages: (\d+)", text).group(1)))
    assert free[0] == free[1]
