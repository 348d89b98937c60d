#!/usr/bin/env python3
"""lint.py [--upto NN] [--lab N] [--draft] BOOK: check the chapters before tangling.

Every fault is written to stderr as chapters/FILE.nw:LINE: what is wrong, and
the exit status is 1. A sound book is answered with the plan of the tangle on
stdout: a line `chapter PATH` for each chapter to read, in order, a line `file
NAME` for each file that they hold, and a line `empty NAME` for each chunk that
they use and a later chapter defines.

Chapters are read as noweb reads them. A prefix of the book (--upto) is judged
by its own chapters, except that it may use chunks which a later one defines.
So may the whole book while it is being written: book.yaml lists the chunks
that chapters still to come will define, one a line, under `to come:`.
"""
import argparse
import collections
import difflib
import os
import re
import sys

CHAPTER = re.compile(r"([0-9]{2}|[A-Z])-[a-z0-9]+(-[a-z0-9]+)*\.nw")
OTHER_FILES = {"book.yaml", "lectures.yaml"}
# A chunk whose name has no blanks is a file if it has a slash or a dot in
# front, or is one of these.
TOP_FILES = {"GNUmakefile", "Makefile", "README", "README.md", "LICENSE", "bochsrc"}
PATH = re.compile(r"[A-Za-z0-9_.+-]+(/[A-Za-z0-9_.+-]+)*")
EXERCISE = re.compile(r"(.*\S) \(exercise (0|[1-9][0-9]*)\)")
MAX_COLUMNS = 80
MAX_NAME = 255

DEFINITION = re.compile(r"<<(.*)>>=[ \t]*")
REFERENCE = re.compile(r"(?<!@)<<(.*?)>>")
QUOTE = re.compile(r"(?<!@)\[\[(.*?\]*)\]\]")
# What a person calls a chunk, as opposed to what stands between two shifts.
PLAIN_NAME = re.compile(r"[A-Za-z_.\[][^;&|=\"]*")

Place = collections.namedtuple("Place", "file line")


def is_file(name):
    return " " not in name and ("/" in name or name.startswith(".") or name in TOP_FILES)


def columns(line):
    return len(line.replace("@<<", "<<").expandtabs(8))


class Book:
    def __init__(self, folder, draft=False):
        self.folder = folder
        self.draft = draft
        self.faults = []                                # (Place, what is wrong)
        self.notes = []                                 # the same; a draft may have them
        self.chapters = []                              # paths, in reading order
        self.defined = collections.defaultdict(list)    # chunk -> [Place]
        self.used = collections.defaultdict(list)       # chunk -> [(user, Place)]
        self.quoted = collections.defaultdict(list)     # chunk -> [Place], in prose
        self.to_come = {}                               # chunk -> Place in book.yaml

    def fault(self, place, what):
        self.faults.append((place, what))

    def unfinished(self, place, what):
        """A fault, unless the book is a draft."""
        (self.notes if self.draft else self.faults).append((place, what))

    # --- the files

    def find_chapters(self):
        folder = os.path.normpath(os.path.join(self.folder, "chapters"))
        numbers = {}
        if not os.path.isdir(folder):
            sys.exit(f"tangle: {folder}: there is no such folder")
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            # An editor's own files are no business of ours.
            if name.startswith((".", "#")) or name.endswith("~") or name in OTHER_FILES:
                continue
            match = CHAPTER.fullmatch(name)
            if not match or not os.path.isfile(path):
                self.fault(Place(path, 1), "not a chapter: only NN-topic.nw, A-topic.nw and "
                           + ", ".join(sorted(OTHER_FILES)) + " may stand here")
                continue
            number = match.group(1)
            if number in numbers:
                self.fault(Place(path, 1), f"chapter {number} is there already: {numbers[number]}")
            numbers.setdefault(number, path)
            self.chapters.append(path)

    def number(self, path):
        return os.path.basename(path).split("-")[0]

    def prefix(self, upto):
        """The chapters to read: all of them, or those up to number upto."""
        if upto is None:
            return self.chapters
        numbers = [self.number(path) for path in self.chapters if self.number(path).isdigit()]
        wanted = upto.zfill(2)
        if wanted not in numbers:
            sys.exit(f"tangle: UPTO={upto}: there is no such chapter; "
                     f"the book has {', '.join(numbers) or 'none'}")
        return [path for path in self.chapters
                if self.number(path).isdigit() and self.number(path) <= wanted]

    def read_to_come(self):
        path = os.path.normpath(os.path.join(self.folder, "chapters", "book.yaml"))
        inside = False
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                for number, line in enumerate(file, 1):
                    item = re.fullmatch(r"\s*- (?:\"(.*)\"|(.*))\s*", line)
                    if re.match(r"\S", line) and not item:
                        inside = line.startswith("to come:")
                    elif inside and item:
                        self.to_come[item.group(1) or item.group(2)] = Place(path, number)

    # --- the text of one chapter

    def read(self, path):
        with open(path, "rb") as file:
            data = file.read()
        if data.startswith(b"\xef\xbb\xbf"):
            self.fault(Place(path, 1), "byte order mark: save the file as plain UTF-8")
            data = data[3:]
        chunk, opened = None, None
        before = ""
        lines = data.split(b"\n")
        if lines and lines[-1] == b"":
            lines.pop()
        elif lines:
            self.fault(Place(path, len(lines)), "no newline at the end of the file")
        for number, raw in enumerate(lines, 1):
            place = Place(path, number)
            if raw.endswith(b"\r"):
                self.fault(place, "CRLF line end: save the file with plain newlines")
                raw = raw.rstrip(b"\r")
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError:
                self.fault(place, "not UTF-8")
                line = raw.decode("latin-1")
            if any(char < " " and char != "\t" for char in line):
                self.fault(place, "control character")

            definition = DEFINITION.fullmatch(line)
            if definition:
                if chunk is not None:
                    self.fault(place, f"<<{chunk}>> (line {opened.line}) was not closed: "
                               "a line `@` ends a code chunk")
                chunk, opened = definition.group(1), place
                self.define(chunk, place)
                if line[-1] in " \t":
                    self.unfinished(place, "trailing blanks")
            elif re.match(r"@([ \t]|$)", line):
                if line != "@":
                    self.fault(place, "text after `@` at the start of a line is lost, and the code "
                               "chunk ends: let `@` stand alone")
                elif chunk is None:
                    self.fault(place, "`@` with no code chunk open")
                chunk = None
            elif chunk is not None:
                self.read_code(chunk, line, before, place)
            else:
                self.read_prose(line, place)
            before = line
        if chunk is not None:
            self.fault(opened, f"<<{chunk}>> is never closed: a line `@` ends a code chunk")

    def define(self, name, place):
        self.check_name(name, place)
        if re.search(r"\(exercise\b.*\)$", name) and not EXERCISE.fullmatch(name):
            self.fault(place, f"<<{name}>>: write <<name (exercise N)>>, N the number of the lab")
        self.defined[name].append(place)

    def check_name(self, name, place):
        if name != " ".join(name.split(" ")).strip() or "  " in name or "\t" in name:
            self.fault(place, f"odd blanks in the chunk name <<{name}>>")
        if not name:
            self.fault(place, "a chunk with no name")
        if len(name.encode()) > MAX_NAME:
            self.fault(place, f"chunk name of more than {MAX_NAME} bytes")
        base = solution(name)
        if is_file(base) and (not PATH.fullmatch(base) or ".." in base.split("/")
                              or base.split("/")[0] == "obj"):
            self.fault(place, f"<<{base}>>: not a path inside the tree")

    def read_code(self, chunk, line, before, place):
        if line.endswith((" ", "\t")):
            self.unfinished(place, "trailing blanks")
        if columns(line) > MAX_COLUMNS:
            self.unfinished(place, f"code line of {columns(line)} columns, over {MAX_COLUMNS}")
        text = line[2:] if line.startswith("@@") else line
        names = REFERENCE.findall(text)
        if names and (line.endswith("\\") or before.endswith("\\")):
            self.fault(place, "chunk reference inside a line continued with a backslash "
                       "(breaks with #line)")
        if re.fullmatch(r"[ \t]+<<.*>>=[ \t]*", line):
            self.fault(place, "a chunk definition must start in the first column")
        for name in names:
            if EXERCISE.fullmatch(name):
                self.fault(place, f"<<{name}>>: use the solution's name; the lab's number "
                           "chooses the stub")
            self.used[name].append((chunk, place))

    def read_prose(self, line, place):
        for quote in QUOTE.findall(line):
            for name in REFERENCE.findall(quote):
                self.quoted[name].append(place)
        rest = QUOTE.sub("", line)
        if re.search(r"(?<!@)\[\[", rest):
            self.fault(place, "[[ without its ]] on this line swallows the text up to the next ]]")
        if re.search(r"(?<!@)<<", rest):
            self.fault(place, "<< in prose: write @<<, or [[<<name>>]] for the name of a chunk")

    # --- the chunks together

    def check_chunks(self):
        known = sorted(self.defined)

        def undefined(name, place, what):
            if not PLAIN_NAME.fullmatch(name.strip()):
                self.fault(place, f"<<{name}>> looks like two shifts, but noweb takes it for a "
                           "chunk: write @<< for the first")
                return
            near = difflib.get_close_matches(name, known, 1, 0.8)
            hint = f"; is it <<{near[0]}>>?" if near else ""
            self.unfinished(place, what + hint)

        for name, uses in self.used.items():
            for _, place in uses:
                if name not in self.defined and name not in self.to_come:
                    undefined(name, place, f"undefined chunk <<{name}>>")
                if is_file(name):
                    self.fault(place, f"<<{name}>> is a file of the tree: no chunk can use it")
        for name, places in self.quoted.items():
            for place in places:
                if name not in self.defined and name not in self.to_come:
                    undefined(name, place, f"the text speaks of <<{name}>>, an undefined chunk")
        for name, places in self.defined.items():
            first, base = places[0], solution(name)
            if base != name:
                if base not in self.defined:
                    self.fault(first, f"<<{name}>> has no solution: there is no <<{base}>>")
            elif is_file(name):
                other = [place for place in places if place.file != first.file]
                if other:
                    self.fault(other[0], f"<<{name}>> is a file of another chapter: "
                               f"{first.file}:{first.line}")
            elif name not in self.used:
                self.unfinished(first, f"unused chunk <<{name}>>")
        for name, place in self.to_come.items():
            if name in self.defined:
                self.fault(place, f"<<{name}>> has come: {self.defined[name][0].file}")
            elif name not in self.used:
                self.fault(place, f"<<{name}>> is to come, but no chunk uses it")
        self.check_folders()
        self.check_cycles()

    def check_folders(self):
        """No file may stand where another one needs a folder, or be one of inc/."""
        headers = os.path.join(self.folder, "inc")
        headers = {"inc/" + name for name in os.listdir(headers)} if os.path.isdir(headers) else set()
        files = {name for name in self.defined if is_file(name)}
        for name in sorted(files):
            place = self.defined[name][0]
            if name in headers:
                self.fault(place, f"<<{name}>> is there already, as a plain file of the book")
            parts = name.split("/")
            for depth in range(1, len(parts)):
                folder = "/".join(parts[:depth])
                if folder in files:
                    self.fault(place, f"<<{name}>>: <<{folder}>> is a file, not a folder")

    def check_cycles(self):
        """No chunk may use itself, on its own or by way of others."""
        uses = collections.defaultdict(list)
        for name, users in self.used.items():
            for user, place in users:
                uses[solution(user)].append((name, place))
        state = {}                                      # chunk -> "open" or "done"
        for start in list(uses):
            if start in state:
                continue
            state[start] = "open"
            trail = [(start, iter(uses[start]))]
            while trail:
                chunk, rest = trail[-1]
                for name, place in rest:
                    if state.get(name) == "open":
                        names = [step for step, _ in trail]
                        ring = names[names.index(name):] + [name]
                        self.fault(place, "a chunk that uses itself: "
                                   + " -> ".join(f"<<{step}>>" for step in ring))
                    elif name not in state:
                        state[name] = "open"
                        trail.append((name, iter(uses.get(name, ()))))
                        break
                else:
                    state[chunk] = "done"
                    trail.pop()

    def check_lab(self, lab):
        labs = sorted({int(match.group(2)) for match in map(EXERCISE.fullmatch, self.defined) if match})
        there = "the book has " + (f"labs {', '.join(map(str, labs))}" if labs else "no labs yet")
        if not re.fullmatch(r"0|[1-9][0-9]*", lab):
            sys.exit(f"tangle: LAB={lab}: not a number; {there}")
        if int(lab) not in labs:
            sys.exit(f"tangle: LAB={lab}: there is no such lab; {there}")


def solution(name):
    """The name of the chunk that a stub stands in for; of others, their own."""
    match = EXERCISE.fullmatch(name)
    return match.group(1) if match else name


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--upto")
    parser.add_argument("--lab")
    parser.add_argument("--draft", action="store_true")
    parser.add_argument("book")
    args = parser.parse_args()

    book = Book(args.book, args.draft)
    book.find_chapters()
    if not book.chapters:
        sys.exit(f"tangle: {args.book}: no chapters")
    chapters = book.prefix(args.upto)
    book.read_to_come()
    for path in book.chapters:
        book.read(path)
    book.check_chunks()

    # What is wrong with later chapters is no fault of the first ones, but a
    # file that is no chapter at all is.
    later = set(book.chapters) - set(chapters)
    faults = sorted({fault for fault in book.faults if fault[0].file not in later})
    notes = sorted({note for note in book.notes if note[0].file not in later})
    if args.lab is not None:
        book.check_lab(args.lab)
    for place, what in notes:
        print(f"{place.file}:{place.line}: note: {what}", file=sys.stderr)
    for place, what in faults:
        print(f"{place.file}:{place.line}: {what}", file=sys.stderr)
    if faults:
        print(f"tangle: {len(faults)} error{'s' * (len(faults) > 1)}, nothing written", file=sys.stderr)
        return 1
    for path in chapters:
        print("chapter", path)
    here = {name for name, places in book.defined.items()
            if any(place.file in chapters for place in places)}
    for name in sorted(here):
        if is_file(name):
            print("file", name)
    for name, uses in sorted(book.used.items()):
        if name not in here and any(place.file in chapters for _, place in uses):
            print("empty", name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
