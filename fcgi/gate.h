/*
 * SPDX-License-Identifier: ISC
 *
 * gate - one request and its answer, whatever carries them.
 *
 * FastCGI (fcgx.h) and plain CGI (cgi.h) both make a struct exchange; what
 * handles it knows neither.
 */
#ifndef ARKEN_GATE_H
#define ARKEN_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "err.h"

struct exchange {
	char *const
	    *env; /* the parameters, "NAME=value", NULL at the end; valid as long as x */

	/* 1 to n bytes of the body as they come; 0: its end; -1: the peer broke off. */
	ssize_t (*read)(struct exchange *x, void *p, size_t n);

	/* A part of the answer; it may leave later.  false: nobody listens any more. */
	bool (*write)(struct exchange *x, const void *p, size_t n);
};

#endif
