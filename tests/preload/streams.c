/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * streams.c - What libc does on sockets out of reach of symbols: standard I/O
 * and syslog(). Each case, in a child of its own, prints what it saw. The
 * kernel's output is the oracle: the same program's without the library.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>
#include <wchar.h>

#include "connection.h"

static const char *name;
static int report = -1; /* descriptor of what is printed */

/* Not by the streams that are tested. */
static void saw(const char *format, ...)
{
	char line[300];
	va_list ap;
	int n = snprintf(line, sizeof(line), "%s: ", name);

	va_start(ap, format);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, ap);
	va_end(ap);
	for (int i = 0; i < n; i++)
		if (line[i] == '\n' || line[i] == '\r')
			line[i] = '|';
	line[n++] = '\n';
	if (write(report, line, (size_t)n) != n)
		_exit(3);
}

static const char *why(int failed)
{
	return failed ? strerrorname_np(errno) : "well";
}

static void pair(FILE *f[2], const char *mode)
{
	int ends[2];

	connection(ends);
	f[0] = fdopen(ends[0], mode);
	f[1] = fdopen(ends[1], mode);
	if (!f[0] || !f[1])
		_exit(2);
}

/* All that comes until the end, or for as long as nothing does for a second. */
static const char *rest(int fd)
{
	static char text[8192];
	struct timeval second = { .tv_sec = 1 };
	size_t have = 0;
	ssize_t n = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	while (have < sizeof(text) - 1 &&
	       (n = recv(fd, text + have, sizeof(text) - 1 - have, 0)) > 0)
		have += (size_t)n;
	text[have] = 0;
	return text;
}

/* ------------------------------------------------------------------- streams */

static void both_ways(void)
{
	char line[100];
	FILE *f[2];

	pair(f, "r+");
	saw("fprintf %d", fprintf(f[0], "question %d\n", 1));
	saw("fflush %d", fflush(f[0]));
	saw("fgets %s", fgets(line, sizeof(line), f[1]));
	saw("fputs %d", fputs("answer\nmore", f[1]) >= 0);
	saw("fflush %d", fflush(f[1]));
	saw("fgets %s", fgets(line, sizeof(line), f[0]));
	saw("fputc %c", fputc('!', f[1]));
	saw("fclose %d", fclose(f[1]));
	saw("fread %zu", fread(line, 1, sizeof(line), f[0]));
	saw("feof %d ferror %d", feof(f[0]) != 0, ferror(f[0]) != 0);
	saw("getc %d", getc(f[0]));
	clearerr(f[0]);
	saw("getc once more %d", getc(f[0]));
	saw("fclose %d", fclose(f[0]));
}

static void readers(void)
{
	char *line = NULL, word[20];
	size_t size = 0;
	int number, n;
	FILE *f[2];

	pair(f, "r+");
	fputs("one line\na;b;12 apples xyz\nlast", f[0]);
	fclose(f[0]);
	n = (int)getline(&line, &size, f[1]);
	saw("getline %d %s", n, line);
	n = (int)getdelim(&line, &size, ';', f[1]);
	saw("getdelim %d %s", n, line);
	saw("getc %c", getc(f[1]));
	saw("ungetc %c", ungetc('Q', f[1]));
	saw("getc %c", getc(f[1]));
	saw("getc_unlocked %c", getc_unlocked(f[1]));
	n = fscanf(f[1], "%d %19s", &number, word);
	saw("fscanf %d %d %s", n, number, word);
	saw("pending %d", __fpending(f[1]) != 0);
	n = (int)getline(&line, &size, f[1]);
	saw("getline %d %s", n, line);
	n = (int)getline(&line, &size, f[1]);
	saw("getline %d %s", n, line);
	n = (int)getline(&line, &size, f[1]);
	saw("getline %d eof %d", n, feof(f[1]) != 0);
	free(line);
	fclose(f[1]);
}

static void buffering(void)
{
	FILE *f[2];
	int waits;

	pair(f, "r+");
	fputs("full", f[0]);
	ioctl(fileno(f[1]), FIONREAD, &waits);
	saw("full: %d before the flush", waits);
	fflush(f[0]);
	ioctl(fileno(f[1]), FIONREAD, &waits);
	saw("full: %d after", waits);
	setvbuf(f[0], NULL, _IOLBF, 100);
	fputs("a line\nand", f[0]);
	ioctl(fileno(f[1]), FIONREAD, &waits);
	saw("line: %d", waits);
	fflush(f[0]);
	setvbuf(f[0], NULL, _IONBF, 0);
	fputc('x', f[0]);
	ioctl(fileno(f[1]), FIONREAD, &waits);
	saw("none: %d", waits);
	setvbuf(f[1], NULL, _IONBF, 0);
	saw("getc %c", getc(f[1]));
	ioctl(fileno(f[1]), FIONREAD, &waits);
	saw("an unbuffered reader takes one: %d", waits);
	saw("fflush(NULL) %d", fflush(NULL));
	fclose(f[0]);
	saw("rest %s", rest(fileno(f[1])));
	saw("fcloseall %d", fcloseall());
}

#define MUCH (3 << 20)

static void *sum_of(void *arg)
{
	unsigned sum = 0, n = 0;
	int c;

	while ((c = fgetc(arg)) != EOF) {
		sum = sum * 31 + (unsigned)c;
		n++;
	}
	saw("read %u, sum %u", n, sum);
	return NULL;
}

static void much(void)
{
	char *buf = malloc(MUCH);
	pthread_t t;
	FILE *f[2];
	size_t n;

	for (int i = 0; i < MUCH; i++)
		buf[i] = (char)(i * 7 + i / 1000);
	pair(f, "r+");
	pthread_create(&t, NULL, sum_of, f[1]);
	n = fwrite(buf, 1, 100, f[0]);
	n += fwrite(buf + 100, 1, MUCH - 200, f[0]);
	for (int i = MUCH - 100; i < MUCH; i++)
		n += fputc(buf[i], f[0]) != EOF;
	saw("written %zu, fclose %d", n, fclose(f[0]));
	pthread_join(t, NULL);
	fclose(f[1]);
	free(buf);
}

static void not_blocking(void)
{
	static char buf[1 << 20];
	char line[64] = "";
	FILE *f[2];
	size_t n;

	pair(f, "r+");
	fcntl(fileno(f[1]), F_SETFL, O_NONBLOCK | fcntl(fileno(f[1]), F_GETFL));
	errno = 0;
	n = fread(line, 1, 10, f[1]);
	saw("fread %zu %s, ferror %d, feof %d", n, why(errno), ferror(f[1]) != 0, feof(f[1]) != 0);
	clearerr(f[1]);
	fputs("half", f[0]);
	fflush(f[0]);
	errno = 0;
	n = fread(line, 1, 10, f[1]);
	saw("fread %zu %s %s, ferror %d", n, why(errno), line, ferror(f[1]) != 0);
	clearerr(f[1]);
	fcntl(fileno(f[0]), F_SETFL, O_NONBLOCK | fcntl(fileno(f[0]), F_GETFL));
	for (int i = 0; i < 100 && !ferror(f[0]); i++)
		n = fwrite(buf, 1, sizeof(buf), f[0]);
	saw("fwrite falls short %d %s", n < sizeof(buf), why(errno));
	errno = 0;
	saw("fflush %d %s", fflush(f[0]), why(errno));
}

static void timeout(void)
{
	struct timeval soon = { .tv_usec = 50000 };
	char line[64] = "";
	FILE *f[2];
	bool got;

	pair(f, "r+");
	setsockopt(fileno(f[1]), SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	got = fgets(line, sizeof(line), f[1]);
	saw("fgets %d %s ferror %d", got, why(!got), ferror(f[1]) != 0);
	clearerr(f[1]);
	fputs("late\n", f[0]);
	fflush(f[0]);
	got = fgets(line, sizeof(line), f[1]);
	saw("fgets %d %s", got, line);
}

static void broken_pipe(void)
{
	struct linger hard = { 1, 0 };
	FILE *f[2];
	int r;

	signal(SIGPIPE, SIG_IGN);
	pair(f, "r+");
	shutdown(fileno(f[0]), SHUT_WR);
	fputs("x", f[0]);
	r = fflush(f[0]);
	saw("fflush after shutdown: %d %s, ferror %d", r, why(r), ferror(f[0]) != 0);
	r = fclose(f[0]);
	saw("fclose: %d", r);
	setsockopt(fileno(f[1]), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	fclose(f[1]);
	pair(f, "r+");
	setsockopt(fileno(f[1]), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	fclose(f[1]);
	r = getc(f[0]);
	saw("getc after a reset: %d %s, ferror %d, feof %d", r, why(r < 0), ferror(f[0]) != 0,
	    feof(f[0]) != 0);
	fputs("x", f[0]);
	r = fclose(f[0]);
	saw("fclose with unsent data: %d %s", r, why(r));
	pair(f, "r+");
	signal(SIGPIPE, SIG_DFL);
	shutdown(fileno(f[0]), SHUT_WR);
	fputs("x", f[0]);
	fflush(f[0]);
	saw("not reached");
}

static void seeking(void)
{
	FILE *f[2];
	int r;

	pair(f, "r+");
	r = fseek(f[0], 0, SEEK_CUR);
	saw("fseek %d %s", r, why(r));
	r = (int)ftell(f[0]);
	saw("ftell %d %s", r, why(r));
	errno = 0;
	rewind(f[0]);
	saw("rewind %s", why(errno));
	r = fileno(f[0]);
	close(r);
	r = fclose(f[0]);
	saw("fclose of what was closed: %d %s", r, why(r));
	saw("fdopen of it: %s", why(!fdopen(fileno(f[1]) + 100, "r")));
	saw("fdopen, no mode: %s", why(!fdopen(fileno(f[1]), "")));
	f[0] = fdopen(fileno(f[1]), "a");
	saw("fdopen, a: %s, flags %d", why(!f[0]), (fcntl(fileno(f[1]), F_GETFL) & O_APPEND) != 0);
	f[0] = fdopen(fileno(f[1]), "rm");
	saw("fdopen, rm: %s", why(!f[0]));
}

static void handler(int sig)
{
	(void)sig;
}

static FILE *interrupting;

static void sends(int sig)
{
	(void)sig;
	if (write(fileno(interrupting), "by a handler\n", 13) != 13)
		_exit(3);
}

static void interrupted(void)
{
	struct sigaction a = { .sa_handler = handler };
	struct itimerval soon = { .it_value.tv_usec = 50000 };
	char line[64] = "";
	FILE *f[2];
	bool got;

	pair(f, "r+");
	interrupting = f[0];
	sigaction(SIGALRM, &a, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	got = fgets(line, sizeof(line), f[1]);
	saw("fgets %d %s ferror %d", got, why(!got), ferror(f[1]) != 0);
	clearerr(f[1]);
	a.sa_handler = sends;
	a.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &a, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	got = fgets(line, sizeof(line), f[1]);
	saw("SA_RESTART: fgets %d %s", got, line);
}

static void *one_char(void *arg)
{
	return (void *)(long)getc(arg);
}

static void cancelled(void)
{
	pthread_t t;
	FILE *f[2];
	void *end;

	pair(f, "r+");
	pthread_create(&t, NULL, one_char, f[1]);
	usleep(50000);
	pthread_cancel(t);
	pthread_join(t, &end);
	saw("cancelled %d", end == PTHREAD_CANCELED);
	fputs("after\n", f[0]);
	fflush(f[0]);
	saw("the stream is not locked: %c", getc(f[1]));
}

static void wide(void)
{
	wchar_t text[64] = L"";
	FILE *f[2];

	saw("setlocale %d", setlocale(LC_ALL, "C.UTF-8") != NULL);
	pair(f, "r+");
	saw("fwide %d", fwide(f[0], 1) > 0);
	saw("fwprintf %d", fwprintf(f[0], L"f\u00fcr %ls\n", L"\u65e5\u672c"));
	saw("fputwc %d", fputwc(L'\u20ac', f[0]) == L'\u20ac');
	saw("fclose %d", fclose(f[0]));
	saw("fgetws %d", fgetws(text, 64, f[1]) && wcscmp(text, L"f\u00fcr \u65e5\u672c\n") == 0);
	saw("fgetwc %d", fgetwc(f[1]) == L'\u20ac');
	saw("fgetwc %d", fgetwc(f[1]) == WEOF);
}

/* ---------------------------------------------------------- standard streams */

static void standard_input(void)
{
	char word[32] = "";
	int ends[2], number = 0;

	connection(ends);
	dup2(ends[0], 0);
	dprintf(ends[1], "12 words\nand a line\nx");
	saw("scanf %d", scanf("%d %31s", &number, word));
	saw("%d %s", number, word);
	saw("getchar %d", getchar());
	saw("fgets %s", fgets(word, sizeof(word), stdin));
	shutdown(ends[1], SHUT_WR);
	saw("getchar %c", getchar());
	saw("getchar %d", getchar());
	clearerr(stdin);
	saw("freopen %d", freopen("/dev/null", "r", stdin) == stdin);
	saw("getchar %d, descriptor %d", getchar(), fileno(stdin));
	close(ends[0]);
	saw("the socket is closed: %zd", send(ends[1], "x", 1, MSG_NOSIGNAL));
}

static void standard_output(void)
{
	int ends[2], saved = dup(1);
	pid_t pid;

	connection(ends);
	fflush(stdout);
	dup2(ends[0], 1);
	saw("printf %d", printf("to a socket %d\n", 1));
	saw("puts %d", puts("second") >= 0);
	saw("fflush %d", fflush(stdout));
	printf("kept\n");
	pid = fork();
	if (pid == 0) {
		printf("by a child\n");
		exit(0); /* flushes what its parent kept, too */
	}
	waitpid(pid, NULL, 0);
	dprintf(1, "dprintf %d\n", 2);
	vdprintf(1, "vdprintf\n", (va_list){ 0 });
	dup2(saved, 1);
	__fpurge(stdout);
	close(ends[0]);
	saw("%s", rest(ends[1]));
}

static void exit_flushes(void)
{
	int ends[2];

	connection(ends);
	if (fork() == 0) {
		dup2(ends[0], 1);
		close(ends[0]);
		close(ends[1]);
		printf("until exit");
		exit(0);
	}
	close(ends[0]);
	saw("%s", rest(ends[1]));
	wait(NULL);
}

static void standard_error(void)
{
	int ends[2], saved = dup(2);

	connection(ends);
	dup2(ends[0], 2);
	errno = ENOENT;
	perror("perror");
	warnx("warnx %d", 3);
	psignal(SIGHUP, "psignal");
	fprintf(stderr, "%s of %d\n", "unbuffered", 2);
	fputs("fputs\n", stderr);
	openlog("streams", LOG_PERROR, LOG_USER);
	syslog(LOG_INFO, "syslog %d", 4);
	closelog();
	dup2(saved, 2);
	close(ends[0]);
	saw("%s", rest(ends[1]));
}

static void reopened(void)
{
	char line[32] = "";
	FILE *f[2], *g;
	int fd;

	pair(f, "r+");
	fputs("before", f[0]);
	fd = fileno(f[0]);
	f[0] = freopen("/dev/zero", "r", f[0]);
	saw("freopen %d, same number %d", f[0] != NULL, f[0] && fileno(f[0]) == fd);
	saw("fgets %s", fgets(line, sizeof(line), f[1]));
	saw("getc of the file %d", getc(f[0]));
	saw("end of the socket %d", getc(f[1]) == EOF);
	fclose(f[0]);
	fclose(f[1]);

	pair(f, "r+");
	g = freopen(NULL, "w", f[0]);
	saw("freopen without a name: %s", why(!g));
	saw("its end is seen %d", getc(f[1]) == EOF);
	fclose(f[1]);

	pair(f, "r+");
	fd = fileno(f[0]);
	while (dup(1) < fd)
		;
	fclose(f[0]);
	g = fopen("/dev/zero", "r");
	saw("the number is used again %d", fileno(g) == fd);
	saw("read %zd", read(fd, line, 4));
	saw("of the file: %d", line[0]);
	saw("fread %zu", fread(line, 1, 4, g));
	saw("fclose %d", fclose(g));
	g = fopen("/dev/null", "r+");
	dup2(fileno(f[1]), fileno(g));
	saw("a file's stream over a socket: fputs %d", fputs("hello", g) >= 0);
	saw("fclose %s", why(fclose(g)));
}

static void forked(void)
{
	char line[64] = "";
	FILE *f[2];
	int status;

	pair(f, "r+");
	if (fork() == 0) {
		fclose(f[1]);
		fputs("from the child\n", f[0]);
		fclose(f[0]);
		_exit(0);
	}
	wait(&status);
	saw("child %d, fgets %s", status, fgets(line, sizeof(line), f[1]));
	fputs("from the parent\n", f[0]);
	fflush(f[0]);
	saw("fgets %s", fgets(line, sizeof(line), f[1]));
	if (fork() == 0) {
		saw("the child reads %s", fgets(line, sizeof(line), f[1]));
		_exit(0);
	}
	fputs("to the child\n", f[0]);
	fflush(f[0]);
	wait(&status);
	fclose(f[0]);
	saw("end %d", getc(f[1]) == EOF);
}

/* -------------------------------------------------------------------- syslog */

/* The message without its time: priority and text. */
static const char *message(int log)
{
	static char text[300];
	ssize_t n = recv(log, text, sizeof(text) - 1, 0);
	char *space = n > 0 ? memrchr(text, ':', (size_t)n) : NULL;

	text[n > 0 ? n : 0] = 0;
	return space ? space : why(n < 0);
}

/* /dev/log is a socket of this program, in a mount namespace of its own. */
static bool own_dev(void)
{
	return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", "/dev", "tmpfs", 0, NULL) == 0;
}

static void logging(void)
{
	struct sockaddr_un a = { AF_UNIX, "/dev/log" };
	struct timeval second = { .tv_sec = 1 };
	int log, ends[2];
	char c;

	if (!own_dev()) {
		saw("left out: %s", why(1));
		return;
	}
	log = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (bind(log, (struct sockaddr *)&a, sizeof(a)) < 0)
		_exit(2);
	setsockopt(log, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	connection(ends);
	openlog("streams", LOG_NDELAY, LOG_USER);
	syslog(LOG_INFO, "first");
	saw("%s", message(log));
	if (fork() == 0) {
		syslog(LOG_INFO, "child");
		dprintf(ends[0], "c");
		_exit(0);
	}
	wait(NULL);
	saw("%s", message(log));
	saw("%zd", recv(ends[1], &c, 1, 0));
	closelog();
	close(ends[0]);
	close(ends[1]);
	connection(ends); /* over the number that syslog had */
	syslog(LOG_INFO, "again");
	saw("%s", message(log));
	saw("nothing of it here: %zd", recv(ends[1], &c, 1, MSG_DONTWAIT));
	/* As daemons do: all closed behind syslog's back, then sockets. */
	for (int fd = 3; fd < 20; fd++)
		if (fd != log && fd != report)
			close(fd);
	connection(ends);
	closelog();
	openlog("streams", 0, LOG_USER);
	syslog(LOG_INFO, "daemon");
	saw("%s", message(log));
}

int main(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{ "both ways", both_ways },
		{ "readers", readers },
		{ "buffering", buffering },
		{ "much", much },
		{ "not blocking", not_blocking },
		{ "timeout", timeout },
		{ "broken pipe", broken_pipe },
		{ "seeking", seeking },
		{ "interrupted", interrupted },
		{ "cancelled", cancelled },
		{ "wide", wide },
		{ "standard input", standard_input },
		{ "standard output", standard_output },
		{ "exit", exit_flushes },
		{ "standard error", standard_error },
		{ "reopened", reopened },
		{ "forked", forked },
		{ "syslog", logging },
	};
	int status, low;

	report = fcntl(1, F_DUPFD_CLOEXEC, 60);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		name = cases[i].name;
		fflush(NULL);
		if (fork() == 0) {
			alarm(20);
			cases[i].run();
			low = dup(0);
			saw("lowest free descriptor %d", low);
			_exit(0);
		}
		wait(&status);
		saw("ended %d, signal %d", WEXITSTATUS(status), WTERMSIG(status));
	}
	return 0;
}
