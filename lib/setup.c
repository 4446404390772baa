/*
 * SPDX-License-Identifier: ISC
 *
 * setup - from the configuration to what is opened with it; see setup.h.
 */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "setup.h"
#include "str.h"

#define GROUP_FIRST 4096        /* bytes for a group's entry at first, */
#define GROUP_MAX (1024 * 1024) /* and at most: a group may have many members */

/* RC_GONE: no group of that name. */
static enum rc
group_by_name(const char *name, gid_t *gid, struct err *e)
{
	struct group gr, *found = NULL;
	int sys = ERANGE;

	for (size_t size = GROUP_FIRST; sys == ERANGE && size <= GROUP_MAX; size *= 4) {
		char *buf = malloc(size);

		if (buf == NULL)
			return err_set(e, RC_LATER, "no memory");
		sys = getgrnam_r(name, &gr, buf, size, &found);
		if (sys == 0 && found != NULL)
			*gid = gr.gr_gid;
		free(buf);
	}
	if (found != NULL)
		return RC_OK;
	if (sys == 0 || sys == ENOENT || sys == ESRCH)
		return RC_GONE;
	errno = sys;
	(void)err_sys(e, "getgrnam_r", name);
	return RC_LATER;
}

enum rc
setup_group(const char *text, gid_t *gid, struct err *e)
{
	uint64_t number;
	enum rc rc;

	*gid = (gid_t)-1;
	if ((rc = group_by_name(text, gid, e)) != RC_GONE)
		return rc;
	/* The last number means "leave it as it is" to chown(2). */
	if (str_u64(text, 0, (uint64_t)(gid_t)-1 - 1, &number)) {
		*gid = (gid_t)number;
		return RC_OK;
	}
	return err_set(e, RC_CONFIG,
	    "group: expected a group of this system or its number, found %.100s (groupadd "
	    "--system makes one)",
	    text);
}

enum rc
setup_spool_opt(const struct conf *c, struct spool_opt *out, struct err *e)
{
	enum rc rc;

	memset(out, 0, sizeof(*out));
	if ((rc = setup_group(c->spool.group, &out->group, e)) != RC_OK) {
		err_prefix(e, "%.100s", c->file);
		return rc;
	}
	out->path = c->spool.directory;
	out->min_free = c->spool.min_free;
	out->min_inodes = c->spool.min_inodes;
	out->queue_limit = c->spool.queue_limit;
	out->rejected_limit = c->spool.rejected_limit;
	out->allow_fs = c->spool.allow_fs;
	return RC_OK;
}
