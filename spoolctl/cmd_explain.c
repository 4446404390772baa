/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_explain - the story of one event in plain words, and what can be done now.
 */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "buf.h"
#include "clk.h"
#include "ctl.h"
#include "evlog.h"
#include "out.h"
#include "pick.h"
#include "str.h"
#include "view.h"

#define STORY_MAX 500     /* lines of the log that are told: the latest */
#define STORY_VALUE 1200  /* a value in one */
#define COMMAND_LINE 4096 /* a command to paste */

struct story {
	char *line[STORY_MAX]; /* a ring */
	size_t n;              /* lines seen in all */
};

/* What a step in the log means; one that is not here is shown by its name. */
static const struct {
	const char *step, *text;
} steps[] = {
    {"accepted", "received and safely on disk"},
    {"duplicate", "delivered again; answered as a repeat"},
    {"rejected", "kept as rejected: it could not be taken as an event of this account"},
    {"recovered", "missed by the webhook, found in Arken's event feed"},
    {"taken", "spoold took it from the queue"},
    {"callback", "asked the API"},
    {"record", "the record is in the store"},
    {"shared", "what was asked for another event of this record is good for this one"},
    {"relink", "the document's link was refused: asking for another"},
    {"document", "the document is in the store"},
    {"later", "put off"},
    {"interrupted", "the try was interrupted"},
    {"done", "done"},
    {"gone", "the object is gone at Arken: nothing left to do"},
    {"failed", "failed: a person has to look"},
    {"requeue", "an operator put it back into the queue"},
    {"reread", "an operator had it read again, and the events in it were taken"},
    {"held", "an operator set it aside"},
    {"released", "an operator released it into the queue"},
    {"erased", "an operator erased it: what it said is gone"},
    {"dropped", "an operator gave it up"},
    {"drop-undone", "giving it up did not succeed"},
};

static const char *
step_text(const char *step)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (str_eq(steps[i].step, step))
			return steps[i].text;
	return step;
}

static bool
keep_line(const char *line, void *arg)
{
	struct story *s = arg;
	char *copy = strdup(line);

	if (copy == NULL)
		return false;
	free(s->line[s->n % STORY_MAX]);
	s->line[s->n++ % STORY_MAX] = copy;
	return true;
}

static void
story_free(struct story *s)
{
	for (size_t i = 0; i < STORY_MAX; i++)
		free(s->line[i]);
}

/* " key value" for each pair but those that are told otherwise. */
static void
print_pairs(const char *line)
{
	static const char *const told[] = {"time", "step", "event"};
	char key[32], value[STORY_VALUE];
	bool quoted = false, first = true;

	for (const char *p = line; *p != '\0';) {
		size_t n = strcspn(p, "= ");
		bool skip = p[n] != '=' || !str_copy_n(key, sizeof(key), p, n);

		for (size_t i = 0; !skip && i < sizeof(told) / sizeof(told[0]); i++)
			skip = str_eq(key, told[i]);
		if (!skip && evlog_value(p, key, value, sizeof(value))) {
			(void)printf("%s", first ? "; " : ", ");
			(void)out_str(key);
			(void)printf(" ");
			(void)out_str(value);
			first = false;
		}
		for (; *p != '\0' && (*p != ' ' || quoted); p++) {
			if (quoted && *p == '\\' && p[1] != '\0')
				p++;
			else if (*p == '"')
				quoted = !quoted;
		}
		p += *p == ' ';
	}
}

/* One line of the log; *before is the time of the one before, 0 at first. */
static void
print_step(const char *line, int64_t *before)
{
	char stamp[CLK_TEXT], step[32], span[CLK_TEXT] = "";
	int64_t at;

	if (!evlog_value(line, "time", stamp, sizeof(stamp)) || !clk_parse(stamp, &at) ||
	    !evlog_value(line, "step", step, sizeof(step)))
		return;
	if (*before != 0 && at >= *before + CLK_SECOND)
		clk_span(at - *before, span);
	else if (*before != 0 && at >= *before)
		(void)snprintf(span, sizeof(span), "%d ms", (int)(at - *before));
	*before = at;
	(void)printf("  ");
	out_colour(OUT_DIM);
	(void)printf("%-24s  %1s%-10s", stamp, span[0] != '\0' ? "+" : "", span);
	out_plain();
	(void)printf("  ");
	(void)out_str(step_text(step));
	print_pairs(line);
	(void)printf("\n");
}

static void
print_story(struct ctl *c, const char *name)
{
	struct story s = {0};
	struct err e = {0};
	int64_t before = 0;
	size_t i;

	(void)printf("\nWhat happened:\n");
	if (evlog_story(spool_log_dir(c->spool), name, keep_line, &s, &e) != RC_OK)
		(void)ctl_fail(0, "the spool's log cannot be read: %s", e.text);
	if (s.n == 0)
		(void)printf("  nothing is in the spool's log about it\n");
	if (s.n > STORY_MAX)
		(void)printf("  (%zu earlier lines are in the log folder)\n", s.n - STORY_MAX);
	for (i = s.n > STORY_MAX ? s.n - STORY_MAX : 0; i < s.n; i++)
		print_step(s.line[i % STORY_MAX], &before);
	story_free(&s);
}

static void
print_time(const struct ctl *c, int64_t at)
{
	char stamp[CLK_TEXT], span[CLK_TEXT];

	clk_rfc3339(at, stamp);
	clk_span(c->now - at, span);
	(void)printf("%s (%s ago)", stamp, span);
}

static void
print_origin(const struct ctl *c, const struct view *v)
{
	out_colour(OUT_BOLD);
	(void)printf("%s.%s of account %s", v->parts.category, v->parts.type, v->parts.account);
	out_plain();
	(void)printf("\n  event     %s\n  about     ", v->name);
	(void)out_str(v->readable ? v->rec.subject : "(its header cannot be read)");
	if (v->readable && v->rec.erased != 0) {
		(void)printf("\n  erased    ");
		print_time(c, v->rec.erased);
	}
	(void)printf("\n  received  ");
	print_time(c, view_received(v));
	(void)printf("\n");
	if (!v->readable)
		return;
	(void)printf("  from      ");
	if (v->rec.source == REC_WEBHOOK) {
		(void)out_str(v->rec.remote);
		(void)printf(", by a call of the webhook\n");
	} else if (v->rec.source == REC_RECONCILE) {
		(void)printf("Arken's event feed: the webhook had missed it\n");
	} else {
		(void)printf("an operator\n");
	}
	(void)printf("  verified  by ");
	(void)out_str(v->rec.auth[0] != '\0' ? v->rec.auth : "nothing that was written down");
	(void)printf("\n");
}

static void
print_note(const struct ctl *c, const struct view *v)
{
	const struct retry *r = &v->retry;
	char span[CLK_TEXT];

	if (v->note_why.text[0] != '\0')
		(void)printf("\nThe daemon's note cannot be read and counts as one "
			     "interruption.\n");
	if (!v->noted)
		return;
	(void)printf("\nTried %u %s", r->tries, r->tries == 1 ? "time" : "times");
	if (r->interruptions > 0)
		(void)printf(", interrupted %u", r->interruptions);
	if (r->puts_off > 0)
		(void)printf(", put off %u uncounted because a target was down", r->puts_off);
	if (r->first > 0) {
		(void)printf("; first ");
		print_time(c, r->first);
	}
	(void)printf(".\n");
	if (r->step[0] != '\0') {
		(void)printf("  next step  ");
		(void)out_str(r->step);
		(void)printf("\n");
	}
	if (r->reason[0] != '\0') {
		(void)printf("  reason     ");
		(void)out_str(r->reason);
		(void)printf("\n");
	}
	if (v->state != ST_WAITING)
		return;
	clk_span(r->due - c->now, span);
	(void)printf("  next due   %s%s\n", r->due > c->now ? "in " : "now",
	    r->due > c->now ? span : "");
}

static void
print_place(const struct ctl *c, const struct view *v)
{
	static const char *const meaning[STATES] = {
	    [ST_WAITING] = "It is safe on disk and waits for its turn or its next try.",
	    [ST_RUNNING] = "spoold is working on it at this moment.",
	    [ST_FAILED] = "spoold has given up and will not try again by itself: a person "
			  "has to decide.",
	    [ST_HELD] = "An operator set it aside. It is not tried, and it does not age.",
	    [ST_REJECTED] = "Its sender was verified, but it could not be taken as an event "
			    "of this account. Nothing is done with it by itself.",
	    [ST_DONE] = "Nothing more is done with it. It is kept to recognise repeats until "
			"retention ends.",
	};
	char span[CLK_TEXT];

	clk_span(c->now - v->since, span);
	(void)printf("\nNow: ");
	view_colour(v->state);
	(void)printf("%s", state_name(v->state));
	out_plain();
	(void)printf(
	    ", in folder %s for %s.\n  %s\n", spool_box_name(v->box), span, meaning[v->state]);
}

static void
print_command(const struct ctl *c, const char *command, const char *name, const char *after,
    const char *why)
{
	struct buf b = BUF_INIT(COMMAND_LINE);

	buf_str(&b, "  ");
	ctl_self(c, &b);
	buf_fmt(&b, "%s %s%s", command, name, after);
	(void)out_str(buf_text(&b));
	(void)printf("\n      ");
	out_colour(OUT_DIM);
	(void)printf("%s", why);
	out_plain();
	(void)printf("\n");
	buf_free(&b);
}

static void
print_choices(const struct ctl *c, const struct view *v)
{
	static const struct {
		const char *command, *after, *why;
		bool in[STATES]; /* waiting, running, failed, held, rejected, done */
	} choices[] = {
	    {"retry", "", "have it tried now, its tries counted anew",
		{true, false, true, false, false, false}},
	    {"retry", "", "read it again, once the configuration was changed",
		{false, false, false, false, true, false}},
	    {"release", "", "put it back into the queue",
		{false, false, false, true, false, false}},
	    {"hold", "", "set it aside until you release it",
		{true, false, true, false, false, false}},
	    {"drop", " --reason 'TEXT'", "give it up; TEXT is kept with its story",
		{true, false, true, true, true, false}},
	    {"show", "", "see its header fields and its body",
		{true, true, true, true, true, true}},
	};

	(void)printf("\nYou can:\n");
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		if (choices[i].in[v->state])
			print_command(
			    c, choices[i].command, v->name, choices[i].after, choices[i].why);
	if (!v->readable)
		print_command(c, "show --raw", v->name, "", "see the damaged file as it is");
}

int
cmd_explain(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {
	    {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	enum spool_box box = SPOOL_NEW;
	char name[NAME_SIZE] = "";
	struct err e = {0};
	struct view v;
	int opt, status;
	enum rc rc;

	if ((opt = ctl_option(c, argc, argv, ":h", names)) != CTL_END)
		return ctl_option_exit(opt);
	if ((status = pick_one(c, argc - optind, argv + optind, name, &box)) != EX_OK)
		return status;
	if ((rc = view_read(c->spool, box, name, &v, &e)) != RC_OK)
		return ctl_fail(err_exit(rc), "%s", e.text);
	print_origin(c, &v);
	print_story(c, name);
	print_note(c, &v);
	print_place(c, &v);
	if (!v.readable) {
		(void)printf("  The file is damaged: ");
		(void)out_str(v.why.text);
		(void)printf("\n");
	}
	print_choices(c, &v);
	return EX_OK;
}
