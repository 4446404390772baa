/*
 * SPDX-License-Identifier: ISC
 *
 * t_secret - files of secrets: what is in them, what is refused.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hash.h"
#include "secret.h"

#define ONE "0123456789abcdef"
#define TWO "fedcba9876543210-two"

static unsigned comparisons;

bool __real_hash_equal(const void *a, size_t na, const void *b, size_t nb);
bool __wrap_hash_equal(const void *a, size_t na, const void *b, size_t nb);

bool
__wrap_hash_equal(const void *a, size_t na, const void *b, size_t nb)
{
	comparisons++;
	return __real_hash_equal(a, na, b, nb);
}

static unsigned
match(const char *text, const char *value)
{
	struct secrets *s;
	struct err e = {0};
	unsigned line;

	assert_int_equal(secrets_parse(text, strlen(text), &s, &e), RC_OK);
	line = secrets_match(s, value);
	secrets_free(&s);
	assert_null(s);
	return line;
}

static void
refused(const char *text, size_t n, const char *why)
{
	struct secrets *s;
	struct err e = {0};

	assert_int_equal(secrets_parse(text, n, &s, &e), RC_CONFIG);
	assert_null(s);
	assert_non_null(strstr(e.text, why));
	/* never what the line says */
	assert_null(strstr(e.text, "secret-words"));
}

static void
test_each_line_counts(void **state)
{
	const char *file = ONE "\n" TWO "\n";

	(void)state;
	assert_int_equal(match(file, ONE), 1);
	assert_int_equal(match(file, TWO), 2);
	assert_int_equal(match(file, ""), 0);
	assert_int_equal(match(file, "0123456789abcdeF"), 0);
	assert_int_equal(match(file, "0123456789abcde"), 0);
	assert_int_equal(match(file, ONE "x"), 0);
	assert_int_equal(match(file, ONE "\n"), 0);
	assert_int_equal(match(file, ONE ", " ONE), 0);
	assert_int_equal(match(file, ONE "\n" TWO), 0);
}

static void
test_line_ends(void **state)
{
	(void)state;
	assert_int_equal(match(ONE, ONE), 1);
	assert_int_equal(match(ONE "\r\n" TWO "\r\n", TWO), 2);
	assert_int_equal(match("\n\n  \n" ONE "\n\n", ONE), 4);
	assert_int_equal(match(" \t" ONE " \t\r\n", ONE), 1);
	assert_int_equal(match("two words as secret\n", "two words as secret"), 1);
	/* there are no comments */
	assert_int_equal(match("# 0123456789abcdef\n", "# 0123456789abcdef"), 1);
	/* the first of two equal lines is named */
	assert_int_equal(match(TWO "\n" ONE "\n" ONE "\n", ONE), 2);
}

static void
test_refused(void **state)
{
	static const char nul[] = ONE "\nsecret-words\0secret-words\n";

	(void)state;
	refused("", 0, "no secret");
	refused("\n \r\n", 4, "no secret");
	refused("secret-words\n", 13, "line 1");
	refused(ONE "\nsecret-words\n", strlen(ONE) + 14, "line 2");
	refused(nul, sizeof(nul) - 1, "line 2");
	refused("secret-words-with-\x01-in\n", 23, "not printable");
	refused("secret-words-with-\xc3\xa4-in\n", 24, "not printable");
	refused("secret-words-with-\x7f-in\n", 23, "not printable");
}

static void
test_limits(void **state)
{
	char line[SECRET_MAX + 2], file[(SECRET_LINES + 1) * sizeof(ONE)];
	size_t n = 0;

	(void)state;
	memset(line, 'x', sizeof(line));
	line[SECRET_MAX] = '\0';
	assert_int_equal(match(line, line), 1);
	line[SECRET_MAX] = 'x';
	refused(line, SECRET_MAX + 1, "line 1");
	for (int i = 0; i < SECRET_LINES; i++, n += sizeof(ONE))
		memcpy(file + n, ONE "\n", sizeof(ONE));
	file[n - 2] = 'Z';
	file[n - 1] = '\0';
	assert_int_equal(match(file, "0123456789abcdeZ"), SECRET_LINES);
	file[n - 1] = '\n';
	memcpy(file + n, ONE, sizeof(ONE));
	refused(file, n + sizeof(ONE) - 1, "more than");
}

/* Wherever the right line is, and if there is none, every line is compared, in constant time.
 */
static void
test_all_lines_are_compared(void **state)
{
	static const char *const values[] = {
	    ONE, TWO, "third-secret-012345", "none of them", ""};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		comparisons = 0;
		assert_int_equal(match(ONE "\n" TWO "\nthird-secret-012345\n", values[i]),
		    i < 3 ? i + 1 : 0);
		assert_int_equal(comparisons, 3);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_line_counts),
	    cmocka_unit_test(test_line_ends),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_all_lines_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
