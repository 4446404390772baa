/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_unsubscribe - have Arken post no more events.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "api.h"
#include "client.h"
#include "ctl.h"
#include "evlog.h"
#include "log.h"
#include "out.h"

struct order {
	const char *account;
	const struct conf_account *a;
	bool yes, dry_run, json;
};

static void
print(const struct order *o, const char *url, int status)
{
	struct buf line = BUF_INIT(2 * HTTP_URL);

	if (!o->json && status == 0) {
		(void)printf("DELETE ");
		(void)out_str(url);
		(void)putchar('\n');
	} else if (!o->json) {
		(void)printf("account %s is subscribed no more\n", o->a->name);
	} else if (status != 0 || o->dry_run) {
		buf_str(&line, "{\"account\":");
		buf_json(&line, o->a->name);
		if (status == 0) {
			buf_str(&line, ",\"dry_run\":true,\"method\":\"DELETE\",\"url\":");
			buf_json(&line, url);
		} else {
			buf_fmt(&line, ",\"subscribed\":false,\"status\":%d", status);
		}
		buf_str(&line, "}\n");
		out_json(&line);
	}
	buf_free(&line);
}

static int
send_order(const struct ctl *c, const struct order *o, const char *url)
{
	struct client_answer ans = {0};
	struct client *cl = NULL;
	struct http_request rq;
	struct err e = {0};
	enum rc rc;

	if ((rc = client_open(c->conf, o->a, spool_counts(c->spool), &cl, &e)) == RC_OK) {
		client_request(cl, url, &rq);
		rq.method = "DELETE";
		rc = client_call(cl, &rq, &ans, &e);
	}
	if (rc == RC_OK) {
		print(o, url, ans.http.status);
		if (evlog_put(spool_log_dir(c->spool), c->now, "unsubscribe", NULL, &e,
			"account", o->a->name, "operator", c->operator, "uid", c->uid,
			LOG_END) != RC_OK)
			(void)ctl_fail(
			    0, "done, but not written to the spool's log: %s", e.text);
	}
	client_answer_free(&ans);
	client_close(&cl);
	if (rc == RC_GONE)
		return ctl_fail(EX_NOINPUT, "account %s has no subscription", o->a->name);
	return rc == RC_OK ? EX_OK : ctl_fail(err_exit(rc), "%s", e.text);
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
	if ((rc = conf_account_complete(o->a, &e)) != RC_OK ||
	    (rc = api_url(o->a, o->a->subscription_get, url, &e)) != RC_OK)
		return ctl_fail(err_exit(rc), "account %s: %s", o->a->name, e.text);
	print(o, url, 0);
	if (o->dry_run)
		return EX_OK;
	if (!o->yes && !ctl_confirm())
		return ctl_fail(EX_OK, "nothing is sent");
	if ((status = ctl_enter(c)) != EX_OK)
		return status;
	return send_order(c, o, url);
}

int
cmd_unsubscribe(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {{"account", required_argument, NULL, CTL_ACCOUNT},
	    {"yes", no_argument, NULL, 'y'}, {"dry-run", no_argument, NULL, 'n'},
	    {"json", no_argument, NULL, CTL_JSON}, {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0}};
	struct order o = {0};
	int opt;

	while ((opt = ctl_option(c, argc, argv, ":hyn", names)) >= 0) {
		if (opt == CTL_ACCOUNT)
			o.account = optarg;
		o.yes = o.yes || opt == 'y';
		o.dry_run = o.dry_run || opt == 'n';
		o.json = o.json || opt == CTL_JSON;
	}
	if (opt != CTL_END)
		return ctl_option_exit(opt);
	if (optind < argc)
		return ctl_usage(c, "it takes no arguments");
	return run(c, &o);
}
