/*
 * SPDX-License-Identifier: ISC
 *
 * t_digest - tests of digest: what a host says of the bytes, and the bytes.
 */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "digest.h"
#include "hash.h"
#include "io.h"
#include "tmpdir.h"

#define MD5 "00112233445566778899aabbccddeeff"

static void
test_compare(void **state)
{
	static const struct {
		const char *md5, *etag, *encryption, *content_md5;
		enum digest is;
	} t[] = {
	    {MD5, "\"00112233445566778899AABBCCDDEEFF\"", "", "", DIGEST_AGREES},
	    {MD5, "\"00112233445566778899aabbccddeef0\"", "", "", DIGEST_DIFFERS},
	    {MD5, "\"00112233445566778899aabbccddeef0\"", "AES256", "", DIGEST_DIFFERS},
	    {MD5, "\"00112233445566778899aabbccddeeff\"", "AES256", "", DIGEST_AGREES},
	    {MD5, "00112233445566778899aabbccddeeff", "", "", DIGEST_AGREES},
	    /* keys of somebody, or several pieces: then the ETag is no digest */
	    {MD5, "\"00112233445566778899aabbccddeef0\"", "aws:kms", "", DIGEST_NONE},
	    {MD5, "\"00112233445566778899aabbccddeeff\"", "aws:kms", "", DIGEST_NONE},
	    {MD5, "\"00112233445566778899aabbccddeef0-2\"", "", "", DIGEST_NONE},
	    {MD5, "\"00112233445566778899aabbccddeeg0\"", "", "", DIGEST_NONE},
	    {MD5, "W/\"00112233445566778899aabbccddeef0\"", "", "", DIGEST_NONE},
	    {MD5, "W/\"x\"", "", "", DIGEST_NONE},
	    {MD5, "\"", "", "", DIGEST_NONE},
	    {MD5, "", "", "", DIGEST_NONE},
	    {MD5, "", "", "ABEiM0RVZneImaq7zN3u/w==", DIGEST_AGREES},
	    {MD5, "", "", "ABEiM0RVZneImaq7zN3u/g==", DIGEST_DIFFERS},
	    {MD5, "\"00112233445566778899aabbccddeef0\"", "",
		"ABEiM0RVZneImaq7zN3u/w==", DIGEST_DIFFERS},
	    {MD5, "", "", "not base64", DIGEST_NONE},
	    /* a system that forbids MD5 */
	    {"", "\"00112233445566778899aabbccddeef0\"", "",
		"ABEiM0RVZneImaq7zN3u/g==", DIGEST_NONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct digest_said said = {0};

		(void)snprintf(said.etag, sizeof(said.etag), "%s", t[i].etag);
		(void)snprintf(said.encryption, sizeof(said.encryption), "%s", t[i].encryption);
		(void)snprintf(
		    said.content_md5, sizeof(said.content_md5), "%s", t[i].content_md5);
		if (digest_compare(&said, t[i].md5) != t[i].is)
			fail_msg("%zu", i);
	}
}

static void
test_take(void **state)
{
	static struct http_answer a;
	struct digest_said said;

	(void)state;
	(void)snprintf(a.etag, sizeof(a.etag), "\"x\"");
	memset(a.content_md5, 'A', sizeof(a.content_md5) - 1);
	(void)snprintf(a.encryption, sizeof(a.encryption), "AES256");
	digest_take(&a, &said);
	assert_string_equal(said.etag, "\"x\"");
	assert_string_equal(said.content_md5, ""); /* no digest is that long */
	assert_string_equal(said.encryption, "AES256");
}

static void
test_file(void **state)
{
	static const size_t sizes[] = {0, 1, 262144, 262145, 3000000};
	char base[TMPDIR_SIZE], sha[HASH_HEX], md5[HASH_HEX], want[HASH_HEX];
	struct err e = {0};
	int dir;

	(void)state;
	tmpdir_make(base);
	dir = tmpdir_open(base);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *p = malloc(sizes[i] + 1);
		int fd;

		assert_non_null(p);
		for (size_t k = 0; k < sizes[i]; k++)
			p[k] = (char)(k * 31 + k / 251);
		tmpdir_write(dir, "f", p, sizes[i]);
		assert_int_equal(io_open(dir, "f", &fd, &e), RC_OK);
		assert_int_equal(digest_file(fd, sha, md5, &e), RC_OK);
		assert_int_equal(hash_sha256(p, sizes[i], want, &e), RC_OK);
		assert_string_equal(sha, want);
		assert_int_equal(strlen(md5), 32);
		if (sizes[i] == 0)
			assert_string_equal(md5, "d41d8cd98f00b204e9800998ecf8427e");
		(void)close(fd);
		free(p);
	}
	assert_int_not_equal(digest_file(-1, sha, md5, &e), RC_OK);
	(void)close(dir);
	tmpdir_remove(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_compare),
	    cmocka_unit_test(test_take),
	    cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
