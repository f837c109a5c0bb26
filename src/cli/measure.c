// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/measure.h"
#include "cli/opt.h"
#include "cli/self.h"
#include "cli/spawn.h"
#include "ctl/client.h"
#include "shm/abi.h"

#define DOMAIN "bench"
#define GRACE_S 20.0 /* for the start and the end of a run */

enum { ARGS_MAX = 32 };

const unsigned measure_sizes[SIZES] = { 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576 };
const char *const measure_percentiles[PERCENTILES] = { "10", "50", "90", "99", "999" };

/* ----------------------------------------------------------------- values */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct spread measure_spread(const double *values, unsigned n)
{
	double v[ROUNDS_MAX];
	struct spread s = { .n = n < ROUNDS_MAX ? n : ROUNDS_MAX };

	if (!s.n)
		return s;
	memcpy(v, values, s.n * sizeof(*v));
	qsort(v, s.n, sizeof(*v), compare);
	s.median = s.n % 2 ? v[s.n / 2] : (v[s.n / 2 - 1] + v[s.n / 2]) / 2;
	s.least = v[0];
	s.greatest = v[s.n - 1];
	return s;
}

struct spread measure_of(const struct job *j, unsigned side, unsigned key)
{
	return measure_spread(j->values[side][key], j->runs[side]);
}

struct spread measure_kernel(const struct measure *m, const struct job *j, unsigned key,
			     bool less, unsigned *ret_side)
{
	struct spread best = { 0 };

	*ret_side = 0;
	for (unsigned side = 0; side < m->kernels; side++) {
		struct spread s = measure_of(j, side, key);

		if (!s.n || (best.n && (less ? s.median >= best.median : s.median <= best.median)))
			continue;
		best = s;
		*ret_side = side;
	}
	return best;
}

const struct job *measure_find(const struct measure *m, enum job_kind kind,
			       enum placement placement, unsigned size)
{
	for (unsigned i = 0; i < m->job_count; i++) {
		const struct job *j = &m->jobs[i];

		if (j->kind == kind && j->placement == placement && (!size || j->size == size))
			return j;
	}
	return NULL;
}

struct spread measure_limit(const struct measure *m, const char *key)
{
	for (unsigned i = 0; i < m->job_count; i++) {
		const struct job *j = &m->jobs[i];

		for (unsigned k = 0; j->kind == JOB_LIMITS && k < j->key_count; k++) {
			if (!strcmp(j->keys[k], key))
				return measure_of(j, 0, k);
		}
	}
	return (struct spread){ 0 };
}

bool measure_value(const char *line, const char *key, double *ret)
{
	size_t len = strlen(key);

	for (const char *p = strstr(line, key); p; p = strstr(p + 1, key)) {
		char *end;
		double v;

		if ((p != line && p[-1] != ' ') || p[len] != '=')
			continue;
		v = strtod(p + len + 1, &end);
		if (end == p + len + 1 || (*end && !strchr(" \n", *end)))
			return false;
		*ret = v;
		return true;
	}
	return false;
}

/* ------------------------------------------------------------------- plan */

/** topology() - A number that the kernel knows of a CPU; -1: it does not say. */
static int topology(int cpu, const char *what)
{
	char path[96];
	int n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, what);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fscanf(f, "%d", &n) != 1) /* NOLINT(cert-err34-c): a kernel's file */
		n = -1;
	fclose(f);
	return n;
}

static bool same_core(int a, int b)
{
	int core = topology(a, "core_id"), package = topology(a, "physical_package_id");

	return core >= 0 && core == topology(b, "core_id") &&
	       package == topology(b, "physical_package_id");
}

/** find_cpus() - Two of different cores, else two, else one. */
static unsigned find_cpus(int ret[2])
{
	unsigned n = 0;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 0;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET((unsigned)cpu, &set))
			continue;
		if (n < 2)
			ret[n++] = cpu;
		else if (same_core(ret[0], ret[1]) && !same_core(ret[0], cpu))
			ret[1] = cpu;
	}
	return n;
}

static void find_machine(char *ret, size_t size, unsigned cpus)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256], model[64] = "";
	struct utsname u;

	while (f && !*model && fgets(line, sizeof(line), f)) {
		const char *colon = strchr(line, ':');

		if (!strncmp(line, "model name", 10) && colon)
			snprintf(model, sizeof(model), "%.*s", (int)strcspn(colon + 2, "\n"),
				 colon + 2);
	}
	if (f)
		fclose(f);
	uname(&u);
	snprintf(ret, size, "%s, %u CPU%s, Linux %.40s", *model ? model : u.machine, cpus,
		 cpus == 1 ? "" : "s", u.release);
}

/** find_kernels() - Which congestion controls there are, and are allowed, to compare with. */
static void find_kernels(struct measure *m)
{
	static const char *const wanted[] = { "bbr", "cubic" };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		if (!setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, wanted[i],
				(socklen_t)strlen(wanted[i])))
			snprintf(m->cc[m->kernels++], sizeof(m->cc[0]), "%s", wanted[i]);
	}
	if (fd >= 0)
		close(fd);
	if (!m->kernels)
		m->cc[m->kernels++][0] = 0; /* whichever it is */
}

static struct job *add(struct measure *m, enum job_kind kind, enum placement placement,
		       unsigned size)
{
	struct job *j = &m->jobs[m->job_count++];

	j->kind = kind;
	j->placement = placement;
	j->size = size;
	return j;
}

static void add_key(struct job *j, const char *key)
{
	j->keys[j->key_count++] = key;
}

static void add_limits(struct measure *m)
{
	static const char *const copies[SIZES] = { "copy_64",	 "copy_256",   "copy_1024",
						   "copy_4096",	 "copy_16384", "copy_65536",
						   "copy_262144", "copy_1048576" };
	struct job *j = add(m, JOB_LIMITS, m->cpu_count > 1 ? TWO_BLOCKING : ONE_BLOCKING, 64);

	if (m->cpu_count > 1) {
		add_key(j, "line_us");
		add_key(j, "wake_us");
	}
	add_key(j, "wake_one_us");
	for (unsigned i = 0; i < SIZES; i++)
		add_key(j, copies[i]);
}

static void add_latency(struct measure *m, enum placement placement)
{
	static const char *const keys[PERCENTILES] = { "p10_us", "p50_us", "p90_us", "p99_us",
						       "p999_us" };
	struct job *j = add(m, JOB_LATENCY, placement, 64);

	for (unsigned i = 0; i < PERCENTILES; i++)
		add_key(j, keys[i]);
}

static void plan_jobs(struct measure *m)
{
	enum placement apart = m->cpu_count > 1 ? TWO_BLOCKING : ONE_BLOCKING;

	add_limits(m);
	if (m->cpu_count > 1) {
		add_latency(m, TWO_BLOCKING);
		add_latency(m, TWO_POLLING);
	}
	add_latency(m, ONE_BLOCKING);
	for (unsigned i = 0; i < SIZES; i++)
		add_key(add(m, JOB_STREAM, apart, measure_sizes[i]), "GBps");
	if (m->cpu_count > 1)
		add_key(add(m, JOB_CONNECTIONS, TWO_BLOCKING, 1), "per_s");
	add_key(add(m, JOB_CONNECTIONS, ONE_BLOCKING, 1), "per_s");
}

int measure_plan(struct measure *m)
{
	const char *tmp = getenv("TMPDIR");

	m->cpu_count = find_cpus(m->cpus);
	if (!m->cpu_count) {
		complain("bench: which CPUs there are cannot be told: %s", strerror(errno));
		return -1;
	}
	find_machine(m->machine, sizeof(m->machine), (unsigned)sysconf(_SC_NPROCESSORS_ONLN));
	find_kernels(m);
	plan_jobs(m);
	snprintf(m->dir, sizeof(m->dir), "%.40s/mortise-bench-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(m->dir)) {
		complain("bench: cannot make a directory %s: %s", m->dir, strerror(errno));
		return -1;
	}
	/* What the user set is for programs of theirs. */
	unsetenv("LD_PRELOAD");
	unsetenv("MORTISE_EXCLUDE");
	unsetenv("MORTISE_POLICY");
	setenv("MORTISE_DIR", m->dir, 1);
	return 0;
}

/* -------------------------------------------------------------------- run */

/** can_listen() - At 127.0.0.1, there, now. */
static bool can_listen(unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	bool ok;

	if (fd < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	ok = !bind(fd, (struct sockaddr *)&a, sizeof(a)) && !listen(fd, 1);
	close(fd);
	return ok;
}

/** free_port() - Another one each time, below those that connections take. */
static unsigned free_port(void)
{
	enum { FIRST = 12000, COUNT = 18000, TRIES = 1000 };
	static unsigned next;

	if (!next)
		next = (unsigned)getpid() * 61;
	for (unsigned i = 0; i < TRIES; i++) {
		unsigned port = FIRST + next++ % COUNT;

		if (can_listen(port))
			return port;
	}
	return FIRST;
}

/**
 * struct memory - What the domain counts.
 * @fallbacks: Without those of a client that tries until its server is there.
 */
struct memory {
	uint64_t opened, fallbacks;
};

static struct memory memory_now(void)
{
	struct memory ret = { 0 };
	struct ctl_msg m;
	int fd = ask_connect(DOMAIN, true);

	if (fd < 0)
		return ret;
	if (!ask_status(fd, &m)) {
		ret.opened = m.status.opened;
		for (unsigned i = 0; i < ARRAY_LEN(m.status.fallbacks); i++)
			ret.fallbacks += i == REASON_NO_LISTENER ? 0 : m.status.fallbacks[i];
	}
	close(fd);
	return ret;
}

/** struct command - A command line in the making. */
struct command {
	const char *argv[ARGS_MAX];
	char text[ARGS_MAX][24];
	unsigned n;
};

static void arg(struct command *c, const char *s)
{
	c->argv[c->n++] = s;
}

static void arg_number(struct command *c, const char *name, double n)
{
	arg(c, name);
	snprintf(c->text[c->n], sizeof(c->text[0]), "%.10g", n);
	arg(c, c->text[c->n]);
}

static void command_make(const struct measure *m, const struct job *j, unsigned side,
			 const char *path, struct command *c)
{
	bool ours = side == m->kernels && j->kind != JOB_LIMITS;
	bool apart = j->placement != ONE_BLOCKING;

	if (ours) {
		static const char *const run[] = { "/proc/self/exe", "run", "--domain", DOMAIN,
						   "--" };

		for (size_t i = 0; i < ARRAY_LEN(run); i++)
			arg(c, run[i]);
	}
	arg(c, path);
	arg_number(c, "--time", m->seconds);
	arg_number(c, "--size", j->size);
	arg_number(c, "--port", free_port());
	if (apart || j->kind != JOB_LIMITS)
		arg_number(c, "--pin-server", m->cpus[0]);
	arg_number(c, "--pin-client", m->cpus[apart ? 1 : 0]);
	if (j->placement == TWO_POLLING)
		arg_number(c, "--busy", 1);
	if (j->kind == JOB_CONNECTIONS)
		arg_number(c, "--naddr", 4);
	if (!ours && j->kind != JOB_LIMITS && m->cc[side][0]) {
		arg(c, "--cc");
		arg(c, m->cc[side]);
	}
	arg(c, NULL);
}

/** take() - The values of a run's line. Return: False, with @j->why, where one is missing. */
static bool take(const struct measure *m, struct job *j, unsigned side, int status,
		 const char *said)
{
	const char *line = strstr(said, "bench=");
	double srv_status = 0, ok = 1, v[KEYS_MAX] = { 0 };
	bool whole = line && !status;

	for (unsigned k = 0; whole && k < j->key_count; k++)
		whole = measure_value(line, j->keys[k], &v[k]);
	if (whole) {
		measure_value(line, "srv_status", &srv_status);
		measure_value(line, "ok", &ok);
	}
	if (!whole || srv_status != 0 || ok != 1) {
		snprintf(j->why, sizeof(j->why), "%s: exit status %d: %.*s",
			 j->kind == JOB_LIMITS ? "machine" : side == m->kernels ? "Mortise" :
			 m->cc[side], status, (int)strcspn(said, "\n"), said);
		return false;
	}
	for (unsigned k = 0; k < j->key_count; k++)
		j->values[side][k][j->runs[side]] = v[k];
	return true;
}

static void run(const struct measure *m, struct job *j, unsigned side)
{
	static const char *const programs[] = { "limits", "pingpong", "stream", "connrate" };
	bool ours = side == m->kernels && j->kind != JOB_LIMITS;
	struct memory before = { 0 }, after;
	struct command c = { 0 };
	char path[PATH_MAX], said[2048], name[32];
	int status;

	snprintf(name, sizeof(name), "bench/%s", programs[j->kind]);
	if (!self_helper("../..", name, path)) {
		snprintf(j->why, sizeof(j->why), "no program %s in ../libexec/mortise", name);
		return;
	}
	command_make(m, j, side, path, &c);
	if (ours)
		before = memory_now();
	status = spawn_read(c.argv, m->seconds + GRACE_S, m->stop, said, sizeof(said));
	if (m->stop && *m->stop)
		return;
	after = ours ? memory_now() : before;
	if (ours && !status && (after.opened <= before.opened || after.fallbacks != before.fallbacks)) {
		snprintf(j->why, sizeof(j->why), "not in shared memory: the kernel took a connection");
		return;
	}
	if (take(m, j, side, status, said))
		j->runs[side]++;
}

void measure_round(struct measure *m, unsigned round, void (*note)(const struct measure *m,
		   const struct job *j, unsigned round, unsigned side))
{
	unsigned sides = m->kernels + 1;

	for (unsigned i = 0; i < m->job_count; i++) {
		struct job *j = &m->jobs[i];

		for (unsigned k = 0; k < (j->kind == JOB_LIMITS ? 1 : sides); k++) {
			/* Who goes first changes, so that nobody always inherits a
			 * warm cache. */
			unsigned side = j->kind == JOB_LIMITS ? 0 : (k + round) % sides;

			if (m->stop && *m->stop)
				return;
			note(m, j, round, side);
			run(m, j, side);
		}
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

void measure_end(struct measure *m)
{
	const char *const argv[] = { "/proc/self/exe", "down", "--force", "--domain", DOMAIN, NULL };
	char said[256];

	spawn_read(argv, GRACE_S, NULL, said, sizeof(said));
	nftw(m->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
