"""Entering guests: chapter 21, and where labs 2 and 3 begin.

tests/programs/guests.c runs four guests at once, two that spin and two that
make hypercalls, with nothing but this chapter's kernel around them.
"""
import pathlib
import re
import shutil

import pytest

from emulator import Machine
from trees import ROOT, run, tree

pytestmark = pytest.mark.slow
PROGRAM = pathlib.Path(__file__).resolve().parent / "programs/guests.c"


@pytest.fixture(scope="module")
def jos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("entering") / "jos"
    shutil.copytree(tree("upto-21"), folder, symlinks=True)
    shutil.copy(PROGRAM, folder / "user")
    run(["make", "-j2"], cwd=folder)
    return folder


@pytest.mark.parametrize("cpus", [1, 2])
def test_guests_share_the_processors(jos, cpus):
    with Machine(jos, "run-guests-bochs", cpus=cpus, timeout=120) as machine:
        machine.expect("GUESTS DONE")
        text = machine.output()
    assert "panic" not in text
    shares = [int(n) for n in re.findall(r"GUEST \d runs (\d+)", text)]
    assert len(shares) == 8 and min(shares) > 0
    assert re.findall(r"STOPPED runs (\d+)", text) == ["0", "0"]
    assert "0" not in re.findall(r"AGAIN runs (\d+)", text)
    assert re.findall(r"CPUS (\d+)", text)[-1] == str((1 << cpus) - 1)
    assert "LOST 0 pages" in text
    now, was = re.search(r"GDT limit (\d+), was (\d+)", text).groups()
    assert now == was


def test_tiny_guest_and_the_monitor(jos):
    with Machine(jos, "run-tinyguest-bochs") as machine:
        machine.expect("halted with interrupts off")
        machine.expect(r"\d+ VMCALL rip=00007000 qual=0 next\r\n")
        machine.expect(r"\d+ HLT rip=00007003 qual=0 end\r\n")
        machine.expect("K> ")
        text = machine.command("exits", "K> ")
    assert re.search(r"guest \w+ ended exits \d+\n(exit INTERRUPT.*\n)?"
                     r"exit HLT count 1\nexit VMCALL count 1\n", text)


def handout(tmp_path, lab, without=None):
    """The handout of a lab, built; without: nor what this function does."""
    folder = tmp_path / "lab"
    run(["make", "-s", "tangle", f"LAB={lab}", f"OUT={folder}"])
    if without:
        vmx = folder / "vmm/vmx.c"
        stub = re.search(rf"\n{without}\(.*?\n}}\n",
                         (tmp_path / "stubs").read_text(), re.S)
        text, n = re.subn(rf"\n{without}\(.*?\n}}\n",
                          lambda _: stub[0], vmx.read_text(), flags=re.S)
        assert n == 1
        vmx.write_text(text)
    run(["make", "-j2"], cwd=folder)
    return folder


def test_lab_2_half_way(tmp_path):
    """All of lab 2 but asm_vmrun, whose stub says so."""
    run(["make", "-s", "tangle", "LAB=2", f"OUT={tmp_path / 'two'}"])
    shutil.copy(tmp_path / "two/vmm/vmx.c", tmp_path / "stubs")
    jos = handout(tmp_path, 3, without="asm_vmrun")
    with Machine(jos, "run-vmm-bochs") as machine:
        machine.expect(r"kernel panic on CPU 0 at \.\./vmm/vmx\.c:\d+: "
                       "asm_vmrun is incomplete")


def test_lab_3_begins_where_lab_2_ends(tmp_path):
    with Machine(handout(tmp_path, 3), "run-vmm-bochs") as machine:
        machine.expect(r"Unhandled VMEXIT, aborting guest\.\r\n"
                       r"  reason 18: VMCALL\r\n")
        machine.expect(r"guest \w+: unhandled exit, VMCALL")
        machine.expect("K> ")
