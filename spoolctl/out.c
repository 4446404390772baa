/*
 * SPDX-License-Identifier: ISC
 *
 * out - printing for people; see out.h.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "out.h"
#include "str.h"

static bool coloured;
static size_t columns;

void
out_open(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
	struct winsize ws;

	if (isatty(STDOUT_FILENO) != 1)
		return;
	coloured = (no == NULL || no[0] == '\0') && term != NULL && !str_eq(term, "dumb");
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0)
		columns = ws.ws_col;
}

size_t
out_columns(void)
{
	return columns;
}

void
out_colour(enum out_colour colour)
{
	static const char *const codes[] = {[OUT_PLAIN] = "0",
	    [OUT_BOLD] = "1",
	    [OUT_DIM] = "2",
	    [OUT_RED] = "31",
	    [OUT_GREEN] = "32",
	    [OUT_YELLOW] = "33",
	    [OUT_BLUE] = "34"};

	if (coloured)
		(void)printf("\033[%sm", codes[colour]);
}

void
out_plain(void)
{
	out_colour(OUT_PLAIN);
}

size_t
out_text(const char *p, size_t n)
{
	size_t width = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char ch = (unsigned char)p[i];

		if (ch >= 0x20 && ch < 0x7f) {
			(void)putchar(ch);
			width++;
		} else {
			(void)printf("\\x%02x", (unsigned)ch);
			width += 4;
		}
	}
	return width;
}

size_t
out_str(const char *text)
{
	return out_text(text, strlen(text));
}

void
out_cut(const char *text, size_t width)
{
	size_t n = strlen(text);

	if (width == 0 || n <= width) {
		(void)out_text(text, n);
		return;
	}
	(void)out_text(text, width > 3 ? width - 3 : width);
	if (width > 3)
		(void)fputs("...", stdout);
}

void
out_lines(const char *p, size_t n)
{
	size_t from = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] != '\n' && p[i] != '\t')
			continue;
		(void)out_text(p + from, i - from);
		(void)putchar(p[i]);
		from = i + 1;
	}
	(void)out_text(p + from, n - from);
}

/*
 * The code point at p if it must not be printed: C1 controls, marks and overrides of the
 * direction of writing (Unicode TR 9), line separators.  0: it may.  *k is its length.
 */
static unsigned
unprintable(const char *p, size_t n, size_t *k)
{
	const unsigned char *u = (const unsigned char *)p;
	unsigned c;

	*k = 1;
	if (u[0] == 0x7f)
		return 0x7f;
	if (n >= 2 && u[0] == 0xc2 && u[1] >= 0x80 && u[1] <= 0x9f) {
		*k = 2;
		return u[1];
	}
	if (n >= 2 && u[0] == 0xd8 && u[1] == 0x9c) {
		*k = 2;
		return 0x61c;
	}
	if (n < 3 || (u[0] != 0xe2 && u[0] != 0xef))
		return 0;
	c = (u[0] & 0x0fu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
	if ((c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2060 && c <= 0x206f) || c == 0xfeff) {
		*k = 3;
		return c;
	}
	return 0;
}

void
out_json(const struct buf *b)
{
	const char *p = buf_text(b);
	size_t from = 0, k = 1;

	for (size_t i = 0; i < b->n; i += k) {
		unsigned c = unprintable(p + i, b->n - i, &k);

		if (c == 0)
			continue;
		(void)fwrite(p + from, 1, i - from, stdout);
		(void)printf("\\u%04x", c);
		from = i + k;
	}
	(void)fwrite(p + from, 1, b->n - from, stdout);
}

bool
out_close(void)
{
	return fflush(stdout) == 0 && ferror(stdout) == 0;
}
