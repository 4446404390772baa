/*
 * SPDX-License-Identifier: ISC
 *
 * clk - time and randomness; see clk.h.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "clk.h"

#define SPAN_MAX (100000 * CLK_DAY) /* longer ones are told as this */

static int64_t (*wall_source)(void);
static int64_t (*mono_source)(void);
static void (*random_source)(void *, size_t);

static int64_t
read_clock(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) != 0)
		abort();
	return (int64_t)ts.tv_sec * CLK_SECOND + ts.tv_nsec / 1000000;
}

int64_t
clk_wall(void)
{
	return wall_source != NULL ? wall_source() : read_clock(CLOCK_REALTIME);
}

int64_t
clk_mono(void)
{
	return mono_source != NULL ? mono_source() : read_clock(CLOCK_MONOTONIC);
}

int64_t
clk_micro(void)
{
	struct timespec ts;

	if (mono_source != NULL)
		return mono_source() * 1000;
	if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0)
		abort();
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
clk_stamp(void)
{
	return wall_source != NULL ? wall_source() : read_clock(CLOCK_REALTIME_COARSE);
}

int
clk_watch(void)
{
	const struct itimerspec never = {.it_value.tv_sec = INT32_MAX}; /* the year 2038 */
	int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd >= 0 && timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
			   NULL) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

bool
clk_was_set(int watch)
{
	uint64_t n;

	return read(watch, &n, sizeof(n)) >= 0 || errno != EAGAIN;
}

void
clk_replace(int64_t (*wall)(void), int64_t (*mono)(void))
{
	wall_source = wall;
	mono_source = mono;
}

void
clk_random(void *p, size_t n)
{
	unsigned char *at = p;
	ssize_t k;

	if (random_source != NULL) {
		random_source(p, n);
		return;
	}
	while (n > 0) {
		if ((k = getrandom(at, n < 256 ? n : 256, 0)) < 0) {
			if (errno != EINTR)
				abort();
			continue;
		}
		at += k;
		n -= (size_t)k;
	}
}

uint64_t
clk_random_below(uint64_t max)
{
	uint64_t r, limit;

	if (max == UINT64_MAX) {
		clk_random(&r, sizeof(r));
		return r;
	}
	limit = UINT64_MAX - UINT64_MAX % (max + 1);
	do {
		clk_random(&r, sizeof(r));
	} while (r >= limit);
	return r % (max + 1);
}

void
clk_replace_random(void (*fill)(void *, size_t))
{
	random_source = fill;
}

/* Broken-down UTC of a time that gmtime_r may refuse: then the epoch. */
static struct tm
utc(int64_t ms)
{
	time_t t = (time_t)(ms / CLK_SECOND - (ms % CLK_SECOND < 0 ? 1 : 0));
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || tm.tm_year + 1900 > 9999 || tm.tm_year + 1900 < 0) {
		memset(&tm, 0, sizeof(tm));
		tm.tm_year = 70;
		tm.tm_mday = 1;
		tm.tm_wday = 4;
	}
	return tm;
}

/* The four digits of the year; strftime's %Y leaves out the zeros of those before 1000. */
static size_t
put_year(char out[CLK_TEXT], const struct tm *tm)
{
	unsigned year = (unsigned)(tm->tm_year + 1900) % 10000;

	(void)snprintf(out, CLK_TEXT, "%04u", year);
	return 4;
}

void
clk_rfc3339(int64_t ms, char out[CLK_TEXT])
{
	struct tm tm = utc(ms);
	int part = (int)(((ms % CLK_SECOND) + CLK_SECOND) % CLK_SECOND);
	size_t n = put_year(out, &tm);

	n += strftime(out + n, CLK_TEXT - n, "-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(out + n, CLK_TEXT - n, ".%03dZ", part);
}

void
clk_rfc5322(int64_t ms, char out[CLK_TEXT])
{
	static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[12][4] = {
	    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct tm tm = utc(ms);

	(void)snprintf(out, CLK_TEXT, "%s, %02d %s %04d %02d:%02d:%02d +0000",
	    days[tm.tm_wday % 7], tm.tm_mday, months[tm.tm_mon % 12], tm.tm_year + 1900,
	    tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void
clk_compact(int64_t ms, char out[CLK_TEXT])
{
	struct tm tm = utc(ms);
	size_t n = put_year(out, &tm);

	(void)strftime(out + n, CLK_TEXT - n, "%m%dT%H%M%SZ", &tm);
}

void
clk_day(int64_t ms, char out[CLK_TEXT])
{
	struct tm tm = utc(ms);
	size_t n = put_year(out, &tm);

	(void)strftime(out + n, CLK_TEXT - n, "-%m-%d", &tm);
}

/* n digits at *p, moved past; -1: not n digits. */
static int
digits(const char **p, int n)
{
	int v = 0;

	for (; n > 0; n--, (*p)++) {
		if (**p < '0' || **p > '9')
			return -1;
		v = v * 10 + (**p - '0');
	}
	return v;
}

static int
take(const char **p, char c)
{
	return *(*p)++ == c ? 0 : -1;
}

/* Days from 1970-01-01 of a date in the proleptic Gregorian calendar. */
static int64_t
days_from_civil(int y, int m, int d)
{
	int64_t year = m <= 2 ? y - 1 : y;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t yoe = year - era * 400;
	int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

/* A fraction of any length, cut to milliseconds; -1: a point without digits. */
static int
fraction(const char **p)
{
	int v = 0, n = 0;

	if (**p != '.')
		return 0;
	for ((*p)++; **p >= '0' && **p <= '9'; (*p)++, n++)
		if (n < 3)
			v = v * 10 + (**p - '0');
	if (n == 0)
		return -1;
	for (; n < 3; n++)
		v *= 10;
	return v;
}

/* "Z", "+hh:mm" or nothing; minutes east of UTC, or -100000. */
static int
zone(const char **p)
{
	int sign, h, m;

	if (**p == '\0')
		return 0;
	if (**p == 'Z' || **p == 'z') {
		(*p)++;
		return 0;
	}
	if (**p != '+' && **p != '-')
		return -100000;
	sign = *(*p)++ == '-' ? -1 : 1;
	if ((h = digits(p, 2)) < 0 || h > 23 || take(p, ':') != 0 || (m = digits(p, 2)) < 0 ||
	    m > 59)
		return -100000;
	return sign * (h * 60 + m);
}

static bool
date_ok(int y, int m, int d)
{
	static const int len[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

	return m >= 1 && m <= 12 && d >= 1 && d <= len[m - 1] + (m == 2 && leap ? 1 : 0);
}

bool
clk_parse(const char *text, int64_t *ms)
{
	const char *p = text;
	int y, mo, d, h, mi, s, part, off;

	*ms = 0;
	if ((y = digits(&p, 4)) < 0 || take(&p, '-') != 0 || (mo = digits(&p, 2)) < 0 ||
	    take(&p, '-') != 0 || (d = digits(&p, 2)) < 0 || !date_ok(y, mo, d))
		return false;
	if (*p != 'T' && *p != 't' && *p != ' ')
		return false;
	p++;
	if ((h = digits(&p, 2)) < 0 || h > 23 || take(&p, ':') != 0 ||
	    (mi = digits(&p, 2)) < 0 || mi > 59 || take(&p, ':') != 0 ||
	    (s = digits(&p, 2)) < 0 || s > 60)
		return false;
	if ((part = fraction(&p)) < 0 || (off = zone(&p)) == -100000 || *p != '\0')
		return false;
	*ms = ((days_from_civil(y, mo, d) * 24 + h) * 60 + mi - off) * CLK_MINUTE +
	      s * CLK_SECOND + part;
	return true;
}

void
clk_span(int64_t ms, char out[CLK_TEXT])
{
	static const struct {
		int64_t unit, next;
		const char *name, *part;
	} t[] = {{CLK_DAY, CLK_HOUR, "d", "h"}, {CLK_HOUR, CLK_MINUTE, "h", "min"},
	    {CLK_MINUTE, CLK_SECOND, "min", "s"}};

	if (ms < 0)
		ms = 0;
	if (ms > SPAN_MAX)
		ms = SPAN_MAX;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		int whole = (int)(ms / t[i].unit), rest = (int)(ms % t[i].unit / t[i].next);

		if (whole == 0)
			continue;
		if (rest != 0 && whole < 10)
			(void)snprintf(
			    out, CLK_TEXT, "%d %s %d %s", whole, t[i].name, rest, t[i].part);
		else
			(void)snprintf(out, CLK_TEXT, "%d %s", whole, t[i].name);
		return;
	}
	(void)snprintf(out, CLK_TEXT, "%d s", (int)(ms / CLK_SECOND));
}
