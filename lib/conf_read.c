/*
 * SPDX-License-Identifier: ISC
 *
 * conf_read - the text of a configuration becomes a struct conf; see conf_keys.h.
 *
 * The one file that knows inih.  Lines are fed to it one by one, so that every
 * complaint names its line, and what inih would do silently is refused or
 * decided before it: it cuts long lines and long names of sections, joins
 * indented lines to the value above, stops at a NUL and ignores what follows
 * a "]".
 */
#include "config.h"

#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_keys.h"
#include "str.h"

#define TITLE_SIZE 80   /* "callback Category.Type" with its NUL */
#define SHOWN_SIZE 64   /* what was found, quoted, escaped and cut */
#define HINT_SIZE 96    /* what was perhaps meant */
#define HINT_WORD 32    /* no name of a key or section is longer */
#define HINT_DISTANCE 2 /* typing errors forgiven in a hint */

struct seen {          /* a key in the section that is being read */
	unsigned line; /* 0: not there */
	char shown[SHOWN_SIZE];
};

struct load {
	struct conf *c;
	struct err *e;
	enum rc rc; /* the first failure ends it all */

	const char *file;
	const char *at, *end; /* what is still to be read */
	const char *text;     /* the line in hand: n bytes without blanks around them */
	size_t n;
	unsigned line;
	bool pending; /* inih has a line that should be "key = value" and has not said so */

	const struct conf_section *sec; /* NULL before the first */
	char title[TITLE_SIZE];         /* "account acme" */
	unsigned head;                  /* the line of its "[" */
	void *base;                     /* the struct that its keys are offsets in */
	struct seen seen[CONF_KEYS];

	unsigned once[CONF_SECTIONS]; /* where sections without a title stood */
	unsigned account_line[CONF_ACCOUNTS], path_line[CONF_ACCOUNTS];
	unsigned callback_line[CONF_CALLBACKS];

	char shown[SHOWN_SIZE];
	char hint[HINT_SIZE];
};

/* Peer or operator's text, as a complaint shows it. */
static const char *
quote(char out[SHOWN_SIZE], const char *p, size_t n)
{
	out[0] = '"';
	str_escape(out + 1, SHOWN_SIZE - 2, p, n);
	n = strlen(out);
	out[n] = '"';
	out[n + 1] = '\0';
	return out;
}

static const char *
quote_text(struct load *l, const char *text)
{
	return quote(l->shown, text, strlen(text));
}

/* FILE:LINE: [section] key: expected X, found Y (hint) */
static enum rc fail(struct load *l, unsigned line, const char *key, const char *found,
    const char *fmt, ...) PRINTF_LIKE(5, 6);

static enum rc
fail(struct load *l, unsigned line, const char *key, const char *found, const char *fmt, ...)
{
	char expected[CONF_EXPECT];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(expected, sizeof(expected), fmt, ap);
	va_end(ap);
	return err_set(l->e, RC_CONFIG, "%.100s:%u: %s%s%s%s%s%sexpected %s, found %s%s",
	    l->file, line, l->title[0] != '\0' ? "[" : "", l->title,
	    l->title[0] != '\0' ? "]" : "", key != NULL ? " " : "", key != NULL ? key : "",
	    l->title[0] != '\0' || key != NULL ? ": " : "", expected, found, l->hint);
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Insertions, deletions and replacements from a to b (Levenshtein). */
static size_t
distance(const char *a, const char *b)
{
	size_t row[HINT_WORD + 1];
	size_t na = strlen(a), nb = strlen(b);

	if (na > HINT_WORD || nb > HINT_WORD)
		return HINT_WORD;
	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t corner = row[0];

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t up = row[j];

			row[j] = least(
			    least(up, row[j - 1]) + 1, corner + (a[i - 1] != b[j - 1] ? 1 : 0));
			corner = up;
		}
	}
	return row[nb];
}

static void
hint_key(struct load *l, const char *name)
{
	size_t best = least(HINT_DISTANCE + 1, strlen(name));
	enum conf_where here = (enum conf_where)(l->sec - conf_sections);

	for (size_t i = 0; i < conf_nkeys; i++) {
		const struct conf_key *k = &conf_keys[i];
		size_t d = distance(name, k->name);

		if (k->section == here && d < best) {
			best = d;
			(void)snprintf(
			    l->hint, sizeof(l->hint), " (did you mean \"%s\"?)", k->name);
		} else if (d == 0) {
			best = 0;
			(void)snprintf(l->hint, sizeof(l->hint), " (that belongs in [%s])",
			    conf_sections[k->section].name);
		}
	}
}

static void
hint_section(struct load *l, const char *name)
{
	size_t best = HINT_DISTANCE + 1;

	for (size_t i = 0; i < CONF_SECTIONS; i++) {
		size_t d = distance(name, conf_sections[i].name);

		if (d >= best)
			continue;
		best = d;
		(void)snprintf(
		    l->hint, sizeof(l->hint), " (did you mean \"%s\"?)", conf_sections[i].name);
	}
}

static enum rc
no_memory(struct load *l)
{
	return err_set(l->e, RC_LATER, "%.100s: no memory", l->file);
}

/* The defaults of a section; the table is right, so only memory can fail. */
static enum rc
set_defaults(struct load *l, enum conf_where section, void *base)
{
	char bad[CONF_BAD];

	for (size_t i = 0; i < conf_nkeys; i++) {
		const struct conf_key *k = &conf_keys[i];

		if (k->section == section && k->def != NULL &&
		    conf_value_set(k, base, k->def, bad) != RC_OK)
			return no_memory(l);
	}
	return RC_OK;
}

static const struct conf_key *
key_find(enum conf_where section, const char *name)
{
	for (size_t i = 0; i < conf_nkeys; i++)
		if (conf_keys[i].section == section && str_eq(conf_keys[i].name, name))
			return &conf_keys[i];
	return NULL;
}

/* Where the current section has that key; line 0 if it has not. */
static struct seen *
key_seen(struct load *l, const char *name)
{
	const struct conf_key *k = key_find((enum conf_where)(l->sec - conf_sections), name);

	return &l->seen[k - conf_keys];
}

/* Is there " #", which a reader of the file would take for a comment? */
static bool
has_hash(const char *value)
{
	for (; *value != '\0'; value++)
		if ((*value == ' ' || *value == '\t') && value[1] == '#')
			return true;
	return false;
}

static enum rc
key_set(struct load *l, const char *name, const char *value)
{
	char expect[CONF_EXPECT], bad[CONF_BAD];
	const struct conf_key *k;
	struct seen *seen;
	enum rc rc;

	if (l->sec == NULL)
		return fail(
		    l, l->line, NULL, quote_text(l, name), "a [section] before any key");
	if ((k = key_find((enum conf_where)(l->sec - conf_sections), name)) == NULL) {
		hint_key(l, name);
		return fail(l, l->line, NULL, quote_text(l, name), "a key of this section");
	}
	seen = &l->seen[k - conf_keys];
	if (seen->line != 0)
		return fail(l, l->line, k->name, "another", "it once (line %u)", seen->line);
	if (has_hash(value))
		return fail(l, l->line, k->name, quote_text(l, value),
		    "a comment after a value to begin with \";\"");
	if ((rc = conf_value_set(k, l->base, value, bad)) == RC_LATER)
		return no_memory(l);
	if (rc != RC_OK) {
		conf_value_expect(k, expect);
		(void)snprintf(l->shown, sizeof(l->shown), "\"%s\"", bad);
		return fail(l, l->line, k->name, l->shown, "%s", expect);
	}
	seen->line = l->line;
	(void)quote(seen->shown, value, strlen(value));
	return RC_OK;
}

/* [daemon]: a pause cannot grow downwards. */
static enum rc
daemon_end(struct load *l)
{
	const struct seen *min = key_seen(l, "retry_min"), *max = key_seen(l, "retry_max");

	if (l->c->daemon.retry_min <= l->c->daemon.retry_max)
		return RC_OK;
	if (min->line > max->line)
		return fail(l, min->line, "retry_min", min->shown, "no more than retry_max");
	return fail(l, max->line, "retry_max", max->shown, "no less than retry_min");
}

static enum rc
account_path(struct load *l, struct conf_account *a)
{
	const struct seen *path = key_seen(l, "path");
	size_t i = l->c->naccounts - 1;

	if (a->path == NULL && asprintf(&a->path, "/arken/%s", a->name) < 0) {
		a->path = NULL;
		return no_memory(l);
	}
	l->path_line[i] = path->line != 0 ? path->line : l->head;
	for (size_t j = 0; j < i; j++)
		if (str_eq(l->c->accounts[j].path, a->path))
			return fail(l, l->path_line[i], "path", quote_text(l, a->path),
			    "a path of its own ([account %s] has it, line %u)",
			    l->c->accounts[j].name, l->path_line[j]);
	return RC_OK;
}

/* What is said about tokens is for naught without the issuer of the tokens. */
static enum rc
account_issuer(struct load *l)
{
	static const char *const with[] = {"audience", "jwks_url", "issuer_ca_file",
	    "algorithms", "token_types", "require", "token_lifetime", "token_leeway",
	    "keys_max_age"};
	const struct conf_account *a = l->base;
	const struct seen *issuer = key_seen(l, "issuer");

	for (size_t i = 0; issuer->line == 0 && i < sizeof(with) / sizeof(with[0]); i++)
		if (key_seen(l, with[i])->line != 0)
			return fail(
			    l, key_seen(l, with[i])->line, with[i], "none", "issuer with it");
	if (issuer->line != 0 && a->audience == NULL)
		return fail(l, issuer->line, "issuer", "none", "audience with it");
	if (issuer->line != 0 && a->secret_header != NULL &&
	    str_eq_nocase(a->secret_header, "Authorization"))
		return fail(l, key_seen(l, "secret_header")->line, "secret_header",
		    key_seen(l, "secret_header")->shown,
		    "another header, for with issuer a token is in this one");
	return RC_OK;
}

/* What a forward needs. */
static enum rc
account_forward(struct load *l)
{
	const struct conf_account *a = l->base;
	const struct seen *forward = key_seen(l, "forward"),
			  *file = key_seen(l, "forward_secret_file"),
			  *document = key_seen(l, "forward_document");

	if (forward->line != 0 && file->line == 0)
		return fail(l, forward->line, "forward", "none", "forward_secret_file with it");
	if (a->forward_document == CONF_NO_DOCUMENT)
		return RC_OK;
	if (a->forward == NULL || a->forward_document_url == NULL)
		return fail(l, document->line, "forward_document", "none", "%s with it",
		    a->forward == NULL ? "forward" : "forward_document_url");
	return RC_OK;
}

static enum rc
account_end(struct load *l)
{
	struct conf_account *a = l->base;
	const struct seen *header = key_seen(l, "secret_header"),
			  *file = key_seen(l, "secret_file");
	enum rc rc;

	if ((rc = account_path(l, a)) != RC_OK)
		return rc;
	if (header->line != 0 && file->line == 0)
		return fail(l, header->line, "secret_header", "none", "secret_file with it");
	if (file->line != 0 && header->line == 0)
		return fail(l, file->line, "secret_file", "none", "secret_header with it");
	if ((rc = account_issuer(l)) != RC_OK)
		return rc;
	if ((rc = account_forward(l)) != RC_OK)
		return rc;
	if (a->token_audience == NULL && a->api != NULL &&
	    (a->token_audience = strdup(a->api)) == NULL)
		return no_memory(l);
	return RC_OK;
}

static enum rc
callback_end(struct load *l)
{
	const struct conf_callback *b = l->base;

	if (b->get != NULL || b->link != NULL)
		return RC_OK;
	return fail(l, l->head, NULL, "none", "get or link");
}

/* The section that was being read is complete: look at what needs all of its keys. */
static enum rc
section_end(struct load *l)
{
	enum conf_where section;

	if (l->sec == NULL)
		return RC_OK;
	section = (enum conf_where)(l->sec - conf_sections);
	if (section == CONF_IN_DAEMON)
		return daemon_end(l);
	if (section == CONF_IN_CALLBACK)
		return callback_end(l);
	return section == CONF_IN_ACCOUNT ? account_end(l) : RC_OK;
}

static enum rc
account_begin(struct load *l, const char *name)
{
	struct conf_account *a;
	size_t n = l->c->naccounts;

	for (size_t i = 0; i < n; i++)
		if (str_eq(l->c->accounts[i].name, name))
			return fail(l, l->line, NULL, "another", "it once (line %u)",
			    l->account_line[i]);
	if (n == CONF_ACCOUNTS)
		return fail(l, l->line, NULL, "another", "at most %d accounts", CONF_ACCOUNTS);
	if ((a = reallocarray(l->c->accounts, n + 1, sizeof(*a))) == NULL)
		return no_memory(l);
	l->c->accounts = a;
	a[n] = (struct conf_account){.name = strdup(name)};
	if (a[n].name == NULL)
		return no_memory(l);
	l->c->naccounts++;
	l->account_line[n] = l->line;
	l->base = &a[n];
	return RC_OK;
}

static enum rc
callback_begin(struct load *l, const char *kind)
{
	struct conf_callback *b;
	size_t n = l->c->ncallbacks;

	for (size_t i = 0; i < n; i++)
		if (str_eq(l->c->callbacks[i].kind, kind))
			return fail(l, l->line, NULL, "another", "it once (line %u)",
			    l->callback_line[i]);
	if (n == CONF_CALLBACKS)
		return fail(
		    l, l->line, NULL, "another", "at most %d callbacks", CONF_CALLBACKS);
	if ((b = reallocarray(l->c->callbacks, n + 1, sizeof(*b))) == NULL)
		return no_memory(l);
	l->c->callbacks = b;
	b[n] = (struct conf_callback){.kind = strdup(kind)};
	if (b[n].kind == NULL)
		return no_memory(l);
	l->c->ncallbacks++;
	l->callback_line[n] = l->line;
	l->base = &b[n];
	return RC_OK;
}

/* The section's struct, fresh or, for the single ones, in struct conf. */
static enum rc
section_open(struct load *l, enum conf_where section, const char *title)
{
	enum rc rc;

	if (conf_sections[section].title == NULL) {
		if (title[0] != '\0')
			return fail(l, l->line, NULL, quote_text(l, title), "no name here");
		if (l->once[section] != 0)
			return fail(
			    l, l->line, NULL, "another", "it once (line %u)", l->once[section]);
		l->once[section] = l->line;
		l->base = l->c;
		return RC_OK;
	}
	if (!conf_title_ok(section, title))
		return fail(l, l->line, NULL, title[0] != '\0' ? quote_text(l, title) : "none",
		    section == CONF_IN_ACCOUNT ? "a name, 1 to 32 of a-z 0-9 _ and -"
					       : "a kind such as Client or Client.Update");
	rc = section == CONF_IN_ACCOUNT ? account_begin(l, title) : callback_begin(l, title);
	return rc == RC_OK ? set_defaults(l, section, l->base) : rc;
}

/* "account  acme" */
static enum rc
section_begin(struct load *l, char *head)
{
	char *title = head + strcspn(head, " \t");
	size_t i = 0;

	if (*title != '\0') {
		*title++ = '\0';
		title += strspn(title, " \t");
	}
	l->title[0] = '\0';
	while (i < CONF_SECTIONS && !str_eq(conf_sections[i].name, head))
		i++;
	if (i == CONF_SECTIONS) {
		hint_section(l, head);
		return fail(l, l->line, NULL, quote_text(l, head), "the name of a section");
	}
	l->sec = &conf_sections[i];
	l->head = l->line;
	memset(l->seen, 0, sizeof(l->seen));
	(void)snprintf(l->title, sizeof(l->title), "%s", conf_sections[i].name);
	if (title[0] != '\0' && l->sec->title != NULL &&
	    conf_title_ok((enum conf_where)i, title))
		(void)snprintf(l->title, sizeof(l->title), "%s %s", l->sec->name, title);
	return section_open(l, (enum conf_where)i, title);
}

/* A line that begins with "[". */
static enum rc
line_section(struct load *l)
{
	const char *close = memchr(l->text, ']', l->n), *p = l->text + 1, *rest;
	char head[TITLE_SIZE];
	enum rc rc;

	if ((rc = section_end(l)) != RC_OK)
		return rc;
	l->title[0] = '\0';
	if (close == NULL)
		return fail(l, l->line, NULL, quote(l->shown, l->text, l->n), "\"[section]\"");
	for (rest = close + 1; rest < l->text + l->n && (*rest == ' ' || *rest == '\t');)
		rest++;
	if (rest < l->text + l->n && *rest != ';' && *rest != '#')
		return fail(l, l->line, NULL,
		    quote(l->shown, rest, (size_t)(l->text + l->n - rest)),
		    "nothing after \"]\"");
	while (p < close && (*p == ' ' || *p == '\t'))
		p++;
	while (close > p && (close[-1] == ' ' || close[-1] == '\t'))
		close--;
	if (!str_copy_n(head, sizeof(head), p, (size_t)(close - p)))
		return fail(l, l->line, NULL, quote(l->shown, p, (size_t)(close - p)),
		    "a name of a section, shorter than %d bytes", TITLE_SIZE);
	return section_begin(l, head);
}

/* A line as text that inih will take as it is. */
static enum rc
line_check(struct load *l, size_t max)
{
	char found[SHOWN_SIZE];

	if (l->n > max) {
		(void)snprintf(found, sizeof(found), "%zu", l->n);
		return fail(l, l->line, NULL, found, "a line of at most %zu bytes", max);
	}
	for (size_t i = 0; i < l->n; i++) {
		unsigned char c = (unsigned char)l->text[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return fail(l, l->line, NULL, quote(l->shown, l->text + i, 1),
			    "text, no control character");
	}
	if (!str_utf8(l->text, l->n))
		return fail(l, l->line, NULL, quote(l->shown, l->text, l->n), "text in UTF-8");
	return RC_OK;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* inih said nothing about the line it was given last. */
static enum rc
line_unclaimed(struct load *l)
{
	if (!l->pending)
		return RC_OK;
	l->pending = false;
	return fail(l, l->line, NULL, quote(l->shown, l->text, l->n), "\"key = value\"");
}

/* The next line of the file, without its end, into text and n. */
static void
line_cut(struct load *l)
{
	const char *nl = memchr(l->at, '\n', (size_t)(l->end - l->at));

	l->line++;
	l->text = l->at;
	l->n = (size_t)((nl != NULL ? nl : l->end) - l->at);
	l->at = nl != NULL ? nl + 1 : l->end;
	if (l->n > 0 && l->text[l->n - 1] == '\r')
		l->n--;
}

/* inih's reader: a line in out, at most size - 1 bytes; NULL at the end or after a failure. */
static char *
line_next(char *out, int size, void *user)
{
	struct load *l = user;

	if (l->rc == RC_OK)
		l->rc = line_unclaimed(l);
	if (l->rc != RC_OK || l->at == l->end || size < 1)
		return NULL;
	line_cut(l);
	if ((l->rc = line_check(l, least(CONF_LINE, (size_t)size - 1))) != RC_OK)
		return NULL;
	/* An indented line is a line like any other, not the rest of the value above. */
	for (; l->n > 0 && is_blank(*l->text); l->n--)
		l->text++;
	while (l->n > 0 && is_blank(l->text[l->n - 1]))
		l->n--;
	if (l->n > 0 && *l->text == '[')
		l->rc = line_section(l);
	else
		l->pending = l->n > 0 && *l->text != ';' && *l->text != '#';
	if (l->rc != RC_OK)
		return NULL;
	memcpy(out, l->text, l->n);
	out[l->n] = '\0';
	return out;
}

/* inih's handler. */
static int
line_pair(void *user, const char *section, const char *name, const char *value)
{
	struct load *l = user;

	(void)section; /* inih keeps 49 bytes of it; ours is whole */
	l->pending = false;
	if (l->rc == RC_OK)
		l->rc = key_set(l, name, value != NULL ? value : "");
	return l->rc == RC_OK;
}

/* What is posted to is not where the status is asked for; both are known at the end only. */
static enum rc
account_apart(struct load *l, size_t i)
{
	const struct conf_account *a = &l->c->accounts[i];
	const char *status = l->c->status.path;
	size_t n = strlen(status);

	if (strncmp(a->path, status, n) != 0 || (a->path[n] != '\0' && a->path[n] != '/'))
		return RC_OK;
	(void)snprintf(l->title, sizeof(l->title), "account %s", a->name);
	return fail(l, l->path_line[i], "path", quote_text(l, a->path),
	    "a path outside of %s, the path of [status]", status);
}

/* All lines, then what can be said of the whole. */
static enum rc
read_all(struct load *l)
{
#if !defined(HAVE_DECL_INI_MAX_LINE) || HAVE_DECL_INI_MAX_LINE
	ini_max_line = CONF_LINE + 3;
#endif
	for (int s = 0; s < CONF_SECTIONS && l->rc == RC_OK; s++)
		if (conf_sections[s].title == NULL)
			l->rc = set_defaults(l, (enum conf_where)s, l->c);
	/* The line numbers and reasons are ours: its result says only that there was a line. */
	if (l->rc == RC_OK && ini_parse_stream(line_next, l, line_pair, l) == -2)
		l->rc = no_memory(l);
	if (l->rc == RC_OK)
		l->rc = line_unclaimed(l);
	if (l->rc == RC_OK)
		l->rc = section_end(l);
	for (size_t i = 0; l->rc == RC_OK && i < l->c->naccounts; i++)
		l->rc = account_apart(l, i);
	if (l->rc == RC_OK && l->c->naccounts == 0)
		l->rc = err_set(l->e, RC_CONFIG, "%.200s: no [account NAME] section", l->file);
	return l->rc;
}

enum rc
conf_read(struct conf *c, const char *text, size_t n, struct err *e)
{
	struct load l = {.c = c, .e = e, .rc = RC_OK, .file = c->file, .at = text};

	l.end = text + n;
	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		l.at += 3;
	return read_all(&l);
}
