/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel says of its links and addresses, said here by hand; and, where
 * a network namespace may be made, by the kernel itself.
 */
#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "daemon/addrs.h"
#include "shm/addr.h"
#include "world.h"

static struct registry *r;
static struct addrs a;
static _Alignas(8) uint8_t buf[4096];
static size_t used;

static int setup(void **state)
{
	(void)state;
	used = 0;
	a = (struct addrs){ 0 };
	r = mmap(NULL, REGISTRY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r == MAP_FAILED)
		return 1;
	registry_init(r, POLICY_SHARE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	addrs_free(&a);
	return munmap(r, REGISTRY_BYTES);
}

static struct nlmsghdr *last;

static void put(const void *bytes, size_t n)
{
	memcpy(buf + used, bytes, n);
	used += NLMSG_ALIGN(n);
	last->nlmsg_len = (uint32_t)((uintptr_t)(buf + used) - (uintptr_t)last);
}

static void message(uint16_t type, const void *body, size_t n)
{
	last = (void *)(buf + used);
	*last = (struct nlmsghdr){ .nlmsg_type = type };
	used += NLMSG_HDRLEN;
	put(body, n);
}

static void attr(uint16_t type, const void *bytes, size_t n)
{
	struct rtattr rta = { .rta_type = type, .rta_len = (uint16_t)RTA_LENGTH(n) };

	put(&rta, sizeof(rta));
	put(bytes, n);
}

static void link_say(int index, unsigned flags, const char *slave_kind)
{
	struct ifinfomsg i = { .ifi_index = index, .ifi_flags = flags };

	message(RTM_NEWLINK, &i, sizeof(i));
	if (slave_kind) {
		struct {
			struct rtattr rta;
			char kind[8];
		} nest = { .rta = { .rta_len = (uint16_t)RTA_LENGTH(strlen(slave_kind) + 1),
				    .rta_type = IFLA_INFO_SLAVE_KIND } };

		memcpy(nest.kind, slave_kind, strlen(slave_kind) + 1);
		attr(IFLA_LINKINFO | NLA_F_NESTED, &nest, sizeof(nest));
	}
}

static void addr_say(unsigned index, const char *text, uint32_t flags, uint16_t as)
{
	bool v6 = strchr(text, ':');
	struct ifaddrmsg i = { .ifa_family = v6 ? AF_INET6 : AF_INET, .ifa_index = index };
	uint8_t bytes[16];

	inet_pton(i.ifa_family, text, bytes);
	message(RTM_NEWADDR, &i, sizeof(i));
	attr(as, bytes, v6 ? 16 : 4);
	if (flags)
		attr(IFA_FLAGS, &flags, sizeof(flags));
}

static bool own(const char *text, uint32_t scope)
{
	char mapped[64];
	uint8_t in6[16];
	uint32_t i;

	snprintf(mapped, sizeof(mapped), "%s%s", strchr(text, ':') ? "" : "::ffff:", text);
	assert_int_equal(inet_pton(AF_INET6, mapped, in6), 1);
	return registry_addr_find(r, in6, scope, &i) == 0 && load_relaxed(&r->addrs[i].own);
}

static void addrs_take__what_counts(void **state)
{
	uint32_t none = 0;

	(void)state;
	link_say(1, IFF_UP, NULL);
	link_say(2, IFF_UP, "bridge");
	link_say(3, 0, NULL);
	link_say(4, IFF_UP, "vrf");
	addr_say(1, "127.0.0.1", 0, IFA_LOCAL);
	addr_say(1, "::1", 0, IFA_ADDRESS);
	addr_say(2, "192.0.2.2", 0, IFA_LOCAL);
	addr_say(2, "fe80::2", 0, IFA_ADDRESS);
	addr_say(2, "fd00::3", IFA_F_TENTATIVE, IFA_ADDRESS);
	addr_say(2, "fd00::4", IFA_F_TENTATIVE | IFA_F_OPTIMISTIC, IFA_ADDRESS);
	addr_say(2, "fd00::5", IFA_F_DADFAILED, IFA_ADDRESS);
	addr_say(3, "192.0.2.3", 0, IFA_LOCAL);
	addr_say(4, "192.0.2.4", 0, IFA_LOCAL);
	/* Of a point-to-point link: the other end, then ours. */
	addr_say(2, "192.0.2.8", 0, IFA_ADDRESS);
	attr(IFA_LOCAL, "\xc0\x00\x02\x09", 4);
	assert_int_equal(addrs_take(&a, buf, used), 0);
	message(NLMSG_DONE, &none, sizeof(none));
	assert_int_equal(addrs_take(&a, last, last->nlmsg_len), 1);
	assert_true(addrs_apply(&a, r));
	assert_true(own("127.0.0.1", 0));
	assert_true(own("::1", 0));
	assert_true(own("192.0.2.2", 0));
	assert_true(own("fe80::2", 2));
	assert_false(own("fe80::2", 1));
	assert_false(own("fd00::3", 0));
	assert_true(own("fd00::4", 0));
	assert_false(own("fd00::5", 0));
	assert_false(own("192.0.2.3", 0));
	assert_false(own("192.0.2.4", 0));
	assert_false(own("192.0.2.8", 0));
	assert_true(own("192.0.2.9", 0));
}

static void addrs_apply__what_is_gone(void **state)
{
	(void)state;
	link_say(1, IFF_UP, NULL);
	addr_say(1, "fd00::1", 0, IFA_ADDRESS);
	addrs_take(&a, buf, used);
	addrs_apply(&a, r);
	assert_true(own("fd00::1", 0));
	assert_false(own("::1", 0)); /* the kernel says that it has none */
	addrs_free(&a);
	r->policy = POLICY_NONE;
	registry_addr_init(r);
	addrs_apply(&a, r);
	assert_false(own("fd00::1", 0));
	assert_true(own("::1", 0)); /* under none it needs no kernel */
}

/* Cut short anywhere, and with lengths that are lies: nothing is read beyond the end. */
static void addrs_take__cut_short(void **state)
{
	int minus = -ENOBUFS;
	size_t whole;
	uint8_t *exact;

	(void)state;
	link_say(2, IFF_UP, "vrf");
	link_say(1, IFF_UP, NULL);
	addr_say(1, "fd00::1", IFA_F_PERMANENT, IFA_ADDRESS);
	whole = used;
	for (size_t n = 0; n < whole; n++) {
		exact = malloc(n + 1);
		assert_non_null(exact);
		memcpy(exact, buf, n);
		assert_int_equal(addrs_take(&a, exact, n), 0);
		free(exact);
	}
	last->nlmsg_len = 1u << 30;
	assert_int_equal(addrs_take(&a, buf, whole), 0);
	used = 0;
	message(NLMSG_ERROR, &minus, sizeof(minus));
	put("0123456789abcdef", 16);
	assert_int_equal(addrs_take(&a, buf, used), -ENOBUFS);
	last->nlmsg_len = NLMSG_LENGTH(2);
	assert_int_equal(addrs_take(&a, buf, used), -EPROTO);
	used = 0;
	message(RTM_NEWADDR, &minus, sizeof(minus));
	last->nlmsg_flags = NLM_F_DUMP_INTR;
	assert_int_equal(addrs_take(&a, buf, used), 0);
	assert_true(a.torn);
}

static bool news(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool any = poll(&p, 1, 2000) == 1;

	addrs_event(fd, r);
	return any;
}

/* In a network namespace of its own. Return: 0, or the step that went wrong. */
static int in_namespace(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) != 0 || system("ip link add d0 type veth peer name d1 2>/dev/null") != 0)
		return 77;
	fd = addrs_start(r);
	if (fd < 0 || own("::1", 0) || own("127.0.0.1", 0))
		return 1; /* lo is down */
	if (system("ip link set lo up") != 0 || !news(fd) || !own("::1", 0) || !own("127.0.0.1", 0))
		return 2;
	if (system("ip address add 192.0.2.7/24 dev d0") != 0 || !news(fd) || own("192.0.2.7", 0))
		return 3; /* its interface is down */
	if (system("ip link set d0 up; ip -6 address add fd00::7/64 dev d0 nodad") != 0 ||
	    !news(fd) || !own("192.0.2.7", 0) || !own("fd00::7", 0))
		return 4;
	if (system("ip address del 192.0.2.7/24 dev d0") != 0 || !news(fd) || own("192.0.2.7", 0) ||
	    !own("fd00::7", 0))
		return 5;
	if (system("ip link del d0") != 0 || !news(fd) || own("fd00::7", 0) || !own("::1", 0))
		return 6;
	return 0;
}

static void addrs_event__live(void **state)
{
	pid_t pid = fork();
	int status = 0;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(in_namespace());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip(); /* no namespace, or no device, may be made here */
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(addrs_take__what_counts),
		T(addrs_apply__what_is_gone),
		T(addrs_take__cut_short),
		T(addrs_event__live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
