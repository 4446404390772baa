/*
 * SPDX-License-Identifier: ISC
 *
 * secret - the secrets of one file; see secret.h.
 */
#include "config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "secret.h"

struct secret_line {
	unsigned line;
	size_t at, n;
};

struct secrets {
	struct secret_line lines[SECRET_LINES];
	size_t count;
	size_t size;
	char text[];
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* A header value is visible ASCII with spaces inside (RFC 9110 section 5.5). */
static bool
is_sendable(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] < 0x20 || p[i] > 0x7e)
			return false;
	}
	return true;
}

static enum rc
add_line(struct secrets *s, unsigned line, size_t at, size_t n, struct err *e)
{
	while (n > 0 && is_blank(s->text[at]))
		at++, n--;
	while (n > 0 && is_blank(s->text[at + n - 1]))
		n--;
	if (n == 0)
		return RC_OK;
	if (s->count == SECRET_LINES)
		return err_set(e, RC_CONFIG, "more than %d secrets", SECRET_LINES);
	if (n < SECRET_MIN || n > SECRET_MAX)
		return err_set(e, RC_CONFIG,
		    "line %u: a secret has %d to %d bytes, this one %zu", line, SECRET_MIN,
		    SECRET_MAX, n);
	if (!is_sendable(s->text + at, n))
		return err_set(
		    e, RC_CONFIG, "line %u: a byte that is not printable ASCII", line);
	s->lines[s->count++] = (struct secret_line){.line = line, .at = at, .n = n};
	return RC_OK;
}

enum rc
secrets_parse(const char *p, size_t n, struct secrets **out, struct err *e)
{
	struct secrets *s = NULL;
	enum rc rc = RC_OK;
	unsigned line = 0;

	*out = NULL;
	if ((s = calloc(1, sizeof(*s) + n + 1)) == NULL)
		return err_sys(e, "calloc", NULL);
	s->size = n;
	if (n > 0)
		memcpy(s->text, p, n);
	for (size_t at = 0; at < n && rc == RC_OK;) {
		const char *end = memchr(s->text + at, '\n', n - at);
		size_t len = end != NULL ? (size_t)(end - s->text) - at : n - at;

		rc = add_line(s, ++line, at, len, e);
		at += len + 1;
	}
	if (rc == RC_OK && s->count == 0)
		rc = err_set(e, RC_CONFIG, "no secret in it");
	if (rc != RC_OK)
		secrets_free(&s);
	*out = s;
	return rc;
}

unsigned
secrets_match(const struct secrets *s, const char *value)
{
	size_t n = strlen(value);
	unsigned found = 0;

	for (size_t i = s->count; i-- > 0;) {
		if (hash_equal(s->text + s->lines[i].at, s->lines[i].n, value, n))
			found = s->lines[i].line;
	}
	return found;
}

void
secrets_free(struct secrets **s)
{
	if (*s == NULL)
		return;
	hash_wipe((*s)->text, (*s)->size);
	free(*s);
	*s = NULL;
}
