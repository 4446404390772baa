/*
 * SPDX-License-Identifier: ISC
 *
 * harden - what the process gives up before it reads anything.
 *
 * Capabilities, file system and system calls are the unit's and the sandbox's
 * business, not done here.
 */
#ifndef ARKEN_HARDEN_H
#define ARKEN_HARDEN_H

#include "err.h"

/*
 * Descriptors 0 to 2 are open afterwards (a FastCGI parent may leave 1 and 2 closed, and a
 * file of ours must not become them); no core file and no reading of memory by others, for it
 * holds secrets; no new privileges; SIGPIPE and SIGXFSZ are ignored: a write says what is
 * wrong.
 */
enum rc harden_process(struct err *e) MUST_CHECK;

/*
 * Memory that was used for a while goes back to the system, and threads share what is kept: a
 * bound on what is used at one time is then one on the process.
 */
void harden_memory(void);

/*
 * Raise the limit of descriptors, as far as it may be, to what so many threads and connections
 * need; returns for how many connections it is enough (at least one).
 */
unsigned harden_descriptors(unsigned threads, unsigned connections);

#endif
