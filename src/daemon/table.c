/* SPDX-License-Identifier: BSD-2-Clause */
#include <sys/mman.h>

#include "daemon/table.h"

struct table *table_create(void)
{
	void *t = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return t == MAP_FAILED ? NULL : t;
}
