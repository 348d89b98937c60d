"""Checks of lab 2: a guest's memory, and the way into it.

The checks write steps, calls of the student's functions with random inputs,
that a kernel of ours does one by one (programs/lab2): those about tables in
QEMU, those about entering a guest in Bochs. What a function returned, the
pages that it took and the tables that it left are then read out of the
machine's memory, and compared with a model here. A panic costs its step only.
"""
import functools
import mmap
import re
import struct
import subprocess

import pytest

from machine import Machine, patience
from plugin import check

PAGE = 4096
KERNBASE = 0x8004000000
UTEMP, UTOP = 0x400000, 0x8000800000
R, W, X = 1, 2, 4
PTE_W, PTE_U, PTE_COW = 2, 4, 0x800
LEAF = 0x40 | 6 << 3                    # whatever the PAT says, write-back
NULL, RAW, GUEST_ROOT = 255, 1 << 32, 32
GUEST_MEM = 16 << 20

OPS = ("ROOT PUT BITS LOOKUP MAP FREE REFS DIRTY ENV INSERT CALL END GUEST RUN CLEAR").split()
ERRORS = {"E_BAD_ENV": 2, "E_INVAL": 3, "E_NO_MEM": 4, "E_NO_SYS": 7, "E_NOT_EXEC": 15, "E_NO_ENT": 21}
CONDITIONS = {"no-tables": "E_INVAL", "too-high": "E_INVAL", "no-table": "E_NO_ENT", "present": "E_INVAL",
              "not-guest": "E_BAD_ENV", "beyond": "E_INVAL", "no-page": "E_INVAL"}
REGISTERS = "R15 R14 R13 R12 R11 R10 R9 R8 RSI RDI RBP RDX RCX RBX RAX CR2".split()
KEPT = "RBX RBP R12 R13 R14 R15".split()
OUTCOMES = ("VMX_SUCCEED", "VMX_FAIL_INVALID", "VMX_FAIL_VALID")


# --- numbers of the class

def error(lab, name):
    """An error's number, negative as it is returned. name: E_… or a condition."""
    name = lab.variant.get("conditions", {}).get(name) or CONDITIONS.get(name, name)
    return -(lab.variant.get("errors", {}).get(name) or ERRORS[name])


def said(lab, number):
    """An error's number and name."""
    if number >= 0:
        return str(number)
    numbers = {**ERRORS, **lab.variant.get("errors", {})}
    return f"{number} " + "".join(f"(-{name})" for name in sorted(numbers) if numbers[name] == -number)[:40]


def longest():
    """Seconds after which a run that doesn't end is ended."""
    return min(40, 2 + patience())


def in_short(why):
    """What Machine.expect says, without what was waited for."""
    text = str(why)
    if "nothing like that within" in text:
        return f"the machine didn't come to an end within {longest():.0f} s"
    return text


# --- memory from outside

class Memory:
    """The physical memory in a core, and the symbols of its kernel."""

    def __init__(self, state):
        with open(state.core, "rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        phoff, = struct.unpack_from("<Q", self.data, 32)
        count, = struct.unpack_from("<H", self.data, 56)
        heads = [struct.unpack_from("<IIQQQQQQ", self.data, phoff + 56 * n) for n in range(count)]
        self.offset, self.size = next((h[2], h[5]) for h in heads if h[0] == 1 and h[3] == KERNBASE)
        names = subprocess.run(["nm", state.kernel], capture_output=True, text=True, check=True).stdout
        self.symbols = {line.split()[2]: int(line.split()[0], 16)
                        for line in names.splitlines() if len(line.split()) == 3}

    def bytes(self, pa, n):
        assert 0 <= pa <= self.size - n, f"physical address {pa:#x} is beyond the machine's memory"
        return self.data[self.offset + pa:self.offset + pa + n]

    def words(self, pa, n):
        return struct.unpack(f"<{n}Q", self.bytes(pa, 8 * n))

    def symbol(self, name):
        return self.symbols[name] - KERNBASE

    def array(self, name, n):
        return self.words(self.symbol(name), n)

    def find(self, tag):
        """The physical address at which tag stands, or None."""
        at = self.data.find(tag, self.offset)
        return None if at < 0 else at - self.offset


def index(gpa, level):
    return gpa >> 12 + 9 * level & 511


def prefix(gpa, level):
    """What is common to all addresses below one table of this level."""
    return gpa >> 12 + 9 * (level + 1)


def walk(memory, root):
    """All that tables hold: {(level, prefix): entry that leads to the table}
    and {gpa: last entry}. Levels as in vmm/ept.h: 3 has the root."""
    tables, leaves = {(3, 0): root | 7}, {}
    def descend(table, level, gpa):
        for i, entry in enumerate(memory.words(table, 512)):
            at = gpa | i << 12 + 9 * level
            if level == 0 and entry:
                leaves[at] = entry
            elif entry & 7:
                tables[level - 1, prefix(at, level - 1)] = entry
                assert len(tables) < 5000, "the tables have no end: they lead into each other"
                pa = entry & 0xffffffffff000
                assert pa + PAGE <= memory.size, (
                    f"level {level + 1}, entry {i} (guest-physical {at:#x}): {entry:#x} has no physical address of "
                    "this machine")
                descend(pa, level - 1, at)
            else:
                assert not entry, f"level {level + 1}, entry {i} (guest-physical {at:#x}): {entry:#x} allows nothing"
    descend(root, 3, 0)
    return tables, leaves


def entry_of(memory, root, gpa):
    """Where the entry of the last level for gpa is, by our own walk."""
    table = root
    for level in (3, 2, 1):
        entry, = memory.words(table + 8 * index(gpa, level), 1)
        if not entry & 7:
            return None
        table = entry & 0xffffffffff000
    return table + 8 * index(gpa, 0)


# --- steps

class Step:
    def __init__(self, group, op, args, pages, text, expect):
        self.group, self.op, self.args, self.pages, self.text, self.expect = group, op, args, pages, text, expect


class Script:
    """Steps, and a model of what the tables have after them."""

    def __init__(self, lab):
        self.lab, self.random = lab, lab.random
        self.steps = []
        self.tables = {}        # root: {(level, prefix)}, as they must be
        self.extra = {}         # root: those that may be
        self.leaves = {}        # root: {gpa: (page, perm)}
        self.nroots = 0
        self.nruns = 0

    def add(self, group, op, *args, text="", pages=-1, **expect):
        self.steps.append(Step(group, op, args, pages, text, expect))

    def root(self, group):
        root = self.nroots
        self.nroots += 1
        self.model(root)
        self.add(group, "ROOT", root)
        return root

    def model(self, root):
        self.tables[root], self.extra[root], self.leaves[root] = {(3, 0)}, set(), {}

    def missing(self, root, gpa):
        """The tables that the way to gpa lacks."""
        return {(level, prefix(gpa, level)) for level in (2, 1, 0)} - self.tables[root]

    def gpa(self, *near):
        """A guest-physical page: anywhere, or not far from another one."""
        if near and self.random.random() < 0.7:
            level = self.random.randrange(4)
            return near[self.random.randrange(len(near))] ^ self.random.randrange(1, 512) << 12 + 9 * level
        return self.random.randrange(1 << 36) << 12

    def gpas(self, n, *near):
        found = list(near)
        while len(found) < n:
            new = self.gpa(*found)
            if new not in found:
                found.append(new)
        return found

    # Steps with what the model says about them.

    def put(self, group, root, gpa, page, perm, last=0):
        """An entry that isn't made by the student's functions, or with perm
        0 the tables down to level last."""
        self.tables[root] |= {(level, prefix(gpa, level)) for level in range(2, last - 1, -1)}
        if last == 0 and perm:
            self.leaves[root][gpa] = (page, perm)
        self.add(group, "PUT", root, gpa, page, perm, last)

    def lookup(self, group, root, gpa, create, want=1, pages=-1, r=0):
        text = f"ept_lookup_gpa({'NULL' if root == NULL else 'root'}, {gpa:#x}, {create}, {'&e' if want else 'NULL'})"
        if pages >= 0:
            text += f" with {pages} free page{'s' * (pages != 1)}"
        expect = {"r": r}
        if r == 0:
            new = self.missing(root, gpa)
            self.tables[root] |= new
            expect.update(took=len(new), entry=(root, gpa) if want else None)
        elif pages < 0:
            expect["took"] = 0
        else:
            self.extra[root] |= self.missing(root, gpa)
        self.add(group, "LOOKUP", root, gpa, create, want, text=text, pages=pages, **expect)

    def map(self, group, root, page, gpa, perm, overwrite=0, offset=0, pages=-1, r=0):
        text = (f"ept_map_hva2gpa(root, page{f' + {offset}' if offset else ''}, {gpa:#x}, {perm:#x}, {overwrite})"
                + (f" with {pages} free pages" if pages >= 0 else ""))
        expect = {"r": r, "refs": 0}
        gpa_page = gpa & ~4095
        new = self.missing(root, gpa_page) if gpa >> 48 == 0 else set()
        if r == 0:
            self.tables[root] |= new
            self.leaves[root][gpa] = (page, perm)
            expect["took"] = len(new)
        else:
            self.extra[root] |= new
        self.add(group, "MAP", root, page, offset, gpa, perm, overwrite, text=text, pages=pages, **expect)

    def env(self, group, n, parent=None, memory=0):
        self.add(group, "ENV", n, NULL if parent is None else parent, memory)
        if memory:
            self.model(GUEST_ROOT + n)

    def insert(self, group, env, page, va, perm):
        self.add(group, "INSERT", env, page, va, perm)

    def call(self, group, src, va, guest, gpa, perm, page=None, what="", pages=-1, r=0):
        text = f"sys_ept_map(…, {va:#x}, …, {gpa:#x}, {perm:#x}): {what}"
        expect = {"r": r, "refs": 1 if r == 0 else 0}
        root = GUEST_ROOT + guest
        if r == 0:
            new = self.missing(root, gpa)
            expect["took"] = len(new)
            self.tables[root] |= new
            self.leaves[root][gpa] = (page, perm)
        elif root in self.extra and gpa >> 48 == 0:
            self.extra[root] |= self.missing(root, gpa & ~4095)
        self.add(group, "CALL", src, va, guest, gpa, perm, NULL if page is None else page, text=text, pages=pages,
                 **expect)

    def run(self, group, guest=0, space=0, spoil=0, instruction=None, **expect):
        text = f"run {self.nruns + 1} of asm_vmrun"
        self.nruns += 1
        self.add(group, "RUN", guest, space, spoil, text=text, instruction=instruction, **expect)

    def source(self):
        lines = "\n".join("\t{{ GRADE_{}, {}, {{ {} }} }},".format(
            step.op, step.pages, ", ".join(f"{arg & (1 << 64) - 1:#x}" for arg in step.args)) for step in self.steps)
        return (f"/* Made by the grader. */\n#include <vmm/grade.h>\n\nconst struct GradeStep grade_steps[] = {{\n"
                f"{lines}\n}};\nconst uint64_t grade_count = {len(self.steps)};\n"
                f"struct GradeResult grade_results[{len(self.steps)}];\n"
                f"const uint64_t grade_seed = 0x{self.lab.nonce};\nconst char grade_nonce[] = \"{self.lab.nonce}\";\n")


def tables_script(script):
    """The steps about tables."""
    lab, choose, s = script.lab, script.random, script
    missing, present = error(lab, "no-table"), error(lab, "present")
    invalid, no_memory = error(lab, "E_INVAL"), error(lab, "E_NO_MEM")
    high = error(lab, "too-high")

    # Entries that are there, and the empty ones beside them.
    root = s.root("find")
    gpas = s.gpas(12)
    for gpa in gpas:
        s.put("find", root, gpa, choose.randrange(16), choose.choice((R, R | W, R | X, R | W | X)))
    for gpa in choose.sample(gpas, 12):
        s.lookup("find", root, gpa, 0)
        s.lookup("find", root, gpa + choose.randrange(1, PAGE), choose.randrange(2))
        s.lookup("find", root, gpa ^ choose.randrange(1, 512) << 12, choose.randrange(2))

    # What is missing, from each level on.
    root = s.root("refuse")
    here = s.gpas(1)[0]
    s.lookup("refuse", root, here, 0, r=missing)
    for level in (2, 1, 0):
        s.put("refuse", root, here, 0, 0, last=level)
        s.lookup("refuse", root, here ^ choose.randrange(1, 512) << 12 + 9 * (level + 1), 0, r=missing)
        s.lookup("refuse", root, here, 0, r=0 if level == 0 else missing)
    for bit in (48, choose.randrange(49, 63), 63):
        s.lookup("refuse", root, here | 1 << bit, choose.randrange(2), r=high)
    s.lookup("refuse", NULL, here, 1, r=error(lab, "no-tables"))
    s.lookup("refuse", NULL, here, 0, r=error(lab, "no-tables"))

    # New tables, out of pages with rubbish.
    s.add("make", "DIRTY", 40)
    root = s.root("make")
    for n, gpa in enumerate(s.gpas(8)):
        s.lookup("make", root, gpa + choose.randrange(PAGE), 1, want=n != 3)
        s.lookup("make", root, gpa, 1)

    root = s.root("nomem")
    first = choose.randrange(256)
    for n, slot in enumerate((first, first + 100, first + 200)):
        gpa = slot << 39 | choose.randrange(1 << 27) << 12
        s.lookup("nomem", root, gpa, 1, pages=n, r=no_memory)
        s.add("nomem", "DIRTY", 8)
        s.lookup_later("nomem", root, gpa)

    s.add("map", "DIRTY", 40)
    root = s.root("map")
    for n, gpa in enumerate(s.gpas(9)):
        s.map("map", root, n % 4 * 4 + choose.randrange(4), gpa, (R, R | W, R | X, R | W | X)[n % 4])

    root = s.root("replace")
    gpas = s.gpas(6)
    s.map("replace", root, 1, gpas[0], R | X)
    for perm in (0, W, X, W | X, R | 8, R | W | X | 0x40, R | 1 << 31):
        s.map("replace", root, 2, gpas[1], perm, choose.randrange(2), r=invalid)
    for offset in (8, choose.randrange(16, 4096, 8)):
        s.map("replace", root, 2, gpas[2], R, 1, offset=offset, r=invalid)
        s.map("replace", root, 2, gpas[2] + offset, R, 1, r=invalid)
    s.map("replace", root, 2, gpas[0] | 1 << choose.randrange(48, 64), R, 1, r=high)
    s.map("replace", root, 3, gpas[0], R, 0, r=present)
    s.map("replace", root, 1, gpas[0], R | X, 0, r=present)
    s.map("replace", root, 4, gpas[3], R | W, 1)
    s.map("replace", root, 5, gpas[3], R, 1)
    s.map("replace", root, 5, gpas[3], R | W | X, 1)
    s.map("replace", root, 6, gpas[3], R, 1)
    s.map("replace", root, 7, gpas[3], R | W, 0, r=present)


def calls_script(script):
    """The steps about sys_ept_map. Environment 0 is the caller."""
    lab, choose, s = script.lab, script.random, script
    bad, not_guest = error(lab, "E_BAD_ENV"), error(lab, "not-guest")
    invalid, no_memory = error(lab, "E_INVAL"), error(lab, "E_NO_MEM")
    beyond, no_page, present = (error(lab, name) for name in ("beyond", "no-page", "present"))
    va = [UTEMP + n * PAGE for n in choose.sample(range(400), 8)]
    MEM = [choose.randrange(20, 700) * PAGE for n in range(12)]
    SELF, CHILD, OTHER, DEAD = 0, 1, 2, 3
    for n, parent in ((SELF, None), (CHILD, SELF), (OTHER, None), (DEAD, SELF)):
        s.env("envs", n, parent)
    for n in (4, 5, 6, 7, 8):
        s.env("envs", n, SELF, MEM[n])
    s.env("envs", 9, OTHER, MEM[9])
    s.env("envs", 10, SELF, MEM[10])
    s.add("envs", "END", DEAD)
    s.add("envs", "END", 10)
    RO, RW, THEIRS, COW, OTHERS = 16, 17, 18, 19, 20
    s.insert("envs", SELF, RO, va[0], PTE_U)
    s.insert("envs", SELF, RW, va[1], PTE_U | PTE_W)
    s.insert("envs", CHILD, THEIRS, va[1], PTE_U | PTE_W)
    s.insert("envs", CHILD, RO, va[2], PTE_U | PTE_W)
    s.insert("envs", SELF, COW, va[3], PTE_U | PTE_COW)
    s.insert("envs", OTHER, OTHERS, va[0], PTE_U | PTE_W)

    g = "call"
    pages = choose.sample(range(1, MEM[4] // PAGE - 1), 6)
    s.call(g, RAW, va[0], 4, 0, R, RO, "a page that the caller may read")
    s.call(g, SELF, va[1], 4, MEM[4] - PAGE, R | W | X, RW, "the guest's last page")
    s.call(g, RAW, va[1], 4, pages[0] * PAGE, R | W, RW, "a page of the caller's that the guest has already")
    s.call(g, CHILD, va[1], 4, pages[1] * PAGE, R | W, THEIRS, "a page of the caller's child")
    s.call(g, CHILD, va[2], 4, pages[2] * PAGE, R | W, RO, "a page that the child may write, the caller not")
    s.call(g, RAW, va[0], 4, pages[3] * PAGE, R | X, RO, "execute a page that can be read")
    s.call(g, RAW, va[3], 4, pages[4] * PAGE, R, COW, "a copy-on-write page, to be read")
    s.call(g, RAW, va[1], 5, choose.randrange(MEM[5] // PAGE) * PAGE, R | W, RW, "the same page in a second guest")

    g = "whose"
    s.call(g, RAW, va[0], 9, 0, R, RO, "the guest is somebody else's", r=bad)
    s.call(g, RAW, va[0], 10, 0, R, RO, "the guest has ended", r=bad)
    s.call(g, OTHER, va[0], 6, 0, R, OTHERS, "the page is somebody else's", r=bad)
    s.call(g, DEAD, va[0], 6, 0, R, RO, "the source has ended", r=bad)
    s.call(g, RAW | 0xffffffff, va[0], 6, 0, R, RO, "the source is -1", r=bad)
    s.call(g, RAW, va[0], RAW | 0x7ffff006, 0, R, RO, "the guest's id is of another generation", r=bad)
    s.call(g, RAW, va[0], CHILD, 0, R, RO, "the target is a child, and no guest", r=not_guest)
    s.call(g, RAW, va[0], RAW, 0, R, RO, "the target is 0, the caller", r=not_guest)
    s.call(g, RAW, va[0], 6, 0, R, RO, "all is well")

    g = "limits"
    free = [n * PAGE for n in choose.sample(range(MEM[7] // PAGE), 6)]
    s.call(g, RAW, va[0], 7, MEM[7], R, RO, "the first page beyond the guest's memory", r=beyond)
    s.call(g, RAW, va[0], 7, MEM[7] + choose.randrange(1, 1 << 20) * PAGE, R, RO, "beyond the guest's memory", r=beyond)
    s.call(g, RAW, va[0], 7, (1 << 64) - PAGE, R, RO, "beyond the guest's memory, negative if signed", r=beyond)
    s.call(g, RAW, va[0], 7, 1 << 48, R, RO, "beyond 48 bits", r=beyond)
    s.call(g, RAW, va[0], 7, free[0] + 8, R, RO, "not the beginning of a guest's page", r=invalid)
    s.call(g, RAW, va[0] + choose.randrange(1, PAGE), 7, free[0], R, RO, "not the beginning of a page", r=invalid)
    s.call(g, RAW, UTOP, 7, free[0], R, None, "the kernel's part of the address space", r=invalid)
    s.call(g, RAW, 0x8004100000, 7, free[0], R, None, "the kernel itself", r=invalid)
    s.call(g, RAW, va[4], 7, free[0], R, None, "no page is there", r=no_page)
    s.call(g, CHILD, va[0], 7, free[0], R, RO, "the child has no page there, but the caller", r=no_page)
    for perm in (0, W, X, W | X, R | 8, R | 0x40):
        s.call(g, RAW, va[1], 7, free[1], perm, RW, "such rights can't be", r=invalid)
    s.call(g, RAW, va[0], 7, free[2], R | W, RO, "write a page that the caller may only read", r=invalid)
    s.call(g, RAW, va[0], 7, free[2], R | W | X, RO, "write a page that the caller may only read", r=invalid)
    s.call(g, RAW, va[3], 7, free[2], R | W, COW, "write a copy-on-write page", r=invalid)
    s.call(g, RAW, va[1], 7, free[3], R | W, RW, "all is well")

    g = "count"
    free = [n * PAGE for n in choose.sample(range(MEM[8] // PAGE), 6)]
    s.call(g, RAW, va[1], 8, free[0], R, RW, "no memory for a table", pages=choose.randrange(3), r=no_memory)
    s.call(g, RAW, va[1], 8, free[0], R, RW, "with memory")
    # It depends on which tables the attempt without has left.
    del s.steps[-1].expect["took"]
    s.call(g, RAW, va[1], 8, free[0], R, RW, "there is a page already", r=present)
    s.call(g, RAW, va[0], 8, free[0], R, RO, "there is another page already", r=present)
    s.add(g, "REFS", RW, 65535)
    s.call(g, RAW, va[1], 8, free[1], R, RW, "65535 references already", r=no_memory)
    s.add(g, "REFS", RW, 65534)
    s.call(g, RAW, va[1], 8, free[2], R, RW, "65534 references already")
    s.end_of_guest("end", 11, SELF, MEM[11], [(va[0], RO, R), (va[1], 21, R | W | X), (va[1], 21, R)], 21)


def lookup_later(self, group, root, gpa):
    """Now there is memory: how many tables it takes depends on what the
    attempt without has left."""
    self.tables[root] |= self.missing(root, gpa)
    self.add(group, "LOOKUP", root, gpa, 1, 1, text=f"ept_lookup_gpa(root, {gpa:#x}, 1, &e), now with memory",
             r=0, entry=(root, gpa))


def end_of_guest(self, group, n, parent, memory, pages, own):
    """A guest with some pages of its parent's that ends: all comes back."""
    self.add(group, "DIRTY", 4)
    self.insert("late", 0, own, UTEMP + 500 * PAGE, PTE_U | PTE_W)
    self.env(group, n, parent, memory)
    for i, (va, page, perm) in enumerate(pages):
        va = UTEMP + 500 * PAGE if page == own else va
        self.call(group, RAW, va, n, (i * 3) * PAGE, perm, page, "a guest that will end")
    self.add(group, "END", n)


Script.lookup_later, Script.end_of_guest = lookup_later, end_of_guest


def entry_script(script):
    """The steps about asm_vmrun."""
    s, choose = script, script.random
    s.add("guest", "GUEST", 0)
    s.run("run", 0, 0, instruction="VMLAUNCH")
    for n in range(4):
        s.run("run", 0, choose.randrange(1, 60) * 16, instruction="VMRESUME")
    s.run("run", 0, 0, instruction="VMRESUME")
    s.add("run", "CLEAR", 0)
    s.run("run", 0, 64, instruction="VMLAUNCH")
    s.run("run", 0, 64, instruction="VMRESUME")
    # On a VMCS that was launched: VMLAUNCH, and a guest state that can't be.
    s.run("fail", 0, 0, 2, instruction="VMLAUNCH", outcome=2, error=4)
    s.run("fail", 0, 0, 3, instruction="VMRESUME", outcome=0, reason=0x80000021)
    s.add("fail", "CLEAR", 0)
    s.run("fail", 0, 0, 2, instruction="VMRESUME", outcome=2, error=5)
    s.run("fail", 0, 0, 1, instruction="VMLAUNCH", outcome=1)
    s.run("again", 0, 0, instruction="VMLAUNCH")


# --- files for guests

def elf(segments, entry=0x100000, magic=b"\x7fELF", bits=2, phoff=64, phentsize=56, phnum=None, end=None):
    """A kernel. segments: (type, pa, memsz, filesz, offset, content)."""
    phnum = len(segments) if phnum is None else phnum
    head = struct.pack("<4sB11sHHIQQQIHHHHHH", magic, bits, b"\1\1" + bytes(9), 2, 62, 1, entry, phoff, 0, 0,
                       64, phentsize, phnum, 0, 0, 0)
    for kind, pa, memsz, filesz, offset, _ in segments:
        head += struct.pack("<IIQQQQQQ", kind, 7, offset, pa, pa, filesz, memsz, PAGE)
    data = bytearray(head)
    for _, _, _, _, offset, content in segments:
        data.extend(bytes(max(0, offset + len(content) - len(data))))
        data[offset:offset + len(content)] = content
    if end is not None:
        data = data[:end] + bytes(max(0, end - len(data)))
    return bytes(data)


class Load:
    """whole: by copy_guest_kern_gpa, else by map_in_guest. r: what it
    returns; memory: {gpa of a page: its bytes} afterwards, None: not asked."""

    def __init__(self, group, file, whole, gpa, memsz, filesz, offset, r, memory, what):
        self.group, self.file, self.whole = group, file, whole
        self.gpa, self.memsz, self.filesz, self.offset = gpa, memsz, filesz, offset
        self.r, self.memory, self.what = r, memory, what


def pages_of(data, gpa, memsz, filesz, offset):
    """The pages that a guest gets, as {gpa: bytes}; those that share a page
    with what lies before gpa begin with the file's bytes there."""
    skew = gpa % PAGE
    whole = data[offset - skew:offset + filesz] + bytes(memsz - filesz)
    whole += bytes(-len(whole) % PAGE)
    return {gpa - skew + at: whole[at:at + PAGE] for at in range(0, len(whole), PAGE)} if memsz else {}


class Loads:
    def __init__(self, lab):
        self.lab, self.random = lab, lab.random
        self.files, self.loads = {}, []
        self.blob = self.random.randbytes(9 * PAGE + 1234)
        self.files["gdata"] = self.blob

    def map(self, group, gpa, memsz, filesz, offset, what, r=0, memory=True):
        wanted = pages_of(self.blob, gpa, memsz, filesz, offset) if r == 0 else None
        self.loads.append(Load(group, "/gdata", False, gpa, memsz, filesz, offset, r, wanted if memory else None, what))

    def copy(self, group, name, data, r, what, memory=None):
        if data is not None:
            self.files[name.rpartition("/")[2]] = data
        self.loads.append(Load(group, name, True, 0, 0, 0, 0, r, memory, what))

    def header(self):
        rows = "".join(f"\t{{ \"{l.file}\", {int(l.whole)}, {l.gpa:#x}, {l.memsz:#x}, {l.filesz:#x}, {l.offset:#x} }},\n"
                       for l in self.loads)
        return ("/* Made by the grader. */\nstatic const struct Load {\n\tconst char *file;\n\tint whole;\n"
                "\tuintptr_t gpa;\n\tsize_t memsz, filesz;\n\toff_t offset;\n} loads[] = {\n"
                f"{rows}}};\nstatic const char grade_nonce[] = \"{self.lab.nonce}\";\n")


def public_loads(loads):
    lab, choose, l = loads.lab, loads.random, loads
    not_exec = error(lab, "E_NOT_EXEC")
    page = lambda top=3000: choose.randrange(256, top) * PAGE
    l.map("pages", page(), 3 * PAGE, 3 * PAGE, 2 * PAGE, "three whole pages of the file")
    l.map("pages", page(), 5 * PAGE + 300, 2 * PAGE + choose.randrange(100, 3000), PAGE,
          "the file's bytes end in a page, and two more pages are zeros")
    l.map("pages", page(), 2 * PAGE, 0, 0, "nothing of the file: two pages of zeros")
    l.map("pages", page(), choose.randrange(5, 100), choose.randrange(1, 5), 3 * PAGE, "a few bytes")
    l.map("pages", GUEST_MEM - 2 * PAGE, 2 * PAGE, PAGE + 700, 4 * PAGE, "up to the end of the guest's memory")
    skew = choose.randrange(100, 3000)
    l.map("skew", page() + skew, 2 * PAGE, PAGE + 90, 2 * PAGE + skew, f"it begins at {skew:#x} of a page")
    skew = choose.randrange(3500, 4000)
    l.map("skew", page() + skew, 4096 - skew + 40, 4096 - skew + 20, PAGE + skew,
          f"it begins at {skew:#x} of a page and ends in the next")
    l.map("refuse", page(), PAGE, PAGE + 1, 0, "more bytes in the file than in memory", r=not_exec)
    l.map("refuse", page() + 8, PAGE, PAGE, 16, "another place in the page than in the file", r=not_exec)
    l.map("refuse", page(), 4 * PAGE, 3 * PAGE, 7 * PAGE, "the file ends in the last page but 1000 bytes early",
          r=not_exec)
    l.map("refuse", 0x100000, GUEST_MEM + PAGE, 0, 0, "more than a guest has", r=not_exec)
    l.map("refuse", GUEST_MEM - PAGE, 2 * PAGE, 0, 0, "it goes on beyond the guest's memory", r=error(lab, "beyond"))
    l.copy("kernel", "/vmm/kernel", None, 0, "the guest's kernel", memory="kernel")
    a, b = choose.randbytes(PAGE + 77), choose.randbytes(500)
    odd = elf([(1, 0x100000, PAGE + 77, PAGE + 77, PAGE, a), (4, 0x200000, 99, 99, 4 * PAGE, b),
               (1, 0x300000 + 0x123, 3 * PAGE, 500, 5 * PAGE + 0x123, b)])
    l.copy("odd", "/godd", odd, 0, "two segments, and one between that isn't loaded", memory={
        **pages_of(odd, 0x100000, PAGE + 77, PAGE + 77, PAGE),
        **pages_of(odd, 0x300000 + 0x123, 3 * PAGE, 500, 5 * PAGE + 0x123)})
    l.copy("odd", "/gnothing", None, error(lab, "E_NOT_FOUND"), "no such file")
    l.copy("odd", "/gtext", b"not a kernel\n" * 20, not_exec, "a text")
    l.copy("odd", "/gcut", odd[:5 * PAGE + 0x200], not_exec, "a kernel whose end is missing")


ERRORS["E_NOT_FOUND"] = 12


# --- what the machine gets

DOOR = """
/* The grader's door to asm_vmrun. */
static enum VmxOutcome asm_vmrun(struct Trapframe *tf, struct Guest *g) __attribute__((noinline, used));
int grade_vmrun(struct Trapframe *tf, struct Guest *g);
int
grade_vmrun(struct Trapframe *tf, struct Guest *g)
{
	return asm_vmrun(tf, g);
}
"""


def plan(lab):
    """The steps and the loads of this grading, made once."""
    if not hasattr(lab, "lab2"):
        lab.lab2 = type("Plan", (), {})()
        lab.lab2.script, lab.lab2.loads = Script(lab), Loads(lab)
        for add in (tables_script, calls_script, entry_script):
            add(lab.lab2.script)
        public_loads(lab.lab2.loads)
    return lab.lab2


def files(lab):
    """Steps and loads as C, the crafted files, and a door into vmx.c."""
    parts = plan(lab)
    made = {"vmm/gradesteps.c": parts.script.source(), "user/gradeload.h": parts.loads.header()}
    made.update({f"fs/disk/{name}": data for name, data in parts.loads.files.items()})
    tree = lab.tree if lab.tree.exists() else lab.scratch / "pristine"
    code = (tree / "vmm/vmx.c").read_text(errors="replace")
    if DOOR not in code:
        code += DOOR
    made["vmm/vmx.c"] = code
    return made


# --- what the machine did

def steps_done(lab, emulator):
    """Run the steps' kernel; its memory, and why it stopped early, if it did."""
    with Machine(lab, emulator, run="epttest", trace=emulator == "bochs") as machine:
        trouble = None
        try:
            # After a panic the monitor goes on with the next step.
            for _ in range(300):
                found = machine.expect(rf"grade: {lab.nonce} ends|K> ", seconds=longest(), panic=True)
                if "ends" in found[0]:
                    break
                machine.type("epttest\r")
        except AssertionError as why:
            trouble = in_short(why)
            # One that floods is ended, and its memory with it.
            if machine.closed:
                raise
        panics = re.findall(r"kernel panic on CPU \d+ at .*", machine.output)
        memory = Memory(machine.core())
        trace = list(filter(None, map(entry_instruction, machine.trace()))) if emulator == "bochs" else []
    return memory, trouble, panics, trace


def entry_instruction(line):
    found = re.search(r"\b(VMLAUNCH|VMRESUME)\b", line)
    return found and found[1]


class Results:
    """What a run of the steps left in memory."""

    def __init__(self, lab, emulator):
        self.lab, self.script = lab, plan(lab).script
        self.memory, self.trouble, panics, self.trace = steps_done(lab, emulator)
        raw = self.memory.bytes(self.memory.symbol("grade_results"), 32 * len(self.script.steps))
        self.results = [dict(zip(("state", "r", "took", "out", "refs"), words))
                        for words in struct.iter_unpack("<iiqQq", raw)]
        self.roots = self.memory.array("grade_roots", 64)
        self.pages = self.memory.array("grade_page_pa", 32)
        self.page_refs = self.memory.array("grade_page_refs", 32)
        # Each panic belongs to a step that was begun and not done.
        stopped = [n for n, r in enumerate(self.results) if r["state"] == 1]
        self.panics = dict(zip(stopped, panics))

    def of(self, group):
        return [(n, step, self.results[n]) for n, step in enumerate(self.script.steps) if step.group == group]

    def reached(self, n, step, result):
        """A step was done."""
        if result["state"] == 1:
            assert n not in self.panics, f"{step.text}: {self.panics[n]}"
            raise AssertionError(f"{step.text} didn't come back: {self.trouble}")
        if result["state"] != 2:
            stuck = [s.text for s, r in zip(self.script.steps, self.results) if r["state"] == 1][-1:]
            raise AssertionError(f"not reached: {self.trouble}"
                                 + "".join(f"; {text} before it didn't come back" for text in stuck))

    def compare(self, group):
        """The steps of a group gave what they should."""
        for n, step, result in self.of(group):
            self.reached(n, step, result)
            expect = step.expect
            if "r" in expect:
                assert result["r"] == expect["r"], (
                    f"{step.text} returned {said(self.lab, result['r'])}; "
                    f"it should be {said(self.lab, expect['r'])}")
            if "took" in expect:
                assert result["took"] == expect["took"], (
                    f"{step.text} took {result['took']} pages; it should be {expect['took']}")
            if "refs" in expect:
                assert result["refs"] == expect["refs"], (
                    f"{step.text} gave the page {result['refs']} references; it should be {expect['refs']}")
            if expect.get("entry"):
                root, gpa = expect["entry"]
                right = entry_of(self.memory, self.roots[root], gpa)
                assert right is not None, f"{step.text}: our own walk finds no table for the last level"
                assert result["out"] == right, (
                    f"{step.text} found the entry at physical {result['out']:#x}; "
                    f"it is at {right:#x}, number {index(gpa, 0)} of its table")

    def roots_of(self, group):
        found = []
        for _, step, _ in self.of(group):
            if step.op == "ROOT":
                found.append(step.args[0])
        return found

    def tables(self, root):
        """The tables below a root are those of the model."""
        tables, leaves = walk(self.memory, self.roots[root])
        for (level, at), entry in tables.items():
            if level == 3:
                continue
            gpa = at << 12 + 9 * (level + 1)
            where = f"level {level + 2}, the entry for guest-physical {gpa:#x}, {entry:#x}"
            assert entry & 7 == 7, f"{where}: rights {entry & 7}; the processor ANDs those of all levels"
            assert entry & 0xff8 == 0 and entry >> 52 == 0, f"{where}: it has bits that an entry for a table hasn't"
            assert (level, at) in self.script.tables[root] | self.script.extra[root], (
                f"{where}: a table that nothing needs")
        lost = self.script.tables[root] - tables.keys()
        assert not lost, "no table of level {} for guest-physical {:#x}".format(
            min(lost)[0] + 1, min(lost)[1] << 12 + 9 * (min(lost)[0] + 1))
        wanted = self.script.leaves[root]
        for gpa, entry in leaves.items():
            assert gpa in wanted, f"guest-physical {gpa:#x} has the entry {entry:#x}; it should have none"
            page, perm = wanted[gpa]
            where = f"the entry for guest-physical {gpa:#x} is {entry:#x}"
            assert entry & 0xffffffffff000 == self.pages[page], (
                f"{where}: it leads to page {entry & 0xffffffffff000:#x}; that is {self.pages[page]:#x}")
            assert entry & 7 == perm, f"{where}: rights {entry & 7}; they should be {perm}"
            assert entry >> 3 & 7 == 6, f"{where}: memory type {entry >> 3 & 7}; write-back is 6"
            assert entry & 0x40, f"{where}: without bit 6 the guest's PAT has a say in the memory type"
            assert entry & ~0xffffffffff000 == perm | LEAF, f"{where}: it has bits that it shouldn't have"
        for gpa in wanted:
            assert gpa in leaves, f"guest-physical {gpa:#x} has no page; it should have one"
        return tables


def once(lab, what, make):
    """What a run gives, or why it failed, again: it isn't tried twice."""
    kept = plan(lab).__dict__.setdefault("kept", {})
    if what not in kept:
        try:
            kept[what] = make()
        # A time-out of pytest's is no Exception.
        except (Exception, pytest.fail.Exception) as why:
            kept[what] = why
    if isinstance(kept[what], BaseException):
        raise AssertionError(str(kept[what]) or repr(kept[what]))
    return kept[what]


def ept_results(lab):
    return once(lab, "ept", lambda: Results(lab, "qemu"))


def run_results(lab):
    return once(lab, "run", lambda: Results(lab, "bochs"))


@pytest.fixture(scope="module")
def ept(lab):
    return ept_results(lab)


@pytest.fixture(scope="module")
def runs(lab):
    return run_results(lab)


# --- tables

@check(points=4, chapter=20, section="28.2.2",
       help="each of four levels takes nine bits of the address, the highest first; the last level takes bits 20-12")
def test_a_lookup_finds_the_entry(ept):
    ept.compare("find")
    for root in ept.roots_of("find"):
        ept.tables(root)


@check(points=5, chapter=20, section="28.2.2",
       help="without create nothing is made; the contract above ept_lookup_gpa says which addresses can't be")
def test_a_lookup_refuses_what_it_should(ept):
    ept.compare("refuse")
    for root in ept.roots_of("refuse"):
        ept.tables(root)


@check(points=6, chapter=20, section="28.2.2",
       help="look at the bits of an entry that leads to a table: address, rights, and what must be zero")
def test_a_lookup_makes_tables(ept):
    ept.compare("make")
    for root in ept.roots_of("make"):
        ept.tables(root)


@check(points=3, chapter=20, help="think of the allocator that has no page left at each of the levels")
def test_a_lookup_without_memory(ept):
    ept.compare("nomem")
    for root in ept.roots_of("nomem"):
        tables = ept.tables(root)
        # The pages that were taken, all in all, are the tables that are there.
        took = sum(result["took"] for _, step, result in ept.of("nomem") if step.op == "LOOKUP")
        assert took == len(tables) - 1, (
            f"{took} pages were taken, {len(tables) - 1} of them are tables: a page is lost")


@check(points=6, chapter=20, section="28.2.6",
       help="the entry of the last level has the page's physical address, its rights, and how it's cached")
def test_a_page_gets_its_entry(ept):
    ept.compare("map")
    for root in ept.roots_of("map"):
        ept.tables(root)


@check(points=5, chapter=20, section="28.2.3",
       help="the contract above ept_map_hva2gpa: what can't be, and what overwrite is for")
def test_an_entry_is_refused_or_replaced(ept):
    ept.compare("replace")
    for root in ept.roots_of("replace"):
        ept.tables(root)


@check(points=6, chapter=20, help="sys_page_map does much the same: whose page, which guest, who counts")
def test_sys_ept_map_gives_pages(ept):
    ept.compare("call")
    for guest in (4, 5):
        ept.tables(GUEST_ROOT + guest)


@check(points=4, chapter=20, help="envid2env can ask for the right to act on an environment, and must; for both")
def test_sys_ept_map_asks_whose(ept):
    ept.compare("whose")
    ept.tables(GUEST_ROOT + 6)


@check(points=5, chapter=20, section="28.2.3",
       help="the contract above sys_ept_map: addresses, the guest's memory size, and rights that the source has")
def test_sys_ept_map_knows_limits(ept):
    ept.compare("limits")
    ept.tables(GUEST_ROOT + 7)


@check(points=4, chapter=20, help="an entry is a reference; who counts it, when, and what if there are 65535?")
def test_references_are_counted(ept):
    ept.compare("count")
    ept.tables(GUEST_ROOT + 8)
    ept.compare("end")
    lost = sum(result["took"] for _, step, result in ept.of("end"))
    assert lost == 0, f"a guest with three mapped pages began and ended: {lost} pages are lost"
    assert ept.page_refs[21] == 1, f"a page of a guest that has ended has {ept.page_refs[21]} references; it should be 1"


# --- loading

class Loaded:
    """What the loads left in memory, and the trace of Bochs."""

    def __init__(self, lab):
        self.lab, self.loads = lab, plan(lab).loads.loads
        self.trouble = None
        with Machine(lab, "bochs", run="gradeload", trace=True) as machine:
            try:
                machine.expect(rf"grade: {lab.nonce} ends", seconds=longest())
            except AssertionError as why:
                self.trouble = in_short(why)
                if machine.closed:
                    raise
            state = machine.core()
            self.trace = [line for line in machine.trace()
                          if re.search(r"VMLAUNCH|VMRESUME|VMEXIT reason|VMFAIL", line)]
        self.memory = Memory(state)
        self.results = []
        nonce = bytes(ord(c) ^ 0x5a for c in lab.nonce[:15])
        for n in range(len(self.loads)):
            at = self.memory.find(nonce + bytes([n]))
            self.results.append(struct.unpack("<6i", self.memory.bytes(at + 16, 24)) if at is not None else None)
        guests = [r[2] & 1023 if r else 0 for r in self.results]
        self.roots = state.ask(f"[c(f'(long) envs[{{i}}].env_vmxinfo.ept') - {KERNBASE} for i in {guests}]")
        self.refs_at = self.memory.words(self.memory.symbol("pages"), 1)[0] - KERNBASE

    def compare(self, group):
        for n, load in enumerate(self.loads):
            if load.group == group:
                self.compare_load(load, self.results[n], self.roots[n])

    def result(self, n):
        load, result = self.loads[n], self.results[n]
        assert result is not None, f"{load.what}: the process that should load it didn't come so far; {self.trouble}"
        assert result[0] == 2, f"{load.what}: the process died or didn't come back"
        return result

    def compare_load(self, load, result, root):
        _, r, *_ = self.result(self.loads.index(load))
        call = "copy_guest_kern_gpa" if load.whole else (
            f"map_in_guest(gpa {load.gpa:#x}, memsz {load.memsz:#x}, filesz {load.filesz:#x}, "
            f"fileoffset {load.offset:#x})")
        assert r == load.r, (f"{call}: {load.what}: returned {said(self.lab, r)}; "
                             f"it should be {said(self.lab, load.r)}")
        if load.memory is None:
            return
        wanted = kernel_pages(self.lab) if load.memory == "kernel" else load.memory
        _, leaves = walk(self.memory, root)
        where = f"{call}: {load.what}"
        for gpa, entry in leaves.items():
            assert gpa in wanted, f"{where}: the guest has a page at {gpa:#x} that it shouldn't have"
            assert entry & 7 == 7, f"{where}: the page at {gpa:#x} has the rights {entry & 7}"
        for gpa, data in sorted(wanted.items()):
            assert gpa in leaves, f"{where}: no page at guest-physical {gpa:#x}"
            got = self.memory.bytes(leaves[gpa] & 0xffffffffff000, PAGE)
            if got != data:
                at = next(i for i in range(PAGE) if got[i] != data[i])
                raise AssertionError(f"{where}: the byte at guest-physical {gpa + at:#x} is {got[at]:#x}; "
                                     f"it should be {data[at]:#x}")

    def refs(self, pa):
        return struct.unpack("<H", self.memory.bytes(self.refs_at + (pa >> 12) * 16 + 8, 2))[0]


@functools.lru_cache
def kernel_pages_of(path):
    data = path.read_bytes()
    count, = struct.unpack_from("<H", data, 56)
    wanted = {}
    for n in range(count):
        kind, _, offset, _, pa, filesz, memsz, _ = struct.unpack_from("<IIQQQQQQ", data, 64 + 56 * n)
        if kind == 1:
            wanted.update(pages_of(data, pa, memsz, filesz, offset))
    return wanted


def kernel_pages(lab):
    """The guest's kernel as its ELF file says."""
    return kernel_pages_of(lab.tree / "obj/fs/guest-kernel")


def load_results(lab):
    return once(lab, "load", lambda: Loaded(lab))


@pytest.fixture(scope="module")
def loaded(lab):
    return load_results(lab)


@check(points=5, chapter=23, help="map_in_guest: the file's bytes page for page, then zeros up to memsz")
def test_file_bytes_and_zeros_reach_the_guest(loaded):
    loaded.compare("pages")


@check(points=3, chapter=23, help="map_in_guest: a segment may begin in the middle of a page, in file and memory")
def test_a_segment_begins_in_a_page(loaded):
    loaded.compare("skew")


@check(points=4, chapter=23, help="map_in_guest: which numbers make no sense, and whose errors are passed on?")
def test_segments_that_cannot_be(loaded):
    loaded.compare("refuse")


@check(points=5, chapter=23, help="copy_guest_kern_gpa: each segment of the kernel's file at its physical address")
def test_the_kernel_is_in_the_guest(loaded):
    loaded.compare("kernel")


@check(points=4, chapter=23, help="copy_guest_kern_gpa: what was opened and what was mapped, on success and failure")
def test_loading_cleans_up_and_reports(loaded):
    loaded.compare("odd")
    for n, load in enumerate(loaded.loads):
        if load.whole:
            _, _, _, before, after, work = loaded.result(n)
            assert after == before, f"{load.what}: a descriptor was open afterwards"
            assert not work, f"{load.what}: the work page is still mapped: vmm shares it with the guest"
            if load.r == 0:
                for gpa, entry in walk(loaded.memory, loaded.roots[n])[1].items():
                    refs = loaded.refs(entry & 0xffffffffff000)
                    assert refs == 1, f"{load.what}: the guest's page at {gpa:#x} has {refs} references"


# --- entering

def guest_runs(runs, *groups):
    """(step, result, what was in the registers) of the runs of asm_vmrun."""
    found = []
    for group in groups:
        for n, step, result in runs.of(group):
            runs.reached(n, step, result)
            if step.op == "RUN":
                words = runs.memory.words(runs.memory.symbol("grade_runs") + 8 * 82 * result["out"], 82)
                found.append((step, result, {
                    "sent": words[0:16], "seen": words[16:32], "answer": words[32:48], "got": words[48:64],
                    "before": words[64:70], "after": words[70:76], "rsp": words[76], "host_rsp": words[77],
                    "host_rip": words[78], "reason": words[79], "error": words[80], "vmcs": words[81]}))
    return found


def went_well(step, result, run):
    assert result["r"] == 0 and run["reason"] == 18, (
        f"{step.text}: {OUTCOMES[result['r']] if 0 <= result['r'] < 3 else result['r']}, exit reason "
        f"{run['reason']:#x}; the guest should have stopped at its VMCALL, which is 18")


def same(step, names, wanted, got, what):
    for name, w, g in zip(names, wanted, got):
        assert w == g, f"{step.text}: {name} {what} {g:#x}; it should be {w:#x}"


@check(points=6, chapter=21, section="26.3.2",
       help="the processor loads no general register but RSP at a VM entry: who does, from where, and which one is the last?")
def test_registers_reach_the_guest(runs):
    for step, result, run in guest_runs(runs, "run"):
        went_well(step, result, run)
        same(step, REGISTERS[:15], run["sent"], run["seen"], "was in the guest")


@check(points=5, chapter=21, section="27.3",
       help="the processor stores no general register but RSP at a VM exit: which one is free to hold an address then?")
def test_registers_come_back(runs):
    for step, result, run in guest_runs(runs, "run"):
        went_well(step, result, run)
        same(step, REGISTERS[:15], run["answer"], run["got"], "was afterwards")


@check(points=3, chapter=21, section="27.5", help="CR2 isn't in the VMCS")
def test_cr2_goes_both_ways(runs):
    for step, result, run in guest_runs(runs, "run"):
        went_well(step, result, run)
        same(step, ["CR2"], run["sent"][15:], run["seen"][15:], "was in the guest")
        same(step, ["CR2"], run["answer"][15:], run["got"][15:], "was afterwards")


@check(points=5, chapter=21, section="27.5.3",
       help="host RSP and RIP are fields of the VMCS; what a C function must keep is told to the compiler")
def test_the_host_is_as_before(runs):
    for step, result, run in guest_runs(runs, "run"):
        went_well(step, result, run)
        same(step, KEPT, run["before"], run["after"], "of the host was afterwards")
        assert 0 < run["rsp"] - run["host_rsp"] < 4096, (
            f"{step.text}: host RSP in the VMCS is {run['host_rsp']:#x}; asm_vmrun was called at {run['rsp']:#x}")
        start, end = runs.memory.symbols["kern_start"], runs.memory.symbols["text_end"]
        assert start < run["host_rip"] < end, (
            f"{step.text}: host RIP in the VMCS is {run['host_rip']:#x}; the kernel's text ends at {end:#x}")


@check(points=5, chapter=21, section="26.1",
       help="VMLAUNCH is for a VMCS that is clear, VMRESUME for one that was launched; g->launched says which")
def test_launch_first_then_resume(runs):
    done = guest_runs(runs, "run")
    for step, result, run in done:
        went_well(step, result, run)
    wanted = [step.expect["instruction"] for step, _, _ in done]
    assert runs.trace[:len(wanted)] == wanted, (
        f"Bochs saw {' '.join(runs.trace[:len(wanted)]) or 'no VM entry'}; it should be {' '.join(wanted)}")


@check(points=4, chapter=21, section="30.2",
       help="VMLAUNCH and VMRESUME tell by CF and ZF that they failed; who has changed the flags since?")
def test_failed_entries_are_told(runs):
    for step, result, run in guest_runs(runs, "fail"):
        expect = step.expect
        outcome = OUTCOMES[result["r"]] if 0 <= result["r"] < 3 else result["r"]
        what = f"{step.text}, {expect['instruction']}, has to fail"
        assert result["r"] == expect["outcome"], f"{what} with {OUTCOMES[expect['outcome']]}; it was {outcome}"
        for name in ("error", "reason"):
            assert name not in expect or run[name] == expect[name], (
                f"{what}: {name} {run[name]:#x}; it should be {expect[name]:#x}")
        same(step, KEPT, run["before"], run["after"], "of the host was afterwards")
        if expect["outcome"]:
            same(step, REGISTERS[:15], run["sent"], run["got"], "was afterwards, without an entry,")
    for step, result, run in guest_runs(runs, "again"):
        went_well(step, result, run)


@check(points=3, chapter=23, help="what does vmm say in the end? The checks above tell what is still missing")
def test_the_guest_of_vmm_makes_its_first_hypercall(loaded):
    assert any("VMLAUNCH" in line for line in loaded.trace), (
        f"Bochs saw no VMLAUNCH; {loaded.trouble or 'vmm ended before'}")
    exits = [int(found[1]) for found in map(functools.partial(re.search, r"VMEXIT reason = (\d+)"), loaded.trace)
             if found]
    others = [reason for reason in exits if reason != 1]
    assert others[:1] == [18], f"the guest's first exit of its own was {others[:1] or 'none'}; VMCALL is 18"
