/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ss_rows.h - Rows for tests: of a stream on 127.0.0.1, as the daemon says it.
 * Behind cmocka.h.
 */
#ifndef MORTISE_TESTS_UNIT_SS_ROWS_H
#define MORTISE_TESTS_UNIT_SS_ROWS_H

#include <string.h>

#include "cli/ss_row.h"
#include "shm/abi.h"

#define LOOPBACK 0x7f000001u

static inline struct ctl_msg message(uint32_t state, uint16_t local, uint16_t remote)
{
	struct ctl_msg m = { .type = CTL_LIST | CTL_REPLY };

	m.row.state = state;
	m.row.local = addr_word_make(LOOPBACK, local);
	m.row.remote = remote ? addr_word_make(LOOPBACK, remote) : 0;
	m.row.pid = 12;
	m.row.fd = 7;
	m.row.uid = 1000;
	m.row.tx_bytes = 100;
	m.row.rx_bytes = 2000;
	strcpy(m.row.comm, "redis-server");
	return m;
}

static inline struct ss_row row(uint32_t state, uint16_t local, uint16_t remote)
{
	struct ctl_msg m = message(state, local, remote);
	struct ss_row r;

	assert_true(ss_row_make(&m, &r));
	return r;
}

#endif
