"""The top-level make targets: help, and what they say of tools that are missing."""
import os
import shutil
import subprocess

import pytest


@pytest.fixture
def machine(tmp_path):
    """A PATH with every tool of this machine but notangle, and no package manager.

    A fake tool can be put there; it may write to the file `log`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for place in ("/usr/local/bin", "/usr/bin", "/bin"):
        for name in os.listdir(place):
            if name not in ("notangle", "apt-get", "dnf", "pacman", "brew", "sudo") and not (folder / name).is_symlink():
                (folder / name).symlink_to(f"{place}/{name}")

    class Machine:
        log = tmp_path / "log"

        def fake(self, name, script):
            (folder / name).unlink(missing_ok=True)
            (folder / name).write_text(f"#!/bin/bash\nlog={self.log}\nbin={folder}\n{script}\n")
            (folder / name).chmod(0o755)

        def run(self, *words):
            return subprocess.run(words, env=dict(os.environ, PATH=str(folder)), stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=60, cwd=self.root)

    machine = Machine()
    machine.log.write_text("")
    return machine


@pytest.fixture
def house(machine, book_folder):
    machine.root = book_folder
    return machine


INSTALL = ('echo "$(basename "$0") $*" >>$log; case "$*" in *install*|*-S*) ln -s NOTANGLE $bin/notangle;; esac'
           .replace("NOTANGLE", shutil.which("notangle") or ""))


def test_help_lists_every_door(book_folder):
    text = subprocess.run(["make", "help"], cwd=book_folder, capture_output=True, text=True, check=True).stdout
    for door in ("deps", "tangle", "handout", "qemu", "qemu-nox", "qemu-gdb", "qemu-nox-gdb", "gdb", "bochs",
                 "run-NAME", "run-NAME-nox", "check", "check-fast", "html", "bench", "clean", "help"):
        assert f"  make {door} " in text
    for variable in ("CPUS", "MEM", "LAB", "UPTO", "LINE", "V"):
        assert f"{variable}=" in text
    assert subprocess.run(["make"], cwd=book_folder, capture_output=True, text=True).stdout == text


@pytest.mark.parametrize("door", ["tangle", "qemu-nox", "handout", "check-fast"])
def test_missing_tool_is_named_with_its_package(house, door):
    house.fake("apt-get", INSTALL)
    result = house.run("make", door, "LAB=1" if door == "handout" else "V=")
    assert result.returncode != 0
    assert "missing: notangle (apt package: noweb)" in result.stderr
    assert "make deps" in result.stderr
    assert house.log.read_text() == ""


@pytest.mark.parametrize("manager, command", [
    ("apt-get", "install -y --no-install-recommends noweb"),
    ("dnf", "install -y --setopt=install_weak_deps=False noweb"),
    ("pacman", "-S --needed --noconfirm noweb"),
    ("brew", "install noweb"),
])
def test_deps_installs_what_is_missing_and_no_more(house, manager, command):
    house.fake("id", "echo 0")
    house.fake(manager, INSTALL)
    result = house.run("make", "deps")
    assert result.returncode == 0, result.stderr
    assert "installing noweb" in result.stdout
    assert house.log.read_text().splitlines()[-1].endswith(command)
    house.log.write_text("")
    assert "every tool is there" in house.run("make", "deps").stdout
    assert house.log.read_text() == ""


def test_deps_with_sudo(house):
    house.fake("id", "echo 1000")
    house.fake("sudo", 'echo "sudo $*" >>$log; "$@"')
    house.fake("apt-get", INSTALL)
    assert house.run("make", "deps").returncode == 0
    assert all(line.startswith("sudo") for line in house.log.read_text().splitlines()[::2])


def test_deps_without_sudo_says_what_to_install(house):
    house.fake("id", "echo 1000")
    house.fake("apt-get", INSTALL)
    result = house.run("make", "deps")
    assert result.returncode != 0
    assert "as root, install: noweb" in result.stderr


def test_deps_with_no_manager_lists_what_is_missing(house):
    result = house.run("make", "deps")
    assert result.returncode != 0
    assert "notangle" in result.stderr


def test_deps_that_did_not_help_fails(house):
    house.fake("id", "echo 0")
    house.fake("apt-get", "exit 0")
    result = house.run("make", "deps")
    assert result.returncode != 0
    assert "still missing" in result.stderr and "notangle" in result.stderr


def test_program_called_name(book_folder):
    result = subprocess.run(["make", "run-NAME-nox"], cwd=book_folder, capture_output=True, text=True)
    assert result.returncode != 0
    assert "run-hello-nox" in result.stderr


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_generated_files_are_ignored(book_folder):
    names = ["tangle/jos/x", "tangle/jos-line/x", "tangle/upto-07/x", "tangle/lab2/x", "woven/html/x"]
    result = subprocess.run(["git", "check-ignore", *names], cwd=book_folder, capture_output=True, text=True)
    if result.returncode == 128:
        pytest.skip("not a git repository")
    assert result.stdout.split() == names
