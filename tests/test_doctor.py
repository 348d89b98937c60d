"""make doctor: each tool that is missing, old or broken is named, with what to do."""
import os
import re
import shutil
import subprocess

import pytest

from conftest import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(not shutil.which(tool) for tool in ("gcc", "gdb", "bochs", "qemu-system-x86_64")),
        reason="make deps installs them")]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """tools/doctor.py, as a tangled tree has it."""
    import importlib.machinery
    import importlib.util
    loader = importlib.machinery.SourceFileLoader("doctor", str(ROOT / "tangle/doctor"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("doctor", loader))
    loader.exec_module(module)
    path = tmp_path_factory.mktemp("doctor") / "doctor.py"
    text = (ROOT / "chapters/G-debugger.nw").read_text(encoding="utf-8")
    path.write_text("\n".join(module.expand(module.chunks(text), "tools/doctor.py")) + "\n")
    return path


class Patient:
    """A machine with every tool but those that a test takes away."""

    def __init__(self, program, folder):
        self.program, self.bin, self.modules = program, folder / "bin", folder / "modules"
        self.bin.mkdir()
        self.modules.mkdir()
        for place in ("/usr/local/bin", "/usr/bin", "/bin"):
            for name in os.listdir(place):
                if name not in ("dnf", "pacman", "brew") and not (self.bin / name).is_symlink():
                    (self.bin / name).symlink_to(f"{place}/{name}")
        # Quick stand-ins for what takes a second to say its version.
        self.fake("qemu-system-x86_64", "echo QEMU emulator version 7.2.22")
        self.fake("gdb", 'case "$*" in *print*) echo 42;; *) echo GNU gdb 13.1;; esac')

    def hide(self, name):
        (self.bin / name).unlink()

    def fake(self, name, script):
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def ask(self, **environment):
        done = subprocess.run(
            ["/usr/bin/python3", self.program], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
            env={"PATH": str(self.bin), "PYTHONPATH": str(self.modules), "HOME": str(self.bin), **environment})
        assert not done.stderr, done.stderr
        return done.returncode, done.stdout


@pytest.fixture
def patient(program, tmp_path):
    return Patient(program, tmp_path)


def test_all_is_there(patient):
    status, said = patient.ask()
    assert status == 0, said
    assert said.endswith("\n\nAll that is needed is there.\n")
    assert all(line.startswith(("ok  ", "note ")) for line in said.split("\n\n")[0].split("\n"))
    assert len(said.split("\n")) > 18


@pytest.mark.parametrize("tool, package", [
    ("gcc", "gcc"), ("ld", "binutils"), ("make", "make"), ("awk", "gawk"), ("git", "git"), ("gdb", "gdb"),
    ("qemu-system-x86_64", "qemu-system-x86"), ("bochs", "bochs")])
def test_a_missing_tool_and_its_package(patient, tool, package):
    patient.hide(tool)
    status, said = patient.ask()
    assert status == 1
    assert re.search(rf"^missing  {tool}: (apt-get install|install the package) {package} \(", said, re.M), said
    assert said.endswith(f"\n1 to do: {tool}\n")


@pytest.mark.parametrize("manager, todo", [
    ("dnf", "dnf install qemu-system-x86"), ("pacman", "pacman -S qemu-system-x86"), ("brew", "brew install qemu")])
def test_what_to_do_on_other_systems(patient, manager, todo):
    patient.hide("qemu-system-x86_64")
    if (patient.bin / "apt-get").is_symlink():
        patient.hide("apt-get")
    patient.fake(manager, "exit 1")
    assert f"missing  qemu-system-x86_64: {todo} (" in patient.ask()[1]


@pytest.mark.parametrize("name, script, line", [
    ("gcc", "echo gcc 11.4.0", "old      gcc: version 11.4.0, and 12 or later is needed"),
    ("gcc", 'test "$1" = --version && echo gcc 12.2.0', "broken   gcc for x86-64: it doesn't make code"),
    ("qemu-system-x86_64", "exit 127", "broken   qemu-system-x86_64: it is there and doesn't work"),
    ("gdb", "echo GNU gdb 14.1", "missing  gdb with Python: this gdb has no Python"),
    ("awk", "exit 2", "broken   awk: it is there and doesn't work"),
    ("make", "echo GNU Make 3.81", "old      make: version 3.81, and 4 or later"),
])
def test_old_and_broken_tools(patient, name, script, line):
    patient.fake(name, script)
    status, said = patient.ask()
    assert status == 1 and f"\n{line}" in said


def test_mawk_will_do(patient):
    patient.fake("awk", 'case "$1" in --*) exit 2;; *) echo it runs;; esac')
    assert patient.ask()[0] == 0


def test_an_old_gdb_is_a_note(patient):
    patient.fake("gdb", 'case "$*" in *print*) echo 42;; *) echo GNU gdb 12.1;; esac')
    status, said = patient.ask()
    assert status == 0 and "\nnote     gdb with Python: before gdb 13" in said


def test_another_compiler(patient):
    """make CC=… says which; that gcc is missing is no matter then."""
    patient.fake("mycc", 'test "$1" = --version && { echo mycc 13.1; exit; }; exec /usr/bin/gcc "$@"')
    patient.hide("gcc")
    status, said = patient.ask(CC="mycc")
    assert status == 0 and "\nok       mycc: 13.1\nok       mycc for x86-64: a program compiles\n" in said


@pytest.mark.parametrize("module, package", [
    ("pytest", "python3-pytest"), ("pytest_timeout", "python3-pytest-timeout"), ("pexpect", "python3-pexpect")])
def test_a_missing_module(patient, module, package):
    (patient.modules / f"{module}.py").write_text("raise ImportError\n")
    status, said = patient.ask()
    assert status == 1
    assert re.search(rf"^missing  Python's {module}: .* {package} \(make grade\)$", said, re.M)


def test_no_pseudo_terminal_and_a_full_disk(patient):
    (patient.modules / "sitecustomize.py").write_text(
        "import os, shutil, collections\n"
        "def openpty(): raise OSError(2, 'No such file or directory')\n"
        "os.openpty = openpty\n"
        "shutil.disk_usage = lambda path: collections.namedtuple('D', 'total used free')(9, 9, 100 << 20)\n")
    status, said = patient.ask()
    assert status == 1
    assert "\nmissing  a pseudo-terminal: [Errno 2] No such file or directory; in a container, mount devpts" in said
    assert "\nfull     disk space: 100 MiB free" in said
    assert said.endswith("2 to do: a pseudo-terminal, disk space\n")


@pytest.mark.parametrize("files, what, package", [
    ("libbx_term_gui", "Bochs's plug-in term", "bochs-term"), ("BIOS-bochs", "Bochs's BIOS", "bochsbios"),
    ("VGABIOS", "Bochs's VGA BIOS", "vgabios")])
@pytest.mark.parametrize("found", [[], ["/usr/share/link-into-nowhere"]])
def test_files_of_bochs(patient, files, what, package, found):
    (patient.modules / "sitecustomize.py").write_text(
        "import glob\nreal = glob.glob\n"
        f"glob.glob = lambda pattern: {found} if {files!r} in pattern else real(pattern)\n")
    status, said = patient.ask()
    assert status == 1
    assert re.search(rf"^missing  {what}: .* {package} \(", said, re.M), said


@pytest.mark.parametrize("nested, kvm, words", [
    ("Y", True, "ok       nested KVM: guests can run in QEMU"), ("1", False, "note     nested KVM: there, but /dev/kvm"),
    ("N", True, "note     nested KVM: not here"), (None, False, "note     nested KVM: not here")])
def test_nested_kvm(patient, nested, kvm, words):
    parameter = patient.modules / "nested"
    if nested:
        parameter.write_text(nested + "\n")
    text = patient.program.read_text().replace("/sys/module/kvm_intel/parameters/nested", str(parameter))
    patient.program = patient.modules / "doctor.py"
    patient.program.write_text(text.replace('"/dev/kvm"', f'"{"/dev/null" if kvm else "/dev/nowhere"}"'))
    status, said = patient.ask()
    assert status == 0 and f"\n{words}" in said


def test_packages_are_those_of_the_book(program):
    """The same tool comes of the same package for `make deps`."""
    rows = {}
    for line in (ROOT / "tangle/packages.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            _, probe, *packages = line.split("\t")
            rows.setdefault(probe, packages)
    text = re.search(r'PACKAGES = """\n(.*?)"""', program.read_text(), re.S)[1].replace("\\\n", "")
    ours = {row[0]: row[1:] for row in map(str.split, text.splitlines())}
    names = {"gcc": "gcc", "ld": "ld", "make": "make", "awk": "awk", "git": "git", "gdb": "gdb",
             "qemu": "qemu-system-x86_64", "pytest": "py:pytest", "pytest_timeout": "py:pytest_timeout",
             "pexpect": "py:pexpect"}
    for key, probe in rows.items():
        for part, tool in ("libbx_term", "bochs-term"), ("/BIOS-bochs", "bios"), ("VGABIOS", "vgabios"), \
                ("stdio.h", "libc"):
            if part in key:
                names[tool] = key
    assert set(names) == set(ours) - {"bochs"}
    for tool, probe in names.items():
        assert ours[tool] == rows[probe], tool


def test_the_books_door_works_without_noweb(tmp_path):
    """It comes of the chapter, not of a tree."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for place in ("/usr/bin", "/bin"):
        for name in os.listdir(place):
            if name not in ("notangle", "noweave", "apt-get", "dnf", "pacman", "brew") and not (folder / name).exists():
                (folder / name).symlink_to(f"{place}/{name}")
    done = subprocess.run(["make", "doctor"], cwd=ROOT, env={**os.environ, "PATH": str(folder)}, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    assert "\nok       gcc for x86-64: a program compiles\n" in done.stdout
    assert "missing: notangle" in done.stdout + done.stderr
