/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * program.h - Will a program, once executed, have this library in it?
 */
#ifndef MORTISE_POSIX_PROGRAM_H
#define MORTISE_POSIX_PROGRAM_H

#include "base/defs.h"

#define PROGRAM_PATH_BYTES 4096

/**
 * program_is_plain() - Is it one that the library cannot be in? Statically
 * linked, of another word size, with another user's or file's privileges, or
 * named in MORTISE_EXCLUDE. "#!" is followed to the interpreter.
 * @dirfd: As for openat(); with @path "" it is the program itself.
 *
 * Return: false too where it cannot be told: then exec is likely to fail.
 */
bool program_is_plain(int dirfd, const char *path);

/** program_find() - What execvp() would find in $PATH. Return: false: nothing. */
bool program_find(const char *file, char ret[PROGRAM_PATH_BYTES]);

/** program_of_pid_is_plain() - Is the library not mapped in process @pid?
 * Return: false where it cannot be told. */
bool program_of_pid_is_plain(unsigned pid);

#endif
