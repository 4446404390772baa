/*
 * SPDX-License-Identifier: ISC
 *
 * t_bearer - the token in a header, and many requests with tokens at the same time.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bearer.h"
#include "clk.h"
#include "keyfile.h"
#include "mint.h"
#include "tmpdir.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW INT64_C(1700000000)
#define TOKENS 600 /* more than are remembered */
#define THREADS 6

static char dir[TMPDIR_SIZE];
static int fd;
static struct conf conf;
static struct conf_account account;
static struct bearer *bearer;
static EVP_PKEY *pkey;
static char *tokens[TOKENS];
static atomic_uint taken, refused;

static int64_t
wall(void)
{
	return NOW * CLK_SECOND;
}

static void
token_in_header(void **state)
{
	static const struct {
		const char *value, *token;
	} rows[] = {{"Bearer x", "x"}, {"bearer x", "x"}, {"BEARER x", "x"},
	    {"Bearer    x", "x"}, {"Bearer x y", "x y"}, {"Bearer", ""}, {"Bearer ", ""},
	    {"", NULL}, {" Bearer x", NULL}, {"Bearerx", NULL}, {"Beare x", NULL},
	    {"Basic x", NULL}, {"Bearer:x", NULL}, {"Bearer\tx", "\tx"}, {"x Bearer y", NULL}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *token = bearer_token(rows[i].value);

		if (rows[i].token == NULL)
			assert_null(token);
		else
			assert_string_equal(token, rows[i].token);
	}
}

/* Every thread comes with all of them, good and bad in turn. */
static void *
run(void *arg)
{
	size_t from = *(const size_t *)arg;
	char which[BEARER_NAME];
	struct err e = {0};

	for (size_t n = 0; n < TOKENS; n++) {
		size_t i = (from * 97 + n) % TOKENS;

		if (bearer_check(bearer, 0, tokens[i], which, &e) == RC_OK)
			atomic_fetch_add(&taken, i % 2 == 0 ? 1 : 100000);
		else
			atomic_fetch_add(&refused, i % 2 == 1 ? 1 : 100000);
	}
	return NULL;
}

static void
many_at_a_time(void **state)
{
	size_t from[THREADS];
	pthread_t t[THREADS];

	(void)state;
	for (size_t i = 0; i < THREADS; i++) {
		from[i] = i;
		assert_int_equal(pthread_create(&t[i], NULL, run, &from[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_int_equal(atomic_load(&taken), THREADS * TOKENS / 2);
	assert_int_equal(atomic_load(&refused), THREADS * TOKENS / 2);
}

/* The odd ones have one letter of the signature changed. */
static void
make_tokens(void)
{
	struct buf b = BUF_INIT(MINT_TOKEN);
	char claims[200];

	for (int i = 0; i < TOKENS; i++) {
		(void)snprintf(claims, sizeof(claims),
		    "{\"iss\":\"https://"
		    "id.test\",\"aud\":\"a\",\"sub\":\"%d\",\"exp\":1700000100}",
		    i);
		mint_token(&b, pkey, "ES256", "{\"alg\":\"ES256\",\"kid\":\"k\"}", claims);
		if (i % 2 == 1)
			b.p[b.n - 20] = b.p[b.n - 20] == 'A' ? 'B' : 'A';
		tokens[i] = strdup(b.p);
		assert_non_null(tokens[i]);
	}
	buf_free(&b);
}

static int
setup(void **state)
{
	static char name[] = "acme", issuer[] = "https://id.test", audience[] = "a";
	static char algorithms[] = "ES256", types[] = "none";
	struct keyfile f = {
	    .issuer = "https://id.test", .fetched = NOW * 1000, .tried = NOW * 1000};
	struct buf b = BUF_INIT(KEYFILE_JWKS);
	struct err e = {0};

	(void)state;
	clk_replace(wall, NULL);
	tmpdir_make(dir);
	fd = tmpdir_open(dir);
	pkey = mint_ec("P-256");
	buf_str(&b, "{\"keys\":[");
	mint_jwk(&b, pkey, ",\"kid\":\"k\"");
	buf_str(&b, "]}");
	f.jwks = b.p;
	f.jwks_len = b.n;
	account = (struct conf_account){.name = name,
	    .issuer = issuer,
	    .audience = audience,
	    .algorithms = algorithms,
	    .token_types = types,
	    .token_lifetime = CLK_HOUR,
	    .keys_max_age = CLK_HOUR};
	conf.accounts = &account;
	conf.naccounts = 1;
	if (keyfile_write(fd, "acme", &f, &e) != RC_OK ||
	    bearer_open(&conf, fd, fd, &bearer, &e) != RC_OK)
		return -1;
	buf_free(&b);
	make_tokens();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	bearer_close(&bearer);
	bearer_close(&bearer);
	for (size_t i = 0; i < TOKENS; i++)
		free(tokens[i]);
	EVP_PKEY_free(pkey);
	clk_replace(NULL, NULL);
	(void)close(fd);
	tmpdir_remove(dir);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(token_in_header), cmocka_unit_test(many_at_a_time)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
