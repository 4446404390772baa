/*
 * SPDX-License-Identifier: ISC
 *
 * log - one line an event; see log.h.
 */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "buf.h"
#include "clk.h"
#include "log.h"
#include "str.h"

#define LOG_PAIRS 32   /* pairs in one line */
#define LOG_VALUE 1024 /* a longer value is cut */
#define LOG_LEAST 16   /* a value is not cut to less than this */
#define LOG_CUT 16     /* room for what says that a line was cut, and for the end of a line */
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static const char *program = "arkenspool";
static enum log_format format = LOG_KV;
static atomic_int most = LOG_INFO; /* a reload may change it under other threads */
static int journal = -1;
static void (*capture)(const char *, size_t);

/* JOURNAL_STREAM names the device and inode of a stderr that leads to the journal. */
static bool
stderr_is_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM"), *colon;
	uint64_t dev, ino;
	char first[24];
	struct stat st;

	if (text == NULL || (colon = strchr(text, ':')) == NULL ||
	    !str_copy_n(first, sizeof(first), text, (size_t)(colon - text)) ||
	    !str_u64(first, 0, UINT64_MAX, &dev) || !str_u64(colon + 1, 0, UINT64_MAX, &ino))
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

static int
connect_journal(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

void
log_open(const char *name, enum log_format how, enum log_target target)
{
	program = name;
	format = how;
	if (journal >= 0)
		(void)close(journal);
	journal = -1;
	if (target == LOG_JOURNAL || (target == LOG_AUTO && stderr_is_journal()))
		journal = connect_journal();
}

void
log_level(enum log_level level)
{
	atomic_store(&most, (int)level);
}

void
log_capture(void (*sink)(const char *line, size_t n))
{
	capture = sink;
}

static const char *
level_name(enum log_level level)
{
	switch (level) {
	case LOG_ERROR:
		return "error";
	case LOG_WARN:
		return "warning";
	case LOG_NOTE:
		return "notice";
	case LOG_INFO:
		return "info";
	case LOG_TRACE:
		return "trace";
	}
	return "info";
}

/* A value that reads as one word stands bare, any other in double quotes. */
static void
add_value(struct buf *b, const char *safe)
{
	if (safe[strcspn(safe, " \"=\\")] == '\0' && safe[0] != '\0') {
		buf_str(b, safe);
		return;
	}
	buf_str(b, "\"");
	for (const char *p = safe; *p != '\0'; p++) {
		if (*p == '"')
			buf_str(b, "\\");
		buf_add(b, p, 1);
	}
	buf_str(b, "\"");
}

/* One pair, its value cut to limit. */
static void
add_pair(struct buf *b, enum log_format how, const char *key, const char *value, size_t limit)
{
	char safe[LOG_VALUE];

	(void)str_escape(safe, limit, value, strlen(value));
	if (how == LOG_JSON) {
		buf_str(b, b->n == 0 ? "{" : ",");
		buf_json(b, key);
		buf_str(b, ":");
		buf_json(b, safe);
		return;
	}
	if (b->n > 0)
		buf_str(b, " ");
	buf_str(b, key);
	buf_str(b, "=");
	add_value(b, safe);
}

/* The pair, or as much of its value as fits.  false: it was cut, or left out. */
static bool
fit_pair(struct buf *b, enum log_format how, const char *key, const char *value)
{
	size_t before = b->n;

	for (size_t limit = LOG_VALUE; limit >= LOG_LEAST; limit /= 4) {
		add_pair(b, how, key, value, limit);
		if (!b->broken)
			return limit == LOG_VALUE;
		b->n = before;
		b->broken = false;
	}
	return false;
}

/* The whole line.  One that does not fit is cut after a pair, and says so. */
static size_t
make_line(char *out, size_t size, enum log_format how, const char *const *pairs, size_t n)
{
	struct buf b = BUF_INIT(size - 1 - LOG_CUT);
	bool whole = true;

	for (size_t i = 0; i + 1 < n && whole; i += 2)
		if (pairs[i + 1] != NULL && pairs[i + 1][0] != '\0')
			whole = fit_pair(&b, how, pairs[i], pairs[i + 1]);
	b.max = size - 1;
	if (!whole)
		add_pair(&b, how, "cut", "yes", LOG_LEAST);
	if (how == LOG_JSON)
		buf_str(&b, b.n == 0 ? "{}" : "}");
	buf_str(&b, "\n");
	if (b.broken || b.n >= size) /* no memory: an empty line is still a line */
		buf_clear(&b);
	n = b.n;
	memcpy(out, buf_text(&b), n);
	buf_free(&b);
	if (n == 0)
		out[n++] = '\n';
	out[n] = '\0';
	return n;
}

size_t
log_kv(char *out, size_t size, const char *const *pairs, size_t n)
{
	return make_line(out, size, LOG_KV, pairs, n);
}

/* The journal's own protocol: one datagram of FIELD=value lines (systemd, "Native Journal
 * Protocol"). */
static bool
send_journal(enum log_level level, const char *line, size_t n)
{
	struct buf b = BUF_INIT(LOG_LINE + 256);
	bool sent;

	buf_fmt(&b, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=", (int)level, program);
	buf_add(&b, line, n);
	sent = !b.broken && send(journal, b.p, b.n, MSG_NOSIGNAL) == (ssize_t)b.n;
	buf_free(&b);
	return sent;
}

static void
emit(enum log_level level, const char *line, size_t n)
{
	if (capture != NULL) {
		capture(line, n);
		return;
	}
	if (journal >= 0 && send_journal(level, line, n))
		return;
	if (write(STDERR_FILENO, line, n) < 0)
		return; /* nobody is left to tell */
}

void
log_put(enum log_level level, const char *what, ...)
{
	char stamp[CLK_TEXT], line[LOG_LINE];
	const char *pairs[2 * LOG_PAIRS] = {
	    "time", NULL, "level", level_name(level), "program", program, "what", what};
	size_t n = 8;
	va_list ap;

	if ((int)level > atomic_load(&most))
		return;
	clk_rfc3339(clk_wall(), stamp);
	pairs[1] = stamp;
	va_start(ap, what);
	while (n + 2 <= 2 * LOG_PAIRS) {
		if ((pairs[n] = va_arg(ap, const char *)) == NULL)
			break;
		pairs[n + 1] = va_arg(ap, const char *);
		n += 2;
	}
	va_end(ap);
	n = make_line(line, sizeof(line), format, pairs, n);
	emit(level, line, n);
}
