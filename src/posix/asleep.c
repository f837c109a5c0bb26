/* SPDX-License-Identifier: BSD-2-Clause */
#include "posix/asleep.h"

__thread struct asleep_calls asleep_calls
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

unsigned asleep_begin(const struct asleep *a)
{
	unsigned i = asleep_calls.count;

	if (i < ASLEEP_MOST) {
		asleep_calls.call[i] = *a;
		asleep_calls.count = i + 1;
	}
	return i;
}

static void give_up_last(void)
{
	struct asleep a = asleep_calls.call[--asleep_calls.count];

	a.give_up(&a);
}

void asleep_end(unsigned index)
{
	if (index >= ASLEEP_MOST)
		return;
	/* Calls of handlers that were left for one further out. */
	while (asleep_calls.count > index + 1)
		give_up_last();
	asleep_calls.count = index;
}

void asleep_give_up(void)
{
	while (asleep_calls.count)
		give_up_last();
}

/* Has the handler that interrupted it been left? */
static bool is_gone(const struct asleep *a, uintptr_t here)
{
	if (!a->handler)
		return false;
	if (a->alt_end)
		return here < a->alt_start || here >= a->alt_end;
	/* The handlers' frames are beyond those that they interrupt; on
	 * another stack than that one, it is a handler inside it. */
	return here > a->handler && here - a->handler < 1ull << 32;
}

void asleep_reap_slow(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	while (asleep_calls.count && is_gone(&asleep_calls.call[asleep_calls.count - 1], here))
		give_up_last();
}

struct asleep *asleep_interrupted(uintptr_t frame, uintptr_t alt, size_t alt_bytes)
{
	struct asleep *a;

	if (asleep_calls.count == 0)
		return NULL;
	a = &asleep_calls.call[asleep_calls.count - 1];
	if (a->handler)
		return NULL; /* a handler in a handler */
	a->handler = frame;
	a->alt_start = a->alt_end = 0;
	if (frame - alt < alt_bytes) {
		a->alt_start = alt;
		a->alt_end = alt + alt_bytes;
	}
	return a;
}

void asleep_fork_child(void)
{
	for (unsigned i = 0; i < asleep_calls.count; i++) {
		struct fobj *o = asleep_calls.call[i].obj;

		if (o && o->kind == FOBJ_SOCK)
			atomic_fetch_add(&o->refs, 1);
	}
}
