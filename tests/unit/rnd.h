/*
 * SPDX-License-Identifier: ISC
 *
 * rnd - random input for tests that can be had again: the seed is printed, and
 * ARKEN_TEST_SEED sets it.
 */
#ifndef ARKEN_RND_H
#define ARKEN_RND_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

struct rnd {
	uint64_t state;
};

static inline struct rnd
rnd_new(const char *test)
{
	const char *text = getenv("ARKEN_TEST_SEED");
	struct rnd r;

	if (text != NULL)
		r.state = strtoull(text, NULL, 10);
	else if (getrandom(&r.state, sizeof(r.state), 0) != (ssize_t)sizeof(r.state))
		abort();
	printf("# %s: ARKEN_TEST_SEED=%" PRIu64 "\n", test, r.state);
	return r;
}

/* splitmix64 */
static inline uint64_t
rnd_next(struct rnd *r)
{
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint64_t
rnd_below(struct rnd *r, uint64_t n)
{
	return rnd_next(r) % n;
}

#endif
