/*
 * SPDX-License-Identifier: ISC
 *
 * err - verdicts and errors.
 *
 * A verdict (enum rc) says what to do next; a struct err says why.  Neither
 * allocates, logs or exits.
 */
#ifndef ARKEN_ERR_H
#define ARKEN_ERR_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

enum rc {
	RC_OK,     /* done */
	RC_EXISTS, /* the name is there already; nothing was changed */
	RC_GONE,   /* it is not there, or not there any more */
	RC_LATER,  /* a passing trouble: the same call may succeed later */
	RC_FULL,   /* no room: as RC_LATER, but an operator should look */
	RC_DENIED, /* credentials or permissions refuse it */
	RC_BAD,    /* this input can never succeed */
	RC_CONFIG, /* the configuration has to change first */
};

#define ERR_TEXT 320

struct err {
	int sys;             /* errno of the failed call, 0: none */
	char text[ERR_TEXT]; /* one line, no newline, nothing secret */
};

/* Empty e.  A NULL e is allowed in every function here. */
void err_clear(struct err *e);

/* Say why, without an errno; returns rc so that callers can return it. */
enum rc err_set(struct err *e, enum rc rc, const char *fmt, ...) PRINTF_LIKE(3, 4);

/*
 * Report a failed system call as "call(what) failed: reason" and return the
 * verdict for the errno at the time of the call (err_verdict).  what may be NULL.
 */
enum rc err_sys(struct err *e, const char *call, const char *what);

/* Put "prefix: " before the text that is there. */
void err_prefix(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The verdict for an errno: the only place that translates one. */
enum rc err_verdict(int sys);

/* "ok", "exists", ... for logs; never NULL. */
const char *err_name(enum rc rc);

/* The exit status of a command (sysexits.h) for a verdict. */
int err_exit(enum rc rc);

#endif
