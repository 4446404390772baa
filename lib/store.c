/*
 * SPDX-License-Identifier: ISC
 *
 * store - what was fetched; see store.h.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "clk.h"
#include "io.h"
#include "json.h"
#include "store.h"
#include "str.h"

#define STORE_DIR 0750
#define STORE_FILE 0640
#define STORE_META 16384 /* document.json is never longer */
#define RECORD "record.json"
#define META "document.json"
#define GRAVE "deleted.json"
#define VERSION_HEX 16 /* digits of a digest in the name of a version */

struct store {
	int root;
	int tmp; /* .tmp, emptied at start */
};

/* What a crash left of downloads is of no use: each try begins anew. */
static void
empty_folder(int dir)
{
	const struct dirent *de;
	DIR *d;
	int fd;

	if (io_open_dir(dir, ".", &fd, NULL) != RC_OK)
		return;
	if ((d = fdopendir(fd)) == NULL) {
		io_close(&fd);
		return;
	}
	while ((de = readdir(d)) != NULL)
		if (!str_eq(de->d_name, ".") && !str_eq(de->d_name, ".."))
			(void)io_unlink(dir, de->d_name, NULL);
	(void)closedir(d);
}

enum rc
store_open(const char *path, struct store **out, struct err *e)
{
	struct store *st = calloc(1, sizeof(*st));
	enum rc rc;

	*out = NULL;
	if (st == NULL)
		return err_set(e, RC_LATER, "no memory");
	st->root = st->tmp = -1;
	if ((rc = io_make_dir(AT_FDCWD, path, STORE_DIR, &st->root, e)) != RC_OK ||
	    (rc = io_make_dir(st->root, ".tmp", 0700, &st->tmp, e)) != RC_OK) {
		err_prefix(e, "store %.150s", path);
		store_close(&st);
		return rc;
	}
	/* A try that ended between a rename and its sync is found done: from here on it is. */
	if (syncfs(st->root) != 0) {
		rc = err_sys(e, "syncfs", path);
		store_close(&st);
		return rc;
	}
	empty_folder(st->tmp);
	*out = st;
	return RC_OK;
}

void
store_close(struct store **st)
{
	if (*st == NULL)
		return;
	io_close(&(*st)->root);
	io_close(&(*st)->tmp);
	free(*st);
	*st = NULL;
}

enum rc
store_where(const struct store_place *at, char *out, size_t size, struct err *e)
{
	char folder[NAME_FOLDER];
	enum rc rc;

	if ((rc = name_folder(at->object, folder, e)) != RC_OK)
		return rc;
	(void)snprintf(out, size, "%s/%s/%s", at->account, at->category, folder);
	return RC_OK;
}

/* A folder made and its name in at made durable, or only opened if it is there. */
static enum rc
enter(int at, const char *name, bool make, int *fd, struct err *e)
{
	enum rc rc = io_open_dir(at, name, fd, e);

	if (rc != RC_GONE || !make)
		return rc;
	if ((rc = io_make_dir(at, name, STORE_DIR, fd, e)) != RC_OK)
		return rc;
	if ((rc = io_sync_dir(at, e)) != RC_OK)
		io_close(fd);
	return rc;
}

/* Open the folder of an object; the caller closes it. */
static enum rc
open_place(struct store *st, const struct store_place *at, bool make, int *fd, struct err *e)
{
	char folder[NAME_FOLDER];
	int account = -1, category = -1;
	enum rc rc;

	*fd = -1;
	if ((rc = name_folder(at->object, folder, e)) == RC_OK &&
	    (rc = enter(st->root, at->account, make, &account, e)) == RC_OK &&
	    (rc = enter(account, at->category, make, &category, e)) == RC_OK)
		rc = enter(category, folder, make, fd, e);
	io_close(&account);
	io_close(&category);
	return rc;
}

enum rc
store_record(
    struct store *st, const struct store_place *at, const char *body, size_t n, struct err *e)
{
	enum rc rc;
	int fd;

	if ((rc = open_place(st, at, true, &fd, e)) != RC_OK)
		return rc;
	if (io_exists(fd, GRAVE))
		rc = err_set(e, RC_GONE, "the object was deleted before");
	else
		rc = io_replace(fd, RECORD, STORE_FILE, body, n, e);
	io_close(&fd);
	return rc;
}

enum rc
store_tombstone(struct store *st, const struct store_place *at, const char *event, int64_t now,
    struct err *e)
{
	struct buf b = BUF_INIT(STORE_META);
	char stamp[CLK_TEXT];
	enum rc rc;
	int fd;

	if ((rc = open_place(st, at, true, &fd, e)) != RC_OK)
		return rc;
	clk_rfc3339(now, stamp);
	buf_fmt(&b, "{\n  \"deleted\": \"%s\",\n  \"event\": ", stamp);
	buf_json(&b, event);
	buf_str(&b, "\n}\n");
	if (!io_exists(fd, GRAVE) && (rc = buf_state(&b, e)) == RC_OK)
		rc = io_replace(fd, GRAVE, STORE_FILE, b.p, b.n, e);
	buf_free(&b);
	io_close(&fd);
	return rc;
}

static void
put_text(struct buf *b, const char *name, const char *value, const char *end)
{
	buf_fmt(b, "  \"%s\": ", name);
	buf_json(b, value);
	buf_str(b, end);
}

static enum rc
write_meta(int dir, const char *file, const struct store_meta *m, struct err *e)
{
	struct buf b = BUF_INIT(STORE_META);
	char when[CLK_TEXT], stored[CLK_TEXT];
	enum rc rc;

	clk_rfc3339(m->event_time, when);
	clk_rfc3339(m->stored, stored);
	buf_str(&b, "{\n");
	buf_fmt(
	    &b, "  \"file\": \"document%s\",\n  \"size\": %" PRIu64 ",\n", m->suffix, m->size);
	put_text(&b, "sha256", m->sha256, ",\n");
	put_text(&b, "mediaType", m->media_type, ",\n");
	put_text(&b, "suffix", m->suffix, ",\n");
	put_text(&b, "originalName", m->original, ",\n");
	put_text(&b, "event", m->event, ",\n");
	put_text(&b, "received", when, ",\n");
	put_text(&b, "stored", stored, "\n}\n");
	if ((rc = buf_state(&b, e)) == RC_OK)
		rc = io_replace(dir, file, STORE_FILE, b.p, b.n, e);
	buf_free(&b);
	return rc;
}

static bool
member(const struct json *doc, const char *name, char *out, size_t size)
{
	const char *text = json_string(json_get(doc, name));

	return text != NULL && str_copy(out, size, text);
}

static enum rc
read_meta(int dir, struct store_meta *m, struct err *e)
{
	struct buf b = BUF_INIT(STORE_META);
	struct json *doc = NULL;
	char when[CLK_TEXT];
	int64_t size;
	enum rc rc;

	memset(m, 0, sizeof(*m));
	if ((rc = io_read_file(dir, META, &b, e)) != RC_OK)
		goto out;
	if ((rc = json_parse(buf_text(&b), b.n, &doc, e)) != RC_OK)
		goto out;
	if (!member(doc, "sha256", m->sha256, sizeof(m->sha256)) ||
	    !member(doc, "suffix", m->suffix, sizeof(m->suffix)) ||
	    !member(doc, "event", m->event, sizeof(m->event)) ||
	    !json_int(json_get(doc, "size"), 0, INT64_MAX, &size)) {
		rc = err_set(e, RC_BAD, META " does not describe a document");
		goto out;
	}
	m->size = (uint64_t)size;
	(void)!member(doc, "mediaType", m->media_type, sizeof(m->media_type));
	(void)!member(doc, "originalName", m->original, sizeof(m->original));
	if (!member(doc, "received", when, sizeof(when)) || !clk_parse(when, &m->event_time))
		m->event_time = 0;
	if (!member(doc, "stored", when, sizeof(when)) || !clk_parse(when, &m->stored))
		m->stored = 0;
out:
	json_free(&doc);
	buf_free(&b);
	return rc;
}

/* A suffix that was written by us is trusted no more than any other. */
static bool
suffix_ok(const char *suffix)
{
	return suffix[0] == '\0' ||
	       (suffix[0] == '.' && str_only(suffix + 1, "", 1, STORE_SUFFIX - 2));
}

static enum rc
document_file(const struct store_meta *m, char out[STORE_SUFFIX + 16], struct err *e)
{
	if (!suffix_ok(m->suffix))
		return err_set(e, RC_BAD, "a document's suffix is not one");
	(void)snprintf(out, STORE_SUFFIX + 16, "document%s", m->suffix);
	return RC_OK;
}

enum rc
store_document(
    struct store *st, const struct store_place *at, struct store_meta *meta, struct err *e)
{
	char file[STORE_SUFFIX + 16];
	enum rc rc;
	int fd;

	memset(meta, 0, sizeof(*meta));
	if ((rc = open_place(st, at, false, &fd, e)) != RC_OK)
		return rc;
	if ((rc = read_meta(fd, meta, e)) == RC_OK &&
	    (rc = document_file(meta, file, e)) == RC_OK && !io_exists(fd, file))
		rc = err_set(e, RC_GONE, "%s is missing beside its description", file);
	io_close(&fd);
	return rc;
}

enum rc
store_begin(struct store *st, struct store_doc *doc, struct err *e)
{
	unsigned char random[8];
	char hex[17];
	enum rc rc;

	clk_random(random, sizeof(random));
	str_hex(hex, random, sizeof(random));
	(void)snprintf(doc->tmp, sizeof(doc->tmp), "document.%s", hex);
	doc->fd = openat(
	    st->tmp, doc->tmp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (doc->fd < 0)
		return err_sys(e, "openat", doc->tmp);
	if (fchmod(doc->fd, STORE_FILE) == 0)
		return RC_OK;
	rc = err_sys(e, "fchmod", doc->tmp);
	store_abort(st, doc);
	return rc;
}

void
store_abort(struct store *st, struct store_doc *doc)
{
	io_close(&doc->fd);
	if (doc->tmp[0] != '\0')
		(void)io_unlink(st->tmp, doc->tmp, NULL);
	doc->tmp[0] = '\0';
}

/*
 * Put the document that is there aside, under the event that brought it and its content: the
 * same event, done again, may bring another one.  Then its description is removed: one that is
 * there always tells of the file beside it, or of none.
 */
static enum rc
keep_version(int dir, const struct store_meta *old, struct err *e)
{
	char file[STORE_SUFFIX + 16], name[NAME_SIZE + VERSION_HEX + 1];
	char kept[sizeof(name) + STORE_SUFFIX], meta[sizeof(name) + 8];
	enum rc rc;
	int fd;

	if (!str_only(old->event, "._-", 1, NAME_SIZE - 1) ||
	    !str_only(old->sha256, "", HASH_HEX - 1, HASH_HEX - 1))
		return err_set(e, RC_BAD, META " does not name an event and a digest");
	if ((rc = document_file(old, file, e)) != RC_OK ||
	    (rc = enter(dir, "versions", true, &fd, e)) != RC_OK)
		return rc;
	(void)snprintf(name, sizeof(name), "%s.%.*s", old->event, VERSION_HEX, old->sha256);
	(void)snprintf(kept, sizeof(kept), "%s%s", name, old->suffix);
	(void)snprintf(meta, sizeof(meta), "%s.json", name);
	if ((rc = write_meta(fd, meta, old, e)) == RC_OK) {
		rc = io_move(dir, file, fd, kept, e);
		if (rc == RC_GONE || rc == RC_EXISTS)
			rc = RC_OK; /* a try before this one came as far */
		if (rc == RC_OK)
			rc = io_sync_dir(fd, e);
	}
	io_close(&fd);
	if (rc == RC_OK && (rc = io_unlink(dir, META, e)) == RC_OK)
		rc = io_sync_dir(dir, e);
	return rc;
}

/* The file under its name, then its description: a description never comes before its file. */
static enum rc
install(struct store *st, int dir, struct store_doc *doc, const struct store_meta *meta,
    struct err *e)
{
	char file[STORE_SUFFIX + 16];
	enum rc rc;

	if ((rc = document_file(meta, file, e)) != RC_OK)
		return rc;
	if (renameat(st->tmp, doc->tmp, dir, file) != 0)
		return err_sys(e, "renameat", file);
	doc->tmp[0] = '\0';
	if ((rc = io_sync_dir(dir, e)) != RC_OK)
		return rc;
	return write_meta(dir, META, meta, e);
}

enum rc
store_commit(struct store *st, const struct store_place *at, struct store_doc *doc,
    const struct store_meta *meta, struct err *e)
{
	char file[STORE_SUFFIX + 16];
	struct store_meta old;
	int dir = -1;
	enum rc rc, synced;

	if ((rc = document_file(meta, file, e)) != RC_OK ||
	    (rc = open_place(st, at, true, &dir, e)) != RC_OK)
		goto out;
	rc = read_meta(dir, &old, e);
	if (rc == RC_OK && str_eq(old.sha256, meta->sha256) &&
	    document_file(&old, file, e) == RC_OK && io_exists(dir, file)) {
		rc = err_set(e, RC_EXISTS, "the same document is there already");
		goto out;
	}
	/* A disk that is full shows here, before anything is moved. */
	if ((rc == RC_OK || rc == RC_GONE) && (synced = io_sync_close(&doc->fd, e)) != RC_OK)
		rc = synced;
	if (rc == RC_OK)
		rc = keep_version(dir, &old, e);
	else if (rc == RC_GONE)
		rc = RC_OK; /* the first one */
	if (rc == RC_OK)
		rc = install(st, dir, doc, meta, e);
out:
	io_close(&dir);
	store_abort(st, doc);
	return rc;
}
