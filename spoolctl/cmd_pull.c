/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_pull - documents of a client fetched by hand, into the store or a folder.
 *
 * Beside a running daemon: the token and the store are shared with it, each under its lock.
 */
#include "config.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "api.h"
#include "client.h"
#include "clk.h"
#include "ctl.h"
#include "evlog.h"
#include "fetch.h"
#include "io.h"
#include "json.h"
#include "log.h"
#include "out.h"
#include "str.h"

#define BAR 24     /* columns */
#define REDRAW 100 /* milliseconds between two pictures of the bar */

enum { OWN_DOCUMENT = CTL_OWN, OWN_FORCE };

struct bar { /* on a terminal only */
	bool on, drawn;
	const char *label;
	int64_t begun, last;
};

struct pull {
	struct ctl *c;
	const char *account, *client, *document, *out;
	bool force, dry_run, json;
	struct fetch f;
	char name[NAME_HASH + 64]; /* of the file that -o names, "" a folder */
	char folder[PATH_MAX];     /* where it is, for people */
	char (*ids)[NAME_HASH];
	size_t n, brought, empty;
	struct bar bar;
};

/* ---- the bar ---- */

static void
draw(uint64_t got, uint64_t all, void *arg)
{
	struct bar *b = arg;
	int64_t now = clk_mono(), ms = now - b->begun;
	unsigned full = all > 0 ? (unsigned)(got * BAR / all) : 0;

	if (!b->on || (b->drawn && now - b->last < REDRAW))
		return;
	b->last = now;
	b->drawn = true;
	(void)fprintf(stderr, "\r\033[K%.24s ", b->label);
	if (all > 0)
		(void)fprintf(stderr, "[%.*s%*s] %3" PRIu64 "%%", (int)full,
		    "########################", (int)(BAR - full), "", got * 100 / all);
	(void)fprintf(stderr, " %" PRIu64 " KiB", got / 1024);
	if (ms > 0)
		(void)fprintf(stderr, ", %" PRIu64 " KiB/s", got * 1000 / 1024 / (uint64_t)ms);
	(void)fflush(stderr);
}

static void
wipe(struct bar *b)
{
	if (b->drawn)
		(void)fputs("\r\033[K", stderr);
	b->drawn = false;
}

/* ---- which documents ---- */

static enum rc
list(struct pull *p, struct err *e)
{
	struct client_answer ans;
	struct json *doc = NULL;
	struct http_request rq;
	char url[HTTP_URL];
	enum rc rc;

	if ((rc = api_documents_url(p->c->conf, p->f.account, p->client, url, e)) != RC_OK)
		return rc;
	client_request(p->f.client, url, &rq);
	rc = client_call(p->f.client, &rq, &ans, e);
	if (rc == RC_OK && ans.http.status != 204 &&
	    (rc = json_parse(ans.http.body, ans.http.body_len, &doc, e)) == RC_OK)
		rc = api_documents(doc, p->client, p->ids, API_DOCUMENTS, &p->n, e);
	if (rc == RC_GONE || (rc == RC_DENIED && ans.http.status == 403))
		rc = err_set(e, RC_GONE,
		    "the API has no such client, or no list of its documents (it answered %d): "
		    "name one with --document, or the call with get in "
		    "[callback " API_LIST "]",
		    ans.http.status);
	json_free(&doc);
	client_answer_free(&ans);
	return rc;
}

/* ---- what became of one ---- */

static void
say_json(const struct pull *p, const char *document, const char *result,
    const struct fetched *got, const char *where, const char *why)
{
	struct buf b = BUF_INIT(65536);

	buf_str(&b, "{\"account\":");
	buf_json(&b, p->f.account->name);
	buf_str(&b, ",\"client\":");
	buf_json(&b, p->client);
	buf_str(&b, ",\"document\":");
	buf_json(&b, document);
	buf_fmt(&b, ",\"result\":\"%s\"", result);
	if (why != NULL) {
		buf_str(&b, ",\"error\":");
		buf_json(&b, why);
	} else {
		buf_str(&b, ",\"host\":");
		buf_json(&b, got->host);
		buf_str(&b, ",\"to\":");
		buf_json(&b, where);
	}
	if (why == NULL && got->meta.sha256[0] != '\0') {
		buf_fmt(&b,
		    ",\"bytes\":%" PRIu64 ",\"sha256\":\"%s\",\"mediaType\":", got->meta.size,
		    got->meta.sha256);
		buf_json(&b, got->meta.media_type);
		buf_str(&b, ",\"warning\":");
		buf_json(&b, got->meta.warning);
	}
	buf_str(&b, "}\n");
	out_json(&b);
	buf_free(&b);
}

static void
say(const struct pull *p, const char *document, const char *result, const struct fetched *got,
    const char *where)
{
	if (p->json) {
		say_json(p, document, result, got, where, NULL);
		return;
	}
	(void)out_str(document);
	(void)printf("  %s", result);
	if (got->meta.sha256[0] != '\0')
		(void)printf("  %" PRIu64 " bytes", got->meta.size);
	else if (got->host[0] != '\0')
		(void)printf("  from %s", got->host);
	(void)printf("  ");
	(void)out_str(where);
	(void)printf("\n");
	if (got->meta.warning[0] != '\0')
		(void)ctl_fail(0, "%s: %s", document, got->meta.warning);
}

/* Where it is, or would be. */
static void
place(const struct pull *p, const char *document, const struct fetched *got, char *out,
    size_t size)
{
	const struct store_place at = {p->f.account->name, "FileStore", document};
	char where[NAME_ACCOUNT + NAME_WORD + NAME_FOLDER + 3] = "";

	if (p->f.store == NULL)
		(void)snprintf(
		    out, size, "%s/%s", p->folder, got->file[0] != '\0' ? got->file : p->name);
	else if (store_where(&at, where, sizeof(where), NULL) == RC_OK && got->meta.size > 0)
		(void)snprintf(
		    out, size, "%s/%s/document%s", p->folder, where, got->meta.suffix);
	else
		(void)snprintf(out, size, "%s/%s", p->folder, where);
}

static void
note(const struct pull *p, const char *document, const struct fetched *got)
{
	struct err e = {0};

	if (evlog_put(spool_log_dir(p->c->spool), clk_wall(), "pull", got->meta.event, &e,
		"document", document, "sha256", got->meta.sha256, "to",
		p->f.store != NULL ? "store" : "folder", "operator", p->c->operator, "uid",
		p->c->uid, LOG_END) != RC_OK)
		(void)ctl_fail(0, "done, but not written to the spool's log: %s", e.text);
}

static int
pull_one(struct pull *p, const char *document)
{
	struct fetched got;
	struct err e = {0};
	char where[PATH_MAX + 512];
	enum rc rc;

	p->bar.label = document;
	p->bar.begun = clk_mono();
	rc = fetch_document(&p->f, p->client, document, p->dry_run, &got, &e);
	wipe(&p->bar);
	if (rc == RC_GONE && p->document == NULL) {
		p->empty++; /* data of a document that has no file (yet) */
		if (p->json)
			say_json(p, document, "none", &got, "", e.text);
		else
			(void)ctl_fail(0, "%s: no file: %s", document, e.text);
		return EX_OK;
	}
	if (rc != RC_OK) {
		if (p->json)
			say_json(p, document, "failed", &got, "", e.text);
		return ctl_fail(err_exit(rc), "%s: %s%s", document, e.text,
		    rc == RC_DENIED  ? "; if that is right, change document_hosts or "
				       "document_networks"
		    : rc == RC_LATER ? "; try again later"
				     : "");
	}
	p->brought++;
	place(p, document, &got, where, sizeof(where));
	if (!p->dry_run)
		note(p, document, &got);
	say(p, document,
	    p->dry_run           ? "would be fetched"
	    : got.same           ? "is in the store already"
	    : p->f.store != NULL ? "is in the store"
				 : "fetched",
	    &got, where);
	return EX_OK;
}

static int
pull_all(struct pull *p)
{
	int status = EX_OK;
	struct err e = {0};
	enum rc rc;

	if ((p->ids = calloc(API_DOCUMENTS, sizeof(*p->ids))) == NULL)
		return ctl_fail(EX_OSERR, "no memory");
	if (p->document != NULL) {
		(void)!str_copy(p->ids[0], NAME_HASH, p->document);
		p->n = 1;
	} else if ((rc = list(p, &e)) != RC_OK) {
		return ctl_fail(err_exit(rc), "client %s: %s", p->client, e.text);
	}
	for (size_t i = 0; i < p->n; i++)
		status = ctl_worse(status, pull_one(p, p->ids[i]));
	if (p->n == 0)
		(void)ctl_fail(0, "client %s has no documents", p->client);
	return status;
}

/* ---- where to ---- */

/* -o: a folder, or a file in one. */
static int
open_folder(struct pull *p)
{
	const char *slash = strrchr(p->out, '/'), *name = slash != NULL ? slash + 1 : p->out;
	struct err e = {0};
	struct stat st;
	enum rc rc;

	if (stat(p->out, &st) == 0 && S_ISDIR(st.st_mode)) {
		(void)!str_copy(p->folder, sizeof(p->folder), p->out);
	} else if (p->document == NULL) {
		return ctl_fail(EX_USAGE,
		    "%s is no folder, as several documents need one: mkdir it, or name one "
		    "document with --document",
		    p->out);
	} else {
		if (name[0] == '\0' || !str_copy(p->name, sizeof(p->name), name))
			return ctl_fail(EX_CANTCREAT, "%s: not a file's name", p->out);
		(void)!str_copy_n(p->folder, sizeof(p->folder),
		    slash == NULL     ? "."
		    : slash == p->out ? "/"
				      : p->out,
		    slash == NULL || slash == p->out ? 1 : (size_t)(slash - p->out));
		p->f.name = p->name;
	}
	if ((rc = io_open_dir(AT_FDCWD, p->folder, &p->f.dir, &e)) != RC_OK)
		return ctl_fail(err_exit(rc), "%s", e.text);
	if (p->f.name != NULL && !p->force && io_exists(p->f.dir, p->f.name))
		return ctl_fail(EX_CANTCREAT,
		    "%s is there already: move it away, or replace it with --force", p->out);
	return EX_OK;
}

static int
open_store(struct pull *p)
{
	struct err e = {0};
	enum rc rc = store_join(p->c->conf->daemon.store, &p->f.store, &e);

	(void)!str_copy(p->folder, sizeof(p->folder), p->c->conf->daemon.store);
	if (rc == RC_GONE)
		return ctl_fail(EX_NOINPUT,
		    "there is no store %s yet: spoold makes it when it starts; or use -o",
		    p->c->conf->daemon.store);
	return rc == RC_OK ? EX_OK : ctl_fail(err_exit(rc), "%s", e.text);
}

/* The rest is closed by pull_end. */
static int
pull_begin(struct pull *p, const struct conf_account *a)
{
	struct err e = {0};
	enum rc rc;
	int status;

	p->f = (struct fetch){.conf = p->c->conf, .account = a, .dir = -1, .force = p->force};
	if ((status = p->out != NULL ? open_folder(p) : open_store(p)) != EX_OK)
		return status;
	if ((rc = guard_new(a->document_hosts, a->document_networks, &p->f.guard, &e)) !=
		RC_OK ||
	    (rc = client_open(p->c->conf, a, spool_counts(p->c->spool), &p->f.client, &e)) !=
		RC_OK)
		return ctl_fail(err_exit(rc), "%s", e.text);
	p->bar.on = isatty(STDERR_FILENO) != 0;
	client_progress(p->f.client, draw, &p->bar);
	return EX_OK;
}

static void
pull_end(struct pull *p)
{
	client_close(&p->f.client);
	guard_free(&p->f.guard);
	store_close(&p->f.store);
	if (p->f.dir >= 0)
		io_close(&p->f.dir);
	free(p->ids);
}

static int
read_options(struct pull *p, int argc, char **argv)
{
	static const struct option names[] = {{"account", required_argument, NULL, CTL_ACCOUNT},
	    {"client", required_argument, NULL, CTL_CLIENT},
	    {"document", required_argument, NULL, OWN_DOCUMENT},
	    {"output", required_argument, NULL, 'o'}, {"force", no_argument, NULL, OWN_FORCE},
	    {"dry-run", no_argument, NULL, 'n'}, {"json", no_argument, NULL, CTL_JSON},
	    {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	const char *wrong = NULL;
	int opt;

	while ((opt = ctl_option(p->c, argc, argv, ":hno:", names)) >= 0) {
		if (opt == 'n')
			p->dry_run = true;
		else if (opt == 'o')
			p->out = optarg;
		else if (opt == CTL_JSON)
			p->json = true;
		else if (opt == OWN_FORCE)
			p->force = true;
		else if (opt == CTL_ACCOUNT)
			p->account = optarg;
		else if (opt == CTL_CLIENT)
			p->client = optarg;
		else if (opt == OWN_DOCUMENT)
			p->document = optarg;
	}
	if (opt != CTL_END)
		return opt;
	if (optind < argc)
		wrong = "it takes no arguments but options";
	else if (p->client == NULL)
		wrong = "whose documents? name the client with --client";
	else if (!name_hash_ok(p->client) ||
		 (p->document != NULL && !name_hash_ok(p->document)))
		wrong = "a hash id has 1 to 64 printable characters, no space";
	else if (p->force && p->out == NULL)
		wrong =
		    "--force is about files of -o; the store keeps what it had in versions/";
	if (wrong == NULL)
		return CTL_END;
	(void)ctl_usage(p->c, "%s", wrong);
	return CTL_BAD;
}

int
cmd_pull(struct ctl *c, int argc, char **argv)
{
	struct pull p = {.c = c, .f = {.dir = -1}};
	const struct conf_account *a;
	int opt, status;

	if ((opt = read_options(&p, argc, argv)) != CTL_END)
		return ctl_option_exit(opt);
	if ((status = ctl_open(c)) != EX_OK)
		return status;
	if ((a = ctl_account(c, p.account, &status)) == NULL)
		return status;
	if ((status = pull_begin(&p, a)) == EX_OK)
		status = pull_all(&p);
	pull_end(&p);
	return status;
}
