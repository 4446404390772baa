/*
 * SPDX-License-Identifier: ISC
 *
 * secret - the secrets of one file: one a line, each of them valid.
 *
 * Pure: reads no file.  Every line is a secret, there are no comments; empty
 * lines are left out, white space around a line is not part of it (a header
 * value has none either).
 */
#ifndef ARKEN_SECRET_H
#define ARKEN_SECRET_H

#include <stddef.h>

#include "err.h"

#define SECRET_LINES 64 /* secrets in one file */
#define SECRET_MIN 16   /* bytes; a shorter one is refused */
#define SECRET_MAX 1024 /* bytes; a longer one is refused */

struct secrets;

/*
 * Take the text of a file apart.  The caller owns *out (secrets_free).  RC_CONFIG names the
 * line and what is wrong with it, never what it says; RC_LATER: no memory.
 */
enum rc secrets_parse(const char *p, size_t n, struct secrets **out, struct err *e) MUST_CHECK;

/*
 * The line, counted from 1, whose secret is value; 0: none.  All lines are compared, each in
 * constant time, so that the time tells neither which nor how much of it agrees.
 */
unsigned secrets_match(const struct secrets *s, const char *value) MUST_CHECK;

/* Wiped, then freed. */
void secrets_free(struct secrets **s);

#endif
