/*
 * SPDX-License-Identifier: ISC
 *
 * subs - the account's one subscription: where events go, with which proof.
 *
 * Secrets go in and never come out.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "json.h"
#include "subs.h"

static bool
url_valid(const char *url)
{
	return (strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0) &&
	       strpbrk(url, " \r\n\t") == NULL;
}

static bool
header_valid(const char *name)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				  "0123456789-";

	return name[0] != '\0' && strspn(name, set) == strlen(name);
}

static bool
secret_valid(const char *secret)
{
	return secret[0] != '\0' && strpbrk(secret, "\r\n") == NULL;
}

static const char *
check(const struct subs *s)
{
	if (!url_valid(s->url))
		return "callbackUrl must be an http or https URL";
	if (s->header[0] == '\0' && s->auth_url[0] == '\0')
		return "secretHeader or openIdConnect is required";
	if (s->header[0] != '\0' && (!header_valid(s->header) || !secret_valid(s->secret)))
		return "secretHeader must have a name of [A-Za-z0-9-] and a value";
	if (s->auth_url[0] != '\0' &&
	    (!url_valid(s->auth_url) || s->client_id[0] == '\0' || s->client_secret[0] == '\0'))
		return "openIdConnect must have authUrl, clientId and clientSecret";
	return NULL;
}

bool
subs_read(
    struct subs *s, const char *json, size_t n, const char *account, char *why, size_t size)
{
	struct json *j = json_parse(json, n);
	const struct json *in;
	const char *wrong;
	struct subs t;
	char hash[HASH_MAX + 1];

	if (j == NULL) {
		snprintf(why, size, "body must be a JSON object");
		return false;
	}
	memset(&t, 0, sizeof(t));
	json_text(j, "accountHashId", hash, sizeof(hash));
	json_text(j, "callbackUrl", t.url, sizeof(t.url));
	json_text(j, "callbackVersion", t.version, sizeof(t.version));
	in = json_object(j, "secretHeader");
	json_text(in, "name", t.header, sizeof(t.header));
	json_text(in, "value", t.secret, sizeof(t.secret));
	in = json_object(j, "openIdConnect");
	json_text(in, "authUrl", t.auth_url, sizeof(t.auth_url));
	json_text(in, "clientId", t.client_id, sizeof(t.client_id));
	json_text(in, "clientSecret", t.client_secret, sizeof(t.client_secret));
	json_text(in, "audience", t.audience, sizeof(t.audience));
	json_free(&j);
	wrong = strcmp(hash, account) != 0 ? "unknown accountHashId" : check(&t);
	if (wrong != NULL) {
		snprintf(why, size, "%s", wrong);
		return false;
	}
	t.there = true;
	t.revision = s->revision + 1;
	*s = t;
	return true;
}

bool
subs_load(struct subs *s, const char *url, const char *header, const char *file, char *why,
    size_t size)
{
	const char *wrong;
	struct subs t;
	FILE *f;

	memset(&t, 0, sizeof(t));
	text_copy(t.url, sizeof(t.url), url);
	text_copy(t.header, sizeof(t.header), header);
	if ((f = fopen(file, "re")) == NULL) {
		snprintf(why, size, "fopen(%.200s) failed: %s", file, strerror(errno));
		return false;
	}
	if (fgets(t.secret, sizeof(t.secret), f) != NULL)
		t.secret[strcspn(t.secret, "\r\n")] = '\0';
	fclose(f);
	if ((wrong = check(&t)) != NULL) {
		snprintf(why, size, "%s", wrong);
		return false;
	}
	t.there = true;
	t.revision = 1;
	*s = t;
	return true;
}

void
subs_json(const struct subs *s, const char *account, struct buf *out)
{
	buf_str(out, "{\"accountHashId\":");
	buf_json(out, account);
	buf_str(out, ",\"callbackUrl\":");
	buf_json(out, s->url);
	buf_str(out, ",\"callbackVersion\":");
	buf_json(out, s->version[0] != '\0' ? s->version : NULL);
	buf_str(out, ",\"secretHeader\":");
	if (s->header[0] != '\0') {
		buf_str(out, "{\"name\":");
		buf_json(out, s->header);
		buf_str(out, "}");
	} else {
		buf_json(out, NULL);
	}
	buf_str(out, ",\"openIdConnect\":");
	if (s->auth_url[0] != '\0') {
		buf_str(out, "{\"authUrl\":");
		buf_json(out, s->auth_url);
		buf_str(out, ",\"clientId\":");
		buf_json(out, s->client_id);
		buf_str(out, "}");
	} else {
		buf_json(out, NULL);
	}
	buf_str(out, "}");
}
