/*
 * SPDX-License-Identifier: ISC
 *
 * harden - what the process gives up; see harden.h.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harden.h"

#define FD_PER_THREAD 6 /* an event's file, the day's log, a socket pair, and some */
#define FD_COMMON 64
#define HEAPS 2
#define HEAP_BLOCK (256 << 10) /* what is larger has pages of its own */
#define HEAP_KEPT (1 << 20)

/* A sanitizer's leak check reads the memory of its own process from outside. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDUMPABLE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define UNDUMPABLE 0
#endif
#endif
#ifndef UNDUMPABLE
#define UNDUMPABLE 1
#endif

static enum rc
fill_standard(struct err *e)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		/* The lowest free number is this one: those below it are open. */
		if (open("/dev/null", O_RDWR) < 0)
			return err_sys(e, "open", "/dev/null");
	}
	return RC_OK;
}

enum rc
harden_process(struct err *e)
{
	const struct rlimit none = {0, 0};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	enum rc rc;

	if ((rc = fill_standard(e)) != RC_OK)
		return rc;
	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return err_sys(e, "setrlimit", "RLIMIT_CORE");
	if (UNDUMPABLE && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return err_sys(e, "prctl", "PR_SET_DUMPABLE");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return err_sys(e, "prctl", "PR_SET_NO_NEW_PRIVS");
	if (sigaction(SIGPIPE, &ignore, NULL) != 0)
		return err_sys(e, "sigaction", "SIGPIPE");
	if (sigaction(SIGXFSZ, &ignore, NULL) != 0)
		return err_sys(e, "sigaction", "SIGXFSZ");
	return RC_OK;
}

/*
 * Without these the C library keeps blocks of up to 32 MiB, and as many heaps as eight times
 * the processors, each as large as it ever was.
 */
void
harden_memory(void)
{
#ifdef M_ARENA_MAX
	(void)mallopt(M_ARENA_MAX, HEAPS);
	(void)mallopt(M_MMAP_THRESHOLD, HEAP_BLOCK);
	(void)mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
#endif
}

unsigned
harden_descriptors(unsigned threads, unsigned connections)
{
	rlim_t others = (rlim_t)threads * FD_PER_THREAD + FD_COMMON;
	rlim_t want = others + connections;
	struct rlimit now;

	if (getrlimit(RLIMIT_NOFILE, &now) != 0 || now.rlim_cur >= want)
		return connections;
	now.rlim_cur = want < now.rlim_max ? want : now.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &now) != 0 && getrlimit(RLIMIT_NOFILE, &now) != 0)
		return 1;
	return now.rlim_cur > others ? (unsigned)(now.rlim_cur - others) : 1;
}
