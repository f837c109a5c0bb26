/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp.h - What a connection is made of.
 *
 * Sequence numbers are uint32_t and compared by seq_lt() and its kin; ring
 * positions are uint64_t and never wrap. The octet with sequence number
 * iss + 1 is at position 0 of the send ring, that of irs + 1 at position 0 of
 * the receive ring.
 */
#ifndef MORTISE_ENGINE_TCP_H
#define MORTISE_ENGINE_TCP_H

#include "base/ilist.h"
#include "engine/slab.h"
#include "engine/ring.h"
#include "wire/tcp.h"

static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_leq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static inline bool seq_gt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static inline bool seq_geq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) >= 0;
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
	return seq_gt(a, b) ? a : b;
}

static inline uint32_t seq_min(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? a : b;
}

/* As enum engine_tcp_state. */
enum tcp_state {
	TCP_CLOSED,
	TCP_LISTEN,
	TCP_SYN_SENT,
	TCP_SYN_RECEIVED,
	TCP_ESTABLISHED,
	TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2,
	TCP_CLOSE_WAIT,
	TCP_CLOSING,
	TCP_LAST_ACK,
	TCP_TIME_WAIT,
};

/* struct tcp_seg: flags */
#define SEG_SYN 1u
#define SEG_FIN 2u
#define SEG_SACKED 4u
#define SEG_LOST 8u
#define SEG_RETRANS 16u /* its retransmission is in flight */
#define SEG_EVER 32u	/* was retransmitted, ever */
#define SEG_PUSH 64u	/* ends where the user's data did */

/**
 * struct tcp_seg - Something that was sent and is not acknowledged.
 * @order:   In tcp.sent, by sequence number, without gaps.
 * @time:    In tcp.by_time, by @sent_ns: what RACK walks. Only while it is neither SACKED nor LOST,
 *           but retransmitted ones that are in flight again are there.
 * @seq, @end: [seq, end), SYN and FIN included.
 * @sent_ns: When last sent. @first_ns: when first.
 * @rexmits: How often it was sent again.
 */
struct tcp_seg {
	struct slab_head head;
	struct ilink order, time;
	uint32_t seq, end;
	uint64_t sent_ns, first_ns;
	uint8_t flags;
	uint8_t rexmits;
};

#define OOO_RANGES 128u

struct seq_range {
	uint32_t start, end;
};

/** struct ooo - What has come behind a gap: @n ranges, ascending, none touching the next. */
struct ooo {
	struct slab_head head;
	uint32_t n;
	struct seq_range range[OOO_RANGES];
};

/**
 * struct syn - A half-open connection: a SYN has come, the ACK has not.
 * @listener, @listener_gen: The sock that it came to.
 * @iss, @irs: Ours and the peer's initial sequence number.
 * @mss, @wscale, @has: What the SYN said (TCP_HAS_ bits).
 */
struct syn {
	struct slab_head head;
	uint32_t chain;
	uint32_t listener, listener_gen;
	uint32_t laddr, raddr;
	uint16_t lport, rport;
	uint32_t iss, irs;
	uint32_t ts_recent, ts_offset;
	uint64_t sent_ns;
	uint16_t mss, window;
	uint8_t wscale, our_wscale, has, tries;
};

enum tcp_recovery { TCP_OPEN, TCP_RECOVERY, TCP_LOSS };

/* Was the timeout one too early? (RFC 5682): not asked; the first is sent again; new data are. */
enum tcp_frto { FRTO_OFF, FRTO_SENT, FRTO_NEW };

/* What the connection's one timer is to do; each has a time of its own. */
enum tcp_timer {
	TCP_TIMER_RTO,	   /* retransmit, or probe a closed window */
	TCP_TIMER_PROBE,   /* tail loss probe */
	TCP_TIMER_REORDER, /* RACK's wait for reordered segments */
	TCP_TIMER_DELACK,
	TCP_TIMER_PACE, /* data may go again */
	TCP_TIMER_KEEP,
	TCP_TIMER_ROOM, /* there may be memory for a ring again */
	TCP_TIMER_END,	/* TIME-WAIT, FIN-WAIT-2 without a user */
	TCP_TIMERS
};

/** struct cubic - CUBIC (RFC 9438). Windows in octets, times in ns. */
struct cubic {
	uint64_t epoch_ns; /* 0: begins with the next ACK */
	uint64_t k_ns;
	uint32_t w_max, w_epoch, w_est, est_acked;
	uint32_t prior_w_max, prior_ssthresh;
};

/** struct hystart - HyStart++ (RFC 9406). */
struct hystart {
	uint32_t round_end;
	uint32_t last_min_us, min_us, css_min_us;
	uint16_t samples;
	uint8_t css, css_rounds;
};

/**
 * struct tcp - A connection. Field names of RFC 9293 3.3.1 where it has one.
 *
 * @out_link:  In state.tcp_out or state.arp_wait. @wait_link: In a listener's accept queue,
 *             or in state.time_wait.
 * @chain:     In its hash bucket.
 * @sock:      The user's; NIL: nobody's any more, or not yet. @listener: in whose accept queue.
 *
 * Sending, in sequence numbers: una <= nxt. Positions: everything before @snd_tail was written by
 * the user, and what is from @snd_kept on is with him still. snd_base is the position of snd_una's
 * octet (0 while SYN is not acknowledged).
 * @out_bytes ... @wait_bytes: of segments on tcp.sent: all, SACKED, LOST, with RETRANS, LOST
 * without RETRANS.
 * @dup_bytes: without SACK: octets that duplicate ACKs say have left.
 */
struct tcp {
	struct slab_head head;
	struct ilink out_link, wait_link;
	uint32_t chain;
	uint32_t sock, listener;
	uint32_t laddr, raddr;
	uint16_t lport, rport;
	uint8_t state;
	uint8_t recovery;
	uint8_t cc;
	uint8_t ttl, tos, rcv_tos;
	uint32_t route_change, next_hop;
	uint32_t neigh; /* where the next hop was found, or anything */
	uint32_t pmtu;
	bool pmtu_discover;

	/* Ends and wishes of the user. */
	bool fin_wanted, fin_sent, fin_acked, fin_received;
	bool shut_rd, nodelay, cork, quickack, keepalive, rcvbuf_fixed, sndbuf_fixed;
	bool want_write;
	int32_t soft_error; /* what ICMP said; told when time runs out */
	int32_t hard_error; /* what ICMP said that is to end it, unless something is acknowledged */
	/* RFC 5927 7.2: the largest segment that was acknowledged; what a router said about
	 * packets of so many octets, though such have arrived: believed with the next timeout. 0
	 * octets: none did. */
	uint32_t proved, said_mtu, said_bytes;
	uint32_t hole_mtu; /* larger packets seem to vanish; 0: it does not seem so */

	/* Send sequence space. */
	uint32_t snd_sml; /* end of the newest segment that was not full */
	uint32_t iss, snd_una, snd_nxt, snd_wnd, snd_wl1, snd_wl2, max_wnd;
	struct ring snd;
	uint64_t snd_base, snd_tail, snd_kept; /* kept: what is not in the ring begins there */
	/* Position behind what the user wrote and means to be read; and that more is to come. */
	uint64_t snd_push;
	bool more;
	uint64_t snd_up; /* position behind the last urgent octet; 0: there never was one */
	uint32_t sndbuf, sndbuf_max;
	struct ilist sent, by_time;
	uint32_t out_bytes, sacked_bytes, lost_bytes, retrans_bytes, wait_bytes, dup_bytes;
	uint32_t dupacks;
	uint8_t snd_wscale, rcv_wscale;
	bool sack_ok, ts_ok, wscale_ok;
	uint32_t mss;	   /* of data, at most, without options: EffSnd.MSS of RFC 9293 3.7.1 plus
			      options */
	uint32_t peer_mss; /* the peer's option, or 536 */
	uint32_t user_mss;

	/* Receive sequence space. */
	uint32_t irs, rcv_nxt, rcv_adv; /* adv: right edge as last advertised */
	struct ring rcv;
	uint64_t rcv_head, rcv_tail; /* positions: next to read, rcv_nxt's octet */
	uint64_t rcv_up;	     /* position behind the last urgent octet; 0: none */
	uint32_t rcvbuf, rcvbuf_max, rcvbuf_set;
	uint32_t ooo; /* NIL: no gaps */
	uint32_t sack_recent[TCP_SACK_MAX];
	uint8_t sack_recents;
	bool dsack;
	uint32_t dsack_start, dsack_end;
	uint32_t unacked_segs;
	uint32_t rcv_mss; /* estimate of the peer's segments */
	bool ack_now;
	uint8_t dup_acks;	     /* owed besides, to a sender without SACK, who counts them */
	uint8_t quick;		     /* segments still to be acknowledged at once */
	uint64_t tune_ns, tune_head; /* receive buffer: since when, how far it was read then */

	/* Timestamps. */
	uint32_t ts_offset, ts_recent, last_ack_sent;
	uint64_t ts_recent_ns;

	/* Round trip and timers. */
	uint32_t srtt_us, rttvar_us, rto_us, min_rtt_us;
	uint64_t timer_ns[TCP_TIMERS]; /* 0: not set */
	uint8_t backoff, keep_probes;
	uint8_t unheard;     /* timeouts since something came that said the peer is there */
	bool force;	     /* send what there is, though it is a small segment */
	uint64_t min_rtt_ns; /* when min_rtt_us was measured */
	bool rto_pending;    /* the timer has fired, the segment is to go */
	bool probe_pending;
	bool keep_pending;
	bool arp_waits;	     /* out_link is in state.arp_wait */
	bool persist;	     /* the window is closed: TCP_TIMER_RTO probes it */
	uint64_t heard_ns;   /* when a segment last came */
	uint64_t stalled_ns; /* since when nothing was acknowledged; 0: nothing is in flight */
	uint32_t keep_idle_s, keep_interval_s, keep_count, user_timeout_ms;
	uint64_t challenge_ns;
	uint32_t challenges;
	uint64_t oow_ns; /* when a segment out of the window was last answered */

	/* Congestion control and recovery. */
	uint32_t cwnd, ssthresh, cwnd_acked;
	uint32_t recover; /* snd_nxt when recovery began */
	uint32_t prr_delivered, prr_out, prr_start;
	uint64_t delivered;
	bool cwnd_limited;
	uint32_t used, used_end; /* the most that was in flight, of what is sent before used_end */
	bool refused; /* what is LOST was not lost: a closed window, or a small MTU, refused it */
	uint64_t sent_ns; /* when data was last sent */
	/* Pacing: octets a second at most; no data before; something was held back. */
	uint32_t pacing_max;
	uint64_t pace_ns;
	bool paced;
	/* Delivery rate: octets a second in the last round trip; the one that goes on. */
	uint64_t rate, rate_ns, rate_delivered;
	uint32_t rate_end;
	struct cubic cubic;
	struct hystart hystart;
	uint8_t frto;
	bool rescued; /* this recovery's rescue retransmission (RFC 6675 4) has gone */
	/* What to go back to where it was all a mistake. */
	bool undo_ok;
	uint32_t undo_una, undo_cwnd, undo_ssthresh, undo_retrans;
	uint32_t undo_ts; /* our clock at the first retransmission of the episode */
	/* RACK (RFC 8985 5.2). */
	uint64_t rack_sent_ns;
	uint32_t rack_end, rack_rtt_us;
	uint32_t reo_mult, reo_persist, reo_dsack_round;
	bool reo_seen, reo_dsack;
	uint32_t rack_fack; /* highest sequence number that was SACKed or acknowledged */
	/* Tail loss probe. */
	bool tlp_out, tlp_retrans;
	uint32_t tlp_end;

	/* Figures for the user. */
	uint64_t sum_sent, sum_retrans, sum_acked, sum_received;
	uint32_t segs_out, segs_in, segs_retrans, rtos, recoveries, undos, tlps;
};

#endif
