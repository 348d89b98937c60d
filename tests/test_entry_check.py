"""The checker of VM entries: on the host, where each rule is broken in turn,
and in Bochs, whose processor has to agree."""
import os
import platform
import re
import shutil
import subprocess

import pytest

from emulator import Machine
from trees import ROOT, run, tree

HOST = ROOT / "tests" / "host"
CC = os.environ.get("HOSTCC", "cc")
FLAGS = ["-std=gnu17", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-builtin",
         "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

# The fields of our guests before their first entry, as Bochs's Haswell has
# them, and its capability MSRs. Fields that aren't here are 0.
REAL = """
HOST_ES_SELECTOR=10 HOST_CS_SELECTOR=8 HOST_SS_SELECTOR=10 HOST_DS_SELECTOR=10
HOST_FS_SELECTOR=20 HOST_GS_SELECTOR=20 HOST_TR_SELECTOR=28 IO_BITMAP_A=311000
IO_BITMAP_B=312000 MSR_BITMAP=313000 EXIT_MSR_STORE=30f020 EXIT_MSR_LOAD=30f0a0
ENTRY_MSR_LOAD=30f020 EPTP=31401e LINK_POINTER=ffffffffffffffff GUEST_PAT=7040600070406
HOST_PAT=7040600070406 HOST_EFER=d00 PIN_CONTROLS=5f PRIMARY_CONTROLS=b6986df2
EXCEPTION_BITMAP=20002 EXIT_CONTROLS=3fefff EXIT_MSR_STORE_COUNT=1 EXIT_MSR_LOAD_COUNT=1
ENTRY_CONTROLS=d1ff ENTRY_MSR_LOAD_COUNT=1 SECONDARY_CONTROLS=c2 GUEST_ES_LIMIT=ffff
GUEST_CS_LIMIT=ffff GUEST_SS_LIMIT=ffff GUEST_DS_LIMIT=ffff GUEST_FS_LIMIT=ffff
GUEST_GS_LIMIT=ffff GUEST_LDTR_LIMIT=ffff GUEST_TR_LIMIT=ffff GUEST_GDTR_LIMIT=ffff
GUEST_IDTR_LIMIT=3ff GUEST_ES_RIGHTS=93 GUEST_CS_RIGHTS=9b GUEST_SS_RIGHTS=93
GUEST_DS_RIGHTS=93 GUEST_FS_RIGHTS=93 GUEST_GS_RIGHTS=93 GUEST_LDTR_RIGHTS=10000
GUEST_TR_RIGHTS=8b PREEMPTION_TIMER=ffffffff CR0_MASK=6000002e CR4_MASK=ffffffffffffff4f
CR0_SHADOW=10 GUEST_CR0=34 GUEST_CR4=2000 GUEST_DR7=400 GUEST_RIP=7000 GUEST_RFLAGS=2
HOST_CR0=80010035 HOST_CR3=30c000 HOST_CR4=2020 HOST_TR_BASE=8004188010
HOST_GDTR_BASE=800416f020 HOST_IDTR_BASE=80041fdd90 HOST_RSP=800419fff8
HOST_RIP=80041154ca
m480=d810000000002b m481=7f00000016 m482=f7f9fffe0401e172 m483=7fffff00036dff
m484=ffff000011ff m485=200401e0 m486=80000021 m487=ffffffff m488=2000 m489=1727ff
m48b=47fff00000000 m48c=f0106334141 m48d=7f00000016 m48e=f7f9fffe04006172
m48f=7fffff00036dfb m490=ffff000011fb
w30f020=c0000102 w30f028=0 o3028=1"""

# What turns that guest into others that are right as well.
KINDS = {
    "": "",
    "long": """ENTRY_CONTROLS=d3ff GUEST_CR0=80010031 GUEST_CR4=2020 GUEST_EFER=d00
        GUEST_CS_RIGHTS=a09b GUEST_CS_LIMIT=ffffffff GUEST_RIP=8004000000""",
    "protected": """SECONDARY_CONTROLS=42 GUEST_CR0=80000031 GUEST_CS_RIGHTS=c09b
        GUEST_CS_LIMIT=ffffffff""",
    "v86": """SECONDARY_CONTROLS=42 GUEST_CR0=80000031 GUEST_RFLAGS=20002
        GUEST_ES_RIGHTS=f3 GUEST_CS_RIGHTS=f3 GUEST_SS_RIGHTS=f3 GUEST_DS_RIGHTS=f3
        GUEST_FS_RIGHTS=f3 GUEST_GS_RIGHTS=f3 GUEST_CS_SELECTOR=7c0
        GUEST_CS_BASE=7c00""",
    "pae": """GUEST_CR0=80000031 GUEST_CR4=2020 GUEST_PDPTE0=1001 GUEST_PDPTE1=ffff6
        GUEST_PDPTE3=2219""",
    "32-bit host": """EXIT_CONTROLS=3fedff HOST_EFER=800 HOST_RIP=1154ca o3028=0
        HOST_CR4=2000""",
    # a processor that has every control
    "any": """m481=ffffffff00000000 m482=ffffffff00000000 m483=ffffffff00000000
        m484=ffffffff00000000 m48b=ffffffff00000000 m480=2b""",
    # a processor without the TRUE MSRs, and without accessed and dirty flags
    "old": "m480=5810000000002b m48d=- m48e=- m48f=- m490=- m48c=f0106134141"
           " PRIMARY_CONTROLS=b699edf2 ENTRY_CONTROLS=d1ff",
    # with a TPR shadow and what builds on it
    "apic": """m481=ffffffff00000000 m482=ffffffff00000000 m483=ffffffff00000000
        m484=ffffffff00000000 m48b=ffffffff00000000 m480=2b PIN_CONTROLS=df
        PRIMARY_CONTROLS=b6b86df2 SECONDARY_CONTROLS=3c3 VIRTUAL_APIC=400000
        APIC_ACCESS=401000 POSTED_DESCRIPTOR=402040""",
}

# More that breaks no rule: [kind] changes.
RIGHT = """
[] GUEST_CS_RIGHTS=93
[] GUEST_TR_RIGHTS=83
[] GUEST_DS_RIGHTS=10000 GUEST_DS_BASE=ffffffffffffffff
[] GUEST_LDTR_RIGHTS=82 GUEST_LDTR_BASE=ffff800000000000
[] GUEST_LDTR_BASE=8000000000000000 GUEST_LDTR_SELECTOR=4
[] GUEST_ES_LIMIT=fffff GUEST_DS_LIMIT=fffff GUEST_DS_RIGHTS=8093
[] ENTRY_EVENT=80000020 GUEST_RFLAGS=202
[] ENTRY_EVENT=8000030e
[] ENTRY_EVENT=80000403 ENTRY_LENGTH=f
[] ENTRY_EVENT=80000600 ENTRY_LENGTH=0 m485=600401e0
[] ENTRY_EVENT=80000700 GUEST_ACTIVITY=1
[] ENTRY_EVENT=80000301 GUEST_ACTIVITY=1
[] ENTRY_EVENT=80000020 GUEST_RFLAGS=202 GUEST_ACTIVITY=1
[] ENTRY_EVENT=80000202 GUEST_ACTIVITY=2
[] ENTRY_EVENT=80000312 GUEST_ACTIVITY=2
[] ENTRY_EVENT=fff
[] GUEST_BLOCKING=1 GUEST_RFLAGS=202
[] GUEST_BLOCKING=1 GUEST_RFLAGS=302 GUEST_PENDING_DEBUG=4000
[] GUEST_BLOCKING=2 GUEST_RFLAGS=102 GUEST_DEBUGCTL=2
[] GUEST_PENDING_DEBUG=1500f
[] GUEST_DEBUGCTL=ffffffffffffffff ENTRY_CONTROLS=d1fb
[] GUEST_EFER=ffff ENTRY_CONTROLS=51ff
[] GUEST_PAT=2 ENTRY_CONTROLS=91ff
[] HOST_PAT=2 EXIT_CONTROLS=37efff
[] LINK_POINTER=500000 w500000=2b
[] CR3_TARGET_COUNT=4
[] VPID=1 SECONDARY_CONTROLS=e2
[] VPID=- EPTP=- SECONDARY_CONTROLS=- PRIMARY_CONTROLS=36986df2 m48b=- GUEST_CR0=80000031
[] IO_BITMAP_A=1 IO_BITMAP_B=- PRIMARY_CONTROLS=b4986df2
[] ENTRY_MSR_LOAD=1 ENTRY_MSR_LOAD_COUNT=0
[] ENTRY_MSR_LOAD=400000 w400000=c0000080 w400008=500
[] EPTP=31400018 m48c=f0106334141
[] EPTP=31405e
[] HOST_RIP=ffff800000000000
[long] GUEST_CR4=22020
[long] GUEST_RIP=800000000000
[long] GUEST_RIP=ffff000000000000
[long] GUEST_CS_RIGHTS=c09b GUEST_RIP=ffffffff
[long] ENTRY_EVENT=80000b0e
[long] GUEST_FS_RIGHTS=10000 GUEST_FS_BASE=7fffffffffff
[long] GUEST_SS_RIGHTS=f3 GUEST_CS_RIGHTS=a0fb GUEST_CS_SELECTOR=1b GUEST_SS_SELECTOR=23
[protected] GUEST_CS_RIGHTS=c09d GUEST_SS_RIGHTS=f3 GUEST_SS_SELECTOR=3 GUEST_CS_SELECTOR=3
[protected] GUEST_DS_RIGHTS=9f GUEST_DS_SELECTOR=3
[protected] ENTRY_EVENT=80000b11
[v86]
[pae]
[32-bit host]
[any]
[old]
[apic]
[apic] TPR_THRESHOLD=ff
[any] SECONDARY_CONTROLS=200c2 PML_ADDRESS=1000
"""

# [kind] changes | report; report: what is broken, and what the checker says
# of it. A report is FIELD and the beginning of the rule; @SECTION goes before
# it if it isn't the one above.
BROKEN = """
@26.2.1.1
[] PIN_CONTROLS=5d | PIN_CONTROLS bit 1 (reserved) must be 1: MSR 0x48d
[] PIN_CONTROLS=df | PIN_CONTROLS bit 7 (process posted interrupts) must be 0: MSR 0x48d; PIN_CONTROLS process posted interrupts = 1 needs virtual-interrupt delivery = 1
[] PRIMARY_CONTROLS=b6986df3 | PRIMARY_CONTROLS bit 0 (reserved) must be 0: MSR 0x48e
[] PRIMARY_CONTROLS=b69869f2 m48e=f7f9fffe04006572 | PRIMARY_CONTROLS bit 10 (MWAIT exiting) must be 1: MSR 0x48e
[old] PRIMARY_CONTROLS=b6986df2 | PRIMARY_CONTROLS bit 15 (CR3-load exiting) must be 1: MSR 0x482; PRIMARY_CONTROLS bit 16 (CR3-store exiting) must be 1: MSR 0x482
[] SECONDARY_CONTROLS=800000c2 | SECONDARY_CONTROLS bit 31 (reserved) must be 0: MSR 0x48b
[] PIN_CONTROLS=77 | PIN_CONTROLS virtual NMIs = 1 needs NMI exiting = 1
[] PRIMARY_CONTROLS=b6d86df2 | PRIMARY_CONTROLS NMI-window exiting = 1 needs virtual NMIs = 1
[] SECONDARY_CONTROLS=d2 | SECONDARY_CONTROLS virtualize x2APIC mode = 1 needs use TPR shadow = 1
[apic] SECONDARY_CONTROLS=3d3 | SECONDARY_CONTROLS virtualize x2APIC mode = 1 needs virtualize APIC accesses = 0
[] SECONDARY_CONTROLS=1c2 | SECONDARY_CONTROLS APIC-register virtualization = 1 needs use TPR shadow = 1
[apic] PRIMARY_CONTROLS=b6986df2 SECONDARY_CONTROLS=2c3 | SECONDARY_CONTROLS virtual-interrupt delivery = 1 needs use TPR shadow = 1
[apic] PIN_CONTROLS=de | SECONDARY_CONTROLS virtual-interrupt delivery = 1 needs external-interrupt exiting = 1
[apic] SECONDARY_CONTROLS=1c3 | PIN_CONTROLS process posted interrupts = 1 needs virtual-interrupt delivery = 1
[apic] EXIT_CONTROLS=3f6fff | PIN_CONTROLS process posted interrupts = 1 needs acknowledge interrupt on exit = 1
[] SECONDARY_CONTROLS=c0 EPTP=- | SECONDARY_CONTROLS unrestricted guest = 1 needs enable EPT = 1
[any] SECONDARY_CONTROLS=20040 PML_ADDRESS=0 GUEST_CR0=80000031 | SECONDARY_CONTROLS enable PML = 1 needs enable EPT = 1
[] PIN_CONTROLS=1f EXIT_CONTROLS=7fefff | EXIT_CONTROLS save VMX-preemption timer value = 1 needs activate VMX-preemption timer = 1
[] IO_BITMAP_A=311008 | IO_BITMAP_A must be a multiple of 4096
[] IO_BITMAP_B=10000000000 | IO_BITMAP_B exceeds the physical addresses
[] MSR_BITMAP=1 | MSR_BITMAP must be a multiple of 4096
[apic] VIRTUAL_APIC=400010 | VIRTUAL_APIC must be a multiple of 4096
[apic] APIC_ACCESS=401800 | APIC_ACCESS must be a multiple of 4096
[apic] POSTED_DESCRIPTOR=402020 | POSTED_DESCRIPTOR must be a multiple of 64
[any] SECONDARY_CONTROLS=200c2 PML_ADDRESS=1200 | PML_ADDRESS must be a multiple of 4096
[any] SECONDARY_CONTROLS=400c2 VE_INFO=8000000000001000 | VE_INFO exceeds the physical addresses
[any] SECONDARY_CONTROLS=40c2 VMREAD_BITMAP=1 VMWRITE_BITMAP=1000 | VMREAD_BITMAP must be a multiple of 4096
[any] SECONDARY_CONTROLS=40c2 VMREAD_BITMAP=1000 VMWRITE_BITMAP=1001 | VMWRITE_BITMAP must be a multiple of 4096
[] CR3_TARGET_COUNT=5 | CR3_TARGET_COUNT exceeds what MSR 0x485 has
[] SECONDARY_CONTROLS=e2 | VPID must not be 0
[apic] SECONDARY_CONTROLS=1c3 PIN_CONTROLS=5f TPR_THRESHOLD=10 | TPR_THRESHOLD bits 31:4 must be 0
[] EPTP=31401c | EPTP bits 2:0 must be a memory type
[] EPTP=314018 m48c=f0106334041 | EPTP bits 2:0 must be a memory type
[] EPTP=31401e m48c=f0106330141 | EPTP bits 2:0 must be a memory type
[] EPTP=314016 | EPTP bits 5:3 must be 3
[old] EPTP=31405e | EPTP bit 6 (accessed and dirty flags) must be 0
[] EPTP=31489e | EPTP bits 11:7 must be 0
[] EPTP=1000031401e | EPTP exceeds the physical addresses
@26.2.1.2
[] EXIT_CONTROLS=803fefff | EXIT_CONTROLS bit 31 (reserved) must be 0: MSR 0x48f
[] EXIT_CONTROLS=3feffe | EXIT_CONTROLS bit 0 (reserved) must be 1: MSR 0x48f
[] EXIT_MSR_STORE=30f028 | EXIT_MSR_STORE must be a multiple of 16
[] EXIT_MSR_STORE=fffffffff0 EXIT_MSR_STORE_COUNT=2 | EXIT_MSR_STORE_COUNT the area exceeds
[] EXIT_MSR_LOAD=30f0a1 | EXIT_MSR_LOAD must be a multiple of 16
[] EXIT_MSR_LOAD=ffffffffffffff00 | EXIT_MSR_LOAD_COUNT the area exceeds
@26.2.1.3
[] ENTRY_CONTROLS=d1fe | ENTRY_CONTROLS bit 0 (reserved) must be 1: MSR 0x490
[] ENTRY_CONTROLS=100d1ff | ENTRY_CONTROLS bit 24 (reserved) must be 0
[] ENTRY_CONTROLS=d5ff | ENTRY_CONTROLS bits 10 and 11 must be 0
[] ENTRY_CONTROLS=d9ff | ENTRY_CONTROLS bits 10 and 11 must be 0
[] ENTRY_MSR_LOAD=30f018 | ENTRY_MSR_LOAD must be a multiple of 16
[] ENTRY_MSR_LOAD=10000000000 | ENTRY_MSR_LOAD_COUNT the area exceeds
[] ENTRY_EVENT=80000120 | ENTRY_EVENT type 1 is reserved
[] ENTRY_EVENT=80000203 | ENTRY_EVENT an NMI has vector 2
[] ENTRY_EVENT=80000320 | ENTRY_EVENT an exception has a vector below 32
[] ENTRY_EVENT=80000701 | ENTRY_EVENT type 7 has vector 0
[] ENTRY_EVENT=80001202 | ENTRY_EVENT bits 30:12 must be 0
[] ENTRY_EVENT=80000b0d | ENTRY_EVENT bit 11 must be 0
[long] ENTRY_EVENT=80000b06 | ENTRY_EVENT bit 11 must be 0
[long] ENTRY_EVENT=80000a02 | ENTRY_EVENT bit 11 must be 0
[long] ENTRY_EVENT=8000030d | ENTRY_EVENT bit 11 must be 1
[long] ENTRY_EVENT=80000b0d ENTRY_EVENT_ERROR=8000 | ENTRY_EVENT_ERROR bits 31:15 must be 0
[] ENTRY_EVENT=80000480 ENTRY_LENGTH=10 | ENTRY_LENGTH must be the length
[] ENTRY_EVENT=80000501 ENTRY_LENGTH=0 | ENTRY_LENGTH must be the length
[] ENTRY_EVENT=80000603 ENTRY_LENGTH=0 | ENTRY_LENGTH must be the length
@26.2.2
[] HOST_CR0=80010015 | HOST_CR0 bits 0x20 must be 1: MSR 0x486
[] HOST_CR0=180010035 | HOST_CR0 bits 0x100000000 must be 0: MSR 0x487
[] HOST_CR4=20 | HOST_CR4 bits 0x2000 must be 1: MSR 0x488
[] HOST_CR4=802020 | HOST_CR4 bits 0x800000 must be 0: MSR 0x489
[] HOST_CR3=1000030c000 | HOST_CR3 exceeds the physical addresses
[] HOST_SYSENTER_ESP=800000000000 | HOST_SYSENTER_ESP must be canonical
[] HOST_SYSENTER_EIP=ffff000000000000 | HOST_SYSENTER_EIP must be canonical
[] HOST_PAT=7040600070402 | HOST_PAT each byte must be 0, 1 or 4 to 7
[] HOST_PAT=0307040600070406 | HOST_PAT each byte must be 0, 1 or 4 to 7
[] HOST_EFER=d02 | HOST_EFER reserved bits must be 0
[] HOST_EFER=900 | HOST_EFER bit 10 (LMA) must be as
[] HOST_EFER=c00 | HOST_EFER bit 8 (LME) must be as
@26.2.3
[] HOST_ES_SELECTOR=11 | HOST_ES_SELECTOR bits 2:0 must be 0
[] HOST_CS_SELECTOR=c | HOST_CS_SELECTOR bits 2:0 must be 0
[] HOST_SS_SELECTOR=12 | HOST_SS_SELECTOR bits 2:0 must be 0
[] HOST_DS_SELECTOR=13 | HOST_DS_SELECTOR bits 2:0 must be 0
[] HOST_FS_SELECTOR=23 | HOST_FS_SELECTOR bits 2:0 must be 0
[] HOST_GS_SELECTOR=24 | HOST_GS_SELECTOR bits 2:0 must be 0
[] HOST_TR_SELECTOR=2b | HOST_TR_SELECTOR bits 2:0 must be 0
[] HOST_CS_SELECTOR=0 | HOST_CS_SELECTOR must not be 0
[] HOST_TR_SELECTOR=0 | HOST_TR_SELECTOR must not be 0
[32-bit host] HOST_SS_SELECTOR=0 | HOST_SS_SELECTOR must not be 0 in a 32-bit host
[] HOST_FS_BASE=8000000000000000 | HOST_FS_BASE must be canonical
[] HOST_GS_BASE=800000000000 | HOST_GS_BASE must be canonical
[] HOST_TR_BASE=7fff000000000000 | HOST_TR_BASE must be canonical
[] HOST_GDTR_BASE=fff8000000000000 | HOST_GDTR_BASE must be canonical
[] HOST_IDTR_BASE=1000000000000 | HOST_IDTR_BASE must be canonical
@26.2.4
[] EXIT_CONTROLS=3fedff HOST_EFER=800 HOST_RIP=1154ca | EXIT_CONTROLS bit 9 (64-bit host) must be 1
[] o3028=0 | EXIT_CONTROLS bit 9 (64-bit host) must be 0
[long] EXIT_CONTROLS=3fedff HOST_EFER=800 HOST_RIP=1154ca o3028=0 HOST_CR4=2000 | ENTRY_CONTROLS bit 9 (IA-32e mode guest) needs a 64-bit host
[] HOST_CR4=2000 | HOST_CR4 bit 5 (PAE) must be 1
[] HOST_RIP=800000000000 | HOST_RIP must be canonical
[32-bit host] HOST_CR4=22020 | HOST_CR4 bit 17 (PCIDE) must be 0
[32-bit host] HOST_RIP=100000000 | HOST_RIP bits 63:32 must be 0
@26.3.1.1
[] GUEST_CR0=14 | GUEST_CR0 bits 0x20 must be 1: MSR 0x486
[protected] GUEST_CR0=30 SECONDARY_CONTROLS=42 | GUEST_CR0 bits 0x80000001 must be 1: MSR 0x486
[] GUEST_CR0=100000034 | GUEST_CR0 bits 0x100000000 must be 0: MSR 0x487
[] GUEST_CR0=80000034 | GUEST_CR0 bit 31 (PG) needs bit 0 (PE)
[] GUEST_CR4=0 | GUEST_CR4 bits 0x2000 must be 1: MSR 0x488
[] GUEST_CR4=802000 | GUEST_CR4 bits 0x800000 must be 0: MSR 0x489
[long] GUEST_CR0=10031 | GUEST_CR0 bit 31 (PG) must be 1 in an IA-32e mode guest
[long] GUEST_CR4=2000 | GUEST_CR4 bit 5 (PAE) must be 1 in an IA-32e mode guest
[] GUEST_CR4=22000 | GUEST_CR4 bit 17 (PCIDE) must be 0
[] GUEST_CR3=10000000000 | GUEST_CR3 exceeds the physical addresses
[] GUEST_DEBUGCTL=10000 | GUEST_DEBUGCTL reserved bits must be 0
[] GUEST_DR7=100000400 | GUEST_DR7 bits 63:32 must be 0
[] GUEST_SYSENTER_ESP=8000000000000000 | GUEST_SYSENTER_ESP must be canonical
[] GUEST_SYSENTER_EIP=8000000000000000 | GUEST_SYSENTER_EIP must be canonical
[] GUEST_PAT=8 | GUEST_PAT each byte must be 0, 1 or 4 to 7
[] GUEST_EFER=2 | GUEST_EFER reserved bits must be 0
[] GUEST_EFER=400 | GUEST_EFER bit 10 (LMA) must be as
[long] GUEST_EFER=800 | GUEST_EFER bit 10 (LMA) must be as
[long] GUEST_EFER=c00 | GUEST_EFER bit 8 (LME) must be as bit 10
@26.3.1.2
[] GUEST_TR_SELECTOR=4 | GUEST_TR_SELECTOR bit 2 (TI) must be 0
[] GUEST_LDTR_SELECTOR=c GUEST_LDTR_RIGHTS=82 | GUEST_LDTR_SELECTOR bit 2 (TI) must be 0
[protected] GUEST_CS_SELECTOR=3 | GUEST_SS_SELECTOR RPL must be that of CS
[] GUEST_TR_BASE=800000000000 | GUEST_TR_BASE must be canonical
[] GUEST_LDTR_BASE=800000000000 GUEST_LDTR_RIGHTS=82 | GUEST_LDTR_BASE must be canonical
[long] GUEST_FS_BASE=800000000000 GUEST_FS_RIGHTS=10000 | GUEST_FS_BASE must be canonical
[] GUEST_GS_BASE=8000000000000000 | GUEST_GS_BASE must be canonical
[] GUEST_CS_BASE=100000000 | GUEST_CS_BASE bits 63:32 must be 0
[] GUEST_SS_BASE=100000000 | GUEST_SS_BASE bits 63:32 must be 0
[] GUEST_DS_BASE=100000000 | GUEST_DS_BASE bits 63:32 must be 0
[] GUEST_ES_BASE=100000000 | GUEST_ES_BASE bits 63:32 must be 0
[v86] GUEST_CS_BASE=7c10 | GUEST_CS_BASE must be 16 times
[v86] GUEST_GS_LIMIT=fffff | GUEST_GS_LIMIT must be 0xffff
[v86] GUEST_DS_RIGHTS=93 | GUEST_DS_RIGHTS must be 0xf3
[] GUEST_TR_RIGHTS=1008b | GUEST_TR_RIGHTS TR must be usable
[] GUEST_TR_RIGHTS=89 | GUEST_TR_RIGHTS type must be 11
[long] GUEST_TR_RIGHTS=83 | GUEST_TR_RIGHTS type must be 11
[v86] GUEST_TR_RIGHTS=10b | GUEST_TR_RIGHTS bit 7 (P) must be 1; GUEST_TR_RIGHTS bits 11:8 and 31:17
[] GUEST_LDTR_RIGHTS=81 | GUEST_LDTR_RIGHTS type must be 2
[] GUEST_CS_RIGHTS=9a | GUEST_CS_RIGHTS type must be accessed code
[protected] GUEST_CS_RIGHTS=c093 | GUEST_CS_RIGHTS type must be accessed code
[] GUEST_SS_RIGHTS=91 | GUEST_SS_RIGHTS type must be 3 or 7
[] GUEST_SS_RIGHTS=9b | GUEST_SS_RIGHTS type must be 3 or 7
[] GUEST_DS_RIGHTS=92 | GUEST_DS_RIGHTS type must have bit 0
[] GUEST_ES_RIGHTS=99 | GUEST_ES_RIGHTS type must not be code
[] GUEST_FS_RIGHTS=83 | GUEST_FS_RIGHTS bit 4 (S) must be 1
[] GUEST_TR_RIGHTS=9b | GUEST_TR_RIGHTS bit 4 (S) must be 1, but 0
[] GUEST_LDTR_RIGHTS=92 | GUEST_LDTR_RIGHTS bit 4 (S) must be 1, but 0
[] GUEST_CS_RIGHTS=1b | GUEST_CS_RIGHTS bit 7 (P) must be 1
[] GUEST_CS_RIGHTS=1001b | GUEST_CS_RIGHTS bit 7 (P) must be 1
[] GUEST_GS_RIGHTS=893 | GUEST_GS_RIGHTS bits 11:8 and 31:17 must be 0
[] GUEST_SS_RIGHTS=20093 | GUEST_SS_RIGHTS bits 11:8 and 31:17 must be 0
[] GUEST_ES_RIGHTS=8093 GUEST_ES_LIMIT=ffffe | GUEST_ES_RIGHTS bit 15 (G) must be 0
[] GUEST_TR_LIMIT=1fffff | GUEST_TR_RIGHTS bit 15 (G) must be 1
[] GUEST_CS_RIGHTS=f3 GUEST_CR0=35 | GUEST_CS_RIGHTS DPL must be 0 for type 3
[] GUEST_CS_RIGHTS=fb GUEST_CR0=35 | GUEST_CS_RIGHTS DPL must be that of SS
[] GUEST_CS_RIGHTS=bd | GUEST_CS_RIGHTS DPL must not exceed that of SS
[long] GUEST_CS_RIGHTS=e09b | GUEST_CS_RIGHTS bit 14 (D) must be 0
[protected] GUEST_SS_SELECTOR=3 GUEST_CS_SELECTOR=3 | GUEST_SS_RIGHTS DPL must be the selector's RPL
[] GUEST_SS_RIGHTS=d3 GUEST_CS_RIGHTS=9d | GUEST_SS_RIGHTS DPL must be 0 in real mode
[] GUEST_SS_RIGHTS=d3 GUEST_CS_RIGHTS=93 GUEST_CR0=35 | GUEST_SS_RIGHTS DPL must be 0 in real mode
[protected] GUEST_GS_SELECTOR=3 | GUEST_GS_RIGHTS DPL must not be below the RPL
@26.3.1.3
[] GUEST_GDTR_BASE=8000000000000000 | GUEST_GDTR_BASE must be canonical
[] GUEST_IDTR_BASE=800000000000 | GUEST_IDTR_BASE must be canonical
[] GUEST_GDTR_LIMIT=10000 | GUEST_GDTR_LIMIT bits 31:16 must be 0
[] GUEST_IDTR_LIMIT=10000 | GUEST_IDTR_LIMIT bits 31:16 must be 0
@26.3.1.4
[] GUEST_RIP=100007000 | GUEST_RIP bits 63:32 must be 0
[long] GUEST_RIP=1000000000000 | GUEST_RIP bits from 48 up must be alike
[] GUEST_RFLAGS=0 | GUEST_RFLAGS bit 1 must be 1
[] GUEST_RFLAGS=8002 | GUEST_RFLAGS bits 3, 5, 15 and 63:22 must be 0
[] GUEST_RFLAGS=400002 | GUEST_RFLAGS bits 3, 5, 15 and 63:22 must be 0
[v86] GUEST_CR0=30 SECONDARY_CONTROLS=c2 | GUEST_RFLAGS bit 17 (VM) must be 0
[] ENTRY_EVENT=80000020 | GUEST_RFLAGS bit 9 (IF) must be 1
@26.3.1.5
[] GUEST_ACTIVITY=4 | GUEST_ACTIVITY must be a state of MSR 0x485
[] GUEST_ACTIVITY=3 m485=20040060 | GUEST_ACTIVITY must be a state of MSR 0x485
[] GUEST_ACTIVITY=ffffffff | GUEST_ACTIVITY must be a state of MSR 0x485
[] GUEST_ACTIVITY=1 GUEST_CR0=35 GUEST_SS_RIGHTS=f3 GUEST_CS_RIGHTS=fb | GUEST_ACTIVITY HLT needs SS with DPL 0
[] GUEST_ACTIVITY=2 GUEST_BLOCKING=1 GUEST_RFLAGS=202 | GUEST_ACTIVITY must be 0 (active) while STI or MOV SS blocks
[] GUEST_ACTIVITY=1 ENTRY_EVENT=8000030d | GUEST_ACTIVITY can't be with this event
[] GUEST_ACTIVITY=2 ENTRY_EVENT=80000020 GUEST_RFLAGS=202 | GUEST_ACTIVITY can't be with this event
[] GUEST_ACTIVITY=3 ENTRY_EVENT=80000202 | GUEST_ACTIVITY can't be with this event
[] GUEST_BLOCKING=20 | GUEST_BLOCKING bits 31:5 must be 0
[] GUEST_BLOCKING=3 GUEST_RFLAGS=202 | GUEST_BLOCKING bits 0 and 1 (STI, MOV SS)
[] GUEST_BLOCKING=1 | GUEST_BLOCKING bit 0 (STI) needs RFLAGS.IF
[] GUEST_BLOCKING=1 GUEST_RFLAGS=202 ENTRY_EVENT=80000020 | GUEST_BLOCKING bits 0 and 1 must be 0 to inject
[] GUEST_BLOCKING=2 ENTRY_EVENT=80000202 | GUEST_BLOCKING bits 0 and 1 must be 0 to inject
[] GUEST_BLOCKING=4 | GUEST_BLOCKING bit 2 (SMI) must be 0
[] GUEST_BLOCKING=8 PIN_CONTROLS=7f ENTRY_EVENT=80000202 | GUEST_BLOCKING bit 3 (NMI) must be 0
[] GUEST_PENDING_DEBUG=10 | GUEST_PENDING_DEBUG reserved bits must be 0
[] GUEST_PENDING_DEBUG=4000 GUEST_BLOCKING=2 | GUEST_PENDING_DEBUG bit 14 (BS) must be as
[] GUEST_PENDING_DEBUG=0 GUEST_RFLAGS=102 GUEST_ACTIVITY=1 | GUEST_PENDING_DEBUG bit 14 (BS) must be as
[] LINK_POINTER=fffffffffffffffe | LINK_POINTER must be all ones
[] LINK_POINTER=500000 | LINK_POINTER must be all ones
[] LINK_POINTER=500000 w500000=2c | LINK_POINTER must be all ones
[] LINK_POINTER=500000 w500000=8000002b | LINK_POINTER must be all ones
@26.3.1.6
[pae] GUEST_PDPTE0=1003 | GUEST_PDPTE0 reserved bits must be 0
[pae] GUEST_PDPTE1=1000000001001 | GUEST_PDPTE1 reserved bits must be 0
[pae] GUEST_PDPTE2=21 | GUEST_PDPTE2 reserved bits must be 0
[pae] GUEST_PDPTE3=101 | GUEST_PDPTE3 reserved bits must be 0
@26.4
[] w30f020=1c0000102 | ENTRY_MSR_LOAD entry 1, MSR 0xc0000102: the word after its index
[] w30f020=c0000100 | ENTRY_MSR_LOAD entry 1, MSR 0xc0000100: FS and GS have their bases in fields
[] w30f020=c0000101 | ENTRY_MSR_LOAD entry 1, MSR 0xc0000101: FS and GS have their bases in fields
[] ENTRY_MSR_LOAD_COUNT=2 w30f030=80b | ENTRY_MSR_LOAD entry 2, MSR 0x80b: is an x2APIC register
[] w30f020=9b | ENTRY_MSR_LOAD entry 1, MSR 0x9b: can be written in SMM only
[] w30f028=800000000000 | ENTRY_MSR_LOAD entry 1, MSR 0xc0000102: its value must be canonical
[] w30f020=c0000082 w30f028=8000000000000000 | ENTRY_MSR_LOAD entry 1, MSR 0xc0000082: its value must be canonical
[long] w30f020=c0000080 | ENTRY_MSR_LOAD entry 1, MSR 0xc0000080: LME can't change
[] ENTRY_MSR_LOAD_COUNT=3 w30f030=100000175 w30f040=100000176 | ENTRY_MSR_LOAD entry 2, MSR 0x175: the word after
"""


def constants(folder):
    """The fields of the VMCS: {name: encoding}, from the tree's header."""
    text = (folder / "inc/vmcs.h").read_text()
    return {name: int(code, 0) for name, code in
            re.findall(r"X\((\w+), (0x[0-9a-f]{4}), \"", text)}


def commands(words, fields):
    """What "NAME=hex m480=hex w1000=hex o3028=1" is for the host program."""
    for word in words.split():
        name, value = word.split("=")
        if name in fields:
            yield f"f {fields[name]:x} {value}"
        else:
            yield f"{name[0]} {name[1:]} {value}"


def build(folder, out):
    """Compile the checker of the tree FOLDER for this machine."""
    objects = []
    for name in ("vmm/entrycheck", "lib/printfmt", "lib/string"):
        objects.append(out / (name.replace("/", "-") + ".o"))
        run([CC, *FLAGS, "-include", HOST / "rename.h", "-I", folder,
             "-c", folder / f"{name}.c", "-o", objects[-1]])
    run([CC, *FLAGS, "-I", folder, HOST / "test_entrycheck.c", *objects,
         "-o", out / "test_entrycheck"])
    return out / "test_entrycheck"


def cases():
    """(kind, changes, [(section, field, beginning of the rule)])"""
    for line in RIGHT.strip().splitlines():
        kind, changes = re.fullmatch(r"\[(.*?)\] ?(.*)", line).groups()
        yield kind, changes, []
    section = None
    for line in BROKEN.strip().splitlines():
        if line.startswith("@"):
            section = line[1:]
            continue
        kind, changes, reports = re.fullmatch(r"\[(.*?)\] (.*) \| (.*)", line).groups()
        expected = []
        for report in reports.split("; "):
            other, field, rule = re.fullmatch(r"(?:@(\S+) )?(\w+) ?(.*)", report).groups()
            expected.append((other or section, field, rule))
        yield kind, changes, expected


def check(program, fields):
    """Run all cases; yield (case, [(section, field, rule)])."""
    names = {code: name for name, code in fields.items()}
    all_cases = list(cases())
    script = [f"f {code:x} 0" for code in fields.values()]
    script += [*commands(REAL, fields), "k"]
    for kind, changes, _ in all_cases:
        # words that come later count; the widths aren't kept
        script += [*commands("o3028=1 " + KINDS[kind] + " " + changes, fields), "c"]
    done = subprocess.run([program], input="\n".join(script) + "\n", text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-2000:]
    blocks = re.split(r"^= (\d+)\n", done.stdout, flags=re.M)
    for i, case in enumerate(all_cases):
        reports = []
        for line in blocks[2 * i].splitlines():
            code, _, rule, section = line.split("\t")
            reports.append((section, names[int(code, 16)], rule))
        assert int(blocks[2 * i + 1]) == len(reports)
        yield case, reports


def rows(folder):
    """The rules of inc/vmxrules.h: (section, end of the field's name, text)."""
    text = (folder / "inc/vmxrules.h").read_text().replace("\\\n", "\n")
    for section, body in re.findall(r"#define VMX_RULES_([0-9_]+)\(\w\)(.*?)(?=^#|^/\*)",
                                    text, flags=re.S | re.M):
        for row in re.split(r"^\t[RM]\(", body, flags=re.M)[1:]:
            name = re.search(r",\s+([A-Z][A-Z0-9_]+),\s", row)
            words = re.search(r"\"(.*?)\"", row)[1]
            yield (section.replace("_", "."), name[1] if name else "ENTRY_MSR_LOAD", words)


def wanted(reports, expected):
    """Are these the reports that are expected, in any order?"""
    return len(reports) == len(expected) and all(
        any(r[:2] == e[:2] and r[2].startswith(e[2]) for r in reports) for e in expected)


needs_x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"),
                               reason="lib/string.c has x86 instructions")


def compare(program, folder):
    """Compare the checker's words with those that are expected; return all
    reports and what differs."""
    said, wrong = set(), []
    for (kind, changes, expected), reports in check(program, constants(folder)):
        said.update(reports)
        if not wanted(reports, expected):
            wrong.append(f"[{kind}] {changes}\n  expected {expected}\n  reported {reports}")
    return said, wrong


@needs_x86
def test_each_rule_is_named_when_it_is_broken(tmp_path):
    folder = tree("upto-22")
    said, wrong = compare(build(folder, tmp_path), folder)
    assert not wrong, "\n".join(wrong)
    table = list(rows(folder))
    assert len(table) > 100
    for section, name, words in table:
        pattern = re.sub(r"%l?[ux]|%d", ".*", re.escape(words).replace("\\%", "%"))
        assert any(s == section and f.endswith(name) and re.search(pattern, rule)
                   for s, f, rule in said), f"never seen: {section} {name}: {words}"


@needs_x86
@pytest.mark.slow
@pytest.mark.parametrize("path, right, wrong", [
    ("inc/vmxrules.h", "EVENT_VECTOR(v) == 2", "EVENT_VECTOR(v) != 0"),
    ("inc/vmxrules.h", "(s->type & 11) == 3", "(s->type & 3) == 3"),
    ("inc/vmxrules.h", "v < 0x8000", "v < 0x10000"),
    ("inc/vmxctl.h", "VIRTUAL_NMIS, 1)", "VIRTUAL_NMIS, 0)"),
    ("vmm/entrycheck.c", "c->linear_bits - 1", "c->linear_bits"),
    ("vmm/entrycheck.c", "!v86 && (n == CS || usable)", "!v86 && usable"),
    ("vmm/entrycheck.c", "msr += VMX_TRUE_OFFSET", "msr += 0"),
    ("vmm/entrycheck.c", "i = 1; i <= n", "i = 1; i < n"),
    ("vmm/entrycheck.c", "char text[96]", "char text[16]"),
])
def test_it_can_fail(tmp_path, path, right, wrong):
    """A checker with a planted mistake doesn't pass."""
    folder = tmp_path / "tree"
    for name in ("inc", "lib", "vmm"):
        shutil.copytree(tree("upto-22") / name, folder / name)
    text = (folder / path).read_text()
    assert right in text
    (folder / path).write_text(text.replace(right, wrong))
    program = build(folder, tmp_path)
    try:
        different = compare(program, folder)[1]
    except AssertionError:
        return              # it asked for what isn't there, or was stopped
    assert different


CONTROLS = "error 7, entry: bad control fields"
STATE = "error 8, entry: bad host-state fields"
GUEST = "exit reason 0x80000021, entry failed: guest state, qualification 0"
# Bits of fields that the monitor's command flips before a guest's first entry:
# what Bochs's processor says to it, and the checker.
FLIPS = [
    ("PIN_CONTROLS", 1 << 1, CONTROLS, "bit 1 (reserved) must be 1: MSR 0x48d (26.2.1.1)"),
    ("PRIMARY_CONTROLS", 1 << 22, CONTROLS, "NMI-window exiting = 1 needs virtual NMIs = 1"),
    ("SECONDARY_CONTROLS", 1 << 1, CONTROLS, "unrestricted guest = 1 needs enable EPT = 1"),
    ("EXIT_CONTROLS", 1 << 31, CONTROLS, "bit 31 (reserved) must be 0: MSR 0x48f (26.2.1.2)"),
    ("IO_BITMAP_A", 1, CONTROLS, "must be a multiple of 4096"),
    ("MSR_BITMAP", 1 << 52, CONTROLS, "exceeds the physical addresses"),
    ("EPTP", 7, CONTROLS, "bits 2:0 must be a memory type of MSR 0x48c"),
    ("EPTP", 1 << 3, CONTROLS, "bits 5:3 must be 3: four levels"),
    ("CR3_TARGET_COUNT", 5, CONTROLS, "exceeds what MSR 0x485 has"),
    ("ENTRY_MSR_LOAD", 8, CONTROLS, "must be a multiple of 16"),
    ("ENTRY_EVENT", 0x80000100, CONTROLS, "type 1 is reserved"),
    ("ENTRY_EVENT", 0x80000b0e, CONTROLS, "bit 11 must be 0: this event has no error code"),
    ("HOST_CR0", 1 << 5, STATE, "bits 0x20 must be 1: MSR 0x486 (26.2.2)"),
    ("HOST_CR4", 1 << 5, STATE, "bit 5 (PAE) must be 1 (26.2.4)"),
    ("HOST_CR3", 1 << 62, STATE, "exceeds the physical addresses"),
    ("HOST_EFER", 1 << 10, STATE, "bit 10 (LMA) must be as bit 9 of the exit controls"),
    ("HOST_CS_SELECTOR", 3, STATE, "bits 2:0 must be 0 (26.2.3)"),
    ("HOST_TR_SELECTOR", 0x28, STATE, "must not be 0 (26.2.3)"),
    ("HOST_GS_BASE", 1 << 63, STATE, "must be canonical"),
    ("EXIT_CONTROLS", 1 << 9, STATE, "bit 9 (64-bit host) must be 1, as EFER.LMA is (26.2.4)"),
    ("GUEST_CR0", 1 << 5, GUEST, "bits 0x20 must be 1: MSR 0x486 (26.3.1.1)"),
    ("GUEST_CR0", 1 << 31, GUEST, "bit 31 (PG) needs bit 0 (PE)"),
    ("GUEST_CR4", 1 << 13, GUEST, "bits 0x2000 must be 1: MSR 0x488"),
    ("GUEST_EFER", 1 << 10, GUEST, "bit 10 (LMA) must be as bit 9 of the entry controls"),
    ("GUEST_TR_RIGHTS", 1 << 16, GUEST, "TR must be usable (26.3.1.2)"),
    ("GUEST_CS_RIGHTS", 1 << 7, GUEST, "bit 7 (P) must be 1"),
    ("GUEST_DS_RIGHTS", 1, GUEST, "type must have bit 0 (accessed)"),
    ("GUEST_ES_BASE", 1 << 32, GUEST, "bits 63:32 must be 0"),
    ("GUEST_GDTR_LIMIT", 1 << 16, GUEST, "bits 31:16 must be 0 (26.3.1.3)"),
    ("GUEST_RIP", 1 << 32, GUEST, "bits 63:32 must be 0 outside 64-bit code (26.3.1.4)"),
    ("GUEST_RFLAGS", 2, GUEST, "bit 1 must be 1"),
    ("ENTRY_EVENT", 0x80000020, GUEST,
     "guest RFLAGS (0x6820) = 0x2: bit 9 (IF) must be 1 to inject an external interrupt"),
    ("GUEST_ACTIVITY", 5, GUEST, "must be a state of MSR 0x485 (26.3.1.5)"),
    ("GUEST_BLOCKING", 1, GUEST, "bit 0 (STI) needs RFLAGS.IF"),
    ("LINK_POINTER", 1, GUEST[:-1] + "4", "must be all ones, or the address of a VMCS"),
]

def mutant(original, folder, *changes):
    """A copy of a tree with (path, old text, new text) changed, built."""
    copy = folder / "jos"
    shutil.copytree(original, copy, symlinks=True)
    for path, old, new in changes:
        text = (copy / path).read_text()
        assert text.count(old) == 1, f"{path} has {text.count(old)} times {old!r}"
        (copy / path).write_text(text.replace(old, new))
    run(["make", "-j2"], cwd=copy)
    return copy


@pytest.mark.slow
def test_the_processor_and_the_checker_agree():
    folder = tree("upto-22")
    fields = constants(folder)
    text = (folder / "inc/vmcs.h").read_text()
    titles = dict(re.findall(r"X\((\w+), 0x[0-9a-f]{4}, \"(.*?)\"\)", text))
    with Machine(folder, "bochs", timeout=90) as machine:
        machine.expect(r"\n\$ ")
        for name, bits, processor, rule in FLIPS:
            machine.command("breakpoint", "K> ")
            assert titles[name] in machine.command(f"flip {fields[name]:x} {bits:x}", "K> ")
            machine.command("continue")
            said = machine.command("tinyguest")
            first = re.search(r"^VM entry failed: (.*)$", said, re.M)
            assert first and first[1] == processor, f"{name}: {said}"
            broken = re.findall(r"^vmx: entry rule broken: (.*)$", said, re.M)
            assert any(line.startswith(rule) or rule in line
                       and line.startswith(titles[name] + " (0x") for line in broken), \
                f"{name}: {said}"
        # The kernel and its guests live on.
        assert "HLT" in machine.command("tinyguest")


@pytest.mark.slow
def test_flip_refuses_what_is_no_field():
    with Machine(tree("upto-22"), "run-breakpoint-bochs", timeout=90) as machine:
        machine.expect("K> ")
        for words in ("", " 4822", " 4822 1 2", " 4402 1", " 482c 1", " 6c18 1"):
            assert "flip FIELD BITS" in machine.command("flip" + words, "K> ")


@pytest.mark.slow
def test_a_guest_that_runs_breaks_no_rule(tmp_path):
    """The checker before each entry, however often: it has nothing to say."""
    enter = "\tvmexit(e, asm_vmrun("
    copy = mutant(tree("upto-22"), tmp_path,
                  ("vmm/vmx.c", enter, "\tvmx_explain_entry_failure();\n" + enter))
    with Machine(copy, "run-tinyguest-bochs", timeout=90) as machine:
        machine.expect("K> ")
        output = machine.output()
    assert "rule broken" not in output
    assert output.count("no broken entry rule found") >= 2


@pytest.mark.slow
def test_jos_in_jos_breaks_no_rule(tmp_path):
    """The same with a whole JOS as the guest: from real mode to 64 bits, with
    interrupts, and silently, since it's entered thousands of times."""
    enter = "\tvmexit(e, asm_vmrun("
    copy = mutant(tree("jos"), tmp_path,
                  ("vmm/vmx.c", enter, "\tvmx_explain_entry_failure();\n" + enter),
                  ("vmm/explain.c", '\t\tcprintf("vmx: no broken entry rule found\\n");\n',
                   "\t\treturn;\n"))
    with Machine(copy, "run-vmm-bochs", timeout=150) as machine:
        machine.expect(r"vm\$ ")
        machine.command("forktree", r"vm\$ ")
        assert "rule broken" not in machine.output()
