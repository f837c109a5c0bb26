/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/sys.h"
#include "shm/half.h"
#include "shm/owner.h"

#define CODE_BASE (-0x4d00)
#define STAT_BYTES 512u
#define STAT_BLANKS 20u /* between the name and the start time */
#define QUEUED_FROM 32u /* the first signal of which several can wait */
#define TO_GROUP 4u /* PIDFD_SIGNAL_PROCESS_GROUP */

/** struct queued - siginfo_t as far as we fill it in. */
struct queued {
	int signo, error, code, pad;
	long band;
	int fd;
	char rest[128 - 28];
};
_Static_assert(sizeof(struct queued) == sizeof(siginfo_t), "as the kernel has it");

/* ---------------------------------------------------------- which process */

static char *put_number(char *at, uint32_t n)
{
	char digits[10];
	unsigned k = 0;

	do
		digits[k++] = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	while (k > 0)
		*at++ = digits[--k];
	return at;
}

/* A line of /proc/PID/@name. Return: bytes, terminated; or -errno. */
static long proc_read(uint32_t pid, const char *name, char *buf, size_t size)
{
	char path[32] = "/proc/";
	char *at = put_number(path + strlen(path), pid);
	long fd, n;

	*at++ = '/';
	memcpy(at, name, strlen(name) + 1);
	fd = sys3(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fd;
	n = sys3(SYS_read, fd, buf, size - 1);
	sys1(SYS_close, fd);
	buf[n > 0 ? n : 0] = '\0';
	return n;
}

static uint64_t number_at(const char *at)
{
	uint64_t n = 0;

	while (*at >= '0' && *at <= '9')
		n = n * 10 + (uint64_t)(*at++ - '0');
	return n;
}

/* When it was started, so that its number is not taken for another's: 0 where
 * that is not known, or nobody is there. */
static uint64_t born_of(uint32_t pid)
{
	char line[STAT_BYTES];
	const char *at;

	if (proc_read(pid, "stat", line, sizeof(line)) <= 0)
		return 0;
	/* The name may have blanks, and brackets. */
	at = strrchr(line, ')');
	for (unsigned i = 0; at && i < STAT_BLANKS; i++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return at ? number_at(at) & OWNER_BORN_MASK : 0;
}

static uint64_t process_of(uint32_t tid)
{
	char text[STAT_BYTES];
	const char *at;

	if (proc_read(tid, "status", text, sizeof(text)) <= 0)
		return 0;
	at = strstr(text, "\nTgid:\t");
	return at ? number_at(at + 7) : 0;
}

void owner_set(struct half *h, uint32_t kind, int owner, unsigned sig)
{
	uint32_t how = load_relaxed(&h->owner_how) & OWNER_ASYNC;
	uint64_t born = 0;

	/* Nobody is named while it changes. */
	store_relaxed(&h->owner, 0);
	if (owner > 0)
		born = born_of((uint32_t)owner);
	if (owner > 0 && kind == OWNER_THREAD)
		born |= process_of((uint32_t)owner) << OWNER_TGID_SHIFT;
	store_relaxed(&h->owner_born, born);
	store_relaxed(&h->owner_how, how | kind | (sig & OWNER_SIGNAL_MASK));
	store_release(&h->owner, owner > 0 ? (uint32_t)owner : 0u);
	if (owner > 0)
		atomic_fetch_or(&h->want, WANT_SIGNAL);
	else
		atomic_fetch_and(&h->want, ~WANT_SIGNAL);
}

void owner_async(struct half *h, bool on, int fd)
{
	if (on && !(load_relaxed(&h->owner_how) & OWNER_ASYNC)) {
		store_relaxed(&h->owner_fd, (uint32_t)fd);
		atomic_fetch_or(&h->owner_how, OWNER_ASYNC);
	} else if (!on) {
		atomic_fetch_and(&h->owner_how, ~OWNER_ASYNC);
	}
}

/* ------------------------------------------------------------------ raise */

static long band_of(unsigned event)
{
	static const long bands[] = {
		[POLL_IN] = EPOLLIN | EPOLLRDNORM,
		[POLL_OUT] = EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND,
		[POLL_MSG] = EPOLLIN | EPOLLRDNORM | EPOLLMSG,
		[POLL_ERR] = EPOLLERR,
		[POLL_PRI] = EPOLLPRI | EPOLLRDBAND,
		[POLL_HUP] = EPOLLHUP | EPOLLERR,
	};

	return event < ARRAY_LEN(bands) ? bands[event] : 0;
}

/* To each of a group, with the siginfo where the kernel can. */
static long raise_group(uint32_t group, unsigned sig, const struct queued *info)
{
	long fd = sys2(SYS_pidfd_open, group, 0), r = fd;

	if (fd >= 0) {
		r = sys4(SYS_pidfd_send_signal, fd, sig, info, TO_GROUP);
		sys1(SYS_close, fd);
	}
	return r < 0 ? sys2(SYS_kill, -(long)group, sig) : r;
}

static long raise_one(const struct half *h, unsigned sig, unsigned event)
{
	struct queued info = { .signo = (int)sig, .code = CODE_BASE - (int)event };
	uint32_t owner = load_acquire(&h->owner), how = load_relaxed(&h->owner_how);
	uint64_t born = load_relaxed(&h->owner_born);

	if (event != OWNER_PLAIN) {
		info.band = band_of(event);
		info.fd = (int)load_relaxed(&h->owner_fd);
	}
	if (owner == 0 || owner > INT32_MAX || sig == 0 || sig > 64)
		return 0;
	/* The one that was named, and no other: a peer may write anything. Of a
	 * group, the leader; or it has none any more. */
	if (born_of(owner) != (born & OWNER_BORN_MASK))
		return 0;
	if (how & OWNER_GROUP)
		return owner > 1 ? raise_group(owner, sig, &info) : 0;
	if (!(born & OWNER_BORN_MASK))
		return 0;
	if (how & OWNER_THREAD)
		return sys4(SYS_rt_tgsigqueueinfo, born >> OWNER_TGID_SHIFT, owner, sig, &info);
	return sys3(SYS_rt_sigqueueinfo, owner, sig, &info);
}

void owner_signal(const struct half *h, unsigned event)
{
	uint32_t how = load_relaxed(&h->owner_how), sig = how & OWNER_SIGNAL_MASK;

	if (load_relaxed(&h->owner) == 0 || half_state(h) >= HALF_CLOSED)
		return;
	if (event == OWNER_URGENT) {
		raise_one(h, SIGURG, OWNER_PLAIN);
		/* Linux: and POLL_PRI, but only as a signal that was chosen. */
		if (sig == 0)
			return;
		event = POLL_PRI;
	}
	if (!(how & OWNER_ASYNC))
		return;
	/* Too many are queued: the one that can be lost, as Linux has it. */
	if (sig == 0 || raise_one(h, sig, event) == -EAGAIN)
		raise_one(h, SIGIO, OWNER_PLAIN);
}

void owner_repeat(const struct half *h, unsigned event)
{
	if ((load_relaxed(&h->owner_how) & OWNER_SIGNAL_MASK) >= QUEUED_FROM)
		owner_signal(h, event);
}

/* Once: a closed side's executor tells of its end again. */
static void notify_end(struct half *own, const struct half *peer, uint32_t want)
{
	uint32_t end = load_relaxed(&own->end) & (END_FIN | END_RST);
	uint32_t told = load_relaxed(&own->end_told);

	if (!(end & ~told))
		return;
	store_relaxed(&own->end_told, end);
	if (end & END_RST) {
		owner_signal(peer, POLL_ERR);
		return;
	}
	if (want & WANT_DATA_MASK)
		return;
	/* Of the end, and that there is something to read: it. */
	owner_signal(peer, load_relaxed(&peer->end) & END_FIN ? POLL_HUP : POLL_IN);
	owner_repeat(peer, POLL_IN);
}

void owner_notify(struct half *own, const struct half *peer, uint32_t what, uint32_t want,
		  bool space)
{
	uint32_t lowat = load_relaxed(&peer->rcvlowat);
	uint64_t place = load_relaxed(&peer->want_space);

	/* Linux: not while a thread sleeps in recv(). */
	if (what & NOTIFY_DATA && !(want & WANT_DATA_MASK) &&
	    (half_state(peer) == HALF_LISTEN ||
	     load_relaxed(&own->tail) - load_relaxed(&peer->head) >= (lowat ? lowat : 1)))
		owner_signal(peer, POLL_IN);
	if (what & NOTIFY_END)
		notify_end(own, peer, want);
	if (space && load_relaxed(&own->space_told) != place) {
		store_relaxed(&own->space_told, place);
		owner_signal(peer, POLL_OUT);
	}
}

/* ---------------------------------------------------------------- receive */

void owner_info_fix(siginfo_t *info)
{
	int event = CODE_BASE - info->si_code;

	if (event < OWNER_PLAIN || event > POLL_HUP)
		return;
	if (event == OWNER_PLAIN) {
		info->si_code = SI_KERNEL;
		return;
	}
	switch (info->si_signo) {
	case SIGILL:
	case SIGFPE:
	case SIGSEGV:
	case SIGBUS:
	case SIGTRAP:
	case SIGCHLD:
	case SIGSYS:
		info->si_code = SI_SIGIO; /* they have codes of their own */
		break;
	default:
		info->si_code = event;
	}
}
