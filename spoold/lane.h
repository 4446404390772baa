/*
 * SPDX-License-Identifier: ISC
 *
 * lane - how many documents at once, in all and from one host, and which one is next.
 *
 * A link ends at a time of its own, so it is asked for only when there is a
 * place for the download, and of those that wait the one goes first whose link ends first.
 */
#ifndef ARKEN_LANE_H
#define ARKEN_LANE_H

#include <stdbool.h>
#include <stdint.h>

struct daemon;
struct job;
struct work;

struct lanes {
	unsigned running; /* tries that are about a document */
	unsigned waiting; /* of these, for a place at their host */
	struct job
	    *first; /* put aside, those with a link by its end, then the others as they came */
	struct job *last;
	bool linked;       /* an event may wait for its next try with a link */
	int64_t next_look; /* monotonic clock */
};

/*
 * May this job's try begin?  false: all places are taken, the job was put aside and comes back
 * by itself.  A job that is not about a document always may.
 */
bool lane_enter(struct daemon *d, struct job *job);

/* The try ended, whatever it came to (also one that never entered). */
void lane_leave(struct work *w);

/* A place at w->fetch.host?  false: w waits, document_go is called when there is one. */
bool lane_at_host(struct work *w);

/* The bytes have come, or will not: the place at the host is free. */
void lane_off_host(struct work *w);

/* Let go on what may.  Called by the loop before it starts what is due. */
void lane_tick(struct daemon *d);

/* A job waits for its next try with a link. */
void lane_linked(struct daemon *d);

#endif
