/*
 * SPDX-License-Identifier: ISC
 *
 * t_api - tests of api: which call an event asks for, whom it may lead to, and what it is
 * about.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api.h"
#include "clk.h"
#include "str.h"

#define BASE "https://api.example.com/pre"
#define T(text) ((char *)(uintptr_t)(text))

static struct conf_account account = {.name = T("acme"), .api = T(BASE "/")};
static struct conf_callback callbacks[2];
static struct conf conf = {.callbacks = callbacks};

static void
read_event(const char *text, struct event *ev)
{
	struct json *doc;

	assert_int_equal(json_parse(text, strlen(text), &doc, NULL), RC_OK);
	assert_int_equal(event_read(doc, ev, NULL), RC_OK);
	json_free(&doc);
}

static enum rc
call(const char *text, char url[HTTP_URL])
{
	struct event ev;
	struct err e;
	enum rc rc;

	read_event(text, &ev);
	rc = api_callback(&conf, &account, &ev, url, &e);
	event_free(&ev);
	return rc;
}

static void
test_defaults(void **state)
{
	static const struct {
		const char *event;
		enum rc rc;
		const char *url;
	} t[] = {
	    {"{\"eventType\":\"Account.Update\",\"accountHashId\":\"a1\"}", RC_OK,
		BASE "/account?accountHashId=a1"},
	    {"{\"eventType\":\"Client.Create\",\"accountHashId\":\"a1\",\"clientHashId\":"
	     "\"c1\"}",
		RC_OK, BASE "/client?accountHashId=a1&clientHashId=c1"},
	    {"{\"eventType\":\"User.Update\",\"userHashId\":\"u1\"}", RC_OK,
		BASE "/user?accountHashId=hash&userHashId=u1"},
	    {"{\"eventType\":\"DocumentData.Update\",\"documentHashId\":\"d&1\"}", RC_OK,
		BASE "/documentdata?accountHashId=hash&documentHashId=d%261"},
	    {"{\"eventType\":\"FileStore.GetFileDetail\",\"documentHashId\":\"d1\"}", RC_OK,
		BASE "/filestore?accountHashId=hash&documentHashId=d1"},
	    {"{\"eventType\":\"Client.Update\"}", RC_BAD, ""},
	    {"{\"eventType\":\"Client.Delete\",\"clientHashId\":\"c1\"}", RC_GONE, ""},
	    {"{\"eventType\":\"Matter.Create\"}", RC_BAD, ""},
	    {"{}", RC_BAD, ""},
	};
	char url[HTTP_URL];

	(void)state;
	account.hash_id = T("hash");
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		if (call(t[i].event, url) != t[i].rc || !str_eq(url, t[i].url))
			fail_msg("%zu: %s", i, url);
	}
	/* Nothing is known of the account: the parameter is left out. */
	account.hash_id = NULL;
	assert_int_equal(
	    call("{\"eventType\":\"User.Update\",\"userHashId\":\"u1\"}", url), RC_OK);
	assert_string_equal(url, BASE "/user?userHashId=u1");
}

static void
test_own_link(void **state)
{
	static const struct {
		const char *link, *url;
	} t[] = {
	    {BASE "/filestore?clientHashId=c1&key=example pack.zip",
		BASE "/filestore?clientHashId=c1&key=example%20pack.zip"},
	    {BASE "?documentHashId=d1", BASE "/filestore?documentHashId=d1"},
	    {BASE "/?documentHashId=d1", BASE "/filestore?documentHashId=d1"},
	    /* elsewhere: the default call */
	    {"https://evil.example.net/pre/filestore?documentHashId=d1",
		BASE "/filestore?documentHashId=d1"},
	    {"https://api.example.com/prefix/x?documentHashId=d1",
		BASE "/filestore?documentHashId=d1"},
	    {"https://me@api.example.com/pre/x?documentHashId=d1",
		BASE "/filestore?documentHashId=d1"},
	};
	char text[512], url[HTTP_URL];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		(void)snprintf(text, sizeof(text),
		    "{\"eventType\":\"FileStore.Upload\",\"link\":\"%s\"}", t[i].link);
		if (call(text, url) != RC_OK || !str_eq(url, t[i].url))
			fail_msg("%zu: %s", i, url);
	}
}

static void
test_override(void **state)
{
	static const char event[] =
	    "{\"eventType\":\"Client.Update\",\"clientHashId\":\"c 1\",\"eventNumber\":7,"
	    "\"userHashId\":\"u/1\"}";
	char url[HTTP_URL];

	(void)state;
	account.hash_id = T("hash");
	conf.ncallbacks = 1;
	callbacks[0] = (struct conf_callback){.kind = T("Client"),
	    .get = T("/v2/{userHashId}?n={eventNumber}&c={clientHashId}&x=1")};
	assert_int_equal(call(event, url), RC_OK);
	assert_string_equal(url, BASE "/v2/u%2F1?n=7&x=1");
	callbacks[0].get = T("/v2?c={clientHashId}&n={eventNumber}");
	assert_int_equal(call(event, url), RC_OK);
	assert_string_equal(url, BASE "/v2?n=7");
	callbacks[0].get = T("/v2/{clientHashId}");
	assert_int_equal(call(event, url), RC_BAD);
	assert_string_equal(url, "");
	callbacks[0].get = T("/v2/{unknown}");
	assert_int_equal(call(event, url), RC_BAD);
	callbacks[0].get = T("/v2/{open");
	assert_int_equal(call(event, url), RC_OK);
	assert_string_equal(url, BASE "/v2/{open");
	/* Nothing can be asked after a delete, whatever is said of the category. */
	assert_int_equal(
	    call("{\"eventType\":\"Client.Delete\",\"clientHashId\":\"c1\"}", url), RC_GONE);
	/* A kind that is not known gets a call by configuration. */
	callbacks[0] = (struct conf_callback){
	    .kind = T("Matter"), .get = T("/m?n={eventNumber}")};
	assert_int_equal(call("{\"eventType\":\"Matter.Open\",\"eventNumber\":7}", url), RC_OK);
	assert_string_equal(url, BASE "/m?n=7");
	conf.ncallbacks = 0;
}

/* A call that no event asks for. */
static void
test_url(void **state)
{
	char url[HTTP_URL];
	struct err e;

	(void)state;
	account.hash_id = T("ha/sh");
	assert_int_equal(
	    api_url(&account, "/Event/Subscription?accountHashId={accountHashId}", url, &e),
	    RC_OK);
	assert_string_equal(url, BASE "/Event/Subscription?accountHashId=ha%2Fsh");
	assert_int_equal(api_url(&account, "/a/{accountHashId}", url, &e), RC_OK);
	assert_string_equal(url, BASE "/a/ha%2Fsh");
	account.hash_id = NULL;
	assert_int_equal(api_url(&account, "/a?x={accountHashId}", url, &e), RC_OK);
	assert_string_equal(url, BASE "/a");
	assert_int_equal(api_url(&account, "/a/{accountHashId}", url, &e), RC_BAD);
	assert_string_equal(url, "");
	account.hash_id = T("hash");
}

static void
test_is_ours(void **state)
{
	static const char *const ours[] = {BASE, BASE "/", BASE "/client?x=1", BASE "?x=1",
	    "https://API.example.com:443/pre/x", BASE "/a..b/..c/...", BASE "/x?y=/../"};
	static const char *const others[] = {"", "x", "http://api.example.com/pre/",
	    "https://api.example.com/", "https://api.example.com/prefix",
	    "https://api.example.com:8443/pre/", "https://api.example.com.evil.net/pre/",
	    "https://evil.net/pre/", "https://u:p@api.example.com/pre/x", BASE "/../x",
	    BASE "/..", BASE "/a/../../x", BASE "/%2e%2e/x", BASE "/.%2E/x", BASE "/%2e.",
	    BASE "/%2e%2e%2fx"};
	struct conf_account none = {.name = T("none")};

	(void)state;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (!api_is_ours(&account, ours[i]))
			fail_msg("%s", ours[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (api_is_ours(&account, others[i]))
			fail_msg("%s", others[i]);
	assert_false(api_is_ours(&none, BASE));
}

/* ---- what an event is about ---- */

static enum rc
object(const char *link, char out[API_OBJECT])
{
	char text[4096];
	struct event ev;
	struct err e;
	enum rc rc;

	(void)snprintf(text, sizeof(text),
	    "{\"eventType\":\"FileStore.Upload\",\"clientHashId\":\"c1\",\"link\":\"%s\"}",
	    link);
	read_event(text, &ev);
	rc = api_object(&ev, out, &e);
	event_free(&ev);
	return rc;
}

static void
test_object(void **state)
{
	static const struct {
		const char *event, *object; /* NULL: none */
	} t[] = {
	    {"{\"eventType\":\"Client.Create\",\"clientHashId\":\"c1\",\"userHashId\":\"u1\"}",
		"c1"},
	    {"{\"eventType\":\"User.Create\",\"clientHashId\":\"c1\",\"userHashId\":\"u1\"}",
		"u1"},
	    {"{\"eventType\":\"Account.Update\",\"accountHashId\":\"a1\"}", "a1"},
	    {"{\"eventType\":\"Account.Update\"}", "account"},
	    {"{\"eventType\":\"FileStore.Upload\",\"documentHashId\":\"d1\"}", "d1"},
	    {"{\"eventType\":\"FileStore.Upload\",\"clientHashId\":\"c1\"}", NULL},
	    {"{\"eventType\":\"User.Create\",\"clientHashId\":\"c1\"}", NULL},
	};
	char out[API_OBJECT];
	struct event ev;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		read_event(t[i].event, &ev);
		assert_int_equal(
		    api_object(&ev, out, &e), t[i].object != NULL ? RC_OK : RC_BAD);
		assert_string_equal(out, t[i].object != NULL ? t[i].object : "");
		event_free(&ev);
	}
}

/* A file without a hash id: the same one however it was written, and no two are one. */
static void
test_file(void **state)
{
	char a[API_OBJECT], b[API_OBJECT], name[API_OBJECT], link[1024];

	(void)state;
	assert_int_equal(
	    object(BASE "/filestore?clientHashId=c1&key=example pack.zip", a), RC_OK);
	assert_int_equal(
	    object(BASE "/filestore?clientHashId=c1&key=example%20pack.zip", b), RC_OK);
	assert_string_equal(a, b);
	assert_int_equal(strncmp(a, "c1 ", 3), 0);
	assert_int_equal(object(BASE "?key=file #1.pdf", a), RC_OK);
	assert_int_equal(object(BASE "?key=file #2.pdf", b), RC_OK);
	assert_string_not_equal(a, b);
	assert_int_equal(object(BASE "?key=A & B.pdf", a), RC_OK);
	assert_int_equal(object(BASE "?key=A & C.pdf", b), RC_OK);
	assert_string_not_equal(a, b);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	(void)snprintf(link, sizeof(link), BASE "?key=%s1.pdf", name);
	assert_int_equal(object(link, a), RC_OK);
	(void)snprintf(link, sizeof(link), BASE "?key=%s2.pdf", name);
	assert_int_equal(object(link, b), RC_OK);
	assert_string_not_equal(a, b);
	assert_true(strlen(a) < 100);
	assert_int_equal(object(BASE "?monkey=1&key=", a), RC_BAD);
	assert_string_equal(a, "");
}

/* ---- where the document is ---- */

static enum rc
find_link(const char *answer, char url[HTTP_URL])
{
	struct guard *g;
	struct json *doc;
	struct event ev;
	struct err e;
	enum rc rc;

	assert_int_equal(guard_new("*.s3.example.org", NULL, &g, &e), RC_OK);
	assert_int_equal(json_parse(answer, strlen(answer), &doc, NULL), RC_OK);
	read_event("{\"eventType\":\"FileStore.Upload\"}", &ev);
	rc = api_link(&conf, &ev, doc, g, url, &e);
	event_free(&ev);
	json_free(&doc);
	guard_free(&g);
	return rc;
}

static void
test_link(void **state)
{
	static const struct {
		const char *answer;
		enum rc rc;
		const char *url;
	} t[] = {
	    {"{\"a\":\"https://b.s3.example.org/x y?s=1\"}", RC_OK,
		"https://b.s3.example.org/x%20y?s=1"},
	    {"{\"self\":\"https://api.example.com/\",\"d\":[{\"u\":\"https://b.s3.example.org/"
	     "x\"}]}",
		RC_OK, "https://b.s3.example.org/x"},
	    {"\"https://b.s3.example.org/x\"", RC_OK, "https://b.s3.example.org/x"},
	    {"{\"self\":\"https://api.example.com/\"}", RC_GONE, ""},
	    {"{\"a\":\"http://b.s3.example.org/x\"}", RC_GONE, ""},
	    {"{\"a\":[1,null,true,\"text\",{}]}", RC_GONE, ""},
	    {"{}", RC_GONE, ""},
	};
	char url[HTTP_URL];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		if (find_link(t[i].answer, url) != t[i].rc || !str_eq(url, t[i].url))
			fail_msg("%zu: %s", i, url);
	}
	conf.ncallbacks = 1;
	callbacks[0] = (struct conf_callback){.kind = T("FileStore"), .link = T("/d/0/u")};
	assert_int_equal(find_link(t[1].answer, url), RC_OK);
	assert_string_equal(url, "https://b.s3.example.org/x");
	assert_int_equal(find_link(t[0].answer, url), RC_GONE);
	assert_int_equal(find_link("{\"d\":[{\"u\":\"nonsense\"}]}", url), RC_DENIED);
	assert_int_equal(find_link("{\"d\":[{\"u\":\"https://evil.net/\"}]}", url), RC_DENIED);
	conf.ncallbacks = 0;
}

/* No answer makes us look at more than so many values. */
static void
test_link_bounded(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	char url[HTTP_URL];

	(void)state;
	buf_str(&b, "[");
	for (unsigned i = 0; i < 20000; i++)
		buf_str(&b, "0,");
	buf_str(&b, "\"https://b.s3.example.org/x\"]");
	assert_int_equal(find_link(buf_text(&b), url), RC_GONE);
	buf_free(&b);
}

static void
test_link_end(void **state)
{
	static const struct {
		const char *url;
		int64_t end;
	} t[] = {
	    {"https://h/x?X-Amz-Date=20260305T101112Z&X-Amz-Expires=60",
		INT64_C(1772705532000)},
	    {"https://h/x?X-Amz-Expires=60&a=b&X-Amz-Date=20260305T101112Z",
		INT64_C(1772705532000)},
	    {"https://h/x?X-Amz-Date=20260305T101112Z", 0},
	    {"https://h/x?X-Amz-Date=2026-03-05T10:11&X-Amz-Expires=60", 0},
	    {"https://h/x?X-Amz-Date=20261305T101112Z&X-Amz-Expires=60", 0},
	    {"https://h/x?X-Amz-Date=20260305T101112Z&X-Amz-Expires=-60", 0},
	    {"https://h/x?X-Amz-Date=20260305T101112Z&X-Amz-Expires=99999999999999999999", 0},
	    {"https://h/x?Signature=1&Expires=1772705532", INT64_C(1772705532000)},
	    {"https://h/x?Expires=9223372036854775807", 0},
	    {"https://h/x?Expires=0", 0},
	    {"https://h/x?NotExpires=5", 0},
	    {"https://h/x", 0},
	    {"", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (api_link_end(t[i].url) != t[i].end)
			fail_msg("%zu: %lld", i, (long long)api_link_end(t[i].url));
}

static void
test_kinds(void **state)
{
	struct event ev;

	(void)state;
	read_event("{\"eventType\":\"FileStore.GetFileDetail\"}", &ev);
	assert_true(api_has_document(&ev));
	assert_false(api_is_delete(&ev));
	event_free(&ev);
	read_event("{\"eventType\":\"Client.Delete\"}", &ev);
	assert_false(api_has_document(&ev));
	assert_true(api_is_delete(&ev));
	event_free(&ev);
}

static bool
is_older(const char *kept, const char *answer)
{
	struct json *a, *b;
	struct event ev;
	bool older;

	read_event("{\"eventType\":\"Client.Update\"}", &ev);
	assert_int_equal(json_parse(kept, strlen(kept), &a, NULL), RC_OK);
	assert_int_equal(json_parse(answer, strlen(answer), &b, NULL), RC_OK);
	older = api_is_older(&conf, &ev, a, b);
	json_free(&a);
	json_free(&b);
	event_free(&ev);
	return older;
}

/* Older only if both say when, and the answer says earlier. */
static void
test_older(void **state)
{
	static const struct {
		const char *kept, *answer;
		bool older;
	} t[] = {
	    {"{\"updatedOn\":\"2026-03-05T10:11:13Z\"}",
		"{\"updatedOn\":\"2026-03-05T10:11:12Z\"}", true},
	    {"{\"UpdatedOn\":\"2026-03-05T10:11:13Z\"}",
		"{\"updatedOn\":\"2026-03-05T10:11:12Z\"}", true},
	    {"{\"updatedOn\":\"2026-03-05T10:11:12Z\"}",
		"{\"updatedOn\":\"2026-03-05T10:11:12Z\"}", false},
	    {"{\"updatedOn\":\"2026-03-05T10:11:12Z\"}",
		"{\"updatedOn\":\"2026-03-05T10:11:13Z\"}", false},
	    {"{\"updatedOn\":\"2026-03-05T10:11:13Z\"}", "{}", false},
	    {"{}", "{\"updatedOn\":\"2026-03-05T10:11:12Z\"}", false},
	    {"{\"updatedOn\":\"05/03/2026\"}", "{\"updatedOn\":\"2026-03-05T10:11:12Z\"}",
		false},
	    {"{\"updatedOn\":9}", "{\"updatedOn\":8}", false},
	    {"[]", "null", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (is_older(t[i].kept, t[i].answer) != t[i].older)
			fail_msg("%zu", i);
	conf.ncallbacks = 1;
	callbacks[0] = (struct conf_callback){.kind = T("Client"), .updated = T("/d/at")};
	assert_true(is_older("{\"d\":{\"at\":\"2026-03-05T10:11:13Z\"}}",
	    "{\"d\":{\"at\":\"2026-03-05T10:11:12Z\"}}"));
	assert_false(is_older(t[0].kept, t[0].answer));
	conf.ncallbacks = 0;
}

/* Where the configuration says that the hash id stands, there it is looked for first. */
static void
test_pointer_to_object(void **state)
{
	static const struct {
		const char *kind;
		const char *object;
	} t[] = {{"Client", "client"}, {"User", "user"}, {"Account", "account"},
	    {"DocumentData", "document"}, {"FileStore", "document"}};

	(void)state;
	conf.ncallbacks = 1;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char text[256], object[API_OBJECT];
		struct json *doc;
		struct event ev;

		callbacks[0] = (struct conf_callback){
		    .kind = T(t[i].kind), .object = T("/d/0")};
		(void)snprintf(text, sizeof(text),
		    "{\"eventType\":\"%s.Update\",\"%sHashId\":\"old\",\"d\":[\"new%zu\"]}",
		    t[i].kind, t[i].object, i);
		assert_int_equal(json_parse(text, strlen(text), &doc, NULL), RC_OK);
		assert_int_equal(event_read(doc, &ev, NULL), RC_OK);
		api_read_object(&conf, doc, &ev);
		assert_int_equal(api_object(&ev, object, NULL), RC_OK);
		assert_int_equal(strncmp(object, "new", 3), 0);
		/* Nothing there: as without it. */
		callbacks[0].object = T("/e");
		event_free(&ev);
		assert_int_equal(event_read(doc, &ev, NULL), RC_OK);
		api_read_object(&conf, doc, &ev);
		assert_int_equal(api_object(&ev, object, NULL), RC_OK);
		assert_string_equal(object, "old");
		event_free(&ev);
		json_free(&doc);
	}
	conf.ncallbacks = 0;
}

static void
test_documents(void **state)
{
	static const struct {
		const char *answer;
		enum rc rc;
		size_t n; /* d1, d2... */
	} t[] = {
	    {"[]", RC_OK, 0},
	    {"[\"d1\",\"d2\"]", RC_OK, 2},
	    {"[{\"hashId\":\"d1\"},{\"HashId\":\"d2\",\"clientHashId\":\"c1\"}]", RC_OK, 2},
	    {"{\"count\":1,\"items\":[{\"documentHashId\":\"d1\",\"hashId\":\"x\"}]}", RC_OK,
		1},
	    {"[{\"hashId\":\"d1\"},{\"hashId\":\"d1\"}]", RC_OK, 1},
	    {"[{\"hashId\":\"x\",\"clientHashId\":\"c2\"},{\"hashId\":\"d1\"}]", RC_OK, 1},
	    {"[\"d1\",\"d2\",\"d3\"]", RC_FULL, 2},
	    {"[{\"name\":\"will\"}]", RC_BAD, 0},
	    {"[\"a b\"]", RC_BAD, 0},
	    {"{\"a\":1}", RC_BAD, 0},
	    {"7", RC_BAD, 0},
	};
	char ids[2][NAME_HASH], url[HTTP_URL];
	struct json *doc;
	struct err e;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(
		    json_parse(t[i].answer, strlen(t[i].answer), &doc, NULL), RC_OK);
		assert_int_equal(api_documents(doc, "c1", ids, 2, &n, &e), t[i].rc);
		assert_int_equal(n, t[i].n);
		for (size_t k = 0; k < n; k++)
			assert_true(ids[k][0] == 'd' && ids[k][1] == (char)('1' + k));
		json_free(&doc);
	}
	account.hash_id = T("hash");
	conf.ncallbacks = 0;
	assert_int_equal(api_documents_url(&conf, &account, "c 1", url, &e), RC_OK);
	assert_string_equal(
	    url, BASE "/documentdata/account/client?accountHashId=hash&clientHashId=c%201");
	callbacks[0] = (struct conf_callback){.kind = T("DocumentData"), .get = T("/x")};
	callbacks[1] = (struct conf_callback){
	    .kind = T("DocumentData.List"), .get = T("/list/{clientHashId}")};
	conf.ncallbacks = 1;
	assert_int_equal(api_documents_url(&conf, &account, "c1", url, &e), RC_OK);
	assert_non_null(strstr(url, "/documentdata/account/client?")); /* not the records' */
	conf.ncallbacks = 2;
	assert_int_equal(api_documents_url(&conf, &account, "c1", url, &e), RC_OK);
	assert_string_equal(url, BASE "/list/c1");
	conf.ncallbacks = 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_own_link),
	    cmocka_unit_test(test_override),
	    cmocka_unit_test(test_url),
	    cmocka_unit_test(test_is_ours),
	    cmocka_unit_test(test_object),
	    cmocka_unit_test(test_file),
	    cmocka_unit_test(test_link),
	    cmocka_unit_test(test_link_bounded),
	    cmocka_unit_test(test_link_end),
	    cmocka_unit_test(test_documents),
	    cmocka_unit_test(test_kinds),
	    cmocka_unit_test(test_older),
	    cmocka_unit_test(test_pointer_to_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
