/*
 * SPDX-License-Identifier: ISC
 *
 * store - what was fetched: records and documents, one folder an object.
 *
 * store/<account>/<Category>/<hash id>/ holds record.json, document.<ext>,
 * document.json, deleted.json and versions/.  Every write is all or nothing and
 * doing it twice changes nothing.  Names in it are ours; a peer gives at most a suffix.
 *
 * Several threads and processes of its owner may use a store at once.  What changes an object
 * (store_record, store_tombstone, store_confirm, store_commit) does so under a lock of that
 * object, so one change is whole before the next looks; whoever waits for it in vain gets
 * RC_LATER.  Temporary files have names of their own and are locked while they are written to,
 * so a store_open beside them leaves them alone.
 */
#ifndef ARKEN_STORE_H
#define ARKEN_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "hash.h"
#include "name.h"

#define STORE_SUFFIX 12 /* ".docx" and the like */
#define STORE_TEXT 256

struct store;

struct store_place { /* one object; the texts are borrowed */
	const char *account;
	const char *category;
	const char *object; /* api_object */
};

struct store_doc { /* a document on its way in */
	int fd;    /* read and write */
	char tmp[NAME_SIZE + 8];
};

/* What the beginning of a document is the beginning of: enough to go on with it. */
struct store_part {
	char etag[STORE_TEXT]; /* strong */
	char source[HASH_HEX]; /* digest of where it came from, without the query */
	uint64_t have, whole;  /* bytes; whole 0: not known */
};

struct store_meta {
	char sha256[HASH_HEX];
	uint64_t size;
	char media_type[STORE_TEXT];
	char suffix[STORE_SUFFIX]; /* with its dot, or "" */
	char original[STORE_TEXT]; /* the vendor's file name, for people only */
	char event[NAME_SIZE];     /* the event that brought it */
	char etag[STORE_TEXT];     /* as its host gave it, "" none */
	char source[HASH_HEX];     /* digest of where it came from, without the query */
	char warning[STORE_TEXT];  /* what is odd about it, "" nothing */
	int64_t event_time;        /* when that event was received */
	int64_t stored;            /* when these bytes came first */
	int64_t fetched;           /* when its host last said that this is the document */
};

/*
 * The store's folder, made if it is not there.  Removes what a crash left half written, but
 * what was put aside by store_keep.
 */
enum rc store_open(const char *path, struct store **st, struct err *e) MUST_CHECK;
void store_close(struct store **st);

/* The store beside a running daemon: nothing is made, and what is on its way is left alone. */
enum rc store_join(const char *path, struct store **st, struct err *e) MUST_CHECK;

struct store_object { /* a folder found in the store */
	char account[NAME_ACCOUNT], category[NAME_WORD], folder[NAME_FOLDER];
	int dir; /* borrowed, for the call only */
};

/* Call fn for each object, in no particular order, until it returns false. */
enum rc store_walk(struct store *st, bool (*fn)(const struct store_object *, void *), void *arg,
    struct err *e) MUST_CHECK;

struct store_erased { /* how much was removed */
	uint64_t objects, files, bytes;
};

/*
 * Remove an object whole, tombstone and versions too; added to n.  RC_GONE: it is not there.
 * RC_LATER: another program is changing it.
 */
enum rc store_erase(struct store *st, const struct store_object *o, struct store_erased *n,
    struct err *e) MUST_CHECK;

/* Keep a record verbatim.  RC_GONE: the object has a tombstone, nothing was written. */
enum rc store_record(struct store *st, const struct store_place *at, const char *body, size_t n,
    struct err *e) MUST_CHECK;

/* The record that is kept, appended to b.  RC_GONE: none, or the object has a tombstone. */
enum rc store_read_record(
    struct store *st, const struct store_place *at, struct buf *b, struct err *e) MUST_CHECK;

/*
 * Leave a tombstone: the object was deleted at the vendor.  With clear, whatever else is there
 * is removed then; else it stays.
 */
enum rc store_tombstone(struct store *st, const struct store_place *at, const char *event,
    int64_t now, bool clear, struct err *e) MUST_CHECK;

/* Is there a document of this object?  RC_GONE: no.  *meta tells which. */
enum rc store_document(struct store *st, const struct store_place *at, struct store_meta *meta,
    struct err *e) MUST_CHECK;

/* A temporary file on the store's file system for a document that is coming. */
enum rc store_begin(struct store *st, struct store_doc *doc, struct err *e) MUST_CHECK;
void store_abort(struct store *st, struct store_doc *doc);

/*
 * Put what came of a document aside under the event's name, to be gone on with by a later try,
 * in this process or the next: synced first.  *doc is used up, whatever comes back.
 */
enum rc store_keep(struct store *st, struct store_doc *doc, const char *name,
    const struct store_part *part, struct err *e) MUST_CHECK;

/*
 * Take up what store_keep put aside, if it came from there; then nothing is left aside.
 * RC_GONE: nothing that is usable, doc->fd is -1.
 */
enum rc store_resume(struct store *st, const char *name, const char *source,
    struct store_doc *doc, struct store_part *part, struct err *e) MUST_CHECK;

/* Nobody will go on with it. */
void store_forget(struct store *st, const char *name);

/* Remove what lies there half done since before that time (wall clock). */
void store_sweep(struct store *st, int64_t before);

/*
 * Sync the file and make it the object's document; an older one of other content goes to
 * versions/EVENT.DIGITS.<ext>, DIGITS being the first 16 of its SHA-256.  RC_EXISTS: the same
 * content is there already (only etag, source and fetched of its description are renewed).
 * RC_GONE: the object has a tombstone.  *doc is used up, whatever comes back.
 */
enum rc store_commit(struct store *st, const struct store_place *at, struct store_doc *doc,
    const struct store_meta *meta, struct err *e) MUST_CHECK;

/* The host says that the document is still the one that is there. */
enum rc store_confirm(
    struct store *st, const struct store_place *at, int64_t now, struct err *e) MUST_CHECK;

/* The folder of an object below the store, for people: "acme/Client/8Kq…". */
enum rc store_where(
    const struct store_place *at, char *out, size_t size, struct err *e) MUST_CHECK;

#endif
