/*
 * SPDX-License-Identifier: ISC
 *
 * t_evlog - tests of evlog: stories of events, written by several processes, read back.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "clk.h"
#include "evlog.h"
#include "io.h"
#include "log.h"
#include "str.h"
#include "tmpdir.h"

#define NAME "acme.1.User.Update"
#define DAY_1 INT64_C(1772705472345) /* 2026-03-05T10:11:12.345Z */
#define MAX_LINES 2000

static char path[TMPDIR_SIZE];
static int dir = -1;
static char told[MAX_LINES][EVLOG_LINE];
static unsigned count;

static int
set_up(void **state)
{
	(void)state;
	tmpdir_make(path);
	dir = tmpdir_open(path);
	count = 0;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	io_close(&dir);
	tmpdir_remove(path);
	return 0;
}

/* Keep the line; the argument is how many are wanted. */
static bool
keep(const char *line, void *arg)
{
	unsigned *wanted = arg;

	assert_true(count < MAX_LINES);
	assert_null(strchr(line, '\n'));
	assert_true(str_copy(told[count], sizeof(told[count]), line));
	return ++count < *wanted;
}

static void
story(const char *name, unsigned wanted)
{
	struct err e;

	count = 0;
	assert_int_equal(evlog_story(dir, name, keep, &wanted, &e), RC_OK);
}

static void
test_put(void **state)
{
	char text[EVLOG_LINE];
	struct stat st;
	struct err e;

	(void)state;
	assert_int_equal(evlog_put(dir, DAY_1, "accepted", NAME, &e, "by", "arken.fcgi", "none",
			     NULL, "reason", "a \"b\"\nc", LOG_END),
	    RC_OK);
	assert_true(tmpdir_read(dir, "2026-03-05", text, sizeof(text)) > 0);
	assert_string_equal(text, "time=2026-03-05T10:11:12.345Z step=accepted event=" NAME
				  " by=arken.fcgi reason=\"a \\\"b\\\"\\x0ac\"\n");
	assert_int_equal(fstatat(dir, "2026-03-05", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0660); /* the other user appends to it too */
}

static void
test_story(void **state)
{
	struct err e;

	(void)state;
	for (int day = 3; day > 0; day--) /* written in any order, told by day */
		for (int i = 0; i < 3; i++)
			assert_int_equal(
			    evlog_put(dir, DAY_1 + day * CLK_DAY, i == 1 ? "other" : "mine",
				i == 1 ? "acme.11.User.Update" : NAME, &e, "day",
				(char[]){(char)('0' + day), '\0'}, LOG_END),
			    RC_OK);
	story(NAME, 100);
	assert_int_equal(count, 6);
	for (unsigned i = 0; i < 6; i++) {
		char day[4];

		assert_true(evlog_value(told[i], "day", day, sizeof(day)));
		assert_int_equal(day[0], '1' + (int)i / 2);
		assert_non_null(strstr(told[i], "step=mine"));
	}
	story(NAME, 2);
	assert_int_equal(count, 2);
	story("acme.2.User.Update", 100);
	assert_int_equal(count, 0);
}

/* A peer's text that looks like a pair is still only text. */
static void
test_forged(void **state)
{
	char value[EVLOG_LINE];
	struct err e;

	(void)state;
	assert_int_equal(
	    evlog_put(dir, DAY_1, "x", "acme.9.User.Update", &e, "reason",
		"y event=" NAME " http=200 \" event=" NAME, "http", "503", LOG_END),
	    RC_OK);
	story(NAME, 10);
	assert_int_equal(count, 0);
	story("acme.9.User.Update", 10);
	assert_int_equal(count, 1);
	assert_true(evlog_value(told[0], "http", value, sizeof(value)));
	assert_string_equal(value, "503");
	assert_false(evlog_value(told[0], "document", value, sizeof(value)));
	assert_true(evlog_value(told[0], "reason", value, sizeof(value)));
	assert_string_equal(value, "y event=" NAME " http=200 \" event=" NAME);
}

/* What log_kv writes of a value evlog_value gives back, but for escaped bytes. */
static void
test_values(void **state)
{
	static const char bytes[] = {'a', ' ', '"', '\\', '=', '\n', 'x', '\xff'};
	char value[8], line[256], got[64], want[64];
	const char *pairs[] = {"first", value, "key", value, "last", "1"};
	size_t n;

	(void)state;
	for (unsigned v = 1; v < 1u << 15; v++) {
		for (n = 0; n < 5 && v >> 3 * n != 0; n++)
			value[n] = bytes[v >> 3 * n & 7];
		value[n] = '\0';
		(void)log_kv(line, sizeof(line), pairs, 6);
		/* Only what is unsafe to print stays escaped. */
		for (n = 0, want[0] = '\0'; value[n] != '\0'; n++)
			(void)snprintf(want + strlen(want), sizeof(want) - strlen(want),
			    value[n] == '\n'     ? "\\x0a"
			    : value[n] == '\xff' ? "\\xff"
						 : "%c",
			    value[n]);
		if (!evlog_value(line, "key", got, sizeof(got)) || !str_eq(got, want))
			fail_msg("%s: %s instead of %s", line, got, want);
		assert_true(evlog_value(line, "last", got, sizeof(got)));
		assert_string_equal(got, "1");
		assert_false(evlog_value(line, "ey", got, sizeof(got)));
		assert_false(evlog_value(line, "a", got, sizeof(got)));
	}
}

static void
test_value_room(void **state)
{
	char out[8];

	(void)state;
	assert_true(evlog_value("a=1234567 b=2", "a", out, 8));
	assert_string_equal(out, "1234567");
	assert_false(evlog_value("a=12345678 b=2", "a", out, 8));
	assert_string_equal(out, "");
	assert_true(evlog_value("a=\"1 34567\" b=2", "a", out, 8));
	assert_string_equal(out, "1 34567");
	assert_false(evlog_value("a=\"1 345678\" b=2", "a", out, 8));
	assert_string_equal(out, "");
	assert_true(evlog_value("a= b=\"\"", "a", out, 8));
	assert_string_equal(out, "");
	assert_true(evlog_value("a= b=\"\"", "b", out, 8));
	/* Lines of any other hand: an answer, no crash. */
	assert_false(evlog_value("", "a", out, 8));
	assert_false(evlog_value("b", "a", out, 8));
	assert_false(evlog_value("b=\"", "a", out, 8));
	assert_false(evlog_value("b=\"\\", "a", out, 8));
	assert_false(evlog_value("   ", "a", out, 8));
	assert_true(evlog_value("  a=x", "a", out, 8));
	assert_true(evlog_value("noise a=x", "a", out, 8));
}

/* Who writes later of an earlier thing: the story is told in the order of the things. */
static void
test_order(void **state)
{
	static const struct {
		int64_t after;
		const char *step;
	} t[] = {
	    {50, "taken"}, {0, "accepted"}, {50, "asked"}, {CLK_DAY, "late"}, {60, "done"}};
	static const char *const expected[] = {"accepted", "taken", "asked", "done", "late"};
	char step[20];

	(void)state;
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(
		    evlog_put(dir, DAY_1 + t[i].after, t[i].step, NAME, NULL, LOG_END), RC_OK);
	story(NAME, 10);
	assert_int_equal(count, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_true(evlog_value(told[i], "step", step, sizeof(step)));
		assert_string_equal(step, expected[i]);
	}
}

/* Of a story that is too long the end is told. */
static void
test_too_long(void **state)
{
	char n[20];

	(void)state;
	for (unsigned i = 0; i < EVLOG_STORY + 10; i++) {
		(void)snprintf(n, sizeof(n), "%u", i);
		assert_int_equal(
		    evlog_put(dir, DAY_1 + i, "x", NAME, NULL, "n", n, LOG_END), RC_OK);
	}
	story(NAME, 3);
	assert_int_equal(count, 3);
	assert_true(evlog_value(told[0], "n", n, sizeof(n)));
	assert_string_equal(n, "10");
}

/* Several processes append to one day that is not there yet: every line is whole. */
static void
test_processes(void **state)
{
	enum { CHILDREN = 6, EACH = 100 };
	unsigned seen[CHILDREN] = {0};

	(void)state;
	for (int i = 0; i < CHILDREN; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			char text[600], who[2] = {(char)('0' + i), '\0'};
			int bad = 0;

			memset(text, 'a' + i, sizeof(text));
			text[sizeof(text) - 1] = '\0';
			for (int k = 0; k < EACH; k++)
				bad |= evlog_put(dir, DAY_1, "x", NAME, NULL, "who", who,
					   "text", text, LOG_END) != RC_OK;
			_exit(bad);
		}
	}
	for (int i = 0; i < CHILDREN; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	story(NAME, MAX_LINES);
	assert_int_equal(count, CHILDREN * EACH);
	for (unsigned i = 0; i < count; i++) {
		char who[4], text[1000];

		assert_true(evlog_value(told[i], "who", who, sizeof(who)));
		assert_true(evlog_value(told[i], "text", text, sizeof(text)));
		assert_int_equal(strlen(text), 599);
		assert_int_equal(text[0], 'a' + who[0] - '0');
		assert_int_equal(strspn(text, (char[]){text[0], '\0'}), 599);
		seen[who[0] - '0']++;
	}
	for (int i = 0; i < CHILDREN; i++)
		assert_int_equal(seen[i], EACH);
}

/* What stands in the way of a day's file costs a line, never the caller's time. */
static void
test_in_the_way(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(mkfifoat(dir, "2026-03-05", 0600), 0);
	assert_int_not_equal(evlog_put(dir, DAY_1, "x", NAME, &e, LOG_END), RC_OK);
	assert_true(e.text[0] != '\0');
	story(NAME, 10);
	assert_int_equal(count, 0);
	assert_int_equal(unlinkat(dir, "2026-03-05", 0), 0);
	tmpdir_write(dir, "target", "", 0);
	assert_int_equal(symlinkat("target", dir, "2026-03-05"), 0);
	assert_int_equal(evlog_put(dir, DAY_1, "x", NAME, &e, LOG_END), RC_CONFIG);
	assert_int_equal(tmpdir_read(dir, "target", (char[8]){0}, 8), 0);
}

static void
test_purge(void **state)
{
	struct err e;

	(void)state;
	for (int day = 0; day < 5; day++)
		assert_int_equal(
		    evlog_put(dir, DAY_1 + day * CLK_DAY, "x", NAME, &e, LOG_END), RC_OK);
	tmpdir_write(dir, "2026-03-0", "", 0);
	tmpdir_write(dir, "2026-02-30", "", 0);
	tmpdir_write(dir, "2026-03-01.old", "", 0);
	assert_int_equal(evlog_purge(dir, DAY_1 + 2 * CLK_DAY, &e), RC_OK);
	assert_false(io_exists(dir, "2026-03-05"));
	assert_false(io_exists(dir, "2026-03-06"));
	assert_true(io_exists(dir, "2026-03-07"));
	assert_true(io_exists(dir, "2026-03-09"));
	/* What is no day's file is not ours. */
	assert_true(io_exists(dir, "2026-03-0"));
	assert_true(io_exists(dir, "2026-02-30"));
	assert_true(io_exists(dir, "2026-03-01.old"));
}

static void
test_long(void **state)
{
	char text[EVLOG_LINE];
	struct err e;

	(void)state;
	memset(text, '"', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(
	    evlog_put(dir, DAY_1, "x", NAME, &e, "a", text, "b", text, LOG_END), RC_OK);
	assert_int_equal(evlog_put(dir, DAY_1, "y", NAME, &e, LOG_END), RC_OK);
	story(NAME, 10);
	assert_int_equal(count, 2);
	assert_true(strlen(told[0]) < EVLOG_LINE);
	assert_true(evlog_value(told[0], "cut", text, sizeof(text)));
	assert_true(evlog_value(told[1], "step", text, sizeof(text)));
	assert_string_equal(text, "y");
}

static bool
is_name(const char *line, void *arg)
{
	char name[200];

	return evlog_value(line, "event", name, sizeof(name)) && str_eq(name, arg);
}

/* In its place and length; what tells what was done stays, and other lines do. */
static void
test_redact(void **state)
{
	char text[4096], want[4096];
	uint64_t lines = 0;
	struct err e;
	ssize_t n;

	(void)state;
	assert_int_equal(evlog_put(dir, DAY_1, "x", NAME, &e, "reason", "a \"b\" c", "ms", "12",
			     "was", "plain", "odd", "x", LOG_END),
	    RC_OK);
	assert_int_equal(
	    evlog_put(dir, DAY_1, "x", "other", &e, "reason", "a b", LOG_END), RC_OK);
	assert_int_equal(evlog_put(dir, DAY_1, "x", NAME, &e, "by", "spoold", LOG_END), RC_OK);
	n = tmpdir_read(dir, "2026-03-05", text, sizeof(text));
	assert_int_equal(
	    evlog_redact(dir, is_name, (void *)(uintptr_t)NAME, &lines, &e), RC_OK);
	assert_int_equal(lines, 1);
	memcpy(want, text, sizeof(want));
	memcpy(strstr(want, "a \\\"b\\\" c"), "xxxxxxxxx", 9);
	memcpy(strstr(want, "plain"), "xxxxx", 5);
	assert_int_equal(tmpdir_read(dir, "2026-03-05", text, sizeof(text)), n);
	assert_string_equal(text, want);
	assert_int_equal(
	    evlog_redact(dir, is_name, (void *)(uintptr_t)NAME, &lines, &e), RC_OK);
	assert_int_equal(lines, 1);
}

/* A power cut may leave NULs at the end of a file; the next line is added after them. */
static void
test_after_power_cut(void **state)
{
	static const char lines[] =
	    "time=2026-03-05T10:11:12Z step=a event=other reason=kept\0\n"
	    "\0\0\0time=2026-03-05T10:11:13Z step=b event=" NAME " reason=secret\n";
	char text[4096];
	uint64_t changed = 0;
	struct err e;

	(void)state;
	tmpdir_write(dir, "2026-03-05", lines, sizeof(lines) - 1);
	story(NAME, 10);
	assert_int_equal(count, 1);
	assert_int_equal(
	    evlog_redact(dir, is_name, (void *)(uintptr_t)NAME, &changed, &e), RC_OK);
	assert_int_equal(changed, 1);
	assert_int_equal(tmpdir_read(dir, "2026-03-05", text, sizeof(text)), sizeof(lines) - 1);
	assert_memory_equal(text, lines, strlen(lines) + 2);
	assert_null(memmem(text, sizeof(lines) - 1, "secret", 6));
	assert_non_null(memmem(text, sizeof(lines) - 1, " reason=xxxxxx\n", 15));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_put),
	    TEST(test_story),
	    TEST(test_forged),
	    TEST(test_values),
	    TEST(test_value_room),
	    TEST(test_order),
	    TEST(test_too_long),
	    TEST(test_processes),
	    TEST(test_in_the_way),
	    TEST(test_purge),
	    TEST(test_redact),
	    TEST(test_after_power_cut),
	    TEST(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
