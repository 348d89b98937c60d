"""Hidden checks of lab 4: other inputs, and harder corners.

They use the runs of the public checks, whose machines do what's added here
too: programs/lab4, and a second list of operations for ept_page_insert.
"""
import importlib.util
import pathlib
import random
import sys

import pytest

import plugin
from plugin import check

NAME = "public_checks_of_lab4"


def public():
    """The public checks, once for all that load this file."""
    if NAME not in sys.modules:
        path = pathlib.Path(plugin.__file__).parent / "lab4.py"
        spec = importlib.util.spec_from_file_location(NAME, path)
        sys.modules[NAME] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[NAME])
    return sys.modules[NAME]


lab4 = public()


def more(lab):
    """Another list for ept_page_insert, longer and new each time."""
    if not hasattr(lab, "lab4_more"):
        lab.lab4_more = lab4.operations(random.Random(lab.nonce), 250, lab4.error(lab, "E_INVAL"))
    return lab.lab4_more


def files(lab):
    return {"vmm/grade4_more.c": "#include <vmm/grade4.h>\n\n"
                                 + lab4.table(more(lab), "grade4_more", "grade4_nmore")}


@pytest.fixture(scope="module")
def inserted(lab):
    return lab4.insertions(lab, 1, more(lab))


@pytest.fixture(scope="module")
def library(lab):
    return lab4.once(lab, "gradelib", lambda lab: lab4.run_calls(lab, "gradelib"))


@pytest.fixture(scope="module")
def driver(lab):
    return lab4.once(lab, "gradevd", lambda lab: lab4.run_calls(lab, "gradevd"))


@pytest.fixture(scope="module")
def messages(lab):
    return lab4.Messages(lab)


@check(points=5, chapter=20, section="28.3.3.4", help="a longer list of insertions, another each time")
def test_many_insertions(inserted):
    lab4.check_places(inserted)
    lab4.check_counts(inserted)


@check(points=3, chapter=20, section="28.3.3.4", help="errors among them, and INVEPT")
def test_many_insertions_with_errors(inserted):
    lab4.check_errors(inserted)
    lab4.check_invept(inserted)


@check(points=4, chapter=26, help="values of 32 bits with the highest set, errors after patience")
def test_library_corners(lab, library):
    lab4.check_recv(lab, library, 11, None, lab4.error(lab, "E_NO_MEM"))
    lab4.check_recv(lab, library, 12, 0, lab4.error(lab, "E_NO_DISK"))
    lab4.check_send(lab, library, 7, lab4.inputs(lab)["random"][3], 7, 1, calls=2, result=lab4.error(lab, "E_NO_MEM"))


@check(points=4, chapter=26, help="large block numbers and file ids, nothing to move, halves that make a whole")
def test_driver_corners(lab, driver):
    numbers = lab4.inputs(lab)
    image, blocks = numbers["random"], numbers["blocks"]
    low = image[0] & 0x7fffffff
    lab4.check_move(lab, driver, 9, 0, low, blocks[1], 4, 4, lab4.error(lab, "E_NO_MEM"), 2)
    lab4.check_move(lab, driver, 10, 0, low, blocks[0], 0, 0)
    got = driver.result(7, "a move of 4 sectors from sector 4 of a block")
    assert got == lab4.error(lab, "E_INVAL") and not driver.of(7), f"4 sectors from the middle of a block: {got}"
    high = 0x80000000 | image[3] & 0x7fffffff
    lab4.check_move(lab, driver, 11, 1, high, blocks[2], 7, 2)
    lab4.check_move(lab, driver, 12, 0, high, blocks[2], 8, 1, lab4.error(lab, "E_NOT_FOUND"), 1)


@check(points=3, chapter=26, help="all 64 bits of whom a guest means")
def test_whom_in_64_bits(lab, messages):
    lab4.check_refused(lab, messages, "hwhoms", [
        ("to 2^32 + 1", "E_BAD_ENV"), ("to 2^63 + 1", "E_BAD_ENV"), ("to 0x10001", "E_BAD_ENV"), ("to -1", "E_BAD_ENV")])


@check(points=4, chapter=26, help="more addresses and permissions that can't be; a page that nobody has touched")
def test_pages_that_can_and_cannot_be(lab, messages):
    lab4.check_refused(lab, messages, "hplaces", [(f"(case {n} of hidden_places)", "E_INVAL") for n in range(9)])
    got = messages.of("untouched", "came", "pte", "sum", "second", "page", "last", "r", "t")
    assert got["came"] and got["r"] == 0, f"a page that the guest hasn't touched wasn't sent: RAX {got['r']}"
    assert got["pte"] == 7 and got["sum"] == 0, f"it came with permissions {got['pte']:#x}, {got['sum']} words aren't 0"
    assert got["second"] and got["t"] == 0, f"a message without a page, but with permissions -1: RAX {got['t']}"


@check(points=3, chapter=26, help="65535 references are all that there can be")
def test_an_answer_with_65535_references(lab, messages):
    got = messages.of("limit", "n", "refs", "r", "without", "recv", "value", "left")
    assert got["refs"] == 65535, f"the grader came to {got['refs']} references only"
    assert got["r"] == lab4.error(lab, "E_NO_MEM"), f"the answer with it returned {got['r']}"
    assert got["without"] == got["recv"] == 0 and got["value"], "then one without a page: it wasn't fetched"
    assert got["left"] == 1, f"in the end the page has {got['left']} references, not 1"


@check(points=2, chapter=26, help="guests that end asleep or with an answer, and one that asks twice")
def test_bad_moments(lab, messages):
    got = messages.of("ended", "asleep", "left", "after")
    assert (got["asleep"], got["left"], got["after"]) == (lab4.error(lab, "E_BAD_ENV"), 1, 1), str(got)
    got = messages.of("twice", "late", "r", "recv", "value", "again")
    assert got["late"] and got["r"] == got["recv"] == 0 and got["value"], f"a second request before the answer: {got}"
    assert got["again"] == lab4.error(lab, "E_INVAL"), f"its answer can be fetched twice: {got['again']}"


@check(points=2, chapter=26, help="places that can't be, and the server that is busy")
def test_bad_places_for_answers(lab, messages):
    names = [f"{what}{n}" for n in range(4) for what in ("r", "refs")]
    got = messages.of("badrecv", *names)
    for n in range(4):
        assert got[f"r{n}"] == lab4.error(lab, "E_INVAL"), f"IPCRECV to place {n} returned {got[f'r{n}']}"
        assert got[f"refs{n}"] == 1, f"the answer's page has {got[f'refs{n}']} references"
    got = messages.of("busy", "early", "runs", "value", "last", "r")
    assert not got["early"], "a message to a server that wasn't listening came back before it was delivered"
    assert got["value"] and got["last"] == 1 and got["r"] == 0, f"it was delivered wrongly, or more than once: {got}"
