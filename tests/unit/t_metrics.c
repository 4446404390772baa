/*
 * SPDX-License-Identifier: ISC
 *
 * t_metrics - the text that Prometheus reads: every cell once, families whole, and promtool is
 * content with it.
 */
#include "config.h"

#include <ctype.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"
#include "spoolkit.h"

#define LINES 512

static struct kit kit;
static struct metrics m;
static char text[METRICS_SIZE];

static int
set_up(void **state)
{
	(void)state;
	kit_start(&kit);
	kit_open(&kit);
	m = (struct metrics){.counts = spool_counts(kit.sp), .well = true};
	spool_gauge(kit.sp, &m.gauge);
	for (int i = 0; i < SPOOL_BOXES; i++) {
		m.listed[i] = i != SPOOL_DONE;
		m.files[i] = 10 + (unsigned)i;
	}
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	kit_end(&kit);
	return 0;
}

static void
print(void)
{
	struct buf b = BUF_INIT(METRICS_SIZE);

	metrics_print(&b, &m);
	assert_int_equal(buf_state(&b, NULL), RC_OK);
	assert_true(b.n < METRICS_SIZE / 4); /* room for what is still to come */
	(void)snprintf(text, sizeof(text), "%s", b.p);
	buf_free(&b);
}

/* Is the line in the text, whole? */
static bool
has_line(const char *line)
{
	size_t n = strlen(line);

	for (const char *p = text; (p = strstr(p, line)) != NULL; p++) {
		if ((p == text || p[-1] == '\n') && p[n] == '\n')
			return true;
	}
	return false;
}

static void
test_values(void **state)
{
	const struct counts *c = m.counts;
	char line[256];

	(void)state;
	for (int i = 0; i < COUNT_END; i++)
		count_set(spool_counts(kit.sp), (enum count)i, 1000 + (unsigned)i);
	print();
	for (enum count i = 0; i < COUNT_TIME_1; i++) {
		const struct count_row *row = count_row(i);

		if (row->label != NULL)
			(void)snprintf(line, sizeof(line), "arkenspool_%s{%s=\"%s\"} %" PRIu64,
			    row->name, row->label, row->value, count_get(c, i));
		else
			(void)snprintf(line, sizeof(line), "arkenspool_%s %" PRIu64, row->name,
			    count_get(c, i));
		if (!has_line(line))
			fail_msg("%s is not there", line);
	}
	assert_true(has_line("arkenspool_build_info{version=\"" PACKAGE_VERSION "\"} 1"));
	assert_true(has_line("arkenspool_healthy 1"));
	assert_true(has_line("arkenspool_files{folder=\"new\"} 10"));
	assert_true(has_line("arkenspool_files{folder=\"rejected\"} 15"));
	assert_null(strstr(text, "folder=\"done\""));
	assert_true(has_line("arkenspool_events_waiting_limit 100"));
	assert_true(has_line("arkenspool_sync_failed 0"));
}

static void
test_histogram(void **state)
{
	struct counts *c = spool_counts(kit.sp);

	(void)state;
	count_time(c, 900);
	count_time(c, 2000);
	count_time(c, 2100);
	count_time(c, 7000000);
	print();
	assert_true(has_line("# TYPE arkenspool_accept_duration_seconds histogram"));
	assert_true(has_line("arkenspool_accept_duration_seconds_bucket{le=\"0.001\"} 1"));
	assert_true(has_line("arkenspool_accept_duration_seconds_bucket{le=\"0.0025\"} 3"));
	assert_true(has_line("arkenspool_accept_duration_seconds_bucket{le=\"5\"} 3"));
	assert_true(has_line("arkenspool_accept_duration_seconds_bucket{le=\"+Inf\"} 4"));
	assert_true(has_line("arkenspool_accept_duration_seconds_sum 7.005000"));
	assert_true(has_line("arkenspool_accept_duration_seconds_count 4"));
}

/* The name of a sample's family: without label, and without what a histogram adds. */
static size_t
family_length(const char *line)
{
	static const char *const ends[] = {"_bucket", "_sum", "_count"};
	size_t n = strcspn(line, "{ ");

	for (int i = 0; i < 3; i++) {
		size_t k = strlen(ends[i]);

		if (n > k && strncmp(line + n - k, ends[i], k) == 0)
			return n - k;
	}
	return n;
}

/* Each family has HELP and TYPE, in this order, once, then its samples, and no sample twice. */
static void
test_form(void **state)
{
	static char *lines[LINES];
	char family[128] = "", help[160];
	size_t n = 0;

	(void)state;
	print();
	for (char *p = strtok_r(text, "\n", &lines[LINES - 1]); p != NULL;
	     p = strtok_r(NULL, "\n", &lines[LINES - 1])) {
		assert_true(n < LINES - 1);
		lines[n++] = p;
	}
	for (size_t i = 0; i < n; i++) {
		if (str_begins(lines[i], "# HELP ")) {
			assert_true(str_copy_n(
			    family, sizeof(family), lines[i] + 7, strcspn(lines[i] + 7, " ")));
			assert_true(str_begins(family, "arkenspool_"));
			(void)snprintf(help, sizeof(help), "# TYPE %s ", family);
			assert_true(i + 2 < n && str_begins(lines[i + 1], help));
			for (size_t k = 0; k < i; k++)
				assert_false(str_begins(lines[k], help));
			i++;
			continue;
		}
		assert_int_equal(family_length(lines[i]), strlen(family));
		assert_true(str_begins(lines[i], family));
		assert_true(isdigit((unsigned char)strrchr(lines[i], ' ')[1]));
		for (size_t k = 0; k < i; k++)
			assert_true(strncmp(lines[k], lines[i], strcspn(lines[i], " ")) != 0 ||
				    lines[k][strcspn(lines[i], " ")] != ' ');
	}
}

static int
promtool(const char *input)
{
	FILE *p = popen("promtool check metrics", "w");

	assert_non_null(p);
	assert_true(fputs(input, p) >= 0);
	return pclose(p);
}

static void
test_promtool(void **state)
{
	(void)state;
	if (system("command -v promtool >/dev/null") != 0) {
		print_message("# promtool (package prometheus) is not installed: skipped\n");
		skip();
	}
	print();
	assert_int_equal(promtool(text), 0);
	/* It would have found a mistake. */
	assert_int_not_equal(promtool("# TYPE a_total gauge\na_total 1\n"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_values),
	    TEST(test_histogram),
	    TEST(test_form),
	    TEST(test_promtool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
