/*
 * SPDX-License-Identifier: ISC
 *
 * t_spool_make - tests of spool: what a spool has to look like, and what is refused.
 *
 * Linked with: -Wl,--wrap=fsync
 */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "log.h"
#include "mounts.h"
#include "spoolkit.h"

#define TMPFS 0x01021994

static const struct {
	const char *name;
	mode_t mode;
} folders[] = {{".", 02750}, {"tmp", 02770}, {"new", 02770}, {"cur", 02750}, {"done", 02750},
    {"done/tmp", 02750}, {"done/new", 02750}, {"done/cur", 02750}, {"failed", 02750},
    {"failed/tmp", 02750}, {"failed/new", 02750}, {"failed/cur", 02750}, {"held", 02750},
    {"held/tmp", 02750}, {"held/new", 02750}, {"held/cur", 02750}, {"rejected", 02750},
    {"rejected/tmp", 02770}, {"rejected/new", 02770}, {"rejected/cur", 02750}, {"retry", 02750},
    {"log", 02770}, {"ask", 02770}, {"keys", 02750}};

#define FOLDERS (sizeof(folders) / sizeof(folders[0]))

int __wrap_fsync(int fd);

static ino_t synced[200];
static size_t syncs;
static int fail_sync; /* errno of the next one */

int
__wrap_fsync(int fd)
{
	struct stat st;

	assert_true(syncs < sizeof(synced) / sizeof(synced[0]));
	assert_int_equal(fstat(fd, &st), 0);
	synced[syncs++] = st.st_ino;
	if (fail_sync != 0) {
		errno = fail_sync;
		fail_sync = 0;
		return -1;
	}
	return 0;
}

static bool
was_synced(ino_t ino)
{
	for (size_t i = 0; i < syncs; i++)
		if (synced[i] == ino)
			return true;
	return false;
}

static struct kit kit;

static void
drop_line(const char *line, size_t n)
{
	(void)line;
	(void)n;
}

static int
set_up(void **state)
{
	(void)state;
	log_capture(drop_line);
	kit_start(&kit);
	syncs = 0;
	fail_sync = 0;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	kit_end(&kit);
	return 0;
}

static const char *
in_spool(const char *name)
{
	static char path[2 * TMPDIR_SIZE];

	(void)snprintf(path, sizeof(path), "%s/%s", kit.path, name);
	return path;
}

/* spool_open refuses, and says about what. */
static void
assert_refused(const char *what)
{
	struct spool *sp;
	enum rc rc = spool_open(&kit.opt, &sp, &kit.e);

	assert_null(sp);
	if (rc != RC_CONFIG || strstr(kit.e.text, what) == NULL)
		fail_msg("%s: %s: %s", what, err_name(rc), kit.e.text);
	assert_non_null(strstr(kit.e.text, kit.path));
}

static void
test_make(void **state)
{
	mode_t old = umask(077); /* nothing is left to it */
	struct stat st;

	(void)state;
	kit_open(&kit);
	(void)umask(old);
	for (size_t i = 0; i < FOLDERS; i++) {
		assert_int_equal(stat(in_spool(folders[i].name), &st), 0);
		assert_int_equal(st.st_mode, S_IFDIR | folders[i].mode);
		assert_int_equal(st.st_uid, geteuid());
		assert_int_equal(st.st_gid, kit.opt.group);
		assert_true(was_synced(st.st_ino));
	}
	/* The name of the spool itself has to be durable too. */
	assert_int_equal(stat(kit.dir, &st), 0);
	assert_true(was_synced(st.st_ino));
	assert_int_equal(stat(in_spool("lock"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600); /* who may open it may lock it */
	assert_int_equal(stat(in_spool("counters"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0660);
	assert_int_equal(kit_names(&kit, "."), 13);
	assert_string_equal(spool_path(kit.sp), kit.path);
}

static void
test_make_again(void **state)
{
	(void)state;
	kit_open(&kit);
	kit_place(&kit, SPOOL_CUR, KIT_NAME);
	count_add(spool_counts(kit.sp), COUNT_ACCEPTED, 3);
	assert_int_equal(spool_make(&kit.opt, &kit.e), RC_OK);
	kit_again(&kit);
	assert_int_equal(count_get(spool_counts(kit.sp), COUNT_ACCEPTED), 3);
	kit_check(&kit, SPOOL_CUR, KIT_NAME);
}

/* One folder after the other is taken away and made again, or missed. */
static void
test_missing(void **state)
{
	struct stat st;

	(void)state;
	kit_open(&kit);
	spool_close(&kit.sp);
	for (size_t i = 1; i < FOLDERS; i++) {
		if (rmdir(in_spool(folders[i].name)) != 0)
			continue; /* others are in it: they get their turn */
		assert_refused(folders[i].name);
		syncs = 0;
		assert_int_equal(spool_make(&kit.opt, &kit.e), RC_OK);
		assert_int_equal(stat(in_spool(folders[i].name), &st), 0);
		assert_int_equal(st.st_mode & 07777, folders[i].mode);
		assert_int_equal(spool_open(&kit.opt, &kit.sp, &kit.e), RC_OK);
		spool_close(&kit.sp);
	}
	assert_int_equal(unlink(in_spool("counters")), 0);
	assert_refused("counters is missing");
}

static void
test_nothing_there(void **state)
{
	(void)state;
	assert_refused("start spoold once");
}

static void
test_mode(void **state)
{
	static const mode_t wrong[] = {0750, 02755, 02777, 02700, 03770, 00};

	(void)state;
	kit_open(&kit);
	spool_close(&kit.sp);
	for (size_t i = 0; i < FOLDERS; i++)
		for (size_t k = 0; k < sizeof(wrong) / sizeof(wrong[0]); k++) {
			if (wrong[k] == 0 && geteuid() != 0)
				continue;
			assert_int_equal(chmod(in_spool(folders[i].name), wrong[k]), 0);
			assert_refused("has mode");
			assert_int_equal(chmod(in_spool(folders[i].name), folders[i].mode), 0);
		}
	/* spool_make looks as well, and mends nothing that somebody changed. */
	assert_int_equal(chmod(in_spool("new"), 02777), 0);
	assert_int_equal(spool_make(&kit.opt, &kit.e), RC_CONFIG);
	assert_refused("new has mode 2777, expected 2770");
}

/*
 * A start may be killed between making a folder and giving it its mode: the
 * next one goes on (a folder as mkdir leaves it, of our own user).
 */
static void
test_half_made(void **state)
{
	struct stat st;

	(void)state;
	kit_open(&kit);
	spool_close(&kit.sp);
	for (size_t i = 0; i < FOLDERS; i++)
		for (int bits = 0; bits < 2; bits++) {
			assert_int_equal(
			    chmod(in_spool(folders[i].name), bits == 0 ? 0700 : 02700), 0);
			syncs = 0;
			if (spool_make(&kit.opt, &kit.e) != RC_OK)
				fail_msg("%s", kit.e.text);
			assert_int_equal(stat(in_spool(folders[i].name), &st), 0);
			assert_int_equal(st.st_mode & 07777, folders[i].mode);
		}
}

static void
test_owner(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("# only root may give a folder away: skipped\n");
		skip();
	}
	kit_open(&kit);
	spool_close(&kit.sp);
	for (size_t i = 1; i < FOLDERS; i++) {
		assert_int_equal(chown(in_spool(folders[i].name), 64011, (gid_t)-1), 0);
		assert_int_equal(chmod(in_spool(folders[i].name), folders[i].mode), 0);
		assert_refused("belongs to 64011:");
		assert_int_equal(chown(in_spool(folders[i].name), 0, 64010), 0);
		assert_int_equal(chmod(in_spool(folders[i].name), folders[i].mode), 0);
		assert_refused(":64010, expected ");
		assert_int_equal(chown(in_spool(folders[i].name), 0, kit.opt.group), 0);
		assert_int_equal(chmod(in_spool(folders[i].name), folders[i].mode), 0);
	}
	/* A spool of another user is not made ours, half made or not. */
	assert_int_equal(chown(kit.path, 64011, (gid_t)-1), 0);
	assert_int_equal(chmod(kit.path, 02750), 0);
	assert_int_equal(spool_make(&kit.opt, &kit.e), RC_CONFIG);
	assert_int_equal(chmod(kit.path, 0700), 0);
	assert_int_equal(spool_make(&kit.opt, &kit.e), RC_CONFIG);
	assert_int_equal(chown(kit.path, 0, 64010), 0);
	assert_int_equal(chmod(kit.path, 02750), 0);
	assert_int_equal(spool_make(&kit.opt, &kit.e), RC_CONFIG);
	assert_non_null(strstr(kit.e.text, "group 64010"));
}

static void
test_link(void **state)
{
	char away[2 * TMPDIR_SIZE];

	(void)state;
	kit_open(&kit);
	spool_close(&kit.sp);
	(void)snprintf(away, sizeof(away), "%s/away", kit.dir);
	for (size_t i = 1; i < FOLDERS; i++) {
		assert_int_equal(rename(in_spool(folders[i].name), away), 0);
		assert_int_equal(symlink(away, in_spool(folders[i].name)), 0);
		assert_refused(folders[i].name);
		assert_int_equal(spool_make(&kit.opt, &kit.e), RC_CONFIG);
		assert_int_equal(unlink(in_spool(folders[i].name)), 0);
		/* A file in its place. */
		assert_int_equal(mkfifo(in_spool(folders[i].name), 0600), 0);
		assert_refused(folders[i].name);
		assert_int_equal(unlink(in_spool(folders[i].name)), 0);
		assert_int_equal(rename(away, in_spool(folders[i].name)), 0);
	}
	assert_int_equal(rename(kit.path, away), 0);
	assert_int_equal(symlink(away, kit.path), 0);
	assert_refused("failed");
	assert_int_equal(spool_make(&kit.opt, &kit.e), RC_CONFIG);
}

static void
test_memory_fs(void **state)
{
	static const char *const allow[] = {
	    NULL, "", "xtmpfs", "tmpfsx", "ext4,nfs", "tmpfs", "nfs, tmpfs", "nfs tmpfs xfs"};
	struct kit k;
	struct statfs fs;

	(void)state;
	if (statfs("/dev/shm", &fs) != 0 || fs.f_type != TMPFS) {
		print_message("# /dev/shm is no tmpfs here: skipped\n");
		skip();
	}
	kit_start(&k);
	tmpdir_remove(k.dir);
	tmpdir_make_below("/dev/shm", k.dir);
	(void)snprintf(k.path, sizeof(k.path), "%s/spool", k.dir);
	for (size_t i = 0; i < sizeof(allow) / sizeof(allow[0]); i++) {
		k.opt.allow_fs = allow[i];
		assert_int_equal(spool_make(&k.opt, &k.e), i < 5 ? RC_CONFIG : RC_OK);
		if (i < 5)
			assert_non_null(strstr(k.e.text, "tmpfs, a memory file system"));
	}
	kit_open(&k);
	assert_int_equal(kit_put(&k, KIT_NAME), RC_OK);
	k.opt.allow_fs = NULL;
	spool_close(&k.sp);
	assert_int_equal(spool_open(&k.opt, &k.sp, &k.e), RC_CONFIG);
	kit_end(&k);
}

/* A folder on another file system: a rename into it would not be a rename. */
static void
test_other_device(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	kit_open(&kit);
	spool_close(&kit.sp);
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		if (!mounts_private())
			_exit(77);
		if (mount("none", in_spool("cur"), "tmpfs", 0, NULL) != 0 ||
		    chown(in_spool("cur"), geteuid(), kit.opt.group) != 0 ||
		    chmod(in_spool("cur"), 02750) != 0)
			_exit(2);
		_exit(spool_open(&kit.opt, &kit.sp, &kit.e) != RC_CONFIG ||
		      strstr(kit.e.text, "cur is on another file system") == NULL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("# no mounts of its own are to be had: skipped\n");
		skip();
	}
	assert_int_equal(status, 0);
}

/* A sync that fails while the spool is made: it is not said to be made. */
static void
test_sync_fails(void **state)
{
	(void)state;
	fail_sync = EIO;
	assert_int_equal(spool_make(&kit.opt, &kit.e), RC_LATER);
	assert_int_equal(spool_make(&kit.opt, &kit.e), RC_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_make),
	    TEST(test_make_again),
	    TEST(test_missing),
	    TEST(test_nothing_there),
	    TEST(test_mode),
	    TEST(test_half_made),
	    TEST(test_owner),
	    TEST(test_link),
	    TEST(test_memory_fs),
	    TEST(test_other_device),
	    TEST(test_sync_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
