/*
 * SPDX-License-Identifier: ISC
 *
 * keyfile - the keys of an account's OpenID Connect issuer, as a file; see keyfile.h.
 *
 * A file is only believed if it is, byte for byte but for the JWK set, what would be written
 * for the values in it.  So there is one form, and the set comes back as it went in.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "io.h"
#include "json.h"
#include "keyfile.h"
#include "name.h"
#include "str.h"

#define FORMAT 1
#define END "}\n"
#define NO_KEYS "null"

enum rc
keyfile_name(const char *account, char out[KEYFILE_NAME], struct err *e)
{
	out[0] = '\0';
	if (!name_account_ok(account))
		return err_set(e, RC_BAD, "not the name of an account");
	(void)snprintf(out, KEYFILE_NAME, "%s.json", account);
	return RC_OK;
}

void
keyfile_free(struct keyfile *k)
{
	free(k->jwks);
	memset(k, 0, sizeof(*k));
}

enum rc
keyfile_check(const char *jwks, size_t n, struct err *e)
{
	struct json *doc = NULL;
	enum rc rc;

	if (n > KEYFILE_JWKS)
		return err_set(e, RC_BAD, "a JWK set of more than %d bytes", KEYFILE_JWKS);
	if ((rc = json_parse(jwks, n, &doc, e)) != RC_OK) {
		err_prefix(e, "the JWK set");
		return rc;
	}
	/* json_get finds nothing in what is no object. */
	if (json_type(json_get(doc, "keys")) != JSON_ARRAY)
		rc = err_set(e, RC_BAD, "the JWK set is no JSON object with an array \"keys\"");
	json_free(&doc);
	return rc;
}

/* All that stands before the JWK set. */
static void
put_head(struct buf *b, const struct keyfile *k)
{
	buf_fmt(b, "{\"version\":%d,\"issuer\":", FORMAT);
	buf_json(b, k->issuer);
	buf_fmt(b, ",\"fetched\":%" PRId64 ",\"tried\":%" PRId64 ",\"jwks\":", k->fetched,
	    k->tried);
}

/* The whole text is strict JSON too: the set is one level deeper in it. */
static enum rc
check_text(const struct buf *b, struct err *e)
{
	struct json *doc = NULL;
	enum rc rc = json_parse(buf_text(b), b->n, &doc, e);

	json_free(&doc);
	return rc;
}

static enum rc
check(const struct keyfile *k, struct err *e)
{
	size_t n = strnlen(k->issuer, sizeof(k->issuer));

	if (n == 0 || n == sizeof(k->issuer) || !str_utf8(k->issuer, n))
		return err_set(e, RC_BAD, "not the name of an issuer");
	if (k->fetched < 0 || k->tried < 0 || (k->fetched == 0) != (k->jwks == NULL))
		return err_set(e, RC_BAD, "the times of the keys cannot be");
	return k->jwks == NULL ? RC_OK : keyfile_check(k->jwks, k->jwks_len, e);
}

enum rc
keyfile_write(int dir, const char *account, const struct keyfile *k, struct err *e)
{
	struct buf b = BUF_INIT(KEYFILE_HEAD + KEYFILE_JWKS);
	char name[KEYFILE_NAME];
	enum rc rc;

	if ((rc = keyfile_name(account, name, e)) != RC_OK || (rc = check(k, e)) != RC_OK)
		return rc;
	put_head(&b, k);
	if (k->jwks != NULL)
		buf_add(&b, k->jwks, k->jwks_len);
	else
		buf_str(&b, NO_KEYS);
	buf_str(&b, END);
	if ((rc = buf_state(&b, e)) == RC_OK && (rc = check_text(&b, e)) == RC_OK)
		rc = io_replace(dir, name, 0640, b.p, b.n, e);
	buf_free(&b);
	return rc;
}

/* The values of the file but the set; false: not in it, or of the wrong type. */
static bool
read_head(const struct json *doc, struct keyfile *k)
{
	const char *issuer = json_string(json_get(doc, "issuer"));
	int64_t version;

	return json_int(json_get(doc, "version"), FORMAT, FORMAT, &version) && issuer != NULL &&
	       str_copy(k->issuer, sizeof(k->issuer), issuer) &&
	       json_int(json_get(doc, "fetched"), 0, INT64_MAX, &k->fetched) &&
	       json_int(json_get(doc, "tried"), 0, INT64_MAX, &k->tried);
}

/* The set, between what put_head writes and END. */
static enum rc
read_set(const struct buf *b, struct keyfile *k, struct err *e)
{
	struct buf head = BUF_INIT(KEYFILE_HEAD);
	size_t end = strlen(END), n;
	const char *set;
	enum rc rc;

	put_head(&head, k);
	if ((rc = buf_state(&head, e)) == RC_OK &&
	    (b->n < head.n + end || memcmp(b->p, head.p, head.n) != 0 ||
		memcmp(b->p + b->n - end, END, end) != 0))
		rc = err_set(e, RC_BAD, "not in the form that is written");
	n = head.n;
	buf_free(&head);
	if (rc != RC_OK)
		return rc;
	set = b->p + n;
	n = b->n - n - end;
	if (k->fetched == 0 && n == strlen(NO_KEYS) && memcmp(set, NO_KEYS, n) == 0)
		return RC_OK;
	if ((k->jwks = malloc(n + 1)) == NULL)
		return err_set(e, RC_LATER, "no memory");
	memcpy(k->jwks, set, n);
	k->jwks[n] = '\0';
	k->jwks_len = n;
	return check(k, e);
}

static enum rc
parse(const struct buf *b, struct keyfile *k, struct err *e)
{
	struct json *doc = NULL;
	enum rc rc;

	if ((rc = json_parse(buf_text(b), b->n, &doc, e)) != RC_OK)
		return rc;
	if (!read_head(doc, k))
		rc = err_set(e, RC_BAD, "version, issuer or times are not as expected");
	json_free(&doc);
	return rc == RC_OK ? read_set(b, k, e) : rc;
}

enum rc
keyfile_read(int dir, const char *account, struct keyfile *out, struct err *e)
{
	struct buf b = BUF_INIT(KEYFILE_HEAD + KEYFILE_JWKS);
	char name[KEYFILE_NAME];
	enum rc rc;

	memset(out, 0, sizeof(*out));
	if ((rc = keyfile_name(account, name, e)) != RC_OK)
		return rc;
	rc = io_read_file(dir, name, &b, e);
	if (rc == RC_FULL && !b.broken) /* too long, and not a lack of memory */
		rc = RC_BAD;
	else if (rc == RC_CONFIG) /* no regular file */
		rc = RC_BAD;
	else if (rc == RC_OK && (rc = parse(&b, out, e)) != RC_OK)
		err_prefix(e, "keys/%.40s", name);
	buf_free(&b);
	if (rc != RC_OK)
		keyfile_free(out);
	return rc;
}
