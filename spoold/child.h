/*
 * SPDX-License-Identifier: ISC
 *
 * child - programs of the operator's, run beside the daemon and contained.
 *
 * Each runs in a session of its own with a given environment, an input, a time limit and
 * nothing else of ours: no descriptor, no signal setting. When its first process ends, when its
 * time is over or when the daemon ends, however that ends, everything it started ends too.
 *
 * The daemon has threads and is large, so it forks no children itself: a keeper, forked before
 * the first thread, does; each program has a warden, which is told to stop by the end of its
 * socket and so needs nobody to outlive the daemon.
 */
#ifndef ARKEN_CHILD_H
#define ARKEN_CHILD_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define CHILD_OUTPUT 2048   /* the end of what a program wrote that is kept */
#define CHILD_REQUEST 65536 /* command and environment together at most */
#define CHILD_WORDS 256     /* words of a command and of its environment, each */
#define CHILD_LAST 5000     /* milliseconds between SIGTERM and SIGKILL */

enum child_fate {
	CHILD_EXITED,    /* status is its exit status */
	CHILD_KILLED,    /* status is the signal, which was not ours */
	CHILD_TIMED_OUT, /* ended by us after its time limit */
	CHILD_STOPPED,   /* ended by us because we were asked to (child_stop) */
	CHILD_UNABLE,    /* not started; sys is the errno */
	CHILD_LOST,      /* its warden was killed: nobody knows */
};

struct child_end {
	enum child_fate fate;
	int status, sys;
	char
	    output[CHILD_OUTPUT]; /* the end of stdout and stderr, as it came, a NUL after it */
	size_t output_len;
};

struct child_spec {
	const char *command;    /* path and arguments, each separated by one space */
	const char *const *env; /* "NAME=value", all there is */
	size_t nenv;
	const char *input; /* its stdin, which can be read again from the start */
	size_t input_len;
	int64_t timeout; /* milliseconds */
};

struct children;
struct child; /* one that runs */

/* Forks the keeper: to be called before a thread is started and before anything is locked. */
enum rc children_new(struct children **c, struct err *e) MUST_CHECK;

/* Those that still run are killed; their done is not called. */
void children_free(struct children **c);

/* Start one; done is called once from children_reap.  RC_BAD: the spec is too long. */
enum rc child_start(struct children *c, const struct child_spec *spec,
    void (*done)(const struct child_end *, void *), void *arg, struct child **out,
    struct err *e) MUST_CHECK;

/* Ask all that run to end: SIGTERM, then SIGKILL; done is called as ever. */
void children_stop(struct children *c);

unsigned children_running(const struct children *c);

/* Readable when children_reap has something to do. */
int children_fd(const struct children *c);
void children_reap(struct children *c);

#endif
