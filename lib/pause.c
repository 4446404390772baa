/*
 * SPDX-License-Identifier: ISC
 *
 * pause - targets that must be left alone; see pause.h.
 */
#include "config.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "hash.h"
#include "io.h"
#include "pause.h"
#include "str.h"

#define PAUSE_DIR "targets"
#define PAUSE_MODE 02750 /* as the other folders of the daemon's user alone */
#define PAUSE_FILE 4096
#define NAME_LONGEST 200 /* of a file, as far as the target's own text goes */

static const struct {
	const char *name;
	bool account; /* its targets are named after accounts */
} kinds[] = {{"api", true}, {"token", true}, {"hook", true}, {"forward", true},
    {"document", false}, {"disk", false}};

static const char *const words[] = {
    [PAUSE_DOWN] = "down", [PAUSE_CONFIG] = "configuration", [PAUSE_OPERATOR] = "operator"};

const char *
pause_kind_name(enum pause_kind kind)
{
	return words[kind];
}

/* The place in kinds, and where the name begins; -1: not a target. */
static int
split(const char *target, const char **name)
{
	const char *colon = strchr(target, ':');
	size_t n = colon != NULL ? (size_t)(colon - target) : 0;

	if (n == 0 || colon[1] == '\0' || strlen(target) >= PAUSE_TARGET)
		return -1;
	for (const char *p = target; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~')
			return -1;
	*name = colon + 1;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strlen(kinds[i].name) == n && str_begins(target, kinds[i].name))
			return (int)i;
	return -1;
}

bool
pause_target_ok(const char *target)
{
	const char *name;

	return split(target, &name) >= 0;
}

const char *
pause_account(const char *target)
{
	const char *name;
	int i = split(target, &name);

	return i >= 0 && kinds[i].account ? name : "";
}

enum rc
pause_open(int spool, bool make, int *dir, struct err *e)
{
	if (!make)
		return io_open_dir(spool, PAUSE_DIR, dir, e);
	return io_make_dir(spool, PAUSE_DIR, PAUSE_MODE, dir, e);
}

/* A file's name: the target, but for what is not fit for one; a long one by its digest. */
static enum rc
file_of(const char *target, char out[NAME_LONGEST + 1], struct err *e)
{
	struct buf b = BUF_INIT(4 * PAUSE_TARGET);
	char sum[HASH_HEX];
	enum rc rc;

	if (!pause_target_ok(target))
		return err_set(e, RC_BAD,
		    "expected a target such as hook:acme, api:acme or document:host");
	for (const char *p = target; *p != '\0'; p++) {
		char one[2] = {*p, '\0'};

		if (str_only(one, "._:-", 1, 1))
			buf_str(&b, one);
		else
			buf_fmt(&b, "%%%02X", (unsigned)(unsigned char)*p);
	}
	if ((rc = buf_state(&b, e)) == RC_OK && !str_copy(out, NAME_LONGEST + 1, b.p)) {
		rc = hash_sha256(target, strlen(target), sum, e);
		(void)snprintf(out, NAME_LONGEST + 1, "%.100s-%.32s", b.p, sum);
	}
	buf_free(&b);
	return rc;
}

static void
put(struct buf *b, const char *key, const char *value)
{
	char safe[2 * PAUSE_TEXT];

	buf_fmt(b, "%s=%s\n", key, str_escape(safe, sizeof(safe), value, strlen(value)));
}

enum rc
pause_write(int dir, const struct pause *p, bool durable, struct err *e)
{
	struct buf b = BUF_INIT(PAUSE_FILE);
	char file[NAME_LONGEST + 1];
	enum rc rc;

	if ((rc = file_of(p->target, file, e)) != RC_OK)
		return rc;
	put(&b, "target", p->target);
	put(&b, "state", words[p->kind]);
	buf_fmt(&b, "since=%" PRId64 "\nuntil=%" PRId64 "\n", p->since, p->until);
	put(&b, "by", p->by);
	put(&b, "reason", p->reason);
	if ((rc = buf_state(&b, e)) == RC_OK)
		rc = (durable ? io_replace : io_replace_lazy)(dir, file, 0640, b.p, b.n, e);
	buf_free(&b);
	return rc;
}

/* The value of one "key=value" line; false: no such line.  What is too long is cut. */
static bool
value_of(const char *text, const char *key, char *out, size_t size)
{
	size_t k = strlen(key);

	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		if (n > k && text[k] == '=' && memcmp(text, key, k) == 0) {
			size_t m = n - k - 1 < size - 1 ? n - k - 1 : size - 1;

			return str_copy_n(out, size, text + k + 1, m);
		}
		text += n + (text[n] == '\n');
	}
	return false;
}

static bool
time_of(const char *text, const char *key, int64_t *out)
{
	char value[24];
	uint64_t v;

	if (!value_of(text, key, value, sizeof(value)) || !str_u64(value, 0, INT64_MAX, &v))
		return false;
	*out = (int64_t)v;
	return true;
}

static bool
parse(const char *text, struct pause *out)
{
	char state[16];
	size_t i = 0;

	if (!value_of(text, "target", out->target, sizeof(out->target)) ||
	    !pause_target_ok(out->target) || !value_of(text, "state", state, sizeof(state)) ||
	    !time_of(text, "since", &out->since) || !time_of(text, "until", &out->until))
		return false;
	while (i < sizeof(words) / sizeof(words[0]) && !str_eq(words[i], state))
		i++;
	if (i == sizeof(words) / sizeof(words[0]))
		return false;
	out->kind = (enum pause_kind)i;
	if (!value_of(text, "by", out->by, sizeof(out->by)))
		out->by[0] = '\0';
	if (!value_of(text, "reason", out->reason, sizeof(out->reason)))
		out->reason[0] = '\0';
	return true;
}

static enum rc
read_file(int dir, const char *file, struct pause *out, struct err *e)
{
	struct buf b = BUF_INIT(PAUSE_FILE);
	enum rc rc;

	memset(out, 0, sizeof(*out));
	rc = io_read_file(dir, file, &b, e);
	if (rc == RC_FULL || rc == RC_CONFIG || (rc == RC_OK && !parse(buf_text(&b), out)))
		rc = err_set(e, RC_BAD, PAUSE_DIR "/%.150s cannot be read", file);
	if (rc != RC_OK)
		memset(out, 0, sizeof(*out));
	buf_free(&b);
	return rc;
}

enum rc
pause_read(int dir, const char *target, struct pause *out, struct err *e)
{
	char file[NAME_LONGEST + 1];
	enum rc rc;

	memset(out, 0, sizeof(*out));
	if ((rc = file_of(target, file, e)) != RC_OK)
		return rc;
	return read_file(dir, file, out, e);
}

enum rc
pause_remove(int dir, const char *target, struct err *e)
{
	char file[NAME_LONGEST + 1];
	enum rc rc;

	if ((rc = file_of(target, file, e)) != RC_OK || (rc = io_unlink(dir, file, e)) != RC_OK)
		return rc;
	return io_sync_dir(dir, e);
}

enum rc
pause_each(int dir, bool (*fn)(const struct pause *, void *), void *arg, struct err *e)
{
	const struct dirent *de;
	struct pause p;
	bool more = true;
	enum rc rc;
	DIR *d;
	int fd;

	if ((rc = io_open_dir(dir, ".", &fd, e)) != RC_OK)
		return rc;
	if ((d = fdopendir(fd)) == NULL) {
		rc = err_sys(e, "fdopendir", PAUSE_DIR);
		io_close(&fd);
		return rc;
	}
	while (more && (de = readdir(d)) != NULL)
		if (de->d_name[0] != '.' && read_file(dir, de->d_name, &p, NULL) == RC_OK)
			more = fn(&p, arg);
	(void)closedir(d);
	return RC_OK;
}
