/*
 * SPDX-License-Identifier: ISC
 *
 * cgi - plain CGI; see cgi.h.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "cgi.h"
#include "request.h"

static ssize_t
cgi_read(struct exchange *x, void *p, size_t n)
{
	struct cgi *c = (struct cgi *)x;
	ssize_t got;

	if (c->bounded && n > c->left)
		n = (size_t)c->left;
	if (n == 0)
		return 0;
	do
		got = read(STDIN_FILENO, p, n);
	while (got < 0 && errno == EINTR);
	if (got > 0 && c->bounded)
		c->left -= (uint64_t)got;
	return got;
}

static bool
cgi_write(struct exchange *x, const void *p, size_t n)
{
	const char *at = p;

	(void)x;
	while (n > 0) {
		ssize_t done = write(STDOUT_FILENO, at, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		at += done;
		n -= (size_t)done;
	}
	return true;
}

bool
cgi_is_started(void)
{
	return getenv("GATEWAY_INTERFACE") != NULL || getenv("REQUEST_METHOD") != NULL;
}

/*
 * A program is to read no more than CONTENT_LENGTH (RFC 3875 section 4.2), and no body without
 * one; but Apache gives a chunked body without it and ends the input, so then it is read
 * to the end.
 */
struct exchange *
cgi_open(struct cgi *c)
{
	struct request rq;

	*c = (struct cgi){.x = {.env = environ, .read = cgi_read, .write = cgi_write}};
	request_read(c->x.env, &rq);
	c->bounded = rq.has_length;
	c->left = rq.length;
	return &c->x;
}
