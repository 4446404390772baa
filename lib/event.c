/*
 * SPDX-License-Identifier: ISC
 *
 * event - what one event of Arken says; see event.h.
 *
 * Whatever is not of the form it has to be counts as not there: a peer's value is never
 * repaired, and never a reason to refuse an event.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clk.h"
#include "event.h"
#include "hash.h"
#include "str.h"

#define EVENT_PROPERTIES 1000 /* properties after these are not looked at */
#define EVENT_PARAMETERS 200  /* query parameters likewise */
#define EVENT_PARAMETER 64    /* a parameter's name with its NUL */
#define EVENT_DIGEST 32       /* hexadecimal digits of a SHA-256 that make a key */
#define EVENT_RANDOM 8        /* random bytes in a key */

/* RFC 9562 section 5.9: the GUID that says "none", and would make all events one. */
static const char nil_guid[] = "00000000-0000-0000-0000-000000000000";

/* Every byte from lowest to '~'. */
static bool
is_printable(const char *text, char lowest)
{
	for (; *text != '\0'; text++)
		if (*text < lowest || *text > '~')
			return false;
	return true;
}

/* The text of a member that is a string and not empty, else NULL. */
static const char *
member_text(const struct json *v, const char *name)
{
	const char *text = json_string(json_member(v, name));

	return text != NULL && text[0] != '\0' ? text : NULL;
}

static const char *
either(const struct json *v, const char *name, const char *other)
{
	const char *text = member_text(v, name);

	return text != NULL ? text : member_text(v, other);
}

/* "Category.Type" in one member, or each in its own. */
static void
read_kind(const struct json *v, struct event *ev)
{
	const char *category = either(v, "eventCategory", "category");
	const char *type = either(v, "eventType", "type");
	const char *dot = type != NULL ? strchr(type, '.') : NULL;
	char first[NAME_WORD];

	if (dot != NULL && dot > type) {
		if (!str_copy_n(first, sizeof(first), type, (size_t)(dot - type)))
			first[0] = '\0';
		category = first;
		type = dot + 1;
	}
	name_word(category, ev->category);
	name_word(category != NULL ? type : NULL, ev->type);
}

static void
read_id(const struct json *v, struct event *ev)
{
	const char *text = json_text(json_member(v, "eventId"));

	if (text == NULL || !is_printable(text, ' ') || !str_copy(ev->id, sizeof(ev->id), text))
		return;
	if (str_is_guid(ev->id))
		str_lower(ev->id);
	if (str_eq(ev->id, nil_guid))
		ev->id[0] = '\0';
}

static void
read_number(const struct json *v, struct event *ev)
{
	const char *text = json_text(json_member(v, "eventNumber"));

	if (text == NULL || !str_only(text, "", 1, sizeof(ev->number) - 1) ||
	    text[strspn(text, "0123456789")] != '\0')
		return;
	while (text[0] == '0' && text[1] != '\0')
		text++;
	if (!str_copy(ev->number, sizeof(ev->number), text))
		ev->number[0] = '\0';
}

static void
read_time(const struct json *v, struct event *ev)
{
	const char *text = member_text(v, "eventDateTimeUtc");

	if (text == NULL || !is_printable(text, ' ') ||
	    !str_copy(ev->time, sizeof(ev->time), text))
		ev->time[0] = '\0';
}

/* A link with control characters is none: nobody could follow it. */
static enum rc
read_link(const struct json *v, struct event *ev, struct err *e)
{
	const char *text = member_text(v, "link");

	if (text == NULL || strlen(text) > EVENT_LINK)
		return RC_OK;
	for (const char *s = text; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return RC_OK;
	if ((ev->link = strdup(text)) == NULL)
		return err_set(e, RC_LATER, "an event's link: no memory");
	return RC_OK;
}

/* Properties as a list of keys and values, or as an object. */
static const char *
property_text(const struct json *v, const char *name)
{
	const struct json *list = json_member(v, "properties"), *at;
	unsigned left = EVENT_PROPERTIES;

	if (json_type(list) == JSON_OBJECT)
		return member_text(list, name);
	if (json_type(list) != JSON_ARRAY)
		return NULL;
	for (at = json_first(list); at != NULL && left > 0; at = json_next(at), left--) {
		const char *key = member_text(at, "key");

		if (key != NULL && json_same_name(key, name))
			return member_text(at, "value");
	}
	return NULL;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* n bytes of a link, decoded, spaces around them left out; false: too long or badly encoded. */
static bool
url_decode(char *out, size_t size, const char *p, size_t n)
{
	size_t k = 0;

	while (n > 0 && p[0] == ' ') {
		p++;
		n--;
	}
	while (n > 0 && p[n - 1] == ' ')
		n--;
	for (size_t i = 0; i < n; i++) {
		char c = p[i];

		if (c == '%') {
			int hi = n - i > 2 ? hex_digit(p[i + 1]) : -1;
			int lo = hi >= 0 ? hex_digit(p[i + 2]) : -1;

			if (lo < 0 || hi + lo == 0)
				return false;
			c = (char)(hi * 16 + lo);
			i += 2;
		}
		if (k + 1 >= size)
			return false;
		out[k++] = c;
	}
	out[k] = '\0';
	return true;
}

/*
 * Where a link's parameters may begin: Arken has been seen to leave out the path before them,
 * and the question mark may be missing with it.
 */
static const char *
link_query(const char *link)
{
	size_t n = strcspn(link, "?=");

	while (n > 0 && link[n - 1] != '/')
		n--;
	return link + n;
}

/*
 * A hash id that is a parameter of the link.  The first one of a name counts: what follows
 * key=, a file's name that nobody encoded, may look like parameters and is none.
 */
static bool
link_hash(const char *link, const char *name, char out[NAME_HASH])
{
	const char *at, *end;
	char key[EVENT_PARAMETER];

	if (link == NULL)
		return false;
	at = link_query(link);
	end = at + strcspn(at, "#");
	for (unsigned left = EVENT_PARAMETERS; left > 0 && at < end; left--) {
		size_t n = strcspn(at, "?&#"), k = strcspn(at, "=?&#");

		if (k < n && url_decode(key, sizeof(key), at, k) && json_same_name(key, name))
			return url_decode(out, NAME_HASH, at + k + 1, n - k - 1) &&
			       name_hash_ok(out);
		at += n + 1;
	}
	return false;
}

static void
read_hash(const struct json *v, const struct event *ev, const char *name, char out[NAME_HASH])
{
	const char *text = member_text(v, name);

	if (!name_hash_ok(text))
		text = property_text(v, name);
	if (name_hash_ok(text) && str_copy(out, NAME_HASH, text))
		return;
	if (!link_hash(ev->link, name, out))
		out[0] = '\0';
}

enum rc
event_read(const struct json *v, struct event *out, struct err *e)
{
	enum rc rc;

	*out = (struct event){0};
	if (json_type(v) != JSON_OBJECT)
		return err_set(e, RC_BAD, "an event is not a JSON object");
	if ((rc = read_link(v, out, e)) != RC_OK)
		return rc;
	read_kind(v, out);
	read_id(v, out);
	read_number(v, out);
	read_time(v, out);
	read_hash(v, out, "accountHashId", out->account_hash);
	read_hash(v, out, "clientHashId", out->client_hash);
	read_hash(v, out, "documentHashId", out->document_hash);
	read_hash(v, out, "userHashId", out->user_hash);
	return RC_OK;
}

void
event_free(struct event *ev)
{
	if (ev == NULL)
		return;
	free(ev->link);
	ev->link = NULL;
}

/* May the event's own id be the key as it is, or could another form of key be the same? */
static bool
is_plain_key(const char *id)
{
	if (!str_only(id, "-", 1, NAME_HASH - 1) || str_begins(id, "n-") ||
	    str_begins(id, "t-") || str_begins(id, "x-"))
		return false;
	return strlen(id) != EVENT_DIGEST || strspn(id, "0123456789abcdef") != EVENT_DIGEST;
}

static enum rc
digest_key(const char *prefix, const void *p, size_t n, char out[NAME_KEY], struct err *e)
{
	char digest[HASH_HEX];
	enum rc rc = hash_sha256(p, n, digest, e);

	if (rc == RC_OK)
		(void)snprintf(out, NAME_KEY, "%s%.*s", prefix, EVENT_DIGEST, digest);
	return rc;
}

/*
 * A time that only fills a place ("", "0001-01-01T00:00:00") does not tell two updates with the
 * same bytes apart.
 */
static bool
has_time(const struct event *ev)
{
	int64_t ms;

	return clk_parse(ev->time, &ms) && ms > 0;
}

enum rc
event_key(const struct event *ev, const char *body, size_t n, int64_t now, char out[NAME_KEY],
    struct err *e)
{
	out[0] = '\0';
	if (ev->id[0] != '\0') {
		if (is_plain_key(ev->id) && str_copy(out, NAME_KEY, ev->id))
			return RC_OK;
		return digest_key("x-", ev->id, strlen(ev->id), out, e);
	}
	if (ev->number[0] != '\0') {
		(void)snprintf(out, NAME_KEY, "n-%s", ev->number);
		return RC_OK;
	}
	if (has_time(ev))
		return digest_key("", body, n, out, e);
	event_arrival_key(now, out);
	return RC_OK;
}

enum rc
event_ids_digest(
    const struct event *ev, const char *salt, char *out, size_t size, struct err *e)
{
	char text[EVENT_SALT + 3 * NAME_HASH + 4], digest[HASH_HEX];
	int n = snprintf(text, sizeof(text), "%.*s\n%s\n%s\n%s", EVENT_SALT, salt,
	    ev->client_hash, ev->document_hash, ev->user_hash);
	enum rc rc = hash_sha256(text, (size_t)n, digest, e);

	if (rc == RC_OK)
		(void)snprintf(out, size, "%.*s.%s", EVENT_SALT, salt, digest);
	return rc;
}

void
event_arrival_key(int64_t now, char out[NAME_KEY])
{
	unsigned char random[EVENT_RANDOM];
	char hex[2 * EVENT_RANDOM + 1], second[CLK_TEXT];

	if (now < 0)
		now = 0;
	clk_random(random, sizeof(random));
	str_hex(hex, random, sizeof(random));
	clk_compact(now, second);
	second[strcspn(second, "Z")] = '\0';
	(void)snprintf(out, NAME_KEY, "t-%s%03dZ-%s", second, (int)(now % CLK_SECOND), hex);
}

static void
add_object(char *line, size_t size, const char *what, const char *hash, bool *any)
{
	size_t n = strlen(line);

	if (hash[0] == '\0')
		return;
	(void)snprintf(line + n, size - n, "%s%s %s", *any ? ", " : ": ", what, hash);
	*any = true;
}

void
event_subject(const struct event *ev, char out[EVENT_SUBJECT])
{
	char line[2 * EVENT_SUBJECT];
	bool any = false;

	(void)snprintf(line, sizeof(line), "%s.%s", ev->category, ev->type);
	add_object(line, sizeof(line), "document", ev->document_hash, &any);
	add_object(line, sizeof(line), "client", ev->client_hash, &any);
	add_object(line, sizeof(line), "user", ev->user_hash, &any);
	if (!any)
		add_object(line, sizeof(line), "account", ev->account_hash, &any);
	(void)str_escape(out, EVENT_SUBJECT, line, strlen(line));
}
