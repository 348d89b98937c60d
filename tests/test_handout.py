"""Handouts: the stubs of one lab and of the later ones, on a small book with three labs."""
import subprocess

import pytest

CHAPTER = """\
# Labs

<<kern/lab.c>>=
#include <stdio.h>

<<helper of the first solution>>
<<the first function>>
<<the second function>>
<<the third function>>
<<the function of two labs>>
int
main(void)
{
	first();
	second();
	third();
	twice();
	return 0;
}
@

::: solution
The first function prints the word SOLVED.
:::

<<helper of the first solution>>=
static void helper(void) { puts("SOLVED 1: helper"); }
@

<<helper of the first solution (exercise 1)>>=
@

<<the first function>>=
static void
first(void)
{
	<<first: what only the solution needs>>
	helper();
}

@

<<first: what only the solution needs>>=
puts("SOLVED 1: by a chunk");
@

<<the first function (exercise 1)>>=
// Print. Hint: puts().
static void
first(void)
{
	<<first: the stub's own>>
}

@

<<first: the stub's own>>=
puts("TODO 1");
@

<<the second function>>=
static void
second(void)
{
@

The solution has two pieces, its stub has one.

<<the second function>>=
	puts("SOLVED 2");
}

@

<<the second function (exercise 2)>>=
static void second(void) { puts("TODO 2"); }
@

<<the third function>>=
static void third(void) { puts("SOLVED 3"); }
@

<<the third function (exercise 3)>>=
static void third(void) { puts("TODO 3"); }
@

What lab 1 asks for, lab 3 asks to be done better.

<<the function of two labs>>=
static void twice(void) { puts("SOLVED 3: twice"); }
@

<<the function of two labs (exercise 1)>>=
static void twice(void) { puts("TODO 1: twice"); }
@

<<the function of two labs (exercise 3)>>=
static void twice(void) { puts("TODO 3: twice, SO FAR"); }
@

<<kern/whole.c>>=
int whole = 3;	// SOLVED 3
@

<<kern/whole.c (exercise 3)>>=
int whole;	// TODO 3
@
"""


@pytest.fixture
def labs(book):
    book.write("01-labs.nw", CHAPTER)
    return book


def run(labs, tree):
    subprocess.run(["gcc", "-Wall", "-Werror", "-o", "lab", "kern/lab.c"], cwd=labs.folder / tree, check=True)
    return subprocess.run(["./lab"], cwd=labs.folder / tree, capture_output=True, text=True,
                          check=True).stdout.splitlines()


def handout(labs, lab):
    tree = f"lab{lab}"
    result = labs.tangle("-l", lab, tree=tree)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return tree


def test_book_itself_has_all_solutions(labs):
    assert labs.tangle().returncode == 0
    text = "".join(labs.tree().values())
    assert "TODO" not in text and "exercise" not in text
    assert run(labs, "tree") == [
        "SOLVED 1: by a chunk", "SOLVED 1: helper", "SOLVED 2", "SOLVED 3", "SOLVED 3: twice"]


@pytest.mark.parametrize("lab, prints", [
    ("1", ["TODO 1", "TODO 2", "TODO 3", "TODO 1: twice"]),
    ("2", ["SOLVED 1: by a chunk", "SOLVED 1: helper", "TODO 2", "TODO 3", "TODO 3: twice, SO FAR"]),
    ("3", ["SOLVED 1: by a chunk", "SOLVED 1: helper", "SOLVED 2", "TODO 3", "TODO 3: twice, SO FAR"]),
])
def test_handout(labs, lab, prints):
    tree = handout(labs, lab)
    assert run(labs, tree) == prints


@pytest.mark.parametrize("lab", [1, 2, 3])
def test_no_solution_and_no_trace_of_the_book(labs, lab):
    tree = labs.folder / handout(labs, str(lab))
    text = "".join(path.read_text() for path in tree.rglob("*") if path.is_file())
    for later in range(lab, 4):
        assert f"SOLVED {later}" not in text
    for earlier in range(1, lab):
        assert f"TODO {earlier}" not in text
    assert "#line" not in text and "exercise" not in text and ".nw" not in text


def test_no_line_of_a_solution(labs):
    """Line by line: nothing that stands only in solutions is in the first handout."""
    chunks, name = {}, None
    for line in CHAPTER.splitlines():
        if line.startswith("<<") and line.endswith(">>="):
            name = line[2:-3]
        elif line == "@":
            name = None
        elif name:
            chunks.setdefault(name, set()).add(line.strip())
    stubbed = {name for name in chunks if any(f"{name} (exercise {n})" in chunks for n in (1, 2, 3))}
    stubbed.add("first: what only the solution needs")
    solutions = set().union(*(chunks[name] for name in stubbed))
    others = set().union(*(chunks[name] for name in set(chunks) - stubbed))
    tree = labs.tree(handout(labs, "1"))
    given = {line.strip() for text in tree.values() for line in text.splitlines()}
    assert solutions - others
    assert not given & (solutions - others)


@pytest.mark.parametrize("lab, says", [
    ("0", "there is no such lab; the book has labs 1, 2, 3"),
    ("4", "there is no such lab; the book has labs 1, 2, 3"),
    ("-1", "not a number"),
    ("two", "not a number"),
    ("01", "not a number"),
])
def test_no_such_lab(labs, lab, says):
    result = labs.tangle("-l", lab)
    assert result.returncode != 0
    assert f"LAB={lab}: {says}" in result.stderr
    assert not (labs.folder / "tree").exists()


def test_book_without_labs(book):
    book.write("01-one.nw", "# One\n\n<<kern/a.c>>=\nint a;\n@\n")
    result = book.tangle("-l", "1")
    assert result.returncode != 0
    assert "the book has no labs yet" in result.stderr


@pytest.mark.parametrize("flags", [["-u", "1"], ["-L"]])
def test_handout_is_of_the_whole_book_and_has_no_line(labs, flags):
    result = labs.tangle("-l", "1", *flags)
    assert result.returncode != 0
    assert "no UPTO, no LINE" in result.stderr


def test_students_work_is_safe(labs):
    tree = handout(labs, "1")
    work = labs.folder / tree / "kern/whole.c"
    work.write_text("int whole = 42;\n")
    result = labs.tangle("-l", "1", tree=tree)
    assert result.returncode != 0
    assert "lab1/kern/whole.c: edited by hand" in result.stderr
    assert work.read_text() == "int whole = 42;\n"


def make(book_folder, *words):
    return subprocess.run(["make", *words], cwd=book_folder, capture_output=True, text=True, timeout=60)


def test_door_asks_for_the_lab(book_folder):
    result = make(book_folder, "handout")
    assert result.returncode != 0
    assert "make handout LAB=2" in result.stderr


def test_door_refuses_a_lab_that_is_no_number(book_folder):
    result = make(book_folder, "handout", "LAB=two")
    assert result.returncode != 0
    assert "LAB=two: not a number" in result.stderr
