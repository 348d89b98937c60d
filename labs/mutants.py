#!/usr/bin/env python3
"""mutants.py [options]: are the graders worth something?

Each labs/mutants-labN.yaml is a list of wrong solutions: the right one of lab
N with one mistake that a student could make. Each is graded, and so is the
right one, several times. A mutant that keeps all its points, or a right
solution that loses one, is a mistake of the grader.

  --lab N       only this lab's (several: 1,4)
  --only TEXT   only the mutant of that name, or those whose names have TEXT in
                them (no right solution)
  --jobs N      as many at a time (2)
  --times N     as often the right solution (3)
  --quick       end a grading at the first lost point; the points are then not
                what a student would get
  --list        say which there are, and run nothing

A mutant is a mapping:
  name  words with hyphens, unique in its lab
  what  the mistake, in a phrase
  file  which file of the solution has it
  old   what stands there: exact text, or else a regular expression (^ and $
        are those of a line); it has to fit in exactly one place
  new   what stands there instead (with \\1 where old is an expression)
Where one mistake needs several places, `changes` is a list of file, old and
new. `hidden: true` says that only the instructor's checks can find it.

The exit status is 0 if all is as it should be, 1 if not, 2 if it can't begin.
"""
import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import yaml

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
GRADE_SECONDS = 600         # a grader that takes longer is broken itself
KEYS = {"name", "what", "file", "old", "new", "changes", "hidden"}


class Mistake(Exception):
    """Something is wrong with the list, not with a solution."""


# --- the lists

def lists():
    """The files with mutants, by the number of their lab."""
    found = {int(re.search(r"\d+", path.stem)[0]): path for path in HERE.glob("mutants-lab*.yaml")}
    return dict(sorted(found.items()))


def read(path):
    """The mutants of one list, each with `changes`; Mistake if it's no list."""
    mutants = yaml.safe_load(path.read_text()) or []
    names = set()
    for mutant in mutants:
        name = mutant.get("name", "a mutant without a name") if isinstance(mutant, dict) else str(mutant)
        if not isinstance(mutant, dict) or not mutant.keys() <= KEYS or not {"name", "what"} <= mutant.keys():
            raise Mistake(f"{path.name}: {name}: a mutant has name, what, file, old and new")
        if name in names:
            raise Mistake(f"{path.name}: {name}: there are two of that name")
        names.add(name)
        if "changes" not in mutant:
            mutant["changes"] = [mutant]
        for change in mutant["changes"]:
            if not all(isinstance(change.get(key), str) for key in ("file", "old", "new")):
                raise Mistake(f"{path.name}: {name}: it needs file, old and new, three texts")
    return mutants


def change_text(text, old, new, whose):
    """text with old, which is there once, replaced; Mistake if it isn't."""
    count = text.count(old)
    if count == 1:
        return text.replace(old, new)
    if count == 0:
        try:
            changed, count = re.subn(old, new, text, flags=re.MULTILINE)
        except re.error:
            count = 0
        if count == 1 and changed != text:
            return changed
    raise Mistake(f"{whose}: `old` fits in {count} places; it must fit in exactly one:\n{old}")


def mutate(mutant, solution):
    """The changed files of a mutant: {name: text}."""
    texts = {}
    for change in mutant["changes"]:
        name, whose = change["file"], f"{mutant['name']}: {change['file']}"
        if name not in texts:
            if not (solution / name).is_file():
                raise Mistake(f"{whose}: the solution has no such file")
            texts[name] = (solution / name).read_text()
        before = texts[name]
        texts[name] = change_text(before, change["old"], change["new"], whose)
        if texts[name] == before:
            raise Mistake(f"{whose}: old and new are the same")
    return texts


# --- the trees

def write_trees(lab, folder):
    """The handout and the solution of a lab."""
    for option, name in (([], "handout"), (["--solution"], "solution")):
        done = subprocess.run([sys.executable, HERE / "handout.py", *option, str(lab), folder / name],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise Mistake(f"lab {lab}: its {name} can't be written: {done.stdout.strip()[-500:]}")
    return folder / "handout", folder / "solution"


def handed_in(handout):
    return json.loads((handout / "tools/grade/class.json").read_text())["files"]


# --- grading

@dataclasses.dataclass
class Outcome:
    lab: int
    name: str
    what: str
    mutant: dict = None             # None: the right solution
    public: tuple = (0, 0)          # points won, of how many
    hidden: tuple = (0, 0)
    lost: str = ""                  # the first check that failed
    evidence: str = ""
    seconds: float = 0
    trouble: str = ""               # why it couldn't be graded

    def wrong(self):
        """What is wrong about this outcome, or an empty text."""
        if self.trouble:
            return self.trouble
        if self.mutant is None:
            return "" if not self.lost else f"the right solution lost points: {self.lost}: {self.evidence}"
        won, of = self.hidden if self.mutant.get("hidden") else self.public
        return "" if won < of else "it kept all its points"


running = set()         # graders


def end(child):
    """End a grader, which then ends its machines."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def grade(outcome, texts, trees, folder, options):
    """Grade the solution with texts in place of some of its files."""
    handout, solution = trees
    submission = folder / "submission"
    for name in handed_in(handout):
        if (solution / name).is_file():
            (submission / name).parent.mkdir(parents=True, exist_ok=True)
            (submission / name).write_text(texts.get(name) or (solution / name).read_text())
    unknown = texts.keys() - set(handed_in(handout))
    if unknown:
        outcome.trouble = f"{', '.join(unknown)}: not handed in, so no mistake there counts"
        return outcome
    results = folder / "results.json"
    command = [sys.executable, handout / "tools/grade/grade.py", "--json", results]
    if (HERE / f"hidden/lab{outcome.lab}.py").is_file():
        command += ["--hidden", HERE / "hidden"]
    if options.quick and outcome.mutant is not None and not outcome.mutant.get("hidden"):
        command += ["--stop"]
    start = time.monotonic()
    with open(folder / "output", "w") as out:
        child = subprocess.Popen([*map(str, command), str(submission)], stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=subprocess.STDOUT, start_new_session=True, cwd=folder,
                                 env={**os.environ, "GRADE_CACHE": str(trees[0].parent / "cache")})
        running.add(child)
        try:
            status = child.wait(GRADE_SECONDS)
        except subprocess.TimeoutExpired:
            status = f"it took more than {GRADE_SECONDS} s"
        finally:
            end(child)
            running.discard(child)
    outcome.seconds = time.monotonic() - start
    if status != 0 or not results.exists():
        outcome.trouble = f"not graded ({status}): " + (folder / "output").read_text()[-300:].strip()
        return outcome
    tests = json.loads(results.read_text())["tests"]
    for visibility in ("visible", "hidden"):
        some = [test for test in tests if test["visibility"] == visibility]
        points = sum(test["score"] for test in some), sum(test["max_score"] for test in some)
        if visibility == "visible":
            outcome.public = points
        else:
            outcome.hidden = points
    for test in tests:
        if test["score"] < test["max_score"]:
            outcome.lost = test["name"]
            if "it doesn't compile: " in test["output"]:
                outcome.trouble = "not a mistake that a grader finds: " + test["output"].split("\n", 1)[1][:200]
            outcome.evidence = " ".join(test["output"].splitlines()[1:])[:300]
            break
    return outcome


HEAD = f"{'lab':3} {'mutant':34} {'public':>8} {'hidden':>7} {'s':>4}  {'mistake':60}  first lost check"


def line(outcome):
    public, hidden = (f"{won}/{of}" if of else "-" for won, of in (outcome.public, outcome.hidden))
    sign = "!!" if outcome.wrong() else "  "
    return (f"{outcome.lab:3} {outcome.name:34} {public:>8} {hidden:>7} {outcome.seconds:4.0f} {sign}"
            f"{outcome.what[:60]:60}  {outcome.lost}")


def run(labs, options):
    """Grade all that was chosen; the outcomes."""
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="jos-mutants-") as scratch:
        scratch = pathlib.Path(scratch)
        tasks = []
        for lab, mutants in labs.items():
            chosen = ([m for m in mutants if m["name"] == options.only]
                      or [m for m in mutants if not options.only or options.only in m["name"]])
            if options.only and not chosen:
                continue
            trees = write_trees(lab, scratch / f"lab{lab}")
            for mutant in chosen:
                tasks.append((Outcome(lab, mutant["name"], mutant["what"], mutant), mutate(mutant, trees[1]), trees))
            for n in range(0 if options.only else options.times):
                tasks.append((Outcome(lab, f"(right, {n + 1})", "none"), {}, trees))
        if not tasks:
            raise Mistake(f"no mutant has {options.only!r} in its name")
        print(HEAD, flush=True)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            futures = []
            for n, (outcome, texts, trees) in enumerate(tasks):
                folder = scratch / f"run{n}"
                folder.mkdir()
                futures.append(pool.submit(grade, outcome, texts, trees, folder, options))
            try:
                for future in concurrent.futures.as_completed(futures):
                    outcomes.append(future.result())
                    print(line(outcomes[-1]), flush=True)
            except BaseException:
                for future in futures:
                    future.cancel()
                for child in list(running):
                    end(child)
                raise
    return outcomes


def summary(outcomes):
    """Print what is wrong; the exit status."""
    wrong = [(outcome, outcome.wrong()) for outcome in outcomes if outcome.wrong()]
    mutants = [outcome for outcome in outcomes if outcome.mutant is not None]
    caught = sum(not outcome.wrong() for outcome in mutants)
    right = [outcome for outcome in outcomes if outcome.mutant is None]
    print(f"{caught} of {len(mutants)} mutants lost points; "
          f"{sum(not outcome.wrong() for outcome in right)} of {len(right)} right solutions lost none")
    for outcome, why in wrong:
        print(f"lab {outcome.lab}: {outcome.name}: {why}")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lab")
    parser.add_argument("--only")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.jobs < 1 or options.times < 0:
            raise Mistake("JOBS is 1 or more, TIMES 0 or more")
        there = lists()
        chosen = options.lab.split(",") if options.lab else [str(lab) for lab in there]
        unknown = [lab for lab in chosen if lab not in map(str, there)]
        if unknown:
            raise Mistake(f"LAB={options.lab}: there are mutants of the labs {', '.join(map(str, there))}")
        labs = {lab: read(path) for lab, path in there.items() if str(lab) in chosen}
        if options.list:
            for lab, mutants in labs.items():
                for mutant in mutants:
                    print(f"{lab:3} {mutant['name']:34} {mutant['what']}")
            print(f"{sum(map(len, labs.values()))} mutants")
            return 0
        return summary(run(labs, options))
    except Mistake as why:
        print(f"mutants: {why}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
