/*
 * SPDX-License-Identifier: ISC
 *
 * t_status - which page is where, and who may see it.
 */
#include "config.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "log.h"
#include "spoolkit.h"
#include "status.h"

#define TOKEN "the-token-of-the-status"
#define OTHER "another-token-that-counts"

static struct kit kit;
static struct conf conf;
static char token_file[TMPDIR_SIZE + 16];

static void
write_tokens(const char *tokens, mode_t mode)
{
	FILE *f = fopen(token_file, "w");

	assert_non_null(f);
	assert_true(fputs(tokens, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(token_file, mode), 0);
}

static int
set_up(void **state)
{
	static char path[] = "/arken/status";

	(void)state;
	kit_start(&kit);
	kit_open(&kit);
	(void)snprintf(token_file, sizeof(token_file), "%s/token", kit.dir);
	write_tokens(TOKEN "\n" OTHER "\n", 0640);
	conf = (struct conf){.status = {.path = path, .token_file = token_file}};
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	kit_end(&kit);
	return 0;
}

static void
test_pages(void **state)
{
	static const char *const none[] = {"", "/", "/arken", "/arken/status", "/arken/status/",
	    "/arken/statushealthz", "/arken/status/healthz/", "/arken/status/healthzz",
	    "/arken/status/HEALTHZ", "/healthz", "/metrics", "/arken/acme",
	    "/arken/status//healthz"};

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(status_page(&conf, none[i]), STATUS_NONE);
	assert_int_equal(status_page(&conf, "/arken/status/healthz"), STATUS_HEALTH);
	assert_int_equal(status_page(&conf, "/arken/status/metrics"), STATUS_METRICS);
	/* Without a token there are no metrics, not even forbidden ones. */
	conf.status.token_file = NULL;
	assert_int_equal(status_page(&conf, "/arken/status/healthz"), STATUS_HEALTH);
	assert_int_equal(status_page(&conf, "/arken/status/metrics"), STATUS_NONE);
}

static enum rc
ask(const char *first, const char *second)
{
	static char one[STATUS_TOKEN * 2], two[STATUS_TOKEN];
	char *env[3] = {NULL};
	struct request rq;
	struct err e = {0};
	enum rc rc;

	if (first != NULL) {
		(void)snprintf(one, sizeof(one), "HTTP_AUTHORIZATION=%s", first);
		env[0] = one;
	}
	if (second != NULL) {
		(void)snprintf(two, sizeof(two), "HTTP_AUTHORIZATION=%s", second);
		env[1] = two;
	}
	request_read(env, &rq);
	rc = status_allowed(&conf, &rq, &e);
	assert_null(strstr(e.text, "token-that"));
	assert_int_equal(rc == RC_OK, e.text[0] == '\0');
	return rc;
}

static void
test_tokens(void **state)
{
	static const struct {
		const char *value;
		bool allowed;
	} t[] = {
	    {"Bearer " TOKEN, true},
	    {"bearer " OTHER, true},
	    {"Bearer " TOKEN "x", false},
	    {"Bearer  " TOKEN, false},
	    {"Bearer the-token-of-the-statu", false},
	    {"Bearer", false},
	    {"Bearer ", false},
	    {TOKEN, false},
	    {"", false},
	    {"Digest " TOKEN, false},
	    /* prom:TOKEN, :OTHER, prom:a:b (a password may have colons), prom */
	    {"Basic cHJvbTp0aGUtdG9rZW4tb2YtdGhlLXN0YXR1cw==", true},
	    {"Basic cHJvbTp0aGUtdG9rZW4tb2YtdGhlLXN0YXR1cw", true},
	    {"basic OmFub3RoZXItdG9rZW4tdGhhdC1jb3VudHM=", true},
	    {"Basic cHJvbTphOmI=", false},
	    {"Basic cHJvbQ==", false},
	    {"Basic cHJvbTp0aGUtdG9rZW4tb2YtdGhlLXN0YXR1cw=x", false},
	    {"Basic cHJvbTp0aGUtdG9rZW4tb2YtdGhlLXN0YXR1cw===", false},
	    {"Basic cHJvbTp0aGUtdG9rZW4tb2YtdGhlLXN0YXR1cwA=", false},
	    {"Basic " TOKEN, false},
	    {"Basic ", false},
	};
	char *longest;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_int_equal(ask(t[i].value, NULL), t[i].allowed ? RC_OK : RC_DENIED);
	assert_int_equal(ask(NULL, NULL), RC_DENIED);
	assert_int_equal(ask("Bearer " TOKEN, "Bearer " TOKEN), RC_DENIED);
	assert_int_equal(ask("Bearer " TOKEN, ""), RC_DENIED);
	assert_non_null(longest = calloc(1, STATUS_TOKEN + 32));
	memset(longest, 'A', STATUS_TOKEN + 16);
	memcpy(longest, "Bearer ", 7);
	assert_int_equal(ask(longest, NULL), RC_DENIED);
	memcpy(longest, "Basic  ", 6);
	assert_int_equal(ask(longest, NULL), RC_DENIED);
	free(longest);
}

static void
test_token_file(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(status_check(&conf, &e), RC_OK);
	/* A new token counts at once. */
	write_tokens("yet-another-token-here\n", 0600);
	assert_int_equal(ask("Bearer " TOKEN, NULL), RC_DENIED);
	assert_int_equal(ask("Bearer yet-another-token-here", NULL), RC_OK);
	write_tokens("short\n", 0600);
	assert_int_equal(ask("Bearer short", NULL), RC_CONFIG);
	assert_int_equal(status_check(&conf, &e), RC_CONFIG);
	assert_non_null(strstr(e.text, "[status]"));
	write_tokens(TOKEN "\n", 0644);
	assert_int_equal(status_check(&conf, &e), RC_CONFIG);
	assert_int_equal(unlink(token_file), 0);
	assert_int_equal(ask("Bearer " TOKEN, NULL), RC_GONE);
	/* Whoever brings no token is told the same as ever. */
	assert_int_equal(ask(NULL, NULL), RC_DENIED);
	conf.status.token_file = NULL;
	assert_int_equal(status_check(&conf, &e), RC_OK);
	assert_int_equal(ask("Bearer " TOKEN, NULL), RC_DENIED);
}

static void
test_texts(void **state)
{
	struct buf b = BUF_INIT(65536);

	(void)state;
	assert_int_equal(kit_put(&kit, KIT_NAME), RC_OK);
	assert_true(status_health(kit.sp, true, &b));
	assert_non_null(strstr(b.p, "\"waiting\":1"));
	assert_null(strstr(b.p, "acme"));
	buf_clear(&b);
	status_metrics(kit.sp, &b);
	assert_non_null(strstr(b.p, "arkenspool_files{folder=\"new\"} 1\n"));
	assert_non_null(strstr(b.p, "arkenspool_files{folder=\"rejected\"} 0\n"));
	assert_non_null(strstr(b.p, "arkenspool_healthy 1\n"));
	count_mark_broken(spool_counts(kit.sp));
	buf_clear(&b);
	assert_false(status_health(kit.sp, false, &b));
	assert_string_equal(b.p, "{\"status\":\"unwell\"}\n");
	buf_clear(&b);
	status_metrics(kit.sp, &b);
	assert_non_null(strstr(b.p, "arkenspool_healthy 0\n"));
	assert_non_null(strstr(b.p, "arkenspool_sync_failed 1\n"));
	buf_free(&b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_pages),
	    TEST(test_tokens),
	    TEST(test_token_file),
	    TEST(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
