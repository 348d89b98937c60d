"""The pages in HTML: chapters, contents, indexes."""

import html
import os
import re
import shutil
import string
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
esc = html.escape


def text_of(markup):
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


class Page:
    def __init__(self, file, title, body, topic=None, number=""):
        self.file, self.title, self.body = file, title, body    # title: HTML
        self.topic, self.number = topic, number


class Pages:
    """Everything that a page links to, and the pages."""

    def __init__(self, work):
        self.work, self.facts = work, work.facts
        self.chunks, self.names = work.code["chunks"], work.code["names"]
        self.title = esc(work.meta["title"])

    # ---------------------------------------------------------- links

    def place(self, chunk_id):
        c = self.chunks[chunk_id]
        return f'<a href="{c["topic"]}.html#{c["id"]}">{c["number"]}</a>'

    def places(self, ids):
        return ", ".join(map(self.place, ids))

    def name(self, name):
        return re.sub(r"\[\[(.*?\]*)\]\]", r"<code>\1</code>", esc(name, quote=False))

    # ---------------------------------------------------------- contents

    def parts(self):
        """[(title or None, topics)]: chapters outside all parts come first."""
        def order(mark):
            mark = str(mark)
            return int(mark) if mark.isdigit() else 1000 + ord(mark[0]) if mark else 0
        parts = [(None, [])] + [(p["title"], []) for p in self.work.meta.get("parts", [])]
        for topic, chapter in self.work.chapters.items():
            n, home = order(chapter.number), 0
            for i, part in enumerate(self.work.meta.get("parts", []), 1):
                if order(part["first"]) <= n <= order(part["last"]):
                    home = i
            parts[home][1].append(topic)
        return [p for p in parts if p[1]]

    def contents(self, here=None, level="p"):
        out = []
        for title, topics in self.parts():
            if title:
                out.append(f'<{level} class="part">{esc(title)}</{level}>')
            out.append('<ul class="chapters">')
            for topic in topics:
                facts, number = self.facts[topic], self.work.chapters[topic].number
                current = ' aria-current="page"' if here == topic + ".html" else ""
                out.append(f'<li><a href="{topic}.html"{current}><span class="number">{number}</span> '
                           f'{facts["html"]}</a>')
                if current and facts["sections"]:
                    out.append("<ul>")
                    out += [f'<li><a href="#{esc(s["id"])}"><span class="number">{s["number"]}</span> '
                            f'{s["html"]}</a></li>' for s in facts["sections"]]
                    out.append("</ul>")
                out[-1] += "</li>"
            out.append("</ul>")
        out.append('<ul class="chapters extra">')
        for page in self.extra:
            current = ' aria-current="page"' if here == page.file else ""
            out.append(f'<li><a href="{page.file}"{current}>{page.title}</a></li>')
        out.append("</ul>")
        return "\n".join(out)

    # ---------------------------------------------------------- generated pages

    def sorted_names(self, names):
        return sorted(names, key=lambda n: (n.lower(), n))

    def chunk_page(self):
        files, chunks = [], []
        for name in self.sorted_names(self.names):
            entry = self.names[name]
            places = self.places(entry["definitions"])
            if entry["file"]:
                files.append(f"<li><code>{esc(name)}</code> {places}</li>")
            else:
                used = f"; used in {self.places(entry['uses'])}" if entry["uses"] else ""
                chunks.append(f"<li>⟨{self.name(name)}⟩ {places}{used}</li>")
        return ("<h1>Files and chunks</h1>\n<p>A number leads to a chunk: chapter, then its place "
                'in the chapter.</p>\n<section id="files"><h2>Files of the tree</h2>\n<ul class="index">\n'
                + "\n".join(files) + '\n</ul></section>\n<section id="chunks"><h2>Chunks</h2>\n'
                '<ul class="index">\n' + "\n".join(chunks) + "\n</ul></section>")

    def identifiers(self):
        """{letter or "other": {word: [(chunk, definition)]}}"""
        found = {}
        for chunk in self.chunks.values():
            for d in chunk["defines"]:
                letter = d["word"][0].lower() if d["word"][0].isalpha() else "other"
                found.setdefault(letter, {}).setdefault(d["word"], []).append((chunk, d))
        return {k: found[k] for k in sorted(found, key=lambda k: (k == "other", k))}

    def identifier_pages(self):
        found = self.identifiers()
        for here, words in found.items():
            letters = " ".join(
                f'<a href="identifiers-{k}.html"{" aria-current=page" if k == here else ""}>{k}</a>'
                for k in found)
            rows = []
            for word in self.sorted_names(words):
                places = []
                for chunk, d in words[word]:
                    where = f' in <code>{esc(chunk["files"][0])}</code>' \
                        if len(words[word]) > 1 and chunk["files"] else ""
                    uses = ": " + ", ".join(f'<a href="{u["topic"]}.html#{u["id"]}">{u["number"]}</a>'
                                            for u in d["uses"]) if d["uses"] else ""
                    places.append(f'<a href="{chunk["topic"]}.html#{d["id"]}"><strong>{chunk["number"]}'
                                  f"</strong></a>{where}{uses}")
                rows.append(f'<li id="i-{word}"><code>{word}</code> {"; ".join(places)}</li>')
            yield here, (f"<h1>Identifiers: {here}</h1>\n<nav class=\"letters\" aria-label=\"Letters\">"
                         f"{letters}</nav>\n<p>The first number leads to the definition, the others to "
                         'the chunks that use it.</p>\n<ul class="index">\n' + "\n".join(rows) + "\n</ul>")

    def figure_page(self):
        rows = [f'<li><a href="{topic}.html#{f["id"]}">{f["number"]}</a> {f["html"]}</li>'
                for topic in self.work.topics for f in self.facts[topic]["figures"]]
        return '<h1>Figures</h1>\n<ul class="index">\n' + "\n".join(rows) + "\n</ul>"

    def concordance_page(self):
        return "<h1>Manual</h1>" + "".join(f'<p id="m-{k}">{k}</p>' for k in self.work.manual)

    # ---------------------------------------------------------- all of them

    def make(self, rendered):
        letters = list(self.identifier_pages())
        self.extra = [Page("chunks.html", "Files and chunks", self.chunk_page()),
                      Page("figures.html", "Figures", self.figure_page()),
                      Page("concordance.html", "Manual", self.concordance_page())]
        if letters:
            self.extra.append(Page(f"identifiers-{letters[0][0]}.html", "Identifiers", letters[0][1]))
        meta = self.work.meta
        pages = [Page("index.html", "Contents", "")]
        for _, topics in self.parts():
            for topic in topics:
                with open(rendered[topic]) as file:
                    pages.append(Page(topic + ".html", self.facts[topic]["html"], file.read(), topic,
                                      self.work.chapters[topic].number))
        pages += self.extra
        pages += [Page(f"identifiers-{k}.html", f"Identifiers: {k}", body) for k, body in letters[1:]]
        pages[0].body = (
            f"<h1>{self.title}</h1>"
            + (f'<p class="subtitle">{esc(meta["subtitle"])}</p>' if meta.get("subtitle") else "")
            + f'<nav class="book" aria-label="Chapters">{self.contents(level="h2")}</nav>'
            + (f'<p class="rights">{esc(meta["rights"])}</p>' if meta.get("rights") else ""))
        return pages

    def html(self, page, before, after):
        def neighbour(p, rel, left, right):
            if not p:
                return ""
            number = p.number + " " if p.number else ""
            return f'<a rel="{rel}" href="{p.file}">{left}{number}{p.title}{right}</a>'
        first = page.file == "index.html"
        number = page.number + " " if page.number else ""
        with open(os.path.join(HERE, "page.html")) as file:
            template = string.Template(file.read())
        return template.substitute(
            lang=self.work.meta.get("lang", "en"), book=self.title, body=page.body,
            title=self.title if first else f"{number}{esc(text_of(page.title))} – {self.title}",
            jump="" if first else ' <a class="to-contents" href="#contents">Contents</a>',
            pages='<nav class="pages" aria-label="Previous and next page">'
                  + neighbour(before, "prev", "← ", "") + " " + neighbour(after, "next", "", " →")
                  + "</nav>",
            contents="" if first else '<nav class="side" id="contents" aria-label="Contents">\n'
                     '<p class="part"><a href="index.html">Contents</a></p>\n'
                     + self.contents(page.file) + "\n</nav>")


def write(work):
    rendered = work.render("html", "html.lua", "html")
    out = os.path.join(work.out, "html-student" if work.student else "html")
    stage = tempfile.mkdtemp(prefix=".html.", dir=work.out)
    try:
        os.chmod(stage, 0o755)
        pages = Pages(work)
        made = pages.make(rendered)
        for before, page, after in zip([None] + made, made, made[1:] + [None]):
            with open(os.path.join(stage, page.file), "w") as file:
                file.write(pages.html(page, before, after))
        shutil.copytree(work.figure_folder, os.path.join(stage, "figures"))
        for name in ("book.css", "book.js"):
            shutil.copy(os.path.join(HERE, name), stage)
        old = os.path.join(work.out, ".html.old")
        shutil.rmtree(old, ignore_errors=True)
        if os.path.exists(out):
            os.rename(out, old)
        os.rename(stage, out)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
