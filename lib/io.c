/*
 * SPDX-License-Identifier: ISC
 *
 * io - file operations that say what failed; see io.h.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "clk.h"
#include "io.h"
#include "str.h"

#define IO_READ 65536 /* bytes asked for at a time */
#define IO_NAME 256   /* a temporary name */

void
io_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

enum rc
io_open_dir(int at, const char *name, int *fd, struct err *e)
{
	*fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *fd >= 0 ? RC_OK : err_sys(e, "openat", name);
}

enum rc
io_create(int dir, const char *name, mode_t mode, int *fd, struct err *e)
{
	enum rc rc;

	*fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (*fd < 0)
		return err_sys(e, "openat", name);
	if (fchmod(*fd, mode) == 0)
		return RC_OK;
	rc = err_sys(e, "fchmod", name);
	io_close(fd);
	(void)unlinkat(dir, name, 0);
	return rc;
}

enum rc
io_open(int dir, const char *name, int *fd, struct err *e)
{
	struct stat st;

	*fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0)
		return err_sys(e, "openat", name);
	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode))
		return RC_OK;
	io_close(fd);
	return err_set(e, RC_CONFIG, "%.200s is not a regular file", name);
}

enum rc
io_write_all(int fd, const void *p, size_t n, struct err *e)
{
	const char *at = p;

	while (n > 0) {
		ssize_t k = write(fd, at, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_sys(e, "write", NULL);
		if (k == 0)
			return err_set(e, RC_LATER, "write() failed: nothing was written");
		at += k;
		n -= (size_t)k;
	}
	return RC_OK;
}

enum rc
io_read_all(int fd, struct buf *b, struct err *e)
{
	for (;;) {
		size_t left = b->max - b->n;
		size_t ask = left < IO_READ ? left + 1 : IO_READ;
		char over[1];
		ssize_t k;

		if (left == 0) {
			k = read(fd, over, 1);
		} else {
			if (buf_room(b, ask > left ? left : ask) != RC_OK)
				return buf_state(b, e);
			k = read(fd, b->p + b->n, ask > left ? left : ask);
		}
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_sys(e, "read", NULL);
		if (k == 0)
			return RC_OK;
		if (left == 0)
			return err_set(e, RC_FULL, "longer than %zu bytes", b->max);
		b->n += (size_t)k;
		b->p[b->n] = '\0';
	}
}

enum rc
io_read_file(int dir, const char *name, struct buf *b, struct err *e)
{
	enum rc rc;
	int fd = -1;

	if ((rc = io_open(dir, name, &fd, e)) != RC_OK)
		return rc;
	if ((rc = io_read_all(fd, b, e)) != RC_OK)
		err_prefix(e, "%.100s", name);
	io_close(&fd);
	return rc;
}

enum rc
io_sync_close(int *fd, struct err *e)
{
	enum rc rc = RC_OK;

	if (fdatasync(*fd) != 0)
		rc = err_sys(e, "fdatasync", NULL);
	if (close(*fd) != 0 && rc == RC_OK)
		rc = err_sys(e, "close", NULL);
	*fd = -1;
	return rc;
}

enum rc
io_sync_dir(int dir, struct err *e)
{
	return fsync(dir) == 0 ? RC_OK : err_sys(e, "fsync", "folder");
}

enum rc
io_move(int from, const char *old, int to, const char *new, struct err *e)
{
	if (renameat2(from, old, to, new, RENAME_NOREPLACE) == 0)
		return RC_OK;
	return err_sys(e, "renameat2", old);
}

enum rc
io_unlink(int dir, const char *name, struct err *e)
{
	return unlinkat(dir, name, 0) == 0 ? RC_OK : err_sys(e, "unlinkat", name);
}

enum rc
io_room(int fd, uint64_t *bytes, struct err *e)
{
	struct statvfs fs;

	*bytes = 0;
	if (fstatvfs(fd, &fs) != 0)
		return err_sys(e, "fstatvfs", NULL);
	*bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	return RC_OK;
}

bool
io_exists(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ".NAME.<random>": hidden, and never the name of an event. */
static enum rc
temporary(const char *name, char out[IO_NAME], struct err *e)
{
	unsigned char r[8];
	char hex[17];

	clk_random(r, sizeof(r));
	str_hex(hex, r, sizeof(r));
	if ((size_t)snprintf(out, IO_NAME, ".%s.%s", name, hex) < IO_NAME)
		return RC_OK;
	return err_set(e, RC_BAD, "%.100s: name too long", name);
}

static enum rc
replace(
    int dir, const char *name, mode_t mode, const void *p, size_t n, bool sync, struct err *e)
{
	char tmp[IO_NAME];
	enum rc rc;
	int fd = -1;

	if ((rc = temporary(name, tmp, e)) != RC_OK ||
	    (rc = io_create(dir, tmp, mode, &fd, e)) != RC_OK)
		return rc;
	if ((rc = io_write_all(fd, p, n, e)) != RC_OK ||
	    (sync && (rc = io_sync_close(&fd, e)) != RC_OK))
		goto out;
	io_close(&fd);
	if (renameat(dir, tmp, dir, name) != 0) {
		rc = err_sys(e, "renameat", name);
		goto out;
	}
	return sync ? io_sync_dir(dir, e) : RC_OK;
out:
	io_close(&fd);
	(void)unlinkat(dir, tmp, 0);
	return rc;
}

enum rc
io_replace(int dir, const char *name, mode_t mode, const void *p, size_t n, struct err *e)
{
	return replace(dir, name, mode, p, n, true, e);
}

enum rc
io_replace_lazy(int dir, const char *name, mode_t mode, const void *p, size_t n, struct err *e)
{
	return replace(dir, name, mode, p, n, false, e);
}

enum rc
io_make_dir(int at, const char *name, mode_t mode, int *fd, struct err *e)
{
	enum rc rc;

	*fd = -1;
	if (mkdirat(at, name, 0700) != 0) {
		if (errno != EEXIST)
			return err_sys(e, "mkdirat", name);
		return io_open_dir(at, name, fd, e);
	}
	if ((rc = io_open_dir(at, name, fd, e)) != RC_OK)
		return rc;
	if (fchmod(*fd, mode) == 0)
		return RC_OK;
	rc = err_sys(e, "fchmod", name);
	io_close(fd);
	return rc;
}

enum rc
io_lock(int fd, struct err *e)
{
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno == EINTR)
			continue;
		if (errno == EWOULDBLOCK)
			return err_set(e, RC_LATER, "locked by another process");
		return err_sys(e, "flock", NULL);
	}
	return RC_OK;
}
