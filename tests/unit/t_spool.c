/*
 * SPDX-License-Identifier: ISC
 *
 * t_spool - tests of spool: what spool_put commits, refuses and calls a duplicate.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "spoolkit.h"

static struct kit kit;
static enum count lack;

static int
set_up(void **state)
{
	(void)state;
	kit_start(&kit);
	kit_open(&kit);
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
test_put(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(kit_put(&kit, KIT_NAME), RC_OK);
	kit_check(&kit, SPOOL_NEW, KIT_NAME);
	assert_int_equal(fstatat(spool_dir(kit.sp), "new/" KIT_NAME, &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(kit_names(&kit, "new"), 1);
	assert_int_equal(kit_names(&kit, "tmp"), 0);
	assert_int_equal(count_get(spool_counts(kit.sp), COUNT_WAITING), 1);
}

/* In whatever box it is, it is a duplicate, nothing is written, and nothing is removed. */
static void
test_duplicate(void **state)
{
	(void)state;
	for (int box = SPOOL_NEW; box <= SPOOL_DONE; box++) {
		kit_place(&kit, (enum spool_box)box, KIT_NAME);
		assert_int_equal(kit_put(&kit, KIT_NAME), RC_EXISTS);
		assert_non_null(strstr(kit.e.text, spool_box_name((enum spool_box)box)));
		assert_true(kit_has(&kit, (enum spool_box)box, KIT_NAME));
		assert_int_equal(kit_copies(&kit, KIT_NAME), 1);
		assert_int_equal(kit_names(&kit, "tmp"), 0);
		assert_int_equal(
		    unlinkat(spool_dir(kit.sp), kit_file((enum spool_box)box, KIT_NAME), 0), 0);
	}
	assert_int_equal(count_get(spool_counts(kit.sp), COUNT_WAITING), 0);
	/* What lies in rejected is no event: the same name is accepted. */
	kit_place(&kit, SPOOL_REJECTED, KIT_NAME);
	assert_int_equal(kit_put(&kit, KIT_NAME), RC_OK);
}

/* The receiver's look comes before the file: a duplicate of 10 MiB costs no write. */
static void
test_duplicate_writes_nothing(void **state)
{
	static char big[1 << 20];
	struct rec r;
	pid_t pid;
	int status;

	(void)state;
	assert_int_equal(kit_put(&kit, KIT_NAME), RC_OK);
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		const struct rlimit none = {0};

		(void)signal(SIGXFSZ, SIG_IGN);
		r = kit_rec(KIT_NAME, KIT_BODY);
		r.body = big;
		r.body_len = sizeof(big);
		_exit(setrlimit(RLIMIT_FSIZE, &none) != 0 ||
		      spool_put(kit.sp, SPOOL_NEW, &r, NULL) != RC_EXISTS);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
test_rejected(void **state)
{
	struct rec r = kit_rec(KIT_NAME, KIT_BODY);

	(void)state;
	/* An event of that name that was done is no reason to drop what was refused. */
	kit_place(&kit, SPOOL_DONE, KIT_NAME);
	assert_int_equal(spool_put(kit.sp, SPOOL_REJECTED, &r, &kit.e), RC_OK);
	kit_check(&kit, SPOOL_REJECTED, KIT_NAME);
	assert_int_equal(count_get(spool_counts(kit.sp), COUNT_IN_REJECTED), 1);
	assert_int_equal(count_get(spool_counts(kit.sp), COUNT_WAITING), 0);
	assert_int_equal(spool_put(kit.sp, SPOOL_REJECTED, &r, &kit.e), RC_EXISTS);
	assert_non_null(strstr(kit.e.text, "rejected"));
	assert_int_equal(kit_names(&kit, "rejected/new"), 1);
	assert_int_equal(kit_names(&kit, "rejected/tmp"), 0);
	assert_int_equal(kit_names(&kit, "tmp"), 0);
	assert_int_equal(count_get(spool_counts(kit.sp), COUNT_IN_REJECTED), 1);
}

/* Bodies of many sizes come back byte for byte. */
static void
test_bodies(void **state)
{
	static char big[300000], text[320000];
	char name[NAME_SIZE];
	struct rec r, back;
	ssize_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 31 % 251);
	for (size_t size = 0; size <= sizeof(big); size = size * 7 + 1) {
		(void)snprintf(name, sizeof(name), "acme.n-%zu.User.Update", size);
		r = kit_rec(name, "");
		r.body = big;
		r.body_len = size;
		assert_int_equal(spool_put(kit.sp, SPOOL_NEW, &r, &kit.e), RC_OK);
		n = tmpdir_read(
		    spool_dir(kit.sp), kit_file(SPOOL_NEW, name), text, sizeof(text));
		assert_int_equal(rec_parse(text, (size_t)n, &back, &kit.e), RC_OK);
		assert_int_equal(back.body_len, size);
		assert_memory_equal(back.body, big, size);
	}
}

/* What is no name never becomes a path. */
static void
test_names(void **state)
{
	static const char *const bad[] = {"", ".", "..", "acme", "../acme.1.User.Update",
	    "acme.1.User/Update", "acme.1.User.Update:2,S", ".acme.1.User.Update",
	    "acme.1.User.Update\n", "Acme.1.User.Update"};
	char longest[NAME_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rec r = kit_rec(KIT_NAME, KIT_BODY);

		assert_true(str_copy(r.name, sizeof(r.name), bad[i]));
		assert_true(
		    str_copy_n(r.account, sizeof(r.account), bad[i], strcspn(bad[i], ".")));
		assert_int_equal(spool_put(kit.sp, SPOOL_NEW, &r, &kit.e), RC_BAD);
		assert_int_equal(spool_put(kit.sp, SPOOL_REJECTED, &r, &kit.e), RC_BAD);
	}
	assert_int_equal(kit_names(&kit, "new") + kit_names(&kit, "tmp"), 0);
	(void)snprintf(longest, sizeof(longest), "%032d.%065d.%032d.%032d", 1, 2, 3, 4);
	assert_int_equal(kit_put(&kit, longest), RC_OK);
	kit_check(&kit, SPOOL_NEW, longest);
}

static void
test_find(void **state)
{
	enum spool_box box;

	(void)state;
	assert_int_equal(spool_find(kit.sp, KIT_NAME, &box, &kit.e), RC_GONE);
	for (int b = SPOOL_DONE; b >= SPOOL_NEW; b--) {
		kit_place(&kit, (enum spool_box)b, KIT_NAME);
		assert_int_equal(spool_find(kit.sp, KIT_NAME, &box, &kit.e), RC_OK);
		assert_int_equal(box, b); /* the first in the order of life */
	}
}

static void
test_box_names(void **state)
{
	enum spool_box box;

	(void)state;
	for (int b = 0; b < SPOOL_BOXES; b++) {
		assert_true(spool_box_parse(spool_box_name((enum spool_box)b), &box));
		assert_int_equal(box, b);
	}
	assert_false(spool_box_parse("", &box));
	assert_false(spool_box_parse("New", &box));
	assert_false(spool_box_parse("new/", &box));
}

/* ---- room ---- */

static void
test_queue_limit(void **state)
{
	struct counts *c = spool_counts(kit.sp);

	(void)state;
	kit.opt.queue_limit = 2;
	kit_again(&kit);
	c = spool_counts(kit.sp);
	for (int i = 0; i < 3; i++) {
		char name[NAME_SIZE];

		assert_int_equal(
		    spool_room(kit.sp, SPOOL_NEW, 0, &lack, &kit.e), i < 2 ? RC_OK : RC_FULL);
		(void)snprintf(name, sizeof(name), "acme.n-%d.User.Update", i);
		if (i < 2)
			assert_int_equal(kit_put(&kit, name), RC_OK);
	}
	assert_non_null(strstr(kit.e.text, "the queue holds 2 events"));
	/* Rejected has a limit of its own. */
	assert_int_equal(spool_room(kit.sp, SPOOL_REJECTED, 0, &lack, &kit.e), RC_OK);
	count_sub(c, COUNT_WAITING, 1);
	assert_int_equal(spool_room(kit.sp, SPOOL_NEW, 0, &lack, &kit.e), RC_OK);
}

static void
test_rejected_limit(void **state)
{
	struct rec r = kit_rec("acme.a.Rejected.Json", "no json");

	(void)state;
	kit.opt.rejected_limit = 1;
	kit_again(&kit);
	assert_int_equal(spool_room(kit.sp, SPOOL_REJECTED, 0, &lack, &kit.e), RC_OK);
	assert_int_equal(spool_put(kit.sp, SPOOL_REJECTED, &r, &kit.e), RC_OK);
	assert_int_equal(spool_room(kit.sp, SPOOL_REJECTED, 0, &lack, &kit.e), RC_FULL);
	assert_non_null(strstr(kit.e.text, "rejected holds 1 events"));
	assert_int_equal(spool_room(kit.sp, SPOOL_NEW, 0, &lack, &kit.e), RC_OK);
}

static void
test_disk_room(void **state)
{
	(void)state;
	kit.opt.min_free = UINT64_MAX;
	kit_again(&kit);
	assert_int_equal(spool_room(kit.sp, SPOOL_NEW, 0, &lack, &kit.e), RC_FULL);
	assert_non_null(strstr(kit.e.text, "min_free"));
	assert_int_equal(spool_room(kit.sp, SPOOL_REJECTED, 0, &lack, &kit.e), RC_FULL);
	kit.opt.min_free = 1;
	kit.opt.min_inodes = UINT64_MAX;
	kit_again(&kit);
	assert_int_equal(spool_room(kit.sp, SPOOL_NEW, 0, &lack, &kit.e), RC_FULL);
	assert_non_null(strstr(kit.e.text, "min_inodes"));
	kit.opt.min_inodes = 1;
	kit_again(&kit);
	assert_int_equal(spool_room(kit.sp, SPOOL_NEW, 0, &lack, &kit.e), RC_OK);
}

/* ---- the mark ---- */

static void
test_mark(void **state)
{
	struct rec r = kit_rec("acme.n-1.User.Update", KIT_BODY);

	(void)state;
	assert_int_equal(kit_put(&kit, KIT_NAME), RC_OK);
	count_mark_broken(spool_counts(kit.sp));
	for (int again = 0; again < 2; again++) {
		assert_int_equal(spool_room(kit.sp, SPOOL_NEW, 0, &lack, &kit.e), RC_LATER);
		assert_int_equal(spool_put(kit.sp, SPOOL_NEW, &r, &kit.e), RC_LATER);
		assert_int_equal(spool_put(kit.sp, SPOOL_REJECTED, &r, &kit.e), RC_LATER);
		assert_int_equal(kit_put(&kit, KIT_NAME), RC_LATER); /* a duplicate too */
		assert_non_null(strstr(kit.e.text, "could not be synced"));
		kit_again(&kit);
	}
	assert_int_equal(kit_names(&kit, "new"), 1);
	count_clear_broken(spool_counts(kit.sp));
	assert_int_equal(spool_put(kit.sp, SPOOL_NEW, &r, &kit.e), RC_OK);
	assert_int_equal(kit_put(&kit, KIT_NAME), RC_EXISTS);
}

/* ---- several at once ---- */

/* Processes put the same events at the same time: each is there once, answered once as new. */
static void
test_processes(void **state)
{
	enum { CHILDREN = 4, EVENTS = 40 };
	char name[NAME_SIZE];
	int status;

	(void)state;
	for (int i = 0; i < CHILDREN; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid != 0)
			continue;
		kit_again(&kit);
		for (int k = 0; k < EVENTS; k++) {
			enum rc rc;

			(void)snprintf(name, sizeof(name), "acme.n-%d.User.Update", k);
			rc = kit_put(&kit, name);
			if (rc == RC_OK)
				count_add(spool_counts(kit.sp), COUNT_ACCEPTED, 1);
			else if (rc != RC_EXISTS)
				_exit(1);
		}
		_exit(0);
	}
	for (int i = 0; i < CHILDREN; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(count_get(spool_counts(kit.sp), COUNT_ACCEPTED), EVENTS);
	assert_int_equal(count_get(spool_counts(kit.sp), COUNT_WAITING), EVENTS);
	assert_int_equal(kit_names(&kit, "new"), EVENTS);
	assert_int_equal(kit_names(&kit, "tmp"), 0);
	for (int k = 0; k < EVENTS; k++) {
		(void)snprintf(name, sizeof(name), "acme.n-%d.User.Update", k);
		kit_check(&kit, SPOOL_NEW, name);
	}
}

enum { THREADS = 4, THREAD_EVENTS = 40 };

/* Answers of one thread: a bit for each event that was new. */
static void *
put_many(void *arg)
{
	uint64_t *fresh = arg;
	char name[NAME_SIZE];

	for (int k = 0; k < THREAD_EVENTS; k++) {
		struct rec r;
		enum rc rc;

		(void)snprintf(name, sizeof(name), "acme.n-%d.User.Update", k);
		r = kit_rec(name, KIT_BODY);
		rc = spool_put(kit.sp, SPOOL_NEW, &r, NULL);
		if (rc == RC_OK)
			*fresh |= UINT64_C(1) << k;
		else if (rc != RC_EXISTS)
			*fresh = UINT64_MAX;
	}
	return NULL;
}

/* Threads of one receiver share one open spool. */
static void
test_threads(void **state)
{
	uint64_t fresh[THREADS] = {0}, all = 0;
	pthread_t thread[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, put_many, &fresh[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(thread[i], NULL), 0);
		assert_true((all & fresh[i]) == 0); /* none was new to two of them */
		all |= fresh[i];
	}
	assert_true(all == (UINT64_C(1) << THREAD_EVENTS) - 1);
	assert_int_equal(kit_names(&kit, "new"), THREAD_EVENTS);
	assert_int_equal(kit_names(&kit, "tmp"), 0);
	assert_int_equal(count_get(spool_counts(kit.sp), COUNT_WAITING), THREAD_EVENTS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_put),
	    TEST(test_duplicate),
	    TEST(test_duplicate_writes_nothing),
	    TEST(test_rejected),
	    TEST(test_bodies),
	    TEST(test_names),
	    TEST(test_find),
	    TEST(test_box_names),
	    TEST(test_queue_limit),
	    TEST(test_rejected_limit),
	    TEST(test_disk_room),
	    TEST(test_mark),
	    TEST(test_processes),
	    TEST(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
