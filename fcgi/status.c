/*
 * SPDX-License-Identifier: ISC
 *
 * status - what is asked about the receiver itself; see status.h.
 */
#include "config.h"

#include <stddef.h>
#include <string.h>

#include "hash.h"
#include "health.h"
#include "metrics.h"
#include "secret.h"
#include "status.h"
#include "str.h"

#define TOKEN_FILE 65536 /* bytes of a file of tokens */

enum status_page
status_page(const struct conf *c, const char *path)
{
	static const struct {
		const char *name;
		enum status_page page;
	} pages[] = {{"/healthz", STATUS_HEALTH}, {"/metrics", STATUS_METRICS}};
	size_t n = strlen(c->status.path);

	if (strncmp(path, c->status.path, n) != 0)
		return STATUS_NONE;
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (str_eq(path + n, pages[i].name))
			return pages[i].page == STATUS_METRICS && c->status.token_file == NULL
				   ? STATUS_NONE
				   : pages[i].page;
	}
	return STATUS_NONE;
}

static int
base64_digit(char c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c != '\0' ? strchr(digits, c) : NULL;

	return p != NULL ? (int)(p - digits) : -1;
}

/* Base64 (RFC 4648 section 4) as text, in place; its padding may be left out. */
static bool
decode(char *text)
{
	unsigned long bits = 0;
	unsigned have = 0;
	size_t n = 0, i = 0;

	for (; text[i] != '\0' && text[i] != '='; i++) {
		int digit = base64_digit(text[i]);

		if (digit < 0)
			return false;
		bits = bits << 6 | (unsigned long)digit;
		if ((have += 6) < 8)
			continue;
		have -= 8;
		if ((text[n] = (char)(bits >> have & 0xff)) == '\0')
			return false;
		n++;
	}
	if (strspn(text + i, "=") != strlen(text + i) || strlen(text + i) > 2)
		return false;
	text[n] = '\0';
	return true;
}

/* The token of a request, into out, which is to be wiped; NULL: it has none, or two. */
static const char *
find_token(const struct request *rq, char out[STATUS_TOKEN])
{
	unsigned times;
	const char *value = request_param(rq->env, "HTTP_AUTHORIZATION", &times);
	char *colon;

	out[0] = '\0';
	if (value == NULL || times != 1 || strlen(value) >= STATUS_TOKEN)
		return NULL;
	if (strncasecmp(value, "Bearer ", 7) == 0)
		return str_copy(out, STATUS_TOKEN, value + 7) ? out : NULL;
	if (strncasecmp(value, "Basic ", 6) != 0 || !str_copy(out, STATUS_TOKEN, value + 6) ||
	    !decode(out) || (colon = strchr(out, ':')) == NULL)
		return NULL;
	return colon + 1;
}

static enum rc
read_tokens(const char *path, struct secrets **out, struct err *e)
{
	struct buf text = BUF_SECRET(TOKEN_FILE);
	enum rc rc;

	*out = NULL;
	if ((rc = conf_secret(path, &text, e)) == RC_OK &&
	    (rc = secrets_parse(buf_text(&text), text.n, out, e)) != RC_OK)
		err_prefix(e, "%.200s", path);
	buf_wipe(&text);
	return rc;
}

enum rc
status_allowed(const struct conf *c, const struct request *rq, struct err *e)
{
	char room[STATUS_TOKEN];
	const char *token = find_token(rq, room);
	struct secrets *known = NULL;
	enum rc rc = RC_DENIED;

	if (c->status.token_file != NULL && token != NULL &&
	    (rc = read_tokens(c->status.token_file, &known, e)) == RC_OK)
		rc = secrets_match(known, token) != 0 ? RC_OK : RC_DENIED;
	if (rc == RC_DENIED)
		(void)err_set(e, rc, "no valid token");
	secrets_free(&known);
	hash_wipe(room, sizeof(room));
	return rc;
}

enum rc
status_check(const struct conf *c, struct err *e)
{
	struct secrets *known = NULL;
	enum rc rc = RC_OK;

	if (c->status.token_file != NULL &&
	    (rc = read_tokens(c->status.token_file, &known, e)) != RC_OK)
		err_prefix(e, "[status]");
	secrets_free(&known);
	return rc;
}

bool
status_health(struct spool *sp, bool details, struct buf *out)
{
	struct spool_gauge g;

	spool_gauge(sp, &g);
	health_print(out, &g, details);
	return health_is_well(&g);
}

static bool
tally(const struct spool_entry *en, void *arg)
{
	uint64_t *n = arg;

	*n += en->is_name;
	return true;
}

/* done is not listed: it holds a month of events, and their counter says as much. */
void
status_metrics(struct spool *sp, struct buf *out)
{
	struct metrics m = {.counts = spool_counts(sp)};

	spool_gauge(sp, &m.gauge);
	m.well = health_is_well(&m.gauge);
	for (enum spool_box box = SPOOL_NEW; box < SPOOL_BOXES; box++) {
		if (box != SPOOL_DONE)
			m.listed[box] = spool_walk(sp, box, tally, &m.files[box], NULL) ==
					RC_OK;
	}
	metrics_print(out, &m);
}
