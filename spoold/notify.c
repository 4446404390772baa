/*
 * SPDX-License-Identifier: ISC
 *
 * notify - tells the service manager how the process is; see notify.h.
 */
#include "config.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clk.h"
#include "io.h"
#include "log.h"
#include "notify.h"
#include "str.h"

static struct sockaddr_un to; /* sun_family 0: nobody wants to know */
static socklen_t to_len;
static int64_t every; /* milliseconds between two signs of life; 0: none are wanted */
static int64_t due;
static char status[NOTIFY_TEXT];

static void
set_address(const char *text)
{
	size_t n = strlen(text);

	if ((text[0] != '/' && text[0] != '@') || text[1] == '\0' || n >= sizeof(to.sun_path)) {
		log_put(LOG_WARN, "NOTIFY_SOCKET is of no use", "value", text, LOG_END);
		return;
	}
	memcpy(to.sun_path, text, n + 1);
	to.sun_family = AF_UNIX;
	to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	if (text[0] == '@')
		to.sun_path[0] = '\0'; /* abstract: of exactly this length */
	else
		to_len++;
}

/* Is the watchdog, if there is one, about this process? */
static void
set_watchdog(const char *usec, const char *pid)
{
	uint64_t n, of;

	if (usec == NULL || !str_u64(usec, 1, INT64_MAX, &n) ||
	    (pid != NULL && (!str_u64(pid, 1, INT32_MAX, &of) || (pid_t)of != getpid())))
		return;
	every = (int64_t)(n / 2000);
	if (every == 0)
		every = 1;
}

void
notify_open(void)
{
	const char *socket_name = getenv("NOTIFY_SOCKET");

	memset(&to, 0, sizeof(to));
	every = due = 0;
	status[0] = '\0';
	if (socket_name != NULL)
		set_address(socket_name);
	if (to.sun_family != 0)
		set_watchdog(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"));
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
}

/* One datagram; a manager that does not take it at once is not waited for. */
static void
tell(const char *text)
{
	struct err e;
	int fd;

	if (to.sun_family == 0)
		return;
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0 ||
	    sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&to, to_len) <
		0) {
		(void)err_sys(&e, fd < 0 ? "socket" : "sendto", "NOTIFY_SOCKET");
		log_put(
		    LOG_WARN, "the service manager cannot be told", "reason", e.text, LOG_END);
	}
	io_close(&fd);
}

/* Keep it as one line. */
static void
set_status(const char *text)
{
	(void)snprintf(status, sizeof(status), "%s", text);
	for (char *p = status; *p != '\0'; p++)
		if (*p == '\n')
			*p = ' ';
}

void
notify_ready(const char *text)
{
	char b[NOTIFY_TEXT + 32];

	set_status(text);
	(void)snprintf(b, sizeof(b), "READY=1\nSTATUS=%s", status);
	tell(b);
	if (every != 0) {
		tell("WATCHDOG=1");
		due = clk_mono() + every;
	}
}

void
notify_reloading(void)
{
	char b[80];

	(void)snprintf(b, sizeof(b), "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clk_micro());
	tell(b);
}

void
notify_stopping(void)
{
	tell("STOPPING=1\nSTATUS=stopping");
}

void
notify_status(const char *text)
{
	char before[NOTIFY_TEXT], b[NOTIFY_TEXT + 32];

	memcpy(before, status, sizeof(before));
	set_status(text);
	if (str_eq(before, status))
		return;
	(void)snprintf(b, sizeof(b), "STATUS=%s", status);
	tell(b);
}

void
notify_tick(int64_t now)
{
	if (due == 0 || now < due)
		return;
	tell("WATCHDOG=1");
	due = now + every;
}

int64_t
notify_due(void)
{
	return due == 0 ? INT64_MAX : due;
}
