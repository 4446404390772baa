/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_subscription - show where Arken posts events to.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "api.h"
#include "client.h"
#include "ctl.h"
#include "out.h"
#include "subscription.h"

static void
print_json(const struct conf_account *a, const struct json *answer)
{
	struct buf line = BUF_SECRET(2 * SUBSCRIPTION_BODY);

	buf_str(&line, "{\"account\":");
	buf_json(&line, a->name);
	buf_str(&line, ",\"subscription\":");
	subscription_mask(answer, &line);
	buf_str(&line, "}\n");
	out_json(&line);
	buf_wipe(&line);
}

static void
print_text(const struct conf_account *a, const struct json *answer)
{
	struct buf masked = BUF_SECRET(SUBSCRIPTION_BODY);
	struct buf text = BUF_SECRET(4 * SUBSCRIPTION_BODY);
	struct json *doc = NULL;

	subscription_mask(answer, &masked);
	if (json_parse(buf_text(&masked), masked.n, &doc, NULL) == RC_OK)
		json_print(&text, doc);
	json_free(&doc);
	buf_str(&text, "\n");
	out_json(&text);
	if (a->public_url != NULL && !subscription_says(answer, a->public_url))
		(void)ctl_fail(
		    0, "public_url of the configuration, %s, is not in it", a->public_url);
	buf_wipe(&text);
	buf_wipe(&masked);
}

static int
show(const struct ctl *c, const struct conf_account *a, bool json)
{
	struct client_answer ans = {0};
	struct client *cl = NULL;
	struct http_request rq;
	struct json *doc = NULL;
	struct err e = {0};
	char url[HTTP_URL];
	int status = EX_OK;
	enum rc rc;

	if ((rc = client_open(c->conf, a, spool_counts(c->spool), &cl, &e)) != RC_OK ||
	    (rc = api_url(a, a->subscription_get, url, &e)) != RC_OK)
		goto out;
	client_request(cl, url, &rq);
	rq.max_body = SUBSCRIPTION_BODY / 8;
	if ((rc = client_call(cl, &rq, &ans, &e)) != RC_OK)
		goto out;
	if (ans.http.status == 204 || ans.http.body_len == 0)
		rc = RC_GONE;
	else if ((rc = json_parse(ans.http.body, ans.http.body_len, &doc, &e)) == RC_OK)
		(json ? print_json : print_text)(a, doc);
out:
	if (rc == RC_GONE)
		status = ctl_fail(EX_NOINPUT,
		    "account %s has no subscription: \"spoolctl subscribe\" makes one",
		    a->name);
	else if (rc != RC_OK)
		status = ctl_fail(err_exit(rc), "%s", e.text);
	json_free(&doc);
	client_answer_free(&ans);
	client_close(&cl);
	return status;
}

int
cmd_subscription(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {{"account", required_argument, NULL, CTL_ACCOUNT},
	    {"json", no_argument, NULL, CTL_JSON}, {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0}};
	const struct conf_account *a;
	const char *account = NULL;
	bool json = false;
	int opt, status;

	while ((opt = ctl_option(c, argc, argv, ":h", names)) >= 0) {
		if (opt == CTL_ACCOUNT)
			account = optarg;
		json = json || opt == CTL_JSON;
	}
	if (opt != CTL_END)
		return ctl_option_exit(opt);
	if (optind < argc)
		return ctl_usage(c, "it takes no arguments");
	if ((status = ctl_read_options(c)) != EX_OK)
		return status;
	if ((a = ctl_account(c, account, &status)) == NULL || (status = ctl_enter(c)) != EX_OK)
		return status;
	return show(c, a, json);
}
