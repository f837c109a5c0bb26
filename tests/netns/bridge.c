// SPDX-License-Identifier: BSD-2-Clause
/*
 * bridge.c - Two TAP interfaces joined by a bad cable.
 *
 *   bridge --a PID:TAP --b PID:TAP [--ab LINK] [--ba LINK] [--both LINK] [--seed N] [--pcap FILE]
 *
 * Makes the TAPs, each in the network namespace of a process, and carries frames from one
 * to the other until SIGTERM; then, and at each SIGUSR1, it prints a line of JSON: what was
 * taken, lost, dropped and delivered in each direction. The first line, "ready", says that
 * the interfaces are there.
 *
 * LINK is a list: loss=0.05,delay=10,... with the probabilities loss, bad, bad-end, bad-loss
 * (tests/sim/link.h), dup, reorder, corrupt; delay and jitter in milliseconds, rate in
 * Mbit/s, queue and hole in octets.
 *
 * What becomes of a direction's n-th frame depends on the seed and n alone, but for queues
 * and overtaking, which are the clock's.
 *
 * No virtio headers: the kernel cuts large segments and finishes checksums before it hands
 * a frame to us, so what is captured is what a cable would carry. A frame is captured as it
 * comes from its sender, before anything happens to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "dev/pcapng.h"
#include "sim/flight.h"
#include "sim/link.h"

#define FRAME_MAX 65600u
#define BATCH 64u	      /* frames of one side before the other's turn */
#define IN_FLIGHT_MAX 400000u /* behind which frames are dropped: memory has an end */
#define PROBABILITY_ONE 65536.0

/**
 * struct side - An end, and the direction that begins there.
 * @unwritable: Arrived here, and the interface was down or full.
 */
struct side {
	const char *name;
	int fd;
	struct link link;
	uint64_t random;
	uint64_t taken, lost, queue, dup, harmed, delivered, unwritable;
	uint64_t taken_bytes;
};

struct bridge {
	struct side side[2];
	struct flight flight;
	FILE *pcap;
};

static volatile sig_atomic_t asked, ended;

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		asked = 1;
	else
		ended = 1;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bridge: %s: %s\n", what, strerror(errno));
	exit(2);
}

static _Noreturn void usage(const char *what)
{
	fprintf(stderr,
		"bridge: %s\n"
		"usage: bridge --a PID:TAP --b PID:TAP [--ab LINK] [--ba LINK] [--both LINK]"
		" [--seed N] [--pcap FILE]\n",
		what);
	exit(2);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * LINK_SEC + (uint64_t)t.tv_nsec;
}

/* Of the capture: the one that other captures have. */
static uint64_t wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * LINK_SEC + (uint64_t)t.tv_nsec;
}

/* ------------------------------------------------------------ the command line */

enum key {
	KEY_LOSS,
	KEY_BAD,
	KEY_BAD_END,
	KEY_BAD_LOSS,
	KEY_DUP,
	KEY_REORDER,
	KEY_CORRUPT,
	KEY_DELAY,
	KEY_JITTER,
	KEY_RATE,
	KEY_QUEUE,
	KEY_HOLE,
};

static uint32_t probability(double v)
{
	if (v > 1)
		usage("a probability above 1");
	return (uint32_t)(v * PROBABILITY_ONE);
}

/* "loss=0.05,delay=10", into a link; what is not named stays. */
static void link_parse(struct link *l, char *list)
{
	static char *const keys[] = {[KEY_LOSS] = "loss",
				     [KEY_BAD] = "bad",
				     [KEY_BAD_END] = "bad-end",
				     [KEY_BAD_LOSS] = "bad-loss",
				     [KEY_DUP] = "dup",
				     [KEY_REORDER] = "reorder",
				     [KEY_CORRUPT] = "corrupt",
				     [KEY_DELAY] = "delay",
				     [KEY_JITTER] = "jitter",
				     [KEY_RATE] = "rate",
				     [KEY_QUEUE] = "queue",
				     [KEY_HOLE] = "hole",
				     NULL};
	char *value, *end;

	while (*list) {
		int key = getsubopt(&list, keys, &value);
		double v = value ? strtod(value, &end) : -1;

		if (key < 0 || !value || end == value || *end || !(v >= 0 && v < 1e9))
			usage("a LINK has keys and numbers: loss=0.05,delay=10");
		switch ((enum key)key) {
		case KEY_LOSS:
			l->loss = probability(v);
			break;
		case KEY_BAD:
			l->bad = probability(v);
			break;
		case KEY_BAD_END:
			l->bad_end = probability(v);
			break;
		case KEY_BAD_LOSS:
			l->bad_loss = probability(v);
			break;
		case KEY_DUP:
			l->dup = probability(v);
			break;
		case KEY_REORDER:
			l->reorder = probability(v);
			break;
		case KEY_CORRUPT:
			l->corrupt = probability(v);
			break;
		case KEY_DELAY:
			l->delay_ns = (uint64_t)(v * LINK_MSEC);
			break;
		case KEY_JITTER:
			l->jitter_ns = (uint64_t)(v * LINK_MSEC);
			break;
		case KEY_RATE:
			l->rate = (uint64_t)(v * 1e6);
			break;
		case KEY_QUEUE:
			l->queue_bytes = (uint32_t)v;
			break;
		case KEY_HOLE:
			l->hole = (uint32_t)v;
			break;
		}
	}
}

/* "PID:TAP": the interface, made in that process's network namespace. */
static int tap_make(const char *where)
{
	struct ifreq req = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	char path[64], *name;
	long pid = strtol(where, &name, 10);
	int ns, fd;

	if (pid <= 0 || *name++ != ':' || !*name || strlen(name) >= IFNAMSIZ)
		usage("--a and --b are PID:TAP");
	snprintf(path, sizeof(path), "/proc/%ld/ns/net", pid);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
		die(path);
	close(ns);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		die("/dev/net/tun");
	memcpy(req.ifr_name, name, strlen(name));
	if (ioctl(fd, TUNSETIFF, &req) < 0)
		die(where);
	return fd;
}

static void begin(struct bridge *b, int argc, char **argv)
{
	const char *where[2] = {NULL, NULL}, *pcap = NULL;
	uint64_t seed = 1;

	for (int i = 1; i < argc; i += 2) {
		char *value = argv[i + 1];

		if (!value)
			usage("a value is missing");
		if (!strcmp(argv[i], "--a")) {
			where[0] = value;
		} else if (!strcmp(argv[i], "--b")) {
			where[1] = value;
		} else if (!strcmp(argv[i], "--ab")) {
			link_parse(&b->side[0].link, value);
		} else if (!strcmp(argv[i], "--ba")) {
			link_parse(&b->side[1].link, value);
		} else if (!strcmp(argv[i], "--both")) {
			char *again = strdup(value);

			link_parse(&b->side[0].link, value);
			if (again)
				link_parse(&b->side[1].link, again);
			free(again);
		} else if (!strcmp(argv[i], "--seed")) {
			seed = strtoull(value, NULL, 0);
		} else if (!strcmp(argv[i], "--pcap")) {
			pcap = value;
		} else {
			usage(argv[i]);
		}
	}
	if (!where[0] || !where[1])
		usage("--a and --b are needed");
	for (unsigned i = 0; i < 2; i++) {
		struct link *l = &b->side[i].link;

		if (l->rate && !l->queue_bytes)
			usage("a rate needs a queue");
		b->side[i].name = i ? "ba" : "ab";
		b->side[i].random = seed * 2 + i;
		b->side[i].fd = tap_make(where[i]);
	}
	if (pcap) {
		b->pcap = pcapng_open(pcap, 2);
		if (!b->pcap)
			die(pcap);
	}
}

/* ------------------------------------------------------------ frames */

static void launch(struct bridge *b, unsigned from, const uint8_t *octets, size_t bytes,
		   uint64_t at_ns)
{
	struct side *s = &b->side[from];
	struct flight_frame *f = flight_new(from, octets, bytes);

	if (!f)
		die("memory");
	f->at_ns = link_arrival(&s->link, &s->random, at_ns);
	f->harmed = link_harm(&s->link, &s->random, f->octets, bytes);
	if (f->harmed)
		s->harmed++;
	if (!flight_add(&b->flight, f))
		die("memory");
}

static void take(struct bridge *b, unsigned from, const uint8_t *octets, size_t bytes)
{
	static const char *const said[] = {
		[LINK_PASSED] = NULL, [LINK_QUEUE_FULL] = "dropped: queue", [LINK_LOST] = "lost"};
	struct side *s = &b->side[from];
	enum link_fate fate;
	uint64_t at = 0;

	s->taken++;
	s->taken_bytes += bytes;
	fate = b->flight.n >= IN_FLIGHT_MAX ? LINK_QUEUE_FULL
					    : link_take(&s->link, &s->random, now_ns(), bytes, &at);
	if (b->pcap)
		pcapng_frame(b->pcap, from, wall_ns(), octets, bytes, said[fate]);
	if (fate == LINK_QUEUE_FULL) {
		s->queue++;
		return;
	}
	if (fate == LINK_LOST) {
		s->lost++;
		return;
	}
	launch(b, from, octets, bytes, at);
	if (link_chance(&s->random, s->link.dup)) {
		launch(b, from, octets, bytes, at);
		s->dup++;
	}
}

/* Return: whether there may be more. */
static bool take_batch(struct bridge *b, unsigned from)
{
	static uint8_t octets[FRAME_MAX];

	for (unsigned i = 0; i < BATCH; i++) {
		ssize_t n = read(b->side[from].fd, octets, sizeof(octets));

		if (n > 0)
			take(b, from, octets, (size_t)n);
		else if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == EIO))
			return false; /* EIO: the interface is down */
		else
			die("read");
	}
	return true;
}

static void deliver(struct bridge *b)
{
	uint64_t now = now_ns();

	while (flight_next_ns(&b->flight) <= now) {
		struct flight_frame *f = flight_pop(&b->flight);
		struct side *from = &b->side[f->from];

		if (write(b->side[!f->from].fd, f->octets, f->bytes) == (ssize_t)f->bytes)
			from->delivered++;
		else if (errno == EIO || errno == EAGAIN || errno == EINTR)
			from->unwritable++;
		else
			die("write");
		free(f);
	}
}

static void report(const struct bridge *b)
{
	printf("{\"in_flight\": %zu", b->flight.n);
	for (unsigned i = 0; i < 2; i++) {
		const struct side *s = &b->side[i];

		printf(", \"%s\": {\"taken\": %" PRIu64 ", \"taken_bytes\": %" PRIu64
		       ", \"lost\": %" PRIu64 ", \"queue\": %" PRIu64 ", \"dup\": %" PRIu64
		       ", \"harmed\": %" PRIu64 ", \"delivered\": %" PRIu64
		       ", \"unwritable\": %" PRIu64 "}",
		       s->name, s->taken, s->taken_bytes, s->lost, s->queue, s->dup, s->harmed,
		       s->delivered, s->unwritable);
	}
	puts("}");
	fflush(stdout);
}

/* Until something comes, arrives, or is asked; signals are heard here only. */
static void sleep_until(struct bridge *b, const sigset_t *open)
{
	struct pollfd fds[2] = {{.fd = b->side[0].fd, .events = POLLIN},
				{.fd = b->side[1].fd, .events = POLLIN}};
	uint64_t next = flight_next_ns(&b->flight), now = now_ns();
	uint64_t left = next > now ? next - now : 0;
	struct timespec t = {.tv_sec = (time_t)(left / LINK_SEC),
			     .tv_nsec = (long)(left % LINK_SEC)};

	if (ppoll(fds, 2, next == UINT64_MAX ? NULL : &t, open) < 0 && errno != EINTR)
		die("ppoll");
}

int main(int argc, char **argv)
{
	static struct bridge b;
	struct sigaction act = {.sa_handler = on_signal};
	sigset_t closed, open;

	sigemptyset(&closed);
	sigaddset(&closed, SIGTERM);
	sigaddset(&closed, SIGINT);
	sigaddset(&closed, SIGUSR1);
	sigprocmask(SIG_BLOCK, &closed, &open);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGUSR1, &act, NULL);
	prctl(PR_SET_TIMERSLACK, 1);
	begin(&b, argc, argv);
	puts("ready");
	fflush(stdout);
	while (!ended) {
		bool more = take_batch(&b, 0);

		more |= take_batch(&b, 1);
		deliver(&b);
		/* A signal that waits is let in even where there is no rest. */
		if (more) {
			sigprocmask(SIG_SETMASK, &open, NULL);
			sigprocmask(SIG_BLOCK, &closed, NULL);
		} else {
			sleep_until(&b, &open);
		}
		if (asked) {
			asked = 0;
			report(&b);
		}
	}
	report(&b);
	if (b.pcap && fclose(b.pcap) != 0)
		die("the capture");
	flight_end(&b.flight);
	return 0;
}
