"""Lab 3, the instructor's checks: other leaves, other sizes, other forms."""
import importlib.util
import sys

import pytest

from plugin import check

# The public checks, which stand in the handout's tools/grade.
if "public_lab3" not in sys.modules:
    spec = importlib.util.find_spec("lab3")
    sys.modules["public_lab3"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["public_lab3"])
public = sys.modules["public_lab3"]
ALL, REASONS, NEXT, UNHANDLED = public.ALL, public.REASONS, public.NEXT, public.UNHANDLED


@pytest.fixture(scope="module")
def cpuid(lab):
    return public.Run(lab, "gradehcpuid")


@pytest.fixture(scope="module")
def exits(lab):
    return public.Run(lab, "gradehexits")


@check(points=6, chapter=24, section="25.1.2",
       help="The whole table of leaves, every leaf that isn't in it, and nothing of what was in the registers before.")
def test_cpuid_of_more_leaves(cpuid):
    out = cpuid["cpuid-0x80000003"].ended_well()
    got = tuple(out[register] for register in ("rax", "rbx", "rcx", "rdx"))
    assert got == cpuid.native[0x80000003], f"leaf 80000003: {', '.join(map(hex, got))}"
    for leaf in ("0x80000006", "0x3", "0x6", "0xa", "0xffffffff", "0x40000002", "0x40000011"):
        out = cpuid[f"cpuid-{leaf}"].ended_well()
        got = [out[register] for register in ("rax", "rbx", "rcx", "rdx")]
        assert got == [0] * 4, f"leaf {leaf}: {', '.join(map(hex, got))}, not zeros"
    out = cpuid["cpuid-compared"].ended_well()
    assert out["r8"] == 0, f"leaf ffffffff: the four registers add up to {out['r8']:#x}"
    for ecx in (out["r9"], cpuid["cpuid-0x1"].ended_well()["rcx"]):
        assert ecx >> 31 & 1 and not ecx >> 5 & 1, f"leaf 1: ECX is {ecx:#x}"


@check(points=8, chapter=23, section=None,
       help="Guests of all sizes: less than 640 KiB, just as much, something between that and 1 MiB, and very much.")
def test_the_memory_map_of_all_sizes(lab, cpuid):
    for name, pages in (("mbmap-636K", 159), ("mbmap-640K", 160), ("mbmap-800K", 200), ("mbmap-1M", 256),
                        ("mbmap-1028K", 257), ("mbmap-3G", 786432), ("mbmap-32K", 8)):
        public.right_map(lab, cpuid[name], pages << 12)


@check(points=4, chapter=23, section=None,
       help="The flags tell what is valid, so none may be left from what was in the page; and the call may be made twice.")
def test_the_map_says_only_what_is_true(lab, cpuid):
    page = cpuid["mbmap-1M"].page
    assert page, cpuid["mbmap-1M"].tells()
    flags = int.from_bytes(page[:4], "little")
    assert flags & ~0x40 == 0, f"the page was full of ones, and flags are {flags:#x}: only bit 6 is true"
    out = cpuid["mbmap-twice"].ended_well()
    assert 0 < out["r8"] == out["r9"], f"mmap_length is {out['r8']:#x}, and the second time {out['r9']:#x}"
    out = cpuid["mbmap-prefix"].ended_well()
    assert out["r10"] == 77, cpuid["mbmap-prefix"].tells()


@check(points=2, chapter=23, section=None, help="A hypercall's number has 64 bits.")
def test_a_hypercall_that_is_not_there(cpuid):
    for name in ("mbmap-upper", "mbmap-minus"):
        case = cpuid[name]
        assert case.ended_well()["rax"] == -7 & public.MASK, f"{name}: RAX is {case.out['rax']:#x}, not -7"
        assert not case.page, f"{name}: its page was written"


@check(points=6, chapter=24, section="25.1.3",
       help="The same reasons with other registers, prefixes and ports.")
def test_exits_in_other_forms(exits):
    for name in ("rdmsr-7fffffff", "rdpmc-1", "wrmsr-upper", "wrmsr-lstar", "cr4-smep", "cr8-1", "ins"):
        exits[name].faulted(public.GP)
    for case in exits.begin_with("undefined-"):
        case.faulted(public.UD)
    for name, register, value in (
            ("clts-long", "rcx", 0x80000011), ("dr3", "rax", 0), ("wbinvd-prefix", "rcx", 77),
            ("inl-none", "rax", 0xffffffff), ("out-none", "rcx", 77), ("memory-far", "rcx", 0x77),
            ("hlt-thrice", "rcx", 77)):
        out = exits[name].ended_well()
        low = ALL if name in ("inl-none", "memory-far", "hlt-thrice") else public.MASK
        assert out[register] & low == value, f"guest “{name}”: {register} is {out[register]:#x}, not {value:#x}"


@check(points=4, chapter=24, section="25.2",
       help="Each guest's end is its own: the next one knows nothing of it.")
def test_ends_in_other_forms(exits):
    for name, reason in (("ends-read-beyond", "ept"), ("ends-beyond-1M", "ept"), ("ends-8900", "io")):
        exits[name].was_ended(REASONS[reason])
    exits["ends-task-2"].was_ended(REASONS["task switch"], UNHANDLED)
    assert exits["after"].ended_well()["r8"] == 77
    exits.finished()
