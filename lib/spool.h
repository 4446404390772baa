/*
 * SPDX-License-Identifier: ISC
 *
 * spool - the queue on disk: one event is one file, one folder is one state.
 *
 * RC_OK from spool_put() means the event survives a power cut.  The argument
 * why is docs/spool.md.  Nothing here knows what an event says or where it goes.
 *
 * The receiver calls spool_put and spool_room; everything that moves or
 * removes belongs to the owner of the spool (daemon and operator's tool).
 * One struct spool may be used by several threads for spool_put and spool_room.  The daemon
 * takes and locks in one thread, and may move what it has locked in others; what has aged in
 * done and rejected it may lock and remove in another.  Only the daemon
 * removes a name (spool_lock_daemon); everybody else renames, and never onto another name.
 */
#ifndef ARKEN_SPOOL_H
#define ARKEN_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"
#include "clk.h"
#include "count.h"
#include "err.h"
#include "name.h"
#include "rec.h"

/* In the order of an event's life: a name in two of them belongs to the later. */
enum spool_box { SPOOL_NEW, SPOOL_CUR, SPOOL_HELD, SPOOL_FAILED, SPOOL_DONE, SPOOL_REJECTED };
#define SPOOL_BOXES 6

/* What an event takes on the disk besides its body: header, rest of a block, name. */
#define SPOOL_OVERHEAD 8192

#define SPOOL_FAILING CLK_MINUTE /* so long a failed write counts, if none is tried since */

#define SPOOL_STALE CLK_HOUR /* a file in tmp older than this has lost its writer */

struct spool;

struct spool_opt {
	const char *path;
	gid_t group;          /* spool_make: the group of every folder */
	uint64_t min_free;    /* bytes that stay free: below, spool_put says RC_FULL */
	uint64_t min_inodes;  /* the same for inodes */
	uint64_t queue_limit; /* events in new and cur at most */
	uint64_t rejected_limit;
	const char *allow_fs; /* names of file systems allowed besides the usual, or NULL */
};

/* An event that is locked by us: "in work". */
struct spool_item {
	char name[NAME_SIZE];
	enum spool_box box;
	int fd; /* read-only, flock()ed; -1: no item */
};

#define SPOOL_NO_ITEM ((struct spool_item){.fd = -1})

/* What a walk tells about one name; ctime is when it came into the box. */
struct spool_entry {
	char name[NAME_SIZE];
	char file[NAME_SIZE + 72]; /* as it stands in the folder */
	bool foreign;              /* in the box under other flags than ours */
	bool is_name;              /* false: not the name of an event, left alone */
};

/*
 * Make what is missing of a spool, with owner, group and modes as docs/spool.md says, and the
 * counter file.  Only the daemon's user does this.  RC_CONFIG: something is there
 * that must not be (owner, mode, link, file system).
 */
enum rc spool_make(const struct spool_opt *opt, struct err *e) MUST_CHECK;

/*
 * Open a spool that spool_make made.  Folders are checked: type, owner (all the same), mode,
 * file system.  RC_CONFIG says which one and what was expected.
 */
enum rc spool_open(const struct spool_opt *opt, struct spool **sp, struct err *e) MUST_CHECK;
void spool_close(struct spool **sp);

struct counts *spool_counts(struct spool *sp); /* borrowed */
int spool_dir(const struct spool *sp);         /* the spool's own folder; borrowed */
int spool_retry_dir(const struct spool *sp);
int spool_log_dir(const struct spool *sp);
int spool_ask_dir(const struct spool *sp);
int spool_keys_dir(const struct spool *sp);
const char *spool_path(const struct spool *sp);

/* What decides whether events are taken, and how much of it there is. */
struct spool_gauge {
	bool broken;      /* the mark stands */
	bool shared;      /* the counter file is the one that the others have */
	bool failing;     /* the last write of this process failed, within SPOOL_FAILING */
	bool looked;      /* the five below are known */
	bool readonly;    /* the file system took itself out of use, or somebody did */
	bool few_inodes;  /* the file system has a fixed number of them */
	uint64_t free;    /* bytes */
	uint64_t inodes;  /* free */
	uint64_t waiting; /* events in new and cur */
	uint64_t rejected;
	struct spool_opt limits; /* without path and allow_fs */
};

void spool_gauge(struct spool *sp, struct spool_gauge *out);

/*
 * Is there room for one more event of so many bytes (to: SPOOL_NEW or SPOOL_REJECTED), so that
 * min_free and min_inodes are free after it?  RC_FULL: no, RC_LATER: the mark stands; then
 * *lack is the counter of what is lacking, which is the caller's to add to.
 */
enum rc spool_room(struct spool *sp, enum spool_box to, uint64_t bytes, enum count *lack,
    struct err *e) MUST_CHECK;

/*
 * Commit one record, to SPOOL_NEW or SPOOL_REJECTED, under r->name.  RC_OK: it survives a power
 * cut.  RC_EXISTS: an event of that name is there already, in any box, and as durable.  Any
 * other: 503.
 */
enum rc spool_put(struct spool *sp, enum spool_box to, struct rec *r, struct err *e) MUST_CHECK;

/* The same, and after RC_EXISTS *found is the box in which it was seen last. */
enum rc spool_put_or_find(struct spool *sp, enum spool_box to, struct rec *r,
    enum spool_box *found, struct err *e) MUST_CHECK;

/* Be the daemon of this spool, until spool_close.  RC_LATER: another is, and the text names its
 * pid. */
enum rc spool_lock_daemon(struct spool *sp, struct err *e) MUST_CHECK;

bool spool_is_daemon(const struct spool *sp) MUST_CHECK;

/*
 * After a start, before anything else: sync every folder, resolve names in two boxes, put
 * foreign flags back, sweep tmp.  Needs the daemon's lock.
 */
enum rc spool_recover(struct spool *sp, int64_t now, struct err *e) MUST_CHECK;

/*
 * Move an event from new to cur.  RC_EXISTS: a repeat of one that is in a later box; it was
 * removed.  RC_GONE: not in new.  Work on it begins after spool_sync(sp, SPOOL_CUR).
 */
enum rc spool_take(struct spool *sp, const char *name, struct err *e) MUST_CHECK;
enum rc spool_sync(struct spool *sp, enum spool_box box, struct err *e) MUST_CHECK;

/* Lock an event.  RC_LATER: somebody has it; RC_GONE: it is not there (any more). */
enum rc spool_lock(struct spool *sp, enum spool_box box, const char *name,
    struct spool_item *it, struct err *e) MUST_CHECK;
void spool_unlock(struct spool_item *it);

/* Open an event to look at it, without its lock: for reading only, ended by spool_unlock. */
enum rc spool_peek(struct spool *sp, enum spool_box box, const char *name,
    struct spool_item *it, struct err *e) MUST_CHECK;

/* Read a locked event into b (b->max decides how much) and verify it; r points into b. */
enum rc spool_read(
    const struct spool_item *it, struct buf *b, struct rec *r, struct err *e) MUST_CHECK;

/* Only its header (the body is not read): r->body is NULL. */
enum rc spool_read_head(
    const struct spool_item *it, struct buf *b, struct rec *r, struct err *e) MUST_CHECK;

/*
 * Move a locked event to another box, durably; the lock goes with it.  To
 * SPOOL_NEW (a requeue): RC_EXISTS means it is queued already, and nothing was changed.  To a
 * later box in which the name is already: RC_EXISTS, and ours is removed if we are the daemon
 * (spool_lock_daemon); anybody else changes nothing.
 */
enum rc spool_move(
    struct spool *sp, struct spool_item *it, enum spool_box to, struct err *e) MUST_CHECK;

/*
 * Put r, of the same name, in the place of a locked event in SPOOL_DONE, durably: at no moment
 * is the name not there.  What was there before is lost, and it is the caller's last use of it.
 */
enum rc spool_erase(
    struct spool *sp, const struct spool_item *it, struct rec *r, struct err *e) MUST_CHECK;

/* Remove a locked event for good (retention). */
enum rc spool_remove(struct spool *sp, struct spool_item *it, struct err *e) MUST_CHECK;

/* Which box has the name?  RC_GONE: none.  Looks in the order of life, so a moving event is
 * found. */
enum rc spool_find(
    struct spool *sp, const char *name, enum spool_box *box, struct err *e) MUST_CHECK;

/*
 * Call fn for each file of a box in no particular order, until it returns false.
 */
enum rc spool_walk(struct spool *sp, enum spool_box box,
    bool (*fn)(const struct spool_entry *, void *), void *arg, struct err *e) MUST_CHECK;

/* When the file came into its box (ctime), in milliseconds, and its size. */
enum rc spool_stat(struct spool *sp, enum spool_box box, const char *name, int64_t *since,
    uint64_t *size, struct err *e) MUST_CHECK;

/* Put our flags back on a file that has others. */
enum rc spool_reflag(struct spool *sp, enum spool_box box, const struct spool_entry *en,
    struct err *e) MUST_CHECK;

/*
 * Remove files in tmp, and hidden ones in retry and keys, that are older than SPOOL_STALE: what
 * writers that died left.  *n is how many.
 */
enum rc spool_sweep(struct spool *sp, int64_t now, unsigned *n, struct err *e) MUST_CHECK;

/* Call fn for each folder of a spool, "." first, with the mode it has to have. */
void spool_each_folder(void (*fn)(const char *name, mode_t mode, void *), void *arg);

/* "new", "cur", "held", "failed", "done", "rejected". */
const char *spool_box_name(enum spool_box box);
bool spool_box_parse(const char *text, enum spool_box *box) MUST_CHECK;

#endif
