/*
 * SPDX-License-Identifier: ISC
 *
 * check - an installation looked at: what is as it should be, what is not, and what to do.
 *
 * Changes nothing.  Each part says its findings as it makes them.
 */
#ifndef ARKEN_CHECK_H
#define ARKEN_CHECK_H

#include <stdbool.h>
#include <sys/types.h>

#include "conf.h"
#include "ctl.h"
#include "err.h"

#define CHECK_GROUPS 64 /* of a user; more are not looked at */

enum check_level { CHECK_OK, CHECK_WARNING, CHECK_FAILURE, CHECK_LEVELS };

struct check_user {
	const char *what; /* "spoold", "arken.fcgi" */
	bool known;
	uid_t uid;
	gid_t groups[CHECK_GROUPS];
	int ngroups;
	char name[CTL_OPERATOR];
};

struct check {
	struct ctl *c;
	bool json, online, hook;
	const char *account; /* of the configuration, while it is looked at; NULL none */
	struct check_user daemon, receiver;
	unsigned count[CHECK_LEVELS];
};

/*
 * One finding about subject.  The text may end in a newline and what to do about it.
 */
void check_say(struct check *k, enum check_level level, const char *topic, const char *subject,
    const char *fmt, ...) PRINTF_LIKE(5, 6);

/* Fill in a user: its groups, besides group if the system does not know it. */
void check_user(struct check_user *u, uid_t uid, gid_t group);

/*
 * Do owners and modes let this user do it (4 read, 2 write, 1 run), and reach it?  where is the
 * path that is in the way.  Access lists and capabilities are not looked at.
 */
bool check_may(const struct check_user *u, const char *path, unsigned want, char *where,
    size_t size) MUST_CHECK;

/* The parts.  The first works with the rights of the caller, the others as the daemon. */
void check_files(struct check *k);
void check_running(struct check *k);
void check_online(struct check *k, const struct conf_account *a);
void check_hook(struct check *k, const struct conf_account *a);

#endif
