"""From the chapters to rendered chapters, with a memory.

    work = Pipeline(book folder, out folder, edition, draft)
    work.read()                  figures, chapters, numbers; raises BookError on any fault
    work.render("html", "html.lua", "html")      -> {topic: path of the rendered chapter}

What is made stands in OUT/build (the students' edition: OUT/build/student), each
thing beside a .key, the digest of all it was made of: what has the same key isn't
made again.

After read() a generator of pages finds here
    work.meta        book.yaml
    work.instructor  the chapters that the students' edition hasn't
    work.topics      the chapters in reading order: "05-physical-memory"
    work.book, work.names        the code (book.py, names.py)
    work.slices[topic]           the chapter's chunks, as render.lua describes them
    work.code        all chunks and chunk names (backend.code_table)
    work.facts[topic]            titles, sections, figures, … as number.lua describes them
    work.labels[id]  {"topic", "id", "text", "title"} of all that can be referred to
    work.manual[key] a row of manual-sections.tsv
    work.figures     {"boxes.svg": width in pixels}; the files stand in work.figure_folder
    work.build       where to put intermediate files
    work.modified    when a chapter was last changed, in seconds; or SOURCE_DATE_EPOCH
    work.cached(target, parts, make)
"""

import contextlib
import fcntl
import json
import math
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import yaml

import backend
import figures
from book import BookError, Chapter, cached

HERE = os.path.dirname(os.path.abspath(__file__))
# Signs that stand for something in the text of a book on systems stay plain:
# dollars, carets, tildes, at signs.
MARKDOWN = ("markdown-tex_math_dollars-raw_tex-superscript-subscript-strikeout-citations"
            "-example_lists-raw_html-yaml_metadata_block-pandoc_title_block")
CONCORDANCE = "C-manual-sections"
KEY = re.compile(r"[^\s,]+")               # of manual-sections.tsv, in a box's sec="…"
MANUAL = ("key", "title", "volume", "june2016", "june2026", "basis")


@contextlib.contextmanager
def alone(out):
    """One weave at a time works in OUT; what one that was killed left goes first."""
    os.makedirs(os.path.join(out, "build"), exist_ok=True)
    with open(os.path.join(out, "build", ".lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"weave: waiting for another weave into {out}", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for name in os.listdir(out):
            if name.startswith(".html"):
                good = os.path.join(out, name[1:].removesuffix(".old"))
                if name.endswith(".old") and not os.path.exists(good):
                    os.rename(os.path.join(out, name), good)
                else:
                    shutil.rmtree(os.path.join(out, name), ignore_errors=True)
            elif re.fullmatch(r"book.*\.new", name):
                os.remove(os.path.join(out, name))
        yield


def slurp(path):
    with open(path, "rb") as file:
        return file.read()


def read_manual(path):
    """manual-sections.tsv as {key: {column: text}}."""
    found = {}
    with open(path) as file:
        for line in file:
            fields = line.rstrip("\n").split("\t")
            if len(fields) >= 5 and fields[0] != "key" and not line.startswith("#"):
                found[fields[0]] = dict(zip(MANUAL, fields + [""]))
    return found


def section_text(row):
    """"Title: SDM vol. 3 §24.6.2 (June 2016), §27.6.2 (June 2026)": a number means
    nothing without its edition, and one that nobody has looked up says so."""
    def number(text):
        return ("§" if text[:1].isdigit() else "") + text
    editions = []
    if row["june2016"] != "?":
        unread = "; not looked up" if "unread" in row["basis"] else ""
        editions.append(f"{number(row['june2016'])} (June 2016{unread})")
    if row["june2026"] == "-":
        editions.append("gone by June 2026")
    elif row["june2026"] != "?":
        derived = "; number derived" if "rule" in row["basis"] else ""
        editions.append(f"{number(row['june2026'])} (June 2026{derived})")
    return f"{row['title']}: {row['volume']}" + (" " + ", ".join(editions) if editions else "")


def concordance(manual, facts):
    """The manual's sections as a chapter in Markdown."""
    cited = {}
    for topic, found in facts.items():
        for box in found["manual"]:
            for key in KEY.findall(box["keys"]):
                cited.setdefault(key, []).append(box["id"])

    def number(text):
        return {"?": "", "-": "gone"}.get(text, text)

    def order(row):
        return [[int(n) if n.isdigit() else 10 ** 6, n] for n in row["june2016"].split(".")]

    out = ["# The manual by edition {#ch:" + CONCORDANCE + "}", "",
           "The sections of Intel's manual that the boxes of this book cite, with their numbers in "
           "two editions. Where a number is missing, nobody has looked it up. A number in *italics* "
           "is the old one with the chapter's new number, or one that is well known, and wasn't "
           "looked up in that edition. In the last column stand the sections of this book that "
           "cite it.", ""]
    for volume in sorted({row["volume"] for row in manual.values()}):
        rows = sorted((r for r in manual.values() if r["volume"] == volume), key=order)
        out += [f"## {volume}", "", "| Section | June 2016 | June 2026 | In this book |",
                "| --------------------------------- | -------- | -------- | --------------- |"]
        for row in rows:
            old, new = number(row["june2016"]), number(row["june2026"])
            if old and "unread" in row["basis"]:
                old = f"*{old}*"
            if new[:1].isdigit() and "rule" in row["basis"]:
                new = f"*{new}*"
            links = ", ".join(f"[](#{box})" for box in cited.get(row["key"], []))
            out.append(f"| []{{#m:{row['key']}}}{row['title']} | {old} | {new} | {links} |")
        out.append("")
    return "\n".join(out) + "\n"


def width_of(svg):
    """How wide a figure is drawn, in pixels."""
    found = re.search(rb'<svg[^>]*?\swidth="([\d.]+)(\w*)"', svg)
    if not found:
        return 600
    return math.ceil(float(found[1]) * (4 / 3 if found[2] == b"pt" else 1))


class Pipeline:
    def __init__(self, folder, out, edition="full", draft=False):
        self.folder, self.out, self.edition, self.draft = folder, out, edition, draft
        self.student = edition == "student"
        self.build = os.path.join(out, "build", *(["student"] if self.student else []))
        self.figure_folder = os.path.join(out, "build", "figures")
        self.faults = []
        os.makedirs(self.build, exist_ok=True)

    # -------------------------------------------------------------- helpers

    def path(self, topic, kind):
        return os.path.join(self.build, f"{topic}.{kind}")

    cached = staticmethod(cached)

    def each_chapter(self, work):
        """Do work(topic) for all chapters, as many at a time as there are processors."""
        faults = []

        def one(topic):
            try:
                return work(topic)
            except BookError as error:
                faults.append(str(error))
        with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
            found = dict(zip(self.topics, pool.map(one, self.topics)))
        if faults:
            raise BookError("\n".join(sorted(faults)))
        return found

    def pandoc(self, topic, *arguments):
        try:
            run = subprocess.run(["pandoc", "--fail-if-warnings", "--preserve-tabs", "--wrap=none",
                                  *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        except FileNotFoundError:
            raise BookError("pandoc not found: install pandoc (make deps)") from None
        if run.returncode or run.stderr:
            raise BookError("\n".join(self._pandoc_faults(topic, run.stderr)))

    def _pandoc_faults(self, topic, said):
        """What pandoc says of a chapter's Markdown, with the lines of the chapter."""
        at = getattr(self.chapters[topic], "at", [])
        said = said.replace("Failing because there were warnings.", "").strip()
        for fault in said.split("[WARNING] ") if "[WARNING] " in said else [said]:
            found = re.search(r" at \S*\.md line (\d+) column \d+", fault)
            line = int(found[1]) if found else 0
            line = at[min(line, len(at)) - 1] if line and at else 1
            if fault.strip():
                yield (f"chapters/{topic}.nw:{line}: pandoc: "
                       + " ".join((fault.replace(found[0], "") if found else fault).split()))

    def fault(self, topic, needle, what):
        """The filters see no line numbers: what is at fault is looked up in the source."""
        chapter = next(c for c in self.book.chapters if c.topic == topic)
        with open(chapter.path) as file:
            source = [*enumerate(file, 1)]
        lines = [n for n, line in source if needle in line]
        if not lines and needle.startswith("("):        # [text][name] and [name]: target
            lines = [n for n, line in source if needle.strip("()") in line]
        if not lines and needle.startswith("#"):        # a heading's own id
            lines = [n for n, line in source if line.startswith("##")
                     and re.sub(r"\W+", "-", line.lower()).strip("-") == needle[1:]]
        for line in lines or [1]:
            fault = f"{chapter.file}:{line}: {what}"
            if fault not in self.faults:
                self.faults.append(fault)

    # -------------------------------------------------------------- reading

    def read(self):
        self.meta = self._read_meta()
        self.instructor = self.meta.get("instructor") or []
        self.manual = read_manual(os.path.join(HERE, "manual-sections.tsv"))
        self.faults = figures.make_all(os.path.join(self.folder, "figures"), self.figure_folder)
        try:
            self.book, self.names, self.slices = backend.weave(
                os.path.join(self.folder, "chapters"), os.path.join(self.folder, "inc"),
                self.build, self.edition, self.instructor)
        except BookError as error:
            self.faults += str(error).split("\n")
        if self.faults:
            raise BookError("\n".join(self.faults))
        self.modified = int(os.environ.get("SOURCE_DATE_EPOCH") or max(
            os.path.getmtime(c.path) for c in self.book.chapters if not c.path.startswith(self.build)))
        self.chapters = {c.topic: c for c in self.book.chapters}
        self.topics = list(self.chapters)
        self.code = backend.code_table(self.book, self.names, self.slices)
        self.figures = {n: width_of(slurp(os.path.join(self.figure_folder, n)))
                        for n in sorted(os.listdir(self.figure_folder)) if n.endswith(".svg")}
        self.facts = self.each_chapter(self._number)
        self._add_concordance()
        self._find_labels()
        for topic in self.topics:
            self._check(topic)
        if self.faults and not self.draft:
            raise BookError("\n".join(self.faults))

    def _read_meta(self):
        try:
            with open(os.path.join(self.folder, "chapters", "book.yaml")) as file:
                meta = yaml.safe_load(file)
        except OSError as error:
            raise BookError(f"chapters/book.yaml: {error.strerror}") from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            what = getattr(error, "problem", None) or str(error).split("\n")[0]
            raise BookError(f"chapters/book.yaml:{mark.line + 1 if mark else 1}: {what}") from None
        except UnicodeDecodeError:
            raise BookError("chapters/book.yaml:1: not UTF-8") from None
        if not isinstance(meta, dict) or "title" not in meta:
            raise BookError("chapters/book.yaml:1: no title")
        for key in ("title", "subtitle", "rights", "lang"):
            if not isinstance(meta.get(key) or "", str):
                raise BookError(f"chapters/book.yaml:1: {key}: is not text (quote it)")
        parts = meta.get("parts") or []
        if not isinstance(parts, list) or not all(
                isinstance(p, dict) and isinstance(p.get("title"), str)
                and all(re.fullmatch(r"\d+|[A-Z]", str(p.get(k))) for k in ("first", "last"))
                for p in parts):
            raise BookError("chapters/book.yaml:1: parts: a list of {title: …, first: 1, last: 5}, "
                            "numbers or letters of chapters")
        own = meta.get("instructor") or []
        if not isinstance(own, list) or not all(isinstance(t, str) for t in own):
            raise BookError("chapters/book.yaml:1: instructor: a list of chapters, [H-topic, …]")
        return meta

    def _number(self, topic):
        source, ast, facts = (self.path(topic, k) for k in ("md", "json", "facts.json"))
        chapter = self.chapters[topic]
        lua = os.path.join(HERE, "number.lua")
        self.cached(ast, [slurp(source), slurp(lua), MARKDOWN, chapter.number], lambda: self.pandoc(
            topic, "--from", MARKDOWN, "--to", "json", "--lua-filter", lua,
            "--metadata", f"weave-topic={topic}", "--metadata", f"weave-number={chapter.number}",
            "--metadata", f"weave-facts={facts}", "--output", ast, source))
        with open(facts) as file:
            return json.load(file)

    def _add_concordance(self):
        """An appendix that nobody writes: the manual's sections, and who cites them."""
        if CONCORDANCE in self.chapters:
            return
        path = self.path(CONCORDANCE, "md")
        with open(path, "w") as file:
            file.write(concordance(self.manual, self.facts))
        chapter = Chapter(path)
        self.book.chapters = sorted([*self.book.chapters, chapter], key=lambda c: c.topic)
        self.chapters = {c.topic: c for c in self.book.chapters}
        self.topics = list(self.chapters)
        self.slices[CONCORDANCE] = {"topic": CONCORDANCE, "number": chapter.number, "chunks": {},
                                    "kind": chapter.kind, "words": {}, "shown": {}, "names": {}}
        self.facts[CONCORDANCE] = self._number(CONCORDANCE)

    def _find_labels(self):
        """What an id means: a label, or None when several chapters have it."""
        self.labels, self.own = {}, {}
        for topic in self.topics:
            own = self.own[topic] = {}
            for label in self.facts[topic]["labels"]:
                key, needle = label["id"], label["needle"]
                if key in own or key in self.slices[topic]["chunks"]:
                    self.fault(topic, needle, f"the id {key} is given twice")
                    continue
                own[key] = {"topic": topic, "id": key, "text": label["text"]}
                if "title" in label:
                    own[key]["title"] = label["title"]
                if key not in self.labels:
                    self.labels[key] = own[key]
                elif re.match(r"[a-z]+:", key):
                    other = self.labels[key]["topic"]
                    self.fault(topic, needle, f"the id {key} is given in chapters/{other}.nw too")
                else:
                    self.labels[key] = None

    def _check(self, topic):
        facts = self.facts[topic]
        if f"ch:{topic}" not in self.own[topic]:
            self.fault(topic, "# ", "the title isn't read to its end: a sign in it opens what nothing "
                                    "closes; code is [[code]]")
        for key in dict.fromkeys(facts["refs"]):
            if not (self.own[topic].get(key) or self.labels.get(key)):
                self.fault(topic, f"(#{key})", f"several chapters have the id {key}"
                           if key in self.labels else f"nothing in the book has the id {key}")
        for key, line in getattr(self.chapters[topic], "shown", {}).items():
            label = self.own[topic].get(key) or self.labels.get(key)
            if label and label["topic"] in self.instructor and topic not in self.instructor:
                self.faults.append(f"chapters/{topic}.nw:{line}: {key} is in a chapter of the instructor's: "
                                   "students don't have it; write it in ::: instructor")
        for target in dict.fromkeys(facts["links"]):
            if not re.match(r"https?://|mailto:", target):
                self.fault(topic, f"({target})", f"a link to {target or 'nothing'}: want #id, or https://…")
        for image in facts["images"]:
            name = re.fullmatch(r"figures/([\w.-]+\.svg)", image["src"])
            if not image["alt"]:
                self.fault(topic, image["src"], 'a figure needs alt="…"')
            if not name:
                self.fault(topic, image["src"], f"a figure is figures/NAME.svg, not {image['src']}")
            elif name[1] not in self.figures:
                self.fault(topic, image["src"], "no source of this figure: "
                           f"figures/{name[1][:-4]}.dot, .json or .svg")
        for box in facts["manual"]:
            keys = KEY.findall(box["keys"])
            if not keys:
                self.fault(topic, ".manual", 'a manual box needs sec="key"')
            for key in keys:
                if key not in self.manual:
                    self.fault(topic, key, f'manual section "{key}" is not in '
                                           "woven/manual-sections.tsv")

    def shown_figures(self):
        """The files of the figures that this edition's chapters show."""
        return {image["src"].split("/")[-1] for facts in self.facts.values() for image in facts["images"]}

    # -------------------------------------------------------------- rendering

    def _data(self, topic):
        """All that render.lua reads of a chapter: its slice, and what it refers to."""
        facts = self.facts[topic]
        labels = {k: self.own[topic].get(k) or self.labels.get(k) for k in facts["refs"]}
        keys = {k for box in facts["manual"] for k in KEY.findall(box["keys"])}
        images = {i["src"].split("/")[-1] for i in facts["images"]}
        return "return " + backend.lua({
            **self.slices[topic], "student": self.student, "labels": labels,
            "manual": {k: section_text(self.manual[k]) for k in sorted(keys) if k in self.manual},
            "figures": {n: self.figures[n] for n in sorted(images) if n in self.figures}}) + "\n"

    def render(self, format, module, to, *options):
        """Render each chapter with render.lua and `module`; {topic: path}."""
        filters = [os.path.join(HERE, "render.lua"), os.path.join(HERE, module)]
        sources = [slurp(path) for path in filters]
        suffix = {"latex": "tex"}.get(to, to)

        def work(topic):
            target = os.path.join(self.build, format, f"{topic}.{suffix}")
            data, ast = self._data(topic), self.path(topic, "json")

            def make():
                with open(self.path(topic, f"{format}.lua"), "w") as file:
                    file.write(data)
                self.pandoc(
                    topic, "--from", "json", "--to", to, "--no-highlight", "--section-divs",
                    "--lua-filter", filters[0],
                    "--metadata", f"weave-data={self.path(topic, f'{format}.lua')}",
                    "--metadata", f"weave-format={format}", "--metadata", f"weave-module={filters[1]}",
                    *options, "--output", target, ast)
            self.cached(target, [data, slurp(ast), to, *options, *sources], make)
            return target
        return self.each_chapter(work)
