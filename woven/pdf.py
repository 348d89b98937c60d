"""The book as a PDF, by xelatex.

latex.lua renders the chapters in the macros of book.tex; this module puts them in
order, with the contents, the answers and the indexes, all of which are lists of
keys: on which page a key stands is known from the run before. xelatex runs until
the pages no longer move. What the last run left stays, so that a small change
costs one run or two.
"""

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

from book import BookError
from pages import ANSWERS, Pages
from pipeline import slurp

HERE = os.path.dirname(os.path.abspath(__file__))
RUNS = 5
SIGNS = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "#": r"\#", "$": r"\$", "%": r"\%",
         "&": r"\&", "_": r"\_", "^": r"\^{}", "~": r"\~{}", "`": r"\textasciigrave{}",
         '"': r"\textquotedbl{}"}
ANSWER = re.compile(r"^[ \t]*%<answer (\S+)\n(.*?)^[ \t]*%>answer$", re.M | re.S)
CHAPTER = re.compile(r"^\\Chapter\{\w*\}\{(.*?)\}\{\w*\}\{(.*?)\}\{(.*)\}$", re.M)
SECTION = re.compile(r"^\\Section\{(.*?)\}\{\w*\}\{(.*?)\}\{(.*)\}$", re.M)
FIGURE = re.compile(r"\\Figure\{(.*?)\}\{(.*?)\}\{(.*?)\}\{(.*)\}$", re.M)


def esc(text):
    return re.sub(r'[\\{}#$%&_^~`"]', lambda m: SIGNS[m[0]], text)


def code(text):
    return r"\Q{" + re.sub(r"(?<=\w)(\\_|[/.])(?=\w)", r"\1\\B{}", esc(text)) + "}"


def name(text):
    """A chunk's name, [[code]] in it as code."""
    pieces = re.split(r"\[\[(.*?\]*)\]\]", text)
    return "".join(code(p) if i % 2 else esc(p) for i, p in enumerate(pieces))


def bookmark(text):
    """A string of a PDF in hexadecimal digits."""
    return "FEFF" + text.encode("utf-16-be").hex().upper()


def key(place):
    return f"{place['topic']}/{place['id']}"


class Print:
    def __init__(self, work):
        self.work = work
        self.folder = os.path.join(work.build, "print")
        self.outline = Pages(work)              # knows which chapter is in which part

    # ---------------------------------------------------------- what is generated

    def title_page(self):
        meta = self.work.meta
        lines = [r"\TitlePage{" + esc(meta["title"]) + "}{" + esc(meta.get("subtitle") or "") + "}{"
                 + ("Students’ edition" if self.work.student else "") + "}{"
                 + esc(meta.get("rights") or "") + "}"]
        return "\n".join(lines)

    def contents(self, texts, after):
        out = [r"\Chapter{}{book/contents}{" + bookmark("Contents") + "}{}{Contents}", r"\begin{Toc}"]
        for number, (title, topics) in enumerate(self.outline.parts()):
            if title:
                out.append(rf"\TocPart{{book/part-{number}}}{{{esc(title)}}}")
            elif number:
                out.append(r"\TocGap")
            for topic in topics:
                for k, mark, text in CHAPTER.findall(texts[topic]):
                    out.append(rf"\TocChapter{{{k}}}{{{mark}}}{{{text}}}" if mark
                               else rf"\TocPlain{{{k}}}{{{text}}}")
                if topic != ANSWERS:
                    out += [rf"\TocSection{{{k}}}{{{mark}}}{{{text}}}"
                            for k, mark, text in SECTION.findall(texts[topic])]
        out.append(r"\TocGap")
        out += [rf"\TocPlain{{book/{k}}}{{{text}}}" for k, text, _ in after]
        return "\n".join([*out, r"\end{Toc}"])

    def figure_list(self, texts):
        out = []
        for topic in self.work.topics:
            for k, _, number, caption in FIGURE.findall(texts[topic]):
                if number:
                    first = re.match(r"(.*?\w[.?!])(?= [A-Z\\])", caption)
                    if first and first[1].count("{") == first[1].count("}"):
                        caption = first[1]
                    number = number.replace("Figure ", "")
                    out.append(rf"\FigureLine{{{k}}}{{{number}}}{{{caption.rstrip('.')}}}")
        return "\n".join([r"\begin{Toc}", *out, r"\end{Toc}"])

    @staticmethod
    def letters(names):
        """The names in order, each with the letter that it is the first of."""
        last = None
        def bare(text):
            return text.replace("[", "").lstrip("_./")
        for n in sorted(names, key=lambda n: (bare(n).lower(), n)):
            letter = bare(n)[:1].upper()
            letter = letter if letter.isalpha() else "–"
            yield n, letter if letter != last else None
            last = letter

    def files_and_chunks(self):
        chunks, names = self.work.code["chunks"], self.work.code["names"]

        def pages(ids, macro):
            return "".join(rf"\{macro}{{{key(chunks[i])}}}" for i in ids)
        files = [rf"\Entry {code(n)}\X{{{key(chunks[names[n]['definitions'][0]])}}}"
                 for n in Pages.sorted_names(names) if names[n]["file"]]
        out = [r"\SectionPlain{Files of the tree}", r"\begin{Index}{2}", *files, r"\end{Index}",
               r"\SectionPlain{Chunks}",
               "The pages on which a chunk begins and goes on are in bold face, those on which "
               "it's used follow.", r"\begin{Index}{2}"]
        for n, letter in self.letters(x for x in names if not names[x]["file"]):
            if letter:
                out.append(rf"\Letter{{{letter}}}")
            entry = names[n]
            out.append(r"\Entry \chunkname{" + name(n) + "}{}" + pages(entry["definitions"], "X")
                       + pages(entry["uses"], "U"))
        return "\n".join([*out, r"\end{Index}"])

    def identifiers(self):
        words = {}
        for chunk in self.work.code["chunks"].values():
            for d in chunk["defines"]:
                words.setdefault(d["word"], []).append((chunk, d))
        out = ["The page of the definition is in bold face; the others are those of the chunks that "
               "use it.", r"\begin{Index}{3}"]
        for word, letter in self.letters(words):
            if letter:
                out.append(rf"\Letter{{{letter}}}")
            many = len(words[word]) > 1
            for i, (chunk, d) in enumerate(words[word]):
                where = rf" \Where{{{esc(chunk['files'][0])}}}" if many and chunk["files"] else ""
                out.append((r"\Entry " + code(word) if i == 0 else out.pop() + r"\Again") + where
                           + rf"\X{{{chunk['topic']}/{d['id']}}}"
                           + "".join(rf"\U{{{key(u)}}}" for u in d["uses"]))
        return "\n".join([*out, r"\end{Index}"])

    def answers(self, found):
        out = [rf"\Chapter{{Appendix}}{{{ANSWERS}/ch:{ANSWERS}}}{{{bookmark('F Answers')}}}{{F}}{{Answers}}"]
        for topic, answers in found.items():
            number = self.outline.numbers[topic]
            head = CHAPTER.search(self.texts[topic])
            out.append(r"\Section{book/answers-" + topic + "}{"
                       + bookmark(f"Chapter {number}") + rf"}}{{{number}}}{{{head[3]}}}")
            out.append(rf"\def\topic{{{topic}}}")
            for n, text in answers:
                out.append(rf"\Answer{{{topic}/answer-{n}}}{{{topic}/exercise-{n}}}"
                           rf"{{{n.replace('-', '.')}}}" + "\n" + text)
        return "\n".join(out) + "\n"

    # ---------------------------------------------------------- the whole

    def make(self, rendered):
        """The book's source: {file: text}."""
        self.texts, answers, files = {}, {}, {}
        for topic, path in rendered.items():
            with open(path) as file:
                text = file.read()
            found = ANSWER.findall(text)
            if found:
                answers[topic] = found
            self.texts[topic] = files[topic + ".tex"] = ANSWER.sub("", text)
        after = [("figures", "Figures", self.figure_list(self.texts)),
                 ("chunks", "Files and chunks", self.files_and_chunks()),
                 ("identifiers", "Identifiers", self.identifiers())]
        if answers:
            self.outline.topics.append(ANSWERS)
            self.outline.numbers[ANSWERS] = "F"
            self.texts[ANSWERS] = files[ANSWERS + ".tex"] = self.answers(answers)
        body = [self.title_page(), self.contents(self.texts, after)]
        for number, (title, topics) in enumerate(self.outline.parts()):
            body.append(rf"\Part{{book/part-{number}}}{{{bookmark(title)}}}{{{esc(title)}}}"
                        if title else r"\NoPart")
            body += [rf"\def\topic{{{t}}}\input{{{t}.tex}}" for t in topics]
        body.append(r"\NoPart")
        for k, title, text in after:
            body.append(rf"\Chapter{{}}{{book/{k}}}{{{bookmark(title)}}}{{}}{{{title}}}\input{{after-{k}.tex}}")
            files[f"after-{k}.tex"] = text + "\n"
        with open(os.path.join(HERE, "book.tex")) as file:
            template = file.read()
        meta = self.work.meta
        values = {
            "FIGURES": os.path.relpath(self.figure_folder, self.folder) + "/",
            "PDFTITLE": bookmark(meta["title"]), "PDFSUBJECT": bookmark(meta.get("subtitle") or ""),
            "LANG": meta.get("lang", "en"), "BODY": "\n".join(body)}
        files["book.tex"] = re.sub(r"@([A-Z]+)@", lambda m: values[m[1]], template)
        return files

    @property
    def figure_folder(self):
        return os.path.join(self.work.out, "build", "figures-pdf")

    def figures(self):
        """Each figure that a chapter shows as a PDF, so that it stays a drawing."""
        os.makedirs(self.figure_folder, exist_ok=True)

        def make(stem):
            source = os.path.join(self.work.figure_folder, stem + ".svg")
            target = os.path.join(self.figure_folder, stem + ".pdf")
            if os.path.exists(source):
                self.work.cached(target, [slurp(source)],
                                 lambda: run(["rsvg-convert", "-f", "pdf", "-o", target, source]))
            return target
        stems = {m[1] for text in self.texts.values() for m in FIGURE.findall(text)}
        with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
            return list(pool.map(make, sorted(stems)))

    def typeset(self):
        """Run xelatex until the .aux file stays the same; its pages as book.xdv."""
        aux, busy = (os.path.join(self.folder, name) for name in ("book.aux", "busy"))
        if os.path.exists(busy) and os.path.exists(aux):
            os.remove(aux)                      # of a run that failed: it may be cut off anywhere
        open(busy, "w").close()
        for _ in range(RUNS):
            before = slurp(aux) if os.path.exists(aux) else b""
            done = call(
                ["xelatex", "-no-pdf", "-interaction=nonstopmode", "-halt-on-error",
                 "-file-line-error", "book.tex"], cwd=self.folder, stdout=subprocess.DEVNULL, env={**os.environ, "max_print_line": "10000"})
            with open(os.path.join(self.folder, "book.log"), errors="replace") as file:
                log = file.read()
            if done.returncode:
                raise BookError("\n".join(self.errors(log)))
            if slurp(aux) == before:
                break
        os.remove(busy)
        self.missing_signs(log)

    @staticmethod
    def errors(log):
        found = re.findall(r"^(?:\./)?([\w-]+)\.tex:(\d+): (.*\n(?:.*\n)?)", log, re.M)
        return [f"chapters/{f}.nw:1: xelatex: line {n} of {f}.tex: {' '.join(t.split())}"
                for f, n, t in found] or ["xelatex failed; see book.log in woven/build"]

    def missing_signs(self, log):
        """A sign that the fonts don't have would be missing on the page."""
        for sign in dict.fromkeys(re.findall(r"^Missing character: There is no (.) ", log, re.M)):
            for topic in self.work.topics:
                if sign in self.texts[topic]:
                    self.work.fault(topic, sign, f"the fonts of the PDF have no {sign}")
        if self.work.faults and not self.work.draft:
            raise BookError("\n".join(self.work.faults))


def call(command, **options):
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, text=True, **options)
    except FileNotFoundError:
        raise BookError(f"{command[0]} not found: make deps") from None


def run(command, **options):
    done = call(command, capture_output=True, **options)
    if done.returncode:
        raise BookError(f"{command[0]}: {done.stderr.strip() or done.stdout.strip()}")


def write(work):
    """Make OUT/book.pdf, or OUT/book-student.pdf."""
    printed = Print(work)
    os.makedirs(printed.folder, exist_ok=True)
    files = printed.make(work.render("pdf", "latex.lua", "latex", "--top-level-division=chapter"))
    figures = printed.figures()
    staged = os.path.join(printed.folder, "book.pdf")
    parts = [*files, *files.values(), *map(slurp, filter(os.path.exists, figures))]

    def make():
        for name, text in files.items():
            with open(os.path.join(printed.folder, name), "w") as file:
                file.write(text)
        printed.typeset()
    work.cached(os.path.join(printed.folder, "book.xdv"), parts, make)
    # The same book makes the same file, whenever.
    work.cached(staged, [*parts, work.modified], lambda: run(
        ["xdvipdfmx", "-q", "-o", "book.pdf", "book.xdv"], cwd=printed.folder,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(work.modified)}))
    target = os.path.join(work.out, "book-student.pdf" if work.student else "book.pdf")
    shutil.copyfile(staged, target + ".new")
    os.replace(target + ".new", target)
