/* Error numbers.  A function that fails returns one of them negated. */
#ifndef JOS_INC_ERROR_H
#define JOS_INC_ERROR_H

enum {
	E_UNSPECIFIED	= 1,	/* unspecified or unknown problem */
	E_BAD_ENV	= 2,	/* no such environment, or not yours */
	E_INVAL		= 3,	/* invalid parameter */
	E_NO_MEM	= 4,	/* out of memory */
	E_NO_FREE_ENV	= 5,	/* all environments are in use */
	E_FAULT		= 6,	/* bad memory address */
	E_NO_SYS	= 7,	/* no such system call */
	E_IPC_NOT_RECV	= 8,	/* the environment isn't receiving */
	E_EOF		= 9,	/* end of file */
	E_NO_DISK	= 10,	/* no free space on the disk */
	E_MAX_OPEN	= 11,	/* too many open files */
	E_NOT_FOUND	= 12,	/* file or block not found */
	E_BAD_PATH	= 13,	/* bad path */
	E_FILE_EXISTS	= 14,	/* file already exists */
	E_NOT_EXEC	= 15,	/* not a valid executable */
	E_NOT_SUPP	= 16,	/* operation not supported */
	E_NO_VMX	= 17,	/* this processor has no usable VMX */
	E_NO_EPT	= 18,	/* this processor has no usable EPT */
	E_VMX_ON	= 19,	/* VMXON failed */
	E_VMCS_INIT	= 20,	/* a VMCS could not be set up */
	E_NO_ENT	= 21,	/* no such entry */
	MAXERROR
};

#endif
