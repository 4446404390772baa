/*
 * SPDX-License-Identifier: ISC
 *
 * conf_value - the types of values: which texts are one, and how it is kept; see conf_keys.h.
 *
 * A value is judged by itself, without a look at the system: no file is
 * opened, no host looked up.
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "conf_keys.h"
#include "json.h"
#include "str.h"

#define PATH_LENGTH 1024
#define URL_LENGTH 1024
#define HOST_LENGTH 253 /* RFC 1035 section 2.3.4, without the root's dot */
#define LABEL_LENGTH 63
#define ITEM_SIZE 320 /* one item of a list, with its NUL */

static bool
is_printable(const char *text, size_t max)
{
	size_t n = 0;

	for (; text[n] != '\0'; n++)
		if (n == max || text[n] < 0x20 || text[n] > 0x7e)
			return false;
	return n > 0;
}

static bool
is_word(const char *text, size_t max)
{
	return is_printable(text, max) && strchr(text, ' ') == NULL;
}

static bool
is_group(const char *text)
{
	return str_only(text, "_.-", 1, 32) && text[0] != '-';
}

static bool
is_path(const char *text)
{
	return text[0] == '/' && strlen(text) <= PATH_LENGTH;
}

/* One space between two words: what stands in the file is what is run. */
static bool
is_command(const char *text)
{
	size_t n = strlen(text);

	return is_path(text) && is_printable(text, PATH_LENGTH) && strstr(text, "  ") == NULL &&
	       text[n - 1] != ' ' && text[n - 1] != '/' && text[1] != ' ';
}

static bool
is_header(const char *text)
{
	return str_only(text, "-", 1, 64);
}

static bool
is_url_path(const char *text)
{
	return text[0] == '/' && is_word(text, 256) && strpbrk(text, "?#") == NULL &&
	       strstr(text, "..") == NULL;
}

static bool
is_port(const char *text)
{
	uint64_t port;

	return str_u64(text, 1, 65535, &port);
}

/* Labels of letters, digits, "-" and "_"; with wild also "*", but not in the last one. */
static bool
is_host(const char *text, bool wild)
{
	bool star = false;
	size_t label = 0, n = 0;

	for (; text[n] != '\0'; n++) {
		char one[2] = {text[n], '\0'};

		if (n == HOST_LENGTH)
			return false;
		if (text[n] == '.') {
			if (label == 0)
				return false;
			label = 0;
			star = false;
			continue;
		}
		if (!str_only(one, wild ? "-_*" : "-_", 1, 1) || ++label > LABEL_LENGTH)
			return false;
		star = star || text[n] == '*';
	}
	return label > 0 && !star;
}

/* "host", "*.host", "host:8443" */
static bool
is_host_pattern(const char *text)
{
	const char *colon = strchr(text, ':');
	char host[HOST_LENGTH + 1];
	size_t n = colon != NULL ? (size_t)(colon - text) : strlen(text);

	if (!str_copy_n(host, sizeof(host), text, n))
		return false;
	return is_host(host, true) && (colon == NULL || is_port(colon + 1));
}

/* "10.0.0.0/8", "fd00::/8" */
static bool
is_network(const char *text)
{
	const char *slash = strchr(text, '/');
	char address[INET6_ADDRSTRLEN];
	struct in6_addr a;
	uint64_t bits;

	if (slash == NULL ||
	    !str_copy_n(address, sizeof(address), text, (size_t)(slash - text)))
		return false;
	if (inet_pton(AF_INET, address, &a) == 1)
		return str_u64(slash + 1, 0, 32, &bits);
	return inet_pton(AF_INET6, address, &a) == 1 && str_u64(slash + 1, 0, 128, &bits);
}

/* A word of a list of words with one space between two. */
static bool
is_listed(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (; n > 0 && *list != '\0'; list += strcspn(list, " "), list += *list == ' ')
		if (strcspn(list, " ") == n && strncmp(list, word, n) == 0)
			return true;
	return false;
}

/* The part of a media type after its "/" (RFC 6838 section 4.2), or "none". */
static bool
is_token_type(const char *text)
{
	return str_only(text, "!#$&-^_.+", 1, 64);
}

const char *
conf_claim(const char *item, size_t n)
{
	const char *end = item + n;

	for (const char *p = item; (p = memchr(p, ':', (size_t)(end - p))) != NULL; p++)
		if (end - p < 3 || p[1] != '/' || p[2] != '/')
			return p > item && p + 1 < end ? p : NULL;
	return NULL;
}

static bool
is_claim(const char *text)
{
	return is_word(text, ITEM_SIZE - 1) && conf_claim(text, strlen(text)) != NULL;
}

static bool
is_file_system(const char *text)
{
	return str_only(text, "_.-", 1, 32);
}

/* Is there nothing between this machine and that host?  A name like 127.evil.test is no
 * address. */
static bool
is_loopback(const char *host)
{
	size_t n = strlen(host);
	struct in6_addr six;
	struct in_addr four;

	if (str_eq_nocase(host, "localhost") ||
	    (n > 10 && str_eq_nocase(host + n - 10, ".localhost")))
		return true;
	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* "host", "host:443", "[::1]:443": the host alone, without brackets. */
static bool
split_authority(const char *text, size_t n, char host[HOST_LENGTH + 1])
{
	char all[HOST_LENGTH + 16];
	struct in6_addr six;
	char *end;

	if (!str_copy_n(all, sizeof(all), text, n))
		return false;
	if (all[0] == '[') {
		if ((end = strchr(all, ']')) == NULL)
			return false;
		*end++ = '\0';
		if (inet_pton(AF_INET6, all + 1, &six) != 1)
			return false;
		return str_copy(host, HOST_LENGTH + 1, all + 1) &&
		       (*end == '\0' || (*end == ':' && is_port(end + 1)));
	}
	if ((end = strchr(all, ':')) != NULL) {
		*end++ = '\0';
		if (!is_port(end))
			return false;
	}
	return str_copy(host, HOST_LENGTH + 1, all) && is_host(host, false);
}

/* RFC 3986; user names are refused, they would be a secret in the file. */
bool
conf_url_ok(const char *text)
{
	char host[HOST_LENGTH + 1];
	const char *at;
	bool safe = true;

	if (!is_word(text, URL_LENGTH) || strpbrk(text, "\"#<>@\\^`{|}") != NULL)
		return false;
	if (str_begins(text, "https://"))
		at = text + 8;
	else if (str_begins(text, "http://")) {
		at = text + 7;
		safe = false;
	} else
		return false;
	return split_authority(at, strcspn(at, "/?"), host) && (safe || is_loopback(host));
}

static bool
is_base(const char *text)
{
	return conf_url_ok(text) && strchr(text, '?') == NULL;
}

/* RFC 6901 section 3: "~" is followed by 0 or 1. */
static bool
is_pointer(const char *text)
{
	if (text[0] != '/' || !is_printable(text, 256))
		return false;
	for (; *text != '\0'; text++)
		if (*text == '~' && text[1] != '0' && text[1] != '1')
			return false;
	return true;
}

static const char *const of_event[] = {"{accountHashId}", "{clientHashId}", "{documentHashId}",
    "{userHashId}", "{eventId}", "{eventNumber}", NULL};
static const char *const of_feed[] = {"{accountHashId}", "{from}", "{rows}", NULL};

static const char *const of_account[] = {"{accountHashId}", NULL};

/* known ends with a NULL. */
static bool
is_template(const char *text, const char *const known[])
{
	if (text[0] != '/' || !is_word(text, URL_LENGTH) || strchr(text, '#') != NULL ||
	    strstr(text, "/..") != NULL)
		return false;
	while (*(text += strcspn(text, "{}")) != '\0') {
		size_t i = 0;

		while (known[i] != NULL && !str_begins(text, known[i]))
			i++;
		if (known[i] == NULL)
			return false;
		text += strlen(known[i]);
	}
	return true;
}

/* JSON whose placeholders, a brace and a letter, are known ones. */
static bool
is_body(const char *text)
{
	static const char *const known[] = {"{accountHashId}", "{callbackUrl}",
	    "{callbackVersion}", "{headerName}", "{headerValue}", "{tokenUrl}", "{clientId}",
	    "{clientSecret}", "{audience}"};
	const size_t n = sizeof(known) / sizeof(known[0]);

	if (text[0] != '{' || json_check(text, strlen(text), NULL) != RC_OK)
		return false;
	for (; *(text += strcspn(text, "{")) != '\0'; text++) {
		char next[2] = {text[1], '\0'};
		size_t i = 0;

		while (i < n && !str_begins(text, known[i]))
			i++;
		if (i == n && str_only(next, "", 1, 1))
			return false;
	}
	return true;
}

/* A URL once each placeholder is something, and none is in its scheme or host. */
static bool
is_url_template(const char *text)
{
	static const char *const known[] = {"{account}", "{category}", "{type}", "{eventId}",
	    "{object}", "{accountHashId}", "{clientHashId}", "{documentHashId}", "{userHashId}",
	    "{sha256}", "{suffix}"};
	const size_t n = sizeof(known) / sizeof(known[0]);
	char plain[URL_LENGTH + 1];
	const char *slashes = strstr(text, "://");
	size_t at = 0;

	if (slashes == NULL ||
	    strcspn(text, "{") < (size_t)(slashes - text) + 3 + strcspn(slashes + 3, "/?"))
		return false;
	while (*text != '\0' && at < URL_LENGTH) {
		size_t i = 0;

		while (i < n && !str_begins(text, known[i]))
			i++;
		plain[at++] = i < n ? 'x' : *text;
		text += i < n ? strlen(known[i]) : 1;
	}
	plain[at] = '\0';
	return *text == '\0' && conf_url_ok(plain);
}

bool
conf_title_ok(enum conf_where section, const char *title)
{
	const char *dot = strchr(title, '.');
	char category[33];

	if (section == CONF_IN_ACCOUNT) {
		for (const char *p = title; *p != '\0'; p++)
			if (*p >= 'A' && *p <= 'Z')
				return false;
		return str_only(title, "_-", 1, 32);
	}
	if (dot == NULL)
		return str_only(title, "", 1, 32);
	return str_copy_n(category, sizeof(category), title, (size_t)(dot - title)) &&
	       str_only(category, "", 1, 32) && str_only(dot + 1, "", 1, 32);
}

/* A number in its type's spelling. */
static bool
read_number(const struct conf_key *k, const char *text, uint64_t *v)
{
	int64_t ms;

	if (k->type == CONF_T_SIZE)
		return str_size(text, v);
	if (k->type != CONF_T_DURATION)
		return str_u64(text, 0, UINT64_MAX, v);
	if (!str_duration(text, &ms) || ms < 0)
		return false;
	*v = (uint64_t)ms;
	return true;
}

/* A limit as it stands in the table, where the tests see to it that all are numbers. */
static uint64_t
limit(const struct conf_key *k, const char *text)
{
	uint64_t v;

	return read_number(k, text, &v) ? v : 0;
}

/* Types that are kept as they are written. */
static bool
text_ok(const struct conf_key *k, const char *text)
{
	switch (k->type) {
	case CONF_T_TEXT:
		return is_printable(text, (size_t)limit(k, k->max));
	case CONF_T_WORD:
		return is_word(text, (size_t)limit(k, k->max));
	case CONF_T_GROUP:
		return is_group(text);
	case CONF_T_PATH:
		return is_path(text);
	case CONF_T_COMMAND:
		return is_command(text);
	case CONF_T_URL:
		return conf_url_ok(text);
	case CONF_T_BASE:
		return is_base(text);
	case CONF_T_ISSUER:
		return is_base(text) && strlen(text) <= limit(k, k->max);
	case CONF_T_HEADER:
		return is_header(text);
	case CONF_T_URL_PATH:
		return is_url_path(text);
	case CONF_T_POINTER:
		return is_pointer(text);
	case CONF_T_URL_TEMPLATE:
		return is_url_template(text);
	case CONF_T_TEMPLATE:
		return is_template(text, of_event);
	case CONF_T_FEED:
		return is_template(text, of_feed);
	case CONF_T_CALL:
		return is_template(text, of_account);
	case CONF_T_BODY:
		return is_body(text);
	case CONF_T_HOSTS:
		return is_host_pattern(text);
	case CONF_T_NETWORKS:
		return is_network(text);
	case CONF_T_FILESYSTEMS:
		return is_file_system(text);
	case CONF_T_ALGORITHMS:
		return is_listed(CONF_ALGORITHMS, text);
	case CONF_T_TYPES:
		return is_token_type(text);
	case CONF_T_CLAIMS:
		return is_claim(text);
	case CONF_T_SIZE:
	case CONF_T_DURATION:
	case CONF_T_NUMBER:
	case CONF_T_CHOICE:
		break;
	}
	return false;
}

static bool
is_list(const struct conf_key *k)
{
	return k->type == CONF_T_HOSTS || k->type == CONF_T_NETWORKS ||
	       k->type == CONF_T_FILESYSTEMS || k->type == CONF_T_ALGORITHMS ||
	       k->type == CONF_T_TYPES || k->type == CONF_T_CLAIMS;
}

static bool
is_scalar(const struct conf_key *k)
{
	return k->type == CONF_T_SIZE || k->type == CONF_T_DURATION ||
	       k->type == CONF_T_NUMBER || k->type == CONF_T_CHOICE;
}

static char **
text_at(const struct conf_key *k, void *base)
{
	return (char **)(void *)((char *)base + k->at);
}

void
conf_value_free(const struct conf_key *k, void *base)
{
	if (is_scalar(k))
		return;
	free(*text_at(k, base));
	*text_at(k, base) = NULL;
}

static enum rc
keep(const struct conf_key *k, void *base, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return RC_LATER;
	if (k->type == CONF_T_BASE)
		for (size_t n = strlen(copy); n > 0 && copy[n - 1] == '/'; n--)
			copy[n - 1] = '\0';
	conf_value_free(k, base);
	*text_at(k, base) = copy;
	return RC_OK;
}

static enum rc
wrong(const char *text, char bad[CONF_BAD])
{
	str_escape(bad, CONF_BAD, text, strlen(text));
	return RC_CONFIG;
}

/* Each item by itself; the list is kept with single spaces. */
static enum rc
set_list(const struct conf_key *k, void *base, const char *text, char bad[CONF_BAD])
{
	struct buf all = BUF_INIT(CONF_LINE);
	char item[ITEM_SIZE];
	enum rc rc;
	size_t n;

	for (text += strspn(text, " \t"); *text != '\0'; text += n + strspn(text + n, " \t")) {
		n = strcspn(text, " \t");
		if (!str_copy_n(item, sizeof(item), text, n) || !text_ok(k, item)) {
			rc = wrong(item[0] != '\0' ? item : text, bad);
			goto out;
		}
		buf_fmt(&all, "%s%s", all.n > 0 ? " " : "", item);
	}
	rc = RC_OK;
	if (all.broken)
		rc = RC_LATER;
	else if (all.n > 0)
		rc = keep(k, base, all.p);
	else if (k->def != NULL)
		rc = wrong("", bad);
	else
		conf_value_free(k, base);
out:
	buf_free(&all);
	return rc;
}

static enum rc
set_choice(const struct conf_key *k, void *base, const char *text, char bad[CONF_BAD])
{
	for (const struct conf_word *w = k->words; w->name != NULL; w++) {
		if (!str_eq(w->name, text))
			continue;
		memcpy((char *)base + k->at, &w->value, sizeof(w->value));
		return RC_OK;
	}
	return wrong(text, bad);
}

static enum rc
set_number(const struct conf_key *k, void *base, const char *text, char bad[CONF_BAD])
{
	uint64_t v;

	if (!read_number(k, text, &v) || v < limit(k, k->min) || v > limit(k, k->max))
		return wrong(text, bad);
	memcpy((char *)base + k->at, &v, sizeof(v));
	return RC_OK;
}

enum rc
conf_value_set(const struct conf_key *k, void *base, const char *text, char bad[CONF_BAD])
{
	bad[0] = '\0';
	if (k->type == CONF_T_CHOICE)
		return set_choice(k, base, text, bad);
	if (is_scalar(k))
		return set_number(k, base, text, bad);
	if (is_list(k))
		return set_list(k, base, text, bad);
	return text_ok(k, text) ? keep(k, base, text) : wrong(text, bad);
}

static void
expect_choice(const struct conf_key *k, char out[CONF_EXPECT])
{
	size_t n = (size_t)snprintf(out, CONF_EXPECT, "one of");

	for (const struct conf_word *w = k->words; w->name != NULL && n < CONF_EXPECT; w++)
		n += (size_t)snprintf(
		    out + n, CONF_EXPECT - n, "%s %s", w == k->words ? "" : ",", w->name);
}

void
conf_value_expect(const struct conf_key *k, char out[CONF_EXPECT])
{
	static const char *const fixed[] = {
	    [CONF_T_GROUP] = "the name or number of a group",
	    [CONF_T_PATH] = "an absolute path",
	    [CONF_T_COMMAND] = "the absolute path of a program, then its arguments, one space "
			       "before each",
	    [CONF_T_URL] = "an https URL (http only to this machine)",
	    [CONF_T_BASE] = "an https URL without a query (http only to this machine)",
	    [CONF_T_ISSUER] = "an https URL without a query (http only to this machine)",
	    [CONF_T_HEADER] = "a header name, 1 to 64 of A-Z a-z 0-9 and -",
	    [CONF_T_URL_PATH] = "a path of a URL: \"/\" first, no \"..\", no query, no space",
	    [CONF_T_HOSTS] = "host names, perhaps with \"*.\" before or \":port\" after them",
	    [CONF_T_NETWORKS] = "networks such as 10.0.0.0/8 or fd00::/8",
	    [CONF_T_FILESYSTEMS] = "names of file systems",
	    [CONF_T_ALGORITHMS] = "some of " CONF_ALGORITHMS,
	    [CONF_T_TYPES] = "types of tokens such as JWT, at+jwt and none",
	    [CONF_T_CLAIMS] = "claims as claim:value, such as sub:arken-webhooks",
	    [CONF_T_POINTER] = "a JSON Pointer such as /data/url",
	    [CONF_T_URL_TEMPLATE] =
		"an https URL (http only to this machine), after its host perhaps {account} "
		"{category} {type} {eventId} {object} {accountHashId} {clientHashId} "
		"{documentHashId} {userHashId} {sha256} {suffix}",
	    [CONF_T_TEMPLATE] = "\"/\" first, no \"/..\", no placeholder but {accountHashId} "
				"{clientHashId} {documentHashId} {userHashId} {eventId} "
				"{eventNumber}",
	    [CONF_T_CALL] = "\"/\" first, no \"/..\", no placeholder but {accountHashId}",
	    [CONF_T_BODY] = "a JSON object, in its strings perhaps {accountHashId} "
			    "{callbackUrl} {callbackVersion} {headerName} {headerValue} "
			    "{tokenUrl} {clientId} {clientSecret} {audience}",
	    [CONF_T_FEED] =
		"\"/\" first, no \"/..\", no placeholder but {accountHashId} {from} "
		"{rows}",
	};
	const char *noun = k->type == CONF_T_SIZE     ? "size"
			   : k->type == CONF_T_NUMBER ? "number"
						      : "duration";

	out[0] = '\0';
	if (k->type == CONF_T_CHOICE)
		expect_choice(k, out);
	else if (k->type == CONF_T_TEXT || k->type == CONF_T_WORD)
		(void)snprintf(out, CONF_EXPECT, "1 to %s printable characters%s", k->max,
		    k->type == CONF_T_WORD ? " without a space" : "");
	else if (is_scalar(k))
		(void)snprintf(out, CONF_EXPECT, "a %s from %s to %s", noun, k->min, k->max);
	else
		(void)snprintf(out, CONF_EXPECT, "%s", fixed[k->type]);
}
