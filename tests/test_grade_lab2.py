"""The grader of lab 2: a right solution, the handout as it is, one that prints
what it should do, one that loops, one that floods, half a solution."""
import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from trees import ROOT

pytestmark = pytest.mark.slow

FILES = ["kern/syscall.c", "user/vmm.c", "vmm/ept.c", "vmm/vmx.c"]


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """The handout, the solution, and a folder for what the grader builds."""
    folder = tmp_path_factory.mktemp("lab2")
    for option, name in (([], "handout"), (["--solution"], "solution")):
        subprocess.run([sys.executable, "-B", ROOT / "labs/handout.py", *option, "2", folder / name], check=True,
                       stdout=subprocess.DEVNULL)
    # Build the handout into the cache.
    (folder / "nothing").mkdir()
    subprocess.run([sys.executable, "-B", folder / "handout/tools/grade/grade.py", "--prepare",
                    folder / "nothing"], env={**os.environ, "GRADE_CACHE": str(folder / "cache")}, check=True)
    return folder


@pytest.fixture
def submission(trees, tmp_path):
    """The files of the right solution, to be changed."""
    for name in FILES:
        (tmp_path / "sent" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(trees / "solution" / name, tmp_path / "sent" / name)
    return tmp_path / "sent"


@pytest.fixture
def grade(trees, submission, monkeypatch):
    """Grade the submission: {name of a check: its entry in the results}."""
    monkeypatch.setenv("GRADE_CACHE", str(trees / "cache"))

    def run(*options):
        results = submission.parent / "results.json"
        began = time.monotonic()
        subprocess.run([sys.executable, "-B", trees / "handout/tools/grade/grade.py", "--json", results, *options,
                        submission], check=True, stdout=subprocess.DEVNULL)
        run.seconds = time.monotonic() - began
        return {test["name"]: test for test in json.loads(results.read_text())["tests"]}
    return run


def change(submission, name, old, new, count=1):
    text = (submission / name).read_text()
    assert text.count(old) == count
    (submission / name).write_text(text.replace(old, new))


def stub(trees, submission, *names):
    for name in names:
        shutil.copy(trees / "handout" / name, submission / name)


def points(results, visibility="visible"):
    some = [test for test in results.values() if test["visibility"] == visibility]
    return sum(test["score"] for test in some), sum(test["max_score"] for test in some)


def lost(results):
    return {name: test["output"] for name, test in results.items() if test["score"] < test["max_score"]}


def test_right_solution_with_hidden_checks(grade):
    results = grade("--hidden", ROOT / "labs/hidden")
    assert lost(results) == {}
    assert points(results) == (100, 100) and points(results, "hidden") == (30, 30)


@pytest.mark.long
def test_other_inputs_give_the_same_points(grade):
    assert lost(grade("--hidden", ROOT / "labs/hidden", "--seed", "77")) == {}


@pytest.mark.long
def test_a_class_with_other_numbers(tmp_path):
    for option, name in (([], "handout"), (["--solution"], "solution")):
        subprocess.run([sys.executable, "-B", ROOT / "labs/handout.py", *option, "--seed", "a class", "2",
                        tmp_path / name], check=True, stdout=subprocess.DEVNULL)
    grader = [sys.executable, "-B", tmp_path / "handout/tools/grade/grade.py", "--json", tmp_path / "r.json"]
    subprocess.run([*grader, tmp_path / "solution"], check=True, stdout=subprocess.DEVNULL)
    assert json.loads((tmp_path / "r.json").read_text())["score"] == 100


@pytest.mark.long
def test_the_books_solution_does_not_pass_in_a_class(trees, tmp_path):
    subprocess.run([sys.executable, "-B", ROOT / "labs/handout.py", "--seed", "a class", "2", tmp_path / "handout"],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-B", tmp_path / "handout/tools/grade/grade.py", "--json", tmp_path / "r.json",
                    trees / "solution"], check=True, stdout=subprocess.DEVNULL)
    assert json.loads((tmp_path / "r.json").read_text())["score"] < 100


def test_the_handout_has_no_points(trees, submission, grade):
    stub(trees, submission, *FILES)
    results = grade()
    assert points(results) == (0, 100)
    for name, output in lost(results).items():
        assert output.startswith("chapter 2"), name
    assert "ept_lookup_gpa not implemented" in results["a lookup finds the entry"]["output"]
    assert "asm_vmrun is incomplete" in results["registers reach the guest"]["output"]


@pytest.mark.long
def test_printed_words_are_worth_nothing(trees, submission, grade):
    stub(trees, submission, *FILES)
    said = 'cprintf("Cheers! sys_ept_map seems to work correctly.\\nUnhandled VMEXIT, aborting guest.\\n");'
    change(submission, "vmm/ept.c", "#include <inc/error.h>", "#include <inc/error.h>\n#include <inc/stdio.h>")
    change(submission, "vmm/ept.c", 'panic("ept_lookup_gpa not implemented");',
           said + " if (epte_out) *epte_out = eptrt; return 0;")
    change(submission, "vmm/ept.c", 'panic("ept_map_hva2gpa not implemented");', said + " return 0;")
    change(submission, "vmm/vmx.c", 'panic("asm_vmrun is incomplete");', said + " cf = zf = false;")
    results = grade("--hidden", ROOT / "labs/hidden")
    assert "doesn't compile" not in str(results), lost(results)
    assert points(results) == (0, 100) and points(results, "hidden")[0] == 0


@pytest.mark.long
def test_half_a_solution(trees, submission, grade):
    """Tables are right, the rest isn't begun."""
    stub(trees, submission, "user/vmm.c", "vmm/vmx.c")
    results = grade()
    assert points(results)[0] == 48
    assert results["references are counted"]["score"] > 0 == results["the kernel is in the guest"]["score"]


@pytest.mark.long
def test_entering_counts_without_tables(trees, submission, grade):
    stub(trees, submission, "user/vmm.c", "vmm/ept.c", "kern/syscall.c")
    assert points(grade())[0] == 28


LOOPS = {
    "in-the-walk": ("vmm/ept.c", "\tif (epte_out != NULL)\n",
                    '\twhile (create)\n\t\tasm volatile("");\n\tif (epte_out != NULL)\n'),
    "in-a-call": ("kern/syscall.c", "\tif (pp->pp_ref == UINT16_MAX)\n\t\treturn -E_NO_MEM;\n\tr = ept",
                  "\tfor (;;)\n\t\t;\n\tr = ept"),
    "in-vmm": ("user/vmm.c", "i < skew + memsz && r == 0; i += PGSIZE", "r == 0; i += 0"),
    "before-the-entry": ("vmm/vmx.c", '"1:\\n\\t"', '"1: jmp 1b\\n\\t"'),
    "a-flood": ("vmm/ept.c", "if (eptrt == NULL ||", 'for (;;) warn("I am here, and here, and here");\n\tif (eptrt == NULL ||'),
    "a-flood-of-vmm": ("user/vmm.c", "\tsize_t skew = PGOFF(gpa), i, n;",
                       '\tsize_t skew = PGOFF(gpa), i, n;\n\n\tfor (;;) cprintf("I am here, and here\\n");'),
}


@pytest.mark.long
@pytest.mark.parametrize("how", LOOPS)
def test_one_that_does_not_end(submission, grade, how):
    change(submission, *LOOPS[how])
    results = grade()
    # A machine that others use too takes longer.
    assert grade.seconds < 170 * max(1, os.getloadavg()[0] / os.cpu_count())
    assert 0 <= points(results)[0] < 100
    assert "doesn't compile" not in str(lost(results))
    # What isn't concerned keeps its points.
    if how in ("in-vmm", "a-flood-of-vmm"):
        assert points(results)[0] >= 48 + 28
    if how == "before-the-entry":
        assert points(results)[0] >= 48 + 21


@pytest.mark.long
def test_one_that_does_not_compile(submission, grade):
    change(submission, "vmm/ept.c", "int level = EPT_LEVELS", "integer level = EPT_LEVELS")
    results = grade()
    assert points(results) == (0, 100)
    assert "it doesn't compile" in results["a lookup finds the entry"]["output"]
