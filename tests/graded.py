"""Submissions of a lab, made of the right one by changes, and graded."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import pathlib

from trees import ROOT


class Lab:
    """A lab's handout and solution, written to a folder."""

    def __init__(self, number, folder, seed=None):
        self.number, self.folder = number, folder
        for option, name in (([], "handout"), (["--solution"], "solution")):
            subprocess.run([sys.executable, "-B", ROOT / "labs/handout.py", *option, str(number), folder / name,
                            *(["--seed", seed] if seed else [])], check=True, stdout=subprocess.DEVNULL)
        self.files = json.loads((folder / "handout/tools/grade/class.json").read_text())["files"]

    def grade(self, *changes, tree="solution", hidden=True):
        """Grade a tree's files with changes (file, old, new); the points."""
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            sent = pathlib.Path(scratch) / "sent"
            for name in self.files:
                (sent / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self.folder / tree / name, sent / name)
            for name, old, new in changes:
                text = (sent / name).read_text()
                assert text.count(old) == 1, f"{name}: {old!r} stands there {text.count(old)} times"
                (sent / name).write_text(text.replace(old, new))
            words = ["--hidden", ROOT / "labs/hidden"] if hidden else []
            began = time.monotonic()
            done = subprocess.run([sys.executable, "-B", self.folder / "handout/tools/grade/grade.py",
                                   "--json", sent.parent / "results", *words, sent],
                                  env={**os.environ, "GRADE_CACHE": str(self.folder / "cache")},
                                  capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
            return Points(json.loads((sent.parent / "results").read_text())["tests"], time.monotonic() - began)


class Points:
    def __init__(self, tests, seconds):
        self.tests = {test["name"]: test for test in tests}
        self.seconds = seconds
        self.public, self.public_of, self.hidden, self.hidden_of = (
            sum(test[key] for test in tests if test["visibility"] == visibility)
            for visibility in ("visible", "hidden") for key in ("score", "max_score"))

    def lost(self):
        return {name: test["output"] for name, test in self.tests.items() if test["status"] == "failed"}
