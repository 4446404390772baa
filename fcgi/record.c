/*
 * SPDX-License-Identifier: ISC
 *
 * record - FastCGI records, read strictly; see record.h.
 */
#include "config.h"

#include <string.h>

#include "record.h"

#define PROTOCOL 1
#define BEGIN_SIZE 8 /* content of BEGIN_REQUEST */
#define RESPONDER 1
#define KEEP_CONNECTION 1
#define SKIPPED ((size_t)1 << 20) /* parameters that are read without being kept, at most */

void
record_open(struct record *r)
{
	*r = (struct record){.begin = BUF_INIT(BEGIN_SIZE),
	    .params = BUF_SECRET(RECORD_PARAMS),
	    .ahead = BUF_INIT(RECORD_AHEAD)};
}

void
record_close(struct record *r)
{
	buf_free(&r->begin);
	buf_wipe(&r->params);
	buf_free(&r->ahead);
	record_open(r);
}

bool
record_is_begun(const struct record *r)
{
	return r->begun || r->have > 0;
}

size_t
record_memory(const struct record *r)
{
	return r->begin.cap + r->params.cap + r->ahead.cap;
}

/* A length of one byte or of four.  false: it is not all there. */
static bool
read_length(const unsigned char *p, size_t n, size_t *at, size_t *out)
{
	if (*at >= n)
		return false;
	if (p[*at] < 0x80) {
		*out = p[(*at)++];
		return true;
	}
	if (n - *at < 4)
		return false;
	*out = (size_t)(p[*at] & 0x7f) << 24 | (size_t)p[*at + 1] << 16 |
	       (size_t)p[*at + 2] << 8 | p[*at + 3];
	*at += 4;
	return true;
}

/*
 * Do the lengths add up, and is each name one that C and CGI can tell from its value?  A value
 * with a NUL would be cut there.
 */
static bool
params_are_fit(const unsigned char *p, size_t n)
{
	size_t at = 0, count = 0;

	while (at < n) {
		size_t name, value;

		if (!read_length(p, n, &at, &name) || !read_length(p, n, &at, &value) ||
		    name == 0 || name > n - at || value > n - at - name ||
		    ++count > RECORD_COUNT)
			return false;
		if (memchr(p + at, '=', name) != NULL ||
		    memchr(p + at, '\0', name + value) != NULL)
			return false;
		at += name + value;
	}
	return true;
}

static void
end_params(struct record *r)
{
	if (r->skipped > 0 ||
	    !params_are_fit((const unsigned char *)buf_text(&r->params), r->params.n)) {
		r->unfit = true;
		buf_wipe(&r->params);
		r->params = BUF_SECRET(RECORD_PARAMS);
	}
	r->phase = RECORD_BODY;
}

static void
end_begin(struct record *r)
{
	const unsigned char *p = (const unsigned char *)buf_text(&r->begin);

	if (r->begin.n != BEGIN_SIZE || (p[0] << 8 | p[1]) != RESPONDER) {
		r->phase = RECORD_BROKEN;
		return;
	}
	r->keep = (p[2] & KEEP_CONNECTION) != 0;
	r->begun = true;
}

static unsigned
header_type(const struct record *r)
{
	return r->header[1];
}

/* Which record may come now?  It is the one of this request that is due. */
static bool
is_due(const struct record *r, unsigned type, unsigned id)
{
	if (!r->begun)
		return type == RECORD_BEGIN_REQUEST && id != 0 && r->content == BEGIN_SIZE;
	if (id != r->id)
		return false;
	if (type == RECORD_ABORT_REQUEST)
		return r->content == 0;
	return type == (r->phase == RECORD_HEAD ? RECORD_PARAM_STREAM : RECORD_STDIN_STREAM);
}

static void
read_header(struct record *r)
{
	const unsigned char *h = r->header;
	unsigned id = (unsigned)h[2] << 8 | h[3];

	r->content = (unsigned)h[4] << 8 | h[5];
	r->padding = h[6];
	if (h[0] != PROTOCOL || !is_due(r, header_type(r), id))
		r->phase = RECORD_BROKEN;
	else if (!r->begun)
		r->id = id;
}

/* All of a record was there, its padding too. */
static void
end_record(struct record *r)
{
	bool is_empty = (r->header[4] | r->header[5]) == 0;

	r->have = 0;
	switch (header_type(r)) {
	case RECORD_BEGIN_REQUEST:
		end_begin(r);
		break;
	case RECORD_ABORT_REQUEST:
		r->phase = RECORD_ABORTED;
		break;
	case RECORD_PARAM_STREAM:
		if (is_empty)
			end_params(r);
		break;
	default:
		if (is_empty)
			r->phase = RECORD_END;
		break;
	}
}

/*
 * Parameters over the limit are read to their end, so that there can be an answer.  Without
 * memory for what is within it there is none, and the sender repeats.
 */
static void
keep_params(struct record *r, const unsigned char *p, size_t n)
{
	bool is_over = r->skipped > 0 || n > RECORD_PARAMS - r->params.n;

	if (is_over)
		r->skipped += n;
	else
		buf_add(&r->params, p, n);
	if (r->skipped > SKIPPED || r->params.broken)
		r->phase = RECORD_BROKEN;
}

static size_t
take_content(struct record *r, const unsigned char *p, size_t size, const unsigned char **piece,
    size_t *n)
{
	size_t k = size < r->content ? size : r->content;

	r->content -= (unsigned)k;
	if (header_type(r) == RECORD_BEGIN_REQUEST)
		buf_add(&r->begin, p, k);
	else if (header_type(r) == RECORD_PARAM_STREAM)
		keep_params(r, p, k);
	else {
		*piece = p;
		*n = k;
	}
	return k;
}

static size_t
take_header(struct record *r, const unsigned char *p, size_t size)
{
	size_t k = RECORD_HEADER - r->have;

	if (k > size)
		k = size;
	memcpy(r->header + r->have, p, k);
	r->have += (unsigned)k;
	if (r->have == RECORD_HEADER)
		read_header(r);
	return k;
}

size_t
record_take(struct record *r, const unsigned char *p, size_t size, const unsigned char **piece,
    size_t *n)
{
	enum record_phase before = r->phase;
	size_t used = 0;

	*piece = NULL;
	*n = 0;
	while (used < size && r->phase == before && *n == 0) {
		size_t k;

		if (r->have < RECORD_HEADER) {
			used += take_header(r, p + used, size - used);
		} else if (r->content > 0) {
			used += take_content(r, p + used, size - used, piece, n);
		} else {
			k = size - used < r->padding ? size - used : r->padding;
			r->padding -= (unsigned)k;
			used += k;
		}
		if (r->phase == before && r->have == RECORD_HEADER && r->content == 0 &&
		    r->padding == 0)
			end_record(r);
	}
	return used;
}
