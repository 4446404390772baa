/*
 * SPDX-License-Identifier: ISC
 *
 * spool_walk - looking through the folders, and what a start has to set right.
 */
#include "config.h"

#include <dirent.h>
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

enum rc
spool_walk(struct spool *sp, enum spool_box box, bool (*fn)(const struct spool_entry *, void *),
    void *arg, struct err *e)
{
	struct spool_entry en;
	const struct dirent *de;
	enum rc rc;
	DIR *d;
	int fd;

	if ((rc = io_open_dir(sp->dir[spool_box_folder(box)], ".", &fd, e)) != RC_OK)
		return rc;
	if ((d = fdopendir(fd)) == NULL) {
		rc = err_sys(e, "fdopendir", spool_box_name(box));
		io_close(&fd);
		return rc;
	}
	while ((de = readdir(d)) != NULL) {
		if (de->d_name[0] == '.')
			continue;
		describe(box, de->d_name, &en);
		if (!fn(&en, arg))
			break;
	}
	(void)closedir(d);
	return RC_OK;
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

/* Remove the files of one tmp folder whose writer is gone. */
static enum rc
sweep_folder(int dir, int64_t before, unsigned *n, struct err *e)
{
	const struct dirent *de;
	struct stat st;
	enum rc rc;
	DIR *d;
	int fd;

	if ((rc = io_open_dir(dir, ".", &fd, e)) != RC_OK)
		return rc;
	if ((d = fdopendir(fd)) == NULL) {
		rc = err_sys(e, "fdopendir", "tmp");
		io_close(&fd);
		return rc;
	}
	while ((de = readdir(d)) != NULL) {
		if (str_eq(de->d_name, ".") || str_eq(de->d_name, ".."))
			continue;
		if (fstatat(dir, de->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    S_ISDIR(st.st_mode) || (int64_t)st.st_ctime * 1000 >= before)
			continue;
		if (io_unlink(dir, de->d_name, NULL) == RC_OK)
			(*n)++;
	}
	(void)closedir(d);
	return RC_OK;
}

enum rc
spool_sweep(struct spool *sp, int64_t now, unsigned *n, struct err *e)
{
	enum rc rc;

	*n = 0;
	if ((rc = sweep_folder(sp->dir[FOLDER_TMP], now - SPOOL_STALE, n, e)) != RC_OK)
		return rc;
	return sweep_folder(sp->dir[FOLDER_REJECTED_TMP], now - SPOOL_STALE, n, e);
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
	if (en->foreign && spool_reflag(sp, s->box, en, s->e) == RC_EXISTS)
		log_put(LOG_WARN, "a second file of an event, left alone", "folder",
		    spool_box_name(s->box), "file", en->file, LOG_END);
	for (enum spool_box later = s->box + 1; later <= SPOOL_DONE; later++) {
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
