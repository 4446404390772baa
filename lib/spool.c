/*
 * SPDX-License-Identifier: ISC
 *
 * spool - the queue on disk: opened, and an event committed to it.
 *
 * The order of spool_put is the promise (docs/spool.md, Acceptance): write,
 * fdatasync, checked close, rename, fsync of the folder, and only then RC_OK.
 */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "clk.h"
#include "io.h"
#include "spool_priv.h"
#include "str.h"

#define CHASE 8 /* a name that moves this often while it is looked for: the sender repeats */

static const struct {
	const char *name;
	enum spool_folder folder;
	const char *flags;
} boxes[SPOOL_BOXES] = {
    [SPOOL_NEW] = {"new", FOLDER_NEW, ""},
    [SPOOL_CUR] = {"cur", FOLDER_CUR, ":2,"},
    [SPOOL_HELD] = {"held", FOLDER_HELD_CUR, ":2,"},
    [SPOOL_FAILED] = {"failed", FOLDER_FAILED_CUR, ":2,F"},
    [SPOOL_DONE] = {"done", FOLDER_DONE_CUR, ":2,S"},
    [SPOOL_REJECTED] = {"rejected", FOLDER_REJECTED_NEW, ""},
};

enum spool_folder
spool_box_folder(enum spool_box box)
{
	return boxes[box].folder;
}

void
spool_box_file(enum spool_box box, const char *name, char out[SPOOL_FILE])
{
	(void)snprintf(out, SPOOL_FILE, "%.*s%s", NAME_SIZE - 1, name, boxes[box].flags);
}

const char *
spool_box_name(enum spool_box box)
{
	return boxes[box].name;
}

bool
spool_box_parse(const char *text, enum spool_box *box)
{
	for (*box = SPOOL_NEW; *box < SPOOL_BOXES; (*box)++)
		if (str_eq(text, boxes[*box].name))
			return true;
	*box = SPOOL_NEW;
	return false;
}

enum rc
spool_open(const struct spool_opt *opt, struct spool **out, struct err *e)
{
	struct spool *sp;
	int root = -1;
	enum rc rc;

	*out = NULL;
	if ((sp = calloc(1, sizeof(*sp))) == NULL || (sp->path = strdup(opt->path)) == NULL) {
		free(sp);
		return err_set(e, RC_LATER, "no memory");
	}
	(void)pthread_mutex_init(&sp->removing, NULL);
	for (size_t i = 0; i < FOLDERS; i++)
		sp->dir[i] = -1;
	sp->lock = -1;
	sp->opt = *opt;
	sp->opt.path = sp->opt.allow_fs = NULL;
	if ((rc = io_open_dir(AT_FDCWD, opt->path, &root, e)) == RC_OK &&
	    (rc = spool_check_fs(root, opt->path, opt->allow_fs, e)) == RC_OK &&
	    (rc = spool_open_folders(root, sp->dir, e)) == RC_OK)
		rc = count_open(root, &sp->counts, e);
	io_close(&root);
	if (rc == RC_GONE)
		rc = err_set(e, RC_CONFIG, "it is not there: start spoold once to make it");
	if (rc != RC_OK) {
		err_prefix(e, "spool %.150s", opt->path);
		spool_close(&sp);
	}
	*out = sp;
	return rc;
}

void
spool_close(struct spool **sp)
{
	if (*sp == NULL)
		return;
	for (size_t i = 0; i < FOLDERS; i++)
		io_close(&(*sp)->dir[i]);
	io_close(&(*sp)->lock);
	count_close(&(*sp)->counts);
	(void)pthread_mutex_destroy(&(*sp)->removing);
	free((*sp)->path);
	free(*sp);
	*sp = NULL;
}

struct counts *
spool_counts(struct spool *sp)
{
	return sp->counts;
}

int
spool_dir(const struct spool *sp)
{
	return sp->dir[FOLDER_ROOT];
}

int
spool_retry_dir(const struct spool *sp)
{
	return sp->dir[FOLDER_RETRY];
}

int
spool_log_dir(const struct spool *sp)
{
	return sp->dir[FOLDER_LOG];
}

int
spool_ask_dir(const struct spool *sp)
{
	return sp->dir[FOLDER_ASK];
}

int
spool_keys_dir(const struct spool *sp)
{
	return sp->dir[FOLDER_KEYS];
}

const char *
spool_path(const struct spool *sp)
{
	return sp->path;
}

static enum rc
check_mark(const struct spool *sp, struct err *e)
{
	if (!count_is_broken(sp->counts))
		return RC_OK;
	return err_set(e, RC_LATER,
	    "a folder could not be synced: nothing is accepted until the file system has been "
	    "mounted anew or an operator clears the mark");
}

void
spool_gauge(struct spool *sp, struct spool_gauge *out)
{
	struct statvfs fs;
	int64_t failed;

	*out = (struct spool_gauge){.broken = count_is_broken(sp->counts),
	    .shared = count_is_shared(sp->counts, sp->dir[FOLDER_ROOT]),
	    .waiting = count_get(sp->counts, COUNT_WAITING),
	    .rejected = count_get(sp->counts, COUNT_IN_REJECTED),
	    .limits = sp->opt};
	if ((failed = atomic_load(&sp->write_failed)) != 0)
		out->failing = clk_mono() - failed < SPOOL_FAILING;
	if (fstatvfs(sp->dir[FOLDER_ROOT], &fs) != 0)
		return;
	out->looked = true;
	out->free = (uint64_t)fs.f_bavail * fs.f_frsize;
	out->readonly = (fs.f_flag & ST_RDONLY) != 0;
	out->few_inodes = fs.f_files != 0;
	out->inodes = fs.f_favail;
}

enum rc
spool_room(struct spool *sp, enum spool_box to, uint64_t bytes, enum count *lack, struct err *e)
{
	const bool bad = to == SPOOL_REJECTED;
	const uint64_t limit = bad ? sp->opt.rejected_limit : sp->opt.queue_limit;
	struct spool_gauge g;
	enum rc rc;

	spool_gauge(sp, &g);
	*lack = COUNT_LACK_SYNC;
	if ((rc = check_mark(sp, e)) != RC_OK)
		return rc;
	*lack = bad ? COUNT_LACK_REJECTED : COUNT_LACK_QUEUE;
	if ((bad ? g.rejected : g.waiting) >= limit)
		return err_set(e, RC_FULL, "%s holds %" PRIu64 " events, the limit",
		    bad ? "rejected" : "the queue", limit);
	*lack = COUNT_LACK_WRITE;
	if (!g.looked)
		return err_set(e, RC_LATER, "the disk does not say what is free on it");
	if (g.readonly)
		return err_set(e, RC_FULL, "the file system is mounted read-only");
	*lack = COUNT_LACK_DISK;
	if (g.free < sp->opt.min_free || g.free - sp->opt.min_free < bytes + SPOOL_OVERHEAD)
		return err_set(e, RC_FULL, "less than min_free is free on the disk");
	*lack = COUNT_LACK_INODES;
	if (g.few_inodes && g.inodes <= sp->opt.min_inodes)
		return err_set(e, RC_FULL, "fewer than min_inodes are free on the disk");
	*lack = COUNT_END;
	return RC_OK;
}

enum rc
spool_sync_box(struct spool *sp, enum spool_box box, struct err *e)
{
	enum rc rc = io_sync_dir(sp->dir[boxes[box].folder], e);

	if (rc == RC_OK)
		return RC_OK;
	count_mark_broken(sp->counts);
	err_prefix(e, "%s", boxes[box].name);
	return RC_LATER;
}

enum rc
spool_find(struct spool *sp, const char *name, enum spool_box *box, struct err *e)
{
	char file[SPOOL_FILE];

	for (*box = SPOOL_NEW; *box <= SPOOL_DONE; (*box)++) {
		spool_box_file(*box, name, file);
		if (io_exists(sp->dir[boxes[*box].folder], file))
			return RC_OK;
	}
	*box = SPOOL_NEW;
	return err_set(e, RC_GONE, "%.150s is in no folder", name);
}

/*
 * Sync a folder for an answer.  The mark is looked at again after the sync: one
 * error of the disk may be told to one process only, and what the others then
 * call synced is what was lost.
 */
static enum rc
sync_to_answer(struct spool *sp, enum spool_box box, struct err *e)
{
	enum rc rc = spool_sync_box(sp, box, e);

	return rc == RC_OK ? check_mark(sp, e) : rc;
}

/*
 * RC_EXISTS only when the name is as durable as our own commit would have
 * made it: its folder was synced after the name was seen there, and it is there still.  What
 * goes to rejected is a duplicate only of what is there.
 */
static enum rc
confirm_duplicate(
    struct spool *sp, enum spool_box to, const char *name, enum spool_box *box, struct err *e)
{
	for (int i = 0; i < CHASE; i++) {
		char file[SPOOL_FILE];
		enum rc rc;

		*box = to;
		if (to == SPOOL_NEW && (rc = spool_find(sp, name, box, e)) != RC_OK)
			return rc;
		if ((rc = sync_to_answer(sp, *box, e)) != RC_OK)
			return rc;
		spool_box_file(*box, name, file);
		if (io_exists(sp->dir[boxes[*box].folder], file))
			return err_set(e, RC_EXISTS, "already in %s", boxes[*box].name);
	}
	return err_set(e, RC_LATER, "the event is being moved");
}

enum rc
spool_write_tmp(
    int tmp, const char *file, const struct buf *head, const struct rec *r, struct err *e)
{
	enum rc rc;
	int fd;

	if ((rc = io_create(tmp, file, 0640, &fd, e)) != RC_OK)
		return rc == RC_EXISTS ? RC_LATER : rc;
	if ((rc = io_write_all(fd, head->p, head->n, e)) == RC_OK &&
	    (rc = io_write_all(fd, r->body, r->body_len, e)) == RC_OK)
		rc = io_sync_close(&fd, e);
	io_close(&fd);
	if (rc != RC_OK)
		(void)io_unlink(tmp, file, NULL);
	return rc;
}

static enum rc
commit(struct spool *sp, enum spool_box to, const struct buf *head, const struct rec *r,
    enum spool_box *found, struct err *e)
{
	int tmp = sp->dir[to == SPOOL_REJECTED ? FOLDER_REJECTED_TMP : FOLDER_TMP];
	char file[SPOOL_FILE + 24], hex[17];
	unsigned char random[8];
	enum rc rc;

	clk_random(random, sizeof(random));
	str_hex(hex, random, sizeof(random));
	(void)snprintf(file, sizeof(file), "%.*s.%s", NAME_SIZE - 1, r->name, hex);
	if ((rc = spool_write_tmp(tmp, file, head, r, e)) != RC_OK)
		return rc;
	rc = io_move(tmp, file, sp->dir[boxes[to].folder], r->name, e);
	if (rc != RC_OK) {
		(void)io_unlink(tmp, file, NULL);
		if (rc == RC_EXISTS)
			return confirm_duplicate(sp, to, r->name, found, e);
		return rc == RC_GONE ? RC_LATER : rc;
	}
	return sync_to_answer(sp, to, e); /* failed: the mark is set, the name stays */
}

enum rc
spool_put(struct spool *sp, enum spool_box to, struct rec *r, struct err *e)
{
	enum spool_box found;

	return spool_put_or_find(sp, to, r, &found, e);
}

enum rc
spool_put_or_find(
    struct spool *sp, enum spool_box to, struct rec *r, enum spool_box *found, struct err *e)
{
	struct buf head = BUF_INIT(REC_HEAD_MAX);
	struct name parts;
	enum rc rc;

	if (!name_parse(r->name, &parts))
		return err_set(e, RC_BAD, "not the name of an event");
	if ((rc = check_mark(sp, e)) != RC_OK)
		return rc;
	if (to == SPOOL_NEW && (rc = confirm_duplicate(sp, to, r->name, found, e)) != RC_GONE)
		return rc;
	if ((rc = rec_write(&head, r, e)) == RC_OK) {
		rc = commit(sp, to, &head, r, found, e);
		atomic_store(&sp->write_failed,
		    rc == RC_OK || rc == RC_EXISTS ? 0 : (long long)clk_mono());
	}
	if (rc == RC_OK)
		count_add(sp->counts, to == SPOOL_NEW ? COUNT_WAITING : COUNT_IN_REJECTED, 1);
	buf_free(&head);
	return rc == RC_GONE ? RC_LATER : rc;
}
