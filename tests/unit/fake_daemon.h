/*
 * SPDX-License-Identifier: ISC
 *
 * fake_daemon - a daemon without its loop and without a network, for tests of its parts.
 *
 * Real spool, store, notes and tokens in a folder of their own; http_start and http_cancel are
 * wrapped at link time, and the test answers what was asked.  The clocks stand still.
 */
#ifndef ARKEN_FAKE_DAEMON_H
#define ARKEN_FAKE_DAEMON_H

#include <dirent.h>
#include <poll.h>

#include "clk.h"
#include "hash.h"
#include "io.h"
#include "log.h"
#include "retry.h"
#include "share.h"
#include "str.h"
#include "tmpdir.h"
#include "work.h"

#define FAKE_CALLS 64
#define FAKE_PATIENCE 10000 /* milliseconds for the disk */
#define FAKE_START INT64_C(1700000000000)

struct http_call {
	char url[HTTP_URL];
	char bearer[64]; /* "" none */
	char post[2048];
	char headers[4096]; /* one a line */
	uint64_t upload;    /* bytes of a PUT's body, -1: none */
	char ca[TMPDIR_SIZE];
	size_t max_body;
	int64_t connect_timeout, total_timeout;
	int file;
	uint64_t from, whole;
	char if_range[64], if_none_match[64];
	int (*choose)(const struct http_answer *, const char *, size_t, void *);
	bool live;
	void (*done)(const struct http_answer *, void *);
	void *arg;
};

static struct http_call fake_calls[FAKE_CALLS]; /* in the order they were started */
static unsigned fake_ncalls;
static enum rc fake_start_rc; /* what the next http_start returns */
static int64_t fake_wall, fake_mono;
static char fake_base[TMPDIR_SIZE];
static char fake_store[TMPDIR_SIZE + 16], fake_spool[TMPDIR_SIZE + 16];
static char fake_secret[TMPDIR_SIZE + 16];
static struct conf fake_conf;
static struct conf_account fake_account;
static struct grant fake_grant;
static struct daemon fake;
static unsigned fake_fds;

enum rc __wrap_http_start(struct http *h, const struct http_request *req,
    void (*done)(const struct http_answer *, void *), void *arg, struct http_call **call,
    struct err *e);
void __wrap_http_cancel(struct http *h, struct http_call **call);
void __wrap_http_break(struct http *h, struct http_call **call, struct http_answer *out);
void __wrap_http_progress(const struct http_call *call, uint64_t *got, uint64_t *all);

enum rc
__wrap_http_start(struct http *h, const struct http_request *req,
    void (*done)(const struct http_answer *, void *), void *arg, struct http_call **call,
    struct err *e)
{
	struct http_call *c = &fake_calls[fake_ncalls];
	enum rc rc = fake_start_rc;

	(void)h;
	*call = NULL;
	fake_start_rc = RC_OK;
	if (rc != RC_OK)
		return err_set(e, rc, "not started");
	if (++fake_ncalls > FAKE_CALLS)
		abort();
	*c = (struct http_call){.file = req->file,
	    .max_body = req->max_body,
	    .connect_timeout = req->connect_timeout,
	    .total_timeout = req->total_timeout,
	    .live = true,
	    .done = done,
	    .arg = arg};
	(void)snprintf(c->ca, sizeof(c->ca), "%s", req->ca_file != NULL ? req->ca_file : "");
	c->from = req->from;
	c->whole = req->whole;
	c->choose = req->choose;
	(void)snprintf(
	    c->if_range, sizeof(c->if_range), "%s", req->from > 0 ? req->if_range : "");
	(void)snprintf(c->if_none_match, sizeof(c->if_none_match), "%s",
	    req->if_none_match != NULL ? req->if_none_match : "");
	(void)snprintf(c->url, sizeof(c->url), "%s", req->url);
	(void)snprintf(
	    c->bearer, sizeof(c->bearer), "%s", req->bearer != NULL ? req->bearer : "");
	(void)snprintf(c->post, sizeof(c->post), "%s", req->post != NULL ? req->post : "");
	for (size_t i = 0; i < req->nheaders; i++)
		(void)snprintf(c->headers + strlen(c->headers),
		    sizeof(c->headers) - strlen(c->headers), "%s\n", req->headers[i]);
	c->upload = req->upload != NULL ? req->upload->size : UINT64_MAX;
	*call = c;
	return RC_OK;
}

void
__wrap_http_cancel(struct http *h, struct http_call **call)
{
	(void)h;
	if (*call != NULL && !(*call)->live)
		abort();
	if (*call != NULL)
		(*call)->live = false;
	*call = NULL;
}

/* What the next http_break tells had come. */
static struct http_answer fake_broken;
static const char *fake_broken_bytes = "";

static bool fake_wrong_part;    /* http refuses the next answers' parts */
static char fake_md5[HASH_HEX]; /* of the last body that went to a file from its beginning */

static inline void fake_write(struct http_call *c, struct http_answer *a);

void
__wrap_http_break(struct http *h, struct http_call **call, struct http_answer *out)
{
	struct http_answer a = fake_broken;

	a.body = fake_broken_bytes;
	a.body_len = strlen(a.body);
	if (a.status / 100 == 2)
		fake_write(*call, &a);
	*out = a;
	__wrap_http_cancel(h, call);
}

void
__wrap_http_progress(const struct http_call *call, uint64_t *got, uint64_t *all)
{
	*got = call->from + 1;
	*all = 1000;
}

static inline struct http_answer
fake_status(int status, const char *body)
{
	struct http_answer a = {.fate = HTTP_ANSWERED,
	    .status = status,
	    .body = body,
	    .body_len = strlen(body),
	    .length = -1,
	    .retry_after = -1};

	return a;
}

/* The body into the file, as http does it. */
static inline void
fake_write(struct http_call *c, struct http_answer *a)
{
	struct hash *h = NULL;

	a->file_from = a->status == 206 ? c->from : 0;
	if (ftruncate(c->file, (off_t)a->file_from) != 0 ||
	    lseek(c->file, (off_t)a->file_from, SEEK_SET) < 0 ||
	    io_write_all(c->file, a->body, a->body_len, NULL) != RC_OK)
		abort();
	if (a->fate == HTTP_ANSWERED && a->file_from == 0 &&
	    (hash_sha256(a->body, a->body_len, a->sha256, NULL) != RC_OK ||
		hash_new_md5(&h, NULL) != RC_OK ||
		hash_add(h, a->body, a->body_len, NULL) != RC_OK ||
		hash_end(h, fake_md5, NULL) != RC_OK ||
		!str_copy(a->md5, sizeof(a->md5), fake_md5)))
		abort();
	hash_free(&h);
	a->to_file = true;
	a->file_len = a->file_from + a->body_len;
	a->body = "";
	a->body_len = 0;
}

/* Answer a request; it has to be to a URL that begins so. */
static inline void
fake_answer_to(struct http_call *c, const char *url, struct http_answer a)
{
	if (c == NULL || !c->live)
		fail_msg("no request is under way, expected %s", url);
	if (!str_begins(c->url, url))
		fail_msg("request to %s, expected %s", c->url, url);
	c->live = false;
	if (c->choose != NULL && a.status / 100 == 2 && a.body_len > 0 && c->file < 0 &&
	    (c->file = c->choose(&a, a.body, a.body_len, c->arg)) < -1)
		a.fate = HTTP_LOCAL;
	if (a.status / 100 == 2 && c->file >= 0 && !fake_wrong_part)
		fake_write(c, &a);
	else
		a.file_len = a.file_from = c->from;
	c->done(&a, c->arg);
}

/* The same for the latest request. */
static inline void
fake_answer(const char *url, struct http_answer a)
{
	fake_answer_to(fake_ncalls > 0 ? &fake_calls[fake_ncalls - 1] : NULL, url, a);
}

static int64_t
fake_wall_now(void)
{
	return fake_wall;
}

static int64_t
fake_mono_now(void)
{
	return fake_mono;
}

static inline void
fake_pass(int64_t ms)
{
	fake_wall += ms;
	fake_mono += ms;
}

static void
fake_sink(const char *line, size_t n)
{
	(void)line;
	(void)n;
}

static inline unsigned
fake_open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

static inline void
fake_configure(void)
{
	fake_account = (struct conf_account){.name = (char *)(uintptr_t) "acme",
	    .hash_id = (char *)(uintptr_t) "acc1",
	    .api = (char *)(uintptr_t) "https://api.example.com",
	    .token_url = (char *)(uintptr_t) "https://id.example.com/token",
	    .client_id = (char *)(uintptr_t) "me",
	    .client_secret_file = fake_secret,
	    .document_hosts = (char *)(uintptr_t) "*.example.org"};
	memset(&fake_conf, 0, sizeof(fake_conf));
	fake_conf.accounts = &fake_account;
	fake_conf.naccounts = 1;
	fake_conf.daemon.store = fake_store;
	fake_conf.daemon.tries = 3;
	fake_conf.daemon.concurrency = 8;
	fake_conf.daemon.retry_min = 10 * CLK_SECOND;
	fake_conf.daemon.retry_max = CLK_HOUR;
	fake_conf.daemon.retry_age = 7 * CLK_DAY;
	fake_conf.daemon.keys_refresh = CLK_HOUR;
	fake_conf.daemon.max_record = 1 << 20;
	fake_conf.daemon.max_document = 1 << 20;
	fake_conf.daemon.downloads = 4;
	fake_conf.daemon.downloads_per_host = 4;
}

static inline int
fake_setup(void **state)
{
	struct spool_opt opt = {.path = fake_spool,
	    .group = getegid(),
	    .queue_limit = 1000,
	    .rejected_limit = 1000,
	    .allow_fs = "tmpfs 9p fuse"};
	struct err e = {0};
	int dir;

	(void)state;
	fake_fds = fake_open_fds();
	fake_ncalls = 0;
	fake_start_rc = RC_OK;
	fake_wrong_part = false;
	memset(&fake_broken, 0, sizeof(fake_broken));
	fake_wall = FAKE_START;
	fake_mono = CLK_DAY;
	log_capture(fake_sink);
	tmpdir_make(fake_base);
	(void)snprintf(fake_spool, sizeof(fake_spool), "%s/spool", fake_base);
	(void)snprintf(fake_store, sizeof(fake_store), "%s/store", fake_base);
	(void)snprintf(fake_secret, sizeof(fake_secret), "%s/secret", fake_base);
	dir = tmpdir_open(fake_base);
	tmpdir_write(dir, "secret", "s3cret\n", 7);
	fake_configure();
	fake = (struct daemon){.conf = &fake_conf, .watch = -1, .grants = &fake_grant};
	clk_replace(fake_wall_now, fake_mono_now);
	if (spool_make(&opt, &e) != RC_OK || spool_open(&opt, &fake.spool, &e) != RC_OK ||
	    store_open(fake_store, &fake.store, &e) != RC_OK ||
	    children_new(&fake.children, &e) != RC_OK || pool_new(2, &fake.pool, &e) != RC_OK ||
	    grant_open(&fake_grant, &fake, &fake_account, dir, &e) != RC_OK)
		tmpdir_fail("fake_setup", e.text);
	fake.jobs = jobs_new(100);
	fake.targets = targets_new();
	fake.shares = shares_new();
	io_close(&dir);
	return 0;
}

static inline int
fake_teardown(void **state)
{
	unsigned left;

	(void)state;
	left = fake.running;
	children_free(&fake.children);
	pool_free(&fake.pool);
	grant_close(&fake_grant);
	jobs_free(&fake.jobs);
	targets_free(&fake.targets);
	shares_free(&fake.shares);
	store_close(&fake.store);
	spool_close(&fake.spool);
	clk_replace(NULL, NULL);
	tmpdir_remove(fake_base);
	if (left != 0 || fake_open_fds() != fake_fds) {
		print_error("%u tries and %d descriptors were left\n", left,
		    (int)fake_open_fds() - (int)fake_fds);
		return -1;
	}
	return 0;
}

/* Run until nothing is on the pool. */
static inline void
fake_settle(void)
{
	for (;;) {
		struct pollfd fd = {.fd = pool_fd(fake.pool), .events = POLLIN};
		const struct work *w = fake.first;

		while (w != NULL && !w->on_pool)
			w = w->next;
		if (w == NULL)
			return;
		assert_int_equal(poll(&fd, 1, FAKE_PATIENCE), 1);
		pool_reap(fake.pool);
	}
}

/* An event in cur, waiting in memory. */
static inline struct job *
fake_event(const char *name, const char *body)
{
	struct rec r = {
	    .account = "acme", .received = fake_wall, .body = body, .body_len = strlen(body)};
	struct job *job = NULL;
	struct err e = {0};

	assert_true(str_copy(r.name, sizeof(r.name), name));
	if (spool_put(fake.spool, SPOOL_NEW, &r, &e) != RC_OK ||
	    spool_take(fake.spool, name, &e) != RC_OK ||
	    spool_sync(fake.spool, SPOOL_CUR, &e) != RC_OK ||
	    jobs_add(fake.jobs, name, &job, &e) != RC_OK)
		fail_msg("%s: %s", name, e.text);
	job->known = ++fake.clock;
	job->since = fake_wall;
	jobs_wait(fake.jobs, job);
	return job;
}

static inline enum spool_box
fake_box(const char *name)
{
	enum spool_box box;
	int fd;

	if (spool_find(fake.spool, name, &box, NULL) == RC_OK)
		return box;
	fd = openat(spool_dir(fake.spool), "rejected/new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && io_exists(fd, name))
		box = SPOOL_REJECTED;
	io_close(&fd);
	return box;
}

/* The note as it is on disk. */
static inline enum rc
fake_note(const char *name, struct retry *r)
{
	return retry_read(spool_retry_dir(fake.spool), name, r, NULL);
}

static inline void
fake_token(const char *token)
{
	char body[256];

	(void)snprintf(body, sizeof(body),
	    "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":86400}", token);
	fake_answer("https://id.example.com/token", fake_status(200, body));
}

#endif
