/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * igmp.h - Which multicast groups are wanted here, and that routers hear of it: the host's part of
 * IGMP, version 3 (RFC 9776), and 2 and 1 (RFC 2236) where a router that speaks these was heard.
 *
 * A group has an entry while a socket has joined it, and until its end was said as often as is
 * due. A change is said at once, and again within a second, since it may be lost; a query is
 * answered at a random time within what it allows. Sources are not told apart: a query for
 * some of a group's is answered with all.
 *
 * 224.0.0.1 is always wanted, and never spoken of.
 */
#ifndef MORTISE_ENGINE_IGMP_H
#define MORTISE_ENGINE_IGMP_H

#include "engine/ip.h"

/** igmp_join() - One more socket wants @group. Return: 0, or -ENOBUFS: the table is full. */
int igmp_join(struct engine *e, uint32_t group);

/** igmp_leave() - One that had joined does not any more. */
void igmp_leave(struct engine *e, uint32_t group);

/** igmp_wants() - Is what is sent to @group for somebody here? */
bool igmp_wants(const struct engine *e, uint32_t group);

void igmp_input(struct engine *e, const struct ip_in *in, struct cursor c);
void igmp_timer(struct engine *e);

#endif
