"""The wrong solutions that graders are tried with: each still fits its
solution, and graders tell some of them from right ones."""
import pathlib
import subprocess
import sys

import pytest
import yaml

from trees import ROOT

sys.path.insert(0, str(ROOT / "labs"))
import mutants      # noqa: E402

# For each lab, mutants that are found soon.
SAMPLE = {0: "only-runnable", 1: None, 2: None, 3: None, 4: "old-reference-kept"}


@pytest.fixture(scope="module")
def lists():
    return {lab: mutants.read(path) for lab, path in mutants.lists().items()}


@pytest.fixture(scope="module")
def solution(tmp_path_factory):
    """The solution of a lab, written once."""
    written = {}

    def write(lab):
        if lab not in written:
            written[lab] = tmp_path_factory.mktemp(f"solution{lab}") / "tree"
            subprocess.run([sys.executable, ROOT / "labs/handout.py", "--solution", str(lab), written[lab]],
                           check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
        return written[lab]
    return write


def test_there_are_many_mutants(lists):
    assert set(lists) == {0, 1, 2, 3, 4}
    assert sum(map(len, lists.values())) >= 60
    assert len(lists[0]) >= 8
    assert len(lists[4]) >= 18
    for lab, some in lists.items():
        names = [mutant["name"] for mutant in some]
        assert len(set(names)) == len(names)
        for mutant in some:
            assert len(mutant["what"]) <= 90 and "\n" not in mutant["what"], mutant["name"]


@pytest.mark.slow
def test_each_mutant_fits_its_solution(lists, solution):
    labs = yaml.safe_load((ROOT / "labs/labs.yaml").read_text())
    seen = {}
    for lab, some in lists.items():
        for mutant in some:
            texts = mutants.mutate(mutant, solution(lab))
            assert set(texts) <= set(labs[lab]["files"]), mutant["name"]
            key = lab, *sorted(texts.items())
            assert key not in seen, f"{mutant['name']} is the same as {seen[key]}"
            seen[key] = mutant["name"]


def test_a_change_must_fit_once():
    assert mutants.change_text("a b", "b", "c", "x") == "a c"
    assert mutants.change_text("f(1) g", r"f\((.)\)", r"h(\1)", "x") == "h(1) g"
    assert mutants.change_text("a\nb\n", "^b$", "c", "x") == "a\nc\n"
    for text, old in (("a a", "a"), ("b", "a"), ("aa ab", "a[ab]"), ("a", "(")):
        with pytest.raises(mutants.Mistake, match="who: `old` fits in .* exactly one"):
            mutants.change_text(text, old, "c", "who")


@pytest.mark.parametrize("entry, why", [
    ({"what": "w", "file": "f", "old": "o", "new": "n"}, "a mutant without a name"),
    ({"name": "n", "what": "w", "file": "f", "old": "o"}, "n: it needs file, old and new"),
    ({"name": "n", "what": "w", "file": "f", "old": "o", "new": "n", "knew": 1}, "a mutant has name"),
    ("text", "text: a mutant has name"),
])
def test_a_bad_list_is_told_of(tmp_path, entry, why):
    path = tmp_path / "mutants-lab9.yaml"
    path.write_text(yaml.safe_dump([entry]))
    with pytest.raises(mutants.Mistake, match=why):
        mutants.read(path)


def test_two_of_a_name(tmp_path):
    path = tmp_path / "mutants-lab9.yaml"
    path.write_text(yaml.safe_dump([{"name": "n", "what": "w", "file": "f", "old": "o", "new": "n"}] * 2))
    with pytest.raises(mutants.Mistake, match="there are two of that name"):
        mutants.read(path)


def outcome(mutant, public, hidden=(0, 30), lost="a check", **more):
    return mutants.Outcome(1, "m", "w", mutant, public=public, hidden=hidden, lost=lost, **more)


def test_what_is_wrong():
    only_hidden = {"hidden": True}
    assert not outcome({}, (90, 100)).wrong()
    assert "kept all" in outcome({}, (100, 100)).wrong()
    assert not outcome(only_hidden, (100, 100), (25, 30)).wrong()
    assert "kept all" in outcome(only_hidden, (100, 100), (30, 30)).wrong()
    assert not outcome(None, (100, 100), (30, 30), lost="").wrong()
    assert "lost points: a check" in outcome(None, (100, 100), (25, 30)).wrong()
    assert outcome({}, (0, 100), trouble="no results").wrong() == "no results"


def test_status_and_summary(capsys):
    good = [outcome({}, (90, 100)), outcome(None, (100, 100), (30, 30), lost="")]
    assert mutants.summary(good) == 0
    assert "1 of 1 mutants lost points; 1 of 1 right solutions lost none" in capsys.readouterr().out
    assert mutants.summary(good + [outcome({}, (100, 100))]) == 1
    assert "it kept all its points" in capsys.readouterr().out


def run(*options):
    return subprocess.run([sys.executable, ROOT / "labs/mutants.py", *options], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=600)


def test_bad_options():
    for options, why in ((["--lab", "9"], "there are mutants of the labs 0, 1"),
                         (["--only", "no such mutant"], "no mutant has"), (["--jobs", "0"], "JOBS is 1 or more")):
        done = run(*options)
        assert done.returncode == 2 and why in done.stderr, done


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("lab", SAMPLE)
def test_a_grader_finds_a_mutant(lists, lab):
    name = SAMPLE[lab] or lists[lab][0]["name"]
    done = run("--lab", str(lab), "--only", name, "--quick", "--jobs", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 mutants lost points" in done.stdout
