/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * datagrams.c - usage: datagrams CASE [SEED]; without a case: list them.
 *
 * Many senders, one receiver. Each datagram says whose it is, which one, and
 * carries bytes that follow from both. So what arrives is checked: whole, in
 * its sender's order, never twice; and what does not arrive is counted by the
 * socket. A failure prints why and the seed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MUST(what)                                                                         \
	do {                                                                               \
		if (!(what)) {                                                             \
			fprintf(stderr, "%s:%d: %s (errno %d), seed %u\n", __FILE__,       \
				__LINE__, #what, errno, seed);                             \
			exit(1);                                                           \
		}                                                                          \
	} while (0)

enum {
	SENDERS = 8,
	EACH = 3000,
	PROGRAMS = 80,		/* More than can send to one socket through memory. */
	EACH_PROGRAM = 300,
	ASKERS = 3,
	SOCKETS = 1500,		/* More of a program than can have an inbox. */
	ANSWER_MS = 5000,
	SIZE_MAX_BYTES = 9000,
	BATCH = 8,
	MARK = 0x4d61726b,	/* Of the last datagram. */
};

/** struct head - How each datagram begins. */
struct head {
	uint32_t sender;
	uint32_t number;
	uint32_t size_bytes;
	uint32_t sum;
};

/**
 * struct shared - What processes count together.
 * @sent:  By sender: how many send calls have succeeded.
 * @seen:  By sender and number: how often it was received.
 * @awaited: Senders that are still to begin; each waits for all.
 */
struct shared {
	_Atomic uint32_t sent[PROGRAMS];
	_Atomic uint8_t seen[PROGRAMS][EACH];
	_Atomic int awaited;
};

static unsigned int seed = 1;
static struct shared *shared;
static struct sockaddr_in at;

static uint32_t next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void fill(const struct head *h, unsigned char *p)
{
	uint32_t state = h->sender * 2654435761u + h->number * 40503u + 1;

	for (size_t i = 0; i < h->size_bytes - sizeof(*h); i++)
		p[i] = (unsigned char)(next(&state) >> 11);
}

static int receiver(int rcvbuf)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(at);
	int on = 1;

	at = (struct sockaddr_in){ .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	MUST(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0);
	MUST(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf)) == 0);
	MUST(setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on)) == 0);
	return fd;
}

/* Send @count; some calls are to an address, some of a connected socket, some send several. */
static void send_all(uint32_t sender, uint32_t count)
{
	unsigned char room[BATCH][SIZE_MAX_BYTES];
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	uint32_t state = seed * 7919u + sender + 1;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool connected = sender % 2;

	MUST(fd >= 0);
	if (connected)
		MUST(connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	memset(m, 0, sizeof(m));
	for (uint32_t n = 0; n < count;) {
		uint32_t batch = next(&state) % 4 ? 1 : 1 + next(&state) % BATCH;
		int r;

		for (uint32_t i = 0; i < batch && n + i < count; i++) {
			uint32_t big = next(&state) % 8;
			struct head h = {
				.sender = sender, .number = n + i,
				.size_bytes = (uint32_t)sizeof(h) +
					next(&state) % (big ? 200 : SIZE_MAX_BYTES - 64),
			};

			h.sum = h.sender ^ h.number * 31 ^ h.size_bytes << 16;
			memcpy(room[i], &h, sizeof(h));
			fill(&h, room[i] + sizeof(h));
			iov[i] = (struct iovec){ room[i], h.size_bytes };
			m[i].msg_hdr.msg_iov = &iov[i];
			m[i].msg_hdr.msg_iovlen = 1;
			m[i].msg_hdr.msg_name = connected ? NULL : &at;
			m[i].msg_hdr.msg_namelen = connected ? 0 : sizeof(at);
		}
		if (n + batch > count)
			batch = count - n;
		if (batch == 1)
			r = sendmsg(fd, &m[0].msg_hdr, 0) == (ssize_t)iov[0].iov_len ? 1 : -1;
		else
			r = sendmmsg(fd, m, batch, 0);
		MUST(r > 0);
		n += (uint32_t)r;
		atomic_store(&shared->sent[sender], n);
		if (next(&state) % 16 == 0)
			sched_yield();
	}
	close(fd);
}

/**
 * struct sink - What a receiver has had.
 * @last: By sender: the number received last, plus one.
 * @drops: What SO_RXQ_OVFL said last.
 */
struct sink {
	uint32_t last[PROGRAMS];
	uint64_t got;
	uint32_t drops;
	bool marked;
};

static void check(struct sink *s, const unsigned char *p, size_t n, bool ordered)
{
	static __thread unsigned char expected[SIZE_MAX_BYTES];
	struct head h;

	MUST(n >= sizeof(h));
	memcpy(&h, p, sizeof(h));
	if (h.sender == MARK) {
		s->marked = true;
		return;
	}
	MUST(h.sender < PROGRAMS && h.number < EACH && h.size_bytes == n);
	MUST(h.sum == (h.sender ^ h.number * 31 ^ h.size_bytes << 16));
	fill(&h, expected);
	MUST(!memcmp(expected, p + sizeof(h), n - sizeof(h)));
	MUST(atomic_fetch_add(&shared->seen[h.sender][h.number], 1) == 0);
	MUST(!ordered || h.number >= s->last[h.sender]);
	s->last[h.sender] = h.number + 1;
	s->got++;
}

static void take(struct sink *s, int fd, bool ordered, int flags)
{
	unsigned char buf[SIZE_MAX_BYTES + 64];
	_Alignas(struct cmsghdr) char control[64];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &msg, flags);

	if (n < 0 && errno == EAGAIN)
		return;
	MUST(n >= 0 && !(msg.msg_flags & MSG_TRUNC));
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL)
			memcpy(&s->drops, CMSG_DATA(c), sizeof(s->drops));
	check(s, buf, (size_t)n, ordered);
}

/* The last one, again and again: it may be dropped as well. Return: how often. */
static uint32_t mark(struct sink *s, int fd)
{
	struct head h = { .sender = MARK, .size_bytes = sizeof(h) };
	int from = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t sent = 0;

	MUST(from >= 0);
	for (int i = 0; i < 1000 && !s->marked; i++) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		MUST(sendto(from, &h, sizeof(h), 0, (struct sockaddr *)&at, sizeof(at)) ==
		     sizeof(h));
		sent++;
		while (poll(&p, 1, 10) == 1 && !s->marked)
			take(s, fd, true, MSG_DONTWAIT);
	}
	close(from);
	MUST(s->marked);
	return sent;
}

static uint64_t sent_all(void)
{
	uint64_t n = 0;

	for (int i = 0; i < PROGRAMS; i++)
		n += atomic_load(&shared->sent[i]);
	return n;
}

/* Nobody sends any more: what was sent has arrived, or is counted. */
static void settle(struct sink *s, int fd)
{
	uint64_t sent = sent_all();
	uint32_t marks = mark(s, fd);

	printf("%llu sent, %llu received, %u dropped\n", (unsigned long long)sent,
	       (unsigned long long)s->got, s->drops);
	MUST(s->got);
	MUST(s->got + s->drops == sent + marks - 1);
	for (int i = 0; i < 100; i++)
		take(s, fd, true, MSG_DONTWAIT);
}

static void *sender_thread(void *arg)
{
	send_all((uint32_t)(uintptr_t)arg, EACH);
	return NULL;
}

/* Until all threads are done and nothing is there. */
static void threads(int rcvbuf, bool blocking)
{
	pthread_t t[SENDERS];
	struct sink s = { 0 };
	int fd = receiver(rcvbuf);
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = { .events = EPOLLIN | (blocking ? 0 : EPOLLET) };

	MUST(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0);
	for (uintptr_t i = 0; i < SENDERS; i++)
		MUST(!pthread_create(&t[i], NULL, sender_thread, (void *)i));
	while (epoll_wait(ep, &ev, 1, 300) == 1) {
		uint64_t before;

		do {
			before = s.got;
			take(&s, fd, true, blocking ? 0 : MSG_DONTWAIT);
		} while (!blocking && s.got != before);
	}
	for (int i = 0; i < SENDERS; i++)
		pthread_join(t[i], NULL);
	while (recv(fd, &ev, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
		take(&s, fd, true, MSG_DONTWAIT);
	settle(&s, fd);
}

static void case_threads(void)
{
	threads(1 << 22, true);
}

static void case_threads_edge(void)
{
	threads(1 << 18, false);
}

static void case_threads_small_buffer(void)
{
	threads(20000, true);
}

/* It lets go of @unneeded, unless that is -1. */
static pid_t sender_process(uint32_t sender, uint32_t count, int unneeded)
{
	pid_t pid = fork();

	MUST(pid >= 0);
	if (!pid) {
		if (unneeded >= 0)
			close(unneeded);
		atomic_fetch_sub(&shared->awaited, 1);
		while (atomic_load(&shared->awaited) > 0)
			usleep(1000);
		send_all(sender, count);
		_exit(0);
	}
	return pid;
}

static void processes(int count, uint32_t each, bool kill_some)
{
	struct sink s = { 0 };
	pid_t pids[PROGRAMS];
	int fd = receiver(1 << 20);
	uint32_t state = seed + 77;
	int left = count;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	atomic_store(&shared->awaited, count);
	for (int i = 0; i < count; i++)
		pids[i] = sender_process((uint32_t)i, each, -1);
	while (left) {
		int status;
		pid_t pid;

		uint32_t victim = next(&state) % (uint32_t)count / 2;

		if (kill_some && s.got > 500 && next(&state) % 200 == 0 && pids[victim])
			kill(pids[victim], SIGKILL);
		if (poll(&p, 1, 20) == 1)
			take(&s, fd, true, MSG_DONTWAIT);
		for (; left && (pid = waitpid(-1, &status, WNOHANG)) > 0; left--) {
			MUST(WIFEXITED(status) ? WEXITSTATUS(status) == 0 : kill_some);
			for (int i = 0; i < count; i++)
				if (pids[i] == pid)
					pids[i] = 0;
		}
	}
	while (poll(&p, 1, 20) == 1)
		take(&s, fd, true, MSG_DONTWAIT);
	if (!kill_some) {
		settle(&s, fd);
		return;
	}
	/* Who was killed has sent more than it could count: one batch, at most. */
	mark(&s, fd);
	MUST(s.got > 500);
	MUST(s.got + s.drops <= sent_all() + SENDERS * BATCH + 1000);
	for (int i = SENDERS / 2; i < SENDERS; i++)
		MUST(atomic_load(&shared->sent[i]) == EACH);
	printf("%llu received\n", (unsigned long long)s.got);
}

static void case_processes(void)
{
	processes(SENDERS, EACH, false);
}

/* Those for whom there is no seat send through the kernel: in order, and counted. */
static void case_programs(void)
{
	processes(PROGRAMS, EACH_PROGRAM, false);
}

static void case_senders_killed(void)
{
	processes(SENDERS, EACH, true);
}

/* Several processes receive from one socket; each datagram is one's. */
static void case_receivers(void)
{
	enum { RECEIVERS = 3 };
	int fd = receiver(1 << 20);
	pid_t senders[SENDERS], receivers[RECEIVERS];
	struct head h = { .sender = MARK, .size_bytes = sizeof(h) };
	uint64_t got = 0;
	int status;

	for (int i = 0; i < RECEIVERS; i++) {
		receivers[i] = fork();
		MUST(receivers[i] >= 0);
		if (!receivers[i]) {
			struct sink s = { 0 };

			while (!s.marked)
				take(&s, fd, true, 0);
			_exit(0);
		}
	}
	for (uint32_t i = 0; i < SENDERS; i++)
		senders[i] = sender_process(i, EACH, -1);
	for (int i = 0; i < SENDERS; i++)
		MUST(waitpid(senders[i], &status, 0) > 0 && status == 0);
	for (int left = RECEIVERS; left;) {
		MUST(sendto(fd, &h, sizeof(h), 0, (struct sockaddr *)&at, sizeof(at)) ==
		     sizeof(h));
		usleep(2000);
		for (int i = 0; i < RECEIVERS; i++) {
			if (receivers[i] && waitpid(receivers[i], &status, WNOHANG) > 0) {
				MUST(status == 0);
				receivers[i] = 0;
				left--;
			}
		}
	}
	for (int i = 0; i < SENDERS; i++)
		for (int n = 0; n < EACH; n++)
			got += atomic_load(&shared->seen[i][n]);
	printf("%llu received\n", (unsigned long long)got);
	MUST(got > 100 && got <= (uint64_t)SENDERS * EACH);
}

/* Sockets come and go while others send to their port. */
static void case_rebound(void)
{
	struct sink s = { 0 };
	int fd = receiver(1 << 20);
	pid_t pids[SENDERS / 2];
	struct pollfd p = { .events = POLLIN };
	int left = SENDERS / 2;

	for (uint32_t i = 0; i < SENDERS / 2; i++)
		pids[i] = sender_process(i * 2, EACH, fd);	/* Those that are not connected. */
	/* None of them has the first socket any more. */
	for (uint32_t i = 0; i < SENDERS / 2; i++)
		while (!atomic_load(&shared->sent[i * 2]))
			usleep(1000);
	while (left) {
		int status;

		for (int i = 0; i < 50; i++) {
			p.fd = fd;
			if (poll(&p, 1, 5) == 1)
				take(&s, fd, true, MSG_DONTWAIT);
		}
		close(fd);
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		MUST(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
		for (int i = 0; i < SENDERS / 2; i++) {
			if (pids[i] && waitpid(pids[i], &status, WNOHANG) > 0) {
				MUST(status == 0);
				pids[i] = 0;
				left--;
			}
		}
	}
	/* The senders may be done before it was bound twice. */
	MUST(s.got >= 50);
}

/* One of this run's: the port may have been another program's, to which somebody sends. */
static bool is_ours(const struct head *h, ssize_t n)
{
	return n == sizeof(*h) && h->size_bytes == sizeof(*h) && h->sum == at.sin_port * 40503u;
}

/* Sends from each of its sockets, in turn, and has the answer there. */
static void ask_all(const int *fds, int count, uint32_t sender)
{
	for (int i = 0; i < count; i++) {
		struct head h = { .sender = sender, .number = (uint32_t)i, .size_bytes = sizeof(h),
				  .sum = at.sin_port * 40503u };
		struct head got = { 0 };
		struct pollfd p = { .fd = fds[i], .events = POLLIN };
		ssize_t n = 0;

		MUST(sendto(fds[i], &h, sizeof(h), 0, (struct sockaddr *)&at, sizeof(at)) ==
		     sizeof(h));
		while (!is_ours(&got, n)) {
			MUST(poll(&p, 1, ANSWER_MS) == 1);
			n = recv(fds[i], &got, sizeof(got), MSG_DONTWAIT);
			MUST(n >= 0);
		}
		MUST(got.sender == sender && got.number == (uint32_t)i);
	}
}

static void asker(uint32_t sender)
{
	static int fds[SOCKETS];

	for (int i = 0; i < SOCKETS; i++) {
		fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		MUST(fds[i] >= 0);
	}
	ask_all(fds, SOCKETS, sender);
	/* Whose addresses are known by now. */
	ask_all(fds, SOCKETS, sender);
	_exit(0);
}

/*
 * More sockets than there are rows of seats, in each of some programs; each is answered. A
 * program that has ended leaves its ports to the others, which go on.
 */
static void case_sockets(void)
{
	int fd = receiver(1 << 20), status, left = ASKERS;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct rlimit limit;

	MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max < SOCKETS + 100 || setrlimit(RLIMIT_NOFILE, &limit) < 0)
		exit(77);
	for (uint32_t i = 0; i < ASKERS; i++) {
		pid_t pid = fork();

		MUST(pid >= 0);
		if (!pid) {
			close(fd);
			asker(i);
		}
	}
	while (left) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		struct head h = { 0 };

		if (poll(&p, 1, 20) == 1) {
			ssize_t n = recvfrom(fd, &h, sizeof(h), 0, (struct sockaddr *)&from, &len);

			MUST(n >= 0);
			if (is_ours(&h, n))
				MUST(sendto(fd, &h, sizeof(h), 0, (struct sockaddr *)&from, len) ==
				     sizeof(h));
		} else if (waitpid(-1, &status, WNOHANG) > 0) {
			MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
			left--;
		}
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{ "datagrams_threads", case_threads },
	{ "datagrams_threads_edge", case_threads_edge },
	{ "datagrams_threads_small_buffer", case_threads_small_buffer },
	{ "datagrams_processes", case_processes },
	{ "datagrams_programs", case_programs },
	{ "datagrams_senders_killed", case_senders_killed },
	{ "datagrams_receivers", case_receivers },
	{ "datagrams_rebound", case_rebound },
	{ "datagrams_sockets", case_sockets },
};

int main(int argc, char **argv)
{
	if (argc > 2)
		seed = (unsigned int)strtoul(argv[2], NULL, 0);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(shared != MAP_FAILED);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (argc < 2) {
			puts(cases[i].name);
		} else if (!strcmp(cases[i].name, argv[1])) {
			alarm(40);
			cases[i].run();
			return 0;
		}
	}
	return argc < 2 ? 0 : 2;
}
