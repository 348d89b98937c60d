"""Emulated machines in limits, for checks.

    with Machine(lab, "bochs", run="vmm", trace=True) as machine:
        machine.expect(r"vm\\$ ")
        state = machine.core()          # state.State: memory, as it is now
        exits = machine.exits()         # Bochs's own record, not the kernel's

A machine is started by the handout's makefile. It may use so much processor
time, print so much, write so much; then it is ended, and expect() fails.
"""
import collections
import json
import os
import re
import shutil
import signal
import socket
import time

import pexpect

from grade import limit, slowness
from state import State

CPU_SECONDS = 40            # of the emulator: more than a wait, so that one that loops is there to be looked at
WALL_SECONDS = 20           # for one expect(), more on a busy computer
OUTPUT_MAX = 256 << 10
FILE_MAX = 512 << 20
FIFO = 8                    # characters typed at once

Exit = collections.namedtuple("Exit", "tick cpu reason name qualification")
EXIT = re.compile(r"(\d+)\w\[CPU(\d+) *\] VMEXIT reason = (\d+) \((.*?)\) qualification=(0x[0-9a-f]+)")
ESCAPES = re.compile(r"\x1b(\[[0-9;?=]*[A-Za-z]|c)")
# What no program recovers from: waiting for anything after it is in vain.
PANIC = re.compile(r"kernel panic on CPU \d+ at [^\r\n]*[\r\n]|(?:^|\n)K> ")


def patience():
    """Seconds that a wait may take: more while others use the processors."""
    return WALL_SECONDS * slowness()


class Machine:
    """lab: the submission (grade.Lab); emulator: "qemu" or "bochs"
    run: the program that the kernel starts, RUN of the makefile; None: its default
    cpus, mem: as the makefile has them
    cpu: a processor model of the emulator, bios: a BIOS file of Bochs's
    trace: let Bochs record what its processors do
    fs_img: the disk image, else a fresh copy of the tree's own
    seconds: of processor time that the emulator may use
    """

    def __init__(self, lab, emulator, run=None, cpus=1, mem="64M", cpu=None,
                 bios=None, trace=False, fs_img=None, seconds=CPU_SECONDS):
        self.lab, self.emulator, self.mem = lab, emulator, int(mem.removesuffix("M")) << 20
        self.folder = lab.scratch / f"machine-{time.monotonic_ns()}"
        self.folder.mkdir()
        self.output, self.closed, self.reached = "", False, 0
        run = run or "icode"
        kernel = f"obj/kern/kernel-{run}"
        lab.make(kernel + ".img", "obj/fs/clean-fs.img")
        self.kernel = lab.tree / kernel
        self.fs_img = self.folder / "fs.img"
        shutil.copy(fs_img or lab.tree / "obj/fs/clean-fs.img", self.fs_img)
        image = self.folder / "kernel.img"
        shutil.copy(lab.tree / f"{kernel}.img", image)
        variables = [f"IMG={image}", f"FS_IMG={self.fs_img}", f"CPUS={cpus}", f"MEM={mem}"]
        if emulator == "bochs":
            options = f"--core {self.folder}/core"
            options += f" --trace {self.folder}/trace" if trace else ""
            options += f" --cpu {cpu}" if cpu else ""
            options += f" --bios {bios}" if bios else ""
            target, variables = "bochs", variables + [f"BOCHSOPTS={options}"]
        else:
            target = "qemu-nox"
            variables.append(f"QEMUEXTRA=-qmp unix:{self.folder}/qmp,server=on,wait=off")
            variables += [f"QEMUCPU={cpu}"] if cpu else []
        self.child = pexpect.spawn(
            shutil.which("make"), ["--no-print-directory", "-s", target, *variables],
            cwd=str(lab.tree), encoding="utf-8", codec_errors="replace", timeout=None,
            dimensions=(50, 200), env={**os.environ, "TERM": "dumb"},
            preexec_fn=limit(seconds, FILE_MAX))
        self.child.delaybeforesend = None
        self.child.logfile_read = self

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()

    # pexpect writes what it reads to its log: here.
    def write(self, text):
        self.output += ESCAPES.sub("", text).replace("\r", "")
        if len(self.output) > OUTPUT_MAX:
            self.close()
            raise AssertionError(f"it printed more than {OUTPUT_MAX >> 10} KiB and was ended; "
                                 "the last lines:\n" + self.tail())

    def flush(self):
        pass

    def tail(self, lines=6):
        return "\n".join(line[:160] for line in self.output.splitlines()[-lines:])

    def expect(self, pattern, seconds=None, panic=False):
        """Wait for a regular expression (lines end in \\r\\n); the match.

        A kernel panic and the monitor's prompt end the wait, unless panic is
        true."""
        patterns = [pattern, pexpect.EOF, pexpect.TIMEOUT] + ([] if panic else [PANIC])
        found = self.child.expect(patterns, timeout=seconds or patience())
        if found == 0:
            return self.child.match
        why = {1: "the machine ended, or used up its time",
               2: f"nothing like that within {seconds or WALL_SECONDS:.0f} s"}.get(found)
        if why is None:
            why = "the kernel is in its monitor" if "K>" in self.child.match[0] else self.child.match[0].strip()
        raise AssertionError(f"waited for {pattern!r}: {why}; "
                             f"the last lines:\n{self.tail()}")

    def type(self, text):
        """Type text; Enter is \\r."""
        for start in range(0, len(text), FIFO):
            if start:
                time.sleep(0.1)
            self.child.send(text[start:start + FIFO])

    def core(self):
        """The machine's memory as it is now; the machine ends."""
        core = self.folder / "core"
        if self.emulator == "qemu":
            try:
                self.dump(core)
            except (OSError, ValueError):
                pass            # it has ended
            self.close()
        else:
            self.leave()
        if not core.exists() or core.stat().st_size < self.mem:
            raise AssertionError("the machine's memory couldn't be read; the last lines:\n" + self.tail())
        return State(core, self.kernel, self.lab.tree)

    def leave(self):
        """End Bochs as a person does, so that it writes what it was asked for."""
        if not self.closed:
            self.child.send("\x03")
            self.child.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=patience())
            self.close()

    def dump(self, core):
        import importlib.util
        spec = importlib.util.spec_from_file_location("core", self.lab.tree / "tools/core.py")
        tool = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(tool)
        with socket.socket(socket.AF_UNIX) as qmp:
            qmp.settimeout(patience())
            qmp.connect(str(self.folder / "qmp"))
            answers = qmp.makefile()
            answers.readline()
            for command in ({"execute": "qmp_capabilities"}, {"execute": "stop"},
                            {"execute": "pmemsave", "arguments": {
                                "val": 0, "size": self.mem, "filename": str(self.folder / "memory")}}):
                qmp.sendall(json.dumps(command).encode())
                while True:
                    answer = json.loads(answers.readline())
                    if "error" in answer:
                        raise AssertionError(f"QEMU: {answer['error']}")
                    if "return" in answer:
                        break
        tool.write_core(self.folder / "memory", core)

    def exits(self):
        """The VM exits that Bochs has recorded, in order; the machine ends."""
        return [Exit(int(m[1]), int(m[2]), int(m[3]), m[4], int(m[5], 16))
                for m in map(EXIT.match, self.trace()) if m]

    def trace(self):
        """The lines of Bochs's record; the machine ends."""
        self.leave()
        with open(self.folder / "trace", errors="replace") as file:
            yield from file

    def close(self):
        if self.closed:
            return
        self.closed = True
        try:
            os.killpg(self.child.pid, signal.SIGTERM)
            self.child.logfile_read = None
            self.child.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=5)
            os.killpg(self.child.pid, signal.SIGKILL)
        except (ProcessLookupError, OSError):
            pass
        self.child.close(force=True)
