#!/usr/bin/env python3
"""Run the demo of a lecture: demo.py [--auto] NN

The steps stand in chapters/lectures.yaml: what to say, what to type, what must
be seen. At a terminal the instructor goes from step to step:
    Space, Enter  on          i  the keyboard is yours (Ctrl-T gives it back)
    s             next scene  q  end
Without a terminal, or with --auto, nothing waits for a key, and the demo fails
when something isn't seen.
"""
import argparse
import functools
import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import textwrap
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT / "woven")]

import pexpect  # noqa: E402  (the paths above come first)

import lectures  # noqa: E402
from book import BookError  # noqa: E402
from emulator import KERNEL, SPEED, Machine, plain  # noqa: E402

PATIENCE = 60                           # seconds until something must be seen
PROMPT = "K> "                          # where a scene names no other
BACK = "\x14"                           # Ctrl-T
KEYS = {"^]": "\x1d"}


class Missing(Exception):
    """A demo didn't show what it should."""


class Quit(Exception):
    """The instructor has seen enough."""


class NextScene(Exception):
    """The instructor skips what is left of a scene."""


def pattern(line):
    """A line that must be seen, as a regular expression: … is anything."""
    return r"[^\n]*".join(re.escape(part) for part in line.strip().split("…"))


class Stage:
    """Where a demo is seen: a terminal, or a log."""

    def __init__(self, out=sys.stdout, keys=None):
        self.out = out
        self.keys = keys                # a terminal's input, or None
        self.colour = keys is not None and not os.environ.get("NO_COLOR")
        self.column = ""                # of the machine, since its last new line
        self.held = ""

    def paint(self, code, text):
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def machine(self, text):
        """What the machine prints, as it comes."""
        # An escape sequence may come in two pieces.
        text = self.held + text
        cut = re.search(r"(\x1b(\[[0-9;?=]*)?)?$", text).start()
        text, self.held = plain(text[:cut]), text[cut:]
        self.out.write(text)
        self.out.flush()
        self.column = (self.column + text).rsplit("\n", 1)[-1]

    def end_line(self):
        if self.column:
            self.out.write("\n")
        self.column = self.held = ""

    def tell(self, text, code="36", mark="▌"):
        """The narrator's lines; then the machine's last line once more, for
        what is typed next belongs to it."""
        if self.column:
            self.out.write("\n")
        width = min(shutil.get_terminal_size((80, 24)).columns, 90) - 3
        for paragraph in text.strip().split("\n"):
            for line in textwrap.wrap(paragraph, width) or [""]:
                self.out.write(self.paint(code, f"{mark} {line}") + "\n")
        self.out.write(self.column)
        self.out.flush()

    def alarm(self, text):
        self.tell(text, "1;31", "✗")

    def pause(self, machine=None):
        """Until the instructor wants to go on; the machine goes on meanwhile.
        A mark behind the last line says that a key is waited for."""
        if self.keys is None:
            return
        with Raw(self.keys):
            key = self.wait(machine)
            if key in "q\x03\x04":
                raise Quit
            if key == "s":
                raise NextScene
            if key == "i" and machine:
                machine.hand_over(self.keys)
        if key == "i":
            self.pause(machine)

    def wait(self, machine):
        """The first key that means something."""
        while True:
            self.out.write("\x1b7 " + self.paint("7", "▸") + "\x1b8")
            self.out.flush()
            fds = [self.keys] + ([machine.child.child_fd] if machine and machine.alive() else [])
            ready, _, _ = select.select(fds, [], [])
            self.out.write("\x1b[K")
            if len(fds) > 1 and fds[1] in ready:
                machine.breathe(0.01)
            if self.keys in ready:
                key = os.read(self.keys.fileno(), 1).decode(errors="replace") or "q"
                if key in " \r\nqsi\x03\x04":
                    return key


class Shown(Machine):
    """A machine whose output is seen as it comes."""

    def __init__(self, stage, *args, **kwargs):
        self.stage = stage
        self.ending = False
        self.mark = 0                   # the log's length when a line was typed last
        super().__init__(*args, **kwargs)

    def write(self, text):
        super().write(text)
        if not self.ending:
            self.stage.machine(text)

    def close(self):
        self.ending = True              # an emulator's last words are no part of the demo
        super().close()

    def breathe(self, seconds):
        """Let the machine go on printing; is it still there?"""
        try:
            return self.child.expect([pexpect.TIMEOUT, pexpect.EOF], timeout=seconds) == 0
        except OSError:
            return False

    def settle(self):
        """Let it say what it has to say."""
        until = time.monotonic() + 3
        length = None
        while length != len(self.log) and time.monotonic() < until:
            length = len(self.log)
            if not self.breathe(0.3):
                return

    def alive(self):
        return not self.child.closed and self.child.isalive()

    def hand_over(self, keys):
        """Everything typed goes to the machine, until Ctrl-T."""
        self.stage.tell("The keyboard is yours. Ctrl-T goes on with the demo.", "35")
        while self.alive():
            ready, _, _ = select.select([keys, self.child.child_fd], [], [])
            if self.child.child_fd in ready and not self.breathe(0.01):
                break
            if keys in ready:
                typed = os.read(keys.fileno(), 100).decode(errors="replace")
                self.send(typed.split(BACK)[0])
                if BACK in typed:
                    break
        # What comes next looks for its prompt in the last line.
        self.mark = max(0, len(self.log) - len(self.stage.column) - 2)
        self.stage.tell("Back to the demo.", "35")


class Scene:
    """A machine of a demo and what is done with it."""

    def __init__(self, scene, tree, stage):
        self.scene, self.stage = scene, stage
        self.live = stage.keys is not None
        self.prompt = scene.get("prompt", PROMPT)
        self.machine = Shown(stage, tree, scene["run"], cpus=scene.get("cpus", 1),
                             mem=scene.get("mem"), timeout=PATIENCE,
                             **scene.get("vars", {}))

    def since(self):
        """What the machine has said since a line was typed last."""
        return plain(self.machine.log[self.machine.mark:])

    def wait(self, found, what, seconds):
        """Wait until FOUND says that it's there."""
        until = time.monotonic() + seconds * SPEED
        while not found():
            alive = self.machine.breathe(0.05)
            if found():
                return
            if not alive or time.monotonic() > until:
                raise Missing(f"not seen{'' if alive else ' before the machine ended'}: {what}")

    def see(self, lines, seconds):
        """Wait for lines in this order, whatever stands between them. The
        kernel's own lines may stand in the middle of one, or be one."""
        at = {"all": 0, "programs": 0}

        def found():
            for kind, text in (("all", self.since()), ("programs", KERNEL.sub("", self.since()))):
                hit = re.compile(pattern(line)).search(text, at[kind])
                if hit:
                    at[kind] = hit.end()
                    return True
            return False
        for line in lines:
            self.wait(found, line, seconds)

    def type(self, step, seconds):
        """Type as a person does, when the prompt is there."""
        prompt = step.get("at", self.prompt)
        self.wait(lambda: prompt in self.since(), f"the prompt {prompt}", seconds)
        self.stage.pause(self.machine)
        self.machine.mark = len(self.machine.log)
        if "key" in step:
            self.machine.send(KEYS.get(step["key"], step["key"]))
            return
        for letter in step["type"]:
            self.machine.send(letter)
            if self.live:
                self.machine.breathe(0.04)
        self.machine.send("\r")

    def step(self, step):
        seconds = step.get("wait", PATIENCE)
        if self.live:
            self.machine.settle()
        types = "type" in step or "key" in step
        if "say" in step:
            self.stage.tell(step["say"])
            if not types:
                self.stage.pause(self.machine)
        if types:
            self.type(step, seconds)
        if "see" in step:
            self.see(step["see"], seconds)

    def play(self):
        steps = self.scene["steps"]
        for step, after in zip(steps, [*steps[1:], {"say": "end"}]):
            try:
                self.step(step)
            except Missing as missing:
                if not self.live:
                    raise
                self.stage.alarm(str(missing))
            if self.live and "see" in step and "say" in after:
                self.machine.settle()           # what was seen is talked about first
                self.stage.pause(self.machine)


class Raw:
    """A terminal that gives each key at once and echoes none."""

    def __init__(self, keys):
        self.keys = keys

    def __enter__(self):
        import termios
        import tty
        self.before = termios.tcgetattr(self.keys)
        tty.setcbreak(self.keys)
        mode = termios.tcgetattr(self.keys)
        mode[0] &= ~termios.ICRNL
        mode[3] &= ~termios.ISIG
        termios.tcsetattr(self.keys, termios.TCSADRAIN, mode)

    def __exit__(self, *_):
        import termios
        termios.tcsetattr(self.keys, termios.TCSADRAIN, self.before)


def command(scene):
    """What a person would type to start this machine."""
    words = ["make", scene["run"]]
    for name in ("cpus", "mem"):
        if name in scene:
            words.append(f"{name.upper()}={scene[name]}")
    words += [f"{name}={value}" for name, value in scene.get("vars", {}).items()]
    return " ".join(words)


@functools.lru_cache(maxsize=None)
def tangled(name, stage):
    """The folder of a tree, tangled and built now."""
    stage.tell(f"(building tangle/{name})", "2", "·")
    make = {"jos": ["tangle"]}.get(name)
    if name.startswith("upto-"):
        make = ["tangle", "UPTO=" + name[len("upto-"):]]
    elif name.startswith("lab"):
        make = ["handout", "LAB=" + name[len("lab"):]]
    folder = ROOT / "tangle" / name
    for words, where in ((make, ROOT), (["-j2"], folder)):
        done = subprocess.run(["make", "-s", *words], cwd=where, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            sys.exit(f"make {' '.join(words)} failed:\n{done.stdout}")
    return folder


def run(lecture, stage, tree=None):
    """Play all scenes of a lecture's demo. TREE gives the folder of a tree."""
    stage.tell(f"Lecture {lecture['number']}: {lecture['title']}", "1")
    scenes = lecture["demo"]
    for number, scene in enumerate(scenes, 1):
        folder = tree(scene["tree"]) if tree else tangled(scene["tree"], stage)
        stage.tell(f"{number} of {len(scenes)}, in tangle/{scene['tree']}: {command(scene)}", "1;33", "$")
        try:
            stage.pause()
            show(Scene(scene, folder, stage))
        except NextScene:
            pass
        except Quit:
            break
        finally:
            stage.end_line()
    stage.tell("End of the demo.", "1")


def show(scene):
    """Play a scene and end its machine."""
    asked = None
    with scene.machine:                 # it shows its console after other exceptions
        try:
            scene.play()
        except (NextScene, Quit) as key:
            asked = key
    if asked:
        raise asked


def main():
    parser = argparse.ArgumentParser(description="Run the demo of a lecture.")
    parser.add_argument("lecture", type=int)
    parser.add_argument("--auto", action="store_true", help="wait for no key")
    parser.add_argument("--trees", type=pathlib.Path, help="where the trees stand, built already")
    args = parser.parse_args()
    try:
        all_lectures = lectures.read(str(ROOT / "chapters/lectures.yaml"))
    except BookError as error:
        sys.exit("demo: " + str(error).replace("\n", "\ndemo: "))
    if not 1 <= args.lecture <= len(all_lectures):
        sys.exit(f"demo: lectures are 1 to {len(all_lectures)}")
    auto = args.auto or not (sys.stdin.isatty() and sys.stdout.isatty())
    stage = Stage(keys=None if auto else sys.stdin)
    if not auto:
        stage.tell("Space or Enter: on.  i: the keyboard is yours.  s: next scene.  q: end.", "2", "·")
    try:
        run(all_lectures[args.lecture - 1], stage, tree=args.trees and args.trees.joinpath)
    except Missing as missing:
        stage.alarm(str(missing))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
