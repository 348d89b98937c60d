#!/usr/bin/env python3
"""What JOS costs, in instructions, beside the published JOS.

Bochs's clock is set to run by instructions alone (4 million a second,
sync=none, a fixed time of day), so its time-stamp counter gives the same
number in every run and on every machine.  The table goes to the terminal and,
for the book, to woven/costs.tsv; what has no published counterpart goes to
woven/exits.tsv.  What the chapters quote of it is listed in quoted-costs.tsv,
and compared.
"""
import argparse
import pathlib
import re
import shutil
import sys
import tempfile

from emulator import Machine
from trees import ROOT, planted, run, tree, with_programs

PUBLISHED = ROOT / "tests/published-costs.tsv"
OUT = ROOT / "woven/costs.tsv"
DETAILS = ROOT / "woven/exits.tsv"
CLOCK = "--ips 4000000 --sync none"
VM = r"vm\$ "
LEAVE = "\x1d"
QUOTED = ROOT / "tests/quoted-costs.tsv"
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

# What makes the kernel tell a guest's exits when its shell prints the prompt;
# who asks after that counts how long the guest has waited for a key, too.
AT_PROMPT = (
    ("vmm/trace.c", r"static (void\nprint_log)", r"void print_log(envid_t guest, "
     r"const char *state, const struct ExitLog *log);\n\1"),
    ("vmm/vmexits.c", r"(/\*\n \* Hypercall PUTS)", r"extern void print_log(envid_t guest, "
     r"const char *state, const struct ExitLog *log);\n\1"),
    ("vmm/vmexits.c", r"(\tuart_print\(e, \(char \*\) KADDR)",
     r'\tif (n == 4 && memcmp((char *) KADDR(EPTE_ADDR(*epte)) + PGOFF(gpa),\n'
     r'\t    "vm$ ", 4) == 0)\n'
     r'\t\tprint_log(e->env_id, "at its prompt,",\n'
     r"\t\t    &e->env_vmxinfo.guest->log);\n\1"),
)

# What keeps the kernel from printing a line for each environment.
SILENT = tuple((path, r'cprintf\("\[%08x\] (new env|free env|exiting gracefu'
                      r'lly|destroying)[^;]*;', "(void) 0;")
               for path in ("kern/env.c", "kern/syscall.c"))

# What makes vmm say when it is where.
TELLING = (
    ("user/vmm.c", r"(\tguest = make_guest\(\);)",
     r'\tcprintf("bench: begins %lu\\n", read_tsc());\n\1'),
    ("user/vmm.c", r"(\tif \(r == 0 && make_disk)",
     r'\tcprintf("bench: loaded %lu\\n", read_tsc());\n\1'),
    ("user/vmm.c", r"(\tsys_env_set_status\(guest, ENV_RUNNABLE\);)",
     r'\tcprintf("bench: copied %lu\\n", read_tsc());\n\1'),
    ("user/vmm.c", r"\A", r"#include <inc/x86.h>\n"),
)


def count(machine, guest=""):
    """What the monitor's `exits` counts of a guest; the host's shell is at
    its prompt, and a program that stops in the monitor leads there."""
    machine.send("breakpoint\r")
    machine.expect("K> ")
    text = machine.command(f"exits {guest}", "K> ")
    machine.send("continue\r")
    machine.expect(r"\$ ")
    return counts_in(text)


def counts_in(text):
    return {name: int(count) for name, count in re.findall(
        r"(?:exit|hypercall) (\w+) count (\d+)\n", text)}


def count_boot(telling, image):
    """(name, count) for the exits of a guest from its launch to its prompt."""
    with Machine(telling, "run-vmm-bochs", fs_img=image, BOCHSOPTS=CLOCK,
                 timeout=300) as machine:
        machine.expect(VM)
        text = machine.output()
    counts = counts_in(text[text.rindex("at its prompt,"):])
    for name, n in sorted(counts.items(), key=lambda x: -x[1]):
        yield f"{name}, launch to vm$", n


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


def run_program(jos, program):
    """The figures that a program prints as the only one beside the file
    server."""
    with Machine(jos, f"run-{program}-bochs", BOCHSOPTS=CLOCK,
                 timeout=300) as machine:
        machine.expect("bench: done")
        return lines(machine)


def take_fork_apart(programs, folder):
    """(name, ticks) for a fork in a small program, and for its parts."""
    whole = "small fork, exit, wait"
    loud = run_program(programs, "smallfork")
    parts = run_program(planted(programs, folder, *SILENT), "smallfork")
    yield whole, loud[whole]
    yield "small fork: print a line", (loud[whole] - parts.pop(whole)) // 3
    yield from parts.items()


def take_start_apart(jos, folder):
    """(name, ticks) for the stretches from power-on to the guest's prompt."""
    telling = planted(jos, folder, *TELLING)
    image = folder / "fs.img"
    shutil.copy(telling / "obj/fs/clean-fs.img", image)
    with Machine(telling, "run-vmm-bochs", fs_img=image, BOCHSOPTS=CLOCK,
                 timeout=300) as machine:
        machine.expect(VM)
        at = lines(machine)
        text = machine.command("ticks", VM)
    end = int(re.search(r"first prompt: (\d+)", text).group(1))
    yield "start of a guest: the host boots", at["begins"]
    yield "start of a guest: it is loaded", at["loaded"] - at["begins"]
    yield "start of a guest: the image is copied", at["copied"] - at["loaded"]
    yield "start of a guest: it boots", end - at["copied"]


def read_a_mib(machine, prompt):
    """The ticks that diskcost needs to read its file."""
    return int(re.search(r"read a MiB (\d+)",
                         machine.command("diskcost", prompt)).group(1))


def move_a_mib(jos, image):
    """(name, ticks) for a MiB on the host's disk, and for reading one that
    count_exits has left in IMAGE, with nothing in a cache at first."""
    with Machine(jos, "bochs", fs_img=image, BOCHSOPTS=CLOCK,
                 timeout=300) as machine:
        machine.expect(r"\n\$ ")
        text = machine.command("diskcost write")
        yield ("write a MiB of the host's disk, ticks",
               int(re.search(r"a MiB (\d+)", text).group(1)))
    for where, target, prompt in (("host", "bochs", r"\n\$ "),
                                  ("guest", "run-vmm-bochs", VM)):
        with Machine(jos, target, fs_img=image, BOCHSOPTS=CLOCK,
                     timeout=300) as machine:
            machine.expect(prompt)
            for state in "first", "cached":
                yield (f"read a MiB of the {where}'s disk, {state}, ticks",
                       read_a_mib(machine, prompt))


def count_exits(jos, image):
    """(name, count) for the exits that a guest's disk costs."""
    with Machine(jos, "bochs", fs_img=image, BOCHSOPTS=CLOCK,
                 timeout=300) as machine:
        machine.expect(r"\n\$ ")
        for what in ("write", "read"):
            guest = start_guest(machine)
            before = count(machine, guest)
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
    """{name: figure} for what has no published counterpart."""
    image = folder / "fs.img"
    shutil.copy(jos / "obj/fs/clean-fs.img", image)
    counting = planted(jos, folder, *COUNTING, count=1)
    figures = dict(count_vmcs_accesses(counting, image))
    telling = planted(jos, folder / "prompt", *AT_PROMPT)
    shutil.copy(telling / "obj/fs/clean-fs.img", image)
    figures |= count_boot(telling, image)
    shutil.copy(jos / "obj/fs/clean-fs.img", image)
    figures |= count_exits(jos, image)
    figures |= move_a_mib(jos, image)
    for what in "write a MiB of the {}'s disk, ticks", \
            "read a MiB of the {}'s disk, first, ticks":
        more = figures[what.format("guest")] - figures[what.format("host")]
        figures[f"{what.split()[0]} a block, a guest's more"] = more // 256
    figures |= take_start_apart(jos, folder / "start")
    figures |= take_fork_apart(with_programs(), folder / "fork")
    return figures | run_program(with_programs(), "guestcosts")


def quotes():
    """(line, chapter, phrase, [(number as it is written, row)], tolerance in
    per cent) for each quotation of costs in the book."""
    for n, line in enumerate(QUOTED.read_text().splitlines(), 1):
        if line and not line.startswith("#"):
            chapter, phrase, rows, tolerance = line.split("\t")
            numbers = re.findall(r"\{(.*?)\}", phrase)
            rows = rows.split("; ")
            assert len(numbers) == len(rows), f"{QUOTED.name}:{n}: {line}"
            yield (n, chapter, re.sub(r"[{}]", "", phrase),
                   list(zip(numbers, rows)), float(tolerance))


def value(number):
    """What a number says that is written as 1,900 or 3.7 million, or as 3.7
    in a column of millions."""
    digits, _, unit = number.partition(" ")
    return float(digits.replace(",", "")) * (
        1e6 if unit == "million" or "." in digits else 1)


def wrong_quotes(figures):
    """What to say of each number that isn't what has been counted."""
    for n, chapter, phrase, numbers, tolerance in quotes():
        for number, row in numbers:
            if row not in figures:
                yield f"{QUOTED.name}:{n}: nothing counts {row!r}"
            elif abs(value(number) - figures[row]) > \
                    figures[row] * tolerance / 100:
                yield (f"{QUOTED.name}:{n}: chapter {chapter} says {number} "
                       f"in {phrase!r}: {row} is {figures[row]:,}")


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
        figures = details(jos, pathlib.Path(folder))
    print("\n" + "\n".join(f"{name:50}{n:12,}"
                            for name, n in figures.items()))
    DETAILS.write_text("# name\tfigure\n" + "".join(
        f"{name}\t{n}\n" for name, n in figures.items()))
    wrong = list(wrong_quotes(results[0] | figures | {
        f"published: {name}": was for name, (was, _) in rows.items()}))
    print("\n" + "\n".join(wrong or ["What the book quotes is right."]))
    sys.exit(0 if same and not wrong else 1)


if __name__ == "__main__":
    main()
