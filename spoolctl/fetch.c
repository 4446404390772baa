/*
 * SPDX-License-Identifier: ISC
 *
 * fetch - one document brought by hand; see fetch.h.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "clk.h"
#include "download.h"
#include "fetch.h"
#include "io.h"
#include "json.h"
#include "str.h"
#include "verdict.h"

#define API_BYTES (64 << 20) /* a document that the API itself sends is never larger */
#define FILE_MODE 0640       /* less the umask */

struct
try {
	struct fetch *f;
	struct event ev;
	struct store_place at;
	struct store_doc doc; /* fd and name of what comes, in the store or the folder */
	struct buf record;
	char link[HTTP_URL], source[HASH_HEX];
	struct download got;
	struct fetched *out;
	bool look;  /* only: nothing is written */
	bool again; /* a fresh link, or another download, may mend it */
};

static enum rc
begin(struct try *t, struct err *e)
{
	unsigned char random[8];
	char hex[17];

	if (t->f->store != NULL)
		return store_begin(t->f->store, &t->doc, e);
	clk_random(random, sizeof(random));
	str_hex(hex, random, sizeof(random));
	(void)snprintf(t->doc.tmp, sizeof(t->doc.tmp), ".spoolctl.%s", hex);
	t->doc.fd = openat(t->f->dir, t->doc.tmp,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
	return t->doc.fd >= 0 ? RC_OK : err_sys(e, "openat", t->doc.tmp);
}

static void
drop(struct try *t)
{
	if (t->f->store != NULL) {
		store_abort(t->f->store, &t->doc);
		return;
	}
	io_close(&t->doc.fd);
	if (t->doc.tmp[0] != '\0')
		(void)io_unlink(t->f->dir, t->doc.tmp, NULL);
	t->doc.tmp[0] = '\0';
}

/* ---- details ---- */

/* The API's answer is the document itself. */
static enum rc
take_bytes(struct try *t, struct client_answer *ans, struct err *e)
{
	enum rc rc;

	if ((rc = begin(t, e)) != RC_OK ||
	    (rc = io_write_all(t->doc.fd, ans->http.body, ans->http.body_len, e)) != RC_OK)
		return rc;
	ans->http.file_len = ans->http.body_len;
	return download_take(&ans->http, "", "", &t->got, &t->out->meta, e);
}

static enum rc
take_link(struct try *t, const struct client_answer *ans, struct err *e)
{
	struct json *doc = NULL;
	const char *client;
	enum rc rc;

	t->record = BUF_INIT(ans->http.body_len);
	buf_add(&t->record, ans->http.body, ans->http.body_len);
	if ((rc = buf_state(&t->record, e)) != RC_OK ||
	    (rc = json_parse(ans->http.body, ans->http.body_len, &doc, e)) != RC_OK)
		return rc;
	client = json_text(json_member(doc, "clientHashId"));
	if (client != NULL && !str_eq(client, t->ev.client_hash)) {
		rc = err_set(e, RC_GONE, "it is a document of another client");
	} else {
		rc = api_link(t->f->conf, &t->ev, doc, t->f->guard, t->link, e);
		if (rc == RC_GONE)
			rc = RC_BAD; /* the details are there, the document has no link */
	}
	json_free(&doc);
	return rc;
}

/* Afterwards there is a link, or the bytes. */
static enum rc
details(struct try *t, struct err *e)
{
	struct client_answer ans;
	struct http_request rq;
	char url[HTTP_URL];
	enum rc rc;

	t->link[0] = '\0';
	buf_free(&t->record);
	rc = api_callback(t->f->conf, t->f->account, &t->ev, url, e);
	if (rc != RC_OK)
		return rc;
	client_request(t->f->client, url, &rq);
	rq.max_body = API_BYTES;
	rc = client_call(t->f->client, &rq, &ans, e);
	if (rc == RC_EXISTS && !http_mend(ans.http.location, t->link, sizeof(t->link)))
		rc = err_set(e, RC_BAD, "the API answered with a redirect that leads nowhere");
	else if (rc == RC_EXISTS)
		rc = RC_OK;
	else if (rc == RC_OK && json_check(ans.http.body, ans.http.body_len, e) == RC_OK)
		rc = take_link(t, &ans, e);
	else if (rc == RC_OK && strstr(ans.http.content_type, "json") != NULL)
		rc = err_set(e, RC_BAD, "the API's answer is not JSON");
	else if (rc == RC_OK && !t->look)
		rc = take_bytes(t, &ans, e);
	client_answer_free(&ans);
	return rc;
}

/* ---- the download ---- */

/* What an answer that is no document means; RC_OK: *follow it. */
static enum rc
refused(struct try *t, const struct http_answer *a, enum verdict v, unsigned *hops,
    const char *why, struct err *e)
{
	switch (v) {
	case V_OK:
		return RC_OK;
	case V_LINK:
		if ((*hops)++ < DOWNLOAD_HOPS && download_follow(t->link, a->location))
			return RC_OK;
		return err_set(e, RC_LATER, "too many redirects, or one that leads nowhere");
	case V_RELINK:
	case V_RENEW:
	case V_GONE:
		t->again = true;
		return err_set(e, RC_LATER, "%s", why);
	case V_OURS:
		return err_set(e, RC_FULL, "%s", why);
	case V_DOWN:
	case V_LATER:
		return err_set(e, RC_LATER, "%s", why);
	case V_NEVER:
		break;
	}
	return err_set(e, a->fate == HTTP_FORBIDDEN ? RC_DENIED : RC_BAD, "%s", why);
}

/* One request; *whole: it brought the document, else the link is that of a redirect now. */
static enum rc
request(struct try *t, unsigned *hops, bool *whole, struct err *e)
{
	struct client_answer ans;
	struct http_request rq;
	struct http_url u;
	char why[ERR_TEXT];
	enum verdict v;
	enum rc rc;

	*whole = false;
	if ((rc = download_link(t->link, t->f->guard, &u, t->source, e)) != RC_OK)
		return rc;
	(void)!str_copy(t->out->host, sizeof(t->out->host), u.host);
	drop(t);
	if ((rc = begin(t, e)) != RC_OK)
		return rc;
	client_request(t->f->client, t->link, &rq);
	download_request(t->f->conf, &rq);
	rq.guard = t->f->guard;
	rq.file = t->doc.fd;
	if ((rc = client_exchange(t->f->client, &rq, &ans, e)) == RC_OK) {
		v = verdict_document(&ans.http, why);
		*whole = v == V_OK;
		rc = *whole ? download_take(
				  &ans.http, t->link, t->source, &t->got, &t->out->meta, e)
			    : refused(t, &ans.http, v, hops, why, e);
	}
	client_answer_free(&ans);
	return rc;
}

/* Details, bytes, and whether they are the document; before: as download_check has it. */
static enum rc
bring(struct try *t, bool only_look, const char *before, struct err *e)
{
	bool whole = false, content = false;
	struct http_url u;
	unsigned hops = 0;
	enum rc rc;

	t->again = false;
	memset(&t->out->meta, 0, sizeof(t->out->meta));
	if ((rc = details(t, e)) != RC_OK)
		return rc;
	t->out->link_end = t->link[0] != '\0' ? api_link_end(t->link) : 0;
	if (only_look && t->link[0] != '\0') {
		rc = download_link(t->link, t->f->guard, &u, t->source, e);
		(void)!str_copy(t->out->host, sizeof(t->out->host), u.host);
	}
	if (only_look)
		return rc;
	for (whole = t->link[0] == '\0'; rc == RC_OK && !whole;)
		rc = request(t, &hops, &whole, e);
	if (rc != RC_OK)
		return rc;
	rc = download_check(t->doc.fd, &t->got, before, &t->out->meta, &content, e);
	t->again = content;
	return rc;
}

/* ---- to its place ---- */

/* What brought it, by a name as those of events: versions in the store are named after it. */
static enum rc
name_it(struct try *t, struct err *e)
{
	struct store_meta *m = &t->out->meta;
	struct name n = {.category = "FileStore", .type = "Pull"};

	m->event_time = m->stored = m->fetched = clk_wall();
	(void)!str_copy(n.account, sizeof(n.account), t->f->account->name);
	event_arrival_key(m->stored, n.key);
	return name_build(&n, m->event, e);
}

static enum rc
to_store(struct try *t, struct err *e)
{
	enum rc rc = RC_OK;

	if (t->record.n > 0)
		rc = download_record(t->f->store, t->f->conf, &t->ev, &t->at,
		    buf_text(&t->record), t->record.n, e);
	if (rc == RC_OK || rc == RC_EXISTS)
		rc = store_commit(t->f->store, &t->at, &t->doc, &t->out->meta, e);
	t->out->same = rc == RC_EXISTS;
	if (rc == RC_GONE)
		return err_set(e, RC_GONE,
		    "the store says that it was deleted at Arken (deleted.json); -o brings it "
		    "elsewhere");
	return rc == RC_EXISTS ? RC_OK : rc;
}

static enum rc
to_folder(struct try *t, struct err *e)
{
	struct fetched *o = t->out;
	char folder[NAME_FOLDER];
	enum rc rc;

	if ((rc = name_folder(t->ev.document_hash, folder, e)) != RC_OK ||
	    (rc = io_sync_close(&t->doc.fd, e)) != RC_OK)
		return rc;
	if (t->f->name == NULL)
		(void)snprintf(o->file, sizeof(o->file), "%s%s", folder, o->meta.suffix);
	else if (!str_copy(o->file, sizeof(o->file), t->f->name))
		return err_set(e, RC_BAD, "the file's name is too long");
	if (t->f->force && renameat(t->f->dir, t->doc.tmp, t->f->dir, o->file) != 0)
		rc = err_sys(e, "renameat", o->file);
	else if (!t->f->force)
		rc = io_move(t->f->dir, t->doc.tmp, t->f->dir, o->file, e);
	if (rc == RC_EXISTS)
		return err_set(e, RC_EXISTS,
		    "%.150s is there already: move it away, or replace it with --force",
		    o->file);
	if (rc != RC_OK)
		return rc;
	t->doc.tmp[0] = '\0';
	return io_sync_dir(t->f->dir, e);
}

enum rc
fetch_document(struct fetch *f, const char *client, const char *document, bool only_look,
    struct fetched *out, struct err *e)
{
	struct try *t = calloc(1, sizeof(*t));
	char before[ERR_TEXT] = "";
	enum rc rc = RC_OK;

	memset(out, 0, sizeof(*out));
	if (t == NULL)
		return err_set(e, RC_LATER, "no memory");
	*t = (struct try){.f = f, .out = out, .look = only_look, .doc = {.fd = -1}};
	t->at = (struct store_place){f->account->name, "FileStore", t->ev.document_hash};
	(void)!str_copy(t->ev.category, sizeof(t->ev.category), "FileStore");
	(void)!str_copy(t->ev.type, sizeof(t->ev.type), "Upload");
	(void)!str_copy(t->ev.client_hash, sizeof(t->ev.client_hash), client);
	(void)!str_copy(t->ev.document_hash, sizeof(t->ev.document_hash), document);
	for (unsigned n = 0; n == 0 || (rc != RC_OK && t->again && n <= DOWNLOAD_RELINKS);
	     n++) {
		drop(t);
		(void)snprintf(before, sizeof(before), "%s", n > 0 ? e->text : "");
		rc = bring(t, only_look, before, e);
	}
	if (rc == RC_OK && !only_look && (rc = name_it(t, e)) == RC_OK)
		rc = f->store != NULL ? to_store(t, e) : to_folder(t, e);
	drop(t);
	buf_free(&t->record);
	explicit_bzero(t->link, sizeof(t->link));
	free(t);
	return rc;
}
