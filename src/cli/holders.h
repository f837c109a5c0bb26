/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * holders.h - Which processes hold a socket, under which descriptors: all of
 * them, after a fork too.
 */
#ifndef MORTISE_CLI_HOLDERS_H
#define MORTISE_CLI_HOLDERS_H

#include "cli/ss_row.h"

/**
 * struct holder_key - The handle of a row, as the kernel knows it.
 * @inode: Of the program's end.
 * @party, @handle: Its name in the domain.
 */
struct holder_key {
	uint64_t inode;
	uint32_t party, handle;
};

/**
 * holders_fill() - Set @users of each row, from the kernel's own tables. A
 * row whose holders cannot be found keeps what the daemon said.
 * @proc: "/proc"; tests have another.
 * @keys: From holders_handles(); sorted here.
 */
void holders_fill(const char *proc, struct holder_key *keys, size_t nkeys, struct ss_row *rows,
		  size_t n);

/**
 * holders_handles() - All handles of a domain in this network namespace.
 * @ret: The caller frees it; sorted by nothing.
 * Return: How many; 0 too where the kernel does not say (no unix_diag).
 */
size_t holders_handles(const char *domain, struct holder_key **ret);

/**
 * holders_name() - Take "\0mortise/NETNS/DOMAIN/PARTY/HANDLE[/...]" apart.
 * @name: The kernel's, @len bytes, not terminated.
 */
bool holders_name(const char *name, size_t len, uint64_t netns, const char *domain,
		  struct holder_key *ret);

#endif
