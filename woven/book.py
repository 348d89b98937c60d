"""The book as noweb reads it: chapters, prose, chunks, and where each stands.

noweb's markup splits the chapters; this module turns its output into objects
that the back end, the figures of `make stats` and the tests share.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys

CHAPTER_NAME = re.compile(r"^(\d\d|[A-Z])-[a-z0-9-]+\.nw$")
SLUG = 20                           # letters of a chunk's anchor
EXERCISE = re.compile(r" \(exercise[^)]*\)$")
CONTROL = re.compile(rb"[\0-\x08\x0b-\x1f\x7f]")
# Appendices that are made, and of what; the first two may be written by hand.
MADE = {"A-headers": "inc/*.h", "C-manual-sections": "the manual's sections", "F-answers": "answers"}


class BookError(Exception):
    """One or more faults of the book, each a line `file:line: what`."""


class Ref:
    """A chunk reference inside code: <<name>>."""

    def __init__(self, name):
        self.name = name


class Chunk:
    """One definition of a chunk: a name may have several, in reading order."""

    def __init__(self, name, chapter, line):
        self.name = name
        self.chapter = chapter
        self.line = line            # of <<name>>= in the chapter's file
        self.lines = []             # each a list of str and Ref
        self.number = None          # "5.12"
        self.id = None              # its anchor in the page

    @property
    def base(self):
        """The name that it stands for in the tree: exercises have variants."""
        return EXERCISE.sub("", self.name)

    @property
    def is_exercise(self):
        return self.base != self.name

    def refs(self):
        return [p.name for l in self.lines for p in l if isinstance(p, Ref)]

    def text(self):
        """The source as it stands in the chapter, references in << >>."""
        return "".join(
            "".join(f"<<{p.name}>>" if isinstance(p, Ref) else p for p in l) + "\n"
            for l in self.lines)

    def code_lines(self):
        """How many of its lines are not blank."""
        return sum(1 for l in self.lines
                   if any(isinstance(p, Ref) or p.strip() for p in l))


class Quote:
    """[[code]] in prose; `name` is set when it is exactly [[<<name>>]]."""

    def __init__(self):
        self.text = ""
        self.name = None


class Docs:
    """A stretch of prose: lines of str and Quote, with their line numbers."""

    def __init__(self, line):
        self.line = line
        self.lines = [[]]

    def numbered(self):
        return [(self.line + i, l) for i, l in enumerate(self.lines)]


class Chapter:
    def __init__(self, path):
        self.path = path
        self.file = "chapters/" + os.path.basename(path)
        self.topic = os.path.basename(path)[:-3]       # 05-physical-memory
        mark = self.topic.split("-")[0]
        self.number = str(int(mark)) if mark.isdigit() else mark
        if self.number == "0":                          # the preface has none
            self.number = ""
        self.kind = "preface" if not self.number else \
            "chapter" if self.number.isdigit() else "appendix"
        self.parts = []                                 # Docs and Chunk

    def chunks(self):
        return [p for p in self.parts if isinstance(p, Chunk)]


def short(slug):
    """The first words of a slug: a page has an anchor in each of its links."""
    if len(slug) <= SLUG:
        return slug
    return slug[:SLUG + 1].rpartition("-")[0] or slug[:SLUG]


class Book:
    def __init__(self, chapters):
        self.chapters = chapters
        self.chunks = [c for ch in chapters for c in ch.chunks()]
        self.definitions = {}       # name -> [Chunk]
        self.uses = {}              # name -> [Chunk]
        ids = {}
        for chapter in chapters:
            for i, chunk in enumerate(chapter.chunks(), 1):
                chunk.number = f"{chapter.number}.{i}".lstrip(".")
        for chunk in self.chunks:
            slug = short(re.sub(r"[^a-z0-9]+", "-", chunk.name.lower()).strip("-"))
            ids[slug] = ids.get(slug, 0) + 1
            chunk.id = f"c-{slug}" + (f"_{ids[slug]}" if ids[slug] > 1 else "")
        self.solved = {}            # in the students' edition: a solution's name -> its stub's
        self._index()
        self._find_solutions()

    def _index(self):
        self.definitions, self.uses, self._files = {}, {}, {}
        for chunk in self.chunks:
            self.definitions.setdefault(chunk.name, []).append(chunk)
            for name in dict.fromkeys(chunk.refs()):
                self.uses.setdefault(name, []).append(chunk)

    def leave_out_solutions(self):
        """Make it the students' edition: a stub stands for its solution.

        Numbers and anchors of what stays are those of the full edition.
        """
        gone = self.gone
        for chapter in self.chapters:
            chapter.parts = [p for p in chapter.parts
                             if not (isinstance(p, Chunk) and p.name in gone)]
        self.chunks = [c for c in self.chunks if c.name not in gone]
        self._index()
        self.solved = self.stubs
        for base, name in self.solved.items():
            self.definitions[base] = self.definitions[name]

    def _find_solutions(self):
        """A solution is what has a stub; with it goes what only solutions use."""
        best = {}
        for chunk in self.chunks:
            if chunk.is_exercise:
                number = int(re.sub(r"\D", "", chunk.name[len(chunk.base):]) or 0)
                if chunk.base not in best or number < best[chunk.base][0]:
                    best[chunk.base] = (number, chunk.name)
        self.stubs = {base: name for base, (_, name) in best.items()}
        gone = set(self.stubs)
        while True:
            more = {n for n, users in self.uses.items() if n not in gone and n in self.definitions
                    and all(u.name in gone for u in users)}
            if not more:
                break
            gone |= more
        self.gone = gone

    def is_file(self, name):
        """A chunk that nobody uses and whose name has no blank is a file."""
        return name not in self.uses and not re.search(r"\s", name)

    def file_names(self):
        return [n for n in self.definitions if self.is_file(n)]

    def files(self, name):
        """The files of the tree in which the chunk of this name lands."""
        name = EXERCISE.sub("", name)
        if name not in self._files:
            self._files[name] = []              # ends a cycle of references
            found = [name] if self.is_file(name) else []
            for user in self.uses.get(name, []):
                found += self.files(user.name)
            self._files[name] = list(dict.fromkeys(found))
        return self._files[name]


def library():
    """noweb's folder of filters: notangle, a shell script, knows it."""
    place = os.environ.get("NOWEB_LIB")
    notangle = shutil.which("notangle")
    if not place and notangle:
        with open(notangle, errors="replace") as script:
            found = re.search(r"^LIB=(\S+)", script.read(), re.M)
            place = found and found[1]
    if place and os.access(os.path.join(place, "markup"), os.X_OK):
        return place
    raise BookError("noweb's markup not found: install noweb (make deps), "
                    "or set NOWEB_LIB to its library folder")


def chapter_files(folder):
    """The chapters of a folder in reading order: 01…99, then A…Z."""
    names = sorted(n for n in os.listdir(folder) if n.endswith(".nw"))
    faults, seen = [], {}
    for n in names:
        mark, made = n.split("-")[0], next((m for m in MADE if m[0] == n.split("-")[0]), None)
        if not CHAPTER_NAME.match(n):
            faults.append(f"chapters/{n}:1: not a chapter's name: want NN-topic.nw")
        elif mark in seen:
            faults.append(f"chapters/{n}:1: chapter {mark} is there already: chapters/{seen[mark]}")
        elif made and (n[:-3] != made or mark == "F"):
            faults.append(f"chapters/{n}:1: appendix {mark} is made of {MADE[made]}: take another letter")
        seen.setdefault(mark, n)
    if faults:
        raise BookError("\n".join(faults))
    if not names:
        raise BookError(f"{folder}: no chapters")
    return [os.path.join(folder, n) for n in names]


def text_faults(path, name):
    """Why a file isn't plain text: the first line of each fault."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        return [f"{name}:1: {error.strerror}"]
    found = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.endswith(b"\r"):
            found.setdefault("CRLF line end: save the file with plain newlines", number)
            line = line.rstrip(b"\r")
        if CONTROL.search(line):
            found.setdefault("control character", number)
        try:
            line.decode()
        except UnicodeDecodeError:
            found.setdefault("not UTF-8", number)
    if data.startswith(b"\xef\xbb\xbf"):
        found["byte order mark: save the file as plain UTF-8"] = 1
    return [f"{name}:{number}: {what}" for what, number in found.items()]


def read(paths):
    """Parse the chapters with noweb's markup."""
    faults = [f for p in paths for f in text_faults(p, "chapters/" + os.path.basename(p))]
    if faults:
        raise BookError("\n".join(faults))
    run = subprocess.run([os.path.join(library(), "markup"), "-t", *paths],
                         capture_output=True, text=True)
    if run.returncode or run.stderr:
        raise BookError(re.sub(r"^\S*?([^/\s]+\.nw:)", r"chapters/\1", run.stderr.strip(),
                               flags=re.M) or "noweb's markup failed")
    return Book(_parse(run.stdout.split("\n")))


def _parse(stream):
    chapters, part, quote, line, heading = [], None, None, 1, False
    for item in stream:
        key, _, arg = item.partition(" ")
        if key == "@file":
            chapters.append(Chapter(arg))
            line, part = 1, None
        elif key == "@begin":
            if arg.startswith("docs"):
                part = Docs(line)
                chapters[-1].parts.append(part)
        elif key == "@defn":
            part = Chunk(arg, chapters[-1], line)
            chapters[-1].parts.append(part)
            heading = True                      # its @nl ends the <<name>>= line
        elif key == "@nl":
            line += 1
            if heading:
                heading = False
                part.lines.append([])
            elif quote:
                raise BookError(f"{chapters[-1].file}:{line - 1}: [[ is not closed on its line")
            else:
                part.lines.append([])
        elif key == "@text" and quote:
            quote.text += arg
        elif key == "@text":
            if arg:
                part.lines[-1].append(arg)
        elif key == "@use" and quote:
            quote.name = arg if not quote.text else None
            quote.text += f"<<{arg}>>"
        elif key == "@use":
            if not isinstance(part, Chunk):
                raise BookError(f"{chapters[-1].file}:{line}: <<{arg}>> in prose: "
                                "write [[<<…>>]] for the name of a chunk, @<< for the signs")
            part.lines[-1].append(Ref(arg))
        elif key == "@quote":
            quote = Quote()
        elif key == "@endquote":
            if quote.text != f"<<{quote.name}>>":
                quote.name = None
            part.lines[-1].append(quote)
            quote = None
        elif key == "@end" and part and part.lines and not part.lines[-1]:
            part.lines.pop()                    # opened by the last line's @nl
        elif key == "@fatal":
            raise BookError(f"{chapters[-1].file}:{line}: noweb: {arg}")
    return chapters


def cached(target, parts, make):
    """Call make() unless `target` was made of the same parts (bytes or str)."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else str(part).encode())
        digest.update(b"\0")
    key, mark = digest.hexdigest(), target + ".key"
    if os.path.exists(mark) and os.path.exists(target):
        with open(mark) as file:
            if file.read() == key:
                return False
        os.remove(mark)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    make()
    with open(mark, "w") as file:
        file.write(key)
    return True


def report(errors, door="weave"):
    """Print faults as `weave: file:line: …` and give the exit status."""
    for error in errors:
        print(f"{door}: {error}", file=sys.stderr)
    return 1 if errors else 0
