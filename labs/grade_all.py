#!/usr/bin/env python3
"""grade_all.py: grade a class.

  all DIR         every submission in DIR, side by side, into one CSV
  one SUBMISSION  a single one; any engine can run it: GNU parallel, a CI
                  matrix, a Slurm array
  collect OUT     the results in OUT as CSV

A submission is a folder or an archive (.tar.gz, .tar, .zip) by a student's
name. Its results are OUT/STUDENT.txt, to be read, and OUT/STUDENT.json, in
Gradescope's format with what `collect` needs under "extra_data". One that was
graded before, by the same grader and with the same content, isn't graded again.

The grader is a handout as `make handout` wrote it: its tools/grade. `all` writes
one for itself (--lab, --seed) to OUT/.grader.

The exit status of `one` is 0 when it was graded, whatever its points, and 1 when
it couldn't be: then OUT/STUDENT.txt says why. `all`: 0 when every submission has
a line in the CSV. 2: nothing was done, and a line says what to do.
"""
import argparse
import ctypes
import csv
import hashlib
import importlib.util
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import intake  # noqa: E402

LIMIT = 900                     # seconds for a submission; they share the processors
SAID_MAX = 64 << 10             # bytes kept of what a grader says
REMARK_MAX = 300                # characters of a remark in the CSV


class Stopped(BaseException):
    """Ctrl-C, or another polite wish that we end."""


def die(why):
    print(f"grade-all: {why}", file=sys.stderr)
    sys.exit(2)


def on_signals(handler):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def stop(number, frame):
    on_signals(signal.SIG_IGN)
    raise Stopped


# --- processes, and all that they have started

def adopt_orphans():
    """What our children leave behind becomes our child, where there is Linux."""
    try:
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)         # PR_SET_CHILD_SUBREAPER
    except (OSError, AttributeError):
        pass


def end_with_parent():
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG
    except (OSError, AttributeError):
        pass


def parents():
    """The parent of each process that isn't a zombie: {pid: its parent's}."""
    found = {}
    if os.path.isdir("/proc/self"):
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    state, parent = file.read().rsplit(b")", 1)[1].split()[:2]
            except OSError:
                continue
            if state != b"Z":
                found[int(name)] = int(parent)
    else:
        with subprocess.Popen(["ps", "-A", "-o", "pid=,ppid=,stat="], stdout=subprocess.PIPE, text=True) as ps:
            for line in ps.stdout:
                pid, parent, state = line.split(None, 2)
                if int(pid) != ps.pid and not state.startswith("Z"):
                    found[int(pid)] = int(parent)
    return found


def descendants():
    """The processes that this one has started, and those that they have."""
    parent_of = parents()
    found = {os.getpid()}
    while more := {pid for pid, parent in parent_of.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def end_descendants():
    """Until none is left; one may start another while it is being ended."""
    for _ in range(100):
        left = descendants()
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.02)


# --- one submission

class Grader:
    """A handout's tools/grade, and the hidden checks that go with it."""

    def __init__(self, folder, hidden):
        folder = pathlib.Path(folder).absolute()
        self.folder = folder / "tools/grade" if (folder / "tools/grade").is_dir() else folder
        self.hidden = pathlib.Path(hidden).absolute() if hidden else None
        for name in ("grade.py", "class.json", "handout.tar.gz"):
            if not (self.folder / name).is_file():
                die(f"{folder}: no grader in it ({name} is missing); give --grader a handout "
                    "as `make handout LAB=N` writes it")
        if self.hidden and not self.hidden.is_dir():
            die(f"{hidden}: no such folder of hidden checks")
        about = json.loads((self.folder / "class.json").read_text())
        self.lab, self.files = about["lab"], about["files"]
        with tarfile.open(self.folder / "handout.tar.gz") as archive:
            self.others = [name.removeprefix("./") for name in archive.getnames()]
        self.python = find_python()

    def digest(self):
        """Of all that decides about points."""
        digest = hashlib.sha256()
        for top in filter(None, (self.folder, self.hidden)):
            for path in sorted(top.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    digest.update(f"{path.relative_to(top)}\0".encode() + path.read_bytes())
        return digest.hexdigest()


def find_python():
    """A python3 that has what graders need; the one in front may lack it."""
    needed = ["pytest", "pytest_timeout", "pexpect"]
    if all(importlib.util.find_spec(name) for name in needed):
        return sys.executable
    for python in ("/usr/bin/python3", "python3"):
        if shutil.which(python) and subprocess.run([python, "-c", f"import {', '.join(needed)}"],
                                                   capture_output=True).returncode == 0:
            return python
    die("no python3 here has pytest, pytest-timeout and pexpect; `make deps` installs them")


def in_sandbox(command, scratch):
    """The command with no network, in a file system that can only be read."""
    writable = [str(scratch)] + ([os.environ["GRADE_CACHE"]] if os.environ.get("GRADE_CACHE") else [])
    return ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
            *(word for path in writable for word in ("--bind", path, path)),
            "--unshare-net", "--unshare-pid", "--unshare-ipc", "--die-with-parent", *command]


def check_sandbox():
    if not shutil.which("bwrap"):
        die("the sandbox needs bwrap (package bubblewrap); or grade without --sandbox")
    done = subprocess.run(in_sandbox(["true"], tempfile.gettempdir()), capture_output=True, text=True)
    if done.returncode:
        die(f"the sandbox doesn't work here ({last_line(done.stderr)}); or grade without --sandbox")


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return intake.shown(lines[-1]) if lines else "it said nothing"


def run_grader(grader, arguments, scratch, sandbox, limit):
    """Run grade.py; its exit status (None: it took too long) and what it said."""
    # make's variables (LAB=, V=, a jobserver) are for the book, not for the lab.
    env = {key: value for key, value in os.environ.items()
           if key not in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL")}
    (scratch / "tmp").mkdir(exist_ok=True)
    env["TMPDIR"] = str(scratch / "tmp")
    command = [grader.python, str(grader.folder / "grade.py"), *map(str, arguments)]
    if sandbox:
        command = in_sandbox(command, scratch)
    said = scratch / "said"
    with open(said, "wb") as out:
        child = subprocess.Popen(command, cwd=scratch, env=env, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=end_with_parent)
        try:
            end = time.monotonic() + limit
            while child.poll() is None and time.monotonic() < end and said.stat().st_size < 64 << 20:
                time.sleep(0.05)
            status = child.returncode
        finally:
            end_descendants()
            child.wait()
    with open(said, "rb") as out:
        out.seek(-min(SAID_MAX, said.stat().st_size), os.SEEK_END)
        return status, out.read().decode(errors="replace")


def read_results(path):
    """results.json, if that is what it is."""
    results = json.loads(path.read_text())
    for test in results["tests"]:
        test["name"], test["score"], test["max_score"]  # or KeyError
    return results


def sums(tests, hidden):
    chosen = [test for test in tests if (test.get("visibility") == "hidden") == hidden]
    return sum(test["score"] for test in chosen), sum(test["max_score"] for test in chosen)


def grade(path, grader, options, scratch, before):
    """Grade one submission: its results, with extra_data, and a text.

    None when BEFORE, its results of another time, are still what they'd be."""
    began = time.monotonic()
    extra = {"student": intake.student(path), "lab": grader.lab, "graded": False, "remarks": [], "digest": None}

    def not_graded(why, text=""):
        extra["remarks"].append(why)
        return ({"score": 0, "output": why, "tests": [], "extra_data": extra},
                f"Lab {grader.lab}, {extra['student']}\n{why}\n{text}")

    try:
        taken = intake.take(path, grader.files, scratch / "submission", grader.others)
    except intake.Refused as why:
        return not_graded(f"refused: {why}")
    extra["remarks"] += taken.remarks
    extra["digest"] = hashlib.sha256((taken.digest + grader.digest()).encode()).hexdigest()
    if before and not options.force and before["graded"] and before["digest"] == extra["digest"]:
        return None
    results = scratch / "results.json"
    arguments = ["--json", results] + (["--hidden", grader.hidden] if grader.hidden else [])
    status, said = run_grader(grader, [*arguments, scratch / "submission"], scratch,
                              options.sandbox, options.limit)
    said = said.replace(str(scratch), "…")
    extra["seconds"] = round(time.monotonic() - began, 1)
    if status is None:
        return not_graded(f"not graded: it was ended after {extra['seconds']:.0f} s", said)
    if status != 0:
        return not_graded(f"not graded: the grader ended with status {status}: {last_line(said)}", said)
    try:
        data = read_results(results)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return not_graded(f"not graded: the grader wrote no results ({type(error).__name__})", said)
    extra["graded"] = True
    extra["remarks"] += [line for line in data.get("output", "").splitlines() if line]
    extra["points"], extra["of"] = sums(data["tests"], hidden=False)
    extra["hidden"], extra["hidden_of"] = sums(data["tests"], hidden=True)
    data["extra_data"] = extra
    head = "".join(f"{remark}\n" for remark in taken.remarks)
    return data, f"{extra['student']}\n{head}{said}"


def result_name(student):
    """The name of a result's files, without their ends: a file name, not too
    long, and not one of ours."""
    name = student.replace("/", "_").replace("\0", "_")
    name = "_" + name if name.startswith(".") else name
    encoded = name.encode("utf-8", "replace")
    if len(encoded) > 200:
        name = encoded[:180].decode("utf-8", "ignore") + hashlib.sha256(encoded).hexdigest()[:16]
    return name


def write(path, text):
    """All of it, or nothing."""
    part = path.with_name(f".{path.name[:40]}.{os.getpid()}")
    part.write_text(text, encoding="utf-8", errors="replace")
    part.replace(path)


def read_extra(path):
    """What is kept of an earlier result; None if there's none."""
    try:
        extra = json.loads(path.read_text(encoding="utf-8"))["extra_data"]
        return extra if "graded" in extra and "student" in extra else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def summary(extra):
    if not extra["graded"]:
        return extra["remarks"][-1]
    hidden = f", hidden {extra['hidden']:g} of {extra['hidden_of']:g}" if extra["hidden_of"] else ""
    return f"{extra['points']:g} of {extra['of']:g}{hidden}, {extra['seconds']:.0f} s"


def one(options):
    out = pathlib.Path(options.out)
    grader = Grader(options.grader or out / ".grader", options.hidden)
    if options.sandbox:
        check_sandbox()
    path = pathlib.Path(options.submission)
    if not os.path.lexists(path):
        die(f"{path}: no such file or folder")
    out.mkdir(parents=True, exist_ok=True)
    student = intake.student(path)
    base = out / result_name(student)
    before = read_extra(pathlib.Path(f"{base}.json"))
    adopt_orphans()
    on_signals(stop)
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="jos-class-"))
    try:
        done = grade(path, grader, options, scratch, before)
        if done is not None:
            results, text = done
            write(pathlib.Path(f"{base}.txt"), text)
            write(pathlib.Path(f"{base}.json"), json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    except Stopped:
        return 130
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    extra = before if done is None else results["extra_data"]
    print(f"{intake.shown(student)}: {summary(extra)}{' (as before)' if done is None else ''}")
    return 0 if extra["graded"] else 1


# --- the table

def cell(text):
    """Text for a spreadsheet, which must not take it for a formula."""
    text = " ".join(text.split())
    text = text[:REMARK_MAX - 1] + "…" if len(text) > REMARK_MAX else text
    return "'" + text if text.startswith(("=", "+", "-", "@")) else text


def table(results):
    """CSV of results: their extra_data and tests, sorted by student."""
    checks = []
    for result in sorted(results, key=lambda result: -len(result["tests"])):
        for test in result["tests"]:
            column = (test.get("visibility") == "hidden", test["name"], test["max_score"])
            if column not in checks:
                checks.append(column)
    checks.sort(key=lambda column: column[0])
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["student", "points", "of", "hidden", "hidden_of", "seconds"]
                    + [cell(f"{'hidden: ' if hidden else ''}{name} ({most:g})") for hidden, name, most in checks]
                    + ["remarks"])
    for result in sorted(results, key=lambda result: result["extra_data"]["student"].casefold()):
        extra = result["extra_data"]
        scores = {(test.get("visibility") == "hidden", test["name"], test["max_score"]): test["score"]
                  for test in result["tests"]}
        numbers = [extra.get(key, "") for key in ("points", "of", "hidden", "hidden_of", "seconds")]
        writer.writerow([cell(extra["student"])] + numbers + [scores.get(column, "") for column in checks]
                        + [cell("; ".join(extra["remarks"]))])
    return out.getvalue()


def results_in(out, names=None):
    """The results in a folder; NAMES: only those of these students."""
    found = []
    for path in sorted(pathlib.Path(out).glob("*.json")):
        if read_extra(path) and (names is None or path.name.removesuffix(".json") in names):
            found.append(json.loads(path.read_text(encoding="utf-8")))
    return found


def collect(options):
    if not os.path.isdir(options.out):
        die(f"{options.out}: no such folder; give the --out of the submissions that were graded")
    results = results_in(options.out)
    if not results:
        die(f"{options.out}: no results in it")
    text = table(results)
    if options.csv:
        write(pathlib.Path(options.csv), text)
    else:
        sys.stdout.reconfigure(encoding="utf-8")
        sys.stdout.write(text)
    return 0


# --- a class

def write_grader(out, options):
    """A handout for the graders in it; the folder."""
    folder = out / ".grader"
    if not options.lab:
        if (folder / "tools/grade/class.json").is_file():
            return folder
        die("say which lab: LAB=2 (make grade-all DIR=submissions LAB=2)")
    done = subprocess.run([sys.executable, HERE / "handout.py", "--force",
                           *(["--seed", options.seed] if options.seed else []), options.lab, folder],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        die((done.stderr or done.stdout).strip() or "labs/handout.py failed")
    return folder


def warm_up(grader, options):
    """Build the handout once for all; and see that the grader works here."""
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="jos-class-"))
    try:
        (scratch / "nothing").mkdir()
        status, said = run_grader(grader, ["--prepare", scratch / "nothing"],
                                  scratch, options.sandbox, options.limit)
        if status != 0:
            die(f"the grader doesn't work on this machine: {last_line(said)}\n{said[-2000:]}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def grade_all(options):
    folder = pathlib.Path(options.dir)
    if not folder.is_dir():
        die(f"{folder}: no such folder; it should have a folder or an archive for each student")
    if options.jobs < 1:
        die(f"JOBS={options.jobs}: not a number of jobs")
    todo = intake.submissions(folder)
    if not todo:
        die(f"{folder}: nothing in it; it should have a folder or an archive for each student")
    out = pathlib.Path(options.out or str(folder.resolve()) + "-results").absolute()
    table_at = pathlib.Path(options.csv or out / "class.csv")
    if options.csv and not table_at.absolute().parent.is_dir():
        die(f"{table_at.parent}: no such folder for the CSV")
    out.mkdir(parents=True, exist_ok=True)
    if options.sandbox:
        check_sandbox()
    adopt_orphans()
    on_signals(stop)
    running, total, done, stopped = {}, len(todo), 0, False
    names = [result_name(intake.student(path)) for path in todo]
    for name in names:
        if names.count(name) > 1:
            die(f"{folder}: two submissions are called {intake.shown(name)}; rename one")
    try:
        grader = Grader(options.grader or write_grader(out, options), options.hidden)
        print(f"{total} submissions of lab {grader.lab}, {options.jobs} at a time; results in {out}", flush=True)
        os.environ.setdefault("GRADE_CACHE", str(out / ".cache"))
        os.makedirs(os.environ["GRADE_CACHE"], exist_ok=True)
        warm_up(grader, options)
        command = [grader.python, __file__, "one", "--out", out, "--grader", grader.folder,
                   "--limit", str(options.limit), *(["--hidden", grader.hidden] if grader.hidden else []),
                   *(["--sandbox"] if options.sandbox else []), *(["--force"] if options.force else [])]
        while todo or running:
            while todo and len(running) < options.jobs:
                path = todo.pop(0)
                child = subprocess.Popen([*command, "--", path], stdin=subprocess.DEVNULL, text=True,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                                         start_new_session=True, preexec_fn=end_with_parent)
                running[child] = path
            time.sleep(0.05)
            for child in [child for child in running if child.poll() is not None]:
                path = running.pop(child)
                done += 1
                print(f"[{done:{len(str(total))}}/{total}] {finished(child, path, out)}", flush=True)
    except Stopped:
        stopped = True
        print(f"\ngrade-all: stopped; ending {len(running)} that are being graded", flush=True)
        for child in running:
            child.terminate()
        end = time.monotonic() + 10
        while any(child.poll() is None for child in running) and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        end_descendants()
    results = results_in(out, names)
    write(table_at, table(results))
    ungraded = sum(not result["extra_data"]["graded"] for result in results)
    print(f"{table_at}: {len(results)} of {total} students"
          + (f", {ungraded} of them not graded: see their remarks" if ungraded else ""))
    if stopped:
        print("The same command goes on where this one stopped.")
        return 130
    return 0


def finished(child, path, out):
    """One is done: its line; and a result, if it left none."""
    said = child.stdout.read().strip()
    child.stdout.close()
    student = intake.student(path)
    base = out / result_name(student)
    if child.returncode not in (0, 1) or read_extra(pathlib.Path(f"{base}.json")) is None:
        why = f"not graded: its grading ended with status {child.returncode}: {last_line(said)}"
        extra = {"student": student, "graded": False, "remarks": [why], "digest": None}
        write(pathlib.Path(f"{base}.txt"), f"{student}\n{why}\n{said[-SAID_MAX:]}\n")
        write(pathlib.Path(f"{base}.json"), json.dumps(
            {"score": 0, "output": why, "tests": [], "extra_data": extra}, indent=1, ensure_ascii=False) + "\n")
        return f"{intake.shown(student)}: {why}"
    return said.splitlines()[-1] if said else student


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="all|one|collect")
    every = commands.add_parser("all", help="grade a folder of submissions")
    every.add_argument("dir")
    every.add_argument("--lab", help="which lab, from 0 on")
    every.add_argument("--seed", help="the class's variant, as of make handout SEED=")
    # A submission keeps two processors busy: a compiler and a machine of two.
    every.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 1) // 2))
    every.add_argument("--csv", help="where the table goes; else OUT/class.csv")
    every.add_argument("--out", help="folder of the results; else DIR-results")
    single = commands.add_parser("one", help="grade one submission")
    single.add_argument("submission")
    single.add_argument("--out", default="results", help="folder of the results; else results")
    for command in (every, single):
        command.add_argument("--grader", help="a handout, or its tools/grade; else OUT/.grader")
        command.add_argument("--hidden", help="folder of the hidden checks")
        command.add_argument("--limit", type=float, default=LIMIT, help=f"seconds for one, else {LIMIT}")
        command.add_argument("--sandbox", action="store_true", help="in bwrap: no network, files read-only")
        command.add_argument("--force", action="store_true", help="grade again what was graded")
    gather = commands.add_parser("collect", help="print the results as CSV")
    gather.add_argument("out")
    gather.add_argument("--csv", help="write it to a file")
    options = parser.parse_args()
    if options.command == "all" and options.seed and not options.lab:
        die("SEED goes with LAB: make grade-all DIR=submissions LAB=2 SEED=s")
    return {"all": grade_all, "one": one, "collect": collect}[options.command](options)


if __name__ == "__main__":
    sys.exit(main())
