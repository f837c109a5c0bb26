/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ss_filter.h - The filters that ss(8) takes behind its options.
 *
 *   filter := { (state | exclude) STATE } [ expr ]
 *   expr   := both { (or | "|" | "||") both }
 *   both   := one { [and | "&" | "&&"] one }     side by side is "and"
 *   one    := (not | "!") one | "(" expr ")" | cond
 *   cond   := (sport | dport) [OP] [:]PORT | (src | dst) [= | !=] HOST
 *   OP     := = == eq != ne neq > gt < lt >= ge geq <= le leq
 *   HOST   := [inet: | inet6:] [ADDRESS[/BITS] | NAME | "*"][:PORT]; IPv6 in brackets, or
 *             bare without a port
 */
#ifndef MORTISE_CLI_SS_FILTER_H
#define MORTISE_CLI_SS_FILTER_H

#include "cli/ss_row.h"

enum {
	SS_FILTER_TEXT_MAX = 4096,
	SS_FILTER_NODES = 512,
	SS_FILTER_DEPTH = 64, /* of brackets and "not" */
};

/* Bits are numbered as the kernel numbers TCP's states. */
#define SS_STATES_ALL 0xffffffffu
#define SS_STATES_CONNECTED (SS_STATES_ALL & ~(1u << 7 | 1u << 10))

/** ss_state_bit() - Of a word in struct ss_row; 0 where it is none. */
uint32_t ss_state_bit(const char *word);

enum ss_node_kind { SS_AND, SS_OR, SS_NOT, SS_SPORT, SS_DPORT, SS_SRC, SS_DST };
enum ss_op { SS_EQ, SS_NE, SS_GT, SS_LT, SS_GE, SS_LE };

/**
 * struct ss_node - A part of an expression.
 * @left, @right: Indices of the parts; of SS_NOT, @left.
 * @port: 0..65535; -1: any.
 * @ip, @bits: Network order, v4-mapped; how many of its 128 bits must agree. 0: any address.
 * @ipv6: An IPv6 address was written: no IPv4 one is meant.
 */
struct ss_node {
	enum ss_node_kind kind;
	enum ss_op op;
	int left, right;
	int32_t port;
	uint8_t ip[16];
	unsigned bits;
	bool ipv6;
};

/**
 * struct ss_filter - A filter.
 * @states: Which are wanted; 0: it does not say.
 * @root:   Index; -1: no expression.
 */
struct ss_filter {
	uint32_t states;
	int root;
	int count;
	struct ss_node node[SS_FILTER_NODES];
};

/**
 * struct ss_filter_error - What is wrong with it.
 * @text: The arguments, joined by spaces. @at: where in it. @what: in words.
 */
struct ss_filter_error {
	char text[SS_FILTER_TEXT_MAX];
	size_t at;
	char what[200];
};

/**
 * ss_filter_parse() - Read a filter.
 * Return: False with @ret_error set; then @ret is unspecified.
 */
bool ss_filter_parse(int argc, char *const *argv, struct ss_filter *ret,
		     struct ss_filter_error *ret_error);

/** ss_filter_match() - Does the expression hold of @r? States are ss_wanted()'s. */
bool ss_filter_match(const struct ss_filter *f, const struct ss_row *r);

#endif
