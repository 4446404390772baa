/*
 * SPDX-License-Identifier: ISC
 *
 * mapped - one page of a file, shared with other processes, that outlives trouble with its
 * disk.
 *
 * To touch a mapped page may take room on the disk, or a working one (btrfs when it is full,
 * XFS after it has shut down, a file that was cut short): where it fails the kernel sends
 * SIGBUS, which ends a process.  Here the page becomes a private, empty one instead, and the
 * program asks whether that has happened.
 */
#ifndef ARKEN_MAPPED_H
#define ARKEN_MAPPED_H

#include <stdbool.h>

#include "err.h"

#define MAPPED_SIZE 4096
#define MAPPED_MAX 16 /* at one time in a process */

struct mapped;

/*
 * Map the first page of a file of at least size bytes, for reading and writing; fd stays the
 * caller's.  Sets the handler of SIGBUS for the process.
 */
enum rc mapped_open(int fd, struct mapped **out, struct err *e) MUST_CHECK;
void mapped_close(struct mapped **m);

/* Where it is; the same for as long as it is open. */
void *mapped_at(const struct mapped *m);

/* Is the page no longer that of the file?  What is written to it then reaches nobody. */
bool mapped_is_private(const struct mapped *m) MUST_CHECK;

/* Try to have the file's page again, and to write to it.  true: it is shared. */
bool mapped_again(struct mapped *m) MUST_CHECK;

#endif
