"""Tangle and build trees of the book, each once in a test run."""
import fcntl
import functools
import os
import pathlib
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "tests/programs"
CHAPTERS = sorted(p.name for p in (ROOT / "chapters").glob("[0-9][0-9]-*.nw")
                  if not p.name.startswith("00-"))      # the preface has no code
NUMBERS = [name[:2] for name in CHAPTERS]
# Tests run in several workers, each of which has trees of its own: an emulator
# writes to the disk images of its tree. A tree is built once, by the worker that
# wants it first, and the others copy it.
WORKER = os.environ.get("PYTEST_XDIST_WORKER")
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID")
TREES = ROOT / "tangle" / (f".stage.{WORKER}" if WORKER else "")
SHARED = ROOT / "tangle/.stage.shared"


def run(args, cwd=ROOT, timeout=600, check=True):
    """Run a command; return the completed process with its output as text."""
    done = subprocess.run(args, cwd=cwd, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=timeout)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, args))} failed with "
                             f"{done.returncode}:\n{done.stdout[-4000:]}")
    return done


@functools.lru_cache(maxsize=None)
def tree(name):
    """The tree tangle/NAME (jos, jos-line, upto-NN), tangled and built.
    A warning is a failure."""
    flags = []
    if name == "jos-line":
        flags.append("LINE=1")
    elif name.startswith("upto-"):
        flags.append("UPTO=" + name[len("upto-"):])
    elif name != "jos":
        raise ValueError(f"no such tree: {name}")
    return build("tangle", name, *flags)


@functools.lru_cache(maxsize=None)
def with_programs(name="jos"):
    """A copy of a tree that has the programs of tests/programs too, as if
    somebody had put them there."""
    folder = TREES / f".stage.{name}-and-programs"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tree(name), folder, symlinks=True)
    for program in PROGRAMS.glob("*.[ch]"):
        shutil.copy(program, folder / "user")
    run(["make", "-j2"], cwd=folder)
    return folder


def planted(original, folder, *changes, count=0, targets=("-j2",)):
    """A copy of the tree ORIGINAL in FOLDER with changes in its sources,
    built.  A change is (path, pattern, replacement); the pattern must be
    there, and is replaced everywhere, or count times."""
    copy = folder / "jos"
    shutil.copytree(original, copy, symlinks=True)
    for path, old, new in changes:
        source = copy / path
        text, n = re.subn(old, new, source.read_text(), count=count)
        assert n >= 1, f"{path} has nothing like {old!r}"
        source.write_text(text)
    run(["make", *targets], cwd=copy)
    return copy


@functools.lru_cache(maxsize=None)
def handout(lab):
    """The handout of a lab, written and built."""
    return build("handout", f"lab{lab}", f"LAB={lab}")


def build(door, name, *flags):
    folder = TREES / name
    if not WORKER:
        make(door, folder, flags)
        return folder
    SHARED.mkdir(exist_ok=True)
    folder.parent.mkdir(exist_ok=True)
    with open(SHARED / (name + ".lock"), "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if lock.read() != RUN:
            if door == "handout" and not (SHARED / name / "tools/grade").exists():
                shutil.rmtree(SHARED / name, ignore_errors=True)
            make(door, SHARED / name, flags)
            lock.truncate(0)
            lock.write(RUN)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(SHARED / name, folder, symlinks=True)
    return folder


def make(door, folder, flags):
    run(["make", "-s", door, f"OUT={folder}", *flags])
    built = run(["make", "-j2"], cwd=folder)
    assert not re.search(r"\bwarning\b", built.stdout, re.I), built.stdout
