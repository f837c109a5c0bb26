/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * abi.h - The memory that two processes share: its layout and its constants.
 *
 * docs/abi.md is the contract in prose: who writes which field, in which
 * state, and what the executor makes of it when a participant dies. This
 * header is the same contract in types. A change here changes ABI_VERSION.
 *
 * No pointers, no host-specific types, no bit-fields. All values are in host
 * byte order: both ends run on one machine.
 */
#ifndef MORTISE_SHM_ABI_H
#define MORTISE_SHM_ABI_H

#include "base/defs.h"

#define ABI_VERSION 10u

#define ARENA_MAGIC 0x4d4f5254414e3031ull   /* "MORTAN01" */
#define MAILBOX_MAGIC 0x4d4f52544d423031ull /* "MORTMB01" */
#define REGISTRY_MAGIC 0x4d4f525452473031ull

#define PARTY_MAX 8192u   /* Party numbers 0..8191; 0 is the daemon. */
#define SLOT_MAX 32768u   /* Halves in one arena. */
#define HANDLE_MAX 32768u /* Handle numbers of one party. */
#define SEAT_MAX 65536u   /* Seat table entries of one party. */
#define BELL_MAX 16u      /* Bells of one party; bell 0 is the common one. */
#define LISTENER_MAX 4096u /* Listener records in the registry. */
#define LISTEN_PER_PORT 64u /* Listeners of one port: addresses, SO_REUSEPORT groups. */

/* ------------------------------------------------------------------ refs */

/** A half named across parties: party << 48 | slot << 32 | generation. */
typedef uint64_t half_ref;

static inline half_ref half_ref_make(unsigned party, unsigned slot, uint32_t gen)
{
	return (uint64_t)party << 48 | (uint64_t)(slot & 0xffff) << 32 | gen;
}
/** CLAIM_DEFERRED - In a claim word: its connector has published nothing yet, and the
 * listener has TCP_DEFER_ACCEPT. */
#define CLAIM_DEFERRED (1ull << 63)

static inline unsigned half_ref_party(half_ref r) { return (unsigned)(r >> 48); }
static inline unsigned half_ref_slot(half_ref r) { return (unsigned)(r >> 32) & 0xffff; }
static inline uint32_t half_ref_gen(half_ref r) { return (uint32_t)r; }

/**
 * addr_word - An address and a port in one word, host order: bits 0..15 the
 * port, 16..47 the IPv4 address or, with ADDR_WORD_6, the index of an IPv6
 * address in registry.addrs[]. See addr.h. ::ffff:a.b.c.d is a.b.c.d: a
 * v4-mapped connection is an IPv4 connection.
 */
typedef uint64_t addr_word;

#define ADDR_WORD_6 (1ull << 48)
#define ADDR_WORD_DUAL (1ull << 49) /* where an AF_INET6 socket listens whom IPv4 reaches */
#define ADDR_WORD_GATE (1ull << 51)  /* where the wire listens: at all that is not the domain's */
#define ADDR_WORD_DGRAM (1ull << 50) /* in the registry: where datagrams are received */

static inline addr_word addr_word_make(uint32_t addr, uint16_t port)
{
	return (uint64_t)addr << 16 | port;
}
static inline addr_word addr_word_make6(uint32_t index, uint16_t port)
{
	return ADDR_WORD_6 | (uint64_t)index << 16 | port;
}
/** addr_word_at() - The same address with another port. */
static inline addr_word addr_word_at(addr_word w, uint16_t port)
{
	return (w & ~0xffffull) | port;
}
static inline bool addr_word_is6(addr_word w) { return w & ADDR_WORD_6; }
/** addr_word_addr() - The IPv4 address; of an IPv6 one the index. 0 is the wildcard of both. */
static inline uint32_t addr_word_addr(addr_word w) { return (uint32_t)(w >> 16); }
static inline uint16_t addr_word_port(addr_word w) { return (uint16_t)w; }

/* ------------------------------------------------------------------ half */

enum half_state {
	HALF_FREE = 0,
	HALF_BOUND = 1,      /* A socket that is neither listening nor connected. */
	HALF_LISTEN = 2,
	HALF_SEAT = 3,       /* Made beforehand for a connector; no descriptor yet. */
	HALF_CONNECTING = 4, /* Names a seat in peer; not yet certain that it has it. */
	HALF_OPEN = 5,
	HALF_CLOSED = 6,     /* No descriptor; final tail, FIN or RST readable. */
	HALF_RELEASED = 7,   /* Reads nothing of its peer's any more. */
	HALF_DGRAM = 8,      /* A datagram socket; its seats are who sends to it. */
};

/* half.end */
#define END_FIN 0x1u
#define END_RST 0x2u
#define END_MOVED 0x4u /* of a seat: another process accepted; see half.moved */
#define END_UP 0x8u    /* of the wire's half: the network's peer has answered */

/* half.want. The counts err high only: a sleeper that is killed leaves its
 * count behind, which costs its waker a useless system call. */
#define WANT_DATA_ONE 0x00000001u   /* futex sleepers that want data: 0..255 */
#define WANT_DATA_MASK 0x000000ffu
#define WANT_SPACE_ONE 0x00000100u  /* futex sleepers that want space: 0..255 */
#define WANT_SPACE_MASK 0x0000ff00u
#define WANT_HINT_DATA 0x00010000u  /* a bell is wanted for data, FIN, RST */
#define WANT_HINT_SPACE 0x00020000u /* a bell is wanted for space */
#define WANT_SIGNAL 0x00040000u     /* signals are wanted: see half.owner */
#define WANT_TAKEN_ONE 0x00100000u  /* counts the times that bell_at changed hands, mod 256 */
#define WANT_TAKEN_MASK 0x0ff00000u
#define WANT_DEFERRED 0x10000000u  /* of a seat: its connector's first publication is awaited */
#define WANT_MOVED 0x40000000u      /* END_MOVED, for who looks here after a publication */
#define WANT_CLOSED 0x80000000u     /* bytes that arrive now met a closed socket */

/* half.owner_how: F_SETSIG's number, and of what kind `owner` is. A thread's
 * process stands in owner_born's upper half. */
#define OWNER_SIGNAL_MASK 0xffu
#define OWNER_PROCESS 0x100u
#define OWNER_THREAD 0x200u
#define OWNER_GROUP 0x400u
#define OWNER_ASYNC 0x1000u /* O_ASYNC is set */

/*
 * half.bell_at: who is rung for a half that several processes hold, in one
 * word: bell << 60 | party << 47 | slot << 32 | BELL_AT_DOUBT | the low 31 bits
 * of the party's generation. The slot is one of that party's own, in which
 * there is no half. Party 0 is the owner of the half, with the half's own slot
 * and `bell`.
 */
#define BELL_AT_OWNER 0ull
#define BELL_AT_NOBODY (1ull << 32) /* the owner's, who does not count on it */
#define BELL_AT_DOUBT (1ull << 31)  /* somebody else is about to take it */

static inline uint64_t bell_at_make(unsigned bell, unsigned party, unsigned slot, uint32_t gen)
{
	return (uint64_t)(bell & 0xf) << 60 | (uint64_t)(party & 0x1fff) << 47 |
	       (uint64_t)(slot & 0x7fff) << 32 | (gen & 0x7fffffff);
}
static inline unsigned bell_at_bell(uint64_t w) { return (unsigned)(w >> 60); }
static inline unsigned bell_at_party(uint64_t w) { return (unsigned)(w >> 47) & 0x1fff; }
static inline unsigned bell_at_slot(uint64_t w) { return (unsigned)(w >> 32) & 0x7fff; }
static inline uint32_t bell_at_gen(uint64_t w) { return (uint32_t)w & 0x7fffffff; }

#define RING_EXTENTS 8u
#define RING_LOG2_MIN 14u /* 16 KiB: what a connection starts with */
#define RING_LOG2_MAX 22u /* 4 MiB */

/**
 * struct ring_extent - One stretch of ring memory.
 * @first: Ring index of the first byte that lives here.
 * @where: Page number in the arena << 8 | log2 of the size in bytes.
 *
 * Byte @i of the stream, first <= i < next extent's first, is at
 * page * 4096 + ((i - first) & (size - 1)).
 */
struct ring_extent {
	_Atomic uint64_t first;
	_Atomic uint64_t where;
};

/**
 * struct half - What one socket's side writes; its peer only reads it.
 *
 * Eight cache lines. "Own side" is every process that holds a descriptor of
 * the socket, and the executor once none is left.
 */
struct half {
	/* Line 0: identity. Own side, at changes of state. */
	_Atomic uint64_t gen_state;      /* generation << 32 | enum half_state */
	_Atomic uint64_t peer;           /* half_ref; 0 while there is none */
	_Atomic uint32_t peer_party_gen; /* generation of the peer's party */
	_Atomic uint32_t handle;         /* handle number + 1; 0: none (a seat) */
	_Atomic uint64_t local;          /* addr_word */
	_Atomic uint64_t remote;         /* addr_word */
	_Atomic uint64_t cookie;         /* unique in the domain's life */
	_Atomic uint64_t born_ns;        /* CLOCK_MONOTONIC */
	_Atomic uint32_t shared;         /* non-zero: several processes hold it */
	_Atomic uint32_t dgram;          /* DGRAM_*: how datagrams are to be sent to it */

	/* Line 1: the producer. Under tx_lock where the side is shared. */
	_Atomic uint64_t tail;  _Alignas(8) /* bytes ever written */
	_Atomic uint32_t end;   /* END_*: set once, never cleared */
	_Atomic uint32_t event; /* futex word; bumped before each futex wake */
	_Atomic uint64_t urgent;      /* ring index after the last urgent byte; 0: none yet */
	_Atomic uint64_t urgent_skip; /* a reader whose head is below goes on from here */
	_Atomic uint64_t drops;       /* of a channel: datagrams for which there was no room */
	_Atomic uint32_t notsent_lowat; /* TCP_NOTSENT_LOWAT: bytes; 0: none */
	_Atomic uint32_t zc_sent;     /* sends with MSG_ZEROCOPY, mod 2^32 */
	_Atomic uint32_t zc_told;     /* of those, so many were told of */
	_Atomic uint32_t end_error; /* the errno that END_RST means; 0: ECONNRESET */
	_Atomic uint32_t defer_ms;  /* LISTEN: TCP_DEFER_ACCEPT; 0: none */
	_Atomic uint32_t closer;    /* SO_LINGER: who closed it last and waits, a thread id */

	/* Line 2: the consumer; moved by compare-and-swap where shared. */
	_Atomic uint64_t head; /* bytes ever read */
	_Atomic uint64_t urgent_read; /* the peer's `urgent` that MSG_OOB has taken */
	_Atomic uint64_t space_told;  /* the peer's want_space that was signalled */
	_Atomic uint32_t oob_inline;  /* SO_OOBINLINE */
	_Atomic uint32_t end_told;    /* END_* of ours that was signalled */
	_Atomic uint64_t options;     /* what was set, for all who hold it: posix/kept.c, dgram.h */
	_Atomic uint32_t user_timeout_ms; /* TCP_USER_TIMEOUT */
	_Atomic uint32_t ancillary;   /* DGRAM: control messages that were asked for */
	_Atomic uint64_t kernel_empty_ns; /* DGRAM: its kernel socket was found empty last */
	_Atomic uint64_t mark_read_ns; /* DGRAM: sent_ns of the mark that was read last */

	/* Line 3: what the peer looks at after each publication. */
	_Atomic uint32_t want;       /* WANT_* */
	_Atomic uint32_t bell;       /* which bell of the party to ring */
	_Atomic uint64_t want_space; /* ring me when the peer's head >= this */
	_Atomic uint32_t cpu;        /* where the owner last ran */
	_Atomic uint32_t served_by;  /* LISTEN: a process that has it, as it said itself; 0: ask */
	_Atomic uint64_t bell_at;    /* whose bell: BELL_AT_*, bell_at_make() */
	_Atomic uint64_t owner_born; /* of the owner: start time as in /proc, 0 unknown */
	_Atomic uint32_t owner;      /* F_SETOWN: a process, thread or group; 0: none */
	_Atomic uint32_t owner_how;  /* OWNER_* */
	_Atomic uint32_t owner_fd;   /* O_ASYNC: the descriptor that is named */
	uint8_t pad3[12];

	/* Lines 4-6: the ring's memory, or the listener's seats. */
	_Atomic uint32_t ext_count; /* extents ever published; entry n at n % 8 */
	_Atomic uint32_t ext_live;  /* own side only: oldest extent not yet given back */
	_Atomic uint32_t seat_base; /* LISTEN: first index in seats[] and claims[]; SEAT: the listener's slot */
	_Atomic uint32_t seat_count;/* LISTEN: how many */
	_Atomic uint64_t accept_cursor; /* LISTEN, shared: the seat to begin with, mod their number */
	_Atomic uint64_t moved;     /* END_MOVED: half_ref of the half that took its place */
	_Atomic uint32_t moved_gen; /* generation of that half's party */
	_Atomic uint32_t seat_tidy; /* LISTEN, shared: the seat to be made anew next */
	/* Options, for all who hold it, as half.options. */
	_Atomic uint64_t kept_rcvtimeo_ns, kept_sndtimeo_ns; /* 0: none */
	_Atomic uint64_t kept_linger; /* seconds + 1 << 32 | seconds when last on; 0: off */
	struct ring_extent ext[RING_EXTENTS];

	/* Line 7: the side's own; the peer never uses it. */
	_Atomic uint32_t tx_lock;    /* 0, or thread id of the holder | FUTEX_WAITERS */
	_Atomic uint32_t rx_lock;    /* likewise; of a datagram socket's: who reads */
	_Atomic uint32_t file_flags; /* O_NONBLOCK | O_ASYNC */
	_Atomic uint32_t side;       /* SIDE_*: own side's end of things */
	_Atomic uint32_t error;      /* pending SO_ERROR, or 0 */
	_Atomic uint32_t sndbuf;     /* bytes; 0: automatic */
	_Atomic uint32_t rcvbuf;     /* bytes; 0: automatic */
	_Atomic uint32_t rcvlowat;   /* bytes, at least 1 */
	_Atomic uint64_t wakes;      /* futex wakes and bells that this side made */
	_Atomic uint64_t sleeps;     /* times this side went to sleep */
	_Atomic uint64_t spins;      /* times this side found what it wanted spinning */
	_Atomic uint64_t shut_tail;  /* shut both ways: the peer's tail at that moment */
};
_Static_assert(BELL_MAX <= 16 && PARTY_MAX <= 8192 && SLOT_MAX <= 32768, "bell_at holds them");
_Static_assert(sizeof(struct half) == 512, "a half is eight cache lines");
_Static_assert(offsetof(struct half, tail) == 64, "line 1");
_Static_assert(offsetof(struct half, head) == 128, "line 2");
_Static_assert(offsetof(struct half, want) == 192, "line 3");
_Static_assert(offsetof(struct half, ext_count) == 256, "line 4");
_Static_assert(offsetof(struct half, tx_lock) == 448, "line 7");

/* half.options: there are more than have their place in it. */
#define KEPT_OTHERS (1ull << 63)

/* half.side */
#define SIDE_RD_SHUT 0x1u     /* shutdown(SHUT_RD) */
#define SIDE_WR_SHUT 0x2u     /* shutdown(SHUT_WR): END_FIN is published too */
#define SIDE_RST_SEEN 0x4u    /* the peer's RST has been turned into an error */
#define SIDE_MET_CLOSED 0x8u  /* our bytes met a closed socket */
#define SIDE_BROKEN 0x10u     /* the peer published something impossible */
#define SIDE_LINGER0 0x40u    /* SO_LINGER with 0 s: its end is RST; may be cleared */
#define SIDE_LEASED 0x80u     /* its local port goes back to its owner's lease with the slot */
#define SIDE_INET6 0x100u     /* the socket is of AF_INET6, whatever its addresses are */
#define SIDE_V6ONLY 0x200u    /* IPV6_V6ONLY; may be cleared until it is bound */
#define SIDE_SHUT_EARLY 0x20u /* both ways were shut before the peer's FIN: see shut_tail */
#define SIDE_LISTENS 0x800u   /* listen() was called: not only made ready for it */
#define SIDE_WIRE 0x1000u     /* its peer is the wire's half: connected once that has END_UP */
#define SIDE_UNTOLD 0x2000u   /* reset, as connect() had to say: as if it had never connected */
#define SIDE_CHANNEL 0x400u   /* one end of a channel of datagrams: no socket of its own */

/* half.dgram */
#define DGRAM_SOCKET 0x1u /* a datagram socket's half */
#define DGRAM_KERNEL 0x2u /* nothing is sent to it through memory any more */
#define DGRAM_GRO 0x4u    /* UDP_GRO: takes segments of one size together */
#define DGRAM_GROUP 0x8u  /* SO_REUSEPORT: one of those with its address takes a datagram */
#define DGRAM_ERRORS 0x20u /* something was sent through its kernel socket: an error may wait */
#define DGRAM_QUEUES 0x40u /* IP_RECVERR: or a queue of them */
#define DGRAM_CORKED 0x100u /* UDP_CORK is on */
#define DGRAM_PENDING 0x200u /* its kernel socket has the beginning of a datagram */
#define DGRAM_NO_CHECK 0x400u /* SO_NO_CHECK */
#define DGRAM_UNROUTED 0x80u /* Linux finds the way to whom it is connected with its next datagram */
#define DGRAM_LATER 0x10u /* as DGRAM_KERNEL, until what its kernel socket has is read */

/**
 * struct dgram_record - What stands before each datagram in a channel's ring.
 * @bytes:     Of the payload, which follows. The next record begins at the next
 *             multiple of DGRAM_ALIGN.
 * @segment:   Payload of each datagram but the last, where several of one size
 *             are sent as one (UDP_SEGMENT to a reader with UDP_GRO); 0: it is one.
 * @ttl, @tos: As in the IP header.
 * @flags:     DGRAM_MARK, DGRAM_UNNOTED.
 * @ticket_ns: CLOCK_MONOTONIC at the send: orders different senders' datagrams.
 * @from, @to: addr_word.
 * @half:      half_ref of the socket that sent it: where an answer can go.
 * @sent_ns:   Of a mark: CLOCK_MONOTONIC after the datagram went through the kernel;
 *             MARK_COMING: it is about to; MARK_VOID: nothing was sent.
 * @half_party_gen: Generation of that party.
 *
 * With DGRAM_ERROR it is what became of one that was sent from @to to @from: @segment is the errno,
 * @ttl and @tos are ICMP's type and code, @half is who said so << 32 | an MTU, @half_party_gen 1
 * where nobody did but the sender itself; the payload is what was quoted of it.
 */
struct dgram_record {
	uint32_t bytes;
	uint16_t segment;
	uint8_t ttl, tos;
	uint64_t ticket_ns;
	uint64_t from, to;
	union {
		uint64_t half;
		_Atomic uint64_t sent_ns;
	};
	uint32_t half_party_gen;
	uint32_t flags;
};
_Static_assert(sizeof(struct dgram_record) == 48, "a record's head");

#define DGRAM_ALIGN 16u
#define DGRAM_PAYLOAD_MAX 65535u
#define DGRAM_ERROR 0x2u /* the wire's: see struct dgram_record */
#define DGRAM_QUOTED_MOST 64u /* bytes of its payload */
#define DGRAM_MARK 0x1u /* no datagram: the one that comes here went through the kernel */
#define DGRAM_UNNOTED 0x4u /* its receiver had not asked for IP_PKTINFO when it was sent */
#define MARK_COMING 0ull
#define MARK_VOID 1ull

/* ----------------------------------------------------------------- arena */

#define ARENA_BYTES (1ull << 32)
#define ARENA_OFF_HANDLES 0x0010000ull /* _Atomic uint64_t[HANDLE_MAX] */
#define ARENA_OFF_SEATS 0x0080000ull   /* _Atomic uint64_t[SEAT_MAX] */
#define ARENA_OFF_KSOCK 0x0110000ull   /* struct ksock[KSOCK_MAX] */
#define ARENA_OFF_LOCKS 0x0200000ull   /* _Atomic uint32_t[SEAT_MAX]: see seats[] */
#define ARENA_OFF_HALVES 0x1000000ull  /* struct half[SLOT_MAX]: 16 MiB */
#define ARENA_OFF_RINGS 0x2000000ull   /* ring memory, to the end */

/** A handle's or a seat's word: generation << 32 | slot + 1; 0: none. */
static inline uint64_t slot_word_make(unsigned slot, uint32_t gen)
{
	return (uint64_t)gen << 32 | (slot + 1u);
}
static inline unsigned slot_word_slot(uint64_t w) { return (uint32_t)w - 1u; }
static inline uint32_t slot_word_gen(uint64_t w) { return (uint32_t)(w >> 32); }

/** Why a socket is the kernel's. Words are fixed in docs/abi.md. */
enum reason {
	REASON_NONE = 0,
	REASON_NO_LISTENER,  /* nobody in the domain listens there */
	REASON_REMOTE,       /* the address is not this host's */
	REASON_FAMILY,       /* the kernel has no IPv6; AF_UNIX is not counted */
	REASON_DATAGRAM,     /* SOCK_DGRAM, SOCK_RAW */
	REASON_OPTION,       /* an option that only the kernel has */
	REASON_SHARED,       /* another process made it; not to be used in memory here */
	REASON_BACKLOG,      /* no seat was free */
	REASON_EXCLUDED,     /* MORTISE_EXCLUDE */
	REASON_LIMIT,        /* out of handles, slots, ring memory, clients */
	REASON_NO_DAEMON,    /* no daemon, or of another version */
	REASON_ACCEPTED,     /* accepted from an ordinary client */
	REASON_REUSEPORT,    /* one listener too many on a port */
	REASON_IDENTITY,     /* another user's now, in another network, or confined */
	REASON_COUNT
};

#define KSOCK_MAX 1024u

/**
 * struct ksock - A kernel socket of this party, for `mortise ss`.
 * @key:    0: unused; else fd + 1 << 8 | enum reason. Written last.
 * @local:  addr_word, 0 where unknown.
 * @remote: addr_word, 0 where unknown.
 * @inode:  Of the socket, as in /proc/net/tcp.
 */
struct ksock {
	_Atomic uint64_t key;
	_Atomic uint64_t local;
	_Atomic uint64_t remote;
	_Atomic uint64_t inode;
};

/**
 * struct bell_state - Whether ringing a bell is needed.
 * @sleepers: Threads that sleep, or are about to, on this bell.
 */
struct bell_state {
	_Alignas(CACHE_LINE) _Atomic uint32_t sleepers;
};

/**
 * struct arena_hdr - First page of an arena. The owner writes it.
 */
struct arena_hdr {
	uint64_t magic;
	uint32_t version;
	uint32_t pid;
	_Atomic uint32_t party;     /* filled in after hello */
	_Atomic uint32_t party_gen;
	_Atomic uint32_t slots_used; /* high-water mark: no half beyond was ever used */
	_Atomic uint32_t handles_used;
	char comm[16];
	struct bell_state bells[BELL_MAX];
	/* Counters, for `mortise ss` and `status`. */
	_Alignas(CACHE_LINE) _Atomic uint64_t fallbacks[32]; /* by enum reason */
	_Atomic uint64_t opened;        /* connections made from here through memory */
	_Atomic uint64_t tx_bytes_done; /* of halves already recycled */
	_Atomic uint64_t rx_bytes_done;
	_Atomic uint64_t ctl_messages;  /* requests sent to the daemon */
};
_Static_assert(sizeof(struct arena_hdr) <= PAGE_BYTES, "one page");

/* --------------------------------------------------------------- mailbox */

/*
 * Writable by every party that was introduced. Nothing here must be true:
 * a wrong claim or hint costs one look, a lost one is repaired by whoever
 * needs it.
 */
#define MAILBOX_BYTES (1ull << 20)
#define HINT_L0_WORDS (SLOT_MAX / 64u)      /* 512 */
#define HINT_L1_WORDS (HINT_L0_WORDS / 64u) /* 8: one cache line */

struct mailbox {
	uint64_t magic;
	uint8_t pad0[56];
	_Alignas(CACHE_LINE) _Atomic uint64_t hint_l1[HINT_L1_WORDS];
	_Alignas(CACHE_LINE) _Atomic uint64_t hint_l0[HINT_L0_WORDS];
	/*
	 * claims[seat_base] is a listener's counter of tickets;
	 * claims[seat_base + 1 + i] is seat i's claim word: the half_ref of
	 * the connector that claims it, or 0.
	 */
	_Alignas(PAGE_BYTES) _Atomic uint64_t claims[SEAT_MAX];
};
_Static_assert(sizeof(struct mailbox) <= MAILBOX_BYTES, "fits");

/* -------------------------------------------------------------- registry */

#define REGISTRY_BYTES (8ull << 20)

enum party_state { PARTY_FREE = 0, PARTY_ALIVE = 1, PARTY_DEAD = 2 };

/** Of one party: generation << 32 | enum party_state. */
struct registry_party {
	_Atomic uint64_t gen_state;
	_Atomic uint32_t pid;
	_Atomic uint32_t uid;
};

/**
 * struct registry_listener - Who listens on one port: immutable once a port
 * word names it.
 * @count: Entries used.
 * @at:    addr_word; with ADDR_WORD_DUAL where that holds. Several of one
 *         address are a SO_REUSEPORT group.
 * @half:  The listening half.
 * @party_gen: Generation of its party.
 */
struct registry_listener {
	_Atomic uint32_t count;
	_Atomic uint32_t party_gen[LISTEN_PER_PORT];
	_Atomic uint64_t at[LISTEN_PER_PORT];
	_Atomic uint64_t half[LISTEN_PER_PORT];
};

/**
 * struct registry_addr - An address that is or was this host's. Appended by
 * the daemon, before registry.addr_count says so; never another one's after.
 * @in6:   As on the wire; IPv4 ones are v4-mapped, and named by no addr_word.
 * @scope: The interface of a link-local one, else 0.
 * @own:   It is this host's at present.
 */
struct registry_addr {
	uint8_t in6[16];
	uint32_t scope;
	_Atomic uint32_t own;
};

#define ADDR_MAX 4096u /* addresses that a domain gets to know in its life */
#define ADDR_ANY6 0u      /* index of :: */
#define ADDR_LOOPBACK6 1u /* index of ::1 */

#define PORT_WORDS (2u * 65536u)

/** port_index() - Which port word is about @at. */
static inline unsigned port_index(addr_word at)
{
	return addr_word_port(at) + (at & ADDR_WORD_DGRAM ? 65536u : 0u);
}

struct registry {
	uint64_t magic;
	uint32_t version;
	uint32_t policy;                   /* enum policy */
	_Atomic uint64_t daemon_starts;
	_Atomic uint64_t cookie_base;
	_Atomic uint32_t addr_count;
	_Atomic uint32_t gate_gen; /* generation of the party of: */
	_Atomic uint64_t gate;     /* half_ref of the wire's listener; 0: there is no wire */
	_Atomic uint64_t gate_dgram; /* of the first half that takes datagrams for the network */
	_Atomic uint32_t gate_dgrams; /* such halves, in slots that follow each other */
	_Atomic uint32_t packets;  /* 1: the gates take what is for the domain's own IPv4 addresses, too */
	_Alignas(CACHE_LINE) struct registry_party parties[PARTY_MAX];
	/* Port words: sequence << 32 | record + 1; low half 0: nobody. Streams',
	 * then datagrams': see port_index(). */
	_Alignas(CACHE_LINE) _Atomic uint64_t ports[PORT_WORDS];
	_Alignas(CACHE_LINE) struct registry_listener records[LISTENER_MAX];
	_Alignas(CACHE_LINE) struct registry_addr addrs[ADDR_MAX];
};
_Static_assert(sizeof(struct registry) <= REGISTRY_BYTES, "fits");

/** Other addresses are the kernel's; unreachable; reached by the domain's own wire. */
enum policy { POLICY_SHARE = 0, POLICY_NONE = 1, POLICY_NET = 2 };

#endif
