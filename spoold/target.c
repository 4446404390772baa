/*
 * SPDX-License-Identifier: ISC
 *
 * target - circuits; see target.h.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clk.h"
#include "io.h"
#include "log.h"
#include "schedule.h"
#include "str.h"
#include "target.h"

#define OPEN_MIN (5 * CLK_SECOND)
#define OPEN_MAX (5 * CLK_MINUTE)
#define UNKNOWN (10 * CLK_MINUTE) /* to wait for a trial that nobody knows the end of */

struct targets {
	struct target t[TARGET_MAX];
	size_t n;
	unsigned serial;
	int64_t min, max;
	int dir; /* of the files; -1: none are kept */
};

struct targets *
targets_new(void)
{
	struct targets *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->dir = -1;
	targets_pace(t, OPEN_MIN, OPEN_MAX);
	return t;
}

void
targets_free(struct targets **t)
{
	if (*t != NULL)
		io_close(&(*t)->dir);
	free(*t);
	*t = NULL;
}

void
targets_pace(struct targets *t, int64_t min, int64_t max)
{
	t->min = min;
	t->max = max;
}

/* Only who paused it lifts that, not an answer. */
static bool
is_paused(const struct target *t)
{
	return t->open_until == TARGET_UNTIL_LIFTED;
}

/* What is forgotten first: what is up, then what is down, then what is paused. */
static int
worth(const struct target *t)
{
	return is_paused(t) ? 2 : t->open_until != 0;
}

struct target *
target_get(struct targets *t, const char *name, int64_t now)
{
	struct target *oldest = &t->t[0];

	for (size_t i = 0; i < t->n; i++) {
		struct target *one = &t->t[i];

		if (str_eq(one->name, name)) {
			one->used = now;
			return one;
		}
		if (worth(one) < worth(oldest) ||
		    (worth(one) == worth(oldest) && one->used < oldest->used))
			oldest = one;
	}
	if (t->n < TARGET_MAX)
		oldest = &t->t[t->n++];
	else if (oldest->kept && !is_paused(oldest))
		(void)!pause_remove(t->dir, oldest->name, NULL);
	memset(oldest, 0, sizeof(*oldest));
	/* The remainder tells the place, so that an id leads to it at once. */
	t->serial = t->serial < UINT32_MAX / TARGET_MAX - 1 ? t->serial + 1 : 1;
	oldest->id = t->serial * TARGET_MAX + (unsigned)(oldest - t->t);
	(void)snprintf(oldest->name, sizeof(oldest->name), "%s", name);
	oldest->all = t;
	oldest->used = now;
	return oldest;
}

/* ---- files ---- */

/* Say on disk that it is left alone.  That this cannot be written costs sight, no event. */
static void
keep(struct target *t, int64_t now)
{
	struct pause p = {.kind = t->kind, .since = t->since};
	struct err e;

	if (t->all->dir < 0)
		return;
	if (t->open_until != TARGET_UNTIL_LIFTED)
		p.until = clk_wall() + (t->open_until - now);
	(void)snprintf(p.target, sizeof(p.target), "%s", t->name);
	(void)snprintf(p.by, sizeof(p.by), "spoold");
	(void)snprintf(p.reason, sizeof(p.reason), "%s", t->reason);
	if (pause_write(t->all->dir, &p, t->kind != PAUSE_DOWN, &e) == RC_OK)
		t->kept = true;
	else
		log_put(LOG_ERROR, "cannot write a pause", "target", t->name, "reason", e.text,
		    LOG_END);
}

/* Closed, and nothing on disk says otherwise. */
static void
clear(struct target *t)
{
	struct err e;
	enum rc rc;

	if (t->kept && (rc = pause_remove(t->all->dir, t->name, &e)) != RC_OK && rc != RC_GONE)
		log_put(LOG_ERROR, "cannot remove a pause", "target", t->name, "reason", e.text,
		    LOG_END);
	t->kept = t->probing = false;
	t->failures = 0;
	t->open_until = 0;
	t->since = 0;
	t->reason[0] = '\0';
}

struct look {
	struct targets *t;
	int64_t now;
};

/* A pause until it is lifted, as the file has it. */
static void
take(struct look *l, const struct pause *p)
{
	struct target *t = target_get(l->t, p->target, l->now);

	t->kind = p->kind;
	t->kept = true;
	t->probing = t->good = false;
	t->since = p->since;
	t->open_until = TARGET_UNTIL_LIFTED;
	(void)snprintf(t->reason, sizeof(t->reason), "%s", p->reason);
}

static bool
begin_with(const struct pause *p, void *arg)
{
	struct look *l = arg;

	if (p->kind != PAUSE_DOWN && p->until == 0)
		take(l, p);
	else
		(void)!pause_remove(l->t->dir, p->target, NULL);
	return true;
}

enum rc
targets_keep(struct targets *t, int spool, int64_t now, struct err *e)
{
	struct look l = {.t = t, .now = now};
	enum rc rc;

	if ((rc = pause_open(spool, true, &t->dir, e)) != RC_OK)
		return rc;
	return pause_each(t->dir, begin_with, &l, e);
}

static bool
look_at(const struct pause *p, void *arg)
{
	if (p->kind == PAUSE_OPERATOR)
		take(arg, p);
	return true;
}

void
targets_look(struct targets *t, int64_t now)
{
	struct look l = {.t = t, .now = now};
	struct pause p;
	struct err e;

	if (t->dir < 0)
		return;
	for (size_t i = 0; i < t->n; i++) {
		struct target *one = &t->t[i];

		if (!one->kept || pause_read(t->dir, one->name, &p, &e) != RC_GONE)
			continue;
		one->kept = false;
		clear(one);
		log_put(LOG_NOTE, "target may be used again", "target", one->name, LOG_END);
	}
	if (pause_each(t->dir, look_at, &l, &e) != RC_OK)
		log_put(LOG_ERROR, "cannot look at the pauses", "reason", e.text, LOG_END);
}

void
targets_reload(struct targets *t, int64_t now)
{
	for (size_t i = 0; i < t->n; i++) {
		struct target *one = &t->t[i];

		if (one->open_until == 0 || one->kind != PAUSE_CONFIG)
			continue;
		clear(one);
		one->used = now;
	}
}

void
target_resume(struct target *t, int64_t now)
{
	if (t->open_until <= now || t->kind == PAUSE_OPERATOR)
		return;
	t->open_until = now > 0 ? now : 1;
	t->again = 0;
}

void
targets_resume(struct targets *t, int64_t now)
{
	for (size_t i = 0; i < t->n; i++)
		target_resume(&t->t[i], now);
}

struct target *
target_by_id(struct targets *t, unsigned id)
{
	struct target *at = &t->t[id % TARGET_MAX];

	return id != 0 && at->id == id ? at : NULL;
}

void
targets_each(struct targets *t, void (*fn)(struct target *, void *), void *arg)
{
	for (size_t i = 0; i < t->n; i++)
		fn(&t->t[i], arg);
}

/* ---- circuits ---- */

int64_t
target_ask(struct target *t, int64_t now)
{
	if (t->open_until == 0)
		return 0;
	if (t->open_until == TARGET_UNTIL_LIFTED)
		return TARGET_ASK_AGAIN;
	if (now < t->open_until)
		return t->open_until - now;
	if (t->probing)
		return UNKNOWN;
	t->probing = true;
	return 0;
}

bool
target_is_shut(const struct target *t, int64_t now)
{
	return t->open_until != 0 && (now < t->open_until || t->probing);
}

bool
target_up(struct target *t)
{
	bool was_down = t->open_until != 0;

	if (is_paused(t))
		return false;
	clear(t);
	t->good = true;
	return was_down;
}

/* It is left alone from now on, if it was not before. */
static void
begin_pause(struct target *t, enum pause_kind kind)
{
	if (t->since == 0)
		t->since = clk_wall();
	t->kind = kind;
	t->again = 0;
}

static void
open_circuit(struct target *t, int64_t now, int64_t retry_after, const char *reason)
{
	unsigned over = t->failures > TARGET_ROW ? t->failures - TARGET_ROW : 0;

	begin_pause(t, PAUSE_DOWN);
	t->open_until = now + schedule_wait(over + 1, t->all->min, t->all->max, retry_after);
	(void)snprintf(t->reason, sizeof(t->reason), "%s", reason);
	keep(t, now);
}

bool
target_down(
    struct target *t, int64_t now, int64_t retry_after, const char *reason, bool *opened)
{
	bool was_open = t->open_until != 0;
	bool was_well = t->failures == 0 && !was_open;

	*opened = false;
	if (now < t->open_until)
		return false; /* it was under way when the circuit opened */
	t->failures++;
	t->probing = t->good = false;
	(void)snprintf(t->reason, sizeof(t->reason), "%s", reason);
	if (was_open || t->failures >= TARGET_ROW)
		open_circuit(t, now, retry_after, reason);
	*opened = !was_open && t->open_until != 0;
	return was_well;
}

void
target_refuse(
    struct target *t, int64_t now, int64_t retry_after, const char *reason, bool *opened)
{
	bool was_open = t->open_until != 0;

	*opened = false;
	if (now < t->open_until)
		return;
	t->failures = t->failures + 1 > TARGET_ROW ? t->failures + 1 : TARGET_ROW;
	t->probing = t->good = false;
	open_circuit(t, now, retry_after, reason);
	*opened = !was_open;
}

bool
target_pause(struct target *t, int64_t now, int64_t ms, const char *reason)
{
	bool was_well = t->open_until == 0;

	if (is_paused(t))
		return false;
	begin_pause(t, PAUSE_CONFIG);
	t->probing = t->good = false;
	t->open_until = ms == TARGET_UNTIL_LIFTED ? ms : now + ms;
	(void)snprintf(t->reason, sizeof(t->reason), "%s", reason);
	keep(t, now);
	return was_well;
}

void
target_release(struct target *t)
{
	t->probing = false;
}
