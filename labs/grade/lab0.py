"""Lab 0: is envid2env right again, and was it known what was wrong?

Three machines. One boots to the shell; until it does, nothing else counts, for
much of a function with three mistakes is right without any work. One asks
envid2env itself, in a world of made-up environments; one runs a program that
makes system calls. What they find is compared with the contract, written down
here a second time, in Python.
"""
import hashlib
import re

import pytest

from machine import Machine
from plugin import check

FREE, DYING, RUNNABLE, RUNNING, NOT_RUNNABLE = range(5)     # ENV_* of inc/env.h
USER, FS, GUEST = 0, 1, 3                                   # ENV_TYPE_*
BAD_ENV = -2
NOBODY, ELSEWHERE = -1, -2
CHAPTER = 7


# --- the contract

class World:
    """Environments by slot: (id, parent, status, type)."""

    def __init__(self, environments):
        self.at = {slot: rest for slot, *rest in environments}

    def find(self, caller, envid, checkperm):
        """The slot that envid2env finds, or None."""
        slot = caller if envid == 0 else envid & 1023
        found, parent, status, kind = self.at.get(slot, (0, 0, FREE, USER))
        if envid != 0 and (found != envid or status in (FREE, DYING)):
            return None
        allowed = slot == caller or parent == self.at[caller][0] or (
            kind == GUEST and self.find(caller, parent, False) is None)
        return slot if allowed or not checkperm else None


def make_world(random):
    """A world, and who is who in it."""
    high, middle = random.randrange(769, 1024), random.randrange(257, 512)
    slots = iter(random.sample(sorted(set(range(1, 1024)) - {high, middle}), 30))
    who, environments = {}, []

    def add(name, parent, status=NOT_RUNNABLE, kind=USER, slot=None):
        slot = next(slots) if slot is None else slot
        # A generation whose number needs more than 16 bits.
        envid = random.randrange(20, 1 << 18) << 12 | slot
        who[name] = (slot, envid)
        environments.append((slot, envid, who[parent][1] if parent else 0, status, kind))
    add("first", None, slot=0)
    add("root", None)
    add("caller", "root", RUNNING)
    add("child", "caller")
    add("runnable child", "caller", RUNNABLE)
    add("running child", "caller", RUNNING)
    add("server child", "caller", kind=FS)
    add("high child", "caller", slot=high)
    add("middle child", "caller", slot=middle)
    add("grandchild", "child")
    add("brother", "root")
    add("running brother", "root", RUNNING)
    add("stranger", "brother")
    add("runnable stranger", "brother", RUNNABLE)
    add("root stranger", None)
    add("free child", "caller", FREE)
    add("dying child", "caller", DYING)
    add("free stranger", "brother", FREE)
    add("dying stranger", "brother", DYING)
    add("guest", "caller", kind=GUEST)
    add("stranger's guest", "brother", kind=GUEST)
    add("kernel's guest", None, kind=GUEST)
    add("orphan", "free stranger", kind=GUEST)
    add("dying orphan", "free stranger", DYING, kind=GUEST)
    add("soon an orphan", "dying stranger", kind=GUEST)
    add("no orphan", "free stranger")
    return World(environments), who, environments


def make_questions(random, who):
    """(group, caller's slot, id, checkperm, in words)."""
    caller, questions = who["caller"], []

    def ask(group, words, envid, checkperm, by=caller):
        questions.append((group, by[0], (envid + (1 << 31)) % (1 << 32) - (1 << 31), checkperm,
                          f"id {words}, {'with' if checkperm else 'without'} checkperm"))
    for checkperm in (True, False):
        ask("self", "0", 0, checkperm)
        ask("self", "0, asked by a root", 0, checkperm, by=who["root"])
        ask("self", "of the caller", caller[1], checkperm)
        for name in who:
            if name in ("caller", "first", "root", "brother"):
                continue
            group = ("orphan" if "guest" in name or "orphan" in name else
                     "gone" if name.startswith(("free", "dying")) else
                     "child" if name.endswith("child") and name != "grandchild" else
                     "other" if checkperm else "named")
            ask(group, f"of a {name}", who[name][1], checkperm)
        for name, words in (("root", "of the caller's parent"), ("brother", "of its brother"),
                            ("first", "of the environment in slot 0")):
            ask("other" if checkperm else "named", words, who[name][1], checkperm)
        for name in ("caller", "child", "running child", "high child", "stranger"):
            envid = who[name][1]
            ask("old", f"of a {name}, of the generation before", envid - 0x1000, checkperm)
            ask("old", f"of a {name}, of the next generation", envid + 0x1000, checkperm)
            for bit in (10, 11, 16, 20, 30, 31):
                ask("old", f"of a {name} with bit {bit} changed", envid ^ 1 << bit, checkperm)
            ask("old", f"of a {name}, only its slot", envid & 1023 or 1, checkperm)
        for envid in (-1, -2, -(1 << 31), (1 << 31) - 1, 1, 1023, 1024):
            ask("old", f"{envid}", envid, checkperm)
        for _ in range(20):
            ask("old", "that nobody has", random.randrange(1, 1 << 31), checkperm)
    return questions


def header(environments, questions, nonce):
    """vmm/gradeworld.h for the kernel that asks."""
    text = ["#include <inc/env.h>", f"#define GRADE_NONCE 0x{nonce}UL",
            "struct Question { uint16_t caller; int32_t id; bool checkperm; };",
            "static const struct { uint16_t slot; int32_t id, parent; uint8_t status, type; } grade_world[] = {"]
    text += ["\t{ %d, %d, %d, %d, %d }," % environment
             for environment in environments]
    text += ["};", "static const struct Question grade_questions[] = {"]
    text += [f"\t{{ {caller}, (int32_t) {envid & 0xffffffff:#x}U, {int(perm)} }},"
             for _, caller, envid, perm, _ in questions]
    return "\n".join(text + ["};", ""])


# --- the machines

@pytest.fixture(scope="module")
def trouble(lab):
    """Why JOS doesn't boot to its shell, or an empty text."""
    lab.boot_trouble = ""
    try:
        boot(lab)
    except AssertionError as failed:
        lab.boot_trouble = str(failed).split("\nassert ")[0]
    return lab.boot_trouble


def boot(lab):
    """Boot JOS, run a program, and see who is there."""
    with Machine(lab, "qemu") as machine:
        machine.expect(r"\$ ")
        machine.type(f"echo {lab.nonce}\r")
        machine.expect(r"\n" + lab.nonce + r"\r\n")
        machine.expect(r"\$ ")
        state = machine.core()
    kinds = state.ask("[int(e['env_type']) for e in (envs[i] for i in range(1024)) if int(e['env_status']) != 0]",
                      setup="envs = gdb.parse_and_eval('env_array')")
    assert FS in kinds and len(kinds) > 2, f"the prompt is there, but of environments there are only {len(kinds)}"


@pytest.fixture(scope="module")
def booted(lab, trouble):
    assert_boots(lab)


def assert_boots(lab):
    assert not getattr(lab, "boot_trouble", ""), "not asked before JOS boots to its shell"


@pytest.fixture(scope="module")
def asked(lab, booted):
    """What envid2env said: for each group of questions, what was wrong."""
    return ask_world(lab, *make_world(lab.random), make_questions)


def ask_world(lab, world, who, environments, make):
    """Ask the questions of make; {group: [what was wrong]}, and how many."""
    questions = make(lab.random, who)
    (lab.tree / "vmm/gradeworld.h").write_text(header(environments, questions, lab.nonce))
    with Machine(lab, "qemu", run="epttest") as machine:
        machine.expect(rf"\nlab0: {lab.nonce}\r\n")
        state = machine.core()
    found = state.ask("""{
        'done': c('grade_done'),
        'answers': [(int(a['result']), int(a['slot'])) for a in (answers[i] for i in range(%d))],
        'envs': [[i, *(int(envs[i][f]) for f in ('env_id', 'env_parent_id', 'env_status', 'env_type'))] for i in %r],
        }""" % (len(questions), [e[0] for e in environments]),
        setup="answers = gdb.parse_and_eval('grade_answers')\nenvs = gdb.parse_and_eval('env_array')")
    assert found["done"] == int(lab.nonce, 16), "the questions weren't asked to the end"
    wrong = {}
    for (group, caller, envid, perm, words), (result, slot) in zip(questions, found["answers"]):
        right = world.find(caller, envid, perm)
        list_of = wrong.setdefault(group, [])
        if right is not None and (result, slot) != (0, right):
            list_of.append(f"{words}: returned {result}{whom(slot, environments)}; "
                           "it should be 0, and that environment")
        elif right is None and result >= 0:
            list_of.append(f"{words}: returned {result}{whom(slot, environments)}; it should be -E_BAD_ENV")
        list_of = wrong.setdefault("error", [])
        if right is None and (result, slot) != (BAD_ENV, NOBODY):
            list_of.append(f"{words}: returned {result}{whom(slot, environments)}; "
                           f"it should be {BAD_ENV} (-E_BAD_ENV), with *store NULL")
    before = sorted(map(list, environments))
    wrong["change"] = [f"slot {new[0]}: (id, parent, status, type) was {old[1:]}, is {new[1:]}"
                       for old, new in zip(before, sorted(found["envs"])) if old != new]
    return wrong


def whom(slot, environments):
    if slot == NOBODY:
        return " and NULL"
    if slot == ELSEWHERE:
        return " and stored nothing"
    return f" and the environment in slot {slot}"


def none_of(wrong, *groups):
    lines = [line for group in groups for line in wrong[group]]
    assert not lines, f"{len(lines)} wrong answers, the first:\n" + "\n".join(lines[:4])


@pytest.fixture(scope="module")
def program(lab, booted):
    """What a program was told by system calls, and who is there afterwards."""
    return run_program(lab, "gradeask")


def run_program(lab, name, **more):
    (lab.tree / "user/gradenonce.h").write_text(f'#define GRADE_NONCE "{lab.nonce}"\n')
    with Machine(lab, "qemu", run=name, **more) as machine:
        machine.expect(rf"\n{lab.nonce} done\r\n")
        state = machine.core()
    told = {name: int(value) for name, value in
            re.findall(rf"^{lab.nonce} ([\w-]+) (-?\d+)$", machine.output, re.M)}
    alive = state.ask("{int(e['env_id']): int(e['env_status']) for e in (envs[i] for i in range(1024))"
                      " if int(e['env_status']) != 0}", setup="envs = gdb.parse_and_eval('env_array')")
    return told, {int(envid): status for envid, status in alive.items()}


def compare(told, expected):
    wrong = [f"{name}: {told.get(name, 'not told')}; it should be {value}"
             for name, value in expected.items() if told.get(name) != value]
    assert not wrong, "\n".join(wrong[:6])


# --- the checks

@check(points=10, chapter=CHAPTER, help="the last lines on the console tell who got which answer; `make "
       "qemu-nox-gdb` and `make gdb`, then `break envid2env`, show the calls. All other checks wait for this one")
def test_boots_to_the_shell(trouble):
    assert not trouble, trouble


@check(points=6, chapter=CHAPTER, help="what does the contract say of the number 0, and of one's own?")
def test_the_caller_itself(asked):
    none_of(asked, "self")


@check(points=7, chapter=CHAPTER, help="whom may an environment act on besides itself? Whether that one runs, "
       "waits or is stopped makes no difference")
def test_children(asked):
    none_of(asked, "child")


@check(points=9, chapter=CHAPTER, help="parents, brothers, grandchildren and strangers: what does checkperm mean?")
def test_nobody_else_with_permission(asked):
    none_of(asked, "other")


@check(points=4, chapter=CHAPTER, help="without checkperm anybody can be named, for messages for instance")
def test_anybody_without_permission(asked):
    none_of(asked, "named")


@check(points=10, chapter=CHAPTER, help="a number has a slot and a generation; when is it the number of the one "
       "who has the slot now? The figure of an environment's number shows its bits")
def test_numbers_that_nobody_has(asked):
    none_of(asked, "old")


@check(points=7, chapter=CHAPTER, help="a slot keeps the number of its last owner; which states count as gone?")
def test_those_who_are_gone(asked):
    none_of(asked, "gone")


@check(points=3, chapter=24, help="guests: who may end one whose parent is no more?")
def test_orphans(asked):
    none_of(asked, "orphan")


@check(points=4, chapter=CHAPTER, help="what is returned, and stored, when there is no such environment?")
def test_errors(asked):
    none_of(asked, "error", "change")


@check(points=10, chapter=9, help="a program asked by system calls: tools/grade/programs/lab0/user/gradeask.c shows how")
def test_system_calls(program):
    told, alive = program
    compare(told, {
        "itself": 0, "itself-by-id": 0, "stopped-child": 0, "from-child": 0, "destroy": 0, "destroy-again": BAD_ENV,
        "same-slot": 1, "old-id": BAD_ENV, "old-id-destroy": BAD_ENV, "old-id-message": BAD_ENV,
        "high-bit": BAD_ENV, "low-bit": BAD_ENV, "negative": BAD_ENV, "fork": 1,
        "child-itself": 0, "child-itself-by-id": 0, "child-its-parent": BAD_ENV, "child-its-brother": BAD_ENV,
        "child-destroys-parent": BAD_ENV, "stranger": BAD_ENV, "stranger-stop": BAD_ENV, "stranger-destroy": BAD_ENV})
    for name, statuses in (("id-second", {NOT_RUNNABLE}), ("id-server", {RUNNABLE, RUNNING, NOT_RUNNABLE}),
                           ("id-child", {RUNNABLE, RUNNING, NOT_RUNNABLE}), ("id-self", {RUNNABLE, RUNNING, NOT_RUNNABLE})):
        assert alive.get(told.get(name)) in statuses, (
            f"{name}: the environment's status in the kernel's memory is {alive.get(told.get(name), 'free')}")


# --- the answers

@pytest.fixture(scope="module")
def answers(lab):
    """How many of the lines in answers.txt are right."""
    lines = (lab.tree / "answers.txt").read_text(errors="replace").splitlines()
    lines = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    assert lines, "answers.txt has no answers yet"
    assert len(lines) <= 3, f"answers.txt has {len(lines)} answers; three lines are wrong"
    right = set()
    for line in lines:
        match = re.fullmatch(r"(\d{1,5})\s*:\s*(.*)", line)
        assert match, f"answers.txt: {line[:60]!r}: it should be a number, a colon, and what is wrong"
        assert len(re.findall(r"\w+", match[2])) >= 3, f"answers.txt: {line[:60]!r}: a few words more, please"
        number = str(int(match[1])).encode()
        digest = hashlib.pbkdf2_hmac("sha256", number, lab.variant["salt"].encode(), 50_000).hex()[:32]
        right |= {digest} & set(lab.variant["answers"])
    return len(right)


LINES_HELP = ("the numbers are those of kern/env.c as it was handed out: git show handout:kern/env.c | less -N. "
              "What is wrong with a line is read by your instructor")


@check(points=10, chapter=CHAPTER, help=LINES_HELP)
def test_one_line_is_named(answers):
    enough(answers, 1)


@check(points=10, chapter=CHAPTER, help=LINES_HELP)
def test_two_lines_are_named(answers):
    enough(answers, 2)


@check(points=10, chapter=CHAPTER, help=LINES_HELP)
def test_three_lines_are_named(answers):
    enough(answers, 3)


def enough(answers, n):
    assert answers >= n, f"answers.txt: {answers} of the three lines are right"
