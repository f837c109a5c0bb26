// SPDX-License-Identifier: BSD-2-Clause
/* options.c - Socket options, and TCP_INFO in Linux's units: segments, and its states' numbers. */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef TCP_MSS_DEFAULT /* the engine has one of that name */
#include "engine/sock.h"
#include "engine/tcp_parts.h"
#include "options.h"
#include "world.h"

#define SOL_TCP IPPROTO_TCP /* <netinet/tcp.h> has it, and the engine's names besides */

/* Linux's own (net/tcp_states.h), by the engine's. */
static const uint8_t linux_state[] = {
	[ENGINE_CLOSED_STATE] = 7, [ENGINE_LISTEN] = 10,     [ENGINE_SYN_SENT] = 2,
	[ENGINE_SYN_RECEIVED] = 3, [ENGINE_ESTABLISHED] = 1, [ENGINE_FIN_WAIT_1] = 4,
	[ENGINE_FIN_WAIT_2] = 5,   [ENGINE_CLOSE_WAIT] = 8,  [ENGINE_CLOSING] = 11,
	[ENGINE_LAST_ACK] = 9,	   [ENGINE_TIME_WAIT] = 6,
};

static const struct {
	int level, name;
	enum engine_option option;
} options[] = {
	{SOL_SOCKET, SO_ERROR, ENGINE_SO_ERROR},
	{SOL_SOCKET, SO_BROADCAST, ENGINE_SO_BROADCAST},
	{SOL_SOCKET, SO_KEEPALIVE, ENGINE_SO_KEEPALIVE},
	{SOL_TCP, TCP_NODELAY, ENGINE_TCP_NODELAY},
	{SOL_TCP, TCP_CORK, ENGINE_TCP_CORK},
	{SOL_TCP, TCP_QUICKACK, ENGINE_TCP_QUICKACK},
	{SOL_TCP, TCP_KEEPIDLE, ENGINE_TCP_KEEPIDLE},
	{SOL_TCP, TCP_KEEPINTVL, ENGINE_TCP_KEEPINTVL},
	{SOL_TCP, TCP_KEEPCNT, ENGINE_TCP_KEEPCNT},
	{SOL_TCP, TCP_USER_TIMEOUT, ENGINE_TCP_USER_TIMEOUT},
	{SOL_TCP, TCP_MAXSEG, ENGINE_TCP_MAXSEG},
	{SOL_IP, IP_TTL, ENGINE_IP_TTL},
	{SOL_IP, IP_TOS, ENGINE_IP_TOS},
	{SOL_IP, IP_MTU_DISCOVER, ENGINE_IP_MTU_DISCOVER},
};

/* Return: -1: the engine has none. */
static int option_of(int level, int name)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (options[i].level == level && options[i].name == name)
			return (int)options[i].option;
	}
	return -1;
}

static const char *const cc_names[ENGINE_CCS] = {[ENGINE_CUBIC] = "cubic", [ENGINE_RENO] = "reno"};

static int set_congestion(struct fd *f, const char *name, size_t bytes)
{
	for (uint32_t i = 0; i < ENGINE_CCS; i++) {
		if (strnlen(name, bytes) == strlen(cc_names[i]) &&
		    memcmp(name, cc_names[i], strlen(cc_names[i])) == 0)
			return engine_set(world_engine(), world.now_ns, f->sock,
					  ENGINE_TCP_CONGESTION, i);
	}
	return -ENOENT;
}

/* What the engine has not and Linux has for every socket. Return: 1: not one of these. */
static int set_ours(struct fd *f, int level, int name, const void *value, socklen_t bytes, int v)
{
	struct engine *e = world_engine();

	if (level == SOL_TCP && name == TCP_CONGESTION)
		return set_congestion(f, value, bytes);
	if (level == SOL_TCP && name == TCP_NOTSENT_LOWAT) {
		f->lowat = (uint32_t)v;
		return 0;
	}
	if (level != SOL_SOCKET)
		return 1;
	switch (name) {
	case SO_REUSEADDR:
		f->reuseaddr = v;
		return 0;
	case SO_REUSEPORT:
		f->reuseport = v;
		return 0;
	case SO_LINGER: {
		struct linger l;

		if (bytes < sizeof(l))
			return -EINVAL;
		memcpy(&l, value, sizeof(l));
		f->linger_s = l.l_onoff ? l.l_linger : -1;
		return 0;
	}
	case SO_SNDTIMEO:
	case SO_RCVTIMEO: {
		struct timeval t;
		uint64_t ns;

		if (bytes < sizeof(t))
			return -EINVAL;
		memcpy(&t, value, sizeof(t));
		ns = (uint64_t)t.tv_sec * NS_SEC + (uint64_t)t.tv_usec * NS_USEC;
		*(name == SO_SNDTIMEO ? &f->sndtimeo_ns : &f->rcvtimeo_ns) = ns ? ns : UINT64_MAX;
		return 0;
	}
	case SO_SNDBUF:
		f->sndbuf = (uint32_t)v;
		/* Linux takes twice that. */
		return engine_set(e, world.now_ns, f->sock, ENGINE_SO_SNDBUF, 2 * (uint32_t)v);
	case SO_RCVBUF:
		f->rcvbuf = (uint32_t)v;
		return engine_set(e, world.now_ns, f->sock, ENGINE_SO_RCVBUF, (uint32_t)v);
	default:
		return 1;
	}
}

int options_set(struct fd *f, int level, int name, const void *value, socklen_t bytes)
{
	int option = option_of(level, name), v = 0, err;

	if (!value)
		return -EFAULT;
	memcpy(&v, value, bytes < sizeof(v) ? bytes : sizeof(v));
	err = set_ours(f, level, name, value, bytes, v);
	if (err != 1)
		return err;
	if (option < 0 || option == ENGINE_SO_ERROR)
		return -ENOPROTOOPT;
	if (option == ENGINE_IP_MTU_DISCOVER)
		v = v != IP_PMTUDISC_DONT;
	return engine_set(world_engine(), world.now_ns, f->sock, (enum engine_option)option,
			  (uint32_t)v);
}

void options_start(struct fd *f)
{
	char name[32] = "cubic";
	FILE *file = fopen("/proc/sys/net/ipv4/tcp_congestion_control", "re");

	if (file) {
		if (fgets(name, sizeof(name), file))
			name[strcspn(name, "\n")] = '\0';
		(void)fclose(file);
	}
	(void)set_congestion(f, name, sizeof(name));
	f->lowat = (uint32_t)world_sysctl("tcp_notsent_lowat", 0, UINT32_MAX);
}

/* ------------------------------------------------------------ TCP_INFO */

static uint32_t segments(uint32_t bytes, uint32_t mss)
{
	return (bytes + mss - 1) / mss;
}

static void count_flight(const struct engine *e, const struct tcp *t, struct tcp_info *ret)
{
	uint32_t mss = tcp_data_max(t);

	for (const struct tcp_seg *s = seg_first(e, t); s; s = seg_next(e, s)) {
		uint32_t n = segments(seg_bytes(s), mss);

		ret->tcpi_unacked += n;
		ret->tcpi_sacked += s->flags & SEG_SACKED ? n : 0;
		ret->tcpi_lost += s->flags & SEG_LOST ? n : 0;
		ret->tcpi_retrans += s->flags & SEG_RETRANS ? n : 0;
	}
	if (!t->sack_ok)
		ret->tcpi_sacked = segments(t->dup_bytes, mss);
}

static uint32_t since_ms(uint64_t then_ns)
{
	return then_ns ? (uint32_t)((world.now_ns - then_ns) / NS_MSEC) : 0;
}

static void fill_stream(const struct engine *e, const struct sock *s, const struct tcp *t,
			struct tcp_info *ret)
{
	uint32_t mss = tcp_data_max(t);

	count_flight(e, t, ret);
	if (t->recovery == TCP_RECOVERY)
		ret->tcpi_ca_state = TCP_CA_Recovery;
	else if (t->recovery == TCP_LOSS)
		ret->tcpi_ca_state = TCP_CA_Loss;
	else if (ret->tcpi_sacked)
		ret->tcpi_ca_state = TCP_CA_Disorder;
	ret->tcpi_retransmits = ret->tcpi_backoff = t->backoff;
	ret->tcpi_probes = t->keep_probes;
	ret->tcpi_options = (t->ts_ok ? TCPI_OPT_TIMESTAMPS : 0) |
			    (t->sack_ok ? TCPI_OPT_SACK : 0) | (t->wscale_ok ? TCPI_OPT_WSCALE : 0);
	ret->tcpi_snd_mss = mss;
	ret->tcpi_rcv_mss = t->rcv_mss;
	ret->tcpi_advmss = s->maxseg ? s->maxseg : e->s->config.mtu - 40u;
	ret->tcpi_snd_cwnd = t->cwnd / mss;
	ret->tcpi_snd_ssthresh = t->ssthresh >= TCP_CWND_MAX ? 0x7fffffff : t->ssthresh / mss;
	ret->tcpi_reordering = TCP_DUPTHRESH;
	ret->tcpi_last_data_sent = since_ms(t->sent_ns);
	ret->tcpi_last_data_recv = ret->tcpi_last_ack_recv = since_ms(t->heard_ns);
	ret->tcpi_delivered = segments((uint32_t)t->delivered, mss);
}

static void info_of(struct fd *f, struct tcp_info *ret)
{
	struct engine *e = world_engine();
	struct sock *s = sock_of(e, f->sock);
	struct engine_info i;

	memset(ret, 0, sizeof(*ret));
	if (!s || engine_info(e, f->sock, &i) != 0)
		return;
	ret->tcpi_state = linux_state[i.state];
	ret->tcpi_snd_wscale = i.snd_wscale & 15u;
	ret->tcpi_rcv_wscale = i.rcv_wscale & 15u;
	ret->tcpi_rto = i.rto_us;
	ret->tcpi_rtt = i.srtt_us;
	ret->tcpi_rttvar = i.rttvar_us;
	ret->tcpi_min_rtt = i.min_rtt_us;
	ret->tcpi_pmtu = i.pmtu;
	ret->tcpi_total_retrans = i.retrans_segs;
	ret->tcpi_bytes_acked = i.acked_bytes;
	ret->tcpi_bytes_received = i.received_bytes;
	ret->tcpi_bytes_sent = i.sent_bytes + i.retrans_bytes;
	ret->tcpi_bytes_retrans = i.retrans_bytes;
	ret->tcpi_segs_out = i.sent_segs;
	ret->tcpi_segs_in = i.received_segs;
	ret->tcpi_notsent_bytes = (uint32_t)i.unsent;
	if (s->tcp != NIL)
		fill_stream(e, s, &e->tcp[s->tcp], ret);
}

static int put(void *value, socklen_t *bytes, const void *what, size_t size)
{
	socklen_t n = (socklen_t)size < *bytes ? (socklen_t)size : *bytes;

	memcpy(value, what, n);
	*bytes = n;
	return 0;
}

int options_get(struct fd *f, int level, int name, void *value, socklen_t *bytes)
{
	int option = option_of(level, name);
	uint32_t v = 0;
	int err;

	if (level == SOL_TCP && name == TCP_INFO) {
		struct tcp_info info;

		info_of(f, &info);
		memset(value, 0, *bytes); /* its caller may know newer fields */
		memcpy(value, &info, min_u64(sizeof(info), *bytes));
		return 0;
	}
	/* packetdrill asks for these with each TCP_INFO. Linux says nothing, too, of CUBIC. */
	if (level == SOL_TCP && name == TCP_CC_INFO)
		return put(value, bytes, "", 0);
	if (level == SOL_SOCKET && name == SO_MEMINFO) {
		memset(value, 0, *bytes);
		return 0;
	}
	if (level == SOL_TCP && name == TCP_CONGESTION) {
		char padded[16] = "";

		err = engine_get(world_engine(), f->sock, ENGINE_TCP_CONGESTION, &v);
		if (err == 0)
			(void)snprintf(padded, sizeof(padded), "%s", cc_names[v]);
		return err ? err : put(value, bytes, padded, sizeof(padded));
	}
	if (level == SOL_TCP && name == TCP_NOTSENT_LOWAT) {
		v = f->lowat;
	} else if (level == SOL_SOCKET && (name == SO_SNDBUF || name == SO_RCVBUF)) {
		uint32_t asked = name == SO_SNDBUF ? f->sndbuf : f->rcvbuf;

		/* Linux says twice what was asked for. */
		err = engine_get(world_engine(), f->sock,
				 name == SO_SNDBUF ? ENGINE_SO_SNDBUF : ENGINE_SO_RCVBUF, &v);
		if (err != 0)
			return err;
		v = asked ? 2 * asked : v;
	} else if (level == SOL_SOCKET && name == SO_REUSEADDR) {
		v = f->reuseaddr;
	} else if (option < 0) {
		return -ENOPROTOOPT;
	} else {
		err = engine_get(world_engine(), f->sock, (enum engine_option)option, &v);
		if (err != 0)
			return err;
	}
	return put(value, bytes, &v, sizeof(v));
}
