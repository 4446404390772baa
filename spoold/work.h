/*
 * SPDX-License-Identifier: ISC
 *
 * work - one try of one event: take, call back, store, find the link, download, done.
 *
 * Each step ends in the next one or in a verdict.  Whatever waits for the
 * disk runs on the pool, whatever waits for the network in http.
 */
#ifndef ARKEN_WORK_H
#define ARKEN_WORK_H

#include <stdbool.h>
#include <stdint.h>

#include "api.h"
#include "buf.h"
#include "daemon.h"
#include "download.h"
#include "event.h"
#include "pool.h"
#include "spool.h"
#include "verdict.h"

#define WORK_KEY 400 /* account, category and object: whose record it is */

struct handover;

/* What a call brought, for the events that came before it (share). */
enum share_kind { SHARE_NOTHING, SHARE_FETCHED, SHARE_GONE, SHARE_NEVER };

/* When a call was made, to tell what came before it (share). */
struct share_call {
	uint64_t order; /* by daemon.clock; 0: none was made */
	int64_t stamp;  /* by clk_stamp() */
	uint64_t sets;  /* how often the wall clock had been set */
};

/* A document on its way, see document.h and lane.h. */
struct fetch {
	char host[256];
	bool waiting;           /* for a place at its host */
	bool moving;            /* has one */
	unsigned resumes;       /* in this try */
	bool asked_if;          /* only for another one than is known */
	char source[HASH_HEX];  /* digest of the link without its query */
	char asked[HASH_HEX];   /* digest of the link that the API gave */
	char refused[HASH_HEX]; /* of one that was refused in this try */
	struct store_part part; /* what doc holds */
	struct store_meta
	    known;           /* what the store has, if that may be enough; sha256 "": nothing */
	struct download got; /* what the host says of the bytes */
	bool content;        /* pool_rc is about what the bytes are */
	enum verdict after;  /* how the try ends once the part is put aside */
	int64_t retry_after;
};

struct work {
	struct daemon *d;
	struct job *job;
	struct work *next, **prev; /* in daemon.first */
	struct work *next_waiting; /* in grant.waiting */
	struct grant *grant;
	struct spool_item item;
	struct buf raw; /* the event's file */
	struct rec rec;
	struct event ev;
	char object[API_OBJECT];
	char key[WORK_KEY];
	char target[TARGET_NAME]; /* asked for this step, "" none */
	unsigned probe;           /* the id of the target that this try tries out, 0 none */
	bool on_pool;
	struct http_call *call;
	struct buf token;
	struct buf record; /* the API's answer */
	bool renewed;      /* a refused token was replaced in this try */
	char link[HTTP_URL];
	int64_t link_end;
	unsigned relinks, hops;
	struct store_doc doc;
	struct store_meta meta;
	struct handover *handover; /* what handover keeps, NULL before it */
	struct fetch fetch;
	int64_t started; /* monotonic */

	/* What the pool does for it, and what came of that. */
	struct pool_work pw;
	enum rc pool_rc;
	struct err pool_err;
	enum spool_box to; /* where the event goes when this try ends it */
	char why[RETRY_TEXT];

	/* Events of the same record, see share.h. */
	struct job_list blocked; /* those that wait for this try */
	struct share_call called;
	uint64_t call_way;
	enum share_kind result; /* what is good for others */
	unsigned waits_for;     /* the id of the target that it waits for, 0 none */
	bool put_off;           /* it is to be tried again */
};

/*
 * Begin a try of a waiting job.  The job leaves the order of the waiting; when the try ends it
 * is waiting again or gone.
 */
void work_start(struct daemon *d, struct job *job);

/* The first step after an event was read (step.c). */
void work_first_step(struct work *w);

/* Run work on the pool, then done on the daemon's thread. */
void work_on_pool(struct work *w, void (*work)(void *), void (*done)(void *));

/* End the try: the event moves to another box, with the reason. */
void work_finish(struct work *w, enum spool_box to, const char *why);

/* End the try: a failure that counts; after too many, or too long, the event goes to failed. */
void work_retry(struct work *w, int64_t retry_after, const char *why);

/* End the try: it waits, and this does not count. */
void work_wait(struct work *w, int64_t wait, const char *why);

/* End the try: it waits until this target can be used, and this does not count. */
void work_wait_for(struct work *w, struct target *t, const char *why);

/*
 * End the try after a failure of our own disk (a target of park.h).  Without room, or without
 * writes, nothing is counted and everybody waits for room; another failure counts.
 */
void work_disk(struct work *w, const char *disk, const struct err *why);

/* From grant: the token can be had (RC_OK), or why not. */
void work_token(struct work *w, enum rc rc, const struct err *why);

/* End the try as if it had not been made (a clean stop). */
void work_give_back(struct work *w);

/* A clean stop: what waits for the network is given back uncounted. */
void work_stop(struct daemon *d);

#endif
