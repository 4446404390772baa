/*
 * SPDX-License-Identifier: ISC
 *
 * jwt - what a bearer token says; see jwt.h.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "b64url.h"
#include "clk.h"
#include "conf.h"
#include "json.h"
#include "jwt.h"
#include "str.h"

#define DATE_DIGITS 12    /* of a NumericDate before its point */
#define FRACTION_DIGITS 9 /* and after it */
#define CLAIM_NAME 320    /* the name of a claim of rules->require, with its NUL */

static const char *const names[JWT_ALGS] = {[JWT_RS256] = "RS256",
    [JWT_RS384] = "RS384",
    [JWT_RS512] = "RS512",
    [JWT_PS256] = "PS256",
    [JWT_PS384] = "PS384",
    [JWT_PS512] = "PS512",
    [JWT_ES256] = "ES256",
    [JWT_ES384] = "ES384",
    [JWT_ES512] = "ES512"};

struct compact { /* the three parts, as they were sent */
	const char *header, *payload, *signature;
	size_t header_len, payload_len, signature_len;
};

const char *
jwt_alg_name(enum jwt_alg alg)
{
	return names[alg];
}

bool
jwt_alg_find(const char *name, enum jwt_alg *out)
{
	for (int i = 0; i < JWT_ALGS; i++) {
		if (!str_eq(names[i], name))
			continue;
		*out = (enum jwt_alg)i;
		return true;
	}
	return false;
}

/* The next word of a list, from *at on; NULL at its end. */
static const char *
next_word(const char **at, size_t *n)
{
	const char *word = *at + strspn(*at, " ");

	*n = strcspn(word, " ");
	*at = word + *n;
	return *n > 0 ? word : NULL;
}

static bool
in_list(const char *list, const char *word)
{
	size_t n, want = strlen(word);
	const char *p;

	while ((p = next_word(&list, &n)) != NULL)
		if (n == want && memcmp(p, word, n) == 0)
			return true;
	return false;
}

static enum rc
split(const char *token, size_t n, struct compact *c, struct err *e)
{
	const char *dots[2] = {NULL, NULL}, *end = token + n;
	size_t count = 0;

	if (n > JWT_MAX)
		return err_set(e, RC_DENIED, "longer than %d characters", JWT_MAX);
	for (size_t i = 0; i < n; i++)
		if (token[i] == '.' && count++ < 2)
			dots[count - 1] = token + i;
	if (count == 4)
		return err_set(e, RC_DENIED, "five parts: it is encrypted");
	if (count != 2)
		return err_set(e, RC_DENIED, "not three parts");
	*c = (struct compact){.header = token,
	    .header_len = (size_t)(dots[0] - token),
	    .payload = dots[0] + 1,
	    .payload_len = (size_t)(dots[1] - dots[0] - 1),
	    .signature = dots[1] + 1,
	    .signature_len = (size_t)(end - dots[1] - 1)};
	if (c->header_len == 0 || c->payload_len == 0 || c->signature_len == 0)
		return err_set(e, RC_DENIED, "an empty part");
	return RC_OK;
}

/* A part that is a JSON object; the caller owns *doc. */
static enum rc
read_object(const char *p, size_t n, const char *part, struct json **doc, struct err *e)
{
	unsigned char text[B64URL_BYTES(JWT_MAX)];
	struct err why = {0};
	size_t len;
	enum rc rc;

	*doc = NULL;
	if (!b64url_decode(p, n, text, sizeof(text), &len))
		return err_set(e, RC_DENIED, "%s: not base64url", part);
	if ((rc = json_parse((const char *)text, len, doc, &why)) == RC_LATER)
		return err_set(e, RC_LATER, "%s: no memory", part);
	if (rc != RC_OK) /* the reason may quote a name: it stays here */
		return err_set(e, RC_DENIED, "%s: not strict JSON", part);
	if (json_type(*doc) == JSON_OBJECT)
		return RC_OK;
	json_free(doc);
	return err_set(e, RC_DENIED, "%s: not an object", part);
}

/* RFC 7515 section 4.1.9: a media type, of which "application/" may be left out. */
static bool
type_ok(const struct json *typ, const char *types)
{
	static const char prefix[] = "application/";
	const char *text = json_string(typ), *word;
	char head[sizeof(prefix)], listed[80];
	size_t n;

	if (typ == NULL)
		return in_list(types, "none");
	if (text == NULL)
		return false;
	if (strlen(text) >= sizeof(prefix) &&
	    str_copy_n(head, sizeof(head), text, sizeof(prefix) - 1) &&
	    str_eq_nocase(head, prefix))
		text += sizeof(prefix) - 1;
	while ((word = next_word(&types, &n)) != NULL)
		if (str_copy_n(listed, sizeof(listed), word, n) && !str_eq(listed, "none") &&
		    str_eq_nocase(listed, text))
			return true;
	return false;
}

static enum rc
judge_header(
    const struct json *header, const struct jwt_rules *rules, struct jwt *out, struct err *e)
{
	static const char *const refused[] = {"crit", "b64", "enc"};
	const struct json *kid = json_get(header, "kid");
	const char *alg = json_string(json_get(header, "alg"));

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (json_get(header, refused[i]) != NULL)
			return err_set(e, RC_DENIED, "header: %s", refused[i]);
	if (alg == NULL)
		return err_set(e, RC_DENIED, "header: no alg");
	if (!jwt_alg_find(alg, &out->alg) || !in_list(rules->algorithms, alg))
		return err_set(e, RC_DENIED, "header: alg is not one of the account's");
	if (!type_ok(json_get(header, "typ"), rules->types))
		return err_set(e, RC_DENIED, "header: typ is not one of the account's");
	out->kid[0] = '\0';
	if (kid != NULL && (json_string(kid) == NULL || json_string(kid)[0] == '\0' ||
			       !str_copy(out->kid, sizeof(out->kid), json_string(kid))))
		return err_set(
		    e, RC_DENIED, "header: kid is not a string of 1 to %d bytes", JWT_KID);
	return RC_OK;
}

/* RFC 7519 section 4.1.3: a string or an array of strings. */
static enum rc
judge_audience(const struct json *aud, const char *ours, struct err *e)
{
	const char *text = json_string(aud);
	bool found = text != NULL && str_eq(text, ours);
	unsigned count = 0;

	if (text == NULL && json_type(aud) != JSON_ARRAY)
		return err_set(e, RC_DENIED, "aud is neither a string nor an array");
	for (const struct json *v = text == NULL ? json_first(aud) : NULL; v != NULL;
	     v = json_next(v)) {
		if (json_string(v) == NULL || ++count > JWT_AUD)
			return err_set(
			    e, RC_DENIED, "aud is not an array of at most %d strings", JWT_AUD);
		found = found || str_eq(json_string(v), ours);
	}
	return found ? RC_OK : err_set(e, RC_DENIED, "aud does not name this account");
}

/*
 * NumericDate (RFC 7519 section 2): seconds as a number, perhaps with a fraction, which is cut
 * to milliseconds.  Nothing negative, no exponent, no date after the year 33000.
 */
static bool
read_date(const struct json *v, int64_t *ms)
{
	const char *text = json_type(v) == JSON_NUMBER ? json_text(v) : "";
	size_t whole = strspn(text, "0123456789"), fraction = 0;
	int64_t scale = CLK_SECOND;

	*ms = 0;
	if (text[whole] == '.')
		fraction = strspn(text + whole + 1, "0123456789");
	if (whole < 1 || whole > DATE_DIGITS || fraction > FRACTION_DIGITS ||
	    text[whole + (text[whole] == '.') + fraction] != '\0')
		return false;
	for (size_t i = 0; i < whole; i++)
		*ms = *ms * 10 + (text[i] - '0') * CLK_SECOND;
	for (size_t i = 0; i < fraction; i++)
		*ms += (text[whole + 1 + i] - '0') * (scale /= 10);
	return true;
}

/* A date that may be missing. */
static enum rc
optional_date(const struct json *claims, const char *name, int64_t *ms, struct err *e)
{
	const struct json *v = json_get(claims, name);

	*ms = 0;
	if (v == NULL || read_date(v, ms))
		return RC_OK;
	return err_set(e, RC_DENIED, "%s is not a date", name);
}

static enum rc
judge_times(const struct json *claims, const struct jwt_rules *rules, int64_t now,
    struct jwt *out, struct err *e)
{
	int64_t exp, nbf, iat, begin;
	enum rc rc;

	if (json_get(claims, "exp") == NULL)
		return err_set(e, RC_DENIED, "no exp");
	if ((rc = optional_date(claims, "exp", &exp, e)) != RC_OK ||
	    (rc = optional_date(claims, "nbf", &nbf, e)) != RC_OK ||
	    (rc = optional_date(claims, "iat", &iat, e)) != RC_OK)
		return rc;
	if (now >= exp + rules->leeway)
		return err_set(e, RC_DENIED, "expired (exp)");
	if (nbf > now + rules->leeway)
		return err_set(e, RC_DENIED, "not valid yet (nbf)");
	if (iat > now + rules->leeway)
		return err_set(e, RC_DENIED, "issued in the future (iat)");
	begin = json_get(claims, "iat") != NULL ? iat : now + rules->leeway;
	if (exp - begin > rules->lifetime)
		return err_set(e, RC_DENIED, "good for longer than token_lifetime");
	out->from = (nbf > iat ? nbf : iat) - rules->leeway;
	out->until = exp + rules->leeway;
	return RC_OK;
}

/* Is a claim this value, or a list that has it?  A scope is words in one string (RFC 8693). */
static bool
claim_has(const struct json *claim, const char *name, const char *value)
{
	const char *text = json_string(claim);

	if (text != NULL)
		return str_eq(text, value) || (str_eq(name, "scope") && in_list(text, value));
	if (json_type(claim) != JSON_ARRAY)
		return false;
	for (const struct json *v = json_first(claim); v != NULL; v = json_next(v))
		if (json_string(v) != NULL && str_eq(json_string(v), value))
			return true;
	return false;
}

static enum rc
judge_required(const struct json *claims, const char *require, struct err *e)
{
	char name[CLAIM_NAME], value[CLAIM_NAME];
	const char *item, *colon;
	size_t n;

	while ((item = next_word(&require, &n)) != NULL) {
		colon = conf_claim(item, n);
		if (colon == NULL ||
		    !str_copy_n(name, sizeof(name), item, (size_t)(colon - item)) ||
		    !str_copy_n(
			value, sizeof(value), colon + 1, n - (size_t)(colon + 1 - item)))
			return err_set(e, RC_DENIED, "require: not claim:value");
		if (!claim_has(json_get(claims, name), name, value))
			return err_set(e, RC_DENIED, "%.100s is not as required", name);
	}
	return RC_OK;
}

static enum rc
judge_claims(const struct json *claims, const struct jwt_rules *rules, int64_t now,
    struct jwt *out, struct err *e)
{
	static const char *const strings[] = {"sub", "jti"};
	const char *iss = json_string(json_get(claims, "iss"));
	const struct json *v;
	enum rc rc;

	if (iss == NULL || !str_eq(iss, rules->issuer))
		return err_set(e, RC_DENIED, "iss is not the issuer of this account");
	if ((rc = judge_audience(json_get(claims, "aud"), rules->audience, e)) != RC_OK ||
	    (rc = judge_times(claims, rules, now, out, e)) != RC_OK)
		return rc;
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		if ((v = json_get(claims, strings[i])) != NULL && json_string(v) == NULL)
			return err_set(e, RC_DENIED, "%s is not a string", strings[i]);
	out->sub[0] = '\0';
	if ((v = json_get(claims, "sub")) != NULL)
		(void)snprintf(out->sub, sizeof(out->sub), "%s", json_string(v));
	return rules->require != NULL ? judge_required(claims, rules->require, e) : RC_OK;
}

enum rc
jwt_read(const char *token, size_t n, const struct jwt_rules *rules, int64_t now,
    struct jwt *out, struct err *e)
{
	unsigned char signature[B64URL_BYTES(JWT_MAX)];
	struct json *header = NULL, *claims = NULL;
	struct jwt read = {0};
	struct compact c = {0};
	enum rc rc;

	*out = (struct jwt){0};
	if ((rc = split(token, n, &c, e)) != RC_OK)
		return rc;
	if ((rc = read_object(c.header, c.header_len, "header", &header, e)) != RC_OK ||
	    (rc = judge_header(header, rules, &read, e)) != RC_OK ||
	    (rc = read_object(c.payload, c.payload_len, "claims", &claims, e)) != RC_OK ||
	    (rc = judge_claims(claims, rules, now, &read, e)) != RC_OK)
		goto out;
	if (!b64url_decode(
		c.signature, c.signature_len, signature, sizeof(signature), &read.signature)) {
		rc = err_set(e, RC_DENIED, "signature: not base64url");
		goto out;
	}
	*out = read;
out:
	json_free(&claims);
	json_free(&header);
	return rc;
}
