/*
 * SPDX-License-Identifier: ISC
 *
 * handed - what is handed over, and what can come of it, whichever way it goes.
 */
#ifndef ARKEN_HANDED_H
#define ARKEN_HANDED_H

#include <stdbool.h>
#include <stdint.h>

#include "event.h"
#include "rec.h"
#include "retry.h"
#include "store.h"

#define HANDED_TEXT RETRY_TEXT
#define HAND_PATH 4096 /* of a file in the store */

/* What came of one way of handing over. */
enum handed {
	HANDED_DONE,    /* it has it */
	HANDED_LATER,   /* this try failed; counted */
	HANDED_DOWN,    /* cannot be reached: counted only if it was well before */
	HANDED_REFUSED, /* says itself that it is down: left alone at once, uncounted */
	HANDED_NEVER,   /* will never take this event: failed */
	HANDED_CONFIG,  /* something has to be mended first: paused until then, uncounted */
	HANDED_OURS,    /* our side could not: soon again, uncounted */
	HANDED_STOPPED, /* the daemon ends: as if it had not been tried */
};

/* One event with what the store has of its object; the texts are the event's try's own. */
struct hand {
	const struct rec *rec;
	const struct event *ev;
	const char *name, *key, *account, *store; /* store: the folder of all */
	const char *object;                       /* what it is about (api_object) */
	unsigned attempt;                         /* 1: the first */
	bool has_record, has_document, deleted;
	struct store_meta meta; /* of the document */
	char folder[HAND_PATH]; /* of the object */
	char record[HAND_PATH], document[HAND_PATH], description[HAND_PATH];
	char tombstone[HAND_PATH];
};

#endif
