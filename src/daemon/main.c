/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/client.h"
#include "daemon/activate.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/net.h"

#define LOG_BYTES_MAX (1 << 20)
#define START_PATIENCE_NS (5 * NS_PER_SEC)
#define BACKLOG 1024
#define FDS_SPARE 64u
#define LINGER_DEFAULT 10u
#define LINGER_MAX ((unsigned long)CTL_LINGER_MAX)

static const char usage[] =
	"mortised --domain default --policy share\n"
	"mortised --domain test --policy none --foreground\n"
	"mortised --domain lab --tap tap0 --address 10.0.0.2/24 --gateway 10.0.0.1\n"
	"\n"
	"The daemon of a Mortise domain. `mortise run` starts it where it is not there.\n"
	"\n"
	"  --domain NAME      1 to 32 of [a-z0-9-], beginning with a letter (default: default)\n"
	"  --policy POLICY    share: other addresses are the kernel's; none: unreachable\n"
	"                     (default: share)\n"
	"  --tap NAME         the domain has a network of its own, by this interface:\n"
	"                     policy net\n"
	"  --address A/BITS   its address there, and its network's bits; up to 8 of these\n"
	"  --gateway A        where the way to other networks leads\n"
	"  --loopback memory|packets  how the domain's programs reach each other (memory)\n"
	"  --offload on|off   leave checksums and large segments to the interface (default: on)\n"
	"  --pcap FILE        write its frames there: pcapng, with whose they are\n"
	"  --mtu OCTETS       of its packets (default: the interface's)\n"
	"  --foreground       do not fork into the background; log to stderr\n"
	"  --linger SECONDS   leave when unused for so long (default: 10)\n"
	"  --keeper-handles N at most so many sockets' ends in each keeper process\n"
	"                     (default: by ulimit -Hn)\n"
	"  --link-socket PATH make the domain's programs connect to PATH, at which a\n"
	"                     service manager listens, and leave\n"
	"  --test-services    serve echo and discard on 127.0.0.1, ports 7 and 9\n"
	"  --help             this text\n";

struct options {
	const char *domain;
	uint32_t policy;
	bool foreground;
	bool test_services;
	unsigned long linger;
	unsigned long keeper_handles; /* 0: by the limit of descriptors */
	const char *link_socket;      /* NULL: to serve */
	struct net_options net_options;
	bool net_asked;
	struct net_config net; /* tap "": none */
	int door;		      /* passed by a service manager, or -1 */
};

static _Noreturn void bad_usage(const char *what, const char *given, const char *remedy)
{
	fprintf(stderr, "mortised: %s \"%s\": %s\n", what, given, remedy);
	exit(2);
}

static void parse_net(struct options *o, int option)
{
	struct net_options *n = &o->net_options;

	o->net_asked = true;
	if (option == 'T')
		n->tap = optarg;
	else if (option == 'G')
		n->gateway = optarg;
	else if (option == 'M')
		n->mtu = optarg;
	else if (option == 'O')
		n->offload = optarg;
	else if (option == 'L')
		n->loopback = optarg;
	else if (option == 'P' && *optarg != '/')
		bad_usage("bad path", optarg, "use an absolute one");
	else if (option == 'P')
		n->pcap = optarg;
	else if (n->addresses == NET_ADDRESSES)
		bad_usage("one address too many", optarg, "8 are the most");
	else
		n->address[n->addresses++] = optarg;
}

static void parse_net_check(struct options *o, bool policy_said)
{
	char why[256];

	if (policy_said && o->policy == POLICY_NET && !o->net_asked)
		bad_usage("policy", "net", "say which interface, with --tap NAME");
	if (!o->net_asked)
		return;
	if (policy_said && o->policy != POLICY_NET)
		bad_usage("policy", o->policy == POLICY_NONE ? "none" : "share",
			  "with an interface it is net");
	if (net_parse(&o->net_options, &o->net, why, sizeof(why)) < 0) {
		fprintf(stderr, "mortised: %s\n", why);
		exit(2);
	}
	o->policy = POLICY_NET;
}

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "domain", required_argument, NULL, 'd' },
		{ "policy", required_argument, NULL, 'p' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "tap", required_argument, NULL, 'T' },
		{ "address", required_argument, NULL, 'A' },
		{ "gateway", required_argument, NULL, 'G' },
		{ "mtu", required_argument, NULL, 'M' },
		{ "offload", required_argument, NULL, 'O' },
		{ "loopback", required_argument, NULL, 'L' },
		{ "pcap", required_argument, NULL, 'P' },
		{ "test-services", no_argument, NULL, 't' },
		{ "keeper-handles", required_argument, NULL, 'k' },
		{ "linger", required_argument, NULL, 'l' },
		{ "link-socket", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool policy_said = false;
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'd':
			if (!ctl_domain_valid(optarg))
				bad_usage("bad domain name", optarg,
					  "use 1 to 32 of [a-z0-9-], beginning with a letter");
			o->domain = optarg;
			break;
		case 'p':
			if (strcmp(optarg, "share") != 0 && strcmp(optarg, "none") != 0 &&
			    strcmp(optarg, "net") != 0)
				bad_usage("bad policy", optarg, "use share, none or net");
			o->policy = strcmp(optarg, "share") == 0 ? POLICY_SHARE :
				    strcmp(optarg, "none") == 0	 ? POLICY_NONE :
								   POLICY_NET;
			policy_said = true;
			break;
		case 'T':
		case 'A':
		case 'G':
		case 'M':
		case 'O':
		case 'L':
		case 'P':
			parse_net(o, c);
			break;
		case 'f':
			o->foreground = true;
			break;
		case 't':
			o->test_services = true;
			break;
		case 'l':
			errno = 0;
			o->linger = strtoul(optarg, &end, 10);
			if (*optarg < '0' || *optarg > '9' || *end || errno ||
			    o->linger > LINGER_MAX)
				bad_usage("bad number of seconds", optarg, "use 0 or more");
			break;
		case 'k':
			errno = 0;
			o->keeper_handles = strtoul(optarg, &end, 10);
			if (*optarg < '0' || *optarg > '9' || *end || errno ||
			    o->keeper_handles == 0)
				bad_usage("bad number of handles", optarg, "use 1 or more");
			break;
		case 's':
			if (*optarg != '/')
				bad_usage("bad path", optarg, "use an absolute one");
			o->link_socket = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			fputs("mortised: see mortised --help\n", stderr);
			exit(2);
		}
	}
	if (optind < argc)
		bad_usage("unknown argument", argv[optind], "see mortised --help");
	parse_net_check(o, policy_said);
}

/* The soft limits of whichever program started us are its own business. */
static void limits_inherited(void)
{
	static const int which[] = { RLIMIT_AS, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_CPU };
	struct rlimit rl;

	for (size_t i = 0; i < ARRAY_LEN(which); i++)
		if (getrlimit((__rlimit_resource_t)which[i], &rl) == 0 &&
		    rl.rlim_cur != rl.rlim_max) {
			rl.rlim_cur = rl.rlim_max;
			setrlimit((__rlimit_resource_t)which[i], &rl);
		}
}

/* Each handle costs a descriptor: take what we may have. */
static uint32_t raise_limit(void)
{
	struct rlimit rl = { 0 };

	if (getrlimit(RLIMIT_NOFILE, &rl) != 0)
		return 1024;
	/* A holder has room for so many; who needs more has wards. */
	rl.rlim_cur = rl.rlim_max < HOLDER_FDS ? rl.rlim_max : HOLDER_FDS;
	setrlimit(RLIMIT_NOFILE, &rl);
	getrlimit(RLIMIT_NOFILE, &rl);
	limits_inherited();
	return rl.rlim_cur < HOLDER_FDS ? (uint32_t)rl.rlim_cur : HOLDER_FDS;
}

static uint32_t less(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* How @fds descriptors are divided: three quarters of the keeper's are for far
 * ends, all of a ward's. A batch of near ends passes through both. */
static void share_out(struct table *t, uint32_t fds, const struct options *o)
{
	uint32_t most = o->keeper_handles && o->keeper_handles < HOLDER_FDS
				? (uint32_t)o->keeper_handles : HOLDER_FDS;
	uint32_t ends = fds / 4 * 3, spare = FDS_SPARE + CTL_HANDLE_BATCH;

	t->holders[0].max = less(most, ends > 2 * CTL_HANDLE_BATCH ? ends - CTL_HANDLE_BATCH
								   : ends / 2);
	t->ward_max = less(most, fds > 2 * spare ? fds - spare : fds / 4);
	t->kept_max = fds - ends > FDS_SPARE ? fds - ends - FDS_SPARE : 0;
}

static int lock_open(const char *dir)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/lock", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

/* Does somebody accept? The channel is closed at once: no client is made of it. */
static bool serves(const char *domain)
{
	int fd = ctl_connect(domain);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/*
 * Become the one keeper of the domain.
 * @activated: We have its socket, so that to connect to it says nothing.
 * Return: the lock's descriptor; -EEXIST: another one serves; or -errno.
 */
static int keeper_elect(const char *domain, const char *dir, bool activated)
{
	uint64_t deadline = clock_now_ns() + START_PATIENCE_NS;
	struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	int fd;

	/* To connect has it started, where it does not run yet. */
	if (!activated && activate_linked(dir) && serves(domain))
		return -EEXIST;
	fd = lock_open(dir);
	while (fd >= 0) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		if (!activated && serves(domain)) {
			close(fd);
			return -EEXIST;
		}
		/* It is starting, or leaving. */
		if (clock_now_ns() >= deadline) {
			close(fd);
			return -EBUSY;
		}
		nanosleep(&pause, NULL);
	}
	return fd;
}

static int door_open(const char *dir)
{
	struct sockaddr_un un;
	int dirfd = -1, r = ctl_address(dir, "ctl", &un, &dirfd), fd;

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0) {
		unlink(un.sun_path); /* We hold the lock: its owner is gone. */
		if (bind(fd, (struct sockaddr *)&un, sizeof(un)) != 0 ||
		    chmod(un.sun_path, 0600) != 0 || listen(fd, BACKLOG) != 0) {
			r = -errno;
			close(fd);
			fd = -1;
		}
	} else {
		r = -errno;
	}
	if (dirfd >= 0)
		close(dirfd);
	return fd < 0 ? r : fd;
}

static void door_remove(const char *dir)
{
	static const char *const names[] = { "ctl", "ctl.leaving" };
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (snprintf(path, sizeof(path), "%s/%s", dir, names[i]) < (int)sizeof(path))
			unlink(path);
}

static int log_open(const char *dir)
{
	char path[PATH_MAX], old[PATH_MAX];
	struct stat st;

	if (snprintf(path, sizeof(path), "%s/log", dir) >= (int)sizeof(path) ||
	    snprintf(old, sizeof(old), "%s/log.old", dir) >= (int)sizeof(old))
		return -1;
	if (stat(path, &st) == 0 && st.st_size > LOG_BYTES_MAX)
		rename(path, old);
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* All that a keeper is made of. Return: 0, or -errno. */
static int keeper_make(struct keeper *k, const struct options *o, const char *dir)
{
	uint32_t fds = raise_limit();
	struct table *t = table_create();
	char why[256];

	if (!t)
		return -errno;
	snprintf(t->domain, sizeof(t->domain), "%s", o->domain);
	t->policy = o->policy;
	t->net = o->net;
	t->test_services = o->test_services;
	t->linger_ns = o->linger * NS_PER_SEC;
	t->started_ns = clock_now_ns();
	t->netns = ctl_netns();
	t->keeper_pid = (uint32_t)getpid();
	t->rec_high = 1;
	share_out(t, fds, o);
	k->table = t;
	k->dir = dir;
	k->registry_fd = arena_fd_create("mortise-registry", REGISTRY_BYTES);
	if (k->registry_fd < 0)
		return k->registry_fd;
	k->registry_ro = arena_fd_readonly(k->registry_fd);
	if (k->registry_ro < 0)
		return k->registry_ro;
	k->registry = arena_map(k->registry_fd, REGISTRY_BYTES, true);
	if (!k->registry)
		return -errno;
	registry_init(k->registry, o->policy);
	k->tap_fd = k->pcap_fd = -1;
	if (*t->net.tap)
		k->tap_fd = net_open(&t->net, why, sizeof(why));
	if (k->tap_fd >= 0 && o->net_options.pcap)
		k->pcap_fd = net_capture(o->net_options.pcap, why, sizeof(why));
	if ((*t->net.tap && k->tap_fd < 0) || (o->net_options.pcap && k->pcap_fd < 0)) {
		fprintf(stderr, "mortised: domain %s: %s\n", o->domain, why);
		return -ECANCELED;
	}
	t->activated = o->door >= 0;
	k->listen_fd = t->activated ? o->door : door_open(dir);
	if (k->listen_fd < 0)
		return k->listen_fd;
	return k->tap_fd < 0 ? 0 : net_drop_privileges();
}

/* In the background: the parent waits for a byte from the keeper. */
static int background(int *ret_ready)
{
	int fds[2], status = 0;
	char byte = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid > 0) {
		ssize_t n;

		close(fds[1]);
		waitpid(pid, &status, 0);
		n = read(fds[0], &byte, 1);
		exit(n == 1 ? byte : 1);
	}
	close(fds[0]);
	setsid();
	pid = fork();
	if (pid != 0)
		_exit(pid < 0);
	*ret_ready = fds[1];
	return 0;
}

static void stdio_away(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; fd >= 0 && i < 3; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
}

/* Tell the starter how it went: 0, or an exit status. */
static void ready_tell(int ready, char status)
{
	if (ready < 0)
		return;
	if (write(ready, &status, 1) < 0)
		log_line("the starter is gone");
	close(ready);
}

/* How the start went, for struct keeper. */
static void started(struct keeper *k, int error)
{
	if (error && k->said_fd >= 0)
		dprintf(k->said_fd, "mortised: domain %s: no network on %s: %s%s\n",
			k->table->domain, k->table->net.tap,
			error == -ECHILD ? "the daemon died" : strerror(-error),
			error == -ENOMEM ? "; it takes 16 GB of address space, and 4 GB more for each "
						   "program: see `ulimit -Hv`" : "");
	ready_tell(k->ready_fd, error != 0);
	if (!error)
		activate_ready();
	if (k->said_fd >= 0)
		close(k->said_fd);
	k->ready_fd = k->said_fd = -1;
}

/* Let a service manager's socket be the domain's. Return: the exit status. */
static int link_socket(const struct options *o, const char *dir)
{
	int lock = lock_open(dir), r = 0;

	if (lock < 0)
		r = lock;
	else if (!activate_linked(dir) && flock(lock, LOCK_EX | LOCK_NB) != 0)
		r = -EBUSY;
	else
		r = activate_link(dir, o->link_socket);
	if (r == -EBUSY)
		fprintf(stderr, "mortised: domain %s: a daemon of its own runs; end it with "
			"`mortise down`\n", o->domain);
	else if (r < 0)
		fprintf(stderr, "mortised: domain %s: %s (%s)\n", o->domain, strerror(-r), dir);
	if (lock >= 0)
		close(lock);
	return r < 0;
}

int main(int argc, char **argv)
{
	struct options o = { .domain = CTL_DOMAIN_DEFAULT, .linger = LINGER_DEFAULT };
	static struct keeper k;
	static char dir[PATH_MAX];
	int r, ready = -1, status;

	/* Nobody is to be served by a daemon that is served itself. */
	unsetenv("LD_PRELOAD");
	parse(argc, argv, &o);
	umask(077);
	o.door = activate_fd();
	if (o.door < 0 && o.door != -ENOENT) {
		fputs("mortised: the socket that was passed must be one, of AF_UNIX and "
		      "SOCK_SEQPACKET, that listens\n", stderr);
		return 1;
	}
	/* Who activates waits for this very process. */
	o.foreground = o.foreground || o.door >= 0;
	/* The starter's pipes and files are none of ours to hold open. */
	if (!o.foreground)
		close_range(3, ~0u, 0);
	r = ctl_dir(o.domain, dir, sizeof(dir));
	if (r == 0 && o.link_socket)
		return link_socket(&o, dir);
	if (r == 0 && !o.foreground)
		r = background(&ready);
	if (r < 0) {
		fprintf(stderr, "mortised: %s: %s; MORTISE_DIR names another directory\n",
			*dir ? dir : "directory", strerror(-r));
		return 1;
	}
	if (*dir == '/' && chdir("/") != 0)
		log_line("cannot leave the working directory");
	r = keeper_elect(o.domain, dir, o.door >= 0);
	if (r == -EEXIST) {
		ready_tell(ready, 0);
		return 0;
	}
	if (r >= 0) {
		k.lock_fd = r;
		r = keeper_make(&k, &o, dir);
	}
	if (r < 0) {
		if (r != -ECANCELED) /* which has been said */
			fprintf(stderr, "mortised: domain %s: %s (%s)\n", o.domain, strerror(-r), dir);
		ready_tell(ready, 1);
		return 1;
	}
	k.started = started;
	k.ready_fd = ready;
	k.said_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (!o.foreground) {
		int fd = log_open(dir);

		if (fd >= 0)
			log_to(fd);
		stdio_away();
	}
	status = keeper_run(&k, daemon_main);
	/* The lock goes last: the next keeper removes a socket of that name. */
	if (!k.table->activated)
		door_remove(dir);
	return status;
}
