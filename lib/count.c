/*
 * SPDX-License-Identifier: ISC
 *
 * count - the shared counter file; see count.h.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clk.h"
#include "count.h"
#include "io.h"
#include "mapped.h"

#define COUNT_FILE "counters"
#define COUNT_MAGIC UINT64_C(0x31304e5554434b41) /* "AKCTUN01" in this machine's byte order */
#define COUNT_CELLS 510                          /* room to grow without a longer file */
#define COUNT_FIRST 126                          /* in the shortest file there is */
#define ANY_BOOT 1 /* a mark whose boot is not known: it stands until it is cleared */

struct cells {
	uint64_t magic;
	_Atomic uint64_t broken; /* the boot and device that lost a folder sync, 0: none */
	_Atomic uint64_t cell[COUNT_CELLS];
};

struct counts {
	struct mapped *page;
	struct cells *map; /* its content */
	size_t n;          /* cells in it; a file on a full disk may have had no room to grow */
	dev_t dev;         /* of the file */
	ino_t ino;
	uint64_t boot;           /* this boot and device, or ANY_BOOT; never 0 */
	atomic_bool marked;      /* while the page was private: still to be told */
	atomic_llong next_again; /* clk_mono: to look then whether it can be shared again */
};

#define FILE_SIZE(k) (offsetof(struct cells, cell) + (k) * sizeof(uint64_t))

_Static_assert(COUNT_END <= COUNT_CELLS, "more counters than cells");
_Static_assert(sizeof(struct cells) == MAPPED_SIZE, "the file is one page");

/* FNV-1a, 64 bit: only to tell boots and devices apart. */
static uint64_t
mix(uint64_t h, const void *p, size_t n)
{
	const unsigned char *at = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ at[i]) * UINT64_C(0x100000001b3);
	return h;
}

/*
 * One value for this boot and device.  The mount's own number is no part of it:
 * processes in mount name spaces of their own (any hardened service) see
 * other numbers for the same file system, and a mark has to stop them all.
 */
static uint64_t
this_boot(int dir)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	struct buf boot = BUF_INIT(64);
	struct stat st;
	int fd = -1;

	if (io_open(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &fd, NULL) == RC_OK &&
	    io_read_all(fd, &boot, NULL) == RC_OK && boot.n > 0 && fstat(dir, &st) == 0)
		h = mix(mix(h, boot.p, boot.n), &st.st_dev, sizeof(st.st_dev));
	else
		h = ANY_BOOT;
	io_close(&fd);
	buf_free(&boot);
	return h != 0 ? h : ANY_BOOT;
}

/* A mark of another boot says nothing any more, not even to those who cannot tell. */
static enum rc
drop_old_mark(int dir, struct err *e)
{
	struct counts *c;
	uint64_t mark;
	enum rc rc;

	if ((rc = count_open(dir, &c, e)) != RC_OK)
		return rc;
	mark = atomic_load(&c->map->broken);
	if (mark != 0 && mark != ANY_BOOT && c->boot != ANY_BOOT && mark != c->boot)
		(void)atomic_compare_exchange_strong(&c->map->broken, &mark, 0);
	count_close(&c);
	return RC_OK;
}

enum rc
count_make(int dir, gid_t group, struct err *e)
{
	struct cells fresh = {.magic = COUNT_MAGIC};
	struct stat st;
	enum rc rc;
	int fd;

	if (fstatat(dir, COUNT_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return drop_old_mark(dir, e);
	if (errno != ENOENT)
		return err_sys(e, "fstatat", COUNT_FILE);
	if ((rc = io_replace(dir, COUNT_FILE, 0660, &fresh, sizeof(fresh), e)) != RC_OK)
		return rc;
	if ((rc = io_open(dir, COUNT_FILE, &fd, e)) != RC_OK)
		return rc;
	if (fchown(fd, (uid_t)-1, group) != 0)
		rc = err_sys(e, "fchown", COUNT_FILE);
	io_close(&fd);
	return rc;
}

/*
 * A shorter file becomes as long as ours, with room on the disk for all of it: a hole
 * written to on a full disk would end the process.  Others may do the same at this moment.
 */
static enum rc
grow_file(int fd, struct stat *st, struct err *e)
{
	if (fstat(fd, st) != 0)
		return err_sys(e, "fstat", COUNT_FILE);
	if (!S_ISREG(st->st_mode) || st->st_size < (off_t)FILE_SIZE(COUNT_FIRST))
		return err_set(e, RC_CONFIG, "counters is not a counter file");
	if (st->st_size < (off_t)sizeof(struct cells) &&
	    posix_fallocate(fd, 0, sizeof(struct cells)) == 0)
		st->st_size = sizeof(struct cells);
	return RC_OK;
}

static enum rc
map_file(int fd, int dir, struct counts **c, struct err *e)
{
	struct counts *n;
	struct stat st;
	size_t size;
	enum rc rc;

	if ((rc = grow_file(fd, &st, e)) != RC_OK)
		return rc;
	if ((n = calloc(1, sizeof(*n))) == NULL)
		return err_set(e, RC_LATER, "no memory");
	if ((rc = mapped_open(fd, &n->page, e)) != RC_OK) {
		free(n);
		return rc;
	}
	size = (size_t)st.st_size < MAPPED_SIZE ? (size_t)st.st_size : MAPPED_SIZE;
	n->map = mapped_at(n->page);
	n->n = (size - FILE_SIZE(0)) / sizeof(uint64_t);
	n->dev = st.st_dev;
	n->ino = st.st_ino;
	n->boot = this_boot(dir);
	*c = n;
	if (n->map->magic == COUNT_MAGIC)
		return RC_OK;
	count_close(c);
	return err_set(e, RC_CONFIG, "counters is of another version or machine");
}

enum rc
count_open(int dir, struct counts **c, struct err *e)
{
	enum rc rc;
	int fd;

	*c = NULL;
	fd = openat(dir, COUNT_FILE, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT
			   ? err_set(e, RC_CONFIG, "counters is missing: start spoold once")
			   : err_sys(e, "openat", COUNT_FILE);
	rc = map_file(fd, dir, c, e);
	io_close(&fd);
	return rc;
}

void
count_close(struct counts **c)
{
	if (*c == NULL)
		return;
	mapped_close(&(*c)->page);
	free(*c);
	*c = NULL;
}

bool
count_is_shared(const struct counts *c, int dir)
{
	struct stat st;

	return !mapped_is_private(c->page) &&
	       fstatat(dir, COUNT_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == c->dev &&
	       st.st_ino == c->ino;
}

void
count_add(struct counts *c, enum count what, uint64_t n)
{
	if (what < c->n)
		atomic_fetch_add_explicit(&c->map->cell[what], n, memory_order_relaxed);
}

void
count_sub(struct counts *c, enum count what, uint64_t n)
{
	uint64_t old;

	if (what >= c->n)
		return;
	old = atomic_load_explicit(&c->map->cell[what], memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&c->map->cell[what], &old,
	    old > n ? old - n : 0, memory_order_relaxed, memory_order_relaxed))
		;
}

void
count_set(struct counts *c, enum count what, uint64_t n)
{
	if (what < c->n)
		atomic_store_explicit(&c->map->cell[what], n, memory_order_relaxed);
}

uint64_t
count_get(const struct counts *c, enum count what)
{
	if (what >= c->n)
		return 0;
	return atomic_load_explicit(&c->map->cell[what], memory_order_relaxed);
}

void
count_time(struct counts *c, int64_t micros)
{
	/* The bounds of COUNT_TIME_1 to COUNT_TIME_12; t_count compares them. */
	static const int64_t bounds[] = {1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
	    500000, 1000000, 2500000, 5000000};
	unsigned i = 0;

	if (micros < 0)
		micros = 0;
	while (i < sizeof(bounds) / sizeof(bounds[0]) && micros > bounds[i])
		i++;
	count_add(c, COUNT_TIME_1 + i, 1);
	count_add(c, COUNT_TIME_SUM, (uint64_t)micros);
}

static const struct count_row table[] = {
#define X(id, kind, name, label, value, help) {COUNT_KIND_##kind, name, label, value, help},
    COUNT_LIST(X)
#undef X
};

const struct count_row *
count_row(enum count what)
{
	return &table[what];
}

void
count_mark_broken(struct counts *c)
{
	atomic_store(&c->map->broken, c->boot);
	if (mapped_is_private(c->page)) /* it stands here only: told when it can be */
		atomic_store(&c->marked, true);
}

/*
 * The disk has taken the page away: nobody sees our mark, and we see nobody's, so nothing may
 * be accepted.  Once a second it is tried to have it back.
 */
static bool
share_again(struct counts *c)
{
	int64_t now = clk_mono();

	if (now < atomic_load(&c->next_again))
		return false;
	atomic_store(&c->next_again, now + CLK_SECOND);
	if (!mapped_again(c->page))
		return false;
	if (atomic_exchange(&c->marked, false))
		count_mark_broken(c);
	return !mapped_is_private(c->page);
}

bool
count_is_broken(struct counts *c)
{
	uint64_t mark;

	if (mapped_is_private(c->page) && !share_again(c))
		return true;
	mark = atomic_load(&c->map->broken);
	return mark != 0 && (mark == c->boot || mark == ANY_BOOT || c->boot == ANY_BOOT);
}

void
count_clear_broken(struct counts *c)
{
	atomic_store(&c->map->broken, 0);
}
