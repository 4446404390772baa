/*
 * SPDX-License-Identifier: ISC
 *
 * admin - makes things happen, breaks things, and says what happened.
 *
 * Plain HTTP on the loopback address, for tests and for the person trying an
 * installation.  Waits by suspended request, never by asking again and again.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "emit.h"

#define COUNT_MAX 1000000
#define DUPLICATE_MAX 100
#define WAIT_MS 30000
#define VALUE_MAX 512

typedef void answer(struct sandbox *sb, struct http_req *q, struct http_reply *r);

static void
bad(struct http_reply *r, const char *why)
{
	http_json(r, 400, "{\"message\":\"%s\"}", why);
}

static void
id_put(
    struct buf *out, const struct sandbox *sb, const char *name, enum obj_type type, uint32_t i)
{
	const struct obj *o = world_get(sb->world, type, i);

	buf_fmt(out, ",\"%s\":", name);
	buf_json(out, o != NULL ? o->id : NULL);
}

static const char *
state(const struct event *e)
{
	if (e->open > 0)
		return "pending";
	return e->accepted ? "delivered" : "abandoned";
}

/* file_of: only an upload has a digest. */
static void
event_put(struct buf *out, const struct sandbox *sb, const struct event *e)
{
	const struct file *f = world_file(sb->world, e->kind == FILE_UPLOAD ? e->file : 0);
	char id[GUID_SIZE], category[NAME_SIZE], type[NAME_SIZE], name[NAME_SIZE];

	id_guid(id, (uint64_t)sb->opt.seed, e->number);
	shape_kind(sb, e, category, type);
	buf_fmt(out,
	    "{\"eventId\":\"%s\",\"eventNumber\":%u,\"kind\":\"%s.%s\",\"shape\":\"%s\"", id,
	    e->number, category, type, shape_name((enum shape)e->shape));
	id_put(out, sb, "clientHashId", OBJ_CLIENT, e->client);
	id_put(out, sb, "documentHashId", OBJ_DOCUMENT, e->document);
	id_put(out, sb, "userHashId", OBJ_USER, e->user);
	buf_str(out, ",\"sha256\":");
	buf_json(out, f != NULL ? f->sha : NULL);
	if (f != NULL) {
		world_file_name(sb->world, e->document, name);
		buf_fmt(out, ",\"size\":%llu,\"version\":%u,\"fileName\":\"%s\"",
		    (unsigned long long)f->size, f->version, name);
	} else {
		buf_str(out, ",\"size\":null");
	}
	buf_fmt(out, ",\"state\":\"%s\",\"attempts\":%u,\"status\":", state(e), e->tries);
	if (e->status < 0)
		buf_json(out, NULL);
	else
		buf_fmt(out, "%d", e->status);
	buf_str(out, "}");
}

static void
events_put(struct buf *out, struct sandbox *sb, uint32_t from, uint32_t to)
{
	uint32_t i;

	buf_str(out, "[");
	for (i = from; i <= to; i++) {
		if (i > from)
			buf_str(out, ",");
		event_put(out, sb, feed_get(sb->feed, i));
	}
	buf_str(out, "]");
}

static void
json_type(struct http_reply *r)
{
	r->status = 200;
	http_set(r, "Content-Type", "application/json");
}

/* A number that may be absent. */
static bool
number(struct http_req *q, const char *name, long long lo, long long hi, long long *out)
{
	char text[64];

	if (!query_get(http_query(q), name, text, sizeof(text))) {
		(void)snprintf(text, sizeof(text), "%s=", name); /* not the end of "Account" */
		return strstr(http_query(q), text) == NULL;
	}
	return num_parse(text, lo, hi, out);
}

/* An object given by its hash id, if there is one; false: not known. */
static bool
given(
    struct sandbox *sb, struct http_req *q, const char *name, enum obj_type type, uint32_t *out)
{
	char id[VALUE_MAX];

	if (!query_get(http_query(q), name, id, sizeof(id)))
		return true;
	*out = world_find(sb->world, type, id);
	return *out != 0;
}

static bool
kind_read(struct http_req *q, struct emit *m)
{
	char text[VALUE_MAX];

	if (!query_get(http_query(q), "kind", text, sizeof(text)))
		return false;
	m->what = EMIT_ONE;
	if (strcmp(text, "all") == 0)
		m->what = EMIT_ALL;
	else if (strcmp(text, "mixed") == 0)
		m->what = EMIT_MIXED;
	else if (strcmp(text, "FileStore.GetFileDetail") == 0)
		m->kind = FILE_DOWNLOAD;
	else
		return (m->kind = kind_named(text)) != KIND_N;
	return true;
}

static void
post_emit(struct sandbox *sb, struct http_req *q, struct http_reply *r)
{
	long long count = 1, deliver = 1, duplicate = 0;
	char text[VALUE_MAX];
	struct emit m;
	uint32_t first;

	memset(&m, 0, sizeof(m));
	m.shape = shape_named(sb->opt.shape);
	if (query_get(http_query(q), "shape", text, sizeof(text)))
		m.shape = shape_named(text);
	if (!kind_read(q, &m) || m.shape == SHAPE_N) {
		bad(r, "no such kind or shape");
		return;
	}
	if (!number(q, "count", 1, COUNT_MAX, &count) ||
	    !number(q, "deliver", 0, 1, &deliver) ||
	    !number(q, "duplicate", 0, DUPLICATE_MAX, &duplicate) ||
	    !given(sb, q, "client", OBJ_CLIENT, &m.client) ||
	    !given(sb, q, "user", OBJ_USER, &m.user) ||
	    !given(sb, q, "document", OBJ_DOCUMENT, &m.document)) {
		bad(r, "bad count, deliver, duplicate, client, user or document");
		return;
	}
	m.keep = deliver == 0;
	m.duplicate = (unsigned)duplicate;
	if ((first = emit(sb, &m, (unsigned)count)) == 0) {
		http_json(r, 507, "{\"message\":\"max-events reached\"}");
		return;
	}
	json_type(r);
	buf_str(&r->body, "{\"events\":");
	events_put(&r->body, sb, first, feed_last(sb->feed));
	buf_str(&r->body, "}");
}

static void
get_events(struct sandbox *sb, struct http_req *q, struct http_reply *r)
{
	long long from = 1, rows = UINT32_MAX, last = feed_last(sb->feed), to;
	char id[VALUE_MAX], own[GUID_SIZE];
	uint32_t i;

	if (!query_get(http_query(q), "id", id, sizeof(id))) {
		if (!number(q, "from", 1, UINT32_MAX, &from) ||
		    !number(q, "rows", 1, UINT32_MAX, &rows)) {
			bad(r, "bad from or rows");
			return;
		}
		to = from + rows - 1 < last ? from + rows - 1 : last;
		json_type(r);
		events_put(&r->body, sb, (uint32_t)from, (uint32_t)to);
		return;
	}
	for (i = 1; i <= last; i++) {
		id_guid(own, (uint64_t)sb->opt.seed, i);
		if (strcmp(own, id) == 0) {
			json_type(r);
			event_put(&r->body, sb, feed_get(sb->feed, i));
			return;
		}
	}
	http_json(r, 404, "{\"message\":\"no such event\"}");
}

static void
get_stats(struct sandbox *sb, struct http_req *q, struct http_reply *r)
{
	(void)q;
	json_type(r);
	count_json(sb->count, &r->body);
}

/* name=N: pending at most N, anything else at least. */
static bool
wait_read(const char *query, struct count_wait *w)
{
	char name[64], text[64];
	size_t n;

	for (; *query != '\0'; query += strcspn(query, "&"), query += *query == '&') {
		n = strcspn(query, "=&");
		if (n >= sizeof(name))
			return false;
		memcpy(name, query, n);
		name[n] = '\0';
		if (strcmp(name, "timeout_ms") == 0)
			continue;
		w->what = count_named(name);
		w->at_most = w->what == COUNT_pending;
		return w->what != COUNT_N && query_get(query, name, text, sizeof(text)) &&
		       num_parse(text, 0, INT64_MAX, &w->value);
	}
	return false;
}

static void
get_wait(struct sandbox *sb, struct http_req *q, struct http_reply *r)
{
	long long timeout = WAIT_MS;

	if (!wait_read(http_query(q), &r->until) ||
	    !number(q, "timeout_ms", 0, 3600000, &timeout)) {
		bad(r, "expected COUNTER=N and timeout_ms=N");
		return;
	}
	if (count_met(sb->count, &r->until)) {
		get_stats(sb, q, r);
	} else if (!http_again(q)) {
		r->wait = true;
		r->due = clock_ms() + timeout;
	} else {
		get_stats(sb, q, r);
		r->status = 504;
	}
}

static void
post_fault(struct sandbox *sb, struct http_req *q, struct http_reply *r)
{
	const char *body;
	char why[128];
	size_t n;
	int id;

	body = http_body(q, &n);
	if ((id = fault_add(&sb->faults, body, n, why, sizeof(why))) == 0) {
		json_type(r);
		r->status = 400;
		buf_str(&r->body, "{\"message\":");
		buf_json(&r->body, why);
		buf_str(&r->body, "}");
		return;
	}
	http_json(r, 200, "{\"fault\":%d}", id);
}

static void
get_fault(struct sandbox *sb, struct http_req *q, struct http_reply *r)
{
	(void)q;
	json_type(r);
	fault_list(&sb->faults, &r->body);
}

static void
delete_fault(struct sandbox *sb, struct http_req *q, struct http_reply *r)
{
	(void)q;
	fault_clear(&sb->faults);
	http_json(r, 200, "{\"faults\":[]}");
}

static void
stop_now(void *arg, struct http_reply *r, bool whole)
{
	(void)arg;
	(void)r;
	(void)whole;
	kill(getpid(), SIGTERM);
}

static void
post_stop(struct sandbox *sb, struct http_req *q, struct http_reply *r)
{
	(void)sb;
	(void)q;
	http_json(r, 200, "{\"message\":\"stopping\"}");
	r->sent = stop_now;
}

void
admin_handle(void *arg, struct http_req *q, struct http_reply *r)
{
	static const struct {
		const char *path, *verb;
		answer *answer;
	} calls[] = {
	    {"/admin/emit", "POST", post_emit},
	    {"/admin/events", "GET", get_events},
	    {"/admin/stats", "GET", get_stats},
	    {"/admin/wait", "GET", get_wait},
	    {"/admin/fault", "POST", post_fault},
	    {"/admin/fault", "GET", get_fault},
	    {"/admin/fault", "DELETE", delete_fault},
	    {"/admin/stop", "POST", post_stop},
	};
	struct sandbox *sb = arg;
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strcmp(calls[i].path, http_path(q)) == 0 &&
		    strcmp(calls[i].verb, http_method(q)) == 0) {
			pthread_mutex_lock(&sb->lock);
			calls[i].answer(sb, q, r);
			pthread_mutex_unlock(&sb->lock);
			return;
		}
	}
	http_json(r, 404, "{\"message\":\"no such call\"}");
}
