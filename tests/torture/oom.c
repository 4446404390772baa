/*
 * SPDX-License-Identifier: ISC
 *
 * oom - preloaded into a program: its allocations fail when the tester says so.
 *
 * $ARKEN_OOM names a file of three 64-bit numbers that program and tester both
 * map: how many allocations there were, which of them is the first to fail (0:
 * none), and which the last.  So every allocation of one request can be failed
 * in turn without starting the program anew.  Knows nothing of what it is
 * loaded into.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define OOM_ENV "ARKEN_OOM"

struct control {
	_Atomic uint64_t count;
	_Atomic uint64_t first;
	_Atomic uint64_t last;
};

/* glibc's own, under the names it exports them by. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

static struct control *control;

__attribute__((constructor)) static void
oom_start(void)
{
	const char *path = getenv(OOM_ENV);
	void *map;
	int fd;

	if (path == NULL || (fd = open(path, O_RDWR | O_CLOEXEC)) < 0)
		return;
	map = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (map != MAP_FAILED)
		control = map;
}

static bool
oom_now(void)
{
	uint64_t n, first;

	if (control == NULL)
		return false;
	n = atomic_fetch_add(&control->count, 1) + 1;
	first = atomic_load(&control->first);
	if (first == 0 || n < first || n > atomic_load(&control->last))
		return false;
	errno = ENOMEM;
	return true;
}

void *
malloc(size_t n)
{
	return oom_now() ? NULL : __libc_malloc(n);
}

void *
calloc(size_t count, size_t n)
{
	return oom_now() ? NULL : __libc_calloc(count, n);
}

void *
realloc(void *p, size_t n)
{
	return oom_now() ? NULL : __libc_realloc(p, n);
}

void *
aligned_alloc(size_t align, size_t n)
{
	return oom_now() ? NULL : __libc_memalign(align, n);
}
