// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/domain_verb.h"
#include "cli/ss_format.h"
#include "cli/verbs.h"
#include "ctl/client.h"

enum { GONE_TIMEOUT_MS = 3000 };

/** wait_gone() - The daemon has agreed: our connection ends when it is gone. */
static void wait_gone(int fd)
{
	struct ctl_msg m;
	unsigned nfds = 0;

	while (!ctl_recv(fd, &m, NULL, &nfds, GONE_TIMEOUT_MS))
		nfds = 0;
}

static void list_live(int fd, const char *domain, uint32_t connections)
{
	struct ss_show show = { .tcp = true, .numeric = true, .processes = true };
	struct ss_row *rows = NULL;
	long n = ask_list(fd, domain, &show, &rows), shm = 0;

	for (long i = 0; i < n; i++) {
		if (!strcmp(rows[i].transport, "shm"))
			rows[shm++] = rows[i];
	}
	if (shm > 0)
		ss_table(stdout, rows, (size_t)shm, &show);
	free(rows);
	fflush(stdout);
	complain("down: %u connection%s open; end the programs, or end the connections with "
		 "`mortise down --force`", connections, connections == 1 ? " is" : "s are");
}

int verb_down(int argc, char **argv)
{
	enum { FORCE };
	static const struct opt table[] = { [FORCE] = { 'f', "force", NULL },
					    { 0, "domain", "NAME" },
					    { 0 } };
	struct opt_walk w = { .verb = "down", .table = table, .argc = argc, .argv = argv, .next = 1 };
	struct ctl_msg m = { .type = CTL_DOWN, .len = CTL_BYTES(down) };
	struct domain_verb v;
	unsigned nfds = 0;
	int fd, err, status = domain_verb_read(&w, NULL, &v);

	if (status >= 0)
		return status;
	m.down.force = v.given >> FORCE & 1;
	fd = ask_connect(v.domain, true);
	if (fd == -1) {
		complain("down: no daemon runs for domain \"%s\"; nothing to do", v.domain);
		return EXIT_SUCCESS;
	}
	if (fd < 0)
		return EXIT_FAILURE;
	err = ctl_call(fd, &m, NULL, 0, NULL, &nfds);
	if (err == -EBUSY)
		list_live(fd, v.domain, m.status.connections);
	else if (err == -EPIPE)
		err = 0; /* It was gone before it could say so. */
	else if (err)
		ask_failed("down", err);
	if (!err)
		wait_gone(fd);
	close(fd);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
