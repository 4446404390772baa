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
	100           /* pause when the system has no descriptor or memory for a connection    \
		       */
#define SWEEP_MS 1000 /* between looks for connections that take too long */
#define DRAIN ((size_t)64 << 20) /* bytes that a closing connection may still send */
#define OF_STOP UINT32_MAX       /* what the set reports, besides numbers of connections */
#define OF_LISTENER (UINT32_MAX - 1)

struct pool;

struct worker {
	struct pool *pool;
	struct fcgx *f;
	pthread_t thread;
};

enum conn_state {
	CONN_FREE,
	CONN_WAITING, /* in the set */
	CONN_BUSY,    /* a thread has it */
};

struct conn {
	int fd;
	enum conn_state state; /* under the pool's lock, as since */
	int64_t since;         /* it waits, or what it sends is waited for */
	bool begun;            /* a part of a request has come */
	size_t drain;          /* not 0: it is closing, and may send so much */
	size_t memory;         /* of its request, as counted in the pool */
	struct record in;      /* its next request; the thread's that has it */
};

struct pool {
	const struct serve_opt *opt;
	int set; /* epoll: stop, listener, and every connection no thread has */
	pthread_mutex_t lock;
	struct conn *conns; /* opt->connections */
	unsigned open;      /* of them */
	size_t ahead;       /* bytes that requests hold which are still coming */
	bool paused;        /* the listener waits until a connection closes */
	bool deaf;          /* the listener could not be armed: it is tried again */
	struct limit shortage;
	unsigned running;     /* threads */
	pthread_cond_t ended; /* one of them has */
	atomic_bool stopping;
	struct worker workers[]; /* opt->threads */
};

/* From now on fd is reported once, to one thread, as soon as it can be read. */
static bool
pool_arm(struct pool *s, int fd, uint32_t of, int op)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLONESHOT, .data.u32 = of};

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

/* Under the lock: nothing of it stays. */
static void
conn_end(struct pool *s, struct conn *c)
{
	s->ahead -= c->memory;
	record_close(&c->in);
	io_close(&c->fd); /* which takes it out of the set */
	*c = (struct conn){.fd = -1};
	s->open--;
}

/* Nothing has come on it for a while, and nothing is in it that nobody has seen yet. */
static bool
conn_is_idle(const struct conn *c, int64_t now)
{
	char byte;

	return c->state == CONN_WAITING && !c->begun && c->drain == 0 &&
	       now - c->since >= SERVE_IDLE * CLK_SECOND &&
	       recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

/* A place for one more connection; the one that is idle for longest makes room if need be. */
static struct conn *
conn_place(struct pool *s)
{
	struct conn *oldest = NULL;
	int64_t now = clk_mono();

	for (unsigned i = 0; i < s->opt->connections; i++) {
		struct conn *c = &s->conns[i];

		if (c->state == CONN_FREE)
			return c;
		if ((oldest == NULL || c->since < oldest->since) && conn_is_idle(c, now))
			oldest = c;
	}
	if (oldest != NULL)
		conn_end(s, oldest);
	return oldest;
}

/* With all places taken, is somebody waiting for one? */
static bool
conn_is_wanted(struct pool *s)
{
	struct pollfd listener = {.fd = s->opt->listener, .events = POLLIN};
	bool full;

	pthread_mutex_lock(&s->lock);
	full = s->open == s->opt->connections;
	pthread_mutex_unlock(&s->lock);
	return !full || poll(&listener, 1, 0) > 0;
}

/* Room for a new connection; NULL: the listener rests until one closes. */
static struct conn *
conn_open(struct pool *s)
{
	struct conn *c;

	pthread_mutex_lock(&s->lock);
	if ((c = conn_place(s)) != NULL) {
		c->state = CONN_BUSY;
		s->open++;
	}
	s->paused = c == NULL;
	pthread_mutex_unlock(&s->lock);
	return c;
}

static void
listener_arm(struct pool *s)
{
	bool armed = pool_arm(s, s->opt->listener, OF_LISTENER, EPOLL_CTL_MOD);

	if (!armed)
		tell_shortage(s, "epoll_ctl");
	pthread_mutex_lock(&s->lock);
	s->deaf = !armed;
	pthread_mutex_unlock(&s->lock);
}

static void
conn_close(struct pool *s, struct conn *c)
{
	bool resume;

	pthread_mutex_lock(&s->lock);
	conn_end(s, c);
	resume = s->paused;
	s->paused = false;
	pthread_mutex_unlock(&s->lock);
	if (resume)
		listener_arm(s);
}

/* From the set to this thread.  false: somebody has closed it meanwhile. */
static bool
conn_claim(struct pool *s, struct conn *c)
{
	bool ours;

	pthread_mutex_lock(&s->lock);
	if ((ours = c->state == CONN_WAITING))
		c->state = CONN_BUSY;
	pthread_mutex_unlock(&s->lock);
	return ours;
}

/*
 * From this thread back to the set.  The time that it waits counts from its last
 * request, or from the first byte of the next.
 */
static void
conn_wait(struct pool *s, struct conn *c, int op)
{
	bool begun = record_is_begun(&c->in), armed;

	pthread_mutex_lock(&s->lock);
	if (c->drain == 0 && (!begun || !c->begun))
		c->since = clk_mono();
	c->begun = begun;
	c->state = CONN_WAITING;
	if (!(armed = pool_arm(s, c->fd, (uint32_t)(c - s->conns), op)))
		c->state = CONN_BUSY;
	pthread_mutex_unlock(&s->lock);
	if (armed)
		return;
	tell_shortage(s, "epoll_ctl");
	conn_close(s, c);
}

/* What its request holds now; true: all together hold too much. */
static bool
conn_weigh(struct pool *s, struct conn *c)
{
	bool too_much;

	pthread_mutex_lock(&s->lock);
	s->ahead -= c->memory;
	c->memory = record_memory(&c->in);
	s->ahead += c->memory;
	too_much = s->ahead > SERVE_AHEAD;
	pthread_mutex_unlock(&s->lock);
	return too_much;
}

/* One new connection into the set.  false: there is none, or no room for it. */
static bool
take_connection(struct pool *s, struct conn *c)
{
	const struct timeval stall = {.tv_sec = SERVE_STALL};
	struct pollfd stop = {.fd = s->opt->stop, .events = POLLIN};

	record_open(&c->in);
	c->fd = accept4(s->opt->listener, NULL, NULL, SOCK_CLOEXEC);
	if (c->fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			tell_shortage(s, "accept4");
			(void)poll(&stop, 1, SHORTAGE_MS);
		}
		conn_close(s, c);
		return false;
	}
	/* Without these a web server that stops in the middle would hold a thread. */
	(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof(stall));
	(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof(stall));
	conn_wait(s, c, EPOLL_CTL_ADD);
	return true;
}

static void
take_connections(struct pool *s)
{
	for (unsigned i = 0; i < s->opt->connections && conn_is_wanted(s); i++) {
		struct conn *c = conn_open(s);

		if (c == NULL)
			return;
		if (!take_connection(s, c))
			break;
	}
	listener_arm(s);
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

/*
 * The end of a connection on which more may come: were it closed at once, the web server's
 * write would fail, and some take that for the answer.
 */
static void
conn_linger(struct pool *s, struct conn *c)
{
	if (shutdown(c->fd, SHUT_WR) != 0) {
		conn_close(s, c);
		return;
	}
	record_close(&c->in);
	(void)conn_weigh(s, c);
	c->drain = DRAIN;
	c->since = clk_mono();
	conn_wait(s, c, EPOLL_CTL_MOD);
}

/* The answers to earlier requests are not being read: one more would hold the thread. */
static bool
is_stuck(int fd)
{
	struct pollfd out = {.fd = fd, .events = POLLOUT};

	return poll(&out, 1, 0) == 0;
}

/* What has come on a connection: a part of a request, one, or several. */
static void
serve_connection(struct pool *s, struct fcgx *f, struct conn *c)
{
	enum fcgx_state state = fcgx_take(f, c->fd, &c->in, false);

	for (;;) {
		struct exchange *x;
		bool at_end, kept;

		if (conn_weigh(s, c) && state == FCGX_MORE)
			state = fcgx_again(f, true);
		if (state == FCGX_MORE) {
			conn_wait(s, c, EPOLL_CTL_MOD);
			return;
		}
		if (state == FCGX_OVER || is_stuck(c->fd) || (x = fcgx_begin(f)) == NULL) {
			conn_close(s, c);
			return;
		}
		at_end = s->opt->handle(x, s->opt->arg);
		kept = fcgx_finish(f) && at_end && may_keep(s);
		at_end = c->in.phase == RECORD_END;
		record_close(&c->in);
		(void)conn_weigh(s, c);
		if (!kept && at_end)
			conn_close(s, c);
		else if (!kept)
			conn_linger(s, c);
		else if (!fcgx_has_more(f))
			conn_wait(s, c, EPOLL_CTL_MOD);
		if (!kept || !fcgx_has_more(f))
			return;
		state = fcgx_again(f, false);
	}
}

static void
serve_event(struct pool *s, struct fcgx *f, struct conn *c)
{
	if (!conn_claim(s, c))
		return;
	if (c->drain == 0)
		serve_connection(s, f, c);
	else if (fcgx_drain(f, c->fd, &c->drain) && c->drain > 0)
		conn_wait(s, c, EPOLL_CTL_MOD);
	else
		conn_close(s, c);
}

/* Does it take too long to come, or to end, or others need its place? */
static bool
is_late(const struct pool *s, const struct conn *c, int64_t now)
{
	if (c->state != CONN_WAITING)
		return false;
	if (c->drain > 0)
		return now - c->since > SERVE_LINGER * CLK_SECOND;
	if (c->begun)
		return now - c->since > SERVE_PATIENCE * CLK_SECOND;
	return s->paused && conn_is_idle(c, now);
}

static void
sweep(struct pool *s)
{
	int64_t now = clk_mono();
	bool deaf;

	for (unsigned i = 0; i < s->opt->connections; i++) {
		struct conn *c = &s->conns[i];
		bool late;

		pthread_mutex_lock(&s->lock);
		if ((late = is_late(s, c, now)))
			c->state = CONN_BUSY;
		pthread_mutex_unlock(&s->lock);
		if (late)
			conn_close(s, c);
	}
	pthread_mutex_lock(&s->lock);
	deaf = s->deaf;
	pthread_mutex_unlock(&s->lock);
	if (deaf)
		listener_arm(s);
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
		if (ev.data.u32 == OF_STOP)
			break;
		if (ev.data.u32 == OF_LISTENER)
			take_connections(s);
		else
			serve_event(s, w->f, &s->conns[ev.data.u32]);
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
	(void)sigdelset(&all, SIGBUS); /* mapped.h: blocked, it would end the process */
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
	for (unsigned i = 0; i < (*s)->opt->connections; i++) {
		record_close(&(*s)->conns[i].in);
		io_close(&(*s)->conns[i].fd);
	}
	free((*s)->conns);
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
	struct epoll_event stop = {.events = EPOLLIN, .data.u32 = OF_STOP};
	pthread_condattr_t attr;
	struct pool *s;
	enum rc rc = RC_OK;

	*out = NULL;
	s = calloc(1, sizeof(*s) + opt->threads * sizeof(s->workers[0]));
	if (s == NULL || (s->conns = calloc(opt->connections, sizeof(s->conns[0]))) == NULL) {
		free(s);
		return err_sys(e, "calloc", NULL);
	}
	for (unsigned i = 0; i < opt->connections; i++)
		s->conns[i].fd = -1;
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
		 !pool_arm(s, opt->listener, OF_LISTENER, EPOLL_CTL_ADD))
		rc = err_sys(e, "epoll_ctl", "listening socket");
	if (rc != RC_OK)
		pool_free(&s);
	*out = s;
	return rc;
}

/* Until the stop descriptor is readable. */
static void
watch(struct pool *s)
{
	struct pollfd fds[] = {{.fd = s->opt->stop, .events = POLLIN},
	    {.fd = s->opt->woken != NULL ? s->opt->wake : -1, .events = POLLIN}};
	char waste[64];

	for (;;) {
		int n = poll(fds, 2, SWEEP_MS);

		if (n > 0 && fds[0].revents != 0)
			return;
		if (n > 0 && fds[1].revents != 0) {
			while (read(s->opt->wake, waste, sizeof(waste)) > 0)
				;
			s->opt->woken(s->opt->arg);
		}
		sweep(s);
	}
}

enum rc
serve_run(const struct serve_opt *opt, struct err *e)
{
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
	watch(s);
	if (!workers_join(s, n))
		return err_set(e, RC_LATER, "exchanges under way did not end in time");
	pool_free(&s);
	return RC_OK;
}
