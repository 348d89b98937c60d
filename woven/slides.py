"""Slides: a file a lecture, out of the slides that stand in the chapters.

chapters/lectures.yaml says which chapters a lecture has (lectures.py reads it).
OUT/slides/NN-title.html is a show of reveal.js in one file: styles, scripts and
figures are in it, and no request leaves it. NN-title.pdf has the same slides, a
page each, with the speaker's notes below; index.html is the plan of the course.
The students' edition (OUT/slides-student) has no notes, and no slides that show
a solution.
"""

import base64
import html
import json
import os
import re
import shutil
import string
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

import lectures
from book import BookError
from pages import esc

HERE = os.path.dirname(os.path.abspath(__file__))
REVEAL = os.path.join(HERE, "node_modules", "reveal.js")
SLIDE = re.compile(r'^<section id="([^"]*)" class="level\d ([^"]*\bslide\b[^"]*)">\n(.*?)^</section>', re.M | re.S)
# Paper: A4 upright, with room for notes below a slide; without notes, a slide a page.
PAPER = "@page { size: 1400px 1980px; margin: 60px; }\n"
SMALL_PAPER = "@page { size: 1320px 800px; margin: 18px 20px 0; }\n"
TITLE = re.compile(r"<h(\d)[^>]*>(.*?)</h\1>", re.S)
NOTES = re.compile(r'<div class="notes">\n?(.*)</div>\s*\Z', re.S)
OPENS = re.compile(r"^:{3,}\s*(?:\{[^}]*\.slide\b|slide\b)")
# A reference to a figure that stands alone, and an image.
ALONE = re.compile(r'<p><a href="([^"#]*)#(fig:[^"]+)"[^>]*>[^<]*</a></p>')
IMAGE = re.compile(r'<(?:div class="scroll"><)?img src="figures/([^"]+)"[^>]*>(?:</div>)?')
FIGURE = re.compile(r'<figure class="figure".*?</figure>', re.S)
LINK = re.compile(r"<a\b[^>]*>(.*?)</a>", re.S)
ID = re.compile(r' id="[^"]*"')


def slurp(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def counted(number, what):
    return f"{number} {what}{'' if number == 1 else 's'}"


class Slide:
    """A slide: its title and body in HTML, notes, and the chapter it's from."""

    def __init__(self, key, title, body, notes="", kind="", foot=""):
        self.key, self.title, self.body = key, title, body
        self.notes, self.kind, self.foot = notes, kind, foot
        self.picture = ""               # a tall figure, beside all of the text

    def sheet(self):
        foot = f'\n<p class="foot">{self.foot}</p>' if self.foot else ""
        head = f"<h2>{self.title}</h2>\n" if self.title else ""
        kind, body = f"sheet {self.kind}".strip(), head + self.body
        if self.picture:
            kind += " split"
            body = f'<div class="text">\n{body}\n</div>\n{self.picture}'
        return f'<div class="{kind}">\n{body}{foot}\n</div>'


class Chapter:
    """The slides of a chapter, ready to be put into a lecture."""

    def __init__(self, work, topic, path):
        self.work, self.topic = work, topic
        self.name = f"Chapter {work.chapters[topic].number}"
        self.title = work.facts[topic]["html"]
        self.slides = [self.slide(*found) for found in SLIDE.findall(slurp(path))]

    def slide(self, key, classes, body):
        notes = NOTES.search(body)
        if notes:
            body = body[:notes.start()]
        title = TITLE.search(body)
        body = body[title.end():]
        body = ALONE.sub(lambda m: self.figure(*self.find(m[1], m[2])), body)
        body = FIGURE.sub(self.inline_figure, body)
        body, picture = arrange(tidy(body))
        made = Slide(f"{self.work.chapters[self.topic].number}-{key}", plain(title[2]), body,
                     plain(notes[1]) if notes and not self.work.student else "",
                     foot=f"{self.name}: {self.title}")
        made.picture = picture
        return made

    # -------------------------------------------------------------- figures

    def find(self, page, key):
        """The file and the alternative text of a figure of any chapter."""
        topic = page.split(".")[0] or self.topic
        found = images(self.work, topic)
        if key not in found:
            raise BookError(f"chapters/{self.topic}.nw:1: a slide shows {key}, which has no picture")
        return found[key]

    def figure(self, file, alt):
        with open(os.path.join(self.work.figure_folder, file), "rb") as svg:
            picture = svg.read()
        data = base64.b64encode(picture).decode()
        ratio = shape(picture)
        return (f'<figure class="figure" data-ratio="{ratio:.3f}"><img alt="{html.escape(alt)}" '
                f'src="data:image/svg+xml;base64,{data}"></figure>')

    def inline_figure(self, match):
        """An image in the slide itself. Its caption goes: the slide's title is there."""
        image = IMAGE.search(match[0])
        if not image:
            return match[0]             # done already
        alt = re.search(r'\balt="([^"]+)"', image[0])
        caption = re.search(r"<figcaption>(.*?)</figcaption>", match[0], re.S)
        text = alt[1] if alt else re.sub(r"<[^>]*>", "", caption[1]) if caption else ""
        return self.figure(image[1], html.unescape(text).strip())


def shape(svg):
    """Height by width of a picture."""
    box = re.search(rb'<svg[^>]*?\sviewBox="[-\d.]+[ ,]+[-\d.]+[ ,]+([\d.]+)[ ,]+([\d.]+)"', svg)
    return float(box[2]) / float(box[1]) if box else 0.5


def images(work, topic):
    """{id: (file, alternative text)} of a chapter's figures."""
    if topic not in work.__dict__.setdefault("slide_images", {}):
        found = work.slide_images[topic] = {}

        def look(node):
            if isinstance(node, dict):
                if node.get("t") == "Image":
                    (key, _, pairs), _, (src, _) = node["c"]
                    alt = re.sub(r"`+ ?(.*?) ?`+\{\.\w+\}", r"\1", dict(pairs).get("alt", ""))
                    if key:
                        found[key] = (src.split("/")[-1], alt)
                node = list(node.values())
            if isinstance(node, list):
                for item in node:
                    look(item)
        look(json.loads(slurp(work.path(topic, "json")))["blocks"])
    return work.slide_images[topic]


def plain(markup):
    """Markup without links."""
    return LINK.sub(r"\1", markup).strip()


def tidy(body):
    """Without links, for they'd lead out of the file, and without ids, for a chunk
    may stand on two slides. Words that have a definition stay marked in code."""
    def code(match):
        return LINK.sub(lambda m: m[1] if m[1].startswith("⟨") else f'<i class="id">{m[1]}</i>', match[0])
    body = re.sub(r"<pre\b.*?</pre>", code, body, flags=re.S)
    return ID.sub("", plain(body))


def arrange(body):
    """The body of a slide, and the figure that stands beside it, as high as the
    slide, if that makes it larger than below the text."""
    found = list(FIGURE.finditer(body))
    if len(found) != 1:
        return body, ""
    ratio = float(re.search(r'data-ratio="([\d.]+)"', found[0][0])[1])
    text = (body[:found[0].start()] + body[found[0].end():]).strip()
    if "<pre" in text:
        return body, ""
    # In pixels: there are 1168 by 540 below the title and 660 beside it, and a line
    # of text has some 60 letters and is 55 high.
    lines = sum(1 + len(re.sub(r"<[^>]*>", "", item)) // 60 for item in re.split(r"<li>|<p>", text)[1:])
    below = min(1168, (540 - 55 * lines) / ratio)
    beside = max(420, min(700, 660 / ratio))
    if beside < 1.15 * below:
        return body, ""
    return text, found[0][0].replace("<figure", f'<figure style="--share:{beside:.0f}px"', 1)


# ------------------------------------------------------------------ a lecture

class Lecture:
    def __init__(self, work, plan, chapters):
        self.work, self.plan = work, plan
        self.name = lectures.name(plan)
        self.title = esc(plan["title"])
        self.chapters = [chapters[topic] for topic in plan["chapters"]]
        self.slides = list(self.make())

    def reading(self, link=lambda topic, text: text):
        """What to read, an item a chapter."""
        out, items = [], self.plan.get("reading") or self.plan["chapters"]
        for item in items:
            topic, titles = next(iter(item.items())) if isinstance(item, dict) else (item, [])
            number, name = self.work.chapters[topic].number, self.work.facts[topic]["html"]
            numbers = [self.plan["all_sections"][topic][t] for t in titles]
            where = f", sections {spans(number, numbers)}" if numbers else ""
            out.append(link(topic, f"Chapter {number}, {plain(name)}") + where)
        return out

    def make(self):
        plan, work = self.plan, self.work
        reading = "".join(f'<p class="reading">{item}</p>' for item in ["Reading:", *self.reading()])
        yield Slide("title", "", f'<p class="number">Lecture {plan["number"]}</p>\n<h1>{self.title}</h1>\n{reading}\n'
                    f'<p class="book">{esc(work.meta["title"])}</p>', self.timetable(), "title")
        goals = "".join(f"<li>{esc(goal)}</li>" for goal in plan["goals"])
        yield Slide("goals", "After this lecture you can", f"<ul>{goals}</ul>", self.goal_notes())
        for chapter in self.chapters:
            if len(self.chapters) > 1:
                yield Slide(f"chapter-{work.chapters[chapter.topic].number}", chapter.title,
                            f"<p>{chapter.name}</p>", kind="part")
            yield from chapter.slides
        yield self.demo()

    def timetable(self):
        if self.work.student:
            return ""
        pieces = "".join(f"<li>{esc(what)}: {n} minutes</li>" for what, n in self.plan["minutes"].items())
        return f"<p>{lectures.MINUTES} minutes:</p><ul>{pieces}</ul>"

    def goal_notes(self):
        if self.work.student:
            return ""
        return ("<p>Say where these come from: " + "; ".join(self.reading()) + ". Come back to this slide at the end.</p>")

    def demo(self):
        plan, items, notes = self.plan, [], []
        for scene in plan["demo"]:
            items.append(f"<li><code>{esc(command(scene))}</code> in <code>{scene['tree']}</code></li>")
            notes.append(f"<p><code>{esc(command(scene))}</code></p><ul>")
            for step in scene["steps"]:
                typed = f"<code>{esc(step['type'])}</code>: " if "type" in step else ""
                notes.append(f"<li>{typed}{esc(step.get('say', '')).strip()}</li>")
            notes.append("</ul>")
        return Slide("demo", "Demo", f"<p><code>make demo-{plan['number']:02d}</code>, or by hand:</p><ul>{''.join(items)}</ul>",
                     "" if self.work.student else
                     f"<p><code>make demo-{plan['number']:02d}</code> leads through it.</p>" + "".join(notes))

    # -------------------------------------------------------------- files

    def show(self, template, css, js):
        """The file of the lecture for a browser."""
        slides = []
        for slide in self.slides:
            notes = f'\n<aside class="notes">\n{slide.notes}\n</aside>' if slide.notes else ""
            slides.append(f'<section id="{slide.key}">\n{slide.sheet()}{notes}\n</section>')
        return self.fill(template, "\n".join(slides), css, js)

    def paper(self, template, css, js):
        """The same for the printer: a page a slide, its notes below."""
        slides = []
        for i, slide in enumerate(self.slides, 1):
            notes = f"\n<aside>\n{slide.notes}\n</aside>" if slide.notes else ""
            slides.append(f'<div class="slide">\n{slide.sheet()}\n<div class="page"><span>Lecture {self.plan["number"]}: '
                          f'{self.title}</span><span>{i} / {len(self.slides)}</span></div>{notes}\n</div>')
        page = self.fill(template, "\n".join(slides), css, js)
        return page.replace("<html ", '<html class="print" ', 1)

    def fill(self, template, slides, css, js):
        return string.Template(template).substitute(
            lang=self.work.meta.get("lang", "en"), slides=slides, css=css,
            title=f"Lecture {self.plan['number']}: {self.title}",
            js=js.replace("</script", "<\\/script"))


def command(scene):
    words = ["make", scene["run"]] + [f"{k.upper()}={scene[k]}" for k in ("cpus", "mem") if k in scene]
    return " ".join(words + [f"{k}={v}" for k, v in scene.get("vars", {}).items()])


def spans(chapter, numbers):
    """4.3 to 4.5, 4.8"""
    out, numbers = [], sorted(numbers)
    for n in numbers:
        if out and out[-1][1] == n - 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ", ".join(f"{chapter}.{a}" if a == b else f"{chapter}.{a} to {chapter}.{b}" for a, b in out)


# ------------------------------------------------------------------ the plan

PLAN = """<!DOCTYPE html>
<html lang="$lang">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lectures – $title</title>
<style>
:root { color-scheme: light dark; --text: light-dark(#1f2226, #d9dbdf); --back: light-dark(#fdfdfb, #17191d); --line: light-dark(#d3d3c8, #3b424d); --quiet: light-dark(#565d66, #a4abb5); --link: light-dark(#0a4f9e, #86b9f5); }
body { max-width: 62rem; margin: 0 auto; padding: 1.5rem; font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; background: var(--back); color: var(--text); }
a { color: var(--link); }
section { border-top: 1px solid var(--line); padding: .4rem 0 .8rem; display: grid; grid-template-columns: 1fr 19rem; gap: 0 2rem; }
h2 { grid-column: 1 / -1; font-size: 1.2rem; margin: .5rem 0; }
ul { margin: 0; padding-left: 1.2rem; }
p { margin: 0 0 .4rem; }
dl { margin: 0; display: grid; grid-template-columns: auto 1fr; gap: 0 .7rem; }
dt { color: var(--quiet); } dd { margin: 0; }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .9em; }
@media (max-width: 46rem) { section { display: block; } }
</style>
</head>
<body>
<main>
<h1>Lectures</h1>
<p>$count lectures of $minutes minutes on <cite>$title</cite>. In the slides: arrows go on, ${speaker}D makes it dark, F fills the screen, ? lists the keys. The PDFs have a page a slide$notes. A demo is run in a terminal; it takes five minutes at most.</p>
$lectures
</main>
</body>
</html>
"""


def plan(work, all_lectures, pdf):
    out = []
    pages = "../html-student" if work.student else "../html"

    def link(topic, text):
        return f'<a href="{pages}/{topic}.html">{text}</a>'
    for lecture in all_lectures:
        p = lecture.plan
        minutes = "".join(f"<dt>{n} min</dt><dd>{esc(what)}</dd>" for what, n in p["minutes"].items())
        paper = f' (<a href="{lecture.name}.pdf">PDF</a>)' if pdf else ""
        out.append(f"""<section id="lecture-{p['number']}">
<h2>{p['number']}. <a href="{lecture.name}.html">{lecture.title}</a></h2>
<div>
<p>Reading: {"; ".join(lecture.reading(link))}</p>
<ul>{"".join(f"<li>{esc(g)}</li>" for g in p["goals"])}</ul>
</div>
<div>
<p>{counted(len(lecture.slides), "slide")}{paper}; demo: <code>make demo-{p['number']:02d}</code></p>
<dl>{minutes}</dl>
</div>
</section>""")
    return string.Template(PLAN).substitute(
        lang=work.meta.get("lang", "en"), title=esc(work.meta["title"]), count=len(all_lectures),
        minutes=lectures.MINUTES, notes="" if work.student else " with its notes",
        speaker="" if work.student else "S opens the speaker’s view with the notes, ",
        lectures="\n".join(out))


# ------------------------------------------------------------------ files

def browser():
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(name):
            return name
    raise BookError("no browser to print slides: install chromium (make deps)")


def print_page(page, pdf):
    """Print a page to a PDF with a headless browser."""
    with tempfile.TemporaryDirectory() as home:
        command = (
            [browser(), "--headless", "--disable-gpu", "--no-first-run", "--disable-extensions",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             *(["--no-sandbox"] if os.getuid() == 0 else []),
             f"--user-data-dir={home}", "--no-pdf-header-footer", f"--print-to-pdf={os.path.abspath(pdf)}",
             "file://" + os.path.abspath(page)])
        try:
            run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180)
        except subprocess.TimeoutExpired:
            raise BookError(f"{os.path.basename(page)}: {command[0]} printed nothing in 180 seconds") from None
    if run.returncode or not os.path.exists(pdf):
        raise BookError(f"{os.path.basename(page)}: {browser()} printed nothing: {run.stderr.strip()[-500:]}")


def check(work, topics):
    """Each slide begins with its title."""
    faults = []
    for topic in topics:
        chapter = work.chapters[topic]
        lines = slurp(chapter.path).split("\n")
        for n, line in enumerate(lines, 1):
            if OPENS.match(line):
                first = next((l for l in lines[n:] if l.strip()), "")
                if not first.startswith("### "):
                    faults.append(f"{chapter.file}:{n}: a slide begins with ### and its title")
    if faults:
        raise BookError("\n".join(faults))


def write(work):
    """Make OUT/slides, or OUT/slides-student."""
    if not os.path.isdir(REVEAL):
        raise BookError("reveal.js is missing: make deps installs it")
    course = lectures.read(os.path.join(work.folder, "chapters", "lectures.yaml"), work.instructor)
    check(work, [t for p in course for t in p["chapters"]])
    rendered = work.render("slides", "html.lua", "html")
    chapters = {t: Chapter(work, t, rendered[t]) for p in course for t in p["chapters"]}
    made = [Lecture(work, p, chapters) for p in course]

    template, own, fit = slurp(HERE, "slides.html"), slurp(HERE, "slides.css"), slurp(HERE, "slides.js")
    css = slurp(REVEAL, "dist", "reveal.css") + own
    js = "\n".join([fit, slurp(REVEAL, "dist", "reveal.js"), slurp(REVEAL, "plugin", "notes", "notes.js"),
                    slurp(HERE, "slides-show.js")])
    out = os.path.join(work.out, "slides-student" if work.student else "slides")
    build = os.path.join(work.build, "lectures")
    os.makedirs(build, exist_ok=True)
    files = {"index.html": plan(work, made, True)}
    files.update((lecture.name + ".html", lecture.show(template, css, js)) for lecture in made)

    def paper(lecture):
        page, pdf = (os.path.join(build, lecture.name + end) for end in (".html", ".pdf"))
        text = lecture.paper(template, (SMALL_PAPER if work.student else PAPER) + own, fit)

        def make():
            with open(page, "w") as file:
                file.write(text)
            print_page(page, pdf)
        work.cached(pdf, [text], make)
        return pdf
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        papers = list(pool.map(paper, made))

    os.makedirs(out, exist_ok=True)
    for name, text in files.items():
        path = os.path.join(out, name)
        if not os.path.exists(path) or slurp(path) != text:
            with open(path + ".new", "w") as file:
                file.write(text)
            os.replace(path + ".new", path)
    for pdf in papers:
        path = os.path.join(out, os.path.basename(pdf))
        shutil.copy2(pdf, path + ".new")
        os.replace(path + ".new", path)
    for name in set(os.listdir(out)) - set(files) - {os.path.basename(p) for p in papers}:
        os.remove(os.path.join(out, name))
