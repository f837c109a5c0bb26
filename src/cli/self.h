/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MORTISE_CLI_SELF_H
#define MORTISE_CLI_SELF_H

#include <limits.h>

#include "base/defs.h"

/**
 * self_find() - A file of ours, from where this command is.
 * @where: Paths relative to the command's folder, ends with NULL: beside it, in
 *         the build tree, where it is installed.
 * @mode:  For access(): R_OK, X_OK.
 * @ret:   Set on success: the first that is there, without symbolic links.
 */
bool self_find(const char *const *where, int mode, char ret[PATH_MAX]);

/** self_library() - The library that is preloaded. */
bool self_library(char ret[PATH_MAX]);

/**
 * self_helper() - A program of ours that is not for the command line.
 * @folder: Its folder in the build tree, from that of the command.
 */
bool self_helper(const char *folder, const char *name, char ret[PATH_MAX]);

#endif
