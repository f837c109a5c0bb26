// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "cli/ss_filter.h"
#include "cli/ss_row.h"
#include "cli/words.h"
#include "shm/abi.h"

enum { TRANSPORT_SHM = 0, TRANSPORT_KERNEL = 1 };

void ss_row_address(int family, const void *ip, uint32_t scope, uint8_t ret_ip[16],
		    char ret_text[SS_ADDRESS_MAX])
{
	char name[IF_NAMESIZE];

	if (family == AF_INET) {
		memset(ret_ip, 0, 10);
		memset(ret_ip + 10, 0xff, 2);
		memcpy(ret_ip + 12, ip, 4);
	} else {
		memcpy(ret_ip, ip, 16);
	}
	if (!inet_ntop(family, ip, ret_text, INET6_ADDRSTRLEN))
		strcpy(ret_text, "?");
	if (scope && if_indextoname(scope, name))
		sprintf(ret_text + strlen(ret_text), "%%%s", name);
	else if (scope)
		sprintf(ret_text + strlen(ret_text), "%%%u", scope);
}

static void address(int family, addr_word w, const uint8_t ip6[16], uint32_t scope,
		    uint8_t ret_ip[16], char ret_text[SS_ADDRESS_MAX])
{
	uint32_t ip4 = htonl(addr_word_addr(w));

	/* The wildcard is one in shared memory; shown is what the program has. */
	if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)ip6) &&
	    !addr_word_addr(w))
		ss_row_address(AF_INET6, &in6addr_any, 0, ret_ip, ret_text);
	else if (family == AF_INET6)
		ss_row_address(AF_INET6, ip6, scope, ret_ip, ret_text);
	else
		ss_row_address(AF_INET, &ip4, 0, ret_ip, ret_text);
}

/** kernel_row() - What the daemon knows of a kernel socket. */
static void kernel_row(struct ss_row *r, const struct ctl_msg *m)
{
	r->transport = "kernel";
	r->reason = word_reason(m->row.reason);
	r->inode = m->row.inode;
	if (m->row.reason == REASON_DATAGRAM)
		r->netid = "udp";
	if (m->row.state == HALF_LISTEN)
		r->state = "LISTEN";
	else
		r->state = m->row.remote ? "ESTAB" : "UNCONN";
}

static void tcp_row(const struct ctl_msg *m, struct ss_tcp *ret)
{
	*ret = (struct ss_tcp){
		.there = m->row.wire == 1,
		.ts = m->row.tcp_flags & CTL_TCP_TS,
		.sack = m->row.tcp_flags & CTL_TCP_SACK,
		.snd_wscale = m->row.tcp_flags >> 8 & 0xff,
		.rcv_wscale = m->row.tcp_flags >> 16 & 0xff,
		.cc = m->row.tcp_flags >> 24,
		.cwnd = m->row.tcp_cwnd,
		.ssthresh = m->row.tcp_ssthresh,
		.mss = m->row.tcp_mss,
		.pmtu = m->row.tcp_pmtu,
		.rtt_us = m->row.tcp_rtt_us,
		.rttvar_us = m->row.tcp_rttvar_us,
		.rto_us = m->row.tcp_rto_us,
		.min_rtt_us = m->row.tcp_min_rtt_us,
		.snd_wnd = m->row.tcp_snd_wnd,
		.rcv_wnd = m->row.tcp_rcv_wnd,
		.retrans_segs = m->row.tcp_retrans_segs,
		.segs_out = m->row.tcp_segs_out,
		.segs_in = m->row.tcp_segs_in,
		.unacked = m->row.tcp_unacked,
		.unsent = m->row.tcp_unsent,
		.bytes_acked = m->row.tcp_bytes_acked,
		.bytes_received = m->row.tcp_bytes_received,
		.bytes_retrans = m->row.tcp_bytes_retrans,
		.pacing_rate = m->row.tcp_pacing_rate,
		.delivery_rate = m->row.tcp_delivery_rate,
	};
}

bool ss_row_make(const struct ctl_msg *m, struct ss_row *ret)
{
	struct ss_row r = {
		.netid = m->row.protocol == IPPROTO_UDP ? "udp" : "tcp",
		.transport = "shm",
		.family = m->row.family == AF_INET6 ? AF_INET6 : AF_INET,
		.local_port = addr_word_port(m->row.local),
		.peer_port = addr_word_port(m->row.remote),
		.recv_q = m->row.recv_q,
		.send_q = m->row.send_q,
		.pid = m->row.pid,
		.uid = m->row.uid,
		.fd = m->row.fd,
		.tx_bytes = m->row.tx_bytes,
		.rx_bytes = m->row.rx_bytes,
		.wakes = m->row.wakes,
		.sleeps = m->row.sleeps,
		.spins = m->row.spins,
		.cookie = m->row.cookie,
		.sndbuf = m->row.sndbuf,
		.rcvbuf = m->row.rcvbuf,
		.tx_ring = m->row.tx_ring,
		.rx_ring = m->row.rx_ring,
		.drops = m->row.drops,
		.age_ns = m->row.age_ns,
		.cpu = m->row.cpu,
		.shared = m->row.shared != 0,
		.dual = m->row.local & ADDR_WORD_DUAL,
	};

	if (m->row.transport == TRANSPORT_KERNEL) {
		kernel_row(&r, m);
	} else {
		r.state = word_state(m->row.state, m->row.half_closed, m->row.remote);
		if (!r.state)
			return false;
		if (m->row.protocol == IPPROTO_UDP && m->row.state == HALF_BOUND && r.peer_port)
			r.state = "ESTAB"; /* As ss calls a connected datagram socket. */
		tcp_row(m, &r.tcp);
		r.party = (uint32_t)(m->row.inode >> 32);
		r.handle = (uint32_t)m->row.inode;
	}
	address(r.family, m->row.local, m->row.local_ip6, m->row.local_scope, r.local_ip, r.local);
	address(r.family, m->row.remote, m->row.remote_ip6, m->row.remote_scope, r.peer_ip, r.peer);
	memcpy(r.process, m->row.comm, sizeof(m->row.comm));
	*ret = r;
	return true;
}

/** states_wanted() - Those that the options name, where no filter does. */
static uint32_t states_wanted(const struct ss_show *show, bool tcp)
{
	uint32_t listening = ss_state_bit("LISTEN") | (tcp ? 0 : ss_state_bit("UNCONN"));

	if (show->all)
		return SS_STATES_ALL;
	if (show->listening)
		return listening;
	return SS_STATES_CONNECTED & ~(ss_state_bit("TIME-WAIT") | ss_state_bit("SYN-RECV"));
}

bool ss_wanted(const struct ss_row *r, const struct ss_show *show)
{
	bool tcp = !strcmp(r->netid, "tcp");
	uint32_t states = states_wanted(show, tcp);

	if (show->unix_only || ((show->tcp || show->udp) && !(tcp ? show->tcp : show->udp)))
		return false;
	if ((show->ipv4 || show->ipv6) && !(r->family == AF_INET6 ? show->ipv6 : show->ipv4))
		return false;
	if (show->filter && show->filter->states)
		states = show->filter->states;
	/* A state without a bit is one that we have no word for: never hidden by -a. */
	if (!(states & ss_state_bit(r->state)) && !(show->all && !ss_state_bit(r->state)))
		return false;
	return !show->filter || ss_filter_match(show->filter, r);
}
