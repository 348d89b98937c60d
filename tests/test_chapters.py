"""Each prefix of the book is an operating system: it builds without a
warning, boots, and does what its chapters' transcripts say."""
import re
import time

import pexpect
import pytest

from emulator import SPEED, Machine
from trees import NUMBERS, ROOT, tree
from transcripts import transcripts

# test_guide.py plays those of changed trees, and of handouts.
TRANSCRIPTS = [t for t in transcripts(ROOT / "chapters")
               if "old" not in t.attributes and not t.attributes["tree"].startswith("lab")]
PROMPTS = ("K> ", "$ ", "vm$ ", "vm> ")
LEAVE = "^]"                    # in a transcript: the key Ctrl-], no Enter


def pattern(line):
    """A transcript's line as a regular expression; an ellipsis in it stands
    for anything on that line."""
    for prompt in PROMPTS:
        if line.startswith(prompt + LEAVE):
            line = line.replace(LEAVE, "", 1)
    return ".*".join(re.escape(part) for part in line.split("…"))


def typed(line):
    """If the line is a prompt with something typed at it, that; else None."""
    for prompt in PROMPTS:
        if line.startswith(prompt) and len(line) > len(prompt):
            return prompt, line[len(prompt):]
    return None


def missing_line(lines, output):
    """The first line of a transcript that the output doesn't have where it
    should, or None.  Lines follow each other; a line that is only an
    ellipsis skips any number, and the beginning is free too."""
    blocks = [[]]
    for line in lines:
        if line.strip() == "…":
            blocks.append([])
        else:
            blocks[-1].append(line)
    at = 0
    for block in filter(None, blocks):
        patterns = [re.compile(pattern(line.rstrip())) for line in block]
        best = 0
        for start in range(at, len(output)):
            n = 0
            while (n < len(block) and start + n < len(output)
                   and patterns[n].fullmatch(output[start + n])):
                n += 1
            best = max(best, n)
            if n == len(block):
                at = start + n
                break
        else:
            return block[best]
    return None


def play(transcript, machine, patience=60):
    """Type what the transcript types; return all output as soon as all of
    the transcript is in it, or when patience (seconds) has run out."""
    for line in transcript.lines:
        command = typed(line)
        if command:
            machine.expect(re.escape(command[0]))
            key = command[1].startswith(LEAVE)
            machine.send("\x1d" if key else command[1] + "\r")
    deadline = time.monotonic() + patience * SPEED
    while True:
        output = [line.rstrip() for line in machine.output().split("\n")]
        if (missing_line(transcript.lines, output) is None
                or time.monotonic() > deadline):
            return output
        machine.child.expect([r"\n", pexpect.TIMEOUT, pexpect.EOF], timeout=1)


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
def test_prefix_builds_without_a_warning(number):
    tree("upto-" + number)


@pytest.mark.slow
@pytest.mark.parametrize(
    "transcript", TRANSCRIPTS,
    ids=[f"{t.file.name}:{t.line}" for t in TRANSCRIPTS])
def test_transcript(transcript):
    a = transcript.attributes
    variables = dict(v.split("=", 1) for v in a.get("vars", "").split())
    with Machine(tree(a["tree"]), a["run"], cpus=a.get("cpus", 1),
                 mem=a.get("mem"), timeout=60, **variables) as machine:
        output = play(transcript, machine)
    line = missing_line(transcript.lines, output)
    assert line is None, (
        f"{transcript.file}:{transcript.line}: the run doesn't show, where "
        f"the transcript has it: {line!r}\n" + "\n".join(output[-40:]))


def test_every_chapter_has_a_transcript():
    shown = {t.file.name[:2] for t in TRANSCRIPTS}
    assert not set(NUMBERS) - shown


@pytest.mark.parametrize("lines, output, missing", [
    (["a", "b"], ["x", "a", "b", "y"], None),
    (["a", "b"], ["a", "x", "b"], "b"),
    (["a", "…", "b"], ["a", "x", "b"], None),
    (["a…c"], ["abbc"], None),
    (["a…c"], ["abb"], "a…c"),
    (["b", "…", "a"], ["a", "b"], "a"),
    (["vm$ ^]bye"], ["vm$ bye"], None),
])
def test_missing_line(lines, output, missing):
    assert missing_line(lines, output) == missing
