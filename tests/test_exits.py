"""What a guest gets for its instructions, ports and registers.

Each case of tests/programs/guestcases.c is a guest of its own: one that
executes a few instructions in real mode, prints EAX or a letter for the
exception it got, and powers itself off.
"""
import re

import pytest

from emulator import Machine
from trees import planted, tree, with_programs

pytestmark = pytest.mark.slow

# U: undefined instruction, G: general protection, D: debug, with DR6.
OFF = "powered off"
PRINTS = {
    "cpuid1.ecx": "80c02000", "cpuid1.edx": "000aa97c",
    "cpuid40000000": "40000010", "cpuid40000010": r"0000[0-9a-f]{4}",
    "cpuid80000001.edx": "24100000", "cpuid7.ebx": "00000000",
    "cpuid0.ebx": "756e6547",
    "rdmsr3a": "G", "rdmsr1b": "G", "rdmsr-none": "G",
    "rdmsr-efer": "00000000", "wrmsr-efer-nxe": "00000900",
    "wrmsr-efer-sce": "G", "wrmsr-efer-hi": "G", "wrmsr-lstar": "G",
    "wrmsr-tsc": "G", "fsbase": "00001234", "kgsbase": "00005678",
    "sysenter": "00000008",
    "cr0-first": "00000010", "cr0-write": "6000003e", "cr0-bad": "G",
    "clts": "00000010", "lmsw": "0000001e", "lmsw-mem": "0000001a",
    "cr4-vmxe": "G", "cr4-pae": "00000020", "cr4-osfxsr": "G",
    "cr3": "00005000",
    "dr7": "00000400", "dr6": "ffff0ff0", "dr0": "00000000",
    "step": "Dffff4ff0", "icebp": "Dffff0ff0",
    "movss-icebp": "Dffff4ff0", "movss-cpuid": "Dffff4ff0",
    "movss-vmxoff": "U",
    "vmxon": "U", "vmxoff": "U", "vmlaunch": "U",
    "invd": "00000001", "wbinvd": "00000001",
    "monitor": "U", "mwait": "U", "rdpmc": "G", "rdtscp": "U",
    "xsetbv": "U", "getsec": "U", "rdtsc": "00000001",
    "in60": "123456ff", "inw": "1234ffff", "inl": "ffffffff",
    "port-ffff": "ffffffff", "insb": "G", "outsb": "G",
    "cmos": "00000080", "cmos-rtc": "00000000",
    "lsr": "00000060", "iir": "000000c1", "divisor": "0000005a",
    "data-empty": "ffffff00",
    "within": "00000000", "vmcall-none": "fffffff9",
}
ENDS = {
    "shutdown": OFF, "beyond": r"its memory doesn't reach to 20000 \(chapter 24\)",
    "own-stub": r"no right to do that at 7fff \(chapter 24\)",
    "triple": r"triple fault at rip 7[0-9a-f]{3} \(chapter 24\)",
    "hlt": "halted with interrupts off", "backtohost": OFF,
}


@pytest.fixture(scope="module")
def jos_tree():
    return tree("jos")


@pytest.fixture(scope="module")
def said():
    """What each case printed, as {name: text}."""
    with Machine(with_programs(), "run-guestcases-bochs",
                 timeout=120) as machine:
        machine.expect("ALL CASES DONE")
        text = re.sub(r"vmx: CPU.*\n", "", machine.output())
    return dict(re.findall(r"CASE (\S+): (.*?)RESULT", text, re.S))


@pytest.mark.parametrize("case, prints", PRINTS.items())
def test_guest_gets(said, case, prints):
    assert re.search(rf"^{prints}\s+guest \w+: {OFF}\n", said[case],
                     re.M)


@pytest.mark.parametrize("case, why", ENDS.items())
def test_guest_ends(said, case, why):
    assert re.search(rf"guest \w+: {why}\n", said[case])


def test_console_goes_to_the_guest_and_comes_back(jos_tree):
    """Typing, Ctrl-], output while nobody looks, the guest's own end."""
    with Machine(jos_tree, "bochs", timeout=120) as machine:
        machine.expect(r"\n\$ ")
        machine.send("vmm\r")
        machine.expect(r"vm\$ ")
        assert "from the guest" in machine.command("echo from the guest",
                                                   r"vm\$ ")
        machine.send("\x1d")
        machine.expect(r"guest (\w+) goes on without you")
        machine.expect(r"\$ ")
        assert "from the host" in machine.command("echo from the host")


def test_the_monitor_comes_before_the_guest():
    """A breakpoint while a guest has the console: the monitor listens."""
    with Machine(with_programs(), "bochs", timeout=60) as machine:
        machine.expect(r"\n\$ ")
        machine.send("takeover b\r")
        machine.expect("TAKEOVER attach")
        machine.expect("K> ")
        assert "kern_start" in machine.command("kerninfo", "K> ")
        machine.send("continue\r\x1d")
        machine.expect("TAKEOVER done 0")


def test_typing_ahead_does_not_lock_the_console():
    """More than the host's ring holds, and nobody there to empty it."""
    with Machine(with_programs(), "bochs", timeout=60) as machine:
        machine.expect(r"\n\$ ")
        machine.send("takeover\r")
        machine.expect("TAKEOVER type now")
        machine.send("x" * 600)
        machine.expect("TAKEOVER attach")
        machine.send("\x1d")
        machine.expect("TAKEOVER done 0")


@pytest.fixture(scope="module")
def no_serial_interrupts(tmp_path_factory):
    """A host that loses the serial port's interrupts as long as a guest has
    the console."""
    return planted(with_programs(), tmp_path_factory.mktemp("lost"), (
        "kern/trap.c", r"\t\tserial_intr\(\);\n",
        "\t\t{ bool guest_has_console(void);\n"
        "\t\tif (guest_has_console()) return; }\n"
        "\t\tserial_intr();\n"))


def test_a_guest_is_typed_at_without_interrupts(no_serial_interrupts):
    """A lost interrupt doesn't make the keys dead: the guest's shell reads
    the port itself."""
    with Machine(no_serial_interrupts, "bochs", timeout=60) as machine:
        machine.expect(r"\n\$ ")
        machine.send("vmm\r")
        machine.expect(r"vm\$ ")
        assert "still here" in machine.command("echo still here", r"vm\$ ")
        machine.send("\x1d")
        machine.expect(r"goes on without you")


def test_the_host_polls_for_a_guest_that_reads_nothing(no_serial_interrupts):
    """A lost interrupt doesn't lock the person in with such a guest."""
    with Machine(no_serial_interrupts, "bochs", timeout=60) as machine:
        machine.expect(r"\n\$ ")
        machine.send("takeover p\r")
        machine.expect("TAKEOVER attach")
        machine.expect("TAKEOVER is attached")
        machine.send("\x1d")
        machine.expect("TAKEOVER done 0")


def test_nobody_waits_for_an_orphan():
    """Whoever isn't a guest's parent may end it, but not wait for its end."""
    with Machine(with_programs(), "bochs", timeout=60) as machine:
        machine.expect(r"\n\$ ")
        assert "ORPHAN wait -2, end 0" in machine.command("takeover w")


def test_no_case_is_forgotten(said):
    assert set(said) == set(PRINTS) | set(ENDS)
