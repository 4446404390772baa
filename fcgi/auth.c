/*
 * SPDX-License-Identifier: ISC
 *
 * auth - credentials of a request; see auth.h.
 */
#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "buf.h"
#include "log.h"
#include "secret.h"
#include "stamp.h"

#define AUTH_FILE 65536 /* bytes of a file of secrets */

struct keyring {              /* the secrets of one account */
	pthread_mutex_t lock; /* over all below: a comparison takes microseconds */
	struct secrets *secrets;
	struct stamp stamp; /* of the file that was read last */
	int64_t looked;     /* clk_mono of the last look at the file */
};

struct auth {
	const struct conf *conf;
	struct bearer *bearer;  /* NULL: no account has an issuer */
	struct keyring rings[]; /* one for each of conf->accounts */
};

static enum rc
read_secrets(const char *path, struct secrets **out, struct err *e)
{
	struct buf text = BUF_SECRET(AUTH_FILE);
	enum rc rc;

	*out = NULL;
	if ((rc = conf_secret(path, &text, e)) == RC_OK &&
	    (rc = secrets_parse(buf_text(&text), text.n, out, e)) != RC_OK)
		err_prefix(e, "%s", path);
	buf_wipe(&text);
	return rc;
}

static enum rc
keyring_load(struct keyring *k, const char *path, struct err *e)
{
	struct secrets *fresh = NULL;
	enum rc rc;

	k->looked = clk_mono();
	k->stamp = stamp_of(AT_FDCWD, path);
	if ((rc = read_secrets(path, &fresh, e)) != RC_OK)
		return rc;
	secrets_free(&k->secrets);
	k->secrets = fresh;
	return RC_OK;
}

/* A file that is gone or no good changes nothing: said once, and the secrets known stay valid.
 */
static void
keyring_refresh(struct keyring *k, const struct conf_account *account)
{
	struct stamp now;
	struct err e = {0};

	if (clk_mono() - k->looked < AUTH_RECHECK)
		return;
	k->looked = clk_mono();
	now = stamp_of(AT_FDCWD, account->secret_file);
	if (stamp_equal(&now, &k->stamp))
		return;
	if (keyring_load(k, account->secret_file, &e) == RC_OK)
		log_put(LOG_NOTE, "secrets read again", "account", account->name, LOG_END);
	else
		log_put(LOG_ERROR, "secrets not read, the old ones stay valid", "account",
		    account->name, "reason", e.text, LOG_END);
}

static enum rc
open_issuers(struct auth *a, struct spool *sp, struct err *e)
{
	bool any = false;

	for (size_t i = 0; i < a->conf->naccounts; i++)
		any = any || a->conf->accounts[i].issuer != NULL;
	if (!any)
		return RC_OK;
	return bearer_open(a->conf, spool_keys_dir(sp), spool_ask_dir(sp), &a->bearer, e);
}

enum rc
auth_open(const struct conf *c, struct spool *sp, struct auth **out, struct err *e)
{
	struct auth *a;
	enum rc rc = RC_OK;

	*out = NULL;
	if ((a = calloc(1, sizeof(*a) + c->naccounts * sizeof(a->rings[0]))) == NULL)
		return err_sys(e, "calloc", NULL);
	a->conf = c;
	for (size_t i = 0; i < c->naccounts; i++)
		(void)pthread_mutex_init(
		    &a->rings[i].lock, NULL); /* on Linux it does not fail */
	for (size_t i = 0; i < c->naccounts && rc == RC_OK; i++) {
		if (c->accounts[i].secret_file == NULL)
			continue;
		rc = keyring_load(&a->rings[i], c->accounts[i].secret_file, e);
		if (rc != RC_OK)
			err_prefix(e, "account %s", c->accounts[i].name);
	}
	if (rc == RC_OK)
		rc = open_issuers(a, sp, e);
	if (rc != RC_OK)
		auth_close(&a);
	*out = a;
	return rc;
}

void
auth_close(struct auth **a)
{
	if (*a == NULL)
		return;
	bearer_close(&(*a)->bearer);
	for (size_t i = 0; i < (*a)->conf->naccounts; i++) {
		secrets_free(&(*a)->rings[i].secrets);
		pthread_mutex_destroy(&(*a)->rings[i].lock);
	}
	free(*a);
	*a = NULL;
}

/*
 * The value of a header; NULL: it is not there, or *twice.  A repeated one comes as two
 * parameters (nginx) or as one "a, b" (lighttpd, Apache): that is no secret of ours, and no
 * token has a comma.
 */
static const char *
one_header(const struct request *rq, const char *header, bool *twice)
{
	char name[REQUEST_NAME];
	const char *value;
	unsigned times;

	*twice = false;
	if (!request_header_name(header, name))
		return NULL;
	value = request_param(rq->env, name, &times);
	*twice = times > 1;
	return times == 1 ? value : NULL;
}

/* The line of the secret; 0: none of them. */
static unsigned
match_secret(struct auth *a, const struct conf_account *account, const char *value)
{
	struct keyring *k = &a->rings[account - a->conf->accounts];
	unsigned line = 0;

	pthread_mutex_lock(&k->lock);
	keyring_refresh(k, account);
	if (k->secrets != NULL)
		line = secrets_match(k->secrets, value);
	pthread_mutex_unlock(&k->lock);
	return line;
}

static enum rc
check_token(struct auth *a, const struct conf_account *account, const char *value,
    struct auth_verdict *v, struct err *e)
{
	const char *token = value != NULL ? bearer_token(value) : NULL;

	if (token == NULL)
		return err_set(e, RC_DENIED, "no valid credential");
	v->challenge = AUTH_ASK_GOOD_TOKEN;
	return bearer_check(
	    a->bearer, (size_t)(account - a->conf->accounts), token, v->which, e);
}

enum rc
auth_check(struct auth *a, const struct conf_account *account, const struct request *rq,
    struct auth_verdict *v, struct err *e)
{
	bool has_secret = account->secret_header != NULL && account->secret_file != NULL;
	bool two_secrets = false, two_tokens = false;
	const char *secret = NULL, *token = NULL;
	unsigned line = 0;

	*v = (struct auth_verdict){
	    .challenge = account->issuer != NULL ? AUTH_ASK_TOKEN : AUTH_ASK_SECRET};
	if (has_secret)
		secret = one_header(rq, account->secret_header, &two_secrets);
	if (account->issuer != NULL) {
		token = one_header(rq, "Authorization", &two_tokens);
		two_tokens = two_tokens || (token != NULL && strchr(token, ',') != NULL);
	}
	if (two_tokens)
		v->challenge = AUTH_ASK_GOOD_TOKEN;
	if (two_secrets || two_tokens)
		return err_set(e, RC_DENIED, "a credential given twice");
	if (secret != NULL)
		line = match_secret(a, account, secret);
	if (line != 0)
		(void)snprintf(v->which, sizeof(v->which), "secret:line%u", line);
	else if (account->issuer != NULL)
		return check_token(a, account, token, v, e);
	else
		return err_set(e, RC_DENIED, "no valid credential");
	return RC_OK;
}
