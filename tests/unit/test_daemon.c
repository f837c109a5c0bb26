/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A real mortised in a directory of its own, spoken to by hand.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/table.h"
#include "shm/conn.h"
#include "shm/half.h"
#include "shm/seat.h"
#include "mortised.h"

static int setup_none(void **state)
{
	(void)state;
	return setup_with("none", NULL);
}

static int setup_services(void **state)
{
	(void)state;
	return setup_with("share", "--test-services");
}

/* --------------------------------------------------------------- clients */

/** struct guest - A party made by hand. */
struct guest {
	int fd;
	struct party *p;
	int arena_fd, mbox_fd, bell;
	struct registry *reg;
	uint32_t gen;
	unsigned id;
};

static int introduce(void *arg, unsigned id, uint32_t gen, struct peer *ret)
{
	struct guest *g = arg;
	struct ctl_msg m = { .type = CTL_PEER, .peer = { .id = id, .gen = gen } };
	int fds[3], r;
	unsigned n = 3;

	r = ctl_call(g->fd, &m, NULL, 0, fds, &n);
	if (r < 0)
		return r;
	assert_int_equal(n, 3);
	ret->base = arena_map(fds[0], ARENA_BYTES, false);
	ret->mbox = arena_map(fds[1], MAILBOX_BYTES, true);
	ret->pid = m.peer.pid;
	ret->bell_fd[0] = fds[2];
	close(fds[0]);
	close(fds[1]);
	return ret->base && ret->mbox ? 0 : -ENOMEM;
}

static int fetch_bell(void *arg, const struct peer *p, unsigned bell)
{
	struct guest *g = arg;
	struct ctl_msg m = { .type = CTL_PEER_BELL,
			     .peer = { .id = p->id, .gen = p->gen, .bell = bell } };
	unsigned n = 1;
	int fd, r = ctl_call(g->fd, &m, NULL, 0, &fd, &n);

	return r < 0 ? r : fd;
}

static void let_go(void *arg, unsigned id, uint32_t gen)
{
	struct guest *g = arg;
	struct ctl_msg m = { .type = CTL_LET_GO, .peer = { .id = id, .gen = gen } };

	ctl_post(g->fd, &m);
}

static const struct party_ops ops = { .introduce = introduce, .fetch_bell = fetch_bell, .let_go = let_go };

static int guest_hello(struct guest *g)
{
	struct ctl_msg m = { .type = CTL_HELLO, .hello = { .pid = (uint32_t)getpid(),
							   .comm = "guest" } };
	int fds[3] = { g->arena_fd, g->mbox_fd, g->bell }, reg, r;
	unsigned n = 1;

	r = ctl_call(g->fd, &m, fds, 3, &reg, &n);
	if (r < 0)
		return r;
	assert_int_equal(n, 1);
	if (!g->reg) {
		g->reg = arena_map(reg, REGISTRY_BYTES, false);
		assert_non_null(g->reg);
		assert_int_equal(registry_check(g->reg), 0);
		/* It is not ours to write. */
		assert_null(arena_map(reg, REGISTRY_BYTES, true));
	}
	close(reg);
	g->id = m.hello.party;
	g->gen = m.hello.gen;
	return 0;
}

static void guest_make(struct guest *g)
{
	*g = (struct guest){ .fd = ctl_connect("default") };
	assert_true(g->fd >= 0);
	g->p = party_create("guest", &g->arena_fd, &g->mbox_fd);
	assert_non_null(g->p);
	g->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(guest_hello(g), 0);
	party_admit(g->p, g->id, g->gen, g->reg, &ops, g);
}

static void guest_close(struct guest *g)
{
	if (g->fd >= 0)
		close(g->fd);
	g->fd = -1;
	close(g->arena_fd);
	close(g->mbox_fd);
	close(g->bell);
	party_destroy(g->p);
	arena_unmap(g->reg, REGISTRY_BYTES);
}

static int handles(struct guest *g, unsigned count, uint32_t *ids, int *fds)
{
	struct ctl_msg m = { .type = CTL_HANDLES, .handles = { .count = count } };
	unsigned n = CTL_HANDLE_BATCH;
	int r = ctl_call(g->fd, &m, NULL, 0, fds, &n);

	if (r < 0)
		return r;
	assert_int_equal(n, m.handles.count);
	memcpy(ids, m.handles.ids, n * sizeof(ids[0]));
	return (int)n;
}

static struct ctl_msg status(void)
{
	struct ctl_msg m = status_try();

	assert_int_not_equal(m.status.keeper_pid, 0);
	return m;
}

static int listen_call(struct guest *g, uint16_t type, uint32_t addr, uint16_t port,
		       unsigned slot, uint32_t gen)
{
	struct ctl_msg m = { .type = type,
			     .listen = { .at = addr_word_make(addr, port), .slot = slot,
					 .gen = gen, .party = g->id } };

	return ctl_call(g->fd, &m, NULL, 0, NULL, NULL);
}

/* A listener of ours, published. */
static struct half *listener_make(struct guest *g, uint32_t addr, uint16_t port, int want)
{
	int slot = party_slot_alloc(g->p);
	struct half *h;

	assert_true(slot >= 0);
	h = arena_half(g->p->base, (unsigned)slot);
	store_relaxed(&h->local, addr_word_make(addr, port));
	half_set_state(h, HALF_BOUND);
	assert_int_equal(seat_open(g->p, h, 8), 0);
	assert_int_equal(listen_call(g, CTL_LISTEN, addr, port, (unsigned)slot, half_gen(h)),
			 want);
	return h;
}

#define LO 0x7f000001u

/* A connection from @a to the listener @l of @b, with handles 0 and 1 named
 * for its ends by their handle words. */
static void connection_make(struct guest *a, uint32_t a_handle, struct guest *b, struct half *l,
			    uint32_t b_handle, struct conn *ret_a, struct conn *ret_b)
{
	int slot = party_slot_alloc(a->p);
	struct half *h = arena_half(a->p->base, (unsigned)slot);
	struct listener_ref ref;
	uint64_t cursor = 0;

	*ret_a = (struct conn){ 0 };
	*ret_b = (struct conn){ 0 };
	assert_int_equal(registry_find(a->reg, addr_word_make(LO, addr_word_port(l->local)), &ref), 0);
	store_relaxed(&h->handle, a_handle + 1);
	store_relaxed(&h->local, addr_word_make(LO, 61000));
	store_relaxed(&h->remote, l->local);
	store_release(&arena_handles(a->p->base)[a_handle],
		      slot_word_make((unsigned)slot, half_gen(h)));
	half_set_state(h, HALF_BOUND);
	assert_int_equal(seat_claim(a->p, h, &ref, ret_a), 0);
	assert_int_equal(seat_take(b->p, l, &cursor, b_handle, ret_b), 0);
}

/* ---------------------------------------------------------------- tests */

static void hello__is_answered_twice_the_same(void **state)
{
	struct guest g;
	unsigned id;
	uint32_t gen;

	(void)state;
	guest_make(&g);
	id = g.id;
	gen = g.gen;
	assert_true(id > 0);
	assert_true(registry_party_alive(g.reg, id, gen));
	assert_int_equal(guest_hello(&g), 0);
	assert_int_equal(g.id, id);
	assert_int_equal(g.gen, gen);
	assert_int_equal(status().status.clients, 1);
	close(g.fd);
	g.fd = -1;
	EVENTUALLY(!registry_party_alive(g.reg, id, gen));
	EVENTUALLY(g.reg->parties[id].gen_state == (uint64_t)gen << 32);
	guest_close(&g);
}

static void handles__are_recycled(void **state)
{
	uint32_t ids[CTL_HANDLE_BATCH] = { 0 }, again[CTL_HANDLE_BATCH];
	int fds[CTL_HANDLE_BATCH], n;
	struct sockaddr_un un = { 0 };
	socklen_t len = sizeof(un);
	char want[64];
	struct guest g;

	(void)state;
	guest_make(&g);
	n = handles(&g, 64, ids, fds);
	assert_int_equal(n, 64);
	assert_int_equal(status().status.handles, 64);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < i; j++)
			assert_int_not_equal(ids[i], ids[j]);
	/* A fresh process image recognises it. */
	assert_int_equal(getpeername(fds[5], (struct sockaddr *)&un, &len), 0);
	snprintf(want, sizeof(want), "mortise/%llu/default/%u/%u",
		 (unsigned long long)ctl_netns(), g.id, ids[5]);
	assert_int_equal(un.sun_path[0], 0);
	assert_int_equal(strncmp(un.sun_path + 1, want, strlen(want)), 0);
	/* What is written to it is thrown away, and it stays. */
	for (int i = 0; i < 200; i++)
		EVENTUALLY(send(fds[0], want, sizeof(want), MSG_DONTWAIT) == sizeof(want));
	shutdown(fds[1], SHUT_WR);
	for (int i = 0; i < 40; i++)
		close(fds[i]);
	EVENTUALLY(status().status.handles == 24);
	n = handles(&g, 40, again, fds);
	assert_int_equal(n, 40);
	assert_true(again[0] < 64);
	assert_int_equal(status().status.handles, 64);
	guest_close(&g);
}

/* Batches, up to @most handles. Return: how many, with the last result. */
static unsigned handles_fill(struct guest *g, unsigned most, int *fds, int *ret_last)
{
	uint32_t ids[CTL_HANDLE_BATCH] = { 0 };
	unsigned n = 0;

	while (n < most) {
		unsigned left = most - n;

		*ret_last = handles(g, left < CTL_HANDLE_BATCH ? left : CTL_HANDLE_BATCH, ids,
				    fds + n);
		if (*ret_last < 0)
			break;
		n += (unsigned)*ret_last;
	}
	return n;
}

/* More than one process can hold: a child has half of the near ends, and wards
 * have far ends. */
static void handles__have_a_limit(void **state)
{
	enum { HALF = CLIENT_HANDLES / 2 };
	static int fds[HALF + CTL_HANDLE_BATCH];
	struct rlimit was, rl;
	uint32_t ids[1] = { 0 };
	struct guest g, other;
	int r = 0, to[2];
	unsigned n;
	pid_t pid;
	char byte = 0;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	if (was.rlim_max < HALF + 1024) {
		print_message("a hard limit of %lu descriptors is too low\n",
			      (unsigned long)was.rlim_max);
		skip();
	}
	rl = (struct rlimit){ HALF + 1024, was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &rl), 0);
	guest_make(&g);
	assert_int_equal(pipe(to), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		n = handles_fill(&g, HALF, fds, &r);
		if (n == HALF && write(to[1], &byte, 1) == 1)
			pause();
		_exit(1);
	}
	close(to[1]);
	assert_int_equal(read(to[0], &byte, 1), 1);
	n = handles_fill(&g, ARRAY_LEN(fds), fds, &r);
	assert_int_equal(r, -EMFILE);
	assert_int_equal(n, HALF);
	assert_int_equal(status().status.handles, CLIENT_HANDLES);
	/* The others are served. */
	guest_make(&other);
	r = handles(&other, 1, ids, fds + n);
	assert_int_equal(r, 1);
	n++;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(to[0]);
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
	EVENTUALLY(status().status.handles == 0);
	assert_int_equal(handles(&g, 1, ids, fds), 1);
	close(fds[0]);
	guest_close(&g);
	guest_close(&other);
	setrlimit(RLIMIT_NOFILE, &was);
}

/* Addresses of the table, and none that is not in it. */
static void listen__of_ipv6(void **state)
{
	const addr_word wrong[] = {
		addr_word_make6(ADDR_MAX, 4600), addr_word_make6(~0u, 4600),
		addr_word_make6(ADDR_LOOPBACK6, 4600) | 1ull << 51, ~0ull,
		addr_word_make6(ADDR_LOOPBACK6, 0),
	};
	addr_word any = addr_word_make6(ADDR_ANY6, 4600) | ADDR_WORD_DUAL;
	struct listener_ref ref;
	struct ctl_msg m;
	struct guest g;
	struct half *h;
	int slot;

	(void)state;
	guest_make(&g);
	slot = party_slot_alloc(g.p);
	assert_true(slot >= 0);
	h = arena_half(g.p->base, (unsigned)slot);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		m = (struct ctl_msg){ .type = CTL_LISTEN, .listen = { .at = wrong[i],
				      .slot = (uint32_t)slot, .gen = half_gen(h) } };
		assert_int_equal(ctl_call(g.fd, &m, NULL, 0, NULL, NULL), -EINVAL);
	}
	store_relaxed(&h->local, any);
	half_set_state(h, HALF_BOUND);
	assert_int_equal(seat_open(g.p, h, 1), 0);
	m = (struct ctl_msg){ .type = CTL_LISTEN, .listen = { .at = any, .slot = (uint32_t)slot,
			      .gen = half_gen(h) } };
	assert_int_equal(ctl_call(g.fd, &m, NULL, 0, NULL, NULL), 0);
	assert_int_equal(registry_find(g.reg, addr_word_make(LO, 4600), &ref), 0);
	assert_int_equal(registry_find(g.reg, addr_word_make6(ADDR_LOOPBACK6, 4600), &ref), 0);
	assert_int_equal(ref.half, half_ref_of(g.p, h));
	guest_close(&g);
}

static void listen__is_seen_in_the_registry(void **state)
{
	struct ctl_msg m = { .type = CTL_LISTEN,
			     .listen = { .at = addr_word_make(LO, 4000), .reuse = 1 } };
	struct listener_ref ref;
	struct guest a, b;
	struct half *h, *h2;

	(void)state;
	guest_make(&a);
	guest_make(&b);
	h = listener_make(&a, LO, 4000, 0);
	assert_int_equal(registry_find(b.reg, addr_word_make(LO, 4000), &ref), 0);
	assert_int_equal(ref.half, half_ref_of(a.p, h));
	assert_int_equal(ref.party_gen, a.gen);
	/* Asked again: the same. */
	assert_int_equal(listen_call(&a, CTL_LISTEN, LO, 4000, half_ref_slot(ref.half),
				     half_ref_gen(ref.half)), 0);
	/* Nonsense. */
	assert_int_equal(listen_call(&a, CTL_LISTEN, LO, 0, 0, 1), -EINVAL);
	assert_int_equal(listen_call(&a, CTL_LISTEN, LO, 1, SLOT_MAX, 1), -EINVAL);
	/* A second one, which the kernel would refuse. */
	h2 = listener_make(&b, LO, 4000, -EADDRINUSE);
	assert_int_equal(registry_find(b.reg, addr_word_make(LO, 4000), &ref), 0);
	assert_int_equal(ref.half, half_ref_of(a.p, h));
	/* It would not: a group, of which connectors choose. */
	m.listen.slot = arena_slot(b.p->base, h2);
	m.listen.gen = half_gen(h2);
	assert_int_equal(ctl_call(b.fd, &m, NULL, 0, NULL, NULL), 0);
	assert_int_equal(registry_find_one(b.reg, addr_word_make(LO, 4000), 2, &ref), 2);
	assert_int_equal(ref.half, half_ref_of(a.p, h));
	assert_int_equal(registry_find_one(b.reg, addr_word_make(LO, 4000), 3, &ref), 2);
	assert_int_equal(ref.half, half_ref_of(b.p, h2));
	assert_int_equal(registry_find_of(b.reg, addr_word_make(LO, 4000), b.id, b.gen, &ref), 0);
	assert_int_equal(ref.half, half_ref_of(b.p, h2));
	/* Unlisten, and someone else's demotion. */
	h = listener_make(&a, LO, 4001, 0);
	assert_int_equal(listen_call(&a, CTL_UNLISTEN, LO, 4001, arena_slot(a.p->base, h),
				     half_gen(h)), 0);
	assert_int_equal(registry_find(b.reg, addr_word_make(LO, 4001), &ref), -ENOENT);
	h = listener_make(&a, LO, 4001, 0);
	b.id = a.id;
	assert_int_equal(listen_call(&b, CTL_DEMOTE, LO, 4001, arena_slot(a.p->base, h),
				     half_gen(h)), 0);
	assert_int_equal(registry_find(b.reg, addr_word_make(LO, 4001), &ref), -ENOENT);
	/* Death withdraws the rest. */
	listener_make(&a, 0, 4002, 0);
	assert_int_equal(registry_find(b.reg, addr_word_make(LO, 4002), &ref), 0);
	close(a.fd);
	a.fd = -1;
	EVENTUALLY(registry_find(b.reg, addr_word_make(LO, 4002), &ref) == -ENOENT);
	guest_close(&a);
	guest_close(&b);
}

static void hangup__executes_the_half(void **state)
{
	struct conn ca, cb;
	struct guest a, b;
	struct half *l;
	uint32_t ids[4] = { 0 };
	int fds[4];
	char buf[8];

	(void)state;
	guest_make(&a);
	guest_make(&b);
	assert_int_equal(handles(&a, 4, ids, fds), 4);
	l = listener_make(&b, LO, 4100, 0);
	connection_make(&a, ids[0], &b, l, 0, &ca, &cb);
	assert_int_equal(conn_send(&ca, "abc", 3), 3);
	assert_int_equal(status().status.connections, 1);
	close(fds[0]);
	EVENTUALLY(half_state(ca.own) == HALF_RELEASED);
	EVENTUALLY(load_acquire(&arena_handles(a.p->base)[ids[0]]) == 0);
	assert_int_equal(conn_recv(&cb, buf, sizeof(buf), 0, 0), 3);
	assert_int_equal(conn_recv(&cb, buf, sizeof(buf), 0, 0), 0);
	/* With data unread: a reset. */
	connection_make(&a, ids[1], &b, l, 1, &ca, &cb);
	assert_int_equal(conn_send(&cb, "abc", 3), 3);
	close(fds[1]);
	EVENTUALLY(half_state(ca.own) == HALF_RELEASED);
	assert_int_equal(conn_recv(&cb, buf, sizeof(buf), 0, 0), -ECONNRESET);
	close(fds[2]);
	close(fds[3]);
	guest_close(&a);
	guest_close(&b);
}

static void death__leaves_an_estate_until_let_go(void **state)
{
	struct conn ca, cb;
	struct guest b;
	struct half *l;
	int to[2], pid, wstatus;
	unsigned id;
	uint32_t gen;
	char c;

	(void)state;
	assert_int_equal(pipe(to), 0);
	guest_make(&b);
	l = listener_make(&b, LO, 4200, 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct listener_ref ref;
		struct guest a;
		uint32_t ids[1] = { 0 };
		int fds[1], slot;
		struct half *h;

		guest_make(&a);
		handles(&a, 1, ids, fds);
		if (registry_find(a.reg, addr_word_make(LO, 4200), &ref) != 0)
			_exit(1);
		slot = party_slot_alloc(a.p);
		h = arena_half(a.p->base, (unsigned)slot);
		store_relaxed(&h->handle, ids[0] + 1);
		store_relaxed(&h->local, addr_word_make(LO, 61000));
		store_relaxed(&h->remote, addr_word_make(LO, 4200));
		store_release(&arena_handles(a.p->base)[ids[0]],
			      slot_word_make((unsigned)slot, half_gen(h)));
		half_set_state(h, HALF_BOUND);
		ca = (struct conn){ 0 };
		if (seat_claim(a.p, h, &ref, &ca) != 0 || conn_send(&ca, "last words", 10) != 10)
			_exit(2);
		if (write(to[1], &a.id, sizeof(a.id)) < 0 || write(to[1], &a.gen, 4) < 0)
			_exit(3);
		raise(SIGKILL);
		_exit(4);
	}
	assert_int_equal(waitpid(pid, &wstatus, 0), pid);
	assert_true(WIFSIGNALED(wstatus));
	assert_int_equal(read(to[0], &id, sizeof(id)), sizeof(id));
	assert_int_equal(read(to[0], &gen, 4), 4);
	EVENTUALLY((uint32_t)load_acquire(&b.reg->parties[id].gen_state) == PARTY_DEAD);
	/* Sent before the death, accepted after it. */
	{
		uint64_t cursor = 0;
		char buf[16];

		cb = (struct conn){ 0 };
		assert_int_equal(seat_take(b.p, l, &cursor, 0, &cb), 0);
		EVENTUALLY(conn_recv(&cb, buf, sizeof(buf), 0, CONN_PEEK) == 10);
		assert_int_equal(conn_recv(&cb, buf, sizeof(buf), 0, 0), 10);
		assert_memory_equal(buf, "last words", 10);
		EVENTUALLY(conn_recv(&cb, &c, 1, 0, 0) == 0);
	}
	nap();
	assert_int_equal((uint32_t)load_acquire(&b.reg->parties[id].gen_state), PARTY_DEAD);
	half_end(b.p, cb.own, cb.peer, cb.owner, false);
	half_release(cb.own);
	party_slot_retire(b.p, arena_slot(b.p->base, cb.own));
	conn_detach(&cb);
	party_peers_sweep(b.p);
	EVENTUALLY((uint32_t)load_acquire(&b.reg->parties[id].gen_state) == PARTY_FREE);
	close(to[0]);
	close(to[1]);
	guest_close(&b);
}

static void fork__keeps_the_halves_of_a_dead_party(void **state)
{
	struct conn ca, cb;
	struct guest a, b;
	struct half *l;
	uint32_t ids[2] = { 0 };
	int fds[2], kept;
	char buf[8];

	(void)state;
	guest_make(&a);
	guest_make(&b);
	assert_int_equal(handles(&a, 2, ids, fds), 2);
	l = listener_make(&b, LO, 4300, 0);
	connection_make(&a, ids[0], &b, l, 0, &ca, &cb);
	kept = dup(fds[0]);
	close(fds[0]);
	close(fds[1]);
	close(a.fd);
	a.fd = -1;
	EVENTUALLY(!registry_party_alive(b.reg, a.id, a.gen));
	for (int i = 0; i < 20; i++)
		nap();
	assert_int_equal(half_state(ca.own), HALF_OPEN);
	assert_int_equal(conn_send(&ca, "child", 5), 5);
	assert_int_equal(conn_recv(&cb, buf, sizeof(buf), 0, 0), 5);
	close(kept);
	EVENTUALLY(half_state(ca.own) == HALF_RELEASED);
	assert_int_equal(conn_recv(&cb, buf, sizeof(buf), 0, 0), 0);
	guest_close(&a);
	guest_close(&b);
}

static void expect_end(int fd)
{
	struct ctl_msg m;
	int r;

	do
		r = ctl_recv(fd, &m, NULL, NULL, WAIT_MS);
	while (r == 0);
	assert_int_equal(r, -EPIPE);
}

static void malformed__ends_that_client_only(void **state)
{
	struct ctl_msg m = { .version = CTL_VERSION, .type = CTL_STATUS,
			     .len = CTL_HEADER_BYTES };
	char big[4096] = { 0 };
	uint32_t ids[1] = { 0 };
	struct guest g;
	int fd, fds[1];

	(void)state;
	guest_make(&g);
	for (int i = 0; i < 9; i++) {
		fd = ctl_connect("default");
		assert_true(fd >= 0);
		switch (i) {
		case 0: /* shorter than a header */
			assert_int_equal(send(fd, &m, 3, 0), 3);
			break;
		case 1: /* oversized */
			memcpy(big, &m, CTL_HEADER_BYTES);
			assert_int_equal(send(fd, big, sizeof(big), 0), sizeof(big));
			break;
		case 2: /* unknown */
			m.type = 99;
			assert_int_equal(ctl_send(fd, &m, NULL, 0), 0);
			break;
		case 3: /* before hello */
			m.type = CTL_LEASE;
			assert_int_equal(ctl_send(fd, &m, NULL, 0), 0);
			break;
		case 4: /* a reply */
			m.type = CTL_STATUS | CTL_REPLY;
			m.len = sizeof(m);
			assert_int_equal(ctl_send(fd, &m, NULL, 0), 0);
			break;
		case 5: /* descriptors where none belong */
			m.type = CTL_STATUS;
			assert_int_equal(ctl_send(fd, &m, (int[]){ 0 }, 1), 0);
			break;
		case 6: /* hello without memory */
			m.type = CTL_HELLO;
			m.hello.pid = (uint32_t)getpid();
			assert_int_equal(ctl_send(fd, &m, NULL, 0), 0);
			break;
		case 7: /* hello with what is no memory */
			assert_int_equal(ctl_send(fd, &m, (int[]){ 0, 1, 2 }, 3), 0);
			break;
		case 8: /* empty */
			assert_int_equal(send(fd, &m, 0, 0), 0);
			break;
		}
		expect_end(fd);
		close(fd);
		m.len = CTL_HEADER_BYTES;
	}
	/* As a party: a batch of an impossible size, after a right one. */
	assert_int_equal(handles(&g, 1, ids, fds), 1);
	{
		struct guest bad;

		guest_make(&bad);
		assert_int_equal(handles(&bad, 65, ids, fds), -EPIPE);
		guest_close(&bad);
		guest_make(&bad);
		m = (struct ctl_msg){ .type = CTL_BELL, .bell = { .number = 1 } };
		assert_int_equal(ctl_call(bad.fd, &m, (int[]){ 0 }, 1, NULL, NULL), -EPIPE);
		guest_close(&bad);
	}
	assert_int_equal(guest_hello(&g), 0);
	close(fds[0]);
	guest_close(&g);
}

static void hello__of_another_process_is_refused(void **state)
{
	struct ctl_msg m = { .type = CTL_HELLO, .hello = { .pid = 1 } };
	int fd = ctl_connect("default");

	(void)state;
	assert_int_equal(ctl_call(fd, &m, NULL, 0, NULL, NULL), -EPERM);
	expect_end(fd);
	close(fd);
}

static void version__of_another_is_told_and_ended(void **state)
{
	struct ctl_msg m = { .version = CTL_VERSION + 1, .type = CTL_HELLO, .seq = 77,
			     .len = CTL_BYTES(hello) };
	int fd = ctl_connect("default");

	(void)state;
	assert_int_equal(ctl_send(fd, &m, NULL, 0), 0);
	assert_int_equal(ctl_recv(fd, &m, NULL, NULL, WAIT_MS), 0);
	assert_int_equal(m.error, EPROTONOSUPPORT);
	assert_int_equal(m.type, CTL_HELLO | CTL_REPLY);
	assert_int_equal(m.seq, 77);
	expect_end(fd);
	close(fd);
}

static void peer__is_introduced(void **state)
{
	struct guest a, b;
	struct peer *peer;
	int bell;
	struct ctl_msg m;

	(void)state;
	guest_make(&a);
	guest_make(&b);
	assert_int_equal(party_peer_get(a.p, b.id, b.gen, &peer), 0);
	assert_int_equal(arena_hdr(peer->base)->pid, getpid());
	assert_int_equal(party_peer_get(a.p, b.id, b.gen + 1, &peer), -ESRCH);
	assert_int_equal(party_peer_get(a.p, 4000, 1, &peer), -ESRCH);
	/* Bells. */
	m = (struct ctl_msg){ .type = CTL_BELL, .bell = { .number = 3 } };
	bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(ctl_call(b.fd, &m, &bell, 1, NULL, NULL), 0);
	assert_int_equal(party_peer_get(a.p, b.id, b.gen, &peer), 0);
	store_relaxed(&arena_hdr(b.p->base)->bells[3].sleepers, 1);
	peer_ring_bell(a.p, peer, 7, 3);
	{
		uint64_t n = 0;

		assert_int_equal(read(bell, &n, sizeof(n)), sizeof(n));
		assert_int_equal(n, 1);
	}
	close(bell);
	guest_close(&a);
	guest_close(&b);
}

/* Who asks first may not be able to ask later. */
static void bell__asked_for_before_it_is_made_is_one_for_both(void **state)
{
	struct guest a, b;
	int early, own, made = -1;
	struct ctl_msg m;
	unsigned n = 1;
	uint64_t word = 1;

	(void)state;
	guest_make(&a);
	guest_make(&b);
	m = (struct ctl_msg){ .type = CTL_PEER_BELL,
			      .peer = { .id = b.id, .gen = b.gen, .bell = 4 } };
	assert_int_equal(ctl_call(a.fd, &m, NULL, 0, &early, &n), 0);
	assert_int_equal(n, 1);
	own = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (int again = 0; again < 2; again++) {
		m = (struct ctl_msg){ .type = CTL_BELL, .bell = { .number = 4 } };
		n = 1;
		assert_int_equal(ctl_call(b.fd, &m, &own, 1, &made, &n), 0);
		assert_int_equal(n, 1);
		assert_int_equal(write(early, &word, sizeof(word)), sizeof(word));
		assert_int_equal(read(made, &word, sizeof(word)), sizeof(word));
		assert_int_equal(word, 1);
		close(made);
	}
	close(own);
	close(early);
	guest_close(&a);
	guest_close(&b);
}

static void lease__gives_blocks_and_takes_them_back(void **state)
{
	struct ctl_msg m = { .type = CTL_LEASE };
	struct guest a, b;
	unsigned n = 0;
	uint16_t first;

	(void)state;
	guest_make(&a);
	guest_make(&b);
	listener_make(&b, LO, 61010, 0);
	assert_int_equal(ctl_call(a.fd, &m, NULL, 0, NULL, NULL), 0);
	assert_int_equal(m.lease.count, 64);
	assert_int_equal(m.lease.first, 61064);
	first = m.lease.first;
	for (n = 1; n < 1000; n++) {
		m.type = CTL_LEASE;
		if (ctl_call(a.fd, &m, NULL, 0, NULL, NULL) < 0)
			break;
		assert_true(m.lease.first + 64 <= 65536);
		assert_true(m.lease.first >= 61000 || m.lease.first + 64 <= 32768);
		assert_int_not_equal(m.lease.first, first);
	}
	assert_int_equal(m.error, EADDRNOTAVAIL);
	assert_true(n < LEASE_BLOCKS - 16);
	close(a.fd);
	a.fd = -1;
	EVENTUALLY(!registry_party_alive(b.reg, a.id, a.gen));
	m.type = CTL_LEASE;
	assert_int_equal(ctl_call(b.fd, &m, NULL, 0, NULL, NULL), 0);
	/* They rest first, and come when it is their turn. */
	assert_int_not_equal(m.lease.first, first);
	for (n = 1; n < LEASE_BLOCKS && m.lease.first != first; n++) {
		m.type = CTL_LEASE;
		assert_int_equal(ctl_call(b.fd, &m, NULL, 0, NULL, NULL), 0);
	}
	assert_int_equal(m.lease.first, first);
	guest_close(&a);
	guest_close(&b);
}

static int bind_call(struct guest *g, uint32_t addr, uint16_t port, unsigned slot, uint32_t reuse,
		     uint16_t *ret)
{
	struct ctl_msg m = { .type = CTL_BIND,
			     .listen = { .at = addr_word_make(addr, port), .slot = slot,
					 .gen = 1, .reuse = reuse } };
	int r = ctl_call(g->fd, &m, NULL, 0, NULL, NULL);

	if (ret)
		*ret = addr_word_port(m.listen.at);
	return r;
}

static void bind__arbitrates(void **state)
{
	struct ctl_msg m;
	struct guest a, b;
	uint16_t port;

	(void)state;
	guest_make(&a);
	guest_make(&b);
	assert_int_equal(bind_call(&a, LO, 80, 0, 0, NULL), 0);
	assert_int_equal(bind_call(&a, LO, 80, 0, 0, NULL), 0); /* asked again */
	assert_int_equal(bind_call(&b, LO, 80, 0, 0, NULL), -EADDRINUSE);
	assert_int_equal(bind_call(&b, 0, 80, 0, 0, NULL), -EADDRINUSE);
	assert_int_equal(bind_call(&b, LO + 1, 80, 0, 0, NULL), 0);
	/* SO_REUSEADDR on both: until one listens. */
	assert_int_equal(bind_call(&a, LO, 81, 1, 1, NULL), 0);
	assert_int_equal(bind_call(&b, LO, 81, 1, 0, NULL), -EADDRINUSE);
	assert_int_equal(bind_call(&b, LO, 81, 1, 1, NULL), 0);
	/* Port 0. */
	assert_int_equal(bind_call(&a, LO, 0, 2, 0, &port), 0);
	assert_in_range(port, 32768, 60999);
	assert_int_equal(bind_call(&a, LO, 0, 2, 0, &port), 0);
	m = (struct ctl_msg){ .type = CTL_UNBIND,
			      .listen = { .at = addr_word_make(LO, 80), .slot = 0, .gen = 1 } };
	assert_int_equal(ctl_post(a.fd, &m), 0);
	assert_int_equal(guest_hello(&a), 0);
	assert_int_equal(bind_call(&b, LO, 80, 3, 0, NULL), 0);
	close(a.fd);
	a.fd = -1;
	EVENTUALLY(bind_call(&b, LO, port, 4, 0, NULL) == 0);
	guest_close(&a);
	guest_close(&b);
}

static void restart__goes_on(void **state)
{
	struct conn ca, cb, cc, cd;
	struct listener_ref ref;
	struct guest a, b;
	struct half *l;
	uint32_t ids[8] = { 0 }, old;
	struct ctl_msg m;
	char buf[8];
	int fds[8];

	(void)state;
	guest_make(&a);
	guest_make(&b);
	assert_int_equal(handles(&a, 8, ids, fds), 8);
	l = listener_make(&b, LO, 4400, 0);
	connection_make(&a, ids[0], &b, l, 0, &ca, &cb);
	connection_make(&a, ids[1], &b, l, 1, &cc, &cd);
	old = status().status.daemon_pid;
	/* A hang-up while there is no daemon able to act. */
	assert_int_equal(kill((pid_t)old, SIGSTOP), 0);
	close(fds[0]);
	for (int i = 0; i < 10; i++)
		nap();
	assert_int_equal(half_state(ca.own), HALF_OPEN);
	assert_int_equal(kill((pid_t)old, SIGKILL), 0);
	assert_int_equal(ctl_recv(a.fd, &m, NULL, NULL, WAIT_MS), 0);
	assert_int_equal(m.type, CTL_RESTARTED);
	EVENTUALLY(half_state(ca.own) == HALF_RELEASED);
	assert_int_equal(conn_recv(&cb, buf, sizeof(buf), 0, 0), 0);
	/* The other connection did not notice; the registry is whole. */
	assert_int_equal(conn_send(&cc, "x", 1), 1);
	assert_int_equal(conn_recv(&cd, buf, sizeof(buf), 0, 0), 1);
	assert_int_equal(registry_find(a.reg, addr_word_make(LO, 4400), &ref), 0);
	assert_int_not_equal(status().status.daemon_pid, old);
	assert_int_equal(status().status.clients, 2);
	assert_int_equal(status().status.handles, 7);
	/* Requests go on, b's with a CTL_RESTARTED in its way. */
	assert_int_equal(handles(&b, 1, ids, fds), 1);
	close(fds[0]);
	/* Killed with a request on its way: it is asked again. */
	for (int i = 0; i < 5; i++) {
		assert_int_equal(kill((pid_t)status().status.daemon_pid, SIGKILL), 0);
		assert_int_equal(guest_hello(&a), 0);
	}
	/* A client that dies while there is no daemon. */
	old = status().status.daemon_pid;
	assert_int_equal(kill((pid_t)old, SIGSTOP), 0);
	close(a.fd);
	a.fd = -1;
	for (int i = 1; i < 8; i++)
		close(fds[i]);
	assert_int_equal(kill((pid_t)old, SIGKILL), 0);
	EVENTUALLY(!registry_party_alive(b.reg, a.id, a.gen));
	EVENTUALLY(half_state(cc.own) == HALF_RELEASED);
	guest_close(&a);
	guest_close(&b);
}

static void keeper__death_ends_the_channels(void **state)
{
	struct guest g;
	uint32_t pid;

	(void)state;
	guest_make(&g);
	pid = status().status.daemon_pid;
	assert_int_equal(kill(keeper, SIGKILL), 0);
	assert_int_equal(waitpid(keeper, NULL, 0), keeper);
	keeper = 0;
	expect_end(g.fd);
	EVENTUALLY(kill((pid_t)pid, 0) != 0);
	/* The next one takes over the directory. */
	daemon_run("share", "1000", NULL);
	assert_int_equal(status().status.clients, 0);
	guest_close(&g);
}

static void leave__when_unused(void **state)
{
	char dir[PATH_MAX], sock[PATH_MAX + 8];
	struct guest g;
	int wstatus;

	(void)state;
	assert_int_equal(kill(keeper, SIGKILL), 0);
	waitpid(keeper, NULL, 0);
	daemon_run("share", "1", NULL);
	guest_make(&g);
	for (int i = 0; i < 260; i++)
		nap();
	assert_int_equal(waitpid(keeper, &wstatus, WNOHANG), 0);
	guest_close(&g);
	EVENTUALLY(waitpid(keeper, &wstatus, WNOHANG) == keeper);
	keeper = 0;
	assert_true(WIFEXITED(wstatus) && WEXITSTATUS(wstatus) == 0);
	assert_int_equal(ctl_dir("default", dir, sizeof(dir)), 0);
	snprintf(sock, sizeof(sock), "%s/ctl", dir);
	assert_int_equal(access(sock, F_OK), -1);
	assert_int_equal(ctl_connect("default"), -ENOENT);
}

static void down__refuses_then_forces(void **state)
{
	struct ctl_msg m = { .type = CTL_DOWN };
	struct conn ca, cb;
	struct guest a, b;
	struct half *l;
	uint32_t ids[1] = { 0 };
	int fds[1], fd;
	char c;

	(void)state;
	guest_make(&a);
	guest_make(&b);
	assert_int_equal(handles(&a, 1, ids, fds), 1);
	l = listener_make(&b, LO, 4500, 0);
	connection_make(&a, ids[0], &b, l, 0, &ca, &cb);
	fd = ctl_connect("default");
	assert_int_equal(ctl_call(fd, &m, NULL, 0, NULL, NULL), -EBUSY);
	assert_int_equal(m.status.connections, 1);
	m = (struct ctl_msg){ .type = CTL_DOWN, .down = { .force = 1 } };
	assert_int_equal(ctl_call(fd, &m, NULL, 0, NULL, NULL), 0);
	assert_int_equal(waitpid(keeper, NULL, 0), keeper);
	keeper = 0;
	assert_int_equal(conn_recv(&cb, &c, 1, 0, 0), -ECONNRESET);
	expect_end(a.fd);
	close(fd);
	close(fds[0]);
	guest_close(&a);
	guest_close(&b);
}

static void term__is_an_orderly_end(void **state)
{
	struct conn ca, cb;
	struct guest a, b;
	struct half *l;
	int wstatus;
	char c;

	(void)state;
	guest_make(&a);
	guest_make(&b);
	l = listener_make(&b, LO, 4600, 0);
	connection_make(&a, 0, &b, l, 0, &ca, &cb);
	assert_int_equal(kill(keeper, SIGTERM), 0);
	assert_int_equal(waitpid(keeper, &wstatus, 0), keeper);
	keeper = 0;
	assert_true(WIFEXITED(wstatus) && WEXITSTATUS(wstatus) == 0);
	assert_int_equal(conn_recv(&cb, &c, 1, 0, 0), -ECONNRESET);
	guest_close(&a);
	guest_close(&b);
}

static unsigned list_count(int fd, uint32_t state, struct ctl_msg *ret)
{
	struct ctl_msg m = { .type = CTL_LIST };
	unsigned n = 0;

	m.version = CTL_VERSION;
	m.len = ctl_bytes(CTL_LIST);
	m.seq = 1;
	assert_int_equal(ctl_send(fd, &m, NULL, 0), 0);
	for (;;) {
		assert_int_equal(ctl_recv(fd, &m, NULL, NULL, WAIT_MS), 0);
		assert_int_equal(m.type, CTL_LIST | CTL_REPLY);
		if (m.row.last)
			return n;
		if (m.row.state != state)
			continue;
		*ret = m;
		n++;
	}
}

static int linger(uint32_t seconds)
{
	struct ctl_msg m = { .type = CTL_LINGER, .linger = { .seconds = seconds } };
	int fd = ctl_connect("default"), r = ctl_call(fd, &m, NULL, 0, NULL, NULL);

	close(fd);
	return r;
}

static void linger__outlives_the_daemon(void **state)
{
	uint32_t old = status().status.daemon_pid;

	(void)state;
	assert_int_equal(linger(77), 0);
	assert_int_equal(status().status.linger_s, 77);
	assert_int_equal(linger(CTL_LINGER_MAX + 1), -EINVAL);
	assert_int_equal(status().status.linger_s, 77);
	assert_int_equal(kill((pid_t)old, SIGKILL), 0);
	EVENTUALLY(status().status.daemon_pid != old);
	assert_int_equal(status().status.linger_s, 77);
	assert_int_equal(linger(CTL_LINGER_MAX), 0);
	assert_int_equal(status().status.linger_s, CTL_LINGER_MAX);
}

static void list__shows_each_socket(void **state)
{
	struct ctl_msg row = { 0 };
	struct conn ca, cb;
	struct guest a, b;
	struct half *l;
	struct ksock *k;
	int fd;

	(void)state;
	guest_make(&a);
	guest_make(&b);
	l = listener_make(&b, LO, 4700, 0);
	connection_make(&a, 0, &b, l, 0, &ca, &cb);
	assert_int_equal(conn_send(&ca, "abcde", 5), 5);
	conn_shutdown_write(&ca);
	fd = ctl_connect("default");
	assert_int_equal(list_count(fd, HALF_LISTEN, &row), 1);
	assert_int_equal(row.row.local, addr_word_make(LO, 4700));
	assert_int_equal(row.row.send_q, 8);
	assert_int_equal(row.row.pid, getpid());
	assert_string_equal(row.row.comm, "guest");
	assert_int_equal(list_count(fd, HALF_OPEN, &row), 2);
	assert_int_equal(row.row.family, AF_INET);
	assert_int_equal(row.row.protocol, IPPROTO_TCP);
	assert_int_equal(row.row.tx_ring, 0); /* b has sent nothing */
	assert_int_equal(row.row.rx_ring, 1u << RING_LOG2_MIN);
	assert_true(row.row.age_ns > 0);
	/* A kernel socket's row. */
	k = arena_ksocks(b.p->base);
	store_relaxed(&k->inode, 5);
	store_release(&k->key, (uint64_t)(9 + 1) << 8 | REASON_REMOTE);
	assert_int_equal(list_count(fd, 0, &row), 1);
	assert_int_equal(row.row.transport, 1);
	assert_int_equal(row.row.fd, 9);
	assert_int_equal(row.row.reason, REASON_REMOTE);
	/* More rows than a socket's buffer takes. */
	for (unsigned i = 0; i < 4000; i++) {
		int slot = party_slot_alloc(a.p);
		struct half *h = arena_half(a.p->base, (unsigned)slot);

		store_relaxed(&h->local, addr_word_make(LO, 1));
		half_set_state(h, HALF_BOUND);
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(list_count(fd, HALF_BOUND, &row), 4000);
	close(fd);
	guest_close(&a);
	guest_close(&b);
}

static unsigned fds_of(uint32_t pid)
{
	char path[64];
	unsigned n = 0;
	struct stat st;

	for (int fd = 0; fd < 2000; fd++) {
		snprintf(path, sizeof(path), "/proc/%u/fd/%d", pid, fd);
		n += lstat(path, &st) == 0;
	}
	return n;
}

static void clients__leave_nothing_behind(void **state)
{
	struct ctl_msg before = status();
	unsigned keeper_fds = fds_of((uint32_t)keeper), fds = fds_of(before.status.daemon_pid);
	uint32_t ids[4] = { 0 };
	int held[4];

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct guest g;

		guest_make(&g);
		listener_make(&g, LO, (uint16_t)(5000 + i % 3), 0);
		assert_int_equal(handles(&g, 4, ids, held), 4);
		for (int j = 0; j < 4; j++)
			close(held[j]);
		guest_close(&g);
	}
	EVENTUALLY(status().status.clients == 0);
	EVENTUALLY(fds_of((uint32_t)keeper) <= keeper_fds + 2);
	EVENTUALLY(fds_of(before.status.daemon_pid) <= fds + 2);
	/* And a daemon forked afterwards starts with as few. */
	assert_int_equal(kill((pid_t)before.status.daemon_pid, SIGKILL), 0);
	EVENTUALLY(fds_of(status().status.daemon_pid) <= fds + 2);
}

/* Daemons die at any moment while others work; nothing is lost or left. */
static void restart__in_the_middle_of_things(void **state)
{
	unsigned seed = (unsigned)clock_now_ns(), keeper_fds = fds_of((uint32_t)keeper);
	pid_t workers[3];
	int wstatus;

	(void)state;
	print_message("seed %u\n", seed);
	for (int w = 0; w < 3; w++) {
		workers[w] = fork();
		assert_true(workers[w] >= 0);
		if (workers[w] > 0)
			continue;
		for (int i = 0; i < 60; i++) {
			struct ctl_msg m = { .type = CTL_HELLO,
					     .hello = { .pid = (uint32_t)getpid() } };
			int arena, mbox, reg, held[16], fd = ctl_connect("default"), r;
			int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
			struct party *p = party_create("w", &arena, &mbox);
			unsigned n = 1;

			if (fd < 0 || !p || bell < 0)
				_exit(1);
			r = ctl_call(fd, &m, (int[]){ arena, mbox, bell }, 3, &reg, &n);
			if (r != 0)
				_exit(5);
			close(reg);
			m = (struct ctl_msg){ .type = CTL_HANDLES,
					      .handles = { .count = 16 } };
			n = 16;
			if (ctl_call(fd, &m, NULL, 0, held, &n) != 0 || n != 16)
				_exit(2);
			m = (struct ctl_msg){ .type = CTL_LISTEN,
					      .listen = { .at = addr_word_make(LO, 6000),
							  .gen = 1 } };
			m.listen.at = addr_word_make(LO, (uint16_t)(6000 + w));
			r = ctl_call(fd, &m, NULL, 0, NULL, NULL);
			if (r != 0 && r != -EADDRINUSE)
				_exit(3);
			m = (struct ctl_msg){ .type = CTL_LEASE };
			if (ctl_call(fd, &m, NULL, 0, NULL, NULL) != 0)
				_exit(4);
			for (int h = 0; h < 16; h++)
				close(held[h]);
			close(fd);
			close(bell);
			close(arena);
			close(mbox);
			party_destroy(p);
			nap();
		}
		_exit(0);
	}
	srand(seed);
	for (int i = 0; i < 5; i++) {
		for (int j = rand() % 8; j >= 0; j--)
			nap();
		kill((pid_t)status().status.daemon_pid, SIGKILL);
	}
	for (int w = 0; w < 3; w++) {
		assert_int_equal(waitpid(workers[w], &wstatus, 0), workers[w]);
		assert_true(WIFEXITED(wstatus));
		assert_int_equal(WEXITSTATUS(wstatus), 0);
	}
	EVENTUALLY(status().status.clients == 0);
	EVENTUALLY(status().status.handles == 0);
	EVENTUALLY(fds_of((uint32_t)keeper) <= keeper_fds + 2);
	{
		struct listener_ref ref;
		struct guest g;

		guest_make(&g);
		for (uint16_t w = 0; w < 3; w++)
			assert_int_equal(registry_find(g.reg, addr_word_make(LO, (uint16_t)(6000 + w)), &ref),
					 -ENOENT);
		for (unsigned id = 1; id < PARTY_MAX; id++)
			EVENTUALLY(id == g.id ||
				   (uint32_t)g.reg->parties[id].gen_state == PARTY_FREE);
		guest_close(&g);
	}
}

/* Noise, and requests that are noise from some byte on. */
static void noise__harms_nobody(void **state)
{
	unsigned seed = (unsigned)clock_now_ns();
	uint32_t pid = status().status.daemon_pid;
	struct guest g, bad;

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	guest_make(&g);
	for (int i = 0; i < 300; i++) {
		guest_make(&bad);
		for (int j = 0; j < 20; j++) {
			union {
				struct ctl_msg m;
				unsigned char b[sizeof(struct ctl_msg)];
			} u;
			size_t len = sizeof(u);

			for (size_t k = 0; k < sizeof(u); k++)
				u.b[k] = (unsigned char)(rand() % 3 ? rand() : 0);
			if (j) {
				u.m.version = CTL_VERSION;
				u.m.type = (uint16_t)(rand() % 18 ? rand() % 18 : CTL_LIST);
				u.m.len = (uint32_t)len;
			}
			if (rand() % 2)
				u.m.peer.id %= PARTY_MAX;
			if (u.m.type == CTL_HANDLES)
				u.m.handles.count %= 66;
			if (!j && i % 8)
				continue;
			if (send(bad.fd, &u, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
				break;
		}
		guest_close(&bad);
	}
	assert_int_equal(guest_hello(&g), 0);
	EVENTUALLY(status().status.clients == 1);
	assert_int_equal(status().status.daemon_pid, pid);
	guest_close(&g);
}

static void start__on_demand(void **state)
{
	pid_t pids[4];
	int wstatus;
	struct ctl_msg m = { .type = CTL_DOWN };
	int fd;

	(void)state;
	setenv("MORTISED", mortised, 1);
	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(ctl_start("other", "none", NULL) == 0 ? 0 : 1);
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(waitpid(pids[i], &wstatus, 0), pids[i]);
		assert_true(WIFEXITED(wstatus) && WEXITSTATUS(wstatus) == 0);
	}
	fd = ctl_connect("other");
	assert_true(fd >= 0);
	m.type = CTL_STATUS;
	assert_int_equal(ctl_call(fd, &m, NULL, 0, NULL, NULL), 0);
	assert_int_equal(m.status.policy, POLICY_NONE);
	assert_string_equal(m.status.domain, "other");
	m = (struct ctl_msg){ .type = CTL_DOWN };
	assert_int_equal(ctl_call(fd, &m, NULL, 0, NULL, NULL), 0);
	expect_end(fd);
	close(fd);
	EVENTUALLY(ctl_connect("other") == -ENOENT);
	unsetenv("MORTISED");
}

/* Send to a service of the daemon's own and read what comes back. */
static void service__echoes(void **state)
{
	struct listener_ref ref;
	struct conn c = { 0 };
	struct guest a;
	struct half *h;
	uint32_t ids[1] = { 0 };
	int slot, fds[1];
	char out[4096], in[4096];

	(void)state;
	guest_make(&a);
	assert_int_equal(handles(&a, 1, ids, fds), 1);
	EVENTUALLY(registry_find(a.reg, addr_word_make(LO, 7), &ref) == 0);
	slot = party_slot_alloc(a.p);
	h = arena_half(a.p->base, (unsigned)slot);
	store_relaxed(&h->handle, ids[0] + 1);
	store_relaxed(&h->local, addr_word_make(LO, 61000));
	store_relaxed(&h->remote, addr_word_make(LO, 7));
	store_release(&arena_handles(a.p->base)[ids[0]],
		      slot_word_make((unsigned)slot, half_gen(h)));
	half_set_state(h, HALF_BOUND);
	assert_int_equal(seat_claim(a.p, h, &ref, &c), 0);
	for (int i = 0; i < 200; i++) {
		size_t sent = 0, got = 0;

		memset(out, 'a' + i % 26, sizeof(out));
		EVENTUALLY((sent += (size_t)({ ssize_t n_ = conn_send(&c, out + sent,
					sizeof(out) - sent); n_ < 0 ? 0 : n_; })) == sizeof(out));
		EVENTUALLY((got += (size_t)({ ssize_t n_ = conn_recv(&c, in + got,
					sizeof(in) - got, 0, 0); n_ < 0 ? 0 : n_; })) == sizeof(in));
		assert_memory_equal(in, out, sizeof(in));
	}
	/* A restart ends it, as the death of any program would. */
	assert_int_equal(kill((pid_t)status().status.daemon_pid, SIGKILL), 0);
	EVENTUALLY(conn_recv(&c, in, 1, 0, 0) != -EAGAIN);
	close(fds[0]);
	guest_close(&a);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(hello__is_answered_twice_the_same),
		T(handles__are_recycled),
		T(handles__have_a_limit),
		T(listen__is_seen_in_the_registry),
		T(listen__of_ipv6),
		T(hangup__executes_the_half),
		T(death__leaves_an_estate_until_let_go),
		T(fork__keeps_the_halves_of_a_dead_party),
		T(malformed__ends_that_client_only),
		T(hello__of_another_process_is_refused),
		T(version__of_another_is_told_and_ended),
		T(peer__is_introduced),
		T(bell__asked_for_before_it_is_made_is_one_for_both),
		T(lease__gives_blocks_and_takes_them_back),
		cmocka_unit_test_setup_teardown(bind__arbitrates, setup_none, teardown),
		T(restart__goes_on),
		T(keeper__death_ends_the_channels),
		T(leave__when_unused),
		T(down__refuses_then_forces),
		T(term__is_an_orderly_end),
		T(linger__outlives_the_daemon),
		T(list__shows_each_socket),
		T(clients__leave_nothing_behind),
		T(restart__in_the_middle_of_things),
		T(noise__harms_nobody),
		T(start__on_demand),
		cmocka_unit_test_setup_teardown(service__echoes, setup_services, teardown),
	};

	(void)argc;
	if (!find_mortised(argv[0])) {
		fprintf(stderr, "no mortised: set MORTISED\n");
		return 1;
	}
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
