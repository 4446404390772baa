/*
 * SPDX-License-Identifier: ISC
 *
 * guard - where a document may be fetched from: hosts, ports, addresses.
 *
 * Pure: questions about texts and addresses.  http asks about the URL before
 * a request and about the very address it is about to connect to, so a name server cannot lie
 * in between.
 */
#ifndef ARKEN_GUARD_H
#define ARKEN_GUARD_H

#include <stdbool.h>
#include <sys/socket.h>

#include "err.h"

#define GUARD_HOSTS 64
#define GUARD_NETWORKS 64

struct guard;

/*
 * hosts: patterns separated by spaces, "*" for one or more characters of one label, each
 * perhaps with ":port" (443 without).  networks: CIDR blocks that are allowed though they are
 * private, NULL none. RC_CONFIG names the word that is wrong.
 */
enum rc guard_new(
    const char *hosts, const char *networks, struct guard **g, struct err *e) MUST_CHECK;
void guard_free(struct guard **g);

/* Scheme https, a listed host on its port, no user information.  RC_DENIED says which of them.
 */
enum rc guard_url(const struct guard *g, const char *scheme, const char *host, const char *port,
    bool userinfo, struct err *e) MUST_CHECK;

/*
 * A globally reachable address (IANA special-purpose registries: RFC 6890; mapped, translated
 * and tunnelled forms are judged by what they carry or refused), or one in networks.
 */
bool guard_address(const struct guard *g, const struct sockaddr *sa) MUST_CHECK;

#endif
