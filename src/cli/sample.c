// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/ask.h"
#include "cli/opt.h"
#include "cli/sample.h"

int sample_take(const char *domain, bool quiet, struct sample *ret)
{
	const struct ss_show show = { .all = true, .numeric = true };
	struct sample s = { 0 };
	long n;
	int fd = ask_connect(domain, quiet);

	if (fd < 0)
		return fd == -1 ? EXIT_NO_DAEMON : EXIT_FAILURE;
	s.at_ns = clock_now_ns();
	n = ask_status(fd, &s.status) ? -1 : ask_list(fd, domain, &show, &s.rows);
	close(fd);
	if (n < 0)
		return EXIT_FAILURE;
	s.count = (size_t)n;
	*ret = s;
	return EXIT_SUCCESS;
}

void sample_free(struct sample *s)
{
	free(s->rows);
	*s = (struct sample){ 0 };
}
