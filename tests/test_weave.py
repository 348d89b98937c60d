"""How pages come out: woven/weave, its back end, its filter, its figures."""
import html
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from conftest import ROOT
from transcripts import transcripts

sys.path.insert(0, str(ROOT / "woven"))
import figures  # noqa: E402
import highlight  # noqa: E402
from book import Ref  # noqa: E402

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("pandoc", "dot", "ctags", "notangle"))),
    reason="make deps installs what the weave needs")

YAML = """\
title: A sample
parts:
  - {title: "Part one", first: 1, last: 1}
  - {title: "Part two", first: 2, last: 9}
  - {title: "Appendices", first: A, last: Z}
"""

ONE = """\
# The first

The word [[<<print a number>>]] names a chunk, [[put]] a function, and
[[1 @<< 3 @>> 1]] is two shifts. Quotes may hold `` ` `` and [[a`b]].[^note]

[^note]: A note at the foot.

<<kern/main.c>>=
#include <inc/put.h>

<<main's state>>

int
main(void)
{
	put("a < b && \\"c\\"");	/* put: not a link */
	if (1 @<< 3 @>> 1 == 4) {
		<<print a number>>
	}
	<<later statements>>
	return state.st_left;
}
@

## What it prints {#printing}

See [](#fig:boxes), [](#ch:02-second) and [](#fig:bits). [](#ch:02-second) is
next, and [](#printing) is here: [back](#printing).

<<print a number>>=
put("1");
@

<<main's state>>=
static struct state { int st_left; } state;
@

![What follows what, with [[put]] in it.](figures/boxes.svg){#fig:boxes alt="One box
leads to [[put]]."}

```{.transcript tree="upto-01" run="qemu-nox" cpus="2" vars="QEMUCPU=max"}
Welcome [[ here ]] 1 @<< 2
K> help
$ ls <x> | num
a	tab
```

## Exercises

1. What?

::: answer
This: [[put]].
:::

1. Why?

   ::: answer
   That.
   :::

::: {.manual sec="processor-controls control-registers"}
Bit 7 is set.
:::

::: solution
Secret.
:::

::: slide
### On the wall

::: notes
Spoken.
:::
:::

| a | b |
| - | - |
| 1 | 2 |
"""

TWO = """\
# The second

It goes on.

<<inc/put.h>>=
void put(const char *text);
@

The same name again, in the chapter after.

<<main's state>>=

int more;

@

<<lib/put.c>>=
#include <inc/put.h>

void
put(const char *text)
{
	int state = 0;

	(void)text;
	(void)state;
}
@

<<print a number (exercise 1)>>=
/* Your code here. */
@

<<GNUmakefile>>=
all:
	$(CC) -o put put.c
@

<<kern/kernel.ld>>=
SECTIONS { .text : AT(0x100000) { *(.text) } }	/* all */
@

<<kern/entry.S>>=
#include <inc/put.h>
	.globl	entry
entry:
	movl	$1, %eax	# one
	call	put
@

![Bits.](figures/bits.svg){#fig:bits alt="Three fields."}
"""

PREFACE = """\
# How to read

Begin with [](#ch:03-lab).

## Tracks

Three.
"""

LAB = """\
# A lab

See [](#tracks). As in [](#bib:two-1999), [the VMCS](#gl:vmcs) holds it.

<<kern/a.c>>=
int
a(void)
{
	<<do it>>
}
@

We do it.

<<do it>>=
int secret_1;

<<a detail>>
@

The rest.

<<a detail>>=
secret_2();
@

<<do it (exercise 1)>>=
return 0;	/* Your code. */
@

::: solution
Because of this.
:::

## Exercises

1. Why?

   ::: answer
   The answer is 42.
   :::
"""

GUIDED = LAB + """
::: instructor
Hints for teachers are in [](#ch:H-guide); see [](#fig:plan).
:::
"""

GUIDE = """\
# For teachers

## Weeks {#weeks}

Ask them for *zebras*, as [](#tracks) says; [[a]].

![A zebra.](figures/plan.svg){#fig:plan alt="Zebras."}

::: {.manual sec="processor-controls"}
Zebras.
:::
"""

GLOSSARY = """\
# Glossary

[VMCS]{#gl:vmcs}
:   A page of state.
"""

BIBLIOGRAPHY = """\
# Bibliography

1. []{#bib:one-1974}One. *First*.
1. []{#bib:two-1999}Two. *Second*.
"""

BITS = {"title": "A word", "bits": 64, "fields": [
    {"name": "P", "from": 0, "to": 0}, {"name": "W & R", "from": 1, "to": 1},
    {"name": "address", "from": 12, "to": 51}, {"name": "NX", "from": 63, "to": 63}]}


class Page(HTMLParser):
    """What the tests ask of a page."""

    VOID = {"meta", "link", "img", "br", "hr", "input", "col"}

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.html = path.read_text()
        self.ids, self.links, self.images, self.codes = [], [], [], []
        self.fetched, self.unbalanced = [], []
        self.stack = []
        self.code = self.small = None
        self.feed(self.html)
        self.close()
        self.anchors = set(self.ids)

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if tag not in self.VOID:
            self.stack.append((tag, a.get("class") or ""))
        if a.get("id"):
            self.ids.append(a["id"])
        if tag == "a" and a.get("href"):
            self.links.append(a["href"])
        if tag == "img":
            self.images.append(a)
        if tag in ("img", "script", "link", "iframe", "source"):
            self.fetched.append(a.get("src") or a.get("href") or "")
        if tag == "figure" and a.get("class") == "chunk":
            self.codes.append({"id": a["id"], "text": ""})
        if tag == "pre" and a.get("class") == "code":
            if not self.stack[-2][1] == "chunk":            # the page of a file
                self.codes = self.codes or [{"id": None, "text": ""}]
            self.code = self.codes[-1]
        if self.code and "ref" in (a.get("class") or "").split():
            self.code["text"] += "<<"
        if tag == "small":
            self.small = True

    def handle_endtag(self, tag):
        if tag in self.VOID:
            return
        if not self.stack or self.stack[-1][0] != tag:
            self.unbalanced.append((tag, self.getpos()))
            return
        _, classes = self.stack.pop()
        if self.code and "ref" in classes.split():
            self.code["text"] = self.code["text"].rstrip() + ">>"
        if tag == "small":
            self.small = None
        if tag == "pre":
            self.code = None

    def handle_data(self, data):
        if self.code and not self.small:
            self.code["text"] += re.sub("[⟨⟩]", "", data) if "ref" in str(self.stack) else data


def weave(folder, *flags):
    return subprocess.run([sys.executable, ROOT / "woven/weave", *flags, "html", ".", "out"], cwd=folder,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)


def seconds():
    """Processor time of all that was run, which a busy machine doesn't change much."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def pages(folder):
    return {path.name: Page(path) for path in sorted(folder.glob("*.html"))}


@pytest.fixture
def small(book):
    """A book of two chapters with something of everything."""
    book.write("book.yaml", YAML)
    book.write("01-first.nw", ONE)
    book.write("02-second.nw", TWO)
    book.write("figures/boxes.dot", "digraph { a -> b }")
    book.write("figures/bits.json", json.dumps(BITS))
    book.write("inc/bits.h", "#define BIT(n)\t(1 << (n))\n@odd\n#define TWO (BIT(1) >> 0)\n")
    return book


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The pages of the small book."""
    folder = tmp_path_factory.mktemp("sample")
    for name, text in {"chapters/book.yaml": YAML, "chapters/01-first.nw": ONE,
                       "chapters/02-second.nw": TWO, "figures/boxes.dot": "digraph { a -> b }",
                       "figures/bits.json": json.dumps(BITS),
                       "inc/bits.h": "#define BIT(n)\t(1 << (n))\n@odd\n"
                                     "#define TWO (BIT(1) >> 0)\n"}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    run = weave(folder)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return pages(folder / "out/html")


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The pages of the book, and a copy of what they were made of."""
    folder = tmp_path_factory.mktemp("real")
    for name in ("chapters", "figures", "inc"):
        shutil.copytree(ROOT / name, folder / name)
    start = seconds()
    run = weave(folder)
    assert run.returncode == 0, run.stderr
    return pages(folder / "out/html"), folder, seconds() - start


# ------------------------------------------------------------------ features

def test_one_page_a_chapter(sample):
    assert {n for n in sample if not n.startswith(("file-", "identifiers-"))} == {
        "index.html", "01-first.html", "02-second.html", "A-headers.html", "C-manual-sections.html",
        "F-answers.html", "chunks.html", "figures.html"}


def test_contents_by_parts(sample):
    text = re.sub(r"<[^>]*>", " ", sample["index.html"].html)
    order = [text.index(s) for s in ("Part one", "The first", "Part two", "The second",
                                     "Appendices", "Headers that are tables")]
    assert order == sorted(order)


def test_previous_and_next(sample):
    html = sample["02-second.html"].html
    assert re.search(r'<a rel="prev" href="01-first.html">', html)
    assert re.search(r'<a rel="next" href="A-headers.html">', html)


def test_sections_are_numbered_and_have_anchors(sample):
    html = sample["01-first.html"].html
    assert re.search(r'id="printing"[^>]*>\s*<h2[^>]*>(<span class="number">1\.1</span>) ', html)
    assert html.count("<h1") == 1


def test_chunk_header(sample):
    html = sample["01-first.html"].html
    chunk = re.search(r'<figure class="chunk" id="c-main-s-state">.*?</figure>', html, re.S)[0]
    assert "main's state <small>1.3</small>" in chunk
    assert re.search(r'<a href="file-kern-main-c.html#c-main-s-state"[^>]*><code>kern/main.c</code></a>',
                     chunk)
    assert ('<a href="02-second.html#c-main-s-state_2" aria-label="goes on in 2.2">2.2 ▷</a>'
            in chunk)
    assert 'Used in <a href="#c-kern-main-c">1.1</a>' in chunk
    assert '<a href="identifiers-s.html#i-state"><code>state</code></a>' in chunk
    second = sample["02-second.html"].html
    assert ('<a href="01-first.html#c-main-s-state" aria-label="continues 1.3">◁ 1.3</a>'
            in second)


def test_chunk_header_names_the_function(sample):
    html = sample["01-first.html"].html
    chunk = re.search(r'<figure class="chunk" id="c-print-a-number">.*?</figure>', html, re.S)[0]
    assert "<code>kern/main.c</code></a> in <code>main</code>" in chunk
    assert " in <code>" not in re.search(r'id="c-main-s-state">.*?</figcaption>', html, re.S)[0]


def test_chunk_references(sample):
    html = sample["01-first.html"].html
    assert ('<a class="ref" href="#c-print-a-number">⟨print a number <small>1.2</small>⟩</a>'
            in html)
    assert '<span class="ref" title="Later chapters add here">⟨later statements⟩' in html
    assert html.count('href="#c-print-a-number">⟨') == 3     # prose, code, its own header


def test_identifiers_link_to_their_definition(sample):
    html = sample["01-first.html"].html
    there = '<a href="02-second.html#d-put">put</a>'
    assert there + '(<i class="st">' in html                    # in code
    assert f'<code>{there}</code>' in html                      # in prose
    assert '<i class="co">/* put: not a link */</i>' in html
    assert 'state.<a href="#d-st_left">st_left</a>' in re.sub(r'<a href="#d-state">(state)</a>', r"\1",
                                                            html)
    assert '<dfn id="d-put">put</dfn>' in sample["02-second.html"].html
    assert ('<a class="im" href="02-second.html#c-inc-put-h">&lt;inc/put.h&gt;</a>'
            in html)


def test_names_of_another_file_stay_private(sample):
    put = re.search(r'id="c-lib-put-c">.*?</figure>', sample["02-second.html"].html, re.S)[0]
    assert "state" in put and "d-state" not in put


def test_highlighting(sample):
    html = sample["02-second.html"].html
    for name, token in {"lib-put-c": '<i class="dt">void</i>', "kern-entry-s": '<i class="kw">movl</i>',
                        "gnumakefile": '<i class="fu">all</i>',
                        "kern-kernel-ld": '<i class="kw">SECTIONS</i>'}.items():
        chunk = re.search(rf'id="c-{name}">.*?</figure>', html, re.S)[0]
        assert token in chunk, name
    assert '<i class="va">%eax</i>' in html and '<i class="co"># one</i>' in html


@pytest.mark.parametrize("lang", highlight.LANGUAGES)
def test_tokens_are_the_code(lang):
    """Whatever the code is, nothing of it is lost and no line is broken."""
    lines = [["\tif (a->b) /* c", ], [" */ x = 'y\\n';", Ref("a chunk")], [], ["# \"open"],
             ["all: $(X)", Ref("b"), " é"], ["label:", "\tmovl\t$1, %eax"]]
    found = highlight.tokens(lines, lang)
    assert [[t.name if isinstance(t, Ref) else t[1] for t in l] for l in found] and \
        ["".join(t.name if isinstance(t, Ref) else t[1] for t in l) for l in found] == \
        ["".join(p.name if isinstance(p, Ref) else p for p in l) for l in lines]


def test_cross_references(sample):
    html = sample["01-first.html"].html
    assert '<a href="#fig:boxes">Figure 1.1</a>' in html
    assert '<a href="02-second.html#fig:bits">Figure 2.1</a>' in html
    assert re.search(r'<a href="02-second.html"[^>]*>chapter 2</a> and', html)
    assert re.search(r'<a href="02-second.html"[^>]*>Chapter 2</a> is', html)
    assert '<a href="#printing">section 1.1</a> is here' in html
    assert '<a href="#printing">back</a>' in html


def test_figures(sample):
    html = sample["01-first.html"].html
    figure = re.search(r'<figure class="figure" id="fig:boxes">.*?</figure>', html, re.S)[0]
    assert 'alt="One box leads to put."' in figure
    assert "<strong>Figure 1.1.</strong> What follows what" in figure
    assert "Figure" in sample["figures.html"].html


def test_transcript(sample):
    html = sample["01-first.html"].html
    block = re.search(r'<figure class="transcript">.*?</figure>', html, re.S)[0]
    assert "<code>make qemu-nox CPUS=2 QEMUCPU=max</code>" in block
    assert "the book up to chapter 1" in block
    assert "Welcome [[ here ]] 1 &lt;&lt; 2" in block
    assert "\na\ttab</samp>" in block
    assert "K&gt; <kbd>help</kbd>" in block and "$ <kbd>ls &lt;x&gt; | num</kbd>" in block


def test_boxes(sample):
    html = sample["01-first.html"].html
    answers = re.findall(r'<details class="answer" id="answer-1-(.)">\s*<summary>(.*?)</summary>', html)
    assert answers == [("1", "Answer to exercise 1"), ("2", "Answer to exercise 2")]
    box = re.search(r'<div class="box manual" id="manual-1-1".*?</div>', html, re.S)[0]
    assert "§24.6.2 (June 2016), §27.6.2 (June 2026)" in box
    assert "§2.5 (June 2016)" in box
    assert "Solution" in html
    assert "On the wall" not in html and "Spoken" not in html
    assert '<ol start="2"' in html


def test_tables_footnotes_and_quotes(sample):
    html = sample["01-first.html"].html
    assert '<div class="scroll table">' in html and "<th>a</th>" in re.sub(" style[^>]*", "", html)
    assert "A note at the foot." in html and 'role="doc-endnotes"' in html
    assert "<code>1 &lt;&lt; 3 &gt;&gt; 1</code>" in html and "<code>a`b</code>" in html


def test_index_pages(sample):
    chunks, letter = sample["chunks.html"].html, sample["identifiers-p.html"].html
    assert ('<a href="file-lib-put-c.html"><code>lib/put.c</code></a> '
            '<a href="02-second.html#c-lib-put-c">2.3</a>') in chunks
    assert re.search(r"⟨print a number⟩ <a [^>]*>1\.2</a>; used in <a [^>]*>1\.1</a>", chunks)
    assert re.search(r'<li id="i-put"><code>put</code> <a href="02-second.html#d-put">', letter)
    assert '<li id="i-BIT"><code>BIT</code> <a href="A-headers.html#d-BIT">' in \
        sample["identifiers-b.html"].html


def test_answers_on_one_page(sample):
    page = sample["F-answers.html"].html
    assert re.search(r'id="answer-1-1"><h3><a href="01-first.html#exercise-1-1">', page)
    assert '<a href="02-second.html#d-put">put</a>' in page
    assert '<a href="F-answers.html#answer-1-2">' in sample["01-first.html"].html


def test_manual_by_edition(sample):
    html = sample["C-manual-sections.html"].html
    row = re.search(r'<tr[^>]*>\s*<td[^>]*><span id="m:processor-controls">.*?</tr>', html, re.S)[0]
    cells = [re.sub("<[^>]*>", "", c) for c in re.findall(r"<td.*?</td>", row)]
    assert cells[1:3] == ["24.6.2", "27.6.2"]
    assert 'href="01-first.html#manual-1-1"' in row
    assert 'href="C-manual-sections.html#m:processor-controls"' in sample["01-first.html"].html


def test_file_page(sample):
    page = sample["file-kern-main-c.html"]
    lines = [html.unescape(re.sub("<[^>]*>", "", l))
             for l in re.findall(r'<span id="L\d+">(.*?)</span>\n', page.html)]
    assert lines[:5] == ["#include <inc/put.h>", "", "static struct state { int st_left; } state;", "",
                         "int more;"]
    assert '\t\tput("1");' in lines
    assert ('<div id="c-print-a-number"><a href="01-first.html#c-print-a-number" '
            'title="print a number"><b>1.2</b> print a number</a>') in page.html
    assert '<a href="02-second.html#d-put">put</a>' in page.html


def data(path):
    """What a script of data calls its function with."""
    text = path.read_text()
    return json.loads("[" + text[text.index("(") + 1:text.rindex(")")] + "]")


def test_search_data(sample):
    rows = data(sample["index.html"].path.parent / "search-data.js")[0]
    assert ["name", "put", "function, lib/put.c", "02-second.html#d-put", ""] in rows
    assert ["file", "lib/put.c", "file", "file-lib-put-c.html", ""] in rows
    assert ["chunk", "print a number", "1.2, kern/main.c in main",
            "01-first.html#c-print-a-number", ""] in rows
    section = next(r for r in rows if r[3] == "01-first.html#printing")
    assert section[:3] == ["section", "1.1 What it prints", "1 The first"]
    assert "next, and section 1.1 is here" in section[4] and "static struct" not in section[4]
    assert any(r[0] == "manual" and "24.6.2" in r[2] and "27.6.2" in r[2] for r in rows)


def test_definition_data(sample):
    topic, definitions = data(sample["index.html"].path.parent / "defs/02-second.js")
    assert topic == "02-second"
    where, code = definitions["d-put"]
    assert where == "2.3, <code>lib/put.c</code>"
    assert html.unescape(re.sub("<[^>]*>", "", code)) == "void\nput(const char *text)"


def test_first_blank_line_of_a_chunk_is_not_shown(sample):
    code = next(c for c in sample["02-second.html"].codes if c["id"] == "c-main-s-state_2")
    assert code["text"] == "int more;\n"


def test_student_variant_is_told_apart(sample):
    html = sample["02-second.html"].html
    chunk = re.search(r'id="c-print-a-number_2">.*?</figure>', html, re.S)[0]
    assert "What the student starts from." in chunk and "kern/main.c" in chunk


@pytest.fixture(scope="module")
def more(tmp_path_factory):
    """Front and back matter, and the students' edition: a folder with both."""
    folder = tmp_path_factory.mktemp("more")
    (folder / "chapters").mkdir()
    for name, text in {"book.yaml": YAML + "instructor: [H-guide]\n", "00-preface.nw": PREFACE,
                       "03-lab.nw": GUIDED, "D-glossary.nw": GLOSSARY, "E-bibliography.nw": BIBLIOGRAPHY,
                       "H-guide.nw": GUIDE, "../figures/plan.dot": "digraph { zebra }"}.items():
        (folder / "chapters" / name).parent.mkdir(exist_ok=True)
        (folder / "chapters" / name).write_text(text)
    for flags in ((), ("-e", "student")):
        run = weave(folder, *flags)
        assert run.returncode == 0, run.stderr
    return {"full": pages(folder / "out/html"), "student": pages(folder / "out/html-student")}


def test_preface_has_no_number(more):
    page = more["full"]["00-preface.html"].html
    assert re.search(r"<h1>How to read</h1>", page)
    assert "<h2>Tracks</h2>" in page
    contents = more["full"]["index.html"].html
    assert '<li><a href="00-preface.html">How to read</a></li>' in contents
    assert contents.index("How to read") < contents.index("A lab")


def test_references_to_back_matter(more):
    page = more["full"]["03-lab.html"].html
    assert '<a href="E-bibliography.html#bib:two-1999" title="Two, Second">[2]</a>' in page
    assert '<a href="D-glossary.html#gl:vmcs">the VMCS</a>' in page
    assert 'See <a href="00-preface.html#tracks">Tracks</a>' in page
    rows = data(more["full"]["index.html"].path.parent / "search-data.js")[0]
    assert ["term", "VMCS", "glossary", "D-glossary.html#gl:vmcs", "A page of state."] in rows


def test_students_edition(more):
    full, student = more["full"]["03-lab.html"], more["student"]["03-lab.html"]
    assert "The answer is 42" in full.html and "Because of this" in full.html
    assert [c["id"] for c in full.codes] == ["c-kern-a-c", "c-do-it", "c-a-detail", "c-do-it-exercise-1"]
    assert [c["id"] for c in student.codes] == ["c-kern-a-c", "c-do-it-exercise-1"]
    # The stub stands for the solution, under its own number.
    assert '<a class="ref" href="#c-do-it-exercise-1">⟨do it <small>3.4</small>⟩</a>' in student.html
    assert '<a class="ref" href="#c-do-it">⟨do it <small>3.2</small>⟩</a>' in full.html
    assert set(more["full"]) - set(more["student"]) >= {"F-answers.html"}
    for file in more["student"]["03-lab.html"].path.parent.rglob("*"):
        if file.suffix in (".html", ".js"):
            text = file.read_text()
            assert not re.search(r"secret|42|Because of this|a detail", text), file.name
    assert "Your code" in more["student"]["file-kern-a-c.html"].html


def test_chapters_of_the_instructor(more):
    """The full edition has them, and the other not a word of them."""
    full, student = more["full"], more["student"]
    assert "zebras" in full["H-guide.html"].html and set(full) - set(student) >= {"H-guide.html"}
    assert 'href="H-guide.html">appendix H, For teachers</a>; see' in full["03-lab.html"].html
    out = student["index.html"].path.parent
    for file in out.rglob("*"):
        assert not re.search(r"(?i)zebra|teacher|H-guide|fig:plan", file.name + (
            file.read_text() if file.is_file() else "")), file.name
    assert not list((out / "figures").iterdir())
    assert (full["index.html"].path.parent / "figures/plan.svg").exists()
    assert "H.1" in full["C-manual-sections.html"].html


@pytest.mark.parametrize("files, words", [
    ({"book.yaml": YAML + "instructor: [H-none]\n"}, "chapters/book.yaml:1: instructor: no chapter"),
    ({"book.yaml": YAML + "instructor: H-guide\n"}, "chapters/book.yaml:1: instructor: a list"),
    ({"book.yaml": YAML + "instructor: [3]\n"}, "chapters/book.yaml:1: instructor: a list"),
    ({"03-third.nw": "# Third\n\nSee [](#ch:H-guide).\n"}, "chapters/03-third.nw:3: ch:H-guide is in a"),
    ({"03-third.nw": "# Third\n\nSee\n[it](#weeks).\n"}, "chapters/03-third.nw:4: weeks is in a"),
    ({"03-third.nw": "# Third\n\nA [word]{.instructor}.\n"}, "chapters/03-third.nw:3: an answer, a"),
    ({"H-guide.nw": GUIDE + "\n<<a.c>>=\nint a;\n@\n"}, "chapters/H-guide.nw:13: <<a.c>>= in a chapter"),
])
def test_faults_of_chapters_of_the_instructor(small, files, words):
    small.write("figures/plan.dot", "digraph { zebra }")
    small.write("01-first.nw", ONE + "\n## Tracks {#tracks}\n")
    for name, text in {"book.yaml": YAML + "instructor: [H-guide]\n", "H-guide.nw": GUIDE, **files}.items():
        small.write(name, text)
    run = weave(small.folder)
    assert run.returncode == 1 and words in run.stderr


def test_editions_pass_the_checks(more):
    check_pages(more["full"])
    check_pages(more["student"])


def test_transcripts_are_found(small):
    found = list(transcripts(small.folder / "chapters"))
    assert len(found) == 1
    assert found[0].where == "chapters/01-first.nw:%d" % (
        ONE[:ONE.index("```{.transcript")].count("\n") + 1)
    assert found[0].attributes == {"tree": "upto-01", "run": "qemu-nox", "cpus": "2",
                                   "vars": "QEMUCPU=max"}
    assert found[0].lines == ["Welcome [[ here ]] 1 << 2", "K> help", "$ ls <x> | num", "a\ttab"]


# ------------------------------------------------------------------ figures

def test_bit_fields():
    svg = figures.bit_field(BITS)
    assert "W &amp; R" in svg and ">51<" in svg and ">12<" in svg
    assert svg.count("<rect") == 6                  # four fields, two reserved gaps
    widths = [float(w) for w in re.findall(r'<rect x="[\d.]+" y="\d+" width="([\d.]+)"', svg)]
    assert sum(widths) <= figures.WIDTH + 1


@pytest.mark.parametrize("fields, message", [
    ([{"name": "a", "from": 0, "to": 8}], "bits 0 to 8 of 8"),
    ([{"name": "a", "from": 0, "to": 3}, {"name": "b", "from": 3, "to": 4}], "inside another"),
    ([{"name": "a", "from": 0}], 'needs "name", "from" and "to"')])
def test_bit_field_faults(fields, message):
    with pytest.raises(figures.FigureError, match=message):
        figures.bit_field({"bits": 8, "fields": fields})


# ------------------------------------------------------------------ faults

FAULTS = {
    "unknown figure": ("See [](#fig:none).\n", 3, "fig:none"),
    "unknown chapter": ("See [](#ch:09-none).\n", 3, "ch:09-none"),
    "unknown chunk": ("See [[<<nothing>>]].\n", 3, "<<nothing>>"),
    "unknown footnote": ("A word.[^no]\n", 3, "[^no]"),
    "no source of a figure": ('![A.](figures/no.svg){#fig:no alt="no"}\n', 3, "figures/no.dot"),
    "no alt text": ("![A.](figures/boxes.svg){#fig:b}\n", 3, "alt"),
    "an id twice": ('![A.](figures/boxes.svg){#fig:b alt="b"}\n\n'
                    '![B.](figures/boxes.svg){#fig:b alt="b"}\n', 5, "fig:b"),
    "unknown manual section": ('::: {.manual sec="no-such"}\nx\n:::\n', 3, "no-such"),
    "unclosed div": ("Text.\n\n::: answer\nText.\n", 5, "::: answer"),
    "closed twice": ("Text.\n\n:::\n", 5, ":::"),
    "unclosed fence": ("```sh\nls\n", 3, "fenced block"),
    "chunk in a fence": ("```\n<<a>>=\nx\n@\n", 4, "<<a>>="),
    "unclosed chunk": ("<<a>>=\nx\n\n## More\n\n<<b>>=\ny\n@\n", 3, "<<a>> is never closed"),
    "unclosed chunk at the end": ("<<a>>=\nx\n", 3, "<<a>> is never closed"),
    "a second title": ("# Again\n", 3, "# title"),
    "unescaped sign": ("a << b\n", 3, "<<"),
    "open quote": ("a [[b\n", 3, "[["),
    "no char of UTF-8": (b"Caf\xe9.\n", 3, "not UTF-8"),
    "CRLF": ("Text.\r\n", 3, "CRLF"),
    "control character": ("A \x1b[0m b.\n", 3, "control character"),
    "a footnote twice": ("A.[^a]\n\n[^a]: B.\n\n[^a]: C.\n", 7, "Duplicate note"),
    "a section's id twice": ("## A {#a}\n\n## B {#a}\n", 5, "'a'"),
    "an id that a chunk has": ("## C kern a\n\n<<kern/a>>=\n@\n", 3, "c-kern-a is given twice"),
    "a link to a page": ("See [it](02-second.html).\n", 3, "02-second.html"),
    "a reference by name": ("See [it][there].\n\n[there]: #nowhere\n", 5, "nowhere"),
    "closed elsewhere": ("1. A\n\n   ::: answer\n   B\n:::\n", 7, "::: answer of line 5"),
    "unknown div": ("::: Solution\nA\n:::\n", 3, "::: Solution is unknown"),
    "an answer in a quotation": ("> ::: answer\n> A\n> :::\n", 3, "begins its line"),
    "a solution in a line": ("A [secret]{.solution}.\n", 3, "begins its line"),
    "a chunk that students would see": ("::: solution\n<<kern/a.c>>=\nint a;\n@\n:::\n", 4, "no stub"),
    "an answer's note outside": ("::: answer\nA.[^a]\n:::\n\n[^a]: Secret.\n", 7, "[^a]"),
    "an empty quote": ("A [[ ]] b.\n", 3, "quotes nothing"),
    "a path outside": ("<<../a.c>>=\nint a;\n@\n", 3, "not a path"),
    "a file that is a folder": ("<<kern/x>>=\n@\n\n<<kern/x/y.c>>=\n@\n", 3, "in a folder"),
    "two files, one page": ("<<kern/x-y.c>>=\n@\n\n<<kern/x/y.c>>=\n@\n", 6, "that of kern/x-y.c"),
    "a chunk in itself": ("<<kern/a.c>>=\n<<b>>\n@\n<<b>>=\n<<b>>\n@\n", 6, "uses itself"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_named_with_file_and_line(small, fault):
    text, line, words = FAULTS[fault]
    text = text if isinstance(text, bytes) else text.encode()
    small.write("03-third.nw", b"# The third\n\n" + text)
    good = small.write("out/html/index.html", "the last good page")
    run = weave(small.folder)
    assert run.returncode != 0
    assert f"chapters/03-third.nw:{line}: " in run.stderr
    assert words in run.stderr
    assert "Traceback" not in run.stderr
    assert good.read_text() == "the last good page"
    assert [p.name for p in small.folder.glob("out/.html*")] == []


def test_faults_are_found_again_and_good_pages_stay(small):
    """Also when all but the faulty chapter is remembered."""
    assert weave(small.folder).returncode == 0
    page = small.folder / "out/html/01-first.html"
    good = page.read_bytes()
    for fault in ("unknown figure", "no source of a figure", "unknown manual section",
                  "unclosed div"):
        text, line, words = FAULTS[fault]
        small.write("03-third.nw", "# The third\n\n" + text)
        for _ in range(2):
            run = weave(small.folder)
            assert run.returncode == 1 and f"chapters/03-third.nw:{line}: " in run.stderr
            assert words in run.stderr
        assert page.read_bytes() == good
        assert not (small.folder / "out/html/03-third.html").exists()
    figure = small.folder / "figures/boxes.dot"
    (small.folder / "chapters/03-third.nw").unlink()
    figure.rename(figure.with_suffix(".gone"))
    run = weave(small.folder)
    line = ONE[:ONE.index("(figures/boxes.svg)")].count("\n") + 1
    assert f"chapters/01-first.nw:{line}: no source of this figure" in run.stderr
    assert page.read_bytes() == good
    figure.with_suffix(".gone").rename(figure)
    assert weave(small.folder).returncode == 0
    assert page.read_bytes() == good


def test_only_what_changed_is_made_again(small):
    def made():
        return {p.name: p.stat().st_mtime_ns for p in small.folder.glob("out/build/html/*.html")}
    assert weave(small.folder).returncode == 0
    first = made()
    small.write("02-second.nw", TWO.replace("It goes on.", "It goes on and on."))
    assert weave(small.folder).returncode == 0
    assert {n for n, t in made().items() if t != first[n]} == {"02-second.html"}
    assert "on and on" in (small.folder / "out/html/02-second.html").read_text()
    # A new number in one chapter is seen in the other.
    small.write("01-first.nw", ONE.replace("## What it prints", "## Before\n\nText.\n\n## What it prints"))
    small.write("02-second.nw", TWO + "\nSee [](#printing).\n")
    assert weave(small.folder).returncode == 0
    assert ">section 1.2</a>" in (small.folder / "out/html/02-second.html").read_text()


@pytest.mark.parametrize("name, text, words", [
    ("figures/bad.json", "{", "figures/bad.json"),
    ("figures/bad.dot", "digraph {", "figures/bad.dot"),
    ("figures/boxes.svg", "<svg/>", "makes the same figure"),
    ("chapters/book.yaml", "title: A\nparts: [\n", "chapters/book.yaml:3"),
    ("figures/bad.dot", "", "figures/bad.dot: graphviz draws nothing"),
    ("figures/bad.dot", b'digraph { a [label="\xe9"] }', "figures/bad.dot: line 1: not UTF-8"),
    ("figures/bad.json", '{"bits": 8, "fields": [1]}', "figures/bad.json: a field needs"),
    ("figures/bad.json", '{"bits": 8, "fields": [{"name": "a", "from": "x", "to": 1}]}',
     'figures/bad.json: field "a"'),
    ("figures/bad.svg", "<svg>\n", "figures/bad.svg: line 2"),
    ("chapters/book.yaml", "title: 5\n", "chapters/book.yaml:1: title:"),
    ("chapters/book.yaml", "title: A\nparts: [{title: B}]\n", "chapters/book.yaml:1: parts:"),
    ("chapters/book.yaml", b"title: \xe9\n", "chapters/book.yaml:1: not UTF-8"),
    ("inc/bad.h", b"/* \xe9 */\n", "inc/bad.h:1: not UTF-8"),
    ("chapters/02-two.nw", "# Two\n", "chapters/02-two.nw:1: chapter 02 is there already"),
    ("chapters/F-more.nw", "# More\n", "chapters/F-more.nw:1: appendix F is made of answers"),
    ("chapters/03-third.nw/x", "", "chapters/03-third.nw:1: Is a directory"),
    ("chapters/03-third.nw", "", "chapters/03-third.nw:1: no title"),
    ("chapters/03-third.nw", "# A _start of it\n", "chapters/03-third.nw:1: the title isn't read"),
    ("chapters/notes.nw", "# Notes\n", "chapters/notes.nw:1")])
def test_fault_of_a_file(small, name, text, words):
    small.write(name, text)
    run = weave(small.folder)
    assert run.returncode != 0 and words in run.stderr
    assert "Traceback" not in run.stderr


def test_out_that_cannot_be_written(small):
    (small.folder / "out").write_text("a file")
    run = weave(small.folder)
    assert run.returncode == 1 and run.stderr.startswith("weave: out") and "Traceback" not in run.stderr


def test_disk_full(small):
    """Files end at some size, as on a full disk: pages stay, and the next run is right."""
    assert weave(small.folder).returncode == 0
    page = small.folder / "out/html/01-first.html"
    good = page.read_bytes()
    small.write("figures/boxes.dot", "digraph { a -> b -> c }")
    for size in (100, 2000, 20000):
        run = subprocess.run([sys.executable, ROOT / "woven/weave", "html", ".", "out"], cwd=small.folder,
                             capture_output=True, text=True, timeout=300, preexec_fn=lambda:
                             resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
        assert run.returncode == 1 and "Traceback" not in run.stderr, run.stderr
        assert page.read_bytes() == good and not list(small.folder.glob("out/.html*"))
    assert weave(small.folder).returncode == 0
    assert same(small.folder / "out/html", cold(small.folder))


def cold(folder):
    """The pages, made of nothing that is remembered."""
    shutil.rmtree(folder / "cold", ignore_errors=True)
    run = subprocess.run([sys.executable, ROOT / "woven/weave", "html", ".", "cold"], cwd=folder,
                         capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return folder / "cold/html"


def same(one, other):
    def all_of(folder):
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return all_of(one) == all_of(other)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted(small, number):
    """Ctrl-C and worse: pages stay, and what is left goes with the next run."""
    assert weave(small.folder).returncode == 0
    for delay in (.3, .5, .6):
        small.write("02-second.nw", TWO.replace("It goes on.", f"It goes on {delay}."))
        run = subprocess.Popen([sys.executable, ROOT / "woven/weave", "html", ".", "out"], cwd=small.folder,
                               stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(delay)
        os.killpg(run.pid, number)
        run.wait(60)
        assert (small.folder / "out/html/index.html").exists()
        if number != signal.SIGKILL:
            assert not list(small.folder.glob("out/.html*"))
    # Killed between the two renames.
    os.rename(small.folder / "out/html", small.folder / "out/.html.old")
    (small.folder / "out/.html.rest").mkdir()
    small.write("03-third.nw", "")
    assert weave(small.folder).returncode == 1
    assert {p.name for p in (small.folder / "out").iterdir()} == {"build", "html"}
    (small.folder / "chapters/03-third.nw").unlink()
    assert weave(small.folder).returncode == 0
    assert same(small.folder / "out/html", cold(small.folder))


def test_two_at_a_time(small):
    """A second weave into the same folder waits for the first."""
    command = [sys.executable, ROOT / "woven/weave", "html", ".", "out"]
    runs = [subprocess.Popen(command, cwd=small.folder, stderr=subprocess.PIPE, text=True)
            for _ in range(3)]
    said = [run.communicate(timeout=300)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], said
    assert any("waiting for another weave" in s for s in said)
    assert same(small.folder / "out/html", cold(small.folder))


EDITS = {
    "prose": ("chapters/02-second.nw", "It goes on.", "It stops."),
    "code": ("chapters/02-second.nw", "int state = 0;", "int other = 0, state = other;"),
    "a chunk's name": ("chapters/01-first.nw", "print a number>>", "print one>>"),
    "an identifier": ("inc/bits.h", "TWO", "THREE"),
    "a figure": ("figures/boxes.dot", "a -> b", "aaaaaaaaaaaaaaaaaaaaaaaa -> b -> c"),
    "bits": ("figures/bits.json", "address", "frame"),
    "the book's title": ("chapters/book.yaml", "A sample", "Another"),
    "a section before": ("chapters/01-first.nw", "## What it prints", "## Before\n\nA.\n\n## What it prints"),
}


def test_whatever_changes_pages_are_as_if_all_were_made_anew(small):
    """Each edit has the time of the file before it, as one from an archive may."""
    assert weave(small.folder).returncode == 0
    for what, (name, old, new) in EDITS.items():
        path = small.folder / name
        times = path.stat()
        for chapter in (small.folder / "chapters").glob("*.nw") if "name" in what else [path]:
            text = chapter.read_text()
            assert old in text or chapter is not path
            chapter.write_text(text.replace(old, new))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert weave(small.folder).returncode == 0
        assert same(small.folder / "out/html", cold(small.folder)), what
    # A figure of another kind, older than what was made of the one before.
    (small.folder / "figures/boxes.dot").unlink()
    svg = small.write("figures/boxes.svg", '<svg xmlns="http://www.w3.org/2000/svg" width="7"/>')
    os.utime(svg, (1, 1))
    assert weave(small.folder).returncode == 0
    assert same(small.folder / "out/html", cold(small.folder))
    (small.folder / "chapters/02-second.nw").rename(small.folder / "chapters/04-fourth.nw")
    first = small.folder / "chapters/01-first.nw"
    first.write_text(first.read_text().replace("02-second", "04-fourth"))
    assert weave(small.folder).returncode == 0
    assert same(small.folder / "out/html", cold(small.folder))


def test_signs_that_mean_something_elsewhere(small):
    """They come out as they were written, whatever they stand in."""
    signs = """a<b & c>d "q" 'r' $x$ 100% #1 ^c^ {br} ~ \\n `k`"""
    code = signs + " __w__ [^x]"
    small.write("03-third.nw", f"""\
# The third

<<kern/n.c>>=
<<name: {code}>>
<<a, b>>
<<a b>>
@

As [[<<name: {code}>>]] and [[{code}]] and [[__lead]].

<<name: {code}>>=
// {code}
int __lead;
@

<<a, b>>=
int n1 = __lead;
@

<<a b>>=
int n2;
@

![Of [[{code}]].](figures/boxes.svg){{#fig:n alt="1 < 2 & 'r' $x$ 100% # ^c^ ~"}}

| a |
| - |
| [[{code} | b]] |
""")
    run = weave(small.folder)
    assert run.returncode == 0, run.stderr
    found = pages(small.folder / "out/html")
    check_pages(found)
    page = found["03-third.html"]
    text = html.unescape(re.sub("<[^>]*>", "", page.html))
    assert text.count(f"⟨name: {code} 3.2⟩") == 3
    assert f"and {code} and __lead" in text and f"// {code}\n" in text and f"Of {code}." in text
    assert f"{code} | b" in text
    assert page.images[0]["alt"] == "1 < 2 & 'r' $x$ 100% # ^c^ ~"
    assert {"c-a-b", "c-a-b_2"} <= page.anchors
    assert "i-__lead" in found["identifiers-other.html"].anchors
    assert f"// {code}\n" in html.unescape(re.sub("<[^>]*>", "", found["file-kern-n-c.html"].html))
    data(small.folder / "out/html/search-data.js"), data(small.folder / "out/html/defs/03-third.js")


def test_stub_of_a_file_and_two_stubs(small):
    """The students' edition has the first stub in the file, and no link of the other's."""
    small.write("03-third.nw", "# The third\n\n<<kern/n.c>>=\nint secret;\n@\n\n"
                "<<kern/n.c (exercise 2)>>=\n/* two */\n@\n\n<<kern/n.c (exercise 1)>>=\n/* one */\n@\n")
    for flags in ((), ("-e", "student")):
        run = weave(small.folder, *flags)
        assert run.returncode == 0, run.stderr
        check_pages(pages(small.folder / ("out/html-student" if flags else "out/html")))
    page = (small.folder / "out/html-student/file-kern-n-c.html").read_text()
    assert "/* one */" in page and "/* two" not in page and "secret" not in page


def test_ambiguous_reference(small):
    small.write("02-second.nw", TWO + "\n## Again {#printing}\n")
    small.write("03-third.nw", "# The third\n\nSee [](#printing).\n")
    run = weave(small.folder)
    assert "chapters/03-third.nw:3: several chapters have the id printing" in run.stderr


def test_no_title(small):
    small.write("03-third.nw", "Text.\n")
    run = weave(small.folder)
    assert run.returncode != 0 and "chapters/03-third.nw:1: no title" in run.stderr


def test_all_faults_of_a_kind_are_told_at_once(small):
    small.write("03-third.nw", "# The third\n\nSee [](#fig:x).\n\nSee [](#fig:y), [](#fig:x).\n")
    faults = weave(small.folder).stderr.splitlines()
    assert [re.search(r":(\d+): .*(fig:.)", f).groups() for f in faults] == [
        ("3", "fig:x"), ("5", "fig:x"), ("5", "fig:y")]


def test_draft_tells_but_goes_on(small):
    small.write("03-third.nw", "# The third\n\nSee [](#fig:none).\n")
    run = weave(small.folder, "-d")
    assert run.returncode == 0 and "03-third.nw:3" in run.stderr
    assert (small.folder / "out/html/03-third.html").exists()


def test_weaving_again_replaces_all(small):
    assert weave(small.folder).returncode == 0
    os.rename(small.folder / "chapters/02-second.nw", small.folder / "chapters/04-fourth.nw")
    small.write("01-first.nw", ONE.replace("ch:02-second", "ch:04-fourth"))
    assert weave(small.folder).returncode == 0
    names = {p.name for p in (small.folder / "out/html").iterdir()}
    assert "04-fourth.html" in names and "02-second.html" not in names


# ------------------------------------------------------------------ every page

def check_pages(found):
    for name, page in found.items():
        doubles = [] if len(page.anchors) == len(page.ids) else \
            {i for i in page.ids if page.ids.count(i) > 1}
        assert not doubles, f"{name}: ids given twice: {doubles}"
        assert not page.unbalanced, f"{name}: tags out of place: {page.unbalanced[:3]}"
        assert not page.stack, f"{name}: tags never closed: {page.stack[:3]}"
        assert page.html.count("<h1") == 1, name
        assert all(i.get("alt") for i in page.images), name
        assert not [f for f in page.fetched if re.match(r"\w+:|//", f)], f"{name} asks the network"
        for link in set(page.links):
            if re.match(r"\w+:", link):
                continue
            file, _, anchor = link.partition("#")
            target = found.get(file or name)
            assert target, f"{name}: link to {link}"
            assert not anchor or unquote(anchor) in target.anchors, f"{name}: link to {link}"
    assert found["index.html"].links


def test_pages_of_the_sample(sample):
    check_pages(sample)


def test_pages_of_the_book(real):
    check_pages(real[0])


def chunks_of(source):
    """The chunks of a chapter, read without noweb: (name, code)."""
    found, name, lines = [], None, []
    for line in source.split("\n"):
        start = re.match(r"^<<(.*)>>=\s*$", line)
        if name and (start or re.match(r"^@(\s|$)", line)):
            found.append((name, "\n".join(lines)))
            name = None
        if start:
            name, lines = start[1], []
        elif name:
            lines.append(re.sub(r"^@@", "@", line).replace("@<<", "<<").replace("@>>", ">>"))
    if name:
        found.append((name, "\n".join(lines)))
    return found


def check_code(chapters, found):
    n = 0
    for path in chapters:
        source = chunks_of(path.read_text())
        woven = found[path.stem + ".html"].codes
        assert len(source) == len(woven), path.name
        for (name, code), page in zip(source, woven):
            code = code.lstrip("\n")            # a blank line before a chunk isn't shown
            plain = re.sub(r"<<(.*?)>>", lambda m: "<<" + re.sub(r"\[\[|\]\]", "", m[1]) + ">>", code)
            assert page["text"] == plain, f"{path.name}: <<{name}>>"
            n += 1
    return n


def test_code_of_the_sample_equals_its_source(small, sample):
    assert check_code(sorted((small.folder / "chapters").glob("*.nw")), sample) == 10
    assert sample["A-headers.html"].codes[0]["text"] + "\n" == \
        (small.folder / "inc/bits.h").read_text()


def test_code_of_the_book_equals_its_source(real):
    assert check_code(sorted((real[1] / "chapters").glob("*.nw")), real[0]) > 0


def test_headers_of_the_book_equal_their_source(real):
    headers = sorted((real[1] / "inc").glob("*.h"))
    codes = real[0]["A-headers.html"].codes
    assert [c["text"] + "\n" for c in codes] == [h.read_text() for h in headers]


def test_every_transcript_of_the_book_is_a_console(real):
    for t in transcripts(real[1] / "chapters"):
        page = real[0][t.file.stem + ".html"].html
        assert '<figure class="transcript">' in page, t.where


def test_files_of_the_book_are_what_is_tangled(real):
    found, folder, _ = real
    run = subprocess.run([ROOT / "tangle/tangle", ".", "tree"], cwd=folder, capture_output=True,
                         text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    files = {name for name in found if name.startswith("file-")}
    for path in (folder / "tree").rglob("*"):
        if path.is_dir() or path.name == ".tangled":
            continue
        name = "file-" + re.sub("[/.]", "-", str(path.relative_to(folder / "tree"))) + ".html"
        lines = re.findall(r'<span id="L\d+">(.*?)</span>\n', found[name].html)
        assert [html.unescape(re.sub("<[^>]*>", "", l)) for l in lines] == \
            path.read_text().split("\n")[:-1], path
        files.remove(name)
    assert not files


def test_every_chunk_leads_to_its_file_and_back(real):
    found = real[0]
    there = {m for name, page in found.items() if re.match(r"\d\d-", name)
             for m in re.findall(r'<figcaption>.*?<a href="(file-[^#]*#c-[^"]*)"', page.html)}
    assert len(there) > 1000
    for link in there:
        file, anchor = link.split("#")
        assert anchor in found[file].anchors, link
        assert re.search(rf'href="[^"#]+#{anchor}"|<i id="{anchor}"', found[file].html), link


def test_weight_of_pages(real):
    """What a page loads at once: itself, style, script, figures."""
    folder = real[1] / "out/html"
    always = sum((folder / name).stat().st_size for name in ("book.css", "book.js"))
    for name, page in real[0].items():
        images = {i["src"] for i in page.images}
        assert {f for f in page.fetched if f} == images | {"book.css", "book.js"}, name
        weight = always + sum(p.stat().st_size for p in [page.path, *map(folder.joinpath, images)])
        assert weight < 400_000, f"{name} weighs {weight}"


@pytest.mark.slow
def test_students_edition_of_the_book(real):
    """No line of a solution, and no answer, is anywhere in it."""
    chunks = [c for p in sorted((real[1] / "chapters").glob("*.nw")) for c in chunks_of(p.read_text())]
    solved = {name.split(" (exercise")[0] for name, _ in chunks if " (exercise" in name}

    def lines(wanted):
        return {l.strip() for name, code in chunks if (name in solved) == wanted
                for l in code.split("\n") if len(l.strip()) > 25 and "<<" not in l}
    secret = lines(True) - lines(False)
    assert len(solved) >= 20 and len(secret) > 100
    run = weave(real[1], "-e", "student")
    assert run.returncode == 0, run.stderr
    found = pages(real[1] / "out/html-student")
    check_pages(found)
    for name, page in found.items():
        code = {l.strip() for c in page.codes for l in c["text"].split("\n")}
        assert not secret & code, name
        assert "<details" not in page.html and 'class="box solution"' not in page.html, name


def test_the_book_is_woven_quickly(real):
    """20 s for all and 4 s for one changed chapter, on two processors."""
    found, folder, cold = real
    chapter = folder / "chapters/13-file-system.nw"
    chapter.write_text(chapter.read_text().replace("\n\n", "\n\nChanged. ", 1))
    start = seconds()
    assert weave(folder).returncode == 0
    assert cold < 40 and seconds() - start < 6


# ------------------------------------------------------------------ the eye

def luminance(colour):
    if len(colour) == 4:
        colour = "#" + "".join(2 * c for c in colour[1:])
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= .04045 else ((p + .055) / 1.055) ** 2.4 for p in parts)
    return .2126 * r + .7152 * g + .0722 * b


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + .05) / (low + .05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(theme):
    """Every colour of text reads on every ground it stands on (WCAG AA)."""
    css = (ROOT / "woven/book.css").read_text()
    pick = 0 if theme == "light" else 1
    pair = r"light-dark\((#\w+), (#\w+)\)"
    colours = {n: (a, b)[pick] for n, a, b in re.findall(r"--(\w+): " + pair, css)}
    grounds = [colours[g] for g in ("back", "panel", "head")]
    texts = [colours[t] for t in ("text", "quiet", "link", "manual", "answer")]
    for text in texts:
        assert all(contrast(text, g) >= 4.5 for g in grounds), text
    for a, b in re.findall(r"pre [^{}]*\{ color: " + pair, css):
        assert contrast((a, b)[pick], colours["panel"]) >= 4.5, (a, b)
    assert contrast(colours["text"], colours["mark"]) >= 4.5


# ------------------------------------------------------------------ make stats

def stats(folder, *flags):
    return subprocess.run([sys.executable, ROOT / "woven/stats.py", *flags, folder / "chapters"],
                          capture_output=True, text=True, timeout=60)


def test_stats(book):
    book.write("02-a.nw", """\
# A title

One two three, [[four]] and [a link](#ch:nowhere) six.

```
not counted at all
```

<<kern/a.c>>=
int a;

<<more>>
@

<<more>>=
int b;
@

::: slide
Not counted either.
:::

![Seven eight.](figures/a.svg){#fig:a alt="not
counted"}

<<fs/disk/motd>>=
Data, no code.
@
""")
    run = stats(book.folder)
    assert run.returncode == 0, run.stderr
    row = next(l for l in run.stdout.splitlines() if l.startswith("02-a"))
    assert row.replace("*", "").split() == \
        ["02-a", "2", "1", "2", "2", "3", "12", "4.0", "50%"]
    assert stats(book.folder, "--check").returncode == 1
    listed = stats(book.folder, "--list").stdout
    assert "chapters/02-a.nw:15: <<more>> has no prose before it" in listed


def test_stats_names_a_chunk_that_is_too_long(book):
    book.write("02-a.nw", "# A\n\n" + "word " * 900 + "\n\n<<kern/a.c>>=\n" + "x;\n" * 46 + "@\n")
    run = stats(book.folder, "--check")
    assert "chapters/02-a.nw:5: <<kern/a.c>> has 46 lines" in run.stderr
