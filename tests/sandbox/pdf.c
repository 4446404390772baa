/*
 * SPDX-License-Identifier: ISC
 *
 * pdf - a small real PDF of any size, the same bytes for the same numbers.
 *
 * Head and tail are text; between them lies one stream object of letters that
 * are computed from their offset.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pdf.h"
#include "util.h"

#define OBJECTS 6
#define LINE 64

__attribute__((format(printf, 4, 5))) static void
put(char *p, size_t size, size_t *n, const char *fmt, ...)
{
	va_list ap;
	int k;

	va_start(ap, fmt);
	k = vsnprintf(p + *n, size - *n, fmt, ap);
	va_end(ap);
	if (k > 0)
		*n += (size_t)k < size - *n ? (size_t)k : size - *n - 1;
}

static void
head_make(struct pdf *d, const char *text, size_t at[OBJECTS])
{
	char page[256];
	size_t n = 0;
	int len;

	len = snprintf(page, sizeof(page), "BT /F1 16 Tf 72 720 Td (%.120s) Tj ET\n", text);
	put(d->head, sizeof(d->head), &n, "%%PDF-1.4\n%%\xe2\xe3\xcf\xd3\n");
	at[0] = n;
	put(d->head, sizeof(d->head), &n,
	    "1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n");
	at[1] = n;
	put(d->head, sizeof(d->head), &n,
	    "2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n");
	at[2] = n;
	put(d->head, sizeof(d->head), &n,
	    "3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
	    "/Resources << /Font << /F1 5 0 R >> >> >>\nendobj\n");
	at[3] = n;
	put(d->head, sizeof(d->head), &n,
	    "4 0 obj\n<< /Length %d >>\nstream\n%sendstream\nendobj\n", len, page);
	at[4] = n;
	put(d->head, sizeof(d->head), &n,
	    "5 0 obj\n<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>\nendobj\n");
	at[5] = n;
	put(d->head, sizeof(d->head), &n, "6 0 obj\n<< /Length %012llu >>\nstream\n",
	    (unsigned long long)d->filler);
	d->nhead = n;
}

static void
tail_make(struct pdf *d, const size_t at[OBJECTS])
{
	static const char end[] = "\nendstream\nendobj\n";
	size_t n = 0, i;

	put(d->tail, sizeof(d->tail), &n, "%sxref\n0 %d\n0000000000 65535 f \n", end,
	    OBJECTS + 1);
	for (i = 0; i < OBJECTS; i++)
		put(d->tail, sizeof(d->tail), &n, "%010zu 00000 n \n", at[i]);
	put(d->tail, sizeof(d->tail), &n,
	    "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%012llu\n%%%%EOF\n", OBJECTS + 1,
	    (unsigned long long)(d->nhead + d->filler + sizeof(end) - 1));
	d->ntail = n;
}

void
pdf_make(struct pdf *d, uint64_t key, const char *text, uint64_t size)
{
	size_t at[OBJECTS];

	memset(d, 0, sizeof(*d));
	d->key = key;
	head_make(d, text, at);
	tail_make(d, at);
	if (size > d->nhead + d->ntail)
		d->filler = size - d->nhead - d->ntail;
	head_make(d, text, at);
	tail_make(d, at);
}

/* One line of the filler. */
static void
line_make(char line[LINE], uint64_t key, uint64_t number)
{
	uint64_t r = 0;
	size_t i;

	for (i = 0; i < LINE - 1; i++) {
		if (i % 16 == 0)
			r = draw(key, number, i);
		line[i] = (char)('A' + (r & 15));
		r >>= 4;
	}
	line[LINE - 1] = '\n';
}

static size_t
filler_read(const struct pdf *d, uint64_t off, char *p, size_t n)
{
	char line[LINE];
	size_t done = 0, skip, k;

	if (n > d->filler - off)
		n = (size_t)(d->filler - off);
	while (done < n) {
		line_make(line, d->key, (off + done) / LINE);
		skip = (size_t)((off + done) % LINE);
		k = LINE - skip < n - done ? LINE - skip : n - done;
		memcpy(p + done, line + skip, k);
		done += k;
	}
	return n;
}

static size_t
part_read(const char *part, size_t size, uint64_t off, char *p, size_t n)
{
	if (n > size - off)
		n = (size_t)(size - off);
	memcpy(p, part + off, n);
	return n;
}

size_t
pdf_read(const void *ctx, uint64_t off, char *p, size_t n)
{
	const struct pdf *d = ctx;
	size_t done = 0;
	uint64_t at;

	while (done < n) {
		at = off + done;
		if (at < d->nhead)
			done += part_read(d->head, d->nhead, at, p + done, n - done);
		else if ((at -= d->nhead) < d->filler)
			done += filler_read(d, at, p + done, n - done);
		else if ((at -= d->filler) < d->ntail)
			done += part_read(d->tail, d->ntail, at, p + done, n - done);
		else
			break;
	}
	return done;
}
