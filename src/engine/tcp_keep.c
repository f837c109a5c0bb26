// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_keep.c - Octets that are sent from where their writer has them.
 *
 * What was written lies in the ring, up to snd_kept, and from there on with the
 * writer (engine_send_kept()), who is told as ACKs come what he need not keep any
 * longer. A frame names the octets that it has of those; who sends it knows where
 * they are. So they are not copied, unless the writer wants their place back before
 * the network has acknowledged them: engine_keep() moves the first of them into the
 * ring.
 *
 *   snd_base           snd_kept            snd_tail
 *      |---- the ring ----|---- the writer ----|
 *
 * Nobody sums them here, so only a device may that does.
 */
#include <errno.h>

#include "engine/sock.h"
#include "engine/tcp_parts.h"

bool keep_may(const struct engine *e, const struct tcp *t)
{
	return e->s->config.offload & ENGINE_OFFLOAD_SUM &&
	       ip_interface(t->next_hop) == ENGINE_DEVICE;
}

void keep_acked(struct engine *e, struct tcp *t)
{
	/* A FIN, and the SYN, have positions beside those of octets. */
	uint64_t base = min_u64(t->snd_base, t->snd_tail);

	if (t->snd_kept >= base)
		return;
	t->snd_kept = base;
	tcp_tell(e, t, ENGINE_FREED);
}

uint32_t keep_frame(const struct engine *e, const struct tcp *t, uint64_t position, uint32_t bytes,
		    struct engine_frame *f)
{
	uint32_t ring = (uint32_t)min_u64(bytes, t->snd_kept - min_u64(t->snd_kept, position));

	f->kept = bytes - ring;
	f->kept_at = (uint32_t)(max_u64(position, t->snd_kept) - t->snd_kept);
	f->kept_cookie = t->sock == NIL ? 0 : e->sock[t->sock].cookie;
	return ring;
}

static struct tcp *stream(struct engine *e, struct engine_sock ref)
{
	const struct sock *s = sock_of(e, ref);

	return s && s->kind == SOCK_TCP && s->tcp != NIL ? &e->tcp[s->tcp] : NULL;
}

int64_t engine_send_kept(struct engine *e, uint64_t now_ns, struct engine_sock ref, size_t bytes)
{
	struct sock *s = sock_of(e, ref);

	e->s->now_ns = max_u64(e->s->now_ns, now_ns);
	if (!s)
		return -EBADF;
	return s->kind == SOCK_TCP ? tcp_send(e, s, NULL, bytes, TCP_SEND_KEPT) : -EOPNOTSUPP;
}

uint64_t engine_kept(struct engine *e, struct engine_sock ref)
{
	const struct tcp *t = stream(e, ref);

	return t ? t->snd_tail - t->snd_kept : 0;
}

int64_t engine_keep(struct engine *e, struct engine_sock ref, const void *octets, size_t bytes)
{
	struct tcp *t = stream(e, ref);

	if (!t)
		return -EBADF;
	if (bytes > t->snd_tail - t->snd_kept)
		return -EINVAL;
	bytes = tcp_ring_room(e, t, (uint32_t)bytes);
	if (!bytes)
		return -ENOBUFS;
	ring_put(e, &t->snd, t->snd_kept, octets, bytes);
	t->snd_kept += bytes;
	return (int64_t)bytes;
}
