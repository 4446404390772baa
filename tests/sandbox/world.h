/*
 * SPDX-License-Identifier: ISC
 *
 * world - the made-up account: its clients, users, documents and files.
 *
 * Objects are numbered from 1 and never forgotten; 0 is no object.  Names are
 * invented and numbered.  Not locked: see sandbox.h.
 */
#ifndef SANDBOX_WORLD_H
#define SANDBOX_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto.h"
#include "pdf.h"
#include "util.h"

enum obj_type { OBJ_CLIENT, OBJ_USER, OBJ_DOCUMENT, OBJ_N };

struct obj {
	char id[ID_SIZE];
	bool gone;
	uint32_t owner; /* the client of a document */
	uint32_t file;  /* the document's newest file */
	uint32_t version;
	int64_t created, updated; /* UTC seconds */
};

struct file {
	uint32_t document, version;
	uint64_t size;
	int64_t made;
	char sha[SHA_SIZE], md5[MD5_SIZE];
};

struct world;

struct world *world_new(uint64_t seed, const char *account, uint64_t document_size);
void world_free(struct world **w);

/* owner: of a document. */
uint32_t world_make(struct world *w, enum obj_type type, uint32_t owner);
void world_touch(struct world *w, enum obj_type type, uint32_t i);
void world_remove(struct world *w, enum obj_type type, uint32_t i);
/* Borrowed until the next one is made. */
const struct obj *world_get(const struct world *w, enum obj_type type, uint32_t i);
/* By hash id, gone ones too; 0: none. */
uint32_t world_find(const struct world *w, enum obj_type type, const char *id);
/* The newest that is not gone; of that owner, and with a file, if asked; 0: none. */
uint32_t world_last(struct world *w, enum obj_type type, uint32_t owner, bool file);
uint32_t world_number(const struct world *w, enum obj_type type);

/* A new version of the document's file: its number. */
uint32_t world_upload(struct world *w, uint32_t document);
const struct file *world_file(const struct world *w, uint32_t file);
void world_pdf(const struct world *w, uint32_t file, struct pdf *out);
void world_file_name(const struct world *w, uint32_t document, char out[NAME_SIZE]);
/* The living document with that file name; 0: none. */
uint32_t world_by_name(const struct world *w, const char *name);
const char *world_document_type(const struct world *w, uint32_t document);

/* The answers of GET /account, /client, /user and /documentdata. */
void world_account(const struct world *w, struct buf *out);
void world_touch_account(struct world *w);
void world_client(const struct world *w, uint32_t i, struct buf *out);
void world_user(const struct world *w, uint32_t i, struct buf *out);
void world_document(const struct world *w, uint32_t i, struct buf *out);

#endif
