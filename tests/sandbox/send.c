/*
 * SPDX-License-Identifier: ISC
 *
 * send - delivers events to the webhook, so many times and then never again.
 *
 * Any 2xx ends a delivery; everything else, redirects included, is a refusal.
 * After the last attempt the event is abandoned for good, as Arken does.  The
 * queue is a heap by time, so events leave about in the order they were made.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "json.h"
#include "sandbox.h"
#include "send.h"

#define PAYLOAD_MAX (10 * 1024 * 1024)
#define ANSWER_MAX 65536
#define SLOT_MAX 256
#define HELD_MAX 1024
#define POLL_MS 60000
#define TOKEN_SPARE_MS 30000

struct delivery {
	uint32_t first, n;
	unsigned tries;
	int64_t due;
	uint64_t order;
	bool asked; /* faults were asked for this attempt */
	bool cut;
};

struct slot {
	CURL *easy;
	struct curl_slist *headers;
	struct delivery *d; /* NULL: idle */
	struct buf body;
	size_t off;
};

struct sender {
	struct sandbox *sb;
	pthread_t thread;
	CURLM *multi;
	bool stop;
	struct delivery **heap;
	size_t n, cap;
	uint64_t order;
	struct delivery *held[HELD_MAX];
	size_t nheld;
	struct slot slot[SLOT_MAX];
	size_t slots;
	char token[4096]; /* from the subscriber's issuer */
	int64_t token_until;
	unsigned token_revision;
};

static bool
before(const struct delivery *a, const struct delivery *b)
{
	return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void
heap_push(struct sender *s, struct delivery *d)
{
	size_t i, up;

	if (s->n == s->cap) {
		s->cap = s->cap == 0 ? 1024 : s->cap * 2;
		s->heap = mem_grow(s->heap, s->cap, sizeof(*s->heap));
	}
	for (i = s->n++; i > 0; i = up) {
		up = (i - 1) / 2;
		if (!before(d, s->heap[up]))
			break;
		s->heap[i] = s->heap[up];
	}
	s->heap[i] = d;
}

static struct delivery *
heap_pop(struct sender *s)
{
	struct delivery *top = s->heap[0], *last = s->heap[--s->n];
	size_t i = 0, k;

	while ((k = 2 * i + 1) < s->n) {
		if (k + 1 < s->n && before(s->heap[k + 1], s->heap[k]))
			k++;
		if (!before(s->heap[k], last))
			break;
		s->heap[i] = s->heap[k];
		i = k;
	}
	s->heap[i] = last;
	return top;
}

static struct delivery *
queue(struct sender *s, uint32_t first, uint32_t n)
{
	struct delivery *d = mem_new(1, sizeof(*d));
	struct event *e;
	uint32_t i;

	d->first = first;
	d->n = n;
	d->due = clock_ms();
	d->order = s->order++;
	for (i = 0; i < n; i++) {
		e = feed_get(s->sb->feed, first + i);
		if (e->open++ == 0)
			count_add(s->sb->count, COUNT_pending, 1);
	}
	heap_push(s, d);
	return d;
}

void
send_queue(struct sender *s, uint32_t first, uint32_t n)
{
	(void)queue(s, first, n);
}

void
send_wake(struct sender *s)
{
	curl_multi_wakeup(s->multi);
}

/* The delivery is over, however it went. */
static void
finish(struct sender *s, struct delivery *d)
{
	struct count *c = s->sb->count;
	struct event *e;
	uint32_t i;

	for (i = 0; i < d->n; i++) {
		e = feed_get(s->sb->feed, d->first + i);
		if (--e->open > 0)
			continue;
		count_add(c, e->accepted ? COUNT_delivered : COUNT_abandoned, 1);
		count_add(c, COUNT_pending, -1);
	}
	free(d);
}

/* Those held back until after this one go now. */
static void
release(struct sender *s, const struct delivery *passed)
{
	size_t i = 0;

	while (i < s->nheld) {
		if (passed->order < s->held[i]->order) {
			i++;
			continue;
		}
		s->held[i]->due = 0; /* before what waits already */
		heap_push(s, s->held[i]);
		s->held[i] = s->held[--s->nheld];
	}
}

/* An attempt has ended; status 0: there was no answer. */
static void
attempt_end(struct sender *s, struct delivery *d, int status)
{
	bool ok = status >= 200 && status <= 299;
	struct event *e;
	uint32_t i;

	for (i = 0; i < d->n; i++) {
		e = feed_get(s->sb->feed, d->first + i);
		e->tries++;
		e->status = status;
		e->accepted = e->accepted || ok;
	}
	count_add(s->sb->count, COUNT_deliveries, 1);
	if (!ok)
		count_add(s->sb->count, COUNT_refused, 1);
	release(s, d);
	if (ok || ++d->tries >= (unsigned)s->sb->opt.attempts) {
		finish(s, d);
		return;
	}
	d->asked = d->cut = false;
	d->due = clock_ms() + s->sb->opt.retry_after;
	heap_push(s, d);
}

/* false: the delivery does not start now (and may be gone). */
static bool
faults(struct sender *s, struct delivery *d)
{
	struct sandbox *sb = s->sb;
	const struct event *e = feed_get(sb->feed, d->first);
	char category[NAME_SIZE], type[NAME_SIZE], name[2 * NAME_SIZE];
	struct fault f;

	if (d->asked)
		return true;
	d->asked = true;
	shape_kind(sb, e, category, type);
	snprintf(name, sizeof(name), "%s.%s", category, type);
	if (!fault_take(&sb->faults, ON_WEBHOOK, name, &f))
		return true;
	count_add(sb->count, COUNT_faults, 1);
	if (f.what == DO_DROP) {
		finish(s, d);
		return false;
	}
	d->cut = f.what == DO_CUT;
	if (f.what == DO_DUPLICATE)
		queue(s, d->first, d->n)->asked = true; /* not again for the copy */
	if (f.what == DO_DELAY || (f.what == DO_REORDER && s->nheld == HELD_MAX)) {
		d->due = clock_ms() + f.ms;
		heap_push(s, d);
		return false;
	}
	if (f.what == DO_REORDER) {
		d->due = clock_ms() + f.ms;
		s->held[s->nheld++] = d;
		return false;
	}
	return true;
}

static size_t
on_read(char *p, size_t size, size_t n, void *arg)
{
	struct slot *t = arg;
	size_t end = t->d->cut ? t->body.n / 2 : t->body.n;

	n *= size;
	if (t->d->cut && t->off >= end)
		return CURL_READFUNC_ABORT;
	if (n > end - t->off)
		n = end - t->off;
	memcpy(p, t->body.p + t->off, n);
	t->off += n;
	return n;
}

static int
on_seek(void *arg, curl_off_t off, int origin)
{
	struct slot *t = arg;

	if (origin != SEEK_SET || off < 0 || (size_t)off > t->body.n)
		return CURL_SEEKFUNC_FAIL;
	t->off = (size_t)off;
	return CURL_SEEKFUNC_OK;
}

static size_t
on_write(char *p, size_t size, size_t n, void *arg)
{
	(void)p;
	(void)arg;
	return size * n;
}

static size_t
on_keep(char *p, size_t size, size_t n, void *arg)
{
	struct buf *b = arg;

	buf_add(b, p, size * n);
	return b->bad ? 0 : size * n;
}

static void
common(const struct sandbox *sb, CURL *c)
{
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)sb->opt.attempt_timeout);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "arken-sandbox/" PACKAGE_VERSION);
	if (sb->opt.webhook_ca != NULL)
		curl_easy_setopt(c, CURLOPT_CAINFO, sb->opt.webhook_ca);
}

static void
token_request_json(const struct subs *to, struct buf *out)
{
	buf_str(out, "{\"grant_type\":\"client_credentials\",\"client_id\":");
	buf_json(out, to->client_id);
	buf_str(out, ",\"client_secret\":");
	buf_json(out, to->client_secret);
	if (to->audience[0] != '\0') {
		buf_str(out, ",\"audience\":");
		buf_json(out, to->audience);
	}
	buf_str(out, "}");
}

/* RFC 6749 sections 2.3.1 and 4.4.2. */
static void
token_request_form(const struct subs *to, struct buf *out)
{
	buf_str(out, "grant_type=client_credentials&client_id=");
	buf_url(out, to->client_id);
	buf_str(out, "&client_secret=");
	buf_url(out, to->client_secret);
	if (to->audience[0] != '\0') {
		buf_str(out, "&audience=");
		buf_url(out, to->audience);
	}
}

static bool
token_take(struct sender *s, const struct buf *answer)
{
	struct json *j = json_parse(answer->p, answer->n);
	long long life = 300;
	bool ok;

	ok = json_text(j, "access_token", s->token, sizeof(s->token)) &&
	     strpbrk(s->token, "\r\n") == NULL;
	(void)json_number(j, "expires_in", 0, 31536000, &life);
	json_free(&j);
	s->token_until = clock_ms() + life * 1000 - TOKEN_SPARE_MS;
	return ok;
}

/* A token from the subscriber's own issuer; rare, so the thread waits for it. */
static bool
token_fetch(struct sender *s, const struct subs *to)
{
	bool json = strcmp(s->sb->opt.issuer_request, "json") == 0;
	struct curl_slist *h = curl_slist_append(
	    NULL, json ? "Content-Type: application/json"
		       : "Content-Type: application/x-www-form-urlencoded");
	CURL *c = curl_easy_init();
	struct buf body, answer;
	long status = 0;
	bool ok = false;

	buf_init(&body, ANSWER_MAX);
	buf_init(&answer, ANSWER_MAX);
	if (json)
		token_request_json(to, &body);
	else
		token_request_form(to, &body);
	if (c != NULL && h != NULL) {
		common(s->sb, c);
		curl_easy_setopt(c, CURLOPT_URL, to->auth_url);
		curl_easy_setopt(c, CURLOPT_HTTPHEADER, h);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, body.p);
		curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_keep);
		curl_easy_setopt(c, CURLOPT_WRITEDATA, &answer);
		if (curl_easy_perform(c) == CURLE_OK &&
		    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
		    status == 200)
			ok = token_take(s, &answer);
	}
	curl_easy_cleanup(c);
	curl_slist_free_all(h);
	buf_free(&body);
	buf_free(&answer);
	return ok;
}

/* Is there a usable token, or none needed?  Called without the lock. */
static bool
token_ready(struct sender *s, const struct subs *to)
{
	bool ok;

	if (!to->there || to->auth_url[0] == '\0')
		return true;
	if (s->token[0] != '\0' && s->token_revision == to->revision &&
	    clock_ms() < s->token_until)
		return true;
	s->token[0] = '\0';
	s->token_revision = to->revision;
	ok = token_fetch(s, to);
	count_add(s->sb->count, ok ? COUNT_issuer_tokens : COUNT_issuer_refused, 1);
	return ok;
}

static void
payload(struct sender *s, const struct delivery *d, struct buf *out)
{
	const struct event *e = feed_get(s->sb->feed, d->first);
	uint32_t i;

	buf_clear(out);
	if (e->shape == SHAPE_array)
		buf_str(out, "[");
	for (i = 0; i < d->n; i++) {
		e = feed_get(s->sb->feed, d->first + i);
		if (i > 0)
			buf_str(out, ",");
		shape_write(s->sb, e, (enum shape)e->shape, out);
	}
	if (e->shape == SHAPE_array)
		buf_str(out, "]");
}

static void
header_add(struct slot *t, const char *name, const char *value)
{
	struct curl_slist *more;
	struct buf b;

	buf_init(&b, 8192);
	buf_fmt(&b, "%s:%s", name, value[0] != '\0' ? " " : "");
	buf_str(&b, value);
	if ((more = curl_slist_append(t->headers, b.p)) != NULL)
		t->headers = more;
	buf_free(&b);
}

static void
headers_make(struct sender *s, struct slot *t)
{
	const struct subs *to = &s->sb->subs;
	char bearer[sizeof(s->token) + 8];

	header_add(t, "Content-Type", "application/json; charset=utf-8");
	header_add(t, "Expect", "");
	if (to->header[0] != '\0')
		header_add(t, to->header, to->secret);
	if (to->auth_url[0] != '\0') {
		snprintf(bearer, sizeof(bearer), "Bearer %s", s->token);
		header_add(t, "Authorization", bearer);
	}
	if (s->sb->opt.chunked)
		header_add(t, "Transfer-Encoding", "chunked");
}

static void
attempt_start(struct sender *s, struct slot *t, struct delivery *d)
{
	t->d = d;
	t->off = 0;
	payload(s, d, &t->body);
	headers_make(s, t);
	curl_easy_reset(t->easy);
	common(s->sb, t->easy);
	curl_easy_setopt(t->easy, CURLOPT_URL, s->sb->subs.url);
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(t->easy, CURLOPT_SEEKDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	if (!s->sb->opt.chunked)
		curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body.n);
	curl_multi_add_handle(s->multi, t->easy);
}

static struct slot *
idle(struct sender *s)
{
	size_t i;

	for (i = 0; i < s->slots; i++) {
		if (s->slot[i].d == NULL)
			return &s->slot[i];
	}
	return NULL;
}

/* Those held back for too long go, whether or not something overtook them. */
static void
held_expire(struct sender *s, int64_t now)
{
	size_t i = 0;

	while (i < s->nheld) {
		if (s->held[i]->due > now) {
			i++;
			continue;
		}
		heap_push(s, s->held[i]);
		s->held[i] = s->held[--s->nheld];
	}
}

/* Start what is due now; ready: with a token, should one be needed. */
static void
start_due(struct sender *s, int64_t now, bool ready)
{
	struct delivery *d;
	struct slot *t;

	while (s->n > 0 && s->heap[0]->due <= now && (t = idle(s)) != NULL) {
		d = heap_pop(s);
		if (!faults(s, d))
			continue;
		if (!s->sb->subs.there)
			finish(s, d);
		else if (!ready)
			attempt_end(s, d, 0);
		else
			attempt_start(s, t, d);
	}
}

/* How long nothing will be due. */
static int
quiet_ms(struct sender *s)
{
	int64_t now = clock_ms(), next = now + POLL_MS;
	size_t i;

	if (s->n > 0 && idle(s) != NULL && s->heap[0]->due < next)
		next = s->heap[0]->due;
	for (i = 0; i < s->nheld; i++)
		next = s->held[i]->due < next ? s->held[i]->due : next;
	return next > now ? (int)(next - now) : 0;
}

static void
slot_free(struct sender *s, struct slot *t)
{
	curl_multi_remove_handle(s->multi, t->easy);
	curl_slist_free_all(t->headers);
	t->headers = NULL;
	t->d = NULL;
}

/* Take what has ended; true: something had. */
static bool
collect(struct sender *s)
{
	struct delivery *d;
	struct slot *t;
	CURLMsg *msg;
	bool some = false;
	char *own = NULL;
	long status;
	int left;

	while ((msg = curl_multi_info_read(s->multi, &left)) != NULL) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		status = 0;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &own);
		t = (struct slot *)(void *)own;
		if (msg->data.result == CURLE_OK)
			curl_easy_getinfo(msg->easy_handle, CURLINFO_RESPONSE_CODE, &status);
		d = t->d;
		slot_free(s, t);
		if (status == 401)
			s->token[0] = '\0';
		attempt_end(s, d, (int)status);
		some = true;
	}
	return some;
}

static void *
run(void *arg)
{
	struct sender *s = arg;
	struct sandbox *sb = s->sb;
	struct subs to;
	int running, wait;
	int64_t now;
	bool ready;

	pthread_mutex_lock(&sb->lock);
	while (!s->stop) {
		now = clock_ms();
		held_expire(s, now);
		if (s->n > 0 && s->heap[0]->due <= now && idle(s) != NULL) {
			to = sb->subs;
			pthread_mutex_unlock(&sb->lock);
			ready = token_ready(s, &to);
			pthread_mutex_lock(&sb->lock);
			start_due(s, now, ready && to.revision == sb->subs.revision);
		}
		pthread_mutex_unlock(&sb->lock);
		curl_multi_perform(s->multi, &running);
		pthread_mutex_lock(&sb->lock);
		wait = collect(s) || s->stop ? 0 : quiet_ms(s);
		pthread_mutex_unlock(&sb->lock);
		if (wait > 0)
			curl_multi_poll(s->multi, NULL, 0, wait, NULL);
		pthread_mutex_lock(&sb->lock);
	}
	pthread_mutex_unlock(&sb->lock);
	return NULL;
}

struct sender *
send_start(struct sandbox *sb)
{
	struct sender *s = mem_new(1, sizeof(*s));
	size_t i;

	s->sb = sb;
	s->slots = (size_t)sb->opt.parallel;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    (s->multi = curl_multi_init()) == NULL)
		goto bad;
	curl_multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, (long)SLOT_MAX);
	for (i = 0; i < s->slots; i++) {
		buf_init(&s->slot[i].body, PAYLOAD_MAX);
		if ((s->slot[i].easy = curl_easy_init()) == NULL)
			goto bad;
	}
	if (pthread_create(&s->thread, NULL, run, s) == 0)
		return s;
bad:
	free(s); /* the program ends: no more is undone */
	return NULL;
}

void
send_stop(struct sender **sp)
{
	struct sender *s = *sp;
	size_t i;

	if (s == NULL)
		return;
	pthread_mutex_lock(&s->sb->lock);
	s->stop = true;
	pthread_mutex_unlock(&s->sb->lock);
	curl_multi_wakeup(s->multi);
	pthread_join(s->thread, NULL);
	for (i = 0; i < s->slots; i++) {
		free(s->slot[i].d);
		slot_free(s, &s->slot[i]);
		curl_easy_cleanup(s->slot[i].easy);
		buf_free(&s->slot[i].body);
	}
	for (i = 0; i < s->nheld; i++)
		free(s->held[i]);
	while (s->n > 0)
		free(heap_pop(s));
	free(s->heap);
	curl_multi_cleanup(s->multi);
	curl_global_cleanup();
	free(s);
	*sp = NULL;
}
