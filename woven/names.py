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
    def __init__(self, word, chunk, line, file, kind, private):
        self.word = word
        self.chunk = chunk          # where it stands in the book
        self.line = line            # index into chunk.lines
        self.file = file            # where it stands in the tree
        self.member = kind == "member"
        self.private = private      # unseen outside its file
        self.id = None
        self.uses = []              # chunks


class Names:
    def __init__(self, book):
        self.book = book
        self.words = {}             # word -> [Definition]
        for definition in _definitions(book):
            same = self.words.setdefault(definition.word, [])
            if not any(d.chunk is definition.chunk for d in same):
                same.append(definition)
        taken = {}
        for chunk in book.chunks:   # anchors, unique in a page, in reading order
            for d in self.in_chunk(chunk):
                key = (chunk.chapter, d.word)
                taken[key] = taken.get(key, 0) + 1
                n = taken[key]
                d.id = f"def-{d.word}" + (f"_{n}" if n > 1 else "")
        for chunk in book.chunks:
            for d in set(self.links(chunk).values()):
                d.uses.append(chunk)

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


def expand(book, name, stack=()):
    """The lines of a file: (text, chunk, line index). Unknown chunks are empty."""
    if name in stack:
        chunk = book.definitions[name][0]
        raise BookError(f"{chunk.chapter.file}:{chunk.line}: <<{name}>> uses itself: "
                        + " → ".join((*stack[stack.index(name):], name)))
    lines = []
    for chunk in book.definitions.get(name, []):
        for i, line in enumerate(chunk.lines):
            for piece in line or [""]:
                if isinstance(piece, Ref):
                    lines += expand(book, piece.name, (*stack, name))
                else:
                    lines.append((piece, chunk, i))
    return lines


def _definitions(book):
    sources = {n: expand(book, n) for n in book.file_names()
               if n.endswith((".c", ".h", ".S"))}
    with tempfile.TemporaryDirectory() as folder:
        for name, lines in sources.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write("".join(text + "\n" for text, _, _ in lines))
        tags = _ctags(folder, [n for n in sources if not n.endswith(".S")])
    for name, lines in sources.items():
        if name.endswith(".S"):
            for i, (text, _, _) in enumerate(lines):
                label = LABEL.match(text)
                if label:
                    word = next(filter(None, label.groups()))
                    tags.append((name, i, word, "label", False))
    for name, line, word, kind, private in tags:
        _, chunk, i = sources[name][line]
        if kind == "member" and "_" not in word:
            continue                # `name`, `next`: too common to mean one thing
        if kind == "macro" and re.search(r"_H_?$", word):
            continue                # an include guard
        if kind == "typedef" and word.startswith("__"):
            continue
        private = private and not name.endswith(".h") or name.startswith("user/")
        yield Definition(word, chunk, i, name, kind, private)


def _ctags(folder, files):
    if not files:
        return []
    try:
        run = subprocess.run(
            ["ctags", "-x", r"--_xformat=%F|%n|%N|%K|%f", "--languages=C",
             "--langmap=C:.c.h", "--kinds-C=defgmstuv", "-L", "-"],
            cwd=folder, input="\n".join(files), capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise BookError("ctags not found: install universal-ctags") from None
    except subprocess.CalledProcessError as error:
        raise BookError(f"ctags: {error.stderr.strip()}") from None
    tags = []
    for row in run.stdout.splitlines():
        name, line, word, kind, scope = row.split("|")
        if not word.startswith("__anon"):
            tags.append((name, int(line) - 1, word, kind, scope == "file"))
    return tags
