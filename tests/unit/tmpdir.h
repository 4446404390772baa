/*
 * SPDX-License-Identifier: ISC
 *
 * tmpdir - a folder of its own for a test, on a disk file system.
 *
 * Below $ARKEN_TEST_DIR, else /var/tmp.  Every helper ends the test at a failure.
 */
#ifndef ARKEN_TMPDIR_H
#define ARKEN_TMPDIR_H

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TMPDIR_SIZE 256
#define TMPDIR_FDS 16 /* descriptors nftw may hold */

static inline void
tmpdir_fail(const char *what, const char *name)
{
	(void)fprintf(stderr, "tmpdir: ");
	(void)fprintf(stderr, "%s ", what);
	perror(name);
	abort();
}

static inline void
tmpdir_make_below(const char *where, char out[TMPDIR_SIZE])
{
	if ((size_t)snprintf(out, TMPDIR_SIZE, "%s/arken-test-XXXXXX", where) >= TMPDIR_SIZE ||
	    mkdtemp(out) == NULL)
		tmpdir_fail("mkdtemp", out);
}

static inline void
tmpdir_make(char out[TMPDIR_SIZE])
{
	const char *where = getenv("ARKEN_TEST_DIR");

	tmpdir_make_below(where != NULL && where[0] != '\0' ? where : "/var/tmp", out);
}

static inline int
tmpdir_remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static inline void
tmpdir_remove(const char *path)
{
	if (nftw(path, tmpdir_remove_one, TMPDIR_FDS, FTW_DEPTH | FTW_PHYS) != 0)
		tmpdir_fail("remove", path);
}

/* The folder, open; the caller closes it. */
static inline int
tmpdir_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		tmpdir_fail("open", path);
	return fd;
}

/* A file with this content, new or replaced. */
static inline void
tmpdir_write(int dir, const char *name, const void *p, size_t n)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	if (fd < 0 || write(fd, p, n) != (ssize_t)n || close(fd) != 0)
		tmpdir_fail("write", name);
}

/* The whole file into out, a NUL after it; returns its length, or -1: not there. */
static inline ssize_t
tmpdir_read(int dir, const char *name, char *out, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n;

	out[0] = '\0';
	if (fd < 0)
		return -1;
	if ((n = read(fd, out, size)) < 0 || (size_t)n == size)
		tmpdir_fail("read", name);
	out[n] = '\0';
	(void)close(fd);
	return n;
}

#endif
