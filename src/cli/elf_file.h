/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * elf_file.h - What an executable says of itself, as far as it tells whether a
 * preloaded library can be in it, and would matter.
 *
 * src/posix/program.c asks the same before an exec, in a forked child, by raw
 * system calls, and wants a yes or a no. Here it is libelf that reads, of any
 * word size and byte order, and the answer is for people.
 */
#ifndef MORTISE_CLI_ELF_FILE_H
#define MORTISE_CLI_ELF_FILE_H

#include "base/defs.h"

enum { ELF_INTERPRETER_MAX = 256 };

/**
 * struct elf_file - A file's facts.
 * @bits:    32 or 64.
 * @machine: EM_*.
 * @native:  Of this machine, word size and byte order.
 * @program: ET_EXEC or ET_DYN.
 * @interpreter: PT_INTERP: what loads it; "": nothing does, it is static.
 * @musl:    That is musl's.
 * @go:      Made by Go, which makes system calls of its own.
 * @liburing: It needs liburing: what it does with sockets may not go through libc.
 * @hooks:   It defines a socket call itself, as a library that is preloaded might.
 */
struct elf_file {
	unsigned bits, machine;
	bool native, program, musl, go, liburing, hooks;
	char interpreter[ELF_INTERPRETER_MAX];
};

/**
 * elf_file_read() - Read what @fd has. Whatever is in it.
 * Return: 0; -ENOEXEC where it is no ELF file; -EBADMSG where it is a broken one:
 *         cut off, or a table of it lies elsewhere than in it.
 */
int elf_file_read(int fd, struct elf_file *ret);

#endif
