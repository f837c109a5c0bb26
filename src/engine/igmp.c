// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>

#include "engine/igmp.h"
#include "engine/pkt.h"
#include "wire/igmp.h"

#define ROBUSTNESS 2u			/* RFC 9776 8.1: a change is said so often */
#define CHANGE_AGAIN_3_NS NS_SEC	/* RFC 9776 8.11 */
#define CHANGE_AGAIN_2_NS (10 * NS_SEC) /* RFC 2236 8.10 */
#define OLDER_QUERIER_NS (260 * NS_SEC) /* RFC 9776 8.12, with the default intervals */
#define TOS 0xc0u			/* RFC 9776 4 */
#define RECORDS_MAX IGMP_GROUPS

/** struct report - Records that go as one. */
struct report {
	struct igmp_record record[RECORDS_MAX];
	unsigned records;
};

/* RFC 9776 7.2.1: that of the oldest router that was heard lately. */
static unsigned version(const struct engine *e)
{
	const struct igmp_state *m = &e->s->igmp;

	if (m->until_ns[0] > e->s->now_ns)
		return 1;
	return m->until_ns[1] > e->s->now_ns ? 2 : 3;
}

static struct igmp_group *find(const struct engine *e, uint32_t group)
{
	struct igmp_state *m = &e->s->igmp;

	for (uint32_t i = 0; i < m->groups; i++) {
		if (m->group[i].addr == group)
			return &m->group[i];
	}
	return NULL;
}

bool igmp_wants(const struct engine *e, uint32_t group)
{
	const struct igmp_group *g = find(e, group);

	return group == IGMP_ALL_HOSTS || (g && g->users);
}

static void arm(struct engine *e)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < e->s->igmp.groups; i++) {
		const struct igmp_group *g = &e->s->igmp.group[i];

		if (g->change_ns)
			next = min_u64(next, g->change_ns);
		if (g->answer_ns)
			next = min_u64(next, g->answer_ns);
	}
	if (next == UINT64_MAX)
		wheel_cancel(&e->s->wheel, e->timer, e->s->timer_other + TIMER_IGMP);
	else
		wheel_set(&e->s->wheel, e->timer, e->s->timer_other + TIMER_IGMP, next);
}

/* Return: it is on its way, or was dropped for want of room; false: no address to send it from. */
static bool send(struct engine *e, uint32_t dst, const struct emit *message)
{
	uint32_t src, next_hop;
	struct pkt *p;

	if (route_find(e, dst, &src, &next_hop) != 0)
		return false;
	p = pkt_new(e, emit_bytes(message));
	if (!p) {
		COUNT(e, IP_NO_ROOM);
		return true;
	}
	pkt_write(e, p, 0, message->start, emit_bytes(message));
	p->src = src;
	p->dst = dst;
	p->proto = IPV4_PROTO_IGMP;
	p->ttl = 1;
	p->tos = TOS;
	p->alert = true;
	COUNT(e, IGMP_OUT);
	(void)ip_send(e, p);
	return true;
}

static bool send_report(struct engine *e, struct report *r)
{
	uint8_t octets[IGMP_BYTES + RECORDS_MAX * IGMP_RECORD_BYTES];
	unsigned most = (e->s->config.mtu - IPV4_HEADER_BYTES - IPV4_ALERT_BYTES - IGMP_BYTES) /
			IGMP_RECORD_BYTES;

	for (unsigned at = 0; at < r->records; at += most) {
		struct emit out = emit_to(octets, sizeof(octets));

		igmp_emit_report(&out, r->record + at, min_u32(most, r->records - at));
		if (!send(e, IGMP_ROUTERS_3, &out))
			return false;
	}
	return true;
}

/* To who speaks version 1 or 2: each group by itself. */
static bool send_old(struct engine *e, const struct igmp_record *r)
{
	bool leave = r->type == IGMP_TO_INCLUDE;
	uint8_t octets[IGMP_BYTES];
	struct emit out = emit_to(octets, sizeof(octets));

	if (leave && version(e) == 1)
		return true; /* it has no such message */
	igmp_emit(&out,
		  leave		    ? IGMP_LEAVE
		  : version(e) == 1 ? IGMP_REPORT_1
				    : IGMP_REPORT_2,
		  r->group);
	return send(e, leave ? IGMP_ALL_ROUTERS : r->group, &out);
}

static bool say(struct engine *e, struct report *r)
{
	if (version(e) == 3)
		return send_report(e, r);
	for (unsigned i = 0; i < r->records; i++) {
		if (!send_old(e, &r->record[i]))
			return false;
	}
	return true;
}

/* What @g has to say now. Return: nothing. */
static bool due(const struct engine *e, const struct igmp_group *g, uint8_t *ret_type)
{
	if (g->change_ns && g->change_ns <= e->s->now_ns) {
		*ret_type = g->users ? IGMP_TO_EXCLUDE : IGMP_TO_INCLUDE;
		return true;
	}
	*ret_type = IGMP_IS_EXCLUDE;
	return g->users && g->answer_ns && g->answer_ns <= e->s->now_ns;
}

/* It was said. */
static void said(struct engine *e, struct igmp_group *g)
{
	uint64_t within = version(e) == 3 ? CHANGE_AGAIN_3_NS : CHANGE_AGAIN_2_NS;

	g->answer_ns = 0;
	g->last = g->users != 0;
	if (!g->change_ns || g->change_ns > e->s->now_ns)
		return;
	g->changes--;
	/* RFC 2236 3: a leave is said once. */
	if (!g->users && version(e) < 3)
		g->changes = 0;
	g->change_ns = g->changes ? e->s->now_ns + 1 + engine_draw(e) % within : 0;
}

/* Those that nobody wants, and that have nothing more to say. */
static void sweep(struct engine *e)
{
	struct igmp_state *m = &e->s->igmp;

	for (uint32_t i = m->groups; i-- > 0;) {
		if (!m->group[i].users && !m->group[i].change_ns)
			m->group[i] = m->group[--m->groups];
	}
	arm(e);
}

void igmp_timer(struct engine *e)
{
	struct igmp_state *m = &e->s->igmp;
	struct report r = {.records = 0};
	uint8_t type;

	for (uint32_t i = 0; i < m->groups; i++) {
		if (due(e, &m->group[i], &type))
			r.record[r.records++] =
				(struct igmp_record){.type = type, .group = m->group[i].addr};
	}
	if (say(e, &r)) {
		for (uint32_t i = 0; i < m->groups; i++) {
			if (due(e, &m->group[i], &type))
				said(e, &m->group[i]);
		}
	} else {
		/* No address is ours yet (acd.h): a little later. */
		for (uint32_t i = 0; i < m->groups; i++) {
			if (due(e, &m->group[i], &type))
				*(type == IGMP_IS_EXCLUDE ? &m->group[i].answer_ns
							  : &m->group[i].change_ns) =
					e->s->now_ns + NS_SEC;
		}
	}
	sweep(e);
}

/* It is wanted now, or not any more: said at once, and again. */
static void changed(struct engine *e, struct igmp_group *g)
{
	g->answer_ns = 0;
	g->changes = e->s->igmp.robustness ? e->s->igmp.robustness : ROBUSTNESS;
	g->change_ns = e->s->now_ns ? e->s->now_ns : 1;
	/* RFC 2236 3: that it is left says who reported it last, if anybody. */
	if (g->addr == IGMP_ALL_HOSTS || (!g->users && version(e) < 3 && !g->last))
		g->change_ns = 0;
	igmp_timer(e);
}

int igmp_join(struct engine *e, uint32_t group)
{
	struct igmp_state *m = &e->s->igmp;
	struct igmp_group *g = find(e, group);

	if (!g) {
		if (m->groups == IGMP_GROUPS) {
			COUNT(e, IGMP_GROUPS_FULL);
			return -ENOBUFS;
		}
		g = &m->group[m->groups++];
		*g = (struct igmp_group){.addr = group};
	}
	if (g->users++ == 0)
		changed(e, g);
	return 0;
}

void igmp_leave(struct engine *e, uint32_t group)
{
	struct igmp_group *g = find(e, group);

	if (g && --g->users == 0)
		changed(e, g);
}

/* RFC 9776 7.2.1: another version is spoken from now on; what was to be said is not. */
static void heard_version(struct engine *e, unsigned of)
{
	unsigned before = version(e);

	if (of == 3)
		return;
	e->s->igmp.until_ns[of - 1] = e->s->now_ns + OLDER_QUERIER_NS;
	if (version(e) == before)
		return;
	for (uint32_t i = 0; i < e->s->igmp.groups; i++)
		e->s->igmp.group[i].answer_ns = e->s->igmp.group[i].change_ns = 0;
}

static void query(struct engine *e, const struct igmp *q)
{
	struct igmp_state *m = &e->s->igmp;
	uint64_t at = e->s->now_ns + 1 + engine_draw(e) % (NS_MSEC * (q->max_ms + 1ull));

	heard_version(e, q->version);
	if (q->robustness)
		m->robustness = q->robustness;
	for (uint32_t i = 0; i < m->groups; i++) {
		struct igmp_group *g = &m->group[i];

		if (g->addr == IGMP_ALL_HOSTS || !g->users || (q->group && q->group != g->addr))
			continue;
		/* RFC 9776 5.2: one that is due sooner answers this as well. */
		g->answer_ns = g->answer_ns ? min_u64(g->answer_ns, at) : at;
	}
	sweep(e);
}

void igmp_input(struct engine *e, const struct ip_in *in, struct cursor c)
{
	struct igmp m;
	enum wire_fault fault = igmp_parse(&c, &m);
	struct igmp_group *g;

	COUNT(e, IGMP_IN);
	if (fault != WIRE_OK) {
		COUNT_FAULT(e, IGMP, fault);
		return;
	}
	/* RFC 9776 9.1: a query for all is to all hosts; one for a group may be to us alone. */
	if (m.type == IGMP_QUERY && (m.group || in->dst == IGMP_ALL_HOSTS)) {
		query(e, &m);
		return;
	}
	g = find(e, m.group);
	if ((m.type == IGMP_REPORT_1 || m.type == IGMP_REPORT_2) && version(e) < 3 && g) {
		/* RFC 2236 3: another has said it for all. */
		g->answer_ns = 0;
		g->last = false;
		arm(e);
		return;
	}
	COUNT(e, IGMP_IGNORED);
}
