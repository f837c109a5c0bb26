/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stdio.c - Streams on descriptors of ours.
 *
 * libc's streams read, write and close by functions of its own, out of reach
 * of symbols. They find them in the tables _IO_file_jumps and
 * _IO_wfile_jumps, which libc exports; the three slots are replaced there. So
 * fdopen(), freopen(), fclose() and a standard stream whose number was dup2'ed
 * over all work. The slots are checked against the functions that libc also
 * exports: where they are not what they should be, fdopen() of ours makes a
 * cookie stream instead.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <wchar.h>

#include "base/sys.h"
#include "preload/real.h"

/* Indices in glibc's struct _IO_jump_t. */
#define SLOT_READ 14
#define SLOT_WRITE 15
#define SLOT_CLOSE 17
#define SLOTS 21

static ssize_t (*libc_read)(FILE *, void *, ssize_t);
static ssize_t (*libc_write)(FILE *, const void *, ssize_t);
static int (*libc_close)(FILE *);
static bool patched;

/* As libc's: at the first error, or where nothing is taken. */
static ssize_t stream_read(FILE *f, void *buf, ssize_t n)
{
	int fd = fileno_unlocked(f);

	return fd_is_ours(fd) ? result(call_recv(fd, buf, (size_t)n, 0)) : libc_read(f, buf, n);
}

/* Less than @n is an error to the caller. */
static ssize_t stream_write(FILE *f, const void *buf, ssize_t n)
{
	int fd = fileno_unlocked(f);
	ssize_t done = 0;

	if (!fd_is_ours(fd))
		return libc_write(f, buf, n);
	while (done < n) {
		long r = result(call_send(fd, (const char *)buf + done, (size_t)(n - done), 0));

		if (r < 0) {
			f->_flags |= 0x20; /* _IO_ERR_SEEN, as libc's own does */
			break;
		}
		done += r;
	}
	return done;
}

static int stream_close(FILE *f)
{
	int fd = fileno_unlocked(f);
	long r = fd_is_ours(fd) ? call_close(fd) : NOT_OURS;

	return r == NOT_OURS ? libc_close(f) : (int)result(r);
}

static bool patch(const char *table)
{
	void **slot = dlsym(RTLD_NEXT, table);
	uintptr_t first, last;
	size_t bytes;

	if (!slot || slot[SLOT_READ] != (void *)libc_read ||
	    slot[SLOT_WRITE] != (void *)libc_write || slot[SLOT_CLOSE] != (void *)libc_close)
		return false;
	first = (uintptr_t)slot & ~(uintptr_t)(PAGE_BYTES - 1);
	last = ((uintptr_t)(slot + SLOTS) + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1);
	bytes = last - first;
	if (sys3(SYS_mprotect, first, bytes, PROT_READ | PROT_WRITE) < 0)
		return false;
	slot[SLOT_READ] = (void *)stream_read;
	slot[SLOT_WRITE] = (void *)stream_write;
	slot[SLOT_CLOSE] = (void *)stream_close;
	sys3(SYS_mprotect, first, bytes, PROT_READ);
	return true;
}

void stdio_start(void)
{
	libc_read = (ssize_t(*)(FILE *, void *, ssize_t))dlsym(RTLD_NEXT, "_IO_file_read");
	libc_write = (ssize_t(*)(FILE *, const void *, ssize_t))dlsym(RTLD_NEXT, "_IO_file_write");
	libc_close = (int (*)(FILE *))dlsym(RTLD_NEXT, "_IO_file_close");
	patched = libc_read && libc_write && libc_close && patch("_IO_file_jumps") &&
		  patch("_IO_wfile_jumps");
}

/* ---------------------------------------------------------- cookie streams */

static ssize_t cookie_read(void *cookie, char *buf, size_t n)
{
	return read((int)(intptr_t)cookie, buf, n);
}

static ssize_t cookie_write(void *cookie, const char *buf, size_t n)
{
	ssize_t r = write((int)(intptr_t)cookie, buf, n);

	return r < 0 ? 0 : r; /* fopencookie's own way */
}

static int cookie_close(void *cookie)
{
	return close((int)(intptr_t)cookie);
}

EXPORT FILE *fdopen(int fd, const char *mode)
{
	static const cookie_io_functions_t io = { cookie_read, cookie_write, NULL, cookie_close };
	FILE *f;

	if (likely(!fd_is_ours(fd)))
		return real.fdopen(fd, mode);
	if (patched) {
		f = real.fdopen(fd, mode);
	} else {
		f = fopencookie((void *)(intptr_t)fd, mode, io);
		if (f)
			f->_fileno = fd;
	}
	/* libc sets that flag by an fcntl() of its own. */
	if (f && mode[0] == 'a')
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_APPEND);
	return f;
}
ALIAS(_IO_fdopen, fdopen);

/* -------------------------------------------------------------------- made */

FILE *made_file(FILE *f)
{
	if (!f)
		return NULL;
	if (process.pid && (uint64_t)fileno(f) >= load_relaxed(&process.nofile_soft)) {
		fclose(f);
		errno = EMFILE;
		return NULL;
	}
	fd_made(fileno(f));
	return f;
}

EXPORT FILE *fopen(const char *path, const char *mode)
{
	return made_file(real.fopen(path, mode));
}
ALIAS(fopen64, fopen);
ALIAS(_IO_fopen, fopen);

/* libc puts the new file under the old number by a dup3 of its own. */
EXPORT FILE *freopen(const char *path, const char *mode, FILE *f)
{
	int fd = fileno(f);
	bool ours = fd_is_ours(fd);
	FILE *again = real.freopen(path, mode, f);

	if (ours && fd_is_ours(fd)) {
		int saved = errno;

		fd_made(fd);
		errno = saved;
	}
	return made_file(again);
}
ALIAS(freopen64, freopen);

EXPORT FILE *tmpfile(void)
{
	return made_file(real.tmpfile());
}
ALIAS(tmpfile64, tmpfile);

/* ------------------------------------------------------------------ errors */

/*
 * Where nothing decided yet whether standard error is wide, libc's perror()
 * writes to a duplicate of it, made by a dup() of its own.
 */
EXPORT void perror(const char *text)
{
	int saved = errno, fd = fileno(stderr);
	char buf[256];

	if (!fd_is_ours(fd) || fwide(stderr, 0) != 0) {
		real.perror(text);
		return;
	}
	if (dprintf(fd, "%s%s%s\n", text ? text : "", text && *text ? ": " : "",
		    strerror_r(saved, buf, sizeof(buf))) < 0)
		stderr->_flags |= 0x20; /* _IO_ERR_SEEN */
	errno = saved;
}
