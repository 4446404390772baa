/*
 * SPDX-License-Identifier: ISC
 *
 * arken-sandbox - a stand-in for the Arken API: token, API, document host,
 * event feed and webhook sender, for trying an installation without Arken.
 *
 * Everything it knows is made up, lives in memory and is gone when it ends; it
 * shares no code with arkenspool, so that a mistake is not made twice.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "sandbox.h"
#include "send.h"

static bool
failed(const char *call, const char *what)
{
	fprintf(stderr, "arken-sandbox: %s(%s) failed: %s\n", call, what, strerror(errno));
	return false;
}

/* Written whole or not at all. */
static bool
file_write(const char *dir, const char *name, mode_t mode, const char *p, size_t n)
{
	char path[PATH_MAX], tmp[PATH_MAX];
	ssize_t k = 0;
	size_t done = 0;
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path) ||
	    (size_t)snprintf(tmp, sizeof(tmp), "%s/.%s.tmp", dir, name) >= sizeof(tmp)) {
		errno = ENAMETOOLONG;
		return failed("open", dir);
	}
	if (unlink(tmp) != 0 && errno != ENOENT)
		return failed("unlink", tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd == -1)
		return failed("open", tmp);
	while (done < n && (k = write(fd, p + done, n - done)) > 0)
		done += (size_t)k;
	if (close(fd) != 0 || done < n) {
		unlink(tmp);
		return failed("write", tmp);
	}
	return rename(tmp, path) == 0 || failed("rename", path);
}

static void
env_line(struct buf *out, const char *name, const char *value)
{
	buf_fmt(out, "%s='%s'\n", name, value);
}

static bool
env_write(const struct sandbox *sb, const char *dir)
{
	char number[32], ca[PATH_MAX];
	struct buf b;
	bool ok;

	buf_init(&b, 16384);
	if ((size_t)snprintf(ca, sizeof(ca), "%s/ca.pem", dir) >= sizeof(ca))
		return false;
	snprintf(number, sizeof(number), "%ld", (long)getpid());
	env_line(&b, "API_URL", sb->api_url);
	env_line(&b, "TOKEN_URL", sb->token_url);
	env_line(&b, "DOCUMENT_HOST", sb->document_host);
	env_line(&b, "ADMIN_URL", sb->admin_url);
	env_line(&b, "CA_FILE", ca);
	env_line(&b, "ACCOUNT_HASH", sb->opt.account);
	env_line(&b, "CLIENT_ID", sb->opt.client_id);
	env_line(&b, "CLIENT_SECRET", sb->opt.client_secret);
	env_line(&b, "AUDIENCE", sb->opt.audience);
	env_line(&b, "PID", number);
	ok = !b.bad && file_write(dir, "sandbox.env", 0600, b.p, b.n);
	buf_free(&b);
	return ok;
}

/* Nobody shall read where an earlier run was. */
static bool
env_remove(const char *dir)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/sandbox.env", dir) >= sizeof(path))
		return false;
	return unlink(path) == 0 || errno == ENOENT || failed("unlink", path);
}

static bool
certs_write(const struct cert *c, const char *dir)
{
	return file_write(dir, "ca.pem", 0644, c->ca, strlen(c->ca)) &&
	       file_write(dir, "server.pem", 0644, c->leaf, strlen(c->leaf)) &&
	       file_write(dir, "server.key", 0600, c->key, strlen(c->key));
}

static void
urls_make(struct sandbox *sb)
{
	const char *scheme = sb->opt.plain ? "http" : "https";
	unsigned api = http_port(sb->api), documents = http_port(sb->documents);

	snprintf(sb->api_url, URL_MAX, "%s://api.localhost:%u%s", scheme, api, sb->opt.prefix);
	snprintf(sb->token_url, URL_MAX, "%s://api.localhost:%u/oauth/token", scheme, api);
	snprintf(sb->document_host, URL_MAX, "documents.localhost:%u", documents);
	snprintf(sb->document_url, URL_MAX, "%s://documents.localhost:%u", scheme, documents);
	snprintf(sb->admin_url, URL_MAX, "http://127.0.0.1:%u", http_port(sb->admin));
}

static bool
listen_all(struct sandbox *sb, const struct cert *c)
{
	const char *cert = sb->opt.plain ? NULL : c->leaf, *key = sb->opt.plain ? NULL : c->key;

	if ((sb->api = http_start(
		 (unsigned)sb->opt.port_api, cert, key, sb->count, api_handle, sb)) == NULL)
		return failed("listen", "API port");
	if ((sb->documents = http_start((unsigned)sb->opt.port_documents, cert, key, sb->count,
		 documents_handle, sb)) == NULL)
		return failed("listen", "document port");
	if ((sb->admin = http_start((unsigned)sb->opt.port_admin, NULL, NULL, sb->count,
		 admin_handle, sb)) == NULL)
		return failed("listen", "admin port");
	urls_make(sb);
	return true;
}

/* What the options ask for; a mistake in them is the user's. */
static int
setup(struct sandbox *sb)
{
	const struct opt *o = &sb->opt;
	char why[512];
	size_t i;

	sb->faults.seed = (uint64_t)o->seed;
	for (i = 0; i < o->faults; i++) {
		if (fault_add(
			&sb->faults, o->fault[i], strlen(o->fault[i]), why, sizeof(why)) == 0) {
			fprintf(stderr, "arken-sandbox: --fault: %s\n", why);
			return EX_USAGE;
		}
	}
	if (o->webhook != NULL) {
		if (!subs_load(
			&sb->subs, o->webhook, o->header, o->secret_file, why, sizeof(why))) {
			fprintf(stderr, "arken-sandbox: --webhook: %s\n", why);
			return EX_USAGE;
		}
		count_add(sb->count, COUNT_subscriptions, 1);
	}
	id_hash(sb->link_key, (uint64_t)o->seed, 0x6b6579, 0);
	sb->world = world_new((uint64_t)o->seed, o->account, (uint64_t)o->document_size);
	sb->feed = feed_new((uint32_t)o->max_events);
	return EX_OK;
}

static int
start(struct sandbox *sb)
{
	char dir[PATH_MAX];
	struct cert cert;
	int rc;
	bool ok;

	if ((sb->count = count_new(http_wake)) == NULL)
		return EX_OSERR;
	if ((rc = setup(sb)) != EX_OK)
		return rc;
	if (realpath(sb->opt.dir, dir) == NULL) {
		failed("realpath", sb->opt.dir);
		return EX_CANTCREAT;
	}
	if (!cert_make(&cert)) {
		fprintf(stderr, "arken-sandbox: no certificate could be made\n");
		return EX_SOFTWARE;
	}
	pthread_mutex_lock(&sb->lock); /* requests wait until all is known */
	ok = env_remove(dir) && certs_write(&cert, dir) && listen_all(sb, &cert) &&
	     (sb->sender = send_start(sb)) != NULL && env_write(sb, dir);
	pthread_mutex_unlock(&sb->lock);
	cert_free(&cert);
	return ok ? EX_OK : EX_OSERR;
}

/* Sender first, then those who wait, then the servers. */
static void
stop(struct sandbox *sb)
{
	send_stop(&sb->sender);
	if (sb->count != NULL)
		count_stop(sb->count);
	http_stop(&sb->api);
	http_stop(&sb->documents);
	http_stop(&sb->admin);
	count_free(&sb->count);
	feed_free(&sb->feed);
	world_free(&sb->world);
	pthread_mutex_destroy(&sb->lock);
}

int
main(int argc, char **argv)
{
	static struct sandbox sb;
	sigset_t set;
	int sig, rc;

	rc = (int)opt_parse(&sb.opt, argc, argv);
	if (rc != OPT_GO)
		return rc == OPT_DONE ? EX_OK : EX_USAGE;
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_mutex_init(&sb.lock, NULL);
	if ((rc = start(&sb)) == EX_OK) {
		if (!sb.opt.quiet)
			fprintf(stderr, "arken-sandbox: API %s admin %s\n", sb.api_url,
			    sb.admin_url);
		printf("arken-sandbox: ready\n");
		fflush(stdout);
		sigwait(&set, &sig);
	}
	stop(&sb);
	return rc;
}
