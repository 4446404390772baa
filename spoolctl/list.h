/*
 * SPDX-License-Identifier: ISC
 *
 * list - many events at once: the oldest ones, each with an ID as short as it may be.
 */
#ifndef ARKEN_LIST_H
#define ARKEN_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl.h"
#include "err.h"
#include "filter.h"
#include "spool.h"
#include "view.h"

#define LIST_MAX 100000 /* events kept in memory: the oldest of those asked for */
#define LIST_ID 8       /* an ID is not shortened below this */

struct entry {
	char *name;
	char *text; /* view_reason */
	char *reason, *subject;
	int64_t received, since, due;
	enum spool_box box;
	enum state state;
	unsigned tries;
	size_t key_at, key_len; /* the key inside name */
	size_t need;            /* characters of the key that make it unlike any other */
	bool shared;            /* another event has the same key: only the name is unique */
};

struct list {
	struct entry *at;
	size_t n, cap;
	uint64_t left_out; /* younger ones that found no room */
	uint64_t foreign;  /* under flags that are not ours, until spoold puts them back */
};

struct list_wish { /* what is asked for */
	bool state[STATES];
	struct filter filter;
};

/* Read what is asked for, sorted, the oldest first; the caller owns l (list_free). */
enum rc list_read(struct spool *sp, const struct list_wish *wish, int64_t now, struct list *l,
    struct err *e) MUST_CHECK;
void list_free(struct list *l);

/* From the arguments after the options: which states; none are all but done.  EX_OK, or
 * reported. */
int list_states(const struct ctl *c, int argc, char **argv, struct list_wish *wish) MUST_CHECK;

/* The ID of an entry: where it begins in its name, and its length. */
const char *list_id(const struct entry *en, size_t *n);

#endif
