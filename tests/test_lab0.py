"""The grader of lab 0: who gets how many points?"""
import os
import re
import shutil
import subprocess
import sys

import pytest

from trees import ROOT, run

sys.path.insert(0, str(ROOT / "labs"))
import variants     # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """The handout and the solution of lab 0."""
    top = tmp_path_factory.mktemp("lab0")
    run([sys.executable, ROOT / "labs/handout.py", "0", top / "handout"])
    run([sys.executable, ROOT / "labs/handout.py", "--solution", "0", top / "solution"])
    return top / "handout", top / "solution"


@pytest.fixture
def grade(trees, tmp_path, tmp_path_factory):
    """Grade kern/env.c and answers.txt; (points, hidden points, report)."""
    def graded(env_c=None, answers=None, *options):
        handout, solution = trees
        submission = tmp_path / "submission"
        shutil.rmtree(submission, ignore_errors=True)
        (submission / "kern").mkdir(parents=True)
        right = {path: (solution / path).read_text() for path in ("kern/env.c", "answers.txt")}
        (submission / "kern/env.c").write_text(right["kern/env.c"] if env_c is None else env_c)
        (submission / "answers.txt").write_text(right["answers.txt"] if answers is None else answers)
        done = subprocess.run(
            ["/usr/bin/python3", "-B", handout / "tools/grade/grade.py", "--hidden", ROOT / "labs/hidden",
             *options, submission], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900,
            env={**os.environ, "GRADE_CACHE": str(tmp_path_factory.getbasetemp() / "cache-lab0")})
        assert done.returncode == 0, done.stdout + done.stderr
        points = re.search(r"^Points: (\d+) of \d+(?:, hidden (\d+) of 30)?", done.stdout, re.M)
        return int(points[1]), int(points[2] or 0), done.stdout
    return graded


def solved(trees, path="kern/env.c"):
    return (trees[1] / path).read_text()


@pytest.mark.parametrize("seed", ["1", *(pytest.param(n, marks=pytest.mark.long) for n in "23")])
def test_right(grade, seed):
    """Three times, each with other inputs."""
    won, hidden, report = grade(None, None, "--seed", seed)
    assert (won, hidden) == (100, 30), report


def test_as_handed_out(grade, trees):
    handout = trees[0]
    won, hidden, report = grade((handout / "kern/env.c").read_text(), (handout / "answers.txt").read_text())
    assert (won, hidden) == (0, 0), report
    assert r"waited for '\\$ ': the kernel is in its monitor" in report, report
    assert "answers.txt has no answers yet" in report


@pytest.mark.long
def test_one_bug_found(grade, trees):
    """The loud one: the rest of the function is asked, and found wanting."""
    env_c = variants.plant(solved(trees), [n for n in variants.DEFAULT_BUGS if not variants.BUGS[n].loud])[0]
    answer = next(line for line in solved(trees, "answers.txt").splitlines() if line.startswith("124:"))
    won, hidden, report = grade(env_c, answer + "\n")
    assert 40 <= won <= 60 and hidden <= 10, report
    assert "ok    10/10  one line is named" in report
    assert "answers.txt: 1 of the three lines are right" in report
    assert "of the generation before, with checkperm: returned 0 and the environment in slot" in report


@pytest.mark.long
@pytest.mark.parametrize("name", ["slot-of-8-bits", "negative-is-self", "id-of-16-bits", "gone-is-invalid",
                                  "power-over-all-but-roots", "all-are-orphans", "denied-is-fine"])
def test_each_quiet_bug_costs_points(grade, trees, name):
    won, hidden, report = grade(variants.plant(solved(trees), [name])[0])
    assert "ok    10/10  boots to the shell" in report, report
    assert won < 90 and hidden < 30, report


@pytest.mark.long
def test_dying_forgotten(grade, trees):
    env_c = solved(trees).replace("\n\t    || e->env_status == ENV_DYING)", ")")
    won, hidden, report = grade(env_c)
    assert won < 100 and "FAIL   0/10  (hidden) destroyed twice" in report


PRINTS = '''
	static bool printed;
	if (!printed) {
		printed = true;
		cprintf("$ \\n0000000000000000\\nlab0: 0000000000000000\\n0000000000000000 done\\n$ ");
	}
'''


@pytest.mark.long
def test_words_on_the_console(grade, trees):
    """A function that prints what a grader might look for, and is as it was."""
    env_c = (trees[0] / "kern/env.c").read_text()
    env_c = env_c.replace("\t*store = NULL;\n\tif", PRINTS + "\t*store = NULL;\n\tif")
    assert PRINTS in env_c
    won, hidden, report = grade(env_c, "1: a b c\n2: a b c\n3: a b c\n")
    assert (won, hidden) == (0, 0), report


@pytest.mark.long
def test_a_loop(grade, trees):
    env_c = solved(trees).replace("\t*store = NULL;\n\tif", "\tfor (;;)\n\t\t;\n\t*store = NULL;\n\tif")
    won, hidden, report = grade(env_c)
    assert (won, hidden) == (30, 0), report


@pytest.mark.parametrize("answers, says", [
    ("118: one two three\n" * 4, "answers.txt has 4 answers; three lines are wrong"),
    ("123\n", "it should be a number, a colon, and what is wrong"),
    ("123: wrong\n", "a few words more, please"),
    ("123: the generation is not compared\n" * 3, "answers.txt: 1 of the three lines are right"),
])
@pytest.mark.long
def test_answers_that_are_no_answers(grade, answers, says):
    won, hidden, report = grade(None, answers, "--only", "named")
    assert says in report
