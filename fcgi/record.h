/*
 * SPDX-License-Identifier: ISC
 *
 * record - what may come on a FastCGI connection, read strictly (FastCGI 1.0).
 *
 * Pure: is given bytes as they come, keeps the parameters and the first bytes
 * of the body, within limits.  libfcgi sees nothing that did not pass here: it
 * aborts on length fields that are too large, and overruns a buffer of its own
 * on management records.  Taken are BEGIN_REQUEST (responder), PARAMS, STDIN
 * and ABORT_REQUEST of one request after the other; anything else, which no
 * web server sends to a responder that takes one request at a time, ends the
 * connection.
 */
#ifndef ARKEN_RECORD_H
#define ARKEN_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"

#define RECORD_HEADER 8     /* bytes before the content of each record */
#define RECORD_PARAMS 65535 /* bytes of all parameters together: one record holds them */
#define RECORD_COUNT 1024   /* parameters */
#define RECORD_AHEAD 65536  /* bytes of body that are kept before anybody asks for them */

enum record_type {
	RECORD_BEGIN_REQUEST = 1,
	RECORD_ABORT_REQUEST = 2,
	RECORD_PARAM_STREAM = 4,
	RECORD_STDIN_STREAM = 5,
};

enum record_phase {
	RECORD_HEAD,    /* no request yet, or not all of its parameters */
	RECORD_BODY,    /* the parameters are there, the body is coming */
	RECORD_END,     /* the body has ended; what follows is another request */
	RECORD_ABORTED, /* the web server gave the request up */
	RECORD_BROKEN,  /* not a dialogue that is taken: the connection is to be closed */
};

struct record {
	enum record_phase phase;
	bool begun;  /* BEGIN_REQUEST was there */
	bool keep;   /* the web server keeps the connection */
	bool unfit;  /* too many parameters, or none that can be read: they count as none */
	unsigned id; /* of the request */
	unsigned char header[RECORD_HEADER];
	unsigned have;    /* bytes of header */
	unsigned content; /* bytes that are still to come of this record */
	unsigned padding;
	size_t skipped;    /* bytes of parameters that were not kept */
	struct buf begin;  /* content of BEGIN_REQUEST */
	struct buf params; /* wiped when they are left: they hold credentials */
	struct buf ahead;  /* the first bytes of the body */
};

void record_open(struct record *r);

/* Forget the request and what was kept of it; ready for the next. */
void record_close(struct record *r);

/*
 * Take bytes as they came; returns how many were used.  All are, unless the
 * phase became BODY, END, ABORTED or BROKEN, or, in BODY, content came: that is
 * *piece of *n bytes, in p; n is 0 otherwise.
 */
size_t record_take(struct record *r, const unsigned char *p, size_t size,
    const unsigned char **piece, size_t *n);

/* Has anything of a request come? */
bool record_is_begun(const struct record *r);

/* Bytes that are held. */
size_t record_memory(const struct record *r);

#endif
