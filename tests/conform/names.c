/* SPDX-License-Identifier: BSD-2-Clause */
/* Words of the program text: constants, slots, ports, addresses. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "program.h"

#define ASLEEP_NS 60000000l

#define C(x) { #x, (int64_t)(x) }
static const struct {
	const char *name;
	int64_t value;
} constants[] = {
	C(AF_INET), C(AF_UNIX), C(AF_UNSPEC), C(SOCK_STREAM), C(SOCK_DGRAM), C(SOCK_RAW),
	C(SOCK_NONBLOCK), C(SOCK_CLOEXEC), C(IPPROTO_TCP), C(IPPROTO_UDP), C(IPPROTO_IP),
	C(MSG_PEEK), C(MSG_DONTWAIT), C(MSG_WAITALL), C(MSG_TRUNC), C(MSG_NOSIGNAL),
	C(MSG_MORE), C(MSG_ERRQUEUE), C(MSG_CMSG_CLOEXEC),
	C(SHUT_RD), C(SHUT_WR), C(SHUT_RDWR),
	C(F_GETFL), C(F_SETFL), C(F_GETFD), C(F_SETFD), C(F_DUPFD), C(F_DUPFD_CLOEXEC),
	C(F_GETLK), C(F_GETPIPE_SZ), C(F_GETOWN), C(F_GET_SEALS),
	C(FD_CLOEXEC), C(O_NONBLOCK), C(O_CLOEXEC), C(O_RDWR), C(O_APPEND),
	C(SOL_SOCKET), C(SO_ERROR), C(SO_TYPE), C(SO_DOMAIN), C(SO_PROTOCOL), C(SO_ACCEPTCONN),
	C(SO_REUSEADDR), C(SO_KEEPALIVE), C(SO_LINGER), C(SO_RCVTIMEO), C(SO_SNDTIMEO),
	C(SO_SNDBUF), C(SO_RCVBUF), C(SO_BROADCAST), C(SO_OOBINLINE), C(SO_PRIORITY),
	C(SO_RCVLOWAT), C(SO_SNDLOWAT), C(SO_DONTROUTE), C(SO_PEERCRED), C(SO_PASSCRED),
	C(TCP_NODELAY), C(TCP_KEEPIDLE), C(TCP_KEEPINTVL), C(TCP_KEEPCNT), C(TCP_USER_TIMEOUT),
	C(TCP_QUICKACK), C(TCP_SYNCNT), C(TCP_LINGER2), C(IP_TOS), C(IP_TTL),
	C(POLLIN), C(POLLOUT), C(POLLPRI), C(POLLERR), C(POLLHUP), C(POLLRDHUP), C(POLLNVAL),
	C(POLLRDNORM), C(POLLWRNORM), C(POLLRDBAND), C(POLLWRBAND),
	C(EPOLL_CTL_ADD), C(EPOLL_CTL_MOD), C(EPOLL_CTL_DEL), C(EPOLL_CLOEXEC),
	C(EPOLLIN), C(EPOLLOUT), C(EPOLLPRI), C(EPOLLERR), C(EPOLLHUP), C(EPOLLRDHUP),
	C(SO_REUSEPORT), C(SO_RCVBUFFORCE), C(SO_TIMESTAMP), C(SO_TIMESTAMPNS), C(SO_TIMESTAMPING),
	C(SO_RXQ_OVFL), C(SO_BINDTODEVICE), C(SO_NO_CHECK), C(SO_PEEK_OFF), C(SO_COOKIE),
	C(IP_PKTINFO), C(IP_RECVTTL), C(IP_RECVTOS), C(IP_RECVERR), C(IP_RECVORIGDSTADDR),
	C(IP_MTU_DISCOVER), C(IP_MTU), C(IP_MULTICAST_TTL), C(IP_MULTICAST_LOOP), C(IP_MULTICAST_ALL),
	C(IP_FREEBIND), C(IPPROTO_IPV6), C(IPPROTO_ICMP), C(AF_INET6),
	C(IPV6_V6ONLY), C(IPV6_RECVPKTINFO), C(IPV6_RECVHOPLIMIT), C(IPV6_RECVTCLASS), C(IPV6_RECVERR),
	C(IPV6_UNICAST_HOPS), C(IPV6_MULTICAST_HOPS), C(IPV6_MULTICAST_LOOP), C(IPV6_TCLASS),
	C(UDP_CORK), C(UDP_SEGMENT), C(UDP_GRO), C(UDP_ENCAP), C(MSG_CONFIRM), C(MSG_DONTROUTE),
	C(MSG_WAITFORONE), C(MSG_OOB),
	C(FORM_SEND), C(FORM_WRITE), C(FORM_WRITEV), C(FORM_SENDTO), C(FORM_SENDMSG),
	C(FORM_RECV), C(FORM_READ), C(FORM_READV), C(FORM_RECVFROM), C(FORM_RECVMSG),
	C(CONTROL_TTL), C(CONTROL_TOS), C(CONTROL_PKTINFO), C(CONTROL_HOPLIMIT), C(CONTROL_TCLASS),
	C(CONTROL_PKTINFO6), C(CONTROL_SEGMENT), C(CONTROL_SHORT),
	C(EPOLLRDNORM), C(EPOLLWRNORM), C(EPOLLET), C(EPOLLONESHOT), C(EPOLLEXCLUSIVE),
#undef C
#define X(n) { #n, MISC_##n },
	MISCS(X)
#undef X
};

static const char *const op_names[OP_COUNT] = {
#define X(e, n) [OP_##e] = n,
	OPS(X)
#undef X
};

static bool word_number(const char *word, int64_t *ret_value)
{
	struct in_addr in;
	char *end;
	int64_t v;

	for (int i = 0; strchr(word, ':') && i < ADDR6_COUNT; i++) {
		if (strcmp(word, address_names[i]) != 0)
			continue;
		*ret_value = ADDR6 + i;
		return true;
	}
	if (strchr(word, '.')) {
		if (inet_pton(AF_INET, word, &in) != 1)
			return false;
		*ret_value = (int64_t)ntohl(in.s_addr);
		return true;
	}
	if ((word[0] == 's' || word[0] == 'p') && word[1] >= '0' && word[1] <= '9') {
		v = strtol(word + 1, &end, 10);
		if (*end || v >= (word[0] == 's' ? (int)SLOTS : (int)PORTVARS))
			return false;
		*ret_value = word[0] == 's' ? v : PORTREF + v;
		return true;
	}
	for (unsigned int i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
		if (!strcmp(word, constants[i].name)) {
			*ret_value = constants[i].value;
			return true;
		}
	}
	v = strtoll(word, &end, 0);
	if (end == word || *end)
		return false;
	*ret_value = v;
	return true;
}

bool names_number(const char *token, int64_t *ret_value)
{
	char copy[200];
	char *save = NULL;
	int64_t sum = 0;

	if (strlen(token) >= sizeof(copy))
		return false;
	strcpy(copy, token);
	for (char *w = strtok_r(copy, "|", &save); w; w = strtok_r(NULL, "|", &save)) {
		int64_t v;

		if (!word_number(w, &v))
			return false;
		sum |= v;
	}
	*ret_value = sum;
	return true;
}

enum op names_op(const char *name)
{
	for (int i = 0; i < OP_COUNT; i++)
		if (!strcmp(name, op_names[i]))
			return (enum op)i;
	return OP_COUNT;
}

void names_pollbits(char *text, unsigned long size_bytes, uint32_t bits)
{
	/* epoll's bits have poll's values on Linux. */
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{ POLLIN, "IN" }, { POLLPRI, "PRI" }, { POLLOUT, "OUT" }, { POLLERR, "ERR" },
		{ POLLHUP, "HUP" }, { POLLNVAL, "NVAL" }, { POLLRDNORM, "RDNORM" },
		{ POLLRDBAND, "RDBAND" }, { POLLWRNORM, "WRNORM" }, { POLLWRBAND, "WRBAND" },
		{ POLLRDHUP, "RDHUP" },
	};
	unsigned long len = strlen(text);
	const char *sep = "";

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(bits & names[i].bit))
			continue;
		bits &= ~names[i].bit;
		len += (unsigned long)snprintf(text + len, size_bytes - len, "%s%s", sep,
					       names[i].name);
		sep = "+";
	}
	if (bits || !*sep)
		snprintf(text + len, size_bytes - len, "%s%#x", sep, bits);
}

bool io_read_all(int fd, void *buf, unsigned long size_bytes)
{
	char *p = buf;

	while (size_bytes) {
		ssize_t n = read(fd, p, size_bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		size_bytes -= (unsigned long)n;
	}
	return true;
}

bool io_write_all(int fd, const void *buf, unsigned long size_bytes)
{
	const char *p = buf;

	while (size_bytes) {
		ssize_t n = write(fd, p, size_bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		size_bytes -= (unsigned long)n;
	}
	return true;
}

void nap_us(unsigned long us)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += (long)us * 1000;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR)
		continue;
}

void wait_asleep(int pid, int tid)
{
	char path[64];
	char text[256];
	struct timespec now, until;
	int asleep = 0;

	/* Shorter than any call of a program sleeps, also on a busy machine. */
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ASLEEP_NS;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	/* For a moment it may sleep on something else on its way there. */
	while (asleep < 5) {
		FILE *f = fopen(path, "re");
		char *end;

		if (!f)
			return;
		end = fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
		fclose(f);
		if (!end)
			return;
		asleep = end[1] && end[2] == 'S' ? asleep + 1 : 0;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if ((now.tv_sec - until.tv_sec) * 1000000000l + now.tv_nsec - until.tv_nsec > 0)
			return;
		nap_us(500);
	}
}
