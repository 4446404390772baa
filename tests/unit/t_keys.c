/*
 * SPDX-License-Identifier: ISC
 *
 * t_keys - keys that come as files: noticed, kept, asked for, waited for by one at a time.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "buf.h"
#include "conf.h"
#include "keyfile.h"
#include "keys.h"
#include "log.h"
#include "mint.h"
#include "str.h"
#include "tmpdir.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define ISS "https://id.test/"
#define START (INT64_C(1700000000) * CLK_SECOND)
#define ASK "keys.acme"
#define THREADS 8

static char dir[TMPDIR_SIZE];
static int keys_fd, ask_fd;
static struct conf conf;
static struct conf_account accounts[2];
static struct keys *keys;
static EVP_PKEY *pkey[2]; /* kid k0, k1 */
static struct buf token[2];
static struct jwt jwt[2];
static atomic_llong wall, mono;
static char lines[65536];
static size_t lines_len;
static pthread_mutex_t lines_lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned failing_reads; /* of the next so many */

enum rc __real_keyfile_read(int at, const char *account, struct keyfile *out, struct err *e);
enum rc __wrap_keyfile_read(int at, const char *account, struct keyfile *out, struct err *e);

enum rc
__wrap_keyfile_read(int at, const char *account, struct keyfile *out, struct err *e)
{
	if (failing_reads == 0)
		return __real_keyfile_read(at, account, out, e);
	failing_reads--;
	return err_set(e, RC_LATER, "no descriptor left");
}

static int64_t
test_wall(void)
{
	return atomic_load(&wall);
}

static int64_t
test_mono(void)
{
	return atomic_load(&mono);
}

static void
pass(int64_t ms)
{
	atomic_fetch_add(&wall, ms);
	atomic_fetch_add(&mono, ms);
}

static void
keep_line(const char *line, size_t n)
{
	pthread_mutex_lock(&lines_lock);
	if (lines_len + n < sizeof(lines)) {
		memcpy(lines + lines_len, line, n);
		lines_len += n;
		lines[lines_len] = '\0';
	}
	pthread_mutex_unlock(&lines_lock);
}

static unsigned
times(const char *what)
{
	unsigned n = 0;

	for (const char *p = lines; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

/* Real time, which the clocks of the test are not. */
static int64_t
real(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* As the daemon does; which: bit 0 and bit 1 for k0 and k1. */
static void
write_keys(unsigned which, const char *issuer, int64_t fetched, int64_t tried)
{
	struct buf b = BUF_INIT(KEYFILE_JWKS);
	struct keyfile f = {.fetched = fetched, .tried = tried};
	struct err e = {0};

	assert_true(str_copy(f.issuer, sizeof(f.issuer), issuer));
	buf_str(&b, "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}");
	for (unsigned i = 0; i < 2; i++) {
		if ((which >> i & 1) == 0)
			continue;
		buf_str(&b, ",");
		mint_jwk(&b, pkey[i], i == 0 ? ",\"kid\":\"k0\"" : ",\"kid\":\"k1\"");
	}
	buf_str(&b, "]}");
	if (fetched != 0) {
		f.jwks = b.p;
		f.jwks_len = b.n;
	}
	if (keyfile_write(keys_fd, "acme", &f, &e) != RC_OK)
		fail_msg("%s", e.text);
	buf_free(&b);
}

static void
open_keys(unsigned threads)
{
	struct err e = {0};

	conf.receiver.threads = threads;
	keys_close(&keys);
	if (keys_open(&conf, keys_fd, ask_fd, &keys, &e) != RC_OK)
		fail_msg("%s", e.text);
}

static enum rc
verify_why(unsigned which, struct err *e)
{
	uint64_t set;

	return keys_verify(keys, 0, token[which].p, token[which].n, &jwt[which], &set, e);
}

static enum rc
verify(unsigned which)
{
	struct err e = {0};
	enum rc rc = verify_why(which, &e);

	assert_true(rc == RC_OK || e.text[0] != '\0');
	return rc;
}

static bool
asked(void)
{
	return faccessat(ask_fd, ASK, F_OK, 0) == 0;
}

static void
answer(void)
{
	assert_int_equal(unlinkat(ask_fd, ASK, 0), 0);
}

static void
none_at_all(void **state)
{
	struct err e = {0};

	(void)state;
	open_keys(1);
	assert_false(asked()); /* nobody wanted any yet */
	assert_int_equal(keys_current(keys, 0), 0);
	assert_int_equal(verify_why(0, &e), RC_LATER);
	assert_string_equal(e.text, "the issuer's keys are not here yet");
	assert_true(asked());
	/* One file, whoever asks; another not sooner than a second after it. */
	assert_int_equal(verify(1), RC_LATER);
	answer();
	assert_int_equal(verify(0), RC_LATER);
	assert_false(asked());
	pass(CLK_SECOND);
	assert_int_equal(verify(0), RC_LATER);
	assert_true(asked());
	assert_int_equal(verify(0), RC_LATER);
	assert_int_equal(lines_len, 0);
}

static void
noticed(void **state)
{
	uint64_t first, second;

	(void)state;
	open_keys(1);
	assert_int_equal(verify(0), RC_LATER);
	write_keys(1, ISS, START, START);
	assert_int_equal(keys_current(keys, 0), 0); /* looked at a moment ago */
	assert_int_equal(verify(0), RC_OK);         /* but for this one once more */
	assert_int_not_equal(first = keys_current(keys, 0), 0);
	assert_int_equal(times("issuer's keys read"), 1);
	assert_non_null(strstr(lines, "account=acme usable=1 skipped=\"other-kty 1\""));
	/* The same keys once more, and a try that failed: the set is the same. */
	write_keys(1, ISS, START + 5, START + 5);
	pass(KEYS_RECHECK);
	assert_int_equal(keys_current(keys, 0), first);
	write_keys(1, ISS, START + 5, START + 10);
	pass(KEYS_RECHECK);
	assert_int_equal(keys_current(keys, 0), first);
	write_keys(3, ISS, START + 15, START + 15);
	pass(KEYS_RECHECK);
	assert_int_not_equal(second = keys_current(keys, 0), 0);
	assert_int_not_equal(second, first);
	assert_int_equal(verify(0), RC_OK);
	assert_int_equal(verify(1), RC_OK);
	/* One is taken back. */
	write_keys(2, ISS, START + 20, START + 20);
	pass(KEYS_RECHECK);
	assert_int_equal(verify(0), RC_DENIED);
	assert_int_equal(verify(1), RC_OK);
}

/* Keys that were just fetched, and then once more: the second file is not missed. */
static void
noticed_at_once(void **state)
{
	(void)state;
	write_keys(1, ISS, START, START);
	open_keys(1);
	assert_int_equal(verify(1), RC_DENIED);
	write_keys(3, ISS, START, START);
	assert_int_equal(verify(1), RC_OK);
	/* Nor one that says they are not fresh after all. */
	write_keys(1, ISS, START - KEYS_FRESH, START);
	pass(KEYS_RECHECK);
	assert_int_not_equal(keys_current(keys, 0), 0);
	write_keys(1, ISS, START + KEYS_RECHECK, START);
	assert_int_equal(verify(1), RC_DENIED);
	write_keys(1, ISS, START - KEYS_FRESH, START);
	assert_int_equal(verify(1), RC_LATER);
}

/* A file that cannot be read for the moment is read later, and not by every request. */
static void
read_later(void **state)
{
	(void)state;
	write_keys(1, ISS, START, START);
	failing_reads = 2;
	open_keys(1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(verify(0), RC_LATER);
	assert_int_equal(times("issuer's keys not read"), 1);
	pass(KEYS_RECHECK);
	for (int i = 0; i < 5; i++)
		assert_int_equal(verify(0), RC_LATER);
	assert_int_equal(times("issuer's keys not read"), 2);
	pass(KEYS_RECHECK);
	assert_int_equal(verify(0), RC_OK);
	assert_int_equal(times("issuer's keys not read"), 2);
}

/* What is no good is said once, and what was good stays. */
static void
last_good(void **state)
{
	uint64_t set;

	(void)state;
	write_keys(1, ISS, START, START);
	open_keys(1);
	assert_int_not_equal(set = keys_current(keys, 0), 0);
	tmpdir_write(keys_fd, "acme.json", "{}", 2);
	pass(KEYS_RECHECK);
	assert_int_equal(keys_current(keys, 0), set);
	pass(KEYS_RECHECK);
	assert_int_equal(keys_current(keys, 0), set);
	assert_int_equal(times("issuer's keys not read"), 1);
	write_keys(2, "https://other.test/", START, START);
	pass(KEYS_RECHECK);
	assert_int_equal(keys_current(keys, 0), set);
	assert_int_equal(times("issuer's keys not read"), 2);
	assert_non_null(strstr(lines, "keys of another issuer"));
	write_keys(0, ISS, START, START);
	pass(KEYS_RECHECK);
	assert_int_equal(keys_current(keys, 0), set);
	assert_non_null(strstr(lines, "no usable key in the set"));
	write_keys(0, ISS, 0, START);
	pass(KEYS_RECHECK);
	assert_int_equal(keys_current(keys, 0), set);
	assert_int_equal(unlinkat(keys_fd, "acme.json", 0), 0);
	pass(KEYS_RECHECK);
	assert_int_equal(keys_current(keys, 0), set);
	assert_int_equal(times("issuer's keys not read"), 3);
	assert_int_equal(verify(0), RC_OK);
	/* But not for ever. */
	atomic_store(&wall, START + CLK_HOUR);
	assert_int_equal(keys_current(keys, 0), set);
	atomic_store(&wall, START + CLK_HOUR + 1);
	assert_int_equal(keys_current(keys, 0), 0);
}

/* 401 where the issuer was just asked, 503 where it might know more. */
static void
whose_fault(void **state)
{
	struct err e = {0};

	(void)state;
	write_keys(1, ISS, START, START);
	open_keys(1);
	pass(KEYS_FRESH - 1);
	assert_int_equal(verify_why(1, &e), RC_DENIED);
	assert_string_equal(e.text, "kid: no key of the issuer's");
	assert_false(asked());
	pass(1);
	assert_int_equal(verify(1), RC_LATER);
	assert_true(asked());
	assert_int_equal(verify(0), RC_OK);
	/* The daemon asked, and the issuer did not answer: still not theirs. */
	answer();
	write_keys(1, ISS, START, START + KEYS_FRESH);
	pass(KEYS_RECHECK);
	assert_int_equal(verify(1), RC_LATER);
	/* It answered. */
	write_keys(1, ISS, atomic_load(&wall), atomic_load(&wall));
	pass(KEYS_RECHECK);
	assert_int_equal(verify(1), RC_DENIED);
	/* A clock that was set back makes nothing fresh. */
	atomic_store(&wall, START);
	assert_int_equal(verify(1), RC_LATER);
	assert_int_equal(verify(0), RC_OK);
	/* Too old. */
	atomic_store(&wall, START + CLK_DAY);
	assert_int_equal(verify_why(0, &e), RC_LATER);
	assert_string_equal(e.text, "the issuer's keys are older than keys_max_age");
}

/* A signature that is wrong under a known name asks for nothing. */
static void
wrong_signature(void **state)
{
	struct jwt lie = jwt[1];
	struct err e = {0};
	uint64_t set;

	(void)state;
	write_keys(1, ISS, START, START);
	open_keys(16);
	pass(10 * KEYS_FRESH);
	(void)snprintf(lie.kid, sizeof(lie.kid), "k0");
	assert_int_equal(
	    keys_verify(keys, 0, token[1].p, token[1].n, &lie, &set, &e), RC_DENIED);
	assert_false(asked());
	/* Without a name it may be of a key that is not here yet. */
	lie.kid[0] = '\0';
	open_keys(1);
	assert_int_equal(
	    keys_verify(keys, 0, token[1].p, token[1].n, &lie, &set, &e), RC_LATER);
	assert_true(asked());
}

static void
cannot_ask(void **state)
{
	int fd = ask_fd;

	(void)state;
	ask_fd = -1;
	open_keys(1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(verify(0), RC_LATER);
		pass(CLK_SECOND);
	}
	ask_fd = fd;
	assert_int_equal(times("issuer's keys not asked for"), 1);
	assert_false(asked());
}

struct waiter {
	pthread_t thread;
	enum rc rc;
	int64_t took;
};

static pthread_barrier_t barrier;
static unsigned waiter_token;

static void *
wait_run(void *arg)
{
	struct waiter *w = arg;
	struct err e = {0};
	int64_t began;

	(void)pthread_barrier_wait(&barrier);
	began = real();
	w->rc = verify_why(waiter_token, &e);
	w->took = real() - began;
	return NULL;
}

static void
start(struct waiter *w, unsigned n, unsigned which)
{
	waiter_token = which;
	assert_int_equal(pthread_barrier_init(&barrier, NULL, n + 1), 0);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(pthread_create(&w[i].thread, NULL, wait_run, &w[i]), 0);
	(void)pthread_barrier_wait(&barrier);
}

static void
join(struct waiter *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(pthread_join(w[i].thread, NULL), 0);
	assert_int_equal(pthread_barrier_destroy(&barrier), 0);
}

/* The key comes while somebody waits for it: that request is answered with it, at once. */
static void
comes_in_time(void **state)
{
	struct waiter w;

	(void)state;
	write_keys(1, ISS, START, START);
	open_keys(16);
	pass(2 * KEYS_FRESH);
	start(&w, 1, 1);
	while (!asked())
		(void)sched_yield();
	write_keys(3, ISS, atomic_load(&wall), atomic_load(&wall));
	join(&w, 1);
	assert_int_equal(w.rc, RC_OK);
	assert_true(w.took < KEYS_WAIT);
	/* The issuer does not know that one either: theirs. */
	answer();
	write_keys(1, ISS, START, START);
	open_keys(16);
	start(&w, 1, 1);
	while (!asked())
		(void)sched_yield();
	write_keys(1, ISS, atomic_load(&wall), atomic_load(&wall));
	join(&w, 1);
	assert_int_equal(w.rc, RC_DENIED);
	assert_true(w.took < KEYS_WAIT);
}

/* Nobody answers: one waits, all others do not, and then nobody does for a while. */
static void
one_waits(void **state)
{
	struct waiter w[THREADS];
	unsigned waited = 0;

	(void)state;
	write_keys(1, ISS, START, START);
	open_keys(16);
	pass(2 * KEYS_FRESH);
	start(w, THREADS, 1);
	join(w, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(w[i].rc, RC_LATER);
		waited += w[i].took >= KEYS_WAIT - KEYS_STEP;
	}
	assert_int_equal(waited, 1);
	assert_true(asked());
	pass(KEYS_FRESH - 1);
	start(w, THREADS, 1);
	join(w, THREADS);
	for (unsigned i = 0; i < THREADS; i++)
		assert_true(w[i].took < KEYS_WAIT - KEYS_STEP);
}

/* With one thread in all, whoever waited would hold up everybody. */
static void
alone_nobody_waits(void **state)
{
	struct waiter w;

	(void)state;
	open_keys(1);
	start(&w, 1, 0);
	join(&w, 1);
	assert_int_equal(w.rc, RC_LATER);
	assert_true(w.took < KEYS_WAIT - KEYS_STEP);
}

static atomic_bool stop;

static void *
verify_run(void *arg)
{
	unsigned *good = arg;
	struct err e = {0};

	while (!atomic_load(&stop))
		*good += verify_why(0, &e) == RC_OK;
	return NULL;
}

/* Sets are exchanged while others verify with them. */
static void
exchanged(void **state)
{
	pthread_t t[4];
	unsigned good[4] = {0};

	(void)state;
	atomic_store(&stop, false);
	write_keys(1, ISS, START, START);
	open_keys(16);
	for (size_t i = 0; i < COUNT(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, verify_run, &good[i]), 0);
	for (unsigned i = 0; i < 40; i++) {
		uint64_t before = keys_current(keys, 0);

		write_keys(i % 2 == 0 ? 3 : 1, ISS, START, START);
		pass(KEYS_RECHECK);
		assert_int_not_equal(keys_current(keys, 0), before);
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < COUNT(t); i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_true(good[0] + good[1] + good[2] + good[3] > 0);
}

static int
setup(void **state)
{
	static char name[] = "acme", plain[] = "plain", issuer[] = ISS;

	(void)state;
	tmpdir_make(dir);
	keys_fd = tmpdir_open(dir);
	assert_int_equal(mkdirat(keys_fd, "ask", 0700), 0);
	ask_fd = openat(keys_fd, "ask", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	accounts[0] = (struct conf_account){
	    .name = name, .issuer = issuer, .keys_max_age = CLK_HOUR};
	accounts[1] = (struct conf_account){.name = plain};
	conf.accounts = accounts;
	conf.naccounts = 2;
	atomic_store(&wall, START);
	atomic_store(&mono, 1000000);
	lines_len = 0;
	lines[0] = '\0';
	log_capture(keep_line);
	clk_replace(test_wall, test_mono);
	return ask_fd >= 0 ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	keys_close(&keys);
	keys_close(&keys);
	clk_replace(NULL, NULL);
	log_capture(NULL);
	(void)close(ask_fd);
	(void)close(keys_fd);
	tmpdir_remove(dir);
	return 0;
}

static int
make_tokens(void **state)
{
	char header[64];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		pkey[i] = mint_ec("P-256");
		jwt[i] = (struct jwt){.alg = JWT_ES256, .signature = 64};
		(void)snprintf(jwt[i].kid, sizeof(jwt[i].kid), "k%u", i);
		(void)snprintf(
		    header, sizeof(header), "{\"alg\":\"ES256\",\"kid\":\"k%u\"}", i);
		token[i] = BUF_INIT(MINT_TOKEN);
		mint_token(&token[i], pkey[i], "ES256", header, "{}");
	}
	return 0;
}

static int
free_tokens(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		EVP_PKEY_free(pkey[i]);
		buf_free(&token[i]);
	}
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {TEST(none_at_all), TEST(noticed),
	    TEST(noticed_at_once), TEST(read_later), TEST(last_good), TEST(whose_fault),
	    TEST(wrong_signature), TEST(cannot_ask), TEST(comes_in_time), TEST(one_waits),
	    TEST(alone_nobody_waits), TEST(exchanged)};

	return cmocka_run_group_tests(tests, make_tokens, free_tokens);
}
