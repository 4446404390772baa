/*
 * SPDX-License-Identifier: ISC
 *
 * t_guard - tests of guard: every way to write a URL or an address that an attacker would try.
 *
 * URLs go through http_url first, as they do in the programs.
 */
#include "config.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "guard.h"
#include "http.h"
#include "str.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define DEFAULT "s3.amazonaws.com *.s3.amazonaws.com s3.*.amazonaws.com *.s3.*.amazonaws.com"

static struct guard *
make(const char *hosts, const char *networks)
{
	struct guard *g = NULL;
	struct err e = {0};

	if (guard_new(hosts, networks, &g, &e) != RC_OK)
		fail_msg(
		    "guard_new(%s, %s): %s", hosts, networks != NULL ? networks : "", e.text);
	assert_non_null(g);
	return g;
}

/* RC_BAD: no URL at all. */
static enum rc
ask(const struct guard *g, const char *url, struct err *e)
{
	struct http_url u;

	err_clear(e);
	if (!http_url(url, &u))
		return RC_BAD;
	return guard_url(g, u.scheme, u.host, u.port, u.userinfo, e);
}

struct url_case {
	const char *url;
	enum rc rc;
};

static void
check(const struct guard *g, const struct url_case *t, size_t n)
{
	struct err e = {0};

	for (size_t i = 0; i < n; i++) {
		enum rc rc = ask(g, t[i].url, &e);

		/* Whether the parser or the guard refuses depends on libcurl's version. */
		if (rc != t[i].rc && (t[i].rc == RC_OK || rc == RC_OK))
			fail_msg("%s: %s, expected %s (%s)", t[i].url, err_name(rc),
			    err_name(t[i].rc), e.text);
		if (rc == RC_DENIED && e.text[0] == '\0')
			fail_msg("%s: refused without a reason", t[i].url);
		assert_null(strchr(e.text, '\n'));
	}
}

static const struct url_case urls[] = {
    {"https://s3.amazonaws.com/", RC_OK},
    {"https://S3.AMAZONAWS.COM/", RC_OK},
    {"HTTPS://s3.amazonaws.com/x", RC_OK},
    {"https://s3.amazonaws.com:443/", RC_OK},
    {"https://s3.amazonaws.com:0443/", RC_OK},
    {"https://s3.amazonaws.com", RC_OK},
    {"https://s3.amazonaws.com?X-Amz-Signature=1", RC_OK},
    {"https://bucket.s3.amazonaws.com/key", RC_OK},
    {"https://my-bucket_1.s3.eu-west-2.amazonaws.com/a/b?c=d", RC_OK},
    {"https://s3.ap-southeast-2.amazonaws.com/b/k", RC_OK},
    {"https://b.s3.ap-southeast-2.amazonaws.com/k", RC_OK},
    {"https://s3.amazonaws.com/@evil.org/", RC_OK},
    {"https://s3.amazonaws.com/?u=https://evil.org@x", RC_OK},
    {"https://s3%2eamazonaws%2Ecom/", RC_OK},
    /* other schemes */
    {"http://s3.amazonaws.com/", RC_DENIED},
    {"http://s3.amazonaws.com:443/", RC_DENIED},
    {"ftp://s3.amazonaws.com/", RC_BAD},
    {"file:///etc/passwd", RC_BAD},
    {"gopher://s3.amazonaws.com/", RC_BAD},
    {"dict://s3.amazonaws.com/", RC_BAD},
    {"javascript:alert(1)", RC_BAD},
    {"httpss://s3.amazonaws.com/", RC_BAD},
    {"s3.amazonaws.com/", RC_BAD},
    {"//s3.amazonaws.com/", RC_BAD},
    {"https:s3.amazonaws.com/", RC_BAD},
    {"https:/s3.amazonaws.com/", RC_BAD},
    {"https:///s3.amazonaws.com/", RC_BAD},
    {"https:\\\\s3.amazonaws.com/", RC_BAD},
    {"", RC_BAD},
    {"https://", RC_BAD},
    {"https:///", RC_BAD},
    /* user information */
    {"https://user@s3.amazonaws.com/", RC_DENIED},
    {"https://user:word@s3.amazonaws.com/", RC_DENIED},
    {"https://@s3.amazonaws.com/", RC_DENIED},
    {"https://:@s3.amazonaws.com/", RC_DENIED},
    {"https://s3.amazonaws.com@evil.org/", RC_DENIED},
    {"https://s3.amazonaws.com:443@evil.org/", RC_DENIED},
    {"https://s3.amazonaws.com%40evil.org/", RC_BAD},
    {"https://evil.org\\@s3.amazonaws.com/", RC_DENIED},
    {"https://evil.org\\.s3.amazonaws.com/", RC_BAD},
    {"https://evil.org#@s3.amazonaws.com/", RC_DENIED},
    {"https://evil.org?@s3.amazonaws.com/", RC_DENIED},
    {"https://evil.org/@s3.amazonaws.com/", RC_DENIED},
    {"https://a@b@s3.amazonaws.com/", RC_DENIED},
    /* ports */
    {"https://s3.amazonaws.com:80/", RC_DENIED},
    {"https://s3.amazonaws.com:8443/", RC_DENIED},
    {"https://s3.amazonaws.com:22/", RC_DENIED},
    {"https://s3.amazonaws.com:0/", RC_BAD},
    {"https://s3.amazonaws.com:65979/", RC_BAD}, /* 443 in 16 bits */
    {"https://s3.amazonaws.com:4294967739/", RC_BAD},
    {"https://s3.amazonaws.com:-443/", RC_BAD},
    {"https://s3.amazonaws.com:+443/", RC_BAD},
    {"https://s3.amazonaws.com:0x1bb/", RC_BAD},
    {"https://s3.amazonaws.com:443:443/", RC_BAD},
    {"https://s3.amazonaws.com:44 3/", RC_BAD},
    /* other hosts, and misuse of the asterisk */
    {"https://evil.org/", RC_DENIED},
    {"https://amazonaws.com/", RC_DENIED},
    {"https://evil-s3.amazonaws.com/", RC_DENIED},
    {"https://evil-s3.amazonaws.com.evil.org/", RC_DENIED},
    {"https://s3.amazonaws.com.evil.org/", RC_DENIED},
    {"https://b.s3.amazonaws.com.evil.org/", RC_DENIED},
    {"https://s3.amazonaws.comevil.org/", RC_DENIED},
    {"https://s3.amazonaws.co/", RC_DENIED},
    {"https://s3.amazonaws.com.au/", RC_DENIED},
    {"https://a.b.s3.amazonaws.com/", RC_DENIED},
    {"https://.s3.amazonaws.com/", RC_DENIED},
    {"https://s3..amazonaws.com/", RC_DENIED},
    {"https://b..s3.amazonaws.com/", RC_DENIED},
    {"https://s3-amazonaws.com/", RC_DENIED},
    {"https://s3xamazonaws.com/", RC_DENIED},
    {"https://*.s3.amazonaws.com/", RC_BAD},
    {"https://s3.*.amazonaws.com/", RC_BAD},
    {"https://s3.a.b.amazonaws.com/", RC_DENIED},
    {"https://s3.eu-west-2.amazonaws.com.evil.org/", RC_DENIED},
    {"https://localhost/", RC_DENIED},
    {"https://metadata.google.internal/", RC_DENIED},
    /* the dot of the root */
    {"https://s3.amazonaws.com./", RC_DENIED},
    {"https://s3.amazonaws.com../", RC_DENIED},
    {"https://b.s3.amazonaws.com./", RC_DENIED},
    {"https://s3.amazonaws.com.:443/", RC_DENIED},
    {"https://localhost./", RC_DENIED},
    /* addresses in every spelling */
    {"https://127.0.0.1/", RC_DENIED},
    {"https://127.1/", RC_DENIED},
    {"https://2130706433/", RC_DENIED},
    {"https://0x7f000001/", RC_DENIED},
    {"https://0X7F.0.0.1/", RC_DENIED},
    {"https://0177.0.0.1/", RC_DENIED},
    {"https://017700000001/", RC_DENIED},
    {"https://0x7f.1/", RC_DENIED},
    {"https://127.0.1/", RC_DENIED},
    {"https://0/", RC_DENIED},
    {"https://0.0.0.0/", RC_DENIED},
    {"https://127.0.0.1./", RC_DENIED},
    {"https://169.254.169.254/latest/meta-data/", RC_DENIED},
    {"https://%31%32%37.0.0.1/", RC_DENIED},
    {"https://[::1]/", RC_DENIED},
    {"https://[::]/", RC_DENIED},
    {"https://[0:0:0:0:0:0:0:1]:443/", RC_DENIED},
    {"https://[::ffff:127.0.0.1]/", RC_DENIED},
    {"https://[::ffff:7f00:1]/", RC_DENIED},
    {"https://[::127.0.0.1]/", RC_DENIED},
    {"https://[64:ff9b::127.0.0.1]/", RC_DENIED},
    {"https://[fe80::1%25eth0]/", RC_BAD},
    {"https://[fe80::1%eth0]/", RC_BAD},
    {"https://[fd00:ec2::254]/", RC_DENIED},
    {"https://[::1/", RC_BAD},
    {"https://::1/", RC_BAD},
    {"https://[s3.amazonaws.com]/", RC_BAD},
    {"https://8.8.8.8/", RC_DENIED}, /* fine as an address, but not listed */
    /* names that look like others */
    {"https://s3.amaz\xd0\xbenaws.com/", RC_BAD}, /* U+043E */
    {"https://s3\xe3\x80\x82"
     "amazonaws.com/",
	RC_BAD}, /* U+3002, an IDNA dot */
    {"https://s3.amazonaws\xef\xbc\x8e"
     "com/",
	RC_BAD},                                               /* U+FF0E */
    {"https://evil.org\xef\xbc\x8fs3.amazonaws.com/", RC_BAD}, /* U+FF0F */
    {"https://%e2%93%94vil.s3.amazonaws.com/", RC_DENIED},
    {"https://evil.org%E3%80%82s3.amazonaws.com/", RC_DENIED},
    {"https://xn--s3-9ka.amazonaws.com/", RC_DENIED},
    /* what does not belong into a URL */
    {"https://evil.org%2f.s3.amazonaws.com/", RC_BAD},
    {"https://evil.org%23.s3.amazonaws.com/", RC_BAD},
    {"https://evil.org%00.s3.amazonaws.com/", RC_BAD},
    {"https://evil.org%0a.s3.amazonaws.com/", RC_BAD},
    {"https://evil.org%20.s3.amazonaws.com/", RC_BAD},
    {"https://s3.amazonaws.com /", RC_BAD},
    {"https://s3.amazonaws.com\t/", RC_BAD},
    {"https://s3.amazonaws.com\r\nHost: evil.org/", RC_BAD},
    {"https://s3.amazonaws.com/\x7f", RC_BAD},
    {" https://s3.amazonaws.com/", RC_BAD},
    {"https://[::1]s3.amazonaws.com/", RC_BAD},
    {"https://s3.amazonaws.com[::1]/", RC_BAD},
    {"https://s3,amazonaws.com/", RC_BAD},
    {"https://s3.amazonaws.com;evil.org/", RC_BAD},
    {"https://(s3.amazonaws.com)/", RC_BAD},
};

static void
test_urls(void **state)
{
	struct guard *g = make(DEFAULT, NULL);

	(void)state;
	assert_true(COUNT(urls) >= 100);
	check(g, urls, COUNT(urls));
	guard_free(&g);
	assert_null(g);
	guard_free(&g);
}

static void
test_listed(void **state)
{
	static const struct url_case t[] = {
	    {"https://docs.example.com:8443/", RC_OK},
	    {"https://docs.example.com/", RC_DENIED},
	    {"https://docs.example.com:443/", RC_DENIED},
	    {"https://both.example.com/", RC_OK},
	    {"https://both.example.com:444/", RC_OK},
	    {"https://both.example.com:445/", RC_DENIED},
	    {"https://10.1.2.3/", RC_OK},
	    {"https://10.0x1.0002.3/", RC_OK}, /* the same address: the parser says so */
	    {"https://167838211/", RC_OK},
	    {"https://10.1.2.4/", RC_DENIED},
	    {"https://[fd00::17]:444/", RC_OK},
	    {"https://[FD00:0:0:0::17]:444/", RC_OK},
	    {"https://[fd00::18]:444/", RC_DENIED},
	    {"https://a.wild.test/", RC_OK},
	    {"https://pre-x-post.wild2.test/", RC_OK},
	    {"https://pre--post.wild2.test/", RC_DENIED},
	    {"https://pre-post.wild2.test/", RC_DENIED},
	    {"https://pre-a.b-post.wild2.test/", RC_DENIED},
	    {"https://upper.example.com/", RC_OK},
	};
	struct guard *g = make(
	    " docs.example.com:8443 both.example.com\tboth.example.com:444  10.1.2.3 "
	    "[FD00::0017]:444 *.wild.test pre-*-post.wild2.test UPPER.Example.com ",
	    "");
	struct err e = {0};

	(void)state;
	check(g, t, COUNT(t));
	assert_int_equal(ask(g, "https://docs.example.com/", &e), RC_DENIED);
	assert_non_null(strstr(e.text, "port 443"));
	assert_int_equal(ask(g, "https://evil.org/", &e), RC_DENIED);
	assert_non_null(strstr(e.text, "evil.org"));
	assert_int_equal(ask(g, "http://10.1.2.3/", &e), RC_DENIED);
	assert_non_null(strstr(e.text, "https"));
	assert_int_equal(ask(g, "https://joe:pencil@a.wild.test/", &e), RC_DENIED);
	assert_non_null(strstr(e.text, "user"));
	assert_null(strstr(e.text, "pencil"));
	guard_free(&g);
}

/* What other parsers would hand over. */
static void
test_raw(void **state)
{
	static const struct {
		const char *scheme, *host, *port;
		enum rc rc;
	} t[] = {
	    {"https", "a.x.test", "443", RC_OK},
	    {"HTTPS", "A.X.test", "00443", RC_OK},
	    {"https", "a.x.test", "", RC_DENIED},
	    {"https", "a.x.test", "443 ", RC_DENIED},
	    {"https", "a.x.test", "https", RC_DENIED},
	    {"https", "a.x.test", "0", RC_DENIED},
	    {"https", "a.x.test", "65536", RC_DENIED},
	    {"https ", "a.x.test", "443", RC_DENIED},
	    {"", "a.x.test", "443", RC_DENIED},
	    {"https", "", "443", RC_DENIED},
	    {"https", ".", "443", RC_DENIED},
	    {"https", "*.x.test", "443", RC_DENIED},
	    {"https", "\xc3\xa4.x.test", "443", RC_DENIED},
	    {"https", "a\n.x.test", "443", RC_DENIED},
	    {"https", "a b.x.test", "443", RC_DENIED},
	    {"https", "0x7f.0.0.0x1", "443", RC_DENIED},
	    {"https", "1.2.3.4", "443", RC_DENIED},
	    {"https", "a.x.1", "443", RC_DENIED},
	    {"https", "a.x.0x", "443", RC_DENIED},
	    {"https", "[::1", "443", RC_DENIED},
	    {"https", "[]", "443", RC_DENIED},
	    {"https", "[::1%lo]", "443", RC_DENIED},
	    {"https", "::1", "443", RC_DENIED},
	};
	struct guard *g = make("*.x.test *.*.*.test", NULL), *none = make("", NULL);
	char longest[300];

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++)
		if (guard_url(g, t[i].scheme, t[i].host, t[i].port, false, NULL) != t[i].rc)
			fail_msg("%s %s %s", t[i].scheme, t[i].host, t[i].port);
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(guard_url(g, "https", longest, "443", false, NULL), RC_DENIED);
	assert_int_equal(guard_url(none, "https", "a.x.test", "443", false, NULL), RC_DENIED);
	guard_free(&g);
	guard_free(&none);
}

static void
test_bad_lists(void **state)
{
	static const char *const hosts[] = {"*", "a.*", "*.*", "a..b", ".a", "a.", "a:0",
	    "a:65536", "a:", "a:b", "a:443:443", "a/b", "http://a", "a,b.test", "a@b.test",
	    "\xc3\xa4.test", "[::1", "[::1]x", "[::1]x:443", "[::1]:", "[1.2.3.4]", "[*]",
	    "::1", "1.2.3.*", "*.2.3.4", "*.0x7f", "ok.test bad..test"};
	static const char *const networks[] = {"10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "10/8",
	    "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0/8", "::/129", "fe80::1%lo/64", "[::]/0",
	    "0x0a.0.0.0/8", "all", "10.0.0.0/8,11.0.0.0/8", "10.0.0.0/8 x", "/8",
	    "10.0.0.0/255.0.0.0"};
	struct guard *g = NULL;
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(hosts); i++) {
		if (guard_new(hosts[i], NULL, &g, &e) != RC_CONFIG)
			fail_msg("host pattern \"%s\" was taken", hosts[i]);
		assert_null(g);
	}
	assert_non_null(strstr(e.text, "\"bad..test\"")); /* the word that is wrong */
	for (size_t i = 0; i < COUNT(networks); i++) {
		if (guard_new("a.test", networks[i], &g, &e) != RC_CONFIG)
			fail_msg("network \"%s\" was taken", networks[i]);
		assert_null(g);
	}
	assert_non_null(strstr(e.text, "\"10.0.0.0/255.0.0.0\""));
}

/* n times word, separated by spaces. */
static char *
repeat(const char *word, size_t n)
{
	size_t k = strlen(word) + 1;
	char *text = malloc(n * k + 1);

	assert_non_null(text);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		memcpy(text + i * k, word, k - 1);
		memcpy(text + i * k + k - 1, " ", 2);
	}
	return text;
}

static void
test_maxima(void **state)
{
	struct guard *g = NULL;
	struct err e = {0};
	char *text = repeat("a.test", GUARD_HOSTS);

	(void)state;
	assert_int_equal(guard_new(text, NULL, &g, &e), RC_OK);
	guard_free(&g);
	free(text);
	text = repeat("a.test", GUARD_HOSTS + 1);
	assert_int_equal(guard_new(text, NULL, &g, &e), RC_CONFIG);
	assert_null(g);
	free(text);
	text = repeat("10.0.0.0/8", GUARD_NETWORKS);
	assert_int_equal(guard_new("a.test", text, &g, &e), RC_OK);
	guard_free(&g);
	free(text);
	text = repeat("10.0.0.0/8", GUARD_NETWORKS + 1);
	assert_int_equal(guard_new("a.test", text, &g, &e), RC_CONFIG);
	free(text);
	text = repeat("abcdefgh.", 80);
	for (char *p = text; *p != '\0'; p++)
		*p = *p == ' ' ? 'x' : *p;
	assert_int_equal(guard_new(text, NULL, &g, &e), RC_CONFIG);
	free(text);
}

static bool
allowed(const struct guard *g, const char *text)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct sockaddr_in four = {.sin_family = AF_INET};

	if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
		return guard_address(g, (const struct sockaddr *)&four);
	if (inet_pton(AF_INET6, text, &six.sin6_addr) != 1)
		fail_msg("%s is no address", text);
	return guard_address(g, (const struct sockaddr *)&six);
}

static void
check_addresses(const struct guard *g, const char *const *t, size_t n, bool expected)
{
	for (size_t i = 0; i < n; i++)
		if (allowed(g, t[i]) != expected)
			fail_msg("%s should be %s", t[i], expected ? "allowed" : "refused");
}

/* The first and the last address of each special block; the neighbours are in the next test. */
static void
test_special(void **state)
{
	static const char *const t[] = {"0.0.0.0", "0.255.255.255", "10.0.0.0",
	    "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.0", "127.0.0.1",
	    "127.255.255.255", "169.254.0.0", "169.254.169.254", "169.254.255.255",
	    "172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.8", "192.0.0.170",
	    "192.0.0.255", "192.0.2.0", "192.0.2.255", "192.88.99.0", "192.88.99.255",
	    "192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.0",
	    "198.51.100.255", "203.0.113.0", "203.0.113.255", "224.0.0.0", "239.255.255.255",
	    "240.0.0.0", "255.255.255.254", "255.255.255.255",
	    /* IPv6 */
	    "::", "::1", "::2", "::127.0.0.1", "::8.8.8.8", "::ffff:0.0.0.0",
	    "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::ffff:169.254.169.254",
	    "::ffff:192.168.1.1", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8", "::fffe:8.8.8.8",
	    "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::192.168.0.1",
	    "64:ff9b::169.254.169.254", "64:ff9b::1:8.8.8.8",
	    "64:ff9b:1::", "64:ff9b:1::8.8.8.8", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
	    "100::", "100::1", "100:0:0:1::1", "2001::", "2001::1",
	    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:1::1",
	    "2001:2::", "2001:3::", "2001:10::", "2001:20::", "2001:2f:ffff::",
	    "2001:1ff:ffff::", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
	    "2002::", "2002:7f00:1::", "2002:808:808::", "2002:ffff:ffff::", "3fff::",
	    "3fff:fff:ffff::", "4000::", "5f00::", "5f00::1", "1fff::1", "8000::1",
	    "fc00::", "fd00:ec2::254", "fdff::1", "fe00::1", "fe80::", "fe80::1",
	    "febf:ffff::1", "fec0::1", "ff00::", "ff02::1", "ff0e::1", "ffff::"};
	struct guard *g = make(DEFAULT, NULL);

	(void)state;
	check_addresses(g, t, COUNT(t), false);
	guard_free(&g);
}

static void
test_public(void **state)
{
	static const char *const t[] = {"1.0.0.0", "9.255.255.255", "11.0.0.0", "8.8.8.8",
	    "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
	    "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0",
	    "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0",
	    "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255",
	    "203.0.114.0", "223.255.255.255", "52.95.150.10", "::ffff:8.8.8.8",
	    "::ffff:52.95.150.10", "64:ff9b::8.8.8.8", "64:ff9b::52.95.150.10", "2000::1",
	    "2001:200::1", "2001:db7:ffff::1", "2001:db9::1", "2003::1", "2600:1fa0::1",
	    "2a05:d050:4000::1", "3ffe::1", "3fff:1000::1"};
	struct guard *g = make(DEFAULT, NULL);

	(void)state;
	check_addresses(g, t, COUNT(t), true);
	guard_free(&g);
}

static void
test_networks(void **state)
{
	static const char *const in[] = {"10.20.0.0", "10.20.255.255", "127.0.0.1",
	    "::ffff:10.20.1.1", "64:ff9b::10.20.1.1", "fd12:3456::1", "fd12:3457:ffff::1",
	    "192.168.1.5", "192.168.1.4", "172.16.5.129", "fe80::1", "8.8.8.8"};
	static const char *const out[] = {"10.19.255.255", "10.21.0.0", "127.0.0.2",
	    "127.0.0.0", "::ffff:10.21.0.0", "::1", "::10.20.1.1",
	    "2002:0a14:0101::", "fd12:3458::1", "fd12:3455:ffff::", "192.168.1.3",
	    "192.168.1.6", "172.16.5.127", "fe80:0:0:1::1", "64:ff9b:1::10.20.1.1"};
	static const char *const all[] = {
	    "10.0.0.1", "127.0.0.1", "255.255.255.255", "::ffff:127.0.0.1"};
	struct guard *g = make("a.test", "10.20.30.40/16 127.0.0.1/32 fd12:3456::/31 "
					 "192.168.1.4/31 172.16.5.128/25 fe80::/64");

	(void)state;
	check_addresses(g, in, COUNT(in), true);
	check_addresses(g, out, COUNT(out), false);
	guard_free(&g);
	g = make("a.test", "0.0.0.0/0");
	check_addresses(g, all, COUNT(all), true);
	assert_false(allowed(g, "::1"));
	guard_free(&g);
	g = make("a.test", "::/0");
	assert_true(allowed(g, "::1"));
	assert_false(allowed(g, "::ffff:127.0.0.1")); /* judged by what it carries */
	assert_false(allowed(g, "127.0.0.1"));
	guard_free(&g);
}

static void
test_families(void **state)
{
	struct guard *g = make("a.test", "0.0.0.0/0 ::/0");
	struct sockaddr_storage ss;
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/run/x"};

	(void)state;
	assert_false(guard_address(g, (const struct sockaddr *)&un));
	memset(&ss, 0, sizeof(ss));
	for (unsigned f = 0; f < 64; f++) {
		ss.ss_family = (sa_family_t)f;
		assert_int_equal(guard_address(g, (const struct sockaddr *)&ss),
		    f == AF_INET || f == AF_INET6);
	}
	guard_free(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_urls),
	    cmocka_unit_test(test_listed),
	    cmocka_unit_test(test_raw),
	    cmocka_unit_test(test_bad_lists),
	    cmocka_unit_test(test_maxima),
	    cmocka_unit_test(test_special),
	    cmocka_unit_test(test_public),
	    cmocka_unit_test(test_networks),
	    cmocka_unit_test(test_families),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
