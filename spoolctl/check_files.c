/*
 * SPDX-License-Identifier: ISC
 *
 * check_files - owners, modes and room of everything that is on disk; see check.h.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "buf.h"
#include "check.h"
#include "hash.h"
#include "io.h"
#include "str.h"
#include "subscription.h"
#include "token.h"

#define PATH 4096
#define ENTRIES 100000 /* of a tree that are looked at */
#define DEPTH 12
#define SECRET_LEAST 16 /* bytes: the receiver takes no shorter one */

/* ---- the configuration ---- */

static void
look_conf(struct check *k)
{
	const char *path = k->c->conf->file;
	const struct check_user *users[] = {&k->daemon, &k->receiver};
	unsigned before = k->count[CHECK_FAILURE];
	char where[PATH];
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & 022) != 0)
		check_say(k, CHECK_FAILURE, "configuration", path,
		    "mode %04o: others than its owner may change what spoold runs\nchmod go-w "
		    "%s",
		    (unsigned)st.st_mode & 07777, path);
	for (size_t i = 0; i < 2; i++)
		if (users[i]->known && !check_may(users[i], path, 4, where, sizeof(where)))
			check_say(k, CHECK_FAILURE, "configuration", path,
			    "%s (user %s) cannot read it, because of %s\nchgrp %u %s && chmod "
			    "g+r %s",
			    users[i]->what, users[i]->name, where, (unsigned)k->c->opt.group,
			    path, path);
	if (before == k->count[CHECK_FAILURE])
		check_say(k, CHECK_OK, "configuration", path, "%zu account%s",
		    k->c->conf->naccounts, k->c->conf->naccounts == 1 ? "" : "s");
}

/* What is missing in an account's section. */
static void
look_account(struct check *k, const struct conf_account *a)
{
	unsigned before = k->count[CHECK_FAILURE] + k->count[CHECK_WARNING];
	struct err e = {0};

	if (conf_account_complete(a, &e) != RC_OK)
		check_say(k, CHECK_FAILURE, "account", NULL,
		    "%s\nadd it to [account %s]: spoold does not start without", e.text,
		    a->name);
	if (a->secret_header == NULL && a->issuer == NULL)
		check_say(k, CHECK_FAILURE, "account", NULL,
		    "neither secret_header nor issuer: every request is refused\nadd "
		    "secret_header and secret_file to [account %s]",
		    a->name);
	if (a->hash_id == NULL)
		check_say(k, CHECK_WARNING, "account", NULL,
		    "no hash_id: events of other accounts are taken, and missed ones are not "
		    "found\nadd hash_id to [account %s]",
		    a->name);
	if (a->reconcile == CONF_OFF)
		check_say(k, CHECK_WARNING, "account", NULL,
		    "reconcile is off: what the webhook misses is lost\nset reconcile = on, "
		    "if Arken has an event feed for the account");
	if (before == k->count[CHECK_FAILURE] + k->count[CHECK_WARNING])
		check_say(k, CHECK_OK, "account", NULL, "its section is complete");
}

/* ---- secrets ---- */

struct secret {
	const char *key, *path;                     /* path NULL: not configured */
	const struct check_user *reader, *stranger; /* NULL: nobody */
	bool lines;                                 /* each line is one, of a least length */
};

/* Is what is in it a secret?  false: said why not. */
static bool
secret_content(struct check *k, const struct secret *s)
{
	struct buf text = BUF_SECRET(CONF_FILE_MAX), newest = BUF_SECRET(CONF_FILE_MAX);
	struct err e = {0};
	enum rc rc = conf_secret(s->path, &text, &e);
	bool good = rc == RC_OK;

	if (rc == RC_DENIED && geteuid() != 0)
		check_say(k, CHECK_WARNING, s->key, s->path,
		    "it cannot be looked at\nrun this as root (sudo)");
	else if (rc != RC_OK)
		check_say(
		    k, CHECK_FAILURE, s->key, s->path, "%s\nput the secret into it", e.text);
	else if (s->lines && subscription_secret(s->path, &newest, &e) == RC_OK &&
		 newest.n < SECRET_LEAST) {
		check_say(k, CHECK_FAILURE, s->key, s->path,
		    "the newest secret has %zu bytes, %d are the least\n\"spoolctl subscribe "
		    "--new-secret --replace\" makes one and tells Arken",
		    newest.n, SECRET_LEAST);
		good = false;
	}
	buf_wipe(&text);
	buf_wipe(&newest);
	return good;
}

/* Who may read it, and who may not?  false: said so. */
static bool
secret_readers(struct check *k, const struct secret *s)
{
	char where[PATH];
	bool good = true;

	if (s->reader != NULL && s->reader->known &&
	    !check_may(s->reader, s->path, 4, where, sizeof(where))) {
		check_say(k, CHECK_FAILURE, s->key, s->path,
		    "%s (user %s) cannot read it, because of %s\nchown %s %s, and see that "
		    "its folders can be entered",
		    s->reader->what, s->reader->name, where, s->reader->name, s->path);
		good = false;
	}
	if (s->stranger != NULL && s->stranger->known && s->stranger->uid != k->daemon.uid &&
	    check_may(s->stranger, s->path, 4, where, sizeof(where))) {
		check_say(k, CHECK_FAILURE, s->key, s->path,
		    "%s (user %s) can read it, and whoever breaks into that\nchown %s %s && "
		    "chmod 400 %s",
		    s->stranger->what, s->stranger->name, k->daemon.name, s->path, s->path);
		good = false;
	}
	return good;
}

static void
look_secret(struct check *k, const struct secret *s)
{
	struct stat st;

	if (s->path == NULL)
		return;
	if (stat(s->path, &st) != 0) {
		check_say(k, CHECK_FAILURE, s->key, s->path, "%s\n%s", strerror(errno),
		    s->lines ? "\"spoolctl subscribe\" makes it"
			     : "put the secret into it, mode 0400");
		return;
	}
	if ((st.st_mode & S_IRWXO) != 0) {
		check_say(k, CHECK_FAILURE, s->key, s->path,
		    "mode %04o: everybody on this machine has access\nchmod o-rwx %s",
		    (unsigned)st.st_mode & 07777, s->path);
		return;
	}
	if ((st.st_mode & S_IWGRP) != 0)
		check_say(k, CHECK_FAILURE, s->key, s->path,
		    "mode %04o: its group may change it\nchmod g-w %s",
		    (unsigned)st.st_mode & 07777, s->path);
	else if (secret_readers(k, s) && secret_content(k, s))
		check_say(k, CHECK_OK, s->key, s->path, "mode %04o, read by who has to",
		    (unsigned)st.st_mode & 07777);
}

static void
look_secrets(struct check *k, const struct conf_account *a)
{
	const struct secret all[] = {
	    {"secret_file", a->secret_file, &k->receiver, NULL, true},
	    {"client_secret_file", a->client_secret_file, &k->daemon, &k->receiver, false},
	    {"forward_secret_file", a->forward_secret_file, &k->daemon, &k->receiver, false},
	    {"subscription_client_secret_file", a->subscription_client_secret_file, NULL,
		&k->receiver, false},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		look_secret(k, &all[i]);
}

/* ---- programs ---- */

static void
look_program(struct check *k, const char *key, const char *command)
{
	char path[PATH], where[PATH];
	struct stat st;

	if (command == NULL || !str_copy_n(path, sizeof(path), command, strcspn(command, " ")))
		return;
	if (stat(path, &st) != 0)
		check_say(k, CHECK_FAILURE, key, path,
		    "%s\nput the program there, or mend %s in the configuration",
		    strerror(errno), key);
	else if (!S_ISREG(st.st_mode))
		check_say(k, CHECK_FAILURE, key, path, "not a file\nname the program itself");
	else if (!check_may(&k->daemon, path, 1, where, sizeof(where)))
		check_say(k, CHECK_FAILURE, key, path,
		    "spoold (user %s) cannot run it, because of %s\nchmod a+rx %s",
		    k->daemon.name, where, where);
	else if ((st.st_mode & 022) != 0)
		check_say(k, CHECK_FAILURE, key, path,
		    "mode %04o: others than its owner may change what spoold runs\nchmod go-w "
		    "%s",
		    (unsigned)st.st_mode & 07777, path);
	else
		check_say(k, CHECK_OK, key, path, "can be run by spoold");
}

/* ---- folders ---- */

struct tree { /* what is wrong with the first of many, and how many there are */
	struct check *k;
	const char *topic;
	mode_t never; /* bits no mode may have */
	bool daemons; /* all of it is the daemon's */
	unsigned seen, bad;
	char first[PATH], why[128];
};

static void
tree_bad(struct tree *t, const char *folder, const char *name, const char *why)
{
	if (t->bad++ > 0)
		return;
	(void)snprintf(t->first, sizeof(t->first), "%.2048s/%.1024s", folder, name);
	(void)snprintf(t->why, sizeof(t->why), "%s", why);
}

static void
tree_entry(struct tree *t, const char *folder, const char *name, const struct stat *st)
{
	char why[128];

	t->seen++;
	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)) {
		tree_bad(t, folder, name, "neither file nor folder");
	} else if (t->daemons && st->st_uid != t->k->daemon.uid) {
		(void)snprintf(why, sizeof(why), "belongs to user %u, expected %s",
		    (unsigned)st->st_uid, t->k->daemon.name);
		tree_bad(t, folder, name, why);
	} else if ((st->st_mode & t->never) != 0) {
		(void)snprintf(why, sizeof(why), "has mode %04o, expected none of %04o",
		    (unsigned)st->st_mode & 07777, (unsigned)t->never);
		tree_bad(t, folder, name, why);
	}
}

static void
tree_walk(struct tree *t, const char *folder, unsigned depth)
{
	const struct dirent *de;
	char below[PATH];
	struct stat st;
	DIR *d = opendir(folder);

	if (d == NULL) {
		if (errno == EACCES)
			tree_bad(t, folder, ".", "cannot be looked at by this user");
		return;
	}
	while (t->seen < ENTRIES && (de = readdir(d)) != NULL) {
		if (str_eq(de->d_name, ".") || str_eq(de->d_name, "..") ||
		    fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		tree_entry(t, folder, de->d_name, &st);
		if (S_ISDIR(st.st_mode) && depth < DEPTH &&
		    (size_t)snprintf(below, sizeof(below), "%.2048s/%s", folder, de->d_name) <
			sizeof(below))
			tree_walk(t, below, depth + 1);
	}
	(void)closedir(d);
}

static void
look_tree(struct check *k, const char *topic, const char *folder, mode_t never, bool daemons)
{
	struct tree t = {.k = k, .topic = topic, .never = never, .daemons = daemons};

	tree_walk(&t, folder, 0);
	if (t.bad > 0)
		check_say(k, CHECK_FAILURE, topic, t.first,
		    "%s%s\nchown -R %s and chmod o-rwx it, and find out who changed it", t.why,
		    t.bad > 1 ? ", and there are more like it" : "", k->daemon.name);
	else
		check_say(k, CHECK_OK, topic, folder,
		    "%u files and folders as they should be%s", t.seen,
		    t.seen >= ENTRIES ? "; the rest was not looked at" : "");
}

static void
look_folder(const char *name, mode_t mode, void *arg)
{
	struct check *k = arg;
	const char *root = k->c->opt.path;
	char path[PATH];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%.2048s%s%s", root, str_eq(name, ".") ? "" : "/",
	    str_eq(name, ".") ? "" : name);
	if (lstat(path, &st) != 0)
		check_say(k, CHECK_FAILURE, "spool", path, "%s\nspoolctl make-spool -u %s",
		    strerror(errno), k->daemon.name);
	else if (!S_ISDIR(st.st_mode))
		check_say(k, CHECK_FAILURE, "spool", path,
		    "not a folder (a link is none)\nput a folder in its place");
	else if (st.st_uid != k->daemon.uid || st.st_gid != k->c->opt.group)
		check_say(k, CHECK_FAILURE, "spool", path,
		    "belongs to %u:%u, expected %u:%u\nchown %u:%u %s && chmod %04o %s",
		    (unsigned)st.st_uid, (unsigned)st.st_gid, (unsigned)k->daemon.uid,
		    (unsigned)k->c->opt.group, (unsigned)k->daemon.uid,
		    (unsigned)k->c->opt.group, path, (unsigned)mode, path);
	else if ((st.st_mode & 07777) != mode)
		check_say(k, CHECK_FAILURE, "spool", path,
		    "mode %04o, expected %04o\nchmod %04o %s", (unsigned)st.st_mode & 07777,
		    (unsigned)mode, (unsigned)mode, path);
}

static void
look_spool(struct check *k)
{
	unsigned before = k->count[CHECK_FAILURE];
	const char *path = k->c->opt.path;
	char where[PATH];

	spool_each_folder(look_folder, k);
	if (before != k->count[CHECK_FAILURE])
		return;
	if (k->receiver.known && !check_may(&k->receiver, path, 5, where, sizeof(where)))
		check_say(k, CHECK_FAILURE, "spool", path,
		    "arken.fcgi (user %s) cannot use it, because of %s\nadd the user to group "
		    "%u: usermod -aG",
		    k->receiver.name, where, (unsigned)k->c->opt.group);
	else
		look_tree(k, "spool", path, 07, false);
}

static void
look_state(struct check *k)
{
	const char *state = k->c->conf->daemon.state, *store = k->c->conf->daemon.store;
	char tokens[PATH];
	struct stat st;

	(void)snprintf(tokens, sizeof(tokens), "%.2048s/" TOKEN_DIR, state);
	if (lstat(state, &st) != 0) {
		check_say(k, CHECK_WARNING, "state", state,
		    "%s\nspoold makes it when it is started", strerror(errno));
		return;
	}
	if (st.st_uid != k->daemon.uid)
		check_say(k, CHECK_FAILURE, "state", state,
		    "belongs to user %u, expected %s\nchown -R %s %s", (unsigned)st.st_uid,
		    k->daemon.name, k->daemon.name, state);
	else if ((st.st_mode & 022) != 0)
		check_say(k, CHECK_FAILURE, "state", state,
		    "mode %04o: others than its owner may change it\nchmod go-w %s",
		    (unsigned)st.st_mode & 07777, state);
	else
		check_say(
		    k, CHECK_OK, "state", state, "mode %04o", (unsigned)st.st_mode & 07777);
	if (lstat(tokens, &st) == 0)
		look_tree(k, "token", tokens, 077, true);
	if (lstat(store, &st) != 0)
		check_say(k, CHECK_WARNING, "store", store,
		    "%s\nspoold makes it when it is started", strerror(errno));
	else if (st.st_uid != k->daemon.uid || (st.st_mode & 027) != 0)
		check_say(k, CHECK_FAILURE, "store", store,
		    "user %u, mode %04o: expected %s, and nothing for others\nchown %s %s && "
		    "chmod 0750 %s",
		    (unsigned)st.st_uid, (unsigned)st.st_mode & 07777, k->daemon.name,
		    k->daemon.name, store, store);
	else
		look_tree(k, "store", store, 07, true);
}

/* ---- room ---- */

static void
look_room(struct check *k, const char *topic, const char *path, uint64_t bytes, uint64_t inodes)
{
	struct statvfs fs;
	uint64_t room;

	if (statvfs(path, &fs) != 0)
		return; /* said already */
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (room < bytes)
		check_say(k, CHECK_FAILURE, topic, path,
		    "%" PRIu64 " MiB free, %" PRIu64 " are the least: %s\nmake room, or lower "
		    "min_free",
		    room >> 20, bytes >> 20,
		    str_eq(topic, "store") ? "no document is downloaded" : "no event is taken");
	else if (fs.f_files > 0 && fs.f_favail < inodes)
		check_say(k, CHECK_FAILURE, topic, path,
		    "%" PRIu64 " inodes free, %" PRIu64 " are the least: no event is "
		    "taken\nremove files, or lower min_inodes",
		    (uint64_t)fs.f_favail, inodes);
	else if (room < 2 * bytes)
		check_say(k, CHECK_WARNING, topic, path,
		    "%" PRIu64 " MiB free, %" PRIu64 " are the least\nmake room soon",
		    room >> 20, bytes >> 20);
	else
		check_say(k, CHECK_OK, topic, path, "%" PRIu64 " MiB free", room >> 20);
}

/* What follows from who runs the receiver. */
static void
look_receiver(struct check *k)
{
	static const char *const web[] = {
	    "www-data", "nginx", "apache", "http", "lighttpd", "caddy"};
	const struct check_user *u = &k->receiver;

	if (!u->known) {
		check_say(k, CHECK_WARNING, "receiver", NULL,
		    "there is no user arken-fcgi, so what it may do is not looked at\nname the "
		    "user of arken.fcgi with --receiver");
		return;
	}
	for (size_t i = 0; i < sizeof(web) / sizeof(web[0]); i++)
		if (str_eq(u->name, web[i])) {
			check_say(k, CHECK_WARNING, "receiver", u->name,
			    "it runs with the web server's rights: whoever breaks into the web "
			    "server can read the secrets and add events\nuse "
			    "arken-fcgi.socket, which gives it a user of its own");
			return;
		}
	if (u->uid == 0 || (u->uid == k->daemon.uid && geteuid() == 0))
		check_say(k, CHECK_FAILURE, "receiver", u->name,
		    "it runs as %s: whoever breaks into it has all that spoold has\ngive it a "
		    "user of its own, in group %u",
		    u->uid == 0 ? "root" : "spoold does", (unsigned)k->c->opt.group);
	else
		check_say(k, CHECK_OK, "receiver", u->name,
		    "threads = %" PRIu64 "; connections that are kept need none",
		    k->c->conf->receiver.threads);
}

void
check_files(struct check *k)
{
	const struct conf *c = k->c->conf;
	const struct secret metrics = {
	    "token_file", c->status.token_file, &k->receiver, NULL, false};

	look_conf(k);
	look_receiver(k);
	for (size_t i = 0; i < c->naccounts; i++) {
		k->account = c->accounts[i].name;
		look_account(k, &c->accounts[i]);
		look_secrets(k, &c->accounts[i]);
		look_program(k, "hook", c->accounts[i].hook);
	}
	k->account = NULL;
	look_secret(k, &metrics);
	look_program(k, "alarm_command", c->daemon.alarm_command);
	look_spool(k);
	look_state(k);
	look_room(k, "spool", k->c->opt.path, c->spool.min_free, c->spool.min_inodes);
	look_room(k, "store", c->daemon.store, 2 * c->spool.min_free, 0);
}
