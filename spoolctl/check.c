/*
 * SPDX-License-Identifier: ISC
 *
 * check - findings, and what users may do; see check.h.
 */
#include "config.h"

#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "out.h"
#include "str.h"
#include "user.h"

#define TEXT 1024
#define PATH 4096

static const struct {
	const char *name;
	enum out_colour colour;
} levels[CHECK_LEVELS] = {[CHECK_OK] = {"ok", OUT_GREEN},
    [CHECK_WARNING] = {"warning", OUT_YELLOW},
    [CHECK_FAILURE] = {"failure", OUT_RED}};

static void
print_json(const struct check *k, enum check_level level, const char *topic,
    const char *subject, const char *text, const char *remedy)
{
	struct buf line = BUF_INIT(8 * TEXT + 2 * PATH);

	buf_fmt(&line, "{\"level\":\"%s\",\"check\":\"%s\"", levels[level].name, topic);
	if (k->account != NULL) {
		buf_str(&line, ",\"account\":");
		buf_json(&line, k->account);
	}
	if (subject != NULL) {
		buf_str(&line, ",\"subject\":");
		buf_json(&line, subject);
	}
	buf_str(&line, ",\"text\":");
	buf_json(&line, text);
	if (remedy != NULL) {
		buf_str(&line, ",\"remedy\":");
		buf_json(&line, remedy);
	}
	buf_str(&line, "}\n");
	out_json(&line);
	buf_free(&line);
}

void
check_say(struct check *k, enum check_level level, const char *topic, const char *subject,
    const char *fmt, ...)
{
	char text[TEXT], *remedy;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if ((remedy = strchr(text, '\n')) != NULL)
		*remedy++ = '\0';
	k->count[level]++;
	if (k->json) {
		print_json(k, level, topic, subject, text, remedy);
		return;
	}
	out_colour(levels[level].colour);
	(void)printf("%-8s", levels[level].name);
	out_plain();
	(void)printf("%s%s%s: ", k->account != NULL ? k->account : "",
	    k->account != NULL ? " " : "", topic);
	if (subject != NULL) {
		(void)out_str(subject);
		(void)printf(": ");
	}
	(void)out_str(text);
	(void)putchar('\n');
	if (remedy == NULL)
		return;
	(void)printf("        -> ");
	(void)out_str(remedy);
	(void)putchar('\n');
}

void
check_user(struct check_user *u, uid_t uid, gid_t group)
{
	const struct passwd *pw = getpwuid(uid);

	u->known = true;
	u->uid = uid;
	u->groups[0] = group;
	u->ngroups = 1;
	user_name(uid, u->name, sizeof(u->name));
	if (pw == NULL)
		return;
	u->ngroups = CHECK_GROUPS;
	if (getgrouplist(pw->pw_name, pw->pw_gid, u->groups, &u->ngroups) < 0)
		u->ngroups = CHECK_GROUPS;
}

static bool
allows(const struct check_user *u, const struct stat *st, unsigned want)
{
	unsigned mode = st->st_mode & 07;

	if (u->uid == 0)
		return true;
	for (int i = 0; i < u->ngroups; i++)
		if (u->groups[i] == st->st_gid)
			mode = st->st_mode >> 3 & 07;
	if (u->uid == st->st_uid)
		mode = st->st_mode >> 6 & 07;
	return (mode & want) == want;
}

bool
check_may(const struct check_user *u, const char *path, unsigned want, char *where, size_t size)
{
	struct stat st;

	for (const char *p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		if (!str_copy_n(where, size, path, (size_t)(p - path)))
			return false;
		if (stat(where, &st) != 0 || !allows(u, &st, 1))
			return false;
	}
	return str_copy(where, size, path) && stat(where, &st) == 0 && allows(u, &st, want);
}
