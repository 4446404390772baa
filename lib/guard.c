/*
 * SPDX-License-Identifier: ISC
 *
 * guard - where a document may be fetched from; see guard.h.
 *
 * What cannot be judged is refused.  Resolves no name and opens no socket.
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guard.h"
#include "str.h"

#define HOST_MAX 253 /* RFC 1035 section 2.3.4, without the dot of the root */
#define LABEL_MAX 63
#define WORD_MAX 320 /* the longest pattern with its port */
#define HTTPS_PORT 443

struct pattern {
	char host[HOST_MAX + 1]; /* lower case; an IPv6 address in its shortest form, in [] */
	unsigned port;
};

struct network {
	sa_family_t family;
	unsigned char address[16];
	unsigned bits;
};

struct guard {
	struct pattern hosts[GUARD_HOSTS];
	size_t nhosts;
	struct network networks[GUARD_NETWORKS];
	size_t nnetworks;
};

/* ---- texts ---- */

/* "[::1]" in any spelling becomes the one that is compared; false: no such address. */
static bool
canonical_six(const char *host, char out[HOST_MAX + 1])
{
	char text[INET6_ADDRSTRLEN], shortest[INET6_ADDRSTRLEN];
	size_t n = strlen(host);
	struct in6_addr a;

	if (n < 4 || host[0] != '[' || host[n - 1] != ']' ||
	    !str_copy_n(text, sizeof(text), host + 1, n - 2) ||
	    inet_pton(AF_INET6, text, &a) != 1 ||
	    inet_ntop(AF_INET6, &a, shortest, sizeof(shortest)) == NULL)
		return false;
	out[0] = '[';
	if (!str_copy(out + 1, HOST_MAX - 1, shortest))
		return false;
	n = strlen(out);
	out[n] = ']';
	out[n + 1] = '\0';
	return true;
}

/* Labels of letters, digits, "-" and "_", none empty; with wild "*" too, but not in the last.
 */
static bool
is_host(const char *text, bool wild)
{
	size_t label = 0, n = 0;
	bool star = false;

	for (; text[n] != '\0'; n++) {
		char one[2] = {text[n], '\0'};

		if (n == HOST_MAX)
			return false;
		if (text[n] == '.') {
			if (label == 0)
				return false;
			label = 0;
			star = false;
			continue;
		}
		if (!str_only(one, wild ? "-_*" : "-_", 1, 1) || ++label > LABEL_MAX)
			return false;
		star = star || text[n] == '*';
	}
	return label > 0 && !star;
}

/*
 * Would some resolver read this as an IPv4 address?  The last label is a number, decimal or
 * hexadecimal (URL Standard, "ends in a number"); octal is among the decimal ones.
 */
static bool
is_numeric(const char *host)
{
	const char *dot = strrchr(host, '.');
	const char *last = dot != NULL ? dot + 1 : host;

	if (last[0] == '0' && (last[1] == 'x' || last[1] == 'X'))
		return last[2 + strspn(last + 2, "0123456789abcdefABCDEF")] == '\0';
	return last[strspn(last, "0123456789")] == '\0';
}

/* The end of the word at *text, which is moved to its beginning; NULL: no more words. */
static const char *
next_word(const char **text)
{
	*text += strspn(*text, " \t");
	return **text == '\0' ? NULL : *text + strcspn(*text, " \t");
}

/* "host", "host:port", "[::1]", "[::1]:port" */
static bool
read_pattern(char *word, struct pattern *p)
{
	char *end = word[0] == '[' ? strchr(word, ']') : word;
	char *colon = end != NULL ? strchr(end, ':') : NULL;
	uint64_t port = HTTPS_PORT;

	if (colon != NULL) {
		*colon = '\0';
		if (!str_u64(colon + 1, 1, 65535, &port))
			return false;
	}
	p->port = (unsigned)port;
	if (word[0] == '[')
		return canonical_six(word, p->host);
	str_lower(word);
	return is_host(word, true) && !(strchr(word, '*') != NULL && is_numeric(word)) &&
	       str_copy(p->host, sizeof(p->host), word);
}

/* "10.0.0.0/8", "fd00::/8"; bits beyond the length mean nothing. */
static bool
read_network(char *word, struct network *net)
{
	char *slash = strchr(word, '/');
	uint64_t bits;

	if (slash == NULL)
		return false;
	*slash = '\0';
	if (inet_pton(AF_INET, word, net->address) == 1)
		net->family = AF_INET;
	else if (inet_pton(AF_INET6, word, net->address) == 1)
		net->family = AF_INET6;
	else
		return false;
	if (!str_u64(slash + 1, 0, net->family == AF_INET ? 32 : 128, &bits))
		return false;
	net->bits = (unsigned)bits;
	return true;
}

static enum rc
read_hosts(struct guard *g, const char *text, struct err *e)
{
	char word[WORD_MAX], shown[80];
	const char *end;

	for (; (end = next_word(&text)) != NULL; text = end) {
		size_t n = (size_t)(end - text);

		if (g->nhosts == GUARD_HOSTS)
			return err_set(e, RC_CONFIG, "more than %d hosts", GUARD_HOSTS);
		if (!str_copy_n(word, sizeof(word), text, n) ||
		    !read_pattern(word, &g->hosts[g->nhosts]))
			return err_set(e, RC_CONFIG,
			    "expected a host, perhaps with \":port\", found \"%s\"",
			    str_escape(shown, sizeof(shown), text, n));
		g->nhosts++;
	}
	return RC_OK;
}

static enum rc
read_networks(struct guard *g, const char *text, struct err *e)
{
	char word[WORD_MAX], shown[80];
	const char *end;

	for (; (end = next_word(&text)) != NULL; text = end) {
		size_t n = (size_t)(end - text);

		if (g->nnetworks == GUARD_NETWORKS)
			return err_set(e, RC_CONFIG, "more than %d networks", GUARD_NETWORKS);
		if (!str_copy_n(word, sizeof(word), text, n) ||
		    !read_network(word, &g->networks[g->nnetworks]))
			return err_set(e, RC_CONFIG,
			    "expected a network like 10.0.0.0/8, found \"%s\"",
			    str_escape(shown, sizeof(shown), text, n));
		g->nnetworks++;
	}
	return RC_OK;
}

enum rc
guard_new(const char *hosts, const char *networks, struct guard **g, struct err *e)
{
	enum rc rc;

	if ((*g = calloc(1, sizeof(**g))) == NULL)
		return err_set(e, RC_LATER, "guard: no memory");
	if ((rc = read_hosts(*g, hosts != NULL ? hosts : "", e)) != RC_OK ||
	    (rc = read_networks(*g, networks != NULL ? networks : "", e)) != RC_OK)
		guard_free(g);
	return rc;
}

void
guard_free(struct guard **g)
{
	free(*g);
	*g = NULL;
}

/*
 * Is the host on the list, and with this port?  An address is listed as it is or not at all: no
 * pattern with an asterisk ends in a number.
 */
static bool
listed(const struct guard *g, const char *host, unsigned port, bool *other_port)
{
	*other_port = false;
	for (size_t i = 0; i < g->nhosts; i++) {
		const struct pattern *p = &g->hosts[i];

		if (!str_host_match(p->host, host))
			continue;
		if (p->port == port)
			return true;
		*other_port = true;
	}
	return false;
}

enum rc
guard_url(const struct guard *g, const char *scheme, const char *host, const char *port,
    bool userinfo, struct err *e)
{
	char name[HOST_MAX + 1], shown[HOST_MAX + 1];
	uint64_t number;
	bool other;

	str_escape(shown, sizeof(shown), host, strlen(host));
	if (!str_eq_nocase(scheme, "https"))
		return err_set(e, RC_DENIED, "%.200s: only https is allowed", shown);
	if (userinfo)
		return err_set(
		    e, RC_DENIED, "%.200s: a user name in a link is not allowed", shown);
	if (host[0] == '[' ? !canonical_six(host, name)
			   : !is_host(host, false) || !str_copy(name, sizeof(name), host))
		return err_set(e, RC_DENIED, "%.200s is not a plain host name", shown);
	if (!str_u64(port, 1, 65535, &number))
		return err_set(e, RC_DENIED, "%.200s: no port", shown);
	if (listed(g, name, (unsigned)number, &other))
		return RC_OK;
	if (other)
		return err_set(
		    e, RC_DENIED, "%.200s: port %u is not allowed", shown, (unsigned)number);
	return err_set(e, RC_DENIED, "host %.200s is not on the list", shown);
}

/* ---- addresses ---- */

static bool
in_block(const unsigned char *address, const unsigned char *block, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(address, block, whole) == 0 &&
	       (rest == 0 || (address[whole] ^ block[whole]) >> (8 - rest) == 0);
}

static bool
in_networks(const struct guard *g, sa_family_t family, const unsigned char *address)
{
	for (size_t i = 0; i < g->nnetworks; i++)
		if (g->networks[i].family == family &&
		    in_block(address, g->networks[i].address, g->networks[i].bits))
			return true;
	return false;
}

/* IANA IPv4 Special-Purpose Address Registry: what is not globally reachable. */
static bool
global_four(const unsigned char a[4])
{
	static const struct {
		unsigned char block[4];
		unsigned bits;
	} special[] = {
	    {{0, 0, 0, 0}, 8},       /* this network, RFC 791 */
	    {{10, 0, 0, 0}, 8},      /* private, RFC 1918 */
	    {{100, 64, 0, 0}, 10},   /* shared, RFC 6598 */
	    {{127, 0, 0, 0}, 8},     /* loopback, RFC 1122 */
	    {{169, 254, 0, 0}, 16},  /* link-local, RFC 3927 */
	    {{172, 16, 0, 0}, 12},   /* private, RFC 1918 */
	    {{192, 0, 0, 0}, 24},    /* protocol assignments, RFC 6890 */
	    {{192, 0, 2, 0}, 24},    /* documentation, RFC 5737 */
	    {{192, 88, 99, 0}, 24},  /* 6to4 relays, RFC 7526 */
	    {{192, 168, 0, 0}, 16},  /* private, RFC 1918 */
	    {{198, 18, 0, 0}, 15},   /* benchmarks, RFC 2544 */
	    {{198, 51, 100, 0}, 24}, /* documentation, RFC 5737 */
	    {{203, 0, 113, 0}, 24},  /* documentation, RFC 5737 */
	    {{224, 0, 0, 0}, 4},     /* multicast, RFC 5771 */
	    {{240, 0, 0, 0}, 4},     /* reserved and broadcast, RFC 1112, 8190 */
	};

	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (in_block(a, special[i].block, special[i].bits))
			return false;
	return true;
}

/*
 * IANA IPv6 Special-Purpose Address Registry.  Only 2000::/3 is given out as global unicast;
 * compatible (::/96), local NAT64 (64:ff9b:1::/48), unique local, link-local, multicast and the
 * rest lie outside of it.
 */
static bool
global_six(const unsigned char a[16])
{
	static const struct {
		unsigned char block[16];
		unsigned bits;
	} special[] = {
	    {{0x20, 0x01, 0x00}, 23},       /* Teredo, ORCHID, benchmarks: RFC 2928 */
	    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation, RFC 3849 */
	    {{0x20, 0x02}, 16},             /* 6to4, RFC 3056 */
	    {{0x3f, 0xff, 0x00}, 20},       /* documentation, RFC 9637 */
	};

	if ((a[0] & 0xe0) != 0x20)
		return false;
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (in_block(a, special[i].block, special[i].bits))
			return false;
	return true;
}

static bool
allowed_four(const struct guard *g, const unsigned char a[4])
{
	return global_four(a) || in_networks(g, AF_INET, a);
}

bool
guard_address(const struct guard *g, const struct sockaddr *sa)
{
	static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b};
	struct sockaddr_in6 six;
	struct sockaddr_in four;
	const unsigned char *a;

	if (sa->sa_family == AF_INET) {
		memcpy(&four, sa, sizeof(four));
		return allowed_four(g, (const unsigned char *)&four.sin_addr);
	}
	if (sa->sa_family != AF_INET6)
		return false;
	memcpy(&six, sa, sizeof(six));
	a = six.sin6_addr.s6_addr;
	if (memcmp(a, mapped, 12) == 0)
		return allowed_four(g, a + 12);
	/* RFC 6052: what the translator will send on is the address inside. */
	if (memcmp(a, nat64, 12) == 0)
		return allowed_four(g, a + 12);
	return global_six(a) || in_networks(g, AF_INET6, a);
}
