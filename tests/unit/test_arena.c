/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "world.h"

#define BYTES (1u << 20)

static void arena_fd_create__sealed_and_private(void **state)
{
	int fd = arena_fd_create("t", BYTES);
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, BYTES);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(ftruncate(fd, BYTES - 4096), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, BYTES + 4096), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(arena_fd_check(fd, BYTES), 0);
	close(fd);
}

static void arena_fd_check__refuses(void **state)
{
	int p[2], fd;

	(void)state;
	assert_int_equal(arena_fd_check(-1, BYTES), -EPROTO);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(arena_fd_check(p[0], BYTES), -EPROTO);
	close(p[0]);
	close(p[1]);
	fd = open("/dev/zero", O_RDWR);
	assert_int_equal(arena_fd_check(fd, BYTES), -EPROTO);
	close(fd);
	/* Not sealed; of another size; of another mode; sealed against writing. */
	fd = memfd_create("t", MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	fchmod(fd, 0600);
	assert_int_equal(arena_fd_check(fd, BYTES), -EPROTO);
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_WRITE);
	assert_int_equal(arena_fd_check(fd, BYTES), -EPROTO);
	close(fd);
	fd = arena_fd_create("t", BYTES);
	assert_int_equal(arena_fd_check(fd, BYTES * 2), -EPROTO);
	fchmod(fd, 0644);
	assert_int_equal(arena_fd_check(fd, BYTES), -EPROTO);
	close(fd);
}

static void arena_fd_readonly__cannot_be_written(void **state)
{
	int fd = arena_fd_create("t", BYTES), ro = arena_fd_readonly(fd);
	unsigned char *rw, *r;

	(void)state;
	assert_true(ro >= 0);
	assert_int_equal(fcntl(ro, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_null(arena_map(ro, BYTES, true));
	assert_int_equal(errno, EACCES);
	rw = arena_map(fd, BYTES, true);
	r = arena_map(ro, BYTES, false);
	assert_non_null(rw);
	assert_non_null(r);
	rw[5000] = 7;
	assert_int_equal(r[5000], 7);
	assert_int_equal(mprotect(r, BYTES, PROT_READ | PROT_WRITE), -1);
	arena_unmap(rw, BYTES);
	arena_unmap(r, BYTES);
	close(fd);
	close(ro);
}

static void arena_fd_readonly__bad_descriptor(void **state)
{
	(void)state;
	assert_true(arena_fd_readonly(-1) < 0);
	assert_null(arena_map(-1, BYTES, false));
}

static void arena_half__slots(void **state)
{
	void *base = (void *)0x100000000;

	(void)state;
	for (unsigned i = 0; i < SLOT_MAX; i += 777)
		assert_int_equal(arena_slot(base, arena_half(base, i)), i);
	assert_int_equal((uintptr_t)arena_half(base, SLOT_MAX) - (uintptr_t)base, ARENA_OFF_RINGS);
	assert_true(ARENA_OFF_HANDLES + HANDLE_MAX * 8 <= ARENA_OFF_SEATS);
	assert_true(ARENA_OFF_SEATS + SEAT_MAX * 8 <= ARENA_OFF_KSOCK);
	assert_true(ARENA_OFF_KSOCK + KSOCK_MAX * sizeof(struct ksock) <= ARENA_OFF_HALVES);
	assert_true(sizeof(struct arena_hdr) <= ARENA_OFF_HANDLES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arena_fd_create__sealed_and_private),
		cmocka_unit_test(arena_fd_check__refuses),
		cmocka_unit_test(arena_fd_readonly__cannot_be_written),
		cmocka_unit_test(arena_fd_readonly__bad_descriptor),
		cmocka_unit_test(arena_half__slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
