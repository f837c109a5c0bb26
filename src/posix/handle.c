/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>

#include "base/sys.h"
#include "posix/handle.h"
#include "posix/process.h"

#define POOL_MOST 128u

struct pooled {
	int fd;
	uint32_t number;
	uint32_t epoch;
};

static struct pooled pool[POOL_MOST];
static unsigned pool_count;
static struct lock pool_lock;
/* Many threads that find the pool empty at once need one batch, not one each:
 * the daemon gives a client only so many. */
static struct lock refill_lock;

static bool pool_is_empty(void)
{
	bool ret;

	lock_take(&pool_lock);
	ret = pool_count == 0;
	lock_drop(&pool_lock);
	return ret;
}

/* A quarter of the library's range, where that is narrow: the rest is for
 * peers' bells, and for what is parked. */
static unsigned pool_batch(void)
{
	uint64_t hard = load_relaxed(&process.nofile_hard), room = hard - process_high_first();

	return room / 4 >= CTL_HANDLE_BATCH ? CTL_HANDLE_BATCH : room / 4 > 1 ? (unsigned)room / 4 : 1;
}

static long pool_refill(void)
{
	struct ctl_msg m = { .type = CTL_HANDLES, .len = CTL_BYTES(handles) };
	int fds[CTL_HANDLE_BATCH];
	unsigned n = CTL_HANDLE_BATCH, batch = pool_batch();
	uint32_t epoch = load_acquire(&process.epoch), got = 0;
	int r;

	m.handles.count = batch;
	r = process_call(&m, NULL, 0, fds, &n);
	if (r < 0)
		return r;
	if (n == 0)
		return -EMFILE;
	for (unsigned i = 0; i < n; i++) {
		int fd = process_fd_high(fds[i]);

		if (fd < 0)
			continue;
		lock_take(&pool_lock);
		if (pool_count < POOL_MOST) {
			pool[pool_count++] = (struct pooled){ fd, m.handles.ids[i], epoch };
			got++;
			fd = -1;
		}
		lock_drop(&pool_lock);
		if (fd >= 0)
			process_fd_high_close(fd);
	}
	/* None found a number: asking again would go on for ever. */
	return got || !pool_is_empty() ? 0 : -EMFILE;
}

long handle_take(uint32_t *ret_number)
{
	for (;;) {
		struct pooled h = { -1, 0, 0 };
		long r;

		lock_take(&pool_lock);
		if (pool_count > 0)
			h = pool[--pool_count];
		lock_drop(&pool_lock);
		if (h.fd >= 0 && h.epoch == load_acquire(&process.epoch)) {
			*ret_number = h.number;
			return h.fd;
		}
		if (h.fd >= 0) {
			/* A child may have a copy, which would silence the
			 * next user's hang-up. */
			process_fd_high_close(h.fd);
			continue;
		}
		lock_take(&refill_lock);
		r = pool_is_empty() ? pool_refill() : 0;
		lock_drop(&refill_lock);
		if (r < 0)
			return r;
	}
}

void handle_give(int fd, uint32_t number, uint32_t epoch)
{
	bool kept = false;

	lock_take(&pool_lock);
	if (pool_count < POOL_MOST && epoch == load_acquire(&process.epoch)) {
		pool[pool_count++] = (struct pooled){ fd, number, epoch };
		kept = true;
	}
	lock_drop(&pool_lock);
	if (!kept)
		process_fd_high_close(fd);
}

void handle_park(int fd, int *parked)
{
	int none = -1;
	long high;

	if (__atomic_load_n(parked, __ATOMIC_RELAXED) >= 0)
		return;
	high = sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, process_high_first());
	if (high < 0)
		return;
	process_fd_mark((int)high, true);
	/* A second copy would silence the handle's hang-up. */
	if (!__atomic_compare_exchange_n(parked, &none, (int)high, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		process_fd_high_close((int)high);
}

void handle_stop(void)
{
	lock_take(&pool_lock);
}

void handle_go_on(void)
{
	lock_drop(&pool_lock);
}

void handle_fork_child(void)
{
	pool_lock = refill_lock = (struct lock){ 0 };
	for (unsigned i = 0; i < pool_count; i++)
		process_fd_high_close(pool[i].fd);
	pool_count = 0;
}
