/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon keeps for halves that several processes hold, and whose
 * handle a descriptor is. A real mortised in a directory of its own.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shm/half.h"
#include "shm/seat.h"
#include "mortised.h"

#define LO 0x7f000001u

/** struct guest - A party made by hand, with one handle and its half. */
struct guest {
	int ctl, arena_fd, mbox_fd, bell, handle_fd;
	struct party *p;
	struct registry *reg;
	uint32_t id, gen, handle;
	struct half *h;
	unsigned slot;
};

static void guest_make(struct guest *g)
{
	struct ctl_msg m = { .type = CTL_HELLO,
			     .hello = { .pid = (uint32_t)getpid(), .comm = "guest" } };
	int reg;
	unsigned n = 1;

	*g = (struct guest){ .ctl = ctl_connect("default") };
	assert_true(g->ctl >= 0);
	g->p = party_create("guest", &g->arena_fd, &g->mbox_fd);
	assert_non_null(g->p);
	g->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(ctl_call(g->ctl, &m, (int[]){ g->arena_fd, g->mbox_fd, g->bell }, 3, &reg,
				  &n), 0);
	g->reg = arena_map(reg, REGISTRY_BYTES, false);
	close(reg);
	g->id = m.hello.party;
	g->gen = m.hello.gen;
	party_admit(g->p, g->id, g->gen, g->reg, NULL, NULL);
	m = (struct ctl_msg){ .type = CTL_HANDLES, .handles = { .count = 1 } };
	n = 1;
	assert_int_equal(ctl_call(g->ctl, &m, NULL, 0, &g->handle_fd, &n), 0);
	g->handle = m.handles.ids[0];
	g->slot = (unsigned)party_slot_alloc(g->p);
	g->h = arena_half(g->p->base, g->slot);
	store_relaxed(&g->h->handle, g->handle + 1);
	half_set_state(g->h, HALF_BOUND);
	store_release(&arena_handles(g->p->base)[g->handle],
		      slot_word_make(g->slot, half_gen(g->h)));
}

/* As if it had been killed; @handle: and nobody has its handle. */
static void guest_die(struct guest *g, bool handle)
{
	if (g->ctl >= 0)
		close(g->ctl);
	g->ctl = -1;
	if (handle && g->handle_fd >= 0) {
		close(g->handle_fd);
		g->handle_fd = -1;
	}
}

static void guest_close(struct guest *g)
{
	guest_die(g, true);
	close(g->arena_fd);
	close(g->mbox_fd);
	close(g->bell);
	party_destroy(g->p);
	arena_unmap(g->reg, REGISTRY_BYTES);
}

static int share_call(const struct guest *by, const struct guest *of, uint32_t has, const int *fds,
		      unsigned n)
{
	struct ctl_msg m = { .type = CTL_SHARE,
			     .shared = { .party = of->id, .party_gen = of->gen, .slot = of->slot,
					 .gen = half_gen(of->h), .has = has } };

	return ctl_call(by->ctl, &m, fds, n, NULL, NULL);
}

static int bell_call(const struct guest *by, const struct guest *of)
{
	struct ctl_msg m = { .type = CTL_SHARED_BELL,
			     .shared = { .party = of->id, .party_gen = of->gen, .slot = of->slot,
					 .gen = half_gen(of->h) } };
	unsigned n = 1;
	int fd = -1, r = ctl_call(by->ctl, &m, NULL, 0, &fd, &n);

	return r < 0 ? r : fd;
}

static int attach_call(const struct guest *by, int fd, struct ctl_msg *m, int *fds, unsigned *n)
{
	*m = (struct ctl_msg){ .type = CTL_ATTACH };
	*n = 4;
	return ctl_call(by->ctl, m, &fd, 1, fds, n);
}

static void fds_close(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
}

/* ----------------------------------------------------------------- tests */

static void attach__finds_the_half(void **state)
{
	struct guest a, b;
	struct ctl_msg m;
	int fds[4], ev = eventfd(0, EFD_NONBLOCK), shadow = socket(AF_INET, SOCK_STREAM, 0);
	unsigned n;
	uint64_t one;
	void *mem;

	(void)state;
	guest_make(&a);
	guest_make(&b);
	assert_int_equal(attach_call(&b, a.handle_fd, &m, fds, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(m.shared.party, a.id);
	assert_int_equal(m.shared.party_gen, a.gen);
	assert_int_equal(m.shared.slot, a.slot);
	assert_int_equal(m.shared.gen, half_gen(a.h));
	assert_int_equal(m.shared.handle, a.handle);
	assert_int_equal(m.shared.has, 0);
	/* It may write to it. */
	mem = arena_map(fds[0], ARENA_BYTES, true);
	assert_non_null(mem);
	store_relaxed(&arena_half(mem, a.slot)->local, 7);
	assert_int_equal(load_relaxed(&a.h->local), 7);
	arena_unmap(mem, ARENA_BYTES);
	fds_close(fds, n);
	/* With what is kept for it. */
	assert_int_equal(bell_call(&b, &a), -ENOENT);
	assert_int_equal(share_call(&a, &a, CTL_HAS_BELL | CTL_HAS_SHADOW,
				    (int[]){ ev, shadow }, 2), 0);
	assert_int_equal(attach_call(&b, a.handle_fd, &m, fds, &n), 0);
	assert_int_equal(n, 4);
	assert_int_equal(m.shared.has, CTL_HAS_BELL | CTL_HAS_SHADOW);
	assert_int_equal(eventfd_write(fds[2], 1), 0);
	assert_int_equal(eventfd_read(ev, &one), 0);
	fds_close(fds, n);
	n = (unsigned)bell_call(&b, &a);
	assert_int_equal(eventfd_write((int)n, 1), 0);
	assert_int_equal(eventfd_read(ev, &one), 0);
	close((int)n);
	/* The daemon keeps no copy of the handle: the hang-up is heard, and
	 * what was kept goes. */
	close(a.handle_fd);
	a.handle_fd = -1;
	EVENTUALLY(half_state(a.h) == HALF_RELEASED);
	assert_int_equal(bell_call(&b, &a), -ENOENT);
	assert_int_equal(share_call(&b, &a, CTL_HAS_BELL, &ev, 1), -ESRCH);
	close(ev);
	close(shadow);
	guest_close(&a);
	guest_close(&b);
}

static void attach__to_a_dead_partys_half(void **state)
{
	struct guest a, b;
	struct ctl_msg m;
	int fds[4];
	unsigned n;

	(void)state;
	guest_make(&a);
	guest_make(&b);
	guest_die(&a, false);
	EVENTUALLY(!registry_party_alive(b.reg, a.id, a.gen));
	assert_int_equal(attach_call(&b, a.handle_fd, &m, fds, &n), 0);
	assert_int_equal(m.shared.party, a.id);
	fds_close(fds, n);
	assert_int_equal(half_state(a.h), HALF_BOUND);
	guest_die(&a, true);
	EVENTUALLY(half_state(a.h) == HALF_RELEASED);
	/* It may be mapped: until it is let go, the estate stays. */
	for (int i = 0; i < 20; i++)
		nap();
	assert_int_equal((uint32_t)load_acquire(&b.reg->parties[a.id].gen_state), PARTY_DEAD);
	m = (struct ctl_msg){ .type = CTL_LET_GO, .peer = { .id = a.id, .gen = a.gen } };
	assert_int_equal(ctl_post(b.ctl, &m), 0);
	EVENTUALLY((uint32_t)load_acquire(&b.reg->parties[a.id].gen_state) == PARTY_FREE);
	guest_close(&a);
	guest_close(&b);
}

/* A pair of our own whose far end bears a handle's name. */
static int forge(const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int pair[2], n = snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s", name);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(bind(pair[0], (struct sockaddr *)&un,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)), 0);
	return pair[1]; /* pair[0] is left open: its name stays */
}

static void attach__takes_no_other_descriptor(void **state)
{
	static const char *const names[] = {
		"mortise/%llu/default/%u/%u/9.9", "mortise/%llu/other/%u/%u",
		"mortise/%llu/default/%u/99999999999999999999%u", "mortise/%llu/default/%u",
		"mortise/%llu/default/-%u/%u", "mortise/%llu/%u%u/", "mortise/",
	};
	struct guest a, b;
	struct ctl_msg m;
	int fds[4], null = open("/dev/null", O_RDWR), pair[2];
	unsigned n;
	char name[96];

	(void)state;
	guest_make(&a);
	guest_make(&b);
	assert_int_equal(attach_call(&b, null, &m, fds, &n), -ENOENT);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(attach_call(&b, pair[0], &m, fds, &n), -ENOENT);
	fds_close(pair, 2);
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		int fd;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
		snprintf(name, sizeof(name), names[i], (unsigned long long)ctl_netns(), a.id, a.handle);
#pragma GCC diagnostic pop
		fd = forge(name);
		assert_int_equal(attach_call(&b, fd, &m, fds, &n), -ENOENT);
		close(fd);
	}
	/* A handle whose half says nonsense, or has moved on. */
	store_release(&arena_handles(a.p->base)[a.handle], 0);
	assert_int_equal(attach_call(&b, a.handle_fd, &m, fds, &n), -ENOENT);
	store_release(&arena_handles(a.p->base)[a.handle], ~0ull);
	assert_int_equal(attach_call(&b, a.handle_fd, &m, fds, &n), -ENOENT);
	store_release(&arena_handles(a.p->base)[a.handle],
		      slot_word_make(a.slot, half_gen(a.h) + 1));
	assert_int_equal(attach_call(&b, a.handle_fd, &m, fds, &n), -ENOENT);
	store_release(&arena_handles(a.p->base)[a.handle], slot_word_make(a.slot, half_gen(a.h)));
	assert_int_equal(attach_call(&b, a.handle_fd, &m, fds, &n), 0);
	fds_close(fds, n);
	/* A number that another handle had. */
	close(a.handle_fd);
	a.handle_fd = -1;
	EVENTUALLY(half_state(a.h) == HALF_RELEASED);
	close(null);
	guest_close(&a);
	guest_close(&b);
}

static int closed_call(const struct guest *by, const struct guest *of, uint32_t party_gen)
{
	struct ctl_msg m = { .type = CTL_CLOSED,
			     .shared = { .party = of->id, .party_gen = party_gen,
					 .slot = of->slot, .gen = half_gen(of->h),
					 .handle = of->handle } };

	return ctl_call(by->ctl, &m, NULL, 0, NULL, NULL);
}

/* Neither the half nor the kernel's listener behind it is there any more. */
static void closed__has_ended_when_answered(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	socklen_t len = sizeof(at);
	struct guest a, b;

	(void)state;
	guest_make(&b);
	for (int i = 0; i < 10; i++) {
		int shadow = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);

		guest_make(&a);
		at.sin_port = 0;
		assert_int_equal(bind(shadow, (struct sockaddr *)&at, len), 0);
		assert_int_equal(getsockname(shadow, (struct sockaddr *)&at, &len), 0);
		assert_int_equal(listen(shadow, 1), 0);
		assert_int_equal(share_call(&a, &a, CTL_HAS_SHADOW, &shadow, 1), 0);
		close(shadow);
		/* Somebody has a copy still. */
		assert_int_equal(closed_call(&b, &a, a.gen), 0);
		assert_int_not_equal(half_state(a.h), HALF_RELEASED);
		assert_int_equal(closed_call(&b, &a, a.gen + 1), -ESRCH);
		close(a.handle_fd);
		a.handle_fd = -1;
		assert_int_equal(closed_call(&b, &a, a.gen), 0);
		assert_int_equal(half_state(a.h), HALF_RELEASED);
		assert_int_equal(connect(c, (struct sockaddr *)&at, len), -1);
		assert_int_equal(errno, ECONNREFUSED);
		close(c);
		guest_close(&a);
	}
	guest_close(&b);
}

static void malformed__ends_that_client_only(void **state)
{
	struct guest a, bad;
	int null = open("/dev/null", O_RDWR), ev = eventfd(0, 0);
	int sock = socket(AF_INET, SOCK_STREAM, 0), fds[4];
	struct ctl_msg m;
	unsigned n;

	(void)state;
	guest_make(&a);
	for (int i = 0; i < 10; i++) {
		int r = 0;

		guest_make(&bad);
		m = (struct ctl_msg){ .type = CTL_ATTACH };
		n = 4;
		switch (i) {
		case 0: /* none */
			r = ctl_call(bad.ctl, &m, NULL, 0, fds, &n);
			break;
		case 1: /* too many */
			r = ctl_call(bad.ctl, &m, (int[]){ a.handle_fd, ev }, 2, fds, &n);
			break;
		case 2:
			r = share_call(&bad, &a, CTL_HAS_BELL, &null, 1);
			break;
		case 3:
			r = share_call(&bad, &a, CTL_HAS_SHADOW, &ev, 1);
			break;
		case 4: /* not so many as it says */
			r = share_call(&bad, &a, CTL_HAS_BELL | CTL_HAS_SHADOW, &ev, 1);
			break;
		case 5:
			r = share_call(&bad, &a, 0, NULL, 0);
			break;
		case 6:
			r = share_call(&bad, &a, 4, &ev, 1);
			break;
		case 7: /* the wrong way round */
			r = share_call(&bad, &a, CTL_HAS_BELL | CTL_HAS_SHADOW,
				       (int[]){ sock, ev }, 2);
			break;
		case 8: /* a descriptor where none belongs */
			m.type = CTL_SHARED_BELL;
			r = ctl_call(bad.ctl, &m, &ev, 1, NULL, NULL);
			break;
		case 9: /* a handle, which would not hang up */
			r = share_call(&bad, &a, CTL_HAS_SHADOW, &a.handle_fd, 1);
			break;
		}
		assert_int_equal(r, -EPIPE);
		guest_close(&bad);
	}
	/* Of halves that are not there. */
	m = (struct ctl_msg){ .type = CTL_SHARE,
			      .shared = { .party = a.id, .party_gen = a.gen + 1, .slot = a.slot,
					  .gen = half_gen(a.h), .has = CTL_HAS_BELL } };
	assert_int_equal(ctl_call(a.ctl, &m, &ev, 1, NULL, NULL), -ESRCH);
	m = (struct ctl_msg){ .type = CTL_SHARE,
			      .shared = { .party = a.id, .party_gen = a.gen, .slot = a.slot,
					  .gen = half_gen(a.h) + 1, .has = CTL_HAS_BELL } };
	assert_int_equal(ctl_call(a.ctl, &m, &ev, 1, NULL, NULL), -ESRCH);
	m = (struct ctl_msg){ .type = CTL_SHARED_BELL,
			      .shared = { .party = ~0u, .party_gen = 1, .slot = ~0u } };
	n = 1;
	assert_int_equal(ctl_call(a.ctl, &m, NULL, 0, fds, &n), -ENOENT);
	close(null);
	close(ev);
	close(sock);
	guest_close(&a);
}

static void share__outlives_a_daemon(void **state)
{
	struct guest a, b;
	struct ctl_msg m;
	int fds[4], ev = eventfd(0, EFD_NONBLOCK), ev2 = eventfd(0, EFD_NONBLOCK);
	int shadow = socket(AF_INET, SOCK_STREAM, 0);
	unsigned n;
	uint64_t one;
	uint32_t pid;

	(void)state;
	guest_make(&a);
	guest_make(&b);
	/* By whoever holds it; a second one takes the first one's place. */
	assert_int_equal(share_call(&b, &a, CTL_HAS_BELL, &ev, 1), 0);
	assert_int_equal(share_call(&b, &a, CTL_HAS_SHADOW, &shadow, 1), 0);
	assert_int_equal(share_call(&a, &a, CTL_HAS_BELL, &ev2, 1), 0);
	for (int i = 0; i < 3; i++) {
		pid = status_try().status.daemon_pid;
		assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
		EVENTUALLY(status_try().status.daemon_pid != pid && status_try().status.keeper_pid);
		assert_int_equal(attach_call(&b, a.handle_fd, &m, fds, &n), 0);
		assert_int_equal(n, 4);
		assert_int_equal(eventfd_write(fds[2], 1), 0);
		assert_int_equal(eventfd_read(ev2, &one), 0);
		fds_close(fds, n);
	}
	close(ev);
	close(ev2);
	close(shadow);
	guest_close(&a);
	guest_close(&b);
}

/* One party does not fill the table, nor all of them the keeper. */
static void share__has_limits(void **state)
{
	struct guest a, b, c;
	int ev = eventfd(0, EFD_NONBLOCK), slot, r = 0;
	unsigned most = 0;

	(void)state;
	guest_make(&a);
	guest_make(&b);
	for (; r == 0 && most < 4096; most++) {
		slot = party_slot_alloc(a.p);
		assert_true(slot >= 0);
		a.slot = (unsigned)slot;
		a.h = arena_half(a.p->base, a.slot);
		half_set_state(a.h, HALF_BOUND);
		r = share_call(&a, &a, CTL_HAS_BELL, &ev, 1);
	}
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(share_call(&b, &b, CTL_HAS_BELL, &ev, 1), 0);
	guest_make(&c); /* is let in */
	guest_close(&c);
	guest_close(&a);
	close(ev);
	guest_close(&b);
}

/* Who dies may have reset the eventfd, and not looked yet. */
static void share__rings_when_somebody_dies(void **state)
{
	struct guest a, b;
	int ev = eventfd(0, EFD_NONBLOCK);
	uint64_t n;

	(void)state;
	guest_make(&a);
	for (int waits = 0; waits < 2; waits++) {
		guest_make(&b);
		if (!waits) {
			store_relaxed(&a.h->local, addr_word_make(LO, 4300));
			assert_int_equal(seat_open(a.p, a.h, 8), 0);
			assert_int_equal(share_call(&a, &a, CTL_HAS_BELL, &ev, 1), 0);
			seat_share(a.p, a.h, 0);
		} else {
			store_relaxed(&a.p->mbox->claims[load_relaxed(&a.h->seat_base) + 1], 1);
			store_relaxed(&a.p->mbox->claims[load_relaxed(&a.h->seat_base)], 1);
		}
		guest_die(&b, true);
		EVENTUALLY(!registry_party_alive(a.reg, b.id, b.gen));
		if (waits)
			EVENTUALLY(eventfd_read(ev, &n) == 0);
		else
			assert_int_equal(eventfd_read(ev, &n), -1);
		guest_close(&b);
	}
	close(ev);
	guest_close(&a);
}

/* A listener that others accept from stays when its maker dies. */
static void share__keeps_a_listener(void **state)
{
	struct ctl_msg m = { .type = CTL_LISTEN, .listen = { .at = addr_word_make(LO, 4100) } };
	struct listener_ref ref;
	struct guest a, b;
	int ev = eventfd(0, EFD_NONBLOCK), copy;
	uint32_t pid;

	(void)state;
	guest_make(&b);
	for (int shared = 0; shared < 2; shared++) {
		guest_make(&a);
		store_relaxed(&a.h->local, addr_word_make(LO, 4100));
		assert_int_equal(seat_open(a.p, a.h, 8), 0);
		m = (struct ctl_msg){ .type = CTL_LISTEN,
				      .listen = { .at = addr_word_make(LO, 4100),
						  .slot = (uint16_t)a.slot,
						  .gen = half_gen(a.h) } };
		assert_int_equal(ctl_call(a.ctl, &m, NULL, 0, NULL, NULL), 0);
		if (shared)
			assert_int_equal(share_call(&a, &a, CTL_HAS_BELL, &ev, 1), 0);
		copy = dup(a.handle_fd);
		guest_die(&a, true);
		EVENTUALLY(!registry_party_alive(b.reg, a.id, a.gen));
		if (!shared) {
			EVENTUALLY(registry_find(b.reg, addr_word_make(LO, 4100), &ref) == -ENOENT);
			EVENTUALLY(half_state(a.h) == HALF_RELEASED);
		} else {
			for (int i = 0; i < 2; i++) {
				nap();
				assert_int_equal(half_state(a.h), HALF_LISTEN);
				assert_int_equal(registry_find(b.reg, addr_word_make(LO, 4100), &ref), 0);
				pid = status_try().status.daemon_pid;
				kill((pid_t)pid, SIGKILL);
				EVENTUALLY(status_try().status.daemon_pid != pid &&
					   status_try().status.keeper_pid);
			}
		}
		close(copy);
		EVENTUALLY(half_state(a.h) == HALF_RELEASED);
		EVENTUALLY(registry_find(b.reg, addr_word_make(LO, 4100), &ref) == -ENOENT);
		EVENTUALLY((uint32_t)load_acquire(&b.reg->parties[a.id].gen_state) == PARTY_FREE);
		guest_close(&a);
	}
	close(ev);
	guest_close(&b);
}

/* Who was given a bound socket listens with it. */
static void share__lets_others_announce(void **state)
{
	struct ctl_msg m;
	struct listener_ref ref;
	struct guest a, b;
	int ev = eventfd(0, EFD_NONBLOCK);

	(void)state;
	guest_make(&a);
	guest_make(&b);
	store_relaxed(&a.h->local, addr_word_make(LO, 4200));
	assert_int_equal(seat_open(a.p, a.h, 8), 0);
	for (int i = 0; i < 4; i++) {
		if (i == 1)
			assert_int_equal(share_call(&a, &a, CTL_HAS_BELL, &ev, 1), 0);
		m = (struct ctl_msg){ .type = CTL_LISTEN,
				      .listen = { .at = addr_word_make(LO, 4200),
						  .slot = (uint16_t)a.slot,
						  .gen = half_gen(a.h), .party = a.id } };
		/* Not before it is shared; not for another generation of it. */
		if (i == 3)
			m.listen.gen++;
		assert_int_equal(ctl_call(b.ctl, &m, NULL, 0, NULL, NULL), i == 0 || i == 3 ? -ESRCH : 0);
		assert_int_equal(registry_find(b.reg, addr_word_make(LO, 4200), &ref), i == 0 ? -ENOENT : 0);
	}
	assert_int_equal(half_ref_party(ref.half), a.id);
	m.type = CTL_LISTEN;
	m.listen.party = ~0u;
	assert_int_equal(ctl_call(b.ctl, &m, NULL, 0, NULL, NULL), -ESRCH);
	close(ev);
	guest_close(&a);
	guest_close(&b);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(attach__finds_the_half),
		T(attach__to_a_dead_partys_half),
		T(attach__takes_no_other_descriptor),
		T(closed__has_ended_when_answered),
		T(malformed__ends_that_client_only),
		T(share__outlives_a_daemon),
		T(share__has_limits),
		T(share__rings_when_somebody_dies),
		T(share__keeps_a_listener),
		T(share__lets_others_announce),
	};

	if (!find_mortised(argv[0])) {
		fprintf(stderr, "no mortised: set MORTISED\n");
		return 1;
	}
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
