/*
 * SPDX-License-Identifier: ISC
 *
 * list - many events at once; see list.h.
 *
 * While the folders are read the entries are a heap with the youngest on top, so that
 * when the limit is reached an older one takes its place.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "list.h"
#include "str.h"

struct reading {
	struct spool *sp;
	const struct list_wish *wish;
	struct list *l;
	enum spool_box box;
	int64_t now;
	enum rc rc;
	struct err *e;
};

static void
entry_free(struct entry *en)
{
	free(en->name);
	free(en->text);
	free(en->reason);
	free(en->subject);
}

void
list_free(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		entry_free(&l->at[i]);
	free(l->at);
	*l = (struct list){0};
}

static int
by_age(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;

	if (a->received != b->received)
		return a->received < b->received ? -1 : 1;
	return strcmp(a->name, b->name);
}

static void
swap(struct entry *a, struct entry *b)
{
	struct entry t = *a;

	*a = *b;
	*b = t;
}

static void
heap_up(struct list *l, size_t i)
{
	for (; i > 0 && by_age(&l->at[i], &l->at[(i - 1) / 2]) > 0; i = (i - 1) / 2)
		swap(&l->at[i], &l->at[(i - 1) / 2]);
}

static void
heap_down(struct list *l, size_t i)
{
	for (;;) {
		size_t top = i;

		for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < l->n; k++)
			if (by_age(&l->at[k], &l->at[top]) > 0)
				top = k;
		if (top == i)
			return;
		swap(&l->at[i], &l->at[top]);
		i = top;
	}
}

/* Put an entry in, or drop the youngest; the entry is taken over in any case. */
static enum rc
list_add(struct list *l, struct entry *en, struct err *e)
{
	if (l->n == LIST_MAX) {
		l->left_out++;
		if (by_age(en, &l->at[0]) < 0) {
			swap(en, &l->at[0]);
			heap_down(l, 0);
		}
		entry_free(en);
		return RC_OK;
	}
	if (l->n == l->cap) {
		size_t cap = l->cap != 0 ? l->cap * 2 : 64;
		struct entry *p = realloc(l->at, cap * sizeof(*p));

		if (p == NULL) {
			entry_free(en);
			return err_set(e, RC_LATER, "no memory for %zu events", cap);
		}
		l->at = p;
		l->cap = cap;
	}
	l->at[l->n++] = *en;
	heap_up(l, l->n - 1);
	return RC_OK;
}

static enum rc
make_entry(const struct view *v, int64_t now, struct entry *en, struct err *e)
{
	char text[VIEW_TEXT];

	view_reason(v, now, text);
	*en = (struct entry){.name = strdup(v->name),
	    .text = strdup(text),
	    .reason = strdup(v->readable ? v->retry.reason : text),
	    .subject = strdup(v->rec.subject),
	    .received = view_received(v),
	    .since = v->since,
	    .due = v->retry.due,
	    .box = v->box,
	    .state = v->state,
	    .tries = v->retry.tries,
	    .key_at = strlen(v->parts.account) + 1,
	    .key_len = strlen(v->parts.key),
	    .need = LIST_ID};
	if (en->name != NULL && en->text != NULL && en->reason != NULL && en->subject != NULL)
		return RC_OK;
	entry_free(en);
	return err_set(e, RC_LATER, "no memory");
}

static bool
read_one(const struct spool_entry *se, void *arg)
{
	struct reading *r = arg;
	struct name parts;
	struct entry en;
	struct view v;

	if (!se->is_name || !name_parse(se->name, &parts) ||
	    !filter_name(&r->wish->filter, &parts))
		return true;
	if (se->foreign) {
		r->l->foreign++;
		return true;
	}
	if (view_read(r->sp, r->box, se->name, &v, NULL) != RC_OK)
		return true; /* moved meanwhile */
	if (!r->wish->state[v.state] || !filter_view(&r->wish->filter, r->sp, &v))
		return true;
	if ((r->rc = make_entry(&v, r->now, &en, r->e)) == RC_OK)
		r->rc = list_add(r->l, &en, r->e);
	return r->rc == RC_OK;
}

static int
by_key(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;

	return strcmp(a->name + a->key_at, b->name + b->key_at);
}

/* Mark what two keys have in common; the rest of a name begins with a dot, which no key has. */
static void
set_apart(struct entry *en, const char *name, const char *key)
{
	const char *own = en->name + en->key_at;
	size_t k = 0;

	if (str_eq(en->name, name))
		return; /* the event itself */
	while (k < en->key_len && own[k] == key[k])
		k++;
	if (k == en->key_len && key[k] == '.')
		en->shared = true;
	if (k + 1 > en->need)
		en->need = k + 1;
}

/*
 * Another event's name: only its neighbours in the order of keys need to be compared, any
 * further entry has as much in common with its own neighbour.
 */
static bool
set_apart_one(const struct spool_entry *se, void *arg)
{
	struct list *l = arg;
	const char *key = strchr(se->name, '.');
	size_t low = 0, high = l->n;

	if (!se->is_name || key == NULL)
		return true;
	key++;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct entry *en = &l->at[mid];

		if (strcmp(en->name + en->key_at, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	/* Equal rests (another account, the same key and kind) stand side by side from low on.
	 */
	if (low > 0)
		set_apart(&l->at[low - 1], se->name, key);
	if (low < l->n)
		set_apart(&l->at[low], se->name, key);
	if (low + 1 < l->n)
		set_apart(&l->at[low + 1], se->name, key);
	return true;
}

/* Find how much of each key is needed, against every event of the spool, listed or not. */
static enum rc
shorten_ids(struct spool *sp, struct list *l, struct err *e)
{
	enum rc rc;

	qsort(l->at, l->n, sizeof(*l->at), by_key);
	for (size_t i = 1; i < l->n; i++) {
		struct entry *a = &l->at[i - 1], *b = &l->at[i];

		set_apart(a, b->name, b->name + b->key_at);
		set_apart(b, a->name, a->name + a->key_at);
	}
	for (enum spool_box box = SPOOL_NEW; box < SPOOL_BOXES; box++)
		if ((rc = spool_walk(sp, box, set_apart_one, l, e)) != RC_OK)
			return rc;
	return RC_OK;
}

enum rc
list_read(
    struct spool *sp, const struct list_wish *wish, int64_t now, struct list *l, struct err *e)
{
	struct reading r = {.sp = sp, .wish = wish, .l = l, .now = now, .e = e};

	*l = (struct list){0};
	for (r.box = SPOOL_NEW; r.box < SPOOL_BOXES && r.rc == RC_OK; r.box++) {
		bool wanted = wish->state[state_of(r.box)] ||
			      (r.box == SPOOL_CUR && wish->state[ST_RUNNING]);
		enum rc rc;

		if (wanted && (rc = spool_walk(sp, r.box, read_one, &r, e)) != RC_OK)
			r.rc = rc;
	}
	if (r.rc == RC_OK && l->n > 0)
		r.rc = shorten_ids(sp, l, e);
	if (r.rc != RC_OK) {
		list_free(l);
		return r.rc;
	}
	if (l->n > 0)
		qsort(l->at, l->n, sizeof(*l->at), by_age);
	return RC_OK;
}

int
list_states(const struct ctl *c, int argc, char **argv, struct list_wish *wish)
{
	enum state st;

	if (argc > 1)
		return ctl_usage(c, "one state at most");
	if (argc == 0 || str_eq(argv[0], "all")) {
		for (st = ST_WAITING; st < STATES; st++)
			wish->state[st] = argc != 0 || st != ST_DONE;
		return EX_OK;
	}
	if (!state_parse(argv[0], &st))
		return ctl_usage(c, "\"%.40s\" is no state", argv[0]);
	wish->state[st] = true;
	return EX_OK;
}

const char *
list_id(const struct entry *en, size_t *n)
{
	if (en->shared) {
		*n = strlen(en->name);
		return en->name;
	}
	*n = en->need < en->key_len ? en->need : en->key_len;
	return en->name + en->key_at;
}
