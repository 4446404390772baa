/*
 * SPDX-License-Identifier: ISC
 *
 * serve - threads that take connections; see serve.h.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "clk.h"
#include "fcgx.h"
#include "io.h"
#include "limit.h"
#include "log.h"
#include "serve.h"

#define SHORTAGE_MS                                                                            \
	100 /* pause when the system has no descriptor or memory for a connection              \
	     */

struct pool;

struct worker {
	struct pool *pool;
	struct fcgx *f;
	pthread_t thread;
};

struct pool {
	const struct serve_opt *opt;
	int set; /* epoll: stop, listener, and every connection no thread has */
	pthread_mutex_t lock;
	unsigned open; /* connections */
	bool paused;   /* the listener waits until one of them closes */
	struct limit shortage;
	unsigned running;     /* threads */
	pthread_cond_t ended; /* one of them has */
	atomic_bool stopping;
	struct worker workers[]; /* opt->threads */
};

/* From now on fd is reported once, to one thread, as soon as it can be read. */
static bool
pool_arm(struct pool *s, int fd, int op)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = fd};

	return epoll_ctl(s->set, op, fd, &ev) == 0;
}

static void
tell_shortage(struct pool *s, const char *call)
{
	struct err e = {0};
	uint64_t missed;
	bool pass;

	(void)err_sys(&e, call, NULL);
	pthread_mutex_lock(&s->lock);
	pass = limit_pass(&s->shortage, clk_mono(), &missed);
	pthread_mutex_unlock(&s->lock);
	if (pass)
		log_put(LOG_ERROR, "connection not taken", "reason", e.text, LOG_END);
}

/* May one more be open?  If not, the listener rests until connection_closed(). */
static bool
connection_opens(struct pool *s)
{
	bool room;

	pthread_mutex_lock(&s->lock);
	room = s->open < s->opt->connections;
	s->open += room;
	s->paused = !room;
	pthread_mutex_unlock(&s->lock);
	return room;
}

static void
connection_closed(struct pool *s)
{
	bool resume;

	pthread_mutex_lock(&s->lock);
	s->open--;
	resume = s->paused;
	s->paused = false;
	pthread_mutex_unlock(&s->lock);
	if (resume && !pool_arm(s, s->opt->listener, EPOLL_CTL_MOD))
		tell_shortage(s, "epoll_ctl");
}

/* One new connection into the set.  false: there is none, or no room for it. */
static bool
take_connection(struct pool *s)
{
	const struct timeval stall = {.tv_sec = SERVE_STALL};
	struct pollfd stop = {.fd = s->opt->stop, .events = POLLIN};
	int fd = accept4(s->opt->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			tell_shortage(s, "accept4");
			(void)poll(&stop, 1, SHORTAGE_MS);
		}
		return false;
	}
	/* Without these a web server that stops in the middle would hold a thread. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof(stall));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof(stall));
	if (pool_arm(s, fd, EPOLL_CTL_ADD))
		return true;
	tell_shortage(s, "epoll_ctl");
	(void)close(fd);
	return false;
}

static void
take_connections(struct pool *s)
{
	for (unsigned i = 0; i < s->opt->connections; i++) {
		if (!connection_opens(s))
			return;
		if (!take_connection(s)) {
			connection_closed(s);
			break;
		}
	}
	if (!pool_arm(s, s->opt->listener, EPOLL_CTL_MOD))
		tell_shortage(s, "epoll_ctl");
}

static bool
may_keep(struct pool *s)
{
	bool few;

	pthread_mutex_lock(&s->lock);
	few = s->open <= s->opt->connections / 4 * 3;
	pthread_mutex_unlock(&s->lock);
	return few && !atomic_load(&s->stopping);
}

static void
serve_request(struct pool *s, struct fcgx *f, int fd)
{
	struct exchange *x;
	bool at_end;

	(void)epoll_ctl(s->set, EPOLL_CTL_DEL, fd, NULL);
	if ((x = fcgx_next(f, fd)) == NULL) {
		connection_closed(s);
		return;
	}
	at_end = s->opt->handle(x, s->opt->arg);
	if ((fd = fcgx_finish(f, at_end && may_keep(s))) < 0) {
		connection_closed(s);
	} else if (!pool_arm(s, fd, EPOLL_CTL_ADD)) {
		tell_shortage(s, "epoll_ctl");
		(void)close(fd);
		connection_closed(s);
	}
}

static void *
worker_run(void *arg)
{
	const struct worker *w = arg;
	struct pool *s = w->pool;
	struct epoll_event ev;

	for (;;) {
		if (epoll_wait(s->set, &ev, 1, -1) != 1)
			continue;
		if (ev.data.fd == s->opt->stop)
			break;
		if (ev.data.fd == s->opt->listener)
			take_connections(s);
		else
			serve_request(s, w->f, ev.data.fd);
	}
	atomic_store(&s->stopping, true);
	pthread_mutex_lock(&s->lock);
	s->running--;
	pthread_cond_signal(&s->ended);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static enum rc
worker_start(struct pool *s, struct worker *w, const pthread_attr_t *attr, struct err *e)
{
	enum rc rc;

	w->pool = s;
	if ((rc = fcgx_new(&w->f, e)) != RC_OK)
		return rc;
	pthread_mutex_lock(&s->lock);
	errno = pthread_create(&w->thread, attr, worker_run, w);
	if (errno != 0)
		rc = err_sys(e, "pthread_create", NULL);
	else
		s->running++;
	pthread_mutex_unlock(&s->lock);
	if (rc != RC_OK)
		fcgx_free(&w->f);
	return rc;
}

/*
 * The threads take no signals: a handler that interrupts a read with a time limit would end
 * it (signal(7)).  Returns how many there are; e says why not all.
 */
static unsigned
workers_start(struct pool *s, struct err *e)
{
	pthread_attr_t attr;
	sigset_t all, before;
	unsigned n = 0;

	if ((errno = pthread_attr_init(&attr)) != 0) {
		(void)err_sys(e, "pthread_attr_init", NULL);
		return 0;
	}
	(void)pthread_attr_setstacksize(&attr, SERVE_STACK);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	while (n < s->opt->threads && worker_start(s, &s->workers[n], &attr, e) == RC_OK)
		n++;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return n;
}

/* false: not all of them have ended in time. */
static bool
workers_join(struct pool *s, unsigned n)
{
	struct timespec until;
	unsigned left;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += SERVE_STOP_SECONDS;
	pthread_mutex_lock(&s->lock);
	while (s->running > 0 && pthread_cond_timedwait(&s->ended, &s->lock, &until) == 0)
		;
	left = s->running;
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; left == 0 && i < n; i++) {
		(void)pthread_join(s->workers[i].thread, NULL);
		fcgx_free(&s->workers[i].f);
	}
	return left == 0;
}

static void
pool_free(struct pool **s)
{
	io_close(&(*s)->set);
	pthread_cond_destroy(&(*s)->ended);
	pthread_mutex_destroy(&(*s)->lock);
	free(*s);
	*s = NULL;
}

/* The stop descriptor is never disarmed: it is reported to one thread after the other. */
static enum rc
pool_new(const struct serve_opt *opt, struct pool **out, struct err *e)
{
	struct epoll_event stop = {.events = EPOLLIN, .data.fd = opt->stop};
	pthread_condattr_t attr;
	struct pool *s;
	enum rc rc = RC_OK;

	*out = NULL;
	s = calloc(1, sizeof(*s) + opt->threads * sizeof(s->workers[0]));
	if (s == NULL)
		return err_sys(e, "calloc", NULL);
	s->opt = opt;
	/* On Linux none of these four fails. */
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->ended, &attr);
	pthread_condattr_destroy(&attr);
	if ((s->set = epoll_create1(EPOLL_CLOEXEC)) < 0)
		rc = err_sys(e, "epoll_create1", NULL);
	else if (epoll_ctl(s->set, EPOLL_CTL_ADD, opt->stop, &stop) != 0 ||
		 !pool_arm(s, opt->listener, EPOLL_CTL_ADD))
		rc = err_sys(e, "epoll_ctl", "listening socket");
	if (rc != RC_OK)
		pool_free(&s);
	*out = s;
	return rc;
}

enum rc
serve_run(const struct serve_opt *opt, struct err *e)
{
	struct pollfd stop = {.fd = opt->stop, .events = POLLIN};
	struct pool *s;
	char count[12];
	unsigned n;
	enum rc rc;

	if ((rc = pool_new(opt, &s, e)) != RC_OK)
		return rc;
	if ((n = workers_start(s, e)) == 0) {
		pool_free(&s);
		return RC_FULL;
	}
	(void)snprintf(count, sizeof(count), "%u", n);
	log_put(n < opt->threads ? LOG_WARN : LOG_NOTE, "started", "threads", count, "reason",
	    n < opt->threads ? e->text : NULL, LOG_END);
	while (poll(&stop, 1, -1) <= 0)
		;
	if (!workers_join(s, n))
		return err_set(e, RC_LATER, "exchanges under way did not end in time");
	pool_free(&s);
	return RC_OK;
}
