"""Interrupts and time of guests: chapter 25.

vtimer's guests halt, spin, and don't listen; guestpoke wakes, stops and ends
sleeping ones.  What they count is looked at, not only that they are through.
"""
import re

import pexpect
import pytest

from emulator import KERNEL, Machine
from trees import planted, tree, with_programs

pytestmark = pytest.mark.slow
REPORT = re.compile(r"vtimer: (\w+): (\d+) interrupts, (\d+) rounds, "
                    r"ran (\d+) times in (\d+) ms; we had (\d+) turns")
NO_MORE = r"No runnable environments in the system!"


@pytest.fixture(scope="module")
def jos():
    return with_programs()


def reports(machine):
    """What vtimer's five guests and its pair have counted, in order."""
    machine.expect(NO_MORE, timeout=120)
    text = KERNEL.sub("", machine.output())
    found = [(m[0], *map(int, m[1:])) for m in REPORT.findall(text)]
    assert [f[0] for f in found] == ["halts", "spins", "deaf", "calls",
                                     "mute", "halts", "deaf"], text
    return found


@pytest.mark.parametrize("cpus", [1, 2])
def test_guests_get_their_time(jos, cpus):
    with Machine(jos, "run-vtimer-nox", cpus=cpus) as machine:
        halts, spins, deaf, calls, mute, quiet, loud = reports(machine)
        assert "kernel panic" not in machine.output()
    # 50 ticks of 10 ms, and asleep in between: each tick is one run.
    assert halts[1] == 50 and 480 <= halts[4] <= 600 and halts[3] <= 55
    # A guest that never stops gets its ticks, and so does the host.
    assert 45 <= spins[1] <= 52 and spins[5] >= 45
    # Interrupts off: none for the guest, but the host has its turns.
    for guest in deaf, calls:
        assert guest[1] == 0 and guest[2] > 1000
        assert guest[3] >= 40 and guest[5] >= 40
    # Without LAPICEOI there is one interrupt, and then it sleeps.
    assert mute[1:4] == (1, 1, 1)
    # A deaf guest beside it costs a halted one no more than a tick now and
    # then.
    assert quiet[1] == 50 and quiet[4] <= 750 and loud[3] >= 40


@pytest.mark.parametrize("cpus", [1, 2])
def test_sleeping_guests_are_woken_stopped_and_ended(jos, cpus):
    """A guest that is made runnable without an interrupt goes back to sleep;
    one that is stopped asleep isn't woken by its tick; one that is ended
    asleep isn't counted as a sleeper any more."""
    with Machine(jos, "run-guestpoke-bochs", cpus=cpus) as machine:
        machine.expect(r"guestpoke: poked, 1 interrupts, 1 rounds")
        machine.expect(r"guestpoke: stopped, 0 rounds, then many")
        machine.expect(r"guestpoke: stopped asking, 0 rounds, then many")
        machine.expect(r"guestpoke: done")
        machine.expect(NO_MORE)


def test_an_nmi_reaches_the_host_from_a_guest(tmp_path):
    """With kicks sent as NMIs they come at any time, in guests too."""
    copy = planted(with_programs(), tmp_path, (
        "kern/lapic.c", r"ICR_FIXED \| ",
        "(irq == IRQ_KICK ? 0x400 : ICR_FIXED) | "))
    with Machine(copy, "run-vtimer-nox", cpus=2) as machine:
        machine.expect(NO_MORE, timeout=120)
        output = machine.output()
    # Their messages aren't under the lock, and stand in the middle of others.
    assert "NMI on CPU" in output and "kernel panic" not in output
    assert re.search(r"vtimer: halts: 50 interrupts", output)


def test_the_deaf_guest_would_keep_the_processor(tmp_path):
    """The test can fail: without the look at the clock it does."""
    copy = planted(with_programs(), tmp_path, (
        "vmm/interrupts.c", r"> longest_run\(\)\)", "> ~0UL)"))
    with Machine(copy, "run-vtimer-nox") as machine:
        machine.expect(r"vtimer: spins: ")
        seen = machine.child.expect([r"vtimer: deaf: ", pexpect.TIMEOUT],
                                    timeout=20)
    assert seen == 1


def test_jos_in_jos_has_time_and_takes_turns():
    with Machine(tree("jos"), "run-vmm-nox", timeout=120) as machine:
        machine.expect(r"vm\$ ")
        assert "5 4 3 2 1 0" in machine.command("testtime", r"vm\$ ")
        assert "Killing" in machine.command("spin", r"vm\$ ")
