/*
 * SPDX-License-Identifier: ISC
 *
 * count - the shared counter file; see count.h.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "count.h"
#include "io.h"

#define COUNT_FILE "counters"
#define COUNT_MAGIC UINT64_C(0x31304e5554434b41) /* "AKCTUN01" in this machine's byte order */
#define COUNT_CELLS 126                          /* room to grow without a new file */
#define ANY_BOOT 1 /* a mark whose boot is not known: it stands until it is cleared */

struct cells {
	uint64_t magic;
	_Atomic uint64_t broken; /* the boot and device that lost a folder sync, 0: none */
	_Atomic uint64_t cell[COUNT_CELLS];
};

struct counts {
	struct cells *map;
	uint64_t boot; /* this boot and device, or ANY_BOOT; never 0 */
};

_Static_assert(COUNT_END <= COUNT_CELLS, "more counters than cells");
_Static_assert(sizeof(struct cells) == 1024, "the file has one size");

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

enum rc
count_open(int dir, struct counts **c, struct err *e)
{
	struct stat st;
	enum rc rc = RC_OK;
	void *map;
	int fd;

	*c = NULL;
	fd = openat(dir, COUNT_FILE, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT
			   ? err_set(e, RC_CONFIG, "counters is missing: start spoold once")
			   : err_sys(e, "openat", COUNT_FILE);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != sizeof(struct cells)) {
		rc = err_set(e, RC_CONFIG, "counters is not a counter file");
		goto out;
	}
	map = mmap(NULL, sizeof(struct cells), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		rc = err_sys(e, "mmap", COUNT_FILE);
		goto out;
	}
	if (((struct cells *)map)->magic != COUNT_MAGIC) {
		rc = err_set(e, RC_CONFIG, "counters is of another version or machine");
	} else if ((*c = calloc(1, sizeof(**c))) == NULL) {
		rc = err_set(e, RC_LATER, "no memory");
	} else {
		(*c)->map = map;
		(*c)->boot = this_boot(dir);
	}
	if (rc != RC_OK)
		(void)munmap(map, sizeof(struct cells));
out:
	io_close(&fd);
	return rc;
}

void
count_close(struct counts **c)
{
	if (*c == NULL)
		return;
	(void)munmap((*c)->map, sizeof(struct cells));
	free(*c);
	*c = NULL;
}

void
count_add(struct counts *c, enum count what, uint64_t n)
{
	atomic_fetch_add_explicit(&c->map->cell[what], n, memory_order_relaxed);
}

void
count_sub(struct counts *c, enum count what, uint64_t n)
{
	uint64_t old = atomic_load_explicit(&c->map->cell[what], memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(&c->map->cell[what], &old,
	    old > n ? old - n : 0, memory_order_relaxed, memory_order_relaxed))
		;
}

void
count_set(struct counts *c, enum count what, uint64_t n)
{
	atomic_store_explicit(&c->map->cell[what], n, memory_order_relaxed);
}

uint64_t
count_get(const struct counts *c, enum count what)
{
	return atomic_load_explicit(&c->map->cell[what], memory_order_relaxed);
}

static const struct {
	const char *name, *help;
} texts[] = {
#define X(id, name, help) {name, help},
    COUNT_LIST(X) COUNT_GAUGES(X)
#undef X
};

const char *
count_name(enum count what)
{
	return texts[what].name;
}

const char *
count_help(enum count what)
{
	return texts[what].help;
}

void
count_mark_broken(struct counts *c)
{
	atomic_store(&c->map->broken, c->boot);
}

bool
count_is_broken(const struct counts *c)
{
	uint64_t mark = atomic_load(&c->map->broken);

	return mark != 0 && (mark == c->boot || mark == ANY_BOOT || c->boot == ANY_BOOT);
}

void
count_clear_broken(struct counts *c)
{
	atomic_store(&c->map->broken, 0);
}
