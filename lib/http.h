/*
 * SPDX-License-Identifier: ISC
 *
 * http - one HTTP client for a whole program, over libcurl's multi interface.
 *
 * The only file that knows libcurl.  Requests run at the same time on one
 * thread; answers arrive in callbacks from http_wait.  Redirects are never
 * followed here, no proxy is taken from the environment, certificates are always verified, no
 * cookie is kept.
 */
#ifndef ARKEN_HTTP_H
#define ARKEN_HTTP_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "guard.h"

#define HTTP_HEADERS 16 /* header lines of a request */
#define HTTP_VALUE                                                                             \
	1024           /* a header value of an answer that is kept; a longer one is left out   \
			*/
#define HTTP_URL 16384 /* a longer URL is refused */
#define HTTP_FDS 64    /* descriptors in one http_wait */
#define HTTP_NO_FILE (-2)

struct http;
struct http_answer;
struct http_call; /* one request under way */

/* What became of the exchange, before the status is looked at. */
enum http_fate {
	HTTP_ANSWERED,   /* a whole answer; look at status (if that is no 2xx, the body may end
			    at max_body) */
	HTTP_NO_NAME,    /* the host's name could not be found */
	HTTP_NO_CONNECT, /* refused, unreachable, or no connection in time */
	HTTP_NO_TLS,     /* certificate or handshake refused */
	HTTP_STALLED,    /* nothing moved for stall_timeout, or total_timeout is over */
	HTTP_CUT,        /* the connection broke, the length does not agree, or the part is not
			    the one that was asked for */
	HTTP_TOO_LARGE,  /* more than the maximum */
	HTTP_FORBIDDEN,  /* the guard: host, port, scheme or address is not allowed */
	HTTP_LOCAL,      /* our side: no memory, disk (sys tells) */
};

struct http_upload {
	int fd;        /* read from its start, whatever its offset is */
	uint64_t size; /* so many bytes; fewer are HTTP_LOCAL */
};

struct http_request {
	const char *url;  /* already encoded */
	const char *post; /* NULL: GET; else the body of a POST */
	size_t post_len;
	const struct http_upload *upload; /* the body of a PUT instead; its file must last */
	const char *method; /* NULL: as follows from the body; else "PUT" or "DELETE", with the
			       body that post is, if any */
	const char *const *headers; /* "Name: value" lines, nheaders of them */
	size_t nheaders;
	const char *bearer;  /* sent as Authorization, or NULL */
	const char *ca_file; /* NULL: the system's */
	const struct guard
	    *guard;      /* documents: what may be reached; NULL: no limit (API, token) */
	size_t max_body; /* longest answer kept in memory */
	int file;        /* a 2xx answer's body is written there instead; -1: to memory */
	uint64_t max_file;
	uint64_t min_free; /* bytes to be left on the file's disk; 0: not looked at */
	/*
	 * Go on with a transfer that broke (RFC 9110 section 14): the file holds `from` bytes
	 * of what had this ETag and was `whole` bytes long.  Bytes are added to it only if the
	 * answer is a 206 with exactly the rest; if it is a 200 the file begins anew.  if_range
	 * is strong.
	 */
	uint64_t from, whole;
	const char *if_range;
	const char *if_none_match; /* an ETag; the answer may then be a 304 */
	/*
	 * Asked once, when a 2xx answer's body begins (n >= 1 bytes of it): a descriptor to
	 * write it to, -1 to keep it in memory, HTTP_NO_FILE if there should be one and is not.
	 * What goes to a file has no total_timeout from then on.
	 */
	int (*choose)(const struct http_answer *head, const char *p, size_t n, void *arg);
	int64_t connect_timeout, total_timeout,
	    stall_timeout; /* milliseconds; total 0: no limit */
};

struct http_answer {
	enum http_fate fate;
	int status;       /* 0 unless HTTP_ANSWERED, or a status came before the failure */
	int sys;          /* errno for HTTP_LOCAL */
	const char *body; /* in memory, ends in a NUL; "" if it went to the file */
	size_t body_len;
	bool to_file;       /* the body went to a file */
	uint64_t file_from; /* bytes that were in the file before, and still are */
	uint64_t file_len;  /* bytes of the document that are in the file now */
	char sha256[65];    /* of what was written to the file, hexadecimal; "" unless ANSWERED,
			       and    after a file that was gone on with */
	char md5[33];       /* the same; "" also where the system forbids MD5 */
	int64_t length;     /* Content-Length, -1: none */
	int64_t retry_after; /* milliseconds from now (seconds or date), -1: none; capped at a
				day */
	int64_t
	    clock_skew; /* their Date minus our clock, milliseconds; 0 if there was no Date */
	char content_type[HTTP_VALUE];
	char location[HTTP_VALUE * 8]; /* of a 3xx, made absolute; not encoded again */
	char etag[HTTP_VALUE];
	char content_md5[HTTP_VALUE];
	char encryption[HTTP_VALUE];  /* x-amz-server-side-encryption */
	char disposition[HTTP_VALUE]; /* Content-Disposition */
	char coding[HTTP_VALUE];      /* Content-Encoding; nothing is decoded here */
	char text[ERR_TEXT];          /* one line about the failure, without the URL's query */
};

/*
 * One client a process.  user_agent is copied.  SIGPIPE is ignored from then on, unless the
 * program has a handler; a child that wants it has to set it back.
 */
enum rc http_new(const char *user_agent, struct http **h, struct err *e) MUST_CHECK;
void http_free(struct http **h); /* ends what is under way without callbacks; not in a done */

/*
 * Start a request.  Everything it points to is copied, but the guard and the file, which must
 * last.  done is called once from http_wait, unless http_cancel came before; the answer is
 * valid during that call only. RC_BAD: no usable URL, or a header or token that may not be sent
 * (Authorization, X-Amz-*, control characters).  RC_DENIED: the guard refuses the URL, or a
 * bearer is to be sent to it. RC_LATER: no memory.
 */
enum rc http_start(struct http *h, const struct http_request *req,
    void (*done)(const struct http_answer *, void *), void *arg, struct http_call **call,
    struct err *e) MUST_CHECK;
/* Ends it without calling done; *call is NULL afterwards.  Also from within a done. */
void http_cancel(struct http *h, struct http_call **call);

/*
 * So many bytes a second at most for all answers that go to files together, shared evenly among
 * them; 0: no limit.
 */
void http_bandwidth(struct http *h, uint64_t bytes);

/*
 * Call fn when a connection of a request without a guard (an API, a token endpoint, an issuer)
 * was made, with the host ("name" or "name:port") and the end of its certificate's validity in
 * milliseconds.  From within http_wait; fn NULL: no more.
 */
void http_on_certificate(
    struct http *h, void (*fn)(const char *host, int64_t ends, void *arg), void *arg);

/* As http_cancel, and *out tells what had come: the file's part may be gone on with. */
void http_break(struct http *h, struct http_call **call, struct http_answer *out);

/* Bytes of the body that are there, and the whole (0: not known): for progress. */
void http_progress(const struct http_call *call, uint64_t *got, uint64_t *all);

/* How many requests are under way. */
unsigned http_running(const struct http *h);

/*
 * Wait at most timeout milliseconds for a socket of ours or one of fds (revents is set as
 * poll does), run what is ready, and call back.  RC_LATER: interrupted or an error that a
 * repeat may mend.  RC_BAD: more than HTTP_FDS descriptors.
 */
enum rc http_wait(
    struct http *h, struct pollfd *fds, unsigned n, int timeout, struct err *e) MUST_CHECK;

/* The parts of an absolute URL, decided by the parser that will be used to connect. */
struct http_url {
	char scheme[16], host[256], port[8]; /* port is filled in for http and https */
	char path[4096];                     /* begins with "/", encoded, without query */
	bool userinfo;
};
bool http_url(const char *url, struct http_url *out) MUST_CHECK;

/* An ETag that promises the same bytes (RFC 9110 section 8.8.3): quoted, and not weak. */
bool http_etag_strong(const char *etag) MUST_CHECK;

/*
 * A URL as a person might write it (raw spaces, no path segment before the
 * query) made into one that can be sent; false: not an http(s) URL, or too long.
 */
bool http_mend(const char *raw, char *out, size_t size) MUST_CHECK;

#endif
