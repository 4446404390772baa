/*
 * SPDX-License-Identifier: ISC
 *
 * child - programs run beside the daemon: the daemon's side; see child.h.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "child.h"
#include "io.h"
#include "keeper.h"
#include "log.h"

#define REAP_MOST 32 /* ends taken in at a time */

struct child {
	struct children *all;
	struct child *next;
	int fd; /* to its warden */
	void (*done)(const struct child_end *, void *);
	void *arg;
};

struct children {
	int keeper; /* socket to the keeper */
	pid_t pid;
	int epoll;
	struct child *first;
	unsigned running;
};

static enum rc
keeper_new(struct children *c, struct err *e)
{
	int s[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s) != 0)
		return err_sys(e, "socketpair", NULL);
	c->pid = fork();
	if (c->pid == 0)
		keeper_run(s[1]);
	(void)close(s[1]);
	c->keeper = s[0];
	if (c->pid > 0)
		return RC_OK;
	io_close(&c->keeper);
	return err_sys(e, "fork", NULL);
}

/* It ends when its socket does. */
static void
keeper_end(struct children *c)
{
	io_close(&c->keeper);
	while (c->pid > 0 && waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
	c->pid = 0;
}

enum rc
children_new(struct children **out, struct err *e)
{
	struct children *c = calloc(1, sizeof(*c));
	enum rc rc;

	*out = NULL;
	if (c == NULL)
		return err_set(e, RC_LATER, "no memory");
	c->keeper = -1;
	if ((c->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
		rc = err_sys(e, "epoll_create1", NULL);
	else
		rc = keeper_new(c, e);
	if (rc != RC_OK)
		children_free(&c);
	*out = c;
	return rc;
}

static void
forget(struct child *k)
{
	struct child **at = &k->all->first;

	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	k->all->running--;
	io_close(&k->fd); /* leaves the epoll set by that; a warden that lives ends all */
	free(k);
}

void
children_free(struct children **out)
{
	struct children *c = *out;

	if (c == NULL)
		return;
	while (c->first != NULL)
		forget(c->first);
	keeper_end(c);
	io_close(&c->epoll);
	free(c);
	*out = NULL;
}

/* The input as a file without a name. */
static enum rc
input_file(const char *p, size_t n, int *fd, struct err *e)
{
	enum rc rc;

	if ((*fd = memfd_create("input", MFD_CLOEXEC | MFD_ALLOW_SEALING)) < 0)
		return err_sys(e, "memfd_create", NULL);
	if ((rc = io_write_all(*fd, p, n, e)) == RC_OK &&
	    (fcntl(*fd, F_ADD_SEALS,
		 F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0 ||
		lseek(*fd, 0, SEEK_SET) != 0))
		rc = err_sys(e, "fcntl", "input");
	if (rc != RC_OK)
		io_close(fd);
	return rc;
}

/* Command and environment in the form of keeper.h. */
static enum rc
pack(const struct child_spec *spec, struct buf *b, struct err *e)
{
	struct keeper_request head = {.timeout = spec->timeout, .nargv = 1, .nenv = spec->nenv};

	for (const char *p = spec->command; *p != '\0'; p++)
		head.nargv += *p == ' ';
	if (head.nargv > CHILD_WORDS || head.nenv > CHILD_WORDS)
		return err_set(e, RC_BAD, "a command of more than %d words", CHILD_WORDS);
	buf_add(b, &head, sizeof(head));
	for (const char *p = spec->command; *p != '\0'; p++)
		buf_add(b, *p == ' ' ? "" : p, 1);
	buf_add(b, "", 1);
	for (size_t i = 0; i < spec->nenv; i++)
		buf_add(b, spec->env[i], strlen(spec->env[i]) + 1);
	return buf_state(b, NULL) == RC_OK
		   ? RC_OK
		   : err_set(e, RC_BAD, "a command of more than %d bytes", CHILD_REQUEST);
}

/* Hand it to the keeper; one that was killed is replaced once. */
static enum rc
post(struct children *c, const struct buf *b, int input, int result, struct err *e)
{
	const int fds[2] = {input, result};
	enum rc rc;

	if (keeper_send(c->keeper, b->p, b->n, fds))
		return RC_OK;
	if (errno != EPIPE && errno != ECONNRESET && errno != ENOTCONN)
		return err_sys(e, "sendmsg", "keeper");
	log_put(LOG_ERROR, "the keeper of programs was killed: starting another", LOG_END);
	keeper_end(c);
	if ((rc = keeper_new(c, e)) != RC_OK)
		return rc;
	return keeper_send(c->keeper, b->p, b->n, fds) ? RC_OK
						       : err_sys(e, "sendmsg", "keeper");
}

static enum rc
watch(struct children *c, struct child *k, struct err *e)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = k};

	return epoll_ctl(c->epoll, EPOLL_CTL_ADD, k->fd, &ev) == 0
		   ? RC_OK
		   : err_sys(e, "epoll_ctl", NULL);
}

enum rc
child_start(struct children *c, const struct child_spec *spec,
    void (*done)(const struct child_end *, void *), void *arg, struct child **out,
    struct err *e)
{
	struct buf b = BUF_INIT(CHILD_REQUEST);
	struct child *k = NULL;
	int input = -1, s[2] = {-1, -1};
	enum rc rc;

	*out = NULL;
	if ((rc = pack(spec, &b, e)) != RC_OK ||
	    (rc = input_file(spec->input, spec->input_len, &input, e)) != RC_OK)
		goto out;
	if ((k = calloc(1, sizeof(*k))) == NULL)
		rc = err_set(e, RC_LATER, "no memory");
	else if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s) != 0)
		rc = err_sys(e, "socketpair", NULL);
	if (rc != RC_OK)
		goto out;
	*k = (struct child){.all = c, .fd = s[0], .done = done, .arg = arg};
	if ((rc = watch(c, k, e)) != RC_OK || (rc = post(c, &b, input, s[1], e)) != RC_OK)
		goto out;
	k->next = c->first;
	c->first = k;
	c->running++;
	*out = k;
	k = NULL;
	s[0] = -1;
out:
	free(k);
	io_close(&s[0]);
	io_close(&s[1]);
	io_close(&input);
	buf_free(&b);
	return rc;
}

void
children_stop(struct children *c)
{
	for (const struct child *k = c->first; k != NULL; k = k->next)
		(void)!send(k->fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

unsigned
children_running(const struct children *c)
{
	return c->running;
}

int
children_fd(const struct children *c)
{
	return c->epoll;
}

/* What its warden says; a warden that says nothing was killed. */
static void
take_end(struct child *k)
{
	void (*done)(const struct child_end *, void *) = k->done;
	struct keeper_result r;
	struct child_end end = {.fate = CHILD_LOST};
	void *arg = k->arg;
	ssize_t n;

	n = recv(k->fd, &r, sizeof(r), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == (ssize_t)sizeof(r) && r.output_len < sizeof(end.output)) {
		end.fate = r.fate;
		end.status = r.status;
		end.sys = r.sys;
		end.output_len = r.output_len;
		memcpy(end.output, r.output, r.output_len);
	}
	forget(k);
	done(&end, arg);
}

void
children_reap(struct children *c)
{
	struct epoll_event ev[REAP_MOST];
	int n;

	/* A done may start another, but ends none: what is in ev stays valid. */
	n = epoll_wait(c->epoll, ev, REAP_MOST, 0);
	for (int i = 0; i < n; i++)
		take_end(ev[i].data.ptr);
}
