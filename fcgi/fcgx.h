/*
 * SPDX-License-Identifier: ISC
 *
 * fcgx - FastCGI connections over libfcgi, the only file that knows it.
 *
 * One struct fcgx belongs to one thread.  Between requests, and until all
 * parameters and the first bytes of the body of one are there, a connection is
 * a descriptor and a struct record of the caller's: no thread waits for it.
 * What comes in is read by record.h; libfcgi is given parameters that have
 * passed there, and makes the answer.
 */
#ifndef ARKEN_FCGX_H
#define ARKEN_FCGX_H

#include <stdbool.h>

#include "err.h"
#include "gate.h"
#include "record.h"

struct fcgx;

enum fcgx_state {
	FCGX_MORE,  /* the rest is still to come: wait until the connection can be read */
	FCGX_READY, /* a request to be handled now */
	FCGX_OVER,  /* it was closed at the other end, or says what is not taken: close it */
};

/*
 * Once, before threads, and after the signal handlers are there: libfcgi takes SIGPIPE,
 * SIGTERM and SIGUSR1 if nobody else has.
 */
enum rc fcgx_init(struct err *e) MUST_CHECK;

enum rc fcgx_new(struct fcgx **f, struct err *e) MUST_CHECK;
void fcgx_free(struct fcgx **f);

/*
 * Take what has come on a connection, without waiting.  fd stays the caller's; r is what is
 * known of its next request.  With hurry, what there is of a body has to be enough.
 */
enum fcgx_state fcgx_take(struct fcgx *f, int fd, struct record *r, bool hurry) MUST_CHECK;

/*
 * After FCGX_READY: the request, until fcgx_finish.  Its read waits as long as the time limits
 * of fd say.  NULL: it cannot be handled, and the connection is to be closed.
 */
struct exchange *fcgx_begin(struct fcgx *f) MUST_CHECK;

/*
 * Send what was written, and forget the request.  true: the connection may carry another,
 * which the web server asked for; else it is to be closed.
 */
bool fcgx_finish(struct fcgx *f) MUST_CHECK;

/* Did more come than that request?  Then fcgx_again takes it: nobody else will see it. */
bool fcgx_has_more(const struct fcgx *f);
enum fcgx_state fcgx_again(struct fcgx *f, bool hurry) MUST_CHECK;

/*
 * Read and forget what still comes on a connection that is at its end, at most *left bytes,
 * without waiting.  false: nothing more will come, or *left is used up.
 */
bool fcgx_drain(struct fcgx *f, int fd, size_t *left) MUST_CHECK;

#endif
