// SPDX-License-Identifier: BSD-2-Clause
/*
 * What idle connections cost: instructions, counted one by one in a child that
 * is traced, so that the figures are the same on any machine and under any load.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stack_test.h"

#define FEW 1000u
#define MANY 100000u
#define PEER_NET 0x0a010000u /* 10.1.0.0/16: behind the router */
#define PORTS 1000u	     /* of each of the peer's addresses */
#define STEPS_MAX 1000000u

static struct engine_sock last;

static void segment(uint32_t n, uint8_t flags, uint32_t seq, uint32_t ack, const void *octets,
		    size_t bytes)
{
	uint8_t room[200];
	struct emit out = emit_to(room, sizeof(room));
	struct ipv4 ip = {.src = PEER_NET + 1 + n / PORTS, .dst = US, .proto = IPV4_PROTO_TCP};
	struct tcp_header h = {
		.sport = (uint16_t)(1 + n % PORTS),
		.dport = 80,
		.flags = flags,
		.seq = seq,
		.ack = ack,
		.window = 60000,
	};

	tcp_emit(&out, &h, ip.src, US, checksum_add(0, octets, bytes), bytes);
	emit_copy(&out, octets, bytes);
	stack_ip(&s, &ip, NULL, room, emit_bytes(&out));
}

/* @count connections, with keep-alive, so that each has a timer; then nothing for a second. */
static void make(uint32_t count)
{
	struct engine_config c = stack_config();
	struct engine_sock l;
	struct engine_event ev;

	c.tcps = count;
	c.socks = count + 8;
	c.segs = 64;
	c.ring_bytes = 1u << 20;
	stack_init(&s, &c);
	stack_know(&s, ROUTER);
	l = open_kind(ENGINE_TCP, 1);
	assert_int_equal(engine_set(&s.e, s.now, l, ENGINE_SO_KEEPALIVE, 1), 0);
	assert_int_equal(engine_bind(&s.e, l, 0, 80), 0);
	assert_int_equal(engine_listen(&s.e, l, 8), 0);
	for (uint32_t n = 0; n < count; n++) {
		segment(n, TCP_SYN, 100, 0, NULL, 0);
		assert_true(stack_pull_ip(&s));
		segment(n, TCP_ACK, 101, s.tcp.seq + 1, NULL, 0);
		assert_int_equal(engine_accept(&s.e, s.now, l, 2, &last), 0);
		while (engine_event(&s.e, &ev))
			;
	}
	assert_true(!stack_wait(&s, NS_SEC));
	assert_int_equal(s.e.s->tcps.used, count);
	assert_true(s.e.s->wheel.set >= count);
}

/* What a caller's loop does when it wakes. */
static void poll_once(void)
{
	struct engine_frame f;
	struct engine_event ev;

	s.now += NS_MSEC;
	engine_time(&s.e, s.now);
	(void)engine_output(&s.e, s.now, &f);
	(void)engine_event(&s.e, &ev);
	(void)engine_deadline(&s.e);
}

static void octet_comes(void)
{
	segment(0, TCP_ACK, 101, s.tcp.ack, "x", 1);
}

/* Instructions that @work takes in this process, of which nothing is left afterwards. */
static unsigned instructions_of(void (*work)(void))
{
	unsigned steps = 0;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(77);
		(void)raise(SIGSTOP);
		work();
		(void)raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(); /* nobody may be traced here */
	assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	do {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		steps++;
	} while (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP && steps < STEPS_MAX);
	assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return steps;
}

static void engine_time__idle_connections_cost_nothing(void **state)
{
	unsigned few_poll, many_poll, few_octet, many_octet;

	(void)state;
	make(FEW);
	few_poll = instructions_of(poll_once);
	few_octet = instructions_of(octet_comes);
	stack_end(&s);
	make(MANY);
	many_poll = instructions_of(poll_once);
	many_octet = instructions_of(octet_comes);
	stack_end(&s);
	print_message("%u connections: a poll %u instructions, a segment %u\n"
		      "%u connections: a poll %u instructions, a segment %u\n",
		      FEW, few_poll, few_octet, MANY, many_poll, many_octet);
	/* A hundred times as many: not an eighth more. (How far the wheel's next timer is, and how
	 * long one chain of the hash, make the difference.) */
	assert_true(many_poll <= few_poll + few_poll / 8);
	assert_true(many_octet <= few_octet + few_octet / 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(engine_time__idle_connections_cost_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
