/* SPDX-License-Identifier: BSD-2-Clause */
#include "posix/async.h"
#include "posix/signals.h"
#include "preload/real.h"

EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return signals_action(sig, act, old, real.sigaction);
}
ALIAS(__sigaction, sigaction);

EXPORT sighandler_t signal(int sig, sighandler_t handler)
{
	return signals_bsd(sig, handler, real.sigaction);
}
ALIAS(bsd_signal, signal);
ALIAS(ssignal, signal);

EXPORT sighandler_t __sysv_signal(int sig, sighandler_t handler)
{
	return signals_sysv(sig, handler, real.sigaction);
}
ALIAS(sysv_signal, __sysv_signal);

EXPORT int siginterrupt(int sig, int flag)
{
	return signals_interrupt(sig, flag, real.sigaction);
}

EXPORT sighandler_t sigset(int sig, sighandler_t how)
{
	struct sigaction act = { .sa_handler = how }, old;
	sigset_t one, was;

	sigemptyset(&one);
	if (how == SIG_ERR || sigaddset(&one, sig) < 0) {
		errno = EINVAL;
		return SIG_ERR;
	}
	if (how == SIG_HOLD) {
		if (sigprocmask(SIG_BLOCK, &one, &was) < 0)
			return SIG_ERR;
		if (sigismember(&was, sig))
			return SIG_HOLD;
		return sigaction(sig, NULL, &old) < 0 ? SIG_ERR : old.sa_handler;
	}
	if (sigaction(sig, &act, &old) < 0 || sigprocmask(SIG_UNBLOCK, &one, &was) < 0)
		return SIG_ERR;
	return sigismember(&was, sig) ? SIG_HOLD : old.sa_handler;
}

/* SIGIO and its kind, which are raised in the name of the kernel. */
EXPORT int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	int sig = real.sigtimedwait(set, info, timeout);

	if (sig > 0 && info)
		async_info_fix(info);
	return sig;
}

EXPORT int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	int sig = real.sigwaitinfo(set, info);

	if (sig > 0 && info)
		async_info_fix(info);
	return sig;
}
