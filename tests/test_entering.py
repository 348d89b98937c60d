"""Entering guests: chapter 21.

tests/programs/guests.c runs four guests at once, two that spin and two that
make hypercalls, with nothing but this chapter's kernel around them.
"""
import pathlib
import re
import shutil

import pytest

from emulator import Machine
from trees import run, tree

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
