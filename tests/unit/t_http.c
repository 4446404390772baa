/*
 * SPDX-License-Identifier: ISC
 *
 * t_http - tests of http against a server of our own in a thread, and, where there is an
 * openssl command, against a TLS server.
 *
 * Names are looked up by a function of ours, so no name server is asked.
 */
#include "config.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "clk.h"
#include "guard.h"
#include "hash.h"
#include "http.h"
#include "http_priv.h"
#include "io.h"
#include "str.h"
#include "tmpdir.h"
#include "verdict.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define PATIENCE (60 * CLK_SECOND) /* a test that takes longer has hung */
#define REQUEST (2 << 20)
#define CANNED 100000
#define CONNECTIONS 256
#define MANY 50
#define SECRET "hush-hush"

/* ---- names ---- */

static int lookup_begun[2], lookup_go[2]; /* for names that end in "slow.test" */

int
getaddrinfo(const char *restrict node, const char *restrict service,
    const struct addrinfo *restrict hints, struct addrinfo **restrict res)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	struct addrinfo numeric = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	char one = 0;

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (node == NULL)
		return real(node, service, hints, res);
	if (strstr(node, "slow.test") != NULL) {
		while (write(lookup_begun[1], &one, 1) < 0 && errno == EINTR)
			;
		while (read(lookup_go[0], &one, 1) < 0 && errno == EINTR)
			;
		return EAI_AGAIN;
	}
	if (str_eq(node, "none.test"))
		return EAI_NONAME;
	if (strstr(node, ".test") != NULL)
		return real("127.0.0.1", service, &numeric, res);
	return real(node, service, hints, res);
}

/* ---- the server ---- */

struct server {
	int fd;
	unsigned port;
	pthread_t thread;
	pthread_t workers[CONNECTIONS];
	int conns[CONNECTIONS];
	unsigned nconns; /* connections so far */
	pthread_mutex_t lock;
	unsigned nrequests;
	char canned[CANNED]; /* what /canned answers, before the connection is closed */
	int arrived[2];      /* a byte for each request that came */
};

struct worker {
	struct server *s;
	int fd;
};

enum after { KEEP, CLOSE, HOLD };

static const struct route {
	const char *path;
	const char *answer;
	enum after after;
} routes[] = {
    {"/ok", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", KEEP},
    {"/none", "HTTP/1.1 204 No Content\r\n\r\n", KEEP},
    {"/zero", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", KEEP},
    {"/chunks",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
	KEEP},
    {"/http10", "HTTP/1.0 200 OK\r\n\r\nhello", CLOSE},
    {"/early",
	"HTTP/1.1 103 Early Hints\r\nETag: \"early\"\r\n\r\n"
	"HTTP/1.1 200 OK\r\nETag: \"late\"\r\nContent-Length: 5\r\n\r\nhello",
	KEEP},
    {"/trailer",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/a\r\n\r\n"
	"5\r\nhello\r\n0\r\nETag: \"trailer\"\r\nContent-Type: text/b\r\n\r\n",
	KEEP},
    {"/404", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope", KEEP},
    {"/503", "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", KEEP},
    {"/cut", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", CLOSE},
    {"/cut-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	CLOSE},
    {"/cut-head", "HTTP/1.1 200 OK\r\nContent-Le", CLOSE},
    {"/cut-line", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", CLOSE},
    {"/cut-100", "HTTP/1.1 100 Continue\r\n\r\n", CLOSE},
    {"/nothing", "", CLOSE},
    {"/no-http", "SSH-2.0-OpenSSH_9.2\r\n", CLOSE},
    {"/bad-length", "HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\nhello", CLOSE},
    {"/bad-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello", CLOSE},
    {"/longer", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, world", CLOSE},
    {"/silent", "", HOLD},
    {"/stuck", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", HOLD},
    {"/stuck-error", "HTTP/1.1 500 Oh\r\nContent-Length: 50\r\n\r\nhello", HOLD},
    {"/gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
	KEEP},
    {"/rest",
	"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-11/12\r\nETag: \"v1\"\r\n"
	"Content-Length: 7\r\n\r\n, world",
	KEEP},
    {"/same", "HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n", KEEP},
    {"/pdf",
	"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nContent-Length: 9\r\n\r\n"
	"%PDF-1.7\n",
	KEEP},
    {"/pdf-none",
	"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nContent-Length: 0\r\n\r\n", KEEP},
    {"/pdf-stuck",
	"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nContent-Length: 50\r\n\r\n%PDF",
	HOLD},
    {"/cookie", "HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n",
	KEEP},
};

static bool
send_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);

		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

static bool
send_text(int fd, const char *text)
{
	return send_all(fd, text, strlen(text));
}

/* The bytes of a body: the same for each length, and no two blocks alike. */
static void
fill(char *p, size_t n, size_t from)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (char)('a' + (from + i + (from + i) / 251) % 26);
}

static bool
send_body(int fd, size_t n, bool chunked)
{
	char block[4096], line[32];

	for (size_t at = 0, k; at < n; at += k) {
		k = n - at < sizeof(block) ? n - at : sizeof(block);
		fill(block, k, at);
		(void)snprintf(line, sizeof(line), "%zx\r\n", k);
		if ((chunked && !send_text(fd, line)) || !send_all(fd, block, k) ||
		    (chunked && !send_text(fd, "\r\n")))
			return false;
	}
	return !chunked || send_text(fd, "0\r\n\r\n");
}

/* "/size/200/c/1000": status, "c" for chunks or "l" for a length, size. */
static bool
send_sized(int fd, const char *path)
{
	char head[128];
	long status = strtol(path + 6, NULL, 10);
	bool chunked = path[10] == 'c';
	size_t n = strtoul(path + 12, NULL, 10);

	if (chunked)
		(void)snprintf(head, sizeof(head),
		    "HTTP/1.1 %ld X\r\nTransfer-Encoding: chunked\r\n\r\n", status);
	else
		(void)snprintf(head, sizeof(head),
		    "HTTP/1.1 %ld X\r\nContent-Length: %zu\r\n\r\n", status, n);
	return send_text(fd, head) && send_body(fd, n, chunked);
}

/* Header lines without end, or one line without end. */
static void
send_endless(int fd, bool lines)
{
	if (!send_text(fd, "HTTP/1.1 200 OK\r\nX: "))
		return;
	while (send_text(fd, lines ? "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\nX: "
				   : "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"))
		;
}

static enum after
reply(struct server *s, int fd, const char *path, const char *request, size_t n)
{
	static _Thread_local char canned[CANNED];
	char head[100];

	for (size_t i = 0; i < COUNT(routes); i++)
		if (str_eq(routes[i].path, path))
			return send_text(fd, routes[i].answer) ? routes[i].after : CLOSE;
	if (str_begins(path, "/echo")) {
		(void)snprintf(
		    head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
		return send_text(fd, head) && send_all(fd, request, n) ? KEEP : CLOSE;
	}
	if (str_begins(path, "/size/"))
		return send_sized(fd, path) ? KEEP : CLOSE;
	pthread_mutex_lock(&s->lock);
	memcpy(canned, s->canned, sizeof(canned));
	pthread_mutex_unlock(&s->lock);
	if (str_eq(path, "/canned"))
		(void)send_text(fd, canned);
	else if (str_eq(path, "/lines"))
		send_endless(fd, true);
	else if (str_eq(path, "/line"))
		send_endless(fd, false);
	return CLOSE;
}

/* One request, head and body, into buf; its length, 0 if the peer is gone. */
static size_t
receive(int fd, char *buf, size_t *have)
{
	for (;;) {
		char *end = memmem(buf, *have, "\r\n\r\n", 4), *at;
		size_t need = end != NULL ? (size_t)(end - buf) + 4 : 0;
		ssize_t k;

		if (need > 0) {
			*end = '\0';
			at = strcasestr(buf, "\r\nContent-Length:");
			need += at != NULL ? strtoul(at + 17, NULL, 10) : 0;
			*end = '\r';
		}
		if (need > 0 && *have >= need)
			return need;
		if (*have == REQUEST - 1 ||
		    (k = recv(fd, buf + *have, REQUEST - 1 - *have, 0)) <= 0)
			return 0;
		*have += (size_t)k;
		buf[*have] = '\0';
	}
}

static void *
work(void *arg)
{
	struct worker *w = arg;
	struct server *s = w->s;
	char *buf = malloc(REQUEST), *request = malloc(REQUEST), path[512];
	enum after after = KEEP;
	size_t have = 0, n;

	if (buf == NULL || request == NULL)
		abort();
	while (after == KEEP && (n = receive(w->fd, buf, &have)) > 0) {
		const char *from = memchr(buf, ' ', n);
		size_t k = from != NULL ? strcspn(from + 1, " ") : 0;

		memcpy(request, buf, n);
		if (from == NULL || !str_copy_n(path, sizeof(path), from + 1, k))
			path[0] = '\0';
		memmove(buf, buf + n, have - n + 1);
		have -= n;
		pthread_mutex_lock(&s->lock);
		s->nrequests++;
		pthread_mutex_unlock(&s->lock);
		if (write(s->arrived[1], "x", 1) != 1)
			abort();
		after = reply(s, w->fd, path, request, n);
	}
	while (after == HOLD && recv(w->fd, buf, REQUEST, 0) > 0)
		;
	(void)shutdown(w->fd, SHUT_RDWR);
	free(buf);
	free(request);
	free(w);
	return NULL;
}

static void *
serve(void *arg)
{
	struct server *s = arg;

	for (;;) {
		int fd = accept(s->fd, NULL, NULL);
		struct worker *w;

		if (fd < 0)
			return NULL;
		if ((w = malloc(sizeof(*w))) == NULL || s->nconns == CONNECTIONS)
			abort();
		*w = (struct worker){s, fd};
		pthread_mutex_lock(&s->lock);
		s->conns[s->nconns] = fd;
		if (pthread_create(&s->workers[s->nconns], NULL, work, w) != 0)
			abort();
		s->nconns++;
		pthread_mutex_unlock(&s->lock);
	}
}

/* A listening socket on a free port of this machine. */
static int
listen_here(unsigned *port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t n = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 256), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &n), 0);
	*port = ntohs(sin.sin_port);
	return fd;
}

static struct server *
server_start(void)
{
	struct server *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->fd = listen_here(&s->port);
	assert_int_equal(pipe2(s->arrived, O_CLOEXEC), 0);
	assert_int_equal(pthread_mutex_init(&s->lock, NULL), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	return s;
}

static void
server_stop(struct server *s)
{
	(void)shutdown(s->fd, SHUT_RDWR);
	(void)pthread_join(s->thread, NULL);
	(void)close(s->fd);
	for (unsigned i = 0; i < s->nconns; i++)
		(void)shutdown(s->conns[i], SHUT_RDWR);
	for (unsigned i = 0; i < s->nconns; i++) {
		(void)pthread_join(s->workers[i], NULL);
		(void)close(s->conns[i]);
	}
	(void)close(s->arrived[0]);
	(void)close(s->arrived[1]);
	free(s);
}

static unsigned
count(struct server *s, const unsigned *what)
{
	unsigned n;

	pthread_mutex_lock(&s->lock);
	n = *what;
	pthread_mutex_unlock(&s->lock);
	return n;
}

/* ---- the client ---- */

struct fixture {
	struct server *s;
	struct http *h;
	struct http_request r;
	char url[512];
	unsigned calls; /* of done */
	struct http_answer a;
	char *body; /* a copy of what a.body was */
	struct err e;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->s = server_start();
	assert_int_equal(http_new("arkenspool/test", &f->h, &f->e), RC_OK);
	f->r = (struct http_request){.url = f->url,
	    .max_body = 4096,
	    .file = -1,
	    .connect_timeout = PATIENCE,
	    .stall_timeout = PATIENCE};
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	clk_replace(NULL, NULL);
	assert_int_equal(http_running(f->h), 0);
	http_free(&f->h);
	assert_null(f->h);
	server_stop(f->s);
	free(f->body);
	free(f);
	return 0;
}

/* What /canned answers from now on. */
static void PRINTF_LIKE(2, 3) can(struct fixture *f, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&f->s->lock);
	va_start(ap, fmt);
	assert_true(vsnprintf(f->s->canned, sizeof(f->s->canned), fmt, ap) < CANNED);
	va_end(ap);
	pthread_mutex_unlock(&f->s->lock);
}

static void
go_to(struct fixture *f, const char *path)
{
	(void)snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u%s", f->s->port, path);
}

static void
on_done(const struct http_answer *a, void *arg)
{
	struct fixture *f = arg;

	f->calls++;
	f->a = *a;
	free(f->body);
	f->body = malloc(a->body_len + 1);
	assert_non_null(f->body);
	memcpy(f->body, a->body, a->body_len + 1);
	assert_int_equal(f->body[a->body_len], '\0');
	f->a.body = f->body;
	/* whatever happens: one line, nothing of the query, nothing secret */
	assert_null(strchr(a->text, '\n'));
	assert_null(strchr(a->text, '?'));
	assert_null(strstr(a->text, SECRET));
	if (a->fate != HTTP_ANSWERED)
		assert_true(a->text[0] != '\0');
}

/* Wait until n callbacks have come. */
static void
wait_for(struct fixture *f, unsigned n)
{
	int64_t end = clk_mono() + PATIENCE;

	while (f->calls < n) {
		if (http_wait(f->h, NULL, 0, 1000, &f->e) != RC_OK)
			fail_msg("%s", f->e.text);
		if (clk_mono() > end)
			fail_msg("hung: %s", f->url);
	}
}

static void
start(struct fixture *f, struct http_call **call)
{
	if (http_start(f->h, &f->r, on_done, f, call, &f->e) != RC_OK)
		fail_msg("%s: %s", f->url, f->e.text);
	assert_non_null(*call);
}

static void
ask(struct fixture *f, const char *path)
{
	struct http_call *call;

	go_to(f, path);
	f->calls = 0;
	start(f, &call);
	wait_for(f, 1);
	assert_int_equal(http_running(f->h), 0);
}

static void
expect(struct fixture *f, const char *path, enum http_fate fate, int status)
{
	ask(f, path);
	if (f->a.fate != fate || f->a.status != status)
		fail_msg("%s: fate %d status %d, expected %d and %d: %s", path, (int)f->a.fate,
		    f->a.status, (int)fate, status, f->a.text);
}

static unsigned
times(const char *text, const char *word)
{
	unsigned n = 0;

	for (; (text = strcasestr(text, word)) != NULL; text++)
		n++;
	return n;
}

/* ---- answers ---- */

static void
test_get(void **state)
{
	struct fixture *f = *state;

	expect(f, "/ok", HTTP_ANSWERED, 200);
	assert_string_equal(f->body, "hello");
	assert_int_equal(f->a.body_len, 5);
	assert_int_equal(f->a.length, 5);
	assert_int_equal(f->a.file_len, 0);
	assert_string_equal(f->a.sha256, "");
	assert_string_equal(f->a.text, "");
	assert_int_equal(f->a.retry_after, -1);
	expect(f, "/none", HTTP_ANSWERED, 204);
	assert_string_equal(f->body, "");
	expect(f, "/zero", HTTP_ANSWERED, 200);
	assert_int_equal(f->a.length, 0);
	expect(f, "/chunks", HTTP_ANSWERED, 200);
	assert_string_equal(f->body, "hello");
	assert_int_equal(f->a.length, -1);
	expect(f, "/404", HTTP_ANSWERED, 404);
	assert_string_equal(f->body, "nope");
	assert_non_null(strstr(f->a.text, "status 404"));
	expect(f, "/gzip", HTTP_ANSWERED, 200); /* as it came */
	assert_string_equal(f->body, "hello");
	assert_int_equal(count(f->s, &f->s->nconns), 1); /* one connection for all of them */
	expect(f, "/http10", HTTP_ANSWERED, 200);
	assert_string_equal(f->body, "hello");
	expect(f, "/longer", HTTP_ANSWERED, 200);
	assert_string_equal(f->body, "hello");
}

/* A file as the body of a PUT: all of it, whatever its offset; fewer bytes are our side's. */
static void
test_put(void **state)
{
	struct fixture *f = *state;
	static char bytes[3000];
	struct http_upload up = {.fd = memfd_create("up", MFD_CLOEXEC), .size = sizeof(bytes)};
	const char *body;

	fill(bytes, sizeof(bytes), 0);
	assert_int_equal(write(up.fd, bytes, sizeof(bytes)), sizeof(bytes));
	f->r.upload = &up;
	for (int i = 0; i < 3; i++) { /* the second and third on the same connection */
		expect(f, "/echo", HTTP_ANSWERED, 200);
		assert_true(str_begins(f->body, "PUT /echo HTTP/1.1\r\n"));
		assert_non_null(strstr(f->body, "\r\nContent-Length: 3000\r\n"));
		assert_null(strstr(f->body, "Expect"));
		assert_null(strstr(f->body, "chunked"));
		body = strstr(f->body, "\r\n\r\n") + 4;
		assert_int_equal(f->a.body_len - (size_t)(body - f->body), sizeof(bytes));
		assert_memory_equal(body, bytes, sizeof(bytes));
	}
	assert_int_equal(lseek(up.fd, 0, SEEK_CUR), sizeof(bytes));
	up.size = 0;
	expect(f, "/echo", HTTP_ANSWERED, 200);
	assert_non_null(strstr(f->body, "\r\nContent-Length: 0\r\n"));
	up.size = sizeof(bytes) + 1;
	expect(f, "/echo", HTTP_LOCAL, 0);
	assert_int_equal(f->a.sys, EIO);
	up.size = sizeof(bytes);
	expect(f, "/503", HTTP_ANSWERED, 503);
	assert_int_equal(f->a.retry_after, 7000);
	f->r.post = "x";
	f->r.post_len = 1;
	go_to(f, "/echo");
	assert_int_equal(
	    http_start(f->h, &f->r, on_done, f, &(struct http_call *){NULL}, &f->e), RC_BAD);
	(void)close(up.fd);
}

/* Other methods, with and without a body. */
static void
test_method(void **state)
{
	struct fixture *f = *state;

	f->r.method = "DELETE";
	expect(f, "/echo?a=1", HTTP_ANSWERED, 200);
	assert_true(str_begins(f->body, "DELETE /echo?a=1 HTTP/1.1\r\n"));
	assert_string_equal(strstr(f->body, "\r\n\r\n"), "\r\n\r\n");
	f->r.method = "PUT";
	f->r.post = "{}";
	f->r.post_len = 2;
	expect(f, "/echo", HTTP_ANSWERED, 200);
	assert_true(str_begins(f->body, "PUT /echo HTTP/1.1\r\n"));
	assert_string_equal(strstr(f->body, "\r\n\r\n"), "\r\n\r\n{}");
	f->r.method = "TRACE";
	go_to(f, "/echo");
	assert_int_equal(
	    http_start(f->h, &f->r, on_done, f, &(struct http_call *){NULL}, &f->e), RC_BAD);
}

static void
test_request(void **state)
{
	static const char *const headers[] = {"Content-Type: application/json", "X-Empty:  y"};
	struct fixture *f = *state;

	(void)setenv("http_proxy", "http://127.0.0.1:1", 1);
	(void)setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	expect(f, "/echo?a=b%20c&d=%zz", HTTP_ANSWERED, 200);
	(void)unsetenv("http_proxy");
	(void)unsetenv("ALL_PROXY");
	assert_true(str_begins(f->body, "GET /echo?a=b%20c&d=%zz HTTP/1.1\r\n"));
	assert_int_equal(times(f->body, "User-Agent: arkenspool/test\r\n"), 1);
	assert_int_equal(times(f->body, "Authorization"), 0);
	assert_int_equal(times(f->body, "Accept-Encoding"), 0);
	assert_int_equal(times(f->body, "x-amz"), 0);
	f->r.headers = headers;
	f->r.nheaders = COUNT(headers);
	f->r.post = "{\"a\":\0001}";
	f->r.post_len = 8;
	expect(f, "/echo", HTTP_ANSWERED, 200);
	assert_true(str_begins(f->body, "POST /echo HTTP/1.1\r\n"));
	assert_int_equal(times(f->body, "Content-Type: application/json\r\n"), 1);
	assert_int_equal(times(f->body, "Content-Type:"), 1);
	assert_int_equal(times(f->body, "Content-Length: 8\r\n"), 1);
	assert_int_equal(times(f->body, "Expect:"), 0);
	assert_memory_equal(f->a.body + f->a.body_len - 8, "{\"a\":\0001}", 8);
	f->r.post = "";
	f->r.post_len = 0;
	expect(f, "/echo", HTTP_ANSWERED, 200);
	assert_int_equal(times(f->body, "Content-Length: 0\r\n"), 1);
}

static void
test_large_post(void **state)
{
	struct fixture *f = *state;
	const size_t n = 1500000; /* from 1 MiB on libcurl would first ask (Expect) */
	char *big = malloc(n);

	assert_non_null(big);
	fill(big, n, 0);
	f->r.post = big;
	f->r.post_len = n;
	f->r.max_body = n + 1000;
	expect(f, "/echo", HTTP_ANSWERED, 200);
	assert_memory_equal(f->a.body + f->a.body_len - n, big, n);
	assert_int_equal(times(f->body, "Expect:"), 0);
	free(big);
}

static void
test_bearer(void **state)
{
	struct fixture *f = *state;

	f->r.bearer = SECRET;
	expect(f, "/echo", HTTP_ANSWERED, 200);
	assert_int_equal(times(f->body, "Authorization: Bearer " SECRET "\r\n"), 1);
	assert_int_equal(times(f->body, SECRET), 1);
	f->r.bearer = NULL;
	expect(f, "/echo", HTTP_ANSWERED, 200);
	assert_int_equal(times(f->body, "Authorization"), 0);
	assert_int_equal(count(f->s, &f->s->nconns), 1); /* though the connection is the same */
	f->r.bearer = "other";
	expect(f, "/echo", HTTP_ANSWERED, 200);
	assert_int_equal(times(f->body, SECRET), 0);
	assert_int_equal(times(f->body, "Authorization: Bearer other\r\n"), 1);
	f->r.bearer = SECRET;
	expect(f, "/404", HTTP_ANSWERED, 404); /* on_done looks at the text */
	expect(f, "/cut", HTTP_CUT, 200);
	expect(f, "/cookie", HTTP_ANSWERED, 200);
	f->r.bearer = NULL;
	expect(f, "/echo", HTTP_ANSWERED, 200);
	assert_int_equal(times(f->body, "Cookie"), 0);
}

static void
refuse(struct fixture *f, enum rc rc)
{
	struct http_call *call = (struct http_call *)f;

	err_clear(&f->e);
	assert_int_equal(http_start(f->h, &f->r, on_done, f, &call, &f->e), rc);
	assert_null(call);
	assert_true(f->e.text[0] != '\0');
	assert_null(strstr(f->e.text, SECRET));
	assert_int_equal(http_running(f->h), 0);
}

static void
test_refused_requests(void **state)
{
	static const char *const headers[] = {"X", "X y: z", ": z", "", "X: a\r\nY: b",
	    "X: a\n", "X: \x01", "X: \x7f", "Authorization: " SECRET, "AUTHORIZATION: " SECRET,
	    "authorization:" SECRET, "X-Amz-Security-Token: " SECRET, "x-amz-date: 1"};
	static const char *const bearers[] = {
	    "", "a b", SECRET "\r\nX: y", SECRET "\n", "\xc3\xa9", "\x7f"};
	static const char *const urls[] = {"", "/ok", "ftp://127.0.0.1/", "http://",
	    "127.0.0.1", ("http://u:" SECRET "@127.0.0.1/"), ("http://127.0.0.1/a b?" SECRET)};
	struct fixture *f = *state;
	const char *many[HTTP_HEADERS + 1];
	struct guard *g = NULL;

	go_to(f, "/echo?" SECRET);
	f->r.nheaders = 1;
	for (size_t i = 0; i < COUNT(headers); i++) {
		f->r.headers = &headers[i];
		refuse(f, RC_BAD);
	}
	for (size_t i = 0; i < COUNT(many); i++)
		many[i] = "X: y";
	f->r.headers = many;
	f->r.nheaders = COUNT(many);
	refuse(f, RC_BAD);
	f->r.nheaders = 0;
	for (size_t i = 0; i < COUNT(bearers); i++) {
		f->r.bearer = bearers[i];
		refuse(f, RC_BAD);
	}
	f->r.bearer = NULL;
	for (size_t i = 0; i < COUNT(urls); i++) {
		f->r.url = urls[i];
		refuse(f, RC_BAD);
	}
	assert_int_equal(guard_new("doc.test 127.0.0.1", "127.0.0.0/8", &g, &f->e), RC_OK);
	f->r.guard = g;
	f->r.url = "https://doc.test/";
	f->r.bearer = SECRET;
	refuse(f, RC_DENIED); /* a token is not for a guarded place */
	f->r.bearer = NULL;
	f->r.url = "http://doc.test/";
	refuse(f, RC_DENIED);
	f->r.url = "https://doc.test:444/";
	refuse(f, RC_DENIED);
	f->r.url = "https://u@doc.test/";
	refuse(f, RC_DENIED);
	f->r.url = "https://evil.test/?" SECRET;
	refuse(f, RC_DENIED);
	assert_int_equal(count(f->s, &f->s->nconns), 0);
	guard_free(&g);
}

static void
test_header_values(void **state)
{
	struct fixture *f = *state;

	can(f, "%s",
	    "HTTP/1.1 200 OK\r\ncontent-type:\t application/pdf; x=y \r\n"
	    "ETAG: \"abc\"\r\nETag: \"second\"\r\nContent-MD5: XrY7u+Ae7tCTyyK7j1rNww==\r\n"
	    "x-amz-server-side-encryption: AES256\r\nX-Other: z\r\n"
	    "Content-Disposition: attachment; filename=\"a b.pdf\"\r\n"
	    "Content-Length: 0\r\n\r\n");
	expect(f, "/canned", HTTP_ANSWERED, 200);
	assert_string_equal(f->a.content_type, "application/pdf; x=y");
	assert_string_equal(f->a.etag, "\"abc\"");
	assert_string_equal(f->a.content_md5, "XrY7u+Ae7tCTyyK7j1rNww==");
	assert_string_equal(f->a.encryption, "AES256");
	assert_string_equal(f->a.disposition, "attachment; filename=\"a b.pdf\"");
	assert_string_equal(f->a.location, "");
	expect(f, "/early", HTTP_ANSWERED, 200);
	assert_string_equal(f->a.etag, "\"late\"");
	expect(f, "/trailer", HTTP_ANSWERED, 200);
	assert_string_equal(f->a.etag, "");
	assert_string_equal(f->a.content_type, "text/a");
	expect(f, "/ok", HTTP_ANSWERED, 200);
	assert_string_equal(f->a.content_type, "");
}

/* One byte too many, and the value is left out. */
static void
test_long_values(void **state)
{
	struct fixture *f = *state;

	for (int n = HTTP_VALUE - 1; n <= HTTP_VALUE; n++) {
		can(f,
		    "HTTP/1.1 200 OK\r\nETag: %0*d\r\nContent-Type: \x01z\r\n"
		    "Content-Length: 0\r\n\r\n",
		    n, 7);
		expect(f, "/canned", HTTP_ANSWERED, 200);
		assert_int_equal(strlen(f->a.etag), n < HTTP_VALUE ? n : 0);
		assert_string_equal(f->a.content_type, "");
	}
}

#define OUR_TIME INT64_C(1780000000000) /* Thu, 28 May 2026 20:26:40 GMT */

static int64_t
fixed_wall(void)
{
	return OUR_TIME;
}

static void
test_retry_after(void **state)
{
	static const struct {
		const char *headers;
		int64_t after, skew;
	} t[] = {
	    {"", -1, 0},
	    {"Retry-After: 0\r\n", 0, 0},
	    {"Retry-After: 120\r\n", 120000, 0},
	    {"Retry-After:   007  \r\n", 7000, 0},
	    {"Retry-After: 86400\r\n", CLK_DAY, 0},
	    {"Retry-After: 86401\r\n", CLK_DAY, 0},
	    {"Retry-After: 99999999999999999999999999\r\n", CLK_DAY, 0},
	    {"Retry-After: -1\r\n", -1, 0},
	    {"Retry-After: 1.5\r\n", -1, 0},
	    {"Retry-After: +5\r\n", -1, 0},
	    {"Retry-After: \r\n", -1, 0},
	    {"Retry-After: soon\r\n", -1, 0},
	    {"Retry-After: 12 s\r\n", -1, 0},
	    {"Retry-After: 20260528\r\n", CLK_DAY, 0},
	    {"Retry-After: Thu, 28 May 2026 20:27:40 GMT\r\n", CLK_MINUTE, 0},
	    {"Retry-After: Thursday, 28-May-26 20:27:40 GMT\r\n", CLK_MINUTE, 0},
	    {"Retry-After: Thu May 28 20:27:40 2026\r\n", CLK_MINUTE, 0},
	    {"Retry-After: Thu, 28 May 2026 20:25:40 GMT\r\n", 0, 0},
	    {"Retry-After: Thu, 01 Jan 1970 00:00:00 GMT\r\n", 0, 0},
	    {"Retry-After: Fri, 28 May 2027 20:25:40 GMT\r\n", CLK_DAY, 0},
	    {"Retry-After: Thu, 99 May 2026 20:27:40 GMT\r\n", -1, 0},
	    /* their clock, not ours, is what their date means */
	    {"Date: Thu, 28 May 2026 21:26:40 GMT\r\n"
	     "Retry-After: Thu, 28 May 2026 21:27:40 GMT\r\n",
		CLK_MINUTE, CLK_HOUR},
	    {"Retry-After: Thu, 28 May 2026 21:27:40 GMT\r\n"
	     "Date: Thu, 28 May 2026 21:26:40 GMT\r\n",
		CLK_MINUTE, CLK_HOUR},
	    {"Date: Thu, 28 May 2026 20:26:10 GMT\r\nRetry-After: 5\r\n", 5000, -30000},
	    {"Date: yesterday-ish\r\n", -1, 0},
	    {"Date: Sunday, 06 Nov 199494 08:49:37 GMT\r\n", -1, 0},
	};
	struct fixture *f = *state;

	clk_replace(fixed_wall, NULL);
	for (size_t i = 0; i < COUNT(t); i++) {
		can(f, "HTTP/1.1 503 Busy\r\n%sContent-Length: 0\r\n\r\n", t[i].headers);
		expect(f, "/canned", HTTP_ANSWERED, 503);
		if (f->a.retry_after != t[i].after || f->a.clock_skew != t[i].skew)
			fail_msg("%s: %" PRId64 ", skew %" PRId64, t[i].headers,
			    f->a.retry_after, f->a.clock_skew);
	}
}

static void
test_redirects(void **state)
{
	static const struct {
		int status;
		const char *location, *expected;
	} t[] = {
	    {302, "/ok?x=y", "http://127.0.0.1:%u/ok?x=y"},
	    {301, "ok", "http://127.0.0.1:%u/ok"},
	    {303, "?" SECRET, "http://127.0.0.1:%u/canned?" SECRET},
	    {307, "https://b.s3.amazonaws.com/k?X-Amz-Signature=" SECRET,
		"https://b.s3.amazonaws.com/k?X-Amz-Signature=" SECRET},
	    {308, "//other.test/z", "http://other.test/z"},
	    {200, "/ok", ""},
	    {201, "/ok", ""},
	    {404, "/ok", ""},
	};
	struct fixture *f = *state;
	char expected[200];

	f->r.bearer = SECRET;
	for (size_t i = 0; i < COUNT(t); i++) {
		can(f, "HTTP/1.1 %d X\r\nLocation: %s\r\nContent-Length: 2\r\n\r\nhi",
		    t[i].status, t[i].location);
		expect(f, "/canned", HTTP_ANSWERED, t[i].status);
		assert_string_equal(f->body, "hi");
		(void)snprintf(expected, sizeof(expected), "%s", t[i].expected);
		if (strstr(t[i].expected, "%u") != NULL)
			(void)snprintf(expected, sizeof(expected), "http://127.0.0.1:%u%s",
			    f->s->port, strstr(t[i].expected, "%u") + 2);
		assert_string_equal(f->a.location, expected);
	}
	assert_int_equal(count(f->s, &f->s->nrequests), COUNT(t)); /* nobody went there */
	can(f, "HTTP/1.1 302 X\r\nLocation: /%09000d\r\nContent-Length: 0\r\n\r\n", 1);
	expect(f, "/canned", HTTP_ANSWERED, 302);
	assert_string_equal(f->a.location, "");
}

/* ---- files ---- */

static int
scratch_file(void)
{
	char dir[TMPDIR_SIZE], path[TMPDIR_SIZE + 16];
	int fd;

	tmpdir_make(dir);
	(void)snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	tmpdir_remove(dir);
	return fd;
}

static void
test_file(void **state)
{
	static const size_t sizes[] = {1, 1000, 65536, 3000001};
	struct fixture *f = *state;
	char path[64], sha[HASH_HEX];

	for (size_t i = 0; i < 2 * COUNT(sizes); i++) {
		size_t n = sizes[i / 2];
		char *wanted = malloc(n), *got = malloc(n);

		assert_true(wanted != NULL && got != NULL);
		f->r.file = scratch_file();
		f->r.max_file = n;
		f->r.max_body = 0;
		(void)snprintf(
		    path, sizeof(path), "/size/200/%c/%zu", i % 2 == 0 ? 'l' : 'c', n);
		expect(f, path, HTTP_ANSWERED, 200);
		fill(wanted, n, 0);
		assert_int_equal(f->a.file_len, n);
		assert_int_equal(f->a.body_len, 0);
		assert_int_equal(f->a.length, i % 2 == 0 ? (int64_t)n : -1);
		assert_int_equal(pread(f->r.file, got, n, 0), n);
		assert_memory_equal(got, wanted, n);
		assert_int_equal(hash_sha256(wanted, n, sha, &f->e), RC_OK);
		assert_string_equal(f->a.sha256, sha);
		assert_int_equal(strlen(f->a.md5), 32);
		(void)close(f->r.file);
		free(wanted);
		free(got);
	}
}

static void
test_digests(void **state)
{
	struct fixture *f = *state;

	f->r.file = scratch_file();
	f->r.max_file = 5;
	expect(f, "/ok", HTTP_ANSWERED, 200);
	assert_string_equal(f->a.md5, "5d41402abc4b2a76b9719d911017c592");
	assert_string_equal(
	    f->a.sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
	expect(f, "/none", HTTP_ANSWERED, 204); /* nothing is written, and that has a digest */
	assert_string_equal(f->a.md5, "d41d8cd98f00b204e9800998ecf8427e");
	assert_string_equal(
	    f->a.sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	expect(f, "/404", HTTP_ANSWERED, 404); /* an error is no document */
	assert_string_equal(f->body, "nope");
	assert_int_equal(f->a.file_len, 0);
	assert_string_equal(f->a.sha256, "");
	expect(f, "/cut", HTTP_TOO_LARGE, 200);
	f->r.max_file = 100;
	expect(f, "/cut", HTTP_CUT, 200);
	assert_int_equal(f->a.file_len, 5);
	assert_string_equal(f->a.sha256, "");
	assert_string_equal(f->a.md5, "");
	(void)close(f->r.file);
}

static void
test_full_disk(void **state)
{
	struct fixture *f = *state;

	f->r.max_file = 100000;
	f->r.file = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(f->r.file >= 0);
	expect(f, "/size/200/l/1000", HTTP_LOCAL, 200);
	assert_int_equal(f->a.sys, ENOSPC);
	assert_non_null(strstr(f->a.text, strerror(ENOSPC)));
	(void)close(f->r.file);
	f->r.file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	expect(f, "/ok", HTTP_LOCAL, 200);
	assert_int_equal(f->a.sys, EBADF);
	(void)close(f->r.file);
}

static void
test_too_large(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	f->r.max_body = 1000;
	expect(f, "/size/200/l/1000", HTTP_ANSWERED, 200);
	expect(f, "/size/200/c/1000", HTTP_ANSWERED, 200);
	assert_int_equal(f->a.body_len, 1000);
	expect(f, "/size/200/l/1001", HTTP_TOO_LARGE, 200); /* announced */
	assert_int_equal(f->a.body_len, 0);
	expect(f, "/size/200/c/1001", HTTP_TOO_LARGE, 200); /* found */
	expect(f, "/size/200/l/999999999999", HTTP_TOO_LARGE, 200);
	f->r.max_body = 0;
	expect(f, "/zero", HTTP_ANSWERED, 200);
	expect(f, "/ok", HTTP_TOO_LARGE, 200);
	/* an error's status matters more than its body */
	f->r.max_body = 10;
	expect(f, "/size/500/l/1000", HTTP_ANSWERED, 500);
	assert_int_equal(f->a.body_len, 10);
	expect(f, "/size/403/c/100000000", HTTP_ANSWERED, 403);
	assert_int_equal(f->a.body_len, 10);
	f->r.max_body = 2;
	expect(f, "/stuck-error", HTTP_ANSWERED, 500); /* the rest is not waited for */
	assert_string_equal(f->body, "he");
	f->r.max_body = 10;
	f->r.file = scratch_file();
	f->r.max_file = 20;
	expect(f, "/size/403/l/1000", HTTP_ANSWERED, 403);
	assert_int_equal(f->a.body_len, 10);
	expect(f, "/size/200/l/21", HTTP_TOO_LARGE, 200);
	expect(f, "/size/200/l/999999999999", HTTP_TOO_LARGE, 200);
	assert_int_equal(fstat(f->r.file, &st), 0);
	assert_int_equal(st.st_size, 0);
	expect(f, "/size/200/c/5000", HTTP_TOO_LARGE, 200);
	assert_int_equal(fstat(f->r.file, &st), 0);
	assert_true(st.st_size <= 20);
	(void)close(f->r.file);
}

/* ---- parts ---- */

static void
test_ranges(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		uint64_t from, to, whole;
	} t[] = {{"bytes 5-9/10", true, 5, 9, 10}, {"bytes 0-0/1", true, 0, 0, 1},
	    {"bytes 7-8/100000000000000", true, 7, 8, UINT64_C(100000000000000)},
	    {"", 0, 0, 0, 0}, {"bytes", 0, 0, 0, 0}, {"bytes 5-9/*", 0, 0, 0, 0},
	    {"bytes */10", 0, 0, 0, 0}, {"bytes 9-5/10", 0, 0, 0, 0},
	    {"bytes 5-10/10", 0, 0, 0, 0}, {"bytes 5-9", 0, 0, 0, 0},
	    {"bytes 5-9/", 0, 0, 0, 0}, {"bytes -9/10", 0, 0, 0, 0},
	    {"bytes 5-/10", 0, 0, 0, 0}, {"items 5-9/10", 0, 0, 0, 0},
	    {"bytes=5-9/10", 0, 0, 0, 0}, {"bytes +5-9/10", 0, 0, 0, 0},
	    {"bytes 5 - 9/10", 0, 0, 0, 0}, {"bytes 5-9/10 ", 0, 0, 0, 0},
	    {"bytes 5-9/99999999999999999999999999", 0, 0, 0, 0},
	    {"bytes 18446744073709551616-9/10", 0, 0, 0, 0}};
	uint64_t from, to, whole;

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		if (http_range(t[i].text, &from, &to, &whole) != t[i].ok)
			fail_msg("\"%s\"", t[i].text);
		if (t[i].ok)
			assert_true(from == t[i].from && to == t[i].to && whole == t[i].whole);
	}
	assert_true(http_etag_strong("\"a\""));
	assert_false(http_etag_strong("W/\"a\""));
	assert_false(http_etag_strong("\"\""));
	assert_false(http_etag_strong("a"));
	assert_false(http_etag_strong("\"a\"b\""));
	assert_false(http_etag_strong(""));
	assert_false(http_etag_strong(NULL));
}

/* A file that holds "hello", and a request for what comes after it. */
static void
part(struct fixture *f, const char *held, uint64_t whole)
{
	if (f->r.file >= 0)
		(void)close(f->r.file);
	f->r.file = scratch_file();
	assert_int_equal(write(f->r.file, held, strlen(held)), strlen(held));
	f->r.max_file = 100;
	f->r.from = 5;
	f->r.whole = whole;
	f->r.if_range = "\"v1\"";
}

static void
holds(const struct fixture *f, const char *want)
{
	char got[200] = "";

	assert_true(pread(f->r.file, got, sizeof(got) - 1, 0) >= 0);
	assert_string_equal(got, want);
}

static void
test_resume(void **state)
{
	struct fixture *f = *state;

	part(f, "hello", 12);
	expect(f, "/rest", HTTP_ANSWERED, 206);
	holds(f, "hello, world");
	assert_true(f->a.to_file);
	assert_int_equal(f->a.file_from, 5);
	assert_int_equal(f->a.file_len, 12);
	assert_string_equal(
	    f->a.sha256, ""); /* of all that is in the file nobody knows it here */
	assert_string_equal(f->a.md5, "");
	part(f, "hello, wo", 0); /* what is beyond the part that is known goes */
	expect(f, "/rest", HTTP_ANSWERED, 206);
	holds(f, "hello, world");
	/* the whole instead: another object, or a host that knows no parts */
	part(f, "HELLO, WORLD", 12);
	expect(f, "/ok", HTTP_ANSWERED, 200);
	holds(f, "hello");
	assert_int_equal(f->a.file_from, 0);
	assert_int_equal(f->a.file_len, 5);
	assert_string_equal(
	    f->a.sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
	/* errors leave it as it is */
	part(f, "hello", 12);
	expect(f, "/404", HTTP_ANSWERED, 404);
	holds(f, "hello");
	assert_false(f->a.to_file);
	assert_int_equal(f->a.file_len, 5);
	part(f, "hello", 12);
	f->r.max_file = 11;
	expect(f, "/rest", HTTP_TOO_LARGE, 206);
	holds(f, "hello");
	/* both conditions are sent, and nothing else of that kind */
	f->r.file = -1;
	expect(f, "/echo", HTTP_ANSWERED, 200);
	assert_int_equal(times(f->body, "\r\nRange: bytes=5-\r\n"), 1);
	assert_int_equal(times(f->body, "\r\nIf-Range: \"v1\"\r\n"), 1);
	assert_int_equal(times(f->body, "If-None-Match"), 0);
	assert_int_equal(times(f->body, "Accept-Encoding"), 0);
}

/* A part that is not exactly the one that was asked for: not a byte of it is kept. */
static void
test_wrong_parts(void **state)
{
	static const char *const heads[] = {
	    "Content-Range: bytes 4-11/12\r\nETag: \"v1\"\r\nContent-Length: 8",
	    "Content-Range: bytes 6-11/12\r\nETag: \"v1\"\r\nContent-Length: 6",
	    "Content-Range: bytes 5-10/12\r\nETag: \"v1\"\r\nContent-Length: 6",
	    "Content-Range: bytes 5-11/12\r\nETag: \"v2\"\r\nContent-Length: 7",
	    "Content-Range: bytes 5-11/12\r\nETag: W/\"v1\"\r\nContent-Length: 7",
	    "Content-Range: bytes 5-12/13\r\nETag: \"v1\"\r\nContent-Length: 8",
	    "Content-Range: bytes 5-11/12\r\nETag: \"v1\"\r\nContent-Length: 6",
	    "Content-Range: bytes 5-11/*\r\nETag: \"v1\"\r\nContent-Length: 7",
	    "Content-Range: bytes=5-11/12\r\nContent-Length: 7", "Content-Length: 7",
	    "Content-Type: multipart/byteranges; boundary=x\r\nContent-Length: 7"};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(heads); i++) {
		part(f, "hello", 12);
		can(f, "HTTP/1.1 206 Partial Content\r\n%s\r\n\r\nXXXXXXXX", heads[i]);
		expect(f, "/canned", HTTP_CUT, 206);
		holds(f, "hello");
		assert_int_equal(f->a.file_len, 5);
		assert_non_null(strstr(f->a.text, "not asked for"));
	}
	/* a 206 that nobody asked for */
	f->r.from = 0;
	expect(f, "/rest", HTTP_CUT, 206);
	/* an ETag that is weak, or none, cannot promise anything */
	f->r.from = 5;
	f->r.if_range = "W/\"v1\"";
	refuse(f, RC_BAD);
	f->r.if_range = NULL;
	refuse(f, RC_BAD);
	f->r.from = 0;
	f->r.if_none_match = "\"a\"\r\nX: y";
	refuse(f, RC_BAD);
	f->r.if_none_match = "\"v1\"";
	expect(f, "/same", HTTP_ANSWERED, 304);
	assert_string_equal(f->a.etag, "\"v1\"");
	assert_int_equal(f->a.file_len, 0);
	(void)close(f->r.file);
}

/* The rest breaks off as well: what came of it is in the file and counted. */
static void
test_resume_cut(void **state)
{
	struct fixture *f = *state;

	part(f, "hello", 12);
	can(f, "HTTP/1.1 206 P\r\nContent-Range: bytes 5-11/12\r\nETag: \"v1\"\r\n"
	       "Content-Length: 7\r\n\r\n, wo");
	expect(f, "/canned", HTTP_CUT, 206);
	holds(f, "hello, wo");
	assert_int_equal(f->a.file_from, 5);
	assert_int_equal(f->a.file_len, 9);
	(void)close(f->r.file);
}

static void
test_room(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	uint64_t room;

	f->r.file = scratch_file();
	f->r.max_file = UINT64_MAX;
	assert_int_equal(io_room(f->r.file, &room, &f->e), RC_OK);
	f->r.min_free = UINT64_MAX / 2;
	expect(f, "/ok", HTTP_LOCAL, 200);
	assert_int_equal(f->a.sys, ENOSPC);
	f->r.min_free = room / 2; /* enough before, not after it, by what is announced */
	can(f, "HTTP/1.1 200 OK\r\nContent-Length: %" PRIu64 "\r\n\r\nx", room);
	expect(f, "/canned", HTTP_LOCAL, 200);
	assert_int_equal(f->a.sys, ENOSPC);
	assert_int_equal(fstat(f->r.file, &st), 0);
	assert_int_equal(st.st_size, 0);
	f->r.min_free = 1;
	expect(f, "/ok", HTTP_ANSWERED, 200);
	(void)close(f->r.file);
}

/* ---- where an answer goes ---- */

static struct {
	unsigned asked;
	int give;
	char first[8];
} chosen;

static int
choose(const struct http_answer *a, const char *p, size_t n, void *arg)
{
	(void)arg;
	chosen.asked++;
	(void)!str_copy_n(chosen.first, sizeof(chosen.first), p, n < 4 ? n : 4);
	return str_eq(a->content_type, "application/pdf") ? chosen.give : -1;
}

static void
test_choose(void **state)
{
	struct fixture *f = *state;

	memset(&chosen, 0, sizeof(chosen));
	chosen.give = scratch_file();
	f->r.choose = choose;
	f->r.max_file = 9;
	f->r.max_body = 5;
	expect(f, "/ok", HTTP_ANSWERED, 200);
	assert_string_equal(f->body, "hello");
	assert_false(f->a.to_file);
	expect(f, "/404", HTTP_ANSWERED, 404);
	assert_int_equal(chosen.asked, 1); /* only about a good answer */
	expect(f, "/pdf", HTTP_ANSWERED, 200);
	assert_int_equal(chosen.asked, 2);
	assert_string_equal(chosen.first, "%PDF");
	assert_true(f->a.to_file);
	assert_int_equal(f->a.file_len, 9);
	assert_int_equal(strlen(f->a.sha256), 64);
	assert_int_equal(strlen(f->a.md5), 32);
	f->r.file = chosen.give;
	holds(f, "%PDF-1.7\n");
	f->r.file = -1;
	expect(f, "/pdf-none", HTTP_ANSWERED, 200);
	assert_int_equal(chosen.asked, 2);
	f->r.max_file = 8;
	expect(f, "/pdf", HTTP_TOO_LARGE, 200);
	f->r.max_file = 9;
	(void)close(chosen.give);
	chosen.give = HTTP_NO_FILE;
	expect(f, "/pdf", HTTP_LOCAL, 200);
}

/* ---- bandwidth ---- */

struct lane {
	struct http_call *call;
	int file;
	bool done;
	uint64_t other; /* bytes that the other one had when this one was done */
	struct lane *beside;
};

static void
on_lane(const struct http_answer *a, void *arg)
{
	struct lane *l = arg;
	uint64_t all;

	assert_int_equal(a->fate, HTTP_ANSWERED);
	assert_int_equal(a->file_len, 150000);
	if (l->beside->call != NULL)
		http_progress(l->beside->call, &l->other, &all);
	l->call = NULL;
	l->done = true;
}

static int64_t
race(struct fixture *f, struct lane lanes[2])
{
	int64_t begun = clk_mono();

	for (int i = 0; i < 2; i++) {
		lanes[i] = (struct lane){.file = scratch_file(), .beside = &lanes[1 - i]};
		f->r.file = lanes[i].file;
		assert_int_equal(
		    http_start(f->h, &f->r, on_lane, &lanes[i], &lanes[i].call, &f->e), RC_OK);
	}
	while (!lanes[0].done || !lanes[1].done) {
		assert_int_equal(http_wait(f->h, NULL, 0, 1000, &f->e), RC_OK);
		assert_true(clk_mono() - begun < PATIENCE);
	}
	(void)close(lanes[0].file);
	(void)close(lanes[1].file);
	return clk_mono() - begun;
}

static void
test_bandwidth(void **state)
{
	struct fixture *f = *state;
	struct lane lanes[2];
	uint64_t other;
	int64_t took;

	go_to(f, "/size/200/l/150000");
	f->r.max_file = 150000;
	http_bandwidth(f->h, 200000);
	took = race(f, lanes);
	other = lanes[0].other > lanes[1].other ? lanes[0].other : lanes[1].other;
	if (took <
	    1000) /* 300,000 bytes at 200,000 a second: 1.5 s, and a first burst is free */
		fail_msg("%" PRId64 " ms", took);
	if (other < 75000)
		fail_msg("one was done, the other had %" PRIu64, other);
	http_bandwidth(f->h, 0);
	assert_true(race(f, lanes) < took);
}

/* ---- failures ---- */

/* /canned has a head of about n bytes, in lines of 1000. */
static void
head_of(struct fixture *f, size_t n)
{
	char *lines = calloc(1, n + 1001);

	assert_non_null(lines);
	for (size_t at = 0; at < n; at += 1000)
		(void)snprintf(lines + at, 1001, "X: %0995d\r\n", 1);
	can(f, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n%s\r\n", lines);
	free(lines);
}

static void
test_broken(void **state)
{
	struct fixture *f = *state;

	expect(f, "/cut", HTTP_CUT, 200);
	assert_string_equal(f->body, "hello");
	expect(f, "/cut-chunk", HTTP_CUT, 200);
	expect(f, "/nothing", HTTP_CUT, 0);
	expect(f, "/cut-100", HTTP_CUT, 0);
	expect(f, "/no-http", HTTP_CUT, 0);
	expect(f, "/bad-chunk", HTTP_CUT, 200);
	expect(f, "/bad-length", HTTP_CUT, 200);
	expect(f, "/lines", HTTP_CUT, 200);
	expect(f, "/line", HTTP_CUT, 200);
	head_of(f, 64000);
	expect(f, "/canned", HTTP_ANSWERED, 200);
	head_of(f, 66000);
	expect(f, "/canned", HTTP_CUT, 200);
	expect(f, "/cut-head", HTTP_CUT, 200);
	expect(f, "/cut-line", HTTP_CUT, 200);
	f->r.file = scratch_file();
	f->r.max_file = 100;
	expect(f, "/cut-line", HTTP_CUT, 200);
	assert_string_equal(f->a.sha256, "");
	(void)close(f->r.file);
}

static void
test_no_connection(void **state)
{
	struct fixture *f = *state;
	struct http_call *call;
	unsigned port;

	(void)close(listen_here(&port));
	(void)snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/?" SECRET, port);
	start(f, &call);
	wait_for(f, 1);
	assert_int_equal(f->a.fate, HTTP_NO_CONNECT);
	assert_int_equal(f->a.status, 0);
	assert_non_null(strstr(f->a.text, strerror(ECONNREFUSED)));
	assert_non_null(strstr(f->a.text, "127.0.0.1"));
	(void)snprintf(f->url, sizeof(f->url), "http://none.test/?" SECRET);
	start(f, &call);
	wait_for(f, 2);
	assert_int_equal(f->a.fate, HTTP_NO_NAME);
	assert_non_null(strstr(f->a.text, "none.test"));
	/* a TLS handshake that is not answered */
	f->r.connect_timeout = 30;
	(void)snprintf(f->url, sizeof(f->url), "https://127.0.0.1:%u/", f->s->port);
	start(f, &call);
	wait_for(f, 3);
	assert_int_equal(f->a.fate, HTTP_NO_CONNECT);
}

static int64_t still_time; /* a clock that goes when the test says so */

static int64_t
still_mono(void)
{
	return still_time;
}

/* Nothing happens to f->url until the clock goes, and then the call ends. */
static void
stall_by(struct fixture *f, const char *path, uint64_t body, int status, int64_t ms)
{
	struct pollfd p = {.fd = f->s->arrived[0], .events = POLLIN};
	struct http_call *call;
	uint64_t got = 0, all;
	char one;

	f->calls = 0;
	go_to(f, path);
	start(f, &call);
	while ((p.revents & POLLIN) == 0 || got < body) {
		assert_int_equal(http_wait(f->h, &p, 1, 10, &f->e), RC_OK);
		http_progress(call, &got, &all);
	}
	assert_int_equal(read(p.fd, &one, 1), 1);
	still_time += ms - 1;
	assert_int_equal(http_wait(f->h, NULL, 0, 0, &f->e), RC_OK);
	assert_int_equal(f->calls, 0);
	still_time++;
	assert_int_equal(http_wait(f->h, NULL, 0, (int)PATIENCE, &f->e), RC_OK);
	assert_int_equal(f->calls, 1);
	assert_int_equal(f->a.fate, HTTP_STALLED);
	assert_int_equal(f->a.status, status);
}

static void
stall(struct fixture *f, const char *path, uint64_t body, int status)
{
	stall_by(f, path, body, status, 1000);
	assert_non_null(strstr(f->a.text, "nothing came"));
}

/* total_timeout is for calls; a file is bounded by stall_timeout. */
static void
test_choose_time(void **state)
{
	struct fixture *f = *state;

	memset(&chosen, 0, sizeof(chosen));
	chosen.give = scratch_file();
	f->r.choose = choose;
	f->r.max_file = 100;
	clk_replace(NULL, still_mono);
	f->r.stall_timeout = 5000;
	f->r.total_timeout = 1000;
	stall_by(f, "/stuck", 5, 200, 1000);
	assert_non_null(strstr(f->a.text, "in time"));
	stall_by(f, "/pdf-stuck", 4, 200, 5000);
	assert_non_null(strstr(f->a.text, "any more"));
	(void)close(chosen.give);
}

static void
test_stalls(void **state)
{
	struct fixture *f = *state;

	clk_replace(NULL, still_mono);
	f->r.stall_timeout = 1000;
	stall(f, "/silent", 0, 0);
	stall(f, "/stuck", 5, 200);
	assert_string_equal(f->body, "hello");
	stall(f, "/stuck-error", 5, 500);
	f->r.file = scratch_file();
	f->r.max_file = 100;
	stall(f, "/stuck", 5, 200);
	assert_int_equal(f->a.file_len, 5);
	(void)close(f->r.file);
	f->r.file = -1;
	clk_replace(NULL, NULL);
	f->r.stall_timeout = 20; /* and with the clock on the wall */
	expect(f, "/silent", HTTP_STALLED, 0);
}

static void
test_total(void **state)
{
	struct fixture *f = *state;

	f->r.stall_timeout = 0;
	f->r.total_timeout = 20;
	ask(f, "/stuck");
	assert_true(f->a.fate == HTTP_STALLED || f->a.fate == HTTP_NO_CONNECT);
	f->r.total_timeout = 200;
	expect(f, "/silent", HTTP_STALLED, 0);
	assert_non_null(strstr(f->a.text, "in time"));
	f->r.total_timeout = PATIENCE;
	expect(f, "/ok", HTTP_ANSWERED, 200);
}

/* A name server that does not answer must hold up neither an end nor a limit. */
static void
test_slow_names(void **state)
{
	struct fixture *f = *state;
	struct pollfd p = {.events = POLLIN};
	struct http_call *call;

	p.fd = lookup_begun[0];
	(void)snprintf(f->url, sizeof(f->url), "http://a.slow.test/");
	start(f, &call);
	while (p.revents == 0)
		assert_int_equal(http_wait(f->h, &p, 1, 1000, &f->e), RC_OK);
	http_cancel(f->h, &call);
	assert_null(call);
	(void)snprintf(f->url, sizeof(f->url), "http://b.slow.test/");
	f->r.connect_timeout = 20;
	start(f, &call);
	wait_for(f, 1);
	assert_int_equal(f->a.fate, HTTP_NO_CONNECT);
	assert_int_equal(write(lookup_go[1], "xx", 2), 2);
}

/*
 * Each code of libcurl's, by its number, which is ABI (libcurl-errors(3)): what it means, and
 * for an event whose call or download it ended, before a status came and after a 200.
 */
static const struct {
	int code;
	const char *name;
	enum http_fate fate;
	enum verdict before, after;
} fates[] = {
    {1, "UNSUPPORTED_PROTOCOL", HTTP_CUT, V_DOWN, V_LATER},
    {2, "FAILED_INIT", HTTP_LOCAL, V_LATER, V_LATER},
    {3, "URL_MALFORMAT", HTTP_FORBIDDEN, V_NEVER, V_NEVER},
    {4, "NOT_BUILT_IN", HTTP_LOCAL, V_LATER, V_LATER},
    {5, "COULDNT_RESOLVE_PROXY", HTTP_NO_NAME, V_DOWN, V_DOWN},
    {6, "COULDNT_RESOLVE_HOST", HTTP_NO_NAME, V_DOWN, V_DOWN},
    {7, "COULDNT_CONNECT", HTTP_NO_CONNECT, V_DOWN, V_DOWN},
    {8, "WEIRD_SERVER_REPLY", HTTP_CUT, V_DOWN, V_LATER},
    {9, "REMOTE_ACCESS_DENIED", HTTP_LOCAL, V_LATER, V_LATER},
    {10, "FTP_ACCEPT_FAILED", HTTP_LOCAL, V_LATER, V_LATER},
    {11, "FTP_WEIRD_PASS_REPLY", HTTP_LOCAL, V_LATER, V_LATER},
    {12, "FTP_ACCEPT_TIMEOUT", HTTP_LOCAL, V_LATER, V_LATER},
    {13, "FTP_WEIRD_PASV_REPLY", HTTP_LOCAL, V_LATER, V_LATER},
    {14, "FTP_WEIRD_227_FORMAT", HTTP_LOCAL, V_LATER, V_LATER},
    {15, "FTP_CANT_GET_HOST", HTTP_LOCAL, V_LATER, V_LATER},
    {16, "HTTP2", HTTP_CUT, V_DOWN, V_LATER},
    {17, "FTP_COULDNT_SET_TYPE", HTTP_LOCAL, V_LATER, V_LATER},
    {18, "PARTIAL_FILE", HTTP_CUT, V_DOWN, V_LATER},
    {19, "FTP_COULDNT_RETR_FILE", HTTP_LOCAL, V_LATER, V_LATER},
    {20, "OBSOLETE20", HTTP_LOCAL, V_LATER, V_LATER},
    {21, "QUOTE_ERROR", HTTP_LOCAL, V_LATER, V_LATER},
    {22, "HTTP_RETURNED_ERROR", HTTP_LOCAL, V_LATER, V_LATER},
    {23, "WRITE_ERROR", HTTP_LOCAL, V_LATER, V_LATER},
    {24, "OBSOLETE24", HTTP_LOCAL, V_LATER, V_LATER},
    {25, "UPLOAD_FAILED", HTTP_LOCAL, V_LATER, V_LATER},
    {26, "READ_ERROR", HTTP_LOCAL, V_LATER, V_LATER},
    {27, "OUT_OF_MEMORY", HTTP_LOCAL, V_LATER, V_LATER},
    {28, "OPERATION_TIMEDOUT", HTTP_STALLED, V_DOWN, V_DOWN},
    {29, "OBSOLETE29", HTTP_LOCAL, V_LATER, V_LATER},
    {30, "FTP_PORT_FAILED", HTTP_LOCAL, V_LATER, V_LATER},
    {31, "FTP_COULDNT_USE_REST", HTTP_LOCAL, V_LATER, V_LATER},
    {32, "OBSOLETE32", HTTP_LOCAL, V_LATER, V_LATER},
    {33, "RANGE_ERROR", HTTP_LOCAL, V_LATER, V_LATER},
    {34, "HTTP_POST_ERROR", HTTP_LOCAL, V_LATER, V_LATER},
    {35, "SSL_CONNECT_ERROR", HTTP_NO_TLS, V_DOWN, V_DOWN},
    {36, "BAD_DOWNLOAD_RESUME", HTTP_LOCAL, V_LATER, V_LATER},
    {37, "FILE_COULDNT_READ_FILE", HTTP_LOCAL, V_LATER, V_LATER},
    {38, "LDAP_CANNOT_BIND", HTTP_LOCAL, V_LATER, V_LATER},
    {39, "LDAP_SEARCH_FAILED", HTTP_LOCAL, V_LATER, V_LATER},
    {40, "OBSOLETE40", HTTP_LOCAL, V_LATER, V_LATER},
    {41, "FUNCTION_NOT_FOUND", HTTP_LOCAL, V_LATER, V_LATER},
    {42, "ABORTED_BY_CALLBACK", HTTP_FORBIDDEN, V_NEVER, V_NEVER},
    {43, "BAD_FUNCTION_ARGUMENT", HTTP_LOCAL, V_LATER, V_LATER},
    {44, "OBSOLETE44", HTTP_LOCAL, V_LATER, V_LATER},
    {45, "INTERFACE_FAILED", HTTP_LOCAL, V_LATER, V_LATER},
    {46, "OBSOLETE46", HTTP_LOCAL, V_LATER, V_LATER},
    {47, "TOO_MANY_REDIRECTS", HTTP_LOCAL, V_LATER, V_LATER},
    {48, "UNKNOWN_OPTION", HTTP_LOCAL, V_LATER, V_LATER},
    {49, "SETOPT_OPTION_SYNTAX", HTTP_LOCAL, V_LATER, V_LATER},
    {50, "OBSOLETE50", HTTP_LOCAL, V_LATER, V_LATER},
    {51, "OBSOLETE51", HTTP_LOCAL, V_LATER, V_LATER},
    {52, "GOT_NOTHING", HTTP_CUT, V_DOWN, V_LATER},
    {53, "SSL_ENGINE_NOTFOUND", HTTP_NO_TLS, V_DOWN, V_DOWN},
    {54, "SSL_ENGINE_SETFAILED", HTTP_NO_TLS, V_DOWN, V_DOWN},
    {55, "SEND_ERROR", HTTP_CUT, V_DOWN, V_LATER},
    {56, "RECV_ERROR", HTTP_CUT, V_DOWN, V_LATER},
    {57, "OBSOLETE57", HTTP_LOCAL, V_LATER, V_LATER},
    {58, "SSL_CERTPROBLEM", HTTP_NO_TLS, V_DOWN, V_DOWN},
    {59, "SSL_CIPHER", HTTP_NO_TLS, V_DOWN, V_DOWN},
    {60, "PEER_FAILED_VERIFICATION", HTTP_NO_TLS, V_DOWN, V_DOWN},
    {61, "BAD_CONTENT_ENCODING", HTTP_CUT, V_DOWN, V_LATER},
    {62, "OBSOLETE62", HTTP_LOCAL, V_LATER, V_LATER},
    {63, "FILESIZE_EXCEEDED", HTTP_TOO_LARGE, V_NEVER, V_NEVER},
    {64, "USE_SSL_FAILED", HTTP_NO_TLS, V_DOWN, V_DOWN},
    {65, "SEND_FAIL_REWIND", HTTP_CUT, V_DOWN, V_LATER},
    {66, "SSL_ENGINE_INITFAILED", HTTP_NO_TLS, V_DOWN, V_DOWN},
    {67, "LOGIN_DENIED", HTTP_LOCAL, V_LATER, V_LATER},
    {68, "TFTP_NOTFOUND", HTTP_LOCAL, V_LATER, V_LATER},
    {69, "TFTP_PERM", HTTP_LOCAL, V_LATER, V_LATER},
    {70, "REMOTE_DISK_FULL", HTTP_LOCAL, V_LATER, V_LATER},
    {71, "TFTP_ILLEGAL", HTTP_LOCAL, V_LATER, V_LATER},
    {72, "TFTP_UNKNOWNID", HTTP_LOCAL, V_LATER, V_LATER},
    {73, "REMOTE_FILE_EXISTS", HTTP_LOCAL, V_LATER, V_LATER},
    {74, "TFTP_NOSUCHUSER", HTTP_LOCAL, V_LATER, V_LATER},
    {75, "OBSOLETE75", HTTP_LOCAL, V_LATER, V_LATER},
    {76, "OBSOLETE76", HTTP_LOCAL, V_LATER, V_LATER},
    {77, "SSL_CACERT_BADFILE", HTTP_NO_TLS, V_DOWN, V_DOWN},
    {78, "REMOTE_FILE_NOT_FOUND", HTTP_LOCAL, V_LATER, V_LATER},
    {79, "SSH", HTTP_LOCAL, V_LATER, V_LATER},
    {80, "SSL_SHUTDOWN_FAILED", HTTP_CUT, V_DOWN, V_LATER},
    {81, "AGAIN", HTTP_CUT, V_DOWN, V_LATER},
    {82, "SSL_CRL_BADFILE", HTTP_NO_TLS, V_DOWN, V_DOWN},
    {83, "SSL_ISSUER_ERROR", HTTP_NO_TLS, V_DOWN, V_DOWN},
    {84, "FTP_PRET_FAILED", HTTP_LOCAL, V_LATER, V_LATER},
    {85, "RTSP_CSEQ_ERROR", HTTP_LOCAL, V_LATER, V_LATER},
    {86, "RTSP_SESSION_ERROR", HTTP_LOCAL, V_LATER, V_LATER},
    {87, "FTP_BAD_FILE_LIST", HTTP_LOCAL, V_LATER, V_LATER},
    {88, "CHUNK_FAILED", HTTP_LOCAL, V_LATER, V_LATER},
    {89, "NO_CONNECTION_AVAILABLE", HTTP_NO_CONNECT, V_DOWN, V_DOWN},
    {90, "SSL_PINNEDPUBKEYNOTMATCH", HTTP_NO_TLS, V_DOWN, V_DOWN},
    {91, "SSL_INVALIDCERTSTATUS", HTTP_NO_TLS, V_DOWN, V_DOWN},
    {92, "HTTP2_STREAM", HTTP_CUT, V_DOWN, V_LATER},
    {93, "RECURSIVE_API_CALL", HTTP_LOCAL, V_LATER, V_LATER},
    {94, "AUTH_ERROR", HTTP_LOCAL, V_LATER, V_LATER},
    {95, "HTTP3", HTTP_CUT, V_DOWN, V_LATER},
    {96, "QUIC_CONNECT_ERROR", HTTP_NO_CONNECT, V_DOWN, V_DOWN},
    {97, "PROXY", HTTP_NO_CONNECT, V_DOWN, V_DOWN},
    {98, "SSL_CLIENTCERT", HTTP_NO_TLS, V_DOWN, V_DOWN},
    {99, "UNRECOVERABLE_POLL", HTTP_LOCAL, V_LATER, V_LATER},
    {100, "TOO_LARGE", HTTP_LOCAL, V_LATER, V_LATER},
    {101, "ECH_REQUIRED", HTTP_LOCAL, V_LATER, V_LATER},
};

static enum verdict
judge(enum http_fate fate, int status)
{
	struct http_answer a = {.fate = fate, .status = status, .text = "why"};
	char text[ERR_TEXT];
	enum verdict v = verdict_document(&a, text);

	assert_int_equal(verdict_api(&a, CLK_DAY, text), v);
	return v;
}

static void
test_fates(void **state)
{
	(void)state;
	assert_int_equal(http_fate_of(CURLE_OK), HTTP_ANSWERED);
	if (CURL_LAST > COUNT(fates) + 1)
		fail_msg("libcurl has codes from %zu to %d that are in no row",
		    COUNT(fates) + 1, CURL_LAST - 1);
	for (size_t i = 0; i < COUNT(fates); i++) {
		assert_int_equal(fates[i].code, i + 1);
		if (http_fate_of(fates[i].code) != fates[i].fate)
			fail_msg("%d, CURLE_%s: fate %d", fates[i].code, fates[i].name,
			    (int)http_fate_of(fates[i].code));
		if (judge(fates[i].fate, 0) != fates[i].before ||
		    judge(fates[i].fate, 200) != fates[i].after)
			fail_msg("%d, CURLE_%s: another verdict", fates[i].code, fates[i].name);
	}
	for (int code = -1; code <= 1000; code = code < 0 ? (int)COUNT(fates) + 1 : code + 1)
		assert_int_equal(http_fate_of(code), HTTP_LOCAL);
}

/* ---- several at once ---- */

struct one {
	unsigned number, calls;
	struct http_call *call;
};

static void
on_one(const struct http_answer *a, void *arg)
{
	struct one *o = arg;
	char line[64];

	(void)snprintf(line, sizeof(line), "GET /echo?%u HTTP/1.1\r\n", o->number);
	assert_int_equal(a->fate, HTTP_ANSWERED);
	assert_true(str_begins(a->body, line));
	o->calls++;
}

static void
test_many(void **state)
{
	struct fixture *f = *state;
	struct one o[MANY] = {0};
	char path[32];

	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(path, sizeof(path), "/echo?%u", i);
		go_to(f, path);
		o[i].number = i;
		assert_int_equal(
		    http_start(f->h, &f->r, on_one, &o[i], &o[i].call, &f->e), RC_OK);
		assert_int_equal(http_running(f->h), i + 1);
	}
	memset(f->url, 'x', sizeof(f->url) - 1); /* everything was copied */
	for (int64_t end = clk_mono() + PATIENCE; http_running(f->h) > 0;) {
		assert_int_equal(http_wait(f->h, NULL, 0, 1000, &f->e), RC_OK);
		assert_true(clk_mono() < end);
	}
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(o[i].calls, 1);
}

/* A request that has arrived and is not answered. */
static struct http_call *
hang(struct fixture *f)
{
	struct pollfd p = {.fd = f->s->arrived[0], .events = POLLIN};
	struct http_call *call;
	char one;

	go_to(f, "/stuck");
	start(f, &call);
	while ((p.revents & POLLIN) == 0)
		assert_int_equal(http_wait(f->h, &p, 1, 1000, &f->e), RC_OK);
	assert_int_equal(read(p.fd, &one, 1), 1);
	return call;
}

static void
test_cancel(void **state)
{
	struct fixture *f = *state;
	struct http_call *call = hang(f), *never = NULL;
	uint64_t got = 99, all = 99;

	while (got != 5) { /* progress */
		assert_int_equal(http_wait(f->h, NULL, 0, 1000, &f->e), RC_OK);
		http_progress(call, &got, &all);
	}
	assert_int_equal(all, 50);
	http_cancel(f->h, &call);
	assert_null(call);
	assert_int_equal(http_running(f->h), 0);
	http_cancel(f->h, &call);
	http_cancel(f->h, &never);
	go_to(f, "/ok");
	start(f, &call); /* before it is sent */
	http_cancel(f->h, &call);
	assert_int_equal(f->calls, 0);
	expect(f, "/ok", HTTP_ANSWERED, 200);
	assert_int_equal(f->calls, 1);
	/* and freed with one under way */
	(void)hang(f);
	http_free(&f->h);
	assert_int_equal(f->calls, 1);
	assert_int_equal(http_new("arkenspool/test", &f->h, &f->e), RC_OK);
}

struct pair {
	struct fixture *f;
	struct http_call *self, *other;
};

static void
on_pair(const struct http_answer *a, void *arg)
{
	struct pair *p = arg;
	struct http_call *more;

	assert_int_equal(a->fate, HTTP_ANSWERED);
	assert_string_equal(a->body, "hello");
	http_cancel(p->f->h, &p->self);
	http_cancel(p->f->h, &p->other);
	assert_null(p->self);
	assert_null(p->other);
	assert_string_equal(a->body, "hello"); /* still there */
	go_to(p->f, "/404");
	start(p->f, &more);
}

static void
test_inside_done(void **state)
{
	struct fixture *f = *state;
	struct pair p = {.f = f};

	p.other = hang(f);
	go_to(f, "/ok");
	assert_int_equal(http_start(f->h, &f->r, on_pair, &p, &p.self, &f->e), RC_OK);
	wait_for(f, 1);
	assert_int_equal(f->a.status, 404);
}

static void
test_descriptors(void **state)
{
	struct fixture *f = *state;
	struct pollfd p[HTTP_FDS + 1];
	int64_t begin = clk_mono();
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	for (size_t i = 0; i < COUNT(p); i++)
		p[i] = (struct pollfd){.fd = -1, .events = POLLIN, .revents = 77};
	p[3].fd = fds[0];
	assert_int_equal(http_wait(f->h, p, HTTP_FDS + 1, 0, &f->e), RC_BAD);
	assert_int_equal(http_wait(f->h, p, HTTP_FDS, 0, &f->e), RC_OK);
	assert_int_equal(p[3].revents, 0);
	assert_int_equal(p[0].revents, 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(http_wait(f->h, p, 4, (int)PATIENCE, &f->e), RC_OK);
	assert_int_equal(p[3].revents, POLLIN);
	assert_int_equal(http_wait(f->h, p, 4, -1, &f->e), RC_OK);
	p[3].events = 0;
	(void)close(fds[1]);
	assert_int_equal(http_wait(f->h, p, 4, (int)PATIENCE, &f->e), RC_OK);
	assert_int_equal(p[3].revents, POLLHUP);
	assert_true(clk_mono() - begin < PATIENCE / 2);
	(void)close(fds[0]);
}

/* Hooks are started beside the connections. */
static void
test_inherited(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in sin;
	unsigned seen = 0;
	struct dirent *d;
	DIR *dir;

	expect(f, "/ok", HTTP_ANSWERED, 200);
	assert_non_null(dir = opendir("/proc/self/fd"));
	while ((d = readdir(dir)) != NULL) {
		socklen_t n = sizeof(sin);
		int fd = (int)strtol(d->d_name, NULL, 10);

		memset(&sin, 0, sizeof(sin));
		if (getpeername(fd, (struct sockaddr *)&sin, &n) != 0 ||
		    sin.sin_family != AF_INET || ntohs(sin.sin_port) != f->s->port)
			continue;
		assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
		seen++;
	}
	(void)closedir(dir);
	assert_int_equal(seen, 1);
}

static void
test_new(void **state)
{
	struct sigaction old;
	struct http *h = NULL;
	struct err e = {0};
	char agent[200];

	(void)state;
	memset(agent, 'x', sizeof(agent));
	agent[sizeof(agent) - 1] = '\0';
	assert_int_equal(http_new(agent, &h, &e), RC_BAD);
	assert_null(h);
	http_free(&h);
	assert_int_equal(signal(SIGPIPE, SIG_DFL) == SIG_ERR, 0);
	assert_int_equal(http_new("x", &h, &e), RC_OK);
	assert_int_equal(http_running(h), 0);
	assert_int_equal(http_wait(h, NULL, 0, 0, &e), RC_OK);
	http_free(&h);
	assert_int_equal(sigaction(SIGPIPE, NULL, &old), 0);
	assert_true(old.sa_handler == SIG_IGN);
}

/* ---- the guard, and TLS ---- */

/* A guarded request to an address that is not allowed gets as far as no connection at all. */
static void
test_guard(void **state)
{
	static const char *const hosts[] = {"127.0.0.1", "doc.test", "localhost"};
	struct fixture *f = *state;
	struct http_call *call;
	struct guard *g = NULL;
	char list[200];

	f->r.connect_timeout = 5 * CLK_SECOND;
	for (size_t i = 0; i < COUNT(hosts); i++) {
		(void)snprintf(list, sizeof(list), "%s:%u", hosts[i], f->s->port);
		assert_int_equal(guard_new(list, "10.0.0.0/8", &g, &f->e), RC_OK);
		f->r.guard = g;
		(void)snprintf(f->url, sizeof(f->url), "https://%s/?" SECRET, list);
		f->calls = 0;
		start(f, &call);
		wait_for(f, 1);
		assert_int_equal(f->a.fate, HTTP_FORBIDDEN);
		assert_int_equal(f->a.status, 0);
		assert_non_null(strstr(f->a.text, hosts[i]));
		if (i < 2)
			assert_non_null(strstr(f->a.text, ": 127.0.0.1"));
		guard_free(&g);
	}
	f->r.guard = NULL;
	expect(f, "/ok", HTTP_ANSWERED, 200);
	assert_int_equal(count(f->s, &f->s->nconns), 1); /* none came before */
	/* the same, allowed: it comes to a handshake, with a server that has none */
	f->r.connect_timeout = 100;
	(void)snprintf(f->url, sizeof(f->url), "https://%s/", list);
	assert_int_equal(guard_new(list, "127.0.0.0/8 ::1/128", &g, &f->e), RC_OK);
	f->r.guard = g;
	f->calls = 0;
	start(f, &call);
	wait_for(f, 1);
	assert_int_equal(f->a.fate, HTTP_NO_CONNECT);
	guard_free(&g);
}

struct tls { /* openssl s_server: what a client says comes out, what goes in is the answer */
	char dir[TMPDIR_SIZE], key[TMPDIR_SIZE + 16], cert[TMPDIR_SIZE + 16];
	pid_t pid;
	int in, out;
	unsigned port, requests;
};

/* The command ends with the test, however that ends. */
static pid_t
spawn(char *const argv[], int in, int out)
{
	pid_t parent = getpid(), pid = fork();
	int null;

	if (pid != 0)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent ||
	    (null = open("/dev/null", O_WRONLY | O_CLOEXEC)) < 0 || dup2(in, 0) < 0 ||
	    dup2(out, 1) < 0 || dup2(null, 2) < 0)
		_exit(127);
	(void)execvp(argv[0], argv);
	_exit(127);
}

static bool
make_certificate(struct tls *t)
{
	char *argv[] = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
	    "ec_paramgen_curve:P-256", "-nodes", "-keyout", t->key, "-out", t->cert, "-days",
	    "2", "-subj", "/CN=doc.test", "-addext", "subjectAltName=DNS:doc.test", NULL};
	int status = -1, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid = spawn(argv, null, null);

	(void)close(null);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void
tls_stop(struct tls *t)
{
	if (t->pid > 0) {
		(void)kill(t->pid, SIGKILL);
		(void)waitpid(t->pid, NULL, 0);
		(void)close(t->in);
		(void)close(t->out);
	}
	tmpdir_remove(t->dir);
}

static bool
tls_start(struct tls *t)
{
	char *argv[] = {"openssl", "s_server", "-accept", "127.0.0.1:0", "-key", t->key,
	    "-cert", t->cert, NULL};
	char text[1024] = "", *at;
	int in[2], out[2];
	size_t n = 0;
	ssize_t k;

	memset(t, 0, sizeof(*t));
	tmpdir_make(t->dir);
	(void)snprintf(t->key, sizeof(t->key), "%s/key", t->dir);
	(void)snprintf(t->cert, sizeof(t->cert), "%s/cert", t->dir);
	if (!make_certificate(t))
		return false;
	assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
	t->pid = spawn(argv, in[0], out[1]);
	(void)close(in[0]);
	(void)close(out[1]);
	t->in = in[1];
	t->out = out[0];
	while ((at = strstr(text, "ACCEPT 127.0.0.1:")) == NULL || strchr(at, '\n') == NULL) {
		if (n == sizeof(text) - 1 ||
		    (k = read(t->out, text + n, sizeof(text) - 1 - n)) <= 0)
			return false;
		n += (size_t)k;
		text[n] = '\0';
	}
	t->port = (unsigned)strtoul(at + 17, NULL, 10);
	return t->port != 0;
}

/* One guarded or free request to the TLS server. */
static void
ask_tls(struct fixture *f, struct tls *t, const char *host)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
	struct pollfd p = {.fd = t->out, .events = POLLIN};
	int64_t end = clk_mono() + PATIENCE;
	struct http_call *call;
	char text[8192];
	ssize_t k;

	(void)snprintf(f->url, sizeof(f->url), "https://%s:%u/x", host, t->port);
	f->calls = 0;
	start(f, &call);
	while (f->calls == 0) {
		assert_true(clk_mono() < end);
		assert_int_equal(http_wait(f->h, &p, 1, 1000, &f->e), RC_OK);
		if ((p.revents & POLLIN) == 0)
			continue;
		assert_true((k = read(t->out, text, sizeof(text) - 1)) > 0);
		text[k] = '\0';
		if (strstr(text, "GET /x HTTP/1.1") == NULL)
			continue; /* what it tells about sessions */
		t->requests++;
		assert_int_equal(write(t->in, answer, sizeof(answer) - 1), sizeof(answer) - 1);
	}
}

static void
expect_tls(struct fixture *f, struct tls *t, const char *host, enum http_fate fate)
{
	ask_tls(f, t, host);
	if (f->a.fate != fate)
		fail_msg("%s: fate %d: %s", host, (int)f->a.fate, f->a.text);
}

static void
test_tls(void **state)
{
	struct fixture *f = *state;
	struct guard *open_guard = NULL, *strict = NULL;
	struct tls t;
	char hosts[64];

	if (!tls_start(&t)) {
		tls_stop(&t);
		skip();
	}
	(void)snprintf(hosts, sizeof(hosts), "doc.test:%u", t.port);
	assert_int_equal(guard_new(hosts, NULL, &strict, &f->e), RC_OK);
	assert_int_equal(guard_new(hosts, "127.0.0.0/8", &open_guard, &f->e), RC_OK);
	expect_tls(f, &t, "doc.test", HTTP_NO_TLS); /* nobody vouches for it */
	assert_non_null(strstr(f->a.text, "certificate"));
	f->r.ca_file = "/nonexistent/ca.pem";
	expect_tls(f, &t, "doc.test", HTTP_NO_TLS);
	f->r.ca_file = t.cert;
	expect_tls(f, &t, "other.test", HTTP_NO_TLS); /* the name is another one */
	f->r.guard = strict;
	expect_tls(f, &t, "doc.test", HTTP_FORBIDDEN);
	f->r.guard = NULL;
	assert_int_equal(t.requests, 0);
	expect_tls(f, &t, "doc.test", HTTP_ANSWERED);
	assert_string_equal(f->body, "hello");
	/*
	 * That connection is open, to an address the strict guard would not have let be opened.
	 * The server serves one connection at a time: the next answers must come over it.
	 */
	f->r.guard = strict;
	expect_tls(f, &t, "doc.test", HTTP_FORBIDDEN);
	assert_int_equal(t.requests, 1);
	f->r.guard = open_guard;
	expect_tls(f, &t, "doc.test", HTTP_ANSWERED);
	assert_int_equal(t.requests, 2);
	f->r.guard = strict;
	expect_tls(f, &t, "doc.test", HTTP_FORBIDDEN);
	f->r.guard = NULL;
	expect_tls(f, &t, "doc.test", HTTP_ANSWERED);
	assert_int_equal(t.requests, 3);
	guard_free(&strict);
	guard_free(&open_guard);
	tls_stop(&t);
}

/* ---- URLs ---- */

static void
test_url(void **state)
{
	static const struct {
		const char *url, *scheme, *host, *port, *path;
		bool userinfo;
	} t[] = {
	    {"https://Example.COM/a%20b/c?d=e", "https", "example.com", "443", "/a%20b/c",
		false},
	    {"HTTP://a.test", "http", "a.test", "80", "/", false},
	    {"http://a.test:8080?x=/y", "http", "a.test", "8080", "/", false},
	    {"https://u:p@a.test/", "https", "a.test", "443", "/", true},
	    {"https://@a.test/", "https", "a.test", "443", "/", true},
	    {"https://a.test/@", "https", "a.test", "443", "/@", false},
	    {"https://[::1]:444/x", "https", "[::1]", "444", "/x", false},
	    {"https://0x7f.1/", "https", "127.0.0.1", "443", "/", false},
	    {"https://a.test/pre/../x/./y", "https", "a.test", "443", "/x/y", false},
	    {"https://a.test/x#y", "https", "a.test", "443", "/x", false},
	};
	struct http_url u;

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		if (!http_url(t[i].url, &u))
			fail_msg("%s", t[i].url);
		assert_string_equal(u.scheme, t[i].scheme);
		assert_string_equal(u.host, t[i].host);
		assert_string_equal(u.port, t[i].port);
		assert_string_equal(u.path, t[i].path);
		assert_int_equal(u.userinfo, t[i].userinfo);
	}
	assert_false(http_url("https://a.test:99999/", &u));
	assert_string_equal(u.host, ""); /* nothing half */
}

static void
test_mend(void **state)
{
	static const struct {
		const char *raw, *mended;
	} t[] = {
	    {"https://host?x=y", "https://host/?x=y"}, {"https://host", "https://host/"},
	    {"https://host/filestore?key=example pack.zip",
		"https://host/filestore?key=example%20pack.zip"},
	    {"https://host?key=a b  c", "https://host/?key=a%20b%20%20c"},
	    {"  https://host/x  ", "https://host/x"}, {"HTTPS://host/x", "https://host/x"},
	    {"http://host:81?x", "http://host:81/?x"},
	    {"https://host/a%20b?c=%2F%e4", "https://host/a%20b?c=%2F%e4"},
	    {"https://host/100%", "https://host/100%25"},
	    {"https://host/?a=5%&b=%4&c=%zz&d=%4g",
		"https://host/?a=5%25&b=%254&c=%25zz&d=%254g"},
	    {"https://host/?q=\"<>\\^`{|}[]",
		"https://host/?q=%22%3C%3E%5C%5E%60%7B%7C%7D%5B%5D"},
	    {"https://host/?q=\xc3\xa9", "https://host/?q=%C3%A9"},
	    {"https://host/?q=\xff", "https://host/?q=%FF"},
	    {"https://host/?k=Will #2.pdf", "https://host/?k=Will%20%232.pdf"},
	    {"https://host/-._~!$&'()*+,;=:@/?-._~!$&'()*+,;=:@/?",
		"https://host/-._~!$&'()*+,;=:@/?-._~!$&'()*+,;=:@/?"},
	    {"https://host#@evil.test/", "https://host/%23@evil.test/"},
	    {"https://u:p@host/", "https://u:p@host/"}, /* judged later */
	};
	static const char *const bad[] = {"", " ", "host/x", "/x", "ftp://host/x", "https://",
	    "https:///x", "https://?x", "https:/host/x", "https:host/x", "https://ho st/x",
	    "https://h\xc3\xb6st/x", "https://host/a\nb", "https://host/a\r\nX: y",
	    "https://host/\t", "https://host/\x01", "https://host/\x7f", "https://host\\x/",
	    "https://host:port/", "mailto:a@b.test", "http s://host/", "\nhttps://host/"};
	char out[HTTP_URL], again[HTTP_URL];

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		if (!http_mend(t[i].raw, out, sizeof(out)))
			fail_msg("refused: %s", t[i].raw);
		assert_string_equal(out, t[i].mended);
		assert_true(http_mend(out, again, sizeof(again))); /* once is enough */
		assert_string_equal(again, out);
		assert_true(http_mend(t[i].raw, out, strlen(t[i].mended) + 1));
		assert_false(http_mend(t[i].raw, out, strlen(t[i].mended)));
		assert_string_equal(out, "");
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (http_mend(bad[i], out, sizeof(out)))
			fail_msg("taken: %s", bad[i]);
		assert_string_equal(out, "");
	}
	assert_false(http_mend("https://host/", out, 0));
}

static void
test_long_urls(void **state)
{
	static char raw[HTTP_URL + 100], out[2 * HTTP_URL];
	struct http_url u;

	(void)state;
	memset(raw, 'x', sizeof(raw) - 1);
	memcpy(raw, "https://host/?", 14);
	raw[HTTP_URL - 1] = '\0';
	assert_true(http_url(raw, &u));
	assert_true(http_mend(raw, out, sizeof(out)));
	assert_string_equal(out, raw);
	raw[HTTP_URL - 1] = 'x';
	raw[HTTP_URL] = '\0';
	assert_false(http_url(raw, &u));
	assert_false(http_mend(raw, out, sizeof(out)));
	raw[HTTP_URL - 1] = '\0';
	raw[20] = ' '; /* too long only when it is encoded */
	assert_false(http_mend(raw, out, sizeof(out)));
	raw[13] = '/'; /* no query: a path longer than there is room for */
	assert_false(http_url(raw, &u));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_put, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_method, set_up, tear_down),
	    TEST(test_get),
	    TEST(test_request),
	    TEST(test_large_post),
	    TEST(test_bearer),
	    TEST(test_refused_requests),
	    TEST(test_header_values),
	    TEST(test_long_values),
	    TEST(test_retry_after),
	    TEST(test_redirects),
	    TEST(test_file),
	    TEST(test_digests),
	    TEST(test_full_disk),
	    TEST(test_too_large),
	    TEST(test_broken),
	    TEST(test_no_connection),
	    TEST(test_stalls),
	    TEST(test_total),
	    TEST(test_slow_names),
	    TEST(test_resume),
	    TEST(test_wrong_parts),
	    TEST(test_resume_cut),
	    TEST(test_room),
	    TEST(test_choose),
	    TEST(test_choose_time),
	    TEST(test_bandwidth),
	    cmocka_unit_test(test_ranges),
	    cmocka_unit_test(test_fates),
	    TEST(test_many),
	    TEST(test_cancel),
	    TEST(test_inside_done),
	    TEST(test_descriptors),
	    TEST(test_inherited),
	    cmocka_unit_test(test_new),
	    TEST(test_guard),
	    TEST(test_tls),
	    cmocka_unit_test(test_url),
	    cmocka_unit_test(test_mend),
	    cmocka_unit_test(test_long_urls),
	};

	if (pipe2(lookup_begun, O_CLOEXEC) != 0 || pipe2(lookup_go, O_CLOEXEC) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
