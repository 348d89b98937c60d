"""The guest's disk: what a guest may ask the file server for.

tests/programs/guestipc.c makes guests that execute a table of hypercalls.
"""
import re
import shutil

import pytest

from emulator import Machine
from test_hostile import fsck
from trees import planted, tree, with_programs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def jos():
    return with_programs()


def free_pages(machine):
    return int(re.search(r"(\d+)", machine.command("freepages")).group(1))


@pytest.mark.parametrize("cpus", [1, 2])
def test_a_guest_gets_its_disk_and_nothing_else(jos, cpus, tmp_path):
    image = tmp_path / "fs.img"
    shutil.copy(jos / "obj/fs/clean-fs.img", image)
    with Machine(jos, "bochs", cpus=cpus, fs_img=image, timeout=120) as machine:
        machine.expect(r"\n\$ ")
        counts = []
        for _ in range(3):
            assert "cases, 0 wrong" in machine.command("guestipc")
            counts.append(free_pages(machine))
        assert counts[1] == counts[2], "pages are lost"
        assert "kernel panic" not in machine.output()
        assert "user panic" not in machine.output()
    fsck(jos, image)


# what is forgotten: in which file, the text and its replacement
FORGOTTEN = {
    "the file's owner": ("fs/serv.c", r"o->o_guest != guest\)\n\t\treturn",
                         "0)\n\t\treturn"),
    "the path": ("fs/serv.c", r"strcmp\(fetch_path\([^)]*\), image\) != 0", "0"),
    "one file a guest": ("fs/serv.c", r"\(o = guest_file\(\)\) == NULL",
                         "(void) guest_file, (o = NULL) == NULL"),
    "what a guest may ask for": ("fs/serv.c", r"guest != 0\)\n", "0)\n"),
    "the block's number": ("fs/fs.c", r"n >= \(uint32_t\) f->f_size / BLKSIZE",
                           "n >= 0xfffff0"),
    "the right to write": ("vmm/vmexits.c",
                           r"\(perm & PTE_W\) && !\(\*epte & __EPTE_WRITE\)", "0"),
    "the permissions": ("vmm/vmexits.c", r"\|\| bad_page_perm\(perm\)", ""),
    "who answers": ("kern/syscall.c",
                    r"curenv->env_type != ENV_TYPE_FS \|\| !g \|\| "
                    r"g->ipc_state != IPC_ASKED", "!g"),
    "the answer's page": ("vmm/vmexits.c",
                          r"gpa >= \(uint64_t\) e->env_vmxinfo\.phys_sz", "0"),
}


@pytest.mark.parametrize("what", FORGOTTEN)
def test_what_is_forgotten_is_seen(jos, what, tmp_path):
    copy = planted(jos, tmp_path, FORGOTTEN[what])
    with Machine(copy, "bochs", timeout=40) as machine:
        machine.expect(r"\n\$ ")
        machine.send("guestipc\r")
        assert machine.child.expect([r"cases, 0 wrong", r"[1-9]\d* wrong",
                                     r"panic", r"TRAP frame"]) > 0
