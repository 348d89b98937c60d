"""Lab 3: exits.

Programs of ours start guests, each of which executes an instruction or two and
leaves its registers in its memory. Their parent prints them with a nonce, beside
the exits that the kernel has noted of them: reason, what its handler said, and
where. Bochs keeps a record of its own, which has to say the same.
"""
import re
import struct
import subprocess

import pytest

from machine import Machine
from plugin import check

SECONDS = 9             # of processor time for one machine; a right one needs 4
NEXT, AGAIN, END, UNHANDLED = 1, 2, 3, 0
RESULTS = {NEXT: "EXIT_NEXT", AGAIN: "EXIT_AGAIN", END: "EXIT_END", UNHANDLED: "EXIT_UNHANDLED"}
REASONS = {"task switch": 9, "cpuid": 10, "hlt": 12, "vmcall": 18, "triple fault": 2, "cr": 28, "dr": 29,
           "io": 30, "rdmsr": 31, "wrmsr": 32, "ept": 48}
BY_THE_CLOCK = {1, 7, 52}
UD, GP, DB = 6, 13, 1
REGISTERS = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split()
KEPT = "rsi rdi rbp r8 r9 r10 r11 r12 r13 r14 r15".split()
MASK = (1 << 64) - 1
# What a guest sees of each leaf of CPUID: these bits of EAX, EBX, ECX, EDX.
ALL = 0xffffffff
SHOWN = {0: (ALL,) * 4, 1: (ALL, 0xff00, 0x00c02000, 0x000aa97c), 0x80000000: (ALL,) * 4,
         0x80000001: (ALL, 0, 0, 0x24100000), 0x80000002: (ALL,) * 4, 0x80000004: (ALL,) * 4,
         0x80000008: (ALL, 0, 0, 0)}
HYPERVISOR = 1 << 31
SIGNATURE = 0x20534f4a
VMM_LEAVES, TSC_KHZ = 0x40000000, 0x40000010


def mbi(lab):
    return lab.variant.get("mbi", 0x6000)


def address_register(lab):
    return lab.variant.get("registers", {}).get("MBMAP", {}).get("address", "rbx")


def khz_register(lab):
    return "r" + lab.variant.get("khz", "eax")[1:]


def seed(lab):
    return int(lab.nonce[:12], 16)


def files(lab):
    vmcs, n = re.subn(r"(\{ VMCS_GUEST_EFER, )0 \}", r"\g<1>0x100 }",
                      (lab.scratch / "pristine/vmm/vmcs.c").read_text())
    assert n == 1, "vmm/vmcs.c of the handout isn't what the checks know"
    return {
        # Our guests get to 64-bit mode without WRMSR, and before lab 3 is done.
        "vmm/vmcs.c": vmcs,
        "inc/gradenonce.h": f'#define NONCE "{lab.nonce}"\n#define SEED {seed(lab):#x}UL\n'
                            f'#define MBI {mbi(lab):#x}\n',
    }


# --- runs

class Case:
    """What became of one guest."""

    def __init__(self, run, n, name, line):
        head, registers, exits, page = (part.split() for part in line.split("|"))
        self.run, self.n, self.name, self.state = run, n, name, head[0]
        self.done, self.vector = int(head[1]), int(head[2])
        self.stack = [int(word, 16) for word in head[3:5]]
        self.interrupts = int(head[5])
        self.out = dict(zip(REGISTERS, (int(word, 16) for word in registers)))
        self.exits = [tuple(int(x, 10 + 6 * (i == 2)) for i, x in enumerate(word.split(":"))) for word in exits]
        self.page = bytes.fromhex(page[0]) if page else b""

    def filling(self, register):
        """What the register held at the start."""
        v = (seed(self.run.lab) + self.n * 16 + REGISTERS.index(register) + 1) * 0x9e3779b97f4a7c15 & MASK
        return v ^ v >> 29

    def results(self, reason):
        """What the handler of this reason has said, exit by exit."""
        return [result for r, result, _ in self.exits if r == reason]

    def tells(self):
        """How it ended, in words."""
        last = (f"; its last exit: reason {self.exits[-1][0]} at rip {self.exits[-1][2]:#x}, which gave "
                f"{RESULTS.get(self.exits[-1][1], self.exits[-1][1])}" if self.exits else "; it had no exit")
        return f"guest “{self.name}” " + {
            "gone": "was ended" + last,
            "hangs": "came to no end within 250 ms" + last,
            "said": f"got exception {self.vector} at {self.stack[0]:#x}" if self.done == 2 else "came to its end",
        }[self.state]

    def ended_well(self):
        """It got to the end of its instructions, without an exception."""
        assert self.state == "said" and self.done == 1, self.tells()
        return self.out

    def faulted(self, vector):
        assert self.state == "said" and self.done == 2 and self.vector == vector, (
            f"{self.tells()}; exception {vector} is what it should have got")

    def was_ended(self, reason, result=END):
        after = self.run["after"]       # who ends every guest has ended none for a reason
        assert after.done == 1, f"{after.tells()}, and should have lived"
        assert self.state == "gone" and self.exits, self.tells()
        assert self.exits[-1][:2] == (reason, result), (
            f"{self.tells()}; reason {reason} with {RESULTS[result]} should have been the last")

    def is_kept(self, registers):
        """These registers have what they had before."""
        for register in registers:
            assert self.out[register] == self.filling(register), (
                f"guest “{self.name}”: {register} was {self.filling(register):#x} and is {self.out[register]:#x}")


class Run:
    """A run of a program with guests."""

    def __init__(self, lab, program):
        self.lab, self.trouble, self.exits, self.state = lab, "", None, None
        with Machine(lab, "bochs", run=program, trace=True, seconds=SECONDS) as m:
            try:
                m.expect(f"GRADE {lab.nonce} done ([0-9]+)\r\n")
                self.state = m.core()
                self.exits = m.exits()
            except AssertionError as why:
                self.trouble = str(why)
            m.close()
            self.output = m.output
        said = re.findall(rf"GRADE {lab.nonce} case (\S+): (.*)", self.output)
        self.cases = {}
        for n, (name, line) in enumerate(said):
            try:
                self.cases[name] = Case(self, n, name, line)
            except (ValueError, IndexError):    # the kernel has printed into the line
                self.trouble = self.trouble or f"what was said of guest “{name}” can't be read: {line[:200]}"
        self.native = {int(leaf, 16): tuple(int(x, 16) for x in words.split()) for leaf, words in
                       re.findall(rf"GRADE {lab.nonce} native (\w+): (.*)", self.output)}
        at = re.search(rf"GRADE {lab.nonce} page (\w+) code (\w+)", self.output)
        self.slot_16, self.slot_64 = (int(x, 16) for x in at.groups()) if at else (0, 0)

    def __getitem__(self, name):
        assert name in self.cases, f"guest “{name}” wasn't reached: {self.trouble}"
        return self.cases[name]

    def begin_with(self, begin):
        found = [case for name, case in self.cases.items() if name.startswith(begin)]
        assert found, f"no guest “{begin}…” was reached: {self.trouble}"
        return found

    def finished(self):
        assert not self.trouble, self.trouble


@pytest.fixture(scope="module")
def cpuid(lab):
    return Run(lab, "gradecpuid")


@pytest.fixture(scope="module")
def exits(lab):
    return Run(lab, "gradeexits")


@pytest.fixture(scope="module")
def ends(lab):
    return Run(lab, "gradeends")


@pytest.fixture(scope="module")
def vmm(lab):
    """vmm's own guest, which boots JOS."""
    with Machine(lab, "bochs", run="vmm", trace=True, seconds=SECONDS) as m:
        trouble = ""
        try:
            m.expect(r"user panic in fs at", panic=True)
        except AssertionError as why:
            trouble = str(why)
        return m.output, m.core(), trouble


# --- checks: dispatch

@check(points=5, chapter=24, section="25.1.2",
       help="The first exit of every guest of ours. Which handler does it belong to, and what becomes of what that one answers?")
def test_a_hypercall_is_answered(cpuid):
    for name in ("vmcall-none", "vmcall-real"):
        case = cpuid[name]
        out = case.ended_well()
        wanted = -7 & (MASK if name == "vmcall-none" else 0xffffffff)
        assert out["rax"] == wanted, f"hypercall 1000: RAX is {out['rax']:#x}, not -7"
        assert case.results(REASONS["vmcall"]) == [NEXT], (
            f"{case.tells()}; its VMCALLs gave {case.results(REASONS['vmcall'])}")
    cpuid["vmcall-none"].is_kept(["rbx", "rdx", *KEPT])


@check(points=3, chapter=25, section="25.1.3",
       help="A guest that waits for an interrupt goes on when it comes, behind its HLT.")
def test_hlt_waits_for_an_interrupt(exits):
    case = exits["hlt-wakes"]
    assert case.ended_well()["rcx"] == 77 and case.interrupts >= 1, (
        f"{case.tells()}; ECX {case.out['rcx']}, {case.interrupts} interrupts")


@check(points=3, chapter=21, section="25.1.3",
       help="With interrupts off nobody can wake a guest that halts. Its handler knows that.")
def test_hlt_with_interrupts_off_ends_the_guest(ends):
    ends["ends-hlt"].was_ended(REASONS["hlt"])


@check(points=3, chapter=24, section="25.1.3",
       help="An MSR that the guest doesn't have, a counter that it doesn't have: what does a real processor do then?")
def test_reads_of_registers_that_are_not_there_fault(exits):
    for name in ("rdmsr-3a", "rdmsr-none", "rdpmc"):
        exits[name].faulted(GP)


@check(points=4, chapter=24, section="25.1.3",
       help="One MSR may be written by way of an exit, within limits. It has a handler of its own.")
def test_wrmsr_of_efer(exits):
    out = exits["wrmsr-efer-nxe"].ended_well()
    assert out["rax"] == 0xd00, f"EFER was written with 0xd00 and reads {out['rax']:#x}"
    assert exits["wrmsr-efer-nxe"].results(REASONS["wrmsr"]) == [NEXT]
    for name in ("wrmsr-efer-sce", "wrmsr-3a"):
        exits[name].faulted(GP)


@check(points=5, chapter=24, section="25.1.3",
       help="The guest's CR0 and CR4 aren't the processor's: MOV, CLTS and LMSW of bits that we keep exit.")
def test_control_registers(exits):
    for name, register, value in (("cr0-write", "rcx", 0x6000003e), ("clts", "rcx", 0x10), ("lmsw", "rcx", 0x1e),
                                  ("cr8", "rcx", 0), ("cr0-both", "rcx", 0x80010019)):
        out = exits[name].ended_well()
        assert out[register] == value, f"{exits[name].tells()}: it read {out[register]:#x}, not {value:#x}"
    exits["cr4-vmxe"].faulted(GP)


@check(points=2, chapter=24, section="25.1.3", help="MOV DR has a reason of its own.")
def test_debug_registers(exits):
    out = exits["dr6"].ended_well()
    assert (out["rax"], out["rcx"]) == (0xffff0ff0, 0x400), f"DR6 {out['rax']:#x}, DR7 {out['rcx']:#x}"
    assert exits["dr0"].ended_well()["rax"] == 0, "a guest has no DR0"


@check(points=3, chapter=24, section="27.2.2",
       help="We see some exceptions only to stay in control. The guest has to get them.")
def test_exceptions_reach_the_guest(exits):
    for name in ("step", "icebp"):
        exits[name].faulted(DB)


@check(points=2, chapter=24, section="25.1.2", help="Two instructions on caches exit, and need nothing done.")
def test_cache_instructions_do_nothing(exits):
    for name in ("invd", "wbinvd"):
        assert exits[name].ended_well()["rcx"] == 77, exits[name].tells()


@check(points=6, chapter=24, section="25.1.2",
       help="What a virtual processor doesn't have is undefined to its guest: the instructions of VMX, and those that "
            "CPUID doesn't show.")
def test_what_the_guest_does_not_have_is_undefined(exits):
    cases = exits.begin_with("undefined-")
    assert len(cases) == 16, f"{len(cases)} of 16 guests were reached: {exits.trouble}"
    exiting = [case for case in cases if case.exits]
    for case in cases:
        case.faulted(UD)
    assert len(exiting) >= 11, f"only {len(exiting)} of them made an exit"


@check(points=4, chapter=24, section="25.1.3",
       help="Every IN and OUT of a guest exits; there is one handler for all ports.")
def test_ports(exits):
    for name, value in (("in-none", 0x11223344556677ff), ("inw-none", 0x112233445566ffff), ("in-lsr", 0x60),
                        ("cmos", 0x80)):
        out = exits[name].ended_well()
        assert out["rax"] == value, f"guest “{name}” read {out['rax']:#x}, not {value:#x}"
    exits["outs"].faulted(GP)


@check(points=4, chapter=24, section="28.2.3",
       help="Memory that the guest has and hasn't touched yet; memory that it doesn't have; memory that it mayn't "
            "write to. One reason, one handler.")
def test_memory(exits, ends):
    out = exits["memory-there"].ended_well()
    assert (out["rax"], out["rcx"]) == (0, 0x77), f"fresh memory read {out['rax']:#x}, then {out['rcx']:#x}, not 77H"
    assert AGAIN in exits["memory-there"].results(REASONS["ept"]), "it made no EPT violation"
    for name in ("ends-beyond", "ends-no-right"):
        ends[name].was_ended(REASONS["ept"])


@check(points=3, chapter=24, section="25.2",
       help="A triple fault, and power off: the guest is at its end, and says so.")
def test_triple_fault_and_power_off_end_the_guest(ends):
    ends["ends-triple"].was_ended(REASONS["triple fault"])
    ends["ends-off"].was_ended(REASONS["io"])


@check(points=4, chapter=25, section="25.2",
       help="Two reasons come by the clock: there is nothing to do but to go on.")
def test_the_clock_only_stops_the_guest_for_a_moment(exits):
    for name in ("timer", "window"):
        case = exits[name]
        case.ended_well()
    out = exits["timer"].out
    assert (out["rsi"], out["rcx"], out["rdx"]) == (3000000, 0, 77), (
        f"a loop that counts ESI to 3000000 and ECX to 0 ended with {out['rsi']} and {out['rcx']}")
    assert exits["window"].interrupts >= 1, (
        f"the guest with interrupts off for a while got {exits['window'].interrupts} interrupts afterwards")


@check(points=4, chapter=24, section="25.2",
       help="A reason that no handler is for ends this guest with a report, and nothing else.")
def test_an_unknown_exit_ends_this_guest_alone(ends):
    ends["ends-task"].was_ended(REASONS["task switch"], UNHANDLED)
    out = ends["after"].ended_well()
    assert out["rcx"] == 77, "the next guest had no answer to its hypercall"
    ends.finished()
    unhandled = [case.name for case in ends.cases.values() if UNHANDLED in [result for _, result, _ in case.exits]]
    assert unhandled == ["ends-task"], f"these guests had an exit that was unhandled: {', '.join(unhandled)}"


# --- checks: handle_cpuid

@check(points=6, chapter=24, section="25.1.2",
       help="cpuid_leaf() says which bits of which register a guest sees; the rest of them is the real processor's.")
def test_cpuid_shows_the_leaves_of_the_table(cpuid):
    for leaf, masks in SHOWN.items():
        case = cpuid[f"cpuid-{leaf:#x}"]
        out = case.ended_well()
        wanted = [native & mask for native, mask in zip(cpuid.native[leaf], masks)]
        if leaf == 1:
            wanted[2] |= HYPERVISOR
        got = [out[register] for register in ("rax", "rbx", "rcx", "rdx")]
        assert [g & ALL for g in got] == wanted, (
            f"leaf {leaf:x}: EAX, EBX, ECX, EDX are {', '.join(f'{g & ALL:08x}' for g in got)}, not "
            f"{', '.join(f'{w:08x}' for w in wanted)}")


@check(points=6, chapter=24, section="23.6",
       help="One bit tells of VMX; it must not be seen. Another one tells of a hypervisor, and must be.")
def test_cpuid_hides_vmx_and_shows_a_hypervisor(cpuid):
    assert cpuid.native[1][2] >> 5 & 1, "the machine has no VMX"
    for name in ("cpuid-0x1", "cpuid-real"):
        case = cpuid[name]
        ecx = case.ended_well()["rcx"] & ALL
        assert not ecx >> 5 & 1, f"{name}: ECX {ecx:08x}: bit 5, VMX, is 1"
        assert ecx >> 31, f"{name}: ECX {ecx:08x}: bit 31, a hypervisor, is 0"
    out = cpuid["cpuid-0x0"].ended_well()
    assert out["rax"] == cpuid.native[0][0], f"leaf 0 says that {out['rax']:#x} is the last, not {cpuid.native[0][0]:#x}"


@check(points=3, chapter=24, section="25.1.2",
       help="A leaf that the table doesn't have, though the real processor may have it.")
def test_cpuid_of_other_leaves_is_zero(cpuid):
    for leaf in (0x2, 0x4, 0x7, 0xb, 0xd, 0x80000007, 0x12345678, 0x40000001):
        out = cpuid[f"cpuid-{leaf:#x}"].ended_well()
        got = [out[register] for register in ("rax", "rbx", "rcx", "rdx")]
        assert got == [0] * 4, f"leaf {leaf:x}: {', '.join(map(hex, got))}, not zeros"


@check(points=3, chapter=24, section="25.1.2",
       help="Two leaves are ours: who we are, and how fast the clock is. inc/vmx.h says in which registers.")
def test_cpuid_has_leaves_of_our_own(lab, cpuid):
    out = cpuid[f"cpuid-{VMM_LEAVES:#x}"].ended_well()
    got = [out[register] for register in ("rax", "rbx", "rcx", "rdx")]
    assert got == [TSC_KHZ] + [SIGNATURE] * 3, f"leaf {VMM_LEAVES:x}: {', '.join(map(hex, got))}"
    cpuid.finished()
    rate = cpuid.state.value("tsc_per_msec")
    out = cpuid[f"cpuid-{TSC_KHZ:#x}"].ended_well()
    got = {register: out[register] for register in ("rax", "rbx", "rcx", "rdx")}
    wanted = {register: rate if register == khz_register(lab) else 0 for register in got}
    assert got == wanted, f"leaf {TSC_KHZ:x}: {got}, not {wanted}"


@check(points=4, chapter=24, section="25.1.2",
       help="CPUID has an answer of 32 bits in each of four registers. What is above them, and which registers are "
            "none of its business?")
def test_cpuid_clears_upper_halves_and_nothing_else(cpuid):
    cases = [case for name, case in cpuid.cases.items() if name.startswith("cpuid-0x")]
    assert len(cases) == 17, f"{len(cases)} of 17 guests were reached: {cpuid.trouble}"
    for case in cases:
        out = case.ended_well()
        for register in ("rax", "rbx", "rcx", "rdx"):
            assert out[register] >> 32 == 0, f"{case.name}: {register} is {out[register]:#x}"
        case.is_kept(KEPT)
        assert case.results(REASONS["cpuid"]) == [NEXT], f"{case.tells()}; {case.results(REASONS['cpuid'])}"
    case = cpuid["cpuid-prefix"]
    case.ended_well()
    assert cpuid["cpuid-twice"].ended_well()["r8"] == cpuid["cpuid-twice"].out["rcx"], "twice the same leaf differs"


# --- checks: the memory map

def map_of(lab, page, where=0):
    """The memory map in a page of boot information: [(base, end, type)]."""
    flags, = struct.unpack_from("<I", page)
    length, address = struct.unpack_from("<II", page, 44)
    assert flags & 1 << 6, f"flags are {flags:#x}: mmap_* aren't said to be valid"
    start = address - mbi(lab)
    assert 52 <= start <= start + length <= 192 and 0 < length, (
        f"mmap_addr is {address:#x}, mmap_length {length}: it should follow the struct at {mbi(lab):#x}")
    entries, at = [], start
    while at < start + length:
        size, base, n, kind = struct.unpack_from("<IQQI", page, at)
        assert size >= 20, f"an entry's size is {size}"
        entries.append((base, base + n, kind))
        at += size + 4
    assert at == start + length, f"mmap_length is {length}, and the entries have {at - start} bytes"
    return entries


def usable(entries):
    return sorted((base, end) for base, end, kind in entries if kind == 1 and end > base)


def right_map(lab, case, size):
    case.ended_well()
    assert case.page, f"guest “{case.name}”: nothing was written to its page at {mbi(lab):#x}"
    entries = map_of(lab, case.page)
    wanted = [(0, min(size, 0xa0000))] + ([(0x100000, size)] if size > 0x100000 else [])
    assert usable(entries) == wanted, (
        f"a guest with {size >> 10} KiB: usable are {', '.join(f'{b:#x}-{e:#x}' for b, e in usable(entries))}; "
        f"{', '.join(f'{b:#x}-{e:#x}' for b, e in wanted)} should be")
    return entries


@check(points=7, chapter=23, section=None,
       help="The guest may use its memory below 640 KiB and from 1 MiB on. Each entry has a base and a length, and "
            "the size of an entry doesn't count itself.")
def test_the_memory_map_is_right(lab, cpuid):
    for name, pages in (("mbmap", 32), ("mbmap-real", 64), ("mbmap-16M", 4096)):
        entries = right_map(lab, cpuid[name], pages << 12)
    hole = [entry for entry in entries if entry[2] == 2]
    assert hole == [(0xa0000, 0x100000, 2)], f"what is between is to be reserved; reserved are {hole}"


@check(points=3, chapter=23, section=None,
       help="The call has two results: whether it worked, and where the information is. Other registers keep what they have.")
def test_the_call_for_the_map_answers_in_its_registers(lab, cpuid):
    for name in ("mbmap", "mbmap-16M"):
        out = cpuid[name].ended_well()
        assert out["rax"] == 0, f"RAX is {out['rax']:#x}, not 0"
        register = address_register(lab)
        # Real mode has half of it.
        assert out[register] == mbi(lab), f"{register} is {out[register]:#x}, not {mbi(lab):#x}"
    cpuid["mbmap"].is_kept([r for r in ("rbx", "rdx", *KEPT) if r != address_register(lab)])


@check(points=4, chapter=23, section="28.2.2",
       help="The page has to be the guest's, and the guest must be allowed to write to it: what it can't do, we don't do "
            "for it.")
def test_the_map_is_not_written_where_the_guest_may_not(cpuid):
    case = cpuid["mbmap-read-only"]
    out = case.ended_well()
    assert out["rax"] == -3 & MASK, f"the page is read-only: RAX is {out['rax']:#x}, not -3"
    case.is_kept(["rbx", "rdx", *KEPT])


@check(points=3, chapter=23, section=None,
       help="A guest's page comes when it is first needed. There is a function that makes sure of it.")
def test_the_map_is_written_to_a_page_that_was_not_there(cpuid):
    out = cpuid["mbmap-not-there"].ended_well()
    assert out["rax"] == 0, f"RAX is {out['rax']:#x}, not 0"
    assert out["r8"] & 1 << 6 and out["r9"] > 0, (
        f"the guest reads flags {out['r8'] & ALL:#x} and mmap_length {out['r9']}")


# --- checks: all of it

@check(points=6, chapter=24, section="25.2",
       help="vmm's guest boots until it wants its disk. Each exit is answered once: the kernel's own record and that of "
            "Bochs say the same.")
def test_jos_boots_until_it_wants_its_disk(lab, vmm, cpuid):
    output, state, trouble = vmm
    assert not trouble, trouble
    answers = state.ask(
        "[[int(e['env_vmxinfo']['phys_sz']), int(e['env_vmxinfo']['ept']), int(g['log']['by_reason'][10]),"
        " int(g['log']['by_reason'][18]), int(g['log']['by_reason'][30])] for e, g in guests]",
        "guests = []\n"
        "for i in range(1024):\n"
        "    e = gdb.parse_and_eval('envs[%d]' % i)\n"
        "    if int(e['env_status']) and int(e['env_type']) == 3:\n"
        "        guests.append((e, e['env_vmxinfo']['guest'].dereference()))\n")
    assert answers, "vmm's guest is no more"
    size, ept, cpuids, vmcalls, ios = answers[0]
    assert cpuids >= 3 and vmcalls >= 2, f"it made {cpuids} CPUID and {vmcalls} VMCALL exits"
    symbols = dict(line.split()[::-2] for line in subprocess.run(
        ["nm", lab.tree / "obj/guest/kern/kernel-icode"], capture_output=True, text=True, check=True
    ).stdout.splitlines() if len(line.split()) == 3)
    # Through the extended page tables, to what the guest's kernel has learnt.
    pages, rate, mine = state.ask(
        f"[word({symbols['npages']!r}), word({symbols['tsc_per_msec']!r}), c('tsc_per_msec')]",
        "def at(table, i):\n"
        "    return int.from_bytes(gdb.selected_inferior().read_memory(\n"
        "        (table & 0xffffffffff000) + 0x8004000000 + 8 * i, 8).tobytes(), 'little')\n"
        "def word(symbol):\n"
        f"    gpa, table = int(symbol, 16) - 0x8004000000, {ept} - 0x8004000000\n"
        "    for level in (39, 30, 21, 12):\n"
        "        table = at(table, gpa >> level & 511)\n"
        "    return at(table, (gpa & 0xfff) // 8)\n")
    assert pages == size >> 12, f"the guest's kernel believes that its memory ends at page {pages}, not {size >> 12}"
    assert rate == mine, f"the guest's kernel believes that its clock has {rate} kHz, not {mine}"
    cpuid.finished()
    noted = [e[0] for case in cpuid.cases.values() for e in case.exits]
    seen = [e.reason for e in cpuid.exits if e.reason not in BY_THE_CLOCK]
    assert noted == seen, f"the kernel has noted {len(noted)} exits of the guests before, and Bochs {len(seen)}"
