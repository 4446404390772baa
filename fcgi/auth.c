/*
 * SPDX-License-Identifier: ISC
 *
 * auth - credentials of a request; see auth.h.
 */
#include "config.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "auth.h"
#include "buf.h"
#include "log.h"
#include "secret.h"

#define AUTH_FILE 65536 /* bytes of a file of secrets */

/* What tells one content of a file from the next. */
struct file_mark {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

struct keyring { /* the secrets of one account */
	struct secrets *secrets;
	struct file_mark mark;
	int64_t looked; /* clk_mono of the last look at the file */
	bool missing;   /* and there was none */
};

struct auth {
	const struct conf *conf;
	pthread_mutex_t lock;   /* over all keyrings: a comparison takes microseconds */
	struct keyring rings[]; /* one for each of conf->accounts */
};

static struct file_mark
mark_of(const struct stat *st)
{
	return (struct file_mark){.dev = st->st_dev,
	    .ino = st->st_ino,
	    .size = st->st_size,
	    .mtime = st->st_mtim,
	    .ctime = st->st_ctim};
}

static bool
time_equal(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool
mark_equal(const struct file_mark *a, const struct file_mark *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       time_equal(a->mtime, b->mtime) && time_equal(a->ctime, b->ctime);
}

static enum rc
read_secrets(const char *path, struct secrets **out, struct err *e)
{
	struct buf text = BUF_SECRET(AUTH_FILE);
	enum rc rc;

	*out = NULL;
	if ((rc = conf_secret(path, &text, e)) == RC_OK &&
	    (rc = secrets_parse(buf_text(&text), text.n, out, e)) != RC_OK)
		err_prefix(e, "%s", path);
	buf_wipe(&text);
	return rc;
}

/* The mark is taken before the content, so a change in between is seen at the next look. */
static enum rc
keyring_load(struct keyring *k, const char *path, struct err *e)
{
	struct secrets *fresh = NULL;
	struct stat st;
	enum rc rc;

	if (stat(path, &st) != 0) {
		k->missing = true;
		return err_sys(e, "stat", path);
	}
	k->missing = false;
	k->mark = mark_of(&st);
	if ((rc = read_secrets(path, &fresh, e)) != RC_OK)
		return rc;
	secrets_free(&k->secrets);
	k->secrets = fresh;
	return RC_OK;
}

/* A file that is gone or no good changes nothing: said once, and the secrets known stay valid.
 */
static void
keyring_refresh(struct keyring *k, const struct conf_account *account)
{
	bool was_missing = k->missing;
	struct file_mark now;
	struct stat st;
	struct err e;

	if (clk_mono() - k->looked < AUTH_RECHECK)
		return;
	k->looked = clk_mono();
	if (stat(account->secret_file, &st) == 0) {
		now = mark_of(&st);
		if (!was_missing && mark_equal(&now, &k->mark))
			return;
	} else if (was_missing) {
		return;
	}
	err_clear(&e);
	if (keyring_load(k, account->secret_file, &e) == RC_OK)
		log_put(LOG_NOTE, "secrets read again", "account", account->name, LOG_END);
	else
		log_put(LOG_ERROR, "secrets not read, the old ones stay valid", "account",
		    account->name, "reason", e.text, LOG_END);
}

enum rc
auth_open(const struct conf *c, struct auth **out, struct err *e)
{
	struct auth *a;
	enum rc rc = RC_OK;

	*out = NULL;
	if ((a = calloc(1, sizeof(*a) + c->naccounts * sizeof(a->rings[0]))) == NULL)
		return err_sys(e, "calloc", NULL);
	a->conf = c;
	pthread_mutex_init(&a->lock, NULL);
	for (size_t i = 0; i < c->naccounts && rc == RC_OK; i++) {
		if (c->accounts[i].secret_file == NULL)
			continue;
		a->rings[i].looked = clk_mono();
		rc = keyring_load(&a->rings[i], c->accounts[i].secret_file, e);
		if (rc != RC_OK)
			err_prefix(e, "account %s", c->accounts[i].name);
	}
	if (rc != RC_OK)
		auth_close(&a);
	*out = a;
	return rc;
}

void
auth_close(struct auth **a)
{
	if (*a == NULL)
		return;
	for (size_t i = 0; i < (*a)->conf->naccounts; i++)
		secrets_free(&(*a)->rings[i].secrets);
	pthread_mutex_destroy(&(*a)->lock);
	free(*a);
	*a = NULL;
}

/*
 * A repeated header comes as two parameters (nginx) or as one "a, b" (lighttpd, Apache): the
 * first is counted, the second is no secret of ours.
 */
static unsigned
match_header(struct auth *a, const struct conf_account *account, const struct request *rq)
{
	struct keyring *k = &a->rings[account - a->conf->accounts];
	char name[REQUEST_NAME];
	const char *value;
	unsigned times, line = 0;

	if (account->secret_header == NULL || account->secret_file == NULL ||
	    !request_header_name(account->secret_header, name))
		return 0;
	value = request_param(rq->env, name, &times);
	if (value == NULL || times != 1)
		return 0;
	pthread_mutex_lock(&a->lock);
	keyring_refresh(k, account);
	if (k->secrets != NULL)
		line = secrets_match(k->secrets, value);
	pthread_mutex_unlock(&a->lock);
	return line;
}

enum rc
auth_check(struct auth *a, const struct conf_account *account, const struct request *rq,
    char which[AUTH_NAME], struct err *e)
{
	unsigned line = match_header(a, account, rq);

	which[0] = '\0';
	if (line == 0)
		return err_set(e, RC_DENIED, "no valid credential");
	(void)snprintf(which, AUTH_NAME, "secret:line%u", line);
	return RC_OK;
}
