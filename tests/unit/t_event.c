/*
 * SPDX-License-Identifier: ISC
 *
 * t_event - tests of event: every shape an event may have, and what a hostile one may not do.
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

#include "clk.h"
#include "event.h"
#include "str.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW INT64_C(1772705472345) /* 2026-03-05T10:11:12.345Z */
#define GUID "0b0f6a2e-5a51-4c0d-9a3e-6f2f5d1c7e10"
#define TIME "2026-03-05T10:11:12.34567Z"
#define A22 "AAAAAAAAAAAAAAAAAAAAAa"
#define C22 "CCCCCCCCCCCCCCCCCCCCCc"
#define D22 "DDDDDDDDDDDDDDDDDDDDDd"
#define U22 "UUUUUUUUUUUUUUUUUUUUUu"
#define X8 "xxxxxxxx"
#define X64 X8 X8 X8 X8 X8 X8 X8 X8

static struct event
read_event(const char *text)
{
	struct event ev;
	struct json *doc;
	struct err e = {0};
	enum rc rc = json_parse(text, strlen(text), &doc, &e);

	if (rc != RC_OK)
		print_message("%s: %s\n", e.text, text);
	assert_int_equal(rc, RC_OK);
	memset(&ev, 'x', sizeof(ev));
	assert_int_equal(event_read(doc, &ev, &e), RC_OK);
	json_free(&doc); /* the event stands on its own */
	return ev;
}

static void
expect_kind(const char *text, const char *category, const char *type)
{
	struct event ev = read_event(text);

	if (!str_eq(ev.category, category) || !str_eq(ev.type, type))
		print_message("%s\n", text);
	assert_string_equal(ev.category, category);
	assert_string_equal(ev.type, type);
	event_free(&ev);
}

static const char feed[] =
    "{ \"eventId\": \"" GUID "\",\n  \"eventType\": \"FileStore.Upload\",\n"
    "  \"eventNumber\": 1207,\n  \"eventDateTimeUtc\": \"" TIME "\",\n"
    "  \"link\": \"https://api.example.invalid/filestore?accountHashId=" A22
    "&clientHashId=" C22 "&key=example pack.zip\",\n"
    "  \"properties\": [ { \"Key\": \"DocumentType\", \"Value\": \"WILL-1\" } ] }";

/* The entry of the feed, as it is documented. */
static void
test_feed_entry(void **state)
{
	struct event ev = read_event(feed);

	(void)state;
	assert_string_equal(ev.category, "FileStore");
	assert_string_equal(ev.type, "Upload");
	assert_string_equal(ev.id, GUID);
	assert_string_equal(ev.number, "1207");
	assert_string_equal(ev.time, TIME);
	assert_string_equal(ev.account_hash, A22);
	assert_string_equal(ev.client_hash, C22);
	assert_string_equal(ev.document_hash, "");
	assert_string_equal(ev.user_hash, "");
	assert_string_equal(ev.link, "https://api.example.invalid/filestore?accountHashId=" A22
				     "&clientHashId=" C22 "&key=example pack.zip");
	event_free(&ev);
	assert_null(ev.link);
	event_free(&ev);
	event_free(NULL);
}

static void
test_kinds(void **state)
{
	static const char *const known[] = {"Account.Update", "Client.Create", "Client.Update",
	    "Client.Delete", "DocumentData.Create", "DocumentData.Update",
	    "DocumentData.Delete", "User.Create", "User.Update", "User.Delete",
	    "FileStore.Upload", "FileStore.Download"};
	char text[128], kind[80];

	(void)state;
	for (size_t i = 0; i < COUNT(known); i++) {
		for (int lowered = 0; lowered < 2; lowered++) {
			struct event ev;

			(void)snprintf(text, sizeof(text), "{\"eventType\":\"%s\"}", known[i]);
			if (lowered)
				str_lower(text + strlen("{\"eventType\":\""));
			ev = read_event(text);
			(void)snprintf(kind, sizeof(kind), "%s.%s", ev.category, ev.type);
			assert_string_equal(kind, known[i]);
			event_free(&ev);
		}
	}
	expect_kind("{\"eventType\":\"FileStore.GetFileDetail\"}", "FileStore", "Download");
	expect_kind("{\"eventType\":\"fileStore.getFileDetail\"}", "FileStore", "Download");
}

/* Where the two words may stand. */
static void
test_kind_members(void **state)
{
	(void)state;
	expect_kind(
	    "{\"eventCategory\":\"Client\",\"eventType\":\"Update\"}", "Client", "Update");
	expect_kind(
	    "{\"EventCategory\":\"client\",\"EventType\":\"UPDATE\"}", "Client", "Update");
	expect_kind("{\"category\":\"User\",\"type\":\"Create\"}", "User", "Create");
	expect_kind("{\"Category\":\"User\",\"Type\":\"Create\"}", "User", "Create");
	expect_kind("{\"eventCategory\":\"User\",\"type\":\"Create\"}", "User", "Create");
	expect_kind("{\"type\":\"DocumentData.Delete\"}", "DocumentData", "Delete");
	expect_kind("{\"EventType\":\"FileStore.Upload\"}", "FileStore", "Upload");
	expect_kind("{\"eventCategory\":\"FileStore\",\"eventType\":\"FileStore.Upload\"}",
	    "FileStore", "Upload");
	expect_kind("{\"eventType\":\"Client.Update\",\"type\":\"x\",\"category\":\"y\"}",
	    "Client", "Update");
	expect_kind("{\"eventType\":\"\",\"type\":\"Client.Update\"}", "Client", "Update");
	expect_kind("{\"eventType\":{\"a\":1},\"type\":\"Client.Update\"}", "Client", "Update");
	expect_kind("{\"eventtype\":\"Client.Update\"}", "Other", "Other");
	expect_kind("{\"EVENTTYPE\":\"Client.Update\"}", "Other", "Other");
}

static void
test_kind_unknown(void **state)
{
	(void)state;
	expect_kind("{\"eventType\":\"Matter.Closed2\"}", "Matter", "Closed2");
	expect_kind("{\"eventType\":\"matter.closed\"}", "matter", "closed");
	expect_kind("{\"eventType\":\"FileStore.Purge\"}", "FileStore", "Purge");
	expect_kind("{\"eventCategory\":\"Client\"}", "Client", "Other");
	expect_kind("{\"eventType\":\"Client.\"}", "Client", "Other");
	expect_kind("{\"eventType\":\"Client.Up date\"}", "Client", "Other");
	expect_kind("{\"eventType\":\"Client.Update.Again\"}", "Client", "Other");
	expect_kind("{\"eventType\":\"File/Store.Upload\"}", "Other", "Upload");
	expect_kind("{\"eventType\":\"" X64 ".Upload\"}", "Other", "Upload");
	expect_kind("{\"eventType\":\"" X64 X64 X64 ".Upload\"}", "Other", "Upload");
	expect_kind("{\"eventType\":\"../../etc.Upload\"}", "Other", "Other");
	expect_kind("{\"eventType\":\"Upload\"}", "Other", "Other");
	expect_kind("{\"eventType\":\".Upload\"}", "Other", "Other");
	expect_kind("{\"eventType\":\".\"}", "Other", "Other");
	expect_kind("{\"eventType\":7}", "Other", "Other");
	expect_kind("{\"eventType\":null,\"eventCategory\":[\"Client\"]}", "Other", "Other");
	expect_kind("{}", "Other", "Other");
}

static void
test_no_object(void **state)
{
	static const char *const bad[] = {
	    "[]", "[{}]", "\"FileStore.Upload\"", "1", "null", "true"};
	struct event ev;
	struct err e;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct json *doc;

		assert_int_equal(json_parse(bad[i], strlen(bad[i]), &doc, NULL), RC_OK);
		memset(&ev, 'x', sizeof(ev));
		assert_int_equal(event_read(doc, &ev, &e), RC_BAD);
		assert_string_equal(e.text, "an event is not a JSON object");
		assert_string_equal(ev.category, "");
		assert_null(ev.link);
		event_free(&ev);
		json_free(&doc);
	}
	assert_int_equal(event_read(NULL, &ev, &e), RC_BAD);
}

static void
expect_hashes(const char *text, const char *a, const char *c, const char *d, const char *u)
{
	struct event ev = read_event(text);

	if (!str_eq(ev.account_hash, a) || !str_eq(ev.client_hash, c) ||
	    !str_eq(ev.document_hash, d) || !str_eq(ev.user_hash, u))
		print_message("%s\n", text);
	assert_string_equal(ev.account_hash, a);
	assert_string_equal(ev.client_hash, c);
	assert_string_equal(ev.document_hash, d);
	assert_string_equal(ev.user_hash, u);
	event_free(&ev);
}

static void
test_hash_members(void **state)
{
	(void)state;
	expect_hashes("{\"accountHashId\":\"" A22 "\",\"clientHashId\":\"" C22
		      "\",\"documentHashId\":\"" D22 "\",\"userHashId\":\"" U22 "\"}",
	    A22, C22, D22, U22);
	expect_hashes("{\"AccountHashId\":\"" A22 "\",\"ClientHashId\":\"" C22
		      "\",\"DocumentHashId\":\"" D22 "\",\"UserHashId\":\"" U22 "\"}",
	    A22, C22, D22, U22);
	expect_hashes("{\"accounthashid\":\"" A22 "\"}", "", "", "", "");
	expect_hashes("{\"userHashId\":\"" X64 "\"}", "", "", "", X64);
	expect_hashes("{\"userHashId\":\"" X64 "x\"}", "", "", "", "");
	expect_hashes("{\"userHashId\":\"a b\",\"clientHashId\":\"\",\"accountHashId\":12,"
		      "\"documentHashId\":{\"x\":1}}",
	    "", "", "", "");
	expect_hashes("{\"userHashId\":\"a\\nb\",\"clientHashId\":\"\xc3\xa9\","
		      "\"accountHashId\":\"\\u0001\",\"documentHashId\":\"../../x\"}",
	    "", "", "../../x", "");
}

static void
test_hash_properties(void **state)
{
	(void)state;
	expect_hashes("{\"properties\":[{\"Key\":\"Other\",\"Value\":\"x\"},"
		      "{\"Key\":\"ClientHashId\",\"Value\":\"" C22 "\"},"
		      "{\"key\":\"documentHashId\",\"value\":\"" D22 "\"},"
		      "{\"Key\":\"userHashId\",\"value\":\"" U22 "\"}]}",
	    "", C22, D22, U22);
	expect_hashes("{\"Properties\":{\"AccountHashId\":\"" A22 "\",\"clientHashId\":\"" C22
		      "\",\"documentHashId\":7}}",
	    A22, C22, "", "");
	/* things that are no pairs do no harm */
	expect_hashes("{\"properties\":[null,1,\"clientHashId\",[],{},{\"Key\":1,\"Value\":2},"
		      "{\"Key\":\"\",\"Value\":\"x\"},{\"Key\":\"accountHashId\"},"
		      "{\"Key\":\"userHashId\",\"Value\":[\"" U22 "\"]},"
		      "{\"Key\":\"clientHashId\",\"Value\":\"" C22 "\"}]}",
	    "", C22, "", "");
	expect_hashes("{\"properties\":\"clientHashId=" C22 "\"}", "", "", "", "");
	expect_hashes("{\"properties\":null}", "", "", "", "");
}

/* A member goes before a property, a property before the link; what is no hash id is passed by.
 */
static void
test_hash_order(void **state)
{
#define LINK "\"link\":\"https://h/f?clientHashId=" C22 "&documentHashId=" D22 "\""
	(void)state;
	expect_hashes(
	    "{\"clientHashId\":\"member\",\"properties\":[{\"Key\":\"clientHashId\","
	    "\"Value\":\"property\"},{\"Key\":\"documentHashId\",\"Value\":\"property\"}]," LINK
	    "}",
	    "", "member", "property", "");
	expect_hashes(
	    "{\"clientHashId\":\"not one\",\"properties\":[{\"Key\":\"clientHashId\","
	    "\"Value\":\"property\"},{\"Key\":\"documentHashId\",\"Value\":\"not one\"}]," LINK
	    "}",
	    "", "property", D22, "");
	expect_hashes("{\"clientHashId\":\"not one\",\"properties\":[{\"Key\":\"clientHashId\","
		      "\"Value\":\"nor this\"}]," LINK "}",
	    "", C22, D22, "");
#undef LINK
}

static void
test_hash_link(void **state)
{
	static const struct {
		const char *link, *a, *c, *d, *u;
	} t[] = {
	    {"https://api.example.invalid/filestore?accountHashId=A1&clientHashId=C1", "A1",
		"C1", "", ""},
	    /* seen: no path before the parameters */
	    {"https://api.example.invalid?accountHashId=A1&clientHashId=C1", "A1", "C1", "",
		""},
	    {"https://api.example.invalid/?accountHashId=A1", "A1", "", "", ""},
	    {"https://api.example.invalid/accountHashId=A1&clientHashId=C1", "A1", "C1", "",
		""},
	    {"https://api.example.invalid&accountHashId=A1&clientHashId=C1", "A1", "C1", "",
		""},
	    {"https://api.example.invalid/x&accountHashId=A1", "A1", "", "", ""},
	    {"accountHashId=A1&userHashId=U1", "A1", "", "", "U1"},
	    {"/user?AccountHashId=A1&UserHashId=U1", "A1", "", "", "U1"},
	    {"https://h/a=b/c?accountHashId=A1", "A1", "", "", ""},
	    /* seen: raw spaces */
	    {"https://h/f?key=example pack.zip&documentHashId=D1", "", "", "D1", ""},
	    {"https://h/f? accountHashId = A1 & clientHashId=C1 ", "A1", "C1", "", ""},
	    {"https://h/f?accountHashId=A%31&client%48ashId=%43%31", "A1", "C1", "", ""},
	    {"https://h/f?accountHashId=a/b&clientHashId=a=b&userHashId=%2f%2E%2e", "a/b",
		"a=b", "", "/.."},
	    {"https://h/f?&&accountHashId=A1&&", "A1", "", "", ""},
	    {"https://h/f?accountHashId=A1#clientHashId=C1", "A1", "", "", ""},
	    /* the key names a file, whatever it looks like */
	    {"https://h/f?key=D1", "", "", "", ""},
	    {"https://h/f?documentHashId=D1&key=a&documentHashId=D2", "", "", "D1", ""},
	    {"https://h/f?accountHashId=A1&key=what?accountHashId=A2", "A1", "", "", ""},
	    {"https://h/accountHashId=A1&key=what?.zip", "A1", "", "", ""},
	    /* no hash ids */
	    {"https://h/f?accountHashId=&clientHashId&userHashId=a%20b&documentHashId=%00", "",
		"", "", ""},
	    {"https://h/f?accountHashId=ab%00c&clientHashId=C1", "", "C1", "", ""},
	    {"https://h/f?accountHashId=%&clientHashId=%4&userHashId=%zz&documentHashId=a%0Ab",
		"", "", "", ""},
	    {"https://h/f?accountHashId=" X64 "x&clientHashId=" X64, "", X64, "", ""},
	    {"https://h/f?accountHashId=\xc3\xa9", "", "", "", ""},
	    {"https://h/f?xaccountHashId=A1&accountHashIdx=A1&accounthashid=A1", "", "", "",
		""},
	    {"https://accountHashId/clientHashId", "", "", "", ""},
	    {"?", "", "", "", ""},
	    {"=", "", "", "", ""},
	    {"%", "", "", "", ""},
	    {"#", "", "", "", ""},
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		(void)snprintf(text, sizeof(text),
		    "{\"eventType\":\"FileStore.Upload\",\"link\":\"%s\"}", t[i].link);
		expect_hashes(text, t[i].a, t[i].c, t[i].d, t[i].u);
	}
}

static void
expect_link(const char *json_text, const char *link)
{
	char text[512];
	struct event ev;

	(void)snprintf(text, sizeof(text), "{\"Link\":%s}", json_text);
	ev = read_event(text);
	if (link == NULL)
		assert_null(ev.link);
	else
		assert_string_equal(ev.link, link);
	event_free(&ev);
}

static void
test_link(void **state)
{
	struct buf b = BUF_INIT(65536);
	struct event ev;

	(void)state;
	expect_link("\"https://h/a b?c=d e\"", "https://h/a b?c=d e");
	expect_link("\"https://h/\\u00e9\"", "https://h/\xc3\xa9");
	expect_link("\"\"", NULL);
	expect_link("null", NULL);
	expect_link("{\"href\":\"https://h/\"}", NULL);
	expect_link("\"https://h/\\r\\nX: y\"", NULL);
	expect_link("\"https://h/\\u007f\"", NULL);
	for (size_t over = 0; over < 2; over++) {
		buf_clear(&b);
		buf_str(&b, "{\"link\":\"");
		for (size_t i = 0; i < EVENT_LINK + over; i++)
			buf_str(&b, "y");
		buf_str(&b, "\"}");
		ev = read_event(buf_text(&b));
		if (over)
			assert_null(ev.link);
		else
			assert_int_equal(strlen(ev.link), EVENT_LINK);
		event_free(&ev);
	}
	buf_free(&b);
}

/* One member, and what is made of it. */
static void
expect_field(const char *member, const char *json_text, size_t offset, const char *want)
{
	char text[512];
	struct event ev;

	(void)snprintf(text, sizeof(text), "{\"%s\":%s}", member, json_text);
	ev = read_event(text);
	if (!str_eq((const char *)&ev + offset, want))
		print_message("%s\n", text);
	assert_string_equal((const char *)&ev + offset, want);
	event_free(&ev);
}

static void
test_fields(void **state)
{
	static const struct {
		const char *member, *text;
		size_t offset;
		const char *want;
	} t[] = {
#define ID offsetof(struct event, id)
	    {"eventId", "\"" GUID "\"", ID, GUID},
	    {"EventId", "\"0B0F6A2E-5A51-4C0D-9A3E-6F2F5D1C7E10\"", ID, GUID},
	    {"eventId", "\"Evt-7aB\"", ID, "Evt-7aB"},
	    {"eventId", "\"" X64 "\"", ID, X64},
	    {"eventId", "\"" X64 "x\"", ID, ""},
	    {"eventId", "\"\"", ID, ""},
	    {"eventId", "\"a/b c\"", ID, "a/b c"},
	    {"eventId", "\"a\\u001bb\"", ID, ""},
	    {"eventId", "\"\\u007f\"", ID, ""},
	    {"eventId", "\"\xc3\xa9\"", ID, ""},
	    {"eventId", "17", ID, "17"},
	    {"eventId", "null", ID, ""},
	    {"eventId", "{\"id\":1}", ID, ""},
	    {"eventId", "\"00000000-0000-0000-0000-000000000000\"", ID, ""},
#define NUMBER offsetof(struct event, number)
	    {"eventNumber", "1207", NUMBER, "1207"},
	    {"EventNumber", "\"1207\"", NUMBER, "1207"},
	    {"eventNumber", "0", NUMBER, "0"},
	    {"eventNumber", "\"0012\"", NUMBER, "12"},
	    {"eventNumber", "\"000\"", NUMBER, "0"},
	    {"eventNumber", "99999999999999999999", NUMBER, "99999999999999999999"},
	    {"eventNumber", "100000000000000000000", NUMBER, ""},
	    {"eventNumber", "\"000000000000000000001\"", NUMBER, ""},
	    {"eventNumber", "-1", NUMBER, ""},
	    {"eventNumber", "1.0", NUMBER, ""},
	    {"eventNumber", "1e3", NUMBER, ""},
	    {"eventNumber", "\"\"", NUMBER, ""},
	    {"eventNumber", "\" 1\"", NUMBER, ""},
	    {"eventNumber", "\"1a\"", NUMBER, ""},
	    {"eventNumber", "\"../1\"", NUMBER, ""},
	    {"eventNumber", "true", NUMBER, ""},
#define AT offsetof(struct event, time)
	    {"eventDateTimeUtc", "\"" TIME "\"", AT, TIME},
	    {"EventDateTimeUtc", "\"yesterday\"", AT, "yesterday"},
	    {"eventDateTimeUtc", "\"2026\\n\"", AT, ""},
	    {"eventDateTimeUtc", "\"" X64 "x\"", AT, ""},
	    {"eventDateTimeUtc", "1772705472", AT, ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++)
		expect_field(t[i].member, t[i].text, t[i].offset, t[i].want);
}

/* ---- identity ---- */

static void
counting_random(void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((unsigned char *)p)[i] = (unsigned char)(i * 17);
}

static void
key_of(const char *text, char out[NAME_KEY])
{
	struct name parts = {"acme", "", "Other", "Other"};
	struct event ev = read_event(text);
	char name[NAME_SIZE];

	assert_int_equal(event_key(&ev, text, strlen(text), NOW, out, NULL), RC_OK);
	assert_true(str_copy(parts.key, sizeof(parts.key), out));
	assert_int_equal(name_build(&parts, name, NULL), RC_OK);
	event_free(&ev);
}

static void
expect_key(const char *text, const char *want)
{
	char key[NAME_KEY];

	key_of(text, key);
	if (!str_eq(key, want))
		print_message("%s\n", text);
	assert_string_equal(key, want);
}

/* The digests are those of sha256sum(1). */
static void
test_key(void **state)
{
	(void)state;
	clk_replace_random(counting_random);
	expect_key(feed, GUID);
	expect_key(
	    "{\"eventId\":\"0B0F6A2E-5A51-4C0D-9A3E-6F2F5D1C7E10\",\"eventNumber\":1}", GUID);
	expect_key("{\"eventId\":\"Evt-7aB\"}", "Evt-7aB");
	expect_key("{\"eventId\":\"" X64 "\"}", X64);
	expect_key("{\"eventId\":\"N-1207\"}", "N-1207");
	expect_key("{\"eventNumber\":1207,\"eventDateTimeUtc\":\"" TIME "\"}", "n-1207");
	expect_key("{\"eventNumber\":\"99999999999999999999\"}", "n-99999999999999999999");
	expect_key("{\"eventNumber\":\"007\"}", "n-7");
	expect_key("{\"eventDateTimeUtc\":\"2026-03-05T10:11:12Z\"}",
	    "bd6feb7593a4ce20a3ef3fa5ddbe18fb");
	expect_key("{\"eventDateTimeUtc\":\"2026-03-05T10:11:12\"}",
	    "2338ce8eb5e6f44a48b027433fb63a57");
	/* without an identity: the arrival */
	expect_key("{}", "t-20260305T101112345Z-0011223344556677");
	expect_key("{\"eventDateTimeUtc\":\"soon\"}", "t-20260305T101112345Z-0011223344556677");
	expect_key("{\"eventDateTimeUtc\":\"0001-01-01T00:00:00\"}",
	    "t-20260305T101112345Z-0011223344556677");
	expect_key("{\"eventId\":\"00000000-0000-0000-0000-000000000000\"}",
	    "t-20260305T101112345Z-0011223344556677");
	clk_replace_random(NULL);
}

/* An id that looks like another form of key, or is not fit for one, is never that key. */
static void
test_key_collisions(void **state)
{
	(void)state;
	expect_key("{\"eventId\":\"n-1207\"}", "x-7b42fdfc5162ba9b781f3daebd38a936");
	expect_key("{\"eventId\":\"t-20260305T101112345Z-0011223344556677\"}",
	    "x-bddc46ef5b7b54a2343a8e2b81875d45");
	expect_key("{\"eventId\":\"x-7b42fdfc5162ba9b781f3daebd38a936\"}",
	    "x-b5185f8b150ab0a10e98a9077df98ed9");
	expect_key("{\"eventId\":\"x-\"}", "x-c8b60efc6045b03bbfde1b0407abc61d");
	expect_key("{\"eventId\":\"a/b\"}", "x-c14cddc033f64b9dea80ea675cf280a0");
	expect_key("{\"eventId\":\"../../etc/passwd\"}", "x-3754d6cb3a38e1185e5b382d5f3ef3f1");
	expect_key("{\"eventId\":\"a.b\"}", "x-2e7336dc8eba87ef472df568c35482ab");
	/* as the digest of a body with a time */
	expect_key("{\"eventId\":\"bd6feb7593a4ce20a3ef3fa5ddbe18fb\"}",
	    "x-14e07d66fbb520291357225153871087");
	expect_key("{\"eventId\":\"0123456789ABCDEF0123456789ABCDEF\"}",
	    "0123456789ABCDEF0123456789ABCDEF");
}

/* The same bytes are the same event only if they carry its time. */
static void
test_key_repeats(void **state)
{
	static const char dated[] = "{\"eventDateTimeUtc\":\"2026-03-05T10:11:12Z\"}";
	static const char spaced[] = "{\"eventDateTimeUtc\":\"2026-03-05T10:11:12Z\" }";
	char a[NAME_KEY], b[NAME_KEY];

	(void)state;
	key_of(dated, a);
	key_of(dated, b);
	assert_string_equal(a, b);
	key_of(spaced, b);
	assert_string_not_equal(a, b);
	key_of("{\"eventType\":\"Client.Update\"}", a);
	key_of("{\"eventType\":\"Client.Update\"}", b);
	assert_string_not_equal(a, b);
}

static void
test_arrival_key(void **state)
{
	char a[NAME_KEY], b[NAME_KEY];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		event_arrival_key(NOW, a);
		event_arrival_key(NOW, b);
		assert_string_not_equal(a, b);
		assert_true(str_begins(a, "t-20260305T101112345Z-"));
		assert_int_equal(strlen(a), 22 + 16);
		assert_true(str_only(a, "-", 1, NAME_KEY - 1));
	}
	event_arrival_key(0, a);
	assert_true(str_begins(a, "t-19700101T000000000Z-"));
	event_arrival_key(-1, a);
	assert_true(str_begins(a, "t-19700101T000000000Z-"));
	event_arrival_key(NOW - 345 + 7, a);
	assert_true(str_begins(a, "t-20260305T101112007Z-"));
}

/* ---- the subject ---- */

static void
expect_subject(const char *text, const char *want)
{
	struct event ev = read_event(text);
	char out[EVENT_SUBJECT];

	event_subject(&ev, out);
	assert_string_equal(out, want);
	event_free(&ev);
}

static void
test_subject(void **state)
{
	(void)state;
	expect_subject(feed, "FileStore.Upload: client " C22);
	expect_subject("{\"eventType\":\"FileStore.Upload\",\"documentHashId\":\"D1\","
		       "\"clientHashId\":\"C1\",\"accountHashId\":\"A1\"}",
	    "FileStore.Upload: document D1, client C1");
	expect_subject(
	    "{\"eventType\":\"User.Update\",\"userHashId\":\"U1\"}", "User.Update: user U1");
	expect_subject("{\"eventType\":\"Account.Update\",\"accountHashId\":\"A1\"}",
	    "Account.Update: account A1");
	expect_subject("{}", "Other.Other");
	expect_subject("{\"userHashId\":\"a\\\\b\"}", "Other.Other: user a\\\\b");
}

/* ---- hostile events ---- */

/* Whatever the peer wrote, what comes out is printable and fits. */
static void
expect_harmless(const char *text)
{
	struct event ev = read_event(text);
	const char *const fields[] = {ev.category, ev.type, ev.id, ev.number, ev.time,
	    ev.account_hash, ev.client_hash, ev.document_hash, ev.user_hash};
	char subject[EVENT_SUBJECT], key[NAME_KEY];

	for (size_t i = 0; i < COUNT(fields); i++) {
		assert_true(strlen(fields[i]) < NAME_HASH);
		for (const char *s = fields[i]; *s != '\0'; s++)
			assert_in_range(*s, 0x20, 0x7e);
	}
	event_subject(&ev, subject);
	for (const char *s = subject; *s != '\0'; s++)
		assert_in_range(*s, 0x20, 0x7e);
	event_free(&ev);
	key_of(text, key);
}

static void
test_hostile(void **state)
{
	static const char *const members[] = {"eventId", "eventType", "eventCategory", "type",
	    "category", "eventNumber", "eventDateTimeUtc", "link", "properties",
	    "accountHashId", "clientHashId", "documentHashId", "userHashId"};
	static const char *const values[] = {"null", "true", "-1e999", "[]", "{}", "\"\"",
	    "[[[[\"\"]]]]", "{\"key\":{\"key\":[]}}", "\"\\u0001\\u001b[2J\\r\\n\"",
	    "\"\\u202e\"", "\"%00%0a%\"", "\"....\"", "\"\\\\\\\"'`$(x)\"",
	    "[{\"Key\":\"userHashId\",\"Value\":\"\\n\"}]", "@long@"};
	struct buf b = BUF_INIT(262144);
	char *big = calloc(1, 10241);

	(void)state;
	assert_non_null(big);
	memset(big, 'z', 10240);
	for (size_t i = 0; i < COUNT(members); i++) {
		for (size_t k = 0; k < COUNT(values); k++) {
			buf_clear(&b);
			buf_fmt(&b, "{\"%s\":", members[i]);
			if (str_eq(values[k], "@long@"))
				buf_json(&b, big);
			else
				buf_str(&b, values[k]);
			buf_str(&b, "}");
			expect_harmless(buf_text(&b));
		}
	}
	/* all at once, each of 10 KiB */
	buf_clear(&b);
	for (size_t i = 0; i < COUNT(members); i++) {
		buf_fmt(&b, "%s\"%s\":", i > 0 ? "," : "{", members[i]);
		buf_json(&b, big);
	}
	buf_str(&b, "}");
	expect_harmless(buf_text(&b));
	free(big);
	buf_free(&b);
}

/* Lists without end are looked at only so far. */
static void
test_many(void **state)
{
	struct buf b = BUF_INIT(1 << 20);

	(void)state;
	buf_str(&b, "{\"properties\":[");
	for (int i = 0; i < 5000; i++)
		buf_str(&b, "{\"Key\":\"k\",\"Value\":\"v\"},");
	buf_str(&b, "{\"Key\":\"userHashId\",\"Value\":\"U1\"}],\"link\":\"https://h/?");
	for (int i = 0; i < 1000; i++)
		buf_str(&b, "a=b&");
	buf_str(&b, "clientHashId=C1\"}");
	assert_int_equal(buf_state(&b, NULL), RC_OK);
	expect_hashes(buf_text(&b), "", "", "", "");
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_feed_entry),
	    cmocka_unit_test(test_kinds),
	    cmocka_unit_test(test_kind_members),
	    cmocka_unit_test(test_kind_unknown),
	    cmocka_unit_test(test_no_object),
	    cmocka_unit_test(test_hash_members),
	    cmocka_unit_test(test_hash_properties),
	    cmocka_unit_test(test_hash_order),
	    cmocka_unit_test(test_hash_link),
	    cmocka_unit_test(test_link),
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_key),
	    cmocka_unit_test(test_key_collisions),
	    cmocka_unit_test(test_key_repeats),
	    cmocka_unit_test(test_arrival_key),
	    cmocka_unit_test(test_subject),
	    cmocka_unit_test(test_hostile),
	    cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
