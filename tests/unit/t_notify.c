/*
 * SPDX-License-Identifier: ISC
 *
 * t_notify - tests of notify against a real socket, by path and by abstract name.
 */
#include "config.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "clk.h"
#include "io.h"
#include "log.h"
#include "notify.h"
#include "str.h"
#include "tmpdir.h"

static char base[TMPDIR_SIZE];
static int manager;
static unsigned lines;
static int64_t mono;

static int64_t
wall_now(void)
{
	return 1;
}

static int64_t
mono_now(void)
{
	return mono;
}

static void
count_lines(const char *line, size_t n)
{
	(void)line;
	(void)n;
	lines++;
}

static int
set_up(void **state)
{
	(void)state;
	tmpdir_make(base);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	lines = 0;
	mono = 1000;
	log_capture(count_lines);
	clk_replace(wall_now, mono_now);
	return manager >= 0 ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	io_close(&manager);
	tmpdir_remove(base);
	clk_replace(NULL, NULL);
	return 0;
}

/* The manager listens at this name, and the environment says so. */
static void
listen_at(const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t n = strlen(name);

	assert_true(n < sizeof(a.sun_path));
	memcpy(a.sun_path, name, n);
	if (name[0] == '@')
		a.sun_path[0] = '\0';
	assert_int_equal(
	    bind(manager, (const struct sockaddr *)&a,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (name[0] == '/'))),
	    0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
}

/* The next message is this one; NULL: there is none. */
static void
expect(const char *want)
{
	char got[1024];
	ssize_t n = recv(manager, got, sizeof(got) - 1, 0);

	if (want == NULL) {
		assert_int_equal(n, -1);
		return;
	}
	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got, want);
}

static void
by_path(void **state)
{
	char name[TMPDIR_SIZE + 8];

	(void)state;
	(void)snprintf(name, sizeof(name), "%s/s", base);
	listen_at(name);
	notify_open();
	assert_null(getenv("NOTIFY_SOCKET"));
	notify_ready("started");
	expect("READY=1\nSTATUS=started");
	notify_status("started");
	expect(NULL);
	notify_status("all is\nwell");
	expect("STATUS=all is well");
	notify_stopping();
	expect("STOPPING=1\nSTATUS=stopping");
	assert_true(notify_due() == INT64_MAX);
	assert_int_equal(lines, 0);
}

static void
abstract_names(void **state)
{
	char name[64];

	(void)state;
	(void)snprintf(name, sizeof(name), "@arkenspool-test-%ld", (long)getpid());
	listen_at(name);
	notify_open();
	notify_ready("x");
	expect("READY=1\nSTATUS=x");
}

static void
reloads_say_when(void **state)
{
	char name[64], got[128];
	uint64_t before = (uint64_t)clk_micro(), said;
	ssize_t n;

	(void)state;
	(void)snprintf(name, sizeof(name), "@arkenspool-reload-%ld", (long)getpid());
	listen_at(name);
	notify_open();
	notify_reloading();
	n = recv(manager, got, sizeof(got) - 1, 0);
	assert_true(n > 0);
	got[n] = '\0';
	assert_true(str_begins(got, "RELOADING=1\nMONOTONIC_USEC="));
	assert_true(
	    str_u64(got + strlen("RELOADING=1\nMONOTONIC_USEC="), 1, UINT64_MAX, &said));
	assert_true(said >= before && said <= (uint64_t)clk_micro());
}

static void
watchdogs(void **state)
{
	char name[64], pid[24];

	(void)state;
	(void)snprintf(name, sizeof(name), "@arkenspool-dog-%ld", (long)getpid());
	(void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	listen_at(name);
	assert_int_equal(setenv("WATCHDOG_USEC", "3000000", 1), 0);
	assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
	notify_open();
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
	notify_tick(mono);
	expect(NULL); /* not before it is ready */
	notify_ready("x");
	expect("READY=1\nSTATUS=x");
	expect("WATCHDOG=1");
	assert_int_equal(notify_due(), mono + 1500);
	notify_tick(mono += 1499);
	expect(NULL);
	notify_tick(mono += 1);
	expect("WATCHDOG=1");
	assert_int_equal(notify_due(), mono + 1500);
}

static void
not_our_watchdog(void **state)
{
	static const char *const usec[] = {"3000000", "0", "-1", "x", ""};
	char name[64];

	(void)state;
	(void)snprintf(name, sizeof(name), "@arkenspool-other-%ld", (long)getpid());
	listen_at(name);
	for (size_t i = 0; i < sizeof(usec) / sizeof(usec[0]); i++) {
		assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
		assert_int_equal(setenv("WATCHDOG_USEC", usec[i], 1), 0);
		if (i == 0)
			assert_int_equal(setenv("WATCHDOG_PID", "1", 1), 0);
		notify_open();
		notify_ready("x");
		assert_true(notify_due() == INT64_MAX);
		expect("READY=1\nSTATUS=x");
		expect(NULL);
	}
}

/* Without a manager nothing is said; one that is gone is logged, and that is all. */
static void
nobody_listens(void **state)
{
	static const char *const bad[] = {"", "/", "@", "relative", "vsock:2:1"};
	char name[TMPDIR_SIZE + 8], longest[200];

	(void)state;
	(void)unsetenv("NOTIFY_SOCKET");
	notify_open();
	notify_ready("x");
	notify_reloading();
	notify_stopping();
	assert_int_equal(lines, 0);
	memset(longest, 'a', sizeof(longest) - 1);
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	for (size_t i = 0; i <= sizeof(bad) / sizeof(bad[0]); i++) {
		lines = 0;
		assert_int_equal(setenv("NOTIFY_SOCKET",
				     i < sizeof(bad) / sizeof(bad[0]) ? bad[i] : longest, 1),
		    0);
		notify_open();
		assert_int_equal(lines, 1);
		notify_ready("x");
		assert_int_equal(lines, 1);
	}
	(void)snprintf(name, sizeof(name), "%s/gone", base);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	lines = 0;
	notify_open();
	notify_ready("x");
	assert_int_equal(lines, 1);
}

static void
long_texts_are_cut(void **state)
{
	char name[64], text[2 * NOTIFY_TEXT], got[4 * NOTIFY_TEXT];
	ssize_t n;

	(void)state;
	(void)snprintf(name, sizeof(name), "@arkenspool-long-%ld", (long)getpid());
	listen_at(name);
	notify_open();
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	notify_status(text);
	n = recv(manager, got, sizeof(got), 0);
	assert_int_equal(n, 7 + NOTIFY_TEXT - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(by_path, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(abstract_names, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(reloads_say_when, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(watchdogs, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(not_our_watchdog, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(nobody_listens, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(long_texts_are_cut, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
