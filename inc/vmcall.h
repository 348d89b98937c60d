/*
 * Hypercalls: VMCALL with the number in RAX and arguments in RBX, RCX, RDX
 * and RSI; the result, 0 or more or an error, comes back in RAX.
 *
 * MBMAP        the address of a struct multiboot_info comes back in RBX
 * IPCSEND      RBX whom, RCX value, RDX address of a page, RSI permissions
 * IPCRECV      RBX address for a page; the value comes back in RSI
 * LAPICEOI     the interrupt is dealt with
 * BACKTOHOST   the terminal goes back to the host
 * GETDISKIMGNUM  returns the number of the guest's disk image
 * PUTS         RBX address of text, RCX its bytes: prints it (ours)
 */
#ifndef JOS_INC_VMCALL_H
#define JOS_INC_VMCALL_H

#define VMX_VMCALL_MBMAP		1
#define VMX_VMCALL_IPCSEND		2
#define VMX_VMCALL_IPCRECV		3
#define VMX_VMCALL_LAPICEOI		4
#define VMX_VMCALL_BACKTOHOST		5
#define VMX_VMCALL_GETDISKIMGNUM	6
#define VMX_VMCALL_PUTS			7

/* PUTS takes this many bytes, all of them in one page. */
#define VMX_PUTS_MAX			1024

/* Whom IPCSEND may mean: the host's file server. */
#define VMX_HOST_FS_ENV			1

#endif
