/*
 * SPDX-License-Identifier: ISC
 *
 * retry - the daemon's note about an event; see retry.h.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "buf.h"
#include "io.h"
#include "retry.h"
#include "str.h"

#define RETRY_FILE 4096

/* The value of one "key=value" line of the file; false: no such line, or too long. */
static bool
line_value(const char *text, const char *key, char *out, size_t size)
{
	size_t k = strlen(key);

	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		if (n > k && text[k] == '=' && memcmp(text, key, k) == 0)
			return str_copy_n(out, size, text + k + 1, n - k - 1);
		text += n + (text[n] == '\n');
	}
	return false;
}

static bool
line_number(const char *text, const char *key, uint64_t max, uint64_t *out)
{
	char value[24];

	return line_value(text, key, value, sizeof(value)) && str_u64(value, 0, max, out);
}

static bool
parse(const char *text, struct retry *r)
{
	uint64_t tries, interruptions, puts_off, first, due, age = 0, written = 0;

	if (!line_number(text, "tries", UINT32_MAX, &tries) ||
	    !line_number(text, "interruptions", UINT32_MAX, &interruptions) ||
	    !line_number(text, "puts_off", UINT32_MAX, &puts_off) ||
	    !line_number(text, "first", INT64_MAX, &first) ||
	    !line_number(text, "due", INT64_MAX, &due) ||
	    !line_value(text, "step", r->step, sizeof(r->step)) ||
	    !line_value(text, "state", r->state, sizeof(r->state)) ||
	    !line_value(text, "reason", r->reason, sizeof(r->reason)))
		return false;
	/* Notes of the first version have neither. */
	(void)!line_number(text, "age", INT64_MAX, &age);
	(void)!line_number(text, "written", INT64_MAX, &written);
	r->age = (int64_t)age;
	r->written = (int64_t)written;
	r->tries = (unsigned)tries;
	r->interruptions = (unsigned)interruptions;
	r->puts_off = (unsigned)puts_off;
	r->first = (int64_t)first;
	r->due = (int64_t)due;
	return true;
}

enum rc
retry_read(int dir, const char *name, struct retry *out, struct err *e)
{
	struct buf b = BUF_INIT(RETRY_FILE);
	enum rc rc;

	memset(out, 0, sizeof(*out));
	rc = io_read_file(dir, name, &b, e);
	if (rc == RC_OK && !parse(buf_text(&b), out))
		rc = err_set(e, RC_BAD, "retry/%.150s cannot be read", name);
	if (rc == RC_FULL || rc == RC_CONFIG) /* too long, or no file at all */
		rc = RC_BAD;
	if (rc == RC_BAD) {
		memset(out, 0, sizeof(*out));
		out->interruptions = 1;
	}
	buf_free(&b);
	return rc;
}

enum rc
retry_write(int dir, const char *name, const struct retry *r, struct err *e)
{
	struct buf b = BUF_INIT(RETRY_FILE);
	char safe[RETRY_TEXT];
	enum rc rc;

	(void)str_escape(safe, sizeof(safe), r->reason, strlen(r->reason));
	buf_fmt(&b, "tries=%u\ninterruptions=%u\nputs_off=%u\n", r->tries, r->interruptions,
	    r->puts_off);
	buf_fmt(&b,
	    "first=%" PRId64 "\nage=%" PRId64 "\ndue=%" PRId64 "\nwritten=%" PRId64 "\n",
	    r->first, r->age, r->due, r->written);
	buf_fmt(&b, "step=%s\nstate=%s\nreason=%s\n", r->step, r->state, safe);
	if ((rc = buf_state(&b, e)) == RC_OK)
		rc = io_replace_lazy(dir, name, 0640, b.p, b.n, e);
	buf_free(&b);
	return rc;
}

enum rc
retry_remove(int dir, const char *name, struct err *e)
{
	enum rc rc = io_unlink(dir, name, e);

	return rc == RC_GONE ? RC_OK : rc;
}
