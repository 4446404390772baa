/*
 * SPDX-License-Identifier: ISC
 *
 * json - strict JSON over cJSON; see json.h.  The only file that knows cJSON.
 *
 * cJSON is lax and has traps of its own, so it never sees a text that the gate below has not
 * accepted, nor any number: it reads one into a double, by the rules of the locale, and most
 * versions read 63 characters of it at most.  Its global error pointer is shared by all threads
 * and never read here.  What it does not find out, names that stand twice, is looked for in the
 * tree it made.  JSON Pointer is done here: not every system has cJSON_Utils.
 */
#include "config.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "str.h"

#define JSON_NAME 80  /* so much of a member's name stands in an error, with its NUL */
#define JSON_INDEX 21 /* an array index of a pointer, with its NUL */

struct json {
	cJSON c;
};

/* What the grammar allows at a place. */
enum want {
	WANT_VALUE,
	WANT_FIRST_ITEM, /* a value, or the end of the array */
	WANT_NAME,
	WANT_FIRST_NAME, /* a name, or the end of the object */
	WANT_MORE,       /* a comma, or the end of the array or object */
	WANT_END,
};

struct gate {
	const char *p;
	size_t n;
	size_t i;        /* all before it is accepted */
	const char *why; /* what is wrong at i */
	size_t values;
	unsigned depth;   /* open arrays and objects */
	uint32_t objects; /* bit d: the one at depth d is an object */
	bool full;        /* more spans than max */
	struct json_span *spans;
	size_t max;
	size_t count;
	unsigned level; /* the depth at which values become spans */
};

_Static_assert(JSON_DEPTH <= 32, "gate.objects has a bit for each level");

static const char too_short[] = "the text ends too early";

static bool
refuse(struct gate *g, const char *why)
{
	g->why = why;
	return false;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The byte at i; at the end a NUL, which is allowed nowhere outside and inside of strings. */
static char
peek(const struct gate *g)
{
	return g->i < g->n ? g->p[g->i] : '\0';
}

static void
skip_space(struct gate *g)
{
	while (g->i < g->n && memchr(" \t\n\r", g->p[g->i], 4) != NULL)
		g->i++;
}

static bool
gate_literal(struct gate *g, const char *word)
{
	size_t n = strlen(word);

	if (g->n - g->i < n || memcmp(g->p + g->i, word, n) != 0)
		return refuse(g, "neither true, false nor null");
	g->i += n;
	return true;
}

static bool
gate_digits(struct gate *g)
{
	if (!is_digit(peek(g)))
		return refuse(g, g->i == g->n ? too_short : "a digit was expected");
	while (is_digit(peek(g)))
		g->i++;
	return true;
}

/* RFC 8259 section 6. */
static bool
gate_number(struct gate *g)
{
	if (peek(g) == '-')
		g->i++;
	if (peek(g) == '0') {
		g->i++;
		if (is_digit(peek(g)))
			return refuse(g, "a number begins with a needless zero");
	} else if (!gate_digits(g)) {
		return false;
	}
	if (peek(g) == '.') {
		g->i++;
		if (!gate_digits(g))
			return false;
	}
	if (peek(g) == 'e' || peek(g) == 'E') {
		g->i++;
		if (peek(g) == '+' || peek(g) == '-')
			g->i++;
		return gate_digits(g);
	}
	return true;
}

/* The four hexadecimal digits of the \u escape that begins at offset at; -1: there is none. */
static long
hex4(const struct gate *g, size_t at)
{
	long v = 0;

	if (at > g->n || g->n - at < 6 || g->p[at] != '\\' || g->p[at + 1] != 'u')
		return -1;
	for (size_t i = at + 2; i < at + 6; i++) {
		char c = g->p[i];

		if (is_digit(c))
			v = v * 16 + (c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v * 16 + (c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			v = v * 16 + (c - 'A' + 10);
		else
			return -1;
	}
	return v;
}

static bool
gate_escape_u(struct gate *g)
{
	long v = hex4(g, g->i), low;

	if (v < 0)
		return refuse(g, "\\u without four hexadecimal digits");
	if (v == 0)
		return refuse(g, "\\u0000 in a string");
	if (v >= 0xd800 && v <= 0xdfff) {
		low = hex4(g, g->i + 6);
		if (v > 0xdbff || low < 0xdc00 || low > 0xdfff)
			return refuse(g, "half of a surrogate pair");
		g->i += 6;
	}
	g->i += 6;
	return true;
}

/* RFC 8259 section 7; the backslash is at i. */
static bool
gate_escape(struct gate *g)
{
	if (g->n - g->i < 2)
		return refuse(g, too_short);
	if (g->p[g->i + 1] == 'u')
		return gate_escape_u(g);
	if (memchr("\"\\/bfnrt", g->p[g->i + 1], 8) == NULL)
		return refuse(g, "an unknown escape in a string");
	g->i += 2;
	return true;
}

/* One character of more than one byte. */
static bool
gate_utf8(struct gate *g)
{
	unsigned char c = (unsigned char)g->p[g->i];
	size_t n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	if (g->n - g->i < n || !str_utf8(g->p + g->i, n))
		return refuse(g, "not UTF-8");
	g->i += n;
	return true;
}

static bool
gate_string(struct gate *g)
{
	bool ok = true;

	g->i++;
	while (ok && g->i < g->n) {
		unsigned char c = (unsigned char)g->p[g->i];

		if (c == '"') {
			g->i++;
			return true;
		}
		if (c < 0x20)
			return refuse(g, "a control character in a string");
		if (c == '\\')
			ok = gate_escape(g);
		else if (c >= 0x80)
			ok = gate_utf8(g);
		else
			g->i++;
	}
	return ok ? refuse(g, too_short) : false;
}

static bool
in_object(const struct gate *g)
{
	return (g->objects >> (g->depth - 1) & 1) != 0;
}

static bool
span_begin(struct gate *g)
{
	if (g->depth != g->level)
		return true;
	if (g->count == g->max) {
		g->full = true;
		return refuse(g, "too many elements");
	}
	g->spans[g->count].at = g->i;
	g->spans[g->count].values = g->values -
				    1; /* before it; value_done makes the difference */
	return true;
}

static bool
value_done(struct gate *g, enum want *want)
{
	if (g->depth == g->level) {
		g->spans[g->count].n = g->i - g->spans[g->count].at;
		g->spans[g->count].values = g->values - g->spans[g->count].values;
		g->count++;
	}
	*want = g->depth == 0 ? WANT_END : WANT_MORE;
	return true;
}

static bool
gate_enter(struct gate *g, enum want *want)
{
	uint32_t bit;

	if (g->depth == JSON_DEPTH)
		return refuse(g, "nested too deeply");
	bit = UINT32_C(1) << g->depth;
	if (g->p[g->i] == '{')
		g->objects |= bit;
	else
		g->objects &= ~bit;
	*want = g->p[g->i] == '{' ? WANT_FIRST_NAME : WANT_FIRST_ITEM;
	g->depth++;
	g->i++;
	return true;
}

static bool
gate_leave(struct gate *g, enum want *want)
{
	g->depth--;
	g->i++;
	return value_done(g, want);
}

static bool
gate_value(struct gate *g, enum want *want)
{
	char c = peek(g);
	bool ok;

	if (++g->values > JSON_VALUES)
		return refuse(g, "too many values");
	if (!span_begin(g))
		return false;
	if (c == '{' || c == '[')
		return gate_enter(g, want);
	if (c == '"')
		ok = gate_string(g);
	else if (c == '-' || is_digit(c))
		ok = gate_number(g);
	else if (c == 't')
		ok = gate_literal(g, "true");
	else if (c == 'f')
		ok = gate_literal(g, "false");
	else if (c == 'n')
		ok = gate_literal(g, "null");
	else
		ok = refuse(g, "a value was expected");
	return ok && value_done(g, want);
}

static bool
gate_name(struct gate *g, enum want *want)
{
	if (peek(g) != '"')
		return refuse(g, "a member's name was expected");
	if (!gate_string(g))
		return false;
	skip_space(g);
	if (peek(g) != ':')
		return refuse(g, g->i == g->n ? too_short : "a colon was expected");
	g->i++;
	*want = WANT_VALUE;
	return true;
}

static bool
gate_more(struct gate *g, enum want *want)
{
	bool object = in_object(g);

	if (peek(g) == (object ? '}' : ']'))
		return gate_leave(g, want);
	if (peek(g) != ',')
		return refuse(
		    g, object ? "a comma or } was expected" : "a comma or ] was expected");
	*want = object ? WANT_NAME : WANT_VALUE;
	g->i++;
	return true;
}

static bool
gate_step(struct gate *g, enum want *want)
{
	switch (*want) {
	case WANT_FIRST_ITEM:
		return peek(g) == ']' ? gate_leave(g, want) : gate_value(g, want);
	case WANT_VALUE:
		return gate_value(g, want);
	case WANT_FIRST_NAME:
		return peek(g) == '}' ? gate_leave(g, want) : gate_name(g, want);
	case WANT_NAME:
		return gate_name(g, want);
	case WANT_MORE:
		return gate_more(g, want);
	case WANT_END:
		break;
	}
	return refuse(g, "something follows the value");
}

static bool
gate_text(struct gate *g)
{
	enum want want = WANT_VALUE;

	if (g->n >= 3 && memcmp(g->p, "\xef\xbb\xbf", 3) == 0)
		return refuse(g, "a byte-order mark");
	for (;;) {
		skip_space(g);
		if (g->i == g->n)
			return want == WANT_END ? true : refuse(g, too_short);
		if (!gate_step(g, &want))
			return false;
	}
}

static enum rc
gate_run(struct gate *g, struct err *e)
{
	if (gate_text(g))
		return RC_OK;
	if (g->full)
		return err_set(e, RC_FULL, "more than %zu elements", g->max);
	return err_set(e, RC_BAD, "not JSON at offset %zu: %s", g->i, g->why);
}

enum rc
json_check(const char *p, size_t n, struct err *e)
{
	struct gate g = {.p = p, .n = n, .level = JSON_DEPTH + 1};

	return gate_run(&g, e);
}

enum rc
json_split(const char *p, size_t n, struct json_span *spans, size_t max, size_t *count,
    bool *is_array, struct err *e)
{
	struct gate g = {.p = p, .n = n, .spans = spans, .max = max};
	enum rc rc;

	skip_space(&g);
	g.level = peek(&g) == '[' ? 1 : 0;
	g.i = 0;
	rc = gate_run(&g, e);
	*count = rc == RC_OK ? g.count : 0;
	*is_array = rc == RC_OK && g.level == 1;
	return rc;
}

static cJSON *
writable(struct json *v)
{
	return v == NULL ? NULL : &v->c;
}

static const cJSON *
node(const struct json *v)
{
	return v == NULL ? NULL : &v->c;
}

static const struct json *
value(const cJSON *c)
{
	return (const struct json *)c;
}

/* The next number at or after *at in a text that the gate accepted. */
static bool
number_next(const char *p, size_t n, size_t *at, size_t *len)
{
	size_t i = *at;

	while (i < n && p[i] != '-' && !is_digit(p[i])) {
		if (p[i] == '"')
			for (i++; i < n && p[i] != '"'; i++)
				i += p[i] == '\\';
		i++;
	}
	*at = i;
	while (i < n && (is_digit(p[i]) || memchr("+-.eE", p[i], 5) != NULL))
		i++;
	*len = i - *at;
	return *len > 0;
}

/* The text with a NUL and with 0 for each number; cJSON's allocator, NULL: no memory. */
static char *
copy_plain(const char *p, size_t n)
{
	char *text = cJSON_malloc(n + 1);
	size_t len;

	if (text == NULL)
		return NULL;
	memcpy(text, p, n);
	text[n] = '\0';
	for (size_t i = 0; number_next(p, n, &i, &len); i += len) {
		memset(text + i, ' ', len);
		text[i] = '0';
	}
	return text;
}

/* In the order of the text: the node after at, the ways back up are kept in w. */
struct walk {
	cJSON *up[JSON_DEPTH];
	unsigned depth;
};

static cJSON *
walk_next(struct walk *w, cJSON *at)
{
	if (at->child != NULL) {
		w->up[w->depth++] = at;
		return at->child;
	}
	while (at->next == NULL && w->depth > 0)
		at = w->up[--w->depth];
	return at->next;
}

static int
by_name(const void *a, const void *b)
{
	const cJSON *const *x = a, *const *y = b;

	return strcmp((*x)->string, (*y)->string);
}

struct names {
	const cJSON **list;
	size_t cap;
};

/* Sorted, because a peer may send half a million members in one object. */
static enum rc
names_check(struct names *s, const cJSON *obj, struct err *e)
{
	char shown[JSON_NAME];
	size_t n = 0;

	for (const cJSON *c = obj->child; c != NULL; c = c->next)
		n++;
	if (n > s->cap) {
		const cJSON **more = reallocarray(s->list, n, sizeof(*more));

		if (more == NULL)
			return err_set(e, RC_LATER, "JSON: no memory");
		s->list = more;
		s->cap = n;
	}
	n = 0;
	for (const cJSON *c = obj->child; c != NULL; c = c->next)
		s->list[n++] = c;
	if (n > 1)
		qsort(s->list, n, sizeof(*s->list), by_name);
	for (size_t i = 1; i < n; i++) {
		const char *name = s->list[i]->string;

		if (str_eq(s->list[i - 1]->string, name))
			return err_set(e, RC_BAD,
			    "the member \"%s\" stands twice in one object",
			    str_escape(shown, sizeof(shown), name, strlen(name)));
	}
	return RC_OK;
}

/*
 * Look for names that stand twice, and give each number its text, which text keeps: it is as
 * long as the source, and a number is always followed by another byte or the end.
 */
static enum rc
tree_finish(cJSON *root, const char *p, size_t n, char *text, struct err *e)
{
	struct walk w = {.depth = 0};
	struct names names = {0};
	size_t i = 0, len;
	enum rc rc = RC_OK;

	for (cJSON *at = root; at != NULL && rc == RC_OK; at = walk_next(&w, at)) {
		if (cJSON_IsObject(at)) {
			rc = names_check(&names, at, e);
		} else if (cJSON_IsNumber(at) && number_next(p, n, &i, &len)) {
			memcpy(text + i, p + i, len);
			text[i + len] = '\0';
			at->valuestring = text + i;
			at->type |= cJSON_IsReference;
			i += len;
		}
	}
	free(names.list);
	return rc;
}

/* cJSON_Delete() frees a root's valuestring, of whatever type the root is. */
static void
give_text(cJSON *root, char *text)
{
	if (cJSON_IsString(root)) {
		cJSON_free(text);
	} else if (cJSON_IsNumber(root)) {
		memmove(text, root->valuestring, strlen(root->valuestring) + 1);
		root->type = cJSON_Number;
		root->valuestring = text;
	} else {
		root->valuestring = text;
	}
}

enum rc
json_parse(const char *p, size_t n, struct json **doc, struct err *e)
{
	cJSON *root = NULL;
	char *text = NULL;
	enum rc rc;

	*doc = NULL;
	if ((rc = json_check(p, n, e)) != RC_OK)
		return rc;
	if ((text = copy_plain(p, n)) == NULL ||
	    (root = cJSON_ParseWithLengthOpts(text, n + 1, NULL, 1)) == NULL) {
		rc = err_set(e, RC_LATER, "JSON: no memory");
		goto out;
	}
	if ((rc = tree_finish(root, p, n, text, e)) != RC_OK)
		goto out;
	give_text(root, text);
	*doc = (struct json *)root;
	return RC_OK;
out:
	cJSON_Delete(root);
	cJSON_free(text);
	return rc;
}

void
json_free(struct json **doc)
{
	if (doc == NULL)
		return;
	cJSON_Delete(writable(*doc));
	*doc = NULL;
}

enum json_type
json_type(const struct json *v)
{
	const cJSON *c = node(v);

	if (cJSON_IsObject(c))
		return JSON_OBJECT;
	if (cJSON_IsArray(c))
		return JSON_ARRAY;
	if (cJSON_IsString(c))
		return JSON_STRING;
	if (cJSON_IsNumber(c))
		return JSON_NUMBER;
	return cJSON_IsBool(c) ? JSON_BOOL : JSON_NULL;
}

const struct json *
json_get(const struct json *obj, const char *name)
{
	if (!cJSON_IsObject(node(obj)))
		return NULL;
	return value(cJSON_GetObjectItemCaseSensitive(node(obj), name));
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool
json_same_name(const char *a, const char *b)
{
	return a[0] != '\0' && lower(a[0]) == lower(b[0]) && str_eq(a + 1, b + 1);
}

const struct json *
json_member(const struct json *obj, const char *name)
{
	const struct json *v = json_get(obj, name);

	if (v != NULL || json_type(obj) != JSON_OBJECT)
		return v;
	for (v = json_first(obj); v != NULL; v = json_next(v))
		if (json_same_name(json_name(v), name))
			return v;
	return NULL;
}

/* RFC 6901 section 3. */
static bool
pointer_ok(const char *pointer)
{
	if (pointer[0] != '/' && pointer[0] != '\0')
		return false;
	for (const char *s = pointer; *s != '\0'; s++)
		if (*s == '~' && s[1] != '0' && s[1] != '1')
			return false;
	return true;
}

/* Does a reference token, still escaped, name this member? (RFC 6901 section 4) */
static bool
token_names(const char *token, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++, name++) {
		char c = token[i];

		if (c == '~')
			c = token[++i] == '0' ? '~' : '/';
		if (*name != c)
			return false;
	}
	return *name == '\0';
}

static const cJSON *
pointer_step(const cJSON *at, const char *token, size_t n)
{
	const cJSON *c = at->child;
	char digits[JSON_INDEX];
	uint64_t index;

	if (cJSON_IsObject(at)) {
		while (c != NULL && !token_names(token, n, c->string))
			c = c->next;
		return c;
	}
	if (!cJSON_IsArray(at) || !str_copy_n(digits, sizeof(digits), token, n) ||
	    !str_u64(digits, 0, UINT64_MAX, &index) || (n > 1 && digits[0] == '0'))
		return NULL;
	for (; c != NULL && index > 0; index--)
		c = c->next;
	return c;
}

const struct json *
json_at(const struct json *doc, const char *pointer)
{
	const cJSON *at = node(doc);

	if (!pointer_ok(pointer))
		return NULL;
	while (at != NULL && *pointer == '/') {
		size_t n = strcspn(++pointer, "/");

		at = pointer_step(at, pointer, n);
		pointer += n;
	}
	return value(at);
}

const struct json *
json_first(const struct json *v)
{
	return v == NULL ? NULL : value(v->c.child);
}

const struct json *
json_next(const struct json *v)
{
	return v == NULL ? NULL : value(v->c.next);
}

const char *
json_name(const struct json *v)
{
	return v == NULL ? NULL : v->c.string;
}

const char *
json_text(const struct json *v)
{
	const cJSON *c = node(v);

	return cJSON_IsString(c) || cJSON_IsNumber(c) ? c->valuestring : NULL;
}

const char *
json_string(const struct json *v)
{
	return cJSON_IsString(node(v)) ? v->c.valuestring : NULL;
}

bool
json_int(const struct json *v, int64_t min, int64_t max, int64_t *out)
{
	const uint64_t most = INT64_MAX;
	const char *text = json_text(v);
	uint64_t u;
	int64_t i;

	*out = 0;
	if (json_type(v) != JSON_NUMBER)
		return false;
	if (text[0] == '-') {
		if (!str_u64(text + 1, 0, most + 1, &u))
			return false;
		i = u > most ? INT64_MIN : -(int64_t)u;
	} else {
		if (!str_u64(text, 0, most, &u))
			return false;
		i = (int64_t)u;
	}
	if (i < min || i > max)
		return false;
	*out = i;
	return true;
}

bool
json_bool(const struct json *v, bool *out)
{
	*out = cJSON_IsTrue(node(v));
	return cJSON_IsBool(node(v));
}

static void
print_line(struct buf *out, unsigned depth)
{
	buf_str(out, "\n");
	for (; depth > 0; depth--)
		buf_str(out, "  ");
}

/* Recursive: a document has JSON_DEPTH levels at most. */
static void
print_value(struct buf *out, const struct json *v, unsigned depth)
{
	enum json_type type = json_type(v);

	if (type == JSON_STRING) {
		buf_json(out, json_string(v));
	} else if (type == JSON_NUMBER) {
		buf_str(out, json_text(v));
	} else if (type == JSON_BOOL) {
		buf_str(out, cJSON_IsTrue(node(v)) ? "true" : "false");
	} else if (type == JSON_NULL) {
		buf_str(out, "null");
	} else {
		const struct json *c = json_first(v);
		bool any = c != NULL;

		buf_str(out, type == JSON_OBJECT ? "{" : "[");
		for (; c != NULL; c = json_next(c)) {
			print_line(out, depth + 1);
			if (type == JSON_OBJECT) {
				buf_json(out, json_name(c));
				buf_str(out, ": ");
			}
			print_value(out, c, depth + 1);
			if (json_next(c) != NULL)
				buf_str(out, ",");
		}
		if (any)
			print_line(out, depth);
		buf_str(out, type == JSON_OBJECT ? "}" : "]");
	}
}

void
json_print(struct buf *out, const struct json *v)
{
	print_value(out, v, 0);
}
