/*
 * SPDX-License-Identifier: ISC
 *
 * t_auth - secrets and tokens of a request: which suffice, what a refusal asks for, and what
 * is looked at how often.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "auth.h"
#include "jose.h"
#include "keyfile.h"
#include "keys.h"
#include "log.h"
#include "mint.h"
#include "spoolkit.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW INT64_C(1700000000)
#define ISS "https://id.test/"
#define AUD "urn:arken"
#define REST ",\"iat\":1700000000,\"exp\":1700003600}"
#define ONE "first-secret-0123456789"
#define TWO "second-secret-0123456789"
#define SECRET "HTTP_X_ARKEN_SECRET="
#define TOKEN "HTTP_AUTHORIZATION="
#define PARAMS 6
#define PARAM 8400 /* a parameter of a test, with its NUL */

enum { PLAIN, TOKENS, BOTH, NEITHER, ACCOUNTS };

static struct kit kit;
static struct conf conf;
static struct conf_account accounts[ACCOUNTS];
static struct auth *auth;
static struct auth_verdict verdict;
static struct err err;
static EVP_PKEY *pkey;
static struct buf token; /* a good one */
static char bearer[PARAM], secret_file[TMPDIR_SIZE + 16], lines[16384];
static size_t lines_len;
static int64_t wall, mono;
static unsigned verifications;

enum rc __real_jose_verify(
    const struct jose *k, const char *p, size_t n, const struct jwt *t, struct err *e);
enum rc __wrap_jose_verify(
    const struct jose *k, const char *p, size_t n, const struct jwt *t, struct err *e);

enum rc
__wrap_jose_verify(
    const struct jose *k, const char *p, size_t n, const struct jwt *t, struct err *e)
{
	verifications++;
	return __real_jose_verify(k, p, n, t, e);
}

static int64_t
test_wall(void)
{
	return wall;
}

static int64_t
test_mono(void)
{
	return mono;
}

static void
pass(int64_t ms)
{
	wall += ms;
	mono += ms;
}

static void
keep_line(const char *line, size_t n)
{
	if (lines_len + n >= sizeof(lines))
		return;
	memcpy(lines + lines_len, line, n);
	lines_len += n;
	lines[lines_len] = '\0';
}

static unsigned
times(const char *what)
{
	unsigned n = 0;

	for (const char *p = lines; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

static void
write_secrets(const char *text, mode_t mode)
{
	tmpdir_write(AT_FDCWD, secret_file, text, strlen(text));
	assert_int_equal(chmod(secret_file, mode), 0);
}

static void
write_keys(const char *extra)
{
	struct buf b = BUF_INIT(KEYFILE_JWKS);
	struct keyfile f = {.issuer = ISS, .fetched = wall, .tried = wall};

	buf_str(&b, "{\"keys\":[");
	mint_jwk(&b, pkey, extra);
	buf_str(&b, "]}");
	f.jwks = b.p;
	f.jwks_len = b.n;
	for (int a = TOKENS; a <= BOTH; a++)
		if (keyfile_write(spool_keys_dir(kit.sp), accounts[a].name, &f, &err) != RC_OK)
			fail_msg("%s", err.text);
	buf_free(&b);
}

static enum rc
open_auth(void)
{
	err_clear(&err);
	auth_close(&auth);
	return auth_open(&conf, kit.sp, &auth, &err);
}

/* A request with these parameters. */
static enum rc
check(int account, const char *const *params)
{
	char *env[PARAMS + 2] = {NULL};
	struct request rq;
	size_t n = 0;

	env[n++] = (char *)(uintptr_t) "REQUEST_METHOD=POST";
	for (; n <= PARAMS && params[n - 1] != NULL; n++)
		env[n] = (char *)(uintptr_t)params[n - 1];
	request_read(env, &rq);
	err_clear(&err);
	return auth_check(auth, &accounts[account], &rq, &verdict, &err);
}

static void
passes(int account, const char *const *params, const char *which)
{
	if (check(account, params) != RC_OK)
		fail_msg("%s refused: %s", params[0], err.text);
	assert_string_equal(verdict.which, which);
}

static void
refuses(int account, const char *const *params, enum auth_challenge want, const char *why)
{
	assert_int_equal(check(account, params), RC_DENIED);
	assert_string_equal(verdict.which, "");
	assert_int_equal(verdict.challenge, want);
	assert_string_equal(err.text, why);
}

#define LIST(...) ((const char *const[PARAMS + 1]){__VA_ARGS__})
#define NO_CREDENTIAL "no valid credential"
#define TWICE "a credential given twice"

static void
test_secrets(void **state)
{
	(void)state;
	passes(PLAIN, LIST(SECRET ONE), "secret:line1");
	passes(PLAIN, LIST(SECRET TWO), "secret:line3");
	refuses(PLAIN, LIST(NULL), AUTH_ASK_SECRET, NO_CREDENTIAL);
	refuses(PLAIN, LIST(SECRET), AUTH_ASK_SECRET, NO_CREDENTIAL);
	refuses(PLAIN, LIST(SECRET ONE "x"), AUTH_ASK_SECRET, NO_CREDENTIAL);
	refuses(PLAIN, LIST(SECRET ONE "\n" TWO), AUTH_ASK_SECRET, NO_CREDENTIAL);
	refuses(PLAIN, LIST(SECRET ONE, SECRET ONE), AUTH_ASK_SECRET, TWICE);
	refuses(PLAIN, LIST(SECRET ONE, SECRET TWO), AUTH_ASK_SECRET, TWICE);
	refuses(PLAIN, LIST(SECRET ONE ", " ONE), AUTH_ASK_SECRET, NO_CREDENTIAL);
	refuses(PLAIN, LIST(SECRET ONE "," TWO), AUTH_ASK_SECRET, NO_CREDENTIAL);
	/* A token is nothing to this account, not even twice. */
	refuses(PLAIN, LIST(bearer), AUTH_ASK_SECRET, NO_CREDENTIAL);
	passes(PLAIN, LIST(SECRET ONE, bearer, bearer), "secret:line1");
	assert_int_equal(verifications, 0);
}

/* Whatever the header is called. */
static void
test_any_header(void **state)
{
	static char header[] = "api-KEY-2";

	(void)state;
	accounts[PLAIN].secret_header = header;
	passes(PLAIN, LIST("HTTP_API_KEY_2=" TWO), "secret:line3");
	refuses(PLAIN, LIST(SECRET ONE), AUTH_ASK_SECRET, NO_CREDENTIAL);
	refuses(PLAIN, LIST("HTTP_API_KEY=" ONE), AUTH_ASK_SECRET, NO_CREDENTIAL);
	refuses(PLAIN, LIST("API_KEY_2=" ONE), AUTH_ASK_SECRET, NO_CREDENTIAL);
}

static void
test_tokens(void **state)
{
	char other[PARAM];

	(void)state;
	passes(TOKENS, LIST(bearer), "bearer:kid=k1 sub=arken");
	refuses(TOKENS, LIST(NULL), AUTH_ASK_TOKEN, NO_CREDENTIAL);
	refuses(TOKENS, LIST(SECRET ONE), AUTH_ASK_TOKEN, NO_CREDENTIAL);
	refuses(TOKENS, LIST(TOKEN "Basic YTpi"), AUTH_ASK_TOKEN, NO_CREDENTIAL);
	refuses(TOKENS, LIST(TOKEN), AUTH_ASK_TOKEN, NO_CREDENTIAL);
	refuses(TOKENS, LIST(TOKEN "Bearer"), AUTH_ASK_GOOD_TOKEN, "token: not three parts");
	refuses(TOKENS, LIST(TOKEN "Bearer "), AUTH_ASK_GOOD_TOKEN, "token: not three parts");
	refuses(TOKENS, LIST(TOKEN "Bearer x"), AUTH_ASK_GOOD_TOKEN, "token: not three parts");
	refuses(TOKENS, LIST(bearer, bearer), AUTH_ASK_GOOD_TOKEN, TWICE);
	refuses(TOKENS, LIST(bearer, TOKEN "Basic YTpi"), AUTH_ASK_GOOD_TOKEN, TWICE);
	(void)snprintf(other, sizeof(other), TOKEN "Bearer %s, Bearer %s", token.p, token.p);
	refuses(TOKENS, LIST(other), AUTH_ASK_GOOD_TOKEN, TWICE);
	(void)snprintf(other, sizeof(other), TOKEN "Bearer %s,", token.p);
	refuses(TOKENS, LIST(other), AUTH_ASK_GOOD_TOKEN, TWICE);
	(void)snprintf(other, sizeof(other), TOKEN "%s", token.p);
	refuses(TOKENS, LIST(other), AUTH_ASK_TOKEN, NO_CREDENTIAL);
	(void)snprintf(other, sizeof(other), TOKEN "Bearers %s", token.p);
	refuses(TOKENS, LIST(other), AUTH_ASK_TOKEN, NO_CREDENTIAL);
	(void)snprintf(other, sizeof(other), TOKEN "Bearer %s x", token.p);
	refuses(TOKENS, LIST(other), AUTH_ASK_GOOD_TOKEN, "token: signature: not base64url");
	(void)snprintf(other, sizeof(other), TOKEN "bEARER   %s", token.p);
	passes(TOKENS, LIST(other), "bearer:kid=k1 sub=arken");
}

static void
test_either_suffices(void **state)
{
	(void)state;
	passes(BOTH, LIST(SECRET TWO), "secret:line3");
	passes(BOTH, LIST(bearer), "bearer:kid=k1 sub=arken");
	passes(BOTH, LIST(SECRET ONE, bearer), "secret:line1");
	passes(BOTH, LIST(SECRET "wrong", bearer), "bearer:kid=k1 sub=arken");
	passes(BOTH, LIST(SECRET ONE, TOKEN "Bearer x"), "secret:line1");
	refuses(BOTH, LIST(NULL), AUTH_ASK_TOKEN, NO_CREDENTIAL);
	refuses(BOTH, LIST(SECRET "wrong"), AUTH_ASK_TOKEN, NO_CREDENTIAL);
	refuses(BOTH, LIST(SECRET "wrong", TOKEN "Bearer x"), AUTH_ASK_GOOD_TOKEN,
	    "token: not three parts");
	/* Twice is twice, whatever else is there. */
	refuses(BOTH, LIST(SECRET ONE, SECRET ONE, bearer), AUTH_ASK_TOKEN, TWICE);
	refuses(BOTH, LIST(SECRET ONE, bearer, bearer), AUTH_ASK_GOOD_TOKEN, TWICE);
	refuses(BOTH, LIST(SECRET ONE, TOKEN "Bearer x, Bearer y"), AUTH_ASK_GOOD_TOKEN, TWICE);
	/* Neither: nothing does. */
	refuses(NEITHER, LIST(SECRET ONE), AUTH_ASK_SECRET, NO_CREDENTIAL);
	refuses(NEITHER, LIST(bearer), AUTH_ASK_SECRET, NO_CREDENTIAL);
	refuses(NEITHER, LIST(NULL), AUTH_ASK_SECRET, NO_CREDENTIAL);
}

static void
test_remembered(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		passes(TOKENS, LIST(bearer), "bearer:kid=k1 sub=arken");
	assert_int_equal(verifications, 1);
	/* Another account has to find out by itself. */
	passes(BOTH, LIST(bearer), "bearer:kid=k1 sub=arken");
	assert_int_equal(verifications, 2);
	/* Other keys: again; the same ones fetched anew: not. */
	pass(KEYS_RECHECK);
	write_keys(",\"kid\":\"k1\"");
	pass(KEYS_RECHECK);
	passes(TOKENS, LIST(bearer), "bearer:kid=k1 sub=arken");
	assert_int_equal(verifications, 2);
	write_keys(",\"kid\":\"k1\",\"more\":1");
	pass(KEYS_RECHECK);
	passes(TOKENS, LIST(bearer), "bearer:kid=k1 sub=arken");
	assert_int_equal(verifications, 3);
	/* The key is taken back, and so is what it signed. */
	write_keys(",\"kid\":\"k2\"");
	pass(KEYS_RECHECK);
	refuses(
	    TOKENS, LIST(bearer), AUTH_ASK_GOOD_TOKEN, "token: kid: no key of the issuer's");
}

static void
test_remembered_until_it_expires(void **state)
{
	(void)state;
	passes(TOKENS, LIST(bearer), "bearer:kid=k1 sub=arken");
	wall = (NOW + 3600 + 60) * CLK_SECOND - 1;
	passes(TOKENS, LIST(bearer), "bearer:kid=k1 sub=arken");
	assert_int_equal(verifications, 1);
	wall++;
	refuses(TOKENS, LIST(bearer), AUTH_ASK_GOOD_TOKEN, "token: expired (exp)");
	/* Nor before it begins, should the clock be set back. */
	wall = (NOW - 60) * CLK_SECOND;
	passes(TOKENS, LIST(bearer), "bearer:kid=k1 sub=arken");
	wall--;
	refuses(TOKENS, LIST(bearer), AUTH_ASK_GOOD_TOKEN, "token: issued in the future (iat)");
	/* A refused one is never remembered, nor one for the time when keys are too old. */
	wall = NOW * CLK_SECOND + CLK_DAY;
	assert_int_equal(check(TOKENS, LIST(bearer)), RC_DENIED);
	wall = (NOW + 3600) * CLK_SECOND;
	accounts[TOKENS].keys_max_age = CLK_MINUTE;
	assert_int_equal(check(TOKENS, LIST(bearer)), RC_LATER);
	assert_string_equal(err.text, "token: the issuer's keys are older than keys_max_age");
}

/* No keys: whoever has a secret does not notice. */
static void
test_no_keys(void **state)
{
	(void)state;
	assert_int_equal(unlinkat(spool_keys_dir(kit.sp), accounts[TOKENS].name, 0), -1);
	for (int a = TOKENS; a <= BOTH; a++) {
		char name[KEYFILE_NAME];

		assert_int_equal(keyfile_name(accounts[a].name, name, &err), RC_OK);
		assert_int_equal(unlinkat(spool_keys_dir(kit.sp), name, 0), 0);
	}
	assert_int_equal(open_auth(), RC_OK);
	passes(BOTH, LIST(SECRET ONE), "secret:line1");
	passes(PLAIN, LIST(SECRET ONE), "secret:line1");
	assert_int_equal(kit_names(&kit, "ask"), 0);
	assert_int_equal(check(TOKENS, LIST(TOKEN "Bearer x")), RC_DENIED);
	assert_int_equal(kit_names(&kit, "ask"), 0);
	assert_int_equal(check(TOKENS, LIST(bearer)), RC_LATER);
	assert_string_equal(err.text, "token: the issuer's keys are not here yet");
	assert_int_equal(check(BOTH, LIST(bearer)), RC_LATER);
	assert_int_equal(kit_names(&kit, "ask"), 2);
	passes(BOTH, LIST(SECRET ONE, bearer), "secret:line1");
	write_keys(",\"kid\":\"k1\"");
	pass(KEYS_RECHECK);
	passes(TOKENS, LIST(bearer), "bearer:kid=k1 sub=arken");
}

/* Names of keys and subjects are the issuer's text, and a log line is ours. */
static void
test_names(void **state)
{
	static const struct {
		const char *kid, *sub, *which;
	} rows[] = {{"k 1", "a b", "bearer:kid=k_1 sub=a_b"},
	    {"k\\n\\u00e9", "\\\\", "bearer:kid=k\\x0a\\xc3\\xa9 sub=\\\\"},
	    {"k sub=root", "me", "bearer:kid=k_sub=root sub=me"}, {"k", NULL, "bearer:kid=k"},
	    {NULL, "s", "bearer:sub=s"}, {NULL, NULL, "bearer"}};
	char header[600], claims[700], param[4096], extra[512];
	struct buf b = BUF_INIT(MINT_TOKEN);

	(void)state;
	for (size_t i = 0; i <= COUNT(rows); i++) {
		char lots[JWT_KID + 1];
		const char *kid = i < COUNT(rows) ? rows[i].kid : lots;
		const char *sub = i < COUNT(rows) ? rows[i].sub : lots;

		memset(lots, '\x7f', JWT_KID);
		lots[JWT_KID] = '\0';
		(void)snprintf(extra, sizeof(extra), kid != NULL ? ",\"kid\":\"%s\"" : "%s",
		    kid != NULL ? kid : "");
		(void)snprintf(header, sizeof(header), "{\"alg\":\"ES256\"%s}", extra);
		write_keys(extra);
		pass(KEYS_RECHECK);
		(void)snprintf(extra, sizeof(extra), sub != NULL ? ",\"sub\":\"%s\"" : "%s",
		    sub != NULL ? sub : "");
		(void)snprintf(claims, sizeof(claims),
		    "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\"%s" REST, extra);
		mint_token(&b, pkey, "ES256", header, claims);
		(void)snprintf(param, sizeof(param), TOKEN "Bearer %s", b.p);
		if (i < COUNT(rows)) {
			passes(TOKENS, LIST(param), rows[i].which);
			continue;
		}
		assert_int_equal(check(TOKENS, LIST(param)), RC_OK);
		assert_true(strlen(verdict.which) < AUTH_NAME);
		assert_non_null(strstr(verdict.which, "... sub="));
	}
	buf_free(&b);
}

/* Nothing of a token is in what is logged or said about it. */
static void
test_nothing_is_told(void **state)
{
	char param[PARAM];
	struct buf b = BUF_INIT(MINT_TOKEN);

	(void)state;
	mint_token(&b, pkey, "ES256", "{\"alg\":\"ES256\",\"kid\":\"hush\"}",
	    "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"hush\":\"hush\"" REST);
	(void)snprintf(param, sizeof(param), TOKEN "Bearer %s", b.p);
	assert_int_equal(check(TOKENS, LIST(param)), RC_DENIED);
	assert_null(strstr(err.text, "hush"));
	for (size_t cut = 1; cut < 40; cut++) {
		(void)snprintf(
		    param, sizeof(param), TOKEN "Bearer %.*s", (int)(b.n - cut), b.p);
		assert_int_equal(check(TOKENS, LIST(param)), RC_DENIED);
		assert_null(strstr(err.text, "hush"));
		assert_null(strstr(err.text, "eyJ"));
	}
	assert_null(strstr(lines, "hush"));
	assert_null(strstr(lines, "eyJ"));
	buf_free(&b);
}

static void
test_long_tokens(void **state)
{
	char *param = malloc(1 << 20);

	(void)state;
	assert_non_null(param);
	memset(param, 'A', 1 << 20);
	memcpy(param, TOKEN "Bearer ", strlen(TOKEN "Bearer "));
	param[(1 << 20) - 1] = '\0';
	refuses(TOKENS, LIST(param), AUTH_ASK_GOOD_TOKEN, "token: longer than 8192 characters");
	free(param);
}

static void
test_secrets_change(void **state)
{
	(void)state;
	write_secrets(TWO "\n", 0600);
	passes(PLAIN, LIST(SECRET ONE), "secret:line1"); /* looked at a moment ago */
	pass(AUTH_RECHECK);
	refuses(PLAIN, LIST(SECRET ONE), AUTH_ASK_SECRET, NO_CREDENTIAL);
	passes(PLAIN, LIST(SECRET TWO), "secret:line1");
	/* Each account looks by itself. */
	passes(BOTH, LIST(SECRET TWO), "secret:line1");
	assert_int_equal(times("secrets read again"), 2);
	/* What is no good changes nothing, and is said once. */
	write_secrets("short\n", 0600);
	for (int i = 0; i < 3; i++) {
		pass(AUTH_RECHECK);
		passes(PLAIN, LIST(SECRET TWO), "secret:line1");
	}
	assert_int_equal(times("secrets not read, the old ones stay valid"), 1);
	write_secrets(ONE "\n", 0604);
	pass(AUTH_RECHECK);
	passes(PLAIN, LIST(SECRET TWO), "secret:line1");
	assert_int_equal(times("secrets not read, the old ones stay valid"), 2);
	assert_int_equal(unlink(secret_file), 0);
	for (int i = 0; i < 3; i++) {
		pass(AUTH_RECHECK);
		passes(PLAIN, LIST(SECRET TWO), "secret:line1");
	}
	assert_int_equal(times("secrets not read, the old ones stay valid"), 3);
	write_secrets(ONE "\n", 0640);
	pass(AUTH_RECHECK);
	passes(PLAIN, LIST(SECRET ONE), "secret:line1");
	assert_null(strstr(lines, ONE));
	assert_null(strstr(lines, "short"));
}

/* At the start each mistake ends it, and names the file and what was expected. */
static void
test_bad_secrets(void **state)
{
	static const struct {
		const char *text;
		mode_t mode;
		enum rc rc;
		const char *why;
	} rows[] = {
	    {"", 0600, RC_CONFIG, ": expected a secret, found nothing"},
	    {" \n\t\r\n", 0600, RC_CONFIG, ": expected a secret, found nothing"},
	    {ONE, 0644, RC_CONFIG,
		": expected no access for others (chmod o-rwx), found mode 0644"},
	    {ONE, 0604, RC_CONFIG,
		": expected no access for others (chmod o-rwx), found mode 0604"},
	    {ONE "\nshort\n", 0600, RC_CONFIG,
		": line 2: a secret has 16 to 1024 bytes, this one 5"},
	    {ONE "\x01\n", 0600, RC_CONFIG, ": line 1: a byte that is not printable ASCII"},
	};
	char want[ERR_TEXT];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		write_secrets(rows[i].text, rows[i].mode);
		assert_int_equal(open_auth(), rows[i].rc);
		assert_null(auth);
		(void)snprintf(
		    want, sizeof(want), "account plain: %s%s", secret_file, rows[i].why);
		assert_string_equal(err.text, want);
	}
	assert_int_equal(unlink(secret_file), 0);
	assert_int_equal(open_auth(), RC_GONE);
	assert_non_null(strstr(err.text, secret_file));
}

static int
setup(void **state)
{
	static char names[ACCOUNTS][8] = {"plain", "tokens", "both", "neither"};
	static char header[] = "X-Arken-Secret", issuer[] = ISS, audience[] = AUD;
	static char algorithms[] = CONF_ALGORITHMS, types[] = "JWT at+jwt none";

	(void)state;
	kit_start(&kit);
	kit_open(&kit);
	(void)snprintf(secret_file, sizeof(secret_file), "%s/secret", kit.dir);
	write_secrets(ONE "\n\n" TWO, 0600);
	for (int i = 0; i < ACCOUNTS; i++) {
		accounts[i] = (struct conf_account){.name = names[i]};
		if (i == PLAIN || i == BOTH) {
			accounts[i].secret_header = header;
			accounts[i].secret_file = secret_file;
		}
		if (i != TOKENS && i != BOTH)
			continue;
		accounts[i].issuer = issuer;
		accounts[i].audience = audience;
		accounts[i].algorithms = algorithms;
		accounts[i].token_types = types;
		accounts[i].token_lifetime = CLK_DAY;
		accounts[i].token_leeway = CLK_MINUTE;
		accounts[i].keys_max_age = 7 * CLK_DAY;
	}
	conf.accounts = accounts;
	conf.naccounts = ACCOUNTS;
	conf.receiver.threads = 1;
	wall = NOW * CLK_SECOND;
	mono = 1000000;
	lines_len = 0;
	lines[0] = '\0';
	verifications = 0;
	clk_replace(test_wall, test_mono);
	log_capture(keep_line);
	write_keys(",\"kid\":\"k1\"");
	return open_auth() == RC_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	auth_close(&auth);
	auth_close(&auth);
	clk_replace(NULL, NULL);
	log_capture(NULL);
	kit_end(&kit);
	return 0;
}

static int
make_token(void **state)
{
	(void)state;
	pkey = mint_ec("P-256");
	token = BUF_INIT(MINT_TOKEN);
	mint_token(&token, pkey, "ES256", "{\"alg\":\"ES256\",\"kid\":\"k1\"}",
	    "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"sub\":\"arken\"" REST);
	(void)snprintf(bearer, sizeof(bearer), TOKEN "Bearer %s", token.p);
	return 0;
}

static int
free_token(void **state)
{
	(void)state;
	EVP_PKEY_free(pkey);
	buf_free(&token);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {TEST(test_secrets), TEST(test_any_header),
	    TEST(test_tokens), TEST(test_either_suffices), TEST(test_remembered),
	    TEST(test_remembered_until_it_expires), TEST(test_no_keys), TEST(test_names),
	    TEST(test_nothing_is_told), TEST(test_long_tokens), TEST(test_secrets_change),
	    TEST(test_bad_secrets)};

	return cmocka_run_group_tests(tests, make_token, free_token);
}
