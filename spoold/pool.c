/*
 * SPDX-License-Identifier: ISC
 *
 * pool - a few threads for work that waits for the disk; see pool.h.
 */
#include "config.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "io.h"
#include "pool.h"

#define POOL_MAX 64

struct list {
	struct pool_work *first, **last;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct list todo, finished;
	pthread_t thread[POOL_MAX];
	unsigned threads;
	bool stop;
	int fd;
};

static void
append(struct list *l, struct pool_work *w)
{
	w->next = NULL;
	*l->last = w;
	l->last = &w->next;
}

static struct pool_work *
take_first(struct list *l)
{
	struct pool_work *w = l->first;

	if (w != NULL && (l->first = w->next) == NULL)
		l->last = &l->first;
	return w;
}

static void *
run(void *arg)
{
	struct pool *p = arg;
	struct pool_work *w;
	const uint64_t one = 1;

	(void)pthread_mutex_lock(&p->lock);
	for (;;) {
		while ((w = take_first(&p->todo)) == NULL && !p->stop)
			(void)pthread_cond_wait(&p->more, &p->lock);
		if (w == NULL)
			break;
		(void)pthread_mutex_unlock(&p->lock);
		w->work(w->arg);
		(void)pthread_mutex_lock(&p->lock);
		append(&p->finished, w);
		if (write(p->fd, &one, sizeof(one)) < 0)
			continue; /* only when the counter is full: then it is readable anyway
				   */
	}
	(void)pthread_mutex_unlock(&p->lock);
	return NULL;
}

enum rc
pool_new(unsigned threads, struct pool **out, struct err *e)
{
	struct pool *p = calloc(1, sizeof(*p));
	sigset_t all, old;

	*out = NULL;
	if (p == NULL)
		return err_set(e, RC_LATER, "no memory");
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->more, NULL);
	p->todo.last = &p->todo.first;
	p->finished.last = &p->finished.first;
	p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* Signals are the main thread's: these start with all of them blocked. */
	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGBUS); /* mapped.h: blocked, it would end the process */
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	while (p->fd >= 0 && p->threads < threads && p->threads < POOL_MAX &&
	       pthread_create(&p->thread[p->threads], NULL, run, p) == 0)
		p->threads++;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (p->threads == 0) {
		pool_free(&p);
		return err_set(e, RC_LATER, "no thread could be started");
	}
	*out = p;
	return RC_OK;
}

void
pool_free(struct pool **out)
{
	struct pool *p = *out;

	if (p == NULL)
		return;
	(void)pthread_mutex_lock(&p->lock);
	p->stop = true;
	(void)pthread_cond_broadcast(&p->more);
	(void)pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->threads; i++)
		(void)pthread_join(p->thread[i], NULL);
	pool_reap(p);
	(void)pthread_cond_destroy(&p->more);
	(void)pthread_mutex_destroy(&p->lock);
	io_close(&p->fd);
	free(p);
	*out = NULL;
}

void
pool_put(struct pool *p, struct pool_work *w)
{
	(void)pthread_mutex_lock(&p->lock);
	append(&p->todo, w);
	(void)pthread_cond_signal(&p->more);
	(void)pthread_mutex_unlock(&p->lock);
}

int
pool_fd(const struct pool *p)
{
	return p->fd;
}

void
pool_reap(struct pool *p)
{
	struct pool_work *w;
	uint64_t n;

	if (read(p->fd, &n, sizeof(n)) < 0)
		n = 0; /* nothing new since the last time; looking costs little */
	(void)pthread_mutex_lock(&p->lock);
	while ((w = take_first(&p->finished)) != NULL) {
		(void)pthread_mutex_unlock(&p->lock);
		w->done(w->arg);
		(void)pthread_mutex_lock(&p->lock);
	}
	(void)pthread_mutex_unlock(&p->lock);
}
