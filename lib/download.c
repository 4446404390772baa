/*
 * SPDX-License-Identifier: ISC
 *
 * download - what downloads of documents have in common; see download.h.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "download.h"
#include "hash.h"
#include "json.h"
#include "sniff.h"
#include "str.h"

uint64_t
download_room(const struct conf *c)
{
	return 2 * c->spool.min_free;
}

void
download_request(const struct conf *c, struct http_request *rq)
{
	static const char *const headers[] = {"Accept-Encoding: identity"};

	rq->headers = headers;
	rq->nheaders = 1;
	rq->max_file = c->daemon.max_document;
	rq->min_free = download_room(c);
	rq->total_timeout = c->daemon.download_timeout;
}

enum rc
download_link(const char *link, const struct guard *g, struct http_url *u,
    char source[HASH_HEX], struct err *e)
{
	char text[sizeof(struct http_url)];
	enum rc rc;
	int n;

	source[0] = '\0';
	if (!http_url(link, u))
		return err_set(e, RC_BAD, "the document's link is not a URL");
	if ((rc = guard_url(g, u->scheme, u->host, u->port, u->userinfo, e)) != RC_OK)
		return rc;
	n = snprintf(text, sizeof(text), "%s://%s:%s%s", u->scheme, u->host, u->port, u->path);
	return hash_sha256(text, n > 0 ? (size_t)n : 0, source, e);
}

bool
download_follow(char link[HTTP_URL], const char *location)
{
	char next[HTTP_URL], raw[HTTP_URL];
	struct http_url u;

	if (location[0] == '/' && location[1] != '/') {
		if (!http_url(link, &u) ||
		    (size_t)snprintf(raw, sizeof(raw), "%s://%s:%s%s", u.scheme, u.host, u.port,
			location) >= sizeof(raw))
			return false;
	} else if (!str_copy(raw, sizeof(raw), location)) {
		return false;
	}
	return http_mend(raw, next, sizeof(next)) && str_copy(link, HTTP_URL, next);
}

enum rc
download_take(const struct http_answer *a, const char *link, const char *source,
    struct download *dl, struct store_meta *m, struct err *e)
{
	memset(dl, 0, sizeof(*dl));
	if (a->coding[0] != '\0' && !str_eq_nocase(a->coding, "identity"))
		return err_set(
		    e, RC_LATER, "the document came compressed, which was not asked for");
	m->size = a->file_len;
	(void)!str_copy(m->sha256, sizeof(m->sha256), a->sha256);
	(void)!str_copy(m->source, sizeof(m->source), source);
	if (http_etag_strong(a->etag))
		(void)!str_copy(m->etag, sizeof(m->etag), a->etag);
	digest_take(a, &dl->said);
	(void)!str_copy(dl->md5, sizeof(dl->md5), a->md5);
	(void)!str_copy_n(dl->content_type, sizeof(dl->content_type), a->content_type,
	    strnlen(a->content_type, sizeof(dl->content_type) - 1));
	sniff_name(a->disposition, link, dl->name, sizeof(dl->name));
	return RC_OK;
}

/* The first and the last bytes; sets m's suffix, type, name and warning. */
static enum rc
look(int fd, const struct download *dl, bool proven, const char *before, struct store_meta *m,
    bool *content, struct err *e)
{
	char *tail = malloc(SNIFF_TAIL), first[SNIFF_BYTES];
	uint64_t at = m->size > SNIFF_TAIL ? m->size - SNIFF_TAIL : 0;
	const char *odd;
	ssize_t n, k;
	enum rc rc;

	if (tail == NULL)
		return err_set(e, RC_LATER, "no memory");
	if ((n = pread(fd, first, sizeof(first), 0)) < 0 ||
	    (k = pread(fd, tail, SNIFF_TAIL, (off_t)at)) < 0) {
		rc = err_sys(e, "pread", "document");
		goto out;
	}
	*content = true;
	rc = sniff(first, (size_t)n, dl->content_type, dl->name, m, e);
	if (rc != RC_OK || (odd = sniff_tail(first, (size_t)n, tail, (size_t)k, m)) == NULL)
		goto out;
	/*
	 * It looks cut.  If its host's digest says that it is what the host has, or the try
	 * before brought the very same, then that is the document, odd as it is.
	 */
	if (proven || strstr(before, m->sha256) != NULL)
		(void)snprintf(m->warning, sizeof(m->warning), "%s", odd);
	else
		rc = err_set(e, RC_LATER, "%s (sha256 %s)", odd, m->sha256);
out:
	free(tail);
	return rc;
}

enum rc
download_check(int fd, struct download *dl, const char *before, struct store_meta *m,
    bool *content, struct err *e)
{
	char md5[HASH_HEX];
	enum digest digest;
	enum rc rc;

	(void)!str_copy(md5, sizeof(md5), dl->md5);
	*content = false;
	if (m->sha256[0] == '\0' && (rc = digest_file(fd, m->sha256, md5, e)) != RC_OK)
		return rc;
	digest = digest_compare(&dl->said, md5);
	if (digest == DIGEST_DIFFERS) {
		*content = true;
		return err_set(
		    e, RC_LATER, "the document does not have the digest that its host gives");
	}
	return look(fd, dl, digest == DIGEST_AGREES, before, m, content, e);
}

bool
download_is_message(const char *type, const char *p, size_t n)
{
	if (strcasestr(type, "json") != NULL || strcasestr(type, "html") != NULL ||
	    strcasestr(type, "problem") != NULL)
		return true;
	while (n > 0 && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')) {
		p++;
		n--;
	}
	return n == 0 || *p == '{' || *p == '[' || *p == '<';
}

/* Is the record in the store newer than this one? */
static bool
is_older(struct store *st, const struct conf *c, const struct event *ev,
    const struct store_place *at, const char *body, size_t n)
{
	struct buf kept = BUF_INIT(c->daemon.max_record);
	struct json *old = NULL, *new = NULL;
	bool older;

	older = store_read_record(st, at, &kept, NULL) == RC_OK &&
		json_parse(buf_text(&kept), kept.n, &old, NULL) == RC_OK &&
		json_parse(body, n, &new, NULL) == RC_OK && api_is_older(c, ev, old, new);
	json_free(&old);
	json_free(&new);
	buf_free(&kept);
	return older;
}

enum rc
download_record(struct store *st, const struct conf *c, const struct event *ev,
    const struct store_place *at, const char *body, size_t n, struct err *e)
{
	if (is_older(st, c, ev, at, body, n))
		return err_set(e, RC_EXISTS, "the record in the store is newer");
	return store_record(st, at, body, n, e);
}
