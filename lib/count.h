/*
 * SPDX-License-Identifier: ISC
 *
 * count - the counter file that all processes on a spool share.
 *
 * A mapped file of 64-bit cells, added to atomically.  It also carries the
 * mark "a folder sync failed": while it stands, nobody accepts an event.
 *
 * The file: a magic number, the mark, then cells, a cell's place being its
 * place in COUNT_LIST.  So a row is never moved or taken away, and a new one
 * comes last; the file grows in place, under whoever has it open.  Only a change of what stands
 * before the cells needs another magic number.
 */
#ifndef ARKEN_COUNT_H
#define ARKEN_COUNT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

/*
 * id, kind, then as Prometheus has it: name without prefix, label and its value (NULL none),
 * help.  Rows of one name have the help of the first.  GAUGES are set by the daemon at each
 * scan, moved by the others in between.  TIMES are a histogram: events that took up to so many
 * seconds and longer than the row before.
 */
#define COUNT_LIST(X)                                                                          \
	X(ACCEPTED, COUNTER, "events_accepted_total", "source", "webhook",                     \
	    "events durably accepted")                                                         \
	X(DUPLICATE, COUNTER, "events_duplicate_total", NULL, NULL,                            \
	    "events answered as duplicates")                                                   \
	X(REJECTED, COUNTER, "bodies_rejected_total", NULL, NULL,                              \
	    "authenticated bodies kept in rejected")                                           \
	X(UNAUTHORIZED, COUNTER, "requests_total", "answer", "unauthorized",                   \
	    "requests by their answer")                                                        \
	X(NOT_FOUND, COUNTER, "requests_total", "answer", "not_found", "")                     \
	X(METHOD, COUNTER, "requests_total", "answer", "method", "")                           \
	X(MEDIA, COUNTER, "requests_total", "answer", "media_type", "")                        \
	X(TOO_LARGE, COUNTER, "requests_total", "answer", "too_large", "")                     \
	X(SHORT, COUNTER, "requests_total", "answer", "short", "")                             \
	X(UNAVAILABLE, COUNTER, "requests_total", "answer", "unavailable", "")                 \
	X(TAKEN, COUNTER, "events_taken_total", NULL, NULL, "events taken from the queue")     \
	X(DOUBLE, COUNTER, "events_doubled_total", NULL, NULL,                                 \
	    "repeats removed by the daemon")                                                   \
	X(DONE, COUNTER, "events_done_total", NULL, NULL, "events finished")                   \
	X(FAILED, COUNTER, "events_failed_total", NULL, NULL, "events that went to failed")    \
	X(RETRIED, COUNTER, "events_retried_total", NULL, NULL, "tries that were put off")     \
	X(CALLBACKS, COUNTER, "callbacks_total", NULL, NULL, "calls to the API for a record")  \
	X(TOKENS, COUNTER, "tokens_total", NULL, NULL, "token requests")                       \
	X(DOCUMENTS, COUNTER, "documents_total", NULL, NULL, "documents stored")               \
	X(DOCUMENT_BYTES, COUNTER, "document_bytes_total", NULL, NULL,                         \
	    "bytes of documents stored")                                                       \
	X(WAITING, GAUGE, "events_waiting", NULL, NULL, "events in new and cur")               \
	X(IN_REJECTED, GAUGE, "bodies_in_rejected", NULL, NULL, "files in rejected")           \
	X(TAKEN_IN, COUNTER, "requests_total", "answer", "accepted", "")                       \
	X(MALFORMED, COUNTER, "requests_total", "answer", "malformed", "")                     \
	X(NOT_EVENT, COUNTER, "requests_total", "answer", "not_event", "")                     \
	X(OTHER_ACCOUNT, COUNTER, "requests_total", "answer", "other_account", "")             \
	X(STATUS, COUNTER, "requests_total", "answer", "status", "")                           \
	X(STATUS_DENIED, COUNTER, "requests_total", "answer", "status_denied", "")             \
	X(STATUS_METHOD, COUNTER, "requests_total", "answer", "status_method", "")             \
	X(RECONCILED, COUNTER, "events_accepted_total", "source", "reconcile", "")             \
	X(REREAD, COUNTER, "events_accepted_total", "source", "operator", "")                  \
	X(FAULT_JSON, COUNTER, "faults_total", "fault", "NotJson",                             \
	    "authenticated bodies that could not be taken, by what was wrong")                 \
	X(FAULT_EVENT, COUNTER, "faults_total", "fault", "NotEvent", "")                       \
	X(FAULT_MANY, COUNTER, "faults_total", "fault", "TooMany", "")                         \
	X(FAULT_COMPLEX, COUNTER, "faults_total", "fault", "TooComplex", "")                   \
	X(FAULT_ACCOUNT, COUNTER, "faults_total", "fault", "OtherAccount", "")                 \
	X(LACK_SYNC, COUNTER, "unavailable_total", "reason", "sync",                           \
	    "requests answered 503, by what was lacking")                                      \
	X(LACK_QUEUE, COUNTER, "unavailable_total", "reason", "queue", "")                     \
	X(LACK_REJECTED, COUNTER, "unavailable_total", "reason", "rejected", "")               \
	X(LACK_DISK, COUNTER, "unavailable_total", "reason", "disk", "")                       \
	X(LACK_INODES, COUNTER, "unavailable_total", "reason", "inodes", "")                   \
	X(LACK_WRITE, COUNTER, "unavailable_total", "reason", "write", "")                     \
	X(LACK_MEMORY, COUNTER, "unavailable_total", "reason", "memory", "")                   \
	X(LACK_TURN, COUNTER, "unavailable_total", "reason", "turn", "")                       \
	X(LACK_KEYS, COUNTER, "unavailable_total", "reason", "keys", "")                       \
	X(RELOADED, COUNTER, "reloads_total", "result", "done",                                \
	    "configurations read again by receivers")                                          \
	X(RELOAD_FAILED, COUNTER, "reloads_total", "result", "failed", "")                     \
	X(TIME_1, TIME, "accept_duration_seconds", "le", "0.001",                              \
	    "time from a request's parameters to the answer that its events are kept")         \
	X(TIME_2, TIME, "accept_duration_seconds", "le", "0.0025", "")                         \
	X(TIME_3, TIME, "accept_duration_seconds", "le", "0.005", "")                          \
	X(TIME_4, TIME, "accept_duration_seconds", "le", "0.01", "")                           \
	X(TIME_5, TIME, "accept_duration_seconds", "le", "0.025", "")                          \
	X(TIME_6, TIME, "accept_duration_seconds", "le", "0.05", "")                           \
	X(TIME_7, TIME, "accept_duration_seconds", "le", "0.1", "")                            \
	X(TIME_8, TIME, "accept_duration_seconds", "le", "0.25", "")                           \
	X(TIME_9, TIME, "accept_duration_seconds", "le", "0.5", "")                            \
	X(TIME_10, TIME, "accept_duration_seconds", "le", "1", "")                             \
	X(TIME_11, TIME, "accept_duration_seconds", "le", "2.5", "")                           \
	X(TIME_12, TIME, "accept_duration_seconds", "le", "5", "")                             \
	X(TIME_MORE, TIME, "accept_duration_seconds", "le", "+Inf", "")                        \
	X(TIME_SUM, TIME_SUM, "accept_duration_seconds", NULL, NULL, "")                       \
	X(LATE, COUNTER, "events_late_total", NULL, NULL,                                      \
	    "webhooks that came after the feed had brought their event")

enum count {
#define X(id, kind, name, label, value, help) COUNT_##id,
	COUNT_LIST(X)
#undef X
	    COUNT_END
};

enum count_kind {
	COUNT_KIND_COUNTER,
	COUNT_KIND_GAUGE,
	COUNT_KIND_TIME,
	COUNT_KIND_TIME_SUM, /* microseconds of all of them */
};

struct count_row {
	enum count_kind kind;
	const char *name, *label, *value;
	const char *help; /* "" in all rows of a name but the first */
};

struct counts; /* an open counter file */

/*
 * Create dir/counters (0660) if it is not there, and take away a mark of an earlier boot.  Only
 * the owner of the spool does.
 */
enum rc count_make(int dir, gid_t group, struct err *e) MUST_CHECK;

/*
 * RC_CONFIG: not there or not ours; RC_DENIED: not writable.  A file of a version with fewer
 * cells is grown, its mark and its counts stay; on a full disk it is used as it is, and
 * what has no cell there is not counted.
 */
enum rc count_open(int dir, struct counts **c, struct err *e) MUST_CHECK;
void count_close(struct counts **c);

/* Does the name still lead to the file that is open?  Else its mark reaches nobody. */
bool count_is_shared(const struct counts *c, int dir) MUST_CHECK;

void count_add(struct counts *c, enum count what, uint64_t n);
void count_sub(struct counts *c, enum count what, uint64_t n); /* gauges; never below zero */
void count_set(struct counts *c, enum count what, uint64_t n);
void count_time(struct counts *c, int64_t micros); /* one more in the histogram */
uint64_t count_get(const struct counts *c, enum count what);
const struct count_row *count_row(enum count what);

/*
 * The mark.  It belongs to one boot and device: after the next boot it no longer stands, and
 * before that only an operator clears it (a new mount without a boot cannot be told from a
 * process in another mount name space).  It stands for whom the disk has taken the file's page
 * away, until it can be had again: to touch it may fail on a full btrfs, or after XFS has shut
 * down, and such a failure ends no process.  Whoever cannot read the boot's id heeds every
 * mark, and sets one that stands until it is cleared.
 */
void count_mark_broken(struct counts *c);
bool count_is_broken(struct counts *c) MUST_CHECK;
void count_clear_broken(struct counts *c);

#endif
