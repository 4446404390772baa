/*
 * SPDX-License-Identifier: ISC
 *
 * arken.fcgi - receives the events of Arken and keeps them in the spool.
 *
 * A FastCGI responder on a socket, or one plain CGI request.  After the start
 * it does not exit on errors of the disk: it answers 503.  It opens no network
 * connection and never reads, changes or removes an event it has accepted.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "cgi.h"
#include "fcgx.h"
#include "handle.h"
#include "harden.h"
#include "listen.h"
#include "live.h"
#include "log.h"
#include "serve.h"
#include "str.h"

#define PROGRAM "arken.fcgi"
#define CONF_FILE SYSCONFDIR "/arkenspool/arkenspool.conf"
#define CONF_ENV "ARKENSPOOL_CONF"

struct options {
	const char *conf;
	const char *socket; /* NULL: descriptor 0 */
	const char *group;
	unsigned threads; /* 0: what the configuration says */
};

static int stop_pipe[2] = {-1, -1};
static int reload_pipe[2] = {-1, -1};

static void
print_usage(FILE *out)
{
	(void)fprintf(out,
	    "usage: " PROGRAM " [-c FILE] [-t THREADS] [-l SOCKET [-g GROUP]]\n"
	    "       " PROGRAM " -V | -h\n"
	    "\n"
	    "Receives the events of Arken: a FastCGI responder on the listening socket that\n"
	    "is its standard input, or one plain CGI request.\n"
	    "\n"
	    "  -c FILE     configuration; without it $" CONF_ENV ", else\n"
	    "              " CONF_FILE "\n"
	    "  -l SOCKET   listen on a Unix socket of its own (mode 0660) at this absolute "
	    "path\n"
	    "  -g GROUP    group of that socket: the web server's\n"
	    "  -t THREADS  requests handled at one time (1 to %d), instead of the "
	    "configuration\n"
	    "  -V          print the version\n"
	    "  -h          print this\n",
	    SERVE_THREADS);
}

/* -1: go on; else the exit status. */
static int
read_options(int argc, char **argv, struct options *o)
{
	const char *env = getenv(CONF_ENV);
	uint64_t n;
	int c;

	*o = (struct options){.conf = env != NULL && env[0] != '\0' ? env : CONF_FILE};
	while ((c = getopt(argc, argv, "c:g:hl:t:V")) != -1) {
		switch (c) {
		case 'c':
			o->conf = optarg;
			break;
		case 'g':
			o->group = optarg;
			break;
		case 'l':
			o->socket = optarg;
			break;
		case 't':
			if (!str_u64(optarg, 1, SERVE_THREADS, &n))
				goto usage;
			o->threads = (unsigned)n;
			break;
		case 'V':
			(void)puts(PROGRAM " (" PACKAGE_STRING ")");
			return EXIT_SUCCESS;
		case 'h':
			print_usage(stdout);
			return EXIT_SUCCESS;
		default:
			goto usage;
		}
	}
	if (optind == argc && (o->group == NULL || o->socket != NULL))
		return -1;
usage:
	print_usage(stderr);
	return EX_USAGE;
}

static void
on_signal(int sig)
{
	int saved = errno;

	if (write(sig == SIGHUP ? reload_pipe[1] : stop_pipe[1], "", 1) < 0) {
		/* full: it is readable already, which is all that is wanted */
	}
	errno = saved;
}

static enum rc
catch_signals(struct err *e)
{
	static const int caught[] = {SIGTERM, SIGINT, SIGUSR1, SIGHUP};
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	if (pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) != 0 ||
	    pipe2(reload_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
		return err_sys(e, "pipe2", NULL);
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++) {
		if (sigaction(caught[i], &sa, NULL) != 0)
			return err_sys(e, "sigaction", NULL);
	}
	return RC_OK;
}

static enum rc
run_cgi(struct live **l, const char *file, struct err *e)
{
	struct cgi c;
	struct exchange *x = cgi_open(&c);
	enum rc rc = live_open(file, 1, l, e);

	if (rc != RC_OK)
		handle_unavailable(x);
	else
		(void)live_handle(x, *l);
	return rc;
}

static enum rc
run_fastcgi(struct live **live, const struct options *o, struct err *e)
{
	struct listener l = LISTENER_NONE;
	struct serve_opt opt = {.handle = live_handle, .woken = live_reload};
	enum rc rc;

	if ((rc = catch_signals(e)) != RC_OK ||
	    (rc = live_open(o->conf, o->threads, live, e)) != RC_OK ||
	    (rc = fcgx_init(e)) != RC_OK)
		return rc;
	opt.arg = *live;
	opt.threads = live_threads(*live);
	opt.connections = harden_descriptors(opt.threads, SERVE_CONNECTIONS);
	if (opt.connections < opt.threads)
		log_put(
		    LOG_WARN, "the limit of open files leaves threads without work", LOG_END);
	rc = o->socket != NULL ? listen_make(o->socket, o->group, &l, e)
			       : listen_inherit(STDIN_FILENO, &l, e);
	if (rc != RC_OK)
		return rc;
	opt.listener = l.fd;
	opt.stop = stop_pipe[0];
	opt.wake = reload_pipe[0];
	rc = serve_run(&opt, e);
	listen_close(&l);
	if (rc == RC_OK) {
		log_put(LOG_NOTE, "stopped", LOG_END);
	} else if (rc == RC_LATER) {
		/* Threads still use all of this: nothing can be taken down in order. */
		log_put(LOG_WARN, "stopped", "reason", e->text, LOG_END);
		_exit(EXIT_SUCCESS);
	}
	return rc;
}

int
main(int argc, char **argv)
{
	struct live *live = NULL;
	struct options o;
	struct err e = {0};
	enum rc rc;
	int status;

	harden_memory();
	log_open(PROGRAM, LOG_KV, LOG_AUTO);
	if ((rc = harden_process(&e)) != RC_OK)
		goto out;
	if ((status = read_options(argc, argv, &o)) >= 0)
		return status;
	if (o.socket != NULL || listen_is_socket(STDIN_FILENO)) {
		rc = run_fastcgi(&live, &o, &e);
	} else if (cgi_is_started()) {
		rc = run_cgi(&live, o.conf, &e);
	} else {
		(void)fputs(PROGRAM ": standard input is no listening socket, and this is no "
				    "CGI request\n",
		    stderr);
		print_usage(stderr);
		return EX_USAGE;
	}
out:
	live_close(&live);
	if (rc != RC_OK)
		log_put(LOG_ERROR, "not started", "reason", e.text, LOG_END);
	return err_exit(rc);
}
