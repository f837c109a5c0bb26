/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http-get.c - An HTTP GET from one TCP/IP stack to another, in one process: no
 * kernel socket, no root, no waiting.
 *
 * The device is a cable of this program's own, which takes a millisecond and
 * loses every twentieth frame. The clock is a number: when neither stack has
 * anything to do, it jumps to the next time at which one has. With a TAP
 * device and clock_gettime() in their place, the rest stays as it is.
 *
 *	cc http-get.c $(pkg-config --cflags --libs mortise-net) -o http-get
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mortise/net.h>

#define MS 1000000ull
#define CABLE_FRAMES 256
#define FRAME_BYTES 1514
#define PAGE_TEXT_BYTES 100000
#define CLIENT MNET_IP4(10, 0, 0, 1)
#define SERVER MNET_IP4(10, 0, 0, 2)

/* ------------------------------------------------------------ a cable, which is the device */

struct cable_frame {
	uint64_t arrives;
	size_t bytes;
	unsigned char octets[FRAME_BYTES];
};

/* One direction: frames that are under way, the oldest first. */
struct cable {
	struct cable_frame frame[CABLE_FRAMES];
	unsigned first, count;
};

static uint64_t now; /* nanoseconds: the clock of both */
static unsigned sent, lost;

/* What a stack sees of them: it sends into one, and receives from the other. */
struct plug {
	struct cable *in, *out;
};

static size_t receive(void *context, void *room, size_t bytes)
{
	struct cable *c = ((struct plug *)context)->in;
	struct cable_frame *f = &c->frame[c->first];

	if (!c->count || f->arrives > now || f->bytes > bytes)
		return 0;
	memcpy(room, f->octets, f->bytes);
	c->first = (c->first + 1) % CABLE_FRAMES;
	c->count--;
	return f->bytes;
}

static bool can_send(void *context)
{
	return ((struct plug *)context)->out->count < CABLE_FRAMES;
}

static void send_frame(void *context, const struct mnet_frame *frame)
{
	struct cable *c = ((struct plug *)context)->out;
	struct cable_frame *f = &c->frame[(c->first + c->count) % CABLE_FRAMES];

	if (++sent % 20 == 0 || frame->bytes > FRAME_BYTES) {
		lost++;
		return;
	}
	f->arrives = now + MS;
	f->bytes = 0;
	for (size_t i = 0; i < frame->pieces; i++) {
		memcpy(f->octets + f->bytes, frame->piece[i].at, frame->piece[i].bytes);
		f->bytes += frame->piece[i].bytes;
	}
	c->count++;
}

static uint64_t arrives_next(const struct cable *c)
{
	return c->count ? c->frame[c->first].arrives : MNET_NEVER;
}

/* ------------------------------------------------------------ the stacks */

static struct mnet *make_stack(uint32_t addr)
{
	/* In earnest: from getrandom(). Here every run is to be the same. */
	static const uint8_t key[16] = {1, 2, 3, 4, 5, 6, 7, 8};
	struct mnet_config c = {
		.bytes = sizeof(c),
		.mac = {2, 0, 0, 0, 0, (uint8_t)addr},
		.addresses = 1,
		.address = {{addr, 24}},
		.connections = 16,
		.ring_bytes = 1 << 20,
	};
	size_t bytes = mnet_bytes(&c);
	struct mnet *net;
	void *mem;
	int err;

	if (posix_memalign(&mem, 4096, bytes) != 0)
		abort();
	memset(mem, 0, bytes);
	err = mnet_init(mem, bytes, &c, key, now, &net);
	if (err != 0) {
		fprintf(stderr, "mnet_init: %s\n", strerror(-err));
		exit(1);
	}
	return net;
}

/* ------------------------------------------------------------ the server */

#define LISTENER 1 /* cookies: what an event is about */
#define REQUEST 2

static char page[PAGE_TEXT_BYTES + 200];
static size_t page_bytes, page_sent;

static void serve_more(struct mnet *net, struct mnet_sock s)
{
	while (page_sent < page_bytes) {
		int64_t n = mnet_send(net, now, s, page + page_sent, page_bytes - page_sent);

		if (n == -EAGAIN)
			return; /* MNET_WRITABLE will follow */
		if (n < 0)
			exit(1);
		page_sent += (size_t)n;
	}
	mnet_close(net, now, s); /* sends what is left, then the end */
}

static void serve(struct mnet *net, const struct mnet_event *ev)
{
	struct mnet_sock s;
	char request[512];
	int64_t n;

	if (ev->cookie == LISTENER) {
		while (mnet_accept(net, now, ev->sock, REQUEST, &s) == 0)
			;
		return;
	}
	if (ev->events & MNET_READABLE) {
		n = mnet_recv(net, now, ev->sock, request, sizeof(request));
		if (n > 0)
			printf("server: %.*s\n", (int)strcspn(request, "\r"), request);
	}
	if (page_sent == 0 || ev->events & MNET_WRITABLE)
		serve_more(net, ev->sock);
}

/* ------------------------------------------------------------ the client */

static char answer[sizeof(page)];
static size_t answer_bytes;
static bool done;

static void ask(struct mnet *net, const struct mnet_event *ev)
{
	static const char get[] = "GET / HTTP/1.0\r\nHost: 10.0.0.2\r\n\r\n";
	static bool asked;
	int64_t n;

	if (ev->events & MNET_WRITABLE && !asked) {
		asked = true; /* so short a request is taken in whole */
		mnet_send(net, now, ev->sock, get, sizeof(get) - 1);
	}
	while ((n = mnet_recv(net, now, ev->sock, answer + answer_bytes,
			      sizeof(answer) - answer_bytes)) > 0)
		answer_bytes += (size_t)n;
	if (n == 0) {
		struct mnet_info info;

		done = true;
		if (mnet_info(net, ev->sock, &info, sizeof(info)) == 0)
			printf("client: round trip %.1f ms\n", info.srtt_us / 1000.0);
		mnet_close(net, now, ev->sock);
	}
}

int main(void)
{
	static struct cable there, back;
	struct plug client_plug = {&back, &there}, server_plug = {&there, &back};
	struct mnet_device client_device = {&client_plug, receive, send_frame, can_send};
	struct mnet_device server_device = {&server_plug, receive, send_frame, can_send};
	struct mnet *client = make_stack(CLIENT), *server = make_stack(SERVER);
	struct mnet_sock listener, connection;
	struct mnet_event ev;

	page_bytes = (size_t)sprintf(page, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n",
				     PAGE_TEXT_BYTES);
	for (int i = 0; i < PAGE_TEXT_BYTES; i++)
		page[page_bytes++] = (char)('a' + i % 26);

	if (mnet_open(server, MNET_TCP, LISTENER, &listener) != 0 ||
	    mnet_bind(server, listener, 0, 80) != 0 || mnet_listen(server, listener, 4) != 0 ||
	    mnet_open(client, MNET_TCP, 0, &connection) != 0 ||
	    mnet_connect(client, now, connection, SERVER, 80) != -EINPROGRESS)
		return 1;

	while (!done) {
		uint64_t due[4];

		mnet_poll(client, now, &client_device);
		mnet_poll(server, now, &server_device);
		while (mnet_event(client, &ev))
			ask(client, &ev);
		while (mnet_event(server, &ev))
			serve(server, &ev);
		/* What the events led to. */
		due[0] = mnet_poll(client, now, &client_device);
		due[1] = mnet_poll(server, now, &server_device);
		due[2] = arrives_next(&there);
		due[3] = arrives_next(&back);
		for (int i = 1; i < 4; i++)
			due[0] = due[i] < due[0] ? due[i] : due[0];
		if (due[0] == MNET_NEVER)
			break;
		now = due[0] > now ? due[0] : now;
	}
	printf("client: %zu octets in %.0f ms; %u frames sent, %u of them lost\n", answer_bytes,
	       (double)now / MS, sent, lost);
	return answer_bytes == page_bytes && memcmp(answer, page, page_bytes) == 0 ? 0 : 1;
}
