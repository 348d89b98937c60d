"""Finding VMX and EPT, and turning VMX on: chapters 17 and 18, lab 1.

Bochs imitates processors with all of it, with parts of it and with nothing;
QEMU without KVM is one more that has nothing.  Each kind has its own message
and its own error.
"""
import pathlib
import re

import pytest

from emulator import Machine
from trees import handout, planted
from trees import tree as any_tree

pytestmark = pytest.mark.slow

FIRMWARE = pathlib.Path("/usr/share/bochs/BIOS-bochs-latest")


def tree():
    """The book up to chapter 18: in the whole book a guest gets further."""
    return any_tree("upto-18")


READY = r"Error copying page into the guest - 4294967289\r\n"
NO_VMX = r"Error creating a guest: no usable VMX"
NO_EPT = r"Error creating a guest: no usable EPT"

# processor model: what the kernel and vmm say of it, in this order
MODELS = {
    "corei7_haswell_4770": [READY, r"4294967289 is -7 .*system call"],
    "corei5_lynnfield_750": [r"EPT, but no unrestricted guest", NO_EPT],
    "core2_penryn_t9600": [r"vmx: CPU 0 has no EPT", NO_EPT],
    "p4_prescott_celeron_336": [r"vmx: CPU 0 has no VMX\r\n", NO_VMX],
    "ryzen": [r"vmx: CPU 0 has no VMX, but AMD's SVM\r\n", NO_VMX],
}


def bochs(jos, program="vmm", model="corei7_haswell_4770", bios=None, cpus=1):
    """Boot a program in Bochs on a model of processor."""
    options = f"--cpu {model}" + (f" --bios {bios}" if bios else "")
    return Machine(jos, f"run-{program}-bochs", cpus=cpus, timeout=90,
                   BOCHSOPTS=options)


def firmware_that_locks_vmx_off(folder, others_only=False):
    """A copy of Bochs's firmware that locks IA32_FEATURE_CONTROL without
    allowing VMXON: after RDMSR it sets bit 0 alone in place of 0 and 2.  Its
    code for the processors other than the first is 16-bit code, in which a
    32-bit instruction has the prefix 66."""
    prefix = b"\x66" if others_only else b"\x66?"
    code, n = re.subn(b"(\x0f\x32" + prefix + b"\x83\xc8)\x05(\x0f\x30)",
                      lambda m: m[1] + b"\x01" + m[2], FIRMWARE.read_bytes())
    assert n == 2 - others_only, "not the firmware that this test knows"
    path = folder / "BIOS-locked"
    path.write_bytes(code)
    return path


@pytest.mark.parametrize("model", MODELS)
def test_each_kind_of_processor(model):
    with bochs(tree(), model=model) as machine:
        for pattern in MODELS[model]:
            machine.expect(pattern)
        machine.expect("K> ")
        assert "kernel panic" not in machine.output()


def test_open_feature_control_is_set_and_locked():
    with bochs(tree(), bios="BIOS-bochs-legacy") as machine:
        machine.expect("IA32_FEATURE_CONTROL was open, is now 5")
        machine.expect(READY)


def test_locked_off_feature_control_is_believed(tmp_path):
    bios = firmware_that_locks_vmx_off(tmp_path)
    with bochs(tree(), bios=bios) as machine:
        machine.expect("the firmware has locked it off")
        machine.expect(NO_VMX)
        machine.expect("K> ")


def vmx_states(machine):
    """{cpu: (in root operation, VMXONs)} from the monitor."""
    machine.expect("K> ")
    text = machine.command("vmx", "K> ")
    return {int(cpu): (root == "yes", int(count)) for cpu, root, count in
            re.findall(r"cpu (\d+) vmx-root (yes|no) vmxon (\d+)", text)}


def test_vmxon_happens_once_on_the_cpu_that_needs_it():
    with bochs(tree(), "vmxon") as machine:
        machine.expect("4 guests came and went")
        assert vmx_states(machine) == {0: (True, 1)}


def test_guests_land_on_either_of_two_cpus():
    with bochs(tree(), "vmxon", cpus=2) as machine:
        machine.expect("4 guests came and went")
        assert vmx_states(machine) == {0: (True, 1), 1: (True, 1)}


def test_no_vmxon_before_there_is_a_guest():
    with bochs(tree(), "hello") as machine:
        assert vmx_states(machine) == {0: (False, 0)}


def test_failing_vmxon_destroys_the_guest_alone(tmp_path):
    """On the second processor the firmware has locked VMX off; a guest that
    lands there is destroyed with the reason, and the kernel goes on."""
    bios = firmware_that_locks_vmx_off(tmp_path, others_only=True)
    with bochs(tree(), "vmxon", bios=bios, cpus=2) as machine:
        machine.expect("CPU 1 has VMX, but the firmware has locked it off")
        machine.expect("K> ")
        assert "kernel panic" not in machine.output()


def test_vmm_in_qemu_says_where_to_go_and_the_shell_lives_on():
    with Machine(tree()) as machine:
        machine.expect(r"\n\$ ")
        text = machine.command("vmm")
        assert "has no VMX" in text
        assert "make run-vmm-nox" in text
        assert "hello, world" in machine.command("hello")


def test_run_vmm_says_which_machine_and_why():
    with Machine(tree(), "run-vmm-nox", timeout=90) as machine:
        machine.expect(r"\*\*\* (Bochs|QEMU with KVM) runs vmm: [^\r\n]+")
        machine.expect(READY)


def test_handout_begins_with_the_panic():
    with Machine(handout(1), "run-vmm-nox", timeout=90) as machine:
        machine.expect(r"kernel panic on CPU 0 at \.\./vmm/vmx\.c:\d+: "
                       r"vmx_check_support not implemented")


# wrong solution: what is replaced in which file, and the test of the right
# solution that it must not pass: (program, model, bios, cpus, expected)
HASWELL = "corei7_haswell_4770"
WRONG = {
    "VMX bit of the wrong register": (
        "vmm/vmx.c", r"cpuid\(1, NULL, NULL, &ecx, NULL\)",
        "cpuid(1, NULL, NULL, NULL, &ecx)",
        "vmm", "p4_prescott_celeron_336", None, 1, NO_VMX),
    "EPT assumed": (
        "vmm/vmx.c", r"(?s)(\nvmx_check_ept\(void\)\n\{\n).*?\n\}\n",
        r"\1\treturn 0;\n}\n",
        "vmm", "core2_penryn_t9600", None, 1, NO_EPT),
    "unrestricted guest assumed": (
        "vmm/vmx.c", r"secondary & PROCBASED2_UNRESTRICTED", "1",
        "vmm", "corei5_lynnfield_750", None, 1, NO_EPT),
    "an open register is left open": (
        "vmm/vmx.c", r"if \(!\(control & FEATURE_CONTROL_LOCK\)\)",
        "if (0)", "vmm", HASWELL, "BIOS-bochs-legacy", 1, READY),
    "lock bit ignored": (
        "vmm/vmx.c", r"need = FEATURE_CONTROL_LOCK \| FEATURE_CONTROL_VMXON",
        "need = FEATURE_CONTROL_LOCK",
        "vmm", HASWELL, "locked off", 1, NO_VMX),
    "VMXON on the wrong CPU": (
        "kern/sched.c", r"thiscpu->is_vmx_root", "cpus[0].is_vmx_root",
        "vmxon", HASWELL, None, 2, r"CPU 1 is in VMX root operation"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_solution_is_told_apart(wrong, tmp_path):
    path, old, new, program, model, bios, cpus, expected = WRONG[wrong]
    copy = planted(tree(), tmp_path, (path, old, new))
    if bios == "locked off":
        bios = firmware_that_locks_vmx_off(tmp_path)
    with bochs(copy, program, model, bios, cpus) as machine:
        seen = machine.child.expect([expected, r"K> "], timeout=60)
    assert seen == 1, f"{wrong}: the tests of the right solution pass"

