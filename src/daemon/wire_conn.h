/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_conn.h - Connections of programs to the network, each with a half of the
 * daemon's and a socket of the engine's; for wire.c and its parts.
 */
#ifndef MORTISE_DAEMON_WIRE_CONN_H
#define MORTISE_DAEMON_WIRE_CONN_H

#include <stdio.h>

#include "daemon/inner.h"
#include "engine/engine.h"
#include "shm/conn.h"
#include "shm/spin.h"

#define WIRE_CONNS 16384u
#define WIRE_LISTENERS 2048u
#define WIRE_PINGS 64u

enum wire_conn_state {
	WIRE_FREE = 0,
	WIRE_CONNECTING, /* a program's connect(): the network has not answered */
	WIRE_WAITING,	 /* accepted from the network; the listener's queue is full */
	WIRE_OPEN,
};

/**
 * struct wire_conn
 * @sock:    Of the engine.
 * @half:    WIRE_WAITING: ours, without a peer.
 * @next:    In the list of those that are free, active, or waiting; + 1.
 * @active:  In the list of those that are served at the next turn.
 * @in_ready: The engine may have bytes, the end, or an error.
 * @in_end, @out_end: The network's FIN was passed on; the program's.
 * @want_space: The program's ring was full.
 * @listener: WIRE_WAITING: in whose queue, + 1.
 * @options: Of the program's half, as last applied.
 * @user_timeout_ms: Likewise.
 * @kept: Octets in the program's ring, from our head on, that the engine has sent or will send
 *        from there.
 */
struct wire_conn {
	struct conn conn;
	struct engine_sock sock;
	struct half *half;
	uint32_t next, listener;
	uint8_t state;
	bool active, in_ready, in_end, out_end, want_space;
	uint64_t options;
	uint32_t user_timeout_ms;
	uint32_t kept;
};

/**
 * struct wire_listener - An address and port that the engine listens or receives at.
 * @addr:    0: any.
 * @dgram:   Of datagrams. @ttl, @tos: As last set.
 * @waiting: Connections that found the program's queue full: so long, the engine keeps the others.
 */
struct wire_listener {
	uint32_t addr, waiting;
	uint16_t port;
	bool used, wanted, dgram;
	uint8_t ttl, tos;
	struct engine_sock sock;
};

/** struct wire_ping - An echo request that was sent. @client 0: this entry is free. */
struct wire_ping {
	unsigned client;
	uint32_t client_gen;
	uint64_t sent_ns, until_ns;
	struct engine_sock sock;
	struct ctl_msg m;
};

/**
 * struct wire
 * @tap:     The device.
 * @now_ns:  Of this turn.
 * @gate:    The listener that programs' connections to other addresses claim seats of.
 * @gate_slot, @gate_ready: Its half's; somebody may wait at it. All its seats are looked at then,
 *           and, since a hint may be lost, behind each sleep.
 * @spin, @spin_most_ns: Before a sleep (wire_spin.c).
 * @program_cpu: Where the program ran, as spin_cpu() has it, whose connection was served last.
 * @place_next: Connection + 1 that the next frame's octets are likely to be of; 0: of nobody known.
 * @by_slot: Connection + 1, by the slot of its half.
 * @free_first, @active_first, @active_last, @waiting_first: Connections + 1.
 */
struct wire {
	struct inner in;
	int tap;
	struct engine e;
	uint64_t now_ns;
	bool readable; /* the device, when last looked at */
	bool down_said, more_out;
	FILE *capture; /* NULL: none */
	struct half *gate;
	uint64_t gate_cursor;
	unsigned gate_slot;
	bool gate_ready;
	uint32_t free_first, active_first, active_last, waiting_first;
	uint64_t waiting_due_ns;
	struct spin spin;
	uint64_t spin_most_ns;
	uint32_t program_cpu;
	uint32_t place_next;
	uint64_t frames_bad, frames_lost, frames_placed, frames_kept, dgrams_unsent,
		dgrams_undelivered;
	unsigned dgram_slot, dgrams; /* of the halves that programs send datagrams to: the first */
	bool dgram_ready;
	uint16_t by_slot[SLOT_MAX];
	struct wire_conn conns[WIRE_CONNS];
	struct wire_listener listeners[WIRE_LISTENERS];
	struct wire_ping pings[WIRE_PINGS];
};

/* What the engine's sockets are, in the upper half of their cookies. */
enum wire_kind { WIRE_KIND_CONN = 1, WIRE_KIND_LISTENER, WIRE_KIND_PING };

static inline uint64_t wire_cookie(enum wire_kind kind, uint32_t index)
{
	return (uint64_t)kind << 32 | index;
}

/** wire_conns_init() - All of them are free. */
void wire_conns_init(struct wire *w);

/** wire_conn_hint() - For hint_take(): something happened to the half at @slot. */
void wire_conn_hint(void *wire, unsigned slot);

/** wire_conn_event() - The engine says that something happened. */
void wire_conn_event(struct wire *w, uint32_t index, uint32_t events);

/** wire_conn_deliver() - Octets have come that had better be taken now, from the frame. Return:
 * false: the program has no room for all of them. */
bool wire_conn_deliver(struct wire *w, uint32_t index);

/**
 * wire_conn_place() - Where its next octets may go before it is sure that they are its own.
 * @ret: In its ring; on success.
 * Return: octets of headers before them; 0: nowhere.
 */
size_t wire_conn_place(struct wire *w, uint32_t index, struct iovec ret[2]);

/** wire_conn_placed() - @bytes of these are there. @more: others have come behind them. Return:
 * as wire_conn_deliver(). */
bool wire_conn_placed(struct wire *w, uint32_t index, size_t bytes, bool more);

/**
 * wire_conn_kept() - Where octets lie that the engine has not, but the program's ring.
 * @skip: So many kept ones are before them.
 * @ret:  At most @most pieces.
 * Return: how many pieces; 0: they cannot be found.
 */
unsigned wire_conn_kept(struct wire *w, uint32_t index, uint32_t skip, uint32_t bytes,
			struct iovec *ret, unsigned most);

/** wire_conn_unkeep() - What the engine says of the one with the half at @slot is then of octets
 * that are not in the program's ring any more. */
void wire_conn_unkeep(struct wire *w, unsigned slot);

/** wire_gate() - Take those who wait at the gate. */
void wire_gate(struct wire *w);

/** wire_accept() - Take those who wait in the engine's queue of a listener. */
void wire_accept(struct wire *w, struct wire_listener *l);

/** wire_serve() - A bounded round over those that are active. */
void wire_serve(struct wire *w);

/** wire_waiting() - Those whose listener's queue was full try again. */
void wire_waiting(struct wire *w);

/** wire_reset_all() - Every connection is reset, on both sides. */
void wire_reset_all(struct wire *w);

#endif
