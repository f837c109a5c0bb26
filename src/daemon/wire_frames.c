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
#define FRAME_BYTES 65600u

_Static_assert(ENGINE_PIECES <= TAP_PIECES, "a frame of the engine's fits");

unsigned wire_frames_in(struct wire *w)
{
	static uint8_t frame[FRAME_BYTES];
	size_t bytes = 0;
	unsigned count = 0;
	bool keeps_up = true;

	w->readable = false;
	/* Where a program does not, its window closes; until then a frame a turn is enough. */
	while (count < FRAMES_IN && bytes < BYTES_IN && keeps_up) {
		struct vnet v;
		ssize_t n = tap_read(w->tap, frame, sizeof(frame), &v);
		struct engine_offload o;
		uint64_t cookie;

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
		wire_capture(w, false, &(struct iovec){frame, (size_t)n}, 1, &o);
		keeps_up = !engine_input_lent(&w->e, w->now_ns, frame, (size_t)n, &o, &cookie) ||
			   cookie >> 32 != WIRE_KIND_CONN || wire_conn_deliver(w, (uint32_t)cookie);
		engine_lent_end(&w->e);
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
		struct iovec piece[ENGINE_PIECES];
		struct vnet v;

		if (!engine_output(&w->e, w->now_ns, &f))
			return round;
		for (uint32_t i = 0; i < f.pieces; i++)
			piece[i] =
				(struct iovec){(void *)(uintptr_t)f.piece[i].at, f.piece[i].bytes};
		v = (struct vnet){.sum_start = f.offload.sum_start,
				  .sum_offset = f.offload.sum_offset,
				  .cut_bytes = f.offload.cut_bytes};
		wire_capture(w, true, piece, f.pieces, &f.offload);
		if (f.interface == ENGINE_LOOPBACK) {
			go_round(w, piece, f.pieces);
			round = true;
			continue;
		}
		/* Lost, as on any link; what counts on it sends it again. */
		if (tap_write(w->tap, piece, f.pieces, &v) < 0)
			w->frames_lost++;
	}
	return true;
}
