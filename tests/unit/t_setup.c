/*
 * SPDX-License-Identifier: ISC
 *
 * t_setup - groups by name and number, and what of the configuration a spool is opened with.
 */
#include "config.h"

#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "setup.h"

static void
finds_every_group_by_name_and_number(void **state)
{
	struct group *gr;
	char number[24];
	unsigned n = 0;

	(void)state;
	setgrent();
	while (n < 20 && (gr = getgrent()) != NULL) {
		struct err e = {0};
		gid_t want = gr->gr_gid, got;

		assert_int_equal(setup_group(gr->gr_name, &got, &e), RC_OK);
		assert_int_equal(got, want);
		(void)snprintf(number, sizeof(number), "%u", (unsigned)want);
		assert_int_equal(setup_group(number, &got, &e), RC_OK);
		assert_int_equal(got, want);
		n++;
	}
	endgrent();
	assert_true(n > 0);
}

static void
takes_a_number_without_a_name(void **state)
{
	struct err e = {0};
	gid_t gid;

	(void)state;
	assert_int_equal(setup_group("4294967294", &gid, &e), RC_OK);
	assert_int_equal(gid, UINT32_MAX - 1);
}

static void
refuses_what_is_no_group(void **state)
{
	static const char *const bad[] = {
	    "no-such-group", "", "-1", "+1", "1x", " 1", "4294967295", "4294967296"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = {0};
		gid_t gid = 0;

		assert_int_equal(setup_group(bad[i], &gid, &e), RC_CONFIG);
		assert_int_equal(gid, (gid_t)-1);
		assert_non_null(strstr(e.text, "expected a group"));
	}
}

static void
fills_in_everything(void **state)
{
	char file[] = "/etc/x.conf", dir[] = "/spool", group[] = "1234567", fs[] = "tmpfs";
	struct conf c = {.file = file,
	    .spool = {.directory = dir,
		.group = group,
		.min_free = 1,
		.min_inodes = 2,
		.queue_limit = 3,
		.rejected_limit = 4,
		.allow_fs = fs}};
	struct spool_opt opt;
	struct err e = {0};

	(void)state;
	memset(&opt, 0xff, sizeof(opt));
	assert_int_equal(setup_spool_opt(&c, &opt, &e), RC_OK);
	assert_ptr_equal(opt.path, dir);
	assert_ptr_equal(opt.allow_fs, fs);
	assert_int_equal(opt.group, 1234567);
	assert_int_equal(opt.min_free, 1);
	assert_int_equal(opt.min_inodes, 2);
	assert_int_equal(opt.queue_limit, 3);
	assert_int_equal(opt.rejected_limit, 4);
}

static void
names_the_file_of_a_bad_group(void **state)
{
	char file[] = "/etc/x.conf", dir[] = "/spool", group[] = "no-such-group";
	struct conf c = {.file = file, .spool = {.directory = dir, .group = group}};
	struct spool_opt opt;
	struct err e = {0};

	(void)state;
	assert_int_equal(setup_spool_opt(&c, &opt, &e), RC_CONFIG);
	assert_non_null(strstr(e.text, "/etc/x.conf: group:"));
	assert_non_null(strstr(e.text, "no-such-group"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_every_group_by_name_and_number),
	    cmocka_unit_test(takes_a_number_without_a_name),
	    cmocka_unit_test(refuses_what_is_no_group),
	    cmocka_unit_test(fills_in_everything),
	    cmocka_unit_test(names_the_file_of_a_bad_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
