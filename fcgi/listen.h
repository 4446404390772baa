/*
 * SPDX-License-Identifier: ISC
 *
 * listen - the socket that web servers connect to.
 *
 * Whoever reaches it can claim any peer address and hold threads,
 * so it is a Unix socket with mode 0660, or TCP on a loopback address.
 */
#ifndef ARKEN_LISTEN_H
#define ARKEN_LISTEN_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "err.h"

struct listener {
	int fd;           /* listening, non-blocking; -1: none */
	const char *path; /* of a socket made here (borrowed), NULL: it was inherited */
	dev_t dev;        /* the file that was made */
	ino_t ino;
};

#define LISTENER_NONE ((struct listener){.fd = -1})

/* Is fd a listening socket? */
bool listen_is_socket(int fd) MUST_CHECK;

/* Use a socket somebody else listens on.  RC_CONFIG: reachable from other hosts. */
enum rc listen_inherit(int fd, struct listener *out, struct err *e) MUST_CHECK;

/*
 * Make a Unix socket, mode 0660, of this group if it is not NULL.  One whose program died is
 * replaced; RC_LATER: another program listens there; RC_CONFIG: something else is there.
 * To be called before threads: it sets the umask for a moment.
 */
enum rc listen_make(
    const char *path, const char *group, struct listener *out, struct err *e) MUST_CHECK;

/* Close it, and remove the file if it is still the one that was made. */
void listen_close(struct listener *l);

#endif
