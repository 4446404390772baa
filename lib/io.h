/*
 * SPDX-License-Identifier: ISC
 *
 * io - file operations that say what failed.
 *
 * Every path is a name below an open folder.  Symbolic links are never
 * followed.  No failed sync is ever tried again.
 */
#ifndef ARKEN_IO_H
#define ARKEN_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"
#include "err.h"

/* Close *fd if it is open and set it to -1; the result is of no interest. */
void io_close(int *fd);

/* An open folder (O_PATH is not used: it can be synced).  at may be AT_FDCWD. */
enum rc io_open_dir(int at, const char *name, int *fd, struct err *e) MUST_CHECK;

/* A new file, mode set by fchmod.  RC_EXISTS: the name is taken. */
enum rc io_create(int dir, const char *name, mode_t mode, int *fd, struct err *e) MUST_CHECK;

/* A regular file for reading, close-on-exec, never through a link, never blocking. */
enum rc io_open(int dir, const char *name, int *fd, struct err *e) MUST_CHECK;

/* All n bytes or a failure. */
enum rc io_write_all(int fd, const void *p, size_t n, struct err *e) MUST_CHECK;

/* All that is left in fd; RC_FULL if that is more than b->max. */
enum rc io_read_all(int fd, struct buf *b, struct err *e) MUST_CHECK;

/* A whole file of at most b->max bytes, appended to b. */
enum rc io_read_file(int dir, const char *name, struct buf *b, struct err *e) MUST_CHECK;

/* fdatasync, then a checked close; *fd is -1 afterwards, whatever happened. */
enum rc io_sync_close(int *fd, struct err *e) MUST_CHECK;

/* fsync a folder: the names in it are on stable storage when this returns RC_OK. */
enum rc io_sync_dir(int dir, struct err *e) MUST_CHECK;

/* Rename; RC_EXISTS if the new name is taken (RENAME_NOREPLACE), RC_GONE if the old one is not
 * there. */
enum rc io_move(int from, const char *old, int to, const char *new, struct err *e) MUST_CHECK;

/* Remove a name; one that is not there is RC_GONE. */
enum rc io_unlink(int dir, const char *name, struct err *e);

/* Bytes that a user without privileges may still write to fd's file system. */
enum rc io_room(int fd, uint64_t *bytes, struct err *e) MUST_CHECK;

/* Is there such a name (of any type)? */
bool io_exists(int dir, const char *name) MUST_CHECK;

/*
 * Replace the content of dir/name, all or nothing: a temporary file, synced, renamed over it,
 * the folder synced.  On failure the old content stays.
 */
enum rc io_replace(
    int dir, const char *name, mode_t mode, const void *p, size_t n, struct err *e) MUST_CHECK;

/* As io_replace, for what may be lost: nothing is synced. */
enum rc io_replace_lazy(
    int dir, const char *name, mode_t mode, const void *p, size_t n, struct err *e) MUST_CHECK;

/* A folder, made if it is not there, and opened; an existing one keeps its mode. */
enum rc io_make_dir(int at, const char *name, mode_t mode, int *fd, struct err *e) MUST_CHECK;

/* flock(LOCK_EX | LOCK_NB); RC_LATER: somebody else has it. */
enum rc io_lock(int fd, struct err *e) MUST_CHECK;

#endif
