/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/sys.h"
#include "ctl/client.h"
#include "posix/asleep.h"
#include "posix/attach.h"
#include "posix/calls.h"
#include "posix/dgram.h"
#include "posix/fdtab.h"
#include "posix/handle.h"
#include "posix/options.h"
#include "posix/ports.h"
#include "posix/process.h"
#include "posix/ring.h"
#include "posix/route.h"
#include "posix/rlimit.h"
#include "posix/section.h"
#include "posix/sock.h"
#include "posix/watch.h"

#define SPIN_US_DEFAULT 50u
#define ENV_MOST 1023u
#define CALL_TRIES 12 /* of ctl_call()'s 5 s each */
#define PARTY_RETRY_NS (1 * NS_PER_SEC)

struct process process = { .ctl_fd = -1 };

static struct lock fork_lock; /* one fork at a time */
static struct lock ctl_lock;
static uint64_t party_failed_ns;
static bool party_failed_said;
static uint8_t *library_fds; /* one byte a number */
static uint64_t library_fds_size;
static int log_fd = 2;

/* ------------------------------------------------------------------- log */

void process_log(int level, const char *format, ...)
{
	char line[512];
	va_list ap;
	int n, head;

	if (level > process.log_level)
		return;
	head = snprintf(line, sizeof(line), "mortise[%u]: ", process.pid);
	va_start(ap, format);
	n = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, format, ap);
	va_end(ap);
	if (n < 0)
		return;
	n += head;
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	sys3(SYS_write, log_fd, line, n);
}

/* ---------------------------------------------------------- configuration */

static void log_configure(const char *text)
{
	static const char *const levels[] = { "error", "notice", "debug" };

	if (!text || !*text)
		return;
	for (unsigned i = 0; i < ARRAY_LEN(levels); i++)
		if (strcmp(text, levels[i]) == 0) {
			process.log_level = (int)i;
			return;
		}
	if (strchr(text, '/')) {
		long fd = sys4(SYS_openat, AT_FDCWD, text,
			       O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

		process.log_level = 2;
		if (fd >= 0)
			log_fd = process_fd_high((int)fd);
		return;
	}
	process_log(0, "MORTISE_LOG=%s: not a level (error, notice, debug) nor a path", text);
}

static void configure(void)
{
	const char *domain = getenv("MORTISE_DOMAIN"), *policy = getenv("MORTISE_POLICY");
	const char *spin = getenv("MORTISE_SPIN_US");
	unsigned long us = SPIN_US_DEFAULT;
	char *end;

	if (!domain || !ctl_domain_valid(domain))
		domain = CTL_DOMAIN_DEFAULT;
	strncpy(process.domain, domain, sizeof(process.domain) - 1);
	process.policy = !policy			       ? POLICY_SHARE
			 : strcmp(policy, "none") == 0 ? POLICY_NONE
			 : strcmp(policy, "net") == 0  ? POLICY_NET
						       : POLICY_SHARE;
	if (spin && *spin) {
		us = strtoul(spin, &end, 10);
		if (*end || us > 1000000) {
			process_log(0, "MORTISE_SPIN_US=%s: not a number of microseconds up to 1000000",
				    spin);
			us = SPIN_US_DEFAULT;
		}
	}
	process.spin_ns = us * NS_PER_US;
}

bool process_port_excluded(uint16_t port)
{
	static int any = -1;
	const char *at = env_get("MORTISE_EXCLUDE");

	if (any < 0)
		any = at && *at;
	if (!any || !at)
		return false;
	while (*at) {
		char *end;
		unsigned long n = strtoul(at, &end, 10);

		if (end != at && (*end == ',' || !*end) && n == port)
			return true;
		at += strcspn(at, ",");
		at += *at == ',';
	}
	return false;
}

/* ------------------------------------------------- the library's own range */

unsigned process_high_first(void)
{
	uint64_t soft = load_relaxed(&process.nofile_soft), hard = load_relaxed(&process.nofile_hard);

	return (unsigned)(soft < hard ? soft : hard - hard / 4);
}

void process_fd_mark(int fd, bool library)
{
	if ((unsigned)fd < library_fds_size)
		library_fds[fd] = library;
}

bool fd_is_library(int fd)
{
	return (unsigned)fd < library_fds_size && library_fds[fd];
}

int process_fd_copy(int fd)
{
	long high = sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, process_high_first());

	if (high >= 0)
		process_fd_mark((int)high, true);
	return (int)high;
}

int process_fd_high(int fd)
{
	int high;

	if (fd < 0)
		return fd;
	high = process_fd_copy(fd);
	sys1(SYS_close, fd);
	return high;
}

/* A bell that cannot be rung is a sleeper that never wakes: where the range
 * is full, it takes one of the program's numbers. */
static int process_fd_bell(int fd)
{
	long high = sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, process_high_first());

	if (high < 0) {
		process_fd_mark(fd, true);
		return fd;
	}
	sys1(SYS_close, fd);
	process_fd_mark((int)high, true);
	return (int)high;
}

void process_fd_high_close(int fd)
{
	process_fd_mark(fd, false);
	sys1(SYS_close, fd);
}

/* ------------------------------------------------------ control channel */

/* Said once, by whoever notices first. */
static void orphan_begin(void)
{
	if (__atomic_exchange_n(&process.orphan, true, __ATOMIC_ACQ_REL))
		return;
	process_log(0, "the daemon of domain %s has gone: established connections go on, "
		       "new sockets are %s", process.domain,
		    process.policy != POLICY_SHARE ? "refused" : "the kernel's");
}

int process_call(struct ctl_msg *m, const int *fds, unsigned nfds, int *ret_fds,
		 unsigned *ret_nfds)
{
	int r = -ETIMEDOUT;

	if (process.ctl_fd < 0 || process.orphan || process.confined)
		return -ENOTCONN;
	if (process.party)
		atomic_fetch_add_explicit(&arena_hdr(process.party->base)->ctl_messages, 1,
					  memory_order_relaxed);
	lock_take(&ctl_lock);
	/* Requests are idempotent; a daemon that was stopped may go on. */
	for (int i = 0; i < CALL_TRIES && r == -ETIMEDOUT; i++) {
		struct ctl_msg again = *m;
		unsigned n = ret_nfds ? *ret_nfds : 0;

		r = ctl_call(process.ctl_fd, &again, fds, nfds, ret_fds, ret_nfds ? &n : NULL);
		if (r == -ETIMEDOUT)
			continue;
		*m = again;
		if (ret_nfds)
			*ret_nfds = n;
	}
	lock_drop(&ctl_lock);
	/* Of what is sent along, the program may have closed something. */
	if (r == -EBADF && nfds && sys2(SYS_fcntl, process.ctl_fd, F_GETFD) >= 0)
		return r;
	if (r == -EPIPE || r == -ECONNRESET || r == -EBADF) {
		/* Before hello it is a daemon that does not want us. */
		if (process.party)
			orphan_begin();
		return -ENOTCONN;
	}
	return r;
}

bool process_orphaned(void)
{
	struct pollfd p = { .fd = process.ctl_fd, .events = POLLRDHUP };
	struct timespec zero = { 0 };

	/* Unread messages may come before the end. */
	if (process.ctl_fd >= 0 && !process.orphan && sys5(SYS_ppoll, &p, 1, &zero, 0, 8) == 1)
		orphan_begin();
	return process.orphan;
}

static int party_introduce(void *arg, unsigned id, uint32_t gen, struct peer *ret)
{
	struct ctl_msg m = { .type = CTL_PEER };
	int fds[4] = { -1, -1, -1, -1 };
	unsigned n = ARRAY_LEN(fds);
	int r;

	(void)arg;
	/* Memory of another user is not mapped. */
	if (process.left)
		return -EPERM;
	m.peer.id = id;
	m.peer.gen = gen;
	r = process_call(&m, NULL, 0, fds, &n);
	if (r == 0 && n < 2)
		r = -EPROTO;
	if (r == 0 && (arena_fd_check(fds[0], ARENA_BYTES) < 0 ||
		       arena_fd_check(fds[1], MAILBOX_BYTES) < 0))
		r = -EPROTO;
	if (r == 0) {
		ret->base = arena_map(fds[0], ARENA_BYTES, false);
		ret->mbox = ret->base ? arena_map(fds[1], MAILBOX_BYTES, true) : NULL;
		ret->pid = m.peer.pid;
		if (ret->base && !ret->mbox)
			arena_unmap(ret->base, ARENA_BYTES);
		if (!ret->mbox)
			r = -ENOMEM;
	}
	if (r == 0 && n > 2) {
		atomic_init(&ret->bell_fd[0], process_fd_bell(fds[2]));
		fds[2] = -1;
	}
	for (unsigned i = 0; i < n; i++)
		if (fds[i] >= 0)
			sys1(SYS_close, fds[i]);
	return r;
}

static int party_fetch_bell(void *arg, const struct peer *p, unsigned bell)
{
	struct ctl_msg m = { .type = CTL_PEER_BELL };
	unsigned n = 1;
	int fd = -1, r;

	(void)arg;
	if (process.party && p == &process.party->self)
		return process_bell_fd(bell);
	/* A forked child that sends on its parent's connection: it needs a
	 * channel of its own to ask on. */
	if (!process.party && !process_party())
		return -ENOTCONN;
	m.peer.id = p->id;
	m.peer.gen = p->gen;
	m.peer.bell = bell;
	r = process_call(&m, NULL, 0, &fd, &n);
	if (r < 0)
		return r;
	return n == 1 ? process_fd_bell(fd) : -EPROTO;
}

static void party_let_go(void *arg, unsigned id, uint32_t gen)
{
	struct ctl_msg m = { .type = CTL_LET_GO };

	(void)arg;
	/* Attached sockets keep it: attach.c lets go. */
	if (attach_knows(id, gen))
		return;
	m.peer.id = id;
	m.peer.gen = gen;
	lock_take(&ctl_lock);
	ctl_post(process.ctl_fd, &m);
	lock_drop(&ctl_lock);
}

static void party_close_fd(void *arg, int fd)
{
	(void)arg;
	process_fd_high_close(fd);
}

static struct party *party_own(void *arg)
{
	(void)arg;
	return process_party();
}

static void party_recycled(void *arg, const struct half *h)
{
	(void)arg;
	if (load_relaxed(&h->side) & SIDE_LEASED)
		port_give(addr_word_port(load_relaxed(&h->local)));
}

static const struct party_ops party_ops = {
	.introduce = party_introduce,
	.fetch_bell = party_fetch_bell,
	.let_go = party_let_go,
	.close_fd = party_close_fd,
	.own = party_own,
	.ring_shared = ring_listener,
	.recycled = party_recycled,
};

static int own_bell_make(void)
{
	long fd = sys2(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? (int)fd : process_fd_high((int)fd);
}

/*
 * daemon_start() - The daemon leaves when nobody uses it, and this program
 * may have had no socket for a while. A child without an exit signal: the
 * program neither gets a SIGCHLD for it nor finds it with wait().
 */
static int daemon_start(void)
{
	const char *path = env_get("MORTISED");
	const char *policy = process.policy != POLICY_SHARE ? "none" : "share";
	const char *argv[] = { path, "--domain", process.domain, "--policy", policy, NULL };
	char *env[ENV_MOST + 1];
	unsigned n = 0;
	int status = 0;
	long pid;

	/* One with a network is brought up by who may. */
	if (!path || process.policy == POLICY_NET)
		return -ENOENT;
	for (char **e = environ; e && *e && n < ENV_MOST; e++)
		if (strncmp(*e, "LD_PRELOAD=", 11) != 0)
			env[n++] = *e;
	env[n] = NULL;
	pid = sys5(SYS_clone, 0, 0, 0, 0, 0);
	if (pid == 0) {
		sys3(SYS_execve, path, argv, env);
		sys1(SYS_exit_group, 127);
	}
	if (pid < 0)
		return (int)pid;
	while (sys4(SYS_wait4, pid, &status, __WALL, 0) == -EINTR)
		;
	return status == 0 ? 0 : -ECHILD;
}

static int daemon_connect(void)
{
	int r = ctl_connect(process.domain);

	if ((r == -ECONNREFUSED || r == -ENOENT) && daemon_start() == 0)
		r = ctl_connect(process.domain);
	return r;
}

/* Say hello. */
static int party_hello(struct party **ret)
{
	struct ctl_msg m = { .type = CTL_HELLO };
	int arena = -1, mbox = -1, bell = -1, reg = -1, r;
	unsigned n = 1;
	struct party *p;
	struct registry *registry = NULL;

	sys5(SYS_prctl, 16 /* PR_GET_NAME */, m.hello.comm, 0, 0, 0);
	p = party_create(m.hello.comm, &arena, &mbox);
	if (!p)
		return -errno;
	bell = own_bell_make();
	r = bell < 0 ? bell : daemon_connect();
	if (r < 0)
		goto fail;
	process.ctl_fd = process_fd_high(r);
	process.orphan = false;
	m.hello.pid = process.pid;
	r = process_call(&m, (int[]){ arena, mbox, bell }, 3, &reg, &n);
	if (r == 0 && n != 1)
		r = -EPROTO;
	if (r == 0)
		registry = arena_map(reg, REGISTRY_BYTES, false);
	if (r == 0 && (!registry || registry_check(registry) < 0))
		r = -EPROTO;
	if (r < 0)
		goto fail;
	sys1(SYS_close, arena);
	sys1(SYS_close, mbox);
	sys1(SYS_close, reg);
	process.policy = m.hello.policy;
	party_admit(p, m.hello.party, m.hello.gen, registry, &party_ops, NULL);
	atomic_store(&p->self.bell_fd[0], bell);
	*ret = p;
	return 0;
fail:
	party_destroy(p);
	sys1(SYS_close, arena);
	sys1(SYS_close, mbox);
	if (bell >= 0)
		process_fd_high_close(bell);
	if (reg >= 0)
		sys1(SYS_close, reg);
	if (process.ctl_fd >= 0)
		process_fd_high_close(process.ctl_fd);
	process.ctl_fd = -1;
	return r;
}

struct party *process_party(void)
{
	struct party *p = NULL;
	int r;

	if (process.party)
		return process.orphan || process.left ? NULL : process.party;
	if (!process.enabled || process.left || !fdtab || (uint32_t)sys0(SYS_getpid) != process.pid)
		return NULL;
	lock_take(&process.lock);
	if (!process.party &&
	    (party_failed_ns == 0 || clock_now_ns() - party_failed_ns > PARTY_RETRY_NS)) {
		r = party_hello(&p);
		if (r == 0) {
			process.party = p;
		} else {
			party_failed_ns = clock_now_ns();
			if (!party_failed_said)
				process_log(0, "no daemon for domain %s (%s): sockets are %s%s",
					    process.domain, strerror(-r),
					    process.policy != POLICY_SHARE ? "refused" : "the kernel's",
					    r == -EPROTONOSUPPORT ? "; library and daemon are of "
								    "different versions"
								  : "");
			party_failed_said = true;
		}
	}
	lock_drop(&process.lock);
	return process.party;
}

int process_bell_fd(unsigned bell)
{
	struct ctl_msg m = { .type = CTL_BELL };
	struct party *p = process.party;
	int fd, none, made = -1, r;
	unsigned n = 1;

	if (!p || bell >= BELL_MAX)
		return -EINVAL;
	fd = load_acquire(&p->self.bell_fd[bell]);
	if (fd >= 0)
		return fd;
	/* One thread at a time: what the daemon was told last must be what we
	 * listen to. */
	lock_take(&process.lock);
	none = load_acquire(&p->self.bell_fd[bell]);
	fd = none >= 0 ? none : own_bell_make();
	if (none >= 0 || fd < 0) {
		lock_drop(&process.lock);
		return fd;
	}
	m.bell.number = bell;
	r = process_call(&m, &fd, 1, &made, &n);
	if (r < 0) {
		lock_drop(&process.lock);
		process_fd_high_close(fd);
		return r;
	}
	if (n == 1) {
		process_fd_high_close(fd);
		fd = process_fd_bell(made);
	}
	atomic_store(&p->self.bell_fd[bell], fd);
	lock_drop(&process.lock);
	return fd;
}

/* ------------------------------------------------------------------ start */

void process_start(void)
{
	if (process.pid)
		return;
	process.pid = (uint32_t)sys0(SYS_getpid);
	env_keep();
	rlimit_start();
	/* As many as fdtab has room for: the limit may be raised. */
	library_fds_size = 1u << 20;
	library_fds = (void *)sys6(SYS_mmap, 0, library_fds_size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if ((long)library_fds < 0 && (long)library_fds > -4096) {
		library_fds_size = 0;
		return;
	}
	configure();
	fdtab_init();
	log_configure(getenv("MORTISE_LOG"));
	process.enabled = fdtab != NULL;
}

/* ------------------------------------------------------------------- fork */

void process_epoch_move(void)
{
	atomic_fetch_add(&process.epoch, 1);
}

void process_fork_before(void)
{
	section_enter();
	lock_take(&fork_lock);
	/* First: who accepts from now on knows that he may not be alone. */
	atomic_fetch_add(&process.forking, 1);
	process_epoch_move();
	ring_share_all();
	dgram_share_all();
	watch_fork_before();
	sock_fork_before();
	/* In the child, nobody would ever drop them. */
	lock_take(&process.lock);
	lock_take(&ctl_lock);
	if (process.party)
		lock_take(&process.party->lock);
	handle_stop();
	options_fork_before();
}

void process_fork_parent(void)
{
	struct sock *held;

	options_fork_parent();
	handle_go_on();
	if (process.party)
		lock_drop(&process.party->lock);
	lock_drop(&ctl_lock);
	lock_drop(&process.lock);
	held = sock_fork_parent();
	process_epoch_move();
	atomic_fetch_sub(&process.forking, 1);
	watch_fork_parent();
	sock_fork_end(held);
	lock_drop(&fork_lock);
	section_leave();
}

void process_fork_child(void)
{
	process.pid = (uint32_t)sys0(SYS_getpid);
	process_epoch_move();
	store_relaxed(&process.forking, 0);
	fork_lock = process.lock = ctl_lock = (struct lock){ 0 };
	party_failed_ns = 0;
	if (process.party) {
		process.party->lock = process.party->meet_lock = (struct lock){ 0 };
		process.party->inherited = true;
		process.party = NULL;
	}
	half_lock_forked();
	port_fork_child();
	options_fork_child();
	ring_fork_child();
	route_fork_child();
	dgram_fork_pools();
	attach_fork_child();
	handle_fork_child();
	if (process.ctl_fd >= 0)
		process_fd_high_close(process.ctl_fd);
	process.ctl_fd = -1;
	process.orphan = false;
	sock_fork_child();
	asleep_fork_child();
	watch_fork_child();
	section_leave();
}
