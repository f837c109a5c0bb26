/* SPDX-License-Identifier: BSD-2-Clause */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/clock.h"
#include "world.h"

/* Shared by processes. */
struct shared {
	_Atomic uint32_t word;
	_Atomic uint32_t in, held, go;
	uint64_t count;
};
static struct shared *sh;

static int setup(void **state)
{
	(void)state;
	sh = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return sh == MAP_FAILED;
}

static int teardown(void **state)
{
	(void)state;
	return munmap(sh, 4096);
}

static void half_lock__free_again(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		half_lock(&sh->word);
		assert_int_equal(sh->word, (uint32_t)gettid());
		half_unlock(&sh->word);
		assert_int_equal(sh->word, 0);
	}
}

static int add(unsigned rounds)
{
	int bad = 0;

	for (unsigned i = 0; i < rounds; i++) {
		half_lock(&sh->word);
		bad |= atomic_fetch_add(&sh->in, 1) != 0;
		sh->count++;
		atomic_fetch_sub(&sh->in, 1);
		half_unlock(&sh->word);
	}
	return bad;
}

static void half_lock__excludes_processes(void **state)
{
	pid_t pid[3];

	(void)state;
	half_lock(&sh->word); /* so that a stale cached id would show */
	half_unlock(&sh->word);
	for (unsigned k = 0; k < 3; k++) {
		pid[k] = fork();
		if (pid[k] == 0) {
			half_lock_forked();
			_exit(add(100000));
		}
	}
	assert_int_equal(add(100000), 0);
	for (unsigned k = 0; k < 3; k++) {
		int status = -1;

		assert_int_equal(waitpid(pid[k], &status, 0), pid[k]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(sh->count, 400000);
	assert_int_equal(sh->word, 0);
}

static void *add_thread(void *arg)
{
	return (void *)(intptr_t)(add(100000) | !arg);
}

static void half_lock__excludes_threads(void **state)
{
	pthread_t t[3];
	void *bad;

	(void)state;
	for (unsigned k = 0; k < 3; k++)
		assert_int_equal(pthread_create(&t[k], NULL, add_thread, sh), 0);
	for (unsigned k = 0; k < 3; k++) {
		assert_int_equal(pthread_join(t[k], &bad), 0);
		assert_null(bad);
	}
	assert_int_equal(sh->count, 300000);
}

static pid_t holder(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		half_lock_forked();
		half_lock(&sh->word);
		store_release(&sh->held, 1);
		pause();
		_exit(0);
	}
	for (int i = 0; i < 10000 && !load_acquire(&sh->held); i++)
		usleep(1000);
	assert_int_equal(sh->held, 1);
	return pid;
}

static void half_lock__holder_was_killed_and_reaped(void **state)
{
	pid_t pid = holder();
	uint64_t began;

	(void)state;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	began = clock_now_ns();
	half_lock(&sh->word);
	assert_true(clock_now_ns() - began < NS_PER_SEC);
	half_unlock(&sh->word);
	assert_int_equal(sh->word, 0);
}

/* The parent waits for the lock, and so reaps nobody. */
static void half_lock__holder_is_a_zombie(void **state)
{
	pid_t pid = holder();
	siginfo_t info;
	uint64_t began;

	(void)state;
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	began = clock_now_ns();
	half_lock(&sh->word);
	assert_true(clock_now_ns() - began < NS_PER_SEC);
	half_unlock(&sh->word);
	waitpid(pid, NULL, 0);
}

static void half_lock__holder_is_killed_while_others_wait(void **state)
{
	pid_t dying = holder(), waiter[3];

	(void)state;
	for (unsigned k = 0; k < 3; k++) {
		waiter[k] = fork();
		if (waiter[k] == 0) {
			half_lock_forked();
			_exit(add(1000));
		}
	}
	usleep(50000);
	assert_true(sh->word & 0x80000000u); /* FUTEX_WAITERS */
	assert_int_equal(sh->count, 0);
	kill(dying, SIGKILL);
	for (unsigned k = 0; k < 3; k++) {
		int status = -1;

		assert_int_equal(waitpid(waiter[k], &status, 0), waiter[k]);
		assert_int_equal(status, 0);
	}
	waitpid(dying, NULL, 0);
	assert_int_equal(sh->count, 3000);
	assert_int_equal(sh->word, 0);
}

static void half_lock__waits_for_a_stopped_holder(void **state)
{
	pid_t stopped = holder(), waiter;
	int status = -1;

	(void)state;
	kill(stopped, SIGSTOP);
	waiter = fork();
	if (waiter == 0) {
		half_lock_forked();
		_exit(add(1));
	}
	usleep(150000);
	assert_int_equal(waitpid(waiter, &status, WNOHANG), 0); /* it is no corpse */
	kill(stopped, SIGKILL);
	assert_int_equal(waitpid(waiter, &status, 0), waiter);
	assert_int_equal(status, 0);
	waitpid(stopped, NULL, 0);
}

/* SIGKILL at a random moment, again and again: the lock is never lost. */
static void half_lock__killed_at_random(void **state)
{
	uint64_t seed = dice_seed();

	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			half_lock_forked();
			for (;;) {
				half_lock(&sh->word);
				store_release(&sh->held, 1);
				half_unlock(&sh->word);
			}
		}
		usleep((useconds_t)(dice(&seed) % 3000));
		kill(pid, SIGKILL);
		half_lock(&sh->word);
		half_unlock(&sh->word);
		waitpid(pid, NULL, 0);
	}
	assert_int_equal(sh->held, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(half_lock__free_again),
		T(half_lock__excludes_processes),
		T(half_lock__excludes_threads),
		T(half_lock__holder_was_killed_and_reaped),
		T(half_lock__holder_is_a_zombie),
		T(half_lock__holder_is_killed_while_others_wait),
		T(half_lock__waits_for_a_stopped_holder),
		T(half_lock__killed_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
