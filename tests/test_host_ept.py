"""vmm/ept.c, compiled for this machine: random mappings at addresses of all
kinds, with and without memory, against a list of what was asked for."""
import subprocess

import pytest

import hosted
from trees import run, tree

pytestmark = hosted.on_x86_64


def build(folder, out):
    """Compile the test with vmm/ept.c of the tree FOLDER."""
    return hosted.build("ept", folder, out, "-O1",
                        "-fsanitize=address,undefined")


def test_random_mappings(tmp_path):
    done = run([build(tree("upto-20"), tmp_path)], timeout=60)
    assert "50 guests" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("right, wrong", [
    ("gpa >> 48 != 0", "gpa >> 52 != 0"),
    ("level > 0; level--", "level > 1; level--"),
    ("PADDR(table) | __EPTE_FULL", "PADDR(table) | __EPTE_READ | 0x20"),
    ("if (!create)", "if (create < 0)"),
    ("page_alloc(ALLOC_ZERO)", "page_alloc(0)"),
    ("epte_present(*epte) && !overwrite", "!overwrite && false"),
    (" || !ept_perm_ok(perm)", ""),
    ("| EPTE_TYPE_WB |", "|"),
    ("PADDR(hva)", "(uintptr_t) hva"),
    ("\tpp->pp_ref++;\n\tif (old != NULL) {", "\tif (old != NULL) {"),
    ("page_decref(old)", "(void) old"),
    ("invept(eptrt);\n", ""),
    ("gpa >= (uint64_t) e->env_vmxinfo.phys_sz", "gpa >> 40 != 0"),
    ("r == 0 && !epte_present(**store)", "r == 0"),
    ("at >= (uint64_t) e->env_vmxinfo.phys_sz", "at >> 40 != 0"),
    ("!epte_present(*epte) && fill(epte) < 0", "fill(epte) < 0"),
    ("\tkpage_free(table);", ""),
    ("if (eptrt != NULL)", ""),
])
def test_it_can_fail(tmp_path, right, wrong):
    """Tables with a planted mistake don't pass."""
    folder = tmp_path / "tree"
    (folder / "vmm").mkdir(parents=True)
    good = tree("upto-20")
    for name in ("inc", "kern", "vmm/ept.h", "vmm/vmx.h"):
        (folder / name).symlink_to(good / name)
    text = (good / "vmm" / "ept.c").read_text()
    assert right in text
    (folder / "vmm" / "ept.c").write_text(text.replace(right, wrong))
    done = subprocess.run([build(folder, tmp_path)], capture_output=True, timeout=60)
    assert done.returncode != 0
