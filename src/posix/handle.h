/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handle.h - Handles: the kernel descriptors that programs hold for our
 * sockets. Fetched in batches, used again while they were never shared.
 */
#ifndef MORTISE_POSIX_HANDLE_H
#define MORTISE_POSIX_HANDLE_H

#include "base/defs.h"

/**
 * handle_take() - A handle that nobody else has.
 * @ret_number: Its handle number.
 * Return: A descriptor in the library's own range, or -errno.
 */
long handle_take(uint32_t *ret_number);

/** handle_give() - Back to the pool; closed where it may have been shared.
 * @epoch: process.epoch when its socket was made. */
void handle_give(int fd, uint32_t number, uint32_t epoch);

/** handle_park() - Keep a duplicate of @fd in the library's own range, in
 * *@parked where that is -1: of two threads that close, one keeps it. */
void handle_park(int fd, int *parked);

/** handle_stop() - Nobody has a new one until handle_go_on(): the pool is whole while a
 * child is made, and no socket is made while a program is executed. */
void handle_stop(void);
void handle_go_on(void);
/** handle_fork_child() - Close the copies of the parent's pool. */
void handle_fork_child(void);

#endif
