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

AUTHOR = ("JOS course", "course@example.org")
DATE = 1767225600               # 1 January 2026, 00:00 UTC
IGNORED = ["obj/", "lab*-submission.tar.gz", "results*", "__pycache__/", "*.pyc"]
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


def make_variant(seed, lab):
    if not (HERE / "variants.py").exists():
        if seed:
            fail("SEED: there are no variants yet")
        return None
    import variants
    return variants.Variant.of(seed, lab)


def write_tree(folder, lab, seed, solved=False):
    """The tree of a lab, before or after; return its variant."""
    last = max(read_labs())
    if not solved:
        tangle(folder, max(lab, 1))
    elif lab < last:
        tangle(folder, lab + 1)
    else:
        tangle(folder)
    variant = make_variant(seed, lab)
    if variant is not None:
        import variants
        variants.apply(folder, variant)
    return variant


# --- what a handout has besides

def readme(lab, about):
    return f"# Lab {lab}: {about['title']}\n"


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
         "variant": variant.as_dict() if variant is not None else {}}, indent=1, sort_keys=True) + "\n")
    text = (HERE / "grade.mk").read_text()
    text = text.replace("{lab}", str(lab)).replace("{files}", " ".join(about["files"]))
    (folder / "tools/grade.mk").write_text(text)


def files_of(folder):
    """The paths of a folder's files, sorted, without .git."""
    return sorted(path for path in folder.rglob("*")
                  if not path.is_dir() and ".git" not in path.relative_to(folder).parts)


def tarball(path, members, date):
    """Write a .tar.gz of members (name in it, file), the same bytes each time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, file in members:
            info = tarfile.TarInfo(name)
            info.mtime = date
            info.uname = info.gname = "root"
            data = file.read_bytes()
            info.size = len(data)
            info.mode = 0o755 if os.access(file, os.X_OK) else 0o644
            archive.addfile(info, io.BytesIO(data))
    with open(path, "wb") as out, gzip.GzipFile("", "wb", 9, out, mtime=0) as packed:
        packed.write(buffer.getvalue())


def git(folder, *words, **more):
    """git, whatever its user has set up."""
    name, address = AUTHOR
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    env.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_NAME=name, GIT_AUTHOR_EMAIL=address, GIT_AUTHOR_DATE=f"{DATE} +0000",
               GIT_COMMITTER_NAME=name, GIT_COMMITTER_EMAIL=address, GIT_COMMITTER_DATE=f"{DATE} +0000",
               GIT_CEILING_DIRECTORIES=str(folder.parent), LC_ALL="C")
    return subprocess.run(["git", *words], cwd=folder, env=env, stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, **more)


def make_repository(folder, message):
    """One commit of all that is there, on branch main."""
    def run(*words):
        return git(folder, "-c", "core.autocrlf=false", "-c", "core.logAllRefUpdates=false", *words,
                   check=True).stdout.strip()
    run("init", "-q", "--template=")
    run("symbolic-ref", "HEAD", "refs/heads/main")
    run("add", "--all")
    run("commit", "-q", "-m", message)
    # An index without time stamps and inode numbers; git looks them up.
    (folder / ".git/index").unlink()
    run("read-tree", "HEAD")
    (folder / ".git/COMMIT_EDITMSG").unlink(missing_ok=True)


def write_handout(folder, lab, seed):
    """The whole handout, in a new folder."""
    about = read_labs()[lab]
    variant = write_tree(folder, lab, seed)
    (folder / "README.md").write_text(readme(lab, about))
    (folder / ".gitignore").write_text("\n".join(IGNORED) + "\n")
    write_grader(folder, lab, about, variant)
    tree = [(str(path.relative_to(folder)), path) for path in files_of(folder)
            if path.relative_to(folder).parts[:2] != ("tools", "grade")]
    tarball(folder / "tools/grade/handout.tar.gz", tree, DATE)
    make_repository(folder, f"Lab {lab}: {about['title']}\n\nAs it was handed out.\n")


# --- into its place

def worked_in(tree):
    """What a student has done in a handout: a line, or None."""
    status = git(tree, "status", "--porcelain", "--untracked-files=all")
    if status.returncode:
        return "its git repository is gone or broken"
    if status.stdout:
        paths = [line[3:] for line in status.stdout.splitlines()]
        return ", ".join(paths[:3]) + (" and more" if len(paths) > 3 else "") + ": changed since it was handed out"
    log = git(tree, "log", "--all", "--format=%ce %ct %s").stdout.splitlines()
    if len(log) != 1 or not log[0].startswith(f"{AUTHOR[1]} {DATE} Lab "):
        return "it has commits of its own"
    return None


def install(stage, tree, force):
    """Put a handout in its place.  Files that are the same stay as they are,
    so that make rebuilds no more than it must."""
    new = {path.relative_to(stage) for path in files_of(stage)}
    old = set()
    if tree.exists() and (not tree.is_dir() or any(tree.iterdir())):
        if not tree.is_dir():
            fail(f"{shown(tree)}: not a folder; nothing written")
        if not (tree / CLASS).exists():
            fail(f"{shown(tree)}: not a handout, and not empty: nothing written. "
                 "Remove it, or write elsewhere with OUT=dir")
        done = worked_in(tree)
        if done and not force:
            fail(f"{shown(tree)}: {done}; nothing written.\n  Write elsewhere with OUT=dir, or say FORCE=1 "
                 "to lose all that was done there")
        if done:
            shutil.rmtree(tree)
        else:
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
    tree.parent.mkdir(parents=True, exist_ok=True)
    # Beside the tree, so that files can be moved there.
    stage = pathlib.Path(tempfile.mkdtemp(prefix=".stage.", dir=tree.parent))
    try:
        if options.solution:
            write_tree(stage / "tree", lab, options.seed, solved=True)
            force = ["--force"] if options.force else []
            done = subprocess.run([sys.executable, BOOK / "tangle/install.py", *force, stage / "tree", tree])
            sys.exit(done.returncode)
        write_handout(stage / "tree", lab, options.seed)
        install(stage / "tree", tree, options.force)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


if __name__ == "__main__":
    main()
