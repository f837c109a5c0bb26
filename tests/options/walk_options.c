/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * walk_options.c - Every number of every level, with values of every kind.
 *
 * A number that is no option is asked for and set once in each stage. One that
 * is, on either side, goes through all of the tries on a socket of its own in
 * each stage, and is read back after each that succeeded; last, a fresh socket
 * is connected after each value, to see which path it takes.
 */
#include <linux/filter.h>
#include <linux/in6.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/time.h>

#include "walk.h"

#define NUMBERS 256
#define SHOWN 12 /* bytes of a value */

static const int levels[] = { SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, IPPROTO_UDP };

/** struct try - One value to set: @len of the bytes, or an int. */
struct try {
	const char *name;
	const void *bytes;
	int number;
	socklen_t len;
};

static const struct linger linger_on = { 1, 3 }, linger_odd = { 5, -1 }, linger_off = { 0, 9 };
static const struct timeval half = { 0, 500000 }, bad_time = { 0, 1000000 }, past = { -1, 0 },
			    tiny = { 0, 1 };
static const struct in_addr loopback4 = { 0x0100007f };
static const struct ip_mreq group = { { 0x010000e0 }, { 0x0100007f } };
static const struct ip_mreqn group_n = { { 0x010000e0 }, { 0x0100007f }, 1 };
static struct sock_filter all_of_it[] = { { 0x06, 0, 0, 0xffffffff } };
static const struct sock_fprog filter = { 1, all_of_it };

#define INT(n) { "int " #n, NULL, n, sizeof(int) }
#define BYTES(what, var) { what, &(var), 0, sizeof(var) }
#define TEXT(text) { "\"" text "\"", text, 0, sizeof(text) - 1 }

/* Each option is given all: most are wrong for most. */
static const struct try tries[] = {
	INT(1), INT(0), INT(2), INT(3), INT(77), INT(64), INT(100), INT(200), INT(255), INT(256),
	INT(1000), INT(4096), INT(32767), INT(32768), INT(65535), INT(65536), INT(100000000),
	INT(0x7fffffff), INT(-1), INT(-2), INT((int)0x80000000),
	{ "len 0", "", 0, 0 }, { "len 1", "\1", 0, 1 }, { "len 2", "\1\0", 0, 2 },
	{ "len 3", "\1\0\0", 0, 3 }, { "len 8", "\1\0\0\0\0\0\0\0", 0, 8 },
	{ "len 64", "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 0, 64 },
	BYTES("linger", linger_on), BYTES("linger odd", linger_odd), BYTES("linger off", linger_off),
	BYTES("time", half), BYTES("time bad", bad_time), BYTES("time past", past),
	BYTES("time tiny", tiny), BYTES("addr", loopback4), BYTES("in6 ::1", in6addr_loopback),
	BYTES("group", group), BYTES("group n", group_n), BYTES("filter", filter),
	TEXT("lo"), TEXT("lo\0"), TEXT("no-such"), TEXT("cubic"), TEXT("reno"), TEXT("tls"),
	INT(1),
};
#define TRIES (sizeof(tries) / sizeof(tries[0]))

/* What differs from run to run, or from moment to moment: only that it came. */
static bool is_volatile(int level, int name)
{
	if (level == SOL_SOCKET)
		return name == SO_COOKIE || name == SO_MEMINFO || name == SO_INCOMING_CPU ||
		       name == SO_INCOMING_NAPI_ID || name == SO_PEERNAME || name == 71 /* SO_NETNS_COOKIE */;
	if (level == IPPROTO_IP)
		return name == 52; /* IP_PROTOCOL: of these sockets, the local port */
	return level == IPPROTO_TCP &&
	       (name == TCP_INFO || name == TCP_CC_INFO || name == TCP_TIMESTAMP ||
		name == TCP_FASTOPEN_KEY);
}

static void line(const struct kind *k, const char *stage, int level, int name, const char *what)
{
	printf("%s %s %d/%d %s = ", k->name, stage, level, name, what);
}

static int get(int fd, int level, int name, socklen_t room, unsigned char *value, socklen_t *ret)
{
	memset(value, 0xee, 512);
	*ret = room;
	return getsockopt(fd, level, name, value, ret);
}

static void say_value(int level, int name, int r, const unsigned char *value, socklen_t len)
{
	printf("%s", outcome(r));
	if (r == 0)
		printf(" len %d", (int)len);
	for (socklen_t i = 0; r == 0 && i < len && i < SHOWN && !is_volatile(level, name); i++)
		printf("%s%02x", i ? "" : " ", value[i]);
	printf("\n");
}

static void try_get(const struct kind *k, const char *stage, int fd, int level, int name,
		    socklen_t room)
{
	unsigned char value[512];
	char what[32];
	socklen_t len;
	int r;

	snprintf(what, sizeof(what), "get %d", (int)room);
	r = get(fd, level, name, room, value, &len);
	line(k, stage, level, name, what);
	say_value(level, name, r, value, len);
}

static void try_bad_get(const struct kind *k, const char *stage, int fd, int level, int name)
{
	socklen_t len = 4;
	int v = 0;

	line(k, stage, level, name, "get no length");
	printf("%s\n", outcome(getsockopt(fd, level, name, &v, NULL)));
	line(k, stage, level, name, "get length nowhere");
	printf("%s\n", outcome(getsockopt(fd, level, name, &v, nowhere)));
	line(k, stage, level, name, "get to nowhere");
	printf("%s\n", outcome(getsockopt(fd, level, name, nowhere, &len)));
}

static int set(int fd, int level, int name, const struct try *t)
{
	return setsockopt(fd, level, name, t->bytes ? t->bytes : &t->number, t->len);
}

static void try_sets(const struct kind *k, const char *stage, int fd, int level, int name)
{
	static const char what[3][16] = { "set no value", "set nowhere", "set len -1" };
	int one = 1;

	for (unsigned i = 0; i < TRIES; i++) {
		int r = set(fd, level, name, &tries[i]);

		printf("%s %s %d/%d set %s = %s", k->name, stage, level, name, tries[i].name,
		       outcome(r));
		if (r == 0) {
			socklen_t len;
			unsigned char value[512];

			printf(" then ");
			r = get(fd, level, name, 64, value, &len);
			say_value(level, name, r, value, len);
		} else {
			printf("\n");
		}
	}
	line(k, stage, level, name, what[0]);
	printf("%s\n", outcome(setsockopt(fd, level, name, NULL, sizeof(one))));
	line(k, stage, level, name, what[1]);
	printf("%s\n", outcome(setsockopt(fd, level, name, nowhere, sizeof(one))));
	line(k, stage, level, name, what[2]);
	printf("%s\n", outcome(setsockopt(fd, level, name, &one, (socklen_t)-1)));
}

/* Does a socket on which it was set stay what it would have been? */
static void try_path(const struct kind *k, int level, int name)
{
	for (unsigned i = 0; i < TRIES; i++) {
		int fd = stage_make(k, FRESH);

		if (set(fd, level, name, &tries[i]) == 0) {
			int r = stage_connect(k, fd);

			printf("%s path %d/%d set %s = %s%s\n", k->name, level, name, tries[i].name,
			       outcome(r), r == 0 && stage_is_memory(k, fd) ? " memory" : "");
		}
		close(fd);
	}
}

static bool is_option(int fd, int level, int name)
{
	unsigned char value[512];
	socklen_t len;
	int one = 1;

	if (get(fd, level, name, 4, value, &len) == 0 || (errno != ENOPROTOOPT && errno != EOPNOTSUPP))
		return true;
	return setsockopt(fd, level, name, &one, sizeof(one)) == 0 ||
	       (errno != ENOPROTOOPT && errno != EOPNOTSUPP);
}

static void walk_number(const struct kind *k, int level, int name)
{
	bool any = false;

	for (enum stage st = FRESH; st < STAGES; st++) {
		int fd;

		if (!stage_is_of(k, st))
			continue;
		/* What is none on a fresh or connected socket is looked at no more. */
		if (st > FRESH && st != CONNECTED && !any)
			continue;
		fd = stage_make(k, st);
		if (!is_option(fd, level, name)) {
			line(k, stage_names[st], level, name, "exists");
			printf("%s\n", outcome(-1));
			close(fd);
			continue;
		}
		close(fd);
		any = true;
		fd = stage_make(k, st);
		try_get(k, stage_names[st], fd, level, name, 4);
		try_get(k, stage_names[st], fd, level, name, 0);
		try_get(k, stage_names[st], fd, level, name, 1);
		try_get(k, stage_names[st], fd, level, name, 7);
		try_get(k, stage_names[st], fd, level, name, 256);
		try_get(k, stage_names[st], fd, level, name, (socklen_t)-1);
		try_bad_get(k, stage_names[st], fd, level, name);
		try_sets(k, stage_names[st], fd, level, name);
		close(fd);
	}
	if (any)
		try_path(k, level, name);
}

void walk_options(const struct kind *k)
{
	int odd[] = { 1, 255, 263, -1 }; /* ICMP, RAW, SOL_PACKET, none */

	for (unsigned l = 0; l < sizeof(levels) / sizeof(levels[0]); l++)
		for (int name = 0; name < NUMBERS; name++)
			walk_number(k, levels[l], name);
	for (unsigned l = 0; l < sizeof(odd) / sizeof(odd[0]); l++)
		walk_number(k, odd[l], 1);
}
