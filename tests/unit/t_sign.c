/*
 * SPDX-License-Identifier: ISC
 *
 * t_sign - tests of sign: the vector of the Standard Webhooks specification, several secrets,
 * and every way a file of them can be wrong.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sign.h"

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define SIGNED "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

static const char *
signature(const char *secrets, const char *payload)
{
	static char out[SIGN_TEXT];
	struct buf b = BUF_INIT(1024);
	struct sign_keys keys;
	struct err e;

	if (sign_read(secrets, strlen(secrets), &keys, &e) != RC_OK)
		fail_msg("%s", e.text);
	sign_begin(&b, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330);
	buf_str(&b, payload);
	assert_int_equal(sign_make(&keys, buf_text(&b), b.n, out, &e), RC_OK);
	buf_free(&b);
	sign_wipe(&keys);
	return out;
}

static void
test_vector(void **state)
{
	(void)state;
	assert_string_equal(signature(SECRET "\n", "{\"test\": 2432232314}"), SIGNED);
	assert_string_equal(signature(SECRET, "{\"test\": 2432232314}"), SIGNED);
	assert_true(strcmp(signature(SECRET, "{\"test\": 2432232315}"), SIGNED) != 0);
}

/* Each live secret signs, in the order of the file; the same key may be written in two ways. */
static void
test_several(void **state)
{
	const char *all = signature("0123456789abcdef\r\n\n  \n" SECRET
				    " \nwhsec_MDEyMzQ1Njc4OWFiY2RlZg==\n",
	    "{\"test\": 2432232314}");
	char first[64];

	(void)state;
	(void)snprintf(first, sizeof(first), "%.47s", all);
	assert_true(strncmp(first, "v1,", 3) == 0);
	assert_memory_equal(all + 47, " " SIGNED " ", 49);
	assert_string_equal(all + 96, first);
}

static void
test_wrong(void **state)
{
	static const struct {
		const char *text, *why;
	} t[] = {
	    {"", "found none"},
	    {"\n \r\n\t\n", "found none"},
	    {"0123456789abcde", "line 1: expected a secret of at least 16 bytes, found 15"},
	    {SECRET "\n\nshort\n", "line 3: expected a secret of at least 16 bytes"},
	    {"whsec_", "line 1: expected base64"},
	    {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "expected base64"},
	    {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-w", "expected base64"},
	    {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZI=2LaLaSw", "expected base64"},
	    {"whsec_MDEyMzQ1Njc4OWFiY2RlZh==", "expected base64"}, /* bits left over */
	    {"whsec_MDEyMzQ1Njc4OWFi", "at least 16 bytes, found 12"},
	};
	static char big[SIGN_KEY_MAX + 2], many[(SIGN_KEYS + 1) * 17 + 1];
	struct sign_keys keys;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(sign_read(t[i].text, strlen(t[i].text), &keys, &e), RC_CONFIG);
		if (strstr(e.text, t[i].why) == NULL)
			fail_msg("case %zu: %s", i, e.text);
		assert_null(strstr(e.text, "MfKQ9"));
		assert_int_equal(keys.n, 0);
	}
	memset(big, 'x', SIGN_KEY_MAX + 1);
	assert_int_equal(sign_read(big, SIGN_KEY_MAX + 1, &keys, &e), RC_CONFIG);
	assert_int_equal(sign_read(big, SIGN_KEY_MAX, &keys, &e), RC_OK);
	for (int i = 0; i <= SIGN_KEYS; i++)
		memcpy(many + i * 17, "0123456789abcdef\n", 17);
	assert_int_equal(sign_read(many, SIGN_KEYS * 17, &keys, &e), RC_OK);
	assert_int_equal(keys.n, SIGN_KEYS);
	assert_int_equal(sign_read(many, sizeof(many) - 1, &keys, &e), RC_CONFIG);
}

/* RFC 4648 section 10. */
static void
test_base64(void **state)
{
	static const char *const t[] = {"", "", "f", "Zg==", "fo", "Zm8=", "foo", "Zm9v",
	    "foob", "Zm9vYg==", "fooba", "Zm9vYmE=", "foobar", "Zm9vYmFy"};
	char out[16];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i += 2) {
		sign_base64(out, t[i], strlen(t[i]));
		assert_string_equal(out, t[i + 1]);
		assert_int_equal(strlen(out) + 1, SIGN_BASE64(strlen(t[i])));
	}
	sign_base64(out, "\xff\xfe\xfb", 3);
	assert_string_equal(out, "//77");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vector),
	    cmocka_unit_test(test_several),
	    cmocka_unit_test(test_wrong),
	    cmocka_unit_test(test_base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
