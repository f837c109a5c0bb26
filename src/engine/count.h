/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * count.h - What the engine counts: each drop by its reason, and some of what goes well.
 */
#ifndef MORTISE_ENGINE_COUNT_H
#define MORTISE_ENGINE_COUNT_H

#include "wire/fault.h"

/* X(constant, name): ETH_, ARP_, IP_ ... _FAULT_0 begin a row with a counter for each enum
 * wire_fault. */
#define ENGINE_COUNTS(X) \
	X(FRAMES_IN, "frames-in") \
	X(FRAMES_OUT, "frames-out") \
	X(ETH_NOT_FOR_US, "eth-not-for-us") \
	X(ETH_TYPE_UNKNOWN, "eth-type-unknown") \
	X(ARP_CONFLICT, "arp-conflict") \
	X(ARP_NO_ROOM, "arp-no-room") \
	X(ARP_QUEUE_FULL, "arp-queue-full") \
	X(ARP_UNANSWERED, "arp-unanswered") \
	X(OFFLOAD_BAD, "offload-bad") \
	X(IP_IN, "ip-in") \
	X(IP_NOT_FOR_US, "ip-not-for-us") \
	X(IP_SOURCE_BAD, "ip-source-bad") \
	X(IP_SOURCE_ROUTE, "ip-source-route") \
	X(IP_PROTO_UNKNOWN, "ip-protocol-unknown") \
	X(IP_NO_ROUTE, "ip-no-route") \
	X(IP_NO_ROOM, "ip-no-room") \
	X(IP_TOO_LONG_FOR_DF, "ip-too-long-for-df") \
	X(IP_FRAGMENTS_OUT, "ip-fragments-out") \
	X(REASS_IN, "reassembly-fragments") \
	X(REASS_DONE, "reassembly-done") \
	X(REASS_OVERLAP, "reassembly-overlap") \
	X(REASS_LENGTH, "reassembly-length") \
	X(REASS_NO_ROOM, "reassembly-no-room") \
	X(REASS_TIMEOUT, "reassembly-timeout") \
	X(ICMP_ECHO_IN, "icmp-echo-in") \
	X(ICMP_ERRORS_IN, "icmp-errors-in") \
	X(ICMP_ERRORS_OUT, "icmp-errors-out") \
	X(ICMP_LIMITED, "icmp-limited") \
	X(ICMP_UNMATCHED, "icmp-unmatched") \
	X(ICMP_IGNORED, "icmp-ignored") \
	X(ERROR_QUEUE_FULL, "error-queue-full") \
	X(IGMP_IN, "igmp-in") \
	X(IGMP_OUT, "igmp-out") \
	X(IGMP_IGNORED, "igmp-ignored") \
	X(IGMP_GROUPS_FULL, "igmp-groups-full") \
	X(SOCK_NO_ROOM, "sockets-full") \
	X(UDP_IN, "udp-in") \
	X(UDP_NO_PORT, "udp-no-port") \
	X(UDP_CHECKSUM, "udp-checksum") \
	X(UDP_QUEUE_FULL, "udp-queue-full") \
	X(UDP_NO_ROOM, "udp-no-room") \
	X(TCP_IN, "tcp-in") \
	X(TCP_OUT, "tcp-out") \
	X(TCP_CHECKSUM, "tcp-checksum") \
	X(TCP_NOT_UNICAST, "tcp-not-unicast") \
	X(TCP_RST_OUT, "tcp-rst-out") \
	X(TCP_RST_IN, "tcp-rst-in") \
	X(TCP_NO_CONNECTION, "tcp-no-connection") \
	X(TCP_NO_ROOM, "tcp-no-room") \
	X(TCP_OUT_OF_WINDOW, "tcp-out-of-window") \
	X(TCP_BAD_ACK, "tcp-bad-ack") \
	X(TCP_PAWS, "tcp-paws") \
	X(TCP_CHALLENGE, "tcp-challenge") \
	X(TCP_CHALLENGE_LIMITED, "tcp-challenge-limited") \
	X(TCP_OOO_FULL, "tcp-out-of-order-full") \
	X(TCP_RING_FULL, "tcp-ring-full") \
	X(TCP_RETRANS, "tcp-retransmitted") \
	X(TCP_RTO, "tcp-timeouts") \
	X(TCP_TLP, "tcp-loss-probes") \
	X(TCP_UNDO, "tcp-undone") \
	X(TCP_RACK, "tcp-rack-recoveries") \
	X(TCP_BLACK_HOLE, "tcp-black-holes") \
	X(TCP_RENEGED, "tcp-sack-reneged") \
	X(SYN_QUEUE_FULL, "syn-queue-full") \
	X(SYN_ACCEPT_FULL, "syn-accept-full") \
	X(SYN_COOKIES_OUT, "syn-cookies-out") \
	X(SYN_COOKIES_IN, "syn-cookies-in") \
	X(SYN_COOKIES_BAD, "syn-cookies-bad") \
	X(SYN_TIMEOUT, "syn-timeout") \
	X(SYN_UNREACHABLE, "syn-unreachable") \
	X(TIME_WAIT_REUSED, "time-wait-reused") \
	X(TIME_WAIT_CUT, "time-wait-cut-short")

#define ENGINE_COUNT_ENUM(name, text) COUNT_##name,
enum engine_count {
	ENGINE_COUNTS(ENGINE_COUNT_ENUM) COUNT_ETH_FAULT,
	COUNT_ARP_FAULT = COUNT_ETH_FAULT + WIRE_FAULTS,
	COUNT_IP_FAULT = COUNT_ARP_FAULT + WIRE_FAULTS,
	COUNT_ICMP_FAULT = COUNT_IP_FAULT + WIRE_FAULTS,
	COUNT_IGMP_FAULT = COUNT_ICMP_FAULT + WIRE_FAULTS,
	COUNT_UDP_FAULT = COUNT_IGMP_FAULT + WIRE_FAULTS,
	COUNT_TCP_FAULT = COUNT_UDP_FAULT + WIRE_FAULTS,
	ENGINE_COUNT_MAX = COUNT_TCP_FAULT + WIRE_FAULTS
};
#undef ENGINE_COUNT_ENUM

#endif
