/*
 * SPDX-License-Identifier: ISC
 *
 * check_online - what the network has to say: API, token, account, issuer, our own URL.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api.h"
#include "check.h"
#include "client.h"
#include "clk.h"
#include "discovery.h"
#include "keyfile.h"
#include "str.h"
#include "subscription.h"

#define SKEW_ODD (30 * CLK_SECOND)
#define SKEW_BAD (5 * CLK_MINUTE) /* tokens and signatures are refused by then */
#define CERTIFICATE_LATE (3 * CLK_DAY)
#define ANSWER 1048576 /* bytes of an answer that are kept */

/* ---- hosts ---- */

static const char *
fate_remedy(enum http_fate fate)
{
	switch (fate) {
	case HTTP_NO_NAME:
		return "mend the host's name, or this machine's name server (resolv.conf)";
	case HTTP_NO_CONNECT:
		return "let this machine reach it: firewall, route, port";
	case HTTP_NO_TLS:
		return "see to its certificate, to the file of authorities that is configured "
		       "for it, and to this machine's clock";
	case HTTP_ANSWERED:
	case HTTP_STALLED:
	case HTTP_CUT:
	case HTTP_TOO_LARGE:
	case HTTP_FORBIDDEN:
	case HTTP_LOCAL:
		break;
	}
	return "see what is between this machine and it, and try again";
}

static void
say_certificate(struct check *k, const char *topic, const char *url, int64_t end)
{
	int64_t left = end - clk_wall();
	char span[CLK_TEXT];
	enum check_level level = CHECK_OK;

	clk_span(left, span);
	if (left < CERTIFICATE_LATE)
		level = CHECK_FAILURE;
	else if (left < k->c->conf->daemon.certificate_limit)
		level = CHECK_WARNING;
	check_say(k, level, topic, url, "answers; its certificate ends in %s%s", span,
	    level == CHECK_OK ? "" : "\nhave it renewed");
}

/* Is anybody there?  Whatever status it is. */
static bool
probe(struct check *k, struct client *cl, const char *topic, const char *url, const char *ca)
{
	struct client_answer ans = {0};
	struct http_request rq;
	struct err e = {0};
	enum rc rc;
	bool there;

	client_request(cl, url, &rq);
	rq.ca_file = ca;
	rq.max_body = ANSWER;
	rc = client_run(cl, &rq, &ans, &e);
	there = ans.http.fate == HTTP_ANSWERED && ans.http.status != 0;
	if (!there)
		check_say(k, CHECK_FAILURE, topic, url, "%s\n%s",
		    ans.http.text[0] != '\0' ? ans.http.text : e.text,
		    fate_remedy(ans.http.fate));
	else if (client_certificate(cl) != 0)
		say_certificate(k, topic, url, client_certificate(cl));
	else
		check_say(k, CHECK_OK, topic, url, "answers, without TLS");
	(void)rc;
	client_answer_free(&ans);
	return there;
}

/* ---- the API ---- */

static bool
look_token(struct check *k, struct client *cl, const struct conf_account *a)
{
	struct buf token = BUF_SECRET(CONF_FILE_MAX);
	struct err e = {0};
	enum rc rc = client_token(cl, &token, &e);

	if (rc == RC_OK)
		check_say(k, CHECK_OK, "token", a->token_url, "there is one");
	else
		check_say(k, CHECK_FAILURE, "token", a->token_url,
		    "%s\ncompare client_id, client_secret_file and token_audience with what "
		    "Arken gave you",
		    e.text);
	buf_wipe(&token);
	return rc == RC_OK;
}

static void
look_clock(struct check *k, int64_t skew)
{
	char span[CLK_TEXT];
	int64_t off = skew < 0 ? -skew : skew;

	clk_span(off, span);
	if (off < SKEW_ODD)
		check_say(k, CHECK_OK, "clock", NULL, "agrees with the API's");
	else
		check_say(k, off < SKEW_BAD ? CHECK_WARNING : CHECK_FAILURE, "clock", NULL,
		    "%s %s the API's\nset this machine's clock (NTP)", span,
		    skew > 0 ? "behind" : "ahead of");
}

static void
look_account(struct check *k, struct client *cl, const struct conf_account *a)
{
	const struct event ev = {.category = "Account", .type = "Update"};
	struct client_answer ans = {0};
	struct http_request rq;
	struct json *doc = NULL;
	struct err e = {0};
	char url[HTTP_URL];
	const char *hash;
	enum rc rc;

	if ((rc = api_callback(k->c->conf, a, &ev, url, &e)) == RC_OK) {
		client_request(cl, url, &rq);
		rc = client_call(cl, &rq, &ans, &e);
	}
	if (rc == RC_OK)
		rc = json_parse(ans.http.body, ans.http.body_len, &doc, &e);
	hash = json_string(json_member(doc, "hashId"));
	if (rc != RC_OK)
		check_say(k, CHECK_FAILURE, "api", a->api,
		    "the account cannot be seen: %s\ncompare api and hash_id with what Arken "
		    "gave you",
		    e.text);
	else if (hash != NULL && !str_eq(hash, a->hash_id))
		check_say(k, CHECK_FAILURE, "api", a->api,
		    "the API shows another account than hash_id\nmend hash_id");
	else
		check_say(k, CHECK_OK, "api", a->api, "shows the account");
	if (ans.http.fate == HTTP_ANSWERED && ans.http.status != 0)
		look_clock(k, ans.http.clock_skew);
	json_free(&doc);
	client_answer_free(&ans);
}

static void
look_subscription(struct check *k, struct client *cl, const struct conf_account *a)
{
	struct client_answer ans = {0};
	struct http_request rq;
	struct json *doc = NULL;
	struct err e = {0};
	char url[HTTP_URL];
	enum rc rc;

	if ((rc = api_url(a, a->subscription_get, url, &e)) == RC_OK) {
		client_request(cl, url, &rq);
		rc = client_call(cl, &rq, &ans, &e);
	}
	if (rc == RC_OK && ans.http.status == 204)
		rc = RC_GONE;
	if (rc == RC_OK)
		rc = json_parse(ans.http.body, ans.http.body_len, &doc, &e);
	if (rc == RC_GONE)
		check_say(k, CHECK_WARNING, "subscription", NULL,
		    "Arken has none, or does not show it\n\"spoolctl subscribe\" makes one");
	else if (rc != RC_OK)
		check_say(k, CHECK_WARNING, "subscription", NULL,
		    "it cannot be seen: %s\nset subscription_get to the call that shows it",
		    e.text);
	else if (a->public_url != NULL && !subscription_says(doc, a->public_url))
		check_say(k, CHECK_WARNING, "subscription", NULL,
		    "Arken posts somewhere else than to public_url\n\"spoolctl subscription\" "
		    "shows where, \"spoolctl subscribe --replace\" mends it");
	else
		check_say(k, CHECK_OK, "subscription", NULL, "there is one");
	json_free(&doc);
	client_answer_free(&ans);
}

/* ---- the issuer ---- */

static enum rc
get(struct client *cl, const char *url, const char *ca, struct client_answer *ans,
    struct err *e)
{
	struct http_request rq;

	client_request(cl, url, &rq);
	rq.ca_file = ca;
	rq.max_body = ANSWER;
	return client_run(cl, &rq, ans, e);
}

static void
look_issuer(struct check *k, struct client *cl, const struct conf_account *a)
{
	struct client_answer ans = {0};
	char url[DISCOVERY_URL], keys[DISCOVERY_URL];
	struct err e = {0};
	enum rc rc;

	if (a->issuer == NULL)
		return;
	if ((rc = discovery_url(a->issuer, url, &e)) != RC_OK)
		return;
	if (!probe(k, cl, "issuer", a->jwks_url != NULL ? a->jwks_url : url, a->issuer_ca_file))
		return;
	if (a->jwks_url != NULL) {
		rc = str_copy(keys, sizeof(keys), a->jwks_url) ? RC_OK : RC_CONFIG;
	} else {
		if ((rc = get(cl, url, a->issuer_ca_file, &ans, &e)) == RC_OK)
			rc = discovery_read(
			    ans.http.body, ans.http.body_len, a->issuer, keys, &e);
		client_answer_free(&ans);
	}
	if (rc != RC_OK) {
		check_say(k, CHECK_FAILURE, "issuer", url,
		    "%s\nmend issuer, which is what tokens say, or set jwks_url", e.text);
		return;
	}
	if ((rc = get(cl, keys, a->issuer_ca_file, &ans, &e)) == RC_OK)
		rc = keyfile_check(ans.http.body, ans.http.body_len, &e);
	if (rc == RC_OK)
		check_say(k, CHECK_OK, "issuer", keys, "gives its keys");
	else
		check_say(k, CHECK_FAILURE, "issuer", keys,
		    "no keys: %s\nmend jwks_url, or the issuer", e.text);
	client_answer_free(&ans);
}

/* ---- our own URL ---- */

static void
judge_public(struct check *k, const struct conf_account *a, const struct http_answer *h)
{
	const char *url = a->public_url;
	int s = h->status;

	if (s == 401 && strstr(h->content_type, "json") != NULL)
		check_say(k, CHECK_OK, "public_url", url,
		    "refuses a post without a credential (401), as it has to");
	else if (s == 401)
		check_say(k, CHECK_FAILURE, "public_url", url,
		    "the web server asks for a password before arken.fcgi is asked\ntake its "
		    "authentication away from this path");
	else if (s / 100 == 2)
		check_say(k, CHECK_FAILURE, "public_url", url,
		    "%d to a post without a credential: that is not arken.fcgi\nhave the web "
		    "server hand %s to arken.fcgi",
		    s, a->path);
	else if (s / 100 == 3)
		check_say(k, CHECK_FAILURE, "public_url", url,
		    "redirects (%d) to %.200s: Arken does not follow\nset public_url to where "
		    "it leads, and subscribe with that",
		    s, h->location);
	else if (s == 404)
		check_say(k, CHECK_FAILURE, "public_url", url,
		    "not found (404)\nsee that the web server hands it to arken.fcgi, and that "
		    "path, %s, is what arrives there",
		    a->path);
	else if (s == 403 || s == 405)
		check_say(k, CHECK_FAILURE, "public_url", url,
		    "%d: the web server lets no POST through\nhave it hand %s to arken.fcgi, "
		    "with every method",
		    s, a->path);
	else if (s == 502 || s == 504)
		check_say(k, CHECK_FAILURE, "public_url", url,
		    "%d: the web server does not reach arken.fcgi\nsystemctl status "
		    "arken-fcgi.socket arken-fcgi; see the web server's error log",
		    s);
	else if (s == 503)
		check_say(k, CHECK_FAILURE, "public_url", url,
		    "503: no event is taken at the moment, or arken.fcgi is not reached\nsee "
		    "the log of arken.fcgi and the web server's error log");
	else
		check_say(k, CHECK_FAILURE, "public_url", url,
		    "%d, expected 401\nsee the log of arken.fcgi and of the web server", s);
}

static void
look_public(struct check *k, struct client *cl, const struct conf_account *a)
{
	struct buf empty = BUF_INIT(8);
	struct client_answer ans = {0};
	struct http_request rq;
	struct http_url parts;
	struct err e = {0};

	if (a->public_url == NULL) {
		check_say(k, CHECK_WARNING, "public_url", NULL,
		    "not configured, so it is not asked\nset public_url in [account %s]",
		    a->name);
		return;
	}
	if (http_url(a->public_url, &parts) && !str_eq(parts.path, a->path))
		check_say(k, CHECK_WARNING, "public_url", a->public_url,
		    "its path is not that of the account, %s\nmend one of them, unless the web "
		    "server changes it on the way",
		    a->path);
	buf_str(&empty, "{}");
	client_request(cl, a->public_url, &rq);
	client_json(&rq, NULL, &empty);
	rq.ca_file = NULL;
	rq.max_body = ANSWER;
	if (client_run(cl, &rq, &ans, &e) != RC_OK && ans.http.status == 0)
		check_say(k, CHECK_FAILURE, "public_url", a->public_url, "%s\n%s",
		    ans.http.text[0] != '\0' ? ans.http.text : e.text,
		    fate_remedy(ans.http.fate));
	else
		judge_public(k, a, &ans.http);
	if (client_certificate(cl) != 0)
		say_certificate(k, "public_url", a->public_url, client_certificate(cl));
	client_answer_free(&ans);
	buf_free(&empty);
}

void
check_online(struct check *k, const struct conf_account *a)
{
	struct client *cl = NULL;
	struct err e = {0};

	if (client_open(k->c->conf, a, spool_counts(k->c->spool), &cl, &e) != RC_OK) {
		check_say(k, CHECK_FAILURE, "api", NULL, "%s\ncomplete [account %s]", e.text,
		    a->name);
		return;
	}
	if (probe(k, cl, "api", a->api, a->ca_file) &
	    probe(k, cl, "token", a->token_url, a->ca_file)) {
		if (look_token(k, cl, a)) {
			if (a->hash_id != NULL)
				look_account(k, cl, a);
			look_subscription(k, cl, a);
		}
	}
	look_issuer(k, cl, a);
	look_public(k, cl, a);
	client_close(&cl);
}
