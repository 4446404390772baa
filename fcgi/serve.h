/*
 * SPDX-License-Identifier: ISC
 *
 * serve - threads that take requests from whichever connection has one.
 *
 * All connections, new and kept, wait in one set, and what comes on them is
 * taken without waiting; a thread handles a request once its parameters and
 * its body, or the first RECORD_AHEAD bytes of it, are there.  So clients never
 * hang, however many connections a web server keeps and however few threads
 * there are: a silent connection, or one that stops in the middle of that,
 * costs a descriptor and what it has sent.
 */
#ifndef ARKEN_SERVE_H
#define ARKEN_SERVE_H

#include <stdbool.h>

#include "err.h"
#include "gate.h"

#define SERVE_THREADS 512      /* at most, as in the configuration */
#define SERVE_CONNECTIONS 1024 /* open at one time; more wait in the backlog of the socket */
#define SERVE_STALL 30         /* seconds that one read or write may wait for the web server */
#define SERVE_PATIENCE 60      /* seconds for parameters and first bytes of a body to come */
#define SERVE_IDLE 1   /* seconds without a request after which others may have its place */
#define SERVE_LINGER 5 /* seconds a closing connection may still send */
#define SERVE_AHEAD ((size_t)32 << 20) /* bytes of requests that are coming, all together */
#define SERVE_STACK 524288             /* bytes of stack for each */
#define SERVE_STOP_SECONDS 20          /* for exchanges under way when it is told to stop */

struct serve_opt {
	int listener; /* listening, non-blocking */
	int stop;     /* readable: stop; never read from, so that every thread sees it */
	int wake;     /* readable: read empty, then woken is called, by the first thread */
	void (*woken)(void *arg); /* NULL: there is no wake */
	unsigned threads;
	unsigned connections; /* at most; above three quarters none is kept, and for one more
			       * the one that is idle for longest has to go */
	bool (*handle)(struct exchange *x, void *arg); /* true: the body was read to its end */
	void *arg;
};

/*
 * Serve until stop is readable, then finish what is under way.  RC_OK: all threads have ended;
 * connections that are idle then close with the process.
 * RC_LATER: some have not in SERVE_STOP_SECONDS and still use opt->arg; the caller is to
 * end the process, which loses no event.  Fails otherwise only when nothing was started.
 */
enum rc serve_run(const struct serve_opt *opt, struct err *e) MUST_CHECK;

#endif
