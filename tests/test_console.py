"""The console of the book's first four chapters: both inputs, both outputs,
the line editor in the running kernel, the monitor's way out."""
import re
import time

import pexpect
import pytest

from emulator import Machine
from trees import tree

pytestmark = pytest.mark.slow


def test_backtrace_names_functions():
    with Machine(tree("upto-04")) as m:
        m.expect("K> ")
        shown = m.command("backtrace", prompt="K> ")
        frames = re.findall(r"rbp 0{6}80[0-9a-f]{8}  rip 0{6}80[0-9a-f]{8}  (\w+)\+\d+", shown)
        assert frames[:2] == ["monitor", "kern_init"]
        assert "?" not in shown


def test_pasted_text_arrives_whole():
    """Much more than the input ring and the serial chip hold."""
    with Machine(tree("upto-04")) as m:
        m.expect("K> ")
        m.send("".join(f"word{i}\r" for i in range(300)))
        for i in range(300):
            m.expect(f"Unknown command 'word{i}'\r\n")


@pytest.mark.parametrize("target", ["qemu-nox", "bochs"])
def test_poweroff(target):
    with Machine(tree("upto-04"), target, timeout=90) as m:
        m.expect("K> ")
        m.send("poweroff\r")
        assert m.finish() == 0


class Window:
    """QEMU without a serial port: keys go to its keyboard, text is read from
    the memory of its screen."""

    def __init__(self, folder):
        self.child = pexpect.spawn(
            "qemu-system-x86_64",
            ["-display", "none", "-serial", "none", "-monitor", "stdio", "-no-reboot",
             "-drive", f"file={folder}/obj/kern/kernel.img,format=raw,snapshot=on"],
            encoding="utf-8", timeout=30)
        self.child.expect(r"\(qemu\) ")

    def order(self, text):
        self.child.sendline(text)
        self.child.expect(r"\(qemu\) $")
        return self.child.before

    def rows(self):
        dump = self.order("xp /4000bx 0xb8000")
        cells = [int(b, 16) for line in dump.splitlines() if re.match(r"0*b[89]\w*:", line)
                 for b in re.findall(r"0x(\w\w)\b", line)]
        text = "".join(map(chr, cells[::2]))
        return [text[i:i + 80].rstrip() for i in range(0, len(text), 80)]

    def wait_for(self, row):
        for _ in range(100):
            if row in self.rows():
                return
            self.order("info status")
        raise AssertionError(f"no row {row!r} in\n" + "\n".join(self.rows()))

    def type(self, *keys):
        for key in keys:
            self.order(f"sendkey {key} 10")
            # A key must come up before the next goes down.
            time.sleep(0.05)


@pytest.fixture
def window():
    w = Window(tree("upto-04"))
    yield w
    w.child.close(force=True)


def test_keyboard_and_screen_without_serial_port(window):
    window.wait_for("K>")
    window.type(*"hexlp", "left", "left", "left", "delete", "ret")
    window.wait_for("K> help")
    window.wait_for("kerninfo     Show where the kernel is in memory")


def test_shift_caps_and_control(window):
    window.wait_for("K>")
    window.type("z", "ctrl-u", "shift-a", "caps_lock", "b", "shift-c", "1", "shift-1",
                "caps_lock", "d", "shift-slash", "ret")
    window.wait_for("Unknown command 'ABc1!d?'")
    window.type("up", "home", "shift_r-x", "end", "y", "backspace", "ret")
    window.wait_for("Unknown command 'XABc1!d?'")


def test_screen_scrolls(window):
    window.wait_for("K>")
    for _ in range(6):
        window.type(*"help", "ret")
    window.wait_for("K>")
    rows = window.rows()
    assert rows[-1] == "K>"
    assert rows[-2].startswith("poweroff ")
    assert rows[-6] == "K> help"
