/*
 * SPDX-License-Identifier: ISC
 *
 * t_issuer - tests of issuer: whose keys are fetched when, and what every failure leaves.
 *
 * Linked with: -Wl,--wrap=http_start -Wl,--wrap=http_cancel
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_daemon.h"
#include "issuer.h"
#include "keyfile.h"

#define ID "https://id.example.com/"
#define WELL_KNOWN ID ".well-known/openid-configuration"
#define KEYS ID "keys"
#define DOCUMENT "{\"issuer\":\"" ID "\",\"jwks_uri\":\"" KEYS "\"}"
#define OTHER "https://other.example.com"
#define OTHER_KEYS OTHER "/jwks"
#define SET "{\"keys\":[{\"kid\":\"one\"}]}"
#define SET2 "{\"keys\":[{\"kid\":\"two\"}]}"
#define TEXT(s) ((char *)(uintptr_t)(s))
#define DELTA 3 /* has no issuer */
#define ACCOUNTS 4

static struct conf_account accounts[ACCOUNTS];
static struct issuers *is;
static char logged[16384];

static void
sink(const char *line, size_t n)
{
	size_t at = strlen(logged);

	if (at + n < sizeof(logged)) {
		memcpy(logged + at, line, n);
		logged[at + n] = '\0';
	}
}

/* How often is text in what was logged? */
static unsigned
said(const char *text)
{
	unsigned n = 0;

	for (const char *at = logged; (at = strstr(at, text)) != NULL; at++)
		n++;
	return n;
}

static void
begin(void)
{
	struct err e = {0};

	if (issuers_open(&fake, &is, &e) != RC_OK)
		fail_msg("%s", e.text);
}

static void
restart(void)
{
	issuers_close(&is);
	begin();
}

static int
set_up(void **state)
{
	static const char *const names[] = {"acme", "beta", "gamma", "delta"};

	if (fake_setup(state) != 0)
		return -1;
	logged[0] = '\0';
	log_capture(sink);
	memset(accounts, 0, sizeof(accounts));
	for (size_t i = 0; i < ACCOUNTS; i++) {
		accounts[i].name = TEXT(names[i]);
		accounts[i].issuer = i == DELTA ? NULL : TEXT(ID);
		accounts[i].issuer_ca_file = TEXT("/ca.pem");
	}
	accounts[2].issuer = TEXT(OTHER);
	accounts[2].jwks_url = TEXT(OTHER_KEYS);
	accounts[2].issuer_ca_file = NULL;
	fake_conf.accounts = accounts;
	fake_conf.naccounts = 2; /* of one issuer */
	return 0;
}

static int
tear_down(void **state)
{
	issuers_close(&is);
	return fake_teardown(state);
}

/* The files that wait for the disk are there. */
static void
written(void)
{
	struct pollfd fd = {.fd = pool_fd(fake.pool), .events = POLLIN};

	assert_int_equal(poll(&fd, 1, FAKE_PATIENCE), 1);
	pool_reap(fake.pool);
}

static void
tick(void)
{
	issuers_tick(is, fake_mono);
}

/* Run until something is due, and do it. */
static void
until_due(void)
{
	int64_t due = issuers_due(is);

	assert_true(due < INT64_MAX);
	if (due > fake_mono)
		fake_pass(due - fake_mono);
	tick();
}

static struct http_call *
call_to(const char *url)
{
	for (unsigned i = fake_ncalls; i-- > 0;)
		if (fake_calls[i].live && str_begins(fake_calls[i].url, url))
			return &fake_calls[i];
	fail_msg("no request to %s is under way", url);
	return NULL;
}

static void
answer(const char *url, struct http_answer a)
{
	struct http_call *c = call_to(url);

	c->live = false;
	c->done(&a, c->arg);
}

static unsigned
requests(const char *url)
{
	unsigned n = 0;

	for (unsigned i = 0; i < fake_ncalls; i++)
		n += str_begins(fake_calls[i].url, url);
	return n;
}

/* A whole fetch from ID that brings this set. */
static void
bring(const char *set)
{
	answer(WELL_KNOWN, fake_status(200, DOCUMENT));
	answer(KEYS, fake_status(200, set));
	written();
}

static struct keyfile
file_of(const char *account)
{
	struct keyfile k;
	struct err e = {0};

	if (keyfile_read(spool_keys_dir(fake.spool), account, &k, &e) != RC_OK)
		fail_msg("%s: %s", account, e.text);
	return k;
}

/* The file of an account: these keys, and these times. */
static void
assert_file(const char *account, const char *set, int64_t fetched, int64_t tried)
{
	struct keyfile k = file_of(account);

	if (set == NULL)
		assert_null(k.jwks);
	else
		assert_string_equal(k.jwks, set);
	assert_true(k.fetched == fetched);
	assert_true(k.tried == tried);
	keyfile_free(&k);
}

static bool
has_file(const char *name)
{
	return io_exists(spool_keys_dir(fake.spool), name);
}

/* ---- a fetch ---- */

static void
test_first(void **state)
{
	const struct http_call *c = fake_calls;

	(void)state;
	fake_conf.naccounts = ACCOUNTS;
	accounts[2].issuer = NULL;
	accounts[2].jwks_url = NULL;
	begin();
	assert_int_equal(fake_ncalls, 0);
	assert_true(issuers_due(is) <= fake_mono);
	tick();
	assert_int_equal(fake_ncalls, 1); /* two accounts share it */
	assert_string_equal(c->url, WELL_KNOWN);
	assert_true(has_file("acme.asked") && has_file("beta.asked"));
	tick();
	answer(WELL_KNOWN, fake_status(200, DOCUMENT));
	assert_int_equal(fake_ncalls, 2);
	assert_string_equal(c[1].url, KEYS);
	for (unsigned i = 0; i < 2; i++) {
		assert_string_equal(c[i].bearer, "");
		assert_string_equal(c[i].post, "");
		assert_string_equal(c[i].ca, "/ca.pem");
		assert_int_equal(c[i].file, -1);
		assert_int_equal(c[i].max_body, KEYFILE_JWKS);
		assert_int_equal(c[i].connect_timeout, 5000);
		assert_int_equal(c[i].total_timeout, 5000);
	}
	assert_int_equal(issuers_due(is), INT64_MAX); /* nothing but the answer */
	fake_pass(7);
	answer(KEYS, fake_status(200, SET));
	assert_int_equal(issuers_due(is), INT64_MAX); /* nothing but the disk */
	tick();
	written();
	assert_file("acme", SET, FAKE_START + 7, FAKE_START + 7);
	assert_file("beta", SET, FAKE_START + 7, FAKE_START + 7);
	assert_false(has_file("gamma.json") || has_file("gamma.asked"));
	assert_false(has_file("delta.json"));
	assert_int_equal(said("keys of an issuer changed"), 1);
	assert_int_equal(said("added=one"), 1);
	assert_int_equal(said("removed"), 0);
	tick();
	assert_int_equal(fake_ncalls, 2);
}

static void
test_jwks_url(void **state)
{
	(void)state;
	accounts[0] = accounts[2];
	fake_conf.naccounts = 1;
	begin();
	tick();
	assert_int_equal(fake_ncalls, 1);
	assert_string_equal(fake_calls[0].url, OTHER_KEYS);
	assert_string_equal(fake_calls[0].ca, "");
	answer(OTHER_KEYS, fake_status(200, SET));
	written();
	assert_file("gamma", SET, fake_wall, fake_wall);
}

/* Accounts that differ in anything about their issuer do not share. */
static void
test_no_share(void **state)
{
	(void)state;
	accounts[1].issuer_ca_file = NULL;
	fake_conf.naccounts = 3;
	begin();
	tick();
	assert_int_equal(fake_ncalls, 3);
	assert_int_equal(requests(WELL_KNOWN), 2);
	assert_int_equal(requests(OTHER_KEYS), 1);
}

static void
test_changes(void **state)
{
	(void)state;
	begin();
	tick();
	bring(SET);
	logged[0] = '\0';
	until_due();
	bring(SET);
	assert_string_equal(logged, ""); /* the same again is no news */
	until_due();
	bring("{\"keys\":[{\"kid\":\"two\"},{\"kid\":\"a\\nlevel=error b\"}]}");
	assert_int_equal(said("\n"), 1);
	assert_int_equal(said("removed=one"), 1);
	assert_int_equal(said("added=\"two a\\x0alevel=error b\""), 1);
	logged[0] = '\0';
	until_due();
	bring("{\"keys\":[{\"kid\":\"two\",\"x\":1},{\"kid\":\"a\\nlevel=error b\"}]}");
	assert_int_equal(said("keys of an issuer changed"), 1);
	assert_int_equal(said("added") + said("removed"), 0);
}

/* ---- failures ---- */

static const struct {
	int status;
	const char *body, *why;
} bad_documents[] =
    {
	{404, DOCUMENT, "the discovery document: status 404"},
	{301, "", "the discovery document: status 301"},
	{204, DOCUMENT, "the discovery document: status 204"},
	{500, "", "the discovery document: status 500"},
	{401, "", "the discovery document: status 401"},
	{200, "", "the discovery document: "},
	{200, "<html>", "the discovery document: "},
	{200, "[]", "has no issuer"},
	{200, "{\"jwks_uri\":\"" KEYS "\"}", "has no issuer"},
	{200, "{\"issuer\":\"https://id.example.com\",\"jwks_uri\":\"" KEYS "\"}",
	    "is of the issuer https://id.example.com\""},
	{200, "{\"issuer\":\"" ID "\"}", "has no jwks_uri"},
	{200, "{\"issuer\":\"" ID "\",\"jwks_uri\":\"http://id.example.com/keys\"}",
	    "jwks_uri is no https URL"},
},
  bad_sets[] = {
      {404, SET2, "the keys: status 404"},
      {302, "", "the keys: status 302"},
      {206, SET2, "the keys: status 206"},
      {503, "", "the keys: status 503"},
      {200, "", "the JWK set: "},
      {200, "not json", "the JWK set: "},
      {200, "[]", "no JSON object with an array"},
      {200, "{}", "no JSON object with an array"},
      {200, "{\"keys\":{\"kid\":\"two\"}}", "no JSON object with an array"},
      {200, SET2 SET2, "the JWK set: "},
      {200, "{\"keys\":[],\"keys\":[]}", "the JWK set: "},
};

static const struct {
	enum http_fate fate;
	const char *text;
} fates[] = {
    {HTTP_NO_NAME, "no such name"},
    {HTTP_NO_CONNECT, "refused"},
    {HTTP_NO_TLS, "certificate"},
    {HTTP_STALLED, "5 s are over"},
    {HTTP_CUT, "broke"},
    {HTTP_TOO_LARGE, "too large"},
    {HTTP_FORBIDDEN, "forbidden"},
    {HTTP_LOCAL, "no memory"},
};

/* The fetch that is due fails at this request so; the files keep the set, or have none. */
static void
fails(bool second, struct http_answer a, const char *why, const char *set, int64_t fetched)
{
	fake_pass(CLK_HOUR); /* what was said before may be said again */
	logged[0] = '\0';
	until_due();
	fake_pass(3);
	if (second)
		answer(WELL_KNOWN, fake_status(200, DOCUMENT));
	answer(second ? KEYS : WELL_KNOWN, a);
	written();
	assert_file("acme", set, fetched, fake_wall);
	assert_file("beta", set, fetched, fake_wall);
	assert_int_equal(said("level=warn") + said("<4>"), said("\n"));
	if (said("no keys from an issuer") != 1 || said(why) != 1)
		fail_msg("%s: %s", why, logged);
}

static void
fail_in_all_ways(const char *set, int64_t fetched)
{
	for (size_t i = 0; i < sizeof(bad_documents) / sizeof(bad_documents[0]); i++) {
		fake_ncalls = 0;
		fails(false, fake_status(bad_documents[i].status, bad_documents[i].body),
		    bad_documents[i].why, set, fetched);
	}
	for (size_t i = 0; i < sizeof(bad_sets) / sizeof(bad_sets[0]); i++) {
		fake_ncalls = 0;
		fails(true, fake_status(bad_sets[i].status, bad_sets[i].body), bad_sets[i].why,
		    set, fetched);
	}
	for (size_t i = 0; i < 2 * sizeof(fates) / sizeof(fates[0]); i++) {
		struct http_answer a = {
		    .fate = fates[i / 2].fate, .body = "", .retry_after = -1};

		(void)snprintf(a.text, sizeof(a.text), "%s", fates[i / 2].text);
		fake_ncalls = 0;
		fails(i % 2 == 1, a, fates[i / 2].text, set, fetched);
	}
}

static void
test_failures_without_keys(void **state)
{
	(void)state;
	begin();
	fail_in_all_ways(NULL, 0);
	fake_ncalls = 0;
	until_due();
	bring(SET);
	assert_file("acme", SET, fake_wall, fake_wall);
	assert_int_equal(said("keys from an issuer again"), 1);
}

static void
test_failures_keep_keys(void **state)
{
	int64_t fetched;

	(void)state;
	begin();
	tick();
	bring(SET);
	fetched = fake_wall;
	fail_in_all_ways(SET, fetched);
	/* An issuer that is down for a day, and a daemon that is started again: the same keys.
	 */
	fake_pass(CLK_DAY);
	restart();
	fake_ncalls = 0;
	fails(false, fake_status(503, ""), "status 503", SET, fetched);
	assert_int_equal(said("keys_age=\""), 1);
	fake_ncalls = 0;
	until_due();
	bring(SET2);
	assert_file("beta", SET2, fake_wall, fake_wall);
}

/* Neither request can be started. */
static void
test_not_started(void **state)
{
	(void)state;
	begin();
	fake_start_rc = RC_LATER;
	tick();
	written();
	assert_file("acme", NULL, 0, fake_wall);
	assert_int_equal(said("not started"), 1);
	until_due();
	fake_start_rc = RC_BAD;
	answer(WELL_KNOWN, fake_status(200, DOCUMENT));
	written();
	assert_file("acme", NULL, 0, fake_wall);
	until_due();
	bring(SET);
	assert_file("acme", SET, fake_wall, fake_wall);
}

/* The same failure is logged once an hour, another one at once. */
static void
test_failures_said_once(void **state)
{
	struct http_answer a = {.body = "", .retry_after = -1};
	int64_t end;

	(void)state;
	begin();
	end = fake_mono + CLK_HOUR;
	fake_conf.daemon.keys_refresh = 2 * CLK_MINUTE;
	for (unsigned n = 0; fake_mono < end; n++) {
		until_due();
		if (fake_mono < end || n == 0)
			assert_int_equal(said("no keys from"), n > 0);
		fake_ncalls = 1;
		a.fate = HTTP_NO_CONNECT;
		(void)snprintf(a.text, sizeof(a.text), "refused after %u ms", n);
		answer(WELL_KNOWN, a);
		fake_ncalls = 0;
		written();
	}
	assert_int_equal(said("no keys from"), 2);
	until_due();
	answer(WELL_KNOWN, fake_status(502, ""));
	written();
	assert_int_equal(said("no keys from"), 3);
}

/* A file that cannot be written is written later; the issuer is not asked for it. */
static void
test_disk(void **state)
{
	int keys = spool_keys_dir(fake.spool);

	(void)state;
	assert_int_equal(mkdirat(keys, "beta.json", 0700), 0);
	begin();
	tick();
	bring(SET);
	assert_file("acme", SET, fake_wall, fake_wall);
	assert_int_equal(said("cannot keep the keys"), 1);
	assert_true(issuers_due(is) == fake_mono + CLK_MINUTE);
	until_due();
	written();
	assert_int_equal(said("cannot keep the keys"), 1);
	assert_int_equal(unlinkat(keys, "beta.json", AT_REMOVEDIR), 0);
	until_due();
	written();
	assert_file("beta", SET, FAKE_START, FAKE_START);
	assert_int_equal(fake_ncalls, 2);
	assert_true(issuers_due(is) > fake_mono + CLK_HOUR / 2);
}

/* ---- when ---- */

static void
test_refresh(void **state)
{
	(void)state;
	begin();
	tick();
	for (unsigned i = 0; i < 30; i++) {
		int64_t wait;

		fake_calls[0] = fake_calls[fake_ncalls - 1];
		fake_ncalls = 1;
		bring(SET);
		wait = issuers_due(is) - fake_mono;
		assert_in_range(wait, CLK_HOUR * 9 / 10, CLK_HOUR);
		fake_pass(wait - 1);
		tick();
		assert_int_equal(fake_ncalls, 2);
		fake_pass(1);
		tick();
		assert_int_equal(fake_ncalls, 3);
	}
}

/* Failures: at growing distances, from a pause to keys_refresh. */
static void
test_backoff(void **state)
{
	int64_t longest = 0;

	(void)state;
	begin();
	tick();
	for (unsigned i = 0; i < 40; i++) {
		int64_t began = fake_mono, wait;

		fake_calls[0] = fake_calls[fake_ncalls - 1];
		fake_ncalls = 1;
		answer(WELL_KNOWN, fake_status(500, ""));
		written();
		wait = issuers_due(is) - began;
		assert_in_range(wait, ISSUER_PAUSE, CLK_HOUR);
		if (i == 0)
			assert_true(wait <= 2 * CLK_MINUTE);
		longest = wait > longest ? wait : longest;
		until_due();
	}
	assert_true(longest > CLK_HOUR / 3);
}

/* The issuer's word is heeded, by what is asked too, but no longer than keys_refresh. */
static void
test_retry_after(void **state)
{
	struct http_answer a = fake_status(429, "");

	(void)state;
	begin();
	tick();
	a.retry_after = 10 * CLK_MINUTE;
	answer(WELL_KNOWN, a);
	written();
	assert_true(issuers_ask(is, "keys.acme"));
	fake_pass(10 * CLK_MINUTE - 1);
	tick();
	assert_int_equal(fake_ncalls, 1);
	fake_pass(1);
	tick();
	assert_int_equal(fake_ncalls, 2);
	a.retry_after = CLK_DAY;
	answer(WELL_KNOWN, a);
	written();
	assert_true(issuers_due(is) == fake_mono + CLK_HOUR);
}

static void
test_ask(void **state)
{
	(void)state;
	fake_conf.naccounts = ACCOUNTS;
	begin();
	assert_false(issuers_ask(is, "keys.delta")); /* has no issuer */
	assert_false(issuers_ask(is, "keys.none"));
	assert_false(issuers_ask(is, "keys."));
	assert_false(issuers_ask(is, "keys"));
	assert_false(issuers_ask(is, "wake.1"));
	assert_false(issuers_ask(is, "keys.acme.json"));
	tick();
	bring(SET);
	answer(OTHER_KEYS, fake_status(200, SET));
	written();
	fake_pass(10 * CLK_MINUTE);
	/* Both accounts of one issuer ask: one fetch, at once. */
	assert_true(issuers_ask(is, "keys.acme"));
	assert_true(issuers_ask(is, "keys.beta"));
	assert_true(issuers_due(is) <= fake_mono);
	tick();
	assert_int_equal(requests(WELL_KNOWN), 2);
	/* What is asked meanwhile is answered by it. */
	assert_true(issuers_ask(is, "keys.acme"));
	bring(SET2);
	assert_file("beta", SET2, fake_wall, fake_wall);
	fake_pass(2 * CLK_MINUTE);
	tick();
	assert_int_equal(requests(WELL_KNOWN), 2);
	assert_int_equal(requests(OTHER_KEYS), 1);
}

static int64_t began[FAKE_CALLS]; /* when the fetches were begun (wall clock) */

/* Answer whatever is under way, and note what was begun. */
static void
play(unsigned *n, bool well)
{
	for (unsigned i = 0; i < fake_ncalls; i++) {
		struct http_answer a = well ? fake_status(200, SET) : fake_status(500, "");
		struct http_call *c = &fake_calls[i];

		assert_true(*n < FAKE_CALLS);
		began[(*n)++] = fake_wall;
		c->live = false;
		c->done(&a, c->arg);
		written();
	}
	fake_ncalls = 0;
}

static void
assert_apart(unsigned n, unsigned least)
{
	assert_true(n >= least);
	for (unsigned i = 1; i < n; i++)
		assert_true(began[i] - began[i - 1] >= ISSUER_PAUSE);
}

/* Asked every second for ten minutes, for two issuers, one of which is down. */
static void
test_flood(void **state)
{
	unsigned n = 0;

	(void)state;
	accounts[0].jwks_url = TEXT(KEYS);
	accounts[1] = accounts[2];
	begin();
	tick();
	for (unsigned i = 0; i < 2; i++) {
		struct http_answer a = fake_status(200, SET);

		fake_calls[i].live = false;
		fake_calls[i].done(&a, fake_calls[i].arg);
		written();
	}
	fake_ncalls = 0;
	fake_pass(2 * CLK_MINUTE);
	for (unsigned s = 0; s < 600; s++) {
		unsigned before = n;

		assert_true(issuers_ask(is, "keys.acme"));
		assert_true(issuers_ask(is, "keys.gamma"));
		tick();
		/* They take turns. */
		if (fake_ncalls == 1)
			assert_string_equal(fake_calls[0].url, n % 2 == 0 ? KEYS : OTHER_KEYS);
		play(&n, true);
		assert_true(n - before <= 1);
		fake_pass(CLK_SECOND);
	}
	assert_apart(n, 10);
	assert_int_equal(n, 10);
}

/* The same with a daemon that is started again every second, or dies within a fetch. */
static void
test_restart_loop(void **state)
{
	(void)state;
	accounts[0].jwks_url = TEXT(KEYS);
	fake_conf.naccounts = 1;
	for (unsigned dies = 0; dies < 2; dies++) {
		unsigned n = 0;

		for (unsigned s = 0; s < 300; s++) {
			begin();
			assert_true(issuers_ask(is, "keys.acme"));
			tick();
			if (dies && fake_ncalls > 0) {
				began[n++] = fake_wall;
				assert_true(fake_calls[0].live);
				issuers_close(&is);
				assert_false(fake_calls[0].live);
				fake_ncalls = 0;
			}
			play(&n, false);
			issuers_close(&is);
			fake_pass(CLK_SECOND);
		}
		assert_int_equal(n, 5);
		assert_apart(n, 5);
		fake_pass(CLK_HOUR);
	}
}

/* What is asked for two issuers is one fetch a minute over restarts, too. */
static void
test_restart_loop_of_two(void **state)
{
	unsigned n = 0;

	(void)state;
	accounts[0].jwks_url = TEXT(KEYS);
	accounts[1] = accounts[2];
	begin();
	tick();
	fake_calls[2] = fake_calls[0]; /* both are answered, one after the other */
	fake_calls[0] = fake_calls[1];
	fake_ncalls = 1;
	play(&n, true);
	fake_calls[0] = fake_calls[2];
	fake_ncalls = 1;
	play(&n, true);
	issuers_close(&is);
	fake_pass(2 * CLK_MINUTE);
	n = 0;
	for (unsigned s = 0; s < 300; s++) {
		begin();
		assert_true(issuers_ask(is, "keys.acme"));
		assert_true(issuers_ask(is, "keys.gamma"));
		tick();
		play(&n, true);
		issuers_close(&is);
		fake_pass(CLK_SECOND);
	}
	assert_int_equal(n, 5);
	assert_apart(n, 5);
}

/* ---- what is on disk at a start ---- */

/* A start right after a fetch that went well does not ask again. */
static void
test_restart(void **state)
{
	int64_t left;

	(void)state;
	begin();
	tick();
	bring(SET);
	fake_pass(10 * CLK_MINUTE);
	restart();
	left = issuers_due(is) - fake_mono;
	assert_in_range(left, CLK_HOUR * 9 / 10 - 10 * CLK_MINUTE, CLK_HOUR - 10 * CLK_MINUTE);
	tick();
	assert_int_equal(fake_ncalls, 2);
	fake_pass(CLK_DAY);
	restart();
	tick();
	assert_int_equal(fake_ncalls, 3);
	answer(WELL_KNOWN, fake_status(500, ""));
	written();
	/* After one that failed it does, when the pause is over. */
	restart();
	assert_true(issuers_due(is) == fake_mono + ISSUER_PAUSE);
	until_due();
	bring(SET2);
	assert_file("acme", SET2, fake_wall, fake_wall);
}

/* Keys of another issuer are none, and keys from another place are fetched anew. */
static void
test_configuration_changed(void **state)
{
	(void)state;
	begin();
	tick();
	bring(SET);
	issuers_close(&is);
	fake_pass(ISSUER_PAUSE);
	accounts[0].jwks_url = accounts[1].jwks_url = TEXT(ID "new");
	begin();
	tick();
	answer(ID "new", fake_status(500, ""));
	written();
	assert_file("acme", SET, FAKE_START, fake_wall);
	issuers_close(&is);
	accounts[0].issuer = accounts[1].issuer = TEXT(OTHER);
	accounts[0].jwks_url = accounts[1].jwks_url = TEXT(OTHER_KEYS);
	begin();
	tick();
	answer(OTHER_KEYS, fake_status(500, ""));
	written();
	assert_file("acme", NULL, 0, fake_wall);
}

static void
test_damaged(void **state)
{
	(void)state;
	tmpdir_write(spool_keys_dir(fake.spool), "acme.json", "{}", 2);
	tmpdir_write(spool_keys_dir(fake.spool), "acme.asked", "x y\n", 4);
	tmpdir_write(spool_keys_dir(fake.spool), "beta.asked", "99999999999999999999", 20);
	begin();
	assert_int_equal(said("cannot be read"), 1);
	tick();
	bring(SET);
	assert_file("acme", SET, fake_wall, fake_wall);
}

/* An account that comes to an issuer which is known gets the keys without a fetch. */
static void
test_new_account(void **state)
{
	(void)state;
	fake_conf.naccounts = 1;
	begin();
	tick();
	bring(SET);
	issuers_close(&is);
	fake_conf.naccounts = 2;
	fake_pass(CLK_MINUTE);
	begin();
	assert_false(has_file("beta.json"));
	assert_true(issuers_due(is) <= fake_mono);
	tick();
	written();
	assert_file("beta", SET, FAKE_START, FAKE_START);
	assert_int_equal(fake_ncalls, 2);
	restart();
	assert_true(issuers_due(is) > fake_mono + CLK_HOUR / 2);
}

/* Of two files the younger keys are taken, whichever comes first. */
static void
test_younger(void **state)
{
	struct keyfile old = {.issuer = ID,
	    .fetched = FAKE_START - 2,
	    .tried = FAKE_START - 1,
	    .jwks = TEXT(SET),
	    .jwks_len = strlen(SET)};
	struct keyfile young = old;

	(void)state;
	young.fetched = FAKE_START - 1;
	young.jwks = TEXT(SET2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(keyfile_write(spool_keys_dir(fake.spool),
				     i == 0 ? "acme" : "beta", &old, NULL),
		    RC_OK);
		assert_int_equal(keyfile_write(spool_keys_dir(fake.spool),
				     i == 0 ? "beta" : "acme", &young, NULL),
		    RC_OK);
		begin();
		tick();
		written();
		assert_file("acme", SET2, young.fetched, young.tried);
		assert_file("beta", SET2, young.fetched, young.tried);
		issuers_close(&is);
	}
	assert_int_equal(fake_ncalls, 0);
}

/* The wall clock was set back by a year: one pause, not a year. */
static void
test_clock_set_back(void **state)
{
	(void)state;
	begin();
	tick();
	bring(SET);
	fake_wall -= 365 * CLK_DAY;
	restart();
	assert_true(issuers_due(is) == fake_mono + ISSUER_PAUSE);
	until_due();
	bring(SET2);
	assert_file("acme", SET2, fake_wall, fake_wall);
}

/* ---- the end ---- */

/* Closed while the disk is slow: the files are written all the same, and nothing is touched. */
static void
test_close_while_writing(void **state)
{
	(void)state;
	begin();
	tick();
	answer(WELL_KNOWN, fake_status(200, DOCUMENT));
	answer(KEYS, fake_status(200, SET));
	issuers_close(&is);
	assert_null(is);
	written();
	assert_file("beta", SET, fake_wall, fake_wall);
	issuers_close(&is);
}

static void
test_close_while_asking(void **state)
{
	(void)state;
	begin();
	tick();
	answer(WELL_KNOWN, fake_status(200, DOCUMENT));
	issuers_close(&is);
	assert_false(fake_calls[1].live);
	assert_false(has_file("acme.json"));
}

/* An issuer whose name does not fit into the file is refused at a start. */
static void
test_too_long(void **state)
{
	static char issuer[KEYFILE_ISSUER + 1];
	struct err e = {0};

	(void)state;
	memset(issuer, 'a', KEYFILE_ISSUER);
	accounts[0].issuer = issuer;
	assert_int_equal(issuers_open(&fake, &is, &e), RC_CONFIG);
	assert_null(is);
	assert_non_null(strstr(e.text, "account acme"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_first),
	    TEST(test_jwks_url),
	    TEST(test_no_share),
	    TEST(test_changes),
	    TEST(test_failures_without_keys),
	    TEST(test_failures_keep_keys),
	    TEST(test_not_started),
	    TEST(test_failures_said_once),
	    TEST(test_disk),
	    TEST(test_refresh),
	    TEST(test_backoff),
	    TEST(test_retry_after),
	    TEST(test_ask),
	    TEST(test_flood),
	    TEST(test_restart_loop),
	    TEST(test_restart_loop_of_two),
	    TEST(test_restart),
	    TEST(test_configuration_changed),
	    TEST(test_damaged),
	    TEST(test_new_account),
	    TEST(test_younger),
	    TEST(test_clock_set_back),
	    TEST(test_close_while_writing),
	    TEST(test_close_while_asking),
	    TEST(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
