// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>

#include "engine/acd.h"
#include "engine/neigh.h"

/* RFC 5227 1.1 */
#define PROBE_WAIT_NS NS_SEC
#define PROBE_NUM 3u
#define PROBE_MIN_NS NS_SEC
#define PROBE_MAX_NS (2 * NS_SEC)
#define ANNOUNCE_WAIT_NS (2 * NS_SEC)
#define ANNOUNCE_NUM 2u
#define ANNOUNCE_INTERVAL_NS (2 * NS_SEC)
#define DEFEND_INTERVAL_NS (10 * NS_SEC)
#define RATE_LIMIT_INTERVAL_NS (60 * NS_SEC)

static void arm(struct engine *e)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < e->s->config.addresses; i++) {
		if (e->s->acd[i].due_ns)
			next = min_u64(next, e->s->acd[i].due_ns);
	}
	if (next != UINT64_MAX)
		wheel_set(&e->s->wheel, e->timer, e->s->timer_other + TIMER_ACD, next);
}

static void probe_from_now(struct engine *e, struct acd *d, uint64_t wait_ns)
{
	*d = (struct acd){
		.state = ACD_PROBE,
		.due_ns = e->s->now_ns + wait_ns + engine_draw(e) % PROBE_WAIT_NS + 1,
	};
}

/* RFC 5227 2.3: a request for our own address, from it. */
static void announce(struct engine *e, uint32_t addr)
{
	struct arp a = {.op = ARP_REQUEST, .sender_ip = addr, .target_ip = addr};

	neigh_broadcast(e, &a);
}

static void step(struct engine *e, uint32_t addr, struct acd *d)
{
	struct arp probe = {.op = ARP_REQUEST, .target_ip = addr};

	switch (d->state) {
	case ACD_CONFLICT:
		probe_from_now(e, d, 0);
		return;
	case ACD_PROBE:
		if (d->sent < PROBE_NUM) {
			neigh_broadcast(e, &probe);
			d->sent++;
			d->due_ns = e->s->now_ns +
				    (d->sent == PROBE_NUM
					     ? ANNOUNCE_WAIT_NS
					     : PROBE_MIN_NS + engine_draw(e) % (PROBE_MAX_NS -
										PROBE_MIN_NS));
			return;
		}
		/* Nobody said a word: it is ours. */
		d->state = ACD_ANNOUNCE;
		d->sent = 0;
		e->s->route_change++;
		break;
	default:
		break;
	}
	announce(e, addr);
	d->due_ns = e->s->now_ns + ANNOUNCE_INTERVAL_NS;
	if (++d->sent == ANNOUNCE_NUM) {
		d->state = ACD_USED;
		d->due_ns = 0;
	}
}

void acd_timer(struct engine *e)
{
	for (uint32_t i = 0; i < e->s->config.addresses; i++) {
		struct acd *d = &e->s->acd[i];

		if (d->due_ns && d->due_ns <= e->s->now_ns)
			step(e, e->s->config.address[i].addr, d);
	}
	arm(e);
}

void acd_start(struct engine *e)
{
	for (uint32_t i = 0; i < e->s->config.addresses; i++) {
		struct acd *d = &e->s->acd[i];

		if (e->s->config.probe) {
			probe_from_now(e, d, 0);
		} else if (e->s->config.no_announce) {
			d->state = ACD_USED;
		} else {
			d->state = ACD_ANNOUNCE;
			step(e, e->s->config.address[i].addr, d);
		}
	}
	arm(e);
}

static struct acd *find(struct engine *e, uint32_t addr)
{
	for (uint32_t i = 0; i < e->s->config.addresses; i++) {
		if (e->s->config.address[i].addr == addr)
			return &e->s->acd[i];
	}
	return NULL;
}

bool acd_input(struct engine *e, const struct arp *a)
{
	struct acd *d = find(e, a->sender_ip ? a->sender_ip : a->target_ip);

	if (!d)
		return false;
	if (d->state == ACD_PROBE || d->state == ACD_CONFLICT) {
		/* 2.1.1: somebody has it, or wants it as we do. Whoever only asks for it does not.
		 */
		COUNT(e, ARP_CONFLICT);
		d->state = ACD_CONFLICT;
		d->due_ns = e->s->now_ns + RATE_LIMIT_INTERVAL_NS;
		arm(e);
		return true;
	}
	if (!a->sender_ip)
		return false; /* a probe for what is ours: it is answered, as any request */
	COUNT(e, ARP_CONFLICT);
	/* 2.4 (b): defended, once in DEFEND_INTERVAL; then kept (c). */
	if (!d->defended_ns || e->s->now_ns - d->defended_ns > DEFEND_INTERVAL_NS) {
		d->defended_ns = e->s->now_ns;
		announce(e, a->sender_ip);
	}
	return true;
}

int engine_address_state(const struct engine *e, uint32_t addr)
{
	const struct engine_config *c = &e->s->config;

	for (uint32_t i = 0; i < c->addresses; i++) {
		if (c->address[i].addr != addr)
			continue;
		switch (e->s->acd[i].state) {
		case ACD_PROBE:
			return ENGINE_ADDRESS_PROBED;
		case ACD_CONFLICT:
			return ENGINE_ADDRESS_CONFLICT;
		default:
			return ENGINE_ADDRESS_USED;
		}
	}
	return -EADDRNOTAVAIL;
}
