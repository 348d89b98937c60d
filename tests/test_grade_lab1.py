"""The grader of lab 1: right, unwritten, constant, printing, looping, flooding."""
import pytest

from graded import Lab

pytestmark = pytest.mark.slow

CPUID = "\tcpuid(1, NULL, NULL, &ecx, NULL);\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return Lab(1, tmp_path_factory.mktemp("lab1"))


def test_right_solution_has_all_points(lab):
    points = lab.grade()
    assert not points.lost()
    assert (points.public, points.public_of, points.hidden, points.hidden_of) == (100, 100, 30, 30)


@pytest.mark.long
def test_right_solution_of_another_class(tmp_path_factory):
    lab = Lab(1, tmp_path_factory.mktemp("class"), seed="another class")
    points = lab.grade()
    assert not points.lost() and points.public == 100


@pytest.mark.long
def test_handout_as_it_is_has_none(lab):
    points = lab.grade(tree="handout")
    assert points.public == points.hidden == 0
    assert all("chapter 1" in output for output in points.lost().values())


@pytest.mark.long
def test_words_are_worth_nothing(lab):
    """It prints all that a right one prints, and always says no."""
    points = lab.grade(("vmm/vmx.c", 'panic("vmx_check_support not implemented");',
                        'cprintf("vmx: CPU 0 is in VMX root operation\\n"\n'
                        '\t    "Error copying page into the guest - 4294967289\\n"\n'
                        '\t    "vmx: CPU 0 has no VMX\\n");\n\treturn -E_NO_VMX;'), tree="handout")
    assert points.public == points.hidden == 0, [
        name for name, test in points.tests.items() if test["score"]]


@pytest.mark.long
def test_half_a_solution_has_some(lab):
    points = lab.grade(("vmm/vmx.c", "if (!(secondary & PROCBASED2_UNRESTRICTED)) {", "if (0) {"))
    assert 70 <= points.public < 100
    assert "a processor without unrestricted guests is refused" in points.lost()


@pytest.mark.long
@pytest.mark.parametrize("body", ['asm volatile("");', 'cprintf("GRADE done 4\\n");'], ids=["loops", "floods"])
def test_endless_submission_costs_its_points_and_little_time(lab, body):
    points = lab.grade(("vmm/vmx.c", CPUID, CPUID + "\twhile (ecx != 12345)\n\t\t" + body + "\n"), hidden=False)
    assert points.public == 0
    assert points.seconds < 170 * slowness()


def slowness():
    import os
    return max(1, os.getloadavg()[0] / os.cpu_count())
