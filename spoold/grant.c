/*
 * SPDX-License-Identifier: ISC
 *
 * grant - an account's token while the daemon runs; see grant.h.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "clk.h"
#include "daemon.h"
#include "io.h"
#include "log.h"
#include "str.h"
#include "token.h"
#include "verdict.h"
#include "work.h"

#define ANSWER_MAX 65536            /* a token's answer is never longer */
#define LOOK_AGAIN (CLK_SECOND / 2) /* while another program asks */
#define PAUSE (10 * CLK_SECOND)     /* when we could not even ask */

enum rc
grant_open(
    struct grant *g, struct daemon *d, const struct conf_account *a, int state, struct err *e)
{
	enum rc rc;

	*g = (struct grant){.d = d, .account = a, .dir = -1, .lock = -1};
	if ((rc = conf_account_complete(a, e)) != RC_OK ||
	    (rc = io_make_dir(state, TOKEN_DIR, 0700, &g->dir, e)) != RC_OK ||
	    (rc = guard_new(a->document_hosts, a->document_networks, &g->guard, e)) != RC_OK)
		err_prefix(e, "account %s", a->name);
	return rc;
}

void
grant_close(struct grant *g)
{
	if (g->call != NULL) {
		http_cancel(g->d->http, &g->call);
		target_release(grant_target(g));
	}
	io_close(&g->lock);
	io_close(&g->dir);
	guard_free(&g->guard);
}

struct target *
grant_target(struct grant *g)
{
	char name[TARGET_NAME];

	(void)snprintf(name, sizeof(name), "token:%s", g->account->name);
	return target_get(g->d->targets, name, clk_mono());
}

void
grant_took(struct grant *g, const struct buf *token)
{
	if (hash_sha256(token->p, token->n, g->good, NULL) != RC_OK)
		g->good[0] = '\0';
}

bool
grant_is_good(const struct grant *g, const struct buf *token)
{
	char digest[HASH_HEX];

	return g->good[0] != '\0' && hash_sha256(token->p, token->n, digest, NULL) == RC_OK &&
	       str_eq(digest, g->good);
}

/* When the file with our secret changed last. */
static struct timespec
secret_time(const struct grant *g)
{
	struct stat st;

	if (stat(g->account->client_secret_file, &st) != 0)
		memset(&st, 0, sizeof(st));
	return st.st_ctim;
}

/* Our credentials are refused: asking again is no use before a person has looked. */
static void
hold(struct grant *g, const struct err *e)
{
	struct target *t = grant_target(g);

	(void)target_pause(t, clk_mono(), TARGET_UNTIL_LIFTED, e->text);
	g->secret = secret_time(g);
	log_put(LOG_ERROR,
	    "our credentials are refused: held until they or the configuration change",
	    "target", t->name, "reason", e->text, LOG_END);
}

void
grant_look(struct grant *g)
{
	struct timespec now;
	struct target *t;

	if ((t = grant_target(g))->open_until != TARGET_UNTIL_LIFTED)
		return;
	now = secret_time(g);
	if (now.tv_sec == g->secret.tv_sec && now.tv_nsec == g->secret.tv_nsec)
		return;
	log_put(LOG_NOTE, "the credentials changed, and are tried out", "account",
	    g->account->name, LOG_END);
	target_resume(t, clk_mono());
}

/* Let everybody who waits go on: with the token, or with the reason why there is none. */
static void
release(struct grant *g, enum rc rc, const struct err *why)
{
	struct work *w = g->waiting, *next;

	g->waiting = NULL;
	g->again = 0;
	for (; w != NULL; w = next) {
		next = w->next_waiting;
		w->next_waiting = NULL;
		work_token(w, rc, why);
	}
}

/* The vendor's answer to the request for a token. */
static void
answered(const struct http_answer *a, void *arg)
{
	struct grant *g = arg;
	struct target *t = grant_target(g);
	int64_t now = clk_mono();
	bool opened = false;
	struct err e;
	enum rc rc;

	g->call = NULL;
	err_clear(&e);
	if (a->fate != HTTP_ANSWERED)
		rc = err_set(&e, RC_LATER, "%.250s", a->text);
	else
		rc = token_store(
		    g->dir, g->account, clk_wall(), a->status, a->body, a->body_len, &e);
	io_close(&g->lock);
	if (rc == RC_OK) {
		(void)target_up(t);
		log_put(LOG_INFO, "token", "account", g->account->name, LOG_END);
		release(g, RC_OK, NULL);
		return;
	}
	if (rc == RC_CONFIG) {
		hold(g, &e);
	} else {
		(void)target_down(t, now, a->retry_after, e.text, &opened);
		log_put(opened ? LOG_ERROR : LOG_WARN, "no token", "account", g->account->name,
		    "reason", e.text, LOG_END);
	}
	err_prefix(&e, "no token");
	release(g, rc, &e);
}

static enum rc
ask(struct grant *g, struct err *e)
{
	static const char *const headers[] = {
	    "Content-Type: application/json", "Accept: application/json"};
	struct buf body = BUF_SECRET(ANSWER_MAX);
	const struct conf *c = g->d->conf;
	struct http_request rq = {.url = g->account->token_url,
	    .headers = headers,
	    .nheaders = 2,
	    .ca_file = g->account->ca_file,
	    .max_body = ANSWER_MAX,
	    .file = -1,
	    .connect_timeout = c->daemon.connect_timeout,
	    .total_timeout = c->daemon.api_timeout,
	    .stall_timeout = c->daemon.stall_timeout};
	enum rc rc;

	if ((rc = token_request(g->account, &body, e)) == RC_OK) {
		rq.post = body.p;
		rq.post_len = body.n;
		count_add(spool_counts(g->d->spool), COUNT_TOKENS, 1);
		rc = http_start(g->d->http, &rq, answered, g, &g->call, e);
	}
	buf_wipe(&body);
	if (rc != RC_OK)
		io_close(&g->lock);
	return rc;
}

enum rc
grant_get(struct grant *g, struct work *w, struct buf *out, struct err *e)
{
	struct target *t = grant_target(g);
	int64_t now = clk_mono();
	enum rc rc;

	if ((rc = token_load(g->dir, g->account, clk_wall(), out, e)) != RC_GONE)
		return rc;
	if (g->call == NULL && g->again == 0) {
		if (target_ask(t, now) > 0)
			return err_set(e, RC_LATER, "no token: %.250s", t->reason);
		rc = token_lock(g->dir, g->account, &g->lock, e);
		if (rc == RC_OK &&
		    token_load(g->dir, g->account, clk_wall(), out, e) == RC_OK) {
			io_close(&g->lock);
			target_release(t);
			return RC_OK;
		}
		if (rc == RC_LATER) {
			target_release(t);
			g->again = now + LOOK_AGAIN;
		} else if (rc != RC_OK || (rc = ask(g, e)) != RC_OK) {
			if (rc == RC_CONFIG)
				hold(g, e);
			else
				(void)target_pause(t, now, PAUSE, e->text);
			return rc;
		}
	}
	if (w != NULL) {
		w->next_waiting = g->waiting;
		g->waiting = w;
	}
	return RC_EXISTS;
}

void
grant_forget(struct grant *g, const struct work *w)
{
	struct work **at = &g->waiting;

	while (*at != NULL && *at != w)
		at = &(*at)->next_waiting;
	if (*at != NULL)
		*at = w->next_waiting;
}

void
grant_tick(struct grant *g, int64_t now)
{
	if (g->again == 0 || now < g->again)
		return;
	release(g, RC_OK, NULL); /* each looks again, and the first may ask */
}
