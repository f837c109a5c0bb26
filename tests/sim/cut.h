/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cut.h - What a device does with a frame that an engine leaves to it: checksums,
 * and the cuts of large TCP segments.
 */
#ifndef MORTISE_TESTS_SIM_CUT_H
#define MORTISE_TESTS_SIM_CUT_H

#include "engine/engine.h"

/**
 * cut_frame() - The @i-th frame that goes on the wire instead of @frame.
 * @ret: As long as @frame.
 * Return: its octets; 0: there is none.
 */
size_t cut_frame(const uint8_t *frame, size_t bytes, const struct engine_offload *o, unsigned i,
		 uint8_t *ret);

#endif
