/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * neigh.h - Who on the link has an address: ARP (RFC 826; RFC 1122 2.3.2).
 *
 *   INCOMPLETE  asked, not answered: once a second, NEIGH_ASK_MAX times, then
 *               what waits is dropped and connections hear EHOSTUNREACH
 *   REACHABLE   answered within NEIGH_REACHABLE_NS
 *   PROBE       answered longer ago and used since: asked again, directly; used
 *               meanwhile, forgotten where the answer fails to come
 *
 * Entries are made when we send there, or when somebody asks for an address of
 * ours; any other ARP packet only corrects what is there. So the table holds whom
 * we talk to, and noise on the link does not fill it. Full, it forgets the least
 * recently used that has answered; whom else we would ask waits.
 */
#ifndef MORTISE_ENGINE_NEIGH_H
#define MORTISE_ENGINE_NEIGH_H

#include "engine/state.h"
#include "wire/arp.h"

/**
 * neigh_resolve() - The hardware address of @addr, which may be multicast.
 * @hint: Where it was found the last time, and is now; any number at first. NULL: nobody remembers.
 *
 * Return: 0; -EAGAIN: it is being asked for; -ENOBUFS: there is no room to.
 */
int neigh_resolve(struct engine *e, uint32_t addr, uint32_t *hint, uint8_t ret_mac[6]);

/** neigh_asked() - @addr is known, or being asked for. */
bool neigh_asked(struct engine *e, uint32_t addr);

/** neigh_hold() - Let a datagram wait for @addr, which neigh_resolve() gave -EAGAIN for. */
void neigh_hold(struct engine *e, uint32_t addr, struct pkt *p);

/** neigh_confirm() - @addr answers: something that it acknowledged came (RFC 1122 2.3.2.1). */
void neigh_confirm(struct engine *e, uint32_t addr, uint32_t *hint);

void neigh_input(struct engine *e, const struct arp *a);
void neigh_timer(struct engine *e, uint32_t index);

/** neigh_broadcast() - Send an ARP packet of ours to everybody; its sender is filled in. */
void neigh_broadcast(struct engine *e, struct arp *a);

#endif
