#!/usr/bin/env python3
"""What JOS costs, in instructions, beside the published JOS.

Bochs's clock is set to run by instructions alone (4 million a second,
sync=none, a fixed time of day), so its time-stamp counter gives the same
number in every run and on every machine.  The table goes to the terminal and,
for the book, to woven/costs.tsv; what has no published counterpart goes to
woven/exits.tsv.
"""
import argparse
import pathlib
import re
import shutil
import sys
import tempfile

from emulator import Machine
from trees import ROOT, planted, run, tree

PUBLISHED = ROOT / "tests/published-costs.tsv"
OUT = ROOT / "woven/costs.tsv"
DETAILS = ROOT / "woven/exits.tsv"
CLOCK = "--ips 4000000 --sync none"
VM = r"vm\$ "
LEAVE = "\x1d"
MEASURING = {"GUEST_KERNEL": "obj/guest/kern/kernel-bench"}


def published():
    """{name: (published ticks, what we reach for)}, in the file's order."""
    rows = [line.rstrip("\n").split("\t") for line in open(PUBLISHED)
            if not line.startswith("#")]
    return {name: (int(was), int(reach)) for name, was, reach in rows}


def run_once(jos, measuring, folder):
    """The ticks of each row, from one boot to each shell and one run of the
    benchmark program as the first environment after the file server, of the
    host and of the guest."""
    ticks = {}
    image = folder / "fs.img"
    shutil.copy(jos / "obj/fs/clean-fs.img", image)
    with Machine(jos, "bochs", fs_img=image, BOCHSOPTS=CLOCK,
                 timeout=300) as machine:
        machine.expect(r"\n\$ ")
        text = machine.command("ticks")
        ticks["power-on to shell"] = int(
            re.search(r"first prompt: (\d+)", text).group(1))
        machine.command("exitcost")
        ticks |= lines(machine, "guest: ")
    shutil.copy(jos / "obj/fs/clean-fs.img", image)
    with Machine(jos, "run-bench-bochs", fs_img=image, BOCHSOPTS=CLOCK,
                 timeout=300) as machine:
        machine.expect("bench: done")
        ticks |= lines(machine)
    shutil.copy(jos / "obj/fs/clean-fs.img", image)
    with Machine(jos, "run-vmm-bochs", fs_img=image, BOCHSOPTS=CLOCK,
                 timeout=300) as machine:
        machine.expect(VM)
        text = machine.command("ticks", VM)
        ticks["guest: power-on to vm$"] = int(
            re.search(r"first prompt: (\d+)", text).group(1))
    shutil.copy(measuring / "obj/fs/clean-fs.img", image)
    with Machine(measuring, "run-vmm-bochs", fs_img=image, BOCHSOPTS=CLOCK,
                 timeout=300, **MEASURING) as machine:
        machine.expect("bench: done")
        ticks |= lines(machine, "guest: ")
    return ticks


def measuring_tree(jos, folder):
    """A copy of the tree whose guest begins with the benchmark, since a key
    that somebody types comes at another moment in each run."""
    copy = folder / "measuring"
    shutil.copytree(jos, copy, symlinks=True)
    run(["make", "-j2", *(f"{k}={v}" for k, v in MEASURING.items())],
        cwd=copy)
    return copy


def lines(machine, prefix=""):
    """The figures that a benchmark program has printed."""
    return {prefix + name: int(count) for name, count in
            re.findall(r"bench: (.+?) +(\d+)\n", machine.output())}


# What makes the kernel count each VMREAD and VMWRITE, and tell.
COUNTING = (
    ("vmm/vmcs.h", r"(static inline bool\nvmcs_try_read)",
     r"extern uint64_t vmcs_reads, vmcs_writes;\n\1"),
    ("vmm/vmcs.h", r'(\tasm volatile\("vmread)', r"\tvmcs_reads++;\n\1"),
    ("vmm/vmcs.h", r'(\tasm volatile\("vmwrite)', r"\tvmcs_writes++;\n\1"),
    ("vmm/vmcs.c", r"\Z", r"uint64_t vmcs_reads, vmcs_writes;\n"),
    ("vmm/trace.c", r"(#include <vmm/[a-z]+.h>)",
     r"#include <vmm/vmcs.h>\n\1"),
    ("vmm/trace.c", r'(\n\tcprintf\("guest %08x %s exits)',
     r'\n\tcprintf("exit VMREAD count %lu\\nexit VMWRITE count %lu\\n",'
     r"\n\t    vmcs_reads, vmcs_writes);\1"),
)


def count(machine, guest=""):
    """What the monitor's `exits` counts of a guest; the host's shell is at
    its prompt, and a program that stops in the monitor leads there."""
    machine.send("breakpoint\r")
    machine.expect("K> ")
    text = machine.command(f"exits {guest}", "K> ")
    machine.send("continue\r")
    machine.expect(r"\$ ")
    return {name: int(count) for name, count in re.findall(
        r"(?:exit|hypercall) (\w+) count (\d+)\n", text)}


def count_vmcs_accesses(jos, image):
    """(name, accesses to the VMCS) for the round trip of an empty VMCALL."""
    with Machine(jos, "bochs", fs_img=image, BOCHSOPTS=CLOCK,
                 timeout=300) as machine:
        machine.expect(r"\n\$ ")
        counts = []
        for rounds in (1000, 2000, 4000):
            machine.command(f"exitcost {rounds}")
            counts.append(count(machine))
    for name in ("VMREAD", "VMWRITE"):
        a, b, c = (seen[name] for seen in counts)
        yield f"{name}s of an empty VMCALL", round((c - b - (b - a)) / 2000)


def start_guest(machine):
    """Start a guest from the host's shell; return its number in the kernel
    when it is at its own shell's prompt, and we are at the host's."""
    machine.command("vmm", VM)
    machine.send(LEAVE)
    machine.expect(r"guest ([0-9a-f]{8}) goes on")
    guest = machine.child.match.group(1)
    machine.expect(r"\$ ")
    return guest


def with_manager(machine, orders):
    """Give vmmanager orders: pairs of what is typed and what comes."""
    for line, answer in [("vmmanager", "vm> "), *orders,
                         ("quit", r"\$ ")]:
        machine.send(line if line == LEAVE else line + "\r")
        machine.expect(answer)


def count_exits(jos, image):
    """(name, count) for the exits of a guest's boot and of its disk."""
    with Machine(jos, "bochs", fs_img=image, BOCHSOPTS=CLOCK,
                 timeout=300) as machine:
        machine.expect(r"\n\$ ")
        for what in ("write", "read"):
            guest = start_guest(machine)
            before = count(machine, guest)
            if what == "write":
                yield from ((f"{name}, launch to vm$", n) for name, n in
                            sorted(before.items(), key=lambda x: -x[1]))
            with_manager(machine, [
                ("attach 1", "brings you back"), ("", VM),
                (f"diskcost {what}", r"a MiB (\d+)"), ("", VM),
                (LEAVE, "vm> ")])
            ticks = re.findall(r"a MiB (\d+)", machine.output())[-1]
            yield f"{what} a MiB of the guest's disk, ticks", int(ticks)
            after = count(machine, guest)
            yield (f"{what} a MiB of the guest's disk, hypercalls",
                   sum(after.get(n, 0) - before.get(n, 0)
                       for n in ("IPCSEND", "IPCRECV")))
            with_manager(machine, [("end 1", "vm> ")])


def details(jos, folder):
    """(name, figure) for what has no published counterpart."""
    image = folder / "fs.img"
    shutil.copy(jos / "obj/fs/clean-fs.img", image)
    counting = planted(jos, folder, *COUNTING, count=1)
    yield from count_vmcs_accesses(counting, image)
    shutil.copy(jos / "obj/fs/clean-fs.img", image)
    yield from count_exits(jos, image)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    jos = tree("jos")
    results = []
    place = tempfile.TemporaryDirectory()
    measuring = measuring_tree(jos, pathlib.Path(place.name))
    for n in range(runs):
        print(f"run {n + 1} of {runs} in Bochs (about fifteen seconds) ...",
              file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            results.append(run_once(jos, measuring,
                                    pathlib.Path(folder)))
    rows = published()
    lines = [f"{'':32}{'ticks':>12}{'published':>12}{'ratio':>8}{'reach':>12}"]
    same, data = True, []
    for name, (was, reach) in rows.items():
        seen = {r.get(name) for r in results}
        count = results[0].get(name)
        if count is None:
            sys.exit(f"bench: the program printed no line for {name!r}")
        note = "" if count <= reach else "  over the reach"
        if len(seen) > 1:
            same, note = False, note + f"  runs differ: {sorted(seen)}"
        lines.append(f"{name:32}{count:12,}{was:12,}{was / count:7.1f}x"
                     f"{reach:12,}{note}")
        data.append(f"{name}\t{count}\t{was}\t{reach}\n")
    print("\n".join(lines))
    OUT.write_text("# name\tticks\tpublished\treach\n" + "".join(data))
    print(f"\nThe same in {runs} runs: {'yes' if same else 'NO'}. "
          f"Written to {OUT.relative_to(ROOT)}.")
    with tempfile.TemporaryDirectory() as folder:
        figures = list(details(jos, pathlib.Path(folder)))
    print("\n" + "\n".join(f"{name:50}{n:12,}" for name, n in figures))
    DETAILS.write_text("# name\tfigure\n" + "".join(
        f"{name}\t{n}\n" for name, n in figures))
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
