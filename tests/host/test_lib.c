/*
 * Tests of lib/string.c, lib/printfmt.c and lib/readline.c on the host.
 * In the functions libc_… the names are the host's library, elsewhere
 * they are JOS's.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
libc_report(const char *file, int line, const char *what, const char *got,
	    const char *want)
{
	fprintf(stderr, "%s:%d: %s\n  got  \"%s\"\n  want \"%s\"\n", file,
		line, what, got, want);
}

static void
libc_vsnprintf(char *s, size_t size, const char *fmt, va_list args)
{
	vsnprintf(s, size, fmt, args);
}

static int
libc_equal(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static void
libc_say(const char *s)
{
	puts(s);
}

#include "rename.h"
#include <inc/error.h>
#include <inc/stdio.h>
#include <inc/string.h>

static int checks, failures;

static void
check_text(const char *file, int line, const char *what, const char *got,
	   const char *want)
{
	checks++;
	if (!libc_equal(got, want)) {
		failures++;
		libc_report(file, line, what, got, want);
	}
}

#define CHECK(x) \
	check_text(__FILE__, __LINE__, #x, (x) ? "true" : "false", "true")
#define TEXT(got, want) check_text(__FILE__, __LINE__, #got, got, want)

/* --- formatted output */

static char out[4096];

/* Format with JOS's code into exactly as much memory as the text needs. */
static const char *
format(const char *fmt, ...)
{
	va_list args;
	char *exact, one[1];
	int n, m;

	va_start(args, fmt);
	n = vsnprintf(one, 1, fmt, args);
	va_end(args);
	exact = malloc(n + 1);
	va_start(args, fmt);
	m = vsnprintf(exact, n + 1, fmt, args);
	va_end(args);
	CHECK(m == n);
	CHECK(one[0] == '\0');
	CHECK(strlen(exact) == n);
	memcpy(out, exact, n + 1);
	free(exact);
	return out;
}

/* What the C library makes of the same format and arguments. */
static const char *
expected(const char *fmt, ...)
{
	static char text[4096];
	va_list args;

	va_start(args, fmt);
	libc_vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return text;
}

#define SAME(...) TEXT(format(__VA_ARGS__), expected(__VA_ARGS__))

static void
test_numbers(void)
{
	static const char *const formats[] = {
		"%d", "%5d", "%-5d|", "%05d", "%.3d", "%8.3d", "%-8.3d|",
		"%-05d|", "%1d", "%20d", "%u", "%6u", "%o", "%08o", "%x",
		"%08x", "%-9x|", "%.8x", "%#x", "%#10x", "%-#10x|", "%#010x",
	};
	static const char *const long_formats[] = {
		"%ld", "%25ld", "%-25ld|", "%025ld", "%lu", "%lo", "%lx",
		"%016lx", "%lld", "%llu", "%llx", "%llo", "%#lx", "%zu",
	};
	static const long values[] = {
		0, 1, -1, 7, 8, 42, -42, 6828, 255, -255, INT_MAX, INT_MIN,
		UINT_MAX, LONG_MAX, LONG_MIN, 0x8004000000, -0x8004000000,
	};
	size_t f, v;

	for (v = 0; v < ARRAY_SIZE(values); v++) {
		for (f = 0; f < ARRAY_SIZE(formats); f++)
			SAME(formats[f], (int) values[v]);
		for (f = 0; f < ARRAY_SIZE(long_formats); f++)
			SAME(long_formats[f], values[v]);
	}
	TEXT(format("%o", 6828), "15254");
	TEXT(format("%d %ld %d", -1, -2L, 3), "-1 -2 3");
	SAME("%d %lld %d %lu %x", 1, LLONG_MIN, -1, ULONG_MAX, 16);
	SAME("%*d|%-*d|%*d", 7, 1, 7, 2, -7, 3);
	SAME("%.*d|%.*d", 4, 1, -4, 2);
	SAME("%0*d", 5, -3);
}

static void
test_pointers(void)
{
	SAME("%p", (void *) 0x8004100000);
	SAME("%p", (void *) 0xffffffffffffffff);
	SAME("%20p|%-20p|", (void *) 0x1234, (void *) 0x1234);
	TEXT(format("%p", NULL), "0x0");
}

static void
test_text(void)
{
	char unterminated[3];

	unterminated[0] = 'a';
	unterminated[1] = 'b';
	unterminated[2] = 'c';
	SAME("%s|%5s|%-5s|%2s|%.2s|%5.2s|%-5.2s|%.0s", "abc", "abc", "abc",
	     "abc", "abc", "abc", "abc", "abc");
	SAME("%.3s", unterminated);
	SAME("%.*s|%.*s|%*s", 2, "abc", -1, "abc", 5, "abc");
	SAME("%c%c|%3c|%-3c|", 'a', 'b', 'c', 'd');
	TEXT(format("%s", NULL), "(null)");
	TEXT(format("%8s|%.3s", NULL, NULL), "  (null)|(nu");
	TEXT(format(""), "");
	TEXT(format("100%%"), "100%");
	TEXT(format("\xc3\xa9%s", "\xc3\xa9"), "\xc3\xa9\xc3\xa9");
}

static void
test_errors(void)
{
	int e;

	TEXT(format("%e", -E_NO_MEM), "out of memory");
	TEXT(format("%e", E_NO_MEM), "out of memory");
	TEXT(format("[%-14e]", E_BAD_PATH), "[invalid path  ]");
	TEXT(format("%e %d", -E_EOF, 5), "unexpected end of file 5");
	TEXT(format("%e", 0), "error 0");
	TEXT(format("%e", -MAXERROR), "error 22");
	TEXT(format("%e", INT_MIN), "error 2147483648");
	for (e = 1; e < MAXERROR; e++) {
		format("%e", -e);
		CHECK(strncmp(out, "error ", 6) != 0 && strlen(out) > 5);
	}
}

/* A format that is wrong is shown, and takes no argument. */
static void
test_wrong_formats(void)
{
	TEXT(format("%"), "%");
	TEXT(format("a%"), "a%");
	TEXT(format("%5"), "%5");
	TEXT(format("%-08l"), "%-08l");
	TEXT(format("%y %d", 3), "%y 3");
	TEXT(format("%5.2q|%d", 3), "%5.2q|3");
	TEXT(format("%%%d", 3), "%3");
	CHECK(snprintf(out, 4, "%99999999999999999999d", 1) >= 1000000);
}

static void
test_snprintf(void)
{
	char *buf = malloc(4);

	CHECK(snprintf(buf, 4, "%s", "abc") == 3);
	TEXT(buf, "abc");
	CHECK(snprintf(buf, 4, "%s", "abcdefgh") == 8);
	TEXT(buf, "abc");
	CHECK(snprintf(buf, 1, "%d", 123) == 3);
	TEXT(buf, "");
	CHECK(snprintf(buf, 0, "x") == -E_INVAL);
	CHECK(snprintf(buf, -1, "x") == -E_INVAL);
	CHECK(snprintf(NULL, 0, "x") == -E_INVAL);
	CHECK(snprintf(NULL, 10, "x") == -E_INVAL);
	free(buf);
}

static void
count_put(int c, void *putdat)
{
	CHECK(c == 'x' || c == 0xe9);
	++*(int *) putdat;
}

static void
test_printfmt(void)
{
	int n = 0;

	printfmt(count_put, &n, "%s\xe9%c", "xx", 'x');
	CHECK(n == 4);
}

/* --- strings */

/* A heap copy with no byte to spare, so that one too many is seen. */
static char *
copy_of(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = malloc(n);

	return memcpy(p, s, n);
}

static void
test_strings(void)
{
	char *s = copy_of("hello"), *t = copy_of("help"), buf[16];

	CHECK(strlen(s) == 5 && strlen("") == 0);
	CHECK(strnlen(s, 3) == 3 && strnlen(s, 6) == 5 && strnlen(s, 0) == 0);
	CHECK(strcmp(s, s) == 0 && strcmp(s, t) < 0 && strcmp(t, s) > 0);
	CHECK(strcmp("", "") == 0 && strcmp("a", "") > 0);
	CHECK(strcmp("a", "\xe9") < 0);
	CHECK(strncmp(s, t, 3) == 0 && strncmp(s, t, 4) < 0);
	CHECK(strncmp(s, t, 0) == 0 && strncmp("ab", "ab", 9) == 0);
	CHECK(strchr(s, 'l') == s + 2 && strchr(s, 'x') == NULL);
	CHECK(strchr(s, '\0') == NULL);
	CHECK(strfind(s, 'l') == s + 2 && strfind(s, 'x') == s + 5);
	CHECK(strcpy(buf, s) == buf);
	TEXT(buf, "hello");
	CHECK(strcat(buf, " you") == buf);
	TEXT(buf, "hello you");
	free(s);
	free(t);
}

static void
test_copies_with_limits(void)
{
	char *buf = malloc(8);

	memset(buf, 'z', 8);
	CHECK(strncpy(buf, "abc", 6) == buf);
	CHECK(memcmp(buf, "abc\0\0\0zz", 8) == 0);
	strncpy(buf, "abcdefghij", 4);
	CHECK(memcmp(buf, "abcd\0\0zz", 8) == 0);
	CHECK(strlcpy(buf, "abc", 8) == 3);
	TEXT(buf, "abc");
	CHECK(strlcpy(buf, "abcdefghij", 8) == 7);
	TEXT(buf, "abcdefg");
	CHECK(strlcpy(buf, "x", 0) == 0);
	TEXT(buf, "abcdefg");
	CHECK(strlcpy(buf, "x", 1) == 0);
	TEXT(buf, "");
	free(buf);
}

/* Every small size, distance and alignment, with bytes around as guards. */
static void
test_memory(void)
{
	unsigned char a[96], b[96];
	int from, to, len, i;

	for (from = 0; from < 24; from++)
		for (to = 0; to < 24; to++)
			for (len = 0; len < 40; len++) {
				for (i = 0; i < 96; i++)
					a[i] = b[i] = i;
				for (i = 0; i < len; i++)
					b[to + i] = from + i;
				if (memmove(a + to, a + from, len) != a + to
				    || memcmp(a, b, 96) != 0)
					CHECK(!"memmove");
			}
	for (to = 0; to < 16; to++)
		for (len = 0; len < 40; len++) {
			for (i = 0; i < 96; i++)
				a[i] = b[i] = i;
			for (i = 0; i < len; i++)
				b[to + i] = 0xa5;
			if (memset(a + to, 0x7a5, len) != a + to
			    || memcmp(a, b, 96) != 0)
				CHECK(!"memset");
			if (memcpy(a + 50, b + to, len) != a + 50
			    || memcmp(a + 50, b + to, len) != 0)
				CHECK(!"memcpy");
		}
	CHECK(memcmp("abc", "abd", 2) == 0 && memcmp("abc", "abd", 3) < 0);
	CHECK(memcmp("\xff", "a", 1) > 0 && memcmp("a", "b", 0) == 0);
	a[0] = 1;
	a[1] = 0xff;
	CHECK(memfind(a, 0xff, 2) == a + 1 && memfind(a, 7, 2) == a + 2);
	CHECK(memfind(a, -1, 2) == a + 1 && memfind(a, 1, 0) == a);
}

static void
test_strtol(void)
{
	const char *s = " \t-12x";
	char *end;

	CHECK(strtol(s, &end, 10) == -12 && end == s + 5);
	CHECK(strtol("0x8004000000", NULL, 0) == 0x8004000000);
	CHECK(strtol("0x1f", NULL, 16) == 31 && strtol("1F", NULL, 16) == 31);
	CHECK(strtol("017", NULL, 0) == 15 && strtol("017", NULL, 10) == 17);
	CHECK(strtol("+7", NULL, 0) == 7 && strtol("zz", NULL, 36) == 1295);
	CHECK(strtol("102", NULL, 2) == 2);
	s = "word";
	CHECK(strtol(s, &end, 10) == 0 && end == s);
	CHECK(strtol("9223372036854775807", NULL, 0) == LONG_MAX);
	CHECK(strtol("-9223372036854775808", NULL, 0) == LONG_MIN);
	strtol("99999999999999999999999999", NULL, 0);
}

/* --- the line editor, typed at and looked at */

static const char *input;	/* what is typed; ends with an error */
static int at_end;		/* which error */
static int console;		/* what iscons says */
static char screen[8192];	/* the row that the person sees */
static int column;

int
jos_getchar(void)
{
	return *input != '\0' ? (unsigned char) *input++ : at_end;
}

int
jos_iscons(int fdnum)
{
	CHECK(fdnum == 0);
	return console;
}

void
jos_cputchar(int c)
{
	if (c == '\b') {
		CHECK(column > 0);
		column--;
	} else if (c == '\n') {
		CHECK(*input == '\0');
	} else {
		CHECK(c >= ' ');
		screen[column++] = c;
	}
}

int
jos_cprintf(const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(out, sizeof(out), fmt, args);
	va_end(args);
	for (const char *s = out; *s != '\0'; s++)
		jos_cputchar(*s);
	return n;
}

/* Read a line from what is typed.  The screen must show the same. */
static const char *
typed(const char *keys)
{
	static char padded[8192];
	char *line;
	int n;

	memset(screen, 0, sizeof(screen));
	column = 0;
	out[0] = '\0';
	input = keys;
	line = readline("> ");
	if (line == NULL)
		return "(NULL)";
	if (console == 1) {
		/* Deleted characters leave blanks behind the line. */
		n = snprintf(padded, sizeof(padded), "> %s", line);
		for (; screen[n] == ' '; n++)
			padded[n] = ' ';
		padded[n] = '\0';
		check_text(__FILE__, __LINE__, keys, screen, padded);
	}
	return line;
}

#define UP "\033[A"
#define DOWN "\033[B"
#define RIGHT "\033[C"
#define LEFT "\033[D"

static void
test_editing(void)
{
	console = 1;
	at_end = -E_EOF;
	TEXT(typed("help\n"), "help");
	TEXT(typed("\n"), "");
	TEXT(typed("hepl\b\blp\n"), "help");
	TEXT(typed("\b\b\x7fx\x7fy\n"), "y");
	TEXT(typed("hlp" LEFT LEFT "e\n"), "help");
	TEXT(typed("hxelp" LEFT LEFT LEFT "\b\n"), "help");
	TEXT(typed("lp" LEFT LEFT LEFT LEFT "he" RIGHT RIGHT RIGHT "!\n"),
	     "help!");
	TEXT(typed("elp\001h\005s\n"), "helps");
	TEXT(typed("elp\033[Hh\033[Fs\n"), "helps");
	TEXT(typed("elp\033[1~h\033[4~s\n"), "helps");
	TEXT(typed("elp\033OHh\033OFs\n"), "helps");
	TEXT(typed("hxelp\001" RIGHT "\033[3~\n"), "help");
	TEXT(typed("hxelp\002\002\002\002\004\n"), "help");
	TEXT(typed("old text\025new\n"), "new");
	TEXT(typed("old text" LEFT LEFT LEFT LEFT "\025new \n"), "new text");
	TEXT(typed("one two  three\027four\n"), "one two  four");
	TEXT(typed("one two  \027\027x\n"), "x");
	TEXT(typed("one two" LEFT LEFT LEFT "\013x\n"), "one x");
	TEXT(typed("a\tb\n"), "a b");
	TEXT(typed("a\033[15~b\033[Zc\033xd\n"), "abcxd");
	TEXT(typed("a\001\002\005\006\004b\n"), "ab");
}

static void
test_history(void)
{
	char line[8];
	int i;

	console = 1;
	typed("first\n");
	typed("second\n");
	TEXT(typed(UP "\n"), "second");
	TEXT(typed(UP UP UP "\b\b\b\b\bFIRST\n"), "FIRST");
	TEXT(typed("third" UP UP DOWN DOWN "x\n"), "x");
	TEXT(typed("\020" "\016" "\016" "y\n"), "y");
	for (i = 0; i < 20; i++) {
		snprintf(line, sizeof(line), "n%d\n", i);
		typed(line);
	}
	TEXT(typed(UP UP UP UP UP UP UP UP UP UP UP UP "\n"), "n12");
}

static void
test_ends(void)
{
	static char longer[3000];
	int i;

	console = 1;
	at_end = -E_EOF;
	TEXT(typed(""), "(NULL)");
	TEXT(typed("half"), "half");
	TEXT(typed("\033"), "(NULL)");
	TEXT(typed("\033["), "(NULL)");
	TEXT(out, "> ");
	at_end = -E_INVAL;
	TEXT(typed(""), "(NULL)");
	TEXT(out, "read error: invalid parameter\n");

	/* Too long a line is cut, with and without a console. */
	for (i = 0; i < 2000; i++)
		longer[i] = 'a' + i % 26;
	longer[2000] = '\n';
	for (console = 0; console < 2; console++)
		CHECK(strlen(typed(longer)) == 1023);

	/* From a file nothing is edited or echoed. */
	console = 0;
	TEXT(typed("a\tb\033[D\x7f\n"), "a\tb\033[D\x7f");
	TEXT(screen, "> ");
	console = -E_INVAL;
	TEXT(typed("x\n"), "x");
	TEXT(screen, "> ");
}

int
main(void)
{
	test_numbers();
	test_pointers();
	test_text();
	test_errors();
	test_wrong_formats();
	test_snprintf();
	test_printfmt();
	test_strings();
	test_copies_with_limits();
	test_memory();
	test_strtol();
	test_editing();
	test_history();
	test_ends();
	snprintf(out, sizeof(out), "%d checks, %d failures", checks, failures);
	libc_say(out);
	return failures != 0;
}
