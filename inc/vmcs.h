/*
 * The VMCS: its fields, the reasons of VM exits, and the errors of VMX
 * instructions.  Each table is a list X(NAME, number, "text"), so that
 * constants and texts come from the same line.
 */
#ifndef JOS_INC_VMCS_H
#define JOS_INC_VMCS_H

#include <inc/types.h>

/*
 * A field's encoding says what it is: width << 13 | type << 10 | index << 1,
 * where width is 0: 16 bits, 1: 64, 2: 32, 3: natural; and type 0: control,
 * 1: read-only, 2: guest, 3: host.  Manual: 24.11.2, appendix B (June 2016).
 */
#define VMCS_FIELD_WIDTH(f)	((f) >> 13 & 3)
#define VMCS_FIELD_TYPE(f)	((f) >> 10 & 3)
#define VMCS_FIELD_INDEX(f)	((f) >> 1 & 0x1ff)

/* 16-bit control fields. */
#define VMCS_W16_CONTROL(X)						\
	X(VPID, 0x0000, "virtual-processor identifier")			\
	X(POSTED_VECTOR, 0x0002, "posted-interrupt notification vector") \
	X(EPTP_INDEX, 0x0004, "EPTP index")

/* 16-bit guest state. */
#define VMCS_W16_GUEST_STATE(X)						\
	X(GUEST_ES_SELECTOR, 0x0800, "guest ES selector")		\
	X(GUEST_CS_SELECTOR, 0x0802, "guest CS selector")		\
	X(GUEST_SS_SELECTOR, 0x0804, "guest SS selector")		\
	X(GUEST_DS_SELECTOR, 0x0806, "guest DS selector")		\
	X(GUEST_FS_SELECTOR, 0x0808, "guest FS selector")		\
	X(GUEST_GS_SELECTOR, 0x080a, "guest GS selector")		\
	X(GUEST_LDTR_SELECTOR, 0x080c, "guest LDTR selector")		\
	X(GUEST_TR_SELECTOR, 0x080e, "guest TR selector")		\
	X(GUEST_INTERRUPT_STATUS, 0x0810, "guest interrupt status")	\
	X(PML_INDEX, 0x0812, "PML index")

/* 16-bit host state. */
#define VMCS_W16_HOST_STATE(X)						\
	X(HOST_ES_SELECTOR, 0x0c00, "host ES selector")			\
	X(HOST_CS_SELECTOR, 0x0c02, "host CS selector")			\
	X(HOST_SS_SELECTOR, 0x0c04, "host SS selector")			\
	X(HOST_DS_SELECTOR, 0x0c06, "host DS selector")			\
	X(HOST_FS_SELECTOR, 0x0c08, "host FS selector")			\
	X(HOST_GS_SELECTOR, 0x0c0a, "host GS selector")			\
	X(HOST_TR_SELECTOR, 0x0c0c, "host TR selector")

/* 64-bit control fields. */
#define VMCS_W64_CONTROL(X)						\
	X(IO_BITMAP_A, 0x2000, "I/O bitmap A address")			\
	X(IO_BITMAP_B, 0x2002, "I/O bitmap B address")			\
	X(MSR_BITMAP, 0x2004, "MSR bitmap address")			\
	X(EXIT_MSR_STORE, 0x2006, "exit MSR-store address")		\
	X(EXIT_MSR_LOAD, 0x2008, "exit MSR-load address")		\
	X(ENTRY_MSR_LOAD, 0x200a, "entry MSR-load address")		\
	X(EXECUTIVE, 0x200c, "executive-VMCS pointer")			\
	X(PML_ADDRESS, 0x200e, "PML address")				\
	X(TSC_OFFSET, 0x2010, "TSC offset")				\
	X(VIRTUAL_APIC, 0x2012, "virtual-APIC address")			\
	X(APIC_ACCESS, 0x2014, "APIC-access address")			\
	X(POSTED_DESCRIPTOR, 0x2016, "posted-interrupt descriptor address") \
	X(VM_FUNCTIONS, 0x2018, "VM-function controls")			\
	X(EPTP, 0x201a, "EPT pointer")					\
	X(EOI_EXIT_0, 0x201c, "EOI-exit bitmap 0")			\
	X(EOI_EXIT_1, 0x201e, "EOI-exit bitmap 1")			\
	X(EOI_EXIT_2, 0x2020, "EOI-exit bitmap 2")			\
	X(EOI_EXIT_3, 0x2022, "EOI-exit bitmap 3")			\
	X(EPTP_LIST, 0x2024, "EPTP-list address")			\
	X(VMREAD_BITMAP, 0x2026, "VMREAD bitmap address")		\
	X(VMWRITE_BITMAP, 0x2028, "VMWRITE bitmap address")		\
	X(VE_INFO, 0x202a, "#VE information address")			\
	X(XSS_EXIT_BITMAP, 0x202c, "XSS-exiting bitmap")		\
	X(ENCLS_EXIT_BITMAP, 0x202e, "ENCLS-exiting bitmap")		\
	X(TSC_MULTIPLIER, 0x2032, "TSC multiplier")

/* 64-bit, read-only. */
#define VMCS_W64_READ_ONLY(X)						\
	X(GUEST_PHYSICAL, 0x2400, "guest-physical address")

/* 64-bit guest state. */
#define VMCS_W64_GUEST_STATE(X)						\
	X(LINK_POINTER, 0x2800, "VMCS link pointer")			\
	X(GUEST_DEBUGCTL, 0x2802, "guest IA32_DEBUGCTL")		\
	X(GUEST_PAT, 0x2804, "guest IA32_PAT")				\
	X(GUEST_EFER, 0x2806, "guest IA32_EFER")			\
	X(GUEST_PERF_GLOBAL, 0x2808, "guest IA32_PERF_GLOBAL_CTRL")	\
	X(GUEST_PDPTE0, 0x280a, "guest PDPTE0")				\
	X(GUEST_PDPTE1, 0x280c, "guest PDPTE1")				\
	X(GUEST_PDPTE2, 0x280e, "guest PDPTE2")				\
	X(GUEST_PDPTE3, 0x2810, "guest PDPTE3")				\
	X(GUEST_BNDCFGS, 0x2812, "guest IA32_BNDCFGS")

/* 64-bit host state. */
#define VMCS_W64_HOST_STATE(X)						\
	X(HOST_PAT, 0x2c00, "host IA32_PAT")				\
	X(HOST_EFER, 0x2c02, "host IA32_EFER")				\
	X(HOST_PERF_GLOBAL, 0x2c04, "host IA32_PERF_GLOBAL_CTRL")

/* 32-bit control fields. */
#define VMCS_W32_CONTROL(X)						\
	X(PIN_CONTROLS, 0x4000, "pin-based controls")			\
	X(PRIMARY_CONTROLS, 0x4002, "primary controls")			\
	X(EXCEPTION_BITMAP, 0x4004, "exception bitmap")			\
	X(PF_ERROR_MASK, 0x4006, "page-fault error-code mask")		\
	X(PF_ERROR_MATCH, 0x4008, "page-fault error-code match")	\
	X(CR3_TARGET_COUNT, 0x400a, "CR3-target count")			\
	X(EXIT_CONTROLS, 0x400c, "exit controls")			\
	X(EXIT_MSR_STORE_COUNT, 0x400e, "exit MSR-store count")		\
	X(EXIT_MSR_LOAD_COUNT, 0x4010, "exit MSR-load count")		\
	X(ENTRY_CONTROLS, 0x4012, "entry controls")			\
	X(ENTRY_MSR_LOAD_COUNT, 0x4014, "entry MSR-load count")		\
	X(ENTRY_EVENT, 0x4016, "entry interruption information")	\
	X(ENTRY_EVENT_ERROR, 0x4018, "entry exception error code")	\
	X(ENTRY_LENGTH, 0x401a, "entry instruction length")		\
	X(TPR_THRESHOLD, 0x401c, "TPR threshold")			\
	X(SECONDARY_CONTROLS, 0x401e, "secondary controls")		\
	X(PLE_GAP, 0x4020, "PLE_Gap")					\
	X(PLE_WINDOW, 0x4022, "PLE_Window")

/* 32-bit, read-only. */
#define VMCS_W32_READ_ONLY(X)						\
	X(INSTRUCTION_ERROR, 0x4400, "VM-instruction error")		\
	X(EXIT_REASON, 0x4402, "exit reason")				\
	X(EXIT_EVENT, 0x4404, "exit interruption information")		\
	X(EXIT_EVENT_ERROR, 0x4406, "exit interruption error code")	\
	X(VECTORING_EVENT, 0x4408, "IDT-vectoring information")		\
	X(VECTORING_ERROR, 0x440a, "IDT-vectoring error code")		\
	X(EXIT_LENGTH, 0x440c, "exit instruction length")		\
	X(EXIT_INSTRUCTION, 0x440e, "exit instruction information")

/* 32-bit guest state. */
#define VMCS_W32_GUEST_STATE(X)						\
	X(GUEST_ES_LIMIT, 0x4800, "guest ES limit")			\
	X(GUEST_CS_LIMIT, 0x4802, "guest CS limit")			\
	X(GUEST_SS_LIMIT, 0x4804, "guest SS limit")			\
	X(GUEST_DS_LIMIT, 0x4806, "guest DS limit")			\
	X(GUEST_FS_LIMIT, 0x4808, "guest FS limit")			\
	X(GUEST_GS_LIMIT, 0x480a, "guest GS limit")			\
	X(GUEST_LDTR_LIMIT, 0x480c, "guest LDTR limit")			\
	X(GUEST_TR_LIMIT, 0x480e, "guest TR limit")			\
	X(GUEST_GDTR_LIMIT, 0x4810, "guest GDTR limit")			\
	X(GUEST_IDTR_LIMIT, 0x4812, "guest IDTR limit")			\
	X(GUEST_ES_RIGHTS, 0x4814, "guest ES access rights")		\
	X(GUEST_CS_RIGHTS, 0x4816, "guest CS access rights")		\
	X(GUEST_SS_RIGHTS, 0x4818, "guest SS access rights")		\
	X(GUEST_DS_RIGHTS, 0x481a, "guest DS access rights")		\
	X(GUEST_FS_RIGHTS, 0x481c, "guest FS access rights")		\
	X(GUEST_GS_RIGHTS, 0x481e, "guest GS access rights")		\
	X(GUEST_LDTR_RIGHTS, 0x4820, "guest LDTR access rights")	\
	X(GUEST_TR_RIGHTS, 0x4822, "guest TR access rights")		\
	X(GUEST_BLOCKING, 0x4824, "guest interruptibility state")	\
	X(GUEST_ACTIVITY, 0x4826, "guest activity state")		\
	X(GUEST_SMBASE, 0x4828, "guest SMBASE")				\
	X(GUEST_SYSENTER_CS, 0x482a, "guest IA32_SYSENTER_CS")		\
	X(PREEMPTION_TIMER, 0x482e, "VMX-preemption timer value")

/* 32-bit host state. */
#define VMCS_W32_HOST_STATE(X)						\
	X(HOST_SYSENTER_CS, 0x4c00, "host IA32_SYSENTER_CS")

/* Natural-width control fields. */
#define VMCS_NATURAL_CONTROL(X)						\
	X(CR0_MASK, 0x6000, "CR0 guest/host mask")			\
	X(CR4_MASK, 0x6002, "CR4 guest/host mask")			\
	X(CR0_SHADOW, 0x6004, "CR0 read shadow")			\
	X(CR4_SHADOW, 0x6006, "CR4 read shadow")			\
	X(CR3_TARGET_0, 0x6008, "CR3-target value 0")			\
	X(CR3_TARGET_1, 0x600a, "CR3-target value 1")			\
	X(CR3_TARGET_2, 0x600c, "CR3-target value 2")			\
	X(CR3_TARGET_3, 0x600e, "CR3-target value 3")

/* Natural-width, read-only. */
#define VMCS_NATURAL_READ_ONLY(X)					\
	X(EXIT_QUALIFICATION, 0x6400, "exit qualification")		\
	X(IO_RCX, 0x6402, "I/O RCX")					\
	X(IO_RSI, 0x6404, "I/O RSI")					\
	X(IO_RDI, 0x6406, "I/O RDI")					\
	X(IO_RIP, 0x6408, "I/O RIP")					\
	X(GUEST_LINEAR, 0x640a, "guest-linear address")

/* Natural-width guest state. */
#define VMCS_NATURAL_GUEST_STATE(X)					\
	X(GUEST_CR0, 0x6800, "guest CR0")				\
	X(GUEST_CR3, 0x6802, "guest CR3")				\
	X(GUEST_CR4, 0x6804, "guest CR4")				\
	X(GUEST_ES_BASE, 0x6806, "guest ES base")			\
	X(GUEST_CS_BASE, 0x6808, "guest CS base")			\
	X(GUEST_SS_BASE, 0x680a, "guest SS base")			\
	X(GUEST_DS_BASE, 0x680c, "guest DS base")			\
	X(GUEST_FS_BASE, 0x680e, "guest FS base")			\
	X(GUEST_GS_BASE, 0x6810, "guest GS base")			\
	X(GUEST_LDTR_BASE, 0x6812, "guest LDTR base")			\
	X(GUEST_TR_BASE, 0x6814, "guest TR base")			\
	X(GUEST_GDTR_BASE, 0x6816, "guest GDTR base")			\
	X(GUEST_IDTR_BASE, 0x6818, "guest IDTR base")			\
	X(GUEST_DR7, 0x681a, "guest DR7")				\
	X(GUEST_RSP, 0x681c, "guest RSP")				\
	X(GUEST_RIP, 0x681e, "guest RIP")				\
	X(GUEST_RFLAGS, 0x6820, "guest RFLAGS")				\
	X(GUEST_PENDING_DEBUG, 0x6822, "guest pending debug exceptions") \
	X(GUEST_SYSENTER_ESP, 0x6824, "guest IA32_SYSENTER_ESP")	\
	X(GUEST_SYSENTER_EIP, 0x6826, "guest IA32_SYSENTER_EIP")

/* Natural-width host state. */
#define VMCS_NATURAL_HOST_STATE(X)					\
	X(HOST_CR0, 0x6c00, "host CR0")					\
	X(HOST_CR3, 0x6c02, "host CR3")					\
	X(HOST_CR4, 0x6c04, "host CR4")					\
	X(HOST_FS_BASE, 0x6c06, "host FS base")				\
	X(HOST_GS_BASE, 0x6c08, "host GS base")				\
	X(HOST_TR_BASE, 0x6c0a, "host TR base")				\
	X(HOST_GDTR_BASE, 0x6c0c, "host GDTR base")			\
	X(HOST_IDTR_BASE, 0x6c0e, "host IDTR base")			\
	X(HOST_SYSENTER_ESP, 0x6c10, "host IA32_SYSENTER_ESP")		\
	X(HOST_SYSENTER_EIP, 0x6c12, "host IA32_SYSENTER_EIP")		\
	X(HOST_RSP, 0x6c14, "host RSP")					\
	X(HOST_RIP, 0x6c16, "host RIP")

/* All of them, in the order of their encodings. */
#define VMCS_FIELDS(X)							\
	VMCS_W16_CONTROL(X)						\
	VMCS_W16_GUEST_STATE(X)						\
	VMCS_W16_HOST_STATE(X)						\
	VMCS_W64_CONTROL(X)						\
	VMCS_W64_READ_ONLY(X)						\
	VMCS_W64_GUEST_STATE(X)						\
	VMCS_W64_HOST_STATE(X)						\
	VMCS_W32_CONTROL(X)						\
	VMCS_W32_READ_ONLY(X)						\
	VMCS_W32_GUEST_STATE(X)						\
	VMCS_W32_HOST_STATE(X)						\
	VMCS_NATURAL_CONTROL(X)						\
	VMCS_NATURAL_READ_ONLY(X)					\
	VMCS_NATURAL_GUEST_STATE(X)					\
	VMCS_NATURAL_HOST_STATE(X)

#define VMCS_ENUM(name, number, text)	VMCS_##name = number,
enum VmcsField {
	VMCS_FIELDS(VMCS_ENUM)
};
#undef VMCS_ENUM

/* Segment s of the guest: ES, CS, SS, DS, FS, GS, LDTR, TR are 0 to 7. */
#define VMCS_GUEST_SELECTOR(s)	(VMCS_GUEST_ES_SELECTOR + 2 * (s))
#define VMCS_GUEST_LIMIT(s)	(VMCS_GUEST_ES_LIMIT + 2 * (s))
#define VMCS_GUEST_RIGHTS(s)	(VMCS_GUEST_ES_RIGHTS + 2 * (s))
#define VMCS_GUEST_BASE(s)	(VMCS_GUEST_ES_BASE + 2 * (s))

/* Basic exit reasons: bits 15:0 of the field.  Manual: appendix C. */
#define EXIT_REASON_BASIC(r)	((r) & 0xffff)
#define EXIT_REASON_ENTRY	0x80000000	/* a VM entry has failed */
#define EXIT_REASONS(X)							\
	X(EXCEPTION, 0, "exception or NMI")				\
	X(INTERRUPT, 1, "external interrupt")				\
	X(TRIPLE_FAULT, 2, "triple fault")				\
	X(INIT, 3, "INIT")						\
	X(SIPI, 4, "SIPI")						\
	X(IO_SMI, 5, "I/O SMI")						\
	X(OTHER_SMI, 6, "other SMI")					\
	X(INTERRUPT_WINDOW, 7, "interrupt window")			\
	X(NMI_WINDOW, 8, "NMI window")					\
	X(TASK_SWITCH, 9, "task switch")				\
	X(CPUID, 10, "CPUID")						\
	X(GETSEC, 11, "GETSEC")						\
	X(HLT, 12, "HLT")						\
	X(INVD, 13, "INVD")						\
	X(INVLPG, 14, "INVLPG")						\
	X(RDPMC, 15, "RDPMC")						\
	X(RDTSC, 16, "RDTSC")						\
	X(RSM, 17, "RSM")						\
	X(VMCALL, 18, "VMCALL")						\
	X(VMCLEAR, 19, "VMCLEAR")					\
	X(VMLAUNCH, 20, "VMLAUNCH")					\
	X(VMPTRLD, 21, "VMPTRLD")					\
	X(VMPTRST, 22, "VMPTRST")					\
	X(VMREAD, 23, "VMREAD")						\
	X(VMRESUME, 24, "VMRESUME")					\
	X(VMWRITE, 25, "VMWRITE")					\
	X(VMXOFF, 26, "VMXOFF")						\
	X(VMXON, 27, "VMXON")						\
	X(CR_ACCESS, 28, "CR access")					\
	X(MOV_DR, 29, "MOV DR")						\
	X(IO, 30, "I/O instruction")					\
	X(RDMSR, 31, "RDMSR")						\
	X(WRMSR, 32, "WRMSR")						\
	X(ENTRY_GUEST_STATE, 33, "entry failed: guest state")		\
	X(ENTRY_MSR_LOAD, 34, "entry failed: MSR load")			\
	X(MWAIT, 36, "MWAIT")						\
	X(MONITOR_TRAP, 37, "monitor trap flag")			\
	X(MONITOR, 39, "MONITOR")					\
	X(PAUSE, 40, "PAUSE")						\
	X(ENTRY_MACHINE_CHECK, 41, "entry failed: machine check")	\
	X(TPR, 43, "TPR below threshold")				\
	X(APIC_ACCESS, 44, "APIC access")				\
	X(VIRTUAL_EOI, 45, "virtualized EOI")				\
	X(GDTR_IDTR, 46, "GDTR/IDTR access")				\
	X(LDTR_TR, 47, "LDTR/TR access")				\
	X(EPT_VIOLATION, 48, "EPT violation")				\
	X(EPT_MISCONFIG, 49, "EPT misconfiguration")			\
	X(INVEPT, 50, "INVEPT")						\
	X(RDTSCP, 51, "RDTSCP")						\
	X(PREEMPTION_TIMER, 52, "preemption timer")			\
	X(INVVPID, 53, "INVVPID")					\
	X(WBINVD, 54, "WBINVD")						\
	X(XSETBV, 55, "XSETBV")						\
	X(APIC_WRITE, 56, "APIC write")					\
	X(RDRAND, 57, "RDRAND")						\
	X(INVPCID, 58, "INVPCID")					\
	X(VMFUNC, 59, "VMFUNC")						\
	X(ENCLS, 60, "ENCLS")						\
	X(RDSEED, 61, "RDSEED")						\
	X(PML_FULL, 62, "page-modification log full")			\
	X(XSAVES, 63, "XSAVES")						\
	X(XRSTORS, 64, "XRSTORS")					\
	X(PCONFIG, 65, "PCONFIG")					\
	X(SPP, 66, "SPP event")						\
	X(UMWAIT, 67, "UMWAIT")						\
	X(TPAUSE, 68, "TPAUSE")						\
	X(LOADIWKEY, 69, "LOADIWKEY")					\
	X(ENCLV, 70, "ENCLV")						\
	X(ENQCMD, 72, "ENQCMD PASID failure")				\
	X(ENQCMDS, 73, "ENQCMDS PASID failure")				\
	X(BUS_LOCK, 74, "bus lock")					\
	X(TIMEOUT, 75, "instruction timeout")				\
	X(SEAMCALL, 76, "SEAMCALL")					\
	X(TDCALL, 77, "TDCALL")						\
	X(RDMSRLIST, 78, "RDMSRLIST")					\
	X(WRMSRLIST, 79, "WRMSRLIST")

#define EXIT_ENUM(name, number, text)	EXIT_REASON_##name = number,
enum ExitReason {
	EXIT_REASONS(EXIT_ENUM)
};
#undef EXIT_ENUM

/* VM-instruction errors.  Manual: 30.4. */
#define VMX_ERRORS(X)							\
	X(VMCALL_ROOT, 1, "VMCALL in root operation")			\
	X(VMCLEAR_ADDRESS, 2, "VMCLEAR: bad physical address")		\
	X(VMCLEAR_VMXON, 3, "VMCLEAR of the VMXON region")		\
	X(LAUNCH_NOT_CLEAR, 4, "VMLAUNCH: the VMCS isn't clear")	\
	X(RESUME_NOT_LAUNCHED, 5, "VMRESUME: the VMCS isn't launched")	\
	X(RESUME_AFTER_VMXOFF, 6, "VMRESUME after VMXOFF")		\
	X(ENTRY_CONTROLS, 7, "entry: bad control fields")		\
	X(ENTRY_HOST, 8, "entry: bad host-state fields")		\
	X(VMPTRLD_ADDRESS, 9, "VMPTRLD: bad physical address")		\
	X(VMPTRLD_VMXON, 10, "VMPTRLD of the VMXON region")		\
	X(VMPTRLD_REVISION, 11, "VMPTRLD: wrong revision identifier")	\
	X(NO_FIELD, 12, "no such VMCS field")				\
	X(READ_ONLY_FIELD, 13, "VMWRITE to a read-only field")		\
	X(VMXON_ROOT, 15, "VMXON in root operation")			\
	X(EXECUTIVE_ADDRESS, 16, "entry: bad executive-VMCS pointer")	\
	X(EXECUTIVE_NOT_LAUNCHED, 17,					\
	  "entry: executive VMCS not launched")				\
	X(EXECUTIVE_NOT_VMXON, 18,					\
	  "entry: executive-VMCS pointer isn't the VMXON pointer")	\
	X(SMM_NOT_CLEAR, 19, "VMCALL: the VMCS isn't clear")		\
	X(SMM_EXIT_CONTROLS, 20, "VMCALL: bad exit controls")		\
	X(SMM_REVISION, 22, "VMCALL: wrong MSEG revision identifier")	\
	X(SMM_VMXOFF, 23, "VMXOFF under dual-monitor SMM")		\
	X(SMM_FEATURES, 24, "VMCALL: bad SMM-monitor features")		\
	X(SMM_EXECUTION_CONTROLS, 25,					\
	  "entry: bad execution controls in the executive VMCS")	\
	X(ENTRY_MOV_SS, 26, "entry while MOV SS blocks events")		\
	X(INV_OPERAND, 28, "INVEPT or INVVPID: bad operand")

#define ERROR_ENUM(name, number, text)	VMX_ERROR_##name = number,
enum VmxError {
	VMX_ERRORS(ERROR_ENUM)
};
#undef ERROR_ENUM

/* Access rights of a segment, as the VMCS has them.  Manual: 24.4.1. */
#define RIGHTS_CODE16		0x009b	/* present, accessed, level 0 */
#define RIGHTS_DATA16		0x0093
#define RIGHTS_TSS_BUSY		0x008b
#define RIGHTS_V86		0x00f3	/* any, in virtual-8086 mode */
#define RIGHTS_TYPE(r)		((r) & 0xf)
#define RIGHTS_S		0x0010	/* code or data */
#define RIGHTS_DPL(r)		((r) >> 5 & 3)
#define RIGHTS_P		0x0080	/* present */
#define RIGHTS_L		0x2000	/* 64-bit code */
#define RIGHTS_DB		0x4000	/* 32-bit code, or stack */
#define RIGHTS_G		0x8000	/* the limit counts pages */
#define RIGHTS_UNUSABLE		0x10000
#define RIGHTS_RESERVED		0xfffe0f00

/* Interruptibility: what blocks events, and what only until the next
 * instruction is done.  Manual: 24.4.2. */
#define BLOCKING_STI		0x1
#define BLOCKING_MOV_SS		0x2
#define BLOCKING_SMI		0x4
#define BLOCKING_NMI		0x8
#define BLOCKING_ONCE		(BLOCKING_STI | BLOCKING_MOV_SS)

/* Pending debug exceptions. */
#define PENDING_BS		0x4000	/* a single step */
#define PENDING_RESERVED	0xfffffffffffeaff0

/* Bit 31 of the first word of a VMCS region: a shadow VMCS. */
#define VMCS_SHADOW		(1u << 31)

/* The EPT pointer. */
#define EPTP_AD			0x40	/* accessed and dirty flags are on */
#define EPTP_RESERVED		0xf80

/* A present PDPTE of three-level paging, below the width of addresses. */
#define PDPTE_RESERVED		0x1e6

/* Activity state. */
#define ACTIVITY_ACTIVE		0
#define ACTIVITY_HLT		1
#define ACTIVITY_SHUTDOWN	2
#define ACTIVITY_WAIT_SIPI	3

/* Events: entry and exit interruption information, IDT vectoring. */
#define EVENT_VECTOR(e)		((e) & 0xff)
#define EVENT_TYPE(e)		((e) >> 8 & 7)
#define EVENT_HAS_ERROR		0x00000800
#define EVENT_NMI_UNBLOCKED	0x00001000	/* by IRET; never inject it */
#define EVENT_RESERVED		0x7ffff000	/* at entry */
#define EVENT_VALID		0x80000000
enum EventType {
	EVENT_EXTERNAL	= 0,	/* external interrupt */
	EVENT_NMI	= 2,
	EVENT_EXCEPTION	= 3,	/* found by the processor */
	EVENT_INT_N	= 4,	/* INT n */
	EVENT_INT1	= 5,
	EVENT_INT3	= 6,	/* INT3, INTO */
	EVENT_OTHER	= 7,	/* vector 0: a monitor trap is pending */
};

/* An entry of the MSR areas.  Manual: 24.7.2. */
struct MsrEntry {
	uint32_t index;
	uint32_t reserved;	/* must be 0 */
	uint64_t value;
} __attribute__((aligned(16)));

#endif
