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

#include "http_priv.h"
#include "io.h"
#include "str.h"

enum rc
http_body_open(struct http_body *b, const struct http_request *r, struct err *e)
{
	const size_t most = SIZE_MAX / 4; /* buf adds one and doubles */
	enum rc rc;

	memset(b, 0, sizeof(*b));
	b->memory = BUF_SECRET(r->max_body < most ? r->max_body : most);
	b->file = r->file;
	b->max_file = r->max_file;
	if (b->file < 0)
		return RC_OK;
	if ((rc = hash_new(&b->sha256, e)) != RC_OK)
		return rc;
	if (hash_new_md5(&b->md5, NULL) != RC_OK)
		b->md5 = NULL; /* forbidden here: answer.md5 stays empty */
	return RC_OK;
}

enum http_stop
http_body_begin(struct http_body *b, int status, int64_t length)
{
	b->begun = true;
	b->success = status / 100 == 2;
	b->to_file = b->file >= 0 && b->success;
	b->limit = b->to_file ? b->max_file : b->memory.max;
	return b->success && length > 0 && (uint64_t)length > b->limit ? STOP_OVER : STOP_NOT;
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
		   hash_add(b->sha256, p, n, NULL) == RC_OK &&
		   (b->md5 == NULL || hash_add(b->md5, p, n, NULL) == RC_OK)) {
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
	return part < n ? STOP_ENOUGH : STOP_NOT;
}

bool
http_body_end(struct http_body *b, struct http_answer *a)
{
	char md5[HASH_HEX];

	if (!b->to_file)
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
