"""The frame of the graders, on a handout of one C file and three checks."""
import json
import shutil
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET

import pytest

from trees import ROOT

MAKEFILE = """\
all: obj/answer
obj/answer: src/answer.c
	mkdir -p obj && gcc -Wall -Werror -MMD -o $@ $<
"""
STUB = "int main(void) { return 0; }\n"
RIGHT = "int main(void) { return 42; }\n"
CHECKS = '''\
import subprocess
import pytest
from plugin import check

@pytest.fixture(scope="module")
def status(lab):
    assert (lab.tree / "given.txt").read_text() == "given\\n"
    return subprocess.run([lab.tree / "obj/answer"], timeout=5).returncode

@check(points=60, chapter=3, section="28.2.2", help="what is asked for?")
def test_the_answer_is_right(status):
    assert status == 42, f"evidence: it is {status}"

@check(points=30, chapter="B", help="anything but 0")
def test_there_is_an_answer(status):
    assert status != 0, "nothing\\nbut 0"

@check(points=10, chapter=1, help="it builds", name="it's built <&>")
def test_built(lab):
    pass
'''
HIDDEN = '''\
from plugin import check

@check(points=5, chapter=3, help="hidden help")
def test_even(lab):
    import subprocess
    assert subprocess.run([lab.tree / "obj/answer"], timeout=5).returncode in (42, 44), "odd"
'''


@pytest.fixture
def handout(tmp_path):
    """A handout with the student's answer still to be written."""
    folder = tmp_path / "lab9"
    (folder / "src").mkdir(parents=True)
    (folder / "Makefile").write_text(MAKEFILE)
    (folder / "src/answer.c").write_text(STUB)
    (folder / "given.txt").write_text("given\n")
    grade = folder / "tools/grade"
    grade.mkdir(parents=True)
    for path in (ROOT / "labs/grade").glob("*.py"):
        if not path.name.startswith("lab"):
            shutil.copy(path, grade)
    with tarfile.open(grade / "handout.tar.gz", "w:gz") as archive:
        for name in ("Makefile", "src", "given.txt"):
            archive.add(folder / name, name)
    (grade / "class.json").write_text(json.dumps(
        {"lab": 9, "title": "An answer", "files": ["src/answer.c"], "variant": {}}))
    (grade / "lab9.py").write_text(CHECKS)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/lab9.py").write_text(HIDDEN)
    return folder


def grade(handout, *words, status=0):
    before = snapshot(handout)
    done = subprocess.run([sys.executable, "-B", handout / "tools/grade/grade.py", *map(str, words)],
                          capture_output=True, text=True, timeout=60, cwd=handout.parent)
    assert done.returncode == status, done.stdout + done.stderr
    assert snapshot(handout) == before, "the submission was changed"
    return done.stderr if status else done.stdout


def snapshot(folder):
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def test_right_answer(handout):
    (handout / "src/answer.c").write_text(RIGHT)
    text = grade(handout)
    assert "Points: 100 of 100, in" in text
    assert "FAIL" not in text


def test_wrong_answer_has_help_and_evidence(handout):
    text = grade(handout)
    assert "FAIL   0/60  the answer is right" in text
    assert "help: chapter 3, manual 28.2.2 (June 2016): what is asked for?" in text
    assert "| evidence: it is 0" in text
    assert "| nothing\n     | but 0" in text
    assert "help: chapter B: anything but 0" in text
    assert "Points: 10 of 100" in text


def test_partial_credit(handout):
    (handout / "src/answer.c").write_text(RIGHT.replace("42", "41"))
    assert "Points: 40 of 100" in grade(handout)


def test_only_some_checks(handout):
    text = grade(handout, "--only", "is right")
    assert "Points: 0 of 60" in text and "there is an answer" not in text
    assert "no check has “such words” in its name" in grade(handout, "--only", "such words", status=2)


def test_results_for_gradescope(handout, tmp_path):
    (handout / "src/answer.c").write_text(RIGHT.replace("42", "41"))
    grade(handout, "--json", tmp_path / "r.json", "--hidden", tmp_path / "mine")
    results = json.loads((tmp_path / "r.json").read_text())
    assert results["score"] == 40
    assert [(t["score"], t["max_score"], t["visibility"]) for t in results["tests"]] == [
        (0, 60, "visible"), (30, 30, "visible"), (10, 10, "visible"), (0, 5, "hidden")]
    assert "evidence: it is 41" in results["tests"][0]["output"]


def test_results_for_junit(handout, tmp_path):
    grade(handout, "--junit", tmp_path / "r.xml")
    suite = ET.parse(tmp_path / "r.xml").getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1") or suite.get("failures") == "2"
    assert suite.find(".//property[@name='points']").get("value") == "60"


def test_hidden_checks_have_points_of_their_own(handout, tmp_path):
    (handout / "src/answer.c").write_text(RIGHT)
    assert "Points: 100 of 100, hidden 5 of 5" in grade(handout, "--hidden", tmp_path / "mine")


def test_what_does_not_compile_gets_nothing(handout):
    (handout / "src/answer.c").write_text("int main(void) { return x; }\n")
    text = grade(handout)
    assert "Points: 0 of 100" in text
    assert "it doesn't compile: " in text and "'x' undeclared" in text


def test_only_the_files_of_the_lab_count(handout):
    (handout / "src/answer.c").write_text(RIGHT)
    (handout / "given.txt").write_text("something else\n")
    text = grade(handout)
    assert "note: changed, but not handed in, so graded as it was handed out: given.txt" in text
    assert "Points: 100 of 100" in text


def test_a_folder_with_just_the_files(handout, tmp_path):
    (tmp_path / "sent/src").mkdir(parents=True)
    (tmp_path / "sent/src/answer.c").write_text(RIGHT)
    assert "Points: 100 of 100" in grade(handout, tmp_path / "sent")


def test_a_file_that_is_not_there(handout, tmp_path):
    (tmp_path / "sent").mkdir()
    text = grade(handout, tmp_path / "sent")
    assert "note: src/answer.c: not handed in; the handout's own is graded" in text


def test_symbolic_links_are_not_followed(handout, tmp_path):
    (tmp_path / "right.c").write_text(RIGHT)
    (handout / "src/answer.c").unlink()
    (handout / "src/answer.c").symlink_to(tmp_path / "right.c")
    assert "src/answer.c: a symbolic link isn't taken" in grade(handout)
    shutil.rmtree(handout / "src")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/answer.c").write_text(RIGHT)
    (handout / "src").symlink_to(tmp_path / "elsewhere")
    assert "src/answer.c: a symbolic link isn't taken" in grade(handout)


@pytest.mark.parametrize("text, says", [
    ('#include "/etc/passwd"\n', "it doesn't compile"),
    ('#include "/etc/hosts"\n', "it doesn't compile"),
    ('#if __has_include("/etc/hosts")\n#define A 42\n#endif\nasm(".incbin \\"/etc/hosts\\"");\n'
     + RIGHT, ".incbin would copy a file of the grader's machine"),
])
def test_files_of_the_graders_machine_stay_there(handout, text, says):
    (handout / "src/answer.c").write_text(text)
    assert says in grade(handout)


def test_headers_from_outside_the_tree(handout, tmp_path):
    (tmp_path / "right.h").write_text(RIGHT)
    (handout / "src/answer.c").write_text(f'#include "{tmp_path}/right.h"\n')
    text = grade(handout)
    assert "included from outside the tree" in text
    assert "Points: 0 of 100" in text


@pytest.mark.slow
def test_a_build_that_does_not_end(handout):
    (handout / "src/answer.c").write_text('#include "answer.c"\n#include "answer.c"\n' + RIGHT)
    assert "it doesn't compile" in grade(handout)


def test_a_long_file_is_not_taken(handout):
    (handout / "src/answer.c").write_text(RIGHT + "/*" + " " * (1 << 20) + "*/\n")
    assert "longer than 1024 KiB" in grade(handout)


@pytest.mark.parametrize("words, says", [
    (["nowhere"], "nowhere: no such folder; give the folder with the lab's files"),
    (["--hidden", "nowhere"], "nowhere/lab9.py: no such checks"),
])
def test_what_cannot_be_graded(handout, words, says):
    assert says in grade(handout, *words, status=2)


def test_the_frame_alone_says_where_it_runs():
    done = subprocess.run([sys.executable, "-B", ROOT / "labs/grade/grade.py"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "grade.py runs in a handout's tools/grade (make handout LAB=N)" in done.stderr


def test_checks_that_are_broken(handout):
    (handout / "tools/grade/lab9.py").write_text("import nothing_like_this\n")
    done = subprocess.run([sys.executable, "-B", handout / "tools/grade/grade.py"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "nothing_like_this" in done.stderr


def test_scratch_is_removed(handout, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    grade(handout)
    assert list(scratch.iterdir()) == []


def test_cache_gives_the_same(handout, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADE_CACHE", str(tmp_path / "cache"))
    assert "Points: 10 of 100" in grade(handout)
    (handout / "src/answer.c").write_text(RIGHT)
    assert "Points: 100 of 100" in grade(handout)
    (handout / "src/answer.c").write_text(STUB)
    assert "Points: 10 of 100" in grade(handout)
