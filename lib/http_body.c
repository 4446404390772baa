/*
 * SPDX-License-Identifier: ISC
 *
 * http_body - the body of an answer on its way to a file or to memory, bounded and digested.
 *
 * Knows nothing of libcurl and does not sync the file.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "http_priv.h"
#include "io.h"
#include "str.h"

#define LOOK_EVERY ((uint64_t)8 << 20) /* bytes between two looks at the disk */

enum rc
http_body_open(struct http_body *b, const struct http_request *r, struct err *e)
{
	const size_t most = SIZE_MAX / 4; /* buf adds one and doubles */

	memset(b, 0, sizeof(*b));
	b->memory = BUF_SECRET(r->max_body < most ? r->max_body : most);
	b->file = -1;
	b->max_file = r->max_file;
	b->min_free = r->min_free;
	b->from = r->from;
	b->whole = r->whole;
	(void)!str_copy(
	    b->if_range, sizeof(b->if_range), r->if_range != NULL ? r->if_range : "");
	return r->file < 0 ? RC_OK : http_body_file(b, r->file, e);
}

enum rc
http_body_file(struct http_body *b, int file, struct err *e)
{
	enum rc rc;

	b->file = file;
	if ((rc = hash_new(&b->sha256, e)) != RC_OK)
		return rc;
	if (hash_new_md5(&b->md5, NULL) != RC_OK)
		b->md5 = NULL; /* forbidden here: answer.md5 stays empty */
	return RC_OK;
}

/* Is this answer exactly the rest of what the file holds the beginning of? */
static bool
is_rest(const struct http_body *b, const struct http_answer *a, const char *range)
{
	uint64_t from, to, whole;

	return b->from > 0 && http_range(range, &from, &to, &whole) && from == b->from &&
	       to == whole - 1 && (b->whole == 0 || whole == b->whole) &&
	       (a->length < 0 || (uint64_t)a->length == to - from + 1) &&
	       (a->etag[0] == '\0' || str_eq(a->etag, b->if_range));
}

/* What was in the file goes, but for the first base bytes. */
static enum http_stop
rewind_file(struct http_body *b)
{
	if (lseek(b->file, 0, SEEK_CUR) == (off_t)b->base ||
	    (ftruncate(b->file, (off_t)b->base) == 0 &&
		lseek(b->file, (off_t)b->base, SEEK_SET) == (off_t)b->base))
		return STOP_NOT;
	b->sys = errno;
	return STOP_LOCAL;
}

/* Does the disk keep what has to stay free when so many bytes more come? */
static enum http_stop
look_for_room(struct http_body *b, uint64_t more)
{
	struct err e = {0};
	uint64_t room;

	b->looked = b->got;
	if (b->min_free == 0)
		return STOP_NOT;
	if (io_room(b->file, &room, &e) == RC_OK && room >= b->min_free &&
	    room - b->min_free >= more)
		return STOP_NOT;
	b->sys = e.sys != 0 ? e.sys : ENOSPC;
	return STOP_LOCAL;
}

enum http_stop
http_body_begin(struct http_body *b, const struct http_answer *a, const char *range)
{
	uint64_t length = a->length > 0 ? (uint64_t)a->length : 0;
	enum http_stop stop;

	b->begun = true;
	b->success = a->status / 100 == 2;
	b->to_file = b->file >= 0 && b->success;
	if (b->to_file && a->status == 206) {
		if (!is_rest(b, a, range)) {
			b->to_file = false; /* not a byte of it */
			return STOP_PART;
		}
		b->base = b->from;
	}
	b->limit = !b->to_file             ? b->memory.max
		   : b->max_file > b->base ? b->max_file - b->base
					   : 0;
	if (b->success && length > b->limit)
		return STOP_OVER;
	if (!b->to_file)
		return STOP_NOT;
	if ((stop = rewind_file(b)) != STOP_NOT)
		return stop;
	return look_for_room(b, length);
}

static enum http_stop
keep(struct http_body *b, const char *p, size_t n)
{
	struct err e = {0};

	if (!b->to_file) {
		buf_add(&b->memory, p, n);
		if (buf_state(&b->memory, NULL) == RC_OK)
			return STOP_NOT;
	} else if (io_write_all(b->file, p, n, &e) == RC_OK &&
		   (b->base > 0 ||
		       (hash_add(b->sha256, p, n, NULL) == RC_OK &&
			   (b->md5 == NULL || hash_add(b->md5, p, n, NULL) == RC_OK)))) {
		return STOP_NOT;
	}
	b->sys = e.sys != 0 ? e.sys : ENOMEM;
	return STOP_LOCAL;
}

enum http_stop
http_body_add(struct http_body *b, const char *p, size_t n)
{
	size_t part = b->limit - b->got < n ? (size_t)(b->limit - b->got) : n;
	enum http_stop stop;

	if (part < n && b->success)
		return STOP_OVER;
	if ((stop = keep(b, p, part)) != STOP_NOT)
		return stop;
	b->got += part;
	if (b->to_file && b->got - b->looked >= LOOK_EVERY &&
	    (stop = look_for_room(b, 0)) != STOP_NOT)
		return stop;
	return part < n ? STOP_ENOUGH : STOP_NOT;
}

bool
http_body_end(struct http_body *b, struct http_answer *a)
{
	char md5[HASH_HEX];

	if (!b->to_file || b->base > 0)
		return true;
	if (hash_end(b->sha256, a->sha256, NULL) != RC_OK)
		return false;
	return b->md5 == NULL ||
	       (hash_end(b->md5, md5, NULL) == RC_OK && str_copy(a->md5, sizeof(a->md5), md5));
}

void
http_body_free(struct http_body *b)
{
	buf_wipe(&b->memory);
	hash_free(&b->sha256);
	hash_free(&b->md5);
}
