/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * walk_requests.c - fcntl() and ioctl().
 *
 * Requests that change an interface are given no argument, which ends them
 * before they do anything.
 */
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include "walk.h"

/* Status flags one by one, and together. */
static const int flag_sets[] = { 0, O_NONBLOCK, O_ASYNC, O_APPEND, O_NOATIME, O_DIRECT, O_SYNC,
				 O_CLOEXEC, O_RDWR, O_NONBLOCK | O_ASYNC | O_APPEND, 0x7fffffff, 0 };

static void say(const struct kind *k, enum stage st, const char *call, unsigned request,
		const char *what, long r)
{
	printf("%s %s %s/%#x %s = %s", k->name, stage_names[st], call, request, what, outcome(r));
}

static void flags(const struct kind *k, enum stage st, int fd)
{
	char what[32];

	for (unsigned i = 0; i < sizeof(flag_sets) / sizeof(flag_sets[0]); i++) {
		snprintf(what, sizeof(what), "%#x", (unsigned)flag_sets[i]);
		say(k, st, "fcntl", F_SETFL, what, fcntl(fd, F_SETFL, flag_sets[i]));
		printf(" then %#x\n", (unsigned)fcntl(fd, F_GETFL));
	}
	for (int i = 0; i < 3; i++) {
		say(k, st, "fcntl", F_SETFD, i ? "1" : "0", fcntl(fd, F_SETFD, i));
		printf(" then %#x\n", (unsigned)fcntl(fd, F_GETFD));
	}
}

static void owners(const struct kind *k, enum stage st, int fd)
{
	int owner[] = { 0, getpid(), -getpgrp(), 0x7fffffff, -0x7fffffff, 0 }, v = 0;
	static const char *const name[] = { "0", "self", "group", "nobody", "no group", "0" };
	struct f_owner_ex ex = { F_OWNER_PID, 0 };

	for (unsigned i = 0; i < sizeof(owner) / sizeof(owner[0]); i++) {
		say(k, st, "fcntl", F_SETOWN, name[i], fcntl(fd, F_SETOWN, owner[i]));
		printf(" then %s\n", fcntl(fd, F_GETOWN) == owner[i] ? "so" : "not so");
		v = owner[i];
		say(k, st, "ioctl", SIOCSPGRP, name[i], ioctl(fd, SIOCSPGRP, &v));
		v = 77;
		say(k, st, "ioctl", SIOCGPGRP, "", ioctl(fd, SIOCGPGRP, &v));
		printf(" then %s\n", v == owner[i] ? "so" : "not so");
		ex = (struct f_owner_ex){ i % 4, owner[i] < 0 ? -owner[i] : owner[i] };
		say(k, st, "fcntl", F_SETOWN_EX, name[i], fcntl(fd, F_SETOWN_EX, &ex));
		say(k, st, "fcntl", F_GETOWN_EX, "", fcntl(fd, F_GETOWN_EX, &ex));
		printf(" then %d %d\n", ex.type, ex.pid == owner[i]);
	}
	for (int sig = -1; sig < 70; sig += 23) {
		say(k, st, "fcntl", F_SETSIG, "n", fcntl(fd, F_SETSIG, sig));
		printf(" then %d\n", fcntl(fd, F_GETSIG));
	}
	fcntl(fd, F_SETSIG, 0);
}

static void all_fcntl(const struct kind *k, enum stage st, int fd)
{
	for (int cmd = -1; cmd < 1100; cmd++) {
		/* New descriptors, which differ; what flags() and owners() do; and
		 * locks, leases and the like, which might wait, only with nowhere. */
		if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC || cmd == F_SETOWN ||
		    cmd == F_GETOWN || cmd == F_SETSIG || cmd == F_SETFL || cmd == F_SETFD ||
		    cmd == 1027 /* F_DUPFD_QUERY */)
			continue;
		if (cmd == 20)
			cmd = 1023;
		say(k, st, "fcntl", (unsigned)cmd, "nowhere", fcntl(fd, cmd, nowhere));
		printf("\n");
	}
	flags(k, st, fd);
	owners(k, st, fd);
}

/* Of the socket's own: an int goes in, an int comes out. */
static void ints(const struct kind *k, enum stage st, int fd)
{
	static const unsigned requests[] = { FIONREAD, FIONBIO, FIOASYNC, TIOCOUTQ, SIOCOUTQNSD,
					     SIOCATMARK, FIOCLEX, FIONCLEX, FIOQSIZE };

	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		for (int given = 0; given < 3; given++) {
			long long v = given;

			say(k, st, "ioctl", requests[i], "int", ioctl(fd, requests[i], &v));
			/* A FIN that is on its way counts for 1. */
			if (requests[i] == TIOCOUTQ && v == 1)
				v = 0;
			printf(" then %lld, %#x\n", v, (unsigned)fcntl(fd, F_GETFL));
			say(k, st, "ioctl", requests[i], "nowhere", ioctl(fd, requests[i], nowhere));
			printf("\n");
		}
	ioctl(fd, FIONBIO, &(int){ 0 });
	ioctl(fd, FIOASYNC, &(int){ 0 });
}

/* Questions about interfaces. */
static void interfaces(const struct kind *k, enum stage st, int fd)
{
	static const unsigned requests[] = {
		SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFDSTADDR, SIOCGIFBRDADDR, SIOCGIFNETMASK,
		SIOCGIFMETRIC, SIOCGIFMTU, SIOCGIFHWADDR, SIOCGIFINDEX, SIOCGIFTXQLEN, SIOCGIFMAP,
		SIOCGIFENCAP, SIOCGIFPFLAGS, SIOCGIFSLAVE, SIOCETHTOOL, SIOCGMIIPHY,
	};
	static const char *const names[] = { "lo", "no-such", "" };
	struct ifconf conf = { 0 };
	char room[1024];

	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		for (unsigned n = 0; n < 3; n++) {
			struct ifreq r = { 0 };

			snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", names[n]);
			say(k, st, "ioctl", requests[i], names[n], ioctl(fd, requests[i], &r));
			printf(" then %x\n", (unsigned)r.ifr_ifindex);
		}
	conf.ifc_len = 0;
	say(k, st, "ioctl", SIOCGIFCONF, "length", ioctl(fd, SIOCGIFCONF, &conf));
	printf(" then %d\n", conf.ifc_len);
	conf.ifc_len = sizeof(room);
	conf.ifc_buf = room;
	say(k, st, "ioctl", SIOCGIFCONF, "list", ioctl(fd, SIOCGIFCONF, &conf));
	printf(" then %d\n", conf.ifc_len);
}

void walk_requests(const struct kind *k)
{
	for (enum stage st = FRESH; st < STAGES; st++) {
		int fd;

		if (!stage_is_of(k, st))
			continue;
		fd = stage_make(k, st);
		all_fcntl(k, st, fd);
		ints(k, st, fd);
		interfaces(k, st, fd);
		/* Sockets' own, terminals' and files': all with no argument. */
		for (unsigned r = 0x8900; r < 0x8a00; r++) {
			if (r == SIOCGSKNS)
				continue; /* a descriptor, which differs */
			say(k, st, "ioctl", r, "nowhere", ioctl(fd, r, nowhere));
			printf("\n");
		}
		for (unsigned r = 0x5401; r < 0x5480; r++) {
			if (r == FIOCLEX || r == FIONCLEX)
				continue;
			say(k, st, "ioctl", r, "nowhere", ioctl(fd, r, nowhere));
			printf("\n");
		}
		say(k, st, "ioctl", 0x12345678, "nowhere", ioctl(fd, 0x12345678, nowhere));
		printf("\n");
		close(fd);
	}
}
