/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * words.h - The words that people and scripts see. Fixed: a script that
 * matches one must match it next year.
 */
#ifndef MORTISE_CLI_WORDS_H
#define MORTISE_CLI_WORDS_H

#include "ctl/proto.h"

/** word_reason() - Why a socket is the kernel's; NULL for none or unknown. */
const char *word_reason(uint32_t reason);

/** word_policy() - "share", "none", or "unknown". */
const char *word_policy(uint32_t policy);

/** word_policy_find() - Return: enum policy, or -1. */
int word_policy_find(const char *word);

/**
 * word_state() - State of a socket in shared memory, in ss's words.
 * @state:  enum half_state.
 * @closed: 1: its own FIN is out; 2: the peer's has come.
 * @remote: addr_word; tells a seat that is taken from a free one.
 * Return: NULL where it is no socket that ss would show.
 */
const char *word_state(uint32_t state, uint32_t closed, uint64_t remote);

/** word_state_kernel() - The same of a number in /proc/net/tcp. */
const char *word_state_kernel(unsigned state);

/**
 * word_near() - Which of @words may have been meant.
 * @words: Ends with NULL.
 * Return: The nearest that differs in at most two letters, or NULL.
 */
const char *word_near(const char *typed, const char *const *words);

#endif
