/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_subscribe - tell Arken where to post events, and with which credential.
 *
 * The secret is read, and if need be made, before root is given up: its file is the receiver's.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "api.h"
#include "client.h"
#include "ctl.h"
#include "evlog.h"
#include "log.h"
#include "out.h"
#include "str.h"
#include "subscription.h"

enum { OWN_URL = CTL_OWN, OWN_SECRET, OWN_OPENID, OWN_NEW_SECRET, OWN_REPLACE };

enum way { WAY_UNSAID, WAY_SECRET, WAY_OPENID };

struct order {
	const char *account, *url;
	enum way way;
	bool new_secret, replace, yes, dry_run, json;
	const struct conf_account *a;
	struct subscription s;
	struct buf secret; /* of either kind */
	bool make;         /* there is none: one is to be made */
};

/* ---- what is to be sent ---- */

static enum rc
choose_way(struct order *o, struct err *e)
{
	const struct conf_account *a = o->a;
	bool secret = a->secret_header != NULL, openid = a->subscription_client_id != NULL;

	if (o->way == WAY_UNSAID && secret && openid)
		return err_set(e, RC_CONFIG,
		    "account %s has both credentials: choose with --secret or --openid",
		    a->name);
	if (o->way == WAY_UNSAID)
		o->way = openid ? WAY_OPENID : WAY_SECRET;
	if (o->way == WAY_SECRET && !secret)
		return err_set(e, RC_CONFIG,
		    "account %s has no secret_header and secret_file%s", a->name,
		    a->issuer != NULL ? ", and no subscription_client_id for OpenID Connect"
				      : "");
	if (o->way == WAY_OPENID && (a->issuer == NULL || a->subscription_token_url == NULL ||
					a->subscription_client_id == NULL ||
					a->subscription_client_secret_file == NULL))
		return err_set(e, RC_CONFIG,
		    "account %s: --openid needs issuer, subscription_token_url, "
		    "subscription_client_id and subscription_client_secret_file",
		    a->name);
	return RC_OK;
}

/* The newest secret there is; none of ours is made before it was asked. */
static enum rc
read_secret(struct order *o, struct err *e)
{
	const char *path = o->way == WAY_SECRET ? o->a->secret_file
						: o->a->subscription_client_secret_file;
	enum rc rc = subscription_secret(path, &o->secret, e);

	if (rc != RC_OK && rc != RC_GONE)
		return rc;
	if (o->way == WAY_OPENID)
		return rc == RC_GONE ? RC_CONFIG : RC_OK;
	o->make = rc == RC_GONE || o->new_secret;
	return RC_OK;
}

static enum rc
prepare(struct order *o, struct err *e)
{
	const struct conf_account *a = o->a;
	enum rc rc;

	if (o->url == NULL && (o->url = a->public_url) == NULL)
		return err_set(e, RC_CONFIG,
		    "account %s has no public_url: add it, or give --url", a->name);
	if (a->hash_id == NULL)
		return err_set(e, RC_CONFIG, "account %s has no hash_id", a->name);
	if ((rc = conf_account_complete(a, e)) != RC_OK || (rc = choose_way(o, e)) != RC_OK ||
	    (rc = read_secret(o, e)) != RC_OK)
		return rc;
	o->s = (struct subscription){
	    .account_hash = a->hash_id, .url = o->url, .version = a->subscription_version};
	if (o->way == WAY_SECRET) {
		o->s.header = a->secret_header;
		return RC_OK;
	}
	o->s.token_url = a->subscription_token_url;
	o->s.client_id = a->subscription_client_id;
	o->s.audience = a->audience;
	return RC_OK;
}

/* The body with this for its secret. */
static enum rc
body_with(struct order *o, const char *secret, struct buf *out, struct err *e)
{
	if (o->way == WAY_SECRET)
		o->s.secret = secret;
	else
		o->s.client_secret = secret;
	return subscription_body(o->a->subscription_body, &o->s, out, e);
}

static void
show_json(const struct order *o, const char *url, const struct buf *body)
{
	struct buf line = BUF_INIT(2 * SUBSCRIPTION_BODY);

	buf_str(&line, "{\"account\":");
	buf_json(&line, o->a->name);
	buf_fmt(
	    &line, ",\"dry_run\":true,\"method\":\"%s\",\"url\":", o->replace ? "PUT" : "POST");
	buf_json(&line, url);
	buf_fmt(&line, ",\"new_secret\":%s,\"body\":", o->make ? "true" : "false");
	buf_add(&line, body->p, body->n);
	buf_str(&line, "}\n");
	out_json(&line);
	buf_free(&line);
}

static void
show_text(const struct order *o, const char *url, const struct buf *body)
{
	struct buf text = BUF_INIT(2 * SUBSCRIPTION_BODY);
	struct json *doc = NULL;

	(void)printf("%s ", o->replace ? "PUT" : "POST");
	(void)out_str(url);
	(void)putchar('\n');
	if (json_parse(body->p, body->n, &doc, NULL) == RC_OK)
		json_print(&text, doc);
	json_free(&doc);
	buf_str(&text, "\n");
	out_json(&text);
	if (o->make) {
		(void)printf("A new secret is made and added to ");
		(void)out_str(o->a->secret_file);
		(void)putchar('\n');
	}
	buf_free(&text);
}

/* What will be sent, but for its secrets. */
static enum rc
show(struct order *o, char url[HTTP_URL], struct err *e)
{
	struct buf body = BUF_SECRET(SUBSCRIPTION_BODY);
	enum rc rc;

	if ((rc = api_url(o->a, o->a->subscription_post, url, e)) == RC_OK &&
	    (rc = body_with(o, SUBSCRIPTION_MASK, &body, e)) == RC_OK) {
		if (o->json && o->dry_run)
			show_json(o, url, &body);
		else if (!o->json)
			show_text(o, url, &body);
	}
	buf_wipe(&body);
	return rc;
}

/* ---- sending it ---- */

static void
tell(const struct ctl *c, const struct order *o, int status)
{
	struct buf line = BUF_INIT(SUBSCRIPTION_BODY);
	struct err e = {0};

	if (o->json) {
		buf_str(&line, "{\"account\":");
		buf_json(&line, o->a->name);
		buf_str(&line, ",\"subscribed\":true,\"url\":");
		buf_json(&line, o->url);
		buf_fmt(&line, ",\"credential\":\"%s\",\"new_secret\":%s,\"status\":%d}\n",
		    o->way == WAY_SECRET ? "secret" : "openid", o->make ? "true" : "false",
		    status);
		out_json(&line);
	} else {
		(void)printf("account %s is subscribed: Arken posts to ", o->a->name);
		(void)out_str(o->url);
		(void)printf(o->make ? " with the new secret; older lines of the file stay "
				       "valid until you remove them\n"
				     : "\n");
	}
	buf_free(&line);
	if (evlog_put(spool_log_dir(c->spool), c->now, "subscribe", NULL, &e, "account",
		o->a->name, "url", o->url, "credential",
		o->way == WAY_SECRET ? "secret" : "openid", "operator", c->operator, "uid",
		c->uid, LOG_END) != RC_OK)
		(void)ctl_fail(0, "done, but not written to the spool's log: %s", e.text);
}

/* A refusal might repeat what was sent. */
static int
refused(const struct order *o, const struct client_answer *ans, enum rc rc, struct err *e)
{
	if (strstr(e->text, buf_text(&o->secret)) != NULL)
		(void)err_set(e, rc, "the API answered %d", ans->http.status);
	if (o->make)
		(void)ctl_fail(0,
		    "the new secret stays in %s, and is the one that is sent the "
		    "next time",
		    o->a->secret_file);
	if (ans->http.status == 409 && !o->replace)
		return ctl_fail(EX_DATAERR,
		    "%s; \"spoolctl subscription\" shows the one there is, --replace "
		    "replaces it",
		    e->text);
	return ctl_fail(err_exit(rc), "%s", e->text);
}

static int
send_order(struct ctl *c, struct order *o, const char *url)
{
	struct buf body = BUF_SECRET(SUBSCRIPTION_BODY);
	struct client_answer ans = {0};
	struct client *cl = NULL;
	struct http_request rq;
	struct err e = {0};
	int status = EX_OK;
	enum rc rc;

	if ((rc = body_with(o, buf_text(&o->secret), &body, &e)) != RC_OK ||
	    (rc = client_open(c->conf, o->a, spool_counts(c->spool), &cl, &e)) != RC_OK)
		goto out;
	client_request(cl, url, &rq);
	client_json(&rq, o->replace ? "PUT" : NULL, &body);
	if ((rc = client_call(cl, &rq, &ans, &e)) == RC_OK)
		tell(c, o, ans.http.status);
out:
	if (rc != RC_OK)
		status = refused(o, &ans, rc, &e);
	client_answer_free(&ans);
	client_close(&cl);
	buf_wipe(&body);
	return status;
}

static int
run(struct ctl *c, struct order *o)
{
	char url[HTTP_URL];
	struct err e = {0};
	int status;
	enum rc rc;

	if ((status = ctl_read_options(c)) != EX_OK)
		return status;
	if ((o->a = ctl_account(c, o->account, &status)) == NULL)
		return status;
	if ((rc = prepare(o, &e)) != RC_OK || (rc = show(o, url, &e)) != RC_OK)
		return ctl_fail(err_exit(rc), "%s", e.text);
	if (o->dry_run)
		return EX_OK;
	if (!o->yes && !ctl_confirm())
		return ctl_fail(EX_OK, "nothing is sent");
	if (o->make) {
		buf_clear(&o->secret);
		rc = subscription_new_secret(o->a->secret_file, c->opt.group, &o->secret, &e);
	}
	if (rc != RC_OK)
		return ctl_fail(err_exit(rc), "no secret can be made: %s%s", e.text,
		    rc == RC_DENIED ? "; run it as root (sudo)" : "");
	if ((status = ctl_enter(c)) != EX_OK)
		return status;
	return send_order(c, o, url);
}

static const struct option names[] = {{"account", required_argument, NULL, CTL_ACCOUNT},
    {"url", required_argument, NULL, OWN_URL}, {"secret", no_argument, NULL, OWN_SECRET},
    {"openid", no_argument, NULL, OWN_OPENID},
    {"new-secret", no_argument, NULL, OWN_NEW_SECRET},
    {"replace", no_argument, NULL, OWN_REPLACE}, {"yes", no_argument, NULL, 'y'},
    {"dry-run", no_argument, NULL, 'n'}, {"json", no_argument, NULL, CTL_JSON},
    {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};

static int
read_order(struct ctl *c, int argc, char **argv, struct order *o)
{
	bool both = false;
	int opt;

	while ((opt = ctl_option(c, argc, argv, ":hyn", names)) >= 0) {
		if (opt == CTL_ACCOUNT)
			o->account = optarg;
		else if (opt == OWN_URL)
			o->url = optarg;
		both = both || (opt == OWN_SECRET && o->way == WAY_OPENID) ||
		       (opt == OWN_OPENID && o->way == WAY_SECRET);
		if (opt == OWN_SECRET || opt == OWN_OPENID)
			o->way = opt == OWN_SECRET ? WAY_SECRET : WAY_OPENID;
		o->new_secret = o->new_secret || opt == OWN_NEW_SECRET;
		o->replace = o->replace || opt == OWN_REPLACE;
		o->yes = o->yes || opt == 'y';
		o->dry_run = o->dry_run || opt == 'n';
		o->json = o->json || opt == CTL_JSON;
	}
	if (opt != CTL_END)
		return opt;
	if (optind < argc)
		(void)ctl_usage(c, "it takes no arguments");
	else if (both || (o->new_secret && o->way == WAY_OPENID))
		(void)ctl_usage(c, "--openid goes with neither --secret nor --new-secret");
	else if (o->url != NULL && !conf_url_ok(o->url))
		(void)ctl_usage(c, "--url: expected an https URL (http only to this machine)");
	else
		return CTL_END;
	return CTL_BAD;
}

int
cmd_subscribe(struct ctl *c, int argc, char **argv)
{
	struct order o = {.secret = BUF_SECRET(CONF_FILE_MAX)};
	int opt = read_order(c, argc, argv, &o);
	int status = opt == CTL_END ? run(c, &o) : ctl_option_exit(opt);

	buf_wipe(&o.secret);
	return status;
}
