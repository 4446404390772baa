/*
 * SPDX-License-Identifier: ISC
 *
 * send - delivers events to the webhook, so many times and then never again.
 *
 * The only user of libcurl.  One thread; sb->lock is held by the callers of
 * send_queue() and send_wake(), not of the others.
 */
#ifndef SANDBOX_SEND_H
#define SANDBOX_SEND_H

#include <stdint.h>

struct sandbox;
struct sender;

struct sender *send_start(struct sandbox *sb);
void send_stop(struct sender **s);
/* n neighbouring events in one POST. */
void send_queue(struct sender *s, uint32_t first, uint32_t n);
/* Tell the thread that something was queued. */
void send_wake(struct sender *s);

#endif
