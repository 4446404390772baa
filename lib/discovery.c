/*
 * SPDX-License-Identifier: ISC
 *
 * discovery - what an OpenID Connect issuer says about itself; see discovery.h.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "discovery.h"
#include "json.h"
#include "str.h"

#define WELL_KNOWN "/.well-known/openid-configuration"
#define CUT "..."

enum rc
discovery_url(const char *issuer, char out[DISCOVERY_URL], struct err *e)
{
	size_t n = strlen(issuer);

	if (n > 0 && issuer[n - 1] == '/')
		n--;
	if (n + sizeof(WELL_KNOWN) > DISCOVERY_URL) {
		out[0] = '\0';
		return err_set(e, RC_CONFIG, "the issuer's URL is too long");
	}
	(void)snprintf(out, DISCOVERY_URL, "%.*s" WELL_KNOWN, (int)n, issuer);
	return RC_OK;
}

static enum rc
read_document(
    const struct json *doc, const char *issuer, char out[DISCOVERY_URL], struct err *e)
{
	const char *said = json_string(json_get(doc, "issuer"));
	const char *url = json_string(json_get(doc, "jwks_uri"));
	char shown[160];

	if (said == NULL)
		return err_set(e, RC_BAD, "the discovery document has no issuer");
	if (!str_eq(said, issuer))
		return err_set(e, RC_BAD, "the discovery document is of the issuer %s",
		    str_escape(shown, sizeof(shown), said, strlen(said)));
	if (url == NULL)
		return err_set(e, RC_BAD, "the discovery document has no jwks_uri");
	if (!conf_url_ok(url) ||
	    (str_begins(issuer, "https://") && !str_begins(url, "https://")))
		return err_set(e, RC_BAD, "jwks_uri is no https URL: %s",
		    str_escape(shown, sizeof(shown), url, strlen(url)));
	if (!str_copy(out, DISCOVERY_URL, url))
		return err_set(e, RC_BAD, "jwks_uri is too long");
	return RC_OK;
}

enum rc
discovery_read(
    const char *body, size_t n, const char *issuer, char out[DISCOVERY_URL], struct err *e)
{
	struct json *doc;
	enum rc rc;

	out[0] = '\0';
	if ((rc = json_parse(body, n, &doc, e)) != RC_OK) {
		err_prefix(e, "the discovery document");
		return rc;
	}
	rc = read_document(doc, issuer, out, e);
	json_free(&doc);
	return rc;
}

/* The first keys of a set by their ids; returns how many. */
static size_t
ids_of(const struct json *doc, const char *ids[DISCOVERY_KEYS])
{
	const struct json *key = json_first(json_get(doc, "keys"));
	size_t n = 0;

	for (; key != NULL && n < DISCOVERY_KEYS; key = json_next(key)) {
		const char *id = json_string(json_get(key, "kid"));

		ids[n++] = id != NULL ? id : "-";
	}
	return n;
}

/* One more id; false: the line is full. */
static bool
put_id(struct buf *out, const char *id)
{
	size_t n = strlen(id), shown = n > DISCOVERY_KID ? DISCOVERY_KID : n;

	if (out->n + shown + sizeof(" " CUT " " CUT) > DISCOVERY_TEXT) {
		buf_str(out, out->n > 0 ? " " CUT : CUT);
		return false;
	}
	if (out->n > 0)
		buf_str(out, " ");
	buf_add(out, id, shown);
	if (shown < n)
		buf_str(out, CUT);
	return true;
}

void
discovery_extra(const char *set, size_t n, const char *other, size_t m, struct buf *out)
{
	const char *mine[DISCOVERY_KEYS], *theirs[DISCOVERY_KEYS];
	struct json *a = NULL, *b = NULL;
	size_t na, nb;

	if (set == NULL || json_parse(set, n, &a, NULL) != RC_OK)
		return;
	if (other != NULL && json_parse(other, m, &b, NULL) != RC_OK)
		b = NULL;
	na = ids_of(a, mine);
	nb = ids_of(b, theirs);
	for (size_t i = 0; i < na; i++) {
		size_t k = 0;

		while (k < nb && !str_eq(mine[i], theirs[k]))
			k++;
		if (k == nb && !put_id(out, mine[i]))
			break;
	}
	json_free(&a);
	json_free(&b);
}
