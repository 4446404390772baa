/*
 * SPDX-License-Identifier: ISC
 *
 * shape - how an event is written down: the feed's entry and its variations.
 *
 * The same event in the same shape is always the same bytes.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sandbox.h"

#define STREAM_LINK 0x6c696e6b
#define STREAM_TEXT 0x74657874
#define STREAM_KIND 0x6b696e64

/* What is being written: which members, in which case. */
struct pen {
	const struct sandbox *sb;
	const struct event *e;
	enum shape shape;
	bool upper, lower;
	bool first;
	struct buf *out;
};

static const char *const names[SHAPE_N] = {
#define X(name) #name,
    SHAPES(X)
#undef X
};

enum shape
shape_named(const char *name)
{
	size_t i;

	for (i = 0; i < SHAPE_N; i++) {
		if (strcmp(names[i], name) == 0)
			break;
	}
	return (enum shape)i;
}

const char *
shape_name(enum shape s)
{
	return names[s];
}

void
shape_kind(const struct sandbox *sb, const struct event *e, char category[NAME_SIZE],
    char type[NAME_SIZE])
{
	uint64_t r = draw((uint64_t)sb->opt.seed, STREAM_KIND, e->number) % 3;

	text_copy(category, NAME_SIZE, kind_category((enum kind)e->kind));
	text_copy(type, NAME_SIZE, kind_type((enum kind)e->kind));
	if (e->shape == SHAPE_getfiledetail && e->kind == FILE_DOWNLOAD)
		text_copy(type, NAME_SIZE, "GetFileDetail");
	if (e->shape == SHAPE_unknown && r == 0)
		text_copy(category, NAME_SIZE, "Beneficiary");
	if (e->shape == SHAPE_unknown && r == 1)
		text_copy(type, NAME_SIZE, "Archive");
}

static void
name_put(struct pen *p, const char *name)
{
	char first = name[0];

	if (p->upper && first >= 'a' && first <= 'z')
		first = (char)(first - 'a' + 'A');
	if (p->lower && first >= 'A' && first <= 'Z')
		first = (char)(first - 'A' + 'a');
	if (!p->first)
		buf_str(p->out, ",");
	p->first = false;
	buf_fmt(p->out, "\"%c%s\":", first, name + 1);
}

static void
member(struct pen *p, const char *name, const char *value)
{
	name_put(p, name);
	buf_json(p->out, value);
}

static const char *
id_of(const struct pen *p, enum obj_type type)
{
	const struct event *e = p->e;
	const struct obj *o;
	uint32_t i = 0;

	if (type == OBJ_CLIENT)
		i = e->client;
	else if (type == OBJ_USER)
		i = e->user;
	else if (type == OBJ_DOCUMENT)
		i = e->document;
	o = world_get(p->sb->world, type, i);
	return o != NULL ? o->id : NULL;
}

static void
ids(struct pen *p, void (*each)(struct pen *, const char *, const char *))
{
	static const struct {
		const char *name;
		enum obj_type type;
	} own[] = {{"clientHashId", OBJ_CLIENT}, {"documentHashId", OBJ_DOCUMENT},
	    {"userHashId", OBJ_USER}};
	const char *id;
	size_t i;

	each(p, "accountHashId", p->sb->opt.account);
	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if ((id = id_of(p, own[i].type)) != NULL)
			each(p, own[i].name, id);
	}
}

static void
property(struct pen *p, const char *key, const char *value)
{
	if (!p->first)
		buf_str(p->out, ",");
	p->first = true;
	buf_str(p->out, "{");
	member(p, "Key", key);
	member(p, "Value", value);
	buf_str(p->out, "}");
	p->first = false;
}

/* Dates in properties are local text, in more than one format. */
static void
property_date(struct pen *p)
{
	time_t s = (time_t)(p->e->utc_us / 1000000) + 13 * 3600;
	char text[64];
	struct tm tm;
	uint64_t r = draw((uint64_t)p->sb->opt.seed, STREAM_TEXT, p->e->number) % 3;

	gmtime_r(&s, &tm);
	if (r == 0)
		strftime(text, sizeof(text), "%d/%m/%Y %I:%M:%S %p", &tm);
	else if (r == 1)
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm);
	else
		strftime(text, sizeof(text), "%A, %d %B %Y", &tm);
	property(p, "UpdatedOn", text);
}

static void
property_id(struct pen *p, const char *name, const char *id)
{
	char key[NAME_SIZE];

	text_copy(key, sizeof(key), name);
	if (!p->lower)
		key[0] = (char)(key[0] - 'a' + 'A');
	property(p, key, id);
}

/* key_only: the link names the document by its file name alone. */
static void
properties(struct pen *p, bool key_only)
{
	const struct event *e = p->e;

	name_put(p, "properties");
	buf_str(p->out, "[");
	p->first = true;
	if (p->shape == SHAPE_properties)
		ids(p, property_id);
	else if (key_only)
		property_id(p, "documentHashId", id_of(p, OBJ_DOCUMENT));
	if (e->document != 0)
		property(p, "DocumentType", world_document_type(p->sb->world, e->document));
	property_date(p);
	buf_str(p->out, "]");
	p->first = false;
}

/*
 * The API call to make back.  One in four to a file goes by its name, with raw
 * spaces, one in eight of any has no path; true: the file's name is all it has.
 */
static bool
link_put(struct pen *p)
{
	static const char *const paths[][2] = {{"Account", "/account"}, {"Client", "/client"},
	    {"DocumentData", "/documentdata"}, {"User", "/user"}, {"FileStore", "/filestore"}};
	uint64_t r = draw((uint64_t)p->sb->opt.seed, STREAM_LINK, p->e->number);
	const char *category = kind_category((enum kind)p->e->kind), *id;
	char name[NAME_SIZE];
	bool by_name = p->e->file != 0 && r % 4 == 0;
	bool bare = !by_name && r % 8 == 1;
	struct buf b;
	size_t i;

	for (i = 0; strcmp(paths[i][0], category) != 0; i++)
		;
	buf_init(&b, 2 * URL_MAX);
	buf_fmt(&b, "%s%s?accountHashId=%s", p->sb->api_url, bare ? "" : paths[i][1],
	    p->sb->opt.account);
	if ((id = id_of(p, OBJ_CLIENT)) != NULL)
		buf_fmt(&b, "&clientHashId=%s", id);
	if (!by_name && (id = id_of(p, OBJ_DOCUMENT)) != NULL)
		buf_fmt(&b, "&documentHashId=%s", id);
	if ((id = id_of(p, OBJ_USER)) != NULL)
		buf_fmt(&b, "&userHashId=%s", id);
	if (by_name) {
		world_file_name(p->sb->world, p->e->document, name);
		buf_fmt(&b, "&key=%s", name);
	}
	member(p, "link", b.p);
	buf_free(&b);
	return by_name;
}

static void
kind_put(struct pen *p)
{
	char category[NAME_SIZE], type[NAME_SIZE], both[2 * NAME_SIZE];

	shape_kind(p->sb, p->e, category, type);
	if (p->shape == SHAPE_split) {
		member(p, "eventCategory", category);
		member(p, "eventType", type);
		return;
	}
	snprintf(both, sizeof(both), "%s.%s", category, type);
	member(p, "eventType", both);
}

static void
number_put(struct pen *p)
{
	char when[TIME_SIZE];
	uint64_t r = draw((uint64_t)p->sb->opt.seed, STREAM_TEXT, p->e->number);

	name_put(p, "eventNumber");
	buf_fmt(p->out, "%u", p->e->number);
	time_iso(when, p->e->utc_us, (unsigned)(r >> 8) % 8);
	member(p, "eventDateTimeUtc", when);
}

static void
unknown_put(struct pen *p)
{
	member(p, "schema", "beta-2");
	name_put(p, "trace");
	buf_fmt(p->out,
	    "{\"hops\":[1,2,{\"deep\":[null,true]}],\"ratio\":0.25,\"big\":9007199254740993}");
	name_put(p, "labels");
	buf_str(p->out, "[\"\\u00e9t\\u00e9\",\"\xe2\x82\xac\",\"\"]");
}

void
shape_write(const struct sandbox *sb, const struct event *e, enum shape s, struct buf *out)
{
	struct pen p = {.sb = sb, .e = e, .shape = s, .first = true, .out = out};
	char id[GUID_SIZE];
	bool key_only = false;

	p.upper = s == SHAPE_upper;
	p.lower = s == SHAPE_lower;
	buf_str(out, "{");
	if (s != SHAPE_noid && s != SHAPE_notime) {
		id_guid(id, (uint64_t)sb->opt.seed, e->number);
		member(&p, "eventId", id);
	}
	kind_put(&p);
	if (s != SHAPE_notime)
		number_put(&p);
	if (s == SHAPE_direct || s == SHAPE_notime)
		ids(&p, member);
	else if (s != SHAPE_properties)
		key_only = link_put(&p);
	if (s != SHAPE_notime)
		properties(&p, key_only);
	if (s == SHAPE_unknown)
		unknown_put(&p);
	buf_str(out, "}");
}
