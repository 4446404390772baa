/*
 * SPDX-License-Identifier: ISC
 *
 * spool_make - the folders of a spool: made, opened and checked.
 *
 * A folder that is a link, is on another file system, has another owner,
 * group or mode than written here is refused, never mended: whoever changed it
 * may have had a reason, and may have changed more.  Only what a start left
 * half made (as mkdir leaves it, and ours) is finished by the next one.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "io.h"
#include "log.h"
#include "spool_priv.h"
#include "str.h"

#define OWN 02750    /* only the daemon's user writes */
#define SHARED 02770 /* the receiver writes too */

static const struct {
	const char *name;
	mode_t mode;
} folders[FOLDERS] = {
    [FOLDER_ROOT] = {".", OWN},
    [FOLDER_TMP] = {"tmp", SHARED},
    [FOLDER_NEW] = {"new", SHARED},
    [FOLDER_CUR] = {"cur", OWN},
    [FOLDER_DONE] = {"done", OWN},
    [FOLDER_DONE_TMP] = {"done/tmp", OWN},
    [FOLDER_DONE_NEW] = {"done/new", OWN},
    [FOLDER_DONE_CUR] = {"done/cur", OWN},
    [FOLDER_FAILED] = {"failed", OWN},
    [FOLDER_FAILED_TMP] = {"failed/tmp", OWN},
    [FOLDER_FAILED_NEW] = {"failed/new", OWN},
    [FOLDER_FAILED_CUR] = {"failed/cur", OWN},
    [FOLDER_HELD] = {"held", OWN},
    [FOLDER_HELD_TMP] = {"held/tmp", OWN},
    [FOLDER_HELD_NEW] = {"held/new", OWN},
    [FOLDER_HELD_CUR] = {"held/cur", OWN},
    [FOLDER_REJECTED] = {"rejected", OWN},
    [FOLDER_REJECTED_TMP] = {"rejected/tmp", SHARED},
    [FOLDER_REJECTED_NEW] = {"rejected/new", SHARED},
    [FOLDER_REJECTED_CUR] = {"rejected/cur", OWN},
    [FOLDER_RETRY] = {"retry", OWN},
    [FOLDER_LOG] = {"log", SHARED},
    [FOLDER_ASK] = {"ask", SHARED},
    [FOLDER_KEYS] = {"keys", OWN},
};

void
spool_each_folder(void (*fn)(const char *, mode_t, void *), void *arg)
{
	for (size_t i = 0; i < FOLDERS; i++)
		fn(folders[i].name, folders[i].mode, arg);
}

enum fs_kind { FS_TRIED, FS_MEMORY, FS_NETWORK };

static const struct {
	unsigned long magic;
	const char *name;
	enum fs_kind kind;
} file_systems[] = {
    {0xef53, "ext4", FS_TRIED},
    {0x58465342, "xfs", FS_TRIED},
    {0x9123683e, "btrfs", FS_TRIED},
    {0x01021994, "tmpfs", FS_MEMORY},
    {0x858458f6, "ramfs", FS_MEMORY},
    {0x6969, "nfs", FS_NETWORK},
    {0xff534d42, "cifs", FS_NETWORK},
    {0xfe534d42, "smb2", FS_NETWORK},
    {0x517b, "smbfs", FS_NETWORK},
    {0x01021997, "9p", FS_NETWORK},
    {0x5346414f, "afs", FS_NETWORK},
    {0x6b414653, "afs", FS_NETWORK},
    {0x00c36400, "ceph", FS_NETWORK},
    {0x73757245, "coda", FS_NETWORK},
    {0x564c, "ncp", FS_NETWORK},
    {0x65735546, "fuse", FS_NETWORK},
    {0x786f4256, "vboxsf", FS_NETWORK},
    {0x01161970, "gfs2", FS_NETWORK},
    {0x7461636f, "ocfs2", FS_NETWORK},
    {0x0bd00bd0, "lustre", FS_NETWORK},
};

/* Is word one of the words in list (separated by spaces or commas)? */
static bool
listed(const char *list, const char *word)
{
	size_t n = strlen(word);

	while (list != NULL && *list != '\0') {
		size_t k = strcspn(list, " ,\t");

		if (k == n && memcmp(list, word, n) == 0)
			return true;
		list += k;
		list += strspn(list, " ,\t");
	}
	return false;
}

enum rc
spool_check_fs(int root, const char *path, const char *allow, struct err *e)
{
	struct statfs fs;
	size_t i, n = sizeof(file_systems) / sizeof(file_systems[0]);

	if (fstatfs(root, &fs) != 0)
		return err_sys(e, "fstatfs", path);
	for (i = 0; i < n; i++)
		if (file_systems[i].magic == ((unsigned long)fs.f_type & 0xffffffffUL))
			break;
	if (i == n) {
		log_put(LOG_WARN, "spool is on a file system that was not tried", "path", path,
		    LOG_END);
		return RC_OK;
	}
	if (file_systems[i].kind == FS_TRIED || listed(allow, file_systems[i].name))
		return RC_OK;
	return err_set(e, RC_CONFIG,
	    "%.150s is on %s, %s file system: expected ext4, xfs or btrfs "
	    "(or name %s in allow_fs)",
	    path, file_systems[i].name,
	    file_systems[i].kind == FS_MEMORY ? "a memory" : "a network", file_systems[i].name);
}

/* Is the open folder what folders[i] says, and of the same owner and device as root? */
static enum rc
check_folder(int fd, size_t i, const struct stat *root, struct err *e)
{
	const char *name = i == FOLDER_ROOT ? "the spool's folder" : folders[i].name;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_sys(e, "fstat", name);
	if (st.st_dev != root->st_dev)
		return err_set(
		    e, RC_CONFIG, "%s is on another file system than the spool", name);
	if (st.st_uid != root->st_uid || st.st_gid != root->st_gid)
		return err_set(e, RC_CONFIG,
		    "%s belongs to %u:%u, expected %u:%u as the spool's folder", name,
		    (unsigned)st.st_uid, (unsigned)st.st_gid, (unsigned)root->st_uid,
		    (unsigned)root->st_gid);
	if ((st.st_mode & 07777) != folders[i].mode)
		return err_set(e, RC_CONFIG, "%s has mode %04o, expected %04o", name,
		    (unsigned)(st.st_mode & 07777), (unsigned)folders[i].mode);
	return RC_OK;
}

enum rc
spool_open_folders(int root, int dir[FOLDERS], struct err *e)
{
	struct stat st;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < FOLDERS; i++)
		dir[i] = -1;
	if (fstat(root, &st) != 0)
		return err_sys(e, "fstat", "spool");
	for (size_t i = 0; i < FOLDERS; i++) {
		if ((rc = io_open_dir(root, folders[i].name, &dir[i], e)) != RC_OK) {
			if (rc == RC_GONE)
				rc = err_set(e, RC_CONFIG,
				    "folder %s is missing: start spoold once to make it",
				    folders[i].name);
			break;
		}
		if ((rc = check_folder(dir[i], i, &st, e)) != RC_OK)
			break;
	}
	if (rc != RC_OK)
		for (size_t i = 0; i < FOLDERS; i++)
			io_close(&dir[i]);
	return rc;
}

/* As mkdir leaves it, and ours: made by a start that ended before the folder had its mode. */
static bool
is_half_made(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
	       (st.st_mode & 07777 & ~(mode_t)S_ISGID) == 0700;
}

/* Make one folder with its group and mode; one that is there is only looked at later. */
static enum rc
make_folder(int at, const char *name, mode_t mode, gid_t group, struct err *e)
{
	enum rc rc;
	int fd;

	if (mkdirat(at, name, 0700) != 0 && errno != EEXIST)
		return err_sys(e, "mkdirat", name);
	if ((rc = io_open_dir(at, name, &fd, e)) != RC_OK)
		return rc;
	if (is_half_made(fd)) {
		if (fchown(fd, (uid_t)-1, group) != 0)
			rc = err_sys(e, "fchown", name);
		else if (fchmod(fd, mode) != 0)
			rc = err_sys(e, "fchmod", name);
	}
	io_close(&fd);
	return rc;
}

/* The folder that names the spool; one we may not read was not changed by us. */
static enum rc
sync_parent(int root, struct err *e)
{
	enum rc rc;
	int fd;

	if ((rc = io_open_dir(root, "..", &fd, e)) != RC_OK)
		return rc == RC_DENIED ? RC_OK : rc;
	rc = io_sync_dir(fd, e);
	io_close(&fd);
	return rc;
}

/* Only the daemon's user opens it: whoever can open it can lock it. */
static enum rc
make_lock(int root, struct err *e)
{
	enum rc rc;
	int fd;

	rc = io_create(root, "lock", 0600, &fd, e);
	io_close(&fd);
	return rc == RC_EXISTS ? RC_OK : rc;
}

static enum rc
check_owner(int root, const struct spool_opt *opt, struct err *e)
{
	struct stat st;

	if (fstat(root, &st) != 0)
		return err_sys(e, "fstat", opt->path);
	if (st.st_uid != geteuid())
		return err_set(e, RC_CONFIG,
		    "%.150s belongs to user %u, expected %u, who runs this", opt->path,
		    (unsigned)st.st_uid, (unsigned)geteuid());
	if (st.st_gid != opt->group)
		return err_set(e, RC_CONFIG, "%.150s belongs to group %u, expected %u",
		    opt->path, (unsigned)st.st_gid, (unsigned)opt->group);
	return RC_OK;
}

enum rc
spool_make(const struct spool_opt *opt, struct err *e)
{
	int dir[FOLDERS], root = -1;
	enum rc rc;

	if ((rc = make_folder(AT_FDCWD, opt->path, OWN, opt->group, e)) != RC_OK ||
	    (rc = io_open_dir(AT_FDCWD, opt->path, &root, e)) != RC_OK)
		return rc;
	if ((rc = spool_check_fs(root, opt->path, opt->allow_fs, e)) != RC_OK ||
	    (rc = check_owner(root, opt, e)) != RC_OK)
		goto out;
	for (size_t i = FOLDER_ROOT + 1; i < FOLDERS; i++)
		if ((rc = make_folder(root, folders[i].name, folders[i].mode, opt->group, e)) !=
		    RC_OK)
			goto out;
	if ((rc = spool_open_folders(root, dir, e)) != RC_OK)
		goto out;
	if ((rc = make_lock(root, e)) == RC_OK)
		rc = count_make(root, opt->group, e);
	for (size_t i = 0; i < FOLDERS; i++) {
		if (rc == RC_OK)
			rc = io_sync_dir(dir[i], e);
		io_close(&dir[i]);
	}
	if (rc == RC_OK)
		rc = sync_parent(root, e);
out:
	io_close(&root);
	return rc;
}
