/*
 * Model-specific registers of VMX, and the control bits that they speak of.
 * Read none before the rule beside it is met: the read is a general
 * protection fault on a processor that doesn't have it.
 */
#ifndef JOS_INC_MSR_H
#define JOS_INC_MSR_H

/* CPUID says whether there is VMX, or AMD's counterpart. */
#define CPUID_1_ECX_VMX			(1u << 5)
#define CPUID_EXT_LEAVES		0x80000000	/* EAX: the last leaf */
#define CPUID_EXT_FEATURES		0x80000001
#define CPUID_EXT_FEATURES_ECX_SVM	(1u << 2)
#define CPUID_ADDRESS_WIDTHS	0x80000008	/* EAX 7:0 physical, 15:8 linear */

/* The page attribute table, and its value after a reset. */
#define MSR_IA32_PAT			0x277
#define PAT_RESET			0x0007040600070406ULL

/* Registers that a guest may have for itself. */
#define MSR_IA32_TSC			0x010
#define MSR_IA32_SMM_MONITOR_CTL	0x09b	/* written in SMM only */
#define MSR_IA32_SYSENTER_CS		0x174
#define MSR_IA32_SYSENTER_ESP		0x175
#define MSR_IA32_SYSENTER_EIP		0x176
#define MSR_LSTAR			0xc0000082
#define MSR_CSTAR			0xc0000083
#define MSR_FS_BASE			0xc0000100
#define MSR_GS_BASE			0xc0000101

/* What SWAPGS exchanges with the GS base. */
#define MSR_KERNEL_GS_BASE		0xc0000102

/* Who may use VMX.  Exists if CPUID reports VMX. */
#define MSR_IA32_FEATURE_CONTROL	0x03a
#define FEATURE_CONTROL_LOCK		0x1	/* no more writes until reset */
#define FEATURE_CONTROL_VMXON_SMX	0x2	/* VMXON inside SMX operation */
#define FEATURE_CONTROL_VMXON		0x4	/* VMXON outside SMX operation */

/* The capability MSRs.  All are read-only. */
#define MSR_IA32_VMX_BASIC		0x480	/* VMX */
#define MSR_IA32_VMX_PINBASED_CTLS	0x481	/* VMX */
#define MSR_IA32_VMX_PROCBASED_CTLS	0x482	/* VMX */
#define MSR_IA32_VMX_EXIT_CTLS		0x483	/* VMX */
#define MSR_IA32_VMX_ENTRY_CTLS		0x484	/* VMX */
#define MSR_IA32_VMX_MISC		0x485	/* VMX */
#define MSR_IA32_VMX_CR0_FIXED0		0x486	/* VMX; 1: must be 1 */
#define MSR_IA32_VMX_CR0_FIXED1		0x487	/* VMX; 0: must be 0 */
#define MSR_IA32_VMX_CR4_FIXED0		0x488	/* VMX; 1: must be 1 */
#define MSR_IA32_VMX_CR4_FIXED1		0x489	/* VMX; 0: must be 0 */
#define MSR_IA32_VMX_VMCS_ENUM		0x48a	/* VMX */
#define MSR_IA32_VMX_PROCBASED_CTLS2	0x48b	/* 482H bit 63 */
#define MSR_IA32_VMX_EPT_VPID_CAP	0x48c	/* 48BH bit 33 or bit 37 */
#define MSR_IA32_VMX_TRUE_PINBASED_CTLS	0x48d	/* 480H bit 55 */
#define MSR_IA32_VMX_TRUE_PROCBASED_CTLS 0x48e	/* 480H bit 55 */
#define MSR_IA32_VMX_TRUE_EXIT_CTLS	0x48f	/* 480H bit 55 */
#define MSR_IA32_VMX_TRUE_ENTRY_CTLS	0x490	/* 480H bit 55 */
#define MSR_IA32_VMX_VMFUNC		0x491	/* 48BH bit 45 */

/* From 481H-484H to the TRUE version of the same. */
#define VMX_TRUE_OFFSET		0xc

/* IA32_VMX_BASIC. */
#define VMX_BASIC_REVISION(v)	((uint32_t) (v) & 0x7fffffff)
#define VMX_BASIC_SIZE(v)	((uint32_t) ((v) >> 32) & 0x1fff) /* bytes */
#define VMX_BASIC_ADDR32	(1ULL << 48)	/* regions below 4 GiB */
#define VMX_BASIC_MEMTYPE(v)	((uint32_t) ((v) >> 50) & 0xf)
#define VMX_BASIC_IO_INFO	(1ULL << 54)	/* INS, OUTS are described */
#define VMX_BASIC_TRUE_CTLS	(1ULL << 55)	/* the TRUE MSRs exist */

/* Memory types, in IA32_VMX_BASIC, the EPT pointer and EPT entries. */
#define VMX_MEMTYPE_UC		0
#define VMX_MEMTYPE_WB		6

/* Pin-based controls. */
#define PINBASED_EXTINT_EXITING		0x00000001
#define PINBASED_NMI_EXITING		0x00000008
#define PINBASED_VIRTUAL_NMIS		0x00000020
#define PINBASED_PREEMPTION_TIMER	0x00000040
#define PINBASED_POSTED_INTERRUPTS	0x00000080

/* Primary processor-based controls. */
#define PROCBASED_INTWINDOW_EXITING	0x00000004
#define PROCBASED_TSC_OFFSETTING	0x00000008
#define PROCBASED_HLT_EXITING		0x00000080
#define PROCBASED_INVLPG_EXITING	0x00000200
#define PROCBASED_MWAIT_EXITING		0x00000400
#define PROCBASED_RDPMC_EXITING		0x00000800
#define PROCBASED_RDTSC_EXITING		0x00001000
#define PROCBASED_CR3_LOAD_EXITING	0x00008000
#define PROCBASED_CR3_STORE_EXITING	0x00010000
#define PROCBASED_CR8_LOAD_EXITING	0x00080000
#define PROCBASED_CR8_STORE_EXITING	0x00100000
#define PROCBASED_TPR_SHADOW		0x00200000
#define PROCBASED_NMIWINDOW_EXITING	0x00400000
#define PROCBASED_MOVDR_EXITING		0x00800000
#define PROCBASED_IO_EXITING		0x01000000
#define PROCBASED_IO_BITMAPS		0x02000000
#define PROCBASED_MONITOR_TRAP		0x08000000
#define PROCBASED_MSR_BITMAPS		0x10000000
#define PROCBASED_MONITOR_EXITING	0x20000000
#define PROCBASED_PAUSE_EXITING		0x40000000
#define PROCBASED_SECONDARY		0x80000000

/* Secondary processor-based controls. */
#define PROCBASED2_APIC_ACCESSES	0x00000001
#define PROCBASED2_EPT			0x00000002
#define PROCBASED2_DTABLE_EXITING	0x00000004
#define PROCBASED2_RDTSCP		0x00000008
#define PROCBASED2_X2APIC		0x00000010
#define PROCBASED2_VPID			0x00000020
#define PROCBASED2_WBINVD_EXITING	0x00000040
#define PROCBASED2_UNRESTRICTED		0x00000080
#define PROCBASED2_APIC_REGISTERS	0x00000100
#define PROCBASED2_INTR_DELIVERY	0x00000200
#define PROCBASED2_PAUSE_LOOP		0x00000400
#define PROCBASED2_RDRAND_EXITING	0x00000800
#define PROCBASED2_INVPCID		0x00001000
#define PROCBASED2_VMFUNC		0x00002000
#define PROCBASED2_VMCS_SHADOWING	0x00004000
#define PROCBASED2_RDSEED_EXITING	0x00010000
#define PROCBASED2_PML			0x00020000
#define PROCBASED2_EPT_VE		0x00040000
#define PROCBASED2_XSAVES		0x00100000
#define PROCBASED2_TSC_SCALING		0x02000000

/* VM-exit controls. */
#define EXIT_SAVE_DEBUG			0x00000004
#define EXIT_HOST_64			0x00000200
#define EXIT_ACK_INTERRUPT		0x00008000
#define EXIT_SAVE_PAT			0x00040000
#define EXIT_LOAD_PAT			0x00080000
#define EXIT_SAVE_EFER			0x00100000
#define EXIT_LOAD_EFER			0x00200000
#define EXIT_SAVE_TIMER			0x00400000

/* VM-entry controls. */
#define ENTRY_LOAD_DEBUG		0x00000004
#define ENTRY_IA32E_GUEST		0x00000200
#define ENTRY_SMM			0x00000400
#define ENTRY_DUAL_MONITOR		0x00000800
#define ENTRY_LOAD_PAT			0x00004000
#define ENTRY_LOAD_EFER			0x00008000

/* IA32_DEBUGCTL. */
#define DEBUGCTL_BTF			0x2	/* single-step branches only */
#define DEBUGCTL_RESERVED		(~0xffffULL | 0x3c)

/* IA32_VMX_MISC. */
#define VMX_MISC_TIMER_SHIFT(v)		((v) & 0x1f) /* it counts TSC >> this */
#define VMX_MISC_CR3_TARGETS(v)		((v) >> 16 & 0x1ff)
#define VMX_MISC_MSRS(v)		(512 * (((v) >> 25 & 7) + 1))
#define VMX_MISC_LENGTH_0		(1ULL << 30)	/* may be injected */

/* IA32_VMX_EPT_VPID_CAP. */
#define EPT_CAP_EXEC_ONLY		(1ULL << 0)
#define EPT_CAP_WALK_4			(1ULL << 6)
#define EPT_CAP_UC			(1ULL << 8)
#define EPT_CAP_WB			(1ULL << 14)
#define EPT_CAP_2M			(1ULL << 16)
#define EPT_CAP_1G			(1ULL << 17)
#define EPT_CAP_INVEPT			(1ULL << 20)
#define EPT_CAP_AD			(1ULL << 21)
#define EPT_CAP_INVEPT_SINGLE		(1ULL << 25)
#define EPT_CAP_INVEPT_ALL		(1ULL << 26)
#define VPID_CAP_INVVPID		(1ULL << 32)

#endif
