"""Cores of Bochs, and gdb's commands for JOS, on cores and on living machines.

What gdb says of a machine is compared with what somebody else says of it: the
kernel's monitor, Bochs's log, gdb's own way through the page tables.
"""
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time

import pytest

from conftest import ROOT
from emulator import Machine
from transcripts import transcripts, attributes, unescape
from trees import planted, tree

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("gdb"), reason="make deps installs gdb"),
    pytest.mark.skipif(not shutil.which("bochs"), reason="make deps installs bochs"),
]
CHAPTER = ROOT / "chapters/G-debugger.nw"


@pytest.fixture(scope="module")
def jos():
    return tree("jos")


@pytest.fixture(scope="module")
def core_py(jos):
    """tools/core.py as a module."""
    import importlib.util
    spec = importlib.util.spec_from_file_location("core", jos / "tools/core.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def gdb(kernel, *commands, core=None, port=None, jos=None):
    """What gdb prints for commands, one text each."""
    args = ["gdb", "-q", "-nx", "-batch", "-ex", "set pagination off", "-ex", "set confirm off"]
    if core:
        args += ["-ex", f"core {core}"]
    if port:
        args += ["-ex", f"target remote 127.0.0.1:{port}"]
    args += ["-x", (jos or tree("jos")) / "tools/gdb_jos.py"]
    for command in commands:
        args += ["-ex", r"echo \n@@\n", "-ex", command]
    done = subprocess.run([*map(str, args), str(kernel)], stdin=subprocess.DEVNULL, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert "Traceback" not in done.stdout, done.stdout
    answers = [text.strip("\n") for text in done.stdout.split("\n@@\n")[1:]]
    assert len(answers) == len(commands), done.stdout
    return answers


def ask(kernel, expression, **where):
    """The value of a Python expression in gdb, with the library's names."""
    text, = gdb(kernel, f"python import json; print('@@' + json.dumps({expression}))", **where)
    return json.loads(text.split("@@", 1)[1])


# ----------------------------------------------------------------- core.py

def test_a_core_is_read_by_gdb_and_takes_no_room(core_py, tmp_path, jos):
    memory = tmp_path / "memory"
    with open(memory, "wb") as file:
        file.truncate(64 << 20)
        file.seek(0x123000)
        file.write(b"JOS!")
    core = tmp_path / "core"
    core_py.write_core(memory, core)
    text, = gdb(jos / "obj/kern/kernel", "x/s 0x8004123000", core=core)
    assert text.endswith('"JOS!"')
    assert core.stat().st_size > 64 << 20 and core.stat().st_blocks * 512 < 1 << 20
    assert core_py.read_facts(core) == {"cpus": []}


def paged(size=16 << 20):
    """A machine's memory with page tables: 0x400000 and the page behind it
    are the pages 0x9000 and 0xa000; a large page at 0x600000."""
    memory = bytearray(size)

    def entry(table, index, value):
        struct.pack_into("<Q", memory, table + 8 * index, value)
    entry(0x1000, 0, 0x2007)
    entry(0x1000, 1, 0x1001)                    # the tables themselves
    entry(0x2000, 0, 0x3007)
    entry(0x3000, 2, 0x4007)
    entry(0x3000, 3, 0x800087)
    entry(0x4000, 0, 0x9007)
    entry(0x4000, 1, 0xa007 | 1 << 63)
    entry(0x4000, 7, size + 0x5007)             # beyond memory
    memory[0x9000:0x9004] = b"nine"
    memory[0x800010:0x800015] = b"large"
    return bytes(memory)


def test_registers_and_low_addresses_are_in_the_core(core_py, tmp_path, jos):
    (tmp_path / "memory").write_bytes(paged())
    cpus = [{"rip": 0x400002, "rsp": 0x401000, "cr0": 0x80000011, "cr3": 0x1000},
            {"rip": 0xfff0, "cr0": 0x10, "cr3": 0}]
    core = tmp_path / "core"
    core_py.write_core(tmp_path / "memory", core, cpus, emulator="none")
    pc, low, large, threads, beyond = gdb(
        jos / "obj/kern/kernel", "p/x $pc", "x/s 0x400000", "x/s 0x600010", "info threads", "x/b 0x407000", core=core)
    assert pc.endswith("0x400002") and low.endswith('"nine"') and large.endswith('"large"')
    assert "LWP 1" in threads and "LWP 2" in threads and "0x000000000000fff0" in threads
    assert "Cannot access memory" in beyond
    assert core_py.read_facts(core) == {"emulator": "none", "cpus": cpus}
    one = tmp_path / "one"
    core_py.write_core(tmp_path / "memory", one, cpus[0])
    assert core_py.read_facts(one)["cpus"] == cpus[:1]


def test_a_guest_on_the_processor_has_no_say_in_the_core(core_py, tmp_path, jos):
    (tmp_path / "memory").write_bytes(paged())
    guest = {"rip": 0, "cr0": 0x80000011, "cr3": 0x1000, "guest": True}
    core_py.write_core(tmp_path / "memory", tmp_path / "core", [guest])
    with pytest.raises(ValueError, match="memory is no core"):
        core_py.read_facts(tmp_path / "memory")
    low, = gdb(jos / "obj/kern/kernel", "x/s 0x400000", core=tmp_path / "core")
    assert "Cannot access memory" in low


# ------------------------------------------------------------ cores of Bochs

def leave(machine, core):
    """End the machine; its core must be there.  make ends at once, and its
    terminal with it; tools/bochs.py has work to do yet."""
    machine.close()
    end = time.monotonic() + 60
    while not core.exists() or list(core.parent.glob(core.name + ".memory*")):
        assert time.monotonic() < end, machine.output()[-2000:]
        time.sleep(0.1)
    assert core.exists(), machine.output()[-2000:]


@pytest.fixture(scope="module")
def vmm(jos, tmp_path_factory):
    """A core and a trace of Bochs, with a guest at its prompt."""
    folder = tmp_path_factory.mktemp("vmm")
    core, trace = folder / "core", folder / "trace"
    with Machine(jos, "run-vmm-bochs", mem="64M", CORE=core, TRACE=trace, timeout=120) as machine:
        machine.expect(r"vm\$ ")
        leave(machine, core)
    return {"kernel": jos / "obj/kern/kernel-vmm", "core": core, "trace": trace}


def on(machine, *commands):
    return gdb(machine["kernel"], *commands, core=machine["core"])


def value(machine, expression):
    return ask(machine["kernel"], expression, core=machine["core"])


def test_the_core_knows_the_kernel_and_its_functions(vmm, core_py):
    facts = core_py.read_facts(vmm["core"])
    assert facts["emulator"] == "Bochs" and facts["reset"] is False and facts["kernel"] == str(vmm["kernel"])
    assert facts["cpus"][0]["cr0"] >> 31 and not facts["cpus"][0]["guest"]
    trace, = on(vmm, "bt")
    assert re.search(r"^#0 .* at (\./)?(kern|vmm|lib|inc)/\S+:\d+$", trace, re.M), trace


def test_environments(vmm):
    envs = value(vmm, "envs()")
    assert [(e["id"], e["type"], e["parent"]) for e in envs] == [
        (0x1000, "file server", 0), (0x1001, "program", 0), (0x1002, "guest", 0x1001)]
    assert envs[0]["waits"] == "a message" and envs[1]["waits"] == "the end of 00001002"
    one, = on(vmm, "env 1001")
    assert "came into the kernel by: our system call, INT 0x30" in one
    assert f"rip {envs[1]['registers']['rip']:016x}" in one
    listed, = on(vmm, "envs")
    assert len(listed.split("\n")) == 3


def test_page_tables_agree_with_gdbs_own_reading(vmm):
    """gdb reads low addresses by the core's program headers."""
    found = value(vmm, "[(va, memory(va, 64) == physical(translate(current_cr3(), va), 64)) for va in "
                       "(UENVS, UENVS + 0x3000, 0x8003fff000)]".replace("UENVS", "0x8000800000"))
    assert len(found) == 3 and all(same for _, same in found)
    maps = value(vmm, "mappings(kernel_cr3())")
    text = [r for r in maps if r["execute"]]
    kern_start, text_end = value(vmm, "[number('(unsigned long) kern_start'), number('(unsigned long) text_end')]")
    assert [(r["start"], r["end"], r["write"], r["user"]) for r in text] == [(kern_start, text_end, False, False)]
    assert all(r["straight"] for r in maps if r["what"] == "all physical memory")
    for e in value(vmm, "envs()")[:2]:
        user = value(vmm, f"mappings({e['cr3']}, True)")
        assert not any(r["write"] and r["execute"] for r in user)
        code = next(r for r in user if r["start"] == 0x800000)
        assert code["execute"] and not code["write"] and code["user"]


def test_all_references_are_right(vmm):
    found = value(vmm, "references()")
    assert sum(page["state"] == "used" for page in found.values()) > 500
    assert value(vmm, "wrong_references()") == {}
    # The page at which the guest begins has two holders of different kinds.
    step = value(vmm, "ept_walk(ept_root(0x1002), 0x7000)")[-1]
    text, = on(vmm, f"page {step['entry'] & 0xffffffffff000:#x}")
    assert re.search(r"used, count 2, found 2\n  00001001 page at 0x\w+\n  00001002 guest's page at 0x7000$", text)


def test_ept_leads_to_the_guests_kernel(vmm):
    pages = value(vmm, "ept(ept_root(0x1002))")
    assert len({p["hpa"] for p in pages}) == len(pages) > 256
    assert all(p["type"] == "WB" and p["read"] for p in pages)
    assert not any(0xa0000 <= p["gpa"] < 0x100000 for p in pages)
    # At 1 MiB the guest has its kernel, byte for byte that of the disk.
    image = next(file for file in (vmm["kernel"].parent.parent / "guest/kern").glob("kernel-*") if not file.suffix
                 and "syms" not in file.name).read_bytes()
    first = next(p["hpa"] for p in pages if p["gpa"] == 0x100000)
    assert bytes(value(vmm, f"list(physical({first}, 256))")) in image
    whole, one = on(vmm, "ept 1002", "ept 1002 0x100000")
    assert re.search(r"^000100000-\w+ +\w+ rwx WB$", whole, re.M)
    assert f"{first | 0x77:#018x}" in one


def test_exits_are_those_that_bochs_saw(vmm):
    ours = value(vmm, "exits(0x1002)")
    text = vmm["trace"].read_text(errors="replace")
    for number, name in {10: "CPUID", 12: "HLT", 18: "VMCALL", 30: "IO", 48: "EPT_VIOLATION"}.items():
        seen = len(re.findall(rf"VMEXIT reason = {number} \(", text))
        assert abs(seen - ours["by_reason"][name]) <= 1, name
    assert sum(ours["by_reason"].values()) == ours["count"]
    ticks = [e["ticks"] for e in ours["last"]]
    assert ticks == sorted(ticks) and len(ticks) > 50
    text, = on(vmm, "exits 1002 3")
    assert len(text.split("\n")) == 4


def test_processors(vmm):
    assert value(vmm, "cpus()")[0]["vmx"] is True
    text, = on(vmm, "cpus")
    assert re.match(r"cpu 0 (halted|started), has .*in VMX operation\nkernel lock: .*\nrun queue: ", text)


def test_vmcs_has_what_the_monitor_shows(jos, tmp_path):
    """Bochs's layout of the VMCS: every field of a VMCS that was written."""
    core = tmp_path / "core"
    with Machine(jos, "run-vmcs-bochs", mem="64M", CORE=core, timeout=120) as machine:
        machine.expect("K> ")
        text = machine.command("vmcs 0", "K> ")
        leave(machine, core)
    theirs = {int(number, 16): int(shown, 16) for number, shown in
              re.findall(r"^([0-9a-f]{4}) .{32} ([0-9a-f]+)\s*$", text, re.M)}
    kernel = jos / "obj/kern/kernel-vmcs"
    ours = ask(kernel, "vmcs(next(e for e in envs() if e['type'] == 'guest'))", core=core)
    header = (ROOT / "inc/vmcs.h").read_text()
    encodings = {name: int(number, 16) for name, number in re.findall(r"X\((\w+), (0x\w{4}),", header)}
    different = {name: (hex(ours[name]), hex(theirs[encodings[name]])) for name in ours
                 if theirs.get(encodings[name], ours[name]) != ours[name]}
    assert not different
    assert len(theirs) > 100 and len(set(theirs.values())) > 40


def test_vmcs_in_words(vmm):
    pin, eptp, rip, none = on(vmm, "vmcs 1002 pin_", "vmcs 1002 eptp", "vmcs 1002 GUEST_RIP", "vmcs 1002 rubbish")
    assert "external-interrupt exiting, NMI exiting" in pin
    root = value(vmm, "ept_root(0x1002)")
    assert f"EPTP                     {root | 0x1e:#x}  root at {root:#x}, 4 levels" in eptp
    assert re.match(r"GUEST_RIP +0x80041\w+$", rip)
    assert none == "vmcs: no field has 'rubbish' in its name"


# A guest that only jumps to itself, with interrupts off; the host lets it.
SPIN = [("user/tinyguest.c", r"0x0f, 0x01, 0xc1,.*\n\s*0xf4.*", "0xeb, 0xfe"),
        ("vmm/vmcs.c", r"\{ PINBASED_PREEMPTION_TIMER, WELCOME", "{ PINBASED_PREEMPTION_TIMER, OFF")]


@pytest.mark.parametrize("timer, cpus", [(False, 1), (True, 2)])
def test_a_guest_that_keeps_the_processor(jos, tmp_path, timer, cpus):
    """The core has the host's memory, whatever the processor runs."""
    folder = planted(jos, tmp_path, *SPIN[:1 if timer else 2], targets=("obj/kern/kernel-tinyguest.img",))
    core = tmp_path / "core"
    with Machine(folder, "run-tinyguest-bochs", cpus=cpus, mem="64M", CORE=core, timeout=120) as machine:
        machine.expect("is in VMX root operation")
        time.sleep(2)
        leave(machine, core)
        forced = "didn't exit: made it execute VMCALL" in machine.output()
    assert forced == (not timer and cpus == 1)
    kernel = folder / "obj/kern/kernel-tinyguest"
    envs = ask(kernel, "envs()", core=core, jos=folder)
    assert [e["type"] for e in envs] == ["file server", "program", "guest"]
    code = ask(kernel, "list(physical(ept(ept_root(0x1002))[0]['hpa'], 16))", core=core, jos=folder)
    assert bytes(code) == b"\xeb\xfe" + bytes(14)
    # VMCALL isn't left in the guest's page.
    page = ask(kernel, "list(physical(ept(ept_root(0x1002))[0]['hpa']))", core=core, jos=folder)
    assert not any(page[2:])


def test_without_the_option_nothing_is_left(jos, tmp_path):
    with Machine(jos, "run-hello-bochs", mem="64M", BOCHSOPTS=f"--log {tmp_path}/log") as machine:
        machine.expect("i am environment")
    assert os.listdir(tmp_path) == ["log"]
    assert "d[CPU0" not in (tmp_path / "log").read_text(errors="replace")


def test_prefix_has_no_cores_and_says_so(tmp_path):
    image = tmp_path / "image"
    image.write_bytes(bytes(516096))
    done = subprocess.run([sys.executable, tree("upto-01") / "tools/bochs.py", "--core", "x", image],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr == "bochs.py: --core needs tools/bochs_core.py, which the tree of the whole book has\n"


# The third yield ends in a fault with no IDT to handle it.
TRIPLE = ("kern/sched.c", r"sched_yield\(void\)\n\{", r"""\g<0>
	static int yields;
	if (yields++ > 1) {
		struct { uint16_t limit; uint64_t base; } __attribute__((packed)) idt = { 0, 0 };
		asm volatile("lidt %0; int3" : : "m" (idt));
	}""")


def test_more_memory_than_bochs_takes(jos):
    done = subprocess.run(["make", "-s", "bochs", "MEM=3G"], cwd=jos, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode and done.stderr.startswith("bochs.py: MEM=3G: Bochs takes 2G at most\n")


def test_a_triple_fault_of_the_host_leaves_its_memory(jos, tmp_path, core_py):
    folder = planted(jos, tmp_path, TRIPLE, targets=("obj/kern/kernel-hello.img",))
    core = tmp_path / "core"
    with Machine(folder, "run-hello-bochs", mem="64M", CORE=core, timeout=120) as machine:
        machine.expect(r"bochs\.py: the machine was reset \(a triple fault\?\); the core has its memory")
        machine.finish()
    assert core_py.read_facts(core)["reset"] is True
    envs = ask(folder / "obj/kern/kernel-hello", "envs()", core=core, jos=folder)
    assert envs and envs[0]["type"] == "file server"


def test_a_machine_that_ends_by_itself_leaves_no_core(jos, tmp_path):
    core = tmp_path / "core"
    with Machine(jos, "run-hello-bochs", mem="64M", CORE=core) as machine:
        machine.expect("K> ")
        machine.send("poweroff\r")
        machine.expect(r"bochs\.py: no core: Bochs has ended by itself")
        machine.finish()
    assert not core.exists()


# --------------------------------------------------------- doors, old kernels

def test_gdb_core_opens_it(vmm, jos):
    done = subprocess.run(["make", "-s", "gdb-core", f"CORE={vmm['core']}"], cwd=jos, input="envs\njos\n",
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "00001002 guest" in done.stdout and "newer than" not in done.stdout
    for door in ("walk ADDRESS", "references --", "open-core FILE"):
        assert door in done.stdout
    done = subprocess.run(["make", "-s", "gdb-core", "CORE=nothing"], cwd=jos, capture_output=True, text=True)
    assert done.returncode and "There is no core nothing: make run-vmm-bochs CORE=nothing leaves one" in done.stdout


def test_help_names_the_doors(jos):
    text = subprocess.run(["make", "help"], cwd=jos, capture_output=True, text=True, check=True).stdout
    for door in ("make bochs CORE=f ", "make gdb-core ", "make doctor "):
        assert f"\n{door}" in text
    text = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for door in ("gdb-core", "doctor"):
        assert f"\n  make {door} " in text


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


EVERY = ["envs", "env 1000", "maps", "maps kernel", "maps 1000", "walk 0x100000", "walk &nothing 1000", "page 0x1000",
         "page 0xffffffffff000", "references", "ept 1002", "ept 1002 0x7000", "vmcs 1002", "exits", "exits 1002",
         "cpus", "jos", "env", "env zz", "maps 1 2 3", "walk 1 +", "open-core /nowhere"]


@pytest.mark.parametrize("chapter", ["04", "05", "07", "19"])
def test_every_command_on_an_old_kernel_says_what_is_missing(chapter):
    """No traceback (gdb() looks), and an answer for each."""
    folder = tree(f"upto-{chapter}")
    port = free_port()
    with Machine(folder, "qemu-nox", QEMUEXTRA=f"-gdb tcp:127.0.0.1:{port}") as machine:
        machine.expect(r"K> |\$ |hello, world")
        answers = dict(zip(EVERY, gdb(folder / "obj/kern/kernel", *EVERY, port=port)))
    assert all(answers.values()), answers
    if chapter == "04":
        assert answers["envs"] == "envs: this kernel has no 'envs' (yet)"
    if chapter == "05":
        assert "physical 0x100000" in answers["walk 0x100000"]
    assert re.search("no (guest|environment|'envs')|has no|is no guest|can't|no EPT", answers["ept 1002"])
    assert answers["open-core /nowhere"].startswith("open-core: [Errno 2]")
    assert answers["env"] == "usage: env ENVID -- an environment and its registers"


def test_living_machine_in_qemu(jos):
    port = free_port()
    with Machine(jos, "qemu-nox", QEMUEXTRA=f"-gdb tcp:127.0.0.1:{port}") as machine:
        machine.expect(r"\$ ")
        kernel = jos / "obj/kern/kernel"
        envs, refs, vmcs, after = gdb(
            kernel, "envs", "references", "vmcs 1000",
            "python pa = next(pa for pa, p in references().items() if p['counted'] == 1 and p['state'] == 'used'); "
            "gdb.execute(f'set variable pages[{pa // 4096}].pp_ref = 7'); gdb.execute('references'); "
            "gdb.execute(f'set variable pages[{pa // 4096}].pp_ref = 1')", port=port)
        assert "file server" in envs and "waits for the console" in envs
        assert refs.endswith("pages in use, 0 with a wrong count")
        assert "has no VMCS" in vmcs
        assert re.search(r"in use, 1 with a wrong count\npage 0x\w+: used, count 7, found 1\n  ", after)


def test_a_vmcs_is_not_guessed(vmm, core_py, tmp_path):
    """A core that doesn't come from Bochs: no number is shown."""
    core = tmp_path / "core"
    data = vmm["core"].read_bytes()
    core.write_bytes(data.replace(b'"emulator": "Bochs"', b'"emulator": "other"', 1))
    text, = gdb(vmm["kernel"], "vmcs 1002", core=core)
    assert text.startswith("vmcs: each processor keeps a VMCS in its own way") and "0x" not in text


# ------------------------------------------------------------ the chapter

def sessions():
    """(where, [(command, [lines])]) for each {.gdb} block of the chapter."""
    block = None
    for number, line in enumerate(CHAPTER.read_text().splitlines(), 1):
        if line.startswith("```"):
            if block:
                yield f"chapters/G-debugger.nw:{block[0]}", block[1]
            block = (number, []) if "gdb" in attributes(line.strip("` "))[0] else None
        elif block:
            if line.startswith("(gdb) "):
                block[1].append((line[6:], []))
            else:
                block[1][-1][1].append(unescape(line))


def agrees(shown, real):
    """Whether the chapter's lines are the real ones; … stands for anything."""
    pattern = "\n".join(".*" if line == "…" else ".*".join(map(re.escape, line.split("…"))) for line in shown)
    return re.fullmatch(pattern.replace(r"\n.*", r"\n.*"), real, re.S if "…" in shown else 0)


def test_the_chapter_shows_what_gdb_says(vmm):
    found = list(sessions())
    assert len(found) >= 4
    for where, commands in found:
        answers = on(vmm, *(command for command, _ in commands))
        for (command, shown), real in zip(commands, answers):
            assert agrees(shown, real), f"{where}: {command}\n--- shown\n" + "\n".join(shown) + f"\n--- real\n{real}"
