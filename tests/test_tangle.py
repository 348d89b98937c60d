"""How code comes out of the chapters: tangle/tangle, its lint and its filters."""
import os
import re
import shutil
import stat
import subprocess
import sys
import time

import pytest

ONE = """\
# One

A file with an extension point, see [[<<statements of main>>]] and [[a[b[0]]]].

<<kern/main.c>>=
#include <inc/number.h>

int
main(void)
{
	<<statements of main>>
	return 1 @<< 3 >> 1;
}
@

<<GNUmakefile>>=
main: kern/main.c
	gcc -I. -o $@ $<
@

<<tools/hello>>=
#!/bin/sh
echo hello
@
"""
TWO = """\
# Two

<<statements of main>>=
int x = NUMBER;
@

<<kern/two.c>>=
int two;
@
"""
THREE = """\
# Three

<<statements of main>>=
x++;
@
"""


@pytest.fixture
def sample(book):
    book.write("01-one.nw", ONE)
    book.write("02-two.nw", TWO)
    book.write("03-three.nw", THREE)
    book.write("book.yaml", "title: A sample\n")
    book.write("inc/number.h", "#define NUMBER 5\n")
    return book


def state(book, tree="tree"):
    """Names, contents and time stamps of a tree: what must not change."""
    top = book.folder / tree
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in top.rglob("*") if path.is_file()}


def good(result):
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def refused(book, *flags, place=None, says=""):
    """The tangle fails, names the place, and leaves an older tree as it was."""
    before = state(book)
    result = book.tangle(*flags)
    assert result.returncode != 0, result.stdout
    assert state(book) == before
    assert not list(book.folder.glob(".stage*"))
    assert says in result.stderr
    if place:
        assert re.search(f"^{re.escape(place)}: .*{re.escape(says)}", result.stderr, re.M), result.stderr
    return result.stderr


# --- the tree

def test_tree(sample):
    assert good(sample.tangle()) == "tree: 5 files, 5 new, 0 changed, 0 deleted\n"
    tree = sample.tree()
    assert sorted(tree) == ["GNUmakefile", "inc/number.h", "kern/main.c", "kern/two.c", "tools/hello"]
    assert tree["kern/main.c"] == """\
#include <inc/number.h>

int
main(void)
{
	int x = NUMBER;
	x++;
	return 1 << 3 >> 1;
}
"""
    assert tree["GNUmakefile"] == "main: kern/main.c\n\tgcc -I. -o $@ $<\n"
    assert tree["inc/number.h"] == "#define NUMBER 5\n"


def test_scripts_are_executable(sample):
    good(sample.tangle())
    assert (sample.folder / "tree/tools/hello").stat().st_mode & stat.S_IXUSR
    assert not (sample.folder / "tree/kern/main.c").stat().st_mode & stat.S_IXUSR


def test_second_tangle_touches_nothing(sample):
    good(sample.tangle())
    before = state(sample)
    assert good(sample.tangle()) == "tree: 5 files, 0 new, 0 changed, 0 deleted\n"
    assert state(sample) == before


def test_one_line_changes_one_file(sample):
    good(sample.tangle())
    before = state(sample)
    sample.write("02-two.nw", TWO.replace("int two", "int too"))
    assert "1 changed" in good(sample.tangle())
    after = state(sample)
    changed = {os.path.basename(path) for path in after if before[path] != after[path]}
    assert changed == {"two.c", ".tangled"}


def test_header_is_copied_when_it_changes(sample):
    good(sample.tangle())
    sample.write("inc/number.h", "#define NUMBER 6\n")
    assert "1 changed" in good(sample.tangle())
    assert sample.tree()["inc/number.h"] == "#define NUMBER 6\n"


def test_file_that_is_no_root_any_more_goes(sample):
    sample.write("04-four.nw", "# Four\n\n<<far/away/x.c>>=\nint x;\n@\n")
    good(sample.tangle())
    built = sample.folder / "tree/obj/far.o"
    built.parent.mkdir()
    built.write_text("built")
    (sample.folder / "tree/notes").write_text("mine")
    (sample.folder / "chapters/04-four.nw").unlink()
    assert "1 deleted" in good(sample.tangle())
    assert not (sample.folder / "tree/far").exists()
    assert built.read_text() == "built"
    assert (sample.folder / "tree/notes").read_text() == "mine"


def test_missing_file_comes_back(sample):
    good(sample.tangle())
    (sample.folder / "tree/kern/two.c").unlink()
    assert "1 new" in good(sample.tangle())
    assert "kern/two.c" in sample.tree()


def test_edited_file_is_safe(sample):
    good(sample.tangle())
    edited = sample.folder / "tree/kern/two.c"
    edited.write_text("int mine;\n")
    # Neither a change of the chapter nor its end takes the edit away.
    refused(sample, says="kern/two.c: edited by hand")
    sample.write("02-two.nw", TWO.replace("int two", "int too"))
    refused(sample, says="kern/two.c: edited by hand")
    sample.write("02-two.nw", TWO.replace("kern/two.c", "kern/to.c"))
    refused(sample, says="kern/two.c: edited by hand")
    sample.write("02-two.nw", TWO)
    good(sample.tangle("-f"))
    assert sample.tree()["kern/two.c"] == "int two;\n"


def test_same_edit_in_chapter_and_tree_agree(sample):
    good(sample.tangle())
    (sample.folder / "tree/kern/two.c").write_text("int too;\n")
    sample.write("02-two.nw", TWO.replace("int two", "int too"))
    good(sample.tangle())
    good(sample.tangle())


def test_tree_anywhere(sample, tmp_path):
    good(sample.tangle(tree=str(tmp_path / "far/away")))
    assert (tmp_path / "far/away/kern/main.c").exists()


def test_book_with_blanks_in_its_path(sample, tmp_path):
    (tmp_path / "a b").mkdir()
    shutil.move(sample.folder, tmp_path / "a b/the book")
    sample.folder = tmp_path / "a b/the book"
    good(sample.tangle(tree="my tree"))
    good(sample.tangle("-L", tree="my lines"))
    assert "kern/main.c" in sample.tree("my tree")


# --- prefixes

def test_prefix(sample):
    good(sample.tangle("-u", "1"))
    tree = sample.tree()
    assert sorted(tree) == ["GNUmakefile", "inc/number.h", "kern/main.c", "tools/hello"]
    assert tree["kern/main.c"].split("{")[1].split() == "return 1 << 3 >> 1; }".split()
    good(sample.tangle("-u", "02"))
    tree = sample.tree()
    assert "int x = NUMBER;" in tree["kern/main.c"] and "x++" not in tree["kern/main.c"]


def test_prefix_without_code(sample):
    sample.write("00-preface.nw", "# Preface\n")
    good(sample.tangle("-u", "0"))
    assert sorted(sample.tree()) == ["inc/number.h"]


def test_whole_prefix_is_the_whole_book(sample):
    good(sample.tangle("-u", "03"))
    prefix = sample.tree()
    good(sample.tangle())
    assert sample.tree() == prefix


def test_appendix_is_in_the_whole_book_only(sample):
    sample.write("A-more.nw", "# More\n\n<<kern/more.c>>=\nint more;\n@\n")
    good(sample.tangle())
    assert "kern/more.c" in sample.tree()
    good(sample.tangle("-u", "03"))
    assert "kern/more.c" not in sample.tree()


@pytest.mark.parametrize("upto", ["4", "00", "A", "x"])
def test_prefix_up_to_a_chapter_that_is_not_there(sample, upto):
    sample.write("A-more.nw", "# More\n")
    good(sample.tangle())
    refused(sample, "-u", upto, says=f"UPTO={upto}: there is no such chapter; the book has 01, 02, 03")


def test_prefix_does_not_hide_a_name_that_is_defined_nowhere(sample):
    sample.write("02-two.nw", TWO.replace("int two;", "<<never>>"))
    good(sample.tangle("-u", "1"))
    refused(sample, "-u", "2", place="chapters/02-two.nw:8", says="undefined chunk <<never>>")


def test_prefix_is_not_stopped_by_a_later_chapter(sample):
    sample.write("03-three.nw", THREE + "A bare << here.\n")
    good(sample.tangle("-u", "2"))
    refused(sample, place="chapters/03-three.nw:6")


# --- #line

def test_line_numbers(sample):
    good(sample.tangle("-L", tree="out/lines"))
    tree = sample.tree("out/lines")
    assert '#line 4 "../../chapters/02-two.nw"\nint x' in tree["kern/main.c"]
    assert "#line" not in tree["GNUmakefile"] + tree["tools/hello"] + tree["inc/number.h"]


def test_compiler_names_the_chapter(sample):
    sample.write("02-two.nw", TWO.replace("int x = NUMBER", "int x = NONE"))
    good(sample.tangle("-L", tree="out/lines"))
    result = subprocess.run(["make", "-C", "out/lines"], cwd=sample.folder, capture_output=True, text=True)
    assert "chapters/02-two.nw:4:" in result.stderr
    # The path is good where make runs: gcc found the line to show it.
    assert "int x = NONE;" in result.stderr


def test_dropped_stub_keeps_the_line_numbers(sample):
    stub = "<<statements of main (exercise 1)>>=\nint x = 0;\n@\n\n"
    sample.write("03-three.nw", THREE.replace("<<statements", stub + "<<statements", 1))
    good(sample.tangle("-L"))
    assert '#line 8 "../chapters/03-three.nw"\nx++;' in sample.tree()["kern/main.c"]


# --- faults, each with its place

FAULTS = {
    "undefined chunk":
        ("<<a.d/b>>=\n<<never>>\n@\n", 2, "undefined chunk <<never>>"),
    "misspelt chunk":
        ("<<a.d/b>>=\n<<the chunk>>\n@\n\n<<the chunks>>=\n@\n", 2, "is it <<the chunks>>?"),
    "unused chunk":
        ("<<left over>>=\nint x;\n@\n", 1, "unused chunk <<left over>>"),
    "unused one-word chunk":
        ("<<leftover>>=\nint x;\n@\n", 1, "unused chunk <<leftover>>"),
    "file of two chapters":
        ("<<kern/two.c>>=\nint x;\n@\n", 1, "is a file of another chapter: chapters/02-two.nw:7"),
    "file that is a header of inc":
        ("<<inc/number.h>>=\nint x;\n@\n", 1, "is there already"),
    "file where a folder is":
        ("<<kern/two.c/x>>=\nint x;\n@\n", 1, "is a file, not a folder"),
    "file outside the tree":
        ("<<../x>>=\nint x;\n@\n", 1, "not a path inside the tree"),
    "file in the root folder":
        ("<</etc/x>>=\nint x;\n@\n", 1, "not a path inside the tree"),
    "file in obj":
        ("<<obj/x>>=\nint x;\n@\n", 1, "not a path inside the tree"),
    "file that is used":
        ("<<a.d/b>>=\n<<kern/two.c>>\n@\n", 2, "is a file of the tree: no chunk can use it"),
    "chunk that uses itself":
        ("<<a.d/b>>=\n<<ring>>\n@\n\n<<ring>>=\nx\n<<ring>>\n@\n", 7, "<<ring>> -> <<ring>>"),
    "chunk that uses itself by way of another":
        ("<<a.d/b>>=\n<<ring>>\n@\n\n<<ring>>=\n<<rong>>\n@\n\n<<rong>>=\n<<ring>>\n@\n", 10,
         "a chunk that uses itself"),
    "ring that nothing else uses":
        ("<<ring>>=\n<<rong>>\n@\n\n<<rong>>=\n<<ring>>\n@\n", 6, "a chunk that uses itself"),
    "stub that uses its solution":
        ("<<a.d/b>>=\n<<ring>>\n@\n\n<<ring>>=\nx\n@\n\n<<ring (exercise 1)>>=\n<<ring>>\n@\n", 10,
         "<<ring>> -> <<ring>>"),
    "two shifts":
        ("<<a.d/b>>=\nx = 1 << 3 >> 1;\n@\n", 2, "<< 3 >> looks like two shifts"),
    "two shifts of names":
        ("<<a.d/b>>=\nx = (1<<a) | (y>>b);\n@\n", 2, "looks like two shifts"),
    "text after @":
        ("<<a.d/b>>=\nint x;\n@ and so on\n", 3, "let `@` stand alone"),
    "%def":
        ("<<a.d/b>>=\nint x;\n@ %def x\n", 3, "let `@` stand alone"),
    "blank after @":
        ("<<a.d/b>>=\nint x;\n@ \n", 3, "let `@` stand alone"),
    "@ in prose":
        ("Text.\n@\n", 2, "`@` with no code chunk open"),
    "chunk that is not closed":
        ("<<a.d/b>>=\nint x;\n", 1, "never closed"),
    "chunk inside a chunk":
        ("<<a.d/b>>=\nint x;\n<<a.d/c>>=\nint y;\n@\n", 3, "<<a.d/b>> (line 1) was not closed"),
    "indented definition":
        ("<<a.d/b>>=\n  <<kern/x>>=\n@\n", 2, "must start in the first column"),
    "unclosed [[":
        ("See [[x and\nsee y]] there.\n", 1, "[[ without its ]]"),
    "second [[ unclosed":
        ("See [[x]] and [[y.\n", 1, "[[ without its ]]"),
    "<< in prose":
        ("Shift by 1 << 3.\n", 1, "<< in prose"),
    "<< in backquotes":
        ("Shift by `1 << 3`.\n", 1, "<< in prose"),
    "chunk reference in prose":
        ("See <<statements of main>>.\n", 1, "<< in prose"),
    "prose speaks of no chunk":
        ("See [[<<statement of main>>]].\n", 1, "the text speaks of <<statement of main>>"),
    "blank at the end of a name":
        ("<<a.d/b>>=\n<<one >>\n@\n\n<<one>>=\n@\n", 2, "undefined chunk <<one >>; is it <<one>>?"),
    "odd blanks on both sides":
        ("<<a.d/b>>=\n<< one>>\n@\n\n<< one>>=\n@\n", 5, "odd blanks"),
    "two blanks in a name":
        ("<<a.d/b>>=\n<<one  two>>\n@\n\n<<one  two>>=\n@\n", 5, "odd blanks"),
    "chunk with no name":
        ("<<>>=\n@\n", 1, "no name"),
    "reference in a macro":
        ("<<a.d/b>>=\n#define X \\\n\t<<body>>\n@\n\n<<body>>=\n1\n@\n", 3, "continued with a backslash"),
    "reference at a macro's start":
        ("<<a.d/b>>=\n#define X <<body>> \\\n\t+ 1\n@\n\n<<body>>=\n1\n@\n", 2, "continued with a backslash"),
    "long name":
        (f"<<a.d/b>>=\n<<{'n' * 256}>>\n@\n\n<<{'n' * 256}>>=\n@\n", 5, "more than 255 bytes"),
    "long line":
        ("<<a.d/b>>=\n\t" + "x" * 73 + "\n@\n", 2, "code line of 81 columns, over 80"),
    "trailing blank":
        ("<<a.d/b>>=\nint x; \n@\n", 2, "trailing blanks"),
    "trailing tab":
        ("<<a.d/b>>=\n\t\n@\n", 2, "trailing blanks"),
    "blank after a definition":
        ("<<a.d/b>>= \nx\n@\n", 1, "trailing blanks"),
    "CRLF":
        ("Text.\r\n", 1, "CRLF"),
    "not UTF-8":
        (b"Text.\n\nGr\xfc\xdfe.\n", 3, "not UTF-8"),
    "byte order mark":
        (b"\xef\xbb\xbf# Text\n", 1, "byte order mark"),
    "control character":
        ("Text\x07\n", 1, "control character"),
    "no newline at the end":
        ("Text", 1, "no newline"),
    "stub without its solution":
        ("<<a.d/b>>=\nint x;\n@\n\n<<a.d/c (exercise 1)>>=\n@\n", 5, "has no solution: there is no <<a.d/c>>"),
    "exercise without a number":
        ("<<a.d/b>>=\n@\n\n<<a.d/b (exercise)>>=\n@\n", 4, "N the number of the lab"),
    "exercise with a word":
        ("<<a.d/b>>=\n@\n\n<<a.d/b (exercise two)>>=\n@\n", 4, "N the number of the lab"),
    "stub that is used":
        ("<<a.d/b>>=\n<<c (exercise 1)>>\n@\n\n<<c>>=\n@\n\n<<c (exercise 1)>>=\n@\n", 2,
         "use the solution's name"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault(sample, fault):
    text, line, says = FAULTS[fault]
    good(sample.tangle())
    sample.write("04-four.nw", text)
    refused(sample, place=f"chapters/04-four.nw:{line}", says=says)


def test_all_faults_at_once(sample):
    sample.write("03-three.nw", THREE.replace("x++;", "x++; "))
    sample.write("04-four.nw", "A << B\n\n<<left over>>=\n@\n")
    text = refused(sample)
    assert re.findall(r"^chapters/\S+?:\d+", text, re.M) == [
        "chapters/03-three.nw:4", "chapters/04-four.nw:1", "chapters/04-four.nw:3"]
    assert "3 errors" in text


@pytest.mark.parametrize("text", [
    "A shift, 1 @<< 3, and [[x @<< 3]], and `@<<`.\n",
    "An index, [[a[b[0]]]], and [[<<statements of main>>]], and @[[ alone.\n",
    "Escaped: mail@example.org, and a table | @ |.\n",
    "<<a.d/b>>=\nx = 1 @<< 3 >> 1;\n@\n",
    "<<a.d/b>>=\nx = a >> 1;\ny = 1 << 2;\n@@section\n@\n",
    "<<a.d/b>>=\n\t" + "x" * 72 + "\n@\n",
    "<<a.d/b>>=\nx\n@\n\nIt goes on.\n\n<<a.d/b>>=\ny\n@\n",
    "Grüße.\n\n<<a.d/b>>=\n/* ü */\n@\n",
    "<<a.d/b>>=\n<<ask; then answer>>\n@\n\n<<ask; then answer>>=\n@\n",
    "<<.gdbinit>>=\nset x\n@\n",
])
def test_no_fault(sample, text):
    sample.write("04-four.nw", text)
    good(sample.tangle())


@pytest.mark.parametrize("name", ["notes.txt", "4-four.nw", "04-four.txt", "04_four.nw", "AA-four.nw",
                                  "four.nw", "04-Four.nw", "04-four.nw.bak"])
def test_file_that_is_no_chapter(sample, name):
    good(sample.tangle())
    sample.write(name, "# Four\n")
    refused(sample, place=f"chapters/{name}:1", says="not a chapter")


def test_folder_among_the_chapters(sample):
    good(sample.tangle())
    (sample.folder / "chapters/04-four.nw").mkdir()
    refused(sample, place="chapters/04-four.nw:1", says="not a chapter")


@pytest.mark.parametrize("name", [".03-three.nw.swp", "03-three.nw~", "#03-three.nw#", ".#03-three.nw"])
def test_an_editors_own_files_do_no_harm(sample, name):
    sample.write(name, b"\xff\0")
    good(sample.tangle())


@pytest.mark.parametrize("name, there", [("02-again.nw", "02-again.nw"), ("A-more.nw", "A-again.nw")])
def test_two_chapters_with_one_number(sample, name, there):
    good(sample.tangle())
    sample.write("A-again.nw", "# Again\n")
    sample.write(name, "# Again\n")
    refused(sample, says="is there already: chapters/" + there)


def test_no_chapters(book):
    refused(book, says="no chapters")


def test_draft(sample):
    sample.write("04-four.nw", "<<a.d/b>>=\nx\n<<to come>>\ny \n@\n\n<<left over>>=\n@\n")
    refused(sample)
    result = sample.tangle("-d")
    assert result.returncode == 0
    assert "chapters/04-four.nw:3: note: undefined chunk <<to come>>" in result.stderr
    assert "chapters/04-four.nw:4: note: trailing blanks" in result.stderr
    assert "chapters/04-four.nw:7: note: unused chunk <<left over>>" in result.stderr
    assert sample.tree()["a.d/b"].split() == ["x", "y"]


def test_chunk_of_a_chapter_still_to_come(sample):
    sample.write("04-four.nw", "<<a.d/b>>=\nx\n<<struct Env: more>>\n<<later>>\ny\n@\n")
    refused(sample, says="undefined chunk <<struct Env: more>>")
    sample.write("book.yaml", "title: A sample\nto come:\n  - \"struct Env: more\"\n  - later\nlang: en\n")
    good(sample.tangle())
    assert sample.tree()["a.d/b"].split() == ["x", "y"]
    sample.write("04-four.nw", "<<a.d/b>>=\nx\n<<later>>\n@\n")
    refused(sample, place="chapters/book.yaml:3", says="no chunk uses it")
    sample.write("04-four.nw", "<<a.d/b>>=\n<<struct Env: more>>\n<<later>>\n@\n\n<<later>>=\n@\n")
    refused(sample, place="chapters/book.yaml:4", says="<<later>> has come: chapters/04-four.nw")


# --- the machinery

@pytest.mark.parametrize("stage", ["markup", "awk", "mnt"])
@pytest.mark.parametrize("flags", [[], ["-u", "2"], ["-L"]])
def test_failing_stage_is_an_error(sample, tmp_path, stage, flags):
    """Each stage of the pipe does its work, and then fails."""
    good(sample.tangle())
    noweb = re.search("^LIB=(.*)", open(shutil.which("notangle")).read(), re.M).group(1)
    fake = tmp_path / "fake"
    fake.mkdir()
    for tool, real in (("markup", noweb + "/markup"), ("mnt", noweb + "/mnt"), ("awk", shutil.which("awk"))):
        (fake / tool).write_text(f'#!/bin/sh\n{real} "$@"\nexit {3 if tool == stage else 0}\n')
        (fake / tool).chmod(0o755)
    sample.write("02-two.nw", TWO.replace("int two", "int too"))
    before = state(sample)
    env = dict(os.environ, NOWEB_LIB=str(fake), PATH=f"{fake}:{os.environ['PATH']}")
    result = sample.tangle(*flags, env=env)
    assert result.returncode == 3
    assert state(sample) == before
    assert not list(sample.folder.glob(".stage*"))


def test_filters_work_in_every_awk(sample, tmp_path):
    awks = [awk for awk in ("gawk", "mawk", "original-awk", "busybox") if shutil.which(awk)]
    trees = []
    for awk in awks:
        fake = tmp_path / awk
        fake.mkdir()
        (fake / "awk").write_text(f'#!/bin/sh\nexec {awk} {"awk" if awk == "busybox" else ""} "$@"\n')
        (fake / "awk").chmod(0o755)
        env = dict(os.environ, PATH=f"{fake}:{os.environ['PATH']}")
        good(sample.tangle("-u", "2", "-L", tree=awk, env=env))
        trees.append(sample.tree(awk))
    assert all(tree == trees[0] for tree in trees)


# --- the real book

def lint(book_folder):
    sys.path.insert(0, str(book_folder / "tangle"))
    import lint as module
    return module


def test_lint_reads_as_noweb_does(book_folder):
    """Every definition and every use that noweb sees, the lint sees at the same line."""
    book = lint(book_folder).Book(str(book_folder))
    book.find_chapters()
    noweb = re.search("^LIB=(.*)", open(shutil.which("notangle")).read(), re.M).group(1)
    stream = subprocess.run([noweb + "/markup", "-t", *book.chapters], capture_output=True, text=True, check=True)
    defined, used, line, quoted = [], [], 0, False
    for token in stream.stdout.splitlines():
        word, _, rest = token.partition(" ")
        if word == "@file":
            path, line = rest, 1
        elif word == "@nl":
            line += 1
        elif word in ("@quote", "@endquote"):
            quoted = word == "@quote"
        elif word == "@defn":
            defined.append((rest, path, line))
        elif word == "@use" and not quoted:
            used.append((rest, path, line))
    for path in book.chapters:
        book.read(path)
    assert sorted(defined) == sorted((name, *place) for name, places in book.defined.items() for place in places)
    assert sorted(used) == sorted((name, *place) for name, uses in book.used.items() for _, place in uses)


def test_book_tangles_quickly(book_folder, tmp_path):
    start = time.monotonic()
    result = subprocess.run([book_folder / "tangle/tangle", ".", tmp_path / "jos"], cwd=book_folder,
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - start < 5


@pytest.mark.slow
def test_tangled_tree_builds_once(book_folder, tmp_path):
    """A second tangle and make compile nothing; a one-line edit compiles one object."""
    shutil.copytree(book_folder / "chapters", tmp_path / "chapters")
    shutil.copytree(book_folder / "inc", tmp_path / "inc")

    def build():
        subprocess.run([book_folder / "tangle/tangle", ".", "jos"], cwd=tmp_path, check=True,
                       capture_output=True, timeout=60)
        result = subprocess.run(["make", "-C", "jos", "-j2", "V=1"], cwd=tmp_path, capture_output=True,
                                text=True, timeout=600)
        assert result.returncode == 0, result.stderr
        return re.findall(r"^.*\s-c\s.*-o (\S+)", result.stdout, re.M)

    assert len(build()) > 10
    assert build() == []
    chapter, = (tmp_path / "chapters").glob("05-*.nw")
    text = chapter.read_text()
    edited = re.sub(r"(?s)(<<kern/page\.c>>=\n)", r"\1/* edited */\n", text, count=1)
    assert edited != text
    chapter.write_text(edited)
    objects = [name for name in build() if "syms" not in name]
    assert sorted(objects) == ["obj/guest/kern/page.o", "obj/kern/page.o"]
