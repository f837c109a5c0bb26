/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/wire_capture.h"
#include "daemon/wire_frames.h"
#include "dev/tap.h"

/* Of one turn; its programs have their bytes, and the network its answers, behind so many. */
#define FRAMES_IN 128u
#define BYTES_IN (256u << 10)
#define FRAMES_OUT 512u
#define FRAME_BYTES 65792u /* the largest, and what may be asked for behind its headers */
#define PLACED_LEAST 4096u /* octets of a frame behind which the next of the same is expected */

#define KEPT_PIECES 4u /* around the edge of one ring, and into the next */

_Static_assert(ENGINE_PIECES + KEPT_PIECES <= TAP_PIECES, "a frame of the engine's fits");

/**
 * struct target - Where a frame's octets go.
 * @index: Whose connection's they are likely to be.
 * @headers, @place: So many octets into @whole; then those of @place, in that connection's ring;
 *         then behind the gap that they leave in @whole. 0: all into @whole.
 */
struct target {
	uint8_t *whole;
	uint32_t index;
	size_t headers;
	struct iovec place[2];
};

static struct target target_of(struct wire *w, uint8_t *whole)
{
	struct target t = {.whole = whole};

	/* Who captures looks at the octets of a whole frame. */
	if (w->place_next && !w->capture) {
		t.index = w->place_next - 1;
		t.headers = wire_conn_place(w, t.index, t.place);
	}
	return t;
}

static ssize_t target_read(struct wire *w, const struct target *t, struct vnet *v)
{
	size_t behind = t->headers + t->place[0].iov_len + t->place[1].iov_len;
	const struct iovec room[] = {
		{t->whole, t->headers},
		t->place[0],
		t->place[1],
		{t->whole + behind, FRAME_BYTES - behind},
	};

	return t->headers ? tap_read(w->tap, room, ARRAY_LEN(room), v)
			  : tap_read(w->tap, room + 3, 1, v);
}

/* A frame of @n octets into the engine, and on to its program. Return: whether that keeps up. */
static bool frame_in(struct wire *w, const struct target *t, size_t n,
		     const struct engine_offload *o)
{
	size_t placed = t->headers && n > t->headers ? n - t->headers : 0;
	bool keeps_up = true;
	uint64_t cookie;

	if (placed > t->place[0].iov_len + t->place[1].iov_len)
		placed = t->place[0].iov_len + t->place[1].iov_len;
	if (placed && engine_input_placed(&w->e, w->now_ns, w->conns[t->index].sock, t->whole, n,
					  placed, o)) {
		w->frames_placed++;
		keeps_up = wire_conn_placed(w, t->index, placed, n > t->headers + placed);
		engine_lent_end(&w->e);
		return keeps_up;
	}
	/* It was another's, or more than data: a copy more. */
	for (size_t i = 0, done = 0; done < placed; i++) {
		size_t part = placed - done;

		if (part > t->place[i].iov_len)
			part = t->place[i].iov_len;
		memcpy(t->whole + t->headers + done, t->place[i].iov_base, part);
		done += part;
	}
	wire_capture(w, false, &(struct iovec){t->whole, n}, 1, o);
	w->place_next = 0;
	if (engine_input_lent(&w->e, w->now_ns, t->whole, n, o, &cookie) &&
	    cookie >> 32 == WIRE_KIND_CONN) {
		keeps_up = wire_conn_deliver(w, (uint32_t)cookie);
		if (o->sum_start && n >= PLACED_LEAST)
			w->place_next = (uint32_t)cookie + 1;
	}
	engine_lent_end(&w->e);
	return keeps_up;
}

unsigned wire_frames_in(struct wire *w)
{
	static uint8_t frame[FRAME_BYTES];
	size_t bytes = 0;
	unsigned count = 0;
	bool keeps_up = true;

	w->readable = false;
	/* Where a program does not, its window closes; until then a frame a turn is enough. */
	while (count < FRAMES_IN && bytes < BYTES_IN && keeps_up) {
		struct target t = target_of(w, frame);
		struct vnet v;
		ssize_t n = target_read(w, &t, &v);
		struct engine_offload o;

		if (n == -EAGAIN)
			return count;
		count++;
		if (n == -EPROTO) {
			w->frames_bad++;
			continue;
		}
		if (n < 0) {
			if (!w->down_said)
				log_line("the device cannot be read: %s", strerror((int)-n));
			w->down_said = true;
			daemon_unwatch(w->in.d, w->tap);
			return count;
		}
		bytes += (size_t)n;
		o = (struct engine_offload){.sum_start = v.sum_start,
					    .sum_offset = v.sum_offset,
					    .cut_bytes = v.cut_bytes,
					    .sum_ok = v.sum_ok};
		keeps_up = frame_in(w, &t, (size_t)n, &o);
	}
	w->readable = true;
	return count;
}

/* What the engine sends to itself. */
static void go_round(struct wire *w, const struct iovec *piece, unsigned count)
{
	static uint8_t frame[FRAME_BYTES];
	size_t n = 0;

	for (unsigned i = 0; i < count && n + piece[i].iov_len <= sizeof(frame); i++) {
		memcpy(frame + n, piece[i].iov_base, piece[i].iov_len);
		n += piece[i].iov_len;
	}
	engine_input_from(&w->e, w->now_ns, ENGINE_LOOPBACK, frame, n);
}

bool wire_frames_out(struct wire *w)
{
	struct engine_frame f;
	bool round = false;

	for (unsigned n = 0; n < FRAMES_OUT; n++) {
		struct iovec piece[ENGINE_PIECES + KEPT_PIECES];
		unsigned pieces;
		struct vnet v;

		if (!engine_output(&w->e, w->now_ns, &f))
			return round;
		for (uint32_t i = 0; i < f.pieces; i++)
			piece[i] =
				(struct iovec){(void *)(uintptr_t)f.piece[i].at, f.piece[i].bytes};
		pieces = f.pieces;
		if (f.kept) {
			pieces += wire_conn_kept(w, (uint32_t)f.kept_cookie, f.kept_at, f.kept,
						 piece + pieces, KEPT_PIECES);
			/* The program's half is broken: so its connection ends. */
			if (pieces == f.pieces) {
				w->frames_lost++;
				continue;
			}
			w->frames_kept++;
		}
		v = (struct vnet){.sum_start = f.offload.sum_start,
				  .sum_offset = f.offload.sum_offset,
				  .cut_bytes = f.offload.cut_bytes};
		wire_capture(w, true, piece, pieces, &f.offload);
		if (f.interface == ENGINE_LOOPBACK) {
			go_round(w, piece, pieces);
			round = true;
			continue;
		}
		/* Lost, as on any link; what counts on it sends it again. */
		if (tap_write(w->tap, piece, pieces, &v) < 0)
			w->frames_lost++;
	}
	return true;
}
