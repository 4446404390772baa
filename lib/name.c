/*
 * SPDX-License-Identifier: ISC
 *
 * name - the names of events and the folders of hash ids; see name.h.  The
 * only place where text of a peer becomes part of a path.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "hash.h"
#include "name.h"
#include "str.h"

#define NAME_DIGEST 32 /* hexadecimal digits of a SHA-256 that stand for a text */

/* The vendor's words; two spellings of one word must not make two names of one event. */
static const struct {
	const char *seen;
	const char *word;
} known[] = {
    {"Account", "Account"},
    {"Client", "Client"},
    {"DocumentData", "DocumentData"},
    {"User", "User"},
    {"FileStore", "FileStore"},
    {"Create", "Create"},
    {"Update", "Update"},
    {"Delete", "Delete"},
    {"Upload", "Upload"},
    {"Download", "Download"},
    {"GetFileDetail", "Download"}, /* its older name */
    {"Other", "Other"},
};

static bool
is_word(const char *text)
{
	return str_only(text, "", 1, NAME_WORD - 1);
}

bool
name_account_ok(const char *account)
{
	size_t n = strspn(account, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	return n >= 1 && n < NAME_ACCOUNT && account[n] == '\0';
}

void
name_word(const char *text, char out[NAME_WORD])
{
	if (text == NULL || !is_word(text))
		text = "Other";
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (str_eq_nocase(known[i].seen, text)) {
			text = known[i].word;
			break;
		}
	}
	if (!str_copy(out, NAME_WORD, text))
		out[0] = '\0';
}

bool
name_hash_ok(const char *text)
{
	size_t n = 0;

	if (text == NULL)
		return false;
	for (; text[n] != '\0'; n++)
		if (text[n] <= 0x20 || text[n] >= 0x7f || n == NAME_HASH - 1)
			return false;
	return n >= 1;
}

static const char *
bad_part(const struct name *p)
{
	if (!name_account_ok(p->account))
		return "account";
	if (!str_only(p->key, "-", 1, NAME_KEY - 1))
		return "key";
	if (!is_word(p->category))
		return "category";
	return is_word(p->type) ? NULL : "type";
}

enum rc
name_build(const struct name *parts, char out[NAME_SIZE], struct err *e)
{
	const char *bad = bad_part(parts);

	out[0] = '\0';
	if (bad != NULL)
		return err_set(e, RC_BAD, "the %s of an event is not fit for a name", bad);
	(void)snprintf(out, NAME_SIZE, "%s.%s.%s.%s", parts->account, parts->key,
	    parts->category, parts->type);
	return RC_OK;
}

/* The part up to the next dot or the end; moves *text past the dot. */
static bool
take_part(const char **text, char *out, size_t size)
{
	size_t n = strcspn(*text, ".");
	bool fits = str_copy_n(out, size, *text, n);

	*text += n + ((*text)[n] == '.');
	return fits;
}

bool
name_parse(const char *text, struct name *parts)
{
	const char *at = text;
	char again[NAME_SIZE];

	/* Built again and compared, so that the two functions cannot disagree. */
	if (take_part(&at, parts->account, sizeof(parts->account)) &&
	    take_part(&at, parts->key, sizeof(parts->key)) &&
	    take_part(&at, parts->category, sizeof(parts->category)) &&
	    take_part(&at, parts->type, sizeof(parts->type)) &&
	    name_build(parts, again, NULL) == RC_OK && str_eq(again, text))
		return true;
	memset(parts, 0, sizeof(*parts));
	return false;
}

/* An id that looks like the folder of another id must not get into that one's folder. */
static bool
is_digest_folder(const char *text)
{
	return str_begins(text, "x-") && strlen(text) == 2 + NAME_DIGEST &&
	       strspn(text + 2, "0123456789abcdef") == NAME_DIGEST;
}

enum rc
name_folder(const char *hash_id, char out[NAME_FOLDER], struct err *e)
{
	char digest[HASH_HEX];
	enum rc rc;

	out[0] = '\0';
	if (str_only(hash_id, "_-", 1, NAME_FOLDER - 1) && !is_digest_folder(hash_id) &&
	    str_copy(out, NAME_FOLDER, hash_id))
		return RC_OK;
	if ((rc = hash_sha256(hash_id, strlen(hash_id), digest, e)) != RC_OK)
		return rc;
	(void)snprintf(out, NAME_FOLDER, "x-%.*s", NAME_DIGEST, digest);
	return RC_OK;
}
