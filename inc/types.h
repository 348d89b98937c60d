/* Integer types, address types and the small macros that every file uses. */
#ifndef JOS_INC_TYPES_H
#define JOS_INC_TYPES_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int64_t ssize_t;	/* a size in bytes, or a negative error */
typedef int32_t off_t;		/* an offset in a file, in bytes */

/*
 * One type for each kind of address.  A kernel or user virtual address is a
 * pointer or a uintptr_t; the two below are never dereferenced as they are.
 */
typedef uint64_t physaddr_t;	/* physical address of the machine */
typedef uint64_t gpa_t;		/* physical address as a guest sees it */
typedef uint64_t ppn_t;		/* physical page number */

#define MIN(a, b)			\
({					\
	__typeof__(a) min_a_ = (a);	\
	__typeof__(b) min_b_ = (b);	\
	min_a_ <= min_b_ ? min_a_ : min_b_; \
})
#define MAX(a, b)			\
({					\
	__typeof__(a) max_a_ = (a);	\
	__typeof__(b) max_b_ = (b);	\
	max_a_ >= max_b_ ? max_a_ : max_b_; \
})

/* Round a down or up to a multiple of n; the result has the type of a. */
#define ROUNDDOWN(a, n)			\
	((__typeof__(a)) ((uint64_t) (a) - (uint64_t) (a) % (uint64_t) (n)))
#define ROUNDUP(a, n)			\
	ROUNDDOWN((__typeof__(a)) ((uint64_t) (a) + (uint64_t) (n) - 1), n)

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#endif
