#!/usr/bin/env python3
"""autograder.py [--prepare] FOLDER: grade what is in FOLDER/submission.

FOLDER is Gradescope's /autograder; this file stands in FOLDER/source, beside
grader/ (a handout's tools/grade), perhaps hidden/, and what grade-all is made
of. The results go to FOLDER/results/results.json. --prepare builds the handout
into FOLDER/cache, and fails if the grader doesn't work.
"""
import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import grade_all  # noqa: E402

SECONDS = 540       # Gradescope ends an autograder after ten minutes, unless told


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("folder", type=pathlib.Path)
    options = parser.parse_args()
    options.force, options.sandbox, options.limit = True, False, SECONDS
    top = options.folder.resolve()
    hidden = HERE / "hidden"
    grader = grade_all.Grader(HERE / "grader", hidden if hidden.is_dir() else None)
    cache = top / "cache"
    if options.prepare:
        cache.mkdir(exist_ok=True)
    if cache.is_dir():
        os.environ["GRADE_CACHE"] = str(cache)
    grade_all.adopt_orphans()
    grade_all.on_signals(grade_all.stop)
    if options.prepare:
        grade_all.warm_up(grader, options)
        return
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="jos-class-"))
    try:
        results, text = grade_all.grade((top / "submission").resolve(), grader, options, scratch, None)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    remarks = results.pop("extra_data")["remarks"]
    results["output"] = "\n".join(remarks)
    results["stdout_visibility"] = "hidden"
    (top / "results").mkdir(exist_ok=True)
    grade_all.write(top / "results/results.json", json.dumps(results, indent=1) + "\n")
    print(text)


if __name__ == "__main__":
    try:
        main()
    except grade_all.Stopped:
        sys.exit(124)
