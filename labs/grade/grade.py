#!/usr/bin/env python3
"""grade.py [options] [SUBMISSION]: grade what a student has done of a lab.

SUBMISSION is the handout's folder with the student's work, or a folder with
just the files that are handed in; without it, the handout that this program
stands in. It is only read. The tree as it was handed out (handout.tar.gz) is
unpacked elsewhere, the files of the lab (class.json) are laid over it, and what
comes of it is built and run in emulators, in limits of time, output and disk.

  --text FILE    write the report there too
  --json FILE    the results as Gradescope reads them
  --junit FILE   the results as JUnit XML
  --hidden DIR   run the hidden checks of DIR too
  --seed N       another seed for the checks' random inputs
  --only WORDS   only checks with each of these words in their names
  --stop         stop at the first lost point
  --prepare      only build the handout, for those who grade next (GRADE_CACHE)
  --keep         keep the scratch folder, and say where it is

The exit status is 0 when the submission was graded, whatever its points, and
2 when it couldn't be: then a line says why.
GRADE_CACHE names a folder in which the built handout is kept between runs.
"""
import argparse
import fcntl
import hashlib
import importlib.util
import json
import os
import pathlib
import random
import re
import resource
import secrets
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

FILE_MAX = 1 << 20              # bytes of one file that is handed in
BUILD_SECONDS = 15              # processor time of each command of a build
BUILD_WALL = 100                # seconds of the whole
TOO_LONG = 124                  # a status, as of timeout(1)
BUILD_MEMORY = 2 << 30
BUILD_FILE = 256 << 20
TOTAL_SECONDS = 165             # after which no check is begun


def die(why):
    print(f"grade: {why}", file=sys.stderr)
    sys.exit(2)


class Lab:
    """One submission, and where it is built and run.

    number, title, files   of class.json: the lab, what is handed in
    variant                of class.json: numbers that differ by class
    tree                   the scratch copy, built
    random                 for test inputs; seeded by class and --seed
    nonce                  16 hexadecimal digits that nobody knew before
    build_error            what the compiler said, or None
    notes                  what the student should know beside the points
    """

    def __init__(self, description, options):
        self.number = description["lab"]
        self.title = description["title"]
        self.files = description["files"]
        self.variant = description.get("variant", {})
        self.options = options
        seed = options.seed if options.seed is not None else self.variant.get("inputs", 0)
        self.random = random.Random(f"{self.number}/{seed}")
        self.nonce = secrets.token_hex(8)
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="jos-grade-"))
        self.tree = self.scratch / "tree"
        self.submission = pathlib.Path(options.submission).resolve()
        self.build_error = None
        self.notes = []
        self.began = time.monotonic()
        self.last, self.spent = self.began, 0

    def time_is_up(self):
        """Has this grading used up its time? A second on a computer that has
        three things to do at once counts for a third."""
        now = time.monotonic()
        self.spent += (now - self.last) / slowness()
        self.last = now
        return self.spent > TOTAL_SECONDS

    # --- the tree

    def prepare(self, modules):
        """The handout, the graders' own programs, the student's files; built."""
        cache = os.environ.get("GRADE_CACHE")
        with tarfile.open(HERE / "handout.tar.gz") as archive:
            # Pythons before 3.11.4 know no filters, and this archive is our own.
            archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
            archive.extractall(self.scratch / "pristine")
        if cache:
            self.copy_from_cache(pathlib.Path(cache), modules)
        else:
            shutil.copytree(self.scratch / "pristine", self.tree, symlinks=True)
            self.add_programs(self.tree, modules)
        self.look_around()
        self.take_files()
        for module in modules:
            self.write_files(self.tree, module)
        if self.build_error is None:
            self.build()

    def add_programs(self, tree, modules):
        """programs/labN/FOLDER/… of the checks go to FOLDER/… of the tree."""
        for module in modules:
            top = pathlib.Path(module.__file__).parent / "programs" / f"lab{self.number}"
            if top.is_dir():
                shutil.copytree(top, tree, dirs_exist_ok=True)

    def write_files(self, tree, module):
        """What files(lab) of the checks says: texts or bytes, by path."""
        for path, data in getattr(module, "files", lambda lab: {})(self).items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            data = data if isinstance(data, bytes) else data.encode()
            # What is the same keeps its time, so that make leaves it alone.
            if not (tree / path).is_file() or (tree / path).read_bytes() != data:
                (tree / path).write_bytes(data)

    def copy_from_cache(self, cache, modules):
        """The handout with the programs, built: made once, then copied."""
        digest = hashlib.sha256((HERE / "handout.tar.gz").read_bytes())
        for module in modules:
            top = pathlib.Path(module.__file__).parent / "programs" / f"lab{self.number}"
            for path in sorted(top.rglob("*")):
                if path.is_file():
                    digest.update(str(path.relative_to(top)).encode() + path.read_bytes())
        base = cache / digest.hexdigest()[:16]
        cache.mkdir(parents=True, exist_ok=True)
        with open(f"{base}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not base.exists():
                making = pathlib.Path(f"{base}.new")
                shutil.rmtree(making, ignore_errors=True)
                shutil.copytree(self.scratch / "pristine", making, symlinks=True)
                self.add_programs(making, modules)
                for module in modules:
                    self.write_files(making, module)
                subprocess.run(["make", "-s", "-j2"], cwd=making, check=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
                making.rename(base)
        # Time stamps stay, so that make builds only what the student changed.
        subprocess.run(["cp", "-a", str(base), str(self.tree)], check=True)

    def look_around(self):
        """Tell of changes that aren't handed in, or can't count."""
        changed = []
        for path in sorted((self.scratch / "pristine").rglob("*")):
            name = str(path.relative_to(self.scratch / "pristine"))
            theirs = self.submission / name
            if (path.is_file() and not path.is_symlink() and name not in self.files
                    and theirs.is_file() and theirs.stat().st_size < FILE_MAX
                    and theirs.read_bytes() != path.read_bytes()):
                changed.append(name)
        if changed:
            self.notes.append("changed, but not handed in, so graded as it was handed out: "
                              + ", ".join(changed))

    def take_files(self):
        for name in self.files:
            source = self.submission / name
            where = source
            while where != self.submission and not where.is_symlink():
                where = where.parent
            if where.is_symlink():
                self.notes.append(f"{name}: a symbolic link isn't taken; the handout's own is graded")
            elif not source.exists():
                self.notes.append(f"{name}: not handed in; the handout's own is graded")
            elif not source.is_file():
                self.notes.append(f"{name}: not a file; the handout's own is graded")
            elif source.stat().st_size > FILE_MAX:
                self.notes.append(f"{name}: longer than {FILE_MAX >> 10} KiB; the handout's own is graded")
            else:
                data = source.read_bytes()
                if re.search(rb"\.\s*incbin", data):
                    self.build_error = f"{name}: .incbin would copy a file of the grader's machine"
                if not (self.tree / name).exists() or (self.tree / name).read_bytes() != data:
                    (self.tree / name).write_bytes(data)

    def build(self):
        done = run_limited(["make", "-s", "-j2"], self.tree, self.scratch / "build.log")
        if done == TOO_LONG:
            die("the build took too long, with each command in its limits: this computer has too "
                "much else to do; grade again when it has less")
        if done != 0:
            lines = (self.scratch / "build.log").read_text(errors="replace").splitlines()
            wrong = [line for line in lines if re.search(r"\berror\b|undefined reference|multiple def", line)]
            self.build_error = "\n".join((wrong or lines[-5:] or [f"make ended with status {done}"])[:5])
        for rules in self.tree.glob("obj/**/*.d"):
            for word in rules.read_text().replace("\\\n", " ").split():
                if word.startswith("/") or ".." in word.split("/"):
                    self.build_error = f"{word.rstrip(':')}: included from outside the tree"

    def make(self, *targets):
        """Build more of the tree, such as a kernel that runs a program."""
        if run_limited(["make", "-s", *targets], self.tree, self.scratch / "make.log") != 0:
            raise AssertionError(f"make {' '.join(targets)} failed: " + (
                self.scratch / "make.log").read_text(errors="replace")[-500:])

    def remove(self):
        if self.options.keep:
            print(f"scratch folder: {self.scratch}")
        else:
            shutil.rmtree(self.scratch, ignore_errors=True)


def slowness():
    """How much longer things take than on a computer that does nothing else."""
    return max(1, os.getloadavg()[0] / (os.cpu_count() or 1))


def limit(cpu, file, memory=None):
    """A function that sets limits in a child before it runs its program."""
    def set_limits():
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 2))
        resource.setrlimit(resource.RLIMIT_FSIZE, (file, file))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    return set_limits


def run_limited(command, folder, log):
    """Run a command with its output in a file; its status, or TOO_LONG when it
    takes too long."""
    with open(log, "wb") as out:
        child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=subprocess.STDOUT, start_new_session=True,
                                 env={**os.environ, "LC_ALL": "C"},
                                 preexec_fn=limit(BUILD_SECONDS, BUILD_FILE, BUILD_MEMORY))
        try:
            return child.wait(BUILD_WALL * slowness())
        except subprocess.TimeoutExpired:
            out.write(b"error: it took too long\n")
            return TOO_LONG
        finally:
            try:
                os.killpg(child.pid, 9)
            except ProcessLookupError:
                pass
            child.wait()


def load(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("submission", nargs="?", default=HERE.parent.parent)
    for name in ("--text", "--json", "--junit", "--hidden", "--only"):
        parser.add_argument(name)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--stop", action="store_true")
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    # What the student's make was told is no business of the makes that we run.
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
        os.environ.pop(name, None)
    try:
        import pytest
        import pexpect      # noqa: F401  machine.py needs it
    except ImportError as lack:
        die(f"{lack}; `make doctor` says what to install")
    if not os.path.isdir(options.submission):
        die(f"{options.submission}: no such folder; give the folder with the lab's files")
    for name in ("class.json", "handout.tar.gz"):
        if not (HERE / name).is_file():
            die(f"{HERE / name} is missing: grade.py runs in a handout's tools/grade (make handout LAB=N)")
    # Who ends this ends its machines too, and leaves no scratch folder.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    lab = Lab(json.loads((HERE / "class.json").read_text()), options)
    import plugin
    try:
        checks = [HERE / f"lab{lab.number}.py"]
        if options.hidden:
            checks.append(pathlib.Path(options.hidden).resolve() / f"lab{lab.number}.py")
        for path in checks:
            if not path.is_file():
                die(f"{path}: no such checks")
        lab.prepare([load(path, f"{'hidden' if n else 'public'}_lab{lab.number}")
                     for n, path in enumerate(checks)])
        if options.prepare:
            return
        report = plugin.Report(lab)
        arguments = [*map(str, checks), "-q", "--import-mode=importlib", "-p", "no:cacheprovider",
                     "-p", "no:terminalreporter", "-p", "no:logging", "--rootdir", str(lab.scratch),
                     "-c", os.devnull, f"--timeout={60 * slowness():.0f}", "--timeout-method=signal"]
        if options.junit:
            arguments += ["--junit-xml", os.path.abspath(options.junit), "-o", "junit_family=xunit2"]
        if options.stop:
            arguments += ["-x"]
        status = pytest.main(arguments, plugins=[report])
        if status == pytest.ExitCode.NO_TESTS_COLLECTED:
            die(f"no check has “{options.only}” in its name; without ONLY they are all listed")
        if status not in (0, 1):
            die(f"the checks themselves failed (pytest's status {int(status)}): {report.trouble}")
        text = report.text()
        print(text, end="")
        for path, data in ((options.text, text), (options.json, report.gradescope())):
            if path:
                pathlib.Path(path).write_text(data)
    finally:
        lab.remove()


if __name__ == "__main__":
    main()
