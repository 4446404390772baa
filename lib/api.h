/*
 * SPDX-License-Identifier: ISC
 *
 * api - which call an event asks for, and where an answer says the document is.
 *
 * Pure.  The defaults are those of the vendor's contract; whatever of it is a
 * guess can be overridden by a [callback KIND] section.
 */
#ifndef ARKEN_API_H
#define ARKEN_API_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "err.h"
#include "event.h"
#include "guard.h"
#include "http.h"
#include "json.h"

#define API_OBJECT 256 /* what an event is about, with its NUL */

/*
 * The URL of the call back.  RC_GONE: this kind has none (a delete).  RC_BAD: the kind is not
 * known, or the event does not say which object it is about.
 */
enum rc api_callback(const struct conf *c, const struct conf_account *a, const struct event *ev,
    char url[HTTP_URL], struct err *e) MUST_CHECK;

/*
 * The URL of a call that is about the account: path and query below its api, {accountHashId}
 * filled in.  RC_BAD: too long, or the path needs what no event says.
 */
enum rc api_url(const struct conf_account *a, const char *get, char url[HTTP_URL],
    struct err *e) MUST_CHECK;

/* Does this URL lead to the account's API (scheme, host, port, path prefix)?  Only then may it
 * see the token. */
bool api_is_ours(const struct conf_account *a, const char *url) MUST_CHECK;

/* Whose record is it: a hash id, or for a file without one, client and file name. */
enum rc api_object(const struct event *ev, char out[API_OBJECT], struct err *e) MUST_CHECK;

/* Is there a document to fetch after the record? */
bool api_has_document(const struct event *ev) MUST_CHECK;
bool api_is_delete(const struct event *ev) MUST_CHECK;

/*
 * The document's link in an answer: at the configured pointer, else the first https URL whose
 * host is on the allow-list.  RC_GONE: there is none, in whatever place.  RC_DENIED: what
 * stands at the pointer is no URL, or one that the guard refuses.
 */
enum rc api_link(const struct conf *c, const struct event *ev, const struct json *answer,
    const struct guard *g, char url[HTTP_URL], struct err *e) MUST_CHECK;

#define API_LIST "DocumentData.List" /* the call for it is that of this kind of callback */
#define API_DOCUMENTS 10000          /* more documents of one client are refused */

/* The URL of the call that lists a client's documents.  RC_BAD: too long. */
enum rc api_documents_url(const struct conf *c, const struct conf_account *a,
    const char *client, char url[HTTP_URL], struct err *e) MUST_CHECK;

/*
 * The documents in its answer: an array, or an object with one, of hash ids or of objects with
 * documentHashId or hashId; each once.  What says that it is another client's is left out.
 * RC_BAD: neither.  RC_FULL: more than max.
 */
enum rc api_documents(const struct json *answer, const char *client, char (*ids)[NAME_HASH],
    size_t max, size_t *n, struct err *e) MUST_CHECK;

/*
 * Is an answer of the API older than the record that is kept?  false: not, or nobody can tell.
 */
bool api_is_older(const struct conf *c, const struct event *ev, const struct json *kept,
    const struct json *answer) MUST_CHECK;

/*
 * Where the configuration says where in an event the object's hash id stands, read that too: it
 * comes before all other places.
 */
void api_read_object(const struct conf *c, const struct json *body, struct event *ev);

/* When a presigned link ends (X-Amz-Date and X-Amz-Expires, or Expires), in milliseconds; 0: it
 * does not say. */
int64_t api_link_end(const char *url);

#endif
