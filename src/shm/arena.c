/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "base/sys.h"
#include "shm/arena.h"

#define ARENA_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

void (*arena_reserved_changes)(void);
static _Atomic uint64_t reserved_bytes; /* a forked child inherits both */

uint64_t arena_reserved_bytes(void)
{
	return load_relaxed(&reserved_bytes);
}

static void reserve(uint64_t bytes)
{
	atomic_fetch_add_explicit(&reserved_bytes, bytes, memory_order_relaxed);
	if (arena_reserved_changes)
		arena_reserved_changes();
}

/* Beyond RLIMIT_FSIZE there is no errno but SIGXFSZ. The soft limit is meant
 * for files. */
static long size_set(long fd, uint64_t bytes)
{
	struct rlimit64 was, wide;
	long r = sys4(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &was);

	if (r < 0 || was.rlim_cur >= bytes)
		return sys2(SYS_ftruncate, fd, bytes);
	wide = (struct rlimit64){ was.rlim_max, was.rlim_max };
	if (was.rlim_max < bytes)
		return -EFBIG;
	r = sys4(SYS_prlimit64, 0, RLIMIT_FSIZE, &wide, NULL);
	if (r < 0)
		return r;
	r = sys2(SYS_ftruncate, fd, bytes);
	sys4(SYS_prlimit64, 0, RLIMIT_FSIZE, &was, NULL);
	return r;
}

int arena_fd_create(const char *name, uint64_t bytes)
{
	long fd = sys2(SYS_memfd_create, name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	long r;

	if (FAULT_FAIL("memfd") && fd >= 0) {
		sys1(SYS_close, fd);
		fd = -EMFILE;
	}
	if (fd < 0)
		return (int)fd;
	/* A memfd is born with mode 0777: a read-only descriptor could be
	 * opened again for writing, by anyone who gets hold of it. */
	r = sys2(SYS_fchmod, fd, 0600);
	if (r == 0)
		r = size_set(fd, bytes);
	if (r == 0)
		r = sys3(SYS_fcntl, fd, F_ADD_SEALS, ARENA_SEALS);
	if (r < 0) {
		sys1(SYS_close, fd);
		return (int)r;
	}
	return (int)fd;
}

int arena_fd_check(int fd, uint64_t bytes)
{
	struct stat st;
	long seals = sys2(SYS_fcntl, fd, F_GET_SEALS);

	if (seals < 0 || (seals & ARENA_SEALS) != ARENA_SEALS)
		return -EPROTO;
	if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPROTO;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return -EPROTO;
	if ((uint64_t)st.st_size != bytes || (st.st_mode & 0777) != 0600)
		return -EPROTO;
	return 0;
}

int arena_fd_readonly(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return (int)sys4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
}

void *arena_map(int fd, uint64_t bytes, bool writable)
{
	int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	long r;

	reserve(bytes);
	r = sys6(SYS_mmap, NULL, bytes, prot, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (r < 0 && r > -4096) {
		reserve(-bytes);
		errno = (int)-r;
		return NULL;
	}
	sys3(SYS_madvise, r, bytes, MADV_DONTDUMP);
	return (void *)r;
}

void arena_unmap(void *base, uint64_t bytes)
{
	sys2(SYS_munmap, base, bytes);
	reserve(-bytes);
}
