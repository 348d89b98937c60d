"""The grader of lab 3: right, unwritten, half, printing, looping, flooding."""
import os

import pytest

from graded import Lab

pytestmark = pytest.mark.slow

DISPATCH = "\tswitch (vx->reason) {\n\tcase EXIT_REASON_VMCALL:\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return Lab(3, tmp_path_factory.mktemp("lab3"))


def test_right_solution_has_all_points(lab):
    points = lab.grade()
    assert not points.lost()
    assert (points.public, points.public_of, points.hidden, points.hidden_of) == (100, 100, 30, 30)


@pytest.mark.long
def test_right_solution_of_another_class(tmp_path_factory):
    lab = Lab(3, tmp_path_factory.mktemp("class"), seed="another class")
    points = lab.grade()
    assert not points.lost() and points.public == 100


@pytest.mark.long
def test_handout_as_it_is_has_none(lab):
    points = lab.grade(tree="handout")
    assert points.public == points.hidden == 0, [
        name for name, test in points.tests.items() if test["score"]]


@pytest.mark.long
def test_words_are_worth_nothing(lab):
    points = lab.grade(("vmm/vmx.c", "\t(void) tf, (void) vx;\n\treturn EXIT_UNHANDLED;\n",
                        '\t(void) tf, (void) vx;\n'
                        '\tcprintf("VMX extension hidden from guest.\\n"\n'
                        '\t    "000000000000-00000009ffff usable\\n"\n'
                        '\t    "user panic in fs at ../lib/ipc.c:99: ipc_host_send not implemented\\n");\n'
                        '\treturn EXIT_END;\n'), tree="handout")
    assert points.public == points.hidden == 0, [
        name for name, test in points.tests.items() if test["score"]]


@pytest.mark.long
def test_a_missing_case_costs_its_own_points(lab):
    points = lab.grade(("vmm/vmx.c", "\tcase EXIT_REASON_MOV_DR:\n\t\treturn handle_dr(tf, vx);\n", ""), hidden=False)
    assert set(points.lost()) == {"debug registers"}


@pytest.mark.long
@pytest.mark.parametrize("body", ['asm volatile("");', 'cprintf("GRADE done 4\\n");'], ids=["loops", "floods"])
def test_endless_submission_costs_its_points_and_little_time(lab, body):
    points = lab.grade(("vmm/vmx.c", DISPATCH, "\twhile (vx->reason != 12345)\n\t\t" + body + "\n" + DISPATCH),
                       hidden=False)
    assert points.public == 0
    assert points.seconds < 170 * max(1, os.getloadavg()[0] / os.cpu_count())
