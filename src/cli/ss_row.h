/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ss_row.h - A socket of the domain, in words: made of what the daemon says,
 * and chosen from.
 */
#ifndef MORTISE_CLI_SS_ROW_H
#define MORTISE_CLI_SS_ROW_H

#include "ctl/proto.h"

struct ss_filter;

enum { SS_USERS_MAX = 16, SS_ADDRESS_MAX = 64, SS_SKMEM_COUNT = 9 };

/** struct ss_user - Somebody who holds a socket; @inode: by which it was found. */
struct ss_user {
	uint64_t inode;
	uint32_t pid;
	int fd;
	char process[17];
};

/** struct ss_tcp - What TCP knows: octets, microseconds. @there: It is known. */
struct ss_tcp {
	bool there, ts, sack;
	unsigned snd_wscale, rcv_wscale, cc;
	uint32_t cwnd, ssthresh, mss, pmtu, rtt_us, rttvar_us, rto_us, min_rtt_us, snd_wnd, rcv_wnd;
	uint32_t retrans_segs, segs_out, segs_in;
	uint64_t unacked, unsent, bytes_acked, bytes_received, bytes_retrans;
	uint64_t pacing_rate, delivery_rate;
};

/**
 * struct ss_row - A socket.
 * @reason: NULL in shared memory.
 * @family: AF_INET or AF_INET6.
 * @local_ip, @peer_ip: Network order; an IPv4 address is v4-mapped.
 * @local, @peer: The same in text, "%scope" included.
 * @dual:   An AF_INET6 socket that IPv4 reaches, too, where it is bound.
 * @fd:     -1 where unknown.
 * @party, @handle: In shared memory: its handle's name, handle + 1; 0: none.
 * @inode:  Of a kernel socket, 0 where unknown.
 * @sndbuf, @rcvbuf: Bytes, as set by the program; 0: automatic.
 * @tx_ring, @rx_ring: Bytes of ring memory: its own, the peer's.
 * @drops:  Datagrams for which there was no room.
 * @age_ns: Since it came to be; 0: unknown.
 * @cpu:    Where its owner last ran, + 1; 0: unknown.
 * @skmem:  Of a kernel's socket, where @has_skmem: SK_MEMINFO_*, in its order.
 * @tcp:    Of a connection to the domain's own network.
 * @users:  All who hold it; none where only @pid is known.
 * @pid:    0 where nobody holds it any more, or not yet.
 * @under:  A datagram socket in shared memory has one of the kernel's as its
 *          descriptor: which of them have the row's addresses, and the last of these.
 */
struct ss_row {
	const char *netid;
	const char *state;
	const char *transport;
	const char *reason;
	int family;
	uint8_t local_ip[16], peer_ip[16];
	char local[SS_ADDRESS_MAX], peer[SS_ADDRESS_MAX];
	uint16_t local_port, peer_port;
	uint64_t recv_q, send_q;
	uint32_t pid, uid;
	int fd;
	char process[17];
	uint64_t tx_bytes, rx_bytes, wakes, sleeps, spins;
	uint64_t inode, cookie;
	uint32_t sndbuf, rcvbuf;
	uint64_t tx_ring, rx_ring, drops, age_ns;
	uint32_t cpu;
	bool shared, dual;
	uint32_t party, handle;
	struct {
		unsigned count;
		uint64_t inode, recv_q, drops;
	} under;
	bool has_skmem;
	uint32_t skmem[SS_SKMEM_COUNT];
	struct ss_tcp tcp;
	unsigned user_count;
	struct ss_user users[SS_USERS_MAX];
};

/**
 * ss_row_make() - A row of a CTL_LIST reply.
 * Return: False where it is nothing to show. What the kernel alone knows of a
 *         kernel socket is filled in by kernel_fill().
 */
bool ss_row_make(const struct ctl_msg *m, struct ss_row *ret);

/**
 * ss_row_address() - Set an address of a row, its text included.
 * @family: AF_INET with 4 bytes at @ip, AF_INET6 with 16.
 * @scope:  Of a link-local address: the interface's number; 0: none.
 */
void ss_row_address(int family, const void *ip, uint32_t scope, uint8_t ret_ip[16],
		    char ret_text[SS_ADDRESS_MAX]);

/**
 * struct ss_show - What of it is wanted, from the command line.
 * @tcp, @udp: Neither: both. @unix_only: Neither of them, but AF_UNIX.
 * @ipv4, @ipv6: Neither: both.
 * @filter: Borrowed; NULL: none.
 */
struct ss_show {
	bool tcp, udp, unix_only, ipv4, ipv6, listening, all;
	bool numeric, resolve, processes, extended, memory, info, oneline;
	bool summary, no_header, json, color;
	const struct ss_filter *filter;
};

/** ss_wanted() - As ss: connected ones, -l listening ones, -a all; the filter. */
bool ss_wanted(const struct ss_row *r, const struct ss_show *show);

#endif
