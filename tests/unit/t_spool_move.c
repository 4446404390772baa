/*
 * SPDX-License-Identifier: ISC
 *
 * t_spool_move - tests of spool: take, lock, move, look through, and set right at a start.
 *
 * Linked with: -Wl,--wrap=readdir,--wrap=fsync,--wrap=flock
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "log.h"
#include "spoolkit.h"

struct dirent *__real_readdir(DIR *d);
struct dirent *__wrap_readdir(DIR *d);

int __wrap_fsync(int fd);

/* What lies on the disk is t_spool_fault's question. */
int
__wrap_fsync(int fd)
{
	(void)fd;
	return 0;
}

int __real_flock(int fd, int how);
int __wrap_flock(int fd, int how);

static void (*before_flock)(void); /* called once */

int
__wrap_flock(int fd, int how)
{
	void (*hook)(void) = before_flock;

	before_flock = NULL;
	if (hook != NULL)
		hook();
	return __real_flock(fd, how);
}

static int fail_readdir; /* so many entries are read before it fails; 0: never */

struct dirent *
__wrap_readdir(DIR *d)
{
	if (fail_readdir > 0 && --fail_readdir == 0) {
		errno = EIO;
		return NULL;
	}
	return __real_readdir(d);
}

static struct kit kit;
static unsigned logged;

static void
count_line(const char *line, size_t n)
{
	(void)line;
	(void)n;
	logged++;
}

static int
set_up(void **state)
{
	(void)state;
	log_capture(count_line);
	logged = 0;
	fail_readdir = 0;
	kit_start(&kit);
	kit_open(&kit);
	assert_int_equal(spool_lock_daemon(kit.sp, &kit.e), RC_OK);
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
lock(enum spool_box box, struct spool_item *it)
{
	if (spool_lock(kit.sp, box, KIT_NAME, it, &kit.e) != RC_OK)
		fail_msg("%s", kit.e.text);
}

/* ---- take ---- */

static void
test_take(void **state)
{
	(void)state;
	assert_int_equal(spool_take(kit.sp, KIT_NAME, &kit.e), RC_GONE);
	kit_place(&kit, SPOOL_NEW, KIT_NAME);
	assert_int_equal(spool_take(kit.sp, KIT_NAME, &kit.e), RC_OK);
	assert_int_equal(spool_sync(kit.sp, SPOOL_CUR, &kit.e), RC_OK);
	kit_check(&kit, SPOOL_CUR, KIT_NAME);
	assert_int_equal(kit_copies(&kit, KIT_NAME), 1);
}

static void
test_take_repeat(void **state)
{
	(void)state;
	for (int box = SPOOL_CUR; box <= SPOOL_DONE; box++) {
		kit_place(&kit, (enum spool_box)box, KIT_NAME);
		kit_place(&kit, SPOOL_NEW, KIT_NAME);
		assert_int_equal(spool_take(kit.sp, KIT_NAME, &kit.e), RC_EXISTS);
		assert_non_null(strstr(kit.e.text, spool_box_name((enum spool_box)box)));
		kit_check(&kit, (enum spool_box)box, KIT_NAME);
		assert_int_equal(kit_copies(&kit, KIT_NAME), 1);
		assert_int_equal(
		    unlinkat(spool_dir(kit.sp), kit_file((enum spool_box)box, KIT_NAME), 0), 0);
	}
	/* Rejected is no state of an event. */
	kit_place(&kit, SPOOL_REJECTED, KIT_NAME);
	kit_place(&kit, SPOOL_NEW, KIT_NAME);
	assert_int_equal(spool_take(kit.sp, KIT_NAME, &kit.e), RC_OK);
}

/* ---- lock ---- */

static void
test_lock(void **state)
{
	struct spool_item one, two;

	(void)state;
	assert_int_equal(spool_lock(kit.sp, SPOOL_CUR, KIT_NAME, &one, &kit.e), RC_GONE);
	assert_int_equal(one.fd, -1);
	kit_place(&kit, SPOOL_CUR, KIT_NAME);
	lock(SPOOL_CUR, &one);
	assert_string_equal(one.name, KIT_NAME);
	assert_int_equal(fcntl(one.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(one.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(spool_lock(kit.sp, SPOOL_CUR, KIT_NAME, &two, &kit.e), RC_LATER);
	assert_int_equal(two.fd, -1);
	/* To look at it needs no lock. */
	assert_int_equal(spool_peek(kit.sp, SPOOL_CUR, KIT_NAME, &two, &kit.e), RC_OK);
	spool_unlock(&two);
	spool_unlock(&one);
	assert_int_equal(one.fd, -1);
	lock(SPOOL_CUR, &two);
	spool_unlock(&two);
	spool_unlock(&two);
}

static int
lock_elsewhere(void)
{
	struct spool_item it;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		kit_again(&kit);
		_exit((int)spool_lock(kit.sp, SPOOL_CUR, KIT_NAME, &it, NULL));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void
test_lock_processes(void **state)
{
	struct spool_item it;

	(void)state;
	kit_place(&kit, SPOOL_CUR, KIT_NAME);
	assert_int_equal(lock_elsewhere(), RC_OK); /* and it ended: its lock is gone */
	lock(SPOOL_CUR, &it);
	assert_int_equal(lock_elsewhere(), RC_LATER);
	spool_unlock(&it);
	assert_int_equal(lock_elsewhere(), RC_OK);
}

static void
move_away(void)
{
	kit_rename(&kit, kit_file(SPOOL_CUR, KIT_NAME), kit_file(SPOOL_HELD, KIT_NAME));
}

static void
move_away_and_another_comes(void)
{
	move_away();
	kit_place(&kit, SPOOL_CUR, KIT_NAME);
}

/* Moved between being opened and being locked: what is locked is not what has the name. */
static void
test_lock_moved(void **state)
{
	struct spool_item it;

	(void)state;
	kit_place(&kit, SPOOL_CUR, KIT_NAME);
	before_flock = move_away;
	assert_int_equal(spool_lock(kit.sp, SPOOL_CUR, KIT_NAME, &it, &kit.e), RC_GONE);
	assert_int_equal(it.fd, -1);
	assert_int_equal(unlinkat(spool_dir(kit.sp), kit_file(SPOOL_HELD, KIT_NAME), 0), 0);
	kit_place(&kit, SPOOL_CUR, KIT_NAME);
	before_flock = move_away_and_another_comes;
	assert_int_equal(spool_lock(kit.sp, SPOOL_CUR, KIT_NAME, &it, &kit.e), RC_GONE);
	assert_int_equal(it.fd, -1);
	lock(SPOOL_HELD, &it); /* and nothing is locked any more */
	spool_unlock(&it);
}

static void
test_lock_no_file(void **state)
{
	struct spool_item it;

	(void)state;
	assert_int_equal(mkfifoat(spool_dir(kit.sp), kit_file(SPOOL_CUR, KIT_NAME), 0600), 0);
	assert_int_equal(spool_lock(kit.sp, SPOOL_CUR, KIT_NAME, &it, &kit.e), RC_CONFIG);
	assert_int_equal(it.fd, -1);
	assert_int_equal(unlinkat(spool_dir(kit.sp), kit_file(SPOOL_CUR, KIT_NAME), 0), 0);
	kit_place(&kit, SPOOL_DONE, KIT_NAME);
	assert_int_equal(symlinkat("../done/cur/" KIT_NAME ":2,S", spool_dir(kit.sp),
			     kit_file(SPOOL_CUR, KIT_NAME)),
	    0);
	assert_int_equal(spool_lock(kit.sp, SPOOL_CUR, KIT_NAME, &it, &kit.e), RC_CONFIG);
}

/* ---- read ---- */

static void
test_read(void **state)
{
	struct buf b = BUF_INIT(4096), h = BUF_INIT(REC_HEAD_MAX);
	struct spool_item it;
	struct rec r;

	(void)state;
	kit_place(&kit, SPOOL_CUR, KIT_NAME);
	lock(SPOOL_CUR, &it);
	for (int again = 0; again < 2; again++) {
		buf_clear(&b);
		buf_clear(&h);
		assert_int_equal(spool_read_head(&it, &h, &r, &kit.e), RC_OK);
		assert_null(r.body);
		assert_int_equal(r.body_len, strlen(KIT_BODY));
		assert_int_equal(spool_read(&it, &b, &r, &kit.e), RC_OK);
		assert_string_equal(r.name, KIT_NAME);
		assert_memory_equal(r.body, KIT_BODY, r.body_len);
	}
	buf_free(&b);
	b = BUF_INIT(h.n - 1);
	assert_int_equal(spool_read(&it, &b, &r, &kit.e), RC_BAD); /* longer than allowed */
	spool_unlock(&it);
	buf_free(&b);
	buf_free(&h);
}

/* A whole file under another event's name is not that event. */
static void
test_read_wrong_name(void **state)
{
	struct buf b = BUF_INIT(4096);
	struct spool_item it;
	struct rec r;

	(void)state;
	kit_place(&kit, SPOOL_CUR, "acme.n-1.User.Update");
	kit_rename(&kit, "cur/acme.n-1.User.Update:2,", kit_file(SPOOL_CUR, KIT_NAME));
	lock(SPOOL_CUR, &it);
	assert_int_equal(spool_read(&it, &b, &r, &kit.e), RC_BAD);
	assert_non_null(strstr(kit.e.text, "acme.n-1.User.Update"));
	buf_clear(&b);
	spool_unlock(&it);
	buf_free(&b);
}

/* ---- move ---- */

/* Every way from box to box and back, the lock going along. */
static void
test_move(void **state)
{
	struct spool_item it, other;

	(void)state;
	for (int from = SPOOL_NEW; from < SPOOL_BOXES; from++)
		for (int to = SPOOL_NEW; to < SPOOL_BOXES; to++) {
			if (from == to)
				continue;
			kit_place(&kit, (enum spool_box)from, KIT_NAME);
			lock((enum spool_box)from, &it);
			assert_int_equal(
			    spool_move(kit.sp, &it, (enum spool_box)to, &kit.e), RC_OK);
			assert_int_equal(it.box, to);
			kit_check(&kit, (enum spool_box)to, KIT_NAME);
			assert_int_equal(kit_copies(&kit, KIT_NAME), 1);
			assert_int_equal(
			    spool_lock(kit.sp, (enum spool_box)to, KIT_NAME, &other, &kit.e),
			    RC_LATER);
			assert_int_equal(spool_remove(kit.sp, &it, &kit.e), RC_OK);
			spool_unlock(&it);
		}
}

/* "Queued already": nothing is changed, both files stay. */
static void
test_requeue_exists(void **state)
{
	struct spool_item it;

	(void)state;
	kit_place(&kit, SPOOL_FAILED, KIT_NAME);
	kit_place(&kit, SPOOL_NEW, KIT_NAME);
	lock(SPOOL_FAILED, &it);
	assert_int_equal(spool_move(kit.sp, &it, SPOOL_NEW, &kit.e), RC_EXISTS);
	assert_int_equal(it.box, SPOOL_FAILED);
	assert_non_null(strstr(kit.e.text, "queued already"));
	spool_unlock(&it);
	kit_check(&kit, SPOOL_FAILED, KIT_NAME);
	kit_check(&kit, SPOOL_NEW, KIT_NAME);
}

/* The daemon ends an event that is in the later box already: one stays. */
static void
test_move_to_taken_name(void **state)
{
	struct spool_item it;

	(void)state;
	kit_place(&kit, SPOOL_CUR, KIT_NAME);
	kit_place(&kit, SPOOL_DONE, KIT_NAME);
	lock(SPOOL_CUR, &it);
	assert_int_equal(spool_move(kit.sp, &it, SPOOL_DONE, &kit.e), RC_EXISTS);
	spool_unlock(&it);
	kit_check(&kit, SPOOL_DONE, KIT_NAME);
	assert_int_equal(kit_copies(&kit, KIT_NAME), 1);
}

/* An operator's tool (no daemon's lock) renames, and never removes a name. */
static void
test_only_the_daemon_removes(void **state)
{
	struct spool_item it;

	(void)state;
	kit_again(&kit);
	kit_place(&kit, SPOOL_CUR, KIT_NAME);
	kit_place(&kit, SPOOL_HELD, KIT_NAME);
	lock(SPOOL_CUR, &it);
	assert_int_equal(spool_move(kit.sp, &it, SPOOL_HELD, &kit.e), RC_EXISTS);
	assert_int_equal(it.box, SPOOL_CUR);
	assert_true(kit.e.text[0] != '\0');
	spool_unlock(&it);
	kit_check(&kit, SPOOL_CUR, KIT_NAME);
	kit_check(&kit, SPOOL_HELD, KIT_NAME);
}

static void
test_move_gone(void **state)
{
	struct spool_item it;

	(void)state;
	kit_place(&kit, SPOOL_CUR, KIT_NAME);
	lock(SPOOL_CUR, &it);
	kit_rename(&kit, kit_file(SPOOL_CUR, KIT_NAME), kit_file(SPOOL_HELD, KIT_NAME));
	assert_int_equal(spool_move(kit.sp, &it, SPOOL_DONE, &kit.e), RC_GONE);
	spool_unlock(&it);
	kit_check(&kit, SPOOL_HELD, KIT_NAME);
}

static void
test_remove(void **state)
{
	struct spool_item it;

	(void)state;
	kit_place(&kit, SPOOL_DONE, KIT_NAME);
	lock(SPOOL_DONE, &it);
	assert_int_equal(spool_remove(kit.sp, &it, &kit.e), RC_OK);
	assert_int_equal(spool_remove(kit.sp, &it, &kit.e), RC_GONE);
	spool_unlock(&it);
	assert_int_equal(kit_copies(&kit, KIT_NAME), 0);
}

/* ---- the daemon's lock ---- */

static void
test_daemon_lock(void **state)
{
	struct spool *second;
	char text[64], pid[24];

	(void)state;
	assert_int_equal(spool_open(&kit.opt, &second, &kit.e), RC_OK);
	assert_int_equal(spool_lock_daemon(second, &kit.e), RC_LATER);
	(void)snprintf(pid, sizeof(pid), "pid %ld already", (long)getpid());
	assert_non_null(strstr(kit.e.text, pid));
	assert_true(tmpdir_read(spool_dir(kit.sp), "lock", text, sizeof(text)) > 0);
	spool_close(&kit.sp);
	assert_int_equal(spool_lock_daemon(second, &kit.e), RC_OK);
	spool_close(&second);
	assert_int_equal(spool_open(&kit.opt, &kit.sp, &kit.e), RC_OK);
}

/* A shorter pid over a longer one is the shorter one. */
static void
test_daemon_lock_text(void **state)
{
	struct spool *second;

	(void)state;
	spool_close(&kit.sp);
	assert_int_equal(spool_open(&kit.opt, &kit.sp, &kit.e), RC_OK);
	tmpdir_write(spool_dir(kit.sp), "lock", "99999999999999999999\n", 21);
	assert_int_equal(spool_lock_daemon(kit.sp, &kit.e), RC_OK);
	assert_int_equal(spool_open(&kit.opt, &second, &kit.e), RC_OK);
	assert_int_equal(spool_lock_daemon(second, &kit.e), RC_LATER);
	assert_null(strstr(kit.e.text, "9999999999"));
	spool_close(&second);
}

/* On a full disk the daemon has to start: it is the one who makes room. */
static void
test_daemon_lock_full_disk(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit none = {0};

		spool_close(&kit.sp);
		(void)signal(SIGXFSZ, SIG_IGN);
		_exit(setrlimit(RLIMIT_FSIZE, &none) != 0 ||
		      spool_open(&kit.opt, &kit.sp, NULL) != RC_OK ||
		      spool_lock_daemon(kit.sp, &kit.e) != RC_LATER);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0); /* this process has it */
	spool_close(&kit.sp);
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		const struct rlimit none = {0};

		(void)signal(SIGXFSZ, SIG_IGN);
		_exit(setrlimit(RLIMIT_FSIZE, &none) != 0 ||
		      spool_open(&kit.opt, &kit.sp, NULL) != RC_OK ||
		      spool_lock_daemon(kit.sp, NULL) != RC_OK);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(spool_open(&kit.opt, &kit.sp, &kit.e), RC_OK);
}

/* ---- looking through ---- */

struct seen {
	unsigned n, names, foreign, stop;
};

static bool
see(const struct spool_entry *en, void *arg)
{
	struct seen *s = arg;

	s->n++;
	s->names += en->is_name;
	s->foreign += en->foreign;
	if (en->is_name)
		assert_true(str_begins(en->name, "acme."));
	assert_true(en->file[0] != '\0');
	return s->n != s->stop;
}

static void
test_walk(void **state)
{
	struct seen s = {0};
	char name[NAME_SIZE];

	(void)state;
	for (int i = 0; i < 20; i++) {
		(void)snprintf(name, sizeof(name), "acme.n-%d.User.Update", i);
		kit_place(&kit, SPOOL_DONE, name);
	}
	kit_rename(&kit, "done/cur/acme.n-0.User.Update:2,S", "done/cur/acme.n-0.User.Update");
	kit_rename(
	    &kit, "done/cur/acme.n-1.User.Update:2,S", "done/cur/acme.n-1.User.Update:2,RS");
	tmpdir_write(spool_dir(kit.sp), "done/cur/dovecot.index", "", 0);
	tmpdir_write(spool_dir(kit.sp), "done/cur/.hidden", "", 0);
	assert_int_equal(spool_walk(kit.sp, SPOOL_DONE, see, &s, &kit.e), RC_OK);
	assert_int_equal(s.n, 21);
	assert_int_equal(s.names, 20);
	assert_int_equal(s.foreign, 2);
	s = (struct seen){.stop = 5};
	assert_int_equal(spool_walk(kit.sp, SPOOL_DONE, see, &s, &kit.e), RC_OK);
	assert_int_equal(s.n, 5);
	s = (struct seen){0};
	assert_int_equal(spool_walk(kit.sp, SPOOL_HELD, see, &s, &kit.e), RC_OK);
	assert_int_equal(s.n, 0);
}

/* A folder that cannot be read to its end was not looked through. */
static void
test_walk_fails(void **state)
{
	struct seen s = {0};
	unsigned swept;

	(void)state;
	kit_place(&kit, SPOOL_CUR, KIT_NAME);
	fail_readdir = 2;
	assert_int_equal(spool_walk(kit.sp, SPOOL_CUR, see, &s, &kit.e), RC_LATER);
	assert_non_null(strstr(kit.e.text, "readdir"));
	fail_readdir = 2;
	assert_int_equal(spool_sweep(kit.sp, KIT_TIME, &swept, &kit.e), RC_LATER);
	fail_readdir = 2;
	assert_int_equal(spool_recover(kit.sp, KIT_TIME, &kit.e), RC_LATER);
}

static void
test_stat(void **state)
{
	int64_t since, before = clk_wall() - CLK_MINUTE;
	uint64_t size;
	struct stat st;

	(void)state;
	assert_int_equal(
	    spool_stat(kit.sp, SPOOL_HELD, KIT_NAME, &since, &size, &kit.e), RC_GONE);
	kit_place(&kit, SPOOL_HELD, KIT_NAME);
	assert_int_equal(
	    spool_stat(kit.sp, SPOOL_HELD, KIT_NAME, &since, &size, &kit.e), RC_OK);
	assert_in_range(since, before, clk_wall() + CLK_MINUTE);
	assert_int_equal(fstatat(spool_dir(kit.sp), kit_file(SPOOL_HELD, KIT_NAME), &st, 0), 0);
	assert_int_equal(size, st.st_size);
}

/* ---- a start ---- */

/* A name in two boxes, all pairs: the later one stays.  new is left to spool_take. */
static void
test_recover_two(void **state)
{
	(void)state;
	for (int a = SPOOL_NEW; a <= SPOOL_DONE; a++)
		for (int b = a + 1; b <= SPOOL_DONE; b++) {
			kit_place(&kit, (enum spool_box)a, KIT_NAME);
			kit_place(&kit, (enum spool_box)b, KIT_NAME);
			assert_int_equal(spool_recover(kit.sp, clk_wall(), &kit.e), RC_OK);
			if (a == SPOOL_NEW) {
				assert_int_equal(kit_copies(&kit, KIT_NAME), 2);
				assert_int_equal(
				    spool_take(kit.sp, KIT_NAME, &kit.e), RC_EXISTS);
			}
			kit_check(&kit, (enum spool_box)b, KIT_NAME);
			assert_int_equal(kit_copies(&kit, KIT_NAME), 1);
			assert_int_equal(unlinkat(spool_dir(kit.sp),
					     kit_file((enum spool_box)b, KIT_NAME), 0),
			    0);
		}
}

static void
test_recover_all(void **state)
{
	(void)state;
	for (int box = SPOOL_CUR; box <= SPOOL_DONE; box++)
		kit_place(&kit, (enum spool_box)box, KIT_NAME);
	assert_int_equal(spool_recover(kit.sp, clk_wall(), &kit.e), RC_OK);
	assert_int_equal(kit_copies(&kit, KIT_NAME), 1);
	kit_check(&kit, SPOOL_DONE, KIT_NAME);
	assert_true(logged >= 3);
	/* Nothing to do is nothing done. */
	logged = 0;
	assert_int_equal(spool_recover(kit.sp, clk_wall(), &kit.e), RC_OK);
	assert_int_equal(logged, 0);
	kit_check(&kit, SPOOL_DONE, KIT_NAME);
}

static void
test_recover_flags(void **state)
{
	(void)state;
	kit_place(&kit, SPOOL_DONE, KIT_NAME);
	kit_rename(&kit, kit_file(SPOOL_DONE, KIT_NAME), "done/cur/" KIT_NAME ":2,RST");
	kit_place(&kit, SPOOL_CUR, "acme.n-1.User.Update");
	kit_rename(&kit, "cur/acme.n-1.User.Update:2,", "cur/acme.n-1.User.Update");
	tmpdir_write(spool_dir(kit.sp), "cur/dovecot-uidlist", "x", 1);
	assert_int_equal(spool_recover(kit.sp, clk_wall(), &kit.e), RC_OK);
	kit_check(&kit, SPOOL_DONE, KIT_NAME);
	kit_check(&kit, SPOOL_CUR, "acme.n-1.User.Update");
	assert_int_equal(kit_names(&kit, "done/cur"), 1);
	/* What is no event is neither ours to move nor to remove. */
	assert_int_equal(kit_names(&kit, "cur"), 2);
}

/* Two files of one event in one box: neither is removed, and somebody is told. */
static void
test_recover_second_file(void **state)
{
	(void)state;
	kit_place(&kit, SPOOL_FAILED, KIT_NAME);
	kit_rename(&kit, kit_file(SPOOL_FAILED, KIT_NAME), "failed/cur/" KIT_NAME ":2,FS");
	kit_place(&kit, SPOOL_FAILED, KIT_NAME);
	assert_int_equal(spool_recover(kit.sp, clk_wall(), &kit.e), RC_OK);
	assert_int_equal(kit_names(&kit, "failed/cur"), 2);
	kit_check(&kit, SPOOL_FAILED, KIT_NAME);
	assert_int_equal(logged, 1);
}

#define SWEPT 5

static void
test_sweep(void **state)
{
	static const char *const swept_files[] = {"tmp/" KIT_NAME ".0123456789abcdef", "tmp/.x",
	    "rejected/tmp/y", "retry/.acme.1.x.y.0f", "keys/.acme.json.0f"};
	int64_t now;
	unsigned n;

	(void)state;
	for (size_t i = 0; i < SWEPT; i++)
		tmpdir_write(spool_dir(kit.sp), swept_files[i], "torn", 4);
	tmpdir_write(spool_dir(kit.sp), "retry/" KIT_NAME, "", 0);
	tmpdir_write(spool_dir(kit.sp), "keys/acme.json", "", 0);
	kit_place(&kit, SPOOL_NEW, KIT_NAME);
	kit_place(&kit, SPOOL_REJECTED, KIT_NAME);
	assert_int_equal(mkdirat(spool_dir(kit.sp), "tmp/folder", 0700), 0);
	now = clk_wall();
	assert_int_equal(spool_sweep(kit.sp, now, &n, &kit.e), RC_OK);
	assert_int_equal(n, 0);
	assert_int_equal(
	    spool_sweep(kit.sp, now + SPOOL_STALE - CLK_MINUTE, &n, &kit.e), RC_OK);
	assert_int_equal(n, 0);
	assert_int_equal(
	    spool_sweep(kit.sp, now + SPOOL_STALE + CLK_MINUTE, &n, &kit.e), RC_OK);
	assert_int_equal(n, SWEPT);
	for (size_t i = 0; i < SWEPT; i++)
		assert_int_equal(
		    faccessat(spool_dir(kit.sp), swept_files[i], F_OK, AT_SYMLINK_NOFOLLOW),
		    -1);
	kit_check(&kit, SPOOL_NEW, KIT_NAME);
	kit_check(&kit, SPOOL_REJECTED, KIT_NAME);
	assert_int_equal(kit_names(&kit, "retry"), 1);
	assert_int_equal(kit_names(&kit, "keys"), 1);
}

/* A writer whose file was swept does not say that it is there. */
static void
test_recover_sweeps(void **state)
{
	(void)state;
	tmpdir_write(spool_dir(kit.sp), "tmp/x", "torn", 4);
	assert_int_equal(spool_recover(kit.sp, clk_wall() + 2 * SPOOL_STALE, &kit.e), RC_OK);
	assert_int_equal(kit_names(&kit, "tmp"), 0);
}

/* The name stays; what it held does not, and nothing but what is done is taken. */
static void
test_erase(void **state)
{
	struct rec r = kit_rec(KIT_NAME, "");
	struct buf b = BUF_INIT(REC_HEAD_MAX);
	struct spool_item it;

	(void)state;
	r.erased = KIT_TIME;
	kit_place(&kit, SPOOL_HELD, KIT_NAME);
	assert_int_equal(spool_lock(kit.sp, SPOOL_HELD, KIT_NAME, &it, &kit.e), RC_OK);
	assert_int_equal(spool_erase(kit.sp, &it, &r, &kit.e), RC_BAD);
	assert_int_equal(spool_move(kit.sp, &it, SPOOL_DONE, &kit.e), RC_OK);
	assert_int_equal(spool_erase(kit.sp, &it, &r, &kit.e), RC_OK);
	spool_unlock(&it);
	assert_int_equal(kit_copies(&kit, KIT_NAME), 1);
	assert_int_equal(kit_names(&kit, "done/tmp"), 0);
	assert_int_equal(spool_peek(kit.sp, SPOOL_DONE, KIT_NAME, &it, &kit.e), RC_OK);
	assert_int_equal(spool_read(&it, &b, &r, &kit.e), RC_OK);
	assert_int_equal(r.erased, KIT_TIME);
	assert_int_equal(r.body_len, 0);
	spool_unlock(&it);
	buf_free(&b);
	assert_true(spool_is_daemon(kit.sp));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_take),
	    TEST(test_take_repeat),
	    TEST(test_lock),
	    TEST(test_lock_processes),
	    TEST(test_lock_moved),
	    TEST(test_lock_no_file),
	    TEST(test_read),
	    TEST(test_read_wrong_name),
	    TEST(test_move),
	    TEST(test_requeue_exists),
	    TEST(test_move_to_taken_name),
	    TEST(test_only_the_daemon_removes),
	    TEST(test_move_gone),
	    TEST(test_remove),
	    TEST(test_erase),
	    TEST(test_daemon_lock),
	    TEST(test_daemon_lock_text),
	    TEST(test_daemon_lock_full_disk),
	    TEST(test_walk),
	    TEST(test_walk_fails),
	    TEST(test_stat),
	    TEST(test_recover_two),
	    TEST(test_recover_all),
	    TEST(test_recover_flags),
	    TEST(test_recover_second_file),
	    TEST(test_sweep),
	    TEST(test_recover_sweeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
