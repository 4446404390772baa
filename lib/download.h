/*
 * SPDX-License-Identifier: ISC
 *
 * download - what downloads of documents have in common, whoever makes them.
 *
 * Where a link and its redirects lead, what is asked for, and whether what came is the
 * document.  Makes no request itself.
 */
#ifndef ARKEN_DOWNLOAD_H
#define ARKEN_DOWNLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "api.h"
#include "digest.h"
#include "err.h"
#include "http.h"
#include "store.h"

#define DOWNLOAD_HOPS 3    /* redirects followed on the way to a document */
#define DOWNLOAD_RELINKS 3 /* fresh links asked for in one try */

/* What the head of an answer says about the bytes. */
struct download {
	struct digest_said said;
	char md5[33];                  /* of what came, "" not known */
	char content_type[STORE_TEXT]; /* as announced */
	char name[STORE_TEXT];         /* the vendor's file name */
};

/*
 * Bytes as they are, to rq->file, with the configuration's limits: what is larger than
 * max_document, or would leave less room than events need, is not taken.
 */
void download_request(const struct conf *c, struct http_request *rq);

/* The room that documents leave to events, in bytes. */
uint64_t download_room(const struct conf *c);

/*
 * May this link be followed?  *u are its parts, source the digest of it without its query,
 * which is new each time.  RC_BAD: not a URL.  RC_DENIED: the guard refuses it.  RC_LATER: no
 * memory.
 */
enum rc download_link(const char *link, const struct guard *g, struct http_url *u,
    char source[HASH_HEX], struct err *e) MUST_CHECK;

/* An absolute Location, or one that begins at the host's root, replaces link; false: neither.
 */
bool download_follow(char link[HTTP_URL], const char *location) MUST_CHECK;

/*
 * A whole answer, its bytes in a file: fill dl, and of *m size, digest, source and ETag.  link:
 * where it came from, "" the API.  RC_LATER: it came compressed, which nobody asked for.
 */
enum rc download_take(const struct http_answer *a, const char *link, const char *source,
    struct download *dl, struct store_meta *m, struct err *e) MUST_CHECK;

/*
 * Is what is in the file the document?  Completes m->sha256, ->suffix, ->media_type, ->original
 * and ->warning.  before: what was said of the try before this one; one that looks cut is the
 * document, odd as it is, if the host's digest says so or the same bytes came before.  Anything
 * but RC_OK: no; with *content the bytes are wrong, else they could not be looked at.  Reads
 * all of the file unless m->sha256 and dl->md5 are known.
 */
enum rc download_check(int fd, struct download *dl, const char *before, struct store_meta *m,
    bool *content, struct err *e) MUST_CHECK;

/* Does an answer look like a record, or like a page about an error, by its type or bytes? */
bool download_is_message(const char *type, const char *p, size_t n) MUST_CHECK;

/*
 * Keep the record that an answer of the API is, unless the one in the store is newer:
 * RC_EXISTS. RC_GONE: the object has a tombstone.
 */
enum rc download_record(struct store *st, const struct conf *c, const struct event *ev,
    const struct store_place *at, const char *body, size_t n, struct err *e) MUST_CHECK;

#endif
