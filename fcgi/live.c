/*
 * SPDX-License-Identifier: ISC
 *
 * live - the configuration that is in use; see live.h.
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "handle.h"
#include "live.h"
#include "log.h"
#include "status.h"

#define SPARE 2 /* threads that neither work nor wait, so that somebody always says 503 */

struct setup { /* one configuration and what was opened by it */
	struct conf *conf;
	struct spool *spool;
	struct auth *auth;
	struct receiver receiver;
	unsigned users; /* exchanges, under the lock of the live */
};

struct live {
	char *file;
	unsigned threads; /* what the command line says in the place of the file; 0: nothing */
	unsigned limit;
	struct shared shared;
	pthread_mutex_t lock;
	struct setup *now; /* what new exchanges get */
};

static void
setup_free(struct setup **sp)
{
	struct setup *s = *sp;

	if (s == NULL)
		return;
	auth_close(&s->auth);
	spool_close(&s->spool);
	conf_free(&s->conf);
	free(s);
	*sp = NULL;
}

static enum rc
setup_open(struct live *l, struct setup **out, struct err *e)
{
	struct setup *s = calloc(1, sizeof(*s));
	struct spool_opt opt;
	enum rc rc;

	*out = NULL;
	if (s == NULL)
		return err_sys(e, "calloc", NULL);
	if ((rc = conf_load(l->file, &s->conf, e)) != RC_OK)
		goto out;
	if (l->threads != 0)
		s->conf->receiver.threads = l->threads;
	opt = (struct spool_opt){
	    .path = s->conf->spool.directory,
	    .min_free = s->conf->spool.min_free,
	    .min_inodes = s->conf->spool.min_inodes,
	    .queue_limit = s->conf->spool.queue_limit,
	    .rejected_limit = s->conf->spool.rejected_limit,
	    .allow_fs = s->conf->spool.allow_fs,
	};
	if ((rc = status_check(s->conf, e)) == RC_OK &&
	    (rc = spool_open(&opt, &s->spool, e)) == RC_OK)
		rc = auth_open(s->conf, s->spool, &s->auth, e);
out:
	if (rc != RC_OK) {
		setup_free(&s);
		return rc;
	}
	receiver_open(&s->receiver, s->conf, s->spool, s->auth, &l->shared);
	*out = s;
	return RC_OK;
}

static unsigned
places(unsigned limit)
{
	return (limit + 1) / 2;
}

enum rc
live_open(const char *file, unsigned threads, struct live **out, struct err *e)
{
	struct live *l = calloc(1, sizeof(*l));
	const struct conf *c;
	enum rc rc;

	*out = NULL;
	if (l == NULL || (l->file = strdup(file)) == NULL) {
		free(l);
		return err_set(e, RC_LATER, "no memory");
	}
	l->threads = threads;
	if ((rc = setup_open(l, &l->now, e)) != RC_OK) {
		free(l->file);
		free(l);
		return rc;
	}
	c = l->now->conf;
	log_open("arken.fcgi", c->log.format, c->log.target);
	log_level(c->log.level);
	l->limit = (unsigned)c->receiver.threads;
	shared_open(&l->shared, c, l->limit, places(l->limit));
	(void)pthread_mutex_init(&l->lock, NULL); /* on Linux it does not fail */
	*out = l;
	return RC_OK;
}

void
live_close(struct live **lp)
{
	struct live *l = *lp;

	if (l == NULL)
		return;
	setup_free(&l->now);
	shared_close(&l->shared);
	pthread_mutex_destroy(&l->lock);
	free(l->file);
	free(l);
	*lp = NULL;
}

unsigned
live_threads(const struct live *l)
{
	return l->limit + places(l->limit) + SPARE;
}

static struct setup *
setup_take(struct live *l)
{
	struct setup *s;

	pthread_mutex_lock(&l->lock);
	s = l->now;
	s->users++;
	pthread_mutex_unlock(&l->lock);
	return s;
}

static void
setup_give(struct live *l, struct setup *s)
{
	bool last;

	pthread_mutex_lock(&l->lock);
	last = --s->users == 0 && s != l->now;
	pthread_mutex_unlock(&l->lock);
	if (last)
		setup_free(&s);
}

bool
live_handle(struct exchange *x, void *arg)
{
	struct live *l = arg;
	struct setup *s = setup_take(l);
	bool at_end = handle_exchange(&s->receiver, x);

	setup_give(l, s);
	return at_end;
}

/* What cannot be changed under way is said, not done. */
static void
tell_unchanged(const struct live *l, const struct conf *old, const struct conf *new)
{
	if ((new->receiver.threads != old->receiver.threads &&new->receiver.threads !=
		l->limit) ||
	    new->log.format != old->log.format || new->log.target != old->log.target)
		log_put(LOG_WARN,
		    "threads, log format and log target change with the next start", LOG_END);
}

void
live_reload(void *arg)
{
	struct live *l = arg;
	struct setup *fresh, *old = setup_take(l);
	struct err e = {0};

	if (setup_open(l, &fresh, &e) != RC_OK) {
		count_add(spool_counts(old->spool), COUNT_RELOAD_FAILED, 1);
		log_put(LOG_ERROR, "not reloaded, the old configuration stays", "reason",
		    e.text, LOG_END);
		setup_give(l, old);
		return;
	}
	tell_unchanged(l, old->conf, fresh->conf);
	log_level(fresh->conf->log.level);
	shared_resize(&l->shared, fresh->conf);
	pthread_mutex_lock(&l->lock);
	l->now = fresh;
	pthread_mutex_unlock(&l->lock);
	count_add(spool_counts(fresh->spool), COUNT_RELOADED, 1);
	log_put(LOG_NOTE, "reloaded", "file", l->file, LOG_END);
	setup_give(l, old);
}
