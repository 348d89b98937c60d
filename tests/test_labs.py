"""The labs' functions are stubs in the handouts, and done in the end.

The handout of lab N has the solutions of the labs before N, so the handout
of lab N + 1 is what lab N's student ends with.  What a student sees on the
way from one to the other is in test_handouts.py.
"""
import pytest
import yaml

from emulator import Machine
from trees import ROOT, handout, tree

pytestmark = pytest.mark.slow

LABS = yaml.safe_load((ROOT / "labs/labs.yaml").read_text())
STUBS = {lab: about["functions"] for lab, about in LABS.items() if about["functions"]}


def function(text, name):
    """The definition of a function of a C file, from its name on."""
    start = text.index(f"\n{name}(") + 1
    return text[start:text.index("\n}\n", start)]


@pytest.mark.parametrize("lab", STUBS)
def test_handout_has_the_labs_functions_as_stubs(lab):
    """A function of the lab differs from its solution, and is the same in
    the handouts of this lab and of the earlier ones."""
    done = handout(lab + 1) if lab < 4 else tree("jos")
    for path, names in STUBS[lab].items():
        for name in names:
            stub = function((handout(lab) / path).read_text(), name)
            first = function((handout(1) / path).read_text(), name)
            assert stub == first, f"{name} in the handout of lab 1"
            solved = function((done / path).read_text(), name)
            assert solved != stub, f"{name} is solved in lab {lab}"


def test_published_grading_points_are_reached_in_the_end():
    """What the course's own grader looks for, in the whole book's tree."""
    with Machine(tree("jos"), "run-vmm-nox", timeout=120) as machine:
        machine.expect(r"VMX extension hidden from guest\.")
        machine.expect("message of the day")
        machine.expect(r"vm\$ ")
