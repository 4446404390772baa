/*
 * SPDX-License-Identifier: ISC
 *
 * request - what a web server says about one request; see request.h.
 */
#include "config.h"

#include <string.h>

#include "request.h"
#include "str.h"

#define TOKEN_ALSO "!#$%&'*+-.^_`|~" /* besides letters and digits: RFC 9110 section 5.6.2 */

const char *
request_param(char *const *env, const char *name, unsigned *count)
{
	const char *found = NULL;
	size_t n = strlen(name);
	unsigned seen = 0;

	for (size_t i = 0; i < REQUEST_COUNT && env[i] != NULL; i++) {
		if (strncmp(env[i], name, n) != 0 || env[i][n] != '=')
			continue;
		if (seen++ == 0)
			found = env[i] + n + 1;
	}
	if (count != NULL)
		*count = seen;
	return found;
}

bool
request_header_name(const char *header, char out[REQUEST_NAME])
{
	static const char prefix[] = "HTTP_";
	size_t at = sizeof(prefix) - 1;

	out[0] = '\0';
	if (!str_only(header, "-", 1, REQUEST_NAME - sizeof(prefix)))
		return false;
	memcpy(out, prefix, at);
	for (const char *p = header; *p != '\0'; p++) {
		if (*p == '-')
			out[at++] = '_';
		else
			out[at++] = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
	}
	out[at] = '\0';
	return true;
}

static bool
is_token(const char *p, size_t n)
{
	char text[REQUEST_NAME];

	return str_copy_n(text, sizeof(text), p, n) &&
	       str_only(text, TOKEN_ALSO, 1, sizeof(text) - 1);
}

bool
request_is_json(const char *type)
{
	static const char suffix[] = "+json";
	char essence[2 * REQUEST_NAME];
	const char *slash, *sub;
	size_t n;

	type += strspn(type, " \t");
	n = strcspn(type, ";");
	while (n > 0 && (type[n - 1] == ' ' || type[n - 1] == '\t'))
		n--;
	if (!str_copy_n(essence, sizeof(essence), type, n) ||
	    (slash = strchr(essence, '/')) == NULL)
		return false;
	sub = slash + 1;
	n = strlen(sub);
	if (!is_token(essence, (size_t)(slash - essence)) || !is_token(sub, n))
		return false;
	if (str_eq_nocase(essence, "application/json"))
		return true;
	return n > sizeof(suffix) - 1 && str_eq_nocase(sub + n - (sizeof(suffix) - 1), suffix);
}

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *p = c != '\0' ? strchr(digits, c) : NULL;

	return p != NULL ? (int)((p - digits) % 16) : -1;
}

bool
request_uri_path(const char *uri, char out[REQUEST_PATH])
{
	size_t n = 0;

	out[0] = '\0';
	if (uri[0] != '/')
		return false;
	for (const char *p = uri; *p != '\0' && *p != '?' && *p != '#'; p++) {
		char c = *p;

		if (c == '%') {
			int high = hex_digit(p[1]), low = high < 0 ? -1 : hex_digit(p[2]);

			if (low < 0 || (c = (char)(high * 16 + low)) == '\0')
				goto bad;
			p += 2;
		}
		if (n + 1 >= REQUEST_PATH)
			goto bad;
		out[n++] = c;
	}
	out[n] = '\0';
	return true;
bad:
	out[0] = '\0';
	return false;
}

/*
 * Where was this posted to?  REQUEST_URI is what the client sent, the same text behind
 * lighttpd, nginx, Apache (mod_proxy_fcgi, mod_fcgid, mod_cgi) and Caddy, whatever they made of
 * it on the way.  SCRIPT_NAME and PATH_INFO depend on how a server maps a prefix to a program:
 * nginx gives no PATH_INFO unless told to, mod_proxy_fcgi may give its text in both.  Only a
 * server without REQUEST_URI, which RFC 3875 does not ask for, is read by those two, which
 * are decoded already.  What was encoded without need is still the same path (RFC 3986 section
 * 6.2.2.2), so the text is decoded; dot segments are not resolved: such a path is unknown.
 */
static void
read_path(char *const *env, char out[REQUEST_PATH])
{
	const char *uri = request_param(env, "REQUEST_URI", NULL);
	const char *script = request_param(env, "SCRIPT_NAME", NULL);
	const char *info = request_param(env, "PATH_INFO", NULL);
	size_t n;

	out[0] = '\0';
	if (uri != NULL && uri[0] != '\0') {
		if (!request_uri_path(uri, out))
			out[0] = '\0';
		return;
	}
	if (!str_copy(out, REQUEST_PATH, script != NULL ? script : ""))
		return;
	n = strlen(out);
	if (info != NULL && !str_copy(out + n, REQUEST_PATH - n, info))
		out[0] = '\0';
}

/* Caddy says -1 of a body without a length; no server lets a client's own -1 pass. */
static void
read_length(const char *text, struct request *out)
{
	out->has_length = text != NULL && text[0] != '\0' && !str_eq(text, "-1");
	out->length = 0;
	if (!out->has_length || str_u64(text, 0, UINT64_MAX, &out->length))
		return;
	if (strspn(text, "0123456789") == strlen(text))
		out->length = UINT64_MAX;
	else
		out->malformed = "Content-Length is not a number";
}

/* Two different values of a parameter that has to be one: somebody is being misled. */
static bool
is_ambiguous(char *const *env, const char *name)
{
	const char *first = request_param(env, name, NULL);
	size_t n = strlen(name);

	for (size_t i = 0; i < REQUEST_COUNT && env[i] != NULL; i++) {
		if (strncmp(env[i], name, n) == 0 && env[i][n] == '=' &&
		    !str_eq(env[i] + n + 1, first))
			return true;
	}
	return false;
}

static const char *
find_fault(char *const *env)
{
	static const char *const single[] = {"REQUEST_METHOD", "REQUEST_URI", "SCRIPT_NAME",
	    "PATH_INFO", "CONTENT_LENGTH", "CONTENT_TYPE", "REMOTE_ADDR"};
	size_t bytes = 0, i;

	for (i = 0; i < REQUEST_COUNT && env[i] != NULL; i++)
		bytes += strlen(env[i]) + 1;
	if (env[i] != NULL || bytes > REQUEST_PARAMS)
		return "too many parameters";
	for (i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
		if (is_ambiguous(env, single[i]))
			return "a parameter has two values";
	}
	return NULL;
}

void
request_read(char *const *env, struct request *out)
{
	const char *method = request_param(env, "REQUEST_METHOD", NULL);
	const char *type = request_param(env, "CONTENT_TYPE", NULL);
	const char *remote = request_param(env, "REMOTE_ADDR", NULL);

	*out = (struct request){.env = env};
	out->method = method != NULL ? method : "";
	out->type = type != NULL ? type : "";
	out->remote = remote != NULL ? remote : "";
	out->malformed = find_fault(env);
	read_path(env, out->path);
	read_length(request_param(env, "CONTENT_LENGTH", NULL), out);
}
