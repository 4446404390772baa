/*
 * SPDX-License-Identifier: ISC
 *
 * filter - which events a command is about, by what they say and how old they are.
 *
 * ls, count, shape and the commands that move events take the same options.
 */
#ifndef ARKEN_FILTER_H
#define ARKEN_FILTER_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctl.h"
#include "err.h"
#include "name.h"
#include "spool.h"
#include "view.h"

struct filter { /* NULL, 0: any */
	const char *account, *kind;
	const char *client; /* hash id */
	const char *grep;   /* somewhere in header or body, case aside */
	int64_t before;     /* received before this time */
	int64_t since;      /* received at this time or later */
};

/* For a table of options, and how the help names them. */
#define FILTER_OPTIONS                                                                         \
	{"account", required_argument, NULL, CTL_ACCOUNT},                                     \
	    {"kind", required_argument, NULL, CTL_KIND},                                       \
	    {"client", required_argument, NULL, CTL_CLIENT},                                   \
	    {"older", required_argument, NULL, CTL_OLDER},                                     \
	    {"since", required_argument, NULL, CTL_SINCE},                                     \
	{                                                                                      \
		"grep", required_argument, NULL, CTL_GREP                                      \
	}
#define FILTER_USAGE                                                                           \
	"[--account NAME] [--kind KIND] [--client HASH] [--older AGE] [--since TIME] "         \
	"[--grep TEXT]"
#define FILTER_HELP                                                                            \
	"KIND is a category (FileStore) or a category and a type (FileStore.Upload), HASH\n"   \
	"the hash id of a client.  --older AGE (90s, 15m, 2h, 3d) are events received "        \
	"longer\n"                                                                             \
	"ago, --since TIME (an age, a day or an RFC 3339 time) later ones; --grep TEXT are\n"  \
	"those with TEXT anywhere in header or body, upper and lower case alike.\n"

/*
 * Take an option of FILTER_OPTIONS; text is kept.  EX_OK; EX_USAGE: it is none that can be
 * read, reported.
 */
int filter_option(const struct ctl *c, struct filter *f, int opt, const char *text) MUST_CHECK;

/* Is anything asked for at all? */
bool filter_any(const struct filter *f) MUST_CHECK;

/* As far as a name tells: account and kind.  Everything else needs filter_view. */
bool filter_name(const struct filter *f, const struct name *parts) MUST_CHECK;

/*
 * Is it one of those asked for?  Reads the file again where only its body tells.  What cannot
 * be read matches no client, and TEXT only in what stands in the file.
 */
bool filter_view(const struct filter *f, struct spool *sp, const struct view *v) MUST_CHECK;

#endif
