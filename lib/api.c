/*
 * SPDX-License-Identifier: ISC
 *
 * api - which call an event asks for; see api.h.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "api.h"
#include "buf.h"
#include "clk.h"
#include "hash.h"
#include "str.h"

#define API_VISIT 4096 /* values of an answer that are looked at for a link */

static const struct {
	const char *category;
	const char *get;
	const char *object; /* the placeholder without which there is no call */
} defaults[] = {
    {"Account", "/account?accountHashId={accountHashId}", "accountHashId"},
    {"Client", "/client?accountHashId={accountHashId}&clientHashId={clientHashId}",
	"clientHashId"},
    {"DocumentData",
	"/documentdata?accountHashId={accountHashId}&documentHashId={documentHashId}",
	"documentHashId"},
    {"User", "/user?accountHashId={accountHashId}&userHashId={userHashId}", "userHashId"},
    {"FileStore",
	"/filestore?accountHashId={accountHashId}&clientHashId={clientHashId}"
	"&documentHashId={documentHashId}",
	"documentHashId"},
};

#define DEFAULTS (sizeof(defaults) / sizeof(defaults[0]))

bool
api_is_delete(const struct event *ev)
{
	return str_eq(ev->type, "Delete");
}

bool
api_has_document(const struct event *ev)
{
	return str_eq(ev->category, "FileStore") &&
	       (str_eq(ev->type, "Upload") || str_eq(ev->type, "Download"));
}

/* The value of a placeholder; "" when the event does not say. */
static const char *
placeholder(const struct conf_account *a, const struct event *ev, const char *name, size_t n)
{
	const struct {
		const char *name, *value;
	} known[] = {
	    {"accountHashId", ev->account_hash[0] != '\0' || a->hash_id == NULL
				  ? ev->account_hash
				  : a->hash_id},
	    {"clientHashId", ev->client_hash},
	    {"documentHashId", ev->document_hash},
	    {"userHashId", ev->user_hash},
	    {"eventId", ev->id},
	    {"eventNumber", ev->number},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i].name) == n && memcmp(known[i].name, name, n) == 0)
			return known[i].value;
	return "";
}

/* One piece of a template between separators; false: a placeholder in it has no value. */
static bool
fill_piece(struct buf *b, const struct conf_account *a, const struct event *ev, const char *p,
    size_t n)
{
	size_t i = 0;

	while (i < n) {
		const char *end;
		const char *value;

		if (p[i] != '{' || (end = memchr(p + i, '}', n - i)) == NULL) {
			buf_add(b, p + i++, 1);
			continue;
		}
		value = placeholder(a, ev, p + i + 1, (size_t)(end - (p + i)) - 1);
		if (value[0] == '\0')
			return false;
		buf_url(b, value);
		i = (size_t)(end - p) + 1;
	}
	return true;
}

/* A parameter whose placeholder has no value is left out; the path must be whole. */
static enum rc
fill(struct buf *b, const struct conf_account *a, const struct event *ev, const char *get,
    struct err *e)
{
	size_t n = strcspn(get, "?");
	char mark = '?';

	if (!fill_piece(b, a, ev, get, n))
		return err_set(e, RC_BAD, "the event does not say what the call's path needs");
	get += n;
	while (*get != '\0') {
		size_t before = b->n + 1;

		get++;
		n = strcspn(get, "&");
		buf_add(b, &mark, 1);
		if (fill_piece(b, a, ev, get, n)) {
			mark = '&';
		} else if (!b->broken) {
			b->n = before - 1;
			b->p[b->n] = '\0';
		}
		get += n;
	}
	return RC_OK;
}

/* An API base without the slash a person may have put at its end. */
static size_t
base_length(const char *api)
{
	size_t n = strlen(api);

	while (n > 0 && api[n - 1] == '/')
		n--;
	return n;
}

/* Does a path go up, in whatever spelling a server might take for it? */
static bool
climbs(const char *path)
{
	for (; *path != '\0'; path++) {
		const char *p = path + 1;
		unsigned dots = 0;

		if (*path != '/' && *path != '\\')
			continue;
		for (; *p == '.' || str_begins(p, "%2e") || str_begins(p, "%2E"); dots++)
			p += *p == '.' ? 1 : 3;
		if (dots == 2 && (*p == '\0' || *p == '/' || *p == '\\' || *p == '%'))
			return true;
	}
	return false;
}

bool
api_is_ours(const struct conf_account *a, const char *url)
{
	struct http_url base, u;
	size_t n;

	if (a->api == NULL || !http_url(a->api, &base) || !http_url(url, &u) || u.userinfo)
		return false;
	n = base_length(base.path);
	return str_eq(base.scheme, u.scheme) && str_eq_nocase(base.host, u.host) &&
	       str_eq(base.port, u.port) && strncmp(base.path, u.path, n) == 0 &&
	       (u.path[n] == '/' || u.path[n] == '\0') && !climbs(u.path);
}

/*
 * The event's own link, mended; one that names no call ("https://host?key=…") gets
 * the path of the default.
 */
static bool
own_link(
    const struct conf_account *a, const struct event *ev, const char *get, char url[HTTP_URL])
{
	char mended[HTTP_URL];
	struct http_url base, u;
	const char *query;
	size_t n;

	if (ev->link == NULL || !http_mend(ev->link, mended, sizeof(mended)) ||
	    !api_is_ours(a, mended) || !http_url(a->api, &base) || !http_url(mended, &u))
		return false;
	n = base_length(base.path);
	if (u.path[n] != '\0' && u.path[n + 1] != '\0')
		return str_copy(url, HTTP_URL, mended);
	if ((query = strchr(mended, '?')) == NULL)
		return false;
	return (size_t)snprintf(url, HTTP_URL, "%.*s%.*s%s", (int)base_length(a->api), a->api,
		   (int)strcspn(get, "?"), get, query) < HTTP_URL;
}

/* A template below the account's API. */
static enum rc
expand(const struct conf_account *a, const struct event *ev, const char *get,
    char url[HTTP_URL], struct err *e)
{
	struct buf b = BUF_INIT(HTTP_URL - 1);
	enum rc rc;

	buf_add(&b, a->api, base_length(a->api));
	if ((rc = fill(&b, a, ev, get, e)) == RC_OK)
		rc = buf_state(&b, e) == RC_OK ? RC_OK : RC_BAD;
	if (rc == RC_OK && !str_copy(url, HTTP_URL, buf_text(&b)))
		rc = err_set(e, RC_BAD, "the call's URL is too long");
	buf_free(&b);
	return rc;
}

enum rc
api_url(const struct conf_account *a, const char *get, char url[HTTP_URL], struct err *e)
{
	const struct event none = {.link = NULL};

	url[0] = '\0';
	return expand(a, &none, get, url, e);
}

enum rc
api_callback(const struct conf *c, const struct conf_account *a, const struct event *ev,
    char url[HTTP_URL], struct err *e)
{
	const struct conf_callback *cb = conf_callback(c, ev->category, ev->type);
	const char *get = cb != NULL ? cb->get : NULL;
	size_t i;

	url[0] = '\0';
	for (i = 0; i < DEFAULTS && !str_eq(defaults[i].category, ev->category); i++)
		;
	if (i == DEFAULTS && get == NULL)
		return err_set(e, RC_BAD, "%s.%s is not a kind we know a call for",
		    ev->category, ev->type);
	if (api_is_delete(ev))
		return err_set(e, RC_GONE, "nothing can be asked after a delete");
	if (get == NULL && own_link(a, ev, defaults[i].get, url))
		return RC_OK;
	if (get == NULL &&
	    *placeholder(a, ev, defaults[i].object, strlen(defaults[i].object)) == '\0')
		return err_set(e, RC_BAD, "the event has neither %s nor a link to the API",
		    defaults[i].object);
	return expand(a, ev, get != NULL ? get : defaults[i].get, url, e);
}

/* The value of a query parameter as it stands in the URL; "" none. */
static void
parameter(const char *url, const char *name, char *out, size_t size)
{
	const char *p = strchr(url, '?');
	size_t k = strlen(name);

	out[0] = '\0';
	for (; p != NULL; p = strchr(p, '&')) {
		size_t n;

		p++;
		n = strcspn(p, "&#");
		if (n > k && p[k] == '=' && strncmp(p, name, k) == 0 &&
		    str_copy_n(out, size, p + k + 1, n - k - 1))
			return;
	}
}

/*
 * The name of a file in a link, encoded in one way however it was sent.  It is the last
 * parameter, and nobody encodes it: all that follows belongs to it.  NULL: none.
 */
static const char *
file_key(const char *link, char mended[HTTP_URL])
{
	if (!http_mend(link, mended, HTTP_URL) && !str_copy(mended, HTTP_URL, link))
		return NULL;
	for (const char *p = mended; *p != '\0'; p++)
		if ((*p == '?' || *p == '&') &&
		    (str_begins(p + 1, "key=") || str_begins(p + 1, "Key=")) && p[5] != '\0')
			return p + 5;
	return NULL;
}

enum rc
api_object(const struct event *ev, char out[API_OBJECT], struct err *e)
{
	char mended[HTTP_URL], digest[HASH_HEX];
	const char *id = "", *key;
	enum rc rc;

	out[0] = '\0';

	if (str_eq(ev->category, "Client"))
		id = ev->client_hash;
	else if (str_eq(ev->category, "User"))
		id = ev->user_hash;
	else if (str_eq(ev->category, "Account"))
		id = ev->account_hash[0] != '\0' ? ev->account_hash : "account";
	else
		id = ev->document_hash;
	if (id[0] != '\0')
		return str_copy(out, API_OBJECT, id) ? RC_OK : RC_BAD;
	if (ev->link == NULL || (key = file_key(ev->link, mended)) == NULL)
		return err_set(
		    e, RC_BAD, "the event does not say which %s it is about", ev->category);
	if ((size_t)snprintf(out, API_OBJECT, "%s %s", ev->client_hash, key) < API_OBJECT)
		return RC_OK;
	if ((rc = hash_sha256(key, strlen(key), digest, e)) == RC_OK)
		(void)snprintf(out, API_OBJECT, "%s %s", ev->client_hash, digest);
	return rc;
}

/* The first text in the answer that is an allowed https URL; *denied: one was seen that is not.
 */
static bool
search(const struct json *v, const struct guard *g, char url[HTTP_URL], bool *denied,
    unsigned *left, struct err *e)
{
	const char *text = json_string(v);
	struct http_url u;

	if (*left == 0)
		return false;
	(*left)--;
	if (text != NULL && strncmp(text, "https://", 8) == 0 &&
	    http_mend(text, url, HTTP_URL) && http_url(url, &u)) {
		if (guard_url(g, u.scheme, u.host, u.port, u.userinfo, e) == RC_OK)
			return true;
		*denied = true;
	}
	for (const struct json *k = json_first(v); k != NULL; k = json_next(k))
		if (search(k, g, url, denied, left, e))
			return true;
	return false;
}

enum rc
api_link(const struct conf *c, const struct event *ev, const struct json *answer,
    const struct guard *g, char url[HTTP_URL], struct err *e)
{
	const struct conf_callback *cb = conf_callback(c, ev->category, ev->type);
	unsigned left = API_VISIT;
	bool denied = false;
	struct http_url u;
	const char *text;

	url[0] = '\0';
	if (cb == NULL || cb->link == NULL) {
		if (search(answer, g, url, &denied, &left, e))
			return RC_OK;
		url[0] = '\0';
		if (!denied)
			return err_set(e, RC_GONE, "the answer has no link to a document");
		err_prefix(e, "the answer has no link to a host of documents");
		return RC_GONE;
	}
	if ((text = json_string(json_at(answer, cb->link))) == NULL)
		return err_set(e, RC_GONE, "the answer has no text at %.100s", cb->link);
	if (!http_mend(text, url, HTTP_URL) || !http_url(url, &u))
		return err_set(e, RC_DENIED, "the text at %.100s is not a URL", cb->link);
	return guard_url(g, u.scheme, u.host, u.port, u.userinfo, e);
}

enum rc
api_documents_url(const struct conf *c, const struct conf_account *a, const char *client,
    char url[HTTP_URL], struct err *e)
{
	struct event ev = {.category = "DocumentData", .type = "List"};
	const struct conf_callback *cb = conf_callback(c, ev.category, ev.type);
	const char *get = "/documentdata/account/client?accountHashId={accountHashId}"
			  "&clientHashId={clientHashId}";

	if (cb != NULL && str_eq(cb->kind, API_LIST) && cb->get != NULL)
		get = cb->get;
	url[0] = '\0';
	(void)!str_copy(ev.client_hash, sizeof(ev.client_hash), client);
	return expand(a, &ev, get, url, e);
}

/* One entry of the list; RC_OK also for what is not to be taken. */
static enum rc
take_document(const struct json *v, const char *client, char (*ids)[NAME_HASH], size_t max,
    size_t *n, struct err *e)
{
	const char *id = json_string(v), *owner = json_text(json_member(v, "clientHashId"));

	if (id == NULL && (id = json_text(json_member(v, "documentHashId"))) == NULL)
		id = json_text(json_member(v, "hashId"));
	if (!name_hash_ok(id))
		return err_set(e, RC_BAD, "an entry of the list names no document");
	if (owner != NULL && !str_eq(owner, client))
		return RC_OK;
	for (size_t i = 0; i < *n; i++)
		if (str_eq(ids[i], id))
			return RC_OK;
	if (*n == max)
		return err_set(e, RC_FULL, "more than %zu documents", max);
	(void)!str_copy(ids[(*n)++], NAME_HASH, id);
	return RC_OK;
}

enum rc
api_documents(const struct json *answer, const char *client, char (*ids)[NAME_HASH], size_t max,
    size_t *n, struct err *e)
{
	const struct json *list = answer;
	enum rc rc = RC_OK;

	*n = 0;
	if (json_type(answer) == JSON_OBJECT)
		for (list = json_first(answer); list != NULL && json_type(list) != JSON_ARRAY;)
			list = json_next(list);
	if (json_type(list) != JSON_ARRAY)
		return err_set(e, RC_BAD, "the answer is no list of documents");
	for (const struct json *v = json_first(list); v != NULL && rc == RC_OK;
	     v = json_next(v))
		rc = take_document(v, client, ids, max, n, e);
	return rc;
}

/* The time of the last change; false: it does not say. */
static bool
updated_on(const struct conf_callback *cb, const struct json *record, int64_t *ms)
{
	const struct json *v = cb != NULL && cb->updated != NULL
				   ? json_at(record, cb->updated)
				   : json_member(record, "updatedOn");
	const char *text = json_string(v);

	return text != NULL && clk_parse(text, ms);
}

bool
api_is_older(const struct conf *c, const struct event *ev, const struct json *kept,
    const struct json *answer)
{
	const struct conf_callback *cb = conf_callback(c, ev->category, ev->type);
	int64_t then, now;

	return updated_on(cb, kept, &then) && updated_on(cb, answer, &now) && now < then;
}

void
api_read_object(const struct conf *c, const struct json *body, struct event *ev)
{
	const struct conf_callback *cb = conf_callback(c, ev->category, ev->type);
	const char *text;
	char *hash = ev->document_hash;

	if (cb == NULL || cb->object == NULL)
		return;
	text = json_text(json_at(body, cb->object));
	if (!name_hash_ok(text))
		return;
	if (str_eq(ev->category, "Client"))
		hash = ev->client_hash;
	else if (str_eq(ev->category, "User"))
		hash = ev->user_hash;
	else if (str_eq(ev->category, "Account"))
		hash = ev->account_hash;
	(void)!str_copy(hash, NAME_HASH, text);
}

/* "20260305T101112Z" as Amazon writes it. */
static bool
amazon_time(const char *text, int64_t *ms)
{
	char iso[CLK_TEXT];

	if (strlen(text) != 16 || text[8] != 'T' || text[15] != 'Z')
		return false;
	(void)snprintf(iso, sizeof(iso), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", text, text + 4,
	    text + 6, text + 9, text + 11, text + 13);
	return clk_parse(iso, ms);
}

int64_t
api_link_end(const char *url)
{
	char date[32], life[32];
	uint64_t seconds;
	int64_t from;

	parameter(url, "X-Amz-Date", date, sizeof(date));
	parameter(url, "X-Amz-Expires", life, sizeof(life));
	if (amazon_time(date, &from) && str_u64(life, 0, 10000000, &seconds))
		return from + (int64_t)seconds * CLK_SECOND;
	parameter(
	    url, "Expires", life, sizeof(life)); /* the older signature's: seconds since 1970 */
	if (str_u64(life, 1, INT64_MAX / CLK_SECOND, &seconds))
		return (int64_t)seconds * CLK_SECOND;
	return 0;
}
