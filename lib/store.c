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
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "clk.h"
#include "hash.h"
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
#define VERSIONS "versions"
#define LOCK ".lock"                /* one byte an object: who changes it */
#define LOCK_WAIT (20 * CLK_SECOND) /* no change of an object takes longer */
#define LOCK_LOOK 5                 /* milliseconds between two looks */
#define OBJECT_SIZE (NAME_ACCOUNT + NAME_WORD + NAME_FOLDER + 3) /* its place, and a NUL */
#define LOCK_DIGITS 15 /* of an object's digest: where its byte is */
#define PART "part."
#define PART_TEXT ".json"
#define PART_FILE (NAME_SIZE + sizeof(PART) + sizeof(PART_TEXT))
#define PART_AGE CLK_DAY /* a part that lies longer is not gone on with */
#define VERSION_HEX 16   /* digits of a digest in the name of a version */

struct store {
	int root;
	int tmp; /* .tmp: documents on their way */
};

/* Call fn for each name in a folder; stops at the first that is not RC_OK. */
static enum rc
each_name(int dir, enum rc (*fn)(int dir, const char *name, void *arg, struct err *e),
    void *arg, struct err *e)
{
	const struct dirent *de;
	enum rc rc;
	DIR *d;
	int fd;

	if ((rc = io_open_dir(dir, ".", &fd, e)) != RC_OK)
		return rc;
	if ((d = fdopendir(fd)) == NULL) {
		rc = err_sys(e, "fdopendir", NULL);
		io_close(&fd);
		return rc;
	}
	while (rc == RC_OK && (de = readdir(d)) != NULL)
		if (!str_eq(de->d_name, ".") && !str_eq(de->d_name, ".."))
			rc = fn(dir, de->d_name, arg, e);
	(void)closedir(d);
	return rc;
}

static enum rc
remove_name(int dir, const char *name, void *arg, struct err *e)
{
	enum rc rc = io_unlink(dir, name, e);

	(void)arg;
	return rc == RC_GONE ? RC_OK : rc;
}

/* ---- documents that are on their way ---- */

struct sweep {
	int64_t parts, others; /* what is older goes */
};

/* The two files of a document that was put aside: "part.NAME" and "part.NAME.json". */
static bool
part_files(const char *name, char data[PART_FILE], char text[PART_FILE])
{
	if (!str_only(name, "._-", 1, NAME_SIZE - 1))
		return false;
	(void)snprintf(data, PART_FILE, PART "%s", name);
	(void)snprintf(text, PART_FILE, PART "%s" PART_TEXT, name);
	return true;
}

/* Is this one of the two, and the other one there? */
static bool
is_of_pair(int dir, const char *file)
{
	size_t n = strlen(file), k = strlen(PART_TEXT);
	char other[PART_FILE];

	if (!str_begins(file, PART))
		return false;
	if (n > k && str_eq(file + n - k, PART_TEXT))
		return str_copy_n(other, sizeof(other), file, n - k) && io_exists(dir, other);
	return str_copy(other, sizeof(other) - k, file) &&
	       str_copy(other + n, k + 1, PART_TEXT) && io_exists(dir, other);
}

/* Is somebody writing to it, in this process or another (store_begin)? */
static bool
in_use(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool is = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;

	io_close(&fd);
	return is;
}

static enum rc
sweep_name(int dir, const char *name, void *arg, struct err *e)
{
	const struct sweep *s = arg;
	struct stat st;

	(void)e;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (int64_t)st.st_mtim.tv_sec * CLK_SECOND <
		(is_of_pair(dir, name) ? s->parts : s->others) &&
	    !in_use(dir, name))
		(void)io_unlink(dir, name, NULL);
	return RC_OK;
}

void
store_sweep(struct store *st, int64_t before)
{
	struct sweep s = {before, before};

	(void)!each_name(st->tmp, sweep_name, &s, NULL);
}

enum rc
store_open(const char *path, struct store **out, struct err *e)
{
	struct sweep all = {clk_wall() - PART_AGE, INT64_MAX};
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
	(void)!each_name(st->tmp, sweep_name, &all, NULL);
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
store_join(const char *path, struct store **out, struct err *e)
{
	struct store *st = calloc(1, sizeof(*st));
	enum rc rc;

	*out = NULL;
	if (st == NULL)
		return err_set(e, RC_LATER, "no memory");
	st->root = st->tmp = -1;
	if ((rc = io_open_dir(AT_FDCWD, path, &st->root, e)) == RC_OK)
		rc = io_open_dir(st->root, ".tmp", &st->tmp, e);
	if (rc != RC_OK) {
		err_prefix(e, "store %.150s", path);
		store_close(&st);
	}
	*out = st;
	return rc;
}

struct walk {
	bool (*fn)(const struct store_object *, void *);
	void *arg;
	struct store_object o;
	unsigned level; /* 0 accounts, 1 categories, 2 objects */
	bool stop;
};

/* One level down; what is no folder, or not named by us, is none of ours. */
static enum rc
walk_name(int dir, const char *name, void *arg, struct err *e)
{
	struct walk *w = arg;
	char *const at[] = {w->o.account, w->o.category, w->o.folder};
	const size_t size[] = {NAME_ACCOUNT, NAME_WORD, NAME_FOLDER};
	enum rc rc;
	int fd;

	if (w->stop || name[0] == '.' || !str_copy(at[w->level], size[w->level], name) ||
	    io_open_dir(dir, name, &fd, NULL) != RC_OK)
		return RC_OK;
	if (w->level < 2) {
		w->level++;
		rc = each_name(fd, walk_name, w, e);
		w->level--;
	} else {
		w->o.dir = fd;
		w->stop = !w->fn(&w->o, w->arg);
		rc = RC_OK;
	}
	io_close(&fd);
	return rc;
}

enum rc
store_walk(
    struct store *st, bool (*fn)(const struct store_object *, void *), void *arg, struct err *e)
{
	struct walk w = {.fn = fn, .arg = arg};

	return each_name(st->root, walk_name, &w, e);
}

/* Remove a file and count it; a folder (versions) with all that is in it. */
static enum rc
erase_name(int dir, const char *name, void *arg, struct err *e)
{
	struct store_erased *n = arg;
	struct stat st;
	enum rc rc;
	int fd;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? RC_OK : err_sys(e, "fstatat", name);
	if (!S_ISDIR(st.st_mode)) {
		if ((rc = remove_name(dir, name, NULL, e)) == RC_OK) {
			n->files++;
			n->bytes += (uint64_t)st.st_size;
		}
		return rc;
	}
	if ((rc = io_open_dir(dir, name, &fd, e)) != RC_OK)
		return rc;
	rc = each_name(fd, erase_name, n, e);
	io_close(&fd);
	if (rc == RC_OK && unlinkat(dir, name, AT_REMOVEDIR) != 0)
		rc = err_sys(e, "unlinkat", name);
	return rc;
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

/*
 * For a change of this object that nobody else, in whatever process, makes at the same time:
 * until the descriptor is closed.  The lock is a byte of a file that only the store's owner can
 * open, so none of its readers can hold it.  RC_LATER: another one does.
 */
static enum rc
lock_object(struct store *st, const char *where, int *lock, struct err *e)
{
	struct flock byte = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	const int64_t end = clk_mono() + LOCK_WAIT;
	char hex[HASH_HEX];
	enum rc rc;

	if ((rc = hash_sha256(where, strlen(where), hex, e)) != RC_OK)
		return rc;
	for (size_t i = 0; i < LOCK_DIGITS; i++)
		byte.l_start = byte.l_start * 16 +
			       (hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
	*lock = openat(st->root, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (*lock < 0)
		return err_sys(e, "openat", LOCK);
	while (fcntl(*lock, F_OFD_SETLK, &byte) != 0) {
		if (errno != EINTR && errno != EAGAIN && errno != EACCES)
			rc = err_sys(e, "fcntl", LOCK);
		else if (clk_mono() >= end)
			rc = err_set(e, RC_LATER, "another program holds %.150s", where);
		if (rc != RC_OK) {
			io_close(lock);
			break;
		}
		(void)poll(NULL, 0, LOCK_LOOK);
	}
	return rc;
}

enum rc
store_erase(
    struct store *st, const struct store_object *o, struct store_erased *n, struct err *e)
{
	int account = -1, category = -1, lock = -1;
	char where[OBJECT_SIZE];
	enum rc rc;

	(void)snprintf(where, sizeof(where), "%s/%s/%s", o->account, o->category, o->folder);
	if ((rc = lock_object(st, where, &lock, e)) == RC_OK &&
	    (rc = io_open_dir(st->root, o->account, &account, e)) == RC_OK &&
	    (rc = io_open_dir(account, o->category, &category, e)) == RC_OK) {
		if (!io_exists(category, o->folder))
			rc = err_set(e, RC_GONE, "it is not there");
		else if ((rc = erase_name(category, o->folder, n, e)) == RC_OK) {
			n->objects++;
			rc = io_sync_dir(category, e);
		}
	}
	io_close(&account);
	io_close(&category);
	io_close(&lock);
	return rc;
}

/* An object's folder, locked; let_go ends that. */
static enum rc
claim(struct store *st, const struct store_place *at, bool make, int *dir, int *lock,
    struct err *e)
{
	char where[OBJECT_SIZE];
	enum rc rc;

	*dir = *lock = -1;
	if ((rc = store_where(at, where, sizeof(where), e)) != RC_OK ||
	    (rc = lock_object(st, where, lock, e)) != RC_OK)
		return rc;
	if ((rc = open_place(st, at, make, dir, e)) != RC_OK)
		io_close(lock);
	return rc;
}

static void
let_go(int *dir, int *lock)
{
	io_close(dir);
	io_close(lock);
}

enum rc
store_record(
    struct store *st, const struct store_place *at, const char *body, size_t n, struct err *e)
{
	enum rc rc;
	int fd, lock;

	if ((rc = claim(st, at, true, &fd, &lock, e)) != RC_OK)
		return rc;
	if (io_exists(fd, GRAVE))
		rc = err_set(e, RC_GONE, "the object was deleted before");
	else
		rc = io_replace(fd, RECORD, STORE_FILE, body, n, e);
	let_go(&fd, &lock);
	return rc;
}

static enum rc
remove_but_grave(int dir, const char *name, void *arg, struct err *e)
{
	enum rc rc;
	int fd;

	if (str_eq(name, GRAVE))
		return RC_OK;
	if (!str_eq(name, VERSIONS))
		return remove_name(dir, name, arg, e);
	if ((rc = io_open_dir(dir, name, &fd, e)) != RC_OK)
		return rc;
	rc = each_name(fd, remove_name, NULL, e);
	io_close(&fd);
	if (rc == RC_OK && unlinkat(dir, name, AT_REMOVEDIR) != 0)
		rc = err_sys(e, "unlinkat", name);
	return rc;
}

/* The description first, so that none is ever left without its file. */
static enum rc
clear_place(int dir, struct err *e)
{
	enum rc rc = remove_name(dir, META, NULL, e);

	if (rc == RC_OK)
		rc = each_name(dir, remove_but_grave, NULL, e);
	return rc == RC_OK ? io_sync_dir(dir, e) : rc;
}

enum rc
store_read_record(struct store *st, const struct store_place *at, struct buf *b, struct err *e)
{
	enum rc rc;
	int fd;

	if ((rc = open_place(st, at, false, &fd, e)) != RC_OK)
		return rc;
	if (io_exists(fd, GRAVE))
		rc = err_set(e, RC_GONE, "the object was deleted before");
	else
		rc = io_read_file(fd, RECORD, b, e);
	io_close(&fd);
	return rc;
}

enum rc
store_tombstone(struct store *st, const struct store_place *at, const char *event, int64_t now,
    bool clear, struct err *e)
{
	struct buf b = BUF_INIT(STORE_META);
	char stamp[CLK_TEXT];
	enum rc rc;
	int fd, lock;

	if ((rc = claim(st, at, true, &fd, &lock, e)) != RC_OK)
		return rc;
	clk_rfc3339(now, stamp);
	buf_fmt(&b, "{\n  \"deleted\": \"%s\",\n  \"removed\": %s,\n  \"event\": ", stamp,
	    clear ? "true" : "false");
	buf_json(&b, event);
	buf_str(&b, "\n}\n");
	if (!io_exists(fd, GRAVE) && (rc = buf_state(&b, e)) == RC_OK)
		rc = io_replace(fd, GRAVE, STORE_FILE, b.p, b.n, e);
	if (rc == RC_OK && clear)
		rc = clear_place(fd, e);
	buf_free(&b);
	let_go(&fd, &lock);
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
	char when[CLK_TEXT], stored[CLK_TEXT], fetched[CLK_TEXT];
	enum rc rc;

	clk_rfc3339(m->event_time, when);
	clk_rfc3339(m->stored, stored);
	clk_rfc3339(m->fetched, fetched);
	buf_str(&b, "{\n");
	buf_fmt(
	    &b, "  \"file\": \"document%s\",\n  \"size\": %" PRIu64 ",\n", m->suffix, m->size);
	put_text(&b, "sha256", m->sha256, ",\n");
	put_text(&b, "mediaType", m->media_type, ",\n");
	put_text(&b, "suffix", m->suffix, ",\n");
	put_text(&b, "originalName", m->original, ",\n");
	put_text(&b, "event", m->event, ",\n");
	put_text(&b, "received", when, ",\n");
	put_text(&b, "stored", stored, ",\n");
	put_text(&b, "fetched", fetched, ",\n");
	put_text(&b, "etag", m->etag, ",\n");
	put_text(&b, "source", m->source, m->warning[0] != '\0' ? ",\n" : "\n}\n");
	if (m->warning[0] != '\0')
		put_text(&b, "warning", m->warning, "\n}\n");
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
	(void)!member(doc, "etag", m->etag, sizeof(m->etag));
	(void)!member(doc, "source", m->source, sizeof(m->source));
	(void)!member(doc, "warning", m->warning, sizeof(m->warning));
	if (!member(doc, "fetched", when, sizeof(when)) || !clk_parse(when, &m->fetched))
		m->fetched = 0;
	if (!member(doc, "received", when, sizeof(when)) || !clk_parse(when, &m->event_time))
		m->event_time = 0;
	if (!member(doc, "stored", when, sizeof(when)) || !clk_parse(when, &m->stored))
		m->stored = 0;
out:
	json_free(&doc);
	buf_free(&b);
	return rc;
}

/* A suffix that was written by us is trusted no more than any other; META is not a document's.
 */
static bool
suffix_ok(const char *suffix)
{
	return suffix[0] == '\0' || (suffix[0] == '.' && !str_eq_nocase(suffix, ".json") &&
					str_only(suffix + 1, "", 1, STORE_SUFFIX - 2));
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
	/* The lock, which a crash takes away, tells a store_open elsewhere to leave it alone.
	 */
	if (fchmod(doc->fd, STORE_FILE) != 0)
		rc = err_sys(e, "fchmod", doc->tmp);
	else if ((rc = io_lock(doc->fd, e)) == RC_OK)
		return RC_OK;
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

static enum rc
write_part(struct store *st, const char *file, const struct store_part *part, struct err *e)
{
	struct buf b = BUF_INIT(STORE_META);
	enum rc rc;

	buf_fmt(&b, "{\n  \"have\": %" PRIu64 ",\n  \"whole\": %" PRIu64 ",\n", part->have,
	    part->whole);
	put_text(&b, "source", part->source, ",\n");
	put_text(&b, "etag", part->etag, "\n}\n");
	if ((rc = buf_state(&b, e)) == RC_OK)
		rc = io_replace(st->tmp, file, 0600, b.p, b.n, e);
	buf_free(&b);
	return rc;
}

static enum rc
read_part(struct store *st, const char *file, struct store_part *part, struct err *e)
{
	struct buf b = BUF_INIT(STORE_META);
	struct json *doc = NULL;
	int64_t have = 0, whole = 0;
	enum rc rc;

	memset(part, 0, sizeof(*part));
	if ((rc = io_read_file(st->tmp, file, &b, e)) != RC_OK ||
	    (rc = json_parse(buf_text(&b), b.n, &doc, e)) != RC_OK)
		goto out;
	if (!member(doc, "source", part->source, sizeof(part->source)) ||
	    !member(doc, "etag", part->etag, sizeof(part->etag)) ||
	    !json_int(json_get(doc, "have"), 1, INT64_MAX, &have) ||
	    !json_int(json_get(doc, "whole"), 0, INT64_MAX, &whole))
		rc = err_set(e, RC_BAD, "%.200s does not describe a part", file);
	part->have = (uint64_t)have;
	part->whole = (uint64_t)whole;
out:
	json_free(&doc);
	buf_free(&b);
	return rc;
}

enum rc
store_keep(struct store *st, struct store_doc *doc, const char *name,
    const struct store_part *part, struct err *e)
{
	char data[PART_FILE], text[PART_FILE];
	enum rc rc;

	if (!part_files(name, data, text)) {
		store_abort(st, doc);
		return err_set(e, RC_BAD, "not a name of an event");
	}
	(void)io_unlink(st->tmp, text, NULL);
	if ((rc = io_sync_close(&doc->fd, e)) == RC_OK && !str_eq(doc->tmp, data) &&
	    renameat(st->tmp, doc->tmp, st->tmp, data) != 0)
		rc = err_sys(e, "renameat", data);
	else if (rc == RC_OK)
		rc = write_part(st, text, part, e); /* syncs the folder, and with it the name */
	if (rc != RC_OK) {
		store_abort(st, doc);
		store_forget(st, name);
	}
	doc->tmp[0] = '\0';
	return rc;
}

enum rc
store_resume(struct store *st, const char *name, const char *source, struct store_doc *doc,
    struct store_part *part, struct err *e)
{
	char data[PART_FILE], text[PART_FILE];
	struct stat s;
	enum rc rc;

	*doc = (struct store_doc){.fd = -1};
	if (!part_files(name, data, text) || !io_exists(st->tmp, text))
		return err_set(e, RC_GONE, "nothing was put aside");
	if ((rc = read_part(st, text, part, e)) != RC_OK) {
		store_forget(st, name);
		memset(part, 0, sizeof(*part));
		return err_set(e, RC_GONE, "what was put aside is not described");
	}
	if (!str_eq(part->source, source))
		return err_set(e, RC_GONE, "what was put aside came from elsewhere");
	(void)io_unlink(st->tmp, text, NULL);
	doc->fd = openat(st->tmp, data, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	(void)!str_copy(doc->tmp, sizeof(doc->tmp), data);
	if (doc->fd >= 0 && fstat(doc->fd, &s) == 0 && S_ISREG(s.st_mode) &&
	    (uint64_t)s.st_size >= part->have && ftruncate(doc->fd, (off_t)part->have) == 0)
		return RC_OK;
	store_abort(st, doc);
	return err_set(e, RC_GONE, "what was put aside is shorter than it should be");
}

void
store_forget(struct store *st, const char *name)
{
	char data[PART_FILE], text[PART_FILE];

	if (!part_files(name, data, text))
		return;
	(void)io_unlink(st->tmp, text, NULL);
	(void)io_unlink(st->tmp, data, NULL);
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
	    (rc = enter(dir, VERSIONS, true, &fd, e)) != RC_OK)
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
	if (renameat(st->tmp, doc->tmp, dir, file) != 0) {
		rc = err_sys(e, "renameat", file);
		/* What was swept away is the file that came, not the object. */
		return rc == RC_GONE && !io_exists(st->tmp, doc->tmp) ? RC_LATER : rc;
	}
	doc->tmp[0] = '\0';
	if ((rc = io_sync_dir(dir, e)) != RC_OK)
		return rc;
	return write_meta(dir, META, meta, e);
}

/* The same bytes once more: what their host says of them now. */
static enum rc
renew(int dir, struct store_meta *old, const struct store_meta *now, struct err *e)
{
	(void)!str_copy(old->etag, sizeof(old->etag), now->etag);
	(void)!str_copy(old->source, sizeof(old->source), now->source);
	old->fetched = now->fetched;
	return write_meta(dir, META, old, e);
}

/* Does a tombstone say that nothing is to be here any more? */
static bool
is_cleared(int dir)
{
	struct buf b = BUF_INIT(STORE_META);
	bool is = io_read_file(dir, GRAVE, &b, NULL) == RC_OK &&
		  strstr(buf_text(&b), "\"removed\": true") != NULL;

	buf_free(&b);
	return is;
}

enum rc
store_confirm(struct store *st, const struct store_place *at, int64_t now, struct err *e)
{
	struct store_meta m;
	enum rc rc;
	int dir, lock;

	if ((rc = claim(st, at, false, &dir, &lock, e)) != RC_OK)
		return rc;
	if ((rc = read_meta(dir, &m, e)) == RC_OK) {
		m.fetched = now;
		rc = write_meta(dir, META, &m, e);
	}
	let_go(&dir, &lock);
	return rc;
}

enum rc
store_commit(struct store *st, const struct store_place *at, struct store_doc *doc,
    const struct store_meta *meta, struct err *e)
{
	char file[STORE_SUFFIX + 16];
	struct store_meta old;
	int dir = -1, lock = -1;
	enum rc rc, synced;

	if ((rc = document_file(meta, file, e)) != RC_OK ||
	    (rc = claim(st, at, true, &dir, &lock, e)) != RC_OK)
		goto out;
	if (io_exists(dir, GRAVE)) {
		rc = err_set(e, RC_GONE, "the object was deleted before");
		goto out;
	}
	rc = read_meta(dir, &old, e);
	if (rc == RC_OK && str_eq(old.sha256, meta->sha256) &&
	    document_file(&old, file, e) == RC_OK && io_exists(dir, file)) {
		if ((rc = renew(dir, &old, meta, e)) == RC_OK)
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
	if (rc == RC_OK && is_cleared(dir)) { /* deleted meanwhile */
		rc = clear_place(dir, e);
		rc = rc == RC_OK ? err_set(e, RC_GONE, "the object was deleted meanwhile") : rc;
	}
out:
	let_go(&dir, &lock);
	store_abort(st, doc);
	return rc;
}
