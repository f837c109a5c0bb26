/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena.h - Sealed shared memory: making it, checking it, mapping it.
 */
#ifndef MORTISE_SHM_ARENA_H
#define MORTISE_SHM_ARENA_H

#include "shm/abi.h"

/**
 * arena_fd_create() - Make a sealed memfd of mode 0600.
 * @name:  For /proc/PID/maps.
 * @bytes: Its size, for ever (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL).
 *
 * Return: A close-on-exec descriptor or -errno.
 */
int arena_fd_create(const char *name, uint64_t bytes);

/**
 * arena_fd_check() - See that a descriptor from someone else is such a memfd.
 * Return: 0 or -EPROTO.
 */
int arena_fd_check(int fd, uint64_t bytes);

/** arena_fd_readonly() - A read-only descriptor of the same memfd, or -errno. */
int arena_fd_readonly(int fd);

/**
 * arena_map() - Map a whole memfd, shared, left out of core dumps.
 * @fd: May be closed afterwards.
 * Return: Its base, or NULL with errno set.
 */
void *arena_map(int fd, uint64_t bytes, bool writable);
void arena_unmap(void *base, uint64_t bytes);

/**
 * arena_reserved_changes - Told before a mapping is made and after one is
 * gone: a process under RLIMIT_AS makes room, since nobody there asked for
 * reservations of this size. NULL: nobody is told.
 */
extern void (*arena_reserved_changes)(void);
/** arena_reserved_bytes() - Address space that arena_map() has taken. */
uint64_t arena_reserved_bytes(void);

static inline struct arena_hdr *arena_hdr(void *base)
{
	return (struct arena_hdr *)base;
}
static inline struct half *arena_half(void *base, unsigned slot)
{
	return (struct half *)(void *)((char *)base + ARENA_OFF_HALVES) + slot;
}
static inline unsigned arena_slot(void *base, const struct half *h)
{
	return (unsigned)(h - arena_half(base, 0));
}
static inline _Atomic uint64_t *arena_handles(void *base)
{
	return (_Atomic uint64_t *)(void *)((char *)base + ARENA_OFF_HANDLES);
}
/** arena_seat_locks() - By seat index: the thread that accepts there, or makes the
 * seat anew, where several processes do; as half.tx_lock. */
static inline _Atomic uint32_t *arena_seat_locks(void *base)
{
	return (_Atomic uint32_t *)(void *)((char *)base + ARENA_OFF_LOCKS);
}

static inline _Atomic uint64_t *arena_seats(void *base)
{
	return (_Atomic uint64_t *)(void *)((char *)base + ARENA_OFF_SEATS);
}
static inline struct ksock *arena_ksocks(void *base)
{
	return (struct ksock *)(void *)((char *)base + ARENA_OFF_KSOCK);
}

#endif
