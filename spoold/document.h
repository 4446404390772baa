/*
 * SPDX-License-Identifier: ISC
 *
 * document - the step that brings a document into the store: download, check, commit.
 *
 * The link is in w->link; like every step it ends in the next one or in a
 * verdict.  A link that is refused leads back to the callback, a few times.
 */
#ifndef ARKEN_DOCUMENT_H
#define ARKEN_DOCUMENT_H

#include <stdbool.h>

#include "work.h"

/* Download from w->link. */
void document_start(struct work *w);

/* The answer to the call back is the document itself, not its details. */
void document_bytes(struct work *w, const struct http_answer *a);

/* Begin with the link that a try before this one left, if that is still good.  false: none. */
bool document_resume(struct work *w);

/* A Download event, ours perhaps, about a document that is in the store already? */
bool document_had(struct work *w);

#endif
