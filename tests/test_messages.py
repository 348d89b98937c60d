"""What the kernel and vmm print when something fails names the chapter to read."""
import re

import pytest

from trees import ROOT, tree

STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*')


def messages(folder):
    """(file, message, number) for each string that sends the reader to a chapter."""
    for path in sorted(p for top in ("vmm", "kern", "user", "lib", "fs") for p in (folder / top).glob("*.c")):
        for match in STRING.finditer(path.read_text()):
            text = "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', match[0]))
            for number in re.findall(r"\bchapter (\d+)", text):
                yield path.name, text, number


@pytest.mark.slow
def test_messages_name_chapters_that_speak_of_them():
    found = list(messages(tree("jos")))
    assert len(found) >= 12
    assert {int(number) for *_, number in found} >= {18, 19, 22, 23, 24}
    for name, text, number in found:
        chapter, = (ROOT / "chapters").glob(f"{number}-*.nw")
        pieces = re.split(r"%[-0-9]*l*[a-z]|\\.|[:;,(]? *\(?chapter \d+\)?", text)
        words = max((piece.strip(" :,") for piece in pieces), key=len)
        prose = re.sub(r'"\s*"', "", chapter.read_text())
        assert len(words) < 6 or words.lower() in prose.lower(), (
            f"{name}: {text!r}: {chapter.name} doesn't speak of {words!r}")
