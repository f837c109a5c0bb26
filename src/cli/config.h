/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config.h - The command's settings, and where each comes from.
 *
 * A flag goes before the environment, that before the user's file, that before
 * the system's. The files are read by the command alone: config_export() hands
 * what they say to programs as MORTISE_* variables, which is all that the
 * preloaded library knows of.
 */
#ifndef MORTISE_CLI_CONFIG_H
#define MORTISE_CLI_CONFIG_H

#include <limits.h>
#include <stdio.h>

#include "base/defs.h"

#define CONFIG_SYSTEM_FILE "/etc/mortise/mortise.ini"
#define CONFIG_VALUE_MAX 2048u /* the library keeps 4096 bytes of variables */

enum setting {
	SET_DOMAIN,
	SET_POLICY,
	SET_DIR,
	SET_PROFILE,
	SET_SPIN_US,
	SET_EXCLUDE,
	SET_LOG,
	SET_COLOR,
	SET_COUNT
};

/** In this order, first in the verb's table: then opt_next()'s index is the setting. */
#define CONFIG_OPTS                                                            \
	{ 0, "domain", "NAME" }, { 0, "policy", "POLICY" }, { 0, "dir", "FOLDER" }, \
	{ 0, "profile", "PROFILE" }, { 0, "spin-us", "NUMBER" },                    \
	{ 0, "exclude", "LIST" }, { 0, "log", "LEVEL" }, { 0, "color", "[WHEN]" }

/** Later ones go before earlier ones. */
enum config_source { FROM_DEFAULT, FROM_SYSTEM, FROM_USER, FROM_ENV, FROM_FLAG };

/**
 * struct config_value - One setting.
 * @value: "" is the default, whatever that is; see config_effective().
 * @line:  Of the file that it is from; 0 where it is from none.
 */
struct config_value {
	char value[CONFIG_VALUE_MAX];
	enum config_source from;
	unsigned line;
};

#define CONFIG_NETS_MAX 64u

/**
 * struct config_net - What a domain's network is to be, one argument of `mortise up`: from a file's
 * section [domain NAME].
 * @name: Of the option, without "--".
 */
struct config_net {
	char domain[33], value[256];
	const char *name;
	enum config_source from;
};

/**
 * struct config - All of them.
 * @net:    @nets of them, in the order in which they stand there.
 * @system, @user: The files; "" where there is no place for one.
 */
struct config {
	struct config_value at[SET_COUNT];
	char system[PATH_MAX], user[PATH_MAX];
	struct config_net net[CONFIG_NETS_MAX];
	unsigned nets;
};

/**
 * config_load() - Read the files and the environment.
 * Return: False, with a message that names the place and what is accepted there.
 */
bool config_load(struct config *c);

/**
 * config_file() - Read one file.
 * Return: False, with a message, where something in it is wrong, or it cannot
 *         be read; true where there is none.
 */
bool config_file(struct config *c, const char *path, enum config_source from);

/**
 * config_net() - What the files say of the network of @domain: the user's, or where that has no
 * such section the system's.
 * @i:   0, 1, 2 ...
 * Return: NULL at the end.
 */
const struct config_net *config_net(const struct config *c, const char *domain, unsigned i);

/** config_flag() - A flag's value. Return: False, with a message. */
bool config_flag(struct config *c, enum setting s, const char *value);

/** config_export() - Into this process's environment. Return: False without memory. */
bool config_export(const struct config *c);

/**
 * config_effective() - What holds in the end: defaults are filled in, and a
 * profile says how long to spin where spin_us is not said, or said by less.
 * @ret_by_profile: May be NULL: the value of spin_us is the profile's.
 */
void config_effective(const struct config *c, enum setting s, char ret[CONFIG_VALUE_MAX],
		      bool *ret_by_profile);

/** config_text(), config_json() - What holds, and where each comes from. */
void config_text(FILE *out, const struct config *c);
void config_json(FILE *out, const struct config *c);

/** The process's own; loaded by main(). */
extern struct config config;

#endif
