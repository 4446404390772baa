/*
 * SPDX-License-Identifier: ISC
 *
 * keeper - forks a warden for each program; see keeper.h.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper.h"

#define OWN_FD 3 /* where its socket is; nothing else is open but 0, 1 and 2 */

bool
keeper_send(int fd, const void *p, size_t n, const int fds[2])
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} c;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)p, .iov_len = n};
	struct msghdr m = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &c,
	    .msg_controllen = sizeof(c.room)};

	memset(&c, 0, sizeof(c));
	c.head.cmsg_level = SOL_SOCKET;
	c.head.cmsg_type = SCM_RIGHTS;
	c.head.cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(&c.head), fds, 2 * sizeof(int));
	return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n;
}

/* One request; returns its length, 0: the daemon is gone, -1: look again. */
static ssize_t
take_request(int fd, char *p, size_t size, int fds[2])
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} c;
	struct iovec iov = {.iov_base = p, .iov_len = size};
	struct msghdr m = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &c,
	    .msg_controllen = sizeof(c.room)};
	const struct cmsghdr *head;
	ssize_t n;

	fds[0] = fds[1] = -1;
	n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	if (n <= 0)
		return n < 0 && errno == EINTR ? -1 : 0;
	head = CMSG_FIRSTHDR(&m);
	if (head == NULL || head->cmsg_type != SCM_RIGHTS ||
	    head->cmsg_len != CMSG_LEN(2 * sizeof(int)))
		return -1;
	memcpy(fds, CMSG_DATA(head), 2 * sizeof(int));
	return n;
}

/* Leave everything of the daemon behind. */
static void
settle(int fd)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	int null;

	(void)prctl(PR_SET_NAME, "spoold-keeper", 0, 0, 0);
	/* 0, 1 and 2 are open, so that no descriptor of ours becomes a program's. */
	while ((null = open("/dev/null", O_RDWR)) >= 0 && null < OWN_FD)
		;
	(void)setsid();
	if (fd != OWN_FD && dup3(fd, OWN_FD, O_CLOEXEC) < 0)
		_exit(1);
	if (close_range(OWN_FD + 1, ~0U, 0) != 0)
		_exit(1);
	/* Whoever is told to stop is the daemon: this ends by itself after it. */
	(void)sigaction(SIGTERM, &ignore, NULL);
	(void)sigaction(SIGINT, &ignore, NULL);
	(void)sigaction(SIGHUP, &ignore, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	(void)sigaction(SIGCHLD, &ignore, NULL); /* wardens are reaped by the kernel */
}

void
keeper_run(int fd)
{
	static char b[CHILD_REQUEST];
	struct keeper_request rq;
	struct keeper_result failed = {.fate = CHILD_UNABLE};
	int fds[2];
	ssize_t n;

	settle(fd);
	while ((n = take_request(OWN_FD, b, sizeof(b), fds)) != 0) {
		pid_t pid = -1;

		if (n > (ssize_t)sizeof(rq)) {
			memcpy(&rq, b, sizeof(rq));
			pid = fork();
		}
		if (pid == 0) {
			(void)close(OWN_FD);
			warden_run(&rq, b + sizeof(rq), fds);
		}
		failed.sys = errno;
		if (pid < 0 && fds[1] >= 0)
			(void)!send(fds[1], &failed, sizeof(failed), MSG_NOSIGNAL);
		(void)close(fds[0]);
		(void)close(fds[1]);
	}
	_exit(0);
}
