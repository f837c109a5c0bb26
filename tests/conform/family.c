/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker's children, and what it hands to others.
 *
 * A child that FORK made is a worker as well: it has pipes of its own to the
 * coordinator, which every worker inherits for that purpose. EXEC replaces a
 * worker by this file anew: numbers of its descriptors go along in an argument.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tick.h"
#include "worker.h"

extern char **environ;

enum { ONCE_OUT = 193 };	/* FORKSEND's child writes its outcome there. */

static int wait_for(int pid, int flags, struct outcome *out)
{
	int status = 0;
	int r;

	do
		r = waitpid(pid, &status, flags);
	while (r < 0 && errno == EINTR);
	out->ret = r == pid ? 0 : -1;
	out->err = errno;
	if (r != pid)
		return -1;
	if (WIFEXITED(status))
		worker_say(out, " exit=%d", WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		worker_say(out, " signal=%d", WTERMSIG(status));
	else if (WIFSTOPPED(status))
		worker_say(out, " stopped");
	else if (WIFCONTINUED(status))
		worker_say(out, " continued");
	return 0;
}

/* Nothing of a child before is left in the new one's pipe. */
static void drain_steps(void)
{
	struct pollfd p = { .fd = FD_CHILD_IN, .events = POLLIN };
	struct step st;

	while (poll(&p, 1, 0) > 0 && p.revents & POLLIN)
		if (!io_read_all(FD_CHILD_IN, &st, sizeof(st)))
			break;
}

static bool do_fork(struct outcome *out)
{
	pid_t pid;

	drain_steps();
	pid = fork();
	if (pid == 0) {
		dup2(FD_CHILD_IN, 0);
		dup2(FD_CHILD_OUT, 1);
		close(FD_CHILD_IN);
		close(FD_CHILD_OUT);
		worker_forked();
		return false;
	}
	out->ret = pid < 0 ? -1 : 0;
	out->err = errno;
	out->pid = pid;
	worker.child = pid < 0 ? 0 : pid;
	return true;
}

/* The parent ends; the child is the worker from now on. */
static bool do_daemon(struct outcome *out)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid > 0)
		_exit(0);
	out->ret = pid < 0 ? -1 : 0;
	out->err = errno;
	if (pid < 0)
		return true;
	while (getppid() == parent)
		nap_us(200);
	worker_forked();
	out->pid = getpid();
	return true;
}

static void do_child(const struct step *st, struct outcome *out)
{
	int pid = worker.child;

	if (!pid) {
		out->ret = -1;
		out->err = ECHILD;
		return;
	}
	if (st->op == OP_CHILDKILL)
		kill(pid, SIGKILL);
	if (st->op == OP_CHILDSTOP)
		kill(pid, SIGSTOP);
	if (st->op == OP_CHILDCONT)
		kill(pid, SIGCONT);
	wait_for(pid, st->op == OP_CHILDSTOP ? WUNTRACED :
		 st->op == OP_CHILDCONT ? WCONTINUED : 0, out);
	if (st->op == OP_CHILDEXIT || st->op == OP_CHILDKILL)
		worker.child = 0;
}

/* --- exec ----------------------------------------------------------------- */

static void do_exec(struct outcome *out)
{
	char text[32 * SLOTS];
	char mutate[16];
	char hz[16];
	int len = snprintf(text, sizeof(text), "%d %d", worker.child, worker.held);

	for (int i = 0; i < SLOTS; i++)
		len += snprintf(text + len, sizeof(text) - (unsigned long)len, " %d %d",
				worker.slot_fd[i], worker.slot_open[i]);
	snprintf(mutate, sizeof(mutate), "%d", worker.mutation);
	snprintf(hz, sizeof(hz), "%d", worker.hz);
	tick_end();
	execl("/proc/self/exe", "conform-exec", "--worker", mutate, hz, text, (char *)NULL);
	out->ret = -1;
	out->err = errno;
}

static long number(const char **text)
{
	char *end;
	long v = strtol(*text, &end, 10);

	*text = end;
	return v;
}

void family_resume(const char *text, struct outcome *out)
{
	worker.child = (int)number(&text);
	worker.held = (int)number(&text);
	worker_say(out, " open:");
	for (int i = 0; i < SLOTS; i++) {
		worker.slot_fd[i] = (int)number(&text);
		worker.slot_open[i] = number(&text) && fcntl(worker.slot_fd[i], F_GETFD) >= 0;
		if (!worker.slot_open[i])
			continue;
		worker_say(out, " s%d", i);
		out->open |= 1u << i;
	}
}

/* --- One call in a child ---------------------------------------------------- */

/* In the child of FORKSEND, FORKRECV: as an inetd has its services. */
static void once_exec(const struct step *call, int out_fd, bool plain)
{
	static char *const nothing[] = { NULL };
	char text[160];
	char *argv[] = { "conform-exec", "--once", text, NULL };
	int fd = worker_fd(call->arg[0]);

	snprintf(text, sizeof(text), "%d %lld %llu %llu", call->op, (long long)call->arg[1],
		 (unsigned long long)call->key, (unsigned long long)call->pos);
	if (dup2(fd, 0) < 0 || dup2(fd, 1) < 0 || dup2(out_fd, ONCE_OUT) < 0)
		return;
	execve("/proc/self/exe", argv, plain ? nothing : environ);
}

int family_once(const char *text)
{
	struct step st = { .op = (int32_t)number(&text), .argc = 2, .arg = { 0, number(&text) } };
	struct outcome out = { 0 };

	st.key = strtoull(text, (char **)&text, 10);
	st.pos = strtoull(text, (char **)&text, 10);
	signal(SIGPIPE, SIG_IGN);
	tick_begin(0);
	worker_slot_set(0, st.op == OP_WRITE ? 1 : 0);
	tick_guard(GUARD_US);
	worker_call(&st, &out);
	tick_guard(0);
	return io_write_all(ONCE_OUT, &out, sizeof(out)) ? 0 : 1;
}

void family_fork_call(const struct step *st, struct outcome *out)
{
	struct step call = *st;
	bool sends = st->op == OP_FORKSEND;
	struct outcome unused = { 0 };
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		abort();
	pid = fork();
	if (pid == 0) {
		if (st->arg[2]) {
			call.op = sends ? OP_WRITE : OP_READ;
			once_exec(&call, fds[1], st->arg[2] == 2);
			_exit(126);
		}
		call.op = sends ? OP_SEND : OP_RECV;
		call.arg[2] = MSG_NOSIGNAL | MSG_DONTWAIT;
		worker_call(&call, out);
		io_write_all(fds[1], out, sizeof(*out));
		_exit(0);
	}
	close(fds[1]);
	if (!io_read_all(fds[0], out, sizeof(*out)))
		worker_say(out, " the child died");
	close(fds[0]);
	wait_for(pid, 0, &unused);
}

void family_hold_end(struct outcome *out)
{
	struct outcome unused = { 0 };

	out->ret = worker.held ? 0 : -1;
	if (!worker.held)
		return;
	kill(worker.held, SIGKILL);
	wait_for(worker.held, 0, &unused);
	worker.held = 0;
}

void family_hold(struct outcome *out)
{
	family_hold_end(out);
	worker.held = fork();
	if (worker.held == 0) {
		/* Only what is compared: the coordinator's pipes are not its. */
		close(0);
		close(1);
		for (;;)
			pause();
	}
	out->ret = worker.held < 0 ? -1 : 0;
	out->err = errno;
}

/* --- Programs in between ------------------------------------------------------ */

static void do_spawn(int64_t how, struct outcome *out)
{
	static char *const argv[] = { "sh", "-c", "exit 3", NULL };
	pid_t pid = 0;
	FILE *f;
	int r;

	switch (how) {
	case 0:
		r = system("exit 3");
		worker_say(out, " status=%#x", (unsigned int)r);
		return;
	case 1:
		out->err = posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ);
		if (out->err)
			out->ret = -1;
		else
			wait_for(pid, 0, out);
		return;
	case 2:
		f = popen("exit 3", "r");
		r = f ? pclose(f) : -1;
		worker_say(out, " status=%#x", (unsigned int)r);
		return;
	default:
		pid = vfork();	/* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
		if (pid == 0)
			_exit(3);
		wait_for(pid, 0, out);
	}
}

/* --- Descriptors handed over ----------------------------------------------------- */

union control {
	struct cmsghdr hdr;
	char room[CMSG_SPACE(sizeof(int))];
};

static void do_give(int fd, struct outcome *out)
{
	union control c;
	char byte = 'x';
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &c, .msg_controllen = sizeof(c),
	};

	memset(&c, 0, sizeof(c));
	c.hdr.cmsg_len = CMSG_LEN(sizeof(int));
	c.hdr.cmsg_level = SOL_SOCKET;
	c.hdr.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&c.hdr), &fd, sizeof(fd));
	out->ret = sendmsg(FD_CHANNEL, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	out->err = errno;
}

/* Return: the descriptor, or -1. */
static int channel_take(int flags, struct outcome *out)
{
	union control c;
	char byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &c, .msg_controllen = sizeof(c),
	};
	int fd = -1;

	memset(&c, 0, sizeof(c));
	out->ret = recvmsg(FD_CHANNEL, &msg, flags | MSG_DONTWAIT);
	out->err = errno;
	if (out->ret < 0)
		return -1;
	worker_say(out, " flags=%#x", (unsigned int)msg.msg_flags);
	if (byte != 'x' || msg.msg_controllen < sizeof(c.hdr) || c.hdr.cmsg_type != SCM_RIGHTS)
		worker_say(out, " without rights");
	else
		memcpy(&fd, CMSG_DATA(&c.hdr), sizeof(fd));
	return fd;
}

static void do_take(const struct step *st, struct outcome *out)
{
	int fd = channel_take((int)st->arg[1], out);

	if (out->ret < 0)
		return;
	out->ret = fd;
	if (fd < 0)
		return;
	worker_slot_set(st->arg[0], fd);
	worker_check_lowest(out, 0);
}

void family_reset(void)
{
	struct outcome out;
	int fd;

	if (worker.child) {
		kill(worker.child, SIGKILL);
		wait_for(worker.child, 0, &(struct outcome){ 0 });
		worker.child = 0;
	}
	family_hold_end(&out);
	do {
		memset(&out, 0, sizeof(out));
		fd = channel_take(0, &out);
		if (fd >= 0)
			close(fd);
	} while (out.ret > 0);
}

bool family_step(const struct step *st, struct outcome *out)
{
	switch ((enum op)st->op) {
	case OP_FORK: return do_fork(out);
	case OP_DAEMON: return do_daemon(out);
	case OP_EXEC: do_exec(out); return true;
	case OP_GIVE: do_give(worker_fd(st->arg[0]), out); return true;
	case OP_TAKE: do_take(st, out); return true;
	case OP_SPAWN: do_spawn(st->arg[1], out); return true;
	case OP_QUIT:
		if (st->arg[0])
			exit(0);
		_exit(0);
	default: do_child(st, out); return true;
	}
}
