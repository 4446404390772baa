/*
 * SPDX-License-Identifier: ISC
 *
 * json - strict JSON over cJSON, the only file that knows cJSON.
 *
 * What is accepted is RFC 8259 and nothing else, and in addition: valid
 * UTF-8, no byte-order mark, no \u0000, no lone surrogate escape, no member name twice in one
 * object, at most JSON_DEPTH levels and JSON_VALUES values.  Names are compared by exact case.
 */
#ifndef ARKEN_JSON_H
#define ARKEN_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

#define JSON_DEPTH 32
#define JSON_VALUES                                                                            \
	2000000 /* values in one text: bounds the memory of a tree to some 200 MiB */

struct json; /* a document, or a value inside one */

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_span {
	size_t at;     /* offset of the first byte of a value */
	size_t n;      /* its length, without white space around it */
	size_t values; /* in it, itself included */
};

/*
 * Grammar, UTF-8, escapes and depth in one pass without allocation (but not
 * duplicate names: json_parse).  RC_BAD names the offset.
 */
enum rc json_check(const char *p, size_t n, struct err *e) MUST_CHECK;

/*
 * As json_check, and the elements of a top-level array: their spans, in order.  For any
 * other value one span, the value.  *is_array says which.  RC_FULL: more than max elements.
 */
enum rc json_split(const char *p, size_t n, struct json_span *spans, size_t max, size_t *count,
    bool *is_array, struct err *e) MUST_CHECK;

/*
 * Parse one document.  The caller owns *doc (json_free).  RC_BAD: not strict
 * JSON, with the offset or the name; RC_LATER: no memory.  p needs no NUL.
 */
enum rc json_parse(const char *p, size_t n, struct json **doc, struct err *e) MUST_CHECK;

void json_free(struct json **doc);

/* The type; JSON_NULL for NULL. */
enum json_type json_type(const struct json *v);

/* Member of an object by exact name; NULL if obj is no object or has none. */
const struct json *json_get(const struct json *obj, const char *name);

/*
 * Member by name, the case of the first letter aside (arken-api: "key" and
 * "Key"); the exact name wins when both are there.
 */
const struct json *json_member(const struct json *obj, const char *name);

/* The rule of json_member for two names: equal, the case of the first letter aside. */
bool json_same_name(const char *a, const char *b) MUST_CHECK;

/* JSON Pointer (RFC 6901, "" is the document itself); NULL: nothing there, or no pointer. */
const struct json *json_at(const struct json *doc, const char *pointer);

/* First child of an array or object, and the next one; NULL at the end. */
const struct json *json_first(const struct json *v);
const struct json *json_next(const struct json *v);

/* The member name of a child of an object, else NULL. */
const char *json_name(const struct json *v);

/*
 * A string's text, or a number's text exactly as it was written; else NULL.
 * Valid as long as the document.
 */
const char *json_text(const struct json *v);

/* As json_text, but only for strings. */
const char *json_string(const struct json *v);

/* A number written as a whole number within min..max (no fraction, no exponent). */
bool json_int(const struct json *v, int64_t min, int64_t max, int64_t *out) MUST_CHECK;

/* A boolean; false if v is none. */
bool json_bool(const struct json *v, bool *out) MUST_CHECK;

/* The value as indented text, for people; numbers as they were written. */
void json_print(struct buf *out, const struct json *v);

#endif
