/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * packets.c - The ends of datagrams that a test kills, stops and watches.
 *
 *   packets receive PORT          answers each; until the end of standard input
 *   packets send PORT PAUSE_US    sends numbered ones, and counts the answers
 *   packets flood PORT BYTES      sends numbered ones as fast as it can
 *
 * A datagram says whose it is, which one, and is filled by that. The receiver
 * says at its end "received COUNT WRONG SENDERS"; a sender, too, at the end of
 * its standard input: "sent COUNT ANSWERS REFUSED WRONG GAP_US", GAP_US being
 * the longest time between two answers.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	LIMIT_S = 150,		/* No process outlives a mistake. */
	SENDERS_MAX = 256,
	SIZE_MAX_BYTES = 9000,
	SMALL_BYTES = 200,
	ANSWER_MS = 20,
};

/** struct head - How each datagram begins; the rest is filler(). */
struct head {
	uint32_t sender;	/* A process number. */
	uint32_t number;
};

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static unsigned char filler(const struct head *h, size_t i)
{
	return (unsigned char)(h->sender * 31 + h->number * 7 + i);
}

static size_t make(unsigned char *buf, uint32_t number, size_t size)
{
	struct head h = { .sender = (uint32_t)getpid(), .number = number };

	memcpy(buf, &h, sizeof(h));
	for (size_t i = sizeof(h); i < size; i++)
		buf[i] = filler(&h, i);
	return size;
}

static bool right(const unsigned char *buf, size_t size, struct head *ret_head)
{
	if (size < sizeof(*ret_head))
		return false;
	memcpy(ret_head, buf, sizeof(*ret_head));
	for (size_t i = sizeof(*ret_head); i < size; i++)
		if (buf[i] != filler(ret_head, i))
			return false;
	return true;
}

static struct sockaddr_in at_port(const char *port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)atoi(port)),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void fail(const char *what)
{
	printf("failed %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Is there an end of standard input, or something to receive? */
static bool ended(int fd, int ms, bool *ret_ready)
{
	struct pollfd p[2] = { { .fd = 0, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
	char line[64];

	if (poll(p, 2, ms) < 0 && errno != EINTR)
		fail("poll");
	*ret_ready = p[1].revents;
	return p[0].revents && read(0, line, sizeof(line)) <= 0;
}

static int receive(const char *port)
{
	static struct head last[SENDERS_MAX];
	unsigned char buf[SIZE_MAX_BYTES + 1];
	struct sockaddr_in at = at_port(port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t count = 0;
	uint64_t wrong = 0;
	int senders = 0;
	bool ready;

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		fail("bind");
	printf("listening\n");
	while (!ended(fd, 1000, &ready)) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		struct head h;
		ssize_t n;
		int i = 0;

		if (!ready)
			continue;
		n = recvfrom(fd, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&from, &len);
		if (n < 0)
			continue;
		count++;
		if (!right(buf, (size_t)n, &h)) {
			wrong++;
			continue;
		}
		while (i < senders && last[i].sender != h.sender)
			i++;
		if (i == senders && senders < SENDERS_MAX)
			last[senders++] = (struct head){ .sender = h.sender };
		else if (i < senders && h.number <= last[i].number)
			wrong++;	/* Twice, or not in order. */
		if (i < senders)
			last[i].number = h.number;
		sendto(fd, buf, n < SMALL_BYTES ? (size_t)n : SMALL_BYTES, MSG_DONTWAIT,
		       (struct sockaddr *)&from, len);
	}
	printf("received %llu %llu %d\n", (unsigned long long)count, (unsigned long long)wrong,
	       senders);
	return 0;
}

static int connected(const char *port)
{
	struct sockaddr_in at = at_port(port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		fail("connect");
	return fd;
}

static int send_them(const char *port, useconds_t pause_us)
{
	unsigned char buf[SIZE_MAX_BYTES];
	int fd = connected(port);
	uint64_t last_us = now_us();
	uint64_t gap_us = 0;
	uint64_t answers = 0, refused = 0, wrong = 0;
	uint32_t number = 0;
	bool ready;

	printf("sending\n");
	do {
		size_t size = sizeof(struct head) + number % SMALL_BYTES;
		struct head h;
		ssize_t n;

		make(buf, ++number, size);
		if (send(fd, buf, size, 0) < 0) {
			if (errno != ECONNREFUSED)
				fail("send");
			refused++;
		}
		if (ended(fd, ANSWER_MS, &ready))
			break;
		while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) >= 0) {
			uint64_t us = now_us();

			answers++;
			wrong += !right(buf, (size_t)n, &h) || h.sender != (uint32_t)getpid() ||
				h.number > number;
			if (us - last_us > gap_us)
				gap_us = us - last_us;
			last_us = us;
		}
		if (errno == ECONNREFUSED)
			refused++;
		else if (errno != EAGAIN)
			fail("recv");
		usleep(pause_us);
	} while (true);
	printf("sent %u %llu %llu %llu %llu\n", number, (unsigned long long)answers,
	       (unsigned long long)refused, (unsigned long long)wrong, (unsigned long long)gap_us);
	return 0;
}

static int flood(const char *port, size_t size)
{
	unsigned char buf[SIZE_MAX_BYTES];
	int fd = connected(port);
	uint32_t number = 0;
	bool ready;

	if (size < sizeof(struct head) || size > sizeof(buf))
		return 2;
	printf("sending\n");
	while (number % 64 || !ended(-1, 0, &ready)) {
		make(buf, ++number, size);
		if (send(fd, buf, size, 0) < 0 && errno != ECONNREFUSED)
			fail("send");
		if (number % 16 == 0)
			recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	}
	printf("sent %u 0 0 0 0\n", number);
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(LIMIT_S);
	if (argc == 3 && !strcmp(argv[1], "receive"))
		return receive(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "send"))
		return send_them(argv[2], (useconds_t)atoi(argv[3]));
	if (argc == 4 && !strcmp(argv[1], "flood"))
		return flood(argv[2], (size_t)atol(argv[3]));
	fprintf(stderr, "usage: packets receive PORT | send PORT PAUSE_US | flood PORT BYTES\n");
	return 2;
}
