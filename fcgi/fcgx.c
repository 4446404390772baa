/*
 * SPDX-License-Identifier: ISC
 *
 * fcgx - FastCGI connections over libfcgi; see fcgx.h.
 *
 * What libfcgi 2.4 does that one would not guess, and is dealt with here: it
 * aborts when a length is more than there is memory for, and writes beyond a
 * buffer on its stack when a management record asks for many values, so it is
 * given only the parameters, checked, through a socket pair; FCGX_Accept_r
 * accepts a connection of its own when one breaks, so it is given no socket to
 * do so; when it closes a connection it waits up to two seconds for a silent
 * peer, in a select() that aborts above descriptor 1023, so it closes none.
 */
#include "config.h"

#include <errno.h>
#include <fcgiapp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "fcgx.h"
#include "io.h"

#define FCGX_BYTES 32768        /* read at a time */
#define PAIR_BUFFER (256 << 10) /* a whole head has to fit */
#define DRAIN_READS 64          /* at a time: others wait for the thread */

struct fcgx {
	struct exchange x; /* first: what is handed out leads back to f */
	FCGX_Request rq;
	int pair[2]; /* a head goes in at [1], libfcgi reads it from [0] */
	int fd;      /* of the connection; borrowed, as in */
	struct record *in;
	size_t ahead;    /* bytes of in->ahead that were read */
	size_t at, have; /* bytes[at..have) came and were not looked at */
	unsigned char bytes[FCGX_BYTES];
};

enum rc
fcgx_init(struct err *e)
{
	int failed = FCGX_Init();

	return failed == 0 ? RC_OK : err_set(e, RC_LATER, "FCGX_Init failed: %d", failed);
}

/* 1 to n bytes of the body out of what has come; 0: none of it is there. */
static size_t
next_piece(struct fcgx *f, void *p, size_t n)
{
	const unsigned char *piece;
	size_t size = f->have - f->at, got = 0;

	if (size > n)
		size = n;
	f->at += record_take(f->in, f->bytes + f->at, size, &piece, &got);
	if (got > 0)
		memcpy(p, piece, got);
	return got;
}

static ssize_t
fcgx_read(struct exchange *x, void *p, size_t n)
{
	struct fcgx *f = (struct fcgx *)x;
	size_t ready = f->in->ahead.n - f->ahead, got;
	ssize_t k;

	if (n > 0 && ready > 0) {
		got = ready < n ? ready : n;
		memcpy(p, f->in->ahead.p + f->ahead, got);
		f->ahead += got;
		return (ssize_t)got;
	}
	while (n > 0 && f->in->phase == RECORD_BODY) {
		if (f->at < f->have) {
			if ((got = next_piece(f, p, n)) > 0)
				return (ssize_t)got;
			continue;
		}
		if ((k = recv(f->fd, f->bytes, sizeof(f->bytes), 0)) > 0) {
			f->at = 0;
			f->have = (size_t)k;
		} else if (k == 0 || errno != EINTR) {
			f->in->phase = RECORD_BROKEN;
		}
	}
	return n == 0 || f->in->phase == RECORD_END ? 0 : -1;
}

static bool
fcgx_write(struct exchange *x, const void *p, size_t n)
{
	FCGX_Stream *out = ((struct fcgx *)x)->rq.out;

	return n <= INT_MAX && FCGX_PutStr(p, (int)n, out) == (int)n;
}

static enum rc
pair_open(struct fcgx *f, struct err *e)
{
	const int size = PAIR_BUFFER;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->pair) != 0)
		return err_sys(e, "socketpair", NULL);
	(void)setsockopt(f->pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return RC_OK;
}

static void
pair_close(struct fcgx *f)
{
	io_close(&f->pair[0]);
	io_close(&f->pair[1]);
}

enum rc
fcgx_new(struct fcgx **f, struct err *e)
{
	struct fcgx *n = calloc(1, sizeof(*n));
	enum rc rc;

	*f = NULL;
	if (n == NULL)
		return err_sys(e, "calloc", NULL);
	n->x.read = fcgx_read;
	n->x.write = fcgx_write;
	n->fd = n->pair[0] = n->pair[1] = -1;
	FCGX_InitRequest(&n->rq, -1, FCGI_FAIL_ACCEPT_ON_INTR);
	if ((rc = pair_open(n, e)) != RC_OK)
		fcgx_free(&n);
	*f = n;
	return rc;
}

void
fcgx_free(struct fcgx **f)
{
	if (*f != NULL)
		pair_close(*f);
	free(*f);
	*f = NULL;
}

/* Give the record what has come, the body as far as it is kept ahead.  false: no memory. */
static bool
feed(struct fcgx *f)
{
	struct record *r = f->in;

	while (f->at < f->have && r->phase <= RECORD_BODY && r->ahead.n < RECORD_AHEAD) {
		const unsigned char *piece;
		size_t size = f->have - f->at, n;

		if (r->phase == RECORD_BODY && size > RECORD_AHEAD - r->ahead.n)
			size = RECORD_AHEAD - r->ahead.n;
		f->at += record_take(r, f->bytes + f->at, size, &piece, &n);
		buf_add(&r->ahead, piece, n);
		if (r->ahead.broken)
			return false;
	}
	return true;
}

enum fcgx_state
fcgx_again(struct fcgx *f, bool hurry)
{
	struct record *r = f->in;

	f->ahead = 0;
	for (;;) {
		ssize_t k;

		if (!feed(f) || r->phase > RECORD_END)
			return FCGX_OVER;
		if (r->phase == RECORD_END || r->ahead.n == RECORD_AHEAD)
			return FCGX_READY;
		k = recv(f->fd, f->bytes, sizeof(f->bytes), MSG_DONTWAIT);
		f->at = 0;
		f->have = k > 0 ? (size_t)k : 0;
		if (k > 0 || (k < 0 && errno == EINTR))
			continue;
		if (r->phase == RECORD_BODY && (k == 0 || hurry))
			return FCGX_READY; /* its read will find the end, or wait */
		if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return hurry && record_is_begun(r) ? FCGX_OVER : FCGX_MORE;
		return FCGX_OVER;
	}
}

enum fcgx_state
fcgx_take(struct fcgx *f, int fd, struct record *r, bool hurry)
{
	f->fd = fd;
	f->in = r;
	f->at = f->have = 0; /* what another connection left is not of this one */
	return fcgx_again(f, hurry);
}

static void
put_header(unsigned char *p, enum record_type type, unsigned id, size_t n)
{
	const unsigned char h[RECORD_HEADER] = {1, (unsigned char)type,
	    (unsigned char)(id >> 8 & 0xff), (unsigned char)(id & 0xff),
	    (unsigned char)(n >> 8 & 0xff), (unsigned char)(n & 0xff), 0, 0};

	memcpy(p, h, sizeof(h));
}

/* The head of the request as libfcgi is to read it: each stream one record. */
static bool
send_head(struct fcgx *f)
{
	const struct record *r = f->in;
	unsigned char begin[2 * RECORD_HEADER], params[RECORD_HEADER], end[RECORD_HEADER];
	struct iovec part[] = {{begin, sizeof(begin)}, {params, sizeof(params)},
	    {r->params.p, r->params.n}, {end, sizeof(end)}};
	struct msghdr all = {.msg_iov = part, .msg_iovlen = 4};
	size_t size = sizeof(begin) + sizeof(end);

	put_header(begin, RECORD_BEGIN_REQUEST, r->id, RECORD_HEADER);
	memcpy(begin + RECORD_HEADER, r->begin.p, RECORD_HEADER);
	put_header(params, RECORD_PARAM_STREAM, r->id, r->params.n);
	put_header(end, RECORD_PARAM_STREAM, r->id, 0);
	if (r->params.n == 0) /* an empty record would be the end already */
		part[1].iov_len = 0;
	size += part[1].iov_len + r->params.n;
	return sendmsg(f->pair[1], &all, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

struct exchange *
fcgx_begin(struct fcgx *f)
{
	if (f->pair[0] < 0 && pair_open(f, NULL) != RC_OK)
		return NULL;
	f->rq.ipcFd = f->pair[0];
	f->rq.keepConnection = 1; /* else FCGX_Accept_r closes it before it reads */
	if (!send_head(f) || FCGX_Accept_r(&f->rq) != 0) {
		f->pair[0] = f->rq.ipcFd; /* -1: libfcgi has closed it */
		f->rq.ipcFd = -1;
		pair_close(f); /* whatever is left in it */
		return NULL;
	}
	f->rq.ipcFd = f->fd;
	f->x.env = f->rq.envp;
	return &f->x;
}

bool
fcgx_finish(struct fcgx *f)
{
	bool sent;

	f->x.env = NULL;
	sent = FCGX_FClose(f->rq.err) == 0;
	sent = FCGX_FClose(f->rq.out) == 0 && sent;
	f->rq.ipcFd = -1; /* so that it is not libfcgi that closes it */
	FCGX_Finish_r(&f->rq);
	return sent && f->in->keep && f->in->phase == RECORD_END && !f->in->unfit;
}

bool
fcgx_has_more(const struct fcgx *f)
{
	return f->at < f->have;
}

bool
fcgx_drain(struct fcgx *f, int fd, size_t *left)
{
	f->at = f->have = 0;
	for (int i = 0; i < DRAIN_READS; i++) {
		ssize_t k = recv(fd, f->bytes, sizeof(f->bytes), MSG_DONTWAIT);

		if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (k == 0 || (k < 0 && errno != EINTR) || (size_t)(k > 0 ? k : 0) > *left)
			return false;
		*left -= (size_t)(k > 0 ? k : 0);
	}
	return true;
}
