/*
 * SPDX-License-Identifier: ISC
 *
 * fault - what shall go wrong, where, when and how often.
 *
 * Knows how a reply goes wrong; what a webhook fault means is the sender's.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "json.h"

#define BIT(on) (1u << (on))
#define SERVERS (BIT(ON_TOKEN) | BIT(ON_API) | BIT(ON_DOCUMENT) | BIT(ON_FEED))
#define HOOK BIT(ON_WEBHOOK)
#define MEMBERS " on match do status retry_after ms times percent skip to bytes at "

static const char *const places[ON_N] = {"token", "api", "document", "feed", "webhook"};

static const struct {
	const char *name;
	unsigned on;
} deeds[DO_N] = {
    [DO_STATUS] = {"status", SERVERS},
    [DO_DELAY] = {"delay", SERVERS | HOOK},
    [DO_CUT] = {"cut", SERVERS | HOOK},
    [DO_RESET] = {"reset", SERVERS},
    [DO_DRIP] = {"drip", SERVERS},
    [DO_SHORT] = {"short", SERVERS},
    [DO_LONG] = {"long", SERVERS},
    [DO_EXPIRE] = {"expire", BIT(ON_API)},
    [DO_HTML] = {"html", SERVERS},
    [DO_GARBAGE] = {"garbage", SERVERS},
    [DO_REDIRECT] = {"redirect", SERVERS},
    [DO_DROP] = {"drop", HOOK},
    [DO_DUPLICATE] = {"duplicate", HOOK},
    [DO_REORDER] = {"reorder", HOOK},
    [DO_DENY] = {"deny", SERVERS},
};

/* A number that may be absent. */
static bool
number(const struct json *j, const char *name, long long lo, long long hi, long long *out)
{
	return !json_has(j, name) || json_number(j, name, lo, hi, out);
}

static bool
text(const struct json *j, const char *name, char *out, size_t size)
{
	return !json_has(j, name) || json_text(j, name, out, size);
}

/* Is every member one we know?  A misspelt one must not be ignored. */
static bool
members_known(const struct json *j, char *why, size_t size)
{
	char word[64];
	const char *name;
	size_t i;

	for (i = 0; (name = json_name(j, i)) != NULL; i++) {
		snprintf(word, sizeof(word), " %s ", name);
		if (strstr(MEMBERS, word) == NULL) {
			snprintf(why, size, "unknown member %.40s", name);
			return false;
		}
	}
	return true;
}

static bool
kind_read(struct fault *f, const struct json *j, char *why, size_t size)
{
	char word[32];
	size_t i;

	json_text(j, "on", word, sizeof(word));
	for (i = 0; i < ON_N && strcmp(places[i], word) != 0; i++)
		;
	f->on = (enum fault_on)i;
	json_text(j, "do", word, sizeof(word));
	for (i = 0; i < DO_N && strcmp(deeds[i].name, word) != 0; i++)
		;
	f->what = (enum fault_do)i;
	if (f->on != ON_N && f->what != DO_N && (deeds[f->what].on & BIT(f->on)) != 0)
		return true;
	snprintf(why, size, "no such fault, or not there (on, do)");
	return false;
}

static bool
fault_read(struct fault *f, const struct json *j, char *why, size_t size)
{
	char at[16] = "body";

	f->status = 503;
	f->ms = 500;
	f->times = 1;
	f->percent = 100;
	f->bytes = 256;
	if (!members_known(j, why, size) || !kind_read(f, j, why, size))
		return false;
	snprintf(why, size, "bad value");
	if (!text(j, "match", f->match, sizeof(f->match)) ||
	    !text(j, "retry_after", f->retry_after, sizeof(f->retry_after)) ||
	    !text(j, "to", f->to, sizeof(f->to)) || !text(j, "at", at, sizeof(at)) ||
	    !number(j, "status", 200, 599, &f->status) ||
	    !number(j, "ms", 0, 3600000, &f->ms) ||
	    !number(j, "times", -1, 1000000000, &f->times) ||
	    !number(j, "percent", 0, 100, &f->percent) ||
	    !number(j, "skip", 0, 1000000000, &f->skip) ||
	    !number(j, "bytes", 1, 1000000, &f->bytes) || strpbrk(f->to, "\r\n") != NULL ||
	    strpbrk(f->retry_after, "\r\n") != NULL)
		return false;
	if (f->what == DO_REDIRECT && f->to[0] == '\0') {
		snprintf(why, size, "redirect needs `to'");
		return false;
	}
	f->head = strcmp(at, "head") == 0;
	return true;
}

int
fault_add(struct fault_set *s, const char *json, size_t n, char *why, size_t size)
{
	struct json *j;
	struct fault f;
	bool ok;

	memset(&f, 0, sizeof(f));
	if (s->n == FAULT_MAX) {
		snprintf(why, size, "too many faults");
		return 0;
	}
	if ((j = json_parse(json, n)) == NULL) {
		snprintf(why, size, "not a JSON object");
		return 0;
	}
	ok = fault_read(&f, j, why, size);
	json_free(&j);
	if (!ok)
		return 0;
	f.id = ++s->last;
	s->f[s->n++] = f;
	return f.id;
}

void
fault_clear(struct fault_set *s)
{
	s->n = 0;
}

void
fault_list(const struct fault_set *s, struct buf *out)
{
	const struct fault *f;
	size_t i;

	buf_str(out, "{\"faults\":[");
	for (i = 0; i < s->n; i++) {
		f = &s->f[i];
		buf_fmt(out,
		    "%s{\"fault\":%d,\"on\":\"%s\",\"do\":\"%s\",\"match\":", i > 0 ? "," : "",
		    f->id, places[f->on], deeds[f->what].name);
		buf_json(out, f->match);
		buf_fmt(out, ",\"times\":%lld,\"fired\":%lld}", f->times, f->fired);
	}
	buf_str(out, "]}");
}

bool
fault_take(struct fault_set *s, enum fault_on on, const char *target, struct fault *out)
{
	struct fault *f;
	size_t i;

	for (i = 0; i < s->n; i++) {
		f = &s->f[i];
		if (f->on != on || f->times == 0 || strstr(target, f->match) == NULL)
			continue;
		if (f->skip > 0) {
			f->skip--;
			continue;
		}
		if (draw(s->seed, 0x6661756c + (uint64_t)f->id, f->asked++) % 100 >=
		    (uint64_t)f->percent)
			continue;
		if (f->times > 0)
			f->times--;
		f->fired++;
		*out = *f;
		return true;
	}
	return false;
}

bool
fault_answers(const struct fault *f)
{
	return f->what == DO_STATUS || f->what == DO_HTML || f->what == DO_GARBAGE ||
	       f->what == DO_REDIRECT || f->what == DO_DENY;
}

static void
deny(const struct fault *f, struct http_reply *r)
{
	if (f->on == ON_DOCUMENT) {
		r->status = 403;
		http_set(r, "Content-Type", "application/xml");
		buf_str(&r->body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
				  "<Error><Code>AccessDenied</Code>"
				  "<Message>Access Denied</Message></Error>");
	} else if (f->on == ON_TOKEN) {
		http_json(r, 401,
		    "{\"error\":\"access_denied\","
		    "\"error_description\":\"Unauthorized\"}");
	} else {
		http_json(r, 401, "{\"message\":\"Unauthorized\"}");
	}
}

static void
stand_in(const struct fault *f, struct http_reply *r)
{
	http_reset(r);
	r->status = 200;
	if (f->what == DO_DENY) {
		deny(f, r);
	} else if (f->what == DO_STATUS) {
		http_json(r, (unsigned)f->status, "{\"message\":\"fault %d\"}", f->id);
		if (f->status == 204 || f->status == 304)
			buf_clear(&r->body);
		if (f->retry_after[0] != '\0')
			http_set(r, "Retry-After", f->retry_after);
	} else if (f->what == DO_REDIRECT) {
		r->status = 302;
		http_set(r, "Location", f->to);
	} else if (f->what == DO_HTML) {
		http_set(r, "Content-Type", "text/html; charset=utf-8");
		buf_str(&r->body, "<!DOCTYPE html><html><head><title>Sign in</title></head>"
				  "<body><form method=\"post\"><input name=\"user\">"
				  "<input name=\"password\" type=\"password\">"
				  "<button>Sign in</button></form></body></html>\n");
	} else {
		http_set(r, "Content-Type", "application/json");
		buf_str(&r->body, "{\"hashId\": \x01\xff\xfe, not json at all");
	}
}

void
fault_apply(const struct fault *f, struct http_reply *r)
{
	static const struct {
		enum fault_do what;
		enum wire wire;
	} wires[] = {{DO_CUT, WIRE_CUT}, {DO_RESET, WIRE_RESET}, {DO_DRIP, WIRE_DRIP},
	    {DO_SHORT, WIRE_SHORT}, {DO_LONG, WIRE_LONG}};
	size_t i;

	if (fault_answers(f)) {
		stand_in(f, r);
		return;
	}
	if (f->what == DO_DELAY)
		r->delay_ms = f->ms;
	for (i = 0; i < sizeof(wires) / sizeof(wires[0]); i++) {
		if (wires[i].what == f->what)
			r->wire = wires[i].wire;
	}
	if (f->what == DO_CUT && f->head)
		r->wire = WIRE_CUT_HEAD;
	r->drip_ms = f->ms;
	r->drip_bytes = (size_t)f->bytes;
}
