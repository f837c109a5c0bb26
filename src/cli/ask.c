// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/diag.h"
#include "cli/holders.h"
#include "cli/kernel.h"
#include "cli/opt.h"
#include "ctl/client.h"

enum { LIST_TIMEOUT_MS = 5000 };

int ask_connect(const char *domain, bool quiet)
{
	int fd = ctl_connect(domain);

	if (fd >= 0)
		return fd;
	if (fd == -ECONNREFUSED || fd == -ENOENT) {
		if (!quiet)
			complain("no daemon runs for domain \"%s\"; `mortise run%s%s PROGRAM` "
				 "starts one",
				 domain, strcmp(domain, CTL_DOMAIN_DEFAULT) ? " --domain " : "",
				 strcmp(domain, CTL_DOMAIN_DEFAULT) ? domain : "");
		return -1;
	}
	if (fd == -EPERM)
		complain("the directory of domain \"%s\" is not yours alone; set MORTISE_DIR or "
			 "XDG_RUNTIME_DIR to a directory that is", domain);
	else
		complain("cannot reach the daemon of domain \"%s\": %s", domain, strerror(-fd));
	return -2;
}

int ask_open(const char *domain, int *ret_fd)
{
	int fd = ask_connect(domain, false);

	if (fd < 0)
		return fd == -1 ? EXIT_NO_DAEMON : EXIT_FAILURE;
	*ret_fd = fd;
	return 0;
}

void ask_failed(const char *what, int err)
{
	if (err == -EPROTONOSUPPORT)
		complain("%s: the daemon is of another version; end it with the `mortise` that "
			 "it came with", what);
	else if (err == -ETIMEDOUT)
		complain("%s: the daemon does not answer", what);
	else
		complain("%s: %s", what, strerror(-err));
}

int ask_status(int fd, struct ctl_msg *ret)
{
	struct ctl_msg m = { .type = CTL_STATUS, .len = CTL_HEADER_BYTES };
	unsigned nfds = 0;
	int err = ctl_call(fd, &m, NULL, 0, NULL, &nfds);

	if (!err && m.len < CTL_BYTES(status))
		err = -EPROTO;
	if (err) {
		ask_failed("status", err);
		return -1;
	}
	m.status.domain[sizeof(m.status.domain) - 1] = 0;
	*ret = m;
	return 0;
}

/** find_holders() - Only who asks for processes pays for looking at them all. */
static void find_holders(const char *domain, struct ss_row *rows, size_t n)
{
	struct holder_key *keys;
	size_t nkeys = holders_handles(domain, &keys);

	holders_fill("/proc", keys, nkeys, rows, n);
	free(keys);
}

long ask_list(int fd, const char *domain, const struct ss_show *show, struct ss_row **ret)
{
	struct ctl_msg m = {
		.version = CTL_VERSION, .type = CTL_LIST, .len = CTL_HEADER_BYTES, .seq = 1
	};
	struct ss_row *rows = NULL;
	size_t n = 0, room = 0, kept = 0;
	unsigned nfds;
	int err = ctl_send(fd, &m, NULL, 0);

	while (!err) {
		nfds = 0;
		err = ctl_recv(fd, &m, NULL, &nfds, LIST_TIMEOUT_MS);
		if (err || m.type != (CTL_LIST | CTL_REPLY))
			continue;
		if (m.error || m.len < CTL_BYTES(row)) {
			err = m.error ? -m.error : -EPROTO;
			break;
		}
		if (m.row.last)
			break;
		if (n == room) {
			struct ss_row *more;

			room = room ? 2 * room : 64;
			more = reallocarray(rows, room, sizeof(*rows));
			if (!more) {
				err = -ENOMEM;
				break;
			}
			rows = more;
		}
		n += ss_row_make(&m, &rows[n]);
	}
	if (err) {
		ask_failed("ss", err);
		free(rows);
		return -1;
	}
	kernel_fill("/proc", rows, n);
	/* Only now is the state of the kernel's sockets known. */
	for (size_t i = 0; i < n; i++) {
		if (ss_wanted(&rows[i], show))
			rows[kept++] = rows[i];
	}
	if (show->memory)
		diag_fill(rows, kept);
	if (show->processes || show->extended)
		find_holders(domain, rows, kept);
	*ret = rows;
	return (long)kept;
}
