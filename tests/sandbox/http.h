/*
 * SPDX-License-Identifier: ISC
 *
 * http - servers that can also misbehave.  The only user of libmicrohttpd.
 *
 * A handler gets a whole request and fills in a reply; what goes wrong on the
 * wire is part of the reply.  Handlers run in the server's one thread.
 */
#ifndef SANDBOX_HTTP_H
#define SANDBOX_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "count.h"
#include "util.h"

#define HTTP_BODY_MAX (1024 * 1024)
#define HTTP_HEADER_MAX 12
#define HTTP_VALUE_MAX 2400

struct http_req;
struct http_server;

enum wire {
	WIRE_OK,
	WIRE_CUT,      /* closed after half of the body */
	WIRE_CUT_HEAD, /* closed within the header */
	WIRE_RESET,    /* reset before the answer */
	WIRE_DRIP,     /* drip_bytes every drip_ms */
	WIRE_SHORT,    /* fewer bytes than announced, then closed */
	WIRE_LONG      /* more bytes than announced, then closed */
};

struct http_header {
	char name[48];
	char value[HTTP_VALUE_MAX];
};

/* Bytes of a body from any offset; as many as asked for unless at its end. */
typedef size_t http_read(const void *ctx, uint64_t off, char *p, size_t n);

struct http_reply {
	unsigned status;
	struct buf body; /* the body, unless read is set */
	http_read *read;
	void *ctx; /* freed with the reply */
	uint64_t from, size;
	size_t headers;
	struct http_header *header[HTTP_HEADER_MAX];
	int64_t delay_ms;
	enum wire wire;
	int64_t drip_ms;
	size_t drip_bytes;
	bool wait; /* call the handler again when `until' is met or `due' is reached */
	struct count_wait until;
	int64_t due;
	void (*sent)(void *arg, struct http_reply *r, bool whole); /* arg as for the handler */
	uint64_t tag;                                              /* for sent */
};

typedef void http_handler(void *arg, struct http_req *q, struct http_reply *r);

/* cert and key NULL: plain.  port 0: a free one.  NULL: could not listen. */
struct http_server *http_start(unsigned port, const char *cert, const char *key,
    struct count *count, http_handler *handle, void *arg);
unsigned http_port(const struct http_server *s);
/* count_stop() must have been called before. */
void http_stop(struct http_server **s);
/* The wake function for count_new(). */
void http_wake(void *req);

const char *http_method(const struct http_req *q);
const char *http_uri(const struct http_req *q);   /* as sent */
const char *http_path(const struct http_req *q);  /* as sent, without the query */
const char *http_query(const struct http_req *q); /* as sent, "" when none */
const char *http_field(const struct http_req *q, const char *name); /* NULL: none */
/* Is there a header whose name begins so, in any case? */
bool http_field_begins(struct http_req *q, const char *begin);
const char *http_body(const struct http_req *q, size_t *n);
/* Is this the call after a wait? */
bool http_again(const struct http_req *q);

void http_set(struct http_reply *r, const char *name, const char *value);
void http_json(struct http_reply *r, unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Back to an empty reply. */
void http_reset(struct http_reply *r);

#endif
