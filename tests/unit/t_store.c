/*
 * SPDX-License-Identifier: ISC
 *
 * t_store - tests of store: each write all or nothing, twice as good as once, and whatever a
 * crash leaves between two system calls, the same try again sets right.
 *
 * Linked with: -Wl,--wrap=mkdirat -Wl,--wrap=renameat -Wl,--wrap=renameat2 -Wl,--wrap=fsync
 *    -Wl,--wrap=fdatasync -Wl,--wrap=unlinkat -Wl,--wrap=fchmod -Wl,--wrap=write
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <sys/wait.h>

#include "clk.h"
#include "hash.h"
#include "io.h"
#include "json.h"
#include "store.h"
#include "str.h"
#include "tmpdir.h"

#define CONTENT 4096
#define CRASHED 42    /* exit status of a child that ended at the call it was to end at */
#define CALLS_MAX 200 /* no commit makes as many */
#define E1 "acme.e1.FileStore.Upload"
#define E2 "acme.e2.FileStore.Upload"
#define E3 "acme.e3.FileStore.Upload"

static char base[TMPDIR_SIZE], path[TMPDIR_SIZE + 16];
static const struct store_place place = {"acme", "FileStore", "doc1"};

/* ---- the Nth call that changes something ends the process, or fails ---- */

static unsigned calls, crash_at, fail_at;

static bool
fails(void)
{
	calls++;
	if (crash_at != 0 && calls == crash_at)
		_exit(CRASHED);
	if (calls != fail_at)
		return false;
	errno = EIO;
	return true;
}

#define WRAP(type, name, params, args)                                                         \
	type __real_##name params;                                                             \
	type __wrap_##name params;                                                             \
	type __wrap_##name params                                                              \
	{                                                                                      \
		return fails() ? -1 : __real_##name args;                                      \
	}

WRAP(int, mkdirat, (int d, const char *n, mode_t m), (d, n, m))
WRAP(int, renameat, (int d, const char *a, int t, const char *b), (d, a, t, b))
WRAP(int, renameat2, (int d, const char *a, int t, const char *b, unsigned f), (d, a, t, b, f))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, fdatasync, (int fd), (fd))
WRAP(int, unlinkat, (int d, const char *n, int f), (d, n, f))
WRAP(int, fchmod, (int fd, mode_t m), (fd, m))
WRAP(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))

/* ---- helpers ---- */

static int
setup(void **state)
{
	(void)state;
	calls = crash_at = fail_at = 0;
	tmpdir_make(base);
	(void)snprintf(path, sizeof(path), "%s/store", base);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	calls = crash_at = fail_at = 0;
	tmpdir_remove(base);
	return 0;
}

static struct store *
store(void)
{
	struct store *st;
	struct err e = {0};

	if (store_open(path, &st, &e) != RC_OK)
		fail_msg("store_open: %s", e.text);
	return st;
}

/* Commit content as the document of the place; event and suffix as given. */
static enum rc
commit(struct store *st, const char *content, const char *event, const char *suffix)
{
	struct store_meta m = {.size = strlen(content), .event_time = 1000, .stored = 2000};
	struct store_doc doc;
	struct err e = {0};
	enum rc rc;

	(void)snprintf(m.event, sizeof(m.event), "%s", event);
	(void)snprintf(m.suffix, sizeof(m.suffix), "%s", suffix);
	(void)snprintf(m.media_type, sizeof(m.media_type), "application/pdf");
	if (hash_sha256(content, strlen(content), m.sha256, &e) != RC_OK)
		abort();
	if ((rc = store_begin(st, &doc, &e)) != RC_OK)
		return rc;
	if ((rc = io_write_all(doc.fd, content, strlen(content), &e)) != RC_OK) {
		store_abort(st, &doc);
		return rc;
	}
	rc = store_commit(st, &place, &doc, &m, &e);
	assert_int_equal(doc.fd, -1);
	assert_string_equal(doc.tmp, "");
	return rc;
}

static int
place_dir(void)
{
	char where[TMPDIR_SIZE + 64];

	(void)snprintf(where, sizeof(where), "%s/acme/FileStore/doc1", path);
	return open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The member of a JSON file, "" when there is none. */
static void
member_of(int dir, const char *file, const char *name, char *out, size_t size)
{
	char text[CONTENT];
	struct json *doc = NULL;
	const char *value;
	ssize_t n = tmpdir_read(dir, file, text, sizeof(text));

	out[0] = '\0';
	if (n < 0)
		return;
	assert_int_equal(json_parse(text, (size_t)n, &doc, NULL), RC_OK);
	if ((value = json_string(json_get(doc, name))) != NULL)
		assert_true(str_copy(out, size, value));
	json_free(&doc);
}

/*
 * A description beside its file has to tell the truth about it; adds the content to what is
 * kept (a mask, bit 0 for the content "A...", bit 1 for "B...").
 */
static void
check_pair(int dir, const char *meta, const char *file, unsigned *kept)
{
	char said[HASH_HEX + 8], is[HASH_HEX], text[CONTENT];
	ssize_t n = tmpdir_read(dir, file, text, sizeof(text));

	if (n < 0)
		return;
	*kept |= 1u << (text[0] - 'A');
	member_of(dir, meta, "sha256", said, sizeof(said));
	if (said[0] == '\0')
		return;
	assert_int_equal(hash_sha256(text, (size_t)n, is, NULL), RC_OK);
	assert_string_equal(said, is);
}

/* Everything below the place is consistent; returns which contents are there. */
static unsigned
check_place(void)
{
	char suffix[STORE_SUFFIX + 8], file[NAME_SIZE + 80];
	const struct dirent *de;
	unsigned kept = 0;
	int dir = place_dir(), versions;
	DIR *d;

	if (dir < 0)
		return 0;
	member_of(dir, "document.json", "suffix", suffix, sizeof(suffix));
	(void)snprintf(file, sizeof(file), "document%s", suffix);
	check_pair(dir, "document.json", file, &kept);
	if ((versions = openat(dir, "versions", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0) {
		d = fdopendir(dup(versions));
		assert_non_null(d);
		while ((de = readdir(d)) != NULL) {
			size_t n = strlen(de->d_name);

			if (de->d_name[0] == '.' || n < 5 ||
			    !str_eq(de->d_name + n - 5, ".json"))
				continue;
			member_of(versions, de->d_name, "suffix", suffix, sizeof(suffix));
			(void)snprintf(
			    file, sizeof(file), "%.*s%s", (int)n - 5, de->d_name, suffix);
			check_pair(versions, de->d_name, file, &kept);
		}
		(void)closedir(d);
		(void)close(versions);
	}
	(void)close(dir);
	return kept;
}

/* The object's document is this. */
static void
check_current(struct store *st, const char *content, const char *event)
{
	char sha[HASH_HEX], file[64], text[CONTENT];
	struct store_meta m;
	struct err e = {0};
	int dir = place_dir();

	if (store_document(st, &place, &m, &e) != RC_OK)
		fail_msg("store_document: %s", e.text);
	assert_int_equal(hash_sha256(content, strlen(content), sha, NULL), RC_OK);
	assert_string_equal(m.sha256, sha);
	assert_string_equal(m.event, event);
	assert_int_equal(m.size, strlen(content));
	(void)snprintf(file, sizeof(file), "document%s", m.suffix);
	assert_int_equal(tmpdir_read(dir, file, text, sizeof(text)), strlen(content));
	assert_string_equal(text, content);
	(void)close(dir);
}

static unsigned
files_in(const char *name)
{
	char where[TMPDIR_SIZE + 64];
	const struct dirent *de;
	unsigned n = 0;
	DIR *d;

	(void)snprintf(where, sizeof(where), "%s/%s", path, name);
	if ((d = opendir(where)) == NULL)
		return 0;
	while ((de = readdir(d)) != NULL)
		n += !str_eq(de->d_name, ".") && !str_eq(de->d_name, "..");
	(void)closedir(d);
	return n;
}

static unsigned
open_fds(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

/* ---- records and tombstones ---- */

static void
test_record(void **state)
{
	static const char body[] = "{ \"a\" : 1 }\r\n";
	struct store *st = store();
	char text[CONTENT];
	struct err e;
	int dir;

	(void)state;
	assert_int_equal(store_record(st, &place, "old", 3, &e), RC_OK);
	assert_int_equal(store_record(st, &place, body, sizeof(body) - 1, &e), RC_OK);
	assert_int_equal(store_record(st, &place, body, sizeof(body) - 1, &e), RC_OK);
	dir = place_dir();
	assert_int_equal(tmpdir_read(dir, "record.json", text, sizeof(text)), sizeof(body) - 1);
	assert_string_equal(text, body);
	assert_int_equal(files_in("acme/FileStore/doc1"), 1);
	(void)close(dir);
	store_close(&st);
	assert_null(st);
	store_close(&st);
}

static void
test_tombstone(void **state)
{
	struct store *st = store();
	char text[64], first[CONTENT], again[CONTENT];
	struct err e;
	int dir;

	(void)state;
	assert_int_equal(store_record(st, &place, "old", 3, &e), RC_OK);
	assert_int_equal(store_tombstone(st, &place, E1, 1000, false, &e), RC_OK);
	dir = place_dir();
	member_of(dir, "deleted.json", "event", text, sizeof(text));
	assert_string_equal(text, E1);
	(void)tmpdir_read(dir, "deleted.json", first, sizeof(first));
	assert_int_equal(store_tombstone(st, &place, E2, 2000, false, &e), RC_OK);
	(void)tmpdir_read(dir, "deleted.json", again, sizeof(again));
	assert_string_equal(first, again);
	/* A late update does not bring the object back. */
	assert_int_equal(store_record(st, &place, "new", 3, &e), RC_GONE);
	(void)tmpdir_read(dir, "record.json", text, sizeof(text));
	assert_string_equal(text, "old");
	(void)close(dir);
	store_close(&st);
}

/* An id that is no folder's name stays below its category. */
static void
test_where(void **state)
{
	struct store_place odd = {"acme", "Client", "../../../etc/passwd"};
	struct store *st = store();
	char where[STORE_TEXT];
	struct err e;

	(void)state;
	assert_int_equal(store_where(&place, where, sizeof(where), &e), RC_OK);
	assert_string_equal(where, "acme/FileStore/doc1");
	assert_int_equal(store_where(&odd, where, sizeof(where), &e), RC_OK);
	assert_int_equal(strncmp(where, "acme/Client/x-", 14), 0);
	assert_int_equal(strlen(where), 14 + 32);
	assert_int_equal(store_record(st, &odd, "x", 1, &e), RC_OK);
	assert_int_equal(files_in("acme/Client"), 1);
	assert_int_equal(files_in(where), 1);
	store_close(&st);
}

/* ---- documents ---- */

static void
test_first(void **state)
{
	struct store *st = store();
	struct store_meta m;
	struct err e;

	(void)state;
	assert_int_equal(store_document(st, &place, &m, &e), RC_GONE);
	assert_int_equal(commit(st, "A1", E1, ".pdf"), RC_OK);
	check_current(st, "A1", E1);
	assert_int_equal(store_document(st, &place, &m, &e), RC_OK);
	assert_string_equal(m.suffix, ".pdf");
	assert_string_equal(m.media_type, "application/pdf");
	assert_int_equal(m.event_time, 1000);
	assert_int_equal(m.stored, 2000);
	assert_int_equal(commit(st, "A1", E2, ".pdf"), RC_EXISTS);
	check_current(st, "A1", E1);
	assert_int_equal(files_in("acme/FileStore/doc1"), 2);
	assert_int_equal(files_in(".tmp"), 0);
	store_close(&st);
}

static void
test_versions(void **state)
{
	struct store *st = store();

	(void)state;
	assert_int_equal(commit(st, "A1", E1, ".pdf"), RC_OK);
	assert_int_equal(commit(st, "B1", E2, ".docx"), RC_OK);
	check_current(st, "B1", E2);
	assert_int_equal(check_place(), 3);
	assert_int_equal(files_in("acme/FileStore/doc1"), 3);
	assert_int_equal(commit(st, "C1", E3, ""), RC_OK);
	check_current(st, "C1", E3);
	assert_int_equal(check_place(), 7);
	store_close(&st);
}

/* An operator had an event done again, and the document had changed: both are versions. */
static void
test_same_event_twice(void **state)
{
	struct store *st = store();

	(void)state;
	assert_int_equal(commit(st, "A1", E1, ".pdf"), RC_OK);
	assert_int_equal(commit(st, "B1", E1, ".pdf"), RC_OK);
	check_current(st, "B1", E1);
	assert_int_equal(commit(st, "C1", E2, ".pdf"), RC_OK);
	check_current(st, "C1", E2);
	assert_int_equal(check_place(), 7);
	/* and back again */
	assert_int_equal(commit(st, "A1", E1, ".pdf"), RC_OK);
	assert_int_equal(commit(st, "D1", E3, ".pdf"), RC_OK);
	check_current(st, "D1", E3);
	assert_int_equal(check_place(), 15);
	store_close(&st);
}

static void
test_bad_suffix(void **state)
{
	struct store *st = store();

	(void)state;
	assert_int_equal(commit(st, "A1", E1, "/../x"), RC_BAD);
	assert_int_equal(commit(st, "A1", E1, "."), RC_BAD);
	assert_int_equal(commit(st, "A1", E1, "pdf"), RC_BAD);
	/* that would be the name of its own description */
	assert_int_equal(commit(st, "A1", E1, ".json"), RC_BAD);
	assert_int_equal(commit(st, "A1", E1, ".JSON"), RC_BAD);
	assert_int_equal(files_in(".tmp"), 0);
	store_close(&st);
}

/* A description that somebody spoiled is for a person; the document stays. */
static void
test_spoiled_meta(void **state)
{
	static const char *const bad[] = {"", "{", "[]", "{\"sha256\":1}",
	    "{\"sha256\":\"x\",\"suffix\":\"/../../x\",\"event\":\"../e\",\"size\":1}",
	    "{\"sha256\":\"x\",\"suffix\":\".pdf\",\"event\":\"../e\",\"size\":1}"};
	struct store *st = store();
	char text[64];
	int dir;

	(void)state;
	assert_int_equal(commit(st, "A1", E1, ".pdf"), RC_OK);
	dir = place_dir();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tmpdir_write(dir, "document.json", bad[i], strlen(bad[i]));
		assert_int_equal(commit(st, "B1", E2, ".pdf"), RC_BAD);
		(void)tmpdir_read(dir, "document.pdf", text, sizeof(text));
		assert_string_equal(text, "A1");
	}
	(void)close(dir);
	store_close(&st);
}

static void
test_open_sweeps(void **state)
{
	struct store *st = store();
	struct store_doc doc;
	struct err e;

	(void)state;
	assert_int_equal(store_begin(st, &doc, &e), RC_OK);
	assert_int_equal(files_in(".tmp"), 1);
	(void)close(doc.fd);
	store_close(&st);
	st = store();
	assert_int_equal(files_in(".tmp"), 0);
	assert_int_equal(store_begin(st, &doc, &e), RC_OK);
	store_abort(st, &doc);
	store_abort(st, &doc);
	assert_int_equal(files_in(".tmp"), 0);
	store_close(&st);
}

/* A document that comes after its object was deleted is not kept. */
static void
test_after_the_grave(void **state)
{
	struct store *st = store();
	struct err e;

	(void)state;
	assert_int_equal(commit(st, "A1", E1, ".pdf"), RC_OK);
	assert_int_equal(store_tombstone(st, &place, E2, 1000, false, &e), RC_OK);
	assert_int_equal(commit(st, "B1", E3, ".pdf"), RC_GONE);
	check_current(st, "A1", E1);
	assert_int_equal(files_in(".tmp"), 0);
	store_close(&st);
}

/* on_delete = remove: nothing but the tombstone stays, and twice is as good as once. */
static void
test_clear(void **state)
{
	struct store *st = store();
	struct store_meta m;
	struct err e;

	(void)state;
	assert_int_equal(store_record(st, &place, "{}", 2, &e), RC_OK);
	assert_int_equal(commit(st, "A1", E1, ".pdf"), RC_OK);
	assert_int_equal(commit(st, "B1", E2, ".docx"), RC_OK);
	assert_true(files_in("acme/FileStore/doc1") > 3);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_tombstone(st, &place, E3, 1000, true, &e), RC_OK);
		assert_int_equal(files_in("acme/FileStore/doc1"), 1);
		assert_int_equal(store_document(st, &place, &m, &e), RC_GONE);
		assert_int_equal(store_record(st, &place, "{}", 2, &e), RC_GONE);
	}
	store_close(&st);
}

static void
test_same_once_more(void **state)
{
	struct store *st = store();
	struct store_meta m = {.fetched = 9000, .stored = 8000, .event_time = 7000, .size = 2};
	struct store_doc doc;
	struct err e;

	(void)state;
	assert_int_equal(store_confirm(st, &place, 1, &e), RC_GONE);
	assert_int_equal(commit(st, "A1", E1, ".pdf"), RC_OK);
	(void)snprintf(m.event, sizeof(m.event), E2);
	(void)snprintf(m.suffix, sizeof(m.suffix), ".docx");
	(void)snprintf(m.etag, sizeof(m.etag), "\"tag\"");
	(void)snprintf(m.warning, sizeof(m.warning), "odd");
	assert_int_equal(hash_sha256("A1", 2, m.sha256, &e), RC_OK);
	assert_int_equal(hash_sha256("where", 5, m.source, &e), RC_OK);
	assert_int_equal(store_begin(st, &doc, &e), RC_OK);
	assert_int_equal(io_write_all(doc.fd, "A1", 2, &e), RC_OK);
	assert_int_equal(store_commit(st, &place, &doc, &m, &e), RC_EXISTS);
	check_current(st, "A1", E1);
	assert_int_equal(store_document(st, &place, &m, &e), RC_OK);
	assert_string_equal(m.suffix, ".pdf");
	assert_string_equal(m.etag, "\"tag\"");
	assert_int_equal(strlen(m.source), 64);
	assert_string_equal(m.warning, "");
	assert_int_equal(m.fetched, 9000);
	assert_int_equal(m.stored, 2000);
	assert_int_equal(store_confirm(st, &place, 10000, &e), RC_OK);
	assert_int_equal(store_document(st, &place, &m, &e), RC_OK);
	assert_int_equal(m.fetched, 10000);
	assert_string_equal(m.etag, "\"tag\"");
	store_close(&st);
}

/* ---- what is put aside ---- */

static const struct store_part some = {.etag = "\"v1\"", .source = "s", .have = 5, .whole = 12};

static enum rc
put_aside(struct store *st, const char *text, const char *name, const struct store_part *p)
{
	struct store_doc doc;
	struct err e;
	enum rc rc;

	if ((rc = store_begin(st, &doc, &e)) != RC_OK)
		return rc;
	if ((rc = io_write_all(doc.fd, text, strlen(text), &e)) != RC_OK) {
		store_abort(st, &doc);
		return rc;
	}
	rc = store_keep(st, &doc, name, p, &e);
	assert_int_equal(doc.fd, -1);
	assert_string_equal(doc.tmp, "");
	return rc;
}

static void
test_parts(void **state)
{
	struct store *st = store();
	struct store_part p;
	struct store_doc doc;
	char text[32] = "";
	struct err e;

	(void)state;
	assert_int_equal(store_resume(st, E1, "s", &doc, &p, &e), RC_GONE);
	assert_int_equal(doc.fd, -1);
	assert_int_equal(put_aside(st, "hello, bey", E1, &some), RC_OK);
	assert_int_equal(put_aside(st, "x", "../../x", &some), RC_BAD);
	assert_int_equal(store_resume(st, E2, "s", &doc, &p, &e), RC_GONE);
	store_close(&st);
	st = store(); /* the next process goes on */
	assert_int_equal(files_in(".tmp"), 2);
	assert_int_equal(store_resume(st, E1, "elsewhere", &doc, &p, &e), RC_GONE);
	assert_int_equal(files_in(".tmp"), 2);
	assert_int_equal(store_resume(st, E1, "s", &doc, &p, &e), RC_OK);
	assert_true(p.have == 5 && p.whole == 12);
	assert_string_equal(p.etag, "\"v1\"");
	assert_string_equal(p.source, "s");
	assert_int_equal(pread(doc.fd, text, sizeof(text), 0), 5); /* beyond is not described */
	assert_string_equal(text, "hello");
	assert_int_equal(files_in(".tmp"), 1);
	/* it breaks again */
	p.have = 4;
	assert_int_equal(store_keep(st, &doc, E1, &p, &e), RC_OK);
	assert_int_equal(store_resume(st, E1, "s", &doc, &p, &e), RC_OK);
	assert_int_equal(p.have, 4);
	store_abort(st, &doc);
	assert_int_equal(files_in(".tmp"), 0);
	assert_int_equal(put_aside(st, "hello", E1, &some), RC_OK);
	store_forget(st, E1);
	store_forget(st, "../x");
	assert_int_equal(files_in(".tmp"), 0);
	store_close(&st);
}

/* A part that is not as it is described, or not described, is none. */
static void
test_spoiled_parts(void **state)
{
	static const char *const bad[] = {"", "{", "{}", "[]",
	    "{\"have\":6,\"whole\":0,\"source\":\"s\",\"etag\":\"x\"}",
	    "{\"have\":0,\"whole\":0,\"source\":\"s\",\"etag\":\"x\"}",
	    "{\"have\":-1,\"whole\":0,\"source\":\"s\",\"etag\":\"x\"}",
	    "{\"have\":5,\"whole\":0,\"etag\":\"x\"}",
	    "{\"have\":5,\"whole\":0,\"source\":\"s\"}"};
	struct store *st = store();
	struct store_part p;
	struct store_doc doc;
	char where[TMPDIR_SIZE + 64];
	struct err e;
	int dir;

	(void)state;
	(void)snprintf(where, sizeof(where), "%s/.tmp", path);
	dir = tmpdir_open(where);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(put_aside(st, "hello", E1, &some), RC_OK);
		tmpdir_write(dir, "part." E1 ".json", bad[i], strlen(bad[i]));
		assert_int_equal(store_resume(st, E1, "s", &doc, &p, &e), RC_GONE);
		assert_int_equal(doc.fd, -1);
		assert_int_equal(files_in(".tmp"), 0);
	}
	/* a symbolic link in its place leads nowhere */
	assert_int_equal(put_aside(st, "hello", E1, &some), RC_OK);
	assert_int_equal(unlinkat(dir, "part." E1, 0), 0);
	tmpdir_write(dir, "victim", "important", 9);
	assert_int_equal(symlinkat("victim", dir, "part." E1), 0);
	assert_int_equal(store_resume(st, E1, "s", &doc, &p, &e), RC_GONE);
	assert_int_equal(tmpdir_read(dir, "victim", where, sizeof(where)), 9);
	assert_int_equal(unlinkat(dir, "victim", 0), 0);
	/* half a pair goes at the start, and what is old */
	assert_int_equal(put_aside(st, "hello", E1, &some), RC_OK);
	assert_int_equal(put_aside(st, "hello", E2, &some), RC_OK);
	assert_int_equal(put_aside(st, "hello", E3, &some), RC_OK);
	assert_int_equal(unlinkat(dir, "part." E1, 0), 0);
	assert_int_equal(unlinkat(dir, "part." E2 ".json", 0), 0);
	store_close(&st);
	st = store();
	assert_int_equal(files_in(".tmp"), 2);
	store_sweep(st, clk_wall() - CLK_DAY);
	assert_int_equal(files_in(".tmp"), 2);
	store_sweep(st, clk_wall() + CLK_DAY);
	assert_int_equal(files_in(".tmp"), 0);
	(void)close(dir);
	store_close(&st);
}

/* Whichever call fails: nothing is open, nothing half done is gone on with, the next one works.
 */
static void
test_parts_fail(void **state)
{
	struct store *st = store();
	struct store_part p;
	struct store_doc doc;
	unsigned before = open_fds(), n;
	struct err e;
	enum rc rc;

	(void)state;
	for (n = 1; n < CALLS_MAX; n++) {
		calls = 0;
		fail_at = n;
		rc = put_aside(st, "hello", E1, &some);
		fail_at = 0;
		assert_int_equal(open_fds(), before);
		if (rc == RC_OK && calls < n)
			break;
		if (store_resume(st, E1, "s", &doc, &p, &e) == RC_OK)
			store_abort(st, &doc);
		assert_int_equal(files_in(".tmp"), 0);
		assert_int_equal(put_aside(st, "hello", E1, &some), RC_OK);
		assert_int_equal(store_resume(st, E1, "s", &doc, &p, &e), RC_OK);
		store_abort(st, &doc);
	}
	assert_in_range(n, 5, CALLS_MAX - 1);
	store_close(&st);
}

/* ---- every call fails once: a verdict, nothing lost, nothing left open ---- */

static void
test_failures(void **state)
{
	struct store *st = store();
	unsigned before;
	enum rc rc;

	(void)state;
	assert_int_equal(commit(st, "A1", E1, ".pdf"), RC_OK);
	before = open_fds();
	for (unsigned n = 1; n < CALLS_MAX; n++) {
		calls = 0;
		fail_at = n;
		rc = commit(st, "B1", E2, ".pdf");
		fail_at = 0;
		assert_int_equal(open_fds(), before);
		if (rc == RC_OK && calls < n)
			break;
		assert_int_equal(check_place() & 1, 1);
		assert_true(n < CALLS_MAX - 1);
		/* The next try succeeds, and so does one that goes back. */
		rc = commit(st, "B1", E2, ".pdf");
		assert_true(rc == RC_OK || rc == RC_EXISTS);
		check_current(st, "B1", E2);
		assert_int_equal(check_place(), 3);
		assert_int_equal(commit(st, "A1", E1, ".pdf"), RC_OK);
		check_current(st, "A1", E1);
		assert_int_equal(check_place(), 3);
	}
	store_close(&st);
}

/* ---- a crash between any two calls ---- */

static const char *
current_event(void)
{
	static char event[NAME_SIZE];
	int dir = place_dir();

	member_of(dir, "document.json", "event", event, sizeof(event));
	(void)close(dir);
	return event;
}

struct plan {
	const char *first, *first_event, *first_suffix; /* before; NULL: nothing */
	const char *crash, *crash_event, *crash_suffix; /* the commit that is cut */
	const char *other, *other_event;                /* then perhaps this one */
	const char *again, *again_event;                /* then this one, to the end */
};

/* Commit in a child that ends at its nth call; true: it got to the end instead. */
static bool
crash(const struct plan *p, unsigned n)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct store *st;

		if (store_open(path, &st, NULL) != RC_OK)
			_exit(1);
		calls = 0;
		crash_at = n;
		_exit(commit(st, p->crash, p->crash_event, p->crash_suffix) == RC_OK ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == CRASHED)
		return false;
	assert_int_equal(WEXITSTATUS(status), 0);
	return true;
}

static unsigned
bit(const char *content)
{
	return content != NULL ? 1u << (content[0] - 'A') : 0;
}

static void
crash_everywhere(const struct plan *p)
{
	bool end = false;

	for (unsigned n = 1; !end; n++) {
		struct store *st = store();
		enum rc rc;

		assert_true(n < CALLS_MAX);
		if (p->first != NULL)
			assert_int_equal(
			    commit(st, p->first, p->first_event, p->first_suffix), RC_OK);
		store_close(&st);
		end = crash(p, n);
		assert_int_equal(check_place() & bit(p->first), bit(p->first));
		st = store();
		if (p->other != NULL) {
			rc = commit(st, p->other, p->other_event, ".pdf");
			assert_true(rc == RC_OK || rc == RC_EXISTS);
			(void)check_place();
		}
		rc = commit(st, p->again, p->again_event, p->crash_suffix);
		assert_true(rc == RC_OK || rc == RC_EXISTS);
		check_current(st, p->again, rc == RC_OK ? p->again_event : current_event());
		assert_int_equal(
		    check_place() & (bit(p->first) | bit(p->other) | bit(p->again)),
		    bit(p->first) | bit(p->other) | bit(p->again));
		assert_int_equal(files_in(".tmp"), 0);
		store_close(&st);
		tmpdir_remove(path);
	}
}

/* What the same try, an older one that was asked for again, or another event makes of it. */
static void
test_crash(void **state)
{
	static const struct plan plans[] = {
	    {NULL, E2, NULL, "B1", E2, ".pdf", NULL, NULL, "B1", E2},
	    {"A1", E1, ".pdf", "B1", E2, ".pdf", NULL, NULL, "B1", E2},
	    {"A1", E1, ".pdf", "B1", E2, ".docx", NULL, NULL, "B1", E2},
	    {"A1", E1, ".pdf", "B1", E1, ".pdf", NULL, NULL, "B1", E1},
	    {"A1", E1, ".pdf", "B1", E1, ".pdf", NULL, NULL, "C1", E1},
	    {"A1", E1, ".pdf", "B1", E2, ".pdf", "C1", E3, "B1", E2},
	    {"A1", E1, ".pdf", "B1", E2, ".docx", "C1", E3, "B1", E2},
	    {"A1", E1, ".pdf", "B1", E2, ".pdf", "A1", E3, "B1", E2},
	    {"A1", E1, ".pdf", "B1", E2, ".pdf", NULL, NULL, "A1", E2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++)
		crash_everywhere(&plans[i]);
}

/* A crash while an object is removed: what is there is consistent, and again ends it. */
static void
test_clear_crash(void **state)
{
	bool end = false;
	int status;
	pid_t pid;

	(void)state;
	for (unsigned n = 1; !end; n++) {
		struct store *st = store();
		struct err e;

		assert_int_equal(store_record(st, &place, "{}", 2, &e), RC_OK);
		assert_int_equal(commit(st, "A1", E1, ".pdf"), RC_OK);
		assert_int_equal(commit(st, "B1", E2, ".docx"), RC_OK);
		store_close(&st);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			if (store_open(path, &st, NULL) != RC_OK)
				_exit(1);
			calls = 0;
			crash_at = n;
			_exit(
			    store_tombstone(st, &place, E3, 1000, true, NULL) == RC_OK ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		end = WEXITSTATUS(status) == 0;
		assert_true(end || WEXITSTATUS(status) == CRASHED);
		(void)check_place();
		st = store();
		assert_int_equal(store_tombstone(st, &place, E3, 1000, true, &e), RC_OK);
		assert_int_equal(files_in("acme/FileStore/doc1"), 1);
		store_close(&st);
		tmpdir_remove(path);
	}
}

static unsigned met;

static bool
meet(const struct store_object *o, void *arg)
{
	(void)arg;
	assert_true(o->dir >= 0);
	met += str_eq(o->account, "acme") && str_eq(o->category, "FileStore") &&
	       str_eq(o->folder, "doc1");
	return true;
}

/* Beside a daemon: what is on its way stays; an object goes whole, and only that one. */
static void
test_join_and_erase(void **state)
{
	struct store_object o = {.account = "acme", .category = "FileStore", .folder = "doc1"};
	struct store_erased n = {0};
	struct store *st = store(), *beside;
	struct store_doc doc;
	struct err e;

	(void)state;
	assert_int_equal(store_join("/nonexistent", &beside, &e), RC_GONE);
	assert_null(beside);
	assert_int_equal(commit(st, "one", E1, ".pdf"), RC_OK);
	assert_int_equal(commit(st, "two", E2, ".pdf"), RC_OK);
	assert_int_equal(store_begin(st, &doc, &e), RC_OK);
	assert_int_equal(store_join(path, &beside, &e), RC_OK);
	assert_int_equal(files_in(".tmp"), 1);
	met = 0;
	assert_int_equal(store_walk(beside, meet, NULL, &e), RC_OK);
	assert_int_equal(met, 1);
	assert_int_equal(store_erase(beside, &o, &n, &e), RC_OK);
	assert_int_equal(n.objects, 1);
	assert_int_equal(n.files, 4);
	assert_int_equal(store_erase(beside, &o, &n, &e), RC_GONE);
	met = 0;
	assert_int_equal(store_walk(beside, meet, NULL, &e), RC_OK);
	assert_int_equal(met, 0);
	store_abort(st, &doc);
	store_close(&beside);
	store_close(&st);
}

/* ---- two processes ---- */

#define LETTERS 26

static void
commit_half(unsigned from)
{
	struct store *st;
	int bad = 0;

	if (store_join(path, &st, NULL) != RC_OK)
		_exit(1);
	for (unsigned i = from; i < LETTERS; i += 2) {
		char text[] = {(char)('A' + i), '\0'};

		bad += commit(st, text, i % 3 == 0 ? E1 : E2, i % 4 < 2 ? ".pdf" : ".txt") !=
		       RC_OK;
	}
	store_close(&st);
	_exit(bad);
}

/* Daemon and operator commit to one object at once: each change is whole, nothing is lost. */
static void
test_two_processes(void **state)
{
	struct store *st = store();
	struct stat lock;
	char name[TMPDIR_SIZE + 32];
	pid_t child[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		if ((child[i] = fork()) == 0)
			commit_half(i);
	for (unsigned i = 0; i < 2; i++) {
		int status;

		assert_int_equal(waitpid(child[i], &status, 0), child[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(check_place(), (1u << LETTERS) - 1);
	(void)snprintf(name, sizeof(name), "%s/.lock", path);
	assert_int_equal(stat(name, &lock), 0);
	assert_int_equal(lock.st_mode & 0777, 0600); /* no reader of the store can hold it */
	store_close(&st);
}

static void
record_often(void)
{
	struct store *st;
	int bad = 0;

	if (store_join(path, &st, NULL) != RC_OK)
		_exit(1);
	for (unsigned i = 0; i < 50; i++)
		bad += store_record(st, &place, "{}", 2, NULL) != RC_OK;
	store_close(&st);
	_exit(bad);
}

/* An object that is erased while somebody writes to it: it is whole or not there. */
static void
test_erase_beside_a_writer(void **state)
{
	struct store_object o = {.account = "acme", .category = "FileStore", .folder = "doc1"};
	struct store_erased n = {0};
	struct store *st = store();
	pid_t child;
	int status;

	(void)state;
	if ((child = fork()) == 0)
		record_often();
	while (waitpid(child, &status, WNOHANG) == 0) {
		enum rc rc = store_erase(st, &o, &n, NULL);

		assert_true(rc == RC_OK || rc == RC_GONE);
	}
	assert_int_equal(status, 0);
	assert_true(n.objects > 0);
	store_close(&st);
}

static bool
in_tmp(const char *name)
{
	char where[TMPDIR_SIZE + NAME_SIZE + 32];
	struct stat is;

	(void)snprintf(where, sizeof(where), "%s/.tmp/%s", path, name);
	return stat(where, &is) == 0;
}

/* A daemon that starts leaves alone what another process is writing to, and only that. */
static void
test_open_beside_a_writer(void **state)
{
	struct store *st = store(), *other;
	char where[TMPDIR_SIZE + NAME_SIZE + 32];
	struct store_doc doc;
	struct err e;

	(void)state;
	assert_int_equal(store_begin(st, &doc, &e), RC_OK);
	other = store();
	store_close(&other);
	assert_true(in_tmp(doc.tmp));
	io_close(&doc.fd); /* as a crash would */
	other = store();
	store_close(&other);
	assert_false(in_tmp(doc.tmp));
	store_abort(st, &doc);
	/* swept away in the middle of a commit: another try, the object is not gone */
	assert_int_equal(store_begin(st, &doc, &e), RC_OK);
	(void)snprintf(where, sizeof(where), "%s/.tmp/%s", path, doc.tmp);
	assert_int_equal(unlink(where), 0);
	assert_int_equal(
	    store_commit(st, &place, &doc, &(struct store_meta){.event = E1}, &e), RC_LATER);
	store_close(&st);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_record, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_tombstone, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_where, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_first, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_versions, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_same_event_twice, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bad_suffix, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_spoiled_meta, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_open_sweeps, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_after_the_grave, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_clear, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_join_and_erase, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_same_once_more, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_spoiled_parts, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_parts_fail, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_clear_crash, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_crash, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_two_processes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_erase_beside_a_writer, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_open_beside_a_writer, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
