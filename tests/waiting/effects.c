/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * effects.c - What options do to a connection, and bad addresses.
 */
#include <netinet/tcp.h>
#include <sys/uio.h>
#include <time.h>
#include <linux/errqueue.h>

#include "waiting.h"

#define PAGE 4096

static void *volatile nowhere = (void *)16;

static char *edge(void)
{
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED);
	MUST(mprotect(p + PAGE, PAGE, PROT_NONE) == 0);
	return p + PAGE;
}

static void say_notice(int fd)
{
	char control[128];
	struct msghdr m = { .msg_control = control, .msg_controllen = sizeof(control) };
	ssize_t r = recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);
	struct cmsghdr *c = r < 0 ? NULL : CMSG_FIRSTHDR(&m);
	struct sock_extended_err e;

	said("error queue", r);
	if (!c)
		return;
	memcpy(&e, CMSG_DATA(c), sizeof(e));
	say("%d %d len %zu flags %#x: origin %u code %u errno %u, %u to %u", c->cmsg_level,
	    c->cmsg_type, c->cmsg_len, (unsigned)m.msg_flags, e.ee_origin, e.ee_code, e.ee_errno,
	    e.ee_info, e.ee_data);
}

static void zerocopy_notices(void)
{
	struct pollfd p = { .events = POLLIN };
	int a, b, one = 1;

	pair(&a, &b);
	p.fd = a;
	said("flag without option", send(a, "x", 1, MSG_ZEROCOPY));
	say_notice(a);
	said("option", setsockopt(a, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)));
	said("without flag", send(a, "x", 1, 0));
	say_notice(a);
	said("with both", send(a, "xyz", 3, MSG_ZEROCOPY));
	nap(20);
	said("poll", poll(&p, 1, 1000));
	say("%s", bits((uint32_t)p.revents));
	say_notice(a);
	for (int i = 0; i < 3; i++)
		MUST(send(a, "x", 1, MSG_ZEROCOPY) == 1);
	said("nothing", send(a, "", 0, MSG_ZEROCOPY));
	nap(20);
	say_notice(a);
	said("poll", poll(&p, 1, 0));
	say("read %zu", drop(b));
}

static void bad_buffers(void)
{
	char *none = edge(), byte[4] = "";
	struct iovec iov = { nowhere, 4 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	socklen_t len = sizeof(struct sockaddr_in);
	int a, b;

	pair(&a, &b);
	said("send", send(a, nowhere, 4, 0));
	said("send null", send(a, NULL, 4, 0));
	said("send nothing from nowhere", send(a, nowhere, 0, 0));
	said("send over the edge", send(a, none - 100, 200, 0));
	said("send up to it", send(a, none - 100, 100, 0));
	said("sendmsg", sendmsg(a, &m, 0));
	m.msg_iov = nowhere;
	said("sendmsg, pieces", sendmsg(a, &m, 0));
	said("sendmsg, message", sendmsg(a, nowhere, 0));
	said("writev, pieces", writev(a, nowhere, 2));
	nap(5);
	said("recv", recv(b, nowhere, 4, 0));
	said("recv over the edge", recv(b, none - 50, 100, 0));
	said("recv up to it", recv(b, none - 60, 60, 0));
	said("recvmsg, message", recvmsg(b, nowhere, 0));
	said("the rest", (long)drop(b));
	said("getsockname", getsockname(a, nowhere, &len));
	said("getsockname, length", getsockname(a, (struct sockaddr *)byte, nowhere));
	said("getpeername", getpeername(a, nowhere, &len));
	said("connect", connect(socket(AF_INET, SOCK_STREAM, 0), nowhere, sizeof(struct sockaddr_in)));
	said("bind", bind(socket(AF_INET, SOCK_STREAM, 0), nowhere, sizeof(struct sockaddr_in)));
	iov = (struct iovec){ byte, 1 };
	m.msg_iov = &iov;
	m.msg_iovlen = 1025;
	said("too many pieces", sendmsg(a, &m, 0));
	said("still", send(a, "x", 1, 0));
}

static void handler(int sig)
{
	say("handler %d", sig);
	_exit(0);
}

/* Faults of the program's own are its own. */
static void own_faults(void)
{
	struct sigaction act = { 0 };
	int a, b, status;

	pair(&a, &b);
	said("send", send(a, nowhere, 4, 0));
	MUST(sigaction(SIGSEGV, NULL, &act) == 0);
	say("default: %d, flags %#x", act.sa_handler == SIG_DFL, (unsigned)act.sa_flags);
	for (int i = 0; i < 2; i++) {
		pid_t child = fork();

		if (child == 0) {
			if (i)
				signal(SIGSEGV, handler);
			*(volatile char *)nowhere = 1;
		}
		MUST(waitpid(child, &status, 0) == child);
		say("%s %d", WIFSIGNALED(status) ? "killed by" : "exit", WIFSIGNALED(status) ?
		    WTERMSIG(status) : WEXITSTATUS(status));
	}
	if (fork() == 0) {
		raise(SIGSEGV);
		_exit(7);
	}
	MUST(wait(&status) > 0);
	say("raised: %d", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static void fastopen_sends(void)
{
	struct sockaddr_in at;
	int l, c = socket(AF_INET, SOCK_STREAM, 0), s, five = 5;

	listen_at(&l, &at);
	said("listener", setsockopt(l, IPPROTO_TCP, TCP_FASTOPEN, &five, sizeof(five)));
	said("sendto", sendto(c, "hello", 5, MSG_FASTOPEN, (struct sockaddr *)&at, sizeof(at)));
	s = accept(l, NULL, NULL);
	nap(20);
	say("read %zu", drop(s));
	said("again", sendto(c, "hello", 5, MSG_FASTOPEN, (struct sockaddr *)&at, sizeof(at)));
	said("plain", send(c, "hello", 5, 0));
}

static void info_counts(void)
{
	struct tcp_info t;
	socklen_t len = sizeof(t);
	int a, b, left = 0;

	pair(&a, &b);
	put(a, "0123456789");
	nap(20);
	MUST(getsockopt(b, IPPROTO_TCP, TCP_INFO, &t, &len) == 0);
	say("state %u", t.tcpi_state);
	MUST(shutdown(b, SHUT_WR) == 0);
	nap(60);
	len = sizeof(t);
	MUST(getsockopt(a, IPPROTO_TCP, TCP_INFO, &t, &len) == 0);
	say("state %u, unacked %u", t.tcpi_state, t.tcpi_unacked);
	MUST(setsockopt(b, IPPROTO_TCP, 36 /* TCP_INQ */, &(int){ 1 }, sizeof(int)) == 0);
	{
		char control[64], four[4];
		struct iovec iov = { four, sizeof(four) };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				    .msg_controllen = sizeof(control) };

		said("recvmsg", recvmsg(b, &m, 0));
		MUST(CMSG_FIRSTHDR(&m));
		memcpy(&left, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(left));
		say("left %d", left);
	}
}

const struct test effect_tests[] = {
	{ "zerocopy_notices", zerocopy_notices },
	{ "bad_buffers", bad_buffers },
	{ "own_faults", own_faults },
	{ "fastopen_sends", fastopen_sends },
	{ "info_counts", info_counts },
	{ NULL, NULL },
};
