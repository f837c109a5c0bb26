/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "posix/addr.h"

#define LOOPBACK_NET 127u

long addr_parse(const struct sockaddr *addr, socklen_t len, addr_word *ret)
{
	struct sockaddr_in in;

	if (len < sizeof(in))
		return -EINVAL;
	if (!addr)
		return -EFAULT;
	memcpy(&in, addr, sizeof(in));
	if (in.sin_family != AF_INET)
		return -EAFNOSUPPORT;
	*ret = addr_word_make(ntohl(in.sin_addr.s_addr), ntohs(in.sin_port));
	return 0;
}

long sock_addr_fill(addr_word w, struct sockaddr *addr, socklen_t *len)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t room;

	if (!len)
		return -EFAULT;
	room = *len;
	if ((int)room < 0)
		return -EINVAL;
	in.sin_addr.s_addr = htonl(addr_word_addr(w));
	in.sin_port = htons(addr_word_port(w));
	if (room > sizeof(in))
		room = sizeof(in);
	if (room)
		memcpy(addr, &in, room);
	*len = sizeof(in);
	return 0;
}

bool addr_is_loopback(uint32_t addr)
{
	return addr >> 24 == LOOPBACK_NET;
}
