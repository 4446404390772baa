/*
 * SPDX-License-Identifier: ISC
 *
 * verdict - what an answer means for the event that asked; see verdict.h.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "clk.h"
#include "verdict.h"

#define EARLY (10 * CLK_MINUTE) /* how long a 404 may mean "not yet" */

bool
verdict_no_room(int sys)
{
	return sys == ENOSPC || sys == EDQUOT || sys == EROFS;
}

/* A failure of the exchange itself. */
static enum verdict
verdict_fate(const struct http_answer *a, char text[ERR_TEXT])
{
	(void)snprintf(text, ERR_TEXT, "%s", a->text);
	switch (a->fate) {
	case HTTP_ANSWERED:
		return V_OK;
	case HTTP_NO_NAME:
	case HTTP_NO_CONNECT:
	case HTTP_NO_TLS:
	case HTTP_STALLED:
		return V_DOWN;
	case HTTP_CUT: /* before any status: a server that takes connections and drops them */
		return a->status == 0 ? V_DOWN : V_LATER;
	case HTTP_LOCAL:
		return verdict_no_room(a->sys) ? V_OURS : V_LATER;
	case HTTP_TOO_LARGE:
	case HTTP_FORBIDDEN:
		return V_NEVER;
	}
	return V_LATER;
}

/* What every server means by these, whatever was asked. */
static enum verdict
verdict_busy(int status)
{
	if (status == 429 || status == 502 || status == 503 || status == 504)
		return V_DOWN;
	if (status == 408 || status == 425 || status >= 500)
		return V_LATER;
	return V_NEVER;
}

enum verdict
verdict_api(const struct http_answer *a, int64_t age, char text[ERR_TEXT])
{
	int s = a->status;

	if (a->fate != HTTP_ANSWERED)
		return verdict_fate(a, text);
	(void)snprintf(text, ERR_TEXT, "the API answered %d", s);
	if (s == 200)
		return V_OK;
	if (s == 301 || s == 302 || s == 303 || s == 307 || s == 308)
		return V_LINK;
	if (s == 401)
		return V_RENEW;
	if (s == 404 || s == 410)
		return s == 404 && age < EARLY ? V_LATER : V_GONE;
	if (s >= 200 && s < 300)
		return V_LATER; /* 204: no record yet */
	return verdict_busy(s);
}

enum verdict
verdict_document(const struct http_answer *a, char text[ERR_TEXT])
{
	int s = a->status;

	if (a->fate != HTTP_ANSWERED)
		return verdict_fate(a, text);
	(void)snprintf(text, ERR_TEXT, "the document host answered %d", s);
	if (s == 200 || (s == 206 && a->to_file)) /* http lets through only the exact rest */
		return V_OK;
	if (s == 301 || s == 302 || s == 303 || s == 307 || s == 308)
		return V_LINK;
	if (s == 400 || s == 401 || s == 403 || s == 404 || s == 410)
		return V_RELINK;
	if (s >= 200 && s < 300)
		return V_LATER; /* 206 and the like were not asked for */
	return verdict_busy(s);
}

const char *
verdict_name(enum verdict v)
{
	switch (v) {
	case V_OK:
		return "ok";
	case V_LATER:
		return "later";
	case V_DOWN:
		return "down";
	case V_RENEW:
		return "renew";
	case V_RELINK:
		return "relink";
	case V_LINK:
		return "link";
	case V_OURS:
		return "ours";
	case V_GONE:
		return "gone";
	case V_NEVER:
		return "never";
	}
	return "later";
}
