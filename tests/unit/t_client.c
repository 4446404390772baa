/*
 * SPDX-License-Identifier: ISC
 *
 * t_client - tests of spoolctl's client: the token shared with others, renewed once, and what
 * each answer means.
 *
 * Linked with: -Wl,--wrap=http_start -Wl,--wrap=http_wait -Wl,--wrap=http_cancel
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

#include "client.h"
#include "clk.h"
#include "io.h"
#include "str.h"
#include "tmpdir.h"
#include "token.h"

#define NOW INT64_C(1780000000000)
#define TOKEN_URL "https://id.example.com/oauth/token"
#define API_URL "https://api.example.com/pre/account?accountHashId=a"
#define CALLS 8

struct http_call {
	char url[256], post[512], method[16], bearer[64], headers[256];
	void (*done)(const struct http_answer *, void *);
	void *arg;
};

static struct http_call calls[CALLS]; /* in their order */
static unsigned ncalls, answers;
static struct http_answer script[CALLS]; /* the answers to them */
static unsigned bad_waits;
static enum rc start_rc;
static int64_t wall, mono;

static char base[TMPDIR_SIZE], secret[TMPDIR_SIZE + 16];
static struct conf conf;
static struct conf_account account;
static struct client *client;
static struct err err;
static struct client_answer ans;

enum rc __wrap_http_start(struct http *h, const struct http_request *req,
    void (*done)(const struct http_answer *, void *), void *arg, struct http_call **call,
    struct err *e);
enum rc __wrap_http_wait(
    struct http *h, struct pollfd *fds, unsigned n, int timeout, struct err *e);
void __wrap_http_cancel(struct http *h, struct http_call **call);

enum rc
__wrap_http_start(struct http *h, const struct http_request *req,
    void (*done)(const struct http_answer *, void *), void *arg, struct http_call **call,
    struct err *e)
{
	struct http_call *c = &calls[ncalls];

	assert_non_null(h);
	*call = NULL;
	if (start_rc != RC_OK)
		return err_set(e, start_rc, "not started");
	assert_true(ncalls++ < CALLS);
	assert_int_equal(req->connect_timeout, conf.daemon.connect_timeout);
	assert_int_equal(req->total_timeout, conf.daemon.api_timeout);
	assert_string_equal(req->ca_file, account.ca_file);
	assert_int_equal(req->file, -1);
	memset(c, 0, sizeof(*c));
	(void)snprintf(c->url, sizeof(c->url), "%s", req->url);
	(void)snprintf(c->post, sizeof(c->post), "%s", req->post != NULL ? req->post : "");
	(void)snprintf(
	    c->method, sizeof(c->method), "%s", req->method != NULL ? req->method : "");
	(void)snprintf(
	    c->bearer, sizeof(c->bearer), "%s", req->bearer != NULL ? req->bearer : "");
	for (size_t i = 0; i < req->nheaders; i++)
		(void)snprintf(c->headers + strlen(c->headers),
		    sizeof(c->headers) - strlen(c->headers), "%s\n", req->headers[i]);
	c->done = done;
	c->arg = arg;
	*call = c;
	return RC_OK;
}

enum rc
__wrap_http_wait(struct http *h, struct pollfd *fds, unsigned n, int timeout, struct err *e)
{
	struct http_call *c = &calls[answers];
	struct http_answer a = script[answers];

	(void)h;
	(void)fds;
	assert_int_equal(n, 0);
	assert_true(timeout > 0);
	if (bad_waits > 0) {
		bad_waits--;
		return err_set(e, RC_LATER, "poll failed");
	}
	assert_true(answers++ < ncalls);
	a.body_len = strlen(a.body);
	c->done(&a, c->arg);
	return RC_OK;
}

void
__wrap_http_cancel(struct http *h, struct http_call **call)
{
	(void)h;
	*call = NULL;
}

static int64_t
the_wall(void)
{
	return wall;
}

static int64_t
the_mono(void)
{
	mono += CLK_SECOND; /* time passes whenever somebody looks */
	return mono;
}

static void
says(unsigned i, int status, const char *body)
{
	script[i] = (struct http_answer){
	    .fate = HTTP_ANSWERED, .status = status, .body = body, .retry_after = -1};
}

#define TOKEN(t) "{\"access_token\":\"" t "\",\"expires_in\":86400}"

static int
set_up(void **state)
{
	int dir;

	(void)state;
	tmpdir_make(base);
	dir = tmpdir_open(base);
	(void)snprintf(secret, sizeof(secret), "%s/secret", base);
	tmpdir_write(dir, "secret", "s3cret\n", 7);
	assert_int_equal(fchmodat(dir, "secret", 0600, 0), 0);
	io_close(&dir);
	account = (struct conf_account){.name = (char *)(uintptr_t) "acme",
	    .api = (char *)(uintptr_t) "https://api.example.com/pre",
	    .token_url = (char *)(uintptr_t)TOKEN_URL,
	    .client_id = (char *)(uintptr_t) "client-1",
	    .ca_file = (char *)(uintptr_t) "/ca.pem",
	    .client_secret_file = secret};
	memset(&conf, 0, sizeof(conf));
	conf.daemon.state = base;
	conf.daemon.connect_timeout = 5 * CLK_SECOND;
	conf.daemon.api_timeout = 7 * CLK_SECOND;
	conf.daemon.max_record = 1000;
	ncalls = answers = bad_waits = 0;
	start_rc = RC_OK;
	wall = NOW;
	clk_replace(the_wall, the_mono);
	assert_int_equal(client_open(&conf, &account, NULL, &client, &err), RC_OK);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	client_answer_free(&ans);
	client_close(&client);
	assert_null(client);
	clk_replace(NULL, NULL);
	tmpdir_remove(base);
	return 0;
}

static enum rc
get(const char *url)
{
	struct http_request rq;

	client_answer_free(&ans);
	client_request(client, url, &rq);
	return client_call(client, &rq, &ans, &err);
}

static void
test_one_token(void **state)
{
	(void)state;
	says(0, 200, TOKEN("t1"));
	says(1, 200, "{\"name\":\"Acme\"}");
	says(2, 204, "");
	assert_int_equal(get(API_URL), RC_OK);
	assert_string_equal(ans.http.body, "{\"name\":\"Acme\"}");
	assert_string_equal(calls[0].url, TOKEN_URL);
	assert_non_null(strstr(calls[0].post, "\"client_secret\":\"s3cret\""));
	assert_non_null(strstr(calls[0].headers, "Content-Type: application/json\n"));
	assert_string_equal(calls[0].bearer, "");
	assert_string_equal(calls[1].url, API_URL);
	assert_string_equal(calls[1].bearer, "t1");
	/* The next one takes it from the disk, as does another program. */
	assert_int_equal(get(API_URL), RC_OK);
	assert_int_equal(ans.http.status, 204);
	assert_string_equal(calls[2].bearer, "t1");
	assert_int_equal(ncalls, 3);
	/* Until it is about to expire. */
	wall += CLK_DAY - CLK_MINUTE;
	says(3, 200, TOKEN("t2"));
	says(4, 200, "{}");
	assert_int_equal(get(API_URL), RC_OK);
	assert_string_equal(calls[4].bearer, "t2");
}

static void
test_another_asks(void **state)
{
	struct buf token = BUF_SECRET(TOKEN_MAX);
	int state_dir = tmpdir_open(base), dir = -1, lock = -1;

	(void)state;
	assert_int_equal(io_open_dir(state_dir, TOKEN_DIR, &dir, &err), RC_OK);
	assert_int_equal(token_lock(dir, &account, &lock, &err), RC_OK);
	assert_int_equal(client_token(client, &token, &err), RC_LATER);
	assert_non_null(strstr(err.text, "another program"));
	assert_int_equal(ncalls, 0);
	/* It got one: that is the one. */
	assert_int_equal(token_store(dir, &account, wall, 200, TOKEN("theirs"),
			     strlen(TOKEN("theirs")), &err),
	    RC_OK);
	assert_int_equal(client_token(client, &token, &err), RC_OK);
	assert_string_equal(buf_text(&token), "theirs");
	assert_int_equal(ncalls, 0);
	buf_wipe(&token);
	io_close(&lock);
	io_close(&dir);
	io_close(&state_dir);
}

static void
test_no_token(void **state)
{
	(void)state;
	says(0, 401, "{\"error\":\"invalid_client\"}");
	assert_int_equal(get(API_URL), RC_CONFIG);
	assert_non_null(strstr(err.text, "invalid_client"));
	script[1] = (struct http_answer){
	    .fate = HTTP_NO_NAME, .body = "", .text = "id: no such name"};
	assert_int_equal(get(API_URL), RC_LATER);
	assert_non_null(strstr(err.text, "no such name"));
	says(2, 200, "garbage");
	assert_int_equal(get(API_URL), RC_LATER);
	assert_int_equal(unlink(secret), 0);
	assert_int_equal(get(API_URL), RC_CONFIG);
	assert_int_equal(ncalls, 3);
	start_rc = RC_BAD;
	assert_int_equal(get(API_URL), RC_CONFIG);
}

static void
test_renewed_once(void **state)
{
	(void)state;
	says(0, 200, TOKEN("t1"));
	says(1, 401, "");
	says(2, 200, TOKEN("t2"));
	says(3, 200, "{}");
	assert_int_equal(get(API_URL), RC_OK);
	assert_string_equal(calls[1].bearer, "t1");
	assert_string_equal(calls[3].bearer, "t2");
	/* It is refused too, shortly after: it stays, and nobody asks for a third. */
	says(4, 401, "");
	assert_int_equal(get(API_URL), RC_DENIED);
	assert_non_null(strstr(err.text, "refuses a token"));
	assert_int_equal(ncalls, 5);
}

static void
test_answers(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum rc rc;
		const char *text;
	} t[] = {
	    {201, "", RC_OK, NULL},
	    {302, "", RC_EXISTS, "302"},
	    {400, "{\"message\":\"no such \\u001b[1maccount\"}", RC_BAD,
		"answered 400: no such \\x1b[1maccount"},
	    {403, "{\"Message\":\"Forbidden\"}", RC_DENIED, "403: Forbidden"},
	    {404, "<html>", RC_GONE, "404"},
	    {409, "{\"error\":\"exists\"}", RC_BAD, "409: exists"},
	    {410, "", RC_GONE, "410"},
	    {429, "", RC_LATER, "429"},
	    {500, "{\"message\":7}", RC_LATER, "500"},
	    {503, "", RC_LATER, "503"},
	};

	(void)state;
	says(0, 200, TOKEN("t1"));
	says(1, 200, "{}");
	assert_int_equal(get(API_URL), RC_OK);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		ncalls = answers = 0;
		says(0, t[i].status, t[i].body);
		assert_int_equal(get(API_URL), t[i].rc);
		assert_int_equal(ans.http.status, t[i].status);
		if (t[i].text != NULL && strstr(err.text, t[i].text) == NULL)
			fail_msg("%d: %s", t[i].status, err.text);
	}
	ncalls = answers = 0;
	script[0] = (struct http_answer){.fate = HTTP_NO_TLS, .body = "", .text = "no trust"};
	assert_int_equal(get(API_URL), RC_LATER);
	assert_string_equal(err.text, "no trust");
}

/* A token goes to the API and nowhere else. */
static void
test_elsewhere(void **state)
{
	struct http_request rq;

	(void)state;
	assert_int_equal(get("https://api.example.com/other"), RC_DENIED);
	assert_int_equal(get("https://evil.example.com/pre/account"), RC_DENIED);
	assert_int_equal(ncalls, 0);
	says(0, 200, "page");
	client_request(client, "https://evil.example.com/", &rq);
	client_answer_free(&ans);
	assert_int_equal(client_run(client, &rq, &ans, &err), RC_OK);
	assert_string_equal(calls[0].bearer, "");
}

static void
test_methods(void **state)
{
	struct buf json = BUF_INIT(100);
	struct http_request rq;

	(void)state;
	buf_str(&json, "{\"a\":1}");
	says(0, 200, TOKEN("t1"));
	says(1, 201, "");
	says(2, 200, "");
	client_request(client, API_URL, &rq);
	client_json(&rq, NULL, &json);
	assert_int_equal(client_call(client, &rq, &ans, &err), RC_OK);
	client_answer_free(&ans);
	assert_string_equal(calls[1].post, "{\"a\":1}");
	assert_string_equal(calls[1].method, "");
	client_request(client, API_URL, &rq);
	rq.method = "DELETE";
	assert_int_equal(client_call(client, &rq, &ans, &err), RC_OK);
	assert_string_equal(calls[2].post, "");
	assert_string_equal(calls[2].method, "DELETE");
	buf_free(&json);
}

static void
test_waits_fail(void **state)
{
	struct http_request rq;

	(void)state;
	says(0, 200, "late");
	bad_waits = 99;
	client_request(client, API_URL, &rq);
	assert_int_equal(client_run(client, &rq, &ans, &err), RC_OK);
	client_answer_free(&ans);
	bad_waits = 100;
	assert_int_equal(client_run(client, &rq, &ans, &err), RC_LATER);
}

static void
test_open(void **state)
{
	struct client *other;

	(void)state;
	account.client_id = NULL;
	assert_int_equal(client_open(&conf, &account, NULL, &other, &err), RC_CONFIG);
	assert_null(other);
	assert_non_null(strstr(err.text, "account acme"));
	account.client_id = (char *)(uintptr_t) "client-1";
	conf.daemon.state = (char *)(uintptr_t) "/nonexistent/state";
	assert_int_equal(client_open(&conf, &account, NULL, &other, &err), RC_CONFIG);
	assert_null(other);
	conf.daemon.state = base;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_one_token, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_another_asks, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_no_token, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_renewed_once, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_elsewhere, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_methods, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_waits_fail, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_open, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
