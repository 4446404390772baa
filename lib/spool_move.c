/*
 * SPDX-License-Identifier: ISC
 *
 * spool_move - what only the owner of a spool does: take, lock, move, remove.
 *
 * Every move is one rename that never replaces, then a sync of the folder
 * moved to.  A name is removed only while the same name is known to be durable in a later box,
 * only by the daemon, and by one of its threads at a time: two who remove could each take the
 * other's copy for the one that stays.
 */
#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "spool_priv.h"
#include "str.h"

#define ASKERS 1000  /* times, a millisecond apart: whoever asks holds the lock for a moment */
#define LOCK_TEXT 24 /* a process id, blanks and a newline */

static int
box_dir(const struct spool *sp, enum spool_box box)
{
	return sp->dir[spool_box_folder(box)];
}

/*
 * Write who holds the lock, for the one who is refused.  Over the old text, and
 * without a result: on a full disk the daemon is the one who makes room.
 */
static void
sign_lock(int fd)
{
	char pid[LOCK_TEXT + 1];
	int n = snprintf(pid, sizeof(pid), "%-*ld\n", LOCK_TEXT - 1, (long)getpid());

	if (pwrite(fd, pid, (size_t)n, 0) == n && ftruncate(fd, n) != 0)
		return; /* what is left of an older text stands in a line of its own */
}

/* "1234", or "?" when the one who holds the lock could not sign. */
static void
read_lock(int fd, char pid[LOCK_TEXT])
{
	ssize_t n = pread(fd, pid, LOCK_TEXT - 1, 0);

	pid[n > 0 ? n : 0] = '\0';
	pid[strspn(pid, "0123456789")] = '\0';
	if (pid[0] == '\0')
		memcpy(pid, "?", 2);
}

/*
 * Whoever only asks whether the spool is served (spoolctl status) has a shared lock for a
 * moment: then it is tried again, a bounded number of times.
 */
static enum rc
lock_for_good(int fd, struct err *e)
{
	enum rc rc;

	for (unsigned i = 0; (rc = io_lock(fd, e)) == RC_LATER && i < ASKERS; i++) {
		if (flock(fd, LOCK_SH | LOCK_NB) != 0)
			break;
		(void)flock(fd, LOCK_UN);
		(void)poll(NULL, 0, 1); /* the asker has its turn */
	}
	return rc;
}

enum rc
spool_lock_daemon(struct spool *sp, struct err *e)
{
	char pid[LOCK_TEXT];
	enum rc rc;
	int fd;

	fd = openat(sp->dir[FOLDER_ROOT], "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "openat", "lock");
	if ((rc = lock_for_good(fd, e)) == RC_OK) {
		sign_lock(fd);
		sp->lock = fd;
		return RC_OK;
	}
	if (rc == RC_LATER) {
		read_lock(fd, pid);
		rc = err_set(e, RC_LATER,
		    "spool %.150s is served by spoold with pid %s already", sp->path, pid);
	}
	io_close(&fd);
	return rc;
}

bool
spool_is_daemon(const struct spool *sp)
{
	return sp->lock >= 0;
}

enum rc
spool_sync(struct spool *sp, enum spool_box box, struct err *e)
{
	enum rc rc;

	if (!sp->dirty[box])
		return RC_OK;
	if ((rc = spool_sync_box(sp, box, e)) == RC_OK)
		sp->dirty[box] = false;
	return rc;
}

/* Remove a name from a box because a later box has it, once that one is durable. */
static enum rc
remove_repeat(
    struct spool *sp, enum spool_box from, enum spool_box kept, const char *name, struct err *e)
{
	char file[SPOOL_FILE];
	enum rc rc;

	if ((rc = spool_sync_box(sp, kept, e)) != RC_OK)
		return rc;
	spool_box_file(kept, name, file);
	(void)pthread_mutex_lock(&sp->removing);
	if (io_exists(box_dir(sp, kept), file)) {
		spool_box_file(from, name, file);
		rc = io_unlink(box_dir(sp, from), file, e);
		if (rc == RC_OK || rc == RC_GONE)
			rc = err_set(e, RC_EXISTS, "already in %s", spool_box_name(kept));
	} else { /* an operator moved it meanwhile: ours may be the only one */
		rc = err_set(
		    e, RC_LATER, "%.150s left %s meanwhile", name, spool_box_name(kept));
	}
	(void)pthread_mutex_unlock(&sp->removing);
	return rc;
}

/* Is the name in a box after this one?  false: no. */
static bool
in_later(struct spool *sp, enum spool_box box, const char *name, enum spool_box *later)
{
	char file[SPOOL_FILE];

	for (*later = box + 1; *later <= SPOOL_DONE; (*later)++) {
		spool_box_file(*later, name, file);
		if (io_exists(box_dir(sp, *later), file))
			return true;
	}
	return false;
}

enum rc
spool_take(struct spool *sp, const char *name, struct err *e)
{
	enum spool_box later;
	char file[SPOOL_FILE];
	enum rc rc;

	spool_box_file(SPOOL_CUR, name, file);
	rc = io_move(box_dir(sp, SPOOL_NEW), name, box_dir(sp, SPOOL_CUR), file, e);
	if (rc == RC_EXISTS)
		return remove_repeat(sp, SPOOL_NEW, SPOOL_CUR, name, e);
	if (rc != RC_OK)
		return rc;
	sp->dirty[SPOOL_CUR] = true;
	if (!in_later(sp, SPOOL_CUR, name, &later))
		return RC_OK;
	rc = remove_repeat(sp, SPOOL_CUR, later, name, e);
	return rc == RC_LATER && !count_is_broken(sp->counts) ? RC_OK : rc;
}

enum rc
spool_lock(struct spool *sp, enum spool_box box, const char *name, struct spool_item *it,
    struct err *e)
{
	struct stat mine, there;
	char file[SPOOL_FILE];
	enum rc rc;

	*it = SPOOL_NO_ITEM;
	spool_box_file(box, name, file);
	if ((rc = io_open(box_dir(sp, box), file, &it->fd, e)) != RC_OK)
		return rc;
	if ((rc = io_lock(it->fd, e)) != RC_OK)
		goto out;
	if (fstat(it->fd, &mine) != 0 ||
	    fstatat(box_dir(sp, box), file, &there, AT_SYMLINK_NOFOLLOW) != 0 ||
	    mine.st_dev != there.st_dev || mine.st_ino != there.st_ino) {
		rc = err_set(e, RC_GONE, "%.150s was moved meanwhile", name);
		goto out;
	}
	if (!str_copy(it->name, sizeof(it->name), name)) {
		rc = err_set(e, RC_BAD, "a name is too long");
		goto out;
	}
	it->box = box;
	return RC_OK;
out:
	io_close(&it->fd);
	return rc;
}

enum rc
spool_peek(struct spool *sp, enum spool_box box, const char *name, struct spool_item *it,
    struct err *e)
{
	char file[SPOOL_FILE];

	*it = SPOOL_NO_ITEM;
	spool_box_file(box, name, file);
	if (!str_copy(it->name, sizeof(it->name), name))
		return err_set(e, RC_BAD, "a name is too long");
	it->box = box;
	return io_open(box_dir(sp, box), file, &it->fd, e);
}

void
spool_unlock(struct spool_item *it)
{
	io_close(&it->fd);
}

/* The reader works on its own offset, so that reading twice is reading the same. */
static enum rc
rewind_item(const struct spool_item *it, struct err *e)
{
	return lseek(it->fd, 0, SEEK_SET) == 0 ? RC_OK : err_sys(e, "lseek", it->name);
}

static enum rc
same_name(const struct spool_item *it, const struct rec *r, struct err *e)
{
	if (str_eq(r->name, it->name))
		return RC_OK;
	return err_set(e, RC_BAD, "the file says it is event %.150s", r->name);
}

enum rc
spool_read(const struct spool_item *it, struct buf *b, struct rec *r, struct err *e)
{
	enum rc rc;

	if ((rc = rewind_item(it, e)) != RC_OK)
		return rc;
	if ((rc = io_read_all(it->fd, b, e)) != RC_OK)
		return rc == RC_FULL ? RC_BAD : rc;
	if ((rc = rec_parse(buf_text(b), b->n, r, e)) != RC_OK)
		return rc;
	return same_name(it, r, e);
}

enum rc
spool_read_head(const struct spool_item *it, struct buf *b, struct rec *r, struct err *e)
{
	ssize_t n;
	enum rc rc;

	if ((rc = rewind_item(it, e)) != RC_OK || (rc = buf_room(b, REC_HEAD_MAX)) != RC_OK)
		return rc;
	if ((n = read(it->fd, b->p, REC_HEAD_MAX)) < 0)
		return err_sys(e, "read", it->name);
	b->n = (size_t)n;
	b->p[n] = '\0';
	if ((rc = rec_head(b->p, b->n, r, e)) != RC_OK)
		return rc;
	return same_name(it, r, e);
}

enum rc
spool_move(struct spool *sp, struct spool_item *it, enum spool_box to, struct err *e)
{
	char from_file[SPOOL_FILE], to_file[SPOOL_FILE];
	enum rc rc;

	spool_box_file(it->box, it->name, from_file);
	spool_box_file(to, it->name, to_file);
	rc = io_move(box_dir(sp, it->box), from_file, box_dir(sp, to), to_file, e);
	if (rc == RC_EXISTS && to == SPOOL_NEW)
		return err_set(e, RC_EXISTS, "%.150s is queued already", it->name);
	if (rc == RC_EXISTS && sp->lock < 0)
		return err_set(e, RC_EXISTS, "already in %s", spool_box_name(to));
	if (rc == RC_EXISTS)
		return remove_repeat(sp, it->box, to, it->name, e);
	if (rc != RC_OK)
		return rc;
	it->box = to;
	return spool_sync_box(sp, to, e);
}

/*
 * The one rename that replaces.  It is no removal: the name stays, and with it all that the
 * name is for, which is to recognise repeats (docs/spool.md, Erasure).
 */
enum rc
spool_erase(struct spool *sp, const struct spool_item *it, struct rec *r, struct err *e)
{
	struct buf head = BUF_INIT(REC_HEAD_MAX);
	char file[SPOOL_FILE], tmp[SPOOL_FILE + 24], hex[17];
	unsigned char random[8];
	enum rc rc;

	if (it->box != SPOOL_DONE || !str_eq(it->name, r->name))
		return err_set(e, RC_BAD, "only what is done can be erased");
	clk_random(random, sizeof(random));
	str_hex(hex, random, sizeof(random));
	(void)snprintf(tmp, sizeof(tmp), "%s.%s", it->name, hex);
	spool_box_file(SPOOL_DONE, it->name, file);
	if ((rc = rec_write(&head, r, e)) == RC_OK)
		rc = spool_write_tmp(sp->dir[FOLDER_DONE_TMP], tmp, &head, r, e);
	buf_free(&head);
	if (rc != RC_OK)
		return rc;
	if (renameat(sp->dir[FOLDER_DONE_TMP], tmp, box_dir(sp, SPOOL_DONE), file) != 0) {
		rc = err_sys(e, "renameat", file);
		(void)io_unlink(sp->dir[FOLDER_DONE_TMP], tmp, NULL);
		return rc;
	}
	return spool_sync_box(sp, SPOOL_DONE, e);
}

enum rc
spool_remove(struct spool *sp, struct spool_item *it, struct err *e)
{
	char file[SPOOL_FILE];

	spool_box_file(it->box, it->name, file);
	return io_unlink(box_dir(sp, it->box), file, e);
}

enum rc
spool_stat(struct spool *sp, enum spool_box box, const char *name, int64_t *since,
    uint64_t *size, struct err *e)
{
	char file[SPOOL_FILE];
	struct stat st;

	spool_box_file(box, name, file);
	if (fstatat(box_dir(sp, box), file, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(e, "fstatat", file);
	*since = (int64_t)st.st_ctim.tv_sec * 1000 + st.st_ctim.tv_nsec / 1000000;
	*size = (uint64_t)st.st_size;
	return RC_OK;
}
