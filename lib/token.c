/*
 * SPDX-License-Identifier: ISC
 *
 * token - one bearer token an account, on disk; see token.h.
 *
 * The file ACCOUNT holds the token, when it was fetched and until when it is valid, when one
 * was dropped because the API refused it, and a fingerprint of the settings it was asked for
 * with.  A file that is not as it should be counts as none: a new token mends it.
 */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hash.h"
#include "io.h"
#include "json.h"
#include "str.h"
#include "token.h"

#define FILE_MAX (2 * TOKEN_MAX + 1024) /* each character may be escaped */
#define LIFE_MAX (30 * CLK_DAY)         /* a longer life is not believed */
#define LIFE_UNSAID CLK_HOUR            /* RFC 6749 leaves it to us; one hour is usual */
#define NO_TOKEN "-"                    /* of a life of no length: it is never given out */
#define CODE_MAX 64                     /* an error code that is shown, with its NUL */

struct kept { /* what the file says */
	struct buf token;
	int64_t expires, fetched;
	int64_t dropped; /* when the API refused one, 0: never */
	char fingerprint[HASH_HEX];
};

static const char *
audience(const struct conf_account *a)
{
	return a->token_audience != NULL ? a->token_audience : a->api;
}

/* A token is one word of a header (RFC 6750 section 2.1). */
static bool
is_token(const char *text)
{
	size_t n = 0;

	for (; text[n] != '\0'; n++)
		if (n == TOKEN_MAX || text[n] <= ' ' || text[n] >= 0x7f)
			return false;
	return n > 0;
}

static enum rc
fingerprint(const struct conf_account *a, char out[HASH_HEX], struct err *e)
{
	struct buf text = BUF_INIT(CONF_FILE_MAX);
	enum rc rc;

	buf_fmt(&text, "%s\n%s\n%s", a->token_url, a->client_id, audience(a));
	if ((rc = buf_state(&text, e)) == RC_OK)
		rc = hash_sha256(text.p, text.n, out, e);
	buf_free(&text);
	return rc;
}

/* A string that was secret, in a document that is about to be freed. */
static void
wipe_string(const struct json *v)
{
	const char *text = json_string(v);

	if (text != NULL)
		hash_wipe((char *)(uintptr_t)text, strlen(text));
}

static enum rc
read_kept(const struct json *doc, struct kept *k, struct err *e)
{
	const char *token = json_string(json_get(doc, "access_token"));
	const char *print = json_string(json_get(doc, "fingerprint"));

	if (token == NULL || !is_token(token) || print == NULL ||
	    !str_copy(k->fingerprint, sizeof(k->fingerprint), print) ||
	    !json_int(json_get(doc, "expires"), 0, INT64_MAX, &k->expires) ||
	    !json_int(json_get(doc, "fetched"), 0, INT64_MAX, &k->fetched))
		return err_set(e, RC_GONE, "the token's file is damaged");
	if (!json_int(json_get(doc, "dropped"), 0, INT64_MAX, &k->dropped))
		k->dropped = 0;
	buf_str(&k->token, token);
	return buf_state(&k->token, e) == RC_OK ? RC_OK : RC_LATER;
}

/* RC_GONE: no file, or none that can be understood.  k->token is to be wiped in any case. */
static enum rc
kept_read(int dir, const char *name, struct kept *k, struct err *e)
{
	struct buf text = BUF_SECRET(FILE_MAX);
	struct json *doc = NULL;
	enum rc rc;

	*k = (struct kept){.token = BUF_SECRET(TOKEN_MAX)};
	if ((rc = io_read_file(dir, name, &text, e)) == RC_FULL)
		rc = err_set(e, RC_GONE, "the token's file is too long");
	if (rc != RC_OK)
		goto out;
	if ((rc = json_parse(buf_text(&text), text.n, &doc, e)) == RC_BAD)
		rc = err_set(e, RC_GONE, "the token's file is damaged");
	if (rc != RC_OK)
		goto out;
	rc = read_kept(doc, k, e);
	wipe_string(json_get(doc, "access_token"));
out:
	json_free(&doc);
	buf_wipe(&text);
	return rc;
}

/* Is there enough left of its life? */
static bool
still_good(const struct kept *k, int64_t now)
{
	int64_t life = k->expires - k->fetched; /* neither is negative */
	int64_t early = life / 2 < TOKEN_EARLY ? life / 2 : TOKEN_EARLY;

	/* Fetched in the future: the clock was set back, and the end means nothing. */
	return life > 0 && life <= LIFE_MAX && k->fetched <= now && now < k->expires - early;
}

enum rc
token_load(int dir, const struct conf_account *a, int64_t now, struct buf *out, struct err *e)
{
	char print[HASH_HEX];
	struct kept k = {.token = BUF_SECRET(TOKEN_MAX)};
	enum rc rc;

	if ((rc = conf_account_complete(a, e)) != RC_OK ||
	    (rc = fingerprint(a, print, e)) != RC_OK ||
	    (rc = kept_read(dir, a->name, &k, e)) != RC_OK)
		goto out;
	if (!str_eq(print, k.fingerprint))
		rc = err_set(e, RC_GONE, "the token is of other settings");
	else if (!still_good(&k, now))
		rc = err_set(e, RC_GONE, "the token has expired or is about to");
	else if (buf_room(out, k.token.n) != RC_OK)
		rc = buf_state(out, e);
	else
		buf_add(out, k.token.p, k.token.n);
out:
	buf_wipe(&k.token);
	return rc;
}

void
token_times(int dir, const struct conf_account *a, int64_t *fetched, int64_t *expires)
{
	struct kept k;
	bool good = kept_read(dir, a->name, &k, NULL) == RC_OK;

	*fetched = good ? k.fetched : 0;
	*expires = good ? k.expires : 0;
	buf_wipe(&k.token);
}

enum rc
token_lock(int dir, const struct conf_account *a, int *lock, struct err *e)
{
	char name[64];
	enum rc rc;

	*lock = -1;
	if ((size_t)snprintf(name, sizeof(name), "%s.lock", a->name) >= sizeof(name))
		return err_set(e, RC_CONFIG, "%.100s: the account's name is too long", a->name);
	/* The file is never removed, so its name always leads to the one that is locked. */
	if ((rc = io_create(dir, name, 0600, lock, e)) == RC_EXISTS)
		rc = io_open(dir, name, lock, e);
	if (rc != RC_OK)
		return rc;
	if ((rc = io_lock(*lock, e)) != RC_OK)
		io_close(lock);
	return rc;
}

/* The client's secret: one line, whose end is not part of it. */
static enum rc
read_secret(const struct conf_account *a, struct buf *secret, struct err *e)
{
	enum rc rc;

	rc = conf_secret(a->client_secret_file, secret, e);
	if (rc == RC_GONE || rc == RC_DENIED)
		return RC_CONFIG; /* the account's fault, not the token's */
	if (rc != RC_OK)
		return rc;
	while (secret->n > 0 && strchr("\r\n", secret->p[secret->n - 1]) != NULL)
		secret->p[--secret->n] = '\0';
	if (!str_utf8(secret->p, secret->n))
		return err_set(e, RC_CONFIG, "%.200s: not UTF-8", a->client_secret_file);
	for (size_t i = 0; i < secret->n; i++)
		if ((unsigned char)secret->p[i] < 0x20 || secret->p[i] == 0x7f)
			return err_set(e, RC_CONFIG, "%.200s: expected one line of text",
			    a->client_secret_file);
	return RC_OK;
}

enum rc
token_request(const struct conf_account *a, struct buf *out, struct err *e)
{
	struct buf secret = BUF_SECRET(CONF_FILE_MAX);
	size_t before = out->n;
	enum rc rc;

	if ((rc = conf_account_complete(a, e)) != RC_OK ||
	    (rc = read_secret(a, &secret, e)) != RC_OK)
		goto out;
	buf_str(out, "{\"client_id\":");
	buf_json(out, a->client_id);
	buf_str(out, ",\"client_secret\":");
	buf_json(out, buf_text(&secret));
	buf_str(out, ",\"audience\":");
	buf_json(out, audience(a));
	buf_str(out, ",\"grant_type\":\"client_credentials\"}");
	if ((rc = buf_state(out, e)) != RC_OK && out->n > before) {
		hash_wipe(out->p + before, out->n - before);
		out->n = before;
	}
out:
	buf_wipe(&secret);
	return rc;
}

/* expires_in: a number, or digits in a string; anything else is as if it were not there. */
static int64_t
life_of(const struct json *v)
{
	const char *text = json_text(v);
	uint64_t s;

	if (text == NULL || text[0] == '\0' || text[strspn(text, "0")] == '\0' ||
	    text[strspn(text, "0123456789")] != '\0')
		return LIFE_UNSAID;
	if (!str_u64(text, 1, LIFE_MAX / CLK_SECOND, &s))
		return LIFE_MAX;
	return (int64_t)s * CLK_SECOND;
}

static enum rc
keep(int dir, const struct conf_account *a, int64_t now, const char *token, int64_t life,
    int64_t dropped, struct err *e)
{
	struct buf text = BUF_SECRET(FILE_MAX);
	char print[HASH_HEX];
	enum rc rc;

	if ((rc = fingerprint(a, print, e)) != RC_OK)
		return rc;
	buf_str(&text, "{\"access_token\":");
	buf_json(&text, token);
	buf_fmt(&text, ",\"expires\":%" PRId64 ",\"fetched\":%" PRId64, now + life, now);
	buf_fmt(&text, ",\"dropped\":%" PRId64 ",\"fingerprint\":\"%s\"}\n", dropped, print);
	if ((rc = buf_state(&text, e)) == RC_OK)
		rc = io_replace(dir, a->name, 0600, text.p, text.n, e);
	buf_wipe(&text);
	return rc;
}

/* A 2xx: RFC 6749 section 5.1. */
static enum rc
take_answer(
    int dir, const struct conf_account *a, int64_t now, const struct json *doc, struct err *e)
{
	const struct json *type = json_get(doc, "token_type");
	const char *token = json_string(json_get(doc, "access_token"));
	struct kept old;

	if (token == NULL || !is_token(token))
		return err_set(e, RC_LATER, "the token's answer has no usable access_token");
	if (json_type(type) != JSON_NULL &&
	    (json_string(type) == NULL || !str_eq_nocase(json_string(type), "bearer")))
		return err_set(e, RC_LATER, "the token's type is not Bearer");
	/* What was there before tells when one was dropped. */
	if (kept_read(dir, a->name, &old, e) != RC_OK)
		old.dropped = 0;
	buf_wipe(&old.token);
	return keep(dir, a, now, token, life_of(json_get(doc, "expires_in")), old.dropped, e);
}

/* RFC 6749 section 5.2; the description is left out, it may repeat what we sent. */
static enum rc
refusal(const struct conf_account *a, int status, const struct json *doc, struct err *e)
{
	const char *code = json_string(json_get(doc, "error"));
	char shown[CODE_MAX];

	if (status == 408 || status == 429 || status < 200 || status >= 500)
		return err_set(e, RC_LATER, "%.32s: no token: status %d", a->name, status);
	if (code == NULL)
		return err_set(e, RC_CONFIG, "%.32s: no token: status %d", a->name, status);
	return err_set(e, RC_CONFIG, "%.32s: no token: status %d, %s", a->name, status,
	    str_escape(shown, sizeof(shown), code, strlen(code)));
}

enum rc
token_store(int dir, const struct conf_account *a, int64_t now, int status, const char *body,
    size_t n, struct err *e)
{
	struct json *doc = NULL;
	bool good = status >= 200 && status <= 299;
	enum rc rc;

	if ((rc = conf_account_complete(a, e)) != RC_OK)
		return rc;
	rc = json_parse(body, n, &doc, NULL);
	if (!good)
		rc = refusal(a, status, doc, e);
	else if (rc != RC_OK || json_type(doc) != JSON_OBJECT)
		rc = err_set(
		    e, RC_LATER, "%.32s: the token's answer is no JSON object", a->name);
	else
		rc = take_answer(dir, a, now, doc, e);
	wipe_string(json_get(doc, "access_token"));
	json_free(&doc);
	return rc;
}

/*
 * With the lock held: drop the token if it is still this one, and none was dropped just before.
 * What stays of it is the time, under a token that is none.
 */
static enum rc
drop(int dir, const struct conf_account *a, int64_t now, const char *token, struct err *e)
{
	struct kept k;
	char span[CLK_TEXT];
	enum rc rc;

	if ((rc = kept_read(dir, a->name, &k, e)) != RC_OK) {
		rc = rc == RC_GONE ? RC_OK : rc;
		goto out;
	}
	if (!str_eq(buf_text(&k.token), token)) /* both ours: no time tells anybody anything */
		goto out;
	if (k.dropped > 0 && k.dropped <= now && now - k.dropped < TOKEN_AGAIN) {
		clk_span(now - k.dropped, span);
		rc = err_set(e, RC_CONFIG,
		    "%.32s: the API refuses a token, and so it did %s ago", a->name, span);
		goto out;
	}
	rc = keep(dir, a, now, NO_TOKEN, 0, now, e);
out:
	buf_wipe(&k.token);
	return rc;
}

enum rc
token_refused(
    int dir, const struct conf_account *a, int64_t now, const char *token, struct err *e)
{
	enum rc rc;
	int lock;

	/* Whoever asks right now drops what is there by replacing it. */
	if ((rc = token_lock(dir, a, &lock, e)) != RC_OK)
		return rc == RC_LATER ? RC_OK : rc;
	rc = drop(dir, a, now, token, e);
	io_close(&lock);
	return rc;
}
