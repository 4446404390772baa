/*
 * SPDX-License-Identifier: ISC
 *
 * notify - tells the service manager how the process is (sd_notify(3)), without its library.
 *
 * One for the whole process, like log.  Without a manager everything here does nothing; that it
 * cannot be told costs sight, never an event.
 */
#ifndef ARKEN_NOTIFY_H
#define ARKEN_NOTIFY_H

#include <stdint.h>

#define NOTIFY_TEXT 480 /* a longer message is cut */

/*
 * Who wants to know, and how often: NOTIFY_SOCKET (a path, or "@" and an abstract name),
 * WATCHDOG_USEC and WATCHDOG_PID are read and taken out of the environment.
 */
void notify_open(void);

/* Started, or done with a reload; text is one line for people. */
void notify_ready(const char *text);

/* A reload begins; notify_ready ends it, whatever came of it. */
void notify_reloading(void);

void notify_stopping(void);

/* One line for people, if it is another one than before. */
void notify_status(const char *text);

/* "I am alive", if it is time (monotonic clock): twice as often as the manager wants it. */
void notify_tick(int64_t now);

/* When notify_tick has something to do next; INT64_MAX: never. */
int64_t notify_due(void);

#endif
