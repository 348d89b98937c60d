"""What students get: whole, reproducible, with no line of a solution; and that nothing of theirs is lost."""
import difflib
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

import pytest
import yaml

import trees
from emulator import Machine
from trees import ROOT, run

pytestmark = pytest.mark.slow

LABS = yaml.safe_load((ROOT / "labs/labs.yaml").read_text())
HANDOUT = ROOT / "labs/handout.py"


def write(lab, folder, *options, check=True, **more):
    """labs/handout.py, as the makefile's doors call it."""
    done = subprocess.run([sys.executable, HANDOUT, *options, str(lab), folder], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, **more)
    assert not check or done.returncode == 0, done.stdout
    return done


def git(folder, *words):
    done = subprocess.run(["git", "-c", "user.name=A Student", "-c", "user.email=a@example.org", *words],
                          cwd=folder, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def solutions(tmp_path_factory):
    """The solution of each lab, not built."""
    top = tmp_path_factory.mktemp("solutions")
    for lab in LABS:
        write(lab, top / str(lab), "--solution")
    return top


@pytest.fixture(scope="module")
def handouts(tmp_path_factory):
    """The handout of each lab, as it is written; not built."""
    top = tmp_path_factory.mktemp("handouts")
    for lab in LABS:
        write(lab, top / str(lab))
    return top


@pytest.fixture
def small(handouts, tmp_path):
    """A handout of one's own, to spoil."""
    return shutil.copytree(handouts / "2", tmp_path / "lab2", symlinks=True)


def source_files(tree):
    """The files of a tree that are text of the system's, {name: lines}."""
    return {str(path.relative_to(tree)): path.read_text().splitlines()
            for path in sorted(tree.rglob("*"))
            if path.is_file() and path.relative_to(tree).parts[0] not in ("obj", ".git", ".devcontainer")
            and path.relative_to(tree).parts[:2] != ("tools", "grade")
            and path.name not in (".tangled", ".gitignore", "LICENSE", "README.md", "grade.mk")}


# --- no line of a solution

def plain(line):
    return " ".join(line.split())


def telling(line):
    """Is it a statement, or what stands in a table, with enough in it to be
    known again?  Neither heads of functions nor comments tell anything."""
    return (line[:1].isspace() and not line.strip().startswith(("*", "/*"))
            and len(re.sub(r"\W", "", line)) >= 8
            and not re.fullmatch(r"\s*(struct )?\w+ \**\w+(, \**\w+)*;", line))


def solution_lines(handout, solution):
    """The lines that stand in the solution and nowhere else in its tree."""
    before, after = source_files(handout), source_files(solution)
    only, common = set(), set()
    for name, lines in after.items():
        matcher = difflib.SequenceMatcher(None, before.get(name, []), lines, autojunk=False)
        for kind, _, _, start, end in matcher.get_opcodes():
            if kind == "equal":
                common.update(map(plain, lines[start:end]))
            else:
                only.update(plain(line) for line in lines[start:end] if telling(line))
    everywhere = "\n".join(common)
    return {line for line in only if line not in everywhere}


def all_that_is_given(tree):
    """Every text of a handout, {where: text}: files, those in archives, and all that git keeps."""
    found = {}
    for path in tree.rglob("*"):
        name = path.relative_to(tree)
        if path.is_file() and name.parts[0] not in ("obj", ".git"):
            found[str(name)] = path.read_bytes()
            if name.suffix == ".gz":
                with tarfile.open(path) as archive:
                    for member in archive:
                        found[f"{name}: {member.name}"] = archive.extractfile(member).read()
    kept = io.BytesIO(git(tree, "cat-file", "--batch-all-objects", "--batch"))
    while header := kept.readline():
        number, kind, size = header.decode().split()
        data = kept.read(int(size) + 1)[:-1]
        if kind != "tree":
            found[f".git: {kind} {number}"] = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    return {where: data.decode(errors="replace") for where, data in found.items()}


def leaks(tree, lines):
    found = []
    for where, text in all_that_is_given(tree).items():
        text = {plain(line) for line in text.splitlines()}
        # In a graders' program a line may stand in a string or a comment.
        whole = "\n".join(text) if where.startswith("tools/grade/") and ":" not in where else ""
        found += [f"{where}: {line}" for line in lines
                  if line in text or (len(line) > 24 and line in whole)]
    return found


@pytest.mark.parametrize("lab", LABS)
def test_no_line_of_a_solution(lab, handouts, solutions):
    """Neither of this lab's nor of the later ones', in no corner of the handout."""
    handout = handouts / str(lab)
    lines = solution_lines(handout, solutions / str(max(LABS)))
    if lab == 0:
        lines |= solution_lines(handout, solutions / "0")
    assert len(lines) > {4: 40}.get(lab, 80)
    assert not leaks(handout, lines)


LEAKS = {
    "a file": lambda tree, line: (tree / "kern/env.c").write_text(f"/*\n {line}\n */\n"),
    "README.md": lambda tree, line: (tree / "README.md").write_text(f"Write\n\n    {line}\n"),
    "the graders": lambda tree, line: (tree / "tools/grade/more.py").write_text(f"HINT = '{line}'\n"),
    "handout.tar.gz": lambda tree, line: put_into_archive(tree / "tools/grade/handout.tar.gz", line),
    "git, though no commit has it": lambda tree, line: (
        (tree / "x").write_text(f"\t{line}\n"), git(tree, "add", "-f", "x"), git(tree, "rm", "-q", "-f", "x")),
    "a commit's message": lambda tree, line: git(tree, "commit", "-q", "--amend", "-m", f"handout\n\n{line}"),
}


def put_into_archive(path, line):
    with tarfile.open(path, "w:gz") as archive:
        data = f"int x;\n\t{line}\n".encode()
        info = tarfile.TarInfo("kern/x.c")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("where", LEAKS)
def test_the_search_finds_a_leak(where, small, solutions):
    lines = solution_lines(small, solutions / "2")
    assert not leaks(small, lines)
    LEAKS[where](small, "if (guest_pa_t >= 0 && epte_present(*epte) && !overwrite)")
    assert not leaks(small, lines)
    LEAKS[where](small, "if (epte_present(*epte) && !overwrite)")
    assert "if (epte_present(*epte) && !overwrite)" in lines
    assert leaks(small, lines)


@pytest.mark.parametrize("lab", LABS)
def test_no_trace_of_the_book_and_of_other_labs(lab, handouts):
    tree = handouts / str(lab)
    licence = (ROOT / "LICENSE").read_text()
    for where, text in all_that_is_given(tree).items():
        text = text.replace(licence, "")
        for trace in (str(ROOT), ".nw", "#line", "(exercise ", ".tangled", "labs.yaml", "--solution"):
            assert trace not in text, f"{trace} in {where}"
    assert not list(tree.rglob(".tangled"))
    for path in (tree / "tools/grade").rglob("*"):
        assert not re.search(rf"lab[^{lab}\D]", str(path.relative_to(tree))), path
        assert "__pycache__" not in str(path)


# --- what it says it is

@pytest.mark.parametrize("lab", LABS)
def test_files_handed_in_are_those_that_differ(lab, handouts, solutions):
    tree = handouts / str(lab)
    before, after = source_files(tree), source_files(solutions / str(lab))
    differ = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert differ == set(LABS[lab]["files"])
    readme = (tree / "README.md").read_text()
    part = readme[readme.index("## Hand in"):readme.index("## Reading")]
    assert set(re.findall(r"^- `(.*)`$", part, re.M)) == differ
    description = json.loads((tree / "tools/grade/class.json").read_text())
    assert set(description["files"]) == differ and description["lab"] == lab
    for name in (name for names in LABS[lab]["functions"].values() for name in names):
        assert f"`{name}`" in readme


@pytest.mark.parametrize("lab", LABS)
def test_readme_is_whole(lab, handouts):
    text = (handouts / str(lab) / "README.md").read_text()
    assert "{{" not in text and "}}" not in text
    assert text.startswith(f"# Lab {lab}: {LABS[lab]['title']}\n")
    assert not [line for line in text.splitlines() if len(line) > 100 and not line.startswith("|")]
    targets = re.findall(r"(?:`|^```\n)make\s([a-z][a-z0-9-]*)", text, re.M)
    assert {"doctor", "grade", "submission", "qemu-nox"} <= {*targets}
    for target in {*targets} - {"run-ask-nox"}:
        done = run(["make", "-n", target], cwd=handouts / str(lab), check=False)
        assert done.returncode == 0, f"make {target}: {done.stdout}"


@pytest.mark.parametrize("lab", LABS)
def test_history_of_one_commit(lab, handouts):
    tree = handouts / str(lab)
    assert git(tree, "log", "--all", "--format=%an <%ae> %cn <%ce> %ad %cd %D", "--date=unix").decode().split("\n") == [
        "JOS course <course@example.org> JOS course <course@example.org> 1767225600 1767225600 "
        "HEAD -> main, tag: handout", ""]
    assert git(tree, "--no-optional-locks", "status", "--porcelain") == b""
    assert git(tree, "fsck", "--unreachable", "--no-progress") == b""
    with tarfile.open(tree / "tools/grade/handout.tar.gz") as archive:
        tracked = git(tree, "ls-files").decode().split("\n")[:-1]
        # What isn't graded isn't in the archive.
        assert [name for name in tracked if name not in archive.getnames()
                and not name.startswith(("tools/grade/", ".devcontainer/"))] == []
        for name in archive.getnames():
            assert archive.extractfile(name).read() == (tree / name).read_bytes()


# --- the same bytes

def contents(folder):
    """{path: (is it a program?, bytes)} of all files, without what a build makes."""
    return {str(path.relative_to(folder)): (path.stat().st_mode & 0o100, path.read_bytes())
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.relative_to(folder).parts[0] != "obj"}


def test_whoever_writes_it_it_is_the_same(small, tmp_path):
    """git's settings, time zone and umask of its writer don't matter."""
    home = tmp_path / "home"
    (home / "hooks").mkdir(parents=True)
    (home / "hooks/pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (home / "hooks/pre-commit").chmod(0o755)
    (home / "templates/info").mkdir(parents=True)
    (home / "templates/info/exclude").write_text("*.c\n")
    (home / ".config/git").mkdir(parents=True)
    (home / ".config/git/ignore").write_text("*.h\n")
    (home / ".gitconfig").write_text(
        f"[user]\n\tname = Somebody\n[init]\n\tdefaultBranch = trunk\n\ttemplateDir = {home}/templates\n"
        f"[core]\n\thooksPath = {home}/hooks\n\tautocrlf = true\n[commit]\n\tgpgSign = true\n")
    env = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "TZ": "Asia/Tokyo",
           "GIT_AUTHOR_NAME": "Somebody", "GIT_DIR": str(home / "x"), "GIT_DEFAULT_HASH": "sha256"}
    write(2, tmp_path / "other", env=env, preexec_fn=lambda: os.umask(0o077))
    one, other = contents(small), contents(tmp_path / "other")
    assert [name for name in {*one, *other} if one.get(name) != other.get(name)] == []


def test_written_again_it_is_as_if_written_fresh(small, tmp_path):
    """Files that changed, came and went; lab 3 plays the book of tomorrow."""
    (small / "obj").mkdir()
    (small / "obj/x.o").write_text("")
    same = (small / "kern/env.c").stat().st_mtime_ns
    write(3, small)
    write(3, tmp_path / "fresh")
    one, other = contents(small), contents(tmp_path / "fresh")
    assert [name for name in {*one, *other} if one.get(name) != other.get(name)] == []
    assert (small / "obj/x.o").exists() and (small / "kern/env.c").stat().st_mtime_ns == same


def test_dist_gives_the_same_bytes(tmp_path):
    parts = ["labs", "solution", "instructor"]
    dist = [sys.executable, ROOT / "labs/dist.py"]
    run([*dist, "--out", tmp_path / "one", *parts])
    subprocess.run([*dist, "--out", tmp_path / "other", *parts], check=True, capture_output=True,
                   env={**os.environ, "TZ": "Asia/Tokyo"}, preexec_fn=lambda: os.umask(0o077))
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted(["SHA256SUMS", "jos-instructor.tar.gz", "jos-solution.tar.gz",
                            *(f"jos-lab{lab}.tar.gz" for lab in LABS)])
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes(), name
    sums = dict(line.split("  ")[::-1] for line in (tmp_path / "one/SHA256SUMS").read_text().splitlines())
    assert sums == {name: hashlib.sha256((tmp_path / "one" / name).read_bytes()).hexdigest() for name in names[1:]}
    for name in names[1:]:
        with tarfile.open(tmp_path / "one" / name) as archive:
            members = archive.getmembers()
        assert [m.name for m in members] == sorted((m.name for m in members), key=lambda n: n.split("/"))
        assert {(m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, "root", "root")}
        assert len({m.mtime for m in members}) == 1
        hidden = [m.name for m in members if "hidden" in m.name or "mutants" in m.name]
        assert bool(hidden) == (name == "jos-instructor.tar.gz"), hidden


def test_dist_refuses_an_unknown_part():
    done = run(["make", "dist", "PARTS=everything"], check=False)
    assert done.returncode != 0 and "no such part; there are labs, solution" in done.stdout


# --- classes

def test_nothing_tells_the_seed(handouts, tmp_path):
    seed = "zebra-4711"
    write(3, tmp_path / "lab3", "--seed", seed)
    assert not [where for where, text in all_that_is_given(tmp_path / "lab3").items() if seed in text]
    assert "Your class has numbers of its own" in (tmp_path / "lab3/README.md").read_text()
    facts = json.loads((tmp_path / "lab3/tools/grade/class.json").read_text())["variant"]
    plain = json.loads((handouts / "3/tools/grade/class.json").read_text())["variant"]
    assert facts["hypercalls"] != plain["hypercalls"]
    write(3, tmp_path / "solution", "--solution", "--seed", seed)
    before, after = source_files(tmp_path / "lab3"), source_files(tmp_path / "solution")
    assert {name for name in after if before.get(name) != after[name]} == set(LABS[3]["files"])


# --- nobody's work is lost

def spoil(name):
    def change(tree):
        (tree / name).write_text("mine\n")
    return change


def commit(tree):
    spoil("kern/env.c")(tree)
    git(tree, "commit", "-q", "-a", "-m", "my work")


def stash(tree):
    spoil("kern/env.c")(tree)
    git(tree, "stash")


def branch_and_back(tree):
    git(tree, "checkout", "-q", "-b", "mine")
    commit(tree)
    git(tree, "checkout", "-q", "main")


WORK = {
    "edited": (spoil("vmm/ept.c"), "vmm/ept.c: changed since"),
    "new file": (spoil("user/mine.c"), "user/mine.c: changed since"),
    "removed": (lambda tree: (tree / "vmm/ept.c").unlink(), "vmm/ept.c: changed since"),
    "commit": (commit, "it has commits of its own"),
    "amended": (lambda tree: (spoil("vmm/ept.c")(tree), git(tree, "commit", "-q", "-a", "--amend", "-m", "x")),
                "it has commits of its own"),
    "stash": (stash, "it has commits of its own"),
    "branch": (branch_and_back, "it has commits of its own"),
    "no git": (lambda tree: shutil.rmtree(tree / ".git"), "its git repository is gone or broken"),
}


@pytest.mark.parametrize("work", WORK)
def test_work_is_safe(work, small):
    change, says = WORK[work]
    change(small)
    before = contents(small)
    done = write(2, small, check=False)
    assert done.returncode == 1
    assert says in done.stdout and "; nothing written" in done.stdout and "OUT=dir" in done.stdout and "FORCE=1" in done.stdout
    assert contents(small) == before


def test_force_loses_it(small, tmp_path):
    before = contents(small)
    commit(small)
    spoil("user/mine.c")(small)
    write(2, small, "--force")
    assert contents(small) == before


def test_unedited_it_may_be_written_again(small):
    before = contents(small)
    assert "0 new or changed, 0 deleted" in write(2, small).stdout
    assert contents(small) == before


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_other_folders_are_safe(force, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work/thesis.tex").write_text("forty-two\n")
    done = write(2, tmp_path / "work", *force, check=False)
    assert done.returncode == 1 and "not a handout, and not empty: nothing written" in done.stdout
    assert os.listdir(tmp_path / "work") == ["thesis.tex"] and os.listdir(tmp_path) == ["work"]
    done = write(2, tmp_path / "work/thesis.tex", *force, check=False)
    assert done.returncode == 1 and "not a folder" in done.stdout


@pytest.mark.parametrize("lab, says", [("5", "no such lab; the labs are 0, 1, 2, 3, 4"), ("01", "no such lab"),
                                       ("two", "not a number"), ("-1", "not a number")])
def test_no_such_lab(lab, says, tmp_path):
    for door in ("handout", "solution"):
        done = run(["make", door, f"LAB={lab}", f"OUT={tmp_path}/x"], check=False)
        assert done.returncode != 0 and f"LAB={lab}: " in done.stdout and says in done.stdout
    assert not (tmp_path / "x").exists()


def test_door_wants_the_whole_book(tmp_path):
    for more in ("UPTO=3", "LINE=1"):
        done = run(["make", "handout", "LAB=2", more, f"OUT={tmp_path}/x"], check=False)
        assert done.returncode != 0 and "no UPTO and no LINE" in done.stdout
    assert not (tmp_path / "x").exists()


# --- handing in

def test_submission_has_the_labs_files_and_no_more(small):
    spoil("vmm/ept.c")(small)
    spoil("kern/env.c")(small)
    done = run(["make", "-s", "submission"], cwd=small)
    assert "vmm/vmx.c is as it was handed out" in done.stdout
    assert "vmm/ept.c is as it was" not in done.stdout
    with tarfile.open(small / "lab2-submission.tar.gz") as archive:
        assert sorted(archive.getnames()) == sorted(LABS[2]["files"])
        for name in archive.getnames():
            assert archive.extractfile(name).read() == (small / name).read_bytes()
    assert b"submission" not in git(small, "status", "--porcelain")


def test_submission_misses_a_file(small):
    (small / "vmm/ept.c").unlink()
    done = run(["make", "-s", "submission"], cwd=small, check=False)
    assert done.returncode != 0 and "vmm/ept.c is missing" in done.stdout
    assert not (small / "lab2-submission.tar.gz").exists()


# --- as a student

def test_from_the_tarball_on_a_machine_without_the_book(tmp_path):
    """Nothing but the tarball, and of the environment only a PATH."""
    run([sys.executable, ROOT / "labs/dist.py", "--out", tmp_path / "dist", "labs"])
    folder = tmp_path / "home of a student"
    folder.mkdir()
    run(["tar", "-xzf", tmp_path / "dist/jos-lab2.tar.gz", "-C", folder])
    tree, bare = folder / "jos-lab2", ["env", "-i", "PATH=/usr/bin:/bin"]
    built = run([*bare, "make", "-j2"], cwd=tree)
    assert not re.search(r"\bwarning\b", built.stdout, re.I), built.stdout
    assert (tree / "obj/kern/kernel.img").exists()
    assert run([*bare, "git", "status", "--porcelain"], cwd=tree).stdout == ""
    assert run([*bare, "make", "-s", "submission"], cwd=tree).stdout.endswith(
        f"lab2-submission.tar.gz: {' '.join(LABS[2]['files'])}\n")


def function(text, name):
    """The definition of a function of a C file, from its name on."""
    start = text.index(f"\n{name}(") + 1
    return text[start:text.index("\n}\n", start)]


def seen(line):
    """A line of labs.yaml as a pattern."""
    return ".*".join(re.escape(part) for part in line.split("…"))


@pytest.mark.long
@pytest.mark.parametrize("lab", [lab for lab in LABS if "steps" in LABS[lab]])
def test_step_by_step(lab, solutions, tmp_path):
    """Who writes one function after the other sees what README.md says."""
    where = {name: path for path, names in LABS[lab]["functions"].items() for name in names}
    tree, solved, written = tmp_path / "tree", solutions / str(lab), []
    shutil.copytree(trees.handout(lab), tree, symlinks=True)
    for step in LABS[lab]["steps"]:
        written += step.get("write", [])
        for path in {where[name] for name in step.get("write", [])}:
            text, stubs = (solved / path).read_text(), (trees.handout(lab) / path).read_text()
            for name in where:
                if where[name] == path and name not in written:
                    text = text.replace(function(text, name), function(stubs, name))
            (tree / path).write_text(text)
        run(["make", "-s", "-j2"], cwd=tree)
        with Machine(tree, step["run"], timeout=120) as machine:
            for line in step["see"]:
                machine.expect(seen(line))
    assert set(written) == set(where)
