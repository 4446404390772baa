/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_show - print one event: header fields and body, or its bytes.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "ctl.h"
#include "json.h"
#include "out.h"
#include "pick.h"

#define SHOW_MAX (64 * 1024 * 1024 + REC_HEAD_MAX) /* max_body is never more than 64M */
#define SHOW_ODD 65536                             /* bytes shown of a body that is not JSON */

enum how { SHOW_PRETTY, SHOW_RAW, SHOW_BODY };

/* The end of the header: where its empty line begins; n if there is none. */
static size_t
head_length(const char *p, size_t n)
{
	const char *end = memmem(p, n, "\n\n", 2);

	return end != NULL ? (size_t)(end - p) + 1 : n;
}

static void
print_header(const char *p, size_t n)
{
	while (n > 0) {
		const char *nl = memchr(p, '\n', n);
		size_t len = nl != NULL ? (size_t)(nl - p) : n;
		const char *colon = memchr(p, ':', len);
		size_t name = colon != NULL ? (size_t)(colon - p) : 0;

		out_colour(OUT_BOLD);
		(void)out_text(p, name);
		out_plain();
		(void)out_text(p + name, len - name);
		(void)printf("\n");
		p += len + (nl != NULL);
		n -= len + (nl != NULL);
	}
}

/* Bytes that are no JSON, as text. */
static void
print_odd(const char *p, size_t n)
{
	size_t shown = n < SHOW_ODD ? n : SHOW_ODD;

	out_lines(p, shown);
	if (shown > 0 && p[shown - 1] != '\n')
		(void)printf("\n");
	if (shown < n)
		(void)printf("(%zu more bytes: see them with --body)\n", n - shown);
}

static void
print_body(const char *p, size_t n)
{
	struct buf out = BUF_INIT(4 * (size_t)SHOW_MAX); /* indenting may double it and more */
	struct json *doc = NULL;
	struct err e = {0};

	if (json_parse(p, n, &doc, &e) == RC_OK) {
		json_print(&out, doc);
		if (buf_state(&out, &e) == RC_OK) {
			out_json(&out);
			(void)printf("\n");
		}
	}
	if (e.text[0] != '\0') {
		(void)ctl_fail(0, "the body is not shown as JSON: %s", e.text);
		print_odd(p, n);
	}
	json_free(&doc);
	buf_free(&out);
}

static int
print_event(const struct buf *b, const struct rec *r, enum how how)
{
	size_t head;

	if (how == SHOW_RAW) {
		(void)fwrite(buf_text(b), 1, b->n, stdout);
		return EX_OK;
	}
	if (how == SHOW_BODY) {
		(void)fwrite(r->body, 1, r->body_len, stdout);
		return EX_OK;
	}
	head = head_length(buf_text(b), b->n);
	print_header(buf_text(b), head);
	(void)printf("\n");
	if (r->erased != 0) {
		(void)printf("(erased: there is no body any more)\n");
		return EX_OK;
	}
	print_body(r->body, r->body_len);
	return EX_OK;
}

/* What a damaged file still says, for people. */
static int
print_damaged(const struct buf *b, enum how how, const struct err *why)
{
	size_t head = head_length(buf_text(b), b->n);

	if (how == SHOW_PRETTY) {
		print_header(buf_text(b), head);
		(void)printf("\n");
		if (head < b->n)
			print_odd(buf_text(b) + head + 1, b->n - head - 1);
	}
	return ctl_fail(
	    EX_DATAERR, "the event is damaged: %s; --raw writes the file as it is", why->text);
}

static int
show_event(struct ctl *c, enum spool_box box, const char *name, enum how how)
{
	struct buf b = BUF_INIT(SHOW_MAX);
	struct spool_item it;
	struct err e = {0};
	struct rec r;
	enum rc rc;
	int status;

	if ((rc = spool_peek(c->spool, box, name, &it, &e)) != RC_OK)
		return ctl_fail(err_exit(rc), "%s", e.text);
	rc = spool_read(&it, &b, &r, &e);
	if (rc == RC_OK || (rc == RC_BAD && how == SHOW_RAW))
		status = print_event(&b, &r, how);
	else if (rc == RC_BAD)
		status = print_damaged(&b, how, &e);
	else
		status = ctl_fail(err_exit(rc), "%s", e.text);
	spool_unlock(&it);
	buf_free(&b);
	return status;
}

int
cmd_show(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {{"raw", no_argument, NULL, CTL_RAW},
	    {"body", no_argument, NULL, CTL_BODY}, {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0}};
	enum how how = SHOW_PRETTY;
	enum spool_box box = SPOOL_NEW;
	char name[NAME_SIZE] = "";
	int opt, status;

	while ((opt = ctl_option(c, argc, argv, ":h", names)) >= 0) {
		if (how != SHOW_PRETTY)
			return ctl_usage(c, "either --raw or --body, once");
		how = opt == CTL_RAW ? SHOW_RAW : SHOW_BODY;
	}
	if (opt != CTL_END)
		return ctl_option_exit(opt);
	if ((status = pick_one(c, argc - optind, argv + optind, name, &box)) != EX_OK)
		return status;
	return show_event(c, box, name, how);
}
