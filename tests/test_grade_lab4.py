"""The grader of lab 4: its model and its reader of disks; and whole gradings
of solutions that are right, that loop, and that only print."""
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import time

import pytest

from trees import ROOT

GRADE = ROOT / "labs/grade"
sys.path.insert(0, str(GRADE))
SEED = "lab 4's own test"


def load(path):
    spec = importlib.util.spec_from_file_location(f"checks_{path.parent.name}_lab4", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lab4, hidden = load(GRADE / "lab4.py"), load(ROOT / "labs/hidden/lab4.py")


def checks(module):
    return {name: next(mark for mark in one.pytestmark if mark.name == "check").kwargs
            for name, one in vars(module).items() if name.startswith("test_")}


def test_points_and_advice():
    public, more = checks(lab4), checks(hidden)
    assert sum(c["points"] for c in public.values()) == 100
    assert sum(c["points"] for c in more.values()) == 30
    sections = (ROOT / "woven/manual-sections.tsv").read_text()
    for name, c in {**public, **more}.items():
        assert 2 <= c["points"] <= 12 and len(c["help"]) > 20, name
        # 28.2.2 is a part of 28.2, which the list has.
        assert c["section"] is None or f"\t{c['section']}\t" in sections \
            or f"\t{c['section'].rpartition('.')[0]}\t" in sections, name
        for word in ("invept(", "page_decref", "pp_ref++", "find_shared_page", "guest_drop_answer"):
            assert word not in c["help"], f"{name} tells the solution: {word}"


def test_operations_have_all_that_is_to_be_seen():
    for seed in range(20):
        ops = lab4.operations(random.Random(seed), 140, -3)
        model = lab4.Model(-3)
        conditions = {"invalid": -3, "no-tables": -3, "too-high": -5, "no-mem": -4}
        itself = replaced = limit = tables = high = nowhere = False
        for op in ops:
            errors = model.wrong(op, conditions) if op[0] == lab4.INSERT else set()
            before = list(model.refs), [dict(m) for m in model.maps]
            limit |= errors == {-4} and not op[5]
            tables |= errors == {-4} and bool(op[5])
            high |= errors == {-5}
            nowhere |= op[1] < 0
            old = model.do(op, conditions)
            if errors:
                assert old == "wrong" and before == (model.refs, model.maps)
            elif op[0] == lab4.INSERT and old:
                replaced = True
                itself |= old[0] == op[2] and old[1] != op[3] and op[2] >= lab4.HELD
        assert itself and replaced and limit and tables, seed
        assert [r for r in model.refs[:lab4.HELD]] == [model.true_refs(p) for p in range(lab4.HELD)]
        assert model.free[6] and model.free[7]
    assert high and nowhere


class Lab:
    """What files() wants of a submission."""
    nonce = "0123456789abcdef"

    def __init__(self, variant):
        self.variant, self.random = variant, random.Random(1)


def test_inputs_follow_the_variant():
    book = lab4.files(Lab({}))
    assert "#define G4_SEND_TO rbx" in book["inc/grade4_inputs.h"]
    assert "#define G4_VALUE_REGISTER 6" in book["inc/grade4_inputs.h"]
    other = lab4.files(Lab({"registers": {
        "IPCSEND": {"to": "rdi", "value": "rsi", "page": "rcx", "perm": "rbx"},
        "IPCRECV": {"page": "rsi", "value": "rbx"}}}))
    assert "#define G4_SEND_TO rdi" in other["inc/grade4_inputs.h"]
    assert "#define G4_RECV_PAGE rsi" in other["inc/grade4_inputs.h"]
    assert "#define G4_VALUE_REGISTER 3" in other["inc/grade4_inputs.h"]
    assert lab4.condition(Lab({}), "too-high", "E_INVAL") == -3
    assert lab4.condition(Lab({"conditions": {"too-high": "E_NO_ENT"}, "errors": {"E_NO_ENT": 20}}),
                          "too-high", "E_INVAL") == -20


def test_random_file():
    data = lab4.random_file(7, 9000)
    assert len(data) == 9000 and len(set(data)) > 200
    x = (7 * 1103515245 + 12345) & 0xffffffff
    assert data[0] == x >> 16 & 0xff
    assert data[5000:8000] != lab4.random_file(8, 9000)[5000:8000]


# --- whole gradings

@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """The handout and the solution of a class, and a folder for gradings."""
    top = tmp_path_factory.mktemp("lab4")
    for option, name in (([], "handout"), (["--solution"], "solution")):
        subprocess.run([sys.executable, ROOT / "labs/handout.py", *option, "--seed", SEED, "4", top / name],
                       check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=200)
    return top


def grade(top, submission, *options):
    """Grade a submission; {name: result} and the seconds that it took."""
    results, start = top / "results.json", time.monotonic()
    done = subprocess.run([sys.executable, top / "handout/tools/grade/grade.py", "--json", results, *options,
                           submission], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900,
                          env={**os.environ, "GRADE_CACHE": str(top / "cache")})
    assert done.returncode == 0, done.stdout + done.stderr
    return {t["name"]: t for t in json.loads(results.read_text())["tests"]}, time.monotonic() - start


def sum_of(results, visibility):
    return sum(t["score"] for t in results.values() if t["visibility"] == visibility)


def changed(top, name, *changes):
    """The solution with other texts in some files."""
    folder = top / name
    for file in json.loads((top / "handout/tools/grade/class.json").read_text())["files"]:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(top / "solution" / file, folder / file)
    for file, old, new in changes:
        text = (folder / file).read_text()
        assert text.count(old) == 1, (file, old)
        (folder / file).write_text(text.replace(old, new))
    return folder


LOOP = 'for (;;) asm volatile("");\n\t'
PLACES = [
    ("vmm/ept.c", "\tif (pp->pp_ref == UINT16_MAX)\n", "\t{}if (pp->pp_ref == UINT16_MAX)\n"),
    ("kern/syscall.c", "\tif (curenv->env_type != ENV_TYPE_FS ||", "\t{}if (curenv->env_type != ENV_TYPE_FS ||"),
    ("lib/ipc.c", "\tuint64_t gpa = page_gpa(pg);\n\tint64_t r;\n", "\tuint64_t gpa = page_gpa(pg);\n\tint64_t r;\n\n\t{}"),
    ("fs/vdisk.c", "\tint r;\n\n\tif (secno", "\tint r;\n\n\t{}if (secno"),
]


def everywhere(statement):
    return [(file, old, new.replace("{}", statement)) for file, old, new in PLACES]


def load_factor():
    return max(1, os.getloadavg()[0] / (os.cpu_count() or 1))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_right_solution_of_a_class(trees):
    results, seconds = grade(trees, trees / "solution", "--hidden", ROOT / "labs/hidden")
    lost = [(t["name"], t["output"]) for t in results.values() if t["score"] < t["max_score"]]
    assert not lost
    assert (sum_of(results, "visible"), sum_of(results, "hidden")) == (100, 30)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_one_that_loops_costs_only_its_points(trees):
    results, seconds = grade(trees, changed(trees, "loops", *everywhere(LOOP)))
    assert sum_of(results, "visible") <= 20
    assert seconds < 170 * load_factor()
    assert "didn't come back from ept_page_insert(" in results["ept page insert maps the page"]["output"]


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_one_that_prints_for_ever(trees):
    words = 'for (;;) cprintf("This is /motd. vm$ grade4 done G4 done ok\\n");\n\t'
    changes = everywhere(words) + [("vmm/ept.c", "#include <inc/error.h>\n", "#include <inc/error.h>\n#include <inc/stdio.h>\n")]
    results, seconds = grade(trees, changed(trees, "floods", *changes))
    assert sum_of(results, "visible") <= 20
    assert seconds < 170 * load_factor()
