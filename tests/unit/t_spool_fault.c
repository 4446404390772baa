/*
 * SPDX-License-Identifier: ISC
 *
 * t_spool_fault - tests of spool: every system call of every step fails once, in every way.
 *
 * RC_OK is only said of what is complete and synced; nothing is lost; nothing
 * is tried again after a failed sync; no temporary file and no descriptor stays behind.
 *
 * Linked with: -Wl,--wrap=openat,--wrap=openat64,--wrap=write,--wrap=fchmod,--wrap=fdatasync
 * Linked with: -Wl,--wrap=fsync,--wrap=close,--wrap=renameat2,--wrap=unlinkat
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "log.h"
#include "spoolkit.h"

enum call { OPENAT, WRITE, FCHMOD, FDATASYNC, FSYNC, CLOSE, RENAMEAT2, UNLINKAT, CALLS };

static const char *const call_name[CALLS] = {
    "openat", "write", "fchmod", "fdatasync", "fsync", "close", "renameat2", "unlinkat"};

enum how { BEFORE, AFTER }; /* the failing call did nothing, or what it was asked for */

static struct {
	bool armed;
	enum call call;
	unsigned nth; /* of this call, from 1 */
	int sys;
	enum how how;
	void (*hook)(void); /* called instead of failing */
	unsigned hits[CALLS];
	unsigned syncs_after; /* of file or folder, after the failing call */
	bool fired;
	bool no_unlink; /* no name can be removed */
} plan;

/* Is it this call's turn to fail? */
static bool
turn(enum call call)
{
	if (!plan.armed)
		return false;
	plan.hits[call]++;
	if (plan.fired && (call == FSYNC || call == FDATASYNC))
		plan.syncs_after++;
	if (plan.no_unlink && call == UNLINKAT)
		return true;
	if (call != plan.call || plan.hits[call] != plan.nth)
		return false;
	plan.fired = true;
	if (plan.hook != NULL) {
		plan.armed = false;
		plan.hook();
		plan.armed = true;
		return false;
	}
	return true;
}

/* The result of a call whose turn it is: real is what it does. */
#define FAIL(real)                                                                             \
	do {                                                                                   \
		if (plan.how == AFTER)                                                         \
			(void)!(real);                                                         \
		errno = plan.sys;                                                              \
		return -1;                                                                     \
	} while (0)

int __real_openat(int dir, const char *name, int flags, ...);
int __wrap_openat(int dir, const char *name, int flags, ...);
int __wrap_openat64(int dir, const char *name, int flags, ...);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
int __real_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_renameat2(int from, const char *old, int to, const char *new, unsigned flags);
int __wrap_renameat2(int from, const char *old, int to, const char *new, unsigned flags);
int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_unlinkat(int dir, const char *name, int flags);

int
__wrap_openat(int dir, const char *name, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (turn(OPENAT)) {
		errno = plan.sys;
		return -1;
	}
	return __real_openat(dir, name, flags, mode);
}

int
__wrap_openat64(int dir, const char *name, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return __wrap_openat(dir, name, flags, mode);
}

/* A write that "fails after" is cut short: half of it is there, then the failure comes. */
ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	if (turn(WRITE)) {
		if (plan.how == AFTER && n > 1) {
			plan.nth++;
			plan.how = BEFORE;
			return __real_write(fd, p, n / 2);
		}
		errno = plan.sys;
		return -1;
	}
	return __real_write(fd, p, n);
}

int
__wrap_fchmod(int fd, mode_t mode)
{
	if (turn(FCHMOD))
		FAIL(__real_fchmod(fd, mode));
	return __real_fchmod(fd, mode);
}

int
__wrap_fdatasync(int fd)
{
	if (turn(FDATASYNC))
		FAIL(__real_fdatasync(fd));
	return __real_fdatasync(fd);
}

int
__wrap_fsync(int fd)
{
	(void)fd;
	if (turn(FSYNC))
		FAIL(0);
	return 0;
}

/* Linux closes the descriptor, whatever close says. */
int
__wrap_close(int fd)
{
	if (turn(CLOSE)) {
		(void)__real_close(fd);
		errno = plan.sys;
		return -1;
	}
	return __real_close(fd);
}

int
__wrap_renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	if (turn(RENAMEAT2))
		FAIL(__real_renameat2(from, old, to, new, flags));
	return __real_renameat2(from, old, to, new, flags);
}

int
__wrap_unlinkat(int dir, const char *name, int flags)
{
	if (turn(UNLINKAT))
		FAIL(__real_unlinkat(dir, name, flags));
	return __real_unlinkat(dir, name, flags);
}

static void
arm(enum call call, unsigned nth, int sys, enum how how)
{
	memset(&plan, 0, sizeof(plan));
	plan.call = call;
	plan.nth = nth;
	plan.sys = sys;
	plan.how = how;
	plan.armed = true;
}

static void
disarm(void)
{
	plan.armed = false;
}

static struct kit kit;
static unsigned injections;

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
	kit_open(&kit);
	kit.opt.queue_limit = UINT64_MAX;
	kit_again(&kit);
	assert_int_equal(spool_lock_daemon(kit.sp, &kit.e), RC_OK);
	injections = 0;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	disarm();
	kit_end(&kit);
	return 0;
}

static unsigned
open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

/* Everything that can go wrong with one call. */
static const struct {
	enum call call;
	int sys;
	enum how how;
} ways[] = {
    {OPENAT, EMFILE, BEFORE},
    {OPENAT, ENFILE, BEFORE},
    {OPENAT, ENOSPC, BEFORE},
    {OPENAT, EDQUOT, BEFORE},
    {OPENAT, EIO, BEFORE},
    {OPENAT, EACCES, BEFORE},
    {OPENAT, EROFS, BEFORE},
    {OPENAT, EINTR, BEFORE},
    {OPENAT, EEXIST, BEFORE},
    {WRITE, EIO, BEFORE},
    {WRITE, ENOSPC, BEFORE},
    {WRITE, EDQUOT, BEFORE},
    {WRITE, EFBIG, BEFORE},
    {WRITE, EINTR, BEFORE},
    {WRITE, EIO, AFTER},
    {WRITE, ENOSPC, AFTER},
    {WRITE, EINTR, AFTER},
    {FCHMOD, EIO, BEFORE},
    {FCHMOD, EROFS, BEFORE},
    {FDATASYNC, EIO, BEFORE},
    {FDATASYNC, EIO, AFTER},
    {FDATASYNC, ENOSPC, BEFORE},
    {FDATASYNC, EDQUOT, BEFORE},
    {FDATASYNC, EINTR, BEFORE},
    {FSYNC, EIO, BEFORE},
    {FSYNC, ENOSPC, BEFORE},
    {FSYNC, EROFS, BEFORE},
    {FSYNC, EINTR, BEFORE},
    {CLOSE, EIO, BEFORE},
    {CLOSE, ENOSPC, BEFORE},
    {CLOSE, EINTR, BEFORE},
    {RENAMEAT2, EIO, BEFORE},
    {RENAMEAT2, EIO, AFTER},
    {RENAMEAT2, ENOSPC, BEFORE},
    {RENAMEAT2, EXDEV, BEFORE},
    {RENAMEAT2, EROFS, BEFORE},
    {RENAMEAT2, EINTR, BEFORE},
    {RENAMEAT2, ENOENT, BEFORE},
    {UNLINKAT, EIO, BEFORE},
    {UNLINKAT, EROFS, BEFORE},
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))
#define MOST 100 /* calls of one kind in one step */

/* A new name for each try. */
static const char *
fresh(void)
{
	static char name[NAME_SIZE];
	static unsigned n;

	(void)snprintf(name, sizeof(name), "acme.n-%u.User.Update", n++);
	return name;
}

#define SAY "%s %u, errno %d, %s: "
#define SAID call_name[plan.call], plan.nth, plan.sys, plan.how == AFTER ? "after" : "before"

/* While the mark stands nothing is accepted, and nothing is synced in the hope that it works.
 */
static void
check_mark(const char *name)
{
	plan.hits[FSYNC] = plan.hits[FDATASYNC] = 0;
	plan.nth = UINT32_MAX;
	plan.armed = true;
	if (!count_is_broken(spool_counts(kit.sp)))
		fail_msg("a folder sync failed, and no mark stands");
	assert_int_equal(kit_put(&kit, name), RC_LATER);
	assert_int_equal(kit_put(&kit, "acme.n-other.User.Update"), RC_LATER);
	assert_int_equal(plan.hits[FSYNC] + plan.hits[FDATASYNC], 0);
	disarm();
	assert_false(kit_has(&kit, SPOOL_NEW, "acme.n-other.User.Update"));
	count_clear_broken(spool_counts(kit.sp));
}

/* What has to hold after a put with a fault in it. */
static void
check_put(const char *name, enum rc rc)
{
	bool there = kit_has(&kit, SPOOL_NEW, name);
	bool may_stay = plan.call == FSYNC || (plan.call == RENAMEAT2 && plan.how == AFTER);
	bool harmless = plan.sys == EINTR && plan.call == WRITE;

	if (rc == RC_EXISTS || rc == RC_GONE || (rc == RC_OK && !there))
		fail_msg(SAY "said %s", SAID, err_name(rc));
	if (there)
		kit_check(&kit, SPOOL_NEW, name);
	if (rc != RC_OK && there && !may_stay)
		fail_msg(SAY "refused, and in new", SAID);
	if ((rc == RC_OK) != harmless)
		fail_msg(SAY "said %s: %s", SAID, err_name(rc), kit.e.text);
	if (rc != RC_OK && kit.e.text[0] == '\0')
		fail_msg(SAY "no reason", SAID);
	if (kit_names(&kit, "tmp") != 0)
		fail_msg(SAY "left a file in tmp", SAID);
	if ((plan.call == FSYNC || plan.call == FDATASYNC) && plan.syncs_after != 0)
		fail_msg(SAY "synced again after a failed sync", SAID);
	if (plan.call == FSYNC)
		check_mark(name);
	else if (count_is_broken(spool_counts(kit.sp)))
		fail_msg(SAY "set the mark", SAID);
	/* The sender's repeat brings it in. */
	assert_int_equal(kit_put(&kit, name), there ? RC_EXISTS : RC_OK);
	kit_check(&kit, SPOOL_NEW, name);
}

static void
test_put(void **state)
{
	unsigned files = open_files();

	(void)state;
	for (size_t i = 0; i < WAYS; i++)
		for (unsigned nth = 1; nth <= MOST; nth++) {
			const char *name = fresh();
			enum rc rc;

			arm(ways[i].call, nth, ways[i].sys, ways[i].how);
			err_clear(&kit.e);
			rc = kit_put(&kit, name);
			disarm();
			if (!plan.fired) {
				assert_int_equal(rc, RC_OK);
				if (nth == 1 && ways[i].call != UNLINKAT)
					fail_msg("%s is never called", call_name[ways[i].call]);
				break;
			}
			injections++;
			check_put(name, rc);
		}
	assert_int_equal(open_files(), files);
	assert_in_range(injections, WAYS - 2, 5000);
	print_message("# %u faults\n", injections);
}

/* Two faults: the temporary file cannot be removed either.  It stays in tmp until the sweep. */
static void
test_put_unlink_fails(void **state)
{
	const char *name = fresh();
	unsigned swept;

	(void)state;
	arm(FDATASYNC, 1, EIO, BEFORE);
	plan.no_unlink = true;
	assert_int_equal(kit_put(&kit, name), RC_LATER);
	disarm();
	assert_int_equal(plan.hits[UNLINKAT], 1);
	assert_int_equal(kit_names(&kit, "tmp"), 1);
	assert_false(kit_has(&kit, SPOOL_NEW, name));
	assert_int_equal(kit_put(&kit, name), RC_OK);
	assert_int_equal(
	    spool_sweep(kit.sp, clk_wall() + 2 * SPOOL_STALE, &swept, &kit.e), RC_OK);
	assert_int_equal(swept, 1);
	kit_check(&kit, SPOOL_NEW, name);
}

/* ---- a duplicate that appears while we write ---- */

static const char *racing;

static void
other_receiver_is_first(void)
{
	kit_place(&kit, SPOOL_NEW, racing);
}

static void
other_receiver_and_sync_fails(void)
{
	kit_place(&kit, SPOOL_NEW, racing);
	plan.call = FSYNC;
	plan.hits[FSYNC] = 0;
	plan.nth = 1;
	plan.sys = EIO;
	plan.hook = NULL;
}

static void
test_race(void **state)
{
	(void)state;
	racing = fresh();
	arm(RENAMEAT2, 1, 0, BEFORE);
	plan.hook = other_receiver_is_first;
	assert_int_equal(kit_put(&kit, racing), RC_EXISTS);
	assert_int_equal(plan.hits[FSYNC], 1); /* ours, after we saw the name */
	disarm();
	kit_check(&kit, SPOOL_NEW, racing);
	assert_int_equal(kit_names(&kit, "tmp"), 0);

	racing = fresh();
	arm(RENAMEAT2, 1, 0, BEFORE);
	plan.hook = other_receiver_and_sync_fails;
	assert_int_equal(kit_put(&kit, racing), RC_LATER);
	disarm();
	assert_int_equal(kit_names(&kit, "tmp"), 0);
	check_mark(racing);
}

/* The daemon takes the name between our look and our sync: we follow it. */
static void
daemon_takes(void)
{
	kit_rename(&kit, kit_file(SPOOL_NEW, racing), kit_file(SPOOL_CUR, racing));
}

static void
test_duplicate_moves(void **state)
{
	(void)state;
	racing = fresh();
	kit_place(&kit, SPOOL_NEW, racing);
	arm(FSYNC, 1, 0, BEFORE);
	plan.hook = daemon_takes;
	assert_int_equal(kit_put(&kit, racing), RC_EXISTS);
	assert_int_equal(plan.hits[FSYNC], 2);
	disarm();
	assert_non_null(strstr(kit.e.text, "cur"));
}

/* A duplicate is said to be one only after a sync of our own, wherever it is. */
static void
test_duplicate_sync_fails(void **state)
{
	(void)state;
	for (int box = SPOOL_NEW; box <= SPOOL_DONE; box++) {
		const char *name = fresh();

		kit_place(&kit, (enum spool_box)box, name);
		arm(FSYNC, 1, EIO, BEFORE);
		assert_int_equal(kit_put(&kit, name), RC_LATER);
		disarm();
		assert_int_equal(plan.syncs_after, 0);
		check_mark(name);
		assert_int_equal(kit_put(&kit, name), RC_EXISTS);
	}
}

/* ---- the mark of another process ---- */

static void
other_process_marks(void)
{
	struct counts *c;

	assert_int_equal(count_open(spool_dir(kit.sp), &c, &kit.e), RC_OK);
	count_mark_broken(c);
	count_close(&c);
}

/*
 * The kernel may tell a lost write to one process only.  If that one sets the
 * mark while we wait for our sync, our sync says nothing.
 */
static void
test_mark_meanwhile(void **state)
{
	const char *name = fresh();

	(void)state;
	arm(FSYNC, 1, 0, BEFORE);
	plan.hook = other_process_marks;
	assert_int_equal(kit_put(&kit, name), RC_LATER);
	disarm();
	assert_true(kit_has(&kit, SPOOL_NEW, name));
	check_mark(name);

	arm(FSYNC, 1, 0, BEFORE);
	plan.hook = other_process_marks;
	assert_int_equal(kit_put(&kit, name), RC_LATER); /* as a duplicate */
	disarm();
	check_mark(name);
}

/* ---- the daemon's steps ---- */

static enum rc
step_take(const char *name)
{
	enum rc rc = spool_take(kit.sp, name, &kit.e);

	return rc == RC_OK ? spool_sync(kit.sp, SPOOL_CUR, &kit.e) : rc;
}

static enum rc
move(enum spool_box from, enum spool_box to, const char *name)
{
	struct spool_item it;
	enum rc rc = spool_lock(kit.sp, from, name, &it, &kit.e);

	if (rc == RC_OK)
		rc = spool_move(kit.sp, &it, to, &kit.e);
	spool_unlock(&it);
	return rc;
}

static enum rc
step_done(const char *name)
{
	return move(SPOOL_CUR, SPOOL_DONE, name);
}

static enum rc
step_requeue(const char *name)
{
	return move(SPOOL_FAILED, SPOOL_NEW, name);
}

static enum rc
step_recover(const char *name)
{
	(void)name;
	return spool_recover(kit.sp, clk_wall(), &kit.e);
}

static const struct {
	const char *what;
	enum rc (*step)(const char *name);
	unsigned boxes; /* where the event is before, a bit a box */
	enum spool_box end;
	enum rc good;
	unsigned syncs; /* of folders, when nothing fails */
} steps[] = {
    {"take", step_take, 1u << SPOOL_NEW, SPOOL_CUR, RC_OK, 1},
    {"take a repeat of cur", step_take, 1u << SPOOL_NEW | 1u << SPOOL_CUR, SPOOL_CUR, RC_EXISTS,
	1},
    {"take a repeat of done", step_take, 1u << SPOOL_NEW | 1u << SPOOL_DONE, SPOOL_DONE,
	RC_EXISTS, 1},
    {"finish", step_done, 1u << SPOOL_CUR, SPOOL_DONE, RC_OK, 1},
    {"finish what is done", step_done, 1u << SPOOL_CUR | 1u << SPOOL_DONE, SPOOL_DONE,
	RC_EXISTS, 1},
    {"requeue", step_requeue, 1u << SPOOL_FAILED, SPOOL_NEW, RC_OK, 1},
    {"start", step_recover, 1u << SPOOL_CUR | 1u << SPOOL_HELD, SPOOL_HELD, RC_OK, SPOOL_BOXES},
};

/* One step with one fault: the event is whole in some box, and the next start goes on. */
static bool
one_step(size_t s, size_t way, unsigned nth)
{
	const char *name = fresh();
	enum rc rc;
	unsigned whole = 0;

	for (int box = 0; box < SPOOL_BOXES; box++)
		if (steps[s].boxes & 1u << box)
			kit_place(&kit, (enum spool_box)box, name);
	arm(ways[way].call, nth, ways[way].sys, ways[way].how);
	err_clear(&kit.e);
	rc = steps[s].step(name);
	disarm();
	for (int box = 0; box < SPOOL_BOXES; box++)
		if (kit_has(&kit, (enum spool_box)box, name)) {
			kit_check(&kit, (enum spool_box)box, name);
			whole++;
		}
	if (!plan.fired)
		assert_int_equal(plan.hits[FSYNC], steps[s].syncs);
	if (whole == 0)
		fail_msg("%s, " SAY "lost", steps[s].what, SAID);
	if (rc == steps[s].good && !kit_has(&kit, steps[s].end, name))
		fail_msg("%s, " SAY "said it is in %s", steps[s].what, SAID,
		    spool_box_name(steps[s].end));
	if (plan.fired && plan.call == FSYNC) {
		if (rc == steps[s].good || !count_is_broken(spool_counts(kit.sp)))
			fail_msg(
			    "%s, " SAY "a failed sync is taken for one", steps[s].what, SAID);
		assert_int_equal(plan.syncs_after, 0);
		count_clear_broken(spool_counts(kit.sp));
	}
	assert_int_equal(spool_recover(kit.sp, clk_wall(), &kit.e), RC_OK);
	assert_int_equal(kit_put(&kit, name), RC_EXISTS);
	rc = spool_take(kit.sp, name, &kit.e);
	assert_true(rc == RC_OK || rc == RC_EXISTS || rc == RC_GONE);
	assert_int_equal(kit_copies(&kit, name), 1);
	return plan.fired;
}

static void
test_steps(void **state)
{
	unsigned files = open_files();

	(void)state;
	for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++)
		for (size_t i = 0; i < WAYS; i++)
			for (unsigned nth = 1; nth <= MOST; nth++, injections++)
				if (!one_step(s, i, nth))
					break;
	assert_int_equal(open_files(), files);
	assert_in_range(injections, 100, 5000);
	print_message("# %u faults\n", injections);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_put),
	    TEST(test_put_unlink_fails),
	    TEST(test_race),
	    TEST(test_duplicate_moves),
	    TEST(test_duplicate_sync_fails),
	    TEST(test_mark_meanwhile),
	    TEST(test_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
