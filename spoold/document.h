/*
 * SPDX-License-Identifier: ISC
 *
 * document - the step that brings a document into the store: download, check, commit.
 *
 * The link is in w->link; like every step it ends in the next one or in a
 * verdict.  A link that is refused leads back to the callback, a few times.  What breaks off is
 * gone on with, in this try, the next or the next process, if it is provably the same.
 */
#ifndef ARKEN_DOCUMENT_H
#define ARKEN_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "work.h"

/* Download from w->link. */
void document_start(struct work *w);

/* From lane: there is a place at the host now. */
void document_go(struct work *w);

/*
 * The call back of this event may be answered by the document itself: a request that lets it go
 * to a file.
 */
void document_expect(struct work *w, struct http_request *rq);

/* It was: the bytes are in w->doc (a->to_file) or in memory. */
void document_bytes(struct work *w, const struct http_answer *a);

/* Begin with the link that a try before this one left, if that is still good.  false: none. */
bool document_resume(struct work *w);

/*
 * A Download event, ours perhaps, that tells nothing new about the document in the store?  If
 * it may, the host is asked for another one only (w->fetch.known).
 */
bool document_had(struct work *w);

/* A clean stop: the network is let go of, what came is put aside. */
void document_stop(struct work *w);

/* ---- for people ---- */

struct document_progress {
	char event[NAME_SIZE];
	char host[256];
	uint64_t got, all; /* bytes; all 0: not known */
	int64_t since;     /* milliseconds that the try has taken */
	int64_t link_end;  /* wall clock, 0: it does not say */
	bool waiting;      /* for a place at its host */
};

/* What is being downloaded, at most max of them; returns how many out holds. */
size_t document_progress(const struct daemon *d, struct document_progress *out, size_t max);

#endif
