/*
 * SPDX-License-Identifier: ISC
 *
 * warden - starts one program and ends all that came of it; see keeper.h.
 *
 * It is the reaper of everything the program starts, so what left the program's group is its
 * child in the end, and ended like the rest.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "keeper.h"

#define PROGRAM_UMASK 027
#define UNABLE 127     /* exit status of what could not become the program */
#define REAP_STEP 50   /* milliseconds between two looks at what is being killed */
#define REAP_STEPS 100 /* then it is left to the kernel */

struct warden {
	pid_t pid; /* the program, and its group */
	int daemon, output, signals;
	int64_t end; /* when it is ended, monotonic; then when it is killed */
	bool told, killed, over;
	struct keeper_result r;
	char ring[CHILD_OUTPUT - 1];
	size_t written; /* bytes of output in all */
};

static int64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- becoming the program ---- */

static void
unset_signals(void)
{
	struct sigaction plain = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &plain, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the new process.  failed is closed by the program's start, or tells why there is none. */
static void
become(char **argv, char **env, int input, int output, int failed, pid_t warden)
{
	const struct rlimit none = {0, 0};
	int sys;

	(void)setsid();
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != warden)
		_exit(UNABLE);
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)umask(PROGRAM_UMASK);
	/* All else that is open here is closed by the start of the program. */
	if (dup2(input, 0) == 0 && dup2(output, 1) == 1 && dup2(output, 2) == 2 &&
	    chdir("/") == 0) {
		unset_signals();
		(void)execve(argv[0], argv, env);
	}
	sys = errno;
	(void)!write(failed, &sys, sizeof(sys));
	_exit(UNABLE);
}

/* Cut texts into the two lists. */
static void
unpack(const struct keeper_request *rq, char *texts, char **argv, char **env)
{
	for (size_t i = 0; i < rq->nargv; i++, texts += strlen(texts) + 1)
		argv[i] = texts;
	argv[rq->nargv] = NULL;
	for (size_t i = 0; i < rq->nenv; i++, texts += strlen(texts) + 1)
		env[i] = texts;
	env[rq->nenv] = NULL;
}

/* false: no program; w->r.sys says why. */
static bool
start(struct warden *w, const struct keeper_request *rq, char *texts, int input)
{
	static char *argv[CHILD_WORDS + 1], *env[CHILD_WORDS + 1];
	int out[2], failed[2], sys = 0;
	pid_t me = getpid();

	unpack(rq, texts, argv, env);
	if (pipe2(out, O_CLOEXEC) != 0 || pipe2(failed, O_CLOEXEC) != 0 ||
	    (w->pid = fork()) < 0) {
		w->r.sys = errno;
		return false;
	}
	if (w->pid == 0)
		become(argv, env, input, out[1], failed[1], me);
	(void)close(input);
	(void)close(out[1]);
	(void)close(failed[1]);
	(void)fcntl(out[0], F_SETFL, O_NONBLOCK);
	w->output = out[0];
	while (read(failed[0], &sys, sizeof(sys)) < 0 && errno == EINTR)
		;
	(void)close(failed[0]);
	w->r.sys = sys;
	return sys == 0;
}

/* ---- its output ---- */

static void
keep(struct warden *w, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		w->ring[(w->written + i) % sizeof(w->ring)] = p[i];
	w->written += n;
}

/* What can be read now; at its end the pipe is closed. */
static void
read_output(struct warden *w, bool all)
{
	char b[8192];
	ssize_t n;

	do {
		n = read(w->output, b, sizeof(b));
		if (n > 0)
			keep(w, b, (size_t)n);
	} while (n > 0 && all);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		(void)close(w->output);
		w->output = -1;
	}
}

static void
put_output(struct warden *w)
{
	size_t n = w->written < sizeof(w->ring) ? w->written : sizeof(w->ring);

	for (size_t i = 0; i < n; i++)
		w->r.output[i] = w->ring[(w->written - n + i) % sizeof(w->ring)];
	w->r.output_len = n;
}

/* ---- its end ---- */

/* The parent of a process, -1: it is gone. */
static long
parent_of(const char *pid)
{
	char path[64], b[512];
	const char *p;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return -1;
	n = read(fd, b, sizeof(b) - 1);
	(void)close(fd);
	b[n > 0 ? n : 0] = '\0';
	/* "pid (name) S ppid": the name may hold anything, the last ")" ends it. */
	if ((p = strrchr(b, ')')) == NULL || strlen(p) < 5)
		return -1;
	return strtol(p + 4, NULL, 10);
}

/* Kill what became our child because its own parent is gone. */
static void
kill_orphans(void)
{
	const struct dirent *de;
	long me = getpid();
	DIR *d = opendir("/proc");

	while (d != NULL && (de = readdir(d)) != NULL)
		if (de->d_name[0] >= '1' && de->d_name[0] <= '9' && parent_of(de->d_name) == me)
			(void)kill((pid_t)strtol(de->d_name, NULL, 10), SIGKILL);
	if (d != NULL)
		(void)closedir(d);
}

/* Kill the group and all that left it; waits for their end. */
static void
kill_all(struct warden *w)
{
	const struct timespec step = {.tv_nsec = REAP_STEP * 1000000L};
	sigset_t child;
	pid_t pid;

	(void)kill(-w->pid, SIGKILL);
	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	for (int i = 0; i < REAP_STEPS; i++) {
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0)
			return;
		kill_orphans();
		(void)sigtimedwait(&child, NULL, &step);
	}
}

/* Has the program itself ended?  It is reaped last, so that its group's number stays its own.
 */
static void
look_for_end(struct warden *w)
{
	struct signalfd_siginfo got;
	siginfo_t si = {.si_pid = 0};

	(void)!read(w->signals, &got, sizeof(got));
	if (waitid(P_PID, (id_t)w->pid, &si, WEXITED | WNOHANG | WNOWAIT) != 0 ||
	    si.si_pid == 0)
		return;
	w->over = true;
	w->r.status = si.si_status;
	if (!w->told)
		w->r.fate = si.si_code == CLD_EXITED ? CHILD_EXITED : CHILD_KILLED;
}

static void
tell(struct warden *w, enum child_fate why)
{
	if (w->told)
		return;
	w->told = true;
	w->r.fate = why;
	w->end = now_ms() + CHILD_LAST;
	(void)kill(-w->pid, SIGTERM);
}

static void
out_of_time(struct warden *w)
{
	if (!w->told) {
		tell(w, CHILD_TIMED_OUT);
	} else if (!w->killed) {
		w->killed = true;
		(void)kill(-w->pid, SIGKILL);
	}
}

/* The daemon asks for the end, or is gone. */
static void
hear(struct warden *w)
{
	char b;
	ssize_t n = recv(w->daemon, &b, 1, MSG_DONTWAIT);

	if (n == 1)
		tell(w, CHILD_STOPPED);
	if (n == 1 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	kill_all(w);
	_exit(0);
}

static void
attend(struct warden *w)
{
	while (!w->over) {
		struct pollfd fds[] = {{.fd = w->daemon, .events = POLLIN},
		    {.fd = w->signals, .events = POLLIN}, {.fd = w->output, .events = POLLIN}};
		int64_t left = w->end - now_ms();

		if (left <= 0 && !w->killed)
			out_of_time(w);
		left = left < 0 ? REAP_STEP : left > 1000000 ? 1000000 : left + 1;
		if (poll(fds, 3, (int)left) < 0 && errno != EINTR)
			break;
		if (fds[0].revents != 0)
			hear(w);
		if (fds[2].revents != 0)
			read_output(w, false);
		look_for_end(w);
	}
}

static void
prepare(struct warden *w)
{
	struct sigaction plain = {.sa_handler = SIG_DFL};
	sigset_t child;

	(void)prctl(PR_SET_NAME, "spoold-warden", 0, 0, 0);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	(void)sigaction(SIGCHLD, &plain, NULL);
	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &child, NULL);
	w->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

void
warden_run(const struct keeper_request *rq, char *texts, const int fds[2])
{
	static struct warden w;

	w = (struct warden){.daemon = fds[1], .output = -1, .r.fate = CHILD_UNABLE};
	prepare(&w);
	w.end = now_ms() + rq->timeout;
	if (w.signals < 0) {
		w.r.sys = errno;
	} else if (start(&w, rq, texts, fds[0])) {
		w.r.fate = CHILD_LOST;
		attend(&w);
		kill_all(&w);
		if (w.output >= 0)
			read_output(&w, true); /* nobody is left to write more */
		put_output(&w);
	} else if (w.pid > 0) {
		kill_all(&w);
	}
	(void)!send(w.daemon, &w.r, sizeof(w.r), MSG_NOSIGNAL);
	_exit(0);
}
