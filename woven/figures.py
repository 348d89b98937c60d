#!/usr/bin/env python3
"""Make the book's figures: figures.py FIGURES OUT

NAME.dot goes through graphviz, NAME.json (the bit fields of a register or an
entry) is drawn here, NAME.svg is copied. Only what was made of something else is
made again. A fault names figures/FILE and makes the run fail.

Bit fields: {"title": "Page table entry", "bits": 64,
             "fields": [{"name": "P", "from": 0, "to": 0}, …]}
`from` and `to` are the lowest and the highest bit; bits that no field names are
drawn as reserved.
"""

import html
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

from book import cached

FONT = "system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif"
WIDTH, HEIGHT, TOP, GAP = 700, 34, 16, 16       # of a row, in pixels


class FigureError(Exception):
    pass


def fields_of(data):
    """All bits of the register from high to low: (name or None, from, to)."""
    if not isinstance(data, dict) or not isinstance(data.get("fields"), list):
        raise FigureError('want {"title": …, "bits": …, "fields": […]}')
    bits, next_bit, fields = data.get("bits"), 0, []
    if type(bits) is not int or not 1 <= bits <= 128:
        raise FigureError('"bits" is a number from 1 to 128')
    for field in data["fields"]:
        if not isinstance(field, dict) or not all(k in field for k in ("name", "from", "to")):
            raise FigureError(f'a field needs "name", "from" and "to": {field}')
        if not type(field["from"]) is type(field["to"]) is int:
            raise FigureError(f'field "{field["name"]}": "from" and "to" are numbers')
    for field in sorted(data["fields"], key=lambda f: f["from"]):
        name, low, high = field["name"], field["from"], field["to"]
        if not 0 <= low <= high < bits:
            raise FigureError(f'field "{name}": bits {low} to {high} of {bits}')
        if low < next_bit:
            raise FigureError(f'field "{name}" begins inside another, at bit {low}')
        if low > next_bit:
            fields.append((None, next_bit, low - 1))
        fields.append((str(name), low, high))
        next_bit = high + 1
    if next_bit < bits:
        fields.append((None, next_bit, bits - 1))
    return fields[::-1]


def text_width(text, size):
    return sum(.36 if c in "iljtf.,:;|!'() " else .92 if c in "mwMW@" else
               .72 if c.isupper() else .6 for c in text) * size


def natural_width(name, low, high):
    label = f"{high}" if high == low else f"{high}  {low}"
    bits = high - low + 1
    return max(text_width(name or "", 12) + 12, text_width(label, 10) + 8,
               min(bits * 9, 150) if name else min(bits * 4, 40), 20)


def rows_of(fields):
    """Cut the fields into as few rows as fit, about equally full."""
    widths = [natural_width(*f) for f in fields]
    count = -(-int(sum(widths)) // WIDTH)
    while True:
        rows, row, used, share = [], [], 0, sum(widths) / count
        for field, width in zip(fields, widths):
            full = used + width > WIDTH or used + width / 2 > share and len(rows) + 1 < count
            if row and full:
                rows.append(row)
                row, used = [], 0
            row.append((field, width))
            used += width
        rows.append(row)
        if len(rows) <= count:
            return rows
        count = len(rows)


def bit_field(data):
    """The SVG of one bit-field description."""
    rows = rows_of(fields_of(data))
    full = max(sum(w for _, w in row) for row in rows)
    full = min(max(full, 320), WIDTH)
    title = str(data.get("title", ""))
    head = 22 if title else 0
    height = head + len(rows) * (TOP + HEIGHT + GAP) - GAP + 2
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{full + 2:.0f}" height="{height}" '
           f'viewBox="0 0 {full + 2:.0f} {height}" font-family="{FONT}">']
    if title:
        out.append(f"<title>{html.escape(title)}</title>")
        out.append(f'<text x="1" y="14" font-size="13" font-weight="bold">{html.escape(title)}</text>')
    for r, row in enumerate(rows):
        y = head + r * (TOP + HEIGHT + GAP)
        stretch = full / sum(w for _, w in row)
        x = 1
        for (name, low, high), width in row:
            width *= stretch
            middle = x + width / 2
            fill = "#fff" if name else "#e4e4e4"
            out.append(f'<rect x="{x:.1f}" y="{y + TOP}" width="{width:.1f}" height="{HEIGHT}" '
                       f'fill="{fill}" stroke="#222"/>')
            if high == low:
                out.append(f'<text x="{middle:.1f}" y="{y + TOP - 4}" font-size="10" '
                           f'text-anchor="middle">{low}</text>')
            else:
                out.append(f'<text x="{x + 2:.1f}" y="{y + TOP - 4}" font-size="10">{high}</text>')
                out.append(f'<text x="{x + width - 2:.1f}" y="{y + TOP - 4}" font-size="10" '
                           f'text-anchor="end">{low}</text>')
            if name:
                size = min(12, 12 * (width - 6) / max(text_width(name, 12), 1))
                out.append(f'<text x="{middle:.1f}" y="{y + TOP + HEIGHT / 2 + 4:.0f}" '
                           f'font-size="{size:.1f}" text-anchor="middle">{html.escape(name)}</text>')
            x += width
    return "\n".join(out) + "\n</svg>\n"


def graph(path):
    """The SVG of a .dot file, without the DOCTYPE, which EPUB readers refuse."""
    try:
        run = subprocess.run(["dot", "-Tsvg", path], capture_output=True, text=True)
    except FileNotFoundError:
        raise FigureError("dot not found: install graphviz (make deps)") from None
    if run.returncode or not run.stdout:
        raise FigureError(run.stderr.strip() or "graphviz draws nothing")
    return slim(run.stdout)


def slim(svg):
    """Graphviz's SVG without what isn't drawn: half of its weight.

    EPUB readers refuse its DOCTYPE, and each text names its font again.
    """
    svg = re.sub(r"<\?xml[^>]*>\s*|<!DOCTYPE[^>]*>\s*|<!--.*?-->\s*|<title>.*?</title>\s*", "", svg,
                 flags=re.S)
    svg = re.sub(r'<g id="(?:node|edge|clust|graph)[^"]*"(?: class="\w+")?', "<g", svg)
    fonts = re.findall(r' font-family="[^"]*" font-size="[^"]*"', svg)
    if fonts:
        common = max(sorted(set(fonts)), key=fonts.count)
        svg = svg.replace(common, "").replace("<svg ", "<svg" + common + " ", 1)
    return re.sub(r' (?:points|d|x|y|cx|cy|rx|ry)="[^"]*"',
                  lambda a: re.sub(r"(\.\d)\d+", r"\1", a[0]), svg)


def make(source, text, target):
    kind = os.path.splitext(source)[1]
    try:
        svg = text.decode()
        if kind == ".dot":
            svg = graph(source)
        elif kind == ".json":
            svg = bit_field(json.loads(svg))
        else:
            ElementTree.fromstring(text)
    except UnicodeDecodeError as error:
        raise FigureError(f"line {text.count(10, 0, error.start) + 1}: not UTF-8") from None
    except json.JSONDecodeError as error:
        raise FigureError(f"line {error.lineno}: {error.msg}") from None
    except ElementTree.ParseError as error:
        raise FigureError(f"line {error.position[0]}: {error}") from None
    with open(target, "w") as file:
        file.write(svg)


def make_all(folder, out):
    """Make the figures whose sources changed; return the faults."""
    os.makedirs(out, exist_ok=True)
    faults, made, todo = [], {}, []
    with open(__file__) as file:
        this = file.read()
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        stem, kind = os.path.splitext(name)
        if kind not in (".dot", ".json", ".svg"):
            continue
        source, target = os.path.join(folder, name), os.path.join(out, stem + ".svg")
        if stem in made:
            faults.append(f"figures/{name}: figures/{made[stem]} makes the same figure")
            continue
        made[stem] = name
        todo.append((name, source, target))

    def one(job):
        name, source, target = job
        try:
            with open(source, "rb") as file:
                text = file.read()
        except OSError as error:
            return f"figures/{name}: {error.strerror}"
        try:
            cached(target, [name, text, this], lambda: make(source, text, target))
        except FigureError as error:
            if os.path.exists(target):
                os.remove(target)
            return f"figures/{name}: {error}"
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        faults += filter(None, pool.map(one, todo))
    for name in os.listdir(out):
        if name.removesuffix(".key").removesuffix(".svg") not in made:
            os.remove(os.path.join(out, name))
    return faults


def main(folder, out):
    faults = make_all(folder, out)
    for fault in faults:
        print(f"weave: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
