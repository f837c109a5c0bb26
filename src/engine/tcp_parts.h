/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_parts.h - What TCP's files ask of each other. Each group is defined in
 * the file that it is named after.
 */
#ifndef MORTISE_ENGINE_TCP_PARTS_H
#define MORTISE_ENGINE_TCP_PARTS_H

#include "engine/state.h"
#include "engine/tcp_conn.h"

#define TCP_MSS_DEFAULT 536u /* RFC 9293 3.7.1, MUST-15 */
#define TCP_CWND_MAX (1u << 30)
#define TCP_RTO_MIN_US 200000u
#define TCP_RTO_MAX_US 60000000u
#define TCP_RTO_INIT_US 1000000u
#define TCP_DELACK_NS (40 * NS_MSEC)	/* RFC 9293 3.8.6.3: below 0.5 s */
#define TCP_OVERRIDE_NS (200 * NS_MSEC) /* RFC 9293 3.8.6.2.1: 0.1 to 1 s */
#define TCP_RETRIES 15u			/* R2: some 15 minutes */
#define TCP_R1 3u /* retransmissions after which it may be the way, or a hard error was one */
#define TCP_SYN_RETRIES 7u /* R2 of SYN: 4 minutes; RFC 9293 3.8.3, MUST-23: 3 at least */
#define TCP_SYNACK_RETRIES 5u
#define TCP_FIN2_NS (60 * NS_SEC)
#define TCP_BUF_START 131072u
#define TCP_DUPTHRESH 3u

static inline uint32_t seg_bytes(const struct tcp_seg *s)
{
	return s->end - s->seq;
}

/* ------------------------------------------------------------ tcp_conn.c */

/** tcp_has_room() - There is a place for one more connection, where one in TIME-WAIT makes it. */
bool tcp_has_room(struct engine *e);

/** tcp_new() - A connection that is in no table yet but its own; NULL: there is no room. */
struct tcp *tcp_new(struct engine *e, uint32_t laddr, uint16_t lport, uint32_t raddr,
		    uint16_t rport);
struct tcp *tcp_find(struct engine *e, uint32_t laddr, uint16_t lport, uint32_t raddr,
		     uint16_t rport);

/** tcp_inherit() - Options of the sock. */
void tcp_inherit(struct tcp *t, const struct sock *s);

/** tcp_route() - Find the next hop and the MTU. Return: 0, -ENETUNREACH. */
int tcp_route(struct engine *e, struct tcp *t);

/** tcp_offered_mss() - What our SYN says: by the interface's MTU, and ENGINE_TCP_MAXSEG, or 0. */
uint16_t tcp_offered_mss(const struct engine *e, uint32_t user_mss);

/** tcp_sync_mss() - The MSS from the peer's option, the path and the user. */
void tcp_sync_mss(const struct engine *e, struct tcp *t);

/**
 * tcp_done() - The connection is over. The user hears of it: by @error, or by the end.
 * What was received stays readable as long as the sock is there.
 */
void tcp_done(struct engine *e, struct tcp *t, int error);

/** tcp_time_wait() - Enter TIME-WAIT, or begin it anew. */
void tcp_time_wait(struct engine *e, struct tcp *t);

/** tcp_wake() - It may have something to send. */
void tcp_wake(struct engine *e, struct tcp *t);

/** tcp_tell_room() - The user hears of it where there is room to send again. */
void tcp_tell_room(struct engine *e, struct tcp *t);

/** tcp_tell() - The user hears of @events. */
void tcp_tell(struct engine *e, struct tcp *t, uint32_t events);

/** tcp_too_long() - Packets of @packet_bytes do not get through; @said: what does, 0: unknown. */
void tcp_too_long(struct engine *e, struct tcp *t, uint32_t packet_bytes, uint32_t said);

/** tcp_black_hole() - Timeout follows timeout: perhaps large packets vanish (RFC 2923 2.1, RFC
 * 4821 7.7): this connection's are smaller from now on. */
void tcp_black_hole(struct engine *e, struct tcp *t);

/** tcp_iss() - An initial sequence number (RFC 6528). tcp_ts_offset() - Where the clock of
 * timestamps begins. */
uint32_t tcp_iss(const struct engine *e, uint32_t laddr, uint16_t lport, uint32_t raddr,
		 uint16_t rport);
uint32_t tcp_ts_offset(const struct engine *e, uint32_t laddr, uint32_t raddr);
uint32_t tcp_ts_now(const struct engine *e, uint32_t offset);

/** tcp_wscale_for() - The scale with which a window of @bytes can be said. */
uint8_t tcp_wscale_for(uint32_t bytes);

/* ------------------------------------------------------------ tcp_seg.c: what is in flight */

/** seg_new() - Note that [seq, end) is sent now, behind all else. NULL: there is no room. */
struct tcp_seg *seg_new(struct engine *e, struct tcp *t, uint32_t seq, uint32_t end, uint8_t flags);

/** seg_resent() - It is sent again, now. */
void seg_resent(struct engine *e, struct tcp *t, struct tcp_seg *s);
void seg_free(struct engine *e, struct tcp *t, struct tcp_seg *s);
void seg_free_all(struct engine *e, struct tcp *t);

/** seg_split() - Cut at @bytes. Return: false: there is no room for the second half. */
bool seg_split(struct engine *e, struct tcp *t, struct tcp_seg *s, uint32_t bytes);

/** seg_trim() - Everything before @una is acknowledged. */
void seg_trim(struct tcp *t, struct tcp_seg *s, uint32_t una);
void seg_mark_lost(struct engine *e, struct tcp *t, struct tcp_seg *s);
void seg_mark_sacked(struct engine *e, struct tcp *t, struct tcp_seg *s);

/** seg_unmark_lost() - Nothing was lost: what is not retransmitted is in flight. */
void seg_unmark_lost(struct engine *e, struct tcp *t);
struct tcp_seg *seg_first(const struct engine *e, const struct tcp *t);
struct tcp_seg *seg_last(const struct engine *e, const struct tcp *t);
struct tcp_seg *seg_next(const struct engine *e, const struct tcp_seg *s);
struct tcp_seg *seg_previous(const struct engine *e, const struct tcp_seg *s);

/** tcp_pipe() - Octets in flight (RFC 6675 4). */
uint32_t tcp_pipe(const struct tcp *t);

/* ------------------------------------------------------------ tcp_ooo.c: what comes behind a gap
 */

/**
 * ooo_insert() - Note that [start, end), behind rcv_nxt, has come.
 * @ret_dup: Set where all of it was there already.
 *
 * Return: false: there is no room to note it.
 */
bool ooo_insert(struct engine *e, struct tcp *t, uint32_t start, uint32_t end, bool *ret_dup);

/** ooo_absorb() - rcv_nxt has moved: ranges that it reached move it further. Return: octets. */
uint32_t ooo_absorb(struct engine *e, struct tcp *t);

/** ooo_highest() - One past the last octet that came; rcv_nxt without gaps. */
uint32_t ooo_highest(const struct engine *e, const struct tcp *t);
void ooo_drop(struct engine *e, struct tcp *t);

/** ooo_sack() - Fill the SACK option: at most @max blocks (RFC 2018 4, RFC 2883 4). The DSACK is
 * then said. */
void ooo_sack(const struct engine *e, const struct tcp *t, struct tcp_header *h, unsigned max);

/* ------------------------------------------------------------ tcp_lend.c */

/** lend_data() - Leave octets at rcv_tail, for which the ring has room, in their frame. Return:
 * false: they are to go into the ring. */
bool lend_data(struct engine *e, const struct tcp *t, const uint8_t *octets, uint32_t bytes);

/** lend_get() - What lies at rcv_head, in the frame or in the ring. */
void lend_get(const struct engine *e, const struct tcp *t, void *room, size_t bytes);

/* ------------------------------------------------------------ tcp_keep.c */

/** keep_may() - May octets be sent that are not in the ring? */
bool keep_may(const struct engine *e, const struct tcp *t);

/** keep_acked() - snd_base has moved. */
void keep_acked(struct engine *e, struct tcp *t);

/** keep_frame() - Of the @bytes at @position, the last, which the user has: into @f. Return: how
 * many are in the ring. */
uint32_t keep_frame(const struct engine *e, const struct tcp *t, uint64_t position, uint32_t bytes,
		    struct engine_frame *f);

/* ------------------------------------------------------------ tcp_ack.c: what an ACK does */

/** struct ack - What one ACK brought. Octets. */
struct ack {
	uint32_t una_before, fack_before;
	uint32_t acked;	    /* cumulatively */
	uint32_t delivered; /* newly acknowledged or SACKed */
	uint32_t told;	    /* of @acked, without SACK: what duplicates had told of before */
	uint32_t rtt_us;    /* of a segment that was sent once; 0: none */
	uint32_t ts_echo;   /* 0: none */
	bool dsack, sacked, lost;
	bool dsack_tlp; /* the DSACK is for the loss probe */
	bool original;	/* something that was sent once, before recovery began, has arrived */
};

/** tcp_ack() - An acceptable ACK. @bytes: of the segment's data. */
void tcp_ack(struct engine *e, struct tcp *t, const struct tcp_header *h, uint32_t bytes);

/** rate_begin() - A round trip begins, by whose ACK the delivery rate is measured: that of what was
 * sent up to now. */
void rate_begin(const struct engine *e, struct tcp *t);

/* ------------------------------------------------------------ tcp_sack.c: what the peer SACKs */

void sack_input(struct engine *e, struct tcp *t, const struct tcp_header *h, struct ack *a);

/* ------------------------------------------------------------ tcp_rack.c (RFC 8985) */

/** rack_delivered() - @s was acknowledged or SACKed: before its marks change. */
void rack_delivered(struct engine *e, struct tcp *t, const struct tcp_seg *s, const struct ack *a);

/** rack_detect() - Mark what has been lost; sets the reordering timer. Return: something was. */
bool rack_detect(struct engine *e, struct tcp *t);

/** rack_dsack_round() - Adapt the reordering window to a DSACK, and to the end of a recovery. */
void rack_dsack(struct tcp *t);
void rack_recovered(struct tcp *t);

/** tlp_arm() - Set the loss probe's timer, where one is wanted. tlp_ack() - Judge what became of
 * it. */
void tlp_arm(struct engine *e, struct tcp *t);
void tlp_ack(struct engine *e, struct tcp *t, uint32_t ack_no, const struct ack *a);

/* ------------------------------------------------------------ tcp_recovery.c */

void recovery_enter(struct engine *e, struct tcp *t);
void recovery_timeout(struct engine *e, struct tcp *t);

/** recovery_ack() - An ACK during recovery, or one that found losses: what cwnd is to be. */
void recovery_ack(struct engine *e, struct tcp *t, const struct ack *a);

/** recovery_rescue() - The segment to send once a recovery where nothing else can go (RFC 6675 4,
 * NextSeg, rule 4); NULL: none. */
struct tcp_seg *recovery_rescue(const struct engine *e, const struct tcp *t);

/** recovery_probe_lost() - A loss probe repaired a loss: once less, as in recovery. */
void recovery_probe_lost(struct engine *e, struct tcp *t);

/* ------------------------------------------------------------ tcp_cc.c, tcp_reno.c, tcp_cubic.c */

/**
 * struct tcp_cc - A congestion control. Windows in octets.
 * @ssthresh: What it goes down to after a loss; may note where it was.
 * @grow:     In congestion avoidance, @acked octets were acknowledged.
 * @undo:     The last loss was none.
 * @pacing:   Octets a second at which data go; NULL, or PACE_NONE: as the window allows.
 */
struct tcp_cc {
	const char *name;
	uint32_t (*ssthresh)(struct engine *e, struct tcp *t);
	void (*grow)(struct engine *e, struct tcp *t, uint32_t acked);
	void (*undo)(struct engine *e, struct tcp *t);
	void (*timeout)(struct engine *e, struct tcp *t);
	uint64_t (*pacing)(const struct tcp *t);
};

extern const struct tcp_cc tcp_reno, tcp_cubic;
const struct tcp_cc *cc_of(const struct tcp *t);

/** cc_start() - The initial window (RFC 6928). cc_acked() - Open the window. cc_idle() - It was
 * idle (RFC 5681 4.1). */
void cc_start(struct tcp *t);
void cc_acked(struct engine *e, struct tcp *t, const struct ack *a);
void cc_idle(const struct engine *e, struct tcp *t);
uint32_t cc_initial_window(uint32_t mss);

/** hystart_ack() - Slow start's ACK (RFC 9406). Return: by how much cwnd may grow. */
uint32_t hystart_ack(struct tcp *t, uint32_t acked, uint32_t rtt_us);
void hystart_reset(struct tcp *t);

/* ------------------------------------------------------------ tcp_pace.c */

#define PACE_NONE UINT32_MAX /* as SO_MAX_PACING_RATE has it */

/** pace_rate() - Octets a second, or PACE_NONE. */
uint64_t pace_rate(const struct tcp *t);

/** pace_holds() - Have data to wait now? Then pace_rest() sets the timer, and says so. */
bool pace_holds(const struct engine *e, struct tcp *t);
void pace_sent(const struct engine *e, struct tcp *t, uint32_t bytes);
bool pace_rest(struct engine *e, struct tcp *t);

/* ------------------------------------------------------------ tcp_timer.c */

void timer_set(struct engine *e, struct tcp *t, enum tcp_timer which, uint64_t due_ns);
void timer_cancel(struct tcp *t, enum tcp_timer which);

/** rtt_sample() - RFC 6298 2. */
void rtt_sample(const struct engine *e, struct tcp *t, uint32_t rtt_us);

/** rto_arm() - The retransmission timer for what is in flight, from now. */
void rto_arm(struct engine *e, struct tcp *t);
uint64_t rto_ns(const struct tcp *t);

/** timer_not_sent() - There was no way to send it: @error. Later again; too often: it is over. */
void timer_not_sent(struct engine *e, struct tcp *t, int error);
void keep_arm(struct engine *e, struct tcp *t);

/* ------------------------------------------------------------ tcp_output.c */

/** tcp_reply() - A segment without data and without a connection's help, as a datagram. */
void tcp_reply(struct engine *e, uint32_t laddr, uint32_t raddr, const struct tcp_header *h);

/** tcp_refuse() - RST to a segment (RFC 9293 3.10.7.1). @bytes: of its data. */
void tcp_refuse(struct engine *e, const struct ip_in *in, const struct tcp_header *h, size_t bytes);

/** tcp_send_rst() - RST to the connection's peer. */
void tcp_send_rst(struct engine *e, struct tcp *t);

/** tcp_window() - What the window field is to say, and rcv_adv moved by it. */
uint16_t tcp_window(struct tcp *t);
/** tcp_window_now() - Octets that the peer may still send. tcp_window_could() - By which it could
 * open now. */
uint32_t tcp_window_now(const struct tcp *t);
uint32_t tcp_window_could(const struct tcp *t);
uint32_t tcp_unsent(const struct tcp *t);
uint32_t tcp_data_max(const struct tcp *t);

/* ------------------------------------------------------------ tcp_urgent.c */

/** urgent_wanted() - All that the user has written is urgent up to its last octet. */
void urgent_wanted(struct engine *e, struct tcp *t);

/** urgent_unsent() - Something urgent has not been sent even once. */
bool urgent_unsent(const struct tcp *t);

/** urgent_stamp() - URG and the pointer, where @h, whose seq is set, is to have them. */
void urgent_stamp(const struct tcp *t, struct tcp_header *h);

/** urgent_input() - What a segment that is acceptable says: before its data are taken. */
void urgent_input(struct engine *e, struct tcp *t, const struct tcp_header *h);

/** urgent_limit() - Octets that one read may take at most. */
uint64_t urgent_limit(const struct tcp *t);

/* ------------------------------------------------------------ tcp_conn.c */

/** tcp_ring_room() - How many of @bytes the send ring has room for, behind what it has; made
 * larger where it has to be. */
uint32_t tcp_ring_room(struct engine *e, struct tcp *t, uint32_t bytes);

/** tcp_received() - The reader has @bytes more: the window may open. */
void tcp_received(struct engine *e, struct tcp *t, size_t bytes);

/* ------------------------------------------------------------ tcp_input.c */

/** tcp_is_next() - Is it @bytes of data next in line, in the window, and nothing else but an ACK
 * that changes nobody's state? Then there is room for them in the ring. */
bool tcp_is_next(struct engine *e, struct tcp *t, const struct tcp_header *h, uint32_t bytes);

/** tcp_segment() - A segment for a connection in a synchronized state, or SYN-RECEIVED. */
void tcp_segment(struct engine *e, struct tcp *t, const struct ip_in *in, struct tcp_header *h,
		 struct cursor data);

/** tcp_challenge() - An ACK to something suspicious (RFC 5961 7), at a limited rate. */
void tcp_challenge(struct engine *e, struct tcp *t);

/* ------------------------------------------------------------ tcp_syn.c */

struct syn *syn_find(struct engine *e, uint32_t laddr, uint16_t lport, uint32_t raddr,
		     uint16_t rport);

/** syn_listen() - A segment for a listener. @floor: the initial sequence number is to be above;
 * NULL: any. */
void syn_listen(struct engine *e, struct sock *l, const struct ip_in *in, struct tcp_header *h,
		struct cursor data, const uint32_t *floor);
void syn_input(struct engine *e, struct syn *y, const struct ip_in *in, struct tcp_header *h,
	       struct cursor data);

/** syn_heard_error() - tcp_heard_error() for a half-open one. */
bool syn_heard_error(struct engine *e, uint32_t laddr, uint16_t lport, uint32_t raddr,
		     uint16_t rport, const struct tcp_error *error);

/** syn_drop_all() - The listener goes. */
void syn_drop_all(struct engine *e, struct sock *l);

#endif
