/*
 * SPDX-License-Identifier: ISC
 *
 * t_request - what web servers say about a request, as each of them says it.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "request.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define PARAMS 8

static void
test_path_behind_each_server(void **state)
{
	static const struct {
		const char *env[PARAMS];
		const char *path;
	} t[] = {
	    /* lighttpd */
	    {{"REQUEST_URI=/arken/acme?a=b", "SCRIPT_NAME=/arken/acme", "PATH_INFO="},
		"/arken/acme"},
	    /* nginx: no PATH_INFO */
	    {{"SCRIPT_NAME=/arken/acme", "REQUEST_URI=/arken/acme"}, "/arken/acme"},
	    /* Apache mod_proxy_fcgi: the text may stand in both */
	    {{"SCRIPT_NAME=/arken/acme", "PATH_INFO=/acme", "REQUEST_URI=/arken/acme"},
		"/arken/acme"},
	    /* Apache ScriptAlias, mod_fcgid and mod_cgi */
	    {{"SCRIPT_NAME=/arken", "PATH_INFO=/acme", "REQUEST_URI=/arken/acme?"},
		"/arken/acme"},
	    /* RFC 3875 alone */
	    {{"SCRIPT_NAME=/arken", "PATH_INFO=/acme"}, "/arken/acme"},
	    {{"SCRIPT_NAME=/arken/acme"}, "/arken/acme"},
	    {{"PATH_INFO=/acme"}, "/acme"},
	    {{"REQUEST_URI=", "SCRIPT_NAME=/arken", "PATH_INFO=/acme"}, "/arken/acme"},
	    /* decoded already: not a second time */
	    {{"SCRIPT_NAME=/arken", "PATH_INFO=/%41"}, "/arken/%41"},
	    /* a URI that leads nowhere is not mended by the others */
	    {{"REQUEST_URI=/%00", "SCRIPT_NAME=/arken/acme"}, ""},
	    {{"REQUEST_URI=https://h/arken/acme", "SCRIPT_NAME=/arken/acme"}, ""},
	    {{"REQUEST_METHOD=POST"}, ""},
	};
	struct request rq;

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		request_read((char *const *)(uintptr_t)t[i].env, &rq);
		assert_string_equal(rq.path, t[i].path);
		assert_null(rq.malformed);
	}
}

static void
test_uri_path(void **state)
{
	static const struct {
		const char *uri, *path; /* NULL: refused */
	} t[] = {
	    {"/", "/"},
	    {"/a?b", "/a"},
	    {"/a#b", "/a"},
	    {"/a%2Fb", "/a/b"},
	    {"/%61%6a", "/aj"},
	    {"/a+b", "/a+b"},
	    {"/a/../b", "/a/../b"},
	    {"//a", "//a"},
	    {"/%ff", "/\xff"},
	    {"", NULL},
	    {"*", NULL},
	    {"a", NULL},
	    {"/%", NULL},
	    {"/%4", NULL},
	    {"/%4g", NULL},
	    {"/%g4", NULL},
	    {"/%00", NULL},
	    {"/a%", NULL},
	    {"/%?4", NULL},
	};
	char out[REQUEST_PATH];

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		assert_int_equal(request_uri_path(t[i].uri, out), t[i].path != NULL);
		assert_string_equal(out, t[i].path != NULL ? t[i].path : "");
	}
}

static void
test_uri_path_length(void **state)
{
	char uri[REQUEST_PATH + 8], out[REQUEST_PATH];

	(void)state;
	memset(uri, 'a', sizeof(uri));
	uri[0] = '/';
	uri[REQUEST_PATH - 1] = '\0';
	assert_true(request_uri_path(uri, out));
	assert_string_equal(out, uri);
	uri[REQUEST_PATH - 1] = 'a';
	uri[REQUEST_PATH] = '\0';
	assert_false(request_uri_path(uri, out));
	assert_string_equal(out, "");
	uri[REQUEST_PATH - 1] = '?';
	assert_true(request_uri_path(uri, out));
}

static void
test_length(void **state)
{
	static const struct {
		const char *text;
		bool has, malformed;
		uint64_t length;
	} t[] = {
	    {"CONTENT_LENGTH=0", true, false, 0},
	    {"CONTENT_LENGTH=12", true, false, 12},
	    {"CONTENT_LENGTH=18446744073709551615", true, false, UINT64_MAX},
	    {"CONTENT_LENGTH=18446744073709551616", true, false, UINT64_MAX},
	    {"CONTENT_LENGTH=99999999999999999999999", true, false, UINT64_MAX},
	    {"CONTENT_LENGTH=", false, false, 0},
	    {"OTHER=1", false, false, 0},
	    {"CONTENT_LENGTH=+5", true, true, 0},
	    {"CONTENT_LENGTH=-5", true, true, 0},
	    {"CONTENT_LENGTH=-1", false, false, 0}, /* as Caddy says of a chunked body */
	    {"CONTENT_LENGTH=-10", true, true, 0},
	    {"CONTENT_LENGTH= 5", true, true, 0},
	    {"CONTENT_LENGTH=5 ", true, true, 0},
	    {"CONTENT_LENGTH=5, 5", true, true, 0},
	    {"CONTENT_LENGTH=0x10", true, true, 0},
	    {"CONTENT_LENGTH=1e3", true, true, 0},
	};
	struct request rq;

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		const char *env[] = {t[i].text, NULL};

		request_read((char *const *)(uintptr_t)env, &rq);
		assert_int_equal(rq.has_length, t[i].has);
		assert_int_equal(rq.malformed != NULL, t[i].malformed);
		assert_true(rq.length == t[i].length);
	}
}

static void
test_ambiguous(void **state)
{
	static const struct {
		const char *env[PARAMS];
		bool malformed;
	} t[] = {
	    {{"CONTENT_LENGTH=5", "CONTENT_LENGTH=5"}, false},
	    {{"CONTENT_LENGTH=5", "CONTENT_LENGTH=6"}, true},
	    {{"CONTENT_LENGTH=", "CONTENT_LENGTH=6"}, true},
	    {{"REQUEST_METHOD=POST", "REQUEST_METHOD=GET"}, true},
	    {{"REQUEST_URI=/a", "X=1", "REQUEST_URI=/b"}, true},
	    {{"REMOTE_ADDR=1", "REMOTE_ADDR=2"}, true},
	    {{"HTTP_ACCEPT=a", "HTTP_ACCEPT=b"}, false},
	    {{"CONTENT_LENGTHS=5", "CONTENT_LENGTH=6"}, false},
	};
	struct request rq;

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		request_read((char *const *)(uintptr_t)t[i].env, &rq);
		assert_int_equal(rq.malformed != NULL, t[i].malformed);
	}
}

static void
test_too_many(void **state)
{
	char *env[REQUEST_COUNT + 2], *big = malloc(REQUEST_PARAMS + 1);
	static char one[] = "A=1";
	struct request rq;

	(void)state;
	assert_non_null(big);
	for (size_t i = 0; i <= REQUEST_COUNT; i++)
		env[i] = one;
	env[REQUEST_COUNT + 1] = NULL;
	request_read(env, &rq);
	assert_non_null(rq.malformed);
	env[REQUEST_COUNT] = NULL;
	request_read(env, &rq);
	assert_null(rq.malformed);
	memset(big, 'x', REQUEST_PARAMS);
	big[1] = '=';
	big[REQUEST_PARAMS] = '\0';
	env[0] = big;
	env[1] = NULL;
	request_read(env, &rq);
	assert_non_null(rq.malformed);
	big[REQUEST_PARAMS - 1] = '\0';
	request_read(env, &rq);
	assert_null(rq.malformed);
	free(big);
}

static void
test_defaults(void **state)
{
	char *env[] = {NULL};
	struct request rq;

	(void)state;
	request_read(env, &rq);
	assert_string_equal(rq.method, "");
	assert_string_equal(rq.type, "");
	assert_string_equal(rq.remote, "");
	assert_string_equal(rq.path, "");
	assert_false(rq.has_length);
	assert_null(rq.malformed);
}

static void
test_param(void **state)
{
	const char *env[] = {"HTTP_X=1", "HTTP_X_Y=2", "HTTP_X=3", "HTTP_XY", NULL};
	char *const *e = (char *const *)(uintptr_t)env;
	unsigned n;

	(void)state;
	assert_string_equal(request_param(e, "HTTP_X", &n), "1");
	assert_int_equal(n, 2);
	assert_string_equal(request_param(e, "HTTP_X_Y", &n), "2");
	assert_int_equal(n, 1);
	assert_null(request_param(e, "HTTP_XY", &n));
	assert_int_equal(n, 0);
	assert_null(request_param(e, "HTTP_", NULL));
}

static void
test_header_name(void **state)
{
	char out[REQUEST_NAME], name[REQUEST_NAME];

	(void)state;
	assert_true(request_header_name("X-Arken-Secret", out));
	assert_string_equal(out, "HTTP_X_ARKEN_SECRET");
	assert_true(request_header_name("authorization", out));
	assert_string_equal(out, "HTTP_AUTHORIZATION");
	assert_true(request_header_name("z9-", out));
	assert_string_equal(out, "HTTP_Z9_");
	assert_false(request_header_name("", out));
	assert_false(request_header_name("X_Y", out));
	assert_false(request_header_name("X Y", out));
	assert_false(request_header_name("X:", out));
	assert_string_equal(out, "");
	memset(name, 'a', sizeof(name));
	name[REQUEST_NAME - 6] = '\0';
	assert_true(request_header_name(name, out));
	assert_int_equal(strlen(out), REQUEST_NAME - 1);
	name[REQUEST_NAME - 6] = 'a';
	name[REQUEST_NAME - 5] = '\0';
	assert_false(request_header_name(name, out));
}

static void
test_json_types(void **state)
{
	static const char *const yes[] = {"application/json", "APPLICATION/JSON",
	    "application/json;charset=utf-8", "application/json ; charset=\"utf-8\"; a=b",
	    " application/json\t", "application/cloudevents+json", "x/y+JSON",
	    "application/vnd.arken.event-v1+json;q=1"};
	static const char *const no[] = {"", "application", "application/", "/json",
	    "application/jsonp", "application/json+xml", "application/+json", "text/json",
	    "application/x-www-form-urlencoded", "application/json, application/json",
	    "application json", "application/json/x", "application / json", ";",
	    "application/xjson", "multipart/form-data; x=+json", "application/\xc3\xa9+json"};

	(void)state;
	for (size_t i = 0; i < COUNT(yes); i++)
		assert_true(request_is_json(yes[i]));
	for (size_t i = 0; i < COUNT(no); i++)
		assert_false(request_is_json(no[i]));
}

static void
test_json_type_long(void **state)
{
	char type[4096];

	(void)state;
	memset(type, 'a', sizeof(type));
	memcpy(type, "application/", 12);
	memcpy(type + sizeof(type) - 6, "+json", 6);
	assert_false(request_is_json(type));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_path_behind_each_server),
	    cmocka_unit_test(test_uri_path),
	    cmocka_unit_test(test_uri_path_length),
	    cmocka_unit_test(test_length),
	    cmocka_unit_test(test_ambiguous),
	    cmocka_unit_test(test_too_many),
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_param),
	    cmocka_unit_test(test_header_name),
	    cmocka_unit_test(test_json_types),
	    cmocka_unit_test(test_json_type_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
