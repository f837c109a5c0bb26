/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * verbs.h - What `mortise` can do. argv[0] is the verb; each returns the exit
 * status.
 */
#ifndef MORTISE_CLI_VERBS_H
#define MORTISE_CLI_VERBS_H

#include <stdio.h>

#include "ctl/proto.h"

/** struct verb - @summary: One line. @help: All of `--help`, examples first. */
struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
	const char *help;
};

/** The verbs; the last has no name. */
extern const struct verb verbs[];

/** verb_help() - Print a verb's help, and return the exit status 0. */
int verb_help(const char *name);

int verb_run(int argc, char **argv);
int verb_up(int argc, char **argv);
int verb_config(int argc, char **argv);
int verb_doctor(int argc, char **argv);
int verb_ss(int argc, char **argv);
int verb_status(int argc, char **argv);
int verb_top(int argc, char **argv);
int verb_metrics(int argc, char **argv);
int verb_bench(int argc, char **argv);
int verb_addr(int argc, char **argv);
int verb_route(int argc, char **argv);
int verb_neigh(int argc, char **argv);
int verb_stats(int argc, char **argv);
int verb_ping(int argc, char **argv);
int verb_down(int argc, char **argv);
int verb_help_main(int argc, char **argv);

/**
 * run_preload() - LD_PRELOAD with @library in it, once, behind what is there.
 * @old: May be NULL.
 * Return: Allocated, or NULL without memory.
 */
char *run_preload(const char *old, const char *library);

/** status_text(), status_json() - Write a CTL_STATUS reply. @now_ns: CLOCK_MONOTONIC. */
void status_text(FILE *out, const struct ctl_msg *m, uint64_t now_ns);
void status_json(FILE *out, const struct ctl_msg *m, uint64_t now_ns);

/** status_fallbacks_json() - The object of its counts by reason. */
void status_fallbacks_json(FILE *out, const struct ctl_msg *m);

#endif
