"""kern/page.c, compiled for this machine: random memory maps, overlapping,
unsorted, misaligned, above 4 GiB, against a slow and simple rule."""
import subprocess

import pytest

import hosted
from trees import run, tree

IMAGE = ["kern_start=0x8004100000", "text_end=0x8004110000",
         "rodata_end=0x8004120000", "kern_end=0x8004140000"]

pytestmark = hosted.on_x86_64


def build(folder, out):
    """Compile the test with kern/page.c of the tree FOLDER."""
    return hosted.build("pages", folder, out, "-O2", "-fno-pie",
                        "-mcmodel=large", "-fsanitize=undefined",
                        "-fno-sanitize=alignment",
                        link=["-no-pie", *(f"-Wl,--defsym,{s}" for s in IMAGE)])


def test_random_memory_maps(tmp_path):
    done = run([build(tree("upto-05"), tmp_path)], timeout=60)
    assert "1000 maps" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("right, wrong", [
    ("start = ROUNDUP(start, PGSIZE)", "start = ROUNDDOWN(start, PGSIZE)"),
    ("r->start < lowest->start", "r->start > lowest->start"),
    ("MIN(ram->end, other->start)", "ram->end"),
    ("tail = &stop[-1].pp_link", "tail = &stop[-2].pp_link"),
    ("PHYS_LIMIT - base)", "e->length)"),
    ("if (e->length > 0)", "if (true)"),
])
def test_it_can_fail(tmp_path, right, wrong):
    """An allocator with a planted mistake doesn't pass."""
    folder = tmp_path / "tree"
    (folder / "kern").mkdir(parents=True)
    good = tree("upto-05")
    (folder / "inc").symlink_to(good / "inc")
    (folder / "kern" / "pmap.h").symlink_to(good / "kern" / "pmap.h")
    text = (good / "kern" / "page.c").read_text()
    assert right in text
    (folder / "kern" / "page.c").write_text(text.replace(right, wrong))
    done = subprocess.run([build(folder, tmp_path)], capture_output=True, timeout=60)
    assert done.returncode != 0
