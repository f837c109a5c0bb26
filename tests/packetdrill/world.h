/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world.h - An engine in virtual time, with packetdrill as its network.
 *
 * Time moves only when packetdrill sleeps, asks for the time (a microsecond
 * each time: it spins on that before an event), or waits for a packet.
 *
 * packetdrill has two threads: one that runs the script, and one for the calls
 * that the script says will block. What the second waits for can come true
 * only by something that the first does. So the first, having done it, lets
 * the second look, and goes on when that sleeps again or has taken the time of
 * its return: which of them runs first is nobody's luck.
 */
#ifndef MORTISE_TESTS_PACKETDRILL_WORLD_H
#define MORTISE_TESTS_PACKETDRILL_WORLD_H

#include <pthread.h>

#include "engine/engine.h"
#include "engine/state.h"

#define WORLD_ADDR 0xc0a80001u	  /* 192.168.0.1/16: --local_ip's default */
#define WORLD_GATEWAY 0xc0a80002u /* --remote_ip is behind it */
#define WORLD_PATIENCE_NS (200 * NS_SEC)

/** struct packet - One that the engine sent, from its IP header on. */
struct packet {
	struct packet *next;
	uint64_t sent_ns;
	size_t bytes;
	uint8_t octets[];
};

/**
 * struct world - @lock guards all of it.
 * @made:     There is an engine: from the first socket on, when the script has set its sysctls.
 * @runner:   The thread that runs the script.
 * @blocked:  The other one, @other, sleeps in a call; @poked: it is to look; @leaving: it has what
 *            it waited for; @returned: and knows when that was; @unsettled: and has packetdrill's
 *            lock yet to take. @due_ns: until when it waits at most.
 */
struct world {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t runner;
	pid_t other;
	bool blocked, poked, leaving, returned, unsettled;
	uint64_t due_ns;

	struct engine e;
	void *mem;
	size_t mem_bytes;
	bool made;
	uint16_t mtu;
	uint64_t now_ns;
	struct packet *first, **last;
	void (*event)(const struct engine_event *ev);
};

extern struct world world;

/** world_init() - Before all else, once for each script. */
void world_init(uint16_t mtu, void (*event)(const struct engine_event *ev));
void world_end(void);
void world_lock(void);
void world_unlock(void);

/** world_engine() - The engine; made now, where there is none. */
struct engine *world_engine(void);

/** world_input() - A packet has come. */
void world_input(const void *ip, size_t bytes);

/** world_settle() - Take what the engine has to send and to say, and let the other thread look. */
void world_settle(void);

/** world_advance() - Let time be @until_ns, timer by timer. */
void world_advance(uint64_t until_ns);

/** world_packet() - The next packet sent, which the caller frees; time passes until there is one.
 * NULL: none comes. */
struct packet *world_packet(void);

/** world_time() - What gettimeofday() is to say. */
uint64_t world_time(void);

/**
 * world_wait() - Call @attempt until it has an answer, or @timeout_ns are over.
 *
 * Return: what it said; -EAGAIN: it never had one.
 */
int64_t world_wait(int64_t (*attempt)(void *arg), void *arg, uint64_t timeout_ns);

/** world_let_return() - The runner sleeps, without packetdrill's lock: whoever has returned from a
 * call takes that lock now, and is done with it. */
void world_let_return(void);

/** world_sysctl() - A figure of /proc/sys/net/ipv4/@name; the @field-th of them. @otherwise: there
 * is no such file. */
uint64_t world_sysctl(const char *name, unsigned field, uint64_t otherwise);

#endif
