/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signals.c - Theory of operation.
 *
 * The kernel knows one handler, signals_entry(), for every signal that the
 * program handles; what the program asked for is in actions[]. Mask and flags
 * are in the kernel as the program set them, but for SA_SIGINFO (always set)
 * and SA_RESETHAND (done here: an entry that is put off would find the
 * action reset when it is raised again).
 *
 * An entry that finds its thread inside a section (section_state.depth) puts
 * the signal off: it blocks the signal in the saved mask and queues it again
 * to this thread with the same siginfo. The section goes on; on leaving,
 * section_raise() unblocks what was blocked, and the kernel delivers it with
 * the mask, the stack and the order that the program may expect. So nothing
 * is kept in user space but the set of signals that were blocked here.
 *
 * Signals that the thread itself caused (a fault, abort()) cannot wait: the
 * handler runs, with the depth set aside.
 *
 * section_sleep() compares the counter, then makes the system call. An entry
 * that interrupted it between the two, or one whose system call the kernel is
 * about to restart (the saved program counter then is at the system call
 * instruction again), compares once more, in the saved registers, and moves
 * the program counter to the -EINTR exit where the counter has moved. The
 * counters are moved before the program's handler runs.
 *
 * A fault while bytes are copied from or to the program's memory is the copy's
 * own business (base/copy.h): it returns false, and the program's call EFAULT. For
 * that the kernel knows signals_entry() for SIGSEGV and SIGBUS too where the
 * program has left them at the default (signals_guard()); whatever else comes
 * then ends the program as the default would.
 *
 * siglongjmp() out of a handler: no section is open then (or it is the fault's
 * case above), and section_sleep() holds nothing.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/ucontext.h>
#include <unistd.h>

#include "base/copy.h"
#include "base/lock.h"
#include "base/sys.h"
#include "posix/asleep.h"
#include "posix/async.h"
#include "posix/section.h"
#include "posix/signals.h"

#define SIGNALS 65 /* 1 to 64 */
#define SIGSET_BYTES 8
#define REQUEUE_TRIES 100000u

/**
 * struct action - What the program asked for.
 * @handler: Its function; one-argument handlers do not mind being given three.
 * @flags:   Its sa_flags, all of them.
 * @armed:   SA_RESETHAND: it has not run yet.
 *
 * Written under actions_lock, read by handlers without: a handler that runs
 * while another thread changes the action may see either.
 */
struct action {
	_Atomic(void (*)(int, siginfo_t *, void *)) handler;
	_Atomic int flags;
	_Atomic bool armed;
};

__thread struct section_state section_state
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
/* Blocked in this thread's mask until the section ends. */
static __thread uint64_t deferred __attribute__((tls_model("initial-exec")));

bool signals_off;

__thread bool signals_cancelled
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
__thread bool signals_no_point
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

static struct action actions[SIGNALS];
static struct lock actions_lock;
static _Atomic bool guarding;  /* signals_guard() was called */
static sigaction_fn libc_action;
static uint64_t interrupting; /* siginterrupt(): signal() sets no SA_RESTART */

static uint64_t bit(int sig)
{
	return 1ull << (sig - 1);
}

/* ------------------------------------------------------------------ sleep */

#if defined(__x86_64__)
/* rdi: args, rsi: counter, edx: seen, rcx: nr, moved to where the system call
 * leaves them alone. */
__asm__(".text\n"
	".p2align 4\n"
	".type section_sleep_asm, @function\n"
	"section_sleep_asm:\n"
	".cfi_startproc\n"
	"	push %rbx\n"
	".cfi_adjust_cfa_offset 8\n"
	".cfi_rel_offset rbx, 0\n"
	"	push %rbp\n"
	".cfi_adjust_cfa_offset 8\n"
	".cfi_rel_offset rbp, 0\n"
	"	push %r12\n"
	".cfi_adjust_cfa_offset 8\n"
	".cfi_rel_offset r12, 0\n"
	"	mov %rcx, %rbx\n"
	"	mov %rsi, %rbp\n"
	"	mov %edx, %r12d\n"
	"	mov 40(%rdi), %r9\n"
	"	mov 32(%rdi), %r8\n"
	"	mov 24(%rdi), %r10\n"
	"	mov 16(%rdi), %rdx\n"
	"	mov 8(%rdi), %rsi\n"
	"	mov (%rdi), %rdi\n"
	"section_sleep_check:\n"
	"	cmp %r12d, (%rbp)\n"
	"	jne 1f\n"
	"	mov %rbx, %rax\n"
	"section_sleep_syscall:\n"
	"	syscall\n"
	"2:	pop %r12\n"
	".cfi_remember_state\n"
	".cfi_adjust_cfa_offset -8\n"
	".cfi_restore r12\n"
	"	pop %rbp\n"
	".cfi_adjust_cfa_offset -8\n"
	".cfi_restore rbp\n"
	"	pop %rbx\n"
	".cfi_adjust_cfa_offset -8\n"
	".cfi_restore rbx\n"
	"	ret\n"
	".cfi_restore_state\n"
	"section_sleep_eintr:\n"
	"1:	mov $-4, %rax\n" /* -EINTR */
	"	jmp 2b\n"
	".cfi_endproc\n"
	".size section_sleep_asm, .-section_sleep_asm\n");
#elif defined(__aarch64__)
/* x0: args, x1: counter, w2: seen, x3: nr. */
__asm__(".text\n"
	".p2align 4\n"
	".type section_sleep_asm, %function\n"
	"section_sleep_asm:\n"
	".cfi_startproc\n"
	"	mov x9, x0\n"
	"	mov x10, x1\n"
	"	mov w11, w2\n"
	"	mov x8, x3\n"
	"	ldp x4, x5, [x9, #32]\n"
	"	ldp x2, x3, [x9, #16]\n"
	"	ldr x1, [x9, #8]\n"
	"section_sleep_check:\n"
	"	ldr w12, [x10]\n"
	"	cmp w12, w11\n"
	"	b.ne 1f\n"
	"	ldr x0, [x9]\n"
	"section_sleep_syscall:\n"
	"	svc 0\n"
	"	ret\n"
	"section_sleep_eintr:\n"
	"1:	mov x0, #-4\n" /* -EINTR */
	"	ret\n"
	".cfi_endproc\n"
	".size section_sleep_asm, .-section_sleep_asm\n");
#else
#error "unknown machine"
#endif

long section_sleep_asm(const long args[6], const uint32_t *counter, uint32_t seen, long nr)
	__attribute__((visibility("hidden")));
extern const char section_sleep_check[] __attribute__((visibility("hidden")));
extern const char section_sleep_syscall[] __attribute__((visibility("hidden")));
extern const char section_sleep_eintr[] __attribute__((visibility("hidden")));

/* pthread_cancel() came inside a section; came, and was not to end a sleep. */
static __thread bool cancel_put_off __attribute__((tls_model("initial-exec")));
static __thread bool cancel_unheeded __attribute__((tls_model("initial-exec")));

static bool is_cancellable(void)
{
	int state, ignored;

	if (cancel_put_off)
		return true;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_setcancelstate(state, &ignored);
	return state == PTHREAD_CANCEL_ENABLE;
}

bool signals_is_cancelled(void)
{
	return unlikely(signals_cancelled) && !signals_no_point && is_cancellable();
}

long section_sleep(long nr, const long args[6], const uint32_t *counter, uint32_t seen)
{
	long r;

	if (signals_is_cancelled())
		return -EINTR;
	cancel_unheeded = false;
	r = section_sleep_asm(args, counter, seen, nr);
	/* It woke who does not care: libc sends it to nobody of that kind. */
	return unlikely(r == -EINTR && cancel_unheeded && *counter == seen) ? 0 : r;
}

long section_verdict(uint32_t handled, uint32_t broke)
{
	const struct section_state *st = &section_state;

	/* With neither moved, it was a handler that the kernel knows alone. */
	if (st->broke != broke || st->handled == handled ||
	    signals_is_cancelled())
		return -EINTR;
	return CALL_AGAIN;
}

static void sleep_check_again(ucontext_t *c)
{
	const uint32_t *counter;
	uintptr_t pc;
	uint32_t seen;

#if defined(__x86_64__)
	pc = (uintptr_t)c->uc_mcontext.gregs[REG_RIP];
	counter = (const uint32_t *)c->uc_mcontext.gregs[REG_RBP];
	seen = (uint32_t)c->uc_mcontext.gregs[REG_R12];
#else
	pc = (uintptr_t)c->uc_mcontext.pc;
	counter = (const uint32_t *)c->uc_mcontext.regs[10];
	seen = (uint32_t)c->uc_mcontext.regs[11];
#endif
	if (likely(pc < (uintptr_t)section_sleep_check || pc > (uintptr_t)section_sleep_syscall) ||
	    *counter == seen)
		return;
#if defined(__x86_64__)
	c->uc_mcontext.gregs[REG_RIP] = (greg_t)section_sleep_eintr;
#else
	c->uc_mcontext.pc = (uintptr_t)section_sleep_eintr;
#endif
}

/* --------------------------------------------------------------- handlers */

/* The kernel's part of the mask; libc's type has room for more. */
static uint64_t *context_mask(ucontext_t *c)
{
	return (uint64_t *)(void *)&c->uc_sigmask;
}

static long mask_change(int how, uint64_t set)
{
	return sys4(SYS_rt_sigprocmask, how, &set, NULL, SIGSET_BYTES);
}

static bool is_guarded(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS;
}

static bool is_own_fault(int sig, const siginfo_t *info)
{
	switch (sig) {
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGTRAP:
	case SIGSYS:
	case SIGABRT:
		return info->si_code > 0 ||
		       (info->si_code == SI_TKILL && info->si_pid == (pid_t)sys0(SYS_getpid));
	default:
		return false;
	}
}

static void put_off(int sig, siginfo_t *info, ucontext_t *c)
{
	long pid = sys0(SYS_getpid), tid = sys0(SYS_gettid), r;

	*context_mask(c) |= bit(sig);
	/* With SA_NODEFER it would come at once. */
	mask_change(SIG_BLOCK, bit(sig));
	/* EAGAIN: the user's signals are used up; they are used again soon. */
	for (unsigned i = 0; i < REQUEUE_TRIES; i++) {
		r = sys4(SYS_rt_tgsigqueueinfo, pid, tid, sig, info);
		if (r != -EAGAIN)
			break;
		sys0(SYS_sched_yield);
	}
	deferred |= bit(sig);
	section_state.pending = 1;
}

/** struct kernel_action - struct sigaction as the kernel has it. */
struct kernel_action {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

static void raise_default(int sig)
{
	struct kernel_action dfl = { .handler = NULL }; /* SIG_DFL */

	sys4(SYS_rt_sigaction, sig, &dfl, NULL, SIGSET_BYTES);
}

/* The program has left @sig at the default: let the kernel do that. */
static void die_of(int sig, siginfo_t *info)
{
	raise_default(sig);
	/* A fault comes again, at the same place. */
	if (info->si_code <= 0)
		sys4(SYS_rt_tgsigqueueinfo, sys0(SYS_getpid), sys0(SYS_gettid), sig, info);
}

static void signals_entry(int sig, siginfo_t *info, void *context)
{
	struct section_state *st = &section_state;
	uintptr_t guard = copy_guard;
	struct action *a = &actions[sig];
	ucontext_t *c = context;
	uint32_t depth = st->depth;
	struct asleep *asleep;
	int saved_errno = errno;
	int flags;
	void (*handler)(int, siginfo_t *, void *);

	if (unlikely(is_guarded(sig))) {
		if (info->si_code > 0 && copy_fault(context))
			return;
		if (!load_acquire(&a->handler)) {
			die_of(sig, info);
			return;
		}
	}
	if (depth > 0) {
		if (!is_own_fault(sig, info)) {
			put_off(sig, info, c);
			errno = saved_errno;
			return;
		}
		st->depth = 0;
	} else if (unlikely(deferred)) {
		/* Between the end of a section and section_raise(): what waits
		 * is delivered after this one. */
		*context_mask(c) &= ~deferred;
		deferred = 0;
		st->pending = cancel_put_off;
	}
	flags = load_relaxed(&a->flags);
	handler = load_acquire(&a->handler);
	if (flags & (int)SA_RESETHAND) {
		raise_default(sig);
		if (!atomic_exchange(&a->armed, false)) {
			/* Two threads at once; for the second, as the kernel
			 * would have it, the action is the default already. */
			sys4(SYS_rt_tgsigqueueinfo, sys0(SYS_getpid), sys0(SYS_gettid), sig, info);
			handler = NULL;
		}
	}
	if (handler) {
		st->handled++;
		if (!(flags & SA_RESTART))
			st->broke++;
		asleep = asleep_interrupted((uintptr_t)__builtin_frame_address(0),
					    (uintptr_t)c->uc_stack.ss_sp,
					    c->uc_stack.ss_flags & SS_DISABLE ?
						    0 : c->uc_stack.ss_size);
		async_info_fix(info);
		errno = saved_errno;
		copy_guard = 0;
		handler(sig, info, context);
		copy_guard = guard;
		asleep_resumed(asleep);
		/* errno is the handler's business, as without us. */
	}
	st->depth = depth;
	sleep_check_again(c);
}

/* libc's own signal for pthread_cancel(): no program can block it. */
#define SIGNAL_CANCEL 32

static void (*libc_cancel)(int, siginfo_t *, void *);

/* Is the thread about to end, here and now? Outside any section. */
static bool is_ending(void)
{
	int state, type, ignored;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type);
	pthread_setcanceltype(type, &ignored);
	if (state == PTHREAD_CANCEL_ENABLE && type == PTHREAD_CANCEL_ASYNCHRONOUS) {
		/* What its sleep holds goes first: the state set back is the end. */
		section_enter();
		asleep_give_up();
		section_leave();
	}
	pthread_setcancelstate(state, &ignored);
	return state == PTHREAD_CANCEL_ENABLE;
}

static void cancel_entry(int sig, siginfo_t *info, void *context)
{
	signals_cancelled = true;
	if (section_state.depth > 0) {
		/* Not with the library's state in pieces: again on leaving. */
		cancel_put_off = true;
		section_state.pending = 1;
		return;
	}
	if (is_ending() && !signals_no_point) {
		section_state.handled++;
		section_state.broke++;
		sleep_check_again(context);
	} else {
		cancel_unheeded = true;
	}
	/* Does not come back where the thread is to end at once. */
	libc_cancel(sig, info, context);
}

static void cancel_again(void)
{
	cancel_put_off = false;
	sys3(SYS_tgkill, sys0(SYS_getpid), sys0(SYS_gettid), SIGNAL_CANCEL);
}

int signals_cancel_start(void)
{
	struct kernel_action a;
	long r = sys4(SYS_rt_sigaction, SIGNAL_CANCEL, NULL, &a, SIGSET_BYTES);

	if (r < 0)
		return (int)r;
	if (!a.handler)
		return -ENOENT;
	if (a.handler == cancel_entry)
		return SIGNAL_CANCEL;
	libc_cancel = a.handler;
	a.handler = cancel_entry;
	/* A thread that has disabled cancellation is to notice little. */
	a.flags |= SA_RESTART;
	r = sys4(SYS_rt_sigaction, SIGNAL_CANCEL, &a, NULL, SIGSET_BYTES);
	return r < 0 ? (int)r : SIGNAL_CANCEL;
}

void section_raise(void)
{
	uint64_t set = deferred;

	deferred = 0;
	section_state.pending = 0;
	__asm__ volatile("" ::: "memory");
	if (set)
		mask_change(SIG_UNBLOCK, set);
	if (unlikely(cancel_put_off))
		cancel_again();
}

/* ---------------------------------------------------------------- actions */

static bool is_function(const struct sigaction *a)
{
	return a->sa_handler != SIG_DFL && a->sa_handler != SIG_IGN;
}

/* The default, with faults seen by us first. */
static struct sigaction guard_action(void)
{
	struct sigaction a = { .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

	a.sa_sigaction = signals_entry;
	sigemptyset(&a.sa_mask);
	return a;
}

void signals_start(sigaction_fn libc)
{
	libc_action = libc;
}

void signals_guard(void)
{
	struct sigaction mine = guard_action(), was;

	if (likely(load_relaxed(&guarding)) || !libc_action)
		return;
	lock_take(&actions_lock);
	for (int sig = 1; sig < SIGNALS && !load_relaxed(&guarding); sig++)
		if (is_guarded(sig) && libc_action(sig, NULL, &was) == 0 &&
		    was.sa_handler == SIG_DFL) {
			store_relaxed(&actions[sig].flags, 0);
			store_release(&actions[sig].handler, NULL);
			libc_action(sig, &mine, NULL);
		}
	store_relaxed(&guarding, true);
	lock_drop(&actions_lock);
}

int signals_action(int sig, const struct sigaction *act, struct sigaction *old, sigaction_fn libc)
{
	struct sigaction mine, was;
	void (*old_handler)(int, siginfo_t *, void *);
	struct action *a;
	bool old_armed;
	int old_flags, r;

	if (sig < 1 || sig >= SIGNALS || signals_off)
		return libc(sig, act, old);
	a = &actions[sig];
	section_enter();
	lock_take(&actions_lock);
	old_handler = load_relaxed(&a->handler);
	old_flags = load_relaxed(&a->flags);
	old_armed = load_relaxed(&a->armed);
	if (act && is_function(act)) {
		mine = *act;
		mine.sa_sigaction = signals_entry;
		mine.sa_flags = (act->sa_flags | SA_SIGINFO) & ~(int)SA_RESETHAND;
		/* Before the kernel can call it. */
		store_relaxed(&a->flags, act->sa_flags);
		store_relaxed(&a->armed, true);
		store_release(&a->handler, act->sa_sigaction);
		r = libc(sig, &mine, &was);
		if (r < 0) {
			store_relaxed(&a->flags, old_flags);
			store_relaxed(&a->armed, old_armed);
			store_release(&a->handler, old_handler);
		}
	} else if (act && act->sa_handler == SIG_DFL && is_guarded(sig) && load_relaxed(&guarding)) {
		mine = guard_action();
		r = libc(sig, &mine, &was);
		store_release(&a->handler, NULL);
	} else {
		r = libc(sig, act, &was);
	}
	if (r == 0 && was.sa_sigaction == signals_entry && !old_handler) {
		was = (struct sigaction){ .sa_handler = SIG_DFL };
	} else if (r == 0 && was.sa_sigaction == signals_entry) {
		was.sa_sigaction = old_handler;
		was.sa_flags = (was.sa_flags & ~SA_SIGINFO) |
			       (old_flags & (int)(SA_SIGINFO | SA_RESETHAND));
	}
	lock_drop(&actions_lock);
	section_leave();
	if (r == 0 && old)
		*old = was;
	return r;
}

sighandler_t signals_bsd(int sig, sighandler_t handler, sigaction_fn libc)
{
	struct sigaction act = { .sa_handler = handler }, old;

	if (handler == SIG_ERR || sig < 1 || sig >= SIGNALS) {
		errno = EINVAL;
		return SIG_ERR;
	}
	sigaddset(&act.sa_mask, sig);
	act.sa_flags = interrupting & bit(sig) ? 0 : SA_RESTART;
	return signals_action(sig, &act, &old, libc) < 0 ? SIG_ERR : old.sa_handler;
}

sighandler_t signals_sysv(int sig, sighandler_t handler, sigaction_fn libc)
{
	struct sigaction act = { .sa_handler = handler }, old;

	if (handler == SIG_ERR || sig < 1 || sig >= SIGNALS) {
		errno = EINVAL;
		return SIG_ERR;
	}
	act.sa_flags = (int)(SA_RESETHAND | SA_NODEFER);
	return signals_action(sig, &act, &old, libc) < 0 ? SIG_ERR : old.sa_handler;
}

int signals_interrupt(int sig, int flag, sigaction_fn libc)
{
	struct sigaction act = { 0 };

	if (signals_action(sig, NULL, &act, libc) < 0)
		return -1;
	if (flag) {
		interrupting |= bit(sig);
		act.sa_flags &= ~SA_RESTART;
	} else {
		interrupting &= ~bit(sig);
		act.sa_flags |= SA_RESTART;
	}
	return signals_action(sig, &act, NULL, libc);
}

void signals_fork_before(void)
{
	section_enter();
	lock_take(&actions_lock);
}

void signals_fork_after(void)
{
	lock_drop(&actions_lock);
	section_leave();
}
