"""Guests that mean harm can harm only themselves.

Each case of tests/programs/evilguest.c is a guest of its own.  The table says
what must come of it.  After each, the innocent guest beside it has gone on
counting with its registers and memory as it left them, a new guest finds
nothing of its predecessor, and the file server serves.
"""
import functools
import re
import shutil

import pexpect
import pytest

from emulator import Machine
from test_guest import Host, LEAVE
from test_hostile import fsck
from trees import with_programs

pytestmark = pytest.mark.slow

OFF = "powered off"
LIVES = None                    # until its parent ends it
ANY = range(1 << 64)


def beyond(gpa):
    return "its memory doesn't reach to " + gpa + r" \(chapter 24\)"


# What the kernel says of its end; how many faults the guest got; the value
# that it found, mostly the number of answers that weren't as they should be.
CASES = {
    "calls_unknown": (OFF, 0, 0), "calls_ring3": (OFF, 0, 0),
    "calls_iopl3": (OFF, 0, 0), "calls_real_mode": (OFF, 0, 0),
    "calls_big_registers": (OFF, 0, 0),
    "puts_bad": (OFF, 0, 0), "puts_flood": (LIVES, 0, 0),
    "mbmap_read_only": (OFF, 0, 0), "mbmap_flood": (OFF, 0, 0),
    "send_bad_gpas": (OFF, 0, 0), "send_huge_gpas": (OFF, 0, 0),
    "recv_bad_gpas": (OFF, 0, 0),
    "send_permissions": (OFF, 0, 60),   # 58 of 64 bits, and two
    "send_to_others": (OFF, 0, 0),
    "send_flood": (LIVES, 0, 0), "ask_until_killed": (LIVES, 0, 0),
    "recv_flood": (OFF, 0, 0), "backtohost_flood": (OFF, 0, 0),
    "eoi_flood": (OFF, 0, 0),
    "open_foreign": (OFF, 0, 0),
    "open_modes": (OFF, 0, 31),         # of 32, all but read and write
    "blocks_beyond": (OFF, 0, 0), "blocks_of_others": (OFF, 0, 0),
    "requests_unknown": (OFF, 0, 0), "request_rewritten": (OFF, 0, 0),
    "descriptor_everywhere": (OFF, 0, 0),

    "read_beyond": (beyond("100000"), 0, 0),
    "write_beyond": (beyond("100000"), 0, 0),
    "fetch_beyond": (beyond("100000"), 0, 0),
    "straddle_end": (beyond("100000"), 0, 0),
    "run_over_end": (beyond("100000"), 0, 0),
    "fill_over_end": (beyond("100000"), 0, 0),
    "lapic_read": (beyond("fee00020"), 0, 0),
    "lapic_write": (beyond("fee00300"), 0, 0),
    "ioapic_write": (beyond("fec00000"), 0, 0),
    "memory_3_gib": (beyond("c0000000"), 0, 0),
    "memory_4_gib": (beyond("100009000"), 0, 0),
    "memory_far": (beyond("4000000000"), 0, 0),
    "not_canonical": (OFF, 1, 0),
    "cr3_beyond": (beyond("40000000"), 0, 0),
    "cr3_lapic": (beyond("fee00000"), 0, 0),
    "cr3_pae_beyond": (beyond("40000000"), 0, 0),
    "table_reserved_bits": (OFF, 1, 0),
    "table_far": (beyond("4000000000"), 0, 0),
    "table_of_itself": (beyond("400090[0-9a-f]{2}"), 0, 0),
    "tables_changing": (OFF, 5000, 0),
    "tables_without_invlpg": (OFF, 0, 0),
    "stub_read_only": (r"no right to do that at 7000 \(chapter 24\)", 0, 0),
    "stub_while_running": (OFF, 0, 1), "code_changing": (OFF, 233, 0),
    "tiny": (beyond("8200"), 0, 0),
    "out_of_memory": (r"no page left for [0-9a-f]+ \(chapter 24\)", 0, 0),

    "ports_in": (OFF, 0, 10),           # the UART's and the CMOS's
    "ports_out": (OFF, 0, 65534), "ports_wide": (OFF, 0, 0),
    "ports_strings": (OFF, 12, 0),
    "power_off_0604": (OFF, 0, 0), "power_off_8900": (OFF, 0, 0),
    "uart_flood": (OFF, 0, 0),
    "uart_for_ever": (LIVES, 0, 0), "uart_registers": (OFF, 0, 0),

    "msrs_read": (OFF, 16384 - 8, 8),
    "msrs_write": (OFF, 32768 - 12, 12),    # 6 of them, twice
    "msrs_elsewhere": (OFF, 18, 0),
    "msr_efer": (OFF, 62, 0xd00),       # all but NXE and LMA
    "msr_bases": (OFF, 5, 0),
    "cr0_bits": (OFF, ANY, 0), "cr4_bits": (OFF, ANY, 0),
    "cr3_bits": (OFF, 24, 0),           # 40 to 63
    "cr8_values": (OFF, 64, 0), "cr0_real_mode": (OFF, 0, 0),
    "debug_registers": (OFF, 0, 0), "fpu": (OFF, 8, 0),
    "vmx_instructions": (OFF, 13, 13), "other_instructions": (OFF, 12, 11),
    "ring3_instructions": (OFF, 28, 0),

    "triple_fault": (r"triple fault at rip 90[0-9a-f]{2} \(chapter 24\)", 0, 0),
    "double_fault_loop": (r"triple fault at rip 90[0-9a-f]{2} \(chapter 24\)", 0, 0),
    "spin_if_0": (LIVES, 0, 0), "spin_if_1": (LIVES, 0, 0),
    "spin_real_mode": (LIVES, 0, 0), "spin_exits": (LIVES, 0, 0),
    "hlt_if_0": ("halted with interrupts off", 0, 0),
    "sti_hlt": (LIVES, 0, 0), "sti_cli": (LIVES, 0, 0),
    "db_loop": (LIVES, 0, 0), "gp_loop": (LIVES, 0, 0),
    "ud_loop": (LIVES, 0, 0), "ac_loop": (LIVES, 0, 0),
    "single_steps": (OFF, 1200, 0),
    "task_gate": (r"unhandled exit, task switch \(chapter 24\)", 0, 0),
    "task_gate_interrupt": (r"unhandled exit, task switch \(chapter 24\)", 0, 0),
    "unreal_mode": (OFF, 0, 1), "virtual_8086": (OFF, 0, 2),
    "compatibility_mode": (OFF, 0, 2), "odd_segments": (OFF, 0, 0),
    "stacks_not_there": (OFF, 96, 0),
    "stack_beyond": (beyond("1ffff8"), 0, 0),
    "idt_beyond": (beyond("40000060"), 0, 0),
    "gdt_beyond": (beyond("40000020"), 0, 0),
    "mov_ss_hlt": (LIVES, 0, 0),
    "rip_wraps_16": (OFF, 0, 0), "rip_wraps_32": (r"VM entry failed \(chapter 22\)", 0, 0),
    "rip_leaves_canonical": (OFF, 1, 0), "sysenter": (OFF, 0, 1),
}
# These get far: their loops turn.
TURNS = {"puts_flood", "spin_if_0", "spin_if_1", "spin_real_mode",
         "db_loop", "gp_loop",
         "ud_loop", "ac_loop", "sti_hlt", "mov_ss_hlt", "eoi_flood",
         "request_rewritten"}
RESULT = re.compile(r"RESULT (\w+) (\w+) faults (\d+) value (\d+) rounds (\d+) "
                    r"innocent (\w+) probe (\w+) server (\w+)\n")


class SmallHost(Host):
    """As little memory as will do: a guest uses it up sooner."""

    def __init__(self, jos, disk, cpus):
        Machine.__init__(self, jos, "bochs", cpus=cpus, mem="96M",
                         fs_img=disk, timeout=120)
        self.expect(r"\n\$ ")


@functools.lru_cache(maxsize=None)
def output(cpus, folder):
    """What a machine prints that runs all cases, and what comes after."""
    jos = with_programs()
    image = folder / f"fs{cpus}.img"
    shutil.copy(jos / "obj/fs/clean-fs.img", image)
    with SmallHost(jos, image, cpus) as host:
        host.send("evilguest\r")
        host.expect(r"evilguest: \d+ cases done|kernel panic", timeout=300)
        host.expect(r"\$ ")
        said = host.output()
        assert "hello, world" in host.command("hello")
        assert "motd" in host.command("ls")
        host.start_guest()
        assert "alive" in host.in_guest("echo alive")
        host.leave()
        after = host.output()
    fsck(jos, image)
    return said, after


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile-guests")


@pytest.mark.parametrize("cpus", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_guest_harms_only_itself(case, cpus, folder):
    why, faults, value = CASES[case]
    said, _ = output(cpus, folder)
    # The first are a rehearsal: the last time counts.
    story = said[said.rindex(f"CASE {case}\n"):]
    result = RESULT.search(story)
    ends = re.findall(r"^guest \w+: (.*)$", story[:result.start()], re.M)
    assert ends.pop() == OFF            # of the guest that looked for traces
    if why is LIVES:
        assert result[2] == "lives" and ends == []
    else:
        assert result[2] == "ended" and ends
        assert all(re.fullmatch(why, end) for end in ends), ends
    assert result[1] == case
    assert faults is ANY or int(result[3]) == faults
    assert int(result[4]) == value
    assert case not in TURNS or int(result[5]) > 0
    assert result.group(6, 7, 8) == ("counts", "clean", "serves")


@pytest.mark.parametrize("cpus", [1, 2])
def test_host_is_as_before(cpus, folder):
    said, after = output(cpus, folder)
    free, before = re.search(r"(\d+) pages free, (\d+) before", said).groups()
    assert free == before
    assert "kernel panic" not in after
    complaints = [line for line in said.splitlines()
                  if line.startswith("evilguest: ")]
    assert len(complaints) == 2, complaints     # pages, and done


@pytest.mark.parametrize("cpus", [1, 2])
def test_console_can_be_taken_away(cpus, tmp_path):
    """From guests that print without end, that spin, that only fault."""
    jos = with_programs()
    image = tmp_path / "fs.img"
    shutil.copy(jos / "obj/fs/clean-fs.img", image)
    cases = ["uart_for_ever", "spin_if_0", "spin_exits", "db_loop", "sti_hlt"]
    with SmallHost(jos, image, cpus) as host:
        host.send("evilguest -a backtohost_flood " + " ".join(cases) + "\r")
        host.expect("DETACHED backtohost_flood: 0, it lives")
        while cases:
            case = host.expect(r"ATTACH (\w+)\r")[1]
            cases.remove(case)
            if case == "uart_for_ever":
                host.expect("x" * 100)
            for _ in range(60):         # the first may come too early
                host.send(LEAVE)
                if host.child.expect([f"DETACHED {case}: 0, it lives",
                                      pexpect.TIMEOUT], timeout=1) == 0:
                    break
            else:
                raise AssertionError(f"{case} keeps the console")
        host.expect(r"\$ ")
        assert "hello, world" in host.command("hello")
    fsck(jos, image)


def test_no_case_is_forgotten(folder):
    said, _ = output(1, folder)
    assert set(re.findall(r"CASE (\w+)\n", said)) == set(CASES)
