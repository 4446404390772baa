/*
 * SPDX-License-Identifier: ISC
 *
 * http - one HTTP client for a whole program; see http.h.  The only file that knows libcurl.
 *
 * A guard is asked about the URL, about each address a socket is opened for, and again about
 * the address a request is about to be sent to: connections are shared, and one that was opened
 * for another request must not carry a request whose guard would not have let it be opened.
 */
#include "config.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "clk.h"
#include "hash.h"
#include "http_priv.h"
#include "str.h"

#define AGENT 128                 /* a user agent with its NUL */
#define BEARER_MAX 65536          /* a longer bearer token is refused */
#define FILE_BUFFER (512L * 1024) /* measured: twice the rate of libcurl's default */
#define TIME_MAX (20 * CLK_DAY)   /* fits a long of 32 bits */

struct http {
	CURLM *multi;
	struct http_call *first;
	unsigned running;
	uint64_t bandwidth; /* bytes a second for all files, 0: no limit */
	int64_t shared;     /* clk_mono when it was last shared out */
	int64_t spare;      /* thousandths of bytes that are left of it */
	char agent[AGENT];
	void (*on_certificate)(const char *host, int64_t ends, void *arg); /* NULL: nobody */
	void *certificate_arg;
};

struct http_call {
	struct http *h;
	struct http_call *next;
	CURL *easy;
	struct curl_slist *headers; /* holds the bearer: wiped */
	char *post;                 /* may hold a secret: wiped */
	size_t post_len;
	struct http_upload upload; /* fd -1: none */
	uint64_t sent;             /* bytes of it */
	void (*done)(const struct http_answer *, void *);
	void *arg;
	const struct guard *guard;
	int (*choose)(const struct http_answer *, const char *, size_t, void *);
	bool to_file;     /* it is asked for, or was chosen */
	bool paused;      /* waits for its part of the bandwidth */
	int64_t credit;   /* bytes it may take now; less than 0: it took more */
	int64_t deadline; /* clk_mono when it has to be done, 0: no limit */
	int64_t stall;    /* 0: no limit */
	int64_t moved;    /* clk_mono of the last sign of life */
	curl_off_t up, down;
	unsigned allowed, refused; /* addresses */
	bool connected;            /* the request was about to be sent */
	bool ended;                /* done is being called */
	enum http_stop stop;
	struct http_head head;
	struct http_body body;
	struct http_answer answer;
	char where[300]; /* host, and port unless it is the usual one */
	char said[CURL_ERROR_SIZE];
	char barred[INET6_ADDRSTRLEN]; /* the last address that was refused */
};

/* ---- verdicts ---- */

enum http_fate
http_fate_of(int code)
{
	switch (code) {
	case CURLE_OK:
		return HTTP_ANSWERED;
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
		return HTTP_NO_NAME;
	case CURLE_COULDNT_CONNECT:
	case CURLE_NO_CONNECTION_AVAILABLE:
	case CURLE_QUIC_CONNECT_ERROR:
	case CURLE_PROXY:
		return HTTP_NO_CONNECT;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_ENGINE_NOTFOUND:
	case CURLE_SSL_ENGINE_SETFAILED:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_USE_SSL_FAILED:
	case CURLE_SSL_ENGINE_INITFAILED:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CRL_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
	case CURLE_SSL_INVALIDCERTSTATUS:
	case CURLE_SSL_CLIENTCERT:
		return HTTP_NO_TLS;
	case CURLE_OPERATION_TIMEDOUT:
		return HTTP_STALLED;
	case CURLE_UNSUPPORTED_PROTOCOL: /* also an answer without a status line */
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_HTTP2:
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_SEND_FAIL_REWIND:
	case CURLE_SSL_SHUTDOWN_FAILED:
	case CURLE_AGAIN:
	case CURLE_HTTP2_STREAM:
	case CURLE_HTTP3:
		return HTTP_CUT;
	case CURLE_FILESIZE_EXCEEDED:
		return HTTP_TOO_LARGE;
	case CURLE_URL_MALFORMAT:
	case CURLE_ABORTED_BY_CALLBACK:
		return HTTP_FORBIDDEN;
	default:
		return HTTP_LOCAL;
	}
}

static enum http_fate
call_fate(const struct http_call *c, CURLcode code)
{
	enum http_fate fate = http_fate_of((int)code);

	switch (c->stop) {
	case STOP_ENOUGH:
		return HTTP_ANSWERED;
	case STOP_OVER:
		return HTTP_TOO_LARGE;
	case STOP_HEAD:
		return HTTP_CUT;
	case STOP_LOCAL:
		return HTTP_LOCAL;
	case STOP_GUARD:
		return HTTP_FORBIDDEN;
	case STOP_STALL:
		return HTTP_STALLED;
	case STOP_PART:
		return HTTP_CUT;
	case STOP_LATE:
		return c->connected ? HTTP_STALLED : HTTP_NO_CONNECT;
	case STOP_NOT:
		break;
	}
	if (code == CURLE_OPERATION_TIMEDOUT && !c->connected)
		fate = HTTP_NO_CONNECT;
	/* One line longer than libcurl's limit is reported as lack of memory. */
	if (code == CURLE_OUT_OF_MEMORY && c->connected && !c->head.ended)
		fate = HTTP_CUT;
	/* libcurl takes a head that breaks off after its first line for a whole one. */
	if (fate == HTTP_ANSWERED && (!c->head.ended || c->answer.status == 0))
		fate = HTTP_CUT;
	/* An allowed address that did not answer may do so later, whatever the others are. */
	if (fate == HTTP_NO_CONNECT && c->refused > 0 && c->allowed == 0)
		fate = HTTP_FORBIDDEN;
	return fate;
}

/* ---- what libcurl calls ---- */

static bool
address_ok(struct http_call *c, const struct sockaddr *sa)
{
	if (c->guard == NULL || guard_address(c->guard, sa)) {
		c->allowed++;
		return true;
	}
	c->refused++;
	if (sa->sa_family == AF_INET)
		(void)inet_ntop(AF_INET, &((const struct sockaddr_in *)sa)->sin_addr, c->barred,
		    sizeof(c->barred));
	else
		(void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)sa)->sin6_addr,
		    c->barred, sizeof(c->barred));
	return false;
}

static curl_socket_t
on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct http_call *c = arg;

	if (purpose != CURLSOCKTYPE_IPCXN ||
	    (to->family != AF_INET && to->family != AF_INET6) ||
	    to->addr.sa_family != to->family || !address_ok(c, &to->addr))
		return CURL_SOCKET_BAD;
	/* Close-on-exec, as hooks are started beside this. */
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* The last moment before the request is sent, on a new connection or on one of another call. */
static int
on_ready(void *arg, char *address, char *local, int port, int local_port)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct http_call *c = arg;
	const struct sockaddr *sa = NULL;

	(void)local;
	(void)port;
	(void)local_port;
	c->connected = true;
	c->moved = clk_mono();
	if (c->guard == NULL)
		return CURL_PREREQFUNC_OK;
	if (address != NULL && inet_pton(AF_INET, address, &four.sin_addr) == 1)
		sa = (const struct sockaddr *)&four;
	else if (address != NULL && inet_pton(AF_INET6, address, &six.sin6_addr) == 1)
		sa = (const struct sockaddr *)&six;
	if (sa != NULL && address_ok(c, sa))
		return CURL_PREREQFUNC_OK;
	c->stop = STOP_GUARD;
	return CURL_PREREQFUNC_ABORT;
}

static size_t
on_header(char *p, size_t size, size_t n, void *arg)
{
	struct http_call *c = arg;

	c->moved = clk_mono();
	if (http_head_line(&c->head, &c->answer, p, size * n, clk_wall()))
		return size * n;
	c->stop = STOP_HEAD;
	return 0;
}

/* Where does the body go?  Only the caller knows what this answer would be. */
static enum http_stop
ask_where(struct http_call *c, const char *p, size_t n)
{
	int file = c->choose(&c->answer, p, n, c->arg);

	if (file == -1)
		return STOP_NOT;
	if (file < 0 || http_body_file(&c->body, file, NULL) != RC_OK) {
		c->body.sys = file < 0 ? EIO : ENOMEM;
		return STOP_LOCAL;
	}
	c->to_file = true;
	c->deadline = 0;
	return STOP_NOT;
}

/* The head is known.  A status before the final one (1xx) is none. */
static enum http_stop
body_begin(struct http_call *c, const char *p, size_t n)
{
	struct http_answer *a = &c->answer;
	curl_off_t length = -1;
	long status = 0;
	enum http_stop stop = STOP_NOT;

	if (curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK ||
	    curl_easy_getinfo(c->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length) != CURLE_OK)
		return STOP_LOCAL;
	a->status = status >= 200 ? (int)status : 0;
	a->length = length;
	if (n > 0 && a->status / 100 == 2 && c->choose != NULL)
		stop = ask_where(c, p, n);
	return stop != STOP_NOT ? stop : http_body_begin(&c->body, a, c->head.range);
}

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct http_call *c = arg;

	c->moved = clk_mono();
	if (!c->body.begun)
		c->stop = body_begin(c, p, size * n);
	if (c->stop == STOP_NOT && c->to_file && c->h->bandwidth > 0) {
		if (c->credit <= 0) {
			c->paused = true;
			return CURL_WRITEFUNC_PAUSE;
		}
		c->credit -= (int64_t)(size * n);
	}
	if (c->stop == STOP_NOT)
		c->stop = http_body_add(&c->body, p, size * n);
	return c->stop == STOP_NOT ? size * n : 0;
}

/* The next bytes of a PUT; the file is the caller's, so its offset is left alone. */
static size_t
on_read(char *p, size_t size, size_t n, void *arg)
{
	struct http_call *c = arg;
	uint64_t left = c->upload.size - c->sent;
	size_t most = size * n < left ? size * n : (size_t)left;
	ssize_t k;

	if (most == 0)
		return 0;
	do
		k = pread(c->upload.fd, p, most, (off_t)c->sent);
	while (k < 0 && errno == EINTR);
	if (k <= 0) {
		c->stop = STOP_LOCAL;
		c->body.sys = k < 0 ? errno : EIO;
		return CURL_READFUNC_ABORT;
	}
	c->sent += (uint64_t)k;
	return (size_t)k;
}

/* A connection that was kept for too long breaks at the first byte: from the start again. */
static int
on_seek(void *arg, curl_off_t offset, int origin)
{
	struct http_call *c = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > c->upload.size)
		return CURL_SEEKFUNC_FAIL;
	c->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static int
on_progress(void *arg, curl_off_t dtotal, curl_off_t dnow, curl_off_t utotal, curl_off_t unow)
{
	struct http_call *c = arg;

	(void)dtotal;
	(void)utotal;
	if (dnow != c->down || unow != c->up)
		c->moved = clk_mono();
	c->down = dnow;
	c->up = unow;
	return 0;
}

/* ---- one request ---- */

static void
call_free(struct http_call *c)
{
	curl_easy_cleanup(c->easy);
	for (struct curl_slist *s = c->headers; s != NULL; s = s->next)
		hash_wipe(s->data, strlen(s->data));
	curl_slist_free_all(c->headers);
	if (c->post != NULL)
		hash_wipe(c->post, c->post_len);
	free(c->post);
	http_body_free(&c->body);
	free(c);
}

/* Out of the client's hands; nothing of libcurl calls back any more. */
static void
call_unlink(struct http_call *c)
{
	struct http_call **at = &c->h->first;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->h->running--;
	(void)curl_multi_remove_handle(c->h->multi, c->easy);
}

/* Before any status the library's own words hold nothing of a request or an answer. */
static void
call_say(struct http_call *c)
{
	char said[200] = "", words[140];
	struct http_answer *a = &c->answer;
	long os = 0;

	if (a->fate == HTTP_FORBIDDEN)
		(void)snprintf(said, sizeof(said), "%s", c->barred);
	if (a->fate == HTTP_NO_NAME || a->fate == HTTP_NO_CONNECT || a->fate == HTTP_NO_TLS) {
		(void)curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &os);
		(void)snprintf(said, sizeof(said), "%s%s%.50s",
		    str_escape(words, sizeof(words), c->said, strlen(c->said)),
		    os != 0 ? ": " : "", os != 0 ? strerror((int)os) : "");
	}
	http_say(a, c->where, said, c->stop, c->body.got, c->body.limit);
}

static void
call_judge(struct http_call *c, CURLcode code)
{
	struct http_answer *a = &c->answer;
	char *to = NULL;

	if (!c->body.begun) { /* no body, or none yet; what stopped us before that stays */
		enum http_stop stop = body_begin(c, NULL, 0);

		c->stop = c->stop == STOP_NOT && code == CURLE_OK ? stop : c->stop;
	}
	a->fate = call_fate(c, code);
	a->sys = c->body.sys;
	if (a->fate == HTTP_ANSWERED && !http_body_end(&c->body, a))
		a->fate = HTTP_LOCAL;
	if (a->fate == HTTP_LOCAL && a->sys == 0)
		a->sys = code == CURLE_OUT_OF_MEMORY || code == CURLE_OK ? ENOMEM : 0;
	a->to_file = c->body.to_file;
	a->file_from = a->to_file ? c->body.base : c->body.from;
	a->file_len = a->file_from + (a->to_file ? c->body.got : 0);
	a->body = buf_text(&c->body.memory);
	a->body_len = c->body.memory.n;
	if (a->fate == HTTP_ANSWERED &&
	    curl_easy_getinfo(c->easy, CURLINFO_REDIRECT_URL, &to) == CURLE_OK && to != NULL &&
	    !str_copy(a->location, sizeof(a->location), to))
		a->location[0] = '\0';
	http_head_finish(&c->head, a);
	call_say(c);
}

/* The server's own certificate comes first; without a new connection there is none. */
static void
tell_certificate(const struct http_call *c)
{
	static const char label[] = "Expire date:";
	const struct curl_certinfo *info = NULL;
	const struct curl_slist *line;
	time_t ends;

	if (c->h->on_certificate == NULL || c->guard != NULL ||
	    curl_easy_getinfo(c->easy, CURLINFO_CERTINFO, &info) != CURLE_OK || info == NULL ||
	    info->num_of_certs < 1)
		return;
	for (line = info->certinfo[0]; line != NULL; line = line->next) {
		if (!str_begins(line->data, label) ||
		    (ends = curl_getdate(line->data + strlen(label), NULL)) <= 0)
			continue;
		c->h->on_certificate(
		    c->where, (int64_t)ends * CLK_SECOND, c->h->certificate_arg);
		return;
	}
}

void
http_on_certificate(
    struct http *h, void (*fn)(const char *host, int64_t ends, void *arg), void *arg)
{
	h->on_certificate = fn;
	h->certificate_arg = arg;
}

static void
call_finish(struct http_call *c, CURLcode code)
{
	call_judge(c, code);
	tell_certificate(c);
	call_unlink(c);
	c->ended = true;
	c->done(&c->answer, c->arg);
	call_free(c);
}

static bool
add_header(struct http_call *c, const char *line)
{
	struct curl_slist *more = curl_slist_append(c->headers, line);

	if (more != NULL)
		c->headers = more;
	return more != NULL;
}

static enum rc
add_bearer(struct http_call *c, const char *bearer, struct err *e)
{
	struct buf line = BUF_SECRET(BEARER_MAX);
	enum rc rc = RC_OK;

	for (const char *p = bearer; *p != '\0'; p++)
		if (*p <= ' ' || *p >= 0x7f)
			rc = RC_BAD;
	buf_str(&line, "Authorization: Bearer ");
	buf_str(&line, bearer);
	if (rc != RC_OK || *bearer == '\0' || buf_state(&line, NULL) != RC_OK)
		rc = err_set(e, RC_BAD, "%.200s: the bearer token is no token", c->where);
	else if (!add_header(c, line.p))
		rc = err_set(e, RC_LATER, "%.200s: no memory", c->where);
	buf_wipe(&line);
	return rc;
}

/* A line with a value that came from a peer. */
static bool
add_tag(struct http_call *c, const char *name, const char *tag)
{
	char line[HTTP_VALUE + HTTP_SHORT];

	return (size_t)snprintf(line, sizeof(line), "%s: %s", name, tag) < sizeof(line) &&
	       http_header_ok(line) && add_header(c, line);
}

/* Only the rest, only if it is the same, or only if it is another one. */
static bool
add_conditions(struct http_call *c, const struct http_request *r)
{
	char line[HTTP_SHORT];

	(void)snprintf(line, sizeof(line), "Range: bytes=%" PRIu64 "-", r->from);
	if (r->from > 0 && (!http_etag_strong(r->if_range) || !add_header(c, line) ||
			       !add_tag(c, "If-Range", r->if_range)))
		return false;
	return r->if_none_match == NULL || add_tag(c, "If-None-Match", r->if_none_match);
}

static enum rc
call_headers(struct http_call *c, const struct http_request *r, struct err *e)
{
	if (r->nheaders > HTTP_HEADERS)
		return err_set(
		    e, RC_BAD, "%.200s: more than %d headers", c->where, HTTP_HEADERS);
	for (size_t i = 0; i < r->nheaders; i++) {
		if (!http_header_ok(r->headers[i]))
			return err_set(
			    e, RC_BAD, "%.200s: a header that may not be sent", c->where);
		if (!add_header(c, r->headers[i]))
			return err_set(e, RC_LATER, "%.200s: no memory", c->where);
	}
	if (!add_conditions(c, r))
		return err_set(e, RC_BAD, "%.200s: an ETag that may not be sent", c->where);
	/* No waiting for a 100 that few servers send. */
	if ((r->post != NULL || r->upload != NULL) && !add_header(c, "Expect:"))
		return err_set(e, RC_LATER, "%.200s: no memory", c->where);
	return r->bearer != NULL ? add_bearer(c, r->bearer, e) : RC_OK;
}

static bool
set_long(CURL *z, CURLoption option, long value)
{
	return curl_easy_setopt(z, option, value) == CURLE_OK;
}

static bool
set_ptr(CURL *z, CURLoption option, const void *value)
{
	return curl_easy_setopt(z, option, value) == CURLE_OK;
}

static bool
set_function(CURL *z, CURLoption option, void (*value)(void), CURLoption arg, void *p)
{
	return curl_easy_setopt(z, option, value) == CURLE_OK && set_ptr(z, arg, p);
}

/* What is the same for every request. */
static bool
set_fixed(CURL *z)
{
	static const struct {
		CURLoption option;
		long value;
	} fixed[] = {
		{CURLOPT_FOLLOWLOCATION, 0},
		{CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS},
		{CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
		{CURLOPT_SSL_VERIFYPEER, 1},
		{CURLOPT_SSL_VERIFYHOST, 2},
		{CURLOPT_NOSIGNAL, 1},
		{CURLOPT_NOPROGRESS, 0},
		{CURLOPT_TCP_KEEPALIVE, 1},
#if LIBCURL_VERSION_NUM >= 0x075700
		/* Else the end of a request waits for a name server that does not answer. */
		{CURLOPT_QUICK_EXIT, 1},
#endif
	};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (!set_long(z, fixed[i].option, fixed[i].value))
			return false;
	return set_ptr(z, CURLOPT_PROXY, ""); /* none, whatever the environment says */
}

/* A time for libcurl, where 0 has a meaning of its own. */
static long
as_long(int64_t ms)
{
	return (long)(ms < 1 ? 1 : ms > TIME_MAX ? TIME_MAX : ms);
}

/*
 * The receive buffer of a transfer to a file.  It is what comes at a time, so with a limit it
 * is a sixteenth of what may come in a second.
 */
static long
file_buffer(const struct http *h)
{
	uint64_t n = h->bandwidth / 16;

	if (h->bandwidth == 0 || n > FILE_BUFFER)
		return FILE_BUFFER;
	return n > 1024 ? (long)n : 1024;
}

#define FN(f) ((void (*)(void))(f))

static bool
set_upload(struct http_call *c)
{
	CURL *z = c->easy;

	return set_long(z, CURLOPT_UPLOAD, 1) &&
	       curl_easy_setopt(z, CURLOPT_INFILESIZE_LARGE, (curl_off_t)c->upload.size) ==
		   CURLE_OK &&
	       set_function(z, CURLOPT_READFUNCTION, FN(on_read), CURLOPT_READDATA, c) &&
	       set_function(z, CURLOPT_SEEKFUNCTION, FN(on_seek), CURLOPT_SEEKDATA, c);
}

static bool
set_request(struct http_call *c, const struct http_request *r)
{
	CURL *z = c->easy;

	if (!set_ptr(z, CURLOPT_URL, r->url) || !set_ptr(z, CURLOPT_USERAGENT, c->h->agent) ||
	    !set_ptr(z, CURLOPT_PROTOCOLS_STR, c->guard != NULL ? "https" : "http,https") ||
	    !set_ptr(z, CURLOPT_HTTPHEADER, c->headers))
		return false;
	/* This file instead of the system's, not besides. */
	if (r->ca_file != NULL &&
	    (!set_ptr(z, CURLOPT_CAINFO, r->ca_file) || !set_ptr(z, CURLOPT_CAPATH, NULL)))
		return false;
	if (c->post != NULL &&
	    (!set_long(z, CURLOPT_POSTFIELDSIZE, (long)c->post_len) ||
		!set_ptr(z, CURLOPT_POSTFIELDS, c->post) || !set_long(z, CURLOPT_POST, 1)))
		return false;
	if (c->upload.fd >= 0 && !set_upload(c))
		return false;
	if (c->guard == NULL && !set_long(z, CURLOPT_CERTINFO, 1))
		return false;
	/*
	 * Of an API's many calls at once the first finds out, by its handshake, whether one
	 * connection is enough for all.  Without TLS only its answer would tell.
	 */
	if (c->guard == NULL && r->file < 0 && str_begins(r->url, "https:") &&
	    !set_long(z, CURLOPT_PIPEWAIT, 1))
		return false;
	if (r->method != NULL && !set_ptr(z, CURLOPT_CUSTOMREQUEST, r->method))
		return false;
	if (r->connect_timeout > 0 &&
	    !set_long(z, CURLOPT_CONNECTTIMEOUT_MS, as_long(r->connect_timeout)))
		return false;
	return (r->file < 0 && r->choose == NULL) ||
	       set_long(z, CURLOPT_BUFFERSIZE, file_buffer(c->h));
}

static bool
set_callbacks(struct http_call *c)
{
	CURL *z = c->easy;

	return set_ptr(z, CURLOPT_PRIVATE, c) && set_ptr(z, CURLOPT_ERRORBUFFER, c->said) &&
	       set_function(
		   z, CURLOPT_OPENSOCKETFUNCTION, FN(on_socket), CURLOPT_OPENSOCKETDATA, c) &&
	       set_function(z, CURLOPT_PREREQFUNCTION, FN(on_ready), CURLOPT_PREREQDATA, c) &&
	       set_function(z, CURLOPT_HEADERFUNCTION, FN(on_header), CURLOPT_HEADERDATA, c) &&
	       set_function(z, CURLOPT_WRITEFUNCTION, FN(on_body), CURLOPT_WRITEDATA, c) &&
	       set_function(
		   z, CURLOPT_XFERINFOFUNCTION, FN(on_progress), CURLOPT_XFERINFODATA, c);
}

/* The plain members, which cannot fail. */
static void
call_fill(struct http_call *c, const struct http_request *r, const struct http_url *to)
{
	bool usual = str_eq(to->port, str_eq(to->scheme, "https") ? "443" : "80");

	(void)snprintf(c->where, sizeof(c->where), "%s%s%s", to->host, usual ? "" : ":",
	    usual ? "" : to->port);
	c->guard = r->guard;
	c->upload = r->upload != NULL ? *r->upload : (struct http_upload){.fd = -1};
	c->stall = r->stall_timeout > 0 ? r->stall_timeout : 0;
	c->moved = clk_mono();
	c->deadline = r->total_timeout > 0 ? c->moved + r->total_timeout : 0;
	c->choose = r->choose;
	c->to_file = r->file >= 0;
	c->answer.length = c->answer.retry_after = -1;
}

static enum rc
call_build(struct http_call *c, const struct http_request *r, struct err *e)
{
	enum rc rc;

	if ((rc = call_headers(c, r, e)) != RC_OK)
		return rc;
	if (r->post != NULL) {
		if ((c->post = malloc(r->post_len + 1)) == NULL)
			return err_set(e, RC_LATER, "%.200s: no memory", c->where);
		memcpy(c->post, r->post, r->post_len);
		c->post_len = r->post_len;
	}
	if ((rc = http_body_open(&c->body, r, e)) != RC_OK)
		return rc;
	if ((c->easy = curl_easy_init()) == NULL || !set_fixed(c->easy) || !set_request(c, r) ||
	    !set_callbacks(c))
		return err_set(e, RC_LATER, "%.200s: no memory", c->where);
	return RC_OK;
}

static enum rc
request_ok(const struct http_request *r, struct http_url *to, struct err *e)
{
	if (!http_url(r->url, to))
		return err_set(e, RC_BAD, "not a URL that can be asked");
	if (r->method != NULL && !str_eq(r->method, "PUT") && !str_eq(r->method, "DELETE"))
		return err_set(e, RC_BAD, "%.200s: not a method that is used", to->host);
	if (r->upload != NULL && (r->post != NULL || r->upload->size > INT64_MAX))
		return err_set(e, RC_BAD, "%.200s: not a body that can be sent", to->host);
	if (r->guard != NULL) {
		if (r->bearer != NULL)
			return err_set(
			    e, RC_DENIED, "%.200s: no token is sent there", to->host);
		return guard_url(r->guard, to->scheme, to->host, to->port, to->userinfo, e);
	}
	if (to->userinfo)
		return err_set(e, RC_BAD, "%.200s: a URL with a user name", to->host);
	return RC_OK;
}

enum rc
http_start(struct http *h, const struct http_request *req,
    void (*done)(const struct http_answer *, void *), void *arg, struct http_call **call,
    struct err *e)
{
	struct http_call *c;
	struct http_url to;
	enum rc rc;

	*call = NULL;
	if ((rc = request_ok(req, &to, e)) != RC_OK)
		return rc;
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return err_set(e, RC_LATER, "%.200s: no memory", to.host);
	c->h = h;
	c->done = done;
	c->arg = arg;
	call_fill(c, req, &to);
	if ((rc = call_build(c, req, e)) != RC_OK)
		goto out;
	if (curl_multi_add_handle(h->multi, c->easy) != CURLM_OK) {
		rc = err_set(e, RC_LATER, "%.200s: no memory", to.host);
		goto out;
	}
	c->next = h->first;
	h->first = c;
	h->running++;
	*call = c;
	return RC_OK;
out:
	call_free(c);
	return rc;
}

void
http_cancel(struct http *h, struct http_call **call)
{
	struct http_call *c = *call;

	(void)h;
	*call = NULL;
	if (c == NULL || c->ended)
		return;
	call_unlink(c);
	call_free(c);
}

void
http_break(struct http *h, struct http_call **call, struct http_answer *out)
{
	memset(out, 0, sizeof(*out));
	if (*call != NULL && !(*call)->ended) {
		call_judge(*call, CURLE_ABORTED_BY_CALLBACK);
		*out = (*call)->answer;
		out->body = "";
		out->body_len = 0;
	}
	http_cancel(h, call);
}

void
http_progress(const struct http_call *call, uint64_t *got, uint64_t *all)
{
	uint64_t base = call->body.begun ? call->body.base : call->body.from;

	*got = base + call->body.got;
	*all = call->answer.length > 0 ? base + (uint64_t)call->answer.length
				       : call->body.whole;
}

void
http_bandwidth(struct http *h, uint64_t bytes)
{
	h->bandwidth = bytes;
	h->shared = clk_mono();
}

/* The most that a transfer may have saved up: a quarter of a second of all there is. */
static int64_t
credit_limit(const struct http *h)
{
	return (int64_t)(h->bandwidth / 4) + 1;
}

static bool
is_hungry(const struct http *h, const struct http_call *c)
{
	return c->to_file && c->credit < credit_limit(h);
}

/*
 * Share out what time has brought among those that can use it: a slow transfer leaves its part
 * to the others.
 */
static void
share(struct http *h)
{
	int64_t now = clk_mono(), ms = now - h->shared, n = 0, each;

	h->shared = now;
	if (h->bandwidth == 0 || ms <= 0)
		return;
	for (const struct http_call *c = h->first; c != NULL; c = c->next)
		n += is_hungry(h, c);
	h->spare += (int64_t)h->bandwidth * (ms < CLK_SECOND ? ms : CLK_SECOND);
	if (n == 0 || h->spare / CLK_SECOND < n) {
		h->spare = n == 0 ? 0 : h->spare;
		return;
	}
	each = h->spare / CLK_SECOND / n;
	h->spare -= each * n * CLK_SECOND;
	for (struct http_call *c = h->first; c != NULL; c = c->next)
		if (is_hungry(h, c))
			c->credit = c->credit + each < credit_limit(h) ? c->credit + each
								       : credit_limit(h);
}

/* One that waits for its part of the bandwidth and has it now. */
static struct http_call *
first_fed(const struct http *h)
{
	for (struct http_call *c = h->first; c != NULL; c = c->next)
		if (c->paused && (h->bandwidth == 0 || c->credit > 0))
			return c;
	return NULL;
}

/* Let those go on.  libcurl hands over at once what it holds; that may be the end of one. */
static void
feed(struct http *h)
{
	struct http_call *c;
	CURLcode code;

	share(h);
	while ((c = first_fed(h)) != NULL) {
		c->paused = false;
		c->moved = clk_mono();
		code = curl_easy_pause(c->easy, CURLPAUSE_CONT);
		if (c->stop != STOP_NOT || (code != CURLE_OK && !c->paused))
			call_finish(c, code != CURLE_OK ? code : CURLE_WRITE_ERROR);
	}
}

/* Milliseconds until the first of them may go on, at most limit. */
static int
until_fed(const struct http *h, int limit)
{
	int64_t least = limit, n = 0;

	for (const struct http_call *c = h->first; c != NULL; c = c->next)
		n += is_hungry(h, c);
	for (const struct http_call *c = h->first; c != NULL; c = c->next) {
		int64_t ms = c->paused && h->bandwidth > 0
				 ? (1 - c->credit) * n * CLK_SECOND / (int64_t)h->bandwidth + 1
				 : limit;

		if (ms < least)
			least = ms > 0 ? ms : 0;
	}
	return (int)least;
}

/* ---- the client ---- */

enum rc
http_new(const char *user_agent, struct http **h, struct err *e)
{
	static bool ready;
	struct sigaction old;

	*h = NULL;
	if (!ready && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(e, RC_LATER, "libcurl does not start");
	ready = true;
	/* A peer that hangs up while TLS writes must not end the program. */
	if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
		(void)signal(SIGPIPE, SIG_IGN);
	if ((*h = calloc(1, sizeof(**h))) == NULL)
		return err_set(e, RC_LATER, "http: no memory");
	if (((*h)->multi = curl_multi_init()) == NULL) {
		http_free(h);
		return err_set(e, RC_LATER, "http: no memory");
	}
	if (!str_copy((*h)->agent, sizeof((*h)->agent), user_agent)) {
		http_free(h);
		return err_set(e, RC_BAD, "a user agent longer than %d characters", AGENT - 1);
	}
	return RC_OK;
}

void
http_free(struct http **h)
{
	if (*h == NULL)
		return;
	while ((*h)->first != NULL) {
		struct http_call *c = (*h)->first;

		http_cancel(*h, &c);
	}
	if ((*h)->multi != NULL)
		(void)curl_multi_cleanup((*h)->multi);
	free(*h);
	*h = NULL;
}

unsigned
http_running(const struct http *h)
{
	return h->running;
}

/* When a call has been still for too long, or has to be done (clk_mono). */
static int64_t
call_end(const struct http_call *c)
{
	int64_t end = c->deadline != 0 ? c->deadline : INT64_MAX;

	if (c->stall != 0 && c->connected && !c->paused && c->moved + c->stall < end)
		end = c->moved + c->stall;
	return end;
}

/* Milliseconds until the first call is over its time, at most limit. */
static int
until_over(const struct http *h, int limit)
{
	int64_t now = clk_mono(), least = limit;

	for (const struct http_call *c = h->first; c != NULL; c = c->next) {
		int64_t end = call_end(c);

		if (end < now + least)
			least = end > now ? end - now : 0;
	}
	return (int)least;
}

static struct http_call *
first_over(const struct http *h)
{
	int64_t now = clk_mono();

	for (struct http_call *c = h->first; c != NULL; c = c->next)
		if (call_end(c) <= now)
			return c;
	return NULL;
}

/* Callbacks may start and cancel calls, so nothing is held across one. */
static void
reap(struct http *h)
{
	struct http_call *c;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
		CURLcode code = m->data.result;

		c = NULL;
		if (m->msg == CURLMSG_DONE &&
		    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &c) == CURLE_OK &&
		    c != NULL)
			call_finish(c, code);
	}
	while ((c = first_over(h)) != NULL) {
		c->stop = c->deadline != 0 && c->deadline <= clk_mono() ? STOP_LATE
									: STOP_STALL;
		call_finish(c, CURLE_OPERATION_TIMEDOUT);
	}
}

static unsigned
to_curl(const struct pollfd *fds, unsigned n, struct curl_waitfd out[HTTP_FDS])
{
	unsigned k = 0;

	for (unsigned i = 0; i < n; i++) {
		if (fds[i].fd < 0)
			continue;
		out[k].fd = fds[i].fd;
		out[k].events = (short)((fds[i].events & POLLIN ? CURL_WAIT_POLLIN : 0) |
					(fds[i].events & POLLPRI ? CURL_WAIT_POLLPRI : 0) |
					(fds[i].events & POLLOUT ? CURL_WAIT_POLLOUT : 0));
		out[k++].revents = 0;
	}
	return k;
}

enum rc
http_wait(struct http *h, struct pollfd *fds, unsigned n, int timeout, struct err *e)
{
	struct curl_waitfd extra[HTTP_FDS];
	CURLMcode m;
	unsigned k;
	int running;

	if (n > HTTP_FDS)
		return err_set(e, RC_BAD, "more than %d descriptors", HTTP_FDS);
	k = to_curl(fds, n, extra);
	timeout = until_fed(h, until_over(h, timeout >= 0 ? timeout : INT_MAX));
	m = curl_multi_poll(h->multi, extra, k, timeout, NULL);
	if (m != CURLM_OK)
		return err_set(
		    e, RC_LATER, "curl_multi_poll failed: %s", curl_multi_strerror(m));
	/* libcurl leaves out hang-ups and errors, which would wake us again and again. */
	for (unsigned i = 0; i < n; i++)
		fds[i].revents = 0;
	if (n > 0 && poll(fds, n, 0) < 0)
		return err_sys(e, "poll", NULL);
	feed(h);
	m = curl_multi_perform(h->multi, &running);
	reap(h);
	if (m != CURLM_OK)
		return err_set(
		    e, RC_LATER, "curl_multi_perform failed: %s", curl_multi_strerror(m));
	return RC_OK;
}

/* ---- URLs ---- */

/* A year has four digits; curl_getdate() takes one of six. */
#define DATE_MAX INT64_C(253402300799)

bool
http_date(const char *text, int64_t *ms)
{
	char first = (char)(text[0] | 0x20);
	time_t t;

	/* A date begins with its weekday; curl_getdate() would take a number for one. */
	if (first < 'a' || first > 'z' || (t = curl_getdate(text, NULL)) < 0 || t > DATE_MAX)
		return false;
	*ms = (int64_t)t * CLK_SECOND;
	return true;
}

/* One part of a URL; false: it is longer than size allows. */
static bool
url_part(CURLU *u, CURLUPart part, char *out, size_t size)
{
	char *text = NULL;
	bool ok;

	if (curl_url_get(u, part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK)
		return false;
	ok = str_copy(out, size, text);
	curl_free(text);
	return ok;
}

static bool
has_zone(CURLU *u)
{
	char *zone = NULL;
	bool there = curl_url_get(u, CURLUPART_ZONEID, &zone, 0) == CURLUE_OK;

	curl_free(zone);
	return there;
}

bool
http_url(const char *url, struct http_url *out)
{
	size_t n = strnlen(url, HTTP_URL), slashes;
	uint64_t port;
	bool ok = false;
	CURLU *u;

	memset(out, 0, sizeof(*out));
	if (n == HTTP_URL)
		return false;
	for (size_t i = 0; i < n; i++)
		if (url[i] <= ' ' || url[i] >= 0x7f)
			return false;
	/* libcurl would forgive one slash, or three. */
	slashes = strcspn(url, "/");
	if (!str_begins(url + slashes, "//") || url[slashes + 2] == '/')
		return false;
	if ((u = curl_url()) == NULL)
		return false;
	if (curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK && !has_zone(u))
		ok = url_part(u, CURLUPART_SCHEME, out->scheme, sizeof(out->scheme)) &&
		     url_part(u, CURLUPART_HOST, out->host, sizeof(out->host)) &&
		     url_part(u, CURLUPART_PORT, out->port, sizeof(out->port)) &&
		     url_part(u, CURLUPART_PATH, out->path, sizeof(out->path)) &&
		     (str_eq(out->scheme, "https") || str_eq(out->scheme, "http")) &&
		     str_u64(out->port, 1, 65535, &port);
	curl_url_cleanup(u);
	str_lower(out->host);
	url += slashes + 2;
	out->userinfo = memchr(url, '@', strcspn(url, "/?#")) != NULL;
	if (!ok)
		memset(out, 0, sizeof(*out));
	return ok;
}
