// SPDX-License-Identifier: BSD-2-Clause
/* world.c - The engine, its clock and its network. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/sock.h"
#include "wire/arp.h"
#include "wire/eth.h"
#include "gso.h"
#include "world.h"

#define START_NS (1000000 * NS_SEC)
#define LOOK_NS 1000ull /* what asking for the time takes */
#define FRAME_MAX 65600u
#define STEPS_MAX 100000u

struct world world;

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t gateway_mac[6] = {2, 0, 0, 0, 0, 2};

void world_init(uint16_t mtu, void (*event)(const struct engine_event *ev))
{
	memset(&world, 0, sizeof(world));
	pthread_mutex_init(&world.lock, NULL);
	pthread_cond_init(&world.changed, NULL);
	world.runner = pthread_self();
	world.mtu = mtu;
	world.now_ns = START_NS;
	world.last = &world.first;
	world.due_ns = UINT64_MAX;
	world.event = event;
	gso_init();
}

void world_end(void)
{
	struct packet *p;

	while ((p = world.first)) {
		world.first = p->next;
		free(p);
	}
	if (world.made)
		munmap(world.mem, world.mem_bytes);
	world.made = false;
}

void world_lock(void)
{
	pthread_mutex_lock(&world.lock);
}

void world_unlock(void)
{
	pthread_mutex_unlock(&world.lock);
}

uint64_t world_sysctl(const char *name, unsigned field, uint64_t otherwise)
{
	char path[128], text[256];
	char *at = text, *word = NULL;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	f = fopen(path, "re");
	if (!f)
		return otherwise;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	(void)fclose(f);
	for (unsigned i = 0; i <= field; i++)
		word = strsep(&at, " \t\n");
	return word && *word ? strtoull(word, NULL, 0) : otherwise;
}

struct engine *world_engine(void)
{
	static const uint8_t key[16] = {1, 2, 3};
	struct engine_config c = {
		.mtu = world.mtu,
		.addresses = 1,
		.address = {{WORLD_ADDR, 16}},
		.gateway = WORLD_GATEWAY,
		.ring_bytes = 64u << 20,
		.rcvbuf_max = (uint32_t)min_u64(world_sysctl("tcp_rmem", 2, 15u << 20), 16u << 20),
		.sndbuf_max = (uint32_t)min_u64(world_sysctl("tcp_wmem", 2, 4u << 20), 16u << 20),
		.tcps = 64,
		.no_announce = true,
		.no_timestamps = !world_sysctl("tcp_timestamps", 0, 1),
	};

	if (world.made)
		return &world.e;
	memcpy(c.mac, our_mac, 6);
	world.mem_bytes = engine_bytes(&c);
	world.mem = mmap(NULL, world.mem_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	if (!world.mem_bytes || world.mem == MAP_FAILED ||
	    engine_init(&world.e, world.mem, world.mem_bytes, &c, key, world.now_ns) != 0) {
		(void)fprintf(stderr, "packetdrill: the engine cannot be made\n");
		abort();
	}
	world.made = true;
	return &world.e;
}

/* ------------------------------------------------------------ frames */

static void answer_arp(const uint8_t *frame, size_t bytes)
{
	uint8_t room[64];
	struct cursor c = cursor_of(frame + ETH_HEADER_BYTES, bytes - ETH_HEADER_BYTES);
	struct emit out = emit_to(room, sizeof(room));
	struct eth h = {.type = ETH_TYPE_ARP};
	struct arp asked, a = {.op = ARP_REPLY};

	if (arp_parse(&c, &asked) != WIRE_OK || asked.op != ARP_REQUEST)
		return;
	memcpy(h.dst, our_mac, 6);
	memcpy(h.src, gateway_mac, 6);
	memcpy(a.sender, gateway_mac, 6);
	memcpy(a.target, our_mac, 6);
	a.sender_ip = asked.target_ip;
	a.target_ip = asked.sender_ip;
	eth_emit(&out, &h);
	arp_emit(&out, &a);
	engine_input(&world.e, world.now_ns, room, emit_bytes(&out));
}

void world_input(const void *ip, size_t bytes)
{
	static uint8_t room[FRAME_MAX];
	struct emit out = emit_to(room, sizeof(room));
	struct eth h = {.type = ETH_TYPE_IPV4};

	memcpy(h.dst, our_mac, 6);
	memcpy(h.src, gateway_mac, 6);
	eth_emit(&out, &h);
	emit_copy(&out, ip, bytes);
	if (!out.failed)
		engine_input(world_engine(), world.now_ns, room, emit_bytes(&out));
}

static void take_frames(void)
{
	static struct engine_frame f;
	while (engine_output(&world.e, world.now_ns, &f)) {
		struct packet *p = malloc(sizeof(*p) + f.bytes);
		uint8_t room[ETH_HEADER_BYTES + 64];
		size_t skip = ETH_HEADER_BYTES;

		if (!p)
			abort();
		if (f.header[12] == 0x08 && f.header[13] == 0x06) {
			size_t n = 0;

			for (uint32_t i = 0; i < f.pieces; i++) {
				if (n + f.piece[i].bytes > sizeof(room))
					abort();
				memcpy(room + n, f.piece[i].at, f.piece[i].bytes);
				n += f.piece[i].bytes;
			}
			free(p);
			answer_arp(room, n);
			continue;
		}
		*p = (struct packet){.sent_ns = world.now_ns};
		for (uint32_t i = 0; i < f.pieces; i++) {
			memcpy(p->octets + p->bytes, f.piece[i].at + skip, f.piece[i].bytes - skip);
			p->bytes += f.piece[i].bytes - skip;
			skip = 0;
		}
		*world.last = p;
		world.last = &p->next;
		gso_packet(p);
	}
	gso_end();
}

/* ------------------------------------------------------------ time and threads */

static bool is_runner(void)
{
	return pthread_equal(world.runner, pthread_self());
}

static void let_other_look(void)
{
	if (!is_runner() || !world.blocked)
		return;
	world.blocked = false;
	world.poked = true;
	pthread_cond_broadcast(&world.changed);
	while (!world.blocked && !world.returned)
		pthread_cond_wait(&world.changed, &world.lock);
	world.unsettled = world.returned;
	world.returned = false;
}

static bool is_asleep(pid_t thread)
{
	char path[64], text[256] = "";
	const char *state;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
	f = fopen(path, "re");
	if (!f)
		return true;
	state = fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
	(void)fclose(f);
	return !state || strncmp(state, ") S", 3) == 0;
}

void world_let_return(void)
{
	if (!is_runner() || !world.unsettled)
		return;
	world.unsettled = false;
	for (unsigned i = 0; i < 1000 && !world.unsettled; i++) {
		world_unlock();
		(void)usleep(100);
		world_lock();
		if (is_asleep(world.other))
			return;
	}
}

void world_settle(void)
{
	struct engine_event ev;

	if (!world.made)
		return;
	take_frames();
	while (engine_event(&world.e, &ev))
		world.event(&ev);
	let_other_look();
}

void world_advance(uint64_t until_ns)
{
	for (unsigned steps = 0; world.made && steps < STEPS_MAX; steps++) {
		uint64_t due = min_u64(engine_deadline(&world.e), world.due_ns);

		if (due > until_ns)
			break;
		if (due == world.due_ns)
			world.due_ns = UINT64_MAX;
		world.now_ns = max_u64(world.now_ns, due);
		engine_time(&world.e, world.now_ns);
		world_settle();
	}
	world.now_ns = max_u64(world.now_ns, until_ns);
}

struct packet *world_packet(void)
{
	uint64_t until = world.now_ns + WORLD_PATIENCE_NS;
	struct packet *p;

	world_settle();
	for (unsigned steps = 0; world.made && !world.first && steps < STEPS_MAX; steps++) {
		uint64_t due = engine_deadline(&world.e);

		if (due > until)
			break;
		world_advance(max_u64(due, world.now_ns));
	}
	p = world.first;
	if (!p)
		return NULL;
	world.first = p->next;
	if (!world.first)
		world.last = &world.first;
	return p;
}

uint64_t world_time(void)
{
	if (world.leaving && !is_runner()) {
		world.leaving = false;
		world.returned = true;
		pthread_cond_broadcast(&world.changed);
	} else {
		world_advance(world.now_ns + LOOK_NS);
	}
	return world.now_ns;
}

int64_t world_wait(int64_t (*attempt)(void *arg), void *arg, uint64_t timeout_ns)
{
	uint64_t until = timeout_ns < WORLD_PATIENCE_NS ? world.now_ns + timeout_ns : UINT64_MAX;
	uint64_t patience = min_u64(until, world.now_ns + WORLD_PATIENCE_NS);

	for (bool slept = false;; slept = true) {
		int64_t n = attempt(arg);

		world_settle();
		if (n != -EAGAIN || world.now_ns >= until) {
			world.leaving = slept && !is_runner();
			return n;
		}
		if (is_runner()) {
			/* The script says that it does not block: only time can help. */
			uint64_t due = min_u64(engine_deadline(&world.e), until);

			if (due > patience || world.now_ns >= patience)
				return n;
			world_advance(max_u64(due, world.now_ns));
			continue;
		}
		world.due_ns = until;
		world.other = gettid();
		world.blocked = true;
		pthread_cond_broadcast(&world.changed);
		while (!world.poked)
			pthread_cond_wait(&world.changed, &world.lock);
		world.poked = false;
	}
}
