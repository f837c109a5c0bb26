/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * defer.pml - shared.pml's listener with TCP_DEFER_ACCEPT: a claim has a mark, and
 * whoever accepts passes it over until its connector has published, or the executor
 * has in its place, and has taken the mark off (seat_speaks()).
 *
 * Models claim_defers() and seat_speaks(). That a claim is taken all the same after
 * a time is left out: nothing may need that.
 *
 * Wanted: as in shared.pml.
 *
 * Mistakes: STAYS_SILENT (who has published leaves the mark), EXEC_SILENT (the
 * executor does), CLEAR_DEFERRED (a claim with a mark is taken for untrue).
 */
#define DEFERS
#include "shared.pml"
