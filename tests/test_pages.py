"""The pages in a browser: search, definitions, keys, themes, widths, weight.

Headless Chromium opens the pages from their folder, as a reader does; axe-core
judges whether everybody can read them.
"""
import re
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT

AXE = ROOT / "woven/node_modules/axe-core/axe.min.js"
pytestmark = [pytest.mark.slow]

# One of each kind, for what need not be asked of all.
KINDS = ["index.html", "00-preface.html", "18-turning-vmx-on.html", "C-manual-sections.html",
         "D-glossary.html", "E-bibliography.html", "figures.html", "identifiers-v.html",
         "file-kern-pmap-h.html"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The book's pages."""
    out = tmp_path_factory.mktemp("pages")
    run = subprocess.run([ROOT / "woven/weave", "html", ROOT, out], capture_output=True, text=True,
                         stdin=subprocess.DEVNULL, timeout=120)
    assert run.returncode == 0, run.stderr
    return out / "html"


@pytest.fixture(scope="module")
def chrome():
    """A browser without a window, whose every word on the console is kept."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    options = webdriver.ChromeOptions()
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
                 "disable-background-networking", "disable-component-update", "disable-sync",
                 "proxy-server=127.0.0.1:9"):
        options.add_argument("--" + flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
    yield driver
    driver.quit()


class Browser:
    def __init__(self, chrome, folder):
        self.chrome, self.folder = chrome, folder
        self.script, self.find = chrome.execute_script, chrome.find_element

    def open(self, page):
        self.chrome.get((self.folder / page.split("#")[0]).as_uri() + "".join(re.findall("#.*", page)))

    def at(self):
        return self.chrome.current_url.split("/")[-1]

    def width(self, pixels):
        self.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": pixels < 700})

    def theme(self, name):
        self.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": name}]})

    def css(self, selector):
        return self.chrome.find_element("css selector", selector)

    def type(self, *keys):
        from selenium.webdriver import ActionChains
        ActionChains(self.chrome).send_keys(*keys).perform()

    def wait(self, script, seconds=10):
        """Until the script gives something that is true; give it."""
        from selenium.webdriver.support.ui import WebDriverWait
        return WebDriverWait(self.chrome, seconds, poll_frequency=.05).until(
            lambda chrome: chrome.execute_script(script), script)


@pytest.fixture
def browser(chrome, folder):
    """A wide light window; at the end nothing may have been complained of."""
    found = Browser(chrome, folder)
    found.width(1400)
    found.theme("light")
    chrome.get_log("browser")
    yield found
    assert chrome.get_log("browser") == []


@pytest.fixture(scope="module")
def pages(folder):
    return sorted(p.name for p in folder.glob("*.html"))


@pytest.fixture(scope="module")
def few(pages):
    """All pages but most of the files and letters, which are made alike."""
    return [p for i, p in enumerate(pages) if not p.startswith(("file-", "identifiers-")) or i % 16 == 0]


@pytest.fixture(scope="module")
def chapters(pages):
    return [p for p in pages if re.match(r"\d\d-", p)]


# -------------------------------------------------------------------- search

def search(browser, words, first="a"):
    """Type words into the search; the results as (kind, title, where)."""
    from selenium.webdriver.common.keys import Keys
    if not browser.script("return document.querySelector('dialog').open"):
        browser.type("/")
    browser.css("#query").send_keys(Keys.CONTROL, "a")
    browser.script("document.querySelector('.status').textContent = ''")
    browser.css("#query").send_keys(words)
    browser.wait("return document.querySelector('.status').textContent")
    return browser.script(
        "return [...document.querySelectorAll('.results a')].map(a => "
        "[a.querySelector('.kind'), a.querySelector('strong'), a.querySelector('.where')]"
        ".map(e => e.textContent))")


def test_search_by_keyboard(browser):
    from selenium.webdriver.common.keys import Keys
    browser.open("index.html")
    found = search(browser, "VMXON")
    assert any(kind == "Text" and "VMXON" in title for kind, title, _ in found)
    assert any(kind == "Manual" for kind, _, _ in found)
    browser.type(Keys.ARROW_DOWN)
    to = browser.script("return document.activeElement.href")
    browser.type(Keys.ENTER)
    browser.wait("return !document.querySelector('dialog').open")
    assert browser.chrome.current_url == to and "vmx" in to.lower()


@pytest.mark.parametrize("words, kind, title", [
    ("vmx_check_ept", "Name", "vmx_check_ept"),
    ("extended page tables", "Text", "Extended page tables"),
    ("kern/vm.c", "File", "kern/vm.c"),
    ("walk the tree", "Chunk", "walk the tree"),
    ("page_all", "Name", "page_alloc"),             # as far as it is typed
    ("hypervisr", "Term", "hypervisor"),            # mistyped
])
def test_search_finds(browser, words, kind, title):
    browser.open("index.html")
    assert [kind, title] in [row[:2] for row in search(browser, words)[:5]]


@pytest.mark.parametrize("section", ["24.6.2", "23.6", "A.3"])
def test_search_finds_a_section_of_the_manual(browser, section):
    browser.open("index.html")
    found = search(browser, section)
    assert any(kind == "Manual" and section in where for kind, _, where in found), found[:5]


def test_search_that_finds_nothing_says_so(browser):
    browser.open("index.html")
    assert search(browser, "zzyzxq") == []
    assert browser.css(".status").text == "Nothing found"


def test_escape_closes_the_search_and_goes_back(browser):
    from selenium.webdriver.common.keys import Keys
    browser.open("index.html")
    browser.css("button.search").send_keys(Keys.ENTER)
    browser.wait("return document.querySelector('dialog').open")
    browser.type(Keys.ESCAPE)
    assert not browser.script("return document.querySelector('dialog').open")
    assert browser.script("return document.activeElement.className") == "search"


# -------------------------------------------------------------------- definitions

LINK = "a[href$='#d-page_insert']"


def test_definition_on_focus(browser):
    from selenium.webdriver.common.keys import Keys
    browser.open("07-environments.html")
    browser.script("const link = document.querySelector(arguments[0]); const before = document.createElement('a');"
                   "before.href = '#'; link.before(before); before.focus();", "a[href='06-virtual-memory.html#d-page_insert']")
    browser.type(Keys.TAB)
    browser.wait("return !document.querySelector('.tip').hidden")
    tip = browser.css(".tip")
    assert "page_insert(pml4e_t *pml4e, struct PageInfo *pp" in tip.text and "kern/vm.c" in tip.text
    assert browser.script("return document.activeElement.getAttribute('aria-describedby')") == tip.get_attribute("id")
    box = browser.script("const b = document.querySelector('.tip').getBoundingClientRect();"
                         "return [b.left, b.top, b.right - innerWidth, b.bottom - innerHeight]")
    assert box[0] >= 0 and box[1] >= 0 and box[2] <= 0 and box[3] <= 0
    browser.type(Keys.ESCAPE)
    assert not tip.is_displayed()


def test_definition_under_the_pointer(browser):
    from selenium.webdriver import ActionChains
    browser.open("06-virtual-memory.html")
    link = browser.css("p " + LINK)
    browser.script("arguments[0].scrollIntoView({block: 'center'})", link)
    ActionChains(browser.chrome).move_to_element(link).perform()
    browser.wait("return !document.querySelector('.tip').hidden")
    ActionChains(browser.chrome).move_to_element(browser.css(".tip")).pause(.5).perform()
    assert browser.css(".tip").is_displayed()       # it may be pointed at, to read on
    ActionChains(browser.chrome).move_to_element(browser.css("h1, header")).perform()
    browser.wait("return document.querySelector('.tip').hidden")


def test_every_definition_is_there(browser, folder, chapters):
    """What a link promises, the data of its page has."""
    for page in chapters:
        defs = (folder / "defs" / page.replace(".html", ".js"))
        known = set(re.findall(r'"(d-[\w]+)":\[', defs.read_text())) if defs.exists() else set()
        marked = set(re.findall(r'id="(d-\w+)"', (folder / page).read_text()))
        assert marked <= known, f"{page}: {sorted(marked - known)}"


# -------------------------------------------------------------------- links

def test_a_chunk_leads_to_its_file_and_back(browser):
    browser.open("06-virtual-memory.html")
    browser.css("#c-vm_init figcaption a[href^=file-], #c-vm-init figcaption a[href^=file-]").click()
    assert browser.at().startswith("file-kern-vm-c.html#c-vm")
    target = browser.css(":target")
    assert "vm_init" in target.text
    target.find_element("css selector", "a").click()
    assert browser.at().startswith("06-virtual-memory.html#c-vm")
    assert "vm_init" in browser.css(":target figcaption").text


def test_a_reference_leads_to_its_chunk(browser):
    browser.open("06-virtual-memory.html")
    link = browser.css("#c-kern-vm-c a.ref")
    name = link.text
    link.click()
    assert browser.css(":target figcaption b a").text == name


def test_pages_turn_by_arrow(browser):
    from selenium.webdriver.common.keys import Keys
    browser.open("06-virtual-memory.html")
    browser.type(Keys.ARROW_RIGHT)
    browser.wait("return location.href.includes('07-')")
    browser.type(Keys.ARROW_LEFT)
    browser.wait("return location.href.includes('06-')")


def test_copy(browser):
    browser.open("05-physical-memory.html")
    browser.chrome.execute_cdp_cmd("Browser.grantPermissions", {
        "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]})
    figure = browser.css("figure.chunk:has(a.ref)")
    browser.script("arguments[0].scrollIntoView({block: 'center'})", figure)
    figure.find_element("css selector", "button.copy").click()
    browser.wait("return [...document.querySelectorAll('.copy')].some(b => b.textContent == 'Copied')")
    text = browser.chrome.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    source = (ROOT / "chapters/05-physical-memory.nw").read_text()
    lines = [l for l in text.split("\n") if l.strip()]
    assert lines and all(l in source for l in lines) and "<<" in text


# -------------------------------------------------------------------- for everybody

def test_no_page_scrolls_sideways(browser, few):
    for width, pages in ((360, few), (820, KINDS)):
        browser.width(width)
        for page in pages:
            browser.open(page)
            wide = browser.script("return document.documentElement.scrollWidth")
            assert wide <= width, f"{page} is {wide} wide on {width}"


@pytest.mark.parametrize("page", KINDS)
def test_axe(browser, page):
    for theme in ("light", "dark"):
        browser.theme(theme)
        browser.open(page)
        faults(browser)


def test_axe_on_a_phone_in_search_and_with_a_definition(browser):
    browser.width(360)
    browser.open("20-extended-page-tables.html")
    search(browser, "vmxon")
    faults(browser)
    browser.css("dialog .close").click()
    browser.open("20-extended-page-tables.html")
    faults(browser)


def faults(browser):
    """What axe calls serious or critical, with the elements."""
    browser.script(AXE.read_text())
    found = browser.chrome.execute_async_script(
        "const done = arguments[0]; axe.run(document, {resultTypes: ['violations'], preload: false}).then(r => done("
        "r.violations.map(v => [v.impact, v.id, v.nodes.slice(0, 3).map(n => n.html + ' ' + n.failureSummary)])))")
    assert [f for f in found if f[0] in ("serious", "critical")] == []


def test_theme_follows_the_system_and_the_button(browser):
    def ground():
        return browser.script("return getComputedStyle(document.body).backgroundColor")
    seen = {}
    for theme in ("light", "dark"):
        browser.theme(theme)
        browser.open("index.html")
        seen[theme] = ground()
    assert seen["light"] != seen["dark"]
    browser.css("button.theme").click()
    assert ground() == seen["light"]
    browser.open("06-virtual-memory.html")          # the next page remembers
    assert ground() == seen["light"]
    browser.script("localStorage.clear()")


# -------------------------------------------------------------------- what a page costs

def test_what_a_page_loads(browser, folder, few, chapters):
    """Files of the book only, and under 400 kB for a chapter; nothing in the
    console (see browser), no scrolling sideways."""
    for page in few:
        browser.open(page)
        loaded, wide = browser.script(
            "return [performance.getEntriesByType('resource').map(e => e.name),"
            " document.documentElement.scrollWidth]")
        assert all(f.startswith(folder.as_uri() + "/") for f in loaded), page
        assert wide <= 1400, f"{page} is {wide} wide"
        if page in chapters:
            # Pictures load when they come near: count all.
            files = {page, *(f[len(folder.as_uri()) + 1:] for f in loaded),
                     *re.findall(r'src="(figures/[^"]+)"', (folder / page).read_text())}
            size = sum((folder / f).stat().st_size for f in files)
            assert size < 400_000, f"{page} weighs {size}"


def test_a_page_is_painted_without_its_script(chrome, folder):
    chrome.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        chrome.get((folder / "06-virtual-memory.html").as_uri())
        assert chrome.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]["height"] > 10_000
    finally:
        chrome.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


