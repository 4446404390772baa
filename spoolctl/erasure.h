/*
 * SPDX-License-Identifier: ISC
 *
 * erasure - what there is of a client: events, objects in the store, lines of the log.
 *
 * What was found is kept in state/erase until all of it is gone: half erased, what is left
 * could no longer be told from what is somebody else's.
 */
#ifndef ARKEN_ERASURE_H
#define ARKEN_ERASURE_H

#include <stdbool.h>
#include <stddef.h>

#include "conf.h"
#include "err.h"
#include "spool.h"
#include "store.h"

#define ERASURE_DIR "erase" /* below the daemon's state: plans and receipts */
#define ERASURE_MAX 1000000 /* names of one kind */

struct words { /* texts, each once, in order after words_sort */
	char **at;
	size_t n, cap, sorted; /* the first so many are in order */
};

struct erasure {
	const char *client, *account; /* account NULL: any */
	struct spool *spool;
	struct store *store;          /* NULL: there is none */
	struct words events, objects; /* names; "ACCOUNT/CATEGORY/FOLDER" */
	struct words documents;       /* folders of the client's documents */
	char plan[48];                /* its file in ERASURE_DIR */
};

/* The caller ends it with erasure_free, whatever comes back. */
enum rc erasure_init(struct erasure *x, struct spool *sp, struct store *st, const char *client,
    const char *account, struct err *e) MUST_CHECK;
void erasure_free(struct erasure *x);

/* What was found before by a run that was not finished. */
enum rc erasure_load(struct erasure *x, int dir, struct err *e) MUST_CHECK;

/* What there is now, added to it.  An event that was erased already is not found. */
enum rc erasure_find(struct erasure *x, struct err *e) MUST_CHECK;

enum rc erasure_save(struct erasure *x, int dir, struct err *e) MUST_CHECK;

/* Is all of it gone, and has nothing come meanwhile?  RC_LATER: no. */
enum rc erasure_left(const struct erasure *x, struct err *e) MUST_CHECK;

/* Is a line of the log about one of the events, or does it name the client or a document? */
bool erasure_has_line(const char *line, void *arg);

/* Does a text name the client or one of the documents? */
bool erasure_in(const struct erasure *x, const char *p, size_t n) MUST_CHECK;

/* Is the word in the text, with neither letter, digit, - nor _ beside it? */
bool erasure_mentions(const char *p, size_t n, const char *word) MUST_CHECK;

#endif
