/*
 * System call numbers.  int 0x30 with the number in RAX and up to five
 * arguments in RDX, RCX, RBX, RDI, RSI; the result comes back in RAX.
 */
#ifndef JOS_INC_SYSCALL_H
#define JOS_INC_SYSCALL_H

enum {
	SYS_cputs		= 0,
	SYS_cgetc		= 1,
	SYS_getenvid		= 2,
	SYS_env_destroy		= 3,
	SYS_page_alloc		= 4,
	SYS_page_map		= 5,
	SYS_page_unmap		= 6,
	SYS_exofork		= 7,
	SYS_env_set_status	= 8,
	SYS_env_set_trapframe	= 9,
	SYS_env_set_pgfault_upcall = 10,
	SYS_yield		= 11,
	SYS_ipc_try_send	= 12,
	SYS_ipc_recv		= 13,
	SYS_time_msec		= 14,
	SYS_net_transmit	= 15,
	SYS_net_receive		= 16,
	SYS_ept_map		= 17,
	SYS_env_mkguest		= 18,
	SYS_cwait		= 19,	/* ours: sleep until there is input */
	SYS_env_wait		= 20,	/* ours: sleep until a child has ended */
	SYS_guest_trace		= 21,	/* ours: the last exits of a guest */
	SYS_guest_attach	= 22,	/* ours: lend a guest the console */
	NSYSCALLS
};

#endif
