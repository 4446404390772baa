/*
 * SPDX-License-Identifier: ISC
 *
 * spoolkit - a spool of its own for a test, and looks into it that do not use its code.
 */
#ifndef ARKEN_SPOOLKIT_H
#define ARKEN_SPOOLKIT_H

#include <dirent.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io.h"
#include "spool.h"
#include "str.h"
#include "tmpdir.h"

#define KIT_NAME "acme.0b0f6a2e-5a51-4c0d-9a3e-6f2f5d1c7e10.FileStore.Upload"
#define KIT_BODY "{\"eventId\":\"0b0f6a2e-5a51-4c0d-9a3e-6f2f5d1c7e10\"}"
#define KIT_TIME INT64_C(1772705472345)

struct kit {
	char dir[TMPDIR_SIZE];       /* removed at the end */
	char path[TMPDIR_SIZE + 16]; /* the spool in it */
	struct spool_opt opt;
	struct spool *sp;
	struct err e;
};

/* Where the files of a box lie, and what follows a name there: docs/spool.md. */
static const struct {
	const char *folder, *flags;
} kit_box[SPOOL_BOXES] = {{"new", ""}, {"cur", ":2,"}, {"held/cur", ":2,"},
    {"failed/cur", ":2,F"}, {"done/cur", ":2,S"}, {"rejected/new", ""}};

/* A folder for a spool, and what spool_make needs to make it. */
static inline void
kit_start(struct kit *k)
{
	*k = (struct kit){.sp = NULL};
	tmpdir_make(k->dir);
	(void)snprintf(k->path, sizeof(k->path), "%s/spool", k->dir);
	k->opt = (struct spool_opt){
	    .path = k->path, .group = getegid(), .queue_limit = 100, .rejected_limit = 100};
}

static inline void
kit_open(struct kit *k)
{
	if (spool_make(&k->opt, &k->e) != RC_OK || spool_open(&k->opt, &k->sp, &k->e) != RC_OK)
		fail_msg("%s", k->e.text);
}

static inline void
kit_end(struct kit *k)
{
	spool_close(&k->sp);
	tmpdir_remove(k->dir);
}

/* Close and open again, as another process would have it. */
static inline void
kit_again(struct kit *k)
{
	spool_close(&k->sp);
	if (spool_open(&k->opt, &k->sp, &k->e) != RC_OK)
		fail_msg("%s", k->e.text);
}

static inline struct rec
kit_rec(const char *name, const char *body)
{
	struct rec r = {.received = KIT_TIME, .body = body, .body_len = strlen(body)};

	assert_true(str_copy(r.name, sizeof(r.name), name));
	assert_true(str_copy_n(r.account, sizeof(r.account), name, strcspn(name, ".")));
	assert_true(str_copy(r.auth, sizeof(r.auth), "secret line 1"));
	assert_true(str_copy(r.remote, sizeof(r.remote), "192.0.2.1"));
	assert_true(str_copy(r.subject, sizeof(r.subject), "a subject"));
	return r;
}

static inline enum rc
kit_put(struct kit *k, const char *name)
{
	struct rec r = kit_rec(name, KIT_BODY);

	return spool_put(k->sp, SPOOL_NEW, &r, &k->e);
}

/* "folder/NAME:2,FLAGS" below the spool. */
static inline const char *
kit_file(enum spool_box box, const char *name)
{
	static char file[2][NAME_SIZE + 32];
	static unsigned turn;

	turn ^= 1u;
	(void)snprintf(file[turn], sizeof(file[turn]), "%s/%.199s%s", kit_box[box].folder, name,
	    kit_box[box].flags);
	return file[turn];
}

static inline bool
kit_has(const struct kit *k, enum spool_box box, const char *name)
{
	return faccessat(spool_dir(k->sp), kit_file(box, name), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* In how many boxes is the name? */
static inline unsigned
kit_copies(const struct kit *k, const char *name)
{
	unsigned n = 0;

	for (int box = 0; box < SPOOL_BOXES; box++)
		n += kit_has(k, (enum spool_box)box, name);
	return n;
}

/* Put a whole event into a box, past all rules. */
static inline void
kit_place(struct kit *k, enum spool_box box, const char *name)
{
	struct buf b = BUF_INIT(REC_HEAD_MAX);
	struct rec r = kit_rec(name, KIT_BODY);

	assert_int_equal(rec_write(&b, &r, &k->e), RC_OK);
	buf_str(&b, KIT_BODY);
	tmpdir_write(spool_dir(k->sp), kit_file(box, name), b.p, b.n);
	buf_free(&b);
}

/* How many names are in a folder of the spool, hidden ones too? */
static inline unsigned
kit_names(const struct kit *k, const char *folder)
{
	int fd = openat(spool_dir(k->sp), folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n - 2;
}

/* The file in this box is a whole event with this body. */
static inline void
kit_check(struct kit *k, enum spool_box box, const char *name)
{
	char text[REC_HEAD_MAX];
	struct rec r;
	ssize_t n;

	n = tmpdir_read(spool_dir(k->sp), kit_file(box, name), text, sizeof(text));
	if (n < 0 || rec_parse(text, (size_t)n, &r, &k->e) != RC_OK)
		fail_msg("%s: %s", kit_file(box, name), n < 0 ? "is not there" : k->e.text);
	assert_string_equal(r.name, name);
	assert_int_equal(r.body_len, strlen(KIT_BODY));
	assert_memory_equal(r.body, KIT_BODY, r.body_len);
}

/* Move a file to another name below the spool, past all rules. */
static inline void
kit_rename(const struct kit *k, const char *from, const char *to)
{
	assert_int_equal(renameat(spool_dir(k->sp), from, spool_dir(k->sp), to), 0);
}

#endif
