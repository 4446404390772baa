/*
 * SPDX-License-Identifier: ISC
 *
 * t_alarm - tests of alarm: what begins and ends one, that each is told once, restarts
 * included.
 *
 * The clocks stand still; what the alarms look at is wrapped at link time, alarm_command is a
 * real program.
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
#include <sys/stat.h>

#include <cmocka.h>

#include "alarm.h"
#include "fake_daemon.h"
#include "json.h"
#include "purge.h"

#define MESSAGES 65536

void __wrap_spool_gauge(struct spool *sp, struct spool_gauge *out);
bool __wrap_purge_result(const struct daemon *d, const char **trouble);
bool __wrap_issuers_times(
    const struct issuers *is, const char *account, int64_t *fetched, int64_t *tried);
const struct feed_state *__wrap_reconcile_state(
    const struct reconciler *r, const char *account);

static struct spool_gauge gauge;
static const char *purge_trouble;
static int64_t keys_fetched, keys_tried; /* -1: no issuer */
static struct feed_state feed;
static struct alarms *a;
static char state_dir[TMPDIR_SIZE + 16], command[TMPDIR_SIZE + 16];
static char said[16384];
static size_t taken; /* bytes of the messages that were looked at */

void
__wrap_spool_gauge(struct spool *sp, struct spool_gauge *out)
{
	(void)sp;
	*out = gauge;
}

bool
__wrap_purge_result(const struct daemon *d, const char **trouble)
{
	(void)d;
	*trouble = purge_trouble;
	return true;
}

bool
__wrap_issuers_times(
    const struct issuers *is, const char *account, int64_t *fetched, int64_t *tried)
{
	(void)is;
	(void)account;
	*fetched = keys_fetched;
	*tried = keys_tried;
	return keys_fetched >= 0;
}

const struct feed_state *
__wrap_reconcile_state(const struct reconciler *r, const char *account)
{
	(void)r;
	(void)account;
	return &feed;
}

static void
listen_to(const char *line, size_t n)
{
	size_t at = strlen(said);

	(void)snprintf(said + at, sizeof(said) - at, "%.*s", (int)n, line);
}

static void
script(const char *text)
{
	char all[TMPDIR_SIZE + 512];
	int dir = tmpdir_open(fake_base);

	(void)snprintf(all, sizeof(all), "#!/bin/sh\n%s\n", text);
	(void)!io_unlink(dir, "command", NULL);
	tmpdir_write(dir, "command", all, strlen(all));
	assert_int_equal(chmod(command, 0700), 0);
	io_close(&dir);
}

static void
start(void)
{
	struct err e = {0};

	if (alarms_open(&fake, &a, &e) != RC_OK)
		fail_msg("%s", e.text);
}

static int
set_up(void **state)
{
	char text[TMPDIR_SIZE + 64];

	if (fake_setup(state) != 0)
		return -1;
	(void)snprintf(state_dir, sizeof(state_dir), "%s/state", fake_base);
	(void)snprintf(command, sizeof(command), "%s/command", fake_base);
	fake_conf.daemon.state = state_dir;
	fake_conf.daemon.alarm_command = command;
	fake_conf.daemon.alarm_timeout = CLK_MINUTE;
	fake_conf.daemon.target_limit = 15 * CLK_MINUTE;
	fake_conf.daemon.refused_limit = 20;
	fake_conf.daemon.refused_window = 5 * CLK_MINUTE;
	fake_conf.daemon.certificate_limit = 14 * CLK_DAY;
	fake_account.keys_max_age = 4 * CLK_DAY;
	fake_account.silence_limit = CLK_DAY;
	gauge = (struct spool_gauge){.shared = true,
	    .looked = true,
	    .free = UINT64_C(1) << 40,
	    .limits = {.queue_limit = 100, .min_free = 1 << 20, .min_inodes = 10}};
	purge_trouble = NULL;
	keys_fetched = -1;
	feed = (struct feed_state){0};
	said[0] = '\0';
	taken = 0;
	log_capture(listen_to);
	(void)snprintf(text, sizeof(text), "exec cat >> %s/out", fake_base);
	script(text);
	start();
	return 0;
}

static int
tear_down(void **state)
{
	alarms_close(&a);
	return fake_teardown(state);
}

static void
restart(void)
{
	alarms_close(&a);
	targets_free(&fake.targets);
	fake.targets = targets_new();
	start();
}

/* Until nothing is being told. */
static void
settle(void)
{
	while (alarms_telling(a)) {
		struct pollfd fd = {.fd = children_fd(fake.children), .events = POLLIN};

		assert_int_equal(poll(&fd, 1, FAKE_PATIENCE), 1);
		children_reap(fake.children);
	}
}

static void
look(void)
{
	alarms_look(a);
	settle();
}

static const char *
text_of(const struct json *doc, const char *name)
{
	const char *text = json_string(json_get(doc, name));

	assert_non_null(text);
	return text;
}

/* The next message is about this; state NULL: there is none. */
static void
expect(const char *key, const char *state)
{
	struct buf b = BUF_INIT(MESSAGES);
	struct json *doc = NULL;
	int dir = tmpdir_open(fake_base);
	const char *p;
	int64_t ms;

	(void)!io_read_file(dir, "out", &b, NULL);
	io_close(&dir);
	p = buf_text(&b) + taken;
	if (state == NULL) {
		assert_string_equal(p, "");
	} else {
		size_t n = strcspn(p, "\n");

		assert_int_equal(p[n], '\n');
		taken += n + 1;
		assert_int_equal(json_parse(p, n, &doc, NULL), RC_OK);
		assert_string_equal(text_of(doc, "alarm"), key);
		assert_string_equal(text_of(doc, "state"), state);
		assert_true(clk_parse(text_of(doc, "since"), &ms) && ms <= fake_wall);
		assert_true(clk_parse(text_of(doc, "time"), &ms) && ms == fake_wall);
		assert_true(strlen(text_of(doc, "text")) > 10);
		assert_true(strlen(text_of(doc, "todo")) > 10);
		assert_string_equal(text_of(doc, "spool"), fake_spool);
		(void)text_of(doc, "host");
		json_free(&doc);
	}
	buf_free(&b);
}

static void
nothing(void)
{
	look();
	expect(NULL, NULL);
}

/* A look that tells this one thing; a second look and a restart tell nothing. */
static void
once(const char *key, const char *state)
{
	look();
	expect(key, state);
	nothing();
	alarms_close(&a);
	start();
	nothing();
}

static void
boxes(void **state)
{
	(void)state;
	nothing();
	fake.in_box[SPOOL_FAILED] = 1;
	once("failed", "begin");
	fake.in_box[SPOOL_FAILED] = 3; /* another text is no other alarm */
	nothing();
	assert_int_equal(alarms_count(a), 1);
	fake.in_box[SPOOL_REJECTED] = 1;
	once("rejected", "begin");
	assert_int_equal(alarms_count(a), 2);
	fake.in_box[SPOOL_FAILED] = 0;
	once("failed", "end");
	fake.in_box[SPOOL_REJECTED] = 0;
	once("rejected", "end");
	assert_int_equal(alarms_count(a), 0);
	fake.in_box[SPOOL_FAILED] = 1;
	once("failed", "begin");
	assert_non_null(strstr(said, "alarm=failed state=begin"));
	assert_non_null(strstr(said, "alarm=failed state=end"));
}

static void
silence(void **state)
{
	(void)state;
	nothing();
	fake_pass(CLK_DAY);
	nothing();
	fake_pass(1);
	once("silence:acme", "begin");
	fake_pass(CLK_DAY);
	nothing();
	alarms_saw(a, "other", fake_wall);
	nothing();
	assert_true(alarms_last(a, "acme") == 0);
	alarms_saw(a, "acme", fake_wall);
	once("silence:acme", "end");
	assert_true(alarms_last(a, "acme") == fake_wall);
	fake_pass(CLK_DAY + 1);
	once("silence:acme", "begin");
	fake_account.silence_limit = 0; /* a reload */
	once("silence:acme", "end");
}

static void
an_old_event_is_no_new_one(void **state)
{
	(void)state;
	alarms_saw(a, "acme", fake_wall);
	fake_pass(CLK_DAY + 1);
	alarms_saw(a, "acme", fake_wall - CLK_DAY - 1); /* waited while the daemon was down */
	once("silence:acme", "begin");
}

static void
refused(void **state)
{
	struct counts *c = spool_counts(fake.spool);

	(void)state;
	count_add(c, COUNT_UNAUTHORIZED, 20);
	nothing();
	count_add(c, COUNT_UNAUTHORIZED, 1);
	once("refused", "begin");
	fake_pass(5 * CLK_MINUTE - 1);
	nothing();
	count_add(c, COUNT_UNAUTHORIZED, 21);
	nothing();
	fake_pass(1);
	nothing(); /* the window had a burst */
	count_add(c, COUNT_UNAUTHORIZED, 20);
	fake_pass(5 * CLK_MINUTE);
	once("refused", "end");
	fake_conf.daemon.refused_limit = 0;
	count_add(c, COUNT_UNAUTHORIZED, 1000);
	nothing();
}

static struct target *
down(const char *name)
{
	struct target *t = target_get(fake.targets, name, fake_mono);
	bool opened;

	target_refuse(t, fake_mono, -1, "gone", &opened);
	return t;
}

/* The probes of a circuit that is open do not begin it anew. */
static void
target_down_for_long(void **state)
{
	struct target *t = down("api:acme");
	bool opened;

	(void)state;
	for (int i = 0; i < 14; i++) {
		fake_pass(CLK_MINUTE);
		if (fake_mono >= t->open_until)
			(void)target_down(t, fake_mono, -1, "gone", &opened);
		nothing();
	}
	fake_pass(CLK_MINUTE);
	once("target:api:acme", "begin");
	assert_true(target_up(t));
	once("target:api:acme", "end");
	(void)down("api:acme");
	nothing();
	assert_true(target_up(t));
	nothing();
}

/* A restart forgets circuits, but the alarm goes on until the target has answered. */
static void
target_after_restart(void **state)
{
	struct target *t;

	(void)state;
	(void)down("api:acme");
	fake_pass(15 * CLK_MINUTE);
	once("target:api:acme", "begin");
	restart();
	nothing();
	t = down("api:acme"); /* still down, but not for long as far as this process knows */
	nothing();
	fake_pass(CLK_MINUTE);
	nothing();
	assert_true(target_up(t));
	once("target:api:acme", "end");
}

/* Nobody needs it any more. */
static void
target_forgotten(void **state)
{
	(void)state;
	(void)down("document:old.example.org");
	fake_pass(15 * CLK_MINUTE);
	once("target:document:old.example.org", "begin");
	restart();
	nothing();
	fake_pass(15 * CLK_MINUTE - 1);
	nothing();
	fake_pass(1);
	once("target:document:old.example.org", "end");
}

static void
target_configuration(void **state)
{
	struct target *t = target_get(fake.targets, "hook:acme", fake_mono);

	(void)state;
	assert_true(target_pause(t, fake_mono, TARGET_UNTIL_LIFTED,
	    "hook: exit status 78: no such customer: Jane Doe"));
	look();
	expect("target:hook:acme", "begin");
	assert_null(strstr(said, "Jane")); /* what a hook wrote may name people */
	assert_non_null(strstr(said, "exit status 78"));
	targets_reload(fake.targets, fake_mono);
	nothing(); /* a reload proves nothing */
	assert_false(target_up(t));
	once("target:hook:acme", "end");
}

static void
target_paused_by_an_operator(void **state)
{
	struct target *t = target_get(fake.targets, "hook:acme", fake_mono);

	(void)state;
	assert_true(target_pause(t, fake_mono, TARGET_UNTIL_LIFTED, "78"));
	look();
	expect("target:hook:acme", "begin");
	t->kind = PAUSE_OPERATOR;
	once("target:hook:acme", "end");
	fake_pass(CLK_DAY / 2);
	nothing();
}

/* Each of these begins by the first, ends by the second. */
static void
the_disk(void **state)
{
	(void)state;
	gauge.free = 1 << 20;
	once("room", "begin");
	gauge.free = UINT64_C(1) << 40;
	once("room", "end");
	gauge.few_inodes = true;
	gauge.inodes = 10;
	once("inodes", "begin");
	gauge.inodes = 11;
	once("inodes", "end");
	gauge.waiting = 100;
	once("queue", "begin");
	gauge.waiting = 99;
	once("queue", "end");
	gauge.broken = true;
	once("sync", "begin");
	gauge.broken = false;
	once("sync", "end");
	gauge.readonly = true;
	once("readonly", "begin");
	gauge.readonly = false;
	once("readonly", "end");
	fake_conf.spool.min_free = UINT64_C(1) << 62;
	once("store", "begin");
	fake_conf.spool.min_free = 0;
	once("store", "end");
}

static void
purging(void **state)
{
	(void)state;
	purge_trouble = "unlinkat(x) failed";
	once("purge", "begin");
	purge_trouble = NULL;
	once("purge", "end");
}

static void
missed_events(void **state)
{
	(void)state;
	feed.missing = feed.recovered = 2;
	once("missed:acme", "begin");
	feed.missing = 0;
	once("missed:acme", "end");
}

static void
keys_grow_old(void **state)
{
	(void)state;
	keys_fetched = keys_tried = 0;
	nothing(); /* not asked yet */
	keys_tried = fake_wall;
	once("keys:acme", "begin");
	keys_fetched = fake_wall;
	once("keys:acme", "end");
	fake_account.silence_limit = 0;
	fake_pass(3 * CLK_DAY);
	nothing();
	fake_pass(1);
	once("keys:acme", "begin");
	keys_fetched = fake_wall;
	once("keys:acme", "end");
}

static void
certificates_end(void **state)
{
	(void)state;
	fake_account.silence_limit = 0;
	alarms_certificate(a, "api.example.com", fake_wall + 14 * CLK_DAY);
	nothing();
	fake_pass(1);
	once("certificate:api.example.com", "begin"); /* known still after a restart */
	alarms_certificate(a, "api.example.com", fake_wall + 90 * CLK_DAY);
	once("certificate:api.example.com", "end");
	alarms_certificate(a, "old.example.com", fake_wall + CLK_DAY);
	once("certificate:old.example.com", "begin");
	fake_pass(7 * CLK_DAY + 1); /* nobody asks that host any more */
	once("certificate:old.example.com", "end");
}

static void
many_certificates(void **state)
{
	char host[64];

	(void)state;
	fake_account.silence_limit = 0;
	for (unsigned i = 0; i < 2 * ALARM_HOSTS; i++) {
		fake_pass(1);
		(void)snprintf(host, sizeof(host), "h%u.example.com", i);
		alarms_certificate(a, host, fake_wall + 90 * CLK_DAY);
	}
	nothing();
}

/* An account that went out of the configuration takes its alarms along. */
static void
accounts_go(void **state)
{
	(void)state;
	fake_pass(CLK_DAY + 1);
	once("silence:acme", "begin");
	alarms_close(&a);
	fake_account.name = (char *)(uintptr_t) "other";
	start();
	look();
	expect("silence:acme", "end");
	nothing();
}

static void
a_command_that_fails(void **state)
{
	(void)state;
	script("echo it broke; exit 3");
	fake.in_box[SPOOL_FAILED] = 1;
	look();
	assert_non_null(strstr(said, "alarm_command failed"));
	assert_non_null(strstr(said, "status=3"));
	assert_non_null(strstr(said, "it broke"));
	said[0] = '\0';
	nothing();
	assert_string_equal(said, "");
	fake_conf.daemon.alarm_command = (char *)(uintptr_t) "/no/such/program";
	fake.in_box[SPOOL_REJECTED] = 1;
	look();
	assert_non_null(strstr(said, "alarm_command"));
	said[0] = '\0';
	nothing();
	assert_string_equal(said, "");
	assert_int_equal(alarms_count(a), 2);
}

static void
without_a_command(void **state)
{
	(void)state;
	fake_conf.daemon.alarm_command = NULL;
	fake.in_box[SPOOL_FAILED] = 1;
	nothing();
	assert_int_equal(alarms_count(a), 1);
	fake_conf.daemon.alarm_command = command; /* a reload: it has begun long ago */
	nothing();
}

/* The daemon ends while a command runs, so nobody knows whether it told: it is told again. */
static void
stopped_in_the_middle(void **state)
{
	char text[TMPDIR_SIZE + 64];

	(void)state;
	script("exec tail -f /dev/null");
	fake.in_box[SPOOL_FAILED] = 1;
	alarms_look(a);
	assert_true(alarms_telling(a));
	fake.in_box[SPOOL_REJECTED] = 1;
	alarms_look(a); /* one at a time */
	assert_int_equal(children_running(fake.children), 1);
	fake.stopping = true;
	children_stop(fake.children);
	settle();
	(void)snprintf(text, sizeof(text), "exec cat >> %s/out", fake_base);
	script(text);
	fake.stopping = false;
	restart();
	look();
	expect("failed", "begin");
	expect("rejected", "begin");
	nothing();
}

/* It ends while its begin is being told: the end comes after that. */
static void
short_lived(void **state)
{
	(void)state;
	fake.in_box[SPOOL_FAILED] = 1;
	alarms_look(a);
	assert_true(alarms_telling(a));
	fake.in_box[SPOOL_FAILED] = 0;
	alarms_look(a);
	settle();
	expect("failed", "begin");
	expect("failed", "end");
	nothing();
}

static void
a_damaged_file(void **state)
{
	int dir;

	(void)state;
	fake.in_box[SPOOL_FAILED] = 1;
	once("failed", "begin");
	alarms_close(&a);
	dir = tmpdir_open(state_dir);
	assert_int_equal(io_replace(dir, ALARM_FILE, 0640, "{\"alarms\":[{", 12, NULL), RC_OK);
	io_close(&dir);
	start();
	assert_non_null(strstr(said, "alarms begun anew"));
	look();
	expect("failed", "begin"); /* one too many, none too few */
}

static void
more_than_there_is_room_for(void **state)
{
	char key[32];

	(void)state;
	fake_conf.daemon.alarm_command = NULL;
	for (unsigned i = 0; i <= ALARM_MAX; i++) {
		said[0] = '\0';
		(void)snprintf(key, sizeof(key), "k%u", i);
		alarms_set(a, key, "trouble", "mend it");
	}
	assert_int_equal(alarms_count(a), ALARM_MAX);
	assert_non_null(strstr(said, "more alarms than are kept"));
	look();
	alarms_set(a, "k0", NULL, NULL);
	look();
	alarms_set(a, "another", "trouble", "mend it");
	assert_int_equal(alarms_count(a), ALARM_MAX);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {T(boxes), T(silence), T(an_old_event_is_no_new_one),
	    T(refused), T(target_down_for_long), T(target_after_restart), T(target_forgotten),
	    T(target_configuration), T(target_paused_by_an_operator), T(the_disk), T(purging),
	    T(missed_events), T(keys_grow_old), T(certificates_end), T(many_certificates),
	    T(accounts_go), T(a_command_that_fails), T(without_a_command),
	    T(stopped_in_the_middle), T(short_lived), T(a_damaged_file),
	    T(more_than_there_is_room_for)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
