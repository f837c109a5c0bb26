/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attach.h - Sockets that go from one program image to another: by exec, or
 * with a message (SCM_RIGHTS, pidfd_getfd).
 */
#ifndef MORTISE_POSIX_ATTACH_H
#define MORTISE_POSIX_ATTACH_H

#include "posix/sock.h"

/** attach_is_handle() - Does descriptor @fd look like a handle? A hint. */
bool attach_is_handle(int fd);

/**
 * attach_fd() - Descriptor @fd came from elsewhere: where it is a handle, the
 * socket behind it is ours from now on.
 * Return: False where it is none, or where nothing can be made of it.
 */
bool attach_fd(int fd);

/** attach_put() - A socket of a party that we attached to is gone. */
void attach_put(struct party *p);

/** attach_knows() - Is a party mapped here on account of attached sockets? */
bool attach_knows(unsigned id, uint32_t gen);

/**
 * attach_give() - Before a copy of @s goes to another program image: it is
 * locked in shared memory, has ring memory, and the daemon has its eventfd and
 * shadow. Caller holds s->lock, and moves the epoch before and after.
 */
void attach_give(struct sock *s);

/** attach_give_fd() - The same for a descriptor that is about to go with a
 * message. Return: whether it is one of ours. */
bool attach_give_fd(int fd);

/** struct attach_exec - Sockets that go along with an exec, locked and with a
 * reference, in a mapping of @bytes. */
struct attach_exec {
	struct sock **socks;
	size_t count, bytes;
};

/**
 * attach_exec_before() - Before an exec: attach_give() for each socket with a
 * descriptor that is not close-on-exec, and no other thread is in the middle of
 * using one. In a section, where there are any.
 */
void attach_exec_before(struct attach_exec *x);
/** attach_exec_after() - It failed. */
void attach_exec_after(struct attach_exec *x);

/**
 * attach_spawn_before() - Before libc makes a child that executes: any of our
 * sockets may go along, close-on-exec or not. This process goes on with them.
 * Return: whether there are any.
 */
bool attach_spawn_before(void);

void attach_fork_child(void);

#endif
