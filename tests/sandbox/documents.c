/*
 * SPDX-License-Identifier: ISC
 *
 * documents - the document host: signed links that expire, as S3 has them.
 *
 * A link carries its own authority.  Anything else that proves an identity, or
 * an x-amz header that was not signed, is refused, as S3 does.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "emit.h"

#define BUCKET "/arken-documents/"
#define VALUE_MAX 512

/* What is signed: everything that may not be changed. */
static bool
signature(const struct sandbox *sb, const char *path, const char *date, const char *expires,
    char out[SHA_SIZE])
{
	struct buf b;
	bool ok;

	buf_init(&b, 16384);
	buf_str(&b, "GET\n");
	buf_str(&b, path);
	buf_fmt(&b, "\n%.64s\n%.64s", date, expires);
	ok = !b.bad && sign_hex(sb->link_key, b.p, out);
	buf_free(&b);
	return ok;
}

void
documents_link(struct sandbox *sb, uint32_t file, long long life, struct buf *out)
{
	const struct file *f = world_file(sb->world, file);
	int64_t made = clock_utc_us() / 1000000;
	char date[TIME_SIZE], expires[24], sig[SHA_SIZE], name[NAME_SIZE];
	struct buf path;

	if (life < 0) { /* handed out dead: made long ago */
		made -= 7200;
		life = 3600;
	}
	time_amz(date, made);
	snprintf(expires, sizeof(expires), "%lld", life);
	world_file_name(sb->world, f->document, name);
	buf_init(&path, HTTP_VALUE_MAX);
	buf_fmt(&path, BUCKET "%s/%s/%u/", sb->opt.account,
	    world_get(sb->world, OBJ_DOCUMENT, f->document)->id, file);
	buf_url(&path, name);
	signature(sb, path.p, date, expires, sig);
	buf_str(out, sb->document_url);
	buf_str(out, path.p);
	buf_fmt(out,
	    "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=SANDBOX%%2F%.8s%%2F"
	    "sandbox%%2Fs3%%2Faws4_request&X-Amz-Date=%s&X-Amz-Expires=%s"
	    "&X-Amz-SignedHeaders=host&X-Amz-Signature=%s&x-link=%u",
	    date, date, expires, sig, ++sb->links);
	buf_free(&path);
}

static void
error(struct http_reply *r, unsigned status, const char *code, const char *message)
{
	r->status = status;
	http_set(r, "Content-Type", "application/xml");
	buf_fmt(&r->body,
	    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code>"
	    "<Message>%s</Message><RequestId>SANDBOX</RequestId></Error>",
	    code, message);
}

/* The file a good request may have, or 0 and the answer. */
static uint32_t
authorize(struct sandbox *sb, struct http_req *q, struct http_reply *r)
{
	char date[64], expires[64], given[VALUE_MAX], want[SHA_SIZE];
	const char *query = http_query(q);
	long long life = 0, file = 0;
	int64_t made;

	if (http_field(q, "Authorization") != NULL) {
		count_add(sb->count, COUNT_document_authorization, 1);
		error(r, 400, "InvalidArgument", "Only one auth mechanism allowed");
		return 0;
	}
	query_get(query, "X-Amz-Date", date, sizeof(date));
	query_get(query, "X-Amz-Expires", expires, sizeof(expires));
	query_get(query, "X-Amz-Signature", given, sizeof(given));
	made = time_amz_parse(date);
	if (given[0] == '\0' || made < 0 || !num_parse(expires, 1, 604800, &life)) {
		error(r, 403, "AccessDenied", "Access Denied");
		return 0;
	}
	if (http_field_begins(q, "x-amz-")) {
		error(r, 403, "AccessDenied",
		    "There were headers present in the request "
		    "which were not signed");
		return 0;
	}
	if (strcmp(http_method(q), "GET") != 0 ||
	    !signature(sb, http_path(q), date, expires, want) || !text_same(want, given)) {
		error(r, 403, "SignatureDoesNotMatch",
		    "The request signature we calculated does not match");
		return 0;
	}
	if (clock_utc_us() / 1000000 >= made + life) {
		count_add(sb->count, COUNT_document_expired, 1);
		error(r, 403, "AccessDenied", "Request has expired");
		return 0;
	}
	(void)sscanf(http_path(q), BUCKET "%*[^/]/%*[^/]/%10lld/", &file);
	return (uint32_t)file;
}

/* bytes=a-b, bytes=a- or bytes=-n of size; 1: a range, 0: none to honour, -1: bad. */
static int
range_parse(const char *s, uint64_t size, uint64_t *from, uint64_t *to)
{
	long long a = -1, b = -1;
	char text[64], *dash;

	if (s == NULL || strncmp(s, "bytes=", 6) != 0 || strchr(s, ',') != NULL)
		return 0;
	text_copy(text, sizeof(text), s + 6);
	if ((dash = strchr(text, '-')) == NULL)
		return 0;
	*dash++ = '\0';
	if ((text[0] != '\0' && !num_parse(text, 0, INT64_MAX, &a)) ||
	    (*dash != '\0' && !num_parse(dash, 0, INT64_MAX, &b)) || (a < 0 && b < 0) ||
	    (a >= 0 && b >= 0 && b < a))
		return 0;
	if (a < 0) {
		*from = (uint64_t)b < size ? size - (uint64_t)b : 0;
		*to = size - 1;
		return b > 0 ? 1 : -1;
	}
	*from = (uint64_t)a;
	*to = b >= 0 && (uint64_t)b < size ? (uint64_t)b : size - 1;
	return *from < size ? 1 : -1;
}

static void
serve(struct sandbox *sb, struct http_req *q, struct http_reply *r, uint32_t file)
{
	const struct file *f = world_file(sb->world, file);
	const char *if_range = http_field(q, "If-Range"), *range = http_field(q, "Range");
	const char *none;
	char etag[MD5_SIZE + 2], when[TIME_SIZE], part[96];
	uint64_t from = 0, to = f->size - 1;
	struct pdf *pdf;
	int is = 0;

	snprintf(etag, sizeof(etag), "\"%s\"", f->md5);
	time_http(when, f->made);
	if ((none = http_field(q, "If-None-Match")) != NULL && strcmp(none, etag) == 0) {
		r->status = 304;
		http_set(r, "ETag", etag);
		return;
	}
	if (if_range == NULL || strcmp(if_range, etag) == 0 || strcmp(if_range, when) == 0)
		is = range_parse(range, f->size, &from, &to);
	if (is < 0) {
		error(r, 416, "InvalidRange", "The requested range is not satisfiable");
		snprintf(part, sizeof(part), "bytes */%llu", (unsigned long long)f->size);
		http_set(r, "Content-Range", part);
		return;
	}
	r->ctx = pdf = mem_new(1, sizeof(*pdf));
	world_pdf(sb->world, file, pdf);
	r->read = pdf_read;
	r->from = from;
	r->size = to - from + 1;
	r->status = is == 1 ? 206 : 200;
	r->tag = to == f->size - 1 ? file : 0;
	http_set(r, "Content-Type", "application/pdf");
	http_set(r, "ETag", etag);
	http_set(r, "Last-Modified", when);
	http_set(r, "Accept-Ranges", "bytes");
	http_set(r, "x-amz-server-side-encryption", "AES256");
	if (is == 1) {
		snprintf(part, sizeof(part), "bytes %llu-%llu/%llu", (unsigned long long)from,
		    (unsigned long long)to, (unsigned long long)f->size);
		http_set(r, "Content-Range", part);
	}
}

/* The whole answer has left: it counts as fetched if the file's end was in it. */
static void
sent(void *arg, struct http_reply *r, bool whole)
{
	struct sandbox *sb = arg;
	const struct file *f;

	if (!whole || r->wire == WIRE_SHORT || r->wire == WIRE_LONG || r->wire == WIRE_CUT)
		return;
	count_add(sb->count, COUNT_document_bytes, (long long)r->size);
	if (r->tag == 0)
		return;
	pthread_mutex_lock(&sb->lock);
	f = world_file(sb->world, (uint32_t)r->tag);
	if (sb->opt.download_events && f != NULL)
		emit_one(sb, FILE_DOWNLOAD, OBJ_DOCUMENT, f->document);
	pthread_mutex_unlock(&sb->lock);
	count_add(sb->count, COUNT_documents, 1);
}

static void
get(struct sandbox *sb, struct http_req *q, struct http_reply *r)
{
	uint32_t file;
	const struct file *f;

	if (strncmp(http_path(q), BUCKET, sizeof(BUCKET) - 1) != 0) {
		error(r, 403, "AccessDenied", "Access Denied");
		return;
	}
	if ((file = authorize(sb, q, r)) == 0)
		return;
	f = world_file(sb->world, file);
	if (f == NULL || world_get(sb->world, OBJ_DOCUMENT, f->document)->gone) {
		error(r, 404, "NoSuchKey", "The specified key does not exist.");
		return;
	}
	serve(sb, q, r, file);
	r->sent = sent;
}

void
documents_handle(void *arg, struct http_req *q, struct http_reply *r)
{
	struct sandbox *sb = arg;
	struct fault f;
	bool hit;

	pthread_mutex_lock(&sb->lock);
	count_add(sb->count, COUNT_document_requests, 1);
	if ((hit = fault_take(&sb->faults, ON_DOCUMENT, http_uri(q), &f)))
		count_add(sb->count, COUNT_faults, 1);
	if (hit && fault_answers(&f) && http_field(q, "Authorization") != NULL)
		count_add(sb->count, COUNT_document_authorization, 1);
	if (!hit || !fault_answers(&f))
		get(sb, q, r);
	if (hit)
		fault_apply(&f, r);
	pthread_mutex_unlock(&sb->lock);
}
