/*
 * SPDX-License-Identifier: ISC
 *
 * verified - tokens whose signature was found good; see verified.h.
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "verified.h"

#define WAYS 4 /* rows a digest may be in */

struct verified {
	pthread_mutex_t lock; /* for a comparison and a copy */
	struct verified_token rows[VERIFIED_ROWS];
};

_Static_assert(VERIFIED_ROWS / WAYS <= 256, "two hexadecimal digits choose the rows");

/* The rows of a digest: its first two digits choose them. */
static struct verified_token *
rows_of(struct verified *v, const char *digest)
{
	char two[3] = {digest[0], digest[1], '\0'};

	return &v->rows[strtoul(two, NULL, 16) % (VERIFIED_ROWS / WAYS) * WAYS];
}

static bool
same_token(const struct verified_token *a, const struct verified_token *b)
{
	return a->account == b->account && hash_equal(a->digest, HASH_HEX, b->digest, HASH_HEX);
}

enum rc
verified_new(struct verified **out, struct err *e)
{
	if ((*out = calloc(1, sizeof(**out))) == NULL)
		return err_sys(e, "calloc", NULL);
	(void)pthread_mutex_init(&(*out)->lock, NULL); /* on Linux it does not fail */
	return RC_OK;
}

void
verified_free(struct verified **v)
{
	if (*v == NULL)
		return;
	pthread_mutex_destroy(&(*v)->lock);
	free(*v);
	*v = NULL;
}

bool
verified_find(struct verified *v, struct verified_token *t, int64_t now)
{
	struct verified_token *row = rows_of(v, t->digest);
	bool found = false;

	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; i < WAYS && !found; i++, row++) {
		found = same_token(row, t) && row->keys == t->keys && now >= row->from &&
			now < row->until;
		if (found)
			*t = *row;
	}
	pthread_mutex_unlock(&v->lock);
	return found;
}

void
verified_add(struct verified *v, const struct verified_token *t)
{
	struct verified_token *row = rows_of(v, t->digest), *to = row;

	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; i < WAYS; i++, row++) {
		if (same_token(row, t)) {
			to = row;
			break;
		}
		if (row->until < to->until)
			to = row;
	}
	*to = *t;
	pthread_mutex_unlock(&v->lock);
}
