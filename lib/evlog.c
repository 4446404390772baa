/*
 * SPDX-License-Identifier: ISC
 *
 * evlog - the spool's own log; see evlog.h.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clk.h"
#include "evlog.h"
#include "io.h"
#include "log.h"
#include "str.h"

#define EVLOG_PAIRS 24
#define EVLOG_DAYS 4096 /* files in log/ that are looked at */

/* The file of a day for appending, made if it is not there: both users write to it. */
static enum rc
open_day(int dir, const char *day, int *fd, struct err *e)
{
	/* O_NONBLOCK: a pipe in the place of the file must not hold anybody up. */
	const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	struct stat st;
	enum rc rc;

	*fd = openat(dir, day, flags);
	if (*fd < 0 && errno == ENOENT) {
		*fd = openat(dir, day, flags | O_CREAT | O_EXCL, 0600);
		if (*fd >= 0 && fchmod(*fd, 0660) != 0) {
			rc = err_sys(e, "fchmod", day);
			io_close(fd);
			return rc;
		}
		if (*fd < 0 && errno == EEXIST) /* another process was first */
			*fd = openat(dir, day, flags);
	}
	if (*fd < 0)
		return err_sys(e, "openat", day);
	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode))
		return RC_OK;
	io_close(fd);
	return err_set(e, RC_CONFIG, "log/%s is not a regular file", day);
}

static enum rc
append(int dir, int64_t now, const char *line, size_t n, struct err *e)
{
	char day[CLK_TEXT];
	enum rc rc;
	ssize_t k;
	int fd;

	clk_day(now, day);
	if ((rc = open_day(dir, day, &fd, e)) != RC_OK)
		return rc;
	if ((k = write(fd, line, n)) < 0)
		rc = err_sys(e, "write", day);
	else if ((size_t)k != n)
		rc = err_set(e, RC_FULL, "log/%s: a line was cut", day);
	io_close(&fd);
	return rc;
}

enum rc
evlog_put(int dir, int64_t now, const char *step, const char *name, struct err *e, ...)
{
	char stamp[CLK_TEXT], line[EVLOG_LINE];
	const char *pairs[2 * EVLOG_PAIRS] = {"time", NULL, "step", step, "event", name};
	size_t n = 6;
	va_list ap;

	clk_rfc3339(now, stamp);
	pairs[1] = stamp;
	va_start(ap, e);
	while (n + 2 <= 2 * EVLOG_PAIRS) {
		if ((pairs[n] = va_arg(ap, const char *)) == NULL)
			break;
		pairs[n + 1] = va_arg(ap, const char *);
		n += 2;
	}
	va_end(ap);
	n = log_kv(line, sizeof(line), pairs, n);
	return append(dir, now, line, n, e);
}

/* Where the pair at p ends: at a blank outside of quotes, or with the line. */
static const char *
pair_end(const char *p)
{
	bool quoted = false;

	for (; *p != '\0' && *p != '\n' && (quoted || *p != ' '); p++) {
		if (quoted && *p == '\\' && p[1] != '\0')
			p++;
		else if (*p == '"')
			quoted = !quoted;
	}
	return p;
}

/* A value without its quotes; bytes that are unsafe to print stay escaped (\xNN). */
static bool
read_value(const char *p, char *out, size_t size)
{
	size_t n = 0;

	if (*p != '"')
		return str_copy_n(out, size, p, strcspn(p, " \n"));
	for (p++; *p != '\0' && *p != '"'; p++) {
		if (*p == '\\' && (p[1] == '"' || p[1] == '\\'))
			p++;
		if (n + 1 >= size) {
			out[0] = '\0';
			return false;
		}
		out[n++] = *p;
	}
	out[n] = '\0';
	return true;
}

bool
evlog_value(const char *line, const char *key, char *out, unsigned size)
{
	size_t k = strlen(key);

	out[0] = '\0';
	for (;; line = pair_end(line)) {
		line += strspn(line, " ");
		if (*line == '\0' || *line == '\n')
			return false;
		if (strncmp(line, key, k) == 0 && line[k] == '=')
			return read_value(line + k + 1, out, size);
	}
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool
is_day(const char *name)
{
	int64_t ms;
	char text[CLK_TEXT];

	if (strlen(name) != 10)
		return false;
	(void)snprintf(text, sizeof(text), "%.10sT00:00:00Z", name);
	return clk_parse(text, &ms);
}

/* The names of all days, sorted; the caller frees *days. */
static enum rc
list_days(int dir, char (**days)[11], size_t *count, struct err *e)
{
	const struct dirent *de;
	enum rc rc = RC_OK;
	DIR *d;
	int fd;

	*count = 0;
	if ((*days = calloc(EVLOG_DAYS, sizeof(**days))) == NULL)
		return err_set(e, RC_LATER, "no memory");
	if ((rc = io_open_dir(dir, ".", &fd, e)) != RC_OK)
		goto out;
	if ((d = fdopendir(fd)) == NULL) {
		rc = err_sys(e, "fdopendir", "log");
		io_close(&fd);
		goto out;
	}
	while (*count < EVLOG_DAYS && (de = readdir(d)) != NULL)
		if (is_day(de->d_name) && str_copy((*days)[*count], 11, de->d_name))
			(*count)++;
	(void)closedir(d);
	qsort(*days, *count, sizeof(**days), by_name);
out:
	if (rc != RC_OK) {
		free(*days);
		*days = NULL;
	}
	return rc;
}

struct story {
	struct told {
		char *line;
		size_t at; /* in the order of the files */
	} told[EVLOG_STORY];
	size_t n;
};

/* Beyond EVLOG_STORY lines the oldest is forgotten. */
static bool
story_add(struct story *s, const char *line)
{
	struct told *t = &s->told[s->n % EVLOG_STORY];

	free(t->line);
	if ((t->line = strdup(line)) == NULL)
		return false;
	t->at = s->n++;
	return true;
}

/* Several processes write: a line may come later into the file than one about later things. */
static int
by_time(const void *a, const void *b)
{
	const struct told *x = a, *y = b;
	char xt[CLK_TEXT], yt[CLK_TEXT];
	int order;

	(void)!evlog_value(x->line, "time", xt, sizeof(xt));
	(void)!evlog_value(y->line, "time", yt, sizeof(yt));
	order = strcmp(xt, yt);
	return order != 0 ? order : x->at < y->at ? -1 : x->at > y->at;
}

/*
 * The next line, its end included, in n bytes.  A NUL reads as a blank: a power cut may leave
 * some at the end of a file, and the line that is added after them is to be found.
 */
static bool
next_line(FILE *f, char line[EVLOG_LINE], size_t *n)
{
	int c = '\0';

	*n = 0;
	while (*n + 1 < EVLOG_LINE && c != '\n' && (c = getc_unlocked(f)) != EOF)
		line[(*n)++] = c != '\0' ? (char)c : ' ';
	line[*n] = '\0';
	return *n > 0;
}

/* The lines of one day that are about name. */
static enum rc
read_day(int dir, const char *day, const char *name, struct story *s)
{
	char line[EVLOG_LINE], of[EVLOG_LINE];
	enum rc rc = RC_OK;
	size_t n;
	FILE *f;
	int fd;

	if (io_open(dir, day, &fd, NULL) != RC_OK)
		return RC_OK;
	if ((f = fdopen(fd, "r")) == NULL) {
		io_close(&fd);
		return RC_LATER;
	}
	while (rc == RC_OK && next_line(f, line, &n)) {
		line[strcspn(line, "\n")] = '\0';
		if (evlog_value(line, "event", of, sizeof(of)) && str_eq(of, name) &&
		    !story_add(s, line))
			rc = RC_LATER;
	}
	(void)fclose(f);
	return rc;
}

static void
story_tell(struct story *s, bool (*fn)(const char *line, void *), void *arg)
{
	size_t n = s->n < EVLOG_STORY ? s->n : EVLOG_STORY;

	qsort(s->told, n, sizeof(s->told[0]), by_time);
	for (size_t i = 0; i < n && fn(s->told[i].line, arg); i++)
		;
}

enum rc
evlog_story(
    int dir, const char *name, bool (*fn)(const char *line, void *), void *arg, struct err *e)
{
	struct story *s;
	char(*days)[11];
	size_t n;
	enum rc rc;

	if ((rc = list_days(dir, &days, &n, e)) != RC_OK)
		return rc;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		rc = RC_LATER;
	for (size_t i = 0; i < n && rc == RC_OK; i++)
		rc = read_day(dir, days[i], name, s);
	if (rc == RC_OK)
		story_tell(s, fn, arg);
	else
		(void)err_set(e, rc, "no memory for the log");
	for (size_t i = 0; s != NULL && i < EVLOG_STORY; i++)
		free(s->told[i].line);
	free(s);
	free(days);
	return rc;
}

/* May the value of this key stay when its event is erased? */
static bool
is_harmless(const char *key, size_t n)
{
	static const char *const keys[] = {"time", "step", "event", "by", "from", "source",
	    "auth", "bytes", "ms", "status", "verdict", "again_in", "tries", "operator", "uid",
	    "events", "fresh"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strlen(keys[i]) == n && strncmp(key, keys[i], n) == 0)
			return true;
	return false;
}

/* In place, length and quotes kept; false: nothing had to be changed. */
static bool
redact_line(char *line)
{
	bool changed = false;

	for (char *p = line; *p != '\0' && *p != '\n';) {
		char *value = p + strcspn(p, "= \n"), *end = p + (pair_end(p) - p);
		bool keep = *value != '=' || is_harmless(p, (size_t)(value - p));

		for (char *q = value + 1; !keep && q < end; q++) {
			if (*q == 'x' || (*q == '"' && (q == value + 1 || q + 1 == end)))
				continue;
			*q = 'x';
			changed = true;
		}
		p = end + (*end == ' ');
	}
	return changed;
}

static enum rc
redact_day(int dir, const char *day, bool (*is_of)(const char *line, void *), void *arg,
    uint64_t *lines, struct err *e)
{
	int fd = openat(dir, day, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	char line[EVLOG_LINE];
	enum rc rc = RC_OK;
	off_t at = 0;
	size_t n;
	FILE *f;

	if (fd < 0)
		return errno == ENOENT ? RC_OK : err_sys(e, "openat", day);
	if ((f = fdopen(fd, "r")) == NULL) {
		rc = err_sys(e, "fdopen", day);
		io_close(&fd);
		return rc;
	}
	while (rc == RC_OK && next_line(f, line, &n)) {
		if (is_of(line, arg) && redact_line(line)) {
			if (pwrite(fd, line, n, at) != (ssize_t)n)
				rc = err_sys(e, "pwrite", day);
			(*lines)++;
		}
		at += (off_t)n;
	}
	if (rc == RC_OK && (ferror(f) != 0 || fdatasync(fd) != 0))
		rc = err_sys(e, "read and sync", day);
	(void)fclose(f);
	return rc;
}

enum rc
evlog_redact(
    int dir, bool (*is_of)(const char *line, void *), void *arg, uint64_t *lines, struct err *e)
{
	char(*days)[11];
	enum rc rc;
	size_t n;

	if ((rc = list_days(dir, &days, &n, e)) != RC_OK)
		return rc;
	for (size_t i = 0; i < n && rc == RC_OK; i++)
		rc = redact_day(dir, days[i], is_of, arg, lines, e);
	free(days);
	return rc;
}

enum rc
evlog_purge(int dir, int64_t before, struct err *e)
{
	char(*days)[11], limit[CLK_TEXT];
	enum rc rc;
	size_t n;

	if ((rc = list_days(dir, &days, &n, e)) != RC_OK)
		return rc;
	clk_day(before, limit);
	for (size_t i = 0; i < n && strcmp(days[i], limit) < 0; i++) {
		enum rc one = io_unlink(dir, days[i], e);

		if (one != RC_OK && one != RC_GONE)
			rc = one;
	}
	free(days);
	return rc;
}
