"""What instructors use: grade-all, the Gradescope zip, the workflow, the dev container."""
import ast
import csv
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "labs"))

import intake  # noqa: E402

pytestmark = pytest.mark.slow

FILES = ["vmm/vmx.c", "kern/sched.c"]
RIGHT = {"vmm/vmx.c": "right\n", "kern/sched.c": "right\n"}

# In place of tools/grade/grade.py: what it does is what the submission says.
STUB = '''\
#!/usr/bin/env python3
import json, os, pathlib, subprocess, sys, time
words = sys.argv[1:]
if "--prepare" in words:
    sys.exit(0)
where = pathlib.Path(words[-1])
text = (where / "vmm/vmx.c").read_text() if (where / "vmm/vmx.c").exists() else ""
with open(pathlib.Path(__file__).parent.parent.parent / "runs", "a") as runs:
    runs.write(text.strip() + chr(10))
if "crash" in text:
    sys.exit("RuntimeError: the grader fell over")
if "no results" in text:
    sys.exit(0)
if "loop" in text:
    subprocess.run(["sh", "-c", "setsid sleep 4711 &"])     # an orphan
    time.sleep(4711)
if "slow" in text:
    time.sleep(1)
if "flood" in text:
    while True:
        print("x" * 65536)
if "make" in text:
    print("MAKEFLAGS:", os.environ.get("MAKEFLAGS"))
good = text.startswith("right")
tests = [{"name": "VMX is found", "score": 60 if good else 0, "max_score": 60, "visibility": "visible"},
         {"name": "=SUM(1)", "score": 40 if "right" in text else 0, "max_score": 40, "visibility": "visible"}]
if "--hidden" in words:
    tests.append({"name": "locked", "score": 30 if good else 0, "max_score": 30, "visibility": "hidden"})
results = {"score": sum(test["score"] for test in tests), "execution_time": 1.5, "output": "a note\\n" if good else "",
           "tests": tests}
pathlib.Path(words[words.index("--json") + 1]).write_text(json.dumps(results))
print("Lab 1: report of", text.strip())
'''


def put(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def tar(path, members, mode="w:gz"):
    """Members: {name: text or TarInfo}."""
    with tarfile.open(path, mode) as archive:
        for name, text in members.items():
            if isinstance(text, tarfile.TarInfo):
                archive.addfile(text, io.BytesIO(b""))
            else:
                info = tarfile.TarInfo(name)
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


# --- taking a submission

def taken(path, tmp_path, files=FILES, also=()):
    target = tmp_path / "taken"
    result = intake.take(path, files, target, also)
    return result, {str(p.relative_to(target)): p.read_text() for p in sorted(target.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("prefix", ["", "lab1/", "Alice Müller/lab 1/", "./"])
@pytest.mark.parametrize("kind", ["folder", "tar.gz", "tar", "zip", "a folder with an archive"])
def test_files_are_found_in_any_folder(tmp_path, prefix, kind):
    members = {prefix + name: text for name, text in RIGHT.items()}
    members |= {prefix + "README": "x", "__MACOSX/vmm/vmx.c": "junk", prefix + "vmm/._vmx.c": "junk",
                prefix + ".git/vmm/vmx.c": "junk"}
    path = tmp_path / ("s." + kind)
    if kind == "folder":
        put(path, members)
    elif kind == "zip":
        zipped(path, members)
    elif kind.startswith("a folder"):
        path.mkdir()
        tar(path / "lab1.tar.gz", members)
    else:
        tar(path, members, "w:gz" if kind.endswith("gz") else "w")
    result, files = taken(path, tmp_path)
    assert files == RIGHT
    assert result.remarks == []


def test_a_web_form_drops_folders(tmp_path):
    result, files = taken(put(tmp_path / "s", {"vmx.c": "right\n", "sched.c": "right\n", "x.c": ""}), tmp_path)
    assert files == RIGHT
    assert result.remarks == ["no folders in it: files taken by their bare names"]


def test_windows_separators(tmp_path):
    path = zipped(tmp_path / "s.zip", {"lab1#vmm#vmx.c": "right\n", "lab1#kern#sched.c": "right\n"})
    path.write_bytes(path.read_bytes().replace(b"#", b"\\"))
    assert taken(path, tmp_path)[1] == RIGHT


def test_other_files_of_the_tree_are_taken_to_be_told_of(tmp_path):
    path = put(tmp_path / "s", {**RIGHT, "GNUmakefile": "all: cheat\n", "mine.c": ""})
    assert taken(path, tmp_path, also=["GNUmakefile", "vmm/vmx.c"])[1] == {**RIGHT, "GNUmakefile": "all: cheat\n"}


def test_an_older_copy_deeper_down(tmp_path):
    path = put(tmp_path / "s", {**RIGHT, "old/vmm/vmx.c": "old", "old/kern/sched.c": "old"})
    result, files = taken(path, tmp_path)
    assert files == RIGHT
    assert "more than once" in result.remarks[0]


def gzip_bomb(path):
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        info = tarfile.TarInfo("zeros")
        info.size = intake.UNPACKED_MAX + 1

        class Zeros:
            def read(self, size):
                return bytes(size)
        archive.addfile(info, Zeros())
    return path


def link_in_zip(path):
    info = zipfile.ZipInfo("vmm/vmx.c")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    return path


REFUSED = {
    "leads out of it": lambda p: tar(p / "s.tar.gz", {**RIGHT, "../../evil": "x"}),
    "out of it: a/../../evil": lambda p: zipped(p / "s.zip", {**RIGHT, "a/../../evil": "x"}),
    r"out of it: ..\evil": lambda p: zipped(p / "s.zip", {**RIGHT, "..\\evil": "x"}),
    "absolute path: /tmp/evil": lambda p: tar(p / "s.tar", {**RIGHT, "/tmp/evil": "x"}, "w"),
    "absolute path: C:": lambda p: zipped(p / "s.zip", {**RIGHT, "C:\\evil": "x"}),
    "link: vmm/vmx.c": lambda p: tar(p / "s.tar.gz", {"": special("vmm/vmx.c", tarfile.SYMTYPE, "/etc/passwd")}),
    "link: hard": lambda p: tar(p / "s.tar.gz", {"": special("hard", tarfile.LNKTYPE, "/etc/passwd"), **RIGHT}),
    "a link: vmm": lambda p: link_in_zip(p / "s.zip"),
    "device": lambda p: tar(p / "s.tar.gz", {**RIGHT, "": special("fifo", tarfile.FIFOTYPE)}),
    "unpacks to more than 512 MiB": lambda p: gzip_bomb(p / "s.tar.gz"),
    "more than 20000 files": lambda p: tar(p / "s.tar", {**RIGHT, **{f"f{n}": "" for n in range(20001)}}, "w"),
    "neither a folder": lambda p: put(p, {"s.rar": b"Rar!\x1a\x07"}) / "s.rar",
    "an empty file": lambda p: put(p, {"s.zip": b""}) / "s.zip",
    "can't be read": lambda p: put(p, {"s.tar.gz": b"\x1f\x8b\x08" + b"rubbish" * 9}) / "s.tar.gz",
    "can't be read: ": lambda p: put(p, {"s.zip": b"PK\x03\x04 cut off"}) / "s.zip",
    "none of the lab's files": lambda p: put(p / "s", {"essay.txt": "x"}),
    "none of the lab's files ": lambda p: put(p / "s", {"essay.tar.gz.txt": "x"}),
    "several archives": lambda p: put(p / "s", {"a.zip": "x", "b.zip": "x"}),
    "more than one vmx.c": lambda p: put(p / "s", {"a/vmx.c": "x", "b/vmx.c": "x"}),
    "there more than once": lambda p: put(p / "s", {"a/vmm/vmx.c": "x", "b/vmm/vmx.c": "x"}),
}


@pytest.mark.parametrize("why", REFUSED)
def test_bad_submissions_are_refused_with_the_reason(tmp_path, why):
    (tmp_path / "in").mkdir()
    path = REFUSED[why](tmp_path / "in")
    before = set(tmp_path.rglob("*"))
    with pytest.raises(intake.Refused) as refused:
        intake.take(path, FILES, tmp_path / "taken")
    assert why.strip() in str(refused.value)
    assert "\n" not in str(refused.value)
    assert set(tmp_path.rglob("*")) == before


def test_cut_off_archive(tmp_path):
    whole = tar(tmp_path / "s.tar.gz", {**RIGHT, "noise": os.urandom(20000).hex()}).read_bytes()
    (tmp_path / "s.tar.gz").write_bytes(whole[:len(whole) // 2])
    with pytest.raises(intake.Refused, match="can't be read"):
        intake.take(tmp_path / "s.tar.gz", FILES, tmp_path / "taken")


def test_encrypted_zip(tmp_path):
    path = zipped(tmp_path / "s.zip", RIGHT)
    data = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        data[data.index(signature) + flags] |= 1
    path.write_bytes(data)
    with pytest.raises(intake.Refused, match="encrypted"):
        intake.take(path, FILES, tmp_path / "taken")


def test_zip_that_lies_about_its_sizes(tmp_path):
    path = zipped(tmp_path / "s.zip", {"vmm/vmx.c": "x" * (8 << 20), "kern/sched.c": "right\n"})
    data = path.read_bytes()
    path.write_bytes(data.replace((8 << 20).to_bytes(4, "little"), (100).to_bytes(4, "little")))
    try:
        result, files = taken(path, tmp_path)
    except intake.Refused:
        return
    assert all(len(text) <= intake.FILE_MAX for text in files.values())


def test_links_and_fifos_of_a_folder_are_left_alone(tmp_path):
    put(tmp_path / "secret", {"vmx.c": "secret", "sched.c": "secret"})
    folder = put(tmp_path / "s", {"kern/sched.c": "right\n"})
    (folder / "vmm").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe")
    result, files = taken(folder, tmp_path)
    assert files == {"kern/sched.c": "right\n"}
    (tmp_path / "taken/kern/sched.c").unlink()
    (folder / "vmm").unlink()
    (folder / "vmm").mkdir()
    (folder / "vmm/vmx.c").symlink_to(tmp_path / "secret/vmx.c")
    result = intake.take(folder, FILES, tmp_path / "again")
    assert result.remarks == ["vmm/vmx.c: a symbolic link, not taken"]
    assert not (tmp_path / "again/vmm").exists()
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(intake.Refused, match="symbolic link"):
        intake.take(tmp_path / "link", FILES, tmp_path / "more")


def test_a_file_that_is_too_long_costs_itself(tmp_path):
    result, files = taken(tar(tmp_path / "s.tar.gz", {**RIGHT, "vmm/vmx.c": "x" * (intake.FILE_MAX + 1)}), tmp_path)
    assert files == {"kern/sched.c": "right\n"}
    assert result.remarks == ["vmm/vmx.c: longer than 1 MiB, not taken"]


def test_students_are_called_by_their_files(tmp_path):
    put(tmp_path, {"Ann Lee.tar.gz": "", "bob.zip": "", "zoë.TGZ": "", "x.tar": "", "dave.c": "",
                   "carl/a": "", "carl.zip": ""})
    names = {path.name: intake.student(path) for path in intake.submissions(tmp_path)}
    assert names == {"Ann Lee.tar.gz": "Ann Lee", "bob.zip": "bob", "zoë.TGZ": "zoë", "x.tar": "x",
                     "dave.c": "dave.c", "carl": "carl", "carl.zip": "carl.zip"}


# --- a class, with a grader that does as it's told

@pytest.fixture
def grader(tmp_path):
    folder = put(tmp_path / "handout", {
        "tools/grade/grade.py": STUB,
        "tools/grade/class.json": json.dumps({"lab": 1, "title": "t", "files": FILES, "variant": {}})})
    tar(folder / "tools/grade/handout.tar.gz", {"./GNUmakefile": "", **RIGHT})
    return folder


@pytest.fixture
def classroom(tmp_path):
    """Eight students, and what they hand in."""
    folder = tmp_path / "class of 2026"
    put(folder / "Ann Lee", RIGHT)
    tar(folder / "Bjørn.tar.gz", {"lab1/vmm/vmx.c": "half right\n", "lab1/kern/sched.c": ""})
    zipped(folder / "=cheat().zip", {"vmm/vmx.c": "Unhandled VMEXIT, aborting guest.\n"})
    put(folder / "crash", {"vmm/vmx.c": "crash\n"})
    put(folder / "silent", {"vmm/vmx.c": "no results\n"})
    tar(folder / "evil.tar.gz", {"../../../evil": "x", **RIGHT})
    put(folder, {"essay.docx": "my program", ".DS_Store": "", "__MACOSX/x": ""})
    return folder


def run(*words, cwd=None, **more):
    return subprocess.run([sys.executable, ROOT / "labs/grade_all.py", *map(str, words)], cwd=cwd,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, **more)


def rows(text):
    return {row["student"]: row for row in csv.DictReader(io.StringIO(text))}


def runs(grader):
    return (grader / "runs").read_text().splitlines() if (grader / "runs").exists() else []


def test_a_class_becomes_one_table(classroom, grader, tmp_path):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    done = run("all", classroom, "--grader", grader, "--jobs", 3, "--hidden", hidden)
    assert done.returncode == 0, done.stdout + done.stderr
    out = tmp_path / "class of 2026-results"
    text = (out / "class.csv").read_text()
    assert text.splitlines()[0] == ("student,points,of,hidden,hidden_of,seconds,VMX is found (60),'=SUM(1) (40),"
                                    "hidden: locked (30),remarks")
    table = rows(text)
    assert sorted(table) == sorted(["Ann Lee", "Bjørn", "'=cheat()", "crash", "silent", "evil", "essay.docx"])
    ann = table["Ann Lee"]
    assert [ann[key] for key in ("points", "of", "hidden", "hidden_of")] == ["100", "100", "30", "30"]
    assert [ann["VMX is found (60)"], ann["hidden: locked (30)"], ann["remarks"]] == ["60", "30", "a note"]
    assert float(ann["seconds"]) >= 0
    assert [table["Bjørn"][key] for key in ("points", "hidden", "VMX is found (60)")] == ["40", "0", "0"]
    assert table["'=cheat()"]["points"] == "0"
    for student, why in (("crash", "not graded: the grader ended with status 1: RuntimeError: the grader fell over"),
                         ("silent", "not graded: the grader wrote no results"),
                         ("evil", "refused: the archive has a path that leads out of it"),
                         ("essay.docx", "refused: neither a folder, .tar.gz, .tar or .zip")):
        assert table[student]["remarks"].startswith(why)
        assert table[student]["points"] == "" and table[student]["of"] == ""
        assert why in (out / f"{student}.txt").read_text()
    assert "report of right" in (out / "Ann Lee.txt").read_text()
    assert json.loads((out / "Ann Lee.json").read_text())["score"] == 130
    lines = done.stdout.splitlines()
    assert lines[0].startswith("7 submissions of lab 1, 3 at a time")
    assert re.fullmatch(r"\[\d/7\] Ann Lee: 100 of 100, hidden 30 of 30, \d+ s",
                        next(line for line in lines if "Ann" in line))
    assert "7 of 7 students, 4 of them not graded" in lines[-1]
    assert not list(out.glob(".*.[0-9]*"))


def test_what_was_graded_is_not_graded_again(classroom, grader, tmp_path):
    out = tmp_path / "class of 2026-results"
    run("all", classroom, "--grader", grader)
    first = (out / "class.csv").read_text()
    assert len(runs(grader)) == 5
    done = run("all", classroom, "--grader", grader)
    assert done.stdout.count("(as before)") == 3
    assert len(runs(grader)) == 7               # the two that were not graded are tried again
    strip = [re.sub(r"\b\d\.\d\b", "", text) for text in (first, (out / "class.csv").read_text())]
    assert strip[0] == strip[1]
    put(classroom / "Ann Lee", {"vmm/vmx.c": "half right\n"})
    run("all", classroom, "--grader", grader)
    assert rows((out / "class.csv").read_text())["Ann Lee"]["points"] == "40"
    count = len(runs(grader))
    run("all", classroom, "--grader", grader, "--force")
    assert len(runs(grader)) == count + 5
    put(grader, {"tools/grade/lab1.py": "# a better check\n"})
    run("all", classroom, "--grader", grader)
    assert len(runs(grader)) == count + 10


def test_one_and_collect_are_what_all_does(classroom, grader, tmp_path):
    out = tmp_path / "results"
    status = {path.name: run("one", path, "--out", out, "--grader", grader).returncode
              for path in intake.submissions(classroom)}
    assert status == {"Ann Lee": 0, "Bjørn.tar.gz": 0, "=cheat().zip": 0, "crash": 1, "silent": 1,
                      "evil.tar.gz": 1, "essay.docx": 1}
    collected = run("collect", out).stdout
    run("all", classroom, "--grader", grader, "--csv", tmp_path / "all.csv")

    def without_times(text):
        return {student: {**row, "seconds": ""} for student, row in rows(text).items()}
    assert without_times(collected) == without_times((tmp_path / "all.csv").read_text())
    assert run("collect", out, "--csv", tmp_path / "c.csv").stdout == ""
    assert (tmp_path / "c.csv").read_text() == collected


def alive(pattern):
    found = subprocess.run(["ps", "-A", "-o", "pid=,args="], capture_output=True, text=True).stdout
    return [line for line in found.splitlines() if pattern in line]


@pytest.mark.parametrize("kind, why", [("loop", "not graded: it was ended after"), ("flood", "not graded: it was ended")])
def test_a_grader_that_does_not_end_is_ended(tmp_path, grader, kind, why):
    put(tmp_path / "s", {"vmm/vmx.c": kind})
    done = run("one", tmp_path / "s", "--out", tmp_path / "out", "--grader", grader, "--limit", 2,
               env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 1
    assert why in done.stdout
    assert not alive("sleep 4711")
    assert not list(tmp_path.glob("jos-class-*"))
    assert (tmp_path / "out/s.txt").stat().st_size < 100 << 10


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_is_done_and_leaves_nothing_running(tmp_path, grader, number):
    folder = tmp_path / "class"
    put(folder / "a", RIGHT)
    for name in "bc":
        put(folder / name, {"vmm/vmx.c": f"loop {name}"})
    with subprocess.Popen([sys.executable, ROOT / "labs/grade_all.py", "all", folder, "--grader", grader,
                           "--jobs", "2"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, "TMPDIR": str(tmp_path)}) as child:
        try:
            end = time.monotonic() + 30
            while len(runs(grader)) < 3 or len(alive("sleep 4711")) < 2:
                assert time.monotonic() < end
                time.sleep(0.05)
            child.send_signal(number)
            said = child.communicate(timeout=20)[0]
        finally:
            child.kill()
    assert child.returncode == 130
    assert "stopped" in said and "goes on where this one stopped" in said
    assert list(rows((tmp_path / "class-results/class.csv").read_text())) == ["a"]
    assert not alive("sleep 4711") and not alive(str(folder))
    assert not list(tmp_path.glob("jos-class-*"))


def test_make_variables_do_not_reach_the_lab(tmp_path, grader):
    put(tmp_path / "s", {"vmm/vmx.c": "right make"})
    run("one", tmp_path / "s", "--out", tmp_path / "out", "--grader", grader,
        env={**os.environ, "MAKEFLAGS": "V=1 LAB=2"})
    assert "MAKEFLAGS: None" in (tmp_path / "out/s.txt").read_text()


def test_strange_names(tmp_path, grader):
    folder = tmp_path / "class"
    names = ["with\nnewline", "Łukasz Źdźbło", "quote\"'; rm -rf $HOME", "--force", "é" * 120]
    for name in names:
        put(folder / name, RIGHT)
    os.makedirs(os.fsencode(folder) + b"/latin\xe9/vmm")
    put(pathlib.Path(os.fsdecode(os.fsencode(folder) + b"/latin\xe9")), RIGHT)
    done = run("all", folder, "--grader", grader, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    table = rows((tmp_path / "class-results/class.csv").read_text())
    assert len(table) == 6 and all(row["points"] == "100" for row in table.values()), done.stdout
    assert "Łukasz Źdźbło" in table and "'--force" in table


@pytest.mark.parametrize("words, why", [
    (["all", "nowhere"], "nowhere: no such folder"),
    (["all", "."], "say which lab: LAB=2"),
    (["all", ".", "--lab", "9"], "LAB=9: there is no such lab"),
    (["all", ".", "--seed", "9"], "SEED goes with LAB"),
    (["all", "empty"], "empty: nothing in it"),
    (["all", ".", "--jobs", "0"], "JOBS=0"),
    (["all", ".", "--csv", "no/such/place.csv"], "no/such: no such folder"),
    (["one", "nobody", "--grader", "handout"], "nobody: no such file or folder"),
    (["one", "handout", "--grader", "empty"], "empty: no grader in it"),
    (["one", "handout", "--grader", "handout", "--hidden", "none"], "none: no such folder of hidden checks"),
    (["collect", "nowhere"], "nowhere: no such folder"),
    (["collect", "empty"], "empty: no results in it"),
])
def test_bad_words_get_one_clear_line(tmp_path, grader, words, why):
    (tmp_path / "empty").mkdir()
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_machine_on_which_the_grader_fails_is_told_before_the_class(tmp_path, classroom, grader):
    put(grader, {"tools/grade/grade.py": "import no_such_module\n"})
    done = run("all", classroom, "--grader", grader)
    assert done.returncode == 2
    assert "doesn't work on this machine" in done.stderr and "no_such_module" in done.stderr


def has_sandbox():
    try:
        return subprocess.run(["bwrap", "--ro-bind", "/", "/", "--unshare-net", "--unshare-pid", "true"],
                              capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not has_sandbox(), reason="bwrap doesn't work here")
def test_sandbox_has_no_network_and_writes_nothing_elsewhere(tmp_path, grader):
    put(grader, {"tools/grade/grade.py": STUB.replace('with open(', 'with open("/dev/null", "a") if True else open(')
                 .replace("good = ", "import socket\nprint('devices', [n for _, n in socket.if_nameindex()])\n"
                          f"try:\n    open({str(tmp_path / 'evil')!r}, 'w')\n"
                          "except OSError as no: print('no:', no)\ngood = ")})
    put(tmp_path / "s", {"vmm/vmx.c": "right"})
    done = run("one", tmp_path / "s", "--out", tmp_path / "out", "--grader", grader, "--sandbox")
    assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / "out/s.txt").read_text()
    assert "devices ['lo']" in text
    assert "no: [Errno 30] Read-only file system" in text
    assert not (tmp_path / "evil").exists()


# --- Gradescope

@pytest.fixture(scope="module")
def autograder(tmp_path_factory):
    """The zip of lab 1, unpacked as Gradescope does it."""
    top = tmp_path_factory.mktemp("gradescope")
    hidden = top / "hidden"
    put(hidden, {"lab1.py": "", "lab2.py": "", "shared.py": "", "programs/lab1/user/x.c": "", "programs/lab2/user/y.c": ""})
    for name in ("one.zip", "two.zip"):
        subprocess.run([sys.executable, ROOT / "labs/gradescope/pack.py", "--hidden", hidden, "1", top / name],
                       check=True, capture_output=True, timeout=120)
    return top


def unpack(autograder, top):
    """/autograder, with a grader that does as it's told."""
    subprocess.run([sys.executable, "-c", "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])",
                    autograder / "one.zip", top / "source"], check=True)
    (top / "source/grader/grade.py").write_text(STUB)
    (top / "source/run_autograder").chmod(0o755)
    return top


def submit(top, **env):
    done = subprocess.run(["bash", top / "source/run_autograder"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, env={**os.environ, "AUTOGRADER": str(top), **env})
    assert done.returncode == 0, done.stderr
    results = json.loads((top / "results/results.json").read_text())
    # What Gradescope asks of it: a score, or one for each test.
    assert isinstance(results["score"], (int, float)) and isinstance(results["output"], str)
    assert results["stdout_visibility"] == "hidden"
    for test in results["tests"]:
        assert 0 <= test["score"] <= test["max_score"] and test["visibility"] in ("visible", "hidden")
    return results


def test_the_zip_is_the_same_each_time(autograder):
    assert (autograder / "one.zip").read_bytes() == (autograder / "two.zip").read_bytes()
    with zipfile.ZipFile(autograder / "one.zip") as archive:
        rights = {info.filename: oct(info.external_attr >> 16 & 0o777) for info in archive.infolist()}
        setup = archive.read("setup.sh").decode()
    assert rights["setup.sh"] == rights["run_autograder"] == "0o755"
    assert rights["grader/class.json"] == "0o644"
    assert [name for name in rights if name.startswith("hidden")] == [
        "hidden/lab1.py", "hidden/programs/lab1/user/x.c", "hidden/shared.py"]
    assert not [name for name in rights if "lab2" in name]
    assert " bochs " in setup and "@" not in setup.replace('"$@"', "")
    subprocess.run(["bash", "-n"], input=setup, text=True, check=True)


def test_gradescope_grades_what_it_is_given(autograder, tmp_path):
    top = unpack(autograder, tmp_path)
    files = json.loads((top / "source/grader/class.json").read_text())["files"]
    (top / "submission").mkdir()
    for name in files:      # a web form drops the folders
        put(top / "submission", {name.rsplit("/", 1)[-1]: "right\n"})
    results = submit(top)
    assert results["score"] == 130
    assert [test["visibility"] for test in results["tests"]] == ["visible", "visible", "hidden"]
    assert "files taken by their bare names" in results["output"]
    assert "extra_data" not in results


def test_gradescope_takes_the_archive_of_make_submission(autograder, tmp_path):
    top = unpack(autograder, tmp_path)
    (top / "submission").mkdir()
    tar(top / "submission/lab1-submission.tar.gz", {"vmm/vmx.c": "half right\n"})
    assert submit(top)["score"] == 40


@pytest.mark.parametrize("what, env, why", [
    ({"vmm/vmx.c": "crash"}, {}, "not graded: the grader ended with status 1"),
    ({"vmm/vmx.c": "no results"}, {}, "not graded: the grader wrote no results"),
    ({"essay.txt": ""}, {}, "refused: none of the lab's files is in it"),
    ({"vmm/vmx.c": "loop"}, {"AUTOGRADER_SECONDS": "2"}, "Not graded: it took too long"),
    (None, {}, "refused: no such file or folder"),
    ({"vmm/vmx.c": "right", "../source/grade_all.py": "import no_such"}, {}, "Not graded: the autograder failed"),
])
def test_gradescope_always_gets_results_that_say_why(autograder, tmp_path, what, env, why):
    top = unpack(autograder, tmp_path)
    if what is not None:
        put(top / "submission", what)
    results = submit(top, **env)
    assert why in results["output"]
    assert results["score"] == 0
    assert not alive("sleep 4711")


def test_gradescope_has_results_even_when_all_is_killed(autograder, tmp_path):
    top = unpack(autograder, tmp_path)
    put(top / "submission", {"vmm/vmx.c": "loop"})
    with subprocess.Popen(["bash", top / "source/run_autograder"], env={**os.environ, "AUTOGRADER": str(top)},
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as child:
        end = time.monotonic() + 30
        while not alive("sleep 4711") and time.monotonic() < end:
            time.sleep(0.05)
        own = [int(line.split()[0]) for line in alive(str(top))]
        child.kill()
        for pid in own:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
    assert "ended before it was done" in json.loads((top / "results/results.json").read_text())["output"]
    end = time.monotonic() + 20
    while alive("sleep 4711") and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive("sleep 4711")


def test_gradescope_set_up_sees_a_grader_that_fails(autograder, tmp_path):
    top = unpack(autograder, tmp_path)
    words = [sys.executable, top / "source/autograder.py", "--prepare", top]
    assert subprocess.run(words, capture_output=True).returncode == 0
    (top / "source/grader/grade.py").write_text("import no_such_module\n")
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2 and "no_such_module" in done.stderr


def test_hidden_checks_that_are_not_there(tmp_path):
    (tmp_path / "hidden").mkdir()
    done = subprocess.run([sys.executable, ROOT / "labs/gradescope/pack.py", "--hidden", tmp_path / "hidden", "1",
                           tmp_path / "x.zip"], capture_output=True, text=True)
    assert done.returncode == 1 and "no hidden checks of lab 1" in done.stderr
    assert not (tmp_path / "x.zip").exists()


# --- packages, dev container, workflow

def test_packages_come_from_the_one_list():
    import packages
    assert "bochs" in packages.packages() and "texlive-xetex" not in packages.packages()
    assert "x86_64-elf-gcc" in packages.packages(["build"], "brew")
    with pytest.raises(SystemExit, match="no such group"):
        packages.packages(["bulid"])


def dockerfile():
    text = (ROOT / "labs/devcontainer/Dockerfile").read_text()
    return text, dict(re.findall(r'^ARG (\w+)="?([^"\n]*)"?$', text, re.M))


def test_dockerfile_has_the_packages_of_a_handout():
    import packages
    text, args = dockerfile()
    assert args["PACKAGES"].split() == packages.packages()
    assert args["DEBIAN"] == "bookworm"


def test_dockerfile_is_well_formed():
    text, args = dockerfile()
    lines = re.sub(r"\\\n", " ", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    words = [line.split(None, 1)[0] for line in lines.splitlines() if line.strip()]
    assert set(words) <= {"ARG", "FROM", "RUN", "ENV", "USER", "WORKDIR", "CMD"}
    assert words[:2] == ["ARG", "FROM"] and words.count("FROM") == 1
    for run in re.findall(r"^RUN (.*)$", lines, re.M):
        subprocess.run(["sh", "-n"], input=run, text=True, check=True)
    used = set(re.findall(r"\$\{?([A-Z]+)", lines))
    assert used <= set(args)


@pytest.mark.skipif(not os.path.exists("/usr/bin/apt-cache"), reason="needs apt")
def test_packages_of_the_dockerfile_exist():
    text, args = dockerfile()
    names = (args["PACKAGES"] + " " + args["BESIDES"]).split()
    known = subprocess.run(["apt-cache", "policy", *names], capture_output=True, text=True,
                           env={**os.environ, "LC_ALL": "C"}).stdout
    if not known:
        pytest.skip("apt has no lists: apt-get update")
    candidates = dict(re.findall(r"^(\S+):\n.*\n  Candidate: (\S+)", known, re.M))
    assert {name for name in names if candidates.get(name, "(none)") == "(none)"} == set()


def test_make_of_the_container_on_arm_takes_the_cross_compiler(tmp_path):
    """The wrapper as the Dockerfile writes it, with this machine as the host."""
    text, args = dockerfile()
    run = next(run for run in re.findall(r"^RUN ((?:.*\\\n)*.*)", text, re.M) if "printf" in run)
    script = re.search(r"printf '%s\\n' (.*?) *\\\n *> /usr/local/bin/make", run, re.S)[1]
    wrapper = subprocess.run(["sh", "-c", "printf '%s\\n' " + script], capture_output=True, text=True, check=True).stdout
    (tmp_path / "make").write_text(wrapper)
    (tmp_path / "make").chmod(0o755)
    (tmp_path / "GNUmakefile").write_text(
        "CC := gcc\nLD := ld\nHOSTCC := $(CC)\nall:\n\t@echo $(CC) $(LD) $(AR) $(NM) $(OBJCOPY) $(HOSTCC)\n"
        "ifndef DEEP\n\t@$(MAKE) --no-print-directory DEEP=1\nendif\n")
    said = subprocess.run([tmp_path / "make"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    cross = [f"x86_64-linux-gnu-{name}" for name in ("gcc", "ld", "ar", "nm", "objcopy")]
    assert said.split() == 2 * [*cross, "gcc"]


def test_containers_of_book_and_handout():
    ours = json.loads((ROOT / ".devcontainer.json").read_text())
    assert (ROOT / ours["build"]["dockerfile"]).is_file()
    theirs = json.loads((ROOT / "labs/devcontainer/devcontainer.json").read_text())
    text, args = dockerfile()
    assert ours["remoteUser"] == theirs["remoteUser"] == args["USER"]


@pytest.fixture(scope="module")
def classroom_handout(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classroom") / "lab1"
    subprocess.run([sys.executable, ROOT / "labs/handout.py", "--classroom", "1", folder], check=True,
                   capture_output=True, timeout=120)
    return folder


def test_handout_has_the_container_and_if_asked_the_workflow(classroom_handout, tmp_path):
    for name in ("Dockerfile", "devcontainer.json"):
        assert (classroom_handout / ".devcontainer" / name).read_text() == \
            (ROOT / "labs/devcontainer" / name).read_text()
    listed = subprocess.run(["git", "ls-files"], cwd=classroom_handout, capture_output=True, text=True).stdout.split()
    assert ".github/workflows/grade.yml" in listed and ".devcontainer/Dockerfile" in listed
    with tarfile.open(classroom_handout / "tools/grade/handout.tar.gz") as archive:
        assert not [name for name in archive.getnames() if name.startswith("./.github") or ".devcontainer" in name]
    subprocess.run([sys.executable, ROOT / "labs/handout.py", "1", classroom_handout], check=True, capture_output=True)
    assert not (classroom_handout / ".github").exists()
    subprocess.run([sys.executable, ROOT / "labs/handout.py", "--classroom", "1", classroom_handout], check=True,
                   capture_output=True)


@pytest.mark.parametrize("stub", ["right", "crash"])
def test_workflow_does_what_it_says(classroom_handout, tmp_path, stub):
    """Its `run:` steps, here, with a grader that does as it's told."""
    yaml = pytest.importorskip("yaml")
    import packages
    workflow = yaml.safe_load((classroom_handout / ".github/workflows/grade.yml").read_text())
    assert set(workflow[True]) == {"push", "workflow_dispatch"}      # YAML takes `on` for a truth value
    assert workflow["permissions"] == {"contents": "read"}
    [job] = workflow["jobs"].values()
    assert job["container"] == "debian:" + dockerfile()[1]["DEBIAN"] and job["timeout-minutes"] <= 30
    for step in job["steps"]:
        assert ("run" in step) != ("uses" in step)
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
    work = tmp_path / "work"
    subprocess.run(["git", "clone", "-q", classroom_handout, work], check=True)
    grade = (work / "tools/grade/grade.py").read_text()
    assert '"--junit"' in grade and '"--text"' in grade
    (work / "tools/grade/grade.py").write_text(
        "import sys\n" + ("sys.exit(2)" if stub == "crash" else
                          "for option in ('--junit', '--json', '--text'):\n"
                          "    open(sys.argv[sys.argv.index(option) + 1], 'w').write(f'Points of {option}')\n"))
    env = {**os.environ, "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    ran, failed = [], False
    for step in job["steps"]:
        if "run" not in step or (failed and step.get("if") != "always()"):
            continue
        ran.append(step["name"])
        if "apt-get" in step["run"]:
            names = re.search(r"--no-install-recommends (.*)", step["run"])[1].split()
            assert set(names) == {*packages.packages(), "git", "ca-certificates"}
            continue
        done = subprocess.run(["sh", "-e", "-c", step["run"]], cwd=work, env=env, capture_output=True, text=True)
        failed = failed or done.returncode != 0
        if step["name"] != "Grade":
            assert done.returncode == 0, done.stderr
    assert ran == ["Install the tools", "Grade", "Summary"]
    assert failed == (stub == "crash")
    summary = (tmp_path / "summary").read_text()
    assert ("could not be graded" if failed else "Points of --text") in summary
    uploads = next(step for step in job["steps"] if "upload-artifact" in step.get("uses", ""))
    assert sorted(path.name for path in work.glob(uploads["with"]["path"])) == (
        [] if failed else ["results.json", "results.txt", "results.xml"])


def test_instructions_name_the_packages():
    import packages
    text = (ROOT / "labs/devcontainer/README.md").read_text()
    for manager, begin in (("apt", "sudo apt-get install --no"), ("dnf", "sudo dnf"), ("pacman", "sudo pacman")):
        block = next(block for block in re.findall(r"```\n(.*?)```", text, re.S) if begin in block)
        assert set(packages.packages(manager=manager)) <= set(block.split()), manager
    brew = next(block for block in re.findall(r"```\n(.*?)```", text, re.S) if "brew install" in block)
    assert set(packages.packages(manager="brew")) <= set(brew.split())


def test_slurm_array_of_the_instructions(tmp_path):
    """The script as it is printed, with a command in place of the grader."""
    text = (ROOT / "labs/devcontainer/README.md").read_text()
    script = re.search(r"(#!/bin/sh\n#SBATCH.*?)```", text, re.S)[1]
    put(tmp_path / "submissions", {"a b/x": "", "c/x": "", "d/x": ""})
    put(tmp_path, {"labs/grade_all.py": '#!/bin/sh\necho "$2"\n'})
    (tmp_path / "labs/grade_all.py").chmod(0o755)
    said = [subprocess.run(["sh"], input=script, cwd=tmp_path, text=True, capture_output=True, check=True,
                           env={**os.environ, "SLURM_ARRAY_TASK_ID": str(n)}).stdout.strip() for n in range(3)]
    assert said == ["submissions/a b", "submissions/c", "submissions/d"]


# --- a class of five, really graded

def words_of(path):
    """The texts in a grader's source, as C that prints them."""
    texts = {node.value for node in ast.walk(ast.parse(path.read_text()))
             if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isascii()}
    return "".join('\tcprintf("%s\\n", ' + json.dumps(text[:200]) + ");\n" for text in sorted(texts)
                   if text.isprintable())


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("parallel"), reason="needs GNU parallel")
def test_a_class_of_five_graded_by_gnu_parallel(tmp_path):
    """Right, half right, printing the words, looping, not compiling."""
    for words in (["1", "handout"], ["--solution", "1", "solution"]):
        subprocess.run([sys.executable, ROOT / "labs/handout.py", *words[:-1], tmp_path / words[-1]],
                       check=True, capture_output=True, timeout=300)
    files = json.loads((tmp_path / "handout/tools/grade/class.json").read_text())["files"]
    stubs, right = ({name: (tmp_path / tree / name).read_text() for name in files} for tree in ("handout", "solution"))
    vmx = stubs["vmm/vmx.c"]
    panics = re.findall(r"\tpanic\(\"vmx_check_\w+ not implemented\"\);", vmx)
    assert len(panics) == 2
    says = ('\tcprintf("Error copying page into the guest - 4294967289\\nUnhandled VMEXIT, aborting guest.\\n");\n'
            '\tcprintf("vmx: CPU %d has no VMX\\n", cpunum());\n' + words_of(ROOT / "labs/grade/lab1.py"))

    def instead(text):
        changed = vmx
        for panic in panics:
            changed = changed.replace(panic, text)
        return {**stubs, "vmm/vmx.c": changed}
    class_ = tmp_path / "submissions"
    class_.mkdir()
    tar(class_ / "Right Answer.tar.gz", right)
    put(class_ / "half/lab1", {**stubs, "vmm/vmx.c": right["vmm/vmx.c"]})
    put(class_ / "words", instead(says + "\treturn 0;"))
    zipped(class_ / "loop.zip", instead("\tfor (;;)\n\t\t;"))
    put(class_ / "broken", instead("\treturn 0"))
    before = {path: path.read_bytes() for path in class_.rglob("*") if path.is_file()}
    one = ROOT / "labs/grade_all.py"
    done = subprocess.run(
        ["parallel", "--will-cite", "-j", str(max(1, (os.cpu_count() or 2) // 2)), sys.executable, one, "one", "{}",
         "--grader", "handout", "--out", "results", ":::", *map(str, intake.submissions(class_))],
        cwd=tmp_path, env={**os.environ, "GRADE_CACHE": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    table = rows(run("collect", tmp_path / "results").stdout)
    print(run("collect", tmp_path / "results").stdout, done.stdout)
    points = {student: int(row["points"]) for student, row in table.items()}
    assert points["Right Answer"] == 100
    assert points["broken"] == 0
    assert 0 < points["half"] < 100
    assert points["words"] < points["half"] and points["words"] <= 15
    assert points["loop"] <= 15
    assert "doesn't compile" in (tmp_path / "results/broken.txt").read_text()
    assert before == {path: path.read_bytes() for path in class_.rglob("*") if path.is_file()}
    assert not list(tmp_path.glob("jos-*"))
