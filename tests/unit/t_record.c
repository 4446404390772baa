/*
 * SPDX-License-Identifier: ISC
 *
 * t_record - what may come on a FastCGI connection, and what ends it.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "record.h"
#include "rnd.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define DIALOGUE (4 << 20)

enum type { BEGIN = 1, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES };

static unsigned char line[DIALOGUE]; /* what the web server says */
static size_t said;

static void
say_record(unsigned type, unsigned id, const void *content, size_t n, unsigned padding)
{
	const unsigned char h[RECORD_HEADER] = {1, (unsigned char)type,
	    (unsigned char)(id >> 8), (unsigned char)(id & 0xff), (unsigned char)(n >> 8),
	    (unsigned char)(n & 0xff), (unsigned char)padding, 0};

	assert_true(said + sizeof(h) + n + padding <= sizeof(line));
	memcpy(line + said, h, sizeof(h));
	if (n > 0)
		memcpy(line + said + sizeof(h), content, n);
	memset(line + said + sizeof(h) + n, 'p', padding);
	said += sizeof(h) + n + padding;
}

static void
say_begin(unsigned id, unsigned char role, unsigned char flags)
{
	const unsigned char body[8] = {0, role, flags};

	say_record(BEGIN, id, body, sizeof(body), 0);
}

/* Take all of line in steps; the body goes to out.  Returns how much was used. */
static size_t
take_all(struct record *r, size_t step, char *out, size_t *n)
{
	const unsigned char *piece;
	size_t at = 0, got;

	*n = 0;
	while (at < said && r->phase <= RECORD_BODY) {
		at += record_take(
		    r, line + at, step < said - at ? step : said - at, &piece, &got);
		assert_true(at <= said);
		if (out != NULL && got > 0)
			memcpy(out + *n, piece, got);
		*n += got;
	}
	return at;
}

static enum record_phase
phase_of_line(size_t step)
{
	struct record r;
	enum record_phase phase;
	size_t n;

	record_open(&r);
	(void)take_all(&r, step, NULL, &n);
	phase = r.phase;
	record_close(&r);
	return phase;
}

/* However a dialogue is cut into pieces, it says the same. */
static void
test_a_dialogue_in_pieces(void **state)
{
	static const char params[] = "\x04\x01NAMEv\x80\0\0\x03\x80\0\0\0abc";
	struct record r;
	char body[64];
	size_t n;

	(void)state;
	said = 0;
	say_begin(0x102, 1, 1);
	say_record(PARAMS, 0x102, params, 5, 3);
	say_record(PARAMS, 0x102, params + 5, sizeof(params) - 1 - 5, 0);
	say_record(PARAMS, 0x102, NULL, 0, 7);
	say_record(STDIN, 0x102, "hello ", 6, 255);
	say_record(STDIN, 0x102, "world", 5, 0);
	say_record(STDIN, 0x102, NULL, 0, 1);
	for (size_t step = 1; step <= said; step++) {
		record_open(&r);
		assert_false(record_is_begun(&r));
		assert_int_equal(take_all(&r, step, body, &n), said);
		assert_int_equal(r.phase, RECORD_END);
		assert_true(record_is_begun(&r) && r.keep && !r.unfit);
		assert_int_equal(r.id, 0x102);
		assert_int_equal(r.params.n, sizeof(params) - 1);
		assert_memory_equal(r.params.p, params, r.params.n);
		assert_int_equal(n, 11);
		assert_memory_equal(body, "hello world", n);
		record_close(&r);
		assert_int_equal(record_memory(&r), 0);
		assert_int_equal(r.phase, RECORD_HEAD);
	}
}

/* What follows a request is left for the next. */
static void
test_two_requests_at_once(void **state)
{
	struct record r;
	size_t n, first;

	(void)state;
	said = 0;
	for (int i = 0; i < 2; i++) {
		say_begin(1, 1, 0);
		say_record(PARAMS, 1, NULL, 0, 0);
		say_record(STDIN, 1, NULL, 0, 0);
		if (i == 0)
			first = said;
	}
	record_open(&r);
	assert_int_equal(take_all(&r, said, NULL, &n), first);
	assert_int_equal(r.phase, RECORD_END);
	assert_false(r.keep);
	record_close(&r);
}

/* Anything that no web server says to a responder ends the connection. */
static void
test_what_ends_it(void **state)
{
	static const struct {
		unsigned type, id;
		size_t n;
	} t[] = {
	    {BEGIN, 1, 8},
	    {BEGIN, 2, 8},
	    {BEGIN, 1, 7},
	    {END, 1, 8},
	    {STDOUT, 1, 1},
	    {STDERR, 1, 1},
	    {DATA, 1, 1},
	    {DATA, 1, 0},
	    {GET_VALUES, 0, 0},
	    {GET_VALUES, 0, 9},
	    {10, 0, 8},
	    {11, 0, 8},
	    {0, 1, 0},
	    {255, 1, 0},
	    {PARAMS, 0, 1},
	    {PARAMS, 2, 1},
	    {STDIN, 2, 0},
	    {ABORT, 2, 0},
	    {ABORT, 1, 1},
	};
	char content[16] = {0};

	(void)state;
	for (int at = 0; at < 3; at++) { /* before the parameters, among them, in the body */
		for (size_t i = 0; i < COUNT(t); i++) {
			said = 0;
			say_begin(1, 1, 0);
			if (at > 0)
				say_record(PARAMS, 1, "\1\1ab", 4, 0);
			if (at > 1)
				say_record(PARAMS, 1, NULL, 0, 0);
			say_record(t[i].type, t[i].id, content, t[i].n, 0);
			assert_int_equal(phase_of_line(said), RECORD_BROKEN);
			assert_int_equal(phase_of_line(1), RECORD_BROKEN);
		}
		said = 0;
		say_begin(1, 1, 0);
		if (at > 0)
			say_record(PARAMS, 1, NULL, 0, 0);
		say_record(at > 0 ? PARAMS : STDIN, 1, NULL, 0, 0);
		assert_int_equal(phase_of_line(said), RECORD_BROKEN);
		said = 0;
		say_begin(1, 1, 0);
		if (at > 0)
			say_record(PARAMS, 1, NULL, 0, 0);
		say_record(ABORT, 1, NULL, 0, 0);
		assert_int_equal(phase_of_line(said), RECORD_ABORTED);
	}
}

static void
test_how_it_has_to_begin(void **state)
{
	static const unsigned char roles[] = {0, 2, 3, 99};

	(void)state;
	for (size_t i = 0; i < COUNT(roles); i++) {
		said = 0;
		say_begin(1, roles[i], 0);
		assert_int_equal(phase_of_line(1), RECORD_BROKEN);
	}
	said = 0;
	say_begin(0, 1, 0);
	assert_int_equal(phase_of_line(1), RECORD_BROKEN);
	for (unsigned type = 0; type < 256; type++) {
		said = 0;
		say_record(type, 1, "\0\1\0\0\0\0\0", 8, 0);
		assert_int_equal(
		    phase_of_line(said), type == BEGIN ? RECORD_HEAD : RECORD_BROKEN);
	}
	said = 0;
	say_begin(1, 1, 0);
	for (unsigned version = 0; version < 256; version++) {
		line[0] = (unsigned char)version;
		assert_int_equal(
		    phase_of_line(said), version == 1 ? RECORD_HEAD : RECORD_BROKEN);
	}
}

/* Are the parameters of a request with this text fit? */
static bool
is_fit(const void *params, size_t n, size_t step)
{
	struct record r;
	size_t body;
	bool fit;

	said = 0;
	say_begin(1, 1, 0);
	for (size_t at = 0; at < n; at += step)
		say_record(
		    PARAMS, 1, (const char *)params + at, step < n - at ? step : n - at, 0);
	say_record(PARAMS, 1, NULL, 0, 0);
	record_open(&r);
	(void)take_all(&r, said, NULL, &body);
	assert_int_equal(r.phase, RECORD_BODY);
	fit = !r.unfit;
	assert_int_equal(r.params.n, fit ? n : 0);
	record_close(&r);
	return fit;
}

/* What cannot be told apart, or is not all there, counts as no parameters. */
static void
test_params(void **state)
{
	static const struct {
		size_t n;
		const char *text;
		bool fit;
	} t[] = {
	    {0, "", true},
	    {4, "\1\1ab", true},
	    {3, "\1\0a", true},
	    {4, "\1\1a=", true},
	    {10, "\x80\0\0\1\x80\0\0\1ab", true},
	    {7, "\1\x80\0\0\1ab", true},
	    /* no name; a name with "="; a NUL */
	    {2, "\0\0", false},
	    {3, "\0\1v", false},
	    {4, "\2\0a=", false},
	    {4, "\1\1\0b", false},
	    {4, "\1\1a\0", false},
	    /* cut off */
	    {1, "\1", false},
	    {2, "\1\1", false},
	    {3, "\1\1a", false},
	    {1, "\x80", false},
	    {4, "\x80\0\0\1", false},
	    {5, "\x80\0\0\1\x80", false},
	    {5, "\1\1abc", false},
	    /* lengths no memory has, and sums that overflow 32 bits */
	    {8, "\xff\xff\xff\xff\xff\xff\xff\xff", false},
	    {5, "\xff\xff\xff\xff\0", false},
	    {8, "\xff\xff\xff\xff\x80\0\0\1", false},
	    {6, "\1\xff\xff\xff\xff\x61", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		assert_int_equal(is_fit(t[i].text, t[i].n, 65535), t[i].fit);
		assert_int_equal(is_fit(t[i].text, t[i].n, 1), t[i].fit);
	}
}

/* So many are taken, and not one more; the rest is read so that there can be an answer. */
static void
test_limits_of_params(void **state)
{
	size_t max = (size_t)1 << 20;
	char *p = calloc(1, 2 * max);

	(void)state;
	assert_non_null(p);
	for (size_t i = 0; i <= RECORD_COUNT; i++)
		memcpy(p + 3 * i, "\1\0a", 3);
	assert_true(is_fit(p, (size_t)3 * RECORD_COUNT, 65535));
	assert_false(is_fit(p, (size_t)3 * RECORD_COUNT + 3, 65535));
	memset(p, 'v', 2 * max);
	memcpy(p, "\1\x80\0\xff\xf9n", 6); /* 1 + 4 + 1 + 65529 */
	assert_true(is_fit(p, RECORD_PARAMS, 65535));
	p[4]++;
	assert_false(is_fit(p, RECORD_PARAMS + 1, 65535));
	assert_false(is_fit(p, max, 65535));
	said = 0;
	say_begin(1, 1, 0);
	for (size_t at = 0; at < 2 * max; at += 32768)
		say_record(PARAMS, 1, p + at, 32768, 0);
	assert_int_equal(phase_of_line(said), RECORD_BROKEN);
	free(p);
}

/* Whatever comes: nothing is read beyond it, and memory stays within its limits. */
static void
test_random(void **state)
{
	struct rnd rnd = rnd_new("test_random");

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct record r;
		size_t n;

		said = 0;
		say_begin((unsigned)rnd_below(&rnd, 3), 1, (unsigned char)rnd_below(&rnd, 4));
		for (uint64_t i = rnd_below(&rnd, 6); i > 0; i--) {
			uint64_t noise[8];

			for (size_t k = 0; k < COUNT(noise); k++)
				noise[k] = rnd_next(&rnd);
			say_record(rnd_below(&rnd, 8) == 0 ? (unsigned)rnd_below(&rnd, 12)
							   : (i > 3 ? PARAMS : STDIN),
			    1, noise, rnd_below(&rnd, 3) * rnd_below(&rnd, 32),
			    (unsigned)rnd_below(&rnd, 9));
		}
		for (uint64_t i = rnd_below(&rnd, 4); i > 0; i--)
			line[rnd_below(&rnd, said)] ^= (unsigned char)(1 << rnd_below(&rnd, 8));
		record_open(&r);
		(void)take_all(&r, 1 + rnd_below(&rnd, 40), NULL, &n);
		assert_true(n <= said);
		assert_true(record_memory(&r) <= RECORD_PARAMS + RECORD_AHEAD + 1024);
		record_close(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_dialogue_in_pieces),
	    cmocka_unit_test(test_two_requests_at_once),
	    cmocka_unit_test(test_what_ends_it),
	    cmocka_unit_test(test_how_it_has_to_begin),
	    cmocka_unit_test(test_params),
	    cmocka_unit_test(test_limits_of_params),
	    cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
