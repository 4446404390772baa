/*
 * SPDX-License-Identifier: ISC
 *
 * purge - retention; see purge.h.
 *
 * On a thread of the pool only what is in struct purge is written, and of the spool only boxes
 * in which nothing is in work.
 */
#include "config.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "clk.h"
#include "evlog.h"
#include "log.h"
#include "pool.h"
#include "purge.h"

#define PURGE_EVERY CLK_HOUR
#define PURGE_BOXES 2
#define JUMP CLK_HOUR /* a clock that went so far by itself is not believed for a day */

struct purge {
	struct spool *spool;
	struct store *store;
	struct pool_work pw;
	bool running;
	atomic_bool stop;
	int64_t next;  /* monotonic clock */
	int64_t drift; /* wall clock minus monotonic clock at the time before, 0: none */
	int64_t before;
	enum spool_box box; /* the one in hand */
	unsigned n[PURGE_BOXES], failed;
	struct err e; /* the first failure */
	bool ended;   /* one has, and this is what went wrong in it, "" nothing */
	char trouble[ERR_TEXT];
};

static const enum spool_box boxes[PURGE_BOXES] = {SPOOL_DONE, SPOOL_REJECTED};

static void
complain(struct purge *p, const struct err *e)
{
	if (p->failed++ == 0)
		p->e = *e;
}

/* Remove one file that is old enough.  Somebody who has it locked keeps it until next time. */
static bool
purge_one(const struct spool_entry *en, void *arg)
{
	struct purge *p = arg;
	struct spool_item it;
	int64_t since;
	uint64_t size;
	struct err e;
	enum rc rc;

	if (!en->is_name)
		return !atomic_load(&p->stop);
	if (en->foreign && (rc = spool_reflag(p->spool, p->box, en, &e)) != RC_OK)
		goto out;
	if ((rc = spool_stat(p->spool, p->box, en->name, &since, &size, &e)) != RC_OK ||
	    since >= p->before)
		goto out;
	if ((rc = spool_lock(p->spool, p->box, en->name, &it, &e)) != RC_OK)
		goto out;
	if ((rc = spool_remove(p->spool, &it, &e)) == RC_OK)
		p->n[p->box == boxes[0] ? 0 : 1]++;
	spool_unlock(&it);
out:
	if (rc != RC_OK && rc != RC_GONE && rc != RC_LATER && rc != RC_EXISTS)
		complain(p, &e);
	return !atomic_load(&p->stop);
}

static void
purge_on_pool(void *arg)
{
	struct purge *p = arg;
	struct err e;

	for (size_t i = 0; i < PURGE_BOXES; i++) {
		p->box = boxes[i];
		if (spool_walk(p->spool, p->box, purge_one, p, &e) != RC_OK)
			complain(p, &e);
	}
	store_sweep(p->store, clk_wall() - CLK_DAY);
	if (evlog_purge(spool_log_dir(p->spool), p->before, &e) != RC_OK)
		complain(p, &e);
}

static void
purged(void *arg)
{
	struct purge *p = arg;
	char n[16];

	p->running = false;
	p->next = clk_mono() + PURGE_EVERY;
	p->ended = true;
	(void)snprintf(p->trouble, sizeof(p->trouble), "%s", p->failed > 0 ? p->e.text : "");
	for (size_t i = 0; i < PURGE_BOXES; i++) {
		(void)snprintf(n, sizeof(n), "%u", p->n[i]);
		if (p->n[i] > 0)
			log_put(LOG_INFO, "purged", "folder", spool_box_name(boxes[i]),
			    "events", n, LOG_END);
	}
	(void)snprintf(n, sizeof(n), "%u", p->failed);
	if (p->failed > 0)
		log_put(LOG_ERROR, "cannot purge", "failures", n, "reason", p->e.text, LOG_END);
}

/* Did the wall clock jump since the time before?  What is old cannot be told then. */
static bool
jumped(struct purge *p)
{
	int64_t drift = clk_wall() - clk_mono(), by = p->drift == 0 ? 0 : drift - p->drift;
	char span[CLK_TEXT];

	p->drift = drift;
	if (by <= JUMP && by >= -JUMP)
		return false;
	clk_span(by < 0 ? -by : by, span);
	log_put(LOG_WARN, "the clock jumped: nothing is purged for a day", "by", span, LOG_END);
	p->next = clk_mono() + CLK_DAY;
	return true;
}

void
purge_start(struct daemon *d)
{
	struct purge *p = d->purge;

	if (p == NULL && (p = d->purge = calloc(1, sizeof(*p))) == NULL)
		return;
	if (p->running || jumped(p))
		return;
	p->spool = d->spool;
	p->store = d->store;
	p->before = clk_wall() - d->conf->spool.retention;
	p->n[0] = p->n[1] = p->failed = 0;
	p->running = true;
	p->pw = (struct pool_work){.work = purge_on_pool, .done = purged, .arg = p};
	pool_put(d->pool, &p->pw);
}

int64_t
purge_next(const struct daemon *d)
{
	if (d->purge == NULL)
		return 0;
	return d->purge->running ? INT64_MAX : d->purge->next;
}

bool
purge_result(const struct daemon *d, const char **trouble)
{
	const struct purge *p = d->purge;

	*trouble = p != NULL && p->trouble[0] != '\0' ? p->trouble : NULL;
	return p != NULL && p->ended;
}

void
purge_stop(struct daemon *d)
{
	if (d->purge != NULL)
		atomic_store(&d->purge->stop, true);
}

void
purge_free(struct daemon *d)
{
	free(d->purge);
	d->purge = NULL;
}
