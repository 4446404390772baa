/*
 * SPDX-License-Identifier: ISC
 *
 * hook - what a hook is told, and what its end means; see hook.h.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "clk.h"
#include "hook.h"
#include "str.h"

#define ENV_MAX (CHILD_REQUEST / 2)
#define SHOWN 200 /* bytes of output in the one line */

/* ---- environment ---- */

/* A value that is not there has no variable. */
static void
add(struct hook_env *env, const char *name, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	if (env->n == HOOK_ENV)
		env->text.broken = true;
	else
		env->n++;
	buf_fmt(&env->text, "%s=%s", name, value);
	buf_add(&env->text, "", 1);
}

static void
add_home(struct hook_env *env)
{
	const struct passwd *pw = getpwuid(geteuid());

	add(env, "HOME", pw != NULL ? pw->pw_dir : "/");
}

static void
add_event(struct hook_env *env, const struct hand *h)
{
	char attempt[16], stamp[CLK_TEXT];

	clk_rfc3339(h->rec->received, stamp);
	(void)snprintf(attempt, sizeof(attempt), "%u", h->attempt);
	add(env, "ARKEN_EVENT_ID", h->key);
	add(env, "ARKEN_EVENT", h->name);
	add(env, "ARKEN_ACCOUNT", h->account);
	add(env, "ARKEN_CATEGORY", h->ev->category);
	add(env, "ARKEN_TYPE", h->ev->type);
	add(env, "ARKEN_SOURCE", rec_source_name(h->rec->source));
	add(env, "ARKEN_RECEIVED", stamp);
	add(env, "ARKEN_TRY", attempt);
	add(env, "ARKEN_OBJECT", h->object);
	add(env, "ARKEN_ACCOUNT_HASH", h->ev->account_hash);
	add(env, "ARKEN_CLIENT_HASH", h->ev->client_hash);
	add(env, "ARKEN_DOCUMENT_HASH", h->ev->document_hash);
	add(env, "ARKEN_USER_HASH", h->ev->user_hash);
}

static void
add_store(struct hook_env *env, const struct hand *h)
{
	char size[24];

	add(env, "ARKEN_STORE", h->store);
	add(env, "ARKEN_FOLDER", h->folder);
	if (h->has_record)
		add(env, "ARKEN_RECORD", h->record);
	if (h->deleted)
		add(env, "ARKEN_TOMBSTONE", h->tombstone);
	if (!h->has_document)
		return;
	(void)snprintf(size, sizeof(size), "%" PRIu64, h->meta.size);
	add(env, "ARKEN_DOCUMENT", h->document);
	add(env, "ARKEN_DOCUMENT_JSON", h->description);
	add(env, "ARKEN_DOCUMENT_SIZE", size);
	add(env, "ARKEN_DOCUMENT_SHA256", h->meta.sha256);
	add(env, "ARKEN_DOCUMENT_MEDIA_TYPE", h->meta.media_type);
}

enum rc
hook_env(struct hook_env *out, const struct hand *h, struct err *e)
{
	const char *p;

	*out = (struct hook_env){.text = BUF_INIT(ENV_MAX)};
	add(out, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	add(out, "LANG", "C.UTF-8");
	add_home(out);
	add_event(out, h);
	add_store(out, h);
	if (buf_state(&out->text, NULL) != RC_OK) {
		hook_env_free(out);
		return err_set(e, RC_BAD, "the environment of a hook would be too large");
	}
	p = out->text.p;
	for (size_t i = 0; i < out->n; i++, p += strlen(p) + 1)
		out->at[i] = p;
	return RC_OK;
}

void
hook_env_free(struct hook_env *env)
{
	buf_free(&env->text);
	env->n = 0;
}

/* ---- its end ---- */

/* Lines become one, and what no line of a log may hold becomes a question mark. */
void
hook_output(const struct child_end *end, char out[HOOK_TEXT])
{
	const char *p = end->output;
	size_t n = end->output_len, at = 0, from;

	while (n > 0 && (unsigned char)p[n - 1] <= ' ')
		n--;
	from = n > HOOK_TEXT / 3 ? n - HOOK_TEXT / 3 : 0;
	for (size_t i = from; i < n; i++) {
		if (p[i] == '\n') {
			memcpy(out + at, " / ", 3);
			at += 3;
		} else {
			out[at++] = p[i] == '\t' || p[i] == '\r' ? ' '
				    : p[i] >= ' ' && p[i] <= '~' ? p[i]
								 : '?';
		}
	}
	out[at] = '\0';
}

static enum handed
unable(int sys)
{
	switch (sys) {
	case EAGAIN:
	case EINTR:
	case EIO:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ETXTBSY:
		return HANDED_OURS;
	default: /* not there, not executable, no such interpreter: somebody has to mend it */
		return HANDED_CONFIG;
	}
}

static enum handed
exited(int status)
{
	switch (status) {
	case EX_OK:
		return HANDED_DONE;
	case EX_DATAERR:
		return HANDED_NEVER;
	case EX_UNAVAILABLE:
		return HANDED_REFUSED;
	case EX_CONFIG:
		return HANDED_CONFIG;
	case EX_TEMPFAIL:
	default:
		return HANDED_LATER;
	}
}

static enum handed
judge(const struct child_end *end, char *text, size_t size)
{
	switch (end->fate) {
	case CHILD_EXITED:
		(void)snprintf(text, size, "exit status %d", end->status);
		return exited(end->status);
	case CHILD_KILLED:
		(void)snprintf(text, size, "killed by signal %d", end->status);
		return HANDED_LATER;
	case CHILD_TIMED_OUT:
		(void)snprintf(text, size, "ended after its time limit");
		return HANDED_LATER;
	case CHILD_STOPPED:
		(void)snprintf(text, size, "ended with spoold");
		return HANDED_STOPPED;
	case CHILD_UNABLE:
		(void)snprintf(text, size, "cannot be started: %.60s", strerror(end->sys));
		return unable(end->sys);
	case CHILD_LOST:
		(void)snprintf(text, size, "lost: the process that watched it was killed");
		return HANDED_LATER;
	}
	return HANDED_LATER;
}

enum handed
hook_verdict(const struct child_end *end, char text[HANDED_TEXT])
{
	char said[HOOK_TEXT], why[120];
	enum handed h = judge(end, why, sizeof(why));
	const char *shown = said;
	size_t n;

	hook_output(end, said);
	if ((n = strlen(said)) > SHOWN)
		shown = said + n - SHOWN;
	(void)snprintf(text, HANDED_TEXT, "hook: %s%s%.200s", why, n > 0 ? ": " : "", shown);
	return h;
}
