/*
 * The rules of VM entry, section by section of chapter 26 of the manual (June
 * 2016), as tables R(when, field, holds, text).  A rule counts only if `when'
 * is true; the field isn't read otherwise, since a field exists only with its
 * control.  Then `holds' must be true.  Both are C expressions over
 *
 *	v		the value of the field, F(NAME) that of another one
 *	ON(VECTOR, X)	control X of a vector: is it 1?
 *	MSR(i)		capability MSR i
 *	ia32e, host64, unrestricted, v86, code64	the kind of guest and host
 *	canonical(a), physical(a), ...	functions of vmm/entrycheck.c
 *	n, s		in a table for each segment: its number, its fields
 */
#ifndef JOS_INC_VMXRULES_H
#define JOS_INC_VMXRULES_H

#include <inc/mmu.h>
#include <inc/msr.h>
#include <inc/vmcs.h>

/* The controls of execution. */
#define VMX_RULES_26_2_1_1(R)						\
	R(true, CR3_TARGET_COUNT, v <= VMX_MISC_CR3_TARGETS(MSR(VMX_MISC)), \
	  "exceeds what MSR 0x485 has")					\
	R(ON(SECONDARY, PROCBASED2_VPID), VPID, v,			\
	  "must not be 0, which is the host's")				\
	R(ON(PRIMARY, PROCBASED_TPR_SHADOW)				\
	  && !ON(SECONDARY, PROCBASED2_INTR_DELIVERY), TPR_THRESHOLD,	\
	  v < 16, "bits 31:4 must be 0")				\
	R(ept, EPTP, (v & 7) == VMX_MEMTYPE_UC				\
	  ? MSR(VMX_EPT_VPID_CAP) & EPT_CAP_UC : (v & 7) == VMX_MEMTYPE_WB \
	  && MSR(VMX_EPT_VPID_CAP) & EPT_CAP_WB,			\
	  "bits 2:0 must be a memory type of MSR 0x48c")		\
	R(ept, EPTP, (v >> 3 & 7) == 3, "bits 5:3 must be 3: four levels") \
	R(ept, EPTP, !(v & EPTP_AD) || MSR(VMX_EPT_VPID_CAP) & EPT_CAP_AD, \
	  "bit 6 (accessed and dirty flags) must be 0: MSR 0x48c")	\
	R(ept, EPTP, !(v & EPTP_RESERVED), "bits 11:7 must be 0")	\
	R(ept, EPTP, physical(c, v), "exceeds the physical addresses")

/* The controls of VM exits. */
#define VMX_RULES_26_2_1_2(R)						\
	R(F(EXIT_MSR_STORE_COUNT), EXIT_MSR_STORE, v % 16 == 0,		\
	  "must be a multiple of 16")					\
	R(true, EXIT_MSR_STORE_COUNT, area(c, F(EXIT_MSR_STORE), v),	\
	  "the area exceeds the physical addresses")			\
	R(F(EXIT_MSR_LOAD_COUNT), EXIT_MSR_LOAD, v % 16 == 0,		\
	  "must be a multiple of 16")					\
	R(true, EXIT_MSR_LOAD_COUNT, area(c, F(EXIT_MSR_LOAD), v),	\
	  "the area exceeds the physical addresses")

/* The controls of VM entries, and the event that is injected. */
#define VMX_RULES_26_2_1_3(R)						\
	R(F(ENTRY_MSR_LOAD_COUNT), ENTRY_MSR_LOAD, v % 16 == 0,		\
	  "must be a multiple of 16")					\
	R(true, ENTRY_MSR_LOAD_COUNT, area(c, F(ENTRY_MSR_LOAD), v),	\
	  "the area exceeds the physical addresses")			\
	R(true, ENTRY_CONTROLS, !(v & (ENTRY_SMM | ENTRY_DUAL_MONITOR)), \
	  "bits 10 and 11 must be 0 outside SMM")			\
	R(event, ENTRY_EVENT, EVENT_TYPE(v) != 1, "type 1 is reserved")	\
	R(injects(c, EVENT_NMI), ENTRY_EVENT, EVENT_VECTOR(v) == 2,	\
	  "an NMI has vector 2")					\
	R(injects(c, EVENT_EXCEPTION), ENTRY_EVENT, EVENT_VECTOR(v) < 32, \
	  "an exception has a vector below 32")				\
	R(injects(c, EVENT_OTHER), ENTRY_EVENT, EVENT_VECTOR(v) == 0,	\
	  "type 7 has vector 0")					\
	R(event, ENTRY_EVENT, !(v & EVENT_RESERVED), "bits 30:12 must be 0") \
	R(event, ENTRY_EVENT, !(v & EVENT_HAS_ERROR) || pushes_error(c, v), \
	  "bit 11 must be 0: this event has no error code")		\
	R(event, ENTRY_EVENT, v & EVENT_HAS_ERROR || !pushes_error(c, v), \
	  "bit 11 must be 1: this event has an error code")		\
	R(event && F(ENTRY_EVENT) & EVENT_HAS_ERROR, ENTRY_EVENT_ERROR,	\
	  v < 0x8000, "bits 31:15 must be 0")				\
	R(injects(c, EVENT_INT_N) || injects(c, EVENT_INT1)		\
	  || injects(c, EVENT_INT3), ENTRY_LENGTH, v <= 15		\
	  && (v > 0 || MSR(VMX_MISC) & VMX_MISC_LENGTH_0),		\
	  "must be the length of an instruction")

/* The host's control registers and MSRs. */
#define VMX_RULES_26_2_2(R)						\
	R(true, HOST_CR0, !missing(c, v, 0, CR0_CACHE),			\
	  "bits 0x%lx must be 1: MSR 0x486", missing(c, v, 0, CR0_CACHE)) \
	R(true, HOST_CR0, !excess(c, v, 0, CR0_CACHE),			\
	  "bits 0x%lx must be 0: MSR 0x487", excess(c, v, 0, CR0_CACHE)) \
	R(true, HOST_CR4, !missing(c, v, 4, 0),				\
	  "bits 0x%lx must be 1: MSR 0x488", missing(c, v, 4, 0))	\
	R(true, HOST_CR4, !excess(c, v, 4, 0),				\
	  "bits 0x%lx must be 0: MSR 0x489", excess(c, v, 4, 0))	\
	R(true, HOST_CR3, physical(c, v), "exceeds the physical addresses") \
	R(true, HOST_SYSENTER_ESP, canonical(c, v), "must be canonical") \
	R(true, HOST_SYSENTER_EIP, canonical(c, v), "must be canonical") \
	R(ON(EXIT, EXIT_LOAD_PAT), HOST_PAT, pat(v),			\
	  "each byte must be 0, 1 or 4 to 7")				\
	R(ON(EXIT, EXIT_LOAD_EFER), HOST_EFER, !(v & ~EFER_ALL),	\
	  "reserved bits must be 0")					\
	R(ON(EXIT, EXIT_LOAD_EFER), HOST_EFER, !(v & EFER_LMA) == !host64, \
	  "bit 10 (LMA) must be as bit 9 of the exit controls")		\
	R(ON(EXIT, EXIT_LOAD_EFER), HOST_EFER, !(v & EFER_LME) == !host64, \
	  "bit 8 (LME) must be as bit 9 of the exit controls")

/* The host's segments, and its descriptor tables. */
#define VMX_RULES_26_2_3(R)						\
	R(true, HOST_ES_SELECTOR, !(v & 7), "bits 2:0 must be 0")	\
	R(true, HOST_CS_SELECTOR, !(v & 7), "bits 2:0 must be 0")	\
	R(true, HOST_SS_SELECTOR, !(v & 7), "bits 2:0 must be 0")	\
	R(true, HOST_DS_SELECTOR, !(v & 7), "bits 2:0 must be 0")	\
	R(true, HOST_FS_SELECTOR, !(v & 7), "bits 2:0 must be 0")	\
	R(true, HOST_GS_SELECTOR, !(v & 7), "bits 2:0 must be 0")	\
	R(true, HOST_TR_SELECTOR, !(v & 7), "bits 2:0 must be 0")	\
	R(true, HOST_CS_SELECTOR, v, "must not be 0")			\
	R(true, HOST_TR_SELECTOR, v, "must not be 0")			\
	R(!host64, HOST_SS_SELECTOR, v, "must not be 0 in a 32-bit host") \
	R(true, HOST_FS_BASE, canonical(c, v), "must be canonical")	\
	R(true, HOST_GS_BASE, canonical(c, v), "must be canonical")	\
	R(true, HOST_TR_BASE, canonical(c, v), "must be canonical")	\
	R(true, HOST_GDTR_BASE, canonical(c, v), "must be canonical")	\
	R(true, HOST_IDTR_BASE, canonical(c, v), "must be canonical")

/* Is it a 64-bit host? */
#define VMX_RULES_26_2_4(R)						\
	R(c->long_mode, EXIT_CONTROLS, host64,				\
	  "bit 9 (64-bit host) must be 1, as EFER.LMA is")		\
	R(!c->long_mode, EXIT_CONTROLS, !host64,			\
	  "bit 9 (64-bit host) must be 0, as EFER.LMA is")		\
	R(ia32e, ENTRY_CONTROLS, host64,				\
	  "bit 9 (IA-32e mode guest) needs a 64-bit host")		\
	R(host64, HOST_CR4, v & CR4_PAE, "bit 5 (PAE) must be 1")	\
	R(host64, HOST_RIP, canonical(c, v), "must be canonical")	\
	R(!host64, HOST_CR4, !(v & CR4_PCIDE), "bit 17 (PCIDE) must be 0") \
	R(!host64, HOST_RIP, v >> 32 == 0, "bits 63:32 must be 0")

/* The guest's control registers, debug registers and MSRs. */
#define VMX_RULES_26_3_1_1(R)						\
	R(true, GUEST_CR0, !missing(c, v, 0, free),			\
	  "bits 0x%lx must be 1: MSR 0x486", missing(c, v, 0, free))	\
	R(true, GUEST_CR0, !excess(c, v, 0, free),			\
	  "bits 0x%lx must be 0: MSR 0x487", excess(c, v, 0, free))	\
	R(true, GUEST_CR0, !(v & CR0_PG) || v & CR0_PE,			\
	  "bit 31 (PG) needs bit 0 (PE)")				\
	R(true, GUEST_CR4, !missing(c, v, 4, 0),			\
	  "bits 0x%lx must be 1: MSR 0x488", missing(c, v, 4, 0))	\
	R(true, GUEST_CR4, !excess(c, v, 4, 0),				\
	  "bits 0x%lx must be 0: MSR 0x489", excess(c, v, 4, 0))	\
	R(ia32e, GUEST_CR0, v & CR0_PG,					\
	  "bit 31 (PG) must be 1 in an IA-32e mode guest")		\
	R(ia32e, GUEST_CR4, v & CR4_PAE,				\
	  "bit 5 (PAE) must be 1 in an IA-32e mode guest")		\
	R(!ia32e, GUEST_CR4, !(v & CR4_PCIDE),				\
	  "bit 17 (PCIDE) must be 0 outside an IA-32e mode guest")	\
	R(true, GUEST_CR3, physical(c, v), "exceeds the physical addresses") \
	R(ON(ENTRY, ENTRY_LOAD_DEBUG), GUEST_DEBUGCTL,			\
	  !(v & DEBUGCTL_RESERVED), "reserved bits must be 0")		\
	R(ON(ENTRY, ENTRY_LOAD_DEBUG), GUEST_DR7, v >> 32 == 0,		\
	  "bits 63:32 must be 0")					\
	R(true, GUEST_SYSENTER_ESP, canonical(c, v), "must be canonical") \
	R(true, GUEST_SYSENTER_EIP, canonical(c, v), "must be canonical") \
	R(ON(ENTRY, ENTRY_LOAD_PAT), GUEST_PAT, pat(v),			\
	  "each byte must be 0, 1 or 4 to 7")				\
	R(ON(ENTRY, ENTRY_LOAD_EFER), GUEST_EFER, !(v & ~EFER_ALL),	\
	  "reserved bits must be 0")					\
	R(ON(ENTRY, ENTRY_LOAD_EFER), GUEST_EFER, !(v & EFER_LMA) == !ia32e, \
	  "bit 10 (LMA) must be as bit 9 of the entry controls")	\
	R(ON(ENTRY, ENTRY_LOAD_EFER) && F(GUEST_CR0) & CR0_PG, GUEST_EFER, \
	  !(v & EFER_LME) == !(v & EFER_LMA),				\
	  "bit 8 (LME) must be as bit 10 (LMA), since CR0.PG is 1")

/* For each segment register; s->checked: do its access rights count? */
#define VMX_RULES_26_3_1_2(R)						\
	R(n >= LDTR && s->checked, SELECTOR, !(v & 4), "bit 2 (TI) must be 0") \
	R(n == SS && !v86 && !unrestricted, SELECTOR,			\
	  (v & 3) == (F(GUEST_CS_SELECTOR) & 3), "RPL must be that of CS") \
	R(n >= FS && (n < LDTR || s->checked), BASE, canonical(c, v),	\
	  "must be canonical")						\
	R(n < FS && (n == CS || s->usable), BASE, v >> 32 == 0,		\
	  "bits 63:32 must be 0")					\
	R(v86 && n < LDTR, BASE, v == s->selector << 4,			\
	  "must be 16 times the selector in virtual-8086 mode")		\
	R(v86 && n < LDTR, LIMIT, v == 0xffff,				\
	  "must be 0xffff in virtual-8086 mode")			\
	R(v86 && n < LDTR, RIGHTS, v == RIGHTS_V86,			\
	  "must be 0xf3 in virtual-8086 mode")				\
	R(n == TR, RIGHTS, s->usable, "TR must be usable")		\
	R(n == TR, RIGHTS, s->type == 11 || (s->type == 3 && !ia32e),	\
	  "type must be 11, a busy TSS")				\
	R(n == LDTR && s->checked, RIGHTS, s->type == 2, "type must be 2") \
	R(n == CS && s->checked, RIGHTS, (s->type & 9) == 9		\
	  || (s->type == 3 && unrestricted), "type must be accessed code") \
	R(n == SS && s->checked, RIGHTS, (s->type & 11) == 3,		\
	  "type must be 3 or 7")					\
	R(DATA(n) && s->checked, RIGHTS, s->type & 1,			\
	  "type must have bit 0 (accessed)")				\
	R(DATA(n) && s->checked, RIGHTS, (s->type & 10) != 8,		\
	  "type must not be code that can't be read")			\
	R(s->checked, RIGHTS, !(v & RIGHTS_S) == (n >= LDTR),		\
	  "bit 4 (S) must be 1, but 0 for LDTR and TR")			\
	R(s->checked, RIGHTS, v & RIGHTS_P, "bit 7 (P) must be 1")	\
	R(s->checked, RIGHTS, !(v & RIGHTS_RESERVED),			\
	  "bits 11:8 and 31:17 must be 0")				\
	R(s->checked, RIGHTS, !(v & RIGHTS_G) || (s->limit & 0xfff) == 0xfff, \
	  "bit 15 (G) must be 0 with this limit")			\
	R(s->checked, RIGHTS, v & RIGHTS_G || s->limit >> 20 == 0,	\
	  "bit 15 (G) must be 1 with this limit")			\
	R(n == CS && s->checked && s->type == 3, RIGHTS, s->dpl == 0,	\
	  "DPL must be 0 for type 3")					\
	R(n == CS && s->checked && (s->type & 13) == 9, RIGHTS,		\
	  s->dpl == RIGHTS_DPL(F(GUEST_SS_RIGHTS)),			\
	  "DPL must be that of SS")					\
	R(n == CS && s->checked && (s->type & 13) == 13, RIGHTS,	\
	  s->dpl <= RIGHTS_DPL(F(GUEST_SS_RIGHTS)),			\
	  "DPL must not exceed that of SS")				\
	R(n == CS && s->checked && ia32e, RIGHTS,			\
	  !(v & RIGHTS_L) || !(v & RIGHTS_DB),				\
	  "bit 14 (D) must be 0 in 64-bit code")			\
	R(n == SS && !v86 && !unrestricted, RIGHTS,			\
	  s->dpl == (s->selector & 3), "DPL must be the selector's RPL") \
	R(n == SS && !v86 && (RIGHTS_TYPE(F(GUEST_CS_RIGHTS)) == 3	\
	  || !(F(GUEST_CR0) & CR0_PE)), RIGHTS, s->dpl == 0,		\
	  "DPL must be 0 in real mode")					\
	R(DATA(n) && s->checked && !unrestricted && s->type < 12, RIGHTS, \
	  s->dpl >= (s->selector & 3), "DPL must not be below the RPL")

/* The guest's descriptor tables. */
#define VMX_RULES_26_3_1_3(R)						\
	R(true, GUEST_GDTR_BASE, canonical(c, v), "must be canonical")	\
	R(true, GUEST_IDTR_BASE, canonical(c, v), "must be canonical")	\
	R(true, GUEST_GDTR_LIMIT, v >> 16 == 0, "bits 31:16 must be 0")	\
	R(true, GUEST_IDTR_LIMIT, v >> 16 == 0, "bits 31:16 must be 0")

/* RIP and RFLAGS of the guest. */
#define VMX_RULES_26_3_1_4(R)						\
	R(!code64, GUEST_RIP, v >> 32 == 0,				\
	  "bits 63:32 must be 0 outside 64-bit code")			\
	R(code64, GUEST_RIP, alike(v, c->linear_bits),			\
	  "bits from %d up must be alike", c->linear_bits)		\
	R(true, GUEST_RFLAGS, v & 2, "bit 1 must be 1")			\
	R(true, GUEST_RFLAGS, !(v & FL_RESERVED),			\
	  "bits 3, 5, 15 and 63:22 must be 0")				\
	R(ia32e || !(F(GUEST_CR0) & CR0_PE), GUEST_RFLAGS, !(v & FL_VM), \
	  "bit 17 (VM) must be 0 in IA-32e mode and real mode")		\
	R(injects(c, EVENT_EXTERNAL), GUEST_RFLAGS, v & FL_IF,		\
	  "bit 9 (IF) must be 1 to inject an external interrupt")

/* What else the guest's state has. */
#define VMX_RULES_26_3_1_5(R)						\
	R(true, GUEST_ACTIVITY, v == 0					\
	  || (v <= 3 && MSR(VMX_MISC) >> (5 + v) & 1),			\
	  "must be a state of MSR 0x485")				\
	R(RIGHTS_DPL(F(GUEST_SS_RIGHTS)), GUEST_ACTIVITY,		\
	  v != ACTIVITY_HLT, "HLT needs SS with DPL 0")			\
	R(blocked, GUEST_ACTIVITY, v == 0,				\
	  "must be 0 (active) while STI or MOV SS blocks")		\
	R(event, GUEST_ACTIVITY, takes(v, F(ENTRY_EVENT)),		\
	  "can't be with this event to be injected")			\
	R(true, GUEST_BLOCKING, v >> 5 == 0, "bits 31:5 must be 0")	\
	R(true, GUEST_BLOCKING, (v & 3) != 3,				\
	  "bits 0 and 1 (STI, MOV SS) must not both be 1")		\
	R(!(F(GUEST_RFLAGS) & FL_IF), GUEST_BLOCKING, !(v & BLOCKING_STI), \
	  "bit 0 (STI) needs RFLAGS.IF")				\
	R(injects(c, EVENT_EXTERNAL) || injects(c, EVENT_NMI),		\
	  GUEST_BLOCKING, !(v & 3),					\
	  "bits 0 and 1 must be 0 to inject an interrupt or NMI")	\
	R(true, GUEST_BLOCKING, !(v & BLOCKING_SMI),			\
	  "bit 2 (SMI) must be 0 outside SMM")				\
	R(injects(c, EVENT_NMI) && ON(PIN, PINBASED_VIRTUAL_NMIS),	\
	  GUEST_BLOCKING, !(v & BLOCKING_NMI),				\
	  "bit 3 (NMI) must be 0 to inject a virtual NMI")		\
	R(true, GUEST_PENDING_DEBUG, !(v & PENDING_RESERVED),		\
	  "reserved bits must be 0")					\
	R(blocked || F(GUEST_ACTIVITY) == ACTIVITY_HLT,			\
	  GUEST_PENDING_DEBUG, !(v & PENDING_BS) == !steps(c),		\
	  "bit 14 (BS) must be as RFLAGS.TF and DEBUGCTL.BTF say")	\
	R(true, LINK_POINTER, v == -1ULL || vmcs_at(c, v),		\
	  "must be all ones, or the address of a VMCS")

/* The guest's PDPTEs, if its paging has three levels. */
#define VMX_RULES_26_3_1_6(R)						\
	R(pdptes, GUEST_PDPTE0, pdpte(c, v), "reserved bits must be 0")	\
	R(pdptes, GUEST_PDPTE1, pdpte(c, v), "reserved bits must be 0")	\
	R(pdptes, GUEST_PDPTE2, pdpte(c, v), "reserved bits must be 0")	\
	R(pdptes, GUEST_PDPTE3, pdpte(c, v), "reserved bits must be 0")

/* Entry number i, m, of the MSR area for VM entries: M(holds, text). */
#define VMX_RULES_26_4(M)						\
	M(m->reserved == 0, "the word after its index must be 0")	\
	M(m->index != MSR_FS_BASE && m->index != MSR_GS_BASE,		\
	  "FS and GS have their bases in fields")			\
	M(m->index >> 8 != 8, "is an x2APIC register")			\
	M(m->index != MSR_IA32_SMM_MONITOR_CTL, "can be written in SMM only") \
	M(!holds_address(m->index) || canonical(c, m->value),		\
	  "its value must be canonical")				\
	M(m->index != MSR_EFER || !(F(GUEST_CR0) & CR0_PG)		\
	  || !(m->value & EFER_LME) == !ia32e,				\
	  "LME can't change while CR0.PG is 1")

#endif
