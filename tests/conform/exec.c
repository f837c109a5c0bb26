/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conform-exec: runs programs of socket calls in two processes, and prints
 * what each call gave.
 *
 * Theory of operation. The coordinator reads the text, starts two workers (by
 * fork and exec of this file, before there is any socket) and lets them make
 * one call at a time, so that only the sockets decide the result. A line is
 *
 *	seq N [sleep] [again]	a new program; all descriptors are closed first
 *	A recv s1 100 MSG_PEEK	worker A makes a call and the next line waits
 *	A& recv s1 100 0	it makes it while the next line of B is executed
 *	A+ recv s1 100 0	a second thread of A makes it, until `A join`
 *	C recv s1 100 0		so does the child that A forked; D is B's
 *
 * What one side does reaches the other a little later. So the coordinator
 * keeps a small account of every open file (who faces whom, by ports; bytes
 * sent and taken; ends) and, after a step with a far effect, *settles*: waits
 * until the other end shows it, for a bounded time. Settling asks with poll
 * and FIONREAD; as this might itself wake something up, a `sleep` program
 * just waits instead. Whether settling succeeded is never compared.
 *
 * With --timer-hz of conform a timer's signal comes to the workers all the
 * time. In an `again` program, poll, select and epoll_wait are then made again
 * for what is left of their timeouts; in others EINTR is their result.
 *
 * The account also says which results are free to vary: how much of a large
 * transfer is under way at some moment depends on windows and buffers. Such a
 * result prints as `~`.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program.h"
#include "worker.h"

enum {
	WORKERS = 4,
	FILES = 256,
	FLIGHTS = 64,
	ZONE_READ = 32768,	/* Unread bytes that are at the reader for certain. */
	ZONE_SEND = 262144,	/* Unread bytes that a send takes for certain. */
	ZONE_TUNED = 16384,	/* Both, where the program chose the buffers. */
	ZONE_CHILD = 8192,	/* Both, where several processes have it. */
	HANG_MS = 5000,
	LOOK_MS = 100,
	INTERRUPTED_MS = 100,
	LINE_MAX_BYTES = 1000,
};

/* A datagram socket's calls need no account: the network has done with each
 * before it returns. */
enum kind { KIND_SOCKET, KIND_DATAGRAM, KIND_EPOLL, KIND_PIPE };

/**
 * struct file - An open file: what dup'ed slots share.
 * @had:      Bits of the workers that have it, or had.
 * @owed:     Bits of what to settle for, once nobody is busy with it.
 * @peer:     Index of the file that faces it, -1 none or not accepted yet.
 * @sent, @taken: Bytes that its calls put into and took out of the stream.
 * @asked:    connect() was begun.
 * @tuned_snd, @tuned_rcv: SO_SNDBUF, SO_RCVBUF was set.
 * @backlog, @queued: Of a listener; who connected and was not accepted yet.
 * @edges:    A set with entries that are edge-triggered or one-shot.
 * @cut:      A send took less than it was given, as windows had it.
 * @loose:    Shut for reading, it was read as far as the sender had got; or of
 *            much that was unread, a part was left that may be there by now.
 * @murky:    One side is shut both ways, with more unread than a window may
 *            hold: whether what is sent then is answered by RST is open.
 * @held:     A forked child has it, too. @shared: or had it.
 * @accepted: Made by accept().
 * @aged:     One of its processes has forked, or given something away: its last
 *            close is heard by the kernel's count.
 * @rings:    A listener that has begun to be several processes'. @began: with
 *            clients in its queue.
 * @self:     Asked itself.
 * @over:     Asked a listener whose queue was full, or is such a listener.
 */
struct file {
	enum kind kind;
	unsigned int had;
	unsigned int owed;
	int refs;
	uint16_t lport;
	uint16_t rport;
	int peer;
	uint64_t sent;
	uint64_t taken;
	bool asked;
	bool listening;
	bool closed;
	bool shut_wr;
	bool shut_rd;
	bool linger0;
	bool tuned_snd;
	bool tuned_rcv;
	bool self;
	bool over;
	bool edges;
	bool cut;
	bool loose;
	bool murky;
	bool aged;
	bool rings;
	bool began;
	bool held;
	bool shared;
	bool accepted;
	int64_t backlog;
	int64_t queued;
};

/**
 * struct worker - A and B, and a child of each: C and D.
 * @alive:     There is such a process. @stopped: by a signal.
 * @holding:   It has a FORKHOLD child.
 * @slot_file: Index of the file in each slot, -1 none.
 * @busy:      A `&` step is under way: @step, line @line.
 * @threaded:  The second thread is in @call, on file @call_file.
 * @ticks:     How often the timer has come to it.
 */
struct worker {
	pid_t pid;
	bool alive;
	bool stopped;
	bool holding;
	int in;
	int out;
	int slot_file[SLOTS];
	bool busy;
	struct step step;
	int line;
	bool vague;
	bool threaded;
	struct step call;
	int call_file;
	bool call_vague;
	uint64_t ticks;
};

static struct worker workers[WORKERS];
static struct file files[FILES];
static int file_count;
static uint16_t port_var[PORTVARS];
static uint16_t port_seen[FILES];
static int port_seen_count;
/* Files handed over and not taken yet; one queue for each direction. */
static struct {
	int file[FLIGHTS];
	int first;
	int count;
} flights[2];
static int program = -1;	/* Its number, while one runs. */
static bool sleepy;		/* Settle by sleeping. */
static bool ticking;		/* The timer's signal comes. */
static bool again;		/* What the timer interrupts is made again. */
static bool slept;		/* Once for each step is enough. */
static unsigned long settles, settle_failures;
static unsigned long handles[3];	/* Connected sockets by outcome.handle. */

static void stop_all(int status)
{
	fflush(stdout);
	for (int i = 0; i < WORKERS; i++)
		if (workers[i].alive)
			kill(workers[i].pid, SIGKILL);
	for (int i = 0; i < WORKERS; i++)
		if (workers[i].alive)
			waitpid(workers[i].pid, NULL, 0);
	exit(status);
}

static unsigned int bit_of(const struct worker *w)
{
	return 1u << (w - workers);
}

static struct worker *child_of(const struct worker *w)
{
	return &workers[(w - workers) % 2 + 2];
}

static bool is_child(const struct worker *w)
{
	return w - workers >= 2;
}

/* The steps of the one and the outcomes of the other process. */
static void pipes(struct worker *w, int *ret_in, int *ret_out)
{
	int to[2];
	int from[2];

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC)) {
		perror("conform-exec: pipe2");
		exit(2);
	}
	w->in = to[1];
	w->out = from[0];
	*ret_in = to[0];
	*ret_out = from[1];
}

static void spawn(struct worker *w, int channel, const char *mutate, const char *hz)
{
	int in, out, child_in, child_out;

	pipes(w, &in, &out);
	pipes(child_of(w), &child_in, &child_out);
	w->pid = fork();
	if (w->pid < 0) {
		perror("conform-exec: fork");
		exit(2);
	}
	if (!w->pid) {
		dup2(in, 0);
		dup2(out, 1);
		dup2(child_in, FD_CHILD_IN);
		dup2(child_out, FD_CHILD_OUT);
		dup2(channel, FD_CHANNEL);
		execl("/proc/self/exe", "conform-exec", "--worker", mutate, hz, (char *)NULL);
		_exit(127);
	}
	w->alive = true;
	close(in);
	close(out);
	close(child_in);
	close(child_out);
	close(channel);
}

static void dispatch(struct worker *w, const struct step *st)
{
	io_write_all(w->in, st, sizeof(*st));
}

/* A child's pipe does not end with it: its parent has the end as well. */
static bool is_gone(const struct worker *w)
{
	char path[64];
	char text[256];
	const char *end = NULL;
	FILE *f;

	if (!is_child(w))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/stat", w->pid);
	f = fopen(path, "re");
	if (!f)
		return true;
	if (fgets(text, sizeof(text), f))
		end = strrchr(text, ')');
	fclose(f);
	return !end || (end[1] && (end[2] == 'Z' || end[2] == 'X'));
}

/* Wait for @w's outcome; a worker that is stuck or gone ends the run. */
static void collect(struct worker *w, int line, struct outcome *out)
{
	struct pollfd p = { .fd = w->out, .events = POLLIN };
	int status = 0;
	int n = 0;

	for (int ms = 0; ms < HANG_MS && n == 0; ms += LOOK_MS) {
		do
			n = poll(&p, 1, LOOK_MS);
		while (n < 0 && errno == EINTR);
		if (n == 0 && is_gone(w)) {
			printf("%d CRASH of a child\n", line);
			stop_all(4);
		}
	}
	if (!n) {
		printf("%d HANG\n", line);
		stop_all(3);
	}
	if (!io_read_all(w->out, out, sizeof(*out))) {
		waitpid(w->pid, &status, 0);
		w->alive = false;
		printf("%d CRASH %s %d\n", line, WIFSIGNALED(status) ? "signal" : "exit",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		stop_all(4);
	}
}

static void order(struct worker *w, const struct step *st, int line, struct outcome *out)
{
	dispatch(w, st);
	collect(w, line, out);
}

/* --- The account ------------------------------------------------------- */

static struct file *slot_file(const struct worker *w, int64_t slot)
{
	if (slot < 0 || slot >= SLOTS || w->slot_file[slot] < 0)
		return NULL;
	return &files[w->slot_file[slot]];
}

static struct file *peer_of(const struct file *f)
{
	return f && f->peer >= 0 ? &files[f->peer] : NULL;
}

static uint64_t unread(const struct file *f)
{
	const struct file *g = peer_of(f);

	return g && g->sent > f->taken ? g->sent - f->taken : 0;
}

static uint64_t unsent(const struct file *f)
{
	const struct file *g = peer_of(f);

	return f->sent - (g ? g->taken : 0);
}

static uint64_t zone(const struct file *f, uint64_t normal)
{
	const struct file *g = peer_of(f);

	if (f->shared || (g && g->shared))
		return ZONE_CHILD;
	return f->tuned_snd || f->tuned_rcv || (g && (g->tuned_snd || g->tuned_rcv)) ?
		ZONE_TUNED : normal;
}

/* Is it open what can be read, or how far the ends got? */
static bool vague(const struct file *f)
{
	return f && (f->loose || f->murky || unread(f) > zone(f, ZONE_READ) || unsent(f) > zone(f, ZONE_READ));
}

static int file_new(struct worker *w, int64_t slot, enum kind kind)
{
	int i = file_count;

	if (file_count == FILES) {
		fprintf(stderr, "conform-exec: too many files in one program\n");
		stop_all(2);
	}
	file_count++;
	memset(&files[i], 0, sizeof(files[i]));
	files[i].kind = kind;
	files[i].had = bit_of(w);
	files[i].refs = 1;
	files[i].peer = -1;
	w->slot_file[slot] = i;
	return i;
}

/* A slot of @w's that has the file, or -1; not while @w cannot be asked. */
static int64_t slot_to_ask(const struct worker *w, const struct file *f)
{
	if (!w->alive || w->stopped || w->busy)
		return -1;
	for (int64_t s = 0; s < SLOTS; s++)
		if (w->slot_file[s] >= 0 && &files[w->slot_file[s]] == f)
			return s;
	return -1;
}

/* Small data may wait for an ACK, which may be delayed: let it out. */
static void push(const struct file *f, int line)
{
	struct step st = { .op = OP_PUSH, .argc = 1 };
	struct outcome out;

	for (int i = 0; f && f->kind == KIND_SOCKET && !f->closed && i < WORKERS; i++) {
		st.arg[0] = slot_to_ask(&workers[i], f);
		if (st.arg[0] < 0)
			continue;
		order(&workers[i], &st, line, &out);
		return;
	}
}

static void settle_in(struct worker *w, struct file *f, int64_t slot, int what, uint64_t bytes,
		      int line)
{
	struct step st = { .op = OP_SETTLE, .argc = 3, .arg = { slot, what, 3 }, .want = bytes };
	struct outcome out;

	settles++;
	if (!sleepy) {
		order(w, &st, line, &out);
		if (!out.ret)
			return;
	}
	push(peer_of(f), line);
	if (sleepy) {
		if (!slept)
			nap_us(3000);
		slept = true;
		return;
	}
	/* A connect that found the backlog full may as well stay as it is. */
	st.arg[2] = what == SETTLE_OUT ? 10 : 250;
	order(w, &st, line, &out);
	if (!out.ret)
		return;
	settle_failures++;
	if (getenv("CONFORM_STATS"))
		fprintf(stderr, "conform-exec: program %d line %d: settling for %d in vain\n",
			program, line, what);
}

static void settle(struct file *f, int what, uint64_t bytes, int line)
{
	if (!f || f->closed)
		return;
	for (int i = 0; i < WORKERS; i++) {
		int64_t slot = slot_to_ask(&workers[i], f);

		if (slot >= 0)
			settle_in(&workers[i], f, slot, what, bytes, line);
		else if (workers[i].busy && f->had & 1u << i)
			f->owed |= 1u << what;
	}
}

static void settle_unread(struct file *f, int line)
{
	uint64_t n = f ? unread(f) : 0;

	if (!n)
		return;
	settle(f, SETTLE_BYTES, n < zone(f, ZONE_READ) ? n : zone(f, ZONE_READ), line);
}

/* What could not be asked for while somebody was in a call. */
static void settle_owed(int line)
{
	for (int i = 0; i < file_count; i++) {
		struct file *f = &files[i];
		unsigned int owed = f->owed;

		f->owed = 0;
		if (owed & 1u << SETTLE_BYTES)
			settle_unread(f, line);
		for (int what = SETTLE_IN; what <= SETTLE_HUP; what++)
			if (owed & 1u << what)
				settle(f, what, 0, line);
	}
}

/* @f stopped listening: those whom nobody accepted learn it. */
static void refuse_queued(const struct file *f, int line)
{
	for (int i = 0; i < file_count; i++)
		if (files[i].asked && files[i].peer < 0 && files[i].rport == f->lport)
			settle(&files[i], SETTLE_HUP, 0, line);
}

static void file_put(struct file *f, int line)
{
	struct file *g = peer_of(f);

	if (--f->refs)
		return;
	f->closed = true;
	if (f->kind == KIND_DATAGRAM && f->shared)
		nap_us(5000);	/* That it was the last one may be heard a little later. */
	if (f->kind != KIND_SOCKET)
		return;
	/* Who dies or closes while it waits in a queue is told of once more. */
	for (int i = 0; f->asked && f->peer < 0 && i < file_count; i++)
		files[i].began |= files[i].listening && files[i].lport == f->rport &&
				  (f->shared || f->aged);
	/* Whether its port is the next one's by chance makes no difference. */
	for (int i = 0; f->asked && i < port_seen_count; i++)
		if (port_seen[i] == f->lport)
			port_seen[i] = 0;
	if (f->shared || f->aged)
		nap_us(5000);	/* That it was the last one may be heard a little later. */
	if (f->listening)
		refuse_queued(f, line);
	settle(g, unread(f) || f->linger0 || (g && g->shut_wr) ? SETTLE_HUP : SETTLE_FIN, 0, line);
}

static void slot_drop(struct worker *w, int64_t slot, int line)
{
	struct file *f = slot_file(w, slot);

	if (!f)
		return;
	w->slot_file[slot] = -1;
	file_put(f, line);
}

/* A forked child of @w has what @w has, or is gone. */
static void hold(const struct worker *w, bool on, int line)
{
	for (int i = 0; i < file_count; i++) {
		struct file *f = &files[i];

		if (!(f->had & bit_of(w)) || f->closed || f->held == on)
			continue;
		f->held = on;
		f->shared = true;
		if (on)
			f->refs++;
		else
			file_put(f, line);
	}
}

/* --- Children, and what is handed over --------------------------------------- */

/* The child @c has what its parent has. */
static void born(const struct worker *w, struct worker *c, const struct outcome *out)
{
	c->pid = out->pid;
	c->alive = true;
	c->stopped = c->holding = c->busy = c->threaded = false;
	for (int s = 0; s < SLOTS; s++) {
		struct file *f = slot_file(w, s);

		c->slot_file[s] = w->slot_file[s];
		if (!f)
			continue;
		f->refs++;
		f->shared = true;
		f->had |= bit_of(c);
	}
}

/* What it said last is of no use. */
static void drain(const struct worker *w)
{
	struct pollfd p = { .fd = w->out, .events = POLLIN };
	struct outcome out;

	while (poll(&p, 1, 0) > 0 && p.revents & POLLIN)
		if (!io_read_all(w->out, &out, sizeof(out)))
			break;
}

static void died(struct worker *c, int line)
{
	c->alive = c->stopped = c->busy = false;
	drain(c);
	for (int s = 0; s < SLOTS; s++)
		slot_drop(c, s, line);
	for (int i = 0; i < file_count; i++)
		files[i].had &= ~bit_of(c);
}

static void executed(struct worker *w, const struct outcome *out, int line)
{
	for (int s = 0; s < SLOTS; s++) {
		struct file *f = slot_file(w, s);

		if (f)
			f->shared = f->aged = true;
		if (f && !(out->open >> s & 1))
			slot_drop(w, s, line);
	}
}

static void given(const struct worker *w, struct file *f)
{
	int d = (int)(w - workers) % 2;

	if (!f || flights[d].count == FLIGHTS)
		return;
	f->refs++;
	f->shared = true;
	flights[d].file[(flights[d].first + flights[d].count++) % FLIGHTS] = (int)(f - files);
}

static void taken(struct worker *w, int64_t slot)
{
	int d = 1 - (int)(w - workers) % 2;
	int i;

	if (!flights[d].count)
		return;
	i = flights[d].file[flights[d].first++ % FLIGHTS];
	flights[d].count--;
	w->slot_file[slot] = i;
	files[i].had |= bit_of(w);
}

/* Its listeners begin to be other processes', too. */
static void begin_sharing(const struct worker *w)
{
	for (int i = 0; i < file_count; i++) {
		struct file *f = &files[i];

		if (!(f->had & bit_of(w)))
			continue;
		f->aged = true;
		if (!f->listening || f->rings)
			continue;
		f->rings = true;
		f->began = f->queued > 0;
	}
}

static void account_family(struct worker *w, const struct step *st, const struct outcome *out,
			   int line)
{
	struct worker *c = child_of(w);

	switch (st->op) {
	case OP_FORK: born(w, c, out); break;
	case OP_CHILDEXIT: case OP_CHILDKILL: died(c, line); break;
	case OP_CHILDSTOP: c->stopped = true; break;
	case OP_CHILDCONT: c->stopped = false; break;
	case OP_DAEMON:
		waitpid(w->pid, NULL, 0);
		w->pid = out->pid;
		for (int s = 0; s < SLOTS; s++)
			if (slot_file(w, s))
				slot_file(w, s)->shared = true;
		break;
	case OP_EXEC: executed(w, out, line); break;
	case OP_GIVE: given(w, slot_file(w, st->arg[0])); break;
	case OP_TAKE: taken(w, st->arg[0]); break;
	default: break;
	}
}

static void paired(struct file *n, int index, int line)
{
	for (int i = 0; i < file_count; i++) {
		struct file *f = &files[i];

		if (f == n || f->peer >= 0 || !f->asked || f->lport != n->rport ||
		    f->rport != n->lport)
			continue;
		f->peer = index;
		n->peer = i;
		settle_unread(n, line);
		if (f->closed)
			settle(n, f->linger0 ? SETTLE_HUP : SETTLE_FIN, 0, line);
		else if (f->shut_wr)
			settle(n, SETTLE_FIN, 0, line);
		return;
	}
}

static void connected(struct file *f, const struct step *st, const struct outcome *out, int line)
{
	bool begun = !out->ret || out->err == EINPROGRESS || out->err == EINTR;

	if (st->argc > 3 && st->arg[3] == AF_UNSPEC) {
		struct file *g = peer_of(f);

		if (out->ret)
			return;
		/* Disconnected: as new. What it queued is lost. */
		f->peer = -1;
		f->asked = false;
		if (f->listening)
			refuse_queued(f, line);
		f->listening = false;
		f->sent = 0;
		f->taken = 0;
		settle(g, SETTLE_HUP, 0, line);
		return;
	}
	if (!begun || f->asked)
		return;
	f->asked = true;
	f->lport = out->lport;
	f->rport = (uint16_t)st->arg[2];
	for (int i = 0; i < file_count; i++) {
		if (!files[i].listening || files[i].lport != f->rport)
			continue;
		if (files[i].queued > files[i].backlog)
			f->over = files[i].over = true;
		files[i].queued++;
	}
	if (f->lport == f->rport) {
		f->self = true;
		f->peer = (int)(f - files);
	}
	settle(f, SETTLE_OUT, 0, line);
	for (int i = 0; i < file_count; i++)
		if (files[i].listening && files[i].lport == f->rport)
			settle(&files[i], SETTLE_IN, 0, line);
}

static void shut(struct file *f, int64_t how, int line)
{
	struct file *g = peer_of(f);

	if (f->listening && how != SHUT_WR) {
		f->listening = false;
		refuse_queued(f, line);
	}
	if (how != SHUT_WR)
		f->shut_rd = true;
	if (how == SHUT_RD && !f->shut_wr)
		return;
	f->shut_wr = true;
	/* What a window has held back comes when both ways are shut. */
	if (f->shut_rd && g && unread(f) > zone(f, ZONE_READ))
		f->murky = g->murky = true;
	/* The ACK of its FIN is an edge, too, and may be delayed. */
	for (int i = 0; i < file_count; i++) {
		if (files[i].kind != KIND_EPOLL || !(files[i].had & f->had) || files[i].closed)
			continue;
		nap_us(50000);
		break;
	}
	if (!g)
		return;
	settle(g, g->shut_wr ? SETTLE_HUP : SETTLE_FIN, 0, line);
	if (g->shut_wr || g->closed)
		settle(f, SETTLE_HUP, 0, line);
}

static bool op_sends(int32_t op)
{
	return op == OP_FORKSEND || op == OP_SEND || op == OP_WRITE || op == OP_WRITEV || op == OP_SENDTO ||
		op == OP_SENDMSG || op == OP_SENDFILE || op == OP_FILL;
}

static bool op_receives(int32_t op)
{
	return op == OP_FORKRECV || op == OP_RECV || op == OP_READ || op == OP_READV || op == OP_RECVFROM ||
		op == OP_RECVMSG || op == OP_RECVALL || op == OP_DRAIN;
}

/* Has it flags in arg[2], and MSG_PEEK among them? */
static bool peeks(const struct step *st)
{
	return (st->op == OP_RECV || st->op == OP_RECVFROM || st->op == OP_RECVMSG) &&
		st->arg[2] & MSG_PEEK;
}

static bool op_dups(int32_t op)
{
	return op == OP_DUP || op == OP_DUP2 || op == OP_DUP3 || op == OP_FDUPFD;
}

static struct file *subject(struct worker *w, const struct step *st)
{
	bool second = op_dups(st->op) || st->op == OP_ACCEPT || st->op == OP_ACCEPT4;

	if (st->thread)
		return w->call_file < 0 ? NULL : &files[w->call_file];
	return slot_file(w, st->arg[second ? 1 : 0]);
}

/* Enter into the account what @st did, and settle. */
static void account(struct worker *w, const struct step *st, const struct outcome *out, int line)
{
	struct file *f = subject(w, st);
	struct file *g = peer_of(f);
	int64_t d = st->arg[0];
	int i;

	slept = false;
	if (st->op == OP_CONNECT && f)
		connected(f, st, out, line);
	if (out->ret < 0)
		return;
	if (st->op == OP_GIVE || (st->op >= OP_FORK && st->op <= OP_SPAWN) ||
	    (st->op >= OP_FORKSEND && st->op <= OP_FORKHOLD))
		begin_sharing(w);
	if (op_sends(st->op) && f && out->ret > 0) {
		f->sent += (uint64_t)out->ret;
		f->cut |= st->op != OP_FILL && out->ret < st->arg[1];
		if (g && g->shut_rd && g->shut_wr && !g->closed && unsent(f) > zone(f, ZONE_READ))
			f->murky = g->murky = true;
		/* Who takes nothing more, and said so, answers with RST. */
		if (g && (g->closed || (g->shut_rd && g->shut_wr)))
			settle(f, SETTLE_HUP, 0, line);
		else if (f->kind == KIND_SOCKET)
			settle_unread(g, line);
	}
	if (op_receives(st->op) && f && !peeks(st)) {
		bool was_vague = vague(f);

		f->taken += (uint64_t)out->ret;
		f->loose |= was_vague && f->shut_rd && st->op == OP_RECVALL && unread(f);
		f->loose |= was_vague && st->op != OP_RECVALL && out->ret < st->arg[1] && unread(f);
		if (was_vague)
			settle_unread(f, line);
		if (was_vague && !unread(f) && g && (g->shut_wr || g->closed))
			settle(f, SETTLE_FIN, 0, line);
	}
	if (op_dups(st->op) && f) {
		bool over = st->op == OP_DUP2 || st->op == OP_DUP3;

		i = (int)(f - files);
		if (over && d == st->arg[1])
			return;
		f->refs++;
		if (over)
			slot_drop(w, d, line);
		w->slot_file[d] = i;
	}
	switch (st->op) {
	case OP_SOCKET:
		file_new(w, d, (st->arg[2] & 0xf) == SOCK_DGRAM ? KIND_DATAGRAM : KIND_SOCKET);
		break;
	case OP_EPCREATE: file_new(w, d, KIND_EPOLL); break;
	case OP_PIPE: {
		int r = file_new(w, d, KIND_PIPE);
		int x = file_new(w, st->arg[1], KIND_PIPE);

		files[r].peer = x;
		files[x].peer = r;
		files[r].rport = files[x].lport = (uint16_t)r;
		break;
	}
	case OP_BIND: case OP_DBIND:
		if (f)
			f->lport = out->lport;
		if (st->argc > 3 && st->arg[3] >= PORTREF && st->arg[3] < PORTREF + PORTVARS)
			port_var[st->arg[3] - PORTREF] = out->lport;
		break;
	case OP_LISTEN:
		if (f) {
			f->listening = true;
			f->backlog = st->arg[1] < 0 ? 4096 : st->arg[1];
			f->lport = out->lport;
		}
		break;
	case OP_ACCEPT: case OP_ACCEPT4: {
		i = file_new(w, d, KIND_SOCKET);
		if (f && f->queued)
			f->queued--;
		files[i].lport = out->lport;
		files[i].rport = out->rport;
		files[i].accepted = true;
		files[i].tuned_snd = f && f->tuned_snd;
		files[i].tuned_rcv = f && f->tuned_rcv;
		paired(&files[i], i, line);
		break;
	}
	case OP_FORKSEND: case OP_FORKRECV:
		hold(w, true, line);
		hold(w, false, line);
		break;
	case OP_FORKHOLD: case OP_FORKEND:
		hold(w, false, line);
		if (st->op == OP_FORKHOLD)
			hold(w, true, line);
		w->holding = st->op == OP_FORKHOLD;
		break;
	case OP_SHUTDOWN:
		if (f && f->kind == KIND_SOCKET)
			shut(f, st->arg[1], line);
		break;
	case OP_CLOSE: case OP_CLOSERANGE:
		slot_drop(w, d, line);
		break;
	case OP_EPCTL:
		if (f)
			f->edges |= st->arg[3] & (EPOLLET | EPOLLONESHOT);
		break;
	case OP_SETSOCKOPT:
		if (!f || st->arg[1] != SOL_SOCKET)
			break;
		if (st->arg[2] == SO_LINGER)
			f->linger0 = st->arg[3] && !st->arg[4];
		f->tuned_snd |= st->arg[2] == SO_SNDBUF;
		f->tuned_rcv |= st->arg[2] == SO_RCVBUF;
		break;
	default:
		account_family(w, st, out, line);
		break;
	}
}

/* --- Printing ----------------------------------------------------------- */

static const char *port_name(uint16_t port)
{
	static char name[16];

	if (port < 2)
		return port ? "1" : "0";
	for (int i = 0; i < PORTVARS; i++) {
		if (port_var[i] == port) {
			snprintf(name, sizeof(name), "p%d", i);
			return name;
		}
	}
	for (int i = 0; i <= port_seen_count && i < FILES; i++) {
		if (i < port_seen_count && port_seen[i] != port)
			continue;
		if (i == port_seen_count)
			port_seen[port_seen_count++] = port;
		snprintf(name, sizeof(name), "e%d", i);
		return name;
	}
	return "e?";
}

/* Print @text with its `@N@` by name. */
static void print_text(const char *text)
{
	for (const char *p = text; *p; p++) {
		if (*p != '@') {
			putchar(*p);
			continue;
		}
		fputs(port_name((uint16_t)strtoul(p + 1, (char **)&p, 10)), stdout);
		if (*p != '@')
			return;
	}
}

static bool op_makes_fd(int32_t op)
{
	return op == OP_SOCKET || op == OP_ACCEPT || op == OP_ACCEPT4 || op == OP_EPCREATE ||
		op == OP_TAKE || op_dups(op);
}

/* Is this result one of those that windows and buffers decide? */
static bool outcome_vague(struct worker *w, const struct step *st)
{
	struct file *f = subject(w, st);

	if (f && f->murky && !op_makes_fd(st->op))
		return true;
	switch (st->op) {
	case OP_SEND: case OP_WRITE: case OP_WRITEV: case OP_SENDTO: case OP_SENDMSG:
	case OP_SENDFILE: case OP_FORKSEND:
		return f && f->kind == KIND_SOCKET &&
			unsent(f) + (uint64_t)(st->arg[1] < 0 ? 0 : st->arg[1]) >
			(st->op == OP_FORKSEND ? (uint64_t)ZONE_CHILD : zone(f, ZONE_SEND));
	case OP_RECV: case OP_READ: case OP_READV: case OP_RECVFROM: case OP_RECVMSG:
	case OP_FIONREAD: case OP_FORKRECV:
		return vague(f);
	case OP_RECVALL:
		/* Shut for reading, it ends wherever it overtakes the sender. */
		return f && peer_of(f) && (peer_of(f)->cut || (f->shut_rd && vague(f)));
	case OP_POLL: case OP_SELECT: case OP_EPWAIT: case OP_EPALL:
		/* Whichever it looks at, directly or in a nested set. */
		for (int i = 0; i < file_count; i++)
			if (files[i].had & bit_of(w) && !files[i].closed &&
			    vague(&files[i]))
				return true;
		return false;
	default:
		return false;
	}
}

static bool op_looks(int32_t op)
{
	return op == OP_POLL || op == OP_SELECT || op == OP_EPWAIT || op == OP_EPALL;
}

/* Does it depend on who waits beyond a full backlog? */
static bool outcome_over(const struct worker *w, const struct step *st, const struct file *f)
{
	bool looks = op_looks(st->op);

	if (f && (f->over || (f->peer >= 0 && files[f->peer].over)))
		return true;
	for (int i = 0; i < file_count; i++) {
		if (looks && files[i].over && files[i].had & bit_of(w))
			return true;
		if (st->op == OP_CONNECT && f && !f->asked && files[i].listening &&
		    files[i].lport == (uint16_t)st->arg[2] && files[i].queued > files[i].backlog)
			return true;
	}
	return false;
}

/* Does it depend on a socket that is asked to connect to itself? */
static bool outcome_self(const struct worker *w, const struct step *st, const struct file *f)
{
	bool looks = op_looks(st->op);

	if (f && f->self)
		return true;
	for (int i = 0; looks && i < file_count; i++)
		if (files[i].self && files[i].had & bit_of(w))
			return true;
	return st->op == OP_CONNECT && f && f->lport && f->lport == (uint16_t)st->arg[2];
}

/* Are there edges of a listener that began to be shared while somebody waited, or
 * with one who waited and is gone? */
static bool outcome_begins(const struct worker *w)
{
	bool began = false, edges = false;

	for (int i = 0; i < file_count; i++) {
		if (!(files[i].had & bit_of(w)))
			continue;
		began |= files[i].began;
		edges |= files[i].kind == KIND_EPOLL && files[i].edges;
	}
	return began && edges;
}

/* Does it bind a port that connections have which were accepted there? */
static bool outcome_accepted(const struct step *st)
{
	for (int i = 0; i < file_count && st->op == OP_BIND && st->arg[2]; i++)
		if (files[i].accepted && files[i].lport == (uint16_t)st->arg[2])
			return true;
	return false;
}

/* Is there another connection between the same two ports? */
static bool has_twin(const struct outcome *out)
{
	for (int i = 0; i < file_count; i++)
		if (files[i].accepted && !files[i].closed && files[i].lport == out->lport &&
		    files[i].rport == out->rport)
			return true;
	return false;
}

static void print_outcome(struct worker *w, const struct step *st, const struct outcome *out,
			  bool is_vague, int line)
{
	static const char *const bytes_name[] = { "", " good", " BAD", " void" };
	const struct file *f = subject(w, st);

	printf("%d %s", line, outcome_over(w, st, f) ? "over " :
	       outcome_self(w, st, f) ? "self " : outcome_accepted(st) ? "accepted " :
	       op_looks(st->op) && outcome_begins(w) ? "begins " : "");
	if (is_vague) {
		printf("~%s\n", out->bytes == BYTES_BAD ? " BAD" : "");
		return;
	}
	if (out->ret < 0) {
		const char *name = strerrorname_np(out->err);

		printf("-1 %s", name ? name : "?");
	} else if (op_makes_fd(st->op)) {
		printf("fd");
	} else if (st->op == OP_FILL || (st->op == OP_DRAIN && !strcmp(out->text, " all"))) {
		printf("~");
	} else {
		printf("%lld", (long long)out->ret);
	}
	fputs(bytes_name[out->bytes], stdout);
	if (st->op == OP_GETSOCKOPT && !out->ret && st->arg[1] == SOL_SOCKET && f &&
	    f->kind == KIND_SOCKET && ((st->arg[2] == SO_SNDBUF && !f->tuned_snd) ||
	     (st->arg[2] == SO_RCVBUF && !f->tuned_rcv)))
		printf(" value=~");
	else
		print_text(out->text);
	if ((st->op == OP_ACCEPT || st->op == OP_ACCEPT4) && out->ret >= 0 && has_twin(out))
		printf(" twin");
	if (out->sigpipe)
		printf(" sigpipe=%d", out->sigpipe);
	putchar('\n');
}

/* --- Programs ------------------------------------------------------------ */

static void finish(struct worker *w, const struct step *st, const struct outcome *out,
		   bool is_vague, int line)
{
	if (out->handle >= 0 && out->handle < 3)
		handles[out->handle]++;
	print_outcome(w, st, out, is_vague, line);
	account(w, st, out, line);
}

static void join(struct worker *w)
{
	struct outcome out;

	if (!w->busy)
		return;
	collect(w, w->line, &out);
	w->busy = false;
	finish(w, &w->step, &out, w->vague, w->line);
	settle_owed(w->line);
}

static void prepare(struct worker *w, struct step *st, int line)
{
	const struct file *f = subject(w, st);

	st->again = again;
	/* Where this leads. BIND's fourth argument is the variable itself. */
	if ((st->op == OP_BIND || st->op == OP_CONNECT) && st->arg[2] >= PORTREF &&
	    st->arg[2] < PORTREF + PORTVARS)
		st->arg[2] = port_var[st->arg[2] - PORTREF];
	if (st->op >= OP_DBIND && st->op <= OP_DOVER) {
		int port = st->op == OP_DSEND || st->op == OP_DSENDM ? 5 : 2;

		if (st->arg[port] >= PORTREF && st->arg[port] < PORTREF + PORTVARS)
			st->arg[port] = port_var[st->arg[port] - PORTREF];
		st->key = (uint64_t)line + 1;
		return;
	}
	if (!f)
		return;
	st->want = unread(f);
	if (op_sends(st->op)) {
		st->key = (uint64_t)f->lport << 16 | f->rport;
		st->pos = f->sent;
	} else {
		st->key = (uint64_t)f->rport << 16 | f->lport;
		st->pos = f->taken;
	}
}

static bool destination_taken(const struct worker *w, const struct step *st)
{
	if (st->op == OP_PIPE && slot_file(w, st->arg[1]))
		return true;
	return (op_makes_fd(st->op) || st->op == OP_PIPE) && st->op != OP_DUP2 &&
		st->op != OP_DUP3 && slot_file(w, st->arg[0]);
}

/* Let the second thread of @w go on while others act. */
static void run_thread(struct worker *w, struct step *st, int line)
{
	struct file *f = subject(w, st);
	struct outcome out;

	w->call_file = f ? (int)(f - files) : -1;
	w->call_vague = outcome_vague(w, st);
	if (f)
		f->refs++;
	st->thread = 1;
	w->call = *st;
	w->threaded = true;
	order(w, st, line, &out);
}

static void thread_ended(struct worker *w, const struct outcome *out, int line)
{
	w->threaded = false;
	finish(w, &w->call, out, w->call_vague, line);
	if (w->call_file >= 0)
		file_put(&files[w->call_file], line);
}

/* Not while the second thread is in a call; or only then. */
static bool clashes_thread(const struct worker *w, const struct step *st, bool thread)
{
	if (!w->threaded)
		return st->op == OP_JOIN;
	return thread || st->op == OP_FORKHOLD || st->op == OP_FORKSEND || st->op == OP_FORKRECV ||
		st->op == OP_DAEMON || st->op == OP_EXEC ||
		(op_makes_fd(w->call.op) && (op_makes_fd(st->op) || st->op == OP_PIPE));
}

/* Not with a child, or only then; a child has none of its own. */
static bool clashes_child(const struct worker *w, const struct step *st)
{
	const struct worker *c = child_of(w);

	switch (st->op) {
	case OP_FORK: return is_child(w) || c->alive;
	case OP_DAEMON: return is_child(w) || c->alive || w->holding;
	case OP_FORKHOLD: case OP_FORKEND: return is_child(w);
	case OP_CHILDEXIT: return is_child(w) || !c->alive || c->stopped;
	case OP_CHILDKILL: return is_child(w) || !c->alive;
	case OP_CHILDSTOP: return is_child(w) || !c->alive || c->stopped || c->busy;
	case OP_CHILDCONT: return is_child(w) || !c->stopped;
	case OP_GIVE: return flights[(w - workers) % 2].count == FLIGHTS;
	default: return false;
	}
}

static bool clashes(const struct worker *w, const struct step *st, bool thread)
{
	return !w->alive || w->stopped || destination_taken(w, st) ||
		clashes_thread(w, st, thread) || clashes_child(w, st);
}

/* Before the parent's part in the child's end. */
static void end_child(struct worker *c, const struct step *st)
{
	struct step quit = { .op = OP_QUIT, .argc = 1, .arg = { st->arg[1] } };

	if (st->op == OP_CHILDEXIT) {
		join(c);
		dispatch(c, &quit);
	} else if (st->op == OP_CHILDKILL && c->busy) {
		printf("%d killed\n", c->line);
		c->busy = false;
	}
}

/* The second thread sees each change by itself, also on a busy machine. */
static void wait_thread(const struct worker *w)
{
	char path[64];
	struct dirent *d;
	DIR *dir;

	nap_us(10000);
	snprintf(path, sizeof(path), "/proc/%d/task", w->pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir)))
		if (atoi(d->d_name) > 0 && atoi(d->d_name) != w->pid)
			wait_asleep(w->pid, atoi(d->d_name));
	if (dir)
		closedir(dir);
}

/* A call that the timer is to interrupt is interrupted before anybody does anything else:
 * on a busy machine it may have slept for something else so far. */
static void wait_interrupted(const struct worker *w)
{
	struct pollfd p = { .fd = w->out, .events = POLLIN };

	if (ticking && !again)
		poll(&p, 1, INTERRUPTED_MS);
}

static void run_step(struct worker *w, struct step *st, bool background, bool thread, int line)
{
	struct outcome out;

	join(w);
	if (clashes(w, st, thread)) {
		printf("%d skip\n", line);
		return;
	}
	prepare(w, st, line);
	if (thread) {
		run_thread(w, st, line);
		return;
	}
	if (background) {
		w->vague = outcome_vague(w, st);
		w->busy = true;
		st->background = 1;
		w->step = *st;
		w->line = line;
		dispatch(w, st);
		wait_asleep(w->pid, w->pid);
		wait_interrupted(w);
		return;
	}
	end_child(child_of(w), st);
	order(w, st, line, &out);
	if (st->op == OP_JOIN)
		thread_ended(w, &out, line);
	else
		finish(w, st, &out, outcome_vague(w, st), line);
	for (int i = 0; i < WORKERS; i++)
		if (workers[i].alive && workers[i].threaded)
			wait_thread(&workers[i]);
	for (int i = 0; i < WORKERS; i++)
		if (&workers[i] != w)
			join(&workers[i]);
}

/* Parse `A& op arg...`; false where it is none. */
static bool parse(char *text, int *ret_proc, bool *ret_background, bool *ret_thread,
		  struct step *st)
{
	char *save = NULL;
	char *word = strtok_r(text, " \t\n", &save);

	if (!word || word[0] < 'A' || word[0] >= 'A' + WORKERS ||
	    (word[1] && strcmp(word + 1, "&") != 0 && strcmp(word + 1, "+") != 0))
		return false;
	*ret_proc = word[0] - 'A';
	*ret_background = word[1] == '&';
	*ret_thread = word[1] == '+';
	word = strtok_r(NULL, " \t\n", &save);
	memset(st, 0, sizeof(*st));
	st->op = word ? (int32_t)names_op(word) : OP_COUNT;
	if (st->op >= OP_QUIT)
		return false;
	while ((word = strtok_r(NULL, " \t\n", &save))) {
		if (st->argc == ARGS_MAX || !names_number(word, &st->arg[st->argc]))
			return false;
		st->argc++;
	}
	/* Slots that are made must be slots. */
	if (st->op != OP_POLL && st->op != OP_SELECT && (st->arg[0] < 0 || st->arg[0] >= SLOTS))
		return false;
	return st->op != OP_PIPE || (st->arg[1] >= 0 && st->arg[1] < SLOTS);
}

static void program_end(void)
{
	struct step st = { .op = OP_RESET, .argc = 1, .arg = { program % 4 != 0 } };
	struct outcome out;

	for (int i = 0; i < 2; i++) {
		struct worker *w = &workers[i];

		join(w);
		order(w, &st, -1, &out);
		w->ticks = (uint64_t)out.ret;
		w->threaded = w->holding = false;
		if (child_of(w)->alive)
			drain(child_of(w));
		child_of(w)->alive = child_of(w)->stopped = child_of(w)->busy = false;
		flights[i].count = 0;
	}
	for (int i = 0; i < WORKERS; i++) {
		for (int s = 0; s < SLOTS; s++)
			workers[i].slot_file[s] = -1;
	}
	file_count = 0;
	port_seen_count = 0;
	memset(port_var, 0, sizeof(port_var));
	fflush(stdout);
}

static int run_file(FILE *in)
{
	char text[LINE_MAX_BYTES];
	char copy[LINE_MAX_BYTES];
	int line = 0;

	while (fgets(text, sizeof(text), in)) {
		struct step st;
		bool background;
		bool thread;
		int proc;

		if (text[0] == '#' || text[0] == '\n')
			continue;
		if (!strncmp(text, "seq ", 4)) {
			if (program >= 0)
				program_end();
			program = atoi(text + 4);
			sleepy = strstr(text, " sleep") != NULL;
			again = strstr(text, " again") != NULL;
			line = 0;
			printf("seq %d\n", program);
			fflush(stdout);
			continue;
		}
		strcpy(copy, text);
		if (!parse(copy, &proc, &background, &thread, &st)) {
			fprintf(stderr, "conform-exec: not a step: %s", text);
			stop_all(2);
		}
		run_step(&workers[proc], &st, background, thread, line++);
	}
	if (program >= 0)
		program_end();
	printf("end kernel=%lu ours=%lu ticks=%llu\n", handles[1], handles[2],
	       (unsigned long long)(workers[0].ticks + workers[1].ticks));
	return 0;
}

/* A network of our own, as far as we may; else that of everyone. */
static void leave_network(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr)) {
		perror("conform-exec: lo");
		exit(2);
	}
	close(fd);
}

/* The kernel stamps packets while somebody wants it, from a moment later on: so
 * somebody does all the time. The socket lives as long as this process. */
static void want_timestamps(void)
{
	int on = 1;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof(on)))
		perror("conform-exec: SO_TIMESTAMP");
	nap_us(20000);
}

static void start_workers(void)
{
	const char *mutate = getenv("CONFORM_MUTATE");
	const char *hz = getenv("CONFORM_TIMER_HZ");
	int channel[2];

	ticking = hz && atoi(hz) > 0;
	/* A worker whose parent has ended is waited for here. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (int i = 0; i < WORKERS; i++)
		for (int s = 0; s < SLOTS; s++)
			workers[i].slot_file[s] = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel)) {
		perror("conform-exec: socketpair");
		exit(2);
	}
	for (int i = 0; i < 2; i++)
		spawn(&workers[i], channel[i], mutate ? mutate : "0", hz ? hz : "0");
}

int main(int argc, char **argv)
{
	FILE *in;

	if (argc >= 4 && !strcmp(argv[1], "--worker"))
		return worker_main(0, 1, atoi(argv[2]), atoi(argv[3]), argc > 4 ? argv[4] : NULL);
	if (argc == 3 && !strcmp(argv[1], "--once"))
		return family_once(argv[2]);
	if (argc != 2) {
		fprintf(stderr, "usage: conform-exec PROGRAM\n");
		return 2;
	}
	in = fopen(argv[1], "re");
	if (!in) {
		perror(argv[1]);
		return 2;
	}
	if (getenv("CONFORM_NETNS"))
		leave_network();
	signal(SIGPIPE, SIG_IGN);	/* A worker that died is seen by its outcome. */
	want_timestamps();
	start_workers();
	run_file(in);
	if (getenv("CONFORM_STATS"))
		fprintf(stderr, "conform-exec: %lu settles, %lu in vain\n", settles,
			settle_failures);
	fclose(in);
	for (int i = 0; i < 2; i++) {
		close(workers[i].in);
		waitpid(workers[i].pid, NULL, 0);
	}
	return 0;
}
