/*
 * SPDX-License-Identifier: ISC
 *
 * feed - the vendor's event feed compared with the spool; see feed.h.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "clk.h"
#include "event.h"
#include "feed.h"
#include "intake.h"
#include "io.h"
#include "json.h"
#include "str.h"

#define STATE_MAX 8192
#define EVENT_FILE ((64 << 20) + REC_HEAD_MAX)
#define NEAR (5 * CLK_MINUTE) /* that the clocks of vendor and receiver may be apart */

/* ---- the state file ---- */

static void
read_u64(const struct json *doc, const char *name, uint64_t *out)
{
	const char *text = json_text(json_member(doc, name));

	if (text == NULL || !str_u64(text, 0, UINT64_MAX, out))
		*out = 0;
}

static void
read_text(const struct json *doc, const char *name, char *out, size_t size)
{
	const char *text = json_string(json_member(doc, name));

	(void)snprintf(out, size, "%s", text != NULL ? text : "");
}

static void
read_state(const struct json *doc, struct feed_state *s)
{
	uint64_t ran;

	if (!json_bool(json_member(doc, "begun"), &s->begun))
		s->begun = false;
	if (!json_bool(json_member(doc, "numbered"), &s->numbered))
		s->numbered = false;
	read_u64(doc, "cursor", &s->cursor);
	read_u64(doc, "ran", &ran);
	s->ran = ran <= INT64_MAX ? (int64_t)ran : 0;
	read_u64(doc, "from", &s->from);
	read_u64(doc, "to", &s->to);
	read_u64(doc, "seen", &s->seen);
	read_u64(doc, "missing", &s->missing);
	read_u64(doc, "recovered", &s->recovered);
	read_u64(doc, "recovered_all", &s->recovered_all);
	read_text(doc, "off", s->off, sizeof(s->off));
	read_text(doc, "answered", s->answered, sizeof(s->answered));
	read_text(doc, "failed", s->failed, sizeof(s->failed));
}

enum rc
feed_load(int dir, const char *account, struct feed_state *out, struct err *e)
{
	struct buf b = BUF_INIT(STATE_MAX);
	struct json *doc = NULL;
	uint64_t version;
	enum rc rc;

	*out = (struct feed_state){0};
	if ((rc = io_read_file(dir, account, &b, e)) == RC_OK &&
	    (rc = json_parse(buf_text(&b), b.n, &doc, e)) == RC_OK) {
		read_u64(doc, "version", &version);
		if (version == 1)
			read_state(doc, out);
		else
			rc = err_set(e, RC_BAD, "the state of its feed is of another version");
	}
	json_free(&doc);
	buf_free(&b);
	return rc;
}

enum rc
feed_save(int dir, const char *account, const struct feed_state *s, struct err *e)
{
	struct buf b = BUF_INIT(STATE_MAX);
	enum rc rc;

	buf_fmt(&b, "{\"version\":1,\"begun\":%s,\"numbered\":%s,\"cursor\":%" PRIu64,
	    s->begun ? "true" : "false", s->numbered ? "true" : "false", s->cursor);
	buf_fmt(&b, ",\"ran\":%" PRId64 ",\"from\":%" PRIu64 ",\"to\":%" PRIu64, s->ran,
	    s->from, s->to);
	buf_fmt(&b, ",\"seen\":%" PRIu64 ",\"missing\":%" PRIu64 ",\"recovered\":%" PRIu64,
	    s->seen, s->missing, s->recovered);
	buf_fmt(&b, ",\"recovered_all\":%" PRIu64 ",\"off\":", s->recovered_all);
	buf_json(&b, s->off);
	buf_str(&b, ",\"answered\":");
	buf_json(&b, s->answered);
	buf_str(&b, ",\"failed\":");
	buf_json(&b, s->failed);
	buf_str(&b, "}\n");
	if ((rc = buf_state(&b, e)) == RC_OK)
		rc = io_replace(dir, account, 0640, b.p, b.n, e);
	buf_free(&b);
	return rc;
}

/* ---- the two calls ---- */

/* A template of the configuration below the API base. */
static enum rc
fill(const struct conf_account *a, const char *get, uint64_t from, char out[FEED_URL],
    struct err *e)
{
	struct buf b = BUF_INIT(FEED_URL - 1);
	enum rc rc = RC_OK;

	if (a->hash_id == NULL)
		return err_set(e, RC_CONFIG, "account %s has no hash_id", a->name);
	buf_str(&b, a->api);
	for (const char *p = get; *p != '\0';) {
		if (str_begins(p, "{accountHashId}")) {
			buf_url(&b, a->hash_id);
		} else if (str_begins(p, "{from}")) {
			buf_fmt(&b, "%" PRIu64, from);
		} else if (str_begins(p, "{rows}")) {
			buf_fmt(&b, "%d", FEED_ROWS);
		} else {
			buf_add(&b, p++, 1);
			continue;
		}
		p += strcspn(p, "}") + 1;
	}
	if (buf_state(&b, NULL) != RC_OK || !str_copy(out, FEED_URL, buf_text(&b)))
		rc = err_set(e, RC_CONFIG, "the URL of the feed is too long");
	buf_free(&b);
	return rc;
}

enum rc
feed_info_url(const struct conf_account *a, char out[FEED_URL], struct err *e)
{
	return fill(a, a->feed_info, 0, out, e);
}

enum rc
feed_page_url(const struct conf_account *a, uint64_t from, char out[FEED_URL], struct err *e)
{
	return fill(a, a->feed_page, from, out, e);
}

static bool
number_at(const struct json *v, const char *name, uint64_t *out)
{
	const char *text = json_text(json_member(v, name));

	return text != NULL && str_u64(text, 0, UINT64_MAX, out);
}

enum rc
feed_info(const char *body, size_t n, uint64_t *last, struct err *e)
{
	struct json *doc = NULL;
	enum rc rc;

	*last = 0;
	if ((rc = json_parse(body, n, &doc, e)) == RC_OK &&
	    !number_at(doc, "lastEventNumber", last) &&
	    !number_at(json_member(doc, "lastEntryFeed"), "eventNumber", last))
		rc = err_set(e, RC_BAD, "the feed does not say which event is the latest");
	json_free(&doc);
	return rc;
}

/* ---- a page ---- */

struct entry {
	struct json_span span;
	struct event ev;
	char name[NAME_SIZE], key[NAME_KEY];
	uint64_t number;
	int64_t time;
	bool unknown; /* not in the spool, as far as was looked */
};

struct page {
	struct feed_pass *pass;
	const char *text; /* of the array */
	struct entry *at;
	size_t n;
	size_t unknown; /* of them */
	enum spool_box box;
};

/*
 * Where the page's array is: the text itself, or the one member of an object that is an array.
 * The text is JSON: brackets that are not in strings are in pairs.
 */
static bool
find_array(const char *p, size_t n, size_t *at, size_t *len)
{
	size_t i = strspn(p, " \t\r\n"), found = 0;
	bool in_string = false;
	unsigned depth = 0;

	if (p[i] == '[') {
		*at = i;
		*len = n - i;
		return true;
	}
	for (; i < n; i++) {
		if (in_string && p[i] == '\\') {
			i++;
		} else if (in_string) {
			in_string = p[i] != '"';
		} else if (p[i] == '"') {
			in_string = true;
		} else if (p[i] == '[' || p[i] == '{') {
			if (p[i] == '[' && depth == 1 && found++ == 0)
				*at = i;
			depth++;
		} else if (p[i] == ']' || p[i] == '}') {
			depth--;
			if (p[i] == ']' && depth == 1 && found == 1)
				*len = i + 1 - *at;
		}
	}
	return found == 1;
}

static enum rc
split_page(const char *body, size_t n, struct page *pg, struct err *e)
{
	size_t at = 0, len = 0, count = 0;
	struct json_span *spans;
	bool is_array;
	enum rc rc;

	if ((rc = json_check(body, n, e)) != RC_OK)
		return rc;
	if (!find_array(body, n, &at, &len))
		return err_set(e, RC_BAD,
		    "a page of the feed that is neither an array nor an "
		    "object with one");
	if ((spans = calloc(FEED_ENTRIES, sizeof(*spans))) == NULL)
		return err_set(e, RC_LATER, "no memory");
	rc = json_split(body + at, len, spans, FEED_ENTRIES, &count, &is_array, e);
	if (rc == RC_OK && count > 0 && (pg->at = calloc(count, sizeof(*pg->at))) == NULL)
		rc = err_set(e, RC_LATER, "no memory");
	for (size_t i = 0; rc == RC_OK && i < count; i++)
		pg->at[i].span = spans[i];
	free(spans);
	if (rc != RC_OK)
		return rc == RC_FULL ? RC_BAD : rc;
	pg->text = body + at;
	pg->n = count;
	return RC_OK;
}

/* The name an entry has in the spool: as the receiver would have named it. */
static enum rc
read_entry(const struct feed_pass *p, const char *text, struct entry *en, struct err *e)
{
	struct name parts = {0};
	struct json *doc = NULL;
	enum rc rc;

	if ((rc = json_parse(text + en->span.at, en->span.n, &doc, e)) != RC_OK)
		return rc;
	rc = event_read(doc, &en->ev, e);
	json_free(&doc);
	if (rc != RC_OK)
		return rc;
	if (!str_u64(en->ev.number, 0, UINT64_MAX, &en->number))
		return err_set(e, RC_BAD, "an entry of the feed without eventNumber");
	if (!clk_parse(en->ev.time, &en->time))
		en->time = 0;
	if (p->numbered)
		(void)snprintf(parts.key, sizeof(parts.key), "n-%s", en->ev.number);
	else if ((rc = event_key(
		      &en->ev, text + en->span.at, en->span.n, p->now, parts.key, e)) != RC_OK)
		return rc;
	memcpy(en->key, parts.key, sizeof(en->key));
	(void)!str_copy(parts.account, sizeof(parts.account), p->account->name);
	(void)!str_copy(parts.category, sizeof(parts.category), en->ev.category);
	(void)!str_copy(parts.type, sizeof(parts.type), en->ev.type);
	return name_build(&parts, en->name, e);
}

static void
known(struct page *pg, struct entry *en)
{
	if (!en->unknown)
		return;
	en->unknown = false;
	pg->unknown--;
	pg->pass->seen++;
}

static bool
was_used(const struct feed_pass *p, const char *name)
{
	for (unsigned i = 0; i < p->matched; i++)
		if (str_eq(p->used[i], name))
			return true;
	return false;
}

/* An event may stand for one entry only. */
static void
use(struct feed_pass *p, const char *name)
{
	if (p->used == NULL)
		p->used = calloc(FEED_MATCHED, sizeof(*p->used));
	if (p->used != NULL && p->matched < FEED_MATCHED &&
	    str_copy(p->used[p->matched], NAME_SIZE, name))
		p->matched++;
}

/* A key that says nothing about which event it is: made of the arrival, or of the body. */
static bool
is_anonymous(const char *key)
{
	return str_begins(key, "t-") ||
	       (strlen(key) == 32 && strspn(key, "0123456789abcdef") == 32);
}

static bool
same_object(const struct event *a, const struct event *b)
{
	return str_eq(a->client_hash, b->client_hash) &&
	       str_eq(a->document_hash, b->document_hash) && str_eq(a->user_hash, b->user_hash);
}

/* The same for an event that was erased: only a digest of its ids is left. */
static bool
is_erased_entry(const struct feed_pass *p, const struct rec *r, const struct entry *en)
{
	char ids[REC_ERASED];

	if (event_ids_digest(&en->ev, r->erased_ids, ids, sizeof(ids), NULL) != RC_OK ||
	    !str_eq(ids, r->erased_ids))
		return false;
	if (r->event_time > 0)
		return r->event_time == en->time;
	return r->received >= en->time - NEAR && r->received <= en->time + p->grace + NEAR;
}

/* Is the event in the file the entry's?  By its time where it says one, else by its arrival. */
static bool
is_entry(const struct feed_pass *p, const struct rec *r, const struct event *ev,
    const struct entry *en)
{
	int64_t time;

	if (r->erased != 0)
		return is_erased_entry(p, r, en);
	if (!same_object(ev, &en->ev))
		return false;
	if (clk_parse(ev->time, &time) && time > 0)
		return time == en->time;
	return r->received >= en->time - NEAR && r->received <= en->time + p->grace + NEAR;
}

static bool
kind_is_sought(const struct page *pg, const struct name *parts)
{
	for (size_t i = 0; i < pg->n; i++)
		if (pg->at[i].unknown && str_eq(parts->category, pg->at[i].ev.category) &&
		    str_eq(parts->type, pg->at[i].ev.type))
			return true;
	return false;
}

/* An event without identity: does its content match an entry that is not known yet? */
static void
match_content(struct page *pg, const struct spool_entry *se, const struct name *parts)
{
	struct buf b = BUF_INIT(EVENT_FILE);
	struct json *doc = NULL;
	struct spool_item it;
	struct event ev = {0};
	struct rec r;

	if (!kind_is_sought(pg, parts) || was_used(pg->pass, se->name) ||
	    spool_peek(pg->pass->spool, pg->box, se->name, &it, NULL) != RC_OK)
		return;
	if (spool_read(&it, &b, &r, NULL) != RC_OK)
		goto out;
	if (r.erased == 0 && (json_parse(r.body, r.body_len, &doc, NULL) != RC_OK ||
				 event_read(doc, &ev, NULL) != RC_OK))
		goto out;
	for (size_t i = 0; i < pg->n; i++) {
		struct entry *en = &pg->at[i];

		if (!en->unknown || !str_eq(parts->category, en->ev.category) ||
		    !str_eq(parts->type, en->ev.type) || !is_entry(pg->pass, &r, &ev, en))
			continue;
		use(pg->pass, se->name);
		known(pg, en);
		break;
	}
out:
	event_free(&ev);
	json_free(&doc);
	buf_free(&b);
	spool_unlock(&it);
}

/* One name of the spool: the same event under another kind, by its number, or by its content?
 */
static bool
compare_name(const struct spool_entry *se, void *arg)
{
	struct page *pg = arg;
	struct name parts;

	if (!se->is_name || !name_parse(se->name, &parts) ||
	    !str_eq(parts.account, pg->pass->account->name))
		return true;
	if (is_anonymous(parts.key)) {
		if (pg->box != SPOOL_REJECTED)
			match_content(pg, se, &parts);
		return pg->unknown > 0;
	}
	for (size_t i = 0; i < pg->n; i++) {
		struct entry *en = &pg->at[i];
		bool by_number = str_begins(parts.key, "n-") &&
				 str_eq(parts.key + 2, en->ev.number);

		if (!en->unknown || (!by_number && !str_eq(parts.key, en->key)))
			continue;
		pg->pass->numbered = pg->pass->numbered || (by_number && en->ev.id[0] != '\0');
		known(pg, en);
	}
	return pg->unknown > 0;
}

/* Read every entry, and leave as unknown what is old enough and not there by its name. */
static enum rc
look(struct page *pg, struct err *e)
{
	struct feed_pass *p = pg->pass;
	enum spool_box box;
	enum rc rc;

	for (size_t i = 0; i < pg->n; i++) {
		struct entry *en = &pg->at[i];

		if ((rc = read_entry(p, pg->text, en, e)) != RC_OK)
			return rc;
		if (p->lowest == 0 || en->number < p->lowest)
			p->lowest = en->number;
		if (en->number <= p->after || en->number > p->until)
			continue;
		rc = spool_find(p->spool, en->name, &box, e);
		if (rc == RC_OK) {
			p->seen++;
		} else if (rc != RC_GONE) {
			return rc;
		} else if (en->time > p->now - p->grace) {
			if (p->young == 0 || en->number < p->young)
				p->young = en->number;
		} else {
			en->unknown = true;
			pg->unknown++;
		}
	}
	return RC_OK;
}

static enum rc
recover(struct page *pg, const struct entry *en, struct err *e)
{
	struct feed_pass *p = pg->pass;
	struct delivery d = {.account = p->account,
	    .auth = "api",
	    .remote = "feed",
	    .source = REC_RECONCILE,
	    .by_number = p->numbered,
	    .received = p->now,
	    .now = p->now};
	struct intake in;
	enum rc rc;

	p->missing++;
	if (p->dry_run)
		return RC_OK;
	rc = intake_read(NULL, &d, pg->text + en->span.at, en->span.n, &in);
	if (rc == RC_OK)
		rc = intake_keep(p->spool, &d, &in);
	else if (rc == RC_BAD || rc == RC_DENIED)
		rc = intake_reject(p->spool, &d, pg->text + en->span.at, en->span.n, &in);
	if (rc == RC_OK)
		p->recovered++;
	else if (e != NULL)
		*e = in.why;
	intake_close(&in);
	return rc;
}

static void
page_free(struct page *pg)
{
	for (size_t i = 0; i < pg->n; i++)
		event_free(&pg->at[i].ev);
	free(pg->at);
}

enum rc
feed_page(struct feed_pass *p, const char *body, size_t n, struct err *e)
{
	struct page pg = {.pass = p};
	uint64_t before = p->lowest;
	enum rc rc;

	if ((rc = split_page(body, n, &pg, e)) != RC_OK || (rc = look(&pg, e)) != RC_OK)
		goto out;
	p->last_entries = (unsigned)pg.n;
	if (pg.n == 0 && before == 0) {
		rc = err_set(e, RC_BAD, "the feed names a latest event and gives none");
		goto out;
	}
	if (before != 0 && pg.n > 0 && p->lowest >= before) {
		rc = err_set(e, RC_BAD, "the feed goes on without going back");
		goto out;
	}
	for (pg.box = SPOOL_NEW; pg.unknown > 0 && pg.box < SPOOL_BOXES; pg.box++)
		if ((rc = spool_walk(p->spool, pg.box, compare_name, &pg, e)) != RC_OK)
			goto out;
	for (size_t i = pg.n; i > 0 && rc == RC_OK; i--) /* the oldest first */
		if (pg.at[i - 1].unknown)
			rc = recover(&pg, &pg.at[i - 1], e);
out:
	page_free(&pg);
	return rc;
}

void
feed_pass_begin(struct feed_pass *p, struct feed_state *s, uint64_t since, uint64_t last)
{
	const bool again = since != 0 && since - 1 < s->cursor;

	if (!s->begun)
		s->cursor = since != 0 ? since - 1 : last;
	s->begun = true;
	p->after = again ? since - 1 : s->cursor;
	p->until = last > p->after ? last : p->after;
	p->numbered = s->numbered;
}

void
feed_pass_report(const struct feed_pass *p, struct feed_state *s, int64_t now)
{
	uint64_t cursor = feed_pass_cursor(p);

	if (cursor > s->cursor)
		s->cursor = cursor;
	s->numbered = p->numbered;
	s->ran = now;
	s->from = p->after;
	s->to = p->until;
	s->seen = p->seen;
	s->missing = p->missing;
	s->recovered = p->recovered;
	s->recovered_all += p->recovered;
}

bool
feed_pass_done(const struct feed_pass *p, uint64_t *from)
{
	*from = p->lowest == 0 ? p->until : p->lowest - 1;
	return p->until <= p->after || *from <= p->after ||
	       (p->lowest != 0 && p->last_entries == 0);
}

uint64_t
feed_pass_cursor(const struct feed_pass *p)
{
	return p->young != 0 ? p->young - 1 : p->until;
}

void
feed_pass_end(struct feed_pass *p)
{
	free(p->used);
	p->used = NULL;
	p->matched = 0;
}
