/*
 * SPDX-License-Identifier: ISC
 *
 * check_running - what the spool says about how things go; see check.h.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "clk.h"
#include "count.h"
#include "io.h"
#include "keyfile.h"
#include "name.h"
#include "pause.h"
#include "str.h"
#include "user.h"

#define KEYS_SLACK 3 /* times keys_refresh that keys may be old while all is well */

/* Only a look: the lock is let go at once. */
static void
look_daemon(struct check *k)
{
	struct err e = {0};
	int fd = -1;
	enum rc rc = io_open(spool_dir(k->c->spool), "lock", &fd, &e);

	if (rc == RC_OK)
		rc = io_lock(fd, &e);
	io_close(&fd);
	if (rc == RC_LATER)
		check_say(k, CHECK_OK, "spoold", NULL, "it runs");
	else
		check_say(k, CHECK_FAILURE, "spoold", NULL,
		    "it does not run: events are taken and wait\nsystemctl start spoold; its "
		    "log says why it ended");
}

struct seen {
	const struct check *k;
	size_t n;           /* events in the box */
	size_t ids, others; /* of the account: with an identity of their own, and without */
	const char *account;
};

static bool
see(const struct spool_entry *en, void *arg)
{
	struct seen *s = arg;
	struct name parts;

	s->n++;
	if (s->account == NULL || !name_parse(en->name, &parts) ||
	    !str_eq(parts.account, s->account))
		return true;
	if (str_begins(parts.key, "t-") || str_only(parts.key, "", 32, 32))
		s->others++;
	else
		s->ids++;
	return true;
}

static void
look_box(struct check *k, enum spool_box box, const char *means)
{
	struct seen s = {.k = k};
	struct err e = {0};

	if (spool_walk(k->c->spool, box, see, &s, &e) == RC_OK && s.n > 0)
		check_say(k, CHECK_WARNING, spool_box_name(box), NULL,
		    "%zu %s\n\"spoolctl ls %s\" lists them, \"spoolctl explain ID\" says why",
		    s.n, means, spool_box_name(box));
}

/* Can repeats and missed events be recognised for sure? */
static void
look_identity(struct check *k, const struct conf_account *a)
{
	static const enum spool_box boxes[] = {SPOOL_CUR, SPOOL_FAILED, SPOOL_DONE};
	struct seen s = {.k = k, .account = a->name};
	struct err e = {0};

	for (size_t i = 0; i < sizeof(boxes) / sizeof(boxes[0]); i++)
		if (spool_walk(k->c->spool, boxes[i], see, &s, &e) != RC_OK)
			return;
	if (s.others > 0)
		check_say(k, CHECK_WARNING, "identity", NULL,
		    "%zu of %zu events came with neither id nor number: a missed one is found "
		    "by kind, object and time only, so one of two alike may be "
		    "overlooked\nask Arken for the event's id in the webhook's body",
		    s.others, s.others + s.ids);
}

static bool
say_pause(const struct pause *p, void *arg)
{
	struct check *k = arg;

	check_say(k, CHECK_WARNING, "target", p->target,
	    "%s: %.300s\nwhen its cause is gone: \"spoolctl resume %s\"",
	    p->kind == PAUSE_DOWN ? "down" : "paused", p->reason, p->target);
	return true;
}

static void
look_targets(struct check *k)
{
	unsigned before = k->count[CHECK_WARNING];
	struct err e = {0};
	int dir = -1;

	if (pause_open(spool_dir(k->c->spool), false, &dir, &e) == RC_OK)
		(void)!pause_each(dir, say_pause, k, &e);
	io_close(&dir);
	if (before == k->count[CHECK_WARNING])
		check_say(k, CHECK_OK, "target", NULL, "none is down or paused");
}

static void
look_keys(struct check *k, const struct conf_account *a)
{
	struct keyfile f = {0};
	char span[CLK_TEXT];
	struct err e = {0};
	int64_t age;
	int dir = -1;
	enum rc rc;

	if (a->issuer == NULL)
		return;
	rc = io_open_dir(spool_dir(k->c->spool), "keys", &dir, &e);
	if (rc == RC_OK)
		rc = keyfile_read(dir, a->name, &f, &e);
	age = k->c->now - f.fetched;
	clk_span(age, span);
	if (rc == RC_GONE || (rc == RC_OK && f.fetched == 0))
		check_say(k, CHECK_FAILURE, "keys", a->issuer,
		    "none were ever fetched: tokens are answered 503\nis spoold running? Its "
		    "log says why the issuer cannot be asked");
	else if (rc != RC_OK)
		check_say(k, CHECK_FAILURE, "keys", a->issuer,
		    "%s\nremove the file; spoold fetches them anew", e.text);
	else if (age > a->keys_max_age)
		check_say(k, CHECK_FAILURE, "keys", a->issuer,
		    "fetched %s ago, older than keys_max_age: tokens are answered "
		    "503\nspoold's "
		    "log says why the issuer cannot be asked",
		    span);
	else if (age > KEYS_SLACK * k->c->conf->daemon.keys_refresh)
		check_say(k, CHECK_WARNING, "keys", a->issuer,
		    "fetched %s ago\nspoold's log says why the issuer cannot be asked", span);
	else
		check_say(k, CHECK_OK, "keys", a->issuer, "fetched %s ago", span);
	keyfile_free(&f);
	io_close(&dir);
}

void
check_running(struct check *k)
{
	const struct conf *c = k->c->conf;

	look_daemon(k);
	if (count_is_broken(spool_counts(k->c->spool)))
		check_say(k, CHECK_FAILURE, "sync", NULL,
		    "a folder could not be synced: every request is answered 503\nlook at the "
		    "disk and the kernel's log, then \"spoolctl clear-mark\"");
	look_box(k, SPOOL_FAILED, "need a person");
	look_box(k, SPOOL_REJECTED, "could not be read as events");
	look_targets(k);
	for (size_t i = 0; i < c->naccounts; i++) {
		k->account = c->accounts[i].name;
		look_keys(k, &c->accounts[i]);
		look_identity(k, &c->accounts[i]);
	}
	k->account = NULL;
}
