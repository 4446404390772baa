/*
 * SPDX-License-Identifier: ISC
 *
 * conf - the configuration: one table of keys makes parsing, defaults, the
 * sample file and the manual page.  The only file that knows inih.
 */
#ifndef ARKEN_CONF_H
#define ARKEN_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "err.h"
#include "log.h"

#define CONF_ACCOUNTS 256       /* accounts in one installation */
#define CONF_LINE 4096          /* a longer line is refused */
#define CONF_FILE_MAX (1 << 20) /* a longer file is refused */
#define CONF_CALLBACKS 64

struct conf_callback { /* [callback Category] or [callback Category.Type] */
	char *kind;
	char *get;     /* path and query below the API base, with {placeholders}, or NULL */
	char *link;    /* JSON Pointer to the link in the answer, or NULL */
	char *updated; /* JSON Pointer to the time of the last change in the answer, or NULL */
	char *object;  /* JSON Pointer to the object's hash id in the event, or NULL */
};

enum conf_on_delete { CONF_KEEP, CONF_REMOVE };
enum conf_switch { CONF_OFF, CONF_ON };
enum conf_document { CONF_NO_DOCUMENT, CONF_PUT };

struct conf_account { /* [account NAME] */
	char *name;
	char *path;
	char *public_url; /* what Arken calls; NULL: spoolctl is told */
	char *hash_id;
	char *secret_header;
	char *secret_file;
	char
	    *issuer; /* as it is in the tokens, to the last character; NULL: no bearer tokens */
	char *audience;
	char *jwks_url; /* NULL: from the issuer's discovery document */
	char *issuer_ca_file;
	char *algorithms; /* of CONF_ALGORITHMS, separated by spaces, as the three lists here */
	char *token_types; /* "none" stands for a token without typ */
	char *require;     /* items "claim:value" (conf_claim), all of them wanted; NULL none */
	int64_t token_lifetime, token_leeway, keys_max_age;
	char *api;
	char *token_url;
	char *client_id;
	char *client_secret_file;
	char *token_audience;
	char *ca_file;
	char *subscription_post, *subscription_get, *subscription_body;
	char *subscription_version; /* NULL: none, as the three below */
	char *subscription_token_url, *subscription_client_id;
	char *subscription_client_secret_file;
	char *document_hosts; /* patterns, separated by spaces, each perhaps with :port */
	char *hook;           /* path and arguments, a space between them; NULL none */
	int64_t hook_timeout;
	int on_delete; /* enum conf_on_delete */
	enum conf_switch reconcile;
	int64_t silence_limit; /* 0: none */
	char *feed_info, *feed_page;
	char *forward; /* URL, NULL none */
	char *forward_secret_file;
	int64_t forward_timeout;
	char *forward_ca_file;
	enum conf_document forward_document;
	char *forward_document_url; /* with {placeholders}; NULL none */
	char *document_networks;    /* CIDR blocks, separated by spaces; NULL none */
};

/* Signature algorithms there are (RFC 7518 section 3.1); none and HS* are not among them. */
#define CONF_ALGORITHMS "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512"

struct conf {
	char *file; /* where it came from */
	struct {
		char *directory;
		char *group;
		int64_t retention; /* milliseconds, as every duration here */
		uint64_t min_free, min_inodes, queue_limit, rejected_limit, max_body;
		char *allow_fs;
	} spool;
	struct {
		uint64_t threads, memory;
	} receiver;
	struct {
		char *path;       /* healthz and metrics are below it */
		char *token_file; /* NULL: no metrics */
	} status;
	struct {
		char *state;
		char *store;
		uint64_t active_limit, concurrency, tries;
		int64_t retry_min, retry_max, retry_age, rescan, keys_refresh;
		int64_t connect_timeout, api_timeout, stall_timeout, stop_grace;
		int64_t reconcile_every, reconcile_grace;
		uint64_t max_record, max_document;
		uint64_t downloads, downloads_per_host, bandwidth;
		int64_t download_timeout;
		char *alarm_command; /* path and arguments, a space between them; NULL none */
		int64_t status_every;
		int64_t alarm_timeout, target_limit, refused_window, certificate_limit;
		uint64_t refused_limit;
	} daemon;
	struct {
		enum log_format format;
		enum log_target target;
		enum log_level level;
	} log;
	struct conf_account *accounts;
	size_t naccounts;
	struct conf_callback *callbacks;
	size_t ncallbacks;
};

/*
 * Read a file.  The caller owns *out.  RC_CONFIG: "file:line: key: what was expected, what was
 * found", for an unknown section or key, a value out of its limits, a key twice, two accounts
 * on one path, a missing mandatory key.  RC_GONE / RC_DENIED: the file itself.
 */
enum rc conf_load(const char *path, struct conf **out, struct err *e) MUST_CHECK;
void conf_free(struct conf **c);

/* The account of that name, or that is posted to at this path; NULL none. */
const struct conf_account *conf_account(const struct conf *c, const char *name);
const struct conf_account *conf_account_at(const struct conf *c, const char *path);

/*
 * Has the account all that spoold needs: api, token_url, client_id, client_secret_file?  The
 * receiver does not ask.  RC_CONFIG names what is missing.
 */
enum rc conf_account_complete(const struct conf_account *a, struct err *e) MUST_CHECK;

/* The override for Category.Type, else for Category, else NULL. */
const struct conf_callback *conf_callback(
    const struct conf *c, const char *category, const char *type);

/*
 * A secret's file: regular, not empty, readable by nobody but owner and group, at most 64 KiB.
 * Appended to b as it is; b is to be wiped by the caller.  RC_CONFIG says what is wrong,
 * RC_GONE and RC_DENIED are about opening it.  Links are followed.
 */
struct buf;
enum rc conf_secret(const char *path, struct buf *b, struct err *e) MUST_CHECK;

/* May this URL be asked: https, or http to this machine, without a user's name? */
bool conf_url_ok(const char *text) MUST_CHECK;

/*
 * Where an item "claim:value" of require is divided: the first colon that is not the one of
 * "https://", so that a name may be a URL.  NULL: item, which is of n bytes, is none.
 */
const char *conf_claim(const char *item, size_t n) MUST_CHECK;

/* The sample file, complete and commented, and the key list of arkenspool.conf(5) in mdoc. */
void conf_print_sample(FILE *out);
void conf_print_mdoc(FILE *out);

#endif
