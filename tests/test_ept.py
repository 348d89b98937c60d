"""Extended page tables: chapter 20, lab 2's first half and lab 4's function.

The self-test runs in QEMU, without VMX.  A right solution gets its cheers,
and each of the mistakes that students make gets a message that names it.
"""
import re
import shutil

import pytest

from emulator import Machine
from trees import handout, run
from trees import tree as any_tree

pytestmark = pytest.mark.slow

CHEERS = r"Cheers! sys_ept_map seems to work correctly\.\r\n"
SAYS = r"(Cheers![^\r\n]*|epttest: [^\r\n]*|kernel panic[^\r\n]*)\r\n"

EPT, CALL = "vmm/ept.c", "kern/syscall.c"

# mistake: file, what is right there, what stands there instead, the message
MISTAKES = {
    "the walk begins at the wrong end": (
        EPT, "int level = EPT_LEVELS - 1; level > 0; level--",
        "int level = 0; level < EPT_LEVELS - 1; level++",
        r"level 4: bits 47-39 of the address lead to no table"),
    "create isn't looked at": (
        EPT, "if (!create)", "if (create < 0)",
        r"ept_lookup_gpa\(root, GPA, 0, &e\) returned 0; it should be -E_NO_ENT"),
    "create is taken for its opposite": (
        EPT, "if (!create)", "if (create)",
        r"ept_lookup_gpa\(root, GPA, 1, &e\) returned -21; it should be -E_NO_MEM"),
    "49 bits of address": (
        EPT, " || (uintptr_t) gpa >> 48 != 0", "",
        r"ept_lookup_gpa\(root, TOO_HIGH, 1, &e\) returned 0; it should be -E_INVAL"),
    "no memory is another error": (
        EPT, "NULL)\n\t\t\t\treturn -E_NO_MEM", "NULL)\n\t\t\t\treturn -E_NO_ENT",
        r"ept_lookup_gpa\(root, GPA, 1, &e\) returned -21; it should be -E_NO_MEM"),
    "an upper entry with a right too few": (
        EPT, "PADDR(table) | __EPTE_FULL", "PADDR(table) | __EPTE_READ | __EPTE_EXEC",
        r"level 4: rights 5; the processor ANDs all levels"),
    "an upper entry with a pointer": (
        EPT, "*epte = PADDR(table) |", "*epte = (uintptr_t) table |",
        r"ept\.c:\d+: KADDR: no memory at 0080[0-9a-f]+"),
    "an upper entry with a memory type": (
        EPT, "PADDR(table) | __EPTE_FULL", "PADDR(table) | EPTE_TYPE_WB | __EPTE_FULL",
        r"level 4: [0-9a-f]+37 has bits that only the last level has: a misconfiguration"),
    "the entry above the right one": (
        EPT, "*epte_out = &table[EPT_INDEX(gpa, 0)]", "*epte_out = &table[EPT_INDEX(gpa, 1)]",
        r"ept_lookup_gpa found an entry that isn't the one to which bits 20-12"),
    "an entry with a pointer": (
        EPT, "*epte = PADDR(hva)", "*epte = (uintptr_t) hva",
        r"ept_map_hva2gpa: the entry has a pointer of the kernel \(PADDR\?\)"),
    "no memory type": (
        EPT, "EPTE_IPAT | EPTE_TYPE_WB | perm", "EPTE_IPAT | perm",
        r"the memory type is 0; write-back is 6"),
    "all rights for everybody": (
        EPT, "EPTE_TYPE_WB | perm", "EPTE_TYPE_WB | __EPTE_FULL",
        r"ept_map_hva2gpa: the rights are 7; they should be 5"),
    "rights aren't looked at": (
        EPT, " || !ept_perm_ok(perm)", "",
        r"ept_map_hva2gpa\(root, hva, GPA, 0, 0\) returned 0; it should be -E_INVAL"),
    "alignment isn't looked at": (
        EPT, " || PGOFF(gpa) != 0", "",
        r"ept_map_hva2gpa\(root, hva, GPA \+ 8, r, 0\) returned 0; it should be -E_INVAL"),
    "always overwritten": (
        EPT, "epte_present(*epte) && !overwrite", "false && !overwrite",
        r"ept_map_hva2gpa\(root, hva, GPA, r, 0\) returned 0; it should be -E_INVAL"),
    "never overwritten": (
        EPT, "epte_present(*epte) && !overwrite", "epte_present(*epte) && overwrite < 2",
        r"ept_map_hva2gpa\(root, hva, GPA, r \| w, 1\) returned -3; it should be 0"),
    "counted in the wrong place": (
        EPT, "EPTE_TYPE_WB | perm;", "EPTE_TYPE_WB | perm; pa2page(PADDR(hva))->pp_ref++;",
        r"ept_map_hva2gpa counts nothing: a page has 2 references; it should be 0"),
    "replaced and not counted": (
        EPT, "\tpp->pp_ref++;\n\tif (old", "\tif (old",
        r"ept_page_insert where the page is already: a page is free that is in use"),
    "replaced and kept": (
        EPT, "\t\tpage_decref(old);\n", "",
        r"ept_page_insert where the page is already: a page has 2 references; it should be 1"),
    "replaced in the wrong order": (
        EPT, "\tpp->pp_ref++;\n\tif (old != NULL) {\n\t\tinvept(eptrt);\n\t\tpage_decref(old);\n\t}",
        "\tif (old != NULL) {\n\t\tinvept(eptrt);\n\t\tpage_decref(old);\n\t}\n\tpp->pp_ref++;",
        r"ept_page_insert where the page is already: a page is free that is in use"),
    "replaced without a flush": (
        EPT, "\t\tinvept(eptrt);\n\t\tpage_decref(old);", "\t\tpage_decref(old);",
        r"ept_page_insert took a right away without a flush"),
    "any environment as a target": (
        CALL, "\n\t    || guest->env_type != ENV_TYPE_GUEST", "",
        r"sys_ept_map\(0, RO, 0, 0, r\) returned -3; it should be -E_BAD_ENV"),
    "anybody's guest": (
        CALL, "envid2env(guestid, &guest, true)", "envid2env(guestid, &guest, false)",
        r"sys_ept_map\(0, RO, stranger, 0, r\) returned 0; it should be -E_BAD_ENV"),
    "anybody's page": (
        CALL, "if (envid2env(srcid, &src, true) < 0\n\t    || envid2env(guestid",
        "if (envid2env(srcid, &src, false) < 0\n\t    || envid2env(guestid",
        r"sys_ept_map\(stranger, RO, guest, 0, r\) returned -3; it should be -E_BAD_ENV"),
    "any source": (
        CALL, "bad_page_va((uintptr_t) srcva)", "false",
        r"sys_ept_map\(0, UTOP, guest, 0, r\) returned 0; it should be -E_INVAL"),
    "memory without an end": (
        CALL, "(gpa_t) guest_pa >= (gpa_t) guest->env_vmxinfo.phys_sz", "false",
        r"sys_ept_map\(0, RO, guest, MEM, r\) returned 0; it should be -E_INVAL"),
    "one page too many": (
        CALL, "(gpa_t) guest_pa >= (gpa_t)", "(gpa_t) guest_pa > (gpa_t)",
        r"sys_ept_map\(0, RO, guest, MEM, r\) returned 0; it should be -E_INVAL"),
    "write a read-only page": (
        CALL, "pp == NULL || ((perm & __EPTE_WRITE) && !(*pte & PTE_W))", "pp == NULL",
        r"sys_ept_map\(0, RO, guest, 0, r \| w\) returned 0; it should be -E_INVAL"),
    "not counted": (
        CALL, "\tif (r == 0)\n\t\tpp->pp_ref++;\n", "",
        r"a page of a program and a guest: a page has 1 references; it should be 2"),
    "counted although it failed": (
        CALL, "\tif (r == 0)\n\t\tpp->pp_ref++;\n", "\tpp->pp_ref++;\n",
        r"a page of a program and a guest: a page has 3 references; it should be 2"),
    "a counter that wraps": (
        CALL, "\tif (pp->pp_ref == UINT16_MAX)\n\t\treturn -E_NO_MEM;\n\tr = ept", "\tr = ept",
        r"sys_ept_map\(0, RW, guest, PGSIZE, all\) returned 0; it should be -E_NO_MEM"),
    "never freed": (
        EPT, "\tif (eptrt != NULL)\n\t\ttable_free", "\tif (false)\n\t\ttable_free",
        r"a guest's end took \d+ pages; it should be 0"),
}


def verdict(tree):
    """What the self-test says first."""
    with Machine(tree, "run-epttest-nox", timeout=60) as machine:
        return machine.expect(SAYS)[1]


def test_the_book():
    with Machine(any_tree("upto-20"), "run-epttest-nox") as machine:
        machine.expect(CHEERS)
        machine.expect("K> ")
        assert "epttest: " not in machine.output()
        assert re.search(CHEERS.replace(r"\r", ""), machine.command("epttest", "K> "))


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """A tree to make mistakes in, with what is built of the book's."""
    folder = tmp_path_factory.mktemp("student") / "jos"
    shutil.copytree(any_tree("upto-20"), folder, symlinks=True)
    return folder


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_named(student, mistake):
    file, right, wrong, message = MISTAKES[mistake]
    path = student / file
    text = path.read_text()
    assert text.count(right) == 1
    path.write_text(text.replace(right, wrong))
    try:
        assert re.search(message, verdict(student))
    finally:
        path.write_text(text)


def test_handout_begins_with_the_walk():
    assert re.search(r"kernel panic on CPU 0 at \.\./vmm/ept\.c:\d+: "
                     r"ept_lookup_gpa not implemented", verdict(handout(2)))


def test_a_guests_memory_and_its_end():
    """A guest with a few pages, looked at from the monitor, leaves none."""
    with Machine(any_tree("upto-20"), "run-guestmem-nox", timeout=90) as machine:
        machine.expect("the last page: 0\r\n")
        machine.expect("and one more: invalid parameter\r\n")
        machine.expect("K> ")
        page = re.search(r"page ([0-9a-f]+) read write execute",
                         machine.command("ept 1002 7000", "K> "))[1]
        assert "refs 17" in machine.command(f"pages {page}", "K> ")
        assert "has 17 of 4096 pages, in 5 tables" in machine.command("ept", "K> ")
        machine.command("continue", "K> ", timeout=60)
        assert "guest" not in machine.command("ept", "K> ")
        assert "refs 0" in machine.command(f"pages {page}", "K> ")
        assert "good" in machine.command("pages check", "K> ")
