/*
 * SPDX-License-Identifier: ISC
 *
 * t_conf - defaults, values, complaints with their lines, sample and manual page.
 */
#include "config.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "conf.h"
#include "conf_keys.h"
#include "str.h"

#define ONE "[account acme]\n"

static char folder[64], file[128];
static struct conf *conf;
static struct err err;

static void
write_file(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static enum rc
load_bytes(const void *p, size_t n)
{
	write_file(file, p, n);
	conf_free(&conf);
	err_clear(&err);
	return conf_load(file, &conf, &err);
}

static enum rc
load(const char *text)
{
	return load_bytes(text, strlen(text));
}

/* What is said after the file's name. */
static const char *
said(void)
{
	size_t n = strlen(file);

	assert_memory_equal(err.text, file, n);
	return err.text + n;
}

static void
good(const char *text)
{
	if (load(text) != RC_OK)
		fail_msg("refused: %s", err.text);
	assert_non_null(conf);
}

static void
bad(const char *text, const char *why)
{
	assert_int_equal(load(text), RC_CONFIG);
	assert_null(conf);
	assert_string_equal(said(), why);
}

/* One key of a section with a value. */
static enum rc
load_value(const char *section, const char *key, const char *value)
{
	struct buf b = BUF_INIT(3 * CONF_LINE);
	enum rc rc;

	if (str_begins(section, "account"))
		buf_fmt(&b, "[%s]\n%s = %s\n", section, key, value);
	else
		buf_fmt(&b, ONE "[%s]\n%s = %s\n", section, key, value);
	rc = load_bytes(b.p, b.n);
	buf_free(&b);
	return rc;
}

static void
takes(const char *section, const char *key, const char *value)
{
	if (load_value(section, key, value) != RC_OK)
		fail_msg("refused: %s", err.text);
}

static void
refuses(const char *section, const char *key, const char *value, const char *expected)
{
	char why[ERR_TEXT];

	assert_int_equal(load_value(section, key, value), RC_CONFIG);
	(void)snprintf(why, sizeof(why), ":%d: [%s] %s: expected %s, found \"%s\"",
	    str_begins(section, "account") ? 2 : 3, section, key, expected, value);
	assert_string_equal(said(), why);
}

static void
defaults(void **state)
{
	const struct conf_account *a;

	(void)state;
	good(ONE);
	assert_string_equal(conf->file, file);
	assert_string_equal(conf->spool.directory, SPOOLDIR);
	assert_string_equal(conf->spool.group, "arkenspool");
	assert_int_equal(conf->spool.retention, INT64_C(30) * 86400000);
	assert_int_equal(conf->spool.min_free, 256 << 20);
	assert_int_equal(conf->spool.min_inodes, 1000);
	assert_int_equal(conf->spool.queue_limit, 1000000);
	assert_int_equal(conf->spool.rejected_limit, 1000);
	assert_int_equal(conf->spool.max_body, 10 << 20);
	assert_null(conf->spool.allow_fs);
	assert_int_equal(conf->receiver.threads, 16);
	assert_string_equal(conf->status.path, "/arken/status");
	assert_null(conf->status.token_file);
	assert_string_equal(conf->daemon.state, STATEDIR);
	assert_string_equal(conf->daemon.store, STATEDIR "/store");
	assert_int_equal(conf->daemon.active_limit, 20000);
	assert_int_equal(conf->daemon.concurrency, 8);
	assert_int_equal(conf->daemon.tries, 10);
	assert_int_equal(conf->daemon.retry_min, 10000);
	assert_int_equal(conf->daemon.retry_max, 3600000);
	assert_int_equal(conf->daemon.retry_age, INT64_C(7) * 86400000);
	assert_int_equal(conf->daemon.rescan, 60000);
	assert_int_equal(conf->daemon.connect_timeout, 10000);
	assert_int_equal(conf->daemon.api_timeout, 60000);
	assert_int_equal(conf->daemon.stall_timeout, 60000);
	assert_int_equal(conf->daemon.max_record, 10 << 20);
	assert_int_equal(conf->daemon.max_document, 1 << 30);
	assert_int_equal(conf->log.format, LOG_KV);
	assert_int_equal(conf->log.target, LOG_AUTO);
	assert_int_equal(conf->log.level, LOG_INFO);
	assert_int_equal(conf->naccounts, 1);
	assert_int_equal(conf->ncallbacks, 0);
	a = &conf->accounts[0];
	assert_string_equal(a->name, "acme");
	assert_string_equal(a->path, "/arken/acme");
	assert_string_equal(a->document_hosts,
	    "s3.amazonaws.com *.s3.amazonaws.com s3.*.amazonaws.com *.s3.*.amazonaws.com");
	assert_null(a->hash_id);
	assert_null(a->public_url);
	assert_null(a->secret_header);
	assert_null(a->secret_file);
	assert_null(a->issuer);
	assert_null(a->audience);
	assert_null(a->jwks_url);
	assert_null(a->issuer_ca_file);
	assert_string_equal(
	    a->algorithms, "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512");
	assert_string_equal(a->token_types, "JWT at+jwt none");
	assert_null(a->require);
	assert_int_equal(a->token_lifetime, INT64_C(24) * 3600000);
	assert_int_equal(a->token_leeway, 60000);
	assert_int_equal(a->keys_max_age, INT64_C(7) * 86400000);
	assert_null(a->api);
	assert_null(a->token_audience);
	assert_null(a->ca_file);
	assert_null(a->document_networks);
}

static void
alarm_defaults(void **state)
{
	(void)state;
	good(ONE);
	assert_int_equal(conf->daemon.status_every, 5000);
	assert_null(conf->daemon.alarm_command);
	assert_int_equal(conf->daemon.alarm_timeout, 30000);
	assert_int_equal(conf->daemon.target_limit, 900000);
	assert_int_equal(conf->daemon.refused_limit, 20);
	assert_int_equal(conf->daemon.refused_window, 300000);
	assert_int_equal(conf->daemon.certificate_limit, INT64_C(14) * 86400000);
	assert_int_equal(conf->accounts[0].silence_limit, INT64_C(7) * 86400000);
}

static void
whole_account(void **state)
{
	const struct conf_account *a;

	(void)state;
	good("[account acme]\npath = /hooks/a\nhash_id=2xLbJcTzZVvHdBgyMHkQZ0\n"
	     "secret_header = X-Arken-Secret\nsecret_file = /etc/s\n"
	     "api = https://api.nz.pre.arken.legal/pre/ ; with a slash\n"
	     "token_url = https://t.test/oauth/token?p=1;2\nclient_id = id with space\n"
	     "client_secret_file = /etc/c\nca_file = /etc/ca\n"
	     "document_hosts =  localhost:8443\t *.example.test \n"
	     "document_networks = 127.0.0.0/8   ::1/128\n"
	     "[account b-2_x]\napi = http://127.0.0.1:8080\ntoken_audience = urn:x\n");
	a = conf_account(conf, "acme");
	assert_non_null(a);
	assert_string_equal(a->hash_id, "2xLbJcTzZVvHdBgyMHkQZ0");
	assert_string_equal(a->secret_header, "X-Arken-Secret");
	assert_string_equal(a->secret_file, "/etc/s");
	assert_string_equal(a->api, "https://api.nz.pre.arken.legal/pre");
	assert_string_equal(a->token_url, "https://t.test/oauth/token?p=1;2");
	assert_string_equal(a->token_audience, a->api);
	assert_string_equal(a->client_id, "id with space");
	assert_string_equal(a->client_secret_file, "/etc/c");
	assert_string_equal(a->ca_file, "/etc/ca");
	assert_string_equal(a->document_hosts, "localhost:8443 *.example.test");
	assert_string_equal(a->document_networks, "127.0.0.0/8 ::1/128");
	assert_int_equal(conf_account_complete(a, &err), RC_OK);
	assert_ptr_equal(conf_account_at(conf, "/hooks/a"), a);
	assert_null(conf_account_at(conf, "/hooks"));
	assert_null(conf_account(conf, "ACME"));
	a = conf_account_at(conf, "/arken/b-2_x");
	assert_non_null(a);
	assert_string_equal(a->token_audience, "urn:x");
	assert_int_equal(conf_account_complete(a, &err), RC_CONFIG);
	assert_string_equal(err.text,
	    "[account b-2_x] token_url, client_id, client_secret_file: expected a value "
	    "(spoold needs it), found none");
}

static void
callbacks(void **state)
{
	(void)state;
	good(ONE "[callback Client]\nget = /c?x={clientHashId}\n[callback Client.Update]\n"
		 "get=/u/{accountHashId}{eventId}\nlink = /data/0/a~1b\n[callback User]\n"
		 "link = /l\n");
	assert_int_equal(conf->ncallbacks, 3);
	assert_string_equal(
	    conf_callback(conf, "Client", "Create")->get, "/c?x={clientHashId}");
	assert_null(conf_callback(conf, "Client", "Create")->link);
	assert_string_equal(conf_callback(conf, "Client", "Update")->link, "/data/0/a~1b");
	assert_null(conf_callback(conf, "User", "Create")->get);
	assert_null(conf_callback(conf, "Clien", "t"));
	assert_null(conf_callback(conf, "ClientX", "Update"));
	bad(ONE "[callback A]\n", ":2: [callback A]: expected get or link, found none");
	bad(ONE "\n[callback A-b]\n",
	    ":3: [callback]: expected a kind such as Client or Client.Update, found \"A-b\"");
	bad(ONE "[callback]\n",
	    ":2: [callback]: expected a kind such as Client or Client.Update, found none");
	bad(ONE "[callback A.]\n",
	    ":2: [callback]: expected a kind such as Client or Client.Update, found \"A.\"");
	bad(ONE "[callback A]\nlink=/x\n[callback A]\n",
	    ":4: [callback A]: expected it once (line 2), found another");
}

static void
long_kind(void **state)
{
	/* Longer than the 49 bytes of a section's name that inih keeps. */
	const char *text = ONE "[callback Abcdefghijklmnopqrstuvwxyz012345.Abcdefghijklmnopqrs"
			       "tuvwxyz012345]\nlink = /x\n";

	(void)state;
	good(text);
	assert_non_null(conf_callback(
	    conf, "Abcdefghijklmnopqrstuvwxyz012345", "Abcdefghijklmnopqrstuvwxyz012345"));
}

static void
numbers(void **state)
{
	const char *count = "a number from 1 to 512";
	const char *size = "a size from 1K to 64M";

	(void)state;
	takes("receiver", "threads", "1");
	takes("receiver", "threads", "512");
	assert_int_equal(conf->receiver.threads, 512);
	refuses("receiver", "threads", "0", count);
	refuses("receiver", "threads", "513", count);
	refuses("receiver", "threads", "-1", count);
	refuses("receiver", "threads", "four", count);
	refuses("receiver", "threads", "1 2", count);
	refuses("receiver", "threads", "0x10", count);
	refuses("receiver", "threads", "18446744073709551617", count);
	refuses("receiver", "threads", "", count);
	takes("spool", "max_body", "1K");
	assert_int_equal(conf->spool.max_body, 1024);
	takes("spool", "max_body", "64 MiB");
	assert_int_equal(conf->spool.max_body, 64 << 20);
	refuses("spool", "max_body", "1023", size);
	refuses("spool", "max_body", "65M", size);
	refuses("spool", "max_body", "10T", size);
	refuses("spool", "max_body", "99999999999999999999G", size);
	takes("spool", "min_free", "0");
	assert_int_equal(conf->spool.min_free, 0);
}

static void
durations(void **state)
{
	(void)state;
	takes("spool", "retention", "7d");
	assert_int_equal(conf->spool.retention, INT64_C(7) * 86400000);
	takes("spool", "retention", "604800");
	assert_int_equal(conf->spool.retention, INT64_C(7) * 86400000);
	refuses("spool", "retention", "6d", "a duration from 7d to 3650d");
	refuses("spool", "retention", "1w", "a duration from 7d to 3650d");
	refuses("daemon", "rescan", "999ms", "a duration from 1s to 1h");
	refuses("daemon", "rescan", "-5s", "a duration from 1s to 1h");
	refuses("daemon", "rescan", "9223372036854775807d", "a duration from 1s to 1h");
}

static void
retry_limits(void **state)
{
	(void)state;
	good(ONE "[daemon]\nretry_min = 1h\nretry_max = 60m\n");
	bad(ONE "[daemon]\nretry_min = 2h\n",
	    ":3: [daemon] retry_min: expected no more than retry_max, found \"2h\"");
	bad(ONE "[daemon]\nretry_max = 5s\n\n[log]\n",
	    ":3: [daemon] retry_max: expected no less than retry_min, found \"5s\"");
	bad("[daemon]\nretry_min = 10m\nretry_max = 5m\n" ONE,
	    ":3: [daemon] retry_max: expected no less than retry_min, found \"5m\"");
	bad("[daemon]\nretry_max = 5m\nretry_min = 10m\n" ONE,
	    ":3: [daemon] retry_min: expected no more than retry_max, found \"10m\"");
}

static void
choices(void **state)
{
	(void)state;
	takes("log", "format", "json");
	assert_int_equal(conf->log.format, LOG_JSON);
	takes("log", "target", "journal");
	assert_int_equal(conf->log.target, LOG_JOURNAL);
	takes("log", "level", "trace");
	assert_int_equal(conf->log.level, LOG_TRACE);
	refuses("log", "level", "debug", "one of error, warn, note, info, trace");
	refuses("log", "format", "KV", "one of kv, json");
	refuses("log", "target", "", "one of auto, stderr, journal");
}

static void
paths(void **state)
{
	const char *url = "a path of a URL: \"/\" first, no \"..\", no query, no space";

	(void)state;
	takes("spool", "directory", "/a b");
	assert_string_equal(conf->spool.directory, "/a b");
	takes("spool", "directory", "/sp\xc3\xbcle");
	refuses("spool", "directory", "spool", "an absolute path");
	refuses("spool", "directory", "", "an absolute path");
	refuses("spool", "directory", "~/x", "an absolute path");
	takes("spool", "group", "www-data");
	takes("spool", "group", "33");
	refuses("spool", "group", "-x", "the name or number of a group");
	refuses("spool", "group", "a b", "the name or number of a group");
	takes("account a", "path", "/");
	refuses("account a", "path", "arken", url);
	refuses("account a", "path", "/a/../b", url);
	refuses("account a", "path", "/a?b", url);
	refuses("account a", "path", "/a#b", url);
	refuses("account a", "path", "/a b", url);
}

static void
words(void **state)
{
	const char *hash = "1 to 64 printable characters without a space";
	const char *header = "a header name, 1 to 64 of A-Z a-z 0-9 and -";
	char w[66];

	(void)state;
	memset(w, 'x', sizeof(w));
	w[64] = '\0';
	takes("account a", "hash_id", w);
	refuses("account a", "hash_id", "a b", hash);
	refuses("account a", "hash_id", "", hash);
	assert_int_equal(load_value("account a", "secret_header", w), RC_CONFIG);
	assert_non_null(strstr(err.text, "expected secret_file with it"));
	w[64] = 'x';
	w[65] = '\0';
	assert_int_equal(load_value("account a", "hash_id", w), RC_CONFIG);
	assert_non_null(strstr(err.text, "xxx...\""));
	refuses("account a", "secret_header", "X_Y", header);
	refuses("account a", "secret_header", "X-Y:", header);
	takes("account a", "public_url", "https://h.test/arken/acme");
	takes("account a", "client_id", "a b");
	refuses("account a", "client_id", "", "1 to 256 printable characters");
}

static void
urls_taken(void **state)
{
	static const char *const list[] = {"https://a.test", "https://a.test:8443/x/y",
	    "http://localhost:1", "http://api.LOCALHOST/", "http://127.1.2.3:80/x",
	    "http://[::1]:8080", "https://[2001:db8::1]", "https://a-b.test/x%20y"};

	(void)state;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		takes("account a", "api", list[i]);
	takes("account a", "token_url", "https://a.test?p=1");
	takes("account a", "api", "https://a.test//");
	assert_string_equal(conf->accounts[0].api, "https://a.test");
}

static void
urls_refused(void **state)
{
	static const char *const list[] = {"", "a.test", "ftp://a.test", "https://",
	    "https:///x", "http://a.test", "http://127.evil.test", "http://127.0.0.1.evil.test",
	    "http://localhost.evil.test", "http://evillocalhost", "http://[::2]", "http://[::1",
	    "http://[::1]x", "http://128.0.0.1", "https://u:p@a.test",
	    "http://localhost@a.test", "https://a.test:0", "https://a.test:65536",
	    "https://a.test:", "https://a..test", "https://.a", "https://a b", "https://a/#x",
	    "https://a*.test", "HTTPS://a.test", "http://localhost:80:90"};

	(void)state;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		refuses("account a", "token_url", list[i],
		    "an https URL (http only to this machine)");
	refuses("account a", "api", "https://a.test/x?y",
	    "an https URL without a query (http only to this machine)");
	bad("[account a]\ntoken_url = https://a\\x\n",
	    ":2: [account a] token_url: expected an https URL (http only to this machine), "
	    "found \"https://a\\\\x\"");
}

static void
lists(void **state)
{
	const char *host = "host names, perhaps with \"*.\" before or \":port\" after them";
	const char *net = "networks such as 10.0.0.0/8 or fd00::/8";
	static const char *const hosts[] = {"*", "*.", "a.*", ".a", "a..b", "a:0", "a:x",
	    "a:1:2", "https://a", "a/b", "a,b", ""};
	static const char *const nets[] = {"10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/129",
	    "fd00::/", "/8", "a/8", "10.0.0.0/-1", "10.0.0.0/8/8"};

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		refuses("account a", "document_hosts", hosts[i], host);
	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		refuses("account a", "document_networks", nets[i], net);
	takes("account a", "document_hosts", "*.a.test:8443 s3.*.a.test 127.0.0.1:80");
	takes("account a", "document_networks", "0.0.0.0/0 ::/0 10.1.2.3/32");
	takes("account a", "document_networks", "");
	assert_null(conf->accounts[0].document_networks);
	takes("spool", "allow_fs", " tmpfs   nfs4 ");
	assert_string_equal(conf->spool.allow_fs, "tmpfs nfs4");
	takes("spool", "allow_fs", "");
	assert_null(conf->spool.allow_fs);
	refuses("spool", "allow_fs", "a/b", "names of file systems");
	/* Of a list the wrong item is shown, not its beginning. */
	bad(ONE "document_hosts = a.test b.test\tc/d e\n",
	    ":2: [account acme] document_hosts: expected host names, perhaps with \"*.\" "
	    "before "
	    "or \":port\" after them, found \"c/d\"");
}

static void
templates(void **state)
{
	const char *pointer = "a JSON Pointer such as /data/url";
	const char
	    *get = "\"/\" first, no \"/..\", no placeholder but {accountHashId} "
		   "{clientHashId} {documentHashId} {userHashId} {eventId} {eventNumber}";

	(void)state;
	takes("callback A", "get",
	    "/{accountHashId}{clientHashId}{documentHashId}{userHashId}{eventId}{eventNumber}");
	refuses("callback A", "get", "x", get);
	refuses("callback A", "get", "/{x}", get);
	refuses("callback A", "get", "/{eventId", get);
	refuses("callback A", "get", "/}", get);
	refuses("callback A", "get", "/../x", get);
	refuses("callback A", "get", "/a b", get);
	refuses("callback A", "get", "https://a", get);
	takes("callback A", "link", "/a/~0~1");
	refuses("callback A", "link", "a", pointer);
	refuses("callback A", "link", "/~2", pointer);
	refuses("callback A", "link", "/~", pointer);
}

static void
sections(void **state)
{
	(void)state;
	bad("", ": no [account NAME] section");
	bad("# nothing\n\n[spool]\n", ": no [account NAME] section");
	bad("x = 1\n", ":1: expected a [section] before any key, found \"x\"");
	bad("\n[spol]\n",
	    ":2: expected the name of a section, found \"spol\" (did you mean \"spool\"?)");
	bad("[what]\n", ":1: expected the name of a section, found \"what\"");
	bad("[]\n", ":1: expected the name of a section, found \"\"");
	bad("[spool\n", ":1: expected \"[section]\", found \"[spool\"");
	bad("[spool] min_free = 0\n",
	    ":1: expected nothing after \"]\", found \"min_free = 0\"");
	bad("[spool a]\n", ":1: [spool]: expected no name here, found \"a\"");
	bad("[spool]\n[log]\n\n[spool]\n",
	    ":4: [spool]: expected it once (line 1), found another");
	bad(ONE "[log]\n[account acme]\n",
	    ":3: [account acme]: expected it once (line 1), found another");
	bad("[account]\n",
	    ":1: [account]: expected a name, 1 to 32 of a-z 0-9 _ and -, found none");
	bad("[account Acme]\n",
	    ":1: [account]: expected a name, 1 to 32 of a-z 0-9 _ and -, found \"Acme\"");
	bad("[account \"acme\"]\n",
	    ":1: [account]: expected a name, 1 to 32 of a-z 0-9 _ and -, found \"\"acme\"\"");
	bad("[account a/b]\n",
	    ":1: [account]: expected a name, 1 to 32 of a-z 0-9 _ and -, found \"a/b\"");
	bad("[account 012345678901234567890123456789012]\n",
	    ":1: [account]: expected a name, 1 to 32 of a-z 0-9 _ and -, found "
	    "\"012345678901234567890123456789012\"");
	good("  [ account \t acme ]  ; here\n[spool] # there\n");
}

static void
keys(void **state)
{
	(void)state;
	bad(ONE "[spool]\nretntion = 8d\n",
	    ":3: [spool]: expected a key of this section, found \"retntion\" "
	    "(did you mean \"retention\"?)");
	bad(ONE "[spool]\nThreads = 8\n",
	    ":3: [spool]: expected a key of this section, found \"Threads\"");
	bad(ONE "[spool]\nthreads = 8\n",
	    ":3: [spool]: expected a key of this section, found \"threads\" "
	    "(that belongs in [receiver])");
	bad(ONE "[receiver]\nT = 8\n",
	    ":3: [receiver]: expected a key of this section, found \"T\"");
	bad("[account acme]\nap = x\n",
	    ":2: [account acme]: expected a key of this section, found \"ap\" "
	    "(did you mean \"api\"?)");
	bad(ONE "[log]\nlevel = info\nformat = kv\nlevel = info\n",
	    ":5: [log] level: expected it once (line 3), found another");
	bad(ONE "[log]\nlevel\n", ":3: [log]: expected \"key = value\", found \"level\"");
	bad(ONE "[log]\nlevel\n[bad\n", ":3: [log]: expected \"key = value\", found \"level\"");
	bad(ONE "[log]\nlevel ;= info",
	    ":3: [log]: expected \"key = value\", found \"level ;= info\"");
	bad(ONE "[log]\n= info\n", ":3: [log]: expected a key of this section, found \"\"");
	bad(ONE "[log]\nle\\vel\x7f = info\n",
	    ":3: [log]: expected text, no control character, found \"\\x7f\"");
	bad(ONE "[log]\nlevel = info # why\n",
	    ":3: [log] level: expected a comment after a value to begin with \";\", found "
	    "\"info # why\"");
}

static void
accounts(void **state)
{
	(void)state;
	bad("[account a]\npath = /x\n[account b]\n\npath = /x\n[log]\n",
	    ":5: [account b] path: expected a path of its own ([account a] has it, line 2), "
	    "found \"/x\"");
	bad("[account a]\npath = /arken/b\n[account b]\n",
	    ":3: [account b] path: expected a path of its own ([account a] has it, line 2), "
	    "found \"/arken/b\"");
	bad("[account a]\npath = /s/metrics\n[status]\npath = /s\n",
	    ":2: [account a] path: expected a path outside of /s, the path of [status], "
	    "found \"/s/metrics\"");
	bad("[account status]\n",
	    ":1: [account status] path: expected a path outside of /arken/status, the path of "
	    "[status], found \"/arken/status\"");
	assert_int_equal(load("[account a]\npath = /arken/statuses\n"), RC_OK);
	bad("[account a]\nsecret_header = X\n\n",
	    ":2: [account a] secret_header: expected secret_file with it, found none");
	bad("[account a]\n\nsecret_file = /x\n[account b]\n",
	    ":3: [account a] secret_file: expected secret_header with it, found none");
}

static void
openid(void **state)
{
	const struct conf_account *a;

	(void)state;
	good("[account a]\naudience = urn:arken hooks\nissuer = https://id.example.com/x/\n"
	     "jwks_url = http://127.0.0.1:1/keys?v=2\nissuer_ca_file = /etc/ca\n"
	     "algorithms =  ES256\tPS512 \ntoken_types = at+jwt  vnd.x+jwt\n"
	     "require = sub:arken-webhooks  https://e.test/role:hook:1 iss:https://e.test\n"
	     "token_lifetime = 1m\ntoken_leeway = 0\nkeys_max_age = 365d\n");
	a = &conf->accounts[0];
	assert_string_equal(a->issuer, "https://id.example.com/x/");
	assert_string_equal(a->audience, "urn:arken hooks");
	assert_string_equal(a->jwks_url, "http://127.0.0.1:1/keys?v=2");
	assert_string_equal(a->issuer_ca_file, "/etc/ca");
	assert_string_equal(a->algorithms, "ES256 PS512");
	assert_string_equal(a->token_types, "at+jwt vnd.x+jwt");
	assert_string_equal(
	    a->require, "sub:arken-webhooks https://e.test/role:hook:1 iss:https://e.test");
	assert_int_equal(a->token_lifetime, 60000);
	assert_int_equal(a->token_leeway, 0);
	assert_int_equal(a->keys_max_age, INT64_C(365) * 86400000);
	/* A secret may stand beside it, but not in the header of the token. */
	good("[account a]\naudience=x\nissuer=https://e.test\nsecret_header = X-S\n"
	     "secret_file = /s\n");
	good("[account a]\nsecret_header = Authorization\nsecret_file = /s\n");
	bad("[account a]\naudience=x\nissuer=https://e.test\nsecret_header = authorization\n"
	    "secret_file = /s\n",
	    ":4: [account a] secret_header: expected another header, for with issuer a token "
	    "is in this one, found \"authorization\"");
}

static void
openid_values(void **state)
{
	static const char *const algorithms[] = {"none", "None", "HS256", "HS384", "HS512",
	    "rs256", "RS256,ES256", "RS25", "RS256x", "ES256K", "EdDSA", "RSA-OAEP", "", "*"};
	static const char *const claims[] = {
	    "sub", ":x", "sub:", "sub=x", "a://b", ":", "https://e.test", ""};
	static const char *const issuers[] = {"http://e.test", "e.test", "https://e.test/?x",
	    "https://e.test/#x", "https://u@e.test", "https://e test", ""};
	char why[CONF_EXPECT];

	(void)state;
	(void)snprintf(why, sizeof(why), "some of %s", CONF_ALGORITHMS);
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		refuses("account a", "algorithms", algorithms[i], why);
	bad("[account a]\nalgorithms = RS256 HS256\n",
	    ":2: [account a] algorithms: expected some of RS256 RS384 RS512 PS256 PS384 PS512 "
	    "ES256 ES384 ES512, found \"HS256\"");
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]) - 1; i++)
		refuses("account a", "require", claims[i],
		    "claims as claim:value, such as sub:arken-webhooks");
	good("[account a]\nissuer = https://e.test\naudience = x\nrequire =\n");
	assert_null(conf->accounts[0].require);
	for (size_t i = 0; i < sizeof(issuers) / sizeof(issuers[0]); i++)
		refuses("account a", "issuer", issuers[i],
		    "an https URL without a query (http only to this machine)");
	refuses("account a", "token_types", "application/jwt",
	    "types of tokens such as JWT, at+jwt and none");
	refuses("account a", "token_types", "", "types of tokens such as JWT, at+jwt and none");
	refuses("account a", "token_leeway", "11m", "a duration from 0 to 10m");
	refuses("account a", "token_lifetime", "59s", "a duration from 1m to 365d");
	refuses("account a", "keys_max_age", "0", "a duration from 1m to 365d");
	refuses("account a", "audience", "", "1 to 256 printable characters");
}

/* The issuer with everything it needs, and nothing of its kind without it. */
static void
openid_together(void **state)
{
	static const struct {
		const char *key, *value;
	} with[] = {{"audience", "x"}, {"jwks_url", "https://e.test"}, {"issuer_ca_file", "/x"},
	    {"algorithms", "RS256"}, {"token_types", "JWT"}, {"require", "a:b"},
	    {"token_lifetime", "1h"}, {"token_leeway", "1s"}, {"keys_max_age", "1h"}};
	char text[200], why[200];

	(void)state;
	for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++) {
		(void)snprintf(text, sizeof(text), "[account a]\n\n%s = %s\n[log]\n",
		    with[i].key, with[i].value);
		(void)snprintf(why, sizeof(why),
		    ":3: [account a] %s: expected issuer with it, found none", with[i].key);
		bad(text, why);
	}
	bad("[account a]\n\nissuer = https://e.test\n",
	    ":3: [account a] issuer: expected audience with it, found none");
	/* What the account before it said counts for nothing. */
	bad("[account a]\nissuer = https://e.test\naudience = x\n[account b]\naudience = x\n",
	    ":5: [account b] audience: expected issuer with it, found none");
}

/* Where the name of a claim ends. */
static void
claim_divided(void **state)
{
	static const struct {
		const char *item;
		int at; /* -1: no claim */
	} rows[] = {{"sub:x", 3}, {"a:b:c", 1}, {"https://e.test/a:b", 16}, {"a:", -1},
	    {":a", -1}, {"a", -1}, {"", -1}, {"a:/", 1}, {"a:/b/", 1}, {"a://", -1},
	    {"https://e.test:80/a:b", 14}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *item = rows[i].item, *colon = conf_claim(item, strlen(item));

		assert_int_equal(colon != NULL ? colon - item : -1, rows[i].at);
	}
	/* Nothing behind the n bytes is looked at. */
	assert_null(conf_claim("a:b", 2));
	assert_non_null(conf_claim("a:b://", 3));
}

static void
many_sections(void **state)
{
	struct buf b = BUF_INIT(CONF_FILE_MAX);

	(void)state;
	for (int i = 0; i < CONF_ACCOUNTS; i++)
		buf_fmt(&b, "[account a%d]\nhash_id = h%d\n", i, i);
	good(b.p);
	assert_int_equal(conf->naccounts, CONF_ACCOUNTS);
	assert_string_equal(conf_account(conf, "a0")->hash_id, "h0");
	assert_string_equal(conf_account(conf, "a255")->hash_id, "h255");
	buf_str(&b, "[account b]\n");
	bad(b.p, ":513: [account b]: expected at most 256 accounts, found another");
	buf_clear(&b);
	buf_str(&b, ONE);
	for (int i = 0; i <= CONF_CALLBACKS; i++)
		buf_fmt(&b, "[callback C%d]\nlink = /x\n", i);
	bad(b.p, ":130: [callback C64]: expected at most 64 callbacks, found another");
	buf_free(&b);
}

/* A URL may hold a ";": a comment begins with a blank and ";". */
static void
comments(void **state)
{
	(void)state;
	good("; one\n# two\n  # three\n\t; four\n[account acme] ; five\n"
	     "api = https://a.test/x;y ;six\nclient_id = a#b;c\t; seven\n");
	assert_string_equal(conf->accounts[0].api, "https://a.test/x;y");
	assert_string_equal(conf->accounts[0].client_id, "a#b;c");
	good("[account acme]\napi : https://a.test\n");
	assert_string_equal(conf->accounts[0].api, "https://a.test");
	bad("[account acme]\napi = ; https://a.test\n",
	    ":2: [account acme] api: expected an https URL without a query "
	    "(http only to this machine), found \"\"");
}

/* inih alone would take the second key for more of the first one's value. */
static void
indented(void **state)
{
	(void)state;
	good("[account acme]\n    path = /x\n    hash_id = abc\n\tclient_id = i\n");
	assert_string_equal(conf->accounts[0].path, "/x");
	assert_string_equal(conf->accounts[0].hash_id, "abc");
	assert_string_equal(conf->accounts[0].client_id, "i");
	bad("[account acme]\ndocument_hosts = a.test\n   b.test\n",
	    ":3: [account acme]: expected \"key = value\", found \"b.test\"");
	bad("[account acme]\ndocument_hosts = a.test\n   b.test:80\n",
	    ":3: [account acme]: expected a key of this section, found \"b.test\"");
}

static void
line_ends(void **state)
{
	(void)state;
	good("\xef\xbb\xbf[account acme]\r\nhash_id = abc\r\n\r\n[log]\r\nlevel = warn");
	assert_string_equal(conf->accounts[0].hash_id, "abc");
	assert_int_equal(conf->log.level, LOG_WARN);
	good("[account acme]");
	good(ONE "[log]\nlevel = trace\r");
	assert_int_equal(conf->log.level, LOG_TRACE);
	bad("[account acme]\r\n\r\nx = 1\r\n",
	    ":3: [account acme]: expected a key of this section, found \"x\"");
	bad("[account acme]\rhash_id = a\n",
	    ":1: expected text, no control character, found \"\\x0d\"");
	bad("\n\xef\xbb\xbf[account acme]\n",
	    ":2: expected \"key = value\", found \"\\xef\\xbb\\xbf[account acme]\"");
	bad(ONE "[log]\nlevel = info\n\xff\n",
	    ":4: [log]: expected text in UTF-8, found \"\\xff\"");
}

static void
nul_bytes(void **state)
{
	static const char inside[] = "[account acme]\nhash_id = a\0b\n";
	static const char alone[] = "[account acme]\n\0";

	(void)state;
	assert_int_equal(load_bytes(inside, sizeof(inside) - 1), RC_CONFIG);
	assert_string_equal(
	    said(), ":2: [account acme]: expected text, no control character, found \"\\x00\"");
	assert_int_equal(load_bytes(alone, sizeof(alone) - 1), RC_CONFIG);
	assert_string_equal(
	    said(), ":2: [account acme]: expected text, no control character, found \"\\x00\"");
}

/* A file whose third line has n bytes, made of one value or one comment. */
static enum rc
load_long(const char *begin, size_t n)
{
	struct buf b = BUF_INIT(CONF_FILE_MAX);
	enum rc rc;

	buf_str(&b, ONE "[spool]\n");
	buf_str(&b, begin);
	for (size_t i = strlen(begin); i < n; i++)
		buf_str(&b, i % 2 != 0 ? " " : "x");
	buf_str(&b, "\nretention = 8d\n");
	rc = load_bytes(b.p, b.n);
	buf_free(&b);
	return rc;
}

static void
long_lines(void **state)
{
	(void)state;
	assert_int_equal(load_long("allow_fs = ", CONF_LINE), RC_OK);
	/* A blank begins the value and another one ends it. */
	assert_int_equal(strlen(conf->spool.allow_fs), CONF_LINE - strlen("allow_fs = ") - 2);
	assert_int_equal(conf->spool.retention, INT64_C(8) * 86400000);
	assert_int_equal(load_long("#", CONF_LINE), RC_OK);
	assert_int_equal(load_long("allow_fs = ", CONF_LINE + 1), RC_CONFIG);
	assert_string_equal(
	    said(), ":3: [spool]: expected a line of at most 4096 bytes, found 4097");
	assert_int_equal(load_long("#", CONF_LINE + 1), RC_CONFIG);
	assert_string_equal(
	    said(), ":3: [spool]: expected a line of at most 4096 bytes, found 4097");
	assert_int_equal(load_long("  ", 100000), RC_CONFIG);
	assert_int_equal(load_long("[spool", CONF_LINE), RC_CONFIG);
	assert_non_null(strstr(said(), ":3: expected \"[section]\", found \"[spool"));
}

static void
long_file(void **state)
{
	struct buf b = BUF_INIT(CONF_FILE_MAX + 1);

	(void)state;
	buf_str(&b, ONE);
	while (b.n < CONF_FILE_MAX)
		buf_str(&b, "\n");
	assert_int_equal(load_bytes(b.p, b.n), RC_OK);
	buf_str(&b, "\n");
	assert_int_equal(load_bytes(b.p, b.n), RC_CONFIG);
	assert_string_equal(said(), ": expected at most 1048576 bytes, found 1048577");
	buf_free(&b);
}

/* However long and strange a name or value, a complaint is one printable line. */
static void
found_is_tame(void **state)
{
	struct buf b = BUF_INIT(3 * CONF_LINE);

	(void)state;
	buf_str(&b, ONE "[log]\nlevel = ");
	for (int i = 0; i < 500; i++)
		buf_str(&b, "\xc3\xbc\"%n\\");
	assert_int_equal(load(b.p), RC_CONFIG);
	assert_non_null(strstr(said(), ":3: [log] level: expected one of error"));
	for (const char *p = err.text; *p != '\0'; p++)
		assert_in_range(*p, 0x20, 0x7e);
	assert_true(strlen(said()) < 200);
	buf_clear(&b);
	buf_str(&b, ONE "[log]\n");
	for (int i = 0; i < 3000; i++)
		buf_str(&b, "k");
	buf_str(&b, " = 1\n");
	assert_int_equal(load(b.p), RC_CONFIG);
	assert_non_null(strstr(said(), "kkk...\""));
	buf_free(&b);
}

static void
file_itself(void **state)
{
	char path[160];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/none", folder);
	conf_free(&conf);
	assert_int_equal(conf_load(path, &conf, &err), RC_GONE);
	assert_null(conf);
	assert_int_equal(conf_load(folder, &conf, &err), RC_CONFIG);
	assert_non_null(strstr(err.text, "expected a regular file"));
	assert_int_equal(conf_load("/dev/null", &conf, &err), RC_CONFIG);
	good(ONE);
	(void)snprintf(path, sizeof(path), "%s/link", folder);
	assert_int_equal(symlink(file, path), 0);
	conf_free(&conf);
	assert_int_equal(conf_load(path, &conf, &err), RC_OK);
	assert_int_equal(unlink(path), 0);
}

static void
secret_good(void **state)
{
	struct buf b = BUF_SECRET(100000);
	char path[160];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/link", folder);
	write_file(file, "one\ntwo\n", 8);
	assert_int_equal(chmod(file, 0640), 0);
	assert_int_equal(symlink(file, path), 0);
	buf_str(&b, "<");
	assert_int_equal(conf_secret(file, &b, &err), RC_OK);
	assert_int_equal(conf_secret(path, &b, &err), RC_OK);
	assert_string_equal(b.p, "<one\ntwo\none\ntwo\n");
	buf_wipe(&b);
	assert_int_equal(unlink(path), 0);
}

static void
secret_bad(void **state)
{
	struct buf b = BUF_SECRET(100000), long_one = BUF_INIT(65537);

	(void)state;
	write_file(file, "one", 3);
	assert_int_equal(chmod(file, 0644), 0);
	assert_int_equal(conf_secret(file, &b, &err), RC_CONFIG);
	assert_string_equal(
	    said(), ": expected no access for others (chmod o-rwx), found mode 0644");
	assert_int_equal(chmod(file, 0602), 0);
	assert_int_equal(conf_secret(file, &b, &err), RC_CONFIG);
	assert_int_equal(chmod(file, 0600), 0);
	write_file(file, " \r\n\t\n", 5);
	assert_int_equal(conf_secret(file, &b, &err), RC_CONFIG);
	assert_string_equal(said(), ": expected a secret, found nothing");
	write_file(file, "", 0);
	assert_int_equal(conf_secret(file, &b, &err), RC_CONFIG);
	for (int i = 0; i < 65536; i++)
		buf_str(&long_one, "x");
	write_file(file, long_one.p, long_one.n);
	assert_int_equal(conf_secret(file, &b, &err), RC_OK);
	buf_clear(&b);
	buf_str(&long_one, "x");
	write_file(file, long_one.p, long_one.n);
	assert_int_equal(conf_secret(file, &b, &err), RC_CONFIG);
	assert_int_equal(b.n, 0);
	assert_int_equal(conf_secret(folder, &b, &err), RC_CONFIG);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(conf_secret(file, &b, &err), RC_GONE);
	buf_wipe(&b);
	buf_free(&long_one);
}

static void
table(void **state)
{
	char expect[CONF_EXPECT];

	(void)state;
	assert_in_range(conf_nkeys, 40, CONF_KEYS);
	for (size_t i = 0; i < conf_nkeys; i++) {
		const struct conf_key *k = &conf_keys[i];
		size_t n = strlen(k->help);

		conf_value_expect(k, expect);
		assert_true(strlen(expect) > 0 && strlen(expect) < CONF_EXPECT - 1);
		assert_true(k->def != NULL || k->example != NULL);
		assert_true(k->def == NULL || k->otherwise == NULL);
		assert_int_equal(k->help[n - 1], '.');
		for (size_t j = 0; j < i; j++)
			assert_false(conf_keys[j].section == k->section &&
				     str_eq(conf_keys[j].name, k->name));
	}
}

/* What conf_print_* writes, in memory to be freed. */
static char *
printed(void (*print)(FILE *))
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(f);
	print(f);
	assert_int_equal(fclose(f), 0);
	return text;
}

/* The sample with its keys and sections made active: "#key", not "# words". */
static void
uncomment(char *text, size_t *count)
{
	bool start = true;
	char *to = text;

	for (*count = 0; *text != '\0'; text++) {
		if (start && *text == '#' && text[1] != ' ' && text[1] != '\n') {
			++*count;
		} else {
			*to++ = *text;
		}
		start = *text == '\n';
	}
	*to = '\0';
}

static void
sample(void **state)
{
	char *text = printed(conf_print_sample), *defaults_too = strdup(text);
	struct buf b = BUF_INIT(CONF_FILE_MAX);
	const struct conf_account *a;
	size_t count;

	(void)state;
	assert_non_null(defaults_too);
	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
		assert_true(strcspn(line, "\n") <= 100 + sizeof(SPOOLDIR) ||
			    str_begins(line, "#subscription_body = "));
	/* As it is, it lacks only an account. */
	bad(text, ": no [account NAME] section");
	uncomment(text, &count);
	assert_int_equal(count, conf_nkeys + 2);
	good(text);
	assert_int_equal(conf->naccounts, 1);
	assert_int_equal(conf->ncallbacks, 1);
	a = conf_account(conf, "acme");
	assert_non_null(a);
	assert_int_equal(conf_account_complete(a, &err), RC_OK);
	assert_int_equal(conf->spool.retention, INT64_C(30) * 86400000);
	buf_fmt(&b, "%s" ONE, defaults_too);
	good(b.p);
	assert_string_equal(conf->spool.directory, SPOOLDIR);
	buf_free(&b);
	free(defaults_too);
	free(text);
}

/* Every key once, no line that roff takes for a request of its own. */
static void
mdoc(void **state)
{
	char *text = printed(conf_print_mdoc);
	size_t items = 0, lists_open = 0;

	(void)state;
	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
		assert_true(strcspn(line, "\n") <= 80 || strcspn(line, " \n") > 80);
		if (str_begins(line, ".It Ic "))
			items++;
		else if (str_begins(line, ".Bl "))
			lists_open++;
		else if (str_begins(line, ".El"))
			lists_open--;
		else if (line[0] == '.')
			assert_true(str_begins(line, ".Ss The section "));
		assert_int_not_equal(line[0], '\'');
		assert_int_not_equal(line[0], '\n');
	}
	assert_int_equal(items, conf_nkeys);
	assert_int_equal(lists_open, 0);
	free(text);
}

/* The key list in a page, through mandoc where there is one. */
static void
mdoc_lint(void **state)
{
	char page[160], command[200], *text;
	FILE *f;
	int status;

	(void)state;
	if (system("command -v mandoc >/dev/null 2>&1") != 0)
		skip();
	text = printed(conf_print_mdoc);
	(void)snprintf(page, sizeof(page), "%s/page.5", folder);
	assert_non_null(f = fopen(page, "w"));
	(void)fprintf(f,
	    ".Dd March 1, 2026\n.Dt PAGE 5\n.Os\n.Sh NAME\n.Nm page\n.Nd a page\n"
	    ".Sh DESCRIPTION\n%s",
	    text);
	assert_int_equal(fclose(f), 0);
	(void)snprintf(command, sizeof(command), "mandoc -Tlint -Wwarning %s", page);
	status = system(command);
	assert_int_equal(unlink(page), 0);
	free(text);
	assert_int_equal(status, 0);
}

/* No byte of a good file can be changed or cut away so that reading it goes astray. */
static void
mangled(void **state)
{
	static const char text[] = "[account a]\npath = /x ; y\n [callback C.D]\nlink=/z\n"
				   "[daemon]\nretry_min: 5s\n";
	static const char put[] = {'\0', '\n', ' ', '[', ']', ';', '=', '\x80', '/'};
	char t[sizeof(text)];

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		for (size_t j = 0; j < sizeof(put); j++) {
			enum rc rc;

			memcpy(t, text, sizeof(t));
			t[i] = put[j];
			rc = load_bytes(t, sizeof(t) - 1);
			assert_true(rc == RC_OK || rc == RC_CONFIG);
			assert_true((rc == RC_OK) == (conf != NULL));
			assert_true(rc == RC_OK || strlen(said()) > 5);
		}
		(void)!load_bytes(text, i);
	}
}

static int
setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	(void)snprintf(folder, sizeof(folder), "%.40s/t_conf.XXXXXX",
	    tmp != NULL && strlen(tmp) <= 40 ? tmp : "/tmp");
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(file, sizeof(file), "%s/conf", folder);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	conf_free(&conf);
	conf_free(&conf);
	(void)unlink(file);
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(alarm_defaults),
	    cmocka_unit_test(whole_account),
	    cmocka_unit_test(callbacks),
	    cmocka_unit_test(long_kind),
	    cmocka_unit_test(numbers),
	    cmocka_unit_test(durations),
	    cmocka_unit_test(retry_limits),
	    cmocka_unit_test(choices),
	    cmocka_unit_test(paths),
	    cmocka_unit_test(words),
	    cmocka_unit_test(urls_taken),
	    cmocka_unit_test(urls_refused),
	    cmocka_unit_test(lists),
	    cmocka_unit_test(templates),
	    cmocka_unit_test(sections),
	    cmocka_unit_test(keys),
	    cmocka_unit_test(accounts),
	    cmocka_unit_test(openid),
	    cmocka_unit_test(openid_values),
	    cmocka_unit_test(openid_together),
	    cmocka_unit_test(claim_divided),
	    cmocka_unit_test(many_sections),
	    cmocka_unit_test(comments),
	    cmocka_unit_test(indented),
	    cmocka_unit_test(line_ends),
	    cmocka_unit_test(nul_bytes),
	    cmocka_unit_test(long_lines),
	    cmocka_unit_test(long_file),
	    cmocka_unit_test(found_is_tame),
	    cmocka_unit_test(file_itself),
	    cmocka_unit_test(secret_good),
	    cmocka_unit_test(secret_bad),
	    cmocka_unit_test(table),
	    cmocka_unit_test(sample),
	    cmocka_unit_test(mdoc),
	    cmocka_unit_test(mdoc_lint),
	    cmocka_unit_test(mangled),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
