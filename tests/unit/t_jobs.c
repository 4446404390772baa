/*
 * SPDX-License-Identifier: ISC
 *
 * t_jobs - tests of jobs: found by name, the first that is due, against a naive model.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "jobs.h"
#include "rnd.h"
#include "str.h"

#define LIMIT 40
#define NAMES 60
#define STEPS 200000

static void
name_of(unsigned i, char out[NAME_SIZE])
{
	(void)snprintf(out, NAME_SIZE, "acme.n-%u.Client.Update", i);
}

static struct job *
add(struct jobs *j, unsigned i, int64_t due, int64_t since)
{
	char name[NAME_SIZE];
	struct job *job;

	name_of(i, name);
	assert_int_equal(jobs_add(j, name, &job, NULL), RC_OK);
	job->due = due;
	job->since = since;
	jobs_wait(j, job);
	return job;
}

static void
test_order(void **state)
{
	struct jobs *j = jobs_new(10);
	struct job *a, *b, *c;

	(void)state;
	assert_null(jobs_first(j));
	a = add(j, 1, 100, 5);
	b = add(j, 2, 0, 9);
	c = add(j, 3, 0, 8);
	assert_ptr_equal(jobs_first(j), c);
	jobs_begin(j, c);
	assert_int_equal(c->at, JOBS_NOWHERE);
	jobs_begin(j, c);
	assert_ptr_equal(jobs_first(j), b);
	/* A due time that is changed while it waits. */
	a->due = 0;
	jobs_wait(j, a);
	assert_ptr_equal(jobs_first(j), a);
	a->due = 200;
	jobs_wait(j, a);
	assert_ptr_equal(jobs_first(j), b);
	jobs_remove(j, b);
	assert_ptr_equal(jobs_first(j), a);
	jobs_remove(j, c);
	assert_int_equal(jobs_count(j), 1);
	jobs_free(&j);
	assert_null(j);
	jobs_free(&j);
}

static void
test_limit(void **state)
{
	struct jobs *j = jobs_new(2);
	char name[NAME_SIZE], longer[NAME_SIZE + 8];
	struct job *job, *again;
	struct err e;

	(void)state;
	job = add(j, 1, 0, 0);
	name_of(1, name);
	assert_int_equal(jobs_add(j, name, &again, &e), RC_EXISTS);
	assert_ptr_equal(again, job);
	assert_int_equal(jobs_room(j), 1);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_not_equal(jobs_add(j, longer, &again, &e), RC_OK);
	assert_null(again);
	(void)add(j, 2, 0, 0);
	name_of(3, name);
	assert_int_equal(jobs_add(j, name, &again, &e), RC_FULL);
	assert_null(again);
	assert_int_equal(jobs_room(j), 0);
	assert_null(jobs_find(j, name));
	jobs_free(&j);
}

/* ---- against a model ---- */

struct model {
	bool there, waits;
	int64_t due, since;
	struct job *job;
};

static void
check_first(const struct jobs *j, const struct model *m)
{
	const struct model *least = NULL;
	const struct job *first = jobs_first(j);

	for (size_t i = 0; i < NAMES; i++)
		if (m[i].there && m[i].waits &&
		    (least == NULL || m[i].due < least->due ||
			(m[i].due == least->due && m[i].since < least->since)))
			least = &m[i];
	if (least == NULL) {
		assert_null(first);
		return;
	}
	assert_non_null(first);
	assert_int_equal(first->due, least->due);
	assert_int_equal(first->since, least->since);
}

static void
step(struct jobs *j, struct model *all, struct rnd *r, size_t *count)
{
	unsigned i = (unsigned)rnd_below(r, NAMES);
	struct model *m = &all[i];
	char name[NAME_SIZE];
	struct job *job;
	enum rc rc;

	name_of(i, name);
	assert_ptr_equal(jobs_find(j, name), m->job);
	switch (rnd_below(r, 5)) {
	case 0:
	case 1:
		rc = jobs_add(j, name, &job, NULL);
		assert_int_equal(rc, m->there ? RC_EXISTS : *count == LIMIT ? RC_FULL : RC_OK);
		if (rc == RC_OK) {
			*m = (struct model){.there = true, .job = job};
			++*count;
		}
		break;
	case 2:
		if (!m->there)
			break;
		m->waits = true;
		m->due = m->job->due = (int64_t)rnd_below(r, 20);
		m->since = m->job->since = (int64_t)rnd_below(r, 5);
		jobs_wait(j, m->job);
		break;
	case 3:
		if (m->there)
			jobs_begin(j, m->job);
		m->waits = false;
		break;
	default:
		if (m->there && rnd_below(r, 2) == 0) {
			jobs_remove(j, m->job);
			*m = (struct model){0};
			--*count;
		}
		break;
	}
}

static void
test_random(void **state)
{
	struct rnd r = rnd_new("test_random");
	struct jobs *j = jobs_new(LIMIT);
	struct model m[NAMES] = {0};
	size_t count = 0;

	(void)state;
	for (unsigned n = 0; n < STEPS; n++) {
		step(j, m, &r, &count);
		check_first(j, m);
		assert_int_equal(jobs_count(j), count);
		assert_int_equal(jobs_room(j), LIMIT - count);
	}
	jobs_free(&j);
}

/* ---- all of them ---- */

struct pass {
	struct jobs *j;
	unsigned n;
};

static void
remove_even(struct job *job, void *arg)
{
	struct pass *p = arg;

	p->n++;
	if (job->since % 2 == 0)
		jobs_remove(p->j, job);
}

static void
test_each(void **state)
{
	struct jobs *j = jobs_new(1000);
	struct pass p = {.j = j};

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		(void)add(j, i, 0, i);
	jobs_each(j, remove_even, &p);
	assert_int_equal(p.n, 1000);
	assert_int_equal(jobs_count(j), 500);
	for (unsigned i = 0; i < 500; i++) {
		struct job *job = jobs_first(j);

		assert_int_equal(job->since, 2 * i + 1);
		jobs_remove(j, job);
	}
	assert_null(jobs_first(j));
	jobs_free(&j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_limit),
	    cmocka_unit_test(test_random),
	    cmocka_unit_test(test_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
