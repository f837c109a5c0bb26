/* SPDX-License-Identifier: BSD-2-Clause */
#include <dlfcn.h>

#include "preload/real.h"

/* Where libc lacks the function, nobody can have linked against it. */
static long missing(void)
{
	errno = ENOSYS;
	return -1;
}

static void *find(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);

	return f ? f : (void *)missing;
}

#define REAL(type, name, params, args)                    \
	static type name##_stub params                    \
	{                                                 \
		real.name = (type (*) params)find(#name); \
		return real.name args;                    \
	}
#include "preload/real_list.h"
#undef REAL

struct real real = {
#define REAL(type, name, params, args) .name = name##_stub,
#include "preload/real_list.h"
#undef REAL
};

void real_start(void)
{
#define REAL(type, name, params, args) real.name = (type (*) params)find(#name);
#include "preload/real_list.h"
#undef REAL
}
