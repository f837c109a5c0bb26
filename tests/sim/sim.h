/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim.h - Engines on a switch, in virtual time. A seed replays a run exactly.
 */
#ifndef MORTISE_TESTS_SIM_SIM_H
#define MORTISE_TESTS_SIM_SIM_H

#include <stdio.h>

#include "checker.h"
#include "engine/engine.h"
#include "flight.h"
#include "link.h"

#define SIM_HOSTS 20u
#define SIM_MSEC LINK_MSEC
#define SIM_SEC LINK_SEC

/** struct sim_host - @link: its way to the switch. @down: from it; without delay, rate and loss: as
 * if there were none. */
struct sim_host {
	struct engine e;
	void *mem;
	size_t mem_bytes;
	struct link link;
	struct link down;
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
	struct flight flight;
	struct checker *checker;
	FILE *pcap;
	uint64_t frames, lost;
	void (*filter)(void *arg, unsigned host, const uint8_t *frame, size_t bytes);
	void *filter_arg;
};

void sim_init(struct sim *s, uint64_t seed);
void sim_end(struct sim *s);

/** sim_below() - At random, less than @n. */
uint64_t sim_below(struct sim *s, uint64_t n);

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
