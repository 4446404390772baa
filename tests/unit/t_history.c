/*
 * SPDX-License-Identifier: ISC
 *
 * t_history - tests of history: hours, kinds, times and the latest events, bounded, and kept.
 */
#include "config.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "clk.h"
#include "history.h"
#include "str.h"

#define T0 (INT64_C(1772700000000) / CLK_HOUR * CLK_HOUR) /* a full hour */

static struct history *h;

static int
set_up(void **state)
{
	(void)state;
	(void)setenv("TZ", "UTC", 1);
	tzset();
	h = history_new();
	return h != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	history_free(&h);
	return 0;
}

static struct json *
as_json(int64_t now)
{
	struct buf b = BUF_INIT(1 << 20);
	struct json *doc;
	struct err e;

	buf_str(&b, "{");
	history_write(h, now, &b);
	buf_str(&b, "}");
	assert_int_equal(buf_state(&b, NULL), RC_OK);
	if (json_parse(b.p, b.n, &doc, &e) != RC_OK)
		fail_msg("%s: %s", e.text, b.p);
	buf_free(&b);
	return doc;
}

static int64_t
number(const struct json *doc, const char *pointer)
{
	int64_t n = -1;

	if (!json_int(json_at(doc, pointer), 0, INT64_MAX, &n))
		fail_msg("%s is no number", pointer);
	return n;
}

static size_t
length(const struct json *doc, const char *pointer)
{
	size_t n = 0;

	for (const struct json *v = json_first(json_at(doc, pointer)); v != NULL;
	     v = json_next(v))
		n++;
	return n;
}

/* The history goes through its text and back. */
static void
again(int64_t now)
{
	struct json *doc = as_json(now);

	history_free(&h);
	h = history_new();
	history_read(h, now, doc);
	json_free(&doc);
}

static void
hours(void **state)
{
	struct json *doc;

	(void)state;
	history_came(h, T0, "acme.k1.Client.Update");
	history_came(h, T0 + CLK_HOUR - 1, "acme.k2.Client.Update");
	history_came(h, T0 + CLK_HOUR, "acme.k3.FileStore.Upload");
	history_came(h, T0, "not a name");
	again(T0 + CLK_HOUR);
	doc = as_json(T0 + 2 * CLK_HOUR);
	assert_int_equal(length(doc, "/hours/kinds"), 2);
	assert_int_equal(length(doc, "/hours/kinds/0/counts"), HISTORY_HOURS);
	assert_true(number(doc, "/hours/from") == T0 - 45 * CLK_HOUR);
	assert_string_equal(json_string(json_at(doc, "/hours/kinds/0/kind")), "Client.Update");
	assert_int_equal(number(doc, "/hours/kinds/0/counts/45"), 2);
	assert_int_equal(number(doc, "/hours/kinds/1/counts/46"), 1);
	assert_int_equal(number(doc, "/hours/kinds/1/counts/47"), 0);
	json_free(&doc);
	again(T0 + 47 * CLK_HOUR);
	doc = as_json(T0 + 47 * CLK_HOUR);
	assert_int_equal(number(doc, "/hours/kinds/0/counts/0"), 2);
	json_free(&doc);
	doc = as_json(T0 + 48 * CLK_HOUR);
	assert_int_equal(number(doc, "/hours/kinds/0/counts/0"), 0);
	assert_int_equal(number(doc, "/hours/kinds/1/counts/0"), 1);
	json_free(&doc);
}

static void
kinds_are_bounded(void **state)
{
	char name[NAME_SIZE];
	struct json *doc;

	(void)state;
	for (int i = 0; i < HISTORY_KINDS + 5; i++) {
		(void)snprintf(name, sizeof(name), "acme.k.Kind%d.Update", i);
		history_came(h, T0, name);
	}
	again(T0);
	doc = as_json(T0);
	assert_int_equal(length(doc, "/hours/kinds"), HISTORY_KINDS + 1);
	assert_string_equal(json_string(json_at(doc, "/hours/kinds/32/kind")), "other");
	assert_int_equal(number(doc, "/hours/kinds/32/counts/47"), 5);
	json_free(&doc);
}

/* Every span of up to 49 days is told to an eighth. */
static void
times_are_near(void **state)
{
	int64_t got;

	(void)state;
	for (int64_t ms = 1; ms < INT64_C(4000000000); ms += 1 + ms / 7) {
		history_free(&h);
		h = history_new();
		history_took(h, T0, HISTORY_DONE, ms);
		assert_int_equal(history_times(h, T0, HISTORY_DONE, 500, &got), 1);
		if (llabs(got - ms) * 8 > ms)
			fail_msg("%" PRId64 " became %" PRId64, ms, got);
	}
}

static void
quantiles(void **state)
{
	int64_t half, most;

	(void)state;
	assert_int_equal(history_times(h, T0, HISTORY_DONE, 500, &half), 0);
	assert_true(half == 0);
	for (int i = 0; i < 94; i++)
		history_took(h, T0, HISTORY_DONE, 1000);
	for (int i = 0; i < 6; i++)
		history_took(h, T0, HISTORY_DONE, 60000);
	history_took(h, T0, HISTORY_DOCUMENT, 5000);
	again(T0 + CLK_HOUR);
	assert_int_equal(history_times(h, T0 + CLK_HOUR, HISTORY_DONE, 500, &half), 100);
	(void)history_times(h, T0 + CLK_HOUR, HISTORY_DONE, 950, &most);
	assert_in_range(half, 875, 1125);
	assert_in_range(most, 52500, 67500);
	assert_int_equal(history_times(h, T0, HISTORY_DOCUMENT, 500, &half), 1);
	assert_int_equal(history_times(h, T0 + 23 * CLK_HOUR, HISTORY_DONE, 500, &half), 100);
	assert_int_equal(history_times(h, T0 + 24 * CLK_HOUR, HISTORY_DONE, 500, &half), 0);
}

static void
today(void **state)
{
	const int64_t midnight = T0 / CLK_DAY * CLK_DAY + CLK_DAY;
	struct json *doc;

	(void)state;
	history_took(h, midnight - 2, HISTORY_DONE, 1);
	history_took(h, midnight - 1, HISTORY_DOCUMENT, 1);
	again(midnight - 1);
	doc = as_json(midnight - 1);
	assert_int_equal(number(doc, "/today/done"), 1);
	assert_int_equal(number(doc, "/today/documents"), 1);
	json_free(&doc);
	doc = as_json(midnight);
	assert_int_equal(number(doc, "/today/done"), 0);
	json_free(&doc);
	history_took(h, midnight, HISTORY_DONE, 1);
	again(midnight + CLK_DAY); /* of another day: not taken up */
	doc = as_json(midnight + CLK_DAY);
	assert_int_equal(number(doc, "/today/done"), 0);
	json_free(&doc);
}

static void
latest(void **state)
{
	struct history_event *ev;
	char name[NAME_SIZE];
	struct json *doc;

	(void)state;
	for (int i = 0; i < HISTORY_LATEST + 10; i++) {
		(void)snprintf(name, sizeof(name), "acme.k%d.Client.Update", i);
		(void)history_event(h, T0 + i, name);
	}
	assert_null(history_find(h, "acme.k9.Client.Update"));
	assert_non_null(history_find(h, "acme.k10.Client.Update"));
	ev = history_event(h, T0 + 1000, "acme.k20.Client.Update");
	(void)snprintf(ev->state, sizeof(ev->state), "done");
	ev->tries = 3;
	history_id(ev->client, "Abc_-9");
	again(T0 + 1000);
	doc = as_json(T0 + 1000);
	assert_int_equal(length(doc, "/latest"), HISTORY_LATEST);
	assert_string_equal(json_string(json_at(doc, "/latest/0/id")), "k20");
	assert_string_equal(json_string(json_at(doc, "/latest/0/state")), "done");
	assert_string_equal(json_string(json_at(doc, "/latest/0/client")), "Abc_-9");
	assert_int_equal(number(doc, "/latest/0/tries"), 3);
	assert_string_equal(json_string(json_at(doc, "/latest/1/id")), "k509");
	json_free(&doc);
}

/* What may be an address or a name is no id. */
static void
ids(void **state)
{
	char out[NAME_HASH];

	(void)state;
	history_id(out, "jane.doe@example.com");
	assert_string_equal(out, "");
	history_id(out, "");
	assert_string_equal(out, "");
	history_id(out, "2xLbJcTzZVvHdBgyMHkQZ0");
	assert_string_equal(out, "2xLbJcTzZVvHdBgyMHkQZ0");
}

static void
clocks_that_jump(void **state)
{
	int64_t ms;

	(void)state;
	history_took(h, T0 + 1000 * CLK_DAY, HISTORY_DONE, 1);
	history_took(h, T0, HISTORY_DONE, 1); /* it was wrong by years */
	assert_int_equal(history_times(h, T0, HISTORY_DONE, 500, &ms), 1);
	history_took(h, T0 - CLK_HOUR, HISTORY_DONE, 1); /* by a little */
	assert_int_equal(history_times(h, T0, HISTORY_DONE, 500, &ms), 2);
}

/* Nonsense of any kind is left out, and never read or written beyond what there is. */
static void
damaged(void **state)
{
	static const char *const bad[] = {"{}", "[]",
	    "{\"hours\":7,\"times\":[],\"latest\":{}}",
	    "{\"hours\":{\"from\":0,\"kinds\":[{\"kind\":\"x\",\"counts\":[1,2,3]}]}}",
	    "{\"hours\":{\"from\":9000000000000000,\"kinds\":[{\"kind\":\"x\",\"counts\":[1]}]}"
	    "}",
	    "{\"hours\":{\"from\":1772700000000,\"kinds\":[{\"kind\":\"a "
	    "b\",\"counts\":[1]}]}}",
	    "{\"times\":{\"buckets\":[{\"hour\":1772697600000,\"done\":[[128,1],[-1,2],[3],7]}]"
	    "}}",
	    "{\"latest\":[{\"event\":\"../x\"},7,{\"event\":\"acme.k.Client.Update\"}]}",
	    "{\"today\":{\"date\":\"x\",\"done\":-1}}"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct json *doc;
		int64_t ms;

		assert_int_equal(json_parse(bad[i], strlen(bad[i]), &doc, NULL), RC_OK);
		history_read(h, T0, doc);
		json_free(&doc);
		assert_int_equal(history_times(h, T0, HISTORY_DONE, 500, &ms), 0);
		doc = as_json(T0);
		assert_int_equal(length(doc, "/latest"), 0);
		json_free(&doc);
	}
}

static bool
is_first(const char *name, void *arg)
{
	return strcmp(name, arg) == 0;
}

/* Of an erased event the ids go, and nothing else; of the others nothing. */
static void
erased_events_name_nobody(void **state)
{
	static char first[] = "acme.k1.Client.Update";
	struct history_event *ev;

	(void)state;
	history_id(history_event(h, 1000, first)->client, "AClient");
	history_id(history_event(h, 1000, first)->document, "ADocument");
	history_id(history_event(h, 1000, "acme.k2.Client.Update")->client, "AClient");
	history_erase(h, is_first, first);
	ev = history_find(h, first);
	assert_string_equal(ev->client, "");
	assert_string_equal(ev->document, "");
	assert_int_equal(ev->changed, 1000);
	assert_string_equal(history_find(h, "acme.k2.Client.Update")->client, "AClient");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {T(erased_events_name_nobody), T(hours),
	    T(kinds_are_bounded), T(times_are_near), T(quantiles), T(today), T(latest), T(ids),
	    T(clocks_that_jump), T(damaged)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
