/*
 * SPDX-License-Identifier: ISC
 *
 * conf_keys - the inside of conf: the table of sections and keys, and the types of values.
 *
 * For conf*.c only; everybody else reads conf.h.
 */
#ifndef ARKEN_CONF_KEYS_H
#define ARKEN_CONF_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "conf.h"
#include "err.h"

#define CONF_EXPECT 240 /* "a number from 1 to 512": any description of a value */
#define CONF_BAD 60     /* the part of a value that is wrong, escaped and cut */

enum conf_type {
	CONF_T_TEXT,     /* printable ASCII, at most max characters */
	CONF_T_WORD,     /* the same without a space */
	CONF_T_GROUP,    /* of the system: a name or a number */
	CONF_T_PATH,     /* of a file or folder: absolute */
	CONF_T_SIZE,     /* bytes, in a uint64_t */
	CONF_T_DURATION, /* milliseconds, in an int64_t */
	CONF_T_NUMBER,   /* a uint64_t */
	CONF_T_CHOICE,   /* an enum */
	CONF_T_COMMAND,  /* of a program: absolute path and arguments, a space between them */
	CONF_T_URL,      /* https, or http to this machine */
	CONF_T_BASE,     /* the same without a query; a "/" at its end is taken off */
	CONF_T_ISSUER,   /* as CONF_T_BASE, but kept to the last "/" */
	CONF_T_HEADER,   /* the name of an HTTP header */
	CONF_T_URL_PATH, /* what may be posted to */
	CONF_T_HOSTS,    /* lists are kept with one space between two items */
	CONF_T_NETWORKS,
	CONF_T_FILESYSTEMS,
	CONF_T_ALGORITHMS,
	CONF_T_TYPES,        /* of tokens */
	CONF_T_CLAIMS,       /* "claim:value" */
	CONF_T_POINTER,      /* RFC 6901 */
	CONF_T_TEMPLATE,     /* path and query with {placeholders} */
	CONF_T_FEED,         /* the same, of the event feed */
	CONF_T_CALL,         /* the same, of a call about the account */
	CONF_T_BODY,         /* a JSON object with {placeholders} in its strings */
	CONF_T_URL_TEMPLATE, /* a URL with {placeholders} after its host */
};

enum conf_where {
	CONF_IN_SPOOL,
	CONF_IN_RECEIVER,
	CONF_IN_STATUS,
	CONF_IN_DAEMON,
	CONF_IN_LOG,
	CONF_IN_ACCOUNT,
	CONF_IN_CALLBACK,
	CONF_SECTIONS
};

struct conf_section {
	const char *name;
	const char *title;   /* what follows the name, for people: "NAME"; NULL: nothing does */
	const char *example; /* such a title in the sample */
	const char *help;
};

struct conf_word {
	const char *name;
	int value;
};

struct conf_key {
	enum conf_where section;
	const char *name;
	enum conf_type type;
	size_t at; /* offset in struct conf, conf_account or conf_callback */
	/*
	 * The default, limits and words are written as in the file and read by the same
	 * parser.  def NULL: nothing, unless otherwise says what conf.c puts there.
	 */
	const char *def;
	const char *otherwise;
	const char *min, *max;
	const struct conf_word *words; /* ends with a NULL name */
	const char *example;           /* in the sample, where there is no default */
	const char *help;
};

extern const struct conf_section conf_sections[CONF_SECTIONS];
extern const struct conf_key conf_keys[];
extern const size_t conf_nkeys;

#define CONF_KEYS 96 /* conf_nkeys is at most this */

/*
 * Fill a new configuration, of which nothing but the file's name is set, from the text of that
 * file.  RC_CONFIG as in conf_load; RC_LATER: no memory.  What c holds then is for conf_free.
 */
enum rc conf_read(struct conf *c, const char *text, size_t n, struct err *e) MUST_CHECK;

/*
 * Put a value where it belongs below base; what was there is freed.  RC_CONFIG: text is not
 * what k expects, and bad says which part of it; RC_LATER: no memory.
 */
enum rc conf_value_set(
    const struct conf_key *k, void *base, const char *text, char bad[CONF_BAD]) MUST_CHECK;

/* What k expects, in words that go on after "expected". */
void conf_value_expect(const struct conf_key *k, char out[CONF_EXPECT]);

/* Free what k has below base, if that is allocated. */
void conf_value_free(const struct conf_key *k, void *base);

/* A title of [account NAME] or [callback KIND]. */
bool conf_title_ok(enum conf_where section, const char *title) MUST_CHECK;

#endif
