"""Loading JOS: the boot stub, what is on the host's disk, the memory map that
a guest gets, and images whose copying was interrupted."""
import re
import shutil
import subprocess

import pytest

from emulator import Machine
from test_fs_tools import BLOCK, Image
from test_hostile import fsck
from trees import run, tree, with_programs


@pytest.fixture(scope="module")
def jos():
    return tree("jos")


def test_boot_stub(jos):
    """The stub, disassembled: a hypercall in 16-bit code, a jump to 1 MiB in
    32-bit code."""
    stub = jos / "obj/boot/guest"
    assert len(stub.read_bytes()) <= BLOCK

    def code(machine):
        text = run(["objdump", "-D", "-b", "binary", "-m", machine,
                    "--adjust-vma=0x7000", stub]).stdout
        return [re.sub(r" +", " ", line.split("\t")[2]).strip()
                for line in text.splitlines() if line.count("\t") == 2]

    old = code("i8086")
    assert old[0] == "cli"
    assert old.index("mov $0x1,%eax") + 1 == old.index("vmcall")
    assert any(line.startswith("ljmp $0x8") for line in old)
    new = code("i386")
    at = new.index("mov $0x2badb002,%eax")
    assert new[at + 1:at + 3] == ["mov $0x100000,%ecx", "jmp *%ecx"]


def test_disk_has_the_guest(jos):
    host = Image(jos / "obj/fs/clean-fs.img")
    inside = host.entries(host.entries()["vmm"])
    for name, built in {"boot": "obj/boot/guest", "kernel":
                        "obj/fs/guest-kernel", "clean-fs.img":
                        "obj/guest/fs/clean-fs.img"}.items():
        assert host.content(inside[name]) == (jos / built).read_bytes()
    assert "vmm" in inside
    fsck(jos, jos / "obj/guest/fs/clean-fs.img")


def test_the_guest_is_another_kernel(jos):
    """Compiled with VMM_GUEST: it says what a host never says."""
    said = b"VMX extension hidden from guest."
    assert said in (jos / "obj/fs/guest-kernel").read_bytes()
    assert said not in (jos / "obj/kern/kernel").read_bytes()
    assert b"vm$ " in (jos / "obj/guest/user/sh").read_bytes()


def test_nothing_is_built_twice(jos):
    """A second make finds nothing to do, and a changed source of the guest
    reaches the host's disk."""
    run(["make", "-j2"], cwd=jos)
    before = (jos / "obj/fs/clean-fs.img").stat().st_mtime_ns
    assert not re.search(r"^  [A-Z]", run(["make"], cwd=jos).stdout, re.M)
    assert (jos / "obj/fs/clean-fs.img").stat().st_mtime_ns == before
    (jos / "kern/inside.c").touch()
    assert "FS   obj/fs/clean-fs.img" in run(["make"], cwd=jos).stdout


@pytest.mark.slow
def test_memory_maps():
    with Machine(with_programs(), "run-mbmap-bochs", timeout=120) as machine:
        machine.expect("mbmap: done")
        lines = re.findall(r"^mbmap: (.*)$", machine.output(), re.M)
    usable = "20 100000 f00000 1"
    low, hole = "20 0 a0000 1", "20 a0000 60000 2"
    assert [line.strip() for line in lines] == [
        "16384 KiB, rights 7: 0, ebx 6000, flags 40", low, hole, usable,
        "32 KiB, rights 7: 0, ebx 6000, flags 40", "20 0 8000 1", hole,
        "1024 KiB, rights 7: 0, ebx 6000, flags 40", low, hole,
        "16384 KiB, rights 1: -3, ebx 1234, flags 0",
        "done"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["no superblock", "empty", "whole"])
def test_images_half_copied(jos, tmp_path, kind):
    """An image without a superblock is copied again; a whole one is kept."""
    clean = (jos / "obj/guest/fs/clean-fs.img").read_bytes()
    old = tmp_path / "old.img"
    old.write_bytes({"no superblock": clean[:BLOCK] + bytes(BLOCK)
                     + clean[2 * BLOCK:len(clean) // 2],
                     "empty": b"", "whole": clean}[kind])
    disk = tmp_path / "fs.img"
    shutil.copy(jos / "obj/fs/clean-fs.img", disk)
    args = ["vmm/boot=obj/boot/guest", "vmm/kernel=obj/fs/guest-kernel",
            "vmm/clean-fs.img=obj/guest/fs/clean-fs.img",
            f"vmm/fs1.img={old}"]
    subprocess.run(["obj/fs/fsformat", disk, "8192", *args], cwd=jos,
                   check=True)
    with Machine(jos, "run-vmm-nox", fs_img=disk, timeout=120) as machine:
        machine.expect(r"vm\$ ")
        copied = "vmm: copying /vmm/clean-fs.img to /vmm/fs1.img"
        assert (copied in machine.output()) == (kind != "whole")
    host = Image(disk)
    made = tmp_path / "made.img"
    made.write_bytes(host.content(host.entries(host.entries()["vmm"])
                                  ["fs1.img"]))
    fsck(jos, made)
    fsck(jos, disk)
