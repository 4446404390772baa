/*
 * SPDX-License-Identifier: ISC
 *
 * opt - what the command line asks for.
 *
 * Checks form only: files are opened, and ports bound, by those who use them.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "opt.h"
#include "shape.h"
#include "util.h"

#define TEXT_MAX 1024

enum kind { FLAG, NUMBER, TEXT, FAULT };

struct row {
	const char *name;
	enum kind kind;
	size_t at;
	long long value, lo, hi; /* default and limits of a number */
	const char *text;        /* default of a text */
	const char *arg, *help;
};

#define AT(m) offsetof(struct opt, m)
#define TXT(n, m, dflt, arg, help)                                                             \
	{                                                                                      \
		n, TEXT, AT(m), 0, 0, 0, dflt, arg, help                                       \
	}
#define NUM(n, m, dflt, lo, hi, arg, help)                                                     \
	{                                                                                      \
		n, NUMBER, AT(m), dflt, lo, hi, NULL, arg, help                                \
	}
#define SET(n, m, help)                                                                        \
	{                                                                                      \
		n, FLAG, AT(m), 0, 0, 0, NULL, "", help                                        \
	}

static const struct row rows[] = {
    TXT("--dir", dir, NULL, "DIR", "where it writes (must be there)"),
    SET("--plain", plain, "API, token and document hosts speak plain HTTP"),
    TXT("--prefix", prefix, "", "/PRE", "path prefix of the API base"),
    NUM("--port-api", port_api, 0, 0, 65535, "N", "port of API and token; 0: a free one"),
    NUM("--port-documents", port_documents, 0, 0, 65535, "N", "port of the document host"),
    NUM("--port-admin", port_admin, 0, 0, 65535, "N", "port of the admin calls"),
    TXT("--account", account, "5Qm2xVb8TnR4kLw7ZcY0aD", "HASH", "the account's hash id"),
    TXT("--client-id", client_id, "sandbox-client", "S", "accepted client id"),
    TXT("--client-secret", client_secret, "sandbox-secret", "S", "accepted client secret"),
    TXT("--audience", audience, "https://api.sandbox.arken.legal", "S", "accepted audience"),
    TXT("--webhook", webhook, NULL, "URL", "subscribe at start; with the next two"),
    TXT("--header", header, NULL, "NAME", "header that carries the secret"),
    TXT("--secret-file", secret_file, NULL, "FILE", "file with the secret (first line)"),
    TXT("--webhook-ca", webhook_ca, NULL, "FILE", "authority to trust for https webhooks"),
    TXT("--issuer-request", issuer_request, "form", "NAME", "form or json: asking for a token"),
    NUM("--attempts", attempts, 3, 1, 1000, "N", "attempts to deliver an event"),
    NUM("--attempt-timeout", attempt_timeout, 5000, 10, 3600000, "MS", "time for one attempt"),
    NUM("--retry-after", retry_after, 1000, 0, 3600000, "MS", "time between attempts"),
    NUM("--parallel", parallel, 8, 1, 256, "N", "deliveries in flight at once"),
    SET("--chunked", chunked, "deliver chunked, without Content-Length"),
    TXT("--shape", shape, "feed", "NAME", "payload shape"),
    NUM("--link-life", link_life, 300, 1, 604800, "S", "life of a signed document link"),
    NUM("--token-life", token_life, 86400, 1, 31536000, "S", "life of a token"),
    NUM("--document-size", document_size, 0, 0, 1LL << 32, "N",
	"size of documents, at least 2048; 0: a few KiB"),
    NUM("--seed", seed, 1, 0, (1LL << 62), "N", "where all chance and identifiers come from"),
    NUM("--max-events", max_events, 1000000, 1, 10000000, "N", "events kept in memory"),
    TXT("--feed-envelope", envelope, "array", "NAME", "array or object: a page of the feed"),
    TXT("--filestore", filestore, "details", "NAME", "details, redirect or bytes: the answer"),
    TXT("--link-member", link_member, "location", "NAME", "member of details with the link"),
    SET("--download-events", download_events, "a complete download raises an event"),
    {"--fault", FAULT, 0, 0, 0, 0, NULL, "JSON", "a fault from the start; repeatable"},
    SET("--quiet", quiet, "say nothing but `ready' and errors"),
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void
put(struct opt *o, const struct row *r, const void *p, size_t n)
{
	memcpy((char *)o + r->at, p, n);
}

static void
defaults(struct opt *o)
{
	size_t i;

	memset(o, 0, sizeof(*o));
	for (i = 0; i < ROWS; i++) {
		if (rows[i].kind == TEXT)
			put(o, &rows[i], &rows[i].text, sizeof(rows[i].text));
		else if (rows[i].kind == NUMBER)
			put(o, &rows[i], &rows[i].value, sizeof(rows[i].value));
	}
}

static void
help(void)
{
	char left[64];
	size_t i;

	printf("usage: arken-sandbox --dir DIR [options]\n"
	       "A stand-in for the Arken API, for trying an installation.\n\n");
	for (i = 0; i < ROWS; i++) {
		snprintf(left, sizeof(left), "%s %s", rows[i].name, rows[i].arg);
		printf("  %-22s %s", left, rows[i].help);
		if (rows[i].kind == NUMBER)
			printf(" (%lld)", rows[i].value);
		else if (rows[i].text != NULL && rows[i].text[0] != '\0')
			printf(" (%s)", rows[i].text);
		printf("\n");
	}
	printf("  %-22s %s\n  %-22s %s\n", "--help", "this text", "--version", "the version");
}

static bool
usage(const char *name, const char *why)
{
	fprintf(stderr, "arken-sandbox: %s: %s\n", name, why);
	return false;
}

static bool
take(struct opt *o, const struct row *r, const char *value)
{
	char why[96];
	long long n;

	if (r->kind == NUMBER) {
		if (!num_parse(value, r->lo, r->hi, &n)) {
			snprintf(why, sizeof(why), "expected a number from %lld to %lld", r->lo,
			    r->hi);
			return usage(r->name, why);
		}
		put(o, r, &n, sizeof(n));
		return true;
	}
	if (r->kind == FAULT) {
		if (o->faults == OPT_FAULT_MAX)
			return usage(r->name, "too many");
		o->fault[o->faults++] = value;
		return true;
	}
	if (value[0] == '\0' || strlen(value) > TEXT_MAX || strpbrk(value, "\r\n'") != NULL)
		return usage(r->name, "expected a text without quote or line end");
	put(o, r, &value, sizeof(value));
	return true;
}

static bool
one_of(const char *value, const char *a, const char *b, const char *c)
{
	return strcmp(value, a) == 0 || strcmp(value, b) == 0 || strcmp(value, c) == 0;
}

static bool
prefix_valid(const char *p)
{
	size_t n = strlen(p);

	return n == 0 ||
	       (p[0] == '/' && p[n - 1] != '/' && n <= 64 && strstr(p, "//") == NULL &&
		   strspn(p,
		       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-") ==
		       n);
}

static bool
check(const struct opt *o)
{
	if (o->dir == NULL)
		return usage("--dir", "is needed");
	if (!prefix_valid(o->prefix))
		return usage("--prefix", "expected /name, without a slash at the end");
	if (!hash_valid(o->account))
		return usage("--account", "expected 1 to 64 of [0-9A-Za-z_-]");
	if ((o->webhook != NULL) != (o->header != NULL) ||
	    (o->webhook != NULL) != (o->secret_file != NULL))
		return usage("--webhook", "goes with --header and --secret-file");
	if (shape_named(o->shape) == SHAPE_N)
		return usage("--shape", "no such shape");
	if (o->document_size != 0 && o->document_size < 2048)
		return usage("--document-size", "expected 0, or at least 2048");
	if (!one_of(o->issuer_request, "form", "json", "form"))
		return usage("--issuer-request", "expected form or json");
	if (!one_of(o->envelope, "array", "object", "array"))
		return usage("--feed-envelope", "expected array or object");
	if (!one_of(o->filestore, "details", "redirect", "bytes"))
		return usage("--filestore", "expected details, redirect or bytes");
	return true;
}

static const struct row *
find(const char *name, size_t n)
{
	size_t i;

	for (i = 0; i < ROWS; i++) {
		if (strlen(rows[i].name) == n && strncmp(rows[i].name, name, n) == 0)
			return &rows[i];
	}
	return NULL;
}

/* Takes the option at *i and its value, given as --name value or --name=value. */
static bool
next(struct opt *o, int argc, char **argv, int *i)
{
	static const bool yes = true;
	const char *arg = argv[*i], *value = NULL;
	size_t n = strcspn(arg, "=");
	const struct row *r = find(arg, n);

	if (r == NULL)
		return usage(arg, "no such option (try --help)");
	if (arg[n] == '=')
		value = arg + n + 1;
	if (r->kind == FLAG) {
		if (value != NULL)
			return usage(r->name, "takes no value");
		put(o, r, &yes, sizeof(yes));
		return true;
	}
	if (value == NULL && *i + 1 < argc)
		value = argv[++*i];
	return value != NULL ? take(o, r, value) : usage(r->name, "needs a value");
}

enum opt_end
opt_parse(struct opt *o, int argc, char **argv)
{
	int i;

	defaults(o);
	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			help();
			return OPT_DONE;
		}
		if (strcmp(argv[i], "--version") == 0) {
			printf("arken-sandbox %s\n", PACKAGE_VERSION);
			return OPT_DONE;
		}
		if (!next(o, argc, argv, &i))
			return OPT_USAGE;
	}
	return check(o) ? OPT_GO : OPT_USAGE;
}
