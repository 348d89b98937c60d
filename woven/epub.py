"""The book as an EPUB 3.

html.lua renders the chapters, a file each, NN-topic.xhtml, so that links are those
of the pages with another ending. Answers stand in a chapter of their own, since
many readers can't fold text. No scripts, no fonts: the reader's device has its own.
"""

import datetime
import html
import os
import re
import uuid
import zipfile

from pages import ANSWERS, Pages, esc, text_of
from pdf import run
from pipeline import slurp

HERE = os.path.dirname(os.path.abspath(__file__))
EXT = ".xhtml"
CONTAINER = """<?xml version="1.0" encoding="UTF-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="EPUB/content.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>
"""
DETAILS = re.compile(r'<details class="answer" id="([^"]*)">\s*<summary>.*?</details>', re.S)
SUMMARY = "Text with highlighted code and links; all figures have text alternatives."


def xhtml(lang, title, body, kind=""):
    kind = f' epub:type="{kind}"' if kind else ""
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html>\n'
            f'<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" '
            f'lang="{lang}" xml:lang="{lang}">\n<head>\n<meta charset="utf-8" />\n<title>{title}</title>\n'
            f'<link rel="stylesheet" type="text/css" href="epub.css" />\n</head>\n'
            f"<body{kind}>\n{body}\n</body>\n</html>\n")


def settle(body):
    """What a page may hold, but a book for a reading device had better not."""
    body = DETAILS.sub(lambda m: f'<p class="all"><a href="{ANSWERS}{EXT}#{m[1]}">Answer</a></p>', body)
    body = re.sub(r' style="--natural:[^"]*"| tabindex="0"', "", body)
    return body.replace("&nbsp;", "&#160;")


class Epub:
    def __init__(self, work):
        self.work, self.meta = work, work.meta
        self.lang = self.meta.get("lang", "en")
        self.title, self.subtitle = self.meta["title"], self.meta.get("subtitle") or ""
        self.edition = "Students’ edition" if work.student else ""

    # ---------------------------------------------------------- the pages

    def pages(self):
        """The pages in reading order, without the title page and the contents."""
        work = self.work
        self.outline = Pages(work, EXT)
        chapters, indexes = self.outline.book(
            {t: slurp(path).decode() for t, path in work.render("epub", "html.lua", "html").items()})
        for page in chapters:
            page.body = settle(page.body)
        return chapters + indexes

    def title_page(self):
        return "".join(f'<p class="{kind}">{esc(text)}</p>\n' if kind else f"<h1>{esc(text)}</h1>\n"
                       for kind, text in [("", self.title), ("subtitle", self.subtitle),
                                          ("edition", self.edition),
                                          ("rights", self.meta.get("rights") or "")] if text)

    def contents(self, first):
        def item(file, number, title, below=""):
            title = re.sub(r"<[^>]*>", "", title) if "<a" in title else title
            return f'<li><a href="{file}">{number} {title}</a>{below}</li>'.replace("> ", ">", 1)
        out = []
        for title, topics in self.outline.parts():
            rows = []
            for topic in topics:
                sections = self.work.facts[topic]["sections"] if topic in self.work.facts else []
                below = "\n<ol>" + "\n".join(item(f"{topic}{EXT}#{s['id']}", s["number"], s["html"])
                                             for s in sections) + "</ol>" if sections else ""
                rows.append(item(topic + EXT, self.outline.numbers[topic], self.outline.titles[topic], below))
            rows = "\n".join(rows)
            out.append(f"<li><span>{esc(title)}</span>\n<ol>{rows}</ol></li>" if title else rows)
        out += [item(p.file, "", p.title) for p in self.outline.extra if p.listed]
        return ('<nav epub:type="toc" id="toc" role="doc-toc">\n<h1>Contents</h1>\n<ol>\n' + "\n".join(out)
                + '\n</ol>\n</nav>\n<nav epub:type="landmarks" id="landmarks" hidden="">\n<h2>Landmarks</h2>\n<ol>\n'
                  '<li><a epub:type="titlepage" href="title.xhtml">Title page</a></li>\n'
                  '<li><a epub:type="toc" href="nav.xhtml#toc">Contents</a></li>\n'
                  f'<li><a epub:type="bodymatter" href="{first}">Begin reading</a></li>\n</ol>\n</nav>')

    # ---------------------------------------------------------- the cover

    def cover(self):
        """A picture of the title for the reader's shelf."""
        def lines(text, size, y, weight="normal"):
            words, rows = text.split(), [""]
            for word in words:
                if len(rows[-1]) + len(word) > 1900 / size:
                    rows.append("")
                rows[-1] = f"{rows[-1]} {word}".strip()
            return "".join(
                f'<text x="120" y="{y + i * size * 1.25:.0f}" font-size="{size}" font-weight="{weight}">'
                f"{html.escape(row)}</text>" for i, row in enumerate(rows))
        svg = ('<svg xmlns="http://www.w3.org/2000/svg" width="1200" height="1800" viewBox="0 0 1200 1800" '
               'font-family="\'TeX Gyre Heros\', Helvetica, Arial, sans-serif" fill="#fff">'
               '<rect width="1200" height="1800" fill="#14304f"/>'
               # a box in a box in a box: the system that runs itself
               + "".join(f'<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="none" stroke="#8fb4dc" '
                         f'stroke-width="6"/>' for x, y, w, h in
                         ((120, 900, 960, 660), (240, 1040, 720, 460), (360, 1180, 480, 260)))
               + lines(self.title, 130, 360, "bold") + lines(self.subtitle, 54, 520)
               + lines(self.edition, 54, 760) + "</svg>")
        source = os.path.join(self.work.build, "cover.svg")
        target = os.path.join(self.work.build, "cover.png")

        def make():
            with open(source, "w") as file:
                file.write(svg)
            run(["rsvg-convert", "-o", target, source])
        self.work.cached(target, [svg], make)
        return slurp(target)

    # ---------------------------------------------------------- the package

    def package(self, files, spine):
        """content.opf: what is in the book, and in which order."""
        kinds = {".xhtml": "application/xhtml+xml", ".svg": "image/svg+xml", ".png": "image/png",
                 ".css": "text/css"}
        properties = {"nav.xhtml": ' properties="nav"', "cover.png": ' properties="cover-image"'}

        def ident(name):
            return "f-" + re.sub(r"[^\w.-]", "-", name)
        modified = datetime.datetime.fromtimestamp(self.work.modified, datetime.timezone.utc)
        name = self.title + self.edition
        meta = [f'<dc:identifier id="id">urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}</dc:identifier>',
                f"<dc:title>{esc(self.title)}{': ' if self.subtitle else ''}{esc(self.subtitle)}"
                f"{' (' + self.edition + ')' if self.edition else ''}</dc:title>",
                f"<dc:language>{self.lang}</dc:language>"]
        if self.meta.get("rights"):
            meta.append(f"<dc:rights>{esc(self.meta['rights'])}</dc:rights>")
        meta += [f'<meta property="{k}">{v}</meta>' for k, v in [
            ("dcterms:modified", modified.strftime("%Y-%m-%dT%H:%M:%SZ")),
            ("schema:accessMode", "textual"), ("schema:accessMode", "visual"),
            ("schema:accessModeSufficient", "textual"),
            ("schema:accessibilityFeature", "alternativeText"),
            ("schema:accessibilityFeature", "readingOrder"),
            ("schema:accessibilityFeature", "structuralNavigation"),
            ("schema:accessibilityFeature", "tableOfContents"),
            ("schema:accessibilityHazard", "none"), ("schema:accessibilitySummary", SUMMARY)]]
        items = [f'<item id="{ident(n)}" href="{n}" media-type="{kinds[os.path.splitext(n)[1]]}"'
                 f"{properties.get(n, '')}/>" for n in files]
        return ('<?xml version="1.0" encoding="UTF-8"?>\n<package xmlns="http://www.idpf.org/2007/opf" '
                f'version="3.0" unique-identifier="id" xml:lang="{self.lang}" '
                'prefix="schema: http://schema.org/">\n'
                '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">\n' + "\n".join(meta)
                + "\n</metadata>\n<manifest>\n" + "\n".join(items) + "\n</manifest>\n<spine>\n"
                + "\n".join(f'<itemref idref="{ident(n)}"/>' for n in spine) + "\n</spine>\n</package>\n")

    def files(self):
        """{name: text or bytes} of all in the folder EPUB."""
        pages = self.pages()
        files = {"title.xhtml": xhtml(self.lang, esc(self.title), self.title_page(), "titlepage"),
                 "nav.xhtml": xhtml(self.lang, "Contents", self.contents(pages[0].file))}
        for page in pages:
            title = f"{page.number} {esc(text_of(page.title))}".strip()
            files[page.file] = xhtml(self.lang, title, page.body)
        spine = list(files)
        shown = {name for text in files.values() for name in re.findall(r'src="figures/([^"]*)"', text)}
        for name in sorted(shown):
            files["figures/" + name] = slurp(os.path.join(self.work.figure_folder, name))
        files["epub.css"] = slurp(os.path.join(HERE, "epub.css"))
        files["cover.png"] = self.cover()
        files["content.opf"] = self.package(list(files), spine)
        return files


def write(work):
    """Make OUT/book.epub, or OUT/book-student.epub."""
    files = Epub(work).files()
    target = os.path.join(work.out, "book-student.epub" if work.student else "book.epub")
    with zipfile.ZipFile(target + ".new", "w", zipfile.ZIP_DEFLATED) as archive:
        def put(name, data, how=zipfile.ZIP_DEFLATED):
            archive.writestr(zipfile.ZipInfo(name), data, how)      # the same time for all
        put("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        put("META-INF/container.xml", CONTAINER)
        for name, data in files.items():
            put("EPUB/" + name, data)
    os.replace(target + ".new", target)
