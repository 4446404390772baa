/*
 * SPDX-License-Identifier: ISC
 *
 * subscription - what Arken is told about where it is to post; see subscription.h.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clk.h"
#include "hash.h"
#include "io.h"
#include "str.h"
#include "subscription.h"

#define SECRET_BYTES 32
#define SECRET_TEXT 44 /* base64url of them, with its NUL */

/* ---- bodies ---- */

struct filler {
	const struct subscription *s;
	struct buf *out;
	bool url, credential; /* were told */
};

/* The value of the placeholder at *p, which is moved behind it; NULL: none is there. */
static const char *const *
placeholder(struct filler *f, const char **p)
{
	const struct {
		const char *name;
		const char *const *value;
	} known[] = {
	    {"{accountHashId}", &f->s->account_hash},
	    {"{callbackUrl}", &f->s->url},
	    {"{callbackVersion}", &f->s->version},
	    {"{headerName}", &f->s->header},
	    {"{headerValue}", &f->s->secret},
	    {"{tokenUrl}", &f->s->token_url},
	    {"{clientId}", &f->s->client_id},
	    {"{clientSecret}", &f->s->client_secret},
	    {"{audience}", &f->s->audience},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!str_begins(*p, known[i].name))
			continue;
		*p += strlen(known[i].name);
		f->url = f->url || known[i].value == &f->s->url;
		f->credential = f->credential ||
				(*known[i].value != NULL &&
				    (known[i].value == &f->s->secret ||
					known[i].value == &f->s->client_secret));
		return known[i].value;
	}
	return NULL;
}

/* false: a placeholder in it has no value. */
static bool
put_text(struct filler *f, const char *text)
{
	struct buf b = BUF_SECRET(SUBSCRIPTION_BODY);
	bool whole = true;

	while (*text != '\0') {
		const char *const *value = placeholder(f, &text);

		if (value == NULL)
			buf_add(&b, text++, 1);
		else if (*value == NULL)
			whole = false;
		else
			buf_str(&b, *value);
	}
	if (whole)
		buf_json(f->out, buf_text(&b));
	f->out->broken = f->out->broken || b.broken;
	buf_wipe(&b);
	return whole;
}

static bool put_value(struct filler *f, const struct json *v);

/* An object or array; false: nothing is left of what was in it. */
static bool
put_members(struct filler *f, const struct json *v, const char *ends)
{
	size_t begin = f->out->n, before, n = 0;

	buf_add(f->out, ends, 1);
	for (const struct json *k = json_first(v); k != NULL; k = json_next(k)) {
		before = f->out->n;
		if (n > 0)
			buf_str(f->out, ",");
		if (json_name(k) != NULL) {
			buf_json(f->out, json_name(k));
			buf_str(f->out, ":");
		}
		if (put_value(f, k))
			n++;
		else
			f->out->n = before;
	}
	buf_add(f->out, ends + 1, 1);
	if (n > 0 || json_first(v) == NULL)
		return true;
	f->out->n = begin;
	return false;
}

static void
put_scalar(struct buf *out, const struct json *v)
{
	bool yes;

	if (json_bool(v, &yes))
		buf_str(out, yes ? "true" : "false");
	else if (json_type(v) == JSON_NUMBER)
		buf_str(out, json_text(v));
	else
		buf_str(out, "null");
}

static bool
put_value(struct filler *f, const struct json *v)
{
	if (json_string(v) != NULL)
		return put_text(f, json_string(v));
	if (json_type(v) == JSON_OBJECT)
		return put_members(f, v, "{}");
	if (json_type(v) == JSON_ARRAY)
		return put_members(f, v, "[]");
	put_scalar(f->out, v);
	return true;
}

enum rc
subscription_body(
    const char *template, const struct subscription *s, struct buf *out, struct err *e)
{
	struct filler f = {.s = s, .out = out};
	struct json *doc = NULL;
	enum rc rc;

	if ((rc = json_parse(template, strlen(template), &doc, e)) != RC_OK)
		return rc == RC_BAD ? RC_CONFIG : rc;
	(void)put_value(&f, doc);
	json_free(&doc);
	if (!f.url || !f.credential)
		return err_set(e, RC_CONFIG, "subscription_body has no place for %s",
		    f.url ? "the credential" : "{callbackUrl}");
	return buf_state(out, e);
}

/* ---- answers ---- */

/* Would one rather not have it on a screen? */
static bool
is_secret(const char *name)
{
	static const char *const ends[] = {"secret", "password", "value", "key", "token"};
	size_t n = name != NULL ? strlen(name) : 0;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t k = strlen(ends[i]);

		if (n >= k && str_eq_nocase(name + n - k, ends[i]))
			return true;
	}
	return false;
}

void
subscription_mask(const struct json *v, struct buf *out)
{
	bool object = json_type(v) == JSON_OBJECT;
	const char *comma = "";

	if (!object && json_type(v) != JSON_ARRAY) {
		if (json_text(v) != NULL && is_secret(json_name(v)))
			buf_str(out, "\"" SUBSCRIPTION_MASK "\"");
		else if (json_string(v) != NULL)
			buf_json(out, json_string(v));
		else
			put_scalar(out, v);
		return;
	}
	buf_str(out, object ? "{" : "[");
	for (const struct json *k = json_first(v); k != NULL; k = json_next(k)) {
		buf_str(out, comma);
		comma = ",";
		if (object) {
			buf_json(out, json_name(k));
			buf_str(out, ":");
		}
		subscription_mask(k, out);
	}
	buf_str(out, object ? "}" : "]");
}

bool
subscription_says(const struct json *v, const char *text)
{
	const char *said = json_string(v);

	if (said != NULL && str_eq(said, text))
		return true;
	for (const struct json *k = json_first(v); k != NULL; k = json_next(k))
		if (subscription_says(k, text))
			return true;
	return false;
}

/* ---- secrets ---- */

enum rc
subscription_secret(const char *path, struct buf *out, struct err *e)
{
	struct buf text = BUF_SECRET(CONF_FILE_MAX);
	struct stat st;
	size_t from, to;
	enum rc rc;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
		return err_set(e, RC_GONE, "%.200s: no secret in it", path);
	if ((rc = conf_secret(path, &text, e)) != RC_OK)
		goto out;
	for (to = text.n; to > 0 && strchr(" \t\r\n", text.p[to - 1]) != NULL;)
		to--;
	for (from = to; from > 0 && text.p[from - 1] != '\n';)
		from--;
	for (; from < to && strchr(" \t\r", text.p[from]) != NULL;)
		from++;
	if (memchr(text.p + from, '\0', to - from) != NULL ||
	    !str_utf8(text.p + from, to - from))
		rc = err_set(e, RC_CONFIG, "%.200s: not text", path);
	else {
		buf_add(out, text.p + from, to - from);
		rc = buf_state(out, e);
	}
out:
	buf_wipe(&text);
	return rc;
}

/* RFC 4648 section 5, without padding. */
static void
make_secret(char out[SECRET_TEXT])
{
	static const char set[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char random[SECRET_BYTES + 1] = {0};

	clk_random(random, SECRET_BYTES);
	for (size_t i = 0; i < SECRET_TEXT - 1; i++) {
		size_t bit = i * 6;
		unsigned two = (unsigned)random[bit / 8] << 8 | random[bit / 8 + 1];

		out[i] = set[two >> (10 - bit % 8) & 63];
	}
	out[SECRET_TEXT - 1] = '\0';
	hash_wipe(random, sizeof(random));
}

/* The folder of a new file, so that its name lasts. */
static enum rc
sync_folder(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char folder[4096];
	enum rc rc;
	int fd = -1;

	if (slash == NULL ||
	    !str_copy_n(folder, sizeof(folder), path, (size_t)(slash - path) + 1))
		return err_set(e, RC_CONFIG, "%.200s: not an absolute path", path);
	if ((rc = io_open_dir(AT_FDCWD, folder, &fd, e)) == RC_OK)
		rc = io_sync_dir(fd, e);
	io_close(&fd);
	return rc;
}

/* A file to append to. */
static enum rc
open_file(const char *path, gid_t group, int *fd, bool *is_new, struct err *e)
{
	const int how = O_RDWR | O_APPEND | O_CLOEXEC;
	struct stat st;

	*is_new = false;
	if ((*fd = open(path, how)) < 0 && errno == ENOENT) {
		*fd = open(path, how | O_CREAT | O_EXCL, 0600);
		*is_new = *fd >= 0;
	}
	if (*fd < 0)
		return err_sys(e, "open", path);
	if (*is_new && (fchown(*fd, (uid_t)-1, group) != 0 || fchmod(*fd, 0640) != 0))
		return err_sys(e, "fchown", path);
	if (fstat(*fd, &st) != 0)
		return err_sys(e, "fstat", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, RC_CONFIG, "%.200s: not a file", path);
	return RC_OK;
}

/* One write, so that nobody reads a part of it. */
static enum rc
append(int *fd, const char *secret, struct err *e)
{
	struct buf line = BUF_SECRET(SECRET_TEXT + 3);
	struct stat st;
	char last = '\n';
	enum rc rc;

	if (fstat(*fd, &st) != 0)
		return err_sys(e, "fstat", NULL);
	if (st.st_size > 0 && pread(*fd, &last, 1, st.st_size - 1) != 1)
		return err_sys(e, "pread", NULL);
	buf_str(&line, last == '\n' ? "" : "\n");
	buf_str(&line, secret);
	buf_str(&line, "\n");
	if ((rc = buf_state(&line, e)) == RC_OK &&
	    (rc = io_write_all(*fd, line.p, line.n, e)) == RC_OK)
		rc = io_sync_close(fd, e);
	buf_wipe(&line);
	return rc;
}

enum rc
subscription_new_secret(const char *path, gid_t group, struct buf *out, struct err *e)
{
	char secret[SECRET_TEXT];
	bool is_new = false;
	enum rc rc;
	int fd = -1;

	make_secret(secret);
	if ((rc = open_file(path, group, &fd, &is_new, e)) == RC_OK &&
	    (rc = append(&fd, secret, e)) == RC_OK && is_new)
		rc = sync_folder(path, e);
	if (rc == RC_OK) {
		buf_str(out, secret);
		rc = buf_state(out, e);
	}
	io_close(&fd);
	if (rc != RC_OK && is_new)
		(void)unlink(path);
	hash_wipe(secret, sizeof(secret));
	return rc;
}
