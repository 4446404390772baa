/*
 * SPDX-License-Identifier: ISC
 *
 * sign - signatures of Standard Webhooks; see sign.h.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sign.h"
#include "str.h"

#define PREFIX "whsec_"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
sign_base64(char *out, const void *p, size_t n)
{
	const unsigned char *b = p;

	for (size_t i = 0; i < n; i += 3) {
		unsigned long v = (unsigned long)b[i] << 16 |
				  (unsigned long)(i + 1 < n ? b[i + 1] : 0) << 8 |
				  (i + 2 < n ? b[i + 2] : 0);

		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
		*out++ = i + 2 < n ? digits[v & 63] : '=';
	}
	*out = '\0';
}

/* The value of a digit, -1: none. */
static int
digit(char c)
{
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* Padded, without foreign characters or left-over bits.  false: not so, or too long. */
static bool
decode(const char *p, size_t n, unsigned char *out, size_t max, size_t *len)
{
	size_t pad = 0;

	if (n == 0 || n % 4 != 0)
		return false;
	while (pad < 2 && p[n - 1 - pad] == '=')
		pad++;
	*len = n / 4 * 3 - pad;
	if (*len > max)
		return false;
	for (size_t i = 0, at = 0; i < n; i += 4) {
		unsigned long v = 0;

		for (size_t k = i; k < i + 4; k++) {
			int d = k < n - pad ? digit(p[k]) : 0;

			if (d < 0)
				return false;
			v = v << 6 | (unsigned long)d;
		}
		for (int shift = 16; shift >= 0; shift -= 8) {
			if (at < *len)
				out[at++] = (unsigned char)(v >> shift);
			else if ((v >> shift & 255) != 0)
				return false;
		}
	}
	return true;
}

static enum rc
add_key(struct sign_keys *out, const char *p, size_t n, unsigned line, struct err *e)
{
	const size_t prefix = sizeof(PREFIX) - 1;
	size_t *len;

	if (out->n == SIGN_KEYS)
		return err_set(
		    e, RC_CONFIG, "line %u: expected at most %d secrets", line, SIGN_KEYS);
	len = &out->key[out->n].n;
	if (n >= prefix && memcmp(p, PREFIX, prefix) == 0) {
		if (!decode(p + prefix, n - prefix, out->key[out->n].p, SIGN_KEY_MAX, len))
			return err_set(e, RC_CONFIG,
			    "line %u: expected base64 after \"" PREFIX
			    "\", found something else",
			    line);
	} else if (n <= SIGN_KEY_MAX) {
		memcpy(out->key[out->n].p, p, n);
		*len = n;
	} else {
		return err_set(e, RC_CONFIG, "line %u: expected a secret of at most %d bytes",
		    line, SIGN_KEY_MAX);
	}
	if (*len < SIGN_KEY_MIN)
		return err_set(e, RC_CONFIG,
		    "line %u: expected a secret of at least %d bytes, found %zu", line,
		    SIGN_KEY_MIN, *len);
	out->n++;
	return RC_OK;
}

enum rc
sign_read(const char *text, size_t n, struct sign_keys *out, struct err *e)
{
	const char *end = text + n;
	enum rc rc = RC_OK;

	out->n = 0;
	for (unsigned line = 1; text < end && rc == RC_OK; line++) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t k = (size_t)((nl != NULL ? nl : end) - text);
		const char *next = text + k + (nl != NULL);

		while (
		    k > 0 && (text[k - 1] == '\r' || text[k - 1] == ' ' || text[k - 1] == '\t'))
			k--;
		if (k > 0)
			rc = add_key(out, text, k, line, e);
		text = next;
	}
	if (rc == RC_OK && out->n == 0)
		rc = err_set(e, RC_CONFIG, "expected a secret, found none");
	if (rc != RC_OK)
		sign_wipe(out);
	return rc;
}

void
sign_wipe(struct sign_keys *keys)
{
	hash_wipe(keys, sizeof(*keys));
}

void
sign_begin(struct buf *out, const char *id, int64_t seconds)
{
	buf_fmt(out, "%s.%" PRId64 ".", id, seconds);
}

enum rc
sign_make(const struct sign_keys *keys, const char *message, size_t n, char out[SIGN_TEXT],
    struct err *e)
{
	unsigned char mac[HASH_MAC];
	char text[SIGN_BASE64(HASH_MAC)];
	size_t at = 0;
	enum rc rc;

	out[0] = '\0';
	for (size_t i = 0; i < keys->n; i++) {
		rc = hash_hmac(keys->key[i].p, keys->key[i].n, message, n, mac, e);
		if (rc != RC_OK)
			return rc;
		sign_base64(text, mac, sizeof(mac));
		at += (size_t)snprintf(
		    out + at, SIGN_TEXT - at, "%sv1,%s", i > 0 ? " " : "", text);
	}
	return RC_OK;
}
