"""Identifiers: where each is defined, and which definition a word means.

universal-ctags reads the files that the chunks make; every line remembers the
chunk it came from, so a tag becomes a place in a chapter.
"""

import os
import re
import subprocess
import tempfile

from book import BookError, Chunk, Ref

WORD = re.compile(r"(\.|->)?\s*\b([A-Za-z_]\w*)")
NOT_CODE = re.compile(r"/\*.*?(?:\*/|\Z)|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'",
                      re.S)
LABEL = re.compile(r"^([A-Za-z_]\w*):|^\s*\.set\s+([A-Za-z_]\w*)|^#\s*define\s+([A-Za-z_]\w*)")
# Which folders a file of each folder can see; nearest first.
SEES = {"kern": ("kern", "inc", "lib", "vmm"), "vmm": ("vmm", "kern", "inc", "lib"),
        "lib": ("lib", "inc"), "user": ("lib", "inc"), "fs": ("fs", "lib", "inc"),
        "boot": ("boot", "inc"), "inc": ("inc",)}


class Definition:
    def __init__(self, word, chunk, line, file, kind, private, start, end):
        self.word = word
        self.start, self.end = start, end       # rows of the file
        self.chunk = chunk          # where it stands in the book
        self.line = line            # index into chunk.lines
        self.file = file            # where it stands in the tree
        self.kind = kind            # function, struct, macro, … (label in assembly)
        self.member = kind == "member"
        self.private = private      # unseen outside its file
        self.id = None
        self.uses = []              # chunks


class Names:
    def __init__(self, book):
        self.book = book
        self.words = {}             # word -> [Definition]
        self.rows = {n: expand(book, n) for n in book.file_names()}     # of each file
        self.spans = {}             # file -> [(first row, last row, function or struct)]
        sources = {n: rows for n, rows in self.rows.items() if n.endswith((".c", ".h", ".S"))
                   and not n.startswith("/") and ".." not in n.split("/")}
        for definition in _definitions(book, sources, self.spans):
            same = self.words.setdefault(definition.word, [])
            if not any(d.chunk is definition.chunk for d in same):
                same.append(definition)
        taken = {}
        for chunk in book.chunks:   # anchors, unique in a page, in reading order
            for d in self.in_chunk(chunk):
                key = (chunk.chapter, d.word)
                taken[key] = taken.get(key, 0) + 1
                n = taken[key]
                d.id = f"d-{d.word}" + (f"_{n}" if n > 1 else "")
        self._links = {}
        for chunk in book.chunks:
            for d in set(self.links(chunk).values()):
                d.uses.append(chunk)
        self._within = self._places()

    def within(self, chunk):
        """The functions and structs inside of which a chunk lands."""
        return list(self._within.get(chunk, {}))

    def _places(self):
        found = {}
        for name, rows in self.rows.items():
            spans = self.spans.get(name, [])
            before = None
            for i, row in enumerate(rows):
                chunk = row.chunk
                if chunk is not before:
                    for start, end, what in spans:
                        if start < i <= end and rows[start].chunk is not chunk:
                            found.setdefault(chunk, {})[what] = True
                before = chunk
        return found

    def in_chunk(self, chunk):
        if not hasattr(self, "_by_chunk"):
            self._by_chunk = {}
            for same in self.words.values():
                for d in same:
                    self._by_chunk.setdefault(d.chunk, []).append(d)
            for found in self._by_chunk.values():
                found.sort(key=lambda d: (d.line, d.word))
        return self._by_chunk.get(chunk, [])

    def links(self, chunk):
        """What the words of a chunk mean: {word or .member: Definition}."""
        if chunk not in self._links:
            self._links[chunk] = self._find_links(chunk)
        return self._links[chunk]

    def _find_links(self, chunk):
        files = self.book.files(chunk.name)
        own = {d.word for d in self.in_chunk(chunk)}
        code = NOT_CODE.sub(" ", "".join(
            "".join(p for p in l if not isinstance(p, Ref)) + "\n" for l in chunk.lines))
        found = {}
        for dot, word in WORD.findall(code):
            key = ("." if dot else "") + word
            if key not in found and word not in own:
                definition = self.meaning(word, files, bool(dot))
                if definition:
                    found[key] = definition
        return found

    def meaning(self, word, files, member):
        """The definition that `word` has in these files, or None."""
        choice = [d for d in self.words.get(word, []) if d.member == member
                  and (d.file in files or not d.private)]
        return _nearest(choice, files)

    def prose_links(self, chapter):
        """A function that finds what a word of [[code]] means in a chapter."""
        files = list(dict.fromkeys(
            f for c in chapter.chunks() for f in self.book.files(c.name)))

        def find(word):
            same = self.words.get(word, [])
            here = [d for d in same if d.chunk.chapter is chapter]
            seen = here or [d for d in same if not d.private]
            return _nearest([d for d in seen if not d.member] or seen, files)
        return find


def _nearest(choice, files):
    """The one among definitions that the files would see; None if unclear."""
    if len(choice) > 1:
        choice = [d for d in choice if d.file in files] or choice
    if len(choice) > 1:
        folders = [f.split("/")[0] for f in files]
        for seen in SEES.get(folders[0] if folders else "", ()):
            near = [d for d in choice if d.file.split("/")[0] == seen]
            if near:
                choice = near
                break
    if len(choice) > 1:
        choice = [d for d in choice if not d.file.endswith(".h")] or choice
    return choice[0] if len({d.file for d in choice}) == 1 else None


class Row:
    """A line of a file, and where it stands in the book."""

    def __init__(self, text, chunk, index, whole=True):
        self.text = text
        self.chunk, self.index = chunk, index   # index into chunk.lines
        self.whole = whole          # the chunk's whole line, but for the indentation
        self.starts = []            # chunks that begin on this row


def expand(book, name, stack=()):
    """The rows of a file, as notangle writes them. Unknown chunks are empty."""
    if name in stack:
        chunk = book.definitions[name][0]
        raise BookError(f"{chunk.chapter.file}:{chunk.line}: <<{name}>> uses itself: "
                        + " → ".join((*stack[stack.index(name):], name)))
    rows = []
    for chunk in book.definitions.get(name, []):
        first = len(rows)
        for i, line in enumerate(chunk.lines):
            start = len(rows)
            rows.append(Row("", chunk, i))
            for piece in line:
                if isinstance(piece, str):
                    rows[-1].text += piece
                    continue
                before = rows[-1].text
                column = len(before.expandtabs(8))
                blank = "\t" * (column // 8) + " " * (column % 8)
                found = expand(book, piece.name, (*stack, name))
                for row in found:
                    if row.text:
                        row.text = blank + row.text
                rows[-1].whole = False
                if found and not before.strip():
                    rows[-1:] = found
                elif found:
                    rows[-1].text += found[0].text.lstrip()
                    rows[-1].starts += found[0].starts
                    rows += found[1:]
            if any(isinstance(p, Ref) for p in line) and \
               any(isinstance(p, str) and p.strip() for p in line):
                rows[start].whole = rows[-1].whole = False
        if len(rows) > first:
            rows[first].starts.append(chunk)
    return rows


def _definitions(book, sources, spans):
    """Each definition of the sources; `spans` gets what holds lines of a file."""
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in sources.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write("".join(row.text + "\n" for row in rows))
        tags = _ctags(folder, [n for n in sources if n.endswith((".c", ".h"))])
    for name, rows in sources.items():
        if name.endswith(".S"):
            for i, row in enumerate(rows):
                label = LABEL.match(row.text)
                if label:
                    word = next(filter(None, label.groups()))
                    tags.append((name, i, i, word, "label", False))
    for name, start, end, word, kind, private in tags:
        rows = sources[name]
        if kind in ("function", "struct", "union") and end > start:
            spans.setdefault(name, []).append(
                (start, end, word if kind == "function" else f"{kind} {word}"))
        if kind == "member" and "_" not in word:
            continue                # `name`, `next`: too common to mean one thing
        if kind == "macro" and re.search(r"_H_?$", word):
            continue                # an include guard
        if kind == "typedef" and word.startswith("__"):
            continue
        private = private and not name.endswith(".h") or name.startswith("user/")
        yield Definition(word, rows[start].chunk, rows[start].index, name, kind, private,
                         start, end)


def _ctags(folder, files):
    if not files:
        return []
    try:
        run = subprocess.run(
            ["ctags", "-x", r"--_xformat=%F|%n|%e|%N|%K|%f", "--fields=+e", "--languages=C",
             "--langmap=C:.c.h", "--kinds-C=defgmstuv", "-L", "-"],
            cwd=folder, input="\n".join(files), capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise BookError("ctags not found: install universal-ctags") from None
    except subprocess.CalledProcessError as error:
        raise BookError(f"ctags: {error.stderr.strip()}") from None
    tags = []
    for tag in run.stdout.splitlines():
        name, line, end, word, kind, scope = tag.split("|")
        if not word.startswith("__anon"):
            tags.append((name, int(line) - 1, int(end or line) - 1, word, kind, scope == "file"))
    return tags
