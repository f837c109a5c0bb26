/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/log.h"
#include "daemon/wire_capture.h"
#include "dev/pcapng.h"
#include "base/emit.h"
#include "wire/checksum.h"
#include "wire/eth.h"
#include "wire/ipv4.h"

#define FRAME_MOST 65600u

void wire_capture_open(struct wire *w, int fd)
{
	int own = fd < 0 ? -1 : dup(fd);

	w->capture = own < 0 ? NULL : fdopen(own, "ab");
	if (w->capture)
		pcapng_section(w->capture, 1);
	else if (fd >= 0)
		log_line("nothing is captured: %s", strerror(errno));
}

/* The connection that the frame is of, if it is of one. */
static const struct wire_conn *owner(struct wire *w, bool out, const uint8_t *frame, size_t bytes)
{
	struct cursor c = cursor_of(frame, bytes);
	uint16_t sport, dport;
	struct eth eth;
	struct ipv4 ip;
	uint64_t cookie;
	bool found;

	if (eth_parse(&c, &eth) != WIRE_OK || eth.type != ETH_TYPE_IPV4 ||
	    ipv4_parse(&c, &ip) != WIRE_OK || ip.proto != IPV4_PROTO_TCP || ip.offset_bytes)
		return NULL;
	sport = cursor_be16(&c);
	dport = cursor_be16(&c);
	found = out ? engine_cookie(&w->e, ip.src, sport, ip.dst, dport, &cookie)
		    : engine_cookie(&w->e, ip.dst, dport, ip.src, sport, &cookie);
	if (!found || cookie >> 32 != WIRE_KIND_CONN || (uint32_t)cookie >= WIRE_CONNS)
		return NULL;
	return &w->conns[(uint32_t)cookie];
}

/* "pid 4711 curl". Return: false where nobody is known. */
static bool comment(const struct wire *w, const struct wire_conn *c, char *ret, size_t size)
{
	const struct rec *r;

	if (!c || (c->state != WIRE_OPEN && c->state != WIRE_CONNECTING))
		return false;
	r = daemon_rec(w->in.d, half_ref_party(c->conn.peer_ref));
	snprintf(ret, size, "pid %u %.16s", r->pid, r->comm);
	return true;
}

/* As it goes, or went, on a link where somebody has to do it. */
static void complete(uint8_t *frame, size_t bytes, const struct engine_offload *o)
{
	size_t field = (size_t)o->sum_start + o->sum_offset;

	if (o->sum_start && field + 2 <= bytes)
		put_be16(frame + field, checksum_fold(checksum_add(0, frame + o->sum_start,
								   bytes - o->sum_start)));
}

void wire_capture(struct wire *w, bool out, const struct iovec *piece, unsigned count,
		  const struct engine_offload *o)
{
	static uint8_t whole[FRAME_MOST];
	struct timespec t;
	char who[64];
	size_t n = 0;
	bool known;

	if (likely(!w->capture))
		return;
	for (unsigned i = 0; i < count && n + piece[i].iov_len <= sizeof(whole); i++) {
		memcpy(whole + n, piece[i].iov_base, piece[i].iov_len);
		n += piece[i].iov_len;
	}
	complete(whole, n, o);
	clock_gettime(CLOCK_REALTIME, &t);
	known = comment(w, owner(w, out, whole, n), who, sizeof(who));
	pcapng_frame(w->capture, 0, (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec, whole, n,
		     known ? who : NULL);
}

void wire_capture_flush(struct wire *w)
{
	if (w->capture && fflush(w->capture) != 0) {
		log_line("the capture ends: %s", strerror(errno));
		fclose(w->capture);
		w->capture = NULL;
	}
}
