/*
 * SPDX-License-Identifier: ISC
 *
 * token - access tokens that were handed out, until they expire.
 */
#ifndef SANDBOX_TOKEN_H
#define SANDBOX_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

#define TOKEN_MAX 1024 /* remembered; the oldest goes first */
#define TOKEN_SIZE 640

struct token_set {
	uint64_t made;
	struct {
		char text[TOKEN_SIZE];
		int64_t until; /* monotonic, ms */
	} t[TOKEN_MAX];
};

/* A new one, looking like a JWT; borrowed until the set wraps around. */
const char *token_make(
    struct token_set *s, uint64_t seed, const char *audience, long long life_s);
/* Is the value of an Authorization header (may be NULL) a bearer token of ours? */
bool token_valid(const struct token_set *s, const char *authorization);

#endif
