/*
 * SPDX-License-Identifier: ISC
 *
 * subs - the account's one subscription: where events go, with which proof.
 */
#ifndef SANDBOX_SUBS_H
#define SANDBOX_SUBS_H

#include <stdbool.h>
#include <stddef.h>

#include "util.h"

struct subs {
	bool there;
	unsigned revision; /* counts changes */
	char url[1024], version[64];
	char header[128], secret[1024];
	char auth_url[1024], client_id[256], client_secret[512], audience[512]; /* OpenID */
};

/* From a request body; false leaves *s alone and says why. */
bool subs_read(
    struct subs *s, const char *json, size_t n, const char *account, char *why, size_t size);
/* From the command line: secret is the first line of the file. */
bool subs_load(struct subs *s, const char *url, const char *header, const char *file, char *why,
    size_t size);
/* Without its secrets. */
void subs_json(const struct subs *s, const char *account, struct buf *out);

#endif
