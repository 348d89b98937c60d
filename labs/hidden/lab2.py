"""Hidden checks of lab 2: other inputs, and corners. They are done by the
public checks' machines, after the public steps."""
import re
import struct

import pytest

import lab2 as public
from lab2 import (GUEST_MEM, GUEST_ROOT, PAGE, PTE_U, PTE_W, R, RAW, REGISTERS, UTEMP, W, X, elf,
                  error, guest_runs, once, pages_of, plan, same, went_well)
from machine import Machine
from plugin import check

RIGHTS = (R, R | W, R | X, R | W | X)


def table_steps(s):
    choose, lab = s.random, s.lab
    present, missing = error(lab, "present"), error(lab, "no-table")
    no_memory, invalid = error(lab, "E_NO_MEM"), error(lab, "E_INVAL")

    # A long sequence of all kinds; few addresses, so that they meet again.
    g = "h-random"
    s.add(g, "DIRTY", 60)
    root = s.root(g)
    gpas = s.gpas(14)
    for _ in range(110):
        gpa, page, perm = choose.choice(gpas), choose.randrange(16), choose.choice(RIGHTS)
        there, kind = gpa in s.leaves[root], choose.randrange(8)
        if kind == 0:
            new = choose.randrange(2)
            r = 0 if new or not s.missing(root, gpa) else missing
            s.lookup(g, root, gpa + choose.randrange(PAGE), new, r=r)
        elif kind == 1:
            s.map(g, root, page, gpa, choose.choice((0, W, X, W | X, R | 0x10)), 1, r=invalid)
        elif there and kind < 5:
            s.map(g, root, page, gpa, perm, 0, r=present)
        else:
            s.map(g, root, page, gpa, perm, choose.choice((1, 2, -1)) if there else choose.randrange(2))

    # Entries that others have made: with fewer rights, and with bits set that
    # the processor ignores or sets itself.
    g = "h-bits"
    root = s.root(g)
    for level, bits in ((3, W | X), (2, R | W), (1, 1 << 8), (3, 1 << 52 | 1 << 62), (1, 7 << 9), (2, 1 << 63)):
        gpa = (choose.randrange(1, 512) << 39) ^ choose.randrange(1 << 27) << 12
        s.put(g, root, gpa, choose.randrange(16), R)
        s.add(g, "BITS", root, gpa, level, bits)
        s.lookup(g, root, gpa, 0)
        s.lookup(g, root, gpa, 1)

    # No memory at each level, later enough; then all is freed.
    g = "h-nomem"
    s.add(g, "DIRTY", 20)
    root = s.root(g)
    gpas = s.gpas(1)
    gpa = gpas[0]
    s.map(g, root, 22, gpa, R | W)
    for level in (0, 1, 2):
        other = gpa ^ choose.randrange(1, 512) << 12 + 9 * (level + 1)
        for left in sorted({0, level}):
            s.map(g, root, 23, other, R, 0, pages=left, r=no_memory)
        s.lookup(g, root, gpa, 0)
        s.lookup_later(g, root, other)
        s.map(g, root, 23, other, R | X, 0)
    # The tables won't be there at the end, so nothing can be looked up then.
    for step in s.steps:
        if step.group == g:
            step.expect.pop("entry", None)
    s.add(g, "REFS", 22, 2)
    s.add(g, "REFS", 23, 4)
    s.add(g, "FREE", root)


def call_steps(s):
    choose, lab = s.random, s.lab
    g = "h-calls"
    guests, memory = (12, 13), {n: choose.randrange(30, 400) * PAGE for n in (12, 13)}
    s.env(g, 14, 0)
    for n in guests:
        s.env(g, n, 0, memory[n])
    # Page, and whose it is, where, and whether it may be written.
    sources = []
    for n in range(6):
        owner, va, write = choose.choice((0, 14)), UTEMP + (600 + n) * PAGE, n % 2
        s.insert(g, owner, 24 + n, va, PTE_U | PTE_W * write)
        sources.append((owner, va, write, 24 + n))
    s.lab.lab2.counts = {page: 1 for *_, page in sources}
    for _ in range(70):
        owner, va, write, page = choose.choice(sources)
        guest, perm = choose.choice(guests), choose.choice(RIGHTS)
        gpa = choose.randrange(0, memory[guest] // PAGE) % 17 * PAGE
        kind = choose.randrange(10)
        if kind == 0:
            s.call(g, owner, va, guest, memory[guest] + choose.randrange(1 << 30) * PAGE, R, page, "beyond",
                   r=error(lab, "beyond"))
        elif kind == 1:
            s.call(g, owner, va + PAGE * 50, guest, gpa, R, page, "no page", r=error(lab, "no-page"))
        elif kind == 2:
            s.call(g, 14 - owner, va, guest, gpa, R, page, "no page there, but in another environment",
                   r=error(lab, "no-page"))
        elif kind == 3:
            s.call(g, 2, va, guest, gpa, R, page, "not the caller's", r=error(lab, "E_BAD_ENV"))
        elif perm & W and not write:
            s.call(g, owner, va, guest, gpa, perm, page, "only to be read", r=error(lab, "E_INVAL"))
        elif gpa in s.leaves[GUEST_ROOT + guest]:
            s.call(g, owner, va, guest, gpa, perm, page, "there is one", r=error(lab, "present"))
        else:
            s.call(g, owner if owner else RAW, va, guest, gpa, perm, page, "all is well")
            s.lab.lab2.counts[page] += 1


def run_steps(s):
    choose, g = s.random, "h-run"
    s.add(g, "GUEST", 1)
    s.add(g, "GUEST", 2)
    launched = set()
    for _ in range(24):
        guest = choose.choice((1, 2))
        if choose.random() < 0.2 and guest in launched:
            s.add(g, "CLEAR", guest)
            launched.discard(guest)
        s.run(g, guest, choose.randrange(0, 100) * 16,
              instruction="VMRESUME" if guest in launched else "VMLAUNCH")
        launched.add(guest)


def odd_loads(l):
    choose, lab = l.random, l.lab
    not_exec, present, beyond = (error(lab, name) for name in ("E_NOT_EXEC", "present", "beyond"))
    page = choose.randrange(300, 2000) * PAGE
    skew = choose.randrange(1, PAGE)
    l.map("h-odd", page + skew, PAGE, 0, 3 * PAGE + skew, "nothing of the file, and it begins in a page", memory=False)
    l.map("h-odd", page, 0, 0, 0, "nothing at all")
    l.map("h-odd", page + 4095, 2, 2, 2 * PAGE + 4095, "two bytes in two pages")
    l.map("h-odd", page, PAGE, PAGE, 100 * PAGE, "a place behind the file's end", r=not_exec)
    l.map("h-odd", page, PAGE, 0, 100 * PAGE, "nothing of the file, at a place behind its end")
    l.map("h-odd", GUEST_MEM, PAGE, 0, 0, "behind the guest's memory", r=beyond)
    l.map("h-odd", page, 1 << 63, 0, 0, "a size that is negative if signed", r=not_exec)
    a, b = choose.randbytes(300), choose.randbytes(2 * PAGE)
    many = [(1 if n % 3 else 2, 0x100000 + n * 4 * PAGE, 200 + n, min(300, 100 + n), PAGE, a) for n in range(30)]
    data = elf(many)
    wanted = {}
    for kind, pa, memsz, filesz, offset, _ in many:
        if kind == 1:
            wanted.update(pages_of(data, pa, memsz, filesz, offset))
    l.copy("h-odd", "/hmany", data, 0, "thirty program headers, a third of them not to be loaded", memory=wanted)
    l.copy("h-odd", "/hmeet", elf([(1, 0x100000, 100, 100, PAGE, a), (1, 0x100200, 100, 100, PAGE + 0x200, a)]),
           present, "two segments in one page")
    l.copy("h-odd", "/hfar", elf([(1, 0x100000, 100, 100, PAGE, a), (1, GUEST_MEM - PAGE, 2 * PAGE, 2 * PAGE, PAGE, b)]),
           beyond, "a segment that ends behind the guest's memory")


def files(lab):
    parts = plan(lab)
    if not hasattr(parts, "values"):
        table_steps(parts.script)
        call_steps(parts.script)
        run_steps(parts.script)
        odd_loads(parts.loads)
        parts.values = [[lab.random.randrange(1 << 32) for _ in range(7)] for _ in range(2)]
    rows = []
    for values in parts.values:
        # mov $value, %reg for EAX ECX EDX EBX EBP ESI EDI; hlt
        code = b"".join(b"\x66" + bytes([0xb8 + reg]) + struct.pack("<I", value)
                        for reg, value in zip((0, 1, 2, 3, 5, 6, 7), values)) + b"\xf4"
        rows.append("\t{ " + ", ".join(map(str, code)) + " },\n")
    header = ("/* Made by the grader. */\nstatic uint8_t halt_code[2][PGSIZE] __attribute__((aligned(PGSIZE))) = {\n"
              f"{''.join(rows)}}};\nstatic const char grade_nonce[] = \"{lab.nonce}\";\n")
    return {**public.files(lab), "user/gradehalt.h": header}


@pytest.fixture(scope="module")
def ept(lab):
    return public.ept_results(lab)


@pytest.fixture(scope="module")
def runs(lab):
    return public.run_results(lab)


@pytest.fixture(scope="module")
def loaded(lab):
    return public.load_results(lab)


@check(points=6, chapter=20, section="28.2.2", help="a long sequence of mappings, against a model")
def test_many_mappings(ept):
    ept.compare("h-random")
    for root in ept.roots_of("h-random"):
        ept.tables(root)


@check(points=2, chapter=20, section="28.2.2", help="what makes an entry present, and where its address begins and ends")
def test_entries_with_other_bits(ept):
    ept.compare("h-bits")


@check(points=4, chapter=20, help="no memory half way, at each level, and nothing lost when the tables are freed")
def test_no_memory_and_nothing_lost(ept):
    ept.compare("h-nomem")
    lost = sum(result["took"] for _, step, result in ept.of("h-nomem"))
    assert lost == 0, f"tables were made and freed, and {lost} pages are lost"
    for page in (22, 23):
        assert ept.page_refs[page] == 1, f"a page has {ept.page_refs[page]} references; it should be 1"


@check(points=5, chapter=20, help="a long sequence of calls for two guests, against a model")
def test_many_calls(ept, lab):
    ept.compare("h-calls")
    for guest in (12, 13):
        ept.tables(GUEST_ROOT + guest)
    for page, refs in plan(lab).counts.items():
        assert ept.page_refs[page] == refs, (
            f"a page with {refs} mappings has {ept.page_refs[page]} references")


@check(points=5, chapter=23, help="segments at odd places, and kernels that can't be loaded")
def test_odd_segments(loaded):
    loaded.compare("h-odd")
    for n, load in enumerate(loaded.loads):
        if load.group == "h-odd":
            _, _, _, before, after, work = loaded.result(n)
            assert after == before, f"{load.what}: a descriptor was open afterwards"
            assert not (load.whole and work), f"{load.what}: the work page is still mapped"


@check(points=5, chapter=21, section="26.1", help="two guests by turns, from stacks of all depths, some put away between")
def test_two_guests_by_turns(runs):
    done = guest_runs(runs, "h-run")
    for step, result, run in done:
        went_well(step, result, run)
        same(step, REGISTERS, run["sent"], run["seen"], "was in the guest")
        same(step, REGISTERS, run["answer"], run["got"], "was afterwards")
        same(step, public.KEPT, run["before"], run["after"], "of the host was afterwards")
    wanted = [step.expect["instruction"] for step, *_ in done]
    assert runs.trace[-len(wanted):] == wanted, (
        f"Bochs saw {' '.join(runs.trace[-len(wanted):])}; it should be {' '.join(wanted)}")


def halted(lab):
    with Machine(lab, "bochs", run="gradehalt", trace=True) as machine:
        found = machine.expect(rf"grade: {lab.nonce} ([0-9a-f]{{8}}) ([0-9a-f]{{8}})", seconds=public.longest())
        slots = [int(found[n], 16) & 1023 for n in (1, 2)]
        state = machine.core()
        lines = [line for line in machine.trace() if re.search(r"VMLAUNCH|VMRESUME|VMEXIT reason", line)]
    names = "rax rcx rdx rbx rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split()
    regs = state.ask(f"[[c(f'envs[{{i}}].env_tf.tf_regs.reg_{{r}}') for r in {names}] for i in {slots}]")
    return lines, names, regs


@check(points=3, chapter=21, section="27.5", help="what two guests of a program had in their registers when they halted")
def test_guests_that_halt(lab):
    lines, names, regs = once(lab, "halt", lambda: halted(lab))
    launches, exits = (sum(word in line for line in lines) for word in ("VMLAUNCH", "VMEXIT reason = 12 "))
    assert launches == 2 and exits == 2, f"two guests that halt, but {launches} VMLAUNCH and {exits} exits by HLT"
    for n, values in enumerate(plan(lab).values):
        for name, value, got in zip(names, values + [0] * 8, regs[n]):
            assert got == value, f"guest {n} halted with {name.upper()} {value:#x}; the kernel has {got:#x} for it"
