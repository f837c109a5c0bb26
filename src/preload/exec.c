/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/sys.h"
#include "posix/attach.h"
#include "posix/exec.h"
#include "posix/program.h"
#include "posix/rlimit.h"
#include "preload/fork.h"

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	return (int)result(exec_at(AT_FDCWD, path, argv, envp, 0));
}

EXPORT int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	return (int)result(exec_path(file, argv, envp, true));
}

EXPORT int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

EXPORT int execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags)
{
	return (int)result(exec_at(dir, path, argv, envp, flags));
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	if (fd < 0)
		return (int)result(-EINVAL);
	return (int)result(exec_at(fd, "", argv, envp, AT_EMPTY_PATH));
}

/* The arguments of execl() and its like, up to the NULL, in @argv. */
static size_t list_count(const char *first, va_list *ap)
{
	size_t n = 0;

	for (const char *a = first; a; a = va_arg(*ap, const char *))
		n++;
	return n;
}

static void list_fill(char **argv, const char *first, va_list *ap)
{
	size_t n = 0;

	for (const char *a = first; a; a = va_arg(*ap, const char *))
		argv[n++] = (char *)(uintptr_t)a;
	argv[n] = NULL;
}

/* Sets @count and @argv, on the caller's stack: it may be a forked child. */
#define LIST(first)                            \
	va_list ap;                            \
	size_t count;                          \
                                               \
	va_start(ap, first);                   \
	count = list_count(first, &ap);         \
	va_end(ap);                            \
	char *argv[count + 1];                 \
	va_start(ap, first);                   \
	list_fill(argv, first, &ap)

EXPORT int execl(const char *path, const char *arg, ...)
{
	LIST(arg);
	va_end(ap);
	return execve(path, argv, environ);
}

EXPORT int execlp(const char *file, const char *arg, ...)
{
	LIST(arg);
	va_end(ap);
	return execvpe(file, argv, environ);
}

EXPORT int execle(const char *path, const char *arg, ...)
{
	char *const *envp;

	LIST(arg);
	envp = va_arg(ap, char *const *);
	va_end(ap);
	return execve(path, argv, envp);
}

/* ------------------------------------------------ libc's own forks and execs */

typedef int (*spawn_fn)(pid_t *, const char *, const posix_spawn_file_actions_t *,
			const posix_spawnattr_t *, char *const *, char *const *);

/* Will the library not be in @file? */
static bool spawn_is_plain(const char *file, char *const *argv, bool search)
{
	char path[PROGRAM_PATH_BYTES];

	if (process.left || (argv[0] && exec_excluded(argv[0])))
		return true;
	if (!search)
		return program_is_plain(AT_FDCWD, file);
	return program_find(file, path) && program_is_plain(AT_FDCWD, path);
}

static int spawn(spawn_fn libc, pid_t *pid, const char *file, const posix_spawn_file_actions_t *fa,
		 const posix_spawnattr_t *attr, char *const *argv, char *const *envp, bool search)
{
	bool ours = process.enabled && attach_spawn_before();
	bool plain = ours && spawn_is_plain(file, argv, search);
	char *const *env = exec_environ(plain ? "sh" : file, envp);
	size_t n = 0;
	int r;

	while (plain && argv[n])
		n++;
	char *by_shell[n + 5];

	process_epoch_move();
	rlimit_exec_before(false);
	if (plain) {
		/* libc makes child and exec in one, with what it inherits known to
		 * itself alone: a shell, which has the library, makes the exec. */
		by_shell[0] = (char *)(uintptr_t)"sh";
		by_shell[1] = (char *)(uintptr_t)"-c";
		by_shell[2] = (char *)(uintptr_t)"exec \"$0\" \"$@\"";
		by_shell[3] = (char *)(uintptr_t)file;
		for (size_t i = 1; i <= n; i++)
			by_shell[3 + i] = argv[i];
		by_shell[n ? 3 + n : 4] = NULL;
		r = real.posix_spawn(pid, "/bin/sh", fa, attr, by_shell, env);
	} else {
		r = libc(pid, file, fa, attr, argv, env);
	}
	rlimit_exec_after(false);
	process_epoch_move();
	exec_environ_free(env, envp);
	return r;
}

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *fa,
		       const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	return spawn(real.posix_spawn, pid, path, fa, attr, argv, envp, false);
}

EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *fa,
			const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	return spawn(real.posix_spawnp, pid, file, fa, attr, argv, envp, true);
}

EXPORT FILE *popen(const char *command, const char *mode)
{
	FILE *f;

	if (process.enabled)
		attach_spawn_before();
	process_epoch_move();
	rlimit_exec_before(false);
	f = real.popen(command, mode);
	rlimit_exec_after(false);
	process_epoch_move();
	return made_file(f);
}
ALIAS(_IO_popen, popen);

/* libc's system(), which would hide its exec from us for as long as it takes.
 * SIGINT and SIGQUIT are the command's while it runs; several threads may be
 * in here. */
static struct {
	struct lock lock;
	unsigned users;
	struct sigaction intr, quit;
} waiting;

void system_fork_child(void)
{
	waiting.lock = (struct lock){ 0 };
	waiting.users = 0;
}

static void waiting_begin(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	lock_take(&waiting.lock);
	if (waiting.users++ == 0) {
		real.sigaction(SIGINT, &ignore, &waiting.intr);
		real.sigaction(SIGQUIT, &ignore, &waiting.quit);
	}
	lock_drop(&waiting.lock);
}

static void waiting_end(void)
{
	lock_take(&waiting.lock);
	if (--waiting.users == 0) {
		real.sigaction(SIGINT, &waiting.intr, NULL);
		real.sigaction(SIGQUIT, &waiting.quit, NULL);
	}
	lock_drop(&waiting.lock);
}

static void cancelled(void *pid)
{
	kill(*(pid_t *)pid, SIGKILL);
	while (waitpid(*(pid_t *)pid, NULL, 0) < 0 && errno == EINTR)
		;
	waiting_end();
}

static int shell(const char *command)
{
	char *argv[] = { (char *)(uintptr_t)"sh", (char *)(uintptr_t)"-c",
			 (char *)(uintptr_t)command, NULL };
	sigset_t block, old, dfl;
	posix_spawnattr_t attr;
	int status = -1, r;
	pid_t pid = -1;

	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	sigprocmask(SIG_BLOCK, &block, &old);
	waiting_begin();
	sigemptyset(&dfl);
	if (waiting.intr.sa_handler != SIG_IGN)
		sigaddset(&dfl, SIGINT);
	if (waiting.quit.sa_handler != SIG_IGN)
		sigaddset(&dfl, SIGQUIT);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &old);
	posix_spawnattr_setsigdefault(&attr, &dfl);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	r = posix_spawn(&pid, "/bin/sh", NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	if (r == 0) {
		pid_t got;

		pthread_cleanup_push(cancelled, &pid);
		do
			got = waitpid(pid, &status, 0);
		while (got < 0 && errno == EINTR);
		if (got != pid)
			status = -1;
		pthread_cleanup_pop(0);
	} else {
		status = 127 << 8; /* as if the shell could not be run */
	}
	waiting_end();
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (r != 0)
		errno = r;
	return status;
}

EXPORT int system(const char *command)
{
	if (!command)
		return shell("exit 0") == 0;
	return shell(command);
}
