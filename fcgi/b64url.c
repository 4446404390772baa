/*
 * SPDX-License-Identifier: ISC
 *
 * b64url - base64url without padding; see b64url.h.
 */
#include "config.h"

#include "b64url.h"

#define NO_DIGIT 64U

static unsigned
digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (unsigned)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (unsigned)(c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0') + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : NO_DIGIT;
}

bool
b64url_decode(const char *p, size_t n, unsigned char *out, size_t size, size_t *len)
{
	unsigned held = 0, bits = 0;
	size_t at = 0;

	*len = 0;
	if (n % 4 == 1)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned d = digit(p[i]);

		if (d == NO_DIGIT)
			return false;
		held = held << 6 | d;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		if (at == size)
			return false;
		out[at++] = (unsigned char)(held >> bits);
		held &= (1U << bits) - 1;
	}
	if (held != 0)
		return false;
	*len = at;
	return true;
}
