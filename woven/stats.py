#!/usr/bin/env python3
"""Measure the chapters against the book's own bars.

usage: stats.py [--check] [--list] CHAPTERS

One line a chapter: chunks, their sizes (median, 90th percentile, largest),
lines of code, words of prose, words for each line, and how many chunks in a
hundred have no prose before them. A star marks a broken bar; --check makes it
an error that names the chapter, and the line of a chunk that is too long. --list
names every chunk over the 90th percentile's bar or without a lead-in. Only the
largest chunk has a bar in an appendix.

What counts:
  code    the non-blank lines of all chunks; a reference is a line. Not the
          data files of the disk (fs/disk/…), which tell nothing, and not the
          students' variants `name (exercise N)`.
  prose   words outside chunks and fenced blocks (so without transcripts), and
          outside slides and notes. Headings and captions count; [[code]] is
          one word; link targets, attributes and alt texts are none. Answers
          count, since they are read.
  lead-in a chunk has one if a word of prose stands between the chunk before it
          (or the chapter's start) and itself. A heading alone is none.
"""

import re
import sys

import book as noweb
from backend import DIV, FENCE

MEDIAN, P90, LARGEST, BARE = 8, 22, 45, 10
WORDS = [("IV", 16, 15), ("I-III", 1, 8)]       # part, its first chapter, words a line
WORD = re.compile(r"[^\W_][\w'’-]*")
COLUMNS = "{:<24}{:>7}{:>8}{:>6}{:>6}{:>7}{:>8}{:>7}{:>8}"


def percentile(sizes, share):
    """The smallest size that `share` of all sizes don't exceed."""
    ordered = sorted(sizes)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)] if ordered else 0


def counts(book, chunk):
    """Whether a chunk is code of the tree, told by the book."""
    files = book.files(chunk.name)
    data = files and all(f.startswith("fs/disk/") for f in files)
    return not data and not chunk.is_exercise


class Prose:
    """Counts words line by line; fences, slides and notes stay out."""

    def __init__(self):
        self.fence, self.divs = None, []

    def words(self, pieces):
        """(words of the line, of these outside headings)"""
        raw = "".join(p if isinstance(p, str) else "code" for p in pieces)
        fence = FENCE.match(raw)
        if self.fence:
            if fence and fence[1].startswith(self.fence) and not fence[2].strip():
                self.fence = None
            return 0, 0
        if fence:
            self.fence = fence[1]
            return 0, 0
        div = DIV.match(raw)
        if div:
            if div[1]:
                self.divs.append(bool(re.search(r"\b(slide|notes)\b", div[1])))
            elif self.divs:
                self.divs.pop()
            return 0, 0
        if any(self.divs):
            return 0, 0
        text = re.sub(r"\]\([^)]*\)", "] ", raw)
        text = re.sub(r"\{[#.][^}]*\}?", " ", text)
        n = len(WORD.findall(text))
        return n, 0 if text.startswith("#") else n


class Figures:
    """What is measured of one chapter, or of several."""

    def __init__(self, name, bar):
        self.name, self.bar = name, bar         # bar: words a line; None: no bars
        self.sizes, self.words, self.bare = [], 0, 0

    def add(self, other):
        self.sizes += other.sizes
        self.words += other.words
        self.bare += other.bare

    def row(self):
        lines, n = sum(self.sizes), len(self.sizes)
        ratio = self.words / lines if lines else 0
        bare = 100 * self.bare / n if n else 0
        median, p90 = percentile(self.sizes, 50), percentile(self.sizes, 90)
        largest = max(self.sizes, default=0)
        self.broken = []

        def cell(text, bad, what):
            if bad and (self.bar is not None or what == "largest chunk"):
                self.broken.append(f"{what} {text}")
            return text + ("*" if bad else " ")
        return COLUMNS.format(
            self.name, f"{n} ", cell(f"{median}", median > MEDIAN, "median of chunks"),
            cell(f"{p90}", p90 > P90, "90th percentile of chunks"),
            cell(f"{largest}", largest > LARGEST, "largest chunk"),
            f"{lines} ", f"{self.words} ",
            cell(f"{ratio:.1f}", lines and ratio < (self.bar or 0), "words a line of code"),
            cell(f"{bare:.0f}%", bare > BARE, "chunks without lead-in"))


def measure(book, chapter):
    """The chapter's figures; chunks that are worth a look, as (size, note)."""
    number = int(chapter.number) if chapter.number.isdigit() else 0
    bar = next((words for _, first, words in WORDS if number >= first), None)
    figures, prose, lead, notes = Figures(chapter.topic, bar), Prose(), 0, []
    for part in chapter.parts:
        if isinstance(part, noweb.Docs):
            # An image's attributes may run over several lines.
            inside = False
            for line in part.lines:
                text = "".join(p for p in line if isinstance(p, str))
                if inside:
                    inside = '"' not in text
                    continue
                inside = bool(re.search(r'\{#fig:[^}]*alt="[^"]*$', text))   # its last line ends it
                words, before = prose.words(line)
                figures.words += words
                lead += before
        else:
            if counts(book, part):
                size = part.code_lines()
                figures.sizes.append(size)
                figures.bare += not lead
                where = f"{chapter.file}:{part.line}: <<{part.name}>>"
                if size > P90:
                    notes.append((size, f"{where} has {size} lines"))
                if not lead:
                    notes.append((0, f"{where} has no prose before it"))
            lead = 0
    return figures, notes


def main(arguments):
    check = "--check" in arguments
    everything = "--list" in arguments
    folder = [a for a in arguments if not a.startswith("-")][0]
    book = noweb.read(noweb.chapter_files(folder))
    faults, listed, total = [], [], Figures("all", 8)
    print(COLUMNS.format("chapter", "chunks ", "median ", "p90 ", "max ", "lines ", "words ",
                         "w/line ", "no lead "))
    for chapter in book.chapters:
        figures, notes = measure(book, chapter)
        print(figures.row())
        listed += [note for _, note in notes]
        faults += [note for size, note in notes if size > LARGEST] + [f"{chapter.file}:1: {what}" for what in figures.broken
                          if not what.startswith("largest")]
        total.add(figures)
    print(total.row())
    print(COLUMNS.format("bars", "", f"{MEDIAN} ", f"{P90} ", f"{LARGEST} ", "", "",
                         "/".join(str(w) for _, _, w in reversed(WORDS)) + " ", f"{BARE}% "))
    if everything:
        print("\n" + "\n".join(listed))
    if check:
        return noweb.report(faults, "stats")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except noweb.BookError as error:
        sys.exit(noweb.report(str(error).split("\n"), "stats"))
