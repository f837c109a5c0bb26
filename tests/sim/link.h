/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link.h - What a link does to frames: delay, jitter, rate, a bounded queue, loss
 * one by one and in bursts, duplicates, reordering, corruption, cuts.
 *
 * A function of frames, times and a random state: the simulator runs it in
 * virtual time, the bridge of tests/netns in real time.
 */
#ifndef MORTISE_TESTS_SIM_LINK_H
#define MORTISE_TESTS_SIM_LINK_H

#include "base/defs.h"

#define LINK_CUTS 4u
#define LINK_MSEC 1000000ull
#define LINK_SEC 1000000000ull

/**
 * struct link - One direction. Probabilities are in 1/65536.
 * @rate:      Bits a second; 0: no limit. @queue_bytes: behind which frames are dropped.
 * @jitter_ns: Up to so much more delay, frame by frame: they overtake each other.
 * @bad:       Gilbert-Elliott: chance of a bad time to begin; @bad_end: to end; in it @bad_loss are
 * lost.
 * @reorder:   Of a frame to come up to 10 ms, and half the delay, later.
 * @hole:      Larger frames vanish; 0: none do. @says: but their sender is to hear of it, by ICMP
 * (RFC 1191): that is for who runs the link.
 */
struct link {
	uint64_t delay_ns, jitter_ns, rate;
	uint32_t queue_bytes, loss, bad, bad_end, bad_loss, dup, reorder, corrupt;
	uint32_t hole;
	bool says;
	uint64_t cut_from[LINK_CUTS], cut_to[LINK_CUTS];
	uint32_t cuts;
	uint64_t busy_until;
	bool in_bad;
};

enum link_fate { LINK_PASSED, LINK_QUEUE_FULL, LINK_LOST, LINK_TOO_LONG };

/** link_random() - 64 bits. link_below() - Less than @n. link_chance() - True @of in 65536 times.
 */
uint64_t link_random(uint64_t *random);
uint64_t link_below(uint64_t *random, uint64_t n);
bool link_chance(uint64_t *random, uint32_t of);

/** link_take() - A frame comes to the link. @ret_at_ns: when its last bit leaves; LINK_PASSED only.
 */
enum link_fate link_take(struct link *l, uint64_t *random, uint64_t now_ns, size_t bytes,
			 uint64_t *ret_at_ns);

/** link_arrival() - When a copy is there that left at @at_ns. */
uint64_t link_arrival(const struct link *l, uint64_t *random, uint64_t at_ns);

/**
 * link_harm() - Perhaps flip a bit, of what has a checksum: Ethernet has one of its own, and
 * behind it IPv4 has.
 * @octets: An Ethernet frame of at least its header.
 * Return: was it harmed?
 */
bool link_harm(const struct link *l, uint64_t *random, uint8_t *octets, size_t bytes);

#endif
