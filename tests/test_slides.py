"""The lectures' slides: each fits on its sheet in a browser, shows code and figures
from the chapters, and has notes for the one who speaks."""
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from conftest import ROOT, Book

sys.path.insert(0, str(ROOT / "woven"))

import lectures  # noqa: E402
import slides  # noqa: E402
from pipeline import Pipeline  # noqa: E402

pytestmark = [pytest.mark.slow]

CHAPTER = """\
# One

## First

Text, and code.

<<kern/one.c>>=
int
one(void)
{
	<<give one>>
}
@

<<give one>>=
return 1; /* a secret */
@

<<give one (exercise 1)>>=
return 0; /* yours */
@

![A figure.](figures/box.svg){#fig:box alt="A box."}

:::: slide
### A slide of code

[[<<give one>>]]

- [[one]] is one, [](#fig:box)

::: notes
Say "one".
:::
::::

:::: slide
### A slide with a figure

[](#fig:box)

- The box
::::

:::: {.slide .solution}
### Solution

- Give one
::::
"""
COURSE = """\
lectures:
- title: The first
  chapters: [01-one]
  reading: [{01-one: [First]}]
  goals: [See it]
  minutes: {talk: 70, demo: 5}
  demo:
  - {tree: jos, run: qemu-nox, cpus: 2, steps: [{say: "Look & see", type: ls, see: [one]}]}
"""
BOX = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40" viewBox="0 0 40 40"><rect width="40" height="40"/></svg>\n'

# What is wrong on a sheet: an element outside of it, code that is cut off, text or
# a figure that the last row can't read.
FAULTS = """
const root = document.documentElement, faults = [];
root.classList.add("measuring");
for (const sheet of document.querySelectorAll(".sheet")) {
	const box = sheet.getBoundingClientRect(), scale = box.width / 1280, bad = [];
	for (const e of sheet.querySelectorAll("*")) {
		const b = e.getBoundingClientRect();
		if (b.width && (b.bottom > box.bottom + 1 || b.right > box.right + 1 || b.top < box.top - 1 || b.left < box.left - 1))
			bad.push(e.tagName + " outside");
	}
	for (const e of sheet.querySelectorAll("pre")) if (e.scrollWidth > e.clientWidth) bad.push("code cut off");
	if (parseInt(sheet.style.fontSize) < 24) bad.push("text of " + sheet.style.fontSize);
	for (const e of sheet.querySelectorAll("img")) {
		const b = e.getBoundingClientRect();
		const size = Math.min(b.width / e.naturalWidth, b.height / e.naturalHeight) / scale;
		if (!(size > .7)) bad.push("a figure at " + Math.round(100 * size) + " per cent");
	}
	const foot = sheet.querySelector(".foot");
	if (foot) for (const e of sheet.querySelectorAll("li, p:not(.foot), pre, table"))
		if (e.getBoundingClientRect().bottom > foot.getBoundingClientRect().top + 2 * scale) bad.push(e.tagName + " runs into the foot");
	if (bad.length) faults.push(sheet.closest("section").id + ": " + bad.join(", "));
}
root.classList.remove("measuring");
return faults;
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The slides of the book; printing them is tried with a small one."""
    out = tmp_path_factory.mktemp("slides")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slides, "print_page", lambda page, pdf: open(pdf, "w").close())
        work = Pipeline(str(ROOT), str(out))
        work.read()
        slides.write(work)
    return out / "slides"


@pytest.fixture(scope="module")
def chrome():
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    options = webdriver.ChromeOptions()
    options.page_load_strategy = "none"             # the speaker's view never ends loading
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
                 "disable-background-networking", "disable-component-update", "disable-sync",
                 "proxy-server=127.0.0.1:9", "window-size=1280,900"):
        options.add_argument("--" + flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
    yield driver
    driver.quit()


def wait(chrome, script, seconds=20):
    """Until the script gives something that is true; give it."""
    until = time.monotonic() + seconds
    while True:
        found = chrome.execute_script(script)
        if found or time.monotonic() > until:
            return found
        time.sleep(.05)


def show(chrome, path, rest=""):
    chrome.get("about:blank")
    chrome.get(path.as_uri() + rest)
    assert wait(chrome, "return window.Reveal && Reveal.isReady()")


COURSE_OF_THE_BOOK = lectures.read(str(ROOT / "chapters/lectures.yaml"))


@pytest.mark.parametrize("lecture", COURSE_OF_THE_BOOK, ids=lectures.name)
def test_slides_fit(folder, chrome, lecture):
    page = folder / (lectures.name(lecture) + ".html")
    show(chrome, page)
    assert chrome.execute_script(FAULTS) == []
    count = chrome.execute_script("return Reveal.getTotalSlides()")
    assert 15 <= count <= 30
    assert wait(chrome, "return document.querySelector('.slide-number').innerText").split() == ["1", "/", str(count)]
    assert chrome.execute_script(
        "return performance.getEntriesByType('resource').map(r => r.name).filter(n => !n.startsWith('data:'))") == []
    assert [line["message"] for line in chrome.get_log("browser")] == []
    text = page.read_text()
    assert not re.search(r'(?:src|href|data)="(?!data:)[^"]', re.sub(r"<script>.*?</script>", "", text, flags=re.S))
    assert text.count('<aside class="notes">') >= count - 4             # the titles of chapters have none


def test_the_speakers_view_shows_the_notes(folder, chrome):
    show(chrome, next(folder.glob("18-*.html")), "#/3")
    first = chrome.current_window_handle
    chrome.find_element("css selector", "body").send_keys("s")
    until = time.monotonic() + 20
    while len(chrome.window_handles) < 2 and time.monotonic() < until:
        time.sleep(.05)
    second = next(w for w in chrome.window_handles if w != first)
    chrome.switch_to.window(second)
    try:
        note = "return document.querySelector('.speaker-controls-notes .value')?.innerText"
        before = wait(chrome, note)
        assert len(before) > 100
        chrome.switch_to.window(first)
        chrome.find_element("css selector", "body").send_keys(" ")
        chrome.switch_to.window(second)
        after = wait(chrome, f"const now = (() => {{ {note} }})(); return now != {before!r} && now")
        assert len(after) > 100
    finally:
        chrome.close()
        chrome.switch_to.window(first)


def test_dark(folder, chrome):
    show(chrome, next(folder.glob("03-*.html")))
    back = "return getComputedStyle(document.body).backgroundColor"
    assert chrome.execute_script(back) == "rgb(255, 255, 255)"
    chrome.find_element("css selector", "body").send_keys("d")
    assert wait(chrome, "return document.documentElement.dataset.theme") == "dark"
    assert chrome.execute_script(back) == "rgb(21, 24, 28)"


def test_the_plan_names_what_a_lecture_has(folder):
    text = (folder / "index.html").read_text()
    for lecture in COURSE_OF_THE_BOOK:
        name = lectures.name(lecture)
        assert f'href="{name}.html"' in text and f'href="{name}.pdf"' in text
        assert f"make demo-{lecture['number']:02d}" in text
        for topic in lecture["chapters"]:
            assert f'href="../html/{topic}.html"' in text
    assert {p.name for p in folder.iterdir()} == \
        {"index.html"} | {lectures.name(x) + end for x in COURSE_OF_THE_BOOK for end in (".html", ".pdf")}


# ------------------------------------------------------------------ a small book

@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A book with one lecture; a test that changes it puts it right again."""
    book = Book(tmp_path_factory.mktemp("small") / "book")
    book.write("book.yaml", "title: Small\nlang: en\nparts: []\n")
    book.write("01-one.nw", CHAPTER)
    book.write("lectures.yaml", COURSE)
    book.write("figures/box.svg", BOX)
    (book.folder / "inc").mkdir()
    book.slides = book.folder / "out/slides"
    return book


def weave(small, *flags):
    return subprocess.run([ROOT / "woven/weave", *flags, "slides", small.folder, small.folder / "out"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


def sheets(page):
    """{id: text of its section}."""
    return dict(re.findall(r'^<section id="([^"]*)">\n(.*?)^</section>', page.read_text(), re.M | re.S))


def test_a_lecture(small):
    run = weave(small)
    assert run.returncode == 0, run.stderr
    found = sheets(small.slides / "01-the-first.html")
    assert list(found) == ["title", "goals", "1-a-slide-of-code", "1-a-slide-with-a-figure", "1-solution", "demo"]
    assert "Chapter 1, One, sections 1.1" in found["title"] and "talk: 70 minutes" in found["title"]
    code = found["1-a-slide-of-code"]
    assert "⟨give one <small>1.2</small>⟩" in code and "kern/one.c" in code and "a secret" in code
    assert "Figure 1.1" in code and "<a " not in code
    assert 'Say “one”.' in code.split('<aside class="notes">')[1]
    figure = found["1-a-slide-with-a-figure"]
    assert 'alt="A box."' in figure and "data:image/svg+xml;base64," in figure and "Figure 1.1" not in figure
    assert "make qemu-nox CPUS=2" in found["demo"] and "Look &amp; see" in found["demo"]
    pdf = (small.slides / "01-the-first.pdf").read_bytes()
    assert len(re.findall(rb"/Type ?/Page\b", pdf)) == 6


def test_the_students_edition(small):
    run = weave(small, "-e", "student")
    assert run.returncode == 0, run.stderr
    page = small.folder / "out/slides-student/01-the-first.html"
    found = sheets(page)
    assert list(found) == ["title", "goals", "1-a-slide-of-code", "1-a-slide-with-a-figure", "demo"]
    assert "yours" in found["1-a-slide-of-code"]
    assert "secret" not in page.read_text() and '<aside class="notes">' not in page.read_text()


def test_students_see_no_part_of_a_solution(small):
    """Nor its name, where its code would stand."""
    small.write("01-one.nw", CHAPTER.replace("return 1; /* a secret */\n@\n", "<<the trick>>\n@\n\n"
                                             "<<the trick>>=\nreturn 1; /* a secret */\n@\n")
                .replace("[[<<give one>>]]", "[[<<the trick>>]]"))
    slides = []
    for flags, folder in (((), "slides"), (("-e", "student"), "slides-student")):
        run = weave(small, *flags)
        assert run.returncode == 0, run.stderr
        slides.append(sheets(small.folder / "out" / folder / "01-the-first.html")["1-a-slide-of-code"])
    small.write("01-one.nw", CHAPTER)
    assert "a secret" in slides[0] and "the trick" in slides[0]
    assert "<code>one</code> is one" in slides[1] and "trick" not in slides[1]


def test_only_what_changed_is_made_again(small):
    weave(small)
    files = sorted(small.slides.iterdir())
    before = [os.stat(f).st_mtime_ns for f in files]
    small.write("01-one.nw", CHAPTER.replace("Text, and code.", "Other text, and code."))
    assert weave(small).returncode == 0
    assert [os.stat(f).st_mtime_ns for f in files] == before
    small.write("01-one.nw", CHAPTER.replace("The box", "The black box"))
    assert weave(small).returncode == 0
    after = [os.stat(f).st_mtime_ns for f in files]
    assert {f.name for f, a, b in zip(files, before, after) if a != b} == {"01-the-first.html", "01-the-first.pdf"}
    small.write("01-one.nw", CHAPTER)


@pytest.mark.parametrize("file, old, new, fault", [
    ("01-one.nw", "### A slide of code\n", "A slide of code\n", "chapters/01-one.nw:25: a slide begins with ### and its title"),
    ("01-one.nw", "[[<<give one>>]]", "[[<<give two>>]]", "chapters/01-one.nw:28: no chunk is named <<give two>>"),
    ("01-one.nw", "[](#fig:box)\n\n- The", "[](#fig:bax)\n\n- The", "chapters/01-one.nw:40: nothing in the book has the id fig:bax"),
    ("lectures.yaml", "talk: 70", "talk: 60", "chapters/lectures.yaml:6: the minutes make 65, not 75"),
    ("lectures.yaml", "[01-one]", "[01-won]", "chapters/lectures.yaml:3: no chapter is called 01-won"),
    ("lectures.yaml", "[01-one]", "[[01-one]]", "chapters/lectures.yaml:3: no chapter is called ['01-one']"),
    ("lectures.yaml", "talk: 70", "[talk]: 70", "chapters/lectures.yaml:6: a name is one word"),
    ("lectures.yaml", "title: ", "title: \a", "chapters/lectures.yaml:2: control character"),
])
def test_a_fault_leaves_the_last_good_slides(small, file, old, new, fault):
    if not small.slides.exists():
        assert weave(small).returncode == 0
    before = {f.name: f.read_bytes() for f in small.slides.iterdir()}
    good = CHAPTER if file.endswith(".nw") else COURSE
    assert old in good
    small.write(file, good.replace(old, new))
    run = weave(small)
    small.write(file, good)
    assert run.returncode == 1
    assert fault in run.stderr
    assert {f.name: f.read_bytes() for f in small.slides.iterdir()} == before
