/*
 * SPDX-License-Identifier: ISC
 *
 * t_park - tests of park: who sleeps while a target is down, and who is woken when.
 *
 * Linked with: -Wl,--wrap=http_start -Wl,--wrap=http_cancel
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_daemon.h"
#include "park.h"

#define MANY 50
#define API "api:acme"

static struct job *
job_of(unsigned i)
{
	char name[NAME_SIZE];

	(void)snprintf(name, sizeof(name), "acme.p%u.Client.Update", i);
	return jobs_find(fake.jobs, name);
}

static struct target *
target(const char *name)
{
	return target_get(fake.targets, name, fake_mono);
}

/* MANY waiting jobs, of which number MANY - 1 is the oldest, asleep for a target that is down.
 */
static struct target *
sleepers(const char *name)
{
	struct target *t = target(name);
	struct job *job;

	(void)target_pause(t, fake_mono, CLK_MINUTE, "down");
	for (unsigned i = 0; i < MANY; i++) {
		char event[NAME_SIZE];

		(void)snprintf(event, sizeof(event), "acme.p%u.Client.Update", i);
		assert_int_equal(jobs_add(fake.jobs, event, &job, NULL), RC_OK);
		job->since = 1000 - i;
		park_on(&fake, job, t);
	}
	return t;
}

static unsigned
due(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MANY; i++)
		n += job_of(i)->due <= fake_mono;
	return n;
}

static void
test_up(void **state)
{
	struct target *t = sleepers(API);

	(void)state;
	assert_int_equal(park_next(&fake), fake_mono + CLK_MINUTE);
	park_tick(&fake, fake_mono);
	assert_int_equal(due(), 0);
	assert_true(target_up(t));
	assert_true(park_next(&fake) <= fake_mono);
	park_tick(&fake, fake_mono);
	assert_int_equal(due(), MANY);
	assert_true(park_next(&fake) == INT64_MAX);
	for (unsigned i = 0; i < MANY; i++)
		assert_true(park_pass(&fake, job_of(i), fake_mono));
}

/* One at a time, the oldest first, and nobody each second. */
static void
test_trial(void **state)
{
	struct target *t = sleepers(API);
	bool opened;

	(void)state;
	fake_pass(CLK_MINUTE);
	assert_int_equal(park_next(&fake), fake_mono);
	park_tick(&fake, fake_mono);
	assert_int_equal(due(), 1);
	assert_true(job_of(MANY - 1)->due <= fake_mono);
	assert_true(park_pass(&fake, job_of(MANY - 1), fake_mono));
	jobs_begin(fake.jobs, job_of(MANY - 1));
	assert_int_equal(target_ask(t, fake_mono), 0);
	assert_true(t->probing);
	/* As long as it takes, nothing else moves. */
	assert_true(park_next(&fake) == INT64_MAX);
	fake_pass(CLK_MINUTE);
	park_tick(&fake, fake_mono);
	assert_int_equal(due(), 1); /* the one under way */
	/* It fails: they wait on. */
	assert_false(target_down(t, fake_mono, -1, "still", &opened));
	park_on(&fake, job_of(MANY - 1), t);
	park_tick(&fake, fake_mono);
	assert_int_equal(due(), 0);
	assert_true(park_next(&fake) > fake_mono);
}

/* The one that was let through never asks: another one is, after a while. */
static void
test_trial_lost(void **state)
{
	(void)state;
	(void)sleepers(API);
	fake_pass(CLK_MINUTE);
	park_tick(&fake, fake_mono);
	assert_int_equal(due(), 1);
	jobs_remove(fake.jobs, job_of(MANY - 1));
	park_tick(&fake, fake_mono);
	assert_true(park_next(&fake) > fake_mono);
	assert_true(job_of(MANY - 2)->due > fake_mono);
	fake_pass(10 * CLK_SECOND);
	park_tick(&fake, fake_mono);
	assert_true(job_of(MANY - 2)->due <= fake_mono);
	assert_true(job_of(MANY - 3)->due > fake_mono);
}

/* Nobody waits any more: no more wake-ups. */
static void
test_nobody(void **state)
{
	(void)state;
	(void)sleepers(API);
	for (unsigned i = 0; i < MANY; i++)
		jobs_remove(fake.jobs, job_of(i));
	fake_pass(CLK_HOUR);
	park_tick(&fake, fake_mono);
	assert_true(park_next(&fake) == INT64_MAX);
}

/* A target that goes down again after they were woken: they wait on without being tried. */
static void
test_down_again(void **state)
{
	struct target *t = sleepers(API);

	(void)state;
	(void)target_up(t);
	park_tick(&fake, fake_mono);
	(void)target_pause(t, fake_mono, CLK_MINUTE, "again");
	for (unsigned i = 0; i < MANY; i++)
		assert_false(park_pass(&fake, job_of(i), fake_mono));
	assert_int_equal(due(), 0);
	assert_int_equal(fake_ncalls, 0);
}

/* Held for a person: nothing is due, and each looks by itself once in a while. */
static void
test_held(void **state)
{
	struct target *t = sleepers(API);

	(void)state;
	(void)target_pause(t, fake_mono, TARGET_UNTIL_LIFTED, "invalid_client");
	assert_true(park_next(&fake) == INT64_MAX);
	fake_pass(10 * CLK_MINUTE);
	assert_int_equal(due(), MANY);
	for (unsigned i = 0; i < MANY; i++)
		assert_false(park_pass(&fake, job_of(i), fake_mono));
	assert_int_equal(due(), 0);
	targets_resume(fake.targets, fake_mono);
	park_tick(&fake, fake_mono);
	assert_int_equal(due(), 1);
}

/* A target that was forgotten holds up nobody. */
static void
test_forgotten(void **state)
{
	(void)state;
	(void)sleepers(API);
	targets_free(&fake.targets);
	fake.targets = targets_new();
	fake_pass(10 * CLK_MINUTE);
	for (unsigned i = 0; i < MANY; i++)
		assert_true(park_pass(&fake, job_of(i), fake_mono));
}

/* Our own disks concern everybody, whatever else they wait for. */
static void
test_disks(void **state)
{
	static const char *const disks[] = {PARK_SPOOL, PARK_STORE};
	struct target *t = sleepers(API);

	(void)state;
	(void)target_up(t);
	for (size_t i = 0; i < 2; i++) {
		park_tick(&fake, fake_mono);
		assert_int_equal(due(), MANY);
		(void)target_pause(target(disks[i]), fake_mono, CLK_MINUTE, "full");
		for (unsigned k = 0; k < MANY; k++)
			assert_false(park_pass(&fake, job_of(k), fake_mono));
		assert_true(target_up(target(disks[i])));
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_up),
	    TEST(test_trial),
	    TEST(test_trial_lost),
	    TEST(test_nobody),
	    TEST(test_down_again),
	    TEST(test_held),
	    TEST(test_forgotten),
	    TEST(test_disks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
