/*
 * SPDX-License-Identifier: ISC
 *
 * feed - every event that was ever made, by its number, and how it fared.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"
#include "util.h"

struct feed {
	struct event *e;
	uint32_t n, cap, max;
};

static const struct {
	const char *category, *type;
} kinds[KIND_N] = {
    [ACCOUNT_UPDATE] = {"Account", "Update"},
    [CLIENT_CREATE] = {"Client", "Create"},
    [CLIENT_UPDATE] = {"Client", "Update"},
    [CLIENT_DELETE] = {"Client", "Delete"},
    [DOCUMENT_CREATE] = {"DocumentData", "Create"},
    [DOCUMENT_UPDATE] = {"DocumentData", "Update"},
    [DOCUMENT_DELETE] = {"DocumentData", "Delete"},
    [USER_CREATE] = {"User", "Create"},
    [USER_UPDATE] = {"User", "Update"},
    [USER_DELETE] = {"User", "Delete"},
    [FILE_UPLOAD] = {"FileStore", "Upload"},
    [FILE_DOWNLOAD] = {"FileStore", "Download"},
};

struct feed *
feed_new(uint32_t max)
{
	struct feed *f = mem_new(1, sizeof(*f));

	f->max = max;
	return f;
}

void
feed_free(struct feed **f)
{
	if (*f == NULL)
		return;
	free((*f)->e);
	free(*f);
	*f = NULL;
}

struct event *
feed_add(struct feed *f)
{
	struct event *e;

	if (f->n == f->max)
		return NULL;
	if (f->n == f->cap) {
		f->cap = f->cap == 0 ? 1024 : f->cap * 2;
		f->e = mem_grow(f->e, f->cap, sizeof(*f->e));
	}
	e = &f->e[f->n++];
	memset(e, 0, sizeof(*e));
	e->number = f->n;
	e->utc_us = clock_utc_us();
	e->status = -1;
	return e;
}

struct event *
feed_get(struct feed *f, uint32_t number)
{
	return number >= 1 && number <= f->n ? &f->e[number - 1] : NULL;
}

uint32_t
feed_last(const struct feed *f)
{
	return f->n;
}

uint32_t
feed_room(const struct feed *f)
{
	return f->max - f->n;
}

const char *
kind_category(enum kind k)
{
	return kinds[k].category;
}

const char *
kind_type(enum kind k)
{
	return kinds[k].type;
}

enum kind
kind_named(const char *name)
{
	char own[64];
	size_t i;

	for (i = 0; i < KIND_N; i++) {
		snprintf(own, sizeof(own), "%s.%s", kinds[i].category, kinds[i].type);
		if (strcmp(own, name) == 0)
			break;
	}
	return (enum kind)i;
}
