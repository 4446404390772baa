/*
 * SPDX-License-Identifier: ISC
 *
 * body - the body of a request: kept, within limits, or read and discarded.
 *
 * All bodies that are kept at one time are counted against one budget.
 * Nothing is decided here, and nothing written to disk.
 */
#ifndef ARKEN_BODY_H
#define ARKEN_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "budget.h"
#include "buf.h"
#include "clk.h"
#include "gate.h"
#include "request.h"

#define BODY_FIRST 65536 /* memory for a body of unknown length, doubled as it grows */
#define BODY_CHUNK 16384 /* bytes discarded at a time */
#define BODY_WAIT (2 * CLK_SECOND)  /* for a share of the budget, at most */
#define BODY_TIME (60 * CLK_SECOND) /* for a whole body, at most; then it counts as short */

enum body_end {
	BODY_OK,      /* all of it is there, and the stream has ended */
	BODY_SHORT,   /* the stream ended, broke or stalled before that */
	BODY_LONG,    /* over the limit */
	BODY_MORE,    /* longer than announced */
	BODY_NO_ROOM, /* no share of the budget to be had */
};

struct body {
	struct buf text;
	struct budget *budget;
	size_t held; /* of the budget */
	bool at_end; /* the stream was read to its end, or is broken: nothing to discard */
};

/*
 * Read the body of rq, at most max bytes.  Whatever comes back, out is to be
 * closed with body_close; its text is complete only after BODY_OK.
 */
enum body_end body_read(struct exchange *x, const struct request *rq, uint64_t max,
    struct budget *budget, struct body *out) MUST_CHECK;

/* Give memory and budget back. */
void body_close(struct body *b);

/*
 * Read and forget what is left, at most max bytes.  true: the stream has
 * ended and the connection can carry another request.
 */
bool body_discard(struct exchange *x, uint64_t max) MUST_CHECK;

#endif
