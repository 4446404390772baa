/*
 * SPDX-License-Identifier: ISC
 *
 * conf - the configuration; see conf.h.
 *
 * Files and look-ups are here; conf_read.c reads the text, conf_value.c knows
 * the types, conf_keys.c the keys, conf_print.c makes the documents.
 */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "buf.h"
#include "conf.h"
#include "conf_keys.h"
#include "io.h"
#include "str.h"

#define SECRET_MAX 65536 /* bytes of a secret's file */

/* A regular file of at most max bytes; links are followed: systemd's credentials and /etc may
 * be such. */
static enum rc
open_file(const char *path, off_t max, int *fd, struct stat *st, struct err *e)
{
	enum rc rc = RC_OK;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0)
		return err_sys(e, "open", path);
	if (fstat(*fd, st) != 0)
		rc = err_sys(e, "fstat", path);
	else if (!S_ISREG(st->st_mode))
		rc = err_set(
		    e, RC_CONFIG, "%.200s: expected a regular file, found another kind", path);
	else if (st->st_size > max)
		rc = err_set(e, RC_CONFIG, "%.200s: expected at most %jd bytes, found %jd",
		    path, (intmax_t)max, (intmax_t)st->st_size);
	if (rc != RC_OK)
		io_close(fd);
	return rc;
}

enum rc
conf_load(const char *path, struct conf **out, struct err *e)
{
	struct buf text = BUF_INIT(CONF_FILE_MAX);
	struct conf *c = NULL;
	struct stat st;
	enum rc rc;
	int fd = -1;

	*out = NULL;
	if ((rc = open_file(path, CONF_FILE_MAX, &fd, &st, e)) != RC_OK)
		return rc;
	if ((rc = io_read_all(fd, &text, e)) != RC_OK) {
		err_prefix(e, "%.100s", path);
		goto out;
	}
	if ((c = calloc(1, sizeof(*c))) == NULL || (c->file = strdup(path)) == NULL) {
		rc = err_set(e, RC_LATER, "%.100s: no memory", path);
		goto out;
	}
	if ((rc = conf_read(c, buf_text(&text), text.n, e)) != RC_OK)
		goto out;
	*out = c;
	c = NULL;
out:
	conf_free(&c);
	buf_free(&text);
	io_close(&fd);
	return rc;
}

void
conf_free(struct conf **cp)
{
	struct conf *c = *cp;

	if (c == NULL)
		return;
	for (size_t i = 0; i < conf_nkeys; i++) {
		const struct conf_key *k = &conf_keys[i];

		if (conf_sections[k->section].title == NULL)
			conf_value_free(k, c);
		for (size_t j = 0; k->section == CONF_IN_ACCOUNT && j < c->naccounts; j++)
			conf_value_free(k, &c->accounts[j]);
		for (size_t j = 0; k->section == CONF_IN_CALLBACK && j < c->ncallbacks; j++)
			conf_value_free(k, &c->callbacks[j]);
	}
	for (size_t j = 0; j < c->naccounts; j++)
		free(c->accounts[j].name);
	for (size_t j = 0; j < c->ncallbacks; j++)
		free(c->callbacks[j].kind);
	free(c->accounts);
	free(c->callbacks);
	free(c->file);
	free(c);
	*cp = NULL;
}

const struct conf_account *
conf_account(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->naccounts; i++)
		if (str_eq(c->accounts[i].name, name))
			return &c->accounts[i];
	return NULL;
}

const struct conf_account *
conf_account_at(const struct conf *c, const char *path)
{
	for (size_t i = 0; i < c->naccounts; i++)
		if (str_eq(c->accounts[i].path, path))
			return &c->accounts[i];
	return NULL;
}

enum rc
conf_account_complete(const struct conf_account *a, struct err *e)
{
	const struct {
		const char *name, *value;
	} need[] = {{"api", a->api}, {"token_url", a->token_url}, {"client_id", a->client_id},
	    {"client_secret_file", a->client_secret_file}};
	struct buf missing = BUF_INIT(ERR_TEXT);
	enum rc rc = RC_OK;

	for (size_t i = 0; i < sizeof(need) / sizeof(need[0]); i++)
		if (need[i].value == NULL)
			buf_fmt(&missing, "%s%s", missing.n > 0 ? ", " : "", need[i].name);
	if (missing.n > 0 || missing.broken)
		rc = err_set(e, RC_CONFIG,
		    "[account %s] %s: expected a value (spoold needs it), found none", a->name,
		    buf_text(&missing));
	buf_free(&missing);
	return rc;
}

const struct conf_callback *
conf_callback(const struct conf *c, const char *category, const char *type)
{
	const struct conf_callback *wide = NULL;
	size_t n = strlen(category);

	for (size_t i = 0; i < c->ncallbacks; i++) {
		const char *kind = c->callbacks[i].kind;

		if (!str_begins(kind, category))
			continue;
		if (kind[n] == '.' && str_eq(kind + n + 1, type))
			return &c->callbacks[i];
		if (kind[n] == '\0')
			wide = &c->callbacks[i];
	}
	return wide;
}

static bool
all_blank(const struct buf *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (strchr(" \t\r\n", b->p[i]) == NULL || b->p[i] == '\0')
			return false;
	return true;
}

enum rc
conf_secret(const char *path, struct buf *b, struct err *e)
{
	struct buf text = BUF_SECRET(SECRET_MAX);
	struct stat st;
	enum rc rc;
	int fd = -1;

	if ((rc = open_file(path, SECRET_MAX, &fd, &st, e)) != RC_OK)
		return rc;
	if ((st.st_mode & S_IRWXO) != 0) {
		rc = err_set(e, RC_CONFIG,
		    "%.200s: expected no access for others (chmod o-rwx), found mode %04o",
		    path, (unsigned)st.st_mode & 07777);
		goto out;
	}
	if ((rc = io_read_all(fd, &text, e)) != RC_OK) {
		err_prefix(e, "%.100s", path);
		goto out;
	}
	if (all_blank(&text)) {
		rc = err_set(e, RC_CONFIG, "%.200s: expected a secret, found nothing", path);
		goto out;
	}
	buf_add(b, text.p, text.n);
	rc = buf_state(b, e);
out:
	buf_wipe(&text);
	io_close(&fd);
	return rc;
}
