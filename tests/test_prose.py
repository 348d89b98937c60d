"""The words of the chapters: spelling, the bibliography, the glossary."""
import re
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "woven"))
import book as noweb  # noqa: E402
from backend import DIV, FENCE  # noqa: E402

pytestmark = pytest.mark.skipif(not shutil.which("notangle"),
                                reason="make deps installs noweb")

OWN = ROOT / "tests/words.txt"
# What isn't prose: code in backquotes, addresses, where links and images lead
# to, ids and other attributes (but not the alt text, which somebody will hear),
# paths and names of files, hexadecimal numbers.
NOT_PROSE = re.compile(r"""(`+)(?!`)(?:[^\n]|\n(?!\n))*?(?<!`)\1(?!`)|<https?:[^>]*>|
    (?<=\])\([^)\s]*\)|\[\^[^\]]*\]|\#[a-z]+:[\w-]+|\balt=|\\.|
    /?[\w.-]+/[\w./-]+\.\w+|\b(?:tangle|obj|woven)/[\w./-]+|[\w-]+\.(?:[chSo]|ld|py|img|rst)\b|\b[\dA-F]+H\b|(?<=\*)th\b""", re.X)
WORD = re.compile(r"[\w'’]+")


class Prose:
    """What people read of a chapter: its text, line for line, without code.

    [[code]] becomes `q`; fenced blocks (code, transcripts), chunks and the
    lines that open and close divs become empty lines.
    """

    def __init__(self, chapter):
        self.topic, self.file = chapter.topic, chapter.file
        self.names = []                 # its files, the texts of its [[quotes]]
        self.text = ""                  # all of it with the quotes
        lines, fence = {}, None
        for part in chapter.parts:
            if not isinstance(part, noweb.Docs):
                self.names += [] if " " in part.name else [part.name]
                continue
            for number, pieces in part.numbered():
                raw = "".join(p if isinstance(p, str) else "`q`" for p in pieces)
                opens = FENCE.match(raw)
                if fence:
                    if opens and opens[1].startswith(fence) and not opens[2].strip():
                        fence = None
                elif opens:
                    fence = opens[1]
                elif not DIV.match(raw):
                    lines[number] = raw
                    self.text += "".join(p if isinstance(p, str) else p.text for p in pieces) + "\n"
                    self.names += [p.text for p in pieces if isinstance(p, noweb.Quote)]
        self.lines = [lines.get(n, "") for n in range(1, max(lines) + 1)]

    def find(self, pattern):
        """(line, match) for each place of a pattern."""
        for number, line in enumerate(self.lines, 1):
            for match in re.finditer(pattern, line):
                yield number, match

    def words(self):
        """(line, word) for each word; what has a digit in it is none."""
        text = NOT_PROSE.sub(lambda m: "\n" * m[0].count("\n") + " ", "\n".join(self.lines))
        for number, line in enumerate(text.split("\n"), 1):
            for token in WORD.findall(line):
                word = re.sub("'s$", "", token.replace("’", "'").strip("'"))
                if len(word) > 1 and not re.search(r"[\d_]", word):
                    yield number, word


@pytest.fixture(scope="module")
def chapters():
    book = noweb.read(noweb.chapter_files(ROOT / "chapters"))
    return [Prose(chapter) for chapter in book.chapters]


@pytest.fixture(scope="module")
def matter(chapters):
    return {prose.topic: prose for prose in chapters}


def unknown_to_hunspell(words):
    """Those of the words that British English doesn't know."""
    run = subprocess.run(["hunspell", "-d", "en_GB", "-i", "utf-8", "-l"],
                         input="".join(word + "\n" for word in sorted(words)),
                         capture_output=True, text=True, check=True)
    # It takes words apart at signs; a word is wrong if a piece of it is.
    pieces = set(run.stdout.split("\n"))
    return {word for word in words if word in pieces or pieces & set(word.split("'"))}


def has_dictionary():
    return shutil.which("hunspell") and not subprocess.run(
        ["hunspell", "-d", "en_GB", "-l"], stdin=subprocess.DEVNULL, capture_output=True).returncode


@pytest.mark.skipif(not has_dictionary(), reason="make deps installs hunspell and its en_GB")
def test_spelling(chapters):
    own = OWN.read_text().split()
    assert own == sorted(set(own)), "tests/words.txt is not sorted, or has a word twice"
    # Alt texts, notes and headings name code without quotes: files, and what
    # is quoted elsewhere.
    code = {word for prose in chapters for name in prose.names
            for word in re.findall(r"\w+", name)}
    known = code | set(own)
    found = [(prose.file, line, word) for prose in chapters for line, word in prose.words()]
    strange = unknown_to_hunspell({word for _, _, word in found} - known)
    # An own word in lower case may begin a sentence.
    strange -= {word[0].upper() + word[1:] for word in own}
    faults = [f"{file}:{line}: {word}" for file, line, word in found if word in strange]
    assert not faults, "spelling (true words go to tests/words.txt):\n" + "\n".join(faults)


# ---------------------------------------------------------------- bibliography

def test_bibliography(chapters, matter):
    entries = {match[1]: line for line, match in matter["E-bibliography"].find(r"\[\]\{#bib:([\w-]+)\}")}
    cited = {}
    for prose in chapters:
        for line, match in prose.find(r"\]\(#bib:([^)\s]*)\)"):
            cited.setdefault(match[1], f"{prose.file}:{line}: #bib:{match[1]}")
    faults = [f"{place} is no work of the bibliography"
              for key, place in cited.items() if key not in entries]
    faults += [f"{matter['E-bibliography'].file}:{line}: no chapter cites #bib:{key}"
               for key, line in entries.items() if key not in cited]
    assert not faults, "\n".join(faults)
    assert len(entries) > 50


# --------------------------------------------------------------------- preface

def test_preface_names_sections_that_are_there(matter):
    """Each "Title" of the tables' cells stands behind its chapter's link."""
    faults, named = [], 0
    for line, row in matter["00-preface"].find(r"^\|.*\|$"):
        topic = None
        for link, title in re.findall(r'\(#ch:([\w-]+)\)|"([^"]*)"', row[0]):
            topic = link or topic
            if title:
                named += 1
                if f"## {title}" not in matter[topic].lines:
                    faults.append(f"chapters/00-preface.nw:{line}: {topic} has no section {title}")
    assert not faults, "\n".join(faults)
    assert named > 30


# -------------------------------------------------------------------- glossary

def forms(term):
    """Patterns one of which a chapter has that introduces the term.

    "page-fault upcall", "tangle" (tangling), "runnable, running" (any of
    these), "local APIC", "extended page tables (EPT)" (either).
    """
    outer, inner = re.fullmatch(r"(.*?)(?: \(([^)]*)\))?", term).groups()
    names = re.split(r", | and ", outer) + ([inner] if inner and inner[-1].isupper() else [])
    for name in names:
        stems = [re.escape(re.sub("(ing|[es])$", "", word)) for word in re.split("[ -]", name)]
        yield r"(?i)(?<!\w)" + r"\w*[\s-]+".join(stems)


def test_glossary(matter):
    lines = matter["D-glossary"].lines
    faults, terms = [], {}
    for number, line in enumerate(lines, 1):
        entry = re.match(r"\[(.*)\]\{#gl:[\w-]+\}$", line)
        if not entry:
            continue
        term, definition = entry[1], lines[number]
        place = f"chapters/D-glossary.nw:{number}: {term}"
        terms[term] = place
        chapters = re.findall(r"\]\(#ch:([\w-]+)\)", definition)
        if not definition.startswith(":   ") or not chapters:
            faults.append(f"{place}: no definition, or no chapter in it")
        faults += [f"{place}: isn't in {topic}" for topic in chapters
                   if not any(re.search(form, matter[topic].text.replace("*", ""))
                              for form in forms(term))]
    assert not faults, "\n".join(faults)
    assert len(terms) > 200

    def order(term):
        return re.sub("[^a-z0-9 ]", "", term.lower().replace("-", " ")).strip()

    wrong = [place for (term, place), before in zip(list(terms.items())[1:], terms)
             if order(term) < order(before)]
    assert not wrong, "not in the alphabet's order:\n" + "\n".join(wrong)


def test_style():
    """The book's own bars: sizes of chunks, words for a line of code."""
    run = subprocess.run([sys.executable, ROOT / "woven/stats.py", "--check", ROOT / "chapters"],
                         capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "chapters").glob("[0-9][0-9]-*.nw")), ids=lambda p: p.stem)
def test_a_chapter_has_figures_and_slides(path):
    text, part_four = path.read_text(), int(path.name[:2]) >= 16
    assert re.search(r"^!\[", text, re.M), "no figure"
    slides = len(re.findall(r"^:{3,} *\{?\.?slide", text, re.M))
    notes = len(re.findall(r"^:{3,} *\{?\.?notes", text, re.M))
    least, most = (15, 25) if part_four else (0 if path.name.startswith("00-") else 5, 25)
    assert slides == notes and least <= slides <= most
