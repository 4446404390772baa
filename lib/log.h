/*
 * SPDX-License-Identifier: ISC
 *
 * log - one line an event, to stderr or to the journal.
 *
 * A line is key=value pairs or one JSON object, written by one call, so that
 * lines of several processes never mix.  Peer text is escaped here.
 */
#ifndef ARKEN_LOG_H
#define ARKEN_LOG_H

#include <stddef.h>

#include "err.h"

enum log_level { LOG_ERROR = 3, LOG_WARN = 4, LOG_NOTE = 5, LOG_INFO = 6, LOG_TRACE = 7 };
enum log_format { LOG_KV, LOG_JSON };
enum log_target { LOG_AUTO, LOG_STDERR, LOG_JOURNAL };

#define LOG_LINE 4096 /* a longer line is cut, and says so */

/*
 * Set up once, before threads.  LOG_AUTO: the journal if stderr is connected
 * to it (JOURNAL_STREAM, systemd.exec(5)), else stderr.  The program's name is borrowed.
 */
void log_open(const char *program, enum log_format format, enum log_target target);

/* Lines above this level are not written; the start value is LOG_INFO.  At any time. */
void log_level(enum log_level most);

/*
 * One line: what happened, then pairs of key and value (const char *), ended
 * by LOG_END.  A pair whose value is NULL or "" is left out.
 */
void log_put(enum log_level level, const char *what, ...);
#define LOG_END ((const char *)0)

/*
 * The pairs as "key=value key=value\n" into out (also used for the spool's own log);
 * returns the length, at most size - 1; ends in a newline.  size is at least 64.  What does
 * not fit is left out, and the line ends in cut=yes.
 */
size_t log_kv(char *out, size_t size, const char *const *pairs, size_t n);

/* Tests: lines go to this function instead. */
void log_capture(void (*sink)(const char *line, size_t n));

#endif
