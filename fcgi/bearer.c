/*
 * SPDX-License-Identifier: ISC
 *
 * bearer - tokens of an issuer; see bearer.h.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bearer.h"
#include "buf.h"
#include "clk.h"
#include "jwt.h"
#include "keys.h"
#include "str.h"

#define PART_SIZE 84 /* of kid and sub in a name, escaped and cut, with its NUL */

struct bearer {
	const struct conf *conf;
	struct keys *keys;
	struct verified *verified;
};

_Static_assert(sizeof("bearer:kid= sub=") + 2 * PART_SIZE <= BEARER_NAME, "both parts fit");

enum rc
bearer_open(const struct conf *c, int keys_dir, int ask_dir, struct bearer **out, struct err *e)
{
	struct bearer *b = calloc(1, sizeof(*b));
	enum rc rc;

	*out = NULL;
	if (b == NULL)
		return err_sys(e, "calloc", NULL);
	b->conf = c;
	if ((rc = verified_new(&b->verified, e)) == RC_OK)
		rc = keys_open(c, keys_dir, ask_dir, &b->keys, e);
	if (rc != RC_OK)
		bearer_close(&b);
	*out = b;
	return rc;
}

void
bearer_close(struct bearer **b)
{
	if (*b == NULL)
		return;
	keys_close(&(*b)->keys);
	verified_free(&(*b)->verified);
	free(*b);
	*b = NULL;
}

/* RFC 9110 section 11.4: a scheme, in any case, one space or more, the token. */
const char *
bearer_token(const char *value)
{
	static const char scheme[] = "bearer";
	size_t n = strcspn(value, " \t");
	char word[sizeof(scheme)];

	if (!str_copy_n(word, sizeof(word), value, n) || !str_eq_nocase(word, scheme))
		return NULL;
	return value + n + strspn(value + n, " ");
}

/* A space would look like the end of the part, and what follows it like a part of its own. */
static void
add_part(struct buf *b, const char *before, const char *value)
{
	char part[PART_SIZE];

	if (value[0] == '\0')
		return;
	str_escape(part, sizeof(part), value, strlen(value));
	for (char *p = part; (p = strchr(p, ' ')) != NULL;)
		*p = '_';
	buf_fmt(b, "%s%s", before, part);
}

static enum rc
make_name(const struct jwt *t, char out[BEARER_NAME], struct err *e)
{
	struct buf b = BUF_INIT(BEARER_NAME - 1);
	enum rc rc;

	buf_str(&b, "bearer");
	add_part(&b, ":kid=", t->kid);
	add_part(&b, t->kid[0] != '\0' ? " sub=" : ":sub=", t->sub);
	if ((rc = buf_state(&b, e)) == RC_OK)
		(void)snprintf(out, BEARER_NAME, "%s", buf_text(&b));
	buf_free(&b);
	return rc;
}

enum rc
bearer_check(
    struct bearer *b, size_t account, const char *token, char which[BEARER_NAME], struct err *e)
{
	const struct conf_account *a = &b->conf->accounts[account];
	const struct jwt_rules rules = {.issuer = a->issuer,
	    .audience = a->audience,
	    .algorithms = a->algorithms,
	    .types = a->token_types,
	    .require = a->require,
	    .lifetime = a->token_lifetime,
	    .leeway = a->token_leeway};
	struct verified_token seen = {.account = account};
	size_t n = strnlen(token, JWT_MAX + 1);
	int64_t now = clk_wall();
	struct jwt t;
	enum rc rc;

	which[0] = '\0';
	if ((rc = hash_sha256(token, n, seen.digest, e)) != RC_OK)
		return rc;
	seen.keys = keys_current(b->keys, account);
	if (n > JWT_MAX || !verified_find(b->verified, &seen, now)) {
		if ((rc = jwt_read(token, n, &rules, now, &t, e)) != RC_OK ||
		    (rc = keys_verify(b->keys, account, token, n, &t, &seen.keys, e)) != RC_OK)
			goto out;
		seen.from = t.from;
		seen.until = t.until;
		if ((rc = make_name(&t, seen.which, e)) != RC_OK)
			goto out;
		verified_add(b->verified, &seen);
	}
	(void)snprintf(which, BEARER_NAME, "%s", seen.which);
	return RC_OK;
out:
	err_prefix(e, "token");
	return rc;
}
