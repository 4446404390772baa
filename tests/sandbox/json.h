/*
 * SPDX-License-Identifier: ISC
 *
 * json - reading what peers send.  The only user of cJSON.
 *
 * Writing is done with buf_json(): the shapes a vendor sends are the point of
 * this program and are written out by hand.
 */
#ifndef SANDBOX_JSON_H
#define SANDBOX_JSON_H

#include <stdbool.h>
#include <stddef.h>

struct json;

/* NULL: not one JSON object. */
struct json *json_parse(const char *p, size_t n);
void json_free(struct json **j);
/* Borrowed; name in any case; NULL: not there or not an object. */
const struct json *json_object(const struct json *j, const char *name);
/* false: not there, not a string or longer than size; out is then empty. */
bool json_text(const struct json *j, const char *name, char *out, size_t size);
bool json_number(
    const struct json *j, const char *name, long long lo, long long hi, long long *out);
bool json_has(const struct json *j, const char *name);
/* Name of member i, NULL beyond the last. */
const char *json_name(const struct json *j, size_t i);

#endif
