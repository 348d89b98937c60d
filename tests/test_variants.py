"""Variants of the labs: each class has its own numbers and bugs, and a solution
of one class isn't right in another.
"""
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from emulator import Machine
from trees import ROOT, run

sys.path.insert(0, str(ROOT / "labs"))
import variants                                 # noqa: E402
from variants import BUGS, LINES, Variant, VariantError, apply     # noqa: E402

SEEDS = ["one class", "another class"]
MANY = [f"seed {n}" for n in range(200)]
# (lab, solved): what handout.py tangles for it
TREES = [(lab, solved) for lab in variants.LABS for solved in (False, True)]
LAST = max(variants.LABS)


# --- trees

@pytest.fixture(scope="session")
def tangled(tmp_path_factory):
    """The tree of a lab, before or after, without any variant."""
    top, done = tmp_path_factory.mktemp("tangled"), {}

    def get(lab, solved):
        first = None if solved and lab == LAST else lab + 1 if solved else max(lab, 1)
        if first not in done:
            done[first] = top / f"{first}"
            run([ROOT / "tangle/tangle", *(["-l", str(first)] if first else []), ROOT, done[first]])
            (done[first] / ".tangled").unlink()
        return done[first]
    return get


PATHS = {rule.path for rule in variants.rules(Variant.of(SEEDS[0], LAST))} | {"kern/env.c"}


@pytest.fixture
def copy(tangled, tmp_path):
    """A fresh copy of such a tree: of the files that variants are about, or
    the whole."""
    numbers = itertools.count()

    def get(lab, solved=False, whole=False):
        target = tmp_path / f"tree{next(numbers)}"
        if whole:
            shutil.copytree(tangled(lab, solved), target)
            return target
        for path in PATHS:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tangled(lab, solved) / path, target / path)
        return target
    return get


def files(tree):
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def changed(before, after):
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def handed_in(lab):
    """The files that are handed in; answers.txt isn't tangled."""
    import yaml
    return yaml.safe_load((ROOT / "labs/labs.yaml").read_text())[lab]["files"]


# --- what depends on the seed

FOR_EVER = {"hypercalls": {"MBMAP": 6,
                "IPCSEND": 4,
                "IPCRECV": 7,
                "LAPICEOI": 1,
                "BACKTOHOST": 2,
                "GETDISKIMGNUM": 5,
                "PUTS": 3},
 "registers": {"MBMAP": {"address": "rsi"},
               "IPCSEND": {"to": "rdi", "value": "rbx", "page": "rsi", "perm": "rdx"},
               "IPCRECV": {"page": "rcx", "value": "rdi"}},
 "conditions": {"no-vmx": "E_NO_VMX",
                "locked": "E_NOT_SUPP",
                "no-ept": "E_NO_ENT",
                "weak-ept": "E_NO_ENT",
                "no-tables": "E_FAULT",
                "too-high": "E_INVAL",
                "no-table": "E_NOT_FOUND",
                "present": "E_FILE_EXISTS",
                "not-guest": "E_NOT_SUPP",
                "beyond": "E_NO_ENT",
                "no-page": "E_NOT_FOUND"},
 "inputs": 24048912802514,
 "bugs": ["slot-of-8-bits", "negative-is-self", "first-is-self"]}


def test_the_seed_alone_decides():
    """In other processes too, whatever Python's own hashes are."""
    told = set()
    for hashes in ("0", "1", "random"):
        done = subprocess.run([sys.executable, ROOT / "labs/variants.py", "facts", "3", SEEDS[0]], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, check=True,
                              env={**os.environ, "PYTHONHASHSEED": hashes})
        told.add(done.stdout)
    assert told == {json.dumps(Variant.of(SEEDS[0], 3).facts(), indent=1) + "\n"}


def test_a_seed_means_the_same_for_ever():
    """A class must not get other numbers in the middle of its term."""
    facts = Variant.of("for ever", 4).facts()
    assert facts["hypercalls"] == FOR_EVER["hypercalls"]
    assert facts["registers"] == FOR_EVER["registers"]
    assert facts["conditions"] == FOR_EVER["conditions"]
    assert facts["inputs"] == FOR_EVER["inputs"]
    assert list(Variant.of("for ever", 0).bugs) == FOR_EVER["bugs"]


def test_all_labs_of_a_class_agree():
    for seed in SEEDS:
        assert len({json.dumps(Variant.of(seed, lab).facts()) for lab in variants.LABS}) == 1


def test_no_seed_is_the_book():
    for nothing in (None, ""):
        facts = Variant.of(nothing, 2).facts()
        assert facts["hypercalls"] == variants.HYPERCALLS
        assert facts["registers"] == variants.REGISTERS
        assert (facts["mbi"], facts["khz"]) == (0x6000, "eax")


def test_what_a_variant_may_be():
    for seed in MANY:
        may_be(Variant.of(seed, 4), Variant.of(None, 4))
        assert variants.compare(None, seed) == []


def may_be(variant, book):
    assert sorted(variant.hypercalls.values()) == [1, 2, 3, 4, 5, 6, 7]
    assert sorted(variant.errors.values()) == [17, 18, 19, 20, 21]
    for call, registers in variant.registers.items():
        assert len(set(registers.values())) == len(registers)
        assert set(registers.values()) <= set(variants.ARGUMENTS)
        assert registers != book.registers[call]
        assert variant.hypercalls[call] != book.hypercalls[call]
    assert variant.mbi % 0x1000 == 0 and 0 < variant.mbi < 0x7000
    lines = [BUGS[name].line for name in variant.bugs]
    assert len(set(lines)) == 3 and lines == sorted(lines, key=list(LINES).index)
    assert any(BUGS[name].loud for name in variant.bugs)


def test_two_classes_are_seldom_alike():
    """Lab by lab: how many of 200 neighbours could share a solution?"""
    alike = [lab for one, other in zip(MANY, MANY[1:]) for lab in variants.compare(one, other)]
    for lab in variants.LABS:
        assert alike.count(lab) <= 10


def test_facts_tell_no_secret(copy):
    variant = Variant.of(SEEDS[0], 0)
    apply(copy(0), variant)
    text = json.dumps(variant.facts())
    assert SEEDS[0] not in text
    for name, bug in BUGS.items():
        assert name not in text and bug.what not in text and bug.wrong.strip() not in text
    numbers = set(map(int, re.findall(r"\b\d+\b", text)))
    assert not numbers & set(variant.bug_lines)


def test_compare_as_a_command():
    def compare(*seeds):
        return subprocess.run([sys.executable, ROOT / "labs/variants.py", "compare", *seeds], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True)
    done = compare(*SEEDS)
    assert (done.returncode, done.stdout.count("different")) == (0, 5)
    done = compare(SEEDS[0], SEEDS[0])
    assert (done.returncode, done.stdout.count("take another seed")) == (1, 5)
    assert compare("", SEEDS[0]).returncode == 0


# --- rules

@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("lab, solved", TREES)
def test_rules_fit_every_tree(copy, lab, solved, seed):
    tree = copy(lab, solved)
    before = files(tree)
    apply(tree, Variant.of(seed, lab), solved)
    after = files(tree)
    paths = changed(before, after)
    assert {"inc/error.h", "inc/vmcall.h", "vmm/trace.c", "vmm/epttest.c", "boot/guest.S"} <= paths
    for path in paths - {"answers.txt"}:
        lines = after[path].decode().split("\n")
        old = set(before[path].decode().split("\n"))
        for line in set(lines) - old:
            assert len(line.expandtabs(8)) <= 80 and line == line.rstrip(), f"{path}: {line!r}"


@pytest.mark.parametrize("lab, solved", [tree for tree in TREES if tree[0] != 0])
def test_the_books_own_variant_changes_nothing(copy, lab, solved):
    tree = copy(lab, solved, whole=True)
    before = files(tree)
    apply(tree, Variant.of(None, lab), solved)
    assert files(tree) == before


@pytest.mark.parametrize("lab", [1, 2, 3, 4])
def test_stub_and_solution_differ_in_the_labs_files_only(copy, lab):
    """Whatever the class; so what is handed in is what labs.yaml says."""
    trees = []
    for solved in (False, True):
        tree = copy(lab, solved, whole=True)
        apply(tree, Variant.of(SEEDS[0], lab), solved)
        trees.append(files(tree))
    assert changed(*trees) == set(handed_in(lab))


@pytest.mark.parametrize("seed", SEEDS)
def test_contracts_are_those_of_the_solution(copy, seed):
    """Handout and solution promise the same errors, where both have words."""
    for lab, path, function in ((1, "vmm/vmx.c", "vmx_check_support"), (1, "vmm/vmx.c", "vmx_check_ept"),
                                (2, "vmm/ept.c", "ept_lookup_gpa"), (2, "vmm/ept.c", "ept_map_hva2gpa"),
                                (2, "kern/syscall.c", "sys_ept_map")):
        promised = []
        for solved in (False, True):
            tree = copy(lab, solved)
            apply(tree, Variant.of(seed, lab), solved)
            text = (tree / path).read_text()
            end = text.index(f"\n{function}(")
            comment = text[text.rindex("Returns 0", 0, end):end]
            promised.append(set(re.findall(r"-(E_\w+)", comment)))
        assert promised[0] == promised[1] and promised[0], function
        body = text[end:text.index("\n}\n", end)]
        assert set(re.findall(r"-(E_\w+)", body)) <= promised[1], function


@pytest.mark.parametrize("path", sorted(PATHS - {"kern/env.c"}))
def test_a_chapter_that_changes_is_noticed(copy, path):
    """What a rule looks for is gone: its name and its file are told, and
    nothing is written."""
    tree = copy(LAST, True)
    (tree / path).write_text("/* something else */\n")
    before = files(tree)
    with pytest.raises(VariantError, match=rf"^{re.escape(path)}: rule [\w ,']+: found 0 times, expected"):
        apply(tree, Variant.of(SEEDS[0], LAST), True)
    assert files(tree) == before


def test_a_line_too_many_is_noticed(copy):
    tree = copy(LAST, True)
    path = tree / "vmm/vmexits.c"
    path.write_text(path.read_text().replace("\tregs->reg_rsi = g->ipc_value;\n",
                                             "\tregs->reg_rsi = g->ipc_value;\n\tregs->reg_rbx = 0;\n"))
    with pytest.raises(VariantError, match="vmm/vmexits.c: rule registers of IPCRECV: found 7 times, expected 6"):
        apply(tree, Variant.of(SEEDS[0], LAST), True)


def test_twice_is_an_error(copy):
    tree = copy(LAST, True)
    apply(tree, Variant.of(SEEDS[0], LAST), True)
    with pytest.raises(VariantError):
        apply(tree, Variant.of(SEEDS[0], LAST), True)


def test_a_file_that_is_gone(copy):
    tree = copy(LAST, True)
    (tree / "vmm/trace.c").unlink()
    with pytest.raises(VariantError, match="vmm/trace.c: the tree has no such file"):
        apply(tree, Variant.of(SEEDS[0], LAST), True)


# --- lab 0's bugs

def test_bugs_are_many_and_each_is_one_line():
    assert len(BUGS) >= 8
    for name, bug in BUGS.items():
        assert bug.wrong != LINES[bug.line] and "\n" not in bug.wrong, name
        assert len(bug.wrong.expandtabs(8)) <= 80, name
        assert len(bug.what.split()) >= 3, name
    for line in LINES:
        assert any(bug.line == line for bug in BUGS.values()), line


@pytest.mark.parametrize("seed", [None, *SEEDS, *MANY[:5]])
def test_three_lines_are_wrong(copy, seed):
    variant, tree = Variant.of(seed, 0), copy(0)
    right = (tree / "kern/env.c").read_text().split("\n")
    apply(tree, variant)
    wrong = (tree / "kern/env.c").read_text().split("\n")
    assert len(wrong) == len(right)
    differ = [n for n, (old, new) in enumerate(zip(right, wrong), 1) if old != new]
    assert differ == variant.bug_lines == sorted(differ) and len(differ) == 3
    # The answers, from the tree as it is handed out.
    answers = variants.solution_answers(tree, seed)
    assert [int(n) for n in re.findall(r"^(\d+): \w+ ", answers, re.M)] == differ
    facts = variant.facts()
    assert sorted(variants.answer_hash(facts["salt"], n) for n in differ) == facts["answers"]
    assert not re.search(r"^\d", (tree / "answers.txt").read_text(), re.M)


@pytest.mark.parametrize("seed", [None, SEEDS[0]])
def test_lab_0_solved(copy, seed):
    variant, tree, pristine = Variant.of(seed, 0), copy(0, True), copy(0, True)
    apply(tree, variant, solved=True)
    assert (tree / "kern/env.c").read_text() == (pristine / "kern/env.c").read_text()
    handout = copy(0)
    apply(handout, Variant.of(seed, 0))
    assert (tree / "answers.txt").read_text() == variants.solution_answers(handout, seed)
    with pytest.raises(VariantError, match="no handout of this seed"):
        variants.solution_answers(pristine, seed)


def test_a_changed_envid2env_is_noticed(copy):
    tree = copy(0)
    path = tree / "kern/env.c"
    path.write_text(path.read_text().replace("\tif (envid == 0)", "\tif (!envid)"))
    with pytest.raises(VariantError, match="kern/env.c: rule bugs: envid2env has no line 'if \\(envid == 0\\)'"):
        apply(tree, Variant.of(None, 0))


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_bugs_compile_without_a_warning(copy, compiler):
    """Alone, and with as many others as fit beside it."""
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} isn't installed")
    tree = copy(0, whole=True)
    path = tree / "kern/env.c"
    right = path.read_text()
    made = run(["make", "-n", f"CC={compiler}", "obj/kern/env.o"], cwd=tree).stdout
    command = re.search(rf"({compiler} -std=.*-Werror.*) -MMD", made)[1]
    of_line = [[name for name in BUGS if BUGS[name].line == line] for line in LINES]
    sets = [(name,) for name in BUGS] + list(itertools.zip_longest(*of_line))
    for names in sets:
        path.write_text(variants.plant(right, [name for name in names if name])[0])
        run([*command.split(), "-c", "-o", os.devnull, "kern/env.c"], cwd=tree)


# --- does it still run?

@pytest.fixture(scope="module")
def solution(tmp_path_factory):
    """The tree of a class in which all labs are solved, built."""
    top, done = tmp_path_factory.mktemp("solutions"), {}

    def get(seed):
        if seed not in done:
            done[seed] = top / f"{len(done)}"
            write_tree(done[seed], LAST, seed, "--solution")
            build(done[seed])
        return done[seed]
    return get


def write_tree(folder, lab, seed, *options):
    run([sys.executable, ROOT / "labs/handout.py", *options, *(["--seed", seed] if seed else []), str(lab), folder])


def build(tree):
    built = run(["make", "-j2"], cwd=tree)
    assert not re.search(r"\bwarning\b", built.stdout, re.I), built.stdout


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("seed", [None, *SEEDS])
def test_a_guest_boots_to_its_shell(solution, seed):
    with Machine(solution(seed), "run-vmm-nox", timeout=120) as machine:
        machine.expect("VMX extension hidden from guest")
        machine.expect("message of the day")
        machine.expect(r"vm\$ ")
        assert "hello, world" in machine.command("hello", r"vm\$ ")


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("seed", [None, *SEEDS])
def test_the_kernels_own_tests_pass(solution, seed):
    with Machine(solution(seed), "run-epttest-nox") as machine:
        machine.expect("Cheers! sys_ept_map seems to work correctly")
    with Machine(solution(seed), "run-vtimer-nox", timeout=120) as machine:
        machine.expect(r"vtimer: halts: 50 interrupts")


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("lab", variants.LABS)
def test_handouts_of_a_class_build(tmp_path, lab):
    write_tree(tmp_path / "lab", lab, SEEDS[0])
    build(tmp_path / "lab")


# --- last year's solution

GRADERS = [pytest.param(lab, marks=() if (ROOT / f"labs/grade/lab{lab}.py").exists() else pytest.mark.xfail(
    reason=f"lab {lab} has no grader yet", strict=False)) for lab in variants.LABS]


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Grade the solution of one class with the grader of another: points of
    how many, and the report."""
    top, there = tmp_path_factory.mktemp("classes"), {}

    def tree(lab, seed, *options):
        key = lab, seed, options
        if key not in there:
            there[key] = top / f"{len(there)}"
            write_tree(there[key], lab, seed, *options)
        return there[key]

    def get(lab, of, by):
        grader = tree(lab, by) / "tools/grade/grade.py"
        done = subprocess.run(["/usr/bin/python3", "-B", grader, tree(lab, of, "--solution")], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=900,
                              env={**os.environ, "GRADE_CACHE": str(top / "cache")})
        assert done.returncode == 0, done.stdout + done.stderr
        won, most = map(int, re.search(r"^Points: (\d+) of (\d+)", done.stdout, re.M).groups())
        return won, most, done.stdout
    return get


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("lab", GRADERS)
def test_the_right_solution_gets_all_points(graded, lab):
    won, most, report = graded(lab, SEEDS[0], SEEDS[0])
    assert won == most == 100, report


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("of, by", [(SEEDS[0], SEEDS[1]), (None, SEEDS[1])])
@pytest.mark.parametrize("lab", GRADERS)
def test_the_solution_of_another_class_does_not(graded, lab, of, by):
    won, most, report = graded(lab, of, by)
    assert won < most == 100, report


