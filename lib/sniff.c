/*
 * SPDX-License-Identifier: ISC
 *
 * sniff - is this the document it is said to be?  See sniff.h.
 */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "sniff.h"
#include "str.h"

static const struct kind {
	const char *magic;
	size_t len;
	const char *suffix;     /* the usual one */
	const char *suffixes;   /* names that demand these bytes */
	const char *media_type; /* a type that demands these bytes */
} kinds[] = {
    {"%PDF-", 5, ".pdf", " .pdf ", "application/pdf"},
    {"PK\003\004", 4, ".zip", " .zip .docx .xlsx .pptx .odt .ods ", "application/zip"},
    {"\211PNG\r\n\032\n", 8, ".png", " .png ", "image/png"},
    {"\377\330\377", 3, ".jpg", " .jpg .jpeg ", "image/jpeg"},
    {"\320\317\021\340\241\261\032\341", 8, ".doc", " .doc .xls .msg ", "application/msword"},
    {"{\\rtf", 5, ".rtf", " .rtf ", "application/rtf"},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const char docx[] =
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

static bool
begins_nocase(const char *p, size_t n, const char *word)
{
	for (; *word != '\0'; word++, p++, n--) {
		char c = n == 0 ? '\0' : *p;

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (n == 0 || c != *word)
			return false;
	}
	return true;
}

/* How many bytes of white space, or of one comment, there are at the beginning. */
static size_t
idle(const char *p, size_t n)
{
	const char *end;

	if (n > 0 && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		return 1;
	if (n < 4 || memcmp(p, "<!--", 4) != 0 ||
	    (end = memmem(p + 4, n - 4, "-->", 3)) == NULL)
		return 0;
	return (size_t)(end - p) + 3;
}

/* A page for a browser, after white space, a byte-order mark or comments. */
static bool
is_html(const char *p, size_t n)
{
	static const char *const tags[] = {
	    "<!doctype html", "<html", "<head", "<body", "<script"};

	if (n >= 3 && memcmp(p, "\357\273\277", 3) == 0) {
		p += 3;
		n -= 3;
	}
	for (size_t k; (k = idle(p, n)) > 0; n -= k)
		p += k;
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
		if (begins_nocase(p, n, tags[i]))
			return true;
	return false;
}

/* The message that S3 and its like send about an error, whatever status goes with it. */
static bool
is_error(const char *p, size_t n)
{
	for (size_t k; (k = idle(p, n)) > 0; n -= k)
		p += k;
	return begins_nocase(p, n, "<error>") ||
	       (begins_nocase(p, n, "<?xml") && memmem(p, n, "<Error>", 7) != NULL);
}

/* A record or a message instead of a document: nothing but its type or its look says what it
 * is.
 */
static bool
is_message(const char *p, size_t n, const char *type, const char *suffix)
{
	if (suffix[0] != '\0' || (type[0] != '\0' && strstr(type, "json") == NULL))
		return false;
	for (size_t k; (k = idle(p, n)) > 0; n -= k)
		p += k;
	return n > 0 && (*p == '{' || *p == '[');
}

static const struct kind *
kind_of(const void *p, size_t n)
{
	for (size_t i = 0; i < KINDS; i++)
		if (n >= kinds[i].len && memcmp(p, kinds[i].magic, kinds[i].len) == 0)
			return &kinds[i];
	return NULL;
}

/* ".pdf" of "Will of A. B.pdf", lower case; "" if it is not [a-z0-9]. */
static void
suffix_of(const char *name, char out[STORE_SUFFIX])
{
	const char *dot = name != NULL ? strrchr(name, '.') : NULL;

	out[0] = '\0';
	if (dot == NULL || dot == name || !str_only(dot + 1, "", 1, STORE_SUFFIX - 2))
		return;
	if (!str_copy(out, STORE_SUFFIX, dot))
		return;
	str_lower(out);
	if (str_eq(out, ".json")) /* beside a document that is the name of its description */
		(void)!str_copy(out, STORE_SUFFIX, ".txt");
}

/* "application/pdf" of "Application/PDF; charset=…". */
static void
bare_type(const char *content_type, char *out, size_t size)
{
	if (!str_copy_n(out, size, content_type, strcspn(content_type, "; \t")))
		out[0] = '\0';
	str_lower(out);
}

static bool
demanded_by_name(const struct kind *k, const char *suffix)
{
	char word[STORE_SUFFIX + 2];

	(void)snprintf(word, sizeof(word), " %s ", suffix);
	return suffix[0] != '\0' && strstr(k->suffixes, word) != NULL;
}

static bool
demanded_by_type(const struct kind *k, const char *type)
{
	return str_eq(type, k->media_type) || (k->len == 4 && str_eq(type, docx));
}

enum rc
sniff(const void *first, size_t n, const char *content_type, const char *file_name,
    struct store_meta *meta, struct err *e)
{
	const struct kind *is = kind_of(first, n);
	char type[STORE_TEXT];

	bare_type(content_type, type, sizeof(type));
	suffix_of(file_name, meta->suffix);
	if (n == 0)
		return err_set(e, RC_BAD, "the document is empty");
	if (is_html(first, n))
		return err_set(e, RC_BAD, "a page for a browser came instead of a document");
	if (is_error(first, n))
		return err_set(e, RC_BAD, "an error message came instead of a document");
	if (is == NULL && is_message(first, n, type, meta->suffix))
		return err_set(e, RC_BAD, "a JSON text came instead of a document");
	for (size_t i = 0; i < KINDS; i++) {
		if (&kinds[i] == is)
			continue;
		if (demanded_by_type(&kinds[i], type))
			return err_set(
			    e, RC_BAD, "the bytes are not the announced %.100s", type);
		if (demanded_by_name(&kinds[i], meta->suffix))
			return err_set(e, RC_BAD, "the bytes are not a %s file", meta->suffix);
	}
	if (meta->suffix[0] == '\0' && is != NULL)
		(void)!str_copy(meta->suffix, sizeof(meta->suffix), is->suffix);
	(void)!str_copy(meta->media_type, sizeof(meta->media_type), type);
	if (file_name != NULL)
		(void)str_escape(
		    meta->original, sizeof(meta->original), file_name, strlen(file_name));
	return RC_OK;
}

/* ---- the end ---- */

#define PDF_END 1024 /* "%%EOF" is in the last so many bytes (ISO 32000-1, annex H.3.4.4) */
#define ZIP_END 22   /* APPNOTE 4.3.16, end of central directory record */
#define ZIP64 0xffffffffu

static bool
pdf_ends(const char *p, size_t n)
{
	while (n > 0 && (p[n - 1] == '\0' || strchr(" \t\r\n\f", p[n - 1]) != NULL))
		n--;
	if (n > PDF_END) {
		p += n - PDF_END;
		n = PDF_END;
	}
	return memmem(p, n, "%%EOF", 5) != NULL;
}

static size_t
little(const unsigned char *p, unsigned n)
{
	size_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

/* The end record of an archive: it tells the length of the comment that ends the file. */
static const unsigned char *
zip_end(const unsigned char *p, size_t n)
{
	for (size_t at = n >= ZIP_END ? n - ZIP_END + 1 : 0; at-- > 0;)
		if (memcmp(p + at, "PK\005\006", 4) == 0 &&
		    at + ZIP_END + little(p + at + 20, 2) == n)
			return p + at;
	return NULL;
}

static const char *
zip_odd(const unsigned char *p, size_t n, const struct store_meta *m, bool office)
{
	const unsigned char *end = zip_end(p, n);
	size_t size, from;

	if (end == NULL)
		return "the archive has no directory at its end: it looks cut";
	size = little(end + 12, 4);
	from = little(end + 16, 4);
	if (size == ZIP64 || from == ZIP64)
		return NULL;
	if (from + size > m->size - (n - (size_t)(end - p)))
		return "the archive's directory is not in it: it looks cut";
	if (office && size <= (size_t)(end - p) &&
	    memmem(end - size, size, "[Content_Types].xml", 19) == NULL)
		return "the archive is not the office document that its name says";
	return NULL;
}

const char *
sniff_tail(const void *first, size_t n, const void *tail, size_t k, const struct store_meta *m)
{
	const struct kind *is = kind_of(first, n);
	bool office = str_eq(m->suffix, ".docx") || str_eq(m->suffix, ".xlsx") ||
		      str_eq(m->suffix, ".pptx") || str_eq(m->media_type, docx);

	if (is == &kinds[0] && !pdf_ends(tail, k))
		return "the PDF has no end (%%EOF): it looks cut";
	if (is == &kinds[1])
		return zip_odd(tail, k, m, office);
	return NULL;
}

/* ---- names ---- */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static void
decode(const char *p, size_t n, char *out, size_t size)
{
	size_t at = 0;

	for (size_t i = 0; i < n && at + 1 < size; i++) {
		int hi = -1, lo = -1;

		if (p[i] == '%' && i + 2 < n) {
			hi = hex_digit(p[i + 1]);
			lo = hex_digit(p[i + 2]);
		}
		if (hi >= 0 && lo >= 0 && (hi != 0 || lo != 0)) {
			out[at++] = (char)(hi * 16 + lo);
			i += 2;
		} else {
			out[at++] = p[i];
		}
	}
	out[at] = '\0';
}

void
sniff_name(const char *disposition, const char *url, char *out, size_t size)
{
	const char *p = strcasestr(disposition, "filename=");
	const char *wide = strcasestr(disposition, "filename*=utf-8'");
	const char *slash;
	size_t n;

	out[0] = '\0';
	/* RFC 6266 section 4.3: this one counts where both are given. */
	if (wide != NULL && (wide = strchr(wide + 16, '\'')) != NULL) {
		decode(wide + 1, strcspn(wide + 1, "; "), out, size);
		if (out[0] != '\0')
			return;
	}
	if (p != NULL) {
		p += strlen("filename=");
		n = *p == '"' ? strcspn(++p, "\"") : strcspn(p, "; ");
		(void)!str_copy_n(out, size, p, n);
	}
	if (out[0] != '\0')
		return;
	n = strcspn(url, "?#");
	for (slash = url + n; slash > url && slash[-1] != '/'; slash--)
		;
	decode(slash, (size_t)(url + n - slash), out, size);
}
