/*
 * SPDX-License-Identifier: ISC
 *
 * t_count - tests of count: several processes add to one file, and one mark stops them all.
 */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "count.h"
#include "io.h"
#include "mounts.h"
#include "tmpdir.h"

#define FIRST_CELLS 126 /* of the first version */
#define FIRST_SIZE 1024
#define SIZE 4096

static char path[TMPDIR_SIZE];
static int dir = -1;
static struct counts *c;

static int
set_up(void **state)
{
	struct err e;

	(void)state;
	tmpdir_make(path);
	dir = tmpdir_open(path);
	if (count_make(dir, getegid(), &e) != RC_OK || count_open(dir, &c, &e) != RC_OK)
		fail_msg("%s", e.text);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	count_close(&c);
	io_close(&dir);
	tmpdir_remove(path);
	return 0;
}

/* Run fn in another process that opens the file itself; its result. */
static int
elsewhere(int (*fn)(struct counts *))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct counts *mine;

		_exit(count_open(dir, &mine, NULL) == RC_OK ? fn(mine) : 99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
test_file(void **state)
{
	struct counts *other;
	struct stat st;
	struct err e;

	(void)state;
	assert_int_equal(fstatat(dir, "counters", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(st.st_gid, getegid());
	count_add(c, COUNT_ACCEPTED, 5);
	/* Made again it stays as it is; opened again it shows the same. */
	assert_int_equal(count_make(dir, getegid(), &e), RC_OK);
	assert_int_equal(count_open(dir, &other, &e), RC_OK);
	assert_int_equal(count_get(other, COUNT_ACCEPTED), 5);
	count_close(&other);
	assert_null(other);
	count_close(&other);
}

static void
test_refused(void **state)
{
	char text[8192] = "";
	struct counts *other;
	struct err e;
	ssize_t n;

	(void)state;
	n = tmpdir_read(dir, "counters", text, sizeof(text));
	assert_int_equal(n, SIZE);
	text[0] ^= 1;
	tmpdir_write(dir, "counters", text, SIZE);
	assert_int_equal(count_open(dir, &other, &e), RC_CONFIG);
	assert_null(other);
	text[0] ^= 1;
	tmpdir_write(dir, "counters", text, FIRST_SIZE - 1);
	assert_int_equal(count_open(dir, &other, &e), RC_CONFIG);
	tmpdir_write(dir, "counters", text, 0);
	assert_int_equal(count_open(dir, &other, &e), RC_CONFIG);
	assert_int_equal(unlinkat(dir, "counters", 0), 0);
	assert_int_equal(count_open(dir, &other, &e), RC_CONFIG);
	assert_non_null(strstr(e.text, "missing"));
	assert_int_equal(symlinkat("elsewhere", dir, "counters"), 0);
	assert_int_equal(count_open(dir, &other, &e), RC_CONFIG);
	assert_int_equal(unlinkat(dir, "counters", 0), 0);
	assert_int_equal(mkfifoat(dir, "counters", 0600), 0);
	assert_int_equal(count_open(dir, &other, &e), RC_CONFIG);
}

#define ADDS 100000

static int
add_many(struct counts *mine)
{
	for (int i = 0; i < ADDS; i++) {
		count_add(mine, COUNT_ACCEPTED, 1);
		count_add(mine, COUNT_DOCUMENT_BYTES, UINT64_C(1) << 40);
		count_add(mine, COUNT_WAITING, 2);
		count_sub(mine, COUNT_WAITING, 1);
	}
	return 0;
}

static void
test_together(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(elsewhere(add_many));
	assert_int_equal(elsewhere(add_many), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(count_get(c, COUNT_ACCEPTED), 2 * ADDS);
	assert_true(count_get(c, COUNT_DOCUMENT_BYTES) == UINT64_C(2) * ADDS << 40);
	assert_int_equal(count_get(c, COUNT_WAITING), 2 * ADDS);
	assert_int_equal(count_get(c, COUNT_REJECTED), 0);
}

static void
test_gauge(void **state)
{
	(void)state;
	count_set(c, COUNT_WAITING, 3);
	count_sub(c, COUNT_WAITING, 2);
	assert_int_equal(count_get(c, COUNT_WAITING), 1);
	count_sub(c, COUNT_WAITING, 2);
	assert_int_equal(count_get(c, COUNT_WAITING), 0);
	count_sub(c, COUNT_WAITING, UINT64_MAX);
	assert_int_equal(count_get(c, COUNT_WAITING), 0);
}

/* Every counter has a cell of its own, and a name as Prometheus wants it. */
static void
test_names(void **state)
{
	(void)state;
	for (int i = 0; i < COUNT_END; i++) {
		const struct count_row *row = count_row((enum count)i);
		bool first = true;

		assert_int_equal(
		    strspn(row->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(row->name));
		assert_int_equal(
		    strstr(row->name, "_total") != NULL, row->kind == COUNT_KIND_COUNTER);
		assert_int_equal(row->label != NULL, row->value != NULL);
		for (int k = 0; k < i; k++) {
			const struct count_row *other = count_row((enum count)k);

			if (strcmp(row->name, other->name) != 0)
				continue;
			first = false;
			assert_true(
			    row->kind == other->kind || row->kind == COUNT_KIND_TIME_SUM);
			if (row->label != NULL) {
				assert_string_equal(row->label, other->label);
				assert_string_not_equal(row->value, other->value);
			}
		}
		assert_int_equal(strlen(row->help) > 5, first);
		count_set(c, (enum count)i, (uint64_t)i + 1);
	}
	for (int i = 0; i < COUNT_END; i++)
		assert_int_equal(count_get(c, (enum count)i), i + 1);
}

/* A row's place is its place in the file, for ever: those that were released stay. */
static void
test_places(void **state)
{
	static const struct {
		enum count what;
		unsigned place;
	} t[] = {{COUNT_ACCEPTED, 0}, {COUNT_REJECTED, 2}, {COUNT_UNAVAILABLE, 9},
	    {COUNT_DONE, 12}, {COUNT_DOCUMENT_BYTES, 18}, {COUNT_WAITING, 19},
	    {COUNT_IN_REJECTED, 20}, {COUNT_TAKEN_IN, 21}, {COUNT_FAULT_JSON, 30},
	    {COUNT_LACK_SYNC, 35}, {COUNT_RELOADED, 44}, {COUNT_TIME_1, 46},
	    {COUNT_TIME_SUM, 59}};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_int_equal(t[i].what, t[i].place);
}

/* The histogram's bounds are what its labels say; a bound belongs to its own row. */
static void
test_times(void **state)
{
	enum count what = COUNT_TIME_1;
	uint64_t sum = 0;

	(void)state;
	for (; what < COUNT_TIME_MORE; what++) {
		int64_t bound = (int64_t)(strtod(count_row(what)->value, NULL) * 1e6 + 0.5);

		assert_int_equal(count_get(c, what), what > COUNT_TIME_1);
		count_time(c, bound);
		assert_int_equal(count_get(c, what), 1 + (what > COUNT_TIME_1));
		count_time(c, bound + 1);
		sum += 2 * (uint64_t)bound + 1;
	}
	assert_string_equal(count_row(what)->value, "+Inf");
	assert_int_equal(count_get(c, what), 1);
	count_time(c, INT64_C(3600000000));
	count_time(c, -5);
	assert_int_equal(count_get(c, what), 2);
	assert_int_equal(count_get(c, COUNT_TIME_1), 2);
	assert_true(count_get(c, COUNT_TIME_SUM) == sum + UINT64_C(3600000000));
}

static int
is_broken(struct counts *mine)
{
	return count_is_broken(mine);
}

static int
mark(struct counts *mine)
{
	count_mark_broken(mine);
	return 0;
}

static int
clear(struct counts *mine)
{
	count_clear_broken(mine);
	return 0;
}

static void
test_mark(void **state)
{
	(void)state;
	assert_false(count_is_broken(c));
	assert_int_equal(elsewhere(is_broken), 0);
	assert_int_equal(elsewhere(mark), 0);
	/* The one who set it is gone: it stands, for those who had the file open and others. */
	assert_true(count_is_broken(c));
	assert_int_equal(elsewhere(is_broken), 1);
	assert_int_equal(elsewhere(mark), 0);
	assert_int_equal(elsewhere(clear), 0);
	assert_false(count_is_broken(c));
	assert_int_equal(elsewhere(is_broken), 0);
	count_mark_broken(c);
	assert_int_equal(elsewhere(is_broken), 1);
	assert_int_equal(elsewhere(clear), 0);
}

/*
 * The file of the first version was shorter.  It grows where it is: whoever has it open from
 * before still sees the mark that is set by those who came after, and the other way round.
 */
static void
test_grows(void **state)
{
	static char text[SIZE + 1];
	struct counts *old;
	struct stat st;
	struct err e;
	int fd;

	(void)state;
	count_set(c, COUNT_ACCEPTED, 77);
	count_mark_broken(c);
	assert_int_equal(tmpdir_read(dir, "counters", text, sizeof(text)), SIZE);
	count_close(&c);
	assert_int_equal(unlinkat(dir, "counters", 0), 0);
	tmpdir_write(dir, "counters", text, FIRST_SIZE);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
		    i == 0 ? count_make(dir, getegid(), &e) : count_open(dir, &c, &e), RC_OK);
		assert_int_equal(fstatat(dir, "counters", &st, 0), 0);
		assert_int_equal(st.st_size, SIZE);
		assert_true(st.st_blocks * 512 >= SIZE);
	}
	assert_true(count_is_broken(c));
	assert_int_equal(count_get(c, COUNT_ACCEPTED), 77);
	assert_int_equal(elsewhere(clear), 0);
	assert_false(count_is_broken(c));
	/* One of a later version is longer, and is used as far as it is known here. */
	fd = openat(dir, "counters", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, 3 * SIZE), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(count_open(dir, &old, &e), RC_OK);
	count_add(old, COUNT_TIME_SUM, 5);
	count_close(&old);
	assert_int_equal(count_get(c, COUNT_TIME_SUM), 5);
	assert_int_equal(fstatat(dir, "counters", &st, 0), 0);
	assert_int_equal(st.st_size, 3 * SIZE);
}

/* On a full disk it stays short, and what has no cell in it is not counted. */
static void
test_cannot_grow(void **state)
{
	static char text[SIZE + 1];
	const struct rlimit tight = {FIRST_SIZE, RLIM_INFINITY};
	struct rlimit before;
	struct err e;

	(void)state;
	assert_int_equal(tmpdir_read(dir, "counters", text, sizeof(text)), SIZE);
	count_close(&c);
	tmpdir_write(dir, "counters", text, FIRST_SIZE);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_ptr_not_equal(signal(SIGXFSZ, SIG_IGN), SIG_ERR);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	assert_int_equal(count_open(dir, &c, &e), RC_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	count_add(c, COUNT_ACCEPTED, 3);
	count_add(c, FIRST_CELLS, 3);
	count_set(c, FIRST_CELLS, 3);
	count_sub(c, FIRST_CELLS, 3);
	assert_int_equal(count_get(c, COUNT_ACCEPTED), 3);
	assert_int_equal(count_get(c, FIRST_CELLS), 0);
	count_mark_broken(c);
	assert_true(count_is_broken(c));
}

static void
test_shared(void **state)
{
	struct err e;

	(void)state;
	assert_true(count_is_shared(c, dir));
	assert_int_equal(renameat(dir, "counters", dir, "away"), 0);
	assert_false(count_is_shared(c, dir));
	assert_int_equal(count_make(dir, getegid(), &e), RC_OK);
	assert_false(count_is_shared(c, dir));
	assert_int_equal(renameat(dir, "away", dir, "counters"), 0);
	assert_true(count_is_shared(c, dir));
}

/* A mark of before the last boot does not stand, and a new one can be set. */
static void
test_old_mark(void **state)
{
	char text[8192], now[8192];
	const uint64_t other = 0x1234;

	(void)state;
	assert_int_equal(tmpdir_read(dir, "counters", text, sizeof(text)), SIZE);
	memcpy(text + 8, &other, sizeof(other));
	tmpdir_write(dir, "counters", text, SIZE);
	assert_int_equal(elsewhere(is_broken), 0);
	assert_int_equal(elsewhere(mark), 0);
	assert_int_equal(elsewhere(is_broken), 1);
	/* The next start takes an old one away, and no other. */
	for (uint64_t i = 0; i < 3; i++) {
		if (i < 2)
			memcpy(text + 8, i == 0 ? &other : &i, sizeof(i));
		else
			assert_int_equal(elsewhere(clear) + elsewhere(mark), 0);
		if (i < 2)
			tmpdir_write(dir, "counters", text, SIZE);
		assert_int_equal(count_make(dir, getegid(), NULL), RC_OK);
		assert_int_equal(elsewhere(is_broken), i > 0);
		assert_int_equal(tmpdir_read(dir, "counters", now, sizeof(now)), SIZE);
		assert_int_equal(memcmp(now + 8, "\0\0\0\0\0\0\0", 8) != 0, i > 0);
	}
}

/*
 * A service manager gives each service a mount name space of its own, and a
 * new one at each start: the same file system under other mount numbers.
 */
static int
broken_in_a_new_namespace(struct counts *mine)
{
	struct counts *again;
	int fd;

	(void)mine;
	if (unshare(CLONE_NEWNS) != 0)
		return errno == EPERM ? 77 : 98;
	if ((fd = open(path, O_RDONLY | O_DIRECTORY)) < 0 ||
	    count_open(fd, &again, NULL) != RC_OK)
		return 97;
	return count_is_broken(again);
}

/* The same, and nothing of /proc/sys is to be seen (ProcSubset=pid): its mark is seen too. */
static int
mark_without_proc(struct counts *mine)
{
	struct counts *again;
	int fd, seen;

	(void)mine;
	if (!mounts_private())
		return 77;
	if (mount("none", "/proc/sys", "tmpfs", 0, NULL) != 0)
		return 98;
	if ((fd = open(path, O_RDONLY | O_DIRECTORY)) < 0 ||
	    count_open(fd, &again, NULL) != RC_OK)
		return 97;
	seen = count_is_broken(again);
	count_mark_broken(again);
	return seen;
}

static void
test_without_proc(void **state)
{
	int n;

	(void)state;
	count_mark_broken(c);
	if ((n = elsewhere(mark_without_proc)) == 77) {
		print_message("# /proc/sys cannot be hidden here: skipped\n");
		skip();
	}
	assert_int_equal(n, 1);
	assert_true(count_is_broken(c));
	count_clear_broken(c);
	assert_int_equal(elsewhere(mark_without_proc), 0);
	assert_true(count_is_broken(c));
	assert_int_equal(elsewhere(is_broken), 1);
}

static void
test_namespaces(void **state)
{
	int n;

	(void)state;
	count_mark_broken(c);
	if ((n = elsewhere(broken_in_a_new_namespace)) == 77) {
		print_message("# only root may make a mount name space: skipped\n");
		skip();
	}
	assert_int_equal(n, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_file),
	    TEST(test_refused),
	    TEST(test_together),
	    TEST(test_gauge),
	    TEST(test_names),
	    TEST(test_places),
	    TEST(test_times),
	    TEST(test_grows),
	    TEST(test_cannot_grow),
	    TEST(test_shared),
	    TEST(test_mark),
	    TEST(test_old_mark),
	    TEST(test_namespaces),
	    TEST(test_without_proc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
