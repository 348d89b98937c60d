"""The pages in HTML: chapters, what is generated around them, and data for scripts.

Beside the pages (NN-topic.html, file-kern-page-c.html, …) stand two kinds of data,
scripts so that they load from file:// too; a page loads them when it first needs
them:

search-data.js  one call, bookSearch([row, …]); a row is [kind, title, where, url, text]
    kind   "section"  title "5.4 Reading the map", where "5 Physical memory", text: its prose
           "chunk"    title its name, where "5.12, kern/page.c in page_init", text ""
           "name"     an identifier: title "page_init", where "function, kern/page.c", text ""
           "file"     title "kern/page.c", where "file", text ""
           "manual"   title "VMXON", where both editions' numbers as in the boxes, text: the key
           "term"     of the glossary, where "glossary", text: its explanation
    url    "05-physical-memory.html#reading-the-map"

defs/NN-topic.js  one call, bookDefs("NN-topic", {"d-page_init": [where, code], …}),
    what the links to #d-… of that chapter mean; where: "5.12, kern/page.c" as HTML,
    code: the lines of the definition as highlighted HTML, without links and ids
"""

import html
import json
import os
import re
import shutil
import signal
import string
import tempfile

from book import BookError

HERE = os.path.dirname(os.path.abspath(__file__))
MINISEARCH = os.path.join(HERE, "node_modules/minisearch/dist/umd/index.js")    # make deps
ANSWERS = "F-answers"
STOP = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
COMMENT_LINES, SIGNATURE_LINES, BODY_LINES = 10, 4, 16      # of a definition, as shown


def esc(text):
    return html.escape(text, quote=False)


def text_of(markup):
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", markup))).strip()


def file_page(name):
    return "file-" + re.sub(r"[/.]", "-", name) + ".html"


def name_html(name):
    return re.sub(r"\[\[(.*?\]*)\]\]", r"<code>\1</code>", esc(name))


def bare(name):
    return re.sub(r"\[\[(.*?\]*)\]\]", r"\1", name)


def code_html(line, linked=True):
    """A line of tokens (render.lua says what they are) for a page that is no chapter."""
    out = []
    for token in line:
        if isinstance(token, str):
            out.append(esc(token))
            continue
        if "ref" in token:
            out.append(f"⟨{name_html(token['ref'])}⟩")
            continue
        kind, text = token[1], esc(token[2])
        to = token.get("to")
        to = f'#{token["def"]}' if "def" in token else \
            f'{to["topic"]}.html#{to["id"]}' if to else None
        kind = f' class="{kind}"' if kind else ""
        if linked and to:
            out.append(f'<a{kind} href="{to}">{text}</a>')
        else:
            out.append(f"<i{kind}>{text}</i>" if kind else text)
    return "".join(out)


class Page:
    def __init__(self, file, title, body, number="", listed=True):
        self.file, self.title, self.body = file, title, body    # title: HTML
        self.number, self.listed = number, listed


class Pages:
    """All pages of the book, from a Pipeline that was read and rendered."""

    def __init__(self, work, ext=".html"):
        self.work, self.facts, self.ext = work, work.facts, ext
        self.chunks, self.names = work.code["chunks"], work.code["names"]
        self.title = esc(work.meta["title"])
        self.topics = list(work.topics)
        self.numbers = {t: c.number for t, c in work.chapters.items()}
        self.titles = {t: f["html"] for t, f in self.facts.items()}
        with open(os.path.join(HERE, "page.html")) as file:
            self.template = string.Template(file.read())
        self.sides = {}             # file or None -> its list of contents

    # ---------------------------------------------------------- links

    def link(self, place, text=None):
        return f'<a href="{place["topic"]}{self.ext}#{place["id"]}">{text or place["number"]}</a>'

    def places(self, ids):
        return ", ".join(self.link(self.chunks[i]) for i in ids)

    # ---------------------------------------------------------- contents

    def parts(self):
        """[(title or None, topics)]: chapters outside all parts come first."""
        def order(mark):
            mark = str(mark)
            return int(mark) if mark.isdigit() else 1000 + ord(mark[0]) if mark else 0
        given = self.work.meta.get("parts") or []
        parts = [(None, [])] + [(p["title"], []) for p in given]
        for topic in self.topics:
            n, home = order(self.numbers[topic]), 0
            for i, part in enumerate(given, 1):
                if order(part["first"]) <= n <= order(part["last"]):
                    home = i
            parts[home][1].append(topic)
        return [p for p in parts if p[1]]

    def contents(self, here=None, level="p"):
        def item(file, number, title):
            mark = f'<span class="number">{number}</span> ' if number else ""
            current = ' aria-current="page"' if file == here else ""
            return f'<li><a href="{file}"{current}>{mark}{title}</a>'
        out = []
        for title, topics in self.parts():
            if title:
                out.append(f'<{level} class="part">{esc(title)}</{level}>')
            out.append('<ul class="chapters">')
            for topic in topics:
                sections = self.facts[topic]["sections"] if topic in self.facts else []
                out.append(item(topic + self.ext, self.numbers[topic], self.titles[topic]))
                if topic + self.ext == here and sections:
                    out.append("<ul>")
                    out += [item("#" + s["id"], s["number"], s["html"]) + "</li>" for s in sections]
                    out.append("</ul>")
                out[-1] += "</li>"
            out.append("</ul>")
        out.append('<ul class="chapters extra">')
        out += [item(p.file, "", p.title) + "</li>" for p in self.extra if p.listed]
        out.append("</ul>")
        return "\n".join(out)

    # ---------------------------------------------------------- indexes

    @staticmethod
    def sorted_names(names):
        return sorted(names, key=lambda n: (n.lower(), n))

    def chunk_page(self):
        files, chunks = [], []
        for name in self.sorted_names(self.names):
            entry = self.names[name]
            places = self.places(entry["definitions"])
            if entry["file"]:
                code = f"<code>{esc(name)}</code>"
                if self.ext == ".html":
                    code = f'<a href="{file_page(name)}">{code}</a>'
                files.append(f"<li>{code} {places}</li>")
            else:
                used = f"; used in {self.places(entry['uses'])}" if entry["uses"] else ""
                chunks.append(f"<li>⟨{name_html(name)}⟩ {places}{used}</li>")
        tangled = " A file's name leads to the file as it is tangled." if self.ext == ".html" else ""
        return ("<h1>Files and chunks</h1>\n<p>A number leads to a chunk: chapter, then its place "
                f"in the chapter.{tangled}</p>\n"
                '<section id="files"><h2>Files of the tree</h2>\n<ul class="index">\n'
                + "\n".join(files) + '\n</ul></section>\n<section id="chunks"><h2>Chunks</h2>\n'
                '<ul class="index">\n' + "\n".join(chunks) + "\n</ul></section>")

    def identifier_pages(self):
        """(letter, body) for each letter with which an identifier begins."""
        found = {}
        for chunk in self.chunks.values():
            for d in chunk["defines"]:
                letter = d["word"][0].lower() if d["word"][0].isalpha() else "other"
                found.setdefault(letter, {}).setdefault(d["word"], []).append((chunk, d))
        found = {k: found[k] for k in sorted(found, key=lambda k: (k == "other", k))}
        for here, words in found.items():
            letters = " ".join(
                f'<a href="identifiers-{k}{self.ext}"'
                f'{" aria-current=" + chr(34) + "page" + chr(34) if k == here else ""}>{k}</a>'
                for k in found)
            rows = []
            for word in self.sorted_names(words):
                places = []
                for chunk, d in words[word]:
                    where = f' in <code>{esc(chunk["files"][0])}</code>' \
                        if len(words[word]) > 1 and chunk["files"] else ""
                    uses = ": " + ", ".join(map(self.link, d["uses"])) if d["uses"] else ""
                    places.append(self.link({**chunk, "id": d["id"]}, f"<b>{chunk['number']}</b>")
                                  + where + uses)
                rows.append(f'<li id="i-{word}"><code>{word}</code> {"; ".join(places)}</li>')
            yield here, (f'<h1>Identifiers: {here}</h1>\n<nav class="letters" aria-label="Letters">'
                         f"{letters}</nav>\n<p>The first number leads to the definition, the others to "
                         'the chunks that use it.</p>\n<ul class="index">\n' + "\n".join(rows) + "\n</ul>")

    def figure_page(self):
        rows = [f'<li><a href="{topic}{self.ext}#{f["id"]}">{f["number"]}</a> {f["html"]}</li>'
                for topic in self.work.topics for f in self.facts[topic]["figures"]]
        return '<h1>Figures</h1>\n<ul class="index">\n' + "\n".join(rows) + "\n</ul>"

    # ---------------------------------------------------------- answers

    def answers(self, bodies):
        """All answers on one page, out of the rendered chapters; "" if there are none."""
        out = []
        for topic, body in bodies.items():
            found = re.findall(r'<details class="answer" id="answer-(\w+)-(\d+)">\s*<summary>.*?'
                               r'</summary>(.*?)<p class="all">.*?</details>', body, re.S)
            if not found:
                continue
            out.append(f'<section><h2><a href="{topic}{self.ext}">{self.numbers[topic]} '
                       f"{self.titles[topic]}</a></h2>")
            for chapter, n, text in found:
                text = re.sub(r'href="#', f'href="{topic}{self.ext}#', text)
                text = re.sub(r' id="[^"]*"', "", text)
                out.append(f'<section id="answer-{chapter}-{n}"><h3><a href="{topic}{self.ext}'
                           f'#exercise-{chapter}-{n}">Exercise {chapter}.{n}</a></h3>{text}</section>')
            out.append("</section>")
        if not out:
            return ""
        return ('<h1><span class="chapter">Appendix F</span> Answers</h1>\n<p>A heading leads to '
                "the exercise that it answers.</p>\n" + "\n".join(out))

    # ---------------------------------------------------------- files

    def chunk_line(self, row):
        """The tokens of a file's row, and what stands before them on the row."""
        lines, skipped = self.chunks[row.chunk.id]["lines"], \
            self.chunks[row.chunk.id].get("skipped", 0)
        at = row.index - skipped
        if not row.whole or not 0 <= at < len(lines):
            return row.text, []
        plain = "".join(p for p in row.chunk.lines[row.index] if isinstance(p, str))
        return row.text[:len(row.text) - len(plain)] if plain else "", lines[at]

    def file_page(self, name, rows):
        out, before, seen = [], None, set()
        for n, row in enumerate(rows, 1):
            starts = [c.id for c in row.starts if c.id not in seen]
            seen.update(starts)
            if row.chunk is not before and (row.text.strip() or not before):
                if before:
                    out[-1] += "</code></pre></div>"
                before = row.chunk
                anchor = f' id="{before.id}"' if before.id in starts else ""
                starts = [i for i in starts if i != before.id]
                out.append(f'<div{anchor}><a href="{before.chapter.topic}.html#{before.id}" '
                           f'title="{html.escape(bare(before.name))}"><b>{before.number}</b> '
                           f"{name_html(before.name)}</a>"
                           f'<pre class="code" style="counter-set: line {n - 1}"><code>')
            indent, tokens = self.chunk_line(row)
            line = esc(indent) + code_html(tokens)
            line = line.replace('href="#', f'href="{row.chunk.chapter.topic}.html#').rstrip()
            marks = "".join(f'<i id="{i}"></i>' for i in starts)    # chunks of references only
            out[-1] += f'{marks}<span id="L{n}">{line}</span>\n'
        if before:
            out[-1] += "</code></pre></div>"
        n = len(rows)
        roots = self.places(self.names[name]["definitions"])
        return (f"<h1><code>{esc(name)}</code></h1>\n<p>The file as it is tangled, {n} "
                f"line{'s' * (n != 1)}. What stands beside a line leads to the chunk that the line "
                f"comes from. The file begins in {roots}; all files are in the "
                '<a href="chunks.html#files">list of files</a>.</p>\n'
                '<div class="file" tabindex="0" role="group" aria-label="The file">\n'
                + "\n".join(out) + "\n</div>")

    # ---------------------------------------------------------- data for scripts

    def definition(self, d):
        """The lines that define an identifier, with the comment above them."""
        rows = self.work.names.rows[d.file]
        texts = [row.text for row in rows]
        first, last = d.start, d.end
        if d.kind == "function":
            if first and re.match(r"[A-Za-z_][\w *]*$", texts[first - 1]):
                first -= 1
            last = d.start
            while last + 1 < len(texts) and not texts[last + 1].startswith("{") and \
                    not texts[last].endswith(("{", ";")) and last < d.start + SIGNATURE_LINES:
                last += 1
        elif d.kind == "macro":
            last = d.start
            while texts[last].endswith("\\") and last + 1 < len(texts):
                last += 1
        last = min(last, first + BODY_LINES)
        if first and texts[first - 1].rstrip().endswith("*/"):
            above = first - 1
            while above > 0 and "/*" not in texts[above] and first - above <= COMMENT_LINES:
                above -= 1
            if texts[above].lstrip().startswith("/*"):
                first = above
        indent = os.path.commonprefix([re.match(r"\s*", t)[0] for t in texts[first:last + 1] if t])
        out = []
        for row in rows[first:last + 1]:
            before, tokens = self.chunk_line(row)
            line = esc(before) + code_html(tokens, linked=False)
            out.append(line[len(indent):] if line.startswith(indent) else line)
        if last < d.end and d.kind not in ("function", "macro"):
            out.append("…")
        return "\n".join(out)

    def definition_data(self):
        """{topic: script}"""
        found = {}
        for same in self.work.names.words.values():
            for d in same:
                where = f"{d.chunk.number}, <code>{esc(d.file)}</code>"
                found.setdefault(d.chunk.chapter.topic, {})[d.id] = [where, self.definition(d)]
        return {topic: f"bookDefs({json.dumps(topic)}, {dump(defs)});\n"
                for topic, defs in found.items()}

    def search_data(self, bodies):
        rows = []
        for topic, body in bodies.items():
            number = self.numbers[topic]
            where = f"{number} {text_of(self.titles[topic])}".strip()
            body = re.sub(r'<figure class="chunk".*?</figure>|<p class="all">.*?</p>', " ", body,
                          flags=re.S)
            for anchor, markup in re.findall(
                    r'<section id="([^"]*)" class="level\d"[^>]*>\s*(.*?)(?=<section |\Z)', body, re.S):
                heading = re.match(r"<h\d>(.*?)</h\d>", markup, re.S)
                title = text_of(re.sub(r'<span class="chapter">.*?</span>', "", heading[1])) \
                    if heading else where
                text = text_of(re.sub(r"</(?:p|li|td|th|summary|h\d)>", " ",
                                      markup[heading.end() if heading else 0:]))
                rows.append(["section", title, where, f"{topic}{self.ext}#{anchor}", text])
        for name, entry in self.names.items():
            c = self.chunks[entry["definitions"][0]]
            where = ", ".join(c["files"][:2]) + (f" in {c['within'][0]}" if c["within"] else "")
            if entry["file"]:
                rows.append(["file", name, "file", file_page(name), ""])
            else:
                rows.append(["chunk", bare(name), f"{c['number']}, {where}",
                             f"{c['topic']}{self.ext}#{c['id']}", ""])
        for word, same in self.work.names.words.items():
            rows += [["name", word, f"{d.kind}, {d.file}",
                      f"{d.chunk.chapter.topic}{self.ext}#{d.id}", ""] for d in same]
        from pipeline import CONCORDANCE, section_text
        for key, row in self.work.manual.items():
            title, _, numbers = section_text(row).partition(": " + row["volume"])
            rows.append(["manual", title, (row["volume"] + numbers).strip(),
                         f"{CONCORDANCE}{self.ext}#m:{key}", key])
        for topic in self.work.topics:
            rows += [["term", t["term"], "glossary", f"{topic}{self.ext}#{t['id']}",
                      re.sub(r" \([,\s]*(?:and )?\)", "", text_of(t["html"]))]     # its references
                     for t in self.facts[topic]["terms"]]
        return "bookSearch([\n" + ",\n".join(map(dump, rows)) + "\n]);\n"

    # ---------------------------------------------------------- all of them

    def book(self, bodies):
        """The pages of the chapters, with the answers, and those of the indexes."""
        answers = self.answers(bodies)
        if answers:
            self.topics.append(ANSWERS)
            self.numbers[ANSWERS], self.titles[ANSWERS] = "F", "Answers"
        letters = [Page(f"identifiers-{letter}{self.ext}", f"Identifiers: {letter}", body, listed=False)
                   for letter, body in self.identifier_pages()]
        if letters:
            letters[0].title, letters[0].listed = "Identifiers", True
        self.extra = [Page("figures" + self.ext, "Figures", self.figure_page()),
                      Page("chunks" + self.ext, "Files and chunks", self.chunk_page()), *letters]
        return [Page(t + self.ext, self.titles[t], bodies.get(t, answers), self.numbers[t])
                for _, topics in self.parts() for t in topics], self.extra

    def make(self, rendered):
        """The pages in reading order, and the scripts as {file: text}."""
        work, meta = self.work, self.work.meta
        bodies = {}
        for topic, path in rendered.items():
            with open(path) as file:
                bodies[topic] = file.read()
        chapters, indexes = self.book(bodies)
        pages = [Page("index" + self.ext, "Contents", ""), *chapters, *indexes]
        pages[0].body = (
            f"<h1>{self.title}</h1>"
            + (f'<p class="subtitle">{esc(meta["subtitle"])}</p>' if meta.get("subtitle") else "")
            + ('<p class="edition">Students’ edition</p>' if work.student else "")
            + f'<nav class="book" aria-label="Chapters">{self.contents(level="h2")}</nav>'
            + (f'<p class="rights">{esc(meta["rights"])}</p>' if meta.get("rights") else ""))
        self.files = [Page(file_page(name), f"<code>{esc(name)}</code>", self.file_page(name, rows),
                           listed=False) for name, rows in work.names.rows.items()]
        self.listed = {p for p in pages if p.listed}
        scripts = {f"defs/{topic}.js": text for topic, text in self.definition_data().items()}
        scripts["search-data.js"] = self.search_data(bodies)
        return pages, scripts

    def html(self, page, before=None, after=None):
        def neighbour(p, rel, left, right):
            if not p:
                return ""
            return f'<a rel="{rel}" href="{p.file}">{left}{p.number} {p.title}{right}</a>'
        first = page.file == "index.html"
        here = page.file if page in self.listed else None
        if here not in self.sides:
            self.sides[here] = self.contents(here)
        return self.template.substitute(
            lang=self.work.meta.get("lang", "en"), book=self.title, body=page.body,
            title=self.title if first else
            f"{page.number} {esc(text_of(page.title))} – {self.title}".strip(),
            jump="" if first else ' <a class="to-contents" href="#contents">Contents</a>',
            pages='<nav class="pages" aria-label="Previous and next page">'
                  + neighbour(before, "prev", "← ", "") + " " + neighbour(after, "next", "", " →")
                  + "</nav>",
            contents="" if first else '<nav class="side" id="contents" aria-label="Contents">\n'
                     '<p class="part"><a href="index.html">Contents</a></p>\n'
                     + self.sides[here] + "\n</nav>")


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")


def write(work):
    """Make OUT/html, or OUT/html-student."""
    rendered = work.render("html", "html.lua", "html")
    out = os.path.join(work.out, "html-student" if work.student else "html")
    old = os.path.join(work.out, f".{os.path.basename(out)}.old")
    stage = tempfile.mkdtemp(prefix=".html.", dir=work.out)
    try:
        os.chmod(stage, 0o755)
        pages = Pages(work)
        made, scripts = pages.make(rendered)
        texts = {page.file: pages.html(page, before, after)
                 for before, page, after in zip([None] + made, made, made[1:] + [None])}
        texts.update((page.file, pages.html(page)) for page in pages.files)
        for name, text in {**texts, **scripts}.items():
            path = os.path.join(stage, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)
        os.makedirs(os.path.join(stage, "figures"))
        for name in sorted(work.shown_figures() & set(work.figures)):
            shutil.copy(os.path.join(work.figure_folder, name), os.path.join(stage, "figures"))
        for name in ("book.css", "book.js"):
            shutil.copy(os.path.join(HERE, name), stage)
        if not os.path.exists(MINISEARCH):
            raise BookError("woven/node_modules has no minisearch: make deps")
        shutil.copy(MINISEARCH, os.path.join(stage, "minisearch.js"))
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP)      # till nothing is half done
        if os.path.exists(out):
            os.rename(out, old)
        os.rename(stage, out)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
        if os.path.exists(old) and not os.path.exists(out):
            os.rename(old, out)
        shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(stage, ignore_errors=True)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
