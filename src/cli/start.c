// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/opt.h"
#include "cli/start.h"
#include "cli/words.h"
#include "ctl/client.h"
#include "shm/abi.h"

/** failed() - Why a daemon did not start, and what to do. */
static void failed(const char *verb, const char *domain, int err)
{
	if (err == -ENOENT)
		complain("%s: there is no `mortised` beside this command or in "
			 "../libexec/mortise; install it, or name it in MORTISED", verb);
	else if (err == -EPERM || err == -EACCES)
		complain("%s: the directory of domain \"%s\" is not yours alone; set "
			 "MORTISE_DIR or XDG_RUNTIME_DIR to a directory that is", verb, domain);
	else if (err == -ECHILD)
		complain("%s: the daemon of domain \"%s\" did not start; it says why above, or in "
			 "the `log` of the domain's directory", verb, domain);
	else
		complain("%s: the daemon of domain \"%s\" did not start: %s", verb, domain,
			 strerror(-err));
}

int start_daemon(const char *verb, const char *domain, int policy, const char *const *more,
		 bool *ret_was)
{
	struct ctl_msg m;
	int fd = ask_connect(domain, true), err;
	bool ok, was = fd >= 0;

	if (was && more && *more) {
		complain("%s: the daemon of domain \"%s\" runs already; end it with `mortise down%s%s`",
			 verb, domain, strcmp(domain, CTL_DOMAIN_DEFAULT) ? " --domain " : "",
			 strcmp(domain, CTL_DOMAIN_DEFAULT) ? domain : "");
		close(fd);
		return -1;
	}
	if (fd == -1 && policy == POLICY_NET && !(more && *more)) {
		complain("%s: no daemon runs for domain \"%s\"; one with a network of its own is "
			 "brought up by `mortise up %s --tap NAME --address ADDRESS/BITS`", verb,
			 domain, domain);
		return -1;
	}
	if (fd == -1) {
		err = ctl_start(domain, word_policy(policy < 0 ? 0 : (uint32_t)policy), more);
		if (err) {
			failed(verb, domain, err);
			return -1;
		}
		fd = ask_connect(domain, false);
	}
	if (fd < 0)
		return -1;
	ok = !ask_status(fd, &m);
	close(fd);
	if (!ok)
		return -1;
	if (policy >= 0 && m.status.policy != (uint32_t)policy) {
		complain("%s: policy %s asked for, but the daemon of domain \"%s\" runs with "
			 "policy %s; end it with `mortise down`, or take another --domain", verb,
			 word_policy((uint32_t)policy), domain, word_policy(m.status.policy));
		return -1;
	}
	if (ret_was)
		*ret_was = was;
	return (int)m.status.policy;
}
