// SPDX-License-Identifier: BSD-2-Clause
/*
 * player.c - A short script without packetdrill: the shared object is loaded as
 * packetdrill loads it, and does a handshake, data and a close by its interface,
 * in virtual time, with a call that blocks in a second thread.
 */
#include <dlfcn.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/emit.h"
#include "interface.h"
#include "wire/checksum.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

#define US 0xc0a80001u
#define PEER 0xc0000201u
#define PORT 8080u
#define PEER_PORT 40000u

static struct packetdrill_interface pd;
static struct tcp_header got;
static uint32_t got_bytes;
static long long got_us;
static unsigned failures;

static void check(bool ok, const char *what)
{
	(void)printf("%sok packetdrill/%s%s\n", ok ? "" : "not ", what, ok ? "" : ": no");
	failures += !ok;
}

static long long now_us(void)
{
	struct timeval tv;

	pd.gettimeofday(pd.userdata, &tv, NULL);
	return tv.tv_sec * 1000000ll + tv.tv_usec;
}

static void inject(uint8_t flags, uint32_t seq, uint32_t ack, const void *data, size_t bytes)
{
	uint8_t room[2048];
	struct emit out = emit_to(room, sizeof(room));
	struct tcp_header h = {
		.sport = PEER_PORT,
		.dport = PORT,
		.seq = seq,
		.ack = ack,
		.flags = flags,
		.window = 32792,
		.has = flags & TCP_SYN ? TCP_HAS_MSS | TCP_HAS_SACK_OK : 0,
		.mss = 1000,
	};
	struct ipv4 ip = {
		.src = PEER,
		.dst = US,
		.proto = IPV4_PROTO_TCP,
		.ttl = 64,
		.total_bytes = (uint16_t)(IPV4_HEADER_BYTES + tcp_header_size(&h) + bytes),
	};

	ipv4_emit(&out, &ip);
	tcp_emit(&out, &h, PEER, US, checksum_add(0, data, bytes), bytes);
	emit_copy(&out, data, bytes);
	(void)pd.netdev_send(pd.userdata, room, emit_bytes(&out));
}

static bool sniff(uint8_t flags)
{
	uint8_t room[2048];
	size_t bytes = sizeof(room);
	struct cursor c, whole;
	struct ipv4 ip;

	if (pd.netdev_receive(pd.userdata, room, &bytes, &got_us) != 0)
		return false;
	c = cursor_of(room, bytes);
	if (ipv4_parse(&c, &ip) != WIRE_OK)
		return false;
	whole = c;
	if (tcp_parse(&c, &got) != WIRE_OK || !tcp_sum_ok(&whole, ip.src, ip.dst))
		return false;
	got_bytes = (uint32_t)cursor_left(&c);
	return got.flags == flags;
}

/** struct blocked - A call of the second thread. */
struct blocked {
	int fd;
	ssize_t n;
	char room[16];
	long long done_us;
	pthread_mutex_t started;
};

static void *read_blocks(void *arg)
{
	struct blocked *b = arg;

	pthread_mutex_unlock(&b->started);
	b->n = pd.read(pd.userdata, b->fd, b->room, sizeof(b->room));
	b->done_us = now_us();
	return NULL;
}

static void play_blocking(int fd, uint32_t seq, uint32_t ack)
{
	struct blocked b = {.fd = fd, .started = PTHREAD_MUTEX_INITIALIZER};
	long long began = now_us();
	pthread_t thread;

	pthread_mutex_lock(&b.started);
	if (pthread_create(&thread, NULL, read_blocks, &b) != 0)
		return check(false, "blocking-read");
	pthread_mutex_lock(&b.started);
	(void)usleep(20000); /* real time: it is in its call */
	(void)pd.usleep(pd.userdata, 100000);
	inject(TCP_ACK | TCP_PSH, seq, ack, "hello", 5);
	(void)pd.usleep(pd.userdata, 100000);
	pthread_join(thread, NULL);
	check(b.n == 5 && memcmp(b.room, "hello", 5) == 0 && b.done_us - began >= 100000 &&
		      b.done_us - began < 101000,
	      "blocking-read");
}

static void play(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int l = pd.socket(pd.userdata, AF_INET, SOCK_STREAM, IPPROTO_TCP);
	long long began;
	uint32_t iss;
	int c;

	check(l >= 0 && pd.bind(pd.userdata, l, (struct sockaddr *)&a, sizeof(a)) == 0 &&
		      pd.listen(pd.userdata, l, 1) == 0,
	      "listen");
	began = now_us();
	inject(TCP_SYN, 0, 0, NULL, 0);
	check(sniff(TCP_SYN | TCP_ACK) && got.ack == 1 && got.mss == 1460 && got_us - began < 100,
	      "syn-ack");
	iss = got.seq;
	/* Nobody answers: it comes again, a second later. */
	check(sniff(TCP_SYN | TCP_ACK) && got.seq == iss && got_us - began > 900000 &&
		      got_us - began < 1100000,
	      "virtual-time");
	inject(TCP_ACK, 1, iss + 1, NULL, 0);
	c = pd.accept(pd.userdata, l, NULL, NULL);
	check(c >= 0, "accept");
	check(pd.write(pd.userdata, c, "data", 4) == 4 && sniff(TCP_ACK | TCP_PSH) &&
		      got_bytes == 4 && got.seq == iss + 1,
	      "write");
	inject(TCP_ACK, 1, iss + 5, NULL, 0);
	play_blocking(c, 1, iss + 5);
	check(sniff(TCP_ACK) && got.ack == 6, "ack");
	check(pd.close(pd.userdata, c) == 0 && sniff(TCP_FIN | TCP_ACK), "close");
	inject(TCP_ACK | TCP_RST, 6, iss + 6, NULL, 0);
	(void)pd.close(pd.userdata, l);
	check(!sniff(TCP_ACK), "nothing-more"); /* and it says so, instead of waiting for ever */
}

int main(int argc, char **argv)
{
	void *so = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
	void (*init)(const char *flags, struct packetdrill_interface *ret);

	if (!so) {
		(void)fprintf(stderr, "usage: player SHARED-OBJECT\n%s\n",
			      argc == 2 ? dlerror() : "");
		return 2;
	}
	*(void **)&init = dlsym(so, "packetdrill_interface_init");
	if (!init)
		return 2;
	init(NULL, &pd);
	play();
	pd.free(pd.userdata);
	return failures != 0;
}
