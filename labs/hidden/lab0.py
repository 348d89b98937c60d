"""Lab 0, what students don't see: other worlds, many children, two processors."""
import pytest

import lab0
from plugin import check

CHAPTER = 7


def make_world(random):
    """A world of three hundred, made by lot."""
    environments = [(0, 0x1000, 0, lab0.RUNNING, lab0.USER)]
    for slot in random.sample(range(1, 1024), 300):
        parent = random.choice(environments)[1] if random.random() < 0.9 else 0
        if parent and random.random() < 0.1:
            parent += 0x1000            # one that is no more
        environments.append((slot, random.randrange(1, (1 << 19) - 1) << 12 | slot, parent, random.randrange(5),
                             random.choice((lab0.USER, lab0.USER, lab0.FS, lab0.GUEST))))
    return lab0.World(environments), environments, environments


def make_questions(random, environments):
    """Each asks for itself, its family, and others."""
    family = {}
    for slot, envid, parent, _, _ in environments:
        family.setdefault(parent, []).append(envid)
    questions = []
    for _ in range(1500):
        caller, own, parent, status, _ = random.choice(environments)
        if status in (lab0.FREE, lab0.DYING):
            continue
        other = random.choice(environments)[1]
        words, envid = random.choice((
            ("0", 0), ("its own", own), ("its parent's", parent), ("of anybody", other),
            ("of a child", random.choice(family.get(own, [0]))), ("of a brother", random.choice(family[parent])),
            ("nearly of anybody", other ^ 1 << random.randrange(32)), ("by lot", random.randrange(1 << 32))))
        envid = (envid + (1 << 31)) % (1 << 32) - (1 << 31)
        perm = random.random() < 0.7
        questions.append(("all", caller, envid, perm,
                          f"id {envid:#x} ({words}) asked by {own:#x}, {'with' if perm else 'without'} checkperm"))
    return questions


@pytest.fixture(autouse=True)
def booted(lab):
    lab0.assert_boots(lab)


@check(points=12, chapter=CHAPTER, help="hundreds of environments, and questions drawn at random")
def test_a_world_made_by_lot(lab):
    lab0.none_of(lab0.ask_world(lab, *make_world(lab.random), make_questions), "all", "error", "change")


@check(points=8, chapter=CHAPTER, help="900 children: each slot has its numbers")
def test_many_children(lab):
    told, alive = lab0.run_program(lab, "grademany")
    lab0.compare(told, {"children": 900, "reached": 900, "next-generation": 0, "high-bit": 0, "ended": 1,
                        "reached-then": 1, "reached-last": 0})
    assert len(alive) <= 3, f"{len(alive)} environments are alive; the children were destroyed"


@pytest.mark.timeout(90)
@check(points=10, chapter=CHAPTER, help="one who is destroyed while another processor runs it is dying, and gone")
def test_destroyed_twice(lab):
    told, alive = lab0.run_program(lab, "gradetwice", cpus=2)
    lab0.compare(told, {"destroyed": 1, "destroyed-again": 1, "message": 1})
