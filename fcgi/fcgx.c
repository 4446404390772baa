/*
 * SPDX-License-Identifier: ISC
 *
 * fcgx - FastCGI connections over libfcgi; see fcgx.h.
 *
 * What libfcgi 2.4 does that one would not guess, and is dealt with here:
 * a body that is left unread spoils the next request on a kept connection;
 * FCGX_GetStr waits until all it was asked for is there, so one byte is asked
 * for and the rest taken from its buffer; FCGX_Accept_r accepts a connection
 * of its own when one breaks, so it is given no socket to do so; before that
 * it finishes the last request and closes its connection unless that is
 * marked as kept.
 */
#include "config.h"

#include <fcgiapp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "fcgx.h"

struct fcgx {
	struct exchange x; /* first: what is handed out leads back to f */
	FCGX_Request rq;
};

enum rc
fcgx_init(struct err *e)
{
	int failed = FCGX_Init();

	return failed == 0 ? RC_OK : err_set(e, RC_LATER, "FCGX_Init failed: %d", failed);
}

static ssize_t
fcgx_read(struct exchange *x, void *p, size_t n)
{
	FCGX_Stream *in = ((struct fcgx *)x)->rq.in;
	unsigned char *out = p;
	size_t ready;
	int c;

	if (n == 0)
		return 0;
	if ((c = FCGX_GetChar(in)) == EOF)
		return FCGX_GetError(in) == 0 ? 0 : -1;
	out[0] = (unsigned char)c;
	ready = (size_t)(in->stop - in->rdNext);
	if (ready > n - 1)
		ready = n - 1;
	if (ready > 0)
		ready = (size_t)FCGX_GetStr((char *)out + 1, (int)ready, in);
	return (ssize_t)(1 + ready);
}

static bool
fcgx_write(struct exchange *x, const void *p, size_t n)
{
	FCGX_Stream *out = ((struct fcgx *)x)->rq.out;

	return n <= INT_MAX && FCGX_PutStr(p, (int)n, out) == (int)n;
}

enum rc
fcgx_new(struct fcgx **f, struct err *e)
{
	struct fcgx *n = calloc(1, sizeof(*n));

	*f = NULL;
	if (n == NULL)
		return err_sys(e, "calloc", NULL);
	n->x.read = fcgx_read;
	n->x.write = fcgx_write;
	FCGX_InitRequest(&n->rq, -1, FCGI_FAIL_ACCEPT_ON_INTR);
	*f = n;
	return RC_OK;
}

void
fcgx_free(struct fcgx **f)
{
	free(*f);
	*f = NULL;
}

static void
fcgx_close(struct fcgx *f)
{
	FCGX_Free(&f->rq, f->rq.ipcFd >= 0);
	f->rq.ipcFd = -1;
}

struct exchange *
fcgx_next(struct fcgx *f, int fd)
{
	f->rq.ipcFd = fd;
	f->rq.keepConnection = 1; /* else FCGX_Accept_r closes it before it reads */
	if (FCGX_Accept_r(&f->rq) != 0) {
		fcgx_close(f);
		return NULL;
	}
	f->x.env = f->rq.envp;
	return &f->x;
}

int
fcgx_finish(struct fcgx *f, bool keep)
{
	int fd;

	f->x.env = NULL;
	FCGX_Finish_r(&f->rq);
	if (!keep)
		fcgx_close(f);
	fd = f->rq.ipcFd;
	f->rq.ipcFd = -1;
	return fd;
}
