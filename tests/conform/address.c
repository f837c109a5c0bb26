/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <string.h>

#include "address.h"

const char *const address_names[ADDR6_COUNT] = {
	"::", "::1", "::ffff:127.0.0.1", "::ffff:127.0.0.2", "::ffff:0.0.0.0",
	"ff02::1:3", "2001:db8::1",
};

socklen_t address_make(union address *a, int64_t ip, int64_t port)
{
	memset(a, 0, sizeof(*a));
	if (ip >= ADDR6 && ip < ADDR6 + ADDR6_COUNT) {
		a->v6.sin6_family = AF_INET6;
		a->v6.sin6_port = htons((uint16_t)port);
		inet_pton(AF_INET6, address_names[ip - ADDR6], &a->v6.sin6_addr);
		return sizeof(a->v6);
	}
	a->v4.sin_family = AF_INET;
	a->v4.sin_port = htons((uint16_t)port);
	a->v4.sin_addr.s_addr = htonl((uint32_t)ip);
	return sizeof(a->v4);
}

void address_say(struct outcome *out, const char *what, const union address *a,
			socklen_t len)
{
	char ip[INET6_ADDRSTRLEN];

	worker_say(out, " %s=", what);
	if (len >= sizeof(a->v4) && a->sa.sa_family == AF_INET)
		worker_say(out, "%s:@%u@", inet_ntop(AF_INET, &a->v4.sin_addr, ip, sizeof(ip)),
			   ntohs(a->v4.sin_port));
	else if (len >= sizeof(a->v6) && a->sa.sa_family == AF_INET6)
		worker_say(out, "%s:@%u@", inet_ntop(AF_INET6, &a->v6.sin6_addr, ip, sizeof(ip)),
			   ntohs(a->v6.sin6_port));
	else
		worker_say(out, "family %d", len ? a->sa.sa_family : 0);
	if (len != (a->sa.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4)))
		worker_say(out, " len=%u", len);
	if (len >= sizeof(a->v6) && a->sa.sa_family == AF_INET6 &&
	    (a->v6.sin6_scope_id || a->v6.sin6_flowinfo))
		worker_say(out, " scope=%u flow=%u", a->v6.sin6_scope_id, a->v6.sin6_flowinfo);
}
