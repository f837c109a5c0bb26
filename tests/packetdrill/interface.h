/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * interface.h - What packetdrill asks of a stack that is a shared object.
 *
 * It loads the object (--so_filename), calls packetdrill_interface_init() with
 * the text of --so_flags, and then these functions: in this order, with the
 * system calls' own parameters behind @userdata, their results, and errno.
 */
#ifndef MORTISE_TESTS_PACKETDRILL_INTERFACE_H
#define MORTISE_TESTS_PACKETDRILL_INTERFACE_H

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>

/**
 * struct packetdrill_interface - @free to @poll, @epoll_create and behind it: calls.
 * @netdev_send:    A packet, from its IP header on, comes to the stack. Return: 0, -1.
 * @netdev_receive: The next that the stack sends: at most *@count octets; *@count: how many,
 *                  *@time_us: when. Return: 0, -1: there is none, it asks again.
 */
struct packetdrill_interface {
	void *userdata;
	void (*free)(void *u);
	int (*socket)(void *u, int domain, int type, int protocol);
	int (*bind)(void *u, int fd, const struct sockaddr *addr, socklen_t bytes);
	int (*listen)(void *u, int fd, int backlog);
	int (*accept)(void *u, int fd, struct sockaddr *addr, socklen_t *bytes);
	int (*connect)(void *u, int fd, const struct sockaddr *addr, socklen_t bytes);
	ssize_t (*read)(void *u, int fd, void *room, size_t bytes);
	ssize_t (*readv)(void *u, int fd, const struct iovec *v, int n);
	ssize_t (*recv)(void *u, int fd, void *room, size_t bytes, int flags);
	ssize_t (*recvfrom)(void *u, int fd, void *room, size_t bytes, int flags,
			    struct sockaddr *addr, socklen_t *addr_bytes);
	ssize_t (*recvmsg)(void *u, int fd, struct msghdr *m, int flags);
	ssize_t (*write)(void *u, int fd, const void *octets, size_t bytes);
	ssize_t (*writev)(void *u, int fd, const struct iovec *v, int n);
	ssize_t (*send)(void *u, int fd, const void *octets, size_t bytes, int flags);
	ssize_t (*sendto)(void *u, int fd, const void *octets, size_t bytes, int flags,
			  const struct sockaddr *addr, socklen_t addr_bytes);
	ssize_t (*sendmsg)(void *u, int fd, const struct msghdr *m, int flags);
	int (*fcntl)(void *u, int fd, int command, ...);
	int (*ioctl)(void *u, int fd, unsigned long request, ...);
	int (*close)(void *u, int fd);
	int (*shutdown)(void *u, int fd, int how);
	int (*getsockopt)(void *u, int fd, int level, int name, void *value, socklen_t *bytes);
	int (*setsockopt)(void *u, int fd, int level, int name, const void *value, socklen_t bytes);
	int (*poll)(void *u, struct pollfd *fds, nfds_t n, int timeout_ms);
	int (*netdev_send)(void *u, const void *packet, size_t bytes);
	int (*netdev_receive)(void *u, void *room, size_t *count, long long *time_us);
	int (*usleep)(void *u, useconds_t us);
	int (*gettimeofday)(void *u, struct timeval *tv, struct timezone *tz);
	int (*epoll_create)(void *u, int size);
	int (*epoll_ctl)(void *u, int epfd, int op, int fd, struct epoll_event *event);
	int (*epoll_wait)(void *u, int epfd, struct epoll_event *events, int max, int timeout_ms);
	int (*pipe)(void *u, int fds[2]);
	int (*splice)(void *u, int in, loff_t *in_off, int out, loff_t *out_off, size_t bytes,
		      unsigned flags);
};

void packetdrill_interface_init(const char *flags, struct packetdrill_interface *ret);

#endif
