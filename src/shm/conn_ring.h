/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn_ring.h - The ring under a connection, for those in this folder who put
 * something else than a byte stream into it.
 */
#ifndef MORTISE_SHM_CONN_RING_H
#define MORTISE_SHM_CONN_RING_H

#include "shm/conn.h"

/** conn_tx_refresh() - Look at the peer's head again: c->tx_head_seen.
 * Return: 0, or -ECONNRESET where it is impossible: the connection is broken then. */
int conn_tx_refresh(struct conn *c, uint64_t tail);

/** conn_tx_switch() - Go on in an extent of 2^@log2 bytes from @tail on.
 * Return: 0, or -ENOSPC with nothing changed. */
int conn_tx_switch(struct conn *c, uint64_t tail, unsigned log2);

/** conn_rx_refresh() - Look at the peer's tail again: c->rx_tail_seen.
 * Return: 0; -EAGAIN where our head is no longer @head; -ECONNRESET. */
int conn_rx_refresh(struct conn *c, uint64_t head);

/** conn_rx_piece() - The bytes at @at, before c->rx_tail_seen: how many in one
 * piece, and where. Return: 0 where there is none, or the connection is broken. */
size_t conn_rx_piece(struct conn *c, uint64_t at, const unsigned char **ret);

#endif
