/* SPDX-License-Identifier: BSD-2-Clause */
/* SIGIO: owners, O_ASYNC, F_SETSIG, and what a handler is told. */
#include <pthread.h>
#include <sys/syscall.h>

#include "signals.h"

#define SEEN_MOST 64

static struct seen {
	int sig, code, fd;
	long band;
	pid_t tid;
} seen[SEEN_MOST];
static volatile sig_atomic_t seen_count;

static void note(int sig, siginfo_t *info, void *context)
{
	int i = seen_count;

	(void)context;
	if (i == SEEN_MOST)
		return;
	seen_count = i + 1;
	seen[i] = (struct seen){ sig, info->si_code, info->si_fd, info->si_band,
				 (pid_t)syscall(SYS_gettid) };
}

static void hear(int sig)
{
	struct sigaction a = { .sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESTART };

	/* One at a time, so that they come in the same order. */
	sigfillset(&a.sa_mask);
	sigaction(sig, &a, NULL);
}

static const char *name_of(int sig)
{
	return sig == SIGIO ? "SIGIO" : sig == SIGURG ? "SIGURG" : sig == SIGUSR1 ? "SIGUSR1" : "RT";
}

/* @v: Descriptors by name, since their numbers are not for sure the same. */
static void show(const char *what, const int *v, int n)
{
	int count = seen_count;

	say("%s: %d", what, count);
	for (int i = 0; i < count; i++) {
		int which = -1;

		for (int k = 0; k < n; k++)
			which = v[k] == seen[i].fd ? k : which;
		if (seen[i].code == SI_KERNEL)
			say("  %s of the kernel", name_of(seen[i].sig));
		else
			say("  %s code %d band %lx fd %d", name_of(seen[i].sig), seen[i].code,
			    (unsigned long)seen[i].band, which);
	}
	seen_count = 0;
}

static void async(int fd, int sig)
{
	if (sig)
		hear(sig);
	hear(SIGIO);
	hear(SIGURG);
	say("owner %s", said(fcntl(fd, F_SETOWN, getpid())));
	if (sig)
		say("signal %s", said(fcntl(fd, F_SETSIG, sig)));
	say("async %s", said(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC)));
	say("flags %x", (unsigned)fcntl(fd, F_GETFL) & (O_ASYNC | O_NONBLOCK | O_ACCMODE));
}

static void put(int fd, const char *text, int flags)
{
	if (send(fd, text, strlen(text), flags | MSG_NOSIGNAL) < 0)
		say("send: %s", strerror(errno));
	nap(3);
}

static void data(void)
{
	char buf[64];
	int v[2];

	pair(v);
	put(v[0], "before", 0);
	async(v[1], SIGRTMIN + 1);
	show("nothing new", v, 2);
	put(v[0], "a", 0);
	show("one", v, 2);
	put(v[0], "b", 0);
	put(v[0], "c", 0);
	show("two", v, 2);
	say("recv %s", said(recv(v[1], buf, sizeof(buf), 0)));
	show("read", v, 2);
	put(v[0], "X", MSG_OOB);
	show("urgent", v, 2);
	say("send %s", said(send(v[1], "back", 4, 0)));
	show("sent", v, 2);
	shutdown(v[0], SHUT_WR);
	nap(3);
	show("fin", v, 2);
	close(v[0]);
	nap(3);
	show("closed", v, 2);
	say("send %s", said(send(v[1], "back", 4, MSG_NOSIGNAL)));
	nap(3);
	show("into the void", v, 2);
}

static void ends(void)
{
	struct linger now = { 1, 0 };
	int v[2];

	pair(v);
	async(v[1], SIGRTMIN + 1);
	close(v[0]);
	nap(3);
	show("closed", v, 2);
	pair(v);
	async(v[1], SIGRTMIN + 1);
	shutdown(v[1], SHUT_WR);
	nap(3);
	show("we have shut", v, 2);
	close(v[0]);
	nap(3);
	show("closed", v, 2);
	pair(v);
	async(v[1], SIGRTMIN + 1);
	setsockopt(v[0], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(v[0]);
	nap(3);
	show("reset", v, 2);
	pair(v);
	async(v[1], SIGRTMIN + 1);
	shutdown(v[1], SHUT_RDWR);
	nap(3);
	show("shut by us", v, 2);
	pair(v);
	async(v[1], SIGRTMIN + 1);
	close(v[1]);
	show("closed by us", v, 2);
	put(v[0], "a", 0);
	put(v[0], "X", MSG_OOB);
	close(v[0]);
	nap(3);
	show("nobody's", v, 2);
	pair(v);
	async(v[1], SIGRTMIN + 1);
	shutdown(v[1], SHUT_RDWR);
	nap(3);
	close(v[0]);
	nap(3);
	show("shut, then closed", v, 2);
}

static void plain(void)
{
	int v[2];

	pair(v);
	async(v[1], 0);
	put(v[0], "a", 0);
	show("one", v, 2);
	put(v[0], "X", MSG_OOB);
	show("urgent", v, 2);
	close(v[0]);
	nap(3);
	show("closed", v, 2);
	pair(v);
	async(v[1], SIGUSR1);
	put(v[0], "a", 0);
	show("SIGUSR1", v, 2);
	pair(v);
	async(v[1], SIGIO);
	put(v[0], "a", 0);
	show("SIGIO, chosen", v, 2);
}

static void lowat(void)
{
	int v[2], n = 3;

	pair(v);
	async(v[1], SIGRTMIN + 1);
	setsockopt(v[1], SOL_SOCKET, SO_RCVLOWAT, &n, sizeof(n));
	put(v[0], "ab", 0);
	show("two", v, 2);
	put(v[0], "c", 0);
	show("three", v, 2);
}

static void listening(void)
{
	struct sockaddr_in at;
	int l = listener(&at), c, a;

	async(l, SIGRTMIN + 1);
	c = client(&at);
	nap(3);
	show("connected", &l, 1);
	a = accept(l, NULL, NULL);
	show("accepted", &l, 1);
	say("flags %x owner %d signal %d", (unsigned)fcntl(a, F_GETFL), fcntl(a, F_GETOWN),
	    fcntl(a, F_GETSIG));
	put(c, "a", 0);
	show("data", &l, 1);
}

static void connecting(void)
{
	struct sockaddr_in at;
	int l = listener(&at), c = socket(AF_INET, SOCK_STREAM, 0);

	async(c, SIGRTMIN + 1);
	say("connect %s", said(connect(c, (struct sockaddr *)&at, sizeof(at))));
	nap(3);
	show("connected", &c, 1);
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	async(c, SIGRTMIN + 1);
	say("connect %s", said(connect(c, (struct sockaddr *)&at, sizeof(at))));
	nap(3);
	show("connected", &c, 1);
	close(l);
	nap(3);
	show("listener gone", &c, 1);
	/* Nobody there: under Mortise it is the kernel that says so. */
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	async(c, SIGRTMIN + 1);
	say("connect %s", said(connect(c, (struct sockaddr *)&at, sizeof(at))));
	nap(3);
	show("refused", &c, 1);
}

static void space(void)
{
	static char buf[65536];
	int v[2], other = 0, out = 0;
	long r, sent = 0, got = 0;

	pair(v);
	async(v[0], SIGRTMIN + 1);
	fcntl(v[0], F_SETFL, O_ASYNC | O_NONBLOCK);
	while ((r = send(v[0], buf, sizeof(buf), 0)) > 0)
		sent += r;
	say("full: %s", said(r));
	nap(10);
	show("full", v, 2);
	while (got < sent && (r = recv(v[1], buf, sizeof(buf), 0)) > 0)
		got += r;
	nap(10);
	for (int i = 0; i < seen_count; i++) {
		out += seen[i].code == POLL_OUT && seen[i].fd == v[0];
		other += seen[i].code != POLL_OUT || seen[i].fd != v[0];
	}
	say("room: %d others %d", out > 0, other);
	seen_count = 0;
	send(v[0], buf, 1, 0);
	recv(v[1], buf, 1, 0);
	nap(3);
	show("room enough", v, 2);
}

static void off_and_on(void)
{
	int v[2], on = 0, d;

	pair(v);
	async(v[1], SIGRTMIN + 1);
	fcntl(v[1], F_SETFL, 0);
	put(v[0], "a", 0);
	show("off", v, 2);
	on = 1;
	say("ioctl %s", said(ioctl(v[1], FIOASYNC, &on)));
	say("flags %x", (unsigned)fcntl(v[1], F_GETFL));
	put(v[0], "a", 0);
	show("on", v, 2);
	on = 0;
	say("ioctl %s", said(ioctl(v[1], FIOASYNC, &on)));
	say("flags %x", (unsigned)fcntl(v[1], F_GETFL));
	put(v[0], "a", 0);
	show("off", v, 2);
	d = dup(v[1]);
	fcntl(d, F_SETFL, O_ASYNC);
	put(v[0], "a", 0);
	show("not the copy's number", v, 2);
	seen_count = 0;
	put(v[0], "a", 0);
	show("the copy's", &d, 1);
	say("signal off %s", said(fcntl(v[1], F_SETSIG, 0)));
	put(v[0], "a", 0);
	show("SIGIO", v, 2);
	say("owner off %s", said(fcntl(v[1], F_SETOWN, 0)));
	put(v[0], "a", 0);
	show("nobody's", v, 2);
}

static void owners(void)
{
	struct f_owner_ex who = { F_OWNER_PGRP, getpgrp() };
	int v[2], pid = -1;

	pair(v);
	say("none %d, signal %d", fcntl(v[1], F_GETOWN), fcntl(v[1], F_GETSIG));
	say("signal 65 %s, -1 %s", said(fcntl(v[1], F_SETSIG, 65)), said(fcntl(v[1], F_SETSIG, -1)));
	say("signal %s", said(fcntl(v[1], F_SETSIG, SIGUSR1)));
	say("it is %d", fcntl(v[1], F_GETSIG) == SIGUSR1);
	say("nobody %s", said(fcntl(v[1], F_SETOWN, 4190000)));
	say("group %s", said(fcntl(v[1], F_SETOWN_EX, &who)));
	who.pid = 0;
	say("read %s", said(fcntl(v[1], F_GETOWN_EX, &who)));
	say("type %d pid %d", who.type, who.pid == getpgrp());
	who.type = 7;
	say("type 7 %s", said(fcntl(v[1], F_SETOWN_EX, &who)));
	pid = getpid();
	say("ioctl %s", said(ioctl(v[1], FIOSETOWN, &pid)));
	pid = -1;
	say("ioctl %s %d", said(ioctl(v[1], SIOCGPGRP, &pid)), pid == getpid());
	fcntl(v[1], F_GETOWN_EX, &who);
	say("type %d pid %d", who.type, who.pid == getpid());
}

static void send_some(int fd)
{
	send(fd, "abc", 3, 0);
}

/* The sender is another process. */
static void from_another(void)
{
	int v[2];
	pid_t pid;

	pair(v);
	async(v[1], SIGRTMIN + 1);
	pid = after(10, send_some, v[0]);
	after_end(pid);
	nap(3);
	show("from a child", v, 2);
}

static struct sockaddr_in client_to;

/* A process of its own, with nothing that was made before it. */
static void be_client(int go)
{
	int s = client(&client_to);
	char c;

	if (read(go, &c, 1) != 1)
		_exit(1);
	send(s, "abc", 3, 0);
	nap(30);
	send(s, "dX", 2, MSG_OOB);
	nap(30);
	send(s, "Y", 1, MSG_OOB);
	nap(30);
	shutdown(s, SHUT_WR);
	if (read(go, &c, 1) != 1)
		_exit(1);
	nap(30);
}

static void from_a_client(void)
{
	int go[2], l = listener(&client_to), a;
	char buf[16] = { 0 }, c = 0;
	pid_t pid;
	long r;

	if (pipe(go) < 0)
		return;
	pid = after(0, be_client, go[0]);
	a = accept(l, NULL, NULL);
	async(a, SIGRTMIN + 1);
	say("go %s", said(write(go[1], "g", 1)));
	nap(200);
	show("abc, urgent, urgent, end", &a, 1);
	say("urgent %s", said(recv(a, &c, 1, MSG_OOB)));
	for (int i = 0; i < 3; i++) {
		memset(buf, 0, sizeof(buf));
		r = recv(a, buf, sizeof(buf) - 1, 0);
		say("%s '%s' and '%c'", said(r), buf, c);
	}
	/* The client is to be told of our end, and we of nothing. */
	say("go %s", said(write(go[1], "g", 1)));
	after_end(pid);
	nap(3);
	show("client gone", &a, 1);
	/* One that is killed. */
	pid = after(0, be_client, go[0]);
	a = accept(l, NULL, NULL);
	async(a, SIGRTMIN + 1);
	kill(pid, SIGKILL);
	after_end(pid);
	nap(200);
	show("client killed", &a, 1);
}

static void child_owner(int fd)
{
	(void)fd;
	nap(60);
	show("in the child", &fd, 1);
}

/* The owner is another process, or a group. */
static void to_another(void)
{
	struct f_owner_ex who = { .type = F_OWNER_PID };
	int v[2];

	setpgid(0, 0);
	pair(v);
	async(v[1], SIGRTMIN + 1);
	who.pid = after(0, child_owner, v[1]);
	say("owner %s", said(fcntl(v[1], F_SETOWN_EX, &who)));
	put(v[0], "a", 0);
	nap(10);
	show("in the parent", v, 2);
	after_end(who.pid);
	say("its owner is gone: %d", fcntl(v[1], F_GETOWN));
	put(v[0], "a", 0);
	show("nobody there", v, 2);
	who = (struct f_owner_ex){ F_OWNER_PGRP, getpgrp() };
	say("group %s", said(fcntl(v[1], F_SETOWN_EX, &who)));
	who.pid = after(0, child_owner, v[1]);
	nap(20);
	put(v[0], "a", 0);
	show("in the parent", v, 2);
	after_end(who.pid);
}

static volatile pid_t thread_id;
static pthread_barrier_t barrier;

static void *be_owner(void *arg)
{
	(void)arg;
	thread_id = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(&barrier);
	nap(50);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void to_thread(void)
{
	struct f_owner_ex who = { .type = F_OWNER_TID };
	pthread_t t;
	int v[2];

	pair(v);
	async(v[1], SIGRTMIN + 1);
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&t, NULL, be_owner, NULL);
	pthread_barrier_wait(&barrier);
	who.pid = thread_id;
	say("owner %s", said(fcntl(v[1], F_SETOWN_EX, &who)));
	who.pid = 0;
	fcntl(v[1], F_GETOWN_EX, &who);
	say("type %d it %d", who.type, who.pid == thread_id);
	put(v[0], "a", 0);
	nap(10);
	say("in the thread %d", seen_count == 1 && seen[0].tid == thread_id);
	show("once", v, 2);
	pthread_barrier_wait(&barrier);
	pthread_join(t, NULL);
}

/* Whoever sleeps in recv() is woken, not signalled. */
static void sleeper_is_not_told(void)
{
	char buf[8];
	pid_t pid;
	int v[2];

	pair(v);
	async(v[1], SIGRTMIN + 1);
	pid = after(30, send_some, v[0]);
	say("recv %s", said(recv(v[1], buf, sizeof(buf), 0)));
	show("asleep", v, 2);
	after_end(pid);
}

static void waited_for(void)
{
	struct timespec t = { 2, 0 };
	siginfo_t info;
	sigset_t set;
	int v[2], r;

	pair(v);
	async(v[1], SIGRTMIN + 1);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	put(v[0], "a", 0);
	r = sigtimedwait(&set, &info, &t);
	say("%d code %d band %lx fd %d", r == SIGRTMIN + 1, info.si_code,
	    (unsigned long)info.si_band, info.si_fd == v[1]);
	put(v[0], "a", 0);
	r = sigwaitinfo(&set, &info);
	say("%d code %d band %lx fd %d", r == SIGRTMIN + 1, info.si_code,
	    (unsigned long)info.si_band, info.si_fd == v[1]);
	show("none handled", v, 2);
}

const struct test async_tests[] = {
	{ "async_data", data },
	{ "async_ends", ends },
	{ "async_plain", plain },
	{ "async_lowat", lowat },
	{ "async_listening", listening },
	{ "async_connecting", connecting },
	{ "async_space", space },
	{ "async_off_and_on", off_and_on },
	{ "async_owners", owners },
	{ "async_from_another", from_another },
	{ "async_from_a_client", from_a_client },
	{ "async_to_another", to_another },
	{ "async_to_thread", to_thread },
	{ "async_sleeper_is_not_told", sleeper_is_not_told },
	{ "async_waited_for", waited_for },
	{ NULL, NULL },
};
