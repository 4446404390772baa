/*
 * SPDX-License-Identifier: ISC
 *
 * t_health - what is well and what is not, and how it is said.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "health.h"
#include "json.h"

static struct spool_gauge
well(void)
{
	return (struct spool_gauge){.shared = true,
	    .looked = true,
	    .few_inodes = true,
	    .free = 1000000,
	    .inodes = 101,
	    .waiting = 9,
	    .rejected = 2,
	    .limits = {.min_free = 1000000 - SPOOL_OVERHEAD,
		.min_inodes = 100,
		.queue_limit = 10,
		.rejected_limit = 3}};
}

/* The text for strangers and for those who may know, after it was found to be JSON. */
static const char *
text_of(const struct spool_gauge *g, bool details)
{
	static char text[HEALTH_SIZE];
	struct buf b = BUF_INIT(HEALTH_SIZE);
	struct json *doc;

	health_print(&b, g, details);
	assert_int_equal(buf_state(&b, NULL), RC_OK);
	assert_int_equal(json_parse(b.p, b.n, &doc, NULL), RC_OK);
	json_free(&doc);
	(void)snprintf(text, sizeof(text), "%s", b.p);
	buf_free(&b);
	return text;
}

static void
test_well(void **state)
{
	struct spool_gauge g = well();

	(void)state;
	assert_true(health_is_well(&g));
	assert_string_equal(text_of(&g, false), "{\"status\":\"well\"}\n");
	assert_string_equal(text_of(&g, true), "{\"status\":\"well\",\"problems\":[],\"disk\":{"
					       "\"free\":1000000,\"min_free\":991808},"
					       "\"inodes\":{\"free\":101,\"min_inodes\":100},"
					       "\"queue\":{\"waiting\":9,\"limit\":10},"
					       "\"rejected\":{\"kept\":2,\"limit\":3}}\n");
}

/* One after the other, each at its very mark. */
static void
test_each_problem(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		static const char *const names[] = {"disk", "disk", "disk", "inodes", "queue",
		    "rejected", "sync", "counters", "write", "write"};
		struct spool_gauge g = well();
		char want[64];

		if (i == 0)
			g.free--;
		else if (i == 1)
			g.limits.min_free = UINT64_MAX;
		else if (i == 2)
			g.looked = false;
		else if (i == 3)
			g.inodes--;
		else if (i == 4)
			g.waiting++;
		else if (i == 5)
			g.rejected++;
		else if (i == 6)
			g.broken = true;
		else if (i == 7)
			g.shared = false;
		else if (i == 8)
			g.readonly = true;
		else
			g.failing = true;
		assert_false(health_is_well(&g));
		assert_string_equal(text_of(&g, false), "{\"status\":\"unwell\"}\n");
		(void)snprintf(want, sizeof(want), "\"problems\":[\"%s\"]", names[i]);
		assert_non_null(strstr(text_of(&g, true), want));
	}
}

static void
test_all_problems(void **state)
{
	struct spool_gauge g = well();

	(void)state;
	g.free = 0;
	g.inodes = 0;
	g.waiting = UINT64_MAX;
	g.rejected = UINT64_MAX;
	g.broken = true;
	g.shared = false;
	assert_non_null(strstr(text_of(&g, true),
	    "\"problems\":[\"disk\",\"inodes\",\"queue\",\"rejected\",\"sync\",\"counters\"]"));
}

/* A file system that makes inodes as they are needed never lacks them. */
static void
test_no_inodes_to_count(void **state)
{
	struct spool_gauge g = well();

	(void)state;
	g.few_inodes = false;
	g.inodes = 0;
	assert_true(health_is_well(&g));
	assert_null(strstr(text_of(&g, true), "inodes"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_well),
	    cmocka_unit_test(test_each_problem),
	    cmocka_unit_test(test_all_problems),
	    cmocka_unit_test(test_no_inodes_to_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
