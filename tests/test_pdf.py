"""The book in print and for reading devices: woven/pdf.py, woven/epub.py."""
import html
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import pytest

from conftest import ROOT, Book

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(shutil.which, ("pandoc", "dot", "ctags", "notangle", "xelatex", "rsvg-convert", "pdffonts"))),
        reason="make deps installs what the PDF needs")]

WIDE = "/* " + "0123456789" * 7 + "1234 */"             # 80 columns
SCREEN = "vmx: entry rule broken: guest TR access rights (0x4822) = 0x1008b: TR must be usable (26.3.1.2)"

YAML = """\
title: A sample & a test
subtitle: Of print
lang: en
rights: "Text CC BY 4.0, code MIT"
parts:
  - {title: "I. The part", first: 2, last: 2}
  - {title: "Appendices", first: A, last: Z}
"""

ONE = """\
# The first

The word [[<<print a number>>]] names a chunk, [[put]] a function, [[a_b %d & \\n {x}]] is odd.[^note]
100 % of $5, #1, ^ and ~ and \\_; a [link](https://example.org/a_b?c=%20d&e#f).

[^note]: A note with [[put]] at the foot.

<<kern/main.c>>=
#include <inc/put.h>

int
main(void)
{
	@WIDE@
	char c = '\\\\', *s = "100% \\n {#$&_^~} `'";
	<<print a number>>
	return put(s);
}
@

## What it prints – [[put]] {#printing}

See [](#fig:boxes), [](#ch:02-second) and [](#tbl:numbers). As in [](#bib:one-1974), [a term](#gl:term).

<<print a number>>=
put("1");
@

![What follows what, with [[put]] in it. More.](figures/boxes.svg){#fig:boxes alt="One box leads to another."}

```{.transcript tree="upto-01" run="qemu-nox" cpus="2"}
@SCREEN@
K> help { } % \\
```

```
plain text
```

::: {#tbl:numbers}
| a | b |
| - | - |
| 1 | two, with [[put]] |

: Numbers in words.
:::

::: {.manual sec="vmx-enabling ept"}
- The rule.

| bit | meaning |
| -- | -- |
| 0 | lock |
:::

::: solution
Secret one.
:::

## Exercises

1. Why is this so?

   ::: answer
   The answer is 42.
   :::
""".replace("@WIDE@", WIDE).replace("@SCREEN@", SCREEN)

FILLER = "The paragraph stands here to fill a page, and it says so. " * 30 + "\n\n"

TWO = """\
# The second

It goes on.

<<inc/put.h>>=
int put(const char *text);
@

## A page later

""" + FILLER * 4 + """
## And another

<<print a number>>=
put("2");
@
"""

GLOSSARY = """\
# Glossary

[term]{#gl:term}
:   A word with a meaning, [](#ch:01-first).
"""

BIBLIOGRAPHY = """\
# Bibliography

1. []{#bib:one-1974}One. *First*. <https://example.org/one>
"""


def weave(folder, *arguments, timeout=120):
    return subprocess.run([sys.executable, ROOT / "woven/weave", *arguments, ".", "out"], cwd=folder,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)


def make(folder):
    book = Book(folder)
    book.write("book.yaml", YAML)
    book.write("01-first.nw", ONE)
    book.write("02-second.nw", TWO)
    book.write("D-glossary.nw", GLOSSARY)
    book.write("E-bibliography.nw", BIBLIOGRAPHY)
    book.write("figures/boxes.dot", "digraph { a -> b }")
    return book


class Pdf:
    """What the tests ask of a PDF, and of the folder in which it was made."""

    def __init__(self, path, work):
        self.path, self.work = path, work
        text = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, text=True).stdout
        self.pages = [""] + text.split("\f")            # the first is page 1
        self.text = text
        self.log = (work / "book.log").read_text(errors="replace")
        self.tex = {p.name: p.read_text() for p in work.glob("*.tex")}

    def page_of(self, pattern, after=1):
        """The first page from `after` on whose text has the pattern."""
        return next(n for n, page in enumerate(self.pages) if n >= after and re.search(pattern, page))

    def info(self):
        run = subprocess.run(["pdfinfo", self.path], capture_output=True, text=True)
        return dict(re.findall(r"^(\w[\w ]*):\s*(.*)$", run.stdout, re.M))

    def loose_fonts(self):
        """Fonts that aren't embedded, or are pictures."""
        rows = subprocess.run(["pdffonts", self.path], capture_output=True, text=True).stdout.split("\n")[2:]
        return [row for row in rows if row.strip() and
                (not re.search(r" yes (yes|no)\s+(yes|no)\s+\d+\s+\d+$", row) or "Type 3" in row)]

    def overfull(self):
        return re.findall(r"^Overfull \\hbox.*\n.*", self.log, re.M)

    def loose_links(self):
        """Keys that a link names and no place has."""
        marked = set(re.findall(r"^\\bk\{(.*?)\}", (self.work / "book.aux").read_text(), re.M))
        used = {k for text in self.tex.values()
                for k in re.findall(r"\\(?:[IGRNUXP]|AnswerAt|Toc\w+|FigureLine)\{([^{}#]+/[^{}#]*)\}", text)}
        assert len(used) > 20
        return sorted(used - marked)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The sample book in both formats and both editions."""
    folder = tmp_path_factory.mktemp("print") / "book"
    make(folder)
    for flags in ([], ["-e", "student"]):
        run = weave(folder, *flags, "pdf", "epub")
        assert run.returncode == 0, run.stderr
        assert not run.stderr
    return folder


@pytest.fixture(scope="module")
def pdf(sample):
    return Pdf(sample / "out/book.pdf", sample / "out/build/print")


@pytest.fixture(scope="module")
def student(sample):
    return Pdf(sample / "out/book-student.pdf", sample / "out/build/student/print")


# ----------------------------------------------------------------- PDF

def test_a_pdf_knows_its_title_and_brings_its_fonts(pdf, student):
    for book in (pdf, student):
        assert book.info()["Title"] == "A sample & a test"
        assert not book.loose_fonts()
    data = pdf.path.read_bytes()
    assert b"/Lang" in data or b"/ObjStm" in data


def test_no_line_is_too_wide(pdf):
    assert not pdf.overfull()
    assert "Missing character" not in pdf.log
    assert WIDE in pdf.text                 # 80 columns in one piece
    assert SCREEN in re.sub(r"\n {20,}", " ", pdf.text)     # 97, made narrower


def test_code_comes_out_as_it_is_written(pdf):
    flat = re.sub(r"[ \n]+", " ", pdf.text)
    assert """char c = '\\\\', *s = "100% \\n {#$&_^~} `'";""" in flat
    assert "a_b %d & \\n {x} is odd" in flat
    assert "100 % of $5, #1, ^ and ~ and _;" in flat
    assert "K> help { } % \\" in flat


def test_every_link_has_its_place(pdf, student):
    for book in (pdf, student):
        assert not book.loose_links()
        assert "??" not in book.text


def test_chunks_say_where_they_go_on_and_the_page(pdf):
    first = pdf.page_of(r"⟨ ?print a number\s+1\.2 ?⟩\s*≡")
    more = pdf.page_of(r"⟨ ?print a number\s+2\.2 ?⟩\s*\+≡")
    user = pdf.page_of(r"⟨ ?kern/main\.c\s+1\.1 ?⟩\s*≡")
    assert more > first
    assert f"Used in chunk 1.1, page {user}." in pdf.pages[first]
    assert f"Continued in 2.2, page {more}." in pdf.pages[first]
    assert f"Continues 1.2, page {first}." in pdf.pages[more]
    assert re.search(r"⟨ ?print a number 1\.2 ?⟩.*\n*.*kern/main\.c, in main", pdf.pages[first])


def test_contents_figures_and_indexes_have_the_pages(pdf):
    second = pdf.page_of(r"Chapter 2")
    later = pdf.page_of(r"A page later\n", second)
    contents = pdf.pages[pdf.page_of(r"^\s*Contents")]
    assert re.search(rf"^\s*2\s+The second[ .]+{second}$", contents, re.M)
    assert re.search(rf"2\.1\s+A page later[ .]+{later}$", contents, re.M)
    assert re.search(r"I\. The part", contents)
    figure = pdf.page_of(r"Figure 1\.1\.")
    figures = pdf.pages[pdf.page_of(r"^\s*Figures\n", later)]
    assert re.search(rf"1\.1\s+What follows what, with put in it[ .]+{figure}$", figures, re.M)
    index = pdf.pages[pdf.page_of(r"^\s*Identifiers\n", later)]
    main = pdf.page_of(r"main\(void\)")
    assert re.search(rf"\bmain {main}\b", index)
    chunks = pdf.pages[pdf.page_of(r"^\s*Files and chunks\n", later)]
    assert re.search(r"⟨ ?print a number ?⟩ \d+, \d+", chunks)


def test_pages_have_running_heads_and_numbers(pdf):
    page = pdf.page_of("And another\n", pdf.page_of("Chapter 2") + 1)
    lines = [l.strip() for l in pdf.pages[page].strip().split("\n")]
    assert re.match(r"2 The second\s+2\.\d (A page later|And another)", lines[0])
    assert lines[-1] == str(page)


def test_bookmarks_lead_to_chapters_and_sections(pdf, tmp_path):
    subprocess.run(["pdftohtml", "-q", "-xml", "-i", pdf.path, tmp_path / "book"], check=True, timeout=60)
    marks = [html.unescape(t) for t in
             re.findall(r'<item page="\d+">(.*?)</item>', (tmp_path / "book.xml").read_text())]
    for title in ("Contents", "1 The first", "I. The part", "2.1 A page later", "Identifiers"):
        assert title in marks


def test_figures_are_drawings(pdf):
    images = subprocess.run(["pdfimages", "-list", pdf.path], capture_output=True, text=True).stdout
    assert len(images.strip().split("\n")) == 2         # the heading alone


def test_numbers_of_bibliography_tables_and_the_manual(pdf):
    page = pdf.text[pdf.text.index("What it prints"):]
    assert "See Figure 1.1, chapter 2 and Table 1.1. As in [1], a term." in re.sub(r"\s+", " ", page)
    assert "Table 1.1. Numbers in words." in pdf.text
    assert re.search(r"Manual\s+Enabling.*\(June 2016\)", pdf.text)


def test_answers_stand_in_an_appendix(pdf, student):
    at = pdf.page_of(r"Appendix F")
    assert pdf.page_of("The answer is 42") == at
    assert f"Answer on page {at}." in pdf.text
    assert "Secret one" in pdf.text
    for secret in ("The answer is 42", "Answer on page", "Secret one", "Appendix F"):
        assert secret not in student.text
    assert "Students’ edition" in student.text


def test_what_is_typeset_is_remembered(tmp_path):
    folder = tmp_path / "book"
    book = make(folder)
    assert weave(folder, "pdf").returncode == 0
    log, target = folder / "out/build/print/book.log", folder / "out/book.pdf"
    before = log.stat().st_mtime_ns
    assert weave(folder, "pdf").returncode == 0
    assert log.stat().st_mtime_ns == before             # xelatex didn't run
    book.write("02-second.nw", TWO.replace("It goes on.", FILLER * 4))
    assert weave(folder, "pdf").returncode == 0
    moved = Pdf(target, folder / "out/build/print")
    assert moved.page_of(r"A page later\n", moved.page_of("Chapter 2") + 1)
    page = moved.page_of(r"⟨ ?print a number\s+2\.2 ?⟩")
    assert f"Continued in 2.2, page {page}." in moved.text
    # Slides aren't in print, but a change of them is one of the book.
    book.write("02-second.nw", TWO.replace("It goes on.", FILLER * 4) + "\n::: slide\n### A\n:::\n")
    os.utime(folder / "chapters/02-second.nw", (2e9, 2e9))
    assert weave(folder, "pdf").returncode == 0
    # And it's what would be made of nothing that is remembered, at another time.
    assert weave(folder, "epub").returncode == 0
    (folder / "out").rename(folder / "warm")
    assert weave(folder, "pdf", "epub").returncode == 0
    for name in ("book.pdf", "book.epub"):
        assert (folder / "out" / name).read_bytes() == (folder / "warm" / name).read_bytes(), name


def test_a_run_that_is_killed_does_no_harm(tmp_path):
    folder = tmp_path / "book"
    book = make(folder)
    assert weave(folder, "pdf").returncode == 0
    old = (folder / "out/book.pdf").read_bytes()
    book.write("02-second.nw", TWO.replace("It goes on.", FILLER * 4))
    aux = folder / "out/build/print/book.aux"
    before = aux.stat().st_mtime_ns
    run = subprocess.Popen([sys.executable, ROOT / "woven/weave", "pdf", ".", "out"], cwd=folder,
                           stderr=subprocess.DEVNULL, start_new_session=True)
    while aux.stat().st_mtime_ns == before and run.poll() is None:
        time.sleep(.01)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait(60)
    assert (folder / "out/book.pdf").read_bytes() == old
    aux.write_text(r"\bk{cut")                          # if it wasn't cut off by now
    (folder / "out/book.epub.new").write_text("")       # of another that was killed
    assert weave(folder, "pdf").returncode == 0
    assert {p.name for p in (folder / "out").iterdir()} == {"build", "book.pdf"}
    assert "The paragraph stands here" in Pdf(folder / "out/book.pdf", aux.parent).text


def test_a_fault_leaves_the_last_good_book(tmp_path):
    folder = tmp_path / "book"
    book = make(folder)
    assert weave(folder, "pdf", "epub").returncode == 0
    old = [(folder / "out" / name).read_bytes() for name in ("book.pdf", "book.epub")]
    book.write("02-second.nw", TWO.replace("It goes on.", "It goes on, 中."))
    run = weave(folder, "pdf")
    assert run.returncode == 1
    assert "chapters/02-second.nw:3: the fonts of the PDF have no 中" in run.stderr
    book.write("02-second.nw", TWO + "\n![](figures/none.svg){#fig:none alt='x'}\n")
    for kind in ("pdf", "epub"):
        run = weave(folder, kind)
        assert run.returncode == 1 and re.search(r"chapters/02-second\.nw:\d+: no source of this figure", run.stderr)
    assert old == [(folder / "out" / name).read_bytes() for name in ("book.pdf", "book.epub")]


# ----------------------------------------------------------------- EPUB

def epubcheck(path):
    """What epubcheck has to say against a book."""
    program = shutil.which("epubcheck")
    if not program:
        pytest.skip("make deps installs epubcheck")
    with open(program, "rb") as file:
        jar = file.read(2) == b"PK"                     # Debian: the program is the archive itself
    command = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-jar", os.path.realpath(program)] \
        if jar else [program]
    run = subprocess.run([*command, path], capture_output=True, text=True, timeout=400)
    said = run.stdout + run.stderr
    assert "0 fatals / 0 errors / 0 warnings" in said or \
        not re.search(r"^(FATAL|ERROR|WARNING)", said, re.M), said[-3000:]
    assert run.returncode == 0, said[-3000:]


def test_the_epub_is_sound(sample):
    for name in ("book.epub", "book-student.epub"):
        epubcheck(sample / "out" / name)


@pytest.fixture(scope="module")
def epub(sample):
    with zipfile.ZipFile(sample / "out/book.epub") as archive:
        first = archive.infolist()[0]
        assert first.filename == "mimetype" and first.compress_type == zipfile.ZIP_STORED
        return {n: archive.read(n) for n in archive.namelist()}


def test_the_epub_has_the_chapters_in_order(epub):
    package = epub["EPUB/content.opf"].decode()
    spine = re.findall(r'idref="f-(.*?)"', package)
    assert spine == ["title.xhtml", "nav.xhtml", "01-first.xhtml", "02-second.xhtml", "A-headers.xhtml"][:4] + \
        [s for s in spine[4:]]
    assert spine[4:8] == ["C-manual-sections.xhtml", "D-glossary.xhtml", "E-bibliography.xhtml", "F-answers.xhtml"]
    assert "<dc:title>A sample &amp; a test: Of print</dc:title>" in package
    nav = epub["EPUB/nav.xhtml"].decode()
    assert "<span>I. The part</span>" in nav
    assert '<a href="02-second.xhtml#a-page-later">2.1 A page later</a>' in nav


def test_the_epub_has_answers_apart_and_nothing_that_runs(epub, sample):
    chapter = epub["EPUB/01-first.xhtml"].decode()
    assert "<details" not in chapter and "The answer is 42" not in chapter
    assert '<a href="F-answers.xhtml#answer-1-1">Answer</a>' in chapter
    assert "The answer is 42" in epub["EPUB/F-answers.xhtml"].decode()
    everything = b"".join(v for k, v in epub.items() if k.endswith(".xhtml"))
    assert b"<script" not in everything and b".html#" not in everything
    with zipfile.ZipFile(sample / "out/book-student.epub") as archive:
        names = archive.namelist()
        students = b"".join(map(archive.read, names))
    assert "EPUB/F-answers.xhtml" not in names
    for secret in (b"The answer is 42", b"Secret one"):
        assert secret in everything and secret not in students
    assert "Students’ edition".encode() in students


def test_the_epub_sets_no_colours_of_text(epub):
    css = epub["EPUB/epub.css"].decode()
    assert set(re.findall(r"(?<![-\w])color:\s*(\w+)", css)) == {"inherit"}


# ----------------------------------------------------------------- the book itself

def test_the_whole_book_in_print(request):
    """Kept in pytest's cache, so that a second run typesets only what changed."""
    out = request.config.cache.mkdir("print")
    warm = (out / "book.pdf").exists()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run([sys.executable, ROOT / "woven/weave", "pdf", "epub", ROOT, out], capture_output=True,
                         text=True, stdin=subprocess.DEVNULL, timeout=1200)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run.returncode == 0, run.stderr
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used < (90 if warm else 240), f"{used:.0f} s of processor time"
    pdf = Pdf(out / "book.pdf", out / "build/print")
    assert int(pdf.info()["Pages"]) > 500
    assert not pdf.loose_fonts()
    assert not pdf.overfull()
    assert not pdf.loose_links()
    assert "Missing character" not in pdf.log and "??" not in pdf.text.replace("????", "")
    epubcheck(out / "book.epub")
