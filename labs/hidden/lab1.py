"""Lab 1, the instructor's checks: processors that nobody has seen before."""
import importlib.util
import random
import sys

import pytest

from plugin import check

# The public checks of the handout's tools/grade, which is on the path.
if "public_lab1" not in sys.modules:
    spec = importlib.util.find_spec("lab1")
    sys.modules["public_lab1"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["public_lab1"])
public = sys.modules["public_lab1"]
model, Models, Run = public.model, public.Models, public.Run
LOCK, VMXON = public.LOCK, public.VMXON


def made_up(lab):
    """Processors by chance, the same for the same class and --seed."""
    if not hasattr(lab, "hidden_models"):
        chance = random.Random(f"lab 1/{lab.options.seed}/{lab.variant.get('inputs', 0)}")

        def mostly(p=0.8):
            return chance.random() < p
        lab.hidden_models = [
            model("VMX and SVM", svm=True),
            model("open, VMXON allowed already", control=VMXON),
            model("open, allowed inside SMX already", control=2),
            model("open, with bits of others", control=0x4a00),
            model("open, and a write locks it with SMX alone", control=0, taken=LOCK | 2, set=2),
            model("locked, allowed inside SMX and outside", control=7),
            model("all of it, in the monitor", monitor=True),
            model("VPID without EPT, in the monitor", ept=False, monitor=True),
            *(model(f"by chance {n}", vmx=mostly(0.9), svm=mostly(0.2), secondary=mostly(0.9), ept=mostly(),
                    control=chance.choice((0, 0, 2, 4, 5, 5, 5, 7, 0xff05, 1, 3)),
                    taken=chance.choice((0xffff, 0xffff, 7, LOCK)), vpid=mostly(), unrestricted=mostly(),
                    walk4=mostly(), wb=mostly(), more=chance.getrandbits(32)) for n in range(40))]
    return lab.hidden_models


def files(lab):
    return {"inc/gradehidden.h": "".join(map(public.initialiser, made_up(lab)))}


@pytest.fixture(scope="module")
def models(lab):
    return Models(Run(lab, "gradehidden", trace=False), made_up(lab))


@pytest.fixture(scope="module")
def many(lab):
    return Run(lab, "grademany")


@check(points=6, chapter=17, section="23.7",
       help="Open means: the lock bit is 0. The other bits of the register belong to others, and stay.")
def test_every_open_register_is_locked_and_keeps_its_other_bits(models):
    for name in ("open, VMXON allowed already", "open, allowed inside SMX already", "open, with bits of others",
                 "open, and a write locks it with SMX alone", "locked, allowed inside SMX and outside"):
        models.touches_what_exists(name)
        models.answers(name)


@check(points=4, chapter=17, section="23.7",
       help="Firmware can allow VMXON and forget to lock the register: VMXON fails until it is locked.")
def test_an_open_register_that_allows_vmxon_is_locked(lab, models, tmp_path):
    bios = public.firmware(tmp_path, VMXON)
    if bios is None:
        return models.answers("open, VMXON allowed already")
    run = Run(lab, "gradeland", bios=bios)
    assert run.guests()[0] > 0, f"sys_env_mkguest() returned {run.guests()[0]}"
    landings = run.notes("landings")
    assert landings and landings[0]["feature_control"] == LOCK | VMXON, (
        f"when a guest ran, IA32_FEATURE_CONTROL was {landings[0]['feature_control'] if landings else 'not'}, not 5")
    assert len(landings) == 4 and all(x["root"] for x in landings), f"{len(landings)} guests of 4 came to run"


@check(points=8, chapter=17, section="A.3.3",
       help="Forty processors by chance: each test has to be about its own bit, and in its own order.")
def test_answers_about_processors_by_chance(models):
    for m in models.models:
        models.answers(m["name"])


@check(points=4, chapter=17, section="A.3.2",
       help="Each register exists only if an answer before it was yes.")
def test_no_register_is_touched_that_does_not_exist_by_chance(models):
    assert models.result("VMX and SVM")[1]["reads"] >= 4, "hardly a register was read"
    for m in models.models:
        models.touches_what_exists(m["name"])


@check(points=4, chapter=18, section="23.7",
       help="Once a processor is in VMX root operation, it stays there: for the ninth guest there is nothing to do.")
def test_vmxon_once_for_many_guests(many):
    landings = many.notes("landings")
    assert len(landings) == 9, f"of 9 guests {len(landings)} came to run"
    assert all(x["vmxons"] == 1 and x["root"] for x in landings), (
        f"VMXONs tried, guest by guest: {[x['vmxons'] for x in landings]}")


@check(points=4, chapter=17, section="23.7",
       help="Each processor has a register of its own: ask on the one that is to run guests.")
def test_the_second_processor_is_asked_itself(lab, tmp_path):
    bios = public.firmware(tmp_path, 2, others_only=True)
    if bios is None:
        return
    run = Run(lab, "gradeland", cpus=2, bios=bios)      # open on CPU 1 alone
    landings = run.notes("landings")
    assert {x["cpu"] for x in landings} == {0, 1}, (
        f"guests came to run on CPUs {sorted({x['cpu'] for x in landings})}, not on 0 and 1")
    controls = {x["cpu"]: x["feature_control"] for x in landings}
    assert controls == {0: 5, 1: 7}, f"IA32_FEATURE_CONTROL by CPU was {controls}, not {{0: 5, 1: 7}}"
