/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * program.c - Told from the file, as the kernel and ld.so will: no PT_INTERP,
 * no ld.so, hence no LD_PRELOAD; and ld.so does not take a library's path from
 * whoever executes a program with more rights than his own (AT_SECURE).
 *
 * Raw system calls: the caller may be a forked child of a threaded program.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "posix/exec.h"
#include "posix/program.h"

#define LIBRARY_NAME "libmortise.so"
#define INTERPRETERS_MOST 4 /* as the kernel */
#define HEADERS_MOST 64u

static long read_at(long fd, void *to, size_t n, uint64_t at)
{
	long r;

	do
		r = sys4(SYS_pread64, fd, to, n, at);
	while (r == -EINTR);
	return r;
}

static bool elf_is_plain(long fd, const Elf64_Ehdr *e)
{
	Elf64_Phdr ph;

	if (e->e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
	    e->e_phentsize != sizeof(ph))
		return true;
	for (unsigned i = 0; i < e->e_phnum && i < HEADERS_MOST; i++) {
		if (read_at(fd, &ph, sizeof(ph), e->e_phoff + i * sizeof(ph)) != (long)sizeof(ph))
			return false;
		if (ph.p_type == PT_INTERP)
			return false;
	}
	return true;
}

/* More rights than the caller's. */
static bool file_is_privileged(long fd)
{
	long uid = sys0(SYS_getuid), gid = sys0(SYS_getgid);
	struct stat st;

	if (fstat((int)fd, &st) != 0)
		return false;
	if (st.st_mode & S_ISUID && (long)st.st_uid != uid)
		return true;
	if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && (long)st.st_gid != gid)
		return true;
	/* Root has all capabilities anyway: the file's add none. */
	return uid != 0 && sys4(SYS_fgetxattr, fd, "security.capability", NULL, 0) > 0;
}

/* The interpreter of "#! path arg". */
static bool script_interpreter(char *line, size_t n, char *ret)
{
	char *at, *end = memchr(line, '\n', n);

	if (n < 3 || line[0] != '#' || line[1] != '!')
		return false;
	*(end ? end : line + n - 1) = '\0';
	at = line + 2 + strspn(line + 2, " \t");
	at[strcspn(at, " \t")] = '\0';
	if (!*at || strlen(at) >= PROGRAM_PATH_BYTES)
		return false;
	strcpy(ret, at);
	return true;
}

bool program_is_plain(int dirfd, const char *path)
{
	char next[PROGRAM_PATH_BYTES], link[64];
	union {
		Elf64_Ehdr elf;
		char text[256];
	} head;

	/* As it is now: a process with more rights than its user's passes that on. */
	if (sys0(SYS_getuid) != sys0(SYS_geteuid) || sys0(SYS_getgid) != sys0(SYS_getegid))
		return true;
	if (!*path) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
		path = link;
	}
	for (int i = 0; i < INTERPRETERS_MOST; i++) {
		long fd = sys4(SYS_openat, dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0), n;
		bool plain = false;

		if (exec_excluded(path))
			plain = true;
		if (fd < 0)
			return plain || fd == -EACCES; /* Executable, not readable: AT_SECURE's like. */
		memset(&head, 0, sizeof(head));
		n = read_at(fd, &head, sizeof(head), 0);
		if (n >= (long)sizeof(head.elf) && memcmp(head.elf.e_ident, ELFMAG, SELFMAG) == 0) {
			plain |= elf_is_plain(fd, &head.elf) || file_is_privileged(fd);
			n = 0;
		}
		sys1(SYS_close, fd);
		if (plain)
			return true;
		if (n <= 0 || !script_interpreter(head.text, (size_t)n, next))
			return false;
		path = next;
		dirfd = AT_FDCWD;
	}
	return false;
}

bool program_find(const char *file, char ret[PROGRAM_PATH_BYTES])
{
	const char *path = getenv("PATH"), *end;
	size_t len = strlen(file);

	if (strchr(file, '/')) {
		if (len >= PROGRAM_PATH_BYTES)
			return false;
		memcpy(ret, file, len + 1);
		return true;
	}
	if (!path)
		path = "/bin:/usr/bin";
	for (;; path = end + 1) {
		size_t n;
		struct stat st;

		end = strchrnul(path, ':');
		n = (size_t)(end - path);
		if (n + len + 2 <= PROGRAM_PATH_BYTES) {
			memcpy(ret, path, n);
			if (n > 0)
				ret[n++] = '/';
			memcpy(ret + n, file, len + 1);
			if (sys3(SYS_faccessat, AT_FDCWD, ret, 1 /* X_OK */) == 0 &&
			    stat(ret, &st) == 0 && S_ISREG(st.st_mode))
				return true;
		}
		if (!*end)
			return false;
	}
}

bool program_of_pid_is_plain(unsigned pid)
{
	static const char name[] = LIBRARY_NAME;
	char path[64], buf[4096 + sizeof(name)];
	size_t had = 0;
	bool found = false, any = false;
	long fd, n;

	snprintf(path, sizeof(path), "/proc/%u/maps", pid);
	fd = sys4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	while (!found && (n = sys3(SYS_read, fd, buf + had, 4096)) > 0) {
		any = true;
		had += (size_t)n;
		found = memmem(buf, had, name, sizeof(name) - 1) != NULL;
		/* It may stand across two reads. */
		n = had < sizeof(name) - 1 ? (long)had : (long)sizeof(name) - 1;
		memmove(buf, buf + had - n, (size_t)n);
		had = (size_t)n;
	}
	sys1(SYS_close, fd);
	return any && !found;
}
