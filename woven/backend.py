"""The weave's back end: chapters in, Markdown and a table of the code out.

Writes OUT/NN-topic.md, one a chapter, in which an empty block stands for each
chunk, and makes a table for each chapter of its chunks with all their links,
for the pandoc filters (render.lua says what is in it). The headers of INC
become a chapter of their own, an appendix, so that their names have a place to
link to. Faults name chapters/FILE.nw:LINE, and nothing is written.

The students' edition has no solutions and no answers: no `::: solution` and
`::: answer`, and no chunk that has a stub `<<name (exercise N)>>`, nor what only
that chunk uses; the stub takes its place wherever the name stands. Nor has it the
chapters that book.yaml calls the instructor's, and no `::: instructor`, where the
other chapters may speak of them.

noweb's own cross-reference filters (finduses, noidx) aren't in the pipe: they
know words, not files, and link every `umain` to all fifty of them.
"""

import os
import re

import book as noweb
from highlight import tokens
from names import Names, WORD

FENCE = re.compile(r"^\s*(`{3,}|~{3,})(.*)$")
DIV = re.compile(r"^\s*:{3,}\s*(\{.*\}|[\w.-]+)?\s*:*\s*$")
NOTE = re.compile(r"\[\^[^\]\s]+\]")
REFERENCE = re.compile(r"\]\(#([^)\s]+)\)")
START = re.compile(r"<<.*>>=\s*$")
HIDDEN = re.compile(r"\b(answer|instructor|solution)\b")
NO_DIV = re.compile(r"\{[^}]*\.(answer|instructor|solution)\b|^\s*>[\s>]*:{3,}")      # wouldn't be hidden
KINDS = {"answer", "instructor", "manual", "notes", "slide", "solution"}              # of divs
PATH = re.compile(r"[\w.+-]+(/[\w.+-]+)*")
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
            faults = noweb.text_faults(os.path.join(inc, name), f"inc/{name}")
            if faults:
                raise noweb.BookError("\n".join(faults))
            with open(os.path.join(inc, name)) as header:
                code = header.read()
            code += "\n" * (not code.endswith("\n"))
            code = re.sub(r"^@", "@@", code.replace("<<", "@<<"), flags=re.M)
            file.write(f"\n## [[inc/{name}]]\n\n<<inc/{name}>>=\n{code}@\n")
    return path


# ------------------------------------------------------------------- Markdown

class Prose:
    """Turns a chapter's prose into Markdown, and finds what is open or wrong."""

    def __init__(self, chapter, errors, edition="full", gone=()):
        self.chapter, self.errors = chapter, errors
        self.student = edition == "student"
        self.gone = gone            # names of the chunks that only the full edition has
        self.secret = None          # how many divs are open around an answer, inside one
        self.out, self.at = [], []  # Markdown; the chapter's line of each of its lines
        self.fence = None           # the signs that opened a fenced block
        self.open = []              # lines of the fences and divs not yet closed
        self.titles = 0
        self.notes, self.noted = [], {}         # footnotes: where called, written
        self.shown = {}             # ids that the students' edition refers to: the first line

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
            self.put(number, raw)
            return
        if fence:
            self.fence = fence[1]
            self.open.append((number, "fenced block", None))
            self.put(number, "", raw)
            return
        div = DIV.match(raw)
        if div:
            self.div(number, raw, div[1])
            return
        if raw.startswith("# "):
            self.title(number, raw)
            return
        plain = "".join(p if isinstance(p, str) else " " for p in pieces)
        if NO_DIV.search(plain):
            self.fault(number, "an answer, a solution or a word to the "
                               "instructor is a ::: that begins its line")
        if any(not isinstance(p, str) and not p.text.strip() for p in pieces):
            self.fault(number, "[[ ]] quotes nothing")
        if self.secret is None:
            for key in REFERENCE.findall(plain):
                self.shown.setdefault(key, number)
        for note in NOTE.findall(plain):
            secret = self.secret is not None
            if raw.startswith(note + ":"):
                self.noted[note] = number, secret
            else:
                self.notes.append((number, note, secret))
        self.put(number, "".join(p if isinstance(p, str) else quoted(p) for p in pieces))

    def div(self, number, raw, what):
        if not what and not self.open:
            self.fault(number, "::: closes a div that isn't open")
            return
        indent = len(raw) - len(raw.lstrip())
        if what:
            if self.secret is None and HIDDEN.search(what):
                self.secret = len(self.open)
            for kind in set(re.findall(r"\.([\w-]+)", re.sub(r'"[^"]*"', "", what))
                            if what.startswith("{") else [what]) - KINDS:
                self.fault(number, f"::: {kind} is unknown; there are {', '.join(sorted(KINDS))}")
            self.open.append((number, f"::: {what}", indent))
        else:
            line, opened, wanted = self.open.pop()
            if indent != wanted:            # pandoc takes it for text, or for the end of another
                self.fault(number, f"{opened} of line {line} is closed with another indentation")
        self.put(number, "", raw, "")       # pandoc wants blank lines around
        if not what and self.secret == len(self.open):
            self.secret = None

    def put(self, number, *lines):
        if self.secret is None or not self.student:
            self.out += lines
            self.at += [number] * len(lines)

    def title(self, number, raw):
        self.titles += 1
        if self.titles > 1:
            self.fault(number, "a second # title: a chapter has one")
        if ATTRIBUTES.search(raw):
            self.fault(number, "a title takes no attributes: its id is ch:" + self.chapter.topic)
        self.put(number, f"{raw} {{#ch:{self.chapter.topic}}}")

    def chunk(self, chunk):
        if self.fence:
            self.fault(chunk.line, f"<<{chunk.name}>>= inside the fenced block of "
                                   f"line {self.open[-1][0]}")
        elif self.secret is not None and chunk.name not in self.gone:
            self.fault(chunk.line, f"<<{chunk.name}>>= inside {self.open[-1][1]}, but it has no stub "
                                   f"<<{chunk.name} (exercise N)>>: students would see it in its file")
        self.put(chunk.line, "", f"~~~ {{#{chunk.id} .chunk}}", "~~~", "")

    def text(self):
        for line, what, _ in self.open:
            self.fault(line, f"{what} is never closed")
        for line, note, secret in self.notes:
            if note not in self.noted:
                self.fault(line, f"no footnote {note} is written in this chapter")
            elif self.noted[note][1] != secret:
                self.fault(self.noted[note][0], f"footnote {note}: an answer's note, and no other, "
                                                "is written inside it")
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
        return "{" + ",".join(f"[{lua(k)}]={lua(v)}" for k, v in value.items()
                              if v is not None) + "}"
    return "{" + ",".join(map(lua, value)) + "}"


class Slices:
    """What the filters must know of the code, a table for each chapter."""

    def __init__(self, book, names):
        self.book, self.names = book, names

    def place(self, chunk):
        return {"topic": chunk.chapter.topic, "id": chunk.id, "number": chunk.number}

    def places(self, chunks):
        return [self.place(c) for c in chunks]

    @staticmethod
    def definition(d):
        return {"topic": d.chunk.chapter.topic, "id": d.id}

    def named(self, name):
        """Where a chunk's name leads, or None."""
        same = self.book.definitions.get(name)
        if not same:
            return None
        return {**self.place(same[0]), **({"file": True} if self.book.is_file(name) else {})}

    def lines(self, chunk, lang):
        """The chunk's lines as tokens, as render.lua describes them."""
        links, defined = self.names.links(chunk), {}
        for d in self.names.in_chunk(chunk):
            defined.setdefault(d.line, {})[d.word] = d.id
        for i, line in enumerate(tokens(chunk.lines, lang)):
            out, own = [], defined.get(i, {})
            for token in line:
                if isinstance(token, noweb.Ref):
                    out.append({"ref": token.name, "to": self.named(token.name)})
                    continue
                kind, text, member = token
                if text in own and kind not in ("st", "co", "ch"):
                    out.append({1: kind or "", 2: text, "def": own.pop(text)})
                    continue
                to = None
                if kind in ("", "dt", "kw"):
                    found = links.get("." + text if member else text)
                    to = found and self.definition(found)
                elif kind == "im":
                    to = self.named(text.strip('<>"'))
                if to:
                    out.append({1: kind, 2: text, "to": to})
                elif kind and len(out) > 1 and out[-1] == " " and out[-2].__class__ is dict and \
                        len(out[-2]) == 2 and out[-2].get(1) == kind:
                    out[-2:] = [{1: kind, 2: out[-2][2] + " " + text}]      # static int
                elif kind:
                    out.append({1: kind, 2: text})
                elif out and isinstance(out[-1], str):
                    out[-1] += text
                else:
                    out.append(text)
            yield out

    def chunk(self, chunk):
        book, names = self.book, self.names
        same = book.definitions[chunk.name]
        at = same.index(chunk)
        files = book.files(chunk.name)
        lang = language(files)
        found = {
            "id": chunk.id, "name": chunk.name, "number": chunk.number,
            "topic": chunk.chapter.topic, "lang": lang, "file": book.is_file(chunk.base),
            "files": files, "within": names.within(chunk), "exercise": chunk.is_exercise,
            "apart": chunk.is_exercise and book.solved.get(chunk.base) != chunk.name,
            "continued": at > 0, "rest": [] if at else self.places(same[1:]),
            "used": self.places(book.uses.get(chunk.base, [])),
            "lines": list(self.lines(chunk, lang)),
            "defines": [{"word": d.word, "id": d.id, "member": d.member,
                         "uses": self.places(d.uses)} for d in names.in_chunk(chunk)],
        }
        if at:
            found["previous"] = self.place(same[at - 1])
        # The blank line that parts a chunk from the one before it in the file isn't shown.
        while found["lines"] and not found["lines"][0]:
            del found["lines"][0]
            found["skipped"] = found.get("skipped", 0) + 1
        if at + 1 < len(same):
            found["next"] = self.place(same[at + 1])
        return found

    def chapter(self, chapter):
        book = self.book
        chunks = {c.id: self.chunk(c) for c in chapter.chunks()}
        find, words, mentioned, shown = self.names.prose_links(chapter), {}, {}, {}
        for part in chapter.parts:
            if not isinstance(part, noweb.Docs):
                continue
            for quote in (p for l in part.lines for p in l if isinstance(p, noweb.Quote)):
                mentioned[quote.name or quote.text] = True
                for _, word in WORD.findall(quote.text):
                    definition = find(word)
                    if definition:
                        words[word] = self.definition(definition)
            # A line that is only [[<<name>>]] shows the chunk, on a slide.
            for line in part.lines:
                if len(line) == 1 and isinstance(line[0], noweb.Quote) and line[0].name:
                    same = book.definitions.get(line[0].name)
                    if same:
                        shown[line[0].name] = {**self.chunk(same[0]), "parts": [
                            self.chunk(c) for c in same]} if len(same) > 1 else self.chunk(same[0])
        return {"topic": chapter.topic, "number": chapter.number, "kind": chapter.kind,
                "chunks": chunks, "words": words, "shown": shown,
                "names": {n: self.named(n) for n in mentioned if self.named(n)}}


def code_table(book, names, slices):
    """All of the code for the generators of pages, as JSON can hold it."""
    return {
        "chapters": [{"topic": c.topic, "number": c.number, "kind": c.kind, "source": c.path,
                      "file": c.file, "chunks": [k.id for k in c.chunks()]} for c in book.chapters],
        "chunks": {i: c for s in slices.values() for i, c in s["chunks"].items()},
        "names": {n: {"definitions": [c.id for c in d], "file": book.is_file(n),
                      "uses": [c.id for c in book.uses.get(n, [])]}
                  for n, d in book.definitions.items() if n not in book.solved or book.is_file(n)},
    }


def path_faults(book):
    """Faults: chunks whose names are no paths, or whose files' pages would be one."""
    pages, names = {}, set(book.file_names())
    folders = {n[:i] for n in names for i, sign in enumerate(n) if sign == "/"}
    for name in sorted(names):
        chunk = book.definitions[name][0]
        fault = f"{chunk.chapter.file}:{chunk.line}: <<{name}>>: "
        other = pages.setdefault(re.sub(r"[/.]", "-", name), name)
        if not PATH.fullmatch(name) or ".." in name.split("/"):
            yield fault + "not a path inside the tree"
        elif name in folders:
            yield fault + "other files are in a folder of this name"
        elif other != name:
            yield fault + f"its page would have the name of that of {other}"


def unclosed(chapter):
    """Faults: chunks that no line `@` ends, so that prose would become code."""
    opened = None
    with open(chapter.path) as file:
        for number, line in enumerate([*file, "<<>>=\n"], 1):
            if START.match(line):
                if opened:
                    yield (f"{chapter.file}:{opened[0]}: {opened[1]} is never closed: "
                           "a line `@` ends a code chunk")
                opened = number, line.strip().removesuffix("=")
            elif re.match(r"@(\s|$)", line):
                opened = None


def without(paths, instructor, edition):
    """The chapters of an edition, of those that there are."""
    topics = [os.path.basename(p).removesuffix(".nw") for p in paths]
    unknown = [t for t in instructor if t not in topics]
    if unknown:
        raise noweb.BookError("\n".join(f"chapters/book.yaml:1: instructor: no chapter is called {t}"
                                        for t in unknown))
    return [p for p, t in zip(paths, topics) if edition == "full" or t not in instructor]


def weave(folder, inc, out, edition="full", instructor=()):
    """Read the book; write OUT/NN-topic.md and OUT/code.json; return chapters and slices."""
    os.makedirs(out, exist_ok=True)
    paths = without(noweb.chapter_files(folder), instructor, edition)
    headers = headers_chapter(inc, out)
    if headers and not any(os.path.basename(p) == os.path.basename(headers) for p in paths):
        paths.append(headers)
        paths.sort(key=os.path.basename)
    book = noweb.read(paths)
    known = {*book.definitions, *book.uses}
    if edition == "student":
        book.leave_out_solutions()
    errors, texts = [*path_faults(book)], {}
    for chapter in book.chapters:
        errors += unclosed(chapter)
        prose = Prose(chapter, errors, edition, book.gone)
        for part in chapter.parts:
            if isinstance(part, noweb.Chunk):
                prose.chunk(part)
                if chapter.topic in instructor:
                    prose.fault(part.line, f"<<{part.name}>>= in a chapter of the instructor's: "
                                           "students would have its code in their tree")
            else:
                prose.docs(part)
                for line, pieces in part.numbered():
                    for p in pieces:
                        if isinstance(p, noweb.Quote) and p.name and p.name not in known:
                            prose.fault(line, f"no chunk is named <<{p.name}>>")
        texts[chapter.topic], chapter.at, chapter.shown = prose.text(), prose.at, prose.shown
    if errors:
        raise noweb.BookError("\n".join(errors))
    for name in os.listdir(out):                # of chapters that are gone
        if name.endswith(".md") and name[:-3] not in texts:
            os.remove(os.path.join(out, name))
    for topic, text in texts.items():
        with open(os.path.join(out, topic + ".md"), "w") as file:
            file.write(text)
    names = Names(book)
    slices = Slices(book, names)
    return book, names, {c.topic: slices.chapter(c) for c in book.chapters}
