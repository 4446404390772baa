/*
 * SPDX-License-Identifier: ISC
 *
 * pick - from what an operator types to events; see pick.h.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "out.h"
#include "pick.h"
#include "str.h"
#include "view.h"

void
picks_free(struct picks *ps)
{
	for (size_t i = 0; i < ps->n; i++) {
		free(ps->at[i].text);
		free(ps->at[i].name);
	}
	free(ps->at);
	*ps = (struct picks){0};
}

/* What may surround an ID when it is copied from somewhere: blanks, a folder, flags. */
static void
clean(const char *text, char out[PICK_LINE])
{
	const char *slash;
	size_t n;

	text += strspn(text, " \t\r\n");
	if ((slash = strrchr(text, '/')) != NULL)
		text = slash + 1;
	n = strcspn(text, ": \t\r\n");
	if (!str_copy_n(out, PICK_LINE, text, n))
		out[0] = '\0';
	if (str_is_guid(out))
		str_lower(out);
}

enum rc
picks_add(struct picks *ps, const char *text, struct err *e)
{
	char id[PICK_LINE];

	clean(text, id);
	if (ps->n == PICK_MAX)
		return err_set(e, RC_FULL, "more than %d IDs at once", PICK_MAX);
	if (ps->n == ps->cap) {
		size_t cap = ps->cap != 0 ? ps->cap * 2 : 16;
		struct pick *p = realloc(ps->at, cap * sizeof(*p));

		if (p == NULL)
			return err_set(e, RC_LATER, "no memory for %zu IDs", cap);
		ps->at = p;
		ps->cap = cap;
	}
	ps->at[ps->n] = (struct pick){.text = strdup(id[0] != '\0' ? id : text), .at = ps->n};
	if (ps->at[ps->n].text == NULL)
		return err_set(e, RC_LATER, "no memory");
	ps->n++;
	return RC_OK;
}

static enum rc
take_stdin(struct picks *ps, struct err *e)
{
	char line[PICK_LINE];
	enum rc rc;

	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (strchr(line, '\n') == NULL && !feof(stdin))
			return err_set(e, RC_BAD,
			    "a line of standard input is longer than %d bytes: IDs are wanted, "
			    "one a line",
			    PICK_LINE - 2);
		if (line[strspn(line, " \t\r\n")] == '\0')
			continue;
		if ((rc = picks_add(ps, line, e)) != RC_OK)
			return rc;
	}
	return ferror(stdin) != 0 ? err_sys(e, "read", "standard input") : RC_OK;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(((const struct pick *)a)->text, ((const struct pick *)b)->text);
}

static int
by_place(const void *a, const void *b)
{
	size_t at = ((const struct pick *)a)->at, bt = ((const struct pick *)b)->at;

	return (at > bt) - (at < bt);
}

int
picks_take(struct ctl *c, struct picks *ps, int argc, char **argv)
{
	struct err e = {0};
	enum rc rc = RC_OK;

	if (argc == 0)
		return ctl_usage(c, "which events? IDs are missing");
	for (int i = 0; i < argc && rc == RC_OK; i++)
		rc = str_eq(argv[i], "-") ? take_stdin(ps, &e) : picks_add(ps, argv[i], &e);
	if (rc != RC_OK)
		return ctl_fail(err_exit(rc), "%s", e.text);
	return EX_OK;
}

enum rc
pick_locate(struct spool *sp, const char *name, enum spool_box *box, struct err *e)
{
	bool found = false;
	int64_t since;
	uint64_t size;

	/* In the order of life, so that one that moves on meanwhile is met again. */
	for (enum spool_box at = SPOOL_NEW; at < SPOOL_BOXES; at++) {
		enum rc rc = spool_stat(sp, at, name, &since, &size, e);

		if (rc == RC_OK) {
			found = true;
			*box = at;
		} else if (rc != RC_GONE) {
			return rc;
		}
	}
	return found ? RC_OK : err_set(e, RC_GONE, "%.150s is in no folder", name);
}

struct finding {
	struct picks *ps;
	bool length[NAME_KEY]; /* lengths of the texts looked for */
	enum spool_box box;
	enum rc rc;
};

/* text is a beginning of this event's key. */
static enum rc
match(struct pick *p, const char *name, enum spool_box box, bool exact)
{
	if (exact && !p->exact) {
		p->exact = true;
		p->found = 0;
		free(p->name);
		p->name = NULL;
	} else if (!exact && p->exact) {
		return RC_OK;
	}
	if (p->found == 0) {
		if ((p->name = strdup(name)) == NULL)
			return RC_LATER;
		p->found = 1;
		p->box = box;
	} else if (str_eq(p->name, name)) {
		p->box = box;
	} else {
		p->found = 2;
	}
	return RC_OK;
}

static bool
match_one(const struct spool_entry *se, void *arg)
{
	struct finding *f = arg;
	struct name parts;
	char beginning[NAME_KEY];
	struct pick want = {.text = beginning};
	size_t n;

	if (!se->is_name || !name_parse(se->name, &parts))
		return true;
	n = strlen(parts.key);
	for (size_t k = 1; k <= n; k++) {
		struct pick *p;

		if (!f->length[k])
			continue;
		memcpy(beginning, parts.key, k);
		beginning[k] = '\0';
		p = bsearch(&want, f->ps->at, f->ps->n, sizeof(*p), by_text);
		if (p != NULL && (f->rc = match(p, se->name, f->box, k == n)) != RC_OK)
			return false;
	}
	return true;
}

/* They are sorted; of equal ones the first typed stays. */
static void
remove_repeats(struct picks *ps)
{
	size_t kept = 0;

	for (size_t i = 0; i < ps->n; i++) {
		if (kept > 0 && by_text(&ps->at[kept - 1], &ps->at[i]) == 0) {
			if (ps->at[i].at < ps->at[kept - 1].at)
				ps->at[kept - 1].at = ps->at[i].at;
			free(ps->at[i].text);
			continue;
		}
		ps->at[kept++] = ps->at[i];
	}
	ps->n = kept;
}

/* Names are looked up at once; returns whether anything is left that takes a walk. */
static enum rc
find_names(struct spool *sp, struct finding *f, bool *walk, struct err *e)
{
	struct name parts;
	enum rc rc;

	for (size_t i = 0; i < f->ps->n; i++) {
		struct pick *p = &f->ps->at[i];

		if (!name_parse(p->text, &parts)) {
			if (str_only(p->text, "-", 1, NAME_KEY - 1))
				f->length[strlen(p->text)] = *walk = true;
			continue;
		}
		if ((rc = pick_locate(sp, p->text, &p->box, e)) == RC_GONE)
			continue;
		if (rc != RC_OK)
			return rc;
		if ((p->name = strdup(p->text)) == NULL)
			return err_set(e, RC_LATER, "no memory");
		p->found = 1;
	}
	return RC_OK;
}

enum rc
picks_find(struct spool *sp, struct picks *ps, struct err *e)
{
	struct finding f = {.ps = ps};
	bool walk = false;
	enum rc rc;

	if (ps->n == 0)
		return RC_OK;
	qsort(ps->at, ps->n, sizeof(*ps->at), by_text);
	remove_repeats(ps);
	if ((rc = find_names(sp, &f, &walk, e)) != RC_OK)
		return rc;
	for (f.box = SPOOL_NEW; walk && f.box < SPOOL_BOXES; f.box++) {
		if ((rc = spool_walk(sp, f.box, match_one, &f, e)) != RC_OK)
			return rc;
		if (f.rc != RC_OK)
			return err_set(e, f.rc, "no memory");
	}
	qsort(ps->at, ps->n, sizeof(*ps->at), by_place);
	return RC_OK;
}

struct candidates {
	const char *text;
	enum spool_box box;
	bool exact;
	unsigned n;
};

static bool
show_candidate(const struct spool_entry *se, void *arg)
{
	struct candidates *cs = arg;
	struct name parts;

	if (!se->is_name || !name_parse(se->name, &parts) ||
	    (cs->exact ? !str_eq(parts.key, cs->text) : !str_begins(parts.key, cs->text)))
		return true;
	if (cs->n++ == PICK_CANDIDATES) {
		(void)fprintf(stderr, "  ...\n");
		return false;
	}
	(void)fprintf(stderr, "  %s (%s)\n", se->name, state_name(state_of(cs->box)));
	return true;
}

int
pick_check(struct ctl *c, const struct pick *p)
{
	struct candidates cs = {.text = p->text, .exact = p->exact};

	if (p->found == 1)
		return EX_OK;
	if (p->found == 0)
		return ctl_fail(EX_NOINPUT,
		    "%s: there is no such event; \"spoolctl ls all\" lists those there are",
		    p->text);
	(void)ctl_fail(EX_DATAERR, "%s: several events begin so; name one of them:", p->text);
	for (cs.box = SPOOL_NEW; cs.box < SPOOL_BOXES && cs.n <= PICK_CANDIDATES; cs.box++)
		if (spool_walk(c->spool, cs.box, show_candidate, &cs, NULL) != RC_OK)
			break;
	return EX_DATAERR;
}

int
pick_one(struct ctl *c, int argc, char **argv, char name[NAME_SIZE], enum spool_box *box)
{
	struct picks ps = {0};
	struct err e = {0};
	int status;
	enum rc rc;

	if (argc != 1)
		return ctl_usage(
		    c, argc == 0 ? "which event? An ID is missing" : "one event at a time");
	if ((rc = picks_add(&ps, argv[0], &e)) != RC_OK) {
		status = ctl_fail(err_exit(rc), "%s", e.text);
		goto out;
	}
	if ((status = ctl_open(c)) != EX_OK)
		goto out;
	if ((rc = picks_find(c->spool, &ps, &e)) != RC_OK)
		status = ctl_fail(err_exit(rc), "%s", e.text);
	else if ((status = pick_check(c, &ps.at[0])) == EX_OK &&
		 str_copy(name, NAME_SIZE, ps.at[0].name))
		*box = ps.at[0].box;
out:
	picks_free(&ps);
	return status;
}
