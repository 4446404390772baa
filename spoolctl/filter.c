/*
 * SPDX-License-Identifier: ISC
 *
 * filter - which events a command is about; see filter.h.
 */
#include "config.h"

#include <string.h>
#include <sysexits.h>

#include "buf.h"
#include "clk.h"
#include "event.h"
#include "filter.h"
#include "io.h"
#include "json.h"
#include "str.h"

#define FILE_MAX (64 << 20) /* a longer file matches nothing that its body decides */

/* "2h", "2026-03-05" or "2026-03-05T10:11:12Z". */
static bool
read_time(const struct ctl *c, const char *text, int64_t *at)
{
	char midnight[CLK_TEXT];
	int64_t age;

	if (str_duration(text, &age)) {
		*at = c->now - age;
		return true;
	}
	if (clk_parse(text, at))
		return true;
	return strlen(text) == 10 && str_copy(midnight, 11, text) &&
	       str_copy(midnight + 10, sizeof(midnight) - 10, "T00:00:00Z") &&
	       clk_parse(midnight, at);
}

int
filter_option(const struct ctl *c, struct filter *f, int opt, const char *text)
{
	int64_t age;

	switch (opt) {
	case CTL_ACCOUNT:
		f->account = text;
		return EX_OK;
	case CTL_KIND:
		f->kind = text;
		return EX_OK;
	case CTL_CLIENT:
		f->client = text;
		return EX_OK;
	case CTL_GREP:
		f->grep = text;
		return EX_OK;
	case CTL_OLDER:
		if (!str_duration(text, &age))
			return ctl_usage(c,
			    "--older \"%.40s\": expected an age such as 15m, 2h or 3d", text);
		f->before = c->now - age;
		return EX_OK;
	case CTL_SINCE:
		if (!read_time(c, text, &f->since))
			return ctl_usage(c,
			    "--since \"%.40s\": expected an age (2h), a day (2026-03-05) or an "
			    "RFC 3339 time",
			    text);
		return EX_OK;
	default:
		return ctl_usage(c, "an option that is no filter");
	}
}

bool
filter_any(const struct filter *f)
{
	return f->account != NULL || f->kind != NULL || f->client != NULL || f->grep != NULL ||
	       f->before != 0 || f->since != 0;
}

bool
filter_name(const struct filter *f, const struct name *parts)
{
	return view_wanted(parts, f->account, f->kind);
}

/* Is the event in this file about the client? */
static bool
is_about(const struct buf *file, const char *client)
{
	struct json *doc = NULL;
	struct event ev;
	struct rec r;
	bool about = false;

	if (rec_parse(buf_text(file), file->n, &r, NULL) != RC_OK ||
	    json_parse(r.body, r.body_len, &doc, NULL) != RC_OK)
		return false;
	if (event_read(doc, &ev, NULL) == RC_OK) {
		about = str_eq(ev.client_hash, client);
		event_free(&ev);
	}
	json_free(&doc);
	return about;
}

static bool
equals_at(const char *p, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char a = p[i], b = text[i];

		if (a >= 'A' && a <= 'Z')
			a = (char)(a - 'A' + 'a');
		if (b >= 'A' && b <= 'Z')
			b = (char)(b - 'A' + 'a');
		if (a != b)
			return false;
	}
	return true;
}

static bool
contains(const struct buf *b, const char *text)
{
	size_t n = strlen(text);

	for (size_t at = 0; at + n <= b->n; at++)
		if (equals_at(b->p + at, text, n))
			return true;
	return false;
}

bool
filter_view(const struct filter *f, struct spool *sp, const struct view *v)
{
	int64_t received = view_received(v);
	struct buf b = BUF_INIT(FILE_MAX);
	struct spool_item it;
	bool match;

	if (!filter_name(f, &v->parts) || (f->before != 0 && received >= f->before) ||
	    (f->since != 0 && received < f->since))
		return false;
	if (f->client == NULL && f->grep == NULL)
		return true;
	if (spool_peek(sp, v->box, v->name, &it, NULL) != RC_OK)
		return false;
	match = io_read_all(it.fd, &b, NULL) == RC_OK &&
		(f->client == NULL || is_about(&b, f->client)) &&
		(f->grep == NULL || contains(&b, f->grep));
	spool_unlock(&it);
	buf_free(&b);
	return match;
}
