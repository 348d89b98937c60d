"""The file system, the shell and the library, as a person uses them; and
what is on the disk afterwards, checked from outside."""
import shutil

import pytest

from emulator import Machine
from test_hostile import fsck
from trees import tree, with_programs

pytestmark = pytest.mark.slow


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "fs.img"
    shutil.copy(tree("jos") / "obj/fs/clean-fs.img", path)
    return path


@pytest.fixture
def shell(image):
    with Machine(tree("jos"), fs_img=image, timeout=60) as machine:
        machine.expect(r"\n\$ ")
        yield machine
        assert "kernel panic" not in machine.output()
        machine.close()
        fsck(tree("jos"), image)


def answer(machine, line):
    """The lines that a command printed."""
    return [line.strip() for line in machine.command(line).split("\n")
            if line.strip()]


def test_echo_and_quotes(shell):
    assert answer(shell, "echo one   two") == ["one two"]
    assert answer(shell, 'echo "one   two" three') == ["one   two three"]


def test_redirection(shell):
    answer(shell, "echo first line > out")
    assert answer(shell, "cat out") == ["first line"]
    assert answer(shell, "cat < out") == ["first line"]
    answer(shell, "echo x > out")
    assert answer(shell, "cat out") == ["x"]


def test_pipe(shell):
    assert answer(shell, "echo hello | cat") == ["hello"]
    numbered = answer(shell, "cat /lorem | num")
    assert numbered[0].startswith("1 ")
    assert len(numbered) > 10
    assert answer(shell, "echo a | cat | cat | cat | num")[-1].endswith("a")


def test_list_and_background(shell):
    assert answer(shell, "echo one; echo two") == ["one", "two"]
    shell.send("spin &\r")
    shell.expect(r"\$ ")
    assert "here" in "".join(answer(shell, "echo here"))


def test_script_as_input(shell):
    answer(shell, "echo echo from a script > commands")
    assert answer(shell, "sh < commands") == ["from a script"]
    assert answer(shell, "sh commands") == ["from a script"]


def test_errors_are_said_and_survived(shell):
    assert "no-such" in "".join(answer(shell, "no-such-command"))
    assert answer(shell, "cat < no-such-file") != []
    answer(shell, "echo | ")
    answer(shell, "| cat")
    answer(shell, 'echo "open quote')
    answer(shell, "echo " + "x " * 40)
    assert answer(shell, "echo alive") == ["alive"]


def test_line_editing(shell):
    shell.send("echx\x7fo ab\x1b[D\x1b[DX\r")
    shell.expect(r"\$ ")
    assert "Xab" in shell.before


def test_files_last_over_a_restart(image):
    for typed, seen in (("echo kept > file", None), ("cat file", "kept")):
        with Machine(tree("jos"), fs_img=image) as machine:
            machine.expect(r"\n\$ ")
            lines = answer(machine, typed)
            assert seen is None or seen in lines
            machine.command("echo settled")
    fsck(tree("jos"), image)


def test_published_interface():
    """An unknown program, written against the published library."""
    with Machine(with_programs(), "run-api-nox") as machine:
        match = machine.expect(r"api: built, argc \d, (\S+), text (\w+), "
                               r"page refs (\d+)")
        assert match.group(2) == "mapped" and int(match.group(3)) >= 1
