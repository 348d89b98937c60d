"""Lab 1: finding VMX, and turning it on.

Two programs of ours run. gradeland makes guests and lets them land on
processors; the kernel notes what the processor is like at that moment, and the
guest goes no further. grademodels has vmx_check_support() and vmx_check_ept()
look at processors that are made up: rdmsr(), wrmsr() and cpuid() of inc/x86.h
answer for them, and note what was asked. What a check believes is what these
notes, the machine's memory and Bochs's own record of MSR accesses say.
"""
import json
import pathlib
import re
import struct

import pytest

from machine import Machine
from plugin import check

FIRMWARE = pathlib.Path("/usr/share/bochs/BIOS-bochs-latest")
HASWELL = "corei7_haswell_4770"
SECONDS = 8             # of processor time for one machine; a right one needs 3
CR4_VMXE = 1 << 13
LOCK, VMXON = 1, 4      # of IA32_FEATURE_CONTROL


# --- what is added to the tree

PATCHES = {
    "inc/x86.h": [
        (r"(static inline void\ncpuid\(.*?\n\{\n.*?\n\n)",
         "bool grade_cpuid(uint32_t leaf, uint32_t *a, uint32_t *b, uint32_t *c,\n"
         "    uint32_t *d) __attribute__((weak));\n"
         "bool grade_rdmsr(uint32_t msr, uint64_t *v) __attribute__((weak));\n"
         "bool grade_wrmsr(uint32_t msr, uint64_t v) __attribute__((weak));\n\n"
         r"\1	if (!grade_cpuid || !grade_cpuid(leaf, &ra, &rb, &rc, &rd))" "\n"),
        (r"(\nrdmsr\(uint32_t msr\)\n\{\n)",
         r"\1	uint64_t made_up;" "\n\n"
         "	if (grade_rdmsr && grade_rdmsr(msr, &made_up))\n		return made_up;\n"),
        (r"(\nwrmsr\(uint32_t msr, uint64_t v\)\n\{\n)",
         r"\1	if (grade_wrmsr && grade_wrmsr(msr, v))" "\n		return;\n"),
    ],
    "vmm/vmcs.c": [
        (r"(\nint\nvmcs_load\(struct Env \*e\)\n\{\n)",
         "\nint grade_landed(struct Env *e);\n"
         r"\1	int landed = grade_landed(e);" "\n\n	if (landed < 0)\n		return landed;\n"),
    ],
    "vmm/guest.c": [
        (r"(\nint\nguest_create\(.*?\n\{\n)",
         "\nbool grade_asked(int *r, uint64_t order, uint64_t argument);\n"
         r"\1	int done;" "\n\n	if (grade_asked(&done, memsz, rip))\n		return done;\n"),
    ],
}


def patched(lab, name):
    text = (lab.scratch / "pristine" / name).read_text()
    for old, new in PATCHES[name]:
        text, n = re.subn(old, new, text, count=1, flags=re.S)
        assert n == 1, f"{name} of the handout isn't what the checks know"
    return text


def model(name, vmx=True, svm=False, control=LOCK | VMXON, taken=0xffff, set=0, secondary=True,
          ept=True, vpid=True, unrestricted=True, walk4=True, wb=True, more=0, monitor=False):
    """A made-up processor.  taken: which bits of IA32_FEATURE_CONTROL a write
    can change; set: which it sets in any case; more: other bits of the
    capabilities, which mean nothing to us."""
    last = 0x80000008 if svm or more & 1 else 0x80000000
    return {
        "name": name, "vmx": vmx, "control": control, "taken": taken, "set": set,
        "secondary": secondary, "monitor": monitor,
        "leaf_1_ecx": (0x1 | more << 12 & 0x7ff80000) & ~0x20 | vmx << 5, "last_ext": last,
        "ext_ecx": svm << 2 | 1, "basic": 0x00d81000_0000002b,
        "procbased": 0x77f9fffe_0401e172 | secondary << 63 | (0 if secondary else 1 << 31),
        "procbased2": (ept << 1 | vpid << 5 | unrestricted << 7 | more << 8 & 0x47f00 | 0x41) << 32,
        "ept_cap": (walk4 << 6 | wb << 14 | 0x06130101 | more << 32 & 0xf01_00000000) & ~(1 << 14 | 1 << 6)
        | walk4 << 6 | wb << 14,
    }


def codes(lab):
    """The value that is returned when, by condition."""
    variant = lab.variant
    errors = variant.get("errors", {"E_NO_VMX": 17, "E_NO_EPT": 18})
    when = {"no-vmx": "E_NO_VMX", "locked": "E_NO_VMX", "no-ept": "E_NO_EPT", "weak-ept": "E_NO_EPT",
            **variant.get("conditions", {})}
    return {0: 0, **{name: -errors[error] for name, error in when.items() if error in errors}}


def asked(m):
    """What the two functions should answer of a made-up processor: the
    condition of each, or None where it isn't asked; and IA32_FEATURE_CONTROL
    afterwards."""
    if not m["vmx"]:
        return "no-vmx", None, m["control"]
    control = m["control"]
    if not control & LOCK:
        wanted = control | LOCK | VMXON
        control = control & ~m["taken"] | wanted & m["taken"] | m["set"]
    if control & (LOCK | VMXON) != LOCK | VMXON:
        return "locked", None, control
    secondary = m["procbased2"] >> 32 if m["secondary"] else 0
    if not secondary & 0x2:
        return 0, "no-ept", control
    return 0, 0 if secondary & 0x80 and m["ept_cap"] & 0x4040 == 0x4040 else "weak-ept", control


def initialiser(m):
    return ("{ .leaf_1_ecx = %#x, .last_ext = %#x, .ext_ecx = %#x, .feature_control = %#x,\n"
            "  .taken = %#x, .set = %#x, .basic = %#xUL, .procbased = %#xUL, .procbased2 = %#xUL,\n"
            "  .ept_cap = %#xUL, .monitor = %d },\n" % (
                m["leaf_1_ecx"], m["last_ext"], m["ext_ecx"], m["control"], m["taken"], m["set"],
                m["basic"], m["procbased"], m["procbased2"], m["ept_cap"], m["monitor"]))


MODELS = [
    model("all of it"),
    model("no VMX", vmx=False),
    model("SVM in place of VMX", vmx=False, svm=True),
    model("VMX locked off", control=LOCK),
    model("VMX allowed inside SMX only, locked", control=LOCK | 2),
    model("FEATURE_CONTROL open", control=0),
    model("FEATURE_CONTROL open, a write is ignored", control=0, taken=0),
    model("FEATURE_CONTROL open, a write only locks it", control=0, taken=LOCK),
    model("no secondary controls", secondary=False),
    model("no EPT, no VPID", ept=False, vpid=False),
    model("VPID without EPT", ept=False),
    model("EPT without VPID", vpid=False),
    model("no unrestricted guest", unrestricted=False),
    model("EPT without 4 levels", walk4=False),
    model("EPT without write-back", wb=False),
    # for the monitor's command
    model("all of it, in the monitor", monitor=True),
    model("other EPT capabilities, in the monitor", walk4=False, wb=False, monitor=True),
    model("no unrestricted guest, in the monitor", unrestricted=False, monitor=True),
    model("no secondary controls, in the monitor", secondary=False, monitor=True),
    model("no EPT, no VPID, in the monitor", ept=False, vpid=False, monitor=True),
]


def files(lab):
    """What differs from run to run, by path."""
    return {
        **{name: patched(lab, name) for name in PATCHES},
        "inc/gradenonce.h": f'#define NONCE "{lab.nonce}"\n',
        "inc/grademodels.h": "".join(map(initialiser, MODELS)),
    }


# --- runs

class Run:
    """A program's run: what it has said with the nonce, the notes in the
    kernel's memory, the MSRs that Bochs has seen read and written."""

    def __init__(self, lab, program, trace=True, **machine):
        self.lab, self.trouble, self.state, self.msrs = lab, "", None, []
        self.what = machine.get("cpu") or machine.get("bios") or HASWELL
        with Machine(lab, "bochs", run=program, trace=trace, seconds=SECONDS, **machine) as m:
            try:
                m.expect(f"GRADE {lab.nonce} done (-?[0-9]+)\r\n")
                self.state = m.core()
            except AssertionError as why:
                self.trouble = str(why)
            m.close()
            self.output = m.output
            if self.state and trace:
                self.msrs = [(x[1], x[2], int(x[4], 16), int(x[3].replace(":", ""), 16))
                             for x in map(MSR.search, m.trace()) if x]

    def lines(self, pattern):
        """Matches of what the program has said."""
        return re.findall(rf"GRADE {self.lab.nonce} {pattern}", self.output)

    def finished(self):
        assert not self.trouble, f"on {self.what}: {self.trouble}"

    def guests(self):
        """What sys_env_mkguest() has returned."""
        found = self.lines(r"guest \d+ (-?\d+)")
        assert found, f"on {self.what}: {self.trouble or 'the program has made no guest'}"
        return list(map(int, found))

    def notes(self, name):
        """The kernel's notes of landings or probes, dictionaries."""
        self.finished()
        fields = "number cpu cr0 cr4 root vmxons region revision wanted feature_control stored"
        return [dict(zip(fields.split(), row)) for row in self.state.ask(
            f"[[int(gdb.parse_and_eval('grade_%s[%d].%s' % ('{name}', i, f))) for f in '{fields}'.split()]"
            f" for i in range(c('grade_n{name}'))]")]

    def kernel_msrs(self, kind, msr):
        """[(cpu, value)] of the reads or writes of an MSR that the kernel made:
        those of the firmware come before the kernel is in 64-bit mode."""
        efer = [n for n, x in enumerate(self.msrs) if x[1] == "WRMSR" and x[2] == 0xc0000080]
        assert efer, "Bochs has seen no kernel"
        return [(cpu, value) for cpu, k, number, value in self.msrs[efer[0]:]
                if k == kind and number == msr]

    def cr4(self):
        """CR4 of each processor, as Bochs has it in the end."""
        with open(self.state.core, "rb") as core:
            head = core.read(64 + 56)
            offset, _, _, size = struct.unpack_from("<4Q", head, 64 + 8)
            core.seek(offset)
            notes = core.read(size)
        start = notes.index(b"JOS\0") + 4
        facts, _ = json.JSONDecoder().raw_decode(notes[start:].decode(errors="replace"))
        return [cpu["cr4"] for cpu in facts["cpus"]]


MSR = re.compile(r"\[CPU(\d+) *\] (RDMSR|WRMSR): \w+ ([0-9a-f]+:[0-9a-f]+) \w+ MSR ([0-9a-f]+)")


def firmware(folder, value, others_only=False):
    """A copy of Bochs's firmware that leaves this value, in place of 5, in
    IA32_FEATURE_CONTROL of all processors, or of all but the first, for which
    it has 16-bit code. None if it isn't the firmware that we know."""
    prefix = b"\x66" if others_only else b"\x66?"
    code = FIRMWARE.read_bytes() if FIRMWARE.exists() else b""
    code, n = re.subn(b"(\x0f\x32" + prefix + b"\x83\xc8)\x05(\x0f\x30)",
                      lambda m: m[1] + bytes([value]) + m[2], code)
    if n != 2 - others_only:
        return None
    path = folder / f"BIOS-{value}-{others_only}"
    path.write_bytes(code)
    return path


class Models:
    """What the two functions have said of made-up processors."""

    def __init__(self, run, models):
        self.run, self.models = run, models

    def result(self, name):
        n, m = next((n, m) for n, m in enumerate(self.models) if m["name"] == name)
        said = self.run.lines(rf"result {n}: (.*)")
        assert said, f"processor “{name}”: {self.run.trouble}"
        fields = said[0].split()
        text = re.search(rf"GRADE {self.run.lab.nonce} model {n}\n(.*?)\nGRADE", self.run.output, re.S)
        return m, {
            "support": int(fields[0]), "ept": int(fields[1]), "control": int(fields[2], 16),
            "bad_reads": int(fields[3]), "bad_read": fields[4],
            "bad_writes": int(fields[5]), "bad_write": fields[6],
            "48b": int(fields[7]), "48c": int(fields[8]), "reads": int(fields[9]),
            "text": text[1] if text else ""}

    def answers(self, name):
        """The functions' answers must be those that this processor calls for."""
        m, got = self.result(name)
        support, ept, control = asked(m)
        errors = codes(self.run.lab)
        assert got["support"] == errors[support], (
            f"processor “{name}”: vmx_check_support() returned {got['support']}, not "
            f"{errors[support]}; CPUID.1:ECX {m['leaf_1_ecx']:#x}, IA32_FEATURE_CONTROL "
            f"{m['control']:#x} before and {got['control']:#x} after")
        assert got["control"] == control, (
            f"processor “{name}”: IA32_FEATURE_CONTROL was {m['control']:#x} and is "
            f"{got['control']:#x}, not {control:#x}")
        if ept is not None:
            assert got["ept"] == errors[ept], (
                f"processor “{name}”: vmx_check_ept() returned {got['ept']}, not {errors[ept]}; "
                f"MSR 482H {m['procbased']:016x}, 48BH {m['procbased2']:016x}, 48CH {m['ept_cap']:016x}")

    def touches_what_exists(self, name):
        m, got = self.result(name)
        for kind in ("read", "write"):
            assert got[f"bad_{kind}s"] == 0, (
                f"processor “{name}”: a {kind} of MSR {got['bad_' + kind]}H, which is a general "
                f"protection fault on it ({got[f'bad_{kind}s']} of them)")


@pytest.fixture(scope="module")
def haswell(lab):
    return Run(lab, "gradeland")


@pytest.fixture(scope="module")
def two(lab):
    return Run(lab, "gradeland", cpus=2)


@pytest.fixture(scope="module")
def models(lab):
    return Models(Run(lab, "grademodels", trace=False), MODELS)


def refused(lab, haswell, condition, **machine):
    """A processor on which making a guest must fail, for this reason. The
    same answer on a processor that has it all is no answer."""
    assert haswell.guests()[0] > 0, (
        f"the same answer, {haswell.guests()[0]}, on {HASWELL}, which has everything")
    run = Run(lab, "gradeland", **machine)
    made = run.guests()[0]
    assert made == codes(lab)[condition], (
        f"on {run.what} sys_env_mkguest() returned {made}, not {codes(lab)[condition]}")
    run.finished()
    return run


# --- checks: vmx_check_support

@check(points=6, chapter=17, section="23.6",
       help="A processor that has VMX and EPT, on which the firmware has said yes: neither check has "
            "anything against it.")
def test_a_processor_with_everything_may_have_guests(haswell, models):
    made = haswell.guests()
    assert made[0] > 0, f"on {HASWELL} sys_env_mkguest() returned {made[0]}"
    assert haswell.kernel_msrs("RDMSR", 0x3a) or haswell.trouble, (
        "Bochs has seen no read of IA32_FEATURE_CONTROL (3AH): the firmware's word counts")
    models.answers("all of it")
    models.answers("EPT without VPID")


@check(points=6, chapter=17, section="23.6",
       help="One bit of CPUID leaf 1 says whether there is VMX. Which register is it in? What may not be "
            "read before that bit was seen?")
def test_a_processor_without_vmx_is_refused(lab, haswell):
    run = refused(lab, haswell, "no-vmx", cpu="p4_prescott_celeron_336")
    assert not run.kernel_msrs("RDMSR", 0x3a), "it has no IA32_FEATURE_CONTROL (3AH), and it was read"


@check(points=4, chapter=17, section="23.6",
       help="AMD's SVM isn't VMX, and AMD's processors have none of VMX's registers.")
def test_a_processor_with_svm_is_refused(lab, haswell):
    refused(lab, haswell, "no-vmx", cpu="ryzen")


@check(points=8, chapter=17, section="23.7",
       help="The firmware has said nothing: both bits are for the kernel to set, and then nobody can change "
            "the register any more.")
def test_an_open_feature_control_is_set_and_locked(lab, models):
    run = Run(lab, "gradeland", bios="BIOS-bochs-legacy")
    made = run.guests()[0]
    assert made > 0, f"IA32_FEATURE_CONTROL was 0 at boot: sys_env_mkguest() returned {made}"
    writes = run.kernel_msrs("WRMSR", 0x3a)
    assert writes == [(writes[0][0], LOCK | VMXON)] if writes else False, (
        f"IA32_FEATURE_CONTROL was 0 at boot, and Bochs has seen these writes to it: "
        f"{[hex(value) for _, value in writes]}; one of 0x5 is needed")
    landings = run.notes("landings")
    assert landings, "a guest was made, and none came to run: what was set can't be seen"
    control = landings[0]["feature_control"]
    assert control == LOCK | VMXON, f"when a guest ran, IA32_FEATURE_CONTROL was {control:#x}, not 0x5"
    models.answers("FEATURE_CONTROL open")


@check(points=8, chapter=17, section="23.7",
       help="The register has two bits that count here. The firmware may have locked it without allowing "
            "VMXON, and then a write to it is a fault.")
def test_a_locked_feature_control_is_obeyed(lab, haswell, models, tmp_path):
    for name in ("VMX locked off", "VMX allowed inside SMX only, locked"):
        models.touches_what_exists(name)
        models.answers(name)
    bios = firmware(tmp_path, LOCK)
    if bios is None:
        return
    run = refused(lab, haswell, "locked", bios=bios)
    writes = run.kernel_msrs("WRMSR", 0x3a)
    assert not writes, f"the register was locked, and the kernel wrote {writes[0][1]:#x} to it"


@check(points=4, chapter=17, section="23.7",
       help="A write may fail to do what it should. What does the register say after it?")
def test_a_write_is_not_believed_but_read_back(models):
    for name in ("FEATURE_CONTROL open", "FEATURE_CONTROL open, a write is ignored",
                 "FEATURE_CONTROL open, a write only locks it"):
        models.answers(name)


# --- checks: vmx_check_ept

@check(points=6, chapter=17, section="A.3.3",
       help="VMX without EPT: the first capability register of the chain says that the next one doesn't exist, "
            "or the next one that it has no EPT.")
def test_a_processor_without_ept_is_refused(lab, haswell, models):
    run = refused(lab, haswell, "no-ept", cpu="core2_penryn_t9600")
    assert not run.kernel_msrs("RDMSR", 0x48c), (
        "it has no IA32_VMX_EPT_VPID_CAP (48CH), and it was read")
    for name in ("no secondary controls", "no EPT, no VPID", "VPID without EPT"):
        models.answers(name)


@check(points=6, chapter=17, section="24.6.2",
       help="Our guests begin in real mode. A processor may have EPT and not be able to do that.")
def test_a_processor_without_unrestricted_guests_is_refused(lab, haswell, models):
    refused(lab, haswell, "weak-ept", cpu="corei5_lynnfield_750")
    models.answers("no unrestricted guest")


@check(points=5, chapter=17, section="A.10",
       help="EPT comes in kinds: how many levels, and which memory types. One register says it.")
def test_ept_has_four_levels_and_write_back(models):
    for name in ("all of it", "EPT without 4 levels", "EPT without write-back"):
        models.answers(name)


@check(points=7, chapter=17, section="A.3.2",
       help="Each register exists only if an answer before it was yes; inc/msr.h says which. Reading one that "
            "doesn't exist is a general protection fault.")
def test_no_register_is_touched_that_does_not_exist(models):
    models.answers("all of it")
    reads = models.result("all of it")[1]["reads"]
    assert reads >= 4, (f"rdmsr() was called {reads} times on a processor with everything: four registers have "
                        "to be read")
    for m in models.models:
        if not m["monitor"]:
            models.touches_what_exists(m["name"])


@check(points=5, chapter=17, section="23.6",
       help="Whoever reads the console wants to know what is missing, and on which processor.")
def test_a_line_says_what_is_missing(models):
    lines = {}
    for name in ("no VMX", "VMX locked off", "no EPT, no VPID", "no unrestricted guest"):
        m, got = models.result(name)
        models.answers(name)
        said = [line for line in got["text"].splitlines() if re.match(r"vmx: CPU 0\b", line)]
        assert len(said) == 1, (f"processor “{name}”: {len(said)} lines begin with “vmx: CPU 0”; it said: "
                                f"{got['text'][:300]!r}")
        same = next((other for other, line in lines.items() if line == said[0]), None)
        assert same is None, f"the same line for “{name}” and “{same}”: {said[0]}"
        lines[name] = said[0]


@check(points=5, chapter=17, section="A.3.3",
       help="The command vmx shows what the processor says of its secondary controls and its EPT, where it has "
            "the registers for it.")
def test_the_monitor_shows_the_secondary_controls(models):
    texts = {}
    for m in models.models:
        if not m["monitor"]:
            continue
        models.touches_what_exists(m["name"])
        got = models.result(m["name"])[1]
        # The processors differ in what is to be shown, and in the answers at the end.
        texts[m["name"]] = re.sub(r"(?m)^(vmx: CPU|vmx_check_\w+:|cpu \d).*\n?", "", got["text"]).strip()
    first = "all of it, in the monitor"
    got = models.result(first)[1]
    assert got["48b"] >= 2 and got["48c"] >= 2, (
        f"vmx read 48BH {got['48b'] - 1} times and 48CH {got['48c'] - 1} times beside vmx_check_ept()")
    for other in ("other EPT capabilities, in the monitor", "no unrestricted guest, in the monitor"):
        assert texts[other] != texts[first], (
            f"vmx shows the same for two processors: “{first}” and “{other}”")


# --- checks: VMXON

@check(points=9, chapter=18, section="23.7",
       help="When a guest is about to run, the processor must be in VMX root operation: the scheduler has a "
            "function for that, and calls it once.")
def test_a_guest_lands_on_a_processor_in_vmx_operation(haswell):
    landings = haswell.notes("landings")
    assert len(landings) == 4, f"of 4 guests that were started, {len(landings)} came to run"
    for n, x in enumerate(landings):
        assert x["root"] and x["vmxons"] == 1 and x["cr4"] & CR4_VMXE and x["stored"], (
            f"guest {n + 1} on CPU {x['cpu']}: is_vmx_root {x['root']}, VMXONs tried {x['vmxons']}, "
            f"CR4.VMXE {x['cr4'] >> 13 & 1}, VMPTRST {'works' if x['stored'] else 'not possible'}")
        assert x["revision"] == x["wanted"] and x["region"] % 4096 == 0, (
            f"VMXON region at {x['region']:#x} with revision {x['revision']:#x}, not {x['wanted']:#x}")
    cr4 = haswell.cr4()[0]
    assert cr4 & CR4_VMXE, f"in the end Bochs has CR4 {cr4:#x}: VMXE is 0"


@check(points=5, chapter=18, section="23.7",
       help="A kernel without guests needs no VMX: nothing is turned on at boot, nor for other environments, nor "
            "when a guest is only made.")
def test_vmx_stays_off_until_a_guest_runs(haswell, two):
    for run in (haswell, two):
        assert run.notes("landings"), f"no guest came to run; {run.trouble}"
        for x in run.notes("probes"):
            if x["number"] < 2:
                when = ("before there was a guest", "when a guest was made and hadn't run yet")[x["number"]]
                assert not x["root"] and not x["vmxons"] and not x["cr4"] & CR4_VMXE, (
                    f"{when}, CPU {x['cpu']} had is_vmx_root {x['root']}, VMXONs tried {x['vmxons']}, "
                    f"CR4.VMXE {x['cr4'] >> 13 & 1}")


@check(points=8, chapter=18, section="23.7",
       help="Each processor has its own CR4, its own VMXON and its own notes in cpus[].")
def test_each_of_two_processors_turns_vmx_on_by_itself(two):
    landings = two.notes("landings")
    assert {x["cpu"] for x in landings} == {0, 1}, (
        f"guests came to run on CPUs {sorted({x['cpu'] for x in landings})}, not on 0 and 1; {two.trouble}")
    for x in landings:
        assert x["root"] and x["vmxons"] == 1 and x["stored"], (
            f"a guest on CPU {x['cpu']}: is_vmx_root {x['root']}, VMXONs tried {x['vmxons']}, "
            f"CR4.VMXE {x['cr4'] >> 13 & 1}")
    regions = {x["cpu"]: x["region"] for x in landings}
    assert regions[0] != regions[1], f"both have the VMXON region {regions[0]:#x}"
    assert all(cr4 & CR4_VMXE for cr4 in two.cr4()), (
        f"in the end Bochs has CR4 {', '.join(map(hex, two.cr4()))}: VMXE is 0 on one of them")


@check(points=8, chapter=18, section="23.7",
       help="If VMX can't be turned on here, this guest ends, and nothing else does: not its parent, not the kernel.")
def test_a_failing_vmxon_ends_that_guest_alone(lab, haswell, tmp_path):
    bios = firmware(tmp_path, LOCK, others_only=True)
    if bios is None:
        assert haswell.notes("landings")
        return
    run = Run(lab, "gradeone", cpus=2, bios=bios)
    run.what = "two processors, of which CPU 1 has VMX locked off"
    alive_after_failure(run)


def alive_after_failure(run):
    run.finished()
    made = run.guests()
    assert len(made) == 6 and min(made) > 0, f"on {run.what}, sys_env_mkguest() returned {made}"
    stays = run.lines(r"stays (\d+)")
    assert not stays, f"on {run.what}, guest {int(stays[0]) + 1} was there still after 300 ms"
    landings = run.notes("landings")
    assert landings, f"on {run.what}, no guest came to run at all"
    assert all(x["cpu"] == 0 for x in landings), "a guest came to run on CPU 1, which has no VMX"
    assert len(landings) < 6, f"on {run.what}, all guests ran on CPU 0: none was tried on CPU 1"
    asked_1 = [value for cpu, value in run.kernel_msrs("RDMSR", 0x3a) if cpu == "1"]
    # The firmware of processor 1 comes after the kernel of processor 0.
    assert len(asked_1) > 1, "Bochs has seen no read of IA32_FEATURE_CONTROL on CPU 1"
    assert not run.cr4()[1] & CR4_VMXE, f"CPU 1 has CR4 {run.cr4()[1]:#x} in the end: VMXE is 1"
