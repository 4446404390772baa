/*
 * SPDX-License-Identifier: ISC
 *
 * request - what a web server says about one request (RFC 3875 section 4.1).
 *
 * Pure: reads a list of "NAME=value" texts, as FastCGI and CGI both have
 * them.  Decides nothing; no body is read here.
 */
#ifndef ARKEN_REQUEST_H
#define ARKEN_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define REQUEST_PARAMS 65536 /* bytes of all parameters together */
#define REQUEST_COUNT 1024   /* parameters */
#define REQUEST_PATH 1024    /* a path with its NUL; a longer one leads nowhere */
#define REQUEST_NAME 128     /* the parameter of a header, with its NUL */

struct request {
	char *const *env;        /* borrowed: all parameters, for credentials */
	const char *method;      /* borrowed, as the three below; never NULL */
	const char *type;        /* the content type as sent */
	const char *remote;      /* the peer's address as the web server gives it */
	char path[REQUEST_PATH]; /* decoded, without the query; "" none that could be one */
	bool has_length;
	uint64_t length;       /* UINT64_MAX also for what does not fit in 64 bits */
	const char *malformed; /* why the parameters contradict themselves, NULL: they do not */
};

/* Read the parameters of one request; out borrows from env. */
void request_read(char *const *env, struct request *out);

/*
 * The value of a parameter, NULL if it is not there.  *count, unless NULL, is how often it is
 * there: nginx passes a repeated header as two parameters of one name.
 */
const char *request_param(char *const *env, const char *name, unsigned *count);

/* "X-Arken-Secret" to "HTTP_X_ARKEN_SECRET" (RFC 3875 section 4.1.18). */
bool request_header_name(const char *header, char out[REQUEST_NAME]) MUST_CHECK;

/*
 * A media type of JSON: application/json or a structured suffix +json (RFC 6839 section 3.1),
 * whatever its parameters; case does not matter.
 */
bool request_is_json(const char *type) MUST_CHECK;

/*
 * The path of a URI reference of a request line, decoded, without the query.  false: not in
 * origin form, a bad escape, a NUL, too long.
 */
bool request_uri_path(const char *uri, char out[REQUEST_PATH]) MUST_CHECK;

#endif
