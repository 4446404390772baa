/*
 * SPDX-License-Identifier: ISC
 *
 * ctl - what the commands of spoolctl share.
 *
 * A command reads its own arguments first and opens the spool after that, so
 * that help and mistakes in usage need neither a spool nor rights.
 */
#ifndef ARKEN_CTL_H
#define ARKEN_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "err.h"
#include "name.h"
#include "spool.h"

struct option;
struct command;

#define CTL_OPERATOR 64

struct ctl {
	const struct command *command;
	const char *conf_path;
	bool conf_given;        /* by -c: hints repeat it */
	const char *spool_path; /* by -s; NULL: as the configuration says */
	struct conf *conf;      /* NULL with -s */
	struct spool_opt opt;
	struct spool *spool;
	char
	operator[CTL_OPERATOR]; /* who acts, for the log: under sudo the one who called it */
	char uid[24];
	int64_t now;
};

/* The commands; one file each.  They return the exit status (sysexits.h). */
struct command {
	const char *name;
	const char *usage; /* its arguments */
	const char *help;  /* one line */
	const char *text;  /* the rest of its help, an example included */
	int (*run)(struct ctl *c, int argc, char **argv);
};

int cmd_ls(struct ctl *c, int argc, char **argv);
int cmd_completion(struct ctl *c, int argc, char **argv);
int cmd_count(struct ctl *c, int argc, char **argv);
int cmd_shape(struct ctl *c, int argc, char **argv);
int cmd_show(struct ctl *c, int argc, char **argv);
int cmd_explain(struct ctl *c, int argc, char **argv);
int cmd_retry(struct ctl *c, int argc, char **argv);
int cmd_hold(struct ctl *c, int argc, char **argv);
int cmd_release(struct ctl *c, int argc, char **argv);
int cmd_drop(struct ctl *c, int argc, char **argv);
int cmd_flush(struct ctl *c, int argc, char **argv);
int cmd_purge(struct ctl *c, int argc, char **argv);
int cmd_make_spool(struct ctl *c, int argc, char **argv);
int cmd_clear_mark(struct ctl *c, int argc, char **argv);
int cmd_check(struct ctl *c, int argc, char **argv);
int cmd_subscribe(struct ctl *c, int argc, char **argv);
int cmd_subscription(struct ctl *c, int argc, char **argv);
int cmd_unsubscribe(struct ctl *c, int argc, char **argv);
int cmd_status(struct ctl *c, int argc, char **argv);
int cmd_targets(struct ctl *c, int argc, char **argv);
int cmd_pause(struct ctl *c, int argc, char **argv);
int cmd_resume(struct ctl *c, int argc, char **argv);
int cmd_replay(struct ctl *c, int argc, char **argv);
int cmd_erase(struct ctl *c, int argc, char **argv);
int cmd_reconcile(struct ctl *c, int argc, char **argv);
int cmd_send_test(struct ctl *c, int argc, char **argv);
int cmd_pull(struct ctl *c, int argc, char **argv);

/* The table of all commands, in the order of the help. */
const struct command *ctl_commands(size_t *n);

/* Long options have values from here on, so that none collides with a letter. */
enum {
	CTL_ACCOUNT = 256,
	CTL_KIND,
	CTL_CLIENT,
	CTL_OLDER,
	CTL_SINCE,
	CTL_GREP,
	CTL_STATE,
	CTL_JSON,
	CTL_RAW,
	CTL_BODY,
	CTL_REASON,
	CTL_OWN, /* options of one command only, from here on */
};

#define CTL_END (-1)  /* of the options */
#define CTL_DONE (-2) /* help was printed: the command returns EX_OK */
#define CTL_BAD (-3)  /* a mistake was reported: the command returns EX_USAGE */

/* The next option of a command; -h and --help are answered here. */
int ctl_option(const struct ctl *c, int argc, char **argv, const char *letters,
    const struct option *names);

/* The exit status after CTL_DONE or CTL_BAD. */
int ctl_option_exit(int opt);

/* "spoolctl: text" to stderr; returns status. */
int ctl_fail(int status, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A mistake in usage of the command, and where its help is; returns EX_USAGE. */
int ctl_usage(const struct ctl *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Only c->opt, from -s or the configuration.  What is returned is an exit status, reported. */
int ctl_read_options(struct ctl *c) MUST_CHECK;

/* Become the owner of the spool if root, and open it.  An exit status, reported. */
int ctl_open(struct ctl *c) MUST_CHECK;

/* The same after ctl_read_options, for what root has to do first. */
int ctl_enter(struct ctl *c) MUST_CHECK;

/* Is it meant?  Asked at a terminal only; anywhere else it is. */
bool ctl_confirm(void) MUST_CHECK;

/*
 * The account of that name; NULL: the only one there is.  NULL is returned after a complaint:
 * the command returns EX_CONFIG or EX_USAGE, as *status says.  After ctl_read_options.
 */
const struct conf_account *ctl_account(const struct ctl *c, const char *name, int *status);

/* The command line up to the command, as it can be pasted into a shell. */
struct buf;
void ctl_self(const struct ctl *c, struct buf *out);

/* A word as a shell reads it back. */
void ctl_word(struct buf *out, const char *word);

/*
 * Is the daemon's lock held?  A shared lock for a moment, which no daemon that starts takes for
 * another daemon's (spool_lock_daemon).
 */
enum rc ctl_is_served(const struct spool *sp, bool *served, struct err *e) MUST_CHECK;

/* Tell the daemon to look again now; that it cannot be told costs only time. */
void ctl_wake(struct ctl *c);

/* A request to the daemon of this kind: a file in ask/ with a name of its own. */
void ctl_ask(struct ctl *c, const char *kind);

/* One of two exit statuses for several events: what another try does not mend comes first. */
int ctl_worse(int a, int b);

#endif
