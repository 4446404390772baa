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
#include "schedule.h"
#include "str.h"
#include "target.h"

#define OPEN_MIN (5 * CLK_SECOND)
#define OPEN_MAX (5 * CLK_MINUTE)

struct targets {
	struct target t[TARGET_MAX];
	size_t n;
};

struct targets *
targets_new(void)
{
	return calloc(1, sizeof(struct targets));
}

void
targets_free(struct targets **t)
{
	free(*t);
	*t = NULL;
}

struct target *
target_get(struct targets *t, const char *name, int64_t now)
{
	struct target *oldest = &t->t[0];
	bool down;

	for (size_t i = 0; i < t->n; i++) {
		if (str_eq(t->t[i].name, name)) {
			t->t[i].used = now;
			return &t->t[i];
		}
		down = t->t[i].open_until != 0;
		if (down == (oldest->open_until != 0) ? t->t[i].used < oldest->used : !down)
			oldest = &t->t[i];
	}
	if (t->n < TARGET_MAX)
		oldest = &t->t[t->n++];
	memset(oldest, 0, sizeof(*oldest));
	(void)snprintf(oldest->name, sizeof(oldest->name), "%s", name);
	oldest->used = now;
	return oldest;
}

int64_t
target_ask(struct target *t, int64_t now)
{
	if (t->open_until == 0)
		return 0;
	if (now < t->open_until)
		return t->open_until - now;
	if (t->probing)
		return CLK_SECOND;
	t->probing = true;
	return 0;
}

bool
target_up(struct target *t)
{
	bool was_down = t->open_until != 0;

	t->failures = 0;
	t->open_until = 0;
	t->probing = false;
	t->reason[0] = '\0';
	return was_down;
}

bool
target_down(
    struct target *t, int64_t now, int64_t retry_after, const char *reason, bool *opened)
{
	bool was_open = t->open_until != 0;
	bool was_well = t->failures == 0 && !was_open;
	unsigned over;

	*opened = false;
	if (now < t->open_until)
		return false; /* it was under way when the circuit opened */
	t->failures++;
	over = t->failures > TARGET_ROW ? t->failures - TARGET_ROW : 0;
	t->probing = false;
	(void)snprintf(t->reason, sizeof(t->reason), "%s", reason);
	if (was_open || t->failures >= TARGET_ROW)
		t->open_until = now + schedule_wait(over + 1, OPEN_MIN, OPEN_MAX, retry_after);
	*opened = !was_open && t->open_until != 0;
	return was_well;
}

void
target_pause(struct target *t, int64_t now, int64_t ms, const char *reason)
{
	t->probing = false;
	t->open_until = now + ms;
	(void)snprintf(t->reason, sizeof(t->reason), "%s", reason);
}

void
target_release(struct target *t)
{
	t->probing = false;
}
