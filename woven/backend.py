#!/usr/bin/env python3
"""The weave's back end: chapters in, Markdown and a table of the code out.

usage: backend.py CHAPTERS INC OUT

Writes OUT/NN-topic.md, one a chapter, in which an empty block stands for each
chunk; OUT/book.lua, the chunks themselves with all their links, for the pandoc
filter; OUT/sources, the Markdown files in reading order. The headers of INC
become a chapter of their own, an appendix, so that their names have a place to
link to. Faults are printed as chapters/FILE.nw:LINE, and nothing is written.

noweb's own cross-reference filters (finduses, noidx) aren't in the pipe: they
know words, not files, and link every `umain` to all fifty of them.
"""

import os
import re
import sys

import book as noweb
from names import Names, WORD

FENCE = re.compile(r"^\s*(`{3,}|~{3,})(.*)$")
DIV = re.compile(r"^\s*:{3,}\s*(\{.*\}|[\w.-]+)?\s*:*\s*$")
NOTE = re.compile(r"\[\^[^\]\s]+\]")
ATTRIBUTES = re.compile(r"\s\{[^}]*\}\s*$")
LANGUAGES = [(r"\.[ch]$", "c"), (r"\.S$", "gas"), (r"[Mm]akefile$|\.mk$", "makefile"),
             (r"\.lds?$|\.ld\.S$", "ld"), (r"\.sh$", "bash"), (r"\.py$", "python")]


def language(files):
    for name in files:
        for pattern, lang in LANGUAGES:
            if re.search(pattern, name):
                return lang
    return ""


# ------------------------------------------------------------------- headers

def headers_chapter(inc, out):
    """Write inc/*.h as a chapter of the book; its path, or None without them."""
    names = sorted(n for n in os.listdir(inc) if n.endswith(".h")) if os.path.isdir(inc) else []
    if not names:
        return None
    path = os.path.join(out, "A-headers.nw")
    with open(path, "w") as file:
        file.write(
            "# Headers that are tables\n\n"
            "These headers tell no story: they list numbers that the hardware, the ELF\n"
            "format or the interface fix. They are plain C files of the book's folder\n"
            "[[inc]], copied into the tree as they stand.\n")
        for name in names:
            with open(os.path.join(inc, name)) as header:
                code = header.read()
            code = re.sub(r"^@", "@@", code.replace("<<", "@<<"), flags=re.M)
            file.write(f"\n## [[inc/{name}]]\n\n<<inc/{name}>>=\n{code}@\n")
    return path


# ------------------------------------------------------------------- Markdown

class Prose:
    """Turns a chapter's prose into Markdown, and finds what is open or wrong."""

    def __init__(self, chapter, errors):
        self.chapter, self.errors = chapter, errors
        self.out = []
        self.fence = None           # the signs that opened a fenced block
        self.open = []              # lines of the fences and divs not yet closed
        self.titles = 0
        self.notes, self.noted = [], set()      # footnotes: where called, written

    def fault(self, line, what):
        self.errors.append(f"{self.chapter.file}:{line}: {what}")

    def docs(self, docs):
        for number, pieces in docs.numbered():
            self.line(number, pieces)

    def line(self, number, pieces):
        raw = "".join(p if isinstance(p, str) else f"[[{p.text}]]" for p in pieces)
        fence = FENCE.match(raw)
        if self.fence:
            if fence and fence[1].startswith(self.fence) and not fence[2].strip():
                self.fence = None
                self.open.pop()
            self.out.append(raw)
            return
        if fence:
            self.fence = fence[1]
            self.open.append((number, "fenced block"))
            self.out += ["", raw]
            return
        div = DIV.match(raw)
        if div:
            if div[1]:
                self.open.append((number, f"::: {div[1]}"))
            elif self.open:
                self.open.pop()
            else:
                self.fault(number, "::: closes a div that isn't open")
            self.out += ["", raw, ""]       # pandoc wants blank lines around
            return
        if raw.startswith("# "):
            self.title(number, raw)
            return
        for note in NOTE.findall("".join(p for p in pieces if isinstance(p, str))):
            if raw.startswith(note + ":"):
                self.noted.add(note)
            else:
                self.notes.append((number, note))
        self.out.append("".join(p if isinstance(p, str) else quoted(p) for p in pieces))

    def title(self, number, raw):
        self.titles += 1
        if self.titles > 1:
            self.fault(number, "a second # title: a chapter has one")
        if ATTRIBUTES.search(raw):
            self.fault(number, "a title takes no attributes: its id is ch:" + self.chapter.topic)
        self.out.append(f"{raw} {{#ch:{self.chapter.topic}}}")

    def chunk(self, chunk):
        if self.fence:
            self.fault(chunk.line, f"<<{chunk.name}>>= inside the fenced block of "
                                   f"line {self.open[-1][0]}")
        self.out += ["", f"~~~ {{#{chunk.id} .chunk}}", "~~~", ""]

    def text(self):
        for line, what in self.open:
            self.fault(line, f"{what} is never closed")
        for line, note in self.notes:
            if note not in self.noted:
                self.fault(line, f"no footnote {note} is written in this chapter")
        if not self.titles:
            self.fault(1, "no title: the first line is `# Title`")
        return "\n".join(self.out) + "\n"


def quoted(quote):
    """A code span for [[code]], whatever backquotes it holds."""
    text, fence = quote.name or quote.text, "`"
    while fence in text:
        fence += "`"
    if text.startswith("`") or text.endswith("`"):
        text = f" {text} "
    return f"{fence}{text}{fence}" + ("{.chunkname}" if quote.name else "{.quote}")


# ------------------------------------------------------------------- the table

def lua(value):
    """A value as Lua source."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        value = value.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r")
        return '"' + value.replace("\n", "\\n") + '"'
    if isinstance(value, dict):
        return "{" + ",".join(f"[{lua(k)}]={lua(v)}" for k, v in value.items()) + "}"
    return "{" + ",".join(map(lua, value)) + "}"


def table(book, names):
    """Everything that the filter must know of the code, as one Lua table."""
    def place(definition):
        return {"chapter": definition.chunk.chapter.topic, "id": definition.id}

    def numbers(chunks):
        return [c.id for c in chunks]

    chunks = {}
    for chunk in book.chunks:
        same = book.definitions[chunk.name]
        at = same.index(chunk)
        files = book.files(chunk.name)
        chunks[chunk.id] = {
            "name": chunk.name, "number": chunk.number, "chapter": chunk.chapter.topic,
            "file": book.is_file(chunk.base), "files": files,
            "lang": language(files), "exercise": chunk.is_exercise,
            "first": same[0].id, "continued": at > 0,
            "previous": same[at - 1].id if at else False,
            "next": same[at + 1].id if at + 1 < len(same) else False,
            "rest": numbers(same[1:]), "used": numbers(book.uses.get(chunk.base, [])),
            # lines of {text, reference, text, …}
            "lines": [[p if isinstance(p, str) else {"ref": p.name} for p in l]
                      for l in chunk.lines],
            "links": {w: place(d) for w, d in names.links(chunk).items()},
            "defines": [{"word": d.word, "line": d.line + 1, "id": d.id, "member": d.member,
                         "uses": numbers(d.uses)} for d in names.in_chunk(chunk)],
        }
    prose = {}
    for chapter in book.chapters:
        find, found = names.prose_links(chapter), {}
        for part in chapter.parts:
            if isinstance(part, noweb.Docs):
                for quote in (p for l in part.lines for p in l if isinstance(p, noweb.Quote)):
                    for _, word in WORD.findall(quote.text):
                        definition = find(word)
                        if definition:
                            found[word] = place(definition)
        prose[chapter.topic] = found
    return {
        "chapters": [{"topic": c.topic, "number": c.number, "source": c.path, "file": c.file,
                      "chunks": numbers(c.chunks())} for c in book.chapters],
        "chunks": chunks,
        "names": {n: {"definitions": numbers(d), "uses": numbers(book.uses.get(n, []))}
                  for n, d in book.definitions.items()},
        "used": {n: True for n in book.uses},
        "words": prose,
    }


def main(folder, inc, out):
    os.makedirs(out, exist_ok=True)
    paths = noweb.chapter_files(folder)
    headers = headers_chapter(inc, out)
    if headers and not any(os.path.basename(p) == os.path.basename(headers) for p in paths):
        paths.append(headers)
        paths.sort(key=os.path.basename)
    book = noweb.read(paths)
    errors, pages = [], {}
    for chapter in book.chapters:
        prose = Prose(chapter, errors)
        for part in chapter.parts:
            if isinstance(part, noweb.Chunk):
                prose.chunk(part)
            else:
                prose.docs(part)
                for line, pieces in part.numbered():
                    for p in pieces:
                        if isinstance(p, noweb.Quote) and p.name and \
                           p.name not in book.definitions and p.name not in book.uses:
                            prose.fault(line, f"no chunk is named <<{p.name}>>")
        pages[chapter.topic] = prose.text()
    if errors:
        return noweb.report(errors)
    for topic, text in pages.items():
        with open(os.path.join(out, topic + ".md"), "w") as file:
            file.write(text)
    with open(os.path.join(out, "book.lua"), "w") as file:
        file.write("return " + lua(table(book, Names(book))) + "\n")
    with open(os.path.join(out, "sources"), "w") as file:
        file.write("".join(os.path.join(out, t + ".md") + "\n" for t in pages))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except noweb.BookError as error:
        sys.exit(noweb.report(str(error).split("\n")))
