/*
 * SPDX-License-Identifier: ISC
 *
 * t_handle - the answer table, one exchange after the other, on a real spool:
 * what is answered, and what is on disk then.
 */
#include "config.h"

#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "handle.h"
#include "keyfile.h"
#include "keys.h"
#include "log.h"
#include "mint.h"
#include "str.h"
#include "tmpdir.h"

#define SECRET "the-first-of-the-secrets"
#define SECOND "the-second-of-the-secrets"
#define MAX_BODY 4096
#define PARAMS 12
#define PATH 256

#define GOOD "HTTP_X_ARKEN_SECRET=" SECRET
#define POST "REQUEST_METHOD=POST"
#define ACME "REQUEST_URI=/arken/acme"
#define JSON "CONTENT_TYPE=application/json"
#define EVENT(id) "{\"eventId\":\"" id "\",\"eventType\":\"Client.Update\"}"

struct talk {              /* one exchange with a web server that is a test */
	struct exchange x; /* first */
	const char *body;
	size_t n;
	char *answer;
	size_t answer_len;
	unsigned answers;
};

struct world {
	char dir[PATH];
	char spool_path[PATH + 16];
	char secret_path[PATH + 16];
	struct conf conf;
	struct conf_account accounts[3];
	struct spool *spool;
	struct auth *auth;
	struct shared shared;
	struct receiver rv;
	struct spool_opt opt;
};

static struct world w;
static char head[1024]; /* of the last answer */
static int64_t mono;
static char lines[65536];
static size_t lines_len;

static int64_t
test_mono(void)
{
	return mono;
}

static void
keep_line(const char *line, size_t n)
{
	if (lines_len + n < sizeof(lines)) {
		memcpy(lines + lines_len, line, n);
		lines_len += n;
		lines[lines_len] = '\0';
	}
}

static void
write_file(const char *path, const char *text, mode_t mode)
{
	char fresh[PATH + 24];
	FILE *f;

	/* a new inode each time, so that a change is seen whatever the clock's grain */
	(void)snprintf(fresh, sizeof(fresh), "%s.new", path);
	f = fopen(fresh, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(fresh, mode), 0);
	assert_int_equal(rename(fresh, path), 0);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static int
setup(void **state)
{
	static char fs[] = "tmpfs", header[] = "X-Arken-Secret", hash[] = "HASHACME";
	static char acme[] = "acme", bare[] = "bare", acme_path[] = "/arken/acme";
	static char bare_path[] = "/arken/bare", status_path[] = "/arken/status";
	static char token[] = "token", token_path[] = "/arken/token";
	static char issuer[] = "https://id.test/", audience[] = "urn:arken";
	static char algorithms[] = "ES256", types[] = "none";
	struct err e = {0};

	(void)state;
	w = (struct world){0};
	lines_len = 0;
	lines[0] = '\0';
	mono = 1000000;
	log_capture(keep_line);
	clk_replace(NULL, test_mono);
	(void)snprintf(w.dir, sizeof(w.dir), "/tmp/t_handle.XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	(void)snprintf(w.spool_path, sizeof(w.spool_path), "%s/spool", w.dir);
	(void)snprintf(w.secret_path, sizeof(w.secret_path), "%s/secret", w.dir);
	write_file(w.secret_path, SECRET "\n" SECOND "\n", 0600);
	w.accounts[0] = (struct conf_account){.name = acme,
	    .path = acme_path,
	    .hash_id = hash,
	    .secret_header = header,
	    .secret_file = w.secret_path};
	w.accounts[1] = (struct conf_account){.name = bare, .path = bare_path};
	w.accounts[2] = (struct conf_account){.name = token,
	    .path = token_path,
	    .issuer = issuer,
	    .audience = audience,
	    .algorithms = algorithms,
	    .token_types = types,
	    .token_lifetime = CLK_DAY,
	    .token_leeway = CLK_MINUTE,
	    .keys_max_age = CLK_DAY};
	w.conf.accounts = w.accounts;
	w.conf.naccounts = 3;
	w.conf.receiver.threads = 1;
	w.conf.spool.max_body = MAX_BODY;
	w.conf.status.path = status_path;
	w.opt = (struct spool_opt){.path = w.spool_path,
	    .group = getegid(),
	    .queue_limit = 2000,
	    .rejected_limit = 2,
	    .allow_fs = fs};
	if (spool_make(&w.opt, &e) != RC_OK || spool_open(&w.opt, &w.spool, &e) != RC_OK ||
	    auth_open(&w.conf, w.spool, &w.auth, &e) != RC_OK) {
		print_error("%s\n", e.text);
		return -1;
	}
	shared_open(&w.shared, &w.conf, 1, 0);
	receiver_open(&w.rv, &w.conf, w.spool, w.auth, &w.shared);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	clk_replace(NULL, NULL);
	shared_close(&w.shared);
	auth_close(&w.auth);
	spool_close(&w.spool);
	log_capture(NULL);
	return nftw(w.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static ssize_t
talk_read(struct exchange *x, void *p, size_t n)
{
	struct talk *t = (struct talk *)x;

	assert_int_equal(t->answers, 0); /* the body first, then the answer */
	if (n > t->n)
		n = t->n;
	if (n > 0)
		memcpy(p, t->body, n);
	t->body += n;
	t->n -= n;
	return (ssize_t)n;
}

static bool
talk_write(struct exchange *x, const void *p, size_t n)
{
	struct talk *t = (struct talk *)x;

	t->answers++;
	assert_null(t->answer);
	t->answer = calloc(1, n + 1);
	assert_non_null(t->answer);
	memcpy(t->answer, p, n);
	t->answer_len = n;
	return true;
}

/* One exchange; its answer's status, and its body in *out unless that is NULL. */
static int
exchange(const char *const *env, const char *body, size_t n, bool at_end, char *out)
{
	struct talk t = {.body = body, .n = n};
	const char *text;
	int status = 0;

	t.x = (struct exchange){
	    .env = (char *const *)(uintptr_t)env, .read = talk_read, .write = talk_write};
	assert_int_equal(handle_exchange(&w.rv, &t.x), at_end);
	assert_int_equal(t.answers, 1);
	assert_true(str_begins(t.answer, "Status: "));
	for (text = t.answer + 8; *text != ' '; text++)
		status = status * 10 + (*text - '0');
	if (out != NULL)
		assert_true(str_copy(out, 65536, strstr(t.answer, "\r\n\r\n") + 4));
	assert_true(str_copy_n(head, sizeof(head), t.answer,
	    (size_t)(strstr(t.answer, "\r\n\r\n") + 2 - t.answer)));
	free(t.answer);
	return status;
}

static int
post(const char *body, char *out)
{
	const char *env[] = {POST, ACME, JSON, GOOD, "REMOTE_ADDR=192.0.2.1", NULL};

	return exchange(env, body, strlen(body), true, out);
}

/* Files in a folder of the spool. */
static unsigned
files(const char *folder)
{
	char path[PATH + 64];
	const struct dirent *de;
	unsigned n = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/%s", w.spool_path, folder);
	d = opendir(path);
	assert_non_null(d);
	while ((de = readdir(d)) != NULL)
		n += de->d_name[0] != '.';
	(void)closedir(d);
	return n;
}

static void
check_files(unsigned queue, unsigned rejected)
{
	assert_int_equal(files("new"), queue);
	assert_int_equal(files("rejected/new"), rejected);
	assert_int_equal(files("tmp"), 0);
	assert_int_equal(files("rejected/tmp"), 0);
}

static uint64_t
counted(enum count what)
{
	return count_get(spool_counts(w.spool), what);
}

static void
test_accepted_and_duplicate(void **state)
{
	char out[65536], path[PATH + 64];

	(void)state;
	assert_int_equal(post(EVENT("a-1"), out), 200);
	assert_string_equal(out, "{\"status\":\"accepted\",\"id\":\"a-1\"}\n");
	assert_int_equal(post(EVENT("a-1"), out), 200);
	assert_string_equal(out, "{\"status\":\"duplicate\",\"id\":\"a-1\"}\n");
	check_files(1, 0);
	(void)snprintf(path, sizeof(path), "%s/new/acme.a-1.Client.Update", w.spool_path);
	assert_true(tmpdir_read(AT_FDCWD, path, out, sizeof(out)) > 0);
	assert_non_null(strstr(out, "\nArken-Auth: secret:line1\n"));
	assert_int_equal(counted(COUNT_ACCEPTED), 1);
	assert_int_equal(counted(COUNT_DUPLICATE), 1);
	assert_int_equal(counted(COUNT_TAKEN_IN), 2);
	assert_int_equal(counted(COUNT_TIME_1), 2); /* the clock of this test stands */
	assert_non_null(strstr(lines, "auth=secret:line1"));
	assert_null(strstr(lines, SECRET));
}

/* Requests that are refused before their body counts: nothing is kept, the body is read. */
static void
test_refused(void **state)
{
	static const struct {
		const char *env[PARAMS];
		int status;
		enum count count;
	} t[] = {
	    {{POST, "REQUEST_URI=/arken", JSON, GOOD}, 404, COUNT_NOT_FOUND},
	    {{POST, "REQUEST_URI=/arken/acme/", JSON, GOOD}, 404, COUNT_NOT_FOUND},
	    {{POST, JSON, GOOD}, 404, COUNT_NOT_FOUND},
	    {{"REQUEST_METHOD=GET", ACME, JSON, GOOD}, 405, COUNT_METHOD},
	    {{"REQUEST_METHOD=post", ACME, JSON, GOOD}, 405, COUNT_METHOD},
	    {{ACME, JSON, GOOD}, 405, COUNT_METHOD},
	    {{POST, ACME, JSON}, 401, COUNT_UNAUTHORIZED},
	    {{POST, ACME, JSON, GOOD, GOOD}, 401, COUNT_UNAUTHORIZED},
	    {{POST, ACME, JSON, GOOD, "HTTP_X_ARKEN_SECRET=x"}, 401, COUNT_UNAUTHORIZED},
	    {{POST, ACME, JSON, GOOD ", " SECRET}, 401, COUNT_UNAUTHORIZED},
	    {{POST, ACME, JSON, GOOD "x"}, 401, COUNT_UNAUTHORIZED},
	    {{POST, ACME, JSON, "HTTP_X_ARKEN_SECRET="}, 401, COUNT_UNAUTHORIZED},
	    {{POST, "REQUEST_URI=/arken/bare", JSON, GOOD}, 401, COUNT_UNAUTHORIZED},
	    {{POST, ACME, JSON, "CONTENT_LENGTH=999999"}, 401, COUNT_UNAUTHORIZED},
	    {{POST, ACME, JSON, GOOD, "CONTENT_LENGTH=4097"}, 413, COUNT_TOO_LARGE},
	    {{POST, ACME, JSON, GOOD, "CONTENT_LENGTH=99999999999999999999"}, 413,
		COUNT_TOO_LARGE},
	    {{POST, ACME, JSON, GOOD, "CONTENT_LENGTH=+5"}, 400, COUNT_MALFORMED},
	    {{POST, ACME, GOOD}, 415, COUNT_MEDIA},
	    {{POST, ACME, "CONTENT_TYPE=text/plain", GOOD}, 415, COUNT_MEDIA},
	    {{POST, ACME, JSON, GOOD, "CONTENT_LENGTH=100"}, 400, COUNT_SHORT},
	    {{POST, ACME, JSON, GOOD, "CONTENT_LENGTH=2"}, 400, COUNT_MALFORMED},
	};
	const char *body = EVENT("never");

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint64_t before = counted(t[i].count);

		mono += 10000;
		assert_int_equal(
		    exchange(t[i].env, body, strlen(body), true, NULL), t[i].status);
		assert_int_equal(counted(t[i].count), before + 1);
	}
	check_files(0, 0);
	assert_int_equal(counted(COUNT_ACCEPTED), 0);
	assert_null(strstr(lines, SECRET));
}

static void
test_too_long_a_body(void **state)
{
	const char *env[] = {POST, ACME, JSON, GOOD, NULL}, *none[] = {POST, ACME, NULL};
	char *body = malloc(10 * MAX_BODY + 1);

	(void)state;
	assert_non_null(body);
	memset(body, ' ', 10 * MAX_BODY);
	memcpy(body, EVENT("big"), strlen(EVENT("big")));
	body[10 * MAX_BODY] = '\0';
	assert_int_equal(exchange(env, body, MAX_BODY, true, NULL), 200);
	assert_int_equal(exchange(env, body, MAX_BODY + 1, true, NULL), 413);
	/* so much is not read to its end: the connection is not to be used again */
	assert_int_equal(exchange(env, body, 10 * MAX_BODY, false, NULL), 413);
	assert_int_equal(exchange(none, body, 10 * MAX_BODY, false, NULL), 401);
	check_files(1, 0);
	free(body);
}

static void
check_rejected(const char *body, int status, const char *kind)
{
	char pattern[64];
	unsigned before = files("rejected/new");

	w.opt.rejected_limit = 1000;
	lines_len = 0;
	mono += 10000;
	assert_int_equal(post(body, NULL), status);
	assert_int_equal(files("rejected/new"), before + 1);
	(void)snprintf(pattern, sizeof(pattern), ".Rejected.%s ", kind);
	assert_non_null(strstr(lines, pattern));
}

static void
reopen_spool(void)
{
	struct err e = {0};

	spool_close(&w.spool);
	assert_int_equal(spool_open(&w.opt, &w.spool, &e), RC_OK);
	receiver_open(&w.rv, &w.conf, w.spool, w.auth, &w.shared);
}

static void
test_rejected(void **state)
{
	(void)state;
	w.opt.rejected_limit = 100;
	reopen_spool();
	check_rejected("", 400, "NotJson");
	check_rejected("{", 400, "NotJson");
	check_rejected("{} x", 400, "NotJson");
	check_rejected("\xef\xbb\xbf{}", 400, "NotJson");
	check_rejected("{\"a\":1,\"a\":2}", 400, "NotJson");
	check_rejected("[{\"a\":1,\"a\":2}]", 400, "NotJson");
	check_rejected("\"text\"", 400, "NotEvent");
	check_rejected("null", 400, "NotEvent");
	check_rejected("[]", 400, "NotEvent");
	check_rejected("[[]]", 400, "NotEvent");
	check_rejected("[" EVENT("x-1") ",7]", 400, "NotEvent");
	check_rejected("{\"accountHashId\":\"ELSE\"}", 403, "OtherAccount");
	check_rejected("[" EVENT("x-2") ",{\"accountHashId\":\"ELSE\"}]", 403, "OtherAccount");
	check_rejected("[{\"accountHashId\":\"ELSE\"},3]", 400, "NotEvent");
	assert_int_equal(files("new"), 0);
	assert_int_equal(counted(COUNT_REJECTED), 14);
	assert_int_equal(counted(COUNT_NOT_EVENT), 12);
	assert_int_equal(counted(COUNT_OTHER_ACCOUNT), 2);
	assert_int_equal(counted(COUNT_FAULT_JSON), 6);
	assert_int_equal(counted(COUNT_FAULT_EVENT), 6);
	assert_int_equal(counted(COUNT_FAULT_ACCOUNT), 2);
	assert_int_equal(counted(COUNT_ACCEPTED), 0);
}

static void
test_rejected_keeps_the_bytes(void **state)
{
	static const char body[] = "{\"a\":\t1,,}";
	struct buf b = BUF_INIT(65536);
	struct err e = {0};
	struct rec r;
	char path[PATH + 64];
	const char *name;
	FILE *f;

	(void)state;
	assert_int_equal(post(body, NULL), 400);
	name = strstr(lines, "acme.t-");
	assert_non_null(name);
	(void)snprintf(path, sizeof(path), "%s/rejected/new/%.*s", w.spool_path,
	    (int)strcspn(name, " "), name);
	assert_non_null(f = fopen(path, "r"));
	assert_int_equal(buf_room(&b, 32768), RC_OK);
	b.n = fread(b.p, 1, 32768, f);
	(void)fclose(f);
	assert_int_equal(rec_parse(b.p, b.n, &r, &e), RC_OK);
	assert_int_equal(r.body_len, sizeof(body) - 1);
	assert_memory_equal(r.body, body, sizeof(body) - 1);
	assert_string_equal(r.auth, "secret:line1");
	assert_string_equal(r.remote, "192.0.2.1");
	buf_free(&b);
}

static void
test_full_rejected(void **state)
{
	(void)state;
	assert_int_equal(post("1", NULL), 400);
	assert_int_equal(post("2", NULL), 400);
	assert_int_equal(post("3", NULL), 503);
	assert_int_equal(post(EVENT("a-2"), NULL), 200);
	check_files(1, 2);
	assert_int_equal(counted(COUNT_UNAVAILABLE), 1);
	assert_int_equal(counted(COUNT_LACK_REJECTED), 1);
}

static void
test_array(void **state)
{
	char out[65536];

	(void)state;
	assert_int_equal(post(EVENT("b-2"), NULL), 200);
	assert_int_equal(
	    post(" [ " EVENT("b-1") ",\n" EVENT("b-2") "," EVENT("b-1") " ] ", out), 200);
	assert_string_equal(out,
	    "{\"status\":\"accepted\",\"events\":[{\"status\":\"accepted\",\"id\":\"b-1\"},"
	    "{\"status\":\"duplicate\",\"id\":\"b-2\"},"
	    "{\"status\":\"duplicate\",\"id\":\"b-1\"}]}\n");
	check_files(2, 0);
	assert_non_null(strstr(lines, "events=3 fresh=1"));
}

static void
test_array_length(void **state)
{
	char body[MAX_BODY];
	size_t n = 0;

	(void)state;
	body[n++] = '[';
	for (int i = 0; i < 1000; i++, n += 3)
		memcpy(body + n, "{},", 3);
	memcpy(body + n, "{}]", 4);
	assert_int_equal(post(body, NULL), 400);
	check_files(0, 1);
	assert_non_null(strstr(lines, ".Rejected.TooMany "));
	memcpy(body + n - 1, "]", 2);
	assert_int_equal(post(body, NULL), 200);
	check_files(1000, 1);
}

static void
test_unknown_kind_is_kept(void **state)
{
	(void)state;
	assert_int_equal(post("{\"hello\":1}", NULL), 200);
	assert_int_equal(
	    post("{\"hello\":1}", NULL), 200); /* without identity: both are kept */
	assert_int_equal(post("{}", NULL), 200);
	check_files(3, 0);
	assert_non_null(strstr(lines, ".Other.Other "));
}

static void
test_broken_mark(void **state)
{
	(void)state;
	assert_int_equal(post(EVENT("c-1"), NULL), 200);
	count_mark_broken(spool_counts(w.spool));
	assert_int_equal(post(EVENT("c-1"), NULL), 503);
	assert_int_equal(post(EVENT("c-2"), NULL), 503);
	assert_int_equal(post("not json", NULL), 503);
	assert_int_equal(counted(COUNT_LACK_SYNC), 3);
	count_clear_broken(spool_counts(w.spool));
	assert_int_equal(post(EVENT("c-2"), NULL), 200);
	check_files(2, 0);
}

/* Without a turn nothing is kept, and the body is read to its end all the same. */
static void
test_out_of_turn(void **state)
{
	(void)state;
	assert_true(turn_take(&w.shared.turn, 0));
	assert_int_equal(post(EVENT("t-1"), NULL), 503);
	assert_int_equal(counted(COUNT_LACK_TURN), 1);
	turn_give(&w.shared.turn);
	assert_int_equal(post(EVENT("t-1"), NULL), 200);
	assert_int_equal(w.shared.turn.taken, 0);
	check_files(1, 0);
}

/* A quarter of it for bodies, the rest for their parsed form, and never too little for one. */
static void
test_memory(void **state)
{
	struct conf c = {.spool = {.max_body = 10 << 20}, .receiver = {.memory = 256 << 20}};

	(void)state;
	assert_int_equal(handle_memory(&c), 256 << 20);
	shared_resize(&w.shared, &c);
	assert_int_equal(w.shared.bodies.limit, 64 << 20);
	assert_int_equal(w.shared.trees.limit, 192 << 20);
	c.spool.max_body = 64 << 20;
	assert_int_equal(handle_memory(&c), 512 << 20);
	/* With less than it needs it is kept, but for a person. */
	w.shared.trees.limit = 200;
	assert_int_equal(post(EVENT("m-1"), NULL), 400);
	assert_non_null(strstr(lines, ".Rejected.TooComplex "));
	assert_int_equal(counted(COUNT_FAULT_COMPLEX), 1);
	check_files(0, 1);
}

static void
test_full_queue(void **state)
{
	(void)state;
	w.opt.queue_limit = 1;
	reopen_spool();
	assert_int_equal(post(EVENT("d-1"), NULL), 200);
	assert_int_equal(post(EVENT("d-2"), NULL), 503);
	check_files(1, 0);
	assert_int_equal(counted(COUNT_LACK_QUEUE), 1);
	w.opt.queue_limit = 2000;
	w.opt.min_free = UINT64_MAX;
	reopen_spool();
	assert_int_equal(post(EVENT("d-2"), NULL), 503);
	assert_int_equal(counted(COUNT_LACK_DISK), 1);
	w.opt.min_free = 0;
	w.opt.min_inodes = UINT64_MAX;
	reopen_spool();
	assert_int_equal(post(EVENT("d-2"), NULL), 503);
	assert_int_equal(counted(COUNT_LACK_INODES), 1);
	assert_int_equal(counted(COUNT_UNAVAILABLE), 3);
}

static void
test_secrets_change(void **state)
{
	const char *second[] = {POST, ACME, JSON, "HTTP_X_ARKEN_SECRET=" SECOND, NULL};
	const char *third[] = {
	    POST, ACME, JSON, "HTTP_X_ARKEN_SECRET=the-third-of-the-secrets", NULL};

	(void)state;
	assert_int_equal(exchange(second, "{}", 2, true, NULL), 200);
	assert_non_null(strstr(lines, "auth=secret:line2"));
	assert_int_equal(exchange(third, "{}", 2, true, NULL), 401);
	write_file(w.secret_path, "the-third-of-the-secrets\n" SECRET "\n", 0640);
	/* looked at once a second at most */
	mono += AUTH_RECHECK - 1;
	assert_int_equal(exchange(third, "{}", 2, true, NULL), 401);
	mono += 1;
	assert_int_equal(exchange(third, "{}", 2, true, NULL), 200);
	assert_int_equal(exchange(second, "{}", 2, true, NULL), 401);
	assert_int_equal(post("{}", NULL), 200);
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
test_secrets_break(void **state)
{
	(void)state;
	write_file(w.secret_path, "short\n", 0600);
	for (int i = 0; i < 3; i++) {
		mono += AUTH_RECHECK;
		assert_int_equal(post("{}", NULL), 200);
	}
	assert_int_equal(times("secrets not read"), 1);
	assert_int_equal(remove(w.secret_path), 0);
	for (int i = 0; i < 3; i++) {
		mono += AUTH_RECHECK;
		assert_int_equal(post("{}", NULL), 200);
	}
	assert_int_equal(times("secrets not read"), 2);
	write_file(w.secret_path, SECRET "\n", 0604);
	mono += AUTH_RECHECK;
	assert_int_equal(post("{}", NULL), 200);
	assert_int_equal(times("secrets not read"), 3);
	write_file(w.secret_path, SECOND "\n", 0600);
	mono += AUTH_RECHECK;
	assert_int_equal(post("{}", NULL), 401);
	assert_int_equal(times("secrets read again"), 1);
}

static void
test_bad_secrets_at_start(void **state)
{
	struct auth *a;
	struct err e = {0};

	(void)state;
	write_file(w.secret_path, "short\n", 0600);
	assert_int_equal(auth_open(&w.conf, w.spool, &a, &e), RC_CONFIG);
	assert_null(a);
	assert_non_null(strstr(e.text, "account acme"));
	assert_non_null(strstr(e.text, "line 1"));
	assert_null(strstr(e.text, "short"));
	write_file(w.secret_path, "", 0600);
	assert_int_equal(auth_open(&w.conf, w.spool, &a, &e), RC_CONFIG);
	write_file(w.secret_path, SECRET "\n", 0644);
	assert_int_equal(auth_open(&w.conf, w.spool, &a, &e), RC_CONFIG);
	assert_int_equal(remove(w.secret_path), 0);
	assert_int_equal(auth_open(&w.conf, w.spool, &a, &e), RC_GONE);
}

/* The keys of an issuer that has one, as the daemon leaves them. */
static void
leave_keys(const EVP_PKEY *key)
{
	struct buf b = BUF_INIT(KEYFILE_JWKS);
	struct keyfile f = {.issuer = "https://id.test/", .fetched = clk_wall()};
	struct err e = {0};

	buf_str(&b, "{\"keys\":[");
	mint_jwk(&b, key, ",\"kid\":\"k1\"");
	buf_str(&b, "]}");
	f.tried = f.fetched;
	f.jwks = b.p;
	f.jwks_len = b.n;
	assert_int_equal(keyfile_write(spool_keys_dir(w.spool), "token", &f, &e), RC_OK);
	buf_free(&b);
}

/* Where a token is asked for: the challenge of RFC 6750, and 503 as long as keys are missing.
 */
static void
test_tokens(void **state)
{
	const char *none[] = {POST, "REQUEST_URI=/arken/token", JSON, NULL};
	char param[2048] = "HTTP_AUTHORIZATION=Bearer x", claims[160], path[PATH + 64];
	const char *with[] = {POST, "REQUEST_URI=/arken/token", JSON, param, NULL};
	char event[4096];
	struct buf token = BUF_INIT(MINT_TOKEN);
	EVP_PKEY *key = mint_ec("P-256");

	(void)state;
	assert_int_equal(exchange(none, EVENT("b-1"), 7, true, NULL), 401);
	assert_non_null(strstr(head, "\r\nWWW-Authenticate: Bearer realm=\"arkenspool\"\r\n"));
	assert_int_equal(exchange(with, EVENT("b-1"), 7, true, NULL), 401);
	assert_non_null(strstr(head, "Bearer realm=\"arkenspool\", error=\"invalid_token\""));
	assert_non_null(strstr(lines, "reason=\"token: not three parts\""));
	(void)snprintf(claims, sizeof(claims),
	    "{\"iss\":\"https://id.test/\",\"aud\":\"urn:arken\",\"sub\":\"a\",\"exp\":%lld}",
	    (long long)(clk_wall() / CLK_SECOND + 600));
	mint_token(&token, key, "ES256", "{\"alg\":\"ES256\",\"kid\":\"k1\"}", claims);
	(void)snprintf(param, sizeof(param), "HTTP_AUTHORIZATION=Bearer %s", token.p);
	assert_int_equal(exchange(with, EVENT("b-1"), 7, true, NULL), 503);
	assert_non_null(strstr(head, "\r\nRetry-After: 30\r\n"));
	assert_non_null(strstr(lines, "no-keys"));
	assert_int_equal(counted(COUNT_LACK_KEYS), 1);
	check_files(0, 0);
	leave_keys(key);
	mono += KEYS_RECHECK;
	assert_int_equal(exchange(with, EVENT("b-1"), strlen(EVENT("b-1")), true, NULL), 200);
	check_files(1, 0);
	assert_non_null(strstr(lines, "auth=\"bearer:kid=k1 sub=a\""));
	assert_null(strstr(lines, token.p));
	(void)snprintf(path, sizeof(path), "%s/new/token.b-1.Client.Update", w.spool_path);
	assert_true(tmpdir_read(AT_FDCWD, path, event, sizeof(event)) > 0);
	assert_non_null(strstr(event, "\nArken-Auth: bearer:kid=k1 sub=a\n"));
	buf_free(&token);
	EVP_PKEY_free(key);
}

static void
test_refusals_are_logged_with_measure(void **state)
{
	const char *env[] = {POST, "REQUEST_URI=/x", NULL};

	(void)state;
	for (int i = 0; i < 50; i++)
		assert_int_equal(exchange(env, "", 0, true, NULL), 404);
	assert_int_equal(times("what=not-found"), LIMIT_PER_SECOND);
	mono += 1000;
	assert_int_equal(exchange(env, "", 0, true, NULL), 404);
	assert_int_equal(times("what=not-found"), LIMIT_PER_SECOND + 1);
	assert_non_null(strstr(lines, "suppressed=40"));
	assert_int_equal(counted(COUNT_NOT_FOUND), 51);
}

/* GET and HEAD are for the status pages, and only for them. */
static void
test_status_pages(void **state)
{
#define HEALTH "REQUEST_URI=/arken/status/healthz"
#define METRICS "REQUEST_URI=/arken/status/metrics?x=1"
#define TOKEN "HTTP_AUTHORIZATION=Bearer " SECRET
	static const struct {
		const char *env[PARAMS];
		int status;
		enum count count;
		const char *sign; /* in the answer's body */
	} t[] = {
	    {{"REQUEST_METHOD=GET", HEALTH}, 200, COUNT_STATUS, "{\"status\":\"well\"}\n"},
	    {{"REQUEST_METHOD=GET", HEALTH, TOKEN}, 200, COUNT_STATUS, "\"problems\":[]"},
	    {{"REQUEST_METHOD=GET", HEALTH, TOKEN "x"}, 200, COUNT_STATUS,
		"{\"status\":\"well\"}\n"},
	    {{"REQUEST_METHOD=HEAD", HEALTH}, 200, COUNT_STATUS, ""},
	    {{"REQUEST_METHOD=POST", HEALTH, GOOD, JSON}, 405, COUNT_STATUS_METHOD, "GET"},
	    {{HEALTH}, 405, COUNT_STATUS_METHOD, "GET"},
	    {{"REQUEST_METHOD=GET", METRICS}, 401, COUNT_STATUS_DENIED, "token"},
	    {{"REQUEST_METHOD=GET", METRICS, GOOD}, 401, COUNT_STATUS_DENIED, "token"},
	    {{"REQUEST_METHOD=GET", METRICS, TOKEN}, 200, COUNT_STATUS,
		"arkenspool_healthy 1\n"},
	    {{"REQUEST_METHOD=HEAD", METRICS, TOKEN}, 200, COUNT_STATUS, ""},
	    {{"REQUEST_METHOD=DELETE", METRICS, TOKEN}, 405, COUNT_STATUS_METHOD, "GET"},
	};
	static char out[65536];

	(void)state;
	w.conf.status.token_file = w.secret_path;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint64_t before = counted(t[i].count);

		mono += 10000;
		assert_int_equal(exchange(t[i].env, "x", 1, true, out), t[i].status);
		assert_int_equal(counted(t[i].count), before + 1);
		if (t[i].sign[0] == '\0')
			assert_string_equal(out, "");
		else
			assert_non_null(strstr(out, t[i].sign));
	}
	count_mark_broken(spool_counts(w.spool));
	assert_int_equal(exchange(t[0].env, "", 0, true, out), 503);
	assert_string_equal(out, "{\"status\":\"unwell\"}\n");
	assert_int_equal(exchange(t[1].env, "", 0, true, out), 503);
	assert_non_null(strstr(out, "\"problems\":[\"sync\"]"));
	assert_int_equal(exchange(t[8].env, "", 0, true, out), 200);
	/* What is no longer readable opens nothing. */
	assert_int_equal(remove(w.secret_path), 0);
	assert_int_equal(exchange(t[8].env, "", 0, true, out), 503);
	w.conf.status.token_file = NULL;
	assert_int_equal(exchange(t[8].env, "", 0, true, out), 404);
	check_files(0, 0);
	assert_null(strstr(lines, SECRET));
}

static void
test_without_a_receiver(void **state)
{
	struct talk t = {.x = {.read = talk_read, .write = talk_write}};

	(void)state;
	handle_unavailable(&t.x);
	assert_int_equal(t.answers, 1);
	assert_true(str_begins(t.answer, "Status: 503 "));
	assert_non_null(strstr(t.answer, "\r\nRetry-After: "));
	free(t.answer);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_accepted_and_duplicate),
	    TEST(test_refused),
	    TEST(test_too_long_a_body),
	    TEST(test_rejected),
	    TEST(test_rejected_keeps_the_bytes),
	    TEST(test_full_rejected),
	    TEST(test_array),
	    TEST(test_array_length),
	    TEST(test_unknown_kind_is_kept),
	    TEST(test_broken_mark),
	    TEST(test_out_of_turn),
	    TEST(test_memory),
	    TEST(test_full_queue),
	    TEST(test_secrets_change),
	    TEST(test_secrets_break),
	    TEST(test_bad_secrets_at_start),
	    TEST(test_tokens),
	    TEST(test_refusals_are_logged_with_measure),
	    TEST(test_status_pages),
	    TEST(test_without_a_receiver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
