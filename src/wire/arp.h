/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arp.h - ARP for IPv4 over Ethernet (RFC 826).
 */
#ifndef MORTISE_WIRE_ARP_H
#define MORTISE_WIRE_ARP_H

#include "base/cursor.h"
#include "base/emit.h"
#include "wire/eth.h"
#include "wire/fault.h"

#define ARP_BYTES 28u
#define ARP_REQUEST 1u
#define ARP_REPLY 2u

/**
 * struct arp - A packet.
 * @op:                 ARP_REQUEST or ARP_REPLY; others are parsed too.
 * @sender_ip, @target_ip: In host order. A probe (RFC 5227) has sender_ip 0.
 */
struct arp {
	uint16_t op;
	uint8_t sender[ETH_ADDR_BYTES];
	uint8_t target[ETH_ADDR_BYTES];
	uint32_t sender_ip;
	uint32_t target_ip;
};

/** arp_parse() - Return: WIRE_OK, WIRE_SHORT, or WIRE_FOREIGN for other address families. */
enum wire_fault arp_parse(struct cursor *c, struct arp *ret);

void arp_emit(struct emit *e, const struct arp *a);

#endif
