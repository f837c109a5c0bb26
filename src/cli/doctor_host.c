// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <errno.h>
#include <limits.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/config.h"
#include "cli/doctor.h"
#include "cli/elf_file.h"
#include "cli/self.h"
#include "cli/words.h"
#include "ctl/client.h"

/* --------------------------------------------------------------- install */

void doctor_installation(struct findings *f)
{
	static const char topic[] = "installation";
	char path[PATH_MAX], real[PATH_MAX];

	if (!self_library(path)) {
		finding_add(f, topic, "library", FINDING_BAD, "there is no libmortise.so beside this "
			    "command, in ../preload or in ../lib/mortise");
		finding_remedy(f, "install it: make install, or the Debian package");
	} else if (strpbrk(path, ": ")) {
		finding_add(f, topic, "library", FINDING_BAD, "LD_PRELOAD cannot hold the path %s",
			    path);
		finding_remedy(f, "install it where no folder has a space or a colon in its name");
	} else {
		finding_add(f, topic, "library", FINDING_OK, "mortise %s, library %s",
			    MORTISE_VERSION, path);
	}
	if (ctl_daemon_path(path, sizeof(path))) {
		finding_add(f, topic, "daemon", FINDING_OK, "daemon %s",
			    realpath(path, real) ? real : path);
	} else {
		finding_add(f, topic, "daemon", FINDING_BAD, "there is no mortised beside this "
			    "command or in ../libexec/mortise");
		finding_remedy(f, "install it, or name it in MORTISED");
	}
}

/* ------------------------------------------------------------ environment */

/** look_at_preloaded() - One word of LD_PRELOAD. */
static void look_at_preloaded(struct findings *f, const char *path)
{
	static const char topic[] = "environment";
	struct elf_file e = { 0 };
	int fd = strchr(path, '/') ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	int r = fd < 0 ? -errno : elf_file_read(fd, &e);

	if (fd >= 0)
		close(fd);
	if (r && strchr(path, '/')) {
		finding_add(f, topic, "preload", FINDING_LIMIT, "LD_PRELOAD names %s, which is not a "
			    "library that can be read", path);
		finding_remedy(f, "take it out of LD_PRELOAD: ld.so complains in each program");
	} else if (!r && e.hooks) {
		finding_add(f, topic, "preload", FINDING_LIMIT, "LD_PRELOAD names %s, which stands "
			    "before libc's socket calls, too: it comes first, and Mortise sees what "
			    "it lets through", path);
		finding_remedy(f, "take it out of LD_PRELOAD, unless that is wanted");
	} else {
		finding_add(f, topic, "preload", FINDING_OK, "LD_PRELOAD names %s: Mortise is added "
			    "behind it", path);
	}
}

/** look_at_variable() - One that begins as ours do, and is none. */
static void look_at_variable(struct findings *f, const char *variable)
{
	static const char *const ours[] = {
		"MORTISE_DOMAIN", "MORTISE_POLICY",  "MORTISE_DIR",   "MORTISE_PROFILE",
		"MORTISE_SPIN_US", "MORTISE_EXCLUDE", "MORTISE_LOG",  "MORTISE_COLOR",
		"MORTISE_FAULT",  "MORTISE_FAULT_ONCE", "MORTISE_BUILD", "MORTISED", NULL };
	char name[64];
	const char *near;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(variable, "="), variable);
	for (const char *const *o = ours; *o; o++) {
		if (!strcmp(*o, name))
			return;
	}
	near = word_near(name, ours);
	finding_add(f, "environment", "variable", FINDING_LIMIT, "there is no setting %s%s%s%s", name,
		    near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	finding_remedy(f, "unset it; mortise-config(1) has all of them");
}

void doctor_environment(struct findings *f)
{
	const char *preload = getenv("LD_PRELOAD");
	char word[PATH_MAX];

	while (preload && *preload) {
		size_t n = strcspn(preload, ": ");

		if (n && n < sizeof(word)) {
			memcpy(word, preload, n);
			word[n] = 0;
			if (!strstr(word, "libmortise.so"))
				look_at_preloaded(f, word);
		}
		preload += n + (preload[n] != 0);
	}
	for (char **e = environ; e && *e; e++) {
		if (!strncmp(*e, "MORTISE_", 8))
			look_at_variable(f, *e);
	}
}

/* ----------------------------------------------------------------- kernel */

static const char kernel[] = "kernel";

static void look_at_memfd(struct findings *f)
{
	int fd = memfd_create("mortise-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	bool sealed = fd >= 0 && !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);

	if (fd >= 0)
		close(fd);
	if (sealed) {
		finding_add(f, kernel, "memfd", FINDING_OK, "memory that can be sealed (memfd_create)");
		return;
	}
	finding_add(f, kernel, "memfd", FINDING_BAD, "memfd_create() or its seals fail: %s",
		    strerror(errno));
	finding_remedy(f, "a kernel of 3.17 or later; in a container, a filter of system calls that "
			  "allows it");
}

static void look_at_futex(struct findings *f)
{
	syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0);
	if (errno == EINVAL) {
		finding_add(f, kernel, "futex_waitv", FINDING_OK,
			    "waiting on both ends of a connection (futex_waitv)");
		return;
	}
	finding_add(f, kernel, "futex_waitv", FINDING_LIMIT,
		    "no futex_waitv() (%s): a thread notices a shutdown() by another of its own "
		    "process up to 20 ms late", strerror(errno));
	finding_remedy(f, "a kernel of 5.16 or later; in a container, a filter that allows it");
}

static void look_at_pidfd(struct findings *f)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (fd >= 0) {
		close(fd);
		finding_add(f, kernel, "pidfd", FINDING_OK, "hearing of a process's end (pidfd_open)");
		return;
	}
	finding_add(f, kernel, "pidfd", FINDING_BAD, "pidfd_open() fails: %s", strerror(errno));
	finding_remedy(f, "a kernel of 5.3 or later; in a container, a filter that allows it");
}

static void look_at_membarrier(struct findings *f)
{
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	finding_add(f, kernel, "membarrier", FINDING_OK, "%s", commands > 0 ?
		    "membarrier is there" :
		    "membarrier is not there: nothing is lost, each waker fences for itself");
}

static void look_at_seccomp(struct findings *f)
{
	struct seccomp_notif_sizes sizes;

	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_FILTER) {
		finding_add(f, kernel, "confined", FINDING_LIMIT, "this process is confined by a "
			    "filter of system calls, and so will be what it starts");
		finding_remedy(f, "where something is refused below, allow it in that filter (a "
				  "container's, or SystemCallFilter= of a unit)");
	}
	if (!syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes))
		finding_add(f, kernel, "seccomp", FINDING_OK, "seccomp with notifications is there");
	else
		finding_add(f, kernel, "seccomp", FINDING_OK,
			    "seccomp notifications are not there; they are not needed");
}

static void look_at_cpus(struct findings *f)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) ? 0 : CPU_COUNT(&set);

	if (n == 1)
		finding_add(f, kernel, "cpus", FINDING_OK, "one CPU: nobody spins, since the peer "
			    "could not run meanwhile");
	else
		finding_add(f, kernel, "cpus", FINDING_OK, "%d CPUs", n);
}

void doctor_kernel(struct findings *f)
{
	struct utsname u;

	if (!uname(&u))
		finding_add(f, kernel, "version", FINDING_OK, "%s %s, %s", u.sysname, u.release,
			    u.machine);
	look_at_cpus(f);
	look_at_seccomp(f);
	look_at_memfd(f);
	look_at_futex(f);
	look_at_pidfd(f);
	look_at_membarrier(f);
}

/* ----------------------------------------------------------------- limits */

static const char limits[] = "limits";

static const char *amount(rlim_t n, unsigned shift, const char *unit, char ret[48])
{
	if (n == RLIM_INFINITY)
		return "unlimited";
	snprintf(ret, 48, "%llu%s", (unsigned long long)n >> shift, unit);
	return ret;
}

void doctor_limits(struct findings *f)
{
	enum { FILES_FEW = 4096 };
	char soft[48], hard[48];
	struct rlimit l;

	if (!getrlimit(RLIMIT_NOFILE, &l)) {
		bool few = l.rlim_max < FILES_FEW;

		finding_add(f, limits, "nofile", few ? FINDING_LIMIT : FINDING_OK,
			    "RLIMIT_NOFILE is %s, at most %s: a domain has at most some 16 times "
			    "the latter of sockets, a program what the former says",
			    amount(l.rlim_cur, 0, "", soft), amount(l.rlim_max, 0, "", hard));
		if (few)
			finding_remedy(f, "raise it before `mortise run` and the daemon start: "
					  "`ulimit -Hn 20000`, limits.conf(5), or LimitNOFILE= of a "
					  "unit; what is beyond is the kernel's (reason: limit)");
	}
	if (!getrlimit(RLIMIT_AS, &l)) {
		bool low = l.rlim_max != RLIM_INFINITY;

		finding_add(f, limits, "as", low ? FINDING_LIMIT : FINDING_OK,
			    "RLIMIT_AS is %s, at most %s%s", amount(l.rlim_cur, 20, " MB", soft),
			    amount(l.rlim_max, 20, " MB", hard),
			    low ? ": each program that one talks with takes 4 GiB of addresses, "
				  "though little memory" : "");
		if (low)
			finding_remedy(f, "ulimit -Hv unlimited; a soft limit (ulimit -Sv) does no "
					  "harm, since Mortise's memory is not counted in it");
	}
	if (!getrlimit(RLIMIT_MEMLOCK, &l))
		finding_add(f, limits, "memlock", FINDING_OK,
			    "RLIMIT_MEMLOCK is %s: nothing of Mortise's is locked",
			    amount(l.rlim_cur, 10, " KB", soft));
}
