/*
 * SPDX-License-Identifier: ISC
 *
 * keys - the keys of issuers; see keys.h.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "buf.h"
#include "hash.h"
#include "jose.h"
#include "keyfile.h"
#include "keys.h"
#include "log.h"
#include "stamp.h"
#include "str.h"

#define ASK_NAME (sizeof(KEYS_ASK) + KEYFILE_NAME)
#define ASK_EVERY CLK_SECOND /* a file in ask is made once in this time, at most */

struct set { /* never changes; freed by the last who holds it */
	unsigned holders;
	uint64_t number; /* no other set has it */
	char digest[HASH_HEX];
	struct jose *jose;
};

struct issuer {               /* of one account */
	pthread_mutex_t lock; /* over all below; no signature is verified under it */
	const struct conf_account *account;
	char file[KEYFILE_NAME], ask[ASK_NAME];
	struct set *set;        /* the last good one; NULL none yet */
	int64_t fetched, tried; /* clk_wall, as the file says; fetched is of set */
	struct stamp stamp;     /* of the file that was read last */
	int64_t looked;         /* clk_mono of the last look at the file */
	int64_t asked;          /* clk_mono of the last file made in ask */
	int64_t patience;       /* clk_mono before which nobody waits; 0: somebody may */
	bool ask_failed;        /* it was said */
	bool passing;           /* the file could not be read just then */
	bool again;             /* so read it, even if it is the same */
};

struct keys {
	int keys_dir, ask_dir;
	bool may_wait; /* with one thread, nobody: it would hold up everybody */
	atomic_bool waiting;
	atomic_ullong sets;
	size_t count;
	struct issuer issuers[]; /* one for each of conf->accounts; account NULL: it has none */
};

static void
set_free(struct set **s)
{
	if (*s == NULL)
		return;
	jose_free(&(*s)->jose);
	free(*s);
	*s = NULL;
}

/* Under the issuer's lock, as what follows until the next such remark. */
static struct set *
set_hold(struct issuer *i)
{
	if (i->set != NULL)
		i->set->holders++;
	return i->set;
}

static void
set_drop(struct set **s)
{
	if (*s != NULL && --(*s)->holders == 0)
		set_free(s);
	*s = NULL;
}

static enum rc
set_new(struct keys *k, const struct keyfile *f, struct set **out, struct err *e)
{
	struct set *s = calloc(1, sizeof(*s));
	enum rc rc;

	*out = NULL;
	if (s == NULL)
		return err_sys(e, "calloc", NULL);
	s->holders = 1;
	s->number = atomic_fetch_add(&k->sets, 1) + 1;
	if ((rc = hash_sha256(f->jwks, f->jwks_len, s->digest, e)) == RC_OK)
		rc = jose_parse(f->jwks, f->jwks_len, &s->jose, e);
	if (rc == RC_OK && jose_count(s->jose, JOSE_USABLE) == 0)
		rc = err_set(e, RC_BAD, "no usable key in the set");
	if (rc != RC_OK)
		set_free(&s);
	*out = s;
	return rc;
}

static void
tell_set(const struct issuer *i)
{
	struct buf skipped = BUF_INIT(512);
	char usable[21];

	for (int f = JOSE_USABLE + 1; f < JOSE_FATES; f++) {
		size_t n = jose_count(i->set->jose, (enum jose_fate)f);

		if (n > 0)
			buf_fmt(&skipped, "%s%s %zu", skipped.n > 0 ? ", " : "",
			    jose_fate_name((enum jose_fate)f), n);
	}
	(void)snprintf(usable, sizeof(usable), "%zu", jose_count(i->set->jose, JOSE_USABLE));
	log_put(jose_count(i->set->jose, JOSE_PRIVATE) > 0 ? LOG_WARN : LOG_NOTE,
	    "issuer's keys read", "account", i->account->name, "usable", usable, "skipped",
	    buf_text(&skipped), LOG_END);
	buf_free(&skipped);
}

/* A file for another issuer is one from before the configuration changed. */
static enum rc
issuer_take(struct keys *k, struct issuer *i, const struct keyfile *f, struct err *e)
{
	char digest[HASH_HEX] = "";
	struct set *fresh;
	enum rc rc;

	if (!str_eq(f->issuer, i->account->issuer))
		return err_set(e, RC_BAD, "%s: keys of another issuer", i->file);
	i->tried = f->tried;
	if (f->jwks == NULL)
		return RC_OK;
	if ((rc = hash_sha256(f->jwks, f->jwks_len, digest, e)) != RC_OK)
		return rc;
	if (i->set == NULL || !str_eq(i->set->digest, digest)) {
		if ((rc = set_new(k, f, &fresh, e)) != RC_OK) {
			err_prefix(e, "%s", i->file);
			return rc;
		}
		set_drop(&i->set);
		i->set = fresh;
		tell_set(i);
	}
	i->fetched = f->fetched;
	return RC_OK;
}

/*
 * Read the file if it is another than was read last; true: it is.  One that is gone or no good
 * changes nothing: said once, and the keys known stay valid.
 */
static bool
issuer_look(struct keys *k, struct issuer *i)
{
	struct stamp now = stamp_of(k->keys_dir, i->file);
	struct keyfile f = {0};
	struct err e = {0};
	enum rc rc;

	if (stamp_equal(&now, &i->stamp) && !i->again)
		return false;
	i->stamp = now;
	i->again = false;
	i->patience = 0; /* the daemon does something */
	if (!now.there)
		return true;
	if ((rc = keyfile_read(k->keys_dir, i->account->name, &f, &e)) == RC_OK)
		rc = issuer_take(k, i, &f, &e);
	i->passing = rc == RC_LATER || rc == RC_FULL;
	if (rc != RC_OK)
		log_put(LOG_ERROR, "issuer's keys not read", "account", i->account->name,
		    "reason", e.text, LOG_END);
	keyfile_free(&f);
	return true;
}

/* The look that comes by itself.  What failed for the moment is tried once more with it. */
static void
issuer_refresh(struct keys *k, struct issuer *i)
{
	if (clk_mono() - i->looked < KEYS_RECHECK)
		return;
	i->looked = clk_mono();
	i->again = i->passing;
	i->passing = false;
	(void)issuer_look(k, i);
}

static bool
issuer_usable(const struct issuer *i)
{
	return i->set != NULL && clk_wall() - i->fetched <= i->account->keys_max_age;
}

/* Was it less than KEYS_FRESH ago?  What lies in the future was not. */
static bool
is_recent(int64_t then)
{
	int64_t ago = clk_wall() - then;

	return ago >= 0 && ago < KEYS_FRESH;
}

static void
issuer_ask(struct keys *k, struct issuer *i)
{
	struct err e = {0};
	int fd;

	if (i->asked != 0 && clk_mono() - i->asked < ASK_EVERY)
		return;
	i->asked = clk_mono();
	fd = openat(
	    k->ask_dir, i->ask, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd >= 0)
		(void)close(fd);
	if (fd >= 0 || errno == EEXIST) {
		i->ask_failed = false;
		return;
	}
	(void)err_sys(&e, "openat", i->ask);
	if (!i->ask_failed)
		log_put(LOG_ERROR, "issuer's keys not asked for", "account", i->account->name,
		    "reason", e.text, LOG_END);
	i->ask_failed = true;
}

/* Is there anything to wait for, and nobody who waits?  true: the caller does now. */
static bool
issuer_may_wait(struct keys *k, const struct issuer *i)
{
	if (!k->may_wait || is_recent(i->tried) || clk_mono() < i->patience)
		return false;
	return !atomic_exchange(&k->waiting, true);
}

/* Not under the lock from here on.  Until the file is another than before, or in vain. */
static void
issuer_wait(struct keys *k, struct issuer *i, const struct stamp *before)
{
	struct stamp now;
	bool news = false;

	for (int t = 0; t < KEYS_WAIT / KEYS_STEP && !news; t++) {
		(void)poll(NULL, 0, KEYS_STEP);
		now = stamp_of(k->keys_dir, i->file);
		news = !stamp_equal(&now, before);
	}
	pthread_mutex_lock(&i->lock);
	(void)issuer_look(k, i);
	if (!news)
		i->patience = clk_mono() + KEYS_FRESH;
	pthread_mutex_unlock(&i->lock);
	atomic_store(&k->waiting, false);
}

uint64_t
keys_current(struct keys *k, size_t account)
{
	struct issuer *i = &k->issuers[account];
	uint64_t number;

	pthread_mutex_lock(&i->lock);
	issuer_refresh(k, i);
	number = issuer_usable(i) ? i->set->number : 0;
	pthread_mutex_unlock(&i->lock);
	return number;
}

struct attempt {            /* at verifying with the keys there are */
	bool fresh;         /* the issuer has no others */
	struct stamp stamp; /* of their file */
};

/* RC_GONE: other keys are needed. */
static enum rc
verify_now(struct issuer *i, const char *token, size_t n, const struct jwt *t, uint64_t *number,
    struct attempt *a, struct err *e)
{
	struct set *set = NULL;
	enum rc rc = RC_GONE;

	pthread_mutex_lock(&i->lock);
	if (issuer_usable(i))
		set = set_hold(i);
	else
		(void)err_set(e, RC_GONE, "the issuer's keys are %s",
		    i->set != NULL ? "older than keys_max_age" : "not here yet");
	a->fresh = set != NULL && is_recent(i->fetched);
	a->stamp = i->stamp;
	pthread_mutex_unlock(&i->lock);
	if (set != NULL) {
		*number = set->number;
		rc = jose_verify(set->jose, token, n, t, e);
	}
	pthread_mutex_lock(&i->lock);
	set_drop(&set);
	pthread_mutex_unlock(&i->lock);
	return rc;
}

enum rc
keys_verify(struct keys *k, size_t account, const char *token, size_t n, const struct jwt *t,
    uint64_t *set, struct err *e)
{
	struct issuer *i = &k->issuers[account];
	struct attempt a;
	bool news, wait;
	enum rc rc;

	*set = 0;
	(void)keys_current(k, account);
	if ((rc = verify_now(i, token, n, t, set, &a, e)) != RC_GONE)
		return rc;
	/* The file may be another since the last look. */
	pthread_mutex_lock(&i->lock);
	news = issuer_look(k, i) || !stamp_equal(&i->stamp, &a.stamp);
	pthread_mutex_unlock(&i->lock);
	if (news && (rc = verify_now(i, token, n, t, set, &a, e)) != RC_GONE)
		return rc;
	if (!a.fresh) {
		pthread_mutex_lock(&i->lock);
		issuer_ask(k, i);
		wait = issuer_may_wait(k, i);
		pthread_mutex_unlock(&i->lock);
		if (wait) {
			issuer_wait(k, i, &a.stamp);
			if ((rc = verify_now(i, token, n, t, set, &a, e)) != RC_GONE)
				return rc;
		}
	}
	return a.fresh ? RC_DENIED : RC_LATER;
}

static enum rc
issuer_open(struct keys *k, struct issuer *i, const struct conf_account *a, struct err *e)
{
	enum rc rc;

	if (a->issuer == NULL)
		return RC_OK;
	if ((rc = keyfile_name(a->name, i->file, e)) != RC_OK)
		return rc;
	(void)snprintf(i->ask, sizeof(i->ask), "%s%s", KEYS_ASK, a->name);
	i->account = a;
	pthread_mutex_lock(&i->lock);
	i->looked = clk_mono();
	(void)issuer_look(k, i);
	pthread_mutex_unlock(&i->lock);
	return RC_OK;
}

enum rc
keys_open(const struct conf *c, int keys_dir, int ask_dir, struct keys **out, struct err *e)
{
	struct keys *k = calloc(1, sizeof(*k) + c->naccounts * sizeof(k->issuers[0]));
	enum rc rc = RC_OK;

	*out = NULL;
	if (k == NULL)
		return err_sys(e, "calloc", NULL);
	k->keys_dir = keys_dir;
	k->ask_dir = ask_dir;
	k->may_wait = c->receiver.threads != 1;
	k->count = c->naccounts;
	for (size_t n = 0; n < c->naccounts; n++)
		(void)pthread_mutex_init(
		    &k->issuers[n].lock, NULL); /* on Linux it does not fail */
	for (size_t n = 0; n < c->naccounts && rc == RC_OK; n++)
		rc = issuer_open(k, &k->issuers[n], &c->accounts[n], e);
	if (rc != RC_OK)
		keys_close(&k);
	*out = k;
	return rc;
}

void
keys_close(struct keys **k)
{
	if (*k == NULL)
		return;
	for (size_t n = 0; n < (*k)->count; n++) {
		set_drop(&(*k)->issuers[n].set);
		pthread_mutex_destroy(&(*k)->issuers[n].lock);
	}
	free(*k);
	*k = NULL;
}
