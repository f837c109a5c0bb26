/* SPDX-License-Identifier: BSD-2-Clause */
/* lock.c - half_lock() between threads, and one that ends while it holds it. */
#include <pthread.h>

#include "../unit/world.h"

#define ROUNDS 50000u

static _Atomic uint32_t word;
static uint64_t count; /* guarded by word */

static void *adder(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ROUNDS; i++) {
		half_lock(&word);
		count++;
		half_unlock(&word);
	}
	return NULL;
}

static void *dier(void *arg)
{
	(void)arg;
	half_lock(&word);
	return NULL; /* the thread id is gone with it */
}

int main(void)
{
	pthread_t t[3];

	alarm(100);
	for (unsigned k = 0; k < 3; k++)
		must(pthread_create(&t[k], NULL, adder, NULL) == 0);
	for (unsigned k = 0; k < 3; k++)
		pthread_join(t[k], NULL);
	must(count == 3 * ROUNDS);
	for (unsigned i = 0; i < 5; i++) {
		must(pthread_create(&t[0], NULL, dier, NULL) == 0);
		must(pthread_create(&t[1], NULL, dier, NULL) == 0);
		pthread_join(t[0], NULL);
		pthread_join(t[1], NULL);
		half_lock(&word);
		half_unlock(&word);
	}
	must(word == 0);
	return 0;
}
