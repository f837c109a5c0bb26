/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim.h - Engines on a switch, in virtual time. A seed replays a run exactly.
 */
#ifndef MORTISE_TESTS_SIM_SIM_H
#define MORTISE_TESTS_SIM_SIM_H

#include <stdio.h>

#include "checker.h"
#include "engine/engine.h"

#define SIM_HOSTS 20u
#define SIM_CUTS 4u
#define SIM_MSEC 1000000ull
#define SIM_SEC 1000000000ull

/**
 * struct link - A host's way to the switch. Probabilities are in 1/65536.
 * @rate:      Bits a second; 0: no limit. @queue_bytes: behind which frames are dropped.
 * @jitter_ns: Up to so much more delay, frame by frame: they overtake each other.
 * @bad:       Gilbert-Elliott: chance of a bad time to begin; @bad_end: to end; in it @bad_loss are
 * lost.
 * @hole:      Larger frames vanish; 0: none do.
 */
struct link {
	uint64_t delay_ns, jitter_ns, rate;
	uint32_t queue_bytes, loss, bad, bad_end, bad_loss, dup, reorder, corrupt;
	uint32_t hole;
	uint64_t cut_from[SIM_CUTS], cut_to[SIM_CUTS];
	uint32_t cuts;
	uint64_t busy_until;
	bool in_bad;
};

struct sim_frame;

struct sim_host {
	struct engine e;
	void *mem;
	size_t mem_bytes;
	struct link link;
	uint8_t mac[6];
};

/**
 * struct sim - @filter: sees each frame that a host emits; NULL: nobody looks.
 */
struct sim {
	uint64_t now_ns;
	uint64_t random;
	struct sim_host host[SIM_HOSTS];
	unsigned hosts;
	struct sim_frame **heap;
	size_t heap_n, heap_cap;
	uint64_t order;
	struct checker *checker;
	FILE *pcap;
	uint64_t frames, lost;
	void (*filter)(void *arg, unsigned host, const uint8_t *frame, size_t bytes);
	void *filter_arg;
};

void sim_init(struct sim *s, uint64_t seed);
void sim_end(struct sim *s);

/** sim_random() - 64 bits. sim_below() - Less than @n. sim_chance() - True @of in 65536 times. */
uint64_t sim_random(struct sim *s);
uint64_t sim_below(struct sim *s, uint64_t n);
bool sim_chance(struct sim *s, uint32_t of);

/** sim_host_add() - Address 10.0.0.1 and on, network /24; what @config does not say is the engine's
 * default. */
unsigned sim_host_add(struct sim *s, const struct engine_config *config);
static inline uint32_t sim_addr(unsigned host)
{
	return 0x0a000001u + host;
}

/** sim_pump() - Take what engines have to send. Return: did any? */
bool sim_pump(struct sim *s);

/** sim_step() - Go on to the next moment at which something happens, at most @until_ns. Return:
 * false: that is reached. */
bool sim_step(struct sim *s, uint64_t until_ns);

/** sim_move() - Copy a host's mapping to another address, and go on from there. */
void sim_move(struct sim *s, unsigned host);

#endif
