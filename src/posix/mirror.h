/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mirror.h - Our part in the kernel's set: for epoll.c. What others need of it
 * is in epoll.h.
 */
#ifndef MORTISE_POSIX_MIRROR_H
#define MORTISE_POSIX_MIRROR_H

#include "posix/epoll.h"

/** epsets - All of them. */
extern struct epset *epsets;

/** epset_fd() - A number that refers to the set now, or -1. */
int epset_fd(struct epset *e);

/** mirror_begin() - Before the first entry: our data's random part is chosen. */
void mirror_begin(void);

/** mirror_ctl() - The kernel's epoll_ctl(). Return: 0 or -errno. */
long mirror_ctl(int epfd, int op, int fd, uint32_t events, uint64_t data);

/** mirror_door() - @fd is a joint set's door: mirror_events_take() knows it.
 * Return: 0 or -errno. */
long mirror_door(int epfd, int fd);

/** mirror_learn() - Another process has put @w's parts there, or taken them out; an id
 * of 0: not there. */
void mirror_learn(struct watch *w, uint32_t kernel_id, int kernel_fd, uint32_t ring_id,
		  int ring_fd);

/** mirror_add() - @fd stands for @w: a listener's shadow, or an inner set.
 * Return: 0 or -errno. */
long mirror_add(struct watch *w, int epfd, int fd);

/** mirror_mod() - @w's events, or whether it is silent, have changed. */
void mirror_mod(struct watch *w, int epfd);

/** mirror_shadow() - What a listener has is in the set from now on. */
void mirror_shadow(struct watch *w);

/** mirror_listener() - One entry of a listener's more, or fewer. */
void mirror_listener(struct watch *w, int epfd);

/** mirror_forget() - @w's part there is gone, or left to others. */
void mirror_forget(struct watch *w);

/** mirror_events_take() - What the kernel reported: ours is taken out.
 * Return: what is left. */
int mirror_events_take(struct epset *e, int epfd, struct epoll_event *evs, int n);

#endif
