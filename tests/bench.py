#!/usr/bin/env python3
"""What JOS costs, in instructions, beside the published JOS.

Bochs's clock is set to run by instructions alone (4 million a second,
sync=none, a fixed time of day), so its time-stamp counter gives the same
number in every run and on every machine.  The table goes to the terminal and,
for the book, to woven/costs.tsv.
"""
import argparse
import pathlib
import re
import shutil
import sys
import tempfile

from emulator import Machine
from trees import ROOT, tree

PUBLISHED = ROOT / "tests/published-costs.tsv"
OUT = ROOT / "woven/costs.tsv"
CLOCK = "--ips 4000000 --sync none"


def published():
    """{name: (published ticks, what we reach for)}, in the file's order."""
    rows = [line.rstrip("\n").split("\t") for line in open(PUBLISHED)
            if not line.startswith("#")]
    return {name: (int(was), int(reach)) for name, was, reach in rows}


def run_once(jos, folder):
    """The ticks of each row, from one boot to the shell and one run of the
    benchmark program as the first environment after the file server."""
    ticks = {}
    image = folder / "fs.img"
    shutil.copy(jos / "obj/fs/clean-fs.img", image)
    with Machine(jos, "bochs", fs_img=image, BOCHSOPTS=CLOCK,
                 timeout=300) as machine:
        machine.expect(r"\n\$ ")
        text = machine.command("ticks")
        ticks["power-on to shell"] = int(
            re.search(r"first prompt: (\d+)", text).group(1))
    shutil.copy(jos / "obj/fs/clean-fs.img", image)
    with Machine(jos, "run-bench-bochs", fs_img=image, BOCHSOPTS=CLOCK,
                 timeout=300) as machine:
        machine.expect("bench: done")
        for name, count in re.findall(r"bench: (.+?) +(\d+)\n",
                                      machine.output()):
            ticks[name] = int(count)
    return ticks


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    jos = tree("jos")
    results = []
    for n in range(runs):
        print(f"run {n + 1} of {runs} in Bochs (about ten seconds) ...",
              file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            results.append(run_once(jos, pathlib.Path(folder)))
    rows = published()
    lines = [f"{'':24}{'ticks':>12}{'published':>12}{'ratio':>8}{'reach':>12}"]
    same, data = True, []
    for name, (was, reach) in rows.items():
        seen = {r.get(name) for r in results}
        count = results[0].get(name)
        if count is None:
            sys.exit(f"bench: the program printed no line for {name!r}")
        note = "" if count <= reach else "  over the reach"
        if len(seen) > 1:
            same, note = False, note + f"  runs differ: {sorted(seen)}"
        lines.append(f"{name:24}{count:12,}{was:12,}{was / count:7.1f}x"
                     f"{reach:12,}{note}")
        data.append(f"{name}\t{count}\t{was}\t{reach}\n")
    print("\n".join(lines))
    OUT.write_text("# name\tticks\tpublished\treach\n" + "".join(data))
    print(f"\nThe same in {runs} runs: {'yes' if same else 'NO'}. "
          f"Written to {OUT.relative_to(ROOT)}.")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
