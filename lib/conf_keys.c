/*
 * SPDX-License-Identifier: ISC
 *
 * conf_keys - the table of sections and keys; see conf_keys.h.
 *
 * A key exists by its row here: parser, default, sample file and manual page follow.
 */
#include "config.h"

#include "conf_keys.h"

#define SPOOL CONF_IN_SPOOL
#define RECEIVER CONF_IN_RECEIVER
#define STATUS CONF_IN_STATUS
#define DAEMON CONF_IN_DAEMON
#define ACCOUNT CONF_IN_ACCOUNT
#define CALLBACK CONF_IN_CALLBACK
#define IN_CONF(m) offsetof(struct conf, m)
#define IN_ACCOUNT(m) offsetof(struct conf_account, m)
#define IN_CALLBACK(m) offsetof(struct conf_callback, m)

const struct conf_section conf_sections[CONF_SECTIONS] = {
    [CONF_IN_SPOOL] = {.name = "spool",
	.help = "The queue that receiver, daemon and operator share."},
    [CONF_IN_RECEIVER] = {.name = "receiver", .help = "What arken.fcgi does alone."},
    [CONF_IN_STATUS] = {.name = "status",
	.help = "What arken.fcgi tells about itself to those who watch over it."},
    [CONF_IN_DAEMON] = {.name = "daemon", .help = "What spoold does alone."},
    [CONF_IN_LOG] = {.name = "log", .help = "What the programs say, and where."},
    [CONF_IN_ACCOUNT] = {.name = "account",
	.title = "NAME",
	.example = "acme",
	.help = "One Arken account. At least one is needed. Its name is 1 to 32 of a-z, 0-9, "
		"_ and -, and is part of file names: choose it once."},
    [CONF_IN_CALLBACK] = {.name = "callback",
	.title = "KIND",
	.example = "Client",
	.help =
	    "How the API is asked about an event, where that differs from the default. The "
	    "kind is a category (Client) or a category and a type (Client.Update); the more "
	    "exact one wins."},
};

static const struct conf_word switches[] = {{"off", CONF_OFF}, {"on", CONF_ON}, {NULL, 0}};

static const struct conf_word formats[] = {{"kv", LOG_KV}, {"json", LOG_JSON}, {NULL, 0}};

static const struct conf_word documents[] = {
    {"off", CONF_NO_DOCUMENT}, {"put", CONF_PUT}, {NULL, 0}};

static const struct conf_word targets[] = {
    {"auto", LOG_AUTO}, {"stderr", LOG_STDERR}, {"journal", LOG_JOURNAL}, {NULL, 0}};

static const struct conf_word on_delete[] = {
    {"keep", CONF_KEEP}, {"remove", CONF_REMOVE}, {NULL, 0}};

static const struct conf_word levels[] = {{"error", LOG_ERROR}, {"warn", LOG_WARN},
    {"note", LOG_NOTE}, {"info", LOG_INFO}, {"trace", LOG_TRACE}, {NULL, 0}};

const struct conf_key conf_keys[] = {
    {SPOOL, "directory", CONF_T_PATH, IN_CONF(spool.directory), .def = SPOOLDIR,
	.help = "The folder of the queue, on a local disk."},
    {SPOOL, "group", CONF_T_GROUP, IN_CONF(spool.group), .def = "arkenspool",
	.help = "The group that owns the queue; receiver and daemon are both in it."},
    {SPOOL, "retention", CONF_T_DURATION, IN_CONF(spool.retention), .def = "30d", .min = "7d",
	.max = "3650d",
	.help = "How long finished events, unreadable requests and the log are kept. Finished "
		"events are also the memory by which a repeated one is recognised."},
    {SPOOL, "min_free", CONF_T_SIZE, IN_CONF(spool.min_free), .def = "256M", .min = "0",
	.max = "65536G",
	.help = "With less room on the disk, new events are answered 503. Documents are "
		"downloaded only while twice as much would be left on the store's disk."},
    {SPOOL, "min_inodes", CONF_T_NUMBER, IN_CONF(spool.min_inodes), .def = "1000", .min = "0",
	.max = "1000000000", .help = "With fewer free inodes, new events are answered 503."},
    {SPOOL, "queue_limit", CONF_T_NUMBER, IN_CONF(spool.queue_limit), .def = "1000000",
	.min = "1", .max = "100000000",
	.help = "With more events waiting, new ones are answered 503."},
    {SPOOL, "rejected_limit", CONF_T_NUMBER, IN_CONF(spool.rejected_limit), .def = "1000",
	.min = "1", .max = "1000000",
	.help = "With more unreadable requests kept, further ones are answered 503."},
    {SPOOL, "max_body", CONF_T_SIZE, IN_CONF(spool.max_body), .def = "10M", .min = "1K",
	.max = "64M",
	.help = "The longest request body that is taken. Longer ones are answered 413."},
    {SPOOL, "allow_fs", CONF_T_FILESYSTEMS, IN_CONF(spool.allow_fs), .example = "tmpfs",
	.help = "Memory and network file systems the queue may be on all the same. What is "
		"promised about power cuts does not hold there."},

    {RECEIVER, "threads", CONF_T_NUMBER, IN_CONF(receiver.threads), .def = "16", .min = "1",
	.max = "512",
	.help = "Requests handled at the same time. Half as many more wait for two seconds at "
		"most; the rest are answered 503."},
    {RECEIVER, "memory", CONF_T_SIZE, IN_CONF(receiver.memory), .def = "256M", .min = "8M",
	.max = "64G",
	.help = "Memory for the bodies of all requests together and their parsed form. It is "
		"never less than 8 times max_body. With more wanted, a request waits for two "
		"seconds at most and is then answered 503."},

    {STATUS, "path", CONF_T_URL_PATH, IN_CONF(status.path), .def = "/arken/status",
	.max = "256",
	.help = "The path below which are healthz (200 or 503: are events taken?) and metrics "
		"(for Prometheus). No account is posted to at it or below it."},
    {STATUS, "token_file", CONF_T_PATH, IN_CONF(status.token_file),
	.example = SYSCONFDIR "/arkenspool/status.token",
	.help =
	    "The file with the token for metrics, one on each line, all of them valid, as "
	    "bearer token or as password of any user. Without it there are no metrics, and "
	    "healthz says nothing but well or unwell. Others than owner and group may have no "
	    "access to it."},

    {DAEMON, "state", CONF_T_PATH, IN_CONF(daemon.state), .def = STATEDIR,
	.help = "The folder of the daemon's own files, such as the API token."},
    {DAEMON, "store", CONF_T_PATH, IN_CONF(daemon.store), .def = STATEDIR "/store",
	.help = "The folder that records and documents are put in."},
    {DAEMON, "active_limit", CONF_T_NUMBER, IN_CONF(daemon.active_limit), .def = "20000",
	.min = "1", .max = "1000000",
	.help = "Events held in memory at most. The rest wait on disk."},
    {DAEMON, "concurrency", CONF_T_NUMBER, IN_CONF(daemon.concurrency), .def = "8", .min = "1",
	.max = "256",
	.help =
	    "Events worked on at the same time, besides those whose documents are fetched."},
    {DAEMON, "tries", CONF_T_NUMBER, IN_CONF(daemon.tries), .def = "10", .min = "1",
	.max = "1000",
	.help = "After so many failures an event waits in failed for a person. An API that is "
		"down does not count as a failure."},
    {DAEMON, "retry_min", CONF_T_DURATION, IN_CONF(daemon.retry_min), .def = "10s",
	.min = "100ms", .max = "1d",
	.help =
	    "The longest pause before the second try; it doubles with every further one. The "
	    "shortest is half of it."},
    {DAEMON, "retry_max", CONF_T_DURATION, IN_CONF(daemon.retry_max), .def = "1h",
	.min = "100ms", .max = "7d",
	.help = "The longest pause between two tries. Not less than retry_min."},
    {DAEMON, "retry_age", CONF_T_DURATION, IN_CONF(daemon.retry_age), .def = "7d", .min = "1m",
	.max = "365d",
	.help = "An event whose failed tries and the pauses after them add up to more than "
		"this goes "
		"to failed. Time in which the API, the disk or the daemon was down does not "
		"count."},
    {DAEMON, "rescan", CONF_T_DURATION, IN_CONF(daemon.rescan), .def = "60s", .min = "1s",
	.max = "1h", .help = "How often the queue is read anew, whatever notifications said."},
    {DAEMON, "connect_timeout", CONF_T_DURATION, IN_CONF(daemon.connect_timeout), .def = "10s",
	.min = "1s", .max = "10m", .help = "How long a connection may take to come about."},
    {DAEMON, "api_timeout", CONF_T_DURATION, IN_CONF(daemon.api_timeout), .def = "60s",
	.min = "1s", .max = "1h",
	.help = "How long a call to the API or for a token may take in all."},
    {DAEMON, "stall_timeout", CONF_T_DURATION, IN_CONF(daemon.stall_timeout), .def = "60s",
	.min = "1s", .max = "1h",
	.help = "A download is given up when nothing has come for so long."},
    {DAEMON, "keys_refresh", CONF_T_DURATION, IN_CONF(daemon.keys_refresh), .def = "1h",
	.min = "1m", .max = "7d",
	.help =
	    "How often an account's OpenID Connect issuer is asked for its keys. A token "
	    "with a key that is not known makes spoold ask at once, at most once a minute."},
    {DAEMON, "stop_grace", CONF_T_DURATION, IN_CONF(daemon.stop_grace), .def = "10s",
	.min = "0", .max = "10m",
	.help = "How long a stop waits for hooks that run, before they are ended."},
    {DAEMON, "reconcile_every", CONF_T_DURATION, IN_CONF(daemon.reconcile_every), .def = "1h",
	.min = "1m", .max = "7d",
	.help = "How often an account's event feed is compared with what the webhook brought."},
    {DAEMON, "reconcile_grace", CONF_T_DURATION, IN_CONF(daemon.reconcile_grace), .def = "15m",
	.min = "1s", .max = "1d",
	.help = "An event of the feed that is younger than this is not missed yet."},
    {DAEMON, "max_record", CONF_T_SIZE, IN_CONF(daemon.max_record), .def = "10M", .min = "1K",
	.max = "64M", .help = "The largest answer taken from the API."},
    {DAEMON, "max_document", CONF_T_SIZE, IN_CONF(daemon.max_document), .def = "1G",
	.min = "1K", .max = "1024G", .help = "The largest document that is downloaded."},
    {DAEMON, "downloads", CONF_T_NUMBER, IN_CONF(daemon.downloads), .def = "4", .min = "1",
	.max = "256",
	.help = "Documents fetched at the same time, besides the events that concurrency "
		"allows. The others wait; the one whose link ends first comes first."},
    {DAEMON, "downloads_per_host", CONF_T_NUMBER, IN_CONF(daemon.downloads_per_host),
	.def = "4", .min = "1", .max = "256",
	.help = "Documents downloaded from one host at the same time."},
    {DAEMON, "download_timeout", CONF_T_DURATION, IN_CONF(daemon.download_timeout), .def = "6h",
	.min = "1m", .max = "7d",
	.help = "How long a download may take in all. What came by then is kept, and the next "
		"try goes on from there if the host says that it is the same document."},
    {DAEMON, "bandwidth", CONF_T_SIZE, IN_CONF(daemon.bandwidth), .def = "0", .min = "0",
	.max = "1024G",
	.help = "Bytes a second that all downloads may take together, shared evenly by those "
		"that can use it. With 0 there is no limit."},
    {DAEMON, "status_every", CONF_T_DURATION, IN_CONF(daemon.status_every), .def = "5s",
	.min = "1s", .max = "1m",
	.help = "How often status.json is written in the queue's folder while something "
		"happens; else it is once a minute."},
    {DAEMON, "alarm_command", CONF_T_COMMAND, IN_CONF(daemon.alarm_command),
	.example = "/usr/local/lib/arkenspool/alarm",
	.help = "A program that is run once when an alarm begins and once when it ends, and "
		"is told which as JSON on its standard input. No shell is involved. Which "
		"alarms there are is in spoold(8)."},
    {DAEMON, "alarm_timeout", CONF_T_DURATION, IN_CONF(daemon.alarm_timeout), .def = "30s",
	.min = "100ms", .max = "10m", .help = "How long alarm_command may run."},
    {DAEMON, "target_limit", CONF_T_DURATION, IN_CONF(daemon.target_limit), .def = "15m",
	.min = "1s", .max = "7d",
	.help = "The API, a document host, a hook or a forward that is down for longer is an "
		"alarm. One that is paused because of its configuration is so at once."},
    {DAEMON, "refused_limit", CONF_T_NUMBER, IN_CONF(daemon.refused_limit), .def = "20",
	.min = "0", .max = "1000000000",
	.help = "More requests without valid credentials (401) than this within "
		"refused_window are an alarm. With 0 there is none."},
    {DAEMON, "refused_window", CONF_T_DURATION, IN_CONF(daemon.refused_window), .def = "5m",
	.min = "1s", .max = "1d", .help = "See refused_limit."},
    {DAEMON, "certificate_limit", CONF_T_DURATION, IN_CONF(daemon.certificate_limit),
	.def = "14d", .min = "0", .max = "3650d",
	.help = "A certificate of the API, a token endpoint, an issuer or a forward that ends "
		"sooner than this is an alarm."},

    {CONF_IN_LOG, "format", CONF_T_CHOICE, IN_CONF(log.format), .def = "kv", .words = formats,
	.help = "How a line is written: pairs of key=value, or one JSON object."},
    {CONF_IN_LOG, "target", CONF_T_CHOICE, IN_CONF(log.target), .def = "auto", .words = targets,
	.help = "Where lines go. With auto it is the journal if systemd connected it, else the "
		"standard error output."},
    {CONF_IN_LOG, "level", CONF_T_CHOICE, IN_CONF(log.level), .def = "info", .words = levels,
	.help = "The least important lines that are still written."},

    {ACCOUNT, "path", CONF_T_URL_PATH, IN_ACCOUNT(path), .otherwise = "/arken/NAME",
	.max = "256", .example = "/arken/acme",
	.help =
	    "The path of the URL that Arken posts events to. No two accounts have the same."},
    {ACCOUNT, "public_url", CONF_T_URL, IN_ACCOUNT(public_url),
	.example = "https://webhook.example.com/arken/acme",
	.help = "The whole URL that Arken posts events to, as it is seen from outside. Only "
		"spoolctl uses it."},
    {ACCOUNT, "hash_id", CONF_T_WORD, IN_ACCOUNT(hash_id), .max = "64",
	.example = "2xLbJcTzZVvHdBgyMHkQZ0",
	.help = "The account's hash identifier at Arken. Events of another account are refused "
		"where it is given."},
    {ACCOUNT, "secret_header", CONF_T_HEADER, IN_ACCOUNT(secret_header),
	.example = "X-Arken-Secret",
	.help =
	    "The header in which Arken sends the secret. It needs secret_file. With neither "
	    "secret_header nor issuer the account refuses every request; with both, a secret "
	    "or a token suffices."},
    {ACCOUNT, "secret_file", CONF_T_PATH, IN_ACCOUNT(secret_file),
	.example = SYSCONFDIR "/arkenspool/acme.secret",
	.help =
	    "The file with the secret, one on each line, all of them valid. Others than owner "
	    "and group may have no access to it. It is read again when it changes."},
    {ACCOUNT, "issuer", CONF_T_ISSUER, IN_ACCOUNT(issuer), .max = "511",
	.example = "https://id.example.com/",
	.help =
	    "The OpenID Connect issuer from which Arken gets the bearer token that it sends. "
	    "It is compared with the iss claim character by character, so a / at its end "
	    "counts. It needs audience."},
    {ACCOUNT, "audience", CONF_T_TEXT, IN_ACCOUNT(audience), .max = "256",
	.example = "https://hooks.example.com/arken",
	.help = "What stands in the aud claim of a token that is for this account: the whole "
		"claim or one of its list."},
    {ACCOUNT, "jwks_url", CONF_T_URL, IN_ACCOUNT(jwks_url),
	.otherwise = "what the issuer's discovery document says",
	.example = "https://id.example.com/keys",
	.help =
	    "Where the issuer's keys (a JWK set) are. spoold fetches them; the receiver has "
	    "no need of a network."},
    {ACCOUNT, "issuer_ca_file", CONF_T_PATH, IN_ACCOUNT(issuer_ca_file),
	.otherwise = "those of the system", .example = "/etc/ssl/certs/ca-certificates.crt",
	.help = "The certificate authorities (PEM) that may vouch for the issuer."},
    {ACCOUNT, "algorithms", CONF_T_ALGORITHMS, IN_ACCOUNT(algorithms), .def = CONF_ALGORITHMS,
	.help = "The signature algorithms a token may have."},
    {ACCOUNT, "token_types", CONF_T_TYPES, IN_ACCOUNT(token_types), .def = "JWT at+jwt none",
	.help = "What the typ header of a token may say, in any case and perhaps with "
		"\"application/\" before it. The word none stands for a token without typ."},
    {ACCOUNT, "require", CONF_T_CLAIMS, IN_ACCOUNT(require), .example = "sub:arken-webhooks",
	.help = "Further claims a token has to have, all of them. A claim is a string that is "
		"the value or a list that has it; in scope it may be one word among others."},
    {ACCOUNT, "token_lifetime", CONF_T_DURATION, IN_ACCOUNT(token_lifetime), .def = "24h",
	.min = "1m", .max = "365d",
	.help =
	    "A token that is good for longer, from iat or else from now to exp, is refused."},
    {ACCOUNT, "token_leeway", CONF_T_DURATION, IN_ACCOUNT(token_leeway), .def = "60s",
	.min = "0", .max = "10m",
	.help = "How far the clocks of the issuer and of this machine may be apart."},
    {ACCOUNT, "keys_max_age", CONF_T_DURATION, IN_ACCOUNT(keys_max_age), .def = "7d",
	.min = "1m", .max = "365d",
	.help = "How long the issuer's keys stay valid while it cannot be reached. With older "
		"ones tokens are answered 503."},
    {ACCOUNT, "api", CONF_T_BASE, IN_ACCOUNT(api), .example = "https://api.sandbox.arken.legal",
	.help =
	    "The base of the API's URLs. It, token_url, client_id and client_secret_file are "
	    "needed by spoold, not by the receiver."},
    {ACCOUNT, "token_url", CONF_T_URL, IN_ACCOUNT(token_url),
	.example = "https://pre-arkenlegal.au.auth0.com/oauth/token",
	.help = "Where a token for the API is asked for."},
    {ACCOUNT, "client_id", CONF_T_TEXT, IN_ACCOUNT(client_id), .max = "256",
	.example = "a1B2c3D4e5F6g7H8",
	.help = "The client id that Arken gave to this integrator."},
    {ACCOUNT, "client_secret_file", CONF_T_PATH, IN_ACCOUNT(client_secret_file),
	.example = SYSCONFDIR "/arkenspool/acme.client",
	.help =
	    "The file with the client secret. Others than owner and group may have no access "
	    "to it."},
    {ACCOUNT, "token_audience", CONF_T_TEXT, IN_ACCOUNT(token_audience),
	.otherwise = "the value of api", .max = "256",
	.example = "https://api.sandbox.arken.legal",
	.help = "The audience that is asked for with a token."},
    {ACCOUNT, "ca_file", CONF_T_PATH, IN_ACCOUNT(ca_file), .otherwise = "those of the system",
	.example = "/etc/ssl/certs/ca-certificates.crt",
	.help = "The certificate authorities (PEM) that may vouch for the API, the host of "
		"token_url and the hosts of documents."},
    {ACCOUNT, "subscription_post", CONF_T_CALL, IN_ACCOUNT(subscription_post),
	.def = "/Event/Subscription",
	.help = "The call that makes a subscription (POST) or replaces it (PUT)."},
    {ACCOUNT, "subscription_get", CONF_T_CALL, IN_ACCOUNT(subscription_get),
	.def = "/Event/Subscription?accountHashId={accountHashId}",
	.help = "The call that shows the subscription (GET) or ends it (DELETE)."},
    {ACCOUNT, "subscription_body", CONF_T_BODY, IN_ACCOUNT(subscription_body),
	.def = "{\"accountHashId\":\"{accountHashId}\",\"callbackUrl\":\"{callbackUrl}\", "
	       "\"callbackVersion\":\"{callbackVersion}\", "
	       "\"secretHeader\":{\"name\":\"{headerName}\",\"value\":\"{headerValue}\"}, "
	       "\"openIdConnect\":{\"authUrl\":\"{tokenUrl}\",\"clientId\":\"{clientId}\", "
	       "\"clientSecret\":\"{clientSecret}\",\"audience\":\"{audience}\"}}",
	.help = "What is sent to subscribe. Whatever has a placeholder without a value is left "
		"out, and an object that nothing is left of too."},
    {ACCOUNT, "subscription_version", CONF_T_WORD, IN_ACCOUNT(subscription_version),
	.max = "64", .example = "1",
	.help = "The version of the callback API that is asked for."},
    {ACCOUNT, "subscription_token_url", CONF_T_URL, IN_ACCOUNT(subscription_token_url),
	.example = "https://id.example.com/token",
	.help = "Where Arken is to get its bearer token: the token endpoint of issuer. Needed "
		"to subscribe with OpenID Connect, as the next two are."},
    {ACCOUNT, "subscription_client_id", CONF_T_TEXT, IN_ACCOUNT(subscription_client_id),
	.max = "256", .example = "arken-webhooks", .help = "Arken's client id at the issuer."},
    {ACCOUNT, "subscription_client_secret_file", CONF_T_PATH,
	IN_ACCOUNT(subscription_client_secret_file),
	.example = SYSCONFDIR "/arkenspool/acme.issuer",
	.help = "The file with Arken's client secret at the issuer; only spoolctl reads it. "
		"Others than owner and group may have no access to it."},
    {ACCOUNT, "reconcile", CONF_T_CHOICE, IN_ACCOUNT(reconcile), .def = "on", .words = switches,
	.help =
	    "Whether the account's event feed is compared with what the webhook brought. It "
	    "needs hash_id. A feed that is not there is not asked again until a start or a "
	    "reload."},
    {ACCOUNT, "feed_info", CONF_T_FEED, IN_ACCOUNT(feed_info),
	.def = "/event/info?accountHashId={accountHashId}",
	.help = "The call that tells the latest event of the feed."},
    {ACCOUNT, "feed_page", CONF_T_FEED, IN_ACCOUNT(feed_page),
	.def =
	    "/event?accountHashId={accountHashId}&eventPositionFrom={from}&rowsReturned={rows}"
	    "&direction=backward",
	.help = "The call for a page of the feed: the events from a number backward."},
    {ACCOUNT, "silence_limit", CONF_T_DURATION, IN_ACCOUNT(silence_limit), .def = "7d",
	.min = "0", .max = "365d",
	.help = "No event by the webhook for longer than this is an alarm. With 0 there is "
		"none."},
    {ACCOUNT, "document_hosts", CONF_T_HOSTS, IN_ACCOUNT(document_hosts),
	.def = "s3.amazonaws.com *.s3.amazonaws.com s3.*.amazonaws.com *.s3.*.amazonaws.com",
	.help =
	    "The hosts that documents may be downloaded from. An asterisk stands for one part "
	    "of a name; without a port it is 443."},
    {ACCOUNT, "document_networks", CONF_T_NETWORKS, IN_ACCOUNT(document_networks),
	.example = "10.20.0.0/16 fd00::/8",
	.help = "Private networks that documents may be downloaded from all the same."},
    {ACCOUNT, "on_delete", CONF_T_CHOICE, IN_ACCOUNT(on_delete), .def = "keep",
	.words = on_delete,
	.help = "What becomes of an object's record and documents in the store when it was "
		"deleted at Arken. A tombstone is left in either case."},

    {ACCOUNT, "hook", CONF_T_COMMAND, IN_ACCOUNT(hook),
	.example = "/usr/local/lib/crm/arken-hook --verbose",
	.help = "A program that is run for each event once its record and document are in the "
		"store, with arguments that never change. No shell is involved. What it is "
		"told and what its exit status means is in integration.md."},
    {ACCOUNT, "hook_timeout", CONF_T_DURATION, IN_ACCOUNT(hook_timeout), .def = "60s",
	.min = "100ms", .max = "1d", .help = "How long a hook may run before it is ended."},
    {ACCOUNT, "forward", CONF_T_URL, IN_ACCOUNT(forward),
	.example = "https://crm.example.com/arken",
	.help =
	    "Each event is posted there with its record, signed as Standard Webhooks, after "
	    "the hook if there is one. It needs forward_secret_file. Redirects are not "
	    "followed. What is sent and what an answer means is in integration.md."},
    {ACCOUNT, "forward_secret_file", CONF_T_PATH, IN_ACCOUNT(forward_secret_file),
	.example = SYSCONFDIR "/arkenspool/acme.forward",
	.help =
	    "The file with the secret that requests are signed with, one on each line; each "
	    "signs, so that a change needs no gap. A secret is whsec_ and base64, or the "
	    "line as it is. Others than owner and group may have no access to it."},
    {ACCOUNT, "forward_timeout", CONF_T_DURATION, IN_ACCOUNT(forward_timeout), .def = "30s",
	.min = "1s", .max = "1h",
	.help =
	    "How long a forward may take in all. A document that is put may take as long as "
	    "it moves (stall_timeout)."},
    {ACCOUNT, "forward_ca_file", CONF_T_PATH, IN_ACCOUNT(forward_ca_file),
	.otherwise = "those of the system", .example = "/etc/ssl/certs/crm-ca.pem",
	.help = "The certificate authorities (PEM) that may vouch for the host of forward."},
    {ACCOUNT, "forward_document", CONF_T_CHOICE, IN_ACCOUNT(forward_document), .def = "off",
	.words = documents,
	.help = "Whether a document itself is sent too, by PUT, before its event is posted. It "
		"needs forward and forward_document_url."},
    {ACCOUNT, "forward_document_url", CONF_T_URL_TEMPLATE, IN_ACCOUNT(forward_document_url),
	.example = "https://crm.example.com/documents/{documentHashId}?digest={sha256}",
	.help = "Where a document is put. A placeholder is replaced by what the event says."},

    {CALLBACK, "get", CONF_T_TEMPLATE, IN_CALLBACK(get),
	.otherwise = "the call that is known for the kind",
	.example = "/client?accountHashId={accountHashId}&clientHashId={clientHashId}",
	.help = "Path and query below the account's api. A placeholder is replaced by what the "
		"event says."},
    {CALLBACK, "link", CONF_T_POINTER, IN_CALLBACK(link),
	.otherwise = "the first https URL on a host of document_hosts", .example = "/data/url",
	.help = "Where in the API's answer the link to the document stands."},
    {CALLBACK, "updated", CONF_T_POINTER, IN_CALLBACK(updated), .otherwise = "/updatedOn",
	.example = "/data/changed",
	.help =
	    "Where in the API's answer the time of the record's last change stands. An answer "
	    "that is older than the record in the store does not replace it."},
    {CALLBACK, "object", CONF_T_POINTER, IN_CALLBACK(object),
	.otherwise = "the member, property or parameter of the kind's name",
	.example = "/data/id",
	.help = "Where in the event the hash id of the object that it is about stands."},
};

const size_t conf_nkeys = sizeof(conf_keys) / sizeof(conf_keys[0]);

_Static_assert(sizeof(conf_keys) / sizeof(conf_keys[0]) <= CONF_KEYS, "raise CONF_KEYS");
_Static_assert(
    sizeof(enum log_level) == sizeof(int) && sizeof(enum log_format) == sizeof(int) &&
	sizeof(enum log_target) == sizeof(int) && sizeof(enum conf_document) == sizeof(int),
    "CONF_T_CHOICE writes an int");
