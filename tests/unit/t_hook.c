/*
 * SPDX-License-Identifier: ISC
 *
 * t_hook - tests of hook: exactly what a hook is told, and what each end of it means.
 */
#include "config.h"

#include <errno.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hook.h"
#include "str.h"

static struct rec rec = {.received = 1772705472345, .source = REC_RECONCILE};
static struct event ev = {.category = "FileStore",
    .type = "Upload",
    .client_hash = "8Kq",
    .document_hash = "$(touch x)"};

static struct hand
sample(void)
{
	struct hand h = {.rec = &rec,
	    .ev = &ev,
	    .name = "acme.e3.FileStore.Upload",
	    .key = "e3",
	    .account = "acme",
	    .store = "/var/lib/arkenspool/store",
	    .object = "$(touch x)",
	    .attempt = 2,
	    .has_record = true,
	    .has_document = true,
	    .meta = {.sha256 = "00ff", .size = 17, .media_type = "application/pdf"},
	    .folder = "/s/acme/FileStore/x-1",
	    .record = "/s/acme/FileStore/x-1/record.json",
	    .document = "/s/acme/FileStore/x-1/document.pdf",
	    .description = "/s/acme/FileStore/x-1/document.json",
	    .tombstone = "/s/acme/FileStore/x-1/deleted.json"};

	return h;
}

static const char *const everything[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME",
    "ARKEN_EVENT_ID=e3", "ARKEN_EVENT=acme.e3.FileStore.Upload", "ARKEN_ACCOUNT=acme",
    "ARKEN_CATEGORY=FileStore", "ARKEN_TYPE=Upload", "ARKEN_SOURCE=reconcile",
    "ARKEN_RECEIVED=2026-03-05T10:11:12.345Z", "ARKEN_TRY=2", "ARKEN_OBJECT=$(touch x)",
    "ARKEN_CLIENT_HASH=8Kq", "ARKEN_DOCUMENT_HASH=$(touch x)",
    "ARKEN_STORE=/var/lib/arkenspool/store", "ARKEN_FOLDER=/s/acme/FileStore/x-1",
    "ARKEN_RECORD=/s/acme/FileStore/x-1/record.json",
    "ARKEN_DOCUMENT=/s/acme/FileStore/x-1/document.pdf",
    "ARKEN_DOCUMENT_JSON=/s/acme/FileStore/x-1/document.json", "ARKEN_DOCUMENT_SIZE=17",
    "ARKEN_DOCUMENT_SHA256=00ff", "ARKEN_DOCUMENT_MEDIA_TYPE=application/pdf"};

static void
test_environment(void **state)
{
	const struct passwd *pw = getpwuid(geteuid());
	const size_t n = sizeof(everything) / sizeof(everything[0]);
	struct hand h = sample();
	struct hook_env env;
	char home[256];
	struct err e;

	(void)state;
	(void)snprintf(home, sizeof(home), "HOME=%s", pw != NULL ? pw->pw_dir : "/");
	assert_int_equal(hook_env(&env, &h, &e), RC_OK);
	assert_int_equal(env.n, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(
		    env.at[i], str_eq(everything[i], "HOME") ? home : everything[i]);
	hook_env_free(&env);
}

static const char *
value(const struct hook_env *env, const char *name)
{
	for (size_t i = 0; i < env->n; i++)
		if (str_begins(env->at[i], name) && env->at[i][strlen(name)] == '=')
			return env->at[i] + strlen(name) + 1;
	return NULL;
}

/* What is not there has no variable; a deleted object may still have its record. */
static void
test_absent(void **state)
{
	struct hand h = sample();
	struct hook_env env;
	struct err e;

	(void)state;
	h.has_record = h.has_document = false;
	h.deleted = true;
	assert_int_equal(hook_env(&env, &h, &e), RC_OK);
	assert_null(value(&env, "ARKEN_RECORD"));
	assert_null(value(&env, "ARKEN_DOCUMENT"));
	assert_null(value(&env, "ARKEN_DOCUMENT_JSON"));
	assert_null(value(&env, "ARKEN_DOCUMENT_SIZE"));
	assert_null(value(&env, "ARKEN_USER_HASH"));
	assert_null(value(&env, "ARKEN_ACCOUNT_HASH"));
	assert_string_equal(
	    value(&env, "ARKEN_TOMBSTONE"), "/s/acme/FileStore/x-1/deleted.json");
	hook_env_free(&env);
	h.has_record = true;
	assert_int_equal(hook_env(&env, &h, &e), RC_OK);
	assert_non_null(value(&env, "ARKEN_RECORD"));
	hook_env_free(&env);
}

/* The longest of everything fits. */
static void
test_longest(void **state)
{
	static char store[HAND_PATH];
	struct hand h = sample();
	struct hook_env env;
	struct err e;

	(void)state;
	memset(h.folder, 'x', sizeof(h.folder) - 1);
	memset(h.record, 'x', sizeof(h.record) - 1);
	memset(h.document, 'x', sizeof(h.document) - 1);
	memset(h.description, 'x', sizeof(h.description) - 1);
	memset(store, 'x', sizeof(store) - 1);
	h.store = store;
	assert_int_equal(hook_env(&env, &h, &e), RC_OK);
	assert_int_equal(strlen(value(&env, "ARKEN_DOCUMENT_JSON")), HAND_PATH - 1);
	hook_env_free(&env);
}

static struct child_end
exit_with(int status, const char *output)
{
	struct child_end end = {
	    .fate = CHILD_EXITED, .status = status, .output_len = strlen(output)};

	memcpy(end.output, output, end.output_len + 1);
	return end;
}

/* Every exit status there is. */
static void
test_statuses(void **state)
{
	char text[HANDED_TEXT], want[64];

	(void)state;
	for (int status = 0; status < 256; status++) {
		struct child_end end = exit_with(status, "");
		enum handed h = hook_verdict(&end, text), wanted = HANDED_LATER;

		if (status == 0)
			wanted = HANDED_DONE;
		else if (status == 65)
			wanted = HANDED_NEVER;
		else if (status == 69)
			wanted = HANDED_REFUSED;
		else if (status == 78)
			wanted = HANDED_CONFIG;
		if (h != wanted)
			fail_msg("exit status %d: %d", status, (int)h);
		(void)snprintf(want, sizeof(want), "hook: exit status %d", status);
		assert_string_equal(text, want);
	}
}

static void
test_other_ends(void **state)
{
	static const struct {
		struct child_end end;
		enum handed want;
		const char *text;
	} t[] = {
	    {{.fate = CHILD_KILLED, .status = SIGSEGV}, HANDED_LATER, "killed by signal 11"},
	    {{.fate = CHILD_TIMED_OUT}, HANDED_LATER, "time limit"},
	    {{.fate = CHILD_STOPPED}, HANDED_STOPPED, "with spoold"},
	    {{.fate = CHILD_LOST}, HANDED_LATER, "lost"},
	    {{.fate = CHILD_UNABLE, .sys = ENOENT}, HANDED_CONFIG, "No such file"},
	    {{.fate = CHILD_UNABLE, .sys = EACCES}, HANDED_CONFIG, "Permission denied"},
	    {{.fate = CHILD_UNABLE, .sys = ENOEXEC}, HANDED_CONFIG, "Exec format"},
	    {{.fate = CHILD_UNABLE, .sys = ENOTDIR}, HANDED_CONFIG, "Not a directory"},
	    {{.fate = CHILD_UNABLE, .sys = E2BIG}, HANDED_CONFIG, "too long"},
	    {{.fate = CHILD_UNABLE, .sys = EAGAIN}, HANDED_OURS, "cannot be started"},
	    {{.fate = CHILD_UNABLE, .sys = ENOMEM}, HANDED_OURS, "cannot be started"},
	    {{.fate = CHILD_UNABLE, .sys = ETXTBSY}, HANDED_OURS, "busy"},
	    {{.fate = CHILD_UNABLE, .sys = EMFILE}, HANDED_OURS, "Too many"},
	};
	char text[HANDED_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		if (hook_verdict(&t[i].end, text) != t[i].want ||
		    strstr(text, t[i].text) == NULL)
			fail_msg("case %zu: %s", i, text);
	}
}

/* The end of what it said, in one line, with nothing in it that could steer anything. */
static void
test_output(void **state)
{
	struct child_end end = exit_with(1, "first\tline\nsecond\r\n\x1b[31m\xc3\xa4\n\n ");
	char text[HANDED_TEXT], said[HOOK_TEXT];

	(void)state;
	assert_int_equal(hook_verdict(&end, text), HANDED_LATER);
	assert_string_equal(text, "hook: exit status 1: first line / second  / ?[31m??");
	memset(end.output, '\n', sizeof(end.output));
	end.output_len = CHILD_OUTPUT - 1;
	hook_output(&end, said);
	assert_string_equal(said, "");
	end.output[CHILD_OUTPUT - 2] = 'x';
	hook_output(&end, said);
	assert_true(strlen(said) < HOOK_TEXT);
	assert_int_equal(said[strlen(said) - 1], 'x');
	assert_int_equal(hook_verdict(&end, text), HANDED_LATER);
	assert_int_equal(text[strlen(text) - 1], 'x');
	memset(end.output, 0, sizeof(end.output));
	hook_output(&end, said);
	assert_string_equal(said, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_environment),
	    cmocka_unit_test(test_absent),
	    cmocka_unit_test(test_longest),
	    cmocka_unit_test(test_statuses),
	    cmocka_unit_test(test_other_ends),
	    cmocka_unit_test(test_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
