/*
 * SPDX-License-Identifier: ISC
 *
 * sniff - is this the document it is said to be?  An error page is not a will.
 *
 * Pure: looks at the first bytes, the announced type and the names.
 */
#ifndef ARKEN_SNIFF_H
#define ARKEN_SNIFF_H

#include <stddef.h>

#include "err.h"
#include "store.h"

#define SNIFF_BYTES 512  /* as many first bytes as are looked at */
#define SNIFF_TAIL 70000 /* and last ones: a ZIP archive's comment has up to 65,535 */

/*
 * Choose the suffix from the vendor's file name (NULL: none), else from the bytes; fill
 * meta->suffix, ->media_type and ->original. RC_BAD: the bytes contradict the announced type or
 * name, or are an HTML page or an error message.
 */
enum rc sniff(const void *first, size_t n, const char *content_type, const char *file_name,
    struct store_meta *meta, struct err *e) MUST_CHECK;

/*
 * Does the end look like that of such a file?  tail: the last bytes of m->size, all or
 * SNIFF_TAIL of them.  NULL: nothing is odd; else what is, for people.
 */
const char *sniff_tail(const void *first, size_t n, const void *tail, size_t k,
    const struct store_meta *m) MUST_CHECK;

/* The file name in a Content-Disposition header (RFC 6266), else the last segment of a URL's
 * path, decoded; "" none. */
void sniff_name(const char *disposition, const char *url, char *out, size_t size);

#endif
