/*
 * SPDX-License-Identifier: ISC
 *
 * t_interleave_real - the interleavings of interleave.py, with the real functions.
 *
 * Each actor is a thread; every system call on a box is a step, and only the
 * thread that has the baton takes one.  The schedules are tried depth first,
 * up to a number of preemptions (ARKEN_TEST_LONG=1: two more, and minutes).  No crash here:
 * that is the model's part and the crash tests'.  Mistakes are planted at the system calls, and
 * have to be found.
 *
 * Linked with: -Wl,--wrap=openat,--wrap=flock,--wrap=fstatat,--wrap=renameat2
 * Linked with: -Wl,--wrap=unlinkat,--wrap=fsync,--wrap=fdatasync
 * Linked with: -Wl,--wrap=pthread_mutex_lock,--wrap=pthread_mutex_unlock
 */
#include "config.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>

#include <cmocka.h>

#include "log.h"
#include "spoolkit.h"

#define ACTORS 3
#define STEPS 200 /* of one schedule */
#define ALL 99    /* preemptions: as many as there are */

/* ---- the world ---- */

static struct kit kit; /* the daemon's */
static struct spool *receiver_spool, *operator_spool;

struct actor {
	void (*act)(struct actor *);
	enum spool_box from, to;
	bool locks_first; /* the lock is taken before the others begin */
	struct spool_item it;
	enum rc rc;
	bool ended, blocked;
	pthread_t thread;
};

static struct actor actors[ACTORS];
static int count;
static bool acked;       /* a sender was told 2xx */
static unsigned effects; /* times it was handed over */
static const char *fault;
static bool changed; /* a name was moved or removed since the last look */

/* ---- mistakes ---- */

static enum {
	NONE,
	REPLACE,   /* a rename replaces */
	UNGUARDED, /* a removal does not wait for another one */
} planted;

/* ---- the scheduler ---- */

static pthread_mutex_t baton = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake[ACTORS + 1] = {PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER,
    PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER};
static int turn; /* who may take a step; ACTORS: nobody, the schedule is over */
static _Thread_local int me = -1;

static unsigned char choice[STEPS], width[STEPS];
static size_t given, taken; /* decisions that are prescribed, and that were made */
static unsigned preempted, bound, deeper;

int __real_openat(int dir, const char *name, int flags, ...);
int __wrap_openat(int dir, const char *name, int flags, ...);
int __real_flock(int fd, int how);
int __wrap_flock(int fd, int how);
int __real_fstatat(int dir, const char *name, struct stat *st, int flags);
int __wrap_fstatat(int dir, const char *name, struct stat *st, int flags);
int __real_renameat2(int from, const char *old, int to, const char *new, unsigned flags);
int __wrap_renameat2(int from, const char *old, int to, const char *new, unsigned flags);
int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_unlinkat(int dir, const char *name, int flags);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __real_pthread_mutex_lock(pthread_mutex_t *m);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);
int __real_pthread_mutex_unlock(pthread_mutex_t *m);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *m);

static unsigned
copies(void)
{
	struct stat st;
	unsigned n = 0;

	for (int box = SPOOL_NEW; box <= SPOOL_DONE; box++)
		n += __real_fstatat(spool_dir(kit.sp), kit_file((enum spool_box)box, KIT_NAME),
			 &st, AT_SYMLINK_NOFOLLOW) == 0;
	return n;
}

/* Who goes on?  The one who has the baton first, if he can; the lock is held. */
static int
next_actor(int now)
{
	int can[ACTORS], n = 0;
	bool stays = now >= 0 && !actors[now].ended && !actors[now].blocked;
	size_t pick;

	if (stays)
		can[n++] = now;
	for (int i = 0; i < count; i++)
		if (i != now && !actors[i].ended && !actors[i].blocked)
			can[n++] = i;
	if (n == 0) {
		for (int i = 0; i < count; i++)
			if (!actors[i].ended)
				abort(); /* they wait for each other */
		return ACTORS;
	}
	if (taken == STEPS)
		abort();
	width[taken] = (unsigned char)(stays && preempted >= bound ? 1 : n);
	if (taken >= given)
		choice[taken] = 0;
	pick = choice[taken++];
	preempted += stays && pick > 0;
	return can[pick];
}

/* Hand the baton on, and wait until it comes back. */
static void
pass(void)
{
	int next;

	if (acked && changed && copies() == 0 && fault == NULL)
		fault = "lost";
	changed = false;
	next = next_actor(me);
	if (next == me)
		return;
	turn = next;
	(void)pthread_cond_signal(&wake[next]);
	while (turn != me && !actors[me].ended)
		(void)pthread_cond_wait(&wake[me], &baton);
}

/* Before each system call of an actor. */
static void
step(void)
{
	if (me < 0)
		return;
	(void)__real_pthread_mutex_lock(&baton);
	pass();
	(void)__real_pthread_mutex_unlock(&baton);
}

static void *
run_actor(void *arg)
{
	struct actor *a = arg;

	me = (int)(a - actors);
	(void)__real_pthread_mutex_lock(&baton);
	while (turn != me)
		(void)pthread_cond_wait(&wake[me], &baton);
	(void)__real_pthread_mutex_unlock(&baton);
	a->act(a);
	(void)__real_pthread_mutex_lock(&baton);
	a->ended = true;
	pass();
	(void)__real_pthread_mutex_unlock(&baton);
	return NULL;
}

/* ---- the system calls that are steps ---- */

int
__wrap_openat(int dir, const char *name, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if ((flags & O_CREAT) == 0) /* a new file in tmp is nobody else's business */
		step();
	return __real_openat(dir, name, flags, mode);
}

int
__wrap_flock(int fd, int how)
{
	step();
	return __real_flock(fd, how);
}

int
__wrap_fstatat(int dir, const char *name, struct stat *st, int flags)
{
	step();
	return __real_fstatat(dir, name, st, flags);
}

int
__wrap_renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	step();
	changed = true;
	return __real_renameat2(from, old, to, new, planted == REPLACE && me >= 0 ? 0 : flags);
}

int
__wrap_unlinkat(int dir, const char *name, int flags)
{
	step();
	changed = true;
	return __real_unlinkat(dir, name, flags);
}

/* What is on the disk is not asked here, so nothing is synced. */
int
__wrap_fsync(int fd)
{
	(void)fd;
	step();
	return 0;
}

int
__wrap_fdatasync(int fd)
{
	(void)fd;
	return 0;
}

/* An actor that waits for a lock has no step to take until one is given back. */
int
__wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
	if (me < 0)
		return __real_pthread_mutex_lock(m);
	if (planted == UNGUARDED)
		return 0;
	while (pthread_mutex_trylock(m) != 0) {
		(void)__real_pthread_mutex_lock(&baton);
		actors[me].blocked = true;
		pass();
		(void)__real_pthread_mutex_unlock(&baton);
	}
	return 0;
}

int
__wrap_pthread_mutex_unlock(pthread_mutex_t *m)
{
	if (me < 0)
		return __real_pthread_mutex_unlock(m);
	if (planted == UNGUARDED)
		return 0;
	for (int i = 0; i < count; i++)
		actors[i].blocked = false;
	return __real_pthread_mutex_unlock(m);
}

/* ---- the actors ---- */

static void
receiver(struct actor *a)
{
	struct rec r = kit_rec(KIT_NAME, KIT_BODY);

	a->rc = spool_put(receiver_spool, SPOOL_NEW, &r, NULL);
	acked = acked || a->rc == RC_OK || a->rc == RC_EXISTS;
}

/* A receiver that keeps new clean itself: the mistake. */
static void
tidy_receiver(struct actor *a)
{
	static const char *const later[] = {"cur/" KIT_NAME ":2,", "held/cur/" KIT_NAME ":2,",
	    "failed/cur/" KIT_NAME ":2,F", "done/cur/" KIT_NAME ":2,S"};
	int root = spool_dir(receiver_spool);

	tmpdir_write(root, "tmp/x", "", 0);
	a->rc = io_move(root, "tmp/x", root, "new/" KIT_NAME, NULL);
	if (a->rc == RC_EXISTS)
		(void)__real_unlinkat(root, "tmp/x", 0);
	for (size_t i = 0; a->rc == RC_OK && i < sizeof(later) / sizeof(later[0]); i++)
		if (io_exists(root, later[i])) {
			(void)io_unlink(root, "new/" KIT_NAME, NULL);
			a->rc = RC_EXISTS;
		}
	acked = true;
}

/* The daemon's main thread. */
static void
taker(struct actor *a)
{
	a->rc = spool_take(kit.sp, KIT_NAME, NULL);
	if (a->rc == RC_OK)
		a->rc = spool_sync(kit.sp, SPOOL_CUR, NULL);
}

/* A job of the daemon; only what is locked is worked on. */
static void
finisher(struct actor *a)
{
	if (!a->locks_first)
		a->rc = spool_lock(kit.sp, SPOOL_CUR, KIT_NAME, &a->it, NULL);
	if (a->it.fd < 0)
		return;
	effects += a->to == SPOOL_DONE;
	a->rc = spool_move(kit.sp, &a->it, a->to, NULL);
	spool_unlock(&a->it);
}

static void
daemon_alone(struct actor *a)
{
	taker(a);
	if (a->rc == RC_OK)
		finisher(a);
}

static void
operator(struct actor *a)
{
	a->rc = spool_lock(operator_spool, a->from, KIT_NAME, &a->it, NULL);
	if (a->rc == RC_OK)
		a->rc = spool_move(operator_spool, &a->it, a->to, NULL);
	spool_unlock(&a->it);
}

/* An operator's tool that takes "queued already" for "this one is not needed": the mistake. */
static void
tidy_operator(struct actor *a)
{
	a->rc = spool_lock(operator_spool, a->from, KIT_NAME, &a->it, NULL);
	if (a->rc == RC_OK &&
	    (a->rc = spool_move(operator_spool, &a->it, a->to, NULL)) == RC_EXISTS)
		a->rc = spool_remove(operator_spool, &a->it, NULL);
	spool_unlock(&a->it);
}

/* ---- one schedule, and all of them ---- */

struct scenario {
	unsigned boxes; /* where the event is, a bit a box */
	struct actor who[ACTORS];
	unsigned bound;
};

#define IN(box) (1u << SPOOL_##box)
#define DO(f) .act = (f)

static void
clean(void)
{
	for (int box = SPOOL_NEW; box <= SPOOL_DONE; box++)
		(void)__real_unlinkat(
		    spool_dir(kit.sp), kit_file((enum spool_box)box, KIT_NAME), 0);
}

static void
prepare(const struct scenario *s)
{
	clean();
	for (int box = SPOOL_NEW; box <= SPOOL_DONE; box++)
		if (s->boxes & 1u << box)
			kit_place(&kit, (enum spool_box)box, KIT_NAME);
	acked = s->boxes != 0;
	effects = 0;
	fault = NULL;
	memcpy(actors, s->who, sizeof(actors));
	for (count = 0; count < ACTORS && actors[count].act != NULL; count++) {
		struct actor *a = &actors[count];

		a->it = SPOOL_NO_ITEM;
		if (a->locks_first)
			assert_int_equal(
			    spool_lock(kit.sp, SPOOL_CUR, KIT_NAME, &a->it, &kit.e), RC_OK);
	}
}

static void
restart(void)
{
	assert_int_equal(spool_recover(kit.sp, KIT_TIME, &kit.e), RC_OK);
}

/* The daemon goes on alone, after a start or before one. */
static void
drain(bool start)
{
	struct actor a = {.to = SPOOL_DONE};

	if (start)
		restart();
	for (int i = 0; i < 3; i++) {
		enum rc rc = spool_take(kit.sp, KIT_NAME, NULL);

		a.it = SPOOL_NO_ITEM;
		finisher(&a);
		if (rc == RC_GONE && a.rc == RC_GONE)
			break;
	}
	if (copies() > 1)
		restart();
}

static void
judge(bool start)
{
	if (fault == NULL && acked && copies() == 0)
		fault = "lost at the end";
	for (int i = 0; i < count; i++)
		if (fault == NULL && actors[i].act == receiver && actors[i].rc != RC_OK &&
		    actors[i].rc != RC_EXISTS && actors[i].rc != RC_LATER)
			fault = "a receiver said something else";
	if (fault == NULL && kit_names(&kit, "tmp") != 0)
		fault = "a file stays in tmp";
	drain(start);
	if (fault == NULL && acked && copies() != 1)
		fault = "not in one folder after a start";
	if (fault == NULL && effects > 1)
		fault = "handed over twice";
	if (fault == NULL && kit_has(&kit, SPOOL_DONE, KIT_NAME) != (effects == 1))
		fault = "done and handed over disagree";
}

/* The next schedule in order; false: that was the last. */
static bool
advance(void)
{
	for (given = taken; given > 0; given--)
		if (choice[given - 1] + 1 < width[given - 1]) {
			choice[given - 1]++;
			return true;
		}
	return false;
}

static void
run_one(const struct scenario *s)
{
	prepare(s);
	taken = 0;
	preempted = 0;
	bound = s->bound + deeper;
	turn = -1;
	for (int i = 0; i < count; i++)
		assert_int_equal(
		    pthread_create(&actors[i].thread, NULL, run_actor, &actors[i]), 0);
	(void)__real_pthread_mutex_lock(&baton);
	turn = next_actor(-1);
	(void)pthread_cond_signal(&wake[turn]);
	(void)__real_pthread_mutex_unlock(&baton);
	for (int i = 0; i < count; i++)
		assert_int_equal(pthread_join(actors[i].thread, NULL), 0);
}

/* How many schedules are bad; the first of them is told. */
static unsigned
run_all(const char *what, const struct scenario *s)
{
	unsigned all = 0, bad = 0;

	given = 0;
	do {
		run_one(s);
		judge(all % 4 == 0);
		if (fault != NULL && bad++ == 0)
			print_message("# %s: schedule %u: %s\n", what, all, fault);
		all++;
	} while (advance());
	print_message("# %s: %u schedules, %u bad\n", what, all, bad);
	assert_true(all > 1);
	return bad;
}

/* ---- the tests ---- */

static void
drop_line(const char *line, size_t n)
{
	(void)line;
	(void)n;
}

/* In memory where there is such a place: names behave the same, and it is quick. */
static int
set_up(void **state)
{
	cpu_set_t one;

	(void)state;
	/* One thread runs at a time: on one processor it is handed the baton at once. */
	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	(void)sched_setaffinity(0, sizeof(one), &one);
	log_capture(drop_line);
	deeper = getenv("ARKEN_TEST_LONG") != NULL ? 2 : 0;
	kit_start(&kit);
	if (access("/dev/shm", W_OK) == 0) {
		tmpdir_remove(kit.dir);
		tmpdir_make_below("/dev/shm", kit.dir);
		(void)snprintf(kit.path, sizeof(kit.path), "%s/spool", kit.dir);
		kit.opt.allow_fs = "tmpfs";
	}
	kit.opt.queue_limit = UINT64_MAX;
	kit_open(&kit);
	assert_int_equal(spool_open(&kit.opt, &receiver_spool, &kit.e), RC_OK);
	assert_int_equal(spool_open(&kit.opt, &operator_spool, &kit.e), RC_OK);
	assert_int_equal(spool_lock_daemon(kit.sp, &kit.e), RC_OK);
	planted = NONE;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	planted = NONE;
	spool_close(&receiver_spool);
	spool_close(&operator_spool);
	kit_end(&kit);
	return 0;
}

#define REQUEUE(box)                                                                           \
	{                                                                                      \
		DO(operator), .from = SPOOL_##box, .to = SPOOL_NEW                             \
	}
#define HOLD                                                                                   \
	{                                                                                      \
		DO(operator), .from = SPOOL_CUR, .to = SPOOL_HELD                              \
	}
#define WORK(box)                                                                              \
	{                                                                                      \
		DO(finisher), .to = SPOOL_##box, .locks_first = true                           \
	}
#define DAEMON                                                                                 \
	{                                                                                      \
		DO(daemon_alone), .to = SPOOL_DONE                                             \
	}

static const struct {
	const char *what;
	struct scenario s;
} shipped[] = {
    {"a sender and the daemon", {0, {{DO(receiver)}, DAEMON}, ALL}},
    {"two senders", {0, {{DO(receiver)}, {DO(receiver)}}, 4}},
    {"a repeat and the daemon", {IN(NEW), {{DO(receiver)}, DAEMON}, 4}},
    {"a repeat and a job", {IN(CUR), {{DO(receiver)}, WORK(DONE)}, ALL}},
    {"a repeat and a requeue", {IN(FAILED), {{DO(receiver)}, REQUEUE(FAILED)}, ALL}},
    {"a requeue and a take", {IN(FAILED) | IN(NEW), {REQUEUE(FAILED), DAEMON}, ALL}},
    {"a release and a take", {IN(HELD) | IN(NEW), {REQUEUE(HELD), DAEMON}, ALL}},
    {"a hold and a take", {IN(CUR) | IN(NEW), {HOLD, {DO(taker)}}, ALL}},
    {"a job and a take", {IN(CUR) | IN(NEW), {WORK(DONE), {DO(taker)}}, ALL}},
    {"a job ends where a copy is, a requeue, a take",
	{IN(CUR) | IN(FAILED), {WORK(FAILED), REQUEUE(FAILED), {DO(taker)}}, 2}},
    {"a hold where a copy is, a release, a take",
	{IN(CUR) | IN(HELD), {HOLD, REQUEUE(HELD), {DO(taker)}}, 2}},
    {"a job, a hold and a take", {IN(CUR) | IN(NEW), {WORK(DONE), HOLD, {DO(taker)}}, 2}},
    {"a repeat, a requeue and the daemon",
	{IN(FAILED), {{DO(receiver)}, REQUEUE(FAILED), DAEMON}, 2}},
    {"two senders and the daemon", {0, {{DO(receiver)}, {DO(receiver)}, DAEMON}, 2}},
};

static void
test_shipped(void **state)
{
	unsigned bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(shipped) / sizeof(shipped[0]); i++)
		bad += run_all(shipped[i].what, &shipped[i].s);
	assert_int_equal(bad, 0);
}

static void
test_planted(void **state)
{
	static const struct scenario
	    tidy_put = {IN(FAILED), {{DO(tidy_receiver)}, REQUEUE(FAILED), {DO(taker)}}, 2},
	    tidy_requeue = {IN(FAILED) | IN(NEW),
		{{DO(tidy_operator), .from = SPOOL_FAILED, .to = SPOOL_NEW}, {DO(taker)}}, ALL},
	    replace = {IN(CUR) | IN(NEW), {WORK(DONE), HOLD, {DO(taker)}}, 2},
	    unguarded = {IN(CUR) | IN(FAILED), {WORK(FAILED), REQUEUE(FAILED), {DO(taker)}}, 2};

	(void)state;
	assert_true(run_all("planted: receiver removes a name", &tidy_put) > 0);
	assert_true(run_all("planted: requeue removes a name", &tidy_requeue) > 0);
	planted = REPLACE;
	assert_true(run_all("planted: take replaces", &replace) > 0);
	planted = UNGUARDED;
	assert_true(run_all("planted: two threads remove", &unguarded) > 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_shipped),
	    TEST(test_planted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
