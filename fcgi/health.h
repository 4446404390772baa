/*
 * SPDX-License-Identifier: ISC
 *
 * health - are events taken at the moment, and if not, what is lacking?
 *
 * Pure: looks at a struct spool_gauge, and says it as JSON.
 */
#ifndef ARKEN_HEALTH_H
#define ARKEN_HEALTH_H

#include <stdbool.h>

#include "buf.h"
#include "spool.h"

#define HEALTH_SIZE 2048 /* the JSON is never longer */

/* Would an event be taken, and is what the others count and mark to be seen here? */
bool health_is_well(const struct spool_gauge *g) MUST_CHECK;

/*
 * {"status":"well"} or {"status":"unwell"}; with details also what is lacking ("problems":
 * disk, write, inodes, queue, rejected, sync, counters) and how much of each there is.
 * Nothing about events or clients.
 */
void health_print(struct buf *out, const struct spool_gauge *g, bool details);

#endif
