/*
 * SPDX-License-Identifier: ISC
 *
 * sandbox - the whole stand-in: what its hosts and its sender share.
 *
 * `lock' guards everything here but `count' (which locks itself) and what is
 * set before the first server starts.  Nobody waits while holding it.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <pthread.h>

#include "count.h"
#include "fault.h"
#include "feed.h"
#include "http.h"
#include "opt.h"
#include "subs.h"
#include "token.h"
#include "world.h"

#define URL_MAX 512

struct sender;

struct sandbox {
	struct opt opt;
	pthread_mutex_t lock;
	struct count *count;
	struct fault_set faults;
	struct token_set tokens;
	struct subs subs;
	struct world *world;
	struct feed *feed;
	struct sender *sender;
	struct http_server *api, *documents, *admin;
	char api_url[URL_MAX], token_url[URL_MAX], document_url[URL_MAX], admin_url[URL_MAX];
	char document_host[URL_MAX];
	char link_key[ID_SIZE]; /* signs document links */
	unsigned links;         /* made so far: no two are the same */
};

/* Handlers of the three hosts; arg is the sandbox. */
http_handler api_handle, documents_handle, admin_handle;

/* A signed link to a file, good for life seconds from now (may be past). */
void documents_link(struct sandbox *sb, uint32_t file, long long life, struct buf *out);

#endif
