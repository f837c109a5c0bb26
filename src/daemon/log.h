/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.h - One line for each thing that an administrator wants to know:
 * starts, restarts, limits reached, refused clients, forced ends.
 */
#ifndef MORTISE_DAEMON_LOG_H
#define MORTISE_DAEMON_LOG_H

/** log_to() - Lines go to @fd from now on (stderr until then). */
void log_to(int fd);
/** log_fd() - Where lines go. */
int log_fd(void);

/** log_line() - Write one line; at most 20 a second, the rest are counted. */
void log_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
