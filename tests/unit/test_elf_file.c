// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/elf_file.h"
#include "elf_image.h"

/** file_of() - A file that has @n bytes. */
static int file_of(const void *bytes, size_t n)
{
	int fd = memfd_create("test_elf_file", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	return fd;
}

static int read_bytes(const void *bytes, size_t n, struct elf_file *ret)
{
	int fd = file_of(bytes, n), r = elf_file_read(fd, ret);

	close(fd);
	return r;
}

static struct elf_file good(struct elf_image m)
{
	struct elf_file f;

	elf_image_make(&m);
	assert_int_equal(read_bytes(&m.file, sizeof(m.file), &f), 0);
	return f;
}

static void elf_file_read__facts(void **state)
{
	struct elf_file f = good((struct elf_image){ .interpreter = IMAGE_LOADER });

	(void)state;
	assert_int_equal(f.bits, 64);
	assert_int_equal(f.machine, IMAGE_MACHINE);
	assert_true(f.native && f.program && !f.musl && !f.go && !f.liburing && !f.hooks);
	assert_string_equal(f.interpreter, IMAGE_LOADER);
	f = good((struct elf_image){ .interpreter = NULL });
	assert_string_equal(f.interpreter, "");
	f = good((struct elf_image){ .interpreter = "/lib/ld-musl-x86_64.so.1" });
	assert_true(f.musl);
	f = good((struct elf_image){ .go = 1 });
	assert_true(f.go);
	f = good((struct elf_image){ .interpreter = IMAGE_LOADER, .needed = "liburing.so.2" });
	assert_true(f.liburing);
	f = good((struct elf_image){ .interpreter = IMAGE_LOADER, .needed = "libc.so.6" });
	assert_false(f.liburing);
}

static void elf_file_read__other_machines(void **state)
{
	struct elf_image m = { .interpreter = IMAGE_LOADER };
	struct elf_file f;

	(void)state;
	elf_image_make(&m);
	m.file.e.e_machine = EM_RISCV;
	assert_int_equal(read_bytes(&m.file, sizeof(m.file), &f), 0);
	assert_false(f.native);
	/* A 32 bit file, of the other byte order. */
	static const unsigned char other[52] = {
		0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2MSB, 1, [17] = ET_EXEC, [19] = EM_PPC,
		[23] = 1, [41] = 52, [43] = 32 };

	assert_int_equal(read_bytes(other, sizeof(other), &f), 0);
	assert_int_equal(f.bits, 32);
	assert_int_equal(f.machine, EM_PPC);
	assert_false(f.native);
}

static void elf_file_read__programs_that_are_here(void **state)
{
	static const char *const libraries[] = { "/lib/x86_64-linux-gnu/libc.so.6",
						 "/lib/aarch64-linux-gnu/libc.so.6" };
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct elf_file f;

	(void)state;
	assert_int_equal(elf_file_read(fd, &f), 0);
	close(fd);
	assert_true(f.native && f.program && !f.hooks && *f.interpreter);
	for (size_t i = 0; i < ARRAY_LEN(libraries); i++) {
		fd = open(libraries[i], O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		assert_int_equal(elf_file_read(fd, &f), 0);
		assert_true(f.hooks); /* It defines socket() and all. */
		close(fd);
	}
}

static void elf_file_read__no_elf(void **state)
{
	struct elf_file f = { .bits = 7 };
	int fd = open("/", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(read_bytes("#!/bin/sh\n", 10, &f), -ENOEXEC);
	assert_int_equal(read_bytes("", 0, &f), -ENOEXEC);
	assert_int_equal(read_bytes("\177EL", 3, &f), -ENOEXEC);
	assert_true(elf_file_read(fd, &f) < 0);
	close(fd);
	assert_true(elf_file_read(-1, &f) < 0);
	assert_int_equal(f.bits, 7);
}

static void elf_file_read__tables_elsewhere(void **state)
{
	struct elf_image m;
	struct elf_file f;

	(void)state;
#define BROKEN(change)                                                                      \
	do {                                                                                \
		m = (struct elf_image){ .interpreter = IMAGE_LOADER, .needed = "liburing.so.2" }; \
		elf_image_make(&m);                                                         \
		change;                                                                     \
		assert_int_equal(read_bytes(&m.file, sizeof(m.file), &f), -EBADMSG);        \
	} while (0)
	BROKEN(m.file.p[1].p_offset = UINT64_MAX);
	BROKEN(m.file.p[1].p_filesz = UINT64_MAX);
	BROKEN(m.file.p[1].p_offset = sizeof(m.file));
	BROKEN(memset(m.file.interpreter, 0, sizeof(m.file.interpreter)));
	BROKEN(m.file.p[2].p_offset = sizeof(m.file) - 8);
	BROKEN(m.file.dynamic[0].d_un.d_val = 1 << 20);
	BROKEN(m.file.dynamic[0].d_un.d_val = UINT64_MAX);
	BROKEN(m.file.dynamic[1].d_un.d_ptr = 1 << 20);
	BROKEN(memset(m.file.strings, 'a', sizeof(m.file.strings)));
	BROKEN(m.file.dynamic[1].d_tag = 99);
	/* Only what is in memory has no end: the interpreter's name runs on to it. */
	BROKEN(m.file.p[1].p_offset = sizeof(m.file) - 3; m.file.p[1].p_filesz = 3;
	       memset(m.file.strings, 'a', sizeof(m.file.strings)));
#undef BROKEN
}

/* Cut off anywhere: an answer. */
static void elf_file_read__truncated(void **state)
{
	struct elf_image m = { .interpreter = IMAGE_LOADER, .needed = "liburing.so.2", .go = 1 };
	char *self;
	struct stat st;
	struct elf_file f;
	int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);

	(void)state;
	elf_image_make(&m);
	for (size_t n = 0; n < sizeof(m.file); n++) {
		int r = read_bytes(&m.file, n, &f);

		assert_true(r == 0 || r == -EBADMSG || r == -ENOEXEC);
		/* With less than its headers and its tables it is not whole. */
		if (n < offsetof(struct elf_image, file.strings) - offsetof(struct elf_image, file))
			assert_true(r < 0);
	}
	assert_int_equal(fstat(fd, &st), 0);
	self = malloc((size_t)st.st_size);
	assert_non_null(self);
	assert_int_equal(read(fd, self, (size_t)st.st_size), st.st_size);
	close(fd);
	for (size_t n = 0; n < (size_t)st.st_size; n += n < 1200 ? 7 : 499)
		read_bytes(self, n, &f);
	free(self);
}

/* Noise in the headers and the tables of a real program. */
static void elf_file_read__noise(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	struct elf_file f;
	static char bytes[1 << 16], copy[sizeof(bytes)];
	int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, bytes, sizeof(bytes));

	(void)state;
	close(fd);
	assert_true(n > 4096);
	print_message("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < 3000; i++) {
		memcpy(copy, bytes, (size_t)n);
		for (int k = rand() % 8; k >= 0; k--) {
			/* The header, the program headers, then anywhere; sections are at the end. */
			size_t at = (size_t)rand() % (k % 3 == 0 ? 64 : k % 3 == 1 ? 800 : (size_t)n);

			copy[at] = (char)(rand() % 4 ? rand() : 0xff);
		}
		if (!read_bytes(copy, (size_t)n, &f))
			assert_true(memchr(f.interpreter, 0, sizeof(f.interpreter)) != NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elf_file_read__facts),
		cmocka_unit_test(elf_file_read__other_machines),
		cmocka_unit_test(elf_file_read__programs_that_are_here),
		cmocka_unit_test(elf_file_read__no_elf),
		cmocka_unit_test(elf_file_read__tables_elsewhere),
		cmocka_unit_test(elf_file_read__truncated),
		cmocka_unit_test(elf_file_read__noise),
	};

	return cmocka_run_group_tests_name("elf_file", tests, NULL, NULL);
}
