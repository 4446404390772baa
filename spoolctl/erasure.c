/*
 * SPDX-License-Identifier: ISC
 *
 * erasure - what there is of a client; see erasure.h.
 *
 * A document is the client's if the record of it in the store names the client, or an event
 * does that names both.  Then all events of the document, and all that the store has under its
 * id, are the client's too.
 */
#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "buf.h"
#include "erasure.h"
#include "event.h"
#include "evlog.h"
#include "hash.h"
#include "io.h"
#include "json.h"
#include "name.h"
#include "rec.h"
#include "str.h"

#define FILE_MAX ((64 << 20) + REC_HEAD_MAX) /* an event, a record */
#define PLAN_MAX (512 << 20)
#define OBJECT 160 /* "ACCOUNT/CATEGORY/FOLDER" */

static enum rc
words_add(struct words *w, const char *text, struct err *e)
{
	if (w->n == ERASURE_MAX)
		return err_set(e, RC_FULL, "more than %d names", ERASURE_MAX);
	if (w->n == w->cap) {
		size_t cap = w->cap != 0 ? 2 * w->cap : 64;
		char **p = realloc(w->at, cap * sizeof(*p));

		if (p == NULL)
			return err_set(e, RC_LATER, "no memory");
		w->at = p;
		w->cap = cap;
	}
	if ((w->at[w->n] = strdup(text)) == NULL)
		return err_set(e, RC_LATER, "no memory");
	w->n++;
	return RC_OK;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
words_sort(struct words *w)
{
	size_t kept = 0;

	if (w->n == 0)
		return;
	qsort(w->at, w->n, sizeof(*w->at), by_text);
	for (size_t i = 0; i < w->n; i++) {
		if (kept > 0 && str_eq(w->at[kept - 1], w->at[i]))
			free(w->at[i]);
		else
			w->at[kept++] = w->at[i];
	}
	w->n = w->sorted = kept;
}

static bool
words_have(const struct words *w, const char *text)
{
	return w->sorted > 0 &&
	       bsearch(&text, w->at, w->sorted, sizeof(*w->at), by_text) != NULL;
}

static void
words_free(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->at[i]);
	free(w->at);
	*w = (struct words){0};
}

enum rc
erasure_init(struct erasure *x, struct spool *sp, struct store *st, const char *client,
    const char *account, struct err *e)
{
	char digest[HASH_HEX];
	enum rc rc;

	*x = (struct erasure){.client = client, .account = account, .spool = sp, .store = st};
	if ((rc = hash_sha256(client, strlen(client), digest, e)) == RC_OK)
		(void)snprintf(x->plan, sizeof(x->plan), "plan.%.32s", digest);
	return rc;
}

void
erasure_free(struct erasure *x)
{
	words_free(&x->events);
	words_free(&x->objects);
	words_free(&x->documents);
}

static bool
is_part(char c)
{
	return isalnum((unsigned char)c) != 0 || c == '-' || c == '_';
}

bool
erasure_mentions(const char *p, size_t n, const char *word)
{
	const size_t k = strlen(word);
	const char *end = p + n;

	for (const char *at = p; (at = memmem(at, (size_t)(end - at), word, k)) != NULL; at++)
		if ((at == p || !is_part(at[-1])) && (at + k == end || !is_part(at[k])))
			return true;
	return false;
}

/* ---- the plan: "event NAME", "object PATH", "document FOLDER", one a line ---- */

static const char *const kinds[] = {"event ", "object ", "document "};

static struct words *
list_of(struct erasure *x, size_t kind)
{
	return kind == 0 ? &x->events : kind == 1 ? &x->objects : &x->documents;
}

static void
sort_all(struct erasure *x)
{
	for (size_t k = 0; k < 3; k++)
		words_sort(list_of(x, k));
}

enum rc
erasure_load(struct erasure *x, int dir, struct err *e)
{
	struct buf b = BUF_INIT(PLAN_MAX);
	enum rc rc = io_read_file(dir, x->plan, &b, e);
	char *save, *line;

	for (line = rc == RC_OK && b.n > 0 ? strtok_r(b.p, "\n", &save) : NULL;
	     line != NULL && rc == RC_OK; line = strtok_r(NULL, "\n", &save))
		for (size_t k = 0; k < 3; k++)
			if (str_begins(line, kinds[k]))
				rc = words_add(list_of(x, k), line + strlen(kinds[k]), e);
	buf_free(&b);
	sort_all(x);
	return rc == RC_GONE ? RC_OK : rc;
}

enum rc
erasure_save(struct erasure *x, int dir, struct err *e)
{
	struct buf b = BUF_INIT(PLAN_MAX);
	enum rc rc;

	for (size_t k = 0; k < 3; k++)
		for (size_t i = 0; i < list_of(x, k)->n; i++)
			buf_fmt(&b, "%s%s\n", kinds[k], list_of(x, k)->at[i]);
	if ((rc = buf_state(&b, e)) == RC_OK)
		rc = io_replace(dir, x->plan, 0600, b.p, b.n, e);
	buf_free(&b);
	return rc;
}

/* ---- looking ---- */

struct search {
	struct erasure *x;
	enum spool_box box;
	bool all; /* the documents are known: events of theirs count */
	enum rc rc;
	struct err *e;
};

static bool
is_of_documents(const char *category)
{
	return str_eq(category, "DocumentData") || str_eq(category, "FileStore");
}

/* The client's own folder, one whose record names the client, or one of a known document. */
static bool
object_is_of(const struct erasure *x, const struct store_object *o)
{
	struct buf b = BUF_INIT(FILE_MAX);
	char folder[NAME_FOLDER];
	bool is;

	if (str_eq(o->category, "Account") || str_eq(o->category, "User"))
		return false; /* it may name any number of clients */
	if (str_eq(o->category, "Client"))
		return name_folder(x->client, folder, NULL) == RC_OK &&
		       str_eq(folder, o->folder);
	if (is_of_documents(o->category) && words_have(&x->documents, o->folder))
		return true;
	is = io_read_file(o->dir, "record.json", &b, NULL) == RC_OK &&
	     erasure_mentions(buf_text(&b), b.n, x->client);
	buf_free(&b);
	return is;
}

static bool
look_at_object(const struct store_object *o, void *arg)
{
	struct search *s = arg;
	char path[OBJECT];

	if ((s->x->account != NULL && !str_eq(s->x->account, o->account)) ||
	    !object_is_of(s->x, o))
		return true;
	(void)snprintf(path, sizeof(path), "%s/%s/%s", o->account, o->category, o->folder);
	s->rc = words_add(&s->x->objects, path, s->e);
	if (s->rc == RC_OK && is_of_documents(o->category))
		s->rc = words_add(&s->x->documents, o->folder, s->e);
	return s->rc == RC_OK;
}

/* What an event of the client adds: its document, and where its object is in the store. */
static enum rc
follow(struct search *s, const char *account, const struct event *ev)
{
	char folder[NAME_FOLDER], object[API_OBJECT], path[OBJECT];
	enum rc rc = RC_OK;

	if (ev->document_hash[0] != '\0' &&
	    (rc = name_folder(ev->document_hash, folder, s->e)) == RC_OK)
		rc = words_add(&s->x->documents, folder, s->e);
	if (rc != RC_OK || !str_eq(ev->category, "FileStore") ||
	    api_object(ev, object, NULL) != RC_OK ||
	    (rc = name_folder(object, folder, s->e)) != RC_OK)
		return rc;
	(void)snprintf(path, sizeof(path), "%s/%s/%s", account, ev->category, folder);
	return words_add(&s->x->objects, path, s->e);
}

/* The bytes of an event's file: are they the client's?  ev is filled in as far as it goes. */
static bool
event_is_of(const struct search *s, const struct buf *file, struct event *ev)
{
	struct json *doc = NULL;
	char folder[NAME_FOLDER];
	bool is = erasure_mentions(buf_text(file), file->n, s->x->client);
	struct rec r;

	*ev = (struct event){0};
	if (rec_parse(buf_text(file), file->n, &r, NULL) == RC_OK && r.erased == 0 &&
	    json_parse(r.body, r.body_len, &doc, NULL) == RC_OK &&
	    event_read(doc, ev, NULL) == RC_OK)
		is = is || str_eq(ev->client_hash, s->x->client) ||
		     (s->all && ev->document_hash[0] != '\0' &&
			 name_folder(ev->document_hash, folder, NULL) == RC_OK &&
			 words_have(&s->x->documents, folder));
	json_free(&doc);
	return is;
}

static bool
look_at_event(const struct spool_entry *se, void *arg)
{
	struct search *s = arg;
	struct buf file = BUF_INIT(FILE_MAX);
	struct spool_item it;
	struct event ev = {0};
	struct name parts;

	if (!se->is_name || se->foreign || !name_parse(se->name, &parts) ||
	    (s->x->account != NULL && !str_eq(s->x->account, parts.account)) ||
	    spool_peek(s->x->spool, s->box, se->name, &it, NULL) != RC_OK)
		return true;
	if (io_read_all(it.fd, &file, NULL) == RC_OK && event_is_of(s, &file, &ev)) {
		if (s->all)
			s->rc = words_add(&s->x->events, se->name, s->e);
		else
			s->rc = follow(s, parts.account, &ev);
	}
	event_free(&ev);
	buf_free(&file);
	spool_unlock(&it);
	return s->rc == RC_OK;
}

/* Every box in the order of life; again, as an event may move on while it is looked for. */
static enum rc
look_at_events(struct search *s)
{
	enum rc rc = RC_OK;

	for (s->box = SPOOL_NEW; rc == RC_OK && s->box < SPOOL_BOXES; s->box++)
		if ((rc = spool_walk(s->x->spool, s->box, look_at_event, s, s->e)) == RC_OK)
			rc = s->rc;
	sort_all(s->x);
	return rc;
}

static enum rc
look_at_store(struct search *s)
{
	enum rc rc = RC_OK;

	if (s->x->store != NULL &&
	    (rc = store_walk(s->x->store, look_at_object, s, s->e)) == RC_OK)
		rc = s->rc;
	sort_all(s->x);
	return rc;
}

enum rc
erasure_find(struct erasure *x, struct err *e)
{
	struct search s = {.x = x, .e = e};
	enum rc rc;

	if ((rc = look_at_store(&s)) != RC_OK || (rc = look_at_events(&s)) != RC_OK ||
	    (rc = look_at_store(&s)) != RC_OK)
		return rc;
	s.all = true;
	return look_at_events(&s);
}

enum rc
erasure_left(const struct erasure *x, struct err *e)
{
	struct erasure now;
	enum rc rc = erasure_init(&now, x->spool, x->store, x->client, x->account, e);

	for (size_t i = 0; i < x->documents.n && rc == RC_OK; i++)
		rc = words_add(&now.documents, x->documents.at[i], e);
	words_sort(&now.documents);
	if (rc == RC_OK && (rc = erasure_find(&now, e)) == RC_OK &&
	    now.events.n + now.objects.n > 0)
		rc = err_set(e, RC_LATER, "%s came meanwhile",
		    now.events.n > 0 ? now.events.at[0] : now.objects.at[0]);
	erasure_free(&now);
	return rc;
}

bool
erasure_in(const struct erasure *x, const char *p, size_t n)
{
	bool in = erasure_mentions(p, n, x->client);

	for (size_t i = 0; i < x->documents.n && !in; i++)
		in = erasure_mentions(p, n, x->documents.at[i]);
	return in;
}

bool
erasure_has_line(const char *line, void *arg)
{
	const struct erasure *x = arg;
	char name[NAME_SIZE];

	if (evlog_value(line, "event", name, sizeof(name)) && words_have(&x->events, name))
		return true;
	return erasure_mentions(line, strlen(line), x->client);
}
