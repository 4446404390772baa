/*
 * SPDX-License-Identifier: ISC
 *
 * buf - bytes that grow up to a stated maximum; see buf.h.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "str.h"

#define BUF_FIRST 256

/* A secret's old memory is wiped before it is given back, so realloc will not do. */
static char *
grow(const struct buf *b, size_t cap)
{
	char *p;

	if (!b->secret)
		return realloc(b->p, cap);
	if ((p = malloc(cap)) == NULL)
		return NULL;
	if (b->p != NULL) {
		memcpy(p, b->p, b->n + 1);
		explicit_bzero(b->p, b->cap);
		free(b->p);
	}
	return p;
}

enum rc
buf_room(struct buf *b, size_t n)
{
	size_t cap = b->cap != 0 ? b->cap : BUF_FIRST;
	char *p;

	if (b->broken || n > b->max - b->n || n > SIZE_MAX / 2 - b->n)
		goto full;
	while (cap - 1 < b->n + n)
		cap = cap > SIZE_MAX / 2 ? b->n + n + 1 : cap * 2;
	if (cap - 1 > b->max)
		cap = b->max + 1;
	if (cap <= b->cap)
		return RC_OK;
	if ((p = grow(b, cap)) == NULL)
		goto full;
	b->p = p;
	b->cap = cap;
	b->p[b->n] = '\0';
	return RC_OK;
full:
	b->broken = true;
	return RC_FULL;
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
	if (buf_room(b, n) != RC_OK)
		return;
	if (n > 0)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	b->p[b->n] = '\0';
}

void
buf_str(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void
buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || buf_room(b, (size_t)n) != RC_OK) {
		b->broken = true;
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
}

static void
json_char(struct buf *b, char c)
{
	switch (c) {
	case '"':
	case '\\':
		buf_fmt(b, "\\%c", c);
		break;
	case '\n':
		buf_str(b, "\\n");
		break;
	case '\t':
		buf_str(b, "\\t");
		break;
	default:
		if ((unsigned char)c < 0x20 || c == 0x7f)
			buf_fmt(b, "\\u%04x", (unsigned)(unsigned char)c);
		else
			buf_add(b, &c, 1);
	}
}

/* Bytes of the well-formed UTF-8 sequence at p, 0 if there is none. */
static size_t
sequence(const char *p)
{
	size_t n = strnlen(p, 4);

	for (size_t k = 1; k <= n; k++)
		if (str_utf8(p, k))
			return k;
	return 0;
}

void
buf_json(struct buf *b, const char *text)
{
	size_t k;

	buf_str(b, "\"");
	for (; *text != '\0'; text += k) {
		if ((unsigned char)*text < 0x80) {
			json_char(b, *text);
			k = 1;
		} else if ((k = sequence(text)) != 0) {
			buf_add(b, text, k);
		} else {
			buf_str(b, "\xef\xbf\xbd");
			k = 1;
		}
	}
	buf_str(b, "\"");
}

void
buf_url(struct buf *b, const char *text)
{
	for (; *text != '\0'; text++) {
		char one[2] = {*text, '\0'};

		if (str_only(one, "-._~", 1, 1))
			buf_add(b, text, 1);
		else
			buf_fmt(b, "%%%02X", (unsigned)(unsigned char)*text);
	}
}

enum rc
buf_state(const struct buf *b, struct err *e)
{
	if (!b->broken)
		return RC_OK;
	return err_set(
	    e, RC_FULL, "a text would be longer than %zu bytes, or memory is short", b->max);
}

const char *
buf_text(const struct buf *b)
{
	return b->p != NULL ? b->p : "";
}

void
buf_clear(struct buf *b)
{
	b->n = 0;
	b->broken = false;
	if (b->p != NULL)
		b->p[0] = '\0';
}

void
buf_free(struct buf *b)
{
	free(b->p);
	b->p = NULL;
	b->n = b->cap = 0;
	b->broken = false;
}

void
buf_wipe(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->cap);
	buf_free(b);
}
