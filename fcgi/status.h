/*
 * SPDX-License-Identifier: ISC
 *
 * status - what is asked about the receiver itself: healthz and metrics, below
 * the path of [status].
 *
 * healthz tells anybody whether events are taken, and one who has a token what
 * is lacking.  metrics is there only if token_file is, and only for those who
 * have a token.  That a request comes from this host proves nothing: behind a
 * proxy all do.
 */
#ifndef ARKEN_STATUS_H
#define ARKEN_STATUS_H

#include <stdbool.h>

#include "buf.h"
#include "conf.h"
#include "err.h"
#include "request.h"
#include "spool.h"

enum status_page { STATUS_NONE, STATUS_HEALTH, STATUS_METRICS };

#define STATUS_TOKEN 2048 /* an Authorization header that is looked at, with its NUL */

/* Which page is at this path. */
enum status_page status_page(const struct conf *c, const char *path) MUST_CHECK;

/*
 * RC_OK: the request carries one of the lines of token_file, as "Bearer TOKEN" or as the
 * password of "Basic" (RFC 6750, RFC 7617).  RC_DENIED: it does not, or there is no such file;
 * any other: the file cannot be read.  It is read each time, so a new token counts at once.
 */
enum rc status_allowed(
    const struct conf *c, const struct request *rq, struct err *e) MUST_CHECK;

/* Can the tokens be read?  Asked when a configuration is loaded. */
enum rc status_check(const struct conf *c, struct err *e) MUST_CHECK;

/* The pages.  false, and the text is there all the same: something is lacking. */
bool status_health(struct spool *sp, bool details, struct buf *out);
void status_metrics(struct spool *sp, struct buf *out);

#endif
