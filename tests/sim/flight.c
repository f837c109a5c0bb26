// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>
#include <string.h>

#include "flight.h"

struct flight_frame *flight_new(unsigned from, const uint8_t *octets, size_t bytes)
{
	struct flight_frame *f = malloc(sizeof(*f) + bytes);

	if (!f)
		return NULL;
	*f = (struct flight_frame){.from = from, .bytes = bytes};
	memcpy(f->octets, octets, bytes);
	return f;
}

static bool before(const struct flight_frame *a, const struct flight_frame *b)
{
	return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

bool flight_add(struct flight *fl, struct flight_frame *f)
{
	size_t i = fl->n;

	if (fl->n == fl->cap) {
		size_t cap = fl->cap ? 2 * fl->cap : 256;
		void *heap = realloc(fl->heap, cap * sizeof(struct flight_frame *));

		if (!heap)
			return false;
		fl->heap = heap;
		fl->cap = cap;
	}
	fl->n++;
	f->order = fl->order++;
	for (; i && before(f, fl->heap[(i - 1) / 2]); i = (i - 1) / 2)
		fl->heap[i] = fl->heap[(i - 1) / 2];
	fl->heap[i] = f;
	return true;
}

struct flight_frame *flight_pop(struct flight *fl)
{
	struct flight_frame *top = fl->heap[0];
	struct flight_frame *last = fl->heap[--fl->n];
	size_t i = 0;

	for (;;) {
		size_t kid = 2 * i + 1;

		if (kid >= fl->n)
			break;
		if (kid + 1 < fl->n && before(fl->heap[kid + 1], fl->heap[kid]))
			kid++;
		if (!before(fl->heap[kid], last))
			break;
		fl->heap[i] = fl->heap[kid];
		i = kid;
	}
	if (fl->n)
		fl->heap[i] = last;
	return top;
}

void flight_end(struct flight *fl)
{
	for (size_t i = 0; i < fl->n; i++)
		free(fl->heap[i]);
	free(fl->heap);
	*fl = (struct flight){0};
}
