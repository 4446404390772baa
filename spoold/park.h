/*
 * SPDX-License-Identifier: ISC
 *
 * park - events that wait for a target, in memory and without touching the disk.
 *
 * While a target is down its events sleep; when its time has come one of them tries it out, and
 * when it is up again all of them are due.
 */
#ifndef ARKEN_PARK_H
#define ARKEN_PARK_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon.h"

/* Our own disks, as targets: where the spool is, where the store is. */
#define PARK_SPOOL "disk:spool"
#define PARK_STORE "disk:store"

/* A job that is not in the order of the waiting sleeps until t can be used. */
void park_on(struct daemon *d, struct job *job, struct target *t);

/* A waiting job is due: may it begin?  false: what it needs is down, and it sleeps on. */
bool park_pass(struct daemon *d, struct job *job, int64_t now);

/* Wake who waits for what is up again, and one of those whose target is to be tried out. */
void park_tick(struct daemon *d, int64_t now);

/* When park_tick has something to do; INT64_MAX: nothing is known yet. */
int64_t park_next(const struct daemon *d);

#endif
