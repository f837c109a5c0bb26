/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * acd.h - Our addresses on the link: probed before they are used, where the
 * configuration asks for it, announced, defended (RFC 5227).
 *
 *   ACD_PROBE     asked for, three times; the address is not ours yet
 *   ACD_ANNOUNCE  ours; announced, twice
 *   ACD_USED      ours
 *   ACD_CONFLICT  somebody else has it; probed again after a minute
 */
#ifndef MORTISE_ENGINE_ACD_H
#define MORTISE_ENGINE_ACD_H

#include "engine/state.h"
#include "wire/arp.h"

/** acd_start() - With the life of the state. */
void acd_start(struct engine *e);
void acd_timer(struct engine *e);

/** acd_input() - An ARP packet of somebody else's. Return: it is about an address of ours, and
 * nothing is to be learned from it. */
bool acd_input(struct engine *e, const struct arp *a);

#endif
