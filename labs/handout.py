#!/usr/bin/env python3
"""handout.py [--seed S] [--force] [--solution] LAB TREE: write a lab's handout.

A handout is the tree with the stubs of this lab and of the later ones, a
README.md, the public checks in tools/grade/ and a git repository with one
commit.  It belongs to its student: one that was worked in is never written
again without --force.  The same book gives the same handout, byte for byte.

With --solution: the tree with this lab's own files as they should become, for
those who teach.
"""
import argparse
import gzip
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

import yaml

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
BOOK = HERE.parent
sys.path.insert(0, str(HERE))
import extras                   # noqa: E402
import variants                 # noqa: E402

AUTHOR = ("JOS course", "course@example.org")
DATE = 1767225600               # 1 January 2026, 00:00 UTC
IGNORED = ["/obj/", "/lab*-submission.tar.gz", "/results*", "/*.core", "__pycache__/", "*.pyc"]
CLASS = pathlib.Path("tools/grade/class.json")


def fail(why):
    print(why, file=sys.stderr)
    sys.exit(1)


def shown(path):
    short = os.path.relpath(path)
    return str(path) if short.startswith("..") else short


def read_labs():
    return yaml.safe_load((HERE / "labs.yaml").read_text())


# --- the tree

def tangle(folder, lab=None):
    """The book's tree, or that of a lab from 1 on, in a new folder."""
    flags = ["-l", str(lab)] if lab is not None else []
    done = subprocess.run([BOOK / "tangle/tangle", *flags, BOOK, folder], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(done.returncode)
    (folder / ".tangled").unlink()


def write_tree(folder, lab, seed, solved=False):
    """The tree of a lab, before or after; return its variant."""
    last = max(read_labs())
    if not solved:
        tangle(folder, max(lab, 1))
    elif lab < last:
        tangle(folder, lab + 1)
    else:
        tangle(folder)
    variant = variants.Variant.of(seed, lab)
    try:
        variants.apply(folder, variant, solved=solved)
    except variants.VariantError as error:
        fail(f"labs/variants.py: {error}; nothing written")
    return variant


# --- what a handout has besides

def sections(text):
    """The parts of labN.md, {heading: text}."""
    parts = re.split(r"^# (.*)\n", text, flags=re.M)
    return {name: part.strip() for name, part in zip(parts[1::2], parts[2::2])}


def chapter_title(name):
    """Such as "17 Finding VMX"."""
    with open(BOOK / "chapters" / f"{name}.nw", encoding="utf-8") as file:
        return f"{name.split('-')[0]} {file.readline().removeprefix('# ').strip()}"


def manual_sections(keys):
    """The rows of the table of manual sections that have these keys."""
    rows = {}
    with open(BOOK / "woven/manual-sections.tsv", encoding="utf-8") as file:
        for line in file:
            row = line.rstrip("\n").split("\t")
            if not line.startswith("#"):
                rows[row[0]] = row
    lost = [key for key in keys if key not in rows]
    if lost:
        fail(f"labs/labs.yaml: no manual section {', '.join(lost)} in woven/manual-sections.tsv")
    return [rows[key] for key in keys]


def listed(things):
    return " and ".join(filter(None, [", ".join(things[:-1]), things[-1]]))


def steps(about):
    """What to write, what to run, what it says: a numbered list."""
    where = {name: path for path, names in about["functions"].items() for name in names}
    out = ["Each step has its own message, which says what is missing next. `…` stands for",
           "what differs from run to run.", ""]
    for number, step in enumerate(about.get("steps", []), 1):
        written = {}
        for name in step.get("write", []):
            written.setdefault(where[name], []).append(f"`{name}`")
        written = [f"{listed(names)} ({path})" for path, names in written.items()]
        if number == 1:
            out.append("1. As it was handed out:")
        elif written:
            out.append(f"{number}. With {listed(written)}:")
        else:
            out.append(f"{number}. Then:")
        out[-1] += f" `make {step['run']}`"
        out += ["", "   ```", *("   " + line.rstrip() for line in step["see"]), "   ```", ""]
    out.append("That is the end of the lab.")
    return "\n".join(out)


NUMBERS = """
Your class has numbers of its own: of errors, of hypercalls, of registers, and which
error says what. Where the book, or a message quoted here, differs from a comment or a
header of this folder, the comment is right.
"""


def readme(lab, about, own_numbers=False):
    """The README of a handout: readme.md, filled in from labs.yaml and labN.md.
    own_numbers: it has a seed."""
    chapters = [f"- {chapter_title(name)}" for name in about["chapters"]]
    rows = [f"| {june2016} | {june2026 if june2026[0] not in '-?' else ''} | {title} |"
            for _, title, _, june2016, june2026, _ in manual_sections(about["manual"])]
    manual = ["", "Sections of Intel's Software Developer's Manual, volume 3, by the numbers of June",
              "2016, which the comments in the code use, and by those of June 2026:", "",
              "| June 2016 | June 2026 | |", "| --- | --- | --- |", *rows]
    hours = about["minutes"] / 60
    words = {
        "steps": steps(about),
        **sections((HERE / f"lab{lab}.md").read_text()),
        "number": str(lab), "title": about["title"], "submission": f"lab{lab}-submission.tar.gz",
        "time": f"{hours:g} hour" + "s" * (hours != 1),
        "numbers": NUMBERS if own_numbers else "",
        "files": "\n".join(f"- `{name}`" for name in about["files"]),
        "chapters": "\n".join(chapters),
        "manual": "\n".join(manual) if rows else "",
    }
    return re.sub(r"\{\{(.*?)\}\}", lambda match: words[match[1]], (HERE / "readme.md").read_text())


def write_grader(folder, lab, about, variant):
    """tools/grade: the frame, this lab's checks and no other's; grade.mk."""
    def others(parent, names):
        return [name for name in names if name in ("__pycache__", ".pytest_cache") or name.endswith(".pyc")
                or (re.match(r"lab[0-9]", name) and name.split(".")[0] != f"lab{lab}")]
    target = folder / "tools/grade"
    shutil.copytree(HERE / "grade", target, ignore=others)
    for path in target.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.read_bytes().startswith(b"#!") else 0o644)
    (folder / CLASS).write_text(json.dumps(
        {"lab": lab, "title": about["title"], "files": about["files"],
         "variant": variant.facts()}, indent=1, sort_keys=True) + "\n")
    text = (HERE / "grade.mk").read_text()
    text = text.replace("{lab}", str(lab)).replace("{files}", " ".join(about["files"]))
    (folder / "tools/grade.mk").write_text(text)


def files_of(folder):
    """The paths of a folder's files, sorted, without .git."""
    return sorted(path for path in folder.rglob("*")
                  if not path.is_dir() and ".git" not in path.relative_to(folder).parts)


def tarball(path, members, date, change=lambda name, data: data):
    """Write a .tar.gz of members (name in it, file), the same bytes each time.
    change: what becomes of a member's bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, file in members:
            info = tarfile.TarInfo(name)
            info.mtime = date
            info.uname = info.gname = "root"
            data = change(name, file.read_bytes())
            info.size = len(data)
            info.mode = 0o755 if os.access(file, os.X_OK) else 0o644
            archive.addfile(info, io.BytesIO(data))
    with open(path, "wb") as out, gzip.GzipFile("", "wb", 9, out, mtime=0) as packed:
        packed.write(buffer.getvalue())


def git(folder, *words, **more):
    """git, whatever its user has set up."""
    name, address = AUTHOR
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    env.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1", GIT_ATTR_NOSYSTEM="1",
               GIT_AUTHOR_NAME=name, GIT_AUTHOR_EMAIL=address, GIT_AUTHOR_DATE=f"{DATE} +0000",
               GIT_COMMITTER_NAME=name, GIT_COMMITTER_EMAIL=address, GIT_COMMITTER_DATE=f"{DATE} +0000",
               GIT_CEILING_DIRECTORIES=str(folder.parent), LC_ALL="C")
    own = ["-c", "core.excludesFile=", "-c", "core.attributesFile=", "-c", "core.autocrlf=false"]
    return subprocess.run(["git", *own, *words], cwd=folder, env=env, stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, **more)


def make_repository(folder, message):
    """One commit of all that is there, on branch main."""
    def run(*words):
        git(folder, "-c", "core.logAllRefUpdates=false", *words, check=True)
    run("init", "-q", "--template=")
    run("symbolic-ref", "HEAD", "refs/heads/main")
    run("add", "--all", "--force")
    run("commit", "-q", "-m", message)
    run("tag", "handout")
    # An index without time stamps and inode numbers; git looks them up.
    (folder / ".git/index").unlink()
    run("read-tree", "HEAD")
    (folder / ".git/COMMIT_EDITMSG").unlink(missing_ok=True)


def write_handout(folder, lab, seed, classroom=False):
    """The whole handout, in a new folder."""
    about = read_labs()[lab]
    variant = write_tree(folder, lab, seed)
    shutil.copyfile(BOOK / "LICENSE", folder / "LICENSE")
    (folder / "README.md").write_text(readme(lab, about, bool(seed)))
    (folder / ".gitignore").write_text("\n".join(IGNORED) + "\n")
    write_grader(folder, lab, about, variant)
    tree = [(str(path.relative_to(folder)), path) for path in files_of(folder)
            if path.relative_to(folder).parts[:2] != ("tools", "grade")]
    tarball(folder / "tools/grade/handout.tar.gz", tree, DATE)
    extras.add(folder, classroom)
    make_repository(folder, f"Lab {lab}: {about['title']}\n\nAs it was handed out.\n")


# --- into its place

def worked_in(tree):
    """What a student has done in a handout: a line, or None."""
    status = git(tree, "--no-optional-locks", "status", "--porcelain", "--untracked-files=all")
    if status.returncode:
        return "its git repository is gone or broken"
    if status.stdout:
        paths = [line[3:] for line in status.stdout.splitlines()]
        return ", ".join(paths[:3]) + (" and more" if len(paths) > 3 else "") + ": changed since it was handed out"
    log = git(tree, "log", "--all", "--format=%ce %ct %s").stdout.splitlines()
    if len(log) != 1 or not log[0].startswith(f"{AUTHOR[1]} {DATE} Lab "):
        return "it has commits of its own"
    return None


def make_room(tree, force):
    """See that a handout may be written to tree, or end with a line that says why not."""
    if not tree.exists() or (tree.is_dir() and not any(tree.iterdir())):
        return
    if not tree.is_dir():
        fail(f"{shown(tree)}: not a folder; nothing written")
    if not (tree / CLASS).exists() and not (force and (tree / ".tangled").exists()):
        fail(f"{shown(tree)}: not a handout, and not empty: nothing written. "
             "Remove it, or write elsewhere with OUT=dir")
    done = worked_in(tree)
    if done and not force:
        fail(f"{shown(tree)}: {done}; nothing written.\n  Write elsewhere with OUT=dir, or say FORCE=1 "
             "to lose all that was done there")


def install(stage, tree, force):
    """Put a handout in its place, which is free, or has one that goes.  Files that
    are the same stay as they are, so that make rebuilds no more than it must."""
    make_room(tree, force)      # it may have been worked in meanwhile
    new = {path.relative_to(stage) for path in files_of(stage)}
    old = set()
    if tree.exists() and worked_in(tree):
        shutil.rmtree(tree)
    elif tree.exists():
        old = {pathlib.Path(name) for name in git(tree, "ls-files", "-z").stdout.split("\0") if name}
    tree.mkdir(parents=True, exist_ok=True)
    for name in sorted(old - new):
        (tree / name).unlink()
        for parent in (tree / name).parents:
            if parent == tree or any(parent.iterdir()):
                break
            parent.rmdir()
    changed = 0
    for name in sorted(new):
        source, target = stage / name, tree / name
        if target.is_file() and target.read_bytes() == source.read_bytes():
            target.chmod(source.stat().st_mode & 0o777)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
            changed += 1
    if (tree / ".git").exists():
        shutil.rmtree(tree / ".git")
    os.replace(stage / ".git", tree / ".git")
    print(f"{shown(tree)}: {len(new)} files, {changed} new or changed, {len(old - new)} deleted")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed")
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--solution", action="store_true")
    parser.add_argument("--classroom", action="store_true", help="with a workflow for GitHub Classroom")
    parser.add_argument("lab")
    parser.add_argument("tree", type=pathlib.Path)
    options = parser.parse_args()
    labs = read_labs()
    there = "the labs are " + ", ".join(map(str, labs))
    if not re.fullmatch("[0-9]+", options.lab):
        fail(f"LAB={options.lab}: not a number; {there}")
    lab = int(options.lab)
    if str(lab) != options.lab or lab not in labs:
        fail(f"LAB={options.lab}: there is no such lab; {there}")
    tree = options.tree.absolute()
    if not options.solution:
        make_room(tree, options.force)
    tree.parent.mkdir(parents=True, exist_ok=True)
    # Beside the tree, so that files can be moved there.
    stage = pathlib.Path(tempfile.mkdtemp(prefix=".stage.", dir=tree.parent))
    try:
        if options.solution:
            write_tree(stage / "tree", lab, options.seed, solved=True)
            force = ["--force"] if options.force else []
            done = subprocess.run([sys.executable, BOOK / "tangle/install.py", *force, stage / "tree", tree])
            sys.exit(done.returncode)
        write_handout(stage / "tree", lab, options.seed, options.classroom)
        install(stage / "tree", tree, options.force)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


if __name__ == "__main__":
    main()
