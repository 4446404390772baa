/*
 * SPDX-License-Identifier: ISC
 *
 * spoold - the daemon of a spool: takes its events, calls the vendor back,
 * keeps records and documents.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf.h"
#include "daemon.h"
#include "log.h"
#include "notify.h"

static int stop_pipe[2] = {-1, -1}, reload_pipe[2] = {-1, -1};

static const char usage[] =
    "usage: spoold [-c FILE] [-u USER] [-t]\n"
    "       spoold -h | -V\n"
    "\n"
    "  -c FILE  the configuration (default $ARKENSPOOL_CONF, else\n"
    "           " SYSCONFDIR "/arkenspool/arkenspool.conf)\n"
    "  -u USER  become this user and its group; needed when started by root\n"
    "  -t       only read the configuration and say what is wrong with it\n"
    "  -h       this text\n"
    "  -V       the version\n"
    "\n"
    "Stays in the foreground and logs to stderr or the journal.  SIGTERM and\n"
    "SIGINT stop it; what it was doing is done again at the next start.  SIGHUP has\n"
    "it read its configuration again; with a mistake in that the old one stays.\n";

struct options {
	const char *file;
	const char *user;
	bool test;
};

static void
on_stop(int sig)
{
	int saved = errno;

	(void)sig;
	if (write(stop_pipe[1], "", 1) < 0)
		errno = saved; /* full: then it is readable anyway */
	errno = saved;
}

static void
on_reload(int sig)
{
	int saved = errno;

	(void)sig;
	if (write(reload_pipe[1], "", 1) < 0)
		errno = saved;
	errno = saved;
}

static enum rc
catch_signals(struct err *e)
{
	struct sigaction stop = {.sa_handler = on_stop}, again = {.sa_handler = on_reload},
			 ignore = {.sa_handler = SIG_IGN};

	if (pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) != 0 ||
	    pipe2(reload_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
		return err_sys(e, "pipe2", NULL);
	if (sigaction(SIGTERM, &stop, NULL) != 0 || sigaction(SIGINT, &stop, NULL) != 0 ||
	    sigaction(SIGHUP, &again, NULL) != 0 || sigaction(SIGPIPE, &ignore, NULL) != 0)
		return err_sys(e, "sigaction", NULL);
	return RC_OK;
}

/* No core file with a token in it, and no new rights by any program we might start. */
static void
harden(void)
{
	const struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static enum rc
become(const char *user, struct err *e)
{
	const struct passwd *pw;

	if (user == NULL)
		return geteuid() != 0 ? RC_OK
				      : err_set(e, RC_DENIED,
					    "started by root: name the spool's user with -u, "
					    "or start it by "
					    "systemd");
	errno = 0;
	if ((pw = getpwnam(user)) == NULL)
		return err_set(e, RC_CONFIG, "there is no user \"%.60s\"", user);
	if (geteuid() == pw->pw_uid)
		return RC_OK;
	if (initgroups(user, pw->pw_gid) != 0 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) != 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0)
		return err_sys(e, "setresuid", user);
	return RC_OK;
}

/* -1: go on; else the exit status. */
static int
read_options(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt(argc, argv, "c:u:thV")) != -1) {
		switch (c) {
		case 'c':
			o->file = optarg;
			break;
		case 'u':
			o->user = optarg;
			break;
		case 't':
			o->test = true;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return EX_OK;
		case 'V':
			(void)puts("spoold " PACKAGE_VERSION);
			return EX_OK;
		default:
			(void)fputs(usage, stderr);
			return EX_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	(void)fputs(usage, stderr);
	return EX_USAGE;
}

static enum rc
check_accounts(const struct conf *c, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < c->naccounts && rc == RC_OK; i++)
		rc = conf_account_complete(&c->accounts[i], e);
	return rc;
}

static enum rc
read_conf(const char *file, struct conf **out, struct err *e)
{
	enum rc rc;

	if ((rc = conf_load(file, out, e)) == RC_OK && (rc = check_accounts(*out, e)) != RC_OK)
		conf_free(out);
	return rc;
}

static void
set_log(const struct conf *c)
{
	log_open("spoold", c->log.format, c->log.target);
	log_level(c->log.level);
}

/*
 * Serve until told to stop.  A new configuration that cannot be served (a folder that is not to
 * be had) gives way to the one before it.
 */
static enum rc
serve(const char *file, struct conf **conf, struct err *e)
{
	struct daemon_reload r = {.fd = reload_pipe[0], .file = file, .read = read_conf};
	struct conf *before = NULL;
	enum rc rc;

	for (;;) {
		set_log(*conf);
		rc = daemon_run(*conf, stop_pipe[0], &r, e);
		if (rc != RC_OK && before != NULL) {
			log_put(LOG_ERROR, "not reloaded, the old configuration stays",
			    "reason", e->text, LOG_END);
			conf_free(conf);
			*conf = before;
			before = NULL;
			continue;
		}
		conf_free(&before);
		if (rc != RC_OK || r.fresh == NULL)
			return rc;
		before = *conf;
		*conf = r.fresh;
		r.fresh = NULL;
		r.again = true;
	}
}

int
main(int argc, char **argv)
{
	struct options o = {.file = SYSCONFDIR "/arkenspool/arkenspool.conf"};
	struct conf *conf = NULL;
	struct err e;
	enum rc rc;
	int status;

	if (getenv("ARKENSPOOL_CONF") != NULL)
		o.file = getenv("ARKENSPOOL_CONF");
	if ((status = read_options(argc, argv, &o)) >= 0)
		return status;
	err_clear(&e);
	rc = read_conf(o.file, &conf, &e);
	if (rc == RC_OK && !o.test) {
		harden();
		if ((rc = become(o.user, &e)) == RC_OK && (rc = catch_signals(&e)) == RC_OK) {
			notify_open();
			rc = serve(o.file, &conf, &e);
		}
	}
	if (rc != RC_OK)
		(void)fprintf(stderr, "spoold: %s\n", e.text);
	else if (o.test)
		(void)printf("spoold: %s is well formed\n", o.file);
	conf_free(&conf);
	return err_exit(rc);
}
