/*
 * SPDX-License-Identifier: ISC
 *
 * t_child - tests of child, keeper and warden: what a program gets, how it ends, and that
 * nothing of it stays.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "child.h"
#include "clk.h"
#include "log.h"
#include "str.h"
#include "tmpdir.h"

#define PATIENCE 30000                               /* milliseconds; on a busy machine */
#define FOREVER "tail -f /dev/null > /dev/null 2>&1" /* else it would end with the pipe */

static struct children *all;
static char base[TMPDIR_SIZE];
static int dir = -1;
static struct child_end got;
static unsigned ends;

static void
sink(const char *line, size_t n)
{
	(void)line;
	(void)n;
}

static int
set_up(void **state)
{
	struct err e;

	(void)state;
	log_capture(sink);
	ends = 0;
	tmpdir_make(base);
	dir = tmpdir_open(base);
	return children_new(&all, &e) == RC_OK ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	children_free(&all);
	(void)close(dir);
	tmpdir_remove(base);
	log_capture(NULL);
	return 0;
}

static void
ended(const struct child_end *end, void *arg)
{
	assert_ptr_equal(arg, base);
	got = *end;
	ends++;
}

/* A script of the folder; returns its path. */
static const char *
script(const char *name, const char *text)
{
	static char path[TMPDIR_SIZE + 32];
	char all_of_it[4096];
	int n;

	n = snprintf(
	    all_of_it, sizeof(all_of_it), "#!/bin/sh\nset -u\ncd %s\n%s\n", base, text);
	tmpdir_write(dir, name, all_of_it, (size_t)n);
	if (fchmodat(dir, name, 0755, 0) != 0)
		tmpdir_fail("fchmodat", name);
	(void)snprintf(path, sizeof(path), "%s/%s", base, name);
	return path;
}

static void
start(const char *command, int64_t timeout)
{
	static const char *const env[] = {"PATH=/usr/bin:/bin", "ONE=1"};
	struct child_spec spec = {.command = command,
	    .env = env,
	    .nenv = 2,
	    .input = "the input\n",
	    .input_len = 10,
	    .timeout = timeout};
	struct child *k;
	struct err e;

	if (child_start(all, &spec, ended, base, &k, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_non_null(k);
}

static void
wait_end(void)
{
	unsigned before = ends;

	while (ends == before) {
		struct pollfd fd = {.fd = children_fd(all), .events = POLLIN};

		assert_int_equal(poll(&fd, 1, PATIENCE), 1);
		children_reap(all);
	}
}

static void
run(const char *text)
{
	start(script("s", text), PATIENCE);
	wait_end();
}

/* Wait until a program says that it runs, by a line in this fifo. */
static void
wait_ready(const char *fifo)
{
	struct pollfd fd = {.fd = openat(dir, fifo, O_RDWR | O_CLOEXEC), .events = POLLIN};

	assert_true(fd.fd >= 0);
	assert_int_equal(poll(&fd, 1, PATIENCE), 1);
	(void)close(fd.fd);
}

static void
make_fifo(const char *name)
{
	if (mkfifoat(dir, name, 0600) != 0)
		tmpdir_fail("mkfifoat", name);
}

/* Every process whose number is in this file is gone, or goes now. */
static void
all_gone(const char *file, unsigned count)
{
	char text[4096];
	unsigned n = 0;

	assert_true(tmpdir_read(dir, file, text, sizeof(text)) > 0);
	for (char *p = text; *p != '\0'; n++) {
		pid_t pid = (pid_t)strtol(p, &p, 10);
		struct pollfd fd = {
		    .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};

		if (fd.fd < 0)
			assert_int_equal(errno, ESRCH);
		else if (poll(&fd, 1, PATIENCE) != 1)
			fail_msg("process %d is still there", (int)pid);
		if (fd.fd >= 0)
			(void)close(fd.fd);
		p += *p == '\n';
	}
	assert_int_equal(n, count);
}

static void
test_status(void **state)
{
	static const int statuses[] = {0, 1, 65, 69, 75, 78, 126, 127, 255};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		(void)snprintf(text, sizeof(text), "exit %d", statuses[i]);
		run(text);
		assert_int_equal(got.fate, CHILD_EXITED);
		assert_int_equal(got.status, statuses[i]);
		assert_int_equal(got.output_len, 0);
	}
	run("kill -SEGV $$");
	assert_int_equal(got.fate, CHILD_KILLED);
	assert_int_equal(got.status, SIGSEGV);
	assert_int_equal(children_running(all), 0);
}

/* Exactly the environment, the arguments and the input; nothing else that is ours. */
static void
test_what_it_gets(void **state)
{
	char command[TMPDIR_SIZE + 64];

	(void)state;
	(void)snprintf(command, sizeof(command), "%s a -b $(id) *",
	    script("s", "printf '%s\\n' \"$@\"; cat; cat < /proc/self/fd/0"));
	start(command, PATIENCE);
	wait_end();
	assert_string_equal(got.output, "a\n-b\n$(id)\n*\nthe input\nthe input\n");
	start("/usr/bin/env", PATIENCE);
	wait_end();
	assert_string_equal(got.output, "PATH=/usr/bin:/bin\nONE=1\n");
	start("/bin/pwd", PATIENCE);
	wait_end();
	assert_string_equal(got.output, "/\n");
	start("/bin/ls /proc/self/fd", PATIENCE); /* 3 is the folder that ls reads */
	wait_end();
	assert_string_equal(got.output, "0\n1\n2\n3\n");
	run("umask; ulimit -c; grep -E '^Sig(Blk|Ign)' /proc/self/status; "
	    "kill -PIPE $$; echo no");
	assert_string_equal(
	    got.output, "0027\n0\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	assert_int_equal(got.fate, CHILD_KILLED);
	run("echo no > /dev/stdin");
	assert_true(got.status != 0);
	/* Its own session and group. */
	run("set -- $(cat /proc/$$/stat); test $1 = $$ && test $5 = $$ && test $6 = $$");
	assert_int_equal(got.status, 0);
}

/* Of what it writes the end is kept, however much it is. */
static void
test_output(void **state)
{
	(void)state;
	run("echo out; echo err >&2");
	assert_string_equal(got.output, "out\nerr\n");
	run("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo the end");
	assert_int_equal(got.output_len, CHILD_OUTPUT - 1);
	assert_int_equal(got.output[0], 'x');
	assert_string_equal(got.output + CHILD_OUTPUT - 11, "x\nthe end\n");
	run("exec >&- 2>&-; exit 3");
	assert_int_equal(got.status, 3);
	/* More than a pipe holds, all at once at the end. */
	run("yes | head -c 60000; exit 4");
	assert_int_equal(got.status, 4);
	assert_int_equal(got.output_len, CHILD_OUTPUT - 1);
}

static void
test_not_started(void **state)
{
	char command[TMPDIR_SIZE + 32];

	(void)state;
	start("/nonexistent/program x", PATIENCE);
	wait_end();
	assert_int_equal(got.fate, CHILD_UNABLE);
	assert_int_equal(got.sys, ENOENT);
	start(base, PATIENCE);
	wait_end();
	assert_int_equal(got.fate, CHILD_UNABLE);
	assert_int_equal(got.sys, EACCES);
	tmpdir_write(dir, "plain", "#!/bin/sh\n", 10);
	(void)snprintf(command, sizeof(command), "%s/plain", base);
	start(command, PATIENCE);
	wait_end();
	assert_int_equal(got.sys, EACCES);
	tmpdir_write(dir, "odd", "#!/nonexistent\n", 15);
	assert_int_equal(fchmodat(dir, "odd", 0755, 0), 0);
	(void)snprintf(command, sizeof(command), "%s/odd", base);
	start(command, PATIENCE);
	wait_end();
	assert_int_equal(got.sys, ENOENT);
}

static void
test_too_long(void **state)
{
	static char big[CHILD_REQUEST + 1], words[2 * CHILD_WORDS + 2];
	const char *env[CHILD_WORDS + 1] = {big};
	struct child_spec spec = {.command = "/bin/true", .env = env, .nenv = 1};
	struct child *k;
	struct err e;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	assert_int_equal(child_start(all, &spec, ended, base, &k, &e), RC_BAD);
	assert_null(k);
	spec.nenv = CHILD_WORDS + 1;
	assert_int_equal(child_start(all, &spec, ended, base, &k, &e), RC_BAD);
	spec.nenv = 0;
	for (size_t i = 0; i < sizeof(words) - 1; i++)
		words[i] = i % 2 == 0 ? '/' : ' ';
	spec.command = words;
	assert_int_equal(child_start(all, &spec, ended, base, &k, &e), RC_BAD);
	assert_int_equal(children_running(all), 0);
	run("exit 5");
	assert_int_equal(got.status, 5);
}

/* A large input that is not read harms nobody; one that is read is whole. */
static void
test_input(void **state)
{
	static char big[1 << 20];
	struct child_spec spec = {.input = big, .input_len = sizeof(big), .timeout = PATIENCE};
	struct child *k;
	struct err e;

	(void)state;
	memset(big, 'y', sizeof(big));
	spec.command = "/bin/true";
	assert_int_equal(child_start(all, &spec, ended, base, &k, &e), RC_OK);
	wait_end();
	assert_int_equal(got.status, 0);
	spec.command = "/usr/bin/wc -c";
	assert_int_equal(child_start(all, &spec, ended, base, &k, &e), RC_OK);
	wait_end();
	assert_string_equal(got.output, "1048576\n");
}

/* SIGTERM after its time; then it may end as it likes. */
static void
test_time_limit(void **state)
{
	int64_t began = clk_mono();

	(void)state;
	start(script("s", "echo $$ > pids; echo begun; exec " FOREVER), 300);
	wait_end();
	assert_int_equal(got.fate, CHILD_TIMED_OUT);
	assert_string_equal(got.output, "begun\n");
	assert_true(clk_mono() - began >= 300);
	all_gone("pids", 1);
	start(script("s", "trap 'echo mending; exit 0' TERM; " FOREVER " & wait"), 300);
	wait_end();
	assert_int_equal(got.fate, CHILD_TIMED_OUT);
	assert_string_equal(got.output, "mending\n");
}

/* Who does not listen to SIGTERM is killed, and so is all that it started. */
static void
test_deaf(void **state)
{
	int64_t began = clk_mono();

	(void)state;
	start(script("s", "trap '' TERM; echo $$ > pids\n"
			  "(trap '' TERM; exec " FOREVER ") & echo $! >> pids\n"
			  "setsid sh -c 'echo $$ >> pids; exec " FOREVER "' &\n"
			  "wait; wait; wait"),
	    1000);
	wait_end();
	assert_int_equal(got.fate, CHILD_TIMED_OUT);
	assert_in_range(clk_mono() - began, 1000 + CHILD_LAST, 1000 + CHILD_LAST + PATIENCE);
	all_gone("pids", 3);
}

/* What it leaves behind is ended with it, whatever group it went to. */
static void
test_leftovers(void **state)
{
	(void)state;
	make_fifo("ready");
	run(FOREVER " & echo $! > pids\n"
		    "setsid sh -c '" FOREVER
		    " & echo $! >> pids; echo $$ >> pids; echo > ready; "
		    "exec yes > /dev/null' &\n"
		    "read x < ready; exit 7");
	assert_int_equal(got.fate, CHILD_EXITED);
	assert_int_equal(got.status, 7);
	all_gone("pids", 3);
}

static void
test_stop(void **state)
{
	char command[TMPDIR_SIZE + 64], fifo[16];

	(void)state;
	for (int i = 0; i < 5; i++) {
		(void)snprintf(fifo, sizeof(fifo), "r%d", i);
		make_fifo(fifo);
		(void)snprintf(command, sizeof(command), "%s %s",
		    script("s", "echo $$ >> pids; echo > $1; exec " FOREVER), fifo);
		start(command, PATIENCE);
		wait_ready(fifo);
	}
	assert_int_equal(children_running(all), 5);
	children_stop(all);
	while (children_running(all) > 0) {
		wait_end();
		assert_int_equal(got.fate, CHILD_STOPPED);
	}
	assert_int_equal(ends, 5);
	all_gone("pids", 5);
}

#define TREE                                                                                   \
	"echo $$ > pids; " FOREVER " & echo $! >> pids\n"                                      \
	"setsid sh -c 'echo $$ >> pids; trap \"\" TERM HUP; echo > ready; exec " FOREVER       \
	"' &\n"                                                                                \
	"trap '' TERM HUP; exec " FOREVER

/* An end of ours that waits for nobody. */
static void
test_left_alone(void **state)
{
	struct err e;

	(void)state;
	make_fifo("ready");
	start(script("s", TREE), PATIENCE);
	wait_ready("ready");
	children_free(&all);
	assert_int_equal(ends, 0);
	all_gone("pids", 3);
	assert_int_equal(children_new(&all, &e), RC_OK);
}

/* The daemon is killed: nothing that it started stays. */
static void
test_daemon_killed(void **state)
{
	const char *path;
	pid_t daemon;
	int status;

	(void)state;
	make_fifo("ready");
	path = script("s", TREE);
	children_free(&all);
	daemon = fork();
	if (daemon == 0) {
		struct err e;

		if (children_new(&all, &e) == RC_OK)
			start(path, PATIENCE);
		for (;;)
			(void)pause();
	}
	wait_ready("ready");
	assert_int_equal(kill(daemon, SIGKILL), 0);
	assert_int_equal(waitpid(daemon, &status, 0), daemon);
	all_gone("pids", 3);
}

/* The parent of a process, as /proc has it. */
static pid_t
parent_of(pid_t pid)
{
	char path[64], text[512];
	FILE *f;
	char *p;
	size_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		fail_msg("%s: gone", path);
	n = fread(text, 1, sizeof(text) - 1, f);
	(void)fclose(f);
	text[n] = '\0';
	p = strrchr(text, ')');
	return p != NULL ? (pid_t)strtol(p + 4, NULL, 10) : -1;
}

static pid_t
first_pid(void)
{
	char text[4096];

	assert_true(tmpdir_read(dir, "pids", text, sizeof(text)) > 0);
	return (pid_t)strtol(text, NULL, 10);
}

/* A warden that is killed takes its program along, and somebody hears of it. */
static void
test_warden_killed(void **state)
{
	(void)state;
	make_fifo("ready");
	start(script("s", "echo $$ > pids; echo > ready; exec " FOREVER), PATIENCE);
	wait_ready("ready");
	assert_int_equal(kill(parent_of(first_pid()), SIGKILL), 0);
	wait_end();
	assert_int_equal(got.fate, CHILD_LOST);
	all_gone("pids", 1);
}

/* A keeper that is killed is replaced; what runs goes on. */
static void
test_keeper_killed(void **state)
{
	pid_t keeper;
	int i;

	(void)state;
	make_fifo("ready");
	start(script("one", "echo $$ > pids; echo > ready; read x; exec " FOREVER), PATIENCE);
	wait_ready("ready");
	keeper = parent_of(parent_of(first_pid()));
	assert_int_equal(parent_of(keeper), getpid());
	assert_int_equal(kill(keeper, SIGKILL), 0);
	{
		siginfo_t si;

		assert_int_equal(waitid(P_PID, (id_t)keeper, &si, WEXITED | WNOWAIT), 0);
	}
	for (i = 0; i < 3; i++) {
		run("exit 9");
		assert_int_equal(got.status, 9);
	}
	assert_int_equal(children_running(all), 1);
	children_stop(all);
	wait_end();
	assert_int_equal(got.fate, CHILD_STOPPED);
	all_gone("pids", 1);
}

/* So many at a time, each with its own end. */
static unsigned statuses[256];

static void
tally(const struct child_end *end, void *arg)
{
	(void)arg;
	assert_int_equal(end->fate, CHILD_EXITED);
	statuses[end->status]++;
	ends++;
}

static void
test_many(void **state)
{
	char command[TMPDIR_SIZE + 64];
	const char *path = script("s", "exit $1");
	struct err e;

	(void)state;
	memset(statuses, 0, sizeof(statuses));
	for (int i = 0; i < 100; i++) {
		struct child_spec spec = {.command = command, .timeout = PATIENCE};
		struct child *k;

		(void)snprintf(command, sizeof(command), "%s %d", path, i);
		if (child_start(all, &spec, tally, NULL, &k, &e) != RC_OK)
			fail_msg("%s", e.text);
	}
	while (ends < 100)
		wait_end();
	for (int i = 0; i < 100; i++)
		assert_int_equal(statuses[i], 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_status, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_what_it_gets, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_output, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_not_started, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_too_long, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_input, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_time_limit, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_deaf, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_leftovers, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_stop, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_left_alone, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_daemon_killed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_warden_killed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_keeper_killed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
