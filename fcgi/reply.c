/*
 * SPDX-License-Identifier: ISC
 *
 * reply - the answers; see reply.h.
 */
#include "config.h"

#include <string.h>

#include "reply.h"

#define TEXT(x) #x
#define NUMBER(x) TEXT(x)
#define RETRY_AFTER "Retry-After: " NUMBER(REPLY_RETRY_AFTER) "\r\n"

/*
 * RFC 9110 section 11.6.1 asks for a challenge with every 401.  A secret in a header of its own
 * has no registered scheme; a name of ours keeps a client from trying one of those it knows,
 * and the name of the header stays untold.
 */
#define CHALLENGE "WWW-Authenticate: ArkenSecret realm=\"arkenspool\"\r\n"

/* RFC 6750 section 3, RFC 7617 section 2. */
#define STATUS_CHALLENGE                                                                       \
	"WWW-Authenticate: Bearer realm=\"arkenspool status\", "                               \
	"Basic realm=\"arkenspool status\"\r\n"

/* RFC 6750 section 3: the error is left out where no token was given. */
#define TOKEN_CHALLENGE "WWW-Authenticate: Bearer realm=\"arkenspool\""
#define NO_TOKEN TOKEN_CHALLENGE "\r\n"
#define BAD_TOKEN                                                                              \
	TOKEN_CHALLENGE                                                                        \
	", error=\"invalid_token\", error_description=\"The access token is not valid\"\r\n"

#define JSON_TYPE "application/json"
#define PROBLEM_TYPE "application/problem+json"

static const struct reply_row {
	int status;
	const char *phrase; /* of the status: RFC 9110 section 15; also the problem's title */
	const char *name;
	const char *header; /* further fields, each with its CRLF */
	const char *detail;
	enum log_level level;
	enum count count;
} rows[REPLY_CASES] = {
    [REPLY_ACCEPTED] = {200, "OK", "accepted", "", "", LOG_INFO, COUNT_TAKEN_IN},
    [REPLY_NOT_FOUND] = {404, "Not Found", "not-found", "", "Nothing is received at this path.",
	LOG_NOTE, COUNT_NOT_FOUND},
    [REPLY_METHOD] = {405, "Method Not Allowed", "method", "Allow: POST\r\n",
	"Events are received by POST only.", LOG_NOTE, COUNT_METHOD},
    [REPLY_UNAUTHORIZED] = {401, "Unauthorized", "unauthorized", CHALLENGE,
	"The credentials are missing or not valid.", LOG_WARN, COUNT_UNAUTHORIZED},
    [REPLY_NO_TOKEN] = {401, "Unauthorized", "unauthorized", NO_TOKEN,
	"The credentials are missing or not valid.", LOG_WARN, COUNT_UNAUTHORIZED},
    [REPLY_BAD_TOKEN] = {401, "Unauthorized", "unauthorized", BAD_TOKEN,
	"The credentials are missing or not valid.", LOG_WARN, COUNT_UNAUTHORIZED},
    [REPLY_NO_KEYS] = {503, "Service Unavailable", "no-keys", RETRY_AFTER,
	"The credentials cannot be verified at the moment; send it again later.", LOG_WARN,
	COUNT_UNAVAILABLE},
    [REPLY_MALFORMED] = {400, "Bad Request", "malformed", "", "The request contradicts itself.",
	LOG_WARN, COUNT_MALFORMED},
    [REPLY_TOO_LARGE] = {413, "Content Too Large", "too-large", "",
	"The body is longer than what is received here.", LOG_WARN, COUNT_TOO_LARGE},
    [REPLY_MEDIA] = {415, "Unsupported Media Type", "media-type", "",
	"The content type has to be application/json.", LOG_WARN, COUNT_MEDIA},
    [REPLY_SHORT] = {400, "Bad Request", "short", "", "The body is shorter than announced.",
	LOG_WARN, COUNT_SHORT},
    [REPLY_NOT_EVENT] = {400, "Bad Request", "not-event", "",
	"The body is not one JSON object or an array of them.", LOG_WARN, COUNT_NOT_EVENT},
    [REPLY_OTHER_ACCOUNT] = {403, "Forbidden", "other-account", "",
	"The event is not for this account.", LOG_WARN, COUNT_OTHER_ACCOUNT},
    [REPLY_UNAVAILABLE] = {503, "Service Unavailable", "unavailable", RETRY_AFTER,
	"The event cannot be kept at the moment; send it again later.", LOG_ERROR,
	COUNT_UNAVAILABLE},
    [REPLY_STATUS] = {200, "OK", "status", "", "", LOG_TRACE, COUNT_STATUS},
    [REPLY_STATUS_METHOD] = {405, "Method Not Allowed", "status-method", "Allow: GET, HEAD\r\n",
	"This page is read by GET only.", LOG_NOTE, COUNT_STATUS_METHOD},
    [REPLY_STATUS_DENIED] = {401, "Unauthorized", "status-denied", STATUS_CHALLENGE,
	"The token is missing or not valid.", LOG_WARN, COUNT_STATUS_DENIED},
};

int
reply_status(enum reply r)
{
	return rows[r].status;
}

const char *
reply_name(enum reply r)
{
	return rows[r].name;
}

enum log_level
reply_level(enum reply r)
{
	return rows[r].level;
}

enum count
reply_count(enum reply r)
{
	return rows[r].count;
}

static void
add_message(struct buf *out, const struct reply_row *row, const char *type,
    const struct buf *body, bool head)
{
	buf_fmt(out, "Status: %d %s\r\n", row->status, row->phrase);
	buf_fmt(out, "Content-Type: %s\r\n", type);
	buf_fmt(out, "Content-Length: %zu\r\n", body->n);
	buf_str(out, "Cache-Control: no-store\r\n");
	buf_str(out, "X-Content-Type-Options: nosniff\r\n");
	buf_str(out, row->header);
	buf_str(out, "\r\n");
	if (!head)
		buf_add(out, buf_text(body), body->n);
	if (body->broken)
		out->broken = true;
}

static const char *
item_status(bool duplicate)
{
	return duplicate ? "duplicate" : "accepted";
}

static void
add_item(struct buf *body, const struct reply_item *item)
{
	buf_fmt(body, "{\"status\":\"%s\",\"id\":", item_status(item->duplicate));
	buf_json(body, item->id);
	buf_str(body, "}");
}

void
reply_accepted(struct buf *out, const struct reply_item *items, size_t n, bool is_array)
{
	struct buf body = BUF_INIT(REPLY_SIZE);
	bool duplicate = true;

	if (!is_array && n == 1) {
		add_item(&body, &items[0]);
	} else {
		for (size_t i = 0; i < n; i++)
			duplicate = duplicate && items[i].duplicate;
		buf_fmt(&body, "{\"status\":\"%s\",\"events\":[", item_status(duplicate));
		for (size_t i = 0; i < n; i++) {
			if (i > 0)
				buf_str(&body, ",");
			add_item(&body, &items[i]);
		}
		buf_str(&body, "]}");
	}
	buf_str(&body, "\n");
	add_message(out, &rows[REPLY_ACCEPTED], JSON_TYPE, &body, false);
	buf_free(&body);
}

void
reply_page(struct buf *out, bool well, const char *type, const struct buf *text, bool head)
{
	add_message(out, &rows[well ? REPLY_STATUS : REPLY_UNAVAILABLE], type, text, head);
}

void
reply_refused(struct buf *out, enum reply r)
{
	struct buf body = BUF_INIT(REPLY_SIZE);
	const struct reply_row *row = &rows[r];

	buf_str(&body, "{\"type\":\"about:blank\",\"title\":");
	buf_json(&body, row->phrase);
	buf_fmt(&body, ",\"status\":%d,\"detail\":", row->status);
	buf_json(&body, row->detail);
	buf_str(&body, "}\n");
	add_message(out, row, PROBLEM_TYPE, &body, false);
	buf_free(&body);
}

const char *
reply_last_resort(void)
{
	return "Status: 503 Service Unavailable\r\n"
	       "Content-Type: " PROBLEM_TYPE "\r\n"
	       "Content-Length: 0\r\n"
	       "Cache-Control: no-store\r\n"
	       "X-Content-Type-Options: nosniff\r\n" RETRY_AFTER "\r\n";
}
