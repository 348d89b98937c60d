"""Fixtures for all tests: the book's folder, and small books to try things on."""
import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


# Under `make check` these speak of that make, and each make that a test starts
# would tell of its folders and take its flags.
for name in "MAKEFLAGS", "MFLAGS", "MAKELEVEL":
    os.environ.pop(name, None)


def remember_compilations(folder):
    """Trees of the book have most of their files in common, so each compiler is
    called through ccache; an object may then name another tree as its folder."""
    ccache = shutil.which("ccache")
    if not ccache:
        return
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    for compiler in "gcc", "clang":
        try:
            (folder / "bin" / compiler).symlink_to(ccache)
        except FileExistsError:
            pass
    os.environ.update(PATH=f"{folder}/bin:{os.environ['PATH']}", CCACHE_DIR=str(folder), CCACHE_NOHASHDIR="1")


if "PYTEST_XDIST_WORKER" not in os.environ:     # workers inherit it
    remember_compilations(ROOT / "tangle/.stage.ccache")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a few seconds; `make check-fast` leaves it out")
    config.addinivalue_line("markers", "long: grades or builds one submission after the other; "
                                       "`make check-long` runs it, `make check` doesn't")
    config.addinivalue_line("markers", "check: a check of a grader; tests look at some of their functions")


def pytest_collection_modifyitems(items):
    """The file that takes longest and comes last would keep one worker busy alone."""
    items.sort(key=lambda item: item.path.name != "test_weave.py")


class Book:
    """A small book in a folder of its own, and its trees."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "chapters").mkdir(parents=True)

    def write(self, name, text):
        """Write the file NAME of the book; chapters by their bare names."""
        path = self.folder / ("chapters/" + name if "/" not in name else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def tangle(self, *flags, tree="tree", env=None):
        return subprocess.run([ROOT / "tangle/tangle", *flags, ".", tree], cwd=self.folder, env=env,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def tree(self, tree="tree"):
        """The files of a tree, as {path: text}; the manifest is not one of them."""
        top = self.folder / tree
        return {str(path.relative_to(top)): path.read_text()
                for path in sorted(top.rglob("*")) if path.is_file() and path.name != ".tangled"}


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path / "book")


@pytest.fixture
def book_folder():
    return ROOT
