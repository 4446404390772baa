/*
 * SPDX-License-Identifier: ISC
 *
 * emit - things happen in the account, and each makes its event.
 *
 * An event always has its object: what an update, a delete or a download needs
 * and is not there is made first, silently.
 */
#include "config.h"

#include <string.h>

#include "emit.h"
#include "send.h"

#define STREAM_EMIT 0x656d6974
#define ARRAY_MAX 5 /* events in one POST */

/* Given, else the newest, else a new one. */
static uint32_t
pick(struct world *w, enum obj_type type, uint32_t given, uint32_t owner)
{
	uint32_t i = given != 0 ? given : world_last(w, type, owner, false);

	if (i == 0 && type == OBJ_DOCUMENT && owner == 0)
		owner = pick(w, OBJ_CLIENT, 0, 0);
	return i != 0 ? i : world_make(w, type, owner);
}

static uint32_t
simple(struct world *w, enum kind kind, enum obj_type type, uint32_t given, uint32_t owner)
{
	const char *what = kind_type(kind);
	uint32_t i;

	if (strcmp(what, "Create") == 0)
		return world_make(w, type, owner);
	i = pick(w, type, given, owner);
	if (strcmp(what, "Update") == 0)
		world_touch(w, type, i);
	else
		world_remove(w, type, i);
	return i;
}

static uint32_t
document(struct world *w, enum kind kind, const struct emit *m)
{
	uint32_t client = m->client;

	if (kind == DOCUMENT_CREATE && client == 0)
		client = pick(w, OBJ_CLIENT, 0, 0);
	return simple(w, kind, OBJ_DOCUMENT, m->document, client);
}

static uint32_t
upload(struct world *w, const struct emit *m)
{
	if (m->document != 0)
		return m->document;
	return world_make(w, OBJ_DOCUMENT, pick(w, OBJ_CLIENT, m->client, 0));
}

static uint32_t
download(struct world *w, const struct emit *m)
{
	uint32_t i = m->document != 0 ? m->document
				      : world_last(w, OBJ_DOCUMENT, m->client, true);

	if (i == 0)
		i = upload(w, m);
	if (world_get(w, OBJ_DOCUMENT, i)->file == 0)
		world_upload(w, i);
	return i;
}

/* The thing itself: what it does to the world, and which objects it names. */
static void
happen(struct world *w, enum kind kind, const struct emit *m, struct event *e)
{
	const char *category = kind_category(kind);

	if (kind == ACCOUNT_UPDATE)
		world_touch_account(w);
	else if (strcmp(category, "Client") == 0)
		e->client = simple(w, kind, OBJ_CLIENT, m->client, 0);
	else if (strcmp(category, "User") == 0)
		e->user = simple(w, kind, OBJ_USER, m->user, 0);
	else if (strcmp(category, "DocumentData") == 0)
		e->document = document(w, kind, m);
	else if (kind == FILE_UPLOAD)
		e->document = upload(w, m);
	else
		e->document = download(w, m);
	if (kind == FILE_UPLOAD)
		e->file = world_upload(w, e->document);
	else if (kind == FILE_DOWNLOAD)
		e->file = world_get(w, OBJ_DOCUMENT, e->document)->file;
	if (e->document != 0)
		e->client = world_get(w, OBJ_DOCUMENT, e->document)->owner;
}

static void
one(struct sandbox *sb, enum kind kind, const struct emit *m)
{
	struct event *e = feed_add(sb->feed);
	enum shape shape = m->shape;

	if (shape == SHAPE_mixed)
		shape = (enum shape)(
		    draw((uint64_t)sb->opt.seed, STREAM_EMIT, e->number) % SHAPE_mixed);
	e->kind = (uint8_t)kind;
	e->shape = (uint8_t)shape;
	happen(sb->world, kind, m, e);
	count_add(sb->count, COUNT_events, 1);
}

/* One of each; what is deleted is other than what is created and updated. */
static void
all(struct sandbox *sb, const struct emit *m)
{
	static const enum kind order[] = {ACCOUNT_UPDATE, CLIENT_CREATE, CLIENT_UPDATE,
	    USER_CREATE, USER_UPDATE, DOCUMENT_CREATE, DOCUMENT_UPDATE, FILE_UPLOAD,
	    FILE_DOWNLOAD, DOCUMENT_DELETE, USER_DELETE, CLIENT_DELETE};
	struct emit now = *m, gone = *m;
	size_t i;

	gone.client = world_make(sb->world, OBJ_CLIENT, 0);
	gone.user = world_make(sb->world, OBJ_USER, 0);
	gone.document = world_make(sb->world, OBJ_DOCUMENT, gone.client);
	now.client = m->client;
	now.user = now.document = 0;
	for (i = 0; i < KIND_N; i++) {
		one(sb, order[i], strcmp(kind_type(order[i]), "Delete") == 0 ? &gone : &now);
		if (order[i] == CLIENT_CREATE && m->client == 0)
			now.client = feed_get(sb->feed, feed_last(sb->feed))->client;
		if (order[i] == DOCUMENT_CREATE)
			now.document = feed_get(sb->feed, feed_last(sb->feed))->document;
	}
}

/* A living object by chance, or none: then the newest is taken. */
static uint32_t
any(struct sandbox *sb, enum obj_type type, uint64_t r)
{
	uint32_t n = world_number(sb->world, type);
	uint32_t i = n > 0 ? (uint32_t)(r % n) + 1 : 0;

	return i != 0 && !world_get(sb->world, type, i)->gone ? i : 0;
}

static void
mixed(struct sandbox *sb, const struct emit *m)
{
	static const enum kind often[] = {CLIENT_CREATE, CLIENT_UPDATE, CLIENT_UPDATE,
	    DOCUMENT_CREATE, DOCUMENT_UPDATE, DOCUMENT_UPDATE, FILE_UPLOAD, FILE_UPLOAD,
	    FILE_DOWNLOAD, USER_UPDATE};
	uint64_t r = draw((uint64_t)sb->opt.seed, STREAM_EMIT + 1, feed_last(sb->feed));
	size_t k = r % (KIND_N + sizeof(often) / sizeof(often[0]));
	enum kind kind = k < KIND_N ? (enum kind)k : often[k - KIND_N];
	struct emit now = *m;

	r >>= 8;
	if (now.client == 0)
		now.client = any(sb, OBJ_CLIENT, r);
	now.user = any(sb, OBJ_USER, r);
	now.document = kind == FILE_UPLOAD && r % 3 != 0 ? 0 : any(sb, OBJ_DOCUMENT, r);
	if (kind == FILE_DOWNLOAD)
		now.document = 0;
	one(sb, kind, &now);
}

/* To the sender, if there is a subscriber; array-shaped neighbours together. */
static void
deliver(struct sandbox *sb, uint32_t first, uint32_t last, const struct emit *m)
{
	struct event *e;
	uint32_t i, n;
	unsigned copy;

	for (i = first; i <= last; i += n) {
		n = 1;
		e = feed_get(sb->feed, i);
		while (e->shape == SHAPE_array && n < ARRAY_MAX && i + n <= last &&
		       feed_get(sb->feed, i + n)->shape == SHAPE_array)
			n++;
		if (m->keep || !sb->subs.there) {
			count_add(sb->count, COUNT_abandoned, n);
			continue;
		}
		for (copy = 0; copy <= m->duplicate; copy++)
			send_queue(sb->sender, i, n);
	}
	send_wake(sb->sender);
}

uint32_t
emit(struct sandbox *sb, const struct emit *m, unsigned count)
{
	uint32_t first = feed_last(sb->feed) + 1;
	uint32_t need = m->what == EMIT_ALL ? EMIT_ALL_N : 1;
	unsigned i;

	if (count > feed_room(sb->feed) / need)
		return 0;
	for (i = 0; i < count; i++) {
		if (m->what == EMIT_ALL)
			all(sb, m);
		else if (m->what == EMIT_MIXED)
			mixed(sb, m);
		else
			one(sb, m->kind, m);
	}
	deliver(sb, first, feed_last(sb->feed), m);
	return first;
}

void
emit_one(struct sandbox *sb, enum kind kind, enum obj_type type, uint32_t object)
{
	struct emit m;

	memset(&m, 0, sizeof(m));
	m.what = EMIT_ONE;
	m.kind = kind;
	m.shape = shape_named(sb->opt.shape);
	if (type == OBJ_CLIENT)
		m.client = object;
	else if (type == OBJ_USER)
		m.user = object;
	else
		m.document = object;
	(void)emit(sb, &m, 1);
}
