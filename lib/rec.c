/*
 * SPDX-License-Identifier: ISC
 *
 * rec - the record format; see rec.h.
 */
#include "config.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "clk.h"
#include "rec.h"
#include "str.h"

#define REC_LINE 998 /* RFC 5322 section 2.1.1 */

const char *
rec_source_name(enum rec_source s)
{
	switch (s) {
	case REC_WEBHOOK:
		return "webhook";
	case REC_RECONCILE:
		return "reconcile";
	case REC_OPERATOR:
		return "operator";
	}
	return "webhook";
}

static bool
source_parse(const char *text, enum rec_source *s)
{
	for (*s = REC_WEBHOOK; *s <= REC_OPERATOR; (*s)++)
		if (str_eq(text, rec_source_name(*s)))
			return true;
	*s = REC_WEBHOOK;
	return false;
}

static void
field(struct buf *b, const char *name, const char *value)
{
	char safe[REC_VALUE]; /* so that the reader has room for it */

	buf_fmt(b, "%s: %s\n", name, str_escape(safe, sizeof(safe), value, strlen(value)));
}

/* The rule of reader and writer: what one refuses the other does not make. */
static enum rc
check_name(const struct rec *r, struct err *e)
{
	struct name parts;

	if (!name_parse(r->name, &parts) || !str_eq(parts.account, r->account))
		return err_set(e, RC_BAD, "Arken-Event is not an event's name");
	/* Escaped it might be longer than what the reader has room for. */
	if (!str_only(r->erased_ids, ".", 0, sizeof(r->erased_ids) - 1))
		return err_set(e, RC_BAD, "Arken-Erased-Ids is not a digest");
	return RC_OK;
}

enum rc
rec_write(struct buf *out, struct rec *r, struct err *e)
{
	char date[CLK_TEXT], stamp[CLK_TEXT];
	enum rc rc;

	if ((rc = check_name(r, e)) != RC_OK)
		return rc;
	if ((rc = hash_sha256(r->body, r->body_len, r->sha256, e)) != RC_OK)
		return rc;
	clk_rfc5322(r->received, date);
	clk_rfc3339(r->received, stamp);
	buf_fmt(out, "Date: %s\n", date);
	buf_fmt(out, "From: \"Arken (%s)\" <webhook@arken.invalid>\n", r->account);
	field(out, "Subject", r->subject);
	buf_fmt(out, "Message-ID: <%s@arkenspool.invalid>\n", r->name);
	buf_str(out, "MIME-Version: 1.0\n"
		     "Content-Type: application/json\n"
		     "Content-Transfer-Encoding: binary\n");
	buf_fmt(out, "Arken-Spool: %d\n", REC_VERSION);
	field(out, "Arken-Account", r->account);
	field(out, "Arken-Event", r->name);
	buf_fmt(out, "Arken-Received: %s\n", stamp);
	field(out, "Arken-Source", rec_source_name(r->source));
	field(out, "Arken-Auth", r->auth);
	field(out, "Arken-Remote", r->remote);
	buf_fmt(out, "Arken-SHA256: %s\n", r->sha256);
	if (r->erased != 0) {
		clk_rfc3339(r->erased, stamp);
		buf_fmt(out, "Arken-Erased: %s\n", stamp);
		field(out, "Arken-Erased-Ids", r->erased_ids);
		clk_rfc3339(r->event_time, stamp);
		buf_fmt(out, "Arken-Erased-Event: %s\n", stamp);
	}
	buf_fmt(out, "Content-Length: %zu\n\n", r->body_len);
	return buf_state(out, e);
}

/* What a header said, before it is believed. */
struct head {
	char version[8];
	char length[24];
	char received[CLK_TEXT];
	char source[16];
	char erased[CLK_TEXT], event_time[CLK_TEXT];
	unsigned seen; /* one bit a wanted field */
};

struct wanted {
	const char *name;
	char *value;
	size_t size;
};

#define NEEDED 10 /* the first of those wanted */
#define WANTED 13

static void
want(struct wanted w[WANTED], struct rec *r, struct head *h)
{
	w[0] = (struct wanted){"Arken-Spool", h->version, sizeof(h->version)};
	w[1] = (struct wanted){"Arken-Account", r->account, sizeof(r->account)};
	w[2] = (struct wanted){"Arken-Event", r->name, sizeof(r->name)};
	w[3] = (struct wanted){"Arken-Received", h->received, sizeof(h->received)};
	w[4] = (struct wanted){"Arken-Source", h->source, sizeof(h->source)};
	w[5] = (struct wanted){"Arken-Auth", r->auth, sizeof(r->auth)};
	w[6] = (struct wanted){"Arken-Remote", r->remote, sizeof(r->remote)};
	w[7] = (struct wanted){"Arken-SHA256", r->sha256, sizeof(r->sha256)};
	w[8] = (struct wanted){"Subject", r->subject, sizeof(r->subject)};
	w[9] = (struct wanted){"Content-Length", h->length, sizeof(h->length)};
	w[10] = (struct wanted){"Arken-Erased", h->erased, sizeof(h->erased)};
	w[11] = (struct wanted){"Arken-Erased-Ids", r->erased_ids, sizeof(r->erased_ids)};
	w[12] = (struct wanted){"Arken-Erased-Event", h->event_time, sizeof(h->event_time)};
}

/* One "Name: value" line without its newline.  Fields nobody asked for are skipped. */
static enum rc
read_line(const char *line, size_t n, struct wanted w[WANTED], unsigned *seen, struct err *e)
{
	const char *colon = memchr(line, ':', n);

	if (n > REC_LINE || colon == NULL || colon == line || colon + 1 == line + n ||
	    colon[1] != ' ')
		return err_set(e, RC_BAD, "a header line is malformed");
	for (unsigned i = 0; i < WANTED; i++) {
		size_t k = strlen(w[i].name);

		if ((size_t)(colon - line) != k || memcmp(line, w[i].name, k) != 0)
			continue;
		if (*seen & 1u << i)
			return err_set(e, RC_BAD, "header field %s stands twice", w[i].name);
		*seen |= 1u << i;
		if (!str_copy_n(w[i].value, w[i].size, colon + 2, n - k - 2))
			return err_set(e, RC_BAD, "header field %s is too long", w[i].name);
	}
	return RC_OK;
}

static enum rc
read_lines(const char *p, size_t n, struct wanted w[WANTED], unsigned *seen, size_t *body,
    struct err *e)
{
	size_t at = 0;
	enum rc rc;

	*seen = 0;
	for (;;) {
		const char *nl = memchr(p + at, '\n', n - at);
		size_t len;

		if (nl == NULL)
			return err_set(e, RC_BAD, "the header has no end");
		len = (size_t)(nl - (p + at));
		if (len == 0)
			break;
		if ((rc = read_line(p + at, len, w, seen, e)) != RC_OK)
			return rc;
		at += len + 1;
	}
	*body = at + 1;
	return RC_OK;
}

/* The version is the first of the wanted fields: only in ours are all of them needed. */
static enum rc
check_fields(const struct wanted w[WANTED], const struct head *h, struct err *e)
{
	if (h->seen & 1u && !str_eq(h->version, "1"))
		return err_set(e, RC_BAD, "format version %s is not known here", h->version);
	for (unsigned i = 0; i < NEEDED; i++)
		if (!(h->seen & 1u << i))
			return err_set(e, RC_BAD, "header field %s is missing", w[i].name);
	return RC_OK;
}

static enum rc
read_head(const char *p, size_t n, struct rec *out, size_t *body, uint64_t *len, struct err *e)
{
	struct wanted w[WANTED];
	struct head h = {0};
	enum rc rc;

	memset(out, 0, sizeof(*out));
	want(w, out, &h);
	if ((rc = read_lines(p, n < REC_HEAD_MAX ? n : REC_HEAD_MAX, w, &h.seen, body, e)) !=
		RC_OK ||
	    (rc = check_fields(w, &h, e)) != RC_OK || (rc = check_name(out, e)) != RC_OK)
		return rc;
	if (!clk_parse(h.received, &out->received))
		return err_set(e, RC_BAD, "Arken-Received is not a time");
	if ((h.erased[0] != '\0' && !clk_parse(h.erased, &out->erased)) ||
	    (h.event_time[0] != '\0' && !clk_parse(h.event_time, &out->event_time)))
		return err_set(e, RC_BAD, "Arken-Erased is not a time");
	if (!source_parse(h.source, &out->source))
		return err_set(e, RC_BAD, "Arken-Source is not known");
	if (!str_u64(h.length, 0, SIZE_MAX, len))
		return err_set(e, RC_BAD, "Content-Length is not a length");
	return RC_OK;
}

enum rc
rec_head(const char *p, size_t n, struct rec *out, struct err *e)
{
	uint64_t len;
	size_t body;
	enum rc rc;

	if ((rc = read_head(p, n, out, &body, &len, e)) == RC_OK)
		out->body_len = (size_t)len;
	return rc;
}

enum rc
rec_parse(const char *p, size_t n, struct rec *out, struct err *e)
{
	char sha[HASH_HEX];
	uint64_t len;
	size_t body;
	enum rc rc;

	if ((rc = read_head(p, n, out, &body, &len, e)) != RC_OK)
		return rc;
	if (n - body != len)
		return err_set(
		    e, RC_BAD, "the body has %zu bytes, announced are %" PRIu64, n - body, len);
	if ((rc = hash_sha256(p + body, n - body, sha, e)) != RC_OK)
		return rc;
	if (!str_eq(sha, out->sha256))
		return err_set(e, RC_BAD, "the body does not have the digest of its header");
	out->body = p + body;
	out->body_len = (size_t)len;
	return RC_OK;
}
