/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec.h - What of ours survives an exec: the environment, and sockets.
 */
#ifndef MORTISE_POSIX_EXEC_H
#define MORTISE_POSIX_EXEC_H

#include "base/defs.h"

/**
 * exec_start() - The library's constructor: keeps what the environment says
 * of us, and attaches to each inherited descriptor that is a handle. An
 * excluded program has process.enabled false afterwards.
 */
void exec_start(void);

/** exec_excluded() - Does $MORTISE_EXCLUDE (as it was at start) name @program?
 * @program: A path or a name; only the part behind the last slash counts. */
bool exec_excluded(const char *program);

/**
 * exec_environ() - @envp, with what was ours at start put back where it lacks.
 * @program: Which is about to be executed.
 *
 * Return: @envp itself where nothing lacks or the program is excluded; else a
 *         copy for exec_environ_free(). No malloc(): a forked child calls it.
 */
char *const *exec_environ(const char *program, char *const *envp);
void exec_environ_free(char *const *copy, char *const *envp);

/**
 * exec_at() - execveat(), with our descriptors, limit and environment seen to.
 * @flags: Of execveat().
 * Return: -errno; then all is as it was.
 */
long exec_at(int dirfd, const char *path, char *const *argv, char *const *envp, int flags);

/**
 * exec_path() - execvpe(): look @file up in $PATH, and give what has no known
 * format to /bin/sh.
 * @search: false: as execve(), one try, no shell.
 */
long exec_path(const char *file, char *const *argv, char *const *envp, bool search);

/** exec_adopt() - A descriptor that came from outside: where it is a handle it
 * is attached, or replaced by a socket whose peer is gone. Return: whether it was. */
bool exec_adopt(int fd);

#endif
