#!/usr/bin/env python3
"""pack.py [--seed S] [--hidden DIR] LAB FILE.zip: an autograder for Gradescope.

The same book gives the same bytes.
"""
import argparse
import pathlib
import sys
import tempfile
import zipfile

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
LABS = HERE.parent
sys.path.insert(0, str(LABS))

from handout import fail, read_labs, shown, write_handout  # noqa: E402
from packages import packages  # noqa: E402


def members(stage, lab, seed, hidden):
    """{name in the zip: bytes}."""
    own = f"lab{lab}"
    if hidden and not (hidden / f"{own}.py").is_file():
        fail(f"{shown(hidden)}: no hidden checks of lab {lab} ({own}.py) in it")
    write_handout(stage / "handout", lab, seed)
    found = {}
    for name in ("run_autograder", "autograder.py"):
        found[name] = (HERE / name).read_bytes()
    found["setup.sh"] = (HERE / "setup.sh").read_text().replace("@PACKAGES@", " ".join(packages())).encode()
    for name in ("grade_all.py", "intake.py"):
        found[name] = (LABS / name).read_bytes()

    def add(top, folder, wanted=lambda name: True):
        for path in folder.rglob("*"):
            name = str(path.relative_to(folder))
            if path.is_file() and "__pycache__" not in path.parts and wanted(name):
                found[f"{top}/{name}"] = path.read_bytes()
    add("grader", stage / "handout/tools/grade")
    if hidden:
        add("hidden", hidden, lambda name: not name.startswith(("lab", "programs/lab"))
            or own in name.removesuffix(".py").split("/"))
    return found


def pack(path, found):
    """A zip whose bytes depend on nothing but its members."""
    part = path.with_name(f".{path.name}.part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(found):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3      # Unix: so that the rights count
            info.external_attr = (0o100755 if found[name].startswith(b"#!") else 0o100644) << 16
            archive.writestr(info, found[name])
    part.replace(path)
    print(f"{shown(path)}: {len(found)} files, {path.stat().st_size / 1e6:.1f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed")
    parser.add_argument("--hidden", type=pathlib.Path)
    parser.add_argument("lab")
    parser.add_argument("file", type=pathlib.Path)
    options = parser.parse_args()
    labs = read_labs()
    if options.lab not in map(str, labs):
        fail(f"LAB={options.lab}: there is no such lab; the labs are " + ", ".join(map(str, labs)))
    options.file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="jos-gradescope-") as stage:
        pack(options.file.absolute(), members(pathlib.Path(stage), int(options.lab), options.seed, options.hidden))


if __name__ == "__main__":
    main()
