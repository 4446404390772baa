/*
 * SPDX-License-Identifier: ISC
 *
 * ctl - what the commands share; see ctl.h.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "buf.h"
#include "clk.h"
#include "ctl.h"
#include "io.h"
#include "setup.h"
#include "str.h"
#include "user.h"

#define MESSAGE 1024

/* What is typed at a command comes back in its messages, so they are escaped as a whole. */
static void complain(const char *fmt, va_list ap, const char *more) PRINTF_LIKE(1, 0);

static void
complain(const char *fmt, va_list ap, const char *more)
{
	char text[MESSAGE], safe[2 * MESSAGE];

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	(void)fflush(stdout);
	(void)fprintf(stderr, "spoolctl: %s%s\n",
	    str_escape(safe, sizeof(safe), text, strlen(text)), more);
}

int
ctl_fail(int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(fmt, ap, "");
	va_end(ap);
	return status;
}

int
ctl_usage(const struct ctl *c, const char *fmt, ...)
{
	char more[96];
	va_list ap;

	(void)snprintf(more, sizeof(more), "; see \"spoolctl %s --help\"", c->command->name);
	va_start(ap, fmt);
	complain(fmt, ap, more);
	va_end(ap);
	return EX_USAGE;
}

int
ctl_read_options(struct ctl *c)
{
	struct err e = {0};
	enum rc rc;

	if (c->spool_path != NULL) {
		c->opt = (struct spool_opt){.path = c->spool_path,
		    .group = getegid(),
		    .queue_limit = UINT64_MAX,
		    .rejected_limit = UINT64_MAX};
		return EX_OK;
	}
	rc = conf_load(c->conf_path, &c->conf, &e);
	if (rc == RC_GONE)
		return ctl_fail(EX_CONFIG,
		    "no configuration %s: name it with -c, or a spool with -s", c->conf_path);
	if (rc == RC_OK)
		rc = setup_spool_opt(c->conf, &c->opt, &e);
	if (rc != RC_OK)
		return ctl_fail(err_exit(rc), "%s", e.text);
	return EX_OK;
}

/* What a user can do who has not the rights. */
static int
deny(const struct ctl *c, const struct err *e)
{
	char owner[64] = "its owner";
	struct stat st;

	if (lstat(c->opt.path, &st) == 0)
		user_name(st.st_uid, owner, sizeof(owner));
	return ctl_fail(EX_NOPERM, "%s; run it as root (sudo) or as user %s", e->text, owner);
}

int
ctl_open(struct ctl *c)
{
	int status = ctl_read_options(c);

	return status == EX_OK ? ctl_enter(c) : status;
}

bool
ctl_confirm(void)
{
	char answer[16];

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return true;
	(void)fflush(stdout);
	(void)fprintf(stderr, "Go on? [y/N] ");
	return fgets(answer, sizeof(answer), stdin) != NULL &&
	       (answer[0] == 'y' || answer[0] == 'Y');
}

int
ctl_enter(struct ctl *c)
{
	struct err e = {0};
	struct stat st;
	enum rc rc;

	if (lstat(c->opt.path, &st) != 0 && err_sys(&e, "lstat", c->opt.path) == RC_GONE)
		return ctl_fail(EX_NOINPUT,
		    "there is no spool %s: name it with -s, or make it with \"spoolctl "
		    "make-spool\"",
		    c->opt.path);
	if ((rc = user_become_owner(c->opt.path, &e)) == RC_OK)
		rc = spool_open(&c->opt, &c->spool, &e);
	if (rc == RC_OK)
		return EX_OK;
	return rc == RC_DENIED ? deny(c, &e) : ctl_fail(err_exit(rc), "%s", e.text);
}

const struct conf_account *
ctl_account(const struct ctl *c, const char *name, int *status)
{
	const struct conf_account *a;

	*status = EX_USAGE;
	if (c->conf == NULL) {
		(void)ctl_usage(c, "it needs a configuration: leave -s out");
		return NULL;
	}
	if (name == NULL && c->conf->naccounts != 1) {
		(void)ctl_usage(c, "which account? %s has %zu, name one with --account",
		    c->conf->file, c->conf->naccounts);
		return NULL;
	}
	a = name != NULL ? conf_account(c->conf, name) : &c->conf->accounts[0];
	if (a == NULL) {
		*status = EX_CONFIG;
		(void)ctl_fail(0, "%s has no account %.40s", c->conf->file, name);
	}
	return a;
}

void
ctl_word(struct buf *b, const char *word)
{
	if (word[0] != '\0' && str_only(word, "/._-+,:@%=", 1, MESSAGE)) {
		buf_str(b, word);
		return;
	}
	buf_str(b, "'");
	for (; *word != '\0'; word++) {
		if (*word == '\'')
			buf_str(b, "'\\''");
		else
			buf_add(b, word, 1);
	}
	buf_str(b, "'");
}

void
ctl_self(const struct ctl *c, struct buf *out)
{
	buf_str(out, "spoolctl ");
	if (c->spool_path != NULL) {
		buf_str(out, "-s ");
		ctl_word(out, c->spool_path);
		buf_str(out, " ");
	} else if (c->conf_given) {
		buf_str(out, "-c ");
		ctl_word(out, c->conf_path);
		buf_str(out, " ");
	}
}

enum rc
ctl_is_served(const struct spool *sp, bool *served, struct err *e)
{
	enum rc rc = RC_OK;
	int fd;

	*served = false;
	if ((rc = io_open(spool_dir(sp), "lock", &fd, e)) != RC_OK)
		return rc;
	if (flock(fd, LOCK_SH | LOCK_NB) != 0) {
		*served = errno == EWOULDBLOCK;
		rc = *served ? RC_OK : err_sys(e, "flock", "lock");
	}
	io_close(&fd);
	return rc;
}

void
ctl_wake(struct ctl *c)
{
	ctl_ask(c, "wake");
}

void
ctl_ask(struct ctl *c, const char *kind)
{
	unsigned char random[8];
	char name[64], hex[17];
	struct err e = {0};
	int fd = -1;

	clk_random(random, sizeof(random));
	str_hex(hex, random, sizeof(random));
	(void)snprintf(name, sizeof(name), "%.32s.%s", kind, hex);
	if (io_create(spool_ask_dir(c->spool), name, 0660, &fd, &e) != RC_OK)
		(void)ctl_fail(
		    0, "spoold could not be told (%s); it looks by itself later", e.text);
	io_close(&fd);
}

int
ctl_worse(int a, int b)
{
	static const int order[] = {EX_OK, EX_TEMPFAIL, EX_NOINPUT, EX_DATAERR};
	const int n = sizeof(order) / sizeof(order[0]);
	int ra = 0, rb = 0;

	while (ra < n && order[ra] != a)
		ra++;
	while (rb < n && order[rb] != b)
		rb++;
	return rb > ra ? b : a;
}
