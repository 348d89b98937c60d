"""The handouts of labs 1 to 4: each builds, stops where its lab begins, and
with its solution gets to where the next one begins.

The handout of lab N has the solutions of the labs before N, so the handout
of lab N + 1 is what lab N's student ends with.
"""
import shutil

import pytest

from emulator import Machine
from trees import handout, run, tree

pytestmark = pytest.mark.slow

# What `make run-vmm-nox` of a lab's handout says, in this order.
STARTS = {
    1: [r"kernel panic on CPU 0 at \.\./vmm/vmx\.c:\d+: "
        r"vmx_check_support not implemented\r\n"],
    2: [r"Error copying page into the guest - 4294967289\r\n",
        r"4294967289 is -7 .*system call not implemented"],
    3: [r"Unhandled VMEXIT, aborting guest\.\r\n", r"reason 18: VMCALL",
        r"free env"],
    4: [r"VMX extension hidden from guest\.\r\n",
        r"000000000000-00000009ffff usable\r\n"
        r"0000000a0000-0000000fffff reserved\r\n"
        r"000000100000-000000ffffff usable\r\n",
        r"user panic in fs at \.\./lib/ipc\.c:\d+: "
        r"ipc_host_send not implemented\r\n"],
}
# Half way through a lab: what those see who have this function left to do.
HALF_WAY = {
    2: ("vmm/vmx.c", "asm_vmrun", r"kernel panic on CPU 0 at \.\./vmm/vmx\.c:\d+: "
                                  r"asm_vmrun is incomplete\r\n"),
    3: ("vmm/vmexits.c", "handle_cpuid", r"kernel panic on CPU 0 at \.\./vmm/vmexits\.c:\d+: "
                                         r"cpuid not implemented\r\n"),
}
STUBS = {
    1: {"vmm/vmx.c": ["vmx_check_support", "vmx_check_ept"],
        "kern/sched.c": ["sched_yield"]},
    2: {"kern/syscall.c": ["sys_ept_map"],
        "vmm/ept.c": ["ept_lookup_gpa", "ept_map_hva2gpa"],
        "user/vmm.c": ["copy_guest_kern_gpa", "map_in_guest"],
        "vmm/vmx.c": ["asm_vmrun"]},
    3: {"vmm/vmx.c": ["dispatch"], "vmm/vmexits.c": ["handle_cpuid"]},
    4: {"vmm/ept.c": ["ept_page_insert"],
        "lib/ipc.c": ["ipc_host_send", "ipc_host_recv"]},
}


def function(text, name):
    """The definition of a function of a C file, from its name on."""
    start = text.index(f"\n{name}(") + 1
    return text[start:text.index("\n}\n", start)]


@pytest.mark.parametrize("lab", STARTS)
def test_handout_stops_where_its_lab_begins(lab):
    with Machine(handout(lab), "run-vmm-nox", timeout=120) as machine:
        for pattern in STARTS[lab]:
            machine.expect(pattern)
        machine.expect("K> ")


@pytest.mark.parametrize("lab", HALF_WAY)
def test_half_way(lab, tmp_path):
    path, name, pattern = HALF_WAY[lab]
    copy = tmp_path / "half"
    shutil.copytree(handout(lab + 1), copy, symlinks=True)
    text = (copy / path).read_text()
    (copy / path).write_text(text.replace(
        function(text, name), function((handout(lab) / path).read_text(), name)))
    run(["make", "-j2"], cwd=copy)
    with Machine(copy, "run-vmm-nox", timeout=120) as machine:
        machine.expect(pattern)


@pytest.mark.parametrize("lab", STUBS)
def test_handout_has_the_labs_functions_as_stubs(lab):
    """A function of the lab differs from its solution, and is the same in
    the handouts of this lab and of the earlier ones."""
    done = handout(lab + 1) if lab < 4 else None
    for path, names in STUBS[lab].items():
        for name in names:
            stub = function((handout(lab) / path).read_text(), name)
            first = function((handout(1) / path).read_text(), name)
            assert stub == first, f"{name} in the handout of lab 1"
            if done:
                solved = function((done / path).read_text(), name)
                assert solved != stub, f"{name} is solved in lab {lab}"


def test_published_grading_points_are_reached_in_the_end():
    """What the course's own grader looks for, in the whole book's tree."""
    with Machine(tree("jos"), "run-vmm-nox", timeout=120) as machine:
        machine.expect(r"VMX extension hidden from guest\.")
        machine.expect("message of the day")
        machine.expect(r"vm\$ ")
