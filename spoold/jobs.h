/*
 * SPDX-License-Identifier: ISC
 *
 * jobs - the events in memory: found by name, and the next one that is due.
 */
#ifndef ARKEN_JOBS_H
#define ARKEN_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "name.h"
#include "retry.h"

struct work;
struct job;

struct job_list { /* in order, linked by blocked */
	struct job *first, *last;
};

struct job {
	char name[NAME_SIZE];
	int64_t since; /* when it came into its folder (wall clock): the older goes first */
	int64_t due;   /* monotonic clock; 0: now; less than 0: now, before others (lane) */
	struct retry retry; /* as it stands in retry/ */
	char *link;         /* a link that is still good, from the try before; owned */
	int64_t link_end;   /* wall clock, 0: it does not say */
	struct work *work;  /* a try under way; NULL: waiting */
	unsigned target;    /* the id of what it waits or waited for, 0: nothing (park) */
	bool in_lane;       /* that try is one of the downloads (lane) */
	bool seen;          /* the last scan found its file */
	size_t at;          /* place in the heap, while waiting */
	struct job *chain;
	uint64_t known;         /* when we came to know of it, by daemon.clock */
	uint64_t key;           /* whose record it is about, 0: not looked at yet */
	struct job *blocked;    /* the next that waits for the same try, or for a lane */
	struct job_list behind; /* those that wait until this one has been tried */
};

#define JOBS_NOWHERE ((size_t)-1) /* at of a job that is not waiting */

struct jobs;

/* Room for at most limit jobs.  NULL: no memory. */
struct jobs *jobs_new(size_t limit);
void jobs_free(struct jobs **j);

/* RC_EXISTS: it is there (and *out is it).  RC_FULL: the limit.  RC_LATER: no memory. */
enum rc jobs_add(struct jobs *j, const char *name, struct job **out, struct err *e) MUST_CHECK;
struct job *jobs_find(const struct jobs *j, const char *name);

/* Those behind it go on. */
void jobs_remove(struct jobs *j, struct job *job);

size_t jobs_count(const struct jobs *j);
size_t jobs_room(const struct jobs *j);

/* The waiting job that is due first, the oldest of equals; NULL: none waits. */
struct job *jobs_first(const struct jobs *j);

/* Put a job into the order of the waiting (new, or after a try) under its due time; take it out
 * for a try. */
void jobs_wait(struct jobs *j, struct job *job);
void jobs_begin(struct jobs *j, struct job *job);

void job_list_add(struct job_list *l, struct job *job);

/* All of the other list, which is empty then. */
void job_list_append(struct job_list *l, struct job_list *other);

/* The first of the list is due now, and the others wait behind it; the list is empty then. */
void jobs_release(struct jobs *j, struct job_list *l);

/* Call fn for every job; fn may remove the one it is given, and no other. */
void jobs_each(struct jobs *j, void (*fn)(struct job *, void *), void *arg);

#endif
