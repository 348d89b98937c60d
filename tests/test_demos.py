"""The demos of the lectures: each runs by itself and shows what it says, and an
instructor can lead it by the keyboard."""
import io
import os
import subprocess
import sys

import pexpect
import pytest

import demo
import lectures
from book import BookError
from trees import NUMBERS, ROOT, tree

LECTURES = lectures.read(str(ROOT / "chapters/lectures.yaml"))
COURSE = """\
lectures:
- title: One
  chapters: [01-one]
  goals: [See it]
  minutes: {talk: 70, demo: 5}
  demo:
  - tree: upto-01
    run: qemu-nox
    steps:
    - say: Look
      see: [something]
"""


def test_the_course_has_20_lectures_with_all_chapters():
    assert len(LECTURES) == 20
    assert [t[:2] for lecture in LECTURES for t in lecture["chapters"]] == NUMBERS


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, len(LECTURES) + 1))
def test_demo(number):
    demo.run(LECTURES[number - 1], demo.Stage(io.StringIO()), tree)


@pytest.mark.slow
def test_demo_at_a_terminal():
    trees = tree("upto-06").parent
    child = pexpect.spawn(sys.executable, [str(ROOT / "tests/demo.py"), "--trees", str(trees), "3"],
                          encoding="utf-8", timeout=60 * demo.SPEED, dimensions=(40, 100),
                          env={**os.environ, "TERM": "xterm"})
    waits = "▸"
    child.expect("make qemu-nox MEM=256M")
    child.expect(waits)
    child.send(" ")                                 # boot it
    child.expect("a NULL pointer must fault.")
    child.expect("K> ")
    child.expect(waits)
    with pytest.raises(pexpect.TIMEOUT):            # nothing goes on by itself
        child.expect("not mapped", timeout=1)
    child.send("\r")
    child.expect("showmappings 0\r\nnot mapped\r\nK> ")
    child.expect(waits)
    child.send("i")                                 # the keyboard
    child.expect("K> ")
    child.send("pages check\r")
    child.expect("free list: .* pages, good")
    child.expect("K> ")
    child.send(demo.BACK)
    child.expect(waits)
    child.send(" ")
    child.expect("The kernel's image")
    child.expect(waits)
    child.send("s")                                 # the second machine
    child.expect("make qemu-nox MEM=6G")
    child.expect(waits)
    child.send("q")
    child.expect("End of the demo")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.slow
def test_a_demo_that_does_not_show_it_fails(tmp_path):
    scene = {"tree": "upto-03", "run": "qemu-nox", "steps": [{"see": ["JOS: 65-bit mode"], "wait": 2}]}
    with pytest.raises(demo.Missing, match="not seen: JOS: 65-bit mode"):
        demo.run({"number": 1, "title": "T", "demo": [scene]}, demo.Stage(io.StringIO()), tree)


def test_there_are_no_more_lectures():
    done = subprocess.run([sys.executable, ROOT / "tests/demo.py", "21"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "demo: lectures are 1 to 20\n"


@pytest.fixture
def course(tmp_path):
    (tmp_path / "01-one.nw").write_text("# One\n\n## First\n")

    def read(text):
        (tmp_path / "lectures.yaml").write_text(text)
        return lectures.read(str(tmp_path / "lectures.yaml"))
    return read


def test_a_course_is_read(course):
    lecture, = course(COURSE)
    assert lecture["number"] == 1 and lectures.name(lecture) == "01-one"


@pytest.mark.parametrize("field", ["chapters: [01-one]", "chapters: [02-two]\n  reading: [01-one]",
                                   "chapters: [02-two]\n  reading: [{01-one: [First]}]"])
def test_no_lecture_has_a_chapter_of_the_instructor(course, field, tmp_path):
    (tmp_path / "02-two.nw").write_text("# Two\n")
    course(COURSE.replace("chapters: [01-one]", field))
    with pytest.raises(BookError, match="lectures.yaml:[34]: 01-one is the instructor's"):
        lectures.read(str(tmp_path / "lectures.yaml"), ["01-one"])


@pytest.mark.parametrize("old, new, fault", [
    ("title: One", "titel: One", "2: a lecture needs title:"),
    ("title: One", "titel: One", "2: a lecture has no titel:"),
    ("talk: 70", "talk: 80", "5: the minutes make 85, not 75"),
    ("[01-one]", "[02-two]", "3: no chapter is called 02-two"),
    ("upto-01", "upto-1", "7: tree: jos, upto-NN or labN"),
    ("say: Look", "sya: Look", "10: a step has no sya:"),
    ("see: [something]", "see: [5]", "11: not a text"),
    ("see: [something]", "see: [something", "expected ',' or ']'"),
    ("  goals:", "  reading: [{01-one: [Second]}]\n  goals:", "4: 01-one has no section Second"),
    ("  goals:", "  title: Two\n  goals:", "4: title is given twice"),
    (COURSE, "lectures: 5\n", "1: want `lectures:` with a list of lectures"),
])
def test_a_fault_has_its_line(course, old, new, fault):
    with pytest.raises(BookError) as error:
        course(COURSE.replace(old, new))
    assert "chapters/lectures.yaml:" in str(error.value)
    assert fault in str(error.value)
