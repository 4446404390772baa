/*
 * SPDX-License-Identifier: ISC
 *
 * t_mapped - a page whose file is taken away becomes private, and is had again.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "clk.h"
#include "count.h"
#include "io.h"
#include "mapped.h"
#include "tmpdir.h"

#define THREADS 4

static char path[TMPDIR_SIZE];
static int dir = -1, fd = -1;

static int
set_up(void **state)
{
	(void)state;
	tmpdir_make(path);
	dir = tmpdir_open(path);
	fd = openat(dir, "page", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, MAPPED_SIZE), 0);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	clk_replace(NULL, NULL);
	(void)close(fd);
	(void)close(dir);
	tmpdir_remove(path);
	return 0;
}

static uint64_t
in_file(void)
{
	uint64_t value = 0;

	assert_int_equal(pread(fd, &value, sizeof(value), 0), sizeof(value));
	return value;
}

static void
test_taken_away(void **state)
{
	struct mapped *m;
	_Atomic uint64_t *cell;
	struct err e;

	(void)state;
	assert_int_equal(mapped_open(fd, &m, &e), RC_OK);
	cell = mapped_at(m);
	atomic_store(cell, 7);
	assert_int_equal(in_file(), 7);
	assert_false(mapped_is_private(m));
	assert_int_equal(ftruncate(fd, 0), 0);
	atomic_store(cell, 8);
	assert_true(mapped_is_private(m));
	assert_int_equal(atomic_load(cell), 8);
	/* As long as it is not there, it is not to be had. */
	assert_false(mapped_again(m));
	assert_true(mapped_is_private(m));
	atomic_store(cell, 9);
	assert_int_equal(ftruncate(fd, MAPPED_SIZE), 0);
	assert_int_equal(in_file(), 0);
	assert_true(mapped_again(m));
	assert_false(mapped_is_private(m));
	assert_ptr_equal(mapped_at(m), cell);
	atomic_store(cell, 10);
	assert_int_equal(in_file(), 10);
	mapped_close(&m);
	assert_null(m);
	mapped_close(&m);
}

/* To read it is to touch it too. */
static void
test_read(void **state)
{
	struct mapped *m;
	struct err e;

	(void)state;
	assert_int_equal(mapped_open(fd, &m, &e), RC_OK);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(atomic_load((_Atomic uint64_t *)mapped_at(m)), 0);
	assert_true(mapped_is_private(m));
	mapped_close(&m);
}

static atomic_bool over;

static void *
touch_often(void *arg)
{
	_Atomic uint64_t *cell = arg;

	while (!atomic_load(&over))
		atomic_fetch_add(cell, 1);
	return NULL;
}

static void
test_threads(void **state)
{
	struct mapped *m;
	pthread_t threads[THREADS];
	struct err e;

	(void)state;
	atomic_store(&over, false);
	assert_int_equal(mapped_open(fd, &m, &e), RC_OK);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, touch_often, mapped_at(m)), 0);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(ftruncate(fd, 0), 0);
		while (!mapped_is_private(m))
			(void)atomic_load((_Atomic uint64_t *)mapped_at(m));
		assert_int_equal(ftruncate(fd, MAPPED_SIZE), 0);
		while (!mapped_again(m))
			;
	}
	while (in_file() == 0) /* they write to the file again, if one of them was late: soon */
		if (mapped_is_private(m))
			(void)!mapped_again(m);
	atomic_store(&over, true);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	mapped_close(&m);
}

static void
test_limit(void **state)
{
	struct mapped *m[MAPPED_MAX + 1];
	struct err e;

	(void)state;
	for (int i = 0; i < MAPPED_MAX; i++)
		assert_int_equal(mapped_open(fd, &m[i], &e), RC_OK);
	assert_int_equal(mapped_open(fd, &m[MAPPED_MAX], &e), RC_LATER);
	assert_null(m[MAPPED_MAX]);
	mapped_close(&m[3]);
	assert_int_equal(mapped_open(fd, &m[3], &e), RC_OK);
	for (int i = 0; i < MAPPED_MAX; i++)
		mapped_close(&m[i]);
}

/* A page that is not one of ours ends the process as ever. */
static void
test_others(void **state)
{
	struct mapped *m;
	struct err e;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(mapped_open(fd, &m, &e), RC_OK);
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		volatile char *p = mmap(
		    NULL, MAPPED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (ftruncate(fd, 0) == 0)
			p[0] = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	mapped_close(&m);
}

static int64_t mono = 1000000;

static int64_t
test_mono(void)
{
	return mono;
}

/*
 * The counter file: as long as its page is private nothing may be accepted, and a mark that
 * was set meanwhile is told to the others afterwards.
 */
static void
test_counts(void **state)
{
	struct counts *c, *other;
	char text[MAPPED_SIZE + 1];
	struct err e;

	(void)state;
	clk_replace(NULL, test_mono);
	assert_int_equal(count_make(dir, getegid(), &e), RC_OK);
	assert_int_equal(count_open(dir, &c, &e), RC_OK);
	assert_int_equal(tmpdir_read(dir, "counters", text, sizeof(text)), MAPPED_SIZE);
	for (int marks = 0; marks < 2; marks++) {
		int file = openat(dir, "counters", O_RDWR | O_CLOEXEC);

		assert_true(file >= 0);
		assert_false(count_is_broken(c));
		assert_true(count_is_shared(c, dir));
		assert_int_equal(ftruncate(file, 0), 0);
		count_add(c, COUNT_ACCEPTED, 1);
		assert_false(count_is_shared(c, dir));
		assert_true(count_is_broken(c));
		if (marks == 1)
			count_mark_broken(c);
		assert_int_equal(pwrite(file, text, MAPPED_SIZE, 0), MAPPED_SIZE);
		assert_int_equal(close(file), 0);
		/* it is looked at once a second at most */
		mono += CLK_SECOND - 1;
		assert_true(count_is_broken(c));
		mono += 1;
		assert_int_equal(count_is_broken(c), marks == 1);
		assert_true(count_is_shared(c, dir));
		count_add(c, COUNT_ACCEPTED, 1);
		assert_int_equal(count_open(dir, &other, &e), RC_OK);
		assert_int_equal(count_is_broken(other), marks == 1);
		assert_int_equal(count_get(other, COUNT_ACCEPTED), 1);
		count_close(&other);
	}
	count_close(&c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_taken_away),
	    TEST(test_read),
	    TEST(test_threads),
	    TEST(test_limit),
	    TEST(test_others),
	    TEST(test_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
