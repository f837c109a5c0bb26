/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault.h - What can be wrong with a header. Every parser answers with one of
 * these, so that whoever drops a packet can count why.
 */
#ifndef MORTISE_WIRE_FAULT_H
#define MORTISE_WIRE_FAULT_H

enum wire_fault {
	WIRE_OK = 0,
	WIRE_SHORT,    /* ends inside of the header */
	WIRE_VERSION,  /* another version of the protocol */
	WIRE_LENGTH,   /* its lengths contradict each other, or what came */
	WIRE_CHECKSUM, /* the sum is wrong */
	WIRE_OPTION,   /* an option's length is impossible */
	WIRE_FOREIGN,  /* well made, but of a kind that is not spoken here */
	WIRE_FAULTS
};

#endif
