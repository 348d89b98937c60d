"""Points for pytest: what a check is worth, and how results are reported.

A check is a test function with

    @check(points=5, chapter=20, section="28.2.2", help="what to look at")

Its points are won when it passes. What it asserts is its evidence: the message
of the assertion that failed. Fixtures: `lab` is the submission (grade.Lab);
what a fixture asserts is evidence against each check that asks for it, so runs
of a machine stand in fixtures of module scope and are paid for once.
"""
import json
import pathlib
import re
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
EVIDENCE_MAX = 1200     # characters
MANUAL = "June 2016"


def check(points, chapter, help, section=None, name=None):
    """Mark a test as a check. chapter: number or letter; section: of the
    manual, or None where it has none; name: else the function's own."""
    return pytest.mark.check(points=points, chapter=chapter, help=help, section=section, name=name)


class Result:
    def __init__(self, item, hidden):
        mark = item.get_closest_marker("check")
        if mark is None:
            raise pytest.UsageError(f"{item.name} has no @check(points=…)")
        self.points = mark.kwargs["points"]
        self.chapter = mark.kwargs["chapter"]
        self.section = mark.kwargs["section"]
        self.help = mark.kwargs["help"]
        self.name = mark.kwargs["name"] or item.name.removeprefix("test_").replace("_", " ")
        self.hidden = hidden
        self.passed = False
        self.evidence = "not run"

    def advice(self):
        manual = f", manual {self.section} ({MANUAL})" if self.section else ""
        return f"chapter {self.chapter}{manual}: {self.help}"


class Report:
    """The plugin: one for a submission."""

    def __init__(self, lab):
        self.lab = lab
        self.results = {}
        self.trouble = "no check was found"

    @pytest.fixture(scope="session", name="lab")
    def lab_fixture(self):
        return self.lab

    def pytest_configure(self, config):
        config.addinivalue_line("markers", "check: what a test is worth")

    def pytest_collection_modifyitems(self, items):
        only = (self.lab.options.only or "").lower().split()
        for item in items:
            result = Result(item, hidden=item.path.parent != HERE)
            if all(word in result.name.lower() for word in only):
                self.results[item.nodeid] = result
                item.user_properties += [("points", result.points), ("help", result.advice())]
        items[:] = [item for item in items if item.nodeid in self.results]

    def pytest_collectreport(self, report):
        if report.failed:
            self.trouble = str(report.longrepr)[-2000:]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        if self.lab.build_error:
            pytest.fail("it doesn't compile: " + self.lab.build_error, pytrace=False)
        if self.lab.time_is_up():
            pytest.fail("not run: the checks before it took all the time there is", pytrace=False)

    def pytest_runtest_logreport(self, report):
        result = self.results[report.nodeid]
        if report.when == "call" and report.passed:
            result.passed, result.evidence = True, ""
        elif report.failed and report.when != "teardown":
            crash = getattr(report.longrepr, "reprcrash", None)
            said = crash.message if crash else str(report.longrepr)
            if re.match(r"\w*(Error|Exception)\b", said) and not said.startswith("AssertionError"):
                said = "what was found is nothing that the check can read: " + said
            said = said.removeprefix("AssertionError: ").removeprefix("Failed: ")
            # pytest indents the message's further lines, and adds the two sides
            # of a comparison after it.
            said = said.split("\nassert ")[0].replace("\n  ", "\n")
            result.evidence = said[:EVIDENCE_MAX]

    # --- reports

    def sums(self, hidden):
        chosen = [r for r in self.results.values() if r.hidden == hidden]
        return sum(r.points for r in chosen if r.passed), sum(r.points for r in chosen)

    def text(self):
        lab = self.lab
        lines = [f"Lab {lab.number}: {lab.title}"]
        lines += [f"note: {note}" for note in lab.notes]
        last = None
        for hidden in (False, True):
            for r in self.results.values():
                if r.hidden == hidden:
                    won = r.points if r.passed else 0
                    lines.append(f"{'ok  ' if r.passed else 'FAIL'} {won:3}/{r.points:<3} "
                                 f"{'(hidden) ' if hidden else ''}{r.name}")
                    if not r.passed:
                        lines.append(f"     help: {r.advice()}")
                        found = r.evidence.splitlines()[:12] if r.evidence != last else ["as above"]
                        lines += [f"     | {line}" for line in found]
                        last = r.evidence
        won, of = self.sums(False)
        total = f"Points: {won} of {of}"
        won, of = self.sums(True)
        if of:
            total += f", hidden {won} of {of}"
        lines.append(f"{total}, in {time.monotonic() - lab.began:.0f} s")
        return "\n".join(lines) + "\n"

    def gradescope(self):
        """results.json of a Gradescope autograder."""
        tests = [{
            "name": r.name,
            "number": str(n),
            "score": r.points if r.passed else 0,
            "max_score": r.points,
            "status": "passed" if r.passed else "failed",
            "visibility": "hidden" if r.hidden else "visible",
            "output": "" if r.passed else f"{r.advice()}\n{r.evidence}",
        } for n, r in enumerate(self.results.values(), 1)]
        return json.dumps({
            "score": self.sums(False)[0] + self.sums(True)[0],
            "execution_time": round(time.monotonic() - self.lab.began, 1),
            "output": "\n".join(self.lab.notes),
            "tests": tests,
        }, indent=1) + "\n"
