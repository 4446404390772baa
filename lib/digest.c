/*
 * SPDX-License-Identifier: ISC
 *
 * digest - do the bytes have the digest that their host gives?  See digest.h.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "digest.h"
#include "hash.h"
#include "str.h"

#define MD5_DIGITS 32
#define MD5_BASE64 25 /* with its NUL */
#define BLOCK ((size_t)256 * 1024)

static void
copy(char *out, size_t size, const char *text)
{
	if (!str_copy(out, size, text))
		out[0] = '\0';
}

void
digest_take(const struct http_answer *a, struct digest_said *out)
{
	copy(out->etag, sizeof(out->etag), a->etag);
	copy(out->content_md5, sizeof(out->content_md5), a->content_md5);
	copy(out->encryption, sizeof(out->encryption), a->encryption);
}

/* 32 hexadecimal digits as Content-MD5 has them: base64. */
static void
md5_base64(const char *hex, char out[MD5_BASE64])
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char hexes[] = "0123456789abcdef";
	size_t n = 0;

	for (size_t i = 0; i < MD5_DIGITS; i += 3) {
		size_t v = 0;

		for (size_t k = i; k < i + 3; k++)
			v = v * 16 +
			    (k < MD5_DIGITS ? (size_t)(strchr(hexes, hex[k]) - hexes) : 0);
		out[n++] = digits[v / 64];
		out[n++] = digits[v % 64];
	}
	(void)snprintf(out + n, MD5_BASE64 - n, "==");
}

/* The MD5 that an ETag is; false: it is something else. */
static bool
etag_md5(const struct digest_said *said, char out[MD5_DIGITS + 1])
{
	size_t n = strlen(said->etag);
	const char *tag = said->etag;

	if (n >= 2 && tag[0] == '"' && tag[n - 1] == '"') {
		tag++;
		n -= 2;
	}
	return n == MD5_DIGITS && strspn(tag, "0123456789abcdefABCDEF") >= n &&
	       (said->encryption[0] == '\0' || str_eq(said->encryption, "AES256")) &&
	       str_copy_n(out, MD5_DIGITS + 1, tag, n);
}

enum digest
digest_compare(const struct digest_said *said, const char *md5)
{
	char sum[MD5_BASE64], tag[MD5_DIGITS + 1];
	enum digest is = DIGEST_NONE;

	if (strlen(md5) != MD5_DIGITS || strspn(md5, "0123456789abcdef") != MD5_DIGITS)
		return DIGEST_NONE;
	md5_base64(md5, sum);
	if (strlen(said->content_md5) == strlen(sum)) {
		if (!str_eq(said->content_md5, sum))
			return DIGEST_DIFFERS;
		is = DIGEST_AGREES;
	}
	if (etag_md5(said, tag)) {
		if (!str_eq_nocase(tag, md5))
			return DIGEST_DIFFERS;
		is = DIGEST_AGREES;
	}
	return is;
}

static enum rc
add_all(int fd, unsigned char *block, struct hash *sha, struct hash *md5, struct err *e)
{
	off_t at = 0;
	ssize_t n;
	enum rc rc;

	while ((n = pread(fd, block, BLOCK, at)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "pread", "document");
		if ((rc = hash_add(sha, block, (size_t)n, e)) != RC_OK ||
		    (md5 != NULL && (rc = hash_add(md5, block, (size_t)n, e)) != RC_OK))
			return rc;
		at += n;
	}
	return RC_OK;
}

enum rc
digest_file(int fd, char sha256[HASH_HEX], char md5[HASH_HEX], struct err *e)
{
	unsigned char *block = malloc(BLOCK);
	struct hash *sha = NULL, *five = NULL;
	enum rc rc;

	sha256[0] = md5[0] = '\0';
	if (block == NULL)
		return err_set(e, RC_LATER, "no memory");
	if ((rc = hash_new(&sha, e)) != RC_OK)
		goto out;
	if (hash_new_md5(&five, NULL) != RC_OK)
		five = NULL;
	if ((rc = add_all(fd, block, sha, five, e)) == RC_OK &&
	    (rc = hash_end(sha, sha256, e)) == RC_OK && five != NULL)
		rc = hash_end(five, md5, e);
out:
	hash_free(&sha);
	hash_free(&five);
	free(block);
	return rc;
}
