/*
 * SPDX-License-Identifier: ISC
 *
 * t_verdict - tests of verdict: every fate, and every status from 100 to 599.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "clk.h"
#include "str.h"
#include "verdict.h"

#define OLD CLK_HOUR
#define YOUNG CLK_MINUTE

static enum verdict
api(int status, int64_t age)
{
	struct http_answer a = {.fate = HTTP_ANSWERED, .status = status};
	char text[ERR_TEXT] = "", number[16];
	enum verdict v = verdict_api(&a, age, text);

	(void)snprintf(number, sizeof(number), "%d", status);
	assert_non_null(strstr(text, number));
	return v;
}

static enum verdict
document(int status)
{
	struct http_answer a = {.fate = HTTP_ANSWERED, .status = status};
	char text[ERR_TEXT] = "", number[16];
	enum verdict v = verdict_document(&a, text);

	(void)snprintf(number, sizeof(number), "%d", status);
	assert_non_null(strstr(text, number));
	return v;
}

static void
test_fates(void **state)
{
	static const struct {
		enum http_fate fate;
		int status; /* that came before */
		enum verdict v;
	} t[] = {
	    {HTTP_NO_NAME, 0, V_DOWN},
	    {HTTP_NO_CONNECT, 0, V_DOWN},
	    {HTTP_NO_TLS, 0, V_DOWN},
	    {HTTP_STALLED, 0, V_DOWN},
	    {HTTP_STALLED, 200, V_DOWN},
	    {HTTP_CUT, 0, V_DOWN},
	    {HTTP_CUT, 200, V_LATER},
	    {HTTP_TOO_LARGE, 200, V_NEVER},
	    {HTTP_FORBIDDEN, 0, V_NEVER},
	    {HTTP_LOCAL, 0, V_LATER},
	    {HTTP_LOCAL, 200, V_LATER},
	    {(enum http_fate)99, 0, V_LATER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct http_answer a = {
		    .fate = t[i].fate, .status = t[i].status, .text = "why"};
		char text[ERR_TEXT];

		assert_int_equal(verdict_api(&a, OLD, text), t[i].v);
		assert_string_equal(text, "why");
		assert_int_equal(verdict_document(&a, text), t[i].v);
		assert_string_equal(text, "why");
	}
}

static bool
one_of(int status, const int *list)
{
	for (; *list != 0; list++)
		if (*list == status)
			return true;
	return false;
}

/* Our own disk is no fault of the event; lack of anything else may be. */
static void
test_our_disk(void **state)
{
	static const int t[] = {ENOSPC, EDQUOT, EROFS, EIO, ENOMEM, 0};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct http_answer a = {.fate = HTTP_LOCAL, .sys = t[i]};
		enum verdict v = i < 3 ? V_OURS : V_LATER;
		char text[ERR_TEXT];

		assert_int_equal(verdict_api(&a, OLD, text), v);
		assert_int_equal(verdict_document(&a, text), v);
		assert_int_equal(verdict_no_room(t[i]), i < 3);
	}
}

/* What both have in common, but for what is listed as another verdict. */
static enum verdict
expected(int s)
{
	static const int down[] = {429, 502, 503, 504, 0}, later[] = {408, 425, 0};
	static const int link[] = {301, 302, 303, 307, 308, 0};

	if (s == 200)
		return V_OK;
	if (one_of(s, down))
		return V_DOWN;
	if (one_of(s, later) || s >= 500 || (s > 200 && s < 300))
		return V_LATER;
	return one_of(s, link) ? V_LINK : V_NEVER;
}

static void
test_api(void **state)
{
	(void)state;
	for (int s = 100; s <= 599; s++) {
		enum verdict v = expected(s);

		v = s == 401 ? V_RENEW : s == 404 || s == 410 ? V_GONE : v;
		assert_int_equal(api(s, OLD), v);
		assert_int_equal(api(s, YOUNG), s == 404 ? V_LATER : v);
	}
	assert_int_equal(api(404, 10 * CLK_MINUTE - 1), V_LATER);
	assert_int_equal(api(404, 10 * CLK_MINUTE), V_GONE);
	/* received after now: a clock that was set back */
	assert_int_equal(api(404, -CLK_DAY), V_LATER);
}

static void
test_document(void **state)
{
	static const int relink[] = {400, 401, 403, 404, 410, 0};

	(void)state;
	for (int s = 100; s <= 599; s++)
		assert_int_equal(document(s), one_of(s, relink) ? V_RELINK : expected(s));
}

static void
test_names(void **state)
{
	static const char *const names[] = {
	    "ok", "later", "down", "renew", "relink", "link", "ours", "gone", "never"};

	(void)state;
	for (enum verdict v = V_OK; v <= V_NEVER; v++)
		assert_string_equal(verdict_name(v), names[v]);
	assert_string_equal(verdict_name((enum verdict)99), "later");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fates),
	    cmocka_unit_test(test_our_disk),
	    cmocka_unit_test(test_api),
	    cmocka_unit_test(test_document),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
