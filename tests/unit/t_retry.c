/*
 * SPDX-License-Identifier: ISC
 *
 * t_retry - tests of retry: a note comes back as it was, or counts as one interruption.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "io.h"
#include "retry.h"
#include "str.h"
#include "tmpdir.h"

#define NAME "acme.1.User.Update"

static char path[TMPDIR_SIZE];
static int dir = -1;

static int
set_up(void **state)
{
	(void)state;
	tmpdir_make(path);
	dir = tmpdir_open(path);
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

static struct retry
sample(void)
{
	return (struct retry){.tries = 3,
	    .interruptions = 1,
	    .puts_off = 7,
	    .first = 1772705472345,
	    .age = 86400000,
	    .due = INT64_MAX,
	    .written = 1772705472346,
	    .step = "callback",
	    .state = "waiting",
	    .reason = "the API answered 503: \"no = yes\""};
}

static void
assert_same(const struct retry *a, const struct retry *b)
{
	assert_int_equal(a->tries, b->tries);
	assert_int_equal(a->interruptions, b->interruptions);
	assert_int_equal(a->puts_off, b->puts_off);
	assert_int_equal(a->first, b->first);
	assert_int_equal(a->age, b->age);
	assert_int_equal(a->due, b->due);
	assert_int_equal(a->written, b->written);
	assert_string_equal(a->step, b->step);
	assert_string_equal(a->state, b->state);
	assert_string_equal(a->reason, b->reason);
}

static void
assert_interrupted(const char *why)
{
	const struct retry one = {.interruptions = 1};
	struct retry r;
	struct err e;
	enum rc rc = retry_read(dir, NAME, &r, &e);

	if (rc != RC_BAD)
		fail_msg("%s: %s", why, err_name(rc));
	assert_true(e.text[0] != '\0');
	assert_same(&r, &one);
}

static void
test_round_trip(void **state)
{
	const struct retry none = {0};
	struct retry r = sample(), back;
	struct err e;

	(void)state;
	assert_int_equal(retry_read(dir, NAME, &back, &e), RC_GONE);
	assert_same(&back, &none);
	assert_int_equal(retry_write(dir, NAME, &r, &e), RC_OK);
	assert_int_equal(retry_read(dir, NAME, &back, &e), RC_OK);
	assert_same(&back, &r);
	r = (struct retry){.tries = UINT32_MAX, .first = INT64_MAX};
	assert_int_equal(retry_write(dir, NAME, &r, &e), RC_OK);
	assert_int_equal(retry_read(dir, NAME, &back, &e), RC_OK);
	assert_same(&back, &r);
	assert_int_equal(retry_remove(dir, NAME, &e), RC_OK);
	assert_int_equal(retry_remove(dir, NAME, &e), RC_OK);
	assert_int_equal(retry_read(dir, NAME, &back, &e), RC_GONE);
}

/* A note of the first version, which knew less. */
static void
test_older(void **state)
{
	static const char text[] = "tries=3\ninterruptions=1\nputs_off=7\nfirst=5\ndue=6\n"
				   "step=callback\nstate=waiting\nreason=why\n";
	struct retry want = sample(), back;
	struct err e;

	(void)state;
	want.first = 5;
	want.due = 6;
	want.age = want.written = 0;
	(void)snprintf(want.reason, sizeof(want.reason), "why");
	tmpdir_write(dir, NAME, text, sizeof(text) - 1);
	assert_int_equal(retry_read(dir, NAME, &back, &e), RC_OK);
	assert_same(&back, &want);
}

/* A reason of any bytes stays one line and changes no other field. */
static void
test_hostile(void **state)
{
	struct retry r = sample(), back;
	char want[RETRY_TEXT];
	struct err e;

	(void)state;
	for (int c = 1; c < 256; c++) {
		memset(r.reason, c, sizeof(r.reason) - 1);
		r.reason[c % 2 == 0 ? RETRY_TEXT - 1 : 9] = '\0';
		(void)str_escape(want, sizeof(want), r.reason, strlen(r.reason));
		assert_int_equal(retry_write(dir, NAME, &r, &e), RC_OK);
		assert_int_equal(retry_read(dir, NAME, &back, &e), RC_OK);
		assert_string_equal(back.reason, want);
		assert_true(str_copy(back.reason, sizeof(back.reason), r.reason));
		assert_same(&back, &r);
	}
	(void)snprintf(r.reason, sizeof(r.reason), "x\ntries=99\nstate=running");
	assert_int_equal(retry_write(dir, NAME, &r, &e), RC_OK);
	assert_int_equal(retry_read(dir, NAME, &back, &e), RC_OK);
	assert_int_equal(back.tries, 3);
	assert_string_equal(back.state, "waiting");
}

/* Cut anywhere before its last line it is no note, never half of one. */
static void
test_truncations(void **state)
{
	struct retry r = sample(), back;
	char text[4096];
	struct err e;
	size_t whole;
	ssize_t n;

	(void)state;
	assert_int_equal(retry_write(dir, NAME, &r, &e), RC_OK);
	n = tmpdir_read(dir, NAME, text, sizeof(text));
	assert_true(n > 0);
	whole = (size_t)(strstr(text, "reason=") + 7 - text);
	for (size_t k = 0; k < (size_t)n; k++) {
		tmpdir_write(dir, NAME, text, k);
		if (k < whole) {
			assert_interrupted("cut");
			continue;
		}
		assert_int_equal(retry_read(dir, NAME, &back, &e), RC_OK);
		assert_int_equal(back.tries, 3);
		assert_true(str_begins(r.reason, back.reason));
	}
}

static void
test_unreadable(void **state)
{
	static const char *const bad[] = {"", "\n\n\n", "tries=1", "nonsense",
	    "tries=-1\ninterruptions=0\nputs_off=0\nfirst=0\ndue=0\nstep=\nstate=\nreason=\n",
	    "tries=4294967296\ninterruptions=0\nputs_off=0\nfirst=0\ndue=0\nstep=\nstate=\n"
	    "reason=\n",
	    "tries=1\ninterruptions=0\nputs_off=0\nfirst=9223372036854775808\ndue=0\nstep=\n"
	    "state=\nreason=\n",
	    "tries=1\ninterruptions=0\nputs_off=0\nfirst=0\ndue=0\n"
	    "step=a-step-that-is-longer-than-any-of-ours\nstate=\nreason=\n"};
	char big[5000];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tmpdir_write(dir, NAME, bad[i], strlen(bad[i]));
		assert_interrupted(bad[i]);
	}
	memset(big, 'x', sizeof(big));
	tmpdir_write(dir, NAME, big, sizeof(big));
	assert_interrupted("too long");
	memset(big, 0, sizeof(big));
	tmpdir_write(dir, NAME, big, 300);
	assert_interrupted("zeros, as a crash may leave them");
}

/* What is no file is unreadable too. */
static void
test_no_file(void **state)
{
	(void)state;
	assert_int_equal(mkfifoat(dir, NAME, 0600), 0);
	assert_interrupted("a pipe");
	assert_int_equal(unlinkat(dir, NAME, 0), 0);
	assert_int_equal(symlinkat("elsewhere", dir, NAME), 0);
	assert_interrupted("a link");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_round_trip),
	    TEST(test_older),
	    TEST(test_hostile),
	    TEST(test_truncations),
	    TEST(test_unreadable),
	    TEST(test_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
