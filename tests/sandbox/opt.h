/*
 * SPDX-License-Identifier: ISC
 *
 * opt - what the command line asks for.
 *
 * One table makes the parser, the checks, the defaults and the help.
 */
#ifndef SANDBOX_OPT_H
#define SANDBOX_OPT_H

#include <stdbool.h>
#include <stddef.h>

#define OPT_FAULT_MAX 64

struct opt {
	const char *dir, *prefix, *account, *client_id, *client_secret, *audience;
	const char *webhook, *header, *secret_file, *webhook_ca, *shape;
	const char *issuer_request, *envelope, *filestore, *link_member;
	bool plain, chunked, quiet, download_events;
	long long port_api, port_documents, port_admin;
	long long attempts, attempt_timeout, retry_after, parallel;
	long long link_life, token_life, document_size, seed, max_events;
	const char *fault[OPT_FAULT_MAX];
	size_t faults;
};

enum opt_end { OPT_GO, OPT_DONE, OPT_USAGE };

/* OPT_DONE: help or version was printed; OPT_USAGE: the mistake was. */
enum opt_end opt_parse(struct opt *o, int argc, char **argv);

#endif
