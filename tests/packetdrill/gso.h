/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gso.h - PSH as Linux sets it on what it gives its device as one segment.
 *
 * The scripts were made with segmentation offload: several full segments leave
 * as one, which has PSH (a single one has not). packetdrill joins what comes in
 * pieces, and takes the flags of the last of them; so that one gets PSH here.
 * What is sent again is cut as it was at first.
 */
#ifndef MORTISE_TESTS_PACKETDRILL_GSO_H
#define MORTISE_TESTS_PACKETDRILL_GSO_H

#include "world.h"

/** gso_packet() - A packet that the engine sends. gso_end() - All of a batch have been. */
void gso_packet(struct packet *p);
void gso_end(void);

/** gso_init() - No packet was sent. */
void gso_init(void);

#endif
