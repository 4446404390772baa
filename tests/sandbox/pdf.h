/*
 * SPDX-License-Identifier: ISC
 *
 * pdf - a small real PDF of any size, the same bytes for the same numbers.
 *
 * No document is ever kept in memory: any part of it is made when asked for.
 */
#ifndef SANDBOX_PDF_H
#define SANDBOX_PDF_H

#include <stddef.h>
#include <stdint.h>

#define PDF_MIN 2048 /* smallest size that can be asked for */

struct pdf {
	char head[1024], tail[512];
	size_t nhead, ntail;
	uint64_t filler, key;
};

/* text: one line on the page, without brackets or backslashes. */
void pdf_make(struct pdf *d, uint64_t key, const char *text, uint64_t size);
/* At most n bytes from off; fewer only at the end. */
size_t pdf_read(const void *d, uint64_t off, char *p, size_t n);

#endif
