/*
 * SPDX-License-Identifier: ISC
 *
 * t_live - a configuration takes the place of another: for what comes after it, only if it is
 * whole, and not for what is under way.
 */
#include "config.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "live.h"
#include "log.h"
#include "spoolkit.h"

#define FIRST "the-first-of-the-secrets"
#define SECOND "the-second-of-the-secrets"
#define BODY "{\"eventId\":\"%s\",\"eventType\":\"Client.Update\"}"
#define THREADS 8
#define ROUNDS 300

static struct kit kit;
static struct live *live;
static char conf_path[TMPDIR_SIZE + 16], secret_path[TMPDIR_SIZE + 16];
static pthread_mutex_t lines_lock = PTHREAD_MUTEX_INITIALIZER;
static char lines[1 << 20];
static size_t lines_len;
static const char *level;

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

/* All of it anew under the name, so that nobody reads a half. */
static void
write_file(const char *path, const char *text, mode_t mode)
{
	char fresh[TMPDIR_SIZE + 32];
	FILE *f;

	(void)snprintf(fresh, sizeof(fresh), "%s.new", path);
	assert_non_null(f = fopen(fresh, "w"));
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(fresh, mode), 0);
	assert_int_equal(rename(fresh, path), 0);
}

static void
configure(const char *path, const char *more)
{
	char text[4096];

	(void)snprintf(text, sizeof(text),
	    "[spool]\ndirectory = %s\nmin_free = 0\nmin_inodes = 0\n[log]\nlevel = %s\n"
	    "[account acme]\npath = %s\nsecret_header = X-Arken-Secret\nsecret_file = %s\n%s",
	    kit.path, level, path, secret_path, more);
	write_file(conf_path, text, 0644);
}

static int
set_up(void **state)
{
	(void)state;
	level = "info";
	lines_len = 0;
	lines[0] = '\0';
	log_capture(keep_line);
	kit_start(&kit);
	kit_open(&kit);
	(void)snprintf(conf_path, sizeof(conf_path), "%s/conf", kit.dir);
	(void)snprintf(secret_path, sizeof(secret_path), "%s/secret", kit.dir);
	write_file(secret_path, FIRST "\n", 0600);
	configure("/arken/acme", "");
	if (live_open(conf_path, 0, &live, &kit.e) != RC_OK)
		fail_msg("%s", kit.e.text);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	live_close(&live);
	assert_null(live);
	log_capture(NULL);
	log_level(LOG_INFO);
	kit_end(&kit);
	return 0;
}

struct talk {
	struct exchange x; /* first */
	const char *body;
	size_t n;
	sem_t *reached; /* posted when the body is asked for, */
	sem_t *go;      /* and then waited for; NULL: at once */
	int status;
};

static ssize_t
talk_read(struct exchange *x, void *p, size_t n)
{
	struct talk *t = (struct talk *)x;

	if (t->reached != NULL) {
		assert_int_equal(sem_post(t->reached), 0);
		assert_int_equal(sem_wait(t->go), 0);
		t->reached = NULL;
	}
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
	const char *text = p;
	char digits[4];
	uint64_t status;

	assert_true(n > 12); /* "Status: 200 OK" */
	assert_true(str_copy_n(digits, sizeof(digits), text + 8, 3));
	assert_true(str_u64(digits, 100, 599, &status));
	t->status = (int)status;
	return true;
}

static int
talk(struct talk *t, const char *path, const char *secret, const char *id)
{
	char uri[128], header[128], body[128];
	char method[] = "REQUEST_METHOD=POST", type[] = "CONTENT_TYPE=application/json";
	char *env[] = {method, type, uri, header, NULL};

	(void)snprintf(uri, sizeof(uri), "REQUEST_URI=%s", path);
	(void)snprintf(header, sizeof(header), "HTTP_X_ARKEN_SECRET=%s", secret);
	t->n = (size_t)snprintf(body, sizeof(body), BODY, id);
	t->body = body;
	t->x = (struct exchange){.env = env, .read = talk_read, .write = talk_write};
	(void)live_handle(&t->x, live);
	return t->status;
}

static int
post(const char *path, const char *secret, const char *id)
{
	struct talk t = {.status = 0};

	return talk(&t, path, secret, id);
}

static uint64_t
counted(enum count what)
{
	return count_get(spool_counts(kit.sp), what);
}

static void
test_reload(void **state)
{
	(void)state;
	assert_int_equal(post("/arken/acme", FIRST, "a"), 200);
	configure("/arken/other", "");
	write_file(secret_path, SECOND "\n", 0600);
	assert_int_equal(post("/arken/other", FIRST, "b"), 404);
	live_reload(live);
	assert_int_equal(post("/arken/acme", SECOND, "b"), 404);
	assert_int_equal(post("/arken/other", SECOND, "b"), 200);
	assert_int_equal(post("/arken/other", FIRST, "c"), 401);
	assert_int_equal(counted(COUNT_RELOADED), 1);
	assert_non_null(strstr(lines, "what=reloaded"));
	assert_int_equal(kit_names(&kit, "new"), 2);
}

/* Whatever is broken, the old stays, all of it, and the log says what is wrong and where. */
static void
test_broken(void **state)
{
	static const struct {
		const char *more, *secret, *sign;
	} t[] = {
	    {"frob = 1\n", FIRST "\n", "conf:11: [account acme]: expected a key"},
	    {"[receiver]\nthreads = 0\n", FIRST "\n", "conf:12: [receiver] threads: expected"},
	    {"", "short\n", "account acme"},
	    {"", "", "account acme"},
	    {"[status]\ntoken_file = /nowhere/token\n", FIRST "\n", "[status]"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char id[16];

		lines_len = 0;
		configure("/arken/other", t[i].more);
		write_file(secret_path, t[i].secret, 0600);
		live_reload(live);
		assert_non_null(strstr(lines, "not reloaded, the old configuration stays"));
		if (strstr(lines, t[i].sign) == NULL)
			fail_msg("%s is not in: %s", t[i].sign, lines);
		(void)snprintf(id, sizeof(id), "b-%zu", i);
		assert_int_equal(post("/arken/acme", FIRST, id), 200);
		assert_int_equal(post("/arken/other", FIRST, id), 404);
	}
	write_file(secret_path, FIRST "\n", 0600);
	assert_int_equal(remove(conf_path), 0);
	live_reload(live);
	assert_int_equal(post("/arken/acme", FIRST, "b-9"), 200);
	assert_int_equal(counted(COUNT_RELOAD_FAILED), 6);
	assert_int_equal(counted(COUNT_RELOADED), 0);
	assert_null(strstr(lines, FIRST));
}

static void
test_broken_at_start(void **state)
{
	struct live *none;

	(void)state;
	configure("/arken/acme", "frob = 1\n");
	assert_int_equal(live_open(conf_path, 0, &none, &kit.e), RC_CONFIG);
	assert_null(none);
	live_close(&none);
}

struct slow {
	struct talk t;
	sem_t reached, go;
};

static void *
post_slowly(void *arg)
{
	struct slow *s = arg;

	s->t.reached = &s->reached;
	s->t.go = &s->go;
	(void)talk(&s->t, "/arken/acme", FIRST, "slow");
	return NULL;
}

/* What began under a configuration ends under it, however often there is another meanwhile. */
static void
test_under_way(void **state)
{
	struct slow s = {.t = {.status = 0}};
	pthread_t thread;

	(void)state;
	assert_int_equal(sem_init(&s.reached, 0, 0), 0);
	assert_int_equal(sem_init(&s.go, 0, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, post_slowly, &s), 0);
	assert_int_equal(sem_wait(&s.reached), 0);
	configure("/arken/other", "");
	write_file(secret_path, SECOND "\n", 0600);
	live_reload(live);
	live_reload(live);
	assert_int_equal(post("/arken/acme", FIRST, "x"), 404);
	assert_int_equal(sem_post(&s.go), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(s.t.status, 200);
	assert_true(kit_has(&kit, SPOOL_NEW, "acme.slow.Client.Update"));
	assert_int_equal(sem_destroy(&s.reached), 0);
	assert_int_equal(sem_destroy(&s.go), 0);
}

struct poster {
	unsigned number, accepted, others;
};

static void *
post_often(void *arg)
{
	struct poster *p = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		char id[32];
		int status;

		(void)snprintf(id, sizeof(id), "p-%u-%u", p->number, i);
		status = post("/arken/acme", FIRST, id);
		if (status == 200)
			p->accepted++;
		else
			p->others += status != 503;
	}
	return NULL;
}

static void
test_reload_under_load(void **state)
{
	struct poster posters[THREADS] = {{0}};
	pthread_t threads[THREADS];
	unsigned accepted = 0;

	(void)state;
	kit.opt.queue_limit = 1000000;
	for (unsigned i = 0; i < THREADS; i++) {
		posters[i].number = i;
		assert_int_equal(pthread_create(&threads[i], NULL, post_often, &posters[i]), 0);
	}
	for (unsigned i = 0; i < 50; i++) {
		configure("/arken/acme", i % 2 == 0 ? "" : "hash_id = OURS\n");
		live_reload(live);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(posters[i].others, 0);
		accepted += posters[i].accepted;
	}
	assert_true(accepted > 0);
	assert_int_equal(kit_names(&kit, "new"), accepted);
	assert_int_equal(counted(COUNT_ACCEPTED), accepted);
	assert_int_equal(counted(COUNT_RELOADED), 50);
}

static void
test_threads(void **state)
{
	struct live *other;

	(void)state;
	assert_int_equal(live_threads(live), 16 + 8 + 2);
	assert_int_equal(live_open(conf_path, 1, &other, &kit.e), RC_OK);
	assert_int_equal(live_threads(other), 1 + 1 + 2);
	live_close(&other);
	configure("/arken/acme", "[receiver]\nthreads = 20\n");
	live_reload(live);
	assert_non_null(strstr(lines, "change with the next start"));
	assert_int_equal(live_threads(live), 16 + 8 + 2);
}

static void
test_log_level(void **state)
{
	(void)state;
	assert_int_equal(post("/arken/acme", FIRST, "l-1"), 200);
	assert_non_null(strstr(lines, "what=accepted"));
	level = "note";
	configure("/arken/acme", "");
	live_reload(live);
	lines_len = 0;
	lines[0] = '\0';
	assert_int_equal(post("/arken/acme", FIRST, "l-2"), 200);
	assert_null(strstr(lines, "what=accepted"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_reload),
	    TEST(test_broken),
	    TEST(test_broken_at_start),
	    TEST(test_under_way),
	    TEST(test_reload_under_load),
	    TEST(test_threads),
	    TEST(test_log_level),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
