/*
 * SPDX-License-Identifier: ISC
 *
 * view - one event as an operator sees it; see view.h.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "clk.h"
#include "io.h"
#include "out.h"
#include "str.h"
#include "view.h"

static const char *const names[STATES] = {[ST_WAITING] = "waiting",
    [ST_RUNNING] = "running",
    [ST_FAILED] = "failed",
    [ST_HELD] = "held",
    [ST_REJECTED] = "rejected",
    [ST_DONE] = "done"};

const char *
state_name(enum state st)
{
	return names[st];
}

bool
state_parse(const char *text, enum state *st)
{
	for (*st = ST_WAITING; *st < STATES; (*st)++)
		if (str_eq(text, names[*st]))
			return true;
	*st = ST_WAITING;
	return false;
}

enum state
state_of(enum spool_box box)
{
	switch (box) {
	case SPOOL_NEW:
	case SPOOL_CUR:
		return ST_WAITING;
	case SPOOL_HELD:
		return ST_HELD;
	case SPOOL_FAILED:
		return ST_FAILED;
	case SPOOL_DONE:
		return ST_DONE;
	case SPOOL_REJECTED:
		return ST_REJECTED;
	}
	return ST_WAITING;
}

bool
view_is_running(struct spool *sp, enum spool_box box, const char *name)
{
	struct spool_item it;
	enum rc rc;

	if (box != SPOOL_CUR)
		return false;
	rc = spool_lock(sp, box, name, &it, NULL);
	spool_unlock(&it);
	return rc == RC_LATER;
}

int64_t
view_received(const struct view *v)
{
	return v->readable ? v->rec.received : v->since;
}

static void
read_header(struct spool *sp, struct view *v)
{
	struct buf b = BUF_INIT(REC_HEAD_MAX);
	struct spool_item it;

	v->readable = spool_peek(sp, v->box, v->name, &it, &v->why) == RC_OK &&
		      spool_read_head(&it, &b, &v->rec, &v->why) == RC_OK;
	spool_unlock(&it);
	buf_free(&b);
}

enum rc
view_read(struct spool *sp, enum spool_box box, const char *name, struct view *v, struct err *e)
{
	enum rc rc;

	memset(v, 0, sizeof(*v));
	v->box = box;
	v->state = state_of(box);
	if (!str_copy(v->name, sizeof(v->name), name) || !name_parse(v->name, &v->parts))
		return err_set(e, RC_BAD, "not the name of an event");
	if ((rc = spool_stat(sp, box, name, &v->since, &v->size, e)) != RC_OK)
		return rc;
	read_header(sp, v);
	if (box == SPOOL_DONE || box == SPOOL_REJECTED)
		return RC_OK;
	rc = retry_read(spool_retry_dir(sp), name, &v->retry, &v->note_why);
	if (rc == RC_GONE)
		err_clear(&v->note_why);
	v->noted = rc == RC_OK;
	if (view_is_running(sp, box, name))
		v->state = ST_RUNNING;
	return RC_OK;
}

void
view_reason(const struct view *v, int64_t now, char out[VIEW_TEXT])
{
	char span[CLK_TEXT];
	bool why = v->noted && v->retry.reason[0] != '\0';

	if (!v->readable) {
		(void)snprintf(out, VIEW_TEXT, "damaged: %s", v->why.text);
	} else if (v->state == ST_WAITING && v->noted && v->retry.due > now) {
		clk_span(v->retry.due - now, span);
		(void)snprintf(out, VIEW_TEXT, "next try in %s%s%s", span, why ? ": " : "",
		    why ? v->retry.reason : "");
	} else if (why && v->state != ST_RUNNING) {
		(void)snprintf(out, VIEW_TEXT, "%s", v->retry.reason);
	} else {
		(void)snprintf(out, VIEW_TEXT, "%s", v->rec.subject);
	}
}

bool
view_wanted(const struct name *parts, const char *account, const char *kind)
{
	size_t n = strlen(parts->category);
	char category[NAME_WORD];

	if (account != NULL && !str_eq(account, parts->account))
		return false;
	if (kind == NULL)
		return true;
	if (!str_copy_n(category, sizeof(category), kind, strcspn(kind, ".")) ||
	    !str_eq_nocase(category, parts->category))
		return false;
	return kind[n] == '\0' || str_eq_nocase(kind + n + 1, parts->type);
}

void
view_colour(enum state st)
{
	static const enum out_colour colours[STATES] = {[ST_WAITING] = OUT_BLUE,
	    [ST_RUNNING] = OUT_GREEN,
	    [ST_FAILED] = OUT_RED,
	    [ST_HELD] = OUT_YELLOW,
	    [ST_REJECTED] = OUT_RED,
	    [ST_DONE] = OUT_DIM};

	out_colour(colours[st]);
}
