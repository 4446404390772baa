/*
 * SPDX-License-Identifier: ISC
 *
 * pool - a few threads for work that waits for the disk.
 */
#ifndef ARKEN_POOL_H
#define ARKEN_POOL_H

#include "err.h"

struct pool;

enum rc pool_new(unsigned threads, struct pool **p, struct err *e) MUST_CHECK;

/* Waits for what is under way; work that has not begun is still done. */
void pool_free(struct pool **p);

struct pool_work { /* part of the caller's object, which lives until done was called */
	void (*work)(
	    void *arg); /* on a thread of the pool: touches only what is the work's own */
	void (*done)(void *arg); /* later, from pool_reap */
	void *arg;
	struct pool_work *next;
};

void pool_put(struct pool *p, struct pool_work *w);

/* Readable when pool_reap has something to do. */
int pool_fd(const struct pool *p);

/* Call done for everything that is finished. */
void pool_reap(struct pool *p);

#endif
