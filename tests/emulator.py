"""Drive a JOS machine in QEMU or Bochs through its serial console.

A machine is started as a person starts it: with a make target of a tangled
tree.  Tests type at it and wait for what it prints.
"""
import os
import re
import shutil
import signal
import sys
import time

import pexpect

# Escape sequences with which firmware clears a terminal.
ESCAPES = re.compile(r"\x1b(\[[0-9;?=]*[A-Za-z]|c)")
# The kernel's own lines about environments, which may stand in the middle of
# what a program prints.
KERNEL = re.compile(r"\[[0-9a-f]{8}\] (new env|exiting gracefully|free env|"
                    r"destroying)[^\n]*\n")
FIFO = 16
SPEED = float(os.environ.get("JOS_TEST_SLOWDOWN", "1"))


def plain(text):
    """The text as a person sees it: no escape sequences, no carriage
    returns."""
    return ESCAPES.sub("", text).replace("\r", "")


class Machine:
    """A running machine.  Use it in a with statement.

    tree: the folder of a tangled tree, already built or not
    target: make target, such as qemu-nox, bochs, run-hello-nox
    cpus, mem: as the makefile takes them; other makefile variables as
        keywords (QEMUCPU="pentium3")
    fs_img: a file system image to use in place of the tree's own
    timeout: seconds that any one wait may take
    """

    def __init__(self, tree, target="qemu-nox", cpus=1, mem=None,
                 fs_img=None, timeout=60, **variables):
        args = ["--no-print-directory", "-s", target, f"CPUS={cpus}"]
        if mem:
            args.append(f"MEM={mem}")
        if fs_img:
            args.append(f"FS_IMG={fs_img}")
        args += [f"{name}={value}" for name, value in variables.items()]
        self.timeout = timeout * SPEED
        self.log = ""
        self.child = pexpect.spawn(
            shutil.which("make"), args, cwd=str(tree), encoding="utf-8",
            codec_errors="replace", timeout=self.timeout,
            dimensions=(50, 200), env={**os.environ, "TERM": "dumb"})
        self.child.delaybeforesend = None
        self.child.logfile_read = self

    # pexpect writes all that it reads to its log file: this object.
    def write(self, text):
        self.log += text

    def flush(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()
        if kind is not None:
            sys.stderr.write("\n--- console ---\n" + self.output()[-4000:]
                             + "\n--- end of console ---\n")

    def output(self):
        """All that the machine has printed so far."""
        return plain(self.log)

    def expect(self, pattern, timeout=None):
        """Wait for a regular expression; return the match.  What came
        before it is in self.before."""
        self.child.expect(pattern, timeout=timeout or self.timeout)
        self.before = plain(self.child.before)
        return self.child.match

    def send(self, text):
        """Type text as it is; Enter is "\\r".

        Nobody types a line at once.  A serial port keeps 16 characters, and
        Bochs's, like a real one, loses what comes before they are read."""
        for start in range(0, len(text), FIFO // 2):
            if start:
                time.sleep(0.1)
            self.child.send(text[start:start + FIFO // 2])

    def command(self, text, prompt=r"\$ ", timeout=None):
        """Type a line, wait for the prompt, return what was printed in
        between, without the echo of the line itself and without what the
        kernel says of new and dead environments."""
        self.send(text + "\r")
        self.expect(r"\r\n", timeout)
        self.expect(prompt, timeout)
        return KERNEL.sub("", self.before)

    def finish(self, timeout=None):
        """Wait until the emulator ends by itself; return its status."""
        self.child.expect(pexpect.EOF, timeout=timeout or self.timeout)
        self.child.close()
        return self.child.exitstatus

    def close(self):
        """End the emulator: it and everything that make started for it."""
        if self.child.isalive():
            os.killpg(self.child.pid, signal.SIGTERM)
            try:
                self.child.expect(pexpect.EOF, timeout=30)
            except (pexpect.TIMEOUT, OSError):
                os.killpg(self.child.pid, signal.SIGKILL)
        self.child.close(force=True)
