#!/usr/bin/env python3
"""install.py [--force] STAGE TREE: move what changed from STAGE to TREE.

Files that are the same stay as they are, with their time stamps, so that make
rebuilds no more than it must. TREE/.tangled lists what was tangled, with a
checksum of each file: by it a file that the book has no more is removed, and
a file that somebody edited by hand is never overwritten without --force.
"""
import hashlib
import os
import signal
import sys

MANIFEST = ".tangled"


def checksum(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def files_in(folder):
    for parent, _, names in os.walk(folder):
        for name in names:
            yield os.path.relpath(os.path.join(parent, name), folder)


def read_manifest(tree):
    try:
        with open(os.path.join(tree, MANIFEST)) as file:
            return {path: sum for sum, path in (line.rstrip("\n").split("  ", 1) for line in file)}
    except FileNotFoundError:
        return {}


def is_script(path):
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


def main():
    force = "--force" in sys.argv
    stage, tree = [arg for arg in sys.argv[1:] if arg != "--force"]
    shown = os.path.relpath(tree)
    if shown.startswith(".."):
        shown = tree

    before = read_manifest(tree)
    after = {path: checksum(os.path.join(stage, path)) for path in files_in(stage)}
    here = {path: checksum(os.path.join(tree, path))
            for path in set(before) | set(after) if os.path.isfile(os.path.join(tree, path))}

    edited = [path for path in sorted(here)
              if here[path] != before.get(path) and here[path] != after.get(path)]
    if edited and not force:
        for path in edited:
            print(f"{shown}/{path}: edited by hand since it was tangled", file=sys.stderr)
        print("tangle: nothing written. Bring the edits into the chapters, or use another "
              "tree (OUT=dir),\n  or say FORCE=1 to lose them; "
              f"`make -C {shown}` builds the tree as it stands", file=sys.stderr)
        return 1

    new = sorted(set(after) - set(here))
    changed = sorted(path for path in set(after) & set(here) if after[path] != here[path])
    gone = sorted(set(here) - set(after))

    # From here on the tree changes; an interrupt must wait until it is whole.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for path in gone:
        os.remove(os.path.join(tree, path))
        parent = os.path.dirname(path)
        while parent and not os.listdir(os.path.join(tree, parent)):
            os.rmdir(os.path.join(tree, parent))
            parent = os.path.dirname(parent)
    for path in new + changed:
        target = os.path.join(tree, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.chmod(os.path.join(stage, path), 0o755 if is_script(os.path.join(stage, path)) else 0o644)
        os.replace(os.path.join(stage, path), target)
    if after != before:
        os.makedirs(tree, exist_ok=True)
        with open(os.path.join(tree, MANIFEST + ".new"), "w") as file:
            file.writelines(f"{after[path]}  {path}\n" for path in sorted(after))
        os.replace(os.path.join(tree, MANIFEST + ".new"), os.path.join(tree, MANIFEST))

    print(f"{shown}: {len(after)} files, {len(new)} new, {len(changed)} changed, {len(gone)} deleted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
