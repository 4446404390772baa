/*
 * SPDX-License-Identifier: ISC
 *
 * json - reading what peers send.  The only user of cJSON.
 *
 * Lax on purpose: a vendor's front door that is stricter than the real one
 * would hide nothing but its own zeal.
 */
#include "config.h"

#include <string.h>

#include <cjson/cJSON.h>

#include "json.h"
#include "util.h"

static const cJSON *
item(const struct json *j, const char *name)
{
	return j == NULL ? NULL : cJSON_GetObjectItem((const cJSON *)(const void *)j, name);
}

struct json *
json_parse(const char *p, size_t n)
{
	cJSON *c;

	if (p == NULL || (c = cJSON_ParseWithLength(p, n)) == NULL)
		return NULL;
	if (!cJSON_IsObject(c)) {
		cJSON_Delete(c);
		return NULL;
	}
	return (struct json *)(void *)c;
}

void
json_free(struct json **j)
{
	cJSON_Delete((cJSON *)(void *)*j);
	*j = NULL;
}

const struct json *
json_object(const struct json *j, const char *name)
{
	const cJSON *c = item(j, name);

	return cJSON_IsObject(c) ? (const struct json *)(const void *)c : NULL;
}

bool
json_text(const struct json *j, const char *name, char *out, size_t size)
{
	const cJSON *c = item(j, name);

	out[0] = '\0';
	if (!cJSON_IsString(c) || strlen(c->valuestring) >= size)
		return false;
	text_copy(out, size, c->valuestring);
	return true;
}

bool
json_number(const struct json *j, const char *name, long long lo, long long hi, long long *out)
{
	const cJSON *c = item(j, name);

	if (!cJSON_IsNumber(c) || c->valuedouble < (double)lo || c->valuedouble > (double)hi)
		return false;
	*out = (long long)c->valuedouble;
	return true;
}

bool
json_has(const struct json *j, const char *name)
{
	const cJSON *c = item(j, name);

	return c != NULL && !cJSON_IsNull(c);
}

const char *
json_name(const struct json *j, size_t i)
{
	const cJSON *c = ((const cJSON *)(const void *)j)->child;

	while (c != NULL && i-- > 0)
		c = c->next;
	return c != NULL ? c->string : NULL;
}
