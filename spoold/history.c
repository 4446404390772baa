/*
 * SPDX-License-Identifier: ISC
 *
 * history - what happened lately; see history.h.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clk.h"
#include "history.h"
#include "str.h"

struct kind {
	char name[HISTORY_KIND]; /* "" none */
	uint32_t n[HISTORY_HOURS];
};

struct history {
	int64_t hour; /* the latest one, hours since 1970 */
	struct kind kind[HISTORY_KINDS + 1];
	uint32_t took[HISTORY_TIMES][HISTORY_TIME_HOURS][HISTORY_BUCKETS];
	char day[11];             /* local */
	uint64_t done, documents; /* on that day */
	struct history_event latest[HISTORY_LATEST];
	size_t sorted[HISTORY_LATEST]; /* room for history_write */
};

static const char *const time_names[HISTORY_TIMES] = {"done", "document"};

struct history *
history_new(void)
{
	return calloc(1, sizeof(struct history));
}

void
history_free(struct history **h)
{
	free(*h);
	*h = NULL;
}

/* ---- time goes on ---- */

/* Places by the hour: the same one again after so many hours. */
static size_t
place(int64_t hour, int64_t hours)
{
	return (size_t)(hour % hours);
}

static void
clear_hour(struct history *h, int64_t hour)
{
	for (size_t k = 0; k <= HISTORY_KINDS; k++)
		h->kind[k].n[place(hour, HISTORY_HOURS)] = 0;
	for (size_t t = 0; t < HISTORY_TIMES; t++)
		memset(h->took[t][place(hour, HISTORY_TIME_HOURS)], 0, sizeof(h->took[t][0]));
}

static void
local_day(int64_t now, char out[11])
{
	time_t t = (time_t)(now / CLK_SECOND);
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL || strftime(out, 11, "%Y-%m-%d", &tm) == 0)
		out[0] = '\0';
}

/* A clock that was set back a little stays in the hour it was in. */
static void
go_on(struct history *h, int64_t now)
{
	int64_t hour = now / CLK_HOUR;
	char day[11];

	if (hour - h->hour > HISTORY_HOURS || h->hour - hour > HISTORY_HOURS)
		h->hour = hour - HISTORY_HOURS;
	while (h->hour < hour)
		clear_hour(h, ++h->hour);
	local_day(now, day);
	if (str_eq(day, h->day))
		return;
	memcpy(h->day, day, sizeof(day));
	h->done = h->documents = 0;
}

/* ---- events ---- */

static struct kind *
kind_of(struct history *h, const char *name)
{
	size_t i = 0;

	while (
	    i < HISTORY_KINDS && h->kind[i].name[0] != '\0' && !str_eq(h->kind[i].name, name))
		i++;
	if (h->kind[i].name[0] == '\0')
		(void)snprintf(h->kind[i].name, sizeof(h->kind[i].name), "%s",
		    i < HISTORY_KINDS ? name : "other");
	return &h->kind[i];
}

void
history_came(struct history *h, int64_t now, const char *name)
{
	char kind[HISTORY_KIND];
	struct name parts;

	go_on(h, now);
	if (!name_parse(name, &parts))
		return;
	(void)snprintf(kind, sizeof(kind), "%s.%s", parts.category, parts.type);
	kind_of(h, kind)->n[place(h->hour, HISTORY_HOURS)]++;
}

struct history_event *
history_find(struct history *h, const char *name)
{
	for (size_t i = 0; i < HISTORY_LATEST; i++)
		if (str_eq(h->latest[i].name, name))
			return &h->latest[i];
	return NULL;
}

struct history_event *
history_event(struct history *h, int64_t now, const char *name)
{
	struct history_event *ev = history_find(h, name);

	if (ev == NULL) {
		ev = &h->latest[0];
		for (size_t i = 1; i < HISTORY_LATEST && ev->name[0] != '\0'; i++)
			if (h->latest[i].changed < ev->changed || h->latest[i].name[0] == '\0')
				ev = &h->latest[i];
		*ev = (struct history_event){0};
		(void)!str_copy(ev->name, sizeof(ev->name), name);
	}
	ev->changed = now;
	return ev;
}

void
history_erase(struct history *h, bool (*is)(const char *name, void *), void *arg)
{
	for (size_t i = 0; i < HISTORY_LATEST; i++) {
		struct history_event *ev = &h->latest[i];

		if (ev->name[0] != '\0' && is(ev->name, arg))
			ev->client[0] = ev->document[0] = '\0';
	}
}

void
history_id(char out[NAME_HASH], const char *id)
{
	if (!str_only(id, "_-", 1, NAME_HASH - 1) || !str_copy(out, NAME_HASH, id))
		out[0] = '\0';
}

/* ---- times ---- */

/* Four buckets for each power of two: an eighth is the largest mistake. */
static size_t
bucket_of(int64_t ms)
{
	unsigned power = 0;
	size_t at;

	if (ms < 1)
		ms = 1;
	while (ms >> (power + 1) > 0)
		power++;
	at = 4 * (size_t)power +
	     (size_t)(power >= 2 ? (ms >> (power - 2)) & 3 : (ms << (2 - power)) & 3);
	return at < HISTORY_BUCKETS ? at : HISTORY_BUCKETS - 1;
}

/* The middle of a bucket. */
static int64_t
bucket_time(size_t at)
{
	int64_t unit = INT64_C(1) << (at / 4); /* four parts wide */

	return unit + unit * (int64_t)(at % 4) / 4 + unit / 8;
}

void
history_took(struct history *h, int64_t now, enum history_time what, int64_t ms)
{
	go_on(h, now);
	h->took[what][place(h->hour, HISTORY_TIME_HOURS)][bucket_of(ms)]++;
	if (what == HISTORY_DONE)
		h->done++;
	else
		h->documents++;
}

uint64_t
history_times(struct history *h, int64_t now, enum history_time what, unsigned per, int64_t *ms)
{
	uint64_t sum[HISTORY_BUCKETS] = {0}, all = 0, some = 0;

	go_on(h, now);
	*ms = 0;
	for (size_t i = 0; i < HISTORY_TIME_HOURS; i++)
		for (size_t b = 0; b < HISTORY_BUCKETS; b++) {
			sum[b] += h->took[what][i][b];
			all += h->took[what][i][b];
		}
	for (size_t b = 0; b < HISTORY_BUCKETS && all > 0; b++) {
		some += sum[b];
		if (some * 1000 >= all * per) {
			*ms = bucket_time(b);
			break;
		}
	}
	return all;
}

/* ---- as JSON ---- */

static void
write_hours(const struct history *h, struct buf *out)
{
	const char *before = "";

	buf_fmt(out, "\"hours\":{\"from\":%" PRId64 ",\"kinds\":[",
	    (h->hour - HISTORY_HOURS + 1) * CLK_HOUR);
	for (size_t k = 0; k <= HISTORY_KINDS; k++) {
		if (h->kind[k].name[0] == '\0')
			continue;
		buf_fmt(out, "%s\n{\"kind\":", before);
		before = ",";
		buf_json(out, h->kind[k].name);
		buf_str(out, ",\"counts\":[");
		for (int64_t i = HISTORY_HOURS - 1; i >= 0; i--)
			buf_fmt(out, "%" PRIu32 "%s",
			    h->kind[k].n[place(h->hour - i, HISTORY_HOURS)],
			    i > 0 ? "," : "]}");
	}
	buf_str(out, "]}");
}

static void
write_buckets(const uint32_t bucket[HISTORY_BUCKETS], struct buf *out)
{
	const char *before = "";

	buf_str(out, "[");
	for (size_t b = 0; b < HISTORY_BUCKETS; b++) {
		if (bucket[b] == 0)
			continue;
		buf_fmt(out, "%s[%zu,%" PRIu32 "]", before, b, bucket[b]);
		before = ",";
	}
	buf_str(out, "]");
}

static bool
is_empty(const uint32_t bucket[HISTORY_BUCKETS])
{
	for (size_t b = 0; b < HISTORY_BUCKETS; b++)
		if (bucket[b] != 0)
			return false;
	return true;
}

static void
write_times(struct history *h, int64_t now, struct buf *out)
{
	const char *before = "";

	buf_str(out, "\"times\":{");
	for (enum history_time t = 0; t < HISTORY_TIMES; t++) {
		int64_t half, most;
		uint64_t n = history_times(h, now, t, 500, &half);

		(void)history_times(h, now, t, 950, &most);
		buf_fmt(out,
		    "\"%s\":{\"n\":%" PRIu64 ",\"p50\":%" PRId64 ",\"p95\":%" PRId64 "},",
		    time_names[t], n, half, most);
	}
	buf_str(out, "\"buckets\":[");
	for (int64_t i = HISTORY_TIME_HOURS - 1; i >= 0; i--) {
		size_t at = place(h->hour - i, HISTORY_TIME_HOURS);

		if (is_empty(h->took[HISTORY_DONE][at]) &&
		    is_empty(h->took[HISTORY_DOCUMENT][at]))
			continue;
		buf_fmt(out, "%s\n{\"hour\":%" PRId64, before, (h->hour - i) * CLK_HOUR);
		before = ",";
		for (enum history_time t = 0; t < HISTORY_TIMES; t++) {
			buf_fmt(out, ",\"%s\":", time_names[t]);
			write_buckets(h->took[t][at], out);
		}
		buf_str(out, "}");
	}
	buf_str(out, "]}");
}

static void
write_text(struct buf *out, const char *name, const char *text)
{
	buf_fmt(out, ",\"%s\":", name);
	buf_json(out, text);
}

static void
write_event(const struct history_event *ev, struct buf *out)
{
	char kind[HISTORY_KIND];
	struct name parts;

	if (!name_parse(ev->name, &parts))
		return;
	(void)snprintf(kind, sizeof(kind), "%s.%s", parts.category, parts.type);
	buf_str(out, "{\"event\":");
	buf_json(out, ev->name);
	write_text(out, "id", parts.key);
	write_text(out, "account", parts.account);
	write_text(out, "kind", kind);
	write_text(out, "client", ev->client);
	write_text(out, "document", ev->document);
	write_text(out, "source", ev->source);
	write_text(out, "state", ev->state);
	write_text(out, "step", ev->step);
	buf_fmt(out,
	    ",\"tries\":%u,\"received\":%" PRId64 ",\"changed\":%" PRId64 ",\"due\":%" PRId64
	    "}",
	    ev->tries, ev->received, ev->changed, ev->due);
}

static const struct history *sorting;

/* The one that changed last comes first. */
static int
by_change(const void *a, const void *b)
{
	int64_t x = sorting->latest[*(const size_t *)a].changed,
		y = sorting->latest[*(const size_t *)b].changed;

	return x > y ? -1 : x < y;
}

static void
write_latest(struct history *h, struct buf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < HISTORY_LATEST; i++)
		if (h->latest[i].name[0] != '\0')
			h->sorted[n++] = i;
	sorting = h;
	qsort(h->sorted, n, sizeof(h->sorted[0]), by_change);
	buf_str(out, "\"latest\":[");
	for (size_t i = 0; i < n; i++) {
		buf_str(out, i > 0 ? ",\n" : "\n");
		write_event(&h->latest[h->sorted[i]], out);
	}
	buf_str(out, "]");
}

void
history_write(struct history *h, int64_t now, struct buf *out)
{
	go_on(h, now);
	buf_fmt(out,
	    "\"today\":{\"date\":\"%s\",\"done\":%" PRIu64 ",\"documents\":%" PRIu64 "},\n",
	    h->day, h->done, h->documents);
	write_hours(h, out);
	buf_str(out, ",\n");
	write_times(h, now, out);
	buf_str(out, ",\n");
	write_latest(h, out);
}

/* ---- and back ---- */

static void
read_hours(struct history *h, const struct json *v)
{
	int64_t from, n;

	if (!json_int(json_get(v, "from"), 0, INT64_MAX, &from))
		return;
	for (const struct json *k = json_first(json_get(v, "kinds")); k != NULL;
	     k = json_next(k)) {
		const char *name = json_string(json_get(k, "kind"));
		int64_t hour = from / CLK_HOUR;

		if (name == NULL || !str_only(name, ".", 1, HISTORY_KIND - 1))
			continue;
		for (const struct json *c = json_first(json_get(k, "counts"));
		     c != NULL && hour <= h->hour; c = json_next(c), hour++)
			if (hour > h->hour - HISTORY_HOURS && json_int(c, 0, UINT32_MAX, &n))
				kind_of(h, name)->n[place(hour, HISTORY_HOURS)] = (uint32_t)n;
	}
}

static void
read_buckets(uint32_t bucket[HISTORY_BUCKETS], const struct json *v)
{
	int64_t at, n;

	for (const struct json *p = json_first(v); p != NULL; p = json_next(p))
		if (json_int(json_first(p), 0, HISTORY_BUCKETS - 1, &at) &&
		    json_int(json_next(json_first(p)), 0, UINT32_MAX, &n))
			bucket[at] = (uint32_t)n;
}

static void
read_times(struct history *h, const struct json *v)
{
	int64_t ms;

	for (v = json_first(json_get(v, "buckets")); v != NULL; v = json_next(v)) {
		if (!json_int(json_get(v, "hour"), 0, INT64_MAX, &ms) ||
		    ms / CLK_HOUR > h->hour || ms / CLK_HOUR <= h->hour - HISTORY_TIME_HOURS)
			continue;
		for (enum history_time t = 0; t < HISTORY_TIMES; t++)
			read_buckets(h->took[t][place(ms / CLK_HOUR, HISTORY_TIME_HOURS)],
			    json_get(v, time_names[t]));
	}
}

static void
read_text(char *out, size_t size, const struct json *v)
{
	const char *text = json_string(v);

	if (text == NULL || !str_copy(out, size, text))
		out[0] = '\0';
}

static void
read_event(struct history_event *ev, const struct json *v)
{
	const char *name = json_string(json_get(v, "event"));
	struct name parts;
	int64_t tries;

	*ev = (struct history_event){0};
	if (name == NULL || !name_parse(name, &parts) ||
	    !json_int(json_get(v, "changed"), 0, INT64_MAX, &ev->changed) ||
	    !json_int(json_get(v, "received"), 0, INT64_MAX, &ev->received) ||
	    !json_int(json_get(v, "due"), 0, INT64_MAX, &ev->due) ||
	    !json_int(json_get(v, "tries"), 0, UINT32_MAX, &tries))
		return;
	ev->tries = (unsigned)tries;
	read_text(ev->client, sizeof(ev->client), json_get(v, "client"));
	read_text(ev->document, sizeof(ev->document), json_get(v, "document"));
	read_text(ev->source, sizeof(ev->source), json_get(v, "source"));
	read_text(ev->state, sizeof(ev->state), json_get(v, "state"));
	read_text(ev->step, sizeof(ev->step), json_get(v, "step"));
	(void)!str_copy(ev->name, sizeof(ev->name), name);
}

void
history_read(struct history *h, int64_t now, const struct json *doc)
{
	const struct json *today = json_get(doc, "today"), *v;
	const char *day = json_string(json_get(today, "date"));
	int64_t done, documents;

	go_on(h, now);
	if (day != NULL && str_eq(day, h->day) &&
	    json_int(json_get(today, "done"), 0, INT64_MAX, &done) &&
	    json_int(json_get(today, "documents"), 0, INT64_MAX, &documents)) {
		h->done = (uint64_t)done;
		h->documents = (uint64_t)documents;
	}
	read_hours(h, json_get(doc, "hours"));
	read_times(h, json_get(doc, "times"));
	v = json_first(json_get(doc, "latest"));
	for (size_t i = 0; i < HISTORY_LATEST && v != NULL; i++, v = json_next(v))
		read_event(&h->latest[i], v);
}
