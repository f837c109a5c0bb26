/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MORTISE_PRELOAD_FORK_H
#define MORTISE_PRELOAD_FORK_H

#include "preload/real.h"

/** fork_before() - A child with a copy of our memory is about to be made. */
void fork_before(void);
/** fork_after() - It was made, or not. @pid: fork()'s result, given back;
 * errno stays. */
long fork_after(long pid);

/** system_fork_child() - Nobody is in system() here. */
void system_fork_child(void);

#endif
