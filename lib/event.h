/*
 * SPDX-License-Identifier: ISC
 *
 * event - what one event of Arken says (docs/spool.md).
 *
 * Pure: reads a parsed JSON object, decides the kind and the identity.
 * Unknown members, categories and types are data, never errors.
 */
#ifndef ARKEN_EVENT_H
#define ARKEN_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "json.h"
#include "name.h"

#define EVENT_LINK 8192   /* a longer link is left out */
#define EVENT_SUBJECT 256 /* a subject line with its NUL */

struct event {
	char category[NAME_WORD]; /* "Other" when the kind cannot be found */
	char type[NAME_WORD];
	char id[NAME_HASH]; /* the event's own id, GUID in lower case; "" none */
	char number[21];    /* the account's event number, digits; "" none */
	char time[65];      /* as sent; "" none */
	char account_hash[NAME_HASH];
	char client_hash[NAME_HASH];
	char document_hash[NAME_HASH];
	char user_hash[NAME_HASH];
	char *link; /* as sent, raw spaces included; NULL none; owned */
};

/*
 * Read one event.  RC_BAD: v is not an object.  RC_LATER: no memory.  An object whose kind
 * cannot be found is Other.Other.  Ids are looked for as members, then as properties
 * ("Key"/"Value"), then as query parameters of the link; the case of a first letter never
 * matters.
 */
enum rc event_read(const struct json *v, struct event *out, struct err *e) MUST_CHECK;

void event_free(struct event *ev);

/*
 * The key that identifies the event (docs/spool.md, Identity): its id, "n-" and its number, the
 * SHA-256 of its body if it carries its time, else the arrival time and a random part.
 */
enum rc event_key(const struct event *ev, const char *body, size_t n, int64_t now,
    char out[NAME_KEY], struct err *e) MUST_CHECK;

/*
 * What remains of the ids of an erased event: "SALT.DIGEST", from which nobody can tell them,
 * but with which they can be compared.  salt: 16 digits; what follows them is not looked at.
 */
#define EVENT_SALT 16
enum rc event_ids_digest(
    const struct event *ev, const char *salt, char *out, size_t size, struct err *e) MUST_CHECK;

/* A key that never repeats, "t-<time>-<random>". */
void event_arrival_key(int64_t now, char out[NAME_KEY]);

/* "FileStore.Upload: document 2mTe…, client 8Kq…" */
void event_subject(const struct event *ev, char out[EVENT_SUBJECT]);

#endif
