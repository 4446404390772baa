/*
 * SPDX-License-Identifier: ISC
 *
 * t_two_users - tests of spool: daemon and receiver are different users of one group.
 *
 * The receiver adds and confirms, and cannot move, remove or lock; an outsider
 * sees nothing.  Needs root, to become these users; else every test is skipped.
 */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "evlog.h"
#include "keyfile.h"
#include "log.h"
#include "retry.h"
#include "spoolkit.h"

#define DAEMON 64011
#define RECEIVER 64012
#define OUTSIDER 64013
#define GROUP 64010

/* In a child: say what is wrong, and end it. */
#define CHECK(what)                                                                            \
	do {                                                                                   \
		if (!(what)) {                                                                 \
			(void)fprintf(stderr, "# %s:%d: %s is not so (%s, %s)\n", __FILE__,    \
			    __LINE__, #what, strerror(errno), kit.e.text);                     \
			_exit(1);                                                              \
		}                                                                              \
	} while (0)

/* The call fails, and because of its rights. */
#define DENIED(call) CHECK((errno = 0, (call) < 0) && (errno == EACCES || errno == EPERM))

static struct kit kit;
static enum count lack;

/* Run fn as this user; the test fails if it finds something wrong. */
static void
as(uid_t user, gid_t group, void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		CHECK(setgroups(0, NULL) == 0);
		CHECK(setresgid(group, group, group) == 0);
		CHECK(setresuid(user, user, user) == 0);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
open_spool(void)
{
	CHECK(spool_open(&kit.opt, &kit.sp, &kit.e) == RC_OK);
}

static void
daemon_makes(void)
{
	CHECK(spool_make(&kit.opt, &kit.e) == RC_OK);
}

static int
set_up(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return 0;
	kit_start(&kit);
	kit.opt.group = GROUP;
	assert_int_equal(chown(kit.dir, DAEMON, GROUP), 0);
	assert_int_equal(chmod(kit.dir, 0755), 0);
	as(DAEMON, GROUP, daemon_makes);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	if (geteuid() == 0)
		kit_end(&kit);
	return 0;
}

static void
need_root(void)
{
	if (geteuid() == 0)
		return;
	print_message("# not root: two users cannot be tried, SKIPPED\n");
	skip();
}

/* ---- what each may do ---- */

static void
receiver_puts(void)
{
	struct rec r = {.received = KIT_TIME,
	    .name = "acme.a.Rejected.Json",
	    .account = "acme",
	    .body = "x",
	    .body_len = 1};
	int fd;

	open_spool();
	CHECK(spool_room(kit.sp, SPOOL_NEW, 0, &lack, &kit.e) == RC_OK);
	CHECK(kit_put(&kit, KIT_NAME) == RC_OK);
	CHECK(kit_put(&kit, KIT_NAME) == RC_EXISTS);
	CHECK(spool_put(kit.sp, SPOOL_REJECTED, &r, &kit.e) == RC_OK);
	CHECK(spool_put(kit.sp, SPOOL_REJECTED, &r, &kit.e) == RC_EXISTS);
	CHECK(evlog_put(spool_log_dir(kit.sp), KIT_TIME, "accepted", KIT_NAME, &kit.e,
		  LOG_END) == RC_OK);
	CHECK(io_create(spool_ask_dir(kit.sp), "keys", 0660, &fd, &kit.e) == RC_OK);
	count_add(spool_counts(kit.sp), COUNT_ACCEPTED, 1);
}

static void
receiver_finds_it(void)
{
	open_spool();
	CHECK(kit_put(&kit, KIT_NAME) == RC_EXISTS);
}

/* One box on for each call. */
static enum spool_box where;

static void
daemon_takes(void)
{
	struct buf b = BUF_INIT(4096);
	struct spool_item it;
	struct rec r;
	struct stat st;

	open_spool();
	CHECK(spool_lock_daemon(kit.sp, &kit.e) == RC_OK);
	CHECK(spool_recover(kit.sp, clk_wall(), &kit.e) == RC_OK);
	CHECK(spool_take(kit.sp, KIT_NAME, &kit.e) == RC_OK);
	CHECK(spool_sync(kit.sp, SPOOL_CUR, &kit.e) == RC_OK);
	CHECK(spool_lock(kit.sp, SPOOL_CUR, KIT_NAME, &it, &kit.e) == RC_OK);
	CHECK(spool_read(&it, &b, &r, &kit.e) == RC_OK);
	CHECK(fstat(it.fd, &st) == 0 && st.st_uid == RECEIVER && st.st_gid == GROUP);
	/* It is the receiver's file: read and renamed, and no more. */
	DENIED(openat(spool_dir(kit.sp), kit_file(SPOOL_CUR, KIT_NAME), O_WRONLY));
	DENIED(fchmod(it.fd, 0600));
	CHECK(count_get(spool_counts(kit.sp), COUNT_ACCEPTED) == 1);
	CHECK(evlog_put(spool_log_dir(kit.sp), KIT_TIME, "taken", KIT_NAME, &kit.e, LOG_END) ==
	      RC_OK);
	CHECK(io_unlink(spool_ask_dir(kit.sp), "keys", &kit.e) == RC_OK);
	buf_free(&b);
}

static void
daemon_moves(void)
{
	struct spool_item it;

	open_spool();
	CHECK(spool_lock(kit.sp, where, KIT_NAME, &it, &kit.e) == RC_OK);
	CHECK(spool_move(kit.sp, &it, where + 1, &kit.e) == RC_OK);
}

static void
daemon_removes(void)
{
	struct spool_item it;

	open_spool();
	CHECK(spool_lock(kit.sp, SPOOL_DONE, KIT_NAME, &it, &kit.e) == RC_OK);
	CHECK(spool_remove(kit.sp, &it, &kit.e) == RC_OK);
	CHECK(kit_copies(&kit, KIT_NAME) == 0);
}

static void
test_life(void **state)
{
	(void)state;
	need_root();
	as(RECEIVER, GROUP, receiver_puts);
	as(DAEMON, GROUP, daemon_takes);
	as(RECEIVER, GROUP, receiver_finds_it);
	for (where = SPOOL_CUR; where < SPOOL_DONE; where++) {
		as(DAEMON, GROUP, daemon_moves);
		as(RECEIVER, GROUP, receiver_finds_it);
	}
	as(DAEMON, GROUP, daemon_removes);
}

/* ---- what the receiver may not do ---- */

static void
daemon_fills(void)
{
	const struct retry r = {.tries = 1};
	const struct keyfile keys = {.issuer = "https://id.example.com", .tried = 1};
	const char *name = "acme.n-1.User.Update";

	open_spool();
	for (int box = SPOOL_CUR; box <= SPOOL_DONE; box++)
		kit_place(&kit, (enum spool_box)box, name);
	CHECK(retry_write(spool_retry_dir(kit.sp), name, &r, &kit.e) == RC_OK);
	CHECK(keyfile_write(spool_keys_dir(kit.sp), "acme", &keys, &kit.e) == RC_OK);
}

static void
receiver_tries(void)
{
	static const char *const closed[] = {".", "cur", "done", "done/cur", "done/new",
	    "done/tmp", "failed", "failed/cur", "held", "held/cur", "rejected", "rejected/cur",
	    "retry", "keys"};
	const char *name = "acme.n-1.User.Update";
	struct keyfile keys;
	struct retry note;
	int root;

	open_spool();
	root = spool_dir(kit.sp);
	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "%s/x", closed[i]);
		DENIED(openat(root, path, O_WRONLY | O_CREAT | O_EXCL, 0600));
		DENIED(mkdirat(root, path, 0700));
		DENIED(symlinkat("y", root, path));
		DENIED(fchmodat(root, closed[i], 0777, 0));
		DENIED(fchownat(root, closed[i], RECEIVER, (gid_t)-1, 0));
	}
	for (int box = SPOOL_CUR; box <= SPOOL_DONE; box++) {
		const char *file = kit_file((enum spool_box)box, name);

		DENIED(unlinkat(root, file, 0));
		DENIED(renameat(root, file, root, "new/acme.n-1.User.Update"));
		DENIED(renameat(root, file, root, "tmp/x"));
		DENIED(openat(root, file, O_WRONLY));
	}
	DENIED(unlinkat(root, "retry/acme.n-1.User.Update", 0));
	DENIED(unlinkat(root, "counters", 0));
	DENIED(unlinkat(root, "lock", 0));
	/* Whoever can open the lock, even for reading, can keep the daemon out. */
	DENIED(openat(root, "lock", O_WRONLY));
	DENIED(openat(root, "lock", O_RDONLY));
	CHECK(retry_read(spool_retry_dir(kit.sp), name, &note, &kit.e) == RC_OK);
	DENIED(openat(root, "retry/acme.n-1.User.Update", O_WRONLY));
	CHECK(keyfile_read(spool_keys_dir(kit.sp), "acme", &keys, &kit.e) == RC_OK);
	CHECK(keyfile_write(spool_keys_dir(kit.sp), "acme", &keys, NULL) == RC_DENIED);
	DENIED(openat(root, "keys/acme.json", O_WRONLY));
	DENIED(unlinkat(root, "keys/acme.json", 0));
}

/* The same through our own functions. */
static void
receiver_is_no_daemon(void)
{
	struct spool_item it;

	open_spool();
	CHECK(kit_put(&kit, KIT_NAME) == RC_OK);
	CHECK(spool_lock_daemon(kit.sp, &kit.e) == RC_DENIED);
	CHECK(spool_take(kit.sp, KIT_NAME, &kit.e) == RC_DENIED);
	CHECK(spool_lock(kit.sp, SPOOL_NEW, KIT_NAME, &it, &kit.e) == RC_OK);
	for (int to = SPOOL_CUR; to <= SPOOL_DONE; to++)
		CHECK(spool_move(kit.sp, &it, (enum spool_box)to, &kit.e) == RC_DENIED);
	spool_unlock(&it);
	CHECK(kit_copies(&kit, KIT_NAME) == 1);
	CHECK(spool_make(&kit.opt, &kit.e) == RC_CONFIG);
}

static void
test_receiver(void **state)
{
	(void)state;
	need_root();
	as(DAEMON, GROUP, daemon_fills);
	as(RECEIVER, GROUP, receiver_tries);
	as(RECEIVER, GROUP, receiver_is_no_daemon);
}

/* ---- the outsider ---- */

static void
outsider_tries(void)
{
	char path[2 * TMPDIR_SIZE];
	struct spool *sp;
	struct stat st;

	DENIED(open(kit.path, O_RDONLY | O_DIRECTORY));
	DENIED(chdir(kit.path));
	(void)snprintf(path, sizeof(path), "%s/new", kit.path);
	DENIED(open(path, O_RDONLY | O_DIRECTORY));
	(void)snprintf(path, sizeof(path), "%s/new/%s", kit.path, KIT_NAME);
	DENIED(stat(path, &st));
	(void)snprintf(path, sizeof(path), "%s/counters", kit.path);
	DENIED(open(path, O_RDONLY));
	CHECK(spool_open(&kit.opt, &sp, &kit.e) == RC_DENIED);
	CHECK(sp == NULL);
	CHECK(spool_make(&kit.opt, &kit.e) == RC_DENIED);
}

static void
test_outsider(void **state)
{
	(void)state;
	need_root();
	as(RECEIVER, GROUP, receiver_puts);
	as(OUTSIDER, OUTSIDER, outsider_tries);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_life),
	    TEST(test_receiver),
	    TEST(test_outsider),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
