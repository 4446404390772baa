/*
 * SPDX-License-Identifier: ISC
 *
 * setup - from the configuration to what the library's objects are opened with.
 *
 * The one place where names of the configuration are looked up in the system.
 */
#ifndef ARKEN_SETUP_H
#define ARKEN_SETUP_H

#include <sys/types.h>

#include "conf.h"
#include "err.h"
#include "spool.h"

/*
 * A group of the system by its name, else by its number.  RC_CONFIG: there is none; RC_LATER:
 * the system could not say.
 */
enum rc setup_group(const char *text, gid_t *gid, struct err *e) MUST_CHECK;

/* What spool_make and spool_open take.  The texts are borrowed from c. */
enum rc setup_spool_opt(const struct conf *c, struct spool_opt *out, struct err *e) MUST_CHECK;

#endif
