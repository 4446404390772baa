/*
 * SPDX-License-Identifier: ISC
 *
 * body - the body of a request; see body.h.
 */
#include "config.h"

#include "body.h"

/* Room for cap bytes in all, old and new memory both paid for while one is copied to the other.
 */
static bool
body_grow(struct body *b, size_t cap)
{
	size_t more = cap + 1;

	if (!budget_take(b->budget, &more, BODY_WAIT))
		return false;
	b->text.max = cap;
	if (buf_room(&b->text, cap - b->text.n) != RC_OK) {
		budget_give(b->budget, more);
		return false;
	}
	budget_give(b->budget, b->held);
	b->held = more;
	return true;
}

/* All of the announced length, or of the limit, is there: the stream has to end now. */
static enum body_end
body_expect_end(struct exchange *x, const struct request *rq, struct body *b)
{
	char extra;
	ssize_t got = x->read(x, &extra, 1);

	b->at_end = got <= 0;
	if (got < 0)
		return BODY_SHORT;
	if (got > 0)
		return rq->has_length ? BODY_MORE : BODY_LONG;
	return BODY_OK;
}

enum body_end
body_read(struct exchange *x, const struct request *rq, uint64_t max, struct budget *budget,
    struct body *out)
{
	int64_t until = clk_mono() + BODY_TIME;
	size_t limit, cap;
	ssize_t got;

	*out = (struct body){.text = BUF_INIT(0), .budget = budget};
	if (rq->has_length && rq->length > max)
		return BODY_LONG;
	limit = (size_t)(rq->has_length ? rq->length : max);
	cap = rq->has_length || limit < BODY_FIRST ? limit : BODY_FIRST;
	if (!body_grow(out, cap))
		return BODY_NO_ROOM;
	while (out->text.n < limit) {
		if (out->text.n == cap) {
			cap = cap > limit / 2 ? limit : cap * 2;
			if (!body_grow(out, cap))
				return BODY_NO_ROOM;
		}
		got = x->read(x, out->text.p + out->text.n, cap - out->text.n);
		if (got <= 0) {
			out->at_end = true;
			return got == 0 && !rq->has_length ? BODY_OK : BODY_SHORT;
		}
		out->text.n += (size_t)got;
		out->text.p[out->text.n] = '\0';
		if (clk_mono() > until)
			return BODY_SHORT;
	}
	return body_expect_end(x, rq, out);
}

void
body_close(struct body *b)
{
	buf_free(&b->text);
	if (b->budget != NULL)
		budget_give(b->budget, b->held);
	*b = (struct body){.text = BUF_INIT(0)};
}

bool
body_discard(struct exchange *x, uint64_t max)
{
	int64_t until = clk_mono() + BODY_TIME;
	char waste[BODY_CHUNK];
	ssize_t got;

	for (uint64_t n = 0; n <= max && clk_mono() <= until; n += (uint64_t)got) {
		if ((got = x->read(x, waste, sizeof(waste))) <= 0)
			return got == 0;
	}
	return false;
}
