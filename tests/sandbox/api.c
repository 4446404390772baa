/*
 * SPDX-License-Identifier: ISC
 *
 * api - the token endpoint and the API, as far as they are known.
 *
 * The order of a gateway: path and verb, token, account, object.  Answers are
 * the vendor's guesses made flesh; nothing here checks what a client stores.
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "emit.h"
#include "json.h"

#define ROWS_MAX 50
#define VALUE_MAX 512

/* A call in work. */
struct call {
	struct sandbox *sb;
	struct http_req *q;
	struct http_reply *r;
	const struct fault *fault; /* NULL: none */
};

typedef void method(struct call *c);

static void
status(struct call *c, unsigned code, const char *message)
{
	http_json(c->r, code, "{\"message\":\"%s\"}", message);
}

static bool
param(const struct call *c, const char *name, char *out, size_t size)
{
	return query_get(http_query(c->q), name, out, size);
}

static void
json_type(struct call *c)
{
	c->r->status = 200;
	http_set(c->r, "Content-Type", "application/json; charset=utf-8");
}

/* The living object a parameter names, or 0 and the answer. */
static uint32_t
object(struct call *c, enum obj_type type, const char *name)
{
	char id[VALUE_MAX];
	uint32_t i;

	if (!param(c, name, id, sizeof(id))) {
		http_json(c->r, 400, "{\"message\":\"%s is required\"}", name);
		return 0;
	}
	i = world_find(c->sb->world, type, id);
	if (i != 0 && !world_get(c->sb->world, type, i)->gone)
		return i;
	status(c, 404, "Not Found");
	return 0;
}

static void
account_get(struct call *c)
{
	json_type(c);
	world_account(c->sb->world, &c->r->body);
}

static void
client_get(struct call *c)
{
	uint32_t i = object(c, OBJ_CLIENT, "clientHashId");

	if (i == 0)
		return;
	json_type(c);
	world_client(c->sb->world, i, &c->r->body);
}

static void
user_get(struct call *c)
{
	uint32_t i = object(c, OBJ_USER, "userHashId");

	if (i == 0)
		return;
	json_type(c);
	world_user(c->sb->world, i, &c->r->body);
}

static void
document_get(struct call *c)
{
	uint32_t i = object(c, OBJ_DOCUMENT, "documentHashId");

	if (i == 0)
		return;
	json_type(c);
	world_document(c->sb->world, i, &c->r->body);
}

static void
client_delete(struct call *c)
{
	uint32_t i = object(c, OBJ_CLIENT, "clientHashId");

	if (i == 0)
		return;
	emit_one(c->sb, CLIENT_DELETE, OBJ_CLIENT, i);
	c->r->status = 204;
}

static void
document_delete(struct call *c)
{
	uint32_t i = object(c, OBJ_DOCUMENT, "documentHashId");

	if (i == 0)
		return;
	emit_one(c->sb, DOCUMENT_DELETE, OBJ_DOCUMENT, i);
	c->r->status = 204;
}

/* All documents of a client, each with its event. */
static void
documents_delete(struct call *c)
{
	uint32_t client = object(c, OBJ_CLIENT, "clientHashId");
	const struct obj *o;
	uint32_t i;

	if (client == 0)
		return;
	for (i = 1; (o = world_get(c->sb->world, OBJ_DOCUMENT, i)) != NULL; i++) {
		if (o->owner == client && !o->gone)
			emit_one(c->sb, DOCUMENT_DELETE, OBJ_DOCUMENT, i);
	}
	c->r->status = 204;
}

/* What there is about a client's documents. */
static void
documents_get(struct call *c)
{
	uint32_t client = object(c, OBJ_CLIENT, "clientHashId");
	bool object_form = strcmp(c->sb->opt.envelope, "object") == 0, more = false;
	struct buf *out = &c->r->body;
	const struct obj *o;
	uint32_t i;

	if (client == 0)
		return;
	json_type(c);
	buf_str(out, object_form ? "{\"documents\":[" : "[");
	for (i = 1; (o = world_get(c->sb->world, OBJ_DOCUMENT, i)) != NULL; i++) {
		if (o->owner != client || o->gone)
			continue;
		if (more)
			buf_str(out, ",");
		world_document(c->sb->world, i, out);
		more = true;
	}
	buf_str(out, object_form ? "]}" : "]");
}

/* By documentHashId or, within the client if one is named, by key. */
static uint32_t
file_find(struct call *c)
{
	struct world *w = c->sb->world;
	char text[VALUE_MAX];
	const struct obj *o;
	uint32_t i = 0;

	if (param(c, "documentHashId", text, sizeof(text)))
		i = world_find(w, OBJ_DOCUMENT, text);
	else if (param(c, "key", text, sizeof(text)))
		i = world_by_name(w, text);
	else {
		status(c, 400, "documentHashId or key is required");
		return 0;
	}
	o = world_get(w, OBJ_DOCUMENT, i);
	if (o == NULL || o->gone || o->file == 0 ||
	    (param(c, "clientHashId", text, sizeof(text)) &&
		strcmp(world_get(w, OBJ_CLIENT, o->owner)->id, text) != 0)) {
		status(c, 404, "Not Found");
		return 0;
	}
	return i;
}

static void
file_details(struct call *c, uint32_t document, const char *link)
{
	struct world *w = c->sb->world;
	const struct obj *o = world_get(w, OBJ_DOCUMENT, document);
	const struct file *f = world_file(w, o->file);
	struct buf *out = &c->r->body;
	char name[NAME_SIZE], when[TIME_SIZE];

	world_file_name(w, document, name);
	time_iso(when, f->made * 1000000, 0);
	json_type(c);
	buf_fmt(out,
	    "{\"hashId\":\"%s\",\"documentHashId\":\"%s\",\"clientHashId\":\"%s\","
	    "\"fileName\":\"%s\",\"contentType\":\"application/pdf\",\"size\":%llu,"
	    "\"version\":%u,\"documentType\":\"%s\",\"createdOn\":\"%s\",",
	    o->id, o->id, world_get(w, OBJ_CLIENT, o->owner)->id, name,
	    (unsigned long long)f->size, f->version, world_document_type(w, document), when);
	buf_json(out, c->sb->opt.link_member);
	buf_str(out, ":");
	buf_json(out, link);
	buf_str(out, "}");
}

static void
file_bytes(struct call *c, uint32_t file)
{
	struct pdf *pdf = mem_new(1, sizeof(*pdf));

	world_pdf(c->sb->world, file, pdf);
	c->r->status = 200;
	c->r->read = pdf_read;
	c->r->ctx = pdf;
	c->r->size = world_file(c->sb->world, file)->size;
	http_set(c->r, "Content-Type", "application/pdf");
}

static void
file_get(struct call *c)
{
	const struct sandbox *sb = c->sb;
	uint32_t i = file_find(c), file;
	long long life = sb->opt.link_life;
	struct buf link;

	if (i == 0)
		return;
	file = world_get(sb->world, OBJ_DOCUMENT, i)->file;
	if (c->fault != NULL && c->fault->what == DO_EXPIRE)
		life = -1;
	buf_init(&link, HTTP_VALUE_MAX - 1);
	documents_link(c->sb, file, life, &link);
	if (strcmp(sb->opt.filestore, "redirect") == 0) {
		c->r->status = 302;
		http_set(c->r, "Location", link.p);
	} else if (strcmp(sb->opt.filestore, "bytes") == 0) {
		file_bytes(c, file);
	} else {
		file_details(c, i, link.p);
	}
	buf_free(&link);
}

static void
feed_info(struct call *c)
{
	struct sandbox *sb = c->sb;
	uint32_t last = feed_last(sb->feed);

	if (last == 0) {
		c->r->status = 204;
		return;
	}
	json_type(c);
	buf_fmt(&c->r->body,
	    "{\"feedLink\":\"%s/event?accountHashId=%s\",\"lastEventNumber\":%u,"
	    "\"lastEntryFeed\":",
	    sb->api_url, sb->opt.account, last);
	shape_write(sb, feed_get(sb->feed, last), SHAPE_feed, &c->r->body);
	buf_str(&c->r->body, "}");
}

/* First, number and direction of a page; false: answered. */
static bool
page_read(struct call *c, long long *from, long long *rows, bool *back)
{
	char text[64];

	*rows = ROWS_MAX;
	*back = !param(c, "direction", text, sizeof(text)) || strcasecmp(text, "backward") == 0;
	if (!*back && strcasecmp(text, "forward") != 0) {
		status(c, 400, "direction must be backward or forward");
		return false;
	}
	if (param(c, "rowsReturned", text, sizeof(text)) &&
	    !num_parse(text, 1, 1000000, rows)) {
		status(c, 400, "rowsReturned must be a number");
		return false;
	}
	*rows = *rows > ROWS_MAX ? ROWS_MAX : *rows;
	*from = *back ? feed_last(c->sb->feed) : 1;
	if (param(c, "eventPositionFrom", text, sizeof(text)) &&
	    !num_parse(text, 0, UINT32_MAX, from)) {
		status(c, 400, "eventPositionFrom must be a number");
		return false;
	}
	return true;
}

static void
feed_page(struct call *c)
{
	struct sandbox *sb = c->sb;
	bool object_form = strcmp(sb->opt.envelope, "object") == 0, back;
	long long from, rows, last = feed_last(sb->feed), n;
	struct buf *out = &c->r->body;

	if (!page_read(c, &from, &rows, &back))
		return;
	if (back && from > last)
		from = last;
	if (!back && from < 1)
		from = 1;
	if (from < 1 || from > last) {
		c->r->status = 204;
		return;
	}
	json_type(c);
	buf_str(out, object_form ? "{\"entries\":[" : "[");
	for (n = 0; n < rows && from >= 1 && from <= last; n++, from += back ? -1 : 1) {
		if (n > 0)
			buf_str(out, ",");
		shape_write(sb, feed_get(sb->feed, (uint32_t)from), SHAPE_feed, out);
	}
	buf_str(out, object_form ? "]}" : "]");
}

static void
subs_answer(struct call *c, unsigned code)
{
	json_type(c);
	c->r->status = code;
	subs_json(&c->sb->subs, c->sb->opt.account, &c->r->body);
}

static void
subs_get(struct call *c)
{
	if (!c->sb->subs.there)
		status(c, 404, "Not Found");
	else
		subs_answer(c, 200);
}

static void
subs_put(struct call *c)
{
	bool post = strcmp(http_method(c->q), "POST") == 0, there = c->sb->subs.there;
	const char *body;
	char why[256];
	size_t n;

	if (post && there) {
		status(c, 409, "a subscription exists");
		return;
	}
	if (!post && !there) {
		status(c, 404, "Not Found");
		return;
	}
	body = http_body(c->q, &n);
	if (!subs_read(&c->sb->subs, body, n, c->sb->opt.account, why, sizeof(why))) {
		status(c, strncmp(why, "unknown", 7) == 0 ? 404 : 400, why);
		return;
	}
	if (post)
		count_add(c->sb->count, COUNT_subscriptions, 1);
	subs_answer(c, post ? 201 : 200);
}

static void
subs_delete(struct call *c)
{
	if (!c->sb->subs.there) {
		status(c, 404, "Not Found");
		return;
	}
	c->sb->subs.there = false;
	c->sb->subs.revision++;
	count_add(c->sb->count, COUNT_subscriptions, -1);
	c->r->status = 204;
}

static const struct route {
	const char *path, *verb;
	method *call;
	enum counter counter;
	enum fault_on on;
	bool own_account; /* the account is in the body */
} routes[] = {
    {"/account", "GET", account_get, COUNT_api_account, ON_API, false},
    {"/client", "GET", client_get, COUNT_api_client, ON_API, false},
    {"/client", "DELETE", client_delete, COUNT_api_client, ON_API, false},
    {"/documentdata", "GET", document_get, COUNT_api_documentdata, ON_API, false},
    {"/documentdata", "DELETE", document_delete, COUNT_api_documentdata, ON_API, false},
    {"/documentdata/account/client", "GET", documents_get, COUNT_api_documentdata, ON_API,
	false},
    {"/documentdata/account/client", "DELETE", documents_delete, COUNT_api_documentdata, ON_API,
	false},
    {"/user", "GET", user_get, COUNT_api_user, ON_API, false},
    {"/filestore", "GET", file_get, COUNT_api_filestore, ON_API, false},
    {"/event", "GET", feed_page, COUNT_api_feed, ON_FEED, false},
    {"/event/info", "GET", feed_info, COUNT_api_feed, ON_FEED, false},
    {"/event/subscription", "GET", subs_get, COUNT_api_subscription, ON_API, false},
    {"/event/subscription", "POST", subs_put, COUNT_api_subscription, ON_API, true},
    {"/event/subscription", "PUT", subs_put, COUNT_api_subscription, ON_API, true},
    {"/event/subscription", "DELETE", subs_delete, COUNT_api_subscription, ON_API, false},
};

static const struct route *
route(const struct call *c)
{
	const char *path = http_path(c->q), *prefix = c->sb->opt.prefix;
	size_t n = strlen(prefix), i;

	if (strncmp(path, prefix, n) != 0)
		return NULL;
	for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (strcasecmp(path + n, routes[i].path) == 0 &&
		    strcmp(http_method(c->q), routes[i].verb) == 0)
			return &routes[i];
	}
	return NULL;
}

static void
api_call(struct call *c, const struct route *at)
{
	char hash[VALUE_MAX];

	if (!token_valid(&c->sb->tokens, http_field(c->q, "Authorization"))) {
		status(c, 401, "Unauthorized");
		return;
	}
	if (!at->own_account) {
		if (!param(c, "accountHashId", hash, sizeof(hash))) {
			status(c, 400, "accountHashId is required");
			return;
		}
		if (strcmp(hash, c->sb->opt.account) != 0) {
			status(c, 404, "Not Found");
			return;
		}
	}
	at->call(c);
}

/* A form's or a JSON object's member. */
static bool
credential(const struct json *j, const char *body, const char *name, char *out, size_t size)
{
	return j != NULL ? json_text(j, name, out, size)
			 : body != NULL && query_get(body, name, out, size);
}

static void
refuse(struct call *c, unsigned code, const char *error, const char *why)
{
	count_add(c->sb->count, COUNT_token_refused, 1);
	http_json(c->r, code, "{\"error\":\"%s\",\"error_description\":\"%s\"}", error, why);
}

static void
token_post(struct call *c)
{
	const struct opt *o = &c->sb->opt;
	char id[VALUE_MAX], secret[VALUE_MAX], audience[VALUE_MAX], grant[VALUE_MAX];
	const char *type = http_field(c->q, "Content-Type"), *body;
	bool form = type != NULL &&
		    strncasecmp(type, "application/x-www-form-urlencoded", 33) == 0;
	struct json *j;
	size_t n;

	body = http_body(c->q, &n);
	j = form ? NULL : json_parse(body, n);
	if (!form && j == NULL) {
		refuse(c, 400, "invalid_request", "Malformed JSON body");
		return;
	}
	credential(j, body, "client_id", id, sizeof(id));
	credential(j, body, "client_secret", secret, sizeof(secret));
	credential(j, body, "audience", audience, sizeof(audience));
	credential(j, body, "grant_type", grant, sizeof(grant));
	json_free(&j);
	if (strcmp(grant, "client_credentials") != 0)
		refuse(c, 403, "unsupported_grant_type", "Unsupported grant type");
	else if (strcmp(id, o->client_id) != 0 || !text_same(secret, o->client_secret))
		refuse(c, 401, "access_denied", "Unauthorized");
	else if (strcmp(audience, o->audience) != 0)
		refuse(c, 403, "access_denied", "Service not found");
	else
		http_json(c->r, 200,
		    "{\"access_token\":\"%s\",\"scope\":\"read:all\",\"expires_in\":%lld,"
		    "\"token_type\":\"Bearer\"}",
		    token_make(&c->sb->tokens, (uint64_t)o->seed, audience, o->token_life),
		    o->token_life);
}

/* Run the call unless a fault stands in for it, then let it go wrong. */
static void
with_fault(struct call *c, enum fault_on on, const struct route *at)
{
	struct fault f;
	bool hit;

	if ((hit = fault_take(&c->sb->faults, on, http_uri(c->q), &f))) {
		count_add(c->sb->count, COUNT_faults, 1);
		c->fault = &f;
	}
	if (!hit || !fault_answers(&f)) {
		if (at != NULL)
			api_call(c, at);
		else
			token_post(c);
	}
	if (hit)
		fault_apply(&f, c->r);
	c->fault = NULL;
}

static void
count_answer(struct call *c)
{
	if (c->r->status == 401)
		count_add(c->sb->count, COUNT_api_401, 1);
	if (c->r->status == 403)
		count_add(c->sb->count, COUNT_api_403, 1);
	if (c->r->status == 404)
		count_add(c->sb->count, COUNT_api_404, 1);
}

void
api_handle(void *arg, struct http_req *q, struct http_reply *r)
{
	struct sandbox *sb = arg;
	struct call c = {.sb = sb, .q = q, .r = r};
	const struct route *at;

	pthread_mutex_lock(&sb->lock);
	if (strcmp(http_path(q), "/oauth/token") == 0 && strcmp(http_method(q), "POST") == 0) {
		with_fault(&c, ON_TOKEN, NULL);
		count_add(sb->count, COUNT_tokens, 1);
		pthread_mutex_unlock(&sb->lock);
		return;
	}
	if ((at = route(&c)) != NULL)
		with_fault(&c, at->on, at);
	else
		status(&c, 403, "Missing Authentication Token");
	count_answer(&c);
	if (at != NULL)
		count_add(sb->count, at->counter, 1);
	count_add(sb->count, COUNT_api_total, 1);
	pthread_mutex_unlock(&sb->lock);
}
