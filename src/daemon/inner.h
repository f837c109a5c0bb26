/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inner.h - A party of the daemon's own: with a number, an arena and a mailbox
 * like any other, but for a control connection. What it leaves when a daemon
 * dies is an estate like any other; the next daemon begins a new one.
 */
#ifndef MORTISE_DAEMON_INNER_H
#define MORTISE_DAEMON_INNER_H

#include "daemon/daemon.h"

/**
 * struct inner - @id: The party's number. @bell: Its eventfd, bell 0; the only one.
 */
struct inner {
	struct daemon *d;
	struct party *p;
	unsigned id;
	int bell;
};

/** inner_open() - Return: 0, or -errno with nothing left of it. */
int inner_open(struct inner *in, struct daemon *d);

/** inner_prepare() - About to sleep: from here on its bell is rung. Return: false where there
 * are hints to take. */
bool inner_prepare(struct inner *in);
/** inner_woken() - After a sleep. */
void inner_woken(struct inner *in);
/** inner_drain() - Its bell was rung. */
void inner_drain(struct inner *in);

#endif
