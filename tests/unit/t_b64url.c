/*
 * SPDX-License-Identifier: ISC
 *
 * t_b64url - one spelling for the bytes, and no other.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "b64url.h"
#include "mint.h"
#include "rnd.h"

static bool
decodes(const char *text, const char *want)
{
	unsigned char out[64];
	size_t n;

	if (!b64url_decode(text, strlen(text), out, sizeof(out), &n))
		return false;
	assert_int_equal(n, strlen(want));
	assert_memory_equal(out, want, n);
	return true;
}

/* RFC 4648 section 10, without the padding; RFC 7515 appendix C. */
static void
examples(void **state)
{
	static const unsigned char octets[] = {3, 236, 255, 224, 193};
	unsigned char out[8];
	size_t n;

	(void)state;
	assert_true(decodes("", ""));
	assert_true(decodes("Zg", "f"));
	assert_true(decodes("Zm8", "fo"));
	assert_true(decodes("Zm9v", "foo"));
	assert_true(decodes("Zm9vYg", "foob"));
	assert_true(decodes("Zm9vYmE", "fooba"));
	assert_true(decodes("Zm9vYmFy", "foobar"));
	assert_true(b64url_decode("A-z_4ME", 7, out, sizeof(out), &n));
	assert_int_equal(n, sizeof(octets));
	assert_memory_equal(out, octets, n);
}

static void
refused(void **state)
{
	static const char *const list[] = {"Z", "Zm9vY", "Zg==", "Zm8=", "Zg=", "Zm 8",
	    "Zm9v\n", "Zm9+", "Zm9/", "Zm9v.", "Zm\x80v", "Zm9v=", "=", "====", "Z===",
	    /* bits that belong to no byte */
	    "Zh", "Zi", "Zj", "Zk", "Zv", "Zm9", "Zm-", "Zm_", "_-9"};

	(void)state;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (decodes(list[i], "?"))
			fail_msg("taken: %s", list[i]);
}

/* Of all texts of up to three characters exactly one stands for each value. */
static void
all_short_texts(void **state)
{
	unsigned seen[65536] = {0}, one[256] = {0};
	unsigned char out[4];
	char text[3];
	size_t n;

	(void)state;
	for (int a = 0; a < 256; a++)
		for (int b = 0; b < 256; b++) {
			text[0] = (char)a;
			text[1] = (char)b;
			if (b64url_decode(text, 2, out, sizeof(out), &n))
				one[out[0]]++;
			for (int c = 0; c < 256; c++) {
				text[2] = (char)c;
				if (b64url_decode(text, 3, out, sizeof(out), &n))
					seen[out[0] << 8 | out[1]]++;
			}
		}
	for (size_t i = 0; i < 256; i++)
		assert_int_equal(one[i], 1);
	for (size_t i = 0; i < 65536; i++)
		assert_int_equal(seen[i], 1);
}

/* Whatever another encoder makes comes back; one byte of room less is refused. */
static void
round_trip(void **state)
{
	struct rnd r = rnd_new("round_trip");
	unsigned char in[200], out[200];
	struct buf text = BUF_INIT(400);
	size_t n;

	(void)state;
	for (size_t len = 1; len <= sizeof(in); len++) {
		for (size_t i = 0; i < len; i++)
			in[i] = (unsigned char)rnd_below(&r, 256);
		buf_clear(&text);
		mint_b64(&text, in, len);
		assert_true(b64url_decode(text.p, text.n, out, len, &n));
		assert_int_equal(n, len);
		assert_memory_equal(in, out, n);
		assert_true(len <= B64URL_BYTES(text.n));
		assert_false(b64url_decode(text.p, text.n, out, len - 1, &n));
		assert_int_equal(n, 0);
	}
	buf_free(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(examples),
	    cmocka_unit_test(refused),
	    cmocka_unit_test(all_short_texts),
	    cmocka_unit_test(round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
