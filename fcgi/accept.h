/*
 * SPDX-License-Identifier: ISC
 *
 * accept - the body of an authenticated request becomes events in the spool.
 *
 * REPLY_ACCEPTED means every event in it is durable.  What is no event, or is
 * for another account, is kept in rejected.  Nothing here knows how the
 * request came or how the answer leaves.
 */
#ifndef ARKEN_ACCEPT_H
#define ARKEN_ACCEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "budget.h"
#include "clk.h"
#include "conf.h"
#include "err.h"
#include "event.h"
#include "name.h"
#include "reply.h"
#include "spool.h"

#define ACCEPT_EVENTS 1000           /* elements of an array */
#define ACCEPT_WAIT (2 * CLK_SECOND) /* for memory to parse in, at most */

struct delivery { /* where a body comes from; all borrowed */
	const struct conf_account *account;
	const char *auth;   /* which credential verified it */
	const char *remote; /* the peer's address */
	int64_t now;        /* clk_wall of its arrival */
};

struct accepted {         /* one event of a body */
	const char *body; /* its bytes in the body */
	size_t n;
	char name[NAME_SIZE];
	char key[NAME_KEY];
	char subject[EVENT_SUBJECT];
	bool duplicate;
};

struct outcome {
	struct accepted *events; /* owned */
	size_t count;
	size_t fresh; /* of these, how many were not duplicates */
	bool is_array;
	const char *fault;        /* why it is to be rejected, as the type of its name; NULL */
	char rejected[NAME_SIZE]; /* the name in rejected, "" none */
	struct err why;           /* of anything but REPLY_ACCEPTED */
};

/*
 * Parse all, then keep all.  Counts and the spool's log are written as each
 * thing happens.  After REPLY_UNAVAILABLE some events of an array may be kept; the sender's
 * repeat finds them.  trees bounds the memory of parsed JSON; out is to be closed.
 */
enum reply accept_body(struct spool *sp, struct budget *trees, const struct delivery *d,
    const char *p, size_t n, struct outcome *out) MUST_CHECK;

void outcome_close(struct outcome *out);

/* Memory that the parsed form of this text takes at most, its tree and its texts. */
size_t accept_tree_cost(const char *p, size_t n);

#endif
