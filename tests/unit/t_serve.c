/*
 * SPDX-License-Identifier: ISC
 *
 * t_serve - threads and connections: what is slow, silent or stuck holds nobody up.
 *
 * The clock is the test's: it jumps instead of waiting.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "clk.h"
#include "fcgx.h"
#include "log.h"
#include "serve.h"
#include "tmpdir.h"

#define WAIT 20000 /* ms until a test gives up */
#define CONNECTIONS 4

static struct {
	char dir[TMPDIR_SIZE];
	struct sockaddr_un at;
	struct serve_opt opt;
	int stop[2];
	pthread_t thread;
	enum rc rc;
} server;

static _Atomic int64_t jumped; /* ms that the clock is ahead */
static atomic_uint handled;

static int64_t
test_clock(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return atomic_load(&jumped) + now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
drop_line(const char *line, size_t n)
{
	(void)line;
	(void)n;
}

/* Answers when it has read the body. */
static bool
handle(struct exchange *x, void *arg)
{
	char body[256];
	ssize_t k;

	(void)arg;
	atomic_fetch_add(&handled, 1);
	while ((k = x->read(x, body, sizeof(body))) > 0)
		;
	(void)x->write(x, "Status: 200\r\n\r\n", 15);
	return k == 0;
}

static void *
run(void *arg)
{
	struct err e;

	(void)arg;
	server.rc = serve_run(&server.opt, &e);
	return NULL;
}

static int
set_up(void **state)
{
	struct err e;

	(void)state;
	log_capture(drop_line);
	clk_replace(NULL, test_clock);
	tmpdir_make(server.dir);
	server.at.sun_family = AF_UNIX;
	assert_true(strlen(server.dir) + 6 < sizeof(server.at.sun_path));
	(void)snprintf(
	    server.at.sun_path, sizeof(server.at.sun_path), "%.80s/sock", server.dir);
	server.opt.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(
	    bind(server.opt.listener, (const struct sockaddr *)&server.at, sizeof(server.at)),
	    0);
	assert_int_equal(listen(server.opt.listener, 64), 0);
	assert_int_equal(pipe2(server.stop, O_CLOEXEC), 0);
	server.opt.stop = server.stop[0];
	server.opt.threads = 1;
	server.opt.connections = CONNECTIONS;
	server.opt.handle = handle;
	assert_int_equal(fcgx_init(&e), RC_OK);
	assert_int_equal(pthread_create(&server.thread, NULL, run, NULL), 0);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	assert_int_equal(write(server.stop[1], "", 1), 1);
	assert_int_equal(pthread_join(server.thread, NULL), 0);
	assert_int_equal(server.rc, RC_OK);
	(void)close(server.opt.listener);
	(void)close(server.stop[0]);
	(void)close(server.stop[1]);
	tmpdir_remove(server.dir);
	clk_replace(NULL, NULL);
	log_capture(NULL);
	return 0;
}

static int
client(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(
	    connect(fd, (const struct sockaddr *)&server.at, sizeof(server.at)), 0);
	return fd;
}

/* BEGIN, the end of no parameters, a body of one byte and its end. */
static const char request[] = "\1\1\0\1\0\x08\0\0\0\1\1\0\0\0\0\0"
			      "\1\4\0\1\0\0\0\0"
			      "\1\5\0\1\0\1\0\0b"
			      "\1\5\0\1\0\0\0\0";

#define REQUEST (sizeof(request) - 1)

static void
say(int fd, size_t from, size_t to)
{
	assert_int_equal(
	    send(fd, request + from, to - from, MSG_NOSIGNAL), (ssize_t)(to - from));
}

/* Something can be read: an answer, or the end.  Returns how many bytes there are. */
static ssize_t
hear(int fd)
{
	struct pollfd in = {.fd = fd, .events = POLLIN};
	char answer[4096];

	assert_int_equal(poll(&in, 1, WAIT), 1);
	return recv(fd, answer, sizeof(answer), 0);
}

static void
one_good_request(void)
{
	int fd = client();

	say(fd, 0, REQUEST);
	assert_true(hear(fd) > 0);
	(void)close(fd);
}

/* Wherever it stops, the only thread is free; when its time is over it is closed. */
static void
test_half_a_request(void **state)
{
	(void)state;
	for (size_t cut = 1; cut < REQUEST; cut += cut % 8 == 1 ? 4 : 3) {
		int fd = client();

		say(fd, 0, cut);
		one_good_request();
		if (cut % 8 == 5) { /* it may still come in time */
			say(fd, cut, REQUEST);
			assert_true(hear(fd) > 0);
		} else {
			atomic_fetch_add(&jumped, (SERVE_PATIENCE + 1) * 1000);
			assert_true(hear(fd) <= 0);
		}
		(void)close(fd);
	}
}

/* The time of a request counts from its first byte: drops do not lengthen it. */
static void
test_a_byte_now_and_then(void **state)
{
	int fd = client();

	(void)state;
	for (size_t at = 0; at < 3; at++) {
		say(fd, at, at + 1);
		one_good_request();
		atomic_fetch_add(&jumped, SERVE_PATIENCE * 1000 * 2 / 5);
	}
	assert_true(hear(fd) <= 0);
	(void)close(fd);
}

/* Idle connections have all the time there is, but make room for new ones, the oldest first. */
static void
test_idle_connections(void **state)
{
	int fd[2 * CONNECTIONS];

	(void)state;
	for (int i = 0; i < 2 * CONNECTIONS; i++) {
		fd[i] = client();
		atomic_fetch_add(&jumped, (SERVE_PATIENCE + 1) * 1000);
		one_good_request();
	}
	for (int i = 0; i < CONNECTIONS; i++)
		assert_true(hear(fd[i]) <= 0);
	say(fd[2 * CONNECTIONS - 1], 0, REQUEST);
	assert_true(hear(fd[2 * CONNECTIONS - 1]) > 0);
	for (int i = 0; i < 2 * CONNECTIONS; i++)
		(void)close(fd[i]);
}

/* All places taken by requests that are coming: the next waits, and is not forgotten. */
static void
test_no_place(void **state)
{
	int fd[CONNECTIONS], late;

	(void)state;
	for (int i = 0; i < CONNECTIONS; i++) {
		fd[i] = client();
		say(fd[i], 0, 5);
	}
	late = client();
	say(late, 0, REQUEST);
	for (int i = 0; i < CONNECTIONS; i++) {
		say(fd[i], 5, REQUEST);
		assert_true(hear(fd[i]) > 0);
	}
	for (int i = 0; i < CONNECTIONS; i++)
		(void)close(fd[i]);
	assert_true(hear(late) > 0);
	(void)close(late);
}

/* Many requests at once, whose answers are not read: no thread waits for that. */
static void
test_answers_that_nobody_reads(void **state)
{
	unsigned before = atomic_load(&handled);
	int fd = client();

	(void)state;
	for (int i = 0; i < 20000; i++) {
		if (send(fd, request, REQUEST, MSG_NOSIGNAL) != (ssize_t)REQUEST)
			break;
	}
	one_good_request();
	assert_true(atomic_load(&handled) - before < 20000);
	(void)close(fd);
}

/* Several requests in one piece are answered one after the other. */
static void
test_one_after_the_other(void **state)
{
	char both[2 * REQUEST];
	unsigned before;
	int fd = client();

	(void)state;
	one_good_request();
	before = atomic_load(&handled);
	memcpy(both, request, REQUEST);
	memcpy(both + REQUEST, request, REQUEST);
	assert_int_equal(send(fd, both, REQUEST + 20, 0), (ssize_t)(REQUEST + 20));
	assert_true(hear(fd) > 0);
	assert_int_equal(send(fd, both + REQUEST + 20, REQUEST - 20, 0), (ssize_t)REQUEST - 20);
	assert_true(hear(fd) > 0);
	assert_int_equal(atomic_load(&handled), before + 2);
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_half_a_request, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_byte_now_and_then, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_idle_connections, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_no_place, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_answers_that_nobody_reads, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_one_after_the_other, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
