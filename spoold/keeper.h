/*
 * SPDX-License-Identifier: ISC
 *
 * keeper - the processes between the daemon and the programs it has run.
 *
 * Keeper: takes requests from its socket, forks a warden for each, ends with the socket.
 * Warden: starts one program, keeps the end of its output, ends it and all that came of it, and
 * says how it went. Neither needs anything of the daemon but these messages.
 */
#ifndef ARKEN_KEEPER_H
#define ARKEN_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "child.h"

/* Before nargv + nenv texts, each with its NUL; with it come two descriptors: input, result. */
struct keeper_request {
	int64_t timeout;
	uint64_t nargv, nenv;
};

struct keeper_result {
	enum child_fate fate;
	int status, sys;
	size_t output_len;
	char output[CHILD_OUTPUT];
};

/* The keeper's life; to be called in a process of its own. */
void keeper_run(int fd) __attribute__((noreturn));

/* false: errno says why. */
bool keeper_send(int fd, const void *p, size_t n, const int fds[2]) MUST_CHECK;

/* The warden's life (warden.c): a request without its head, in a process of its own. */
void warden_run(const struct keeper_request *rq, char *texts, const int fds[2])
    __attribute__((noreturn));

#endif
