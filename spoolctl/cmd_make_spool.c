/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_make_spool - make the folders of a spool, for packages and by hand.
 *
 * Nothing that is there already is changed, but for an empty folder of root's that is to
 * become a spool (a fresh mount point).
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "ctl.h"
#include "io.h"
#include "log.h"
#include "setup.h"
#include "str.h"
#include "user.h"

/* Nothing in it, or what a fresh file system has. */
static bool
is_empty(int fd)
{
	const struct dirent *de;
	bool empty = true;
	int copy = -1;
	DIR *d;

	if (io_open_dir(fd, ".", &copy, NULL) != RC_OK || (d = fdopendir(copy)) == NULL) {
		io_close(&copy);
		return false;
	}
	while (empty && (de = readdir(d)) != NULL)
		empty = str_eq(de->d_name, ".") || str_eq(de->d_name, "..") ||
			str_eq(de->d_name, "lost+found");
	(void)closedir(d);
	return empty;
}

/* Only root can make a folder where others may not, and give it away. */
static enum rc
give_folder(const char *path, uid_t uid, gid_t gid, struct err *e)
{
	struct stat st;
	enum rc rc;
	int fd = -1;

	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return err_sys(e, "mkdir", path);
	if ((rc = io_open_dir(AT_FDCWD, path, &fd, e)) != RC_OK)
		return rc;
	if (fstat(fd, &st) != 0)
		rc = err_sys(e, "fstat", path);
	else if (st.st_uid == 0 && is_empty(fd) &&
		 (fchown(fd, uid, gid) != 0 || fchmod(fd, 02750) != 0))
		rc = err_sys(e, "fchown", path);
	io_close(&fd);
	return rc;
}

static enum rc
make(struct ctl *c, const char *user, const char *group, struct err *e)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	enum rc rc;

	if (user != NULL && (rc = user_find(user, &uid, &gid, e)) != RC_OK)
		return rc;
	if (user != NULL && c->conf == NULL)
		c->opt.group = gid;
	if (group != NULL && (rc = setup_group(group, &c->opt.group, e)) != RC_OK)
		return rc;
	if (geteuid() == 0 && ((rc = give_folder(c->opt.path, uid, c->opt.group, e)) != RC_OK ||
				  (rc = user_become(uid, c->opt.group, e)) != RC_OK))
		return rc;
	return spool_make(&c->opt, e);
}

int
cmd_make_spool(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {{"user", required_argument, NULL, 'u'},
	    {"group", required_argument, NULL, 'g'}, {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0}};
	const char *user = NULL, *group = NULL;
	char name[CTL_OPERATOR];
	struct err e = {0};
	int opt, status;
	enum rc rc;

	while ((opt = ctl_option(c, argc, argv, ":hu:g:", names)) >= 0) {
		if (opt == 'u')
			user = optarg;
		else
			group = optarg;
	}
	if (opt != CTL_END)
		return ctl_option_exit(opt);
	if (optind < argc)
		return ctl_usage(c, "the folder is given before the command, with -s");
	if (user != NULL && geteuid() != 0)
		return ctl_usage(c, "only root can make a spool for another user");
	log_level(LOG_WARN); /* what is odd about the file system is worth a line here */
	if ((status = ctl_read_options(c)) != EX_OK)
		return status;
	if ((rc = make(c, user, group, &e)) != RC_OK)
		return ctl_fail(err_exit(rc), "%s", e.text);
	user_name(geteuid(), name, sizeof(name));
	(void)printf("spool %s of user %s and group %u is complete\n", c->opt.path, name,
	    (unsigned)c->opt.group);
	return EX_OK;
}
