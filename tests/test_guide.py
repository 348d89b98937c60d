"""The instructor's guide: its mistakes say what it quotes, its weeks are those of
the lectures and the labs, and students don't get a sentence of it."""
import csv
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from conftest import ROOT
from emulator import Machine
from test_chapters import missing_line, play
from transcripts import transcripts
from trees import handout, planted, tree

sys.path.insert(0, str(ROOT / "woven"))
import lectures  # noqa: E402
from epub import Epub  # noqa: E402
from pages import Pages  # noqa: E402
from pdf import Print  # noqa: E402
from pipeline import Pipeline  # noqa: E402

GUIDE = ROOT / "chapters/H-instructors-guide.nw"
MISTAKES = [t for t in transcripts(ROOT / "chapters")
            if "old" in t.attributes or t.attributes["tree"].startswith("lab")]
COURSE = {lecture["number"]: lecture for lecture in lectures.read(str(ROOT / "chapters/lectures.yaml"))}
LABS = yaml.safe_load((ROOT / "labs/labs.yaml").read_text())


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES, ids=[f"{t.file.name}:{t.line}" for t in MISTAKES])
def test_mistake(mistake, tmp_path):
    """A tree in which one place was changed says what the guide says it does."""
    a = mistake.attributes
    original = handout(int(a["tree"][3:])) if a["tree"].startswith("lab") else tree(a["tree"])
    changes = []
    if "old" in a:
        assert (original / a["file"]).read_text().count(a["old"]) == 1, f"{a['old']} is not in one place"
        changes = [(a["file"], re.escape(a["old"]), lambda _: a["new"])]
    copy = planted(original, tmp_path, *changes)
    try:
        variables = dict(v.split("=", 1) for v in a.get("vars", "").split())
        with Machine(copy, a["run"], cpus=a.get("cpus", 1), timeout=60, **variables) as machine:
            output = play(mistake, machine, patience=40)
    finally:
        shutil.rmtree(copy)
    line = missing_line(mistake.lines, output)
    assert line is None, f"{mistake.where}: the run doesn't show {line!r}\n" + "\n".join(output[-40:])


# ------------------------------------------------------------------ the plan

def table(heading, columns):
    """The rows of the first table of a section that has so many columns."""
    section = re.search(rf"^## {heading}$(.*?)(?=^## )", GUIDE.read_text(), re.M | re.S)[1]
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in section.split("\n") if line.startswith("|")]
    return [row for row in rows if len(row) == columns and not re.match(":?-", row[0])][1:]


def named(cells):
    """The lectures that cells name: `3, Four levels of page tables; 4, …`."""
    found = []
    for item in (item.strip() for cell in cells for item in cell.split("; ")):
        number, _, title = item.partition(", ")
        if number.isdigit():
            assert COURSE[int(number)]["title"] == title, item
            found.append(int(number))
    return found


def numbers(cell):
    return [int(n) for n in re.findall(r"\d+", cell)]


@pytest.mark.parametrize("heading, columns, weeks, labs", [
    ("A semester", 5, 14, [0, 1, 2, 3, 4]), ("Four weeks", 4, 4, [0, 1, 2, 3, 4])])
def test_weeks(heading, columns, weeks, labs):
    rows = table(heading, columns)
    assert [row[0] for row in rows] == [str(n + 1) for n in range(weeks)]
    given = named(cell for row in rows for cell in row[1:-2])
    assert given == sorted(set(given))
    out = {lab: int(row[0]) for row in rows for lab in numbers(row[-2])}
    back = {lab: int(row[0]) for row in rows for lab in numbers(row[-1])}
    assert sorted(out) == sorted(back) == labs
    assert all(out[lab] <= back[lab] for lab in labs)
    # A lab isn't given out before the lecture that has the time for it.
    for row in rows:
        for number in named(row[1:-2]):
            for what in COURSE[number]["minutes"]:
                for lab in re.findall(r"lab (\d) is given out", what):
                    assert out[int(lab)] == int(row[0]), f"lab {lab}"
    if heading == "A semester":
        assert given == list(COURSE)
    else:
        section = re.search(r"^Lectures ([\d, and]+) are left out", GUIDE.read_text(), re.M)[1]
        assert sorted(given + numbers(section)) == list(COURSE)


def test_hours():
    rows = table("What counts", 4)
    assert {int(row[0]): (row[1], int(row[2])) for row in rows} == {
        lab: (about["title"], about["minutes"]) for lab, about in LABS.items()}
    assert sum(int(row[1]) for row in table("What counts", 3)) == 150


def test_each_lab_has_its_section():
    text = GUIDE.read_text()
    for lab in LABS:
        section = re.search(rf"^## Lab {lab}$(.*?)(?=^## )", text, re.M | re.S)[1]
        for part in ("What it teaches", "What goes wrong", "Questions to ask back", "For the oral check",
                     "In a submission, look at"):
            assert f"*{part}" in section, f"lab {lab}: {part}"


def test_report():
    """The lines of a report that are quoted are those of a check."""
    report = re.search(r"^FAIL +0/(\d+) +(.*)\n +help: chapter (\d+), manual (\S+) .*?: (.*)", GUIDE.read_text(), re.M)
    points, name, chapter, section, text = report.groups()
    source = (ROOT / "labs/grade/lab1.py").read_text()
    check = re.search(rf"^@check\(([^@]*?)\)\ndef test_{name.replace(' ', '_')}\(", source, re.M)[1]
    assert f'points={points}, chapter={chapter}, section="{section}"' in check
    assert text in re.sub(r'"\s+"', "", check)


# ------------------------------------------------------------------ commands

def block(words):
    """The block of commands in the guide that has these words in it."""
    found, = [b for b in re.findall(r"^```\n(.*?)^```$", GUIDE.read_text(), re.M | re.S) if words in b]
    return found


@pytest.fixture
def a_class(tmp_path):
    """A folder with submissions, none of which has a file of the lab in it."""
    for name in ("ada", "ben", "eva the 3rd"):
        (tmp_path / "submissions" / name).mkdir(parents=True)
    (tmp_path / "tangle").mkdir()
    (tmp_path / "tangle/lab2").symlink_to(handout(2))
    (tmp_path / "labs").symlink_to(ROOT / "labs")

    def sh(script, **env):
        return subprocess.run(["bash", "-c", script], cwd=tmp_path, env={**os.environ, **env}, timeout=300,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return sh


def students(table):
    return [row["student"] for row in csv.DictReader(table.open()) if "none of the lab's files" in row["remarks"]]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("parallel"), reason="GNU parallel isn't here")
def test_parallel(a_class, tmp_path):
    script = block("--joblog")
    assert script.startswith("make handout LAB=2 ")
    done = a_class(script.partition("\n")[2])
    assert done.returncode == 0 and students(tmp_path / "class.csv") == ["ada", "ben", "eva the 3rd"], done


@pytest.mark.slow
def test_slurm(a_class, tmp_path):
    """Its jobs, one after the other: what sbatch is told to run, with its variable."""
    script = block("sbatch")
    job = re.search(r"--wrap '(.*?)'$", script, re.M | re.S)[1]
    a_class(script.partition("\n")[0])
    for number in "123":
        a_class(job, SLURM_ARRAY_TASK_ID=number)
    done = a_class(script[script.index("labs/grade_all.py collect"):])
    assert done.returncode == 0 and students(tmp_path / "class.csv") == ["ada", "ben", "eva the 3rd"], done


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("parallel"), reason="GNU parallel isn't here")
def test_matrix(a_class, tmp_path):
    grade = yaml.safe_load(block("matrix:"))["jobs"]["grade"]
    script, = [step["run"] for step in grade["steps"] if "parallel" in step.get("run", "")]
    for number in grade["strategy"]["matrix"]["slice"]:
        assert a_class(script.replace("${{ matrix.slice }}", str(number))).returncode == 0
    assert a_class("labs/grade_all.py collect results --csv class.csv").returncode == 0
    assert students(tmp_path / "class.csv") == ["ada", "ben", "eva the 3rd"]


# ------------------------------------------------------------------ students

def sentences(text):
    """The sentences of a text as words, without those that are very short."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    found = [words(piece) for line in text.split("\n") for piece in re.split(r"(?<=[.?!:;|]) +", line)]
    return [plain for plain in found if len(plain.split()) >= 6]


def words(text):
    """Text without marks: of Markdown, HTML, TeX."""
    text = re.sub(r"<[^>]*>|\]\([^)]*\)|\\[A-Za-z]+|&\w+;|&#\d+;", " ", text)
    return " ".join(re.findall(r"[a-z]+", text.lower()))


@pytest.mark.slow
def test_students_get_no_sentence_of_it(tmp_path):
    """Not in the pages, their search, the e-book, the PDF's source, the slides."""
    work = Pipeline(str(ROOT), str(tmp_path), edition="student")
    work.read()
    made = {}
    pages, scripts = Pages(work).make(work.render("html", "html.lua", "html"))
    made.update({page.file: page.title + page.body for page in pages} | scripts)
    made.update(Print(work).make(work.render("pdf", "latex.lua", "latex", "--top-level-division=chapter")))
    made.update({"epub/" + name: text for name, text in Epub(work).files().items()})
    for topic, path in work.render("slides", "html.lua", "html").items():
        made["slides/" + topic] = open(path).read()
    plans = words("".join((ROOT / name).read_text() for name in ("chapters/lectures.yaml", "labs/labs.yaml")))
    wanted = [s for s in sentences(GUIDE.read_text()) if s not in plans]
    assert len(wanted) > 300
    # What another chapter says is found, so what this one says would be.
    other = sentences((ROOT / "chapters/22-when-entry-fails.nw").read_text())
    for name in ("22-when-entry-fails.html", "22-when-entry-fails.tex", "epub/22-when-entry-fails.xhtml",
                 "search-data.js"):
        plain = words(made[name])
        assert sum(sentence in plain for sentence in other) > len(other) / 2, name
    faults = []
    for name, text in made.items():
        if isinstance(text, bytes):
            assert not name.endswith((".html", ".xhtml", ".tex", ".js"))
            continue
        plain = words(text)
        faults += [f"{name}: {s}" for s in wanted if s in plain]
        faults += [f"{name}: {s}" for s in ("instructors-guide", "H-course") if s in name + text]
    assert not faults, "\n".join(faults)
