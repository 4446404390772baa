/*
 * SPDX-License-Identifier: ISC
 *
 * listen - the socket that web servers connect to; see listen.h.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io.h"
#include "listen.h"
#include "str.h"

#define LISTEN_MODE 0660

bool
listen_is_socket(int fd)
{
	int listening = 0;
	socklen_t n = sizeof(listening);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) == 0 && listening;
}

static bool
is_loopback(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
	return a->ss_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

static enum rc
set_nonblocking(int fd, struct err *e)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return err_sys(e, "fcntl", "listening socket");
	return RC_OK;
}

enum rc
listen_inherit(int fd, struct listener *out, struct err *e)
{
	struct sockaddr_storage a = {0};
	socklen_t n = sizeof(a);
	enum rc rc;

	*out = LISTENER_NONE;
	if (getsockname(fd, (struct sockaddr *)&a, &n) != 0)
		return err_sys(e, "getsockname", "listening socket");
	if (a.ss_family != AF_UNIX && !is_loopback(&a))
		return err_set(e, RC_CONFIG,
		    "the listening socket can be reached from other hosts: a Unix socket was "
		    "expected");
	if ((rc = set_nonblocking(fd, e)) == RC_OK)
		out->fd = fd;
	return rc;
}

/* A socket file that nobody listens on any more is in the way: remove it. */
static enum rc
clear_stale(const struct sockaddr_un *a, struct err *e)
{
	struct stat st;
	int fd, refused;

	if (lstat(a->sun_path, &st) != 0)
		return errno == ENOENT ? RC_OK : err_sys(e, "lstat", a->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, RC_CONFIG, "%.150s is there and is no socket", a->sun_path);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		return err_sys(e, "socket", NULL);
	refused = connect(fd, (const struct sockaddr *)a, sizeof(*a)) != 0 &&
		  errno == ECONNREFUSED;
	io_close(&fd);
	if (!refused)
		return err_set(e, RC_LATER, "another program listens on %.150s", a->sun_path);
	if (unlink(a->sun_path) != 0 && errno != ENOENT)
		return err_sys(e, "unlink", a->sun_path);
	return RC_OK;
}

static enum rc
find_group(const char *group, gid_t *gid, struct err *e)
{
	const struct group *gr;

	*gid = (gid_t)-1;
	if (group == NULL)
		return RC_OK;
	if ((gr = getgrnam(group)) == NULL)
		return err_set(e, RC_CONFIG, "there is no group %.100s", group);
	*gid = gr->gr_gid;
	return RC_OK;
}

/* Nobody but us may connect before group and mode are what they shall be. */
static enum rc
bind_closed(int fd, const struct sockaddr_un *a, gid_t gid, struct err *e)
{
	mode_t before = umask(0777);
	int failed = bind(fd, (const struct sockaddr *)a, sizeof(*a));

	(void)umask(before);
	if (failed != 0)
		return err_sys(e, "bind", a->sun_path);
	if (gid != (gid_t)-1 && chown(a->sun_path, (uid_t)-1, gid) != 0)
		return err_sys(e, "chown", a->sun_path);
	if (chmod(a->sun_path, LISTEN_MODE) != 0)
		return err_sys(e, "chmod", a->sun_path);
	return RC_OK;
}

enum rc
listen_make(const char *path, const char *group, struct listener *out, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct stat st;
	enum rc rc;
	gid_t gid;
	int fd;

	*out = LISTENER_NONE;
	if (path[0] != '/' || !str_copy(a.sun_path, sizeof(a.sun_path), path))
		return err_set(e, RC_CONFIG,
		    "%.120s: expected an absolute path of at most %zu bytes", path,
		    sizeof(a.sun_path) - 1);
	if ((rc = find_group(group, &gid, e)) != RC_OK || (rc = clear_stale(&a, e)) != RC_OK)
		return rc;
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		return err_sys(e, "socket", NULL);
	if ((rc = bind_closed(fd, &a, gid, e)) != RC_OK)
		goto out;
	if (listen(fd, SOMAXCONN) != 0) {
		rc = err_sys(e, "listen", path);
		goto out;
	}
	if (lstat(path, &st) == 0)
		*out = (struct listener){
		    .fd = fd, .path = path, .dev = st.st_dev, .ino = st.st_ino};
	else
		rc = err_sys(e, "lstat", path);
out:
	if (rc != RC_OK)
		io_close(&fd);
	return rc;
}

void
listen_close(struct listener *l)
{
	struct stat st;

	if (l->path != NULL && lstat(l->path, &st) == 0 && st.st_dev == l->dev &&
	    st.st_ino == l->ino)
		(void)unlink(l->path);
	io_close(&l->fd);
	*l = LISTENER_NONE;
}
