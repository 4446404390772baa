/*
 * SPDX-License-Identifier: ISC
 *
 * t_io - tests of io: what is in the way is refused, what fails leaves nothing behind.
 *
 * Linked with: -Wl,--wrap=write
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "io.h"
#include "tmpdir.h"

static char path[TMPDIR_SIZE];
static int dir = -1;

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);

static enum { WRITE_REAL, WRITE_BYTEWISE, WRITE_NOTHING } how_to_write;
static unsigned interrupts; /* so many writes are interrupted first */

ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	if (interrupts > 0) {
		interrupts--;
		errno = EINTR;
		return -1;
	}
	if (how_to_write == WRITE_NOTHING)
		return 0;
	return __real_write(fd, p, how_to_write == WRITE_BYTEWISE && n > 1 ? 1 : n);
}

static int
set_up(void **state)
{
	(void)state;
	tmpdir_make(path);
	dir = tmpdir_open(path);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	how_to_write = WRITE_REAL;
	interrupts = 0;
	io_close(&dir);
	tmpdir_remove(path);
	return 0;
}

/* How many names are in the folder? */
static unsigned
names(void)
{
	unsigned n = 0;
	int fd = -1;
	DIR *d;

	assert_int_equal(io_open_dir(dir, ".", &fd, NULL), RC_OK);
	assert_non_null(d = fdopendir(fd));
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n - 2; /* not . and .. */
}

/* From here on no file of this process may be longer than n bytes. */
static void
limit_files(rlim_t n)
{
	const struct rlimit limit = {.rlim_cur = n, .rlim_max = RLIM_INFINITY};

	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
test_create(void **state)
{
	mode_t old = umask(077);
	struct err e;
	struct stat st;
	int fd = 99;

	(void)state;
	assert_int_equal(io_create(dir, "a", 0640, &fd, &e), RC_OK);
	(void)umask(old);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640); /* whatever the umask says */
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	io_close(&fd);
	assert_int_equal(fd, -1);
	io_close(&fd);
	assert_int_equal(io_create(dir, "a", 0640, &fd, &e), RC_EXISTS);
	assert_int_equal(fd, -1);
	assert_int_equal(symlinkat("b", dir, "link"), 0);
	assert_int_equal(io_create(dir, "link", 0640, &fd, &e), RC_EXISTS);
	assert_false(io_exists(dir, "b"));
	assert_int_equal(io_create(dir, "no/such", 0640, &fd, &e), RC_GONE);
	assert_string_equal(e.text, "openat(no/such) failed: No such file or directory");
}

static void
test_open(void **state)
{
	struct err e;
	int fd;

	(void)state;
	tmpdir_write(dir, "a", "text", 4);
	assert_int_equal(io_open(dir, "a", &fd, &e), RC_OK);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	io_close(&fd);
	assert_int_equal(symlinkat("a", dir, "link"), 0);
	assert_int_equal(io_open(dir, "link", &fd, &e), RC_CONFIG);
	assert_int_equal(fd, -1);
	/* A pipe nobody writes to: refused, and at once. */
	assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
	assert_int_equal(io_open(dir, "fifo", &fd, &e), RC_CONFIG);
	assert_string_equal(e.text, "fifo is not a regular file");
	assert_int_equal(fd, -1);
	assert_int_equal(mkdirat(dir, "folder", 0700), 0);
	assert_int_equal(io_open(dir, "folder", &fd, &e), RC_CONFIG);
	assert_int_equal(io_open(dir, "none", &fd, &e), RC_GONE);
}

static void
test_open_dir(void **state)
{
	struct err e;
	int fd;

	(void)state;
	assert_int_equal(mkdirat(dir, "folder", 0700), 0);
	assert_int_equal(io_open_dir(dir, "folder", &fd, &e), RC_OK);
	assert_int_equal(io_sync_dir(fd, &e), RC_OK);
	io_close(&fd);
	assert_int_equal(symlinkat("folder", dir, "link"), 0);
	assert_int_equal(io_open_dir(dir, "link", &fd, &e), RC_CONFIG);
	assert_int_equal(fd, -1);
	tmpdir_write(dir, "a", "", 0);
	assert_int_equal(io_open_dir(dir, "a", &fd, &e), RC_CONFIG);
	assert_int_equal(io_open_dir(dir, "none", &fd, &e), RC_GONE);
}

static void
test_write_all(void **state)
{
	char text[9009], back[9010];
	struct err e;
	int fd;

	(void)state;
	memset(text, 't', sizeof(text));
	for (int i = 0; i < 2; i++) {
		how_to_write = i == 0 ? WRITE_REAL : WRITE_BYTEWISE;
		interrupts = 3;
		assert_int_equal(io_create(dir, "a", 0600, &fd, &e), RC_OK);
		assert_int_equal(io_write_all(fd, text, sizeof(text), &e), RC_OK);
		assert_int_equal(io_sync_close(&fd, &e), RC_OK);
		assert_int_equal(fd, -1);
		assert_int_equal(tmpdir_read(dir, "a", back, sizeof(back)), sizeof(text));
		assert_memory_equal(back, text, sizeof(text));
		assert_int_equal(io_unlink(dir, "a", &e), RC_OK);
	}
	assert_int_equal(io_create(dir, "a", 0600, &fd, &e), RC_OK);
	assert_int_equal(io_write_all(fd, "", 0, &e), RC_OK);
	/* A write that makes no progress ends, and is no success. */
	how_to_write = WRITE_NOTHING;
	assert_int_not_equal(io_write_all(fd, text, 1, &e), RC_OK);
	io_close(&fd);
}

/* The disk takes 4096 of 9009 bytes: a failure, not a short success. */
static void
test_short_write(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		static char text[9009];
		struct err e;
		struct stat st;
		int fd, bad = 0;

		limit_files(4096);
		bad |= io_create(dir, "a", 0600, &fd, &e) != RC_OK;
		bad |= (io_write_all(fd, text, sizeof(text), &e) != RC_FULL) << 1;
		bad |= (fstat(fd, &st) != 0 || st.st_size != 4096) << 2;
		io_close(&fd);
		/* A replacement that does not fit leaves the old content, and nothing else. */
		bad |= (io_replace(dir, "b", 0600, "old", 3, &e) != RC_OK) << 3;
		bad |= (io_replace(dir, "b", 0600, text, sizeof(text), &e) != RC_FULL) << 4;
		bad |= (io_replace_lazy(dir, "b", 0600, text, sizeof(text), &e) != RC_FULL)
		       << 5;
		_exit(bad);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(names(), 2);
	assert_int_equal(tmpdir_read(dir, "b", (char[8]){0}, 8), 3);
}

static void
test_read_all(void **state)
{
	static char text[200000];
	struct err e;

	(void)state;
	memset(text, 'r', sizeof(text));
	for (size_t n = 0; n <= sizeof(text); n = n < 5 ? n + 1 : n * 3 + 1) {
		tmpdir_write(dir, "a", text, n);
		for (size_t max = n > 0 ? n - 1 : 0; max <= n + 1; max++) {
			struct buf b = BUF_INIT(max);
			enum rc rc = io_read_file(dir, "a", &b, &e);

			assert_int_equal(rc, max < n ? RC_FULL : RC_OK);
			if (rc == RC_OK) {
				assert_int_equal(b.n, n);
				assert_memory_equal(buf_text(&b), text, n);
				assert_int_equal(buf_text(&b)[n], '\0');
			} else {
				assert_true(strncmp(e.text, "a: longer than ", 15) == 0);
			}
			buf_free(&b);
		}
	}
}

static void
test_read_appends(void **state)
{
	struct buf b = BUF_INIT(6);
	struct err e;

	(void)state;
	tmpdir_write(dir, "a", "def", 3);
	buf_str(&b, "abc");
	assert_int_equal(io_read_file(dir, "a", &b, &e), RC_OK);
	assert_string_equal(buf_text(&b), "abcdef");
	assert_int_equal(io_read_file(dir, "a", &b, &e), RC_FULL);
	assert_int_equal(io_read_file(dir, "none", &b, &e), RC_GONE);
	buf_free(&b);
}

static void
test_move(void **state)
{
	char text[8];
	struct err e;

	(void)state;
	tmpdir_write(dir, "a", "A", 1);
	tmpdir_write(dir, "b", "B", 1);
	assert_int_equal(io_move(dir, "a", dir, "b", &e), RC_EXISTS);
	assert_int_equal(tmpdir_read(dir, "a", text, sizeof(text)), 1);
	assert_string_equal(text, "A");
	assert_int_equal(tmpdir_read(dir, "b", text, sizeof(text)), 1);
	assert_string_equal(text, "B");
	assert_int_equal(symlinkat("nowhere", dir, "dangling"), 0);
	assert_int_equal(io_move(dir, "a", dir, "dangling", &e), RC_EXISTS);
	assert_int_equal(io_move(dir, "a", dir, "c", &e), RC_OK);
	assert_int_equal(io_move(dir, "a", dir, "c", &e), RC_GONE);
	assert_int_equal(io_move(dir, "a", dir, "d", &e), RC_GONE);
	assert_int_equal(names(), 3);
}

static void
test_unlink_exists(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(io_unlink(dir, "a", &e), RC_GONE);
	tmpdir_write(dir, "a", "", 0);
	assert_true(io_exists(dir, "a"));
	assert_int_equal(io_unlink(dir, "a", &e), RC_OK);
	assert_false(io_exists(dir, "a"));
	assert_int_equal(symlinkat("nowhere", dir, "dangling"), 0);
	assert_true(io_exists(dir, "dangling"));
}

static void
test_replace(void **state)
{
	enum rc (*const kinds[])(int, const char *, mode_t, const void *, size_t,
	    struct err *) = {io_replace, io_replace_lazy};
	char text[16], name[300];
	struct stat st;
	struct err e;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(kinds[i](dir, "a", 0640, "first", 5, &e), RC_OK);
		assert_int_equal(kinds[i](dir, "a", 0600, "2nd", 3, &e), RC_OK);
		assert_int_equal(tmpdir_read(dir, "a", text, sizeof(text)), 3);
		assert_string_equal(text, "2nd");
		assert_int_equal(fstatat(dir, "a", &st, 0), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_int_equal(names(), 1);
		/* A name with no room for the temporary one, and one that is a folder. */
		memset(name, 'n', sizeof(name));
		name[250] = '\0';
		assert_int_equal(kinds[i](dir, name, 0600, "x", 1, &e), RC_BAD);
		assert_int_equal(mkdirat(dir, "folder", 0700), 0);
		assert_int_equal(kinds[i](dir, "folder", 0600, "x", 1, &e), RC_CONFIG);
		assert_int_equal(names(), 2);
		assert_int_equal(unlinkat(dir, "folder", AT_REMOVEDIR), 0);
	}
	/* A link is replaced, what it points to is not touched. */
	assert_int_equal(symlinkat("a", dir, "link"), 0);
	assert_int_equal(io_replace(dir, "link", 0600, "other", 5, &e), RC_OK);
	assert_int_equal(tmpdir_read(dir, "a", text, sizeof(text)), 3);
	assert_int_equal(tmpdir_read(dir, "link", text, sizeof(text)), 5);
}

static void
test_make_dir(void **state)
{
	mode_t old = umask(077);
	struct err e;
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(io_make_dir(dir, "d", 0750, &fd, &e), RC_OK);
	(void)umask(old);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
	io_close(&fd);
	assert_int_equal(io_make_dir(dir, "d", 0700, &fd, &e), RC_OK);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0750); /* not ours to change */
	io_close(&fd);
	assert_int_equal(symlinkat("d", dir, "link"), 0);
	assert_int_equal(io_make_dir(dir, "link", 0700, &fd, &e), RC_CONFIG);
	tmpdir_write(dir, "a", "", 0);
	assert_int_equal(io_make_dir(dir, "a", 0700, &fd, &e), RC_CONFIG);
	assert_int_equal(fd, -1);
}

static void
test_lock(void **state)
{
	struct err e;
	int one, two;

	(void)state;
	tmpdir_write(dir, "a", "", 0);
	assert_int_equal(io_open(dir, "a", &one, &e), RC_OK);
	assert_int_equal(io_open(dir, "a", &two, &e), RC_OK);
	assert_int_equal(io_lock(one, &e), RC_OK);
	assert_int_equal(io_lock(one, &e), RC_OK);
	assert_int_equal(io_lock(two, &e), RC_LATER);
	io_close(&one);
	assert_int_equal(io_lock(two, &e), RC_OK);
	io_close(&two);
}

static void
test_sync_close(void **state)
{
	struct err e;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	/* What cannot be synced is closed all the same. */
	assert_int_equal(io_sync_close(&fd[1], &e), RC_LATER);
	assert_true(strncmp(e.text, "fdatasync(", 10) == 0);
	assert_int_equal(fd[1], -1);
	assert_int_equal(read(fd[0], (char[1]){0}, 1), 0);
	io_close(&fd[0]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_create),
	    TEST(test_open),
	    TEST(test_open_dir),
	    TEST(test_write_all),
	    TEST(test_short_write),
	    TEST(test_read_all),
	    TEST(test_read_appends),
	    TEST(test_move),
	    TEST(test_unlink_exists),
	    TEST(test_replace),
	    TEST(test_make_dir),
	    TEST(test_lock),
	    TEST(test_sync_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
