/*
 * SPDX-License-Identifier: ISC
 *
 * user - whose rights spoolctl works with; see user.h.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "str.h"
#include "user.h"

enum rc
user_become(uid_t uid, gid_t gid, struct err *e)
{
	if (geteuid() != 0)
		return RC_OK;
	if (setgroups(1, &gid) != 0)
		return err_sys(e, "setgroups", NULL);
	if (setresgid(gid, gid, gid) != 0)
		return err_sys(e, "setresgid", NULL);
	if (setresuid(uid, uid, uid) != 0)
		return err_sys(e, "setresuid", NULL);
	if (uid != 0 && (setuid(0) == 0 || seteuid(0) == 0))
		return err_set(e, RC_DENIED, "the rights of root could not be given up");
	return RC_OK;
}

enum rc
user_become_owner(const char *folder, struct err *e)
{
	struct stat st;
	enum rc rc;
	int fd;

	if (geteuid() != 0)
		return RC_OK;
	if ((rc = io_open_dir(AT_FDCWD, folder, &fd, e)) != RC_OK)
		return rc;
	if (fstat(fd, &st) != 0)
		rc = err_sys(e, "fstat", folder);
	else
		rc = user_become(st.st_uid, st.st_gid, e);
	io_close(&fd);
	return rc;
}

enum rc
user_find(const char *text, uid_t *uid, gid_t *gid, struct err *e)
{
	const struct passwd *pw;
	uint64_t number;

	if ((pw = getpwnam(text)) != NULL) {
		*uid = pw->pw_uid;
		*gid = pw->pw_gid;
		return RC_OK;
	}
	/* The last number means "leave it as it is" to chown(2). */
	if (!str_u64(text, 0, (uint64_t)(uid_t)-1 - 1, &number))
		return err_set(e, RC_CONFIG,
		    "user: expected a user of this system or a number, found %.100s", text);
	*uid = (uid_t)number;
	*gid = (gid_t)number;
	if ((pw = getpwuid(*uid)) != NULL)
		*gid = pw->pw_gid;
	return RC_OK;
}

void
user_name(uid_t uid, char *out, size_t size)
{
	const struct passwd *pw = getpwuid(uid);

	if (pw == NULL || !str_copy(out, size, pw->pw_name))
		(void)snprintf(out, size, "%u", (unsigned)uid);
}

void
user_operator(char *name, size_t name_size, char *uid, size_t uid_size)
{
	const char *sudo = getenv("SUDO_USER"), *sudo_uid = getenv("SUDO_UID");
	uint64_t number = getuid();

	if (sudo != NULL && sudo[0] != '\0' && str_copy(name, name_size, sudo)) {
		if (sudo_uid == NULL || !str_u64(sudo_uid, 0, (uid_t)-1, &number))
			number = getuid();
	} else {
		user_name(getuid(), name, name_size);
	}
	(void)snprintf(uid, uid_size, "%u", (unsigned)number);
}
