/*
 * SPDX-License-Identifier: ISC
 *
 * fcgx - FastCGI connections over libfcgi, the only file that knows it.
 *
 * One struct fcgx belongs to one thread and carries a connection from the
 * first byte of a request to the end of its answer, and no longer: between
 * requests a kept connection is a descriptor of the caller's.  So no thread
 * is tied to one, as libfcgi's own accept loop would do.
 */
#ifndef ARKEN_FCGX_H
#define ARKEN_FCGX_H

#include <stdbool.h>

#include "err.h"
#include "gate.h"

struct fcgx;

/*
 * Once, before threads, and after the signal handlers are there: libfcgi takes SIGPIPE,
 * SIGTERM and SIGUSR1 if nobody else has.
 */
enum rc fcgx_init(struct err *e) MUST_CHECK;

enum rc fcgx_new(struct fcgx **f, struct err *e) MUST_CHECK;
void fcgx_free(struct fcgx **f);

/*
 * Read the next request of a connection up to its body.  fd is blocking, with time limits of
 * the caller's, and owned from here to fcgx_finish.  NULL: there is none, and fd was closed.
 */
struct exchange *fcgx_next(struct fcgx *f, int fd);

/*
 * Send what was written.  The connection comes back if keep is true and the web server asked
 * for it; else it was closed, and -1 comes back.
 */
int fcgx_finish(struct fcgx *f, bool keep) MUST_CHECK;

#endif
