/*
 * SPDX-License-Identifier: ISC
 *
 * metrics - counts and gauges as Prometheus reads them (text format 0.0.4).
 *
 * Pure.  Every name begins with arkenspool_, every family has its HELP and
 * TYPE, and no label holds anything that came from a peer.
 */
#ifndef ARKEN_METRICS_H
#define ARKEN_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "count.h"
#include "spool.h"

#define METRICS_SIZE 65536 /* the text is never longer */
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics {
	const struct counts *counts;
	struct spool_gauge gauge;
	bool well;
	bool listed[SPOOL_BOXES]; /* files says how many lie there */
	uint64_t files[SPOOL_BOXES];
};

void metrics_print(struct buf *out, const struct metrics *m);

#endif
