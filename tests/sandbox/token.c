/*
 * SPDX-License-Identifier: ISC
 *
 * token - access tokens that were handed out, until they expire.
 *
 * A token looks like a JWT but is opaque: its signature is made up.
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "crypto.h"
#include "token.h"

const char *
token_make(struct token_set *s, uint64_t seed, const char *audience, long long life_s)
{
	static const char head[] = "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"sandbox\"}";
	uint64_t signature[16], n = s->made++;
	struct buf claims, text;
	size_t i = (size_t)(n % TOKEN_MAX);

	buf_init(&claims, TOKEN_SIZE);
	buf_init(&text, TOKEN_SIZE - 1);
	buf_fmt(&claims, "{\"iss\":\"arken-sandbox\",\"aud\":\"%.100s\",\"jti\":%llu}",
	    audience, (unsigned long long)n);
	base64url(&text, head, sizeof(head) - 1);
	buf_str(&text, ".");
	base64url(&text, claims.p, claims.n);
	buf_str(&text, ".");
	for (n = 0; n < 16; n++)
		signature[n] = draw(seed, 0x746f6b656e + n, s->made);
	base64url(&text, signature, sizeof(signature));
	text_copy(s->t[i].text, sizeof(s->t[i].text), text.p);
	s->t[i].until = clock_ms() + life_s * 1000;
	buf_free(&claims);
	buf_free(&text);
	return s->t[i].text;
}

bool
token_valid(const struct token_set *s, const char *authorization)
{
	size_t n = s->made < TOKEN_MAX ? (size_t)s->made : TOKEN_MAX, i;

	if (authorization == NULL || strncasecmp(authorization, "Bearer ", 7) != 0)
		return false;
	for (i = 0; i < n; i++) {
		if (text_same(s->t[i].text, authorization + 7))
			return clock_ms() < s->t[i].until;
	}
	return false;
}
