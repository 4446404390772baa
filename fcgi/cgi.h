/*
 * SPDX-License-Identifier: ISC
 *
 * cgi - the one exchange of a plain CGI process (RFC 3875).
 *
 * Parameters are the environment, the body is standard input, the answer
 * standard output.
 */
#ifndef ARKEN_CGI_H
#define ARKEN_CGI_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "gate.h"

struct cgi {
	struct exchange x; /* first: what is handed out leads back to it */
	bool bounded;      /* left is known: no byte after it is asked for */
	uint64_t left;     /* of the body */
};

/* Was this process started as a CGI program? */
bool cgi_is_started(void) MUST_CHECK;

/* Its exchange; c holds nothing that has to be given back. */
struct exchange *cgi_open(struct cgi *c);

#endif
