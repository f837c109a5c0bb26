/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "posix/pool.h"

#define CHUNK_BYTES (64u << 10)

void *pool_get(struct pool *p)
{
	void *o = p->free;

	if (o) {
		memcpy(&p->free, o, sizeof(p->free));
		memset(o, 0, p->size);
		return o;
	}
	if (p->left < p->size) {
		long at = sys6(SYS_mmap, 0, CHUNK_BYTES, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (at < 0 && at > -4096)
			return NULL;
		p->next = (char *)at;
		p->left = CHUNK_BYTES;
	}
	o = p->next;
	p->next += p->size;
	p->left -= p->size;
	return o;
}

void pool_put(struct pool *p, void *o)
{
	memcpy(o, &p->free, sizeof(p->free));
	p->free = o;
}
