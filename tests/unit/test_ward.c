/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wards, forked by a keeper that is this test: holders of a few far ends each.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/ward.h"

#define EACH 4u /* far ends of one holder */
#define PARTY 7u
#define WAIT_MS 5000

static struct wards w;
static struct table *t;
static int epfd, kick;

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	t = table_create();
	epfd = epoll_create1(EPOLL_CLOEXEC);
	kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!t || epfd < 0 || kick < 0)
		return -1;
	snprintf(t->domain, sizeof(t->domain), "test-ward-%d", (int)getpid());
	t->keeper_pid = (uint32_t)getpid();
	t->holders[0].max = t->ward_max = EACH;
	memset(&w, 0, sizeof(w));
	wards_init(&w, t, epfd, kick);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 1; i < t->holder_count; i++) {
		kill(w.of[i].pid, SIGKILL);
		waitpid(w.of[i].pid, NULL, 0);
	}
	wards_forget(&w);
	close(epfd);
	close(kick);
	return munmap(t, sizeof(*t));
}

/* Return: how many were made, or the error. */
static int make(unsigned count, uint32_t *ids, int *near)
{
	struct link_msg m = { .op = LINK_MAKE, .party = PARTY, .count = count };

	wards_make(&w, &m, near);
	assert_true(m.error <= 0 && (m.error == 0 || m.count == 0));
	memcpy(ids, m.ids, m.count * sizeof(ids[0]));
	return m.error ? m.error : (int)m.count;
}

static void close_all(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
}

/* Wait until a holder's ring has so many entries. */
static bool heard(const struct holder *h, uint32_t want)
{
	uint64_t end = clock_now_ns() + WAIT_MS * NS_PER_MS;

	while (load_acquire(&h->tail) != want && clock_now_ns() < end)
		usleep(2000);
	return load_acquire(&h->tail) == want;
}

/* What the daemon does with an entry. */
static void deal(struct holder *h)
{
	uint32_t entry = h->hung[h->head % HUNG_RING];

	assert_int_equal(entry >> 16, PARTY);
	assert_int_equal(t->handles[PARTY][entry & 0xffff], HANDLE_HUNG);
	store_release(&t->handles[PARTY][entry & 0xffff], HANDLE_DONE);
	store_release(&h->head, h->head + 1);
}

/* -------------------------------------------------------------------- tests */

static void make__goes_on_in_a_ward(void **state)
{
	uint32_t ids[3 * EACH] = { 0 };
	int near[3 * EACH];

	(void)state;
	assert_int_equal(make(3, ids, near), 3);
	assert_int_equal(t->holder_count, 1);
	/* One is free, two are wanted. */
	assert_int_equal(make(2, ids + 3, near + 3), 2);
	assert_int_equal(t->holder_count, 2);
	assert_int_equal(make(1, ids + 5, near + 5), 1);
	assert_int_equal(t->holder_count, 2);
	assert_int_equal(t->holders[0].held, 4);
	assert_int_equal(t->holders[1].held, 2);
	assert_int_equal(t->handle_count, 6);
	for (unsigned i = 0; i < 6; i++) {
		struct pollfd p = { .fd = near[i], .events = POLLOUT };

		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(ids[i], ids[j]);
		assert_int_equal(t->handles[PARTY][ids[i]], HANDLE_LIVE);
		/* Its far end is held. */
		assert_int_equal(poll(&p, 1, 0), 1);
		assert_int_equal(p.revents, POLLOUT);
	}
	close_all(near, 6);
}

static void hangup__is_heard_and_recycled(void **state)
{
	uint32_t ids[2 * EACH] = { 0 };
	int near[2 * EACH];
	uint64_t count;

	(void)state;
	assert_int_equal(make(EACH, ids, near), EACH);
	assert_int_equal(make(EACH, ids + EACH, near + EACH), EACH);
	close(near[EACH]);
	close(near[EACH + 1]);
	assert_true(heard(&t->holders[1], 2));
	for (int i = 0; i < 1000 && read(kick, &count, sizeof(count)) < 0; i++)
		usleep(2000);
	assert_int_equal(t->holders[0].tail, 0);
	assert_int_equal(t->holders[1].held, EACH);
	/* Not before the daemon is done with them. */
	wards_reap(&w);
	assert_int_equal(t->holders[1].held, EACH);
	deal(&t->holders[1]);
	wards_reap(&w);
	assert_int_equal(t->holders[1].held, EACH - 1);
	assert_int_equal(t->handle_count, 2 * EACH - 1);
	deal(&t->holders[1]);
	wards_reap(&w);
	assert_int_equal(make(2, ids, near + EACH), 2);
	assert_int_equal(t->holder_count, 2);
	assert_int_equal(t->holders[1].held, EACH);
	close_all(near, 2 * EACH);
}

static int hear(uint32_t handle)
{
	struct link_msg m = { .op = LINK_HEAR, .party = PARTY, .count = handle };

	wards_hear(&w, &m);
	return m.error;
}

/* Nobody has looked at an epoll set meanwhile, or may have. */
static void hear__at_once_whoever_holds_it(void **state)
{
	uint32_t ids[2 * EACH] = { 0 };
	int near[2 * EACH];

	(void)state;
	assert_int_equal(make(EACH, ids, near), EACH);
	assert_int_equal(make(EACH, ids + EACH, near + EACH), EACH);
	for (unsigned i = 0; i <= EACH; i += EACH) {
		assert_int_equal(hear(ids[i]), 0);
		assert_int_equal(t->holders[i / EACH].tail, 0);
		close(near[i]);
		hear(ids[i]);
		assert_int_equal(t->holders[i / EACH].tail, 1);
		assert_int_equal(t->handles[PARTY][ids[i]], HANDLE_HUNG);
		/* Once is all. */
		assert_int_equal(hear(ids[i]), -ESRCH);
		assert_int_equal(t->holders[i / EACH].tail, 1);
	}
	assert_int_equal(hear(CLIENT_HANDLES - 1), -ESRCH);
	close_all(near + 1, EACH - 1);
	close_all(near + EACH + 1, EACH - 1);
}

static void make__has_a_limit(void **state)
{
	uint32_t ids[CTL_HANDLE_BATCH] = { 0 };
	int near[HOLDER_MAX * EACH + CTL_HANDLE_BATCH];
	unsigned n = 0;
	int r;

	(void)state;
	/* Batches that leave a gap in each. */
	for (unsigned i = 0; i < HOLDER_MAX; i++) {
		assert_int_equal(make(3, ids, near + n), 3);
		n += 3;
	}
	assert_int_equal(t->holder_count, HOLDER_MAX);
	while ((r = make(3, ids, near + n)) > 0) {
		assert_int_equal(r, 1);
		n++;
	}
	assert_int_equal(r, -EMFILE);
	assert_int_equal(n, HOLDER_MAX * EACH);
	assert_int_equal(t->handle_count, n);
	assert_false(w.lost);
	close_all(near, n);
}

static unsigned fds_of(pid_t pid)
{
	char path[64];
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	assert_non_null(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void ward__holds_nothing_else(void **state)
{
	uint32_t ids[2 * EACH] = { 0 };
	int near[2 * EACH];

	(void)state;
	assert_int_equal(make(EACH, ids, near), EACH);
	assert_int_equal(make(EACH, ids, near + EACH), EACH);
	/* Standard ones, its link, its epoll set, the daemon's eventfd; for a
	 * moment also what it sent us. */
	for (int i = 0; i < 1000 && fds_of(w.of[1].pid) > EACH + 6; i++)
		usleep(2000);
	assert_int_equal(fds_of(w.of[1].pid), EACH + 6);
	close_all(near, 2 * EACH);
}

static void death__is_heard(void **state)
{
	uint32_t ids[3 * EACH] = { 0 };
	int near[3 * EACH];
	struct epoll_event ev;

	(void)state;
	assert_int_equal(make(EACH, ids, near), EACH);
	assert_int_equal(make(EACH, ids, near + EACH), EACH);
	assert_int_equal(epoll_wait(epfd, &ev, 1, 0), 0);
	kill(w.of[1].pid, SIGKILL);
	assert_int_equal(epoll_wait(epfd, &ev, 1, WAIT_MS), 1);
	assert_int_equal(ev.data.u64, DATA_WARD + 1);
	wards_hung_up(&w, 1);
	assert_true(w.lost);
	/* And by whoever asks it first. */
	w.lost = false;
	assert_int_equal(make(EACH, ids, near + 2 * EACH), EACH);
	kill(w.of[2].pid, SIGKILL);
	t->holders[2].held = 0;
	assert_int_equal(make(EACH, ids, near), -EPIPE);
	assert_true(w.lost);
	close_all(near, 3 * EACH);
}

static void ward__ends_with_its_link(void **state)
{
	uint32_t ids[2 * EACH] = { 0 };
	int near[2 * EACH], wstatus = -1;
	struct pollfd p;

	(void)state;
	assert_int_equal(make(EACH, ids, near), EACH);
	assert_int_equal(make(EACH, ids, near + EACH), EACH);
	/* SIGTERM is for the keeper; it comes to all where a service is stopped. */
	close(w.of[1].link);
	assert_int_equal(waitpid(w.of[1].pid, &wstatus, 0), w.of[1].pid);
	assert_true(WIFEXITED(wstatus) && WEXITSTATUS(wstatus) == 0);
	p = (struct pollfd){ .fd = near[EACH], .events = POLLIN };
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_true(p.revents & POLLHUP);
	close_all(near, 2 * EACH);
	w.of[1].link = -1;
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(make__goes_on_in_a_ward), T(hangup__is_heard_and_recycled),
		T(hear__at_once_whoever_holds_it),
		T(make__has_a_limit),       T(ward__holds_nothing_else),
		T(death__is_heard),         T(ward__ends_with_its_link),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
