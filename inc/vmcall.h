/*
 * Hypercalls: VMCALL with the number in RAX and arguments in RBX, RCX, RDX
 * and RSI; the result, 0 or more or an error, comes back in RAX.
 */
#ifndef JOS_INC_VMCALL_H
#define JOS_INC_VMCALL_H

#define VMX_VMCALL_MBMAP	1	/* RBX := address of the boot information */
#define VMX_VMCALL_IPCSEND	2	/* RBX whom, RCX value, RDX page, RSI perm */
#define VMX_VMCALL_IPCRECV	3	/* RBX page; RSI := value */
#define VMX_VMCALL_LAPICEOI	4	/* the timer's interrupt is dealt with */
#define VMX_VMCALL_BACKTOHOST	5	/* give the terminal back */
#define VMX_VMCALL_GETDISKIMGNUM 6	/* the number of the guest's disk image */

/* Environments of the host that a guest may call: in RBX of IPCSEND. */
#define VMX_HOST_FS_ENV		1	/* the file server */

#endif
