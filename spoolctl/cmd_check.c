/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_check - is the installation as it has to be, and if not, what is to be done?
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "buf.h"
#include "check.h"
#include "setup.h"
#include "str.h"
#include "user.h"

#define RECEIVER "arken-fcgi" /* the user that the package makes */

enum { CHECK_ONLINE = CTL_OWN, CHECK_HOOK, CHECK_RECEIVER };

/* The configuration, or what is wrong with it: then nothing else can be looked at. */
static bool
read_conf(struct check *k)
{
	struct ctl *c = k->c;
	struct err e = {0};
	enum rc rc = conf_load(c->conf_path, &c->conf, &e);

	if (rc != RC_OK) {
		check_say(k, CHECK_FAILURE, "configuration", c->conf_path, "%s\n%s", e.text,
		    rc == RC_GONE     ? "copy arkenspool.conf.sample there, or name it with -c"
		    : rc == RC_DENIED ? "run this as root (sudo)"
				      : "mend it there; arkenspool.conf(5) explains each key");
		return false;
	}
	if ((rc = setup_spool_opt(c->conf, &c->opt, &e)) == RC_OK)
		return true;
	check_say(k, CHECK_FAILURE, "configuration", c->conf_path,
	    "%s\nsystemd-sysusers makes it, or set group in [spool]", e.text);
	return false;
}

/* Who runs what. */
static bool
find_users(struct check *k, const char *receiver)
{
	struct err e = {0};
	struct stat st;
	uid_t uid;
	gid_t gid;

	k->daemon.what = "spoold";
	k->receiver.what = "arken.fcgi";
	if (user_find(receiver != NULL ? receiver : RECEIVER, &uid, &gid, &e) == RC_OK)
		check_user(&k->receiver, uid, receiver != NULL ? k->c->opt.group : gid);
	else if (receiver != NULL) {
		check_say(k, CHECK_FAILURE, "receiver", receiver,
		    "%s\nname the user of arken.fcgi", e.text);
		return false;
	}
	if (lstat(k->c->opt.path, &st) != 0) {
		(void)err_sys(&e, "lstat", k->c->opt.path);
		check_say(k, CHECK_FAILURE, "spool", k->c->opt.path,
		    "%s\n\"spoolctl make-spool -u arkenspool\" makes it", e.text);
		return false;
	}
	check_user(&k->daemon, st.st_uid, k->c->opt.group);
	if (st.st_uid == 0)
		check_say(k, CHECK_WARNING, "spool", k->c->opt.path,
		    "belongs to root, so spoold runs as root\ngive it to a user of its own");
	return true;
}

/* From here on as the daemon. */
static bool
enter(struct check *k)
{
	struct ctl *c = k->c;
	struct err e = {0};
	enum rc rc = user_become_owner(c->opt.path, &e);

	if (rc == RC_OK)
		rc = spool_open(&c->opt, &c->spool, &e);
	if (rc == RC_OK)
		return true;
	if (k->count[CHECK_FAILURE] == 0 || rc != RC_CONFIG)
		check_say(k, CHECK_FAILURE, "spool", c->opt.path, "%s\n%s", e.text,
		    rc == RC_DENIED ? "run this as root (sudo)"
				    : "arken.fcgi and spoold do not start before it is mended");
	else
		check_say(k, CHECK_FAILURE, "spool", c->opt.path,
		    "%s\nmend what is said above; the rest is not looked at", e.text);
	return false;
}

static void
look(struct check *k, const char *receiver)
{
	const struct conf *c;

	if (!read_conf(k) || !find_users(k, receiver))
		return;
	check_files(k);
	if (!enter(k))
		return;
	check_running(k);
	c = k->c->conf;
	for (size_t i = 0; i < c->naccounts; i++) {
		k->account = c->accounts[i].name;
		if (k->online)
			check_online(k, &c->accounts[i]);
		if (k->hook)
			check_hook(k, &c->accounts[i]);
	}
	k->account = NULL;
}

int
cmd_check(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {{"online", no_argument, NULL, CHECK_ONLINE},
	    {"hook", no_argument, NULL, CHECK_HOOK},
	    {"receiver", required_argument, NULL, CHECK_RECEIVER},
	    {"json", no_argument, NULL, CTL_JSON}, {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0}};
	struct check k = {.c = c};
	const char *receiver = NULL;
	int opt;

	while ((opt = ctl_option(c, argc, argv, ":h", names)) >= 0) {
		k.online = k.online || opt == CHECK_ONLINE;
		k.hook = k.hook || opt == CHECK_HOOK;
		k.json = k.json || opt == CTL_JSON;
		if (opt == CHECK_RECEIVER)
			receiver = optarg;
	}
	if (opt != CTL_END)
		return ctl_option_exit(opt);
	if (optind < argc)
		return ctl_usage(c, "it takes no arguments");
	if (c->spool_path != NULL)
		return ctl_usage(c, "it needs a configuration: leave -s out");
	look(&k, receiver);
	if (!k.json)
		(void)printf("%u ok, %u warning%s, %u failure%s\n", k.count[CHECK_OK],
		    k.count[CHECK_WARNING], k.count[CHECK_WARNING] == 1 ? "" : "s",
		    k.count[CHECK_FAILURE], k.count[CHECK_FAILURE] == 1 ? "" : "s");
	if (k.count[CHECK_FAILURE] == 0)
		return EX_OK;
	return ctl_fail(EX_CONFIG, "%u failure%s", k.count[CHECK_FAILURE],
	    k.count[CHECK_FAILURE] == 1 ? "" : "s");
}
