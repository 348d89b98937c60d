#!/usr/bin/env python3
"""Variants: the same labs, with other numbers for each class.

    variant = Variant.of("autumn 2026, group B", lab=3)
    apply(tree, variant)                # a handout's tree, as tangled
    apply(tree, variant, solved=True)   # or that of its solution
    variant.facts()                     # what a grader has to know

The seed is a text, and the same text gives the same variant on every machine;
None is the book itself. It should be known to those who teach only: it tells
which bugs lab 0 has. Nothing that a handout holds tells the seed.

What varies: the numbers of hypercalls, and the registers of those that are
part of a lab; the numbers of the labs' own errors, and which error a function
of labs 1 and 2 returns when; where a guest finds its memory map, and in which
register it is told how fast its clock is; the bugs of lab 0; the graders'
random inputs. So a solution of one class lacks something in another, whatever
names it uses: it's the contract above each function that says what is asked.

As a command:

    variants.py compare SEED SEED       in which labs do they differ enough?
    variants.py facts LAB [SEED]        what a grader is told
    variants.py bugs [SEED]             lab 0's bugs, for those who teach
"""
import argparse
import hashlib
import json
import pathlib
import re
import sys
import textwrap

LABS = (0, 1, 2, 3, 4)


class VariantError(Exception):
    """A tree isn't as the rules expect it: somebody has changed a chapter."""


# --- choices that depend on nothing but the seed

class Stream:
    """Numbers from a seed and a topic."""

    def __init__(self, seed, topic):
        self.key, self.count = f"{topic}\0{seed}".encode(), 0

    def below(self, n):
        self.count += 1
        digest = hashlib.sha256(self.key + b"\0%d" % self.count).digest()
        return int.from_bytes(digest[:16], "big") % n

    def one_of(self, things):
        things = list(things)
        return things[self.below(len(things))]

    def shuffled(self, things):
        things, result = list(things), []
        while things:
            result.append(things.pop(self.below(len(things))))
        return result


# --- what the book has

HYPERCALLS = {"MBMAP": 1, "IPCSEND": 2, "IPCRECV": 3, "LAPICEOI": 4, "BACKTOHOST": 5,
              "GETDISKIMGNUM": 6, "PUTS": 7}
REGISTERS = {"MBMAP": {"address": "rbx"},
             "IPCSEND": {"to": "rbx", "value": "rcx", "page": "rdx", "perm": "rsi"},
             "IPCRECV": {"page": "rbx", "value": "rsi"}}
ARGUMENTS = ("rbx", "rcx", "rdx", "rsi", "rdi")     # RAX has the call's number
LETTERS = {"rbx": "b", "rcx": "c", "rdx": "d", "rsi": "S", "rdi": "D"}
MBI = 0x6000
KHZ = "eax"
ERRORS = {"E_NO_VMX": 17, "E_NO_EPT": 18, "E_VMX_ON": 19, "E_VMCS_INIT": 20, "E_NO_ENT": 21}
OTHER_ERRORS = {"E_BAD_ENV": 2, "E_INVAL": 3, "E_NO_MEM": 4, "E_FAULT": 6, "E_NOT_FOUND": 12,
                "E_FILE_EXISTS": 14, "E_NOT_SUPP": 16}

# Which error says what: the book's own first, then what could say it too.
CONDITIONS = {
    1: {"no-vmx": ("E_NO_VMX", "E_NOT_SUPP", "E_VMX_ON"),
        "locked": ("E_NO_VMX", "E_VMX_ON", "E_NOT_SUPP", "E_VMCS_INIT"),
        "no-ept": ("E_NO_EPT", "E_NOT_SUPP", "E_NO_VMX", "E_NO_ENT"),
        "weak-ept": ("E_NO_EPT", "E_NOT_SUPP", "E_NO_VMX", "E_VMCS_INIT", "E_NO_ENT")},
    2: {"no-tables": ("E_INVAL", "E_FAULT", "E_NO_EPT"),
        "too-high": ("E_INVAL", "E_FAULT", "E_NO_ENT"),
        "no-table": ("E_NO_ENT", "E_NOT_FOUND", "E_FAULT"),
        "present": ("E_INVAL", "E_FILE_EXISTS", "E_NO_EPT"),
        "not-guest": ("E_BAD_ENV", "E_NOT_SUPP", "E_INVAL"),
        "beyond": ("E_INVAL", "E_FAULT", "E_NO_ENT"),
        "no-page": ("E_INVAL", "E_FAULT", "E_NO_ENT", "E_NOT_FOUND")},
}
# So many of them differ between a class and the book, at least.
CONDITIONS_CHANGED = {1: 2, 2: 3}


# --- the bugs of lab 0

class Bug:
    """One line of envid2env that is wrong. A loud one keeps JOS from
    reaching its shell; the others wait for a program that asks."""

    def __init__(self, line, wrong, what, loud=False):
        self.line, self.wrong, self.what, self.loud = line, wrong, what, loud


# The lines that bugs are in, as they should be. Each stands there once, where
# it stands twice at its number.
LINES = {
    "slot": "\tstruct Env *self = curenv, *e = &envs[ENVX(envid)];",
    "zero": "\tif (envid == 0)",
    "self": "\t\te = self;",
    "alive": "\telse if (e->env_id != envid || e->env_status == ENV_FREE",
    "dying": "\t    || e->env_status == ENV_DYING)",
    "gone": "\t\treturn -E_BAD_ENV;",
    "power": "\tif (checkperm && e != self && e->env_parent_id != self->env_id",
    "orphan": "\t    && !guest_is_orphan(e))",
    "denied": "\t\treturn -E_BAD_ENV;",
}
AGAIN = {"denied": "orphan"}        # is looked for behind that line

BUGS = {
    "slot-is-the-id": Bug("slot", "\tstruct Env *self = curenv, *e = &envs[envid];",
                          "the whole id is the index of envs[], not its lower ten bits", loud=True),
    "slot-of-8-bits": Bug("slot", "\tstruct Env *self = curenv, *e = &envs[(uint8_t) envid];",
                          "only eight bits of the id choose the slot: there are 1024"),
    "one-is-self": Bug("zero", "\tif (envid == 1)", "0 stands for the caller, not 1", loud=True),
    "negative-is-self": Bug("zero", "\tif (envid <= 0)",
                            "a negative id is taken for the caller; only 0 is"),
    "first-is-self": Bug("self", "\t\te = envs;", "0 means the first environment, not the caller", loud=True),
    "no-generation": Bug("alive", "\telse if (ENVX(e->env_id) != ENVX(envid) || e->env_status == ENV_FREE",
                         "the generation isn't compared: an old id fits who has the slot now"),
    "id-of-16-bits": Bug("alive", "\telse if ((int16_t) (e->env_id - envid) || e->env_status == ENV_FREE",
                         "only 16 bits of the id are compared"),
    "free-only-if-other": Bug("alive", "\telse if ((e->env_id != envid && e->env_status == ENV_FREE)",
                              "and for or: a free slot or another's id is enough to refuse"),
    "id-must-differ": Bug("alive", "\telse if (e->env_id == envid || e->env_status == ENV_FREE",
                          "the comparison of ids is the wrong way round", loud=True),
    "stopped-is-dying": Bug("dying", "\t    || e->env_status == ENV_NOT_RUNNABLE)",
                            "one that isn't runnable is refused, not one that is dying", loud=True),
    "running-is-dying": Bug("dying", "\t    || e->env_status == ENV_RUNNING)",
                            "one that is running is refused, not one that is dying"),
    "gone-is-positive": Bug("gone", "\t\treturn E_BAD_ENV;", "the error isn't negative, so callers go on with NULL"),
    "gone-is-invalid": Bug("gone", "\t\treturn -E_INVAL;", "the wrong error"),
    "gone-is-fine": Bug("gone", "\t\treturn 0;", "no error, and callers go on with NULL"),
    "permission-unasked": Bug("power", "\tif (!checkperm && e != self && e->env_parent_id != self->env_id",
                              "permission is asked for when it shouldn't be, and not when it should", loud=True),
    "no-power-over-self": Bug("power", "\tif (checkperm && e->env_parent_id != self->env_id",
                              "the caller may not act on itself", loud=True),
    "power-over-siblings": Bug("power", "\tif (checkperm && e != self && e->env_parent_id != self->env_parent_id",
                               "a common parent is asked for, not that the caller is the parent", loud=True),
    "power-over-parent": Bug("power", "\tif (checkperm && e != self && e->env_id != self->env_parent_id",
                             "the child has power over its parent, not the parent over the child", loud=True),
    "power-over-others": Bug("power", "\tif (checkperm && e != self && e->env_parent_id == self->env_id",
                             "all may be acted on but the caller's own children", loud=True),
    "power-over-all-but-roots": Bug("power", "\tif (checkperm && e != self && e->env_parent_id == 0",
                                    "only those whom the kernel made are refused; all others are anybody's"),
    "all-are-orphans": Bug("orphan", "\t    && guest_is_orphan(e))",
                           "not is missing: only orphans are refused, and nobody else"),
    "denied-is-positive": Bug("denied", "\t\treturn E_BAD_ENV;",
                              "the error isn't negative, so callers go on with NULL"),
    "denied-is-fine": Bug("denied", "\t\treturn 0;", "no error, and callers go on with NULL"),
}
DEFAULT_BUGS = ("no-generation", "stopped-is-dying", "denied-is-positive")
ENV_C = "kern/env.c"
ANSWERS = "answers.txt"
ANSWERS_HANDED_OUT = """\
# Lab 0: three lines of envid2env in kern/env.c are wrong.
#
# One line here for each of them: the line's number in kern/env.c as it was
# handed out (git show handout:kern/env.c | less -N), a colon, and in a few
# words of yours what is wrong with it, such as
#
#   17: it includes the wrong header
#
# The grader leaves out lines that begin with #. Tell in such lines, for each
# bug, what you saw, what it meant, and which command showed it.
"""


def choose_bugs(seed):
    """Three bugs on three lines, one of them loud, in the order of the lines."""
    if seed is None:
        return DEFAULT_BUGS
    stream, names = Stream(seed, "bugs"), sorted(BUGS)
    default = [BUGS[name].line for name in DEFAULT_BUGS]
    while True:
        # First the lines, so that each set of lines is as likely.
        lines = stream.shuffled(LINES)[:3]
        loud = stream.one_of(lines)
        chosen = [stream.one_of(options) if options else None for options in (
            [n for n in names if BUGS[n].line == line and BUGS[n].loud == (line == loud)] for line in lines)]
        if None not in chosen and sorted(lines) != sorted(default):
            order = list(LINES)
            return tuple(sorted(chosen, key=lambda name: order.index(BUGS[name].line)))


def envid2env(lines):
    """Where envid2env begins and ends among the lines of env.c."""
    for at, line in enumerate(lines):
        if line.startswith("envid2env("):
            return at, lines.index("}", at)
    raise VariantError(f"{ENV_C}: rule bugs: there is no envid2env")


def line_of(lines, key):
    """The index of a line of LINES in the lines of env.c."""
    at, end = envid2env(lines)
    try:
        if key in AGAIN:
            at = lines.index(LINES[AGAIN[key]], at, end)
        return lines.index(LINES[key], at, end)
    except ValueError:
        raise VariantError(f"{ENV_C}: rule bugs: envid2env has no line {LINES[key].strip()!r}") from None


def plant(text, names):
    """kern/env.c with these bugs, and the numbers of their lines, from 1."""
    lines = text.split("\n")
    places = {key: line_of(lines, key) for key in LINES}
    for name in names:
        lines[places[BUGS[name].line]] = BUGS[name].wrong
    return "\n".join(lines), [places[BUGS[name].line] + 1 for name in names]


def answer_hash(salt, number):
    """What class.json has in place of a line's number. Slow, so that trying
    all lines of the file takes longer than reading the function."""
    return hashlib.pbkdf2_hmac("sha256", str(number).encode(), salt.encode(), 50_000).hex()[:32]


# --- a variant

class Variant:
    """What differs between a class and the book, for one lab."""

    def __init__(self, seed, lab):
        if lab not in LABS:
            raise ValueError(f"lab {lab}: there is no such lab")
        self.seed, self.lab = seed, lab
        self.hypercalls, self.registers = dict(HYPERCALLS), {k: dict(v) for k, v in REGISTERS.items()}
        self.mbi, self.khz, self.errors = MBI, KHZ, dict(ERRORS)
        self.conditions = {lab: {name: codes[0] for name, codes in names.items()}
                           for lab, names in CONDITIONS.items()}
        self.bugs = choose_bugs(seed)
        self.inputs = Stream(seed or "", "inputs").below(1 << 48)
        self.salt = f"{Stream(seed or '', 'salt').below(1 << 64):016x}"
        self.bug_lines = None           # apply() finds them
        if seed is not None:
            self.choose(seed)

    @classmethod
    def of(cls, seed, lab):
        """The variant of a class; seed None or empty: the book's own."""
        return cls(seed or None, lab)

    def choose(self, seed):
        stream = Stream(seed, "hypercalls")
        while any(self.hypercalls[name] == HYPERCALLS[name] for name in REGISTERS):
            self.hypercalls = dict(zip(HYPERCALLS, stream.shuffled(HYPERCALLS.values())))
        stream = Stream(seed, "registers")
        while any(self.registers[call] == REGISTERS[call] for call in REGISTERS):
            self.registers = {call: dict(zip(roles, stream.shuffled(ARGUMENTS)))
                              for call, roles in REGISTERS.items()}
        stream = Stream(seed, "lab 3")
        self.mbi = stream.one_of((0x1000, 0x2000, 0x3000, 0x4000, 0x5000))
        self.khz = stream.one_of(("ebx", "ecx", "edx"))
        stream = Stream(seed, "errors")
        while self.errors == ERRORS:
            self.errors = dict(zip(ERRORS, stream.shuffled(ERRORS.values())))
        for lab, names in CONDITIONS.items():
            stream = Stream(seed, f"conditions of lab {lab}")
            while sum(self.conditions[lab][name] != codes[0]
                      for name, codes in names.items()) < CONDITIONS_CHANGED[lab]:
                self.conditions[lab] = {name: stream.one_of(codes) for name, codes in names.items()}

    def code(self, condition):
        """The error for a condition of CONDITIONS."""
        return next(names[condition] for names in self.conditions.values() if condition in names)

    def facts(self):
        """What the graders are told, for class.json. Of lab 0's bugs only
        hashes of their lines, and only after apply()."""
        facts = {
            "hypercalls": self.hypercalls,
            "registers": self.registers,
            "mbi": self.mbi,
            "khz": self.khz,
            "errors": {**OTHER_ERRORS, **self.errors},
            "conditions": {name: code for names in self.conditions.values() for name, code in names.items()},
            "inputs": self.inputs,
        }
        if self.lab == 0 and self.bug_lines is not None:
            facts["salt"] = self.salt
            # Sorted by hash: their order tells nothing.
            facts["answers"] = sorted(answer_hash(self.salt, number) for number in self.bug_lines)
        return facts

    def part(self, lab):
        """What a solution of this lab depends on."""
        if lab == 0:
            return [BUGS[name].line for name in self.bugs]
        if lab in CONDITIONS:
            return self.conditions[lab]
        if lab == 3:
            return [self.registers["MBMAP"], self.mbi, self.khz]
        return [self.registers["IPCSEND"], self.registers["IPCRECV"]]


# --- rules: how a tree becomes that of a class

class Rule:
    """In the file at path, replace what pattern finds (^ and $ are those of a
    line) by the text, or by what the function makes of the match.

    count   how often pattern must be found; where it is code of a solution: how
            often in its lab's stub, and how often in the solution
    lab     then: whose solution
    within  look only between what this pattern finds, once
    """

    def __init__(self, name, path, pattern, replacement, count=1, lab=None, within=None):
        self.name, self.path, self.pattern, self.replacement = name, path, pattern, replacement
        self.count, self.lab, self.within = count, lab, within

    def trouble(self, found, expected, pattern=None):
        return VariantError(f"{self.path}: rule {self.name}: found {found} times, expected {expected} times: "
                            f"{pattern or self.pattern}")

    def change(self, text, solved):
        count = self.count if self.lab is None else self.count[self.lab in solved]
        start, end = 0, len(text)
        if self.within is not None:
            spans = list(re.finditer(self.within, text, re.M | re.S))
            if len(spans) != 1:
                raise self.trouble(len(spans), 1, self.within)
            start, end = spans[0].span()
        changed, found = re.subn(self.pattern, self.replacement, text[start:end], flags=re.M)
        if found != count:
            raise self.trouble(found, count)
        return text[:start] + changed + text[end:]


class Contract(Rule):
    """In a comment at path, put other words in place of old ones, and fill
    the paragraph anew."""

    LINE = re.compile(r" \* (?!Manual:|The caller holds)(.*\S)$")

    def __init__(self, name, path, old, new):
        pattern = r"\s+".join(re.escape(word) for word in old.split())
        super().__init__(name, path, pattern, new)

    def change(self, text, solved):
        result, paragraph, found = [], [], 0
        for line in text.split("\n") + [""]:
            match = self.LINE.match(line)
            if match:
                paragraph.append(line)
                continue
            words = "".join(self.LINE.match(one)[1] + ("  " if one.endswith(".") else " ") for one in paragraph)
            words, n = re.subn(self.pattern, self.replacement, words)
            if n:
                paragraph = [" * " + one for one in textwrap.wrap(words, 75, break_on_hyphens=False)]
            found += n
            result += paragraph + [line]
            paragraph = []
        if found != self.count:
            raise self.trouble(found, self.count)
        return "\n".join(result[:-1])


# A line of each lab's stubs that its solution hasn't.
STUBS = {
    1: ("vmm/vmx.c", "vmx_check_support not implemented"),
    2: ("vmm/ept.c", "ept_lookup_gpa not implemented"),
    3: ("vmm/vmexits.c", "cpuid not implemented"),
    4: ("lib/ipc.c", "ipc_host_send not implemented"),
}


def solved_labs(tree):
    return {lab for lab, (path, line) in STUBS.items() if line not in read(tree, path)}


def read(tree, path):
    try:
        return (tree / path).read_text()
    except OSError:
        raise VariantError(f"{path}: the tree has no such file") from None


def hypercall_rules(variant):
    old = {number: name for name, number in HYPERCALLS.items()}
    new = {number: name for name, number in variant.hypercalls.items()}
    for name, number in variant.hypercalls.items():
        yield Rule(f"number of {name}", "inc/vmcall.h", rf"^(#define VMX_VMCALL_{name}\t+){HYPERCALLS[name]}$",
                   rf"\g<1>{number}")
    table = ["other"] + [new[n] for n in sorted(new)]
    book = r",\s+".join(f'"{name}"' for name in ["other"] + [old[n] for n in sorted(old)])
    lines = textwrap.wrap(", ".join(f'"{name}"' for name in table), 64)
    yield Rule("table of hypercalls", "vmm/trace.c", book, "\n\t\t".join(lines))
    yield Rule("end of interrupt", "user/vtimer.c", r'movl \$4, %eax; vmcall\\n"(?=\t/\* LAPICEOI \*/)',
               rf'movl ${variant.hypercalls["LAPICEOI"]}, %eax; vmcall\\n"')


def register_rules(variant):
    mbmap, send, recv = (variant.registers[call] for call in ("MBMAP", "IPCSEND", "IPCRECV"))

    def upper(call, role):
        return variant.registers[call][role].upper()

    def renamed(call):
        """Replace the registers of a call, as C and comments name them."""
        words = {REGISTERS[call][role]: now for role, now in variant.registers[call].items()}

        def new(match):
            word = match[0]
            if word.startswith("reg_"):
                return "reg_" + words[word[4:]]
            return words[word.lower()].upper()
        return r"\breg_r[a-d]x\b|\breg_r[sd]i\b|\bR[A-D]X\b|\bR[SD]I\b", new

    # The contract that all share.
    yield Rule("registers", "inc/vmcall.h", r"^( \* Hypercalls: VMCALL with the number in RAX and arguments in )RBX, "
               r"RCX, RDX\n \* and RSI; the result, 0 or more or an error, comes back in RAX\.$",
               r"\1RBX, RCX, RDX,\n * RSI and RDI; the result, 0 or more or an error, comes back in RAX.")
    yield Rule("registers of MBMAP", "inc/vmcall.h", r"(?<=comes back in )RBX$", upper("MBMAP", "address"))
    yield Rule("registers of IPCSEND", "inc/vmcall.h",
               r"^ \* IPCSEND      RBX whom, RCX value, RDX address of a page, RSI permissions$",
               f" * IPCSEND      {upper('IPCSEND', 'to')} whom, {upper('IPCSEND', 'value')} value, "
               f"{upper('IPCSEND', 'page')} address of a page, {upper('IPCSEND', 'perm')} permissions")
    yield Rule("registers of IPCRECV", "inc/vmcall.h",
               r"^ \* IPCRECV      RBX address for a page; the value comes back in RSI$",
               f" * IPCRECV      {upper('IPCRECV', 'page')} address for a page; the value comes back in "
               f"{upper('IPCRECV', 'value')}")
    # The host's side.
    for call, function, lab, counts in (("MBMAP", "vmcall_mbmap", 3, (1, 2)), ("IPCSEND", "guest_ipc_send", 4, (8, 11)),
                                        ("IPCRECV", "guest_ipc_recv", 4, (4, 6))):
        pattern, new = renamed(call)
        yield Rule(f"registers of {call}", "vmm/vmexits.c", pattern, new, count=counts, lab=lab,
                   within=r"^/\*\n(?: \*[^\n/]*(?:/[^\n]*)?\n)* \*/\nstatic int\n" + function + r"\(.*?^\}$")
    # The guest's.
    yield Rule("registers of MBMAP", "boot/guest.S", r"^(\t+)vmcall$",
               rf"\1vmcall\n\1movl\t%e{mbmap['address'][1:]}, %ebx\t/* as a boot loader does */")
    c = {role: LETTERS[register] for role, register in send.items()}
    yield Rule("registers of IPCSEND", "lib/ipc.c",
               r'^\t\t      "b" \(\(uint64_t\) to\), "c" \(val\), "d" \(gpa\),\n'
               r'\t\t      "S" \(\(uint64_t\) perm\)$',
               f'\t\t      "{c["to"]}" ((uint64_t) to), "{c["value"]}" (val), "{c["page"]}" (gpa),\n'
               f'\t\t      "{c["perm"]}" ((uint64_t) perm)', count=(0, 1), lab=4)
    c = {role: LETTERS[register] for role, register in recv.items()}
    yield Rule("registers of IPCRECV, out", "lib/ipc.c", r'"=S" \(value\)$', f'"={c["value"]}" (value)',
               count=(0, 1), lab=4)
    yield Rule("registers of IPCRECV, in", "lib/ipc.c", r'"b" \(page_gpa\(pg\)\)$', f'"{c["page"]}" (page_gpa(pg))',
               count=(0, 1), lab=4)


def guest_rules(variant):
    """What else lab 3 tells its guests."""
    yield Rule("place of the memory map", "vmm/vmexits.c", r"^(#define MBI_GPA\t+)0x6000\b", rf"\g<1>{variant.mbi:#x}")
    order = ("eax", "ebx", "ecx", "edx")
    arguments = ", ".join("&edx" if name == variant.khz else "NULL" for name in order)
    yield Rule("register of the clock's rate", "inc/vmx.h", r"^(#define CPUID_VMM_TSC_KHZ\t0x40000010\t/\* )EAX \*/$",
               rf"\1{variant.khz.upper()} */")
    yield Rule("register of the clock's rate", "kern/lapic.c", r"cpuid\(CPUID_VMM_TSC_KHZ, &edx, NULL, NULL, NULL\);",
               f"cpuid(CPUID_VMM_TSC_KHZ, {arguments});")
    yield Rule("register of the clock's rate", "vmm/vmexits.c", r"^\t\ta = tsc_per_msec;$",
               f"\t\t{variant.khz[1]} = tsc_per_msec;", count=(0, 1), lab=3)


def error_rules(variant):
    lines = [rf"^\t({name})(\t= ){number}(,\t/\* [^\n]* \*/\n)" for name, number in ERRORS.items()]

    def renumbered(match):
        # MAXERROR follows the last of them, so that must be the highest.
        old = {match[3 * i + 1]: (match[3 * i + 2], match[3 * i + 3]) for i in range(len(ERRORS))}
        ordered = sorted(variant.errors, key=variant.errors.get)
        return "".join(f"\t{name}{old[name][0]}{variant.errors[name]}{old[name][1]}" for name in ordered)
    yield Rule("numbers of errors", "inc/error.h", "".join(line.replace("^", "", 1) for line in lines), renumbered)


def listed(things):
    *most, last = dict.fromkeys(things)
    return f"{', '.join(most)} or {last}" if most else last


def errors(*conditions):
    """Pairs of an error and when it comes, in words; each error once."""
    when = {}
    for error, words in conditions:
        when.setdefault(error, []).append(words)
    return "; ".join(f"-{error} if {listed(words)}" for error, words in when.items())


def lab1_rules(variant):
    code = variant.code
    no_vmx, locked, no_ept, weak = (code(name) for name in ("no-vmx", "locked", "no-ept", "weak-ept"))
    yield Contract("errors of vmx_check_support", "vmm/vmx.c",
                   "Returns 0, or -E_NO_VMX after one line that says what is missing",
                   f"Returns 0; {errors((no_vmx, 'the processor has no VMX'), (locked, 'the firmware has locked it off'))}"
                   ", always after one line that says what is missing")
    yield Contract("errors of vmx_check_ept", "vmm/vmx.c",
                   "Returns 0, or -E_NO_EPT after one line that says what is missing",
                   "Returns 0; " + errors((no_ept, "the processor has no EPT"), (weak, "it lacks a feature of EPT "
                   "that we need")) + ", always after one line that says what is missing")
    yield Contract("errors of vmx_init_vmxon", "vmm/vmx.c",
                   "Returns 0; or, after one line that says why: -E_NO_VMX if the processor or its firmware has no "
                   "VMX for us, -E_NO_MEM, -E_VMX_ON if VMXON fails",
                   "Returns 0; or, after one line that says why: what vmx_check_support() returns, -E_NO_MEM, "
                   "-E_VMX_ON if VMXON fails")
    for name, line, old, new in (
            ("no VMX", r"has_svm\(\) \? \", but AMD's SVM\" : \"\"\);", "E_NO_VMX", no_vmx),
            ("locked off", r'"\(IA32_FEATURE_CONTROL %lx\)\\n", cpunum\(\), control\);', "E_NO_VMX", locked),
            ("no secondary controls", r'has no EPT: no secondary controls\\n", cpunum\(\)\);', "E_NO_EPT", no_ept),
            ("no EPT", r'has no EPT\\n", cpunum\(\)\);', "E_NO_EPT", no_ept),
            ("no unrestricted guest", r'has EPT, but no unrestricted guest\\n", cpunum\(\)\);', "E_NO_EPT", weak),
            ("weak EPT", r'"\(IA32_VMX_EPT_VPID_CAP %lx\)\\n", cpunum\(\), cap\);', "E_NO_EPT", weak)):
        yield Rule(name, "vmm/vmx.c", rf"({line}\n\t\treturn -){old};", rf"\1{new};", count=(0, 1), lab=1)
    # Those who pass these errors on, or look at them.
    all_codes = [f"-{c}" for c in (no_vmx, locked, no_ept, weak)]
    yield Contract("errors of guest_create", "vmm/guest.c",
                   "-E_NO_VMX or -E_NO_EPT after one line that says what this processor lacks",
                   f"{listed(all_codes)} after one line that says what this processor lacks")
    yield Contract("errors of sys_env_mkguest", "kern/syscall.c",
                   "Errors: -E_NO_VMX, -E_NO_EPT", f"Errors: {', '.join(dict.fromkeys(all_codes))}")
    tests = [f"guest == {c}" for c in dict.fromkeys(all_codes)]
    tests = "\n\t    || ".join(" || ".join(tests[i:i + 2]) for i in range(0, len(tests), 2))
    yield Rule("errors of vmm", "user/vmm.c", r"^\tif \(guest == -E_NO_VMX \|\| guest == -E_NO_EPT\)$",
               f"\tif ({tests})")


def lab2_rules(variant):
    no_tables, high, no_table, present, not_guest, beyond, no_page = (
        variant.code(name) for name in
        ("no-tables", "too-high", "no-table", "present", "not-guest", "beyond", "no-page"))
    yield Contract("errors of ept_lookup_gpa", "vmm/ept.c",
                   "Returns 0, and the entry in *epte_out unless epte_out is NULL. Errors: -E_INVAL if eptrt is "
                   "NULL or gpa has more than 48 bits; -E_NO_ENT if a table is missing and create is 0",
                   "Returns 0, and the entry in *epte_out unless epte_out is NULL.  Errors: "
                   + errors((no_tables, "eptrt is NULL"), (high, "gpa has more than 48 bits"),
                            (no_table, "a table is missing and create is 0")))
    yield Contract("errors of ept_map_hva2gpa", "vmm/ept.c",
                   "Returns 0. Errors: -E_INVAL if hva or gpa isn't the beginning of a page, if perm can't be, or "
                   "if a page is at gpa and overwrite is 0",
                   "Returns 0.  Errors: " + errors(
                       ("E_INVAL", "hva or gpa isn't the beginning of a page"), ("E_INVAL", "perm can't be"),
                       (present, "a page is at gpa and overwrite is 0")))
    yield Contract("errors of sys_ept_map", "kern/syscall.c",
                   "Returns 0. Errors: -E_BAD_ENV if an environment isn't there, isn't the caller's, or guestid is "
                   "no guest; -E_INVAL if an address isn't the beginning of a page, srcva is no program's, guest_pa "
                   "isn't below the guest's memory size, perm can't be or asks too much, there is no page at srcva, "
                   "or there is one at guest_pa",
                   "Returns 0.  Errors: " + errors(
                       ("E_BAD_ENV", "an environment isn't there"), ("E_BAD_ENV", "it isn't the caller's"),
                       (not_guest, "guestid is no guest"), ("E_INVAL", "an address isn't the beginning of a page"),
                       ("E_INVAL", "srcva is no program's"), ("E_INVAL", "perm can't be or asks too much"),
                       (beyond, "guest_pa isn't below the guest's memory size"),
                       (no_page, "there is no page at srcva"), (present, "there is one at guest_pa")))

    def code(name, path, pattern, text):
        return Rule(name, path, pattern, text, count=(0, 1), lab=2)
    yield code("no tables, address too high", "vmm/ept.c",
               r"^\tif \(eptrt == NULL \|\| \(uintptr_t\) gpa >> 48 != 0\)\n\t\treturn -E_INVAL;$",
               f"\tif (eptrt == NULL)\n\t\treturn -{no_tables};\n"
               f"\tif ((uintptr_t) gpa >> 48 != 0)\n\t\treturn -{high};")
    yield code("no table", "vmm/ept.c", r"^(\t\t\tif \(!create\)\n\t\t\t\treturn -)E_NO_ENT;$", rf"\1{no_table};")
    yield code("present", "vmm/ept.c", r"^(\tif \(epte_present\(\*epte\) && !overwrite\)\n\t\treturn -)E_INVAL;$",
               rf"\1{present};")
    yield code("no guest", "kern/syscall.c",
               r"^\t    \|\| envid2env\(guestid, &guest, true\) < 0\n\t    \|\| guest->env_type != ENV_TYPE_GUEST\)\n"
               r"\t\treturn -E_BAD_ENV;$",
               "\t    || envid2env(guestid, &guest, true) < 0)\n\t\treturn -E_BAD_ENV;\n"
               f"\tif (guest->env_type != ENV_TYPE_GUEST)\n\t\treturn -{not_guest};")
    yield code("beyond the guest's memory", "kern/syscall.c",
               r"^\tif \(bad_page_va\(\(uintptr_t\) srcva\)\n"
               r"\t    \|\| \(gpa_t\) guest_pa >= \(gpa_t\) guest->env_vmxinfo\.phys_sz\)\n\t\treturn -E_INVAL;$",
               "\tif (bad_page_va((uintptr_t) srcva))\n\t\treturn -E_INVAL;\n"
               "\tif ((gpa_t) guest_pa >= (gpa_t) guest->env_vmxinfo.phys_sz)\n"
               f"\t\treturn -{beyond};")
    yield code("no page", "kern/syscall.c",
               r"^\tif \(pp == NULL \|\| \(\(perm & __EPTE_WRITE\) && !\(\*pte & PTE_W\)\)\)\n\t\treturn -E_INVAL;$",
               f"\tif (pp == NULL)\n\t\treturn -{no_page};\n"
               "\tif ((perm & __EPTE_WRITE) && !(*pte & PTE_W))\n\t\treturn -E_INVAL;")
    # The kernel's own test.
    for name, call, old, new, count in (
            ("no table", r"ept_lookup_gpa\(root, GPA, 0, &e\)", "E_NO_ENT", no_table, 1),
            ("no tables", r"ept_lookup_gpa\(NULL, GPA, 1, &e\)", "E_INVAL", no_tables, 1),
            ("address too high", r"ept_lookup_gpa\(root, TOO_HIGH, 1, &e\)", "E_INVAL", high, 1),
            ("present", r"ept_map_hva2gpa\(root, hva, GPA, r, 0\)", "E_INVAL", present, 1),
            ("no guest", r"sys_ept_map\(0, RO, 0, 0, r\)", "E_BAD_ENV", not_guest, 1),
            ("beyond the guest's memory", r"sys_ept_map\(0, RO, guest, (?:MEM|0UL - PGSIZE), r\)", "E_INVAL",
             beyond, 2),
            ("no page", r"sys_ept_map\(0, NONE, guest, 0, r\)", "E_INVAL", no_page, 1),
            ("present, for a program", r"sys_ept_map\(0, RW, guest, 0, r\)", "E_INVAL", present, 1)):
        yield Rule(f"epttest, {name}", "vmm/epttest.c", rf"(GIVES\({call}, -){old}\)", rf"\g<1>{new})", count=count)


def rules(variant):
    """All rules of a variant; the book's own has none."""
    if variant.seed is None:
        return []
    return [rule for part in (hypercall_rules, register_rules, guest_rules, error_rules, lab1_rules, lab2_rules)
            for rule in part(variant)]


def apply(tree, variant, solved=False):
    """Make a tangled tree that of a class. solved: the lab itself is solved;
    in lab 0, then, are no bugs. Nothing is written if a rule doesn't fit."""
    tree = pathlib.Path(tree)
    labs, texts = solved_labs(tree), {}
    for rule in rules(variant):
        text = texts.get(rule.path) or read(tree, rule.path)
        texts[rule.path] = rule.change(text, labs)
    if variant.lab == 0:
        right = read(tree, ENV_C)
        texts[ENV_C], variant.bug_lines = plant(right, variant.bugs)
        texts[ANSWERS] = ANSWERS_HANDED_OUT
        if solved:
            texts[ENV_C], texts[ANSWERS] = right, answers(variant)
    for path, text in texts.items():
        (tree / path).write_text(text)


def answers(variant):
    """The right answers.txt of lab 0, after apply()."""
    return ANSWERS_HANDED_OUT + "".join(f"{number}: {BUGS[name].what}\n"
                                        for number, name in zip(variant.bug_lines, variant.bugs))


def solution_answers(handout, seed=None):
    """The right answers.txt for a tree of lab 0 as it was handed out."""
    variant = Variant.of(seed, 0)
    lines = read(pathlib.Path(handout), ENV_C).split("\n")
    at, end = envid2env(lines)
    variant.bug_lines = []
    for name in variant.bugs:
        places = [i + 1 for i in range(at, end) if lines[i] == BUGS[name].wrong]
        if not places:
            raise VariantError(f"{ENV_C}: no handout of this seed: the bug {name} isn't in it")
        # `return` stands twice; the first is that of those who are gone.
        variant.bug_lines.append(places[-1] if BUGS[name].line in AGAIN else places[0])
    return answers(variant)


# --- the command

def compare(one, other):
    """In which labs a solution of one seed would do for the other, too."""
    return [lab for lab in LABS if Variant.of(one, lab).part(lab) == Variant.of(other, lab).part(lab)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    sub = commands.add_parser("compare", help="in which labs do two seeds differ enough?")
    sub.add_argument("seeds", nargs=2, metavar="SEED", help="'' is the book itself")
    sub = commands.add_parser("facts", help="what a lab's grader is told")
    sub.add_argument("lab", type=int, choices=LABS)
    sub.add_argument("seed", nargs="?", metavar="SEED")
    sub = commands.add_parser("bugs", help="lab 0's bugs, for those who teach")
    sub.add_argument("seed", nargs="?", metavar="SEED")
    options = parser.parse_args()
    if options.command == "compare":
        alike = compare(*options.seeds)
        for lab in LABS:
            print(f"lab {lab}: " + ("a solution of one passes in the other: take another seed" if lab in alike
                                    else "different"))
        sys.exit(1 if alike else 0)
    if options.command == "facts":
        print(json.dumps(Variant.of(options.seed, options.lab).facts(), indent=1))
    else:
        for name in Variant.of(options.seed, 0).bugs:
            print(f"{name}{' (loud)' if BUGS[name].loud else ''}: {BUGS[name].what}\n"
                  f"  right: {LINES[BUGS[name].line].strip()}\n  wrong: {BUGS[name].wrong.strip()}")


if __name__ == "__main__":
    main()
