/*
 * SPDX-License-Identifier: ISC
 *
 * fetch - one document brought by hand: details, link, download, checks, into store or folder.
 *
 * The same calls, guards, limits and checks as the daemon's (lib/download).
 */
#ifndef ARKEN_FETCH_H
#define ARKEN_FETCH_H

#include <stdbool.h>

#include "client.h"
#include "conf.h"
#include "guard.h"
#include "store.h"

struct fetch { /* where from, where to */
	const struct conf *conf;
	const struct conf_account *account;
	struct client *client;
	struct guard *guard;
	struct store *store; /* NULL: to the folder */
	int dir;
	const char *name; /* in the folder; NULL: made of the document's hash id */
	bool force;       /* a file of that name is replaced */
};

#define FETCH_FILE (NAME_FOLDER + STORE_SUFFIX)

struct fetched {
	struct store_meta meta;
	char file[FETCH_FILE + NAME_HASH]; /* its name in the folder, "" in the store */
	char host[256];                    /* of the link; "" the API itself had the bytes */
	int64_t link_end;                  /* 0: it does not say */
	bool same;                         /* the store had these bytes already */
};

/*
 * Ask for the details of a client's document and, unless only_look, bring it.  RC_GONE: the API
 * has no such document, or the store a tombstone of it.  RC_EXISTS: the folder has a file of
 * that name.  RC_DENIED: the link leads where nothing may be fetched.  RC_BAD: it cannot be had
 * as it is.  RC_LATER: not now, or what came is not the document.  Nothing is left half done.
 */
enum rc fetch_document(struct fetch *f, const char *client, const char *document,
    bool only_look, struct fetched *out, struct err *e) MUST_CHECK;

#endif
