/*
 * SPDX-License-Identifier: ISC
 *
 * t_body - bodies from a peer that sends what and as it likes; their budget.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "body.h"

struct peer {
	struct exchange x; /* first */
	const char *p;
	size_t n;     /* bytes that come */
	size_t piece; /* at most so many at a time */
	bool breaks;  /* after them: broken off, not ended */
	size_t asked; /* bytes that were read */
	int64_t step; /* the clock moves with every read */
};

static int64_t now;

static int64_t
test_clock(void)
{
	return now;
}

static ssize_t
peer_read(struct exchange *x, void *p, size_t n)
{
	struct peer *from = (struct peer *)x;

	now += from->step;
	if (from->n == 0)
		return from->breaks ? -1 : 0;
	if (n > from->piece)
		n = from->piece;
	if (n > from->n)
		n = from->n;
	if (from->p != NULL) {
		memcpy(p, from->p, n);
		from->p += n;
	} else {
		memset(p, ' ', n);
	}
	from->n -= n;
	from->asked += n;
	return (ssize_t)n;
}

static struct peer
peer_of(const char *p, size_t n, size_t piece)
{
	return (struct peer){.x = {.read = peer_read}, .p = p, .n = n, .piece = piece};
}

static struct request
announced(uint64_t n)
{
	return (struct request){.has_length = true, .length = n};
}

static const struct request unannounced;

/* Read, look at the end and the bytes, and see that the budget is whole afterwards. */
static void
check(struct peer from, struct request rq, uint64_t max, enum body_end end, const char *text)
{
	struct budget budget;
	struct body b;

	budget_open(&budget, 1 << 20);
	assert_int_equal(body_read(&from.x, &rq, max, &budget, &b), end);
	if (end == BODY_OK) {
		assert_true(b.at_end);
		assert_int_equal(b.text.n, strlen(text));
		assert_string_equal(buf_text(&b.text), text);
		assert_true(budget.used > b.text.n);
	}
	body_close(&b);
	assert_int_equal(budget.used, 0);
	budget_close(&budget);
}

static void
test_whole(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 8; piece++) {
		check(peer_of("{\"a\":1}", 7, piece), announced(7), 100, BODY_OK, "{\"a\":1}");
		check(peer_of("{\"a\":1}", 7, piece), unannounced, 100, BODY_OK, "{\"a\":1}");
		check(peer_of("{\"a\":1}", 7, piece), announced(7), 7, BODY_OK, "{\"a\":1}");
		check(peer_of("{\"a\":1}", 7, piece), unannounced, 7, BODY_OK, "{\"a\":1}");
	}
	check(peer_of("", 0, 1), announced(0), 100, BODY_OK, "");
	check(peer_of("", 0, 1), unannounced, 100, BODY_OK, "");
}

static void
test_not_whole(void **state)
{
	struct peer broken = peer_of("{\"a\":1}", 7, 3);

	(void)state;
	check(peer_of("{\"a\":1}", 6, 3), announced(7), 100, BODY_SHORT, NULL);
	check(peer_of("", 0, 3), announced(1), 100, BODY_SHORT, NULL);
	check(peer_of("{\"a\":1} ", 8, 3), announced(7), 100, BODY_MORE, NULL);
	check(peer_of("{\"a\":1} ", 8, 3), announced(0), 100, BODY_MORE, NULL);
	check(peer_of("{\"a\":1}", 7, 3), announced(7), 6, BODY_LONG, NULL);
	check(peer_of("{\"a\":1}", 7, 3), announced(UINT64_MAX), 6, BODY_LONG, NULL);
	check(peer_of("{\"a\":1}", 7, 3), unannounced, 6, BODY_LONG, NULL);
	broken.breaks = true;
	check(broken, announced(7), 100, BODY_SHORT, NULL);
	check(broken, announced(8), 100, BODY_SHORT, NULL);
	check(broken, unannounced, 100, BODY_SHORT, NULL);
	check(broken, unannounced, 7, BODY_SHORT, NULL);
}

static void
test_refused_unread(void **state)
{
	struct peer from = peer_of(NULL, 1000, 100);
	struct request rq = announced(1000);
	struct budget budget;
	struct body b;

	(void)state;
	budget_open(&budget, 1 << 20);
	assert_int_equal(body_read(&from.x, &rq, 999, &budget, &b), BODY_LONG);
	assert_int_equal(from.asked, 0);
	assert_int_equal(budget.used, 0);
	assert_false(b.at_end);
	body_close(&b);
	budget_close(&budget);
}

static void
test_grows_within_the_limit(void **state)
{
	const size_t sizes[] = {BODY_FIRST - 1, BODY_FIRST, BODY_FIRST + 1, 3 * BODY_FIRST,
	    4 * BODY_FIRST, 4 * BODY_FIRST + 1};
	struct budget budget;
	struct body b;

	(void)state;
	budget_open(&budget, 1 << 20);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct peer from = peer_of(NULL, sizes[i], 7000);
		enum body_end end = sizes[i] <= 4 * BODY_FIRST ? BODY_OK : BODY_LONG;

		assert_int_equal(
		    body_read(&from.x, &unannounced, 4 * BODY_FIRST, &budget, &b), end);
		assert_true(from.asked <= 4 * BODY_FIRST + 1);
		if (end == BODY_OK)
			assert_int_equal(b.text.n, sizes[i]);
		body_close(&b);
		assert_int_equal(budget.used, 0);
	}
	budget_close(&budget);
}

static void
test_slow_peer(void **state)
{
	struct peer from = peer_of(NULL, 1000, 1);
	struct request rq = announced(1000);
	struct budget budget;
	struct body b;

	(void)state;
	clk_replace(NULL, test_clock);
	from.step = BODY_TIME / 100;
	budget_open(&budget, 1 << 20);
	assert_int_equal(body_read(&from.x, &rq, 1000, &budget, &b), BODY_SHORT);
	assert_true(from.asked <= 102);
	assert_false(b.at_end);
	body_close(&b);
	from.asked = 0;
	assert_false(body_discard(&from.x, 1000));
	assert_true(from.asked <= 102);
	clk_replace(NULL, NULL);
	budget_close(&budget);
}

static void
test_no_budget(void **state)
{
	struct peer from = peer_of(NULL, 1000, 1000);
	struct request rq = announced(1000);
	struct budget budget;
	struct body b;
	size_t all = SIZE_MAX;

	(void)state;
	clk_replace(NULL, test_clock);
	now = 1; /* long ago: no wait comes about */
	budget_open(&budget, 4096);
	assert_true(budget_take(&budget, &all, 0));
	assert_int_equal(all, 4096);
	assert_int_equal(body_read(&from.x, &rq, 1000, &budget, &b), BODY_NO_ROOM);
	assert_int_equal(from.asked, 0);
	body_close(&b);
	assert_int_equal(budget.used, 4096);
	budget_give(&budget, all);
	assert_int_equal(body_read(&from.x, &rq, 1000, &budget, &b), BODY_OK);
	body_close(&b);
	assert_int_equal(budget.used, 0);
	clk_replace(NULL, NULL);
	budget_close(&budget);
}

static void
test_discard(void **state)
{
	struct peer from = peer_of(NULL, 100000, 50000);

	(void)state;
	assert_true(body_discard(&from.x, 100000));
	assert_int_equal(from.n, 0);
	assert_true(body_discard(&from.x, 0));
	from = peer_of(NULL, 100000, 50000);
	assert_false(body_discard(&from.x, 50000));
	assert_true(from.asked <= 50000 + BODY_CHUNK);
	from = peer_of(NULL, 10, 50000);
	from.breaks = true;
	assert_false(body_discard(&from.x, 50000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whole),
	    cmocka_unit_test(test_not_whole),
	    cmocka_unit_test(test_refused_unread),
	    cmocka_unit_test(test_grows_within_the_limit),
	    cmocka_unit_test(test_slow_peer),
	    cmocka_unit_test(test_no_budget),
	    cmocka_unit_test(test_discard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
