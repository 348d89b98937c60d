"""The machine itself: memory sizes, processors, emulators, the monitor."""
import re
import shutil
import subprocess

import pytest

from emulator import Machine
from trees import run, tree

pytestmark = pytest.mark.slow
MIB_PAGES = 256


def shell(tmp_path, target="qemu-nox", **options):
    jos = tree("jos")
    image = tmp_path / "fs.img"
    shutil.copy(jos / "obj/fs/clean-fs.img", image)
    return Machine(jos, target, fs_img=image, **options)


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_qemu_reaches_the_shell(cpus, tmp_path):
    with shell(tmp_path, cpus=cpus) as machine:
        machine.expect(r"\n\$ ")
        assert "motd" in machine.command("ls")
        assert machine.command("echo a  b c").strip() == "a b c"


@pytest.mark.parametrize("cpus", [1, 2])
def test_bochs_reaches_the_shell(cpus, tmp_path):
    with shell(tmp_path, "bochs", cpus=cpus, timeout=120) as machine:
        machine.expect(r"\n\$ ")
        assert "motd" in machine.command("ls")
        for _ in range(8):      # more than a terminal's buffer holds
            assert "Lorem ipsum" in machine.command("cat lorem")


@pytest.mark.parametrize("mem, mib", [
    ("64M", 64), ("256M", 256), ("3G", 3072), ("6G", 6144)])
def test_all_memory_is_found(mem, mib):
    """breakpoint ends in the monitor, whose count of free pages is compared
    with what QEMU was given: the firmware, the kernel and its structures may
    use 2 % and 8 MiB of it."""
    with Machine(tree("jos"), "run-breakpoint-nox", mem=mem) as machine:
        machine.expect("K> ")
        text = machine.command("pages", "K> ")
    free = int(re.search(r"pages: (\d+) free", text).group(1))
    given = mib * MIB_PAGES
    assert given * 0.98 - 8 * MIB_PAGES <= free < given, text


def test_kernel_refuses_a_processor_without_long_mode():
    with Machine(tree("jos"), QEMUCPU="pentium3") as machine:
        machine.expect("this one has no long mode")


@pytest.mark.parametrize("header", [b"", b"\x7fELF\x01", b"MZ"])
def test_boot_loader_refuses_what_is_no_kernel(header, tmp_path):
    jos = tree("jos")
    image = tmp_path / "disk.img"
    sector = (jos / "obj/boot/boot").read_bytes()
    image.write_bytes((sector + header).ljust(516096, b"\0"))
    with Machine(jos, IMG=image) as machine:
        machine.expect("boot: no 64-bit ELF kernel")


def test_gdb_finds_its_way_through_the_modes():
    """Stop in the boot sector, at bootmain, and in the kernel; the code of
    each mode is shown as what it is."""
    jos = tree("jos")
    port = 27431
    commands = ["break *0x7c00", "continue", "x/2i $pc",
                "break bootmain", "continue", "x/1i $pc",
                "hbreak kern_init", "continue", "bt", "kill", "quit"]
    with Machine(jos, "qemu-nox-gdb", GDBPORT=port) as machine:
        machine.expect("make gdb")
        gdb = subprocess.run(["make", "-s", "gdb", f"GDBPORT={port}"],
                             input="\n".join(commands) + "\n", cwd=jos,
                             capture_output=True, text=True, timeout=60)
    assert "xor    %ax,%ax" in gdb.stdout, gdb.stdout + gdb.stderr
    assert "push   %ebp" in gdb.stdout, gdb.stdout
    assert "#0  kern_init" in gdb.stdout, gdb.stdout


def test_gdb_lists_the_chapters():
    """With LINE=1, a function's source is the chapter that explains it."""
    kernel = tree("jos-line") / "obj/kern/kernel"
    listed = run(["gdb", "-batch", "-ex", "info line kern_init", kernel])
    assert "chapters/03-long-mode.nw" in listed.stdout


def test_clang_builds_it_too(tmp_path):
    copy = tmp_path / "jos"
    shutil.copytree(tree("jos"), copy, symlinks=True,
                    ignore=shutil.ignore_patterns("obj"))
    built = run(["make", "-j2", "CC=clang"], cwd=copy)
    assert "warning" not in built.stdout, built.stdout
    with Machine(copy, "run-hello-nox", CC="clang") as machine:
        machine.expect("hello, world")
