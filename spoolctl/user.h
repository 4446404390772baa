/*
 * SPDX-License-Identifier: ISC
 *
 * user - whose rights spoolctl works with, and who is at the keyboard.
 */
#ifndef ARKEN_USER_H
#define ARKEN_USER_H

#include <stddef.h>
#include <sys/types.h>

#include "err.h"

/*
 * Give up root for good: become uid and gid, without other groups.  Anybody else stays who he
 * is.
 */
enum rc user_become(uid_t uid, gid_t gid, struct err *e) MUST_CHECK;

/* As user_become, for the owner of a folder, which is never followed through a link. */
enum rc user_become_owner(const char *folder, struct err *e) MUST_CHECK;

/* A user by name, else by number.  RC_CONFIG: there is none. */
enum rc user_find(const char *text, uid_t *uid, gid_t *gid, struct err *e) MUST_CHECK;

/* The name of a user, or the number. */
void user_name(uid_t uid, char *out, size_t size);

/* Who acts: under sudo the user who called it.  Asked before user_become. */
void user_operator(char *name, size_t name_size, char *uid, size_t uid_size);

#endif
