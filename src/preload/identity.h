/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * identity.h - For those who make the system call themselves.
 */
#ifndef MORTISE_PRELOAD_IDENTITY_H
#define MORTISE_PRELOAD_IDENTITY_H

/** identity_confine() - seccomp(), or prctl(PR_SET_SECCOMP). Return: 0 or -errno. */
long identity_confine(long nr, long a, long b, long c, long d, long e);

#endif
