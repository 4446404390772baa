/*
 * SPDX-License-Identifier: ISC
 *
 * verdict - what an answer means for the event that asked.
 *
 * Pure: one table for the API, one for the host of a document.
 */
#ifndef ARKEN_VERDICT_H
#define ARKEN_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "http.h"

enum verdict {
	V_OK,     /* go on with the next step */
	V_LATER,  /* this try failed; counted */
	V_DOWN,   /* the target is down: wait, not counted while it stays down */
	V_RENEW,  /* the token was refused */
	V_RELINK, /* the link was refused: ask the API for a new one */
	V_LINK,   /* not the record but a redirect to the document */
	V_OURS,   /* our own disk takes no more: wait, not counted */
	V_GONE,   /* the object is not there any more: done */
	V_NEVER,  /* a person has to look: failed */
};

/*
 * Judge a call back.  age is how long the event is known, milliseconds: soon
 * after an upload a 404 is only early.  text gets one line for people.
 */
enum verdict verdict_api(const struct http_answer *a, int64_t age, char text[ERR_TEXT]);

/* Judge a download, before its content is looked at. */
enum verdict verdict_document(const struct http_answer *a, char text[ERR_TEXT]);

/* Is this errno that of a disk without room, or one that takes no writes? */
bool verdict_no_room(int sys);

const char *verdict_name(enum verdict v);

#endif
