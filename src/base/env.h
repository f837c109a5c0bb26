/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * env.h - The environment as it was when the program began: programs wipe
 * theirs out (nginx) or replace it, and the library needs its own variables
 * long after that.
 */
#ifndef MORTISE_BASE_ENV_H
#define MORTISE_BASE_ENV_H

/** env_keep() - Remember the variables that env_get() knows. Once, at start. */
void env_keep(void);

/**
 * env_get() - As getenv(), of the environment at env_keep(), or of now where
 * that was never called.
 * @name: One of MORTISE_DIR, MORTISED, MORTISE_EXCLUDE, XDG_RUNTIME_DIR.
 */
const char *env_get(const char *name);

#endif
