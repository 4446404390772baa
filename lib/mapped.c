/*
 * SPDX-License-Identifier: ISC
 *
 * mapped - a page of a file that outlives its disk; see mapped.h.
 *
 * The handler of SIGBUS does more than write a byte, for there is no going on
 * before the page is there.  What it calls are system calls and nothing else.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mapped.h"

struct mapped {
	atomic_uintptr_t at; /* 0: not in use */
	atomic_bool is_private;
	int fd;
};

static struct mapped all[MAPPED_MAX]; /* fixed: the handler looks through it */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over who has which */

/*
 * Held while a page is changed for another, so that a page of our own is never taken for the
 * file's.  No page is touched meanwhile, so the handler may wait for it.
 */
static atomic_flag swapping = ATOMIC_FLAG_INIT;

static void
swap_begin(void)
{
	while (atomic_flag_test_and_set(&swapping))
		;
}

static void
swap_end(void)
{
	atomic_flag_clear(&swapping);
}

/* An empty page of our own in the place of the file's, in one step for the other threads. */
static bool
make_private(struct mapped *m, uintptr_t at)
{
	void *page = mmap(
	    NULL, MAPPED_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool made;

	if (page == MAP_FAILED)
		return false;
	swap_begin();
	atomic_store(&m->is_private, true);
	made = mremap(page, MAPPED_SIZE, MAPPED_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   (void *)at) != MAP_FAILED;
	swap_end();
	return made;
}

static void
on_bus(int sig, siginfo_t *info, void *context)
{
	uintptr_t where = (uintptr_t)info->si_addr;
	int saved = errno;

	(void)context;
	for (size_t i = 0; i < MAPPED_MAX; i++) {
		uintptr_t at = atomic_load(&all[i].at);

		if (at == 0 || where < at || where - at >= MAPPED_SIZE)
			continue;
		if (make_private(&all[i], at)) {
			errno = saved;
			return; /* what was to be done is done again, there */
		}
	}
	/* Somebody else's: as if there were no handler. */
	(void)signal(sig, SIG_DFL);
	(void)raise(sig);
}

static void
set_handler(void)
{
	struct sigaction sa = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO | SA_RESTART};

	(void)sigemptyset(&sa.sa_mask);
	(void)sigaction(SIGBUS, &sa, NULL);
}

static struct mapped *
find_free(void)
{
	for (size_t i = 0; i < MAPPED_MAX; i++) {
		if (atomic_load(&all[i].at) == 0)
			return &all[i];
	}
	return NULL;
}

enum rc
mapped_open(int fd, struct mapped **out, struct err *e)
{
	struct mapped *m;
	enum rc rc = RC_OK;
	int own = -1;
	void *at;

	*out = NULL;
	set_handler();
	if ((own = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
		return err_sys(e, "fcntl", NULL);
	at = mmap(NULL, MAPPED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		rc = err_sys(e, "mmap", NULL);
		(void)close(own);
		return rc;
	}
	(void)pthread_mutex_lock(&lock);
	if ((m = find_free()) != NULL) {
		m->fd = own;
		atomic_store(&m->is_private, false);
		atomic_store(&m->at, (uintptr_t)at);
	}
	(void)pthread_mutex_unlock(&lock);
	if (m == NULL) {
		(void)munmap(at, MAPPED_SIZE);
		(void)close(own);
		return err_set(e, RC_LATER, "more than %d mapped files", MAPPED_MAX);
	}
	*out = m;
	return RC_OK;
}

void
mapped_close(struct mapped **mp)
{
	struct mapped *m = *mp;
	uintptr_t at;

	if (m == NULL)
		return;
	at = atomic_load(&m->at);
	(void)munmap((void *)at, MAPPED_SIZE);
	(void)close(m->fd);
	(void)pthread_mutex_lock(&lock);
	atomic_store(&m->at, 0);
	(void)pthread_mutex_unlock(&lock);
	*mp = NULL;
}

void *
mapped_at(const struct mapped *m)
{
	return (void *)atomic_load(&m->at);
}

bool
mapped_is_private(const struct mapped *m)
{
	return atomic_load(&m->is_private);
}

bool
mapped_again(struct mapped *m)
{
	uintptr_t at = atomic_load(&m->at);
	bool mapped;

	swap_begin();
	mapped = mmap((void *)at, MAPPED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		     m->fd, 0) != MAP_FAILED;
	if (mapped)
		atomic_store(&m->is_private, false);
	swap_end();
	if (!mapped)
		return false;
	/* Written to without a change: the handler takes it away again if that fails. */
	(void)atomic_fetch_add((_Atomic uint64_t *)at, 0);
	return !atomic_load(&m->is_private);
}
