#!/usr/bin/env python3
"""dist.py [--seed S] [--out DIR] [PART...]: pack what a course hands out.

  labs        jos-lab0.tar.gz … jos-lab4.tar.gz: the handouts (of a class: SEED=)
  solution    jos-solution.tar.gz: the whole tree
  book        jos-book.tar.gz: pages, PDF, EPUB and slides, as woven/ has them
  student     jos-book-student.tar.gz: the same of the students' edition
  instructor  jos-instructor.tar.gz: graders, hidden checks, mutants, packaging

Without PART, all. DIR is dist/, and has SHA256SUMS of all that is there. The
same book gives the same bytes: names are sorted, owners are root, and the date is
SOURCE_DATE_EPOCH, or that of the book's last commit.
"""
import argparse
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from handout import BOOK, DATE, HERE, fail, files_of, read_labs, shown, tarball, write_handout, write_tree

PARTS = ("labs", "solution", "book", "student", "instructor")
PDF_DATE = re.compile(rb"(/(?:Creation|Mod)Date \(D:)\d{14}[+-]\d\d'\d\d'\)")


def last_change():
    """Seconds: when the book was last changed."""
    if os.environ.get("SOURCE_DATE_EPOCH"):
        return int(os.environ["SOURCE_DATE_EPOCH"])
    done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=BOOK, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip() else DATE


def pack(path, folder, top, date, change=lambda name, data: data):
    """A tarball of a folder, whose files stand under TOP in it."""
    if not (folder / "LICENSE").exists():
        shutil.copyfile(BOOK / "LICENSE", folder / "LICENSE")
    members = [(f"{top}/{file.relative_to(folder)}", file) for file in sorted(folder.rglob("*")) if file.is_file()]
    tarball(path, members, date, change)
    print(f"{shown(path)}: {len(members)} files, {path.stat().st_size / 1e6:.1f} MB", flush=True)


def pack_labs(out, stage, seed, date):
    for lab in read_labs():
        write_handout(stage / f"lab{lab}", lab, seed)
        pack(out / f"jos-lab{lab}.tar.gz", stage / f"lab{lab}", f"jos-lab{lab}", date)


def pack_solution(out, stage, seed, date):
    write_tree(stage / "jos", max(read_labs()), seed, solved=True)
    pack(out / "jos-solution.tar.gz", stage / "jos", "jos", date)


def pack_book(out, stage, edition, date):
    """What was woven: the makefile has seen to it that it's there."""
    woven, folder = BOOK / "woven", stage / f"book{edition}"
    folder.mkdir()
    for name in ("html", "slides"):
        if not (woven / f"{name}{edition}").is_dir():
            fail(f"woven/{name}{edition}: not there; `make dist` makes it")
        shutil.copytree(woven / f"{name}{edition}", folder / name)
    for name in ("pdf", "epub"):
        shutil.copy(woven / f"book{edition}.{name}", folder / f"book.{name}")

    then = time.strftime("%Y%m%d%H%M%S", time.gmtime(date)).encode()

    def pinned(name, data):
        # The browser that prints slides writes the time of day into them.
        if name.endswith(".pdf") and "/slides/" in name:
            return PDF_DATE.sub(rb"\g<1>%s+00'00')" % then, data)
        return data
    pack(out / f"jos-book{edition}.tar.gz", folder, f"jos-book{edition}", date, change=pinned)


def pack_instructor(out, stage, date):
    shutil.copytree(HERE, stage / "instructor/labs", ignore=shutil.ignore_patterns(
        "__pycache__", ".pytest_cache", "*.pyc", "*.swp", "*~"))
    os.replace(stage / "instructor/labs/instructor.md", stage / "instructor/README.md")
    pack(out / "jos-instructor.tar.gz", stage / "instructor", "jos-instructor", date)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed")
    parser.add_argument("--out", type=pathlib.Path, default=BOOK / "dist")
    parser.add_argument("parts", nargs="*", metavar="PART")
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        fail(f"dist: PARTS={unknown[0]}: no such part; there are {', '.join(PARTS)}")
    out, date = options.out.absolute(), last_change()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".stage.", dir=out) as stage:
        stage = pathlib.Path(stage)
        for part in options.parts or PARTS:
            if part == "labs":
                pack_labs(out, stage, options.seed, date)
            elif part == "solution":
                pack_solution(out, stage, options.seed, date)
            elif part == "instructor":
                pack_instructor(out, stage, date)
            else:
                pack_book(out, stage, "-student" if part == "student" else "", date)
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(out.glob("*.tar.gz"))]
    (out / "SHA256SUMS").write_text("".join(sums))


if __name__ == "__main__":
    main()
