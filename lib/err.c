/*
 * SPDX-License-Identifier: ISC
 *
 * err - verdicts and errors; see err.h.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "err.h"

void
err_clear(struct err *e)
{
	if (e != NULL) {
		e->sys = 0;
		e->text[0] = '\0';
	}
}

enum rc
err_set(struct err *e, enum rc rc, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return rc;
	e->sys = 0;
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return rc;
}

enum rc
err_sys(struct err *e, const char *call, const char *what)
{
	int sys = errno;

	if (e != NULL) {
		(void)snprintf(e->text, sizeof(e->text), "%s(%.180s) failed: %s", call,
		    what != NULL ? what : "", strerror(sys));
		e->sys = sys;
	}
	/* A call that failed did not succeed, even one that forgot to say why. */
	return sys != 0 ? err_verdict(sys) : RC_LATER;
}

void
err_prefix(struct err *e, const char *fmt, ...)
{
	char old[ERR_TEXT];
	size_t n;
	va_list ap;

	if (e == NULL)
		return;
	memcpy(old, e->text, sizeof(old));
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	(void)snprintf(e->text + n, sizeof(e->text) - n, ": %.200s", old);
}

enum rc
err_verdict(int sys)
{
	switch (sys) {
	case 0:
		return RC_OK;
	case EEXIST:
		return RC_EXISTS;
	case ENOENT:
		return RC_GONE;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return RC_FULL;
	case EACCES:
	case EPERM:
		return RC_DENIED;
	case ENOTDIR:
	case EISDIR:
	case ELOOP:
	case ENAMETOOLONG:
		return RC_CONFIG;
	default:
		return RC_LATER;
	}
}

const char *
err_name(enum rc rc)
{
	switch (rc) {
	case RC_OK:
		return "ok";
	case RC_EXISTS:
		return "exists";
	case RC_GONE:
		return "gone";
	case RC_LATER:
		return "later";
	case RC_FULL:
		return "full";
	case RC_DENIED:
		return "denied";
	case RC_BAD:
		return "bad";
	case RC_CONFIG:
		return "configuration";
	}
	return "unknown";
}

int
err_exit(enum rc rc)
{
	switch (rc) {
	case RC_OK:
		return EX_OK;
	case RC_EXISTS:
	case RC_FULL:
		return EX_CANTCREAT;
	case RC_GONE:
		return EX_NOINPUT;
	case RC_LATER:
		return EX_TEMPFAIL;
	case RC_DENIED:
		return EX_NOPERM;
	case RC_BAD:
		return EX_DATAERR;
	case RC_CONFIG:
		return EX_CONFIG;
	}
	return EX_SOFTWARE;
}
