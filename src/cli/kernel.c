// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/kernel.h"
#include "cli/words.h"

/**
 * hex_address() - "0100007F" or 32 digits: the kernel prints host-order words.
 * @ret_family: AF_INET or AF_INET6. @ret: 4 or 16 bytes, network order.
 */
static bool hex_address(const char *hex, int *ret_family, uint32_t ret[4])
{
	size_t len = strlen(hex);

	if (len != 8 && len != 32)
		return false;
	for (size_t i = 0; i < len / 8; i++) {
		char part[9];
		char *end;

		memcpy(part, hex + 8 * i, 8);
		part[8] = 0;
		ret[i] = (uint32_t)strtoul(part, &end, 16);
		if (*end)
			return false;
	}
	*ret_family = len == 8 ? AF_INET : AF_INET6;
	return true;
}

/** last_number() - udp's last column is its drops; tcp has none. */
static uint64_t last_number(const char *line)
{
	size_t len = strlen(line);

	while (len && (line[len - 1] == ' ' || line[len - 1] == '\n'))
		len--;
	while (len && line[len - 1] >= '0' && line[len - 1] <= '9')
		len--;
	return strtoull(line + len, NULL, 10);
}

bool kernel_line(const char *line, const char *netid, struct ss_row *ret)
{
	struct ss_row r = *ret;
	char local[33], peer[33];
	unsigned local_port, peer_port, state, uid;
	uint32_t local_ip[4], peer_ip[4];
	uint64_t tx, rx, inode;
	int family, peer_family;

	if (sscanf(line,
		   "%*s %32[0-9A-Fa-f]:%4x %32[0-9A-Fa-f]:%4x %2x %8" SCNx64 ":%8" SCNx64
		   " %*s %*s %u %*s %" SCNu64,
		   local, &local_port, peer, &peer_port, &state, &tx, &rx, &uid, &inode) != 9)
		return false;
	if (!hex_address(local, &family, local_ip) ||
	    !hex_address(peer, &peer_family, peer_ip) || family != peer_family)
		return false;
	r.family = family;
	ss_row_address(family, local_ip, 0, r.local_ip, r.local);
	ss_row_address(family, peer_ip, 0, r.peer_ip, r.peer);
	r.netid = netid;
	r.state = word_state_kernel(state);
	r.local_port = (uint16_t)local_port;
	r.peer_port = (uint16_t)peer_port;
	r.send_q = tx;
	r.recv_q = rx;
	r.uid = uid;
	r.inode = inode;
	r.drops = strcmp(netid, "udp") ? 0 : last_number(line);
	*ret = r;
	return true;
}

/** take() - @r is the kernel's socket @k. */
static void take(struct ss_row *r, const struct ss_row *k)
{
	r->netid = k->netid;
	r->state = k->state;
	r->family = k->family;
	r->drops = k->drops;
	memcpy(r->local_ip, k->local_ip, sizeof(r->local_ip));
	memcpy(r->peer_ip, k->peer_ip, sizeof(r->peer_ip));
	memcpy(r->local, k->local, sizeof(r->local));
	memcpy(r->peer, k->peer, sizeof(r->peer));
	r->local_port = k->local_port;
	r->peer_port = k->peer_port;
	r->send_q = k->send_q;
	r->recv_q = k->recv_q;
	r->uid = k->uid;
}

/** is_datagram() - A row in shared memory, with a kernel's socket under it? */
static bool is_datagram(const struct ss_row *r)
{
	return !r->inode && !strcmp(r->netid, "udp") && !strcmp(r->transport, "shm");
}

static bool same_addresses(const struct ss_row *a, const struct ss_row *b)
{
	return a->local_port == b->local_port && a->peer_port == b->peer_port &&
	       !memcmp(a->local_ip, b->local_ip, 16) && !memcmp(a->peer_ip, b->peer_ip, 16);
}

static void fill_file(const char *path, const char *netid, struct ss_row *rows, size_t n)
{
	FILE *f = fopen(path, "re");
	char line[512];

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		struct ss_row k = { 0 };

		if (!kernel_line(line, netid, &k) || !k.inode)
			continue;
		for (size_t i = 0; i < n; i++) {
			struct ss_row *r = &rows[i];

			if (r->inode == k.inode) {
				take(r, &k);
			} else if (is_datagram(r) && !strcmp(netid, "udp") &&
				   same_addresses(r, &k)) {
				r->under.count++;
				r->under.inode = k.inode;
				r->under.recv_q = k.recv_q;
				r->under.drops = k.drops;
			}
		}
	}
	fclose(f);
}

void kernel_fill(const char *proc, struct ss_row *rows, size_t n)
{
	static const char *const files[] = { "tcp", "tcp6", "udp", "udp6" };
	bool any = false;
	char path[256];

	for (size_t i = 0; i < n; i++)
		any |= rows[i].inode != 0 || is_datagram(&rows[i]);
	for (size_t i = 0; any && i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof(path), "%s/net/%s", proc, files[i]);
		fill_file(path, i < 2 ? "tcp" : "udp", rows, n);
	}
	for (size_t i = 0; i < n; i++) {
		struct ss_row *r = &rows[i];

		if (r->under.count != 1)
			continue;
		r->inode = r->under.inode;
		r->recv_q += r->under.recv_q;
		r->drops += r->under.drops;
		r->handle = 0; /* The library's; people look for the program's descriptor. */
	}
}
