/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program of the differential test, as its workers see it.
 *
 * conform-exec reads a text, one step a line: `A recv s1 100 MSG_PEEK`. The
 * coordinator (exec.c) turns each line into a struct step for worker A or B
 * (worker.c), waits for its struct outcome, and prints that in a form that is
 * the same on every right implementation: descriptors and ports lose their
 * numbers, bytes become "good" or "bad".
 */
#ifndef CONFORM_PROGRAM_H
#define CONFORM_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SLOTS = 16,		/* Names s0..s15 in each worker. */
	ARGS_MAX = 20,
	PORTREF = 0x100000,	/* PORTREF + k: the program's port variable pk. */
	PORTVARS = 16,
	STREAM_MAX = 1 << 19,	/* Largest single send or receive, bytes. */
};

#define OPS(X)                                                              \
	X(SOCKET, "socket") X(BIND, "bind") X(LISTEN, "listen")             \
	X(CONNECT, "connect") X(ACCEPT, "accept") X(ACCEPT4, "accept4")     \
	X(GETSOCKNAME, "getsockname") X(GETPEERNAME, "getpeername")         \
	X(SEND, "send") X(WRITE, "write") X(WRITEV, "writev")               \
	X(SENDTO, "sendto") X(SENDMSG, "sendmsg") X(SENDFILE, "sendfile")   \
	X(RECV, "recv") X(READ, "read") X(READV, "readv")                   \
	X(RECVFROM, "recvfrom") X(RECVMSG, "recvmsg")                       \
	X(RECVALL, "recvall") X(FILL, "fill") X(DRAIN, "drain")             \
	X(FIONREAD, "fionread") X(OUTQ, "outq") X(OUTQ0, "outq0")           \
	X(FIONBIO, "fionbio")                                               \
	X(SHUTDOWN, "shutdown") X(CLOSE, "close") X(CLOSERANGE, "closerange") \
	X(DUP, "dup") X(DUP2, "dup2") X(DUP3, "dup3") X(FDUPFD, "fdupfd")   \
	X(FCNTL, "fcntl") X(GETSOCKOPT, "getsockopt")                       \
	X(SETSOCKOPT, "setsockopt") X(POLL, "poll") X(SELECT, "select")     \
	X(EPCREATE, "epcreate") X(EPCTL, "epctl") X(EPWAIT, "epwait")       \
	X(PIPE, "pipe") X(MISC, "misc") X(EPALL, "epall")                   \
	/* Datagrams: */                                                    \
	X(DBIND, "dbind") X(DCONNECT, "dconnect") X(DISCONNECT, "disconnect") \
	X(DNAME, "dname") X(DJOIN, "djoin")                                 \
	X(DSEND, "dsend") X(DSENDM, "dsendm") X(DRECV, "drecv")             \
	X(DRECVM, "drecvm") X(DOVER, "dover")                               \
	/* A forked child, and what a second thread is in: */               \
	X(FORKSEND, "forksend") X(FORKRECV, "forkrecv")                     \
	X(FORKHOLD, "forkhold") X(FORKEND, "forkend") X(JOIN, "join")       \
	/* A child that is a worker as well, and what is handed over: */    \
	X(FORK, "fork") X(CHILDEXIT, "childexit") X(CHILDKILL, "childkill") \
	X(CHILDSTOP, "childstop") X(CHILDCONT, "childcont")                 \
	X(DAEMON, "daemon") X(EXEC, "exec") X(SPAWN, "spawn")               \
	X(GIVE, "give") X(TAKE, "take")                                     \
	/* The coordinator's own: */                                        \
	X(QUIT, "quit")                                                     \
	X(SETTLE, "settle") X(PUSH, "push") X(RESET, "reset")

enum op {
#define X(e, n) OP_##e,
	OPS(X)
#undef X
	OP_COUNT
};

/* Calls that a socket answers with an errno of its own, or that say what it is. */
#define MISCS(X)                                                            \
	X(lseek) X(ftruncate) X(fsync) X(fdatasync) X(pread) X(pwrite)      \
	X(preadv) X(pwritev) X(mmap) X(fchdir) X(getdents) X(fallocate)     \
	X(fadvise) X(readahead) X(fstat) X(fstatfs) X(isatty) X(tcgetattr)  \
	X(winsize) X(epoll_on) X(timerfd_on) X(inotify_on) X(signalfd_on)   \
	X(openat) X(fstatat) X(sockatmark) X(fioclex) X(fionclex)           \
	X(sendfile_from) X(copy_range) X(fpathconf) X(bad_ioctl)

enum misc {
#define X(n) MISC_##n,
	MISCS(X)
#undef X
	MISC_COUNT
};

/* How a datagram is sent and received; which control message goes with it. */
enum form {
	FORM_SEND, FORM_WRITE, FORM_WRITEV, FORM_SENDTO, FORM_SENDMSG,
	FORM_RECV, FORM_READ, FORM_READV, FORM_RECVFROM, FORM_RECVMSG,
};
enum extra {
	CONTROL_TTL, CONTROL_TOS, CONTROL_PKTINFO, CONTROL_HOPLIMIT, CONTROL_TCLASS,
	CONTROL_PKTINFO6, CONTROL_SEGMENT, CONTROL_SHORT,
};

/* ADDR6 + k: an IPv6 address, the kth that programs may name. */
#define ADDR6 ((int64_t)1 << 40)
enum { ADDR6_COUNT = 7 };
extern const char *const address_names[ADDR6_COUNT];

/**
 * struct step - One call, as the coordinator sends it to a worker.
 * @op:   An enum op.
 * @thread: A second thread makes the call; JOIN has its outcome.
 * @again: What only the timer interrupted is made again.
 * @argc: Used entries of @arg.
 * @arg:  As in the program, ports resolved. Slots are indices.
 * @key:  Which byte stream, or datagram: the pattern differs from one to another.
 * @pos:  Bytes of that stream that went before: where the pattern goes on.
 * @want: What recvall, drain and settle wait for, bytes.
 */
struct step {
	int32_t op;
	int32_t argc;
	int32_t thread;
	int32_t again;
	int32_t background;
	int64_t arg[ARGS_MAX];
	uint64_t key;
	uint64_t pos;
	uint64_t want;
};

/* How received bytes compare with the pattern. */
enum bytes { BYTES_NONE, BYTES_GOOD, BYTES_BAD, BYTES_VOID };

/**
 * struct outcome - What a step gave.
 * @ret:     The call's result.
 * @err:     errno, where @ret says that there is one.
 * @sigpipe: SIGPIPEs since the step before.
 * @bytes:   An enum bytes.
 * @lport, @rport: Of the socket that a bind, listen, connect, accept made or
 *           changed; 0 unknown. For pairing and naming only, never compared.
 * @handle:  What a connect or accept made, as a raw system call sees it: 1 a
 *           socket of the kernel's internet, 2 something else, 0 not asked.
 * @pid:     The process that a FORK made, or a DAEMON became.
 * @open:    After EXEC: bits of the slots that are open still.
 * @text:    Further results; `@N@` in it is a port, still by number.
 */
struct outcome {
	int64_t ret;
	int32_t err;
	int32_t sigpipe;
	int32_t bytes;
	uint16_t lport;
	uint16_t rport;
	int32_t handle;
	int32_t pid;
	uint32_t open;
	char text[1400];
};

/* SETTLE: arg[1], what to wait for. */
enum { SETTLE_BYTES, SETTLE_IN, SETTLE_OUT, SETTLE_FIN, SETTLE_HUP };

/**
 * worker_main() - Execute steps from @in until it ends.
 * @in:     Read end of the coordinator's pipe, struct step records.
 * @out:    Write end, struct outcome records.
 * @mutate: Which kind of result to falsify (see worker.c); 0 for none.
 * @hz:     How often a second SIGALRM comes meanwhile; 0: never.
 * @resume: It was a worker already: what EXEC hands over. Else NULL.
 */
int worker_main(int in, int out, int mutate, int hz, const char *resume);

/** names_number() - Value of a token such as `3`, `s3`, `p1`, `A|B`. */
bool names_number(const char *token, int64_t *ret_value);

/** names_op() - The op of that name; OP_COUNT where there is none. */
enum op names_op(const char *name);

/** names_pollbits() - Append the names of poll (or epoll) bits. */
void names_pollbits(char *text, unsigned long size_bytes, uint32_t bits);

/**
 * wait_asleep() - Until thread @tid of @pid sleeps, in the call that it was
 * given; for a bounded time.
 */
void wait_asleep(int pid, int tid);

/** nap_us() - Sleep that long, whatever signals come. */
void nap_us(unsigned long us);

/** io_all() - Read or write a whole record on a pipe; false at its end. */
bool io_read_all(int fd, void *buf, unsigned long size_bytes);
bool io_write_all(int fd, const void *buf, unsigned long size_bytes);

#endif
