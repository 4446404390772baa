/*
 * SPDX-License-Identifier: ISC
 *
 * check_hook - an account's hook run with an event that was never sent.
 *
 * ARKEN_TEST=1 tells the hook so.  It runs as the daemon's user, in a session of its own, and
 * what it leaves running is killed.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "check.h"
#include "clk.h"
#include "io.h"
#include "str.h"

#define EVENT_ID "00000000-0000-4000-8000-000000000000"
#define ARGUMENTS 64
#define VARIABLES 16
#define VARIABLE 1280
#define STEP 20 /* milliseconds between two looks at it */
#define SAID 200
#define NOT_STARTED 127

struct run {
	char command[1100];
	char *argv[ARGUMENTS + 1];
	char text[VARIABLES][VARIABLE];
	char *env[VARIABLES + 1];
	unsigned nenv;
	int in, out;
};

static void
add(struct run *r, const char *name, const char *value)
{
	char *at = r->text[r->nenv];

	if (value == NULL || r->nenv == VARIABLES)
		return;
	(void)snprintf(at, VARIABLE, "%s=%s", name, value);
	r->env[r->nenv++] = at;
}

static void
add_all(struct run *r, const struct check *k, const struct conf_account *a)
{
	char name[128], now[CLK_TEXT];

	(void)snprintf(name, sizeof(name), "%.32s." EVENT_ID ".Account.Update", a->name);
	clk_rfc3339(k->c->now, now);
	add(r, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	add(r, "LANG", "C.UTF-8");
	add(r, "ARKEN_TEST", "1");
	add(r, "ARKEN_EVENT_ID", EVENT_ID);
	add(r, "ARKEN_EVENT", name);
	add(r, "ARKEN_ACCOUNT", a->name);
	add(r, "ARKEN_CATEGORY", "Account");
	add(r, "ARKEN_TYPE", "Update");
	add(r, "ARKEN_SOURCE", "operator");
	add(r, "ARKEN_RECEIVED", now);
	add(r, "ARKEN_TRY", "1");
	add(r, "ARKEN_OBJECT", a->hash_id != NULL ? a->hash_id : "account");
	add(r, "ARKEN_ACCOUNT_HASH", a->hash_id);
	add(r, "ARKEN_STORE", k->c->conf->daemon.store);
}

/* The event on its standard input. */
static enum rc
put_event(struct run *r, const struct check *k, const struct conf_account *a, struct err *e)
{
	struct buf b = BUF_INIT(1024);
	char now[CLK_TEXT];
	enum rc rc;

	clk_rfc3339(k->c->now, now);
	buf_str(&b, "{\"eventId\":\"" EVENT_ID "\",\"eventType\":\"Account.Update\","
		    "\"eventDateTimeUtc\":");
	buf_json(&b, now);
	if (a->hash_id != NULL) {
		buf_str(&b, ",\"accountHashId\":");
		buf_json(&b, a->hash_id);
	}
	buf_str(&b, "}");
	if ((rc = buf_state(&b, e)) == RC_OK &&
	    (rc = io_write_all(r->in, b.p, b.n, e)) == RC_OK && lseek(r->in, 0, SEEK_SET) != 0)
		rc = err_sys(e, "lseek", NULL);
	buf_free(&b);
	return rc;
}

static enum rc
prepare(struct run *r, const struct check *k, const struct conf_account *a, struct err *e)
{
	size_t n = 0;

	if (!str_copy(r->command, sizeof(r->command), a->hook))
		return err_set(e, RC_CONFIG, "the command is too long");
	for (char *p = r->command; p != NULL && n < ARGUMENTS; n++) {
		r->argv[n] = p;
		if ((p = strchr(p, ' ')) != NULL)
			*p++ = '\0';
	}
	add_all(r, k, a);
	if ((r->in = memfd_create("event", MFD_CLOEXEC)) < 0 ||
	    (r->out = memfd_create("output", MFD_CLOEXEC)) < 0)
		return err_sys(e, "memfd_create", NULL);
	return put_event(r, k, a, e);
}

/* In the child: only what is safe after fork. */
static void
become_hook(const struct run *r)
{
	static const char why[] = "cannot be started";

	(void)setsid();
	(void)umask(027);
	(void)signal(SIGPIPE, SIG_DFL);
	if (chdir("/") == 0 && dup2(r->in, STDIN_FILENO) >= 0 &&
	    dup2(r->out, STDOUT_FILENO) >= 0 && dup2(r->out, STDERR_FILENO) >= 0 &&
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		(void)execve(r->argv[0], r->argv, r->env);
	(void)!write(r->out, why, sizeof(why) - 1);
	_exit(NOT_STARTED);
}

/* Until it ends; false: it took longer than its time, and was ended. */
static bool
wait_for(pid_t pid, int64_t ms, int *status)
{
	int64_t end = clk_mono() + ms;
	bool in_time = true;

	while (waitpid(pid, status, WNOHANG) == 0) {
		if (clk_mono() >= end) {
			in_time = false;
			(void)kill(-pid, SIGKILL);
			(void)kill(pid, SIGKILL);
			(void)waitpid(pid, status, 0);
			break;
		}
		(void)poll(NULL, 0, STEP);
	}
	(void)kill(-pid, SIGKILL); /* whatever it left */
	return in_time;
}

/* The end of what it wrote, on one line. */
static void
last_words(int fd, char out[SAID])
{
	off_t size = lseek(fd, 0, SEEK_END);
	off_t from = size > SAID - 1 ? size - (SAID - 1) : 0;
	ssize_t n = size > 0 ? pread(fd, out, SAID - 1, from) : 0;

	n = n < 0 ? 0 : n;
	while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == ' '))
		n--;
	out[n] = '\0';
	for (char *p = out; *p != '\0'; p++)
		*p = *p < ' ' ? ' ' : *p;
}

static void
judge(struct check *k, const struct conf_account *a, int status, bool in_time, const char *said)
{
	const char *colon = said[0] != '\0' ? ": " : "";
	char span[CLK_TEXT];

	clk_span(a->hook_timeout, span);
	if (!in_time)
		check_say(k, CHECK_FAILURE, "hook", a->hook,
		    "did not end within hook_timeout (%s)%s%s\nsee what it waits for, or raise "
		    "hook_timeout",
		    span, colon, said);
	else if (WIFEXITED(status) && WEXITSTATUS(status) == EX_OK)
		check_say(k, CHECK_OK, "hook", a->hook, "takes a test event%s%s", colon, said);
	else if (WIFEXITED(status))
		check_say(k, CHECK_FAILURE, "hook", a->hook,
		    "a test event ends with exit status %d%s%s\nmend the hook; with "
		    "ARKEN_TEST=1 it should try out its way to the CRM and end with 0",
		    WEXITSTATUS(status), colon, said);
	else
		check_say(k, CHECK_FAILURE, "hook", a->hook,
		    "a test event ends it by signal %d%s%s\nmend the hook",
		    WIFSIGNALED(status) ? WTERMSIG(status) : 0, colon, said);
}

void
check_hook(struct check *k, const struct conf_account *a)
{
	struct run *r;
	char said[SAID] = "";
	struct err e = {0};
	int status = 0;
	enum rc rc;
	pid_t pid;

	if (a->hook == NULL)
		return;
	if ((r = calloc(1, sizeof(*r))) == NULL)
		return;
	r->in = r->out = -1;
	if ((rc = prepare(r, k, a, &e)) == RC_OK) {
		(void)fflush(stdout);
		if ((pid = fork()) == 0)
			become_hook(r);
		if (pid < 0)
			rc = err_sys(&e, "fork", NULL);
	}
	if (rc == RC_OK) {
		bool in_time = wait_for(pid, a->hook_timeout, &status);

		last_words(r->out, said);
		judge(k, a, status, in_time, said);
	} else {
		check_say(k, CHECK_FAILURE, "hook", a->hook, "%s\ntry again", e.text);
	}
	io_close(&r->in);
	io_close(&r->out);
	free(r);
}
