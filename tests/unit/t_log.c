/*
 * SPDX-License-Identifier: ISC
 *
 * t_log - tests of log: one line, one write, whatever the values are.
 *
 * Linked with: -Wl,--wrap=connect
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "json.h"
#include "log.h"
#include "rnd.h"
#include "str.h"

int __real_connect(int fd, const struct sockaddr *sa, socklen_t n);
int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t n);

static struct sockaddr_un journal = {.sun_family = AF_UNIX}; /* sun_path[1] of 0: none */

/* The journal of this test is a socket of its own, in the abstract name space. */
int
__wrap_connect(int fd, const struct sockaddr *sa, socklen_t n)
{
	assert_string_equal(
	    ((const struct sockaddr_un *)sa)->sun_path, "/run/systemd/journal/socket");
	(void)n;
	return __real_connect(fd, (const struct sockaddr *)&journal, sizeof(journal));
}

static char last[2 * LOG_LINE];
static size_t last_n, lines;

static void
keep(const char *line, size_t n)
{
	assert_true(n > 0 && n < LOG_LINE);
	memcpy(last, line, n);
	last[n] = '\0';
	last_n = n;
	lines++;
}

static int
set_up(void **state)
{
	(void)state;
	log_open("t_log", LOG_KV, LOG_STDERR);
	log_level(LOG_INFO);
	log_capture(keep);
	lines = 0;
	return 0;
}

/* One line of printable ASCII whose quotes close; the text in quotes is skipped. */
static bool
whole_line(const char *line)
{
	bool quoted = false;
	size_t i;

	for (i = 0; line[i] != '\0' && line[i] != '\n'; i++) {
		if (line[i] < ' ' || line[i] > '~')
			return false;
		if (line[i] == '\\' && line[i + 1] != '\0' && line[i + 1] != '\n')
			i++;
		else if (line[i] == '"')
			quoted = !quoted;
	}
	return line[i] == '\n' && line[i + 1] == '\0' && !quoted;
}

static void
test_kv(void **state)
{
	(void)state;
	log_put(LOG_INFO, "taken", "event", "acme.1.User.Update", "none", NULL, "empty", "",
	    "reason", "two words", "quote", "a\"b", "slash", "a\\b", "eq", "a=b", LOG_END);
	assert_true(whole_line(last));
	assert_true(str_begins(last, "time=20"));
	assert_non_null(strstr(last, "Z level=info program=t_log what=taken "
				     "event=acme.1.User.Update reason=\"two words\" "
				     "quote=\"a\\\"b\" slash=\"a\\\\b\" eq=\"a=b\"\n"));
	log_put(LOG_ERROR, "two words", LOG_END);
	assert_non_null(strstr(last, " level=error program=t_log what=\"two words\"\n"));
}

static void
test_levels(void **state)
{
	static const enum log_level all[] = {
	    LOG_ERROR, LOG_WARN, LOG_NOTE, LOG_INFO, LOG_TRACE};

	(void)state;
	for (size_t most = 0; most < 5; most++) {
		log_level(all[most]);
		lines = 0;
		for (size_t i = 0; i < 5; i++)
			log_put(all[i], "x", LOG_END);
		assert_int_equal(lines, most + 1);
	}
}

/* Every byte, alone and between others, leaves one clean line. */
static void
test_bytes(void **state)
{
	char value[4] = "a b";

	(void)state;
	for (int c = 1; c < 256; c++) {
		value[1] = (char)c;
		log_open("t_log", LOG_KV, LOG_STDERR);
		log_put(LOG_INFO, "x", "value", value, "after", "y", LOG_END);
		assert_true(whole_line(last));
		assert_non_null(strstr(last, " after=y\n"));
		value[2] = '\0';
		log_put(LOG_INFO, value, LOG_END);
		assert_true(whole_line(last));
		value[2] = 'b';
	}
}

/* The line as strict JSON; the caller frees it. */
static struct json *
parse_last(void)
{
	struct json *doc = NULL;
	struct err e;

	assert_int_equal(last[last_n - 1], '\n');
	assert_null(memchr(last, '\n', last_n - 1));
	if (json_parse(last, last_n - 1, &doc, &e) != RC_OK)
		fail_msg("%s: %s", e.text, last);
	return doc;
}

static void
test_json(void **state)
{
	char value[4] = "a b", want[64], quoted[80];
	struct json *doc;

	(void)state;
	log_open("t_log", LOG_JSON, LOG_STDERR);
	for (int c = 1; c < 256; c++) {
		struct buf b = BUF_INIT(64);

		value[1] = (char)c;
		log_put(LOG_INFO, "x", "value", value, LOG_END);
		doc = parse_last();
		json_free(&doc);
		buf_json(&b, str_escape(want, sizeof(want), value, 3));
		(void)snprintf(quoted, sizeof(quoted), "\"value\":%s}", buf_text(&b));
		assert_non_null(strstr(last, quoted));
		buf_free(&b);
	}
	log_put(LOG_INFO, "x", "none", NULL, LOG_END);
	assert_null(strstr(last, "none"));
	log_put(LOG_INFO, "", LOG_END);
	doc = parse_last();
	json_free(&doc);
}

/* Lines of any size: whole, or cut and saying so; in JSON still JSON. */
static void
test_cut(void **state)
{
	static const char bytes[] = "a \"\\\n\xff=";
	struct rnd r = rnd_new("test_cut");
	char value[6][1200];
	struct json *doc;
	unsigned cut = 0;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		for (size_t k = 0; k < 6; k++) {
			size_t n = rnd_below(&r, sizeof(value[k]));
			char same = bytes[rnd_below(&r, 7)];

			for (size_t j = 0; j < n; j++)
				value[k][j] = i % 2 == 0 ? same : bytes[rnd_below(&r, 7)];
			value[k][n] = '\0';
		}
		log_open("t_log", i % 4 < 2 ? LOG_KV : LOG_JSON, LOG_STDERR);
		log_put(LOG_INFO, "x", "a", value[0], "b", value[1], "c", value[2], "d",
		    value[3], "e", value[4], "f", value[5], "end", "1", LOG_END);
		if (i % 4 < 2) {
			assert_true(whole_line(last));
			assert_true(strstr(last, " end=1\n") != NULL ||
				    strstr(last, " cut=yes\n") != NULL);
			cut += strstr(last, " cut=yes\n") != NULL;
		} else {
			doc = parse_last();
			json_free(&doc);
			assert_true(strstr(last, ",\"end\":\"1\"}\n") != NULL ||
				    strstr(last, ",\"cut\":\"yes\"}\n") != NULL);
		}
	}
	assert_in_range(cut, 300, 1500);
}

/* The same for texts of every size: nothing is written past the end. */
static void
test_kv_sizes(void **state)
{
	char value[300], out[400];
	size_t got;
	const char *pairs[] = {"time", "now", "reason", value, "end", "1"};

	(void)state;
	for (size_t n = 0; n < sizeof(value); n += 7)
		for (size_t size = 64; size < 360; size++) {
			memset(value, n % 2 == 0 ? '"' : 'a', n);
			value[n] = '\0';
			memset(out, 'X', sizeof(out));
			got = log_kv(out, size, pairs, 6);
			assert_int_equal(got, strlen(out));
			assert_true(strlen(out) < size);
			assert_int_equal(out[size], 'X');
			assert_true(whole_line(out));
			assert_true(strstr(out, " end=1\n") != NULL ||
				    strstr(out, " cut=yes\n") != NULL);
			/* What is there of a value is never silently the wrong one. */
			if (strstr(out, " cut=yes\n") == NULL && n > 0)
				assert_int_equal(
				    strlen(out), strlen("time=now reason= end=1\n") + n +
						     (n % 2 == 0 ? n + 2 : 0));
		}
}

static void
test_many_pairs(void **state)
{
	(void)state;
#define P "k", "v"
#define P8 P, P, P, P, P, P, P, P
	log_put(LOG_INFO, "x", P8, P8, P8, P8, LOG_END);
	assert_true(whole_line(last));
	log_put(LOG_INFO, "x", P8, P8, P8, P, P, P, P, LOG_END);
	assert_true(whole_line(last));
}

/* A socket that keeps messages apart stands for stderr: one message a line. */
static void
test_one_write(void **state)
{
	char line[2 * LOG_LINE], value[900];
	int sv[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	assert_true(dup2(sv[0], STDERR_FILENO) >= 0);
	log_capture(NULL);
	for (int i = 0; i < 4; i++)
		log_put(LOG_INFO, "x", "a", value, "b", value, "c", i > 1 ? value : "", "d",
		    i > 2 ? value : "", LOG_END);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	(void)close(saved);
	(void)close(sv[0]);
	for (int i = 0; i < 4; i++) {
		n = recv(sv[1], line, sizeof(line) - 1, 0);
		assert_true(n > 0);
		line[n] = '\0';
		assert_true(whole_line(line));
	}
	assert_int_equal(recv(sv[1], line, sizeof(line), 0), 0);
	(void)close(sv[1]);
}

/* Several processes on one pipe: no line is torn. */
static void
test_processes(void **state)
{
	enum { CHILDREN = 4, EACH = 200 };
	char line[2 * LOG_LINE];
	unsigned count = 0;
	int fd[2];
	FILE *f;

	(void)state;
	log_capture(NULL);
	assert_int_equal(pipe(fd), 0);
	for (int i = 0; i < CHILDREN; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			char value[1000];

			(void)dup2(fd[1], STDERR_FILENO);
			(void)close(fd[0]);
			(void)close(fd[1]);
			memset(value, 'a' + i, sizeof(value));
			value[sizeof(value) - 1] = '\0';
			for (int k = 0; k < EACH; k++)
				log_put(
				    LOG_INFO, "x", "a", value, "b", value, "c", value, LOG_END);
			_exit(0);
		}
	}
	(void)close(fd[1]);
	assert_non_null(f = fdopen(fd[0], "r"));
	for (; fgets(line, sizeof(line), f) != NULL; count++) {
		char *a = strstr(line, " a=");

		assert_true(whole_line(line));
		assert_non_null(a);
		assert_int_equal(strspn(a + 3, (char[]){a[3], '\0'}), 999);
	}
	(void)fclose(f);
	for (int i = 0; i < CHILDREN; i++)
		assert_true(wait(NULL) > 0);
	assert_int_equal(count, CHILDREN * EACH);
}

static void
test_journal(void **state)
{
	char got[2 * LOG_LINE];
	ssize_t n;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	(void)state;
	(void)snprintf(journal.sun_path + 1, 100, "arken-t-log-%ld", (long)getpid());
	assert_int_equal(bind(fd, (const struct sockaddr *)&journal, sizeof(journal)), 0);
	log_open("t_log", LOG_KV, LOG_JOURNAL);
	log_capture(NULL);
	log_put(LOG_WARN, "x", "reason", "a\nPRIORITY=0", LOG_END);
	n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	got[n] = '\0';
	assert_true(str_begins(got, "PRIORITY=4\nSYSLOG_IDENTIFIER=t_log\nMESSAGE=time="));
	assert_non_null(strstr(got, "reason=\"a\\x0aPRIORITY=0\"\n"));
	assert_null(strstr(got, "\nPRIORITY=0"));
	(void)close(fd);
	log_open("t_log", LOG_KV, LOG_STDERR);
}

/* LOG_AUTO asks whether stderr is what JOURNAL_STREAM says (systemd.exec(5)). */
static void
test_auto(void **state)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0), sv[2], saved = dup(STDERR_FILENO);
	char text[80], got[LOG_LINE];
	struct stat st;

	(void)state;
	(void)snprintf(journal.sun_path + 1, 100, "arken-t-auto-%ld", (long)getpid());
	assert_int_equal(bind(fd, (const struct sockaddr *)&journal, sizeof(journal)), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	assert_true(dup2(sv[0], STDERR_FILENO) >= 0);
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	log_capture(NULL);
	for (int same = 0; same < 2; same++) {
		(void)snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t)st.st_dev,
		    (uintmax_t)st.st_ino + (same ? 0 : 1));
		assert_int_equal(setenv("JOURNAL_STREAM", text, 1), 0);
		log_open("t_log", LOG_KV, LOG_AUTO);
		log_put(LOG_INFO, "x", LOG_END);
		assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT) > 0, same);
		assert_int_equal(recv(sv[1], got, sizeof(got), MSG_DONTWAIT) > 0, !same);
	}
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
	log_open("t_log", LOG_KV, LOG_STDERR);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	(void)close(saved);
	(void)close(sv[0]);
	(void)close(sv[1]);
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_kv, set_up),
	    cmocka_unit_test_setup(test_levels, set_up),
	    cmocka_unit_test_setup(test_bytes, set_up),
	    cmocka_unit_test_setup(test_json, set_up),
	    cmocka_unit_test_setup(test_cut, set_up),
	    cmocka_unit_test_setup(test_kv_sizes, set_up),
	    cmocka_unit_test_setup(test_many_pairs, set_up),
	    cmocka_unit_test_setup(test_one_write, set_up),
	    cmocka_unit_test_setup(test_processes, set_up),
	    cmocka_unit_test_setup(test_journal, set_up),
	    cmocka_unit_test_setup(test_auto, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
