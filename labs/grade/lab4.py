"""The checks of lab 4: a disk, and JOS in JOS.

Four machines are run. Three have kernels and programs of the grader's own
(programs/lab4): ept_page_insert with a list of operations, on a processor
without VMX; lib/ipc.c and fs/vdisk.c, whose VMCALLs the grader's kernel takes;
messages between small guests and a file server that is the grader's. The
fourth is JOS in JOS; its disk is looked at afterwards.
"""
import re
import shutil
import struct
import subprocess

import pytest

from grade import slowness
from machine import Machine
from plugin import check

REGISTERS = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi")
SEND = {"to": "rbx", "value": "rcx", "page": "rdx", "perm": "rsi"}
RECV = {"page": "rbx", "value": "rsi"}
ERRORS = {"E_BAD_ENV": 2, "E_INVAL": 3, "E_NO_MEM": 4, "E_NO_SYS": 7, "E_IPC_NOT_RECV": 8,
          "E_NO_DISK": 10, "E_NOT_FOUND": 12}
NOTHING = 0x4e0714                  # a result that no function returns
UTOP = 0x8000000000 - (1 << 23)     # looked up in the tree, see files()
READ, WRITE, EXEC = 1, 2, 4
P, W, U = 1, 2, 4
PAGE = 4096


# --- what the grader adds to the tree

def registers(lab, call, book):
    return lab.variant.get("registers", {}).get(call, book)


def error(lab, name):
    """The number of an error, as functions return it."""
    return -lab.variant.get("errors", {}).get(name, ERRORS.get(name, 0))


def condition(lab, name, book):
    """The error that this class has for a condition of labs 1 and 2."""
    return error(lab, lab.variant.get("conditions", {}).get(name, book))


def inputs(lab):
    """The random numbers of this grading; the same for all checks."""
    if not hasattr(lab, "lab4_inputs"):
        random = lab.random
        lab.lab4_inputs = {
            "random": [random.getrandbits(62) | 1 << 61 for _ in range(4)],
            "word": int(lab.nonce, 16) >> 4 | 1 << 60,
            "blocks": [random.randrange(1, 900), random.randrange(1, 900), random.randrange(0x10001, 0xfff000)],
            "busy": random.randrange(3, 9),
            "motd": "motd " + lab.nonce,
            "file": (f"f{random.randrange(10 ** 6):06}", random.getrandbits(31), random.randrange(30000, 90000)),
            "ops": operations(random, 140, error(lab, "E_INVAL")),
        }
    return lab.lab4_inputs


def files(lab):
    """Sources with this grading's random numbers."""
    numbers = inputs(lab)
    send, recv = registers(lab, "IPCSEND", SEND), registers(lab, "IPCRECV", RECV)
    lines = [f"#define G4_RANDOM{n} {value}ULL" for n, value in enumerate(numbers["random"])]
    lines += [f"#define G4_BLOCK{n} {value}U" for n, value in enumerate(numbers["blocks"])]
    lines += [f"#define G4_PAGE_WORD {numbers['word']}UL", f"#define G4_BUSY {numbers['busy']}",
              f"#define G4_NOTHING {NOTHING}", f'#define G4_NONCE "{lab.nonce}"',
              f"#define G4_VALUE_REGISTER {REGISTERS.index(recv['value'])}",
              *(f"#define G4_SEND_{what.upper()} {send[what]}" for what in SEND),
              *(f"#define G4_RECV_{what.upper()} {recv[what]}" for what in RECV)]
    return {
        "inc/grade4_inputs.h": "\n".join(lines) + "\n",
        "vmm/grade4_ops.c": f'#include <vmm/grade4.h>\n\nconst char grade4_nonce[] = "{lab.nonce}";\n'
                            + table(numbers["ops"], "grade4_ops", "grade4_nops"),
    }


def memory(machine, end):
    """The machine's core; what its end was, if there is none."""
    try:
        return machine.core()
    except AssertionError:
        raise AssertionError(end) from None


def once(lab, name, run):
    """What run(lab) returns or raises; it's called once in a grading."""
    runs = lab.__dict__.setdefault("lab4_runs", {})
    if name not in runs:
        try:
            runs[name] = run(lab), None
        except Exception as why:        # else each check would run it again
            runs[name] = None, str(why) if isinstance(why, AssertionError) else f"{type(why).__name__}: {why}"
    value, why = runs[name]
    assert why is None, why
    return value


def ending(why):
    """What Machine.expect() says, without what it waited for."""
    return re.sub(r"(?s)^waited for (['\"]).*?\1: ", "", str(why))


# --- ept_page_insert: a list of operations, and a model of it

INSERT, REFS, DECREF, ALLOC = range(4)
PAGES, ROOTS, HELD = 8, 2, 6        # of the pages, the first 6 are the grader's own, too


def places(random):
    """Addresses that share tables with one another, or don't."""
    top, out = [random.randrange(512) for _ in range(2)], []
    for _ in range(10):
        out.append(random.choice(top) << 39 | random.choice((0, 3, 511)) << 30
                   | random.choice((0, 1, 509)) << 21 | random.choice((0, 7, 300, 511)) << 12)
    return out


def operations(random, n, invalid):
    """A list of (kind, root, page, perm, gpa, arg)."""
    somewhere, ops = places(random), []

    def rights():
        return READ | random.choice((0, WRITE, EXEC, WRITE | EXEC))

    def insert(page, gpa, perm=None, root=0, arg=0):
        ops.append((INSERT, root, page, perm or rights(), gpa, arg))
    # A page that is nowhere else goes to a place of its own, in its own place
    # with other rights, and makes room for another.
    for page in (6, 7):
        gpa = 0x123400000 + page * PAGE
        ops.append((ALLOC, 0, page, 0, 0, 0))
        insert(page, gpa, READ | WRITE | EXEC)
        insert(page, gpa, READ)
        insert(page, gpa, READ | WRITE)
        insert(page - 6, gpa)
    for _ in range(n):
        dice = random.randrange(20)
        root, page, gpa = random.randrange(ROOTS), random.randrange(HELD), random.choice(somewhere)
        if dice < 14:
            insert(page, gpa, root=root)
        elif dice == 14:
            insert(page, gpa, random.choice((WRITE, EXEC, WRITE | EXEC, READ | 8, READ | 0x40)), root)
        elif dice == 15:
            insert(page, gpa + random.choice((1, 8, 0x800)), root=root)
        elif dice == 16:
            insert(page, gpa | 1 << random.randrange(48, 63), root=root)
        elif dice == 17:
            insert(page, gpa, root=-1)
        elif dice == 18:
            # No memory: a place without tables, and one that has them all.
            insert(page, (0x100 + len(ops)) << 30, root=root, arg=1)
        else:
            ops.append((REFS, 0, page, 0, 0, 65535))
            insert(page, gpa, root=root)
            ops.append((REFS, 0, page, 0, 0, -1))       # as it was
            insert(page, gpa, root=root)
    return Model(invalid).complete(ops)


class Model:
    """What a list of operations has to do."""

    def __init__(self, invalid):
        self.invalid = invalid
        self.refs = [1] * PAGES
        self.free = [False] * PAGES
        self.maps = [{} for _ in range(ROOTS)]
        self.tables = set()
        self.freed = 0

    def complete(self, ops):
        """The list, with numbers of references in place of "as it was"."""
        done = []
        for op in ops:
            if op[0] == REFS and op[5] == -1:
                op = op[:5] + (self.true_refs(op[2]),)
            self.do(op)
            done.append(op)
        return done

    def true_refs(self, page):
        return (page < HELD) + sum(p == page for where in self.maps for p, _ in where.values())

    def nfree(self):
        """Free pages, more or less than there were."""
        return self.freed - len(self.tables)

    def wrong(self, op, conditions):
        """The errors that an insertion may return, or None."""
        _, root, page, perm, gpa, hidden = op
        errors = set()
        if gpa % PAGE or not perm & READ or perm & ~7:
            errors.add(conditions["invalid"])
        if root < 0:
            errors.add(conditions["no-tables"])
        if gpa >> 48:
            errors.add(conditions["too-high"])
        if self.refs[page] == 65535 or (hidden and not self.ways(root, gpa) <= self.tables):
            errors.add(conditions["no-mem"])
        return errors

    @staticmethod
    def ways(root, gpa):
        return {(root, shift, gpa >> shift) for shift in (39, 30, 21)}

    def do(self, op, conditions=None):
        """What is replaced: (page, perm), or None; "wrong" for an error."""
        kind, root, page, perm, gpa, arg = op
        if kind == REFS:
            self.refs[page] = arg
        elif kind == DECREF:
            self.drop(page)
        elif kind == ALLOC:
            self.refs[page], self.free[page] = 0, False
            self.freed -= 1
        elif self.wrong(op, conditions or dict.fromkeys(("invalid", "no-tables", "too-high", "no-mem"), -1)):
            return "wrong"
        else:
            old = self.maps[root].get(gpa)
            self.tables |= self.ways(root, gpa)
            self.maps[root][gpa] = page, perm
            self.refs[page] += 1
            if old:
                self.drop(old[0])
            return old
        return None

    def drop(self, page):
        self.refs[page] -= 1
        if self.refs[page] == 0:
            self.free[page] = True
            self.freed += 1


def table(ops, name, count):
    rows = "".join(f"\t{{ {kind}, {root}, {page}, {perm}, {gpa:#x}UL, {arg} }},\n"
                   for kind, root, page, perm, gpa, arg in ops)
    return f"const struct Grade4Op {name}[] = {{\n{rows}}};\nconst int {count} = {len(ops)};\n"


def describe(op):
    kind, root, page, perm, gpa, hidden = op
    return (f"ept_page_insert({f'root {root}' if root >= 0 else 'NULL'}, page {page}, {gpa:#x}, perm {perm:#x})"
            + (" without free memory" if hidden else ""))


RESULT = struct.Struct("<iiixxxxQQQq8H8H8Q")
# All that one list did, and its tables as they are in the end.
ASK = '''
import struct
BASE = 0x8004000000
def mem(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))
def walk(table, level=3, gpa=0):
    for n, entry in enumerate(struct.unpack("<512Q", mem(table, 4096))):
        here = gpa | n << 12 + 9 * level
        if entry & 7 and level:
            yield from walk(BASE + (entry & 0xffffffffff000), level - 1, here)
        elif entry & 7:
            yield here, entry
def outcome(n, size):
    done = c(f"grade4_done[{n}]")
    return {"done": done, "nfree": c(f"grade4_nfree0[{n}]"),
            "results": mem(c(f"(unsigned long) &grade4_results[{n}][0]"), (done + 1) * size).hex(),
            "roots": [c(f"(unsigned long) grade4_roots[{n}][{r}]") for r in range(2)],
            "tables": [dict(walk(c(f"(unsigned long) grade4_roots[{n}][{r}]")))
                       if c(f"(unsigned long) grade4_roots[{n}][{r}]") else {} for r in range(2)]}
'''


class Insertions:
    """One list of operations: what came of it, beside what should have."""

    def __init__(self, lab, ops, outcome, end):
        self.ops, self.end = ops, end
        self.done, self.nfree = outcome["done"], outcome["nfree"]
        raw = bytes.fromhex(outcome["results"])
        self.results = [RESULT.unpack_from(raw, n * RESULT.size) for n in range(self.done)]
        self.tables = [{int(gpa): entry for gpa, entry in t.items()} for t in outcome["tables"]]
        self.roots = [root - 0x8004000000 if root else 0 for root in outcome["roots"]]
        self.conditions = {"invalid": error(lab, "E_INVAL"), "no-mem": error(lab, "E_NO_MEM"),
                           "no-tables": condition(lab, "no-tables", "E_INVAL"),
                           "too-high": condition(lab, "too-high", "E_INVAL")}

    def steps(self):
        """(number, op, result, the model after it, what was replaced, allowed errors)"""
        model = Model(self.conditions["invalid"])
        for n, (op, raw) in enumerate(zip(self.ops, self.results)):
            errors = model.wrong(op, self.conditions) if op[0] == INSERT else set()
            old = model.do(op, self.conditions)
            yield n, op, Step(raw), model, old, errors

    def went(self, n=None):
        """The list was done: all of it, or n."""
        n = n or len(self.ops)
        if self.done < n:
            assert False, f"the kernel didn't come back from {describe(self.ops[self.done])}: {self.end}"


class Step:
    def __init__(self, raw):
        (self.r, self.invepts, self.type, self.eptp, self.leaf_then, self.leaf, self.nfree) = raw[:7]
        self.refs, self.states, self.pages = raw[7:15], raw[15:23], raw[23:31]


def run_ept(lab):
    """The kernel of the grader's with ept_page_insert, and its memory."""
    # One that loops is looked at before it has used up its time.
    with Machine(lab, "qemu", run="gradeept", seconds=14) as machine:
        try:
            machine.expect(f"grade4 {lab.nonce} done", seconds=6 * slowness())
            end = "it ended"
        except AssertionError as why:
            end = ending(why)
        state = memory(machine, end)
    return state, end


def insertions(lab, which=0, ops=None):
    state, end = once(lab, "ept", run_ept)
    outcome = once(lab, f"ept {which}", lambda lab: state.ask(f"outcome({which}, {RESULT.size})", ASK))
    return Insertions(lab, ops or inputs(lab)["ops"], outcome, end)


@pytest.fixture(scope="module")
def inserted(lab):
    return insertions(lab)


def check_places(run):
    """Each insertion put the page and its rights where they belong."""
    run.went()
    for n, op, step, model, old, errors in run.steps():
        if op[0] != INSERT or errors:
            continue
        want = step.pages[op[2]] | op[3]
        assert step.r == 0, f"operation {n}: {describe(op)} returned {step.r}, not 0"
        assert step.leaf & 0xffffffffff007 == want, (
            f"operation {n}: {describe(op)}: the entry is {step.leaf:#x}; page {op[2]} is at "
            f"{step.pages[op[2]]:#x}, the rights are {op[3]}")
        assert step.leaf >> 3 & 7 == 6, f"operation {n}: the memory type is {step.leaf >> 3 & 7}, not 6, write-back"
    # In the end, all of both tables, as they are in memory.
    for root in range(ROOTS):
        want = {gpa: run.results and Step(run.results[-1]).pages[page] | perm
                for gpa, (page, perm) in model.maps[root].items()}
        got = {gpa: entry & 0xffffffffff007 for gpa, entry in run.tables[root].items()}
        for gpa in sorted(want.keys() | got.keys()):
            assert want.get(gpa) == got.get(gpa), (
                f"in the end, root {root} has {got.get(gpa, 0):#x} at {gpa:#x}; it should be {want.get(gpa, 0):#x}")


def check_counts(run):
    """References and free pages after each operation."""
    run.went()
    some = False
    for n, op, step, model, old, errors in run.steps():
        some = some or (op[0] == INSERT and step.r == 0)
        for page in range(PAGES):
            if page < HELD or op[2] == page:
                assert step.refs[page] == model.refs[page], (
                    f"operation {n}: after {describe(op)}{replaced(old)}, page {page} has {step.refs[page]} "
                    f"references; it should be {model.refs[page]}")
        got = step.nfree - run.nfree
        assert got == model.nfree(), (
            f"operation {n}: after {describe(op)}{replaced(old)}, {-got} pages are in use more than at the start; "
            f"it should be {-model.nfree()}")
    assert some, "no page was ever inserted"


def replaced(old):
    return f", which replaced page {old[0]}," if isinstance(old, tuple) else ""


def check_itself(run):
    """The page whose only reference is the entry that is replaced by itself."""
    run.went(10)
    for n, op, step, model, old, errors in run.steps():
        if n < 10 and op[0] == INSERT and op[2] in (6, 7):
            assert step.r == 0, f"operation {n}: {describe(op)} returned {step.r}, not 0"
            assert step.leaf & 0xffffffffff007 == step.pages[op[2]] | op[3], (
                f"operation {n}: {describe(op)}{replaced(old)}: the entry is {step.leaf:#x}")
            assert step.states[op[2]] == step.states[0] and step.refs[op[2]] == 1, (
                f"operation {n}: {describe(op)}{replaced(old)}: the page is "
                f"{'in use' if step.states[op[2]] == step.states[0] else 'free'} and has {step.refs[op[2]]} "
                "references; it should be in use and have 1")


def check_errors(run):
    """Errors: the right one, and nothing changed."""
    run.went()
    before, some = None, False
    for n, op, step, model, old, errors in run.steps():
        some = some or (op[0] == INSERT and step.r == 0)
        if errors:
            assert step.r in errors, (f"operation {n}: {describe(op)}, page with "
                                      f"{model.refs[op[2]]} references, returned {step.r}; "
                                      f"it should be {' or '.join(map(str, sorted(errors)))}")
            for what, now, then in (("references", step.refs, before.refs), ("free pages", step.nfree, before.nfree)):
                assert now == then, (f"operation {n}: {describe(op)} returned {step.r} and changed the {what}: "
                                     f"{then} became {now}")
            here = model.maps[op[1]].get(op[4] - op[4] % PAGE) if op[1] >= 0 else None
            want = step.pages[here[0]] | here[1] if here else 0
            assert step.leaf & 0xffffffffff007 == want, (
                f"operation {n}: {describe(op)} returned {step.r} and changed the entry to {step.leaf:#x}")
        before = step
    assert some, "it returns errors, and never anything else"


def check_invept(run):
    """INVEPT where an entry was replaced, after it was, and nowhere else."""
    run.went()
    for n, op, step, model, old, errors in run.steps():
        if op[0] != INSERT:
            continue
        if not isinstance(old, tuple):
            assert step.invepts == 0, (f"operation {n}: {describe(op)} executed INVEPT {step.invepts} times, "
                                       "and nothing was replaced")
        elif old != (op[2], op[3]):
            assert step.invepts > 0, f"operation {n}: {describe(op)}{replaced(old)} executed no INVEPT"
            assert step.leaf_then == step.leaf, (
                f"operation {n}: {describe(op)}{replaced(old)}: at its INVEPT the entry was {step.leaf_then:#x}, "
                f"and {step.leaf:#x} in the end")
            assert step.type == 2 or step.eptp == run.roots[op[1]] | 0x1e, (
                f"operation {n}: INVEPT with EPT pointer {step.eptp:#x}; the tables' is {run.roots[op[1]] | 0x1e:#x}")


@check(points=6, chapter=20, section="28.2.2", help="what the entry must hold for a guest that reads, writes, "
       "executes; the lab has a function that writes such an entry")
def test_ept_page_insert_maps_the_page(inserted):
    check_places(inserted)


@check(points=5, chapter=20, help="who refers to a page before the call, who after it? "
       "Draw both pages and their counts")
def test_ept_page_insert_counts_references(inserted):
    check_counts(inserted)


@check(points=5, chapter=20, help="the page that is replaced may be the page that is inserted, "
       "and the entry may hold its only reference: in which order do you count?")
def test_ept_page_insert_replaces_a_page_by_itself(inserted):
    check_itself(inserted)


@check(points=4, chapter=20, help="read the contract's list of errors; after each, all must be as it was")
def test_ept_page_insert_changes_nothing_on_errors(inserted):
    check_errors(inserted)


@check(points=6, chapter=20, section="28.3.3.4", help="when may the processor remember a translation that isn't "
       "true any more? It must be told then, and only then")
def test_ept_page_insert_executes_invept(inserted):
    check_invept(inserted)


# --- lib/ipc.c and fs/vdisk.c: the grader's kernel takes their VMCALLs

CALLS, TESTS = 256, 48
LOG = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi")
AREA = """
import struct
def mem(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))
def words(text, n):
    return struct.unpack(f"<{n}Q", mem(c(f"(unsigned long) &grade4_area.{text}"), 8 * n))
"""


class Calls:
    """What a program did with VMCALL, test by test."""

    def __init__(self, run, end):
        self.end = end
        n = run["n"]
        calls = [run["calls"][12 * i:12 * i + 12] for i in range(n)]
        self.calls = {}
        for test, call in zip(run["tests"], calls):
            self.calls.setdefault(test, []).append((dict(zip(LOG, call)), dict(zip(LOG, call[6:]))))
        self.results, self.yields, self.constants = run["results"], run["yields"], run["constants"]

    def result(self, test, what):
        got = self.results[test]
        got = got - (1 << 64) if got >> 63 else got
        assert got != NOTHING, f"{what} didn't return: {self.end}"
        return got

    def of(self, test):
        return self.calls.get(test, [])


def run_calls(lab, program):
    with Machine(lab, "qemu", run=program, seconds=12) as machine:
        try:
            machine.expect(f"grade4 {lab.nonce} (done|calls)|user panic in [^\r\n]*|TRAP frame|No runnable env",
                           seconds=5 * slowness())
            end = machine.tail(3)
        except AssertionError as why:
            end = ending(why)
        state = memory(machine, end)
    return Calls(state.ask(
        f"{{'n': words('ncalls', 1)[0], 'calls': words('calls', {CALLS} * 12), 'tests': words('tests', {CALLS}),"
        f" 'results': words('results', {TESTS}), 'yields': words('yields', {TESTS}),"
        f" 'constants': words('constants', 8)}}", AREA), end)


@pytest.fixture(scope="module")
def library(lab):
    return once(lab, "gradelib", lambda lab: run_calls(lab, "gradelib"))


@pytest.fixture(scope="module")
def driver(lab):
    return once(lab, "gradevd", lambda lab: run_calls(lab, "gradevd"))


def check_send(lab, library, test, value, perm, page, to=None, calls=1, result=0):
    """A call of ipc_host_send: its VMCALLs, and what it returned."""
    names = registers(lab, "IPCSEND", SEND)
    got = library.of(test)
    what = f"ipc_host_send(…, {value:#x}, {'page ' + str(page) if page is not None else 'NULL'}, {perm:#x})"
    assert got, f"{what} made no VMCALL: {library.end}"
    for regs, words in got:
        assert regs["rax"] == library.constants[0], (
            f"{what}: RAX is {regs['rax']:#x} at the VMCALL; the number of IPCSEND is {library.constants[0]}")
        want = {"to": library.constants[2] if to is None else to, "value": value, "perm": perm}
        for role, number in want.items():
            assert regs[names[role]] == number, (
                f"{what}: at the VMCALL {names[role].upper()} is {regs[names[role]]:#x}; it is for {role}, {number:#x}")
        if page is None:
            assert regs[names["page"]] >= UTOP, (
                f"{what}: {names['page'].upper()} is {regs[names['page']]:#x}; without a page it is UTOP or more")
        else:
            word = inputs(lab)["word"] + page
            assert words[names["page"]] == word, (
                f"{what}: {names['page'].upper()} is {regs[names['page']]:#x}, and the page with that physical "
                f"address isn't the one at the pointer")
    returned = library.result(test, what)
    assert returned == result, f"{what} returned {returned}; it should be {result}"
    assert len(got) == calls, f"{what} made {len(got)} VMCALLs; it should be {calls}"


def check_recv(lab, library, test, page, result):
    names = registers(lab, "IPCRECV", RECV)
    got = library.of(test)
    what = f"ipc_host_recv({'page ' + str(page) if page is not None else 'NULL'})"
    assert len(got) == 1, f"{what} made {len(got)} VMCALLs, not 1: {library.end}"
    regs, words = got[0]
    assert regs["rax"] == library.constants[1], (
        f"{what}: RAX is {regs['rax']:#x} at the VMCALL; the number of IPCRECV is {library.constants[1]}")
    if page is None:
        assert regs[names["page"]] >= UTOP, (
            f"{what}: {names['page'].upper()} is {regs[names['page']]:#x}; to refuse pages it is UTOP or more")
    else:
        assert words[names["page"]] == inputs(lab)["word"] + page, (
            f"{what}: {names['page'].upper()} is {regs[names['page']]:#x}, and the page with that physical "
            "address isn't the one at the pointer")
    returned = library.result(test, what)
    assert returned == result, f"{what} returned {returned}; it should be {result}"


@check(points=5, chapter=26, section="25.1.2", help="which register carries what? inc/vmcall.h says it; the page's "
       "address is the one that the host knows")
def test_ipc_host_send_passes_value_and_page(lab, library):
    random = inputs(lab)["random"]
    check_send(lab, library, 0, random[0], P | U | W, 0)
    check_send(lab, library, 1, random[1], 0, None)
    check_send(lab, library, 2, random[3], P | U, 1, to=random[2] & 0xffff)


@check(points=3, chapter=26, help="which of the host's errors means \"not now\"? What may others do meanwhile?")
def test_ipc_host_send_tries_again(lab, library):
    numbers = inputs(lab)
    check_send(lab, library, 6, numbers["random"][2], P | U | W, 1, calls=numbers["busy"] + 1)
    assert library.yields[6] >= numbers["busy"], (
        f"it made {numbers['busy'] + 1} VMCALLs, and let others run {library.yields[6]} times in between")
    for test, name in ((3, "E_INVAL"), (4, "E_NO_MEM"), (5, "E_BAD_ENV")):
        check_send(lab, library, test, test - 3, P | U | W, 2, result=error(lab, name))


@check(points=4, chapter=26, section="25.1.2", help="where does the page go, where does the value come from? And what "
       "is returned when there's an error?")
def test_ipc_host_recv_fetches_value_and_page(lab, library):
    random = inputs(lab)["random"]
    check_recv(lab, library, 8, 3, signed(random[0] & 0x7fffffff))
    check_recv(lab, library, 9, None, error(lab, "E_NOT_FOUND"))
    check_recv(lab, library, 10, 2, error(lab, "E_INVAL"))


def signed(value):
    return value - (1 << 32) if value >> 31 & 1 else value


SENT, RECEIVED = 0x5e4d, 0x4ecf


def check_move(lab, driver, test, kind, image, block, page, n, result=0, failed=None):
    """A move of n blocks: its requests, one after the other."""
    what = f"vdisk_{'write' if kind else 'read'} of {n} blocks from block {block} on"
    names = ["read", "write"]
    requests = [(regs, words) for regs, words in driver.of(test) if regs["rax"] == SENT]
    assert requests or n == 0, f"{what} made no request: {driver.end}"
    for i, (regs, words) in enumerate(requests):
        assert i < n, f"{what} made {len(requests)} requests"
        want = (image << 32 | (block + i) << 8 | driver.constants[kind]) & (1 << 64) - 1
        assert regs["rcx"] == want, (
            f"{what}: request {i} is {regs['rcx']:#018x}; it should be {want:#018x}: file {image:#x}, block "
            f"{block + i}, {names[kind]}")
        assert words["rdx"] == inputs(lab)["word"] + page + i, (
            f"{what}: request {i} came with page {words['rdx'] - inputs(lab)['word']} of the program's; it should be "
            f"page {page + i}")
        assert regs["rbx"] == driver.constants[2], f"{what}: request {i} went to {regs['rbx']}"
        assert regs["rsi"] & 7 == 7, f"{what}: request {i} has permissions {regs['rsi']:#x}"
    order = [regs["rax"] for regs, words in driver.of(test)]
    done = n if failed is None else failed
    returned = driver.result(test, what)
    assert returned == result, f"{what} returned {returned}; it should be {result}"
    assert len(requests) == done, f"{what} made {len(requests)} requests; it should be {done}"
    for i, one in enumerate(order):
        assert one == (SENT, RECEIVED)[i % 2], f"{what}: not each request's answer was fetched before the next"


@check(points=5, chapter=26, help="a request for each block: what differs between them? FSREQ_BLOCK(), and where each "
       "block's data is")
def test_vdisk_moves_blocks(lab, driver):
    numbers = inputs(lab)
    image, blocks = numbers["random"][0] & 0x7fffffff, numbers["blocks"]
    check_move(lab, driver, 0, 0, image, blocks[0], 3, 1)
    check_move(lab, driver, 1, 1, image, blocks[1], 5, 1)
    check_move(lab, driver, 2, 0, image, blocks[0], 1, 5)
    check_move(lab, driver, 3, 1, image, blocks[1], 2, 3)
    check_move(lab, driver, 4, 0, image, blocks[0], 1, 32)


@check(points=4, chapter=26, help="sectors that aren't whole blocks; a block in the middle that the host refuses")
def test_vdisk_refuses_parts_and_passes_errors_on(lab, driver):
    numbers = inputs(lab)
    image, blocks = numbers["random"][0] & 0x7fffffff, numbers["blocks"]
    for test, what in ((5, "from a sector that begins no block"), (6, "of a number of sectors that is no whole blocks")):
        got = driver.result(test, f"a move {what}")
        assert got == error(lab, "E_INVAL"), f"a move {what} returned {got}; it should be {error(lab, 'E_INVAL')}"
        assert not driver.of(test), f"a move {what} made {len(driver.of(test))} calls"
    check_move(lab, driver, 8, 1, image, blocks[1], 4, 6, error(lab, "E_NO_DISK"), 3)


# --- messages between small guests and a file server of the grader's

def run_ipc(lab):
    with Machine(lab, "bochs", run="gradeipc", seconds=14) as machine:
        try:
            machine.expect(f"G4 {lab.nonce} done|user panic in [^\r\n]*|TRAP frame|No runnable env")
            end = "it ended: " + machine.tail(3)
        except AssertionError as why:
            end = ending(why)
        said = {}
        for key, values in re.findall(rf"G4 {lab.nonce} (\w+)((?: -?\d+)*)\n", machine.output):
            said[key] = [int(value) for value in values.split()]
        state = machine.core() if "left" in said else None
    return said, end, state


@pytest.fixture(scope="module")
def messages(lab):
    return Messages(lab)


class Messages:
    def __init__(self, lab):
        self.said, self.end, self.state = once(lab, "ipc", run_ipc)

    def of(self, key, *names):
        """What the grader's file server has seen, by name."""
        got = self.said.get(key, [])
        if len(got) < len(names):
            assert False, f"the grader's file server came to no end with its guest: {self.end}"
        return dict(zip(names, got))

    @property
    def runnable(self):
        return self.of("numbers", "server", "runnable", "not")["runnable"]

    @property
    def stopped(self):
        return self.of("numbers", "server", "runnable", "not")["not"]


def check_refused(lab, messages, key, cases):
    """Messages that mustn't be delivered: (what, error or errors)."""
    got = messages.of(key, "messages", *range(len(cases) + 1))
    for n, (what, name) in enumerate(cases):
        assert got[n] != NOTHING, f"IPCSEND {what} didn't come back: {messages.end}"
        assert got[n] == error(lab, name), f"IPCSEND {what}: RAX is {got[n]}; it should be {error(lab, name)}"
    assert got["messages"] == 1 and got[len(cases)] == 0, (
        f"after messages that are refused comes one that isn't: the server got {got['messages']} messages, "
        f"the last call returned {got[len(cases)]}")


@check(points=3, chapter=26, help="whom may a guest write to? All 64 bits of the register count")
def test_ipcsend_knows_only_the_file_server(lab, messages):
    check_refused(lab, messages, "whoms", [("to environment 0", "E_BAD_ENV"), ("to environment 2", "E_BAD_ENV"),
                                           ("to the server by its own id", "E_BAD_ENV"),
                                           ("to environment -1", "E_BAD_ENV")])


@check(points=4, chapter=26, help="which addresses are those of a page of the guest's? Which permissions can there be?")
def test_ipcsend_refuses_bad_pages(lab, messages):
    check_refused(lab, messages, "places", [
        ("with a page behind the guest's memory", "E_INVAL"), ("with an address inside a page", "E_INVAL"),
        ("with the last page below UTOP", "E_INVAL"), ("with no permission", "E_INVAL"),
        ("with PTE_W alone", "E_INVAL"), ("with PTE_PS", "E_INVAL")])


@check(points=4, chapter=26, section="28.2.2", help="a guest can't give away what it hasn't got: where is it written "
       "what the guest may do with its page?")
def test_ipcsend_gives_no_right_that_the_guest_lacks(lab, messages):
    check_refused(lab, messages, "rights", [("of a page that the guest may only read, with PTE_W", "E_INVAL"),
                                            ("of a page that it may read and execute, with PTE_W", "E_INVAL")])
    got = messages.of("readonly", "came", "value", "from", "perm", "pte", "same", "refs", "data", "r")
    assert got["came"] and got["r"] == 0, f"the same page without PTE_W wasn't delivered: RAX is {got['r']}"
    assert got["pte"] & (P | W) == P, f"the server's page has permissions {got['pte']:#x}, asked for {P | U:#x}"


@check(points=5, chapter=26, help="what does the server get: the number, in 64 bits, and which page? There's a function "
       "that delivers")
def test_ipcsend_delivers_value_and_page(lab, messages):
    got = messages.of("delivery", "came", "value", "from", "perm", "pte", "same", "refs", "data", "r")
    assert got["came"], f"the message didn't come: RAX is {got['r']}"
    assert got["r"] == 0, f"the message was delivered, and RAX is {got['r']}"
    assert got["value"], "the value isn't the one that the guest sent"
    assert got["from"], "the sender isn't the guest"
    assert got["same"] and got["data"], "the page that the server has isn't the guest's"
    assert got["pte"] == P | U | W, f"the server's page has permissions {got['pte']:#x}, sent with {P | U | W:#x}"
    assert got["refs"] == 1, f"the page got {got['refs']} references more; the server's is one"


@check(points=6, chapter=26, section="28.2.2", help="what's kept until the guest fetches it, and what when it has? "
       "Who refers to the page, and with which rights?")
def test_an_answer_is_fetched_once(lab, messages):
    names = ("r", "held", "refused", "recv", "value", "again", "load", "refs", "stored", "left", "other")
    got = messages.of("answers", *names)
    assert got["r"] == 0, f"the server's answer was refused: {got['r']}"
    assert got["held"] == 2, f"while the answer waits, its page has {got['held']} references; it should be 2"
    assert got["recv"] == 0, f"IPCRECV returned {got['recv']}"
    assert got["value"], "IPCRECV gave another value than the answer's"
    assert got["again"] == error(lab, "E_INVAL"), (
        f"the answer has been fetched; IPCRECV again returned {got['again']}, not {error(lab, 'E_INVAL')}")
    assert got["load"], "at the address that the guest gave isn't the answer's page"
    assert got["refs"] == 2, f"the page has {got['refs']} references; the server's and the guest's are 2"
    assert got["stored"], "the answer's page came with PTE_W, and the guest couldn't write to it"
    assert got["left"] == 1, f"the guest has ended; the page has {got['left']} references, not 1"
    got = messages.of("answersro", *names)
    assert got["load"], "a page that came without PTE_W: the guest couldn't read it"
    assert not got["stored"], "the answer's page came without PTE_W, and the guest could write to it"


@check(points=6, chapter=26, help="the answer isn't there yet: whose turn is it, and who tells the guest?")
def test_a_guest_sleeps_until_its_answer_comes(lab, messages):
    got = messages.of("sleeps", "status", "recving", "runs", "r", "then", "last", "recv", "value")
    assert (got["status"], got["recving"]) == (messages.stopped, 1), (
        f"before the answer came, env_status was {got['status']} and env_ipc_recving {got['recving']}; a sleeper has "
        f"{messages.stopped} (ENV_NOT_RUNNABLE) and 1")
    assert got["runs"] == 0, f"it ran {got['runs']} times before the answer came"
    assert got["r"] == 0, f"the server's answer was refused: {got['r']}"
    assert got["then"] == messages.runnable, (
        f"after the answer, env_status was {got['then']}; ENV_RUNNABLE is {messages.runnable}")
    assert got["last"] == 1 and got["recv"] == 0, f"the guest woke, and IPCRECV returned {got['recv']}"
    assert got["value"] & 0xffffffff == error(lab, "E_NO_DISK") & 0xffffffff, (
        f"the value is {got['value']}; the server's answer was {error(lab, 'E_NO_DISK')}")


@check(points=3, chapter=26, help="a guest that isn't runnable doesn't always wait for an answer; what tells the two apart?")
def test_a_stopped_guest_stays_stopped(lab, messages):
    got = messages.of("stopped", "r", "status", "later", "last", "recv", "value")
    assert got["r"] == 0, f"the server's answer was refused: {got['r']}"
    assert got["status"] == got["later"] == messages.stopped, (
        f"its parent had stopped it; after the answer env_status was {got['status']}, and {got['later']} later; "
        f"ENV_NOT_RUNNABLE is {messages.stopped}")
    assert got["last"] == 1 and got["recv"] == 0 and got["value"], (
        f"when its parent let it go on, IPCRECV returned {got['recv']}")


@check(points=4, chapter=26, help="who may answer a guest, when, and with which pages?")
def test_only_the_file_server_answers_and_only_once(lab, messages):
    got = messages.of("who", "idle", "intruder", "nothing", "denied", "answer", "recv", "value", "refs")
    for what, when, name in (("idle", "an answer to a guest that has asked nothing", "E_BAD_ENV"),
                             ("intruder", "an answer of a program that isn't the file server", "E_BAD_ENV"),
                             ("nothing", "an answer with a page that the server hasn't got", "E_INVAL"),
                             ("denied", "an answer with PTE_W and a page that the server may only read", "E_INVAL")):
        assert got[what] == error(lab, name), f"{when} returned {got[what]}; it should be {error(lab, name)}"
    assert got["answer"] == 0 and got["recv"] == 0 and got["value"], (
        f"after those, the server's own answer returned {got['answer']}, IPCRECV {got['recv']}")
    assert got["refs"] == 1, f"a page that was refused has {got['refs']} references, not 1"
    got = messages.of("answers", "r", "held", "refused")
    assert got["refused"] == error(lab, "E_BAD_ENV"), (
        f"a second answer to one request returned {got['refused']}; it should be {error(lab, 'E_BAD_ENV')}")


@check(points=4, chapter=26, help="an answer may be forgotten, refused, or take another page's place: follow its page's "
       "references in each case")
def test_no_page_of_an_answer_is_lost(lab, messages):
    names = ("n", "none", "bad", "after", "nopage", "value", "old") + tuple(
        f"{what}{n}" for n in range(5) for what in ("held", "left"))
    got = messages.of("unfetched", *names)
    assert got["none"] == error(lab, "E_INVAL"), f"IPCRECV without a request returned {got['none']}"
    assert got["n"] == 5, f"{got['n']} of 5 requests came to the server"
    assert got["bad"] == error(lab, "E_INVAL"), (
        f"IPCRECV to an address behind the guest's memory returned {got['bad']}; it should be {error(lab, 'E_INVAL')}")
    assert got["after"] == error(lab, "E_INVAL"), f"after that the answer was still there: {got['after']}"
    assert got["nopage"] == 0 and got["value"] == 0x42, (
        f"IPCRECV that refuses a page returned {got['nopage']} and value {got['value']:#x}; it should be 0 and 0x42")
    for n, what in enumerate(("whose answer was never fetched", "that was fetched to no place", "that the guest refused",
                              "whose place another took")):
        assert got[f"held{n}"] == 2, f"while answer {n} waits, its page has {got[f'held{n}']} references, not 2"
        assert got[f"left{n}"] == 1, f"the page {what} has {got[f'left{n}']} references in the end, not 1"
    assert got["left4"] == 2, f"the page that the guest has now has {got['left4']} references, not 2"


@check(points=3, chapter=26, help="what's in struct Guest and struct Env while an answer is due, and when it's there?")
def test_the_states_of_guests(lab, messages):
    left = messages.of("left", "asleep", "answered")
    guests = messages.state.ask("[guest(e) for e in (%d, %d)]" % (left["asleep"], left["answered"]), """
def guest(e):
    e = f"envs[{e & 1023}]"
    g = e + ".env_vmxinfo.guest"
    page = c(f"(unsigned long) {g}->ipc_page")
    return {"id": c(e + ".env_id"), "status": c(e + ".env_status"), "recving": c(f"(int) {e}.env_ipc_recving"),
            "state": c(f"(int) {g}->ipc_state"), "value": c(g + "->ipc_value"), "perm": c(g + "->ipc_perm"),
            "refs": c(f"{g}->ipc_page->pp_ref") if page else -1}
""")
    asleep, answered = guests
    assert (asleep["state"], asleep["status"], asleep["recving"]) == (1, messages.stopped, 1), (
        f"a guest that waits: ipc_state {asleep['state']}, env_status {asleep['status']}, env_ipc_recving "
        f"{asleep['recving']}; they should be 1 (IPC_ASKED), {messages.stopped} (ENV_NOT_RUNNABLE), 1")
    value = inputs(lab)["random"][1]
    assert (answered["state"], answered["value"]) == (2, value), (
        f"an answer {value:#x} waits: ipc_state {answered['state']}, ipc_value {answered['value']:#x}; the state "
        "should be 2 (IPC_ANSWERED)")
    assert (answered["refs"], answered["perm"]) == (2, READ | WRITE), (
        f"an answer waits: its page has {answered['refs']} references, ipc_perm is {answered['perm']}; they should be "
        f"2 and {READ | WRITE}")


# --- JOS in JOS, and its disk

class Image:
    """A disk image as the book's file system has it: chapter 13, inc/fs.h."""

    def __init__(self, data):
        self.data = bytearray(data)

    def word(self, at):
        return struct.unpack_from("<I", self.data, at)[0]

    def blocks(self, at):
        """The places of the blocks of the file whose entry is at `at`."""
        size = self.word(at + 128)
        for n in range(-(-size // PAGE)):
            where = at + 136 + 4 * n if n < 10 else self.word(at + 176) * PAGE + 4 * (n - 10)
            yield self.word(where) * PAGE

    def content(self, at):
        blocks = (self.data[b:b + PAGE] if b else bytes(PAGE) for b in self.blocks(at))
        return b"".join(blocks)[:self.word(at + 128)]

    def files(self, directory=PAGE + 8, path=""):
        """{path: place of its entry} of all files, below a directory."""
        found = {}
        for block in self.blocks(directory):
            for at in range(block, block + PAGE, 256):
                name = self.data[at:at + 128].split(b"\0")[0].decode("latin-1")
                if name and self.word(at + 132) == 1:
                    found.update(self.files(at, f"{path}/{name}"))
                elif name:
                    found[f"{path}/{name}"] = at
        return found

    def contents(self):
        return {path: self.content(at) for path, at in self.files().items()}

    def overwrite(self, at, data):
        """Other bytes for a file, as many as it has."""
        assert len(data) == self.word(at + 128)
        for n, block in enumerate(self.blocks(at)):
            part = data[n * PAGE:(n + 1) * PAGE]
            self.data[block:block + len(part)] = part


MOTD, CLEAN, DISK = "/motd", "/vmm/clean-fs.img", "/vmm/fs1.img"


def new_disk(lab):
    """The tree's disk; its guests have another message of the day."""
    disk = Image((lab.tree / "obj/fs/clean-fs.img").read_bytes())
    guests = Image(disk.content(disk.files()[CLEAN]))
    motd = guests.files()[MOTD]
    guests.overwrite(motd, inputs(lab)["motd"].encode()[:guests.word(motd + 128) - 1].ljust(
        guests.word(motd + 128) - 1) + b"\n")
    disk.overwrite(disk.files()[CLEAN], bytes(guests.data))
    return disk


def random_file(seed, size):
    """What programs/lab4/user/gradefile.c writes."""
    def fill(n):
        nonlocal seed
        for _ in range(n):
            seed = (seed * 1103515245 + 12345) & 0xffffffff
            yield seed >> 16 & 0xff
    data = bytearray(fill(size))
    data[5000:8000] = bytes(fill(3000))
    return bytes(data)


class Guest:
    """What came of JOS in JOS."""


def run_guest(lab):
    guest = Guest()
    guest.before = new_disk(lab)
    image = lab.scratch / "lab4-disk.img"
    image.write_bytes(guest.before.data)
    name, seed, size = inputs(lab)["file"]
    guest.motd = guest.prompt = guest.wrote = False
    end = r"user panic in|kernel panic|guest [0-9a-f]{8}: |Error copying|No runnable env"

    def wait(machine, pattern):
        match = machine.expect(f"({pattern})|(?:{end})[^\r\n]*")
        assert match[1], "the last lines:\n" + machine.tail()
    with Machine(lab, "bochs", run="vmm", trace=True, fs_img=image, seconds=22) as machine:
        try:
            wait(machine, re.escape(inputs(lab)["motd"]))
            guest.motd = True
            wait(machine, r"vm\$ ")
            guest.prompt = True
            machine.type(f"gradefile {name} {seed} {size}\r")
            machine.expect(r"gradefile [^\r\n]*\r\n")
            wait(machine, r"vm\$ ")
            guest.wrote = True
            guest.end = "the guest did it: " + machine.tail(3)
        except AssertionError as why:
            guest.end = ending(why)
        try:
            guest.exits = [one.reason for one in machine.exits()] if guest.motd else []
        except OSError:
            guest.exits = []
        shutil.copy(machine.fs_img, image)
    guest.after = Image(image.read_bytes())
    return guest


@pytest.fixture(scope="module")
def guest(lab):
    return once(lab, "guest", run_guest)


def fsck(lab, data, what):
    image = lab.scratch / "lab4-fsck.img"
    image.write_bytes(data)
    done = subprocess.run([lab.tree / "obj/fs/fsck", image], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=20)
    assert done.returncode == 0, f"fsck of {what}: {(done.stdout + done.stderr)[:400]}"


def compare(before, after, but, what):
    for path in sorted(before.keys() | after.keys()):
        if path not in but:
            assert path in after, f"{what} has lost the file {path}"
            assert path in before, f"{what} has a new file {path}"
            assert before[path] == after[path], f"{what}: the file {path} has been changed"


@check(points=5, chapter=26, help="the chapter has the path of a block in a figure: up to which arrow does the "
       "guest's disk work?")
def test_jos_in_jos_reaches_its_shell(lab, guest):
    assert guest.motd, f"the message of the day that is on its disk only didn't come: {guest.end}"
    assert guest.prompt, f"no prompt of the guest's shell: {guest.end}"
    calls = guest.exits.count(18)
    # Two for each block; its file server's start alone reads and writes some.
    assert calls >= 40, f"{calls} VMCALLs in Bochs's record; the guest hasn't read its disk so"
    assert guest.exits.count(10) > 0, "no CPUID in Bochs's record: no JOS was started in a guest"


@check(points=6, chapter=26, help="what the guest has written must be in its image when the host is switched off; "
       "the right block, the right page, and all of them")
def test_what_the_guest_writes_is_on_the_disk(lab, guest):
    name, seed, size = inputs(lab)["file"]
    assert guest.wrote, f"the guest didn't write a file of {size} bytes: {guest.end}"
    host, was = guest.after.contents(), guest.before.contents()
    assert DISK in host, f"the host's disk has no {DISK}"
    fsck(lab, guest.after.data, "the host's disk")
    fsck(lab, host[DISK], "the guest's disk")
    files = Image(host[DISK]).contents()
    got, want = files.get("/" + name), random_file(seed, size)
    assert got is not None, f"the guest's disk has no file {name}"
    assert len(got) == len(want), f"{name} has {len(got)} bytes on the guest's disk; the guest wrote {len(want)}"
    differ = next((n for n in range(size) if got[n] != want[n]), None)
    assert differ is None, (f"{name}, byte {differ}: {got[differ]:#x} on the disk; the guest wrote {want[differ]:#x}; "
                            f"{sum(a != b for a, b in zip(got, want))} of {size} bytes differ")
    compare(Image(was[CLEAN]).contents(), files, {"/" + name}, "the guest's disk")
    compare(was, host, {DISK}, "the host's disk")
