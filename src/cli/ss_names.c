// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "cli/ss_names.h"

enum { HOSTS_KEPT = 64, HOST_MAX = 64 };

void ss_names_port(uint16_t port, const char *netid, bool numeric, char *ret, size_t size)
{
	const struct servent *s = numeric || !port ? NULL : getservbyport(htons(port), netid);

	if (!port)
		snprintf(ret, size, "*");
	else if (s)
		snprintf(ret, size, "%s", s->s_name);
	else
		snprintf(ret, size, "%u", port);
}

/** host_name() - Return: "" where it has none. Kept, as look-ups may be slow. */
static const char *host_name(const uint8_t ip[16])
{
	static struct {
		uint8_t ip[16];
		char name[HOST_MAX];
	} kept[HOSTS_KEPT];
	static unsigned used;
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	unsigned at = used % HOSTS_KEPT;
	int err;

	for (unsigned i = 0; i < used && i < HOSTS_KEPT; i++) {
		if (!memcmp(kept[i].ip, ip, 16))
			return kept[i].name;
	}
	used++;
	memcpy(kept[at].ip, ip, 16);
	memcpy(&v6.sin6_addr, ip, 16);
	memcpy(&v4.sin_addr, ip + 12, 4);
	if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
		err = getnameinfo((const struct sockaddr *)&v4, sizeof(v4), kept[at].name, HOST_MAX,
				  NULL, 0, NI_NAMEREQD);
	else
		err = getnameinfo((const struct sockaddr *)&v6, sizeof(v6), kept[at].name, HOST_MAX,
				  NULL, 0, NI_NAMEREQD);
	if (err)
		kept[at].name[0] = 0;
	return kept[at].name;
}

void ss_names_host(const uint8_t ip[16], const char *text, bool resolve, char *ret, size_t size)
{
	static const uint8_t any4[16] = { [10] = 0xff, [11] = 0xff }, any6[16];
	const char *name = "";

	if (resolve && memcmp(ip, any4, 16) != 0 && memcmp(ip, any6, 16) != 0)
		name = host_name(ip);
	if (*name)
		snprintf(ret, size, "%s", name);
	else /* A colon in the address must not look like the port's. */
		snprintf(ret, size, strchr(text, ':') ? "[%s]" : "%s", text);
}
