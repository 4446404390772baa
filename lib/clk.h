/*
 * SPDX-License-Identifier: ISC
 *
 * clk - the one source of time and of randomness, and their texts.
 *
 * Times are milliseconds.  Both sources can be replaced by tests.
 */
#ifndef ARKEN_CLK_H
#define ARKEN_CLK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define CLK_TEXT 40 /* room for any text made here, with its NUL */
#define CLK_SECOND INT64_C(1000)
#define CLK_MINUTE (60 * CLK_SECOND)
#define CLK_HOUR (60 * CLK_MINUTE)
#define CLK_DAY (24 * CLK_HOUR)

/* Milliseconds since 1970-01-01T00:00:00Z. */
int64_t clk_wall(void);

/* Milliseconds of a clock that never jumps (CLOCK_MONOTONIC). */
int64_t clk_mono(void);

/* Microseconds of the same clock. */
int64_t clk_micro(void);

/*
 * Milliseconds of the wall clock as the kernel stamps files with it: behind clk_wall() by at
 * most a tick.  A file made after this was read has no earlier stamp, if nobody sets the clock.
 */
int64_t clk_stamp(void);

/*
 * A descriptor that knows when somebody sets the wall clock; -1: it cannot be known here.  The
 * caller closes it.
 */
int clk_watch(void);

/* Was it set since it was asked this last?  true as well if that cannot be known. */
bool clk_was_set(int watch);

/* Replace the clocks (tests); NULL puts the real one back. */
void clk_replace(int64_t (*wall)(void), int64_t (*mono)(void));

/* Fill p with n bytes an attacker cannot guess; never fails (aborts if the kernel has none). */
void clk_random(void *p, size_t n);

/* An evenly distributed number in 0..max, both included. */
uint64_t clk_random_below(uint64_t max);

/* Replace the source of randomness (tests); NULL puts the real one back. */
void clk_replace_random(void (*fill)(void *, size_t));

/* "2026-03-05T10:11:12.345Z" (RFC 3339). */
void clk_rfc3339(int64_t ms, char out[CLK_TEXT]);

/* "Thu, 05 Mar 2026 10:11:12 +0000" (RFC 5322 section 3.3). */
void clk_rfc5322(int64_t ms, char out[CLK_TEXT]);

/* "20260305T101112Z", fit for file names. */
void clk_compact(int64_t ms, char out[CLK_TEXT]);

/* "2026-03-05", UTC. */
void clk_day(int64_t ms, char out[CLK_TEXT]);

/*
 * Read an RFC 3339 time; the fraction may have any length (cut to
 * milliseconds), the zone may be missing (UTC).  false: not such a time.
 */
bool clk_parse(const char *text, int64_t *ms) MUST_CHECK;

/* "3 min", "2 h 5 min", "4 d 1 h": for people. */
void clk_span(int64_t ms, char out[CLK_TEXT]);

#endif
