"""JOS in JOS: guests boot to their shell, work, end, and leave nothing behind.

All of it in Bochs, which imitates VMX.
"""
import re
import shutil
import time

import pytest

from emulator import Machine
from test_fs_tools import Image
from test_hostile import fsck
from trees import run, tree

pytestmark = pytest.mark.slow
VM = r"vm\$ "
LEAVE = "\x1d"


@pytest.fixture(scope="module")
def jos():
    return tree("jos")


@pytest.fixture
def disk(jos, tmp_path):
    """A fresh copy of the host's disk."""
    image = tmp_path / "fs.img"
    shutil.copy(jos / "obj/fs/clean-fs.img", image)
    return image


def guest_disk(jos, disk, number, folder):
    """A guest's image, read out of the host's disk and found clean."""
    host = Image(disk)
    inside = host.entries(host.entries()["vmm"])
    path = folder / f"guest{number}.img"
    path.write_bytes(host.content(inside[f"fs{number}.img"]))
    fsck(jos, path)
    return Image(path)


def guest_file(jos, disk, number, folder, name):
    image = guest_disk(jos, disk, number, folder)
    return image.content(image.entries()[name])


class Host(Machine):
    """Bochs, booted to the host's shell."""

    def __init__(self, jos, disk, cpus=1):
        super().__init__(jos, "bochs", cpus=cpus, fs_img=disk, timeout=120)
        self.expect(r"\n\$ ")

    def start_guest(self, *options):
        self.send(" ".join(["vmm", *options]) + "\r")
        self.expect(VM)

    def in_guest(self, line):
        return self.command(line, VM)

    def leave(self, prompt=r"\n\$ "):
        self.send(LEAVE)
        self.expect(prompt)

    def manager(self):
        self.send("vmmanager\r")
        self.expect("vm> ")

    def order(self, line, prompt="vm> "):
        return self.command(line, prompt)

    def free_pages(self):
        """The monitor's count, by way of a program that stops in it."""
        self.send("breakpoint\r")
        self.expect("K> ")
        count = int(re.search(r"pages: (\d+) free",
                              self.command("pages", "K> ")).group(1))
        self.send("continue\r")
        self.expect(r"\$ ")
        return count


@pytest.mark.parametrize("cpus", [1, 2])
def test_a_guest_works(jos, disk, cpus, tmp_path):
    with Machine(jos, "run-vmm-nox", cpus=cpus, fs_img=disk,
                 timeout=120) as machine:
        machine.expect(r"VMX extension hidden from guest\.")
        machine.expect(r"000000100000-000000ffffff usable")
        machine.expect("This is /motd, the message of the day")
        machine.expect(VM)
        assert "lorem" in machine.command("ls", VM)
        assert "message of the day" in machine.command("cat motd", VM)
        text = machine.command("forktree", VM)
        while "I am '111'" not in text:
            machine.expect(VM + r"|I am '111'")
            text += machine.before + machine.child.after
        text = machine.command("testfile", VM)
        assert "large file is good" in text
        assert "hello, world" in machine.command("hello | cat", VM)
        assert "kernel panic" not in machine.output()
    fsck(jos, disk)
    guest_disk(jos, disk, 1, tmp_path)


def test_primes_in_a_guest(jos, disk):
    with Machine(jos, "run-vmm-nox", fs_img=disk, timeout=120) as machine:
        machine.expect(VM)
        machine.send("primes\r")
        machine.expect(r"\b541\b")


def test_what_a_guest_writes_lasts(jos, disk, tmp_path):
    with Host(jos, disk) as host:
        host.start_guest()
        host.in_guest("echo these words last > kept")
        host.leave()
        host.manager()
        assert "has ended" in host.order("end 1")
        host.order("quit", r"\$ ")
        host.start_guest()
        assert "these words last" in host.in_guest("cat kept")
        host.leave()
        assert "kept" not in host.command("ls")
    fsck(jos, disk)
    kept = guest_file(jos, disk, 1, tmp_path, "kept")
    assert kept == b"these words last\n"
    with Host(jos, disk) as host:
        host.start_guest()
        assert "these words last" in host.in_guest("cat kept")
    with Host(jos, disk) as host:
        host.start_guest("-c")
        assert "kept" not in host.in_guest("ls")


@pytest.mark.parametrize("cpus", [1, 2])
def test_guests_at_the_same_time(jos, disk, cpus, tmp_path):
    with Host(jos, disk, cpus) as host:
        host.manager()
        for n in (1, 2, 3):
            host.order("new")
        seen = host.order("list")
        assert "3 guests" in seen
        for n in (1, 2, 3):
            host.send(f"attach {n}\r")
            host.expect(VM)
            host.in_guest(f"echo I am guest {n} > who")
            host.send(LEAVE)
            host.expect("goes on without you")
            host.expect("vm> ")
        cpu = {}
        for _ in range(60):
            for n, c in re.findall(r"guest (\d) .*last on CPU (\d)",
                                   host.order("list")):
                cpu.setdefault(n, set()).add(c)
            if all(len(seen) == cpus for seen in cpu.values()):
                break
        assert set(cpu) == {"1", "2", "3"}
        assert all(len(seen) == cpus for seen in cpu.values()), cpu
        for n in (2, 1, 3):
            host.send(f"attach {n}\r")
            host.expect("brings you back")
            time.sleep(0.5)
            host.send("\r")
            host.expect(VM)
            assert f"I am guest {n}" in host.in_guest("cat who")
            host.send(LEAVE)
            host.expect("vm> ")
        for n in (3, 1, 2):
            assert "has ended" in host.order(f"end {n}")
        assert "0 guests" in host.order("list")
        host.order("quit", r"\$ ")
        assert "hello, world" in host.command("hello")
        assert "kernel panic" not in host.output()
    fsck(jos, disk)
    for n in (1, 2, 3):
        who = guest_file(jos, disk, n, tmp_path, "who")
        assert who == f"I am guest {n}\n".encode()


@pytest.mark.parametrize("cpus", [1, 2])
def test_twenty_guests_in_a_row_lose_no_page(jos, disk, cpus):
    free = []
    with Host(jos, disk, cpus) as host:
        for n in range(20):
            host.start_guest()
            host.leave()
            host.manager()
            assert "has ended" in host.order("end 1")
            host.order("quit", r"\$ ")
            if n in (0, 19):
                free.append(host.free_pages())
        assert "kernel panic" not in host.output()
    assert free[0] == free[1]
    fsck(jos, disk)


def test_manager_refuses_clearly(jos, disk):
    with Host(jos, disk) as host:
        host.manager()
        assert "there is no guest '3'; try list" in host.order("attach 3")
        assert "no order 'fly'; try help" in host.order("fly")
        assert "attach  N" in host.order("help")


def test_exit_trace_in_each_form(jos, disk, tmp_path):
    line = r"\d+ [A-Z_]+ rip=[0-9a-f]{8,} qual=[0-9a-f]+ (next|again|end)"
    with Host(jos, disk) as host:
        host.start_guest("-t")
        host.leave()
        trace = [l for l in host.output().splitlines()
                 if re.fullmatch(line, l.strip())]
        assert len(trace) > 100
        ticks = [int(l.split()[0]) for l in trace]
        assert ticks == sorted(ticks)
        host.send("breakpoint\r")
        host.expect("K> ")
        text = host.command("exits", "K> ")
        assert re.search(r"exit IO count [1-9]\d+", text)
        (tmp_path / "console").write_text(host.output())
    made = run(["python3", "tools/exits.py", tmp_path / "console"], cwd=jos)
    assert made.stdout.count("<rect") >= len(trace)
    assert "VMCALL" in made.stdout and "<html" in made.stdout


def test_without_vmx_the_shell_lives_on(jos, disk):
    with Machine(jos, fs_img=disk) as machine:
        machine.expect(r"\n\$ ")
        text = machine.command("vmm")
        assert "has no VMX" in text and "make run-vmm-nox" in text
        assert "0 guests" in machine.command("vmmanager", "vm> ")
