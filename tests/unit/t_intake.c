/*
 * SPDX-License-Identifier: ISC
 *
 * t_intake - a body becomes events, is rejected, and is read again: on a real spool, with the
 * Nth move failing.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "intake.h"
#include "spoolkit.h"

#define EVENT(id) "{\"eventId\":\"" id "\",\"eventType\":\"Client.Update\"}"
#define OTHER "{\"accountHashId\":\"ELSE\",\"eventId\":\"o-1\",\"eventType\":\"User.Create\"}"

static struct kit kit;
static struct conf conf;
static struct conf_account account;
static unsigned moves;   /* renames so far */
static unsigned fail_at; /* the one that fails; 0 none */

int __real_renameat2(int from, const char *old, int to, const char *new, unsigned flags);
int __wrap_renameat2(int from, const char *old, int to, const char *new, unsigned flags);

int
__wrap_renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	if (++moves == fail_at) {
		errno = EIO;
		return -1;
	}
	return __real_renameat2(from, old, to, new, flags);
}

static int
set_up(void **state)
{
	static char name[] = "acme", hash[] = "OURS";

	(void)state;
	fail_at = moves = 0;
	kit_start(&kit);
	kit_open(&kit);
	account = (struct conf_account){.name = name, .hash_id = hash};
	conf = (struct conf){.accounts = &account, .naccounts = 1};
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	kit_end(&kit);
	return 0;
}

static struct delivery
from_web(void)
{
	return (struct delivery){.account = &account,
	    .auth = "secret:line1",
	    .remote = "192.0.2.7",
	    .source = REC_WEBHOOK,
	    .received = KIT_TIME,
	    .now = KIT_TIME};
}

static void
test_read(void **state)
{
	static const struct {
		const char *body;
		enum rc rc;
		enum intake_fault fault;
		size_t count;
		bool is_array;
	} t[] = {
	    {EVENT("a"), RC_OK, FAULT_NONE, 1, false},
	    {" \n" EVENT("a") "\n ", RC_OK, FAULT_NONE, 1, false},
	    {"[" EVENT("a") "]", RC_OK, FAULT_NONE, 1, true},
	    {"[" EVENT("a") ",{}," EVENT("a") "]", RC_OK, FAULT_NONE, 3, true},
	    {"{\"AccountHashId\":\"OURS\"}", RC_OK, FAULT_NONE, 1, false},
	    {"", RC_BAD, FAULT_NOT_JSON, 0, false},
	    {"{} {}", RC_BAD, FAULT_NOT_JSON, 0, false},
	    {"{\"a\":1,\"a\":1}", RC_BAD, FAULT_NOT_JSON, 1, false},
	    {"7", RC_BAD, FAULT_NOT_EVENT, 1, false},
	    {"[]", RC_BAD, FAULT_NOT_EVENT, 0, true},
	    {"[{},null]", RC_BAD, FAULT_NOT_EVENT, 2, true},
	    {OTHER, RC_DENIED, FAULT_OTHER_ACCOUNT, 1, false},
	    {"[{}," OTHER ",{}]", RC_DENIED, FAULT_OTHER_ACCOUNT, 3, true},
	    {"[" OTHER ",3]", RC_BAD, FAULT_NOT_EVENT, 2, true},
	};
	const struct delivery d = from_web();

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct intake in;

		assert_int_equal(
		    intake_read(NULL, &d, t[i].body, strlen(t[i].body), &in), t[i].rc);
		assert_int_equal(in.fault, t[i].fault);
		assert_int_equal(in.count, t[i].count);
		assert_int_equal(in.is_array, t[i].is_array);
		assert_int_equal(in.why.text[0] != '\0', t[i].rc != RC_OK);
		intake_close(&in);
		assert_null(in.events);
	}
	assert_int_equal(kit_names(&kit, "new"), 0);
}

static void
test_too_many_and_too_complex(void **state)
{
	static char body[4 * INTAKE_EVENTS + 8];
	const struct delivery d = from_web();
	struct budget trees;
	struct intake in;
	size_t n = 0;

	(void)state;
	budget_open(&trees, intake_cost(20, 100));
	body[n++] = '[';
	for (size_t i = 0; i < INTAKE_EVENTS; i++, n += 3)
		memcpy(body + n, "{},", 3);
	/* The limit is about one tree at a time, not about all of them. */
	body[n - 1] = ']';
	assert_int_equal(intake_read(&trees, &d, body, n, &in), RC_OK);
	assert_int_equal(in.count, INTAKE_EVENTS);
	intake_close(&in);
	memcpy(body + n - 1, ",{}]", 4);
	assert_int_equal(intake_read(&trees, &d, body, n + 3, &in), RC_BAD);
	assert_int_equal(in.fault, FAULT_TOO_MANY);
	intake_close(&in);
	memcpy(body, "[{\"a\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19]},{}]", 61);
	n = strlen("[{\"a\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19]},{}]");
	assert_int_equal(intake_read(&trees, &d, body, n, &in), RC_BAD);
	assert_int_equal(in.fault, FAULT_TOO_COMPLEX);
	assert_non_null(strstr(in.why.text, "element 0"));
	intake_close(&in);
	assert_int_equal(trees.used, 0);
	/* An operator who has it read again waits for it. */
	assert_int_equal(intake_read(NULL, &d, body, n, &in), RC_OK);
	intake_close(&in);
	budget_close(&trees);
}

static void
read_record(enum spool_box box, const char *name, struct buf *b, struct rec *r)
{
	struct spool_item it;

	assert_int_equal(spool_peek(kit.sp, box, name, &it, &kit.e), RC_OK);
	assert_int_equal(spool_read(&it, b, r, &kit.e), RC_OK);
	spool_unlock(&it);
}

static void
test_keep(void **state)
{
	const struct delivery d = from_web();
	const char *body = "[" EVENT("a") "," EVENT("b") "," EVENT("a") "]";
	struct buf b = BUF_INIT(65536);
	struct intake in;
	struct rec r;

	(void)state;
	assert_int_equal(intake_read(NULL, &d, body, strlen(body), &in), RC_OK);
	assert_int_equal(intake_keep(kit.sp, &d, &in), RC_OK);
	assert_int_equal(in.fresh, 2);
	assert_false(in.events[0].duplicate || in.events[1].duplicate);
	assert_true(in.events[2].duplicate);
	assert_int_equal(kit_names(&kit, "new"), 2);
	assert_int_equal(count_get(spool_counts(kit.sp), COUNT_ACCEPTED), 2);
	assert_int_equal(count_get(spool_counts(kit.sp), COUNT_DUPLICATE), 1);
	read_record(SPOOL_NEW, "acme.b.Client.Update", &b, &r);
	assert_int_equal(r.source, REC_WEBHOOK);
	assert_string_equal(r.remote, "192.0.2.7");
	assert_int_equal(r.body_len, strlen(EVENT("b")));
	buf_free(&b);
	intake_close(&in);
}

/* Keep one event that comes this way: how many it is counted late. */
static uint64_t
late_by(enum rec_source source, bool duplicate)
{
	struct counts *c = spool_counts(kit.sp);
	uint64_t before = count_get(c, COUNT_LATE), repeats = count_get(c, COUNT_DUPLICATE);
	struct delivery d = from_web();
	struct intake in;

	d.source = source;
	assert_int_equal(intake_read(NULL, &d, EVENT("a"), strlen(EVENT("a")), &in), RC_OK);
	assert_int_equal(intake_keep(kit.sp, &d, &in), RC_OK);
	assert_int_equal(in.events[0].duplicate, duplicate);
	assert_int_equal(in.fresh, !duplicate);
	intake_close(&in);
	assert_int_equal(count_get(c, COUNT_DUPLICATE) - repeats, duplicate);
	assert_int_equal(kit_copies(&kit, "acme.a.Client.Update"), 1);
	return count_get(c, COUNT_LATE) - before;
}

/* A webhook is late if the feed brought its event before, wherever that is by then. */
static void
test_late(void **state)
{
	static const enum rec_source sources[] = {REC_WEBHOOK, REC_RECONCILE, REC_OPERATOR};
	static const char name[] = "acme.a.Client.Update";

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		bool late = sources[i] == REC_RECONCILE;
		enum spool_box at = SPOOL_NEW;

		assert_int_equal(late_by(sources[i], false), 0);
		for (enum spool_box to = SPOOL_NEW; to <= SPOOL_DONE; at = to++) {
			if (to != at)
				kit_rename(&kit, kit_file(at, name), kit_file(to, name));
			assert_int_equal(late_by(REC_WEBHOOK, true), late);
			assert_int_equal(late_by(REC_RECONCILE, true), 0);
			assert_int_equal(late_by(REC_OPERATOR, true), 0);
		}
		tear_down(state);
		set_up(state);
	}
}

/* What is there and cannot be read is a repeat as before. */
static void
test_late_is_not_known(void **state)
{
	static const char *const there[] = {"", "x", "Arken-Source: reconcile\n\n"};
	static const char file[] = "done/cur/acme.a.Client.Update:2,S";

	(void)state;
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++) {
		tmpdir_write(spool_dir(kit.sp), file, there[i], strlen(there[i]));
		assert_int_equal(late_by(REC_WEBHOOK, true), 0);
		assert_int_equal(unlinkat(spool_dir(kit.sp), file, 0), 0);
	}
	assert_int_equal(mkdirat(spool_dir(kit.sp), file, 0700), 0);
	assert_int_equal(late_by(REC_WEBHOOK, true), 0);
	assert_int_equal(unlinkat(spool_dir(kit.sp), file, AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("/dev/zero", spool_dir(kit.sp), file), 0);
	assert_int_equal(late_by(REC_WEBHOOK, true), 0);
}

/* The marks are looked at again before each event of an array. */
static void
test_keep_stops_at_the_mark(void **state)
{
	const struct delivery d = from_web();
	const char *body = "[" EVENT("a") "," EVENT("b") "," EVENT("c") "]";
	struct intake in;

	(void)state;
	kit.opt.queue_limit = 2;
	kit_again(&kit);
	assert_int_equal(intake_read(NULL, &d, body, strlen(body), &in), RC_OK);
	assert_int_equal(intake_keep(kit.sp, &d, &in), RC_FULL);
	assert_int_equal(kit_names(&kit, "new"), 2);
	intake_close(&in);
	kit.opt.queue_limit = 100;
	kit_again(&kit);
	assert_int_equal(intake_read(NULL, &d, body, strlen(body), &in), RC_OK);
	assert_int_equal(intake_keep(kit.sp, &d, &in), RC_OK);
	assert_int_equal(in.fresh, 1);
	assert_int_equal(kit_names(&kit, "new"), 3);
	intake_close(&in);
}

/* Have a body rejected; its name into out. */
static void
reject(const char *body, char out[NAME_SIZE])
{
	const struct delivery d = from_web();
	struct intake in;
	enum rc rc = intake_read(NULL, &d, body, strlen(body), &in);

	assert_true(rc == RC_BAD || rc == RC_DENIED);
	assert_int_equal(intake_reject(kit.sp, &d, body, strlen(body), &in), RC_OK);
	assert_true(str_copy(out, NAME_SIZE, in.rejected));
	intake_close(&in);
	assert_true(kit_has(&kit, SPOOL_REJECTED, out));
}

static enum rc
again(const char *name, bool dry_run, struct intake *in)
{
	struct spool_item it;
	struct buf body;
	enum rc rc;

	assert_int_equal(spool_lock(kit.sp, SPOOL_REJECTED, name, &it, &kit.e), RC_OK);
	rc = intake_again(kit.sp, &it, &conf, dry_run, &body, in);
	spool_unlock(&it);
	buf_free(&body);
	return rc;
}

static void
test_again(void **state)
{
	static char other[] = "ELSE", gone[] = "gone", here[] = "acme";
	struct buf b = BUF_INIT(65536);
	char name[NAME_SIZE];
	struct intake in;
	struct rec r;

	(void)state;
	reject(OTHER, name);
	assert_int_equal(again(name, false, &in), RC_DENIED);
	assert_int_equal(in.fault, FAULT_OTHER_ACCOUNT);
	intake_close(&in);
	account.name = gone;
	assert_int_equal(again(name, false, &in), RC_CONFIG);
	assert_non_null(strstr(in.why.text, "[account acme]"));
	intake_close(&in);
	account.name = here;
	account.hash_id = other;
	assert_int_equal(again(name, true, &in), RC_OK);
	intake_close(&in);
	assert_int_equal(kit_names(&kit, "new"), 0);
	assert_true(kit_has(&kit, SPOOL_REJECTED, name));
	assert_int_equal(count_get(spool_counts(kit.sp), COUNT_IN_REJECTED), 1);
	assert_int_equal(again(name, false, &in), RC_OK);
	assert_int_equal(in.fresh, 1);
	intake_close(&in);
	assert_false(kit_has(&kit, SPOOL_REJECTED, name));
	assert_true(kit_has(&kit, SPOOL_DONE, name));
	assert_int_equal(count_get(spool_counts(kit.sp), COUNT_IN_REJECTED), 0);
	assert_int_equal(count_get(spool_counts(kit.sp), COUNT_WAITING), 1);
	read_record(SPOOL_NEW, "acme.o-1.User.Create", &b, &r);
	assert_int_equal(r.source, REC_OPERATOR);
	assert_string_equal(r.auth, "secret:line1");
	assert_string_equal(r.remote, "192.0.2.7");
	assert_true(r.received / 1000 == KIT_TIME / 1000);
	buf_free(&b);
}

/*
 * Whichever move fails, the rejected file stays until all events of it are kept, and a repeat
 * makes it whole: no event twice, those without identity included.
 */
static void
test_again_is_repeated(void **state)
{
	static char ours[] = "OURS", other[] = "ELSE";
	const char *body = "[" OTHER ",{},{\"hello\":1}," EVENT("e-1") "]";
	bool more = true;

	for (unsigned n = 1; more; n++) {
		char name[NAME_SIZE];
		struct intake in;

		account.hash_id = ours;
		reject(body, name);
		account.hash_id = other;
		moves = 0;
		fail_at = n;
		more = again(name, false, &in) != RC_OK;
		intake_close(&in);
		fail_at = 0;
		assert_int_equal(kit_has(&kit, SPOOL_REJECTED, name), more);
		assert_true(kit_names(&kit, "new") <= 4);
		if (more) {
			assert_int_equal(again(name, false, &in), RC_OK);
			assert_int_equal(in.count, 4);
			assert_int_equal(in.fresh, 4 - (n - 1));
			intake_close(&in);
		} else {
			assert_int_equal(n, 6); /* four events, and the file itself */
		}
		assert_int_equal(kit_names(&kit, "new"), 4);
		assert_int_equal(kit_names(&kit, "rejected/new"), 0);
		assert_int_equal(kit_names(&kit, "tmp"), 0);
		tear_down(state);
		set_up(state);
	}
}

static int64_t mono;

static int64_t
test_mono(void)
{
	return mono;
}

/* A write that failed is told of until one succeeds, or a minute has passed. */
static void
test_failing_is_told(void **state)
{
	const struct delivery d = from_web();
	struct spool_gauge g;
	struct intake in;

	(void)state;
	mono = 5000000;
	clk_replace(NULL, test_mono);
	for (int i = 0; i < 2; i++) {
		spool_gauge(kit.sp, &g);
		assert_false(g.failing);
		assert_int_equal(
		    intake_read(NULL, &d, EVENT("a"), strlen(EVENT("a")), &in), RC_OK);
		moves = 0;
		fail_at = 1;
		assert_int_equal(intake_keep(kit.sp, &d, &in), RC_LATER);
		assert_int_equal(in.lack, COUNT_LACK_WRITE);
		fail_at = 0;
		mono += SPOOL_FAILING - 1;
		spool_gauge(kit.sp, &g);
		assert_true(g.failing);
		if (i == 0)
			mono += 1;
		else
			assert_int_equal(intake_keep(kit.sp, &d, &in), RC_OK);
		spool_gauge(kit.sp, &g);
		assert_false(g.failing);
		intake_close(&in);
	}
	clk_replace(NULL, NULL);
}

/* A full rejected keeps nothing, and says so. */
static void
test_rejected_is_full(void **state)
{
	const struct delivery d = from_web();
	struct intake in;

	(void)state;
	kit.opt.rejected_limit = 0;
	kit_again(&kit);
	assert_int_equal(intake_read(NULL, &d, "x", 1, &in), RC_BAD);
	assert_int_equal(intake_reject(kit.sp, &d, "x", 1, &in), RC_FULL);
	assert_string_equal(in.rejected, "");
	intake_close(&in);
	assert_int_equal(kit_names(&kit, "rejected/new"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_read),
	    TEST(test_too_many_and_too_complex),
	    TEST(test_keep),
	    TEST(test_late),
	    TEST(test_late_is_not_known),
	    TEST(test_keep_stops_at_the_mark),
	    TEST(test_again),
	    TEST(test_again_is_repeated),
	    TEST(test_failing_is_told),
	    TEST(test_rejected_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
