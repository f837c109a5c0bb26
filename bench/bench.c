/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

struct bench_opts bench = {
	.role = "both",
	.addr = "127.0.0.1",
	.cc = "",
	.port = 17001,
	.nodelay = -1,
	.pin_server = -1,
	.pin_client = -1,
	.naddr = 1,
	.size_bytes = 64,
	.time_s = 5.0,
};

static const char *program = "bench";

uint64_t bench_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

_Noreturn void bench_die(const char *what)
{
	fprintf(stderr, "%s (%s): %s: %s\n", program, bench.role, what, strerror(errno));
	exit(2);
}

void *bench_alloc(size_t size_bytes)
{
	size_t room = (size_bytes + 4095) & ~(size_t)4095;
	void *p = aligned_alloc(4096, room);

	if (p)
		memset(p, 0x5a, room);
	else
		bench_die("out of memory");
	return p;
}

bool bench_is_server(void)
{
	return strcmp(bench.role, "server") == 0;
}

static _Noreturn void usage(const char *what)
{
	fprintf(stderr,
		"%s\n"
		"  --size BYTES        of one message or write\n"
		"  --count N           messages, writes or connections; 0: as --time allows\n"
		"  --time SECONDS      upper bound of the timed part (5)\n"
		"  --addr A --port P   the server's (127.0.0.1, 17001)\n"
		"  --role both|server|client\n"
		"  --busy 0|1|2        blocking; spin on non-blocking calls; spin and yield\n"
		"  --pin-server CPU --pin-client CPU\n"
		"  --nodelay 0|1 --cc NAME\n"
		"  --rsize BYTES       stream: the server's reads\n"
		"  --naddr N           connrate: addresses to cycle through\n"
		"  --family tcp        the only one\n",
		what);
	exit(1);
}

void bench_parse(int argc, char **argv, const char *what)
{
	enum {
		SIZE = 1,
		COUNT,
		TIME,
		ADDR,
		PORT,
		ROLE,
		BUSY,
		PIN_S,
		PIN_C,
		NODELAY,
		CC,
		RSIZE,
		NADDR,
		FAMILY
	};
	static const struct option names[] = {
		{"size", 1, 0, SIZE},
		{"count", 1, 0, COUNT},
		{"time", 1, 0, TIME},
		{"addr", 1, 0, ADDR},
		{"port", 1, 0, PORT},
		{"role", 1, 0, ROLE},
		{"busy", 1, 0, BUSY},
		{"pin-server", 1, 0, PIN_S},
		{"pin-client", 1, 0, PIN_C},
		{"nodelay", 1, 0, NODELAY},
		{"cc", 1, 0, CC},
		{"rsize", 1, 0, RSIZE},
		{"naddr", 1, 0, NADDR},
		{"family", 1, 0, FAMILY},
		{0, 0, 0, 0},
	};
	int c;

	program = argv[0];
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case SIZE:
			bench.size_bytes = strtoul(optarg, NULL, 10);
			break;
		case COUNT:
			bench.count = atol(optarg);
			break;
		case TIME:
			bench.time_s = atof(optarg);
			break;
		case ADDR:
			bench.addr = optarg;
			break;
		case PORT:
			bench.port = atoi(optarg);
			break;
		case ROLE:
			bench.role = optarg;
			break;
		case BUSY:
			bench.busy = atoi(optarg);
			break;
		case PIN_S:
			bench.pin_server = atoi(optarg);
			break;
		case PIN_C:
			bench.pin_client = atoi(optarg);
			break;
		case NODELAY:
			bench.nodelay = atoi(optarg);
			break;
		case CC:
			bench.cc = optarg;
			break;
		case RSIZE:
			bench.read_bytes = strtoul(optarg, NULL, 10);
			break;
		case NADDR:
			bench.naddr = atoi(optarg);
			break;
		case FAMILY:
			if (strcmp(optarg, "tcp") != 0)
				usage(what);
			break;
		default:
			usage(what);
		}
	}
	if (bench.size_bytes < 1 || bench.size_bytes > (64u << 20) || bench.naddr < 1 ||
	    !(bench.time_s > 0 && bench.time_s <= 120) || optind != argc)
		usage(what);
	signal(SIGPIPE, SIG_IGN);
	alarm((unsigned)bench.time_s + 30); /* no process outlives a mistake */
}

void bench_pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		bench_die("sched_setaffinity");
}

pid_t bench_spawn_server(int argc, char **argv)
{
	static char role[] = "--role", server[] = "server";
	char **args;
	pid_t pid;

	if (strcmp(bench.role, "both") != 0)
		return 0;
	args = calloc((size_t)argc + 3, sizeof(*args));
	if (!args)
		bench_die("calloc");
	memcpy(args, argv, (size_t)argc * sizeof(*args));
	args[argc] = role;
	args[argc + 1] = server;
	pid = fork();
	if (pid < 0)
		bench_die("fork");
	if (pid == 0) {
		execv("/proc/self/exe", args);
		_exit(127);
	}
	free(args);
	return pid;
}

struct sockaddr_in bench_addr(int offset)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)bench.port)};

	if (inet_pton(AF_INET, bench.addr, &a.sin_addr) != 1) {
		errno = EINVAL;
		bench_die(bench.addr);
	}
	a.sin_addr.s_addr = htonl(ntohl(a.sin_addr.s_addr) + (uint32_t)offset);
	return a;
}

int bench_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		bench_die("socket");
	if (bench.cc[0] &&
	    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, bench.cc, (socklen_t)strlen(bench.cc)))
		bench_die(bench.cc); /* a figure under the wrong name is worse than none */
	return fd;
}

static void tune(int fd)
{
	if (bench.nodelay >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &bench.nodelay, sizeof(bench.nodelay));
}

void bench_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL, 0);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		bench_die("fcntl");
}

int bench_listen(bool wildcard)
{
	struct sockaddr_in a = bench_addr(0);
	int fd = bench_socket(), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (wildcard)
		a.sin_addr.s_addr = htonl(INADDR_ANY);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)))
		bench_die("bind");
	if (listen(fd, 4096))
		bench_die("listen");
	return fd;
}

int bench_accept(int listener)
{
	int fd;

	while ((fd = accept(listener, NULL, NULL)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			bench_die("accept");
		bench_wait();
	}
	tune(fd);
	if (bench.busy)
		bench_nonblock(fd);
	return fd;
}

int bench_connect(void)
{
	struct sockaddr_in a = bench_addr(0);

	for (int i = 0; i < 1000; i++) {
		int fd = bench_socket();

		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0) {
			tune(fd);
			return fd;
		}
		close(fd);
		usleep(5000);
	}
	bench_die("connect");
}

void bench_wait(void)
{
	if (bench.busy == 2)
		sched_yield();
}

bool bench_send(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		ssize_t r = send(fd, at, n, 0);

		if (r > 0) {
			at += r;
			n -= (size_t)r;
		} else if (r < 0 && (errno == EAGAIN || errno == EINTR)) {
			bench_wait();
		} else if (r < 0 && (errno == EPIPE || errno == ECONNRESET)) {
			return false;
		} else if (r < 0) {
			bench_die("send");
		}
	}
	return true;
}

bool bench_recv(int fd, void *p, size_t n)
{
	char *at = p;

	while (n > 0) {
		ssize_t r = recv(fd, at, n, 0);

		if (r > 0) {
			at += r;
			n -= (size_t)r;
		} else if (r == 0 || errno == ECONNRESET) {
			return false;
		} else if (errno == EAGAIN || errno == EINTR) {
			bench_wait();
		} else {
			bench_die("recv");
		}
	}
	return true;
}

void bench_print_head(const char *name)
{
	printf("bench=%s size=%zu busy=%d pin_s=%d pin_c=%d cc=%s", name, bench.size_bytes,
	       bench.busy, bench.pin_server, bench.pin_client, bench.cc[0] ? bench.cc : "-");
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void bench_print_times(uint32_t *ns, size_t n, double elapsed_s)
{
	static const struct {
		const char *name;
		unsigned per_mille;
	} points[] = {{"p10", 100}, {"p50", 500}, {"p90", 900}, {"p99", 990}, {"p999", 999}};

	if (n == 0) {
		errno = ENODATA;
		bench_die("nothing measured");
	}
	qsort(ns, n, sizeof(*ns), compare_u32);
	printf(" count=%zu", n);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		size_t at = n * points[i].per_mille / 1000;

		printf(" %s_us=%.3f", points[i].name, ns[at] / 1e3);
	}
	printf(" min_us=%.3f max_us=%.3f per_s=%.0f", ns[0] / 1e3, ns[n - 1] / 1e3,
	       (double)n / elapsed_s);
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

void bench_finish(pid_t server)
{
	struct rusage me, other = {0};
	int status = 0;

	for (int i = 0; server > 0 && i < 2000; i++) { /* 10 s */
		if (wait4(server, &status, WNOHANG, &other) == server)
			server = 0;
		else
			usleep(5000);
	}
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, &status, 0);
		status = -1;
	}
	getrusage(RUSAGE_SELF, &me);
	printf(" cli_user_s=%.3f cli_sys_s=%.3f srv_user_s=%.3f srv_sys_s=%.3f cli_csw=%ld"
	       " srv_csw=%ld srv_status=%d\n",
	       seconds(me.ru_utime), seconds(me.ru_stime), seconds(other.ru_utime),
	       seconds(other.ru_stime), me.ru_nvcsw + me.ru_nivcsw,
	       other.ru_nvcsw + other.ru_nivcsw, status);
}
