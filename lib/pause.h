/*
 * SPDX-License-Identifier: ISC
 *
 * pause - what is known of a target that must be left alone: one small file each.
 *
 * A target is what an event needs from outside: "api:acme", "hook:acme",
 * "document:host". Its file in the spool's folder targets/ says since when and why it is left
 * alone; no file: it is well. Daemon and operator's tool write and remove them, so that a pause
 * outlives the daemon and can be lifted while that is not running.
 */
#ifndef ARKEN_PAUSE_H
#define ARKEN_PAUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

#define PAUSE_TARGET 300 /* "kind:name" with its NUL */
#define PAUSE_TEXT ERR_TEXT
#define PAUSE_BY 64

enum pause_kind {
	PAUSE_DOWN,     /* it failed; tried out by itself again, and forgotten at a start */
	PAUSE_CONFIG,   /* something has to be mended: until a reload, or lifted */
	PAUSE_OPERATOR, /* an operator's wish, until lifted */
};

struct pause {
	char target[PAUSE_TARGET];
	enum pause_kind kind;
	int64_t since; /* wall clock */
	int64_t until; /* 0: until it is lifted */
	char reason[PAUSE_TEXT];
	char by[PAUSE_BY]; /* "spoold", or the operator's name */
};

/* Is this "kind:name" of a kind there is?  The kinds are api, token, document, hook, forward
 * and disk.
 */
bool pause_target_ok(const char *target) MUST_CHECK;

/* What follows the kind; "" if that is not the name of an account but of a host. */
const char *pause_account(const char *target);

/* The folder of the files; the caller closes it.  RC_GONE: not there, and not to be made. */
enum rc pause_open(int spool, bool make, int *dir, struct err *e) MUST_CHECK;

/* durable: the file survives a power cut.  RC_BAD: not a target. */
enum rc pause_write(int dir, const struct pause *p, bool durable, struct err *e) MUST_CHECK;

/* RC_GONE: it is not left alone.  RC_BAD: the file cannot be read. */
enum rc pause_read(int dir, const char *target, struct pause *out, struct err *e) MUST_CHECK;

/* RC_GONE: there was none. */
enum rc pause_remove(int dir, const char *target, struct err *e) MUST_CHECK;

/* Call fn for each, in no particular order, until it returns false.  What cannot be read is
 * left out. */
enum rc pause_each(
    int dir, bool (*fn)(const struct pause *, void *), void *arg, struct err *e) MUST_CHECK;

/* "down", "configuration", "operator". */
const char *pause_kind_name(enum pause_kind kind);

#endif
