// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "posix/probe.h"

#define PAGES 8u

/* Pages, of which the last cannot be touched as @prot does not say. */
static char *pages_make(int prot)
{
	char *p = mmap(NULL, (size_t)PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	memset(p, 0x5a, (size_t)PAGES * PAGE_BYTES);
	assert_int_equal(mprotect(p + (PAGES - 1) * (size_t)PAGE_BYTES, PAGE_BYTES, prot), 0);
	return p;
}

static void pages_end(char *p)
{
	munmap(p, (size_t)PAGES * PAGE_BYTES);
	/* Not remembered by the next test. */
	memset(probe_ranges, 0, sizeof(probe_ranges));
}

static void probe__as_far_as_it_goes(void **state)
{
	char *p = pages_make(PROT_NONE), *end = p + (PAGES - 1) * (size_t)PAGE_BYTES;

	(void)state;
	for (size_t before = 1; before < 3 * PAGE_BYTES; before += 13) {
		memset(probe_ranges, 0, sizeof(probe_ranges));
		assert_int_equal(probe_readable(end - before, before + 100), before);
		/* Fewer than a set's bytes are not tried. */
		assert_int_equal(probe_writable(end - before, before), before);
		if (before >= 8)
			assert_int_equal(probe_writable(end - before, before + 100), before);
	}
	assert_int_equal(probe_readable(end, 1), 0);
	assert_int_equal(probe_writable(end + 5, 100), 0);
	for (char *at = p; at < end; at++)
		assert_int_equal(*at, 0x5a);
	pages_end(p);
}

static void probe__read_only(void **state)
{
	char *p = pages_make(PROT_READ), *end = p + (PAGES - 1) * (size_t)PAGE_BYTES;

	(void)state;
	assert_int_equal(probe_readable(end - 50, 100), 100);
	/* Being readable is remembered, and no leave to write. */
	assert_int_equal(probe_writable(end, 100), 0);
	assert_int_equal(probe_writable(end - 50, 100), 50);
	for (char *at = p; at < end + PAGE_BYTES; at++)
		assert_int_equal(*at, 0x5a);
	pages_end(p);
}

static void probe__no_memory_at_all(void **state)
{
	(void)state;
	assert_int_equal(probe_readable(NULL, 8), 0);
	assert_int_equal(probe_writable(NULL, 8), 0);
	assert_int_equal(probe_readable(NULL, 0), 0);
	assert_int_equal(probe_readable((void *)16, 100), 0);
	assert_int_equal(probe_writable((void *)(UINTPTR_MAX - 4), 100), 0);
	assert_int_equal(probe_readable((void *)(UINTPTR_MAX / 2 + 1), 100), 0);
}

static void probe__remembers(void **state)
{
	char *p = pages_make(PROT_READ | PROT_WRITE);

	(void)state;
	assert_int_equal(probe_writable(p, (size_t)PAGES * PAGE_BYTES), PAGES * PAGE_BYTES);
	/* Without asking again: nobody could. */
	assert_int_equal(mprotect(p, PAGE_BYTES, PROT_NONE), 0);
	assert_int_equal(probe_readable(p + 10, 100), 100);
	assert_int_equal(probe_writable(p + PAGE_BYTES, PAGE_BYTES), PAGE_BYTES);
	pages_end(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probe__as_far_as_it_goes),
		cmocka_unit_test(probe__read_only),
		cmocka_unit_test(probe__no_memory_at_all),
		cmocka_unit_test(probe__remembers),
	};

	return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
