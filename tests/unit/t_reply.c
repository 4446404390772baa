/*
 * SPDX-License-Identifier: ISC
 *
 * t_reply - each answer: its status, its header, its body.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "json.h"
#include "reply.h"
#include "str.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The body of an answer, after its header was found to be well formed. */
static const char *
check_message(const struct buf *b, const char *type)
{
	const char *body, *text = buf_text(b);
	char line[128];

	assert_false(b->broken);
	assert_true(str_begins(text, "Status: "));
	body = strstr(text, "\r\n\r\n");
	assert_non_null(body);
	body += 4;
	assert_int_equal(strlen(text), b->n);
	(void)snprintf(line, sizeof(line), "\r\nContent-Length: %zu\r\n", strlen(body));
	assert_non_null(strstr(text, line));
	(void)snprintf(line, sizeof(line), "\r\nContent-Type: %s\r\n", type);
	assert_non_null(strstr(text, line));
	assert_non_null(strstr(text, "\r\nCache-Control: no-store\r\n"));
	assert_non_null(strstr(text, "\r\nX-Content-Type-Options: nosniff\r\n"));
	for (const char *p = text; p < body; p++)
		assert_true(*p != '\n' || p[-1] == '\r');
	return body;
}

static struct json *
parse(const char *body)
{
	struct json *doc;
	struct err e = {0};

	assert_int_equal(json_parse(body, strlen(body), &doc, &e), RC_OK);
	return doc;
}

static void
test_refusals(void **state)
{
	static const struct {
		enum reply r;
		int status;
		const char *line, *header; /* NULL: none of those that belong to a case */
	} t[] = {
	    {REPLY_NOT_FOUND, 404, "Status: 404 Not Found\r\n", NULL},
	    {REPLY_METHOD, 405, "Status: 405 Method Not Allowed\r\n", "\r\nAllow: POST\r\n"},
	    {REPLY_UNAUTHORIZED, 401, "Status: 401 Unauthorized\r\n",
		"\r\nWWW-Authenticate: ArkenSecret realm=\"arkenspool\"\r\n"},
	    {REPLY_NO_TOKEN, 401, "Status: 401 Unauthorized\r\n",
		"\r\nWWW-Authenticate: Bearer realm=\"arkenspool\"\r\n"},
	    {REPLY_BAD_TOKEN, 401, "Status: 401 Unauthorized\r\n",
		"\r\nWWW-Authenticate: Bearer realm=\"arkenspool\", error=\"invalid_token\", "
		"error_description=\"The access token is not valid\"\r\n"},
	    {REPLY_NO_KEYS, 503, "Status: 503 Service Unavailable\r\n",
		"\r\nRetry-After: 30\r\n"},
	    {REPLY_MALFORMED, 400, "Status: 400 Bad Request\r\n", NULL},
	    {REPLY_TOO_LARGE, 413, "Status: 413 Content Too Large\r\n", NULL},
	    {REPLY_MEDIA, 415, "Status: 415 Unsupported Media Type\r\n", NULL},
	    {REPLY_SHORT, 400, "Status: 400 Bad Request\r\n", NULL},
	    {REPLY_NOT_EVENT, 400, "Status: 400 Bad Request\r\n", NULL},
	    {REPLY_OTHER_ACCOUNT, 403, "Status: 403 Forbidden\r\n", NULL},
	    {REPLY_UNAVAILABLE, 503, "Status: 503 Service Unavailable\r\n",
		"\r\nRetry-After: 30\r\n"},
	    {REPLY_STATUS_METHOD, 405, "Status: 405 Method Not Allowed\r\n",
		"\r\nAllow: GET, HEAD\r\n"},
	    {REPLY_STATUS_DENIED, 401, "Status: 401 Unauthorized\r\n",
		"\r\nWWW-Authenticate: Bearer realm=\"arkenspool status\", "
		"Basic realm=\"arkenspool status\"\r\n"},
	};
	static const char *const special[] = {"Allow:", "WWW-Authenticate:", "Retry-After:"};

	(void)state;
	assert_int_equal(COUNT(t) + 2, REPLY_CASES);
	for (size_t i = 0; i < COUNT(t); i++) {
		struct buf b = BUF_INIT(REPLY_SIZE);
		struct json *doc;
		int64_t status;

		reply_refused(&b, t[i].r);
		doc = parse(check_message(&b, "application/problem+json"));
		assert_true(str_begins(b.p, t[i].line));
		assert_int_equal(reply_status(t[i].r), t[i].status);
		assert_true(json_int(json_get(doc, "status"), 100, 599, &status));
		assert_int_equal(status, t[i].status);
		assert_string_equal(json_string(json_get(doc, "type")), "about:blank");
		assert_non_null(json_string(json_get(doc, "title")));
		assert_true(strlen(json_string(json_get(doc, "detail"))) > 10);
		if (t[i].header != NULL)
			assert_non_null(strstr(b.p, t[i].header));
		for (size_t k = 0; k < COUNT(special); k++)
			if (t[i].header == NULL || strstr(t[i].header, special[k]) == NULL)
				assert_null(strstr(b.p, special[k]));
		json_free(&doc);
		buf_free(&b);
	}
}

static void
test_only_the_sync_makes_200(void **state)
{
	(void)state;
	for (int r = 0; r < REPLY_CASES; r++) {
		int status = reply_status((enum reply)r);

		assert_int_equal(status == 200, r == REPLY_ACCEPTED || r == REPLY_STATUS);
		assert_true(status == 200 || status >= 400);
		assert_true(status != 410);
		assert_non_null(reply_name((enum reply)r));
	}
}

/* What is counted together with r: cases that differ in what they tell the client alone. */
static enum reply
counted_as(enum reply r)
{
	if (r == REPLY_NO_TOKEN || r == REPLY_BAD_TOKEN)
		return REPLY_UNAUTHORIZED;
	return r == REPLY_NO_KEYS ? REPLY_UNAVAILABLE : r;
}

/* Each other case has a counter of its own, one of the family of answers. */
static void
test_every_case_is_counted(void **state)
{
	(void)state;
	for (int r = 0; r < REPLY_CASES; r++) {
		enum count what = reply_count((enum reply)r);

		assert_true(what < COUNT_END);
		assert_string_equal(count_row(what)->name, "requests_total");
		for (int k = 0; k < r; k++)
			assert_int_equal(what == reply_count((enum reply)k),
			    counted_as((enum reply)r) == counted_as((enum reply)k));
	}
}

static void
test_page(void **state)
{
	static const struct {
		bool well, head;
		const char *line;
	} t[] = {{true, false, "Status: 200 OK\r\n"}, {true, true, "Status: 200 OK\r\n"},
	    {false, false, "Status: 503 Service Unavailable\r\n"},
	    {false, true, "Status: 503 Service Unavailable\r\n"}};
	struct buf text = BUF_INIT(64);

	(void)state;
	buf_str(&text, "{\"status\":\"well\"}\n");
	for (size_t i = 0; i < COUNT(t); i++) {
		struct buf b = BUF_INIT(REPLY_SIZE);

		reply_page(&b, t[i].well, "application/json", &text, t[i].head);
		if (t[i].head) { /* as GET, without the text (RFC 9110 section 9.3.2) */
			assert_true(strstr(b.p, "\r\n\r\n")[4] == '\0');
			buf_add(&b, text.p, text.n);
		}
		assert_string_equal(check_message(&b, "application/json"), text.p);
		assert_true(str_begins(b.p, t[i].line));
		buf_free(&b);
	}
	buf_free(&text);
}

static void
check_one(bool duplicate, const char *id, const char *body)
{
	const struct reply_item item = {.id = id, .duplicate = duplicate};
	struct buf b = BUF_INIT(REPLY_SIZE);

	reply_accepted(&b, &item, 1, false);
	assert_string_equal(check_message(&b, "application/json"), body);
	assert_true(str_begins(b.p, "Status: 200 OK\r\n"));
	buf_free(&b);
}

static void
test_one_event(void **state)
{
	(void)state;
	check_one(false, "n-7", "{\"status\":\"accepted\",\"id\":\"n-7\"}\n");
	check_one(true, "n-7", "{\"status\":\"duplicate\",\"id\":\"n-7\"}\n");
	check_one(false, "a\"b", "{\"status\":\"accepted\",\"id\":\"a\\\"b\"}\n");
}

static void
check_array(const struct reply_item *items, size_t n, const char *body)
{
	struct buf b = BUF_INIT(REPLY_SIZE);

	reply_accepted(&b, items, n, true);
	assert_string_equal(check_message(&b, "application/json"), body);
	buf_free(&b);
}

static void
test_array(void **state)
{
	const struct reply_item mixed[] = {{"a", true}, {"b", false}}, old[] = {{"a", true}};

	(void)state;
	check_array(mixed, 2,
	    "{\"status\":\"accepted\",\"events\":[{\"status\":\"duplicate\",\"id\":\"a\"},"
	    "{\"status\":\"accepted\",\"id\":\"b\"}]}\n");
	check_array(old, 1,
	    "{\"status\":\"duplicate\",\"events\":[{\"status\":\"duplicate\",\"id\":\"a\"}]}"
	    "\n");
}

static void
test_largest_array_fits(void **state)
{
	struct reply_item items[1000];
	char id[66];
	struct buf b = BUF_INIT(REPLY_SIZE);

	(void)state;
	memset(id, 'x', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	for (size_t i = 0; i < COUNT(items); i++)
		items[i] = (struct reply_item){.id = id, .duplicate = true};
	reply_accepted(&b, items, COUNT(items), true);
	(void)check_message(&b, "application/json");
	buf_free(&b);
}

static void
test_no_room_is_said(void **state)
{
	struct buf b = BUF_INIT(64);

	(void)state;
	reply_refused(&b, REPLY_UNAVAILABLE);
	assert_true(b.broken);
	buf_free(&b);
}

static void
test_last_resort(void **state)
{
	struct buf b = BUF_INIT(1024);

	(void)state;
	buf_str(&b, reply_last_resort());
	assert_true(str_begins(b.p, "Status: 503 "));
	assert_string_equal(check_message(&b, "application/problem+json"), "");
	assert_non_null(strstr(b.p, "\r\nRetry-After: 30\r\n"));
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_only_the_sync_makes_200),
	    cmocka_unit_test(test_every_case_is_counted),
	    cmocka_unit_test(test_page),
	    cmocka_unit_test(test_one_event),
	    cmocka_unit_test(test_array),
	    cmocka_unit_test(test_largest_array_fits),
	    cmocka_unit_test(test_no_room_is_said),
	    cmocka_unit_test(test_last_resort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
