/* Instructions that C can't say.  One function each, named after them. */
#ifndef JOS_INC_X86_H
#define JOS_INC_X86_H

#include <inc/types.h>

static inline uint8_t
inb(uint16_t port)
{
	uint8_t v;

	asm volatile("inb %1, %0" : "=a" (v) : "Nd" (port));
	return v;
}

static inline void
outb(uint16_t port, uint8_t v)
{
	asm volatile("outb %0, %1" : : "a" (v), "Nd" (port));
}

static inline uint16_t
inw(uint16_t port)
{
	uint16_t v;

	asm volatile("inw %1, %0" : "=a" (v) : "Nd" (port));
	return v;
}

static inline void
outw(uint16_t port, uint16_t v)
{
	asm volatile("outw %0, %1" : : "a" (v), "Nd" (port));
}

static inline uint32_t
inl(uint16_t port)
{
	uint32_t v;

	asm volatile("inl %1, %0" : "=a" (v) : "Nd" (port));
	return v;
}

static inline void
outl(uint16_t port, uint32_t v)
{
	asm volatile("outl %0, %1" : : "a" (v), "Nd" (port));
}

/* Read cnt 32-bit words from port to addr. */
static inline void
insl(uint16_t port, void *addr, size_t cnt)
{
	asm volatile("cld; rep insl" : "+D" (addr), "+c" (cnt)
		     : "d" (port) : "memory", "cc");
}

/* Write cnt 32-bit words from addr to port. */
static inline void
outsl(uint16_t port, const void *addr, size_t cnt)
{
	asm volatile("cld; rep outsl" : "+S" (addr), "+c" (cnt)
		     : "d" (port) : "memory", "cc");
}

#ifdef __x86_64__

static inline void
breakpoint(void)
{
	asm volatile("int3");
}

static inline void
invlpg(const void *va)
{
	asm volatile("invlpg (%0)" : : "r" (va) : "memory");
}

static inline void
lidt(const void *pd)
{
	asm volatile("lidt (%0)" : : "r" (pd) : "memory");
}

static inline void
lgdt(const void *pd)
{
	asm volatile("lgdt (%0)" : : "r" (pd) : "memory");
}

static inline void
lldt(uint16_t sel)
{
	asm volatile("lldt %0" : : "r" (sel));
}

static inline void
ltr(uint16_t sel)
{
	asm volatile("ltr %0" : : "r" (sel));
}

/* The selector in the task register. */
static inline uint16_t
str(void)
{
	uint16_t sel;

	asm volatile("str %0" : "=r" (sel));
	return sel;
}

#define DEFINE_CR(n)					\
static inline void					\
lcr##n(uint64_t v)					\
{							\
	asm volatile("mov %0, %%cr" #n : : "r" (v)	\
		     : "memory");			\
}							\
							\
static inline uint64_t					\
rcr##n(void)						\
{							\
	uint64_t v;					\
							\
	asm volatile("mov %%cr" #n ", %0" : "=r" (v)	\
		     : : "memory");			\
	return v;					\
}

DEFINE_CR(0)
DEFINE_CR(2)
DEFINE_CR(3)
DEFINE_CR(4)
#undef DEFINE_CR

/* Reload CR3 with its own value: drop this CPU's user translations. */
static inline void
tlbflush(void)
{
	lcr3(rcr3());
}

static inline uint64_t
read_eflags(void)
{
	uint64_t v;

	asm volatile("pushfq; popq %0" : "=r" (v) : : "memory");
	return v;
}

static inline void
write_eflags(uint64_t v)
{
	asm volatile("pushq %0; popfq" : : "r" (v) : "memory", "cc");
}

static inline uint64_t
read_rbp(void)
{
	uint64_t v;

	asm volatile("mov %%rbp, %0" : "=r" (v));
	return v;
}

static inline uint64_t
read_rsp(void)
{
	uint64_t v;

	asm volatile("mov %%rsp, %0" : "=r" (v));
	return v;
}

/* CPUID of a leaf (sub-leaf 0).  A result that isn't wanted is NULL. */
static inline void
cpuid(uint32_t leaf, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
	uint32_t ra, rb, rc, rd;

	asm volatile("cpuid" : "=a" (ra), "=b" (rb), "=c" (rc), "=d" (rd)
		     : "a" (leaf), "c" (0));
	if (a)
		*a = ra;
	if (b)
		*b = rb;
	if (c)
		*c = rc;
	if (d)
		*d = rd;
}

static inline uint64_t
rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	asm volatile("rdmsr" : "=a" (lo), "=d" (hi) : "c" (msr));
	return (uint64_t) hi << 32 | lo;
}

static inline void
wrmsr(uint32_t msr, uint64_t v)
{
	asm volatile("wrmsr" : : "c" (msr), "a" ((uint32_t) v),
		     "d" ((uint32_t) (v >> 32)) : "memory");
}

static inline uint64_t
read_tsc(void)
{
	uint32_t lo, hi;

	asm volatile("rdtsc" : "=a" (lo), "=d" (hi));
	return (uint64_t) hi << 32 | lo;
}

/* Store newval to *addr and return what was there, atomically. */
static inline uint32_t
xchg(volatile uint32_t *addr, uint32_t newval)
{
	asm volatile("lock; xchgl %0, %1" : "+m" (*addr), "+r" (newval)
		     : : "memory", "cc");
	return newval;
}

#endif /* __x86_64__ */
#endif
