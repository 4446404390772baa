/*
 * SPDX-License-Identifier: ISC
 *
 * spool_priv - what the files of the spool share among themselves.
 */
#ifndef ARKEN_SPOOL_PRIV_H
#define ARKEN_SPOOL_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "spool.h"

#define SPOOL_FILE (NAME_SIZE + 8) /* NAME and ":2,S" */

enum spool_folder {
	FOLDER_ROOT,
	FOLDER_TMP,
	FOLDER_NEW,
	FOLDER_CUR,
	FOLDER_DONE,
	FOLDER_DONE_TMP,
	FOLDER_DONE_NEW,
	FOLDER_DONE_CUR,
	FOLDER_FAILED,
	FOLDER_FAILED_TMP,
	FOLDER_FAILED_NEW,
	FOLDER_FAILED_CUR,
	FOLDER_HELD,
	FOLDER_HELD_TMP,
	FOLDER_HELD_NEW,
	FOLDER_HELD_CUR,
	FOLDER_REJECTED,
	FOLDER_REJECTED_TMP,
	FOLDER_REJECTED_NEW,
	FOLDER_REJECTED_CUR,
	FOLDER_RETRY,
	FOLDER_LOG,
	FOLDER_ASK,
	FOLDER_KEYS,
	FOLDERS
};

struct spool {
	char *path;
	struct spool_opt opt; /* path and allow_fs are not kept */
	int dir[FOLDERS];
	int lock;                 /* -1: not the daemon */
	pthread_mutex_t removing; /* held from a look at what stays to the end of a removal */
	struct counts *counts;
	atomic_llong write_failed; /* clk_mono of a failed write that none after it made good */
	bool dirty[SPOOL_BOXES];   /* names were moved there and not synced; daemon only */
};

/* The folder of a box, and the file name of an event in it. */
enum spool_folder spool_box_folder(enum spool_box box);
void spool_box_file(enum spool_box box, const char *name, char out[SPOOL_FILE]);

/* Open every folder below root, checked against owner and group of root; fds are the caller's.
 */
enum rc spool_open_folders(int root, int dir[FOLDERS], struct err *e) MUST_CHECK;

/* RC_CONFIG: a file system that cannot keep the promise and is not in allow. */
enum rc spool_check_fs(int root, const char *path, const char *allow, struct err *e) MUST_CHECK;

/* Write the record to a new file in tmp, synced and closed.  On failure nothing stays. */
enum rc spool_write_tmp(int tmp, const char *file, const struct buf *head, const struct rec *r,
    struct err *e) MUST_CHECK;

/* Sync the folder of a box; a failure sets the mark that stops acceptance. */
enum rc spool_sync_box(struct spool *sp, enum spool_box box, struct err *e) MUST_CHECK;

#endif
