"""The VMCS: chapter 19.

The table of fields is checked against the rule of their encodings.  The rest
looks at the VMCS of a guest that doesn't run, as the monitor's vmcs shows it,
on several models of processors in Bochs.
"""
import re

import pytest

from emulator import Machine
from trees import ROOT, planted, tree

HEADER = (ROOT / "inc" / "vmcs.h").read_text().replace("\\\n", " ")
WIDTHS = {"W16": 0, "W64": 1, "W32": 2, "NATURAL": 3}
TYPES = {"CONTROL": 0, "READ_ONLY": 1, "GUEST_STATE": 2, "HOST_STATE": 3}
LIST = re.compile(r"#define (\w+)\(X\)\s(.*)")
ROW = re.compile(r'X\((\w+),\s*(\w+),\s*"([^"]+)"\)')
# Those with EPT and unrestricted guest.
MODELS = ["corei5_arrandale_m520", "corei7_sandy_bridge_2600k",
          "corei7_haswell_4770", "corei7_skylake_x", "tigerlake"]


def lists():
    """{name of a list: [(name, number, text), ...]}"""
    found = {name: [(n, int(number, 0), text)
                    for n, number, text in ROW.findall(rows)]
             for name, rows in LIST.findall(HEADER)}
    return {name: rows for name, rows in found.items() if rows}


def field_lists():
    return {name: rows for name, rows in lists().items()
            if re.match(r"VMCS_(W\d\d|NATURAL)_", name)}


def fields():
    return [row for rows in field_lists().values() for row in rows]


def test_each_encoding_says_what_the_field_is():
    for name, rows in field_lists().items():
        width, kind = re.match(r"VMCS_(W\d\d|NATURAL)_(\w+)", name).groups()
        for field, number, _ in rows:
            assert number >> 13 == WIDTHS[width], field
            assert number >> 10 & 3 == TYPES[kind], field
            assert not number & 0x1001, field


def test_fields_are_complete_and_in_order():
    numbers = [number for _, number, _ in fields()]
    assert len(numbers) == 155
    assert numbers == sorted(set(numbers))
    for column in (0, 2):
        assert len({row[column] for row in fields()}) == 155
    listed = re.search(r"#define VMCS_FIELDS\(X\)(.*)", HEADER)[1]
    assert re.findall(r"(\w+)\(X\)", listed) == list(field_lists())


def test_reasons_and_errors_are_unique():
    for name, highest, gaps in ("EXIT_REASONS", 79, {35, 38, 42, 71}), (
            "VMX_ERRORS", 28, {0, 14, 21, 27}):
        numbers = [number for _, number, _ in lists()[name]]
        assert numbers == sorted(set(range(highest + 1)) - gaps)


def show(machine, begin=""):
    """{name: value} of the fields that vmcs shows."""
    text = machine.command(f"vmcs 0 {begin}", "K> ")
    return {name.strip(): int(value, 16) for name, value in
            re.findall(r"^[0-9a-f]{4} (.{32}) ([0-9a-f]+)\s*$", text, re.M)}


def bochs(folder, model="corei7_haswell_4770", cpus=1):
    return Machine(folder, "run-vmcs-bochs", cpus=cpus, timeout=90,
                   BOCHSOPTS=f"--cpu {model}")


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_controls_on_several_processors(model):
    with bochs(tree("upto-19"), model) as machine:
        machine.expect("K> ")
        # external interrupts, NMIs
        assert ~show(machine, "pin")["pin-based controls"] & 0x9 == 0
        primary = show(machine, "primary")["primary controls"]
        # HLT, MWAIT, RDPMC, CR8, MOV DR, bitmaps, MONITOR, secondary
        assert ~primary & 0xb2980c80 == 0
        assert primary & 0x18000 == 0               # CR3
        # EPT, WBINVD, unrestricted; not RDTSCP, INVPCID, XSAVES
        secondary = show(machine, "secondary")["secondary controls"]
        assert secondary & 0x1010ca == 0xc2
        # debug, 64 bits, acknowledge, PAT, EFER
        controls = show(machine, "exit")
        assert ~controls["exit controls"] & 0x3c8204 == 0
        controls = show(machine, "entry")
        assert controls["entry controls"] & 0xc204 == 0xc004


@pytest.mark.slow
def test_all_that_was_written_is_read_back():
    with bochs(tree("upto-19")) as machine:
        machine.expect("K> ")
        seen = show(machine)
        again = show(machine)
    assert seen == again
    assert seen["guest CR0"] & 0xe0000021 == 0x20 and seen["guest CR0"] & 4
    assert seen["guest CR4"] == 0x2000
    assert seen["CR0 guest/host mask"] == 0x6000002e
    assert seen["CR4 guest/host mask"] == 2**64 - 1 - 0xb0
    assert seen["CR4 read shadow"] == 0
    assert seen["VMCS link pointer"] == 2**64 - 1
    assert seen["guest RIP"] == 0x7000 and seen["guest RFLAGS"] == 2
    assert seen["guest TR access rights"] == 0x8b
    assert seen["guest LDTR access rights"] == 0x10000
    assert seen["exception bitmap"] & ~0x20002 == 0
    for segment in "ES", "CS", "SS", "DS", "FS", "GS", "TR":
        selector = seen[f"host {segment} selector"]
        assert selector & 7 == 0 and selector != 0
    pages = [seen[f"{name} address"] for name in
             ("I/O bitmap A", "I/O bitmap B", "MSR bitmap")]
    assert len(set(pages)) == 3 and not any(p % 4096 for p in pages)
    assert seen["exit MSR-store address"] == seen["entry MSR-load address"]
    assert seen["exit MSR-store count"] == seen["exit MSR-load count"] == 1


@pytest.mark.slow
def test_no_page_is_lost():
    with Machine(tree("upto-19"), "bochs", timeout=90) as machine:
        free = []
        machine.expect(r"\$ ")
        for guests in 4, 4, 40:
            machine.command(f"vmxon {guests}")
            machine.send("breakpoint\r")
            machine.expect("K> ")
            free.append(re.search(r"pages: (\d+) free",
                                  machine.command("pages", "K> "))[1])
            machine.send("continue\r")
            machine.expect(r"\$ ")
    assert len(set(free)) == 1


MISTAKES = {
    "unknown field": (
        r"\tvmcs_set_segments\(\);", r"\g<0> vmcs_write(0x482c, 7);",
        r"vmx: VMWRITE of unknown \(0x482c\), 7: error 12, no such VMCS field"),
    "control that isn't there": (
        r"(pin_rows\[\] = \{)", r'\1 { 1 << 9, ON, "something new" },',
        r'vmx: CPU 0 can\'t turn "something new" on'),
    "the MSRs that don't tell the truth": (
        r"msr \+= VMX_TRUE_OFFSET", r"msr += 0",
        r'vmx: CPU 0 can\'t turn "CR3-load exiting" off'),
    "wrong revision": (
        r"= VMX_BASIC_REVISION", r"= 1 + VMX_BASIC_REVISION",
        r"vmx: VMPTRLD of [0-9a-f]+: no VMCS is current"),
}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_failures_are_named_and_only_the_guest_ends(mistake, tmp_path):
    pattern, change, message = MISTAKES[mistake]
    folder = planted(tree("upto-19"), tmp_path,
                     ("vmm/vmcs.c", pattern, change), count=1,
                     targets=["-s", "obj/kern/kernel-vmxon.img"])
    with Machine(folder, "run-vmxon-bochs", timeout=90) as machine:
        for _ in range(4):
            machine.expect(message)
            machine.expect("guest [0-9a-f]{8}: its VMCS can't be written")
        machine.expect("vmxon: 4 guests came and went")
