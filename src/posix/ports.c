/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/lock.h"
#include "posix/ports.h"
#include "posix/process.h"

#define LEASE_MOST 400u
#define LEASE_TRIES 16u /* other threads may be faster with a new one */

/**
 * struct lease - Ports [@first, @first + @count), count at most 64.
 * @used: A bit for each.
 */
struct lease {
	uint16_t first, count;
	uint64_t used;
};

static struct lease leases[LEASE_MOST];
static unsigned lease_count, lease_at, port_at;
static struct lock lease_lock;
/* Many threads that find no port at once need one lease, not one each. */
static struct lock ask_lock;

/* Round robin, so that a port rests before it is used again. Caller holds
 * the lock. */
static uint16_t lease_search(void)
{
	/* Once more than there are: the rest of the first one comes last. */
	for (unsigned n = 0; lease_count && n <= lease_count; n++) {
		struct lease *l = &leases[lease_at];

		for (; port_at < l->count; port_at++) {
			if (l->used >> port_at & 1)
				continue;
			l->used |= 1ull << port_at;
			return (uint16_t)(l->first + port_at++);
		}
		port_at = 0;
		lease_at = (lease_at + 1) % lease_count;
	}
	return 0;
}

static uint16_t port_search(void)
{
	uint16_t port;

	lock_take(&lease_lock);
	port = lease_search();
	lock_drop(&lease_lock);
	return port;
}

/* Caller holds ask_lock. */
static uint16_t port_ask(void)
{
	for (unsigned try = 0; try < LEASE_TRIES; try++) {
		struct ctl_msg m = { .type = CTL_LEASE };
		uint16_t port = port_search();

		if (port || process_call(&m, NULL, 0, NULL, NULL) < 0)
			return port;
		lock_take(&lease_lock);
		if (m.lease.count && m.lease.count <= 64 && lease_count < LEASE_MOST) {
			leases[lease_count] = (struct lease){ m.lease.first, m.lease.count, 0 };
			lease_at = lease_count++;
			port_at = 0;
		} else {
			try = LEASE_TRIES;
		}
		lock_drop(&lease_lock);
	}
	return 0;
}

uint16_t port_take(void)
{
	uint16_t port = port_search();

	if (port)
		return port;
	lock_take(&ask_lock);
	port = port_ask();
	lock_drop(&ask_lock);
	return port;
}

void port_give(uint16_t port)
{
	lock_take(&lease_lock);
	for (unsigned i = 0; i < lease_count; i++) {
		unsigned n = (unsigned)port - leases[i].first;

		if (port >= leases[i].first && n < leases[i].count)
			leases[i].used &= ~(1ull << n);
	}
	lock_drop(&lease_lock);
}

void port_fork_child(void)
{
	lease_lock = ask_lock = (struct lock){ 0 };
	lease_count = lease_at = port_at = 0;
}
