// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/spawn.h"

enum { LOOK_MS = 100 }; /* at @stop */

static _Noreturn void become(const char *const *argv, int out)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	setpgid(0, 0);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

int spawn_read(const char *const *argv, double timeout_s, const volatile int *stop, char *ret,
	       size_t size)
{
	uint64_t end_ns = clock_now_ns() + (uint64_t)(timeout_s * NS_PER_SEC);
	struct pollfd pfd = { .events = POLLIN };
	int fds[2], status = 0;
	size_t len = 0;
	pid_t pid;

	*ret = 0;
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid == 0)
		become(argv, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return -EAGAIN;
	}
	setpgid(pid, pid); /* Whichever of us comes first. */
	pfd.fd = fds[0];
	/* To the end of what it says: then all that it started has gone, too. */
	while (clock_now_ns() < end_ns && !(stop && *stop)) {
		char drop[256];
		bool full = len + 1 >= size;
		ssize_t n;

		if (poll(&pfd, 1, LOOK_MS) <= 0)
			continue;
		n = read(fds[0], full ? drop : ret + len, full ? sizeof(drop) : size - len - 1);
		if (n <= 0)
			break;
		len += full ? 0 : (size_t)n;
		ret[len] = 0;
	}
	close(fds[0]);
	kill(-pid, SIGKILL); /* Nobody, after an end in order. */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
