/*
 * SPDX-License-Identifier: ISC
 *
 * spool_walk - looking through the folders, and what a start has to set right.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "io.h"
#include "log.h"
#include "spool_priv.h"
#include "str.h"

/* Take "NAME" or "NAME:2,FLAGS" apart. */
static void
describe(enum spool_box box, const char *file, struct spool_entry *en)
{
	size_t n = strcspn(file, ":");
	char ours[SPOOL_FILE];
	struct name parts;

	memset(en, 0, sizeof(*en));
	if (!str_copy(en->file, sizeof(en->file), file) ||
	    !str_copy_n(en->name, sizeof(en->name), file, n) || !name_parse(en->name, &parts)) {
		en->name[0] = '\0';
		return;
	}
	en->is_name = true;
	spool_box_file(box, en->name, ours);
	en->foreign = !str_eq(ours, file);
}

/*
 * Every name in a folder but "." and "..", until fn returns false.  A folder
 * that cannot be read to its end is an error, not an empty one.
 */
static enum rc
each_name(int dir, const char *what, bool (*fn)(const char *, void *), void *arg, struct err *e)
{
	const struct dirent *de;
	enum rc rc;
	DIR *d;
	int fd;

	if ((rc = io_open_dir(dir, ".", &fd, e)) != RC_OK)
		return rc;
	if ((d = fdopendir(fd)) == NULL) {
		rc = err_sys(e, "fdopendir", what);
		io_close(&fd);
		return rc;
	}
	for (;;) {
		errno = 0;
		if ((de = readdir(d)) == NULL) {
			rc = errno == 0 ? RC_OK : err_sys(e, "readdir", what);
			break;
		}
		if (!str_eq(de->d_name, ".") && !str_eq(de->d_name, "..") &&
		    !fn(de->d_name, arg))
			break;
	}
	(void)closedir(d);
	return rc;
}

struct walk {
	enum spool_box box;
	bool (*fn)(const struct spool_entry *, void *);
	void *arg;
};

static bool
walk_one(const char *file, void *arg)
{
	const struct walk *w = arg;
	struct spool_entry en;

	if (file[0] == '.')
		return true;
	describe(w->box, file, &en);
	return w->fn(&en, w->arg);
}

enum rc
spool_walk(struct spool *sp, enum spool_box box, bool (*fn)(const struct spool_entry *, void *),
    void *arg, struct err *e)
{
	struct walk w = {.box = box, .fn = fn, .arg = arg};

	return each_name(sp->dir[spool_box_folder(box)], spool_box_name(box), walk_one, &w, e);
}

enum rc
spool_reflag(struct spool *sp, enum spool_box box, const struct spool_entry *en, struct err *e)
{
	int dir = sp->dir[spool_box_folder(box)];
	char ours[SPOOL_FILE];
	enum rc rc;

	spool_box_file(box, en->name, ours);
	if ((rc = io_move(dir, en->file, dir, ours, e)) != RC_OK)
		return rc;
	return spool_sync_box(sp, box, e);
}

struct sweep {
	int dir;
	int64_t before;
	bool hidden; /* only names that begin with a dot */
	unsigned *n;
};

/* Remove a file whose writer is gone. */
static bool
sweep_one(const char *file, void *arg)
{
	const struct sweep *s = arg;
	struct stat st;

	if ((s->hidden && file[0] != '.') ||
	    fstatat(s->dir, file, &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISDIR(st.st_mode) ||
	    (int64_t)st.st_ctime * CLK_SECOND >= s->before)
		return true;
	if (io_unlink(s->dir, file, NULL) == RC_OK)
		(*s->n)++;
	return true;
}

enum rc
spool_sweep(struct spool *sp, int64_t now, unsigned *n, struct err *e)
{
	static const struct {
		enum spool_folder folder;
		bool hidden;
		const char *name;
	} t[] = {{FOLDER_TMP, false, "tmp"}, {FOLDER_REJECTED_TMP, false, "rejected/tmp"},
	    {FOLDER_DONE_TMP, false, "done/tmp"}, {FOLDER_RETRY, true, "retry"},
	    {FOLDER_KEYS, true, "keys"}};

	*n = 0;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct sweep s = {.dir = sp->dir[t[i].folder],
		    .before = now - SPOOL_STALE,
		    .hidden = t[i].hidden,
		    .n = n};
		enum rc rc = each_name(s.dir, t[i].name, sweep_one, &s, e);

		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

struct settle {
	struct spool *sp;
	enum spool_box box;
	struct err *e;
	enum rc rc;
};

/* One name after a start: under our flags, and in no later box besides. */
static bool
settle_one(const struct spool_entry *en, void *arg)
{
	struct settle *s = arg;
	struct spool *sp = s->sp;
	char file[SPOOL_FILE];

	if (!en->is_name) {
		log_put(LOG_WARN, "not the name of an event, left alone", "folder",
		    spool_box_name(s->box), "file", en->file, LOG_END);
		return true;
	}
	if (en->foreign)
		s->rc = spool_reflag(sp, s->box, en, s->e);
	if (s->rc == RC_GONE) /* an operator moved it: it is looked at where it is now */
		s->rc = RC_OK;
	if (s->rc == RC_EXISTS) {
		s->rc = RC_OK;
		log_put(LOG_WARN, "a second file of an event, left alone", "folder",
		    spool_box_name(s->box), "file", en->file, LOG_END);
	}
	for (enum spool_box later = s->box + 1; s->rc == RC_OK && later <= SPOOL_DONE;
	     later++) {
		spool_box_file(later, en->name, file);
		if (!io_exists(sp->dir[spool_box_folder(later)], file))
			continue;
		spool_box_file(s->box, en->name, file);
		s->rc = io_unlink(sp->dir[spool_box_folder(s->box)], file, s->e);
		if (s->rc == RC_GONE)
			s->rc = RC_OK;
		log_put(LOG_NOTE, "a name in two folders, the later stays", "event", en->name,
		    "removed", spool_box_name(s->box), "stays", spool_box_name(later), LOG_END);
		break;
	}
	return s->rc == RC_OK;
}

enum rc
spool_recover(struct spool *sp, int64_t now, struct err *e)
{
	unsigned swept;
	enum rc rc;

	for (enum spool_box box = SPOOL_NEW; box < SPOOL_BOXES; box++)
		if ((rc = spool_sync_box(sp, box, e)) != RC_OK)
			return rc;
	/* Not new: the receiver may add to it, and a repeat there is found when it is taken. */
	for (enum spool_box box = SPOOL_CUR; box <= SPOOL_DONE; box++) {
		struct settle s = {.sp = sp, .box = box, .e = e};

		if ((rc = spool_walk(sp, box, settle_one, &s, e)) != RC_OK ||
		    (rc = s.rc) != RC_OK)
			return rc;
	}
	return spool_sweep(sp, now, &swept, e);
}
