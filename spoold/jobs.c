/*
 * SPDX-License-Identifier: ISC
 *
 * jobs - the events in memory; see jobs.h.  A hash table by name and a
 * binary heap by due time.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "jobs.h"
#include "str.h"

struct jobs {
	size_t limit, count, buckets;
	struct job **bucket;
	struct job **heap;
	size_t waiting;
};

static size_t
slot(const struct jobs *j, const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	return (size_t)(h & (j->buckets - 1));
}

struct jobs *
jobs_new(size_t limit)
{
	struct jobs *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->limit = limit;
	for (j->buckets = 64; j->buckets < limit; j->buckets *= 2)
		;
	j->bucket = calloc(j->buckets, sizeof(struct job *));
	j->heap = calloc(limit + 1, sizeof(struct job *));
	if (j->bucket == NULL || j->heap == NULL)
		jobs_free(&j);
	return j;
}

static void
job_free(struct job *job)
{
	if (job->link != NULL)
		explicit_bzero(job->link, strlen(job->link)); /* it carries its own authority */
	free(job->link);
	free(job);
}

void
job_list_add(struct job_list *l, struct job *job)
{
	job->blocked = NULL;
	if (l->last != NULL)
		l->last->blocked = job;
	else
		l->first = job;
	l->last = job;
}

void
job_list_append(struct job_list *l, struct job_list *other)
{
	if (other->first == NULL)
		return;
	if (l->last != NULL)
		l->last->blocked = other->first;
	else
		l->first = other->first;
	l->last = other->last;
	*other = (struct job_list){NULL, NULL};
}

void
jobs_free(struct jobs **out)
{
	struct jobs *j = *out;

	if (j == NULL)
		return;
	for (size_t i = 0; j->bucket != NULL && i < j->buckets; i++)
		while (j->bucket[i] != NULL) {
			struct job *job = j->bucket[i];

			j->bucket[i] = job->chain;
			job_free(job);
		}
	free(j->bucket);
	free(j->heap);
	free(j);
	*out = NULL;
}

struct job *
jobs_find(const struct jobs *j, const char *name)
{
	struct job *job = j->bucket[slot(j, name)];

	while (job != NULL && !str_eq(job->name, name))
		job = job->chain;
	return job;
}

enum rc
jobs_add(struct jobs *j, const char *name, struct job **out, struct err *e)
{
	size_t i = slot(j, name);
	struct job *job;

	if ((*out = jobs_find(j, name)) != NULL)
		return RC_EXISTS;
	if (j->count >= j->limit)
		return err_set(e, RC_FULL, "%zu events are in memory, the limit", j->limit);
	if ((job = calloc(1, sizeof(*job))) == NULL || !str_copy(job->name, NAME_SIZE, name)) {
		free(job);
		return err_set(e, RC_LATER, "no memory");
	}
	job->at = JOBS_NOWHERE;
	job->chain = j->bucket[i];
	j->bucket[i] = job;
	j->count++;
	*out = job;
	return RC_OK;
}

static bool
before(const struct job *a, const struct job *b)
{
	if (a->due != b->due)
		return a->due < b->due;
	return a->since < b->since;
}

static void
place(struct jobs *j, struct job *job, size_t at)
{
	j->heap[at] = job;
	job->at = at;
}

static void
sift_up(struct jobs *j, size_t at)
{
	struct job *job = j->heap[at];

	for (; at > 0 && before(job, j->heap[(at - 1) / 2]); at = (at - 1) / 2)
		place(j, j->heap[(at - 1) / 2], at);
	place(j, job, at);
}

static void
sift_down(struct jobs *j, size_t at)
{
	struct job *job = j->heap[at];
	size_t kid;

	while ((kid = 2 * at + 1) < j->waiting) {
		if (kid + 1 < j->waiting && before(j->heap[kid + 1], j->heap[kid]))
			kid++;
		if (!before(j->heap[kid], job))
			break;
		place(j, j->heap[kid], at);
		at = kid;
	}
	place(j, job, at);
}

void
jobs_begin(struct jobs *j, struct job *job)
{
	size_t at = job->at;

	if (at == JOBS_NOWHERE)
		return;
	job->at = JOBS_NOWHERE;
	if (at == --j->waiting)
		return;
	place(j, j->heap[j->waiting], at);
	sift_up(j, at);
	sift_down(j, at);
}

void
jobs_wait(struct jobs *j, struct job *job)
{
	jobs_begin(j, job);
	place(j, job, j->waiting++);
	sift_up(j, job->at);
}

void
jobs_release(struct jobs *j, struct job_list *l)
{
	struct job *job = l->first;

	if (job == NULL)
		return;
	if ((l->first = job->blocked) == NULL)
		l->last = NULL;
	job->blocked = NULL;
	job_list_append(&job->behind, l);
	job->due = 0;
	jobs_wait(j, job);
}

void
jobs_remove(struct jobs *j, struct job *job)
{
	struct job **at = &j->bucket[slot(j, job->name)];

	jobs_begin(j, job);
	jobs_release(j, &job->behind);
	while (*at != job)
		at = &(*at)->chain;
	*at = job->chain;
	j->count--;
	job_free(job);
}

size_t
jobs_count(const struct jobs *j)
{
	return j->count;
}

size_t
jobs_room(const struct jobs *j)
{
	return j->limit - j->count;
}

struct job *
jobs_first(const struct jobs *j)
{
	return j->waiting > 0 ? j->heap[0] : NULL;
}

void
jobs_each(struct jobs *j, void (*fn)(struct job *, void *), void *arg)
{
	struct job *job, *next;

	for (size_t i = 0; i < j->buckets; i++)
		for (job = j->bucket[i]; job != NULL; job = next) {
			next = job->chain;
			fn(job, arg);
		}
}
