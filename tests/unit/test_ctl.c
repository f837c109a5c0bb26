/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/client.h"

static char base[64];

static int setup(void **state)
{
	(void)state;
	strcpy(base, "/tmp/mortise-test-XXXXXX");
	if (!mkdtemp(base))
		return -1;
	return setenv("MORTISE_DIR", base, 1);
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", base);
	return system(cmd);
}

/* ------------------------------------------------------------------- dir */

static void domain_valid__accepts_and_refuses(void **state)
{
	(void)state;
	assert_true(ctl_domain_valid("a"));
	assert_true(ctl_domain_valid("default"));
	assert_true(ctl_domain_valid("a-1-b"));
	assert_true(ctl_domain_valid("abcdefghijklmnopqrstuvwxyz012345"));
	assert_false(ctl_domain_valid("abcdefghijklmnopqrstuvwxyz0123456"));
	assert_false(ctl_domain_valid(""));
	assert_false(ctl_domain_valid(NULL));
	assert_false(ctl_domain_valid("1a"));
	assert_false(ctl_domain_valid("-a"));
	assert_false(ctl_domain_valid("A"));
	assert_false(ctl_domain_valid("a/b"));
	assert_false(ctl_domain_valid("a.."));
}

static void dir__is_made_private(void **state)
{
	char dir[PATH_MAX];
	struct stat st;

	(void)state;
	assert_int_equal(ctl_dir("default", dir, sizeof(dir)), 0);
	assert_int_equal(strncmp(dir, base, strlen(base)), 0);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	/* Found as well as made. */
	assert_int_equal(ctl_dir("default", dir, sizeof(dir)), 0);
}

static void dir__refuses_what_is_not_its_own(void **state)
{
	char dir[PATH_MAX], other[PATH_MAX + 8];

	(void)state;
	assert_int_equal(ctl_dir("a/b", dir, sizeof(dir)), -EINVAL);
	assert_int_equal(ctl_dir("default", dir, 8), -ENAMETOOLONG);
	assert_int_equal(ctl_dir("default", dir, sizeof(dir)), 0);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(ctl_dir("default", dir, sizeof(dir)), -EPERM);
	assert_int_equal(rmdir(dir), 0);
	snprintf(other, sizeof(other), "%s/other", base);
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(symlink(other, dir), 0);
	assert_int_equal(ctl_dir("default", dir, sizeof(dir)), -EPERM);
	assert_int_equal(unlink(dir), 0);
	assert_int_equal(close(open(dir, O_CREAT | O_WRONLY, 0600)), 0);
	assert_int_equal(ctl_dir("default", dir, sizeof(dir)), -EPERM);
	unlink(dir);
	assert_int_equal(chmod(base, 0777), 0);
	assert_int_equal(ctl_dir("default", dir, sizeof(dir)), -EPERM);
	assert_int_equal(chmod(base, 0700), 0);
}

static void dir__refuses_another_owner(void **state)
{
	char dir[PATH_MAX];

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(ctl_dir("default", dir, sizeof(dir)), 0);
	assert_int_equal(chown(dir, 65534, 65534), 0);
	assert_int_equal(ctl_dir("default", dir, sizeof(dir)), -EPERM);
	assert_int_equal(chown(dir, 0, 0), 0);
}

static void address__goes_through_a_descriptor_when_long(void **state)
{
	struct sockaddr_un un;
	char dir[PATH_MAX];
	int fd, s;

	(void)state;
	snprintf(dir, sizeof(dir), "%s/%0100d", base, 7);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(ctl_address(dir, "ctl", &un, &fd), 0);
	assert_true(fd >= 0);
	s = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_int_equal(bind(s, (struct sockaddr *)&un, sizeof(un)), 0);
	close(s);
	close(fd);
	assert_int_equal(ctl_address(base, "ctl", &un, &fd), 0);
	assert_int_equal(fd, -1);
}

static void connect__without_a_daemon(void **state)
{
	(void)state;
	assert_int_equal(ctl_connect("nobody"), -ENOENT);
	assert_int_equal(ctl_connect("No"), -EINVAL);
}

static void start__without_mortised(void **state)
{
	(void)state;
	unsetenv("MORTISED");
	assert_int_equal(ctl_start("nobody", NULL, NULL), -ENOENT);
	assert_int_equal(ctl_start("No", NULL, NULL), -EINVAL);
	setenv("MORTISED", "/bin/false", 1);
	assert_int_equal(ctl_start("nobody", NULL, NULL), -ECHILD);
	unsetenv("MORTISED");
}

/* --------------------------------------------------------------- channel */

static void pair(int *fds)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
}

static unsigned open_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void bytes__of_each_type(void **state)
{
	(void)state;
	assert_int_equal(ctl_bytes(CTL_HELLO), CTL_BYTES(hello));
	assert_int_equal(ctl_bytes(CTL_LEASE), CTL_HEADER_BYTES);
	assert_int_equal(ctl_bytes(CTL_LEASE | CTL_REPLY), CTL_BYTES(lease));
	assert_int_equal(ctl_bytes(0), 0);
	assert_int_equal(ctl_bytes(63), 0);
	for (unsigned t = 0; t < 0x10000; t++)
		assert_true(ctl_bytes((uint16_t)t) <= sizeof(struct ctl_msg));
}

static void channel__carries_records_and_descriptors(void **state)
{
	struct ctl_msg m = { .version = CTL_VERSION, .type = CTL_PEER, .len = CTL_BYTES(peer),
			     .seq = 9, .peer = { .id = 3, .gen = 4 } };
	int fds[2], got[4];
	unsigned n = 4;
	struct ctl_msg r;

	(void)state;
	pair(fds);
	assert_int_equal(ctl_send(fds[0], &m, (int[]){ 0, 1 }, 2), 0);
	assert_int_equal(ctl_recv(fds[1], &r, got, &n, 1000), 0);
	assert_int_equal(n, 2);
	assert_int_equal(r.seq, 9);
	assert_int_equal(r.peer.id, 3);
	assert_int_equal(fcntl(got[0], F_GETFD), FD_CLOEXEC);
	close(got[0]);
	close(got[1]);
	/* What has no room is closed. */
	n = open_fds();
	assert_int_equal(ctl_send(fds[0], &m, (int[]){ 0, 1 }, 2), 0);
	assert_int_equal(ctl_recv(fds[1], &r, NULL, NULL, 1000), 0);
	assert_int_equal(open_fds(), n);
	close(fds[0]);
	close(fds[1]);
}

static void recv__refuses(void **state)
{
	struct ctl_msg m = { .version = CTL_VERSION, .type = CTL_PEER, .len = CTL_BYTES(peer) }, r;
	char big[sizeof(m) + 100] = { 0 };
	unsigned before, n = 1;
	int fds[2], got;

	(void)state;
	pair(fds);
	assert_int_equal(ctl_recv(fds[1], &r, NULL, NULL, 0), -ETIMEDOUT);
	assert_int_equal(ctl_recv(fds[1], &r, NULL, NULL, 20), -ETIMEDOUT);
	/* Shorter than a header; a length that lies; longer than any. */
	assert_int_equal(send(fds[0], &m, 7, 0), 7);
	assert_int_equal(ctl_recv(fds[1], &r, NULL, NULL, 100), -EPROTO);
	assert_int_equal(send(fds[0], &m, m.len - 4, 0), m.len - 4);
	assert_int_equal(ctl_recv(fds[1], &r, NULL, NULL, 100), -EPROTO);
	memcpy(big, &m, sizeof(m));
	assert_int_equal(send(fds[0], big, sizeof(big), 0), sizeof(big));
	assert_int_equal(ctl_recv(fds[1], &r, NULL, NULL, 100), -EPROTO);
	/* Another version: said so, its descriptors closed. */
	m.version = CTL_VERSION + 1;
	before = open_fds();
	assert_int_equal(ctl_send(fds[0], &m, (int[]){ 0 }, 1), 0);
	assert_int_equal(ctl_recv(fds[1], &r, &got, &n, 100), -EPROTONOSUPPORT);
	assert_int_equal(n, 0);
	assert_int_equal(open_fds(), before);
	close(fds[0]);
	assert_int_equal(ctl_recv(fds[1], &r, NULL, NULL, 100), -EPIPE);
	m.version = CTL_VERSION;
	assert_int_equal(ctl_send(fds[1], &m, NULL, 0), -EPIPE);
	m.len = 3;
	assert_int_equal(ctl_send(fds[1], &m, NULL, 0), -EINVAL);
	close(fds[1]);
}

/* A server that says RESTARTED, then an old reply, then the right one. */
static void call__asks_again_and_skips_old_replies(void **state)
{
	struct ctl_msg m = { .type = CTL_LEASE }, r;
	int fds[2], got[2], before;
	unsigned n = 2;
	pid_t pid;

	(void)state;
	pair(fds);
	before = dup(0);
	close(before);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (ctl_recv(fds[1], &r, NULL, NULL, 2000) != 0)
			_exit(1);
		m = (struct ctl_msg){ .version = CTL_VERSION, .type = CTL_RESTARTED,
				      .len = CTL_HEADER_BYTES };
		ctl_send(fds[1], &m, NULL, 0);
		if (ctl_recv(fds[1], &r, NULL, NULL, 2000) != 0)
			_exit(2);
		m = r;
		m.type = CTL_LEASE | CTL_REPLY;
		m.len = CTL_BYTES(lease);
		m.seq = r.seq - 1;
		m.lease.first = 1;
		ctl_send(fds[1], &m, (int[]){ 0 }, 1);
		/* The right number, and no answer to that. */
		m.seq = r.seq;
		m.type = CTL_SHARED_BELL | CTL_REPLY;
		m.len = ctl_bytes(m.type);
		ctl_send(fds[1], &m, (int[]){ 0 }, 1);
		m.type = CTL_LEASE | CTL_REPLY;
		m.len = CTL_BYTES(lease);
		m.lease.first = 2;
		ctl_send(fds[1], &m, NULL, 0);
		_exit(0);
	}
	assert_int_equal(ctl_call(fds[0], &m, NULL, 0, got, &n), 0);
	assert_int_equal(m.lease.first, 2);
	assert_int_equal(n, 0);
	/* What came with the others is closed: the lowest free number is what it was. */
	assert_int_equal(dup(0), before);
	close(before);
	close(fds[1]);
	assert_int_equal(ctl_call(fds[0], &m, NULL, 0, NULL, NULL), -EINVAL); /* a reply's type */
	m.type = CTL_LEASE;
	assert_int_equal(ctl_call(fds[0], &m, NULL, 0, NULL, NULL), -EPIPE);
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(domain_valid__accepts_and_refuses),
		cmocka_unit_test(dir__is_made_private),
		cmocka_unit_test(dir__refuses_what_is_not_its_own),
		cmocka_unit_test(dir__refuses_another_owner),
		cmocka_unit_test(address__goes_through_a_descriptor_when_long),
		cmocka_unit_test(connect__without_a_daemon),
		cmocka_unit_test(start__without_mortised),
		cmocka_unit_test(bytes__of_each_type),
		cmocka_unit_test(channel__carries_records_and_descriptors),
		cmocka_unit_test(recv__refuses),
		cmocka_unit_test(call__asks_again_and_skips_old_replies),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
