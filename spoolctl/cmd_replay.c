/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_replay - print a command that delivers an event again, as Arken would.
 *
 * Nothing is sent here.  The credential stands neither in the command nor in an argument of
 * what it runs: curl reads the header from a descriptor, which sed fills from the file that the
 * receiver reads.  The body comes from the spool, so no copy of it is left anywhere.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "buf.h"
#include "conf.h"
#include "ctl.h"
#include "name.h"
#include "out.h"
#include "pick.h"
#include "str.h"
#include "view.h"

#define COMMAND 16384 /* bytes of the command */

enum { REPLAY_URL = CTL_OWN, REPLAY_BEARER };

struct replay {
	const char *url;    /* NULL: public_url of the account */
	const char *bearer; /* a file with a token; NULL: the secret */
	bool json;
	char name[NAME_SIZE];
	enum spool_box box;
	const struct conf_account *account;
};

/*
 * sed prints the header with the first line that is not blank, without the blanks around it:
 * the rule of the receiver for its file.
 */
static void
add_header(struct buf *b, const char *header, const char *scheme, const char *file)
{
	buf_fmt(b,
	    "sed -n '/[^[:space:]]/{s/^[[:space:]]*//;s/[[:space:]]*$//;s/^/%s: %s/p;q;}' ",
	    header, scheme);
	ctl_word(b, file);
}

static void
add_curl(struct ctl *c, struct buf *b, const struct replay *r)
{
	buf_str(b, " | {\n  ");
	ctl_self(c, b);
	buf_fmt(b, "show --body %s |\n", r->name);
	buf_str(b, "  curl -sS --fail-with-body -H @/dev/fd/3 "
		   "-H 'Content-Type: application/json' \\\n    --data-binary @- ");
	ctl_word(b, r->url);
	buf_str(b, "\n} 3<&0\n");
}

/* EX_OK, or why there is no such command; reported. */
static int
check(struct ctl *c, struct replay *r)
{
	struct name parts;
	struct err e = {0};
	struct view v;
	enum rc rc;

	if ((rc = view_read(c->spool, r->box, r->name, &v, &e)) != RC_OK)
		return ctl_fail(err_exit(rc), "%s", e.text);
	if (!v.readable)
		return ctl_fail(EX_DATAERR, "the event is damaged: %s", v.why.text);
	if (v.rec.erased != 0)
		return ctl_fail(
		    EX_DATAERR, "the event was erased: there is nothing to deliver");
	r->account = name_parse(r->name, &parts) ? conf_account(c->conf, parts.account) : NULL;
	if (r->account == NULL)
		return ctl_fail(EX_CONFIG,
		    "account %s is not in the configuration: where it is delivered is not "
		    "known",
		    parts.account);
	if (r->url == NULL && (r->url = r->account->public_url) == NULL)
		return ctl_fail(EX_CONFIG,
		    "where to? Give --url URL, or public_url in [account %s]",
		    r->account->name);
	if (r->bearer != NULL && r->account->issuer == NULL)
		return ctl_fail(EX_CONFIG,
		    "account %s takes no bearer token: it has no issuer; leave out --bearer",
		    r->account->name);
	if (r->bearer == NULL && r->account->secret_file == NULL)
		return ctl_fail(EX_CONFIG,
		    r->account->issuer != NULL
			? "account %s takes bearer tokens only: put one of its issuer into a "
			  "file, and name it with --bearer FILE"
			: "account %s has neither secret_file nor issuer: it refuses every "
			  "request",
		    r->account->name);
	return EX_OK;
}

static int
print_command(struct ctl *c, const struct replay *r)
{
	struct buf b = BUF_INIT(COMMAND), j = BUF_INIT(4 * COMMAND);
	int status = EX_OK;

	if (r->bearer != NULL)
		add_header(&b, "Authorization", "Bearer ", r->bearer);
	else
		add_header(&b, r->account->secret_header, "", r->account->secret_file);
	add_curl(c, &b, r);
	buf_str(&j, "{\"event\":");
	buf_json(&j, r->name);
	buf_str(&j, ",\"url\":");
	buf_json(&j, r->url);
	buf_str(&j, ",\"command\":");
	buf_json(&j, buf_text(&b));
	buf_str(&j, "}\n");
	if (buf_state(&b, NULL) != RC_OK || buf_state(&j, NULL) != RC_OK)
		status = ctl_fail(EX_DATAERR, "the command would be too long");
	else
		out_json(r->json ? &j : &b);
	buf_free(&b);
	buf_free(&j);
	return status;
}

int
cmd_replay(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {{"url", required_argument, NULL, REPLAY_URL},
	    {"bearer", required_argument, NULL, REPLAY_BEARER},
	    {"json", no_argument, NULL, CTL_JSON}, {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0}};
	struct replay r = {.box = SPOOL_NEW};
	int opt, status;

	while ((opt = ctl_option(c, argc, argv, ":h", names)) >= 0) {
		if (opt == REPLAY_URL && !conf_url_ok(optarg))
			return ctl_usage(c,
			    "--url \"%.80s\": expected https, or http to this machine", optarg);
		if (opt == REPLAY_URL)
			r.url = optarg;
		else if (opt == REPLAY_BEARER)
			r.bearer = optarg;
		else
			r.json = true;
	}
	if (opt != CTL_END)
		return ctl_option_exit(opt);
	if (c->spool_path != NULL)
		return ctl_usage(c, "it takes the configuration of the event's account: leave "
				    "out -s");
	if ((status = pick_one(c, argc - optind, argv + optind, r.name, &r.box)) != EX_OK ||
	    (status = check(c, &r)) != EX_OK)
		return status;
	return print_command(c, &r);
}
