/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kept.h - Options that all processes of a side see, and the next program.
 *
 * A socket's options are one open file's, whoever has it. What a process was
 * told stands in its private memory (options.c), where calls look; the half has
 * what all of them were told: the common ones in words, and a mark where there
 * are others. Those go along in a kernel socket that the daemon keeps.
 *
 * All but kept_is_shared(): caller holds s->lock, or is the only one to know @s.
 */
#ifndef MORTISE_POSIX_KEPT_H
#define MORTISE_POSIX_KEPT_H

#include "posix/process.h"
#include "posix/sock.h"

/** kept_note() - That option was set on @s. */
void kept_note(struct sock *s, int level, int name);

/** kept_take() - What the half says is so here, from now on. */
void kept_take(struct sock *s);

/** kept_pull() - The same where another process may have set something. */
static inline void kept_pull(struct sock *s)
{
	if (unlikely(s->foreign || load_relaxed(&s->half->shared) ||
		     s->epoch != load_acquire(&process.epoch)))
		kept_take(s);
}

/** kept_copy() - @s goes on with what @from says. */
void kept_copy(struct sock *s, const struct half *from);

/** kept_socket() - A kernel socket with the options that the half has no words
 * for. Return: its descriptor, low and close-on-exec; -1 where there are none. */
int kept_socket(struct sock *s);

/** kept_read() - The same ones, off such a socket, or off a shadow. */
void kept_read(struct sock *s, int fd);

#endif
