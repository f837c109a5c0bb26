/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/sys.h"
#include "posix/section.h"
#include "posix/signals.h"

static volatile int ran, ran_inside;
static volatile uint32_t depth_seen;
static siginfo_t last;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	ran++;
	last = *info;
	depth_seen = section_state.depth;
	if (section_state.depth)
		ran_inside++;
}

static void install(int sig, int flags)
{
	struct sigaction a = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags };

	assert_int_equal(signals_action(sig, &a, NULL, sigaction), 0);
}

static int setup(void **state)
{
	(void)state;
	ran = ran_inside = 0;
	memset(&last, 0, sizeof(last));
	return 0;
}

static int teardown(void **state)
{
	static const int sigs[] = { SIGALRM, SIGUSR1, SIGUSR2, SIGSEGV };
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	struct itimerval off = { 0 };

	(void)state;
	setitimer(ITIMER_REAL, &off, NULL);
	for (unsigned i = 0; i < ARRAY_LEN(sigs); i++)
		signals_action(sigs[i], &dfl, NULL, sigaction);
	assert_int_equal(section_state.depth, 0);
	assert_int_equal(section_state.pending, 0);
	return 0;
}

static void timer_start(unsigned us)
{
	struct itimerval t = { { 0, us }, { 0, us } };

	assert_int_equal(setitimer(ITIMER_REAL, &t, NULL), 0);
}

static bool is_blocked(int sig)
{
	sigset_t set;

	sigprocmask(SIG_SETMASK, NULL, &set);
	return sigismember(&set, sig);
}

/* ----------------------------------------------------------------- section */

static void section__handler_waits_for_the_end(void **state)
{
	(void)state;
	install(SIGUSR1, 0);
	section_enter();
	section_enter();
	raise(SIGUSR1);
	assert_int_equal(ran, 0);
	section_leave();
	assert_int_equal(ran, 0);
	assert_true(is_blocked(SIGUSR1));
	section_leave();
	assert_int_equal(ran, 1);
	assert_int_equal(ran_inside, 0);
	assert_false(is_blocked(SIGUSR1));
}

static void section__siginfo_is_kept(void **state)
{
	union sigval v = { .sival_int = 4711 };

	(void)state;
	install(SIGRTMIN + 3, 0);
	section_enter();
	sigqueue(getpid(), SIGRTMIN + 3, v);
	section_leave();
	assert_int_equal(ran, 1);
	assert_int_equal(last.si_code, SI_QUEUE);
	assert_int_equal(last.si_value.sival_int, 4711);
	assert_int_equal(last.si_pid, getpid());
}

static void section__nodefer_waits_as_well(void **state)
{
	(void)state;
	install(SIGUSR1, SA_NODEFER);
	section_enter();
	raise(SIGUSR1);
	assert_int_equal(ran, 0);
	section_leave();
	assert_int_equal(ran, 1);
	assert_false(is_blocked(SIGUSR1));
}

static void section__several_signals_all_run(void **state)
{
	(void)state;
	install(SIGUSR1, 0);
	install(SIGUSR2, 0);
	section_enter();
	raise(SIGUSR2);
	raise(SIGUSR1);
	raise(SIGUSR1);
	section_leave();
	/* A standard signal is pending once. */
	assert_int_equal(ran, 2);
}

static void section__resethand_runs_once(void **state)
{
	struct sigaction now;

	(void)state;
	install(SIGUSR1, (int)SA_RESETHAND);
	section_enter();
	raise(SIGUSR1);
	section_leave();
	assert_int_equal(ran, 1);
	assert_int_equal(signals_action(SIGUSR1, NULL, &now, sigaction), 0);
	assert_true(now.sa_handler == SIG_DFL);
}

static sigjmp_buf jump;

static void on_fault(int sig)
{
	(void)sig;
	ran++;
	depth_seen = section_state.depth;
	siglongjmp(jump, 1);
}

static void section__own_fault_does_not_wait(void **state)
{
	struct sigaction a = { .sa_handler = on_fault };
	char *page = mmap(NULL, PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	signals_action(SIGSEGV, &a, NULL, sigaction);
	section_enter();
	if (sigsetjmp(jump, 1) == 0)
		*(volatile char *)page = 1;
	assert_int_equal(ran, 1);
	assert_int_equal(depth_seen, 0);
	assert_int_equal(section_state.depth, 0);
	munmap(page, PAGE_BYTES);
}

enum { ENOUGH = 50 };

/* Until @end_ns, and on a busy machine longer, until there were enough handlers. */
static bool goes_on(uint64_t end_ns)
{
	uint64_t now_ns = clock_now_ns();

	return now_ns < end_ns || (ran <= ENOUGH && now_ns < end_ns + 60 * NS_PER_SEC);
}

static void section__timer_at_1_khz(void **state)
{
	uint64_t end = clock_now_ns() + NS_PER_SEC / 2;
	volatile uint32_t work = 0;

	(void)state;
	install(SIGALRM, SA_RESTART);
	timer_start(1000);
	while (goes_on(end)) {
		section_enter();
		for (int i = 0; i < 200; i++)
			work++;
		section_leave();
	}
	print_message("%d handlers\n", ran);
	assert_true(ran > ENOUGH);
	assert_int_equal(ran_inside, 0);
	assert_false(is_blocked(SIGALRM));
}

static void *thread_sections(void *arg)
{
	uint64_t end = clock_now_ns() + NS_PER_SEC / 4;

	(void)arg;
	while (goes_on(end)) {
		section_enter();
		section_leave();
	}
	assert_int_equal(section_state.depth, 0);
	return NULL;
}

static void section__threads(void **state)
{
	pthread_t t[2];

	(void)state;
	install(SIGALRM, SA_RESTART);
	timer_start(1000);
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, thread_sections, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_true(ran > ENOUGH);
	assert_int_equal(ran_inside, 0);
}

/* ------------------------------------------------------------------- sleep */

static long sleep_read(int fd, char *byte, const uint32_t *counter, uint32_t seen)
{
	long args[6] = { fd, (long)byte, 1, 0, 0, 0 };

	return section_sleep(SYS_read, args, counter, seen);
}

static void section_sleep__does_the_call(void **state)
{
	char byte = 0;
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(sleep_read(p[0], &byte, &section_state.handled, section_state.handled), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(sleep_read(-1, &byte, &section_state.handled, section_state.handled), -EBADF);
	close(p[0]);
	close(p[1]);
}

static void section_sleep__counter_moved_before(void **state)
{
	uint32_t seen = section_state.handled;
	char byte;

	(void)state;
	install(SIGUSR1, SA_RESTART);
	raise(SIGUSR1);
	assert_int_equal(sleep_read(-1, &byte, &section_state.handled, seen), -EINTR);
}

/* A handler with SA_RESTART interrupts nothing, unless all handlers count. */
static void section_sleep__restart(void **state)
{
	uint32_t broke = section_state.broke, handled;
	char byte = 0;
	pid_t child;
	int p[2];

	(void)state;
	install(SIGALRM, SA_RESTART);
	assert_int_equal(pipe(p), 0);
	child = fork();
	if (child == 0) {
		usleep(50000);
		_exit(write(p[1], "y", 1) != 1);
	}
	timer_start(1000);
	assert_int_equal(sleep_read(p[0], &byte, &section_state.broke, broke), 1);
	assert_int_equal(byte, 'y');
	assert_true(ran > 10);
	handled = section_state.handled;
	assert_int_equal(sleep_read(p[0], &byte, &section_state.handled, handled), -EINTR);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(p[0]);
	close(p[1]);
}

/* Whenever the signal comes, between the look at the counter and the system
 * call as well, the call ends: each round would sleep for ever otherwise. */
static void section_sleep__no_wakeup_lost(void **state)
{
	uint64_t end = clock_now_ns() + NS_PER_SEC;
	unsigned rounds = 0, interrupted = 0;
	char byte;
	int p[2];

	(void)state;
	install(SIGALRM, 0);
	assert_int_equal(pipe(p), 0);
	timer_start(200);
	while (clock_now_ns() < end) {
		uint32_t seen = section_state.broke;
		volatile unsigned spin = 0;

		while (spin < rounds % 5000 * 20)
			spin++;
		rounds++;
		interrupted += sleep_read(p[0], &byte, &section_state.broke, seen) == -EINTR;
	}
	assert_int_equal(rounds, interrupted);
	assert_true(rounds > 100);
	close(p[0]);
	close(p[1]);
}

/* Every instruction of it: single steps, with a signal at one of them. How
 * many there are depends on how this was compiled. */
#define STEPS_MAX 20000u
static volatile unsigned steps, step_to_count;

static void on_step(int sig)
{
	(void)sig;
	/* All are counted as handlers; but one, as if it had not been. */
	if (steps++ != step_to_count)
		section_state.handled--;
}

static void section_sleep__signal_at_each_instruction(void **state)
{
#if defined(__x86_64__)
	struct sigaction a = { .sa_handler = on_step, .sa_flags = SA_RESTART };
	unsigned done = 0, interrupted = 0;
	char byte = 0;
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	signals_action(SIGTRAP, &a, NULL, sigaction);
	steps = STEPS_MAX;
	for (step_to_count = 0; step_to_count < steps; step_to_count++) {
		uint32_t handled = section_state.handled;
		long r;

		byte = 0;
		assert_int_equal(write(p[1], "z", 1), 1);
		steps = 0;
		__asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq" ::: "memory", "cc");
		r = sleep_read(p[0], &byte, &section_state.handled, handled);
		__asm__ volatile("pushfq\n andq $~0x100, (%%rsp)\n popfq" ::: "memory", "cc");
		assert_in_range(steps, 16, STEPS_MAX - 1);
		if (r == -EINTR) {
			/* Then it has not happened. */
			interrupted++;
			assert_int_equal(byte, 0);
			assert_int_equal(read(p[0], &byte, 1), 1);
			assert_int_equal(done, 0);
		} else {
			done++;
			assert_int_equal(r, 1);
			assert_int_equal(byte, 'z');
		}
	}
	assert_true(interrupted > 10);
	assert_true(done > 5);
	a.sa_handler = SIG_DFL;
	signals_action(SIGTRAP, &a, NULL, sigaction);
	close(p[0]);
	close(p[1]);
#else
	(void)state;
	skip();
#endif
}

static void on_longjmp(int sig)
{
	(void)sig;
	ran++;
	siglongjmp(jump, 1);
}

static void section_sleep__longjmp_out(void **state)
{
	struct sigaction a = { .sa_handler = on_longjmp };
	volatile int rounds = 0;
	char byte;
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	signals_action(SIGALRM, &a, NULL, sigaction);
	timer_start(1000);
	sigsetjmp(jump, 1);
	while (rounds < 100) {
		rounds++;
		section_enter();
		section_leave();
		sleep_read(p[0], &byte, &section_state.broke, section_state.broke);
	}
	timer_start(0);
	assert_true(ran >= 90);
	close(p[0]);
	close(p[1]);
}

/* ----------------------------------------------------------------- actions */

static void plain_handler(int sig)
{
	(void)sig;
	ran++;
}

static void signals_action__tells_what_was_set(void **state)
{
	struct sigaction a = { .sa_handler = plain_handler, .sa_flags = SA_RESTART | SA_NODEFER };
	struct sigaction old = { 0 };

	(void)state;
	sigaddset(&a.sa_mask, SIGHUP);
	assert_int_equal(signals_action(SIGUSR1, &a, &old, sigaction), 0);
	assert_true(old.sa_handler == SIG_DFL);
	assert_int_equal(signals_action(SIGUSR1, NULL, &old, sigaction), 0);
	assert_true(old.sa_handler == plain_handler);
	assert_int_equal(old.sa_flags & ~0x04000000, SA_RESTART | SA_NODEFER);
	assert_true(sigismember(&old.sa_mask, SIGHUP));
	a.sa_handler = SIG_IGN;
	assert_int_equal(signals_action(SIGUSR1, &a, &old, sigaction), 0);
	assert_true(old.sa_handler == plain_handler);
	assert_int_equal(signals_action(SIGUSR1, NULL, &old, sigaction), 0);
	assert_true(old.sa_handler == SIG_IGN);
}

static void signals_action__refuses_and_changes_nothing(void **state)
{
	struct sigaction a = { .sa_handler = plain_handler }, old;

	(void)state;
	assert_int_equal(signals_action(SIGKILL, &a, NULL, sigaction), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(signals_action(0, &a, NULL, sigaction), -1);
	assert_int_equal(signals_action(65, &a, NULL, sigaction), -1);
	assert_int_equal(signals_action(SIGKILL, NULL, &old, sigaction), 0);
	assert_true(old.sa_handler == SIG_DFL);
}

static void signals_bsd__restarts_unless_told(void **state)
{
	struct sigaction old;

	(void)state;
	assert_true(signals_bsd(SIGUSR1, plain_handler, sigaction) == SIG_DFL);
	assert_true(signals_bsd(SIGUSR1, plain_handler, sigaction) == plain_handler);
	signals_action(SIGUSR1, NULL, &old, sigaction);
	assert_true(old.sa_flags & SA_RESTART);
	assert_int_equal(signals_interrupt(SIGUSR1, 1, sigaction), 0);
	signals_action(SIGUSR1, NULL, &old, sigaction);
	assert_false(old.sa_flags & SA_RESTART);
	assert_true(signals_bsd(SIGUSR1, plain_handler, sigaction) == plain_handler);
	signals_action(SIGUSR1, NULL, &old, sigaction);
	assert_false(old.sa_flags & SA_RESTART);
	assert_int_equal(signals_interrupt(SIGUSR1, 0, sigaction), 0);
	assert_true(signals_bsd(99, plain_handler, sigaction) == SIG_ERR);
}

static void signals_sysv__is_one_shot(void **state)
{
	struct sigaction old;

	(void)state;
	assert_true(signals_sysv(SIGUSR2, plain_handler, sigaction) == SIG_DFL);
	raise(SIGUSR2);
	assert_int_equal(ran, 1);
	signals_action(SIGUSR2, NULL, &old, sigaction);
	assert_true(old.sa_handler == SIG_DFL);
}

static void handler__mask_and_alternate_stack(void **state)
{
	struct sigaction a = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t stack = { .ss_size = 65536 }, old;

	(void)state;
	stack.ss_sp = malloc(stack.ss_size);
	assert_int_equal(sigaltstack(&stack, &old), 0);
	signals_action(SIGUSR1, &a, NULL, sigaction);
	section_enter();
	raise(SIGUSR1);
	section_leave();
	assert_int_equal(ran, 1);
	sigaltstack(&old, NULL);
	free(stack.ss_sp);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(section__handler_waits_for_the_end),
		T(section__siginfo_is_kept),
		T(section__nodefer_waits_as_well),
		T(section__several_signals_all_run),
		T(section__resethand_runs_once),
		T(section__own_fault_does_not_wait),
		T(section__timer_at_1_khz),
		T(section__threads),
		T(section_sleep__does_the_call),
		T(section_sleep__counter_moved_before),
		T(section_sleep__restart),
		T(section_sleep__no_wakeup_lost),
		T(section_sleep__signal_at_each_instruction),
		T(section_sleep__longjmp_out),
		T(signals_action__tells_what_was_set),
		T(signals_action__refuses_and_changes_nothing),
		T(signals_bsd__restarts_unless_told),
		T(signals_sysv__is_one_shot),
		T(handler__mask_and_alternate_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
