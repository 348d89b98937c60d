"""The checked transcripts of the chapters.

    for block in transcripts("chapters"):
        block.file (a Path), block.line, block.attributes["tree"], block.lines

A transcript is a fenced block with the class transcript; its attributes name
the run that it shows, and how its lines are compared is said with the tests
that do it.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

DEFINITION = re.compile(r"^<<.*>>=[ \t]*$")
FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*(.*)$")
ATTRIBUTE = re.compile(r'\.(?P<cls>[\w-]+)|#(?P<id>\S+)|'
                       r'(?P<key>[\w-]+)=(?:"(?P<quoted>(?:\\.|[^"\\])*)"|(?P<bare>[^\s}]+))')


@dataclass
class Transcript:
    file: Path                  # chapters/08-traps.nw, as it was found
    line: int                   # of the opening fence
    attributes: dict = field(default_factory=dict)
    lines: list = field(default_factory=list)

    @property
    def where(self):
        return f"chapters/{self.file.name}:{self.line}"


def attributes(text):
    """The classes and the key-value pairs of `{.class #id key="value"}`."""
    classes, pairs = [], {}
    if not text.startswith("{"):
        return text.split()[:1], pairs
    for found in ATTRIBUTE.finditer(text):
        if found["cls"]:
            classes.append(found["cls"])
        elif found["key"]:
            value = found["bare"] if found["quoted"] is None else found["quoted"]
            pairs[found["key"]] = re.sub(r"\\(.)", r"\1", value)
    return classes, pairs


def unescape(line):
    """Prose writes @<< and @>> for the signs of a chunk."""
    return line.replace("@<<", "<<").replace("@>>", ">>")


def transcripts(chapters_dir):
    """Every transcript block of the chapters, in reading order."""
    for path in sorted(Path(chapters_dir).glob("*.nw")):
        yield from _of_chapter(path)


def _of_chapter(path):
    code, fence, block = False, None, None
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            if code:
                # A bare @ or another definition ends a chunk.
                code = bool(DEFINITION.match(line)) or not re.match(r"^@([ \t]|$)", line)
                continue
            mark = FENCE.match(line)
            if fence:
                if mark and mark[1].startswith(fence) and not mark[2].strip():
                    if block:
                        yield block
                    fence = block = None
                elif block:
                    block.lines.append(unescape(line))
            elif mark:
                fence = mark[1]
                classes, pairs = attributes(mark[2].strip())
                if "transcript" in classes:
                    block = Transcript(path, number, pairs)
            elif DEFINITION.match(line):
                code = True
