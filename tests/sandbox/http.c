/*
 * SPDX-License-Identifier: ISC
 *
 * http - servers that can also misbehave.  The only user of libmicrohttpd.
 *
 * Waiting never holds a thread: a request that waits is suspended, and resumed
 * by count.  Traps: suspend before anybody is told to wake; all must be
 * resumed before a server is stopped; the library decodes the path, so the
 * one as sent is kept from the log callback.
 */
#include "config.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <microhttpd.h>

#include "http.h"

#define URI_MAX 8192
#define WRONG_BY 64 /* bytes a wrong length is wrong by */
#define BLOCK 65536
#define IDLE_SECONDS 120
#define REPLY_MAX (1024u * 1024 * 1024)

struct http_server {
	struct MHD_Daemon *daemon;
	struct count *count;
	http_handler *handle;
	void *arg;
	bool tls;
};

struct http_req {
	struct http_server *server;
	struct MHD_Connection *conn;
	char method[16];
	char *uri, *path;
	const char *query;
	struct buf body;
	struct http_reply reply;
	int64_t drip_due;
	bool begun, ready, again, queued;
	const char *begin; /* http_field_begins() */
	bool found;
};

const char *
http_method(const struct http_req *q)
{
	return q->method;
}

const char *
http_uri(const struct http_req *q)
{
	return q->uri;
}

const char *
http_path(const struct http_req *q)
{
	return q->path;
}

const char *
http_query(const struct http_req *q)
{
	return q->query;
}

const char *
http_field(const struct http_req *q, const char *name)
{
	return MHD_lookup_connection_value(q->conn, MHD_HEADER_KIND, name);
}

static enum MHD_Result
field_begins(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct http_req *q = cls;

	(void)kind;
	(void)value;
	if (strncasecmp(name, q->begin, strlen(q->begin)) == 0)
		q->found = true;
	return q->found ? MHD_NO : MHD_YES;
}

bool
http_field_begins(struct http_req *q, const char *begin)
{
	q->begin = begin;
	q->found = false;
	MHD_get_connection_values(q->conn, MHD_HEADER_KIND, field_begins, q);
	return q->found;
}

const char *
http_body(const struct http_req *q, size_t *n)
{
	*n = q->body.n;
	return q->body.p;
}

bool
http_again(const struct http_req *q)
{
	return q->again;
}

void
http_set(struct http_reply *r, const char *name, const char *value)
{
	struct http_header *h;

	if (r->headers == HTTP_HEADER_MAX)
		return;
	h = r->header[r->headers++] = mem_new(1, sizeof(*h));
	text_copy(h->name, sizeof(h->name), name);
	text_copy(h->value, sizeof(h->value), value);
}

void
http_json(struct http_reply *r, unsigned status, const char *fmt, ...)
{
	char line[1024] = "";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	r->status = status;
	buf_clear(&r->body);
	buf_str(&r->body, line);
	http_set(r, "Content-Type", "application/json; charset=utf-8");
}

void
http_reset(struct http_reply *r)
{
	size_t i;

	for (i = 0; i < r->headers; i++)
		free(r->header[i]);
	buf_free(&r->body);
	free(r->ctx);
	memset(r, 0, sizeof(*r));
	buf_init(&r->body, REPLY_MAX);
}

void
http_wake(void *req)
{
	struct http_req *q = req;

	MHD_resume_connection(q->conn);
}

/* Suspended first, so that a wake-up which comes at once is not lost. */
static void
park(struct http_req *q, int64_t due, const struct count_wait *w)
{
	MHD_suspend_connection(q->conn);
	count_park(q->server->count, q, due, w);
}

static uint64_t
reply_size(const struct http_reply *r)
{
	return r->read != NULL ? r->size : r->body.n;
}

static size_t
reply_bytes(const struct http_reply *r, uint64_t pos, char *p, size_t n)
{
	uint64_t left = reply_size(r) - pos;

	if (n > left)
		n = (size_t)left;
	if (r->read != NULL)
		return r->read(r->ctx, r->from + pos, p, n);
	memcpy(p, r->body.p + pos, n);
	return n;
}

/* MHD_ContentReaderCallback */
static ssize_t
reader(void *cls, uint64_t pos, char *p, size_t max)
{
	struct http_req *q = cls;
	const struct http_reply *r = &q->reply;
	uint64_t end = r->wire == WIRE_CUT ? reply_size(r) / 2 : reply_size(r);
	int64_t now;

	if (pos >= end && r->wire == WIRE_LONG) {
		if (pos >= end + WRONG_BY)
			return MHD_CONTENT_READER_END_OF_STREAM;
		max = max < WRONG_BY ? max : WRONG_BY;
		memset(p, 'x', max);
		return (ssize_t)max;
	}
	if (pos >= end)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (max > end - pos)
		max = (size_t)(end - pos);
	if (r->wire == WIRE_DRIP) {
		now = clock_ms();
		if (now < q->drip_due) {
			park(q, q->drip_due, NULL);
			return 0;
		}
		q->drip_due = now + r->drip_ms;
		if (max > r->drip_bytes)
			max = r->drip_bytes;
	}
	return (ssize_t)reply_bytes(r, pos, p, max);
}

static struct MHD_Response *
response_make(struct http_req *q)
{
	struct http_reply *r = &q->reply;
	uint64_t size = reply_size(r);
	static char nothing[1]; /* the library takes no pointer to const */
	struct MHD_Response *resp;
	char number[32];

	if (r->wire == WIRE_OK && r->read == NULL) {
		resp = MHD_create_response_from_buffer(
		    r->body.n, r->body.p != NULL ? r->body.p : nothing, MHD_RESPMEM_PERSISTENT);
	} else {
		if (r->wire == WIRE_SHORT)
			size += WRONG_BY;
		if (r->wire == WIRE_LONG) /* HTTP/1.0: else the library adds its own length */
			size = MHD_SIZE_UNKNOWN;
		resp = MHD_create_response_from_callback(size, BLOCK, reader, q, NULL);
	}
	if (resp != NULL && r->wire == WIRE_LONG) {
		MHD_set_response_options(resp,
		    MHD_RF_INSANITY_HEADER_CONTENT_LENGTH | MHD_RF_HTTP_1_0_SERVER, MHD_RO_END);
		snprintf(number, sizeof(number), "%llu", (unsigned long long)reply_size(r));
		MHD_add_response_header(resp, "Content-Length", number);
		MHD_add_response_header(resp, "Connection", "close");
	}
	return resp;
}

static enum MHD_Result
reply_queue(struct http_req *q)
{
	struct http_reply *r = &q->reply;
	struct MHD_Response *resp;
	enum MHD_Result rc;
	size_t i;

	if ((resp = response_make(q)) == NULL)
		return MHD_NO;
	for (i = 0; i < r->headers; i++)
		MHD_add_response_header(resp, r->header[i]->name, r->header[i]->value);
	rc = MHD_queue_response(q->conn, r->status, resp);
	MHD_destroy_response(resp);
	q->queued = true;
	return rc;
}

/* End the connection without an answer; MHD_NO makes the library close it. */
static enum MHD_Result
wreck(struct http_req *q)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Ty";
	const union MHD_ConnectionInfo *info;
	struct sockaddr none;

	info = MHD_get_connection_info(q->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (info == NULL)
		return MHD_NO;
	if (q->reply.wire == WIRE_RESET) {
		memset(&none, 0, sizeof(none));
		none.sa_family = AF_UNSPEC; /* Linux: an open TCP connection is reset */
		(void)connect(info->connect_fd, &none, sizeof(none));
	} else if (!q->server->tls) {
		(void)send(
		    info->connect_fd, head, sizeof(head) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	return MHD_NO;
}

static enum MHD_Result
answer(struct http_req *q)
{
	struct http_reply *r = &q->reply;

	if (!q->ready) {
		http_reset(r);
		if (q->body.bad)
			http_json(r, 413, "{\"message\":\"Request Too Long\"}");
		else
			q->server->handle(q->server->arg, q, r);
		if (r->wait) {
			q->again = true;
			park(q, r->due, &r->until);
			return MHD_YES;
		}
		q->ready = true;
		if (r->body.bad)
			return MHD_NO;
		if (r->wire == WIRE_CUT && reply_size(r) < 2)
			r->wire = WIRE_CUT_HEAD;
		if (r->delay_ms > 0) {
			park(q, clock_ms() + r->delay_ms, NULL);
			return MHD_YES;
		}
	}
	if (r->wire == WIRE_RESET || r->wire == WIRE_CUT_HEAD)
		return wreck(q);
	return reply_queue(q);
}

/* MHD_AccessHandlerCallback */
static enum MHD_Result
on_request(void *cls, struct MHD_Connection *conn, const char *url, const char *method,
    const char *version, const char *data, size_t *size, void **con_cls)
{
	struct http_req *q = *con_cls;

	(void)cls;
	(void)url;
	(void)version;
	if (q == NULL)
		return MHD_NO;
	if (!q->begun) {
		q->begun = true;
		q->conn = conn;
		text_copy(q->method, sizeof(q->method), method);
		return MHD_YES;
	}
	if (*size > 0) {
		buf_add(&q->body, data, *size);
		*size = 0;
		return MHD_YES;
	}
	return q->queued ? MHD_YES : answer(q);
}

/* What the library calls with the request target before it is decoded. */
static void *
on_uri(void *cls, const char *uri, struct MHD_Connection *conn)
{
	struct http_req *q;
	size_t n;

	if (strlen(uri) > URI_MAX)
		return NULL;
	q = mem_new(1, sizeof(*q));
	q->server = cls;
	q->conn = conn;
	q->uri = strdup(uri);
	q->path = strdup(uri);
	n = strcspn(uri, "?");
	q->path[n] = '\0';
	q->query = uri[n] == '?' ? q->uri + n + 1 : "";
	buf_init(&q->body, HTTP_BODY_MAX);
	http_reset(&q->reply);
	return q;
}

static void
on_end(
    void *cls, struct MHD_Connection *conn, void **con_cls, enum MHD_RequestTerminationCode why)
{
	struct http_req *q = *con_cls;

	(void)cls;
	(void)conn;
	if (q == NULL)
		return;
	if (q->reply.sent != NULL)
		q->reply.sent(q->server->arg, &q->reply,
		    q->queued && why == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	http_reset(&q->reply);
	buf_free(&q->body);
	free(q->uri);
	free(q->path);
	free(q);
	*con_cls = NULL;
}

struct http_server *
http_start(unsigned port, const char *cert, const char *key, struct count *count,
    http_handler *handle, void *arg)
{
	struct http_server *s = mem_new(1, sizeof(*s));
	struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_KEY, 0, NULL},
	    {MHD_OPTION_HTTPS_MEM_CERT, 0, NULL}, {MHD_OPTION_END, 0, NULL}};
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO |
			 MHD_ALLOW_SUSPEND_RESUME;
	struct sockaddr_in sin;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons((uint16_t)port);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->count = count;
	s->handle = handle;
	s->arg = arg;
	if ((s->tls = cert != NULL)) {
		flags |= MHD_USE_TLS;
		tls[0].ptr_value = strdup(key);
		tls[1].ptr_value = strdup(cert);
	} else {
		tls[0].option = MHD_OPTION_END;
	}
	s->daemon = MHD_start_daemon(flags, (uint16_t)port, NULL, NULL, on_request, s,
	    MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&sin, MHD_OPTION_URI_LOG_CALLBACK, on_uri,
	    s, MHD_OPTION_NOTIFY_COMPLETED, on_end, s, MHD_OPTION_CONNECTION_TIMEOUT,
	    (unsigned)IDLE_SECONDS, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_ARRAY,
	    tls, MHD_OPTION_END);
	free(tls[0].ptr_value);
	free(tls[1].ptr_value);
	if (s->daemon == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

unsigned
http_port(const struct http_server *s)
{
	const union MHD_DaemonInfo *info;

	info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
	return info != NULL ? info->port : 0;
}

void
http_stop(struct http_server **s)
{
	if (*s == NULL)
		return;
	MHD_stop_daemon((*s)->daemon);
	free(*s);
	*s = NULL;
}
