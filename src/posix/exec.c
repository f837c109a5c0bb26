/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec.c - Theory of operation.
 *
 * A new program with the library in it goes on with what it inherits: before
 * the exec each socket is prepared for that, at its start the library attaches
 * to each handle that it finds (attach.c).
 *
 * A program that the library will not be in (program.c) cannot use a handle. It
 * must not hang on one either, and its copy must not keep the daemon from
 * hearing the last close. So each of ours that is not close-on-exec is
 * replaced, under its number: connections by one end of a pair whose other end a
 * relay has (relay.c), listeners and what is not connected by the kernel's
 * socket that stands behind them (policy share), what is left by a socket whose
 * peer is gone: reads give the end, writes EPIPE. If the exec fails, connections
 * come back from close-on-exec duplicates.
 *
 * An exec that libc makes inside itself (posix_spawn, popen) cannot be caught
 * before; what can be told of the program beforehand is done in
 * preload/exec.c. A handle that cannot be attached to becomes a dead socket.
 *
 * Everything here is raw system calls and memory of its own: the caller may
 * be the forked child of a program with threads.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys.h"
#include "posix/attach.h"
#include "posix/calls.h"
#include "posix/dgram.h"
#include "posix/exec.h"
#include "posix/fallback.h"
#include "posix/fdtab.h"
#include "posix/process.h"
#include "posix/program.h"
#include "posix/relay.h"
#include "posix/rlimit.h"
#include "posix/section.h"
#include "posix/served.h"

#define LIBRARY_NAME "libmortise.so"
#define KEPT_VARS 16
#define KEPT_BYTES 4096
#define PATH_BYTES PROGRAM_PATH_BYTES

/* "NAME=value" of each variable of ours at start, and our own path as it
 * stood in LD_PRELOAD. Written by the constructor only. */
static char kept_text[KEPT_BYTES];
static char *kept[KEPT_VARS];
static unsigned kept_count;
static const char *preload_path;

/* ------------------------------------------------------------ environment */

static char *keep(const char *text, size_t len)
{
	static size_t used;
	char *at = kept_text + used;

	if (len >= KEPT_BYTES - used)
		return NULL;
	memcpy(at, text, len);
	at[len] = '\0';
	used += len + 1;
	return at;
}

/* The word of LD_PRELOAD that is this library: separated by colons or spaces. */
static const char *preload_word(const char *list, size_t *ret_len)
{
	while (*list) {
		size_t len = strcspn(list, ": "), name = strlen(LIBRARY_NAME);

		if (len >= name && strncmp(list + len - name, LIBRARY_NAME, name) == 0 &&
		    (len == name || list[len - name - 1] == '/')) {
			*ret_len = len;
			return list;
		}
		list += len;
		list += *list != '\0';
	}
	return NULL;
}

static void environment_keep(void)
{
	for (char **e = environ; e && *e; e++) {
		const char *word;
		char *copy;
		size_t len;

		if (strncmp(*e, "LD_PRELOAD=", 11) == 0) {
			word = preload_word(*e + 11, &len);
			if (word && !preload_path)
				preload_path = keep(word, len);
		} else if ((strncmp(*e, "MORTISE_", 8) == 0 || strncmp(*e, "MORTISED=", 9) == 0) &&
			   strchr(*e, '=') && kept_count < KEPT_VARS) {
			copy = keep(*e, strlen(*e));
			if (copy)
				kept[kept_count++] = copy;
		}
	}
}

static bool same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strncmp(a, b, n) == 0 && b[n] == '=';
}

static const char *kept_value(const char *name)
{
	for (unsigned i = 0; i < kept_count; i++)
		if (same_name(name, kept[i]))
			return strchr(kept[i], '=') + 1;
	return NULL;
}

bool exec_excluded(const char *program)
{
	const char *list = kept_value("MORTISE_EXCLUDE="), *slash = strrchr(program, '/');
	size_t n;

	if (!list)
		return false;
	if (slash)
		program = slash + 1;
	for (; *list; list += *list == ',') {
		n = strcspn(list, ",");
		if (n > 0 && n == strlen(program) && strncmp(list, program, n) == 0)
			return true;
		list += n;
	}
	return false;
}

/* The copies that exec_environ() makes: one mapping each. */
struct env_copy {
	size_t bytes;
	char *vars[];
};

char *const *exec_environ(const char *program, char *const *envp)
{
	static char *const none[] = { NULL };
	char *const *from = envp ? envp : none;
	const char *preload = NULL;
	bool lacks_preload = preload_path != NULL;
	struct env_copy *copy;
	size_t n = 0, bytes, len, missing = 0, out = 0;
	long at;

	if ((!preload_path && !kept_count) || exec_excluded(program))
		return envp;
	for (; from[n]; n++)
		if (strncmp(from[n], "LD_PRELOAD=", 11) == 0) {
			preload = from[n] + 11;
			if (preload_word(preload, &len))
				lacks_preload = false;
		}
	for (unsigned i = 0; i < kept_count; i++) {
		size_t k = 0;

		while (k < n && !same_name(kept[i], from[k]))
			k++;
		missing += k == n;
	}
	if (!missing && !lacks_preload)
		return envp;
	bytes = sizeof(*copy) + (n + missing + 2) * sizeof(char *);
	if (lacks_preload)
		bytes += 13 + strlen(preload_path) + (preload ? strlen(preload) : 0);
	at = sys6(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at < 0 && at > -4096)
		return envp;
	copy = (struct env_copy *)at;
	copy->bytes = bytes;
	for (size_t k = 0; k < n; k++)
		if (!lacks_preload || strncmp(from[k], "LD_PRELOAD=", 11) != 0)
			copy->vars[out++] = from[k];
	for (unsigned i = 0; i < kept_count; i++) {
		size_t k = 0;

		while (k < n && !same_name(kept[i], from[k]))
			k++;
		if (k == n)
			copy->vars[out++] = kept[i];
	}
	if (lacks_preload) {
		char *text = (char *)&copy->vars[n + missing + 2];

		copy->vars[out++] = text;
		text = stpcpy(text, "LD_PRELOAD=");
		if (preload && *preload) {
			text = stpcpy(text, preload);
			*text++ = ':';
		}
		strcpy(text, preload_path);
	}
	copy->vars[out] = NULL;
	return copy->vars;
}

void exec_environ_free(char *const *vars, char *const *envp)
{
	const struct env_copy *copy;

	if (vars == envp)
		return;
	copy = (const struct env_copy *)(const void *)
		((const char *)vars - offsetof(struct env_copy, vars));
	sys2(SYS_munmap, copy, copy->bytes);
}

/* ------------------------------------------------------------ descriptors */

/* A socket that reads 0 and writes EPIPE. */
static long dead_socket(void)
{
	int pair[2];
	long r = sys4(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);

	if (r < 0)
		return r;
	sys1(SYS_close, pair[1]);
	return pair[0];
}

/**
 * struct stand_in - Of one descriptor, while another takes its place.
 * @fd:   Its number.
 * @keep: A close-on-exec duplicate of what was there, -1: none.
 * @by:   What takes its place, in the library's range; -1: a dead socket.
 */
struct stand_in {
	const struct fobj *obj;
	int fd, keep, by;
};

/** struct replaced - Our descriptors for a program that the library is not in.
 * @list: In a mapping of @bytes. */
struct replaced {
	struct stand_in *list;
	size_t count, bytes;
	struct relay relay;
};

static bool survives(unsigned fd)
{
	return fd_is_ours((int)fd) && sys2(SYS_fcntl, fd, F_GETFD) == 0;
}

static bool any_survives(void)
{
	unsigned fd = 0;

	while (fd < fdtab_size && !survives(fd))
		fd++;
	return fd < fdtab_size;
}

/* Listeners, and what is not connected, are the kernel's from now on. */
static void replace_by_kernel(int fd)
{
	struct sock *s = sock_enter(fd);
	long r = -EOPNOTSUPP;

	if (!s)
		return;
	lock_take(&s->lock);
	if (load_relaxed(&s->stage) == SOCK_OPEN)
		r = 0;
	else if (process.policy == POLICY_SHARE)
		r = load_relaxed(&s->stage) == SOCK_LISTEN ? fallback_listener(s, REASON_SHARED) :
							     fallback_socket(s, REASON_SHARED);
	lock_drop(&s->lock);
	sock_leave(s, 0);
	if (r < 0)
		process_log(1, "descriptor %d cannot be the kernel's: %ld", fd, r);
}

/* Its place in the relay; one for all duplicates of a descriptor. */
static int replace_by_relay(struct replaced *r, unsigned fd)
{
	struct fobj *o = fdtab_peek((int)fd);
	struct sock *s;
	int by = -1;

	for (size_t i = 0; i < r->count; i++)
		if (r->list[i].obj == o)
			return r->list[i].by;
	s = sock_enter((int)fd);
	if (!s)
		return -1;
	lock_take(&s->lock);
	if (load_relaxed(&s->stage) == SOCK_OPEN) {
		attach_give(s);
		by = relay_add(&r->relay, (int)fd, (int)load_relaxed(&s->half->file_flags));
	}
	lock_drop(&s->lock);
	sock_leave(s, 0);
	return by;
}

/* @dead stands in where there is nothing better. */
static void replace_one(struct stand_in *t, long dead, const char *program)
{
	t->keep = (int)sys3(SYS_fcntl, t->fd, F_DUPFD_CLOEXEC, process_high_first());
	/* Over it in any case: with no room for a duplicate, an exec that fails
	 * leaves another socket rather than one that nobody hears. */
	sys3(SYS_dup3, t->by >= 0 ? t->by : dead, t->fd, 0);
	if (t->by >= 0)
		process_log(2, "descriptor %d goes to %s through a relay", t->fd, program);
	else
		process_log(1, "descriptor %d cannot go along with exec of %s: its peer is to see an end",
			    t->fd, program);
}

static void replace_all(struct replaced *r, const char *program)
{
	size_t n = 0;
	long dead, at;

	for (unsigned fd = 0; fd < fdtab_size; fd++)
		if (survives(fd))
			replace_by_kernel((int)fd);
	for (unsigned fd = 0; fd < fdtab_size; fd++)
		n += survives(fd);
	if (n == 0)
		return;
	r->bytes = n * sizeof(r->list[0]);
	at = sys6(SYS_mmap, 0, r->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		  0);
	dead = dead_socket();
	if ((at < 0 && at > -4096) || dead < 0 || relay_open(&r->relay, n) < 0)
		goto out;
	r->list = (struct stand_in *)at;
	for (unsigned fd = 0; fd < fdtab_size && r->count < n; fd++) {
		if (!survives(fd))
			continue;
		r->list[r->count] = (struct stand_in){ fdtab_peek((int)fd), (int)fd, -1,
						       replace_by_relay(r, fd) };
		r->count++;
	}
	if (r->relay.count && relay_start(&r->relay) < 0)
		for (size_t i = 0; i < r->count; i++)
			r->list[i].by = -1;
	for (size_t i = 0; i < r->count; i++)
		replace_one(&r->list[i], dead, program);
out:
	if (dead >= 0)
		sys1(SYS_close, dead);
}

static void replace_undo(struct replaced *r)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->list[i].keep < 0)
			continue;
		sys3(SYS_dup3, r->list[i].keep, r->list[i].fd, 0);
		sys1(SYS_close, r->list[i].keep);
	}
	if (r->list)
		sys2(SYS_munmap, r->list, r->bytes);
	relay_cancel(&r->relay);
	relay_close(&r->relay);
}

bool exec_adopt(int fd)
{
	long flags, dead;

	if (!attach_is_handle(fd))
		return false;
	if (attach_fd(fd))
		return true;
	flags = sys2(SYS_fcntl, fd, F_GETFD);
	dead = dead_socket();
	if (dead < 0) {
		/* No descriptor to spare: shut it down, which the daemon
		 * cannot take for a close, but this program sees an end. */
		sys2(SYS_shutdown, fd, SHUT_RDWR);
		return true;
	}
	sys3(SYS_dup3, dead, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0);
	sys1(SYS_close, dead);
	process_log(1, "descriptor %d came from another process: its peer sees an end", fd);
	return true;
}

static void inherited_replace(void)
{
	char buf[2048] __attribute__((aligned(8)));
	long dir, n;

	dir = sys4(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (dir < 0) {
		for (int fd = 0; fd < 1024; fd++)
			exec_adopt(fd);
		return;
	}
	while ((n = sys3(SYS_getdents64, dir, buf, sizeof(buf))) > 0)
		for (long at = 0; at < n;) {
			const struct dirent64 *d = (const void *)(buf + at);
			long fd = d->d_name[0] >= '0' && d->d_name[0] <= '9' ?
					  strtol(d->d_name, NULL, 10) : -1;

			if (fd >= 0 && fd != dir)
				exec_adopt((int)fd);
			at += d->d_reclen;
		}
	sys1(SYS_close, dir);
}

/* ------------------------------------------------------------------- exec */

/**
 * struct attempt - One exec under way.
 * @ours:  Our tables are this process's.
 * @plain: The library will not be in the program.
 */
struct attempt {
	bool ours, plain;
	struct replaced replaced;
	struct attach_exec given;
	char *const *envp, *const *program_envp;
};

/* @program: for the log and the environment. @path, with @dirfd: its file. */
static void attempt_begin(struct attempt *a, const char *program, int dirfd, const char *path,
			  const char *arg0, char *const *envp)
{
	/* In a child that shares our memory the tables are its parent's. */
	bool ours = process.enabled && process.pid == (uint32_t)sys0(SYS_getpid);

	*a = (struct attempt){ .replaced.relay.go = -1, .program_envp = envp, .ours = ours };
	dgram_exec_before(envp);
	if (ours)
		served_exec_before();
	if (ours && any_survives()) {
		process_epoch_move();
		/* As another user it would not be let to our memory. */
		a->plain = process.left || (arg0 && exec_excluded(arg0)) ||
			   program_is_plain(dirfd, path);
		if (a->plain)
			replace_all(&a->replaced, program);
		else
			attach_exec_before(&a->given);
	}
	a->envp = exec_environ(program, envp);
	rlimit_exec_before(true);
}

static long attempt_end(struct attempt *a, long r)
{
	rlimit_exec_after(true);
	if (a->ours)
		served_exec_after();
	exec_environ_free(a->envp, a->program_envp);
	if (a->plain)
		replace_undo(&a->replaced);
	else
		attach_exec_after(&a->given);
	return r;
}

long exec_at(int dirfd, const char *path, char *const *argv, char *const *envp, int flags)
{
	struct attempt a;
	char link[64], name[256];
	const char *program = path;
	long n;

	if (path && !*path && flags & AT_EMPTY_PATH) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
		n = sys4(SYS_readlinkat, AT_FDCWD, link, name, sizeof(name) - 1);
		name[n > 0 ? n : 0] = '\0';
		program = name;
	}
	if (!path || !argv)
		return sys5(SYS_execveat, dirfd, path, argv, envp, flags);
	attempt_begin(&a, program, dirfd, path, argv[0], envp);
	return attempt_end(&a, dirfd == AT_FDCWD && flags == 0 ?
				       sys3(SYS_execve, path, argv, a.envp) :
				       sys5(SYS_execveat, dirfd, path, argv, a.envp, flags));
}

static long exec_or_shell(const char *path, char *const *argv, char *const *envp)
{
	long r = sys3(SYS_execve, path, argv, envp), at;
	size_t n = 0, bytes;
	const char **args;

	if (r != -ENOEXEC)
		return r;
	while (argv[n])
		n++;
	bytes = (n + 3) * sizeof(*args);
	at = sys6(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at < 0 && at > -4096)
		return -ENOMEM;
	args = (const char **)at;
	args[0] = "/bin/sh";
	args[1] = path;
	for (size_t i = 1; i < n; i++)
		args[i + 1] = argv[i];
	r = sys3(SYS_execve, args[0], args, envp);
	sys2(SYS_munmap, args, bytes);
	return r;
}

/* As glibc: what merely is not there or not allowed lets the search go on. */
static long path_search(const char *file, char *const *argv, char *const *envp)
{
	const char *path = getenv("PATH"), *end;
	size_t len = strlen(file);
	bool denied = false;
	char name[PATH_BYTES];
	long r = -ENOENT;

	if (!path)
		path = "/bin:/usr/bin";
	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	for (;; path = end + 1) {
		size_t n;

		end = strchrnul(path, ':');
		n = (size_t)(end - path);
		if (n + len + 2 <= sizeof(name)) {
			memcpy(name, path, n);
			if (n > 0)
				name[n++] = '/';
			memcpy(name + n, file, len + 1);
			r = exec_or_shell(name, argv, envp);
			if (r == -EACCES)
				denied = true;
			else if (r != -ENOENT && r != -ESTALE && r != -ENOTDIR && r != -ENODEV &&
				 r != -ETIMEDOUT)
				return r;
		}
		if (!*end)
			return denied ? -EACCES : r;
	}
}

long exec_path(const char *file, char *const *argv, char *const *envp, bool search)
{
	char path[PROGRAM_PATH_BYTES];
	struct attempt a;
	long r;

	if (!search)
		return exec_at(AT_FDCWD, file, argv, envp, 0);
	if (!*file)
		return -ENOENT;
	if (!program_find(file, path))
		path[0] = '\0';
	attempt_begin(&a, file, AT_FDCWD, path, argv[0], envp);
	r = strchr(file, '/') ? exec_or_shell(file, argv, a.envp) :
				path_search(file, argv, a.envp);
	return attempt_end(&a, r);
}

void exec_start(void)
{
	char exe[PATH_BYTES];
	long n;

	environment_keep();
	n = sys4(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	if (exec_excluded(exe) || exec_excluded(program_invocation_name))
		process.enabled = false;
	inherited_replace();
}
