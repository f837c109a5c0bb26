/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * checks.c - What a program sees of itself under the preloaded library:
 * limits, descriptors, streams, children, environment, signals. Prints "ok"
 * and "not ok" lines. All but what says "ours" holds without the library too.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

#include "connection.h"

extern char **environ;

static int failures;
static const char *self;

static void check(bool good, const char *format, ...)
{
	va_list ap;

	printf("%s - ", good ? "ok" : "not ok");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	failures += !good;
}

static bool carries(int from, int to)
{
	struct pollfd p = { to, POLLIN, 0 };
	char buf[8] = "";

	return send(from, "word", 4, MSG_NOSIGNAL) == 4 && poll(&p, 1, 1000) == 1 &&
	       read(to, buf, sizeof(buf)) == 4 && memcmp(buf, "word", 4) == 0;
}

/* -------------------------------------------------------------------- limits */

static void limits(rlim_t soft)
{
	struct rlimit l, set, now;
	struct pollfd *many;
	int ends[2], fds[4096], n = 0, low, i;
	FILE *f;

	getrlimit(RLIMIT_NOFILE, &l);
	check(l.rlim_cur == soft, "getrlimit: soft limit is %lu", (unsigned long)l.rlim_cur);
	check(sysconf(_SC_OPEN_MAX) == (long)soft, "sysconf(_SC_OPEN_MAX)");
	check(getdtablesize() == (int)soft, "getdtablesize");
	check(prlimit(0, RLIMIT_NOFILE, NULL, &now) == 0 && now.rlim_cur == soft, "prlimit");
	connection(ends);
	low = dup(0);
	close(low);
	for (i = 0; i < 4096; i++) {
		fds[i] = dup(0);
		if (fds[i] < 0)
			break;
		n++;
	}
	check(n > 0 && n < 4096 && errno == EMFILE && fds[n - 1] == (int)soft - 1,
	      "dup gives numbers up to the limit, then EMFILE (%d, last %d)", n,
	      n ? fds[n - 1] : -1);
	check(open("/dev/null", O_RDONLY) < 0 && errno == EMFILE, "open: EMFILE");
	f = fopen("/dev/null", "r");
	check(!f && errno == EMFILE, "fopen: EMFILE");
	check(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EMFILE, "socket: EMFILE");
	check(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EMFILE, "socket, another kind: EMFILE");
	check(dup(ends[0]) < 0 && errno == EMFILE, "dup of a socket: EMFILE");
	check(carries(ends[0], ends[1]), "a connection works with no descriptor left");
	while (n > 0)
		close(fds[--n]);
	check(dup2(0, (int)soft) < 0 && errno == EBADF, "dup2 above the limit: EBADF");
	check(dup2(ends[0], (int)soft) < 0 && errno == EBADF, "dup2 of a socket above the limit: EBADF");
	check(fcntl(0, F_DUPFD, (int)soft) < 0 && errno == EINVAL, "F_DUPFD above the limit: EINVAL");
	many = calloc(soft + 1, sizeof(*many));
	for (rlim_t k = 0; k <= soft; k++)
		many[k].fd = -1;
	check(poll(many, soft + 1, 0) < 0 && errno == EINVAL, "poll with more than the limit: EINVAL");
	check(poll(many, soft, 0) == 0, "poll with as many as the limit");
	free(many);
	for (int fd = 3; fd < 20000; fd++)
		if (fd != ends[0] && fd != ends[1])
			close(fd);
	check(carries(ends[0], ends[1]), "a connection survives that all else is closed");
	close(ends[0]);
	close(ends[1]);
	connection(ends);
	check(carries(ends[0], ends[1]), "a new one can be made then");
	closefrom(ends[1] + 1 > ends[0] + 1 ? ends[1] + 1 : ends[0] + 1);
	check(carries(ends[0], ends[1]), "closefrom");
	set = (struct rlimit){ soft / 2, l.rlim_max };
	check(setrlimit(RLIMIT_NOFILE, &set) == 0 && getrlimit(RLIMIT_NOFILE, &now) == 0 &&
	      now.rlim_cur == soft / 2, "setrlimit lowers");
	set = (struct rlimit){ l.rlim_max + 1, l.rlim_max };
	check(setrlimit(RLIMIT_NOFILE, &set) < 0 && errno == EINVAL, "setrlimit: soft above hard: EINVAL");
	check(system("test $(ulimit -Sn) = 32") == 0, "system: a child has the program's limit");
	check(setrlimit(RLIMIT_NOFILE, &l) == 0, "setrlimit raises again");
	close_range(3, ~0u, 0);
	check(fcntl(ends[0], F_GETFD) < 0 && errno == EBADF, "close_range closes sockets");
}

/* --------------------------------------------------------------------- stdio */

static void streams(void)
{
	char line[32] = "";
	wchar_t wide[32] = L"";
	int ends[2], saved;
	FILE *f, *g;

	connection(ends);
	f = fdopen(ends[0], "r+");
	g = fdopen(ends[1], "r+");
	check(f && g && fileno(f) == ends[0], "fdopen, fileno");
	check(fprintf(f, "line %d\n", 1) > 0 && fflush(f) == 0, "fprintf");
	check(fgets(line, sizeof(line), g) && strcmp(line, "line 1\n") == 0, "fgets");
	check(fputs("at close", f) >= 0 && fclose(f) == 0, "fclose flushes");
	check(fgets(line, sizeof(line), g) && strcmp(line, "at close") == 0 &&
	      fgetc(g) == EOF && feof(g), "its peer reads that, then the end");
	check(fcntl(ends[0], F_GETFD) < 0, "fclose closes");
	fclose(g);

	connection(ends);
	f = fdopen(ends[0], "w");
	g = fdopen(ends[1], "r");
	check(fwprintf(f, L"wide\n") > 0 && fclose(f) == 0 && fgetws(wide, 32, g) &&
	      wcscmp(wide, L"wide\n") == 0, "wide streams");
	fclose(g);

	connection(ends);
	fflush(stdout);
	saved = dup(1);
	dup2(ends[0], 1);
	printf("to a socket\n");
	fflush(stdout);
	dup2(saved, 1);
	close(saved);
	memset(line, 0, sizeof(line));
	check(recv(ends[1], line, sizeof(line), MSG_DONTWAIT) == 12 &&
	      strcmp(line, "to a socket\n") == 0, "standard output over a socket");
	check(dprintf(ends[0], "%s %d", "dprintf", 7) == 9 && read(ends[1], line, 32) == 9 &&
	      memcmp(line, "dprintf 7", 9) == 0, "dprintf");
	f = fdopen(ends[0], "w");
	fputs("bye", f);
	f = freopen("/dev/null", "w", f);
	check(f && read(ends[1], line, 32) == 3 && read(ends[1], line, 32) == 0,
	      "freopen flushes and closes the socket");
	check(f && write(fileno(f), "x", 1) == 1, "freopen: the file is there");
	fclose(f);
	close(ends[1]);
}

/* ------------------------------------------------------------------ children */

static int status_of(pid_t pid)
{
	int status = -1;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int clone_main(void *arg)
{
	int *ends = arg;

	return write(ends[0], "clone", 5) == 5 ? 7 : 1;
}

static void children(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	char line[64] = "";
	char *bare[] = { NULL };
	char *env_argv[] = { "env", NULL }, *false_argv[] = { "nothing", NULL };
	int ends[2], r;
	pid_t pid;
	FILE *f;

	connection(ends);
	pid = fork();
	if (pid == 0)
		_exit(write(ends[0], "fork", 4) != 4);
	check(status_of(pid) == 0 && read(ends[1], line, 64) == 4, "fork: the child writes");
	check(carries(ends[0], ends[1]), "fork: the parent goes on");
	pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
	if (pid == 0) {
		close(ends[0]); /* NOLINT(clang-analyzer-unix.Vfork): as programs do */
		_exit(3);
	}
	check(status_of(pid) == 3 && carries(ends[0], ends[1]), "vfork: the child's close is its own");
	pid = clone(clone_main, stack + sizeof(stack), SIGCHLD, ends);
	check(status_of(pid) == 7 && read(ends[1], line, 64) == 5, "clone without CLONE_VM");
	pid = (pid_t)syscall(SYS_fork);
	if (pid == 0) {
		close(ends[0]);
		_exit(4);
	}
	check(status_of(pid) == 4 && carries(ends[0], ends[1]), "syscall(SYS_fork)");
	check(WEXITSTATUS(system("exit 5")) == 5, "system: exit status");
	check(system(NULL) != 0, "system(NULL)");
	f = popen("echo from a pipe", "r");
	check(f && fgets(line, 64, f) && strcmp(line, "from a pipe\n") == 0 && pclose(f) == 0, "popen");
	r = posix_spawnp(&pid, "sh", NULL, NULL, (char *[]){ "sh", "-c", "exit 6", NULL }, environ);
	check(r == 0 && status_of(pid) == 6, "posix_spawnp");
	check(posix_spawn(&pid, "/nonexistent/x", NULL, NULL, false_argv, bare) == ENOENT,
	      "posix_spawn: ENOENT");
	check(carries(ends[0], ends[1]), "a connection survives all that");

	/* Exec. */
	check(execv("/nonexistent/x", false_argv) < 0 && errno == ENOENT, "execv: ENOENT");
	check(execlp("nonexistent-program", "x", (char *)NULL) < 0 && errno == ENOENT, "execlp: ENOENT");
	check(execve("/etc/passwd", false_argv, bare) < 0 && errno == EACCES, "execve: EACCES");
	check(carries(ends[0], ends[1]) && carries(ends[1], ends[0]),
	      "a connection survives an exec that fails");
	if (write(ends[1], "there", 5) != 5)
		exit(2);
	pid = fork();
	if (pid == 0) {
		/* Not close-on-exec: the new program has ends[0]. */
		close(ends[1]);
		dup2(ends[0], 9);
		execl(self, self, "inherited", (char *)NULL);
		_exit(126);
	}
	r = status_of(pid);
	check(r == 0, "exec: what goes along can be read and written (%d)", r);
	check(read(ends[1], line, 64) == 4 && memcmp(line, "back", 4) == 0, "its peer reads that");
	check(carries(ends[0], ends[1]), "exec: the parent's connection goes on");
	close(ends[0]);
	check(read(ends[1], line, 64) == 0, "the last close is seen");
	close(ends[1]);

	/* The last holder execs: its end stays until that program's end. */
	connection(ends);
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		execl("/bin/sleep", "sleep", "20", (char *)NULL);
		_exit(126);
	}
	close(ends[0]);
	{
		struct pollfd p = { ends[1], POLLIN, 0 };

		check(poll(&p, 1, 500) == 0 && write(ends[1], "x", 1) == 1,
		      "the last holder's exec leaves the connection");
		kill(pid, SIGKILL);
		status_of(pid);
		check(poll(&p, 1, 5000) == 1 && recv(ends[1], line, 64, MSG_DONTWAIT) <= 0,
		      "its program's end ends it");
	}
	close(ends[1]);

	/* The environment comes back. */
	if (getenv("MORTISE_DOMAIN")) {
		int p[2];

		if (pipe(p) < 0)
			exit(2);
		pid = fork();
		if (pid == 0) {
			dup2(p[1], 1);
			execve("/usr/bin/env", env_argv, bare);
			_exit(126);
		}
		close(p[1]);
		f = fdopen(p[0], "r");
		r = 0;
		while (fgets(line, 64, f)) {
			r |= strncmp(line, "LD_PRELOAD=", 11) == 0;
			r |= (strncmp(line, "MORTISE_DOMAIN=", 15) == 0) << 1;
		}
		fclose(f);
		status_of(pid);
		check(r == 3, "ours: an empty environment gets ours back");
	}
}

/* ------------------------------------------------------------------- signals */

static volatile int handled;

static void on_signal(int sig)
{
	(void)sig;
	handled++;
}

static void signals(void)
{
	struct sigaction a = { .sa_handler = on_signal }, old;
	char byte;
	int ends[2];

	connection(ends);
	check(signal(SIGALRM, on_signal) == SIG_DFL, "signal: the old handler");
	check(signal(SIGALRM, on_signal) == on_signal, "signal: the one set");
	sigaction(SIGALRM, NULL, &old);
	check(old.sa_handler == on_signal && old.sa_flags & SA_RESTART && !(old.sa_flags & SA_SIGINFO),
	      "sigaction tells what signal set");
	sigaction(SIGALRM, &a, NULL);
	alarm(1);
	check(read(ends[0], &byte, 1) < 0 && errno == EINTR && handled == 1, "read: EINTR");
	check(sigset(SIGUSR1, SIG_HOLD) == SIG_DFL, "sigset: SIG_HOLD");
	check(sigset(SIGUSR1, on_signal) == SIG_HOLD, "sigset: was held");
	raise(SIGUSR1);
	check(handled == 2, "sigset: the handler runs");
	check(sigset(SIGUSR1, SIG_DFL) == on_signal, "sigset: gives the handler");
	close(ends[0]);
	close(ends[1]);
}

/* -------------------------------------------------------------- cancellation */

static int cancel_ends[2];
static volatile int cleaned;

static void clean(void *arg)
{
	(void)arg;
	cleaned++;
}

static void *reader(void *how)
{
	struct pollfd p = { cancel_ends[0], POLLIN, 0 };
	char byte;

	pthread_cleanup_push(clean, NULL);
	switch ((int)(long)how) {
	case 0:
		read(cancel_ends[0], &byte, 1);
		break;
	case 1:
		poll(&p, 1, -1);
		break;
	case 2:
		recv(cancel_ends[0], &byte, 1, 0);
		break;
	case 3:
		for (;;)
			send(cancel_ends[0], "", 0, MSG_NOSIGNAL);
		break;
	case 4:
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
		read(cancel_ends[0], &byte, 1);
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
		read(cancel_ends[0], &byte, 1);
		break;
	default:
		break;
	}
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancellation(void)
{
	static const char *const names[] = { "read", "poll", "recv", "send in a loop", "disabled" };
	pthread_t t;
	void *end;

	connection(cancel_ends);
	for (long i = 0; i < 5; i++) {
		cleaned = 0;
		pthread_create(&t, NULL, reader, (void *)i);
		usleep(20000);
		pthread_cancel(t);
		if (i == 4) {
			usleep(20000);
			write(cancel_ends[1], "x", 1);
		}
		alarm(5);
		pthread_join(t, &end);
		alarm(0);
		check(end == PTHREAD_CANCELED && cleaned == 1, "pthread_cancel: %s", names[i]);
	}
	check(carries(cancel_ends[1], cancel_ends[0]) && carries(cancel_ends[0], cancel_ends[1]),
	      "a connection survives cancelled threads");
	close(cancel_ends[0]);
	close(cancel_ends[1]);
}

/* In the program that inherited descriptor 9. */
static int inherited(void)
{
	char text[8];

	if (read(9, text, sizeof(text)) != 5 || memcmp(text, "there", 5) != 0)
		return 1;
	return write(9, "back", 4) == 4 ? 0 : 2;
}

/* ----------------------------------------------------------------- confinement */

static bool child_is_good(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void space(void)
{
	struct rlimit was, set, now;
	int ends[2];
	pid_t pid;
	void *p;

	getrlimit(RLIMIT_AS, &was);
	set = (struct rlimit){ (rlim_t)1 << 30, was.rlim_max };
	check(setrlimit(RLIMIT_AS, &set) == 0 && getrlimit(RLIMIT_AS, &now) == 0 &&
	      now.rlim_cur == set.rlim_cur, "RLIMIT_AS: what is set is read");
	connection(ends);
	check(carries(ends[0], ends[1]), "RLIMIT_AS: connections do not count");
	p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(p != MAP_FAILED && munmap(p, 1 << 20) == 0, "RLIMIT_AS: there is room below it");
	p = mmap(NULL, (size_t)1 << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(p == MAP_FAILED && errno == ENOMEM, "RLIMIT_AS: no room above it");
	pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "test $(ulimit -Sv) = 1048576", (char *)NULL);
		_exit(2);
	}
	check(child_is_good(pid), "RLIMIT_AS: what is executed has it");
	check(system("true") == 0, "RLIMIT_AS: system() works");
	check(setrlimit(RLIMIT_AS, &was) == 0 && getrlimit(RLIMIT_AS, &now) == 0 &&
	      now.rlim_cur == was.rlim_cur, "RLIMIT_AS: as before");
	close(ends[0]);
	close(ends[1]);
}

/* A party of its own, where files may have no bytes. */
static void file_size(void)
{
	struct rlimit set = { 0, RLIM_INFINITY };
	int ends[2];
	pid_t pid;

	getrlimit(RLIMIT_FSIZE, &set);
	set.rlim_cur = 0;
	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_FSIZE, &set);
		connection(ends);
		_exit(!carries(ends[0], ends[1]));
	}
	check(child_is_good(pid), "RLIMIT_FSIZE of 0: connections work");
}

/* What sshd's sandbox lets through, of what a connection could want. */
static int confine(void)
{
	static const unsigned allowed[] = {
		SYS_read, SYS_write, SYS_close, SYS_futex, SYS_exit_group, SYS_getpid, SYS_gettid,
		SYS_rt_sigprocmask, SYS_clock_gettime, SYS_mmap, SYS_munmap, SYS_madvise, SYS_ppoll,
#ifdef SYS_poll
		SYS_poll,
#endif
	};
	struct sock_filter f[2 * sizeof(allowed) / sizeof(allowed[0]) + 2];
	struct sock_fprog prog = { .filter = f };
	struct rlimit none = { 1, 1 };

	f[prog.len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						     offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		f[prog.len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							     allowed[i], 0, 1);
		f[prog.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	f[prog.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	return setrlimit(RLIMIT_NOFILE, &none) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0);
}

/* 20 lines there and back: by poll, and by read alone. */
static bool answers(int fd, bool polls)
{
	struct pollfd p = { fd, POLLIN, 0 };
	char word[4];

	for (int i = 0; i < 20; i++)
		if ((polls && poll(&p, 1, 5000) != 1) || read(fd, word, 4) != 4 ||
		    write(fd, word, 4) != 4)
			return false;
	return true;
}

static void sandbox(bool polls)
{
	bool good = true;
	int ends[2];
	char word[4];
	pid_t pid;

	connection(ends);
	pid = fork();
	if (pid == 0)
		_exit(confine() || !answers(ends[1], polls));
	close(ends[1]);
	for (int i = 0; i < 20 && good; i++) {
		usleep(i % 4 * 2000); /* it sleeps, and it does not */
		good = send(ends[0], "word", 4, MSG_NOSIGNAL) == 4 && read(ends[0], word, 4) == 4;
	}
	check(child_is_good(pid) && good, "a sandboxed child answers, %s",
	      polls ? "by poll" : "by read");
	check(read(ends[0], word, 4) == 0, "and its end is seen");
	close(ends[0]);
}

int main(int argc, char **argv)
{
	struct rlimit l;

	self = argv[0];
	if (argc > 1 && strcmp(argv[1], "inherited") == 0)
		return inherited();
	if (argc > 1 && strcmp(argv[1], "limits") == 0) {
		/* With the soft limit that it was started with. */
		limits((rlim_t)atol(argv[2]));
		return failures != 0;
	}
	streams();
	children();
	signals();
	cancellation();
	space();
	file_size();
	sandbox(true);
	sandbox(false);
	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = 64;
	setrlimit(RLIMIT_NOFILE, &l);
	fflush(stdout);
	if (failures == 0)
		execl(self, self, "limits", "64", (char *)NULL);
	return 1;
}
