/* Let time pass, with the processor for others. */
static void
pass(unsigned ms)
{
	unsigned begin = sys_time_msec();

	while (sys_time_msec() - begin < ms)
		sys_yield();
}
