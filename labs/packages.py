#!/usr/bin/env python3
"""packages.py [--manager apt|dnf|pacman|brew] [GROUP...]: the packages of tools.

They stand in tangle/packages.tsv; without GROUP, what a handout needs.
"""
import argparse
import pathlib

TABLE = pathlib.Path(__file__).resolve().parent.parent / "tangle/packages.tsv"
MANAGERS = ["apt", "dnf", "pacman", "brew"]
HANDOUT = ["build", "qemu", "bochs", "gdb", "grade"]


def packages(groups=HANDOUT, manager="apt"):
    """Sorted names; no group may be unknown."""
    rows = [line.split("\t") for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    unknown = set(groups) - {row[0] for row in rows}
    if unknown:
        raise SystemExit(f"packages.py: no such group in {TABLE.name}: {', '.join(sorted(unknown))}")
    column = 2 + MANAGERS.index(manager)
    return sorted({name for row in rows if row[0] in groups for name in row[column].split() if name != "-"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manager", choices=MANAGERS, default="apt")
    parser.add_argument("groups", nargs="*", default=HANDOUT, metavar="GROUP")
    options = parser.parse_args()
    print(" ".join(packages(options.groups, options.manager)))
