/*
 * SPDX-License-Identifier: ISC
 *
 * move - what retry, hold, release and drop have in common; see move.h.
 *
 * The order of the writes, for a crash between any two of them:
 *
 * - Back to new (requeue): the note in retry/ goes first, durably, then the event moves.
 *   Between the two the event is still failed or held and merely has lost its note (what
 *   the note said is in the log), and the same command does the rest.  The other way
 *   round the daemon would meet it in new with its tries used up and fail it at once, and the
 *   late removal would race with the note of the daemon's new try.
 * - To done (drop): the reason is written to the log first, because it stands nowhere
 *   else; then the event moves, then the note goes, which nobody reads any more.
 * - To held: one rename; the note stays, a release resets it.
 * - Rejected, read again: intake_again() in lib/intake.h says why it can be repeated.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "evlog.h"
#include "io.h"
#include "log.h"
#include "move.h"
#include "out.h"
#include "reread.h"
#include "retry.h"
#include "str.h"
#include "view.h"

#define CHASE 4 /* an event that moves away this often while it is being locked is busy */

static enum rc
tell(struct ctl *c, const struct move *m, const struct spool_item *it, enum spool_box from,
    const struct retry *was, struct err *e)
{
	char tries[12] = "";

	if (was->tries > 0)
		(void)snprintf(tries, sizeof(tries), "%u", was->tries);
	return evlog_put(spool_log_dir(c->spool), c->now, m->verb->step, it->name, e, "from",
	    spool_box_name(from), "operator", c->operator, "uid", c->uid, "reason", m->reason,
	    "tries", tries, "was", was->reason, LOG_END);
}

/* As tell, where the deed is done and a missing line costs no event. */
static void
tell_after(struct ctl *c, const struct move *m, const struct spool_item *it,
    enum spool_box from, const struct retry *was)
{
	struct err e = {0};

	if (tell(c, m, it, from, was, &e) != RC_OK)
		(void)ctl_fail(
		    0, "%s: done, but not written to the spool's log: %s", it->name, e.text);
}

/* The gauges that the receiver's limits look at; the daemon sets them right at each scan. */
void
move_count(struct ctl *c, enum spool_box from, enum spool_box to)
{
	struct counts *cs = spool_counts(c->spool);

	if (from == SPOOL_NEW || from == SPOOL_CUR)
		count_sub(cs, COUNT_WAITING, 1);
	if (from == SPOOL_REJECTED)
		count_sub(cs, COUNT_IN_REJECTED, 1);
	if (to == SPOOL_NEW)
		count_add(cs, COUNT_WAITING, 1);
}

static enum rc
requeue(struct ctl *c, struct spool_item *it, struct err *e)
{
	enum rc rc;

	if ((rc = retry_remove(spool_retry_dir(c->spool), it->name, e)) != RC_OK ||
	    (rc = io_sync_dir(spool_retry_dir(c->spool), e)) != RC_OK)
		return rc;
	rc = spool_move(c->spool, it, SPOOL_NEW, e);
	if (rc == RC_EXISTS) /* spoold takes that one away as a repeat: this one stays here */
		rc = err_set(e, RC_LATER,
		    "already queued: a repeat of it is in new; when spoold has seen it, try "
		    "again");
	return rc;
}

static enum rc
drop(struct ctl *c, struct spool_item *it, const struct move *m, enum spool_box from,
    const struct retry *was, struct err *e)
{
	struct move undone = *m;
	struct verb verb = *m->verb;
	enum rc rc;

	if ((rc = tell(c, m, it, from, was, e)) != RC_OK) {
		err_prefix(e, "not dropped, as the reason could not be written");
		return rc;
	}
	rc = spool_move(c->spool, it, SPOOL_DONE, e);
	if (rc == RC_OK || rc == RC_EXISTS) {
		if (retry_remove(spool_retry_dir(c->spool), it->name, e) != RC_OK)
			(void)ctl_fail(
			    0, "%s: its note in retry stays behind: %s", it->name, e->text);
		return RC_OK;
	}
	verb.step = "drop-undone";
	undone.verb = &verb;
	undone.reason = e->text;
	tell_after(c, &undone, it, from, was);
	return rc;
}

/* The deed itself, under the lock. */
static enum rc
carry_out(struct ctl *c, struct spool_item *it, const struct move *m, struct err *e)
{
	const struct rule *rule = &m->verb->rules[it->box];
	enum spool_box from = it->box;
	struct retry was;
	enum rc rc;

	if (retry_read(spool_retry_dir(c->spool), it->name, &was, NULL) != RC_OK)
		memset(&was, 0, sizeof(was));
	if (rule->todo == TODO_NUDGE)
		rc = retry_remove(spool_retry_dir(c->spool), it->name, e);
	else if (rule->to == SPOOL_NEW)
		rc = requeue(c, it, e);
	else if (rule->to == SPOOL_DONE)
		rc = drop(c, it, m, from, &was, e);
	else
		rc = spool_move(c->spool, it, rule->to, e);
	if (rc == RC_EXISTS) /* it is in the later box as well, and ours was removed */
		rc = RC_OK;
	if (rc != RC_OK)
		return rc;
	if (rule->todo == TODO_MOVE)
		move_count(c, from, rule->to);
	if (rule->to != SPOOL_DONE)
		tell_after(c, m, it, from, &was);
	return RC_OK;
}

static void
report(const struct move *m, const char *name, enum spool_box box, const char *text)
{
	out_colour(m->dry_run || text != NULL ? OUT_DIM : OUT_GREEN);
	(void)out_str(text != NULL ? "unchanged" : m->dry_run ? m->verb->would : m->verb->done);
	out_plain();
	(void)printf("  ");
	(void)out_str(name);
	if (text != NULL)
		(void)printf("  %s", text);
	else
		(void)printf("  (was %s)", state_name(state_of(box)));
	(void)printf("\n");
}

/* Lock an event where it is now, and do what its box asks for.  *nudged: the daemon is to look.
 */
static enum rc
move_one(struct ctl *c, const char *name, enum spool_box box, const struct move *m,
    bool *nudged, struct err *e)
{
	struct spool_item it = SPOOL_NO_ITEM;
	enum rc rc = RC_GONE;

	for (int i = 0; i < CHASE && rc == RC_GONE; i++) {
		const struct rule *rule = &m->verb->rules[box];

		if (rule->todo == TODO_REFUSE)
			return err_set(e, RC_BAD, "%s", rule->text);
		if (rule->todo == TODO_NOTHING) {
			report(m, name, box, rule->text);
			return RC_OK;
		}
		if ((rc = spool_lock(c->spool, box, name, &it, e)) == RC_LATER)
			return err_set(e, RC_LATER, "busy: spoold is working on it; try again");
		if (rc == RC_OK && rule->todo == TODO_REREAD)
			rc = reread(c, &it, m->dry_run, e);
		else if (rc == RC_OK && !m->dry_run)
			rc = carry_out(c, &it, m, e);
		spool_unlock(&it);
		if (rc == RC_OK) {
			*nudged = *nudged || rule->todo == TODO_NUDGE;
			report(m, name, box, NULL);
			return RC_OK;
		}
		if (rc == RC_GONE && pick_locate(c->spool, name, &box, e) != RC_OK)
			return RC_GONE;
	}
	return rc == RC_GONE ? err_set(e, RC_LATER, "busy: it is being moved; try again") : rc;
}

int
move_all(struct ctl *c, const struct picks *ps, const struct move *m)
{
	bool nudged = false;
	int status = EX_OK;

	for (size_t i = 0; i < ps->n; i++) {
		const struct pick *p = &ps->at[i];
		struct err e = {0};
		int one = pick_check(c, p);
		enum rc rc;

		if (one == EX_OK &&
		    (rc = move_one(c, p->name, p->box, m, &nudged, &e)) != RC_OK)
			one = ctl_fail(err_exit(rc), "%s: %s%s", p->name, e.text,
			    rc == RC_DENIED ? "; run it as root (sudo) or as the spool's owner"
					    : "");
		status = ctl_worse(status, one);
	}
	if (nudged && !m->dry_run)
		ctl_wake(c);
	return status;
}

/* What the arguments and options of a command ask for. */
struct order {
	struct move move;
	struct filter filter;
	const char *state; /* NULL: those of the verb */
	bool yes;
};

struct gathering {
	struct ctl *c;
	struct picks *ps;
	const struct filter *filter;
	enum spool_box box;
	enum rc rc;
	struct err *e;
};

static bool
gather_one(const struct spool_entry *se, void *arg)
{
	struct gathering *g = arg;
	struct name parts;
	struct view v;

	if (!se->is_name || !name_parse(se->name, &parts) || !filter_name(g->filter, &parts))
		return true;
	if (filter_any(g->filter) &&
	    (view_read(g->c->spool, g->box, se->name, &v, NULL) != RC_OK ||
		!filter_view(g->filter, g->c->spool, &v)))
		return true;
	g->rc = picks_add(g->ps, se->name, g->e);
	return g->rc == RC_OK;
}

/* RC_FULL: more than can be taken at once. */
static enum rc
gather(struct ctl *c, const bool states[STATES], const struct filter *f, struct picks *ps,
    struct err *e)
{
	struct gathering g = {.c = c, .ps = ps, .filter = f, .e = e};
	enum rc rc;

	for (g.box = SPOOL_NEW; g.box < SPOOL_BOXES; g.box++) {
		if (!states[state_of(g.box)])
			continue;
		if ((rc = spool_walk(c->spool, g.box, gather_one, &g, e)) != RC_OK)
			return rc;
		if (g.rc != RC_OK)
			return g.rc;
	}
	return RC_OK;
}

/* At a terminal: is it meant?  Anywhere else it is. */
static bool
confirm(const struct order *o, size_t n)
{
	(void)ctl_fail(0, "%s%s: %zu event%s", o->move.dry_run ? "dry run of " : "",
	    o->move.verb->word, n, n == 1 ? "" : "s");
	return o->yes || o->move.dry_run || n == 0 || ctl_confirm();
}

static int
read_order_states(const struct ctl *c, const struct order *o, bool states[STATES])
{
	enum state st;

	memcpy(states, o->move.verb->states, sizeof(o->move.verb->states));
	if (o->state == NULL)
		return EX_OK;
	for (st = ST_WAITING; st < STATES; st++)
		states[st] = str_eq(o->state, "all");
	if (str_eq(o->state, "all"))
		return EX_OK;
	if (!state_parse(o->state, &st) || st == ST_RUNNING)
		return ctl_usage(c,
		    "--state \"%.40s\": expected waiting, failed, held, rejected, done or all",
		    o->state);
	states[st] = true;
	return EX_OK;
}

/* Everything in some states that passes the filters. */
static int
move_filtered(struct ctl *c, const struct order *o)
{
	struct picks ps = {0};
	struct err e = {0};
	bool states[STATES];
	int status;
	enum rc rc;

	if ((status = read_order_states(c, o, states)) != EX_OK ||
	    (status = ctl_open(c)) != EX_OK)
		return status;
	rc = gather(c, states, &o->filter, &ps, &e);
	if (rc == RC_FULL) /* the rest is named, and taken by the same command again */
		status = ctl_fail(
		    EX_TEMPFAIL, "only the first %d are taken: run it again", PICK_MAX);
	else if (rc != RC_OK)
		status = ctl_fail(err_exit(rc), "%s", e.text);
	if (rc == RC_OK || rc == RC_FULL) {
		if (!confirm(o, ps.n))
			status = ctl_fail(EX_OK, "nothing was changed");
		else if ((rc = picks_find(c->spool, &ps, &e)) != RC_OK)
			status = ctl_fail(err_exit(rc), "%s", e.text);
		else
			status = ctl_worse(status, move_all(c, &ps, &o->move));
	}
	picks_free(&ps);
	return status;
}

static int
move_picked(struct ctl *c, int argc, char **argv, const struct move *m)
{
	struct picks ps = {0};
	struct err e = {0};
	int status;
	enum rc rc;

	if ((status = picks_take(c, &ps, argc, argv)) == EX_OK &&
	    (status = ctl_open(c)) == EX_OK) {
		if ((rc = picks_find(c->spool, &ps, &e)) != RC_OK)
			status = ctl_fail(err_exit(rc), "%s", e.text);
		else
			status = move_all(c, &ps, m);
	}
	picks_free(&ps);
	return status;
}

/* The options of a command.  EX_OK, or what to exit with; *done: help was printed. */
static int
read_options(
    struct ctl *c, int argc, char **argv, enum move_reason reason, struct order *o, bool *done)
{
	static const struct option names[] = {FILTER_OPTIONS,
	    {"dry-run", no_argument, NULL, 'n'}, {"yes", no_argument, NULL, 'y'},
	    {"help", no_argument, NULL, 'h'}, {"state", required_argument, NULL, CTL_STATE},
	    {"reason", required_argument, NULL, CTL_REASON}, {NULL, 0, NULL, 0}};
	int opt;

	while ((opt = ctl_option(c, argc, argv, ":hny", names)) >= 0) {
		if (opt == 'n')
			o->move.dry_run = true;
		else if (opt == 'y')
			o->yes = true;
		else if (opt == CTL_STATE)
			o->state = optarg;
		else if (opt == CTL_REASON && reason == REASON_NONE)
			return ctl_usage(c, "--reason is no option here");
		else if (opt == CTL_REASON)
			o->move.reason = optarg;
		else if (filter_option(c, &o->filter, opt, optarg) != EX_OK)
			return EX_USAGE;
	}
	*done = opt != CTL_END;
	return *done ? ctl_option_exit(opt) : EX_OK;
}

int
move_command(
    struct ctl *c, int argc, char **argv, const struct verb *verb, enum move_reason reason)
{
	struct order o = {.move = {.verb = verb}};
	bool done = false, all, filtered;
	int status;

	if ((status = read_options(c, argc, argv, reason, &o, &done)) != EX_OK || done)
		return status;
	argc -= optind;
	argv += optind;
	if (o.move.reason != NULL && o.move.reason[strspn(o.move.reason, " \t\r\n")] == '\0')
		o.move.reason = NULL;
	if (reason == REASON_MUST && o.move.reason == NULL)
		return ctl_usage(
		    c, "why? Give --reason TEXT, it is kept with the event's story");
	all = argc == 1 && str_eq(argv[0], "ALL");
	filtered = filter_any(&o.filter);
	for (int i = 0; i < argc && !all; i++)
		if (filtered || str_eq(argv[i], "ALL"))
			return ctl_usage(c, "either IDs, or ALL or filters");
	if (filtered || all)
		return move_filtered(c, &o);
	if (o.state != NULL)
		return ctl_usage(c, "--state goes with ALL or filters");
	return move_picked(c, argc, argv, &o.move);
}
