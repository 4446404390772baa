/*
 * SPDX-License-Identifier: ISC
 *
 * hook - the contract with a hook command: what it is told, and what its end means.
 *
 * Pure, but for the look at whose home it is; child.h runs it.  docs/integration.md is the
 * contract for people.
 */
#ifndef ARKEN_HOOK_H
#define ARKEN_HOOK_H

#include <stddef.h>

#include "buf.h"
#include "child.h"
#include "handed.h"

#define HOOK_ENV 32    /* variables at most */
#define HOOK_TEXT 1024 /* of output that is shown */

/* The environment of one hook. */
struct hook_env {
	struct buf text; /* all of it, each with its NUL */
	const char *at[HOOK_ENV];
	size_t n;
};

/*
 * Everything a hook is told, and nothing else.  Valid as long as nothing is done to out.
 * RC_BAD: something of it is too long.
 */
enum rc hook_env(struct hook_env *out, const struct hand *h, struct err *e) MUST_CHECK;
void hook_env_free(struct hook_env *env);

/* What its end means; text gets one line for people, its output included. */
enum handed hook_verdict(const struct child_end *end, char text[HANDED_TEXT]);

/* The end of its output in one line, harmless. */
void hook_output(const struct child_end *end, char out[HOOK_TEXT]);

#endif
