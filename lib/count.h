/*
 * SPDX-License-Identifier: ISC
 *
 * count - the counter file that all processes on a spool share.
 *
 * A mapped file of 64-bit cells, added to atomically.  It also carries the
 * mark "a folder sync failed": while it stands, nobody accepts an event.
 */
#ifndef ARKEN_COUNT_H
#define ARKEN_COUNT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

/* One list makes the cells, their names and their help (Prometheus style without prefix). */
#define COUNT_LIST(X)                                                                          \
	X(ACCEPTED, "events_accepted_total", "events durably accepted")                        \
	X(DUPLICATE, "events_duplicate_total", "events answered as duplicates")                \
	X(REJECTED, "events_rejected_total", "authenticated requests kept in rejected")        \
	X(UNAUTHORIZED, "refused_unauthorized_total", "requests with no or wrong credentials") \
	X(NOT_FOUND, "refused_not_found_total", "requests for an unknown path")                \
	X(METHOD, "refused_method_total", "requests that were not POST")                       \
	X(MEDIA, "refused_media_type_total", "requests that were not JSON by content type")    \
	X(TOO_LARGE, "refused_too_large_total", "bodies over max_body")                        \
	X(SHORT, "refused_short_total", "bodies shorter than announced")                       \
	X(UNAVAILABLE, "refused_unavailable_total", "requests answered 503")                   \
	X(TAKEN, "events_taken_total", "events taken from the queue")                          \
	X(DOUBLE, "events_doubled_total", "repeats removed by the daemon")                     \
	X(DONE, "events_done_total", "events finished")                                        \
	X(FAILED, "events_failed_total", "events that went to failed")                         \
	X(RETRIED, "events_retried_total", "tries that were put off")                          \
	X(CALLBACKS, "callbacks_total", "calls to the API for a record")                       \
	X(TOKENS, "tokens_total", "token requests")                                            \
	X(DOCUMENTS, "documents_total", "documents stored")                                    \
	X(DOCUMENT_BYTES, "document_bytes_total", "bytes of documents stored")

/* Gauges: set by the daemon at each scan, moved by the others in between. */
#define COUNT_GAUGES(X)                                                                        \
	X(WAITING, "events_waiting", "events in new and cur")                                  \
	X(IN_REJECTED, "events_in_rejected", "files in rejected")

enum count {
#define X(id, name, help) COUNT_##id,
	COUNT_LIST(X) COUNT_GAUGES(X)
#undef X
	    COUNT_END
};

struct counts; /* an open counter file */

/*
 * Create dir/counters (0660) if it is not there, and take away a mark of an earlier boot.  Only
 * the owner of the spool does.
 */
enum rc count_make(int dir, gid_t group, struct err *e) MUST_CHECK;

/* RC_CONFIG: not there or not ours; RC_DENIED: not writable. */
enum rc count_open(int dir, struct counts **c, struct err *e) MUST_CHECK;
void count_close(struct counts **c);

void count_add(struct counts *c, enum count what, uint64_t n);
void count_sub(struct counts *c, enum count what, uint64_t n); /* gauges; never below zero */
void count_set(struct counts *c, enum count what, uint64_t n);
uint64_t count_get(const struct counts *c, enum count what);
const char *count_name(enum count what);
const char *count_help(enum count what);

/*
 * The mark.  It belongs to one boot and device: after the next boot it no longer stands, and
 * before that only an operator clears it (a new mount without a boot cannot be told from a
 * process in another mount name space).  Whoever cannot read the boot's id heeds every mark,
 * and sets one that stands until it is cleared.
 */
void count_mark_broken(struct counts *c);
bool count_is_broken(const struct counts *c) MUST_CHECK;
void count_clear_broken(struct counts *c);

#endif
