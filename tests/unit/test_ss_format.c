// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/diag.h"
#include "cli/holders.h"
#include "cli/json.h"
#include "cli/kernel.h"
#include "cli/ss_filter.h"
#include "cli/ss_format.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "shm/abi.h"
#include "ss_rows.h"

static char *table(const struct ss_row *rows, size_t n, struct ss_show show)
{
	char *ret = NULL;
	size_t size;
	FILE *f = open_memstream(&ret, &size);

	ss_table(f, rows, n, &show);
	fclose(f);
	return ret;
}

static void ss_table__aligned(void **state)
{
	struct ss_row rows[2] = { row(HALF_OPEN, 40000, 6379), row(HALF_LISTEN, 6379, 0) };
	char *got = table(rows, 2, (struct ss_show){ .tcp = true, .numeric = true,
						     .processes = true });

	(void)state;
	assert_string_equal(
		got,
		"State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Transport Reason "
		"Tx-Bytes Rx-Bytes Process\n"
		"ESTAB  0      0          127.0.0.1:40000    127.0.0.1:6379 shm       -      "
		"100      2000     users:((\"redis-server\",pid=12,fd=7))\n"
		"LISTEN 0      0          127.0.0.1:6379       0.0.0.0:*    shm       -      "
		"100      2000     users:((\"redis-server\",pid=12,fd=7))\n");
	free(got);
}

static void ss_table__options(void **state)
{
	struct ss_row r = row(HALF_OPEN, 80, 40000);
	char *got = table(&r, 1, (struct ss_show){ .no_header = true });

	(void)state;
	assert_memory_equal(got, "tcp ESTAB 0 0 127.0.0.1:", 24);
	assert_null(strstr(got, "users"));
	assert_null(strstr(got, "State"));
	free(got);
	r.fd = -1;
	strcpy(r.process, "a\033[2J");
	got = table(&r, 1, (struct ss_show){ .numeric = true, .processes = true });
	assert_non_null(strstr(got, "users:((\"a?[2J\",pid=12))"));
	assert_memory_equal(got, "Netid", 5);
	free(got);
	r.pid = 0;
	got = table(&r, 1, (struct ss_show){ .processes = true });
	assert_null(strstr(got, "users"));
	free(got);
	got = table(NULL, 0, (struct ss_show){ .no_header = true });
	assert_string_equal(got, "");
	free(got);
	strcpy(r.local, "::1");
	got = table(&r, 1, (struct ss_show){ .numeric = true });
	assert_non_null(strstr(got, "[::1]:80"));
	free(got);
	got = table(&r, 1, (struct ss_show){ .udp = true, .no_header = true });
	assert_memory_equal(got, "ESTAB", 5);
	free(got);
	got = table(&r, 1, (struct ss_show){ .tcp = true, .udp = true, .no_header = true });
	assert_memory_equal(got, "tcp ESTAB", 9);
	free(got);
}

static void ss_table__names(void **state)
{
	struct ss_row r = row(HALF_OPEN, 80, 40000);
	char *got = table(&r, 1, (struct ss_show){ .resolve = true, .no_header = true });

	(void)state;
	assert_non_null(strstr(got, "localhost:http "));
	free(got);
	got = table(&r, 1, (struct ss_show){ .numeric = true, .no_header = true });
	assert_non_null(strstr(got, "127.0.0.1:80 "));
	free(got);
}

static void ss_table__wildcards(void **state)
{
	struct ctl_msg m = message(HALF_LISTEN, 80, 0);
	struct ss_row r;
	char *got;

	(void)state;
	m.row.family = AF_INET6;
	m.row.local |= ADDR_WORD_DUAL;
	assert_true(ss_row_make(&m, &r));
	strcpy(r.local, "::");
	memset(r.local_ip, 0, sizeof(r.local_ip));
	got = table(&r, 1, (struct ss_show){ .numeric = true, .no_header = true, .extended = true });
	assert_non_null(strstr(got, " *:80 "));
	assert_non_null(strstr(got, " *:* "));
	assert_non_null(strstr(got, " v6only:0"));
	free(got);
	r.dual = false;
	got = table(&r, 1, (struct ss_show){ .numeric = true, .no_header = true, .extended = true });
	assert_non_null(strstr(got, " [::]:80 "));
	assert_non_null(strstr(got, " [::]:* "));
	assert_non_null(strstr(got, " v6only:1"));
	free(got);
	r = row(HALF_LISTEN, 80, 0);
	got = table(&r, 1, (struct ss_show){ .numeric = true, .no_header = true, .extended = true });
	assert_null(strstr(got, "v6only"));
	free(got);
}

static void ss_table__one_state(void **state)
{
	struct ss_filter f = { .states = 1u << 1, .root = -1 };
	struct ss_row r = row(HALF_OPEN, 80, 40000);
	char *got = table(&r, 1, (struct ss_show){ .tcp = true, .filter = &f });

	(void)state;
	assert_memory_equal(got, "Recv-Q", 6);
	assert_null(strstr(got, "ESTAB"));
	free(got);
	f.states |= 1u << 10;
	got = table(&r, 1, (struct ss_show){ .tcp = true, .filter = &f });
	assert_memory_equal(got, "State", 5);
	free(got);
}

static void ss_table__details(void **state)
{
	struct ss_row r = row(HALF_OPEN, 80, 40000);
	char *got;

	(void)state;
	r.recv_q = 17;
	r.send_q = 4096;
	r.rcvbuf = 8192;
	r.sndbuf = 65536;
	r.tx_ring = 16384;
	r.rx_ring = 32768;
	r.drops = 3;
	r.wakes = 5;
	r.sleeps = 6;
	r.spins = 7;
	r.cpu = 2;
	r.age_ns = 1234567890;
	r.cookie = 0xabc;
	r.shared = true;
	r.users[0] = (struct ss_user){ .inode = 99, .pid = 12, .fd = 4, .process = "a" };
	r.user_count = 1;
	got = table(&r, 1, (struct ss_show){ .extended = true });
	assert_non_null(strstr(got, " 2000     uid:1000 ino:99 sk:abc shared\n"));
	free(got);
	got = table(&r, 1, (struct ss_show){ .memory = true });
	assert_non_null(strstr(got, "\n\t skmem:(r17,rb8192,t4096,tb65536,f12288,w4096,o0,bl0,d3)"
				    " ring:(rx32768,tx16384)\n"));
	free(got);
	got = table(&r, 1, (struct ss_show){ .info = true });
	assert_non_null(strstr(got, "\n\t shm fill:(rx0%,tx25%) wakes:5 sleeps:6 spins:7 drops:3 "
				    "cpu:1 age:1.234s\n"));
	free(got);
	got = table(&r, 1, (struct ss_show){ .info = true, .memory = true, .oneline = true,
					     .processes = true, .no_header = true });
	assert_ptr_equal(strchr(got, '\n'), got + strlen(got) - 1);
	assert_non_null(strstr(got, "fd=4)) skmem:(r17"));
	assert_non_null(strstr(got, "tx16384) shm fill:"));
	free(got);
	r.state = "LISTEN"; /* Its queues are connections, not bytes. */
	got = table(&r, 1, (struct ss_show){ .info = true, .memory = true });
	assert_non_null(strstr(got, "skmem:(r0,"));
	assert_non_null(strstr(got, " shm wakes:5"));
	free(got);
	r.transport = "kernel";
	r.reason = "datagram";
	r.has_skmem = true;
	for (uint32_t i = 0; i < SS_SKMEM_COUNT; i++)
		r.skmem[i] = i + 1;
	got = table(&r, 1, (struct ss_show){ .memory = true });
	assert_non_null(strstr(got, "\n\t skmem:(r1,rb2,t3,tb4,f5,w6,o7,bl8,d9)\n"));
	free(got);
	r.has_skmem = false;
	got = table(&r, 1, (struct ss_show){ .info = true, .memory = true });
	assert_non_null(strstr(got, "\n\t skmem:(r0,w0,d3) kernel reason:datagram drops:3\n"));
	free(got);
}

static void ss_table__colours(void **state)
{
	struct ss_row r = row(HALF_OPEN, 80, 40000);
	char *got = table(&r, 1, (struct ss_show){ .color = true });

	(void)state;
	assert_memory_equal(got, "\033[1mNetid", 9);
	assert_non_null(strstr(got, "\033[32mshm       -     \033[0m"));
	free(got);
}

static void ss_summary__lines(void **state)
{
	struct ss_row rows[5] = { row(HALF_OPEN, 80, 40000), row(HALF_LISTEN, 80, 0),
				  row(HALF_CLOSED, 80, 1), row(HALF_BOUND, 9, 0),
				  row(HALF_OPEN, 5353, 0) };
	char *got = NULL;
	size_t size;
	FILE *f = open_memstream(&got, &size);

	(void)state;
	rows[0].tx_ring = 16384;
	rows[0].send_q = 5;
	rows[1].send_q = 128;
	rows[4].netid = "udp";
	rows[4].transport = "kernel";
	rows[4].reason = "datagram";
	rows[4].family = AF_INET6;
	rows[4].drops = 2;
	ss_summary(f, "lab", rows, 5);
	fclose(f);
	assert_string_equal(got, "Domain: lab\n"
				 "Total:  5\n"
				 "TCP:    4 (estab 1, listening 1, closed 1, other 1)\n"
				 "UDP:    1 (estab 1)\n"
				 "\n"
				 "Transport Total     IP        IPv6\n"
				 "shm       4         4         0\n"
				 "kernel    1         0         1\n"
				 "\n"
				 "Rings:   16384 bytes, 5 queued\n"
				 "Drops:   2\n"
				 "Reasons: datagram 1\n");
	free(got);
	f = open_memstream(&got, &size);
	ss_summary_json(f, "lab", rows, 5);
	fclose(f);
	assert_non_null(strstr(got, "{\"domain\":\"lab\",\"total\":5,\"tcp\":{\"total\":4,\"estab\":1,"
				    "\"listening\":1,\"closed\":1,\"other\":1},\"udp\":{\"total\":1,"
				    "\"estab\":1},\"shm\":{\"total\":4,\"inet\":4,\"inet6\":0},"
				    "\"kernel\":{\"total\":1,\"inet\":0,\"inet6\":1},\"ring_bytes\":16384,"
				    "\"queued\":5,\"drops\":2,\"reasons\":{\"no-listener\":0,"));
	free(got);
	f = open_memstream(&got, &size);
	ss_summary(f, "lab", NULL, 0);
	fclose(f);
	assert_non_null(strstr(got, "Reasons: none\n"));
	free(got);
}

static void ss_json__fields(void **state)
{
	struct ss_row rows[2] = { row(HALF_OPEN, 6379, 40000), row(HALF_OPEN, 80, 40000) };
	struct ss_show show = { 0 };
	char *got = NULL;
	size_t size;
	FILE *f;

	(void)state;
	rows[1].transport = "kernel";
	rows[1].reason = "accepted";
	rows[0].tx_ring = 16384;
	rows[0].age_ns = 1500000000;
	rows[1].family = AF_INET6;
	rows[1].fd = -1;
	rows[1].inode = 5;
	rows[1].cookie = 6;
	rows[1].drops = 4;
	rows[1].shared = true;
	f = open_memstream(&got, &size);
	ss_json(f, "default", rows, 2, &show);
	fclose(f);
	assert_string_equal(
		got,
		"{\"domain\":\"default\",\"sockets\":[\n"
		"{\"netid\":\"tcp\",\"state\":\"ESTAB\",\"recv_q\":0,\"send_q\":0,"
		"\"local_address\":\"127.0.0.1\",\"local_port\":6379,"
		"\"peer_address\":\"127.0.0.1\",\"peer_port\":40000,\"transport\":\"shm\","
		"\"reason\":null,\"pid\":12,\"process\":\"redis-server\",\"uid\":1000,"
		"\"tx_bytes\":100,\"rx_bytes\":2000,\"wakes\":0,\"sleeps\":0,\"spins\":0,"
		"\"family\":\"inet\",\"fd\":7,\"inode\":0,\"cookie\":0,\"sndbuf\":0,\"rcvbuf\":0,"
		"\"tx_ring\":16384,\"rx_ring\":0,\"drops\":0,\"age_ms\":1500,\"shared\":false},\n"
		"{\"netid\":\"tcp\",\"state\":\"ESTAB\",\"recv_q\":0,\"send_q\":0,"
		"\"local_address\":\"127.0.0.1\",\"local_port\":80,"
		"\"peer_address\":\"127.0.0.1\",\"peer_port\":40000,\"transport\":\"kernel\","
		"\"reason\":\"accepted\",\"pid\":12,\"process\":\"redis-server\",\"uid\":1000,"
		"\"tx_bytes\":100,\"rx_bytes\":2000,\"wakes\":0,\"sleeps\":0,\"spins\":0,"
		"\"family\":\"inet6\",\"fd\":-1,\"inode\":5,\"cookie\":6,\"sndbuf\":0,\"rcvbuf\":0,"
		"\"tx_ring\":0,\"rx_ring\":0,\"drops\":4,\"age_ms\":0,\"shared\":true}\n]}\n");
	free(got);
	rows[1].users[0] = (struct ss_user){ .pid = 3, .fd = 4, .process = "a\"b" };
	rows[1].user_count = 1;
	show.processes = true;
	f = open_memstream(&got, &size);
	ss_json(f, "default", rows, 2, &show);
	fclose(f);
	assert_non_null(strstr(got, ",\"shared\":false,\"users\":[]},\n"));
	assert_non_null(strstr(got, ",\"users\":[{\"process\":\"a\\\"b\",\"pid\":3,\"fd\":4}]}\n]}\n"));
	free(got);
	f = open_memstream(&got, &size);
	ss_json(f, "default", NULL, 0, &show);
	fclose(f);
	assert_string_equal(got, "{\"domain\":\"default\",\"sockets\":[]}\n");
	free(got);
}

static void json_string__escapes(void **state)
{
	char *got = NULL;
	size_t size;
	FILE *f = open_memstream(&got, &size);

	(void)state;
	json_string(f, "a\"\\\n\xff z");
	json_string(f, NULL);
	fclose(f);
	assert_string_equal(got, "\"a\\\"\\\\\\u000a? z\"null");
	free(got);
}

static void kernel_line__both_families(void **state)
{
	struct ss_row r = { 0 };

	(void)state;
	assert_true(kernel_line("   0: 0100007F:18EB 0200007F:0050 08 00000003:00000011 00:00000000 "
				"00000000  1000        0 77123 1 0000000000000000 100 0 0 10 0",
				"tcp", &r));
	assert_string_equal(r.local, "127.0.0.1");
	assert_int_equal(r.local_port, 6379);
	assert_string_equal(r.peer, "127.0.0.2");
	assert_int_equal(r.peer_port, 80);
	assert_string_equal(r.state, "CLOSE-WAIT");
	assert_int_equal(r.send_q, 3);
	assert_int_equal(r.recv_q, 17);
	assert_int_equal(r.uid, 1000);
	assert_int_equal(r.inode, 77123);
	assert_true(kernel_line("   1: 00000000000000000000000001000000:0050 "
				"00000000000000000000000000000000:0000 0A 00000000:00000000 "
				"00:00000000 00000000     0        0 9 1 0 100 0 0 10 0",
				"tcp", &r));
	assert_string_equal(r.local, "::1");
	assert_int_equal(r.family, AF_INET6);
	assert_int_equal(r.local_ip[15], 1);
	assert_string_equal(r.state, "LISTEN");
	assert_int_equal(r.drops, 0);
	assert_true(kernel_line("  400: 0100007F:0035 00000000:0000 07 00000000:00000900 00:00000000 "
				"00000000     0        0 15 2 0000000000000000 42\n", "udp", &r));
	assert_string_equal(r.state, "UNCONN");
	assert_int_equal(r.drops, 42);
	assert_int_equal(r.local_ip[10], 0xff);
	assert_int_equal(r.local_ip[12], 127);
}

static void kernel_line__refuses(void **state)
{
	struct ss_row r = { .inode = 5 };

	(void)state;
	assert_false(kernel_line("  sl  local_address rem_address   st tx_queue rx_queue", "tcp", &r));
	assert_false(kernel_line("", "tcp", &r));
	assert_false(kernel_line("0: 0100:18EB 0200007F:0050 08 3:11 0:0 0 0 0 77", "tcp", &r));
	assert_int_equal(r.inode, 5);
	assert_null(r.state);
}

static void put(const char *proc, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", proc, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static char proc[32];

static int proc_make(void **state)
{
	static const char *const dirs[] = { "net", "12", "12/fd", "13", "13/fd" };
	char path[128];

	(void)state;
	strcpy(proc, "/tmp/test_ss_XXXXXX");
	assert_non_null(mkdtemp(proc));
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s", proc, dirs[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	put(proc, "12/comm", "redis-server\n");
	put(proc, "13/comm", "child\n");
	return 0;
}

static int proc_remove(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", proc);
	return system(command); /* NOLINT(cert-env33-c): a fixed name below /tmp */
}

static void holds(const char *fd, const char *what)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", proc, fd);
	assert_int_equal(symlink(what, path), 0);
}

static void kernel_fill__by_inode(void **state)
{
	struct ss_row rows[2] = { row(HALF_OPEN, 1, 2), row(HALF_OPEN, 3, 4) };

	(void)state;
	put(proc, "net/tcp",
	    "   0: 0100007F:18EB 0200007F:0050 0A 00000000:00000000 00:00000000 00000000  1000 0 "
	    "77123 1 0\n");
	rows[0].transport = "kernel";
	rows[0].inode = 77123;
	kernel_fill(proc, rows, 2);
	assert_string_equal(rows[0].state, "LISTEN");
	assert_int_equal(rows[0].local_port, 6379);
	assert_string_equal(rows[0].process, "redis-server");
	assert_int_equal(rows[1].local_port, 3);
}

static void kernel_fill__under_datagrams(void **state)
{
	struct ss_row rows[3] = { row(HALF_BOUND, 53, 0), row(HALF_BOUND, 54, 0),
				  row(HALF_BOUND, 55, 0) };

	(void)state;
	put(proc, "net/udp",
	    " 1: 0100007F:0035 00000000:0000 07 00000000:00000900 00:00000000 00000000 0 0 15 2 0 42\n"
	    " 2: 0100007F:0036 00000000:0000 07 00000000:00000001 00:00000000 00000000 0 0 16 2 0 1\n"
	    " 3: 0100007F:0036 00000000:0000 07 00000000:00000001 00:00000000 00000000 0 0 17 2 0 1\n"
	    " 4: 0200007F:0037 00000000:0000 07 00000000:00000001 00:00000000 00000000 0 0 18 2 0 1\n");
	for (size_t i = 0; i < 3; i++) {
		rows[i].netid = "udp";
		rows[i].recv_q = 5;
		rows[i].drops = 1;
		rows[i].handle = 9;
	}
	kernel_fill(proc, rows, 3);
	assert_int_equal(rows[0].inode, 15);
	assert_int_equal(rows[0].recv_q, 5 + 0x900);
	assert_int_equal(rows[0].drops, 43);
	assert_int_equal(rows[0].handle, 0);
	/* Of two with one address, and of none, nothing is said. */
	for (size_t i = 1; i < 3; i++) {
		assert_int_equal(rows[i].inode, 0);
		assert_int_equal(rows[i].recv_q, 5);
		assert_int_equal(rows[i].handle, 9);
	}
}

static void diag_message__skmem(void **state)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_msg m;
		struct rtattr a;
		uint32_t mem[9];
	} m = { .h = { .nlmsg_len = sizeof(m) }, .m = { .idiag_inode = 77 },
		.a = { .rta_len = sizeof(m.a) + sizeof(m.mem), .rta_type = INET_DIAG_SKMEMINFO },
		.mem = { 1, 2, 3, 4, 5, 6, 7, 8, 9 } };
	struct ss_row rows[2] = { row(HALF_OPEN, 1, 2), row(HALF_OPEN, 3, 4) };

	(void)state;
	rows[0].inode = 76;
	rows[1].inode = 77;
	/* Cut off anywhere: nothing. */
	for (size_t n = 0; n < sizeof(m); n++) {
		diag_message(&m.h, n, rows, 2);
		m.h.nlmsg_len = (uint32_t)n;
		diag_message(&m.h, n, rows, 2);
		m.h.nlmsg_len = sizeof(m);
		assert_false(rows[1].has_skmem);
	}
	m.a.rta_len -= 4;
	diag_message(&m.h, sizeof(m), rows, 2);
	assert_false(rows[1].has_skmem);
	m.a.rta_len += 4;
	diag_message(&m.h, sizeof(m), rows, 2);
	assert_true(rows[1].has_skmem && !rows[0].has_skmem);
	assert_int_equal(rows[1].skmem[8], 9);
}

static void diag_fill__of_a_socket(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(LOOPBACK) } };
	struct ss_row r = row(HALF_LISTEN, 1, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(fstat(fd, &st), 0);
	r.inode = st.st_ino;
	diag_fill(&r, 1);
	close(fd);
	if (!r.has_skmem)
		skip(); /* A kernel without inet_diag. */
	assert_true(r.skmem[1] > 0); /* It has a buffer. */
}

static void holders_fill__all_of_them(void **state)
{
	struct holder_key keys[] = { { 500, 3, 9 }, { 77124, 3, 7 }, { 501, 2, 7 } };
	struct ss_row rows[3] = { row(HALF_OPEN, 1, 2), row(HALF_OPEN, 3, 4),
				  row(HALF_OPEN, 5, 6) };
	char *got;

	(void)state;
	holds("12/fd/9", "socket:[77123]");
	holds("12/fd/8", "socket:[77124]");
	holds("13/fd/8", "socket:[77124]");
	holds("13/fd/1", "/dev/null");
	rows[0].inode = 77123;
	rows[1].party = 3;
	rows[1].handle = 7 + 1;
	rows[2].fd = -1;
	rows[2].party = 3;
	rows[2].handle = 8 + 1;
	holders_fill(proc, keys, 3, rows, 3);
	got = table(rows, 3, (struct ss_show){ .tcp = true, .numeric = true, .processes = true });
	assert_non_null(strstr(got, "users:((\"redis-server\",pid=12,fd=9))\n"));
	assert_non_null(strstr(got, "users:((\"redis-server\",pid=12,fd=8),"
				    "(\"child\",pid=13,fd=8))\n"));
	assert_non_null(strstr(got, "users:((\"redis-server\",pid=12))\n"));
	free(got);
}

static void holders_fill__two_domains_of_one_name(void **state)
{
	struct holder_key keys[] = { { 600, 3, 7 }, { 601, 3, 7 } };
	struct ss_row own = row(HALF_OPEN, 1, 2), strange = row(HALF_OPEN, 1, 2);

	(void)state;
	holds("12/fd/20", "socket:[601]");
	holds("13/fd/20", "socket:[600]");
	own.party = strange.party = 3;
	own.handle = strange.handle = 8;
	strange.pid = 99;
	holders_fill(proc, keys, 2, &own, 1);
	assert_int_equal(own.user_count, 1);
	assert_int_equal(own.users[0].pid, 12);
	holders_fill(proc, keys, 2, &strange, 1);
	assert_int_equal(strange.user_count, 0);
}

static void holders_name__takes_apart(void **state)
{
	static const char good[] = "\0mortise/402/lab/12/34", more[] = "\0mortise/402/lab/12/34/9.1";
	static const char *const bad[] = { "mortise/402/lab/12/34", "\0mortise/403/lab/12/34",
					   "\0mortise/402/lap/12/34", "\0mortise/402/lab/12",
					   "\0mortise/402/lab/12/", "\0mortise/402/lab//34",
					   "\0mortise/402/lab/12/34x", "\0mortise/402/lab/-1/34" };
	struct holder_key k = { 0 };
	char longest[200] = "";

	(void)state;
	assert_true(holders_name(good, sizeof(good) - 1, 402, "lab", &k));
	assert_int_equal(k.party, 12);
	assert_int_equal(k.handle, 34);
	assert_true(holders_name(more, sizeof(more) - 1, 402, "lab", &k));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(holders_name(bad[i], 1 + strlen(bad[i] + 1), 402, "lab", &k));
	assert_false(holders_name(longest, sizeof(longest), 402, "lab", &k));
	assert_false(holders_name("", 0, 402, "lab", &k));
}

static struct ctl_msg status_message(void)
{
	struct ctl_msg m = { .type = CTL_STATUS | CTL_REPLY };

	m.status.version = 1;
	m.status.policy = POLICY_SHARE;
	m.status.daemon_pid = 11;
	m.status.keeper_pid = 10;
	m.status.clients = 2;
	m.status.connections = 3;
	m.status.opened = 30;
	m.status.bytes = 12345678;
	m.status.fallbacks[REASON_NO_LISTENER] = 4;
	m.status.fallbacks[REASON_OPTION] = 1;
	m.status.fallbacks[31] = 9; /* of a later version: no word here */
	m.status.started_ns = 1000000000;
	strcpy(m.status.domain, "lab");
	m.status.linger_s = 10;
	return m;
}

static void status_text__lines(void **state)
{
	struct ctl_msg m = status_message();
	char *got = NULL;
	size_t size;
	FILE *f = open_memstream(&got, &size);

	(void)state;
	status_text(f, &m, 4500000000);
	fclose(f);
	assert_string_equal(got, "domain        lab\n"
				 "policy        share\n"
				 "daemon        pid 11, keeper 10, up 3 s\n"
				 "stays         10 s after its last program\n"
				 "clients       2\n"
				 "connections   3 open, 30 since it began\n"
				 "listeners     0\n"
				 "memory        12.3 MB sent through it\n"
				 "fallbacks     no-listener 4, option 1\n");
	free(got);
	memset(m.status.fallbacks, 0, sizeof(m.status.fallbacks));
	f = open_memstream(&got, &size);
	status_text(f, &m, 0);
	fclose(f);
	assert_non_null(strstr(got, "up 0 s"));
	assert_non_null(strstr(got, "fallbacks     none\n"));
	free(got);
	m.status.linger_s = CTL_LINGER_MAX;
	f = open_memstream(&got, &size);
	status_text(f, &m, 0);
	fclose(f);
	assert_non_null(strstr(got, "stays         until `mortise down`\n"));
	free(got);
	f = open_memstream(&got, &size);
	status_json(f, &m, 0);
	fclose(f);
	assert_non_null(strstr(got, "\"stays_s\":null,"));
	free(got);
}

static void status_json__fields(void **state)
{
	struct ctl_msg m = status_message();
	char *got = NULL;
	size_t size;
	FILE *f = open_memstream(&got, &size);

	(void)state;
	status_json(f, &m, 4500000000);
	fclose(f);
	assert_non_null(strstr(got, "{\"domain\":\"lab\",\"policy\":\"share\",\"version\":1,"
				    "\"daemon_pid\":11,\"keeper_pid\":10,\"up_s\":3,\"stays_s\":10,"));
	assert_non_null(strstr(got, "\"bytes\":12345678,"));
	assert_non_null(strstr(got, "\"fallbacks\":{\"no-listener\":4,\"remote\":0,"));
	assert_non_null(strstr(got, "\"reuseport\":0,\"identity\":0}}\n"));
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ss_table__aligned),
		cmocka_unit_test(ss_table__options),
		cmocka_unit_test(ss_table__names),
		cmocka_unit_test(ss_table__wildcards),
		cmocka_unit_test(ss_table__one_state),
		cmocka_unit_test(ss_table__details),
		cmocka_unit_test(ss_table__colours),
		cmocka_unit_test(ss_summary__lines),
		cmocka_unit_test(ss_json__fields),
		cmocka_unit_test(json_string__escapes),
		cmocka_unit_test(kernel_line__both_families),
		cmocka_unit_test(kernel_line__refuses),
		cmocka_unit_test_setup_teardown(kernel_fill__by_inode, proc_make, proc_remove),
		cmocka_unit_test_setup_teardown(kernel_fill__under_datagrams, proc_make, proc_remove),
		cmocka_unit_test(diag_message__skmem),
		cmocka_unit_test(diag_fill__of_a_socket),
		cmocka_unit_test_setup_teardown(holders_fill__all_of_them, proc_make, proc_remove),
		cmocka_unit_test_setup_teardown(holders_fill__two_domains_of_one_name, proc_make,
						proc_remove),
		cmocka_unit_test(holders_name__takes_apart),
		cmocka_unit_test(status_text__lines),
		cmocka_unit_test(status_json__fields),
	};

	return cmocka_run_group_tests_name("ss_format", tests, NULL, NULL);
}
