/*
 * SPDX-License-Identifier: ISC
 *
 * reread - what was rejected, read again after a change of the configuration.
 */
#ifndef ARKEN_REREAD_H
#define ARKEN_REREAD_H

#include <stdbool.h>

#include "ctl.h"
#include "err.h"
#include "spool.h"

/*
 * Read a locked file of rejected again: its events go to new, itself to done (intake_again),
 * the operator into the spool's log; the events are printed.  RC_BAD: it is still no event of
 * its account, and stays.  RC_CONFIG: there is no configuration to read it
 * by.
 */
enum rc reread(struct ctl *c, struct spool_item *it, bool dry_run, struct err *e) MUST_CHECK;

#endif
