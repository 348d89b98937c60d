/*
 * The five vectors of VMX controls as tables: the names of their bits, what
 * one bit wants of another, and which addresses it brings into use.
 */
#ifndef JOS_INC_VMXCTL_H
#define JOS_INC_VMXCTL_H

#include <inc/mmu.h>
#include <inc/msr.h>

enum VmxVector {
	VMX_PIN, VMX_PRIMARY, VMX_SECONDARY, VMX_EXIT, VMX_ENTRY,
	VMX_NVECTORS
};

/*
 * C(vector, bit, name).  Bits that aren't here are reserved, or newer than
 * the edition of June 2016.
 */
#define VMX_CONTROL_NAMES(C)						\
	C(VMX_PIN, 0, "external-interrupt exiting")			\
	C(VMX_PIN, 3, "NMI exiting")					\
	C(VMX_PIN, 5, "virtual NMIs")					\
	C(VMX_PIN, 6, "activate VMX-preemption timer")			\
	C(VMX_PIN, 7, "process posted interrupts")			\
	C(VMX_PRIMARY, 2, "interrupt-window exiting")			\
	C(VMX_PRIMARY, 3, "use TSC offsetting")				\
	C(VMX_PRIMARY, 7, "HLT exiting")				\
	C(VMX_PRIMARY, 9, "INVLPG exiting")				\
	C(VMX_PRIMARY, 10, "MWAIT exiting")				\
	C(VMX_PRIMARY, 11, "RDPMC exiting")				\
	C(VMX_PRIMARY, 12, "RDTSC exiting")				\
	C(VMX_PRIMARY, 15, "CR3-load exiting")				\
	C(VMX_PRIMARY, 16, "CR3-store exiting")				\
	C(VMX_PRIMARY, 17, "activate tertiary controls")		\
	C(VMX_PRIMARY, 19, "CR8-load exiting")				\
	C(VMX_PRIMARY, 20, "CR8-store exiting")				\
	C(VMX_PRIMARY, 21, "use TPR shadow")				\
	C(VMX_PRIMARY, 22, "NMI-window exiting")			\
	C(VMX_PRIMARY, 23, "MOV-DR exiting")				\
	C(VMX_PRIMARY, 24, "unconditional I/O exiting")			\
	C(VMX_PRIMARY, 25, "use I/O bitmaps")				\
	C(VMX_PRIMARY, 27, "monitor trap flag")				\
	C(VMX_PRIMARY, 28, "use MSR bitmaps")				\
	C(VMX_PRIMARY, 29, "MONITOR exiting")				\
	C(VMX_PRIMARY, 30, "PAUSE exiting")				\
	C(VMX_PRIMARY, 31, "activate secondary controls")		\
	C(VMX_SECONDARY, 0, "virtualize APIC accesses")			\
	C(VMX_SECONDARY, 1, "enable EPT")				\
	C(VMX_SECONDARY, 2, "descriptor-table exiting")			\
	C(VMX_SECONDARY, 3, "enable RDTSCP")				\
	C(VMX_SECONDARY, 4, "virtualize x2APIC mode")			\
	C(VMX_SECONDARY, 5, "enable VPID")				\
	C(VMX_SECONDARY, 6, "WBINVD exiting")				\
	C(VMX_SECONDARY, 7, "unrestricted guest")			\
	C(VMX_SECONDARY, 8, "APIC-register virtualization")		\
	C(VMX_SECONDARY, 9, "virtual-interrupt delivery")		\
	C(VMX_SECONDARY, 10, "PAUSE-loop exiting")			\
	C(VMX_SECONDARY, 11, "RDRAND exiting")				\
	C(VMX_SECONDARY, 12, "enable INVPCID")				\
	C(VMX_SECONDARY, 13, "enable VM functions")			\
	C(VMX_SECONDARY, 14, "VMCS shadowing")				\
	C(VMX_SECONDARY, 15, "enable ENCLS exiting")			\
	C(VMX_SECONDARY, 16, "RDSEED exiting")				\
	C(VMX_SECONDARY, 17, "enable PML")				\
	C(VMX_SECONDARY, 18, "EPT-violation #VE")			\
	C(VMX_SECONDARY, 19, "conceal VMX from PT")			\
	C(VMX_SECONDARY, 20, "enable XSAVES/XRSTORS")			\
	C(VMX_SECONDARY, 25, "use TSC scaling")				\
	C(VMX_EXIT, 2, "save debug controls")				\
	C(VMX_EXIT, 9, "host address-space size")			\
	C(VMX_EXIT, 12, "load IA32_PERF_GLOBAL_CTRL")			\
	C(VMX_EXIT, 15, "acknowledge interrupt on exit")		\
	C(VMX_EXIT, 18, "save IA32_PAT")				\
	C(VMX_EXIT, 19, "load IA32_PAT")				\
	C(VMX_EXIT, 20, "save IA32_EFER")				\
	C(VMX_EXIT, 21, "load IA32_EFER")				\
	C(VMX_EXIT, 22, "save VMX-preemption timer value")		\
	C(VMX_EXIT, 23, "clear IA32_BNDCFGS")				\
	C(VMX_EXIT, 24, "conceal VMX from PT")				\
	C(VMX_ENTRY, 2, "load debug controls")				\
	C(VMX_ENTRY, 9, "IA-32e mode guest")				\
	C(VMX_ENTRY, 10, "entry to SMM")				\
	C(VMX_ENTRY, 11, "deactivate dual-monitor treatment")		\
	C(VMX_ENTRY, 13, "load IA32_PERF_GLOBAL_CTRL")			\
	C(VMX_ENTRY, 14, "load IA32_PAT")				\
	C(VMX_ENTRY, 15, "load IA32_EFER")				\
	C(VMX_ENTRY, 16, "load IA32_BNDCFGS")				\
	C(VMX_ENTRY, 17, "conceal VMX from PT")

/*
 * R(vector, control, other vector, other control, value): if the control is
 * 1, the other one must have that value.  Manual: 26.2.1.1, 26.2.1.2.
 */
#define VMX_CONTROL_RELATIONS(R)					\
	R(PIN, PINBASED_VIRTUAL_NMIS,					\
	  PIN, PINBASED_NMI_EXITING, 1)					\
	R(PRIMARY, PROCBASED_NMIWINDOW_EXITING,				\
	  PIN, PINBASED_VIRTUAL_NMIS, 1)				\
	R(SECONDARY, PROCBASED2_X2APIC,					\
	  PRIMARY, PROCBASED_TPR_SHADOW, 1)				\
	R(SECONDARY, PROCBASED2_X2APIC,					\
	  SECONDARY, PROCBASED2_APIC_ACCESSES, 0)			\
	R(SECONDARY, PROCBASED2_APIC_REGISTERS,				\
	  PRIMARY, PROCBASED_TPR_SHADOW, 1)				\
	R(SECONDARY, PROCBASED2_INTR_DELIVERY,				\
	  PRIMARY, PROCBASED_TPR_SHADOW, 1)				\
	R(SECONDARY, PROCBASED2_INTR_DELIVERY,				\
	  PIN, PINBASED_EXTINT_EXITING, 1)				\
	R(PIN, PINBASED_POSTED_INTERRUPTS,				\
	  SECONDARY, PROCBASED2_INTR_DELIVERY, 1)			\
	R(PIN, PINBASED_POSTED_INTERRUPTS,				\
	  EXIT, EXIT_ACK_INTERRUPT, 1)					\
	R(SECONDARY, PROCBASED2_UNRESTRICTED,				\
	  SECONDARY, PROCBASED2_EPT, 1)					\
	R(SECONDARY, PROCBASED2_PML,					\
	  SECONDARY, PROCBASED2_EPT, 1)					\
	R(EXIT, EXIT_SAVE_TIMER,					\
	  PIN, PINBASED_PREEMPTION_TIMER, 1)

/*
 * A(field, vector, control, align): if the control is 1, the field must be
 * a physical address, and a multiple of align bytes.  Manual: 26.2.1.1.
 */
#define VMX_CONTROL_ADDRESSES(A)					\
	A(IO_BITMAP_A, PRIMARY, PROCBASED_IO_BITMAPS, PGSIZE)		\
	A(IO_BITMAP_B, PRIMARY, PROCBASED_IO_BITMAPS, PGSIZE)		\
	A(MSR_BITMAP, PRIMARY, PROCBASED_MSR_BITMAPS, PGSIZE)		\
	A(VIRTUAL_APIC, PRIMARY, PROCBASED_TPR_SHADOW, PGSIZE)		\
	A(APIC_ACCESS, SECONDARY, PROCBASED2_APIC_ACCESSES, PGSIZE)	\
	A(POSTED_DESCRIPTOR, PIN, PINBASED_POSTED_INTERRUPTS, 64)	\
	A(PML_ADDRESS, SECONDARY, PROCBASED2_PML, PGSIZE)		\
	A(VE_INFO, SECONDARY, PROCBASED2_EPT_VE, PGSIZE)		\
	A(VMREAD_BITMAP, SECONDARY, PROCBASED2_VMCS_SHADOWING, PGSIZE)	\
	A(VMWRITE_BITMAP, SECONDARY, PROCBASED2_VMCS_SHADOWING, PGSIZE)

#endif
