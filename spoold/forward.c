/*
 * SPDX-License-Identifier: ISC
 *
 * forward - what an HTTP receiver is sent, and what its answer means; see forward.h.
 */
#include "config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "clk.h"
#include "forward.h"
#include "str.h"

#define BODY_MAX ((size_t)256 << 20) /* an event and a record of the largest limits */
#define SAID 160                     /* bytes of an answer's body that are shown */

/* ---- header lines ---- */

static void add_line(struct forward *f, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void
add_line(struct forward *f, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(f->line[f->n], FORWARD_LINE, fmt, ap);
	va_end(ap);
	if (n < 0 || n >= FORWARD_LINE)
		f->text.broken = true;
	f->header[f->n] = f->line[f->n];
	f->n++;
}

/* The three of Standard Webhooks, over all that is in text. */
static enum rc
add_signature(struct forward *f, const char *id, int64_t seconds, const struct sign_keys *keys,
    struct err *e)
{
	char text[SIGN_TEXT];
	enum rc rc;

	if ((rc = buf_state(&f->text, e)) != RC_OK ||
	    (rc = sign_make(keys, f->text.p, f->text.n, text, e)) != RC_OK)
		return rc;
	add_line(f, "webhook-id: %s", id);
	add_line(f, "webhook-timestamp: %" PRId64, seconds);
	add_line(f, "webhook-signature: %s", text);
	return RC_OK;
}

/* ---- the event ---- */

static void
member(struct buf *b, const char *name, const char *value)
{
	buf_fmt(b, "\"%s\":", name);
	if (value[0] != '\0')
		buf_json(b, value);
	else
		buf_str(b, "null");
	buf_str(b, ",");
}

static void
add_document(struct buf *b, const struct store_meta *m)
{
	buf_fmt(b, "{\"size\":%" PRIu64 ",", m->size);
	member(b, "sha256", m->sha256);
	member(b, "mediaType", m->media_type);
	member(b, "originalName", m->original);
	buf_str(b, "\"event\":");
	buf_json(b, m->event);
	buf_str(b, "}");
}

static void
add_body(struct buf *b, const struct hand *h, const char *record, size_t record_len)
{
	char stamp[CLK_TEXT];

	clk_rfc3339(h->rec->received, stamp);
	buf_fmt(b, "{\"type\":\"%s.%s\",\"timestamp\":\"%s\",\"data\":{", h->ev->category,
	    h->ev->type, stamp);
	member(b, "id", h->key);
	member(b, "account", h->account);
	member(b, "name", h->name);
	member(b, "source", rec_source_name(h->rec->source));
	member(b, "object", h->object);
	member(b, "accountHashId", h->ev->account_hash);
	member(b, "clientHashId", h->ev->client_hash);
	member(b, "documentHashId", h->ev->document_hash);
	member(b, "userHashId", h->ev->user_hash);
	buf_fmt(b, "\"deleted\":%s,\"event\":", h->deleted ? "true" : "false");
	buf_add(b, h->rec->body, h->rec->body_len);
	buf_str(b, ",\"record\":");
	if (record != NULL)
		buf_add(b, record, record_len);
	else
		buf_str(b, "null");
	buf_str(b, ",\"document\":");
	if (h->has_document)
		add_document(b, &h->meta);
	else
		buf_str(b, "null");
	buf_str(b, "}}");
}

enum rc
forward_post(struct forward *out, const struct hand *h, const char *record, size_t record_len,
    const struct sign_keys *keys, int64_t now, struct err *e)
{
	enum rc rc;

	*out = (struct forward){.text = BUF_INIT(BODY_MAX)};
	sign_begin(&out->text, h->key, now / CLK_SECOND);
	out->body_at = out->text.n;
	add_body(&out->text, h, record, record_len);
	add_line(out, "Content-Type: application/json");
	add_line(out, "Accept: */*");
	rc = add_signature(out, h->key, now / CLK_SECOND, keys, e);
	if (rc == RC_OK)
		rc = buf_state(&out->text, e);
	if (rc != RC_OK)
		forward_free(out);
	return rc;
}

/* ---- the document ---- */

/* 64 hexadecimal digits as bytes; false: they are none. */
static bool
unhex(const char *hex, unsigned char out[32])
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(hex) != 64 || strspn(hex, digits) != 64)
		return false;
	for (size_t i = 0; i < 32; i++)
		out[i] = (unsigned char)((strchr(digits, hex[2 * i]) - digits) * 16 +
					 (strchr(digits, hex[2 * i + 1]) - digits));
	return true;
}

/* The vendor's name of the document, as nothing but a parameter (RFC 6266, RFC 8187). */
static void
add_name(struct forward *f, const char *original)
{
	struct buf name = BUF_INIT(FORWARD_LINE);

	if (original[0] == '\0')
		return;
	buf_url(&name, original);
	add_line(f, "Content-Disposition: attachment; filename*=UTF-8''%s", buf_text(&name));
	buf_free(&name);
}

enum rc
forward_put(struct forward *out, const struct hand *h, const struct sign_keys *keys,
    int64_t now, struct err *e)
{
	char digest[SIGN_BASE64(32)], id[NAME_KEY + 16];
	unsigned char sum[32];
	enum rc rc;

	*out = (struct forward){.text = BUF_INIT(FORWARD_LINE)};
	if (!unhex(h->meta.sha256, sum))
		return err_set(e, RC_BAD, "the document's description has no digest");
	sign_base64(digest, sum, sizeof(sum));
	(void)snprintf(id, sizeof(id), "%s-document", h->key);
	sign_begin(&out->text, id, now / CLK_SECOND);
	buf_fmt(&out->text, "sha-256=:%s:", digest);
	add_line(out, "Content-Type: %s",
	    h->meta.media_type[0] != '\0' ? h->meta.media_type : "application/octet-stream");
	add_line(out, "Content-Digest: sha-256=:%s:", digest);
	add_name(out, h->meta.original);
	add_line(out, "Arken-Event: %s", h->name);
	rc = add_signature(out, id, now / CLK_SECOND, keys, e);
	if (rc == RC_OK)
		rc = buf_state(&out->text, e);
	if (rc != RC_OK)
		forward_free(out);
	return rc;
}

void
forward_free(struct forward *f)
{
	buf_free(&f->text);
	f->n = 0;
}

/* ---- where to ---- */

enum rc
forward_url(const char *template, const struct hand *h, char out[HTTP_URL], struct err *e)
{
	const struct {
		const char *name, *value;
	} known[] = {{"{account}", h->account}, {"{eventId}", h->key}, {"{object}", h->object},
	    {"{category}", h->ev->category}, {"{type}", h->ev->type},
	    {"{accountHashId}", h->ev->account_hash}, {"{clientHashId}", h->ev->client_hash},
	    {"{documentHashId}", h->ev->document_hash}, {"{userHashId}", h->ev->user_hash},
	    {"{sha256}", h->meta.sha256}, {"{suffix}", h->meta.suffix}};
	const size_t n = sizeof(known) / sizeof(known[0]);
	struct buf b = BUF_INIT(HTTP_URL - 1);
	enum rc rc = RC_OK;

	while (*template != '\0' && rc == RC_OK) {
		size_t i = 0;

		while (i < n && !str_begins(template, known[i].name))
			i++;
		if (i == n) {
			buf_add(&b, template ++, 1);
			continue;
		}
		if (known[i].value[0] == '\0' && !str_eq(known[i].name, "{suffix}"))
			rc = err_set(e, RC_BAD,
			    "the event has no value for %s of forward_document_url",
			    known[i].name);
		buf_url(&b, known[i].value);
		template += strlen(known[i].name);
	}
	if (rc == RC_OK && (buf_state(&b, NULL) != RC_OK || !str_copy(out, HTTP_URL, b.p)))
		rc = err_set(e, RC_BAD, "forward_document_url becomes too long");
	buf_free(&b);
	return rc;
}

/* ---- the answer ---- */

/* No status: what became of the exchange. */
static enum handed
by_fate(const struct http_answer *a)
{
	switch (a->fate) {
	case HTTP_NO_NAME:
	case HTTP_NO_CONNECT:
	case HTTP_NO_TLS:
	case HTTP_STALLED:
		return HANDED_DOWN;
	case HTTP_CUT:
		return a->status == 0 ? HANDED_DOWN : HANDED_LATER;
	case HTTP_LOCAL:
		return HANDED_OURS;
	case HTTP_FORBIDDEN:
		return HANDED_CONFIG;
	case HTTP_ANSWERED:
	case HTTP_TOO_LARGE:
		break;
	}
	return HANDED_LATER;
}

static enum handed
by_status(int s)
{
	if (s >= 200 && s < 300)
		return HANDED_DONE;
	switch (s) {
	case 410: /* of Standard Webhooks: do not call any more */
		return HANDED_CONFIG;
	case 401: /* secret or address are wrong, or a proxy is in the way: true of all events
		   */
	case 402:
	case 403:
	case 404:
	case 405:
	case 407:
	case 429:
	case 502:
	case 503:
	case 504:
		return HANDED_DOWN;
	case 408:
	case 409:
	case 423:
	case 425:
		return HANDED_LATER;
	default:
		break;
	}
	if (s >= 300 && s < 400)
		return HANDED_DOWN; /* not followed */
	return s >= 500 ? HANDED_LATER : HANDED_NEVER;
}

/* The beginning of what it said, in one line. */
static void
said(const struct http_answer *a, char out[SAID + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < a->body_len && n < SAID; i++) {
		char c = a->body[i];

		if (c > ' ' && c <= '~')
			out[n++] = c;
		else if (n > 0 && out[n - 1] != ' ')
			out[n++] = ' ';
	}
	out[n] = '\0';
}

enum handed
forward_verdict(const struct http_answer *a, char text[HANDED_TEXT])
{
	char words[SAID + 1];
	bool whole = a->fate == HTTP_ANSWERED || a->fate == HTTP_TOO_LARGE;

	if (!whole || a->status == 0) {
		(void)snprintf(text, HANDED_TEXT, "forward: %.300s", a->text);
		return by_fate(a);
	}
	said(a, words);
	(void)snprintf(text, HANDED_TEXT, "forward: answered %d%s%s%s", a->status,
	    a->status / 100 == 3 ? " (redirects are not followed)" : "",
	    a->status / 100 != 2 && words[0] != '\0' ? ": " : "",
	    a->status / 100 != 2 ? words : "");
	return by_status(a->status);
}
