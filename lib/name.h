/*
 * SPDX-License-Identifier: ISC
 *
 * name - the names of events, and what else of a peer's text may become a path.
 *
 * NAME is <account>.<key>.<Category>.<Type>.  Pure: no system calls.
 */
#ifndef ARKEN_NAME_H
#define ARKEN_NAME_H

#include <stdbool.h>

#include "err.h"

#define NAME_SIZE 200   /* any NAME with its NUL */
#define NAME_ACCOUNT 33 /* [a-z0-9_-]{1,32} */
#define NAME_KEY 66     /* [A-Za-z0-9-]{1,65} */
#define NAME_WORD 33    /* Category or Type, [A-Za-z0-9]{1,32} */
#define NAME_FOLDER 65  /* a hash id as a folder name */
#define NAME_HASH 65    /* a hash id itself: 1 to 64 printable characters */

struct name {
	char account[NAME_ACCOUNT];
	char key[NAME_KEY];
	char category[NAME_WORD];
	char type[NAME_WORD];
};

bool name_account_ok(const char *account) MUST_CHECK;

/*
 * A category or type as it may stand in a NAME: a word the vendor is known to use in its usual
 * case, an alias resolved (GetFileDetail: Download), any other [A-Za-z0-9]{1,32} as it is;
 * anything else, NULL too, becomes "Other".
 */
void name_word(const char *text, char out[NAME_WORD]);

/* A hash identifier: 1 to 64 printable ASCII characters, no space.  NULL is none. */
bool name_hash_ok(const char *text) MUST_CHECK;

/* RC_BAD: a part is not what it has to be. */
enum rc name_build(const struct name *parts, char out[NAME_SIZE], struct err *e) MUST_CHECK;

/* Take a NAME apart; false: it is none.  Accepts exactly what name_build makes. */
bool name_parse(const char *text, struct name *parts) MUST_CHECK;

/*
 * The folder of a hash id in the store: itself if it is [A-Za-z0-9_-]{1,64},
 * else "x-" and 32 hexadecimal digits of its SHA-256.  An id of just that form is digested too,
 * so that no two ids share a folder.  RC_LATER: no memory.
 */
enum rc name_folder(const char *hash_id, char out[NAME_FOLDER], struct err *e) MUST_CHECK;

#endif
